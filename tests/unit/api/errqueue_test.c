/* The error queue of datagram sockets: IP_RECVERR, IPV6_RECVERR and MSG_ERRQUEUE, as ip(7) has them. */
#include "kit.h"
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>

static struct kit kit;

struct told {
	ssize_t size;
	int flags;
	char bytes[2000];
	struct sockaddr_storage to;
	struct sock_extended_err ee;
	struct sockaddr_storage from;
	int level;
	int type;
};

static struct sockaddr_storage at(const char *text, uint16_t port, socklen_t *len)
{
	struct kit_addr name = kit_addr(text, port);

	*len = name.len;
	return name.ss;
}

static void set(int fd, int level, int option, int value)
{
	int back = -1;
	socklen_t len = sizeof(back);

	GIVES(weft_setsockopt(fd, level, option, &value, sizeof(value)), 0);
	GIVES(weft_getsockopt(fd, level, option, &back, &len), 0);
	CU_ASSERT_EQUAL(back, value);
}

static int open_udp(int family, bool wants)
{
	int fd = weft_socket(kit.a, family, SOCK_DGRAM, 0);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	if (wants)
		set(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		    family == AF_INET ? IP_RECVERR : IPV6_RECVERR, 1);
	return fd;
}

static ssize_t send_to(int fd, const char *text, const char *addr, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage name = at(addr, port, &len);

	return weft_sendto(fd, text, strlen(text), 0, (struct sockaddr *)&name, len);
}

static const struct told *recv_err(int fd, size_t room)
{
	static struct told told;
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct iovec iov = {told.bytes, room};
	struct msghdr msg = {.msg_name = &told.to,
			     .msg_namelen = sizeof(told.to),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};

	memset(&told, 0, sizeof(told));
	told.size = weft_recvmsg(fd, &msg, MSG_ERRQUEUE);
	if (told.size < 0)
		return &told;
	told.flags = msg.msg_flags;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	if (!c)
		return &told; /* for the compiler */
	told.level = c->cmsg_level;
	told.type = c->cmsg_type;
	memcpy(&told.ee, CMSG_DATA(c), sizeof(told.ee));
	memcpy(&told.from, SO_EE_OFFENDER((struct sock_extended_err *)(void *)CMSG_DATA(c)),
	       c->cmsg_len - CMSG_LEN(sizeof(told.ee)));
	return &told;
}

static void expect_empty(int fd)
{
	FAILS(recv_err(fd, 100)->size, EAGAIN);
}

static void expect_poll(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	GIVES(weft_poll(&p, 1, events ? 5000 : 0), events ? 1 : 0);
	CU_ASSERT_EQUAL(p.revents, events);
}

static bool is_addr(const struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage want = at(text, port, &len);

	return memcmp(ss, &want, len) == 0;
}

static int so_error(int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);

	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len), 0);
	return value;
}

/* Until the pending error is another one's, beside a queue that is not empty. */
static void wait_error(int fd)
{
	int value = 0;
	socklen_t len = sizeof(value);

	while (value == 0 && weft_getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len) == 0)
		sched_yield();
	CU_ASSERT_EQUAL(value, ECONNREFUSED);
}

/* The next one is that nobody has the port at 'peer'. */
static void expect_refused(int fd, bool is_v6, const char *peer, const char *text)
{
	const struct told *t = recv_err(fd, 100);
	bool is_icmp6 = strchr(peer, ':') && !strchr(peer, '.');

	CU_ASSERT_EQUAL_FATAL(t->size, (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(memcmp(t->bytes, text, strlen(text)), 0);
	CU_ASSERT_EQUAL(t->flags, MSG_ERRQUEUE);
	CU_ASSERT_TRUE(is_addr(&t->to, peer, 4321));
	CU_ASSERT_TRUE(is_addr(&t->from, peer, 0));
	CU_ASSERT_EQUAL(t->level, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP);
	CU_ASSERT_EQUAL(t->type, is_v6 ? IPV6_RECVERR : IP_RECVERR);
	CU_ASSERT_EQUAL(t->ee.ee_errno, ECONNREFUSED);
	CU_ASSERT_EQUAL(t->ee.ee_origin, is_icmp6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP);
	CU_ASSERT_EQUAL(t->ee.ee_type, is_icmp6 ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH);
	CU_ASSERT_EQUAL(t->ee.ee_code, is_icmp6 ? ICMP6_DST_UNREACH_NOPORT : ICMP_PORT_UNREACH);
	CU_ASSERT_EQUAL(t->ee.ee_info, 0);
}

/* The socket hears though it is not connected, with what it sent and where to. */
static void test_port_unreachable(void)
{
	static const char *const peer[] = {KIT_B4, KIT_B6};

	kit_open(&kit);
	for (int i = 0; i < 2; i++) {
		int fd = open_udp(i ? AF_INET6 : AF_INET, true);

		expect_poll(fd, 0);
		expect_empty(fd);
		GIVES(send_to(fd, "hello", peer[i], 4321), 5);
		expect_poll(fd, POLLERR);
		expect_refused(fd, i, peer[i], "hello");
		/* With the queue the pending error has gone. */
		expect_poll(fd, 0);
		CU_ASSERT_EQUAL(so_error(fd), 0);
		expect_empty(fd);
		GIVES(weft_close(fd), 0);
	}
	kit_close(&kit);
}

/* IPv4 errors of an AF_INET6 socket are IP_RECVERR's, and told as IPv6's. */
static void test_mapped(void)
{
	kit_open(&kit);
	int fd = weft_socket(kit.a, AF_INET6, SOCK_DGRAM, 0);

	set(fd, IPPROTO_IP, IP_RECVERR, 1);
	GIVES(send_to(fd, "mapped", "::ffff:" KIT_B4, 4321), 6);
	expect_poll(fd, POLLERR);
	expect_refused(fd, true, "::ffff:" KIT_B4, "mapped");
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* A socket that is not asked to says nothing; one that asks no more forgets. */
static void test_off(void)
{
	kit_open(&kit);
	int fd = open_udp(AF_INET, false), on = open_udp(AF_INET, true);

	GIVES(send_to(fd, "x", KIT_B4, 4321), 1);
	GIVES(send_to(on, "y", KIT_B4, 4321), 1);
	expect_poll(on, POLLERR); /* behind the other's */
	expect_poll(fd, 0);
	expect_empty(fd);
	FAILS(weft_recv(fd, NULL, 0, MSG_DONTWAIT), EAGAIN);
	CU_ASSERT_EQUAL(so_error(on), ECONNREFUSED);
	expect_poll(on, POLLERR); /* the queue */
	set(on, IPPROTO_IP, IP_RECVERR, 0);
	expect_poll(on, 0);
	expect_empty(on);
	GIVES(weft_close(fd), 0);
	GIVES(weft_close(on), 0);
	kit_close(&kit);
}

/* Several: in order, and the pending error is the next one's; cut when there is no room. */
static void test_order_and_room(void)
{
	kit_open(&kit);
	int fd = open_udp(AF_INET, true);

	for (int i = 0; i < 3; i++) {
		char text[4] = {'n', (char)('0' + i), '.', 0};

		GIVES(send_to(fd, text, KIT_B4, (uint16_t)(4000 + i)), 3);
		expect_poll(fd, POLLERR);
		/* A call tells the error, and leaves the queue. */
		wait_error(fd);
	}
	CU_ASSERT_EQUAL(recv_err(fd, 100)->size, 3);
	FAILS(weft_recv(fd, NULL, 0, MSG_DONTWAIT), ECONNREFUSED);
	const struct told *t = recv_err(fd, 2);

	CU_ASSERT_EQUAL(t->size, 2);
	CU_ASSERT_EQUAL(memcmp(t->bytes, "n1", 2), 0);
	CU_ASSERT_EQUAL(t->flags, MSG_ERRQUEUE | MSG_TRUNC);
	CU_ASSERT_TRUE(is_addr(&t->to, KIT_B4, 4001));
	t = recv_err(fd, 100);
	CU_ASSERT_TRUE(is_addr(&t->to, KIT_B4, 4002));
	CU_ASSERT_EQUAL(so_error(fd), 0);
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

/* Too long for the path, and not to be cut: EMSGSIZE, and what would fit. */
static void test_too_long(void)
{
	static const char *const peer[] = {KIT_B4, KIT_B6};
	static char bytes[1600];

	memset(bytes, 'x', sizeof(bytes) - 1);
	kit_open(&kit);
	for (int i = 0; i < 2; i++) {
		int fd = open_udp(i ? AF_INET6 : AF_INET, true);

		set(fd, i ? IPPROTO_IPV6 : IPPROTO_IP, i ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
		    IP_PMTUDISC_DO);
		FAILS(send_to(fd, bytes, peer[i], 4321), EMSGSIZE);
		expect_poll(fd, POLLERR);
		CU_ASSERT_EQUAL(so_error(fd), 0);
		const struct told *t = recv_err(fd, 100);

		CU_ASSERT_EQUAL(t->size, 0);
		CU_ASSERT_EQUAL(t->ee.ee_errno, EMSGSIZE);
		CU_ASSERT_EQUAL(t->ee.ee_origin, SO_EE_ORIGIN_LOCAL);
		CU_ASSERT_EQUAL(t->ee.ee_info, 1500);
		CU_ASSERT_EQUAL(t->from.ss_family, AF_UNSPEC);
		CU_ASSERT_TRUE(is_addr(&t->to, peer[i], 0));
		expect_poll(fd, 0);
		GIVES(weft_close(fd), 0);
	}
	kit_close(&kit);
}

/* Nobody reads them: no more than SO_RCVBUF, and what is beyond is counted. */
static void test_bounded(void)
{
	int size = 2304;
	unsigned count = 0;
	static char bytes[1600];
	struct weft_stats stats;

	kit_open(&kit);
	int fd = open_udp(AF_INET, true);

	GIVES(weft_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	for (int i = 0; i < 20; i++) {
		GIVES(send_to(fd, "x", KIT_B4, 4321), 1);
		expect_poll(fd, POLLERR);
		wait_error(fd);
	}
	set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	memset(bytes, 'x', sizeof(bytes) - 1);
	FAILS(send_to(fd, bytes, KIT_B4, 4321), EMSGSIZE);
	while (recv_err(fd, 100)->size >= 0)
		count++;
	CU_ASSERT_TRUE(count > 0 && count <= 2 * 2304 / 512);
	weft_stack_stats(kit.a, &stats);
	for (unsigned i = 0; weft_drop_name(i); i++)
		if (strcmp(weft_drop_name(i), "DGRAM_RCVBUF") == 0)
			CU_ASSERT_EQUAL(stats.drops[i], 21 - count); /* our own, too */
	GIVES(weft_close(fd), 0);
	kit_close(&kit);
}

UNIT_MAIN("errqueue", UNIT(port_unreachable), UNIT(mapped), UNIT(off), UNIT(order_and_room),
	  UNIT(too_long), UNIT(bounded))
