/* The TX queue: at most once, order, bounded replies, deadlines, no lost wake-up. */
#include "net/stack/reply.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include "rig.h"

struct bench {
	struct stack *stack;
	struct txq *q;
};

static struct conn *record(struct stack *stack)
{
	struct time_wait *tw = calloc(1, sizeof(*tw));

	conn_init(&tw->conn, stack, CONN_TIME_WAIT, 0);
	return &tw->conn;
}

/* Drops one reference; the caller's pointer may have others. */
static void drop(struct conn *conn)
{
	conn_put(&conn);
}

static void open_bench(struct bench *b, unsigned reply_max)
{
	struct rig_config config = rig_config_default();

	b->stack = calloc(1, sizeof(*b->stack));
	b->q = &b->stack->queue[0].txq;
	txq_init(b->q, &config.stack.clock, &b->stack->counters, reply_max);
}

static void close_bench(struct bench *b)
{
	txq_fini(b->q);
	rcu_wait_deferred();
	CU_ASSERT_EQUAL(atomic_load(&b->stack->objects), 0);
	free(b->stack);
}

static void test_at_most_once(void)
{
	struct bench b;

	open_bench(&b, 4);
	struct conn *c[2] = {record(b.stack), record(b.stack)};

	for (int i = 0; i < 10; i++) {
		txq_request(b.q, c[1]);
		txq_request_quiet(b.q, c[0]);
	}
	CU_ASSERT_EQUAL(atomic_load(&c[0]->refs), 2);
	CU_ASSERT_TRUE(txq_pending(b.q));
	struct txq_node *list = txq_take(b.q, 1);

	CU_ASSERT_PTR_EQUAL(list, &c[1]->txq);
	CU_ASSERT_PTR_NULL(txq_node_next(list));
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c[0]->txq);
	CU_ASSERT_FALSE(txq_pending(b.q));
	/* Taken but not served: a request changes nothing.  Served: it queues again. */
	txq_request(b.q, c[0]);
	CU_ASSERT_PTR_NULL(txq_take(b.q, 100));
	txq_serve(c[0]);
	txq_serve(c[1]);
	txq_request(b.q, c[0]);
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c[0]->txq);
	txq_serve(c[0]);
	CU_ASSERT_EQUAL(atomic_load(&c[0]->refs), 3); /* queued twice, not put yet */
	drop(c[0]);
	drop(c[0]);
	drop(c[0]);
	drop(c[1]);
	drop(c[1]);
	close_bench(&b);
}

static void test_reply_limit(void)
{
	struct bench b;
	const struct tcp_seg_out seg = {.flags = TCP_RST};
	const struct flow flow = {.local_port = 1};

	open_bench(&b, 3);
	for (int i = 0; i < 5; i++)
		reply_tcp(b.stack, 0, &flow, &seg);
	CU_ASSERT_EQUAL(atomic_load(&b.stack->counters.drop[DROP_REPLY_QUEUE]), 2);
	struct txq_node *node = txq_take(b.q, 2);

	CU_ASSERT_PTR_NOT_NULL_FATAL(node);
	CU_ASSERT_PTR_NOT_NULL_FATAL(txq_node_next(node));
	reply_free(reply_of(txq_node_next(node)));
	reply_free(reply_of(node));
	/* Two were taken: two fit again. */
	for (int i = 0; i < 3; i++)
		reply_tcp(b.stack, 0, &flow, &seg);
	CU_ASSERT_EQUAL(atomic_load(&b.stack->counters.drop[DROP_REPLY_QUEUE]), 3);
	node = txq_take(b.q, 100);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(node);
		struct txq_node *next = txq_node_next(node);

		reply_free(reply_of(node));
		node = next;
	}
	CU_ASSERT_PTR_NULL(node);
	close_bench(&b);
}

static void test_deadline_and_stop(void)
{
	struct bench b;
	weft_time_us until = clock_monotonic_us() + 20 * US_PER_MS;

	open_bench(&b, 3);
	txq_set_deadline(b.q, until);
	while (clock_monotonic_us() < until)
		CU_ASSERT_TRUE(txq_wait(b.q));
	txq_set_deadline(b.q, WEFT_TIME_NEVER);
	struct conn *c = record(b.stack);

	txq_request(b.q, c);
	txq_stop(b.q);
	/* What waits is served before the end. */
	CU_ASSERT_TRUE(txq_wait(b.q));
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c->txq);
	txq_serve(c);
	drop(c);
	CU_ASSERT_FALSE(txq_wait(b.q));
	txq_request(b.q, c);
	CU_ASSERT_EQUAL(atomic_load(&c->refs), 1); /* nobody would drop it */
	drop(c);
	close_bench(&b);
}

/* A timer's request is nobody's business until its time, or until there is output as well. */
static void test_timer_requests(void)
{
	struct bench b;

	open_bench(&b, 3);
	struct conn *c = record(b.stack);
	struct conn *other = record(b.stack);

	txq_request_timer(b.q, c, clock_monotonic_us() + 3600 * (weft_time_us)US_PER_S);
	txq_request_timer(b.q, c, WEFT_TIME_NEVER); /* stands there already */
	CU_ASSERT_FALSE(txq_pending(b.q));
	CU_ASSERT_EQUAL(atomic_load(&c->refs), 2);
	/* The same visit serves the output; another's takes it along. */
	txq_request(b.q, c);
	CU_ASSERT_TRUE(txq_pending(b.q));
	CU_ASSERT_EQUAL(atomic_load(&c->refs), 2);
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c->txq);
	CU_ASSERT_FALSE(txq_pending(b.q));
	txq_serve(c);
	drop(c);
	txq_request_timer(b.q, c, clock_monotonic_us() + 3600 * (weft_time_us)US_PER_S);
	txq_request(b.q, other);
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c->txq);
	txq_serve(c);
	txq_serve(other);
	drop(c);
	drop(other);
	/* Taken for output, but not served yet: a timer needs no request. */
	txq_request(b.q, c);
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c->txq);
	txq_request_timer(b.q, c, 0);
	CU_ASSERT_PTR_NULL(txq_take(b.q, 100));
	txq_serve(c);
	drop(c);
	drop(c);
	drop(other);
	close_bench(&b);
}

/* Its time wakes the TX thread, which is then to serve it. */
static void test_timer_request_in_time(void)
{
	struct bench b;

	open_bench(&b, 3);
	struct conn *c = record(b.stack);
	weft_time_us until = clock_monotonic_us() + 20 * US_PER_MS;

	txq_set_deadline(b.q, until + 3600 * (weft_time_us)US_PER_S);
	txq_request_timer(b.q, c, until);
	CU_ASSERT_TRUE(txq_wait(b.q));
	CU_ASSERT_TRUE(clock_monotonic_us() >= until);
	CU_ASSERT_TRUE(txq_pending(b.q));
	CU_ASSERT_PTR_EQUAL(txq_take(b.q, 100), &c->txq);
	txq_serve(c);
	drop(c);
	drop(c);
	close_bench(&b);
}

/* Requesters count up under a lock of the connection; the taker sees the last count. */
enum { REQUESTS = 20000, REQUESTERS = 3 };

struct flood {
	struct bench *b;
	struct conn *conn;
	struct mutex mu;
	unsigned count;
};

static NO_TSA void *flood_main(void *arg)
{
	struct flood *f = arg;

	for (int i = 0; i < REQUESTS; i++) {
		mutex_lock(&f->mu);
		f->count++;
		mutex_unlock(&f->mu);
		txq_request_timer(f->b->q, f->conn, WEFT_TIME_NEVER);
		txq_request(f->b->q, f->conn);
	}
	return NULL;
}

static NO_TSA void test_no_lost_request(void)
{
	pthread_t thread[REQUESTERS];
	struct bench b;
	struct flood f = {.b = &b};
	unsigned seen = 0;

	open_bench(&b, 3);
	f.conn = record(b.stack);
	mutex_init(&f.mu);
	for (int i = 0; i < REQUESTERS; i++)
		WEFT_ASSERT(thread_start(&thread[i], "flood", flood_main, &f) == 0);
	/* A lost request would leave this asleep for ever. */
	while (seen < REQUESTS * REQUESTERS && txq_wait(b.q)) {
		struct txq_node *node = txq_take(b.q, 100);

		if (!node)
			continue;
		txq_serve(f.conn);
		mutex_lock(&f.mu);
		seen = f.count;
		mutex_unlock(&f.mu);
		drop(f.conn);
	}
	CU_ASSERT_EQUAL(seen, REQUESTS * REQUESTERS);
	for (int i = 0; i < REQUESTERS; i++)
		thread_join(thread[i]);
	/* One request may be left behind the last look. */
	if (txq_take(b.q, 100))
		drop(f.conn);
	conn_put(&f.conn);
	mutex_fini(&f.mu);
	close_bench(&b);
}

UNIT_MAIN("txq", UNIT(at_most_once), UNIT(reply_limit), UNIT(deadline_and_stop),
	  UNIT(timer_requests), UNIT(timer_request_in_time), UNIT(no_lost_request))
