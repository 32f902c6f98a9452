/*
 * The TCP header and its options: RFC 9293 3.1 and 3.2 (MSS), RFC 7323 (window scale, timestamps),
 * RFC 2018 (SACK), RFC 7413 (fast open).  Parsing is called by the RX thread on bytes that an enemy may have chosen,
 * writing by the emitter.  No state.
 */
#include "net/wire/tcp_hdr.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/base/mechanism.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include <string.h>

enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_OK = 4,
	OPT_SACK = 5,
	OPT_TS = 8,
	OPT_FO = 34,
	/* Lengths, kind and length byte included. */
	LEN_MSS = 4,
	LEN_WSCALE = 3,
	LEN_SACK_OK = 2,
	LEN_TS = 10,
	LEN_SACK_BASE = 2,
	LEN_SACK_BLOCK = 8,
	LEN_FO_BASE = 2,
};

/* ---- Parsing. ---- */

/* Takes the blocks of a SACK option of 'len' bytes at 'p'; false when the length is no sum. */
static bool parse_sack(const uint8_t *p, size_t len, struct tcp_opts *opt)
{
	size_t count = (len - LEN_SACK_BASE) / LEN_SACK_BLOCK;

	if (count < 1 || count > TCP_SACK_MAX || len != LEN_SACK_BASE + count * LEN_SACK_BLOCK)
		return false;
	opt->sack_count = (uint8_t)count;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *block = p + LEN_SACK_BASE + i * LEN_SACK_BLOCK;

		opt->sack[i].start = get_be32(block);
		opt->sack[i].end = get_be32(block + 4);
	}
	return true;
}

/* A cookie, or the wish for one; of another size it is ignored (RFC 7413 4.1.1). */
static void parse_fast_open(const uint8_t *p, size_t len, struct tcp_opts *opt)
{
	size_t size = len - LEN_FO_BASE;

	if (size > 0 && (size < TCP_FO_MIN || size > TCP_FO_MAX || size % 2 != 0))
		return;
	opt->has_fo = true;
	opt->fo_len = (uint8_t)size;
	memcpy(opt->fo, p + LEN_FO_BASE, size);
}

/* Takes one option of 'len' bytes at 'p'; false when a known kind has the wrong length. */
static bool parse_option(const uint8_t *p, size_t len, struct tcp_opts *opt)
{
	switch (p[0]) {
	case OPT_MSS:
		if (len != LEN_MSS)
			return false;
		opt->has_mss = true;
		opt->mss = get_be16(p + 2);
		return true;
	case OPT_WSCALE:
		if (len != LEN_WSCALE)
			return false;
		opt->has_wscale = true;
		opt->wscale = p[2];
		return true;
	case OPT_SACK_OK:
		opt->has_sack_ok = true;
		return len == LEN_SACK_OK;
	case OPT_SACK:
		return parse_sack(p, len, opt);
	case OPT_TS:
		if (len != LEN_TS)
			return false;
		opt->has_ts = true;
		opt->ts_val = get_be32(p + 2);
		opt->ts_ecr = get_be32(p + 6);
		return true;
	case OPT_FO:
		parse_fast_open(p, len, opt);
		return true;
	default:
		return true;
	}
}

static bool parse_options(const uint8_t *p, size_t left, struct tcp_opts *opt)
{
	while (left > 0 && p[0] != OPT_END) {
		size_t len = 1;

		if (p[0] != OPT_NOP) {
			if (left < 2 || p[1] < 2 || p[1] > left)
				return false;
			len = p[1];
			if (!parse_option(p, len, opt))
				return false;
		}
		p += len;
		left -= len;
	}
	return true;
}

enum drop tcp_hdr_parse(const uint8_t *p, size_t size, struct tcp_hdr *hdr)
{
	if (size < TCP_HDR_SIZE)
		return DROP_TCP_SHORT;
	size_t hdr_len = (size_t)(p[12] >> 4) * 4;

	if (hdr_len < TCP_HDR_SIZE || hdr_len > size)
		return DROP_TCP_DATA_OFFSET;
	struct tcp_hdr h = {
		.src_port = get_be16(p),
		.dst_port = get_be16(p + 2),
		.seq = get_be32(p + 4),
		.ack = get_be32(p + 8),
		.wnd = get_be16(p + 14),
		.up = get_be16(p + 18),
		.flags = p[13],
		.ae = p[12] & 1,
		.hdr_len = (uint8_t)hdr_len,
	};
	if (!parse_options(p + TCP_HDR_SIZE, hdr_len - TCP_HDR_SIZE, &h.opt) &&
	    MECHANISM(tcp_option_length))
		return DROP_TCP_OPTION;
	if (!(h.flags & TCP_SYN))
		h.opt.has_fo = false;
	*hdr = h;
	return DROP_NONE;
}

bool tcp_csum_ok(const uint8_t *p, size_t size, const struct addr *src, const struct addr *dst)
{
	uint64_t sum = csum_pseudo(src, dst, IP_PROTO_TCP, (uint32_t)size);

	return csum_finish(csum_add(sum, p, size)) == 0 || !MECHANISM(tcp_checksum);
}

/* ---- Writing. ---- */

/* With its padding. */
static size_t fast_open_size(const struct tcp_opts *opt)
{
	return opt->has_fo ? ((size_t)LEN_FO_BASE + opt->fo_len + 3) & ~(size_t)3 : 0;
}

/*
 * Bytes of all options but SACK.  Each group below starts and ends on a multiple of 4, so the sum
 * needs no padding: SACK-permitted takes the place of the two NOPs in front of the timestamps.
 */
static size_t fixed_opts_size(const struct tcp_opts *opt)
{
	size_t size = 0;

	if (opt->has_mss)
		size += LEN_MSS;
	if (opt->has_ts)
		size += 2 + LEN_TS;
	else if (opt->has_sack_ok)
		size += 2 + LEN_SACK_OK;
	if (opt->has_wscale)
		size += 1 + LEN_WSCALE;
	return size + fast_open_size(opt);
}

/* How many SACK blocks fit behind 'used' bytes of options. */
static size_t sack_blocks_fit(const struct tcp_opts *opt, size_t used)
{
	size_t room = TCP_OPT_MAX - used;
	size_t fit = room < 2 + LEN_SACK_BASE ? 0 : (room - 2 - LEN_SACK_BASE) / LEN_SACK_BLOCK;

	WEFT_ASSERT(opt->sack_count <= TCP_SACK_MAX);
	return opt->sack_count < fit ? opt->sack_count : fit;
}

size_t tcp_opts_size(const struct tcp_opts *opt)
{
	size_t size = fixed_opts_size(opt);
	size_t blocks = sack_blocks_fit(opt, size);

	return blocks == 0 ? size : size + 2 + LEN_SACK_BASE + blocks * LEN_SACK_BLOCK;
}

/* Two one-byte options, a kind and its length: the first word of most groups. */
static uint8_t *put_head(uint8_t *p, uint8_t a, uint8_t b, uint8_t kind, uint8_t len)
{
	p[0] = a;
	p[1] = b;
	p[2] = kind;
	p[3] = len;
	return p + 4;
}

static uint8_t *put_fast_open(uint8_t *p, const struct tcp_opts *opt)
{
	size_t size = fast_open_size(opt);
	size_t pad = size - LEN_FO_BASE - opt->fo_len;

	WEFT_ASSERT(opt->fo_len <= TCP_FO_MAX);
	memset(p, OPT_NOP, pad);
	p[pad] = OPT_FO;
	p[pad + 1] = (uint8_t)(LEN_FO_BASE + opt->fo_len);
	memcpy(p + pad + LEN_FO_BASE, opt->fo, opt->fo_len);
	return p + size;
}

static uint8_t *put_fixed(uint8_t *p, const struct tcp_opts *opt)
{
	if (opt->has_mss) {
		p[0] = OPT_MSS;
		p[1] = LEN_MSS;
		put_be16(p + 2, opt->mss);
		p += LEN_MSS;
	}
	if (opt->has_ts) {
		if (opt->has_sack_ok)
			p = put_head(p, OPT_SACK_OK, LEN_SACK_OK, OPT_TS, LEN_TS);
		else
			p = put_head(p, OPT_NOP, OPT_NOP, OPT_TS, LEN_TS);
		put_be32(p, opt->ts_val);
		put_be32(p + 4, opt->ts_ecr);
		p += 8;
	} else if (opt->has_sack_ok) {
		p = put_head(p, OPT_NOP, OPT_NOP, OPT_SACK_OK, LEN_SACK_OK);
	}
	if (opt->has_wscale)
		p = put_head(p, OPT_NOP, OPT_WSCALE, LEN_WSCALE, opt->wscale);
	return opt->has_fo ? put_fast_open(p, opt) : p;
}

static uint8_t *put_sack(uint8_t *p, const struct tcp_opts *opt, size_t blocks)
{
	p = put_head(p, OPT_NOP, OPT_NOP, OPT_SACK,
		     (uint8_t)(LEN_SACK_BASE + blocks * LEN_SACK_BLOCK));
	for (size_t i = 0; i < blocks; i++, p += LEN_SACK_BLOCK) {
		put_be32(p, opt->sack[i].start);
		put_be32(p + 4, opt->sack[i].end);
	}
	return p;
}

size_t tcp_hdr_emit(uint8_t *p, const struct tcp_hdr *hdr)
{
	uint8_t *end = put_fixed(p + TCP_HDR_SIZE, &hdr->opt);
	size_t blocks = sack_blocks_fit(&hdr->opt, (size_t)(end - p) - TCP_HDR_SIZE);

	if (blocks > 0)
		end = put_sack(end, &hdr->opt, blocks);
	size_t size = (size_t)(end - p);

	WEFT_ASSERT(size % 4 == 0 && size <= TCP_HDR_MAX);
	put_be16(p, hdr->src_port);
	put_be16(p + 2, hdr->dst_port);
	put_be32(p + 4, hdr->seq);
	put_be32(p + 8, hdr->ack);
	p[12] = (uint8_t)(size / 4 << 4 | hdr->ae);
	p[13] = hdr->flags;
	put_be16(p + 14, hdr->wnd);
	put_be16(p + 16, 0);
	put_be16(p + 18, hdr->up);
	return size;
}
