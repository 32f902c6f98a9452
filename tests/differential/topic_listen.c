/* listen and accept: states, backlogs, arguments, what a child inherits. */
#include "diff.h"

#include <stdio.h>
#include <sys/time.h>

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

/* How many clients get through to a listener that nobody accepts from. */
static void backlogs(void)
{
	enum { MANY = 6, SHORT_MS = 100 };

	say_prefix("backlog");
	for (int backlog = -1; backlog <= 2; backlog++) {
		int fds[MANY], n = 0;
		uint16_t port;
		int listener = make_listener(&port, backlog);
		struct pollfd p = {.events = POLLOUT};
		char name[16];

		do {
			p.fd = fds[n++] = tcp4(CLIENT);
			(void)x_fcntl(p.fd, F_SETFL, O_NONBLOCK);
			(void)connect4(p.fd, addr4_of(SERVER, port));
		} while (n < MANY && x_poll(CLIENT, &p, 1, SHORT_MS) == 1);
		(void)snprintf(name, sizeof(name), "through_%d", backlog);
		say_value(name, n - 1);
		/* Whoever waits outside comes in when there is room; a SYN's repetition takes a second. */
		if (backlog == 0) {
			(void)x_close(x_accept(listener, NULL, NULL));
			say("late", x_poll(CLIENT, &p, 1, 5000));
		}
		(void)x_close(listener);
		while (n > 0)
			(void)x_close(fds[--n]);
	}
}

/* Those that are no int, or that belong to a listener. */
static void inherited_more(void)
{
	static const struct linger linger = {1, 7};
	static const struct timeval rcv = {3, 0}, snd = {4, 0};
	uint16_t port;
	int listener = make_listener(&port, 5), on = 1, tries = 3;
	struct linger got_linger = {0, 0};
	struct timeval tv = {0, 0};
	char name[16] = "";
	socklen_t len = sizeof(got_linger);

	say_prefix("inherited");
	(void)x_setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)x_setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &rcv, sizeof(rcv));
	(void)x_setsockopt(listener, SOL_SOCKET, SO_SNDTIMEO, &snd, sizeof(snd));
	(void)x_setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	set_int(listener, SOL_SOCKET, SO_OOBINLINE, on);
	set_int(listener, SOL_SOCKET, SO_REUSEPORT, on);
	set_int(listener, IPPROTO_TCP, TCP_CORK, on);
	set_int(listener, IPPROTO_TCP, TCP_SYNCNT, tries);
	set_int(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	set_int(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	set_int(listener, IPPROTO_IP, IP_MINTTL, 3);
	set_int(listener, IPPROTO_IP, IP_RECVERR, on);
	set_int(listener, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	int client = connect_to(port);
	int child = x_accept(listener, NULL, NULL);
	(void)x_getsockopt(child, SOL_SOCKET, SO_LINGER, &got_linger, &len);
	say_value("linger", got_linger.l_onoff * 100L + got_linger.l_linger);
	len = sizeof(tv);
	(void)x_getsockopt(child, SOL_SOCKET, SO_RCVTIMEO, &tv, &len);
	say_value("rcvtimeo", tv.tv_sec);
	(void)x_getsockopt(child, SOL_SOCKET, SO_SNDTIMEO, &tv, &len);
	say_value("sndtimeo", tv.tv_sec);
	len = sizeof(name);
	(void)x_getsockopt(child, IPPROTO_TCP, TCP_CONGESTION, name, &len);
	say_text("congestion", name);

	static const struct {
		const char *name;
		int level, option;
	} ints[] = {
		{"oobinline", SOL_SOCKET, SO_OOBINLINE},
		{"reuseport", SOL_SOCKET, SO_REUSEPORT},
		{"acceptconn", SOL_SOCKET, SO_ACCEPTCONN},
		{"cork", IPPROTO_TCP, TCP_CORK},
		{"syncnt", IPPROTO_TCP, TCP_SYNCNT},
		{"defer_accept", IPPROTO_TCP, TCP_DEFER_ACCEPT},
		{"minttl", IPPROTO_IP, IP_MINTTL},
		{"recverr", IPPROTO_IP, IP_RECVERR},
		{"mtu_discover", IPPROTO_IP, IP_MTU_DISCOVER},
	};

	for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
		int value = -1;

		len = sizeof(value);
		(void)x_getsockopt(child, ints[i].level, ints[i].option, &value, &len);
		say_value(ints[i].name, value);
	}
	(void)x_close(client);
	(void)x_close(child);
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
	backlogs();
	inherited();
	inherited_more();
	nonblock_children();
}
