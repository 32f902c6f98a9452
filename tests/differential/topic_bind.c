/* bind and getsockname: addresses, lengths, ports taken, SO_REUSEADDR. */
#include "diff.h"

#include <stdio.h>

static int tcp6(void)
{
	return x_socket(SERVER, AF_INET6, SOCK_STREAM, 0);
}

static int bind4(int fd, struct sockaddr_in in)
{
	return x_bind(fd, (struct sockaddr *)&in, sizeof(in));
}

static int bind6(int fd, struct sockaddr_in6 in6)
{
	return x_bind(fd, (struct sockaddr *)&in6, sizeof(in6));
}

static void addresses(void)
{
	struct sockaddr_in in = addr4_of(SERVER, 0);
	struct sockaddr_in6 in6 = addr6_of(SERVER, 0);
	socklen_t len = sizeof(in);
	int fd = tcp4(SERVER);

	say_prefix("addresses");
	say("own", bind4(fd, in));
	say("again", bind4(fd, in));
	say("name", x_getsockname(fd, (struct sockaddr *)&in, &len));
	say_value("name_len", (long)len);
	say_value("name_has_port", in.sin_port != 0);
	say_value("name_is_own", in.sin_addr.s_addr == addr4_of(SERVER, 0).sin_addr.s_addr);
	(void)x_close(fd);
	fd = tcp4(SERVER);
	say("strange", bind4(fd, strange_addr4(0)));
	say("own_after_strange", bind4(fd, addr4_of(SERVER, 0)));
	(void)x_close(fd);
	fd = tcp4(SERVER);
	in = (struct sockaddr_in){.sin_family = AF_INET};
	say("any", bind4(fd, in));
	len = sizeof(in);
	(void)x_getsockname(fd, (struct sockaddr *)&in, &len);
	say_value("any_stays_any", in.sin_addr.s_addr == 0);
	(void)x_close(fd);
	fd = tcp6();
	say("own6", bind6(fd, in6));
	len = sizeof(in6);
	say("name6", x_getsockname(fd, (struct sockaddr *)&in6, &len));
	say_value("name6_len", (long)len);
	say_value("name6_family", in6.sin6_family);
	(void)x_close(fd);
}

static void lengths(void)
{
	struct sockaddr_in in = addr4_of(SERVER, 0);
	struct sockaddr_in6 in6 = addr6_of(SERVER, 0);
	static const socklen_t sizes[] = {0, 1, 2, 8, 15, 16, 17, 28, 128, 129};
	char name[16] = "v4_";

	say_prefix("lengths");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sockaddr_storage big = {0};
		int fd = tcp4(SERVER);

		memcpy(&big, &in, sizeof(in));
		name[3] = (char)('0' + (int)i);
		say(name, x_bind(fd, (struct sockaddr *)&big, sizes[i]));
		(void)x_close(fd);
	}
	name[1] = '6';
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sockaddr_storage big = {0};
		int fd = tcp6();

		memcpy(&big, &in6, sizeof(in6));
		name[3] = (char)('0' + (int)i);
		say(name, x_bind(fd, (struct sockaddr *)&big, sizes[i]));
		(void)x_close(fd);
	}
	int fd = tcp4(SERVER);
	say("null", x_bind(fd, NULL, sizeof(in)));
	say("null_0", x_bind(fd, NULL, 0));
	say("negative", x_bind(fd, (struct sockaddr *)&in, (socklen_t)-1));
	(void)x_close(fd);
}

static void families(void)
{
	struct sockaddr_in in = addr4_of(SERVER, 0);
	struct sockaddr_in6 in6 = addr6_of(SERVER, 0);
	struct sockaddr_in any = {.sin_family = AF_UNSPEC};
	int fd = tcp4(SERVER);

	say_prefix("families");
	say("6_on_4", bind6(fd, in6));
	in.sin_family = AF_UNIX;
	say("unix_on_4", bind4(fd, in));
	in.sin_family = 0xffff;
	say("odd_on_4", bind4(fd, in));
	say("unspec_any_on_4", bind4(fd, any));
	(void)x_close(fd);
	fd = tcp4(SERVER);
	any.sin_addr = addr4_of(SERVER, 0).sin_addr;
	say("unspec_own_on_4", bind4(fd, any));
	(void)x_close(fd);
	fd = tcp6();
	struct sockaddr_storage big = {0};
	in = addr4_of(SERVER, 0);
	memcpy(&big, &in, sizeof(in));
	say("4_on_6_long", x_bind(fd, (struct sockaddr *)&big, sizeof(in6)));
	say("4_on_6", bind4(fd, in));
	in6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
	memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
	memset(in6.sin6_addr.s6_addr + 10, 0xff, 2);
	say("mapped_on_6", bind6(fd, in6));
	(void)x_close(fd);
	fd = tcp6();
	int on = 1;
	say("v6only", x_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	say("mapped_on_v6only", bind6(fd, in6));
	say("any6_on_v6only", bind6(fd, (struct sockaddr_in6){.sin6_family = AF_INET6}));
	say("v6only_once_bound", x_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	(void)x_close(fd);
}

/* A second bind to the port of a first; both have SO_REUSEADDR or not, and the first listens or not. */
static void second_bind(const char *name, bool reuse1, bool reuse2, bool listens, bool any2)
{
	int fd1 = tcp4(SERVER), fd2 = tcp4(SERVER);
	int on1 = reuse1, on2 = reuse2;
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());

	(void)x_setsockopt(fd1, SOL_SOCKET, SO_REUSEADDR, &on1, sizeof(on1));
	(void)x_setsockopt(fd2, SOL_SOCKET, SO_REUSEADDR, &on2, sizeof(on2));
	(void)bind4(fd1, in);
	if (listens)
		(void)x_listen(fd1, 1);
	if (any2)
		in.sin_addr.s_addr = 0;
	say(name, bind4(fd2, in));
	(void)x_close(fd1);
	(void)x_close(fd2);
}

static void taken(void)
{
	say_prefix("taken");
	second_bind("plain", false, false, false, false);
	second_bind("plain_any", false, false, false, true);
	second_bind("first_reuses", true, false, false, false);
	second_bind("second_reuses", false, true, false, false);
	second_bind("both_reuse", true, true, false, false);
	second_bind("both_reuse_any", true, true, false, true);
	second_bind("listens", false, false, true, false);
	second_bind("listens_both_reuse", true, true, true, false);
	second_bind("listens_both_reuse_any", true, true, true, true);
}

static void both_families(void)
{
	uint16_t port = fresh_port();
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int on = 1;
	int fd6 = tcp6(), fd4 = tcp4(SERVER);

	say_prefix("dual");
	say("six", bind6(fd6, in6));
	say("four_beside_dual", bind4(fd4, in));
	(void)x_close(fd6);
	(void)x_close(fd4);
	fd6 = tcp6();
	fd4 = tcp4(SERVER);
	port = fresh_port();
	in.sin_port = htons(port);
	in6.sin6_port = htons(port);
	(void)x_setsockopt(fd6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	say("six_only", bind6(fd6, in6));
	say("four_beside_six_only", bind4(fd4, in));
	say("four_listens", x_listen(fd4, 1));
	say("six_listens", x_listen(fd6, 1));
	(void)x_close(fd6);
	(void)x_close(fd4);
}

/* A port on which a connection of the server's rests in TIME-WAIT, by who had SO_REUSEADDR. */
static void over_time_wait(const char *name, bool reuse1, bool reuse2)
{
	int on1 = reuse1, on2 = reuse2, first = tcp4(SERVER), client = tcp4(CLIENT);
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());
	char byte, text[32];

	(void)x_setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &on1, sizeof(on1));
	(void)bind4(first, in);
	(void)x_listen(first, 1);
	(void)connect4(client, in);
	int child = x_accept(first, NULL, NULL);
	(void)x_close(first);
	(void)x_shutdown(child, SHUT_WR);
	(void)x_recv(client, &byte, 1, 0);
	(void)x_close(client);
	(void)x_recv(child, &byte, 1, 0); /* the peer's FIN is here */
	(void)x_close(child);
	int second = tcp4(SERVER);
	(void)x_setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on2, sizeof(on2));
	(void)snprintf(text, sizeof(text), "%s_bind", name);
	say(text, bind4(second, in));
	(void)snprintf(text, sizeof(text), "%s_listen", name);
	say(text, x_listen(second, 1));
	(void)x_close(second);
}

static void time_waits(void)
{
	say_prefix("time_wait");
	over_time_wait("plain", false, false);
	over_time_wait("first", true, false);
	over_time_wait("second", false, true);
	over_time_wait("both", true, true);
}

/* SO_REUSEPORT: who may join a group of listeners, and that a connection is one's. */
static void groups(void)
{
	int on = 1, fds[3], client = tcp4(CLIENT), came = 0;
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());

	say_prefix("group");
	for (int i = 0; i < 3; i++) {
		fds[i] = tcp4(SERVER);
		if (i < 2)
			(void)x_setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		say(i == 0 ? "first" : i == 1 ? "second" : "stranger", bind4(fds[i], in));
	}
	say("set_late", x_setsockopt(fds[2], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
	say("stranger_joins", bind4(fds[2], in));
	for (int i = 0; i < 3; i++)
		say(i == 0 ? "listen_0" : i == 1 ? "listen_1" : "listen_2", x_listen(fds[i], 1));
	say("connect", connect4(client, in));
	struct pollfd p[3] = {{.fd = fds[0], .events = POLLIN},
			      {.fd = fds[1], .events = POLLIN},
			      {.fd = fds[2], .events = POLLIN}};
	say("ready", x_poll(SERVER, p, 3, 2000));
	for (int i = 0; i < 3; i++) {
		(void)x_fcntl(fds[i], F_SETFL, O_NONBLOCK);
		int child = x_accept(fds[i], NULL, NULL);

		if (child >= 0 && ++came)
			(void)x_close(child);
		(void)x_close(fds[i]);
	}
	say_value("came", came);
	(void)x_close(client);
}

static void names(void)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	socklen_t len = sizeof(in);
	int fd = tcp4(SERVER);

	say_prefix("names");
	memset(&in, 0xff, sizeof(in));
	say("unbound", x_getsockname(fd, (struct sockaddr *)&in, &len));
	say_value("unbound_port", in.sin_port);
	say_value("unbound_addr", (long)in.sin_addr.s_addr);
	say_value("unbound_family", in.sin_family);
	len = 4;
	say_with("short", x_getsockname(fd, (struct sockaddr *)&in, &len), (long)len);
	len = 0;
	say_with("zero", x_getsockname(fd, (struct sockaddr *)&in, &len), (long)len);
	len = 1000;
	struct sockaddr_storage big[8];
	say_with("long", x_getsockname(fd, (struct sockaddr *)big, &len), (long)len);
	len = (socklen_t)-1;
	say("negative", x_getsockname(fd, (struct sockaddr *)&in, &len));
	say("null_len", x_getsockname(fd, (struct sockaddr *)&in, NULL));
	len = sizeof(in);
	say("null_addr", x_getsockname(fd, NULL, &len));
	len = sizeof(in);
	say("peer_unconnected", x_getpeername(fd, (struct sockaddr *)&in, &len));
	say("peer_null", x_getpeername(fd, NULL, NULL));
	(void)x_close(fd);
	fd = tcp6();
	len = sizeof(in6);
	say_with("unbound6", x_getsockname(fd, (struct sockaddr *)&in6, &len), (long)len);
	(void)x_close(fd);
}

void topic_bind(void)
{
	addresses();
	lengths();
	families();
	taken();
	both_families();
	time_waits();
	groups();
	names();
}
