/*
 * IPv4 (RFC 791) and IPv6 (RFC 8200) headers.  Parsing looks at bytes it was given and nothing
 * else; what is malformed or not supported comes back as a drop reason.
 */
#ifndef WEFT_WIRE_IP_H
#define WEFT_WIRE_IP_H

#include "net/base/addr.h"
#include "net/base/drop.h"
#include <stdbool.h>
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
	IP4_MORE_FRAGMENTS = 0x2000,
	IP4_OFFSET_MASK = 0x1fff,
	/* The low bits of the traffic class (RFC 3168 5). */
	IP_ECN_MASK = 3,
	IP_ECN_NOT_ECT = 0,
	IP_ECN_ECT1 = 1,
	IP_ECN_ECT0 = 2,
	IP_ECN_CE = 3,
};

struct ip_hdr {
	struct addr src;
	struct addr dst;
	uint16_t hdr_len;     /* bytes before the payload */
	uint16_t payload_len; /* bytes of payload, without what trails the packet */
	uint16_t id;          /* IPv4 only */
	uint16_t frag;        /* IPv4 only: offset in units of 8 bytes, and IP4_MORE_FRAGMENTS */
	uint32_t label;       /* IPv6 only: the flow label */
	uint8_t version;      /* 4 or 6 */
	uint8_t proto;        /* upper-layer protocol */
	uint8_t ttl;
	uint8_t tos;        /* traffic class */
	bool may_frag;      /* IPv4: DF is clear */
	uint8_t problem_at; /* IPv4: the malformed option; 0: none, or one without an answer */
};

/*
 * Parses the packet of 'size' bytes at 'pkt'.  IPv4: version, header length, total length and
 * header checksum are checked, options skipped unless malformed or a source route: DROP_IP_OPTIONS, and
 * '*hdr' is filled in all the same.  A
 * fragment is one with 'frag'; IPv6 extension headers are left in the payload (net/ip/ext.h).
 */
enum drop ip_parse_any(const uint8_t *pkt, size_t size, struct ip_hdr *hdr);

/* The same for whole packets only: fragments and IPv6 extension headers are refused. */
enum drop ip_parse(const uint8_t *pkt, size_t size, struct ip_hdr *hdr);

/*
 * Writes the header for 'hdr' (version by the destination's family when 0) in front of a payload of
 * hdr->payload_len bytes: 20 or 40 bytes.  IPv4 has DF set and ID 0 (an atomic datagram, RFC 6864),
 * but with 'may_frag' or 'frag' the given ID and no DF.  Returns the header's size.
 */
size_t ip_emit(uint8_t *pkt, const struct ip_hdr *hdr);

/* The header's size for an address family. */
static inline size_t ip_hdr_size(const struct addr *dst)
{
	return addr_is_v4(dst) ? IP4_HDR_SIZE : IP6_HDR_SIZE;
}

#endif
