/*
 * Timeouts as the calls of POSIX give them, as microseconds from now: never shorter than asked for.
 */
#ifndef WEFT_API_TIMEOUT_H
#define WEFT_API_TIMEOUT_H

#include "net/base/time.h"
#include <errno.h>
#include <time.h>

static inline weft_time_us timeout_of_ms(int ms)
{
	return ms < 0 ? WEFT_TIME_NEVER : (weft_time_us)ms * US_PER_MS;
}

/* NULL: for ever.  -EINVAL for what is no time. */
static inline int timeout_of_timespec(const struct timespec *ts, weft_time_us *timeout)
{
	*timeout = WEFT_TIME_NEVER;
	if (!ts)
		return 0;
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= 1000000000)
		return -EINVAL;
	if (ts->tv_sec < INT64_MAX / US_PER_S - 1)
		*timeout = (weft_time_us)ts->tv_sec * US_PER_S + (ts->tv_nsec + 999) / 1000;
	return 0;
}

#endif
