/*
 * The bytes of the simulation's streams: each depends on its place and on the end that writes it, so
 * that bytes that are lost, doubled or displaced are seen.
 */
#include "sim.h"
#include <string.h>

enum { ROW = 256, STEP = 29 };

/* Row c has the bytes c, c + STEP, c + 2 * STEP, ... */
static uint8_t rows[ROW][ROW];

static void make_rows(void)
{
	for (unsigned c = 0; c < ROW; c++)
		for (unsigned i = 0; i < ROW; i++)
			rows[c][i] = (uint8_t)(c + i * STEP);
}

/* The bytes from 'at' to the end of their row; at most 'len': '*part'. */
static const uint8_t *bytes_at(uint32_t at, uint32_t len, unsigned salt, uint32_t *part)
{
	uint32_t begin = (at >> 8) * 13 + (at >> 16) * 7 + (at >> 24) * 5 + salt * 91;
	uint32_t left = ROW - at % ROW;

	if (rows[0][1] == 0)
		make_rows();
	*part = len < left ? len : left;
	return &rows[begin % ROW][at % ROW];
}

void stream_fill(uint8_t *data, uint32_t at, uint32_t len, unsigned salt)
{
	for (uint32_t part; len > 0; data += part, at += part, len -= part) {
		const uint8_t *right = bytes_at(at, len, salt, &part);

		memcpy(data, right, part);
	}
}

bool stream_is(const uint8_t *data, uint32_t at, uint32_t len, unsigned salt)
{
	for (uint32_t part; len > 0; data += part, at += part, len -= part) {
		const uint8_t *right = bytes_at(at, len, salt, &part);

		if (memcmp(data, right, part) != 0)
			return false;
	}
	return true;
}

uint64_t stream_hash(uint64_t hash, const uint8_t *data, uint32_t len)
{
	hash ^= UINT64_C(0xcbf29ce484222325); /* FNV's offset, so that 0 begins */
	for (uint32_t i = 0; i < len; i++)
		hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
	return hash ^ UINT64_C(0xcbf29ce484222325);
}
