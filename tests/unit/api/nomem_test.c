/*
 * The system's memory at its end, as callers see it.  This program's calloc and realloc (linked in by
 * --wrap) fail in a thread that asks for it: calls that need memory say so and leave nothing behind, those
 * that need none go on.
 */
#include "kit.h"

enum { MANY = 40 }; /* more than poll and select have room for on the stack */

/* Names that the linker knows. */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg);

static _Thread_local bool is_short;
/* The n-th object, or thread, from now on cannot be had; 0: all can. */
static _Thread_local unsigned missing, missing_thread;

static bool is_missing(unsigned *countdown)
{
	return *countdown > 0 && --*countdown == 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_short || is_missing(&missing) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return is_short || is_missing(&missing) ? NULL : __real_realloc(old, size);
}

void *__wrap_malloc(size_t size)
{
	return is_missing(&missing) ? NULL : __real_malloc(size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *arg)
{
	return is_missing(&missing_thread) ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

/* The call without memory. */
#define SHORT_FAILS(call, error)                                                                   \
	do {                                                                                       \
		is_short = true;                                                                   \
		FAILS(call, error);                                                                \
		is_short = false;                                                                  \
	} while (0)

#define SHORT_GIVES(call, value)                                                                   \
	do {                                                                                       \
		is_short = true;                                                                   \
		GIVES(call, value);                                                                \
		is_short = false;                                                                  \
	} while (0)

/* Sockets, sets, ports of datagrams and listeners are made of memory; a stream's bind and connect need none. */
static void test_beginnings(void)
{
	struct weft_stats stats;
	struct kit kit;

	kit_open(&kit);
	int tcp = kit_socket(kit.a, AF_INET);
	int udp = weft_socket(kit.a, AF_INET, SOCK_DGRAM, 0);

	SHORT_FAILS(weft_socket(kit.a, AF_INET, SOCK_STREAM, 0), ENOMEM);
	SHORT_FAILS(weft_socket(kit.a, AF_INET6, SOCK_DGRAM, 0), ENOMEM);
	SHORT_FAILS(weft_epoll_create1(kit.a, 0), ENOMEM);
	weft_stack_stats(kit.a, &stats);
	CU_ASSERT(stats.sockets == 2 && stats.objects == 2);
	SHORT_FAILS(kit_bind(udp, KIT_A4, 4000), ENOMEM);
	GIVES(kit_bind(udp, KIT_A4, 4000), 0);
	SHORT_FAILS(kit_connect(tcp, KIT_B4, 80), ECONNREFUSED);
	SHORT_GIVES(kit_bind(tcp, KIT_A4, 4000), 0);
	SHORT_FAILS(weft_listen(tcp, 1), ENOMEM);
	GIVES(weft_listen(tcp, 1), 0);
	GIVES(weft_close(tcp), 0);
	GIVES(weft_close(udp), 0);
	kit_close(&kit);
}

/* Handles of 'fd' until the table would have to grow; how many. */
static int dup_till_short(int fd, int *dups, int room)
{
	int count = 0;

	is_short = true;
	while (count < room && (dups[count] = weft_dup(fd)) >= 0)
		count++;
	CU_ASSERT(count < room && errno == ENOMEM);
	is_short = false;
	return count;
}

/* Without memory for a handle the connection stays in the queue; for nothing else accept needs any. */
static void test_accept(void)
{
	static int dups[8192];
	struct pollfd p = {.events = POLLIN};
	struct kit kit;
	int server[2];

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int client[2] = {kit_socket(kit.a, AF_INET), kit_socket(kit.a, AF_INET)};

	p.fd = listener;
	GIVES(kit_connect(client[0], KIT_B4, 80), 0);
	GIVES(weft_poll(&p, 1, 5000), 1);
	is_short = true;
	server[0] = weft_accept(listener, NULL, NULL);
	is_short = false;
	CU_ASSERT(server[0] >= 0);
	GIVES(kit_connect(client[1], KIT_B4, 80), 0);
	GIVES(weft_poll(&p, 1, 5000), 1);
	int count = dup_till_short(client[0], dups, ARRAY_SIZE(dups));

	SHORT_FAILS(weft_accept(listener, NULL, NULL), ENOMEM);
	server[1] = weft_accept(listener, NULL, NULL);
	CU_ASSERT(server[1] >= 0);
	for (int i = 0; i < count; i++)
		GIVES(weft_close(dups[i]), 0);
	for (int i = 0; i < 2; i++) {
		GIVES(weft_close(client[i]), 0);
		GIVES(weft_close(server[i]), 0);
	}
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

static void test_waiting(void)
{
	struct epoll_event event = {.events = EPOLLOUT};
	struct pollfd p[MANY];
	static weft_fd_set readable, writable;
	struct timeval now = {0};
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	WEFT_FD_ZERO(&readable);
	WEFT_FD_ZERO(&writable);
	for (int i = 0; i < MANY; i++)
		p[i] = (struct pollfd){.fd = i == 0 ? fds[0] : -1, .events = POLLOUT, .revents = 7};
	SHORT_FAILS(weft_poll(p, MANY, 0), ENOMEM);
	CU_ASSERT(p[0].revents == 7 && p[MANY - 1].revents == 7);
	GIVES(weft_poll(p, MANY, 0), 1);
	SHORT_GIVES(weft_poll(p, 1, 0), 1);
	WEFT_FD_SET(fds[0], &writable);
	SHORT_GIVES(weft_select(fds[0] + 1, &readable, &writable, NULL, &now), 1);
	int set = weft_epoll_create1(kit.a, 0);

	SHORT_FAILS(weft_epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event), ENOMEM);
	GIVES(weft_epoll_wait(set, &event, 1, 0), 0);
	event.events = EPOLLOUT;
	GIVES(weft_epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event), 0);
	SHORT_GIVES(weft_epoll_wait(set, &event, 1, 0), 1);
	GIVES(weft_close(set), 0);
	for (int i = 0; i < 2; i++)
		GIVES(weft_close(fds[i]), 0);
	kit_close(&kit);
}

/* Of the calls on a connection only the change to a larger congestion control needs memory. */
static void test_connections(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct kit kit;
	char text[4];
	int fds[2];
	int on = 1;

	kit_open(&kit);
	kit_join(&kit, fds);
	SHORT_FAILS(weft_setsockopt(fds[0], IPPROTO_TCP, TCP_CONGESTION, "bbr", 3), ENOMEM);
	GIVES(weft_setsockopt(fds[0], IPPROTO_TCP, TCP_CONGESTION, "bbr", 3), 0);
	GIVES(weft_send(fds[0], "ask", 3, 0), 3);
	GIVES(kit_await(fds[1]), 1);
	SHORT_GIVES(weft_recv(fds[1], text, sizeof(text), 0), 3);
	SHORT_GIVES(weft_setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	SHORT_GIVES(kit_get(fds[1], IPPROTO_TCP, TCP_NODELAY), 1);
	SHORT_GIVES(weft_getsockname(fds[1], (struct sockaddr *)&ss, &len), 0);
	SHORT_GIVES(weft_getpeername(fds[1], (struct sockaddr *)&ss, &len), 0);
	SHORT_GIVES(weft_shutdown(fds[1], SHUT_WR), 0);
	GIVES(weft_recv(fds[0], text, sizeof(text), 0), 0);
	SHORT_GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

static unsigned count_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* An open that misses its n-th object, or thread, fails and leaves nothing behind; whether it did. */
static bool opens_without(unsigned *countdown, unsigned n)
{
	struct weft_config config = kit_config();
	struct weft_dev *ends[2];
	char why[100] = "";

	CU_ASSERT_FATAL(moving_pair(ends, 1500, 0, 2, 64, 1) == 0);
	config.dev = ends[0];
	config.addr = KIT_A4 "/24";
	*countdown = n;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));
	bool was_missed = n > 0 && *countdown == 0;

	*countdown = 0;
	CU_ASSERT_EQUAL(stack == NULL, was_missed);
	if (was_missed)
		CU_ASSERT((errno == ENOMEM || errno == EAGAIN) && why[0] != '\0');
	weft_stack_close(stack);
	ends[1]->close(ends[1]);
	return !was_missed;
}

static void test_open(void)
{
	unsigned fds, n = 1;

	CU_ASSERT(opens_without(&missing, 0));
	fds = count_fds();
	while (n < 1000 && !opens_without(&missing, n))
		n++;
	CU_ASSERT(n > 20 && n < 1000);
	for (n = 1; n < 100 && !opens_without(&missing_thread, n);)
		n++;
	CU_ASSERT_EQUAL(n, 7); /* the table's, two for each queue, the loop device's */
	CU_ASSERT_EQUAL(count_fds(), fds);
}

UNIT_MAIN("nomem", UNIT(open), UNIT(beginnings), UNIT(accept), UNIT(waiting), UNIT(connections))
