/*
 * A TX queue: what waits for the emitter of one of the device's queues.  Connections that need output, or a look at their
 * deadline, stand in it at most once; replies without a connection are bounded by a limit.
 *
 * Any thread requests, with or without a socket's lock; the TX thread takes.  A request cannot fail
 * and holds a reference on the connection until the TX thread has served it.
 */
#ifndef WEFT_STACK_TXQ_H
#define WEFT_STACK_TXQ_H

#include "net/base/counters.h"
#include "net/stack/locks.h"
#include <stdatomic.h>
#include <weft/weft.h>

struct conn;

enum txq_kind { TXQ_CONN, TXQ_REPLY };

/* What a connection was queued for (conn.requested). */
enum txq_want { TXQ_NONE, TXQ_TIMER, TXQ_URGENT };

/* One word, because every connection has one. */
struct txq_node {
	uintptr_t word; /* the next node's address, and this node's kind in its lowest bit */
};

static inline void txq_node_init(struct txq_node *node, enum txq_kind kind)
{
	node->word = (uintptr_t)kind;
}

/* Immutable after init. */
static inline enum txq_kind txq_node_kind(const struct txq_node *node)
{
	return (enum txq_kind)(node->word & 1);
}

/* The next node of a list, or NULL. */
static inline struct txq_node *txq_node_next(const struct txq_node *node)
{
	return (struct txq_node *)(node->word & ~(uintptr_t)1);
}

static inline void txq_node_link(struct txq_node *node, struct txq_node *next)
{
	node->word = (uintptr_t)next | (node->word & 1);
}

struct txq {
	struct mutex mu;
	struct cond cond;
	/* Immutable after init. */
	struct weft_clock clock;
	struct counters *counters;
	unsigned reply_max;
	/* Guarded by lc_txq. */
	struct txq_node *head GUARDED_BY(lc_txq);
	struct txq_node *tail GUARDED_BY(lc_txq);
	unsigned replies GUARDED_BY(lc_txq);
	weft_time_us deadline GUARDED_BY(
		lc_txq); /* the first timer in the wheel: the TX thread sleeps no longer */
	weft_time_us alarm GUARDED_BY(lc_txq);    /* the same for what is no connection's */
	weft_time_us promised GUARDED_BY(lc_txq); /* the first timer among the requests */
	weft_time_us
		until GUARDED_BY(lc_txq); /* the TX thread went to sleep, or would, until then */
	atomic_bool urgent; /* something waits that is not a timer alone; written under lc_txq */
	bool asleep GUARDED_BY(lc_txq);   /* the TX thread needs a signal */
	bool stopping GUARDED_BY(lc_txq); /* the TX thread ends when the queue is empty */
	bool stopped GUARDED_BY(lc_txq);  /* nobody takes any more: requests are dropped */
};

void txq_init(struct txq *q, const struct weft_clock *clock, struct counters *counters,
	      unsigned reply_max);
void txq_fini(struct txq *q);

/* Asks the TX thread to visit 'conn'; nothing when it will anyway. */
void txq_request(struct txq *q, struct conn *conn) EXCLUDES(lc_txq);

/*
 * The same without waking the TX thread: the caller calls tx_help as soon as it holds no lock, which
 * serves the request or leaves it to who is at it.
 */
void txq_request_quiet(struct txq *q, struct conn *conn) EXCLUDES(lc_txq);

/*
 * Asks for a visit until 'deadline', for a timer: it waits for the next urgent request or for its
 * time.
 */
void txq_request_timer(struct txq *q, struct conn *conn, weft_time_us deadline) EXCLUDES(lc_txq);

/* Queues a reply, quietly, too; false when the limit is reached or the queue has stopped. */
bool txq_reply(struct txq *q, struct txq_node *reply) EXCLUDES(lc_txq);

/* Emitter: takes up to 'max' nodes that wait, linked by next; NULL when none does. */
struct txq_node *txq_take(struct txq *q, unsigned max) EXCLUDES(lc_txq);

/*
 * Whether something waits that is not a timer alone.  Without the lock, but with a full barrier: what the
 * caller did before is seen by who does something and asks afterwards, or the answer has what he did.
 */
bool txq_pending(struct txq *q) EXCLUDES(lc_txq);

/* The same, and wakes the TX thread: for helpers who have done enough. */
void txq_kick(struct txq *q) EXCLUDES(lc_txq);

/* Emitter: the first timer is due then; wakes the TX thread if it would sleep longer. */
void txq_set_deadline(struct txq *q, weft_time_us deadline) EXCLUDES(lc_txq);

/* The TX thread sleeps no longer than until then, too; WEFT_TIME_NEVER: as before. */
void txq_set_alarm(struct txq *q, weft_time_us alarm) EXCLUDES(lc_txq);

/*
 * TX thread: sleeps until something urgent waits, the first timer is due, or for no reason.  False when the
 * queue was stopped and is empty: it takes no more requests from then on.
 */
bool txq_wait(struct txq *q) EXCLUDES(lc_txq);

/* Emitter, before it serves a connection it took: from here on a new request queues it again. */
void txq_serve(struct conn *conn);

/* Lets the TX thread end after it has served what waits. */
void txq_stop(struct txq *q) EXCLUDES(lc_txq);

#endif
