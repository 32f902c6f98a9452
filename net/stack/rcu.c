/*
 * The wrappers of liburcu: sections, deferred reclaim and the hash table, with the annotations for
 * race checkers (docs/RCU.md).  Called on any thread.
 */
#include "net/stack/rcu.h"

#include "net/base/check.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

/*
 * liburcu can resize a table by itself, but 0.13 may forget to: a worker that is done before the
 * thread which asked for it goes on leaves the table marked as busy for ever, and chains grow without
 * limit.  So each table has a thread here that does it, woken when the number of nodes has left the
 * range that the size is good for.
 */
enum {
	BUCKETS_MIN = 256,
	SPARSE = 8, /* so many buckets for each node are too many */
};

struct rcu_hash {
	struct cds_lfht *lfht;
	pthread_t thread;
	/* Atomic. */
	atomic_ulong count; /* nodes */
	atomic_ulong size;  /* buckets, or what they are about to be */
	atomic_bool is_due; /* the thread has to look */
	/* Guarded by mu, a leaf. */
	struct mutex mu;
	struct cond changed;
	bool is_busy;
	bool is_stopping;
};

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

void rcu_start(void)
{
	sigset_t all, before;

	/* It inherits the mask: the program's threads handle signals. */
	(void)sigfillset(&all);
	thread_set_sigmask(&all, &before);
	(void)urcu_bp_get_default_call_rcu_data();
	thread_set_sigmask(&before, NULL);
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
	/* It sleeps in poll, a cancellation point, with locks of its own. */
	int cancel = thread_cancel_off();

	urcu_bp_synchronize_rcu();
	thread_cancel_restore(cancel);
	HB_AFTER(&grace_token);
}

void rcu_wait_deferred(void)
{
	int cancel = thread_cancel_off();

	urcu_bp_barrier();
	thread_cancel_restore(cancel);
	HB_AFTER(&reclaim_token);
}

/* ---- The table's size. ---- */

static bool is_dense(unsigned long count, unsigned long size)
{
	return count > size;
}

static bool is_sparse(unsigned long count, unsigned long size)
{
	return size > BUCKETS_MIN && count < size / SPARSE;
}

/* The size for so many nodes when it is 'size' now. */
static unsigned long fit(unsigned long count, unsigned long size)
{
	while (is_dense(count, size))
		size *= 2;
	while (is_sparse(count, size))
		size /= 2;
	return size;
}

/* After a change of the number of nodes. */
static void check_size(struct rcu_hash *table, unsigned long count)
{
	unsigned long size = atomic_load_explicit(&table->size, memory_order_relaxed);

	if (!is_dense(count, size) && !is_sparse(count, size))
		return;
	if (atomic_exchange_explicit(&table->is_due, true, memory_order_acq_rel))
		return;
	mutex_lock(&table->mu);
	cond_broadcast(&table->changed);
	mutex_unlock(&table->mu);
}

static void resize(struct rcu_hash *table)
{
	/* Reads what the last one who found it set has counted; who counts later sets it again. */
	(void)atomic_exchange_explicit(&table->is_due, false, memory_order_acq_rel);
	unsigned long size = atomic_load_explicit(&table->size, memory_order_relaxed);
	unsigned long fitting =
		fit(atomic_load_explicit(&table->count, memory_order_relaxed), size);

	if (fitting == size)
		return;
	atomic_store_explicit(&table->size, fitting, memory_order_relaxed);
	cds_lfht_resize(table->lfht, fitting);
	/* Once more: somebody may have looked at the old size. */
	atomic_store_explicit(&table->is_due, true, memory_order_release);
}

static bool has_work(const struct rcu_hash *table)
{
	return atomic_load_explicit(&table->is_due, memory_order_acquire);
}

static void *resize_main(void *arg)
{
	struct rcu_hash *table = arg;

	mutex_lock(&table->mu);
	for (;;) {
		while (!has_work(table) && !table->is_stopping)
			cond_wait(&table->changed, &table->mu);
		if (table->is_stopping)
			break;
		table->is_busy = true;
		mutex_unlock(&table->mu);
		resize(table);
		mutex_lock(&table->mu);
		table->is_busy = false;
		cond_broadcast(&table->changed);
	}
	mutex_unlock(&table->mu);
	return NULL;
}

unsigned long rcu_hash_wait_sized(struct rcu_hash *table)
{
	mutex_lock(&table->mu);
	while (has_work(table) || table->is_busy)
		cond_wait(&table->changed, &table->mu);
	mutex_unlock(&table->mu);
	return atomic_load_explicit(&table->size, memory_order_relaxed);
}

/* ---- The table. ---- */

static void fini_table(struct rcu_hash *table)
{
	int rc = cds_lfht_destroy(table->lfht, NULL);

	WEFT_ASSERT(rc == 0);
	cond_fini(&table->changed);
	mutex_fini(&table->mu);
	free(table);
}

struct rcu_hash *rcu_hash_new(void)
{
	struct rcu_hash *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->lfht = cds_lfht_new_flavor(BUCKETS_MIN, BUCKETS_MIN, 0, 0, &urcu_bp_flavor, NULL);
	if (!table->lfht) {
		free(table);
		return NULL;
	}
	atomic_init(&table->size, BUCKETS_MIN);
	HB_ATOMIC(table->count);
	HB_ATOMIC(table->size);
	HB_ATOMIC(table->is_due);
	mutex_init(&table->mu);
	cond_init(&table->changed);
	if (thread_start(&table->thread, "weft-table", resize_main, table) != 0) {
		fini_table(table);
		return NULL;
	}
	return table;
}

void rcu_hash_free(struct rcu_hash *table)
{
	if (!table)
		return;
	mutex_lock(&table->mu);
	table->is_stopping = true;
	cond_broadcast(&table->changed);
	mutex_unlock(&table->mu);
	thread_join(table->thread);
	fini_table(table);
}

struct cds_lfht_node *rcu_hash_find(struct rcu_hash *table, unsigned long hash, rcu_match_fn match,
				    const void *key)
{
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table->lfht, hash, match, key, &iter);
	return cds_lfht_iter_get_node(&iter);
}

bool rcu_hash_add(struct rcu_hash *table, unsigned long hash, rcu_match_fn match, const void *key,
		  struct cds_lfht_node *node)
{
	cds_lfht_node_init(node);
	HB_BEFORE(node);
	rcu_enter();
	struct cds_lfht_node *found = cds_lfht_add_unique(table->lfht, hash, match, key, node);

	rcu_leave();
	if (found != node)
		return false;
	check_size(table, atomic_fetch_add_explicit(&table->count, 1, memory_order_relaxed) + 1);
	return true;
}

void rcu_hash_add_beside(struct rcu_hash *table, unsigned long hash, struct cds_lfht_node *node)
{
	cds_lfht_node_init(node);
	HB_BEFORE(node);
	rcu_enter();
	cds_lfht_add(table->lfht, hash, node);
	rcu_leave();
	check_size(table, atomic_fetch_add_explicit(&table->count, 1, memory_order_relaxed) + 1);
}

struct cds_lfht_node *rcu_hash_choose(struct rcu_hash *table, unsigned long hash,
				      rcu_match_fn match, const void *key, rcu_weigh_fn weigh,
				      uint64_t seed)
{
	struct cds_lfht_node *best, *node;
	struct cds_lfht_iter iter;

	cds_lfht_lookup(table->lfht, hash, match, key, &iter);
	best = cds_lfht_iter_get_node(&iter);
	if (!best)
		return NULL;
	for (;;) {
		cds_lfht_next_duplicate(table->lfht, match, key, &iter);
		node = cds_lfht_iter_get_node(&iter);
		if (!node)
			return best;
		if (weigh(node, seed) > weigh(best, seed))
			best = node;
	}
}

bool rcu_hash_replace(struct rcu_hash *table, unsigned long hash, rcu_match_fn match,
		      const void *key, struct cds_lfht_node *old, struct cds_lfht_node *fresh)
{
	struct cds_lfht_iter iter;
	int rc = -ENOENT;

	cds_lfht_node_init(fresh);
	HB_BEFORE(fresh);
	rcu_enter();
	cds_lfht_lookup(table->lfht, hash, match, key, &iter);
	if (cds_lfht_iter_get_node(&iter) == old)
		rc = cds_lfht_replace(table->lfht, &iter, hash, match, key, fresh);
	rcu_leave();
	return rc == 0;
}

bool rcu_hash_del(struct rcu_hash *table, struct cds_lfht_node *node)
{
	rcu_enter();
	int rc = cds_lfht_del(table->lfht, node);

	rcu_leave();
	if (rc != 0)
		return false;
	check_size(table, atomic_fetch_sub_explicit(&table->count, 1, memory_order_relaxed) - 1);
	return true;
}

struct cds_lfht_node *rcu_hash_first(struct rcu_hash *table)
{
	struct cds_lfht_iter iter;

	cds_lfht_first(table->lfht, &iter);
	return cds_lfht_iter_get_node(&iter);
}

struct cds_lfht_node *rcu_hash_next(struct rcu_hash *table, unsigned long hash, rcu_match_fn match,
				    const void *key)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node = NULL;

	cds_lfht_lookup(table->lfht, hash, match, key, &iter);
	if (cds_lfht_iter_get_node(&iter)) {
		cds_lfht_next(table->lfht, &iter);
		node = cds_lfht_iter_get_node(&iter);
	}
	return node ? node : rcu_hash_first(table);
}
