/*
 * socket, bind, listen, accept, connect, names, shutdown, close, fcntl: the normal way, every errno
 * of the checklist with Linux's values, and calls that another thread ends.
 */
#include "kit.h"

static void test_socket_errnos(void)
{
	struct kit kit;

	kit_open(&kit);
	FAILS(weft_socket(kit.a, AF_UNIX, SOCK_STREAM, 0), EAFNOSUPPORT);
	FAILS(weft_socket(kit.a, 9999, SOCK_STREAM, 0), EAFNOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET, 99, 0), EINVAL);
	FAILS(weft_socket(kit.a, AF_INET, -1, 0), EINVAL);
	FAILS(weft_socket(kit.a, AF_INET, 15, 0), EINVAL);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_STREAM, 253), EPROTONOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_STREAM, -1), EINVAL);
	int fd = weft_socket(kit.a, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			     IPPROTO_TCP);
	CU_ASSERT(fd > 0);
	GIVES(weft_fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_ebadf_everywhere(void)
{
	struct kit_addr a = kit_addr(KIT_A4, 1);
	socklen_t len = sizeof(a.ss);
	char byte = 0;
	struct iovec iov = {&byte, 1};

	FAILS(weft_bind(-1, kit_sa(&a), a.len), EBADF);
	FAILS(weft_listen(-1, 1), EBADF);
	FAILS(weft_accept(-1, NULL, NULL), EBADF);
	FAILS(weft_accept4(-1, NULL, NULL, 0), EBADF);
	FAILS(weft_connect(-1, kit_sa(&a), a.len), EBADF);
	FAILS(weft_read(-1, &byte, 1), EBADF);
	FAILS(weft_readv(-1, &iov, 1), EBADF);
	FAILS(weft_recv(-1, &byte, 1, 0), EBADF);
	FAILS(weft_recvfrom(-1, &byte, 1, 0, NULL, NULL), EBADF);
	FAILS(weft_write(-1, &byte, 1), EBADF);
	FAILS(weft_writev(-1, &iov, 1), EBADF);
	FAILS(weft_send(-1, &byte, 1, 0), EBADF);
	FAILS(weft_sendto(-1, &byte, 1, 0, NULL, 0), EBADF);
	FAILS(weft_shutdown(-1, SHUT_WR), EBADF);
	FAILS(weft_close(-1), EBADF);
	FAILS(weft_getsockname(-1, kit_sa(&a), &len), EBADF);
	FAILS(weft_getpeername(-1, kit_sa(&a), &len), EBADF);
	FAILS(weft_setsockopt(-1, SOL_SOCKET, SO_KEEPALIVE, &byte, 4), EBADF);
	FAILS(weft_getsockopt(-1, SOL_SOCKET, SO_TYPE, &byte, &len), EBADF);
	FAILS(weft_fcntl(-1, F_GETFL), EBADF);
}

static void test_bind_errnos(void)
{
	struct kit_addr a4 = kit_addr(KIT_A4, 80);
	struct kit_addr a6 = kit_addr(KIT_A6, 80);
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	FAILS(weft_bind(fd, kit_sa(&a4), 3), EINVAL);
	FAILS(weft_bind(fd, NULL, a4.len), EFAULT);
	FAILS(weft_bind(fd, kit_sa(&a6), a6.len), EAFNOSUPPORT);
	FAILS(kit_bind(fd, "203.0.113.5", 80), EADDRNOTAVAIL);
	GIVES(weft_bind(fd, kit_sa(&a4), a4.len), 0);
	FAILS(weft_bind(fd, kit_sa(&a4), a4.len), EINVAL);
	int other = kit_socket(kit.a, AF_INET);
	FAILS(kit_bind(other, KIT_A4, 80), EADDRINUSE);
	FAILS(kit_bind(other, "0.0.0.0", 80), EADDRINUSE);
	GIVES(kit_bind(other, KIT_A4, 81), 0);
	int v6 = kit_socket(kit.a, AF_INET6);
	FAILS(kit_bind(v6, "2001:db8::99", 80), EADDRNOTAVAIL);
	FAILS(weft_bind(v6, kit_sa(&a4), a4.len), EINVAL);
	GIVES(kit_bind(v6, KIT_A6, 80), 0);
	GIVES(weft_close(v6), 0);
	GIVES(weft_close(other), 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static uint16_t local_port(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	GIVES(weft_getsockname(fd, (struct sockaddr *)(void *)&in, &len), 0);
	return ntohs(in.sin_port);
}

static void test_bind_port_0(void)
{
	struct weft_config config = kit_config();
	struct kit kit;

	config.port_min = 40000;
	config.port_max = 40001;
	kit_open_with(&kit, config);
	int fds[3] = {kit_socket(kit.a, AF_INET), kit_socket(kit.a, AF_INET),
		      kit_socket(kit.a, AF_INET)};
	GIVES(kit_bind(fds[0], "0.0.0.0", 0), 0);
	GIVES(kit_bind(fds[1], "0.0.0.0", 0), 0);
	uint16_t ports[2] = {local_port(fds[0]), local_port(fds[1])};
	CU_ASSERT(ports[0] >= 40000 && ports[0] <= 40001 && ports[0] + ports[1] == 80001);
	FAILS(kit_bind(fds[2], "0.0.0.0", 0), EADDRINUSE);
	FAILS(kit_connect(fds[2], KIT_B4, 80), EADDRNOTAVAIL);
	for (int i = 0; i < 3; i++)
		GIVES(weft_close(fds[i]), 0);
	kit_close(&kit);
}

static void test_dual_stack_conflicts(void)
{
	struct kit kit;

	kit_open(&kit);
	int v6 = kit_listener(kit.a, "::", 80, 5);
	int v4 = kit_socket(kit.a, AF_INET);
	FAILS(kit_bind(v4, "0.0.0.0", 80), EADDRINUSE);
	GIVES(weft_close(v6), 0);
	v6 = kit_socket(kit.a, AF_INET6);
	kit_set(v6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	GIVES(kit_bind(v6, "::", 80), 0);
	GIVES(kit_bind(v4, "0.0.0.0", 80), 0);
	GIVES(weft_close(v6), 0);
	GIVES(weft_close(v4), 0);
	kit_close(&kit);
}

static void test_listen_and_accept_errnos(void)
{
	struct sockaddr_storage ss;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	FAILS(weft_listen(fds[0], 1), EINVAL);
	FAILS(weft_accept(fds[0], NULL, NULL), EINVAL);
	int fresh = kit_socket(kit.a, AF_INET);
	FAILS(weft_accept(fresh, NULL, NULL), EINVAL);
	GIVES(weft_listen(fresh, 1), 0); /* binds by itself */
	CU_ASSERT(local_port(fresh) != 0);
	GIVES(weft_listen(fresh, 7), 0);
	GIVES(weft_listen(fresh, -1), 0);
	GIVES(weft_listen(fresh, INT32_MAX), 0);
	FAILS(weft_accept4(fresh, NULL, NULL, 0x10), EINVAL);
	FAILS(weft_accept(fresh, (struct sockaddr *)&ss, NULL), EFAULT);
	GIVES(weft_fcntl(fresh, F_SETFL, O_NONBLOCK), 0);
	FAILS(weft_accept(fresh, NULL, NULL), EAGAIN);
	kit_set_timeout(fresh, SO_RCVTIMEO, 30);
	GIVES(weft_fcntl(fresh, F_SETFL, 0), 0);
	FAILS(weft_accept(fresh, NULL, NULL), EAGAIN);
	FAILS(kit_connect(fresh, KIT_B4, 80), EISCONN);
	for (int i = 0; i < 2; i++)
		GIVES(weft_close(fds[i]), 0);
	GIVES(weft_close(fresh), 0);
	kit_close(&kit);
}

static void test_accept_names_and_flags(void)
{
	struct sockaddr_in peer;
	socklen_t len = 4;
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	GIVES(weft_fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	int client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	GIVES(weft_fcntl(listener, F_SETFL, 0), 0);
	memset(&peer, 0xee, sizeof(peer));
	GIVES(weft_fcntl(listener, F_SETFL, 0), 0);
	int server = weft_accept(listener, (struct sockaddr *)(void *)&peer, &len);
	CU_ASSERT_FATAL(server > 0);
	CU_ASSERT(len == sizeof(peer) && peer.sin_family == AF_INET);
	CU_ASSERT(peer.sin_port == htons(local_port(client)) && peer.sin_addr.s_addr == 0xeeeeeeee);
	GIVES(weft_fcntl(server, F_GETFL), O_RDWR);
	len = sizeof(peer);
	GIVES(weft_getpeername(client, (struct sockaddr *)(void *)&peer, &len), 0);
	CU_ASSERT(peer.sin_port == htons(80));
	int client2 = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client2, KIT_B4, 80), 0);
	int server2 = weft_accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CU_ASSERT_FATAL(server2 > 0);
	GIVES(weft_fcntl(server2, F_GETFL), O_RDWR | O_NONBLOCK);
	const int all[] = {client, client2, server, server2, listener};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		GIVES(weft_close(all[i]), 0);
	kit_close(&kit);
}

/* A connects until no handshake completes any more; how many did. */
static int fill_backlog(struct kit *kit, int backlog, int *clients)
{
	int listener = kit_listener(kit->b, KIT_B4, 80, backlog);
	int done = 0;

	for (int i = 0; i < 6; i++) {
		clients[i] = kit_socket(kit->a, AF_INET);
		kit_set_timeout(clients[i], SO_SNDTIMEO, 200);
		if (kit_connect(clients[i], KIT_B4, 80) != 0)
			continue;
		/* Only then the next SYN finds the queue as it is. */
		kit_await_conns(kit->b, (uint64_t)++done);
	}
	for (int i = 0; i < 6; i++)
		GIVES(weft_close(clients[i]), 0);
	GIVES(weft_close(listener), 0);
	return done;
}

/* As on Linux: backlog + 1 connections. */
static void test_listen_backlog(void)
{
	struct kit kit;
	int clients[6];

	kit_open(&kit);
	CU_ASSERT(fill_backlog(&kit, 2, clients) == 3);
	CU_ASSERT(kit_quiet(kit.b));
	CU_ASSERT(fill_backlog(&kit, 0, clients) == 1);
	kit_close(&kit);
}

static void test_connect_errnos(void)
{
	struct kit_addr b6 = kit_addr(KIT_B6, 80);
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	FAILS(weft_connect(fd, kit_sa(&b6), b6.len), EAFNOSUPPORT);
	FAILS(weft_connect(fd, kit_sa(&b6), 3), EINVAL);
	FAILS(weft_connect(fd, NULL, 16), EFAULT);
	FAILS(kit_connect(fd, KIT_B4, 81), ECONNREFUSED);
	FAILS(kit_connect(fd, KIT_B4, 81), ECONNREFUSED); /* a retry is a new attempt */
	GIVES(weft_close(fd), 0);
	kit_join(&kit, fds);
	FAILS(kit_connect(fds[0], KIT_B4, 80), EISCONN);
	for (int i = 0; i < 2; i++)
		GIVES(weft_close(fds[i]), 0);
	fd = kit_socket(kit.a, AF_INET6);
	kit_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	FAILS(kit_connect(fd, "::ffff:192.0.2.2", 80), ENETUNREACH);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* The device reaches everything in a family that the stack has an address of. */
static void test_connect_no_route(void)
{
	struct weft_config config = kit_config();
	struct weft_dev *ends[2];

	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 16) == 0);
	ends[1]->close(ends[1]);
	config.dev = ends[0];
	config.addr = KIT_A4 "/24";
	struct weft_stack *stack = weft_stack_open(&config, NULL, 0);
	CU_ASSERT_FATAL(stack != NULL);
	int fd = kit_socket(stack, AF_INET6);
	FAILS(kit_connect(fd, KIT_B6, 80), ENETUNREACH);
	GIVES(weft_close(fd), 0);
	weft_stack_close(stack);
}

static void test_connect_times_out(void)
{
	struct weft_config config = kit_config();
	struct kit kit;

	config.syn_timeout_ms = 300;
	kit_open_with(&kit, config);
	int fd = kit_socket(kit.a, AF_INET);
	FAILS(kit_connect(fd, "192.0.2.77", 80), ETIMEDOUT);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_connect_nonblocking(void)
{
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int fd = weft_socket(kit.a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(kit_connect(fd, KIT_B4, 80), EINPROGRESS);
	int server = weft_accept(listener, NULL, NULL);
	CU_ASSERT(server > 0);
	/* 0 once the handshake is complete, then EISCONN. */
	while (kit_connect(fd, KIT_B4, 80) < 0 && errno == EALREADY &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	FAILS(kit_connect(fd, KIT_B4, 80), EISCONN);
	GIVES(kit_get(fd, SOL_SOCKET, SO_ERROR), 0);
	GIVES(weft_send(fd, "x", 1, 0), 1);
	int silent = weft_socket(kit.a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(kit_connect(silent, "192.0.2.77", 80), EINPROGRESS);
	FAILS(kit_connect(silent, "192.0.2.77", 80), EALREADY);
	/* A call that blocks says the same when its time is over. */
	kit_set_timeout(silent, SO_SNDTIMEO, 20);
	GIVES(weft_fcntl(silent, F_SETFL, 0), 0);
	FAILS(kit_connect(silent, "192.0.2.77", 80), EALREADY);
	int slow = weft_socket(kit.a, AF_INET, SOCK_STREAM, 0);
	kit_set_timeout(slow, SO_SNDTIMEO, 20);
	FAILS(kit_connect(slow, "192.0.2.77", 80), EINPROGRESS);
	FAILS(kit_connect(slow, "192.0.2.77", 80), EALREADY);
	int refused = weft_socket(kit.a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(kit_connect(refused, KIT_B4, 81), EINPROGRESS);
	while (kit_connect(refused, KIT_B4, 81) < 0 && errno == EALREADY &&
	       clock_monotonic_us() < deadline)
		kit_pause();
	CU_ASSERT(errno == ECONNREFUSED);
	const int all[] = {fd, server, silent, slow, refused, listener};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		GIVES(weft_close(all[i]), 0);
	kit_close(&kit);
}

static void test_so_error_of_refused_connect(void)
{
	weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
	struct kit kit;
	int error = 0;

	kit_open(&kit);
	int fd = weft_socket(kit.a, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FAILS(kit_connect(fd, KIT_B4, 81), EINPROGRESS);
	while (error == 0 && clock_monotonic_us() < deadline) {
		error = kit_get(fd, SOL_SOCKET, SO_ERROR);
		kit_pause();
	}
	CU_ASSERT(error == ECONNREFUSED);
	GIVES(kit_get(fd, SOL_SOCKET, SO_ERROR), 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_names(void)
{
	struct sockaddr_storage ss;
	struct sockaddr *sa = (struct sockaddr *)&ss;
	socklen_t len = sizeof(ss);
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	GIVES(weft_getsockname(fd, sa, &len), 0);
	CU_ASSERT(len == sizeof(struct sockaddr_in) && local_port(fd) == 0);
	FAILS(weft_getpeername(fd, sa, &len), ENOTCONN);
	FAILS(weft_getsockname(fd, NULL, &len), EFAULT);
	FAILS(weft_getsockname(fd, sa, NULL), EFAULT);
	len = (socklen_t)-1;
	FAILS(weft_getsockname(fd, sa, &len), EINVAL);
	GIVES(weft_close(fd), 0);
	kit_join(&kit, fds);
	char text[INET_ADDRSTRLEN];
	struct sockaddr_in in;
	len = sizeof(in);
	GIVES(weft_getsockname(fds[0], (struct sockaddr *)(void *)&in, &len), 0);
	CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)), KIT_A4);
	kit_reset(fds[1]);
	FAILS(kit_await(fds[0]), ECONNRESET);
	len = sizeof(in);
	FAILS(weft_getpeername(fds[0], (struct sockaddr *)(void *)&in, &len), ENOTCONN);
	FAILS(weft_shutdown(fds[0], SHUT_RDWR), ENOTCONN);
	GIVES(weft_close(fds[0]), 0);
	kit_close(&kit);
}

static void test_ipv6_and_dual_stack(void)
{
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);
	char text[INET6_ADDRSTRLEN];
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, "::", 80, 5);
	int v6 = kit_socket(kit.a, AF_INET6);
	GIVES(kit_connect(v6, KIT_B6, 80), 0);
	int server6 = weft_accept(listener, (struct sockaddr *)(void *)&peer, &len);
	CU_ASSERT(server6 > 0 && len == sizeof(peer));
	CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)), KIT_A6);
	int v4 = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(v4, KIT_B4, 80), 0);
	int server4 = weft_accept(listener, (struct sockaddr *)(void *)&peer, &len);
	CU_ASSERT(server4 > 0 && peer.sin6_family == AF_INET6);
	CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)),
			       "::ffff:" KIT_A4);
	int mapped = kit_socket(kit.a, AF_INET6);
	GIVES(kit_connect(mapped, "::ffff:" KIT_B4, 80), 0);
	const int all[] = {v6, server6, v4, server4, mapped, listener};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		GIVES(weft_close(all[i]), 0);
	kit_close(&kit);
}

static void test_half_close(void)
{
	struct kit kit;
	char bytes[8];
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	FAILS(weft_shutdown(fds[0], 7), EINVAL);
	GIVES(weft_send(fds[0], "ask", 3, 0), 3);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	FAILS(weft_send(fds[0], "x", 1, 0), EPIPE);
	GIVES(weft_recv(fds[1], bytes, 8, MSG_WAITALL), 3);
	GIVES(weft_recv(fds[1], bytes, 8, 0), 0);
	GIVES(weft_send(fds[1], "answer", 6, 0), 6);
	GIVES(weft_recv(fds[0], bytes, 6, MSG_WAITALL), 6);
	GIVES(weft_close(fds[1]), 0);
	GIVES(weft_recv(fds[0], bytes, 8, 0), 0);
	GIVES(weft_close(fds[0]), 0);
	int fresh = kit_socket(kit.a, AF_INET);
	FAILS(weft_shutdown(fresh, SHUT_WR), ENOTCONN);
	FAILS(weft_shutdown(fresh, 7), EINVAL);
	GIVES(weft_close(fresh), 0);
	kit_close(&kit);
}

/* One call of each kind is ended by 'end', which must give the call that result. */
static void end_blocked(struct kit_call *call, ssize_t rc, int error)
{
	kit_call_join(call);
	if (call->rc != rc || (rc < 0 && call->error != error))
		printf("blocked call: %zd, %s\n", call->rc, strerrorname_np(call->error));
	CU_ASSERT(call->rc == rc);
	CU_ASSERT(rc >= 0 || call->error == error);
}

static void test_shutdown_wakes(void)
{
	struct kit_call call;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_call_start(&call, fds[0], kit_run_recv);
	GIVES(weft_shutdown(fds[0], SHUT_RD), 0);
	end_blocked(&call, 0, 0);
	kit_call_start(&call, fds[0], kit_run_send);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	end_blocked(&call, -1, EPIPE);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	kit_call_start(&call, listener, kit_run_accept);
	GIVES(weft_shutdown(listener, SHUT_RD), 0);
	end_blocked(&call, -1, EINVAL);
	FAILS(weft_accept(listener, NULL, NULL), EINVAL);
	GIVES(weft_close(listener), 0);
	for (int i = 0; i < 2; i++)
		GIVES(weft_close(fds[i]), 0);
	kit_close(&kit);
}

static void test_close_wakes_with_ebadf(void)
{
	struct kit_call call;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_call_start(&call, fds[0], kit_run_recv);
	GIVES(weft_close(fds[0]), 0);
	end_blocked(&call, -1, EBADF);
	char byte;
	GIVES(weft_recv(fds[1], &byte, 1, 0), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_join(&kit, fds);
	kit_call_start(&call, fds[0], kit_run_send);
	GIVES(weft_close(fds[0]), 0);
	end_blocked(&call, -1, EBADF);
	GIVES(weft_close(fds[1]), 0);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	kit_call_start(&call, listener, kit_run_accept);
	GIVES(weft_close(listener), 0);
	end_blocked(&call, -1, EBADF);
	int client = kit_socket(kit.a, AF_INET);
	kit_call_start(&call, client, kit_run_connect);
	GIVES(weft_close(client), 0);
	end_blocked(&call, -1, EBADF);
	kit_close(&kit);
}

static void test_linger(void)
{
	static const char bytes[100000];
	struct kit kit;
	char byte;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_reset(fds[0]);
	FAILS(kit_await(fds[1]), ECONNRESET);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_join(&kit, fds);
	kit_set_linger(fds[0], 5);
	GIVES(weft_send(fds[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	GIVES(weft_close(fds[0]), 0);
	GIVES(kit_await(fds[1]), 1);
	GIVES(weft_close(fds[1]), 0);
	/* Unread data: the peer is told by a RST. */
	kit_join(&kit, fds);
	GIVES(weft_send(fds[0], "x", 1, 0), 1);
	GIVES(kit_await(fds[1]), 1);
	GIVES(weft_close(fds[1]), 0);
	FAILS(kit_await(fds[0]), ECONNRESET);
	GIVES(weft_close(fds[0]), 0);
	kit_close(&kit);
}

static void test_fcntl(void)
{
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	GIVES(weft_fcntl(fd, F_GETFL), O_RDWR);
	GIVES(weft_fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND), 0);
	GIVES(weft_fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	GIVES(weft_fcntl(fd, F_SETFL, 0), 0);
	GIVES(weft_fcntl(fd, F_GETFL), O_RDWR);
	FAILS(weft_fcntl(fd, 12345), EINVAL);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* Closing a listener resets what was not accepted. */
static void test_close_of_listener(void)
{
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	GIVES(weft_close(listener), 0);
	FAILS(kit_await(client), ECONNRESET);
	GIVES(weft_close(client), 0);
	kit_close(&kit);
}

/* bind over TIME-WAIT needs SO_REUSEADDR. */
static void test_bind_over_time_wait(void)
{
	struct weft_config config = kit_config();
	struct kit kit;
	int fds[2];
	char byte;

	config.time_wait_ms = 1500;
	kit_open_with(&kit, config);
	kit_join(&kit, fds);
	GIVES(weft_close(fds[1]), 0); /* B closes first: B's port 80 waits */
	GIVES(weft_recv(fds[0], &byte, 1, 0), 0);
	GIVES(weft_close(fds[0]), 0);
	int fd = kit_socket(kit.b, AF_INET);
	FAILS(kit_bind(fd, KIT_B4, 80), EADDRINUSE);
	kit_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	GIVES(kit_bind(fd, KIT_B4, 80), 0);
	GIVES(weft_listen(fd, 5), 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

UNIT_MAIN("socket", UNIT(socket_errnos), UNIT(ebadf_everywhere), UNIT(bind_errnos),
	  UNIT(bind_port_0), UNIT(dual_stack_conflicts), UNIT(listen_and_accept_errnos),
	  UNIT(accept_names_and_flags), UNIT(listen_backlog), UNIT(connect_errnos),
	  UNIT(connect_no_route), UNIT(connect_times_out), UNIT(connect_nonblocking),
	  UNIT(so_error_of_refused_connect), UNIT(names), UNIT(ipv6_and_dual_stack),
	  UNIT(half_close), UNIT(shutdown_wakes), UNIT(close_wakes_with_ebadf), UNIT(linger),
	  UNIT(fcntl), UNIT(close_of_listener), UNIT(bind_over_time_wait))
