/* What poll and epoll sets say of datagram sockets. */
#include "epoll.h"

static struct kit kit;

static int udp(struct weft_stack *stack, const char *addr, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = weft_socket(stack, AF_INET, SOCK_DGRAM, 0);

	CU_ASSERT_FATAL(inet_pton(AF_INET, addr, &in.sin_addr) == 1);
	GIVES(weft_bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static void connect_to(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	CU_ASSERT_FATAL(inet_pton(AF_INET, addr, &in.sin_addr) == 1);
	GIVES(weft_connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
}

static short polled(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	(void)weft_poll(&p, 1, timeout_ms);
	return p.revents;
}

static void test_poll_waits_for_a_message(void)
{
	char byte;

	kit_open(&kit);
	int a = udp(kit.a, KIT_A4, 9), b = udp(kit.b, KIT_B4, 9);
	connect_to(a, KIT_B4, 9);
	CU_ASSERT_EQUAL(polled(b, POLLIN | POLLOUT, 0), POLLOUT);
	put(a, "x");
	CU_ASSERT_EQUAL(polled(b, POLLIN, FOREVER_MS), POLLIN);
	GIVES(weft_recv(b, &byte, 1, 0), 1);
	CU_ASSERT_EQUAL(polled(b, POLLIN, 0), 0);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	CU_ASSERT_EQUAL(polled(b, POLLIN, 0), POLLNVAL);
	kit_close(&kit);
}

/* An edge for each message, until closing takes the socket out of the set. */
static void test_edges_of_a_set(void)
{
	char byte;

	kit_open(&kit);
	int a = udp(kit.a, KIT_A4, 9), b = udp(kit.b, KIT_B4, 9);
	int set = new_set(kit.b);
	connect_to(a, KIT_B4, 9);
	add(set, b, EPOLLIN | EPOLLET);
	SAYS(set, b, 0);
	put(a, "x");
	SAYS(set, b, EPOLLIN);
	SAYS(set, b, 0);
	put(a, "y");
	SAYS(set, b, EPOLLIN);
	GIVES(weft_recv(b, &byte, 1, 0), 1);
	GIVES(weft_recv(b, &byte, 1, 0), 1);
	SAYS(set, b, 0);
	GIVES(weft_close(b), 0);
	REFUSED(ctl(set, EPOLL_CTL_MOD, b, EPOLLIN), EBADF);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(set), 0);
	kit_close(&kit);
}

/* A datagram that leaves is no edge of room: there was enough. */
static void test_no_edge_of_room(void)
{
	char byte;

	kit_open(&kit);
	int a = udp(kit.a, KIT_A4, 9), b = udp(kit.b, KIT_B4, 9);
	int set = new_set(kit.a);

	connect_to(a, KIT_B4, 9);
	add(set, a, EPOLLOUT | EPOLLET);
	SAYS(set, a, EPOLLOUT);
	for (int i = 0; i < 3; i++) {
		put(a, "x");
		GIVES(weft_recv(b, &byte, 1, 0), 1);
		SAYS(set, a, 0);
	}
	GIVES(weft_close(set), 0);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

/* Nobody listens there: the port unreachable message is an error of the connected socket. */
static void test_errors_and_ends(void)
{
	int error = 0;
	socklen_t len = sizeof(error);

	kit_open(&kit);
	int a = udp(kit.a, KIT_A4, 9);
	connect_to(a, KIT_B4, 10);
	put(a, "x");
	CU_ASSERT_EQUAL(polled(a, POLLIN, FOREVER_MS) & POLLERR, POLLERR);
	GIVES(weft_getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	CU_ASSERT_EQUAL(error, ECONNREFUSED);
	CU_ASSERT_EQUAL(polled(a, POLLIN, 0), 0);
	GIVES(weft_shutdown(a, SHUT_RD), 0);
	CU_ASSERT_EQUAL(polled(a, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
	GIVES(weft_close(a), 0);
	kit_close(&kit);
}

/* The set's eventfd follows what is left to read. */
static void test_eventfd_follows(void)
{
	char byte;

	kit_open(&kit);
	int a = udp(kit.a, KIT_A4, 9), b = udp(kit.b, KIT_B4, 9);
	int set = new_set(kit.b);
	struct pollfd kernel = {.fd = weft_epoll_eventfd(set), .events = POLLIN};

	connect_to(a, KIT_B4, 9);
	add(set, b, EPOLLIN);
	CU_ASSERT_EQUAL(poll(&kernel, 1, 0), 0);
	put(a, "x");
	CU_ASSERT_EQUAL(poll(&kernel, 1, FOREVER_MS), 1);
	GIVES(weft_recv(b, &byte, 1, 0), 1);
	CU_ASSERT_EQUAL(poll(&kernel, 1, 0), 0);
	GIVES(weft_close(set), 0);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

UNIT_MAIN("datagram_ready", UNIT(poll_waits_for_a_message), UNIT(edges_of_a_set),
	  UNIT(no_edge_of_room), UNIT(errors_and_ends), UNIT(eventfd_follows))
