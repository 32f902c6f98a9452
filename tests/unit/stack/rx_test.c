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

/* MUST-57: a listener on all addresses answers none of the others, whatever comes to them. */
static void test_syn_to_many_is_dropped(void)
{
	static const char *const many[] = {"224.0.0.1", "239.1.2.3", "255.255.255.255",
					   "10.0.0.255"};
	struct rig_config config = rig_config_default();
	struct tcp_hdr got = {0}, syn = {.src_port = 1234, .dst_port = 9, .flags = TCP_SYN};
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "0.0.0.0", 9, 16);

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		raw_tcp(&raw, "10.0.0.2", many[i], &syn, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_DST, ARRAY_SIZE(many)));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 0);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000)); /* the first word that leaves */
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	rig_drop(&l);
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
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_NO_SOCK, 1));
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
	CU_ASSERT_EQUAL(pkt[1], 0); /* TOS (RFC 1122 3.2.2) */
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

/* Writes a UDP packet with 'options' (a multiple of 4 bytes) and 'frag' in its IPv4 header. */
static void raw_options(struct raw *raw, const char *src, const uint8_t *options, size_t size,
			uint16_t frag)
{
	uint8_t pkt[IP4_HDR_SIZE + 40 + 8] = {0};
	size_t hdr_len = IP4_HDR_SIZE + size;
	const struct ip_hdr ip = {
		.src = rig_addr(src),
		.dst = rig_addr("10.0.0.1"),
		.payload_len = (uint16_t)(size + 8),
		.proto = IP_PROTO_UDP,
		.frag = frag,
		.ttl = 64,
	};

	ip_emit(pkt, &ip);
	pkt[0] = (uint8_t)(0x40 | hdr_len / 4);
	memcpy(pkt + IP4_HDR_SIZE, options, size);
	memset(pkt + 10, 0, 2);
	uint16_t sum = csum_finish(csum_add(0, pkt, hdr_len));

	pkt[10] = (uint8_t)(sum >> 8);
	pkt[11] = (uint8_t)sum;
	raw_write(raw, pkt, hdr_len + 8);
}

/* RFC 1122 3.2.2.5: where the option is wrong; not to many, not for later fragments, not for routes. */
static void test_malformed_options_are_told(void)
{
	static const uint8_t bad[8] = {1, 1, 1, 7, 9, 4, 0, 0}, route[4] = {131, 4, 4, 0};
	struct rig_config config = rig_config_default();
	static uint8_t pkt[2048];
	struct icmp_msg got;
	struct raw raw;

	raw_open(&raw, &config);
	raw_options(&raw, "10.0.0.2", route, sizeof(route), 0);
	raw_options(&raw, "10.0.0.2", bad, sizeof(bad), 7);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_OPTIONS, 2));
	raw_options(&raw, "240.0.0.1", bad, sizeof(bad), 0);
	raw_options(&raw, "10.0.0.255", bad, sizeof(bad), 0);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_SRC, 2));
	raw_options(&raw, "10.0.0.2", bad, sizeof(bad), 0);
	CU_ASSERT_TRUE_FATAL(read_icmp(&raw, pkt, sizeof(pkt), &got)); /* the only word */
	CU_ASSERT_EQUAL(got.kind, ICMP_PARAM);
	CU_ASSERT_EQUAL(got.code, 0);
	CU_ASSERT_EQUAL(got.pointer, 23);
	CU_ASSERT_EQUAL(got.body_len, 36);
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

/* RFC 4443 2.4: the bound can be set, to nothing at all, too. */
static void test_errors_can_be_forbidden(void)
{
	struct rig_config config = rig_config_default();
	static uint8_t udp[16] = {0, 1, 0, 2, 0, 16}, pkt[2048];
	struct raw raw;

	config.stack.icmp_rate = 0;
	raw_open(&raw, &config);
	for (int i = 0; i < 3; i++)
		raw_ip(&raw, "10.0.0.2", "10.0.0.1", IP_PROTO_UDP, udp, sizeof(udp));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_RATE, 3));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

/* A half-open connection believes an error that quotes its SYN-ACK, and no other (RFC 5927 4.1). */
static void test_icmp_error_ends_half_open(void)
{
	struct rig_config config = rig_config_default();
	struct icmp_msg msg = {.kind = ICMP_UNREACH, .code = ICMP4_UNREACH_PORT};
	const struct tcp_hdr syn = {
		.src_port = 100, .dst_port = 80, .seq = 1000, .flags = TCP_SYN, .wnd = 8000};
	static uint8_t pkt[2048];
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 2);

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	msg.body = pkt;
	msg.body_len = raw_read(&raw, pkt, sizeof(pkt), 1000);
	CU_ASSERT_TRUE_FATAL(msg.body_len > 28);
	pkt[27] ^= 1; /* the quoted sequence number */
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_SEQ, 1));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 1);
	pkt[27] ^= 1;
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	send_icmp(&raw, "10.0.0.2", "10.0.0.1", &msg);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_NO_CONN, 1));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 0);
	rig_drop(&l);
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

/* A connection of the stack's to the test, which is 'peer'; its ISN and the ports are in '*syn'. */
static struct sock *open_to_test(struct raw *raw, const char *own, const char *peer,
				 struct tcp_hdr *syn)
{
	struct sock_addr at = rig_at(peer, 80);
	struct tcp_hdr ack;
	struct sock *s;

	WEFT_ASSERT(sock_new(raw->stack, !addr_is_v4(&at.addr), &s) == 0);
	CU_ASSERT_EQUAL(sock_connect(s, &at, true), -EINPROGRESS);
	CU_ASSERT_TRUE(raw_read_tcp(raw, syn, 1000));
	struct tcp_hdr reply = {
		.src_port = 80,
		.dst_port = syn->src_port,
		.seq = 9000,
		.ack = syn->seq + 1,
		.flags = TCP_SYN | TCP_ACK,
		.wnd = 65535,
	};

	reply.opt.has_mss = true;
	reply.opt.mss = 8960;
	raw_tcp(raw, peer, own, &reply, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(raw, &ack, 1000));
	return s;
}

/* The next segment with payload; the packet is in 'pkt', its size comes back, 0 for none. */
static size_t read_data(struct raw *raw, uint8_t *pkt, size_t room, struct tcp_hdr *tcp)
{
	struct ip_hdr ip;

	for (;;) {
		size_t size = raw_read(raw, pkt, room, 1000);

		if (size == 0 || ip_parse(pkt, size, &ip) != DROP_NONE ||
		    tcp_hdr_parse(pkt + ip.hdr_len, ip.payload_len, tcp) != DROP_NONE)
			return 0;
		if (ip.payload_len > tcp->hdr_len)
			return size;
	}
}

static void quote_too_big(struct raw *raw, const char *own, const uint8_t *pkt, size_t size,
			  uint32_t mtu)
{
	const struct icmp_msg msg = {
		.kind = ICMP_TOO_BIG, .mtu = mtu, .body = pkt, .body_len = size};

	/* A router's own address: not that of the peer. */
	send_icmp(raw, strchr(own, ':') ? "fd09::9" : "10.9.9.9", own, &msg);
}

/*
 * A router says "too big": the segment comes again at once, smaller; the next connection to the same
 * destination begins with that size, one to another does not; the MSS option stays the link's.
 */
static void path_mtu(const char *own, const char *peer, const char *other, uint32_t mtu,
		     uint32_t hdrs)
{
	static uint8_t pkt[2048];
	static char data[4000];
	struct rig_config config = rig_config_default();
	struct tcp_hdr syn, tcp;
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *s = open_to_test(&raw, own, peer, &syn);

	CU_ASSERT_EQUAL(syn.opt.mss, 1500 - hdrs);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_MTU), 1500);
	CU_ASSERT_EQUAL(rig_send(s, data, sizeof(data)), sizeof(data));
	size_t size = read_data(&raw, pkt, sizeof(pkt), &tcp);

	CU_ASSERT_EQUAL(size, 1500);
	CU_ASSERT_EQUAL(tcp.seq, syn.seq + 1);
	quote_too_big(&raw, own, pkt, 48, mtu);
	do
		size = read_data(&raw, pkt, sizeof(pkt), &tcp);
	while (size > 0 && (size > mtu || tcp.seq != syn.seq + 1));
	CU_ASSERT_EQUAL(size, mtu);
	CU_ASSERT_EQUAL(tcp.seq, syn.seq + 1);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_MTU), mtu);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_PMTU_LOWERED], 1);
	rig_drop(&s);
	while (raw_read(&raw, pkt, sizeof(pkt), 20) > 0)
		continue; /* what is left of the first connection */
	s = open_to_test(&raw, own, peer, &syn);
	CU_ASSERT_EQUAL(syn.opt.mss, 1500 - hdrs);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_MTU), mtu);
	rig_drop(&s);
	while (raw_read(&raw, pkt, sizeof(pkt), 20) > 0)
		continue;
	s = open_to_test(&raw, own, other, &syn);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_MTU), 1500);
	rig_drop(&s);
	raw_close(&raw);
}

static void test_path_mtu_ipv4(void)
{
	path_mtu("10.0.0.1", "10.1.0.2", "10.1.0.3", 1400, 40);
	path_mtu("10.0.0.1", "10.1.0.2", "10.1.0.3", 552, 40);
}

static void test_path_mtu_ipv6(void)
{
	path_mtu("fd00::1", "fd01::2", "fd01::3", 1400, 60);
	path_mtu("fd00::1", "fd01::2", "fd01::3", 1280, 60);
}

/* Messages that make no sense, or quote what was never sent. */
static void test_path_mtu_refused(void)
{
	static uint8_t pkt[2048];
	static char data[1440];
	struct rig_config config = rig_config_default();
	struct tcp_hdr syn, tcp;
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *s = open_to_test(&raw, "10.0.0.1", "10.1.0.2", &syn);

	CU_ASSERT_EQUAL(rig_send(s, data, sizeof(data)), sizeof(data));
	size_t size = read_data(&raw, pkt, sizeof(pkt), &tcp);

	CU_ASSERT_EQUAL(size, sizeof(data) + 40);
	quote_too_big(&raw, "10.0.0.1", pkt, 48, 1480); /* it did fit */
	quote_too_big(&raw, "10.0.0.1", pkt, 48, 9000);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_MTU, 2));
	pkt[24] ^= 1; /* another sequence number */
	quote_too_big(&raw, "10.0.0.1", pkt, 48, 1300);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_SEQ, 1));
	pkt[24] ^= 1;
	pkt[21] ^= 1; /* another port */
	quote_too_big(&raw, "10.0.0.1", pkt, 48, 1300);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_NO_CONN, 1));
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_MTU), 1500);
	pkt[21] ^= 1;
	/* Who says so by IP_MTU_DISCOVER hears no router. */
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_PROBE), 0);
	quote_too_big(&raw, "10.0.0.1", pkt, 48, 1300);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_MTU, 3));
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_WANT), 0);
	/* An old router: no MTU, the next plateau. */
	quote_too_big(&raw, "10.0.0.1", pkt, 48, 0);
	CU_ASSERT_EQUAL(read_data(&raw, pkt, sizeof(pkt), &tcp), 1006);
	CU_ASSERT_EQUAL(rig_opt(s, SOCK_OPT_MTU), 1006);
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

/* ---- Batches. ---- */

enum { BATCH_MAX = 8, PACKET_MAX = 128 };

/* Packets that are written, and so read, at once. */
struct batch {
	uint8_t bytes[BATCH_MAX][PACKET_MAX];
	struct iovec iov[BATCH_MAX];
	struct weft_pkt pkt[BATCH_MAX];
	int count;
};

/* Adds a segment from 10.0.0.2 and moves 'hdr' behind it. */
static void batch_add(struct batch *b, struct tcp_hdr *hdr, const char *data)
{
	uint8_t *pkt = b->bytes[b->count];
	const struct addr src = rig_addr("10.0.0.2"), dst = rig_addr("10.0.0.1");
	uint8_t *tcp = pkt + IP4_HDR_SIZE;
	size_t len = tcp_hdr_emit(tcp, hdr);

	memcpy(tcp + len, data, strlen(data));
	len += strlen(data);
	hdr->seq += (uint32_t)strlen(data);
	uint16_t csum = csum_finish(
		csum_add(csum_pseudo(&src, &dst, IP_PROTO_TCP, (uint32_t)len), tcp, len));

	tcp[16] = (uint8_t)(csum >> 8);
	tcp[17] = (uint8_t)csum;
	const struct ip_hdr ip = {.src = src,
				  .dst = dst,
				  .payload_len = (uint16_t)len,
				  .proto = IP_PROTO_TCP,
				  .ttl = 64};

	len += ip_emit(pkt, &ip);
	b->iov[b->count] = (struct iovec){.iov_base = pkt, .iov_len = len};
	b->pkt[b->count] =
		(struct weft_pkt){.iov = &b->iov[b->count], .iov_count = 1, .len = (uint32_t)len};
	b->count++;
}

static void batch_write(struct batch *b, struct raw *raw)
{
	CU_ASSERT_EQUAL(raw->wire->write(raw->wire, b->pkt, b->count), b->count);
	b->count = 0;
}

/* Opens a connection from 'port' to listener 'l' at port 9; what the next segment begins with. */
static struct tcp_hdr shake_hands(struct raw *raw, struct sock *l, uint16_t port,
				  struct sock **child)
{
	struct tcp_hdr got = {0};
	struct tcp_hdr hdr = {
		.src_port = port, .dst_port = 9, .seq = 99, .flags = TCP_SYN, .wnd = 60000};

	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &hdr, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(raw, &got, 1000));
	hdr.seq++;
	hdr.ack = got.seq + 1;
	hdr.flags = TCP_ACK;
	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &hdr, "", false);
	CU_ASSERT_EQUAL(sock_accept(l, false, child), 0);
	return hdr;
}

/* Segments of two connections come mixed: each gets its own in order, also across an early end. */
static void test_batch(void)
{
	static struct batch batch;
	struct rig_config config = rig_config_default();
	struct sock *one, *two;
	char data[16];
	struct raw raw;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 9, 4);
	struct tcp_hdr a = shake_hands(&raw, l, 1001, &one);
	struct tcp_hdr b = shake_hands(&raw, l, 1002, &two);

	batch_add(&batch, &a, "abc");
	batch_add(&batch, &b, "12");
	batch_add(&batch, &a, "d");
	batch_add(&batch, &b, "345");
	batch_add(&batch, &a, "ef");
	batch_write(&batch, &raw);
	CU_ASSERT_EQUAL(rig_recv(one, data, 6, MSG_WAITALL), 6);
	CU_ASSERT_EQUAL(memcmp(data, "abcdef", 6), 0);
	CU_ASSERT_EQUAL(rig_recv(two, data, 5, MSG_WAITALL), 5);
	CU_ASSERT_EQUAL(memcmp(data, "12345", 5), 0);
	/* Behind the RST there is no connection; the other one goes on. */
	rig_drop(&l);
	batch_add(&batch, &a, "g");
	a.flags = TCP_RST;
	batch_add(&batch, &a, "");
	a.flags = TCP_ACK;
	batch_add(&batch, &a, "late");
	batch_add(&batch, &b, "6");
	batch_write(&batch, &raw);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_NO_CONN, 1));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_RESET_IN], 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TCP_RESET_OUT], 1);
	CU_ASSERT_EQUAL(rig_recv(two, data, 1, 0), 1);
	CU_ASSERT_EQUAL(data[0], '6');
	rig_drop(&one);
	rig_drop(&two);
	raw_close(&raw);
}

UNIT_MAIN("rx", UNIT(addresses), UNIT(syn_to_many_is_dropped), UNIT(reset_for_nobody),
	  UNIT(reply_limit), UNIT(echo), UNIT(refusals), UNIT(malformed_options_are_told),
	  UNIT(errors_can_be_forbidden), UNIT(icmp_error_ends_half_open),
	  UNIT(icmp_error_fails_connect), UNIT(path_mtu_ipv4), UNIT(path_mtu_ipv6),
	  UNIT(path_mtu_refused), UNIT(no_buffer), UNIT(batch))
