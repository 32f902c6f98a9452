/*
 * Options: round trips, ranges, errnos, truncation and what accepted sockets inherit; Linux's values.
 */
#include "kit.h"
#include <limits.h>

static void try_int(int fd, int level, int option, int value, int expected)
{
	kit_set(fd, level, option, value);
	GIVES(kit_get(fd, level, option), expected);
}

static void refuse_int(int fd, int level, int option, int value, int error)
{
	FAILS(weft_setsockopt(fd, level, option, &value, sizeof(value)), error);
}

static void test_round_trips(void)
{
	static const struct {
		int level, option, value, expected;
	} rows[] = {
		{SOL_SOCKET, SO_REUSEADDR, 7, 1},
		{SOL_SOCKET, SO_REUSEADDR, 0, 0},
		{SOL_SOCKET, SO_REUSEPORT, 1, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1, 1},
		{SOL_SOCKET, SO_RCVLOWAT, 100, 100},
		{SOL_SOCKET, SO_RCVLOWAT, 0, 1},
		{SOL_SOCKET, SO_RCVBUF, 50000, 100000},
		{SOL_SOCKET, SO_SNDBUF, 50000, 100000},
		{SOL_SOCKET, SO_RCVBUF, 0, 2304},
		{SOL_SOCKET, SO_SNDBUF, 0, 4608},
		{SOL_SOCKET, SO_RCVBUF, -1, 16777216},
		{SOL_SOCKET, SO_SNDBUF, INT32_MAX, 16777216},
		{IPPROTO_TCP, TCP_NODELAY, 1, 1},
		{IPPROTO_TCP, TCP_NODELAY, 0, 0},
		{IPPROTO_TCP, TCP_KEEPIDLE, 32767, 32767},
		{IPPROTO_TCP, TCP_KEEPINTVL, 1, 1},
		{IPPROTO_TCP, TCP_KEEPCNT, 127, 127},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 12345, 12345},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0},
		{IPPROTO_TCP, TCP_MAXSEG, 1000, 1000},
		{IPPROTO_TCP, TCP_SYNCNT, 127, 127},
		{IPPROTO_TCP, TCP_SYNCNT, 1, 1},
		{IPPROTO_TCP, TCP_WINDOW_CLAMP, 5000, 5000},
		{IPPROTO_TCP, TCP_WINDOW_CLAMP, 1, 1152},
		{IPPROTO_TCP, TCP_WINDOW_CLAMP, -1, 1152},
		{IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0},
		{IPPROTO_IP, IP_TTL, 255, 255},
		{IPPROTO_IP, IP_TTL, -1, 64},
		{IPPROTO_IP, IP_TOS, 0xb8, 0xb8},
		{IPPROTO_IP, IP_TOS, 3, 0},        /* the ECN bits are TCP's own */
		{IPPROTO_IP, IP_TOS, 0x1b8, 0xb8}, /* its lowest byte */
		{IPPROTO_IP, IP_TOS, -1, 0xfc},
		{IPPROTO_IP, IP_MINTTL, 255, 255},
		{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DONT},
		{IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT, IP_PMTUDISC_OMIT},
		{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1, 1},
		{IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1, 64},
		{IPPROTO_IPV6, IPV6_TCLASS, 0x20, 0x20},
		{IPPROTO_IPV6, IPV6_TCLASS, -1, 0},
		{IPPROTO_IPV6, IPV6_MINHOPCOUNT, 0, 0},
		{IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT, IPV6_PMTUDISC_WANT},
		{IPPROTO_IPV6, IPV6_V6ONLY, 1, 1},
		{IPPROTO_IPV6, IPV6_V6ONLY, 0, 0},
	};
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET6);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		try_int(fd, rows[i].level, rows[i].option, rows[i].value, rows[i].expected);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_defaults(void)
{
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	GIVES(kit_get(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	GIVES(kit_get(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
	GIVES(kit_get(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	GIVES(kit_get(fd, SOL_SOCKET, SO_ERROR), 0);
	GIVES(kit_get(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
	GIVES(kit_get(fd, SOL_SOCKET, SO_RCVLOWAT), 1);
	GIVES(kit_get(fd, SOL_SOCKET, SO_SNDLOWAT), 1);
	GIVES(kit_get(fd, SOL_SOCKET, SO_RCVBUF), 1048576);
	GIVES(kit_get(fd, SOL_SOCKET, SO_SNDBUF), 4194304);
	GIVES(kit_get(fd, SOL_SOCKET, SO_REUSEADDR), 0);
	GIVES(kit_get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
	GIVES(kit_get(fd, IPPROTO_TCP, TCP_KEEPINTVL), 75);
	GIVES(kit_get(fd, IPPROTO_TCP, TCP_KEEPCNT), 9);
	GIVES(kit_get(fd, IPPROTO_TCP, TCP_MAXSEG), 536);
	GIVES(kit_get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	GIVES(kit_get(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP), 0);
	GIVES(weft_listen(fd, 1), 0);
	GIVES(kit_get(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	GIVES(weft_close(fd), 0);
	fd = kit_socket(kit.a, AF_INET6);
	GIVES(kit_get(fd, SOL_SOCKET, SO_DOMAIN), AF_INET6);
	GIVES(kit_get(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_set_errnos(void)
{
	struct kit kit;
	int value = 1;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	refuse_int(fd, SOL_SOCKET, 9999, 1, ENOPROTOOPT);
	refuse_int(fd, IPPROTO_TCP, 9999, 1, ENOPROTOOPT);
	refuse_int(fd, IPPROTO_TCP, TCP_SYNCNT, 0, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_SYNCNT, 128, EINVAL);
	refuse_int(fd, 77, 1, 1, ENOPROTOOPT);
	refuse_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_ERROR, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_TYPE, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_ACCEPTCONN, 1, ENOPROTOOPT);
	refuse_int(fd, IPPROTO_TCP, TCP_INFO, 1, ENOPROTOOPT);
	/* Of Linux's, what makes no sense on one device of one's own, or for a stream. */
	refuse_int(fd, SOL_SOCKET, SO_BINDTODEVICE, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_MARK, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_TIMESTAMP, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_PEEK_OFF, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_DOMAIN, 1, ENOPROTOOPT);
	refuse_int(fd, SOL_SOCKET, SO_PROTOCOL, 1, ENOPROTOOPT);
	refuse_int(fd, IPPROTO_TCP, TCP_MAXSEG, 87, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_MAXSEG, 32768, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 32768, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, -1, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 128, EINVAL);
	refuse_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1, EINVAL);
	refuse_int(fd, SOL_SOCKET, SO_LINGER, 1, EINVAL);
	refuse_int(fd, SOL_SOCKET, SO_RCVTIMEO, 1, EINVAL);
	FAILS(weft_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 1), EINVAL);
	FAILS(weft_setsockopt(fd, SOL_SOCKET, 9999, &value, 1), EINVAL);
	FAILS(weft_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 3), EINVAL);
	FAILS(weft_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, (socklen_t)-1), EINVAL);
	FAILS(weft_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4), EFAULT);
	struct timeval tv = {.tv_usec = 2000000};
	FAILS(weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), EDOM);
	tv.tv_usec = -1;
	FAILS(weft_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), EDOM);
	GIVES(weft_close(fd), 0);
	fd = kit_socket(kit.a, AF_INET6);
	GIVES(kit_bind(fd, "::", 80), 0);
	refuse_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, EINVAL);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/*
 * As Linux: below 0 is -1, above 120 s is 120 s, 0 is the default again: the kit's half a second, told
 * in whole ones.
 */
static void test_linger2(void)
{
	static const int cases[][2] = {{5, 5}, {120, 120}, {121, 120}, {-7, -1}, {0, 0}};
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);

	for (unsigned i = 0; i < 5; i++) {
		GIVES(weft_setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &cases[i][0], sizeof(int)), 0);
		GIVES(kit_get(fd, IPPROTO_TCP, TCP_LINGER2), cases[i][1]);
	}
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_get_errnos_and_truncation(void)
{
	struct kit kit;
	int value = -1;
	socklen_t len = sizeof(value);

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	FAILS(weft_getsockopt(fd, SOL_SOCKET, 9999, &value, &len), ENOPROTOOPT);
	FAILS(weft_getsockopt(fd, IPPROTO_TCP, 9999, &value, &len), ENOPROTOOPT);
	FAILS(weft_getsockopt(fd, 77, 1, &value, &len), EOPNOTSUPP); /* measured on Linux */
	FAILS(weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, NULL, &len), EFAULT);
	FAILS(weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, NULL), EFAULT);
	len = (socklen_t)-1;
	FAILS(weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), EINVAL);
	len = 2;
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), 0);
	CU_ASSERT(len == 2 && value == -65535); /* little-endian: two bytes of SOCK_STREAM */
	char big[64];
	len = sizeof(big);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, big, &len), 0);
	CU_ASSERT(len == sizeof(int));
	struct tcp_info info;
	len = 1;
	GIVES(weft_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	CU_ASSERT(len == 1 && info.tcpi_state == TCP_CLOSE);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_structs(void)
{
	struct timeval tv = {.tv_sec = 3, .tv_usec = 250000};
	struct linger linger = {.l_onoff = 5, .l_linger = 9};
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	memset(&tv, 0, sizeof(tv));
	socklen_t len = sizeof(tv);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len), 0);
	CU_ASSERT(len == sizeof(tv) && tv.tv_sec == 3 && tv.tv_usec == 250000);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &len), 0);
	CU_ASSERT(tv.tv_sec == 0 && tv.tv_usec == 0);
	tv = (struct timeval){.tv_sec = INT64_MAX};
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, &len), 0);
	CU_ASSERT(tv.tv_sec == 0 && tv.tv_usec == 0);
	tv = (struct timeval){.tv_sec = -5};
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	memset(&linger, 0, sizeof(linger));
	len = sizeof(linger);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	CU_ASSERT(len == sizeof(linger) && linger.l_onoff == 1 && linger.l_linger == 9);
	linger.l_onoff = 0;
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	CU_ASSERT(linger.l_onoff == 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

static void test_inheritance(void)
{
	struct kit kit;

	kit_open(&kit);
	int listener = kit_socket(kit.b, AF_INET);
	kit_set(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	kit_set(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	kit_set(listener, IPPROTO_TCP, TCP_KEEPIDLE, 111);
	kit_set(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, 2222);
	kit_set(listener, SOL_SOCKET, SO_RCVBUF, 30000);
	kit_set(listener, IPPROTO_IP, IP_TOS, 0x48);
	kit_set(listener, IPPROTO_IP, IP_TTL, 33);
	kit_set_timeout(listener, SO_RCVTIMEO, 4000);
	kit_set_linger(listener, 3);
	GIVES(weft_fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	GIVES(kit_bind(listener, KIT_B4, 80), 0);
	GIVES(weft_listen(listener, 5), 0);
	GIVES(weft_fcntl(listener, F_SETFL, 0), 0);
	int client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	GIVES(weft_fcntl(listener, F_SETFL, 0), 0);
	int server = weft_accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(server > 0);
	GIVES(kit_get(server, IPPROTO_TCP, TCP_NODELAY), 1);
	GIVES(kit_get(server, SOL_SOCKET, SO_KEEPALIVE), 1);
	GIVES(kit_get(server, IPPROTO_TCP, TCP_KEEPIDLE), 111);
	GIVES(kit_get(server, IPPROTO_TCP, TCP_USER_TIMEOUT), 2222);
	GIVES(kit_get(server, SOL_SOCKET, SO_RCVBUF), 60000);
	GIVES(kit_get(server, IPPROTO_IP, IP_TOS), 0x48);
	GIVES(kit_get(server, IPPROTO_IP, IP_TTL), 33);
	GIVES(kit_get(server, SOL_SOCKET, SO_ACCEPTCONN), 0);
	struct timeval tv;
	socklen_t len = sizeof(tv);
	GIVES(weft_getsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &tv, &len), 0);
	CU_ASSERT(tv.tv_sec == 4);
	struct linger linger;
	len = sizeof(linger);
	GIVES(weft_getsockopt(server, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
	CU_ASSERT(linger.l_onoff == 1 && linger.l_linger == 3);
	GIVES(weft_close(client), 0);
	GIVES(weft_close(server), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

static void test_maxseg_and_info(void)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct kit kit;
	int fds[2];
	char byte;

	kit_open(&kit);
	kit_join(&kit, fds);
	int mss = kit_get(fds[0], IPPROTO_TCP, TCP_MAXSEG);
	CU_ASSERT(mss >= 1400 && mss <= 1460);
	GIVES(weft_send(fds[0], "x", 1, 0), 1);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 1);
	GIVES(weft_getsockopt(fds[0], IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	CU_ASSERT(len == sizeof(info) && info.tcpi_state == TCP_ESTABLISHED);
	CU_ASSERT(info.tcpi_snd_mss == (uint32_t)mss && info.tcpi_snd_cwnd > 0);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int client = kit_socket(kit.a, AF_INET);
	kit_set(client, IPPROTO_TCP, TCP_MAXSEG, 600);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	int server = weft_accept(listener, NULL, NULL);
	mss = kit_get(server, IPPROTO_TCP, TCP_MAXSEG);
	CU_ASSERT(mss > 500 && mss <= 600);
	GIVES(weft_close(client), 0);
	GIVES(weft_close(server), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

/* IP_TTL and its like: ranges, a byte as value, and what an unconnected socket does not know. */
static void test_ip_options(void)
{
	struct kit kit;
	uint8_t byte = 200;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET), fd6 = kit_socket(kit.a, AF_INET6);

	GIVES(kit_get(fd, IPPROTO_IP, IP_TTL), 64);
	GIVES(kit_get(fd6, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 64);
	GIVES(kit_get(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_WANT);
	refuse_int(fd, IPPROTO_IP, IP_TTL, 0, EINVAL);
	refuse_int(fd, IPPROTO_IP, IP_TTL, 256, EINVAL);
	refuse_int(fd, IPPROTO_IP, IP_TTL, -2, EINVAL);
	refuse_int(fd, IPPROTO_IP, IP_MINTTL, 256, EINVAL);
	refuse_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, 6, EINVAL);
	refuse_int(fd, IPPROTO_IP, IP_MTU, 1400, ENOPROTOOPT);
	refuse_int(fd6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256, EINVAL);
	refuse_int(fd6, IPPROTO_IPV6, IPV6_TCLASS, -2, EINVAL);
	refuse_int(fd, IPPROTO_IPV6, IPV6_TCLASS, 0, ENOPROTOOPT);
	GIVES(weft_setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 1), 0);
	GIVES(kit_get(fd, IPPROTO_IP, IP_TTL), 200);
	FAILS(weft_setsockopt(fd, IPPROTO_IP, IP_TTL, &byte, 0), EINVAL);
	int mtu;
	socklen_t len = sizeof(mtu);

	FAILS(weft_getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len), ENOTCONN);
	FAILS(weft_getsockopt(fd6, IPPROTO_IPV6, IPV6_MTU, &mtu, &len), ENOTCONN);
	GIVES(weft_close(fd), 0);
	GIVES(weft_close(fd6), 0);
	kit_close(&kit);
}

/* The name in force; what lies behind it must be zeros. */
static bool has_congestion(int fd, const char *name)
{
	char text[20], expected[16] = {0};
	socklen_t len = sizeof(text);

	strncpy(expected, name, sizeof(expected) - 1);
	memset(text, 'x', sizeof(text));
	GIVES(weft_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &len), 0);
	CU_ASSERT(len == 16 && text[16] == 'x');
	return memcmp(text, expected, 16) == 0;
}

static int set_congestion(int fd, const char *name, size_t len)
{
	return weft_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)len);
}

static void test_congestion(void)
{
	char text[4] = "...";
	socklen_t len = 3;
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	CU_ASSERT(has_congestion(fd, "cubic"));
	GIVES(set_congestion(fd, "reno", 4), 0);
	CU_ASSERT(has_congestion(fd, "reno"));
	GIVES(set_congestion(fd, "cubic\0garbage", 13), 0);
	CU_ASSERT(has_congestion(fd, "cubic"));
	FAILS(set_congestion(fd, "vegas", 5), ENOENT);
	FAILS(set_congestion(fd, "ren", 3), ENOENT);
	FAILS(set_congestion(fd, "r", 1), ENOENT);
	FAILS(set_congestion(fd, "a name that is far too long", 27), ENOENT);
	FAILS(set_congestion(fd, "", 0), EINVAL);
	FAILS(set_congestion(fd, NULL, 4), EFAULT);
	CU_ASSERT(has_congestion(fd, "cubic"));
	GIVES(weft_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, text, &len), 0);
	CU_ASSERT(len == 3 && memcmp(text, "cub", 4) == 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* Bytes through a connection whose ends change their controller on the way. */
static void test_congestion_of_a_connection(void)
{
	static const char *const names[] = {"reno", "bbr", "cubic", "bbr1", "bbr"};
	char byte = 'x', got;
	struct kit kit;

	kit_open(&kit);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	GIVES(set_congestion(listener, "bbr", 3), 0);
	int client = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 80), 0);
	int server = weft_accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(server > 0);
	CU_ASSERT(has_congestion(server, "bbr"));
	CU_ASSERT(has_congestion(client, "cubic"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		GIVES(set_congestion(client, names[i], strlen(names[i])), 0);
		CU_ASSERT(has_congestion(client, names[i]));
		GIVES(weft_send(client, &byte, 1, 0), 1);
		GIVES(weft_recv(server, &got, 1, 0), 1);
	}
	GIVES(weft_close(client), 0);
	GIVES(weft_close(server), 0);
	GIVES(weft_close(listener), 0);
	kit_close(&kit);
}

static void test_max_pacing_rate(void)
{
	unsigned long rate = 5000000000ul;
	unsigned narrow = 0;
	socklen_t len = sizeof(rate);
	struct kit kit;

	kit_open(&kit);
	int fd = kit_socket(kit.a, AF_INET);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
	CU_ASSERT(rate == ULONG_MAX && len == sizeof(rate));
	rate = 5000000000ul;
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
	rate = 0;
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
	CU_ASSERT(rate == 5000000000ul);
	len = sizeof(narrow);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &len), 0);
	CU_ASSERT(narrow == UINT_MAX && len == sizeof(narrow));
	narrow = 1000;
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, sizeof(narrow)), 0);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &len), 0);
	CU_ASSERT(narrow == 1000);
	narrow = UINT_MAX; /* none */
	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, sizeof(narrow)), 0);
	len = sizeof(rate);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
	CU_ASSERT(rate == ULONG_MAX);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* 1 MB at 5 MB/s takes its time. */
static void test_max_pacing_rate_is_kept(void)
{
	enum { SIZE = 1 << 20, RATE = 5 << 20 };

	static char data[SIZE];
	unsigned rate = RATE;
	int fds[2];
	struct kit kit;

	kit_open(&kit);
	kit_join(&kit, fds);
	GIVES(weft_setsockopt(fds[0], SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
	weft_time_us start = clock_monotonic_us();
	GIVES(weft_send(fds[0], data, SIZE, 0), SIZE);
	GIVES(weft_recv(fds[1], data, SIZE, MSG_WAITALL), SIZE);
	CU_ASSERT(clock_monotonic_us() - start > 180 * US_PER_MS);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("sockopt", UNIT(congestion), UNIT(congestion_of_a_connection), UNIT(max_pacing_rate),
	  UNIT(max_pacing_rate_is_kept), UNIT(round_trips), UNIT(ip_options), UNIT(defaults),
	  UNIT(set_errnos), UNIT(linger2), UNIT(get_errnos_and_truncation), UNIT(structs),
	  UNIT(inheritance), UNIT(maxseg_and_info))
