/* IP headers: writing and parsing are inverse; each refusal by its name; no read outside. */
#include "net/wire/ip.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "tests/unit/wire/exact.h"
#include "unit.h"

/* Writes an IPv4 header with 'options' (a multiple of 4 bytes) and a right checksum. */
static size_t make_v4(uint8_t *pkt, const uint8_t *options, size_t options_len, size_t payload_len)
{
	struct ip_hdr hdr = {.proto = IP_PROTO_TCP, .ttl = 64, .payload_len = 0};
	uint8_t a[4] = {10, 0, 0, 1};
	size_t hdr_len = IP4_HDR_SIZE + options_len;

	hdr.src = addr_from_v4(a);
	hdr.dst = hdr.src;
	ip_emit(pkt, &hdr);
	pkt[0] = (uint8_t)(0x40 | hdr_len / 4);
	put_be16(pkt + 2, (uint16_t)(hdr_len + payload_len));
	if (options_len > 0)
		memcpy(pkt + IP4_HDR_SIZE, options, options_len);
	memset(pkt + hdr_len, 0, payload_len);
	return hdr_len + payload_len;
}

static void seal_v4(uint8_t *pkt)
{
	size_t hdr_len = (pkt[0] & 0x0fu) * 4;

	put_be16(pkt + 10, 0);
	put_be16(pkt + 10, csum_finish(csum_add(0, pkt, hdr_len)));
}

static enum drop parse(const uint8_t *pkt, size_t size)
{
	uint8_t *copy = exact_copy(pkt, size);
	struct ip_hdr hdr;
	enum drop why = ip_parse(copy, size, &hdr);

	free(copy);
	return why;
}

static struct ip_hdr random_hdr(struct prng *rng, bool is_v4)
{
	return (struct ip_hdr){
		.src = random_addr(rng, is_v4),
		.dst = random_addr(rng, is_v4),
		.hdr_len = is_v4 ? IP4_HDR_SIZE : IP6_HDR_SIZE,
		.payload_len = (uint16_t)prng_below(rng, 3000),
		.version = is_v4 ? 4 : 6,
		.proto = IP_PROTO_UDP,
		.ttl = (uint8_t)prng_u64(rng),
		.tos = (uint8_t)prng_u64(rng),
	};
}

static void test_round_trip(void)
{
	static uint8_t pkt[4000];
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 20000; n++) {
		struct ip_hdr in = random_hdr(&rng, n % 2 == 0), out;
		uint8_t version = in.version;

		if (n % 3 == 0)
			in.version = 0;
		size_t size = ip_emit(pkt, &in);

		CU_ASSERT_EQUAL_FATAL(size, ip_hdr_size(&in.dst));
		CU_ASSERT_EQUAL_FATAL(ip_parse(pkt, size + in.payload_len, &out), DROP_NONE);
		CU_ASSERT_TRUE_FATAL(addr_equal(&in.src, &out.src));
		CU_ASSERT_TRUE_FATAL(addr_equal(&in.dst, &out.dst));
		CU_ASSERT_FATAL(out.hdr_len == size && out.payload_len == in.payload_len);
		CU_ASSERT_FATAL(out.version == version && out.proto == in.proto);
		CU_ASSERT_FATAL(out.ttl == in.ttl && out.tos == in.tos && out.id == 0);
		/* No flow label (RFC 6437 3). */
		CU_ASSERT_FATAL(version == 4 || (get_be32(pkt) & 0xfffff) == 0);
	}
}

static void test_v4_is_atomic(void)
{
	uint8_t pkt[20];

	make_v4(pkt, NULL, 0, 0);
	CU_ASSERT_EQUAL(get_be16(pkt + 6), 0x4000); /* DF, no offset */
	CU_ASSERT_EQUAL(get_be16(pkt + 4), 0);
}

static void test_trailing_bytes_ignored(void)
{
	uint8_t pkt[64] = {0};
	struct ip_hdr hdr;

	make_v4(pkt, NULL, 0, 10);
	seal_v4(pkt);
	CU_ASSERT_EQUAL(ip_parse(pkt, sizeof(pkt), &hdr), DROP_NONE);
	CU_ASSERT_EQUAL(hdr.payload_len, 10);
}

static void test_short(void)
{
	uint8_t pkt[64];
	size_t size = make_v4(pkt, NULL, 0, 5);

	seal_v4(pkt);
	for (size_t n = 0; n < IP4_HDR_SIZE; n++)
		CU_ASSERT_EQUAL(parse(pkt, n), DROP_IP_SHORT);
	for (size_t n = IP4_HDR_SIZE; n < size; n++)
		CU_ASSERT_EQUAL(parse(pkt, n), DROP_IP_TOTAL_LEN);
	CU_ASSERT_EQUAL(parse(pkt, size), DROP_NONE);
	struct ip_hdr v6 = {.payload_len = 5, .proto = IP_PROTO_TCP, .version = 6};

	size = ip_emit(pkt, &v6) + 5;
	for (size_t n = 0; n < IP6_HDR_SIZE; n++)
		CU_ASSERT_EQUAL(parse(pkt, n), DROP_IP_SHORT);
	for (size_t n = IP6_HDR_SIZE; n < size; n++)
		CU_ASSERT_EQUAL(parse(pkt, n), DROP_IP_TOTAL_LEN);
	CU_ASSERT_EQUAL(parse(pkt, size), DROP_NONE);
}

static void test_version(void)
{
	uint8_t pkt[64] = {0};

	for (unsigned version = 0; version < 16; version++) {
		pkt[0] = (uint8_t)(version << 4 | 5);
		enum drop why = parse(pkt, sizeof(pkt));

		CU_ASSERT_EQUAL(why == DROP_IP_VERSION, version != 4 && version != 6);
	}
}

static void test_header_length(void)
{
	uint8_t pkt[64];
	size_t size = make_v4(pkt, NULL, 0, 8);

	for (unsigned words = 0; words < 16; words++) {
		pkt[0] = (uint8_t)(0x40 | words);
		enum drop why = parse(pkt, size);

		CU_ASSERT_EQUAL(why == DROP_IP_HDR_LEN, words < 5 || words * 4 > size);
	}
}

static void test_total_length(void)
{
	uint8_t pkt[64];
	size_t size = make_v4(pkt, NULL, 0, 8);

	for (size_t total = 0; total < 64; total++) {
		put_be16(pkt + 2, (uint16_t)total);
		seal_v4(pkt);
		CU_ASSERT_EQUAL(parse(pkt, size), total < IP4_HDR_SIZE || total > size
							  ? DROP_IP_TOTAL_LEN
							  : DROP_NONE);
	}
}

static void test_checksum(void)
{
	uint8_t pkt[64];
	size_t size = make_v4(pkt, NULL, 0, 8);

	seal_v4(pkt);
	for (size_t bit = 32; bit < IP4_HDR_SIZE * 8; bit++) {
		pkt[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(parse(pkt, size), DROP_IP_CSUM);
		pkt[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT_EQUAL(parse(pkt, size), DROP_NONE);
}

static void test_fragments(void)
{
	static const struct {
		uint16_t field;
		enum drop why;
	} cases[] = {
		{0x0000, DROP_NONE},        {0x4000, DROP_NONE},        {0x2000, DROP_IP_FRAGMENT},
		{0x0001, DROP_IP_FRAGMENT}, {0x1fff, DROP_IP_FRAGMENT}, {0x6000, DROP_IP_FRAGMENT},
	};

	uint8_t pkt[64];
	size_t size = make_v4(pkt, NULL, 0, 8);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_be16(pkt + 6, cases[i].field);
		seal_v4(pkt);
		CU_ASSERT_EQUAL(parse(pkt, size), cases[i].why);
	}
}

static void test_options(void)
{
	static const struct {
		uint8_t bytes[8];
		enum drop why;
	} cases[] = {
		{{1, 1, 1, 1, 1, 1, 1, 1}, DROP_NONE},
		{{0, 9, 9, 9, 9, 9, 9, 9}, DROP_NONE},   /* nothing counts behind the end */
		{{148, 4, 0, 0, 1, 1, 1, 0}, DROP_NONE}, /* router alert */
		{{136, 4, 0, 9, 1, 1, 1, 0}, DROP_NONE}, /* stream ID, obsolete */
		{{7, 7, 4, 0, 0, 0, 0, 0}, DROP_NONE},   /* record route */
		{{7, 8, 4, 0, 0, 0, 0, 0}, DROP_NONE},
		{{7, 9, 4, 0, 0, 0, 0, 0}, DROP_IP_OPTIONS}, /* leaves the header */
		{{7, 0, 4, 0, 0, 0, 0, 0}, DROP_IP_OPTIONS},
		{{7, 1, 4, 0, 0, 0, 0, 0}, DROP_IP_OPTIONS},
		{{1, 1, 1, 1, 1, 1, 1, 7}, DROP_IP_OPTIONS},   /* no length byte */
		{{131, 7, 4, 1, 2, 3, 4, 0}, DROP_IP_OPTIONS}, /* loose source route */
		{{1, 137, 7, 4, 1, 2, 3, 4}, DROP_IP_OPTIONS}, /* strict source route */
	};

	uint8_t pkt[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = make_v4(pkt, cases[i].bytes, 8, 0);

		seal_v4(pkt);
		CU_ASSERT_EQUAL(parse(pkt, size), cases[i].why);
	}
}

static void test_options_are_skipped(void)
{
	static const uint8_t nops[40] = {1, 1};
	uint8_t pkt[80];
	struct ip_hdr hdr;
	size_t size = make_v4(pkt, nops, sizeof(nops), 12);

	seal_v4(pkt);
	CU_ASSERT_EQUAL(ip_parse(pkt, size, &hdr), DROP_NONE);
	CU_ASSERT_EQUAL(hdr.hdr_len, IP_HDR_MAX);
	CU_ASSERT_EQUAL(hdr.payload_len, 12);
}

/* Where the problem is; a source route is none that anybody is told of. */
static void test_malformed_option_is_found(void)
{
	static const uint8_t bad[8] = {1, 1, 1, 7, 9, 4, 0, 0}, route[4] = {131, 4, 4, 0};
	uint8_t pkt[64];
	struct ip_hdr hdr;
	size_t size = make_v4(pkt, bad, sizeof(bad), 0);

	seal_v4(pkt);
	CU_ASSERT_EQUAL(ip_parse_any(pkt, size, &hdr), DROP_IP_OPTIONS);
	CU_ASSERT_EQUAL(hdr.problem_at, 23);
	CU_ASSERT_EQUAL(hdr.hdr_len, 28);
	size = make_v4(pkt, route, sizeof(route), 0);
	seal_v4(pkt);
	CU_ASSERT_EQUAL(ip_parse_any(pkt, size, &hdr), DROP_IP_OPTIONS);
	CU_ASSERT_EQUAL(hdr.problem_at, 0);
}

/* ::ffff:a.b.c.d is IPv4 inside weft and nothing on an IPv6 wire. */
static void test_v6_mapped_addresses(void)
{
	struct ip_hdr hdr = {.version = 6, .proto = IP_PROTO_TCP};
	uint8_t pkt[IP6_HDR_SIZE];

	ip_emit(pkt, &hdr);
	CU_ASSERT_EQUAL(parse(pkt, sizeof(pkt)), DROP_NONE);
	memset(pkt + 18, 0xff, 2);
	CU_ASSERT_EQUAL(parse(pkt, sizeof(pkt)), DROP_IP_SRC);
	memset(pkt + 18, 0, 2);
	memset(pkt + 34, 0xff, 2);
	CU_ASSERT_EQUAL(parse(pkt, sizeof(pkt)), DROP_IP_DST);
}

static void test_v6_next_headers(void)
{
	static const uint8_t ext_hdrs[] = {0, 43, 44, 50, 51, 60, 135, 139, 140};
	struct ip_hdr hdr = {.version = 6};
	uint8_t pkt[IP6_HDR_SIZE];

	for (unsigned next = 0; next < 256; next++) {
		enum drop expected = next == 59 ? DROP_IP_PROTO : DROP_NONE;

		if (memchr(ext_hdrs, (int)next, sizeof(ext_hdrs)))
			expected = DROP_IP_EXT_HDR;
		hdr.proto = (uint8_t)next;
		ip_emit(pkt, &hdr);
		CU_ASSERT_EQUAL(parse(pkt, sizeof(pkt)), expected);
	}
}

UNIT_MAIN("ip", UNIT(round_trip), UNIT(v4_is_atomic), UNIT(trailing_bytes_ignored), UNIT(short),
	  UNIT(version), UNIT(header_length), UNIT(total_length), UNIT(checksum), UNIT(fragments),
	  UNIT(options), UNIT(options_are_skipped), UNIT(malformed_option_is_found),
	  UNIT(v6_next_headers), UNIT(v6_mapped_addresses))
