#!/usr/bin/env bash
# link.sh BIN_DIR PROGRAM - the TUN interface is set down and up, and deleted, under a connection (link.c).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin link "${1:-}"
readonly PROGRAM=${2:?usage: link.sh BIN_DIR PROGRAM}
[[ $IS_REFERENCE != 1 ]] || skip "the program has both sides in it"

check "down, up, deleted" in_ns timeout 50 "$PROGRAM" "$TUN"
finish
