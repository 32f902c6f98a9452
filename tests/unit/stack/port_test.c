/* Rules of bind, listen and the choice of ephemeral ports. */
#include "net/stack/stack_int.h"
#include "raw.h"

static struct sock *make(struct stack *stack, bool is_v6, bool reuse)
{
	struct sock *s;

	WEFT_ASSERT(sock_new(stack, is_v6, &s) == 0);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_REUSEADDR, reuse), 0);
	return s;
}

/* What bind says for a fresh socket, which is closed again unless 'keep' gets it. */
static int try_bind(struct stack *stack, const char *addr, uint16_t port, bool reuse,
		    struct sock **keep)
{
	struct sock_addr at = rig_at(addr, port);
	struct sock *s = make(stack, !addr_is_v4(&at.addr), reuse);
	int rc = sock_bind(s, &at);

	if (keep && rc == 0)
		*keep = s;
	else
		rig_drop(&s);
	return rc;
}

static void test_bind_rules(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *s;

	rig_open(&rig, &config);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.9", 80, false, NULL), -EADDRNOTAVAIL);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, false, &s), 0);
	struct sock_addr again = rig_at("10.0.0.1", 81);

	CU_ASSERT_EQUAL(sock_bind(s, &again), -EINVAL);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, true, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.a, "0.0.0.0", 80, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.a, "::", 80, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.a, "127.0.0.1", 80, false, NULL), 0);
	CU_ASSERT_EQUAL(try_bind(rig.a, "fd00::1", 80, false, NULL), 0);
	rig_drop(&s);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, true, &s), 0);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, true, NULL), 0);
	CU_ASSERT_EQUAL(sock_listen(s, 1), 0);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, true, NULL), -EADDRINUSE);
	rig_drop(&s);
	rig_close(&rig);
}

/* Two sockets may share a port with SO_REUSEADDR, but one of them may listen. */
static void test_one_listener(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *s, *t;

	rig_open(&rig, &config);
	CU_ASSERT_EQUAL(try_bind(rig.a, "10.0.0.1", 80, true, &s), 0);
	CU_ASSERT_EQUAL(try_bind(rig.a, "0.0.0.0", 80, true, &t), 0);
	CU_ASSERT_EQUAL(sock_listen(s, 1), 0);
	CU_ASSERT_EQUAL(sock_listen(t, 1), -EADDRINUSE);
	CU_ASSERT_EQUAL(sock_shutdown(s, SHUT_RD), 0);
	CU_ASSERT_EQUAL(sock_listen(t, 1), 0);
	CU_ASSERT_EQUAL(sock_shutdown(t, SHUT_RD), 0);
	CU_ASSERT_EQUAL(sock_listen(s, 1), 0); /* again */
	rig_drop(&s);
	rig_drop(&t);
	rig_close(&rig);
}

/* TIME-WAIT and live connections on the port: bind wants SO_REUSEADDR. */
static void test_bind_over_time_wait(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server;
	char byte;

	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(try_bind(rig.b, "10.0.0.2", 7, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.b, "10.0.0.2", 7, true, NULL), 0);
	rig_drop(&server); /* active close on b: TIME-WAIT there */
	CU_ASSERT_EQUAL(rig_recv(client, &byte, 1, 0), 0);
	rig_drop(&client);
	rig_settle(20);
	CU_ASSERT_EQUAL(rig_stats(rig.b)->time_wait, 1);
	CU_ASSERT_EQUAL(try_bind(rig.b, "10.0.0.2", 7, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(try_bind(rig.b, "10.0.0.2", 7, true, NULL), 0);
	rig_close(&rig);
}

static void test_ephemeral_exhaustion(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *s[6], *l;
	struct sock_addr name;
	uint64_t seen = 0;
	int rc;

	config.stack.port_min = 40000;
	config.stack.port_max = 40003;
	rig_open(&rig, &config);
	/* bind to port 0 */
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(try_bind(rig.a, "0.0.0.0", 0, false, &s[i]), 0);
		CU_ASSERT_EQUAL(sock_getname(s[i], &name), 0);
		CU_ASSERT_TRUE(name.port >= 40000 && name.port <= 40003);
		seen |= 1ull << (name.port - 40000);
	}
	CU_ASSERT_EQUAL(seen, 15);
	CU_ASSERT_EQUAL(try_bind(rig.a, "0.0.0.0", 0, false, NULL), -EADDRINUSE);
	for (int i = 1; i < 4; i++)
		rig_drop(&s[i]);
	/* connect: one port is bound, three are left for this peer, and again for another */
	l = rig_listen(rig.b, "0.0.0.0", 7, 16);
	for (int i = 1; i < 4; i++) {
		s[i] = rig_connect(rig.a, "10.0.0.2", 7, &rc);
		CU_ASSERT_EQUAL(rc, 0);
	}
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "10.0.0.2", 7, &rc));
	CU_ASSERT_EQUAL(rc, -EADDRNOTAVAIL);
	struct sock *l2 = rig_listen(rig.b, "0.0.0.0", 8, 16);

	s[4] = rig_connect(rig.a, "10.0.0.2", 8, &rc);
	CU_ASSERT_EQUAL(rc, 0);
	for (int i = 0; i < 5; i++)
		rig_drop(&s[i]);
	rig_drop(&l);
	rig_drop(&l2);
	rig_close(&rig);
}

/* A connection that the client closes first: a TIME-WAIT record stays on its side. */
static void come_and_go(struct rig *rig, struct sock *l)
{
	struct sock *client, *server;
	char byte;
	int rc;

	client = rig_connect(rig->a, "10.0.0.2", 7, &rc);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &server), 0);
	CU_ASSERT_EQUAL(sock_shutdown(client, SHUT_WR), 0);
	CU_ASSERT_EQUAL(rig_recv(server, &byte, 1, 0), 0);
	rig_drop(&server);
	CU_ASSERT_EQUAL(rig_recv(client, &byte, 1, 0), 0);
	rig_drop(&client);
	rig_settle(10);
}

/* Connection after connection to one peer with few ports: TIME-WAIT gives way when it is safe. */
static void test_connect_over_time_wait(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	int rc;

	config.stack.port_min = 40000;
	config.stack.port_max = 40001;
	rig_open(&rig, &config);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 7, 16);

	come_and_go(&rig, l);
	come_and_go(&rig, l);
	struct sock *early = rig_connect(rig.a, "10.0.0.2", 7, &rc);

	CU_ASSERT_PTR_NULL(early);
	CU_ASSERT_EQUAL(rc, -EADDRNOTAVAIL);
	if (early) {
		rig_drop(&early);
	} else {
		rig_settle(1100); /* a record must be a second old */
		come_and_go(&rig, l);
		CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_TIME_WAIT_REUSED], 1);
	}
	rig_drop(&l);
	rig_close(&rig);
}

static void test_time_wait_reuse_can_be_off(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	int rc;

	config.stack.port_min = 40000;
	config.stack.port_max = 40000;
	config.stack.no_time_wait_reuse = true;
	rig_open(&rig, &config);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 7, 16);

	come_and_go(&rig, l);
	rig_settle(1100);
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "10.0.0.2", 7, &rc));
	CU_ASSERT_EQUAL(rc, -EADDRNOTAVAIL);
	rig_drop(&l);
	rig_close(&rig);
}

/* At the limit a connection ends without a record, and that is counted. */
static void test_time_wait_limit(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	config.stack.time_wait_max = 2;
	rig_open(&rig, &config);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 7, 16);

	for (unsigned i = 1; i <= 2; i++) {
		come_and_go(&rig, l);
		CU_ASSERT_EQUAL(rig_stats(rig.a)->time_wait, i);
		CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_TIME_WAIT_OVERFLOW], 0);
	}
	come_and_go(&rig, l);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->time_wait, 2);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_TIME_WAIT_OVERFLOW], 1);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->conns, 0);
	rig_drop(&l);
	rig_close(&rig);
}

/* ---- Choice, and its cost: connects that nobody answers occupy ports. ---- */

enum { PORTS = 2000, PORT_FIRST = 40000 };

static void open_quiet(struct raw *raw)
{
	struct rig_config config = rig_config_default();

	config.stack.port_min = PORT_FIRST;
	config.stack.port_max = PORT_FIRST + PORTS - 1;
	raw_open(raw, &config);
}

/* Calls 10.0.0.2:'port'; the local port, 0 when there is none. */
static uint16_t call(struct raw *raw, uint16_t port, struct sock **s)
{
	struct sock_addr at = rig_at("10.0.0.2", port), name;

	*s = make(raw->stack, false, false);
	int rc = sock_connect(*s, &at, true);

	if (rc != -EINPROGRESS) {
		CU_ASSERT_EQUAL(rc, -EADDRNOTAVAIL);
		rig_drop(s);
		return 0;
	}
	CU_ASSERT_EQUAL(sock_getname(*s, &name), 0);
	return name.port;
}

static uint64_t tries(struct raw *raw)
{
	return rig_stats(raw->stack)->counters[C_PORT_TRIES];
}

/* Every port of the range is found, and the last ones cost no more than the first. */
static void test_full_range_costs_few_tries(void)
{
	static struct sock *s[PORTS], *t, *other;
	static bool seen[PORTS];
	struct prng rng;
	struct raw raw;

	prng_init(&rng, unit_seed());
	open_quiet(&raw);
	for (unsigned i = 0; i < PORTS; i++) {
		uint16_t port = call(&raw, 7, &s[i]);

		CU_ASSERT_FATAL(port >= PORT_FIRST && port < PORT_FIRST + PORTS);
		CU_ASSERT_FALSE(seen[port - PORT_FIRST]);
		seen[port - PORT_FIRST] = true;
	}
	CU_ASSERT_EQUAL(call(&raw, 7, &t), 0); /* finds out once what is left to hope for */
	uint64_t before = tries(&raw);

	for (unsigned i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(call(&raw, 7, &t), 0);
	CU_ASSERT_TRUE(tries(&raw) - before <= 1000 * PORT_PROBES);
	before = tries(&raw);
	for (unsigned i = 0; i < 1000; i++) {
		struct sock **again = &s[prng_below(&rng, PORTS)];

		rig_drop(again);
		CU_ASSERT_NOT_EQUAL_FATAL(call(&raw, 7, again), 0);
	}
	CU_ASSERT_TRUE(tries(&raw) - before <= 1000 * (PORT_PROBES + 2));
	/* Another peer has all ports before it. */
	CU_ASSERT_NOT_EQUAL(call(&raw, 8, &other), 0);
	rig_drop(&other);
	for (unsigned i = 0; i < PORTS; i++)
		rig_drop(&s[i]);
	raw_close(&raw);
}

/* The same for bind to port 0; unbound ports and those whose connections ended come back. */
static void test_full_range_of_binds(void)
{
	static struct sock *s[PORTS], *t;
	struct raw raw;

	open_quiet(&raw);
	for (unsigned i = 0; i < PORTS; i++)
		CU_ASSERT_EQUAL_FATAL(try_bind(raw.stack, "0.0.0.0", 0, false, &s[i]), 0);
	CU_ASSERT_EQUAL(try_bind(raw.stack, "0.0.0.0", 0, false, NULL), -EADDRINUSE);
	CU_ASSERT_EQUAL(call(&raw, 7, &t), 0);
	uint64_t before = tries(&raw);

	for (unsigned i = 0; i < 500; i++) {
		CU_ASSERT_EQUAL(try_bind(raw.stack, "0.0.0.0", 0, false, NULL), -EADDRINUSE);
		rig_drop(&s[i]);
		CU_ASSERT_EQUAL_FATAL(try_bind(raw.stack, "0.0.0.0", 0, false, &s[i]), 0);
	}
	CU_ASSERT_TRUE(tries(&raw) - before <= 1000 * (PORT_PROBES + 2));
	rig_drop(&s[5]);
	CU_ASSERT_NOT_EQUAL(call(&raw, 7, &t), 0);
	CU_ASSERT_EQUAL(try_bind(raw.stack, "0.0.0.0", 0, false, NULL), -EADDRINUSE);
	rig_drop(&t);
	CU_ASSERT_EQUAL(try_bind(raw.stack, "0.0.0.0", 0, false, &t), 0);
	rig_drop(&t);
	for (unsigned i = 0; i < PORTS; i++)
		rig_drop(&s[i]);
	raw_close(&raw);
}

/*
 * RFC 6056 3.3.4: to one peer the ports count up, so that they come back late; the beginnings of
 * different peers tell nothing of each other, and are spread over the range.
 */
static void test_ports_are_hard_to_guess(void)
{
	enum { PEERS_COUNT = 400, BINS = 8 };
	static struct sock *s[PEERS_COUNT];
	unsigned bin[BINS] = {0}, steps = 0;
	uint16_t last = 0;
	double chi = 0;
	struct raw raw;

	open_quiet(&raw);
	for (uint16_t i = 0; i < PEERS_COUNT; i++) {
		uint16_t port = call(&raw, (uint16_t)(100 + i), &s[i]);

		bin[(port - PORT_FIRST) * BINS / PORTS]++;
		steps += abs(port - last) <= 1;
		last = port;
	}
	for (unsigned i = 0; i < BINS; i++) {
		double off = (double)bin[i] - (double)PEERS_COUNT / BINS;

		chi += off * off * BINS / PEERS_COUNT;
	}
	CU_ASSERT_TRUE(chi < 24.3); /* 7 degrees of freedom, 0.1 % */
	CU_ASSERT_TRUE(steps < 10);
	for (unsigned i = 0; i < PEERS_COUNT; i++)
		rig_drop(&s[i]);
	for (unsigned i = 0; i < 100; i++) {
		uint16_t port = call(&raw, 7, &s[i]);

		CU_ASSERT_TRUE(i == 0 || port == last + 1 || port == PORT_FIRST);
		last = port;
	}
	for (unsigned i = 0; i < 100; i++)
		rig_drop(&s[i]);
	raw_close(&raw);
}

/* A bind that names no port does not count up, either. */
static void test_bound_ports_are_hard_to_guess(void)
{
	enum { BINDS = 40 };
	struct rig_config config = rig_config_default();
	struct sock *s[BINDS];
	struct sock_addr name;
	struct rig rig;
	unsigned steps = 0;
	uint16_t last = 0;

	rig_open(&rig, &config);
	for (unsigned i = 0; i < BINDS; i++) {
		CU_ASSERT_EQUAL_FATAL(try_bind(rig.a, "0.0.0.0", 0, false, &s[i]), 0);
		CU_ASSERT_EQUAL(sock_getname(s[i], &name), 0);
		steps += abs(name.port - last) <= 1;
		last = name.port;
	}
	CU_ASSERT_TRUE(steps < BINDS / 4);
	for (unsigned i = 0; i < BINDS; i++)
		rig_drop(&s[i]);
	rig_close(&rig);
}

/* More crowded peers than there is room for: the oldest is forgotten, and its ports are found anew. */
static void test_more_crowds_than_are_kept(void)
{
	enum { FEW = 12, MANY = PORT_CROWDS + 3 };
	struct rig_config config = rig_config_default();
	static struct sock *s[MANY][FEW], *t;
	struct raw raw;

	config.stack.port_min = PORT_FIRST;
	config.stack.port_max = PORT_FIRST + FEW - 1;
	raw_open(&raw, &config);
	for (unsigned round = 0; round < 2; round++) {
		for (uint16_t peer = 0; peer < MANY; peer++) {
			for (unsigned i = 0; i < FEW; i++)
				CU_ASSERT_NOT_EQUAL(call(&raw, (uint16_t)(100 + peer), &s[peer][i]),
						    0);
			CU_ASSERT_EQUAL(call(&raw, (uint16_t)(100 + peer), &t), 0);
		}
		for (unsigned peer = 0; peer < MANY; peer++)
			for (unsigned i = 0; i < FEW; i++)
				rig_drop(&s[peer][i]);
	}
	raw_close(&raw);
}

UNIT_MAIN("port", UNIT(bind_rules), UNIT(one_listener), UNIT(bind_over_time_wait),
	  UNIT(ephemeral_exhaustion), UNIT(connect_over_time_wait),
	  UNIT(time_wait_reuse_can_be_off), UNIT(time_wait_limit), UNIT(full_range_costs_few_tries),
	  UNIT(full_range_of_binds), UNIT(ports_are_hard_to_guess),
	  UNIT(bound_ports_are_hard_to_guess), UNIT(more_crowds_than_are_kept))
