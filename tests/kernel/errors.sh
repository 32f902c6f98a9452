#!/usr/bin/env bash
# errors.sh BIN_DIR - what users do wrong and how programs are stopped: one clear line and the right
# exit code for each.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin errors "${1:-}"
need nc setpriv

# fails_with CODE TEXT COMMAND...: ends with that code, nothing on stdout, one line with the text.
fails_with() {
	local code=$1 text=$2 rc=0

	shift 2
	in_ns timeout 20 "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	cat "$WORK/err"
	((rc == code)) || { echo "exit code $rc"; return 1; }
	[[ ! -s $WORK/out ]] || { echo "output on stdout"; return 1; }
	(($(wc -l <"$WORK/err") == 1)) || { echo "not one line"; return 1; }
	grep -Eiq -- "$text" "$WORK/err"
}

helps() {
	in_ns timeout 20 "$1" --help >"$WORK/out" 2>"$WORK/err" || return
	[[ ! -s $WORK/err ]] && grep -q '^Usage:' "$WORK/out" && grep -q -- --capture "$WORK/out"
}

# stops_by SIGNAL: in good order with an idle connection open, and with statistics.
stops_by() {
	local client

	server_start "echo-$1" weft-echo
	ip netns exec "$NS" nc -d "$HOST4" 7 >/dev/null 2>&1 &
	client=$!
	track "$client"
	wait_for 10 has_connection || not_ok "$1: client connects" "no connection"
	kill -"$1" "$SERVER_PID"
	check "$1 ends the server" ended_within 10 "$SERVER_PID"
	check "$1: exit code 0" test "$ENDED_RC" = 0
	check "$1: statistics" grep -q '1 connections' "$SERVER_ERR"
	check "$1: client ends" ended_within 10 "$client"
}

has_connection() {
	[[ -n $(in_ns ss -Htn state established) ]]
}

install -m 755 "$BIN/weft-echo" "$WORK/weft-echo"
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
for program in weft-echo weft-httpd weft-get weft-perf; do
	check "$program --help" helps "$BIN/$program"
	check "$program, unknown option" \
		fails_with 2 'option.*--nonsense' "$BIN/$program" --nonsense
	check "$program, bad number" \
		fails_with 2 'bad argument' "$BIN/$program" --kernel --port 70000
	check "$program, option without its argument" \
		fails_with 2 'no argument' "$BIN/$program" --addr
done
check "no address" fails_with 2 'addr' "$BIN/weft-echo"
check "no URL" fails_with 2 'URL' "$BIN/weft-get" "${STACK_OPTIONS[@]}"
check "no root directory" fails_with 1 'no such file' \
	"$BIN/weft-httpd" "${STACK_OPTIONS[@]}" --root "$WORK/nothing"

if [[ $IS_REFERENCE != 1 ]]; then
	check "malformed address" fails_with 1 '10.77.0.400' \
		"$BIN/weft-echo" --tun wt1 --addr 10.77.0.400/24 --peer 10.77.0.1
	check "no permission" fails_with 1 'permitted|permission|denied' \
		"${nobody[@]}" "$WORK/weft-echo" "${STACK_OPTIONS[@]}"
	check "capture that cannot be written" fails_with 1 'no such file' \
		"$BIN/weft-echo" "${STACK_OPTIONS[@]}" --capture "$WORK/nothing/file"
	check "nobody listens" fails_with 1 'refused' \
		"$BIN/weft-get" "${STACK_OPTIONS[@]:0:10}" http://10.77.0.1/
fi
server_start echo weft-echo
if [[ $IS_REFERENCE == 1 ]]; then
	check "taken port" fails_with 1 'port 7.*in use' "$BIN/weft-echo" --kernel --addr "$HOST4/24"
else
	# Another process can take the interface only; the port of a stack is its own.
	check "taken TUN" fails_with 1 "$TUN.*busy" "$BIN/weft-echo" "${STACK_OPTIONS[@]}"
fi
server_stop TERM
stops_by INT
stops_by TERM
finish
