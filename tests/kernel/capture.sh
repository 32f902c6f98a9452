#!/usr/bin/env bash
# capture.sh BIN_DIR on|off - a transfer with --capture; tshark must find packets of both directions
# in the file, no bad checksum and no malformed frame.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin "capture-${2:-on}" "${1:-}"
need curl tshark ping
[[ $IS_REFERENCE != 1 ]] || skip "kernel sockets have no capture"
set_offload "${2:-on}"

# Linux writes a TCP checksum of 0 as 0xffff (skb_checksum_help), which is the same number in one's
# complement; tshark calls it bad (RFC 1624).  Right for frames of the kernel only: one in 65,536.
readonly KERNEL_FFFF='tcp.checksum==0xffff && (ip.src==10.77.0.1 || ipv6.src==fd77::1)'

# show FILTER: a line for each frame of the capture that matches.
show() {
	# Its warning about root goes to stderr.
	tshark -n -r "$WORK/packets.pcapng" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
		-o udp.check_checksum:TRUE -Y "$1" 2>"$WORK/tshark.err"
}

# frames FILTER: how many there are.
frames() {
	show "$1" | wc -l
}

fetch() {
	in_ns curl -gsSf --noproxy '*' --max-time 60 -o "$WORK/got" "$(url "$1" /file.bin)" &&
		same_hash "$WORK/got" "$WORK/root/file.bin"
}

upload() {
	in_ns timeout 60 nc -N "$HOST4" 7 <"$WORK/root/file.bin" >"$WORK/got" &&
		same_hash "$WORK/got" "$WORK/root/file.bin"
}

no_frames() {
	local count

	count=$(frames "$1")
	((count == 0)) || { echo "$count frames:" && show "$1" | tail -n 2; return 1; }
}

some_frames() {
	local count

	count=$(frames "$1")
	((count > 0)) || { echo "none; $(tail -n 1 "$WORK/tshark.err")"; return 1; }
}

check_capture() {
	check "$1: frames" some_frames frame
	check "$1: TCP from the stack, checksum good" \
		some_frames "ip.src==$HOST4 && tcp.checksum.status==1"
	check "$1: TCP to the stack, checksum good" \
		some_frames "ip.dst==$HOST4 && tcp.checksum.status==1"
	check "$1: no bad checksum" no_frames "ip.checksum.status==0 || icmp.checksum.status==0 ||
		icmpv6.checksum.status==0 || (tcp.checksum.status==0 && !($KERNEL_FFFF))"
	check "$1: the stack found no bad checksum" test "$(stat_of TCP_CSUM)" = 0
	check "$1: nothing malformed" no_frames '_ws.malformed || _ws.unreassembled || _ws.short'
}

mkdir "$WORK/root"
make_data "$WORK/root/file.bin" 5000000
server_start httpd weft-httpd --root "$WORK/root" --capture "$WORK/packets.pcapng"
check "fetch v4" fetch v4
check "fetch v6" fetch v6
check "ping v4" in_ns ping -n -q -c 3 -i 0.01 "$HOST4"
check "ping v6" in_ns ping -n -q -c 3 -i 0.01 "$HOST6"
server_stop
check_capture httpd
check "httpd: IPv6 TCP, checksum good" some_frames 'ipv6 && tcp.checksum.status==1'
check "httpd: ICMP answered" some_frames 'icmp.type==0'
check "httpd: ICMPv6 answered" some_frames 'icmpv6.type==129'

server_start echo weft-echo --capture "$WORK/packets.pcapng"
check "nc there and back" upload
server_stop
check_capture echo
finish
