/*
 * Proportional rate reduction (RFC 9937): during fast recovery, and in the round trip after congestion
 * marks (ecn.c), cwnd follows what was delivered, so that it arrives at ssthresh without a pause and
 * without a burst.  In recovery for peers with SACK; without it NewReno's inflation does the work (loss.c).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/*
 * 6.1: recovery begins with the ACK that 'news' tells about.  What ACKs of the same batch delivered
 * before it, and output had no time to replace, counts: sent one by one they had let as much out.
 */
void prr_start(struct tcb *tcb, const struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	bool owed = tcb->cwnd_limited && sb->sent_pipe > news->prior_flight && MECHANISM(prr_batch);

	sb->prr_delivered = owed ? sb->sent_pipe - news->prior_flight : 0;
	sb->prr_out = 0;
	sb->recover_fs = tcb->snd_nxt - tcb->snd_una -
			 (MECHANISM(prr_sacked_before) ? sb->sacked - news->sacked : 0) +
			 news->acked + sb->prr_delivered;
	if (sb->recover_fs == 0)
		sb->recover_fs = tcb->mss;
}

/* 6.2: for every ACK in recovery or after marks, the first one included. */
void prr_ack(struct tcb *tcb, const struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc *cc = &tcb->cc;
	uint32_t delivered = news->acked + news->sacked;
	uint32_t pipe = sb_pipe(tcb);
	int64_t count;

	if (delivered == 0 && (sb->prr_out > 0 || !tcb->in_recovery))
		return;
	sb->prr_delivered += delivered;
	if (pipe > cc->ssthresh && MECHANISM(prr_share)) {
		uint64_t share = (uint64_t)sb->prr_delivered * cc->ssthresh;

		count = (int64_t)((share + sb->recover_fs - 1) / sb->recover_fs) - sb->prr_out;
	} else {
		int64_t owed = (int64_t)sb->prr_delivered - sb->prr_out;

		count = owed > (int64_t)delivered ? owed : (int64_t)delivered;
		if (news->cum > 0 && news->lost == 0 && MECHANISM(prr_safe_ack)) /* SafeACK */
			count += cc->mss;
		if (count > (int64_t)cc->ssthresh - pipe && MECHANISM(prr_bound))
			count = (int64_t)cc->ssthresh - pipe;
	}
	if (count < 0)
		count = 0;
	if (tcb->in_recovery && sb->prr_out == 0 && count < cc->mss && MECHANISM(prr_first))
		count = cc->mss; /* the fast retransmit leaves in any case */
	cc->cwnd = pipe + (uint32_t)count;
	if (cc->cwnd < cc->mss)
		cc->cwnd = cc->mss;
}
