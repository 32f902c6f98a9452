/*
 * tun.c and netlink.c against the kernel, in a network namespace of the test's own.  Exits with 77
 * (skipped) without root or /dev/net/tun.
 */
#include "tun_dev.h"

#include "net/base/addr.h"
#include "net/base/bytes.h"
#include "net/base/sync.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include "net/wire/udp_hdr.h"
#include "unit.h"
#include "weft/dev.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SKIPPED = 77,
	BUF_SIZE = 65535 + 64,
	OFFLOADS = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO,
	USO = WEFT_DEV_TX_USO4 | WEFT_DEV_TX_USO6, /* where the kernel has it */
	WAIT_US = 5 * US_PER_S,
	BULK = 400000,
};

static const struct weft_tun_config both_families = {
	.name = "wt0",
	.fd = -1,
	.mtu = 1400,
	.peer4 = "10.9.0.1",
	.addr4 = "10.9.0.2/24",
	.peer6 = "fd09::1",
	.addr6 = "fd09::2/64",
};

static uint8_t buf[BUF_SIZE];
static struct iovec buf_iov = {buf, BUF_SIZE};

struct weft_dev *open_tun(const struct weft_tun_config *config)
{
	char why[200] = "";
	struct weft_dev *dev = weft_dev_tun(config, why, sizeof(why));

	if (!dev)
		printf("\n%s\n", why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	return dev;
}

struct weft_pkt read_one(struct weft_dev *dev, int64_t timeout_us)
{
	struct weft_pkt pkt = {.iov = &buf_iov, .iov_count = 1};

	if (dev->read(dev, &pkt, 1, timeout_us) != 1)
		pkt.len = 0;
	return pkt;
}

/* Reads until an IP packet of this protocol comes; len 0 when none does. */
static struct weft_pkt read_proto(struct weft_dev *dev, uint8_t proto, struct ip_hdr *ip)
{
	weft_time_us deadline = clock_monotonic_us() + WAIT_US;

	while (clock_monotonic_us() < deadline) {
		struct weft_pkt pkt = read_one(dev, 100000);

		if (pkt.len > 0 && ip_parse(buf, pkt.len, ip) == DROP_NONE && ip->proto == proto)
			return pkt;
	}
	return (struct weft_pkt){.len = 0};
}

struct sockaddr_storage address(const char *text, uint16_t port, socklen_t *size)
{
	struct sockaddr_storage ss = {0};

	if (strchr(text, ':')) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&ss;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		inet_pton(AF_INET6, text, &in6->sin6_addr);
		*size = sizeof(*in6);
	} else {
		struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)&ss;

		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		inet_pton(AF_INET, text, &in4->sin_addr);
		*size = sizeof(*in4);
	}
	return ss;
}

/* A non-blocking kernel socket bound to 'text'; receive calls wait for 5 s at most. */
int kernel_socket(const char *text, uint16_t port, int type)
{
	struct timeval tv = {.tv_sec = 5};
	socklen_t size;
	struct sockaddr_storage ss = address(text, port, &size);
	int fd = socket(ss.ss_family, type, 0);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&ss, size), 0);
	return fd;
}

static void expect_interface(const char *name, int mtu)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	CU_ASSERT_TRUE(ifr.ifr_flags & IFF_UP);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFMTU, &ifr), 0);
	CU_ASSERT_EQUAL(ifr.ifr_mtu, mtu);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFADDR, &ifr), 0);
	struct sockaddr_in in4;
	memcpy(&in4, &ifr.ifr_addr, sizeof(in4));
	CU_ASSERT_EQUAL(in4.sin_addr.s_addr, inet_addr("10.9.0.1"));
	CU_ASSERT_EQUAL(ioctl(fd, SIOCGIFDSTADDR, &ifr), 0);
	memcpy(&in4, &ifr.ifr_dstaddr, sizeof(in4));
	CU_ASSERT_EQUAL(in4.sin_addr.s_addr, inet_addr("10.9.0.2"));
	close(fd);
}

static void test_interface(void)
{
	for (int no_offload = 0; no_offload < 2; no_offload++) {
		struct weft_tun_config config = both_families;

		config.no_offload = no_offload;
		struct weft_dev *dev = open_tun(&config);
		CU_ASSERT_STRING_EQUAL(dev->name, "wt0");
		CU_ASSERT_EQUAL(dev->mtu, 1400);
		CU_ASSERT_EQUAL(dev->flags & ~(uint32_t)USO, no_offload ? 0 : OFFLOADS);
		CU_ASSERT_TRUE(!no_offload || !(dev->flags & USO));
		expect_interface("wt0", 1400);
		dev->close(dev);
		CU_ASSERT_EQUAL(if_nametoindex("wt0"), 0);
	}
	struct weft_tun_config chosen = {.fd = -1};
	struct weft_dev *dev = open_tun(&chosen);
	CU_ASSERT_TRUE(if_nametoindex(dev->name) > 0);
	CU_ASSERT_EQUAL(dev->mtu, 1500);
	dev->close(dev);
	/* Only a route, no address of the kernel's. */
	struct weft_tun_config route = {.fd = -1, .addr4 = "10.8.0.2/30", .addr6 = "fd08::2"};
	dev = open_tun(&route);
	dev->close(dev);
}

/* Sends a datagram from the kernel to 'remote' and reads it; then one from the device back. */
static void exchange_udp(struct weft_dev *dev, const char *local, const char *remote)
{
	int fd = kernel_socket(local, 5000, SOCK_DGRAM);
	socklen_t size;
	struct sockaddr_storage ss = address(remote, 6000, &size);
	struct ip_hdr ip;
	struct udp_hdr udp;

	CU_ASSERT_EQUAL(sendto(fd, "question", 8, 0, (struct sockaddr *)&ss, size), 8);
	struct weft_pkt pkt = read_proto(dev, IP_PROTO_UDP, &ip);
	CU_ASSERT_TRUE_FATAL(pkt.len > 0);
	const uint8_t *p = buf + ip.hdr_len;
	CU_ASSERT_EQUAL(get_be16(p), 5000);
	CU_ASSERT_EQUAL(get_be16(p + 2), 6000);
	CU_ASSERT_EQUAL(memcmp(p + 8, "question", 8), 0);
	if (!(pkt.flags & WEFT_PKT_CSUM_VALID))
		CU_ASSERT_EQUAL(udp_hdr_parse(p, ip.payload_len, &ip.src, &ip.dst, &udp),
				DROP_NONE);

	uint8_t reply[100] = {0};
	struct ip_hdr back = {.src = ip.dst,
			      .dst = ip.src,
			      .proto = IP_PROTO_UDP,
			      .ttl = 64,
			      .payload_len = UDP_HDR_SIZE + 6};
	struct udp_hdr back_udp = {.src_port = 6000, .dst_port = 5000};
	size_t at = ip_emit(reply, &back);
	memcpy(reply + at + UDP_HDR_SIZE, "answer", 6);
	udp_hdr_emit(reply + at, &back_udp, 6, &back.src, &back.dst);
	struct iovec iov[2] = {{reply, 10}, {reply + 10, at + UDP_HDR_SIZE + 6 - 10}};
	struct weft_pkt out = {
		.iov = iov, .iov_count = 2, .len = (uint32_t)(at + UDP_HDR_SIZE + 6)};
	CU_ASSERT_EQUAL(dev->write(dev, &out, 1), 1);
	char text[20];
	CU_ASSERT_EQUAL(recv(fd, text, sizeof(text), 0), 6);
	CU_ASSERT_EQUAL(memcmp(text, "answer", 6), 0);
	close(fd);
}

static void test_udp(void)
{
	for (int no_offload = 0; no_offload < 2; no_offload++) {
		struct weft_tun_config config = both_families;

		config.no_offload = no_offload;
		struct weft_dev *dev = open_tun(&config);
		exchange_udp(dev, "10.9.0.1", "10.9.0.2");
		exchange_udp(dev, "10.9.0.1", "10.9.0.77"); /* the whole net */
		exchange_udp(dev, "fd09::1", "fd09::2");
		exchange_udp(dev, "fd09::1", "fd09::77");
		dev->close(dev);
	}
}

/* Sends a TCP segment of 'payload' zero bytes to the kernel, checksum left to the device. */
static void send_tcp(struct weft_dev *dev, const struct ip_hdr *to, const struct tcp_hdr *tcp,
		     uint16_t payload, uint16_t gso_size)
{
	static uint8_t bytes[BUF_SIZE];
	struct ip_hdr ip = {.src = to->dst, .dst = to->src, .proto = IP_PROTO_TCP, .ttl = 64};
	uint8_t scratch[TCP_HDR_MAX];
	size_t tcp_len = tcp_hdr_emit(scratch, tcp);

	memset(bytes, 0, sizeof(bytes));
	ip.payload_len = (uint16_t)(tcp_len + payload);
	size_t at = ip_emit(bytes, &ip);
	memcpy(bytes + at, scratch, tcp_len);
	put_be16(bytes + at + 16,
		 csum_fold(csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, ip.payload_len)));
	struct iovec iov = {bytes, at + tcp_len + payload};
	struct weft_pkt pkt = {
		.iov = &iov,
		.iov_count = 1,
		.len = (uint32_t)iov.iov_len,
		.flags = WEFT_PKT_CSUM_PARTIAL,
		.gso_size = gso_size,
		.hdr_len = (uint16_t)(at + tcp_len),
		.csum_start = (uint16_t)at,
		.csum_offset = 16,
	};
	CU_ASSERT_EQUAL(dev->write(dev, &pkt, 1), 1);
}

static struct weft_pkt read_tcp(struct weft_dev *dev, struct ip_hdr *ip, struct tcp_hdr *tcp)
{
	struct weft_pkt pkt = read_proto(dev, IP_PROTO_TCP, ip);

	CU_ASSERT_TRUE_FATAL(pkt.len > 0);
	CU_ASSERT_FALSE(pkt.flags & WEFT_PKT_BAD);
	CU_ASSERT_TRUE(pkt.flags & WEFT_PKT_CSUM_VALID);
	CU_ASSERT_EQUAL(tcp_hdr_parse(buf + ip->hdr_len, ip->payload_len, tcp), DROP_NONE);
	if (pkt.gso_size)
		CU_ASSERT_EQUAL(pkt.hdr_len, ip->hdr_len + tcp->hdr_len);
	if (pkt.flags & WEFT_PKT_CSUM_PARTIAL)
		CU_ASSERT_EQUAL(pkt.csum_start, ip->hdr_len);
	return pkt;
}

/* A handshake by hand; then super-segments in both directions. */
static void exchange_tcp(struct weft_dev *dev, const char *local, const char *remote)
{
	static uint8_t data[BULK];
	int fd = kernel_socket(local, 0, SOCK_STREAM | SOCK_NONBLOCK);
	socklen_t size;
	struct sockaddr_storage ss = address(remote, 7000, &size);
	struct ip_hdr ip;
	struct tcp_hdr in;
	uint32_t largest = 0, got = 0;

	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&ss, size), -1);
	CU_ASSERT_EQUAL(errno, EINPROGRESS);
	read_tcp(dev, &ip, &in);
	CU_ASSERT_EQUAL(in.flags & (TCP_SYN | TCP_ACK), TCP_SYN);
	struct tcp_hdr out = {
		.src_port = 7000,
		.dst_port = in.src_port,
		.seq = 1000,
		.ack = in.seq + 1,
		.wnd = 65535,
		.flags = TCP_SYN | TCP_ACK,
		.opt = {.has_mss = true, .mss = 1000, .has_wscale = true, .wscale = 7}};
	send_tcp(dev, &ip, &out, 0, 0);
	read_tcp(dev, &ip, &in);
	CU_ASSERT_EQUAL(in.flags, TCP_ACK);
	out.seq++;
	out.flags = TCP_ACK;
	out.opt = (struct tcp_opts){0};

	/* The kernel sends: at least one packet is larger than the MTU. */
	CU_ASSERT_TRUE(send(fd, data, sizeof(data), 0) > 10000);
	uint32_t next = in.seq;
	weft_time_us deadline = clock_monotonic_us() + WAIT_US;
	while (got < 9000 && clock_monotonic_us() < deadline) {
		struct weft_pkt pkt = read_tcp(dev, &ip, &in);
		uint32_t payload = pkt.len - ip.hdr_len - in.hdr_len;

		if (pkt.len > largest)
			largest = pkt.len;
		if (pkt.gso_size)
			CU_ASSERT_EQUAL(pkt.gso_size, 1000);
		if (in.seq != next)
			continue;
		next += payload;
		got += payload;
		out.ack = next;
		send_tcp(dev, &ip, &out, 0, 0);
	}
	CU_ASSERT_TRUE(got >= 9000);
	CU_ASSERT_TRUE(largest > 1400);

	/* The device sends 30,000 bytes in one packet, and the kernel has them. */
	send_tcp(dev, &ip, &out, 30000, 1000);
	size_t received = 0;
	deadline = clock_monotonic_us() + WAIT_US;
	while (received < 30000 && clock_monotonic_us() < deadline) {
		ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0)
			received += (size_t)n;
	}
	CU_ASSERT_EQUAL(received, 30000);
	close(fd);
}

static void test_tcp_offload(void)
{
	struct weft_dev *dev = open_tun(&both_families);

	exchange_tcp(dev, "10.9.0.1", "10.9.0.2");
	dev->close(dev);
	dev = open_tun(&both_families);
	exchange_tcp(dev, "fd09::1", "fd09::2");
	dev->close(dev);
}

/* Without offloads the kernel computes checksums and keeps to the MTU. */
static void test_tcp_plain(void)
{
	struct weft_tun_config config = both_families;
	struct ip_hdr ip;
	socklen_t size;
	struct sockaddr_storage ss = address("10.9.0.2", 7000, &size);

	config.no_offload = 1;
	struct weft_dev *dev = open_tun(&config);
	int fd = kernel_socket("10.9.0.1", 0, SOCK_STREAM | SOCK_NONBLOCK);
	CU_ASSERT_EQUAL(connect(fd, (struct sockaddr *)&ss, size), -1);
	struct weft_pkt pkt = read_proto(dev, IP_PROTO_TCP, &ip);
	CU_ASSERT_TRUE_FATAL(pkt.len > 0);
	CU_ASSERT_EQUAL(pkt.flags, 0);
	CU_ASSERT_TRUE(tcp_csum_ok(buf + ip.hdr_len, ip.payload_len, &ip.src, &ip.dst));
	/* A partial checksum cannot be sent: taken and lost. */
	pkt.flags = WEFT_PKT_CSUM_PARTIAL;
	CU_ASSERT_EQUAL(dev->write(dev, &pkt, 1), 1);
	close(fd);
	dev->close(dev);
}

/* A packet in more pieces than the kernel is given at once. */
static void test_many_pieces(void)
{
	struct weft_dev *dev = open_tun(&both_families);
	int fd = kernel_socket("10.9.0.1", 5000, SOCK_DGRAM);
	uint8_t bytes[228] = {0};
	struct ip_hdr ip = {.proto = IP_PROTO_UDP, .ttl = 64, .payload_len = 208};
	struct udp_hdr udp = {.src_port = 1, .dst_port = 5000};
	struct iovec iov[228];

	addr_parse("10.9.0.2", &ip.src);
	addr_parse("10.9.0.1", &ip.dst);
	size_t at = ip_emit(bytes, &ip);
	udp_hdr_emit(bytes + at, &udp, 200, &ip.src, &ip.dst);
	for (size_t i = 0; i < 228; i++)
		iov[i] = (struct iovec){bytes + i, 1};
	struct weft_pkt pkt = {.iov = iov, .iov_count = 228, .len = 228};
	CU_ASSERT_EQUAL(dev->write(dev, &pkt, 1), 1);
	CU_ASSERT_EQUAL(recv(fd, buf, sizeof(buf), 0), 200);
	close(fd);
	dev->close(dev);
}

/* A TUN descriptor as a privileged helper would make it. */
static int make_descriptor(const char *name, int flags)
{
	struct ifreq ifr = {.ifr_flags = (short)flags};
	int fd = open("/dev/net/tun", O_RDWR);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	memcpy(ifr.ifr_name, name, strlen(name));
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void set_interface(const char *name, bool up, int mtu)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memcpy(ifr.ifr_name, name, strlen(name));
	ifr.ifr_mtu = mtu;
	CU_ASSERT_EQUAL(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	ifr.ifr_flags = (short)(up ? IFF_UP : 0);
	CU_ASSERT_EQUAL(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static void test_given_descriptor(void)
{
	char why[200];
	struct weft_tun_config config = {.fd = make_descriptor("wt1", IFF_TUN | IFF_NO_PI)};

	set_interface("wt1", true, 1300);
	struct weft_dev *dev = open_tun(&config);
	CU_ASSERT_STRING_EQUAL(dev->name, "wt1");
	CU_ASSERT_EQUAL(dev->mtu, 1300);
	CU_ASSERT_EQUAL(dev->flags, 0);
	CU_ASSERT_TRUE(fcntl(config.fd, F_GETFL) & O_NONBLOCK);
	dev->close(dev);

	config.fd = make_descriptor("wt1", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	dev = open_tun(&config);
	CU_ASSERT_EQUAL(dev->flags & ~(uint32_t)USO, OFFLOADS);
	dev->close(dev);

	config.fd = make_descriptor("wt1", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	config.no_offload = 1;
	config.mtu = 1400;
	dev = open_tun(&config);
	CU_ASSERT_EQUAL(dev->flags, 0);
	CU_ASSERT_EQUAL(dev->mtu, 1400);
	dev->close(dev);

	/* Refused descriptors stay the caller's. */
	config.fd = make_descriptor("wt1", IFF_TAP | IFF_NO_PI);
	CU_ASSERT_PTR_NULL(weft_dev_tun(&config, why, sizeof(why)));
	CU_ASSERT_EQUAL(errno, EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "wt1"));
	CU_ASSERT_EQUAL(close(config.fd), 0);
	config.fd = open("/dev/null", O_RDWR);
	CU_ASSERT_PTR_NULL(weft_dev_tun(&config, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "not a TUN interface"));
	CU_ASSERT_EQUAL(close(config.fd), 0);
}

/* Down is transient: writing loses; deleted is final. */
static void test_down_and_deleted(void)
{
	struct weft_tun_config config = both_families;
	struct weft_dev *dev = open_tun(&config);

	set_interface("wt0", false, 1400);
	struct weft_pkt pkt = {.iov = &buf_iov, .iov_count = 1, .len = 40};
	CU_ASSERT_EQUAL(dev->write(dev, &pkt, 1), 1);
	CU_ASSERT(dev->write_refused == 1 && dev->write_refused_bytes == 40);
	CU_ASSERT_EQUAL(dev->read(dev, &pkt, 1, 20000) >= 0, 1);
	set_interface("wt0", true, 1400);
	exchange_udp(dev, "10.9.0.1", "10.9.0.2");
	CU_ASSERT_EQUAL(system("ip link del wt0"), 0); /* NOLINT(cert-env33-c) */
	int rc;
	do
		rc = dev->read(dev, &pkt, 1, WAIT_US);
	while (rc > 0);
	CU_ASSERT_EQUAL(rc, -ENODEV);
	CU_ASSERT_EQUAL(dev->write(dev, &pkt, 1), -ENODEV);
	dev->close(dev);
}

static void test_bad_config(void)
{
	struct weft_tun_config c = both_families;
	char why[200];

	c.mtu = 1279;
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_EQUAL(errno, EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "MTU 1279: Invalid argument");
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, NULL, 0));
	c = both_families;
	c.addr4 = "10.9.0.2/33";
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	c.addr4 = "fd09::2/64";
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "IPv4 address \"fd09::2/64\""));
	c = both_families;
	c.peer6 = "nonsense";
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	c = both_families;
	c.name = "a-name-of-sixteen";
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "a-name-of-sixteen"));
	c.name = "lo";
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "create TUN interface lo"));
}

/* Gives up CAP_NET_ADMIN, staying root otherwise. */
static bool drop_net_admin(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) != 0)
		return false;
	d[0].effective &= ~(1u << CAP_NET_ADMIN);
	d[0].permitted &= ~(1u << CAP_NET_ADMIN);
	d[0].inheritable &= ~(1u << CAP_NET_ADMIN);
	return syscall(SYS_capset, &h, d) == 0;
}

/* In a child: opens a TUN device without rights; exit code 0 when it fails as it should. */
static int open_without_rights(bool as_nobody, const char *name, const char *expected)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		char why[200] = "";
		struct weft_tun_config c = both_families;

		c.name = name;
		if (as_nobody ? setuid(65534) != 0 : !drop_net_admin())
			_exit(3);
		if (weft_dev_tun(&c, why, sizeof(why)))
			_exit(4);
		bool right = (errno == EPERM || errno == EACCES) && strstr(why, expected);
		fprintf(stderr, "%s\n", why);
		_exit(right && strstr(why, "CAP_NET_ADMIN") ? 0 : 5);
	}
	waitpid(child, &status, 0);
	return status;
}

static void test_no_rights(void)
{
	CU_ASSERT_EQUAL(open_without_rights(true, "wt0", "tun"), 0);
	CU_ASSERT_EQUAL(open_without_rights(false, "wt0", "create TUN interface wt0"), 0);
	/* One that is there and ours may be opened, but not set up. */
	int fd = make_descriptor("wt3", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETOWNER, 0), 0);
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	CU_ASSERT_EQUAL(open_without_rights(false, "wt3", "set MTU 1400 on wt3"), 0);
	set_interface("wt3", true, 1400);
	CU_ASSERT_EQUAL(open_without_rights(false, "wt3", "set address 10.9.0.1 on wt3"), 0);
	fd = make_descriptor("wt3", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	CU_ASSERT_EQUAL(ioctl(fd, TUNSETPERSIST, 0), 0);
	close(fd);
}

static int run_all(void)
{
	static const struct unit_test tests[] = {
		UNIT(interface),
		UNIT(timeouts),
		UNIT(udp),
		UNIT(seats),
		UNIT(unreadable_packets),
		UNIT(tcp_offload),
		UNIT(tcp_plain),
		UNIT(many_pieces),
		UNIT(given_descriptor),
		UNIT(down_and_deleted),
		UNIT(bad_config),
		UNIT(no_rights),
	};

	return unit_run("tun_dev", tests, sizeof(tests) / sizeof(tests[0]));
}

int main(void)
{
	if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0 ||
	    unshare(CLONE_NEWNET) != 0) {
		printf("skipped: needs root, /dev/net/tun and a network namespace\n");
		return SKIPPED;
	}
	return run_all();
}
