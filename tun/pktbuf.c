/*
 * Copied packets and queues of them: see pktbuf.h.  Called by chan.c and fault.c on any thread,
 * under the lock of whoever owns the queue.
 */
#include "tun/pktbuf.h"

#include "tun/iov.h"
#include <stdlib.h>
#include <string.h>

struct pktbuf *pktbuf_new(const struct weft_pkt *pkt)
{
	if (iov_room(pkt) < pkt->len)
		return NULL;
	struct pktbuf *b = malloc(sizeof(*b) + pkt->len);
	if (!b)
		return NULL;
	*b = (struct pktbuf){
		.len = pkt->len,
		.flags = pkt->flags,
		.gso_size = pkt->gso_size,
		.hdr_len = pkt->hdr_len,
		.csum_start = pkt->csum_start,
		.csum_offset = pkt->csum_offset,
	};
	iov_gather(pkt, b->bytes, pkt->len);
	return b;
}

struct pktbuf *pktbuf_dup(const struct pktbuf *from)
{
	struct pktbuf *b = malloc(sizeof(*b) + from->len);

	if (!b)
		return NULL;
	memcpy(b, from, sizeof(*b));
	memcpy(b->bytes, from->bytes, from->len);
	b->next = NULL;
	return b;
}

void pktbuf_store(const struct pktbuf *b, struct weft_pkt *pkt)
{
	size_t done = iov_scatter(pkt, b->bytes, b->len);

	pkt->len = (uint32_t)done;
	pkt->flags = done < b->len ? (uint32_t)WEFT_PKT_BAD : b->flags;
	pkt->gso_size = b->gso_size;
	pkt->hdr_len = b->hdr_len;
	pkt->csum_start = b->csum_start;
	pkt->csum_offset = b->csum_offset;
}

void pktbuf_free(struct pktbuf **b)
{
	free(*b);
	*b = NULL;
}

void pktq_push(struct pktq *q, struct pktbuf *b)
{
	b->next = NULL;
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
	q->count++;
}

struct pktbuf *pktq_pop(struct pktq *q)
{
	struct pktbuf *b = q->head;

	if (!b)
		return NULL;
	q->head = b->next;
	if (!q->head)
		q->tail = NULL;
	q->count--;
	b->next = NULL;
	return b;
}

void pktq_join(struct pktq *to, struct pktq *from)
{
	if (!from->head)
		return;
	if (to->tail)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->count += from->count;
	*from = (struct pktq){0};
}

void pktq_clear(struct pktq *q)
{
	struct pktbuf *b;

	while ((b = pktq_pop(q)) != NULL)
		pktbuf_free(&b);
}
