/*
 * The TX queue.  Any thread puts in, the TX thread takes out.
 *
 * At most once: 'requested' is set by whoever queues the connection and cleared by the TX thread
 * before it locks the connection.  A requester that finds it set has changed the connection before
 * the TX thread locks it, so the change is served by that visit; one that finds it clear queues.
 *
 * No lost wake-up: 'asleep' is written under the queue's mutex only, by the TX thread before it
 * waits and by the first requester, who signals.
 */
#include "net/stack/txq.h"

#include "net/base/check.h"
#include "net/stack/conn.h"

static void txq_lock(struct txq *q) ACQUIRE(lc_txq) EXCLUDES(lc_socks, rcu_section) NO_TSA;
static void txq_unlock(struct txq *q) RELEASE(lc_txq) NO_TSA;

static void txq_lock(struct txq *q)
{
	mutex_lock(&q->mu);
}

static void txq_unlock(struct txq *q)
{
	mutex_unlock(&q->mu);
}

void txq_init(struct txq *q, const struct weft_clock *clock, struct counters *counters,
	      unsigned reply_max)
{
	mutex_init(&q->mu);
	cond_init(&q->cond);
	q->clock = *clock;
	q->counters = counters;
	q->reply_max = reply_max;
	txq_lock(q);
	q->head = NULL;
	q->tail = NULL;
	q->replies = 0;
	q->asleep = false;
	q->stopping = false;
	q->stopped = false;
	txq_unlock(q);
}

void txq_fini(struct txq *q)
{
	cond_fini(&q->cond);
	mutex_fini(&q->mu);
}

static void push(struct txq *q, struct txq_node *node) REQUIRES(lc_txq)
{
	node->next = NULL;
	if (q->tail)
		q->tail->next = node;
	else
		q->head = node;
	q->tail = node;
	if (q->asleep) {
		q->asleep = false;
		counter_add(q->counters, C_TX_WAKES, 1);
		cond_signal(&q->cond);
	}
}

void txq_request(struct txq *q, struct conn *conn)
{
	if (atomic_exchange_explicit(&conn->requested, true, memory_order_acq_rel))
		return;
	HB_AFTER(&conn->requested);
	txq_lock(q);
	bool is_open = !q->stopped;

	if (is_open) {
		conn_get(conn);
		push(q, &conn->txq);
	}
	txq_unlock(q);
	if (is_open)
		counter_add(q->counters, C_TX_REQUESTS, 1);
}

bool txq_reply(struct txq *q, struct txq_node *reply)
{
	WEFT_ASSERT(reply->kind == TXQ_REPLY);
	txq_lock(q);
	bool has_room = !q->stopped && q->replies < q->reply_max;

	if (has_room) {
		q->replies++;
		push(q, reply);
	}
	txq_unlock(q);
	return has_room;
}

/* Sleeps until a request, the deadline, the stop or for no reason. */
static bool wait_until(struct txq *q, weft_time_us deadline) REQUIRES(lc_txq) NO_TSA
{
	q->asleep = true;
	int rc = q->clock.wait(q->clock.ctx, &q->cond.c, &q->mu.m, deadline);

	q->asleep = false;
	return rc == 0;
}

struct txq_node *txq_take(struct txq *q, weft_time_us deadline, bool *stop)
{
	txq_lock(q);
	while (!q->head && !q->stopping && wait_until(q, deadline))
		continue;
	struct txq_node *list = q->head;

	q->head = NULL;
	q->tail = NULL;
	q->replies = 0;
	*stop = !list && q->stopping;
	if (*stop)
		q->stopped = true;
	txq_unlock(q);
	return list;
}

void txq_serve(struct conn *conn)
{
	HB_BEFORE(&conn->requested);
	bool was_requested =
		atomic_exchange_explicit(&conn->requested, false, memory_order_acq_rel);

	WEFT_ASSERT(was_requested);
}

void txq_stop(struct txq *q)
{
	txq_lock(q);
	q->stopping = true;
	cond_signal(&q->cond);
	txq_unlock(q);
}
