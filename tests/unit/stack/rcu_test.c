/* The RCU hash table fits its size to the number of its nodes, every time. */
#include "net/stack/rcu.h"
#include "rig.h"

enum { NODES = 20000, CYCLES = 10, THREADS = 3 };

struct entry {
	struct cds_lfht_node node;
	uint64_t key;
};

struct shared {
	struct rcu_hash *table;
	struct entry *entries;
	atomic_uint next; /* number of the next thread */
};

/* Spreads the keys, as a keyed hash does. */
static unsigned long hash_of(uint64_t key)
{
	key = (key + 1) * 0x9e3779b97f4a7c15u;
	return (unsigned long)(key ^ (key >> 32));
}

static int match(struct cds_lfht_node *node, const void *key)
{
	rcu_match_begin(node);
	const struct entry *entry = CONTAINER_OF(node, struct entry, node);

	return entry->key == *(const uint64_t *)key;
}

static bool add(struct rcu_hash *table, struct entry *entry)
{
	return rcu_hash_add(table, hash_of(entry->key), match, &entry->key, &entry->node);
}

static bool has(struct rcu_hash *table, uint64_t key)
{
	rcu_enter();
	bool is_there = rcu_hash_find(table, hash_of(key), match, &key) != NULL;

	rcu_leave();
	return is_there;
}

static void open_table(struct shared *s)
{
	s->table = rcu_hash_new();
	s->entries = calloc(NODES, sizeof(*s->entries));
	WEFT_ASSERT(s->table && s->entries);
	atomic_init(&s->next, 0);
	HB_ATOMIC(s->next);
	for (uint64_t i = 0; i < NODES; i++)
		s->entries[i].key = i;
}

static void close_table(struct shared *s)
{
	rcu_wait_grace();
	rcu_hash_free(s->table);
	free(s->entries);
}

static void test_size_follows(void)
{
	struct shared s;

	open_table(&s);
	unsigned long empty = rcu_hash_wait_sized(s.table);

	for (unsigned cycle = 0; cycle < CYCLES; cycle++) {
		for (unsigned i = 0; i < NODES; i++)
			CU_ASSERT_TRUE_FATAL(add(s.table, &s.entries[i]));
		CU_ASSERT_FALSE(add(s.table, &(struct entry){.key = 1}));
		unsigned long full = rcu_hash_wait_sized(s.table);

		CU_ASSERT_TRUE(full >= NODES && full < 4 * NODES);
		CU_ASSERT_TRUE(has(s.table, 0) && has(s.table, NODES - 1));
		CU_ASSERT_FALSE(has(s.table, NODES));
		for (unsigned i = 0; i < NODES; i++)
			CU_ASSERT_TRUE_FATAL(rcu_hash_del(s.table, &s.entries[i].node));
		CU_ASSERT_FALSE(rcu_hash_del(s.table, &s.entries[0].node));
		CU_ASSERT_EQUAL(rcu_hash_wait_sized(s.table), empty);
		/* Nodes that are passed by a reader still may not be added again. */
		rcu_wait_grace();
	}
	close_table(&s);
}

/* Adds, finds and removes every THREADS-th entry. */
static void *churn(void *arg)
{
	struct shared *s = arg;
	unsigned first = atomic_fetch_add(&s->next, 1);
	unsigned bad = 0;

	for (unsigned cycle = 0; cycle < CYCLES; cycle++) {
		for (unsigned i = first; i < NODES; i += THREADS)
			bad += !add(s->table, &s->entries[i]);
		for (unsigned i = first; i < NODES; i += THREADS)
			bad += !has(s->table, i);
		for (unsigned i = first; i < NODES; i += THREADS)
			bad += !rcu_hash_del(s->table, &s->entries[i].node);
		rcu_wait_grace();
	}
	return bad == 0 ? NULL : s;
}

static void *churn_main(void *arg)
{
	WEFT_ASSERT(churn(arg) == NULL);
	return NULL;
}

static void test_resize_under_churn(void)
{
	struct shared s;
	pthread_t threads[THREADS];

	open_table(&s);
	unsigned long empty = rcu_hash_wait_sized(s.table);

	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "churn", churn_main, &s), 0);
	for (unsigned i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CU_ASSERT_EQUAL(rcu_hash_wait_sized(s.table), empty);
	close_table(&s);
}

UNIT_MAIN("stack_rcu", UNIT(size_follows), UNIT(resize_under_churn))
