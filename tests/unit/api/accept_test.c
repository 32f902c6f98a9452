/*
 * The accept queue as callers see it: its order, its limit, and the limit's change; and what a socket
 * still does that was shut down.
 */
#include "kit.h"
#include "net/base/counters.h"
#include "net/base/drop.h"
#include <sys/ioctl.h>

enum { FOREVER_MS = 20000 };

static void await_event(int fd, short event)
{
	struct pollfd p = {.fd = fd, .events = event};

	GIVES(weft_poll(&p, 1, FOREVER_MS), 1);
	CU_ASSERT(p.revents & event);
}

static uint16_t own_port(int fd)
{
	struct sockaddr_in in = {0};
	socklen_t len = sizeof(in);

	GIVES(weft_getsockname(fd, (struct sockaddr *)(void *)&in, &len), 0);
	return in.sin_port;
}

/* A client without blocking, whose handshake takes as long as it takes. */
static int begin_connect(struct kit *kit)
{
	int fd = weft_socket(kit->a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	FAILS(kit_connect(fd, KIT_B4, 80), EINPROGRESS);
	return fd;
}

static uint64_t drops(struct weft_stack *stack, enum drop why)
{
	struct weft_stats stats;

	weft_stack_stats(stack, &stats);
	return stats.drops[why];
}

/* Until the stack has counted more drops for 'why' than 'before'. */
static void await_drop(struct weft_stack *stack, enum drop why, uint64_t before)
{
	weft_time_us deadline = clock_monotonic_us() + FOREVER_MS * US_PER_MS;

	while (drops(stack, why) <= before && clock_monotonic_us() < deadline)
		kit_pause();
	CU_ASSERT(drops(stack, why) > before);
}

/* Until so many bytes wait to be read. */
static void await_bytes(int fd, int count)
{
	weft_time_us deadline = clock_monotonic_us() + FOREVER_MS * US_PER_MS;
	int waiting = 0;

	while (weft_ioctl(fd, FIONREAD, &waiting) == 0 && waiting < count &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	CU_ASSERT(waiting == count);
}

/* The first that was complete comes first; a listener's O_NONBLOCK is its own. */
static void test_in_order(void)
{
	enum { COUNT = 4 };

	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	int clients[COUNT];
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, COUNT);

	GIVES(weft_fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < COUNT; i++) {
		clients[i] = kit_socket(kit.a, AF_INET);
		GIVES(kit_connect(clients[i], KIT_B4, 80), 0);
		kit_await_conns(kit.b, (uint64_t)i + 1);
	}
	for (int i = 0; i < COUNT; i++) {
		await_event(listener, POLLIN);
		int fd = weft_accept(listener, (struct sockaddr *)(void *)&peer, &len);

		CU_ASSERT_FATAL(fd >= 0);
		CU_ASSERT(peer.sin_port == own_port(clients[i]));
		GIVES(weft_fcntl(fd, F_GETFL), O_RDWR);
		GIVES(weft_close(fd), 0);
		GIVES(weft_close(clients[i]), 0);
	}
	FAILS(weft_accept(listener, NULL, NULL), EAGAIN);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

/* A full queue is silent: who knocks goes on knocking, and comes in when there is room. */
static void test_full_queue_drops(void)
{
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 0);
	int first = begin_connect(&kit);

	await_event(listener, POLLIN);
	int second = begin_connect(&kit);

	await_drop(kit.b, DROP_TCP_ACCEPT_FULL, 1); /* it came twice */
	FAILS(kit_connect(second, KIT_B4, 80), EALREADY);
	int server = weft_accept(listener, NULL, NULL);

	CU_ASSERT(server >= 0);
	await_event(second, POLLOUT);
	GIVES(kit_get(second, SOL_SOCKET, SO_ERROR), 0);
	int server2 = weft_accept(listener, NULL, NULL);
	const int all[] = {first, second, server, server2, listener};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		GIVES(weft_close(all[i]), 0);
	kit_close(&kit);
}

/* A listener that listens again has the new limit, a larger one and a smaller one. */
static void test_limit_changes(void)
{
	struct kit kit;
	int clients[4];

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 0);

	clients[0] = begin_connect(&kit);
	await_event(listener, POLLIN);
	clients[1] = begin_connect(&kit);
	await_drop(kit.b, DROP_TCP_ACCEPT_FULL, 0);
	GIVES(weft_listen(listener, 2), 0);
	await_event(clients[1], POLLOUT);
	clients[2] = begin_connect(&kit);
	await_event(clients[2], POLLOUT);
	kit_await_conns(kit.b, 3);
	GIVES(weft_listen(listener, 1), 0);
	uint64_t before = drops(kit.b, DROP_TCP_ACCEPT_FULL);
	int server = weft_accept(listener, NULL, NULL);

	CU_ASSERT(server >= 0);
	clients[3] = begin_connect(&kit);
	await_drop(kit.b, DROP_TCP_ACCEPT_FULL, before);
	FAILS(kit_connect(clients[3], KIT_B4, 80), EALREADY);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		GIVES(weft_close(clients[i]), 0);
	GIVES(weft_close(server), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

/* As Linux: reading was given up, the peer does not know, and what it sends can be read all the same. */
static void test_data_after_shut_rd(void)
{
	struct kit kit;
	char text[8];
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_shutdown(fds[0], SHUT_RD), 0);
	GIVES(weft_recv(fds[0], text, sizeof(text), 0), 0);
	for (int i = 0; i < 2; i++) {
		GIVES(weft_send(fds[1], "late", 4, 0), 4);
		await_bytes(fds[0], 4);
		GIVES(weft_recv(fds[0], text, sizeof(text), 0), 4);
		GIVES(weft_recv(fds[0], text, sizeof(text), 0), 0);
	}
	GIVES(weft_close(fds[1]), 0);
	GIVES(weft_close(fds[0]), 0);
	kit_close(&kit);
}

/* What was shut down keeps its name and its options, and cannot be bound again. */
static void expect_shut(int fd, int how)
{
	const int tos = 0x20;
	uint16_t port = own_port(fd);

	FAILS(kit_bind(fd, "0.0.0.0", 0), EINVAL);
	GIVES(weft_shutdown(fd, how), 0);
	FAILS(kit_bind(fd, "0.0.0.0", 0), EINVAL);
	FAILS(kit_bind(fd, "0.0.0.0", 4000), EINVAL);
	CU_ASSERT(own_port(fd) == port);
	kit_set(fd, IPPROTO_IP, IP_TOS, tos);
	GIVES(kit_get(fd, IPPROTO_IP, IP_TOS), tos);
}

static void test_shut_sockets(void)
{
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	int listener = kit_listener(kit.b, KIT_B4, 80, 0);

	expect_shut(fds[0], SHUT_RDWR);
	expect_shut(fds[1], SHUT_RD);
	expect_shut(listener, SHUT_RDWR);
	for (int i = 0; i < 2; i++)
		GIVES(weft_close(fds[i]), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

UNIT_MAIN("accept", UNIT(in_order), UNIT(full_queue_drops), UNIT(limit_changes),
	  UNIT(data_after_shut_rd), UNIT(shut_sockets))
