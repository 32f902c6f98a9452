/*
 * A path with a round trip for scripts of loss recovery: SACK on, a window that does not limit, 'n'
 * full segments in flight that left together.  Header-only; used by tests/unit/tcp.
 */
#ifndef WEFT_TESTS_TCP_PATH_H
#define WEFT_TESTS_TCP_PATH_H

#include "script_open.h"

enum { MSS = 1460, RTT = 40 * US_PER_MS };

static const struct setup sack_setup = {.iss = 0xffffe000u, .irs = 5000000, .sack = true};
static const struct setup sack_ts_setup = {
	.iss = 0xffffe000u, .irs = 5000000, .sack = true, .ts = true};

/* An established connection whose handshake took RTT. */
static inline void open_path(const struct setup *setup)
{
	char options[100];

	syn_sent(setup);
	w.setup = *setup;
	advance(RTT);
	inject("S. 0:0 ack 1 win %u%s", w.peer_wnd, syn_options(options));
	drop_seen();
	CHECK_STATE(TCPS_ESTABLISHED);
}

/* Where the 'i'th full segment begins, relative to the initial sequence number. */
static inline unsigned at(unsigned i)
{
	return 1 + i * (unsigned)w.tcb.mss;
}

/* 'n' segments in flight and nothing behind them; RTT has passed. */
static inline void in_flight(const struct setup *setup, unsigned n)
{
	open_path(setup);
	if (w.tcb.cc.cwnd < n * w.tcb.mss)
		w.tcb.cc.cwnd = n * w.tcb.mss;
	send_bytes(n * w.tcb.mss);
	CHECK_EQ(seen_count(), n);
	drop_seen();
	advance(RTT);
}

/* The peer has what is next up to segment 'next', and segments [from, to). */
static inline void sack(unsigned next, unsigned from, unsigned to)
{
	inject(". 1:1 ack %u sack %u:%u", at(next), at(from), at(to));
}

static inline void ack(unsigned next)
{
	inject(". 1:1 ack %u", at(next));
}

/* Segment 'i' is sent (again). */
#define expect_segment(i)                                                                          \
	do {                                                                                       \
		const struct text *t_ = take_seen();                                               \
		CHECK(t_ && t_->seq - w.iss == at(i) && t_->len == w.tcb.mss);                     \
	} while (0)

static inline uint64_t count_of(enum counter which)
{
	return counter_read(&w.counters, which);
}

/* 'n' segments in flight on a connection with ECN, cwnd full, and more queued. */
static inline void marked_flight(const struct setup *setup, unsigned n)
{
	char options[100];

	ask_for_ecn(setup, TCP_ECN_ON);
	advance(RTT);
	inject("S.E 0:0 ack 1 win %u%s", w.peer_wnd, syn_options(options));
	drop_seen();
	CHECK(w.tcb.ecn_on);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0); /* ECE in a SYN-ACK is another thing */
	w.tcb.cc.cwnd = n * w.tcb.mss;
	send_bytes(3 * n * w.tcb.mss);
	CHECK_EQ(seen_count(), n);
	drop_seen();
	advance(RTT);
}

#endif
