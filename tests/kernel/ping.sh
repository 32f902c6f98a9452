#!/usr/bin/env bash
# ping.sh BIN_DIR - the kernel pings the stack: IPv4 and IPv6, empty to full MTU, many at once, and in fragments.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin ping "${1:-}"
need ping

server_start echo weft-echo
for family in v4 v6; do
	full=1472
	to=$HOST4
	if [[ $family == v6 ]]; then
		full=1452
		to=$HOST6
	fi
	for size in 0 1 7 8 56 100 1000 1399 1400 "$full"; do
		check "ping $family $size bytes" \
			in_ns ping -n -q -M "do" -c 3 -i 0.01 -W 2 -s "$size" "$to"
	done
	# Fragments, both ways.
	for size in $((full + 1)) 3000 8192 65000; do
		check "ping $family $size bytes in fragments" \
			in_ns ping -n -q -M "dont" -c 3 -i 0.01 -W 2 -s "$size" "$to"
	done
	# 1: something was lost.
	check "ping $family 1,000 times" in_ns ping -n -q -f -c 1000 -w 20 -s 200 "$to"
done
server_stop
finish
