/*
 * Loss detection and recovery.  With SACK: RACK says what is lost (rack.c), PRR how fast it is sent
 * again (prr.c), a tail loss probe asks when no ACK comes (tlp.c).  Without: duplicate ACKs, fast
 * retransmit and NewReno's fast recovery (RFC 5681 3.2, RFC 6582).  In both cases the retransmission
 * timeout (RFC 6298 5.4-5.7, RFC 8985 6.3) marks runs of the scoreboard lost; tcp_output sends marked
 * runs again as far as cwnd allows, the first one (rexmit_front) in any case.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

void loss_init(struct tcb *tcb)
{
	tcb->recover = tcb->iss;
	tcb->dupacks = 0;
	tcb->in_recovery = false;
	tcb->rto_recovery = false;
}

static uint32_t flight_size(const struct tcb *tcb)
{
	return tcb->snd_nxt - tcb->snd_una;
}

/*
 * What a reduction starts from.  ACKs come in batches, and output waits for a batch's end: in the middle
 * of it flight is less than what the path had a moment ago, when the last segment left.
 */
uint32_t loss_outstanding(const struct tcb *tcb, const struct ack_news *news)
{
	uint32_t flight = flight_size(tcb) + news->cum;
	uint32_t sent = MECHANISM(reduction_sent) ? tcb->sb->sent_pipe : 0;

	return flight > sent ? flight : sent;
}

/* ---- Fast recovery. ---- */

static void enter_recovery(struct tcb *tcb, const struct ack_news *news, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;
	bool marked = ecn_cwr_ends(tcb);

	undo_start(tcb);
	if (mtu_probe_lost(tcb, now)) /* too large, not too many (RFC 4821 7.6.2) */
		cc->ssthresh = marked ? cc->ssthresh : cc->cwnd;
	else if (MECHANISM(congestion_response))
		cwv_congestion(tcb, news, marked ? TCP_CC_BOTH : TCP_CC_LOSS, now);
	ecn_reduced(tcb);
	tcb->recover = tcb->snd_nxt - 1;
	tcb->in_recovery = true;
	tcb->sb->partial_seen = false;
	counter_add(tcb->cfg->counters, C_TCP_FAST_RETRANS, 1);
	if (tcb->sack_on) {
		prr_start(tcb, news);
	} else {
		cc->cwnd = cc->ssthresh + TCP_DUP_THRESH * cc->mss;
		tcb->rexmit_front = true;
	}
}

static void leave_recovery(struct tcb *tcb)
{
	struct tcp_cc *cc = &tcb->cc;
	uint32_t flight = flight_size(tcb);
	uint32_t burst = (flight > cc->mss ? flight : cc->mss) + cc->mss;

	if (!cc->ops->owns_recovery) {
		uint32_t window = cwv_recovered(tcb);

		cc->cwnd = tcb->sack_on || window < burst ? window : burst;
		cc->acked = 0;
	}
	tcb->in_recovery = false;
	rack_recovered(tcb);
	tcp_cc_recovered(cc);
}

/* ---- NewReno: peers without SACK. ---- */

static void newreno_duplicate(struct tcb *tcb, struct ack_news *news, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;

	if (tcb->in_recovery) {
		/* Inflation, bounded by what is outstanding (RFC 5681 3.2: spoofed duplicates). */
		if (cc->cwnd < cc->ssthresh + flight_size(tcb) && MECHANISM(newreno_inflation))
			cc->cwnd += cc->mss;
	} else if (tcb->dupacks == TCP_DUP_THRESH &&
		   (seq_gt(tcb->snd_una, tcb->recover) || !MECHANISM(newreno_careful)) &&
		   MECHANISM(fast_retransmit)) {
		sb_mark_front(tcb, tcb->mss, now, news);
		enter_recovery(tcb, news, now);
	}
}

/* A partial ACK: the next hole goes out, and the window deflates by what left the network. */
static void newreno_partial(struct tcb *tcb, struct ack_news *news, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;

	sb_mark_front(tcb, tcb->mss, now, news);
	if (MECHANISM(newreno_deflation))
		cc->cwnd = cc->cwnd > news->cum ? cc->cwnd - news->cum : 0;
	if (news->cum >= cc->mss)
		cc->cwnd += cc->mss;
	if (cc->cwnd < cc->mss)
		cc->cwnd = cc->mss;
	tcb->rexmit_front = true;
	tcb->sb->partial_seen = true;
}

static void newreno_ack(struct tcb *tcb, bool dup, struct ack_news *news, weft_time_us now)
{
	if (dup)
		newreno_duplicate(tcb, news, now);
	else if (news->cum > 0 && tcb->in_recovery && MECHANISM(newreno_partial))
		newreno_partial(tcb, news, now);
}

/* ---- After a timeout. ---- */

static void end_rto_recovery(struct tcb *tcb)
{
	tcb->rto_recovery = false;
	tcb->backoff = 0; /* data that was never sent twice got through */
	tcb->sb->frto = false;
	tcb->sb->frto_new = false;
	rack_recovered(tcb);
	tcp_cc_recovered(&tcb->cc);
}

/* Data never sent that may leave now, unless Nagle holds it back. */
static bool has_new_data(const struct tcb *tcb)
{
	uint32_t queued = seq_lt(tcb->snd_nxt, tcb->snd_end) ? tcb->snd_end - tcb->snd_nxt : 0;

	return tcb->snd_wnd >= flight_size(tcb) + tcb->mss &&
	       (queued >= tcb->mss || (queued > 0 && tcb->nodelay));
}

/*
 * F-RTO (RFC 5682 2.1, with SACK 3.1).  The first segment was sent again; an ACK that moves snd_una
 * lets new data out instead of what counts as lost (step 2b), and if data from before the timeout is
 * then delivered though it was not sent again, the timeout was spurious (3b).  A duplicate ACK says
 * that it was not (3a); without SACK nobody knows that it took a segment from the network.
 */
static void frto_ack(struct tcb *tcb, bool dup, const struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	bool is_plain_dup = dup && !tcb->sack_on;

	if (news->originals) {
		counter_add(tcb->cfg->counters, C_TCP_UNDO_FRTO, 1);
		undo_all(tcb);
	} else if (!sb->frto_new && news->cum > 0 && has_new_data(tcb)) {
		sb->frto_new = true;
	} else if (news->cum > 0 || news->sacked > 0 || is_plain_dup) {
		if (is_plain_dup && sb->frto_new) {
			tcb->rexmit_front = true;
			if (!tcb->cc.ops->owns_recovery)
				tcb->cc.cwnd = TCP_DUP_THRESH * tcb->cc.mss;
		}
		sb->frto = false;
		sb->frto_new = false;
	}
}

/* ---- Events. ---- */

static void count_duplicate(struct tcb *tcb, bool dup, const struct ack_news *news)
{
	if (news->cum > 0) {
		tcb->dupacks = 0;
		tcb->rexmit_front = false;
	}
	if (!dup)
		return;
	counter_add(tcb->cfg->counters, C_TCP_DUP_ACK_IN, 1);
	if (tcb->dupacks < UINT8_MAX)
		tcb->dupacks++;
}

/* RACK after an ACK, where it can find something. */
static void detect(struct tcb *tcb, struct ack_news *news, weft_time_us now, unsigned *events)
{
	const struct scoreboard *sb = tcb->sb;
	uint32_t wait = 0;

	if (sb->sacked > 0 || tcb->in_recovery || tcb->rto_recovery || news->rexmitted)
		wait = rack_detect(tcb, now, news);
	if (MECHANISM(rack_timer))
		deadline_reorder(tcb, wait, now);
	if (news->lost > 0)
		mtu_front_lost(tcb, events);
}

/*
 * An ACK that 'news' tells about; 'dup': it counts as a duplicate.  What the controller learns of it
 * comes after.
 */
void loss_ack(struct tcb *tcb, bool dup, struct ack_news *news, weft_time_us now, unsigned *events)
{
	count_duplicate(tcb, dup, news);
	if (!tcb->sb)
		return;
	if (!tcb->in_recovery && !tcb->rto_recovery && news->sacked == 0 && !dup &&
	    tcb->sb->sacked == 0 && !news->rexmitted) {
		if (seq_gt(tcb->snd_una - 1, tcb->recover) && MECHANISM(recover_follows))
			tcb->recover = tcb->snd_una - 1; /* or it would look new after 2^31 bytes */
		return;
	}
	if (MECHANISM(eifel))
		undo_ack(tcb, news);
	if (tcb->in_recovery && seq_gt(tcb->snd_una, tcb->recover))
		leave_recovery(tcb);
	if (tcb->rto_recovery && seq_gt(tcb->snd_una, tcb->recover))
		end_rto_recovery(tcb);
	if (tcb->rto_recovery && tcb->sb->frto)
		frto_ack(tcb, dup, news);
	if (!tcb->in_recovery && !tcb->rto_recovery && seq_gt(tcb->snd_una - 1, tcb->recover))
		tcb->recover = tcb->snd_una - 1;
	if (tcb->sack_on && MECHANISM(rack_detection))
		detect(tcb, news, now, events);
	else
		newreno_ack(tcb, dup, news, now);
	if (tcb->sack_on && news->lost > 0 && !tcb->in_recovery && !tcb->rto_recovery)
		enter_recovery(tcb, news, now);
	if (tcb->in_recovery && tcb->sack_on && !tcb->cc.ops->owns_recovery && MECHANISM(prr))
		prr_ack(tcb, news);
	*events |= TCP_EV_OUTPUT;
}

/* What was late when the last ACK came has not arrived since; whether it is lost. */
bool loss_reorder_timeout(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	struct ack_news news = {.prior_flight = sb_pipe(tcb)};

	if (!tcb->sb || tcb->sb->count == 0)
		return false;
	deadline_reorder(tcb, rack_detect(tcb, now, &news), now);
	if (news.lost == 0)
		return false;
	mtu_front_lost(tcb, events);
	if (!tcb->in_recovery && !tcb->rto_recovery)
		enter_recovery(tcb, &news, now);
	if (tcb->in_recovery && !tcb->cc.ops->owns_recovery)
		prr_ack(tcb, &news);
	*events |= TCP_EV_OUTPUT;
	return true;
}

/* Everything outstanding, or what is old enough, counts as lost; the first run leaves at once. */
static void mark_timeout(struct tcb *tcb, weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;
	struct ack_news news = {.prior_flight = 0};
	bool reneged = sb_first(tcb) && sb_first(tcb)->flags & SB_SACKED;

	if (reneged && MECHANISM(reneging)) {
		counter_add(tcb->cfg->counters, C_TCP_SACK_RENEGED, 1);
		sb_forget_sacks(tcb);
	}
	if (!tcb->in_recovery && !tcb->rto_recovery)
		undo_start(tcb);
	/* RFC 5682 3.1: not out of a fast recovery. */
	sb->frto = MECHANISM(frto) && (tcb->sack_on || MECHANISM(frto_without_sack)) &&
		   (!tcb->in_recovery || !MECHANISM(frto_not_in_recovery)) && !reneged;
	sb->frto_new = false;
	sb->tlp_out = false;
	sb_mark_timeout(tcb, reneged || !tcb->sack_on, now, &news);
	sb->rto_packets = sb->flying + 1u;
}

/*
 * R1 (RFC 9293 3.8.3): this path does not deliver.  IP hears of it, to choose another one, and the owner,
 * once; nothing ends.
 */
static void advise(struct tcb *tcb, unsigned *events)
{
	if (tcb->backoff < TCP_R1 || !MECHANISM(r1))
		return;
	tcb->path_tries++;
	if (tcb->backoff > TCP_R1)
		return;
	counter_add(tcb->cfg->counters, C_TCP_R1, 1);
	*events |= TCP_EV_R1;
}

/* Marks that were answered less than a round trip ago have lowered ssthresh for this, too. */
static void reduce_for_timeout(struct tcb *tcb, weft_time_us now)
{
	bool marked = ecn_cwr_ends(tcb);

	if (marked)
		tcp_cc_congestion(&tcb->cc, flight_size(tcb), TCP_CC_BOTH, now);
	tcp_cc_timeout(&tcb->cc, flight_size(tcb), tcb->backoff == 0 && !marked, now);
}

/* The retransmission timer went off. */
void loss_timeout(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	counter_add(tcb->cfg->counters, C_TCP_RTO, 1);
	if (tcb->state == TCPS_SYN_SENT || tcb->state == TCPS_SYN_RCVD) {
		tcb->syn_lost = true;
	} else {
		/* A lost retransmission: what duplicates inflated is no window to start from (RFC 5681 4.3). */
		if (tcb->in_recovery && !tcb->sack_on && tcb->cc.cwnd > tcb->cc.ssthresh &&
		    MECHANISM(rto_deflation))
			tcb->cc.cwnd = tcb->cc.ssthresh;
		if (MECHANISM(timeout_response))
			reduce_for_timeout(tcb, now);
		cwv_reduced(tcb);
		ecn_reduced(tcb);
		if (tcb->sb)
			mark_timeout(tcb, now);
		tcb->recover = tcb->snd_max - 1;
		tcb->in_recovery = false;
		tcb->rto_recovery = true;
	}
	tcb->dupacks = 0;
	tcb->rexmit_front = MECHANISM(retransmit_timeout);
	if (tcb->backoff < TCP_BACKOFF_MAX)
		tcb->backoff++;
	advise(tcb, events);
}
