/* Every drop reason has a name and a text of its own. */
#include "net/base/drop.h"

#include "unit.h"
#include <string.h>

static void test_names(void)
{
	CU_ASSERT_STRING_EQUAL(drop_name(DROP_NONE), "NONE");
	CU_ASSERT_STRING_EQUAL(drop_name(DROP_TCP_CSUM), "TCP_CSUM");
	CU_ASSERT_STRING_EQUAL(drop_text(DROP_TCP_CSUM), "bad TCP checksum");
	CU_ASSERT_STRING_EQUAL(drop_name(DROP_STOPPED), "STOPPED");
	CU_ASSERT_PTR_NULL(drop_name(DROP_COUNT));
	CU_ASSERT_PTR_NULL(drop_text(DROP_COUNT));
}

static void test_all_differ(void)
{
	for (unsigned i = 0; i < DROP_COUNT; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(drop_name((enum drop)i));
		CU_ASSERT_PTR_NOT_NULL_FATAL(drop_text((enum drop)i));
		for (unsigned j = 0; j < i; j++) {
			CU_ASSERT(strcmp(drop_name((enum drop)i), drop_name((enum drop)j)) != 0);
			CU_ASSERT(strcmp(drop_text((enum drop)i), drop_text((enum drop)j)) != 0);
		}
	}
}

/* The public statistics have 128 places for each kind. */
static void test_fits_public_array(void)
{
	CU_ASSERT(DROP_COUNT <= 128);
}

UNIT_MAIN("drop", UNIT(names), UNIT(all_differ), UNIT(fits_public_array))
