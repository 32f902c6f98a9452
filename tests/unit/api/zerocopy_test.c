/*
 * MSG_ZEROCOPY as programs use it: the option, completions through poll and epoll, threads that write
 * their memory anew when they are told, and memory that is unmapped once close has returned.
 */
#include "kit.h"
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { SIZE = 1 << 20, PIECE = 65536, PIECES = 4, ROUNDS = 60 };

static struct kit kit;

static void join_with_option(int fds[2])
{
	kit_open(&kit);
	kit_join(&kit, fds);
	kit_set(fds[0], SOL_SOCKET, SO_ZEROCOPY, 1);
}

/* Memory of its own, all of it 'byte'. */
static uint8_t *map(uint8_t byte)
{
	uint8_t *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(p != MAP_FAILED);
	memset(p, byte, SIZE);
	return p;
}

static void unmap(uint8_t *p)
{
	CU_ASSERT_EQUAL(munmap(p, SIZE), 0);
}

/* The next completion: 1; 0: there is none; -1: what came is no such thing.  For any thread. */
static int take_quietly(int fd, bool is_v6, struct sock_extended_err *ee)
{
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
	ssize_t rc = weft_recvmsg(fd, &msg, MSG_ERRQUEUE);

	if (rc < 0)
		return errno == EAGAIN ? 0 : -1;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (rc > 0 || msg.msg_flags != MSG_ERRQUEUE || !c ||
	    c->cmsg_level != (is_v6 ? IPPROTO_IPV6 : IPPROTO_IP) ||
	    c->cmsg_type != (is_v6 ? IPV6_RECVERR : IP_RECVERR))
		return -1;
	memcpy(ee, CMSG_DATA(c), sizeof(*ee));
	return ee->ee_errno == 0 && ee->ee_origin == SO_EE_ORIGIN_ZEROCOPY ? 1 : -1;
}

static bool take(int fd, bool is_v6, struct sock_extended_err *ee)
{
	int rc = take_quietly(fd, is_v6, ee);

	CU_ASSERT_TRUE(rc >= 0);
	return rc == 1;
}

static void await_error(int fd)
{
	struct pollfd p = {.fd = fd};

	GIVES(weft_poll(&p, 1, 10000), 1);
	CU_ASSERT_EQUAL(p.revents, POLLERR);
}

/*
 * Until call 'last', or one behind it, is completed: how many calls were, and whether any was copied.  0:
 * something else came, or nothing.  For any thread.
 */
static uint32_t await_call(int fd, bool is_v6, uint32_t last, bool *was_copied)
{
	struct sock_extended_err ee = {0};
	uint32_t count = 0;

	do {
		struct pollfd p = {.fd = fd};

		if (weft_poll(&p, 1, 10000) != 1 || p.revents != POLLERR ||
		    take_quietly(fd, is_v6, &ee) != 1)
			return 0;
		count += ee.ee_data - ee.ee_info + 1;
		*was_copied = *was_copied || ee.ee_code == SO_EE_CODE_ZEROCOPY_COPIED;
	} while ((int32_t)(ee.ee_data - last) < 0);
	return count;
}

/* ---- The option. ---- */

static void test_option(void)
{
	int fds[2], two = 2, minus = -1;

	kit_open(&kit);
	int udp = weft_socket(kit.a, AF_INET, SOCK_DGRAM, 0);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);

	CU_ASSERT_EQUAL(kit_get(listener, SOL_SOCKET, SO_ZEROCOPY), 0);
	FAILS(weft_setsockopt(listener, SOL_SOCKET, SO_ZEROCOPY, &two, sizeof(two)), EINVAL);
	FAILS(weft_setsockopt(listener, SOL_SOCKET, SO_ZEROCOPY, &minus, sizeof(minus)), EINVAL);
	FAILS(weft_setsockopt(udp, SOL_SOCKET, SO_ZEROCOPY, &(int){1}, sizeof(int)), EOPNOTSUPP);
	CU_ASSERT_EQUAL(kit_get(udp, SOL_SOCKET, SO_ZEROCOPY), 0);
	kit_set(listener, SOL_SOCKET, SO_ZEROCOPY, 1);
	fds[0] = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(fds[0], KIT_B4, 80), 0);
	fds[1] = weft_accept(listener, NULL, NULL);
	CU_ASSERT_EQUAL(kit_get(fds[1], SOL_SOCKET, SO_ZEROCOPY), 1); /* inherited */
	CU_ASSERT_EQUAL(kit_get(fds[0], SOL_SOCKET, SO_ZEROCOPY), 0);
	/* Without it the flag means nothing, of datagrams as well. */
	GIVES(weft_send(fds[0], "x", 1, MSG_ZEROCOPY), 1);
	FAILS(weft_recv(fds[0], NULL, 0, MSG_ERRQUEUE), EAGAIN);
	GIVES(kit_connect(udp, KIT_B4, 9), 0);
	GIVES(weft_send(udp, "x", 1, MSG_ZEROCOPY), 1);
	for (int i = 0; i < 2; i++)
		GIVES(weft_close(fds[i]), 0);
	GIVES(weft_close(listener), 0);
	GIVES(weft_close(udp), 0);
	kit_close(&kit);
}

/* ---- Completions. ---- */

static void talk(const char *addr, bool is_v6)
{
	static uint8_t got[SIZE];
	struct sock_extended_err ee;
	bool was_copied = false;
	uint8_t *p = map('x');
	struct iovec parts[2] = {{p, 100000}, {p + 100000, SIZE - 100000}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

	kit_open(&kit);
	int listener = kit_listener(kit.b, addr, 80, 5);
	int fd = kit_socket(kit.a, is_v6 ? AF_INET6 : AF_INET);

	kit_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	GIVES(kit_connect(fd, addr, 80), 0);
	int peer = weft_accept(listener, NULL, NULL);

	for (uint32_t i = 0; i < 3; i++) {
		memset(p, 'a' + (int)i, SIZE);
		weft_fcntl(fd, F_SETFL, O_NONBLOCK);
		ssize_t sent = weft_sendmsg(fd, &msg, MSG_ZEROCOPY);

		CU_ASSERT_TRUE_FATAL(sent > 0);
		GIVES(weft_recv(peer, got, (size_t)sent, MSG_WAITALL), sent);
		CU_ASSERT_EQUAL(memcmp(got, p, (size_t)sent), 0);
		CU_ASSERT_EQUAL(await_call(fd, is_v6, i, &was_copied), 1);
		CU_ASSERT_FALSE(take(fd, is_v6, &ee));
	}
	CU_ASSERT_FALSE(was_copied);
	GIVES(weft_close(fd), 0);
	GIVES(weft_close(peer), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
	unmap(p);
}

static void test_completions(void)
{
	talk(KIT_B4, false);
	talk(KIT_B6, true);
}

/* An edge-triggered set, and one that is a file to the kernel, hear of completions. */
static void test_epoll(void)
{
	struct epoll_event event = {.events = EPOLLIN | (uint32_t)EPOLLET};
	static uint8_t got[PIECE];
	struct sock_extended_err ee;
	int fds[2];

	join_with_option(fds);
	uint8_t *p = map('e');
	int set = weft_epoll_create1(kit.a, 0);

	GIVES(weft_epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event), 0);
	for (uint32_t i = 0; i < 3; i++) {
		GIVES(weft_epoll_wait(set, &event, 1, 0), 0);
		GIVES(weft_send(fds[0], p, PIECE, MSG_ZEROCOPY), PIECE);
		GIVES(weft_recv(fds[1], got, PIECE, MSG_WAITALL), PIECE);
		GIVES(weft_epoll_wait(set, &event, 1, 10000), 1);
		CU_ASSERT_EQUAL(event.events, EPOLLERR);
		if (i < 2)
			CU_ASSERT_TRUE(take(fds[0], false, &ee)); /* the last one stays */
	}
	GIVES(weft_close(set), 0);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
	unmap(p);
}

/* ---- Threads. ---- */

struct reader {
	int fd;
	uint64_t bytes;
	uint64_t wrong; /* pieces that are not all of one byte */
	pthread_t thread;
};

static void *read_pieces(void *arg)
{
	static _Thread_local uint8_t got[PIECE];
	struct reader *r = arg;

	while (weft_recv(r->fd, got, PIECE, MSG_WAITALL) == PIECE) {
		r->bytes += PIECE;
		r->wrong += memcmp(got, got + 1, PIECE - 1) != 0;
	}
	return NULL;
}

struct writer {
	int fd;
	uint8_t *p;
	bool is_good;
	pthread_t thread;
};

/*
 * Writes each piece anew as soon as it is told that it may: a completion that came too soon would show at
 * the other end, and to ThreadSanitizer.  Each writer has a connection.
 */
static void *write_pieces(void *arg)
{
	struct writer *w = arg;
	uint32_t done = 0;
	bool was_copied = false;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint8_t *piece = w->p + i % PIECES * PIECE;

		if (i - done == PIECES) {
			uint32_t count = await_call(w->fd, false, done, &was_copied);

			if (count == 0)
				return NULL;
			done += count;
		}
		memset(piece, (int)i, PIECE);
		if (weft_send(w->fd, piece, PIECE, MSG_ZEROCOPY) != PIECE)
			return NULL;
	}
	/* The rest is given back by close. */
	w->is_good = weft_close(w->fd) == 0 && munmap(w->p, SIZE) == 0 && !was_copied;
	return NULL;
}

static void test_threads(void)
{
	enum { PAIRS = 2 };

	struct writer writer[PAIRS];
	struct reader reader[PAIRS] = {0};
	int fds[2];

	kit_open(&kit);
	for (int i = 0; i < PAIRS; i++) {
		kit_join(&kit, fds);
		kit_set(fds[0], SOL_SOCKET, SO_ZEROCOPY, 1);
		reader[i].fd = fds[1];
		writer[i] = (struct writer){.fd = fds[0], .p = map(0)};
		CU_ASSERT_FATAL(pthread_create(&reader[i].thread, NULL, read_pieces, &reader[i]) ==
				0);
		CU_ASSERT_FATAL(pthread_create(&writer[i].thread, NULL, write_pieces, &writer[i]) ==
				0);
	}
	for (int i = 0; i < PAIRS; i++) {
		CU_ASSERT_EQUAL(pthread_join(writer[i].thread, NULL), 0);
		CU_ASSERT_EQUAL(pthread_join(reader[i].thread, NULL), 0);
		CU_ASSERT_TRUE(writer[i].is_good);
		CU_ASSERT_EQUAL(reader[i].bytes, (uint64_t)ROUNDS * PIECE);
		CU_ASSERT_EQUAL(reader[i].wrong, 0);
		GIVES(weft_close(reader[i].fd), 0);
	}
	kit_close(&kit);
}

/* Two threads send on one socket: every call has a number, and all are completed. */
static void *send_ten(void *arg)
{
	static uint8_t piece[PIECE];
	uintptr_t wrong = 0;

	for (int i = 0; i < 10; i++) {
		size_t size = i % 3 ? PIECE : 10;

		wrong += weft_send(*(int *)arg, piece, size, MSG_ZEROCOPY) != (ssize_t)size;
	}
	return (void *)wrong;
}

static void test_two_writers(void)
{
	static uint8_t got[12 * PIECE + 80];
	struct sock_extended_err ee;
	pthread_t threads[2];
	uint32_t seen = 0;
	int fds[2];

	join_with_option(fds);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, send_ten, &fds[0]) == 0);
	GIVES(weft_recv(fds[1], got, sizeof(got), MSG_WAITALL), sizeof(got));
	for (int i = 0; i < 2; i++) {
		void *wrong = NULL;

		CU_ASSERT_EQUAL(pthread_join(threads[i], &wrong), 0);
		CU_ASSERT_EQUAL((uintptr_t)wrong, 0);
	}
	for (uint32_t count = 0; count < 20;) {
		await_error(fds[0]);
		CU_ASSERT_TRUE_FATAL(take(fds[0], false, &ee));
		for (uint32_t call = ee.ee_info; call != ee.ee_data + 1; call++) {
			CU_ASSERT_TRUE(call < 20 && !(seen & 1u << call));
			seen |= 1u << call;
			count++;
		}
	}
	CU_ASSERT_FALSE(take(fds[0], false, &ee));
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* ---- The memory is the program's again. ---- */

/* As much as the connection takes without a reader, from memory that is unmapped behind close. */
static void test_close_gives_memory_back(void)
{
	static uint8_t got[SIZE];
	int fds[2];

	join_with_option(fds);
	uint8_t *p = map('c');
	ssize_t sent = weft_send(fds[0], p, SIZE, MSG_ZEROCOPY | MSG_DONTWAIT);

	CU_ASSERT_TRUE_FATAL(sent > 0);
	GIVES(weft_close(fds[0]), 0);
	unmap(p);
	memset(got, 0, sizeof(got));
	GIVES(weft_recv(fds[1], got, SIZE, MSG_WAITALL), sent);
	CU_ASSERT_TRUE(got[0] == 'c' && memcmp(got, got + 1, (size_t)sent - 1) == 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* A handle that is left keeps the references; the last one's close ends them, and so does lingering. */
static void test_dup_and_linger(void)
{
	static uint8_t got[SIZE];
	int fds[2];

	join_with_option(fds);
	uint8_t *p = map('d');
	int other = weft_dup(fds[0]);
	ssize_t sent = weft_send(fds[0], p, PIECE, MSG_ZEROCOPY);

	GIVES(sent, PIECE);
	GIVES(weft_close(fds[0]), 0);
	await_error(other);
	GIVES(weft_send(other, p, PIECE, MSG_ZEROCOPY), PIECE);
	kit_set_linger(other, 10);
	GIVES(weft_close(other), 0);
	unmap(p);
	GIVES(weft_recv(fds[1], got, SIZE, MSG_WAITALL), 2 * PIECE);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* RST instead of a close in good order. */
static void test_abort_gives_memory_back(void)
{
	int fds[2];

	join_with_option(fds);
	uint8_t *p = map('r');

	CU_ASSERT_TRUE(weft_send(fds[0], p, SIZE, MSG_ZEROCOPY | MSG_DONTWAIT) > 0);
	kit_reset(fds[0]);
	unmap(p);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* The stack's end with all of it outstanding. */
static void test_stack_close_gives_memory_back(void)
{
	int fds[2];

	join_with_option(fds);
	uint8_t *p = map('s');

	CU_ASSERT_TRUE(weft_send(fds[0], p, SIZE, MSG_ZEROCOPY | MSG_DONTWAIT) > 0);
	weft_stack_close(kit.a);
	unmap(p);
	GIVES(weft_close(fds[1]), 0);
	CU_ASSERT(kit_quiet(kit.b));
	weft_stack_close(kit.b);
}

struct victim {
	int fd;
	const uint8_t *p;
};

/* More than there is room for: it does not come back. */
static void *send_too_much(void *arg)
{
	const struct victim *v = arg;

	(void)weft_send(v->fd, v->p, SIZE, MSG_ZEROCOPY);
	return NULL;
}

/* A thread that is cancelled while it waits for room leaves nothing that refers to its memory. */
static void test_cancel_gives_memory_back(void)
{
	static uint8_t got[SIZE];
	pthread_t thread;
	void *how = NULL;
	int fds[2], queued = 0;
	uint64_t bytes = 0;
	ssize_t rc;

	struct weft_config config = kit_config();

	config.rcvbuf = config.sndbuf = config.buf_max = PIECE; /* buffers do not grow */
	kit_open_with(&kit, config);
	kit_join(&kit, fds);
	kit_set(fds[0], SOL_SOCKET, SO_ZEROCOPY, 1);
	uint8_t *p = map('k');
	struct victim victim = {fds[0], p};

	CU_ASSERT_FATAL(pthread_create(&thread, NULL, send_too_much, &victim) == 0);
	while (queued == 0) {
		kit_pause();
		GIVES(weft_ioctl(fds[0], TIOCOUTQ, &queued), 0);
	}
	CU_ASSERT_EQUAL(pthread_cancel(thread), 0);
	CU_ASSERT_EQUAL(pthread_join(thread, &how), 0);
	CU_ASSERT_PTR_EQUAL(how, PTHREAD_CANCELED);
	unmap(p);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	memset(got, 'k', sizeof(got));
	while ((rc = weft_recv(fds[1], got, sizeof(got), 0)) > 0) {
		bytes += (uint64_t)rc;
		CU_ASSERT_TRUE(got[0] == 'k' && memcmp(got, got + 1, (size_t)rc - 1) == 0);
	}
	GIVES(rc, 0);
	CU_ASSERT_TRUE(bytes > 0);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("zerocopy", UNIT(option), UNIT(completions), UNIT(epoll), UNIT(threads),
	  UNIT(two_writers), UNIT(close_gives_memory_back), UNIT(dup_and_linger),
	  UNIT(abort_gives_memory_back), UNIT(stack_close_gives_memory_back),
	  UNIT(cancel_gives_memory_back))
