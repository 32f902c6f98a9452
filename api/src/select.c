/*
 * weft_select and weft_pselect: the sets' handles, one after the other, are what poll waits for.  Any
 * thread.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/polled.h"
#include "api/src/timeout.h"
#include "net/base/sync.h"
#include "net/stack/poller.h"
#include <poll.h>
#include <stdlib.h>
#include <weft/weft.h>

enum { SETS = 3, FEW = 32 };

/* Which events of poll make a member of each set, as on Linux. */
static const uint32_t events_of[SETS] = {
	POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
	POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR,
	POLLPRI,
};

/* The handles below 'nfds' of all sets, with references; -EBADF. */
static int take_refs(weft_fd_set *const sets[SETS], int nfds, struct poller_entry *entries,
		     uint32_t *count)
{
	int rc = 0;

	*count = 0;
	for (int i = 0; i < SETS; i++) {
		for (int j = 0; sets[i] && j < sets[i]->count; j++) {
			if (sets[i]->fds[j] >= nfds)
				continue;
			struct conn *conn = handle_get(sets[i]->fds[j], NULL);

			if (!conn)
				rc = -EBADF;
			entries[(*count)++] =
				(struct poller_entry){.conn = conn, .events = events_of[i]};
		}
	}
	return rc;
}

/* Leaves in the sets what is ready, in its order, and what was not looked at. */
static void keep_ready(weft_fd_set *const sets[SETS], int nfds, const struct poller_entry *entries)
{
	for (int i = 0; i < SETS; i++) {
		int kept = 0;

		for (int j = 0; sets[i] && j < sets[i]->count; j++) {
			int fd = sets[i]->fds[j];

			if (fd >= nfds || (entries++)->found != 0)
				sets[i]->fds[kept++] = fd;
		}
		if (sets[i])
			sets[i]->count = kept;
	}
}

/* A handle that was closed meanwhile. */
static bool has_invalid(const struct poller_entry *entries, uint32_t count)
{
	bool has = false;

	for (uint32_t i = 0; i < count; i++)
		has = has || (entries[i].found & POLLNVAL);
	return has;
}

static int select_with(weft_fd_set *const sets[SETS], int nfds, struct poller_entry *entries,
		       weft_time_us timeout, const sigset_t *mask)
{
	struct polled polled CLEANUP(polled_end) = {entries, 0};
	int rc = take_refs(sets, nfds, entries, &polled.count);
	uint32_t count = polled.count;

	if (rc == 0)
		rc = poller_wait(entries, count, timeout, mask);
	if (rc > 0 && has_invalid(entries, count))
		rc = -EBADF;
	if (rc >= 0)
		keep_ready(sets, nfds, entries);
	return rc;
}

static int select_for(int nfds, weft_fd_set *const sets[SETS], weft_time_us timeout,
		      const sigset_t *mask)
{
	struct poller_entry few[FEW];
	struct poller_entry *many CLEANUP(polled_free) = NULL;
	size_t count = 0;

	thread_testcancel();
	if (nfds < 0)
		return -EINVAL;
	for (int i = 0; i < SETS; i++) {
		if (sets[i] && (sets[i]->count < 0 || sets[i]->count > WEFT_FD_SETSIZE))
			return -EINVAL;
		count += sets[i] ? (size_t)sets[i]->count : 0;
	}
	if (count > FEW)
		many = calloc(count, sizeof(*many));
	if (count > FEW && !many)
		return -ENOMEM;
	return select_with(sets, nfds, many ? many : few, timeout, mask);
}

int weft_select(int nfds, weft_fd_set *readable, weft_fd_set *writable, weft_fd_set *except,
		struct timeval *timeout)
{
	weft_fd_set *const sets[SETS] = {readable, writable, except};
	weft_time_us us = WEFT_TIME_NEVER;

	if (timeout) {
		/* As Linux: more than a million microseconds are so many. */
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
			return api_ret_int(-EINVAL);
		if (timeout->tv_sec < INT64_MAX / US_PER_S / 2 && timeout->tv_usec < INT64_MAX / 2)
			us = (weft_time_us)timeout->tv_sec * US_PER_S + timeout->tv_usec;
	}
	weft_time_us begin = clock_monotonic_us();
	int rc = select_for(nfds, sets, us, NULL);

	if (timeout && us != WEFT_TIME_NEVER) {
		weft_time_us left = time_max(us - (clock_monotonic_us() - begin), 0);

		left = rc == 0 ? 0 : left;
		*timeout = (struct timeval){.tv_sec = left / US_PER_S, .tv_usec = left % US_PER_S};
	}
	return api_ret_int(rc);
}

int weft_pselect(int nfds, weft_fd_set *readable, weft_fd_set *writable, weft_fd_set *except,
		 const struct timespec *timeout, const sigset_t *mask)
{
	weft_fd_set *const sets[SETS] = {readable, writable, except};
	weft_time_us us;
	int rc = timeout_of_timespec(timeout, &us);

	return api_ret_int(rc < 0 ? rc : select_for(nfds, sets, us, mask));
}
