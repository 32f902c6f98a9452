#!/usr/bin/env bash
# args_test.sh BUILD - programs that are called wrongly say so in one line on stderr, nothing on stdout,
# and end with 2: a typing mistake is neither a run nor a passed test.
set -u
build=${1:?usage: args_test.sh BUILD}
err=$(mktemp)
trap 'rm -f "$err"' EXIT
failures=0

# refuses TEXT PROGRAM ARGUMENTS...: one line with the text.
refuses() {
	local text=$1 program=$build/$2 out rc=0

	shift 2
	out=$(timeout 20 "$program" "$@" 2>"$err") || rc=$?
	if ((rc != 2)) || [[ -n $out ]] || (($(wc -l <"$err") != 1)) || ! grep -q -- "$text" "$err"; then
		failures=$((failures + 1))
		echo "not ok: $program $*: exit code $rc, output '${out:0:60}', errors:"
		cat "$err"
	fi
}

for program in tests/tcp_sim tests/tcp_lossy; do
	refuses 'nonsense' $program --nonsense
	refuses '--first needs a number' $program --first
	refuses '--first needs a number' $program --first 1x
	refuses '--first needs a number' $program --first -1
	WEFT_SEED=x refuses 'WEFT_SEED needs a number' $program
done
refuses '--seeds needs a number of 1 to' tests/tcp_sim --seeds 0
refuses '--seeds needs a number of 1 to' tests/tcp_sim --seeds 4294967296
refuses '--loss needs a number' tests/tcp_sim --loss 1000001
refuses 'nonsense' tests/tcp_lossy --controller nonsense
refuses '--bytes needs a number' tests/tcp_lossy --bytes 0
refuses '--bytes needs a number' tests/tcp_lossy --bytes ''
refuses '--seconds needs a number' tests/tcp_goodput --seconds 0
refuses 'nonsense' tests/tcp_goodput --nonsense
refuses '--faults needs a number' tests/tcp_explore --faults 9
refuses 'usage' tests/tcp_explore --scenario nonsense
refuses '--departures needs a number' tests/explore --departures x
refuses 'nonsense' tests/explore --nonsense
refuses 'nonsense' bin/drill --nonsense
refuses 'FILE' bin/drill
refuses '--jobs needs a number' bin/drill --jobs 0 x.pkt
refuses '--seed needs a number' bin/drill --seed
refuses 'nonsense' bin/stress --nonsense
refuses 'nonsense' bin/stress --mode nonsense
refuses 'nonsense' bin/stress nonsense
refuses '--queues needs a number of 1 to' bin/stress --queues 17
refuses '--seed needs a number' bin/stress --seed 18446744073709551616
for program in weft-echo weft-get weft-httpd weft-perf weft-ping epoll-echo chat relay tunloop tunserve idle blocked; do
	refuses 'nonsense' "bin/$program" --nonsense
done
refuses 'usage' bin/udp_echo --help
refuses 'x7' bin/idle --peer pair --conns x7
refuses '--peer' bin/idle
refuses 'x7' bin/blocked --threads x7
refuses 'nonsense' bin/micro --nonsense
refuses 'addr' bin/weft-echo
refuses 'host' bin/weft-ping --addr 10.0.0.2/24
refuses 'URL' bin/weft-get --addr 10.0.0.2/24
refuses 'usage' tests/diff nonsense
echo "$failures failed"
exit $((failures > 0))
