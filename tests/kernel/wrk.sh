#!/usr/bin/env bash
# wrk.sh BIN_DIR [QUEUES] - wrk against weft-httpd with 1, 64 and 1,000 connections: not one error.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin wrk "${1:-}"
set_queues "${2:-1}"
need wrk

# run_wrk FAMILY CONNECTIONS PATH
run_wrk() {
	local threads=2

	(($2 > 1)) || threads=1
	in_ns timeout 60 wrk -t "$threads" -c "$2" -d 3s --timeout 10s "$(url "$1" "$3")" \
		>"$WORK/wrk.log" || return
	cat "$WORK/wrk.log"
	grep -Eq '^ *[1-9][0-9]* requests in' "$WORK/wrk.log" || return 1
	if grep -E 'Socket errors|Non-2xx' "$WORK/wrk.log"; then
		return 1
	fi
	RATE=$(awk '/^Requests\/sec/ { print $2 }' "$WORK/wrk.log")
}

mkdir "$WORK/root"
make_data "$WORK/root/1k.bin" 1000
make_data "$WORK/root/100k.bin" 100000
server_start httpd weft-httpd --root "$WORK/root"
for family in v4 v6; do
	for count in 1 64 1000; do
		RATE=0
		check "wrk $family $count connections" run_wrk $family $count /1k.bin
		echo "# $RATE requests a second"
	done
done
check "wrk v4 64 connections, 100 kB" run_wrk v4 64 /100k.bin
server_stop
finish
