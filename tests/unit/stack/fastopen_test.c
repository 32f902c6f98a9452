/*
 * Fast open (RFC 7413) between two stacks: a cookie the first time, data on the SYN after that, in both
 * address families; what listeners and connects do without it, and limits.
 */
#include "net/stack/fastopen.h"
#include "rig.h"

static void open_both(struct rig *rig)
{
	struct rig_config config = rig_config_default();

	config.stack.fastopen = WEFT_FASTOPEN_CLIENT | WEFT_FASTOPEN_SERVER;
	rig_open(rig, &config);
}

static ssize_t send_fast(struct stack *stack, const char *addr, const char *text, struct sock **s)
{
	struct sock_addr at = rig_at(addr, 80);
	struct iovec iov[2] = {
		{.iov_base = (void *)(uintptr_t)text, .iov_len = 2},
		{.iov_base = (void *)(uintptr_t)(text + 2), .iov_len = strlen(text) - 2}};

	WEFT_ASSERT(sock_new(stack, !addr_is_v4(&at.addr), s) == 0);
	return sock_send_fast(*s, &at, iov, 2, 0);
}

static bool has_syn_data(struct sock *s)
{
	struct tcp_status status;

	CU_ASSERT_EQUAL(sock_status(s, &status), 0);
	return status.syn_data;
}

static void talk(const char *addr)
{
	struct sock *client, *child;
	struct rig rig;
	char data[16];

	open_both(&rig);
	struct sock *l = rig_listen(rig.b, addr, 80, 8);

	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_FASTOPEN, 4), 0);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(send_fast(rig.a, addr, "hello", &client), 5);
		CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
		CU_ASSERT_EQUAL(rig_recv(child, data, 5, MSG_WAITALL), 5);
		CU_ASSERT_EQUAL(memcmp(data, "hello", 5), 0);
		CU_ASSERT_EQUAL(has_syn_data(child), i > 0);
		CU_ASSERT_EQUAL(has_syn_data(client), i > 0);
		CU_ASSERT_EQUAL(rig_send(child, "back", 4), 4);
		CU_ASSERT_EQUAL(rig_recv(client, data, 4, MSG_WAITALL), 4);
		rig_drop(&client);
		rig_drop(&child);
	}
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_FASTOPEN_ACTIVE], 2);
	CU_ASSERT_EQUAL(rig_stats(rig.b)->counters[C_TCP_FASTOPEN_PASSIVE], 2);
	CU_ASSERT_EQUAL(rig_stats(rig.b)->counters[C_TCP_FASTOPEN_COOKIE_REQ], 1);
	rig_drop(&l);
	rig_close(&rig);
}

static void test_data_rides_on_the_syn(void)
{
	talk("10.0.0.2");
	talk("fd00::2");
}

/* A large write: what fits is on the SYN, the rest follows. */
static void test_rest_follows(void)
{
	static char text[100001], data[100000];
	struct sock *client, *child;
	struct rig rig;

	memset(text, 'x', sizeof(text) - 1);
	open_both(&rig);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 80, 8);

	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_FASTOPEN, 4), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(send_fast(rig.a, "10.0.0.2", text, &client), 100000);
		CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
		CU_ASSERT_EQUAL(rig_recv(child, data, sizeof(data), MSG_WAITALL), 100000);
		CU_ASSERT_EQUAL(memcmp(data, text, sizeof(data)), 0);
		rig_drop(&client);
		rig_drop(&child);
	}
	rig_drop(&l);
	rig_close(&rig);
}

/* A listener that forgot its keys or the option: a handshake as always. */
static void test_falls_back(void)
{
	struct sock *client, *child;
	struct rig rig;
	char data[16];

	open_both(&rig);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 80, 8);

	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_FASTOPEN, 4), 0);
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(send_fast(rig.a, "10.0.0.2", "hello", &client), 5);
		CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
		CU_ASSERT_EQUAL(rig_recv(child, data, 5, MSG_WAITALL), 5);
		rig_drop(&client);
		rig_drop(&child);
		CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_FASTOPEN, 0), 0);
	}
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_FASTOPEN_ACTIVE_FAIL], 1);
	CU_ASSERT_EQUAL(rig_stats(rig.b)->counters[C_TCP_FASTOPEN_PASSIVE], 0);
	rig_drop(&l);
	rig_close(&rig);
}

static void test_off_and_wrong_states(void)
{
	struct rig_config config = rig_config_default();
	struct sock *client, *s;
	struct rig rig;
	int64_t value;
	int rc;

	rig_open(&rig, &config);
	CU_ASSERT_EQUAL(send_fast(rig.a, "10.0.0.2", "hello", &client), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_FASTOPEN_CONNECT, 1), -EOPNOTSUPP);
	rig_drop(&client);
	rig_close(&rig);
	open_both(&rig);
	s = rig_listen(rig.b, "10.0.0.2", 80, 8);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_FASTOPEN, 100000), 0);
	CU_ASSERT_EQUAL(sock_getopt(s, SOCK_OPT_FASTOPEN, &value), 0);
	CU_ASSERT_EQUAL(value, 4096);
	client = rig_connect(rig.a, "10.0.0.2", 80, &rc);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_FASTOPEN, 1), -EINVAL);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_FASTOPEN_CONNECT, 1), -EINVAL);
	CU_ASSERT_EQUAL(sock_send_fast(client, NULL, NULL, 0, 0), -EISCONN);
	rig_drop(&client);
	rig_drop(&s);
	rig_close(&rig);
}

/* At the limit and past it; one that was reset counts for a minute. */
static void test_queue(void)
{
	struct fastopen_queue *q = fastopen_queue_new(), *a = q, *b = q;
	const weft_time_us s = US_PER_S;

	CU_ASSERT_FALSE(fastopen_queue_enter(q, 0, 5 * s));
	CU_ASSERT_TRUE(fastopen_queue_enter(q, 2, 5 * s));
	CU_ASSERT_TRUE(fastopen_queue_enter(q, 2, 5 * s));
	CU_ASSERT_FALSE(fastopen_queue_enter(q, 2, 5 * s));
	fastopen_queue_leave(&a, false, 6 * s);
	CU_ASSERT_PTR_NULL(a);
	CU_ASSERT_TRUE(fastopen_queue_enter(q, 2, 6 * s));
	a = q;
	fastopen_queue_leave(&a, true, 6 * s);
	CU_ASSERT_FALSE(fastopen_queue_enter(q, 2, 66 * s));
	CU_ASSERT_TRUE(fastopen_queue_enter(q, 2, 71 * s));
	a = q;
	fastopen_queue_leave(&a, false, 71 * s);
	fastopen_queue_leave(&b, false, 71 * s);
	/* Two at the same time are two. */
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_TRUE(fastopen_queue_enter(q, 2, 200 * s));
	a = b = q;
	fastopen_queue_leave(&a, true, 200 * s);
	fastopen_queue_leave(&b, true, 200 * s);
	CU_ASSERT_FALSE(fastopen_queue_enter(q, 2, 201 * s));
	fastopen_queue_put(&q);
}

/* A SYN with data counts as lost if it was sent, and again, and nobody took any. */
static void test_what_counts_as_lost(void)
{
	const struct tcp_opts cookie = {.has_fo = true, .fo_len = 8, .fo = {1}}, none = {0};
	uint64_t refused = 0;
	struct rig rig;
	uint16_t mss;

	open_both(&rig);
	for (uint8_t i = 0; i < 8; i++) {
		const uint8_t us[4] = {10, 0, 0, 1}, them[4] = {10, 9, 9, i};
		struct flow flow = {.local = addr_from_v4(us), .remote = addr_from_v4(them)};
		struct tcb tcb = {.mss_peer = 1300};
		bool is_lost = i == 3;

		fastopen_learn(rig.a, &flow, &tcb, &cookie, US_PER_S);
		tcb.fo_sent = i & 1;
		tcb.syn_lost = i & 2;
		tcb.fo_acked = i & 4;
		for (unsigned n = 0; n < 2; n++)
			fastopen_learn(rig.a, &flow, &tcb, &none, US_PER_S);
		CU_ASSERT_EQUAL(fastopen_advise(rig.a, &flow, US_PER_S, &mss),
				is_lost ? FASTOPEN_REFRAIN : FASTOPEN_USE);
		refused += is_lost;
		if (i == 7) { /* what was taken in the end was no loss: one is chance */
			tcb.fo_acked = false;
			fastopen_learn(rig.a, &flow, &tcb, &none, US_PER_S);
			CU_ASSERT_EQUAL(fastopen_advise(rig.a, &flow, US_PER_S, &mss),
					FASTOPEN_USE);
		}
		CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_TCP_FASTOPEN_BLACKHOLE], refused);
	}
	rig_close(&rig);
}

UNIT_MAIN("fastopen", UNIT(data_rides_on_the_syn), UNIT(rest_follows), UNIT(falls_back),
	  UNIT(off_and_wrong_states), UNIT(queue), UNIT(what_counts_as_lost))
