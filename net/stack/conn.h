/*
 * The common head of everything in the connection table: sockets, listeners, half-open records and
 * TIME-WAIT records.  Reference-counted; docs/RCU.md lists who may hold a reference.
 *
 * Life: made invisible with one reference -> published (the table takes one) -> unlinked exactly
 * once (the table's goes) -> the last conn_put cleans up and defers the free past a grace period.
 */
#ifndef WEFT_STACK_CONN_H
#define WEFT_STACK_CONN_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include "net/base/wheel.h"
#include "net/stack/rcu.h"
#include "net/stack/txq.h"
#include <stdatomic.h>

struct sock;
struct stack;

enum conn_kind {
	CONN_SOCK,
	CONN_LISTENER, /* a socket that listens; flow.remote is all zero */
	CONN_HALF_OPEN,
	CONN_TIME_WAIT,
	CONN_EPSET, /* never in the table */
	CONN_DGRAM, /* a datagram socket; never in the connection table */
	CONN_KIND_COUNT
};

/* In an order without gaps: there are very many of them. */
struct conn {
	struct cds_lfht_node node;

	/* Immutable after init; conn_stack looks at both. */
	union {
		struct stack *stack;   /* all but CONN_HALF_OPEN */
		struct sock *listener; /* CONN_HALF_OPEN, with a reference; has the stack */
	};

	union {
		/* The queue's emitter only.  An armed timer holds a reference. */
		struct wheel_node timer;
		/* After the last reference. */
		struct rcu_head rcu;
	};
	/* Guarded by lc_txq. */
	struct txq_node txq;
	/* Immutable while in the table. */
	struct flow flow;
	/* Emitter only. */
	uint32_t tick; /* the timer's */
	/* Atomic. */
	atomic_uint refs;
	atomic_uchar kind;      /* enum conn_kind; changes only outside the table */
	atomic_uchar requested; /* enum txq_want: stands in the TX queue, or is about to */
	/* Immutable after init. */
	uint8_t queue; /* whose emitter sends for it and has its timer */
	bool record_linked GUARDED_BY(lc_timewait); /* CONN_TIME_WAIT: in the table */
};

static_assert(sizeof(struct conn) <= 96, "every connection and record has one");

/* From a conn's timer to its tick, for the wheel. */
#define CONN_TICK_AT                                                                               \
	((ptrdiff_t)offsetof(struct conn, tick) - (ptrdiff_t)offsetof(struct conn, timer))

/*
 * Prepares a zeroed object with one reference and counts it among the stack's objects.  For a
 * half-open record 'listener' is set afterwards.
 */
void conn_init(struct conn *conn, struct stack *stack, enum conn_kind kind, unsigned queue);

/* The stack of any kind of entry. */
struct stack *conn_stack(const struct conn *conn);

static inline enum conn_kind conn_kind(const struct conn *conn)
{
	return (enum conn_kind)atomic_load_explicit(&conn->kind, memory_order_relaxed);
}

/* One more reference for a caller who has one, or whose container has one under its lock. */
struct conn *conn_get(struct conn *conn);

/* A reference unless the object is dying.  Inside an RCU section, on what was found there. */
bool conn_tryget(struct conn *conn) REQUIRES_SHARED(rcu_section);

/*
 * Drops a reference and clears the caller's pointer (NULL: nothing).  The last one cleans up, which
 * takes leaf locks only, and frees after a grace period.
 */
void conn_put(struct conn **cp);

/* The end of the last put: 'reclaim' frees the object and calls conn_freed. */
void conn_defer_free(struct conn *conn, void (*reclaim)(struct rcu_head *head));
void conn_freed(struct stack *stack);

#endif
