/*
 * The reassembly queue: data beyond a hole.  Adjacent buffers form a run; the first buffer of a run
 * carries the run's end, its last buffer and the link to the next run.  A segment extends a run,
 * joins two, or begins one; the number of runs is limited, so a flood of tiny segments cannot make
 * a walk long (CVE-2018-5390), and memory is limited by what the buffers really cost.
 *
 * Of overlapping bytes the first to arrive win, unless a segment covers a whole run: then the
 * segment wins.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <string.h>

static void trash(struct tcb *tcb, struct buf *b)
{
	tcb->reass_mem -= b->cap;
	b->next = NULL;
	buf_queue_push(&tcb->trash, b);
}

static void trash_run(struct tcb *tcb, struct buf *run)
{
	struct buf *last = run->run_last;

	tcb->reass_runs--;
	for (struct buf *b = run, *next; b; b = next) {
		next = b == last ? NULL : b->next;
		trash(tcb, b);
	}
}

void reass_clear(struct tcb *tcb)
{
	while (tcb->reass) {
		struct buf *run = tcb->reass;

		tcb->reass = run->run_next;
		trash_run(tcb, run);
	}
	tcb->sack_recent_count = 0;
}

static struct buf *find_run(const struct tcb *tcb, uint32_t seq)
{
	for (struct buf *run = tcb->reass; run && seq_le(run->seq, seq); run = run->run_next)
		if (seq_lt(seq, run->run_end))
			return run;
	return NULL;
}

/* Remembers that the run at 'seq' changed last: it leads the next ACK's blocks (RFC 2018 4). */
static void note_recent(struct tcb *tcb, uint32_t seq)
{
	uint32_t list[TCP_SACK_RECENT];
	unsigned count = 0;

	if (MECHANISM(sack_recent_first))
		list[count++] = seq;
	for (unsigned i = 0; i < tcb->sack_recent_count && count < TCP_SACK_RECENT; i++)
		if (tcb->sack_recent[i] != seq)
			list[count++] = tcb->sack_recent[i];
	memcpy(tcb->sack_recent, list, sizeof(list[0]) * count);
	tcb->sack_recent_count = count & 7;
}

/* Fills in SACK blocks, most recently changed runs first; returns how many. */
unsigned reass_sack_blocks(const struct tcb *tcb, struct tcp_sack *blocks, unsigned max)
{
	unsigned count = 0;

	for (unsigned i = 0; i < tcb->sack_recent_count && count < max; i++) {
		const struct buf *run = find_run(tcb, tcb->sack_recent[i]);
		bool known = false;

		for (unsigned k = 0; run && k < count; k++)
			known = known || blocks[k].start == run->seq;
		if (run && (!known || !MECHANISM(sack_no_repeat)))
			blocks[count++] = (struct tcp_sack){.start = run->seq, .end = run->run_end};
	}
	return count;
}

/* Appends to a run, by copy when the last buffer has room.  Takes the buffer if it needs it. */
static void extend(struct tcb *tcb, struct buf *run, struct tcp_seg *seg)
{
	struct buf *last = run->run_last;

	if (buf_room(last) >= seg->len) {
		memcpy(last->data + last->len, seg->buf->data, seg->len);
		last->len += seg->len;
	} else {
		last->next = seg->buf;
		run->run_last = seg->buf;
		tcb->reass_mem += seg->buf->cap;
		seg->buf = NULL;
	}
	run->run_end += seg->len;
}

/* Begins a run in front of '*link'; NULL when a limit forbids it. */
static struct buf *begin(struct tcb *tcb, struct buf **link, struct tcp_seg *seg)
{
	struct buf *run = seg->buf;

	if (tcb->reass_runs >= tcb->cfg->reass_runs_max && MECHANISM(reass_runs))
		return NULL;
	run->run_end = seg->seq + seg->len;
	run->run_last = run;
	run->run_next = *link;
	*link = run;
	tcb->reass_runs++;
	tcb->reass_mem += run->cap;
	seg->buf = NULL;
	return run;
}

static void join_next(struct tcb *tcb, struct buf *run)
{
	struct buf *next = run->run_next;

	if (!next || next->seq != run->run_end || !MECHANISM(reass_join))
		return;
	run->run_last->next = next;
	run->run_last = next->run_last;
	run->run_end = next->run_end;
	run->run_next = next->run_next;
	tcb->reass_runs--;
}

static void cut_front(struct tcp_seg *seg, uint32_t cut)
{
	seg->seq += cut;
	seg->len -= cut;
	seg->buf->data += cut;
	seg->buf->len -= cut;
}

static bool mem_full(const struct tcb *tcb, const struct buf *b)
{
	return tcb->reass_mem + (uint64_t)b->cap > 2 * (uint64_t)tcb->rcv_buf_size + 65536;
}

/* Queues a segment that lies beyond rcv_nxt and inside the window. */
enum drop reass_insert(struct tcb *tcb, struct tcp_seg *seg)
{
	struct buf **link = &tcb->reass;
	struct buf *prev = NULL;
	uint32_t end = seg->seq + seg->len;

	while (*link && seq_le((*link)->seq, seg->seq)) {
		prev = *link;
		link = &prev->run_next;
	}
	if (prev && seq_ge(prev->run_end, end)) {
		note_recent(tcb, prev->seq);
		sack_note_duplicate(tcb, seg->seq, end);
		return DROP_TCP_OLD_DUP;
	}
	if (mem_full(tcb, seg->buf) && MECHANISM(reass_mem))
		return DROP_TCP_REASS_FULL;
	if (prev && seq_gt(prev->run_end, seg->seq) && MECHANISM(reass_trim_front)) {
		sack_note_duplicate(tcb, seg->seq, prev->run_end);
		cut_front(seg, prev->run_end - seg->seq);
	}
	while (*link && seq_le((*link)->run_end, end) && MECHANISM(reass_covered)) {
		struct buf *covered = *link;

		*link = covered->run_next;
		sack_note_duplicate(tcb, covered->seq, covered->run_end);
		trash_run(tcb, covered);
	}
	if (*link && seq_lt((*link)->seq, end) && MECHANISM(reass_trim_back)) {
		sack_note_duplicate(tcb, (*link)->seq, end);
		seg->len = (*link)->seq - seg->seq;
		seg->buf->len = seg->len;
	}
	seg->buf->seq = seg->seq;
	seg->buf->next = NULL;
	if (prev && prev->run_end == seg->seq)
		extend(tcb, prev, seg);
	else
		prev = begin(tcb, link, seg);
	if (!prev) {
		if (MECHANISM(dsack_not_alone))
			tcb->dsack_due =
				false; /* no block would hold it: it would be read as SACK */
		return DROP_TCP_REASS_FULL;
	}
	join_next(tcb, prev);
	note_recent(tcb, prev->seq);
	return DROP_NONE;
}

/* Moves one run's bytes from rcv_nxt on to the receive queue. */
static uint32_t deliver_run(struct tcb *tcb, struct buf *run)
{
	struct buf *last = run->run_last;
	uint32_t moved = 0;

	tcb->reass_runs--;
	for (struct buf *b = run, *next; b; b = next) {
		next = b == last ? NULL : b->next;
		if (seq_le(b->seq + b->len, tcb->rcv_nxt)) {
			trash(tcb, b);
			continue;
		}
		if (seq_lt(b->seq, tcb->rcv_nxt)) {
			uint32_t cut = tcb->rcv_nxt - b->seq;

			b->data += cut;
			b->len -= cut;
			b->seq += cut;
		}
		tcb->reass_mem -= b->cap;
		moved += b->len;
		tcb->rcv_nxt += b->len;
		b->next = NULL;
		buf_queue_push(&tcb->rcvq, b);
	}
	return moved;
}

/* rcv_nxt moved forward: what it reached becomes readable.  Returns the bytes. */
uint32_t reass_drain(struct tcb *tcb)
{
	uint32_t moved = 0;

	while (tcb->reass && seq_le(tcb->reass->seq, tcb->rcv_nxt)) {
		struct buf *run = tcb->reass;

		tcb->reass = run->run_next;
		moved += deliver_run(tcb, run);
	}
	if (!tcb->reass)
		tcb->sack_recent_count = 0;
	return moved;
}
