/* The timer wheel against a plain array as the model: seeded random operations in virtual time. */
#include "net/base/wheel.h"

#include "net/base/check.h"
#include "net/base/prng.h"
#include "unit.h"

enum { NODES = 200, STEPS = 60000, TICK = 1 << WHEEL_TICK_SHIFT };

/* Where the tick goes is the owner's business: here before the node. */
struct timed {
	uint32_t tick;
	struct wheel_node node;
	weft_time_us deadline;
	unsigned early; /* wake-ups that found nothing since it was inserted */
	bool is_in;
};

static const ptrdiff_t tick_at =
	(ptrdiff_t)offsetof(struct timed, tick) - (ptrdiff_t)offsetof(struct timed, node);

struct model {
	struct wheel wheel;
	struct timed timed[NODES];
	weft_time_us now;
	bool is_exact; /* nothing was removed but by its time */
};

static weft_time_us round_up(weft_time_us at)
{
	return (at + TICK - 1) / TICK * TICK;
}

static struct timed *earliest(struct model *m)
{
	struct timed *min = NULL;

	for (size_t i = 0; i < NODES; i++) {
		struct timed *t = &m->timed[i];

		if (t->is_in && (!min || t->deadline < min->deadline))
			min = t;
	}
	return min;
}

/* W1 to W3, and that the wheel has what the model has. */
static void check_wheel(struct model *m)
{
	const struct wheel *w = &m->wheel;
	size_t count = 0;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
			struct wheel_node *const *prev = &w->slot[level][slot];
			bool is_used = (w->used[level] >> slot & 1) != 0;

			CU_ASSERT_EQUAL_FATAL(is_used, *prev != NULL);
			for (struct wheel_node *n = *prev; n; prev = &n->next, n = n->next) {
				const struct timed *t = CONTAINER_OF(n, struct timed, node);
				uint32_t ahead = t->tick - w->first[level][slot];

				CU_ASSERT_PTR_EQUAL_FATAL(n->prev, prev);
				CU_ASSERT_FATAL(t->is_in && ahead < 1u << 31);
				CU_ASSERT_FATAL(wheel_key(w, n) >= w->tick * TICK);
				count++;
			}
		}
	}
	for (size_t i = 0; i < NODES; i++) {
		CU_ASSERT_EQUAL_FATAL(wheel_has(&m->timed[i].node), m->timed[i].is_in);
		count -= m->timed[i].is_in;
	}
	CU_ASSERT_EQUAL_FATAL(count, 0);
}

static void check_next(struct model *m)
{
	const struct timed *first = earliest(m);
	weft_time_us next = wheel_next(&m->wheel);

	if (!first) {
		CU_ASSERT_EQUAL_FATAL(next, WEFT_TIME_NEVER);
		return;
	}
	weft_time_us due = time_max(round_up(first->deadline), m->wheel.tick * TICK);

	CU_ASSERT_FATAL(next <= due);
	if (m->is_exact && due - m->now < 1000LL * US_PER_S)
		CU_ASSERT_EQUAL_FATAL(next, due);
}

static void insert(struct model *m, struct timed *t, weft_time_us deadline)
{
	t->deadline = deadline;
	t->early = 0;
	t->is_in = true;
	wheel_insert(&m->wheel, &t->node, deadline);
}

/* Everything that is due comes out, and nothing else; what was clamped goes in again. */
static void pop_due(struct model *m, unsigned work)
{
	size_t popped = 0;
	struct timed *early[NODES];
	size_t early_count = 0;

	for (;;) {
		unsigned left = work;
		struct wheel_node *node = wheel_pop(&m->wheel, m->now, &left);

		if (!node && wheel_next(&m->wheel) <= m->now)
			continue; /* work was used up */
		if (!node)
			break;
		struct timed *t = CONTAINER_OF(node, struct timed, node);

		CU_ASSERT_FATAL(t->is_in);
		t->is_in = false;
		popped++;
		if (t->deadline > m->now) {
			CU_ASSERT_FATAL(t->deadline - m->now > 1000LL * US_PER_S);
			early[early_count++] = t;
		}
	}
	for (size_t i = 0; i < early_count; i++)
		insert(m, early[i], early[i]->deadline);
	for (size_t i = 0; i < NODES; i++) {
		struct timed *t = &m->timed[i];

		CU_ASSERT_FATAL(!t->is_in || round_up(t->deadline) > m->now - m->now % TICK);
		t->early += t->is_in && popped == 0;
	}
}

/* Deadlines of all orders of magnitude, up to two days; some in the past. */
static weft_time_us some_deadline(struct prng *rng, weft_time_us now)
{
	unsigned bits = prng_below(rng, 38);
	weft_time_us span = (weft_time_us)(prng_u64(rng) & (((uint64_t)1 << bits) - 1));

	return prng_below(rng, 20) == 0 ? now - span % 5000 : now + span;
}

static void run_model(struct model *m, struct prng *rng, weft_time_us start, bool may_remove)
{
	memset(m, 0, sizeof(*m));
	m->now = start;
	m->is_exact = !may_remove;
	wheel_init(&m->wheel, start, tick_at);
	for (int step = 0; step < STEPS; step++) {
		struct timed *t = &m->timed[prng_below(rng, NODES)];
		unsigned what = prng_below(rng, 8);

		if (!t->is_in && what < 5) {
			insert(m, t, some_deadline(rng, m->now));
		} else if (t->is_in && may_remove && what < 4) {
			wheel_remove(&m->wheel, &t->node);
			t->is_in = false;
		} else if (what == 7) {
			/* As the emitter: sleeps until the wheel's time, or is woken before. */
			weft_time_us next = wheel_next(&m->wheel);
			weft_time_us until = some_deadline(rng, m->now);

			m->now = time_max(m->now, time_min(next, until));
			pop_due(m, 1 + prng_below(rng, 50));
		}
		check_next(m);
		if (step % 16 == 0)
			check_wheel(m);
	}
}

static void test_random_operations(void)
{
	static struct model m;
	struct prng rng;

	prng_init(&rng, unit_seed());
	run_model(&m, &rng, 1234567, true);
	run_model(&m, &rng, 0, false);
}

static void test_ticks_wrap(void)
{
	static struct model m;
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int64_t wrap = 1; wrap < 5; wrap++) {
		weft_time_us at = (wrap << (30 + WHEEL_TICK_SHIFT)) - 1000;

		run_model(&m, &rng, at, wrap % 2 == 0);
		run_model(&m, &rng, at - 3600LL * US_PER_S, wrap % 2 != 0);
	}
}

/* Whoever sleeps until wheel_next meets a node exactly on time, and few times for nothing. */
static void test_sleeps_until_the_deadline(void)
{
	static struct model m;
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int round = 0; round < 2000; round++) {
		struct timed *t = &m.timed[0];
		struct timed *other = &m.timed[1];

		memset(&m, 0, sizeof(m));
		m.now = some_deadline(&rng, 0);
		wheel_init(&m.wheel, m.now, tick_at);
		weft_time_us at = m.now + prng_below(&rng, 1u << 31) + 1;

		insert(&m, t, at);
		CU_ASSERT_EQUAL_FATAL(wheel_next(&m.wheel), round_up(at));
		/* An earlier one comes and goes. */
		insert(&m, other, m.now + prng_below(&rng, (uint32_t)(at - m.now)));
		wheel_remove(&m.wheel, &other->node);
		other->is_in = false;
		while (t->is_in) {
			weft_time_us next = wheel_next(&m.wheel);

			CU_ASSERT_FATAL(next <= round_up(at));
			m.now = time_max(m.now, next);
			pop_due(&m, 100);
		}
		CU_ASSERT_EQUAL_FATAL(m.now, round_up(at));
		CU_ASSERT_FATAL(t->early <= WHEEL_LEVELS);
	}
}

static void test_far_deadline_is_clamped(void)
{
	static struct model m;
	unsigned work = 10;

	memset(&m, 0, sizeof(m));
	wheel_init(&m.wheel, 0, tick_at);
	insert(&m, &m.timed[0], WEFT_TIME_NEVER);
	weft_time_us next = wheel_next(&m.wheel);

	CU_ASSERT(next > 18LL * 3600 * US_PER_S && next < 20LL * 3600 * US_PER_S);
	CU_ASSERT_PTR_NULL(wheel_pop(&m.wheel, next - 1, &work));
	CU_ASSERT_PTR_EQUAL(wheel_pop(&m.wheel, next, &work), &m.timed[0].node);
	CU_ASSERT_EQUAL(wheel_next(&m.wheel), WEFT_TIME_NEVER);
}

/* A slot with very many nodes spills in portions, and what is due then still comes in time. */
static void test_spills_in_portions(void)
{
	enum { MANY = 100000, PORTION = 100 };
	struct timed *timed = calloc(MANY, sizeof(*timed));
	static struct wheel wheel;
	weft_time_us at = 60LL * US_PER_S;
	size_t out = 0, calls = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(timed);
	wheel_init(&wheel, 0, tick_at);
	for (size_t i = 0; i < MANY; i++)
		wheel_insert(&wheel, &timed[i].node, at + (weft_time_us)(i % 1000) * TICK);
	CU_ASSERT_EQUAL(wheel_next(&wheel), round_up(at));
	at += 2000 * TICK;
	while (out < MANY && calls < 100 * MANY) {
		unsigned work = PORTION;
		struct wheel_node *node = wheel_pop(&wheel, at, &work);

		if (node)
			out++;
		else
			CU_ASSERT_FATAL(wheel_next(&wheel) <= at);
		calls++;
	}
	CU_ASSERT_EQUAL(out, MANY);
	CU_ASSERT(calls - out >= MANY / PORTION / 2); /* it was in portions */
	CU_ASSERT_EQUAL(wheel_next(&wheel), WEFT_TIME_NEVER);
	free(timed);
}

static void test_any_empties(void)
{
	static struct model m;
	struct prng rng;
	size_t count = 0;

	prng_init(&rng, unit_seed());
	memset(&m, 0, sizeof(m));
	wheel_init(&m.wheel, 0, tick_at);
	for (size_t i = 0; i < NODES; i++)
		insert(&m, &m.timed[i], some_deadline(&rng, 0));
	for (struct wheel_node *node; (node = wheel_any(&m.wheel)); count++) {
		CU_ASSERT_FALSE_FATAL(wheel_has(node));
		CONTAINER_OF(node, struct timed, node)->is_in = false;
		check_wheel(&m);
	}
	CU_ASSERT_EQUAL(count, NODES);
}

UNIT_MAIN("wheel", UNIT(random_operations), UNIT(ticks_wrap), UNIT(sleeps_until_the_deadline),
	  UNIT(far_deadline_is_clamped), UNIT(spills_in_portions), UNIT(any_empties))
