#!/usr/bin/env bash
# clang-tidy over the library; usage: clang_tidy.sh RUN_CLANG_TIDY SOURCE_DIR BUILD_DIR
set -euo pipefail
cd "$2"
out=$("$1" -quiet -j "$(nproc)" -p "$3" "^$2/(net|tun|api|dns)/.*\.c$" 2>/dev/null) || true
found=$(grep -E '(warning|error):' <<<"$out" | sort -u || true)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	exit 1
fi
echo "clang-tidy: nothing found"
