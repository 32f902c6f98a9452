#!/usr/bin/env bash
# quick.sh BIN_DIR - weft beside the kernel, in a minute and a half: bulk both ways and the round
# trip of one byte, each 2 s, weft and rival by turns, medians of 3.  './dev bench --quick' runs it.
#
#	weft    one namespace:   weft-perf on kernel sockets <-> TUN <-> weft-perf on the stack
#	rival   two namespaces:  weft-perf on kernel sockets <-> veth <-> weft-perf on kernel sockets
#
# The same client program on kernel sockets and the same pinning for both: client on the first CPU,
# server on the others.  Kernel sockets have cubic.  WEFT_ROUNDS and WEFT_SECONDS
# change the size.  First as the scheduler places the threads, then pinned; WEFT_PIN=no or yes
# does one of them.
set -euo pipefail
export LC_ALL=C

# Both placements, unless one is asked for.
if [ -z "${WEFT_PIN:-}" ]; then
	WEFT_PIN=no "$0" "$@"
	echo
	WEFT_PIN=yes exec "$0" "$@"
fi

readonly ROUNDS=${WEFT_ROUNDS:-3}
readonly TIME_S=${WEFT_SECONDS:-2}
readonly NS=weft-bench-$$
readonly NS_A=weft-bench-a-$$
readonly NS_B=weft-bench-b-$$
PIDS=()
WORK=

die() {
	echo "quick.sh: $*" >&2
	exit 1
}

cleanup() {
	local rc=$? item

	trap - EXIT
	set +e # a server that has ended already must not keep the rest from being removed
	exec 2>/dev/null
	for item in ${PIDS[@]+"${PIDS[@]}"}; do
		kill -KILL "$item"
	done
	wait
	for item in "$NS" "$NS_A" "$NS_B"; do
		ip netns del "$item"
	done
	rm -rf "$WORK"
	exit "$rc"
}

[[ $(id -u) == 0 ]] || die "needs root, for namespaces and the TUN device"
[[ -c /dev/net/tun ]] || die "no /dev/net/tun"
BIN=${1:?usage: quick.sh BIN_DIR}
[[ -x $BIN/weft-perf ]] || die "no weft-perf in $BIN"
WORK=$(mktemp -d /tmp/weft-quick.XXXXXX)
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Pinning: nothing to choose on a machine with one CPU.
mapfile -t CPUS < <(awk -F: '$1 ~ /Cpus_allowed_list/ { gsub(/[ \t]/, "", $2); print $2 }' \
	/proc/self/status | tr ',' '\n' |
	awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
CLIENT=(taskset -c "${CPUS[0]}")
SERVER=(taskset -c "$(IFS=,; echo "${CPUS[*]:1}")")
PINNING="client on CPU ${CPUS[0]}, server on ${CPUS[*]:1}"
if [ "${WEFT_PIN:-yes}" = no ]; then
	CLIENT=(env)
	SERVER=(env)
	PINNING="not pinned"
elif ((${#CPUS[@]} < 2)); then
	PINNING="one CPU"
	CLIENT=(taskset -c "${CPUS[0]}")
	SERVER=("${CLIENT[@]}")
fi

ip netns add "$NS"
ip netns add "$NS_A"
ip netns add "$NS_B"
ip -n "$NS" link set lo up
ip link add veth-a netns "$NS_A" type veth peer name veth-b netns "$NS_B"
ip -n "$NS_A" addr add 10.78.0.1/24 dev veth-a
ip -n "$NS_B" addr add 10.78.0.2/24 dev veth-b
ip -n "$NS_A" link set veth-a up
ip -n "$NS_B" link set veth-b up

# start NAMESPACE NAME OPTIONS...: a server; waits until it listens.
start() {
	local tries=100

	ip netns exec "$1" "${SERVER[@]}" "$BIN/weft-perf" --server "${@:3}" \
		>"$WORK/$2.out" 2>"$WORK/$2.err" &
	PIDS+=($!)
	until grep -q '^listening on' "$WORK/$2.out"; do
		kill -0 $! 2>/dev/null || die "$2: $(tail -n 1 "$WORK/$2.err")"
		((tries-- > 0)) || die "$2 does not listen"
		sleep 0.1
	done
}

# value NAME: a number of the last result.
value() {
	grep -o "\"$1\":[0-9.]*" "$WORK/result" | cut -d: -f2
}

# measure SIDE MODE: one run; its result goes to the file of that side and mode.
measure() {
	local side=$1 mode=$2 namespace=$NS address=10.77.0.2 what=bits_per_second

	if [[ $side == rival ]]; then
		namespace=$NS_A
		address=10.78.0.2
	fi
	[[ $mode != rr ]] || what=p50_us
	ip netns exec "$namespace" timeout 30 "${CLIENT[@]}" "$BIN/weft-perf" --kernel \
		--client "$address" --mode "$mode" --seconds "$TIME_S" --json \
		>"$WORK/result" 2>"$WORK/client.err" ||
		die "$side $mode: $(tail -n 1 "$WORK/client.err")"
	value "$what" >>"$WORK/$mode.$side"
	[[ $mode != rr ]] || value rate >>"$WORK/rate.$side"
}

median() {
	sort -g "$1" | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# row LABEL FILE DIVISOR
row() {
	awk -v label="$1" -v weft="$(median "$WORK/$2.weft")" \
		-v rival="$(median "$WORK/$2.rival")" -v unit="$3" 'BEGIN {
		printf "%-34s %10.2f %12.2f %8.2f\n", label, weft / unit, rival / unit, weft / rival }'
}

start "$NS" weft --tun wt0 --addr 10.77.0.2/24 --peer 10.77.0.1 --stats
start "$NS_B" rival --kernel --addr 10.78.0.2/24
for ((round = 1; round <= ROUNDS; round++)); do
	for mode in bulk reverse rr; do
		sides=(weft rival)
		((round % 2)) || sides=(rival weft)
		for side in "${sides[@]}"; do
			measure "$side" "$mode"
		done
	done
done

printf '%-34s %10s %12s %8s\n' "median of $ROUNDS, $TIME_S s each" weft kernel-veth ratio
row "to the server, Gbit/s" bulk 1e9
row "from the server, Gbit/s" reverse 1e9
row "1 byte there and back, p50, us" rr 1
row "1 byte there and back, /s" rate 1
echo "machine: $(nproc) CPUs, $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)," \
	"Linux $(uname -r), offload on, cubic, $PINNING"
