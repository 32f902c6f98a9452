/*
 * weft/ready.h - poll, select and epoll for weft's handles; weft/weft.h includes it.
 */
#ifndef WEFT_READY_H
#define WEFT_READY_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <weft/dev.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weft_stack;

/*
 * poll, select and epoll as on Linux, also in what they say of a socket in which state.  What they wait
 * for are handles of weft, sockets and epoll sets of any stacks; for descriptors of the kernel, too, see
 * weft_epoll_eventfd.
 *
 * Times run on the clock of the first handle's stack, an epoll set's on that of its stack; without any
 * handle on CLOCK_MONOTONIC.  A handle that is closed while a call waits for it wakes the call: POLLNVAL in
 * poll, EBADF in select and in epoll_wait of a set.
 *
 * Signals do not end these calls but those with a mask, which sleep in the kernel for that: 'mask', unless
 * NULL, is the thread's signal mask meanwhile, and EINTR says that the handler of a signal that it lets
 * through ran.
 */

/* EINVAL: more than WEFT_POLL_MAX.  ENOMEM. */
WEFT_API int weft_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
WEFT_API int weft_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			const sigset_t *mask);

#define WEFT_POLL_MAX (1 << 21)

/*
 * Handles are no small numbers, so a set is not bits but a list, and what it holds is searched for: for
 * many handles poll and epoll are better.  What does not fit is not added: weft_fd_add says so.
 */
#define WEFT_FD_SETSIZE 1024

typedef struct weft_fd_set {
	int count;
	int fds[WEFT_FD_SETSIZE];
} weft_fd_set;

static inline void weft_fd_zero(weft_fd_set *set)
{
	set->count = 0;
}

static inline bool weft_fd_isset(int fd, const weft_fd_set *set)
{
	for (int i = 0; i < set->count; i++)
		if (set->fds[i] == fd)
			return true;
	return false;
}

/* False when the set is full. */
static inline bool weft_fd_add(int fd, weft_fd_set *set)
{
	if (weft_fd_isset(fd, set))
		return true;
	if (set->count >= WEFT_FD_SETSIZE)
		return false;
	set->fds[set->count++] = fd;
	return true;
}

static inline void weft_fd_clr(int fd, weft_fd_set *set)
{
	for (int i = 0; i < set->count; i++)
		if (set->fds[i] == fd)
			set->fds[i--] = set->fds[--set->count];
}

#define WEFT_FD_ZERO(set)      weft_fd_zero(set)
#define WEFT_FD_SET(fd, set)   ((void)weft_fd_add((fd), (set)))
#define WEFT_FD_CLR(fd, set)   weft_fd_clr((fd), (set))
#define WEFT_FD_ISSET(fd, set) weft_fd_isset((fd), (set))

/*
 * Handles below 'nfds' are looked at (INT_MAX: all), the others stay as they are.  weft_select leaves
 * in '*timeout' what is left of it, as Linux does.
 */
WEFT_API int weft_select(int nfds, weft_fd_set *readable, weft_fd_set *writable,
			 weft_fd_set *except, struct timeval *timeout);
WEFT_API int weft_pselect(int nfds, weft_fd_set *readable, weft_fd_set *writable,
			  weft_fd_set *except, const struct timespec *timeout,
			  const sigset_t *mask);

/*
 * An epoll set, itself a handle, which weft_close ends: whoever waits for it wakes with EBADF.  'stack' as for
 * weft_socket; the set ends with it.  'flags': EPOLL_CLOEXEC.  A set may be in a set, five deep.
 */
WEFT_API int weft_epoll_create1(struct weft_stack *stack, int flags);
WEFT_API int weft_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
WEFT_API int weft_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms);
/* With a mask EINTR when the handler of a signal that it lets through ran while the call slept. */
WEFT_API int weft_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms,
			      const sigset_t *mask);
WEFT_API int weft_epoll_pwait2(int epfd, struct epoll_event *events, int max,
			       const struct timespec *timeout, const sigset_t *mask);

/*
 * A descriptor of the kernel, readable while weft_epoll_wait on the set has something to look at: for
 * an event loop that waits for weft and for the kernel together (poll, epoll, libuv, libevent).  Wait for
 * it to be readable, level-triggered, and call weft_epoll_wait without waiting.  It belongs to the
 * set, and goes with it, as soon as no call and no thread of the stack is at the set any more; do not
 * read, write or close it.
 */
WEFT_API int weft_epoll_eventfd(int epfd);

#ifdef __cplusplus
}
#endif

#endif
