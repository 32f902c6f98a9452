#!/usr/bin/env bash
# pmtud.sh BIN_DIR on|off - a client behind a router whose next link takes 1,300 bytes: the kernel's router
# tells the stack by ICMP, and files come as they are; with the router silent (its messages thrown
# away), they come all the same.
#
#	client (far namespace) ---- 1,300 ---- router (the kernel) ---- wt0, 1,500 ==== weft
#
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin "pmtud-${2:-on}" "${1:-}"
need curl
set_offload "${2:-on}"
[[ $IS_REFERENCE == 0 ]] || skip "the router is the kernel's part here"

readonly FAR=$NS-far
FAR_NS=("$FAR")
ip netns add "$FAR"
ip -n "$NS" link add toward type veth peer name back netns "$FAR"
for ns_dev in "$NS toward" "$FAR back"; do
	read -r ns dev <<<"$ns_dev"
	ip -n "$ns" link set "$dev" up
done
ip -n "$NS" link set toward mtu 1300
ip -n "$NS" addr add 10.78.0.1/24 dev toward
ip -n "$NS" addr add fd78::1/64 dev toward nodad
ip -n "$FAR" addr add 10.78.0.2/24 dev back
ip -n "$FAR" addr add fd78::2/64 dev back nodad
ip -n "$FAR" route add default via 10.78.0.1
ip -n "$FAR" route add default via fd78::1
in_ns sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

# fetch_far FAMILY NAME
fetch_far() {
	rm -f "$WORK/got"
	ip netns exec "$FAR" curl -gsS --noproxy '*' --max-time 60 -f -o "$WORK/got" \
		"$(url "$1" "/$2")" && same_hash "$WORK/got" "$WORK/root/$2"
}

mkdir -p "$WORK/root"
make_data "$WORK/root/file.bin" 3000000
server_start httpd weft-httpd --root "$WORK/root"
for family in v4 v6; do
	check "$family through 1,300 bytes" fetch_far "$family" file.bin
	check "$family again, the path being known" fetch_far "$family" file.bin
done
server_stop
believed=$(stat_of TCP_PMTU_LOWERED)
if ((believed >= 2)); then ok "the router was believed"; else not_ok "the router was believed" "$believed times"; fi

# 1,280 is what black holes are fallen back to.
server_start silent weft-httpd --root "$WORK/root"
for family in v4 v6; do
	version=${family#v}
	# Locally made ICMP does not leave by the TUN any more: no route to the stack but for others' packets.
	in_ns ip "-$version" rule add iif lo lookup 99 pref 10
	in_ns ip "-$version" route add unreachable default table 99
	check "$family through a black hole" fetch_far "$family" file.bin
	in_ns ip "-$version" rule del pref 10
done
server_stop
holes=$(stat_of TCP_MTU_BLACK_HOLE)
if ((holes >= 2)); then ok "black holes were found"; else not_ok "black holes were found" "$holes"; fi
finish
