#!/usr/bin/env bash
# pool.sh BIN_DIR - http-pool with three workers: curl with 50 files at once, and more silent and slow clients
# than workers while others are served.
# shellcheck source-path=SCRIPTDIR/../kernel
. "$(dirname "$0")/../kernel/lib.sh"
begin http-pool "${1:-}"
[[ $IS_REFERENCE == 0 ]] || skip "http-pool has no --kernel"
need curl

ask() {
	in_ns timeout 60 python3 "$(dirname "$0")/clients.py" "$@"
}

mkdir "$WORK/root"
make_data "$WORK/root/medium.bin" 500000
make_data "$WORK/root/page.txt" 3000
server_start pool http-pool --root "$WORK/root" --workers 3
for family in v4 v6; do
	check "$family 50 parallel" fetch_parallel $family
done
check "silent and slow clients" ask http "$HOST4" 80 "$WORK/root/page.txt"
server_stop TERM
finish
