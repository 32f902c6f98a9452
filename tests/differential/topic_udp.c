/* Datagrams: names, sizes, boundaries, who gets what, errors, ancillary data. */
#include "diff.h"
#include <linux/errqueue.h>
#include <sys/time.h>

static int udp(enum side side)
{
	const struct timeval limit = {.tv_usec = 300000};
	int fd = x_socket(side, AF_INET, SOCK_DGRAM, 0);

	(void)x_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static int bind4(int fd, struct sockaddr_in in)
{
	return x_bind(fd, (struct sockaddr *)&in, sizeof(in));
}

/* A socket of SERVER on '*port'. */
static int server(uint16_t *port)
{
	int fd = udp(SERVER);

	*port = fresh_port();
	if (bind4(fd, addr4_of(SERVER, *port)) != 0)
		say("server", -1);
	return fd;
}

static long send_to(int fd, const char *text, struct sockaddr_in to)
{
	return x_sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof(to));
}

static long recv_len(int fd, size_t size, int flags)
{
	static char bytes[70000];

	return x_recv(fd, bytes, size, flags);
}

static struct sockaddr_in other_addr(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(addr)};
}

static void arguments(void)
{
	struct sockaddr_in in = addr4_of(SERVER, 1);
	struct sockaddr_in6 in6 = addr6_of(SERVER, 1);
	int fd = udp(CLIENT);
	char byte = 0;

	say_prefix("arguments");
	say("listen", x_listen(fd, 1));
	say("accept", x_accept(fd, NULL, NULL));
	say("send_unconnected", x_send(fd, &byte, 1, 0));
	say("send_nothing_unconnected", x_send(fd, &byte, 0, 0));
	say("peer", x_getpeername(fd, (struct sockaddr *)&in, &(socklen_t){sizeof(in)}));
	in = addr4_of(SERVER, 1);
	say("sendto_short", x_sendto(fd, &byte, 1, 0, (struct sockaddr *)&in, 4));
	say("sendto_6_on_4", x_sendto(fd, &byte, 1, 0, (struct sockaddr *)&in6, sizeof(in6)));
	say("sendto_port_0", send_to(fd, "x", addr4_of(SERVER, 0)));
	say("sendto_broadcast", send_to(fd, "x", other_addr(0xffffffff, 9)));
	say("connect_broadcast", connect4(fd, other_addr(0xffffffff, 9)));
	say("sendto_oob", x_sendto(fd, &byte, 1, MSG_OOB, (struct sockaddr *)&in, sizeof(in)));
	say("recv_oob", x_recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT) == -1 ? 0 : 1);
	say("recv_dontwait", x_recv(fd, &byte, 1, MSG_DONTWAIT));
	say("recv_timeout", x_recv(fd, &byte, 1, 0));
	say("shutdown_unconnected", x_shutdown(fd, SHUT_RDWR));
	say("shutdown_bad", x_shutdown(fd, 3));
	(void)x_close(fd);
}

static void binding(void)
{
	uint16_t port;
	int on = 1;
	int a = server(&port);
	int b = udp(SERVER);
	struct sockaddr_in in = other_addr(0, port);

	say_prefix("binding");
	say("again", bind4(a, addr4_of(SERVER, port)));
	say("same", bind4(b, addr4_of(SERVER, port)));
	say("any", bind4(b, in));
	say("reuse_one", x_setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	say("same_reuse_one", bind4(b, addr4_of(SERVER, port)));
	(void)x_close(a);
	say("same_alone", bind4(b, addr4_of(SERVER, port)));
	a = udp(SERVER);
	(void)x_setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	say("same_reuse_both", bind4(a, addr4_of(SERVER, port)));
	(void)x_close(a);
	(void)x_close(b);
	a = udp(SERVER);
	b = udp(SERVER);
	(void)x_setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	(void)x_setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	port = fresh_port();
	say("group_first", bind4(a, addr4_of(SERVER, port)));
	say("group_second", bind4(b, addr4_of(SERVER, port)));
	(void)x_close(a);
	(void)x_close(b);
	a = udp(SERVER);
	say("strange", bind4(a, strange_addr4(port)));
	(void)x_close(a);
}

static void boundaries(void)
{
	uint16_t port;
	int s = server(&port), c = udp(CLIENT);
	struct sockaddr_in to = addr4_of(SERVER, port), from;
	socklen_t len = sizeof(from);
	char bytes[8];

	say_prefix("boundaries");
	say("send_1", send_to(c, "1", to));
	say("send_0", send_to(c, "", to));
	say("send_6", send_to(c, "666666", to));
	say("send_3", send_to(c, "333", to));
	say("recv_1", recv_len(s, 8, 0));
	say("recv_0", recv_len(s, 8, 0));
	say("peek_4", recv_len(s, 4, MSG_PEEK));
	say("peek_trunc_4", recv_len(s, 4, MSG_PEEK | MSG_TRUNC));
	say("recv_4", recv_len(s, 4, 0));
	say("recvfrom", x_recvfrom(s, bytes, 8, 0, (struct sockaddr *)&from, &len));
	say_value("from_len", (long)len);
	say_value("from_is_client", from.sin_addr.s_addr == addr4_of(CLIENT, 0).sin_addr.s_addr);
	say("send_back", x_sendto(s, "b", 1, 0, (struct sockaddr *)&from, len));
	say("waitall", recv_len(c, 8, MSG_WAITALL));
	say("send_for_0", send_to(c, "gone", to));
	say("recv_none", recv_len(s, 0, 0));
	say("recv_gone", recv_len(s, 8, MSG_DONTWAIT));
	say("send_for_read", send_to(c, "r", to));
	wait_readable(s);
	say("read_none", x_read(s, bytes, 0));
	say("read", x_read(s, bytes, 8));
	(void)x_close(s);
	(void)x_close(c);
}

static void sizes(void)
{
	static char bytes[65600];
	uint16_t port;
	int s = server(&port), c = udp(CLIENT);
	struct sockaddr_in to = addr4_of(SERVER, port);

	say_prefix("sizes");
	say("connect", connect4(c, to));
	say("largest", x_send(c, bytes, 65507, 0));
	say("recv_largest", recv_len(s, 70000, 0));
	say("too_large", x_send(c, bytes, 65508, 0));
	say("far_too_large", x_send(c, bytes, 65600, 0));
	say("large", x_send(c, bytes, 20000, 0));
	say("recv_large", recv_len(s, 70000, 0));
	(void)x_close(s);
	(void)x_close(c);
}

static void connected(void)
{
	struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	uint16_t port, port2;
	int s = server(&port), s2 = server(&port2), c = udp(CLIENT);

	say_prefix("connected");
	say("connect", connect4(c, addr4_of(SERVER, port)));
	say("name", x_getsockname(c, (struct sockaddr *)&name, &len));
	say_value("name_has_port", name.sin_port != 0);
	say_value("name_is_own", name.sin_addr.s_addr == addr4_of(CLIENT, 0).sin_addr.s_addr);
	struct sockaddr_in own = name;
	say("stranger", x_sendto(s2, "no", 2, 0, (struct sockaddr *)&own, sizeof(own)));
	say("recv_stranger", recv_len(c, 8, 0));
	say("sendto_other", send_to(c, "other", addr4_of(SERVER, port2)));
	say("recv_other", recv_len(s2, 8, 0));
	say("send", x_send(c, "one", 3, 0));
	say("recv", recv_len(s, 8, 0));
	say("connect_again", connect4(c, addr4_of(SERVER, port2)));
	say("peer", x_getpeername(c, (struct sockaddr *)&name, &len));
	say_value("peer_is_second", ntohs(name.sin_port) == port2);
	say("bind_connected", bind4(c, addr4_of(CLIENT, 0)));
	say("dissolve", x_connect(c, &unspec, sizeof(unspec)));
	say("dissolve_again", x_connect(c, &unspec, sizeof(unspec)));
	say("peer_gone", x_getpeername(c, (struct sockaddr *)&name, &len));
	(void)x_getsockname(c, (struct sockaddr *)&name, &len);
	say_value("port_gone", name.sin_port == 0);
	say_value("addr_gone", name.sin_addr.s_addr == 0);
	say("send_dissolved", x_send(c, "x", 1, 0));
	say("shutdown_wr", x_shutdown(s2, SHUT_WR));
	say("connect_shut", connect4(c, addr4_of(SERVER, port)));
	say("shutdown_connected", x_shutdown(c, SHUT_RDWR));
	say("recv_shut", recv_len(c, 8, 0));
	say("send_shut", x_send(c, "x", 1, MSG_NOSIGNAL));
	(void)x_close(s);
	(void)x_close(s2);
	(void)x_close(c);
}

static void errors(void)
{
	uint16_t port = fresh_port();
	int c = udp(CLIENT);
	int error = -1;
	socklen_t len = sizeof(error);

	say_prefix("errors");
	say("connect", connect4(c, addr4_of(SERVER, port)));
	say("send", x_send(c, "x", 1, 0));
	say("recv_refused", recv_len(c, 8, 0));
	say("recv_after", recv_len(c, 8, MSG_DONTWAIT));
	say("send_again", x_send(c, "x", 1, 0));
	(void)recv_len(c, 8, MSG_PEEK); /* waits for it, and takes it */
	say("so_error", x_getsockopt(c, SOL_SOCKET, SO_ERROR, &error, &len));
	say_value("so_error_taken", error);
	(void)x_close(c);
	c = udp(CLIENT);
	say("send_unconnected", send_to(c, "x", addr4_of(SERVER, port)));
	say("recv_unconnected", recv_len(c, 8, 0));
	(void)x_close(c);
}

static void set(const char *name, int fd, int level, int option, int value)
{
	int back = -1;
	socklen_t len = sizeof(back);

	if (x_setsockopt(fd, level, option, &value, sizeof(value)) != 0) {
		say(name, -1);
		return;
	}
	say_with(name, x_getsockopt(fd, level, option, &back, &len), back);
}

static void options(void)
{
	int fd = udp(CLIENT);
	int value;
	socklen_t len = sizeof(value);

	say_prefix("options");
	say_with("type", x_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), value);
	say_with("protocol", x_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &len), value);
	say_with("acceptconn", x_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len), value);
	set("broadcast", fd, SOL_SOCKET, SO_BROADCAST, 1);
	set("reuseport", fd, SOL_SOCKET, SO_REUSEPORT, 1);
	set("rxq_ovfl", fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	set("ttl", fd, IPPROTO_IP, IP_TTL, 7);
	set("ttl_0", fd, IPPROTO_IP, IP_TTL, 0);
	set("tos", fd, IPPROTO_IP, IP_TOS, 0x2b);
	set("pktinfo", fd, IPPROTO_IP, IP_PKTINFO, 1);
	set("recvttl", fd, IPPROTO_IP, IP_RECVTTL, 1);
	set("recvtos", fd, IPPROTO_IP, IP_RECVTOS, 1);
	set("discover", fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	say("mtu_unconnected", x_getsockopt(fd, IPPROTO_IP, IP_MTU, &value, &len));
	value = 1;
	say("tcp_level", x_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)));
	(void)x_close(fd);
}

/* The first item of that kind as an int; -1: there is none. */
static long item(struct msghdr *hdr, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		int value = 0;

		if (c->cmsg_level != level || c->cmsg_type != type)
			continue;
		memcpy(&value, CMSG_DATA(c),
		       c->cmsg_len - CMSG_LEN(0) < sizeof(value) ? 1 : sizeof(value));
		return value;
	}
	return -1;
}

static void messages(void)
{
	_Alignas(struct cmsghdr) char control[200];
	struct sockaddr_in from;
	uint16_t port;
	int on = 1, tos = 0x2b;
	int s = server(&port), c = udp(CLIENT);
	char a[2], b[2];
	struct iovec iov[2] = {{a, 2}, {b, 2}};
	struct msghdr hdr = {.msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	say_prefix("messages");
	(void)x_setsockopt(s, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	(void)x_setsockopt(s, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
	(void)x_setsockopt(s, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	(void)x_setsockopt(c, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	say("send", send_to(c, "12345", addr4_of(SERVER, port)));
	say("recvmsg", x_recvmsg(s, &hdr, 0));
	say_value("flags", hdr.msg_flags);
	say_value("namelen", (long)hdr.msg_namelen);
	say_value("controllen", (long)hdr.msg_controllen);
	say_value("tos", item(&hdr, IPPROTO_IP, IP_TOS));
	say_value("ttl", item(&hdr, IPPROTO_IP, IP_TTL));
	say_value("has_pktinfo", item(&hdr, IPPROTO_IP, IP_PKTINFO) >= 0);
	say("send_2", send_to(c, "1", addr4_of(SERVER, port)));
	hdr.msg_controllen = 4;
	say("recvmsg_cut", x_recvmsg(s, &hdr, 0));
	say_value("flags_cut", hdr.msg_flags);
	hdr.msg_iovlen = 1025;
	say("too_many_parts", x_recvmsg(s, &hdr, MSG_DONTWAIT));
	say("send_too_many_parts", x_sendmsg(c, &hdr, 0));
	(void)x_close(s);
	(void)x_close(c);
}

/* The size of what recvmsg with MSG_ERRQUEUE gives, and what it tells. */
static void error_entry(const char *prefix, int fd, size_t room)
{
	_Alignas(struct cmsghdr) char control[200];
	char bytes[100];
	struct sockaddr_in from = {.sin_port = 0};
	struct iovec iov = {bytes, room};
	struct msghdr hdr = {.msg_name = &from,
			     .msg_namelen = sizeof(from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct sock_extended_err ee;

	say_prefix(prefix);
	long size = x_recvmsg(fd, &hdr, MSG_ERRQUEUE);

	say("recvmsg", size);
	struct cmsghdr *c = size >= 0 ? CMSG_FIRSTHDR(&hdr) : NULL;

	if (!c)
		return;
	say_value("flags", hdr.msg_flags);
	say_value("namelen", (long)hdr.msg_namelen);
	say_value("family", from.sin_family);
	say_value("has_port", from.sin_port != 0);
	say_value("controllen", (long)hdr.msg_controllen);
	say_value("len", (long)c->cmsg_len);
	say_value("level", c->cmsg_level);
	say_value("type", c->cmsg_type);
	memcpy(&ee, CMSG_DATA(c), sizeof(ee));
	say_value("errno", ee.ee_errno);
	say_value("origin", ee.ee_origin);
	say_value("icmp_type", ee.ee_type);
	say_value("icmp_code", ee.ee_code);
	say_value("pad", ee.ee_pad);
	say_value("has_info", ee.ee_info != 0);
	say_value("data", ee.ee_data);
	struct sockaddr offender;

	memcpy(&offender, CMSG_DATA(c) + sizeof(ee), sizeof(offender));
	say_value("offender", offender.sa_family);
}

/* Few errors: the kernel answers some a second to an address. */
static void error_queue(void)
{
	uint16_t port = fresh_port();
	int fd = udp(CLIENT), on = 1, value;
	socklen_t len = sizeof(value);

	error_entry("error_queue_empty", fd, 100);
	say("set", x_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
	/* Unconnected: recv waits for the error, tells it, and leaves the queue. */
	say("send_1", send_to(fd, "12345", addr4_of(SERVER, port)));
	say("recv_1", recv_len(fd, 100, 0));
	say("recv_again", recv_len(fd, 100, MSG_DONTWAIT));
	say("send_2", send_to(fd, "12", addr4_of(SERVER, port)));
	say("recv_2", recv_len(fd, 100, 0));
	/* The second one's error is pending when the first one was taken. */
	error_entry("error_queue_first_cut", fd, 3);
	say("getsockopt", x_getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len));
	say_value("so_error", value);
	error_entry("error_queue_second", fd, 100);
	say("getsockopt", x_getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len));
	say_value("so_error", value);
	error_entry("error_queue_none", fd, 100);
	/* Off: what waits goes. */
	say("send_3", send_to(fd, "12", addr4_of(SERVER, port)));
	say("recv_3", recv_len(fd, 100, 0));
	on = 0;
	say("clear", x_setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
	error_entry("error_queue_off", fd, 100);
	(void)x_close(fd);
}

static struct sockaddr_in6 mapped(struct sockaddr_in in)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = in.sin_port};

	memset(in6.sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
	return in6;
}

static int udp6(enum side side)
{
	const struct timeval limit = {.tv_usec = 300000};
	int fd = x_socket(side, AF_INET6, SOCK_DGRAM, 0);

	(void)x_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* IPv4 by sockets of IPv6. */
static void dual(void)
{
	uint16_t port = fresh_port();
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, from;
	struct sockaddr_in to = addr4_of(SERVER, port);
	struct sockaddr_in6 to6 = mapped(to);
	socklen_t len = sizeof(from);
	int s = udp6(SERVER), c = udp(CLIENT), c6 = udp6(CLIENT), on = 1;
	char byte;

	say_prefix("dual");
	say("bind", x_bind(s, (struct sockaddr *)&any, sizeof(any)));
	say("send", send_to(c, "4", to));
	say_with("recvfrom", x_recvfrom(s, &byte, 1, 0, (struct sockaddr *)&from, &len), (long)len);
	say_value("from_is_mapped", IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	say("answer", x_sendto(s, "a", 1, 0, (struct sockaddr *)&from, sizeof(from)));
	say("recv_answer", recv_len(c, 8, 0));
	say("send_mapped", x_sendto(c6, "m", 1, 0, (struct sockaddr *)&to6, sizeof(to6)));
	say("recv_mapped", recv_len(s, 8, 0));
	say("send_4", x_sendto(c6, "4", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	say("recv_4", recv_len(s, 8, 0));
	say("connect_mapped", x_connect(c6, (struct sockaddr *)&to6, sizeof(to6)));
	len = sizeof(from);
	(void)x_getsockname(c6, (struct sockaddr *)&from, &len);
	say_value("name_is_mapped", IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	(void)x_getpeername(c6, (struct sockaddr *)&from, &len);
	say_value("peer_is_mapped", IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
	say("send_connected", x_send(c6, "m", 1, 0));
	say("recv_connected", recv_len(s, 8, 0));
	say("connect_6", x_connect(c6, (struct sockaddr *)&any, sizeof(any)));
	(void)x_close(c6);
	c6 = udp6(CLIENT);
	say("connect_4", connect4(c6, to));
	(void)x_close(c6);
	c6 = udp6(CLIENT);
	say("v6only", x_setsockopt(c6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	say("v6only_send_mapped", x_sendto(c6, "m", 1, 0, (struct sockaddr *)&to6, sizeof(to6)));
	say("v6only_send_4", x_sendto(c6, "m", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	say("v6only_connect_mapped", x_connect(c6, (struct sockaddr *)&to6, sizeof(to6)));
	say("v6only_connect_4", connect4(c6, to));
	(void)x_close(c6);
	(void)x_close(s);
	s = udp6(SERVER);
	(void)x_setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	any.sin6_port = htons(fresh_port());
	to.sin_port = any.sin6_port;
	say("bind_v6only", x_bind(s, (struct sockaddr *)&any, sizeof(any)));
	say("send_beside", send_to(c, "4", to));
	say("recv_beside", recv_len(s, 8, 0));
	(void)x_close(s);
	(void)x_close(c);
}

/* Names that a socket has without being asked; and to whom nothing goes. */
static void unnamed(void)
{
	struct sockaddr_in name;
	socklen_t len = sizeof(name);
	uint16_t port;
	int s = server(&port), c = udp(CLIENT);

	say_prefix("unnamed");
	(void)x_getsockname(c, (struct sockaddr *)&name, &len);
	say_value("port", name.sin_port != 0);
	(void)send_to(c, "1", addr4_of(SERVER, port));
	(void)x_getsockname(c, (struct sockaddr *)&name, &len);
	say_value("port_once_sent", name.sin_port != 0);
	say_value("addr_once_sent", name.sin_addr.s_addr != 0);
	say("bind_once_sent", bind4(c, addr4_of(CLIENT, 0)));
	(void)recv_len(s, 8, 0);
	(void)x_close(c);
	c = udp(SERVER);
	say("send_any", send_to(c, "any", other_addr(0, port)));
	say("connect_any", connect4(c, other_addr(0, port)));
	len = sizeof(name);
	say("peer", x_getpeername(c, (struct sockaddr *)&name, &len));
	say_value("peer_addr", name.sin_addr.s_addr != 0);
	say("connect_port_0", connect4(c, addr4_of(SERVER, 0)));
	say("peer_port_0", x_getpeername(c, (struct sockaddr *)&name, &len));
	say("send_port_0", x_send(c, "x", 1, 0));
	(void)x_close(c);
	(void)x_close(s);
}

void topic_udp(void)
{
	arguments();
	binding();
	boundaries();
	sizes();
	connected();
	errors();
	options();
	messages();
	error_queue();
	dual();
	unnamed();
}
