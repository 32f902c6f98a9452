/* Addresses: text both ways, kinds, prefixes. */
#include "net/base/addr.h"

#include "net/base/prng.h"
#include "unit.h"

static struct addr parsed(const char *text)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	CU_ASSERT_TRUE(addr_parse(text, &a));
	return a;
}

static void test_canonical_text(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one group is not compressed */
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* the longest run is */
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* the first of equals is */
		{"fe80::", "fe80::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[ADDR_TEXT_SIZE];
		struct addr a = parsed(cases[i].in);

		CU_ASSERT_STRING_EQUAL(addr_print(&a, text), cases[i].out);
	}
}

static void test_refuses_nonsense(void)
{
	static const char *const texts[] = {
		"",         "1.2.3",     "1.2.3.4.5", "256.1.1.1",  "1.2.3.4 ",
		" 1.2.3.4", "1.2.3.04x", "1::2::3",   "12345::1",   ":::",
		"g::1",     "::1/64",    "localhost", "1.2.3.4/24",
	};
	struct addr a = {{9}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_FALSE(addr_parse(texts[i], &a));
	CU_ASSERT_EQUAL(a.b[0], 9);
}

static void test_round_trip(void)
{
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 20000; n++) {
		char text[ADDR_TEXT_SIZE];
		struct addr a, b;

		for (size_t i = 0; i < sizeof(a.b); i++)
			a.b[i] = prng_below(&rng, 3) ? 0 : (uint8_t)prng_u64(&rng);
		if (n % 4 == 0)
			a = addr_from_v4(a.b);
		CU_ASSERT_TRUE_FATAL(addr_parse(addr_print(&a, text), &b));
		CU_ASSERT_TRUE_FATAL(addr_equal(&a, &b));
	}
}

static void test_kinds(void)
{
	struct addr v4 = parsed("10.1.2.3"), v6 = parsed("2001:db8::1");
	struct addr any4 = parsed("0.0.0.0"), any6 = parsed("::");
	struct addr lo4 = parsed("127.9.9.9"), lo6 = parsed("::1");
	struct addr mc4 = parsed("239.1.1.1"), mc6 = parsed("ff02::1");
	struct addr bc = parsed("255.255.255.255");

	CU_ASSERT_TRUE(addr_is_v4(&v4));
	CU_ASSERT_FALSE(addr_is_v4(&v6));
	CU_ASSERT_TRUE(addr_is_any(&any4));
	CU_ASSERT_TRUE(addr_is_any(&any6));
	CU_ASSERT_FALSE(addr_is_any(&v4));
	CU_ASSERT_TRUE(addr_is_loopback(&lo4));
	CU_ASSERT_TRUE(addr_is_loopback(&lo6));
	CU_ASSERT_FALSE(addr_is_loopback(&any6));
	CU_ASSERT_TRUE(addr_is_multicast(&mc4));
	CU_ASSERT_TRUE(addr_is_multicast(&mc6));
	CU_ASSERT_FALSE(addr_is_multicast(&bc));
	CU_ASSERT_TRUE(addr_is_broadcast(&bc));
	CU_ASSERT_FALSE(addr_is_broadcast(&v4));
	CU_ASSERT_FALSE(addr_equal(&v4, &v6));
}

static void test_prefixes(void)
{
	struct addr net = parsed("192.168.128.0"), in = parsed("192.168.255.1");
	struct addr out = parsed("192.168.127.1"), v6 = parsed("2001:db8::1");

	CU_ASSERT_TRUE(addr_in_prefix(&in, &net, 96 + 17));
	CU_ASSERT_FALSE(addr_in_prefix(&out, &net, 96 + 17));
	CU_ASSERT_TRUE(addr_in_prefix(&out, &net, 96 + 16));
	CU_ASSERT_FALSE(addr_in_prefix(&in, &net, 128));
	CU_ASSERT_TRUE(addr_in_prefix(&net, &net, 128));
	CU_ASSERT_TRUE(addr_in_prefix(&v6, &net, 0));
	CU_ASSERT_FALSE(addr_in_prefix(&v6, &net, 96));
}

/* For every length: equal up to the bit, different in the bit behind it. */
static void test_prefix_bits(void)
{
	struct addr net = parsed("2001:db8:ffff:1:2:3:4:5");

	for (unsigned bits = 0; bits < 128; bits++) {
		struct addr a = net;

		a.b[bits / 8] ^= (uint8_t)(0x80u >> bits % 8);
		CU_ASSERT_TRUE(addr_in_prefix(&a, &net, bits));
		CU_ASSERT_FALSE(addr_in_prefix(&a, &net, bits + 1));
	}
}

UNIT_MAIN("addr", UNIT(canonical_text), UNIT(refuses_nonsense), UNIT(round_trip), UNIT(kinds),
	  UNIT(prefixes), UNIT(prefix_bits))
