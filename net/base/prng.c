/*
 * xoshiro256** with its state filled by splitmix64.  Called by tests, the fault device and jitter;
 * each user owns its generator, so nothing is locked.
 */
#include "net/base/prng.h"

#include "net/base/check.h"

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* One step of splitmix64: spreads any seed, 0 too, over well-mixed words. */
static uint64_t split_mix(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void prng_init(struct prng *p, uint64_t seed)
{
	for (unsigned i = 0; i < ARRAY_SIZE(p->s); i++)
		p->s[i] = split_mix(&seed);
}

uint64_t prng_u64(struct prng *p)
{
	uint64_t *s = p->s;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint32_t prng_below(struct prng *p, uint32_t bound)
{
	WEFT_ASSERT(bound > 0);
	/* The first 2^32 mod bound products of each residue are rejected: the rest is uniform. */
	uint32_t reject = (0u - bound) % bound;
	uint64_t product;

	do {
		product = (prng_u64(p) >> 32) * bound;
	} while ((uint32_t)product < reject);
	return (uint32_t)(product >> 32);
}

int prng_chance_ppm(struct prng *p, uint32_t ppm)
{
	return prng_below(p, 1000000) < ppm;
}
