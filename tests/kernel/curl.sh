#!/usr/bin/env bash
# curl.sh BIN_DIR on|off - curl against weft-httpd, with and without offload: 1 byte, 100 MB with
# its hash, 50 at the same time, HEAD, ranges, 404; IPv4 and IPv6.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin "curl-${2:-on}" "${1:-}"
need curl
set_offload "${2:-on}"

# fetch_file FAMILY NAME: the file comes as it is.
fetch_file() {
	rm -f "$WORK/got"
	fetch -f -o "$WORK/got" "$(url "$1" "/$2")" && same_hash "$WORK/got" "$WORK/root/$2"
}

fetch_head() {
	local length

	length=$(fetch -f -I "$(url "$1" /big.bin)" | tr -d '\r' |
		awk 'tolower($1) == "content-length:" { print $2 }')
	[[ $length == 100000000 ]] || { echo "content-length: $length"; return 1; }
}

# fetch_range FAMILY RANGE FIRST COUNT
fetch_range() {
	local status

	status=$(fetch -f -r "$2" -o "$WORK/got" -w '%{http_code}' "$(url "$1" /medium.bin)")
	[[ $status == 206 ]] || { echo "status $status"; return 1; }
	tail -c "+$(($3 + 1))" "$WORK/root/medium.bin" | head -c "$4" >"$WORK/want" || true
	same_hash "$WORK/got" "$WORK/want"
}

# fetch_status FAMILY PATH STATUS [OPTION...]
fetch_status() {
	local status

	status=$(fetch -o /dev/null -w '%{http_code}' "${@:4}" "$(url "$1" "$2")")
	[[ $status == "$3" ]] || { echo "status $status"; return 1; }
}

# Two requests on one connection.
fetch_twice() {
	local count

	count=$(fetch -f -o /dev/null -o /dev/null -w '%{num_connects}\n' \
		"$(url "$1" /one.bin)" "$(url "$1" /one.bin)" | awk '{ n += $1 } END { print n }')
	[[ $count == 1 ]] || { echo "$count connections"; return 1; }
}

mkdir "$WORK/root"
make_data "$WORK/root/one.bin" 1
make_data "$WORK/root/medium.bin" 1000000
make_data "$WORK/root/big.bin" 100000000
: >"$WORK/root/empty.bin"

server_start httpd weft-httpd --root "$WORK/root"
for family in v4 v6; do
	check "$family 0 bytes" fetch_file $family empty.bin
	check "$family 1 byte" fetch_file $family one.bin
	check "$family 100 MB" fetch_file $family big.bin
	check "$family 50 parallel" fetch_parallel $family
	check "$family HEAD" fetch_head $family
	check "$family range in the middle" fetch_range $family 1000-200999 1000 200000
	check "$family range at the end" fetch_range $family -500 999500 500
	check "$family range out of the file" fetch_status $family /medium.bin 416 -r 2000000-
	check "$family 404" fetch_status $family /nothing 404
	check "$family keep-alive" fetch_twice $family
done
server_stop
finish
