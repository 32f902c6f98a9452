/*
 * Tail loss probes (RFC 8985 7): when the end of a flight is not acknowledged, one segment more asks
 * for an ACK that shows what is missing, long before the retransmission timeout.  Called by
 * deadline.c (when), output.c (what) and loss.c (what the ACK says).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* Nothing is known to be missing, and no probe is out (7.2, 7.3). */
bool tlp_may_probe(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;

	return tcb->sack_on && sb && sb->count > 0 && !(sb->tlp_out && MECHANISM(tlp_one)) &&
	       (sb->tlp_sampled || !MECHANISM(tlp_sample)) && !tcb->in_recovery &&
	       !tcb->rto_recovery && sb->sacked == 0 && sb->lost == 0 && tcb->snd_wnd > 0 &&
	       tcp_synchronized(tcb);
}

/* TLP_calc_PTO: when to probe if nothing happens; WEFT_TIME_NEVER: not at all. */
weft_time_us tlp_deadline(const struct tcb *tcb, weft_time_us now)
{
	weft_time_us pto = US_PER_S;

	if (!MECHANISM(tlp) || !tlp_may_probe(tcb) || tcb->t_rexmt == WEFT_TIME_NEVER)
		return WEFT_TIME_NEVER;
	if (tcb->srtt > 0) {
		pto = 2 * (weft_time_us)tcb->srtt;
		if (tcb->snd_nxt - tcb->snd_una <= tcb->mss && MECHANISM(tlp_delack))
			pto += TCP_TLP_ACK_DELAY;
	}
	return time_min(now + (MECHANISM(tlp_least) ? time_max(pto, TCP_TLP_MIN) : pto),
			tcb->t_rexmt);
}

/* The probe left. */
void tlp_sent(struct tcb *tcb, bool is_rexmit)
{
	struct scoreboard *sb = tcb->sb;

	sb->tlp_out = true;
	sb->tlp_rexmit = is_rexmit;
	sb->tlp_end = tcb->snd_nxt;
	sb->tlp_sampled = false;
	counter_add(tcb->cfg->counters, C_TCP_TLP_PROBE, 1);
}

/* The probe repaired a loss that nobody saw: congestion all the same (7.4.2). */
static void respond(struct tcb *tcb, const struct ack_news *news, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;

	counter_add(tcb->cfg->counters, C_TCP_TLP_REPAIRED, 1);
	if (tcb->in_recovery || tcb->rto_recovery)
		return;
	uint32_t before = cc->cwnd;

	cwv_congestion(tcb, news, ecn_cwr_ends(tcb) ? TCP_CC_BOTH : TCP_CC_LOSS, now);
	ecn_reduced(tcb);
	if (!cc->ops->owns_recovery) {
		uint32_t window = cwv_recovered(tcb);

		cc->cwnd = window < before ? window : before;
	}
	tcp_cc_recovered(cc);
}

/* TLP_process_ack. */
void tlp_ack(struct tcb *tcb, const struct tcp_seg *seg, const struct ack_news *news,
	     weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;

	if (!sb->tlp_out || seq_lt(seg->ack, sb->tlp_end))
		return;
	/* The probe was new data, or the original had arrived: a D-SACK says so, or a duplicate ACK. */
	bool is_settled = !sb->tlp_rexmit || (news->dsack && news->dsack_end == sb->tlp_end);
	bool is_repaired = !is_settled && seq_gt(seg->ack, sb->tlp_end);

	if (is_settled || is_repaired ||
	    (news->dup_ack && seg->opt.sack_count == 0 && MECHANISM(tlp_duplicate)))
		sb->tlp_out = false;
	if (is_repaired && MECHANISM(tlp_response))
		respond(tcb, news, now);
}
