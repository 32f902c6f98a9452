/*
 * The send queue: buffers from snd_una to snd_end, each knowing the sequence number of its first
 * byte.  Retransmission needs no copy: a segment is a list of views on the queue.
 */
#include "net/tcp/parts.h"

/* Frees what snd_una passed. */
void sendq_acked(struct tcb *tcb)
{
	struct buf_queue *q = &tcb->sndq;
	struct scoreboard *sb = tcb->sb;

	while (q->head && seq_le(q->head->seq + q->head->len, tcb->snd_una)) {
		if (sb && sb->cursor == q->head)
			sb->cursor = NULL;
		buf_queue_push(&tcb->trash, buf_queue_pop(q));
	}
	struct buf *head = q->head;
	if (head && seq_lt(head->seq, tcb->snd_una)) {
		uint32_t cut = tcb->snd_una - head->seq;

		head->data += cut;
		head->len -= cut;
		head->seq += cut;
		q->bytes -= cut;
	}
}

/* The buffer that holds 'seq'; remembers it, since the next segment begins near. */
static struct buf *find(struct tcb *tcb, uint32_t seq)
{
	struct scoreboard *sb = tcb->sb;
	struct buf *b = sb ? sb->cursor : NULL;

	if (!b || seq_gt(b->seq, seq))
		b = tcb->sndq.head;
	while (b && seq_le(b->seq + b->len, seq))
		b = b->next;
	if (sb)
		sb->cursor = b;
	return b;
}

/*
 * Describes '*len' bytes from 'seq' on in at most TCP_VIEWS_MAX views; shortens '*len' when they do
 * not suffice.  Returns the number of views.
 */
unsigned sendq_views(struct tcb *tcb, uint32_t seq, uint32_t *len, struct view *views)
{
	unsigned count = 0;
	uint32_t left = *len;
	struct buf *b = find(tcb, seq);

	while (left > 0 && b && count < TCP_VIEWS_MAX) {
		uint32_t skip = seq - b->seq;
		uint32_t take = b->len - skip < left ? b->len - skip : left;

		views[count++] = (struct view){.buf = b, .data = b->data + skip, .len = take};
		seq += take;
		left -= take;
		b = b->next;
	}
	*len -= left;
	return count;
}
