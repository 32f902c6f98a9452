/* Rules of bind, listen and the choice of ephemeral ports. */
#include "net/stack/stack_int.h"
#include "rig.h"

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
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "10.0.0.2", 7, &rc));
	CU_ASSERT_EQUAL(rc, -EADDRNOTAVAIL);
	rig_settle(1100); /* a record must be a second old */
	come_and_go(&rig, l);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_TIME_WAIT_REUSED], 1);
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

UNIT_MAIN("port", UNIT(bind_rules), UNIT(one_listener), UNIT(bind_over_time_wait),
	  UNIT(ephemeral_exhaustion), UNIT(connect_over_time_wait),
	  UNIT(time_wait_reuse_can_be_off), UNIT(time_wait_limit))
