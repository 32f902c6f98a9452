/*
 * Exact-size copies for parser tests: bytes in a heap block without a byte to spare, so that
 * AddressSanitizer and valgrind see every read outside; and random addresses.
 */
#ifndef WEFT_TESTS_UNIT_WIRE_EXACT_H
#define WEFT_TESTS_UNIT_WIRE_EXACT_H

#include "net/base/addr.h"
#include "net/base/prng.h"
#include <stdlib.h>
#include <string.h>

/* A copy that the caller frees.  A block of 0 bytes may not be read at all. */
static inline uint8_t *exact_copy(const uint8_t *p, size_t size)
{
	uint8_t *copy = malloc(size);

	if (!copy && size > 0)
		abort();
	if (size > 0)
		memcpy(copy, p, size);
	return copy;
}

static inline void fill_random(struct prng *rng, uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)prng_u64(rng);
}

static inline struct addr random_addr(struct prng *rng, bool is_v4)
{
	struct addr a;

	fill_random(rng, a.b, sizeof(a.b));
	a.b[0] |= 0x20; /* never a mapped address */
	return is_v4 ? addr_from_v4(a.b + 4) : a;
}

#endif
