/*
 * Round-trip time and the retransmission timeout (RFC 6298).  One segment per flight is timed with
 * the microsecond clock (Karn: never a retransmitted one); after a retransmission the timestamp
 * echo settles it (RFC 7323 4).
 */
#include "net/tcp/parts.h"

/* Clock granularity G. */
enum { RTT_GRANULARITY_US = 1000 };

static void sample(struct tcb *tcb, weft_time_us rtt)
{
	const struct tcp_cfg *cfg = tcb->cfg;

	if (rtt < 1)
		rtt = 1;
	if (tcb->rtt_min == 0 || rtt < tcb->rtt_min)
		tcb->rtt_min = (uint32_t)rtt;
	if (tcb->srtt == 0) {
		tcb->srtt = rtt;
		tcb->rttvar = rtt / 2;
	} else {
		weft_time_us delta = tcb->srtt > rtt ? tcb->srtt - rtt : rtt - tcb->srtt;

		tcb->rttvar = (3 * tcb->rttvar + delta) / 4;
		tcb->srtt = (7 * tcb->srtt + rtt) / 8;
		if (tcb->srtt == 0)
			tcb->srtt = 1;
	}
	tcb->rto = tcb->srtt + time_max(RTT_GRANULARITY_US, 4 * tcb->rttvar);
	tcb->rto = time_min(time_max(tcb->rto, cfg->rto_min), cfg->rto_max);
	if (tcp_synchronized(tcb)) /* lost SYNs are looked at when the connection is open */
		tcb->backoff = 0;
}

void rtt_start(struct tcb *tcb, uint32_t seq, weft_time_us now)
{
	tcb->rtt_timing = true;
	tcb->rtt_seq = seq;
	tcb->rtt_start = now;
}

/* An ACK of new data arrived: takes a sample if it may.  Returns whether it did. */
bool rtt_ack(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	if (tcb->rtt_timing) {
		if (seq_lt(seg->ack, tcb->rtt_seq))
			return false;
		tcb->rtt_timing = false;
		sample(tcb, now - tcb->rtt_start);
		return true;
	}
	if (!tcb->ts_on || !seg->opt.has_ts || seg->opt.ts_ecr == 0)
		return false;
	/* An older echo may be of a copy whose ACK was lost: it says nothing about the path. */
	if (tcb->rexmit_ts_on && seq_lt(seg->opt.ts_ecr, tcb->rexmit_ts))
		return false;
	int32_t ms = seq_diff(options_ts_now(tcb, now), seg->opt.ts_ecr);
	if (ms < 0 || ms > 600 * 1000)
		return false;
	sample(tcb, (weft_time_us)(ms > 0 ? ms : 1) * US_PER_MS);
	return true;
}

/* The timeout in force, doublings included (RFC 6298 5.5). */
weft_time_us rtt_rto(const struct tcb *tcb)
{
	weft_time_us rto = tcb->rto;

	for (unsigned i = 0; i < tcb->backoff && rto < tcb->cfg->rto_max; i++)
		rto *= 2;
	return time_min(rto, tcb->cfg->rto_max);
}
