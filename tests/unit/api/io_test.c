/*
 * recv, send and their relatives: flags, arguments, timeouts, order of data and errors.
 */
#include "kit.h"
#include "net/base/counters.h"
#include <limits.h>

static void close_both(const int fds[2])
{
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
}

static void test_arguments(void)
{
	char bytes[8];
	struct iovec none = {NULL, 1};
	struct iovec huge[2] = {{bytes, SSIZE_MAX}, {bytes, 1}};
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	FAILS(weft_recv(fds[0], NULL, 1, 0), EFAULT);
	FAILS(weft_send(fds[0], NULL, 1, 0), EFAULT);
	FAILS(weft_readv(fds[0], &none, 1), EFAULT);
	FAILS(weft_readv(fds[0], NULL, 1), EFAULT);
	FAILS(weft_readv(fds[0], huge, 2), EINVAL);
	FAILS(weft_writev(fds[0], huge, 2), EINVAL);
	FAILS(weft_readv(fds[0], huge, -1), EINVAL);
	FAILS(weft_readv(fds[0], huge, IOV_MAX + 1), EINVAL);
	FAILS(weft_writev(fds[0], huge, IOV_MAX + 1), EINVAL);
	GIVES(weft_readv(fds[0], NULL, 0), 0);
	GIVES(weft_writev(fds[0], NULL, 0), 0);
	GIVES(weft_read(fds[0], NULL, 0), 0);
	GIVES(weft_write(fds[0], NULL, 0), 0);
	FAILS(weft_recv(fds[0], bytes, 1, MSG_ERRQUEUE), EAGAIN);
	FAILS(weft_send(fds[0], bytes, 1, MSG_ERRQUEUE), EOPNOTSUPP);
	FAILS(weft_recv(fds[0], bytes, 1, 1 << 20), EOPNOTSUPP);
	FAILS(weft_send(fds[0], bytes, 1, MSG_WAITALL), EOPNOTSUPP);
	close_both(fds);
	kit_close(&kit);
}

static void test_not_connected(void)
{
	struct kit kit;
	char byte = 0;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	FAILS(weft_recv(fd, &byte, 1, 0), ENOTCONN);
	FAILS(weft_read(fd, &byte, 1), ENOTCONN);
	FAILS(weft_send(fd, &byte, 1, 0), EPIPE);
	FAILS(weft_write(fd, &byte, 1), EPIPE);
	GIVES(weft_listen(fd, 1), 0);
	FAILS(weft_recv(fd, &byte, 1, 0), ENOTCONN);
	FAILS(weft_send(fd, &byte, 1, 0), EPIPE);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_vectors_and_relatives(void)
{
	struct sockaddr_in from;
	socklen_t len = 7;
	char head[3];
	char tail[10];
	char text[] = "hello, world";
	struct iovec out[4] = {{text, 5}, {NULL, 0}, {text + 5, 2}, {text + 7, 5}};
	struct iovec in[3] = {{head, 3}, {NULL, 0}, {tail, 9}};
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_writev(fds[0], out, 4), 12);
	char all[12];
	GIVES(weft_recv(fds[1], all, 12, MSG_WAITALL | MSG_PEEK), 12);
	GIVES(weft_readv(fds[1], in, 3), 12);
	CU_ASSERT(memcmp(head, "hel", 3) == 0 && memcmp(tail, "lo, world", 9) == 0);
	GIVES(weft_sendto(fds[1], "x", 1, MSG_NOSIGNAL, (struct sockaddr *)(void *)&from, 3), 1);
	GIVES(weft_recvfrom(fds[0], all, 12, 0, (struct sockaddr *)(void *)&from, &len), 1);
	CU_ASSERT(len == 0); /* a stream gives no source address; measured on Linux */
	FAILS(weft_recvfrom(fds[0], all, 12, 0, (struct sockaddr *)(void *)&from, NULL), EFAULT);
	GIVES(weft_write(fds[1], "y", 1), 1);
	GIVES(weft_read(fds[0], all, 12), 1);
	close_both(fds);
	kit_close(&kit);
}

static void test_recv_flags(void)
{
	struct kit kit;
	char bytes[8] = "";
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	FAILS(weft_recv(fds[1], bytes, 1, MSG_DONTWAIT), EAGAIN);
	GIVES(weft_send(fds[0], "abcdef", 6, 0), 6);
	GIVES(weft_recv(fds[1], bytes, 6, MSG_PEEK | MSG_WAITALL), 6);
	GIVES(weft_recv(fds[1], bytes, 2, MSG_PEEK), 2);
	CU_ASSERT(memcmp(bytes, "ab", 2) == 0);
	GIVES(weft_recv(fds[1], NULL, 2, MSG_TRUNC), 2); /* throws "ab" away */
	GIVES(weft_recv(fds[1], bytes, 1, 0), 1);
	CU_ASSERT(bytes[0] == 'c');
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	GIVES(weft_recv(fds[1], bytes, 8, MSG_WAITALL), 3); /* the end of the stream ends it */
	CU_ASSERT(memcmp(bytes, "def", 3) == 0);
	GIVES(weft_recv(fds[1], bytes, 8, 0), 0);
	GIVES(weft_recv(fds[1], bytes, 8, MSG_PEEK), 0);
	close_both(fds);
	kit_close(&kit);
}

static void test_receive_timeout(void)
{
	struct kit kit;
	char bytes[8];
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_set_timeout(fds[1], SO_RCVTIMEO, 50);
	weft_time_us start = clock_monotonic_us();
	FAILS(weft_recv(fds[1], bytes, 8, 0), EAGAIN);
	CU_ASSERT(clock_monotonic_us() - start >= 50 * US_PER_MS);
	GIVES(weft_send(fds[0], "abc", 3, 0), 3);
	GIVES(weft_recv(fds[1], bytes, 8, MSG_WAITALL), 3);
	close_both(fds);
	kit_close(&kit);
}

static uint64_t window_probes(struct weft_stack *stack)
{
	struct weft_stats stats;

	weft_stack_stats(stack, &stats);
	return stats.counters[C_TCP_ZERO_WND_PROBE];
}

/*
 * Fills both ends' buffers: what went in, a multiple of nothing in particular.  Full is when nothing
 * was taken since before a zero-window probe: all that may be sent is with the peer by then.
 */
static size_t fill(struct weft_stack *stack, int fd)
{
	static const char bytes[65536];
	uint64_t probes = window_probes(stack);
	size_t sum = 0;

	for (;;) {
		uint64_t now = window_probes(stack);
		ssize_t rc = weft_send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (rc < 0) {
			CU_ASSERT_FATAL(errno == EAGAIN);
			if (now > probes)
				return sum;
			kit_pause();
			continue;
		}
		sum += (size_t)rc;
		probes = window_probes(stack);
	}
}

static void test_full_buffer(void)
{
	static char bytes[65536];
	struct weft_config config = kit_config();
	struct kit kit;
	int fds[2];

	/* Windows in bytes, without a scale: a window of zero has no room for a probe's byte. */
	config.buf_max = 65535;
	config.rcvbuf = 60000;
	config.sndbuf = 60000;
	kit_open_with(&kit, config);
	kit_join(&kit, fds);
	/* A size of the user's does not follow the path: full stays full. */
	kit_set(fds[0], SOL_SOCKET, SO_SNDBUF, 60000);
	kit_set(fds[1], SOL_SOCKET, SO_RCVBUF, 60000);
	size_t sum = fill(kit.a, fds[0]);
	CU_ASSERT(sum >= 100000);
	FAILS(weft_send(fds[0], bytes, 1, MSG_DONTWAIT), EAGAIN);
	kit_set_timeout(fds[0], SO_SNDTIMEO, 50);
	FAILS(weft_send(fds[0], bytes, 1, 0), EAGAIN);
	while (sum > 0) {
		ssize_t rc = weft_recv(fds[1], bytes, sizeof(bytes), 0);
		CU_ASSERT_FATAL(rc > 0 && (size_t)rc <= sum);
		sum -= (size_t)rc;
	}
	kit_set_timeout(fds[0], SO_SNDTIMEO, 0);
	GIVES(weft_send(fds[0], bytes, 1, 0), 1);
	GIVES(weft_recv(fds[1], bytes, 1, 0), 1);
	close_both(fds);
	kit_close(&kit);
}

enum { BULK_SIZE = 5000000 };

/* A byte for each place in the stream. */
static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 17 + (i >> 16));
}

static ssize_t run_bulk_send(struct kit_call *call)
{
	uint8_t *bytes = malloc(BULK_SIZE);

	CU_ASSERT_FATAL(bytes != NULL);
	for (size_t i = 0; i < BULK_SIZE; i++)
		bytes[i] = pattern(i);
	ssize_t rc = weft_send(call->fd, bytes, BULK_SIZE, 0);
	free(bytes);
	return rc;
}

/* A blocking send returns the full count, and every byte arrives in its place. */
static void test_bulk(void)
{
	static uint8_t bytes[30011];
	struct kit_call call;
	struct kit kit;
	size_t sum = 0;
	size_t wrong = 0;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_call_start(&call, fds[0], run_bulk_send);
	while (sum < BULK_SIZE) {
		ssize_t rc = weft_recv(fds[1], bytes, sizeof(bytes), 0);
		CU_ASSERT_FATAL(rc > 0);
		for (ssize_t i = 0; i < rc; i++)
			wrong += bytes[i] != pattern(sum + (size_t)i);
		sum += (size_t)rc;
	}
	kit_call_join(&call);
	CU_ASSERT(call.rc == BULK_SIZE && sum == BULK_SIZE && wrong == 0);
	close_both(fds);
	kit_close(&kit);
}

/* As Linux: the data first, then ECONNRESET once, then 0. */
static void test_data_then_reset(void)
{
	struct kit kit;
	char bytes[8];
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_send(fds[0], "abc", 3, 0), 3);
	GIVES(weft_recv(fds[1], bytes, 3, MSG_PEEK | MSG_WAITALL), 3);
	kit_reset(fds[0]);
	/* The RST has come when the state says so. */
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	while (weft_getpeername(fds[1], (struct sockaddr *)(void *)&in, &len) == 0 &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	GIVES(weft_recv(fds[1], bytes, 8, 0), 3);
	FAILS(weft_recv(fds[1], bytes, 8, 0), ECONNRESET);
	GIVES(weft_recv(fds[1], bytes, 8, 0), 0);
	FAILS(weft_send(fds[1], bytes, 1, 0), EPIPE);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

static void test_send_after_reset(void)
{
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	struct kit kit;
	char byte;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_reset(fds[0]);
	while (weft_getpeername(fds[1], (struct sockaddr *)(void *)&in, &len) == 0 &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	FAILS(weft_send(fds[1], "x", 1, 0), ECONNRESET);
	FAILS(weft_send(fds[1], "x", 1, 0), EPIPE);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 0);
	GIVES(kit_get(fds[1], SOL_SOCKET, SO_ERROR), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_join(&kit, fds);
	kit_reset(fds[0]);
	while (weft_getpeername(fds[1], (struct sockaddr *)(void *)&in, &len) == 0 &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	GIVES(kit_get(fds[1], SOL_SOCKET, SO_ERROR), ECONNRESET);
	GIVES(kit_get(fds[1], SOL_SOCKET, SO_ERROR), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* Data and FIN that came before accept are not lost. */
static void test_events_before_accept(void)
{
	struct kit kit;
	char bytes[8];

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	GIVES(weft_send(client, "abc", 3, 0), 3);
	GIVES(weft_close(client), 0);
	for (int i = 0; i < 30; i++)
		kit_pause();
	int server = weft_accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(server > 0);
	GIVES(weft_recv(server, bytes, 8, MSG_WAITALL), 3);
	GIVES(weft_recv(server, bytes, 8, 0), 0);
	GIVES(weft_close(server), 0);
	/* A connection that was reset in the queue is given out all the same. */
	client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	GIVES(weft_send(client, "abc", 3, 0), 3);
	kit_await_conns(kit.b, 1);
	kit_reset(client);
	server = weft_accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(server > 0);
	ssize_t rc = kit_await(server);
	CU_ASSERT(rc == 1 || (rc < 0 && errno == ECONNRESET));
	GIVES(weft_close(server), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

/* Client and server on one stack, by its own address and by 127.0.0.1. */
static void test_loopback(void)
{
	static const char *const names[] = {KIT_A4, "127.0.0.1", KIT_A6, "::1"};
	struct kit kit;
	char bytes[8];

	kit_open(&kit);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int domain = strchr(names[i], ':') ? AF_INET6 : AF_INET;
		int listener = kit_listener(kit.a, domain == AF_INET ? "0.0.0.0" : "::", 80, 5);
		int client = kit_socket(kit.a, domain);
		GIVES(kit_connect(client, names[i], 80), 0);
		int server = weft_accept(listener, NULL, NULL);
		CU_ASSERT_FATAL(server > 0);
		GIVES(weft_send(client, "ping", 4, 0), 4);
		GIVES(weft_recv(server, bytes, 4, MSG_WAITALL), 4);
		GIVES(weft_send(server, "pong", 4, 0), 4);
		GIVES(weft_recv(client, bytes, 4, MSG_WAITALL), 4);
		GIVES(weft_close(client), 0);
		GIVES(weft_close(server), 0);
		GIVES(weft_close(listener), 0);
		CU_ASSERT(kit_quiet(kit.a));
	}
	kit_close(&kit);
}

static void test_blackhole_times_out(void)
{
	struct weft_config config = kit_config();
	struct kit kit;
	char byte;
	int fds[2];

	config.user_timeout_ms = 300;
	kit_open_with(&kit, config);
	kit_join(&kit, fds);
	weft_stack_close(kit.b); /* its RST ends the connection at A */
	ssize_t rc = weft_recv(fds[0], &byte, 1, 0);
	CU_ASSERT(rc == -1 && (errno == ECONNRESET || errno == ETIMEDOUT));
	FAILS(weft_recv(fds[1], &byte, 1, 0), EBADF);
	GIVES(weft_close(fds[0]), 0);
	/* Now nobody answers. */
	int client = kit_socket(kit.a, AF_INET);
	kit_set(client, IPPROTO_TCP, TCP_USER_TIMEOUT, 200);
	kit_set_timeout(client, SO_SNDTIMEO, 100);
	FAILS(kit_connect(client, KIT_B4, 80), EINPROGRESS);
	GIVES(weft_close(client), 0);
	CU_ASSERT(kit_quiet(kit.a));
	weft_stack_close(kit.a);
}

/* Reads of 'part' bytes, all of them waited for, or by SO_RCVLOWAT, from a buffer of a few segments. */
static void read_from_small(struct kit *kit, int rcvbuf, size_t part, bool by_lowat)
{
	enum { TOTAL = 100000 };

	static char bytes[TOTAL];
	int listener = kit_socket(kit->b, AF_INET), client = kit_socket(kit->a, AF_INET);
	struct kit_call call;

	kit_set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	kit_set(listener, SOL_SOCKET, SO_RCVBUF, rcvbuf);
	kit_set(listener, SOL_SOCKET, SO_RCVLOWAT, by_lowat ? TOTAL : 1);
	GIVES(kit_bind(listener, KIT_B4, 80), 0);
	GIVES(weft_listen(listener, 1), 0);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	int server = weft_accept(listener, NULL, NULL);

	CU_ASSERT_FATAL(server >= 0);
	kit_call_start(&call, client, kit_run_send);
	for (size_t got = 0; got < TOTAL;) {
		ssize_t n = weft_recv(server, bytes, part, by_lowat ? 0 : MSG_WAITALL);

		CU_ASSERT_FATAL(n > 0);
		CU_ASSERT(by_lowat || n == (ssize_t)part);
		got += (size_t)n;
	}
	GIVES(weft_close(server), 0); /* with data unread: a reset */
	kit_call_join(&call);
	GIVES(weft_close(client), 0);
	GIVES(weft_close(listener), 0);
}

/*
 * What a reader leaves lying until there is as much as it wants must leave the peer a window that it sends into:
 * else every read waited for a timer of the sender's, 0.1 s at least, a hundred of them here.
 */
static void test_small_receive_buffer(void)
{
	static const int sizes[] = {1, 1500, 2200, 3000};
	weft_time_us from = clock_monotonic_us();
	struct kit kit;

	kit_open(&kit);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		read_from_small(&kit, sizes[i], 1000, false);
		read_from_small(&kit, sizes[i], 1000, true);
		read_from_small(&kit, sizes[i], 2500, false);
	}
	CU_ASSERT(clock_monotonic_us() - from < 8 * US_PER_S);
	kit_close(&kit);
}

UNIT_MAIN("io", UNIT(small_receive_buffer), UNIT(arguments), UNIT(not_connected),
	  UNIT(vectors_and_relatives), UNIT(recv_flags), UNIT(receive_timeout), UNIT(full_buffer),
	  UNIT(bulk), UNIT(data_then_reset), UNIT(send_after_reset), UNIT(events_before_accept),
	  UNIT(loopback), UNIT(blackhole_times_out))
