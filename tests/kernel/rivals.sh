#!/usr/bin/env bash
# rivals.sh BIN_DIR - the benchmark suite's rivals work: tunloop moves bytes both ways, tunserve and
# lwip-perf serve weft-perf, relay carries a transfer between two kernels over a link that loses packets.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin rivals "${1:-}"
[[ $IS_REFERENCE != 1 ]] || skip "nothing here runs on weft's sockets"

readonly NS_FAR=weft-far-$$
readonly FAR4=10.79.0.2

# The second namespace goes before lib.sh's own things do.
remove_far() {
	local rc=$?

	set +e
	exec 2>/dev/null
	ip netns pids "$NS_FAR" | xargs -r kill -KILL
	ip netns del "$NS_FAR"
	(exit "$rc") # what cleanup ends with
	cleanup
}

# value NAME: a number of the last JSON line.
value() {
	grep -o "\"$1\":[0-9.]*" "$WORK/result" | cut -d: -f2
}

# loop OPTIONS...: a second of tunloop; something must have passed.
loop() {
	in_ns timeout 60 "$BIN/tunloop" --tun tl0 --addr 10.78.0.2/24 --peer 10.78.0.1 --seconds 1 \
		"$@" >"$WORK/result" || return
	cat "$WORK/result"
	(($(value bits_per_second) > 0))
}

# stray_loop OPTIONS...: the same while segments of another connection come, which must not be taken
# for the peer's; they begin before the handshake.
stray_loop() {
	local pid rc=0

	become_in_ns python3 "$(dirname "$0")/stray.py" 10.78.0.1 10.78.0.2 5001 30 &
	pid=$!
	track $pid
	loop "$@" || rc=1
	kill -TERM $pid
	wait $pid || true
	return $rc
}

# io_uring may be forbidden, by the machine or around a container.
has_uring() {
	! loop --mode sink --offload 0 --io uring 2>&1 | grep -Eq 'io_uring|uring: '
}

run_tunloop() {
	local mode offload io

	for mode in sink source echo; do
		for offload in 0 1; do
			check "tunloop $mode, offload $offload" loop --mode $mode --offload $offload
		done
		check "tunloop $mode, MTU 65520" loop --mode $mode --mtu 65520
		for io in uring napi; do
			if [[ $io == uring ]] && ! has_uring; then
				echo "# no io_uring"
				continue
			fi
			check "tunloop $mode, $io" loop --mode $mode --offload 0 --io $io
		done
	done
	for mode in sink source echo; do
		check "tunloop $mode, strays" stray_loop --mode $mode
	done
	check "tunloop, 2 queues" loop --mode sink --queues 2
	check "tunloop, 4 streams sent" loop --mode source --streams 4
	check "tunloop, 4 streams received into 64 buffers" loop --mode sink --streams 4 --buffers 64
	check "tunloop, small frames into 64 buffers" loop --mode sink --offload 0 --buffers 64
	check "tunloop refuses nonsense" test "$("$BIN/tunloop" --mode what 2>&1 | wc -l)" = 1
}

# client HOST MODE OPTIONS...: weft-perf on kernel sockets, verified.
client() {
	in_ns timeout 120 "$BIN/weft-perf" --kernel --client "$1" --mode "$2" --verify "${@:3}" \
		>"$WORK/perf.log" || return
	cat "$WORK/perf.log"
	grep -q verified "$WORK/perf.log"
}

is_serving() {
	grep -q '^listening' "$WORK/serve.out"
}

run_tunserve() {
	local option pid

	for option in --threads --mtu=1500; do
		become_in_ns "$BIN/tunserve" --tun ts0 --addr 10.76.0.2/24 --peer 10.76.0.1 "$option" \
			>"$WORK/serve.out" 2>&1 &
		pid=$!
		track $pid
		check "tunserve $option starts" wait_for 15 is_serving
		check "tunserve $option, crr" client 10.76.0.2 crr --seconds 0.3 --streams 4
		check "tunserve $option, rr" client 10.76.0.2 rr --seconds 0.3
		kill -TERM $pid
		wait $pid || true
	done
}

run_lwip() {
	local mode

	if [[ ! -x $BIN/lwip-perf ]]; then
		echo "# lwip-perf is not built here"
		return
	fi
	STACK_OPTIONS=(--tun "$TUN" --addr "$HOST4/24" --peer 10.77.0.1)
	server_start lwip lwip-perf --server
	# First: what the server closes stays in TIME-WAIT at lwIP for two minutes, and there no SYN
	# opens it again.  A client that comes with such a port, and thousands of connections do, waits.
	check "lwip-perf crr" client "$HOST4" crr --seconds 1
	for mode in bulk reverse; do
		check "lwip-perf $mode" client "$HOST4" $mode --bytes 16M
		check "lwip-perf $mode, 4 streams" client "$HOST4" $mode --bytes 4M --streams 4
	done
	check "lwip-perf rr" client "$HOST4" rr --seconds 1
	check "lwip-perf rr, 16 streams of 1 KiB" client "$HOST4" rr --seconds 1 --streams 16 --size 1K
	kill -TERM "$SERVER_PID"
	check "lwip-perf stops" ended_within 20 "$SERVER_PID"
}

is_ready() {
	grep -q '^ready' "$WORK/relay.out"
}

is_far_listening() {
	[[ -n $(ip netns exec "$NS_FAR" ss -Htln sport = :5210) ]]
}

run_relay() {
	local pid

	ip netns add "$NS_FAR"
	"$BIN/relay" --ns-a "$NS" --ns-b "$NS_FAR" --addr-a 10.79.0.1 --addr-b "$FAR4" \
		--loss-ppm 10000 --delay-us 1000 --seed "$SEED" >"$WORK/relay.out" 2>"$WORK/relay.err" &
	pid=$!
	track $pid
	check "relay starts" wait_for 15 is_ready
	ip netns exec "$NS_FAR" "$BIN/weft-perf" --server --kernel >"$WORK/far.out" 2>&1 &
	track $!
	wait_for 10 is_far_listening
	check "relay, bulk 4 MiB with 1 % loss" client "$FAR4" bulk --bytes 4M
	check "relay, reverse 4 MiB with 1 % loss" client "$FAR4" reverse --bytes 4M
	kill -TERM $pid
	check "relay stops" ended_within 20 $pid
	tail -n 1 "$WORK/relay.out" >"$WORK/result"
	sed 's/^/# /' "$WORK/result"
	check "relay has lost packets" grep -q '"a_to_b":.*"lost":[1-9].*"b_to_a":.*"lost":[1-9]' \
		"$WORK/result"
}

trap remove_far EXIT
run_tunloop
run_tunserve
run_lwip
run_relay
finish
