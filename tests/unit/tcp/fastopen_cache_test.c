/*
 * Fast open's cookies and cache (RFC 7413 4.1): keys that change, whose cookie it is, what is remembered
 * and forgotten, and the back-off where SYNs with data vanish.
 */
#include "net/tcp/fastopen_cache.h"
#include "unit.h"
#include <string.h>

#define S ((weft_time_us)US_PER_S)

static struct fastopen_cache cache;

static struct flow flow_of(uint8_t last, uint16_t port)
{
	const uint8_t us[4] = {10, 0, 0, 1}, them[4] = {10, 0, 1, last};

	return (struct flow){.local = addr_from_v4(us),
			     .remote = addr_from_v4(them),
			     .local_port = port,
			     .remote_port = 80};
}

static void test_cookie_is_for_one_client(void)
{
	struct fastopen_keys keys = {0};
	struct flow a = flow_of(1, 100), a2 = flow_of(1, 200), b = flow_of(2, 100);
	struct tcp_opts opt = {0};
	bool is_old;

	fastopen_keys_renew(&keys, 1, S);
	fastopen_cookie(&keys, &a, &opt);
	CU_ASSERT_EQUAL(opt.fo_len, FASTOPEN_COOKIE_SIZE);
	CU_ASSERT_TRUE(fastopen_cookie_ok(&keys, &a, &opt, &is_old));
	CU_ASSERT_TRUE(fastopen_cookie_ok(&keys, &a2, &opt, &is_old));
	CU_ASSERT_FALSE(is_old);
	CU_ASSERT_FALSE(fastopen_cookie_ok(&keys, &b, &opt, &is_old));
	opt.fo_len = 4;
	CU_ASSERT_FALSE(fastopen_cookie_ok(&keys, &a, &opt, &is_old));
	opt.fo_len = 8;
	opt.fo[3] ^= 1;
	CU_ASSERT_FALSE(fastopen_cookie_ok(&keys, &a, &opt, &is_old));
}

static void test_keys_change(void)
{
	for (uint64_t seed = 0; seed < 2; seed++) {
		struct fastopen_keys keys = {0};
		struct flow a = flow_of(1, 100);
		struct tcp_opts opt = {0};
		bool is_old;

		fastopen_keys_renew(&keys, seed, 0);
		fastopen_cookie(&keys, &a, &opt);
		fastopen_keys_renew(&keys, seed, FASTOPEN_KEY_S * S - 1);
		CU_ASSERT_TRUE(fastopen_cookie_ok(&keys, &a, &opt, &is_old) && !is_old);
		fastopen_keys_renew(&keys, seed, FASTOPEN_KEY_S * S);
		CU_ASSERT_TRUE(fastopen_cookie_ok(&keys, &a, &opt, &is_old) && is_old);
		fastopen_keys_renew(&keys, seed, 2 * FASTOPEN_KEY_S * S);
		CU_ASSERT_FALSE(fastopen_cookie_ok(&keys, &a, &opt, &is_old));
	}
}

static void put(const struct flow *flow, uint8_t cookie_len, bool is_lost, bool is_acked,
		weft_time_us now)
{
	const struct tcp_opts opt = {.has_fo = cookie_len > 0, .fo_len = cookie_len, .fo = {7, 8}};
	const struct fastopen_news news = {
		.opt = &opt, .mss = 1300, .is_lost = is_lost, .is_acked = is_acked};

	fastopen_cache_put(&cache, flow, &news, now);
}

static enum fastopen_advice get(const struct flow *flow, weft_time_us now)
{
	struct tcp_opts opt = {0};
	uint16_t mss;
	enum fastopen_advice advice = fastopen_cache_get(&cache, flow, now, &opt, &mss);

	if (advice == FASTOPEN_USE)
		CU_ASSERT_TRUE(mss == 1300 && opt.has_fo && opt.fo_len >= 4 && opt.fo[0] == 7);
	return advice;
}

static void test_cache(void)
{
	struct flow a = flow_of(1, 100), b = flow_of(2, 100);

	fastopen_cache_init(&cache, 1);
	CU_ASSERT_EQUAL(get(&a, S), FASTOPEN_ASK);
	put(&a, 0, false, false, S); /* a server without it: asked again */
	CU_ASSERT_EQUAL(get(&a, S), FASTOPEN_ASK);
	put(&a, 16, false, false, S);
	CU_ASSERT_EQUAL(get(&a, S), FASTOPEN_USE);
	CU_ASSERT_EQUAL(get(&b, S), FASTOPEN_ASK);
	put(&a, 0, false, true, S); /* no new one: the old one stays */
	CU_ASSERT_EQUAL(get(&a, S), FASTOPEN_USE);
	const struct tcp_opts empty = {.has_fo = true};
	const struct fastopen_news news = {.opt = &empty, .mss = 1300, .is_acked = true};

	fastopen_cache_put(&cache, &a, &news, S); /* nor is an empty option one */
	CU_ASSERT_EQUAL(get(&a, S), FASTOPEN_USE);
}

static void test_black_hole(void)
{
	struct flow a = flow_of(1, 100);

	fastopen_cache_init(&cache, 1);
	put(&a, 8, false, false, S);
	put(&a, 0, true, false, 2 * S);
	CU_ASSERT_EQUAL(get(&a, 2 * S), FASTOPEN_USE); /* once is chance */
	put(&a, 0, true, false, 3 * S);
	CU_ASSERT_EQUAL(get(&a, 3 * S), FASTOPEN_REFRAIN);
	CU_ASSERT_EQUAL(get(&a, 243 * S - 1), FASTOPEN_REFRAIN);
	CU_ASSERT_EQUAL(get(&a, 243 * S), FASTOPEN_USE);
	put(&a, 0, true, false, 300 * S);
	CU_ASSERT_EQUAL(get(&a, 780 * S - 1), FASTOPEN_REFRAIN);
	CU_ASSERT_EQUAL(get(&a, 780 * S), FASTOPEN_USE);
	put(&a, 0, false, true, 800 * S);
	put(&a, 0, true, false, 801 * S);
	CU_ASSERT_EQUAL(get(&a, 801 * S), FASTOPEN_USE);
}

/* Bounded: the newest are kept, whatever comes. */
static void test_cache_is_bounded(void)
{
	unsigned known = 0;

	fastopen_cache_init(&cache, 1);
	for (unsigned i = 0; i < 4000; i++) {
		struct flow f = flow_of((uint8_t)i, 1);

		f.local.b[15] = (uint8_t)(i >> 8);
		put(&f, 8, false, false, S + i);
		CU_ASSERT_EQUAL(get(&f, S + i), FASTOPEN_USE);
	}
	for (unsigned i = 0; i < 4000; i++) {
		struct flow f = flow_of((uint8_t)i, 1);

		f.local.b[15] = (uint8_t)(i >> 8);
		known += get(&f, 2 * S) == FASTOPEN_USE;
	}
	CU_ASSERT_TRUE(known > 0 && known <= FASTOPEN_SETS * FASTOPEN_WAYS);
}

/* The key before the newest, not whichever was there before a pause. */
static void test_keys_behind_a_pause(void)
{
	struct fastopen_keys keys = {0};
	struct flow a = flow_of(1, 100);
	struct tcp_opts opt = {0};
	bool is_old;

	fastopen_keys_renew(&keys, 1, 0);
	fastopen_cookie(&keys, &a, &opt);
	fastopen_keys_renew(&keys, 1, 3 * FASTOPEN_KEY_S * S);
	CU_ASSERT_FALSE(fastopen_cookie_ok(&keys, &a, &opt, &is_old));
	CU_ASSERT_FALSE(is_old);
	/* A stack with a seed has the keys of before it ran. */
	struct fastopen_keys again = {0};

	fastopen_keys_renew(&again, 1, FASTOPEN_KEY_S * S);
	CU_ASSERT_TRUE(fastopen_cookie_ok(&again, &a, &opt, &is_old) && is_old);
}

static void test_black_hole_is_tried_again(void)
{
	weft_time_us most = ((weft_time_us)FASTOPEN_BACKOFF_S << FASTOPEN_LOSSES_MAX) * S;
	struct flow a = flow_of(1, 100);

	fastopen_cache_init(&cache, 1);
	put(&a, 8, false, false, S);
	for (unsigned i = 0; i < 300; i++)
		put(&a, 0, true, false, 2 * S);
	CU_ASSERT_EQUAL(get(&a, 2 * S + most - 1), FASTOPEN_REFRAIN);
	CU_ASSERT_EQUAL(get(&a, 2 * S + most), FASTOPEN_USE);
}

/* An entry is of both addresses, lives from the clock's first tick on, and gives way when it is the oldest. */
static void test_entries(void)
{
	struct flow a = flow_of(1, 100), other = a;
	unsigned known = 0;

	other.local.b[15] = 77;
	fastopen_cache_init(&cache, 1);
	put(&a, 8, false, false, 0);
	CU_ASSERT_EQUAL(get(&a, 0), FASTOPEN_USE);
	for (unsigned i = 0; i < 256; i++) { /* also those of the same set */
		other.local.b[15] = (uint8_t)i;
		CU_ASSERT_EQUAL(get(&other, 0) == FASTOPEN_USE, addr_equal(&other.local, &a.local));
	}
	for (unsigned i = 0; i < 4000; i++) {
		struct flow f = flow_of((uint8_t)i, 1);

		f.local.b[15] = (uint8_t)(i >> 8);
		put(&f, 8, false, false, S + i);
	}
	for (unsigned i = 4000 - FASTOPEN_SETS; i < 4000; i++) {
		struct flow f = flow_of((uint8_t)i, 1);

		f.local.b[15] = (uint8_t)(i >> 8);
		known += get(&f, 2 * S) == FASTOPEN_USE;
	}
	CU_ASSERT_TRUE(known >
		       FASTOPEN_SETS * 9 / 10); /* one a set on average, and room for more */
}

UNIT_MAIN("fastopen_cache", UNIT(cookie_is_for_one_client), UNIT(keys_change), UNIT(cache),
	  UNIT(black_hole), UNIT(cache_is_bounded), UNIT(keys_behind_a_pause),
	  UNIT(black_hole_is_tried_again), UNIT(entries))
