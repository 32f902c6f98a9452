/*
 * Canary: an object of a table of net/stack/rcu.h is unlinked and freed at once, while a reader in
 * an RCU section still looks at it.  TSan (or memcheck) must report the reader's access.
 */
#include "net/base/check.h"
#include "net/stack/rcu.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct object {
	struct cds_lfht_node node;
	int value;
};

static struct rcu_hash *table;
static atomic_int step;

static int match_any(struct cds_lfht_node *node, const void *key)
{
	(void)key;
	rcu_match_begin(node);
	return 1;
}

/* Relaxed: the steps must not make the order that a grace period would. */
static void wait_for(int wanted)
{
	while (atomic_load_explicit(&step, memory_order_relaxed) < wanted)
		(void)sched_yield();
}

static void *reader(void *arg)
{
	int *sum = arg;

	rcu_enter();
	struct cds_lfht_node *node = rcu_hash_find(table, 1, match_any, NULL);
	atomic_store_explicit(&step, 1, memory_order_relaxed);
	wait_for(2);
	if (node)
		*sum += CONTAINER_OF(node, struct object, node)->value;
	rcu_leave();
	return NULL;
}

int main(void)
{
	struct object *object = calloc(1, sizeof(*object));
	pthread_t thread;
	int sum = 0;

	table = rcu_hash_new();
	if (!object || !table)
		return 2;
	object->value = 7;
	if (!rcu_hash_add(table, 1, match_any, NULL, &object->node) ||
	    thread_start(&thread, "canary", reader, &sum) != 0)
		return 2;
	wait_for(1);
	if (!rcu_hash_del(table, &object->node))
		return 2;
	free(object); /* the fault: rcu_defer is missing */
	atomic_store_explicit(&step, 2, memory_order_relaxed);
	thread_join(thread);
	printf("%d\n", sum);
	rcu_hash_free(table);
	return 0;
}
