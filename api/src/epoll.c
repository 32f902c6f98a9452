/*
 * weft_epoll_create1 and the calls on what it makes: handles and checks, in Linux's order, in front of
 * the stack's epoll sets.  Any thread.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/stacks.h"
#include "api/src/timeout.h"
#include "net/stack/epset.h"
#include <limits.h>

enum { EVENTS_MAX = INT_MAX / (int)sizeof(struct epoll_event) };

/* The caller keeps 'owner' open. */
static int set_open(struct weft_stack *owner)
{
	struct conn *set;
	int fd = handle_reserve(&owner->owner);

	if (fd < 0)
		return fd;
	int rc = epset_new(owner->stack, &set);

	if (rc == 0) {
		rc = handle_install(fd, &set);
		if (rc < 0) {
			(void)proto_of(set)->close(set);
			proto_put(&set);
		}
	}
	if (rc < 0)
		handle_cancel(fd);
	return rc < 0 ? rc : fd;
}

int weft_epoll_create1(struct weft_stack *stack, int flags)
{
	if (flags & ~EPOLL_CLOEXEC)
		return api_ret_int(-EINVAL);
	struct weft_stack *owner = stacks_enter(stack);

	if (!owner)
		return api_ret_int(-ENETDOWN);
	int rc = set_open(owner);

	stacks_leave(owner);
	return api_ret_int(rc);
}

/* The set that 'fd' names, with a reference: -EBADF, -EINVAL for something else. */
static int get_set(int fd, struct conn **set)
{
	*set = handle_get(fd, NULL);
	if (!*set)
		return -EBADF;
	if (proto_of(*set) == &proto_epset)
		return 0;
	proto_put(set);
	return -EINVAL;
}

static int do_ctl(int epfd, int op, int fd, const struct epoll_event *event)
{
	struct conn *set = handle_get(epfd, NULL);
	struct conn *target = set ? handle_get(fd, NULL) : NULL;
	int rc = -EBADF;

	if (target && (target == set || proto_of(set) != &proto_epset))
		rc = -EINVAL;
	else if (target)
		rc = epset_ctl(set, op, fd, target, event);
	if (target)
		proto_put(&target);
	if (set)
		proto_put(&set);
	return rc;
}

int weft_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	if (op != EPOLL_CTL_DEL && !event)
		return api_ret_int(-EFAULT);
	return api_ret_int(do_ctl(epfd, op, fd, event));
}

/* 'mask' NULL: signals are not looked at. */
static int do_wait(int epfd, struct epoll_event *events, int max, weft_time_us timeout,
		   const sigset_t *mask)
{
	struct conn *set CONN_REF = NULL;
	weft_time_us deadline = -1;

	thread_testcancel();
	if (max <= 0 || max > EVENTS_MAX)
		return -EINVAL;
	if (!events)
		return -EFAULT;
	int rc = get_set(epfd, &set);

	if (rc < 0)
		return rc;
	if (timeout != 0) {
		weft_time_us now = stack_now(proto_stack(set));

		deadline = timeout < WEFT_TIME_NEVER - now ? now + timeout : WEFT_TIME_NEVER;
	}
	rc = mask ? epset_pwait(set, events, max, deadline, mask)
		  : epset_wait(set, events, max, deadline);
	proto_put(&set);
	return rc;
}

int weft_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	return api_ret_int(do_wait(epfd, events, max, timeout_of_ms(timeout_ms), NULL));
}

int weft_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
		     const sigset_t *mask)
{
	return api_ret_int(do_wait(epfd, events, max, timeout_of_ms(timeout_ms), mask));
}

int weft_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
		      const sigset_t *mask)
{
	weft_time_us us;
	int rc = timeout_of_timespec(timeout, &us);

	if (rc == 0)
		rc = do_wait(epfd, events, max, us, mask);
	return api_ret_int(rc);
}

int weft_epoll_eventfd(int epfd)
{
	struct conn *set;
	int rc = get_set(epfd, &set);

	if (rc < 0)
		return api_ret_int(rc);
	rc = epset_eventfd(set);
	proto_put(&set);
	return api_ret_int(rc);
}
