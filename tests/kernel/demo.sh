#!/usr/bin/env bash
# demo.sh BIN_DIR - what weft does, in a minute: a web server on a stack of its own, in a namespace
# of its own, serves a page and 100 MB to the kernel's curl.  Called by './dev demo'; needs root.
# Leaves nothing behind; exit code 0 only if all came through and the hashes are equal.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin demo "${1:-}"
need curl
readonly SIZE=100000000

give_up() {
	echo "demo: $*" >&2
	[[ ! -s $SERVER_ERR ]] || tail -n 3 "$SERVER_ERR" >&2
	exit 1
}

# get FAMILY PATH: into $WORK/got; prints status, seconds and bytes a second.
get() {
	in_ns curl -gsSf --noproxy '*' --max-time 120 -o "$WORK/got" \
		-w '%{http_code} %{time_total} %{speed_download}\n' "$(url "$1" "$2")" ||
		give_up "curl failed on $(url "$1" "$2")"
}

make_page() {
	cat <<-TXT
		<!DOCTYPE html>
		<html lang="en"><head><meta charset="utf-8"><title>weft</title></head>
		<body><h1>Hello from weft</h1>
		<p>This page came over a TCP/IP stack that lives in the web server's process.</p>
		<p><a href="data.bin">100 MB of pseudo-random data</a>, seed $SEED</p>
		</body></html>
	TXT
}

mkdir "$WORK/root"
make_page >"$WORK/root/index.html"
make_data "$WORK/root/data.bin" "$SIZE"
wanted=$(hash_of "$WORK/root/data.bin")

server_start httpd weft-httpd --root "$WORK/root"
echo "server       $(cat "$WORK/httpd.out")"
for family in v4 v6; do
	result=$(get $family /)
	read -r status seconds _ <<<"$result"
	same_hash "$WORK/got" "$WORK/root/index.html" >&2 || give_up "the page differs"
	echo "page         $(url $family /): $status, $(stat -c %s "$WORK/got") bytes, $seconds s"
done
result=$(get v4 /data.bin)
read -r status seconds speed <<<"$result"
[[ $(hash_of "$WORK/got") == "$wanted" ]] || give_up "the file's hash differs"
echo "file         $(url v4 /data.bin): $status, $SIZE bytes, $seconds s"
awk -v speed="$speed" 'BEGIN { printf "throughput   %.2f Gbit/s\n", speed * 8 / 1e9 }'
echo "sha256       $wanted, equal"

wait_for 10 is_drained || give_up "connections do not end"
kill -INT "$SERVER_PID"
ended_within 20 "$SERVER_PID" || give_up "the server does not stop"
((ENDED_RC == 0)) || give_up "the server ended with $ENDED_RC"
has_no_leaks >&2 || give_up "something is left in the stack"
echo "connections  $(stat_of TCP_PASSIVE_OPEN) accepted, all closed"
echo "segments     $(stat_of TCP_SEG_IN) in, $(stat_of TCP_SEG_OUT) out," \
	"$(stat_of TCP_RETRANS) retransmitted"
drops=$(awk '/^drops:/ { on = 1; next } on && $2 > 0 { print "             " $0 }' "$SERVER_ERR")
if [[ -n $drops ]]; then
	printf 'drops\n%s\n' "$drops"
else
	echo "drops        none"
fi
