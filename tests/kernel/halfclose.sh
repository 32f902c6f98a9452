#!/usr/bin/env bash
# halfclose.sh BIN_DIR - connections closed in one direction first: by the client (nc -N and socat
# against weft-echo, which must send all that is still to come) and by the server (weft-httpd ends
# its side after "Connection: close" and reads on).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin halfclose "${1:-}"
need nc socat

by_nc() {
	local to=$HOST4

	[[ $1 == v4 ]] || to=$HOST6
	in_ns timeout 60 nc -N "$to" 7 <"$2" >"$WORK/got" && same_hash "$WORK/got" "$2"
}

by_socat() {
	in_ns timeout 60 socat -t 30 - "TCP:$(host "$1"):7" <"$2" >"$WORK/got" &&
		same_hash "$WORK/got" "$2"
}

# The server's end of stream comes first; the client's later writes must not meet a reset.
by_server() {
	local to=$HOST4

	[[ $1 == v4 ]] || to=$HOST6
	# shellcheck disable=SC2016
	in_ns timeout 30 bash -c '
		exec 3<>"/dev/tcp/$0/80" || exit 3
		printf "GET /page.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" >&3
		cat <&3 >"$1" || exit 4
		for i in {1..10}; do
			printf "%01000d" "$i" >&3 || exit 5
			sleep 0.02
		done' "$to" "$WORK/got" || return
	tail -c "$(stat -c %s "$WORK/root/page.txt")" "$WORK/got" >"$WORK/body"
	same_hash "$WORK/body" "$WORK/root/page.txt"
}

# Closing without a word.
by_nobody() {
	local to=$HOST4

	[[ $1 == v4 ]] || to=$HOST6
	in_ns timeout 10 nc -N "$to" 7 </dev/null >"$WORK/got" && [[ ! -s $WORK/got ]]
}

mkdir "$WORK/root"
make_data "$WORK/small" 10
make_data "$WORK/large" 8000000
make_data "$WORK/root/page.txt" 100000

server_start echo weft-echo
for family in v4 v6; do
	check "$family nothing, then end" by_nobody $family
	check "$family nc -N 10 bytes" by_nc $family "$WORK/small"
	check "$family nc -N 8 MB" by_nc $family "$WORK/large"
	check "$family socat 10 bytes" by_socat $family "$WORK/small"
	check "$family socat 8 MB" by_socat $family "$WORK/large"
done
server_stop
server_start httpd weft-httpd --root "$WORK/root"
for family in v4 v6; do
	check "$family server ends first" by_server $family
done
server_stop
finish
