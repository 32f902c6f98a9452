/* The Internet checksum (RFC 1071) and its incremental update (RFC 1624). */
#ifndef WEFT_WIRE_CSUM_H
#define WEFT_WIRE_CSUM_H

#include "net/base/addr.h"
#include <stddef.h>
#include <stdint.h>

/*
 * Adds the big-endian 16-bit words of 'data' to the running one's-complement sum 'sum' (start with
 * 0).  An odd last byte counts as the high byte of a word, so only the last piece of a message may
 * have an odd size; csum_add_at takes pieces of any size.
 */
uint64_t csum_add(uint64_t sum, const void *data, size_t size);

/* As csum_add for a piece that starts 'offset' bytes into the message (odd offsets are swapped). */
uint64_t csum_add_at(uint64_t sum, const void *data, size_t size, size_t offset);

/* Folds the sum into 16 bits, not complemented. */
uint16_t csum_fold(uint64_t sum);

/* The value for a checksum field: the complement of the folded sum. */
static inline uint16_t csum_finish(uint64_t sum)
{
	return (uint16_t)~csum_fold(sum);
}

/* The pseudo-header's sum: RFC 9293 3.1 for IPv4, RFC 8200 8.1 for IPv6. */
uint64_t csum_pseudo(const struct addr *src, const struct addr *dst, uint8_t proto, uint32_t size);

/* The checksum field's new value after a 16-bit word changed from 'from' to 'to' (RFC 1624 eqn 3). */
uint16_t csum_update16(uint16_t csum, uint16_t from, uint16_t to);
uint16_t csum_update32(uint16_t csum, uint32_t from, uint32_t to);

#endif
