/*
 * A TUN device with several queues against the kernel, in a network namespace of the test's own: each
 * queue reads, writes and wakes for itself; a flow comes by the queue that it was last written to.
 * Exits with 77 (skipped) without root or /dev/net/tun.
 */
#include "net/base/bytes.h"
#include "net/base/sync.h"
#include "net/wire/ip.h"
#include "net/wire/udp_hdr.h"
#include "unit.h"
#include "weft/dev.h"
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SKIPPED = 77, QUEUES = 4, PORT = 5000, WAIT_US = 5 * US_PER_S };

static const struct weft_tun_config config = {
	.name = "wt0",
	.fd = -1,
	.peer4 = "10.9.0.1",
	.addr4 = "10.9.0.2/24",
	.queues = QUEUES,
};

static struct weft_dev *open_tun(const struct weft_tun_config *c)
{
	char why[200] = "";
	struct weft_dev *dev = weft_dev_tun(c, why, sizeof(why));

	if (!dev)
		printf("\n%s\n", why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dev);
	return dev;
}

/* A datagram of flow number 'flow' from the stack's side, by queue 'q'. */
static void write_udp(struct weft_dev *q, uint16_t flow)
{
	uint8_t bytes[100] = {0};
	struct ip_hdr ip = {.proto = IP_PROTO_UDP, .ttl = 64, .payload_len = UDP_HDR_SIZE + 4};
	const struct udp_hdr udp = {.src_port = (uint16_t)(6000 + flow), .dst_port = PORT};

	addr_parse("10.9.0.2", &ip.src);
	addr_parse("10.9.0.1", &ip.dst);
	size_t at = ip_emit(bytes, &ip);

	udp_hdr_emit(bytes + at, &udp, 4, &ip.src, &ip.dst);
	struct iovec iov = {bytes, at + UDP_HDR_SIZE + 4};
	const struct weft_pkt pkt = {.iov = &iov, .iov_count = 1, .len = (uint32_t)iov.iov_len};

	CU_ASSERT_EQUAL(q->write(q, &pkt, 1), 1);
}

/* Whether a datagram to flow number 'flow' comes by queue 'q' in time; others are passed over. */
static bool reads_udp(struct weft_dev *q, uint16_t flow)
{
	weft_time_us deadline = clock_monotonic_us() + WAIT_US;
	static uint8_t bytes[65535 + 64];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct ip_hdr ip;

	while (clock_monotonic_us() < deadline) {
		struct weft_pkt pkt = {.iov = &iov, .iov_count = 1};

		if (q->read(q, &pkt, 1, 100000) == 1 &&
		    ip_parse(bytes, pkt.len, &ip) == DROP_NONE && ip.proto == IP_PROTO_UDP &&
		    get_be16(bytes + ip.hdr_len + 2) == 6000 + flow)
			return true;
	}
	return false;
}

/* The kernel's end takes a datagram and answers it. */
static void answer(int fd)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	char text[8];

	CU_ASSERT_EQUAL(recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &size), 4);
	CU_ASSERT_EQUAL(sendto(fd, text, 4, 0, (struct sockaddr *)&from, size), 4);
}

static void test_flows_follow(void)
{
	const struct timeval wait = {.tv_sec = 5};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	for (int no_offload = 0; no_offload < 2; no_offload++) {
		struct weft_tun_config c = config;

		c.no_offload = no_offload;
		struct weft_dev *dev = open_tun(&c);

		CU_ASSERT_EQUAL_FATAL(dev->queue_count, QUEUES);
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		in.sin_addr.s_addr = inet_addr("10.9.0.1");
		CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
		/* In the second round every flow moves to the next queue. */
		for (unsigned i = 0; i < 2 * QUEUES; i++) {
			struct weft_dev *q = dev->queue(dev, (i + i / QUEUES) % QUEUES);

			CU_ASSERT_EQUAL(q->flags, dev->flags);
			write_udp(q, (uint16_t)(i % QUEUES));
			answer(fd);
			CU_ASSERT_TRUE(reads_udp(q, (uint16_t)(i % QUEUES)));
		}
		close(fd);
		dev->close(dev);
		CU_ASSERT_EQUAL(if_nametoindex("wt0"), 0);
	}
}

/* Reads until nothing comes for so long: the kernel has something to say at times. */
static void drain(struct weft_dev *q, int64_t timeout_us)
{
	static uint8_t bytes[65535 + 64];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct weft_pkt pkt = {.iov = &iov, .iov_count = 1};

	while (q->read(q, &pkt, 1, timeout_us) > 0)
		pkt = (struct weft_pkt){.iov = &iov, .iov_count = 1};
}

/* A queue is woken by its own wake only. */
static void test_wake(void)
{
	struct weft_dev *dev = open_tun(&config);

	for (uint32_t i = 0; i + 1 < QUEUES; i++) {
		struct weft_dev *q = dev->queue(dev, i);
		struct weft_dev *next = dev->queue(dev, i + 1);

		drain(q, 100000);
		next->wake(next);
		weft_time_us start = clock_monotonic_us();

		drain(q, 20000);
		CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);
		q->wake(q);
		drain(q, -1); /* the test hangs otherwise */
		drain(next, -1);
	}
	CU_ASSERT_PTR_NULL(dev->queue(dev, QUEUES));
	dev->close(dev);
}

static void test_refused(void)
{
	struct weft_tun_config c = config;
	char why[200] = "";

	c.queues = WEFT_DEV_QUEUES_MAX + 1;
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_EQUAL(errno, EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "17 queues: Invalid argument");
	c.queues = 2;
	c.fd = 0;
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_EQUAL(errno, EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "2 queues with a given descriptor"));
	/* What shows all packets, or damages them, must see all queues. */
	struct weft_dev *dev = open_tun(&config);

	CU_ASSERT_PTR_NULL(weft_dev_capture(dev, "/tmp/weft-never-made.pcapng"));
	CU_ASSERT_EQUAL(errno, EINVAL);
	/* It is not to be had with one queue. */
	c = config;
	c.queues = 0;
	CU_ASSERT_PTR_NULL(weft_dev_tun(&c, why, sizeof(why)));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "wt0"));
	dev->close(dev);
	c = config;
	c.queues = WEFT_DEV_QUEUES_MAX;
	c.no_offload = 1;
	dev = open_tun(&c);
	CU_ASSERT_PTR_NULL(weft_dev_fault(dev, NULL, NULL));
	CU_ASSERT_EQUAL(errno, EINVAL);
	dev->close(dev);
}

static int run_all(void)
{
	static const struct unit_test tests[] = {UNIT(flows_follow), UNIT(wake), UNIT(refused)};

	return unit_run("tun_queues", tests, sizeof(tests) / sizeof(tests[0]));
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
