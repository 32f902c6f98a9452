/*
 * Keyed hash (SipHash-2-4 by libsodium): nobody outside can compute or collide it.  Used for the
 * connection table, initial sequence numbers (RFC 6528), timestamp offsets and ports (RFC 6056),
 * each with a key of its own.
 */
#ifndef WEFT_BASE_KHASH_H
#define WEFT_BASE_KHASH_H

#include <stddef.h>
#include <stdint.h>

enum { KHASH_KEY_SIZE = 16 };

struct khash_key {
	uint8_t bytes[KHASH_KEY_SIZE];
};

/* A key from the system's entropy, or, for repeatable runs, from a 'seed' other than 0. */
void khash_key_init(struct khash_key *key, uint64_t seed, const char *purpose);

uint64_t khash(const struct khash_key *key, const void *data, size_t size);

#endif
