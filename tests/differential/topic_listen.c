/* listen and accept: states, backlogs, arguments, what a child inherits. */
#include "diff.h"

static int connect_to(uint16_t port)
{
	struct sockaddr_in in = addr4_of(SERVER, port);
	int fd = tcp4(CLIENT);

	if (x_connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		say("connect_to", -1);
	return fd;
}

static void states(void)
{
	int fd = tcp4(SERVER);
	int pair[SIDES];
	socklen_t len = sizeof(struct sockaddr_in);
	struct sockaddr_in in;
	char byte = 0;

	say_prefix("states");
	say("accept_fresh", x_accept(fd, NULL, NULL));
	say("unbound", x_listen(fd, 1));
	(void)x_getsockname(fd, (struct sockaddr *)&in, &len);
	say_value("unbound_has_port", in.sin_port != 0);
	say("twice", x_listen(fd, 5));
	say("negative_backlog", x_listen(fd, -5));
	say("large_backlog", x_listen(fd, 1 << 30));
	say("bind_late", x_bind(fd, (struct sockaddr *)&in, sizeof(in)));
	say("recv", x_recv(fd, &byte, 1, 0));
	say("read_0", x_read(fd, &byte, 0));
	say("recv_0", x_recv(fd, &byte, 0, 0));
	say("send", x_send(fd, &byte, 1, MSG_NOSIGNAL));
	say("write_0", x_write(fd, &byte, 0));
	say("peer", x_getpeername(fd, (struct sockaddr *)&in, &len));
	in = addr4_of(SERVER, 9);
	say("connect", x_connect(fd, (struct sockaddr *)&in, sizeof(in)));
	say("shut_wr", x_shutdown(fd, SHUT_WR));
	say("shut_rd", x_shutdown(fd, SHUT_RD));
	say("shut_again", x_shutdown(fd, SHUT_RD));
	say("accept_after_shut", x_accept(fd, NULL, NULL));
	say("listen_after_shut", x_listen(fd, 1));
	(void)x_close(fd);
	make_connection(pair);
	say("connected", x_listen(pair[CLIENT], 1));
	say("connected_server", x_listen(pair[SERVER], 1));
	say("accept_connected", x_accept(pair[SERVER], NULL, NULL));
	say("accept_connected_null_len", x_accept(pair[SERVER], (struct sockaddr *)&in, NULL));
	close_both(pair);
}

static void two_listeners(void)
{
	int fd1 = tcp4(SERVER), fd2 = tcp4(SERVER);
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	int on = 1;

	say_prefix("two");
	(void)x_setsockopt(fd1, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)x_setsockopt(fd2, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	say("bind1", x_bind(fd1, (struct sockaddr *)&in, sizeof(in)));
	say("bind2", x_bind(fd2, (struct sockaddr *)&in, sizeof(in)));
	say("listen1", x_listen(fd1, 1));
	say("listen2", x_listen(fd2, 1));
	(void)x_close(fd1);
	say("listen2_then", x_listen(fd2, 1));
	(void)x_close(fd2);
}

static void accepting(void)
{
	uint16_t port;
	int listener = make_listener(&port, 5);
	struct sockaddr_in in, mine;
	socklen_t len = sizeof(in);

	say_prefix("accept");
	(void)x_fcntl(listener, F_SETFL, O_NONBLOCK);
	say("empty", x_accept(listener, NULL, NULL));
	say("empty_null_len", x_accept(listener, (struct sockaddr *)&in, NULL));
	say("flags", x_accept4(listener, NULL, NULL, 1 << 20));
	(void)x_fcntl(listener, F_SETFL, 0);
	int client = connect_to(port);
	int child = x_accept(listener, (struct sockaddr *)&in, &len);
	say("child", child < 0 ? -1 : 0);
	say_value("len", (long)len);
	(void)x_getsockname(client, (struct sockaddr *)&mine, &len);
	say_value("is_client",
		  in.sin_port == mine.sin_port && in.sin_addr.s_addr == mine.sin_addr.s_addr);
	len = sizeof(mine);
	say("peer", x_getpeername(child, (struct sockaddr *)&mine, &len));
	say_value("peer_is_client", in.sin_port == mine.sin_port);
	(void)x_getsockname(child, (struct sockaddr *)&mine, &len);
	say_value("child_port_is_listeners", ntohs(mine.sin_port) == port);
	(void)x_close(client);
	(void)x_close(child);
	client = connect_to(port);
	len = 4;
	child = x_accept(listener, (struct sockaddr *)&in, &len);
	say_with("short", child < 0 ? -1 : 0, (long)len);
	(void)x_close(client);
	(void)x_close(child);
	client = connect_to(port);
	len = (socklen_t)-1;
	say("negative_len", x_accept(listener, (struct sockaddr *)&in, &len));
	(void)x_close(client);
	(void)x_close(listener);
}

/* The options of a listener that its children have. */
static void inherited(void)
{
	static const struct {
		const char *name;
		int level, option, value;
	} options[] = {
		{"keepalive", SOL_SOCKET, SO_KEEPALIVE, 1},
		{"reuseaddr", SOL_SOCKET, SO_REUSEADDR, 1},
		{"rcvlowat", SOL_SOCKET, SO_RCVLOWAT, 5},
		{"nodelay", IPPROTO_TCP, TCP_NODELAY, 1},
		{"keepidle", IPPROTO_TCP, TCP_KEEPIDLE, 77},
		{"keepintvl", IPPROTO_TCP, TCP_KEEPINTVL, 7},
		{"keepcnt", IPPROTO_TCP, TCP_KEEPCNT, 3},
		{"user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT, 5000},
		{"linger2", IPPROTO_TCP, TCP_LINGER2, 9},
		{"ttl", IPPROTO_IP, IP_TTL, 33},
		{"tos", IPPROTO_IP, IP_TOS, 0x48},
		{"rcvbuf", SOL_SOCKET, SO_RCVBUF, 50000},
		{"sndbuf", SOL_SOCKET, SO_SNDBUF, 50000},
	};

	uint16_t port;
	int listener = make_listener(&port, 5);

	say_prefix("inherited");
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)x_setsockopt(listener, options[i].level, options[i].option, &options[i].value,
				   sizeof(int));
	int client = connect_to(port);
	int child = x_accept(listener, NULL, NULL);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int value = -1;
		socklen_t len = sizeof(value);
		int rc = x_getsockopt(child, options[i].level, options[i].option, &value, &len);

		say_with(options[i].name, rc, value);
	}
	(void)x_close(client);
	(void)x_close(child);
	(void)x_close(listener);
}

static void nonblock_children(void)
{
	uint16_t port;
	int listener = make_listener(&port, 5);

	say_prefix("flags");
	int client = connect_to(port);
	int child = x_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	say_value("accept4", x_fcntl(child, F_GETFL, 0) & O_NONBLOCK);
	(void)x_close(client);
	(void)x_close(child);
	client = connect_to(port);
	child = x_accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	say_value("accept4_cloexec", x_fcntl(child, F_GETFL, 0) & O_NONBLOCK);
	(void)x_close(client);
	(void)x_close(child);
	client = connect_to(port);
	child = x_accept(listener, NULL, NULL);
	say_value("accept", x_fcntl(child, F_GETFL, 0) & O_NONBLOCK);
	(void)x_close(client);
	(void)x_close(child);
	(void)x_close(listener);
}

void topic_listen(void)
{
	states();
	two_listeners();
	accepting();
	inherited();
	nonblock_children();
}
