/*
 * Translation of virtio-net headers: see vnet.h.  What comes from the kernel is checked against the
 * packet's own IP and TCP headers all the same, because a TUN descriptor may have any program at
 * its other end.  The header's hdr_len is a hint that some senders leave wrong: it is computed here.
 */
#include "tun/vnet.h"

#include "net/base/bytes.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include "tun/iov.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
	TCP_CSUM_OFFSET = 16,
	TCP_OFFSET_BYTE = 12,
	HEAD_MAX = IP_HDR_MAX + TCP_HDR_MAX,
};

/* Where the TCP header of an IPv4 or IPv6 packet starts, by its IP header; 0: it is no TCP packet. */
static size_t tcp_start(const uint8_t *head, size_t size, unsigned version)
{
	if (size < IP4_HDR_SIZE || head[0] >> 4 != version)
		return 0;
	if (version == 4) {
		size_t hdr_len = (head[0] & 0x0fu) * 4u;

		return hdr_len >= IP4_HDR_SIZE && head[9] == IP_PROTO_TCP ? hdr_len : 0;
	}
	return size >= IP6_HDR_SIZE && head[6] == IP_PROTO_TCP ? IP6_HDR_SIZE : 0;
}

/* Bytes of IP and TCP header; 0 when they are malformed or not inside the packet. */
static uint16_t headers_size(const uint8_t *head, size_t size, unsigned version)
{
	size_t start = tcp_start(head, size, version);

	if (start == 0 || start + TCP_HDR_SIZE > size)
		return 0;
	size_t tcp_len = (size_t)(head[start + TCP_OFFSET_BYTE] >> 4) * 4;
	if (tcp_len < TCP_HDR_SIZE || start + tcp_len > size)
		return 0;
	return (uint16_t)(start + tcp_len);
}

/* The IP version that a gso_type stands for; 0: none that is supported. */
static unsigned gso_version(uint8_t gso_type)
{
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return 4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return 6;
	default:
		return 0;
	}
}

/* Fills in the members for a packet larger than the MTU; false when the header is nonsense. */
static bool decode_gso(const struct virtio_net_hdr *h, struct weft_pkt *pkt)
{
	uint8_t head[HEAD_MAX];
	unsigned version = gso_version(h->gso_type);

	if (version == 0 || h->gso_size == 0)
		return false;
	size_t size = iov_gather(pkt, head, sizeof(head));
	uint16_t hdr_len = headers_size(head, size, version);
	if (hdr_len == 0)
		return false;
	if ((pkt->flags & WEFT_PKT_CSUM_PARTIAL) &&
	    (pkt->csum_start != tcp_start(head, size, version) ||
	     pkt->csum_offset != TCP_CSUM_OFFSET))
		return false;
	pkt->gso_size = h->gso_size;
	pkt->hdr_len = hdr_len;
	return true;
}

static bool decode_csum(const struct virtio_net_hdr *h, struct weft_pkt *pkt)
{
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if ((uint32_t)h->csum_start + h->csum_offset + 2 > pkt->len ||
		    h->csum_start < IP4_HDR_SIZE)
			return false;
		pkt->csum_start = h->csum_start;
		pkt->csum_offset = h->csum_offset;
		pkt->flags |= WEFT_PKT_CSUM_PARTIAL | WEFT_PKT_CSUM_VALID;
	}
	if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		pkt->flags |= WEFT_PKT_CSUM_VALID;
	return true;
}

static void clear_offload(struct weft_pkt *pkt, uint32_t flags)
{
	pkt->flags = flags;
	pkt->gso_size = 0;
	pkt->hdr_len = 0;
	pkt->csum_start = 0;
	pkt->csum_offset = 0;
}

void vnet_decode(const struct virtio_net_hdr *h, struct weft_pkt *pkt)
{
	clear_offload(pkt, 0);
	if (!decode_csum(h, pkt) || (h->gso_type != VIRTIO_NET_HDR_GSO_NONE && !decode_gso(h, pkt)))
		clear_offload(pkt, WEFT_PKT_BAD);
}

int vnet_encode(struct virtio_net_hdr *h, const struct weft_pkt *pkt)
{
	uint8_t first = 0;

	memset(h, 0, sizeof(*h));
	if (pkt->flags & WEFT_PKT_CSUM_PARTIAL) {
		if ((uint32_t)pkt->csum_start + pkt->csum_offset + 2 > pkt->len)
			return -EINVAL;
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = pkt->csum_start;
		h->csum_offset = pkt->csum_offset;
	}
	if (pkt->gso_size == 0)
		return 0;
	if (!(pkt->flags & WEFT_PKT_CSUM_PARTIAL) || pkt->hdr_len == 0 || pkt->hdr_len > pkt->len ||
	    iov_gather(pkt, &first, 1) != 1)
		return -EINVAL;
	h->gso_type = first >> 4 == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	h->gso_size = pkt->gso_size;
	h->hdr_len = pkt->hdr_len;
	return 0;
}
