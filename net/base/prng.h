/*
 * xoshiro256** by Blackman and Vigna: fast seeded numbers for tests, faults and jitter.  Not for
 * secrets: those come from khash with a key of the system's entropy.
 */
#ifndef WEFT_BASE_PRNG_H
#define WEFT_BASE_PRNG_H

#include <stdint.h>

struct prng {
	uint64_t s[4];
};

/* Any seed will do; equal seeds give equal sequences. */
void prng_init(struct prng *p, uint64_t seed);

uint64_t prng_u64(struct prng *p);

/* Uniform in [0, bound); 'bound' > 0. */
uint32_t prng_below(struct prng *p, uint32_t bound);

/* True with probability 'ppm' / 1,000,000. */
int prng_chance_ppm(struct prng *p, uint32_t ppm);

#endif
