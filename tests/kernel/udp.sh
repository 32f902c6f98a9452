#!/usr/bin/env bash
# udp.sh BIN_DIR - UDP between the kernel and weft: the example udp_echo asked by kernel sockets, sizes to the
# largest there is, in fragments both ways, addresses and TOS; and weft-ping, which asks the kernel.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin udp "${1:-}"
[[ $IS_REFERENCE == 0 ]] || skip "udp_echo has no --kernel"
[[ -x $BIN/udp_echo && -x $BIN/weft-ping ]] || skip "no udp_echo or weft-ping"

# ask HOST KIND: a client on kernel sockets.
ask() {
	in_ns python3 - "$@" <<'PY'
import errno, random, socket, sys

host, kind = sys.argv[1:3]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(5)
if kind == "sizes":
    full = 1452 if family == socket.AF_INET6 else 1472
    for size in (0, 1, 100, full - 1, full, full + 1, 8000, 60000, 65507):
        data = random.Random(size).randbytes(size)
        s.sendto(data, (host, 7))
        got, peer = s.recvfrom(70000)
        assert got == data, f"{size} bytes became {len(got)}"
        assert peer[:2] == (host, 7), peer
elif kind == "many":
    s.connect((host, 7))
    for i in range(2000):
        s.send(b"%d" % i)
        assert s.recv(100) == b"%d" % i, i
elif kind == "tos":
    level, tos, told = (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, socket.IPV6_RECVTCLASS) \
        if family == socket.AF_INET6 else (socket.IPPROTO_IP, socket.IP_TOS, socket.IP_RECVTOS)
    s.setsockopt(level, tos, 0x2e)
    s.setsockopt(level, told, 1)
    s.sendto(b"x", (host, 7))
    _, control, _, _ = s.recvmsg(10, 100)
    assert control and control[0][2][0] == 0x2e, control
elif kind == "refused":
    s.connect((host, 9))
    s.send(b"x")
    try:
        s.recv(10)
    except ConnectionRefusedError:
        sys.exit(0)
    sys.exit("nobody refused")
PY
}

ip netns exec "$NS" "$BIN/udp_echo" "$TUN" >"$WORK/echo.out" 2>&1 &
track $!
echo_pid=$!
wait_for 10 in_ns ip link show "$TUN" up || not_ok "udp_echo starts" "$(tail -n 2 "$WORK/echo.out")"
for to in 192.0.2.2 2001:db8::2; do
	for kind in sizes many tos refused; do
		check "udp $to $kind" ask "$to" "$kind"
	done
done
kill -TERM "$echo_pid"
check "udp_echo stops" ended_well "$echo_pid"

# ping_out TEXT OPTIONS...: weft-ping says a line that matches.
ping_out() {
	in_ns "$BIN/weft-ping" "${STACK_OPTIONS[@]}" "${@:2}" >"$WORK/ping.out" 2>"$WORK/ping.err" || true
	grep -Eq "$1" "$WORK/ping.out" && return 0
	cat "$WORK/ping.out" "$WORK/ping.err"
	return 1
}

ping_ok() {
	in_ns "$BIN/weft-ping" "${STACK_OPTIONS[@]}" "$@" && ! in_ns "$BIN/weft-ping" --bad 2>/dev/null
}

for to in 10.77.0.1 fd77::1; do
	for size in 0 7 56 1400 1452 1453 1472 1473 8000 60000; do
		check "weft-ping $to $size bytes" ping_out '^3 packets transmitted, 3 received, 0% packet loss' \
			-c 3 -i 0.01 -W 5 -s "$size" "$to"
	done
	check "weft-ping $to at once" ping_out '^500 packets transmitted, 500 received' -c 500 -i 0 -W 5 "$to"
	check "weft-ping $to says what ping says" ping_out '^64 bytes from .*icmp_seq=1 ttl=64 time=[0-9.]+ ms$' \
		-c 1 -W 5 "$to"
	check "weft-ping $to with TTL" ping_ok -c 1 -t 3 -W 5 "$to"
	check "weft-ping $to statistics" ping_out '^rtt min/avg/max/mdev = ([0-9.]+/){3}[0-9.]+ ms$' \
		-c 2 -i 0.01 -W 5 "$to"
done
check "weft-ping nobody" ping_out '^1 packets transmitted, 0 received, 100% packet loss' \
	-c 1 -W 0.2 10.77.0.77
finish
