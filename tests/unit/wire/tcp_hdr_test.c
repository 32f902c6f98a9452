/* TCP headers: writing and parsing are inverse; each refusal by its name; no read outside. */
#include "net/wire/tcp_hdr.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "tests/unit/wire/exact.h"
#include "unit.h"

static enum drop parse(const uint8_t *p, size_t size, struct tcp_hdr *hdr)
{
	uint8_t *copy = exact_copy(p, size);
	enum drop why = tcp_hdr_parse(copy, size, hdr);

	free(copy);
	return why;
}

/* A header with the given option bytes, padded with zeros; returns its size. */
static size_t make(uint8_t *p, const uint8_t *options, size_t len)
{
	struct tcp_hdr hdr = {.src_port = 80, .dst_port = 5000, .flags = TCP_ACK};
	size_t padded = (len + 3) / 4 * 4;

	tcp_hdr_emit(p, &hdr);
	memset(p + TCP_HDR_SIZE, 0, TCP_OPT_MAX);
	memcpy(p + TCP_HDR_SIZE, options, len);
	p[12] = (uint8_t)((TCP_HDR_SIZE + padded) / 4 << 4);
	return TCP_HDR_SIZE + padded;
}

static struct tcp_hdr random_hdr(struct prng *rng)
{
	uint64_t bits = prng_u64(rng);
	struct tcp_hdr hdr = {
		.src_port = (uint16_t)(1 + prng_below(rng, 65535)),
		.dst_port = (uint16_t)(1 + prng_below(rng, 65535)),
		.seq = (uint32_t)prng_u64(rng),
		.ack = (uint32_t)prng_u64(rng),
		.wnd = (uint16_t)prng_u64(rng),
		.up = (uint16_t)prng_u64(rng),
		.flags = (uint8_t)prng_u64(rng),
	};
	struct tcp_opts *opt = &hdr.opt;

	opt->has_mss = bits & 1;
	opt->has_wscale = bits & 2;
	opt->has_sack_ok = bits & 4;
	opt->has_ts = bits & 8;
	opt->mss = opt->has_mss ? (uint16_t)prng_u64(rng) : 0;
	opt->wscale = opt->has_wscale ? (uint8_t)prng_u64(rng) : 0;
	opt->ts_val = opt->has_ts ? (uint32_t)prng_u64(rng) : 0;
	opt->ts_ecr = opt->has_ts ? (uint32_t)prng_u64(rng) : 0;
	opt->sack_count = (uint8_t)prng_below(rng, TCP_SACK_MAX + 1);
	for (unsigned i = 0; i < opt->sack_count; i++) {
		opt->sack[i].start = (uint32_t)prng_u64(rng);
		opt->sack[i].end = (uint32_t)prng_u64(rng);
	}
	return hdr;
}

static void check_opts_equal(const struct tcp_opts *in, const struct tcp_opts *out)
{
	CU_ASSERT_FATAL(in->has_mss == out->has_mss && in->mss == out->mss);
	CU_ASSERT_FATAL(in->has_wscale == out->has_wscale && in->wscale == out->wscale);
	CU_ASSERT_FATAL(in->has_sack_ok == out->has_sack_ok);
	CU_ASSERT_FATAL(in->has_ts == out->has_ts && in->ts_val == out->ts_val);
	CU_ASSERT_FATAL(in->ts_ecr == out->ts_ecr);
	CU_ASSERT_FATAL(out->sack_count <= in->sack_count);
	for (unsigned i = 0; i < out->sack_count; i++) {
		CU_ASSERT_FATAL(in->sack[i].start == out->sack[i].start);
		CU_ASSERT_FATAL(in->sack[i].end == out->sack[i].end);
	}
}

static void test_round_trip(void)
{
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 50000; n++) {
		struct tcp_hdr in = random_hdr(&rng), out;
		uint8_t p[TCP_HDR_MAX];
		size_t size = tcp_hdr_emit(p, &in);

		CU_ASSERT_FATAL(size <= TCP_HDR_MAX && size % 4 == 0);
		CU_ASSERT_EQUAL_FATAL(size, TCP_HDR_SIZE + tcp_opts_size(&in.opt));
		CU_ASSERT_EQUAL_FATAL(get_be16(p + 16), 0);
		CU_ASSERT_EQUAL_FATAL(parse(p, size, &out), DROP_NONE);
		CU_ASSERT_FATAL(out.src_port == in.src_port && out.dst_port == in.dst_port);
		CU_ASSERT_FATAL(out.seq == in.seq && out.ack == in.ack && out.wnd == in.wnd);
		CU_ASSERT_FATAL(out.up == in.up && out.flags == in.flags && out.hdr_len == size);
		check_opts_equal(&in.opt, &out.opt);
		/* Only want of room leaves a block out. */
		CU_ASSERT_FATAL(out.opt.sack_count == in.opt.sack_count || size + 8 > TCP_HDR_MAX ||
				(out.opt.sack_count == 0 && size + 12 > TCP_HDR_MAX));
	}
}

static void test_layout(void)
{
	static const uint8_t syn[] = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0,
				      0, 1, 0, 0,   0, 2, 1, 3,  3, 7};
	static const uint8_t ack[] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
				      1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4};
	struct tcp_hdr hdr = {.src_port = 1, .dst_port = 2};
	uint8_t p[TCP_HDR_MAX];

	hdr.opt = (struct tcp_opts){.has_mss = true,
				    .mss = 1460,
				    .has_sack_ok = true,
				    .has_ts = true,
				    .ts_val = 1,
				    .ts_ecr = 2,
				    .has_wscale = true,
				    .wscale = 7};
	CU_ASSERT_EQUAL(tcp_hdr_emit(p, &hdr), TCP_HDR_SIZE + sizeof(syn));
	CU_ASSERT_EQUAL(memcmp(p + TCP_HDR_SIZE, syn, sizeof(syn)), 0);
	hdr.opt = (struct tcp_opts){
		.has_ts = true, .ts_val = 1, .ts_ecr = 2, .sack_count = 1, .sack = {{3, 4}}};
	CU_ASSERT_EQUAL(tcp_hdr_emit(p, &hdr), TCP_HDR_SIZE + sizeof(ack));
	CU_ASSERT_EQUAL(memcmp(p + TCP_HDR_SIZE, ack, sizeof(ack)), 0);
	/* Four blocks alone fill 36 bytes; beside timestamps there is room for three. */
	hdr.opt.sack_count = 4;
	CU_ASSERT_EQUAL(tcp_opts_size(&hdr.opt), 12 + 4 + 24);
	hdr.opt.has_ts = false;
	CU_ASSERT_EQUAL(tcp_opts_size(&hdr.opt), 4 + 32);
	hdr.opt.sack_count = 0;
	CU_ASSERT_EQUAL(tcp_opts_size(&hdr.opt), 0);
}

static void test_short(void)
{
	uint8_t p[TCP_HDR_MAX];
	struct tcp_hdr hdr;

	make(p, (const uint8_t *)"", 0);
	for (size_t n = 0; n < TCP_HDR_SIZE; n++)
		CU_ASSERT_EQUAL(parse(p, n, &hdr), DROP_TCP_SHORT);
}

static void test_data_offset(void)
{
	static const uint8_t ts[12] = {1, 1, 8, 10};
	uint8_t p[TCP_HDR_MAX];
	struct tcp_hdr hdr;
	size_t size = make(p, ts, sizeof(ts));

	for (size_t n = TCP_HDR_SIZE; n < size; n++)
		CU_ASSERT_EQUAL(parse(p, n, &hdr), DROP_TCP_DATA_OFFSET);
	CU_ASSERT_EQUAL(parse(p, size, &hdr), DROP_NONE);
	for (unsigned words = 0; words < 5; words++) {
		p[12] = (uint8_t)(words << 4);
		CU_ASSERT_EQUAL(parse(p, size, &hdr), DROP_TCP_DATA_OFFSET);
	}
}

struct option_case {
	size_t len;
	uint8_t bytes[12];
	enum drop why;
};

static const struct option_case option_cases[] = {
	{4, {1, 1, 1, 1}, DROP_NONE},
	{4, {0, 2, 0, 0}, DROP_NONE}, /* nothing counts behind the end */
	{4, {2, 4, 5, 180}, DROP_NONE},
	{4, {3, 3, 14, 0}, DROP_NONE},
	{4, {3, 3, 255, 0}, DROP_NONE}, /* the user of the value limits it */
	{4, {4, 2, 1, 1}, DROP_NONE},
	{12, {1, 1, 8, 10}, DROP_NONE},
	{12, {1, 1, 5, 10}, DROP_NONE},
	{8, {254, 6, 1, 2, 3, 4, 1, 1}, DROP_NONE}, /* unknown: skipped */
	{8, {253, 2, 254, 2, 28, 4, 0, 0}, DROP_NONE},
	{4, {1, 1, 1, 2}, DROP_TCP_OPTION}, /* no length byte */
	{4, {254, 0, 0, 0}, DROP_TCP_OPTION},
	{4, {254, 1, 0, 0}, DROP_TCP_OPTION},
	{4, {254, 5, 0, 0}, DROP_TCP_OPTION}, /* leaves the header */
	{4, {2, 3, 5, 0}, DROP_TCP_OPTION},
	{8, {2, 5, 5, 180, 0, 0, 0, 0}, DROP_TCP_OPTION},
	{4, {2, 2, 0, 0}, DROP_TCP_OPTION},
	{4, {3, 2, 0, 0}, DROP_TCP_OPTION},
	{4, {3, 4, 0, 0}, DROP_TCP_OPTION},
	{4, {4, 3, 0, 0}, DROP_TCP_OPTION},
	{12, {8, 9}, DROP_TCP_OPTION},
	{12, {8, 11}, DROP_TCP_OPTION},
	{4, {5, 2, 0, 0}, DROP_TCP_OPTION}, /* SACK without a block */
	{12, {5, 9}, DROP_TCP_OPTION},
	{12, {5, 12}, DROP_TCP_OPTION},
};

static void test_option_lengths(void)
{
	uint8_t p[TCP_HDR_MAX];
	struct tcp_hdr hdr;

	for (size_t i = 0; i < sizeof(option_cases) / sizeof(option_cases[0]); i++) {
		const struct option_case *c = &option_cases[i];
		size_t size = make(p, c->bytes, c->len);

		CU_ASSERT_EQUAL(parse(p, size, &hdr), c->why);
	}
}

static void test_sack_counts(void)
{
	uint8_t p[TCP_HDR_MAX], options[TCP_OPT_MAX] = {5};
	struct tcp_hdr hdr;

	for (unsigned len = 2; len <= TCP_OPT_MAX; len++) {
		bool is_right = len >= 10 && len <= 34 && (len - 2) % 8 == 0;

		options[1] = (uint8_t)len;
		size_t size = make(p, options, TCP_OPT_MAX);

		CU_ASSERT_EQUAL(parse(p, size, &hdr), is_right ? DROP_NONE : DROP_TCP_OPTION);
		if (is_right)
			CU_ASSERT_EQUAL(hdr.opt.sack_count, (len - 2) / 8);
	}
}

static void test_last_duplicate_wins(void)
{
	static const uint8_t twice[] = {2, 4, 1, 1, 2, 4, 2, 2, 3, 3, 1, 3, 3, 2, 1, 1};
	uint8_t p[TCP_HDR_MAX];
	struct tcp_hdr hdr;
	size_t size = make(p, twice, sizeof(twice));

	CU_ASSERT_EQUAL(parse(p, size, &hdr), DROP_NONE);
	CU_ASSERT_EQUAL(hdr.opt.mss, 0x0202);
	CU_ASSERT_EQUAL(hdr.opt.wscale, 2);
}

/* Any 40 bytes as options, cut anywhere: refused or accepted, never read outside. */
static void test_random_options(void)
{
	uint8_t p[TCP_HDR_MAX], options[TCP_OPT_MAX];
	struct tcp_hdr hdr;
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 50000; n++) {
		for (size_t i = 0; i < sizeof(options); i++)
			options[i] = (uint8_t)prng_below(&rng, 12);
		size_t size = make(p, options, prng_below(&rng, TCP_OPT_MAX + 1));
		enum drop why = parse(p, size, &hdr);

		CU_ASSERT_FATAL(why == DROP_NONE || why == DROP_TCP_OPTION);
		CU_ASSERT_FATAL(why != DROP_NONE || hdr.opt.sack_count <= TCP_SACK_MAX);
	}
}

static void test_checksum(void)
{
	uint8_t p[TCP_HDR_MAX + 101];
	struct prng rng;

	prng_init(&rng, unit_seed());
	for (int n = 0; n < 2000; n++) {
		struct addr src = random_addr(&rng, n % 2 == 0),
			    dst = random_addr(&rng, n % 2 == 0);
		struct tcp_hdr hdr = random_hdr(&rng);
		size_t size = tcp_hdr_emit(p, &hdr);
		size_t payload_len = prng_below(&rng, 102);

		fill_random(&rng, p + size, payload_len);
		size += payload_len;
		uint64_t sum = csum_pseudo(&src, &dst, 6, (uint32_t)size);

		put_be16(p + 16, csum_finish(csum_add(sum, p, size)));
		CU_ASSERT_TRUE_FATAL(tcp_csum_ok(p, size, &src, &dst));
		size_t bit = prng_below(&rng, (uint32_t)size * 8);

		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_FALSE_FATAL(tcp_csum_ok(p, size, &src, &dst));
	}
}

/* A cookie of 4 to 16 bytes, an even number, on a SYN; all else is ignored (RFC 7413 4.1.1). */
static void test_fast_open(void)
{
	for (unsigned flags = TCP_SYN; flags <= TCP_ACK; flags += TCP_ACK - TCP_SYN) {
		for (unsigned size = 0; size <= 30; size++) {
			uint8_t p[TCP_HDR_MAX], option[32] = {34, (uint8_t)(2 + size)};
			bool is_good = size == 0 || (size >= 4 && size <= 16 && size % 2 == 0);
			struct tcp_hdr hdr, again;

			for (unsigned i = 0; i < size; i++)
				option[2 + i] = (uint8_t)(i + 1);
			size_t len = make(p, option, 2 + size);

			p[13] = (uint8_t)flags;
			CU_ASSERT_EQUAL_FATAL(parse(p, len, &hdr), DROP_NONE);
			CU_ASSERT_EQUAL(hdr.opt.has_fo, is_good && flags == TCP_SYN);
			if (!hdr.opt.has_fo)
				continue;
			CU_ASSERT_EQUAL(hdr.opt.fo_len, size);
			/* With all other options there is room for the longest. */
			hdr.opt.has_mss = hdr.opt.has_ts = hdr.opt.has_sack_ok =
				hdr.opt.has_wscale = true;
			hdr.opt.wscale = 7;
			len = tcp_hdr_emit(p, &hdr);
			CU_ASSERT_EQUAL(len, TCP_HDR_SIZE + tcp_opts_size(&hdr.opt));
			CU_ASSERT_EQUAL_FATAL(parse(p, len, &again), DROP_NONE);
			CU_ASSERT_TRUE(again.opt.has_fo && again.opt.fo_len == size);
			CU_ASSERT_EQUAL(memcmp(again.opt.fo, option + 2, size), 0);
		}
	}
}

/* RFC 9768 3.1: AE is the last bit in front of the other flags, beside the data offset. */
static void test_ninth_flag(void)
{
	struct tcp_hdr in = {.src_port = 1, .dst_port = 2, .flags = TCP_ACK, .ae = true}, out;
	uint8_t p[TCP_HDR_MAX];
	size_t size = tcp_hdr_emit(p, &in);

	CU_ASSERT(p[12] == 0x51 && p[13] == TCP_ACK);
	CU_ASSERT(tcp_hdr_parse(p, size, &out) == DROP_NONE && out.ae && out.flags == TCP_ACK);
	in.ae = false;
	tcp_hdr_emit(p, &in);
	CU_ASSERT(p[12] == 0x50);
	p[12] |= 0x0e; /* reserved */
	CU_ASSERT(tcp_hdr_parse(p, size, &out) == DROP_NONE && !out.ae);
}

UNIT_MAIN("tcp_hdr", UNIT(round_trip), UNIT(layout), UNIT(short), UNIT(data_offset),
	  UNIT(option_lengths), UNIT(sack_counts), UNIT(last_duplicate_wins), UNIT(random_options),
	  UNIT(checksum), UNIT(fast_open), UNIT(ninth_flag))
