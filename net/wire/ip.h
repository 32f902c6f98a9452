/*
 * IPv4 (RFC 791) and IPv6 (RFC 8200) headers.  Parsing looks at bytes it was given and nothing
 * else; what is malformed or not supported comes back as a drop reason.
 */
#ifndef WEFT_WIRE_IP_H
#define WEFT_WIRE_IP_H

#include "net/base/addr.h"
#include "net/base/drop.h"
#include <stddef.h>
#include <stdint.h>

enum {
	IP4_HDR_SIZE = 20,
	IP6_HDR_SIZE = 40,
	IP_HDR_MAX = 60,
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_ICMP6 = 58,
	IP_TTL_DEFAULT = 64,
};

struct ip_hdr {
	struct addr src;
	struct addr dst;
	uint16_t hdr_len;     /* bytes before the payload */
	uint16_t payload_len; /* bytes of payload, without what trails the packet */
	uint16_t id;          /* IPv4 only */
	uint8_t version;      /* 4 or 6 */
	uint8_t proto;        /* upper-layer protocol */
	uint8_t ttl;
	uint8_t tos; /* traffic class */
};

/*
 * Parses the packet of 'size' bytes at 'pkt'.  IPv4: version, header length, total length and
 * header checksum are checked, options skipped unless malformed or a source route (refused).
 * Fragments (but not atomic ones) and IPv6 extension headers are refused in this version.
 */
enum drop ip_parse(const uint8_t *pkt, size_t size, struct ip_hdr *hdr);

/*
 * Writes the header for 'hdr' (version by the destination's family when 0) in front of a payload of
 * hdr->payload_len bytes: 20 or 40 bytes.  IPv4 has DF set and ID 0 (an atomic datagram, RFC 6864).
 * Returns the header's size.
 */
size_t ip_emit(uint8_t *pkt, const struct ip_hdr *hdr);

/* The header's size for an address family. */
static inline size_t ip_hdr_size(const struct addr *dst)
{
	return addr_is_v4(dst) ? IP4_HDR_SIZE : IP6_HDR_SIZE;
}

#endif
