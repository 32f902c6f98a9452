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
#include "net/base/heap.h"
#include "net/stack/rcu.h"
#include "net/stack/txq.h"
#include <stdatomic.h>

struct stack;

enum conn_kind {
	CONN_SOCK,
	CONN_LISTENER, /* a socket that listens; flow.remote is all zero */
	CONN_HALF_OPEN,
	CONN_TIME_WAIT,
	CONN_KIND_COUNT
};

struct conn {
	struct cds_lfht_node node;
	struct rcu_head rcu;
	/* Immutable after init. */
	struct stack *stack;
	/* Immutable while in the table. */
	struct flow flow;
	/* Atomic. */
	atomic_uint refs;
	atomic_uchar kind;     /* enum conn_kind; changes only outside the table */
	atomic_bool requested; /* stands in the TX queue, or is about to */
	/* Guarded by lc_txq. */
	struct txq_node txq;
	/* TX thread only.  An armed timer holds a reference. */
	struct heap_node timer;
};

/* Prepares a zeroed object with one reference and counts it among the stack's objects. */
void conn_init(struct conn *conn, struct stack *stack, enum conn_kind kind);

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
