#!/usr/bin/env bash
# All interleavings of a model: check.sh MODEL.pml [-DFLAG...]; with --broken the search must find a fault.
set -euo pipefail
wants_fault=0
if [ "$1" = --broken ]; then
	wants_fault=1
	shift
fi
model=$1
shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
spin "$@" -a "$model" >log || { cat log >&2; exit 2; }
# Ends that are none are faults, too: -DSAFETY looks at assertions and at deadlocks.
gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c
./pan -m1000000 >log 2>&1 || { cat log >&2; exit 2; }
grep -E 'errors:|states, stored' log
if ! grep -q '^State-vector' log || grep -q 'max search depth too small\|Search not completed' log &&
	[ "$wants_fault" -eq 0 ]; then
	cat log >&2
	exit 1
fi
errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' log)
if [ "$wants_fault" -eq 1 ]; then
	[ "$errors" -gt 0 ] || { echo "no fault found" >&2; exit 1; }
elif [ "$errors" -ne 0 ]; then
	spin "$@" -t -p -k "$tmp/$(basename "$model").trail" "$model" | tail -60 >&2
	exit 1
fi
