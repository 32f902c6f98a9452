/*
 * A packet copied into memory of its own, and a first-in first-out queue of such packets: what the
 * in-memory devices and the fault device hold between write and read.  Not thread-safe: the owner
 * of a queue guards it.
 */
#ifndef WEFT_TUN_PKTBUF_H
#define WEFT_TUN_PKTBUF_H

#include "net/base/time.h"
#include "weft/dev.h"
#include <stdint.h>

struct pktbuf {
	struct pktbuf *next; /* queue link */
	weft_time_us due;    /* fault device: when it may go on, or, held back, must */
	uint32_t hold;       /* fault device: packets that must pass before this one */
	uint32_t len;        /* these as in struct weft_pkt */
	uint32_t flags;
	uint16_t gso_size;
	uint16_t hdr_len;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint8_t bytes[];
};

struct pktq {
	struct pktbuf *head;
	struct pktbuf *tail;
	uint32_t count;
};

/* A copy of 'pkt', or NULL: out of memory, or the pieces are shorter than 'len'. */
struct pktbuf *pktbuf_new(const struct weft_pkt *pkt);

/* A copy of a copy; NULL when out of memory. */
struct pktbuf *pktbuf_dup(const struct pktbuf *from);

/*
 * Copies the packet to a reader's 'pkt' with all it carries.  One that does not fit is cut and
 * marked WEFT_PKT_BAD.  'b' stays the caller's.
 */
void pktbuf_store(const struct pktbuf *b, struct weft_pkt *pkt);

/* Frees a packet and clears the caller's pointer. */
void pktbuf_free(struct pktbuf **b);

/* Appends 'b'. */
void pktq_push(struct pktq *q, struct pktbuf *b);

/* Takes the first packet; NULL when empty. */
struct pktbuf *pktq_pop(struct pktq *q);

/* Moves all of 'from' behind 'to'. */
void pktq_join(struct pktq *to, struct pktq *from);

/* Frees what is queued. */
void pktq_clear(struct pktq *q);

#endif
