/*
 * Translation of virtio-net headers: see vnet.h.  What comes from the kernel is checked against the
 * packet's own headers all the same, because a TUN descriptor may have any program at
 * its other end.  The header's hdr_len is a hint that some senders leave wrong: it is computed here.
 */
#include "tun/vnet.h"

#include "net/base/bytes.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include "net/wire/udp_hdr.h"
#include "tun/iov.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
	TCP_CSUM_OFFSET = 16,
	TCP_OFFSET_BYTE = 12,
	UDP_CSUM_OFFSET = 6,
	HEAD_MAX = IP_HDR_MAX + TCP_HDR_MAX,
};

/* What a gso_type stands for. */
struct kind {
	uint8_t version; /* of IP; 0: whichever the packet has */
	uint8_t proto;   /* 0: no type that is supported */
	uint16_t csum_offset;
};

static struct kind kind_of(uint8_t gso_type)
{
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return (struct kind){4, IP_PROTO_TCP, TCP_CSUM_OFFSET};
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return (struct kind){6, IP_PROTO_TCP, TCP_CSUM_OFFSET};
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return (struct kind){0, IP_PROTO_UDP, UDP_CSUM_OFFSET};
	default:
		return (struct kind){0, 0, 0};
	}
}

/* Where the transport header starts, by the IP header; 0: it is no packet of that kind. */
static size_t transport_start(const uint8_t *head, size_t size, const struct kind *kind)
{
	unsigned version = size < IP4_HDR_SIZE ? 0 : head[0] >> 4;

	if (kind->version != 0 && version != kind->version)
		return 0;
	if (version == 4) {
		size_t hdr_len = (head[0] & 0x0fu) * 4u;

		return hdr_len >= IP4_HDR_SIZE && head[9] == kind->proto ? hdr_len : 0;
	}
	return version == 6 && size >= IP6_HDR_SIZE && head[6] == kind->proto ? IP6_HDR_SIZE : 0;
}

/* Bytes of IP and transport header; 0 when they are malformed or not inside the packet. */
static uint16_t headers_size(const uint8_t *head, size_t size, const struct kind *kind)
{
	size_t start = transport_start(head, size, kind);
	size_t least = kind->proto == IP_PROTO_TCP ? TCP_HDR_SIZE : UDP_HDR_SIZE;

	if (start == 0 || start + least > size)
		return 0;
	if (kind->proto == IP_PROTO_UDP)
		return (uint16_t)(start + least);
	size_t tcp_len = (size_t)(head[start + TCP_OFFSET_BYTE] >> 4) * 4;
	if (tcp_len < TCP_HDR_SIZE || start + tcp_len > size)
		return 0;
	return (uint16_t)(start + tcp_len);
}

/* Fills in the members for a packet larger than the MTU; false when the header is nonsense. */
static bool decode_gso(const struct virtio_net_hdr *h, struct weft_pkt *pkt)
{
	uint8_t head[HEAD_MAX];
	struct kind kind = kind_of(h->gso_type);

	if (kind.proto == 0 || h->gso_size == 0)
		return false;
	size_t size = iov_gather(pkt, head, sizeof(head));
	uint16_t hdr_len = headers_size(head, size, &kind);
	if (hdr_len == 0)
		return false;
	if ((pkt->flags & WEFT_PKT_CSUM_PARTIAL) &&
	    (pkt->csum_start != transport_start(head, size, &kind) ||
	     pkt->csum_offset != kind.csum_offset))
		return false;
	/* The datagrams' checksums are not in it: somebody has to vouch for them. */
	if (kind.proto == IP_PROTO_UDP && !(pkt->flags & WEFT_PKT_CSUM_VALID))
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

static uint8_t gso_type_of(uint32_t offload)
{
	switch (offload) {
	case WEFT_DEV_TX_TSO4:
		return VIRTIO_NET_HDR_GSO_TCPV4;
	case WEFT_DEV_TX_TSO6:
		return VIRTIO_NET_HDR_GSO_TCPV6;
	case WEFT_DEV_TX_USO4:
	case WEFT_DEV_TX_USO6:
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	default:
		return VIRTIO_NET_HDR_GSO_NONE;
	}
}

int vnet_encode(struct virtio_net_hdr *h, const struct weft_pkt *pkt)
{
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
	if (!(pkt->flags & WEFT_PKT_CSUM_PARTIAL) || pkt->hdr_len == 0 || pkt->hdr_len > pkt->len)
		return -EINVAL;
	h->gso_type = gso_type_of(pkt_offload(pkt));
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return -EINVAL;
	h->gso_size = pkt->gso_size;
	h->hdr_len = pkt->hdr_len;
	return 0;
}
