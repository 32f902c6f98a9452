/*
 * SACK blocks of the peer (RFC 2018 5) and D-SACKs in both directions (RFC 2883).  At most four
 * blocks come with an ACK; each costs a search and what it changes (scoreboard.c).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* RFC 2883 5: measured by the ACK in the same segment, or by the block that follows. */
static bool is_duplicate_report(const struct tcp_seg *seg)
{
	const struct tcp_sack *b = seg->opt.sack;

	if (!seq_lt(b[0].start, b[0].end))
		return false;
	if (seq_lt(b[0].start, seg->ack))
		return seq_le(b[0].end, seg->ack);
	return seg->opt.sack_count > 1 && seq_ge(b[0].start, b[1].start) &&
	       seq_le(b[0].end, b[1].end);
}

static void receive_dsack(struct tcb *tcb, const struct tcp_sack *b, struct ack_news *news)
{
	counter_add(tcb->cfg->counters, C_TCP_DSACK_IN, 1);
	/* Nobody gets more twice than was sent once. */
	if ((b->end - b->start > tcb->max_snd_wnd || seq_gt(b->end, tcb->snd_nxt)) &&
	    MECHANISM(dsack_believable))
		return;
	if (tcb->dsack_dups < UINT16_MAX)
		tcb->dsack_dups++;
	news->dsack = true;
	news->dsack_end = b->end;
	rack_dsack(tcb);
	undo_dsack(tcb, b->start, b->end);
}

/*
 * Blocks come with the most recent first (RFC 2018 4).  If the ACK that told of an older one was lost,
 * that one is news, too, and would look as if it had been overtaken: lower ones are taken first.
 */
static unsigned insert_block(struct tcp_sack *block, unsigned count, const struct tcp_sack *b)
{
	unsigned at = count;

	for (; at > 0 && seq_gt(block[at - 1].start, b->start) && MECHANISM(sack_order); at--)
		block[at] = block[at - 1];
	block[at] = *b;
	return count + 1;
}

/* The blocks of 'seg'; snd_una is up to date. */
void sack_receive(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
		  struct ack_news *news)
{
	unsigned i = 0;

	if (!tcb->sb)
		return;
	if (is_duplicate_report(seg) && MECHANISM(dsack_known)) {
		receive_dsack(tcb, &seg->opt.sack[0], news);
		i = 1;
	}
	struct tcp_sack block[TCP_SACK_MAX];
	unsigned count = 0;

	for (; i < seg->opt.sack_count; i++)
		count = insert_block(block, count, &seg->opt.sack[i]);
	for (i = 0; i < count; i++) {
		struct tcp_sack b = block[i];

		if ((!seq_lt(b.start, b.end) || seq_gt(b.end, tcb->snd_max)) &&
		    MECHANISM(sack_valid)) {
			counter_add(tcb->cfg->counters, C_TCP_SACK_INVALID, 1);
			continue;
		}
		b.start = seq_max(b.start, tcb->snd_una);
		b.end = seq_min(b.end, tcb->snd_nxt); /* a zero-window probe has no record */
		if (seq_lt(b.start, b.end))
			sb_sacked(tcb, b.start, b.end, now, news);
	}
}

/* [start, end) arrived for the second time: the next ACK says so, once (RFC 2883 4). */
void sack_note_duplicate(struct tcb *tcb, uint32_t start, uint32_t end)
{
	if (!tcb->sack_on || start == end || !MECHANISM(dsack_report))
		return;
	tcb->dsack_start = start;
	tcb->dsack_end = end;
	tcb->dsack_due = true;
}
