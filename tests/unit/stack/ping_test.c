/* ICMP echo sockets: requests that go out, replies that come back to who asked, errors. */
#include "dgram_rig.h"
#include "net/base/bytes.h"

static const char *const addr_b[] = {"10.0.0.2", "fd00::2"};
static const char *const any[] = {"0.0.0.0", "::"};
static const uint8_t request[] = {ICMP4_TYPE_ECHO, ICMP6_TYPE_ECHO};
static const uint8_t reply[] = {0, 129};

static struct conn *open_ping(struct stack *stack, int i)
{
	return dg_new(stack, i == 0 ? &proto_ping : &proto_ping6, i == 1);
}

/* A request with 'seq' and some data. */
static ssize_t ping(struct conn *c, int i, uint16_t seq, const char *to)
{
	uint8_t msg[24] = {request[i], 0, 0xff, 0xff, 0xff, 0xff};

	put_be16(msg + 6, seq);
	memcpy(msg + 8, "sixteen bytes of", 16);
	return dg_send_to(c, msg, sizeof(msg), to, 0, 0);
}

static void expect_reply(struct conn *c, int i, uint16_t seq, const char *from)
{
	const struct dg_got *got = dg_recv(c, 100, 0);
	struct addr a = rig_addr(from);

	CU_ASSERT_EQUAL_FATAL(got->size, 24);
	CU_ASSERT_EQUAL(got->bytes[0], reply[i]);
	CU_ASSERT_EQUAL(get_be16(got->bytes + 4), dg_port(c));
	CU_ASSERT_EQUAL(get_be16(got->bytes + 6), seq);
	CU_ASSERT_EQUAL(memcmp(got->bytes + 8, "sixteen bytes of", 16), 0);
	CU_ASSERT_TRUE(addr_equal(&got->from.addr, &a));
	CU_ASSERT_EQUAL(got->from.port, 0);
}

static void test_replies_come_to_who_asked(void)
{
	static const char *const loopback[] = {"127.0.0.1", "::1"};
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = open_ping(rig.a, i), *b = open_ping(rig.a, i);

		CU_ASSERT_EQUAL(ping(a, i, 1, addr_b[i]), 24);
		CU_ASSERT_EQUAL(ping(b, i, 2, addr_b[i]), 24);
		CU_ASSERT_NOT_EQUAL(dg_port(a), dg_port(b));
		expect_reply(a, i, 1, addr_b[i]);
		expect_reply(b, i, 2, addr_b[i]);
		CU_ASSERT_EQUAL(dg_connect(b, loopback[i], 0), 0);
		CU_ASSERT_EQUAL(ping(b, i, 3, NULL), 24);
		expect_reply(b, i, 3, loopback[i]);
		dg_close(&a);
		dg_close(&b);
	}
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_ICMP_ECHO_OUT], 6);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_ICMP_ECHO_IN], 6);
	rig_close(&rig);
}

static void test_bind_chooses_the_identifier(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = open_ping(rig.a, i), *b = open_ping(rig.a, i);

		CU_ASSERT_EQUAL(dg_bind(a, any[i], 77), 0);
		CU_ASSERT_EQUAL(dg_bind(b, any[i], 77), -EADDRINUSE);
		CU_ASSERT_EQUAL(dg_port(a), 77);
		CU_ASSERT_EQUAL(ping(a, i, 9, addr_b[i]), 24);
		expect_reply(a, i, 9, addr_b[i]);
		dg_close(&a);
		dg_close(&b);
	}
	rig_close(&rig);
}

static void test_nothing_but_requests(void)
{
	struct rig_config config = rig_config_default();
	uint8_t msg[8] = {0};
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = open_ping(rig.a, i);

		CU_ASSERT_EQUAL(dg_send_to(a, msg, 7, addr_b[i], 0, 0), -EINVAL);
		msg[0] = reply[i];
		CU_ASSERT_EQUAL(dg_send_to(a, msg, 8, addr_b[i], 0, 0), -EINVAL);
		msg[0] = request[i];
		msg[1] = 1;
		CU_ASSERT_EQUAL(dg_send_to(a, msg, 8, addr_b[i], 0, 0), -EINVAL);
		msg[1] = 0;
		CU_ASSERT_EQUAL(dg_send_to(a, msg, 8, addr_b[i], 0, 0), 8);
		CU_ASSERT_EQUAL(dg_recv(a, 100, 0)->size, 8);
		dg_close(&a);
	}
	rig_close(&rig);
}

/* The largest echo there is, in fragments both ways. */
static void test_large(void)
{
	static uint8_t msg[65535];
	static const size_t most[] = {65515, 65535};
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (size_t k = 8; k < sizeof(msg); k++)
		msg[k] = (uint8_t)(k * 7);
	for (int i = 0; i < 2; i++) {
		struct conn *a = open_ping(rig.a, i);

		msg[0] = request[i];
		CU_ASSERT_EQUAL(dg_send_to(a, msg, most[i], addr_b[i], 0, 0), (ssize_t)most[i]);
		const struct dg_got *got = dg_recv(a, sizeof(got->bytes), 0);

		CU_ASSERT_EQUAL(got->size, (ssize_t)most[i]);
		CU_ASSERT_EQUAL(memcmp(got->bytes + 8, msg + 8, most[i] - 8), 0);
		dg_close(&a);
	}
	rig_close(&rig);
}

/* Errors find the socket by the identifier that they quote; replies for nobody are counted. */
static void test_errors(void)
{
	static uint8_t pkt[2048], bytes[1500];
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *a = open_ping(raw.stack, 0), *b = open_ping(raw.stack, 0);
	struct addr src = rig_addr("10.0.0.2"), dst = rig_addr("10.0.0.1");

	CU_ASSERT_EQUAL(dg_connect(a, "10.0.0.2", 0), 0);
	CU_ASSERT_EQUAL(dg_connect(b, "10.0.0.2", 0), 0);
	CU_ASSERT_EQUAL(ping(a, 0, 1, NULL), 24);
	size_t size = raw_read(&raw, pkt, sizeof(pkt), 1000);
	const struct icmp_msg msg = {
		.kind = ICMP_UNREACH, .code = ICMP4_UNREACH_PROTO, .body = pkt, .body_len = size};

	raw_ip(&raw, "10.0.0.2", "10.0.0.1", IP_PROTO_ICMP, bytes,
	       icmp_emit(bytes, &msg, &src, &dst));
	CU_ASSERT_EQUAL(dg_recv(a, 100, 0)->size, -ENOPROTOOPT);
	CU_ASSERT_EQUAL(dg_get(b, SOCK_OPT_ERROR), 0);
	const struct icmp_msg stray = {.kind = ICMP_ECHO_REPLY, .id = 1, .seq = 1};

	raw_ip(&raw, "10.0.0.2", "10.0.0.1", IP_PROTO_ICMP, bytes,
	       icmp_emit(bytes, &stray, &src, &dst));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_NO_SOCK, 1));
	/* A timestamp request, which nobody answers. */
	uint8_t timestamp[20] = {13};
	uint16_t csum = csum_finish(csum_add(0, timestamp, sizeof(timestamp)));

	put_be16(timestamp + 2, csum);
	raw_ip(&raw, "10.0.0.2", "10.0.0.1", IP_PROTO_ICMP, timestamp, sizeof(timestamp));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_ICMP_TYPE, 1));
	dg_close(&a);
	dg_close(&b);
	raw_close(&raw);
}

UNIT_MAIN("ping", UNIT(replies_come_to_who_asked), UNIT(bind_chooses_the_identifier),
	  UNIT(nothing_but_requests), UNIT(large), UNIT(errors))
