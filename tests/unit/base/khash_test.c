/* Keyed hash: the SipHash paper's vector, seeded and unseeded keys. */
#include "net/base/khash.h"

#include "unit.h"
#include <string.h>

/* SipHash-2-4, appendix A: key 00..0f, message 00..0e. */
static void test_known_answer(void)
{
	struct khash_key key;
	uint8_t message[15];

	for (uint8_t i = 0; i < KHASH_KEY_SIZE; i++)
		key.bytes[i] = i;
	for (uint8_t i = 0; i < sizeof(message); i++)
		message[i] = i;
	CU_ASSERT_EQUAL(khash(&key, message, sizeof(message)), 0xa129ca6149be45e5u);
}

static void test_seeded_keys(void)
{
	struct khash_key a, b, other_purpose, other_seed;

	khash_key_init(&a, 7, "isn");
	khash_key_init(&b, 7, "isn");
	khash_key_init(&other_purpose, 7, "port");
	khash_key_init(&other_seed, 8, "isn");
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(&a, &other_purpose, sizeof(a)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(&a, &other_seed, sizeof(a)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a.bytes, a.bytes + 8, 8), 0);
	CU_ASSERT_EQUAL(khash(&a, "x", 1), khash(&b, "x", 1));
	CU_ASSERT_NOT_EQUAL(khash(&a, "x", 1), khash(&other_purpose, "x", 1));
	CU_ASSERT_NOT_EQUAL(khash(&a, "x", 1), khash(&a, "y", 1));
	CU_ASSERT_NOT_EQUAL(khash(&a, "x", 0), khash(&a, "x", 1));
}

static void test_entropy_keys(void)
{
	struct khash_key a, b;

	khash_key_init(&a, 0, "isn");
	khash_key_init(&b, 0, "isn");
	CU_ASSERT_NOT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
}

UNIT_MAIN("khash", UNIT(known_answer), UNIT(seeded_keys), UNIT(entropy_keys))
