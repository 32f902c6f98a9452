/* ICMP: writing and parsing are inverse; refusals by name; quotes as routers really send them. */
#include "net/wire/icmp.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "tests/unit/wire/exact.h"
#include "unit.h"

enum { BODY_MAX = 200 };

static struct icmp_msg random_msg(struct prng *rng, bool is_v4, const uint8_t *body)
{
	struct icmp_msg msg = {
		.kind = (enum icmp_kind)prng_below(rng, ICMP_OTHER),
		.code = (uint8_t)prng_u64(rng),
		.body = body,
		.body_len = prng_below(rng, BODY_MAX),
	};

	if (msg.kind == ICMP_TOO_BIG) {
		msg.code = is_v4 ? 4 : 0;
		msg.mtu = prng_below(rng, is_v4 ? 65536 : UINT32_MAX);
	} else if (msg.kind == ICMP_UNREACH && is_v4 && msg.code == 4) {
		msg.code = ICMP4_UNREACH_PORT;
	} else if (msg.kind == ICMP_PARAM) {
		msg.pointer = prng_below(rng, is_v4 ? 256 : UINT32_MAX);
	} else if (msg.kind == ICMP_ECHO_REQUEST || msg.kind == ICMP_ECHO_REPLY) {
		msg.id = (uint16_t)prng_u64(rng);
		msg.seq = (uint16_t)prng_u64(rng);
	}
	return msg;
}

static void test_round_trip(void)
{
	uint8_t body[BODY_MAX], p[ICMP_HDR_SIZE + BODY_MAX];
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 20000; n++) {
		bool is_v4 = n % 2 == 0;
		struct ip_hdr ip = {.src = random_addr(&rng, is_v4),
				    .dst = random_addr(&rng, is_v4),
				    .version = is_v4 ? 4 : 6};
		struct icmp_msg in = random_msg(&rng, is_v4, body), out;

		fill_random(&rng, body, sizeof(body));
		size_t size = icmp_emit(p, &in, &ip.src, &ip.dst);
		uint8_t *copy = exact_copy(p, size);

		CU_ASSERT_EQUAL_FATAL(size, ICMP_HDR_SIZE + in.body_len);
		CU_ASSERT_EQUAL_FATAL(icmp_parse(copy, size, &ip, &out), DROP_NONE);
		CU_ASSERT_FATAL(out.kind == in.kind && out.code == in.code && out.id == in.id);
		CU_ASSERT_FATAL(out.seq == in.seq && out.mtu == in.mtu);
		CU_ASSERT_FATAL(out.pointer == in.pointer && out.body_len == in.body_len);
		CU_ASSERT_EQUAL_FATAL(memcmp(out.body, body, in.body_len), 0);
		free(copy);
	}
}

static void test_body_may_overlap(void)
{
	uint8_t p[64];
	struct addr a = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
	struct ip_hdr ip = {.src = a, .dst = a, .version = 4};
	struct icmp_msg out;

	for (uint8_t i = 0; i < 64; i++)
		p[i] = i;
	struct icmp_msg msg = {.kind = ICMP_ECHO_REPLY, .body = p + 3, .body_len = 40};
	size_t size = icmp_emit(p, &msg, &a, &a);

	CU_ASSERT_EQUAL(icmp_parse(p, size, &ip, &out), DROP_NONE);
	for (uint8_t i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(out.body[i], i + 3);
}

static void test_large_mtu_is_clipped(void)
{
	uint8_t p[ICMP_HDR_SIZE];
	struct addr a = addr_from_v4((const uint8_t *)"\x0a\0\0\1");
	struct ip_hdr ip = {.src = a, .dst = a, .version = 4};
	struct icmp_msg msg = {.kind = ICMP_TOO_BIG, .mtu = 100000}, out;

	icmp_emit(p, &msg, &a, &a);
	CU_ASSERT_EQUAL(icmp_parse(p, sizeof(p), &ip, &out), DROP_NONE);
	CU_ASSERT_EQUAL(out.mtu, 65535);
}

static void test_refusals(void)
{
	uint8_t p[ICMP_HDR_SIZE + 10];
	struct prng rng;
	struct icmp_msg out;

	prng_init(&rng, unit_seed());
	for (int family = 0; family < 2; family++) {
		struct ip_hdr ip = {.src = random_addr(&rng, family == 0),
				    .dst = random_addr(&rng, family == 0),
				    .version = family == 0 ? 4 : 6};
		struct icmp_msg msg = {.kind = ICMP_ECHO_REQUEST,
				       .body = (const uint8_t *)"0123456789",
				       .body_len = 10};
		size_t size = icmp_emit(p, &msg, &ip.src, &ip.dst);

		for (size_t n = 0; n < size; n++) {
			uint8_t *copy = exact_copy(p, n);
			enum drop why = icmp_parse(copy, n, &ip, &out);

			CU_ASSERT_EQUAL(why, n < ICMP_HDR_SIZE ? DROP_ICMP_SHORT : DROP_ICMP_CSUM);
			free(copy);
		}
		for (size_t bit = 0; bit < size * 8; bit++) {
			p[bit / 8] ^= (uint8_t)(1u << bit % 8);
			CU_ASSERT_EQUAL(icmp_parse(p, size, &ip, &out), DROP_ICMP_CSUM);
			p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		/* ICMPv6 covers the addresses, ICMP does not. */
		ip.src.b[15] ^= 1;
		CU_ASSERT_EQUAL(icmp_parse(p, size, &ip, &out),
				family == 0 ? DROP_NONE : DROP_ICMP_CSUM);
	}
}

static void test_every_type(void)
{
	static const uint8_t known4[] = {0, 3, 8, 11, 12}, known6[] = {1, 2, 3, 4, 128, 129};
	struct ip_hdr ip = {.version = 4};
	struct icmp_msg out;

	for (unsigned type = 0; type < 256; type++) {
		uint8_t p[ICMP_HDR_SIZE] = {(uint8_t)type, 0, 0, 0, 1, 2, 3, 4};

		ip.version = 4;
		put_be16(p + 2, csum_finish(csum_add(0, p, sizeof(p))));
		CU_ASSERT_EQUAL(icmp_parse(p, sizeof(p), &ip, &out), DROP_NONE);
		CU_ASSERT_EQUAL(out.kind < ICMP_OTHER,
				memchr(known4, (int)type, sizeof(known4)) != NULL);
		ip.version = 6;
		put_be16(p + 2, 0);
		put_be16(p + 2, csum_finish(csum_add(csum_pseudo(&ip.src, &ip.dst, 58, 8), p, 8)));
		CU_ASSERT_EQUAL(icmp_parse(p, sizeof(p), &ip, &out), DROP_NONE);
		CU_ASSERT_EQUAL(out.kind < ICMP_OTHER,
				memchr(known6, (int)type, sizeof(known6)) != NULL);
		CU_ASSERT_EQUAL(out.kind == ICMP_OTHER_ERROR,
				type == 0 || (type > 4 && type < 128));
	}
}

/* ---- Quotes. ---- */

static enum drop parse_quote(const uint8_t *p, size_t size, struct icmp_quote *q)
{
	uint8_t *copy = exact_copy(p, size);
	enum drop why = icmp_quote_parse(copy, size, q);

	free(copy);
	return why;
}

/* A quoted packet: header, ports 80 and 5000, sequence number 0x01020304; more was cut off. */
static size_t make_quote(uint8_t *p, bool is_v4, uint8_t proto)
{
	struct ip_hdr hdr = {.payload_len = 1000, .proto = proto, .ttl = 1};

	hdr.src = is_v4 ? addr_from_v4((const uint8_t *)"\x0a\0\0\1") : (struct addr){{0x20, 1}};
	hdr.dst = is_v4 ? addr_from_v4((const uint8_t *)"\x0a\0\0\2") : (struct addr){{0x20, 2}};
	size_t size = ip_emit(p, &hdr);

	put_be16(p + size, 80);
	put_be16(p + size + 2, 5000);
	put_be32(p + size + 4, 0x01020304);
	return size + 8;
}

static void test_quotes(void)
{
	uint8_t p[64];
	struct icmp_quote q;

	for (int family = 0; family < 2; family++) {
		size_t size = make_quote(p, family == 0, IP_PROTO_TCP);

		for (size_t n = 0; n < size; n++)
			CU_ASSERT_EQUAL(parse_quote(p, n, &q), DROP_ICMP_SHORT);
		CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_NONE);
		CU_ASSERT_EQUAL(addr_is_v4(&q.src), family == 0);
		CU_ASSERT_EQUAL(q.dst.b[family == 0 ? 15 : 1], 2);
		CU_ASSERT_EQUAL(q.proto, IP_PROTO_TCP);
		CU_ASSERT(q.src_port == 80 && q.dst_port == 5000 && q.tcp_seq == 0x01020304);
		size = make_quote(p, family == 0, IP_PROTO_UDP);
		CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_NONE);
		CU_ASSERT(q.src_port == 80 && q.dst_port == 5000 && q.tcp_seq == 0);
		size = make_quote(p, family == 0, 47);
		CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_NONE);
		CU_ASSERT(q.src_port == 0 && q.dst_port == 0 && q.proto == 47);
	}
}

static void test_altered_quotes(void)
{
	uint8_t p[64] = {0};
	struct icmp_quote q;
	size_t size = make_quote(p, true, IP_PROTO_TCP);

	/* Routers lower the TTL without the checksum, and some hosts swap the length. */
	p[8] = 0;
	p[10] ^= 0xff;
	put_be16(p + 2, 7);
	CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_NONE);
	put_be16(p + 6, 0x2000); /* the first fragment has the ports */
	CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_NONE);
	put_be16(p + 6, 0x0001); /* later ones have not */
	CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_ICMP_SHORT);
	put_be16(p + 6, 0);
	p[0] = 0x44;
	CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_ICMP_SHORT);
	p[0] = 0x75;
	CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_ICMP_SHORT);
}

static void test_quote_with_options(void)
{
	uint8_t p[64] = {0};
	struct icmp_quote q;
	size_t size = make_quote(p, true, IP_PROTO_TCP) + 8;

	memmove(p + 28, p + 20, 8);
	memset(p + 20, 1, 8);
	p[0] = 0x47;
	CU_ASSERT_EQUAL(parse_quote(p, size, &q), DROP_NONE);
	CU_ASSERT_EQUAL(q.src_port, 80);
	for (size_t n = 0; n < size; n++)
		CU_ASSERT_EQUAL(parse_quote(p, n, &q), DROP_ICMP_SHORT);
}

/* RFC 4884: a quote with padding and extension objects behind it is the same quote. */
static void test_quote_with_extensions(void)
{
	static const uint8_t extension[] = {0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 1, 1};
	struct icmp_quote q;

	for (unsigned is_v4 = 0; is_v4 < 2; is_v4++) {
		uint8_t p[128 + sizeof(extension)] = {0};

		make_quote(p, is_v4, IP_PROTO_TCP);
		memcpy(p + 128, extension, sizeof(extension));
		CU_ASSERT_EQUAL(parse_quote(p, sizeof(p), &q), DROP_NONE);
		CU_ASSERT_TRUE(q.src_port == 80 && q.dst_port == 5000 && q.tcp_seq == 0x01020304);
	}
}

UNIT_MAIN("icmp", UNIT(round_trip), UNIT(body_may_overlap), UNIT(large_mtu_is_clipped),
	  UNIT(refusals), UNIT(every_type), UNIT(quotes), UNIT(quote_with_extensions),
	  UNIT(altered_quotes), UNIT(quote_with_options))
