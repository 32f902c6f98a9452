/* connect: states, arguments, refusals, non-blocking connections and how they end. */
#include "diff.h"

static void arguments(void)
{
	struct sockaddr_in in = addr4_of(SERVER, 1);
	struct sockaddr_in6 in6 = addr6_of(SERVER, 1);
	int fd = tcp4(CLIENT);

	say_prefix("arguments");
	say("null", x_connect(fd, NULL, sizeof(in)));
	say("null_0", x_connect(fd, NULL, 0));
	say("short_0", x_connect(fd, (struct sockaddr *)&in, 0));
	say("short_1", x_connect(fd, (struct sockaddr *)&in, 1));
	say("short_2", x_connect(fd, (struct sockaddr *)&in, 2));
	say("short_15", x_connect(fd, (struct sockaddr *)&in, 15));
	say("negative", x_connect(fd, (struct sockaddr *)&in, (socklen_t)-1));
	say("too_long", x_connect(fd, (struct sockaddr *)&in, 129));
	say("6_on_4", x_connect(fd, (struct sockaddr *)&in6, sizeof(in6)));
	in.sin_family = AF_UNIX;
	say("unix_on_4", connect4(fd, in));
	in.sin_family = AF_UNSPEC;
	say("unspec", connect4(fd, in));
	say("multicast", connect4(fd, (struct sockaddr_in){.sin_family = AF_INET,
							   .sin_port = htons(9),
							   .sin_addr.s_addr = htonl(0xe0000001)}));
	say("broadcast", connect4(fd, (struct sockaddr_in){.sin_family = AF_INET,
							   .sin_port = htons(9),
							   .sin_addr.s_addr = htonl(0xffffffff)}));
	(void)x_close(fd);
	fd = x_socket(CLIENT, AF_INET6, SOCK_STREAM, 0);
	in = addr4_of(SERVER, 1);
	say("4_on_6", connect4(fd, in));
	say("short_6", x_connect(fd, (struct sockaddr *)&in6, 23));
	in6.sin6_addr.s6_addr[0] = 0xff;
	in6.sin6_addr.s6_addr[1] = 0x0e;
	say("multicast6", x_connect(fd, (struct sockaddr *)&in6, sizeof(in6)));
	(void)x_close(fd);
}

static void refused(void)
{
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	char byte = 0;
	int fd = tcp4(CLIENT);

	say_prefix("refused");
	say("connect", connect4(fd, in));
	say_value("error_after", so_error(fd));
	say("peer", x_getpeername(fd, (struct sockaddr *)&name, &len));
	say("recv", x_recv(fd, &byte, 1, 0));
	say("send", x_send(fd, &byte, 1, MSG_NOSIGNAL));
	say("shutdown", x_shutdown(fd, SHUT_RDWR));
	say("again", connect4(fd, in));
	uint16_t port;
	int listener = make_listener(&port, 1);
	say("then_accepted", connect4(fd, addr4_of(SERVER, port)));
	(void)x_close(fd);
	(void)x_close(listener);
}

static void dual(void)
{
	uint16_t port;
	int listener = make_listener(&port, 5);
	struct sockaddr_in in = addr4_of(SERVER, port);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in6 name;
	socklen_t len = sizeof(name);
	int on = 1;

	memset(in6.sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
	say_prefix("mapped");
	int fd = x_socket(CLIENT, AF_INET6, SOCK_STREAM, 0);
	say("connect", x_connect(fd, (struct sockaddr *)&in6, sizeof(in6)));
	say_with("peer", x_getpeername(fd, (struct sockaddr *)&name, &len), (long)len);
	say_value("peer_is_mapped", IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
	(void)x_getsockname(fd, (struct sockaddr *)&name, &len);
	say_value("name_is_mapped", IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
	(void)x_close(fd);
	fd = x_socket(CLIENT, AF_INET6, SOCK_STREAM, 0);
	(void)x_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	say("v6only", x_connect(fd, (struct sockaddr *)&in6, sizeof(in6)));
	(void)x_close(fd);
	(void)x_close(listener);
}

/* A dual-stack listener takes IPv4; a child of it has a mapped peer. */
static void dual_listener(void)
{
	uint16_t port = fresh_port();
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in6 name;
	socklen_t len = sizeof(name);
	int listener = x_socket(SERVER, AF_INET6, SOCK_STREAM, 0);

	say_prefix("dual");
	say("bind", x_bind(listener, (struct sockaddr *)&in6, sizeof(in6)));
	say("listen", x_listen(listener, 5));
	int fd = tcp4(CLIENT);
	say("four", connect4(fd, addr4_of(SERVER, port)));
	int child = x_accept(listener, (struct sockaddr *)&name, &len);
	say_with("child", child < 0 ? -1 : 0, (long)len);
	say_value("is_mapped", IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
	(void)x_close(child);
	(void)x_close(fd);
	fd = x_socket(CLIENT, AF_INET6, SOCK_STREAM, 0);
	in6 = addr6_of(SERVER, port);
	say("six", x_connect(fd, (struct sockaddr *)&in6, sizeof(in6)));
	child = x_accept(listener, (struct sockaddr *)&name, &len);
	say_value("six_is_mapped", IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
	(void)x_close(child);
	(void)x_close(fd);
	(void)x_close(listener);
}

static void connected(void)
{
	int fd[SIDES];
	struct sockaddr_in in = addr4_of(CLIENT, 9);
	struct sockaddr_in name;
	socklen_t len = sizeof(name);

	say_prefix("connected");
	make_connection(fd);
	say("again", connect4(fd[CLIENT], in));
	say("server", connect4(fd[SERVER], in));
	say("bind", x_bind(fd[CLIENT], (struct sockaddr *)&in, sizeof(in)));
	say("name", x_getsockname(fd[CLIENT], (struct sockaddr *)&name, &len));
	say_value("has_port", name.sin_port != 0);
	say_value("has_addr", name.sin_addr.s_addr != 0);
	say("peer_null_len", x_getpeername(fd[CLIENT], (struct sockaddr *)&name, NULL));
	len = (socklen_t)-1;
	say("peer_negative", x_getpeername(fd[CLIENT], (struct sockaddr *)&name, &len));
	say_value("error", so_error(fd[CLIENT]));
	close_both(fd);
}

static void wait_connected(int fd)
{
	struct timeval half = {5, 0};

	(void)x_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &half, sizeof(half));
	(void)x_fcntl(fd, F_SETFL, 0);
}

static void nonblocking(void)
{
	uint16_t port;
	int listener = make_listener(&port, 5);
	struct sockaddr_in in = addr4_of(SERVER, port);
	int fd = tcp4(CLIENT);

	say_prefix("nonblock");
	(void)x_fcntl(fd, F_SETFL, O_NONBLOCK);
	int rc = connect4(fd, in);
	say_value("begins", rc == 0 || errno == EINPROGRESS);
	int child = x_accept(listener, NULL, NULL);
	say("child", child < 0 ? -1 : 0);
	(void)x_send(child, "x", 1, 0);
	wait_connected(fd);
	char byte;
	say("recv", x_recv(fd, &byte, 1, 0));
	(void)x_fcntl(fd, F_SETFL, O_NONBLOCK);
	say("again", connect4(fd, in));
	say_value("error", so_error(fd));
	(void)x_close(fd);
	(void)x_close(child);
	(void)x_close(listener);
}

/* As event loops do it: EINPROGRESS, POLLOUT, SO_ERROR. */
static void by_loop(void)
{
	uint16_t port;
	int listener = make_listener(&port, 5), fd = tcp4(CLIENT);
	struct sockaddr_in name = {0};
	socklen_t len = sizeof(name);

	say_prefix("loop");
	(void)x_fcntl(fd, F_SETFL, O_NONBLOCK);
	int rc = connect4(fd, addr4_of(SERVER, port));
	say_value("begins", rc == 0 || errno == EINPROGRESS);
	say("name", x_getsockname(fd, (struct sockaddr *)&name, &len));
	say_value("has_port", name.sin_port != 0);
	say_value("has_addr", name.sin_addr.s_addr != 0);
	wait_for(CLIENT, fd, POLLOUT);
	say_value("error", so_error(fd));
	say("peer", x_getpeername(fd, (struct sockaddr *)&name, &len));
	say_value("peer_port", ntohs(name.sin_port) == port);
	name = addr4_of(CLIENT, 0);
	say("bind", x_bind(fd, (struct sockaddr *)&name, sizeof(name)));
	say("send", x_send(fd, "x", 1, 0));
	(void)x_close(fd);
	(void)x_close(listener);
}

static void bound_client(void)
{
	uint16_t port;
	int listener = make_listener(&port, 5);
	uint16_t own = fresh_port();
	struct sockaddr_in in = addr4_of(CLIENT, own);
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	int fd = tcp4(CLIENT);

	say_prefix("bound");
	say("bind", x_bind(fd, (struct sockaddr *)&in, sizeof(in)));
	say("connect", connect4(fd, addr4_of(SERVER, port)));
	int child = x_accept(listener, (struct sockaddr *)&name, &len);
	say_value("from_there", ntohs(name.sin_port) == own);
	int second = tcp4(CLIENT);
	say("taken", x_bind(second, (struct sockaddr *)&in, sizeof(in)));
	(void)x_close(second);
	(void)x_close(fd);
	(void)x_close(child);
	(void)x_close(listener);
}

void topic_connect(void)
{
	arguments();
	refused();
	dual();
	dual_listener();
	connected();
	nonblocking();
	by_loop();
	bound_client();
}
