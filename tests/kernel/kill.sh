#!/usr/bin/env bash
# kill.sh BIN_DIR - one end is killed in mid-transfer.  A killed server: its clients end with an
# error in time, and a new server on the same TUN name serves at once.  Killed clients: the server
# serves on, and none of their connections is left.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin kill "${1:-}"
need curl

# start_download NAME: a slow download, in the background; its pid goes to CLIENT_PID.
start_download() {
	ip netns exec "$NS" curl -gsSf --noproxy '*' --limit-rate 4M --speed-limit 1 --speed-time 5 \
		-o "$WORK/$1.got" "$(url v4 /big.bin)" 2>"$WORK/$1.err" &
	CLIENT_PID=$!
	track "$CLIENT_PID"
}

has_bytes() {
	[[ -s $WORK/$1.got ]]
}

fetch_small() {
	in_ns curl -gsSf --noproxy '*' --max-time 10 -o "$WORK/got" "$(url "$1" /small.bin)" &&
		same_hash "$WORK/got" "$WORK/root/small.bin"
}

fails_within() {
	ended_within "$1" "$2" || { echo "still running after $1 s"; return 1; }
	((ENDED_RC != 0)) || { echo "ended as if all was well"; return 1; }
}

mkdir "$WORK/root"
make_data "$WORK/root/big.bin" 100000000
make_data "$WORK/root/small.bin" 100000

server_start httpd-killed weft-httpd --root "$WORK/root"
start_download victim
check "download runs" wait_for 10 has_bytes victim
kill_hard "$SERVER_PID"
server_start httpd-again weft-httpd --root "$WORK/root"
check "new server on the same TUN" fetch_small v4
check "new server on the same TUN, v6" fetch_small v6
check "client of the killed server fails" fails_within 30 "$CLIENT_PID"
server_stop

server_start httpd weft-httpd --root "$WORK/root"
clients=()
for i in {1..20}; do
	start_download "client$i"
	clients+=("$CLIENT_PID")
done
for i in {1..20}; do
	wait_for 10 has_bytes "client$i" || not_ok "client $i" "no bytes"
done
for pid in "${clients[@]}"; do
	kill_hard "$pid"
done
check "server serves on" fetch_small v4
check "server serves on, v6" fetch_small v6
server_stop
finish
