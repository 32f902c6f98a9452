/* Several datagrams as one packet, both ways: UDP_SEGMENT, UDP_GRO, and what a device may claim. */
#include "dgram_rig.h"
#include "net/stack/dgram.h"
#include <netinet/udp.h>

enum {
	FLAGS = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO,
	USO = WEFT_DEV_TX_USO4 | WEFT_DEV_TX_USO6,
	SEGMENT = 1000,
	LAST = 100,
	COUNT = 41, /* datagrams of a message */
	SIZE = (COUNT - 1) * SEGMENT + LAST,
};

static const char *const addr_b[] = {"10.0.0.2", "fd00::2"};
static const char *const any[] = {"0.0.0.0", "::"};
static uint8_t bytes[65536];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / SEGMENT);
}

/* As dg_recv; '*gso_size' is what UDP_GRO tells, 0: nothing. */
static ssize_t recv_gro(struct conn *c, uint8_t *got, size_t room, int *gso_size)
{
	_Alignas(struct cmsghdr) uint8_t control[64];
	struct iovec iov = {got, room};
	struct sock_msg msg = {
		.iov = &iov, .count = 1, .control = control, .control_len = sizeof(control)};
	ssize_t size = proto_of(c)->recv(c, &msg);
	struct msghdr hdr = {.msg_control = control, .msg_controllen = msg.control_len};
	struct cmsghdr *cmsg = size >= 0 ? CMSG_FIRSTHDR(&hdr) : NULL;

	*gso_size = 0;
	if (cmsg) {
		CU_ASSERT_EQUAL(cmsg->cmsg_level, IPPROTO_UDP);
		CU_ASSERT_EQUAL(cmsg->cmsg_type, UDP_GRO);
		memcpy(gso_size, CMSG_DATA(cmsg), sizeof(*gso_size));
	}
	return size;
}

static void expect_segments(struct conn *c, unsigned first)
{
	for (unsigned i = first; i < COUNT; i++) {
		ssize_t size = i + 1 < COUNT ? SEGMENT : LAST;
		int inq = 0;

		CU_ASSERT_EQUAL(dg_recv(c, 4000, MSG_PEEK)->size, size);
		CU_ASSERT_EQUAL(proto_of(c)->query(c, SOCK_QUERY_INQ, &inq), 0);
		CU_ASSERT_EQUAL(inq, size);
		const struct dg_got *got = dg_recv(c, 4000, 0);

		CU_ASSERT_EQUAL_FATAL(got->size, size);
		CU_ASSERT_EQUAL(memcmp(got->bytes, bytes + i * SEGMENT, (size_t)size), 0);
		CU_ASSERT_EQUAL(got->flags, 0);
		CU_ASSERT_EQUAL(got->from.port, 4000);
	}
	CU_ASSERT_EQUAL(dg_recv(c, 100, MSG_DONTWAIT)->size, -EAGAIN);
}

/* Many datagrams, one packet; the other side gives them one by one, or all. */
static void send_and_receive(unsigned flags, unsigned packets)
{
	struct rig_config config = rig_config_default();
	static uint8_t got[65536];
	int gso_size;
	struct rig rig;

	config.flags = flags;
	fill();
	rig_open(&rig, &config);
	for (unsigned i = 0; i < 2; i++) {
		struct conn *a = dg_open(rig.a, any[i], 4000), *b = dg_open(rig.b, any[i], 5000);
		uint64_t before = rig_stats(rig.a)->counters[C_PKT_OUT];

		CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_SEGMENT, SEGMENT), 0);
		CU_ASSERT_EQUAL(dg_send_to(a, bytes, SIZE, addr_b[i], 5000, 0), SIZE);
		expect_segments(b, 0);
		CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_PKT_OUT] - before, packets);
		CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_UDP_OUT], (i + 1) * COUNT);
		CU_ASSERT_EQUAL(rig_stats(rig.b)->counters[C_UDP_IN], (i + 1) * COUNT);
		dg_close(&a);
		dg_close(&b);
	}
	struct conn *a = dg_open(rig.a, "::", 4000), *b = dg_open(rig.b, "::", 5000);

	CU_ASSERT_EQUAL(dg_set(b, SOCK_OPT_GRO, 1), 0);
	CU_ASSERT_EQUAL(dg_get(b, SOCK_OPT_GRO), 1);
	/* One alone, and one less than a segment, are as ever. */
	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_SEGMENT, SEGMENT), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, SEGMENT, "fd00::2", 5000, 0), SEGMENT);
	CU_ASSERT_EQUAL(recv_gro(b, got, sizeof(got), &gso_size), SEGMENT);
	CU_ASSERT_EQUAL(gso_size, 0);
	if (packets == 1) {
		CU_ASSERT_EQUAL(dg_send_to(a, bytes, SIZE, "fd00::2", 5000, 0), SIZE);
		CU_ASSERT_EQUAL(recv_gro(b, got, sizeof(got), &gso_size), SIZE);
		CU_ASSERT_EQUAL(gso_size, SEGMENT);
		CU_ASSERT_EQUAL(memcmp(got, bytes, SIZE), 0);
		/* Half of it one by one, the rest as a whole. */
		CU_ASSERT_EQUAL(dg_send_to(a, bytes, SIZE, "fd00::2", 5000, 0), SIZE);
		CU_ASSERT_EQUAL(dg_recv(b, 4000, MSG_PEEK)->flags, MSG_TRUNC | MSG_CTRUNC);
		CU_ASSERT_EQUAL(dg_set(b, SOCK_OPT_GRO, 0), 0);
		CU_ASSERT_EQUAL(dg_recv(b, 4000, 0)->size, SEGMENT);
		CU_ASSERT_EQUAL(dg_set(b, SOCK_OPT_GRO, 1), 0);
		CU_ASSERT_EQUAL(recv_gro(b, got, sizeof(got), &gso_size), SIZE - SEGMENT);
		CU_ASSERT_EQUAL(memcmp(got, bytes + SEGMENT, SIZE - SEGMENT), 0);
	}
	dg_close(&a);
	dg_close(&b);
	rig_close(&rig);
}

static void test_one_packet(void)
{
	send_and_receive(FLAGS | USO, 1);
}

/* A device without, or that needs whole checksums. */
static void test_cut_by_the_sender(void)
{
	send_and_receive(FLAGS, COUNT);
	send_and_receive(0, COUNT);
}

static void test_loopback(void)
{
	struct rig_config config = rig_config_default();
	static uint8_t got[65536];
	int gso_size;
	struct rig rig;

	fill();
	rig_open(&rig, &config);
	struct conn *a = dg_open(rig.a, "0.0.0.0", 4000), *b = dg_open(rig.a, "0.0.0.0", 5000);

	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_SEGMENT, SEGMENT), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, SIZE, "127.0.0.1", 5000, 0), SIZE);
	expect_segments(b, 0);
	CU_ASSERT_EQUAL(dg_set(b, SOCK_OPT_GRO, 1), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, SIZE, "127.0.0.1", 5000, 0), SIZE);
	CU_ASSERT_EQUAL(recv_gro(b, got, sizeof(got), &gso_size), SIZE);
	CU_ASSERT_EQUAL(gso_size, SEGMENT);
	dg_close(&a);
	dg_close(&b);
	rig_close(&rig);
}

/* As Linux: 128 datagrams, each within the MTU, 65,507 bytes in all. */
static void test_limits(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	config.flags = FLAGS | USO;
	rig_open(&rig, &config);
	struct conn *a = dg_open(rig.a, "0.0.0.0", 4000);
	struct conn *b = dg_open(rig.b, "0.0.0.0", 5000);

	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_SEGMENT, 10), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, 1281, "10.0.0.2", 5000, 0), -EINVAL);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, 1280, "10.0.0.2", 5000, 0), 1280);
	for (unsigned i = 0; i < DGRAM_SEGMENTS_MAX; i++)
		CU_ASSERT_EQUAL_FATAL(dg_recv(b, 100, 0)->size, 10);
	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_SEGMENT, 1473), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, 4000, "10.0.0.2", 5000, 0), -EINVAL);
	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_SEGMENT, 1472), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, 65508, "10.0.0.2", 5000, 0), -EMSGSIZE);
	CU_ASSERT_EQUAL(dg_send_to(a, bytes, 65507, "10.0.0.2", 5000, 0), 65507);
	for (unsigned i = 0; i < 44; i++)
		CU_ASSERT_EQUAL_FATAL(dg_recv(b, 2000, 0)->size, 1472);
	CU_ASSERT_EQUAL_FATAL(dg_recv(b, 2000, 0)->size, 65507 - 44 * 1472);
	dg_close(&a);
	dg_close(&b);
	rig_close(&rig);
}

/* Where routers may fragment them each datagram of a packet has a number of its own (RFC 6864). */
static void test_identifications(void)
{
	struct rig_config config = rig_config_default();
	static uint8_t pkt[66000];
	uint16_t ids[2];
	struct raw raw;

	config.flags = FLAGS | USO;
	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, "10.0.0.1", 5000);

	CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_DONT), 0);
	CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_SEGMENT, SEGMENT), 0);
	for (int i = 0; i < 2; i++) {
		struct ip_hdr ip = {0};

		CU_ASSERT_EQUAL(dg_send_to(c, bytes, SIZE, "10.0.0.9", 7, 0), SIZE);
		size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);

		CU_ASSERT_EQUAL_FATAL(ip_parse(pkt, size, &ip), DROP_NONE);
		CU_ASSERT_EQUAL(size, IP4_HDR_SIZE + UDP_HDR_SIZE + SIZE);
		ids[i] = ip.id;
	}
	CU_ASSERT_EQUAL((uint16_t)(ids[1] - ids[0]), COUNT);
	dg_close(&c);
	raw_close(&raw);
}

/* Writes one packet of 'size' bytes of UDP payload that claims 'gso_size'. */
static void write_claim(struct raw *raw, size_t size, uint16_t gso_size, uint32_t flags)
{
	static uint8_t pkt[66000];
	const struct ip_hdr ip = {.src = rig_addr("10.0.0.9"),
				  .dst = rig_addr("10.0.0.1"),
				  .payload_len = (uint16_t)(UDP_HDR_SIZE + size),
				  .proto = IP_PROTO_UDP,
				  .ttl = 64};
	const struct udp_hdr udp = {.src_port = 4000, .dst_port = 5000};
	size_t at = ip_emit(pkt, &ip);

	memcpy(pkt + at + UDP_HDR_SIZE, bytes, size);
	udp_hdr_emit(pkt + at, &udp, size, &ip.src, &ip.dst);
	struct iovec iov = {pkt, at + UDP_HDR_SIZE + size};
	const struct weft_pkt out = {.iov = &iov,
				     .iov_count = 1,
				     .len = (uint32_t)iov.iov_len,
				     .flags = flags,
				     .gso_size = gso_size,
				     .hdr_len = (uint16_t)(at + UDP_HDR_SIZE),
				     .csum_start = (uint16_t)at,
				     .csum_offset = 6};

	CU_ASSERT_EQUAL(raw->wire->write(raw->wire, &out, 1), 1);
}

static void test_what_a_device_claims(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;

	config.flags = FLAGS | USO;
	fill();
	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, "0.0.0.0", 5000);

	/* A datagram a byte: 128, and then one too many. */
	write_claim(&raw, DGRAM_SEGMENTS_MAX, 1, WEFT_PKT_CSUM_PARTIAL);
	for (unsigned i = 0; i < DGRAM_SEGMENTS_MAX; i++) {
		const struct dg_got *got = dg_recv(c, 100, 0);

		CU_ASSERT_EQUAL_FATAL(got->size, 1);
		CU_ASSERT_EQUAL(got->bytes[0], bytes[i]);
	}
	write_claim(&raw, DGRAM_SEGMENTS_MAX + 1, 1, WEFT_PKT_CSUM_PARTIAL);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_DEV_GSO, 1));
	/* Nobody vouches for the datagrams' checksums. */
	write_claim(&raw, 3000, 1000, 0);
	CU_ASSERT_TRUE_FATAL(raw_dropped(&raw, DROP_DEV_GSO, 2));
	/* Larger than all of it, and as large: one. */
	write_claim(&raw, 3000, 65535, WEFT_PKT_CSUM_PARTIAL);
	CU_ASSERT_EQUAL(dg_recv(c, 4000, 0)->size, 3000);
	write_claim(&raw, 3000, 3000, WEFT_PKT_CSUM_PARTIAL);
	CU_ASSERT_EQUAL(dg_recv(c, 4000, 0)->size, 3000);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_UDP_IN], DGRAM_SEGMENTS_MAX + 2);
	/* Every datagram that finds no room counts. */
	CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_RCVBUF, 4096), 0);
	write_claim(&raw, 10000, 1000, WEFT_PKT_CSUM_PARTIAL);
	write_claim(&raw, 3000, 1000, WEFT_PKT_CSUM_PARTIAL);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_DGRAM_RCVBUF, 3));
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT_EQUAL_FATAL(dg_recv(c, 4000, 0)->size, 1000);
	dg_close(&c);
	raw_close(&raw);
}

UNIT_MAIN("dgram_gso", UNIT(one_packet), UNIT(cut_by_the_sender), UNIT(loopback), UNIT(limits),
	  UNIT(identifications), UNIT(what_a_device_claims))
