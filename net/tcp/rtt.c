/*
 * Round-trip time and the retransmission timeout (RFC 6298).  The scoreboard knows when each run left,
 * so every ACK of data sent only once times the path (Karn), to the microsecond; the smoothed value
 * takes one sample a round trip.  After a retransmission the timestamp echo settles it (RFC 7323 4).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	RTT_GRANULARITY_US = 1000, /* clock granularity G */
	RTT_ECHO_MAX_MS = 600 * 1000,
};

static uint32_t clamp_rto(const struct tcb *tcb, uint64_t rto)
{
	const struct tcp_cfg *cfg = tcb->cfg;

	weft_time_us least = MECHANISM(rto_min) ? cfg->rto_min : 1;

	return (uint32_t)time_min(time_max((weft_time_us)rto, least), cfg->rto_max);
}

/*
 * The smallest of the last minutes (RFC 8985 6.2 step 1): of two halves of a window, each older one
 * is forgotten when the younger is complete.
 */
static void note_min(struct tcb *tcb, uint32_t rtt, weft_time_us now)
{
	if (tcb->rtt_min == 0 || rtt <= tcb->rtt_min) {
		tcb->rtt_min = rtt;
		tcb->rtt_min_next = rtt;
		tcb->rtt_min_at = time_ms(now);
		return;
	}
	if (rtt < tcb->rtt_min_next)
		tcb->rtt_min_next = rtt;
	if (time_ms(now) - tcb->rtt_min_at < TCP_MIN_RTT_MS / 2 || !MECHANISM(min_rtt_window))
		return;
	tcb->rtt_min = tcb->rtt_min_next;
	tcb->rtt_min_next = rtt;
	tcb->rtt_min_at = time_ms(now);
}

static void set_rto(struct tcb *tcb)
{
	uint64_t var = MECHANISM(rto_variance) ? 4 * (uint64_t)tcb->rttvar : 0;

	tcb->rto =
		clamp_rto(tcb, tcb->srtt + (var > RTT_GRANULARITY_US ? var : RTT_GRANULARITY_US));
	if (tcp_synchronized(tcb)) /* lost SYNs are looked at when the connection is open */
		tcb->backoff = 0;
}

/*
 * The first sample of data that left after a spurious timeout: this path may be that slow, and the next
 * such delay is to find the timer ready (RFC 4015 3.2, step 9).
 */
static void adapt(struct tcb *tcb, uint32_t rtt)
{
	tcb->rto_adapt = false;
	tcb->srtt = tcb->srtt > rtt ? tcb->srtt : rtt;
	tcb->rttvar = tcb->rttvar > rtt / 2 ? tcb->rttvar : rtt / 2;
	set_rto(tcb);
}

static void smooth(struct tcb *tcb, uint32_t rtt)
{
	if (tcb->srtt == 0) {
		tcb->srtt = rtt;
		tcb->rttvar = rtt / 2;
	} else {
		uint32_t delta = tcb->srtt > rtt ? tcb->srtt - rtt : rtt - tcb->srtt;

		tcb->rttvar = (uint32_t)((3 * (uint64_t)tcb->rttvar + delta) / 4);
		tcb->srtt = (uint32_t)((7 * (uint64_t)tcb->srtt + rtt) / 8);
		if (tcb->srtt == 0)
			tcb->srtt = 1;
	}
	set_rto(tcb);
}

/* The SYN leaves. */
void rtt_start(struct tcb *tcb, weft_time_us now)
{
	tcb->rtt_timing = true;
	tcb->rtt_start = (uint32_t)now;
}

/* The age of the timestamp echo; 0: it says nothing. */
static uint32_t echo_age(const struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	const struct scoreboard *sb = tcb->sb;

	if (!tcb->ts_on || !seg->opt.has_ts || seg->opt.ts_ecr == 0)
		return 0;
	/* An older echo may be of a copy whose ACK was lost: it says nothing about the path. */
	if (sb && sb->rexmit_ts_on && seq_lt(seg->opt.ts_ecr, sb->rexmit_ts) &&
	    MECHANISM(rtt_old_echo))
		return 0;
	int32_t ms = seq_diff(options_ts_now(tcb, now), seg->opt.ts_ecr);
	if (ms < 0 || ms > RTT_ECHO_MAX_MS)
		return 0;
	return (uint32_t)(ms > 0 ? ms : 1) * US_PER_MS;
}

/* Our SYN was acknowledged. */
void rtt_handshake(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	uint32_t rtt = tcb->rtt_timing ? (uint32_t)now - tcb->rtt_start : echo_age(tcb, seg, now);

	if (tcb->rtt_timing && rtt == 0)
		rtt = 1;
	tcb->rtt_timing = false;
	if (rtt == 0)
		return;
	note_min(tcb, rtt, now);
	smooth(tcb, rtt);
}

/* An ACK delivered something; returns the sample for the controller, 0: none. */
uint32_t rtt_ack(struct tcb *tcb, const struct tcp_seg *seg, const struct ack_news *news,
		 weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t newest, oldest;

	if (!sb)
		return 0;
	if (news->has_rtt) {
		newest = (uint32_t)now - news->newest_at;
		oldest = (uint32_t)now - news->oldest_at;
	} else {
		newest = oldest = news->cum > 0 ? echo_age(tcb, seg, now) : 0;
		if (newest == 0)
			return 0;
	}
	if (newest == 0)
		newest = 1;
	if (oldest == 0)
		oldest = 1;
	note_min(tcb, newest, now);
	sb->tlp_sampled = true;
	if (tcb->rto_adapt && seq_gt(seg->ack - 1, tcb->recover)) {
		sb->rtt_seq = tcb->snd_nxt + 1;
		adapt(tcb, oldest);
	} else if (seq_ge(seg->ack, sb->rtt_seq) || !MECHANISM(rtt_once)) {
		sb->rtt_seq = tcb->snd_nxt + 1;
		smooth(tcb, oldest);
	} else if (tcb->srtt == 0) {
		smooth(tcb, oldest);
	}
	return newest;
}

/* The timeout in force, doublings included (RFC 6298 5.5). */
weft_time_us rtt_rto(const struct tcb *tcb)
{
	weft_time_us rto = tcb->rto;

	for (unsigned i = 0; i < tcb->backoff && rto < tcb->cfg->rto_max && MECHANISM(rto_backoff);
	     i++)
		rto *= 2;
	return time_min(rto, tcb->cfg->rto_max);
}
