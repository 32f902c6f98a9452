/*
 * The connection table: flow -> conn, an RCU hash table with a keyed hash (peers cannot aim
 * collisions).  Lookups by any thread without a lock; changes by whoever holds the object's lock.
 * Also the only place that counts connections against the stack's limits and ports in use.
 */
#ifndef WEFT_STACK_CONN_TABLE_H
#define WEFT_STACK_CONN_TABLE_H

#include "net/base/check.h"
#include "net/base/khash.h"
#include "net/stack/conn.h"

enum { PORT_COUNT = 65536, PORT_WORDS = PORT_COUNT / 64 };

struct conn_table {
	/* Immutable after init. */
	struct rcu_hash *hash;
	struct khash_key key;
	uint32_t conns_max;
	/* Atomic. */
	atomic_uint count[CONN_KIND_COUNT];
	atomic_uint total;             /* all but listeners; at most conns_max */
	atomic_uint ports[PORT_COUNT]; /* entries by local port, listeners not counted */
	/* Ports that entries left, and where one went to TIME-WAIT: noted while somebody wants it. */
	atomic_bool is_watched;
	atomic_uint_least64_t left[PORT_WORDS];
	atomic_uint_least64_t waiting[PORT_WORDS];
};

struct conn_table *conn_table_new(uint64_t seed, uint32_t conns_max);

/* The table must be empty (NULL: nothing). */
void conn_table_free(struct conn_table *table);

/* Where the table has the flow: for the two calls below. */
uint64_t conn_table_hash(const struct conn_table *table, const struct flow *flow);

/* The entry for exactly this flow with a reference for the caller, or NULL. */
struct conn *conn_table_get(struct conn_table *table, const struct flow *flow, uint64_t hash)
	EXCLUDES(rcu_section);

/*
 * The listener for a segment to 'flow': bound to the local address, to its family's wildcard, or to
 * the dual-stack wildcard, in this order.  Of several with SO_REUSEPORT one by the hash of the flow.
 * With a reference, or NULL.
 */
struct conn *conn_table_get_listener(struct conn_table *table, const struct flow *flow,
				     uint64_t hash) EXCLUDES(rcu_section);

/*
 * Publishes 'conn' under its flow; the table takes a reference of its own.  -EADDRINUSE: the flow
 * is taken.  -ENOBUFS: conns_max reached.
 */
int conn_table_add(struct conn_table *table, struct conn *conn) WARN_UNUSED EXCLUDES(rcu_section);

/* The same for a listener that shares its flow with others (SO_REUSEPORT). */
int conn_table_add_beside(struct conn_table *table, struct conn *conn)
	WARN_UNUSED EXCLUDES(rcu_section);

/*
 * Puts 'fresh' (same flow) in the place of 'old' in one step; references move accordingly.  False
 * when 'old' is not in the table any more.
 */
bool conn_table_replace(struct conn_table *table, struct conn *old, struct conn *fresh)
	EXCLUDES(rcu_section);

/*
 * Unlinks an entry that was added; true when this call did it, and the table's reference is dropped
 * then.  The caller has a reference.
 */
bool conn_table_del(struct conn_table *table, struct conn *conn) EXCLUDES(rcu_section);

/*
 * For emptying the table: some entry with a reference, or NULL when there is none.  'seen' is NULL or
 * what the last call returned: to be removed after this call, so that the way to the next one is
 * short.  It is returned again when it is the last.
 */
struct conn *conn_table_any(struct conn_table *table, const struct conn *seen)
	EXCLUDES(rcu_section);

/* Connections and records with this local port. */
unsigned conn_table_port_users(const struct conn_table *table, uint16_t port);

/*
 * From now on ports are noted.  An entry that leaves after a lookup behind this call has found it is
 * noted for sure.
 */
void conn_table_watch(struct conn_table *table);

/* Takes the notes of 64 ports, 'notes' being table->left or table->waiting. */
static inline uint64_t conn_table_take_notes(atomic_uint_least64_t *notes, unsigned index)
{
	if (atomic_load_explicit(&notes[index], memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange_explicit(&notes[index], 0, memory_order_acq_rel);
}

unsigned conn_table_count(const struct conn_table *table, enum conn_kind kind);

#endif
