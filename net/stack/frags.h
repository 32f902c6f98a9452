/*
 * The stack's fragments on their way to being datagrams (net/ip/frag.h): the table with its lock, and
 * what happens when a datagram's time is over.  RX threads bring fragments; the TX thread of the first
 * queue looks when the next one is due.
 */
#ifndef WEFT_STACK_FRAGS_H
#define WEFT_STACK_FRAGS_H

#include "net/ip/frag.h"
#include "net/ip/icmp_policy.h"
#include "net/stack/locks.h"

struct stack;

struct frags {
	struct mutex mu;
	_Atomic weft_time_us due; /* the next datagram's end: a hint, to save the lock */
	struct frag_table table GUARDED_BY(lc_frag);
	struct icmp_bucket bucket GUARDED_BY(lc_frag); /* for Time Exceeded */
};

void frags_init(struct stack *stack);

/* Gives all buffers back; nobody else is there any more. */
void frags_fini(struct stack *stack);

/*
 * Takes a fragment, whose buffer has the whole packet and its window on what the fragment carries.
 * '*whole': the packet that is complete now, without extension headers before the fragment's, or
 * NULL.
 */
enum drop frags_insert(struct stack *stack, const struct frag_in *in, struct buf **b,
		       weft_time_us now, struct buf **whole) EXCLUDES(lc_frag, lc_txq);

/* TX thread: whether to call frags_expire, which ends what is due. */
static inline bool frags_is_due(const struct frags *f, weft_time_us now)
{
	return atomic_load_explicit(&f->due, memory_order_relaxed) <= now;
}

void frags_expire(struct stack *stack, weft_time_us now) EXCLUDES(lc_frag, lc_txq);

#endif
