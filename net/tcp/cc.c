/*
 * What every congestion controller shares: the initial window (RFC 6928), their names, and what a
 * spurious reduction gives back (RFC 4015).
 */
#include "net/tcp/cc.h"
#include "net/base/check.h"
#include "net/base/mechanism.h"
#include <string.h>

static const struct tcp_cc_ops *const controllers[] = {&tcp_cc_cubic, &tcp_cc_newreno, &tcp_cc_bbr,
						       &tcp_cc_bbr1};

int tcp_cc_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (len < TCP_CC_NAME_MAX && memcmp(controllers[i]->name, name, len) == 0 &&
		    controllers[i]->name[len] == '\0')
			return (int)i;
	return -1;
}

const struct tcp_cc_ops *tcp_cc_get(unsigned number)
{
	WEFT_ASSERT(number < ARRAY_SIZE(controllers));
	return controllers[number];
}

void tcp_cc_clamp(struct tcp_cc *cc)
{
	if (cc->cwnd > TCP_CC_CWND_MAX)
		cc->cwnd = TCP_CC_CWND_MAX;
	if (cc->cwnd < cc->mss)
		cc->cwnd = cc->mss;
}

uint32_t tcp_cc_initial_window(uint32_t mss)
{
	uint32_t floor = 2 * mss > 14600 ? 2 * mss : 14600;

	return 10 * mss < floor || !MECHANISM(initial_window) ? 10 * mss : floor;
}

void tcp_cc_start(struct tcp_cc *cc, const struct tcp_cc_ops *ops, uint32_t mss, bool syn_lost,
		  weft_time_us now)
{
	cc->ops = ops;
	cc->mss = mss;
	cc->cwnd =
		syn_lost && MECHANISM(initial_window_syn_lost) ? mss : tcp_cc_initial_window(mss);
	cc->ssthresh = UINT32_MAX;
	cc->acked = 0;
	cc->undo_cwnd = 0;
	cc->repairing = false;
	ops->init(cc, now);
}

/* What undo restores: the state before the first reduction of an episode. */
static void remember(struct tcp_cc *cc)
{
	cc->undo_cwnd = cc->cwnd & 0x7fffffff;
	cc->undo_ssthresh = cc->ssthresh;
	if (cc->ops->save)
		cc->ops->save(cc);
}

/*
 * What a reduction starts from: what is outstanding, but no more than cwnd.  snd_nxt - snd_una counts
 * SACKed data as well; after a recovery of several round trips that is a multiple of cwnd, and 0.7 of
 * it would be more than before the loss (RFC 9438 4.6 allows cwnd, RFC 5681 3.1 the limit).
 */
static uint32_t reduced_from(const struct tcp_cc *cc, uint32_t outstanding)
{
	return outstanding < cc->cwnd ? outstanding : cc->cwnd;
}

void tcp_cc_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
		       weft_time_us now)
{
	if (reason == TCP_CC_ECN) {
		cc->undo_cwnd = 0; /* a mark is not spurious */
	} else if (reason == TCP_CC_BOTH) {
		remember(cc);
		/* ... and without the loss it would have led there. */
		cc->undo_cwnd = cc->ssthresh & 0x7fffffff;
		cc->repairing = true;
	} else {
		remember(cc); /* loss.c begins no recovery within another */
		cc->repairing = true;
	}
	cc->ops->on_congestion(cc, reduced_from(cc, pipe), reason, now);
}

void tcp_cc_timeout(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	if (!cc->repairing || !MECHANISM(undo_first))
		remember(cc);
	cc->repairing = true;
	cc->ops->on_rto(cc, reduced_from(cc, pipe), first, now);
}

void tcp_cc_recovered(struct tcp_cc *cc)
{
	cc->repairing = false;
	if (cc->ops->on_recovered)
		cc->ops->on_recovered(cc);
}

void tcp_cc_undo(struct tcp_cc *cc)
{
	uint32_t cwnd = cc->undo_cwnd;

	if (!MECHANISM(undo))
		return;
	if (cwnd == 0) { /* a mark has come since: the reduction stays, the episode is over */
		tcp_cc_recovered(cc);
		return;
	}
	if (cc->cwnd < cwnd)
		cc->cwnd = cwnd;
	cc->ssthresh = cc->undo_ssthresh;
	if (cc->ops->undo)
		cc->ops->undo(cc);
	cc->undo_cwnd = 0;
	cc->repairing = false;
	cc->acked = 0;
}
