/* Connected UDP sockets that share a port: each gets what its peer sends, however many there are. */
#include "dgram_rig.h"

enum { CROWD = 10000, TURN = 32, REMOTE_PORT = 40000, PORT = 53 };

static struct conn *crowd[CROWD];

static const char *remote_of(unsigned i)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "10.%u.%u.%u", 1 + i / 62500, i / 250 % 250,
		       1 + i % 250);
	return text;
}

/* 'i' has a peer of its own, or shares the address with others. */
static uint16_t remote_port_of(unsigned i)
{
	return (uint16_t)(REMOTE_PORT + i % 3);
}

static struct conn *open_sharing(struct stack *stack, const char *addr, uint16_t port)
{
	struct conn *c = dg_new(stack, &proto_udp, strchr(addr, ':') != NULL);

	CU_ASSERT_EQUAL_FATAL(dg_set(c, SOCK_OPT_REUSEADDR, 1), 0);
	CU_ASSERT_EQUAL_FATAL(dg_bind(c, addr, port), 0);
	return c;
}

static void send_number(struct raw *raw, unsigned i, const char *text)
{
	dg_raw(raw, remote_of(i), remote_port_of(i), "10.0.0.1", PORT, text, strlen(text), -1);
}

static void test_ten_thousand_on_a_port(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	char text[16];

	raw_open(&raw, &config);
	struct conn *rest = open_sharing(raw.stack, "0.0.0.0", PORT);

	for (unsigned i = 0; i < CROWD; i++) {
		crowd[i] = open_sharing(raw.stack, "0.0.0.0", PORT);
		CU_ASSERT_EQUAL_FATAL(dg_connect(crowd[i], remote_of(i), remote_port_of(i)), 0);
	}
	for (unsigned at = 0; at < CROWD; at += TURN) {
		for (unsigned i = at; i < at + TURN && i < CROWD; i++) {
			(void)snprintf(text, sizeof(text), "to %u", i);
			send_number(&raw, i, text);
		}
		for (unsigned i = at; i < at + TURN && i < CROWD; i++) {
			(void)snprintf(text, sizeof(text), "to %u", i);
			dg_expect(crowd[i], text, remote_of(i), remote_port_of(i));
		}
	}
	/* Nobody's peer; and that of one who is gone. */
	send_number(&raw, CROWD, "stranger");
	dg_expect(rest, "stranger", remote_of(CROWD), 0);
	dg_close(&crowd[7]);
	send_number(&raw, 7, "late");
	dg_expect(rest, "late", remote_of(7), 0);
	send_number(&raw, 8, "not late");
	dg_expect(crowd[8], "not late", remote_of(8), 0);
	for (unsigned i = 0; i < CROWD; i++)
		if (crowd[i])
			dg_close(&crowd[i]);
	dg_close(&rest);
	send_number(&raw, 8, "nobody");
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_UDP_NO_PORT, 1));
	raw_close(&raw);
}

static void test_another_peer(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *rest = open_sharing(raw.stack, "0.0.0.0", PORT);
	struct conn *c = open_sharing(raw.stack, "0.0.0.0", PORT);

	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(dg_connect(c, remote_of(i), remote_port_of(i)), 0);
		send_number(&raw, i, "now");
		dg_expect(c, "now", remote_of(i), 0);
		if (i > 0)
			send_number(&raw, i - 1, "then");
		if (i > 0)
			dg_expect(rest, "then", remote_of(i - 1), 0);
	}
	/* The same one again, and none: back in the array, as the last that came. */
	CU_ASSERT_EQUAL(dg_connect(c, remote_of(4), remote_port_of(4)), 0);
	send_number(&raw, 4, "same");
	dg_expect(c, "same", remote_of(4), 0);
	CU_ASSERT_EQUAL(proto_of(c)->connect(c, NULL, false), 0);
	send_number(&raw, 9, "any");
	dg_expect(c, "any", remote_of(9), 0);
	dg_close(&c);
	send_number(&raw, 9, "rest");
	dg_expect(rest, "rest", remote_of(9), 0);
	dg_close(&rest);
	raw_close(&raw);
}

/* As Linux: of those who are connected alike the last has it. */
static void test_same_peer_twice(void)
{
	struct rig_config config = rig_config_default();
	struct conn *c[3];
	struct raw raw;

	raw_open(&raw, &config);
	for (unsigned i = 0; i < 3; i++) {
		c[i] = open_sharing(raw.stack, "::", PORT);
		CU_ASSERT_EQUAL(dg_connect(c[i], "fd00::7", 7), 0);
	}
	for (unsigned i = 3; i-- > 0;) {
		dg_raw(&raw, "fd00::7", 7, "fd00::1", PORT, "x", 1, -1);
		dg_expect(c[i], "x", "fd00::7", 7);
		dg_close(&c[i]);
	}
	raw_close(&raw);
}

static void test_port_stays_taken(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *c = dg_open(raw.stack, "0.0.0.0", PORT);
	struct conn *other = dg_new(raw.stack, &proto_udp, false);

	CU_ASSERT_EQUAL(dg_connect(c, "10.9.9.9", 9), 0);
	CU_ASSERT_EQUAL(dg_bind(other, "0.0.0.0", PORT), -EADDRINUSE);
	CU_ASSERT_EQUAL(dg_bind(other, "10.0.0.1", PORT), -EADDRINUSE);
	/* Connected, it has an address. */
	CU_ASSERT_EQUAL(dg_bind(other, "127.0.0.1", PORT), 0);
	dg_close(&other);
	/* Both have to agree. */
	other = dg_new(raw.stack, &proto_udp, false);
	CU_ASSERT_EQUAL(dg_set(other, SOCK_OPT_REUSEADDR, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(other, "0.0.0.0", PORT), -EADDRINUSE);
	dg_close(&c);
	CU_ASSERT_EQUAL(dg_bind(other, "0.0.0.0", PORT), 0);
	CU_ASSERT_EQUAL(dg_connect(other, "10.9.9.9", 9), 0);
	c = open_sharing(raw.stack, "0.0.0.0", PORT);
	dg_close(&other);
	dg_close(&c);
	raw_close(&raw);
}

/* A socket that connect gave a port has it alone. */
static void test_ephemeral_ports_of_connected_sockets(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;

	config.stack.port_min = 50000;
	config.stack.port_max = 50003;
	raw_open(&raw, &config);
	for (unsigned i = 0; i < 4; i++) {
		crowd[i] = dg_new(raw.stack, &proto_udp, false);
		CU_ASSERT_EQUAL(dg_connect(crowd[i], "10.9.9.9", 9), 0);
		for (unsigned j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(dg_port(crowd[i]), dg_port(crowd[j]));
	}
	struct conn *c = dg_new(raw.stack, &proto_udp, false);

	CU_ASSERT_EQUAL(dg_connect(c, "10.9.9.9", 9), -EAGAIN);
	dg_close(&crowd[2]);
	CU_ASSERT_EQUAL(dg_connect(c, "10.9.9.9", 9), 0);
	crowd[2] = c;
	for (unsigned i = 0; i < 4; i++)
		dg_close(&crowd[i]);
	raw_close(&raw);
}

UNIT_MAIN("dgram_peers", UNIT(ten_thousand_on_a_port), UNIT(another_peer), UNIT(same_peer_twice),
	  UNIT(port_stays_taken), UNIT(ephemeral_ports_of_connected_sockets))
