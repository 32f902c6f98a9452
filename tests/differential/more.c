/* The x_ calls beyond those on a stream's bytes: several messages, readiness, handles, names. */
#include "diff.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>
#include <weft/netdb.h>

enum { WAIT_MS = 2000 };

int x_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags)
{
	return is_weft(fd) ? weft_sendmmsg(fd, msgs, count, flags)
			   : sendmmsg(fd, msgs, count, flags);
}

int x_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count, int flags, struct timespec *timeout)
{
	return is_weft(fd) ? weft_recvmmsg(fd, msgs, count, flags, timeout)
			   : recvmmsg(fd, msgs, count, flags, timeout);
}

int x_ioctl(int fd, unsigned long request, int *value)
{
	return is_weft(fd) ? weft_ioctl(fd, request, value) : ioctl(fd, request, value);
}

int x_sockatmark(int fd)
{
	return is_weft(fd) ? weft_sockatmark(fd) : sockatmark(fd);
}

int x_dup(int fd)
{
	return is_weft(fd) ? weft_dup(fd) : dup(fd);
}

int x_dup2(int from, int to)
{
	return is_weft(from) || is_weft(to) ? weft_dup2(from, to) : dup2(from, to);
}

int x_dup3(int from, int to, int flags)
{
	return is_weft(from) || is_weft(to) ? weft_dup3(from, to, flags) : dup3(from, to, flags);
}

int x_poll(enum side side, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return stack_of(side) ? weft_poll(fds, count, timeout_ms) : poll(fds, count, timeout_ms);
}

int x_ppoll(enum side side, struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
	return stack_of(side) ? weft_ppoll(fds, count, timeout, NULL)
			      : ppoll(fds, count, timeout, NULL);
}

static int weft_selected(int fd)
{
	static weft_fd_set sets[3];

	for (int i = 0; i < 3; i++) {
		WEFT_FD_ZERO(&sets[i]);
		WEFT_FD_SET(fd, &sets[i]);
	}
	struct timeval now = {0, 0};

	if (weft_select(fd + 1, &sets[0], &sets[1], &sets[2], &now) < 0)
		return -1;
	return (WEFT_FD_ISSET(fd, &sets[0]) ? 1 : 0) | (WEFT_FD_ISSET(fd, &sets[1]) ? 2 : 0) |
	       (WEFT_FD_ISSET(fd, &sets[2]) ? 4 : 0);
}

int x_select(int fd)
{
	fd_set sets[3];
	struct timeval now = {0, 0};

	if (is_weft(fd))
		return weft_selected(fd);
	for (int i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(fd, &sets[i]);
	}
	if (select(fd + 1, &sets[0], &sets[1], &sets[2], &now) < 0)
		return -1;
	return (FD_ISSET(fd, &sets[0]) ? 1 : 0) | (FD_ISSET(fd, &sets[1]) ? 2 : 0) |
	       (FD_ISSET(fd, &sets[2]) ? 4 : 0);
}

int x_epoll_create1(enum side side, int flags)
{
	return stack_of(side) ? weft_epoll_create1(stack_of(side), flags) : epoll_create1(flags);
}

int x_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return is_weft(epfd) ? weft_epoll_ctl(epfd, op, fd, event) : epoll_ctl(epfd, op, fd, event);
}

int x_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
	return is_weft(epfd) ? weft_epoll_wait(epfd, events, max, timeout_ms)
			     : epoll_wait(epfd, events, max, timeout_ms);
}

int x_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout)
{
	return is_weft(epfd) ? weft_epoll_pwait2(epfd, events, max, timeout, NULL)
			     : epoll_pwait2(epfd, events, max, timeout, NULL);
}

int x_getaddrinfo(enum side side, const char *node, const char *service,
		  const struct addrinfo *hints, struct addrinfo **res)
{
	return stack_of(side) ? weft_getaddrinfo(stack_of(side), node, service, hints, res)
			      : getaddrinfo(node, service, hints, res);
}

void x_freeaddrinfo(enum side side, struct addrinfo *res)
{
	if (stack_of(side))
		weft_freeaddrinfo(res);
	else
		freeaddrinfo(res);
}

/* NOLINTNEXTLINE(readability-function-size): getnameinfo's parameters */
int x_getnameinfo(enum side side, const struct sockaddr *addr, socklen_t len, char *host,
		  socklen_t host_size, char *service, socklen_t service_size, int flags)
{
	return stack_of(side)
		       ? weft_getnameinfo(stack_of(side), addr, len, host, host_size, service,
					  service_size, flags)
		       : getnameinfo(addr, len, host, host_size, service, service_size, flags);
}

void wait_for(enum side side, int fd, int events)
{
	for (int bit = 1; bit <= events; bit <<= 1) {
		struct pollfd p = {.fd = fd, .events = (short)bit};

		if ((events & bit) && x_poll(side, &p, 1, WAIT_MS) != 1)
			say_value("waited_in_vain", bit);
		/* An error or the end of all ends the wait: what is asked for may be behind it. */
		while ((events & bit) && !(p.revents & bit) && x_poll(side, &p, 1, 0) == 1 &&
		       !(p.revents & (POLLERR | POLLHUP | POLLNVAL)))
			(void)sched_yield();
	}
}
