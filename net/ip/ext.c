/* The walk over IPv6 extension headers.  RX threads; no state. */
#include "net/ip/ext.h"

#include "net/base/bytes.h"
#include "net/base/mechanism.h"
#include <string.h>

enum {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	NO_NEXT = 59,
	DEST_OPTS = 60,
	OPT_PAD1 = 0,
	OPT_PADN = 1,
	PARAM_HDR = 0,   /* ICMPv6 parameter problem: erroneous header field */
	PARAM_NEXT = 1,  /* unrecognized next header */
	PARAM_OPT = 2,   /* unrecognized option */
	PARAM_CHAIN = 3, /* RFC 7112: the first fragment has not the whole chain */
};

static enum drop tell(struct ext *ext, enum drop why, uint8_t code, size_t pointer)
{
	ext->has_problem = true;
	ext->code = code;
	ext->pointer = (uint32_t)pointer;
	return why;
}

/* RFC 8200 4.2: the two highest bits of an option that nobody knows. */
static enum drop judge_option(struct ext *ext, const struct ip_hdr *ip, uint8_t type, size_t at)
{
	switch (MECHANISM(ext_unknown_option) ? type >> 6 : 0) {
	case 0:
		return DROP_NONE;
	case 1:
		return DROP_IP_EXT_OPTION;
	case 2:
		return tell(ext, DROP_IP_EXT_OPTION, PARAM_OPT, at);
	default:
		if (addr_is_multicast(&ip->dst))
			return DROP_IP_EXT_OPTION;
		return tell(ext, DROP_IP_EXT_OPTION, PARAM_OPT, at);
	}
}

/* The options from 'at' to 'end' of a hop-by-hop or destination options header. */
static enum drop walk_options(const uint8_t *pkt, size_t at, size_t end, const struct ip_hdr *ip,
			      struct ext *ext)
{
	unsigned options = 0;
	size_t pad = 0;

	while (at < end) {
		size_t size = 1;

		if (pkt[at] != OPT_PAD1) {
			if (end - at < 2 || pkt[at + 1] > end - at - 2)
				return DROP_IP_EXT_HDR;
			size = 2u + pkt[at + 1];
		}
		if (pkt[at] == OPT_PAD1 || pkt[at] == OPT_PADN) {
			pad += size;
			if (pad > EXT_PAD_MAX && MECHANISM(ext_pad_max))
				return DROP_IP_EXT_LIMIT;
		} else {
			enum drop why = judge_option(ext, ip, pkt[at], at);

			if (why != DROP_NONE)
				return why;
			pad = 0;
			if (++options > EXT_OPTS_MAX && MECHANISM(ext_options_max))
				return DROP_IP_EXT_LIMIT;
		}
		at += size;
	}
	return DROP_NONE;
}

/* RFC 8200 4.4, RFC 5095: no type is known, type 0 least of all. */
static enum drop judge_routing(const uint8_t *pkt, size_t at, struct ext *ext)
{
	if (pkt[at + 3] == 0 || !MECHANISM(ext_routing))
		return DROP_NONE;
	return tell(ext, DROP_IP_ROUTING, PARAM_HDR, at + 2);
}

/* The header at ip->hdr_len, other than a fragment header, in whole and in order. */
static enum drop walk_header(const uint8_t *pkt, struct ip_hdr *ip, struct ext *ext)
{
	size_t at = ip->hdr_len;
	size_t size = 0;
	enum drop why;

	if (ip->payload_len < 8)
		return DROP_IP_EXT_HDR;
	size = 8u * (1u + pkt[at + 1]);
	if (size > ip->payload_len)
		return DROP_IP_EXT_HDR;
	if (ip->proto == ROUTING)
		why = judge_routing(pkt, at, ext);
	else
		why = walk_options(pkt, at + 2, at + size, ip, ext);
	if (why != DROP_NONE)
		return why;
	ip->proto = pkt[at];
	ext->next_hdr_at = (uint16_t)at;
	ip->hdr_len = (uint16_t)(at + size);
	ip->payload_len = (uint16_t)(ip->payload_len - size);
	return DROP_NONE;
}

/* The fragment header at ip->hdr_len; an atomic fragment is a whole packet (RFC 6946). */
static enum drop walk_fragment(const uint8_t *pkt, struct ip_hdr *ip, struct ext *ext)
{
	size_t at = ip->hdr_len;

	if (ip->payload_len < EXT_FRAG_SIZE)
		return DROP_IP_EXT_HDR;
	uint16_t field = get_be16(pkt + at + 2);

	ext->frag_at = (uint16_t)at;
	ext->id = get_be32(pkt + at + 4);
	ext->more = field & 1;
	ext->offset = field & 0xfff8;
	ext->is_frag = ext->more || ext->offset != 0 || !MECHANISM(ext_atomic);
	ip->proto = pkt[at];
	ext->next_hdr_at = (uint16_t)at;
	ip->hdr_len = (uint16_t)(at + EXT_FRAG_SIZE);
	ip->payload_len = (uint16_t)(ip->payload_len - EXT_FRAG_SIZE);
	return DROP_NONE;
}

static bool is_options_or_routing(uint8_t proto)
{
	return proto == HOP_BY_HOP || proto == DEST_OPTS || proto == ROUTING;
}

/* What the upper layer's header has at least, if we know it. */
static size_t upper_size(uint8_t proto)
{
	switch (proto) {
	case IP_PROTO_TCP:
		return 20;
	case IP_PROTO_UDP:
	case IP_PROTO_ICMP6:
		return 8;
	default:
		return 0;
	}
}

/*
 * RFC 7112 5: the first fragment has the whole chain, upper-layer header included.  Looks, without
 * judging what it passes: that is done with the whole packet.
 */
static bool has_whole_chain(const uint8_t *pkt, const struct ip_hdr *ip)
{
	uint8_t proto = ip->proto;
	size_t at = ip->hdr_len;
	size_t left = ip->payload_len;

	for (unsigned i = 0; i < EXT_HDRS_MAX && is_options_or_routing(proto); i++) {
		size_t size = left < 8 ? SIZE_MAX : 8u * (1u + pkt[at + 1]);

		if (size > left)
			return false;
		proto = pkt[at];
		at += size;
		left -= size;
	}
	return left >= upper_size(proto);
}

static enum drop walk_one(const uint8_t *pkt, struct ip_hdr *ip, struct ext *ext, bool *has_frag)
{
	if (ip->proto != FRAGMENT)
		return walk_header(pkt, ip, ext);
	if (*has_frag && MECHANISM(ext_one_fragment)) /* a fragment of a fragment is nobody's */
		return DROP_IP_EXT_HDR;
	*has_frag = true;
	return walk_fragment(pkt, ip, ext);
}

enum drop ext_walk(const uint8_t *pkt, struct ip_hdr *ip, struct ext *ext)
{
	bool has_frag = false;

	*ext = (struct ext){.next_hdr_at = 6};
	for (unsigned headers = 0;; headers++) {
		enum drop why;

		if (ip->proto == NO_NEXT)
			return DROP_IP_PROTO;
		if (ip->proto == HOP_BY_HOP && headers > 0 &&
		    MECHANISM(ext_hop_first)) /* only ever the first */
			return tell(ext, DROP_IP_EXT_HDR, PARAM_NEXT, ext->next_hdr_at);
		if (ip->proto != FRAGMENT && !is_options_or_routing(ip->proto))
			return DROP_NONE;
		if (headers == EXT_HDRS_MAX && MECHANISM(ext_headers_max))
			return DROP_IP_EXT_LIMIT;
		why = walk_one(pkt, ip, ext, &has_frag);
		if (why != DROP_NONE)
			return why;
		if (!ext->is_frag)
			continue;
		if (ext->offset == 0 && !has_whole_chain(pkt, ip) && MECHANISM(ext_whole_chain))
			return tell(ext, DROP_IP_FRAG_CHAIN, PARAM_CHAIN, 0);
		return DROP_NONE;
	}
}
