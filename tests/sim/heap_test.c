/* The pairing heap against a plain array as the model, over seeded random operations. */
#include "heap.h"

#include "net/base/prng.h"
#include "unit.h"
#include <string.h>

enum { NODES = 300, ROUNDS = 20000 };

/* Walks the heap without recursion; checks I1 and the links, returns the number of nodes. */
static size_t check_heap(const struct heap *heap)
{
	const struct heap_node *stack[NODES + 1];
	size_t depth = 0, count = 0;

	if (heap->root) {
		CU_ASSERT_PTR_NULL_FATAL(heap->root->prev);
		CU_ASSERT_PTR_NULL_FATAL(heap->root->next);
		stack[depth++] = heap->root;
	}
	while (depth > 0) {
		const struct heap_node *parent = stack[--depth];
		const struct heap_node *prev = parent;

		count++;
		for (const struct heap_node *n = parent->child; n; prev = n, n = n->next) {
			CU_ASSERT_FATAL(n->key >= parent->key);
			CU_ASSERT_PTR_EQUAL_FATAL(n->prev, prev);
			CU_ASSERT_FATAL(depth < NODES);
			stack[depth++] = n;
		}
	}
	return count;
}

static weft_time_us model_min(const struct heap_node *nodes, const bool *in)
{
	weft_time_us min = WEFT_TIME_NEVER;

	for (size_t i = 0; i < NODES; i++)
		if (in[i])
			min = time_min(min, nodes[i].key);
	return min;
}

static void test_random_operations(void)
{
	static struct heap_node nodes[NODES];
	bool in[NODES] = {false};
	struct heap heap = {NULL};
	struct prng rng;
	size_t count = 0;

	prng_init(&rng, unit_seed());
	for (int round = 0; round < ROUNDS; round++) {
		/* The target size swings, so that full, half-full and empty heaps are seen. */
		bool is_growing = round / 1000 % 2 == 0;
		uint32_t i = prng_below(&rng, NODES);

		CU_ASSERT_EQUAL_FATAL(heap_has(&heap, &nodes[i]), in[i]);
		if (!in[i] && (is_growing || prng_below(&rng, 4) == 0)) {
			heap_insert(&heap, &nodes[i], prng_below(&rng, 500));
			in[i] = true;
			count++;
		} else if (in[i] && (!is_growing || prng_below(&rng, 4) == 0)) {
			heap_remove(&heap, &nodes[i]);
			in[i] = false;
			count--;
			CU_ASSERT_FATAL(!nodes[i].child && !nodes[i].next && !nodes[i].prev);
		}
		CU_ASSERT_EQUAL_FATAL(check_heap(&heap), count);
		CU_ASSERT_EQUAL_FATAL(heap_first(&heap) ? heap_first(&heap)->key : WEFT_TIME_NEVER,
				      model_min(nodes, in));
	}
}

static void test_pops_in_order(void)
{
	enum { MANY = 5000 };
	static struct heap_node nodes[MANY];
	struct heap heap = {NULL};
	struct heap_node *first;
	struct prng rng;
	weft_time_us last = INT64_MIN;
	size_t count = 0;

	prng_init(&rng, unit_seed());
	for (size_t i = 0; i < MANY; i++)
		heap_insert(&heap, &nodes[i], (weft_time_us)prng_u64(&rng));
	while ((first = heap_first(&heap))) {
		CU_ASSERT_FATAL(first->key >= last);
		last = first->key;
		heap_remove(&heap, first);
		CU_ASSERT_FALSE_FATAL(heap_has(&heap, first));
		count++;
	}
	CU_ASSERT_EQUAL(count, MANY);
}

/* Ascending inserts make a root with very many children: removal must not recurse. */
static void test_wide(void)
{
	enum { MANY = 200000 };
	struct heap_node *nodes = calloc(MANY, sizeof(*nodes));
	struct heap heap = {NULL};

	CU_ASSERT_PTR_NOT_NULL_FATAL(nodes);
	for (size_t i = 0; i < MANY; i++)
		heap_insert(&heap, &nodes[i], (weft_time_us)i);
	for (size_t i = 0; i < MANY; i++) {
		CU_ASSERT_PTR_EQUAL_FATAL(heap_first(&heap), &nodes[i]);
		heap_remove(&heap, &nodes[i]);
	}
	CU_ASSERT_PTR_NULL(heap_first(&heap));
	free(nodes);
}

static void test_equal_keys(void)
{
	struct heap_node nodes[8];
	struct heap heap = {NULL};
	size_t count = 0;

	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < 8; i++)
		heap_insert(&heap, &nodes[i], WEFT_TIME_NEVER);
	heap_remove(&heap, &nodes[3]);
	while (heap_first(&heap)) {
		heap_remove(&heap, heap_first(&heap));
		count++;
	}
	CU_ASSERT_EQUAL(count, 7);
}

UNIT_MAIN("heap", UNIT(random_operations), UNIT(pops_in_order), UNIT(wide), UNIT(equal_keys))
