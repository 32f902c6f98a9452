#!/usr/bin/env bash
# udp_gso.sh BIN_DIR PROGRAM - UDP segmentation offload between weft and the kernel, with and without the
# device's help: kernel senders with UDP_SEGMENT, kernel receivers with UDP_GRO (udp_gso.c).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin udp_gso "${1:-}"
readonly PROGRAM=${2:?usage: udp_gso.sh BIN_DIR PROGRAM}
[[ $IS_REFERENCE != 1 ]] || skip "the program has both sides in it"

check "with offload" in_ns timeout 60 "$PROGRAM" "$TUN" on
check "without offload" in_ns timeout 60 "$PROGRAM" "$TUN" off
finish
