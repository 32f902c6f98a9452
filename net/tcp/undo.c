/*
 * Recoveries that were not needed: the Eifel detection by timestamps (RFC 3522), D-SACKs for all that
 * was retransmitted (RFC 3708), and F-RTO, which loss.c asks about (RFC 5682).  The response is to go
 * back to the windows of before (RFC 4015).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/*
 * A recovery begins.  What an earlier one retransmitted beyond its 'recover' may still be in flight:
 * the echoes and D-SACKs of that are no news about this one, so the first retransmission stays the
 * one that Eifel's echoes are held against, and the bytes count.
 */
void undo_start(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;

	sb->undo_on = true;
	sb->undo_una = tcb->snd_una;
	sb->undo_rexmits = sb->rexmit;
}

/* 'len' bytes that end at 'end' were retransmitted. */
void undo_resent(struct tcb *tcb, uint32_t len, uint32_t end, const struct tcp_opts *opt)
{
	struct scoreboard *sb = tcb->sb;

	sb->rexmit_ts = opt->ts_val;
	sb->rexmit_ts_on = opt->has_ts;
	if (sb->undo_on)
		sb->undo_rexmits += len;
	if (!opt->has_ts)
		return;
	if (!sb->eifel_on || seq_le(sb->eifel_end, tcb->snd_una)) {
		sb->eifel_on = true;
		sb->eifel_ts = opt->ts_val;
		sb->eifel_end = end;
	} else if (seq_gt(end, sb->eifel_end)) {
		sb->eifel_end = end;
	}
}

/* Everything is as if the recovery had never begun. */
void undo_all(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc *cc = &tcb->cc;

	/* What recovery had on the way down is no window: if marks began before it, ssthresh stays. */
	if (tcb->in_recovery && !cc->ops->owns_recovery && cc->cwnd > cc->ssthresh)
		cc->cwnd = cc->ssthresh > cc->mss ? cc->ssthresh : cc->mss;
	tcp_cc_undo(cc);
	ecn_restored(tcb);
	sb_unmark_lost(tcb);
	if (tcb->rto_recovery) {
		tcb->backoff = 0;
		tcb->rto_adapt = MECHANISM(eifel_adapt);
	}
	tcb->in_recovery = false;
	tcb->rto_recovery = false;
	tcb->rexmit_front = false;
	sb->frto = false;
	sb->frto_new = false;
	sb->loss_base = 0;
	sb->undo_on = false;
}

/* A D-SACK: one retransmission less that was of use. */
void undo_dsack(struct tcb *tcb, uint32_t start, uint32_t end)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t len = end - start;

	if (!sb->undo_on || (seq_lt(start, sb->undo_una) && MECHANISM(undo_earlier)) ||
	    seq_gt(end - 1, tcb->recover) || sb->undo_rexmits == 0)
		return;
	sb->undo_rexmits -= len < sb->undo_rexmits ? len : sb->undo_rexmits;
	if (sb->undo_rexmits > 0 || !MECHANISM(undo_dsack))
		return;
	counter_add(tcb->cfg->counters, C_TCP_UNDO_DSACK, 1);
	undo_all(tcb);
}

/* An ACK of retransmitted data came: does it answer the original?  Says whether it undid. */
bool undo_ack(struct tcb *tcb, const struct ack_news *news)
{
	const struct scoreboard *sb = tcb->sb;

	if (!sb->undo_on || !sb->eifel_on || !news->has_ecr || !news->rexmitted || news->cum == 0 ||
	    !(tcb->in_recovery || tcb->rto_recovery) || !seq_lt(news->ecr, sb->eifel_ts))
		return false;
	counter_add(tcb->cfg->counters, C_TCP_UNDO_EIFEL, 1);
	undo_all(tcb);
	return true;
}
