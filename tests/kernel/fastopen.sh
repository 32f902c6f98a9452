#!/usr/bin/env bash
# fastopen.sh BIN_DIR PROGRAM - fast open between weft and the kernel: a cookie first, then data on the
# SYN, in both directions; the counters of both sides are compared (fastopen.c).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin fastopen "${1:-}"
readonly PROGRAM=${2:?usage: fastopen.sh BIN_DIR PROGRAM}
[[ $IS_REFERENCE != 1 ]] || skip "the program has both sides in it"
in_ns sysctl -qw net.ipv4.tcp_fastopen=3 net.ipv4.tcp_fastopen_blackhole_timeout_sec=0 ||
	skip "no net.ipv4.tcp_fastopen"

check "cookies and data both ways" in_ns timeout 90 "$PROGRAM" "$TUN"
finish
