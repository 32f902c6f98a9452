/*
 * micro_table.c - the connection table: lookups among many entries, quiet and while another thread
 * adds and removes, and the worst pause of adding and of looking up while the table grows.
 */
#include "micro.h"

#include "net/base/prng.h"
#include "net/base/sync.h"
#include "net/stack/conn_table.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include <stdio.h>
#include <stdlib.h>

enum { CHURN = 256, CHURN_FIRST = 1 << 24, TIMES_MAX = 2000000 };

struct table {
	struct stack *stack; /* enough of one for records */
	struct conn **conns;
	uint32_t count;
	struct prng prng;
	atomic_bool stop;
	atomic_uint added;
	/* The reader of a growing table. */
	uint32_t *times;
	uint32_t time_count;
};

static struct flow flow_of(uint32_t index)
{
	static const uint8_t local[4] = {10, 0, 0, 1};
	const uint8_t remote[4] = {11, (uint8_t)(index >> 24), (uint8_t)(index >> 16),
				   (uint8_t)(index >> 8)};
	struct flow flow = {.local_port = 80, .remote_port = (uint16_t)(1024 + (index & 0xff))};

	flow.local = addr_from_v4(local);
	flow.remote = addr_from_v4(remote);
	return flow;
}

static struct conn *record(struct stack *stack, uint32_t index)
{
	struct time_wait *tw = calloc(1, sizeof(*tw));

	WEFT_ASSERT(tw);
	conn_init(&tw->conn, stack, CONN_TIME_WAIT, 0);
	tw->conn.flow = flow_of(index);
	return &tw->conn;
}

static void add(struct table *t, struct conn *conn)
{
	int rc = conn_table_add(t->stack->table, conn);

	WEFT_ASSERT(rc == 0);
}

static void open_table(struct table *t, uint32_t count)
{
	*t = (struct table){.count = count};
	prng_init(&t->prng, 1);
	t->stack = calloc(1, sizeof(*t->stack));
	t->conns = calloc(count, sizeof(struct conn *));
	WEFT_ASSERT(t->stack && t->conns);
	t->stack->table = conn_table_new(1, UINT32_MAX);
	WEFT_ASSERT(t->stack->table);
	for (uint32_t i = 0; i < count; i++)
		t->conns[i] = record(t->stack, i);
}

static void close_table(struct table *t)
{
	for (uint32_t i = 0; i < t->count; i++) {
		conn_table_del(t->stack->table, t->conns[i]);
		conn_put(&t->conns[i]);
	}
	rcu_wait_deferred();
	conn_table_free(t->stack->table);
	free(t->conns);
	free(t->stack);
}

static void lookup_one(struct table *t, uint32_t index)
{
	struct flow flow = flow_of(index);
	struct conn *conn =
		conn_table_get(t->stack->table, &flow, conn_table_hash(t->stack->table, &flow));

	WEFT_ASSERT(conn);
	conn_put(&conn);
}

static void run_lookup(void *ctx, uint64_t ops)
{
	struct table *t = ctx;

	for (uint64_t i = 0; i < ops; i++)
		lookup_one(t, prng_below(&t->prng, t->count));
}

/* Adds and removes records of its own, as connections come and go. */
static void *churn_main(void *arg)
{
	struct table *t = arg;
	struct conn *own[CHURN] = {NULL};
	uint32_t turn = 0;

	while (!atomic_load_explicit(&t->stop, memory_order_relaxed) || turn % CHURN != 0) {
		uint32_t slot = turn % CHURN;

		if (own[slot]) {
			conn_table_del(t->stack->table, own[slot]);
			conn_put(&own[slot]);
		}
		own[slot] = record(t->stack, CHURN_FIRST + turn++);
		add(t, own[slot]);
	}
	for (uint32_t i = 0; i < CHURN; i++) {
		if (!own[i])
			continue;
		conn_table_del(t->stack->table, own[i]);
		conn_put(&own[i]);
	}
	return NULL;
}

static void measure_lookup(const struct micro *micro, uint32_t count)
{
	struct table t;
	pthread_t churn;
	char name[64];

	open_table(&t, count);
	for (uint32_t i = 0; i < count; i++)
		add(&t, t.conns[i]);
	(void)snprintf(name, sizeof(name), "table.lookup.%u", count);
	micro_run(micro, name, 0, run_lookup, &t);
	int rc = thread_start(&churn, "churn", churn_main, &t);

	WEFT_ASSERT(rc == 0);
	(void)snprintf(name, sizeof(name), "table.lookup_churn.%u", count);
	micro_run(micro, name, 0, run_lookup, &t);
	atomic_store(&t.stop, true);
	thread_join(churn);
	close_table(&t);
}

/* ---- Growing. ---- */

static int compare_times(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report_times(const char *name, uint32_t *times, uint32_t count)
{
	if (count == 0)
		return;
	qsort(times, count, sizeof(*times), compare_times);
	micro_times(name, count, times[count / 2], times[(uint64_t)count * 9999 / 10000],
		    times[count - 1]);
}

static uint32_t since(int64_t start)
{
	int64_t ns = micro_clock() - start;

	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void *reader_main(void *arg)
{
	struct table *t = arg;
	struct prng prng;

	prng_init(&prng, 2);
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		uint32_t added = atomic_load_explicit(&t->added, memory_order_acquire);

		if (added == 0 || t->time_count == TIMES_MAX)
			continue;
		int64_t start = micro_clock();

		lookup_one(t, prng_below(&prng, added));
		t->times[t->time_count++] = since(start);
	}
	return NULL;
}

/*
 * The same with a table that has grown: what remains is the machine's own pauses (another thread's
 * turn, an interrupt), which stand in the figures of the growing table, too.
 */
static void measure_still(struct table *t, uint32_t *times)
{
	pthread_t reader;

	t->time_count = 0;
	atomic_store(&t->stop, false);
	int rc = thread_start(&reader, "reader", reader_main, t);

	WEFT_ASSERT(rc == 0);
	for (uint32_t i = 0; i < t->count; i++) {
		struct conn *extra = record(t->stack, CHURN_FIRST + i);
		int64_t start = micro_clock();

		add(t, extra);
		times[i] = since(start);
		conn_table_del(t->stack->table, extra);
		conn_put(&extra);
	}
	atomic_store(&t->stop, true);
	thread_join(reader);
	report_times("table.still.add", times, t->count);
	report_times("table.still.lookup", t->times, t->time_count);
}

static void measure_grow(uint32_t count)
{
	uint32_t *times = calloc(count, sizeof(*times));
	struct table t;
	pthread_t reader;

	open_table(&t, count);
	t.times = calloc(TIMES_MAX, sizeof(*t.times));
	WEFT_ASSERT(times && t.times);
	int rc = thread_start(&reader, "reader", reader_main, &t);

	WEFT_ASSERT(rc == 0);
	for (uint32_t i = 0; i < count; i++) {
		int64_t start = micro_clock();

		add(&t, t.conns[i]);
		times[i] = since(start);
		atomic_store_explicit(&t.added, i + 1, memory_order_release);
	}
	atomic_store(&t.stop, true);
	thread_join(reader);
	report_times("table.grow.add", times, count);
	report_times("table.grow.lookup", t.times, t.time_count);
	measure_still(&t, times);
	close_table(&t);
	free(t.times);
	free(times);
}

void micro_table(const struct micro *micro)
{
	uint32_t largest = micro->sizes[micro->size_count - 1];

	if (!micro_wants(micro, "table"))
		return;
	for (unsigned i = 0; i < micro->size_count; i++)
		measure_lookup(micro, micro->sizes[i]);
	if (micro_wants(micro, "table.grow"))
		measure_grow(largest);
}
