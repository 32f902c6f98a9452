/* sendmsg, recvmsg, sendmmsg and recvmmsg on streams. */
#include "kit.h"
#include <limits.h>

static struct msghdr message(struct iovec *iov, size_t count)
{
	return (struct msghdr){.msg_iov = iov, .msg_iovlen = count};
}

static void close_both(const int fds[2])
{
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
}

static void test_parts_names_and_flags(void)
{
	char hello[] = "hello", world[] = "world", a[4], b[20];
	struct iovec out[3] = {{hello, 5}, {NULL, 0}, {world, 5}};
	struct iovec in[2] = {{a, sizeof(a)}, {b, sizeof(b)}};
	struct sockaddr_storage name;
	char control[64];
	struct msghdr m = message(out, 3);
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_sendmsg(fds[0], &m, MSG_NOSIGNAL), 10);
	m = message(in, 2);
	m.msg_name = &name;
	m.msg_namelen = sizeof(name);
	m.msg_control = control;
	m.msg_controllen = sizeof(control);
	m.msg_flags = -1;
	GIVES(weft_recv(fds[1], b, 10, MSG_PEEK | MSG_WAITALL), 10);
	GIVES(weft_recvmsg(fds[1], &m, MSG_PEEK), 10);
	CU_ASSERT(m.msg_namelen == 0 && m.msg_controllen == 0 && m.msg_flags == 0);
	CU_ASSERT(memcmp(a, "hell", 4) == 0 && memcmp(b, "oworld", 6) == 0);
	in[1].iov_len = 1;
	m = message(in, 2);
	GIVES(weft_recvmsg(fds[1], &m, MSG_TRUNC), 5);
	GIVES(weft_recvmsg(fds[1], &m, MSG_WAITALL), 5);
	CU_ASSERT(memcmp(a, "worl", 4) == 0 && b[0] == 'd' && m.msg_flags == 0);
	FAILS(weft_recvmsg(fds[1], &m, MSG_DONTWAIT), EAGAIN);
	close_both(fds);
	kit_close(&kit);
}

static void test_errnos_of_messages(void)
{
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct iovec huge[2] = {{&byte, SSIZE_MAX}, {&byte, 1}};
	struct iovec none = {NULL, 1};
	struct msghdr m = message(&iov, IOV_MAX + 1);
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	FAILS(weft_sendmsg(-1, NULL, 0), EBADF);
	FAILS(weft_recvmsg(-1, NULL, 0), EBADF);
	FAILS(weft_sendmsg(fds[0], NULL, 0), EFAULT);
	FAILS(weft_recvmsg(fds[0], NULL, 0), EFAULT);
	FAILS(weft_sendmsg(fds[0], &m, 0), EMSGSIZE);
	FAILS(weft_recvmsg(fds[0], &m, 0), EMSGSIZE);
	m = message(NULL, 0);
	GIVES(weft_sendmsg(fds[0], &m, 0), 0);
	m = message(huge, 2);
	FAILS(weft_sendmsg(fds[0], &m, 0), EINVAL);
	FAILS(weft_recvmsg(fds[0], &m, 0), EINVAL);
	m = message(&none, 1);
	FAILS(weft_sendmsg(fds[0], &m, 0), EFAULT);
	m = message(&iov, 1);
	FAILS(weft_sendmsg(fds[0], &m, MSG_WAITALL), EOPNOTSUPP);
	FAILS(weft_recvmsg(fds[0], &m, 1 << 20), EOPNOTSUPP);
	m.msg_name = &byte;
	m.msg_namelen = (socklen_t)-1;
	FAILS(weft_sendmsg(fds[0], &m, 0), EINVAL);
	close_both(fds);
	kit_close(&kit);
}

static void test_ancillary_data_of_a_stream(void)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = {{0}};

	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr m = message(&iov, 1);
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	m.msg_control = &control;
	m.msg_controllen = sizeof(control);
	control.head = (struct cmsghdr){CMSG_LEN(sizeof(int)), IPPROTO_IP, IP_TTL};
	GIVES(weft_sendmsg(fds[0], &m, 0), 1);
	control.head.cmsg_level = SOL_SOCKET;
	FAILS(weft_sendmsg(fds[0], &m, 0), EINVAL);
	control.head = (struct cmsghdr){sizeof(control) + 1, IPPROTO_IP, IP_TTL};
	FAILS(weft_sendmsg(fds[0], &m, 0), EINVAL);
	control.head.cmsg_len = 1;
	FAILS(weft_sendmsg(fds[0], &m, 0), EINVAL);
	m.msg_control = NULL;
	FAILS(weft_sendmsg(fds[0], &m, 0), EFAULT);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 1);
	close_both(fds);
	kit_close(&kit);
}

static void test_urgent_in_a_message(void)
{
	char byte = 'u';
	struct iovec iov = {&byte, 1};
	struct msghdr m = message(&iov, 1);
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_sendmsg(fds[0], &m, MSG_OOB), 1);
	byte = 0;
	ssize_t rc;

	while ((rc = weft_recvmsg(fds[1], &m, MSG_OOB)) < 0 && (errno == EAGAIN || errno == EINVAL))
		kit_pause();
	CU_ASSERT(rc == 1 && byte == 'u' && m.msg_flags == MSG_OOB);
	close_both(fds);
	kit_close(&kit);
}

static void test_many_messages(void)
{
	char text[3][4] = {"one", "two", "six"}, got[4][3];
	struct mmsghdr v[4] = {{{0}, 0}};
	struct iovec iov[4];
	struct timespec ts = {.tv_sec = 1, .tv_nsec = 1000000000};
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	FAILS(weft_sendmmsg(-1, v, 1, 0), EBADF);
	FAILS(weft_recvmmsg(-1, v, 1, 0, NULL), EBADF);
	GIVES(weft_sendmmsg(fds[0], v, 0, 0), 0);
	FAILS(weft_sendmmsg(fds[0], NULL, 1, 0), EFAULT);
	FAILS(weft_recvmmsg(fds[0], NULL, 1, 0, NULL), EFAULT);
	FAILS(weft_recvmmsg(fds[0], v, 1, 0, &ts), EINVAL);
	for (int i = 0; i < 3; i++) {
		iov[i] = (struct iovec){text[i], 3};
		v[i].msg_hdr = message(&iov[i], 1);
	}
	GIVES(weft_sendmmsg(fds[0], v, 3, 0), 3);
	CU_ASSERT(v[0].msg_len == 3 && v[2].msg_len == 3);
	while (weft_recv(fds[1], got, 9, MSG_PEEK) < 9)
		kit_pause();
	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){got[i], 3};
		v[i].msg_hdr = message(&iov[i], 1);
	}
	GIVES(weft_recvmmsg(fds[1], v, 4, MSG_WAITFORONE, NULL), 3);
	CU_ASSERT(memcmp(got, "onetwosix", 9) == 0 && v[1].msg_len == 3);
	/* The time is looked at behind a message: one has come, and it is up. */
	ts = (struct timespec){0};
	GIVES(weft_sendmmsg(fds[0], v, 2, 0), 2);
	GIVES(weft_recvmmsg(fds[1], v, 2, 0, &ts), 1);
	CU_ASSERT(ts.tv_sec == 0 && ts.tv_nsec == 0);
	GIVES(weft_recvmmsg(fds[1], v, 1, 0, NULL), 1);
	close_both(fds);
	kit_close(&kit);
}

/* What comes behind the first message is told by the next call. */
static void test_error_behind_a_message(void)
{
	char got[2][3];
	struct iovec iov[2] = {{got[0], 3}, {got[1], 3}};
	struct mmsghdr v[2] = {{message(&iov[0], 1), 0}, {message(&iov[1], 1), 0}};
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_send(fds[0], "abc", 3, 0), 3);
	GIVES(kit_await(fds[1]), 1);
	kit_reset(fds[0]);
	while (weft_send(fds[1], "x", 1, MSG_DONTWAIT) ==
	       1) /* takes the error that the reset left */
		kit_pause();
	GIVES(weft_recvmmsg(fds[1], v, 2, MSG_DONTWAIT, NULL), 2); /* 3 bytes, and the end */
	CU_ASSERT(v[0].msg_len == 3 && v[1].msg_len == 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

static ssize_t poll_urgent(struct kit_call *call)
{
	struct pollfd p = {.fd = call->fd, .events = POLLPRI};

	CU_ASSERT(weft_poll(&p, 1, 20000) == 1);
	return p.revents;
}

/* RFC 9293 3.8.5: who waits for urgent data is told, and again when the mark moves; data alone is none. */
static void test_urgent_data_wakes(void)
{
	struct kit_call call;
	struct kit kit;
	int fds[2];
	char c;

	kit_open(&kit);
	kit_join(&kit, fds);
	for (char n = '1'; n <= '3'; n++) {
		kit_call_start(&call, fds[0], poll_urgent);
		GIVES(weft_write(fds[1], "plain", 5), 5);
		GIVES(weft_send(fds[1], &n, 1, MSG_OOB), 1);
		kit_call_join(&call);
		CU_ASSERT(call.rc == POLLPRI);
		while (weft_recv(fds[0], &c, 1, MSG_OOB) != 1) /* announced before it comes */
			kit_pause();
		CU_ASSERT(c == n);
	}
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("msg", UNIT(parts_names_and_flags), UNIT(errnos_of_messages),
	  UNIT(ancillary_data_of_a_stream), UNIT(urgent_in_a_message), UNIT(urgent_data_wakes),
	  UNIT(many_messages), UNIT(error_behind_a_message))
