/*
 * Gates and TX queues by themselves, small enough for every interleaving.  Compiled with sched_atomic.h:
 * the atomics here are points, too.
 */
#include "net/base/gate.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include "scenario.h"
#include "sched.h"
#include "world.h"
#include <errno.h>
#include <stdlib.h>

/* ---- A gate in front of things that are taken and brought without a lock. ---- */

static struct gate gate;
static atomic_int things;

static NO_TSA bool sleep_at_gate(void *ctx, struct cond *cond, struct mutex *mu,
				 weft_time_us deadline)
{
	(void)ctx;
	return cond_wait_until(cond, mu, deadline);
}

static bool take(void)
{
	int left = atomic_load_explicit(&things, memory_order_seq_cst);

	return left > 0 &&
	       atomic_compare_exchange_strong_explicit(&things, &left, left - 1,
						       memory_order_seq_cst, memory_order_seq_cst);
}

static void *taker(void *arg)
{
	unsigned ticket = gate_enter(&gate);

	(void)arg;
	while (!take())
		gate_sleep(&gate, &ticket, sleep_at_gate, NULL, WEFT_TIME_NEVER);
	gate_leave(&gate);
	if (atomic_load_explicit(&things, memory_order_seq_cst) > 0)
		gate_open_one(&gate);
	return NULL;
}

/* Gives up when time passes; then what it was woken for is another's. */
static void *late_taker(void *arg)
{
	unsigned ticket = gate_enter(&gate);

	(void)arg;
	while (!take() && gate_sleep(&gate, &ticket, sleep_at_gate, NULL, sched_now() + US_PER_MS))
		continue;
	gate_leave(&gate);
	if (atomic_load_explicit(&things, memory_order_seq_cst) > 0)
		gate_open_one(&gate);
	return NULL;
}

static void *bringer(void *arg)
{
	(void)arg;
	atomic_fetch_add_explicit(&things, 1, memory_order_seq_cst);
	gate_open_one(&gate);
	return NULL;
}

static void at_gate(void *(*const *threads)(void *), unsigned count)
{
	unsigned task[4];

	gate_init(&gate);
	things = 0;
	sched_explore();
	for (unsigned i = 0; i < count; i++)
		task[i] = sched_spawn("gate", threads[i], NULL);
	for (unsigned i = 0; i < count; i++)
		sched_join(task[i]);
	sched_quiet();
	gate_fini(&gate);
}

static void gate_one(void)
{
	static void *(*const threads[])(void *) = {taker, bringer};

	at_gate(threads, 2);
}

static void gate_two(void)
{
	static void *(*const threads[])(void *) = {taker, taker, bringer, bringer};

	at_gate(threads, 4);
}

static void gate_gives_up(void)
{
	static void *(*const threads[])(void *) = {taker, late_taker, bringer, bringer};

	at_gate(threads, 4);
}

/* ---- A TX queue, its thread, and who asks for visits. ---- */

static struct stack *stack;
static struct conn *conns[2];
static unsigned changes[2], served[2];

static int64_t clock_now(void *ctx)
{
	(void)ctx;
	return sched_now();
}

/* Sleeps by it are sched_sync.c's. */
const struct weft_clock world_clock = {.now = clock_now};

static void serve_all(struct txq *q)
{
	struct txq_node *node;

	while ((node = txq_take(q, 1)) != NULL) {
		struct conn *conn = CONTAINER_OF(node, struct conn, txq);
		unsigned which = conn == conns[1];

		txq_serve(conn);
		served[which] = changes[which]; /* what was changed before is seen by this visit */
		conn_put(&conn);
	}
}

static void *tx_main(void *arg)
{
	struct txq *q = arg;

	while (txq_wait(q))
		serve_all(q);
	return NULL;
}

static void *asker(void *arg)
{
	unsigned which = arg != NULL;

	changes[which]++;
	txq_request(&stack->queue[0].txq, conns[which]);
	return NULL;
}

/* A quiet request, which its thread serves itself or leaves to the TX thread. */
static void *helper(void *arg)
{
	unsigned which = arg != NULL;

	changes[which]++;
	txq_request_quiet(&stack->queue[0].txq, conns[which]);
	txq_kick(&stack->queue[0].txq);
	return NULL;
}

/* A timer alone waits for its time, or for somebody else's request. */
static void *timer(void *arg)
{
	unsigned which = arg != NULL;

	changes[which]++;
	txq_request_timer(&stack->queue[0].txq, conns[which], sched_now() + US_PER_MS);
	return NULL;
}

static void make_queue(void)
{
	stack = calloc(1, sizeof(*stack));
	SCHED_CHECK(stack);
	txq_init(&stack->queue[0].txq, &world_clock, &stack->counters, 4);
	for (unsigned i = 0; i < 2; i++) {
		struct time_wait *tw = calloc(1, sizeof(*tw));

		SCHED_CHECK(tw);
		conn_init(&tw->conn, stack, CONN_TIME_WAIT, 0);
		conns[i] = &tw->conn;
		changes[i] = served[i] = 0;
	}
}

static void drop_queue(void)
{
	for (unsigned i = 0; i < 2; i++)
		conn_put(&conns[i]);
	txq_fini(&stack->queue[0].txq);
	rcu_wait_deferred();
	SCHED_CHECK(atomic_load(&stack->objects) == 0);
	free(stack);
}

static bool is_served(void)
{
	return served[0] == changes[0] && served[1] == changes[1];
}

/* A timer alone is served when its time comes. */
static void await_timer(void)
{
	struct mutex mu;
	struct cond cond;

	mutex_init(&mu);
	cond_init(&cond);
	mutex_lock(&mu);
	(void)cond_wait_until(&cond, &mu, sched_now() + 2 * US_PER_MS);
	mutex_unlock(&mu);
}

static void with_txq(void *(*first)(void *), void *(*second)(void *), void *of_second)
{
	make_queue();
	struct txq *q = &stack->queue[0].txq;

	sched_explore();
	unsigned tx = sched_spawn("tx", tx_main, q);
	unsigned one = sched_spawn("first", first, NULL);
	unsigned two = sched_spawn("second", second, of_second);

	sched_join(one);
	sched_join(two);
	sched_quiet();
	sched_settle();
	if (!is_served() && (first == timer || second == timer))
		await_timer();
	SCHED_CHECK(is_served());
	txq_stop(q);
	sched_join(tx);
	drop_queue();
}

static void txq_same(void)
{
	with_txq(asker, asker, NULL);
}

static void txq_two(void)
{
	with_txq(asker, asker, &gate);
}

static void txq_help(void)
{
	with_txq(asker, helper, NULL);
}

static void txq_timer(void)
{
	with_txq(asker, timer, NULL);
}

static void txq_timers(void)
{
	with_txq(timer, timer, &gate);
}

const struct scenario scenarios_of_parts[] = {
	{.name = "gate_one",
	 .main = gate_one,
	 .departures = SCHED_UNBOUNDED,
	 .soak = SCHED_UNBOUNDED},
	{.name = "gate_two", .main = gate_two, .departures = 3, .soak = 5},
	{.name = "gate_gives_up", .main = gate_gives_up, .departures = 3, .soak = 5},
	{.name = "txq_same",
	 .main = txq_same,
	 .departures = SCHED_UNBOUNDED,
	 .soak = SCHED_UNBOUNDED},
	{.name = "txq_two",
	 .main = txq_two,
	 .departures = SCHED_UNBOUNDED,
	 .soak = SCHED_UNBOUNDED},
	{.name = "txq_help",
	 .main = txq_help,
	 .departures = SCHED_UNBOUNDED,
	 .soak = SCHED_UNBOUNDED},
	{.name = "txq_timer",
	 .main = txq_timer,
	 .departures = SCHED_UNBOUNDED,
	 .soak = SCHED_UNBOUNDED},
	{.name = "txq_timers",
	 .main = txq_timers,
	 .departures = SCHED_UNBOUNDED,
	 .soak = SCHED_UNBOUNDED},
	{0},
};
