/*
 * The TX queue: what waits for the emitter.  Connections that need output, or a look at their
 * deadline, stand in it at most once; replies without a connection are bounded by a limit.
 *
 * Any thread requests, with or without a socket's lock; the TX thread takes.  A request cannot fail
 * and holds a reference on the connection until the TX thread has served it.
 */
#ifndef WEFT_STACK_TXQ_H
#define WEFT_STACK_TXQ_H

#include "net/base/counters.h"
#include "net/stack/locks.h"
#include <weft/weft.h>

struct conn;

enum txq_kind { TXQ_CONN, TXQ_REPLY };

struct txq_node {
	struct txq_node *next;
	enum txq_kind kind; /* immutable after init */
};

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
	bool asleep GUARDED_BY(lc_txq);   /* the TX thread needs a signal */
	bool stopping GUARDED_BY(lc_txq); /* the TX thread ends when the queue is empty */
	bool stopped GUARDED_BY(lc_txq);  /* nobody takes any more: requests are dropped */
};

void txq_init(struct txq *q, const struct weft_clock *clock, struct counters *counters,
	      unsigned reply_max);
void txq_fini(struct txq *q);

/* Asks the TX thread to visit 'conn'; nothing when it will anyway. */
void txq_request(struct txq *q, struct conn *conn) EXCLUDES(lc_txq);

/* Queues a reply; false when the limit is reached or the queue has stopped. */
bool txq_reply(struct txq *q, struct txq_node *reply) EXCLUDES(lc_txq);

/*
 * TX thread: takes everything that waits, in order, as a list by 'next'; NULL when 'deadline' has
 * come.  Sleeps while there is neither.  '*stop': the queue is empty and to be stopped; further
 * requests are dropped from then on.
 */
struct txq_node *txq_take(struct txq *q, weft_time_us deadline, bool *stop) EXCLUDES(lc_txq);

/* TX thread, before it serves a connection it took: from here on a new request queues it again. */
void txq_serve(struct conn *conn);

/* Lets the TX thread end after it has served what waits. */
void txq_stop(struct txq *q) EXCLUDES(lc_txq);

#endif
