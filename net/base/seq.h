/*
 * Serial arithmetic modulo 2^32 for sequence numbers and timestamps (RFC 9293 3.4, RFC 7323 5.2).
 * The only file that compares such numbers.  Two values further apart than 2^31 - 1 do not compare.
 */
#ifndef WEFT_BASE_SEQ_H
#define WEFT_BASE_SEQ_H

#include <stdbool.h>
#include <stdint.h>

/* The distance from 'b' up to 'a', negative when 'a' is before 'b'. */
static inline int32_t seq_diff(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return seq_diff(a, b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return seq_diff(a, b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return seq_diff(a, b) > 0;
}

static inline bool seq_ge(uint32_t a, uint32_t b)
{
	return seq_diff(a, b) >= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

/* Whether 'low' <= 's' < 'low' + 'size'. */
static inline bool seq_in(uint32_t s, uint32_t low, uint32_t size)
{
	return s - low < size;
}

#endif
