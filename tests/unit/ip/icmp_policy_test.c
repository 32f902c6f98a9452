/* ICMP policy: rate, which errors may be sent, quotes, errno values. */
#include "net/ip/icmp_policy.h"

#include "net/base/check.h"
#include "unit.h"
#include <errno.h>
#include <string.h>

enum { BURST = ICMP_RATE_PER_S / ICMP_BURST_PART };

static struct addr addr(const char *text)
{
	struct addr a;

	WEFT_ASSERT(addr_parse(text, &a));
	return a;
}

static unsigned take_all(struct icmp_bucket *b, weft_time_us now)
{
	unsigned n = 0;

	while (icmp_bucket_take(b, now))
		n++;
	return n;
}

static void test_rate(void)
{
	struct icmp_bucket b;
	weft_time_us now = 5000000;

	icmp_bucket_init(&b, ICMP_RATE_PER_S);
	CU_ASSERT_EQUAL(take_all(&b, now), BURST);
	CU_ASSERT_EQUAL(take_all(&b, now + 999), 0);
	CU_ASSERT_EQUAL(take_all(&b, now + 1000), 1);
	CU_ASSERT_EQUAL(take_all(&b, now + 1500), 0);
	CU_ASSERT_EQUAL(take_all(&b, now + 4500), 3);
	CU_ASSERT_EQUAL(take_all(&b, now + 3600 * (weft_time_us)US_PER_S), BURST);
	/* One second of asking every 100 us. */
	unsigned n = 0;

	for (now = 9000 * (weft_time_us)US_PER_S; now < 9001 * (weft_time_us)US_PER_S; now += 100)
		n += icmp_bucket_take(&b, now);
	CU_ASSERT_TRUE(n >= ICMP_RATE_PER_S && n <= ICMP_RATE_PER_S + BURST);
}

/* Rests of a token's time count, and what was not used is kept up to the burst only. */
static void test_rate_keeps_rests_and_no_more_than_a_burst(void)
{
	struct icmp_bucket b;
	weft_time_us now = 5000000;

	icmp_bucket_init(&b, ICMP_RATE_PER_S);
	CU_ASSERT_EQUAL(take_all(&b, now), BURST);
	CU_ASSERT_EQUAL(take_all(&b, now + 1900), 1);
	CU_ASSERT_EQUAL(take_all(&b, now + 2000), 1);
	icmp_bucket_init(&b, ICMP_RATE_PER_S);
	CU_ASSERT_TRUE(icmp_bucket_take(&b, now));
	CU_ASSERT_EQUAL(take_all(&b, now + (BURST - 1) * 1000), BURST);
}

static void test_rate_is_set(void)
{
	static const struct {
		uint32_t per_s, burst, second;
	} rows[] = {{0, 0, 0}, {1, 1, 1}, {19, 1, 1}, {100, 5, 5}, {ICMP_RATE_MAX, 5000, 5000}};

	weft_time_us now = 5000000;
	struct icmp_bucket b;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		icmp_bucket_init(&b, rows[i].per_s);
		CU_ASSERT_EQUAL(take_all(&b, now), rows[i].burst);
		CU_ASSERT_EQUAL(take_all(&b, now + 2 * (weft_time_us)US_PER_S), rows[i].second);
	}
}

static void test_may_answer(void)
{
	struct ip_hdr ip = {.version = 4,
			    .proto = 99,
			    .payload_len = 8,
			    .src = addr("10.0.0.1"),
			    .dst = addr("10.0.0.2")};
	uint8_t payload[8] = {3};

	CU_ASSERT_TRUE(icmp_may_answer(&ip, payload));
	ip.proto = IP_PROTO_ICMP;
	CU_ASSERT_FALSE(icmp_may_answer(&ip, payload)); /* an error */
	payload[0] = 8;
	CU_ASSERT_TRUE(icmp_may_answer(&ip, payload)); /* echo */
	ip.proto = 99;
	ip.dst = addr("224.0.0.1");
	CU_ASSERT_FALSE(icmp_may_answer(&ip, payload));
	ip.dst = addr("10.0.0.2");
	ip.frag = IP4_MORE_FRAGMENTS;
	CU_ASSERT_TRUE(icmp_may_answer(&ip, payload)); /* the first fragment */
	ip.frag = IP4_MORE_FRAGMENTS | 1;
	CU_ASSERT_FALSE(icmp_may_answer(&ip, payload));
	ip.frag = 0;
	ip.src = addr("0.0.0.0");
	CU_ASSERT_FALSE(icmp_may_answer(&ip, payload));
	struct ip_hdr ip6 = {.version = 6,
			     .proto = IP_PROTO_ICMP6,
			     .payload_len = 8,
			     .src = addr("fd00::1"),
			     .dst = addr("fd00::2")};

	payload[0] = 1;
	CU_ASSERT_FALSE(icmp_may_answer(&ip6, payload));
	payload[0] = 128;
	CU_ASSERT_TRUE(icmp_may_answer(&ip6, payload));
	payload[0] = 137;
	CU_ASSERT_FALSE(icmp_may_answer(&ip6, payload));
	ip6.payload_len = 0;
	CU_ASSERT_FALSE(icmp_may_answer(&ip6, payload));
	static const char *const not_from[] = {"::", "ff02::2"};

	ip6.proto = IP_PROTO_UDP;
	ip6.payload_len = 8;
	CU_ASSERT_TRUE(icmp_may_answer(&ip6, payload));
	for (size_t i = 0; i < ARRAY_SIZE(not_from); i++) {
		ip6.src = addr(not_from[i]);
		CU_ASSERT_FALSE(icmp_may_answer(&ip6, payload));
	}
	ip6.src = addr("fd00::1");
	ip6.dst = addr("ff02::1");
	CU_ASSERT_FALSE(icmp_may_answer(&ip6, payload));
}

static void test_quote_size(void)
{
	struct ip_hdr ip = {.version = 4, .hdr_len = 20, .payload_len = 100};
	struct icmp_msg msg;
	uint8_t pkt[1] = {0};

	icmp_refusal_msg(&msg, ICMP_REFUSE_PORT, 6, &ip, pkt);
	CU_ASSERT_EQUAL(msg.kind, ICMP_UNREACH);
	CU_ASSERT_EQUAL(msg.code, ICMP4_UNREACH_PORT);
	CU_ASSERT_EQUAL(msg.body_len, 120);
	ip.payload_len = 65000;
	icmp_refusal_msg(&msg, ICMP_REFUSE_PROTO, 6, &ip, pkt);
	CU_ASSERT_EQUAL(msg.code, ICMP4_UNREACH_PROTO);
	CU_ASSERT_EQUAL(IP4_HDR_SIZE + ICMP_HDR_SIZE + msg.body_len, 576);
	ip = (struct ip_hdr){.version = 6, .hdr_len = 40, .payload_len = 65000};
	icmp_refusal_msg(&msg, ICMP_REFUSE_PROTO, 6, &ip, pkt);
	CU_ASSERT_EQUAL(msg.kind, ICMP_PARAM);
	CU_ASSERT_EQUAL(msg.pointer, 6);
	CU_ASSERT_EQUAL(IP6_HDR_SIZE + ICMP_HDR_SIZE + msg.body_len, 1280);
}

static void test_meaning(void)
{
	static const struct {
		enum icmp_kind kind;
		uint8_t version, code;
		int error;
		bool is_hard;
	} rows[] = {
		{ICMP_UNREACH, 4, 0, ENETUNREACH, false},
		{ICMP_UNREACH, 4, 1, EHOSTUNREACH, false},
		{ICMP_UNREACH, 4, 2, ENOPROTOOPT, true},
		{ICMP_UNREACH, 4, 3, ECONNREFUSED, true},
		{ICMP_UNREACH, 4, 13, EHOSTUNREACH, true},
		{ICMP_UNREACH, 4, 5, EOPNOTSUPP, false},
		{ICMP_UNREACH, 4, 200, EHOSTUNREACH, false},
		{ICMP_UNREACH, 6, 0, ENETUNREACH, false},
		{ICMP_UNREACH, 6, 1, EACCES, true},
		{ICMP_UNREACH, 6, 3, EHOSTUNREACH, false},
		{ICMP_UNREACH, 6, 4, ECONNREFUSED, true},
		{ICMP_UNREACH, 6, 99, EHOSTUNREACH, false},
		{ICMP_TOO_BIG, 4, 4, EMSGSIZE, false},
		{ICMP_TIME_EXCEEDED, 4, 0, EHOSTUNREACH, false},
		{ICMP_TIME_EXCEEDED, 4, 1, EHOSTUNREACH, false},
		{ICMP_TIME_EXCEEDED, 6, 0, EHOSTUNREACH, false},
		{ICMP_PARAM, 4, 0, EPROTO, false},
		{ICMP_PARAM, 6, 0, EPROTO, false},
		{ICMP_PARAM, 6, 1, EPROTO, false},
		{ICMP_PARAM, 6, 2, EPROTO, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct icmp_msg msg = {.kind = rows[i].kind, .code = rows[i].code};
		bool is_hard;

		CU_ASSERT_EQUAL(icmp_to_errno(&msg, rows[i].version, &is_hard), rows[i].error);
		CU_ASSERT_EQUAL(is_hard, rows[i].is_hard);
	}
}

UNIT_MAIN("icmp_policy", UNIT(rate), UNIT(rate_keeps_rests_and_no_more_than_a_burst),
	  UNIT(rate_is_set), UNIT(may_answer), UNIT(quote_size), UNIT(meaning))
