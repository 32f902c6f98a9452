/* Connections that nobody closes any more: their limits, and openings that meet each other. */
#include "raw.h"

static uint64_t count_of(struct stack *stack, enum counter which)
{
	return rig_stats(stack)->counters[which];
}

struct want {
	struct stack *stack;
	uint64_t orphans, conns;
};

static bool has_counts(void *arg)
{
	const struct want *w = arg;

	return rig_stats(w->stack)->orphans == w->orphans && rig_stats(w->stack)->conns == w->conns;
}

static bool counts_become(struct stack *stack, uint64_t orphans, uint64_t conns)
{
	struct want w = {stack, orphans, conns};

	return rig_until(has_counts, &w, 2000);
}

/* At the limit orphans wait for the peer's FIN; beyond it the connection is reset. */
static void test_orphans_are_limited(void)
{
	enum { LIMIT = 2, COUNT = 4 };
	struct rig_config config = rig_config_default();
	struct sock *client[COUNT], *server[COUNT];
	struct rig rig;
	char byte;

	config.stack.orphans_max = LIMIT;
	rig_open(&rig, &config);
	for (unsigned i = 0; i < COUNT; i++)
		rig_pair(&rig, &client[i], &server[i]);
	for (unsigned i = 0; i < COUNT; i++) {
		rig_drop(&client[i]);
		CU_ASSERT_EQUAL(rig_recv(server[i], &byte, 1, 0), i < LIMIT ? 0 : -ECONNRESET);
	}
	CU_ASSERT_TRUE(counts_become(rig.a, LIMIT, LIMIT));
	CU_ASSERT_EQUAL(count_of(rig.a, C_TCP_ORPHAN_OVERFLOW), COUNT - LIMIT);
	/* An orphan that ends in good order makes room. */
	rig_drop(&server[0]);
	CU_ASSERT_TRUE(counts_become(rig.a, LIMIT - 1, LIMIT - 1));
	rig_pair(&rig, &client[0], &server[0]);
	rig_drop(&client[0]);
	CU_ASSERT_EQUAL(rig_recv(server[0], &byte, 1, 0), 0);
	CU_ASSERT_EQUAL(count_of(rig.a, C_TCP_ORPHAN_OVERFLOW), COUNT - LIMIT);
	for (unsigned i = 0; i < COUNT; i++)
		rig_drop(&server[i]);
	CU_ASSERT_TRUE(counts_become(rig.a, 0, 0));
	rig_close(&rig);
}

/* While memory is short, what an orphan still has to send may not take it. */
static void test_orphan_with_much_to_send_goes_when_memory_is_short(void)
{
	enum { CHUNK = 4096 };
	struct rig_config config = rig_config_default();
	struct sock *client, *server;
	struct rig rig;
	static char data[CHUNK];

	config.stack.buf_bytes_max = 4u << 20;
	config.stack.sndbuf = 16u << 20;
	config.stack.buf_max = 16u << 20;
	config.stack.rcvbuf = 4608;
	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_SNDTIMEO, 50 * US_PER_MS), 0);
	while (rig_send(client, data, sizeof(data)) > 0)
		continue;
	CU_ASSERT_TRUE(rig_stats(rig.a)->buf_bytes > (4u << 20) / 4 * 3);
	rig_drop(&client);
	CU_ASSERT_EQUAL(count_of(rig.a, C_TCP_ORPHAN_OVERFLOW), 1);
	CU_ASSERT_TRUE(counts_become(rig.a, 0, 0));
	rig_drop(&server);
	rig_close(&rig);
}

/* A socket connects to itself: its SYN crosses itself (RFC 9293 figure 8). */
static void test_self_connect(void)
{
	static const char *const addrs[] = {"10.0.0.1", "127.0.0.1", "fd00::1"};
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	for (unsigned i = 0; i < 3; i++) {
		struct sock_addr at = rig_at(addrs[i], 5555), peer;
		struct tcp_status status;
		struct sock *s;
		char data[8];

		WEFT_ASSERT(sock_new(rig.a, !addr_is_v4(&at.addr), &s) == 0);
		CU_ASSERT_EQUAL_FATAL(sock_setopt(s, SOCK_OPT_REUSEADDR, 1), 0);
		CU_ASSERT_EQUAL_FATAL(sock_bind(s, &at), 0);
		CU_ASSERT_EQUAL_FATAL(sock_connect(s, &at, false), 0);
		CU_ASSERT_EQUAL(sock_getpeer(s, &peer), 0);
		CU_ASSERT_EQUAL(peer.port, 5555);
		CU_ASSERT_EQUAL(rig_send(s, "echo", 4), 4);
		CU_ASSERT_EQUAL(rig_recv(s, data, sizeof(data), 0), 4);
		CU_ASSERT_EQUAL(memcmp(data, "echo", 4), 0);
		CU_ASSERT_EQUAL(sock_status(s, &status), 0);
		CU_ASSERT_EQUAL(status.state, TCPS_ESTABLISHED);
		CU_ASSERT_TRUE(status.ts_on && status.sack_on && status.wscale_on);
		CU_ASSERT_EQUAL(sock_shutdown(s, SHUT_WR), 0);
		CU_ASSERT_EQUAL(rig_recv(s, data, sizeof(data), 0), 0);
		rig_drop(&s);
	}
	rig_close(&rig);
}

/* Two sockets call each other; the test is one of them. */
static void test_crossing_syns(void)
{
	struct rig_config config = rig_config_default();
	struct sock_addr local = rig_at("10.0.0.1", 5555), peer = rig_at("10.0.0.2", 6666);
	struct tcp_status status;
	struct tcp_hdr got;
	struct sock *s;
	struct raw raw;

	raw_open(&raw, &config);
	WEFT_ASSERT(sock_new(raw.stack, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_bind(s, &local), 0);
	CU_ASSERT_EQUAL(sock_connect(s, &peer, true), -EINPROGRESS);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN);
	struct tcp_hdr mine = {.src_port = 6666,
			       .dst_port = 5555,
			       .seq = 7000,
			       .flags = TCP_SYN,
			       .wnd = 8000,
			       .opt = {.has_mss = true, .mss = 1000}};

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &mine, "", false);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(got.ack, 7001);
	mine.flags = TCP_SYN | TCP_ACK;
	mine.ack = got.seq + 1;
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &mine, "", false);
	CU_ASSERT_EQUAL(sock_connect(s, &peer, false), 0);
	CU_ASSERT_EQUAL(sock_status(s, &status), 0);
	CU_ASSERT_EQUAL(status.state, TCPS_ESTABLISHED);
	CU_ASSERT_EQUAL(status.snd_mss, 1000);
	rig_drop(&s);
	raw_close(&raw);
}

UNIT_MAIN("teardown", UNIT(orphans_are_limited),
	  UNIT(orphan_with_much_to_send_goes_when_memory_is_short), UNIT(self_connect),
	  UNIT(crossing_syns))
