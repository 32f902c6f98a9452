/*
 * What every congestion controller shares: initial and restart windows (RFC 6928, RFC 5681 4.1), and
 * what a spurious reduction gives back (RFC 4015).
 */
#include "net/tcp/cc.h"

static uint32_t initial_window(uint32_t mss)
{
	uint32_t floor = 2 * mss > 14600 ? 2 * mss : 14600;

	return 10 * mss < floor ? 10 * mss : floor;
}

void tcp_cc_start(struct tcp_cc *cc, const struct tcp_cc_ops *ops, uint32_t mss, bool syn_lost,
		  weft_time_us now)
{
	cc->ops = ops;
	cc->pacing_rate = 0;
	cc->mss = mss;
	cc->cwnd = syn_lost ? mss : initial_window(mss);
	cc->ssthresh = UINT32_MAX;
	cc->acked = 0;
	cc->undo_cwnd = 0;
	ops->init(cc, now);
}

/* A second reduction before the first is known to be right: the older state is what to go back to. */
static void remember(struct tcp_cc *cc)
{
	if (cc->undo_cwnd != 0)
		return;
	cc->undo_cwnd = cc->cwnd;
	cc->undo_ssthresh = cc->ssthresh;
}

void tcp_cc_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
		       weft_time_us now)
{
	cc->undo_cwnd = 0;
	if (reason == TCP_CC_LOSS) /* a mark is not spurious */
		remember(cc);
	cc->ops->on_congestion(cc, pipe, reason, now);
}

void tcp_cc_timeout(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	remember(cc);
	cc->ops->on_rto(cc, pipe, first, now);
}

void tcp_cc_recovered(struct tcp_cc *cc, weft_time_us now)
{
	if (cc->ops->on_recovered)
		cc->ops->on_recovered(cc, now);
}

void tcp_cc_undo(struct tcp_cc *cc)
{
	if (cc->undo_cwnd == 0)
		return;
	if (cc->cwnd < cc->undo_cwnd)
		cc->cwnd = cc->undo_cwnd;
	cc->ssthresh = cc->undo_ssthresh;
	if (cc->ops->undo)
		cc->ops->undo(cc);
	cc->undo_cwnd = 0;
	cc->acked = 0;
}

void tcp_cc_idle(struct tcp_cc *cc, weft_time_us idle, weft_time_us rto, weft_time_us now)
{
	uint32_t restart = initial_window(cc->mss);

	if (idle > rto) {
		if (cc->cwnd > restart)
			cc->cwnd = restart;
		cc->acked = 0;
	}
	if (cc->ops->on_idle)
		cc->ops->on_idle(cc, idle, now);
}
