/*
 * What the tests of the public API share: two stacks, A and B, joined by the pair device,
 * connections between them, checks of errno, and the check that nothing is left behind.
 *
 *	A 192.0.2.1 2001:db8::1  ----- cable in memory -----  B 192.0.2.2 2001:db8::2
 */
#ifndef WEFT_TESTS_API_KIT_H
#define WEFT_TESTS_API_KIT_H

#include "moving.h"
#include "net/base/check.h"
#include "net/base/sync.h"
#include "unit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <weft/weft.h>

#define KIT_A4 "192.0.2.1"
#define KIT_B4 "192.0.2.2"
#define KIT_A6 "2001:db8::1"
#define KIT_B6 "2001:db8::2"

/* The call fails with that errno. */
#define FAILS(call, error)                                                                         \
	do {                                                                                       \
		long long fails_rc = (long long)(call);                                            \
		int fails_error = errno;                                                           \
		if (fails_rc != -1 || fails_error != (error))                                      \
			printf("%s:%d: %s: %lld, %s\n", __FILE__, __LINE__, #call, fails_rc,       \
			       strerrorname_np(fails_error));                                      \
		CU_ASSERT(fails_rc == -1 && fails_error == (error));                               \
	} while (0)

/* The call gives that value. */
#define GIVES(call, value)                                                                         \
	do {                                                                                       \
		long long gives_rc = (long long)(call);                                            \
		if (gives_rc != (long long)(value))                                                \
			printf("%s:%d: %s: %lld, %s\n", __FILE__, __LINE__, #call, gives_rc,       \
			       strerrorname_np(errno));                                            \
		CU_ASSERT(gives_rc == (long long)(value));                                         \
	} while (0)

struct kit {
	struct weft_stack *a;
	struct weft_stack *b;
};

/* Times are short, so that what lingers ends within a test. */
static inline struct weft_config kit_config(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.seed = 1;
	config.time_wait_ms = 30;
	config.fin_wait2_ms = 500;
	config.orphan_ms = 500;
	config.rto_min_ms = 20;
	config.rto_initial_ms = 50;
	config.delack_ms = 5;
	return config;
}

static inline void kit_open_with(struct kit *kit, struct weft_config config)
{
	struct weft_dev *ends[2];
	char why[200] = "";

	CU_ASSERT_FATAL(moving_or_pair(ends, 1500, 0) == 0);
	config.dev = ends[0];
	config.addr = KIT_A4 "/24";
	config.addr6 = KIT_A6 "/64";
	kit->a = weft_stack_open(&config, why, sizeof(why));
	config.dev = ends[1];
	config.addr = KIT_B4 "/24";
	config.addr6 = KIT_B6 "/64";
	kit->b = weft_stack_open(&config, why, sizeof(why));
	if (!kit->a || !kit->b)
		printf("%s\n", why);
	CU_ASSERT_FATAL(kit->a && kit->b);
}

static inline void kit_open(struct kit *kit)
{
	kit_open_with(kit, kit_config());
}

/* For loops that poll a condition until a deadline. */
static inline void kit_pause(void)
{
	const struct timespec ts = {.tv_nsec = 1000000};

	(void)nanosleep(&ts, NULL);
}

/* Waits until the handshake is over at 'stack's end: connect returns when it is at the other. */
static inline void kit_await_conns(struct weft_stack *stack, uint64_t count)
{
	struct weft_stats stats = {0};

	for (int i = 0; i < 2000 && stats.conns != count; i++) {
		kit_pause();
		weft_stack_stats(stack, &stats);
	}
	CU_ASSERT_EQUAL(stats.conns, count);
}

/* Whether everything is given back, within ten seconds; prints what is not. */
static inline bool kit_quiet(struct weft_stack *stack)
{
	weft_time_us deadline = clock_monotonic_us() + 10 * US_PER_S;
	static struct weft_stats s;

	for (;;) {
		weft_stack_stats(stack, &s);
		if (!(s.sockets | s.conns | s.syn_rcvd | s.time_wait | s.listeners | s.bufs |
		      s.buf_bytes | s.objects))
			return true;
		if (clock_monotonic_us() > deadline)
			break;
		kit_pause();
	}
	printf("left: sockets %llu conns %llu syn_rcvd %llu time_wait %llu listeners %llu bufs "
	       "%llu "
	       "buf_bytes %llu objects %llu\n",
	       (unsigned long long)s.sockets, (unsigned long long)s.conns,
	       (unsigned long long)s.syn_rcvd, (unsigned long long)s.time_wait,
	       (unsigned long long)s.listeners, (unsigned long long)s.bufs,
	       (unsigned long long)s.buf_bytes, (unsigned long long)s.objects);
	return false;
}

static inline void kit_close(struct kit *kit)
{
	CU_ASSERT(kit_quiet(kit->a));
	CU_ASSERT(kit_quiet(kit->b));
	weft_stack_close(kit->a);
	weft_stack_close(kit->b);
}

/* An address of either family; the family is chosen by the text. */
struct kit_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

static inline struct kit_addr kit_addr(const char *text, uint16_t port)
{
	struct kit_addr a = {.len = sizeof(struct sockaddr_in)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(&a.ss, &in, sizeof(in));
	} else {
		CU_ASSERT_FATAL(inet_pton(AF_INET6, text, &in6.sin6_addr) == 1);
		memcpy(&a.ss, &in6, sizeof(in6));
		a.len = sizeof(in6);
	}
	return a;
}

static inline struct sockaddr *kit_sa(struct kit_addr *a)
{
	return (struct sockaddr *)(void *)&a->ss;
}

static inline int kit_socket(struct weft_stack *stack, int domain)
{
	int fd = weft_socket(stack, domain, SOCK_STREAM, 0);

	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

static inline int kit_bind(int fd, const char *text, uint16_t port)
{
	struct kit_addr a = kit_addr(text, port);

	return weft_bind(fd, kit_sa(&a), a.len);
}

static inline int kit_connect(int fd, const char *text, uint16_t port)
{
	struct kit_addr a = kit_addr(text, port);

	return weft_connect(fd, kit_sa(&a), a.len);
}

static inline void kit_set(int fd, int level, int option, int value)
{
	GIVES(weft_setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

/* Over what is left of earlier connections, as servers do. */
static inline int kit_listener(struct weft_stack *stack, const char *text, uint16_t port,
			       int backlog)
{
	struct kit_addr a = kit_addr(text, port);
	int fd = kit_socket(stack, a.ss.ss_family);

	kit_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	CU_ASSERT_FATAL(weft_bind(fd, kit_sa(&a), a.len) == 0);
	CU_ASSERT_FATAL(weft_listen(fd, backlog) == 0);
	return fd;
}

/* A connection from A to B's port 80 over IPv4: 'fds[0]' is A's end. */
static inline void kit_join(struct kit *kit, int fds[2])
{
	int listener = kit_listener(kit->b, KIT_B4, 80, 5);

	fds[0] = kit_socket(kit->a, AF_INET);
	GIVES(kit_connect(fds[0], KIT_B4, 80), 0);
	fds[1] = weft_accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(fds[1] >= 0);
	GIVES(weft_close(listener), 0);
}

static inline int kit_get(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	GIVES(weft_getsockopt(fd, level, option, &value, &len), 0);
	CU_ASSERT(len == sizeof(value));
	return value;
}

static inline void kit_set_timeout(int fd, int option, int ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	GIVES(weft_setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)), 0);
}

static inline void kit_set_linger(int fd, int seconds)
{
	struct linger linger = {.l_onoff = 1, .l_linger = seconds};

	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

/* Sends a RST: both ends have been told when the peer's 'fds' sees it. */
static inline void kit_reset(int fd)
{
	kit_set_linger(fd, 0);
	GIVES(weft_close(fd), 0);
}

/* Polls until 'fd' has a pending event for recv other than EAGAIN; what recv with PEEK gave. */
static inline ssize_t kit_await(int fd)
{
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	char byte;
	ssize_t rc;

	do {
		rc = weft_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (rc >= 0 || errno != EAGAIN)
			return rc;
		kit_pause();
	} while (clock_monotonic_us() < deadline);
	CU_FAIL("nothing came");
	return rc;
}

/* One blocking call in a thread of its own. */
struct kit_call {
	ssize_t (*run)(struct kit_call *call);
	int fd;
	ssize_t rc;
	int error;
	pthread_t thread;
};

static inline void *kit_call_main(void *arg)
{
	struct kit_call *call = arg;

	call->rc = call->run(call);
	call->error = errno;
	return NULL;
}

static inline void kit_call_start(struct kit_call *call, int fd, ssize_t (*run)(struct kit_call *))
{
	*call = (struct kit_call){.run = run, .fd = fd};
	CU_ASSERT_FATAL(thread_start(&call->thread, "kit-call", kit_call_main, call) == 0);
	/* Most likely it blocks now; every test holds as well when it does not yet. */
	for (int i = 0; i < 10; i++)
		kit_pause();
}

static inline void kit_call_join(struct kit_call *call)
{
	thread_join(call->thread);
}

static inline ssize_t kit_run_recv(struct kit_call *call)
{
	char byte;

	return weft_recv(call->fd, &byte, 1, 0);
}

static inline ssize_t kit_run_accept(struct kit_call *call)
{
	return weft_accept(call->fd, NULL, NULL);
}

/* More than both ends' buffers take. */
static inline ssize_t kit_run_send(struct kit_call *call)
{
	static const char zeros[1 << 16];
	ssize_t rc;

	do
		rc = weft_send(call->fd, zeros, sizeof(zeros), 0);
	while (rc == (ssize_t)sizeof(zeros));
	/* A short count: the next call tells why. */
	return rc < 0 ? rc : weft_send(call->fd, zeros, 1, 0);
}

static inline ssize_t kit_run_connect(struct kit_call *call)
{
	return kit_connect(call->fd, "192.0.2.77", 80);
}

#endif
