/*
 * NewReno's window (RFC 5681, byte counting as it recommends).
 *
 * One ACK may stand for many: a peer with receive offload acknowledges 64 KiB at once where others
 * send an ACK for every second segment.  Slow start therefore grows by half of what was
 * acknowledged, but at least by min(N, SMSS): what the usual ACKs would have given.
 */
#include "net/tcp/cc.h"

enum { CWND_MAX = 1 << 30 };

static void newreno_init(struct tcp_cc *cc, weft_time_us now)
{
	(void)cc;
	(void)now;
}

static uint32_t slow_start_growth(const struct tcp_cc *cc, uint32_t acked)
{
	uint32_t one = acked < cc->mss ? acked : cc->mss;

	return acked / 2 > one ? acked / 2 : one;
}

static void newreno_on_ack(struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	if (ack->in_recovery || !ack->cwnd_limited)
		return;
	if (cc->cwnd < cc->ssthresh) {
		uint32_t growth = slow_start_growth(cc, ack->cum_acked);

		if (growth > cc->ssthresh - cc->cwnd && growth > cc->mss)
			growth = cc->ssthresh - cc->cwnd;
		cc->cwnd += growth;
	} else {
		cc->acked += ack->cum_acked;
		if (cc->acked >= cc->cwnd) {
			cc->acked -= cc->cwnd;
			cc->cwnd += cc->mss;
		}
		if (cc->acked > cc->cwnd)
			cc->acked = cc->cwnd;
	}
	if (cc->cwnd > CWND_MAX)
		cc->cwnd = CWND_MAX;
}

static void lower_ssthresh(struct tcp_cc *cc, uint32_t pipe)
{
	cc->ssthresh = pipe / 2 > 2 * cc->mss ? pipe / 2 : 2 * cc->mss;
	cc->acked = 0;
}

static void newreno_on_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
				  weft_time_us now)
{
	(void)reason;
	(void)now;
	lower_ssthresh(cc, pipe);
}

static void newreno_on_rto(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	(void)now;
	if (first)
		lower_ssthresh(cc, pipe);
	cc->cwnd = cc->mss;
	cc->acked = 0;
}

const struct tcp_cc_ops tcp_cc_newreno = {
	.name = "reno",
	.init = newreno_init,
	.on_ack = newreno_on_ack,
	.on_congestion = newreno_on_congestion,
	.on_rto = newreno_on_rto,
};
