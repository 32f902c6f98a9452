/* What the RX thread refuses, answers and passes on, by hand-made packets. */
#include "net/stack/stack_int.h"
#include "raw.h"

static const struct tcp_hdr plain_ack = {
	.src_port = 1234, .dst_port = 9, .seq = 5, .ack = 77, .flags = TCP_ACK, .wnd = 1000};

static void test_addresses(void)
{
	static const char *const bad_src[] = {"224.0.0.1", "255.255.255.255", "10.0.0.255",
					      "0.0.0.0",   "127.0.0.1",       "10.0.0.1",
					      "240.0.0.1"};
	static const char *const bad_dst[] = {"10.0.0.9", "127.0.0.1", "224.0.0.1",
					      "255.255.255.255", "10.0.0.255"};
	struct rig_config config = rig_config_default();
	struct raw raw;
	static uint8_t pkt[2048];

	raw_open(&raw, &config);
	for (size_t i = 0; i < ARRAY_SIZE(bad_src); i++)
		raw_tcp(&raw, bad_src[i], "10.0.0.1", &plain_ack, "", false);
	raw_tcp(&raw, "::1", "fd00::1", &plain_ack, "", false);
	raw_tcp(&raw, "fd00::1", "fd00::1", &plain_ack, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_SRC, ARRAY_SIZE(bad_src) + 2));
	for (size_t i = 0; i < ARRAY_SIZE(bad_dst); i++)
		raw_tcp(&raw, "10.0.0.2", bad_dst[i], &plain_ack, "", false);
	raw_tcp(&raw, "fd00::2", "ff02::1", &plain_ack, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_DST, ARRAY_SIZE(bad_dst) + 1));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

static void test_reset_for_nobody(void)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr got, seg = plain_ack;
	struct raw raw;

	raw_open(&raw, &config);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &seg, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST);
	CU_ASSERT_EQUAL(got.seq, 77);
	CU_ASSERT_EQUAL(got.src_port, 9);
	CU_ASSERT_EQUAL(got.dst_port, 1234);
	seg.flags = TCP_SYN;
	raw_tcp(&raw, "fd00::2", "fd00::1", &seg, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST | TCP_ACK);
	CU_ASSERT_EQUAL(got.ack, 6);
	seg.flags = TCP_RST;
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &seg, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_NO_CONN, 3));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_RESET_OUT], 2);
	seg.flags = TCP_ACK;
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &seg, "x", true);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_CSUM, 1));
	CU_ASSERT_FALSE(raw_read_tcp(&raw, &got, 20));
	raw_close(&raw);
}

static void test_reply_limit(void)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr got;
	struct raw raw;

	config.stack.reply_queue_max = 0;
	raw_open(&raw, &config);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &plain_ack, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_REPLY_QUEUE, 1));
	CU_ASSERT_FALSE(raw_read_tcp(&raw, &got, 20));
	raw_close(&raw);
}

/* Sends an ICMP message to the stack; the next one from it, whose body is in 'pkt'. */
static void send_icmp(struct raw *raw, const char *src, const char *dst, const struct icmp_msg *msg)
{
	struct addr s = rig_addr(src), d = rig_addr(dst);
	static uint8_t bytes[1500];
	size_t size = icmp_emit(bytes, msg, &s, &d);

	raw_ip(raw, src, dst, addr_is_v4(&d) ? IP_PROTO_ICMP : IP_PROTO_ICMP6, bytes, size);
}

static bool read_icmp(struct raw *raw, uint8_t *pkt, size_t room, struct icmp_msg *msg)
{
	struct ip_hdr ip;
	size_t size = raw_read(raw, pkt, room, 1000);

	return size > 0 && ip_parse(pkt, size, &ip) == DROP_NONE &&
	       icmp_parse(pkt + ip.hdr_len, ip.payload_len, &ip, msg) == DROP_NONE;
}

static void test_echo(void)
{
	static const char *const addrs[][2] = {{"10.0.0.2", "10.0.0.1"}, {"fd00::2", "fd00::1"}};
	struct rig_config config = rig_config_default();
	struct icmp_msg msg, got;
	static uint8_t data[1000], pkt[2048];
	struct raw raw;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	raw_open(&raw, &config);
	for (int i = 0; i < 2; i++) {
		msg = (struct icmp_msg){.kind = ICMP_ECHO_REQUEST,
					.id = 3,
					.seq = 4,
					.body = data,
					.body_len = sizeof(data)};
		send_icmp(&raw, addrs[i][0], addrs[i][1], &msg);
		CU_ASSERT_TRUE_FATAL(read_icmp(&raw, pkt, sizeof(pkt), &got));
		CU_ASSERT_EQUAL(got.kind, ICMP_ECHO_REPLY);
		CU_ASSERT_EQUAL(got.id, 3);
		CU_ASSERT_EQUAL(got.seq, 4);
		CU_ASSERT_EQUAL(got.body_len, sizeof(data));
		CU_ASSERT_EQUAL(memcmp(got.body, data, sizeof(data)), 0);
	}
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_ICMP_ECHO], 2);
	msg.kind = ICMP_ECHO_REPLY;
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_TYPE, 1));
	raw_close(&raw);
}

static void test_refusals(void)
{
	struct rig_config config = rig_config_default();
	static uint8_t udp[16] = {0, 1, 0, 2, 0, 16}, pkt[2048];
	struct icmp_msg got;
	struct raw raw;

	raw_open(&raw, &config);
	raw_ip(&raw, "10.0.0.2", "10.0.0.1", IP_PROTO_UDP, udp, sizeof(udp));
	CU_ASSERT_TRUE_FATAL(read_icmp(&raw, pkt, sizeof(pkt), &got));
	CU_ASSERT_EQUAL(got.kind, ICMP_UNREACH);
	CU_ASSERT_EQUAL(got.code, ICMP4_UNREACH_PORT);
	CU_ASSERT_EQUAL(got.body_len, 36);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_NO_PORT, 1));
	raw_ip(&raw, "10.0.0.2", "10.0.0.1", 132, udp, sizeof(udp));
	CU_ASSERT_TRUE_FATAL(read_icmp(&raw, pkt, sizeof(pkt), &got));
	CU_ASSERT_EQUAL(got.code, ICMP4_UNREACH_PROTO);
	raw_ip(&raw, "fd00::2", "fd00::1", 132, udp, sizeof(udp));
	CU_ASSERT_TRUE_FATAL(read_icmp(&raw, pkt, sizeof(pkt), &got));
	CU_ASSERT_EQUAL(got.kind, ICMP_PARAM);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_PROTO, 2));
	/* A flood: not more answers than the bucket holds, and what came meanwhile. */
	for (int i = 0; i < 400; i++)
		raw_ip(&raw, "10.0.0.2", "10.0.0.1", IP_PROTO_UDP, udp, sizeof(udp));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_NO_PORT, 401));
	CU_ASSERT_TRUE(rig_stats(raw.stack)->drops[DROP_ICMP_RATE] > 0);
	raw_close(&raw);
}

/* A hard error that quotes the SYN in flight fails the connect; one that quotes another does not. */
static void test_icmp_error_fails_connect(void)
{
	struct rig_config config = rig_config_default();
	struct sock_addr peer = rig_at("10.0.0.2", 80);
	struct icmp_msg msg = {.kind = ICMP_UNREACH, .code = ICMP4_UNREACH_PORT};
	static uint8_t pkt[2048];
	struct raw raw;
	struct sock *s;
	size_t size;

	raw_open(&raw, &config);
	WEFT_ASSERT(sock_new(raw.stack, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_connect(s, &peer, true), -EINPROGRESS);
	size = raw_read(&raw, pkt, sizeof(pkt), 1000);
	CU_ASSERT_TRUE_FATAL(size > 28);
	msg.body = pkt;
	msg.body_len = size;
	pkt[27] ^= 1; /* the quoted sequence number */
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_SEQ, 1));
	pkt[27] ^= 1;
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	CU_ASSERT_EQUAL(sock_connect(s, &peer, false), -ECONNREFUSED);
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_NO_CONN, 1));
	rig_drop(&s);
	raw_close(&raw);
}

/* No memory for payload: the header counts all the same, the data comes again. */
static void test_no_buffer(void)
{
	struct rig_config config = rig_config_default();
	struct sock *client, *server;
	struct rig rig;
	static char data[5000];

	config.stack.tcp.rto_min = 10 * US_PER_MS;
	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	bufpool_fail_after(rig.b->pool, 1);
	CU_ASSERT_EQUAL(rig_send(client, "lost", 4), 4);
	CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), 0), 4);
	CU_ASSERT_EQUAL(memcmp(data, "lost", 4), 0);
	CU_ASSERT_EQUAL(rig_stats(rig.b)->drops[DROP_NO_BUF], 1);
	CU_ASSERT_TRUE(rig_stats(rig.a)->counters[C_TCP_RETRANS] > 0);
	rig_drop(&client);
	rig_drop(&server);
	rig_close(&rig);
}

UNIT_MAIN("rx", UNIT(addresses), UNIT(reset_for_nobody), UNIT(reply_limit), UNIT(echo),
	  UNIT(refusals), UNIT(icmp_error_fails_connect), UNIT(no_buffer))
