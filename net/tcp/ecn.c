/*
 * Explicit congestion notification (RFC 3168 6.1): who offers it in the handshake, what the receiver
 * tells of marked packets, which segments may be marked, and what the sender does about marks.  Called
 * by input, by ack and loss, by output, and by the half-open record's side.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum { ECN_SETUP = TCP_ECE | TCP_CWR };

/* RFC 3168 6.1.1: an ECN-setup SYN has both flags. */
bool ecn_wanted_by(const struct tcp_cfg *cfg, const struct tcp_seg *syn)
{
	unsigned both = MECHANISM(ecn_setup) ? ECN_SETUP : TCP_ECE;

	return cfg->ecn != TCP_ECN_OFF && (syn->flags & both) == both;
}

/*
 * The flags of our SYN, or of our SYN-ACK after a crossing SYN.  A SYN that has to be sent again goes
 * without: something on the path may not like it (RFC 3168 6.1.1.1).  Then our data is not
 * ECN-capable, whatever the other side says; but it may have got the first SYN and mark its own, so
 * that marks are echoed (both 6.1.1).
 */
unsigned ecn_syn_flags(struct tcb *tcb, bool reply, bool again)
{
	if (reply)
		return tcb->ecn_on && !tcb->ecn_mute ? TCP_ECE : 0;
	if (again && MECHANISM(ecn_syn_again)) {
		tcb->ecn_mute = true;
		return 0;
	}
	tcb->ecn_asked = tcb->cfg->ecn == TCP_ECN_ON;
	return tcb->ecn_asked ? ECN_SETUP : 0;
}

/*
 * The peer's SYN came again, or its SYN-ACK after a crossing SYN: without ECN our data is not
 * ECN-capable, either (6.1.1), unless some was already.
 */
void ecn_from_repeated(struct tcb *tcb, const struct tcp_seg *seg)
{
	unsigned setup = seg->flags & TCP_ACK ? TCP_ECE : ECN_SETUP;

	if ((seg->flags & ECN_SETUP) != setup && tcb->snd_max == tcb->iss + 1 &&
	    MECHANISM(ecn_repeated_plain))
		tcb->ecn_mute = true;
}

/*
 * The peer's SYN or SYN-ACK in SYN-SENT.  A SYN-ACK with both flags comes from one who only throws
 * ours back (RFC 3168 6.1.1).
 */
void ecn_from_syn(struct tcb *tcb, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_ACK)
		tcb->ecn_on = tcb->ecn_asked &&
			      (MECHANISM(ecn_reflection) ? (seg->flags & ECN_SETUP) == TCP_ECE
							 : (seg->flags & TCP_ECE) != 0);
	else
		tcb->ecn_on = tcb->ecn_asked && ecn_wanted_by(tcb->cfg, seg);
}

/*
 * A segment that was acceptable (6.1.5: marks on others count for nothing).  From a marked packet on
 * every ACK has ECE, until CWR says that the sender has heard (6.1.3).
 */
void ecn_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	if (!tcb->ecn_on)
		return;
	tcb->ecn_seen = tcb->ecn_seen || seg->ecn != IP_ECN_NOT_ECT;
	if ((seg->flags & TCP_CWR) && seg->len > 0 && MECHANISM(ecn_cwr))
		tcb->ecn_echo = false;
	if (seg->ecn != IP_ECN_CE ||
	    (seg->len == 0 && MECHANISM(ecn_pure_ack))) /* a pure ACK is not to be marked (6.1.4) */
		return;
	counter_add(tcb->cfg->counters, C_TCP_ECN_CE_IN, 1);
	if (!tcb->ecn_echo) { /* the sender is to know soon */
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	}
	tcb->ecn_echo = MECHANISM(ecn_echo);
}

/* The flags of a segment with an ACK. */
unsigned ecn_ack_flags(const struct tcb *tcb)
{
	return tcb->ecn_echo ? TCP_ECE : 0;
}

/*
 * New data may be marked by routers, and says once that the window was reduced.  Not what is sent again
 * (6.1.5); window probes never come here (6.1.6).
 */
void ecn_mark_data(struct tcb *tcb, struct tcp_seg_out *out)
{
	if (!tcb->ecn_on || tcb->ecn_mute || out->len == 0 || out->retransmit)
		return;
	out->is_ect = MECHANISM(ecn_ect);
	if (tcb->cwr_due && MECHANISM(ecn_cwr_sent)) {
		out->flags |= TCP_CWR;
		tcb->cwr_due = false;
		tcb->sb->cwr_on = true;
		tcb->sb->cwr_seq = out->seq;
	}
}

/* ---- The sender's reaction. ---- */

/* Whether the segment's ACK tells of marks; SYNs use the flag otherwise. */
bool ecn_is_echo(const struct tcb *tcb, const struct tcp_seg *seg)
{
	return tcb->ecn_on && !tcb->ecn_mute && (seg->flags & (TCP_ECE | TCP_SYN)) == TCP_ECE;
}

/* The window was reduced, for whatever reason: the next new data says so (RFC 3168 6.1.2). */
void ecn_reduced(struct tcb *tcb)
{
	tcb->cwr_due = tcb->ecn_on && !tcb->ecn_mute;
}

/* ... and that was a mistake. */
void ecn_restored(struct tcb *tcb)
{
	tcb->cwr_due = tcb->cwr_due && !MECHANISM(ecn_restored);
}

/*
 * The peer can not know yet that we reduced: what it echoes is what we reduced for.  So there is one
 * reaction in a window.  If the segment with CWR is lost, loss recovery reduces again.
 */
static bool has_reacted(const struct tcb *tcb)
{
	if (!MECHANISM(ecn_once))
		return false;
	return tcb->in_recovery || tcb->rto_recovery || tcb->cwr_due || tcb->sb->cwr_on ||
	       tcb->sb->in_cwr;
}

/*
 * A window of one segment is still too large: nothing new for a timeout, and for twice as long each
 * time that this comes in a row (RFC 3168 6.1.2, RFC 9438 4.6).
 */
static void hold(struct tcb *tcb, weft_time_us now)
{
	weft_time_us wait = tcb->rto;

	for (unsigned i = 0; i < tcb->ecn_holds && wait < tcb->cfg->rto_max; i++)
		wait *= 2;
	if (tcb->ecn_holds < TCP_BACKOFF_MAX && MECHANISM(ecn_hold_doubles))
		tcb->ecn_holds++;
	pacing_hold(tcb, time_min(wait, tcb->cfg->rto_max), now);
}

/* PRR.  What is owed from before may put it above the window that there is: no reason to grow. */
static void come_down(struct tcb *tcb, const struct ack_news *news)
{
	struct tcp_cc *cc = &tcb->cc;
	uint32_t most = cc->cwnd > cc->ssthresh ? cc->cwnd : cc->ssthresh;

	prr_ack(tcb, news);
	if (cc->cwnd > most)
		cc->cwnd = most;
}

/*
 * The state CWR: cwnd comes down to ssthresh within the round trip that follows, one segment leaves for
 * each or so that arrives, and nothing is sent again (RFC 9937 1: PRR for ECN, as Linux).  A small window
 * is cut at once: ssthresh is never below two segments, cwnd may be.
 */
static void begin_cwr(struct tcb *tcb, const struct ack_news *news, uint32_t before)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc *cc = &tcb->cc;
	bool is_small = before <= 2 * cc->mss;

	sb->in_cwr = tcb->snd_nxt != tcb->snd_una;
	sb->cwr_end = tcb->snd_nxt;
	sb->cwr_prr = sb->in_cwr && !is_small && MECHANISM(ecn_prr);
	if (sb->cwr_prr) {
		prr_start(tcb, news);
		come_down(tcb, news);
	} else {
		cc->cwnd = is_small ? cc->mss : cc->ssthresh < before ? cc->ssthresh : before;
	}
}

/* An ACK in that state. */
static void go_on_with_cwr(struct tcb *tcb, const struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;

	if (seq_ge(tcb->snd_una, sb->cwr_end)) {
		sb->in_cwr = false;
		if (sb->cwr_prr)
			tcb->cc.cwnd = cwv_recovered(tcb);
	} else if (sb->cwr_prr) {
		come_down(tcb, news);
	}
}

/* Says whether that state was left before its end, for something worse: a loss in the same window. */
bool ecn_cwr_ends(struct tcb *tcb)
{
	bool was_on = tcb->sb && tcb->sb->in_cwr;

	if (was_on)
		tcb->sb->in_cwr = false;
	return was_on && MECHANISM(ecn_loss_in_cwr);
}

/*
 * An ACK.  Called when loss recovery is through with it: its
 * reduction counts for this window, too.
 */
void ecn_ack(struct tcb *tcb, const struct ack_news *news, weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc *cc = &tcb->cc;
	uint32_t before = cc->cwnd;

	if (!sb)
		return;
	if (sb->cwr_on && seq_gt(tcb->snd_una, sb->cwr_seq))
		sb->cwr_on = false;
	if (!news->ece && news->cum > 0)
		tcb->ecn_holds = 0;
	if (sb->in_cwr)
		go_on_with_cwr(tcb, news);
	if (!news->ece || tcb->snd_nxt - tcb->snd_una + news->cum == 0 || has_reacted(tcb) ||
	    !MECHANISM(ecn_response))
		return;
	counter_add(tcb->cfg->counters, C_TCP_ECN_REDUCED, 1);
	cwv_congestion(tcb, news, TCP_CC_ECN, now);
	ecn_reduced(tcb);
	if (cc->ops->owns_recovery)
		return;
	begin_cwr(tcb, news, before);
	if (before <= cc->mss && MECHANISM(ecn_hold))
		hold(tcb, now);
}
