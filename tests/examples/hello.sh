#!/usr/bin/env bash
# hello.sh BIN_DIR - the smallest server, asked by the kernel: several clients at once.
# shellcheck source-path=SCRIPTDIR/../kernel
. "$(dirname "$0")/../kernel/lib.sh"
begin hello "${1:-}"
[[ $IS_REFERENCE == 0 ]] || skip "hello has no --kernel"

ask() {
	in_ns timeout 60 python3 "$(dirname "$0")/clients.py" "$@"
}

ip netns exec "$NS" "$BIN/hello" >"$WORK/hello.out" 2>&1 &
track $!
wait_for 10 ask echo 192.0.2.2 7 1 100 2>/dev/null || not_ok "hello answers" "$(tail -n 2 "$WORK/hello.out")"
check "20 clients, 100 KB each" ask echo 192.0.2.2 7 20 100000
finish
