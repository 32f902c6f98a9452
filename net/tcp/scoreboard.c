/*
 * The records of data in flight, see scoreboard.h: the block they stand in, their order and lists, and
 * what left.  Called by output.c and sack.c's path, with the tcb's owner holding whatever guards it.
 */
#include "net/tcp/scoreboard.h"

#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include "net/tcp/scoreboard_int.h"
#include <string.h>

/* ---- The block. ---- */

static size_t block_size(unsigned cap)
{
	return sizeof(struct scoreboard) + cap * (sizeof(struct sent) + 2 * sizeof(uint16_t));
}

static void add_free(struct scoreboard *sb, unsigned from, unsigned to)
{
	for (unsigned i = to; i-- > from;) {
		sb->rec[i].newer = sb->free;
		sb->free = (uint16_t)i;
	}
}

bool sb_ready(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;

	if (sb)
		return true;
	sb = tcb->cfg->mem(NULL, block_size(SB_RECS_MIN));
	if (!sb)
		return false;
	memset(sb, 0, block_size(SB_RECS_MIN));
	sb->cap = SB_RECS_MIN;
	sb->free = sb->oldest = sb->newest = sb->wait_first = sb->wait_last = SB_NONE;
	add_free(sb, 0, sb->cap);
	sb->fack = tcb->snd_una;
	sb->rtt_seq = tcb->snd_una;
	sb->tlp_sampled = true;
	tcb->sb = sb;
	return true;
}

void sb_free(struct tcb *tcb)
{
	if (tcb->sb)
		tcb->cfg->mem(tcb->sb, 0);
	tcb->sb = NULL;
}

/* Twice the records; false at the limit or without memory. */
static bool grow(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;
	unsigned old = sb->cap;
	unsigned cap = 2 * old < SB_RECS_MAX ? 2 * old : SB_RECS_MAX;

	if (old >= SB_RECS_MAX)
		return false;
	memmove(sb_order(sb), sb_order(sb) + sb->head, sb->count * sizeof(uint16_t));
	sb->head = 0;
	sb = tcb->cfg->mem(sb, block_size(cap));
	if (!sb)
		return false;
	const uint16_t *from = sb_order(sb);

	sb->cap = (uint16_t)cap;
	memmove(sb_order(sb), from, sb->count * sizeof(uint16_t));
	memset(sb->rec + old, 0, (cap - old) * sizeof(struct sent));
	memset(sb_order(sb) + sb->count, 0, (2 * cap - sb->count) * sizeof(uint16_t));
	add_free(sb, old, cap);
	tcb->sb = sb;
	return true;
}

/* A record out of the free ones; SB_NONE at the limit.  May move the block. */
static uint16_t take_record(struct tcb *tcb)
{
	if (tcb->sb->free == SB_NONE && !grow(tcb)) {
		counter_add(tcb->cfg->counters, C_TCP_SACK_COARSE, 1);
		return SB_NONE;
	}
	uint16_t i = tcb->sb->free;

	tcb->sb->free = tcb->sb->rec[i].newer;
	return i;
}

/* ---- The order by sequence number. ---- */

static void insert_at(struct scoreboard *sb, unsigned pos, uint16_t index)
{
	uint16_t *order = sb_order(sb);

	if (sb->head + sb->count == 2 * sb->cap) {
		memmove(order, order + sb->head, sb->count * sizeof(*order));
		sb->head = 0;
	}
	if (sb->head > 0 && pos < sb->count / 2u) { /* the shorter side moves */
		sb->head--;
		memmove(order + sb->head, order + sb->head + 1, pos * sizeof(*order));
	} else {
		uint16_t *here = order + sb->head + pos;

		memmove(here + 1, here, (sb->count - pos) * sizeof(*order));
	}
	order[sb->head + pos] = index;
	sb->count++;
}

void sb_remove(struct scoreboard *sb, unsigned pos)
{
	uint16_t *order = sb_order(sb) + sb->head;
	uint16_t index = order[pos];

	if (pos < sb->count / 2u) {
		memmove(order + 1, order, pos * sizeof(*order));
		sb->head++;
	} else {
		memmove(order + pos, order + pos + 1, (sb->count - pos - 1) * sizeof(*order));
	}
	sb->count--;
	if (sb->count == 0)
		sb->head = 0;
	sb->rec[index].newer = sb->free;
	sb->free = index;
}

/* Where the record is that holds 'seq', which one does. */
unsigned sb_find(struct scoreboard *sb, uint32_t seq)
{
	unsigned low = 0, high = sb->count;

	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if (seq_le(sb_at(sb, mid)->seq, seq))
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* ---- The lists. ---- */

/* Behind 'prev', at the front for SB_NONE. */
void sb_link_after(struct scoreboard *sb, uint16_t *first, uint16_t *last, uint16_t prev,
		   uint16_t i)
{
	uint16_t next = prev == SB_NONE ? *first : sb->rec[prev].newer;

	sb->rec[i].older = prev;
	sb->rec[i].newer = next;
	*(prev == SB_NONE ? first : &sb->rec[prev].newer) = i;
	*(next == SB_NONE ? last : &sb->rec[next].older) = i;
	if (first == &sb->oldest)
		sb->flying++;
}

static void link_newest(struct scoreboard *sb, struct sent *r)
{
	sb_link_after(sb, &sb->oldest, &sb->newest, sb->newest, sb_index(sb, r));
}

/* The lowest first as far as that costs nothing. */
void sb_link_waiting(struct scoreboard *sb, struct sent *r)
{
	bool lowest = sb->wait_first != SB_NONE && seq_lt(r->seq, sb->rec[sb->wait_first].seq);

	sb_link_after(sb, &sb->wait_first, &sb->wait_last, lowest ? SB_NONE : sb->wait_last,
		      sb_index(sb, r));
}

void sb_unlink(struct scoreboard *sb, const struct sent *r)
{
	bool waits = sb_is_waiting(r);
	uint16_t *first = waits ? &sb->wait_first : &sb->oldest;
	uint16_t *last = waits ? &sb->wait_last : &sb->newest;

	*(r->older == SB_NONE ? first : &sb->rec[r->older].newer) = r->newer;
	*(r->newer == SB_NONE ? last : &sb->rec[r->newer].older) = r->older;
	if (!waits)
		sb->flying--;
}

/* ---- What left. ---- */

uint32_t sb_pipe(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;
	uint32_t out = tcb->snd_nxt - tcb->snd_una;

	if (!sb)
		return out;
	uint32_t gone = sb->sacked + sb->lost;

	out += sb->rexmit;
	return out > gone ? out - gone : 0;
}

/* The connection as it is when 'r' leaves. */
static void snapshot(struct tcb *tcb, struct sent *r, weft_time_us now, uint32_t pipe)
{
	struct scoreboard *sb = tcb->sb;

	sb->sent_pipe = pipe;
	r->sent_at = (uint32_t)now;
	r->delivered = tcb->delivered;
	r->delivered_at = sb->delivered_at;
	r->first_sent = sb->first_sent;
	r->tx_flight = pipe;
	r->lost = sb->lost_total;
	r->flags = (uint8_t)((r->flags & ~SB_APP) | (sb->app_limited ? SB_APP : 0));
}

/* Whether [seq, end) may be told as a part of 'r', the last record. */
static bool continues(const struct tcb *tcb, const struct sent *r, uint32_t end, weft_time_us now)
{
	return (r->flags & ~SB_APP) == 0 && r->sent_at == (uint32_t)now &&
	       r->delivered == tcb->delivered && end - r->seq <= SB_RUN_MAX;
}

/* Without a record for it new data joins the last run: what was known of that is forgotten. */
static void join_last(struct tcb *tcb, struct sent *r)
{
	struct scoreboard *sb = tcb->sb;

	if (r->flags & SB_SACKED) {
		sb->sacked -= sb_len(r);
		sb->sacked_runs--;
		tcb->delivered -= sb_len(r); /* it will count again */
	} else {
		sb_unlink(sb, r);
	}
	if (r->flags & SB_LOST)
		sb->lost -= sb_len(r);
	if (r->flags & SB_REXMIT)
		sb->rexmit -= sb_len(r);
	r->flags &= SB_EVER;
	link_newest(sb, r);
}

void sb_sent(struct tcb *tcb, uint32_t seq, uint32_t end, weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;
	struct sent *last = sb->count > 0 ? sb_at(sb, sb->count - 1u) : NULL;
	uint32_t pipe = sb_pipe(tcb) + (end - seq);

	if (!last) /* nothing in flight: the measurement begins here */
		sb->first_sent = sb->delivered_at = (uint32_t)now;
	if (last && continues(tcb, last, end, now)) {
		last->end = end;
		last->tx_flight = sb->sent_pipe = pipe;
		return;
	}
	uint16_t i = take_record(tcb);

	sb = tcb->sb;
	if (i == SB_NONE) {
		last = sb_at(sb, sb->count - 1u);
		join_last(tcb, last);
		last->end = end;
		snapshot(tcb, last, now, pipe);
		return;
	}
	struct sent *r = &sb->rec[i];

	*r = (struct sent){.seq = seq, .end = end};
	snapshot(tcb, r, now, pipe);
	insert_at(sb, sb->count, i);
	link_newest(sb, r);
}

/* Cuts the record at 'pos' in two at 'seq', which lies inside; false: there is no record left. */
bool sb_cut(struct tcb *tcb, unsigned pos, uint32_t seq)
{
	uint16_t i = take_record(tcb);
	struct scoreboard *sb = tcb->sb;

	if (i == SB_NONE)
		return false;
	struct sent *left = sb_at(sb, pos), *right = &sb->rec[i];

	*right = *left;
	right->seq = seq;
	left->end = seq;
	insert_at(sb, pos + 1, i);
	if (left->flags & SB_SACKED) {
		sb->sacked_runs++;
		return true;
	}
	if (sb_is_waiting(left))
		sb_link_after(sb, &sb->wait_first, &sb->wait_last, sb_index(sb, left), i);
	else
		sb_link_after(sb, &sb->oldest, &sb->newest, sb_index(sb, left), i);
	return true;
}

/* The waiting run behind the one at 'pos' becomes the end of that, which waits, too. */
static void join_next(struct scoreboard *sb, unsigned pos)
{
	struct sent *next = sb_at(sb, pos + 1);

	WEFT_ASSERT(sb_is_waiting(next) && sb_is_waiting(sb_at(sb, pos)));
	sb_unlink(sb, next);
	sb_at(sb, pos)->end = next->end;
	sb_remove(sb, pos + 1);
}

/*
 * Makes [seq, end) one record and returns it, and in 'part' whether it ends behind 'end', for want of
 * another.  For the same want the last of several may be left out: it will go once more.
 */
static struct sent *sole_record(struct tcb *tcb, uint32_t seq, uint32_t end, bool *part)
{
	unsigned pos = sb_find(tcb->sb, seq);

	if (sb_at(tcb->sb, pos)->seq != seq && sb_cut(tcb, pos, seq))
		pos++;
	unsigned last = sb_find(tcb->sb, end - 1);

	*part = seq_gt(sb_at(tcb->sb, last)->end, end) && !sb_cut(tcb, last, end);
	if (*part && last > pos) {
		sb_at(tcb->sb, last)->flags |= SB_EVER; /* some of it leaves all the same */
		last--;
		*part = false;
	}
	for (; last > pos; last--)
		join_next(tcb->sb, pos);
	return sb_at(tcb->sb, pos);
}

void sb_resent(struct tcb *tcb, uint32_t seq, uint32_t end, weft_time_us now)
{
	bool part;
	struct sent *r = sole_record(tcb, seq, end, &part);
	struct scoreboard *sb = tcb->sb;

	WEFT_ASSERT(!(r->flags & SB_SACKED));
	sb_unlink(sb, r);
	if (!(r->flags & SB_REXMIT))
		sb->rexmit += sb_len(r);
	r->flags &= (uint8_t)~SB_PART;
	r->flags |= SB_REXMIT | SB_EVER | (part ? SB_PART : 0);
	snapshot(tcb, r, now, sb_pipe(tcb));
	link_newest(sb, r);
}

uint32_t sb_waiting_len(const struct tcb *tcb, const struct sent *r, uint32_t most)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t len = sb_len(r);

	if (len >= most || !sb_is_waiting(r) || !MECHANISM(rexmit_join))
		return len;
	for (unsigned pos = sb_find(sb, r->seq) + 1; pos < sb->count; pos++) {
		const struct sent *next = sb_at(sb, pos);

		if (!sb_is_waiting(next) || len + sb_len(next) > most)
			break;
		len += sb_len(next);
	}
	return len;
}

const struct sent *sb_waiting(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;

	return sb && sb->wait_first != SB_NONE ? &sb->rec[sb->wait_first] : NULL;
}

const struct sent *sb_first(const struct tcb *tcb)
{
	return tcb->sb && tcb->sb->count > 0 ? sb_at(tcb->sb, 0) : NULL;
}

const struct sent *sb_last(const struct tcb *tcb)
{
	return tcb->sb && tcb->sb->count > 0 ? sb_at(tcb->sb, tcb->sb->count - 1u) : NULL;
}
