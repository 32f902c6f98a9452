/* Gates: tickets, one and all, deadlines, and that no opening is missed. */
#include "net/base/gate.h"

#include "unit.h"

enum { THREADS = 4, ROUNDS = 20000 };

static NO_TSA bool wait_real(void *ctx, struct cond *cond, struct mutex *mu, weft_time_us deadline)
{
	atomic_uint *sleeps = ctx;

	if (sleeps)
		atomic_fetch_add(sleeps, 1);
	return cond_wait_until(cond, mu, deadline);
}

/* An opening behind gate_enter is heard, also by who sleeps only afterwards. */
static void test_old_ticket(void)
{
	atomic_uint sleeps = 0;
	struct gate g;

	gate_init(&g);
	gate_open_one(&g); /* nobody there: nothing happens */
	CU_ASSERT_EQUAL(g.turn, 0);
	unsigned ticket = gate_enter(&g);

	gate_open_one(&g);
	CU_ASSERT_TRUE(gate_sleep(&g, &ticket, wait_real, &sleeps, WEFT_TIME_NEVER));
	CU_ASSERT_EQUAL(atomic_load(&sleeps), 0);
	/* The ticket was renewed: the next sleep is one. */
	CU_ASSERT_FALSE(gate_sleep(&g, &ticket, wait_real, &sleeps, clock_monotonic_us() + 2000));
	CU_ASSERT(atomic_load(&sleeps) > 0);
	gate_leave(&g);
	gate_open_all(&g);
	CU_ASSERT_EQUAL(g.turn, 1);
	gate_fini(&g);
}

/* Tokens that are taken and given without any lock. */
struct tokens {
	struct gate gate;
	atomic_int left;
	atomic_uint taken;
};

static bool try_take(struct tokens *t)
{
	int left = atomic_load(&t->left);

	while (left > 0)
		if (atomic_compare_exchange_weak(&t->left, &left, left - 1))
			return true;
	return false;
}

static void *take_many(void *arg)
{
	struct tokens *t = arg;

	for (int i = 0; i < ROUNDS; i++) {
		while (!try_take(t)) {
			unsigned ticket = gate_enter(&t->gate);

			if (atomic_load(&t->left) == 0)
				gate_sleep(&t->gate, &ticket, wait_real, NULL, WEFT_TIME_NEVER);
			gate_leave(&t->gate);
		}
		atomic_fetch_add(&t->taken, 1);
		if (atomic_load(&t->left) > 0)
			gate_open_one(&t->gate);
	}
	return NULL;
}

/* One token an opening, one sleeper an opening: the test ends only if none is lost. */
static void test_nothing_is_lost(void)
{
	struct tokens t = {.left = 0};
	pthread_t threads[THREADS];

	gate_init(&t.gate);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "take", take_many, &t), 0);
	for (int i = 0; i < THREADS * ROUNDS; i++) {
		atomic_fetch_add(&t.left, 1);
		gate_open_one(&t.gate);
	}
	for (int i = 0; i < THREADS; i++)
		thread_join(threads[i]);
	CU_ASSERT_EQUAL(atomic_load(&t.taken), THREADS * ROUNDS);
	CU_ASSERT_EQUAL(atomic_load(&t.gate.inside), 0);
	gate_fini(&t.gate);
}

UNIT_MAIN("gate", UNIT(old_ticket), UNIT(nothing_is_lost))
