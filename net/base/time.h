/*
 * Time is microseconds on a clock that only goes forward, given as an argument: nothing below
 * net/stack reads a clock.
 */
#ifndef WEFT_BASE_TIME_H
#define WEFT_BASE_TIME_H

#include <stdint.h>

typedef int64_t weft_time_us;

/* Later than every time. */
#define WEFT_TIME_NEVER INT64_MAX

enum {
	US_PER_MS = 1000,
	US_PER_S = 1000000,
};

static inline weft_time_us time_min(weft_time_us a, weft_time_us b)
{
	return a < b ? a : b;
}

static inline weft_time_us time_max(weft_time_us a, weft_time_us b)
{
	return a > b ? a : b;
}

/* Milliseconds modulo 2^32, 49 days: for times that are kept small. */
static inline uint32_t time_ms(weft_time_us us)
{
	return (uint32_t)(us / US_PER_MS);
}

static inline weft_time_us time_of_ms(uint32_t ms)
{
	return (weft_time_us)ms * US_PER_MS;
}

/* Whole seconds. */
static inline uint32_t time_s(weft_time_us us)
{
	return (uint32_t)(us / US_PER_S);
}

static inline weft_time_us time_of_s(uint32_t s)
{
	return (weft_time_us)s * US_PER_S;
}

#endif
