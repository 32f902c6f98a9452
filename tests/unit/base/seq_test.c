/* Serial arithmetic: order around the wrap and at distances of 2^31 (RFC 9293 3.4). */
#include "net/base/seq.h"

#include "unit.h"

static const uint32_t origins[] = {0, 1, 1000, 0x7fffffff, 0x80000000u, 0x80000001u, 0xffffffffu};

static void test_orders_near(void)
{
	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		uint32_t a = origins[i];

		CU_ASSERT_FALSE(seq_lt(a, a));
		CU_ASSERT_TRUE(seq_le(a, a));
		CU_ASSERT_TRUE(seq_ge(a, a));
		CU_ASSERT_FALSE(seq_gt(a, a));
		CU_ASSERT_TRUE(seq_lt(a, a + 1));
		CU_ASSERT_TRUE(seq_gt(a + 1, a));
		CU_ASSERT_TRUE(seq_lt(a - 1, a));
		CU_ASSERT_EQUAL(seq_diff(a + 5, a), 5);
		CU_ASSERT_EQUAL(seq_diff(a, a + 5), -5);
		CU_ASSERT_EQUAL(seq_max(a, a + 9), a + 9);
		CU_ASSERT_EQUAL(seq_max(a + 9, a), a + 9);
		CU_ASSERT_EQUAL(seq_min(a, a + 9), a);
		CU_ASSERT_EQUAL(seq_min(a + 9, a), a);
	}
}

static void test_half_space(void)
{
	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		uint32_t a = origins[i];

		/* 2^31 - 1 ahead is after; 2^31 + 1 ahead is before. */
		CU_ASSERT_TRUE(seq_gt(a + 0x7fffffffu, a));
		CU_ASSERT_TRUE(seq_lt(a, a + 0x7fffffffu));
		CU_ASSERT_TRUE(seq_lt(a + 0x80000001u, a));
		CU_ASSERT_EQUAL(seq_diff(a + 0x7fffffffu, a), INT32_MAX);
		CU_ASSERT_EQUAL(seq_diff(a + 0x80000001u, a), -INT32_MAX);
		/* Exactly 2^31: each is "before" the other, never "after". */
		CU_ASSERT_TRUE(seq_lt(a + 0x80000000u, a));
		CU_ASSERT_TRUE(seq_lt(a, a + 0x80000000u));
		CU_ASSERT_FALSE(seq_gt(a, a + 0x80000000u));
		CU_ASSERT_EQUAL(seq_diff(a + 0x80000000u, a), INT32_MIN);
	}
}

static void test_in_range(void)
{
	CU_ASSERT_TRUE(seq_in(10, 10, 1));
	CU_ASSERT_FALSE(seq_in(11, 10, 1));
	CU_ASSERT_FALSE(seq_in(9, 10, 1));
	CU_ASSERT_FALSE(seq_in(10, 10, 0));
	CU_ASSERT_TRUE(seq_in(3, 0xfffffffeu, 6));
	CU_ASSERT_FALSE(seq_in(4, 0xfffffffeu, 6));
	CU_ASSERT_TRUE(seq_in(0xfffffffeu, 0xfffffffeu, 6));
	CU_ASSERT_FALSE(seq_in(0xfffffffdu, 0xfffffffeu, 6));
	CU_ASSERT_TRUE(seq_in(0x7ffffffeu, 0xffffffffu, 0x80000000u));
}

UNIT_MAIN("seq", UNIT(orders_near), UNIT(half_space), UNIT(in_range))
