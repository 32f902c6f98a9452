/*
 * Which epoll set contains which: no cycles, and no chain of more than EPSET_NEST_MAX sets.  One mutex
 * for the process, a leaf, guards all edges; sets are put into sets rarely.
 */
#include "net/base/mechanism.h"
#include "net/stack/epset_int.h"
#include <errno.h>
#include <stdlib.h>

static struct mutex nest_mutex = {PTHREAD_MUTEX_INITIALIZER};
static unsigned search; /* number of the search that goes on; what it has seen has it */

/* Sets in the longest chain from 'set' inwards; finds out about each set once. */
static unsigned depth_inwards(struct epset *set)
{
	struct list *at;

	if (set->seen == search)
		return set->depth;
	set->seen = search;
	set->depth = 1;
	list_for_each (at, &set->inner) {
		struct epset *inner = CONTAINER_OF(at, struct epset_edge, outer_link)->inner;
		unsigned depth = depth_inwards(inner) + 1;

		if (depth > set->depth)
			set->depth = depth;
	}
	return set->depth;
}

static unsigned depth_outwards(struct epset *set)
{
	struct list *at;

	if (set->seen == search)
		return set->depth;
	set->seen = search;
	set->depth = 1;
	list_for_each (at, &set->outer) {
		struct epset *outer = CONTAINER_OF(at, struct epset_edge, inner_link)->outer;
		unsigned depth = depth_outwards(outer) + 1;

		if (depth > set->depth)
			set->depth = depth;
	}
	return set->depth;
}

/* The first search has seen 'outer' when 'inner' contains it. */
static bool may_nest(struct epset *outer, struct epset *inner)
{
	search++;
	unsigned below = depth_inwards(inner);

	if (outer->seen == search && MECHANISM(epoll_nest_loop))
		return false;
	search++;
	return below + depth_outwards(outer) <= EPSET_NEST_MAX || !MECHANISM(epoll_nest_depth);
}

int epset_nest(struct epset *outer, struct epset *inner, struct epset_edge **edge)
{
	struct epset_edge *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	mutex_lock(&nest_mutex);
	bool may = may_nest(outer, inner);

	if (may) {
		e->inner = inner;
		e->outer = outer;
		list_push(&outer->inner, &e->outer_link);
		list_push(&inner->outer, &e->inner_link);
		*edge = e;
	}
	mutex_unlock(&nest_mutex);
	if (!may)
		free(e);
	return may ? 0 : -ELOOP;
}

void epset_unnest(struct epset_edge **edge)
{
	struct epset_edge *e = *edge;

	*edge = NULL;
	if (!e)
		return;
	mutex_lock(&nest_mutex);
	list_del(&e->outer_link);
	list_del(&e->inner_link);
	mutex_unlock(&nest_mutex);
	free(e);
}
