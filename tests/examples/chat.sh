#!/usr/bin/env bash
# chat.sh BIN_DIR - the example chat, its clients on kernel sockets: all hear the same, a slow reader has to
# leave and is told why, and nobody waits for it.
# shellcheck source-path=SCRIPTDIR/../kernel
. "$(dirname "$0")/../kernel/lib.sh"
begin chat "${1:-}"
[[ $IS_REFERENCE == 0 ]] || skip "chat has no --kernel"

ask() {
	in_ns timeout 60 python3 "$(dirname "$0")/clients.py" "$@"
}

server_start chat chat
for host in "$HOST4" "$HOST6"; do
	check "$host lines" ask chat "$host" 2000
done
check "slow reader" ask slow "$HOST4" 2000
check "full room" ask chat_full "$HOST4" "$HOST6" 2000
server_stop TERM
server_start chat chat
check "stop with clients" ask chat_ends "$HOST6" 2000 "$SERVER_PID"
check "stops" ended_well "$SERVER_PID"
finish
