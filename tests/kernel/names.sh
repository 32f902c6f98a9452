#!/usr/bin/env bash
# names.sh BIN_DIR - weft's programs find hosts by name: through a hosts file, and DNS on kernel sockets.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin names "${1:-}"

become_in_ns python3 "$(dirname "$0")/names_server.py" >"$WORK/server.out" 2>&1 &
track $!
wait_for 10 grep -q ready "$WORK/server.out" || not_ok "the DNS server starts" "$(tail -n 2 "$WORK/server.out")"
printf '10.77.0.1 in-file both\nfd77::1 in-file6 both\n' >"$WORK/hosts"
printf 'nameserver 10.77.0.1\nsearch example\n' >"$WORK/resolv.conf"

# pings NAME ADDRESS OPTIONS...: one ping, to that address.
pings() {
	in_ns "$BIN/weft-ping" "${STACK_OPTIONS[@]}" --hosts "$WORK/hosts" "${@:3}" -c 1 -W 5 "$1" >"$WORK/ping.out" 2>&1 || true
	grep -Fq "PING $1 ($2)" "$WORK/ping.out" && grep -q '1 received' "$WORK/ping.out" && return 0
	cat "$WORK/ping.out"
	return 1
}

# unknown TEXT NAME OPTIONS...: no such name, and why.
unknown() {
	! in_ns "$BIN/weft-ping" "${STACK_OPTIONS[@]}" --hosts "$WORK/hosts" "${@:3}" -c 1 "$2" >"$WORK/ping.out" 2>&1 &&
		grep -Fq "$1" "$WORK/ping.out" && return 0
	cat "$WORK/ping.out"
	return 1
}

check "hosts file" pings in-file 10.77.0.1
check "hosts file, IPv6" pings in-file6 '[fd77::1]'
# The server has only the second of the name's addresses.
become_in_ns python3 "$(dirname "$0")/http_v6.py" "$WORK" 8077 >"$WORK/http.out" 2>&1 &
track $!
wait_for 10 grep -q ready "$WORK/http.out" || not_ok "the web server starts" "$(tail -n 2 "$WORK/http.out")"
gets() {
	in_ns "$BIN/weft-get" "${STACK_OPTIONS[@]}" --hosts "$WORK/hosts" http://both:8077/hosts >"$WORK/got" 2>"$WORK/get.out" &&
		grep -q 'cannot connect to 10.77.0.1' "$WORK/get.out" && cmp "$WORK/hosts" "$WORK/got" && return 0
	cat "$WORK/get.out"
	return 1
}
check "the second address, when the first one refuses" gets
check "no resolver" unknown "not known" host.example
if "$BIN/weft-ping" --addr 192.0.2.1/24 --dns x a 2>&1 | grep -q "built without"; then
	echo "# without libweft-dns"
	finish
fi
# Of both families IPv4 comes first: fd77::/64 is no global prefix (RFC 6724 2.1).
for server in 10.77.0.1 fd77::1; do
	check "DNS at $server" pings host.example 10.77.0.1 --dns "$server"
	check "DNS at $server, IPv4 only" pings four.example 10.77.0.1 --dns "$server"
	check "DNS at $server, IPv6 only" pings six.example '[fd77::1]' --dns "$server"
	check "DNS at $server, by TCP" pings cut.example 10.77.0.1 --dns "$server"
	check "DNS at $server, no such name" unknown "not known" nobody.example --dns "$server"
done
check "DNS by a file, with a search list" pings host 10.77.0.1 --resolv-conf "$WORK/resolv.conf"
check "DNS server that there is not" unknown "Temporary failure" host.example --dns 10.77.0.1:54
finish
