/* IP identifications: no number again too soon, none told to others (RFC 6864, RFC 7739). */
#include "net/ip/ip_id.h"

#include "net/base/check.h"
#include "unit.h"

static struct ip_ids ids;

static struct addr addr(const char *text)
{
	struct addr a;

	WEFT_ASSERT(addr_parse(text, &a));
	return a;
}

static void test_unique_for_65536(void)
{
	static bool seen[65536];
	struct addr src = addr("192.0.2.1"), dst = addr("192.0.2.2");
	unsigned twice = 0;

	ip_ids_init(&ids, 1);
	for (unsigned i = 0; i < 65536; i++) {
		uint16_t id = (uint16_t)ip_id_take(&ids, &src, &dst, 17, 1);

		twice += seen[id];
		seen[id] = true;
	}
	CU_ASSERT_EQUAL(twice, 0);
}

static void test_ranges(void)
{
	struct addr src = addr("192.0.2.1"), dst = addr("192.0.2.2");

	ip_ids_init(&ids, 1);
	uint32_t first = ip_id_take(&ids, &src, &dst, 6, 40);

	CU_ASSERT_EQUAL(ip_id_take(&ids, &src, &dst, 6, 1), first + 40);
	CU_ASSERT_EQUAL(ip_id_take(&ids, &src, &dst, 6, 1), first + 41);
}

/* What one destination sees does not tell what another gets: offsets differ, and by key, too. */
static void test_not_sequential_across_destinations(void)
{
	struct addr src = addr("2001:db8::1"), dst = addr("2001:db8::2");
	unsigned near = 0;

	ip_ids_init(&ids, 1);
	uint32_t last = ip_id_take(&ids, &src, &dst, 58, 1);

	for (unsigned i = 3; i < 100; i++) {
		dst.b[15] = (uint8_t)i;
		uint32_t id = ip_id_take(&ids, &src, &dst, 58, 1);

		near += id - last < 1000 || last - id < 1000;
		last = id;
	}
	CU_ASSERT_TRUE(near < 3);
	ip_ids_init(&ids, 2);
	CU_ASSERT_NOT_EQUAL(ip_id_take(&ids, &src, &dst, 58, 1), last + 1);
}

UNIT_MAIN("ip_id", UNIT(unique_for_65536), UNIT(ranges), UNIT(not_sequential_across_destinations))
