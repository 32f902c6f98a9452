/*
 * Copying payload.  Any thread, no lock.
 *
 * Where the CPU claims fast short REP MOVSB (FSRM), glibc before 2.39 copies with it from 2,112
 * bytes on.  On AMD's Zen 3 that takes 15 times as long when the destination lies up to 31 bytes
 * behind the source, both modulo a page (glibc bug 30994).  Where a payload lies in its buffer is
 * chance, so one of a hundred copies was such a one: an eighth of the time of all.  Elsewhere the
 * pieces cost something: one of 130 copies takes two and a half times as long (docs/BENCH.md).
 */
#include "net/base/copy.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	COPY_PAGE = 4096,
	COPY_NEAR = 32, /* a destination less than that behind the source, modulo a page, is slow */
	COPY_PIECE = 2048, /* memcpy takes vector registers for that */
};

static bool is_slow(const void *dst, const void *src)
{
	uintptr_t behind = ((uintptr_t)dst - (uintptr_t)src) % COPY_PAGE;

	return behind != 0 && behind < COPY_NEAR;
}

void copy_bytes(void *dst, const void *src, size_t size)
{
	size_t done = 0;

	if (size > COPY_PIECE && is_slow(dst, src))
		for (; size - done > COPY_PIECE; done += COPY_PIECE)
			memcpy((uint8_t *)dst + done, (const uint8_t *)src + done, COPY_PIECE);
	memcpy((uint8_t *)dst + done, (const uint8_t *)src + done, size - done);
}
