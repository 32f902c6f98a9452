/*
 * RACK (RFC 8985 6): data is lost when something sent later was delivered and the time for reordering
 * has passed.  Called for each delivered run, after each ACK that may show a loss, and by the
 * reordering timer.
 *
 * The walk through what is in flight goes by time and ends at the first run that is not late yet:
 * every step before that marks a run lost, so the work is bounded by what was sent.  The timer is set
 * for that run, where the RFC sets it for the last one; it goes off again for the next.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* RACK_sent_after. */
static bool is_after(uint32_t at1, uint32_t end1, uint32_t at2, uint32_t end2)
{
	return seq_gt(at1, at2) || (at1 == at2 && seq_gt(end1, end2));
}

/*
 * Whether the ACK may have come from the copy before 'r' was retransmitted: the echo is older, or no
 * round trip is that short (step 2).
 */
static bool is_of_original(const struct tcb *tcb, const struct sent *r, weft_time_us now,
			   const struct ack_news *news)
{
	uint32_t rtt = (uint32_t)now - r->sent_at;

	if (!(r->flags & SB_EVER))
		return false;
	if (news->has_ecr && seq_lt(news->ecr, options_ts_now(tcb, now - rtt)))
		return true;
	return rtt < tcb->rtt_min;
}

/* A run, or its part up to 'end', was delivered: steps 2 and 3. */
void rack_delivered(struct tcb *tcb, const struct sent *r, uint32_t end, weft_time_us now,
		    const struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;

	if (seq_gt(end, sb->fack)) {
		sb->fack = end;
	} else if (seq_lt(end, sb->fack) && !(r->flags & SB_EVER)) {
		tcb->rack_reordered = MECHANISM(rack_reordering);
		if (tcb->reord_seen < UINT16_MAX)
			tcb->reord_seen++;
		counter_add(tcb->cfg->counters, C_TCP_REORDER, 1);
	}
	if (is_of_original(tcb, r, now, news) && MECHANISM(rack_original))
		return;
	if (sb->rack_valid && !is_after(r->sent_at, end, sb->rack_sent_at, sb->rack_end))
		return;
	sb->rack_valid = true;
	sb->rack_sent_at = r->sent_at;
	sb->rack_end = end;
	sb->rack_rtt = (uint32_t)now - r->sent_at;
}

/*
 * Step 4: DupThresh segments SACKed.  Small ones count as much as full ones: by the bytes, the holes
 * between them, or the ACKs that brought something new.
 */
static bool is_dup_thresh_reached(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;

	return sb->sacked > (TCP_DUP_THRESH - 1) * (uint32_t)tcb->mss ||
	       (sb->sacked_runs >= TCP_DUP_THRESH && MECHANISM(rack_holes)) ||
	       tcb->dupacks >= TCP_DUP_THRESH;
}

/* RACK_update_reo_wnd, the window itself. */
uint32_t rack_reo_wnd(const struct tcb *tcb)
{
	uint64_t wnd = (uint64_t)(tcb->rack_mult > 0 ? tcb->rack_mult : 1) * tcb->rtt_min / 4;

	if (!tcb->rack_reordered && MECHANISM(rack_dup_thresh) &&
	    (tcb->in_recovery || tcb->rto_recovery || is_dup_thresh_reached(tcb)))
		return 0;
	return wnd < tcb->srtt || !MECHANISM(rack_window_max) ? (uint32_t)wnd : tcb->srtt;
}

/* A D-SACK came: the window was too small, once in a round trip. */
void rack_dsack(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;

	if (sb->dsack_round_on && seq_ge(tcb->snd_una, sb->dsack_round))
		sb->dsack_round_on = false;
	if (sb->dsack_round_on && MECHANISM(rack_dsack_round))
		return;
	sb->dsack_round_on = true;
	sb->dsack_round = tcb->snd_nxt;
	if (tcb->rack_mult == 0)
		tcb->rack_mult = 1;
	if (tcb->rack_mult < UINT8_MAX && MECHANISM(rack_window_grows))
		tcb->rack_mult++;
	tcb->rack_persist = TCP_REO_PERSIST;
}

/* Fast or RTO recovery is over. */
void rack_recovered(struct tcb *tcb)
{
	if (MECHANISM(rack_window_persists) && tcb->rack_persist > 0 && --tcb->rack_persist == 0)
		tcb->rack_mult = 1;
}

/* Step 5: marks what is lost; returns how long it takes until more may be, 0: nothing is late. */
uint32_t rack_detect(struct tcb *tcb, weft_time_us now, struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t wait = sb->rack_rtt + rack_reo_wnd(tcb);
	uint16_t next;

	if (!sb->rack_valid)
		return 0;
	for (uint16_t i = sb->oldest; i != SB_NONE; i = next) {
		const struct sent *r = &sb->rec[i];
		int32_t left = seq_diff(r->sent_at + wait, (uint32_t)now);

		sb->walked++;
		next = r->newer;
		if (!is_after(sb->rack_sent_at, sb->rack_end, r->sent_at, r->end))
			return 0;
		if (left > 0)
			return (uint32_t)left;
		sb_mark_lost(tcb, i, now, news);
		counter_add(tcb->cfg->counters, C_TCP_RACK_LOST, 1);
	}
	return 0;
}
