/*
 * Payload buffers, their queues and the pool they come from.  Called by the RX thread, the emitter
 * and API threads; queues are guarded by their owner's lock, the pool locks for itself.
 *
 * The pool keeps a free list for each size class behind a mutex of its own and caches a bounded
 * number of buffers, so that a quiet stack gives memory back; sizes above the largest class come
 * from malloc each time.  What is lent is counted by capacity and held under the limit.
 *
 * I1: lent_bytes <= limit, also while several threads ask at once.
 * I2: a cached buffer has no references and is in exactly one free list.
 */
#include "net/base/buf.h"

#include "net/base/check.h"
#include "net/base/gate.h"
#include "net/base/sync.h"
#include <stdlib.h>

#ifdef WEFT_VALGRIND
#include <valgrind/helgrind.h>
/* helgrind does not know C11 atomics: it takes the count's own reads and writes for races. */
#define ATOMIC_FIELD(field) VALGRIND_HG_DISABLE_CHECKING(&(field), sizeof(field))
#else
#define ANNOTATE_HAPPENS_BEFORE(obj) ((void)0)
#define ANNOTATE_HAPPENS_AFTER(obj)  ((void)0)
#define ATOMIC_FIELD(field)          ((void)0)
#endif

enum {
	CLASS_COUNT = 5,
	CLASS_NONE = CLASS_COUNT, /* straight from malloc */
	CACHE_LINE = 64,
};

/* Capacity of each class and how many free buffers of it are kept. */
static const struct {
	uint32_t cap;
	uint32_t cached_max;
} classes[CLASS_COUNT] = {
	{512, 1024}, {2048, 512}, {8192, 128}, {16384, 64}, {65536 + 1024, 64},
};

/* The leaf lock of a size class; never defined, only the analysis looks at it. */
extern struct lock_class lc_bufpool;

struct size_class {
	_Alignas(CACHE_LINE) struct mutex mu;
	struct buf *free GUARDED_BY(lc_bufpool);
	uint32_t cached GUARDED_BY(lc_bufpool);
};

struct bufpool {
	/* Immutable after init. */
	size_t limit_bytes;
	/* Atomic. */
	atomic_size_t lent;
	atomic_size_t lent_bytes;
	atomic_uint fail_after;
	struct gate room; /* who waits for memory */
	struct size_class class[CLASS_COUNT];
};

/* ---- Queues. ---- */

void buf_queue_push(struct buf_queue *q, struct buf *b)
{
	b->next = NULL;
	if (q->tail)
		q->tail->next = b;
	else
		q->head = b;
	q->tail = b;
	q->bytes += b->len;
	q->mem += b->cap;
}

struct buf *buf_queue_pop(struct buf_queue *q)
{
	struct buf *b = q->head;

	if (!b)
		return NULL;
	q->head = b->next;
	if (!q->head)
		q->tail = NULL;
	q->bytes -= b->len;
	q->mem -= b->cap;
	b->next = NULL;
	return b;
}

void buf_queue_join(struct buf_queue *to, struct buf_queue *from)
{
	WEFT_ASSERT(to != from);
	if (!from->head)
		return;
	if (to->tail)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->bytes += from->bytes;
	to->mem += from->mem;
	*from = (struct buf_queue){0};
}

/* ---- The pool. ---- */

static void lock_class(struct size_class *class) ACQUIRE(lc_bufpool) NO_TSA;
static void unlock_class(struct size_class *class) RELEASE(lc_bufpool) NO_TSA;

static void lock_class(struct size_class *class)
{
	mutex_lock(&class->mu);
}

static void unlock_class(struct size_class *class)
{
	mutex_unlock(&class->mu);
}

struct bufpool *bufpool_new(size_t limit_bytes)
{
	struct bufpool *pool = aligned_alloc(CACHE_LINE, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->limit_bytes = limit_bytes;
	atomic_init(&pool->lent, 0);
	atomic_init(&pool->lent_bytes, 0);
	atomic_init(&pool->fail_after, 0);
	gate_init(&pool->room);
	for (unsigned i = 0; i < CLASS_COUNT; i++) {
		struct size_class *class = &pool->class[i];

		mutex_init(&class->mu);
		lock_class(class);
		class->free = NULL;
		class->cached = 0;
		unlock_class(class);
	}
	return pool;
}

static void free_cached(struct size_class *class)
{
	struct buf *b;

	lock_class(class);
	while ((b = class->free)) {
		class->free = b->next;
		free(b);
	}
	class->cached = 0;
	unlock_class(class);
}

void bufpool_free(struct bufpool *pool)
{
	if (!pool)
		return;
	WEFT_ASSERT(bufpool_lent(pool) == 0);
	for (unsigned i = 0; i < CLASS_COUNT; i++) {
		free_cached(&pool->class[i]);
		mutex_fini(&pool->class[i].mu);
	}
	gate_fini(&pool->room);
	free(pool);
}

void bufpool_fail_after(struct bufpool *pool, unsigned n)
{
	atomic_store_explicit(&pool->fail_after, n, memory_order_relaxed);
}

/* Whether this allocation is the one that a test wants to fail. */
static bool is_failure_due(struct bufpool *pool)
{
	unsigned n = atomic_load_explicit(&pool->fail_after, memory_order_relaxed);

	while (n != 0 && n != BUFPOOL_FAIL_ALL &&
	       !atomic_compare_exchange_weak_explicit(&pool->fail_after, &n, n - 1,
						      memory_order_relaxed, memory_order_relaxed))
		continue;
	return n == 1 || n == BUFPOOL_FAIL_ALL;
}

static uint32_t class_for(size_t size)
{
	uint32_t i = 0;

	while (i < CLASS_COUNT && classes[i].cap < size)
		i++;
	return i;
}

/* Counts 'count' buffers of 'cap' bytes in all as lent unless that would pass the limit (I1). */
static bool reserve(struct bufpool *pool, size_t cap, unsigned count)
{
	size_t lent = atomic_load_explicit(&pool->lent_bytes, memory_order_relaxed);

	do {
		if (cap > pool->limit_bytes || lent > pool->limit_bytes - cap)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->lent_bytes, &lent, lent + cap, memory_order_relaxed, memory_order_relaxed));
	atomic_fetch_add_explicit(&pool->lent, count, memory_order_relaxed);
	return true;
}

static void unreserve(struct bufpool *pool, size_t cap, unsigned count)
{
	/* Sequentially consistent, with the gate: either the waiter sees the room or it is woken. */
	atomic_fetch_sub_explicit(&pool->lent_bytes, cap, memory_order_seq_cst);
	gate_open_one(&pool->room);
	/* Release: who then reads 0 lent buffers may free the pool. */
	atomic_fetch_sub_explicit(&pool->lent, count, memory_order_release);
}

/* Up to 'count' free buffers of the class, linked by 'next'; how many. */
static unsigned take_cached(struct size_class *class, unsigned count, struct buf **list)
{
	struct buf **end = list;
	unsigned taken = 0;

	lock_class(class);
	*list = class->free;
	for (; *end && taken < count; taken++)
		end = &(*end)->next;
	class->free = *end;
	class->cached -= taken;
	unlock_class(class);
	*end = NULL;
	return taken;
}

static void init_buf(struct buf *b, struct bufpool *pool, uint32_t cap, uint32_t class)
{
	struct buf *next = b->next;

	ATOMIC_FIELD(b->refs);
	*b = (struct buf){.next = next, .data = b->bytes, .cap = cap, .pool = pool, .class = class};
	atomic_init(&b->refs, 1);
}

unsigned buf_new_many(struct bufpool *pool, size_t size, unsigned count, struct buf **list)
{
	uint32_t class = class_for(size);
	unsigned made = 0;

	*list = NULL;
	if (size > UINT32_MAX || is_failure_due(pool))
		return 0;
	uint32_t cap = class == CLASS_NONE ? (uint32_t)size : classes[class].cap;

	if (!reserve(pool, (size_t)cap * count, count)) {
		count = 1;
		if (!reserve(pool, cap, 1))
			return 0;
	}
	if (class != CLASS_NONE)
		made = take_cached(&pool->class[class], count, list);
	for (; made < count; made++) {
		struct buf *b = malloc(sizeof(*b) + cap);

		if (!b)
			break;
		b->next = *list;
		*list = b;
	}
	for (struct buf *b = *list; b; b = b->next)
		init_buf(b, pool, cap, class);
	if (made < count)
		unreserve(pool, (size_t)cap * (count - made), count - made);
	return made;
}

struct buf *buf_new(struct bufpool *pool, size_t size)
{
	struct buf *b;

	(void)buf_new_many(pool, size, 1, &b);
	return b;
}

/* Buffers without references on their way back: of one pool and one class. */
struct run {
	struct buf *first;
	struct buf *last;
	unsigned count;
	size_t bytes; /* capacities */
};

/* Puts as many of the run on the free list of their class as that has room for; the rest stays. */
static void give_cached(struct size_class *class, struct run *run, uint32_t cached_max)
{
	lock_class(class);
	uint32_t room = cached_max - class->cached;

	if (run->count <= room) {
		run->last->next = class->free;
		class->free = run->first;
		class->cached += run->count;
		run->first = NULL;
	}
	for (; run->first && room > 0; room--) {
		struct buf *b = run->first;

		run->first = b->next;
		b->next = class->free;
		class->free = b;
		class->cached++;
	}
	unlock_class(class);
}

static void give_back(struct run *run)
{
	if (!run->first)
		return;
	struct bufpool *pool = run->first->pool;
	uint32_t class = run->first->class;

	/* Uncounted last: until then the pool cannot be freed under this thread. */
	if (class != CLASS_NONE)
		give_cached(&pool->class[class], run, classes[class].cached_max);
	for (struct buf *b; (b = run->first);) {
		run->first = b->next;
		free(b);
	}
	unreserve(pool, run->bytes, run->count);
	*run = (struct run){0};
}

struct buf *buf_new_foreign(struct bufpool *pool, const void *data, uint32_t size,
			    struct buf_owner *owner)
{
	struct buf *b = is_failure_due(pool) ? NULL : malloc(sizeof(*b));

	if (!b)
		return NULL;
	atomic_fetch_add_explicit(&pool->lent, 1, memory_order_relaxed);
	ATOMIC_FIELD(b->refs);
	*b = (struct buf){.data = (uint8_t *)(uintptr_t)data,
			  .len = size,
			  .pool = pool,
			  .owner = owner,
			  .class = BUF_FOREIGN};
	atomic_init(&b->refs, 1);
	return b;
}

/* The owner is told last: it may be what keeps the pool. */
static void give_foreign(struct buf *b)
{
	struct bufpool *pool = b->pool;
	struct buf_owner *owner = b->owner;

	free(b);
	atomic_fetch_sub_explicit(&pool->lent, 1, memory_order_release);
	owner->released(owner);
}

/* Drops a reference; the last one puts the buffer into the run, or, unlike its buffers, begins one. */
static void put_in_run(struct run *run, struct buf *b)
{
	ANNOTATE_HAPPENS_BEFORE(&b->refs);
	unsigned refs = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);

	WEFT_ASSERT(refs > 0);
	if (refs != 1)
		return;
	ANNOTATE_HAPPENS_AFTER(&b->refs);
	if (buf_is_foreign(b)) {
		give_foreign(b);
		return;
	}
	if (run->first && (run->first->class != b->class || run->first->pool != b->pool))
		give_back(run);
	b->next = NULL;
	if (run->first)
		run->last->next = b;
	else
		run->first = b;
	run->last = b;
	run->count++;
	run->bytes += b->cap;
}

void buf_put(struct buf **bp)
{
	struct buf *b = *bp;
	struct run run = {0};

	*bp = NULL;
	if (!b)
		return;
	put_in_run(&run, b);
	give_back(&run);
}

void buf_put_views(struct view *views, unsigned count)
{
	struct run run = {0};

	for (unsigned i = 0; i < count; i++) {
		put_in_run(&run, views[i].buf);
		views[i].buf = NULL;
	}
	give_back(&run);
}

void buf_queue_clear(struct buf_queue *q)
{
	struct run run = {0};
	struct buf *b;

	while ((b = buf_queue_pop(q)))
		put_in_run(&run, b);
	give_back(&run);
}

size_t bufpool_lent(const struct bufpool *pool)
{
	return atomic_load_explicit(&pool->lent, memory_order_acquire);
}

size_t bufpool_lent_bytes(const struct bufpool *pool)
{
	return atomic_load_explicit(&pool->lent_bytes, memory_order_acquire);
}

bool bufpool_has_room(const struct bufpool *pool, size_t size)
{
	uint32_t class = class_for(size);
	size_t cap = class == CLASS_NONE ? size : classes[class].cap;
	size_t lent = atomic_load_explicit(&pool->lent_bytes, memory_order_seq_cst);

	return cap <= pool->limit_bytes && lent <= pool->limit_bytes - cap;
}

struct gate *bufpool_gate(struct bufpool *pool)
{
	return &pool->room;
}

bool bufpool_is_short(const struct bufpool *pool)
{
	size_t lent = atomic_load_explicit(&pool->lent_bytes, memory_order_relaxed);

	return lent > pool->limit_bytes / 4 * 3;
}
