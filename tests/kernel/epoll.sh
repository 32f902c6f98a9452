#!/usr/bin/env bash
# epoll.sh BIN_DIR - the server on epoll: 2,000 connections of wrk without one error, edge-triggered and
# level-triggered, and requests that come in pieces, in rows and malformed.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
begin epoll "${1:-}"
need wrk

run_wrk() {
	in_ns timeout 60 wrk -t 2 -c 2000 -d 1s --timeout 10s "$(url v4 /)" >"$WORK/wrk.log" || return
	cat "$WORK/wrk.log"
	grep -Eq '^ *[1-9][0-9]* requests in' "$WORK/wrk.log" || return 1
	if grep -E 'Socket errors|Non-2xx' "$WORK/wrk.log"; then
		return 1
	fi
}

in_ns sysctl -qw net.ipv4.ip_local_port_range="1024 65535" net.core.somaxconn=16384
for mode in edge level; do
	options=()
	[[ $mode == edge ]] || options=(--level --shared)
	server_start "epoll-$mode" epoll-httpd --workers 2 ${options[@]+"${options[@]}"}
	check "$mode: wrk 2,000 connections" run_wrk
	check "$mode: requests" in_ns timeout 30 python3 "$(dirname "$0")/epoll.py" "$HOST4"
	server_stop
done
finish
