/* UDP headers: writing and parsing are inverse; refusals by name; no read outside. */
#include "net/wire/udp_hdr.h"

#include "net/base/bytes.h"
#include "tests/unit/wire/exact.h"
#include "unit.h"

enum { PAYLOAD_MAX = 120 };

static enum drop parse(const uint8_t *p, size_t size, const struct addr *src,
		       const struct addr *dst, struct udp_hdr *hdr)
{
	uint8_t *copy = exact_copy(p, size);
	enum drop why = udp_hdr_parse(copy, size, src, dst, hdr);

	free(copy);
	return why;
}

static void test_round_trip(void)
{
	uint8_t p[UDP_HDR_SIZE + PAYLOAD_MAX];
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 20000; n++) {
		struct addr src = random_addr(&rng, n % 2 == 0),
			    dst = random_addr(&rng, n % 2 == 0);
		struct udp_hdr in = {.src_port = (uint16_t)prng_u64(&rng),
				     .dst_port = (uint16_t)prng_u64(&rng)};
		struct udp_hdr out;
		size_t payload_len = prng_below(&rng, PAYLOAD_MAX);
		size_t size = UDP_HDR_SIZE + payload_len;

		fill_random(&rng, p, sizeof(p));
		CU_ASSERT_EQUAL_FATAL(udp_hdr_emit(p, &in, payload_len, &src, &dst), UDP_HDR_SIZE);
		CU_ASSERT_EQUAL_FATAL(parse(p, size, &src, &dst, &out), DROP_NONE);
		CU_ASSERT_FATAL(out.src_port == in.src_port && out.dst_port == in.dst_port);
		CU_ASSERT_FATAL(out.len == size && out.csum != 0);
		size_t bit = prng_below(&rng, (uint32_t)size * 8);

		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_NOT_EQUAL_FATAL(parse(p, size, &src, &dst, &out), DROP_NONE);
	}
}

static void test_short(void)
{
	struct addr a = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
	struct udp_hdr hdr = {.src_port = 1, .dst_port = 2};
	uint8_t p[UDP_HDR_SIZE + 10] = {0};

	udp_hdr_emit(p, &hdr, 10, &a, &a);
	for (size_t n = 0; n < sizeof(p); n++)
		CU_ASSERT_EQUAL(parse(p, n, &a, &a, &hdr), DROP_UDP_SHORT);
	for (uint16_t len = 0; len < UDP_HDR_SIZE; len++) {
		put_be16(p + 4, len);
		CU_ASSERT_EQUAL(parse(p, sizeof(p), &a, &a, &hdr), DROP_UDP_SHORT);
	}
	put_be16(p + 4, sizeof(p) + 1);
	CU_ASSERT_EQUAL(parse(p, sizeof(p), &a, &a, &hdr), DROP_UDP_SHORT);
}

static void test_checksum(void)
{
	struct addr v4 = addr_from_v4((const uint8_t *)"\x0a\0\0\1"), v6 = {{0x20, 1}};
	struct udp_hdr hdr = {.src_port = 1, .dst_port = 2};
	uint8_t p[UDP_HDR_SIZE + 3] = {0};

	udp_hdr_emit(p, &hdr, 3, &v4, &v4);
	p[UDP_HDR_SIZE] ^= 1;
	CU_ASSERT_EQUAL(parse(p, sizeof(p), &v4, &v4, &hdr), DROP_UDP_CSUM);
	put_be16(p + 6, 0); /* "none" */
	CU_ASSERT_EQUAL(parse(p, sizeof(p), &v4, &v4, &hdr), DROP_NONE);
	CU_ASSERT_EQUAL(parse(p, sizeof(p), &v6, &v6, &hdr), DROP_UDP_CSUM);
}

/* Padding behind the datagram is not part of it. */
static void test_trailing_bytes(void)
{
	struct addr a = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
	struct udp_hdr hdr = {.src_port = 1, .dst_port = 2};
	uint8_t p[UDP_HDR_SIZE + 30];

	memset(p, 0xee, sizeof(p));
	udp_hdr_emit(p, &hdr, 7, &a, &a);
	CU_ASSERT_EQUAL(parse(p, sizeof(p), &a, &a, &hdr), DROP_NONE);
	CU_ASSERT_EQUAL(hdr.len, UDP_HDR_SIZE + 7);
}

/* A payload that makes the sum 0: the field must not say "none". */
static void test_zero_checksum(void)
{
	struct addr a = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
	struct udp_hdr hdr = {.src_port = 1, .dst_port = 2};
	uint8_t p[UDP_HDR_SIZE + 2] = {0};

	udp_hdr_emit(p, &hdr, 2, &a, &a);
	put_be16(p + UDP_HDR_SIZE, get_be16(p + 6));
	udp_hdr_emit(p, &hdr, 2, &a, &a);
	CU_ASSERT_EQUAL(get_be16(p + 6), 0xffff);
	CU_ASSERT_EQUAL(parse(p, sizeof(p), &a, &a, &hdr), DROP_NONE);
}

UNIT_MAIN("udp_hdr", UNIT(round_trip), UNIT(short), UNIT(checksum), UNIT(trailing_bytes),
	  UNIT(zero_checksum))
