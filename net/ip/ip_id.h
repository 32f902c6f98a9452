/*
 * IPv4 identifications of datagrams that may be fragmented (RFC 6864), and those of our own IPv6
 * fragments: counters chosen by a keyed hash, with an offset by another (RFC 7739 5.3).  No number
 * comes back before 65,536 others (IPv6: 2^32) have gone to the same destination, and nobody learns
 * from those he gets what others get.  Any thread.
 */
#ifndef WEFT_IP_IP_ID_H
#define WEFT_IP_IP_ID_H

#include "net/base/addr.h"
#include "net/base/khash.h"
#include <stdatomic.h>

enum { IP_ID_COUNTERS = 256 };

struct ip_ids {
	struct khash_key key;
	atomic_uint next[IP_ID_COUNTERS];
};

void ip_ids_init(struct ip_ids *ids, uint64_t seed);

/* The first of 'count' consecutive numbers; IPv4 uses the lower 16 bits. */
uint32_t ip_id_take(struct ip_ids *ids, const struct addr *src, const struct addr *dst,
		    uint8_t proto, unsigned count);

#endif
