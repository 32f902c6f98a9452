/*
 * The records of data in flight, see scoreboard.h: what arrived and what is lost.  Called by ack.c,
 * sack.c, rack.c and loss.c, with the tcb's owner holding whatever guards it.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include "net/tcp/scoreboard_int.h"

/* ---- What arrived. ---- */

/* 'bytes' of 'r' that end at 'end' were delivered for the first time. */
static void deliver(struct tcb *tcb, const struct sent *r, uint32_t bytes, uint32_t end,
		    weft_time_us now, struct ack_news *news)
{
	tcb->delivered += bytes;
	if (tcb->rto_recovery) /* slow start in packets: one goes for it, and one more */
		tcb->sb->rto_packets += bytes / tcb->mss + 1;
	if (r->flags & SB_EVER) {
		news->rexmitted = true;
	} else {
		uint32_t age = (uint32_t)now - r->sent_at;

		if (!(r->flags & SB_LOST) || age < tcb->rto) {
			if (!news->has_rtt || age > (uint32_t)now - news->oldest_at)
				news->oldest_at = r->sent_at;
			if (!news->has_rtt || age < (uint32_t)now - news->newest_at)
				news->newest_at = r->sent_at;
			news->has_rtt = true;
		}
		if (seq_le(end - 1, tcb->recover))
			news->originals = true;
	}
	rack_delivered(tcb, r, end, now, news);
	if (!news->has_sent || !seq_lt(r->sent_at, news->sent.sent_at)) {
		news->sent = *r;
		news->has_sent = true;
	}
}

/* Takes 'bytes' of 'r' out of the sums; the flags stay. */
static void subtract(struct scoreboard *sb, const struct sent *r, uint32_t bytes)
{
	if (r->flags & SB_SACKED)
		sb->sacked -= bytes;
	if (r->flags & SB_LOST)
		sb->lost -= bytes;
	if (r->flags & SB_REXMIT)
		sb->rexmit -= bytes;
}

/* The first record loses its front up to 'una'. */
static void trim_first(struct tcb *tcb, struct sent *r, uint32_t una, weft_time_us now,
		       struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t bytes = una - r->seq;

	subtract(sb, r, bytes);
	if (!(r->flags & SB_SACKED)) {
		news->acked += bytes;
		deliver(tcb, r, bytes, una, now, news);
	}
	r->seq = una;
	if (r->flags & SB_PART) { /* what was retransmitted of it has arrived, the rest was not */
		sb_unlink(sb, r);
		sb->rexmit -= sb_len(r);
		if (!(r->flags & SB_LOST))
			sb->lost += sb_len(r);
		r->flags = (uint8_t)((r->flags | SB_LOST) & ~(SB_PART | SB_REXMIT));
		sb_link_waiting(sb, r);
	}
}

void sb_acked(struct tcb *tcb, uint32_t una, weft_time_us now, struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;

	while (sb->count > 0) {
		struct sent *r = sb_at(sb, 0);

		if (seq_gt(r->end, una)) {
			if (seq_lt(r->seq, una))
				trim_first(tcb, r, una, now, news);
			return;
		}
		subtract(sb, r, sb_len(r));
		if (r->flags & SB_SACKED) {
			sb->sacked_runs--;
		} else {
			news->acked += sb_len(r);
			deliver(tcb, r, sb_len(r), r->end, now, news);
			sb_unlink(sb, r);
		}
		sb_remove(sb, 0);
	}
}

/* Two SACKed neighbours become one. */
static void merge_with_next(struct scoreboard *sb, unsigned pos)
{
	struct sent *r = sb_at(sb, pos);

	if (pos + 1 >= sb->count || !(sb_at(sb, pos + 1)->flags & SB_SACKED))
		return;
	r->end = sb_at(sb, pos + 1)->end;
	sb->sacked_runs--;
	sb_remove(sb, pos + 1);
}

/* The whole record at 'pos' is SACKed; returns the position of the run it is in then. */
static unsigned sack_whole(struct tcb *tcb, unsigned pos, weft_time_us now, struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	struct sent *r = sb_at(sb, pos);
	uint32_t bytes = sb_len(r);

	deliver(tcb, r, bytes, r->end, now, news);
	sb_unlink(sb, r);
	subtract(sb, r, bytes);
	news->sacked += bytes;
	r->flags = (uint8_t)((r->flags & SB_EVER) | SB_SACKED);
	sb->sacked += bytes;
	sb->sacked_runs++;
	merge_with_next(sb, pos);
	if (pos > 0 && sb_at(sb, pos - 1)->flags & SB_SACKED)
		merge_with_next(sb, --pos);
	return pos;
}

/* The front of the record at 'pos' joins the SACKed run before it: no record is needed. */
static void sack_front(struct tcb *tcb, unsigned pos, uint32_t end, weft_time_us now,
		       struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	struct sent *r = sb_at(sb, pos);
	uint32_t bytes = end - r->seq;

	deliver(tcb, r, bytes, end, now, news);
	subtract(sb, r, bytes);
	news->sacked += bytes;
	sb->sacked += bytes;
	sb_at(sb, pos - 1)->end = end;
	r->seq = end;
}

void sb_sacked(struct tcb *tcb, uint32_t start, uint32_t end, weft_time_us now,
	       struct ack_news *news)
{
	unsigned pos = sb_find(tcb->sb, start);

	while (pos < tcb->sb->count) {
		struct sent *r = sb_at(tcb->sb, pos);

		tcb->sb->walked++;
		if (!seq_lt(r->seq, end))
			return;
		if (r->flags & SB_SACKED) {
			pos++;
			continue;
		}
		if (seq_lt(r->seq, start)) {
			if (!sb_cut(tcb, pos, start)) {
				start = r->end;
			}
			pos++;
			continue;
		}
		if (seq_gt(r->end, end)) {
			if (pos > 0 && sb_at(tcb->sb, pos - 1)->flags & SB_SACKED &&
			    !(r->flags & SB_PART)) {
				sack_front(tcb, pos, end, now, news);
				return;
			}
			if (!sb_cut(tcb, pos, end))
				return;
		}
		pos = sack_whole(tcb, pos, now, news) + 1;
	}
}

/* ---- What is lost. ---- */

/* It waits for its retransmission. */
static void await_rexmit(struct scoreboard *sb, struct sent *r)
{
	uint32_t bytes = sb_len(r);

	sb_unlink(sb, r);
	if (!(r->flags & SB_LOST))
		sb->lost += bytes;
	if (r->flags & SB_REXMIT)
		sb->rexmit -= bytes;
	r->flags = (uint8_t)((r->flags | SB_LOST) & ~(SB_REXMIT | SB_PART));
	sb_link_waiting(sb, r);
}

void sb_mark_lost(struct tcb *tcb, uint16_t index, weft_time_us now, struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;
	struct sent *r = &sb->rec[index];

	if (r->flags & SB_SACKED || sb_is_waiting(r))
		return;
	await_rexmit(sb, r);
	news->lost += sb_len(r);
	sb->lost_total += sb_len(r);
	rate_lost(tcb, r, now);
}

void sb_mark_all(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;

	for (unsigned pos = 0; pos < sb->count; pos++) {
		struct sent *r = sb_at(sb, pos);

		if (!(r->flags & SB_SACKED) && !sb_is_waiting(r))
			await_rexmit(sb, r);
	}
	sb->undo_on = false;
	sb->eifel_on = false;
	sb->frto = false;
	sb->frto_new = false;
}

void sb_mark_front(struct tcb *tcb, uint32_t bytes, weft_time_us now, struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;

	if (sb->count == 0)
		return;
	const struct sent *r = sb_at(sb, 0);

	if (sb_len(r) > bytes)
		sb_cut(tcb, 0, r->seq + bytes);
	sb = tcb->sb;
	for (unsigned pos = 0; pos < sb->count; pos++) {
		r = sb_at(sb, pos);
		/* Small ones behind it go with it, as one segment. */
		if (pos > 0 && (sb_len(r) > bytes || r->flags & (SB_SACKED | SB_REXMIT) ||
				!MECHANISM(front_join)))
			return;
		sb_mark_lost(tcb, sb_index(sb, r), now, news);
		bytes -= sb_len(r) < bytes ? sb_len(r) : bytes;
	}
}

/* What waits is sent again from the lowest on. */
static void sort_waiting(struct scoreboard *sb)
{
	sb->wait_first = sb->wait_last = SB_NONE;
	for (unsigned pos = 0; pos < sb->count; pos++) {
		struct sent *r = sb_at(sb, pos);

		if (sb_is_waiting(r))
			sb_link_after(sb, &sb->wait_first, &sb->wait_last, sb->wait_last,
				      sb_index(sb, r));
	}
}

/* Older than SB_AGE_MAX; times stand still there. */
static void stop_clock(uint32_t *at, uint32_t oldest, weft_time_us now)
{
	if ((uint32_t)now - *at > SB_AGE_MAX)
		*at = oldest;
}

/*
 * An outage may outlast 32 bits of microseconds.  What left so long ago that no copy is under way any more
 * counts as sent again, which teaches nothing of times, and its age stops: so runs stay in the order of
 * their times, and none is taken for a young one.
 */
static void forget_ages(struct scoreboard *sb, weft_time_us now)
{
	uint32_t oldest = (uint32_t)now - SB_AGE_MAX;

	sb->rack_valid = sb->rack_valid && (uint32_t)now - sb->rack_sent_at <= SB_AGE_MAX;
	stop_clock(&sb->delivered_at, oldest, now);
	stop_clock(&sb->first_sent, oldest, now);
	for (unsigned pos = 0; pos < sb->count; pos++) {
		struct sent *r = sb_at(sb, pos);

		if ((uint32_t)now - r->sent_at > SB_AGE_MAX)
			r->flags |= SB_EVER;
		stop_clock(&r->sent_at, oldest, now);
		stop_clock(&r->delivered_at, oldest, now);
		stop_clock(&r->first_sent, oldest, now);
	}
}

void sb_mark_timeout(struct tcb *tcb, bool all, weft_time_us now, struct ack_news *news)
{
	struct scoreboard *sb = tcb->sb;

	forget_ages(sb, now);
	/* Without a delivery of these data to go by the smoothed time has to do. */
	uint32_t wait = (sb->rack_valid ? sb->rack_rtt : tcb->srtt) + rack_reo_wnd(tcb);

	for (unsigned pos = 0; pos < sb->count; pos++) {
		const struct sent *r = sb_at(sb, pos);

		if (all || pos == 0 || (uint32_t)now - r->sent_at >= wait)
			sb_mark_lost(tcb, sb_index(sb, r), now, news);
	}
	sort_waiting(sb);
}

void sb_forget_sacks(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;

	for (unsigned pos = 0; pos < sb->count; pos++) {
		struct sent *r = sb_at(sb, pos);

		if (!(r->flags & SB_SACKED))
			continue;
		r->flags = SB_LOST | SB_EVER;
		sb->lost += sb_len(r);
		sb_link_waiting(sb, r);
	}
	sb->sacked = 0;
	sb->sacked_runs = 0;
}

/*
 * What a tail loss probe sent again was in flight when all was marked: that copy, or the first, is under
 * way like the rest.
 */
static void unmark_probe(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;

	if (!sb->tlp_rexmit || seq_le(sb->tlp_end, tcb->snd_una) || sb->count == 0)
		return;
	struct sent *r = sb_at(sb, sb_find(sb, sb->tlp_end - 1));
	uint16_t prev = sb->newest;

	if (!sb_is_waiting(r) || r->end != sb->tlp_end || !MECHANISM(undo_probe))
		return;
	sb_unlink(sb, r);
	r->flags &= (uint8_t)~SB_LOST;
	sb->lost -= sb_len(r);
	while (prev != SB_NONE && seq_gt(sb->rec[prev].sent_at, r->sent_at))
		prev = sb->rec[prev].older;
	sb_link_after(sb, &sb->oldest, &sb->newest, prev, sb_index(sb, r));
}

/* Runs never retransmitted left in their order: one walk through the list finds each its place. */
void sb_unmark_lost(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;
	uint16_t prev = SB_NONE;
	uint16_t next = sb->oldest;

	for (unsigned pos = 0; pos < sb->count; pos++) {
		struct sent *r = sb_at(sb, pos);

		if (!(r->flags & SB_LOST) || (sb_is_waiting(r) && r->flags & SB_EVER))
			continue;
		if (!sb_is_waiting(r)) {
			r->flags &= (uint8_t)~SB_LOST;
			sb->lost -= sb_len(r);
			continue;
		}
		sb_unlink(sb, r);
		r->flags &= (uint8_t)~SB_LOST;
		sb->lost -= sb_len(r);
		while (next != SB_NONE && seq_le(sb->rec[next].sent_at, r->sent_at)) {
			prev = next;
			next = sb->rec[next].newer;
		}
		sb_link_after(sb, &sb->oldest, &sb->newest, prev, sb_index(sb, r));
		prev = sb_index(sb, r);
	}
	unmark_probe(tcb);
}
