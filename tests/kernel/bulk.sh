#!/usr/bin/env bash
# bulk.sh BIN_DIR on|off [QUEUES] - weft-perf sends 256 MB each way and both ends hash the stream, with and
# without offload: the stack as server and as client, against kernel sockets; IPv4 and IPv6.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin "bulk-${2:-on}" "${1:-}"
set_offload "${2:-on}"
set_queues "${3:-1}"

is_kernel_listening() {
	[[ -n $(in_ns ss -Htln sport = :6000) ]]
}

# client MODE HOST STREAMS OPTIONS...: one test; every stream sends its share of the bytes.
client() {
	in_ns timeout 120 "$BIN/weft-perf" "${@:4}" --client "$2" --mode "$1" --verify \
		--streams "$3" --bytes $((268435456 / $3)) >"$WORK/perf.log" || return
	grep -q verified "$WORK/perf.log" || { cat "$WORK/perf.log"; return 1; }
	RATE=$(grep throughput "$WORK/perf.log")
}

report() {
	RATE=
	check "$@"
	echo "# $RATE"
}

server_start perf weft-perf --server
for family in v4 v6; do
	for mode in bulk reverse; do
		report "$family kernel client, $mode" client $mode "$(host $family)" 1 --kernel
		report "$family kernel client, $mode, 4 streams" \
			client $mode "$(host $family)" 4 --kernel
	done
done
report "v4 kernel client, reverse, MSG_ZEROCOPY" client reverse "$(host v4)" 2 --kernel --zerocopy --size 1M
server_stop

if [[ $IS_REFERENCE != 1 ]]; then
	ip netns exec "$NS" "$BIN/weft-perf" --server --kernel --port 6000 >"$WORK/kernel.out" &
	track $!
	wait_for 10 is_kernel_listening
	for mode in bulk reverse; do
		report "v4 weft client, $mode" client $mode 10.77.0.1 1 \
			"${STACK_OPTIONS[@]}" --port 6000
		report "v6 weft client, $mode, 4 streams" client $mode '[fd77::1]' 4 \
			"${STACK_OPTIONS[@]}" --port 6000
	done
	report "v6 weft client, bulk, MSG_ZEROCOPY" client bulk '[fd77::1]' 2 \
		"${STACK_OPTIONS[@]}" --port 6000 --zerocopy --size 1M
fi
finish
