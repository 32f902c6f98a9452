/*
 * Several messages at a time, control messages both ways, messages of several datagrams, pings.
 */
#include "diff.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO     104
#endif

static int open_type(enum side side, int domain, int type, int protocol)
{
	const struct timeval limit = {.tv_usec = 500000};
	int fd = x_socket(side, domain, type, protocol);

	(void)x_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* A socket of SERVER with a name, and one of CLIENT that is connected to it. */
static void pair4(int fd[SIDES])
{
	struct sockaddr_in in = addr4_of(SERVER, fresh_port());

	fd[SERVER] = open_type(SERVER, AF_INET, SOCK_DGRAM, 0);
	fd[CLIENT] = open_type(CLIENT, AF_INET, SOCK_DGRAM, 0);
	if (x_bind(fd[SERVER], (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    x_connect(fd[CLIENT], (struct sockaddr *)&in, sizeof(in)) != 0)
		say("pair4", -1);
}

static void pair6(int fd[SIDES])
{
	struct sockaddr_in6 in6 = addr6_of(SERVER, fresh_port());

	fd[SERVER] = open_type(SERVER, AF_INET6, SOCK_DGRAM, 0);
	fd[CLIENT] = open_type(CLIENT, AF_INET6, SOCK_DGRAM, 0);
	if (x_bind(fd[SERVER], (struct sockaddr *)&in6, sizeof(in6)) != 0 ||
	    x_connect(fd[CLIENT], (struct sockaddr *)&in6, sizeof(in6)) != 0)
		say("pair6", -1);
}

/* ---- sendmmsg, recvmmsg. ---- */

enum { MSGS = 4 };

struct many {
	char bytes[MSGS][8];
	struct iovec iov[MSGS];
	struct mmsghdr msgs[MSGS];
};

static void many_init(struct many *m)
{
	memset(m, 0, sizeof(*m));
	for (int i = 0; i < MSGS; i++) {
		memset(m->bytes[i], 'a' + i, sizeof(m->bytes[i]));
		m->iov[i] = (struct iovec){m->bytes[i], 1 + (size_t)i};
		m->msgs[i].msg_hdr.msg_iov = &m->iov[i];
		m->msgs[i].msg_hdr.msg_iovlen = 1;
		m->msgs[i].msg_len = 77;
	}
}

static void several(void)
{
	int fd[SIDES];
	struct many m;
	struct timespec bad = {.tv_nsec = -1}, now = {0, 0};

	pair4(fd);
	say_prefix("several");
	many_init(&m);
	say("send", x_sendmmsg(fd[CLIENT], m.msgs, MSGS, 0));
	for (int i = 0; i < MSGS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "sent_%d", i);
		say_value(name, m.msgs[i].msg_len);
	}
	many_init(&m);
	say("recv", x_recvmmsg(fd[SERVER], m.msgs, 3, MSG_WAITFORONE, NULL));
	say_value("len_2", m.msgs[2].msg_len);
	say_value("flags_2", m.msgs[2].msg_hdr.msg_flags);
	m.iov[0].iov_len = 2;
	say("recv_cut", x_recvmmsg(fd[SERVER], m.msgs, 1, 0, NULL));
	say_value("len_cut", m.msgs[0].msg_len);
	say_value("flags_cut", m.msgs[0].msg_hdr.msg_flags);
	say("recv_none", x_recvmmsg(fd[SERVER], m.msgs, 2, MSG_DONTWAIT, NULL));
	say("recv_0", x_recvmmsg(fd[SERVER], m.msgs, 0, MSG_DONTWAIT, NULL));
	say("send_0", x_sendmmsg(fd[CLIENT], m.msgs, 0, 0));
	say("recv_bad_time", x_recvmmsg(fd[SERVER], m.msgs, 1, 0, &bad));
	/* The second one fails: the first counts. */
	many_init(&m);
	m.msgs[1].msg_hdr.msg_iovlen = 1025;
	say("send_part", x_sendmmsg(fd[CLIENT], m.msgs, MSGS, 0));
	say_value("part_len_1", m.msgs[1].msg_len);
	many_init(&m);
	say("recv_part", x_recvmmsg(fd[SERVER], m.msgs, MSGS, 0, &now));
	many_init(&m);
	m.msgs[0].msg_hdr.msg_iovlen = 1025;
	say("send_first_bad", x_sendmmsg(fd[CLIENT], m.msgs, MSGS, 0));
	say("recv_null", x_recvmmsg(fd[SERVER], NULL, 1, MSG_DONTWAIT, NULL));
	say("closed", x_sendmmsg(closed_fd(CLIENT), m.msgs, 1, 0));
	close_both(fd);
	make_connection(fd);
	many_init(&m);
	say("stream", x_sendmmsg(fd[CLIENT], m.msgs, MSGS, 0));
	say("stream_waitall", x_recv(fd[SERVER], m.bytes[0], 8, MSG_WAITALL));
	many_init(&m);
	say("stream_recv", x_recvmmsg(fd[SERVER], m.msgs, MSGS, MSG_DONTWAIT, NULL));
	close_both(fd);
}

/* ---- Control messages. ---- */

struct control {
	_Alignas(struct cmsghdr) char bytes[256];
	size_t size;
};

static void add_item(struct control *c, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *h = (struct cmsghdr *)(void *)(c->bytes + c->size);

	memset(h, 0, CMSG_SPACE(size));
	h->cmsg_level = level;
	h->cmsg_type = type;
	h->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(h), data, size);
	c->size += CMSG_SPACE(size);
}

static void add_int(struct control *c, int level, int type, int value)
{
	add_item(c, level, type, &value, sizeof(value));
}

static long send_with(int fd, const struct control *c, const char *text)
{
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = c->size > 0 ? (void *)(uintptr_t)c->bytes : NULL,
			     .msg_controllen = c->size};

	return x_sendmsg(fd, &hdr, 0);
}

/* The first item of that kind as an int; -1: there is none. */
static long item_of(struct msghdr *hdr, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		int value = 0;

		if (c->cmsg_level != level || c->cmsg_type != type)
			continue;
		size_t size = c->cmsg_len - CMSG_LEN(0);

		memcpy(&value, CMSG_DATA(c), size < sizeof(value) ? size : sizeof(value));
		return value;
	}
	return -1;
}

static int count_of(struct msghdr *hdr)
{
	int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c))
		n++;
	return n;
}

static void say_received(const char *prefix, int fd, int level, const int types[], int count)
{
	_Alignas(struct cmsghdr) char control[256];
	char byte[2048];
	struct iovec iov = {byte, sizeof(byte)};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	say_prefix(prefix);
	say("recvmsg", x_recvmsg(fd, &hdr, 0));
	say_value("flags", hdr.msg_flags);
	say_value("items", count_of(&hdr));
	for (int i = 0; i < count; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "type_%d", types[i]);
		say_value(name, item_of(&hdr, level, types[i]));
	}
}

static void controls4(void)
{
	static const int types[] = {IP_TTL, IP_TOS};
	int fd[SIDES];
	struct control c = {.size = 0};
	struct in_pktinfo info = {.ipi_spec_dst = addr4_of(CLIENT, 0).sin_addr};

	pair4(fd);
	set_int(fd[SERVER], IPPROTO_IP, IP_RECVTTL, 1);
	set_int(fd[SERVER], IPPROTO_IP, IP_RECVTOS, 1);
	say_prefix("control");
	add_int(&c, IPPROTO_IP, IP_TTL, 9);
	add_int(&c, IPPROTO_IP, IP_TOS, 0x48);
	say("ttl_tos", send_with(fd[CLIENT], &c, "x"));
	say_received("control_ttl_tos", fd[SERVER], IPPROTO_IP, types, 2);
	say_prefix("control");
	c.size = 0;
	add_item(&c, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	say("pktinfo", send_with(fd[CLIENT], &c, "x"));
	say_received("control_pktinfo", fd[SERVER], IPPROTO_IP, types, 2);
	say_prefix("control");
	info.ipi_spec_dst = strange_addr4(0).sin_addr;
	c.size = 0;
	add_item(&c, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	say("pktinfo_strange", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IP, IP_TTL, 0);
	say("ttl_0", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IP, IP_TTL, 256);
	say("ttl_256", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IP, IP_TOS, 256);
	say("tos_256", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_item(&c, IPPROTO_IP, IP_TOS, "\x20", 1);
	say("tos_byte", send_with(fd[CLIENT], &c, "x"));
	say_received("control_tos_byte", fd[SERVER], IPPROTO_IP, types, 2);
	say_prefix("control");
	c.size = 0;
	add_item(&c, IPPROTO_IP, IP_TTL, "\x20", 1);
	say("ttl_byte", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IP, 9999, 1);
	say("unknown_type", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, 9999, IP_TTL, 1);
	say("unknown_level", send_with(fd[CLIENT], &c, "x"));
	(void)x_recv(fd[SERVER], &c, 1, MSG_DONTWAIT);
	((struct cmsghdr *)(void *)c.bytes)->cmsg_len = 3;
	say("short_item", send_with(fd[CLIENT], &c, "x"));
	((struct cmsghdr *)(void *)c.bytes)->cmsg_len = 300;
	say("long_item", send_with(fd[CLIENT], &c, "x"));
	c.size = 4;
	say("short_control", send_with(fd[CLIENT], &c, "x"));
	close_both(fd);
}

static void controls6(void)
{
	static const int types[] = {IPV6_HOPLIMIT, IPV6_TCLASS};
	int fd[SIDES];
	struct control c = {.size = 0};
	struct in6_pktinfo info = {.ipi6_addr = addr6_of(CLIENT, 0).sin6_addr};

	pair6(fd);
	set_int(fd[SERVER], IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	set_int(fd[SERVER], IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	say_prefix("control6");
	say("plain", send_with(fd[CLIENT], &c, "x"));
	say_received("control6_plain", fd[SERVER], IPPROTO_IPV6, types, 2);
	add_int(&c, IPPROTO_IPV6, IPV6_HOPLIMIT, 9);
	add_int(&c, IPPROTO_IPV6, IPV6_TCLASS, 0x48);
	say_prefix("control6");
	say("both", send_with(fd[CLIENT], &c, "x"));
	say_received("control6_both", fd[SERVER], IPPROTO_IPV6, types, 2);
	say_prefix("control6");
	c.size = 0;
	add_item(&c, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	say("pktinfo", send_with(fd[CLIENT], &c, "x"));
	info.ipi6_addr.s6_addr[15] = 77;
	c.size = 0;
	add_item(&c, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	say("pktinfo_strange", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IPV6, IPV6_HOPLIMIT, 256);
	say("hoplimit_256", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IPV6, IPV6_HOPLIMIT, -2);
	say("hoplimit_negative", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IPV6, IPV6_TCLASS, 256);
	say("tclass_256", send_with(fd[CLIENT], &c, "x"));
	c.size = 0;
	add_int(&c, IPPROTO_IPV6, 9999, 1);
	say("unknown_type", send_with(fd[CLIENT], &c, "x"));
	close_both(fd);
}

/* ---- One message, many datagrams. ---- */

static void segments(void)
{
	static const int types[] = {UDP_GRO};
	static char bytes[70000];
	int fd[SIDES];
	struct control c = {.size = 0};
	uint16_t size = 4;

	pair4(fd);
	say_prefix("segment");
	set_int(fd[CLIENT], IPPROTO_UDP, UDP_SEGMENT, 3);
	say("send", x_send(fd[CLIENT], "abcdefgh", 8, 0));
	say("recv", x_recv(fd[SERVER], bytes, sizeof(bytes), 0));
	say("recv_2", x_recv(fd[SERVER], bytes, sizeof(bytes), 0));
	say("recv_3", x_recv(fd[SERVER], bytes, sizeof(bytes), 0));
	say("recv_none", x_recv(fd[SERVER], bytes, sizeof(bytes), MSG_DONTWAIT));
	say("too_many", x_send(fd[CLIENT], bytes, 3 * 128 + 1, 0));
	set_int(fd[CLIENT], IPPROTO_UDP, UDP_SEGMENT, 0);
	add_item(&c, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	say("control", send_with(fd[CLIENT], &c, "abcdef"));
	say("control_recv", x_recv(fd[SERVER], bytes, sizeof(bytes), 0));
	say("control_recv_2", x_recv(fd[SERVER], bytes, sizeof(bytes), 0));
	c.size = 0;
	add_int(&c, IPPROTO_UDP, UDP_SEGMENT, 4);
	say("control_int", send_with(fd[CLIENT], &c, "abcdef"));
	set_int(fd[SERVER], IPPROTO_UDP, UDP_GRO, 1);
	say("plain", x_send(fd[CLIENT], "abc", 3, 0));
	say_received("segment_gro_plain", fd[SERVER], IPPROTO_UDP, types, 0);
	close_both(fd);
}

/* ---- Pings. ---- */

static void pings(void)
{
	struct sockaddr_in in = addr4_of(SERVER, 0);
	struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = 0, .sequence = 0x0100}};
	char answer[64];
	int fd = open_type(CLIENT, AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);

	say_prefix("ping");
	say("socket", fd < 0 ? -1 : 0);
	say("sendto", x_sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&in, sizeof(in)));
	say_with("recvfrom",
		 x_recvfrom(fd, answer, sizeof(answer), 0, (struct sockaddr *)&from, &len),
		 (long)len);
	memcpy(&echo, answer, sizeof(echo));
	say_value("type", echo.type);
	say_value("code", echo.code);
	say_value("sequence", echo.un.echo.sequence);
	say_value("from_there", from.sin_addr.s_addr == in.sin_addr.s_addr);
	say_value("from_port", from.sin_port);
	(void)x_getsockname(fd, (struct sockaddr *)&from, &len);
	say_value("id_is_port", from.sin_port == echo.un.echo.id);
	say("short", x_sendto(fd, &echo, 7, 0, (struct sockaddr *)&in, sizeof(in)));
	echo.type = ICMP_ECHOREPLY;
	say("reply", x_sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&in, sizeof(in)));
	echo.type = ICMP_ECHO;
	echo.code = 1;
	say("code_1", x_sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&in, sizeof(in)));
	say("unconnected", x_send(fd, &echo, sizeof(echo), 0));
	say("listen", x_listen(fd, 1));
	int protocol = 0;
	len = sizeof(protocol);
	say("protocol", x_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len));
	say_value("is_icmp", protocol);
	(void)x_close(fd);
	fd = open_type(CLIENT, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
	say("socket6", fd < 0 ? -1 : 0);
	(void)x_close(fd);
	fd = open_type(CLIENT, AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6);
	say("wrong_version", fd < 0 ? -1 : 0);
	if (fd >= 0)
		(void)x_close(fd);
}

void topic_messages(void)
{
	several();
	controls4();
	controls6();
	segments();
	pings();
}
