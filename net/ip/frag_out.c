/* Cutting datagrams into fragments.  Pure: any thread, no state but the caller's. */
#include "net/ip/frag_out.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/ip/ext.h"

enum { IP6_FRAGMENT = 44 };

static_assert(FRAG_HDR_MAX == IP6_HDR_SIZE + EXT_FRAG_SIZE, "the larger of both versions");

size_t frag_hdr_size(const struct addr *dst)
{
	return ip_hdr_size(dst) + (addr_is_v4(dst) ? 0 : EXT_FRAG_SIZE);
}

void frag_cut_init(struct frag_cut *cut, const struct ip_hdr *ip, uint32_t size, uint32_t mtu)
{
	/* Offsets count in units of 8 bytes. */
	uint32_t most = (uint32_t)(mtu - frag_hdr_size(&ip->dst)) & ~7u;

	WEFT_ASSERT(mtu >= frag_hdr_size(&ip->dst) + 8);
	*cut = (struct frag_cut){.size = size, .most = most};
}

bool frag_cut_next(struct frag_cut *cut)
{
	cut->offset += cut->len;
	cut->len = cut->size - cut->offset;
	if (cut->len > cut->most)
		cut->len = cut->most;
	return cut->len > 0;
}

unsigned frag_cut_count(const struct frag_cut *cut)
{
	return (cut->size + cut->most - 1) / cut->most;
}

size_t frag_hdr_emit(uint8_t *p, const struct ip_hdr *ip, uint32_t id, const struct frag_cut *cut)
{
	bool is_v4 = addr_is_v4(&ip->dst);
	bool is_more = cut->offset + cut->len < cut->size;
	struct ip_hdr h = *ip;

	h.payload_len = (uint16_t)(cut->len + (is_v4 ? 0 : EXT_FRAG_SIZE));
	if (is_v4) {
		h.id = (uint16_t)id;
		h.may_frag = true;
		h.frag = (uint16_t)(cut->offset / 8 | (is_more ? IP4_MORE_FRAGMENTS : 0));
		return ip_emit(p, &h);
	}
	h.proto = IP6_FRAGMENT;
	size_t at = ip_emit(p, &h);

	p[at] = ip->proto;
	p[at + 1] = 0;
	put_be16(p + at + 2, (uint16_t)(cut->offset | is_more));
	put_be32(p + at + 4, id);
	return at + EXT_FRAG_SIZE;
}
