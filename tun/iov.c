/*
 * Gathering, scattering and checksum completion for packets in pieces: see iov.h.  Sums are
 * RFC 1071; a UDP checksum that comes out as zero is sent as all ones (RFC 768).
 */
#include "tun/iov.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include <string.h>

enum { UDP_CSUM_OFFSET = 6 };

size_t iov_room(const struct weft_pkt *pkt)
{
	size_t room = 0;

	for (uint32_t i = 0; i < pkt->iov_count; i++)
		room += pkt->iov[i].iov_len;
	return room;
}

size_t iov_gather(const struct weft_pkt *pkt, uint8_t *dst, size_t max)
{
	size_t left = pkt->len < max ? pkt->len : max;
	size_t done = 0;

	for (uint32_t i = 0; i < pkt->iov_count && left > 0; i++) {
		size_t size = pkt->iov[i].iov_len < left ? pkt->iov[i].iov_len : left;

		if (size > 0)
			memcpy(dst + done, pkt->iov[i].iov_base, size);
		done += size;
		left -= size;
	}
	return done;
}

size_t iov_scatter(const struct weft_pkt *pkt, const uint8_t *src, size_t size)
{
	size_t done = 0;

	for (uint32_t i = 0; i < pkt->iov_count && done < size; i++) {
		size_t left = size - done;
		size_t piece = pkt->iov[i].iov_len < left ? pkt->iov[i].iov_len : left;

		if (piece > 0)
			memcpy(pkt->iov[i].iov_base, src + done, piece);
		done += piece;
	}
	return done;
}

bool csum_complete(uint8_t *bytes, size_t size, uint16_t start, uint16_t offset)
{
	size_t field = (size_t)start + offset;

	if (field + 2 > size)
		return false;
	uint16_t csum = csum_finish(csum_add(0, bytes + start, size - start));
	if (csum == 0 && offset == UDP_CSUM_OFFSET)
		csum = 0xffff;
	put_be16(bytes + field, csum);
	return true;
}

uint32_t pkt_offload(const struct weft_pkt *pkt)
{
	uint8_t head[10];

	if (pkt->gso_size == 0 || iov_gather(pkt, head, sizeof(head)) < sizeof(head))
		return 0;
	bool is_v6 = head[0] >> 4 == 6;

	if ((is_v6 ? head[6] : head[9]) == IP_PROTO_UDP)
		return is_v6 ? WEFT_DEV_TX_USO6 : WEFT_DEV_TX_USO4;
	return is_v6 ? WEFT_DEV_TX_TSO6 : WEFT_DEV_TX_TSO4;
}
