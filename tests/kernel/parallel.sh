#!/usr/bin/env bash
# parallel.sh BIN_DIR MANY [QUEUES] - 5,000 connections to weft-echo open at the same time, each
# exchanging data.  MANY is the client, tests/kernel/many.c.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin parallel "${1:-}"
readonly MANY=${2:?usage: parallel.sh BIN_DIR MANY}
set_queues "${3:-1}"
[[ $(ulimit -n) -ge 12000 ]] || skip "only $(ulimit -n) descriptors"

server_start echo weft-echo
check "500 connections, 10 rounds of 20,000 bytes" \
	in_ns timeout 120 "$MANY" --count 500 --rounds 10 --size 20000 --seed "$SEED" \
	"$HOST4" "$HOST6"
check "5,000 connections, 5 rounds of 1,000 bytes" \
	in_ns timeout 120 "$MANY" --count 5000 --rounds 5 --size 1000 --seed "$SEED" \
	"$HOST4" "$HOST6"
tail -n 1 "$WORK/check.log" | sed 's/^/# /'
server_stop
finish
