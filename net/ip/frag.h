/*
 * Reassembly of IPv4 and IPv6 fragments (RFC 791, RFC 815, RFC 8200 4.5).  Pure: buffers come in and go
 * out, time is an argument; the owner serialises access and empties the trash.
 *
 * Both versions follow RFC 5722: a fragment that overlaps what is there, or contradicts the length
 * that was known, ends the datagram, and whatever else comes of it until its time is over is dropped,
 * too.  A fragment that came twice is no overlap.
 *
 * What an enemy can make us keep is bounded (ADR 18): datagrams in all and of one source, fragments of a
 * datagram, memory.  At the bound the oldest goes, of the same source first.
 */
#ifndef WEFT_IP_FRAG_H
#define WEFT_IP_FRAG_H

#include "net/base/addr.h"
#include "net/base/buf.h"
#include "net/base/drop.h"
#include "net/base/khash.h"
#include "net/base/time.h"
#include <stdbool.h>

enum {
	FRAG_DATAGRAMS = 128,   /* incomplete ones at a time */
	FRAG_PER_SOURCE = 16,   /* of them from one address */
	FRAG_PIECES = 128,      /* fragments of a datagram */
	FRAG_MEM_MAX = 4 << 20, /* bytes of all buffers */
	FRAG_SIZE_MAX = 65535,  /* of a datagram's payload; IPv4's header comes off */
	FRAG_TIMEOUT_S = 60,    /* since the first that came (RFC 8200 4.5, RFC 1122 3.3.2) */
};

/* A fragment that came; its bytes are the buffer's window. */
struct frag_in {
	struct addr src;
	struct addr dst;
	uint32_t id;
	uint8_t version;
	uint8_t proto;   /* IPv4: part of the key; IPv6: counts in the first fragment only */
	uint8_t tos;     /* for the ECN field */
	uint8_t hdr_len; /* IPv4: header bytes, for the limit of 65,535 in all */
	bool more;
	uint16_t offset; /* bytes */
};

/* A datagram: complete, or over. */
struct frag_out {
	struct addr src;
	struct addr dst;
	struct buf_queue pieces; /* in order, each with its reference */
	uint32_t size;           /* bytes in all, if complete */
	uint32_t id;
	uint8_t version;
	uint8_t proto;
	uint8_t tos;
};

struct frag_datagram {
	struct frag_out d;
	weft_time_us deadline; /* 0: the place is free */
	uint32_t total;        /* bytes, when the last fragment has come; else 0 */
	uint32_t got;
	uint32_t mem;
	uint16_t count;
	uint8_t ecn;  /* a bit for each value of the ECN field seen */
	bool is_dead; /* nothing more is taken */
};

struct frag_table {
	unsigned used;
	uint32_t mem;
	unsigned evicted;       /* datagrams that made room; the owner counts and zeroes */
	struct buf_queue trash; /* the owner empties */
	struct frag_datagram datagram[FRAG_DATAGRAMS];
};

void frag_init(struct frag_table *table);

/* Everything goes to the trash. */
void frag_clear(struct frag_table *table);

/*
 * Takes the fragment in '*b' (sets it to NULL), unless it is refused: DROP_IP_FRAG_SIZE, _OVERLAP,
 * _DUP, _LIMIT; with _ECN it was the last one, and all are thrown away.  'is_done': that was the last one, and '*out' has the datagram and its buffers.
 */
enum drop frag_insert(struct frag_table *table, const struct frag_in *in, struct buf **b,
		      weft_time_us now, struct frag_out *out, bool *is_done);

/* When the next datagram's time is over; WEFT_TIME_NEVER: there is none. */
weft_time_us frag_deadline(const struct frag_table *table);

/*
 * Takes a datagram out whose time is over; false when there is none.  'out->pieces' begins with the
 * first fragment if that has come (its seq is 0): then Time Exceeded is due.
 */
bool frag_expire(struct frag_table *table, weft_time_us now, struct frag_out *out);

#endif
