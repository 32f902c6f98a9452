#!/usr/bin/env bash
# errors.sh BIN_DIR - what users do wrong and how programs are stopped: one clear line and the right
# exit code for each.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin errors "${1:-}"
need nc setpriv

# fails_with CODE TEXT COMMAND...: ends with that code, nothing on stdout, one line with the text.
fails_with() {
	local code=$1 text=$2 rc=0

	shift 2
	in_ns timeout 20 "$@" >"$WORK/out" 2>"$WORK/err" || rc=$?
	cat "$WORK/err"
	((rc == code)) || { echo "exit code $rc"; return 1; }
	[[ ! -s $WORK/out ]] || { echo "output on stdout"; return 1; }
	(($(wc -l <"$WORK/err") == 1)) || { echo "not one line"; return 1; }
	grep -Eiq -- "$text" "$WORK/err"
}

helps() {
	in_ns timeout 20 "$1" --help >"$WORK/out" 2>"$WORK/err" || return
	[[ ! -s $WORK/err ]] && grep -q '^Usage:' "$WORK/out" && grep -q -- --capture "$WORK/out"
}

# stops_by SIGNAL: in good order with an idle connection open, and with statistics.
stops_by() {
	local client

	server_start "echo-$1" weft-echo
	ip netns exec "$NS" nc -d "$HOST4" 7 >/dev/null 2>&1 &
	client=$!
	track "$client"
	wait_for 10 has_connection || not_ok "$1: client connects" "no connection"
	kill -"$1" "$SERVER_PID"
	check "$1 ends the server" ended_within 10 "$SERVER_PID"
	check "$1: exit code 0" test "$ENDED_RC" = 0
	check "$1: statistics" grep -q '1 connections' "$SERVER_ERR"
	check "$1: client ends" ended_within 10 "$client"
}

answers() {
	[[ $(in_ns timeout 10 nc -N "$1" 7 <<<hello) == hello ]]
}

has_connection() {
	[[ -n $(in_ns ss -Htn state established) ]]
}

install -m 755 "$BIN/weft-echo" "$WORK/weft-echo"
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
for program in weft-echo weft-httpd weft-get weft-perf; do
	check "$program --help" helps "$BIN/$program"
	check "$program, unknown option" \
		fails_with 2 'option.*--nonsense' "$BIN/$program" --nonsense
	check "$program, bad number" \
		fails_with 2 'bad argument' "$BIN/$program" --kernel --port 70000
	check "$program, option without its argument" \
		fails_with 2 'no argument' "$BIN/$program" --addr
done
check "no address" fails_with 2 'addr' "$BIN/weft-echo"
check "no URL" fails_with 2 'URL' "$BIN/weft-get" "${STACK_OPTIONS[@]}"
check "no root directory" fails_with 1 'no such file' \
	"$BIN/weft-httpd" "${STACK_OPTIONS[@]}" --root "$WORK/nothing"

if [[ $IS_REFERENCE != 1 ]]; then
	check "malformed address" fails_with 1 '10.77.0.400' \
		"$BIN/weft-echo" --tun wt1 --addr 10.77.0.400/24 --peer 10.77.0.1
	check "no permission" fails_with 1 'permitted|permission|denied' \
		"${nobody[@]}" "$WORK/weft-echo" "${STACK_OPTIONS[@]}"
	check "capture that cannot be written" fails_with 1 'no such file' \
		"$BIN/weft-echo" "${STACK_OPTIONS[@]}" --capture "$WORK/nothing/file"
	check "nobody listens" fails_with 1 'refused' \
		"$BIN/weft-get" "${STACK_OPTIONS[@]:0:10}" http://10.77.0.1/
fi
server_start echo weft-echo
if [[ $IS_REFERENCE == 1 ]]; then
	check "taken port" fails_with 1 'port 7.*in use' "$BIN/weft-echo" --kernel --addr "$HOST4/24"
else
	# Another process can take the interface only; the port of a stack is its own.
	check "taken TUN" fails_with 1 "$TUN.*busy" "$BIN/weft-echo" "${STACK_OPTIONS[@]}"
	check "taken addresses" fails_with 1 "packets to $HOST4 go to $TUN, not to .*in use" \
		"$BIN/weft-echo" --addr "$HOST4/24" --peer 10.77.0.1
	check "taken addresses, IPv6" fails_with 1 "packets to $HOST6 go to $TUN, not to .*in use" \
		"$BIN/weft-echo" --addr6 "$HOST6/64" --peer6 fd77::1
	check "the host's own address" fails_with 1 "10.77.0.1 is this host's own address.*in use" \
		"$BIN/weft-echo" --addr 10.77.0.1/24 --peer 10.77.0.9
	in_ns sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	check "IPv6 is disabled" fails_with 1 "fd78::1 .*IPv6 is disabled" \
		"$BIN/weft-echo" --addr6 fd78::2/64 --peer6 fd78::1
	in_ns sysctl -qw net.ipv6.conf.default.disable_ipv6=0
	check "interface name too long" fails_with 1 'more than 15 characters' \
		"$BIN/weft-echo" --tun sixteen-letters- --addr 10.78.0.2/24
	check "the network's own address" fails_with 1 "network's own" "$BIN/weft-echo" --addr 10.78.0.0/24
fi
server_stop TERM
stops_by INT
stops_by TERM

# Statistics of a server that runs.
server_start echo-usr1 weft-echo
kill -USR1 "$SERVER_PID"
is_told() {
	grep -Eq '^stack: [0-9]+ sockets' "$SERVER_ERR"
}
[[ $IS_REFERENCE == 1 ]] || check "USR1: statistics" wait_for 10 is_told
check "USR1: it serves on" answers "$HOST4"
server_stop TERM

# ends_without_interface OPTIONS...: whose interface is deleted has nothing to wait for.
ends_without_interface() {
	local client

	server_start "echo-gone" weft-echo "$@"
	ip netns exec "$NS" nc -d "$HOST4" 7 >/dev/null 2>&1 &
	client=$!
	track "$client"
	wait_for 10 has_connection || not_ok "gone: client connects" "no connection"
	in_ns ip link del "$TUN"
	check "interface deleted $*: the server ends" ended_within 10 "$SERVER_PID"
	check "interface deleted $*: exit code 1" test "$ENDED_RC" = 1
	check "interface deleted $*: it says why, once" \
		test "$(grep -c 'weft-echo: accept: No such device' "$SERVER_ERR")" = 1
	kill_hard "$client"
}

# An interface that is down comes back; IPv6 addresses of the kernel's go with it, unless it is told to keep them.
comes_back() {
	server_start echo-down weft-echo
	in_ns sysctl -qw "net.ipv6.conf.$TUN.keep_addr_on_down=1"
	in_ns ip link set "$TUN" down
	in_ns ip link set "$TUN" up
	check "down and up again: IPv4" answers "$HOST4"
	check "down and up again: IPv6" answers "$HOST6"
	server_stop TERM
}

# An interface that was made and set up for the user needs no right to do so.
serves_unprivileged() {
	local weak=(setpriv --bounding-set=-net_admin --inh-caps=-net_admin)
	local pid

	in_ns ip tuntap add dev wt9 mode tun user 0
	check "nobody has set it up" fails_with 1 'set MTU 1500 on wt9.*permitted' \
		"${weak[@]}" "$BIN/weft-echo" --tun wt9 --addr 10.79.0.2/24 --peer 10.79.0.1
	in_ns ip link set wt9 up
	check "it has no address" fails_with 1 'set address 10.79.0.1 on wt9.*permitted' \
		"${weak[@]}" "$BIN/weft-echo" --tun wt9 --addr 10.79.0.2/24 --peer 10.79.0.1
	in_ns ip addr add 10.79.0.1 peer 10.79.0.2/24 dev wt9
	ip netns exec "$NS" "${weak[@]}" "$BIN/weft-echo" --tun wt9 --addr 10.79.0.2/24 \
		--peer 10.79.0.1 >"$WORK/weak.out" 2>"$WORK/weak.err" &
	pid=$!
	track "$pid"
	check "without CAP_NET_ADMIN" wait_for 10 is_listening weak "$pid"
	check "without CAP_NET_ADMIN: it serves" answers 10.79.0.2
	kill -TERM "$pid"
	check "without CAP_NET_ADMIN: it ends" ended_well "$pid"
}

if [[ $IS_REFERENCE != 1 ]]; then
	serves_unprivileged
	ends_without_interface
	ends_without_interface --queues 2
	comes_back
fi
finish
