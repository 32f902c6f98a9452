/* setsockopt and getsockopt: defaults, ranges, lengths, unknown options, states. */
#include "diff.h"

#include <linux/sockios.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/time.h>

#ifndef TCP_NOTSENT_LOWAT
#define TCP_NOTSENT_LOWAT 25 /* <netinet/tcp.h> has it since glibc 2.37 */
#endif

struct option {
	const char *name;
	int level, option;
};

#define O(level, option)                                                                           \
	{                                                                                          \
#option, level, option                                                             \
	}

static const struct option known[] = {
	O(SOL_SOCKET, SO_REUSEADDR),
	O(SOL_SOCKET, SO_REUSEPORT),
	O(SOL_SOCKET, SO_KEEPALIVE),
	O(SOL_SOCKET, SO_RCVLOWAT),
	O(SOL_SOCKET, SO_SNDLOWAT),
	O(SOL_SOCKET, SO_ERROR),
	O(SOL_SOCKET, SO_TYPE),
	O(SOL_SOCKET, SO_PROTOCOL),
	O(SOL_SOCKET, SO_DOMAIN),
	O(SOL_SOCKET, SO_ACCEPTCONN),
	O(IPPROTO_TCP, TCP_NODELAY),
	O(IPPROTO_TCP, TCP_KEEPIDLE),
	O(IPPROTO_TCP, TCP_KEEPINTVL),
	O(IPPROTO_TCP, TCP_KEEPCNT),
	O(IPPROTO_TCP, TCP_USER_TIMEOUT),
	O(IPPROTO_TCP, TCP_LINGER2),
	O(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
	O(IPPROTO_TCP, TCP_FASTOPEN),
	O(IPPROTO_TCP, TCP_CORK),
	O(IPPROTO_TCP, TCP_QUICKACK),
	O(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	O(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	O(IPPROTO_TCP, TCP_SYNCNT),
	O(IPPROTO_TCP, TCP_WINDOW_CLAMP),
	O(SOL_SOCKET, SO_OOBINLINE),
	O(SOL_SOCKET, SO_BROADCAST),
	O(SOL_SOCKET, SO_MAX_PACING_RATE),
	O(IPPROTO_IP, IP_TTL),
	O(IPPROTO_IP, IP_TOS),
	O(IPPROTO_IP, IP_MINTTL),
	O(IPPROTO_IP, IP_MTU_DISCOVER),
};

enum { KNOWN = sizeof(known) / sizeof(known[0]) };

static void get(const char *name, int fd, int level, int option)
{
	int value = -77;
	socklen_t len = sizeof(value);
	int rc = x_getsockopt(fd, level, option, &value, &len);

	say_with(name, rc, value);
}

static void defaults(void)
{
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);

	say_prefix("default");
	for (int i = 0; i < KNOWN; i++)
		get(known[i].name, fd, known[i].level, known[i].option);
	(void)x_close(fd);
	fd = x_socket(SERVER, AF_INET6, SOCK_STREAM, 0);
	say_prefix("default6");
	get("SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN);
	get("IPV6_V6ONLY", fd, IPPROTO_IPV6, IPV6_V6ONLY);
	get("IPV6_UNICAST_HOPS", fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS);
	get("IPV6_TCLASS", fd, IPPROTO_IPV6, IPV6_TCLASS);
	get("IP_TTL", fd, IPPROTO_IP, IP_TTL);
	(void)x_close(fd);
}

static const struct option known6[] = {
	O(IPPROTO_IPV6, IPV6_V6ONLY),       O(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	O(IPPROTO_IPV6, IPV6_TCLASS),       O(IPPROTO_IPV6, IPV6_MINHOPCOUNT),
	O(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
};

static const struct option known_udp[] = {
	O(SOL_SOCKET, SO_KEEPALIVE), O(SOL_SOCKET, SO_OOBINLINE), O(SOL_SOCKET, SO_RCVLOWAT),
	O(IPPROTO_IP, IP_TTL),       O(IPPROTO_IP, IP_TOS),       O(IPPROTO_IP, IP_MTU_DISCOVER),
	O(IPPROTO_IP, IP_PKTINFO),   O(IPPROTO_IP, IP_RECVTTL),   O(IPPROTO_IP, IP_RECVTOS),
	O(IPPROTO_IP, IP_RECVERR),   O(IPPROTO_UDP, UDP_SEGMENT), O(IPPROTO_UDP, UDP_GRO),
	O(SOL_SOCKET, SO_RXQ_OVFL),  O(IPPROTO_IP, IP_MINTTL),    O(SOL_SOCKET, SO_BROADCAST),
};

/* Each known option with some values: the result, and what is read back. */
static void ranges(const char *prefix, int domain, int type, const struct option *options,
		   int count)
{
	/* No negative low-water mark: Linux makes of it what its settings allow. */
	static const int values[] = {-1, 0, 1, 255, 256, 40000};

	say_prefix(prefix);
	for (int i = 0; i < count; i++) {
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			int fd = x_socket(SERVER, domain, type, 0);
			int value = values[v];
			socklen_t len = sizeof(value);
			char name[64];
			int rc = x_setsockopt(fd, options[i].level, options[i].option, &value,
					      sizeof(value));
			bool is_settled = options[i].option != SO_RCVLOWAT || values[v] >= 0;

			(void)snprintf(name, sizeof(name), "%s=%d", options[i].name, values[v]);
			value = -77;
			if (rc == 0 && is_settled)
				(void)x_getsockopt(fd, options[i].level, options[i].option, &value,
						   &len);
			say_with(name, rc, value);
			(void)x_close(fd);
		}
	}
}

static void lengths(void)
{
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	int value = 1;
	socklen_t len;
	char big[256] = {1};

	say_prefix("length");
	say("set_0", x_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 0));
	say("set_3", x_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 3));
	say("set_256", x_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, big, sizeof(big)));
	say("set_negative", x_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, (socklen_t)-1));
	say("set_null", x_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, sizeof(value)));
	say("set_tcp_1", x_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 1));
	say("set_ip_1", x_setsockopt(fd, IPPROTO_IP, IP_TOS, big, 1));
	say("set_ip_0", x_setsockopt(fd, IPPROTO_IP, IP_TOS, big, 0));
	len = 0;
	say_with("get_0", x_getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), (long)len);
	len = 2;
	say_with("get_2", x_getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), (long)len);
	len = sizeof(big);
	say_with("get_256", x_getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, big, &len), (long)len);
	len = (socklen_t)-1;
	say("get_negative", x_getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len));
	say("get_null_len", x_getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, NULL));
	len = sizeof(value);
	say("get_null", x_getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, &len));
	(void)x_close(fd);
}

static void unknown(void)
{
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	int value = 1;
	socklen_t len = sizeof(value);

	say_prefix("unknown");
	say("set_socket", x_setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof(value)));
	len = sizeof(value);
	say("get_socket", x_getsockopt(fd, SOL_SOCKET, 9999, &value, &len));
	say("set_tcp", x_setsockopt(fd, IPPROTO_TCP, 9999, &value, sizeof(value)));
	len = sizeof(value);
	say("get_tcp", x_getsockopt(fd, IPPROTO_TCP, 9999, &value, &len));
	say("set_ip", x_setsockopt(fd, IPPROTO_IP, 9999, &value, sizeof(value)));
	len = sizeof(value);
	say("get_ip", x_getsockopt(fd, IPPROTO_IP, 9999, &value, &len));
	say("set_level", x_setsockopt(fd, 9999, 1, &value, sizeof(value)));
	len = sizeof(value);
	say("get_level", x_getsockopt(fd, 9999, 1, &value, &len));
	say("set_ipv6", x_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)));
	len = sizeof(value);
	say("get_ipv6", x_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len));
	say("set_error", x_setsockopt(fd, SOL_SOCKET, SO_ERROR, &value, sizeof(value)));
	say("set_info", x_setsockopt(fd, IPPROTO_TCP, TCP_INFO, &value, sizeof(value)));
	say("get_mtu_unconnected", x_getsockopt(fd, IPPROTO_IP, IP_MTU, &value, &len));
	(void)x_close(fd);
}

static void timeouts(void)
{
	static const struct {
		const char *name;
		struct timeval tv;
	} times[] = {
		{"zero", {0, 0}},           {"second", {1, 0}},     {"micro", {0, 240000}},
		{"negative", {-1, 0}},      {"centi", {3, 980000}}, {"usec_over", {0, 1000000}},
		{"usec_negative", {0, -1}},
	};

	static const int options[] = {SO_RCVTIMEO, SO_SNDTIMEO};
	static const char *const prefixes[] = {"rcvtimeo", "sndtimeo"};

	for (size_t o = 0; o < 2; o++) {
		say_prefix(prefixes[o]);
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
			int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
			struct timeval tv = times[i].tv;
			socklen_t len = sizeof(tv);
			int rc = x_setsockopt(fd, SOL_SOCKET, options[o], &tv, sizeof(tv));

			(void)x_getsockopt(fd, SOL_SOCKET, options[o], &tv, &len);
			say_with(times[i].name, rc, (long)tv.tv_sec * 1000000 + tv.tv_usec);
			(void)x_close(fd);
		}
		int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
		struct timeval tv;
		socklen_t len = sizeof(tv);
		int one = 1;

		say("short", x_setsockopt(fd, SOL_SOCKET, options[o], &one, sizeof(one)));
		say_with("len", x_getsockopt(fd, SOL_SOCKET, options[o], &tv, &len), (long)len);
		(void)x_close(fd);
	}
}

static void linger(void)
{
	static const struct {
		const char *name;
		struct linger linger;
	} values[] = {
		{"off", {0, 0}},  {"off_5", {0, 5}}, {"on_0", {1, 0}},
		{"on_5", {1, 5}}, {"on_2", {2, 2}},
	};

	say_prefix("linger");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
		struct linger value = values[i].linger;
		socklen_t len = sizeof(value);
		int rc = x_setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value));

		(void)x_getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &len);
		say_with(values[i].name, rc, value.l_onoff * 1000L + value.l_linger);
		(void)x_close(fd);
	}
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	int one = 1;
	say("short", x_setsockopt(fd, SOL_SOCKET, SO_LINGER, &one, sizeof(one)));
	(void)x_close(fd);
}

static void buffers(void)
{
	static const int values[] = {-1, 0, 1, 1000, 10000, 100000};
	static const int options[] = {SO_RCVBUF, SO_SNDBUF};
	static const char *const prefixes[] = {"rcvbuf", "sndbuf"};

	for (size_t o = 0; o < 2; o++) {
		say_prefix(prefixes[o]);
		for (size_t i = 1; i < sizeof(values) / sizeof(values[0]); i++) {
			int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
			int value = values[i];
			socklen_t len = sizeof(value);
			char name[24];
			int rc = x_setsockopt(fd, SOL_SOCKET, options[o], &value, sizeof(value));

			(void)x_getsockopt(fd, SOL_SOCKET, options[o], &value, &len);
			(void)snprintf(name, sizeof(name), "%d", values[i]);
			say_with(name, rc, value);
			(void)x_close(fd);
		}
	}
}

static void names(void)
{
	static const char *const values[] = {"cubic", "reno", "nonsense", ""};
	char name[64];
	socklen_t len;

	say_prefix("congestion");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
		int rc = x_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, values[i],
				      (socklen_t)strlen(values[i]));

		say(values[i][0] ? values[i] : "empty", rc);
		memset(name, 0, sizeof(name));
		len = sizeof(name);
		if (rc == 0)
			say_text(values[i][0] == 'c' ? "is_cubic" : "is_reno",
				 x_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) == 0
					 ? name
					 : "?");
		(void)x_close(fd);
	}
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	(void)x_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	len = 3;
	memset(name, 0, sizeof(name));
	say_with("short", x_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), (long)len);
	len = 64;
	say_with("long", x_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len), (long)len);
	(void)x_close(fd);
}

static void maxseg(void)
{
	static const int values[] = {-1, 0, 1, 87, 88, 500, 32767, 32768, 65535};
	int pair[SIDES];

	say_prefix("maxseg");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
		char name[24];

		(void)snprintf(name, sizeof(name), "%d", values[i]);
		say(name, x_setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &values[i], sizeof(int)));
		(void)x_close(fd);
	}
	make_connection(pair);
	int value = 0;
	socklen_t len = sizeof(value);
	say("connected", x_getsockopt(pair[CLIENT], IPPROTO_TCP, TCP_MAXSEG, &value, &len));
	say_value("is_sane", value >= 536);
	close_both(pair);
}

static void info(void)
{
	struct tcp_info value = {0};
	socklen_t len = sizeof(value);
	int pair[SIDES];
	uint16_t port;
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);

	say_prefix("info");
	say("fresh", x_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &value, &len));
	say_value("fresh_state", value.tcpi_state);
	(void)x_close(fd);
	fd = make_listener(&port, 7);
	len = sizeof(value);
	say("listener", x_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &value, &len));
	say_value("listener_state", value.tcpi_state);
	say_value("listener_backlog", value.tcpi_sacked);
	say_value("listener_queue", value.tcpi_unacked);
	(void)x_close(fd);
	make_connection(pair);
	len = sizeof(value);
	say("connected", x_getsockopt(pair[CLIENT], IPPROTO_TCP, TCP_INFO, &value, &len));
	say_value("connected_state", value.tcpi_state);
	say_value("connected_options",
		  value.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE));
	len = 4;
	say_with("short", x_getsockopt(pair[CLIENT], IPPROTO_TCP, TCP_INFO, &value, &len),
		 (long)len);
	close_both(pair);
}

/* SO_MAX_PACING_RATE by size. */
static void pacing(void)
{
	static const unsigned long rates[] = {1, 1UL << 20, 1UL << 33, ~0UL};
	int fd = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);

	say_prefix("pacing");
	for (size_t i = 0; i < 4; i++) {
		unsigned long rate = rates[i];
		unsigned narrow = 77;
		socklen_t len = sizeof(rate), narrow_len = sizeof(narrow);
		char name[24];

		(void)snprintf(name, sizeof(name), "rate_%zu", i);
		int rc = x_setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
		(void)x_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len);
		(void)x_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &narrow_len);
		say_with(name, rc, (long)rate);
		(void)snprintf(name, sizeof(name), "narrow_%zu", i);
		say_with(name, (long)narrow_len, (long)narrow);
	}
	(void)x_close(fd);
}

static void try_int(const char *name, int fd, int level, int option, int value)
{
	int rc = x_setsockopt(fd, level, option, &value, sizeof(value));
	int back = -77;
	socklen_t len = sizeof(back);

	if (rc == 0)
		(void)x_getsockopt(fd, level, option, &back, &len);
	say_with(name, rc, back);
}

/* What a connection takes that stands already. */
static void of_connection(void)
{
	int fd[SIDES];

	make_connection(fd);
	say_prefix("connection");
	try_int("quickack_on", fd[CLIENT], IPPROTO_TCP, TCP_QUICKACK, 1);
	try_int("quickack_off", fd[CLIENT], IPPROTO_TCP, TCP_QUICKACK, 0);
	try_int("notsent_lowat", fd[CLIENT], IPPROTO_TCP, TCP_NOTSENT_LOWAT, 5000);
	try_int("syncnt", fd[CLIENT], IPPROTO_TCP, TCP_SYNCNT, 3);
	try_int("window_clamp", fd[CLIENT], IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000);
	try_int("window_clamp_small", fd[CLIENT], IPPROTO_TCP, TCP_WINDOW_CLAMP, 5);
	try_int("window_clamp_0", fd[CLIENT], IPPROTO_TCP, TCP_WINDOW_CLAMP, 0);
	try_int("fastopen", fd[CLIENT], IPPROTO_TCP, TCP_FASTOPEN, 5);
	try_int("fastopen_connect", fd[CLIENT], IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	try_int("defer_accept", fd[CLIENT], IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	try_int("user_timeout", fd[CLIENT], IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	try_int("ttl", fd[CLIENT], IPPROTO_IP, IP_TTL, 9);
	try_int("tos", fd[CLIENT], IPPROTO_IP, IP_TOS, 0x48);
	try_int("reuseport", fd[CLIENT], SOL_SOCKET, SO_REUSEPORT, 1);
	try_int("cork", fd[CLIENT], IPPROTO_TCP, TCP_CORK, 1);
	try_int("nodelay", fd[CLIENT], IPPROTO_TCP, TCP_NODELAY, 1);
	close_both(fd);
	fd[0] = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	(void)x_listen(fd[0], 1);
	say_prefix("listener");
	try_int("syncnt", fd[0], IPPROTO_TCP, TCP_SYNCNT, 3);
	try_int("window_clamp_0", fd[0], IPPROTO_TCP, TCP_WINDOW_CLAMP, 0);
	try_int("window_clamp", fd[0], IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000);
	try_int("fastopen", fd[0], IPPROTO_TCP, TCP_FASTOPEN, 5);
	try_int("fastopen_connect", fd[0], IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	try_int("defer_accept", fd[0], IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	try_int("quickack", fd[0], IPPROTO_TCP, TCP_QUICKACK, 0);
	(void)x_close(fd[0]);
}

static int quickack(int fd)
{
	int value = -77;
	socklen_t len = sizeof(value);

	(void)x_getsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &value, &len);
	return value;
}

/* Until it reads 'want': an answer may have been late, the ACK's time has to pass. */
static bool becomes(int fd, int want, bool by_answers, int peer)
{
	enum { TRIES = 2000 };

	for (int i = 0; i < TRIES && quickack(fd) != want; i++) {
		char byte = 0;

		if (!by_answers) {
			(void)x_poll(CLIENT, NULL, 0, 1);
			continue;
		}
		(void)x_send(peer, "x", 1, 0);
		(void)x_recv(fd, &byte, 1, 0);
		(void)x_send(fd, "y", 1, 0);
		(void)x_recv(peer, &byte, 1, 0);
	}
	return quickack(fd) == want;
}

/* TCP_QUICKACK says whether data is answered before its ACK is due. */
static void pingpong(void)
{
	int fd[SIDES];
	uint16_t port;
	char byte;

	say_prefix("quickack");
	int listener = x_socket(SERVER, AF_INET, SOCK_STREAM, 0);
	set_int(listener, IPPROTO_TCP, TCP_QUICKACK, 0);
	say_value("fresh_off", quickack(listener));
	struct sockaddr_in in = addr4_of(SERVER, port = fresh_port());
	(void)x_bind(listener, (struct sockaddr *)&in, sizeof(in));
	(void)x_listen(listener, 1);
	say_value("listener", quickack(listener));
	fd[CLIENT] = tcp4(CLIENT);
	set_int(fd[CLIENT], IPPROTO_TCP, TCP_QUICKACK, 0);
	(void)connect4(fd[CLIENT], addr4_of(SERVER, port));
	fd[SERVER] = x_accept(listener, NULL, NULL);
	say_value("client", quickack(fd[CLIENT]));
	say_value("child", quickack(fd[SERVER]));
	(void)x_send(fd[CLIENT], "x", 1, 0);
	say_value("asked", quickack(fd[CLIENT]));
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	say_value("was_asked", quickack(fd[SERVER]));
	say_value("answers", becomes(fd[SERVER], 0, true, fd[CLIENT]));
	(void)x_send(fd[CLIENT], "x", 1, 0);
	(void)x_recv(fd[SERVER], &byte, 1, 0);
	say_value("does_not_answer", becomes(fd[SERVER], 1, false, -1));
	set_int(fd[SERVER], IPPROTO_TCP, TCP_QUICKACK, 2);
	say_value("even", quickack(fd[SERVER]));
	(void)x_close(listener);
	close_both(fd);
}

void topic_options(void)
{
	defaults();
	ranges("range", AF_INET, SOCK_STREAM, known, KNOWN);
	ranges("range6", AF_INET6, SOCK_STREAM, known6, 5);
	ranges("range_udp", AF_INET, SOCK_DGRAM, known_udp, 15);
	pacing();
	of_connection();
	pingpong();
	lengths();
	unknown();
	timeouts();
	linger();
	buffers();
	names();
	maxseg();
	info();
}
