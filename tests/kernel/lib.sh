# shellcheck shell=bash
# lib.sh - what the tests against the Linux kernel share: the network namespace, starting and
# stopping weft's programs in it, checks and their report.
#
# Every script sources this file, calls 'begin', makes its checks and ends with 'finish'.  The weft
# program and its kernel-side client run in one private namespace, joined by the TUN interface wt0:
#
#	client ---- kernel TCP ---- wt0 10.77.0.1, fd77::1 ==== weft 10.77.0.2, fd77::2
#
# WEFT_TEST_KERNEL=1 runs the programs with --kernel on kernel addresses instead: a test of the
# tests.  WEFT_TEST_KEEP=1 keeps the folder with all output.  WEFT_SEED seeds data and faults.

set -euo pipefail
export LC_ALL=C

readonly TUN=wt0
readonly HOST4=10.77.0.2
readonly HOST6=fd77::2
readonly IS_REFERENCE=${WEFT_TEST_KERNEL:-0}
readonly SEED=${WEFT_SEED:-1}
STACK_OPTIONS=(--tun "$TUN" --addr "$HOST4/24" --peer 10.77.0.1 --addr6 "$HOST6/64"
	--peer6 fd77::1 --stats)
NS=weft-$$
BIN=
WORK=
SUITE=
HAS_NS=0
FAR_NS=() # further namespaces of a test
PIDS=()
CHECKS=0
FAILURES=0
SERVER_PID=
SERVER_NAME=
SERVER_ERR=

skip() {
	echo "skipped: $*"
	exit 77
}

need() {
	local tool

	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "no $tool"
	done
}

# Ends what this script started, and only that; then removes the namespace.
cleanup() {
	local rc=$?
	local pid far

	trap - EXIT
	set +e
	exec 2>/dev/null
	for pid in ${PIDS[@]+"${PIDS[@]}"}; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	if ((HAS_NS)); then
		ip netns del "$NS" 2>/dev/null || true
	fi
	for far in ${FAR_NS[@]+"${FAR_NS[@]}"}; do
		ip netns del "$far" 2>/dev/null || true
	done
	if [[ -n $WORK && ${WEFT_TEST_KEEP:-0} != 1 ]]; then
		rm -rf "$WORK"
	elif [[ -n $WORK ]]; then
		echo "# output kept in $WORK"
	fi
	exit "$rc"
}

# begin SUITE BIN_DIR: skips without root or TUN; makes the namespace and a folder for output.
begin() {
	SUITE=$1
	BIN=${2:?usage: $SUITE.sh BIN_DIR [options]}
	[[ $(id -u) == 0 ]] || skip "not root"
	[[ -c /dev/net/tun || $IS_REFERENCE == 1 ]] || skip "no /dev/net/tun"
	need ip ss python3
	[[ -x $BIN/weft-echo ]] || skip "no weft-echo in $BIN"
	BIN=$(cd "$BIN" && pwd)
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	WORK=$(mktemp -d "/tmp/weft-$SUITE.XXXXXX")
	chmod 755 "$WORK"
	ip netns add "$NS"
	HAS_NS=1
	in_ns ip link set lo up
	if [[ $IS_REFERENCE == 1 ]]; then
		STACK_OPTIONS+=(--kernel)
		in_ns ip link add "$TUN" type veth peer name "$TUN-peer"
		in_ns ip link set "$TUN" up
		in_ns ip addr add "$HOST4/24" dev "$TUN"
		in_ns ip addr add "$HOST6/64" dev "$TUN" nodad
	fi
	ulimit -n 20000 2>/dev/null || true
	echo "# $SUITE: namespace $NS, seed $SEED"
}

finish() {
	echo "# $SUITE: $CHECKS checks, $FAILURES failed"
	((FAILURES == 0)) || exit 1
	exit 0
}

in_ns() {
	ip netns exec "$NS" "$@"
}

# The same for a program in the background: '$!' is then its own number, and not a shell's around it.
become_in_ns() {
	exec ip netns exec "$NS" "$@"
}

ok() {
	CHECKS=$((CHECKS + 1))
	echo "ok $1"
}

not_ok() {
	CHECKS=$((CHECKS + 1))
	FAILURES=$((FAILURES + 1))
	echo "not ok $1: $2"
}

# check NAME COMMAND...: one check, good when the command succeeds; else its last lines tell why.
check() {
	local name=$1
	local rc=0

	shift
	"$@" >"$WORK/check.log" 2>&1 || rc=$?
	if ((rc == 0)); then
		ok "$name"
	else
		not_ok "$name" "exit code $rc: $(tail -n 3 "$WORK/check.log" | tr '\n' ' ')"
	fi
}

# wait_for SECONDS COMMAND...: polls until the command succeeds; 1 when the time is over.
wait_for() {
	local until=$(($(date +%s%N) + $1 * 1000000000))

	shift
	until "$@" >/dev/null 2>&1; do
		(($(date +%s%N) < until)) || return 1
		sleep 0.05
	done
}

# host FAMILY, url FAMILY PATH: FAMILY is v4 or v6.
host() {
	if [[ $1 == v4 ]]; then echo "$HOST4"; else echo "[$HOST6]"; fi
}

url() {
	echo "http://$(host "$1")$2"
}

# make_data FILE BYTES: pseudo-random bytes that depend on the seed and the size only.
make_data() {
	python3 -c 'import random, sys
sys.stdout.buffer.write(random.Random(sys.argv[1]).randbytes(int(sys.argv[2])))' \
		"$SEED $2" "$2" >"$1"
}

hash_of() {
	sha256sum <"$1" | cut -d' ' -f1
}

same_hash() {
	[[ $(hash_of "$1") == "$(hash_of "$2")" ]] && return 0
	echo "$1 and $2 differ (sizes $(stat -c %s "$1") and $(stat -c %s "$2"))"
	return 1
}

fetch() {
	in_ns curl -gsS --noproxy '*' --max-time 120 "$@"
}

# fetch_parallel FAMILY: /medium.bin of $WORK/root 50 times at once.
fetch_parallel() {
	local i
	local wanted=()

	for i in {1..50}; do
		wanted+=(-o "$WORK/part$i" "$(url "$1" /medium.bin)")
	done
	fetch -f -Z --parallel-immediate --parallel-max 50 "${wanted[@]}" || return 1
	for i in {1..50}; do
		same_hash "$WORK/part$i" "$WORK/root/medium.bin" || return 1
	done
}

is_ended() {
	! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]
}

# kill_hard PID: ends a child at once, without the shell's message about it.
kill_hard() {
	{
		kill -KILL "$1"
		wait "$1" || true
	} 2>/dev/null
}

# track PID: 'cleanup' ends it.
track() {
	PIDS+=("$1")
}

# ended_within SECONDS PID: the exit code of a child goes to ENDED_RC; 1 when it still runs.
ENDED_RC=
ended_within() {
	wait_for "$1" is_ended "$2" || return 1
	ENDED_RC=0
	wait "$2" 2>/dev/null || ENDED_RC=$?
}

# A child that was told to end does so, and without a mistake.
ended_well() {
	ended_within 10 "$1" && [[ $ENDED_RC == 0 ]] && return 0
	echo "exit code ${ENDED_RC:-none, it still runs}"
	return 1
}

is_listening() {
	grep -q '^listening on' "$WORK/$1.out" || is_ended "$2"
}

# set_queues N: several queues for all stacks (nothing for 1, the default).
set_queues() {
	(($1 == 1)) || STACK_OPTIONS+=(--queues "$1")
}

# server_start NAME PROGRAM OPTIONS...: starts a weft server and waits until it listens.
server_start() {
	SERVER_NAME=$1
	SERVER_ERR=$WORK/$1.err
	ip netns exec "$NS" "$BIN/$2" "${STACK_OPTIONS[@]}" "${@:3}" \
		>"$WORK/$1.out" 2>"$SERVER_ERR" &
	SERVER_PID=$!
	track "$SERVER_PID"
	if wait_for 15 is_listening "$1" "$SERVER_PID" && grep -q '^listening on' "$WORK/$1.out"; then
		return 0
	fi
	not_ok "$SERVER_NAME starts" "$(tail -n 2 "$SERVER_ERR" | tr '\n' ' ')"
	finish
}

# No connection of the kernel's that is still open in one direction: weft has closed them too.
is_drained() {
	[[ -z $(in_ns ss -Htan state connected exclude time-wait) ]]
}

packets_of_tun() {
	in_ns cat "/sys/class/net/$TUN/statistics/rx_packets" "/sys/class/net/$TUN/statistics/tx_packets"
}

# wait_quiet SECONDS LIMIT: waits until no packet has passed for so long (lost FINs are repeated).
wait_quiet() {
	local until=$((SECONDS + $2))
	local before

	while ((SECONDS < until)); do
		before=$(packets_of_tun)
		sleep "$1"
		[[ $before != "$(packets_of_tun)" ]] || return 0
	done
}

# The statistics at the end must show that nothing is left but TIME-WAIT records.
has_no_leaks() {
	[[ $IS_REFERENCE == 1 ]] && return 0
	local text='^stack: 0 sockets, 0 connections, 0 half-open, [0-9]+ in TIME-WAIT, 0 buffer bytes'

	grep -Eq "$text" "$SERVER_ERR" && return 0
	grep '^stack:' "$SERVER_ERR" || echo "no statistics"
	return 1
}

# The value of a counter or a drop reason in the last server's statistics; 0 if there is none.
stat_of() {
	awk -v name="$1" '$1 == name { value = $2 } END { print value + 0 }' "$SERVER_ERR"
}

# Packets that the kernel could not hand to the stack in time: its queue of the interface was full.
report_tun_drops() {
	local count

	count=$(in_ns cat "/sys/class/net/$TUN/statistics/tx_dropped" 2>/dev/null || echo 0)
	((count == 0)) || echo "# $SERVER_NAME: $count packets lost in the queue of $TUN"
}

# server_stop [SIGNAL]: an orderly stop, checked: exit code 0 in time, and nothing left over.
server_stop() {
	wait_for 20 is_drained || echo "# $SERVER_NAME: connections of the kernel's still open"
	report_tun_drops
	kill -"${1:-INT}" "$SERVER_PID"
	if ! ended_within 20 "$SERVER_PID"; then
		not_ok "$SERVER_NAME stops" "still running after 20 s"
		kill_hard "$SERVER_PID"
		return 0
	fi
	if ((ENDED_RC == 0)); then
		ok "$SERVER_NAME stops"
	else
		not_ok "$SERVER_NAME stops" "exit code $ENDED_RC: $(tail -n 1 "$SERVER_ERR")"
	fi
	check "$SERVER_NAME leaves nothing" has_no_leaks
}

# set_offload on|off: adds the option to those of all servers.
set_offload() {
	case $1 in
	on) ;;
	off) STACK_OPTIONS+=(--no-offload) ;;
	*)
		echo "offload: on or off, not '$1'" >&2
		exit 2
		;;
	esac
}
