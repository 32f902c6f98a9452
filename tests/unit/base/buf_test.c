/* Buffers: window, references, queues; the pool's classes, limit, failures and threads. */
#include "net/base/buf.h"

#include "net/base/prng.h"
#include "net/base/sync.h"
#include "unit.h"
#include <string.h>

enum { PLENTY = 1 << 30 };

static void test_new_is_empty(void)
{
	static const size_t sizes[] = {0,     1,     512,   513,   2048,  8192,   9000,
				       16384, 16385, 65536, 66560, 66561, 1000000};
	struct bufpool *pool = bufpool_new(PLENTY);

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct buf *b = buf_new(pool, sizes[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		CU_ASSERT(b->cap >= sizes[i]);
		CU_ASSERT_EQUAL(b->len, 0);
		CU_ASSERT_PTR_EQUAL(b->data, b->bytes);
		CU_ASSERT_EQUAL(buf_room(b), b->cap);
		CU_ASSERT_EQUAL(atomic_load(&b->refs), 1);
		CU_ASSERT_EQUAL(bufpool_lent(pool), 1);
		CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), b->cap);
		memset(b->bytes, 0xaa, b->cap);
		b->data += sizes[i] / 2;
		b->len = (uint32_t)(sizes[i] - sizes[i] / 2);
		CU_ASSERT_EQUAL(buf_room(b), b->cap - sizes[i]);
		buf_put(&b);
		CU_ASSERT_PTR_NULL(b);
		CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
		CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 0);
	}
	bufpool_free(pool);
	bufpool_free(NULL);
}

static void test_reuse_is_clean(void)
{
	struct bufpool *pool = bufpool_new(PLENTY);
	struct buf *b = buf_new(pool, 100);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->data += 7;
	b->len = 50;
	b->seq = 1234;
	b->run_last = b;
	b->run_next = b;
	buf_put(&b);
	b = buf_new(pool, 512);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT(b->len == 0 && b->seq == 0 && !b->run_last && !b->run_next && !b->next);
	CU_ASSERT_PTR_EQUAL(b->data, b->bytes);
	CU_ASSERT_EQUAL(b->cap, 512);
	buf_put(&b);
	bufpool_free(pool);
}

static void test_references(void)
{
	struct bufpool *pool = bufpool_new(PLENTY);
	struct buf *b = buf_new(pool, 100), *pin;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	pin = buf_get(b);
	CU_ASSERT_PTR_EQUAL(pin, b);
	buf_put(&b);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 1);
	pin->bytes[0] = 1;
	buf_put(&pin);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	buf_put(&pin); /* NULL by now */
	bufpool_free(pool);
}

static void test_limit(void)
{
	struct bufpool *pool = bufpool_new(3 * 2048);
	struct buf *b[4];

	CU_ASSERT_PTR_NULL(buf_new(pool, 8192));
	CU_ASSERT_PTR_NULL(buf_new(pool, SIZE_MAX));
	CU_ASSERT_PTR_NULL(buf_new(pool, (size_t)UINT32_MAX + 1));
	for (int i = 0; i < 3; i++) {
		b[i] = buf_new(pool, 2000);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b[i]);
	}
	CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 3 * 2048);
	CU_ASSERT_PTR_NULL(buf_new(pool, 1));
	CU_ASSERT_FALSE(bufpool_has_room(pool, 1));
	buf_put(&b[1]);
	CU_ASSERT_TRUE(bufpool_has_room(pool, 2048));
	CU_ASSERT_FALSE(bufpool_has_room(pool, 2049));
	CU_ASSERT_FALSE(bufpool_has_room(pool, SIZE_MAX));
	b[1] = buf_new(pool, 1);
	CU_ASSERT_PTR_NOT_NULL(b[1]);
	b[3] = buf_new(pool, 2048);
	CU_ASSERT_PTR_NULL(b[3]);
	for (int i = 0; i < 4; i++)
		buf_put(&b[i]);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

static void test_injected_failure(void)
{
	struct bufpool *pool = bufpool_new(PLENTY);

	for (unsigned n = 1; n <= 5; n++) {
		bufpool_fail_after(pool, n);
		for (unsigned i = 1; i <= 8; i++) {
			struct buf *b = buf_new(pool, 100);

			CU_ASSERT_EQUAL(b == NULL, i == n);
			buf_put(&b);
		}
	}
	bufpool_fail_after(pool, BUFPOOL_FAIL_ALL);
	for (unsigned i = 0; i < 8; i++)
		CU_ASSERT_PTR_NULL(buf_new(pool, 100));
	bufpool_fail_after(pool, 1);
	bufpool_fail_after(pool, 0);
	struct buf *b = buf_new(pool, 100);

	CU_ASSERT_PTR_NOT_NULL(b);
	buf_put(&b);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

/* More buffers than any class caches, so that both ways of giving back are taken. */
static void test_beyond_the_cache(void)
{
	enum { MANY = 1200 };
	struct bufpool *pool = bufpool_new(PLENTY);
	static struct buf *b[MANY];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < MANY; i++) {
			b[i] = buf_new(pool, round == 0 ? 100 : 9000);
			CU_ASSERT_PTR_NOT_NULL_FATAL(b[i]);
		}
		CU_ASSERT_EQUAL(bufpool_lent(pool), MANY);
		for (size_t i = 0; i < MANY; i++)
			buf_put(&b[i]);
		CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	}
	bufpool_free(pool);
}

static unsigned length_of(const struct buf *list)
{
	unsigned length = 0;

	for (; list; list = list->next)
		length++;
	return length;
}

/* Many at once: as many as there is room for all, else one. */
static void test_many(void)
{
	struct bufpool *pool = bufpool_new(5 * 2048);
	struct view views[5];
	struct buf *list, *b;

	CU_ASSERT_EQUAL(buf_new_many(pool, SIZE_MAX, 2, &list), 0);
	CU_ASSERT_PTR_NULL(list);
	for (int round = 0; round < 3; round++) { /* new ones, kept ones, some of both */
		CU_ASSERT_EQUAL_FATAL(buf_new_many(pool, 2000, 4, &list), 4);
		CU_ASSERT_EQUAL_FATAL(length_of(list), 4);
		CU_ASSERT_EQUAL(bufpool_lent(pool), 4);
		CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 4 * 2048);
		for (unsigned i = 0; (b = list); i++) {
			list = b->next;
			CU_ASSERT(b->len == 0 && b->cap == 2048 && b->data == b->bytes);
			b->seq = 1;
			b->len = 9;
			b->next = NULL;
			views[i] = (struct view){.buf = b, .data = b->data, .len = b->len};
		}
		CU_ASSERT_EQUAL(buf_new_many(pool, 2000, 2, &list), 1);
		views[4] = (struct view){.buf = list};
		CU_ASSERT_EQUAL(buf_new_many(pool, 2000, 2, &list), 0);
		CU_ASSERT_PTR_NULL(list);
		b = buf_get(views[2].buf); /* pinned by somebody else */
		buf_put_views(views, 5);
		CU_ASSERT_EQUAL(bufpool_lent(pool), 1);
		CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 2048);
		CU_ASSERT_EQUAL(b->len, 9);
		for (int i = 0; i < 5; i++)
			CU_ASSERT_PTR_NULL(views[i].buf);
		buf_put(&b);
		CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	}
	CU_ASSERT_EQUAL(buf_new_many(pool, 2000, 5, &list), 5);
	bufpool_fail_after(pool, 1);
	b = NULL;
	CU_ASSERT_EQUAL(buf_new_many(pool, 10, 3, &b), 0);
	while ((b = list)) {
		list = b->next;
		buf_put(&b);
	}
	CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 0);
	bufpool_free(pool);
}

/* Buffers of all classes and of two pools go back at once, more of them than are kept. */
static void test_put_all_kinds(void)
{
	enum { MANY = 1400 };

	static const size_t sizes[] = {100, 100, 2000, 9000, 100000, 70000, 100};
	struct bufpool *pool[2] = {bufpool_new(PLENTY), bufpool_new(PLENTY)};
	struct buf_queue q = {0};

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			struct buf *b = buf_new(pool[i / 7 % 2],
						sizes[i % (sizeof(sizes) / sizeof(sizes[0]))]);

			CU_ASSERT_PTR_NOT_NULL_FATAL(b);
			b->len = 1;
			buf_queue_push(&q, b);
		}
		CU_ASSERT_EQUAL(bufpool_lent(pool[0]) + bufpool_lent(pool[1]), MANY);
		CU_ASSERT_EQUAL(bufpool_lent_bytes(pool[0]) + bufpool_lent_bytes(pool[1]), q.mem);
		buf_queue_clear(&q);
		CU_ASSERT_PTR_NULL(q.head);
		for (int i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(bufpool_lent(pool[i]), 0);
			CU_ASSERT_EQUAL(bufpool_lent_bytes(pool[i]), 0);
		}
	}
	bufpool_free(pool[0]);
	bufpool_free(pool[1]);
}

static struct buf *numbered(struct bufpool *pool, uint32_t number)
{
	struct buf *b = buf_new(pool, 100);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->seq = number;
	b->len = number;
	return b;
}

static void test_queue(void)
{
	struct bufpool *pool = bufpool_new(PLENTY);
	struct buf_queue q = {NULL, NULL, 0, 0}, other = {NULL, NULL, 0, 0};
	struct buf *b;

	CU_ASSERT_PTR_NULL(buf_queue_pop(&q));
	buf_queue_join(&q, &other);
	CU_ASSERT_PTR_NULL(q.head);
	for (uint32_t i = 1; i <= 3; i++)
		buf_queue_push(&q, numbered(pool, i));
	CU_ASSERT_EQUAL(q.bytes, 6);
	CU_ASSERT_EQUAL(q.mem, 3 * 512);
	buf_queue_join(&other, &q);
	CU_ASSERT(!q.head && !q.tail && q.bytes == 0 && q.mem == 0);
	buf_queue_push(&q, numbered(pool, 4));
	buf_queue_join(&other, &q);
	for (uint32_t i = 1; i <= 4; i++) {
		b = buf_queue_pop(&other);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		CU_ASSERT_EQUAL(b->seq, i);
		CU_ASSERT_PTR_NULL(b->next);
		buf_put(&b);
	}
	CU_ASSERT(!other.head && !other.tail && other.bytes == 0 && other.mem == 0);
	buf_queue_push(&q, numbered(pool, 5));
	buf_queue_push(&q, numbered(pool, 6));
	buf_queue_clear(&q);
	CU_ASSERT(!q.head && q.bytes == 0 && q.mem == 0);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

struct worker {
	struct bufpool *pool;
	uint64_t seed;
	size_t limit_bytes;
	unsigned errors;
};

/* A few at once, there and back. */
static void churn_many(struct bufpool *pool, struct prng *rng)
{
	struct view views[8];
	struct buf *list;
	unsigned count = buf_new_many(pool, prng_below(rng, 20000), 1 + prng_below(rng, 8), &list);

	for (unsigned i = 0; i < count; i++) {
		views[i] = (struct view){.buf = list};
		list = list->next;
	}
	buf_put_views(views, count);
}

static void *churn(void *arg)
{
	struct worker *w = arg;
	struct buf *held[16] = {NULL};
	struct prng rng;

	prng_init(&rng, w->seed);
	for (int n = 0; n < 20000; n++) {
		struct buf **slot = &held[prng_below(&rng, 16)];

		if (*slot && (*slot)->seq != (uint32_t)w->seed)
			w->errors++;
		buf_put(slot);
		*slot = buf_new(w->pool, prng_below(&rng, 20000));
		if (*slot)
			(*slot)->seq = (uint32_t)w->seed;
		if (n % 8 == 0)
			churn_many(w->pool, &rng);
		if (bufpool_lent_bytes(w->pool) > w->limit_bytes)
			w->errors++;
	}
	for (int i = 0; i < 16; i++)
		buf_put(&held[i]);
	return NULL;
}

static void test_threads(void)
{
	enum { THREADS = 4, LIMIT = 400000 };
	struct bufpool *pool = bufpool_new(LIMIT);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	uint64_t seed = unit_seed();

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){pool, seed + i, LIMIT, 0};
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "churn", churn, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		thread_join(threads[i]);
		CU_ASSERT_EQUAL(workers[i].errors, 0);
	}
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 0);
	bufpool_free(pool);
}

/* ---- Memory of somebody else. ---- */

struct lender {
	struct buf_owner owner; /* first */
	unsigned released;
};

static void count_release(struct buf_owner *owner)
{
	((struct lender *)(void *)owner)->released++;
}

/* Its bytes are the lender's, it has no room, and the last put tells once. */
static void test_foreign(void)
{
	static const uint8_t bytes[100000];
	struct lender lender = {.owner.released = count_release};
	struct bufpool *pool = bufpool_new(0); /* it needs none of the limit */
	struct buf *b = buf_new_foreign(pool, bytes, sizeof(bytes), &lender.owner);

	CU_ASSERT_FATAL(b != NULL);
	CU_ASSERT_TRUE(buf_is_foreign(b));
	CU_ASSERT_PTR_EQUAL(b->data, bytes);
	CU_ASSERT_EQUAL(b->len, sizeof(bytes));
	CU_ASSERT_EQUAL(buf_room(b), 0);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 1);
	CU_ASSERT_EQUAL(bufpool_lent_bytes(pool), 0);
	b->data += 10;
	b->len -= 20;
	CU_ASSERT_EQUAL(buf_room(b), 0);
	struct buf *pin = buf_get(b);

	buf_put(&b);
	CU_ASSERT_EQUAL(lender.released, 0);
	buf_put(&pin);
	CU_ASSERT_EQUAL(lender.released, 1);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_fail_after(pool, 1);
	CU_ASSERT_PTR_NULL(buf_new_foreign(pool, bytes, 1, &lender.owner));
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

UNIT_MAIN("buf", UNIT(new_is_empty), UNIT(reuse_is_clean), UNIT(references), UNIT(limit),
	  UNIT(injected_failure), UNIT(beyond_the_cache), UNIT(many), UNIT(put_all_kinds),
	  UNIT(queue), UNIT(threads), UNIT(foreign))
