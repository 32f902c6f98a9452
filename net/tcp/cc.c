/* What every congestion controller shares: initial and restart windows (RFC 6928, RFC 5681 4.1). */
#include "net/tcp/cc.h"

static uint32_t initial_window(uint32_t mss)
{
	uint32_t floor = 2 * mss > 14600 ? 2 * mss : 14600;

	return 10 * mss < floor ? 10 * mss : floor;
}

void tcp_cc_start(struct tcp_cc *cc, const struct tcp_cc_ops *ops, uint32_t mss, bool syn_lost)
{
	cc->ops = ops;
	cc->mss = mss;
	cc->cwnd = syn_lost ? mss : initial_window(mss);
	cc->ssthresh = UINT32_MAX;
	cc->acked = 0;
	ops->init(cc);
}

void tcp_cc_restart(struct tcp_cc *cc)
{
	uint32_t restart = initial_window(cc->mss);

	if (cc->cwnd > restart)
		cc->cwnd = restart;
	cc->acked = 0;
}
