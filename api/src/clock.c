/*
 * CLOCK_MONOTONIC as a struct weft_clock; see clock.h.  Called by the stack on any thread.
 */
#include "api/src/clock.h"

#include "net/base/sync.h"

static int64_t clock_now(void *ctx)
{
	(void)ctx;
	return clock_monotonic_us();
}

const struct weft_clock clock_default = {.now = clock_now};
