/*
 * ppoll of the kernel, which changes the mask and sleeps in one step: a signal that was blocked until then
 * ends the sleep and cannot slip in before it.  The system call itself, as in cond.c: a thread that is
 * cancelled in libc's would leave ThreadSanitizer in the middle of it, blind for all locks from then on.
 */
#include "net/stack/masked.h"

#include "net/base/check.h"
#include "net/base/sync.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static_assert(sizeof(time_t) == sizeof(long), "the timespec of SYS_ppoll is the kernel's own");

enum { KERNEL_SIGSET_SIZE = 8 };

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

/*
 * Only in here a thread may be cancelled wherever it is.  A function of its own, without variables in memory,
 * as futex_sleep_async in cond.c says.  0 or an errno.
 */
static __attribute__((noinline)) int sleep_async(struct pollfd *p, struct timespec *left,
						 const sigset_t *mask, int *type)
{
	/* NOLINTNEXTLINE(*canceltype-asynchronous,cert-pos47-c): there is nothing but the call. */
	(void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, type);
	int error = syscall(SYS_ppoll, p, 1, left, mask, KERNEL_SIGSET_SIZE) < 0 ? errno : 0;

	(void)pthread_setcanceltype(*type, NULL);
	return error;
}

int masked_sleep(int fd, weft_time_us left, const sigset_t *mask)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct sleeper sleeper CLEANUP(restore_mask) = {.is_awake = false};
	struct timespec ts = {.tv_sec = left / US_PER_S, .tv_nsec = left % US_PER_S * 1000};

	thread_set_sigmask(NULL, &sleeper.own);
	int type;
	int error = sleep_async(&p, left != WEFT_TIME_NEVER ? &ts : NULL, mask, &type);

	sleeper.is_awake = true;
	return -error;
}
