/* The generator: repeatable, in range, roughly uniform. */
#include "net/base/prng.h"

#include "unit.h"

static void test_repeats(void)
{
	struct prng a, b, c;
	int same = 0;

	prng_init(&a, 42);
	prng_init(&b, 42);
	prng_init(&c, 43);
	for (int i = 0; i < 1000; i++) {
		uint64_t x = prng_u64(&a);

		CU_ASSERT_EQUAL(x, prng_u64(&b));
		same += x == prng_u64(&c);
	}
	CU_ASSERT_EQUAL(same, 0);
}

/* xoshiro256** by hand from the state 1, 2, 3, 4: rotl(2 * 5, 7) * 9, then rotl(0 * 5, 7) * 9. */
static void test_known_answers(void)
{
	struct prng p = {{1, 2, 3, 4}};

	CU_ASSERT_EQUAL(prng_u64(&p), 11520);
	CU_ASSERT_EQUAL(prng_u64(&p), 0);
	CU_ASSERT_EQUAL(prng_u64(&p), 1509978240);
}

static void test_seed_zero(void)
{
	struct prng p;

	prng_init(&p, 0);
	CU_ASSERT_TRUE((p.s[0] | p.s[1] | p.s[2] | p.s[3]) != 0);
	CU_ASSERT_EQUAL(p.s[0], 0xe220a8397b1dcdafu); /* splitmix64's first output for 0 */
	CU_ASSERT_NOT_EQUAL(prng_u64(&p), prng_u64(&p));
}

static void test_below(void)
{
	static const uint32_t bounds[] = {1, 2, 3, 7, 10, 1000, 0x80000001u, 0xffffffffu};
	unsigned seen[10] = {0};
	struct prng p;

	prng_init(&p, unit_seed());
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		for (int n = 0; n < 10000; n++)
			CU_ASSERT_FATAL(prng_below(&p, bounds[i]) < bounds[i]);
	for (int n = 0; n < 100000; n++)
		seen[prng_below(&p, 10)]++;
	/* 10,000 each; six sigma is about 570. */
	for (size_t i = 0; i < 10; i++)
		CU_ASSERT(seen[i] > 9400 && seen[i] < 10600);
}

static void test_chance(void)
{
	struct prng p;
	int hits = 0;

	prng_init(&p, unit_seed());
	for (int n = 0; n < 10000; n++) {
		CU_ASSERT_FALSE(prng_chance_ppm(&p, 0));
		CU_ASSERT_TRUE(prng_chance_ppm(&p, 1000000));
	}
	for (int n = 0; n < 100000; n++)
		hits += prng_chance_ppm(&p, 100000);
	CU_ASSERT(hits > 9400 && hits < 10600);
}

UNIT_MAIN("prng", UNIT(repeats), UNIT(known_answers), UNIT(seed_zero), UNIT(below), UNIT(chance))
