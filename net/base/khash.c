/*
 * Keyed hashing by libsodium's SipHash-2-4.  Keys are made when a stack opens; khash is called on
 * every packet and on any thread (keys are immutable then).
 */
#include "net/base/khash.h"

#include "net/base/check.h"
#include <endian.h>
#include <sodium.h>
#include <string.h>

static_assert((int)KHASH_KEY_SIZE == (int)crypto_shorthash_KEYBYTES, "SipHash takes 128-bit keys");
static_assert(crypto_shorthash_BYTES == 8, "SipHash gives 64 bits");

static void put_le64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void khash_key_init(struct khash_key *key, uint64_t seed, const char *purpose)
{
	struct khash_key from = {{0}};

	/* Idempotent and thread-safe; without it the entropy source may not be ready. */
	int rc = sodium_init();

	WEFT_ASSERT(rc >= 0);
	if (seed == 0) {
		randombytes_buf(key->bytes, sizeof(key->bytes));
		return;
	}
	put_le64(from.bytes, seed);
	for (unsigned half = 0; half < 2; half++) {
		from.bytes[8] = (uint8_t)half;
		put_le64(key->bytes + 8 * half, khash(&from, purpose, strlen(purpose)));
	}
}

/* Little-endian as in the SipHash paper, so that seeded runs are equal on every machine. */
uint64_t khash(const struct khash_key *key, const void *data, size_t size)
{
	uint64_t out;

	crypto_shorthash((uint8_t *)&out, data, size, key->bytes);
	return le64toh(out);
}
