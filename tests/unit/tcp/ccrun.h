/*
 * Drives a congestion controller alone: ACKs of one segment each at even distances, a window in each
 * round trip, on virtual time.
 */
#ifndef WEFT_TESTS_TCP_CCRUN_H
#define WEFT_TESTS_TCP_CCRUN_H

#include "net/tcp/cc.h"
#include "unit.h"
#include <string.h>

#define CHECK(cond) CU_ASSERT(cond)

/* |a - b| <= tolerance, with the numbers when not. */
static inline void check_near(double a, double b, double tolerance, const char *what)
{
	bool near = a - b <= tolerance && b - a <= tolerance;

	if (!near)
		printf("\n    %s: %g, expected %g +- %g", what, a, b, tolerance);
	CU_ASSERT(near);
}

#define CHECK_NEAR(a, b, tolerance) check_near((double)(a), (double)(b), (double)(tolerance), #a)

struct ccrun {
	struct tcp_cc cc;
	weft_time_us now;
	uint32_t rtt;     /* us */
	uint32_t una;     /* what was acknowledged */
	uint32_t per_ack; /* bytes in an ACK */
	bool limited;     /* by cwnd */
	struct tcp_cc_ack last;
};

static inline void ccrun_start(struct ccrun *r, const struct tcp_cc_ops *ops, uint32_t mss,
			       uint32_t rtt)
{
	memset(r, 0, sizeof(*r));
	r->now = 1000000;
	r->rtt = rtt;
	r->per_ack = mss;
	r->limited = true;
	tcp_cc_start(&r->cc, ops, mss, false, r->now);
}

static inline void ccrun_ack(struct ccrun *r, uint32_t bytes)
{
	r->una += bytes;
	r->last = (struct tcp_cc_ack){
		.now = r->now,
		.acked = bytes,
		.cum_acked = bytes,
		.sent_flight = r->cc.cwnd,
		.flight = r->cc.cwnd > bytes ? r->cc.cwnd - bytes : 0,
		.rtt = r->rtt,
		.srtt = r->rtt,
		.min_rtt = r->rtt,
		.delivered = r->una,
		.snd_una = r->una,
		.snd_nxt = r->una + r->cc.cwnd,
		.cwnd_limited = r->limited,
	};
	r->cc.ops->on_ack(&r->cc, &r->last);
}

/* A window's worth of ACKs, the last one a round trip from now. */
static inline void ccrun_round(struct ccrun *r)
{
	uint32_t acks = (r->cc.cwnd + r->per_ack - 1) / r->per_ack;
	weft_time_us start = r->now;

	for (uint32_t i = 1; i <= acks; i++) {
		r->now = start + (weft_time_us)r->rtt * i / acks;
		ccrun_ack(r, r->per_ack);
	}
}

static inline void ccrun_rounds(struct ccrun *r, unsigned rounds)
{
	while (rounds-- > 0)
		ccrun_round(r);
}

/* Recovery that took no time: the controller's answer to a loss with a full window in flight. */
static inline void ccrun_loss(struct ccrun *r)
{
	tcp_cc_congestion(&r->cc, r->cc.cwnd, TCP_CC_LOSS, r->now);
	r->cc.cwnd = r->cc.ssthresh;
	tcp_cc_recovered(&r->cc);
}

#endif
