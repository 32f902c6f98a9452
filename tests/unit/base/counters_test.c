/* Counters: names, sums, drops. */
#include "net/base/counters.h"

#include "unit.h"
#include <string.h>

static void test_names(void)
{
	CU_ASSERT_STRING_EQUAL(counter_name(C_PKT_IN), "PKT_IN");
	CU_ASSERT_STRING_EQUAL(counter_text(C_PKT_IN), "packets read");
	CU_ASSERT_PTR_NULL(counter_name(C_COUNT));
	CU_ASSERT_PTR_NULL(counter_text(C_COUNT));
	CU_ASSERT(C_COUNT <= 128);
	for (unsigned i = 0; i < C_COUNT; i++)
		for (unsigned j = 0; j < i; j++)
			CU_ASSERT(strcmp(counter_name((enum counter)i),
					 counter_name((enum counter)j)) != 0);
}

static void test_counts(void)
{
	static struct counters c;

	counter_add(&c, C_BYTES_IN, 40);
	counter_add(&c, C_BYTES_IN, 1460);
	CU_ASSERT_EQUAL(counter_read(&c, C_BYTES_IN), 1500);
	CU_ASSERT_EQUAL(counter_read(&c, C_BYTES_OUT), 0);
	CU_ASSERT_EQUAL(drop_count(&c, DROP_IP_CSUM), DROP_IP_CSUM);
	CU_ASSERT_EQUAL(drop_count(&c, DROP_IP_CSUM), DROP_IP_CSUM);
	CU_ASSERT_EQUAL(drop_count(&c, DROP_NONE), DROP_NONE);
	CU_ASSERT_EQUAL(atomic_load(&c.drop[DROP_IP_CSUM]), 2);
	CU_ASSERT_EQUAL(atomic_load(&c.drop[DROP_NONE]), 0);
}

UNIT_MAIN("counters", UNIT(names), UNIT(counts))
