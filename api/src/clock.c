/*
 * CLOCK_MONOTONIC as a struct weft_clock; see clock.h.  Called by the stack on any thread.
 */
#include "api/src/clock.h"

#include "net/base/check.h"
#include "net/base/sync.h"
#include <errno.h>

/* What lets sync.h's wrappers work on the bare objects of struct weft_clock. */
static_assert(sizeof(struct mutex) == sizeof(pthread_mutex_t), "a mutex is nothing but a mutex");
static_assert(sizeof(struct cond) == sizeof(pthread_cond_t), "a cond is nothing but a cond");

static int64_t clock_now(void *ctx)
{
	(void)ctx;
	return clock_monotonic_us();
}

/* The analysis cannot know that the caller holds 'mutex'. */
static int clock_wait(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
	NO_TSA
{
	struct mutex *m = CONTAINER_OF(mutex, struct mutex, m);
	struct cond *c = CONTAINER_OF(cond, struct cond, c);

	(void)ctx;
	if (deadline == WEFT_TIME_NEVER) {
		cond_wait(c, m);
		return 0;
	}
	return cond_wait_until(c, m, deadline) ? 0 : ETIMEDOUT;
}

const struct weft_clock clock_default = {.now = clock_now, .wait = clock_wait};
