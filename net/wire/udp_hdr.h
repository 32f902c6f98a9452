/* The UDP header (RFC 768; over IPv6 RFC 8200 8.1). */
#ifndef WEFT_WIRE_UDP_HDR_H
#define WEFT_WIRE_UDP_HDR_H

#include "net/base/addr.h"
#include "net/base/drop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UDP_HDR_SIZE = 8 };

struct udp_hdr {
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t len; /* header and payload, at most what was received */
	uint16_t csum;
};

/* Parses; DROP_UDP_SHORT. */
enum drop udp_hdr_read(const uint8_t *p, size_t size, struct udp_hdr *hdr);

/* Whether the checksum of what udp_hdr_read has parsed is good, or 0, over IPv4. */
bool udp_csum_ok(const uint8_t *p, const struct udp_hdr *hdr, const struct addr *src,
		 const struct addr *dst);

/* Both.  Parses and, unless the checksum field is 0 (IPv4 only), verifies the checksum. */
enum drop udp_hdr_parse(const uint8_t *p, size_t size, const struct addr *src,
			const struct addr *dst, struct udp_hdr *hdr);

/* Writes the header in front of 'payload_len' bytes that stand behind it, checksum included. */
size_t udp_hdr_emit(uint8_t *p, const struct udp_hdr *hdr, size_t payload_len,
		    const struct addr *src, const struct addr *dst);

#endif
