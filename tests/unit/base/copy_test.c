/* Copies at every small distance modulo a page, of sizes around those of a piece. */
#include "net/base/copy.h"

#include "unit.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { PAGE = 4096, SIZE_MAX_TESTED = 3 * 2048 + 1, NEAR = 130, GUARD = 0xee };

static uint8_t from[2 * PAGE + SIZE_MAX_TESTED];
static uint8_t to[3 * PAGE + SIZE_MAX_TESTED];

/* Whether 'size' bytes arrive with nothing written around them. */
static bool is_copied(size_t src_at, size_t dst_at, size_t size)
{
	memset(to, GUARD, sizeof(to));
	copy_bytes(to + dst_at, from + src_at, size);
	return to[dst_at - 1] == GUARD && to[dst_at + size] == GUARD &&
	       memcmp(to + dst_at, from + src_at, size) == 0;
}

static void test_distances(void)
{
	static const size_t sizes[] = {0, 1, 2047, 2048, 2049, 4096, 4097, SIZE_MAX_TESTED};
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + i / 251);
	/* The arrays lie as they lie: the offset makes up for it. */
	size_t offset = ((uintptr_t)from - (uintptr_t)to) % PAGE;

	for (size_t d = 0; d < NEAR; d++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			wrong += !is_copied(100, 100 + (offset + d) % PAGE, sizes[i]);
			wrong += !is_copied(100 + d, 100 + offset, sizes[i]);
		}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Every distance of a page, with the source at every place of a vector. */
static void test_alignments(void)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 13 + i / 241);
	for (size_t d = 0; d < PAGE; d++) {
		wrong += !is_copied(100 + d % 64, 100 + d, 2 * 2048 + 1 + d % 2048);
		wrong += !is_copied(100 + d, 100 + d % 64, SIZE_MAX_TESTED);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

UNIT_MAIN("copy", UNIT(distances), UNIT(alignments))
