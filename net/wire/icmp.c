/*
 * ICMP (RFC 792, RFC 1191 for the MTU) and ICMPv6 (RFC 4443) messages.  Parsing is called by the RX
 * thread on bytes that an enemy may have chosen, writing by the emitter.  No state.
 *
 * Both families have an 8-byte header; the meaning of its last 4 bytes depends on the kind:
 *
 *	 0      1      2             4                 8
 *	+------+------+-------------+-----------------+------
 *	| type | code |  checksum   | id seq/mtu/ptr  | body
 *	+------+------+-------------+-----------------+------
 */
#include "net/wire/icmp.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/wire/csum.h"

enum {
	ICMP4_FRAG_NEEDED = 4, /* code of "destination unreachable" */
	QUOTE_PORTS_SIZE = 8,  /* bytes of the transport header that are always quoted */
};

/* Wire types by kind. */
static const uint8_t types4[ICMP_OTHER] = {
	[ICMP_ECHO_REQUEST] = ICMP4_TYPE_ECHO,
	[ICMP_ECHO_REPLY] = 0,
	[ICMP_UNREACH] = 3,
	[ICMP_TOO_BIG] = 3,
	[ICMP_TIME_EXCEEDED] = 11,
	[ICMP_PARAM] = 12,
};
static const uint8_t types6[ICMP_OTHER] = {
	[ICMP_ECHO_REQUEST] = ICMP6_TYPE_ECHO,
	[ICMP_ECHO_REPLY] = 129,
	[ICMP_UNREACH] = 1,
	[ICMP_TOO_BIG] = 2,
	[ICMP_TIME_EXCEEDED] = 3,
	[ICMP_PARAM] = 4,
};

static enum icmp_kind kind_of(bool is_v6, uint8_t type, uint8_t code)
{
	const uint8_t *types = is_v6 ? types6 : types4;

	if (!is_v6 && type == types4[ICMP_TOO_BIG] && code == ICMP4_FRAG_NEEDED)
		return ICMP_TOO_BIG;
	for (unsigned kind = 0; kind < ICMP_OTHER; kind++)
		if (types[kind] == type)
			return (enum icmp_kind)kind;
	return is_v6 && type < ICMP6_TYPE_ECHO ? ICMP_OTHER_ERROR : ICMP_OTHER; /* RFC 4443 2.4 */
}

/* Reads the last 4 bytes of the header at 'rest'. */
static void parse_rest(const uint8_t *rest, bool is_v6, struct icmp_msg *msg)
{
	switch (msg->kind) {
	case ICMP_ECHO_REQUEST:
	case ICMP_ECHO_REPLY:
		msg->id = get_be16(rest);
		msg->seq = get_be16(rest + 2);
		break;
	case ICMP_TOO_BIG:
		msg->mtu = is_v6 ? get_be32(rest) : get_be16(rest + 2);
		break;
	case ICMP_PARAM:
		msg->pointer = is_v6 ? get_be32(rest) : rest[0];
		break;
	case ICMP_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_OTHER:
	case ICMP_OTHER_ERROR:
		break;
	}
}

enum drop icmp_parse(const uint8_t *p, size_t size, const struct ip_hdr *ip, struct icmp_msg *msg)
{
	bool is_v6 = ip->version == 6;
	uint64_t sum = 0;

	if (size < ICMP_HDR_SIZE)
		return DROP_ICMP_SHORT;
	if (is_v6)
		sum = csum_pseudo(&ip->src, &ip->dst, IP_PROTO_ICMP6, (uint32_t)size);
	if (csum_finish(csum_add(sum, p, size)) != 0)
		return DROP_ICMP_CSUM;
	*msg = (struct icmp_msg){
		.kind = kind_of(is_v6, p[0], p[1]),
		.code = p[1],
		.body = p + ICMP_HDR_SIZE,
		.body_len = size - ICMP_HDR_SIZE,
	};
	parse_rest(p + 4, is_v6, msg);
	return DROP_NONE;
}

/* Writes the last 4 bytes of the header, zero before, at 'rest'. */
static void emit_rest(uint8_t *rest, bool is_v6, const struct icmp_msg *msg)
{
	switch (msg->kind) {
	case ICMP_ECHO_REQUEST:
	case ICMP_ECHO_REPLY:
		put_be16(rest, msg->id);
		put_be16(rest + 2, msg->seq);
		break;
	case ICMP_TOO_BIG:
		if (is_v6)
			put_be32(rest, msg->mtu);
		else
			put_be16(rest + 2, msg->mtu < UINT16_MAX ? (uint16_t)msg->mtu : UINT16_MAX);
		break;
	case ICMP_PARAM:
		if (is_v6)
			put_be32(rest, msg->pointer);
		else
			rest[0] = (uint8_t)msg->pointer;
		break;
	case ICMP_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_OTHER:
	case ICMP_OTHER_ERROR:
		break;
	}
}

size_t icmp_emit(uint8_t *p, const struct icmp_msg *msg, const struct addr *src,
		 const struct addr *dst)
{
	WEFT_ASSERT(msg->kind < ICMP_OTHER);
	bool is_v6 = !addr_is_v4(dst);
	size_t size = ICMP_HDR_SIZE + msg->body_len;
	uint64_t sum = 0;

	/* First of all, since the header may stand where the body comes from. */
	if (msg->body_len > 0)
		memmove(p + ICMP_HDR_SIZE, msg->body, msg->body_len);
	memset(p, 0, ICMP_HDR_SIZE);
	p[0] = (is_v6 ? types6 : types4)[msg->kind];
	p[1] = msg->code;
	if (msg->kind == ICMP_TOO_BIG)
		p[1] = is_v6 ? 0 : ICMP4_FRAG_NEEDED;
	emit_rest(p + 4, is_v6, msg);
	if (is_v6)
		sum = csum_pseudo(src, dst, IP_PROTO_ICMP6, (uint32_t)size);
	put_be16(p + 2, csum_finish(csum_add(sum, p, size)));
	return size;
}

/* Addresses and protocol of a quoted IPv4 header; its size, or 0 when it is no use. */
static size_t parse_quoted_v4(const uint8_t *p, size_t size, struct icmp_quote *q)
{
	if (size < IP4_HDR_SIZE)
		return 0;
	size_t hdr_len = (p[0] & 0x0fu) * 4;

	/* Later fragments carry no ports; lengths and checksum may have been altered on the way. */
	if (hdr_len < IP4_HDR_SIZE || (get_be16(p + 6) & 0x1fff) != 0)
		return 0;
	q->src = addr_from_v4(p + 12);
	q->dst = addr_from_v4(p + 16);
	q->proto = p[9];
	q->size = get_be16(p + 2);
	return hdr_len;
}

static size_t parse_quoted_v6(const uint8_t *p, size_t size, struct icmp_quote *q)
{
	if (size < IP6_HDR_SIZE)
		return 0;
	q->src = addr_from_v6(p + 8);
	q->dst = addr_from_v6(p + 24);
	q->proto = p[6];
	q->size = IP6_HDR_SIZE + (uint32_t)get_be16(p + 4);
	return IP6_HDR_SIZE;
}

enum drop icmp_quote_parse(const uint8_t *p, size_t size, struct icmp_quote *quote)
{
	struct icmp_quote q = {.proto = 0};
	size_t hdr_len = 0;

	if (size > 0 && p[0] >> 4 == 4)
		hdr_len = parse_quoted_v4(p, size, &q);
	else if (size > 0 && p[0] >> 4 == 6)
		hdr_len = parse_quoted_v6(p, size, &q);
	if (hdr_len == 0 || size < hdr_len + QUOTE_PORTS_SIZE)
		return DROP_ICMP_SHORT;
	if (q.proto == IP_PROTO_TCP || q.proto == IP_PROTO_UDP) {
		q.src_port = get_be16(p + hdr_len);
		q.dst_port = get_be16(p + hdr_len + 2);
	}
	if (q.proto == IP_PROTO_TCP)
		q.tcp_seq = get_be32(p + hdr_len + 4);
	if ((q.proto == IP_PROTO_ICMP && p[hdr_len] == ICMP4_TYPE_ECHO) ||
	    (q.proto == IP_PROTO_ICMP6 && p[hdr_len] == ICMP6_TYPE_ECHO)) {
		q.is_echo = true;
		q.src_port = get_be16(p + hdr_len + 4);
	}
	q.hdr_len = hdr_len;
	*quote = q;
	return DROP_NONE;
}
