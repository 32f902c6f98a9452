/* The stack's fragments.  RX threads and the TX thread of the first queue. */
#include "net/stack/frags.h"

#include "net/stack/icmp_out.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"

static void frag_lock(struct frags *f) ACQUIRE(lc_frag) NO_TSA;
static void frag_unlock(struct frags *f) RELEASE(lc_frag) NO_TSA;

static void frag_lock(struct frags *f)
{
	mutex_lock(&f->mu);
}

static void frag_unlock(struct frags *f)
{
	mutex_unlock(&f->mu);
}

void frags_init(struct stack *stack)
{
	struct frags *f = &stack->frags;

	mutex_init(&f->mu);
	atomic_init(&f->due, WEFT_TIME_NEVER);
	HB_ATOMIC(f->due);
	frag_lock(f);
	frag_init(&f->table);
	icmp_bucket_init(&f->bucket, stack->cfg.icmp_rate);
	frag_unlock(f);
}

void frags_fini(struct stack *stack)
{
	struct frags *f = &stack->frags;
	struct buf_queue trash;

	frag_lock(f);
	frag_clear(&f->table);
	trash = f->table.trash;
	f->table.trash = (struct buf_queue){0};
	frag_unlock(f);
	buf_queue_clear(&trash);
	mutex_fini(&f->mu);
}

/* What every use of the table leaves behind. */
struct rest {
	struct buf_queue trash;
	unsigned evicted;
};

static void take_rest(struct stack *stack, struct rest *rest) REQUIRES(lc_frag) EXCLUDES(lc_txq)
{
	struct frag_table *table = &stack->frags.table;

	*rest = (struct rest){.trash = table->trash, .evicted = table->evicted};
	table->trash = (struct buf_queue){0};
	table->evicted = 0;
	/* Under the lock, so that no later time overtakes an earlier one. */
	weft_time_us due = frag_deadline(table);

	if (due == atomic_load_explicit(&stack->frags.due, memory_order_relaxed))
		return;
	atomic_store_explicit(&stack->frags.due, due, memory_order_relaxed);
	txq_set_alarm(&stack->queue[0].txq, due);
}

static void clear_rest(struct stack *stack, struct rest *rest)
{
	buf_queue_clear(&rest->trash);
	for (; rest->evicted > 0; rest->evicted--)
		drop_count(&stack->counters, DROP_IP_FRAG_LIMIT);
}

/* One packet of all pieces, whose references go. */
static struct buf *join(struct stack *stack, struct frag_out *d)
{
	size_t at = d->version == 4 ? IP4_HDR_SIZE : IP6_HDR_SIZE;
	struct buf *whole = buf_new(stack->pool, at + d->size);
	const struct ip_hdr ip = {
		.src = d->src,
		.dst = d->dst,
		.payload_len = (uint16_t)d->size,
		.version = d->version,
		.proto = d->proto,
		.ttl = IP_TTL_DEFAULT, /* nobody looks: those of the fragments may differ */
		.tos = d->tos,
	};

	if (whole) {
		ip_emit(whole->data, &ip);
		for (const struct buf *b = d->pieces.head; b; b = b->next) {
			memcpy(whole->data + at, b->data, b->len);
			at += b->len;
		}
		whole->len = (uint32_t)at;
	}
	buf_queue_clear(&d->pieces);
	return whole;
}

enum drop frags_insert(struct stack *stack, const struct frag_in *in, struct buf **b,
		       weft_time_us now, struct buf **whole)
{
	struct frags *f = &stack->frags;
	struct frag_out out;
	struct rest rest;
	bool is_done;

	*whole = NULL;
	frag_lock(f);
	enum drop why = frag_insert(&f->table, in, b, now, &out, &is_done);

	take_rest(stack, &rest);
	frag_unlock(f);
	clear_rest(stack, &rest);
	buf_put(b);
	if (!is_done)
		return why;
	counter_add(&stack->counters, C_IP_REASSEMBLED, 1);
	*whole = join(stack, &out);
	return *whole ? DROP_NONE : DROP_NO_BUF;
}

/* RFC 1122 3.3.2, RFC 8200 4.5: told to the sender if the first fragment is there, to be quoted. */
static void tell_sender(struct stack *stack, const struct frag_out *out, weft_time_us now)
{
	const struct buf *first = out->pieces.head;
	struct ip_hdr ip;
	struct icmp_msg msg;

	if (!first || first->seq != 0)
		return;
	size_t size = (size_t)(first->data - first->bytes) + first->len;
	enum drop why = ip_parse_any(first->bytes, size, &ip);

	WEFT_ASSERT(why == DROP_NONE); /* it was, when it came */
	ip.proto = out->proto;
	if (!icmp_may_answer(&ip, first->data))
		return;
	icmp_error_msg(&msg, ICMP_TIME_EXCEEDED, ICMP_TIME_REASSEMBLY, 0, &ip, first->bytes);
	drop_count(&stack->counters, icmp_out(stack, 0, &ip.dst, &ip.src, &msg, now));
}

void frags_expire(struct stack *stack, weft_time_us now)
{
	struct frags *f = &stack->frags;
	struct frag_out out;
	struct rest rest;
	bool is_over, may_tell;

	do {
		frag_lock(f);
		is_over = frag_expire(&f->table, now, &out);
		may_tell = is_over && out.pieces.head && icmp_bucket_take(&f->bucket, now);
		take_rest(stack, &rest);
		frag_unlock(f);
		clear_rest(stack, &rest);
		if (!is_over)
			return;
		drop_count(&stack->counters, DROP_IP_FRAG_TIMEOUT);
		if (may_tell)
			tell_sender(stack, &out, now);
		buf_queue_clear(&out.pieces);
	} while (is_over);
}
