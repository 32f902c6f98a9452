/*
 * Every call that blocks, on a scene in which none of them comes back by itself.  (weft_close, which may linger,
 * and weft_getaddrinfo have tests of their own; datagrams that wait for room are made in stack_dgram_block_test.)
 */
#ifndef WEFT_TESTS_API_BLOCKING_H
#define WEFT_TESTS_API_BLOCKING_H

#include "kit.h"
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BULK = 1 << 20, POLLED = 40 /* more than are kept on the stack */ };

/* What the calls are made on. */
struct scene {
	struct kit kit;
	int fds[2]; /* a connection of which nobody reads fds[1] */
	int listener;
	int nobody; /* a socket that is not connected */
	int udp;
	int set;  /* has fds[0] */
	int file; /* of BULK bytes */
};

static char bulk[BULK];

/* ---- Receiving. ---- */

static ssize_t in_read(struct scene *s)
{
	char byte;

	return weft_read(s->fds[0], &byte, 1);
}

static ssize_t in_readv(struct scene *s)
{
	char bytes[2];
	struct iovec iov[2] = {{bytes, 1}, {bytes + 1, 1}};

	return weft_readv(s->fds[0], iov, 2);
}

static ssize_t in_recv(struct scene *s)
{
	char byte;

	return weft_recv(s->fds[0], &byte, 1, 0);
}

static ssize_t in_recv_nothing(struct scene *s)
{
	return weft_recv(s->fds[0], NULL, 0, 0);
}

static ssize_t in_recv_all(struct scene *s)
{
	char bytes[4];

	return weft_recv(s->fds[0], bytes, sizeof(bytes), MSG_WAITALL);
}

static ssize_t in_recvfrom(struct scene *s)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	char byte;

	return weft_recvfrom(s->udp, &byte, 1, 0, (struct sockaddr *)(void *)&from, &len);
}

static ssize_t in_recvmsg(struct scene *s)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	return weft_recvmsg(s->fds[0], &m, 0);
}

/* The first message's size, if there is one. */
static ssize_t in_recvmmsg(struct scene *s)
{
	char byte;
	struct iovec iov = {&byte, 1};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}}};
	int rc = weft_recvmmsg(s->udp, m, 2, 0, NULL);

	return rc > 0 ? (ssize_t)m[0].msg_len : rc;
}

/* ---- Sending, until nothing is taken any more. ---- */

static ssize_t in_write(struct scene *s)
{
	ssize_t rc;

	do
		rc = weft_write(s->fds[0], bulk, sizeof(bulk));
	while (rc > 0);
	return rc;
}

static ssize_t in_writev(struct scene *s)
{
	const struct iovec iov[2] = {{bulk, 1}, {bulk + 1, sizeof(bulk) - 1}};
	ssize_t rc;

	do
		rc = weft_writev(s->fds[0], iov, 2);
	while (rc > 0);
	return rc;
}

static ssize_t in_send(struct scene *s)
{
	ssize_t rc;

	do
		rc = weft_send(s->fds[0], bulk, sizeof(bulk), 0);
	while (rc > 0);
	return rc;
}

static ssize_t in_sendto(struct scene *s)
{
	ssize_t rc;

	do
		rc = weft_sendto(s->fds[0], bulk, sizeof(bulk), 0, NULL, 0);
	while (rc > 0);
	return rc;
}

static ssize_t in_sendmsg(struct scene *s)
{
	struct iovec iov = {bulk, sizeof(bulk)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t rc;

	do
		rc = weft_sendmsg(s->fds[0], &m, 0);
	while (rc > 0);
	return rc;
}

/* Of one message: behind the first it is no cancellation point. */
static ssize_t in_sendmmsg(struct scene *s)
{
	struct iovec iov = {bulk, sizeof(bulk)};
	struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
	ssize_t rc;

	do
		rc = weft_sendmmsg(s->fds[0], &m, 1, 0);
	while (rc > 0);
	return rc;
}

static ssize_t in_sendfile(struct scene *s)
{
	off_t at;
	ssize_t rc;

	do {
		at = 0;
		rc = weft_sendfile(s->fds[0], s->file, &at, BULK);
	} while (rc > 0);
	return rc;
}

/* ---- Connections. ---- */

static ssize_t in_accept(struct scene *s)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	return weft_accept(s->listener, (struct sockaddr *)(void *)&from, &len);
}

static ssize_t in_accept4(struct scene *s)
{
	return weft_accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static ssize_t in_connect(struct scene *s)
{
	ssize_t rc;

	do
		rc = kit_connect(s->nobody, "192.0.2.99", 9);
	while (rc < 0 && errno == ETIMEDOUT); /* the SYNs have come to nothing */
	return rc;
}

/* ---- Waiting. ---- */

static ssize_t in_poll(struct scene *s)
{
	struct pollfd fds[POLLED];

	for (int i = 0; i < POLLED; i++)
		fds[i] = (struct pollfd){.fd = s->fds[0], .events = POLLIN};
	return weft_poll(fds, POLLED, -1);
}

static ssize_t in_poll_of_nothing(struct scene *s)
{
	(void)s;
	return weft_poll(NULL, 0, -1);
}

static ssize_t in_select(struct scene *s)
{
	static _Thread_local weft_fd_set set;

	WEFT_FD_ZERO(&set);
	WEFT_FD_SET(s->fds[0], &set);
	return weft_select(s->fds[0] + 1, &set, NULL, NULL, NULL);
}

static ssize_t in_epoll_wait(struct scene *s)
{
	struct epoll_event event;

	return weft_epoll_wait(s->set, &event, 1, -1);
}

/* With masks of their own, of which nothing stays behind. */
static void is_unmasked(const sigset_t *own)
{
	sigset_t mask;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CU_ASSERT(sigismember(&mask, SIGUSR1) == sigismember(own, SIGUSR1) &&
		  sigismember(&mask, SIGUSR2) == sigismember(own, SIGUSR2));
}

/* Blocks SIGUSR1; the call is to block SIGUSR2 instead. */
static void set_masks(sigset_t *own, sigset_t *call)
{
	sigemptyset(own);
	sigaddset(own, SIGUSR1);
	sigemptyset(call);
	sigaddset(call, SIGUSR2);
	(void)pthread_sigmask(SIG_SETMASK, own, NULL);
}

static ssize_t in_ppoll(struct scene *s)
{
	struct pollfd p = {.fd = s->fds[0], .events = POLLIN};
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;

	set_masks(&own, &mask);
	return weft_ppoll(&p, 1, NULL, &mask);
}

static ssize_t in_pselect(struct scene *s)
{
	static _Thread_local weft_fd_set set;
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;

	WEFT_FD_ZERO(&set);
	WEFT_FD_SET(s->fds[0], &set);
	set_masks(&own, &mask);
	return weft_pselect(INT_MAX, &set, NULL, NULL, NULL, &mask);
}

static ssize_t in_epoll_pwait(struct scene *s)
{
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;
	struct epoll_event event;

	set_masks(&own, &mask);
	return weft_epoll_pwait(s->set, &event, 1, -1, &mask);
}

static ssize_t in_epoll_pwait2(struct scene *s)
{
	sigset_t own __attribute__((cleanup(is_unmasked))), mask;
	struct epoll_event event;

	set_masks(&own, &mask);
	return weft_epoll_pwait2(s->set, &event, 1, NULL, &mask);
}

/* What a call does, which decides how it ends. */
enum call_kind { RECEIVES, SENDS, ACCEPTS, CONNECTS, POLLS, SELECTS, WAITS, SLEEPS };

static const struct blocking {
	const char *name;
	ssize_t (*call)(struct scene *s);
	enum call_kind kind;
} blocking[] = {
	{"read", in_read, RECEIVES},
	{"readv", in_readv, RECEIVES},
	{"recv", in_recv, RECEIVES},
	{"recv of nothing", in_recv_nothing, RECEIVES},
	{"recv of all", in_recv_all, RECEIVES},
	{"recvfrom", in_recvfrom, RECEIVES},
	{"recvmsg", in_recvmsg, RECEIVES},
	{"recvmmsg", in_recvmmsg, RECEIVES},
	{"write", in_write, SENDS},
	{"writev", in_writev, SENDS},
	{"send", in_send, SENDS},
	{"sendto", in_sendto, SENDS},
	{"sendmsg", in_sendmsg, SENDS},
	{"sendmmsg", in_sendmmsg, SENDS},
	{"sendfile", in_sendfile, SENDS},
	{"accept", in_accept, ACCEPTS},
	{"accept4", in_accept4, ACCEPTS},
	{"connect", in_connect, CONNECTS},
	{"poll", in_poll, POLLS},
	{"poll of nothing", in_poll_of_nothing, SLEEPS},
	{"select", in_select, SELECTS},
	{"epoll_wait", in_epoll_wait, WAITS},
	{"ppoll", in_ppoll, POLLS},
	{"pselect", in_pselect, SELECTS},
	{"epoll_pwait", in_epoll_pwait, WAITS},
	{"epoll_pwait2", in_epoll_pwait2, WAITS},
};

enum { BLOCKING = sizeof(blocking) / sizeof(blocking[0]) };

/* ---- The scene. ---- */

static inline void open_scene(struct scene *s)
{
	struct epoll_event event = {.events = EPOLLIN};

	kit_open(&s->kit);
	kit_join(&s->kit, s->fds);
	s->listener = kit_listener(s->kit.b, KIT_B4, 81, 5);
	s->nobody = kit_socket(s->kit.a, AF_INET);
	s->udp = weft_socket(s->kit.a, AF_INET, SOCK_DGRAM, 0);
	s->set = weft_epoll_create1(s->kit.a, 0);
	GIVES(weft_epoll_ctl(s->set, EPOLL_CTL_ADD, s->fds[0], &event), 0);
	s->file = memfd_create("bulk", MFD_CLOEXEC);
	CU_ASSERT(s->file >= 0 && ftruncate(s->file, BULK) == 0);
}

static inline void close_scene(struct scene *s)
{
	GIVES(weft_close(s->set), 0);
	GIVES(weft_close(s->udp), 0);
	GIVES(weft_close(s->nobody), 0);
	GIVES(weft_close(s->listener), 0);
	GIVES(weft_close(s->fds[0]), 0);
	GIVES(weft_close(s->fds[1]), 0);
	(void)close(s->file);
	kit_close(&s->kit);
}

#endif
