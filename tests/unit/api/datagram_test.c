/* Datagrams through the API: names, parts, ancillary data, many at a time. */
#include "kit.h"
#include <netinet/udp.h>
#include <sys/ioctl.h>

/* A message with room for its source and ancillary data. */
struct box {
	struct msghdr hdr;
	struct iovec iov[2];
	char text[2][32];
	struct sockaddr_storage from;

	_Alignas(struct cmsghdr) uint8_t control[256];
};

static struct kit kit;

static struct sockaddr_storage at(const char *text, uint16_t port, socklen_t *len)
{
	struct kit_addr name = kit_addr(text, port);

	*len = name.len;
	return name.ss;
}

static int udp(struct weft_stack *stack, const char *addr, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage name = at(addr, port, &len);
	int fd = weft_socket(stack, name.ss_family, SOCK_DGRAM, 0);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	GIVES(weft_bind(fd, (struct sockaddr *)&name, len), 0);
	return fd;
}

static ssize_t send_to(int fd, const char *text, const char *addr, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage name = at(addr, port, &len);

	return weft_sendto(fd, text, strlen(text), 0, (struct sockaddr *)&name, len);
}

static void set(int fd, int level, int option, int value)
{
	int back = -1;
	socklen_t len = sizeof(back);

	GIVES(weft_setsockopt(fd, level, option, &value, sizeof(value)), 0);
	GIVES(weft_getsockopt(fd, level, option, &back, &len), 0);
	CU_ASSERT_EQUAL(back, value);
}

static void box_init(struct box *box)
{
	memset(box, 0, sizeof(*box));
	box->iov[0] = (struct iovec){box->text[0], sizeof(box->text[0])};
	box->iov[1] = (struct iovec){box->text[1], sizeof(box->text[1])};
	box->hdr = (struct msghdr){
		.msg_name = &box->from,
		.msg_namelen = sizeof(box->from),
		.msg_iov = box->iov,
		.msg_iovlen = 2,
		.msg_control = box->control,
		.msg_controllen = sizeof(box->control),
	};
}

/* The ancillary data of that kind, which has 'size' bytes; NULL: there is none. */
static const void *ctl_of(struct box *box, int level, int type, size_t size)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&box->hdr); c; c = CMSG_NXTHDR(&box->hdr, c)) {
		if (c->cmsg_level != level || c->cmsg_type != type)
			continue;
		CU_ASSERT_EQUAL(c->cmsg_len, CMSG_LEN(size));
		return CMSG_DATA(c);
	}
	return NULL;
}

static int int_of(struct box *box, int level, int type)
{
	const void *data = ctl_of(box, level, type, sizeof(int));
	int value = -1;

	if (data)
		memcpy(&value, data, sizeof(value));
	return value;
}

/* Makes the box a message with one ancillary item. */
static void put_ctl(struct box *box, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *c = (void *)box->control;

	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
	memcpy(CMSG_DATA(c), data, size);
	box->hdr.msg_controllen = CMSG_SPACE(size);
}

static void test_kinds(void)
{
	int value;
	socklen_t len = sizeof(value);
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	kit_open(&kit);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6), EPROTONOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET6, SOCK_DGRAM, IPPROTO_ICMP), EPROTONOSUPPORT);
	FAILS(weft_socket(kit.a, AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	int fd = udp(kit.a, "0.0.0.0", 0);

	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), 0);
	CU_ASSERT_EQUAL(value, SOCK_DGRAM);
	GIVES(weft_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &len), 0);
	CU_ASSERT_EQUAL(value, IPPROTO_UDP);
	FAILS(weft_listen(fd, 1), EOPNOTSUPP);
	FAILS(weft_accept(fd, NULL, NULL), EOPNOTSUPP);
	FAILS(weft_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), ENOPROTOOPT);
	FAILS(weft_send(fd, "x", 1, 0), EDESTADDRREQ);
	FAILS(weft_send(fd, "x", 1, MSG_OOB), EOPNOTSUPP);
	FAILS(weft_send(fd, "x", 1, MSG_BATCH), EOPNOTSUPP);
	GIVES(weft_connect(fd, &nobody, sizeof(nobody)), 0);
	GIVES(weft_fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	FAILS(weft_recv(fd, &value, 1, 0), EAGAIN);
	GIVES(weft_close(fd), 0);
	FAILS(weft_sendmsg(fd, NULL, 0), EBADF);
	kit_close(&kit);
}

static void test_names_and_parts(void)
{
	struct sockaddr_in from;
	socklen_t len = 4;
	char text[32];
	struct box box;

	kit_open(&kit);
	int a = udp(kit.a, "0.0.0.0", 1000), b = udp(kit.b, "0.0.0.0", 2000);

	GIVES(send_to(a, "hello", KIT_B4, 2000), 5);
	memset(&from, 0xff, sizeof(from));
	GIVES(weft_recvfrom(b, text, sizeof(text), 0, (struct sockaddr *)&from, &len), 5);
	CU_ASSERT_EQUAL(len, sizeof(from)); /* the true size, whatever fitted */
	CU_ASSERT_EQUAL(from.sin_port, htons(1000));
	CU_ASSERT_EQUAL(from.sin_addr.s_addr, UINT32_MAX);
	/* From two parts into two, of which the first is too small. */
	box_init(&box);
	memcpy(box.text, "one", 3);
	memcpy(box.text[1], "two", 3);
	box.iov[0].iov_len = 3;
	box.iov[1].iov_len = 3;
	box.hdr.msg_controllen = 0;
	box.from = at(KIT_B4, 2000, &len);
	box.hdr.msg_namelen = len;
	GIVES(weft_sendmsg(a, &box.hdr, 0), 6);
	box_init(&box);
	box.iov[0].iov_len = 2;
	box.iov[1].iov_len = 2;
	GIVES(weft_recvmsg(b, &box.hdr, 0), 4);
	CU_ASSERT_EQUAL(memcmp(box.text[0], "on", 2) || memcmp(box.text[1], "et", 2), 0);
	CU_ASSERT_EQUAL(box.hdr.msg_flags, MSG_TRUNC);
	CU_ASSERT_EQUAL(box.hdr.msg_namelen, sizeof(from));
	CU_ASSERT_EQUAL(box.hdr.msg_controllen, 0);
	box.hdr.msg_iovlen = 1025;
	FAILS(weft_recvmsg(b, &box.hdr, 0), EMSGSIZE);
	FAILS(weft_sendmsg(b, &box.hdr, 0), EMSGSIZE);
	FAILS(weft_recvmsg(b, NULL, 0), EFAULT);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

/* U-11, U-17, U-22: where it came to, with which TTL and TOS. */
/* As on Linux, connect and send of an IPv6 socket take addresses of IPv4. */
static void test_v4_of_v6(void)
{
	socklen_t len;
	struct sockaddr_storage to = at(KIT_B4, 2000, &len);
	struct sockaddr_in6 name;
	socklen_t name_len = sizeof(name);
	char text[8];

	kit_open(&kit);
	int a = udp(kit.a, "::", 0), b = udp(kit.b, KIT_B4, 2000);

	GIVES(weft_sendto(a, "one", 3, 0, (struct sockaddr *)&to, len), 3);
	GIVES(weft_recv(b, text, sizeof(text), 0), 3);
	FAILS(weft_sendto(a, "x", 1, 0, (struct sockaddr *)&to, len - 1), EINVAL);
	FAILS(weft_bind(a, (struct sockaddr *)&to, len), EINVAL);
	GIVES(weft_connect(a, (struct sockaddr *)&to, len), 0);
	GIVES(weft_getpeername(a, (struct sockaddr *)&name, &name_len), 0);
	CU_ASSERT_TRUE(IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
	GIVES(weft_send(a, "two", 3, 0), 3);
	GIVES(weft_recv(b, text, sizeof(text), 0), 3);
	GIVES(weft_close(a), 0);
	a = weft_socket(kit.a, AF_INET6, SOCK_DGRAM, 0);
	set(a, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	FAILS(weft_sendto(a, "x", 1, 0, (struct sockaddr *)&to, len), ENETUNREACH);
	FAILS(weft_connect(a, (struct sockaddr *)&to, len), EAFNOSUPPORT);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

static void test_what_recvmsg_tells(void)
{
	struct box box;

	kit_open(&kit);
	int a = udp(kit.a, "::", 1000), b = udp(kit.b, "::", 2000);

	set(b, IPPROTO_IP, IP_PKTINFO, 1);
	set(b, IPPROTO_IP, IP_RECVTTL, 1);
	set(b, IPPROTO_IP, IP_RECVTOS, 1);
	set(b, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	set(b, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	set(b, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	set(a, IPPROTO_IP, IP_TTL, 9);
	set(a, IPPROTO_IPV6, IPV6_TCLASS, 0x2b);
	GIVES(send_to(a, "six", KIT_B6, 2000), 3);
	box_init(&box);
	GIVES(weft_recvmsg(b, &box.hdr, 0), 3);
	CU_ASSERT_EQUAL(box.hdr.msg_flags, 0);
	const struct in6_pktinfo *six =
		ctl_of(&box, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo));
	struct in6_addr own;

	CU_ASSERT_PTR_NOT_NULL_FATAL(six);
	inet_pton(AF_INET6, KIT_B6, &own);
	CU_ASSERT_EQUAL(memcmp(&six->ipi6_addr, &own, sizeof(own)), 0);
	CU_ASSERT_EQUAL(int_of(&box, IPPROTO_IPV6, IPV6_HOPLIMIT), 9);
	CU_ASSERT_EQUAL(int_of(&box, IPPROTO_IPV6, IPV6_TCLASS), 0x2b);
	CU_ASSERT_PTR_NULL(ctl_of(&box, IPPROTO_IP, IP_TTL, 4));
	GIVES(send_to(a, "four", "::ffff:" KIT_B4, 2000), 4);
	box_init(&box);
	GIVES(weft_recvmsg(b, &box.hdr, 0), 4);
	const struct in_pktinfo *four =
		ctl_of(&box, IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo));
	const uint8_t *tos = ctl_of(&box, IPPROTO_IP, IP_TOS, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(four);
	CU_ASSERT_EQUAL(four->ipi_addr.s_addr, inet_addr(KIT_B4));
	CU_ASSERT_EQUAL(int_of(&box, IPPROTO_IP, IP_TTL), 9);
	CU_ASSERT_TRUE(tos && *tos == 0x2b);
	CU_ASSERT_PTR_NOT_NULL(
		ctl_of(&box, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo)));
	CU_ASSERT_PTR_NULL(ctl_of(&box, IPPROTO_IPV6, IPV6_HOPLIMIT, 4));
	/* Off again; and without room. */
	set(b, IPPROTO_IP, IP_RECVTTL, 0);
	GIVES(send_to(a, "x", "::ffff:" KIT_B4, 2000), 1);
	GIVES(send_to(a, "x", "::ffff:" KIT_B4, 2000), 1);
	box_init(&box);
	GIVES(weft_recvmsg(b, &box.hdr, 0), 1);
	CU_ASSERT_EQUAL(int_of(&box, IPPROTO_IP, IP_TTL), -1);
	box_init(&box);
	box.hdr.msg_controllen = CMSG_LEN(sizeof(struct in_pktinfo)) - 1;
	GIVES(weft_recvmsg(b, &box.hdr, 0), 1);
	CU_ASSERT_EQUAL(box.hdr.msg_flags, MSG_CTRUNC);
	CU_ASSERT_EQUAL(box.hdr.msg_controllen, 0);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

static ssize_t send_ctl(int fd, struct box *box, int level, int type, const void *data, size_t size)
{
	socklen_t len;

	box_init(box);
	box->iov[0].iov_len = 1;
	box->hdr.msg_iovlen = 1;
	box->from = at("::ffff:" KIT_B4, 2000, &len);
	box->hdr.msg_namelen = len;
	put_ctl(box, level, type, data, size);
	return weft_sendmsg(fd, &box->hdr, 0);
}

/* U-12, U-16, U-21: what one message may say for itself. */
static void test_what_sendmsg_takes(void)
{
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = inet_addr(KIT_A4)};
	int number = 77, zero = 0, large = 256;
	uint8_t tos = 0x11;
	struct box box;

	kit_open(&kit);
	int a = udp(kit.a, "::", 1000), b = udp(kit.b, "0.0.0.0", 2000);

	set(b, IPPROTO_IP, IP_RECVTTL, 1);
	set(b, IPPROTO_IP, IP_RECVTOS, 1);
	GIVES(send_ctl(a, &box, IPPROTO_IP, IP_TTL, &number, sizeof(number)), 1);
	box_init(&box);
	GIVES(weft_recvmsg(b, &box.hdr, 0), 1);
	CU_ASSERT_EQUAL(int_of(&box, IPPROTO_IP, IP_TTL), 77);
	GIVES(send_ctl(a, &box, IPPROTO_IP, IP_TOS, &tos, 1), 1);
	box_init(&box);
	GIVES(weft_recvmsg(b, &box.hdr, 0), 1);
	const uint8_t *got = ctl_of(&box, IPPROTO_IP, IP_TOS, 1);
	CU_ASSERT_TRUE(got && *got == 0x11);
	CU_ASSERT_EQUAL(int_of(&box, IPPROTO_IP, IP_TTL), 64);
	GIVES(send_ctl(a, &box, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info)), 1);
	box_init(&box);
	GIVES(weft_recvmsg(b, &box.hdr, 0), 1);
	CU_ASSERT_EQUAL(((struct sockaddr_in *)&box.from)->sin_addr.s_addr, inet_addr(KIT_A4));
	/* U-14: not ours. */
	info.ipi_spec_dst.s_addr = inet_addr(KIT_B4);
	FAILS(send_ctl(a, &box, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info)), ENETUNREACH);
	FAILS(send_ctl(a, &box, IPPROTO_IP, IP_TTL, &zero, sizeof(zero)), EINVAL);
	FAILS(send_ctl(a, &box, IPPROTO_IP, IP_TTL, &large, sizeof(large)), EINVAL);
	FAILS(send_ctl(a, &box, IPPROTO_IP, IP_TTL, &number, 2), EINVAL);
	FAILS(send_ctl(a, &box, IPPROTO_IP, IP_RECVERR, &number, sizeof(number)), EINVAL);
	FAILS(send_ctl(a, &box, SOL_SOCKET, SCM_RIGHTS, &number, sizeof(number)), EINVAL);
	/* Lengths that lie. */
	for (size_t len = 0; len < sizeof(struct cmsghdr); len++) {
		(void)send_ctl(a, &box, IPPROTO_IP, IP_TTL, &number, sizeof(number));
		((struct cmsghdr *)(void *)box.control)->cmsg_len = len;
		FAILS(weft_sendmsg(a, &box.hdr, 0), EINVAL);
	}
	((struct cmsghdr *)(void *)box.control)->cmsg_len = 1000;
	FAILS(weft_sendmsg(a, &box.hdr, 0), EINVAL);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

enum { MANY = 70 };

static void test_many_at_a_time(void)
{
	static char text[MANY][8];
	static struct iovec iov[MANY];
	static struct mmsghdr msgs[MANY];
	struct timespec wait = {.tv_nsec = 1};
	socklen_t len;

	kit_open(&kit);
	int a = udp(kit.a, "0.0.0.0", 1000), b = udp(kit.b, "0.0.0.0", 2000);
	struct sockaddr_storage to = at(KIT_B4, 2000, &len);

	GIVES(weft_connect(a, (struct sockaddr *)&to, len), 0);
	memset(msgs, 0, sizeof(msgs));
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "%d", i);
		iov[i] = (struct iovec){text[i], strlen(text[i])};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	GIVES(weft_sendmmsg(a, msgs, MANY, 0), MANY);
	CU_ASSERT_EQUAL(msgs[0].msg_len, 1);
	CU_ASSERT_EQUAL(msgs[MANY - 1].msg_len, 2);
	for (int i = 0; i < MANY; i++) {
		memset(text[i], 0, sizeof(text[i]));
		iov[i].iov_len = sizeof(text[i]);
	}
	GIVES(weft_recvmmsg(b, msgs, MANY, 0, NULL), MANY);
	for (int i = 0; i < MANY; i++)
		CU_ASSERT_EQUAL(atoi(text[i]), i);
	/* Waits for the first only; looks at the time behind each. */
	GIVES(weft_sendmmsg(a, msgs, 3, 0), 3);
	GIVES(weft_recvmmsg(b, msgs, 1, 0, NULL), 1);
	GIVES(weft_recvmmsg(b, msgs, MANY, MSG_WAITFORONE, &wait), 1);
	GIVES(weft_recvmmsg(b, msgs, MANY, MSG_WAITFORONE, NULL), 1);
	FAILS(weft_recvmmsg(b, msgs, MANY, MSG_DONTWAIT, NULL), EAGAIN);
	GIVES(weft_recvmmsg(b, msgs, 0, 0, NULL), 0);
	wait.tv_nsec = 1000000000;
	FAILS(weft_recvmmsg(b, msgs, 1, 0, &wait), EINVAL);
	/* What failed behind some is told when none is before it. */
	iov[1].iov_len = 65508;
	static char large[65508];
	iov[1].iov_base = large;
	GIVES(weft_sendmmsg(a, msgs, 3, 0), 1);
	FAILS(weft_sendmmsg(a, msgs + 1, 2, 0), EMSGSIZE);
	GIVES(weft_recv(b, text[0], 8, 0), 8);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

/* UDP_SEGMENT: one message, many datagrams; by the option and by the message. */
static void test_segments(void)
{
	static char bytes[3100];
	uint16_t segment = 1000;
	socklen_t len;
	struct box box;

	kit_open(&kit);
	int a = udp(kit.a, "0.0.0.0", 1000), b = udp(kit.b, "0.0.0.0", 2000);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i / 100);
	box_init(&box);
	box.iov[0] = (struct iovec){bytes, 1500};
	box.iov[1] = (struct iovec){bytes + 1500, 1600};
	box.from = at(KIT_B4, 2000, &len);
	box.hdr.msg_namelen = len;
	put_ctl(&box, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	for (int round = 0; round < 2; round++) {
		GIVES(weft_sendmsg(a, &box.hdr, 0), sizeof(bytes));
		for (int i = 0; i < 4; i++) {
			char got[1500];
			size_t size = i < 3 ? 1000 : 100;

			GIVES(weft_recv(b, got, sizeof(got), 0), size);
			CU_ASSERT_EQUAL(memcmp(got, bytes + i * 1000, size), 0);
		}
		box.hdr.msg_controllen = 0;
		set(a, IPPROTO_UDP, UDP_SEGMENT, 1000);
	}
	/* Larger than the path, and too many. */
	set(a, IPPROTO_UDP, UDP_SEGMENT, 1473);
	FAILS(weft_sendmsg(a, &box.hdr, 0), EINVAL);
	set(a, IPPROTO_UDP, UDP_SEGMENT, 24);
	FAILS(weft_sendmsg(a, &box.hdr, 0), EINVAL);
	set(a, IPPROTO_UDP, UDP_SEGMENT, 25);
	GIVES(weft_sendmsg(a, &box.hdr, 0), sizeof(bytes));
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

/* FIONREAD tells the next message's size; and what a destination may be. */
static void test_sizes_and_destinations(void)
{
	struct kit_addr to = kit_addr(KIT_B4, 2000);
	struct pollfd p = {.events = POLLIN};
	int value = -1;
	char text[8];

	kit_open(&kit);
	int a = udp(kit.a, KIT_A4, 1000), b = udp(kit.b, KIT_B4, 2000);

	FAILS(weft_sendto(a, "x", 1, 0, kit_sa(&to), 3), EINVAL);
	FAILS(weft_sendto(a, "x", 1, 0, kit_sa(&to), sizeof(to.ss) + 1), EINVAL);
	GIVES(weft_ioctl(b, FIONREAD, &value), 0);
	CU_ASSERT_EQUAL(value, 0);
	GIVES(send_to(a, "three", KIT_B4, 2000), 5);
	GIVES(send_to(a, "pi", KIT_B4, 2000), 2);
	p.fd = b;
	GIVES(weft_poll(&p, 1, 5000), 1);
	GIVES(weft_ioctl(b, FIONREAD, &value), 0);
	CU_ASSERT_EQUAL(value, 5);
	GIVES(weft_recv(b, text, sizeof(text), 0), 5);
	GIVES(weft_poll(&p, 1, 5000), 1);
	GIVES(weft_ioctl(b, FIONREAD, &value), 0);
	CU_ASSERT_EQUAL(value, 2);
	/* Until the emitter has let go of both. */
	while (weft_ioctl(a, TIOCOUTQ, &value) == 0 && value > 0)
		kit_pause();
	CU_ASSERT_EQUAL(value, 0);
	GIVES(weft_close(a), 0);
	GIVES(weft_close(b), 0);
	kit_close(&kit);
}

UNIT_MAIN("datagram", UNIT(kinds), UNIT(sizes_and_destinations), UNIT(names_and_parts),
	  UNIT(v4_of_v6), UNIT(what_recvmsg_tells), UNIT(what_sendmsg_takes), UNIT(many_at_a_time),
	  UNIT(segments))
