/*
 * Pacing: data of a connection with a rate (its congestion controller's, or SO_MAX_PACING_RATE) leaves
 * in bursts of about a millisecond instead of when an ACK opens the window.  A burst that comes too
 * early stays where it is: tcp_deadline tells when it may go, and tcp_tick asks for output then.
 *
 * A congestion window has no rate, but on a long path what a batch of ACKs lets out at once, up to
 * the whole window, is a burst that short queues do not take and that keeps receivers from opening their
 * window: they see little of it apart (docs/adr/0014-pacing.md).  There data leaves at a multiple of
 * cwnd / SRTT, as RFC 9002 7.7 has it: too fast to be a limit on average.
 *
 * Timers are coarse and late.  A burst may therefore go up to a tick before its time; what was sent
 * too early is made up for by the next gap, and what was sent too late shortens the next gap by up to
 * half or a tick, so that the rate is right on average without bursts after a pause.  When it was only
 * the timer that was late, by whatever this process had to wait for a CPU, all of it is made up for.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	SLACK_US = 64,      /* a tick of the timer wheel */
	QUANTUM_SHIFT = 10, /* a burst is a rate's 1024th part: about a millisecond */
	WAIT_MAX = 1 << 30, /* us; keeps sums within 32 bits */
	QUANTUM_SEGMENTS_MIN = 2,
	/* Windows in a round trip, in percent: room to double, and for late timers. */
	GAIN_SLOW_START = 200,
	GAIN_AVOIDANCE = 120,
	FREE_SEGMENTS = 10, /* go at once in any case: an initial window (RFC 6928) */
	LATE_SHIFT = 2,     /* of cwnd: what late timers cost is made up for at once */
};

/*
 * For a controller without a rate: what its window is worth on a long path; 0: all of it at once.  What
 * the application did not use for long is spread by its own rule (cwv.c).
 */
static uint64_t window_rate(const struct tcb *tcb)
{
	const struct tcp_cc *cc = &tcb->cc;
	uint64_t gain = cc->cwnd < cc->ssthresh / 2 ? GAIN_SLOW_START : GAIN_AVOIDANCE;

	if (!cc->ops || cc->ops->pacing_rate || tcb->nvp)
		return 0;
	if (tcb->rtt_min < tcb->cfg->pace_rtt || tcb->srtt == 0 ||
	    cc->cwnd <= FREE_SEGMENTS * (uint32_t)tcb->mss || !MECHANISM(pacing_window))
		return 0;
	return cc->cwnd * gain * (US_PER_S / 100) / tcb->srtt;
}

/* Bytes per second; 0: not paced. */
uint64_t pacing_rate(const struct tcb *tcb)
{
	const struct tcp_cc *cc = &tcb->cc;
	uint64_t rate = cc->ops && cc->ops->pacing_rate ? cc->ops->pacing_rate(cc) : 0;
	uint64_t max = (uint64_t)tcb->pace_max * TCP_PACE_UNIT;

	if (rate == 0)
		rate = window_rate(tcb);
	if (rate == 0)
		rate = cwv_rate(tcb);
	return max != 0 && (rate == 0 || rate > max) ? max : rate;
}

/*
 * Bytes that may be ahead of their time.  A rate that only spreads a window leaves small bursts alone:
 * they go when ACKs let them out, as without pacing (RFC 9002 7.7).
 */
static uint32_t free_bytes(const struct tcb *tcb)
{
	if (window_rate(tcb) == 0 || tcb->pace_max != 0 || tcb->ecn_holds > 0 ||
	    !MECHANISM(pacing_free))
		return 0;
	return FREE_SEGMENTS * (uint32_t)tcb->mss;
}

/* How long ahead of its time the next burst may go: when the smallest one is free. */
static weft_time_us slack(const struct tcb *tcb)
{
	uint32_t bytes = free_bytes(tcb);

	if (bytes == 0)
		return 0;
	bytes -= (uint32_t)tcb->mss * QUANTUM_SEGMENTS_MIN;
	return (weft_time_us)(bytes * (uint64_t)US_PER_S / window_rate(tcb));
}

/* Whether data has to wait; if so pacing_deadline says until when. */
bool pacing_holds(struct tcb *tcb, weft_time_us now)
{
	bool was_held = tcb->pace_held;

	tcb->pace_held = MECHANISM(pacing) && now + SLACK_US < tcb->last_snd + tcb->pace_wait &&
			 (tcb->ecn_holds > 0 || pacing_rate(tcb) != 0) &&
			 now + SLACK_US + slack(tcb) < tcb->last_snd + tcb->pace_wait;
	if (was_held && !tcb->pace_held)
		tcb->pace_late = true;
	return tcb->pace_held;
}

/* No data for 'wait', which is at most rto_max; valid while ecn_holds. */
void pacing_hold(struct tcb *tcb, weft_time_us wait, weft_time_us now)
{
	tcb->pace_wait = (int32_t)time_min(now - tcb->last_snd + wait, WAIT_MAX);
}

/* What may be sent ahead of its time and was not. */
static uint64_t free_left(const struct tcb *tcb, uint64_t rate, weft_time_us now)
{
	weft_time_us ahead = time_max(tcb->last_snd + tcb->pace_wait - now, 0);
	uint64_t used = (uint64_t)ahead * rate / US_PER_S;
	uint64_t bytes = free_bytes(tcb);

	return bytes > used ? bytes - used : 0;
}

/* The largest burst, in whole segments. */
uint32_t pacing_quantum(const struct tcb *tcb, weft_time_us now)
{
	uint64_t rate = pacing_rate(tcb);
	uint64_t quantum = rate >> QUANTUM_SHIFT;
	uint32_t least = (uint32_t)tcb->mss * QUANTUM_SEGMENTS_MIN;

	if (rate == 0 || quantum >= tcb->cfg->gso_max || !MECHANISM(pacing_quantum))
		return tcb->cfg->gso_max;
	uint64_t left = free_left(tcb, rate, now);
	if (quantum < left)
		quantum = left < tcb->cfg->gso_max ? left : tcb->cfg->gso_max;
	return quantum > least ? (uint32_t)(quantum - quantum % tcb->mss) : least;
}

/*
 * How far the next burst may be behind its time without that being forgotten.  A controller that paces
 * measures what arrives: if the time in which this process had no CPU were lost, its rate would be that
 * of the CPU's share, and with the next such pause that share of it (docs/adr/0014-pacing.md).  So what
 * held nothing but a late timer goes at once, at most a quarter of the window.
 */
static weft_time_us most_behind(const struct tcb *tcb, uint64_t rate)
{
	if (!tcb->pace_late || !tcb->cc.ops->pacing_rate || tcb->pace_max != 0 ||
	    !MECHANISM(pacing_late))
		return 0;
	uint64_t us = (tcb->cc.cwnd >> LATE_SHIFT) * (uint64_t)US_PER_S / rate;
	return us < WAIT_MAX ? (weft_time_us)us : WAIT_MAX;
}

/* 'len' bytes are about to go; last_snd still has the time of those before. */
void pacing_sent(struct tcb *tcb, uint32_t len, weft_time_us now)
{
	uint64_t rate = pacing_rate(tcb);

	if (rate == 0) {
		tcb->pace_wait = 0;
		return;
	}
	weft_time_us next = tcb->last_snd + tcb->pace_wait;
	weft_time_us gap = (weft_time_us)((uint64_t)len * US_PER_S / rate);
	weft_time_us behind = most_behind(tcb, rate);

	if (next < now && behind > 0) {
		next = time_max(next, now - behind);
	} else if (next < now) {
		weft_time_us credit = time_min(now - next, time_max(gap / 2, SLACK_US));

		if (free_bytes(tcb) == 0 && MECHANISM(pacing_credit))
			gap -= time_min(credit, gap);
		next = now;
	}
	if (next + gap >= now)
		tcb->pace_late = false;
	tcb->pace_wait = (int32_t)time_min(next + gap - now, WAIT_MAX);
}

weft_time_us pacing_deadline(const struct tcb *tcb)
{
	if (!tcb->pace_held)
		return WEFT_TIME_NEVER;
	/* A window that became smaller than what is spread holds nothing any more. */
	if (tcb->ecn_holds == 0 && pacing_rate(tcb) == 0 && MECHANISM(pacing_ends))
		return tcb->last_snd;
	return tcb->last_snd + tcb->pace_wait - slack(tcb);
}
