#!/usr/bin/env bash
# faults.sh BIN_DIR PERCENT - transfers through the fault device that loses, reorders and doubles
# packets in both directions: hashes must be equal, and no connection may end.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin "faults-${2:-1}" "${1:-}"
need curl
[[ $IS_REFERENCE != 1 ]] || skip "the kernel has no fault device here"
readonly PPM=$((${2:-1} * 10000))
STACK_OPTIONS+=(--loss "$PPM" --reorder 20000 --dup 5000 --fault-seed "$SEED")

readonly LIMIT_S=600
declare -A CLIENTS

# launch NAME COMMAND...: a client in the background.  All run at once, for they mostly wait.
launch() {
	ip netns exec "$NS" timeout "$LIMIT_S" "${@:2}" >"$WORK/$1.log" 2>&1 &
	CLIENTS[$1]=$!
	track $!
}

# arrived NAME TEXT: the client has ended well and said so.
arrived() {
	ended_within "$LIMIT_S" "${CLIENTS[$1]}" || { echo "still running"; return 1; }
	cat "$WORK/$1.log"
	((ENDED_RC == 0)) && grep -q "$2" "$WORK/$1.log"
}

# fetched NAME: the same, and the file is equal.
fetched() {
	arrived "$1" 200 && same_hash "$WORK/$1.got" "$WORK/root/file.bin"
}

mkdir "$WORK/root"
make_data "$WORK/root/file.bin" 4200000
server_start perf weft-perf --server
for family in v4 v6; do
	for mode in bulk reverse; do
		launch $family-$mode "$BIN/weft-perf" --kernel --client "$(host $family)" \
			--mode $mode --verify --bytes 4M
	done
done
for family in v4 v6; do
	for mode in bulk reverse; do
		check "$family $mode 4 MiB" arrived $family-$mode verified
		awk '/bytes in/ { print "# " $(NF - 1), "s" }' "$WORK/$family-$mode.log"
	done
done
wait_quiet 3 60
server_stop
check "something was lost" test "$(stat_of TCP_RETRANS)" -gt 0
server_start httpd weft-httpd --root "$WORK/root"
for family in v4 v6; do
	launch $family-curl curl -gsSf --noproxy '*' -w '%{http_code} %{time_total} s\n' \
		-o "$WORK/$family-curl.got" "$(url $family /file.bin)"
done
for family in v4 v6; do
	check "$family curl 4.2 MB" fetched $family-curl
	sed 's/^/# /' "$WORK/$family-curl.log"
done
wait_quiet 3 60
server_stop
finish
