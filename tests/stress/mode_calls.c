/*
 * calls: threads make every kind of call that does not wait long, at random, on a few sockets that they share:
 * several messages, vectors, files, memory by reference, urgent bytes, error queues, handles of one
 * socket, options, ioctls, names, sets and masks.  What the calls give is other tests' business: here
 * nothing races, nothing fails but for want of data or room, and nothing is left.
 */
#include "stress.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/netdb.h>
#include <weft/ready.h>

enum { STREAMS = 2, DGRAMS = 2, HANDLES = 2 * STREAMS + DGRAMS, BYTES = 2000, CALLS = 10 };

static struct {
	int fds[HANDLES]; /* both ends of connections, then datagram sockets */
	int set;
	int file;
} shared;

/* Sent by reference: nobody ever writes to it. */
static char zeros[BYTES];

/* What a thread draws from, and the handle that it drew. */
struct draw {
	struct stress *stress;
	struct prng *prng;
	int fd;
	bool is_stream;
};

static size_t some(const struct draw *d)
{
	return 1 + (size_t)prng_below(d->prng, BYTES - 1);
}

/* Fails unless it is a count, or there was nothing to take or no room. */
static void told(const struct draw *d, ssize_t rc, const char *what)
{
	if (rc < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EMSGSIZE)
		FAIL(d->stress, "%s", what);
}

static void send_parts(const struct draw *d)
{
	struct iovec iov[2] = {{zeros, some(d)}, {zeros, 1}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	told(d, weft_sendmsg(d->fd, &m, d->is_stream && prng_below(d->prng, 2) ? MSG_MORE : 0),
	     "sendmsg");
	told(d, weft_writev(d->fd, iov, 2), "writev");
	told(d, weft_write(d->fd, zeros, 1), "write");
}

static void recv_parts(const struct draw *d)
{
	char bytes[BYTES], control[256];
	struct iovec iov[2] = {{bytes, some(d)}, {bytes, 1}};
	struct msghdr m = {.msg_iov = iov,
			   .msg_iovlen = 2,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};

	told(d, weft_recvmsg(d->fd, &m, prng_below(d->prng, 2) ? MSG_PEEK : 0), "recvmsg");
	told(d, weft_readv(d->fd, iov, 2), "readv");
	told(d, weft_read(d->fd, bytes, some(d)), "read");
	told(d, weft_recv(d->fd, bytes, some(d), d->is_stream ? MSG_TRUNC : MSG_ERRQUEUE), "trunc");
}

static void send_several(const struct draw *d)
{
	struct iovec iov = {zeros, 100};
	struct mmsghdr m[3];

	for (int i = 0; i < 3; i++)
		m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	told(d, weft_sendmmsg(d->fd, m, 3, 0), "sendmmsg");
}

static void recv_several(const struct draw *d)
{
	char bytes[3][100];
	struct iovec iov[3];
	struct mmsghdr m[3];
	struct timespec now = {0, 0};

	for (int i = 0; i < 3; i++) {
		iov[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
		m[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	told(d, weft_recvmmsg(d->fd, m, 3, MSG_WAITFORONE, prng_below(d->prng, 2) ? &now : NULL),
	     "recvmmsg");
}

static void send_file(const struct draw *d)
{
	off_t at = 0;

	if (d->is_stream)
		told(d, weft_sendfile(d->fd, shared.file, &at, BYTES), "sendfile");
}

/* Completions wait in the error queue, which anybody may read. */
static void send_by_reference(const struct draw *d)
{
	char control[256];
	struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};

	if (!d->is_stream)
		return;
	told(d, weft_send(d->fd, zeros, some(d), MSG_ZEROCOPY), "zerocopy");
	told(d, weft_recvmsg(d->fd, &m, MSG_ERRQUEUE), "errqueue");
}

static void urgent(const struct draw *d)
{
	char byte;

	if (!d->is_stream)
		return;
	told(d, weft_send(d->fd, "!", 1, MSG_OOB), "send of an urgent byte");
	if (weft_recv(d->fd, &byte, 1, MSG_OOB) < 0 && errno != EAGAIN && errno != EINVAL)
		FAIL(d->stress, "an urgent byte");
	if (weft_sockatmark(d->fd) < 0)
		FAIL(d->stress, "sockatmark");
}

static void wait_short(const struct draw *d)
{
	static _Thread_local weft_fd_set readable;
	const struct timespec soon = {.tv_nsec = 100000};
	struct timeval now = {0, 0};
	struct pollfd p = {.fd = d->fd, .events = POLLIN | POLLPRI};
	struct epoll_event ev[4];
	sigset_t none;

	sigemptyset(&none);
	WEFT_FD_ZERO(&readable);
	WEFT_FD_SET(d->fd, &readable);
	told(d, weft_select(INT_MAX, &readable, NULL, NULL, &now), "select");
	told(d, weft_pselect(INT_MAX, NULL, NULL, NULL, &soon, &none), "pselect");
	told(d, weft_ppoll(&p, 1, &soon, prng_below(d->prng, 2) ? &none : NULL), "ppoll");
	told(d, weft_epoll_pwait(shared.set, ev, 4, 0, &none), "epoll_pwait");
	told(d, weft_epoll_pwait2(shared.set, ev, 4, &soon, NULL), "epoll_pwait2");
}

/* Further handles of the socket, one of which comes to be the other's. */
static void handles(const struct draw *d)
{
	int one = weft_dup(d->fd), two = weft_fcntl(d->fd, F_DUPFD, 0);
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};

	if (one < 0 || two < 0)
		FAIL(d->stress, "dup");
	if (weft_epoll_ctl(shared.set, EPOLL_CTL_ADD, one, &ev) != 0)
		FAIL(d->stress, "add");
	if (weft_dup2(one, two) != two)
		FAIL(d->stress, "dup2");
	told(d, weft_send(one, zeros, 1, 0), "send by another handle");
	if (weft_close(one) != 0 || weft_close(two) != 0)
		FAIL(d->stress, "close of another handle");
}

static void ask(const struct draw *d)
{
	static const unsigned long requests[] = {FIONREAD, SIOCOUTQ, SIOCATMARK};
	struct sockaddr_storage name;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int value = 1;

	if (d->is_stream && weft_getsockopt(d->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		FAIL(d->stress, "TCP_INFO");
	for (int i = 0; i < (d->is_stream ? 3 : 2); i++)
		if (weft_ioctl(d->fd, requests[i], &value) != 0)
			FAIL(d->stress, "ioctl %d", i);
	len = sizeof(value);
	if (weft_getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &value, &len) != 0 || value != 0)
		FAIL(d->stress, "error %d", value);
	len = sizeof(name);
	if (weft_getsockname(d->fd, (struct sockaddr *)&name, &len) != 0 ||
	    weft_getpeername(d->fd, (struct sockaddr *)&name, &len) != 0)
		FAIL(d->stress, "name");
	if (weft_fcntl(d->fd, F_GETFL) != (O_RDWR | O_NONBLOCK) ||
	    weft_fcntl(d->fd, F_SETFL, O_NONBLOCK) != 0)
		FAIL(d->stress, "fcntl");
}

static void set(const struct draw *d)
{
	static const struct {
		int level, name, most;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 2},  {IPPROTO_TCP, TCP_CORK, 2},
		{IPPROTO_TCP, TCP_QUICKACK, 2}, {SOL_SOCKET, SO_OOBINLINE, 2},
		{SOL_SOCKET, SO_KEEPALIVE, 2},  {SOL_SOCKET, SO_RCVLOWAT, 3},
		{IPPROTO_IP, IP_TOS, 256},      {SOL_SOCKET, SO_RCVBUF, 100000},
	};

	static const char *const controllers[] = {"cubic", "reno", "bbr"};
	unsigned i = (unsigned)prng_below(d->prng, ARRAY_SIZE(options));
	int value = (int)prng_below(d->prng, (uint32_t)options[i].most);
	const char *name = controllers[prng_below(d->prng, 3)];

	if ((d->is_stream || options[i].level != IPPROTO_TCP) &&
	    weft_setsockopt(d->fd, options[i].level, options[i].name, &value, sizeof(value)) != 0)
		FAIL(d->stress, "option %u", i);
	if (d->is_stream &&
	    weft_setsockopt(d->fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) != 0)
		FAIL(d->stress, "%s", name);
}

static void names(const struct draw *d)
{
	struct addrinfo *list = NULL;
	char host[64], service[16];

	if (weft_getaddrinfo(d->stress->client, "192.0.2.1", "7", NULL, &list) != 0)
		FAIL(d->stress, "getaddrinfo");
	else if (weft_getnameinfo(d->stress->client, list->ai_addr, list->ai_addrlen, host,
				  sizeof(host), service, sizeof(service),
				  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		FAIL(d->stress, "getnameinfo");
	weft_freeaddrinfo(list);
}

static void (*const calls[])(const struct draw *d) = {
	send_parts, recv_parts, send_several, recv_several, send_file, send_by_reference,
	urgent,     wait_short, handles,      ask,          set,       names,
};

static void call(struct stress *stress, unsigned index, struct prng *prng)
{
	(void)index;
	for (unsigned round = 0; stress_more(stress, round); round++) {
		for (int i = 0; i < CALLS; i++) {
			unsigned at = (unsigned)prng_below(prng, HANDLES);
			struct draw draw = {stress, prng, shared.fds[at], at < 2 * STREAMS};

			calls[prng_below(prng, ARRAY_SIZE(calls))](&draw);
		}
	}
}

/* Two sockets that are each other's peer. */
static void join_dgrams(struct stress *stress, int fds[DGRAMS])
{
	struct weft_stack *stacks[DGRAMS] = {stress->client, stress->server};
	struct sockaddr_storage names[DGRAMS];
	struct sockaddr_in any = {.sin_family = AF_INET,
				  .sin_port = htons(STRESS_PORT + 1),
				  .sin_addr.s_addr = htonl(0xc0000201)};
	socklen_t len = sizeof(any);

	fds[0] = weft_socket(stacks[0], AF_INET, SOCK_DGRAM, 0);
	fds[1] = weft_socket(stacks[1], AF_INET, SOCK_DGRAM, 0);
	memcpy(&names[1], &any, sizeof(any));
	if (weft_bind(fds[1], (struct sockaddr *)&names[1], len) != 0 ||
	    weft_connect(fds[0], (struct sockaddr *)&names[1], len) != 0 ||
	    weft_getsockname(fds[0], (struct sockaddr *)&names[0], &len) != 0 ||
	    weft_connect(fds[1], (struct sockaddr *)&names[0], len) != 0)
		FAIL(stress, "datagram sockets");
}

void mode_calls(struct stress *stress)
{
	struct stress_group group;
	int on = 1;

	stress->listener = stress_listen(stress, STREAMS);
	shared.set = weft_epoll_create1(stress->server, 0);
	shared.file = memfd_create("calls", MFD_CLOEXEC);
	if (shared.file < 0 || ftruncate(shared.file, BYTES) != 0)
		exit(2);
	for (int i = 0; i < STREAMS; i++) {
		shared.fds[2 * i] = stress_connect(stress);
		shared.fds[2 * i + 1] = stress_accept(stress);
	}
	join_dgrams(stress, shared.fds + 2 * STREAMS);
	for (int i = 0; i < HANDLES; i++) {
		struct epoll_event ev = {.events = EPOLLIN};

		if (weft_fcntl(shared.fds[i], F_SETFL, O_NONBLOCK) != 0 ||
		    weft_epoll_ctl(shared.set, EPOLL_CTL_ADD, shared.fds[i], &ev) != 0)
			FAIL(stress, "handle %d", i);
		if (i < 2 * STREAMS)
			(void)weft_setsockopt(shared.fds[i], SOL_SOCKET, SO_ZEROCOPY, &on,
					      sizeof(on));
	}
	stress_start(stress, &group, stress->threads, call);
	stress_join(&group);
	for (int i = 0; i < HANDLES; i++)
		if (weft_close(shared.fds[i]) != 0)
			FAIL(stress, "close %d", i);
	(void)weft_close(shared.set);
	(void)weft_close(stress->listener);
	(void)close(shared.file);
}
