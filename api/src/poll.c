/*
 * weft_poll and weft_ppoll.  Any thread.  What a call waits for keeps a reference for its time; small
 * calls take no memory from the heap unless they sleep.
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

enum { FEW = 32, POLL_MAX = WEFT_POLL_MAX };

static_assert(POLL_MAX == (int)HANDLE_SLOTS_MAX, "as many as there may be handles");

static void take_refs(const struct pollfd *fds, struct poller_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct conn *conn = handle_get(fds[i].fd, NULL);

		entries[i] = (struct poller_entry){
			.conn = conn,
			.events = (uint16_t)fds[i].events | POLLERR | POLLHUP,
			.found = !conn && fds[i].fd >= 0 ? POLLNVAL : 0,
		};
	}
}

static int poll_with(struct pollfd *fds, struct poller_entry *entries, uint32_t count,
		     weft_time_us timeout, const sigset_t *mask)
{
	take_refs(fds, entries, count);
	struct polled polled CLEANUP(polled_end) = {entries, count};
	int rc = poller_wait(entries, count, timeout, mask);

	for (uint32_t i = 0; rc >= 0 && i < count; i++)
		fds[i].revents = (short)polled.entries[i].found;
	return rc;
}

static int poll_for(struct pollfd *fds, nfds_t count, weft_time_us timeout, const sigset_t *mask)
{
	struct poller_entry few[FEW];
	struct poller_entry *many CLEANUP(polled_free) = NULL;

	thread_testcancel();
	if (count > POLL_MAX)
		return -EINVAL;
	if (count > 0 && !fds)
		return -EFAULT;
	if (count > FEW)
		many = calloc(count, sizeof(*many));
	if (count > FEW && !many)
		return -ENOMEM;
	return poll_with(fds, many ? many : few, (uint32_t)count, timeout, mask);
}

int weft_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return api_ret_int(poll_for(fds, count, timeout_of_ms(timeout_ms), NULL));
}

int weft_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	       const sigset_t *mask)
{
	weft_time_us us;
	int rc = timeout_of_timespec(timeout, &us);

	return api_ret_int(rc < 0 ? rc : poll_for(fds, count, us, mask));
}
