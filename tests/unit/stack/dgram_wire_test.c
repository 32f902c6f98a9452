/* UDP as packets: what comes in by hand and what goes out on the wire. */
#include "dgram_rig.h"
#include "net/base/bytes.h"
#include "net/ip/ext.h"
#include <poll.h>

static const char *const own[] = {"10.0.0.1", "fd00::1"};
static const char *const peer[] = {"10.0.0.2", "fd00::2"};
static const char *const any[] = {"0.0.0.0", "::"};

/* U-1: at least 8, at most what came; less than that is the datagram's size. */
static void test_length_field(void)
{
	struct rig_config config = rig_config_default();
	struct addr src = rig_addr(peer[0]), dst = rig_addr(own[0]);
	uint8_t udp[64];
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, any[0], 5000);
	const struct udp_hdr hdr = {.src_port = 7, .dst_port = 5000};

	static const struct {
		uint16_t len;
		bool is_good;
	} cases[] = {{7, false}, {0, false}, {21, false}, {8, true}, {12, true}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t payload = cases[i].is_good ? cases[i].len - 8u : 12;

		memset(udp, 'p', sizeof(udp));
		udp_hdr_emit(udp, &hdr, payload, &src, &dst);
		if (!cases[i].is_good)
			put_be16(udp + 4, cases[i].len);
		raw_ip(&raw, peer[0], own[0], IP_PROTO_UDP, udp, 20);
	}
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_SHORT, 3));
	dg_expect(c, "", peer[0], 7);
	dg_expect(c, "pppp", peer[0], 7);
	dg_close(&c);
	raw_close(&raw);
}

/* U-4, U-5, U-6, U-32: a wrong sum is dropped silently; none is fine in IPv4 only. */
static void test_checksums_in(void)
{
	static uint8_t pkt[2048];
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, any[i], 5000);

		dg_raw(&raw, peer[i], 7, own[i], 5000, "bad", 3, 0x1234);
		dg_raw(&raw, peer[i], 7, own[i], 5001, "bad", 3, 0x1234);
		dg_raw(&raw, peer[i], 7, own[i], 5000, "none", 4, 0);
		dg_raw(&raw, peer[i], 7, own[i], 5000, "good", 4, -1);
		if (i == 0)
			dg_expect(c, "none", peer[i], 7);
		dg_expect(c, "good", peer[i], 7);
		dg_close(&c);
	}
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_CSUM, 5));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

/* RFC 8200 8.1: over IPv6 there has to be a sum, though a device says that it is right. */
static void test_trusted_checksum(void)
{
	struct rig_config config = rig_config_default();
	const struct udp_hdr udp = {.src_port = 7, .dst_port = 5000};
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, any[i], 5000);
		const struct ip_hdr ip = {.src = rig_addr(peer[i]),
					  .dst = rig_addr(own[i]),
					  .payload_len = UDP_HDR_SIZE + 1,
					  .proto = IP_PROTO_UDP,
					  .ttl = 64};
		uint8_t pkt[128];
		size_t at = ip_emit(pkt, &ip);

		pkt[at + UDP_HDR_SIZE] = 'x';
		udp_hdr_emit(pkt + at, &udp, 1, &ip.src, &ip.dst);
		put_be16(pkt + at + 6, 0);
		struct iovec iov = {pkt, at + UDP_HDR_SIZE + 1};
		const struct weft_pkt out = {.iov = &iov,
					     .iov_count = 1,
					     .len = (uint32_t)iov.iov_len,
					     .flags = WEFT_PKT_CSUM_VALID};

		CU_ASSERT_EQUAL(raw.wire->write(raw.wire, &out, 1), 1);
		if (i == 0)
			dg_expect(c, "x", peer[i], 7);
		else
			CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_CSUM, 1));
		dg_close(&c);
	}
	raw_close(&raw);
}

/* U-2, U-3: every datagram has its sum, and one of 0 is sent as 0xffff. */
static void test_checksum_zero_is_sent_as_ones(void)
{
	struct rig_config config = rig_config_default();
	struct udp_hdr hdr;
	struct ip_hdr ip;
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, own[i], 5000);
		uint8_t word[2] = {0, 0};

		dg_send_to(c, word, 2, peer[i], 7, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(dg_raw_read(&raw, &ip, &hdr, 1000));
		/* The sum of all but the word: put in, it makes 0. */
		put_be16(word, hdr.csum);
		dg_send_to(c, word, 2, peer[i], 7, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(dg_raw_read(&raw, &ip, &hdr, 1000));
		CU_ASSERT_EQUAL(hdr.csum, 0xffff);
		CU_ASSERT_EQUAL(hdr.src_port, 5000);
		CU_ASSERT_EQUAL(hdr.len, 10);
		dg_close(&c);
	}
	raw_close(&raw);
}

/* U-16, U-22: TTL and TOS, ECN bits included, unchanged; IP_MINTTL. */
static void test_ttl_and_tos(void)
{
	struct rig_config config = rig_config_default();
	struct udp_hdr hdr;
	struct ip_hdr ip;
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, own[i], 5000);

		CU_ASSERT_EQUAL(dg_get(c, SOCK_OPT_TTL), 64);
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_TTL, 0), -EINVAL);
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_TTL, 3), 0);
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_TOS, 0x2a), 0);
		CU_ASSERT_EQUAL(dg_get(c, SOCK_OPT_TOS), 0x2a);
		dg_send_text(c, "x", peer[i], 7);
		const uint8_t *data = dg_raw_read(&raw, &ip, &hdr, 1000);

		CU_ASSERT_PTR_NOT_NULL_FATAL(data);
		CU_ASSERT_EQUAL(ip.ttl, 3);
		CU_ASSERT_EQUAL(ip.tos, 0x2a);
		/* U-33: the flow's label. */
		if (i == 1)
			CU_ASSERT_NOT_EQUAL(get_be32(data - UDP_HDR_SIZE - IP6_HDR_SIZE) & 0xfffff,
					    0);
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_MINTTL, 65), 0);
		dg_raw(&raw, peer[i], 7, own[i], 5000, "far", 3, -1);
		CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_TTL, (uint64_t)i + 1));
		dg_close(&c);
	}
	raw_close(&raw);
}

/* IPv4's DF bit by IP_MTU_DISCOVER; numbered when it is clear (RFC 6864). */
static void test_df(void)
{
	static const struct {
		int how;
		bool is_df;
	} cases[] = {{SOCK_PMTUDISC_DONT, false},      {SOCK_PMTUDISC_WANT, true},
		     {SOCK_PMTUDISC_DO, true},         {SOCK_PMTUDISC_PROBE, true},
		     {SOCK_PMTUDISC_INTERFACE, false}, {SOCK_PMTUDISC_OMIT, false}};
	struct rig_config config = rig_config_default();
	static uint8_t pkt[2048];
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, own[0], 5000);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_PMTUDISC, cases[i].how), 0);
		dg_send_text(c, "x", peer[0], 7);
		CU_ASSERT_TRUE(raw_read(&raw, pkt, sizeof(pkt), 1000) > 0);
		CU_ASSERT_EQUAL((pkt[6] & 0x40) != 0, cases[i].is_df);
		CU_ASSERT_EQUAL(get_be16(pkt + 4) != 0, !cases[i].is_df);
	}
	dg_close(&c);
	raw_close(&raw);
}

/* An ICMP error about what the stack has just sent; 'mtu' for "too big". */
static void send_error(struct raw *raw, int i, enum icmp_kind kind, uint8_t code, uint32_t mtu,
		       const uint8_t *pkt, size_t size)
{
	static uint8_t bytes[1500];
	struct addr s = rig_addr(peer[i]), d = rig_addr(own[i]);
	const struct icmp_msg msg = {.kind = kind,
				     .code = code,
				     .mtu = mtu,
				     .body = pkt,
				     .body_len = size < 500 ? size : 500};
	size_t len = icmp_emit(bytes, &msg, &s, &d);

	raw_ip(raw, peer[i], own[i], i == 0 ? IP_PROTO_ICMP : IP_PROTO_ICMP6, bytes, len);
}

/* U-10, U-27, U-37: lasting errors reach the connected socket they are about, and no other. */
static void test_icmp_errors(void)
{
	static uint8_t pkt[2048];
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, any[i], 5000);
		struct conn *other = dg_open(raw.stack, any[i], 5001);
		uint8_t port_code = i == 0 ? ICMP4_UNREACH_PORT : ICMP6_UNREACH_PORT;

		CU_ASSERT_EQUAL(dg_connect(c, peer[i], 7), 0);
		CU_ASSERT_EQUAL(dg_connect(other, peer[i], 7), 0);
		dg_send_text(c, "x", NULL, 0);
		size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);

		send_error(&raw, i, ICMP_UNREACH, port_code, 0, pkt, size);
		CU_ASSERT_EQUAL(dg_recv(c, 10, 0)->size, -ECONNREFUSED);
		CU_ASSERT_EQUAL(dg_get(other, SOCK_OPT_ERROR), 0);
		/* Soft ones are nothing to a socket without IP_RECVERR. */
		send_error(&raw, i, ICMP_UNREACH, 0, 0, pkt, size);
		send_error(&raw, i, ICMP_TIME_EXCEEDED, 0, 0, pkt, size);
		dg_expect_nothing(c);
		/* About a port that nobody sent from. */
		put_be16(pkt + (i == 0 ? 20 : 40), 5002);
		send_error(&raw, i, ICMP_UNREACH, port_code, 0, pkt, size);
		CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_NO_CONN, (uint64_t)i + 1));
		CU_ASSERT_EQUAL(dg_get(c, SOCK_OPT_ERROR), 0);
		dg_close(&c);
		dg_close(&other);
	}
	raw_close(&raw);
}

/* U-23: a router's MTU: EMSGSIZE once, and what is larger goes in fragments or not at all. */
static void test_path_mtu(void)
{
	static uint8_t data[1400], pkt[2048];
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, any[i], 5000);

		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_DO), 0);
		CU_ASSERT_EQUAL(dg_connect(c, peer[i], 7), 0);
		CU_ASSERT_EQUAL(dg_send_to(c, data, sizeof(data), NULL, 0, 0), sizeof(data));
		size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);

		CU_ASSERT_EQUAL(size, sizeof(data) + 8 + (i == 0 ? 20 : 40));
		send_error(&raw, i, ICMP_TOO_BIG, i == 0 ? 4 : 0, 1300, pkt, size);
		CU_ASSERT_EQUAL(dg_recv(c, 10, 0)->size, -EMSGSIZE);
		CU_ASSERT_EQUAL(dg_get(c, SOCK_OPT_MTU), 1300);
		CU_ASSERT_EQUAL(dg_send_to(c, data, sizeof(data), NULL, 0, 0), -EMSGSIZE);
		CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 10), 0);
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_WANT), 0);
		CU_ASSERT_EQUAL(dg_send_to(c, data, sizeof(data), NULL, 0, 0), sizeof(data));
		size = raw_read(&raw, pkt, sizeof(pkt), 1000);
		CU_ASSERT_TRUE(size > 1200 && size <= 1300);
		size = raw_read(&raw, pkt, sizeof(pkt), 1000);
		CU_ASSERT_TRUE(size > 0 && size < 300);
		/* PROBE does not listen to routers. */
		CU_ASSERT_EQUAL(dg_set(c, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_PROBE), 0);
		CU_ASSERT_EQUAL(dg_send_to(c, data, sizeof(data), NULL, 0, 0), sizeof(data));
		CU_ASSERT_TRUE(raw_read(&raw, pkt, sizeof(pkt), 1000) > 1400);
		dg_close(&c);
	}
	raw_close(&raw);
}

/* U-8: nobody listens; U-15: an illegal source is not told. */
static void test_no_port(void)
{
	static uint8_t pkt[2048];
	struct rig_config config = rig_config_default();
	struct icmp_msg msg;
	struct ip_hdr ip;
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		dg_raw(&raw, peer[i], 7, own[i], 5000, "x", 1, -1);
		size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);

		CU_ASSERT_EQUAL_FATAL(ip_parse(pkt, size, &ip), DROP_NONE);
		CU_ASSERT_EQUAL(icmp_parse(pkt + ip.hdr_len, ip.payload_len, &ip, &msg), DROP_NONE);
		CU_ASSERT_EQUAL(msg.kind, ICMP_UNREACH);
		CU_ASSERT_EQUAL(msg.code, i == 0 ? ICMP4_UNREACH_PORT : ICMP6_UNREACH_PORT);
	}
	dg_raw(&raw, "224.0.0.5", 7, own[0], 5000, "x", 1, -1);
	dg_raw(&raw, "10.0.0.255", 7, own[0], 5000, "x", 1, -1);
	dg_raw(&raw, "ff02::5", 7, own[1], 5000, "x", 1, -1);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_SRC, 3));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

/* U-31: behind a routing header without segments left the sum is over the destination as it is. */
static void test_v6_behind_routing_header(void)
{
	static uint8_t bytes[64] = {IP_PROTO_UDP, 0, 4, 0};
	struct rig_config config = rig_config_default();
	struct addr src = rig_addr(peer[1]), dst = rig_addr(own[1]);
	const struct udp_hdr hdr = {.src_port = 7, .dst_port = 5000};
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, "::", 5000);

	memcpy(bytes + 16, "routed", 6);
	udp_hdr_emit(bytes + 8, &hdr, 6, &src, &dst);
	raw_ip(&raw, peer[1], own[1], 43, bytes, 22);
	dg_expect(c, "routed", peer[1], 7);
	dg_close(&c);
	raw_close(&raw);
}

/* U-18, U-20: ephemeral ports are in their range, at random, and never 0. */
static void test_ephemeral_ports(void)
{
	enum { PORTS = 200 };
	struct rig_config config = rig_config_default();
	struct conn *c[PORTS];
	unsigned in_order = 0;
	struct raw raw;

	config.stack.port_min = 40000;
	config.stack.port_max = 40000 + PORTS - 1;
	raw_open(&raw, &config);
	for (int i = 0; i < PORTS; i++) {
		c[i] = dg_open(raw.stack, any[i % 2], ANY_PORT);
		uint16_t port = dg_port(c[i]);

		CU_ASSERT_TRUE(port >= 40000 && port < 40000 + PORTS);
		in_order += i > 0 && port == dg_port(c[i - 1]) + 1;
	}
	CU_ASSERT_TRUE(in_order < PORTS / 4);
	/* All are taken. */
	struct conn *late = dg_new(raw.stack, &proto_udp, false);

	CU_ASSERT_EQUAL(dg_bind(late, "0.0.0.0", 0), -EADDRINUSE);
	CU_ASSERT_EQUAL(dg_send_to(late, "x", 1, peer[0], 7, 0), -EAGAIN);
	CU_ASSERT_EQUAL(dg_connect(late, peer[0], 7), -EAGAIN);
	dg_close(&c[7]);
	CU_ASSERT_EQUAL(dg_bind(late, "0.0.0.0", 0), 0);
	dg_close(&late);
	for (int i = 0; i < PORTS; i++)
		if (c[i])
			dg_close(&c[i]);
	raw_close(&raw);
}

/* U-38: a fragment that was damaged on the way. */
static void test_damaged_fragment(void)
{
	static uint8_t data[2000], pkt[2][2048];
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *from = dg_open(raw.stack, "0.0.0.0", 6000);

	CU_ASSERT_EQUAL(dg_send_to(from, data, sizeof(data), peer[0], 5000, 0), sizeof(data));
	size_t size[2];

	for (int i = 0; i < 2; i++)
		size[i] = raw_read(&raw, pkt[i], sizeof(pkt[i]), 1000);
	dg_close(&from);
	raw_close(&raw);
	/* Handed to the stack that they were for, once as they are and once not. */
	struct weft_dev *ends[2];

	CU_ASSERT_EQUAL(weft_dev_pair(ends, 1500, 0, 64), 0);
	rig.b = rig_stack(&config, ends[0], "10.0.0.2", "fd00::2");
	raw.stack = rig.b;
	raw.wire = ends[1];
	struct conn *c = dg_open(rig.b, "0.0.0.0", 5000);

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2; i++)
			raw_write(&raw, pkt[i], size[i]);
		if (round == 0)
			CU_ASSERT_EQUAL(dg_recv(c, 4000, 0)->size, sizeof(data));
		pkt[1][30] ^= 4;
	}
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_CSUM, 1));
	dg_close(&c);
	raw_close(&raw);
}

/* RFC 4443 3.1: what a full queue drops is not answered; and the port that nobody has is. */
static void test_full_queue_is_silent(void)
{
	static uint8_t udp[UDP_HDR_SIZE + 1000], pkt[2048];
	struct rig_config config = rig_config_default();
	struct addr src = rig_addr(peer[1]), dst = rig_addr(own[1]);
	const struct udp_hdr hdr = {.src_port = 7, .dst_port = 5000};
	struct ip_hdr ip;
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, any[1], 5000);

	CU_ASSERT_EQUAL(proto_of(c)->setopt(c, SOCK_OPT_RCVBUF, 16384), 0);
	udp_hdr_emit(udp, &hdr, 1000, &src, &dst);
	for (int i = 0; i < 20; i++)
		raw_ip(&raw, peer[1], own[1], IP_PROTO_UDP, udp, sizeof(udp));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_DGRAM_RCVBUF, 12));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	dg_close(&c);
	raw_ip(&raw, peer[1], own[1], IP_PROTO_UDP, udp, sizeof(udp));
	CU_ASSERT_TRUE_FATAL(raw_read(&raw, pkt, sizeof(pkt), 1000) > 0);
	CU_ASSERT_EQUAL(ip_parse(pkt, sizeof(pkt), &ip), DROP_NONE);
	CU_ASSERT_EQUAL(ip.proto, IP_PROTO_ICMP6);
	CU_ASSERT_TRUE(pkt[IP6_HDR_SIZE] == 1 && pkt[IP6_HDR_SIZE + 1] == ICMP6_UNREACH_PORT);
	raw_close(&raw);
}

static bool has_error(void *arg)
{
	struct conn *c = arg;

	return proto_of(c)->ready(c) & POLLERR;
}

/* A send tells what ICMP said of an earlier one: lasting errors, with IP_RECVERR passing ones, too. */
static void test_next_send_tells(void)
{
	static const uint8_t codes[] = {13, 1}; /* prohibited; the host does not answer */
	static uint8_t pkt[2048];
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *c = dg_open(raw.stack, any[0], 5000);

		CU_ASSERT_EQUAL(proto_of(c)->setopt(c, SOCK_OPT_RECVERR, i), 0);
		CU_ASSERT_EQUAL(dg_connect(c, peer[0], 7), 0);
		dg_send_text(c, "x", NULL, 0);
		size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);

		send_error(&raw, 0, ICMP_UNREACH, codes[i], 0, pkt, size);
		CU_ASSERT_TRUE(rig_until(has_error, c, 5000));
		CU_ASSERT_EQUAL(dg_send_to(c, "y", 1, NULL, 0, 0), -EHOSTUNREACH);
		CU_ASSERT_EQUAL(dg_send_to(c, "y", 1, NULL, 0, 0), 1);
		CU_ASSERT_TRUE(raw_read(&raw, pkt, sizeof(pkt), 1000) > 0);
		dg_close(&c);
	}
	raw_close(&raw);
}

/* RFC 4443 2.4 (f), RFC 1812 4.3.2.8: of a flood for nobody a burst is refused, and the rest is counted. */
static void test_refusals_are_limited(void)
{
	static uint8_t pkts[2][2048], got[2048];
	struct rig_config config = rig_config_default();
	struct iovec parts[6];
	struct raw raw;

	config.stack.icmp_rate = 1; /* and a burst of one */
	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		const struct udp_hdr hdr = {.src_port = 7, .dst_port = 5000};
		const struct ip_hdr ip = {.src = rig_addr(peer[i]),
					  .dst = rig_addr(own[i]),
					  .payload_len = UDP_HDR_SIZE,
					  .proto = IP_PROTO_UDP,
					  .ttl = 64};
		size_t at = ip_emit(pkts[i], &ip);

		udp_hdr_emit(pkts[i] + at, &hdr, 0, &ip.src, &ip.dst);
		for (int j = 0; j < 3; j++)
			parts[3 * i + j] = (struct iovec){pkts[i], at + UDP_HDR_SIZE};
	}
	raw_write_batch(&raw, parts, ARRAY_SIZE(parts)); /* at one time */
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_RATE, 5));
	CU_ASSERT_TRUE(raw_read(&raw, got, sizeof(got), 1000) > 0);
	CU_ASSERT_EQUAL(raw_read(&raw, got, sizeof(got), 20), 0);
	raw_close(&raw);
}

/* RFC 4443 2.4 (a): an error of a kind that nobody knows goes to who sent what it quotes; it is no end. */
static void test_unknown_error_reaches_the_sender(void)
{
	struct rig_config config = rig_config_default();
	struct addr src = rig_addr(peer[1]), dst = rig_addr(own[1]);
	static uint8_t pkt[2048], bytes[2048];
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, any[1], 5000);

	CU_ASSERT_EQUAL(dg_connect(c, peer[1], 7), 0);
	CU_ASSERT_EQUAL(dg_send_to(c, "x", 1, NULL, 0, 0), 1);
	size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);

	CU_ASSERT_TRUE_FATAL(size > 0);
	for (unsigned type = 100; type <= 200; type += 100) {
		memset(bytes, 0, ICMP_HDR_SIZE);
		bytes[0] = (uint8_t)type;
		memcpy(bytes + ICMP_HDR_SIZE, pkt, size);
		size_t len = ICMP_HDR_SIZE + size;
		put_be16(bytes + 2, csum_finish(csum_add(
					    csum_pseudo(&src, &dst, IP_PROTO_ICMP6, (uint32_t)len),
					    bytes, len)));
		raw_ip(&raw, peer[1], own[1], IP_PROTO_ICMP6, bytes, len);
	}
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_TYPE, 1)); /* 200 is informational */
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_ICMP_ERR_IN], 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->drops[DROP_ICMP_NO_CONN], 0);
	CU_ASSERT_EQUAL(dg_send_to(c, "y", 1, NULL, 0, 0), 1);
	dg_close(&c);
	raw_close(&raw);
}

UNIT_MAIN("dgram_wire", UNIT(length_field), UNIT(checksums_in), UNIT(trusted_checksum),
	  UNIT(checksum_zero_is_sent_as_ones), UNIT(ttl_and_tos), UNIT(df), UNIT(icmp_errors),
	  UNIT(path_mtu), UNIT(no_port), UNIT(full_queue_is_silent), UNIT(next_send_tells),
	  UNIT(refusals_are_limited), UNIT(unknown_error_reaches_the_sender),
	  UNIT(v6_behind_routing_header), UNIT(ephemeral_ports), UNIT(damaged_fragment))
