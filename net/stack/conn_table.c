/*
 * The connection table.  RX threads look up, and whoever opens or ends a connection adds and
 * removes, under that object's lock.  RCU sections contain lookup and tryget only.
 */
#include "net/stack/conn_table.h"

#include "net/base/mechanism.h"
#include "net/stack/listener.h"
#include <errno.h>
#include <stdlib.h>

static_assert(sizeof(struct flow) == 36, "a flow is hashed and compared as bytes: no padding");

static int match_flow(struct cds_lfht_node *node, const void *key)
{
	rcu_match_begin(node);
	const struct conn *conn = CONTAINER_OF(node, struct conn, node);

	return memcmp(&conn->flow, key, sizeof(struct flow)) == 0;
}

/* Final steps of a hash: each bit of 'x' moves every bit of the result. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/*
 * A listener's place needs no key: peers choose none of them.  They cannot aim their flows at it either,
 * whose places have one.
 */
static uint64_t hash_listener(const struct flow *flow)
{
	uint64_t words[2];

	memcpy(words, &flow->local, sizeof(words));
	return mix(mix(words[0] + flow->local_port) + words[1]);
}

uint64_t conn_table_hash(const struct conn_table *table, const struct flow *flow)
{
	return khash(&table->key, flow, sizeof(*flow));
}

static unsigned long hash_flow(const struct conn_table *table, const struct flow *flow)
{
	bool is_listener = flow->remote_port == 0 && addr_is_any(&flow->remote);

	return is_listener ? hash_listener(flow) : conn_table_hash(table, flow);
}

struct conn_table *conn_table_new(uint64_t seed, uint32_t conns_max)
{
	struct conn_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->hash = rcu_hash_new();
	if (!table->hash) {
		free(table);
		return NULL;
	}
	khash_key_init(&table->key, seed, "conn_table");
	table->conns_max = conns_max;
	HB_ATOMIC(table->count);
	HB_ATOMIC(table->total);
	HB_ATOMIC(table->ports);
	return table;
}

void conn_table_free(struct conn_table *table)
{
	if (!table)
		return;
	rcu_hash_free(table->hash);
	free(table);
}

struct conn *conn_table_get(struct conn_table *table, const struct flow *flow, uint64_t hash)
{
	/* An entry that is dying has left the table: it will not be found twice. */
	for (;;) {
		rcu_enter();
		struct cds_lfht_node *node = rcu_hash_find(table->hash, hash, match_flow, flow);
		struct conn *conn = node ? CONTAINER_OF(node, struct conn, node) : NULL;
		bool is_done = !conn || conn_tryget(conn);

		rcu_leave();
		if (is_done)
			return conn;
	}
}

/*
 * Rendezvous hashing: each flow has its own order of the listeners, and goes to the first that is there.
 * One that leaves takes no flow from the others.
 */
static uint64_t weigh_listener(struct cds_lfht_node *node, uint64_t seed)
{
	struct sock *s = sock_of(CONTAINER_OF(node, struct conn, node));

	return mix((MECHANISM(reuseport_flow) ? seed : 0) ^
		   ((uint64_t)listener_of(s)->number + 1) * 0x9e3779b97f4a7c15u);
}

/* One of the listeners bound to exactly this, for a segment whose flow has the hash 'seed'. */
static struct conn *get_one(struct conn_table *table, const struct flow *key, uint64_t seed)
{
	unsigned long hash = hash_listener(key);

	for (;;) {
		rcu_enter();
		struct cds_lfht_node *node =
			rcu_hash_choose(table->hash, hash, match_flow, key, weigh_listener, seed);
		struct conn *conn = node ? CONTAINER_OF(node, struct conn, node) : NULL;
		bool is_done = !conn || conn_tryget(conn);

		rcu_leave();
		if (is_done)
			return conn;
	}
}

struct conn *conn_table_get_listener(struct conn_table *table, const struct flow *flow,
				     uint64_t hash)
{
	static const uint8_t v4_any[4];
	struct flow key = {.local = flow->local, .local_port = flow->local_port};
	bool is_v4 = addr_is_v4(&flow->local);
	struct conn *conn = get_one(table, &key, hash);

	if (!conn && is_v4) {
		key.local = addr_from_v4(v4_any);
		conn = get_one(table, &key, hash);
	}
	if (conn)
		return conn;
	memset(&key.local, 0, sizeof(key.local));
	conn = get_one(table, &key, hash);
	if (conn && is_v4 && sock_refuses_v4(sock_of(conn)))
		conn_put(&conn);
	return conn;
}

/* Counts an entry; false, and not counted, when that would pass conns_max. */
static bool count_entry(struct conn_table *table, const struct conn *conn)
{
	enum conn_kind kind = conn_kind(conn);

	if (kind != CONN_LISTENER) {
		unsigned before = atomic_fetch_add_explicit(&table->total, 1, memory_order_relaxed);

		if (before >= table->conns_max) {
			atomic_fetch_sub_explicit(&table->total, 1, memory_order_relaxed);
			return false;
		}
		atomic_fetch_add_explicit(&table->ports[conn->flow.local_port], 1,
					  memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&table->count[kind], 1, memory_order_relaxed);
	return true;
}

static void uncount_entry(struct conn_table *table, const struct conn *conn)
{
	enum conn_kind kind = conn_kind(conn);

	if (kind != CONN_LISTENER) {
		atomic_fetch_sub_explicit(&table->ports[conn->flow.local_port], 1,
					  memory_order_relaxed);
		atomic_fetch_sub_explicit(&table->total, 1, memory_order_relaxed);
	}
	atomic_fetch_sub_explicit(&table->count[kind], 1, memory_order_relaxed);
}

void conn_table_watch(struct conn_table *table)
{
	atomic_store_explicit(&table->is_watched, true, memory_order_relaxed);
	/* Either a later lookup misses the entry that leaves, or who took it out sees the flag. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* After the change that it is about. */
static void note_port(const struct conn_table *table, atomic_uint_least64_t *notes,
		      const struct conn *conn)
{
	uint16_t port = conn->flow.local_port;

	if (conn_kind(conn) == CONN_LISTENER)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&table->is_watched, memory_order_relaxed))
		return;
	atomic_fetch_or_explicit(&notes[port / 64], (uint64_t)1 << port % 64, memory_order_acq_rel);
}

int conn_table_add(struct conn_table *table, struct conn *conn)
{
	if (!count_entry(table, conn))
		return -ENOBUFS;
	conn_get(conn);
	if (rcu_hash_add(table->hash, hash_flow(table, &conn->flow), match_flow, &conn->flow,
			 &conn->node))
		return 0;
	uncount_entry(table, conn);
	struct conn *ref = conn;

	conn_put(&ref);
	return -EADDRINUSE;
}

int conn_table_add_beside(struct conn_table *table, struct conn *conn)
{
	WEFT_ASSERT(conn_kind(conn) == CONN_LISTENER);
	if (!count_entry(table, conn))
		return -ENOBUFS;
	conn_get(conn);
	rcu_hash_add_beside(table->hash, hash_flow(table, &conn->flow), &conn->node);
	return 0;
}

bool conn_table_replace(struct conn_table *table, struct conn *old, struct conn *fresh)
{
	conn_get(fresh);
	bool is_replaced = rcu_hash_replace(table->hash, hash_flow(table, &fresh->flow), match_flow,
					    &fresh->flow, &old->node, &fresh->node);
	struct conn *ref = is_replaced ? old : fresh;

	if (is_replaced) {
		atomic_fetch_sub_explicit(&table->count[conn_kind(old)], 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&table->count[conn_kind(fresh)], 1, memory_order_relaxed);
		if (conn_kind(fresh) == CONN_TIME_WAIT)
			note_port(table, table->waiting, fresh);
	}
	conn_put(&ref);
	return is_replaced;
}

bool conn_table_del(struct conn_table *table, struct conn *conn)
{
	if (!rcu_hash_del(table->hash, &conn->node))
		return false;
	uncount_entry(table, conn);
	note_port(table, table->left, conn);
	struct conn *ref = conn;

	conn_put(&ref);
	return true;
}

/* From the front again and again, each call would pass all the buckets that are empty by now. */
struct conn *conn_table_any(struct conn_table *table, const struct conn *seen)
{
	for (;;) {
		rcu_enter();
		struct cds_lfht_node *node =
			seen ? rcu_hash_next(table->hash, hash_flow(table, &seen->flow), match_flow,
					     &seen->flow)
			     : rcu_hash_first(table->hash);
		struct conn *conn = node ? CONTAINER_OF(node, struct conn, node) : NULL;
		bool is_done = !conn || conn_tryget(conn);

		rcu_leave();
		if (is_done)
			return conn;
	}
}

unsigned conn_table_port_users(const struct conn_table *table, uint16_t port)
{
	return atomic_load_explicit(&table->ports[port], memory_order_relaxed);
}

unsigned conn_table_count(const struct conn_table *table, enum conn_kind kind)
{
	return atomic_load_explicit(&table->count[kind], memory_order_relaxed);
}
