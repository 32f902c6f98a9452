/*
 * The wrappers of liburcu: sections, deferred reclaim and the hash table, with the annotations for
 * race checkers (docs/RCU.md).  Called on any thread.
 */
#include "net/stack/rcu.h"

#include "net/base/check.h"
#include <errno.h>

/*
 * liburcu's resize worker frees what the adding thread allocated, ordered by instructions that
 * ThreadSanitizer does not see and in functions without names to suppress: its builds have a table
 * of fixed size.
 */
#if defined(WEFT_TSAN)
enum { BUCKETS_MIN = 16384, TABLE_FLAGS = 0 };
#else
enum { BUCKETS_MIN = 256, TABLE_FLAGS = CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING };
#endif

/* Stand for "a grace period passed" and "all reclaim callbacks ran"; only their addresses count. */
static char grace_token;
static char reclaim_token;

NO_TSA void rcu_enter(void)
{
	urcu_bp_read_lock();
}

NO_TSA void rcu_leave(void)
{
	HB_BEFORE(&grace_token);
	urcu_bp_read_unlock();
}

void rcu_defer(struct rcu_head *head, void (*reclaim)(struct rcu_head *head))
{
	HB_BEFORE(&grace_token);
	urcu_bp_call_rcu(head, reclaim);
}

void rcu_reclaim_begin(void)
{
	HB_AFTER(&grace_token);
}

void rcu_reclaim_end(void)
{
	HB_BEFORE(&reclaim_token);
}

void rcu_wait_grace(void)
{
	urcu_bp_synchronize_rcu();
	HB_AFTER(&grace_token);
}

void rcu_wait_deferred(void)
{
	urcu_bp_barrier();
	HB_AFTER(&reclaim_token);
}

struct cds_lfht *rcu_hash_new(void)
{
	return cds_lfht_new_flavor(BUCKETS_MIN, BUCKETS_MIN, 0, TABLE_FLAGS, &urcu_bp_flavor, NULL);
}

void rcu_hash_free(struct cds_lfht *table)
{
	if (!table)
		return;
	int rc = cds_lfht_destroy(table, NULL);

	WEFT_ASSERT(rc == 0);
}

struct cds_lfht_node *rcu_hash_find(struct cds_lfht *table, unsigned long hash, rcu_match_fn match,
				    const void *key)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table, hash, match, key, &iter);
	return cds_lfht_iter_get_node(&iter);
}

bool rcu_hash_add(struct cds_lfht *table, unsigned long hash, rcu_match_fn match, const void *key,
		  struct cds_lfht_node *node)
{
	cds_lfht_node_init(node);
	HB_BEFORE(node);
	rcu_enter();
	struct cds_lfht_node *found = cds_lfht_add_unique(table, hash, match, key, node);

	rcu_leave();
	return found == node;
}

bool rcu_hash_replace(struct cds_lfht *table, unsigned long hash, rcu_match_fn match,
		      const void *key, struct cds_lfht_node *old, struct cds_lfht_node *fresh)
{
	struct cds_lfht_iter iter;
	int rc = -ENOENT;

	cds_lfht_node_init(fresh);
	HB_BEFORE(fresh);
	rcu_enter();
	cds_lfht_lookup(table, hash, match, key, &iter);
	if (cds_lfht_iter_get_node(&iter) == old)
		rc = cds_lfht_replace(table, &iter, hash, match, key, fresh);
	rcu_leave();
	return rc == 0;
}

bool rcu_hash_del(struct cds_lfht *table, struct cds_lfht_node *node)
{
	rcu_enter();
	int rc = cds_lfht_del(table, node);

	rcu_leave();
	return rc == 0;
}

struct cds_lfht_node *rcu_hash_first(struct cds_lfht *table)
{
	struct cds_lfht_iter iter;

	cds_lfht_first(table, &iter);
	return cds_lfht_iter_get_node(&iter);
}

struct cds_lfht_node *rcu_hash_next(struct cds_lfht *table, unsigned long hash, rcu_match_fn match,
				    const void *key)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node = NULL;

	cds_lfht_lookup(table, hash, match, key, &iter);
	if (cds_lfht_iter_get_node(&iter)) {
		cds_lfht_next(table, &iter);
		node = cds_lfht_iter_get_node(&iter);
	}
	return node ? node : rcu_hash_first(table);
}
