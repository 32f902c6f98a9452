/* The path MTU cache: lowering, ageing, bounds; and what "too big" messages mean. */
#include "net/ip/pmtu.h"

#include "net/base/check.h"
#include "net/base/prng.h"
#include "unit.h"

static struct pmtu pmtu;

static const weft_time_us start = 5000000;
static const weft_time_us ten_minutes = 600 * (weft_time_us)US_PER_S;

static struct addr addr(const char *text)
{
	struct addr a;

	WEFT_ASSERT(addr_parse(text, &a));
	return a;
}

static void test_lowers_and_never_raises(void)
{
	struct addr a = addr("192.0.2.1"), b = addr("2001:db8::1");

	pmtu_init(&pmtu, 1, PMTU_AGE_S);
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start), 1500);
	CU_ASSERT_TRUE(pmtu_lower(&pmtu, &a, 1400, start));
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start), 1400);
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &b, 1500, start), 1500);
	CU_ASSERT_FALSE(pmtu_lower(&pmtu, &a, 1400, start + 1));
	CU_ASSERT_FALSE(pmtu_lower(&pmtu, &a, 1450, start + 1));
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + 1), 1400);
	CU_ASSERT_TRUE(pmtu_lower(&pmtu, &a, 1300, start + 1));
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + 1), 1300);
	/* Never more than the link takes. */
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1280, start + 1), 1280);
}

/* RFC 1191 6.3, RFC 8201 5.3: forgotten 10 minutes after it was learnt, to the microsecond. */
static void test_ages(void)
{
	struct addr a = addr("192.0.2.1");

	pmtu_init(&pmtu, 1, PMTU_AGE_S);
	CU_ASSERT_TRUE(pmtu_lower(&pmtu, &a, 1400, start));
	CU_ASSERT_FALSE(pmtu_lower(&pmtu, &a, 1400, start + ten_minutes / 2));
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + ten_minutes - 1), 1400);
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + ten_minutes), 1500);
	CU_ASSERT_TRUE(pmtu_lower(&pmtu, &a, 1450, start + ten_minutes));
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + ten_minutes), 1450);
}

static void test_age_is_set(void)
{
	const struct addr a = addr("192.0.2.1");

	pmtu_init(&pmtu, 1, PMTU_AGE_MIN_S);
	CU_ASSERT_TRUE(pmtu_lower(&pmtu, &a, 1400, start));
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + 120 * (weft_time_us)US_PER_S - 1), 1400);
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a, 1500, start + 120 * (weft_time_us)US_PER_S), 1500);
}

/* A full set gives up what would end first; the table does not grow. */
static void test_is_bounded(void)
{
	static struct addr a[PMTU_SETS * PMTU_WAYS * 2];
	const weft_time_us now = start + (weft_time_us)ARRAY_SIZE(a);
	unsigned known = 0;

	pmtu_init(&pmtu, unit_seed(), PMTU_AGE_S);
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++) {
		a[i] = addr("2001:db8::");
		a[i].b[14] = (uint8_t)(i >> 8);
		a[i].b[15] = (uint8_t)i;
		CU_ASSERT_TRUE(pmtu_lower(&pmtu, &a[i], 1300, start + i));
	}
	for (unsigned i = 0; i < ARRAY_SIZE(a); i++)
		known += pmtu_get(&pmtu, &a[i], 1500, now) == 1300;
	CU_ASSERT_TRUE(known <= PMTU_SETS * PMTU_WAYS);
	CU_ASSERT_TRUE(known > PMTU_SETS * PMTU_WAYS * 3 / 4);
	/* The newest is never what goes. */
	CU_ASSERT_EQUAL(pmtu_get(&pmtu, &a[ARRAY_SIZE(a) - 1], 1500, now), 1300);
}

static void test_claims_of_ipv4(void)
{
	CU_ASSERT_EQUAL(pmtu_claim(true, 1400, 1500), 1400);
	CU_ASSERT_EQUAL(pmtu_claim(true, 1500, 1500), 0); /* it did fit */
	CU_ASSERT_EQUAL(pmtu_claim(true, 9000, 1500), 0);
	CU_ASSERT_EQUAL(pmtu_claim(true, PMTU4_MIN, 1500), PMTU4_MIN);
	CU_ASSERT_EQUAL(pmtu_claim(true, PMTU4_MIN - 1, 1500), PMTU4_MIN);
	CU_ASSERT_EQUAL(pmtu_claim(true, 20, 1500), PMTU4_MIN);
	CU_ASSERT_EQUAL(pmtu_claim(true, 20, PMTU4_MIN), 0);
}

/* Routers older than RFC 1191 say 0: the next usual MTU below the packet's size. */
static void test_plateaus(void)
{
	CU_ASSERT_EQUAL(pmtu_claim(true, 0, 65535), 32000);
	CU_ASSERT_EQUAL(pmtu_claim(true, 0, 9000), 8166);
	CU_ASSERT_EQUAL(pmtu_claim(true, 0, 1500), 1492);
	CU_ASSERT_EQUAL(pmtu_claim(true, 0, 1492), 1006);
	CU_ASSERT_EQUAL(pmtu_claim(true, 0, 1006), PMTU4_MIN);
	CU_ASSERT_EQUAL(pmtu_claim(true, 0, PMTU4_MIN), 0);
	CU_ASSERT_EQUAL(pmtu_claim(false, 0, 1500), 0);
}

static void test_claims_of_ipv6(void)
{
	CU_ASSERT_EQUAL(pmtu_claim(false, 1400, 1500), 1400);
	CU_ASSERT_EQUAL(pmtu_claim(false, 1280, 1500), 1280);
	CU_ASSERT_EQUAL(pmtu_claim(false, 1279, 1500), 0);
	CU_ASSERT_EQUAL(pmtu_claim(false, 1280, 1280), 0);
	CU_ASSERT_EQUAL(pmtu_claim(false, UINT32_MAX, 1500), 0);
}

UNIT_MAIN("pmtu", UNIT(lowers_and_never_raises), UNIT(ages), UNIT(age_is_set), UNIT(is_bounded),
	  UNIT(claims_of_ipv4), UNIT(plateaus), UNIT(claims_of_ipv6))
