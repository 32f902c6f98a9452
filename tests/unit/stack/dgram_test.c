/* UDP sockets between two stacks and on one: messages, names, errors, limits. */
#include "dgram_rig.h"

static const char *const addr_a[] = {"10.0.0.1", "fd00::1"};
static const char *const addr_b[] = {"10.0.0.2", "fd00::2"};
static const char *const any[] = {"0.0.0.0", "::"};

static void test_talks_both_ways(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = dg_open(rig.a, any[i], ANY_PORT);
		struct conn *b = dg_open(rig.b, any[i], 5000);

		CU_ASSERT_NOT_EQUAL(dg_port(a), 0);
		dg_send_text(a, "hello", addr_b[i], 5000);
		dg_expect(b, "hello", addr_a[i], dg_port(a));
		dg_send_text(b, "you too", addr_a[i], dg_port(a));
		dg_expect(a, "you too", addr_b[i], 5000);
		dg_close(&a);
		dg_close(&b);
	}
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_UDP_OUT], 2);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_UDP_IN], 2);
	rig_close(&rig);
}

static void test_talks_to_itself(void)
{
	static const char *const loopback[] = {"127.0.0.1", "::1"};
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = dg_open(rig.a, any[i], 5000);

		dg_send_text(a, "x", addr_a[i], 5000);
		dg_expect(a, "x", addr_a[i], 5000);
		dg_send_text(a, "y", loopback[i], 5000);
		dg_expect(a, "y", loopback[i], 5000);
		/* "Any" is this host. */
		dg_send_text(a, "z", any[i], 5000);
		dg_expect(a, "z", loopback[i], 5000);
		dg_close(&a);
	}
	rig_close(&rig);
}

static void test_boundaries(void)
{
	struct rig_config config = rig_config_default();
	const struct dg_got *got;
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_open(rig.a, "0.0.0.0", ANY_PORT);
	struct conn *b = dg_open(rig.b, "0.0.0.0", 5000);

	dg_send_text(a, "1", "10.0.0.2", 5000);
	dg_send_text(a, "", "10.0.0.2", 5000);
	dg_send_text(a, "333", "10.0.0.2", 5000);
	dg_expect(b, "1", "10.0.0.1", dg_port(a));
	dg_expect(b, "", "10.0.0.1", dg_port(a));
	dg_expect(b, "333", "10.0.0.1", dg_port(a));
	/* What there is no room for is gone. */
	dg_send_text(a, "abcdef", "10.0.0.2", 5000);
	dg_send_text(a, "ghi", "10.0.0.2", 5000);
	got = dg_recv(b, 4, MSG_PEEK);
	CU_ASSERT_EQUAL(got->size, 4);
	CU_ASSERT_EQUAL(got->flags, MSG_TRUNC);
	got = dg_recv(b, 4, MSG_TRUNC);
	CU_ASSERT_EQUAL(got->size, 6);
	CU_ASSERT_EQUAL(got->flags, MSG_TRUNC);
	CU_ASSERT_EQUAL(memcmp(got->bytes, "abcd", 4), 0);
	dg_expect(b, "ghi", "10.0.0.1", dg_port(a));
	CU_ASSERT_EQUAL(dg_recv(b, 4, MSG_DONTWAIT)->size, -EAGAIN);
	dg_close(&a);
	dg_close(&b);
	rig_close(&rig);
}

static void test_connected_sockets_hear_their_peer_only(void)
{
	struct rig_config config = rig_config_default();
	struct sock_addr at;
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_new(rig.a, &proto_udp, false);
	struct conn *b = dg_open(rig.b, "0.0.0.0", 5000);
	struct conn *other = dg_open(rig.b, "0.0.0.0", 5001);

	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, NULL, 0, 0), -EDESTADDRREQ);
	CU_ASSERT_EQUAL(proto_of(a)->getpeer(a, &at), -ENOTCONN);
	CU_ASSERT_EQUAL(dg_connect(a, "10.0.0.2", 5000), 0);
	CU_ASSERT_EQUAL(proto_of(a)->getpeer(a, &at), 0);
	CU_ASSERT_EQUAL(at.port, 5000);
	CU_ASSERT_EQUAL(proto_of(a)->getname(a, &at), 0);
	struct addr own = rig_addr("10.0.0.1");
	CU_ASSERT_TRUE(addr_equal(&at.addr, &own));
	dg_send_text(a, "one", NULL, 0);
	dg_expect(b, "one", "10.0.0.1", at.port);
	dg_send_text(other, "no", "10.0.0.1", at.port);
	dg_send_text(b, "yes", "10.0.0.1", at.port);
	dg_expect(a, "yes", "10.0.0.2", 5000);
	/* A named destination wins, as on Linux. */
	dg_send_text(a, "two", "10.0.0.2", 5001);
	dg_expect(other, "two", "10.0.0.1", at.port);
	/* Another peer; then none, and the port that nobody asked for goes. */
	CU_ASSERT_EQUAL(dg_connect(a, "10.0.0.2", 5001), 0);
	CU_ASSERT_EQUAL(dg_port(a), at.port);
	dg_send_text(other, "now", "10.0.0.1", at.port);
	dg_expect(a, "now", "10.0.0.2", 5001);
	CU_ASSERT_EQUAL(proto_of(a)->connect(a, NULL, false), 0);
	CU_ASSERT_EQUAL(proto_of(a)->getpeer(a, &at), -ENOTCONN);
	CU_ASSERT_EQUAL(dg_port(a), 0);
	dg_close(&a);
	a = dg_open(rig.a, "0.0.0.0", 6000);
	CU_ASSERT_EQUAL(dg_connect(a, "10.0.0.2", 5000), 0);
	CU_ASSERT_EQUAL(proto_of(a)->connect(a, NULL, false), 0);
	CU_ASSERT_EQUAL(dg_port(a), 6000);
	dg_send_text(other, "all", "10.0.0.1", 6000);
	dg_expect(a, "all", "10.0.0.2", 5001);
	dg_close(&a);
	dg_close(&b);
	dg_close(&other);
	rig_close(&rig);
}

static void test_refused(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = dg_new(rig.a, &proto_udp, i == 1);

		CU_ASSERT_EQUAL(dg_connect(a, addr_b[i], 9), 0);
		dg_send_text(a, "x", NULL, 0);
		CU_ASSERT_EQUAL(dg_recv(a, 10, 0)->size, -ECONNREFUSED);
		CU_ASSERT_EQUAL(dg_recv(a, 10, MSG_DONTWAIT)->size, -EAGAIN);
		/* SO_ERROR takes it, too. */
		dg_send_text(a, "x", NULL, 0);
		for (int turn = 0; turn < 1000 && dg_get(a, SOCK_OPT_ERROR) == 0; turn++)
			rig_settle(1);
		CU_ASSERT_EQUAL(dg_get(a, SOCK_OPT_ERROR), 0);
		/* And send, but not of a socket that is not connected. */
		CU_ASSERT_EQUAL(proto_of(a)->connect(a, NULL, false), 0);
		dg_send_text(a, "x", addr_b[i], 9);
		dg_expect_nothing(a);
		dg_close(&a);
	}
	rig_close(&rig);
}

static void test_message_sizes(void)
{
	static uint8_t data[65536];
	static const size_t most[] = {65507, 65527};
	struct rig_config config = rig_config_default();
	struct rig rig;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
	rig_open(&rig, &config);
	for (int i = 0; i < 2; i++) {
		struct conn *a = dg_new(rig.a, &proto_udp, i == 1);
		struct conn *b = dg_open(rig.b, any[i], 5000);
		struct conn *self = dg_open(rig.a, any[i], 5001);
		const size_t sizes[] = {1000, 1452, 1453, 1472, 1473, 20000, most[i]};

		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			CU_ASSERT_EQUAL(dg_send_to(a, data, sizes[k], addr_b[i], 5000, 0),
					(ssize_t)sizes[k]);
			const struct dg_got *got = dg_recv(b, sizeof(got->bytes), 0);
			CU_ASSERT_EQUAL(got->size, (ssize_t)sizes[k]);
			CU_ASSERT_EQUAL(memcmp(got->bytes, data, sizes[k]), 0);
			CU_ASSERT_EQUAL(dg_send_to(a, data, sizes[k], addr_a[i], 5001, 0),
					(ssize_t)sizes[k]);
			got = dg_recv(self, sizeof(got->bytes), 0);
			CU_ASSERT_EQUAL(got->size, (ssize_t)sizes[k]);
			CU_ASSERT_EQUAL(memcmp(got->bytes, data, sizes[k]), 0);
		}
		CU_ASSERT_EQUAL(dg_send_to(a, data, most[i] + 1, addr_b[i], 5000, 0), -EMSGSIZE);
		/* IP_PMTUDISC_DO: nothing larger than the path. */
		size_t fits = 1500 - 8 - (i == 1 ? 40 : 20);

		CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_PMTUDISC, SOCK_PMTUDISC_DO), 0);
		CU_ASSERT_EQUAL(dg_send_to(a, data, fits, addr_b[i], 5000, 0), (ssize_t)fits);
		CU_ASSERT_EQUAL(dg_send_to(a, data, fits + 1, addr_b[i], 5000, 0), -EMSGSIZE);
		CU_ASSERT_EQUAL(dg_recv(b, 65536, 0)->size, (ssize_t)fits);
		CU_ASSERT_EQUAL(dg_get(a, SOCK_OPT_MTU), -ENOTCONN);
		CU_ASSERT_EQUAL(dg_connect(a, addr_b[i], 5000), 0);
		CU_ASSERT_EQUAL(dg_get(a, SOCK_OPT_MTU), 1500);
		dg_close(&a);
		dg_close(&b);
		dg_close(&self);
	}
	CU_ASSERT_EQUAL(rig_stats(rig.b)->counters[C_IP_REASSEMBLED], 3 + 5);
	rig_close(&rig);
}

static void test_binding(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_open(rig.a, "0.0.0.0", 5000);
	struct conn *b = dg_new(rig.a, &proto_udp, false);
	struct conn *v6 = dg_new(rig.a, &proto_udp, true);

	CU_ASSERT_EQUAL(dg_bind(b, "0.0.0.0", 5000), -EADDRINUSE);
	CU_ASSERT_EQUAL(dg_bind(b, "10.0.0.1", 5000), -EADDRINUSE);
	CU_ASSERT_EQUAL(dg_bind(b, "10.0.0.9", 5000), -EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(dg_bind(a, "0.0.0.0", 5001), -EINVAL);
	CU_ASSERT_EQUAL(dg_bind(b, "::", 5001), -EAFNOSUPPORT);
	/* The dual-stack wildcard takes IPv4, too. */
	CU_ASSERT_EQUAL(dg_bind(v6, "::", 5000), -EADDRINUSE);
	CU_ASSERT_EQUAL(dg_set(v6, SOCK_OPT_V6ONLY, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(v6, "::", 5000), 0);
	CU_ASSERT_EQUAL(dg_set(v6, SOCK_OPT_V6ONLY, 0), -EINVAL);
	/* Both must say so. */
	CU_ASSERT_EQUAL(dg_set(b, SOCK_OPT_REUSEADDR, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(b, "0.0.0.0", 5000), -EADDRINUSE);
	dg_close(&a);
	CU_ASSERT_EQUAL(dg_bind(b, "0.0.0.0", 5000), 0);
	a = dg_new(rig.a, &proto_udp, false);
	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_REUSEADDR, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(a, "10.0.0.1", 5000), 0);
	/* The port space is UDP's own. */
	struct sock *tcp = rig_listen(rig.a, "0.0.0.0", 5000, 1);

	rig_drop(&tcp);
	dg_close(&a);
	dg_close(&b);
	dg_close(&v6);
	rig_close(&rig);
}

/* U-29: connected, then the bound address, then the family's wildcard, then the dual-stack one. */
static void test_most_specific_wins(void)
{
	static const char *const texts[] = {"1", "2", "3", "4", "5"};
	struct rig_config config = rig_config_default();
	struct conn *at[5];
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *from = dg_open(rig.b, "0.0.0.0", 7000);

	at[0] = dg_new(rig.a, &proto_udp, true);
	at[1] = dg_new(rig.a, &proto_udp, false);
	at[2] = dg_new(rig.a, &proto_udp, false);
	at[3] = dg_new(rig.a, &proto_udp, false);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(dg_set(at[i], SOCK_OPT_REUSEADDR, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(at[0], "::", 5000), 0);
	dg_send_text(from, texts[0], "10.0.0.1", 5000);
	dg_expect(at[0], texts[0], "10.0.0.2", 7000);
	CU_ASSERT_EQUAL(dg_bind(at[1], "0.0.0.0", 5000), 0);
	dg_send_text(from, texts[1], "10.0.0.1", 5000);
	dg_expect(at[1], texts[1], "10.0.0.2", 7000);
	CU_ASSERT_EQUAL(dg_bind(at[2], "10.0.0.1", 5000), 0);
	dg_send_text(from, texts[2], "10.0.0.1", 5000);
	dg_expect(at[2], texts[2], "10.0.0.2", 7000);
	CU_ASSERT_EQUAL(dg_bind(at[3], "0.0.0.0", 5000), 0);
	CU_ASSERT_EQUAL(dg_connect(at[3], "10.0.0.2", 7000), 0);
	dg_send_text(from, texts[3], "10.0.0.1", 5000);
	dg_expect(at[3], texts[3], "10.0.0.2", 7000);
	/* Somebody else's goes to the bound address; IPv6 to who takes it. */
	struct conn *other = dg_open(rig.b, "0.0.0.0", 7001);
	struct conn *other6 = dg_open(rig.b, "::", 7002);

	dg_send_text(other, "o", "10.0.0.1", 5000);
	dg_expect(at[2], "o", "10.0.0.2", 7001);
	dg_send_text(other6, "six", "fd00::1", 5000);
	dg_expect(at[0], "six", "fd00::2", 7002);
	for (int i = 0; i < 4; i++)
		dg_close(&at[i]);
	dg_close(&from);
	dg_close(&other);
	dg_close(&other6);
	rig_close(&rig);
}

/* The same whoever came last, and a socket that is IPv6's only is none of it. */
static void test_order_of_binding_says_nothing(void)
{
	static const char *const at[] = {"10.0.0.1", "0.0.0.0", "::"};
	struct rig_config config = rig_config_default();
	struct conn *c[3];
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *from = dg_open(rig.b, "0.0.0.0", 7000);

	for (int i = 0; i < 3; i++) {
		c[i] = dg_new(rig.a, &proto_udp, i == 2);
		CU_ASSERT_EQUAL(dg_set(c[i], SOCK_OPT_REUSEADDR, 1), 0);
		CU_ASSERT_EQUAL(dg_bind(c[i], at[i], 5000), 0);
		dg_send_text(from, "x", "10.0.0.1", 5000);
		dg_expect(c[0], "x", "10.0.0.2", 7000);
	}
	for (int i = 0; i < 3; i++)
		dg_close(&c[i]);
	c[0] = dg_new(rig.a, &proto_udp, true);
	CU_ASSERT_EQUAL(dg_set(c[0], SOCK_OPT_V6ONLY, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(c[0], "::", 5000), 0);
	dg_send_text(from, "four", "10.0.0.1", 5000);
	dg_close(&from);
	from = dg_open(rig.b, "::", 7000);
	dg_send_text(from, "six", "fd00::1", 5000);
	dg_expect(c[0], "six", "fd00::2", 7000);
	dg_close(&c[0]);
	dg_close(&from);
	rig_close(&rig);
}

static void test_dual_stack(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *six = dg_open(rig.a, "::", 5000);
	struct conn *four = dg_open(rig.b, "0.0.0.0", 7000);

	dg_send_text(four, "in", "10.0.0.1", 5000);
	dg_expect(six, "in", "::ffff:10.0.0.2", 7000);
	dg_send_text(six, "out", "::ffff:10.0.0.2", 7000);
	dg_expect(four, "out", "10.0.0.1", 5000);
	dg_close(&six);
	six = dg_new(rig.a, &proto_udp, true);
	CU_ASSERT_EQUAL(dg_set(six, SOCK_OPT_V6ONLY, 1), 0);
	CU_ASSERT_EQUAL(dg_bind(six, "::", 5000), 0);
	CU_ASSERT_EQUAL(dg_send_to(six, "x", 1, "::ffff:10.0.0.2", 7000, 0), -ENETUNREACH);
	CU_ASSERT_EQUAL(dg_connect(six, "::ffff:10.0.0.2", 7000), -ENETUNREACH);
	dg_close(&six);
	dg_close(&four);
	rig_close(&rig);
}

/* What a flow's hash chose stays; all members get something. */
static void test_reuseport_spreads_by_flow(void)
{
	enum { MEMBERS = 4, SENDERS = 64 };
	struct rig_config config = rig_config_default();
	struct conn *group[MEMBERS];
	unsigned got[MEMBERS] = {0}, sum = 0;
	struct rig rig;

	rig_open(&rig, &config);
	for (int i = 0; i < MEMBERS; i++) {
		group[i] = dg_new(rig.a, &proto_udp, false);
		CU_ASSERT_EQUAL(dg_set(group[i], SOCK_OPT_REUSEPORT, 1), 0);
		CU_ASSERT_EQUAL(dg_bind(group[i], "0.0.0.0", 5000), 0);
	}
	struct conn *loner = dg_new(rig.a, &proto_udp, false);

	CU_ASSERT_EQUAL(dg_bind(loner, "0.0.0.0", 5000), -EADDRINUSE);
	dg_close(&loner);
	for (int k = 0; k < SENDERS; k++) {
		struct conn *c = dg_open(rig.b, "0.0.0.0", (uint16_t)(7000 + k));

		for (int n = 0; n < 3; n++)
			dg_send_text(c, "x", "10.0.0.1", 5000);
		dg_close(&c);
	}
	while (rig_stats(rig.a)->counters[C_UDP_IN] < 3 * SENDERS)
		rig_settle(1);
	for (int i = 0; i < MEMBERS; i++) {
		while (dg_recv(group[i], 10, MSG_DONTWAIT)->size == 1)
			got[i]++;
		CU_ASSERT_TRUE(got[i] > 0 && got[i] % 3 == 0);
		sum += got[i];
		dg_close(&group[i]);
	}
	CU_ASSERT_EQUAL(sum, 3 * SENDERS);
	rig_close(&rig);
}

static void test_receive_buffer_is_bounded(void)
{
	static uint8_t data[1000];
	struct rig_config config = rig_config_default();
	unsigned got = 0;
	struct raw raw;

	raw_open(&raw, &config);
	struct conn *a = dg_open(raw.stack, "0.0.0.0", 5000);

	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_RCVBUF, 16384), 0);
	for (int i = 0; i < 50; i++)
		dg_raw(&raw, "10.0.0.2", 7, "10.0.0.1", 5000, data, sizeof(data), -1);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_DGRAM_RCVBUF, 42));
	while (dg_recv(a, 2000, MSG_DONTWAIT)->size == sizeof(data))
		got++;
	CU_ASSERT_EQUAL(got, 8); /* buffers of 2,048 bytes */
	/* However small it is: one message at a time. */
	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_RCVBUF, 1), 0);
	dg_raw(&raw, "10.0.0.2", 7, "10.0.0.1", 5000, data, sizeof(data), -1);
	CU_ASSERT_EQUAL(dg_recv(a, 2000, 0)->size, sizeof(data));
	dg_close(&a);
	raw_close(&raw);
}

static void test_addresses(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_new(rig.a, &proto_udp, false);
	struct conn *lo = dg_open(rig.a, "127.0.0.1", ANY_PORT);

	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, "10.0.0.2", 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, "224.0.0.1", 9, 0), -ENETUNREACH);
	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, "255.255.255.255", 9, 0), -EACCES);
	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, "10.0.0.255", 9, 0), -EACCES);
	CU_ASSERT_EQUAL(dg_connect(a, "255.255.255.255", 9), -EACCES);
	CU_ASSERT_EQUAL(dg_connect(a, "10.0.0.255", 9), -EACCES);
	CU_ASSERT_EQUAL(dg_set(a, SOCK_OPT_BROADCAST, 1), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, "255.255.255.255", 9, 0), 1);
	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, "fd00::2", 9, 0), -EAFNOSUPPORT);
	CU_ASSERT_EQUAL(dg_send_to(lo, "x", 1, "10.0.0.2", 9, 0), -EINVAL);
	CU_ASSERT_EQUAL(proto_of(a)->listen(a, 1), -EOPNOTSUPP);
	dg_close(&a);
	dg_close(&lo);
	rig_close(&rig);
}

static void test_shutdown(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_new(rig.a, &proto_udp, false);

	CU_ASSERT_EQUAL(proto_of(a)->shutdown(a, SHUT_RD), -ENOTCONN);
	CU_ASSERT_EQUAL(dg_recv(a, 10, 0)->size, 0);
	CU_ASSERT_EQUAL(dg_connect(a, "10.0.0.2", 9), 0);
	CU_ASSERT_EQUAL(proto_of(a)->shutdown(a, SHUT_WR), 0);
	CU_ASSERT_EQUAL(dg_send_to(a, "x", 1, NULL, 0, 0), -EPIPE);
	dg_close(&a);
	rig_close(&rig);
}

UNIT_MAIN("dgram", UNIT(talks_both_ways), UNIT(talks_to_itself), UNIT(boundaries),
	  UNIT(connected_sockets_hear_their_peer_only), UNIT(refused), UNIT(message_sizes),
	  UNIT(binding), UNIT(most_specific_wins), UNIT(order_of_binding_says_nothing),
	  UNIT(dual_stack), UNIT(reuseport_spreads_by_flow), UNIT(receive_buffer_is_bounded),
	  UNIT(addresses), UNIT(shutdown))
