/* What script.h and script_open.h share: a segment in a text, and how a world begins. */
#ifndef WEFT_TESTS_TCP_SCRIPT_TYPES_H
#define WEFT_TESTS_TCP_SCRIPT_TYPES_H

#include "net/tcp/tcp.h"

/* A segment as a script sees it: absolute numbers, and which of them a text named. */
struct text {
	weft_time_us at;
	uint32_t seq, ack, len, wnd, up;
	uint8_t flags;
	bool ae; /* the letter A */
	bool has_ack, has_wnd, has_up, ts_val_any, ts_ecr_any, retransmit;
	bool no_ts, no_sack, no_mss, no_wscale, no_sack_ok;
	bool is_ect; /* out: as ECN-capable */
	uint8_t ecn; /* in: IP_ECN_* */
	struct tcp_opts opt;
};

/* How a world starts; 0 means the default of script_open.h. */
struct setup {
	uint32_t iss, irs;
	bool passive, ts, sack, wscale, is_v6;
	bool no_mss; /* the peer's SYN has no MSS option */
	uint16_t mss_peer, mss_local, wnd;
	uint32_t rcv_buf, snd_buf, rcv_buf_max;
	uint8_t wscale_peer;
};

#endif
