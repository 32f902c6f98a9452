/*
 * The Internet checksum (RFC 1071), its incremental update (RFC 1624) and the pseudo-headers.
 * Called on every packet without checksum offload, by parsers, emitters and tests; no state.
 *
 * One's-complement sums do not depend on byte order but for a final swap (RFC 1071 2 B), and a sum
 * of 64-bit words with the carry brought round folds to the same value as one of 16-bit words.  So
 * the loop adds words in the machine's order, into four sums that do not wait for each other.
 */
#include "net/wire/csum.h"

#include "net/base/bytes.h"
#include <endian.h>

enum { BLOCK_SIZE = 64 }; /* bytes that one round of the loop adds */

static uint64_t get_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static uint64_t add_round(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum + (sum < b);
}

/* Adds whole blocks as words of the machine's order; the result is below 2^33. */
static uint64_t sum_blocks(const uint8_t *p, size_t count)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; count > 0; count--, p += BLOCK_SIZE) {
		a = add_round(a, get_word(p));
		b = add_round(b, get_word(p + 8));
		c = add_round(c, get_word(p + 16));
		d = add_round(d, get_word(p + 24));
		a = add_round(a, get_word(p + 32));
		b = add_round(b, get_word(p + 40));
		c = add_round(c, get_word(p + 48));
		d = add_round(d, get_word(p + 56));
	}
	a = add_round(add_round(a, b), add_round(c, d));
	return (a & UINT32_MAX) + (a >> 32);
}

/* Adds fewer than BLOCK_SIZE bytes, an odd last one as if a zero byte stood behind it. */
static uint64_t sum_rest(const uint8_t *p, size_t size)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;

	for (; size >= 4; size -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (size >= 2) {
		memcpy(&half, p, 2);
		sum += half;
		size -= 2;
		p += 2;
	}
	if (size == 1) {
		half = 0;
		memcpy(&half, p, 1);
		sum += half;
	}
	return sum;
}

uint64_t csum_add(uint64_t sum, const void *data, size_t size)
{
	const uint8_t *p = data;
	size_t blocks = size / BLOCK_SIZE;
	uint64_t raw = 0;

	if (blocks > 0)
		raw = sum_blocks(p, blocks);
	raw += sum_rest(p + blocks * BLOCK_SIZE, size % BLOCK_SIZE);
	return sum + be16toh(csum_fold(raw));
}

uint64_t csum_add_at(uint64_t sum, const void *data, size_t size, size_t offset)
{
	uint16_t piece = csum_fold(csum_add(0, data, size));

	if (offset % 2 != 0)
		piece = __builtin_bswap16(piece);
	return sum + piece;
}

uint16_t csum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The ffff of a mapped IPv4 address is a zero of one's complement, so one form serves both. */
uint64_t csum_pseudo(const struct addr *src, const struct addr *dst, uint8_t proto, uint32_t size)
{
	uint64_t sum = (uint64_t)proto + (size >> 16) + (size & 0xffff);

	for (unsigned i = 0; i < sizeof(src->b); i += 4)
		sum += (uint64_t)get_be32(src->b + i) + get_be32(dst->b + i);
	return sum;
}

uint16_t csum_update16(uint16_t csum, uint16_t from, uint16_t to)
{
	return csum_finish((uint64_t)(uint16_t)~csum + (uint16_t)~from + to);
}

uint16_t csum_update32(uint16_t csum, uint32_t from, uint32_t to)
{
	return csum_finish((uint64_t)(uint16_t)~csum + (uint32_t)~from + to);
}
