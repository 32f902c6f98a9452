/*
 * Fragments on their way out (RFC 791 3.2, RFC 8200 4.5): where a datagram that is larger than the path's
 * MTU is cut, and the headers of the pieces.  Pure; whoever sends datagrams calls it.  TCP cuts for
 * itself.
 */
#ifndef WEFT_IP_FRAG_OUT_H
#define WEFT_IP_FRAG_OUT_H

#include "net/wire/ip.h"
#include <stdbool.h>

/* The most bytes that frag_hdr_emit writes. */
enum { FRAG_HDR_MAX = IP6_HDR_SIZE + 8 };

/* A datagram's payload that is being cut. */
struct frag_cut {
	uint32_t size;   /* bytes in all */
	uint32_t most;   /* of a fragment that is not the last; a multiple of 8 */
	uint32_t offset; /* where the current fragment begins */
	uint32_t len;    /* its bytes */
};

/* Before the first fragment of 'size' bytes behind the header of 'ip', for links of 'mtu'. */
void frag_cut_init(struct frag_cut *cut, const struct ip_hdr *ip, uint32_t size, uint32_t mtu);

/* On to the next fragment (cut->offset, cut->len); false behind the last. */
bool frag_cut_next(struct frag_cut *cut);

/* How many fragments there are. */
unsigned frag_cut_count(const struct frag_cut *cut);

/* Bytes in front of a fragment's part of the payload. */
size_t frag_hdr_size(const struct addr *dst);

/*
 * Writes the header of the current fragment, IPv6's fragment header included; 'ip' is that of the whole
 * datagram.  Returns its size.
 */
size_t frag_hdr_emit(uint8_t *p, const struct ip_hdr *ip, uint32_t id, const struct frag_cut *cut);

#endif
