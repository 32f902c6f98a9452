/*
 * The UDP header: RFC 768, and RFC 8200 8.1 for IPv6, where the checksum is not optional.  Parsing
 * is called by the RX thread on bytes that an enemy may have chosen, writing by the emitter and
 * tests.  No state.
 */
#include "net/wire/udp_hdr.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"

static uint16_t finish_over(const uint8_t *p, size_t size, const struct addr *src,
			    const struct addr *dst)
{
	uint64_t sum = csum_pseudo(src, dst, IP_PROTO_UDP, (uint32_t)size);

	return csum_finish(csum_add(sum, p, size));
}

enum drop udp_hdr_read(const uint8_t *p, size_t size, struct udp_hdr *hdr)
{
	if (size < UDP_HDR_SIZE)
		return DROP_UDP_SHORT;
	struct udp_hdr h = {
		.src_port = get_be16(p),
		.dst_port = get_be16(p + 2),
		.len = get_be16(p + 4),
		.csum = get_be16(p + 6),
	};
	if (h.len < UDP_HDR_SIZE || h.len > size)
		return DROP_UDP_SHORT;
	*hdr = h;
	return DROP_NONE;
}

bool udp_csum_ok(const uint8_t *p, const struct udp_hdr *hdr, const struct addr *src,
		 const struct addr *dst)
{
	return hdr->csum == 0 ? addr_is_v4(dst) : finish_over(p, hdr->len, src, dst) == 0;
}

enum drop udp_hdr_parse(const uint8_t *p, size_t size, const struct addr *src,
			const struct addr *dst, struct udp_hdr *hdr)
{
	struct udp_hdr h;
	enum drop why = udp_hdr_read(p, size, &h);

	if (why != DROP_NONE)
		return why;
	if (!udp_csum_ok(p, &h, src, dst))
		return DROP_UDP_CSUM;
	*hdr = h;
	return DROP_NONE;
}

size_t udp_hdr_emit(uint8_t *p, const struct udp_hdr *hdr, size_t payload_len,
		    const struct addr *src, const struct addr *dst)
{
	WEFT_ASSERT(payload_len <= UINT16_MAX - UDP_HDR_SIZE);
	size_t len = UDP_HDR_SIZE + payload_len;

	put_be16(p, hdr->src_port);
	put_be16(p + 2, hdr->dst_port);
	put_be16(p + 4, (uint16_t)len);
	put_be16(p + 6, 0);
	uint16_t csum = finish_over(p, len, src, dst);

	/* 0 in the field means "none", so a sum of 0 is sent as its other form. */
	put_be16(p + 6, csum == 0 ? UINT16_MAX : csum);
	return UDP_HDR_SIZE;
}
