#!/usr/bin/env bash
# echo.sh BIN_DIR PROGRAM - the echo servers on event loops, asked by the kernel: many clients at once, half
# close, back-pressure; and what is their own: epoll-echo's limit, libevent-echo's control socket.
# shellcheck source-path=SCRIPTDIR/../kernel
. "$(dirname "$0")/../kernel/lib.sh"
PROGRAM=${2:?usage: echo.sh BIN_DIR PROGRAM}
begin "$PROGRAM" "${1:-}"
[[ $IS_REFERENCE == 0 ]] || skip "$PROGRAM has no --kernel"
OPTIONS=()
[[ $PROGRAM != libevent-echo ]] || OPTIONS=(--control "$WORK/control")

ask() {
	in_ns timeout 60 python3 "$(dirname "$0")/clients.py" "$@"
}

server_start echo "$PROGRAM" "${OPTIONS[@]}"
for host in "$HOST4" "$HOST6"; do
	check "$host 1 client, 8 MB" ask echo "$host" 7 1 8000000
	check "$host 50 clients, 100 KB each" ask echo "$host" 7 50 100000
	check "$host nothing, then end" ask echo "$host" 7 1 0
done
check "back-pressure" ask backpressure "$HOST4" 7
if [[ $PROGRAM == libevent-echo ]]; then
	check "control socket" ask control "$WORK/control" "$HOST4" 7
fi
server_stop TERM
if [[ $PROGRAM == libevent-echo ]]; then
	check "control socket is gone" test ! -e "$WORK/control"
	server_start echo "$PROGRAM" "${OPTIONS[@]}"
	check "quit" ask command "$WORK/control" "quit"$'\n'
	check "quits" ended_well "$SERVER_PID"
else
	server_start echo "$PROGRAM" --max 2
	check "limit" ask limit "$HOST4" 7
	server_stop TERM
fi
finish
