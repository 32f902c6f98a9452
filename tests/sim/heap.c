/*
 * The pairing heap of the simulation's events (packets on their way).  One thread.
 *
 * I1: no child's key is smaller than its parent's.
 * I2: node->prev is NULL for the root and for nodes outside, and for nothing else.
 * I3: a node outside has all links NULL.
 */
#include "heap.h"

#include "net/base/check.h"
#include <stddef.h>

/* Joins two roots (no siblings, no prev) under the one with the smaller key. */
static struct heap_node *meld(struct heap_node *a, struct heap_node *b)
{
	if (b->key < a->key) {
		struct heap_node *tmp = a;

		a = b;
		b = tmp;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	a->child = b;
	return a;
}

/* Takes the first node of a list of siblings out of it and returns it as a root. */
static struct heap_node *detach_first(struct heap_node **siblings)
{
	struct heap_node *first = *siblings;

	*siblings = first->next;
	first->next = NULL;
	first->prev = NULL;
	return first;
}

/*
 * The two passes that make removal O(log n) amortised: meld in pairs from the left, then all pairs
 * from the right.  The pairs are stacked through 'next', so no recursion is needed.
 */
static struct heap_node *meld_siblings(struct heap_node *siblings)
{
	struct heap_node *pairs = NULL;
	struct heap_node *root = NULL;

	while (siblings) {
		struct heap_node *pair = detach_first(&siblings);

		if (siblings)
			pair = meld(pair, detach_first(&siblings));
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct heap_node *pair = detach_first(&pairs);

		root = root ? meld(root, pair) : pair;
	}
	return root;
}

/* Unlinks a node that is not the root from its parent and siblings; its children stay with it. */
static void cut(struct heap_node *node)
{
	if (node->prev->child == node)
		node->prev->child = node->next;
	else
		node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
}

void heap_insert(struct heap *heap, struct heap_node *node, weft_time_us key)
{
	WEFT_ASSERT(!heap_has(heap, node));
	*node = (struct heap_node){.key = key};
	heap->root = heap->root ? meld(heap->root, node) : node;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	WEFT_ASSERT(heap_has(heap, node));
	struct heap_node *rest;

	if (heap->root == node) {
		heap->root = meld_siblings(node->child);
	} else {
		cut(node);
		rest = meld_siblings(node->child);
		if (rest)
			heap->root = meld(heap->root, rest);
	}
	node->child = NULL;
	node->next = NULL;
	node->prev = NULL;
}
