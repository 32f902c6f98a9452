#!/usr/bin/env bash
# accecn.sh BIN_DIR PROGRAM - accurate ECN (RFC 9768) between weft and the kernel, where its tcp_ecn may be 3
# (Linux 6.18 has the code, but no such value): both open connections, and a queue of the kernel's marks what it
# sends (accecn.c).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin accecn "${1:-}"
readonly PROGRAM=${2:?usage: accecn.sh BIN_DIR PROGRAM}
[[ $IS_REFERENCE != 1 ]] || skip "the program has both sides in it"
in_ns sysctl -qw net.ipv4.tcp_ecn=3 2>/dev/null || skip "the kernel has no accurate ECN"

check "counters both ways" in_ns timeout 50 "$PROGRAM" "$TUN"
finish
