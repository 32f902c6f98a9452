/*
 * NewReno's window (RFC 5681, byte counting as it recommends), with HyStart++ for the first slow
 * start (RFC 9406), and less of a reduction for marks than for losses (RFC 8511).
 */
#include "net/base/check.h"
#include "net/base/mechanism.h"
#include "net/tcp/hystart.h"
#include <string.h>

static_assert(sizeof(struct hystart) <= sizeof(uint32_t[TCP_CC_PRIV]), "lies in priv");

static struct hystart *hystart_of(struct tcp_cc *cc)
{
	return (struct hystart *)(void *)cc->priv;
}

static void newreno_init(struct tcp_cc *cc, weft_time_us now)
{
	(void)now;
	hystart_init(hystart_of(cc));
}

static void newreno_on_ack(struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	if (ack->in_recovery || ack->ece || !ack->cwnd_limited)
		return;
	if (cc->cwnd < cc->ssthresh) {
		bool first = cc->ssthresh == UINT32_MAX;

		hystart_on_ack(first ? hystart_of(cc) : NULL, cc, ack);
	} else {
		cc->acked += ack->cum_acked;
		if (cc->acked >= cc->cwnd) {
			cc->acked -= cc->cwnd;
			cc->cwnd += cc->mss;
		}
		if (cc->acked > cc->cwnd)
			cc->acked = cc->cwnd;
	}
	tcp_cc_clamp(cc);
}

static void lower_ssthresh(struct tcp_cc *cc, uint64_t lower)
{
	cc->ssthresh = lower > 2 * cc->mss ? (uint32_t)lower : 2 * cc->mss;
	cc->acked = 0;
}

static void newreno_on_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
				  weft_time_us now)
{
	(void)now;
	if (reason == TCP_CC_BOTH) {
		lower_ssthresh(cc, (uint64_t)cc->ssthresh * 5 / 8);
		return;
	}
	/* A mark comes from a short queue: less than half drains it (RFC 8511 3). */
	lower_ssthresh(cc, reason == TCP_CC_ECN && MECHANISM(newreno_abe) ? (uint64_t)pipe * 8 / 10
									  : pipe / 2);
}

static void newreno_on_rto(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	(void)now;
	if (first || !MECHANISM(newreno_rto_first))
		lower_ssthresh(cc, pipe / 2);
	cc->cwnd = cc->mss;
	cc->acked = 0;
}

static void newreno_undo(struct tcp_cc *cc)
{
	hystart_init(hystart_of(cc)); /* if ssthresh is unknown again, its round begins anew */
}

const struct tcp_cc_ops tcp_cc_newreno = {
	.name = "reno",
	.init = newreno_init,
	.on_ack = newreno_on_ack,
	.on_congestion = newreno_on_congestion,
	.on_rto = newreno_on_rto,
	.undo = newreno_undo,
};
