/*
 * IPv4 and IPv6 headers: RFC 791, RFC 8200; source routes are refused as RFC 7126 advises.  Parsing
 * is called by the RX thread on bytes that an enemy may have chosen, writing by the emitter.  No
 * state.  Whether an address is legal and ours is the matter of net/ip.
 */
#include "net/wire/ip.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/base/mechanism.h"
#include "net/wire/csum.h"

enum {
	IP4_DONT_FRAGMENT = 0x4000,
	IP4_OPT_END = 0,
	IP4_OPT_NOP = 1,
	IP4_OPT_LSRR = 131,
	IP4_OPT_SSRR = 137,
	IP6_NO_NEXT_HDR = 59,
};

/*
 * Whether every option of the header at 'pkt' has a length inside it and none is a source route; else
 * '*problem_at' is where the length is wrong, or 0: who routes by the source is not answered (RFC 7126).
 */
static bool are_options_fine(const uint8_t *pkt, size_t hdr_len, uint8_t *problem_at)
{
	const uint8_t *p = pkt + IP4_HDR_SIZE;
	size_t left = hdr_len - IP4_HDR_SIZE;

	*problem_at = 0;
	while (left > 0 && p[0] != IP4_OPT_END) {
		size_t len = 1;

		if (p[0] != IP4_OPT_NOP) {
			if (left < 2 || p[1] < 2 || p[1] > left) {
				*problem_at = (uint8_t)(p - pkt);
				return false;
			}
			if ((p[0] == IP4_OPT_LSRR || p[0] == IP4_OPT_SSRR) &&
			    MECHANISM(ip_source_route))
				return false;
			len = p[1];
		}
		p += len;
		left -= len;
	}
	return true;
}

static enum drop parse_v4(const uint8_t *pkt, size_t size, struct ip_hdr *hdr)
{
	if (size < IP4_HDR_SIZE)
		return DROP_IP_SHORT;
	size_t hdr_len = (pkt[0] & 0x0fu) * 4;
	size_t total_len = get_be16(pkt + 2);

	if (hdr_len < IP4_HDR_SIZE || hdr_len > size)
		return DROP_IP_HDR_LEN;
	if (total_len < hdr_len || total_len > size)
		return DROP_IP_TOTAL_LEN;
	if (csum_finish(csum_add(0, pkt, hdr_len)) != 0 && MECHANISM(ip_checksum))
		return DROP_IP_CSUM;
	*hdr = (struct ip_hdr){
		.src = addr_from_v4(pkt + 12),
		.dst = addr_from_v4(pkt + 16),
		.hdr_len = (uint16_t)hdr_len,
		.payload_len = (uint16_t)(total_len - hdr_len),
		.id = get_be16(pkt + 4),
		.frag = get_be16(pkt + 6) & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK),
		.may_frag = !(get_be16(pkt + 6) & IP4_DONT_FRAGMENT),
		.version = 4,
		.proto = pkt[9],
		.ttl = pkt[8],
		.tos = pkt[1],
	};
	if (!are_options_fine(pkt, hdr_len, &hdr->problem_at))
		return DROP_IP_OPTIONS;
	return DROP_NONE;
}

/* Hop-by-hop, routing, fragment, ESP, AH, destination options, mobility, HIP and shim6. */
static bool is_ext_hdr(uint8_t next_hdr)
{
	static const uint8_t ext_hdrs[] = {0, 43, 44, 50, 51, 60, 135, 139, 140};

	return memchr(ext_hdrs, next_hdr, sizeof(ext_hdrs)) != NULL;
}

static enum drop parse_v6(const uint8_t *pkt, size_t size, struct ip_hdr *hdr)
{
	if (size < IP6_HDR_SIZE)
		return DROP_IP_SHORT;
	uint16_t payload_len = get_be16(pkt + 4);

	if (payload_len > size - IP6_HDR_SIZE)
		return DROP_IP_TOTAL_LEN;
	*hdr = (struct ip_hdr){
		.src = addr_from_v6(pkt + 8),
		.dst = addr_from_v6(pkt + 24),
		.hdr_len = IP6_HDR_SIZE,
		.payload_len = payload_len,
		.version = 6,
		.proto = pkt[6],
		.ttl = pkt[7],
		.tos = (uint8_t)(get_be16(pkt) >> 4),
		.label = get_be32(pkt) & 0xfffff,
	};
	/* ::ffff:a.b.c.d means IPv4 inside weft; on an IPv6 wire it has no business. */
	if (!MECHANISM(ip_mapped))
		return DROP_NONE;
	if (addr_is_v4(&hdr->src))
		return DROP_IP_SRC;
	return addr_is_v4(&hdr->dst) ? DROP_IP_DST : DROP_NONE;
}

enum drop ip_parse_any(const uint8_t *pkt, size_t size, struct ip_hdr *hdr)
{
	if (size == 0)
		return DROP_IP_SHORT;
	if (pkt[0] >> 4 == 4)
		return parse_v4(pkt, size, hdr);
	if (pkt[0] >> 4 == 6)
		return parse_v6(pkt, size, hdr);
	return DROP_IP_VERSION;
}

enum drop ip_parse(const uint8_t *pkt, size_t size, struct ip_hdr *hdr)
{
	enum drop why = ip_parse_any(pkt, size, hdr);

	if (why != DROP_NONE)
		return why;
	if (hdr->frag != 0)
		return DROP_IP_FRAGMENT;
	if (hdr->version == 6 && is_ext_hdr(hdr->proto))
		return DROP_IP_EXT_HDR;
	return hdr->version == 6 && hdr->proto == IP6_NO_NEXT_HDR ? DROP_IP_PROTO : DROP_NONE;
}

static size_t emit_v4(uint8_t *pkt, const struct ip_hdr *hdr)
{
	WEFT_ASSERT(addr_is_v4(&hdr->src) && addr_is_v4(&hdr->dst));
	WEFT_ASSERT(hdr->payload_len <= UINT16_MAX - IP4_HDR_SIZE);
	pkt[0] = 0x45;
	pkt[1] = hdr->tos;
	put_be16(pkt + 2, (uint16_t)(IP4_HDR_SIZE + hdr->payload_len));
	bool is_atomic = !hdr->may_frag && hdr->frag == 0;

	put_be16(pkt + 4, is_atomic ? 0 : hdr->id);
	put_be16(pkt + 6, is_atomic ? IP4_DONT_FRAGMENT : hdr->frag);
	pkt[8] = hdr->ttl;
	pkt[9] = hdr->proto;
	put_be16(pkt + 10, 0);
	memcpy(pkt + 12, hdr->src.b + 12, 4);
	memcpy(pkt + 16, hdr->dst.b + 12, 4);
	put_be16(pkt + 10, csum_finish(csum_add(0, pkt, IP4_HDR_SIZE)));
	return IP4_HDR_SIZE;
}

static size_t emit_v6(uint8_t *pkt, const struct ip_hdr *hdr)
{
	put_be32(pkt, 6u << 28 | (uint32_t)hdr->tos << 20 | (hdr->label & 0xfffff));
	put_be16(pkt + 4, hdr->payload_len);
	pkt[6] = hdr->proto;
	pkt[7] = hdr->ttl;
	memcpy(pkt + 8, hdr->src.b, 16);
	memcpy(pkt + 24, hdr->dst.b, 16);
	return IP6_HDR_SIZE;
}

size_t ip_emit(uint8_t *pkt, const struct ip_hdr *hdr)
{
	bool is_v4 = hdr->version == 0 ? addr_is_v4(&hdr->dst) : hdr->version == 4;

	return is_v4 ? emit_v4(pkt, hdr) : emit_v6(pkt, hdr);
}
