#!/usr/bin/env bash
# relay.sh BIN_DIR - uv-relay between the kernel's TCP and a service on a unix socket: bytes, ends in both
# orders, back-pressure both ways, resets, and a service that is not there.
# shellcheck source-path=SCRIPTDIR/../kernel
. "$(dirname "$0")/../kernel/lib.sh"
begin uv-relay "${1:-}"
[[ $IS_REFERENCE == 0 ]] || skip "uv-relay has no --kernel"

ask() {
	in_ns timeout 60 python3 "$(dirname "$0")/clients.py" "$@"
}

WORK=$WORK python3 "$(dirname "$0")/clients.py" service "$WORK/socket" >"$WORK/service.out" 2>&1 &
service=$!
track "$service"
wait_for 15 grep -q '^listening' "$WORK/service.out" || skip "no service"
server_start relay uv-relay --service "$WORK/socket"
for host in "$HOST4" "$HOST6"; do
	check "$host bytes" ask relay "$host" 7
	rm -f "$WORK/tail.done"
	check "$host ends and resets" ask relay_ends "$host" 7 "$WORK"
done
kill_hard "$service"
check "no service" ask is_reset "$HOST4" 7 x
check "says so" grep -q "^uv-relay: $WORK/socket: connection refused" "$SERVER_ERR"
server_stop TERM
finish
