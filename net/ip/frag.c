/*
 * Reassembly.  RX threads, and the emitter for what is over, under the stack's lock for it.
 *
 * A datagram's buffers are sorted by offset, which is kept in buf.seq; buf.run_end is their end.
 */
#include "net/ip/frag.h"

#include "net/base/check.h"
#include "net/base/mechanism.h"

enum {
	ECN_MASK = 3,
	ECN_NOT_ECT = 0,
	ECN_CE = 3,
};

void frag_init(struct frag_table *table)
{
	memset(table, 0, sizeof(*table));
}

/* ---- Places. ---- */

/* Gives the buffers away; the place stays. */
static void drop_pieces(struct frag_table *table, struct frag_datagram *d)
{
	buf_queue_join(&table->trash, &d->d.pieces);
	table->mem -= d->mem;
	d->mem = 0;
	d->count = 0;
	d->got = 0;
}

static void free_place(struct frag_table *table, struct frag_datagram *d)
{
	drop_pieces(table, d);
	d->deadline = 0;
	table->used--;
}

static void evict(struct frag_table *table, struct frag_datagram *d)
{
	table->evicted += !d->is_dead;
	free_place(table, d);
}

void frag_clear(struct frag_table *table)
{
	for (unsigned i = 0; i < FRAG_DATAGRAMS; i++)
		if (table->datagram[i].deadline != 0)
			free_place(table, &table->datagram[i]);
}

static bool is_of(const struct frag_datagram *d, const struct frag_in *in)
{
	return d->deadline != 0 && d->d.id == in->id && d->d.version == in->version &&
	       (in->version == 6 || d->d.proto == in->proto) && addr_equal(&d->d.src, &in->src) &&
	       addr_equal(&d->d.dst, &in->dst);
}

static struct frag_datagram *find(struct frag_table *table, const struct frag_in *in)
{
	if (table->used == 0)
		return NULL;
	for (unsigned i = 0; i < FRAG_DATAGRAMS; i++)
		if (is_of(&table->datagram[i], in))
			return &table->datagram[i];
	return NULL;
}

/* The oldest, 'except' aside, if 'src' is given of that source; its number in '*count'. */
static struct frag_datagram *oldest(struct frag_table *table, const struct addr *src,
				    const struct frag_datagram *except, unsigned *count)
{
	struct frag_datagram *first = NULL;

	*count = 0;
	for (unsigned i = 0; i < FRAG_DATAGRAMS; i++) {
		struct frag_datagram *d = &table->datagram[i];

		if (d->deadline == 0 || d == except || (src && !addr_equal(&d->d.src, src)))
			continue;
		++*count;
		if (!first || d->deadline < first->deadline)
			first = d;
	}
	return first;
}

/* A place for a datagram that nobody knows yet. */
static struct frag_datagram *make(struct frag_table *table, const struct frag_in *in,
				  weft_time_us now)
{
	struct frag_datagram *d = table->datagram;
	unsigned count;
	struct frag_datagram *victim = oldest(table, &in->src, NULL, &count);

	if (count >= FRAG_PER_SOURCE && MECHANISM(frag_per_source))
		evict(table, victim);
	else if (table->used == FRAG_DATAGRAMS)
		evict(table, oldest(table, NULL, NULL, &count));
	while (d->deadline != 0)
		d++;
	*d = (struct frag_datagram){
		.d = {.src = in->src,
		      .dst = in->dst,
		      .id = in->id,
		      .version = in->version,
		      .proto = in->proto,
		      .tos = in->tos},
		.deadline = now + FRAG_TIMEOUT_S * (weft_time_us)US_PER_S,
	};
	table->used++;
	return d;
}

/* ---- Fragments. ---- */

/* The datagram is no good any more, nor what else comes of it (RFC 5722 4). */
static enum drop kill(struct frag_table *table, struct frag_datagram *d, enum drop why)
{
	drop_pieces(table, d);
	d->is_dead = true;
	return why;
}

/* The buffer behind which [offset, end) belongs, NULL: the front; false: it overlaps. */
static bool find_place(const struct frag_datagram *d, uint32_t offset, uint32_t end,
		       struct buf **after)
{
	struct buf *next = d->d.pieces.head;

	*after = NULL;
	/* In order is the usual case. */
	if (d->d.pieces.tail && d->d.pieces.tail->run_end <= offset) {
		*after = d->d.pieces.tail;
		return true;
	}
	while (next && next->run_end <= offset) {
		*after = next;
		next = next->next;
	}
	return !next || end <= next->seq || !MECHANISM(frag_overlap);
}

/* Whether a fragment with the same place and bytes is there. */
static bool is_repeated(const struct frag_datagram *d, uint32_t offset, const struct buf *b)
{
	const struct buf *have = d->d.pieces.head;

	while (have && have->seq < offset)
		have = have->next;
	return have && have->seq == offset && have->len == b->len &&
	       memcmp(have->data, b->data, b->len) == 0;
}

static void link_piece(struct frag_table *table, struct frag_datagram *d, struct buf *after,
		       struct buf *b)
{
	struct buf_queue *q = &d->d.pieces;

	if (!after || !after->next) {
		struct buf_queue rest = {0};

		if (!after) {
			rest = *q;
			*q = (struct buf_queue){0};
		}
		buf_queue_push(q, b);
		buf_queue_join(q, &rest);
	} else {
		b->next = after->next;
		after->next = b;
		q->bytes += b->len;
		q->mem += b->cap;
	}
	d->got += b->len;
	d->mem += b->cap;
	d->count++;
	table->mem += b->cap;
}

/* Whether what is known of the whole length allows the fragment; notes the length from the last. */
static bool fits_length(struct frag_datagram *d, const struct frag_in *in, uint32_t end)
{
	const struct buf *tail = d->d.pieces.tail;

	if (d->total != 0)
		return in->more ? end <= d->total && end != d->total : end == d->total;
	if (in->more)
		return true;
	d->total = end;
	return !tail || tail->run_end <= end;
}

/* RFC 3168 5.3: CE survives; with a fragment of a sender that has no ECN it is a contradiction. */
static bool merge_ecn(struct frag_datagram *d)
{
	if (!(d->ecn & 1u << ECN_CE))
		return true;
	if (d->ecn & 1u << ECN_NOT_ECT && MECHANISM(frag_ecn_mixed))
		return false;
	if (MECHANISM(frag_ecn))
		d->d.tos |= ECN_CE;
	return true;
}

/* Others make room for what came of 'd'. */
static bool bound_mem(struct frag_table *table, const struct frag_datagram *d, uint32_t more)
{
	unsigned count;

	while (table->mem + more > FRAG_MEM_MAX && MECHANISM(frag_mem)) {
		struct frag_datagram *victim = oldest(table, NULL, d, &count);

		if (!victim)
			return false;
		evict(table, victim);
	}
	return true;
}

static enum drop insert_into(struct frag_table *table, struct frag_datagram *d,
			     const struct frag_in *in, struct buf **b)
{
	uint32_t end = in->offset + (*b)->len;
	struct buf *after;

	if (d->is_dead && MECHANISM(frag_dead))
		return DROP_IP_FRAG_OVERLAP;
	if (is_repeated(d, in->offset, *b) && MECHANISM(frag_repeated) &&
	    (in->more ? end != d->total : end == d->total))
		return DROP_IP_FRAG_DUP;
	if (!fits_length(d, in, end) && MECHANISM(frag_length))
		return kill(table, d, DROP_IP_FRAG_SIZE);
	if (!find_place(d, in->offset, end, &after))
		return kill(table, d, DROP_IP_FRAG_OVERLAP);
	if ((d->count == FRAG_PIECES && MECHANISM(frag_pieces)) || !bound_mem(table, d, (*b)->cap))
		return kill(table, d, DROP_IP_FRAG_LIMIT);
	if (in->offset == 0) {
		d->d.proto = in->proto;
		d->d.tos = (uint8_t)(in->tos & ~ECN_MASK) | (d->d.tos & ECN_MASK);
	}
	d->ecn |= (uint8_t)(1u << (in->tos & ECN_MASK));
	(*b)->seq = in->offset;
	(*b)->run_end = end;
	link_piece(table, d, after, *b);
	*b = NULL;
	return DROP_NONE;
}

enum drop frag_insert(struct frag_table *table, const struct frag_in *in, struct buf **b,
		      weft_time_us now, struct frag_out *out, bool *is_done)
{
	uint32_t len = (*b)->len;

	*is_done = false;
	if ((len == 0 || (in->more && len % 8 != 0) ||
	     in->offset + len > FRAG_SIZE_MAX - (uint32_t)in->hdr_len) &&
	    MECHANISM(frag_size))
		return DROP_IP_FRAG_SIZE;
	struct frag_datagram *d = find(table, in);

	if (d && d->deadline <= now) { /* over, and nobody has looked */
		evict(table, d);
		d = NULL;
	}
	if (!d)
		d = make(table, in, now);
	enum drop why = insert_into(table, d, in, b);

	if (why != DROP_NONE || d->total == 0 || d->got != d->total)
		return why;
	if (!merge_ecn(d))
		return kill(table, d, DROP_IP_FRAG_ECN);
	d->d.size = d->total;
	*out = d->d;
	*is_done = true;
	d->d.pieces = (struct buf_queue){0};
	free_place(table, d);
	return DROP_NONE;
}

/* ---- Time. ---- */

weft_time_us frag_deadline(const struct frag_table *table)
{
	weft_time_us first = WEFT_TIME_NEVER;

	for (unsigned i = 0; i < FRAG_DATAGRAMS && table->used > 0; i++)
		if (table->datagram[i].deadline != 0)
			first = time_min(first, table->datagram[i].deadline);
	return first;
}

bool frag_expire(struct frag_table *table, weft_time_us now, struct frag_out *out)
{
	unsigned count;
	struct frag_datagram *d = oldest(table, NULL, NULL, &count);

	if (!d || d->deadline > now || !MECHANISM(frag_timeout))
		return false;
	*out = d->d;
	table->mem -= d->mem;
	d->mem = 0;
	d->d.pieces = (struct buf_queue){0};
	free_place(table, d);
	return true;
}
