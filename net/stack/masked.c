/*
 * ppoll of the kernel, which changes the mask and sleeps in one step: a signal that was blocked until then
 * ends the sleep and cannot slip in before it.
 */
#include "net/stack/masked.h"

#include "net/base/check.h"
#include "net/base/sync.h"
#include <errno.h>
#include <poll.h>

/* A thread asleep, and its own mask. */
struct sleeper {
	sigset_t own;
	bool is_awake;
};

/* Cancelled: what the kernel would have put back. */
static void restore_mask(const struct sleeper *sleeper)
{
	if (sleeper->is_awake)
		return;
	thread_unwinding();
	thread_set_sigmask(&sleeper->own, NULL);
}

int masked_sleep(int fd, weft_time_us left, const sigset_t *mask)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct sleeper sleeper CLEANUP(restore_mask) = {.is_awake = false};
	struct timespec ts = {.tv_sec = left / US_PER_S, .tv_nsec = left % US_PER_S * 1000};

	thread_set_sigmask(NULL, &sleeper.own);
	int rc = ppoll(&p, 1, left != WEFT_TIME_NEVER ? &ts : NULL, mask) < 0 ? -errno : 0;

	sleeper.is_awake = true;
	return rc;
}
