/*
 * BBR put into a state by hand: one ACK or one loss comes, and what the draft says about it is looked at.
 * Header-only; used by cc_bbr_rules_test.c and cc_bbr_steps_test.c.
 */
#ifndef WEFT_TESTS_TCP_BBR_STATE_H
#define WEFT_TESTS_TCP_BBR_STATE_H

#include "net/tcp/cc_bbr.h"
#include "unit.h"
#include <string.h>

#define CHECK(cond) CU_ASSERT(cond)

/* 100 Mbit/s, 20 ms: a BDP of 250,000 bytes. */
enum { MSS = 1000, RTT = 20000, RATE = 12500000, BDP = 250000, ACKED = 2 * MSS };

static struct tcp_cc cc;
static struct bbr b;
static struct tcp_cc_ack ack; /* what the next one says; see steady */

/* In 'state' for a second, at the rate and the round trip of the path, with a BDP in flight. */
static inline void steady(enum bbr_state state)
{
	memset(&cc, 0, sizeof(cc));
	cc.more = &b;
	tcp_cc_start(&cc, &tcp_cc_bbr, MSS, false, 100 * US_PER_S);
	cc.cwnd = 2 * BDP;
	b.state = (uint8_t)state;
	b.full_bw_reached = state != BBR_STARTUP;
	b.full_bw = RATE;
	b.bw = RATE;
	b.max_bw_filter[1] = RATE;
	b.min_rtt = b.probe_rtt_min_delay = RTT;
	b.has_seen_rtt = true;
	b.pacing_rate = RATE;
	b.delivered = b.next_round_delivered = b.loss_round_delivered = 1 << 20;
	b.delivered_total = 1 << 20;
	b.cycle_stamp = b.probe_rtt_min_stamp = b.min_rtt_stamp = 101 * US_PER_S;
	b.extra_acked_interval_start = 101 * US_PER_S;
	b.bw_probe_wait = 2 * US_PER_S;
	ack = (struct tcp_cc_ack){
		.now = 101 * US_PER_S,
		.acked = ACKED,
		.cum_acked = ACKED,
		.delivered = b.delivered,
		.sent_flight = BDP,
		.flight = BDP - ACKED,
		.tx_flight = BDP,
		.rtt = RTT,
		.srtt = RTT,
		.min_rtt = RTT,
		.rate_bytes = BDP,
		.rate_us = RTT,
		.cwnd_limited = true,
	};
}

/* An ACK; 'round': of a segment that left after the round began. */
static inline void give(bool round)
{
	ack.delivered += ack.acked;
	ack.prior_delivered = round ? b.next_round_delivered : b.next_round_delivered - MSS;
	cc.ops->on_ack(&cc, &ack);
}

static inline void give_lost(uint32_t tx_flight, uint32_t bytes)
{
	const struct tcp_cc_lost lost = {
		.bytes = bytes, .tx_flight = tx_flight, .lost_since = bytes};

	cc.ops->on_lost(&cc, &lost, ack.now);
}

#endif
