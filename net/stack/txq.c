/*
 * The TX queue.  Any thread puts in, the TX thread takes out.
 *
 * At most once: 'requested' is set by whoever queues the connection and cleared by the TX thread
 * before it locks the connection.  A requester that finds it set has changed the connection before
 * the TX thread locks it, so the change is served by that visit; one that finds it clear queues.
 *
 * Requests that only move a timer forward are not urgent: they stay until somebody serves urgent
 * ones, or their time comes.  As a rule the connection's next output is earlier, and one visit serves
 * both.  An urgent request for a connection that stands in the queue for its timer makes the queue
 * urgent; one that comes before that connection was linked leaves its mark in 'requested'.
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
	q->deadline = WEFT_TIME_NEVER;
	q->alarm = WEFT_TIME_NEVER;
	q->promised = WEFT_TIME_NEVER;
	q->until = WEFT_TIME_NEVER;
	atomic_init(&q->urgent, false);
	HB_ATOMIC(q->urgent);
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

static bool is_urgent(const struct txq *q)
{
	return atomic_load_explicit(&q->urgent, memory_order_relaxed);
}

static void set_urgent(struct txq *q, bool is_urgent) REQUIRES(lc_txq)
{
	atomic_store_explicit(&q->urgent, is_urgent, memory_order_relaxed);
}

static void wake(struct txq *q) REQUIRES(lc_txq)
{
	if (!q->asleep)
		return;
	q->asleep = false;
	counter_add(q->counters, C_TX_WAKES, 1);
	cond_signal(&q->cond);
}

static void push(struct txq *q, struct txq_node *node) REQUIRES(lc_txq)
{
	txq_node_link(node, NULL);
	if (q->tail)
		txq_node_link(q->tail, node);
	else
		q->head = node;
	q->tail = node;
}

/* Whether the queue takes the connection, which gets a reference then. */
static bool enqueue(struct txq *q, struct conn *conn) REQUIRES(lc_txq)
{
	if (q->stopped)
		return false;
	conn_get(conn);
	push(q, &conn->txq);
	counter_add(q->counters, C_TX_REQUESTS, 1);
	return true;
}

static void request(struct txq *q, struct conn *conn, bool is_quiet)
{
	unsigned before =
		atomic_exchange_explicit(&conn->requested, TXQ_URGENT, memory_order_acq_rel);

	if (before == TXQ_URGENT)
		return;
	HB_AFTER(&conn->requested);
	txq_lock(q);
	/* For its timer it stands there, or is about to. */
	if (before == TXQ_TIMER || enqueue(q, conn)) {
		set_urgent(q, true);
		if (!is_quiet)
			wake(q);
	}
	txq_unlock(q);
}

void txq_request_timer(struct txq *q, struct conn *conn, weft_time_us deadline)
{
	unsigned char before = TXQ_NONE;
	bool is_first = atomic_compare_exchange_strong_explicit(
		&conn->requested, &before, TXQ_TIMER, memory_order_acq_rel, memory_order_acquire);

	if (before == TXQ_URGENT)
		return;
	HB_AFTER(&conn->requested);
	txq_lock(q);
	if (!is_first || enqueue(q, conn)) {
		q->promised = time_min(q->promised, deadline);
		if (atomic_load_explicit(&conn->requested, memory_order_relaxed) == TXQ_URGENT)
			set_urgent(q, true);
		if (is_urgent(q) || q->promised < q->until)
			wake(q);
	}
	txq_unlock(q);
}

void txq_request(struct txq *q, struct conn *conn)
{
	request(q, conn, false);
}

void txq_request_quiet(struct txq *q, struct conn *conn)
{
	request(q, conn, true);
}

bool txq_reply(struct txq *q, struct txq_node *reply)
{
	WEFT_ASSERT(txq_node_kind(reply) == TXQ_REPLY);
	txq_lock(q);
	bool has_room = !q->stopped && q->replies < q->reply_max;

	if (has_room) {
		q->replies++;
		push(q, reply);
		set_urgent(q, true);
	}
	txq_unlock(q);
	return has_room;
}

struct txq_node *txq_take(struct txq *q, unsigned max)
{
	txq_lock(q);
	struct txq_node *list = q->head;
	struct txq_node *last = NULL;

	for (struct txq_node *node = list; node && max > 0; node = txq_node_next(node), max--) {
		last = node;
		q->replies -= txq_node_kind(node) == TXQ_REPLY;
	}
	if (last) {
		q->head = txq_node_next(last);
		txq_node_link(last, NULL);
	}
	if (!q->head) {
		q->tail = NULL;
		set_urgent(q, false);
	}
	txq_unlock(q);
	return list;
}

bool txq_pending(struct txq *q)
{
	/* Against the emitter's role, which the caller has given back, or tries to take next. */
	atomic_thread_fence(memory_order_seq_cst);
	return is_urgent(q);
}

void txq_kick(struct txq *q)
{
	if (!txq_pending(q))
		return;
	txq_lock(q);
	if (is_urgent(q))
		wake(q);
	txq_unlock(q);
}

void txq_set_deadline(struct txq *q, weft_time_us deadline)
{
	txq_lock(q);
	q->deadline = deadline;
	if (deadline < q->until)
		wake(q);
	txq_unlock(q);
}

void txq_set_alarm(struct txq *q, weft_time_us alarm)
{
	txq_lock(q);
	q->alarm = alarm;
	if (alarm < q->until)
		wake(q);
	txq_unlock(q);
}

/*
 * Sleeps until woken, the first timer, or for no reason; false when the timer is due.  A promise
 * outlives the visit that it was made for: raised with each visit, the next promise would be the
 * earlier one again, and wake the TX thread.
 */
static bool sleep_once(struct txq *q) REQUIRES(lc_txq) NO_TSA
{
	q->asleep = true;
	q->until = time_min(time_min(q->deadline, q->alarm), q->promised);
	bool in_time = cond_wait_by_clock(&q->cond, &q->mu, q->clock.wait, q->clock.ctx, q->until);

	q->asleep = false;
	if (!in_time) {
		q->promised = WEFT_TIME_NEVER;
		set_urgent(q, q->head != NULL);
	}
	return in_time;
}

bool txq_wait(struct txq *q)
{
	txq_lock(q);
	while (!is_urgent(q) && !q->stopping && sleep_once(q))
		continue;
	bool goes_on = q->head || !q->stopping;

	if (!goes_on)
		q->stopped = true;
	txq_unlock(q);
	return goes_on;
}

void txq_serve(struct conn *conn)
{
	HB_BEFORE(&conn->requested);
	unsigned before =
		atomic_exchange_explicit(&conn->requested, TXQ_NONE, memory_order_acq_rel);

	WEFT_ASSERT(before != TXQ_NONE);
}

void txq_stop(struct txq *q)
{
	txq_lock(q);
	q->stopping = true;
	cond_signal(&q->cond);
	txq_unlock(q);
}
