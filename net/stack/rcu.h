/*
 * liburcu (bp flavour) and its lock-free hash table, wrapped: the only header that includes it.
 * Callable on any thread, registered or not.  docs/RCU.md explains flavour and annotations.
 *
 * liburcu is not instrumented, so race checkers cannot see the order it makes.  Four annotations
 * tell them: release(node) before an add, acquire(node) first in a match callback, release(grace)
 * before a section ends, acquire(grace) first in a reclaim callback.
 */
#ifndef WEFT_STACK_RCU_H
#define WEFT_STACK_RCU_H

#include "net/stack/locks.h"
#include <stdbool.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <urcu/rculfhash.h>
#include <urcu/urcu-bp.h>
#pragma GCC diagnostic pop

#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif

#if defined(WEFT_TSAN)
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define HB_BEFORE(addr)   __tsan_release(addr)
#define HB_AFTER(addr)    __tsan_acquire(addr)
#define HB_ATOMIC(object) ((void)0)
#elif defined(WEFT_VALGRIND)
#include <valgrind/helgrind.h>
#define HB_BEFORE(addr)   ANNOTATE_HAPPENS_BEFORE(addr)
#define HB_AFTER(addr)    ANNOTATE_HAPPENS_AFTER(addr)
/* helgrind does not know C11 atomics: plain loads of them look like races. */
#define HB_ATOMIC(object) VALGRIND_HG_DISABLE_CHECKING(&(object), sizeof(object))
#else
#define HB_BEFORE(addr)   ((void)(addr))
#define HB_AFTER(addr)    ((void)(addr))
#define HB_ATOMIC(object) ((void)(object))
#endif

/* ---- Sections. ---- */

/* Begins and ends a read-side section.  Not nested; only lookup and tryget inside. */
void rcu_enter(void) ACQUIRE_SHARED(rcu_section);
void rcu_leave(void) RELEASE_SHARED(rcu_section);

/*
 * Begins the thread that deferred calls run on, once in a process.  liburcu would begin it with the first of
 * them, on whatever thread that is: open for the program's signals, and aborting if there cannot be another
 * thread.
 */
void rcu_start(void);

/* Calls 'reclaim' when every section that may see the object has ended.  It must only free. */
void rcu_defer(struct rcu_head *head, void (*reclaim)(struct rcu_head *head));

/* First and last thing in a reclaim callback. */
void rcu_reclaim_begin(void);
void rcu_reclaim_end(void);

/* Waits until all sections that are open now have ended; until all deferred calls have run. */
void rcu_wait_grace(void) EXCLUDES(rcu_section, lc_sock, lc_listener, lc_port);
void rcu_wait_deferred(void) EXCLUDES(rcu_section, lc_sock, lc_listener, lc_port);

/* ---- The hash table. ---- */

typedef int (*rcu_match_fn)(struct cds_lfht_node *node, const void *key);

/* First thing in a match callback. */
static inline void rcu_match_begin(struct cds_lfht_node *node)
{
	HB_AFTER(node);
}

/*
 * A table with a thread of its own that fits its size to the number of nodes; nobody who looks up,
 * adds or removes waits for that.
 */
struct rcu_hash;

/* An empty table; NULL when out of memory. */
struct rcu_hash *rcu_hash_new(void);

/* The table must be empty (NULL: nothing). */
void rcu_hash_free(struct rcu_hash *table) EXCLUDES(rcu_section);

struct cds_lfht_node *rcu_hash_find(struct rcu_hash *table, unsigned long hash, rcu_match_fn match,
				    const void *key) REQUIRES_SHARED(rcu_section);

/* False when a node with the key is there already. */
bool rcu_hash_add(struct rcu_hash *table, unsigned long hash, rcu_match_fn match, const void *key,
		  struct cds_lfht_node *node) EXCLUDES(rcu_section);

/* Adds beside others with the key. */
void rcu_hash_add_beside(struct rcu_hash *table, unsigned long hash, struct cds_lfht_node *node)
	EXCLUDES(rcu_section);

typedef uint64_t (*rcu_weigh_fn)(struct cds_lfht_node *node, uint64_t seed);

/* Of those with the key the one that weighs most, or NULL. */
struct cds_lfht_node *rcu_hash_choose(struct rcu_hash *table, unsigned long hash,
				      rcu_match_fn match, const void *key, rcu_weigh_fn weigh,
				      uint64_t seed) REQUIRES_SHARED(rcu_section);

/* Puts 'fresh' in the place of 'old' in one step; false when 'old' is not in the table any more. */
bool rcu_hash_replace(struct rcu_hash *table, unsigned long hash, rcu_match_fn match,
		      const void *key, struct cds_lfht_node *old, struct cds_lfht_node *fresh)
	EXCLUDES(rcu_section);

/* Whether this call removed the node: true exactly once for each added one. */
bool rcu_hash_del(struct rcu_hash *table, struct cds_lfht_node *node) EXCLUDES(rcu_section);

/* Some node, or NULL when the table is empty. */
struct cds_lfht_node *rcu_hash_first(struct rcu_hash *table) REQUIRES_SHARED(rcu_section);

/* For tests: waits until the size fits the number of nodes; returns the size, in buckets. */
unsigned long rcu_hash_wait_sized(struct rcu_hash *table) EXCLUDES(rcu_section);

/* Some node behind that of 'key' in the table's own order, or, when there is none, any or NULL. */
struct cds_lfht_node *rcu_hash_next(struct rcu_hash *table, unsigned long hash, rcu_match_fn match,
				    const void *key) REQUIRES_SHARED(rcu_section);

#endif
