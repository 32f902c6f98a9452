/*
 * A read's timeout as a point in time.  Devices read CLOCK_MONOTONIC themselves: they are where
 * the real world begins.
 */
#ifndef WEFT_TUN_DEADLINE_H
#define WEFT_TUN_DEADLINE_H

#include "net/base/sync.h"

/* Now plus 'timeout_us'; WEFT_TIME_NEVER for a negative timeout or one beyond all time. */
static inline weft_time_us deadline_after(int64_t timeout_us)
{
	weft_time_us now = clock_monotonic_us();

	if (timeout_us < 0 || timeout_us > WEFT_TIME_NEVER - now)
		return WEFT_TIME_NEVER;
	return now + timeout_us;
}

/* Microseconds from now until 'deadline', at least 0; -1 for WEFT_TIME_NEVER. */
static inline int64_t deadline_left(weft_time_us deadline)
{
	if (deadline == WEFT_TIME_NEVER)
		return -1;
	return time_max(deadline - clock_monotonic_us(), 0);
}

#endif
