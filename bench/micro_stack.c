/* micro_stack.c - the TX queue, timers, and buffers, with one thread and with two. */
#include "micro.h"

#include "net/base/buf.h"
#include "net/base/prng.h"
#include "net/base/sync.h"
#include "net/base/wheel.h"
#include "net/stack/conn.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUND = 64, PRODUCERS = 2, BUF_SIZE = 1500 };

/* ---- TX queue. ---- */

struct queue {
	struct stack *stack;
	struct conn *conns[PRODUCERS][ROUND];
	atomic_bool stop;
	atomic_uint next; /* number of the next producer */
};

static int64_t clock_now(void *ctx)
{
	(void)ctx;
	return clock_monotonic_us();
}

static int clock_wait(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	(void)ctx, (void)cond, (void)mutex, (void)deadline;
	return ETIMEDOUT;
}

static void request_all(struct queue *q, unsigned producer)
{
	for (unsigned i = 0; i < ROUND; i++)
		txq_request_quiet(&q->stack->queue[0].txq, q->conns[producer][i]);
}

/* Takes what waits; how many there were. */
static uint64_t take_all(struct queue *q)
{
	struct txq_node *list = txq_take(&q->stack->queue[0].txq, ROUND);
	uint64_t taken = 0;

	for (; list; taken++) {
		struct conn *conn = CONTAINER_OF(list, struct conn, txq);

		list = txq_node_next(list);
		txq_serve(conn);
		conn_put(&conn);
	}
	return taken;
}

static void run_one_producer(void *ctx, uint64_t ops)
{
	uint64_t done = 0;

	while (done < ops) {
		request_all(ctx, 0);
		done += take_all(ctx);
	}
}

static void run_take(void *ctx, uint64_t ops)
{
	uint64_t done = 0;

	while (done < ops)
		done += take_all(ctx);
}

static void *produce_main(void *arg)
{
	struct queue *q = arg;
	unsigned producer = atomic_fetch_add(&q->next, 1);

	while (!atomic_load_explicit(&q->stop, memory_order_relaxed))
		request_all(q, producer);
	return NULL;
}

static void measure_queue(const struct micro *micro)
{
	const struct weft_clock clock = {.now = clock_now, .wait = clock_wait};
	static struct queue q;
	pthread_t thread[PRODUCERS];

	q.stack = calloc(1, sizeof(*q.stack));
	WEFT_ASSERT(q.stack);
	txq_init(&q.stack->queue[0].txq, &clock, &q.stack->counters, ROUND);
	for (unsigned i = 0; i < PRODUCERS * ROUND; i++) {
		struct time_wait *tw = calloc(1, sizeof(*tw));

		WEFT_ASSERT(tw);
		conn_init(&tw->conn, q.stack, CONN_TIME_WAIT, 0);
		q.conns[i / ROUND][i % ROUND] = &tw->conn;
	}
	micro_run(micro, "txq.request_take.1", 0, run_one_producer, &q);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		int rc = thread_start(&thread[i], "producer", produce_main, &q);

		WEFT_ASSERT(rc == 0);
	}
	micro_run(micro, "txq.request_take.2", 0, run_take, &q);
	atomic_store(&q.stop, true);
	for (unsigned i = 0; i < PRODUCERS; i++)
		thread_join(thread[i]);
	while (take_all(&q) > 0)
		continue;
	for (unsigned i = 0; i < PRODUCERS * ROUND; i++)
		conn_put(&q.conns[i / ROUND][i % ROUND]);
	rcu_wait_deferred();
	txq_fini(&q.stack->queue[0].txq);
	free(q.stack);
}

/* ---- Timers: 'count' are armed, at random within 100 s. ---- */

struct timer {
	struct wheel_node node; /* first */
	uint32_t tick;
};

struct timers {
	struct wheel wheel;
	struct timer *timers;
	uint32_t count;
	struct prng prng;
	weft_time_us now;
};

static weft_time_us some_time(struct timers *t)
{
	return t->now + prng_below(&t->prng, 100 * US_PER_S);
}

/* One more timer, armed and taken back, as a connection's retransmission timer is. */
static void run_arm(void *ctx, uint64_t ops)
{
	struct timers *t = ctx;
	struct timer own = {0};

	for (uint64_t i = 0; i < ops; i++) {
		wheel_insert(&t->wheel, &own.node, some_time(t));
		wheel_remove(&t->wheel, &own.node);
	}
}

static void run_move(void *ctx, uint64_t ops)
{
	struct timers *t = ctx;

	for (uint64_t i = 0; i < ops; i++) {
		struct wheel_node *node = &t->timers[prng_below(&t->prng, t->count)].node;

		wheel_remove(&t->wheel, node);
		wheel_insert(&t->wheel, node, some_time(t));
	}
}

/* The first one is due and is armed again, so that there are as many as before. */
static void run_expire(void *ctx, uint64_t ops)
{
	struct timers *t = ctx;
	uint64_t done = 0;

	while (done < ops) {
		unsigned work = UINT32_MAX;

		t->now = time_max(t->now, wheel_next(&t->wheel));
		struct wheel_node *node = wheel_pop(&t->wheel, t->now, &work);

		if (!node)
			continue;
		wheel_insert(&t->wheel, node, some_time(t));
		done++;
	}
}

static void measure_timers(const struct micro *micro, uint32_t count)
{
	static struct timers t;
	char name[64];

	t = (struct timers){.count = count};
	wheel_init(&t.wheel, 0, offsetof(struct timer, tick));
	prng_init(&t.prng, 1);
	t.timers = calloc(count, sizeof(*t.timers));
	WEFT_ASSERT(t.timers);
	for (uint32_t i = 0; i < count; i++)
		wheel_insert(&t.wheel, &t.timers[i].node, some_time(&t));
	(void)snprintf(name, sizeof(name), "timer.arm_cancel.%u", count);
	micro_run(micro, name, 0, run_arm, &t);
	(void)snprintf(name, sizeof(name), "timer.move.%u", count);
	micro_run(micro, name, 0, run_move, &t);
	(void)snprintf(name, sizeof(name), "timer.expire.%u", count);
	micro_run(micro, name, 0, run_expire, &t);
	free(t.timers);
}

/* ---- Buffers. ---- */

struct pool {
	struct bufpool *pool;
	atomic_bool stop;
};

static void run_buf(void *ctx, uint64_t ops)
{
	struct pool *p = ctx;

	for (uint64_t i = 0; i < ops; i++) {
		struct buf *b = buf_new(p->pool, BUF_SIZE);

		WEFT_ASSERT(b);
		buf_put(&b);
	}
}

static void *buf_main(void *arg)
{
	struct pool *p = arg;

	while (!atomic_load_explicit(&p->stop, memory_order_relaxed))
		run_buf(p, ROUND);
	return NULL;
}

static void measure_pool(const struct micro *micro)
{
	static struct pool p;
	pthread_t other;

	p.pool = bufpool_new((size_t)1 << 30);
	WEFT_ASSERT(p.pool);
	micro_run(micro, "buf.new_put.1", 0, run_buf, &p);
	int rc = thread_start(&other, "other", buf_main, &p);

	WEFT_ASSERT(rc == 0);
	micro_run(micro, "buf.new_put.2", 0, run_buf, &p);
	atomic_store(&p.stop, true);
	thread_join(other);
	bufpool_free(p.pool);
}

void micro_stack(const struct micro *micro)
{
	if (micro_wants(micro, "txq"))
		measure_queue(micro);
	for (unsigned i = 0; i < micro->size_count; i++)
		if (micro_wants(micro, "timer"))
			measure_timers(micro, micro->sizes[i]);
	if (micro_wants(micro, "buf"))
		measure_pool(micro);
}
