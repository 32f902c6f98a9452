/*
 * Explicit congestion notification (RFC 3168 6.1): who offers it in the handshake, what the receiver
 * tells of marked packets, which segments may be marked, and what the sender does about marks.  What
 * is different where both sides speak the accurate form (RFC 9768) is in accecn.c.  Called by input,
 * by ack and loss, by output, and by the half-open record's side.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum { ECN_SETUP = TCP_ECE | TCP_CWR };

/*
 * What a SYN asks for and gets.  RFC 3168 6.1.1: an ECN-setup SYN has both flags.  RFC 9768 3.1.2, 3.1.3:
 * the accurate form is asked for with all three, and with any other that has no meaning yet.
 */
enum ecn_mode ecn_mode(const struct tcp_cfg *cfg, const struct tcp_seg *syn)
{
	unsigned both = MECHANISM(ecn_setup) ? ECN_SETUP : TCP_ECE;
	unsigned bits = ecn_bits(syn->flags, syn->ae);

	if (cfg->ecn == TCP_ECN_OFF)
		return ECN_MODE_NONE;
	if (cfg->ecn >= TCP_ECN_ACCURATE && bits != 0 && bits != ECN_SETUP >> 6 &&
	    (bits == 7 || MECHANISM(accecn_forward)))
		return ECN_MODE_ACCURATE;
	return (syn->flags & both) == both ? ECN_MODE_CLASSIC : ECN_MODE_NONE;
}

/*
 * The flags of our SYN, or of our SYN-ACK after a crossing SYN.  A SYN that has to be sent again goes
 * without: something on the path may not like it (RFC 3168 6.1.1.1).  Then our data is not
 * ECN-capable, whatever the other side says; but it may have got the first SYN and mark its own, so
 * that marks are echoed (both 6.1.1).  The accurate form is asked for once more (RFC 9768 3.1.4.1).
 */
void ecn_fill_syn(struct tcb *tcb, bool reply, bool again, struct tcp_seg_out *out)
{
	bool is_accurate = tcb->cfg->ecn == TCP_ECN_ACCURATE;
	unsigned tries = is_accurate && MECHANISM(accecn_syn_again) ? 1 : 0;

	if (reply) {
		if (tcb->acc.on)
			accecn_fill_syn_ack(tcb, out);
		else if (tcb->ecn_on && !tcb->ecn_mute)
			out->flags |= TCP_ECE;
		return;
	}
	if (again && tcb->backoff > tries && MECHANISM(ecn_syn_again)) {
		tcb->ecn_mute = true;
		return;
	}
	if (!again)
		tcb->ecn_asked = is_accurate || tcb->cfg->ecn == TCP_ECN_ON;
	if (tcb->ecn_asked)
		ecn_put_bits(out, is_accurate ? 7 : ECN_SETUP >> 6);
}

/*
 * The peer's SYN came again, or its SYN-ACK after a crossing SYN: without ECN our data is not
 * ECN-capable, either (6.1.1), unless some was already.
 */
void ecn_from_repeated(struct tcb *tcb, const struct tcp_seg *seg)
{
	unsigned setup = seg->flags & TCP_ACK ? TCP_ECE : ECN_SETUP;

	if (tcb->acc.on) {
		accecn_from_repeated(tcb, seg);
		return;
	}
	if ((seg->flags & ECN_SETUP) != setup && tcb->snd_max == tcb->iss + 1 &&
	    MECHANISM(ecn_repeated_plain))
		tcb->ecn_mute = true;
}

/* A SYN again that asks for the classic form behind the accurate one, or the other way round (RFC 9768 3.1.5). */
bool ecn_is_torn(const struct tcb *tcb, const struct tcp_seg *seg)
{
	if (tcb->state != TCPS_SYN_RCVD || seg->seq != tcb->irs || !tcb->ecn_on ||
	    (seg->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	return ecn_mode(tcb->cfg, seg) == (tcb->acc.on ? ECN_MODE_CLASSIC : ECN_MODE_ACCURATE);
}

/*
 * The peer's SYN or SYN-ACK in SYN-SENT.  A SYN-ACK with both flags comes from one who only throws
 * ours back (RFC 3168 6.1.1).
 */
void ecn_from_syn(struct tcb *tcb, const struct tcp_seg *seg, bool is_answer)
{
	enum ecn_mode mode;

	tcb->ecn_on = false;
	if (!tcb->ecn_asked)
		return;
	if (!is_answer) {
		mode = ecn_mode(tcb->cfg, seg);
		tcb->ecn_on = mode != ECN_MODE_NONE;
		if (mode == ECN_MODE_ACCURATE)
			accecn_begin(tcb, seg->ecn);
	} else if (tcb->cfg->ecn == TCP_ECN_ACCURATE && accecn_from_syn_ack(tcb, seg)) {
		tcb->ecn_on = true;
	} else {
		tcb->ecn_on = MECHANISM(ecn_reflection) ? (seg->flags & ECN_SETUP) == TCP_ECE
							: (seg->flags & TCP_ECE) != 0;
	}
}

/* Whether the segment may say something of marks, or came with one: no matter for prediction. */
bool ecn_is_news(const struct tcb *tcb, const struct tcp_seg *seg)
{
	unsigned usual = tcb->acc.on ? accecn_expected(tcb) : 0;

	return ecn_bits(seg->flags, tcb->acc.on && seg->ae) != usual || tcb->acc.last_ce;
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
	if (tcb->acc.on) {
		accecn_receive(tcb, seg, events);
		return;
	}
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

/* What a segment with an ACK tells. */
void ecn_fill_ack(struct tcb *tcb, struct tcp_seg_out *out)
{
	if (tcb->acc.on)
		accecn_fill_ack(tcb, out);
	else if (tcb->ecn_echo)
		out->flags |= TCP_ECE;
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
	if (tcb->acc.on)
		return ecn_bits(seg->flags, seg->ae) != accecn_expected(tcb);
	return tcb->ecn_on && !tcb->ecn_mute && (seg->flags & (TCP_ECE | TCP_SYN)) == TCP_ECE;
}

/*
 * The window was reduced, for whatever reason: the next new data says so (RFC 3168 6.1.2).  The accurate form
 * has no CWR, but the same segment begins what was sent since.
 */
void ecn_reduced(struct tcb *tcb)
{
	tcb->cwr_due = tcb->ecn_on && !tcb->ecn_mute && !tcb->acc.on;
	if (!tcb->acc.on || !tcb->sb || !MECHANISM(accecn_once))
		return;
	tcb->sb->cwr_on = true;
	tcb->sb->cwr_seq = tcb->snd_max;
}

/* ... and that was a mistake. */
void ecn_restored(struct tcb *tcb)
{
	tcb->cwr_due = tcb->cwr_due && !MECHANISM(ecn_restored);
	if (tcb->acc.on && tcb->sb && MECHANISM(accecn_restored))
		tcb->sb->cwr_on = false;
}

/*
 * The peer can not know yet that we reduced: what it echoes is what we reduced for.  So there is one
 * reaction in a window, to losses and marks together: what was begun for it is over before its CWR is
 * acknowledged.  If the segment with CWR is lost, loss recovery reduces again.
 */
static bool has_reacted(const struct tcb *tcb)
{
	if (!MECHANISM(ecn_once))
		return false;
	return tcb->cwr_due || tcb->sb->cwr_on;
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
	bool reacted = has_reacted(tcb);

	if (sb->in_cwr)
		go_on_with_cwr(tcb, news);
	if (!news->ece || tcb->snd_nxt - tcb->snd_una + news->cum == 0 || reacted ||
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
