#!/usr/bin/env bash
# seqconn.sh BIN_DIR - 10,000 connections one after the other from one client without an error: once
# closed first by the client (TIME-WAIT at the kernel), once by the server (TIME-WAIT records of the
# stack) with so few ports that they come again within the two minutes (RFC 6191).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin seqconn "${1:-}"
readonly COUNT=10000

# One byte there and back on each connection, so --bytes counts connections.
client_first() {
	in_ns timeout 120 "$BIN/weft-perf" --kernel --client "$(host "$1")" --mode crr --verify \
		--size 1 --bytes "$COUNT" >"$WORK/perf.log" || return
	cat "$WORK/perf.log"
	grep -q "transactions $COUNT " "$WORK/perf.log"
}

server_first() {
	in_ns timeout 120 "$BIN/weft-get" --kernel --repeat "$COUNT" -o /dev/null \
		"$(url "$1" /one.bin)"
}

mkdir "$WORK/root"
make_data "$WORK/root/one.bin" 1
server_start perf weft-perf --server
check "10,000 connections closed by the client" client_first v4
server_stop
in_ns sysctl -qw net.ipv4.ip_local_port_range='40000 44999'
server_start httpd weft-httpd --root "$WORK/root"
check "10,000 connections closed by the server, 5,000 ports" server_first v4
server_stop
if [[ $IS_REFERENCE != 1 ]]; then
	echo "# TIME-WAIT records reused: $(stat_of TCP_TIME_WAIT_REUSED)"
fi
finish
