/*
 * A pairing heap of times through members of the timed structures, exact to the microsecond: insert
 * is O(1), removal O(log n) amortised, nothing is allocated, and what is not in the heap costs
 * nothing.  Not thread-safe.
 */
#ifndef WEFT_TESTS_SIM_HEAP_H
#define WEFT_TESTS_SIM_HEAP_H

#include "net/base/time.h"
#include <stdbool.h>

struct heap_node {
	struct heap_node *child; /* first child */
	struct heap_node *next;  /* next sibling */
	struct heap_node *prev;  /* previous sibling or, first child, parent; NULL: root or out */
	weft_time_us key;
};

struct heap {
	struct heap_node *root;
};

/* Whether 'node' (zeroed or removed before) is in 'heap'. */
static inline bool heap_has(const struct heap *heap, const struct heap_node *node)
{
	return node->prev || heap->root == node;
}

/* Inserts a node that is in no heap. */
void heap_insert(struct heap *heap, struct heap_node *node, weft_time_us key);

/* Removes a node that is in 'heap'. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node with the smallest key, or NULL. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
	return heap->root;
}

#endif
