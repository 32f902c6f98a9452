/*
 * Pacing: data of a connection with a rate (its congestion controller's, or SO_MAX_PACING_RATE) leaves
 * in bursts of about a millisecond instead of when an ACK opens the window.  A burst that comes too
 * early stays where it is: tcp_deadline tells when it may go, and tcp_tick asks for output then.
 *
 * Timers are coarse and late.  A burst may therefore go up to a tick before its time; what was sent
 * too early is made up for by the next gap, and what was sent too late shortens the next gap by up to
 * half or a tick, so that the rate is right on average without bursts after a pause.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	SLACK_US = 64,      /* a tick of the timer wheel */
	QUANTUM_SHIFT = 10, /* a burst is a rate's 1024th part: about a millisecond */
	WAIT_MAX = 1 << 30, /* us; keeps sums within 32 bits */
	QUANTUM_SEGMENTS_MIN = 2,
};

/* Bytes per second; 0: not paced. */
uint64_t pacing_rate(const struct tcb *tcb)
{
	const struct tcp_cc *cc = &tcb->cc;
	uint64_t rate = cc->ops && cc->ops->pacing_rate ? cc->ops->pacing_rate(cc) : 0;
	uint64_t max = (uint64_t)tcb->pace_max * TCP_PACE_UNIT;

	if (rate == 0)
		rate = cwv_rate(tcb);
	return max != 0 && (rate == 0 || rate > max) ? max : rate;
}

/* Whether data has to wait; if so pacing_deadline says until when. */
bool pacing_holds(struct tcb *tcb, weft_time_us now)
{
	tcb->pace_held = MECHANISM(pacing) && now + SLACK_US < tcb->last_snd + tcb->pace_wait &&
			 (tcb->ecn_holds > 0 || pacing_rate(tcb) != 0);
	return tcb->pace_held;
}

/* No data for 'wait', which is at most rto_max; valid while ecn_holds. */
void pacing_hold(struct tcb *tcb, weft_time_us wait, weft_time_us now)
{
	tcb->pace_wait = (uint32_t)time_min(now - tcb->last_snd + wait, WAIT_MAX);
}

/* The largest burst, in whole segments. */
uint32_t pacing_quantum(const struct tcb *tcb)
{
	uint64_t rate = pacing_rate(tcb);
	uint64_t quantum = rate >> QUANTUM_SHIFT;
	uint32_t least = (uint32_t)tcb->mss * QUANTUM_SEGMENTS_MIN;

	if (rate == 0 || quantum >= tcb->cfg->gso_max || !MECHANISM(pacing_quantum))
		return tcb->cfg->gso_max;
	return quantum > least ? (uint32_t)(quantum - quantum % tcb->mss) : least;
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

	if (next < now) {
		weft_time_us credit = time_min(now - next, time_max(gap / 2, SLACK_US));

		if (MECHANISM(pacing_credit))
			gap -= time_min(credit, gap);
		next = now;
	}
	tcb->pace_wait = (uint32_t)time_min(next + gap - now, WAIT_MAX);
}

weft_time_us pacing_deadline(const struct tcb *tcb)
{
	return tcb->pace_held ? tcb->last_snd + tcb->pace_wait : WEFT_TIME_NEVER;
}
