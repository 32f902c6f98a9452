/*
 * IPv6 extension headers (RFC 8200 4): hop-by-hop and destination options, routing, fragment.  A walk
 * over a packet's chain, strictly in order, with bounds on its length (RFC 8504 5.3).  Pure; RX threads
 * call it on bytes that an enemy may have chosen.
 */
#ifndef WEFT_IP_EXT_H
#define WEFT_IP_EXT_H

#include "net/base/drop.h"
#include "net/wire/ip.h"
#include <stdbool.h>

enum {
	EXT_HDRS_MAX = 8, /* headers in a chain */
	EXT_OPTS_MAX = 8, /* options in a header, padding not counted */
	EXT_PAD_MAX = 7,  /* bytes of padding in a row */
	EXT_FRAG_SIZE = 8,
};

/* What the walk found beside the upper layer. */
struct ext {
	/* The first fragment header of a packet that is not whole; atomic ones (RFC 6946) are skipped. */
	bool is_frag;
	bool more;
	uint16_t offset;  /* bytes */
	uint16_t frag_at; /* where the fragment header stands in the packet */
	uint32_t id;
	uint16_t next_hdr_at; /* the byte that names ip->proto */
	/* After a refusal: whether a parameter problem is to tell it, with these. */
	bool has_problem;
	uint8_t code;
	uint32_t pointer;
};

/*
 * Walks the chain of the IPv6 packet at 'pkt', which ip_parse_any has parsed into 'ip': hdr_len,
 * payload_len and proto become those of the upper layer, or, with ext->is_frag, of what the fragment
 * carries.
 */
enum drop ext_walk(const uint8_t *pkt, struct ip_hdr *ip, struct ext *ext);

#endif
