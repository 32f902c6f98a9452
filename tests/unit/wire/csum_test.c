/* The checksum against a word-by-word reference: every length, alignment and split. */
#include "net/wire/csum.h"

#include "tests/unit/wire/exact.h"
#include "unit.h"

enum { LENGTHS = 3001 };

/* RFC 1071 taken literally. */
static uint16_t reference(const uint8_t *p, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		if (sum > 0xffff)
			sum = (sum & 0xffff) + 1;
	}
	return (uint16_t)sum;
}

static void fill(struct prng *rng, uint8_t *p, size_t size, int kind)
{
	if (kind == 0)
		fill_random(rng, p, size);
	else
		memset(p, kind == 1 ? 0xff : 0, size);
}

static void test_every_length_and_alignment(void)
{
	static uint8_t raw[LENGTHS + 16];
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int kind = 0; kind < 3; kind++) {
		fill(&rng, raw, sizeof(raw), kind);
		for (size_t size = 0; size < LENGTHS; size++) {
			const uint8_t *p = raw + size % 16;

			CU_ASSERT_EQUAL_FATAL(csum_fold(csum_add(0, p, size)), reference(p, size));
		}
		for (size_t at = 0; at < 16; at++)
			for (size_t size = 0; size < 260; size++)
				CU_ASSERT_EQUAL_FATAL(csum_fold(csum_add(0, raw + at, size)),
						      reference(raw + at, size));
	}
}

static void test_large(void)
{
	enum { SIZE = 65535 };

	uint8_t *raw = malloc(SIZE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(raw);
	memset(raw, 0xff, SIZE);
	CU_ASSERT_EQUAL(csum_fold(csum_add(0, raw, SIZE)), reference(raw, SIZE));
	free(raw);
}

static void test_every_split(void)
{
	uint8_t raw[300];
	struct prng rng;

	prng_init(&rng, unit_seed());
	fill_random(&rng, raw, sizeof(raw));
	for (size_t size = 0; size <= sizeof(raw); size++) {
		uint16_t whole = reference(raw, size);

		for (size_t at = 0; at <= size; at++) {
			uint64_t sum = csum_add_at(0, raw, at, 0);

			sum = csum_add_at(sum, raw + at, size - at, at);
			CU_ASSERT_EQUAL_FATAL(csum_fold(sum), whole);
			if (at % 2 != 0)
				continue;
			sum = csum_add(csum_add(0, raw, at), raw + at, size - at);
			CU_ASSERT_EQUAL_FATAL(csum_fold(sum), whole);
		}
	}
}

static void test_random_pieces(void)
{
	static uint8_t raw[LENGTHS];
	struct prng rng;

	prng_init(&rng, unit_seed());
	fill_random(&rng, raw, sizeof(raw));
	for (int n = 0; n < 5000; n++) {
		size_t size = prng_below(&rng, LENGTHS);
		uint64_t sum = 0;

		for (size_t at = 0; at < size;) {
			size_t piece = 1 + prng_below(&rng, (uint32_t)(size - at));

			sum = csum_add_at(sum, raw + at, piece, at);
			at += piece;
		}
		CU_ASSERT_EQUAL_FATAL(csum_fold(sum), reference(raw, size));
	}
}

static void test_known_answers(void)
{
	/* RFC 1071 section 3. */
	static const uint8_t rfc1071[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	CU_ASSERT_EQUAL(csum_fold(csum_add(0, rfc1071, sizeof(rfc1071))), 0xddf2);
	CU_ASSERT_EQUAL(csum_finish(csum_add(0, rfc1071, sizeof(rfc1071))), 0x220d);
	CU_ASSERT_EQUAL(csum_finish(0), 0xffff);
	CU_ASSERT_EQUAL(csum_fold(0xffff), 0xffff);
	CU_ASSERT_EQUAL(csum_fold(0x1fffe), 0xffff);
	CU_ASSERT_EQUAL(csum_fold(UINT64_MAX), 0xffff);
}

static void test_pseudo_headers(void)
{
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 2000; n++) {
		struct addr s4 = random_addr(&rng, true), d4 = random_addr(&rng, true);
		struct addr s6 = random_addr(&rng, false), d6 = random_addr(&rng, false);
		uint32_t size = (uint32_t)prng_u64(&rng);
		uint8_t v4[12] = {0}, v6[40] = {0};

		memcpy(v4, s4.b + 12, 4);
		memcpy(v4 + 4, d4.b + 12, 4);
		v4[9] = 6;
		v4[10] = (uint8_t)(size >> 8);
		v4[11] = (uint8_t)size;
		CU_ASSERT_EQUAL_FATAL(csum_fold(csum_pseudo(&s4, &d4, 6, size & 0xffff)),
				      reference(v4, sizeof(v4)));
		memcpy(v6, s6.b, 16);
		memcpy(v6 + 16, d6.b, 16);
		for (unsigned i = 0; i < 4; i++)
			v6[32 + i] = (uint8_t)(size >> (24 - 8 * i));
		v6[39] = 58;
		CU_ASSERT_EQUAL_FATAL(csum_fold(csum_pseudo(&s6, &d6, 58, size)),
				      reference(v6, sizeof(v6)));
	}
}

static void store16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void test_update(void)
{
	uint8_t raw[40];
	struct prng rng;

	/* RFC 1624 section 4: the case that equation 2 of RFC 1071 gets wrong. */
	CU_ASSERT_EQUAL(csum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
	prng_init(&rng, unit_seed());
	for (int n = 0; n < 100000; n++) {
		fill_random(&rng, raw, sizeof(raw));
		size_t at = 2 * prng_below(&rng, 18);
		uint16_t before = (uint16_t)~reference(raw, sizeof(raw));
		uint16_t from1 = (uint16_t)(raw[at] << 8 | raw[at + 1]);
		uint16_t from2 = (uint16_t)(raw[at + 2] << 8 | raw[at + 3]);
		uint32_t to = n % 5 == 0 ? 0 : n % 5 == 1 ? UINT32_MAX : (uint32_t)prng_u64(&rng);

		store16(raw + at, (uint16_t)(to >> 16));
		CU_ASSERT_EQUAL_FATAL(csum_update16(before, from1, (uint16_t)(to >> 16)),
				      (uint16_t)~reference(raw, sizeof(raw)));
		store16(raw + at + 2, (uint16_t)to);
		CU_ASSERT_EQUAL_FATAL(csum_update32(before, (uint32_t)from1 << 16 | from2, to),
				      (uint16_t)~reference(raw, sizeof(raw)));
	}
}

UNIT_MAIN("csum", UNIT(every_length_and_alignment), UNIT(large), UNIT(every_split),
	  UNIT(random_pieces), UNIT(known_answers), UNIT(pseudo_headers), UNIT(update))
