/* The connection table: uniqueness, limits, replacement, listeners, churn with readers. */
#include "net/stack/conn_table.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include "rig.h"

static struct conn *table_get(struct conn_table *t, const struct flow *flow)
{
	return conn_table_get(t, flow, conn_table_hash(t, flow));
}

static struct conn *table_get_listener(struct conn_table *t, const struct flow *flow)
{
	return conn_table_get_listener(t, flow, conn_table_hash(t, flow));
}

/* Enough of a stack for records. */
static struct stack *fake_stack(uint32_t conns_max)
{
	struct stack *stack = calloc(1, sizeof(*stack));

	stack->table = conn_table_new(1, conns_max);
	WEFT_ASSERT(stack->table);
	return stack;
}

static void free_fake(struct stack *stack)
{
	rcu_wait_deferred();
	CU_ASSERT_EQUAL(atomic_load(&stack->objects), 0);
	conn_table_free(stack->table);
	free(stack);
}

static struct flow flow_of(uint16_t local_port, uint16_t remote_port)
{
	struct flow flow = {.local_port = local_port, .remote_port = remote_port};

	flow.local = rig_addr("10.0.0.1");
	flow.remote = rig_addr("10.0.0.2");
	return flow;
}

static struct conn *record(struct stack *stack, uint16_t local_port, uint16_t remote_port)
{
	struct time_wait *tw = calloc(1, sizeof(*tw));

	conn_init(&tw->conn, stack, CONN_TIME_WAIT, 0);
	tw->conn.flow = flow_of(local_port, remote_port);
	return &tw->conn;
}

static void test_add_find_del(void)
{
	struct stack *stack = fake_stack(3);
	struct conn_table *t = stack->table;
	struct conn *c[4], *twin = record(stack, 1, 1), *found;
	struct flow flow = flow_of(1, 1);

	for (uint16_t i = 0; i < 4; i++)
		c[i] = record(stack, 1, (uint16_t)(1 + i));
	CU_ASSERT_EQUAL(conn_table_add(t, c[0]), 0);
	CU_ASSERT_EQUAL(conn_table_add(t, twin), -EADDRINUSE);
	CU_ASSERT_EQUAL(conn_table_add(t, c[1]), 0);
	CU_ASSERT_EQUAL(conn_table_add(t, c[2]), 0);
	CU_ASSERT_EQUAL(conn_table_add(t, c[3]), -ENOBUFS);
	CU_ASSERT_EQUAL(conn_table_port_users(t, 1), 3);
	CU_ASSERT_EQUAL(conn_table_count(t, CONN_TIME_WAIT), 3);
	found = table_get(t, &flow);
	CU_ASSERT_PTR_EQUAL(found, c[0]);
	conn_put(&found);
	CU_ASSERT_TRUE(conn_table_replace(t, c[0], twin));
	CU_ASSERT_FALSE(conn_table_del(t, c[0]));
	CU_ASSERT_FALSE(conn_table_replace(t, c[0], twin));
	found = table_get(t, &flow);
	CU_ASSERT_PTR_EQUAL(found, twin);
	conn_put(&found);
	CU_ASSERT_TRUE(conn_table_del(t, twin));
	CU_ASSERT_FALSE(conn_table_del(t, twin));
	CU_ASSERT_PTR_NULL(table_get(t, &flow));
	while ((found = conn_table_any(t, NULL))) {
		CU_ASSERT_TRUE(conn_table_del(t, found));
		conn_put(&found);
	}
	CU_ASSERT_EQUAL(conn_table_port_users(t, 1), 0);
	CU_ASSERT_EQUAL(conn_table_count(t, CONN_TIME_WAIT), 0);
	for (int i = 0; i < 4; i++)
		conn_put(&c[i]);
	conn_put(&twin);
	free_fake(stack);
}

/* Emptying passes each bucket once, also when entries leave in between. */
static void test_emptying_many(void)
{
	enum { MANY = 30000 };
	struct stack *stack = fake_stack(MANY);
	struct conn_table *t = stack->table;
	unsigned removed = 0;

	for (unsigned i = 0; i < MANY; i++) {
		struct conn *conn = record(stack, (uint16_t)(1 + i / 60000), (uint16_t)(i % 60000));

		CU_ASSERT_EQUAL_FATAL(conn_table_add(t, conn), 0);
		conn_put(&conn);
	}
	struct conn *conn = conn_table_any(t, NULL);

	while (conn) {
		struct conn *next = conn_table_any(t, conn);

		removed += conn_table_del(t, conn);
		/* Now and then the next one goes, too: the way begins at the front again. */
		if (next && removed % 10000 == 5)
			removed += conn_table_del(t, next);
		conn_put(&conn);
		conn = next;
	}
	CU_ASSERT_EQUAL(removed, MANY);
	CU_ASSERT_EQUAL(conn_table_count(t, CONN_TIME_WAIT), 0);
	free_fake(stack);
}

/* Writers add and delete the same few flows while readers look them up. */
enum { CHURN_FLOWS = 16, CHURN_ROUNDS = 4000 };

struct churn {
	struct stack *stack;
	uint64_t seed;
	atomic_uint *removed;
	atomic_uint *added;
	atomic_uint *wrong; /* lookups that found another flow */
	pthread_t thread;
};

static void *churn_writer(void *arg)
{
	struct churn *c = arg;
	struct prng p;

	prng_init(&p, c->seed);
	for (int i = 0; i < CHURN_ROUNDS; i++) {
		uint16_t port = (uint16_t)(1 + prng_below(&p, CHURN_FLOWS));
		struct conn *conn = record(c->stack, 9, port);

		if (conn_table_add(c->stack->table, conn) == 0) {
			atomic_fetch_add(c->added, 1);
		} else {
			struct flow flow = flow_of(9, port);
			struct conn *old = table_get(c->stack->table, &flow);

			if (old && conn_table_del(c->stack->table, old))
				atomic_fetch_add(c->removed, 1);
			conn_put(&old);
		}
		conn_put(&conn);
	}
	return NULL;
}

static void *churn_reader(void *arg)
{
	struct churn *c = arg;
	struct prng p;

	prng_init(&p, c->seed);
	for (int i = 0; i < CHURN_ROUNDS * 4; i++) {
		struct flow flow = flow_of(9, (uint16_t)(1 + prng_below(&p, CHURN_FLOWS)));
		struct conn *conn = table_get(c->stack->table, &flow);

		if (conn && memcmp(&conn->flow, &flow, sizeof(flow)) != 0)
			atomic_fetch_add(c->wrong, 1);
		conn_put(&conn);
	}
	return NULL;
}

static void test_churn(void)
{
	struct stack *stack = fake_stack(1000);
	atomic_uint added = 0, removed = 0, wrong = 0;
	struct churn c[4];
	struct conn *conn;

	for (unsigned i = 0; i < 4; i++) {
		c[i] = (struct churn){stack, unit_seed() + i, &removed, &added, &wrong, 0};
		WEFT_ASSERT(thread_start(&c[i].thread, "churn", i % 2 ? churn_reader : churn_writer,
					 &c[i]) == 0);
	}
	for (int i = 0; i < 4; i++)
		thread_join(c[i].thread);
	CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
	unsigned left = 0;

	while ((conn = conn_table_any(stack->table, NULL))) {
		CU_ASSERT_TRUE(conn_table_del(stack->table, conn));
		conn_put(&conn);
		left++;
	}
	CU_ASSERT_EQUAL(atomic_load(&added), atomic_load(&removed) + left);
	CU_ASSERT_EQUAL(conn_table_port_users(stack->table, 9), 0);
	free_fake(stack);
}

/* Which listener gets a connection: exact address, the family's wildcard, dual stack. */
static void test_listeners(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	int64_t on = 1;

	rig_open(&rig, &config);
	struct sock *dual = rig_listen(rig.a, "::", 80, 1);
	struct flow v4 = {.local = rig_addr("10.0.0.1"), .local_port = 80};
	struct flow v6 = {.local = rig_addr("fd00::1"), .local_port = 80};
	struct conn *found = table_get_listener(rig.a->table, &v4);

	CU_ASSERT_PTR_EQUAL(found, &dual->conn);
	conn_put(&found);
	rig_drop(&dual);
	CU_ASSERT_PTR_NULL(table_get_listener(rig.a->table, &v4));

	struct sock *only6, *any4 = rig_listen(rig.a, "0.0.0.0", 80, 1);
	struct sock_addr at = rig_at("::", 80);

	WEFT_ASSERT(sock_new(rig.a, true, &only6) == 0);
	CU_ASSERT_EQUAL(sock_setopt(only6, SOCK_OPT_V6ONLY, on), 0);
	CU_ASSERT_EQUAL(sock_bind(only6, &at), 0);
	CU_ASSERT_EQUAL(sock_setopt(only6, SOCK_OPT_V6ONLY, 0), -EINVAL);
	CU_ASSERT_EQUAL(sock_listen(only6, 1), 0);
	found = table_get_listener(rig.a->table, &v4);
	CU_ASSERT_PTR_EQUAL(found, &any4->conn);
	conn_put(&found);
	found = table_get_listener(rig.a->table, &v6);
	CU_ASSERT_PTR_EQUAL(found, &only6->conn);
	conn_put(&found);
	rig_drop(&any4);
	CU_ASSERT_PTR_NULL(table_get_listener(rig.a->table, &v4));
	rig_drop(&only6);
	rig_close(&rig);
}

UNIT_MAIN("conn_table", UNIT(add_find_del), UNIT(emptying_many), UNIT(churn), UNIT(listeners))
