/*
 * Listeners met by hand-made segments: limits of half-open connections and of the accept queue,
 * what waits before accept, and what closing leaves.
 */
#include "net/base/prng.h"
#include "raw.h"

static void send_syn(struct raw *raw, uint16_t port)
{
	const struct tcp_hdr syn = {.src_port = port,
				    .dst_port = 80,
				    .seq = 1000,
				    .flags = TCP_SYN,
				    .wnd = 8000,
				    .opt = {.has_mss = true, .mss = 1000}};

	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
}

/* The segment that follows the SYN of 'port', acknowledging 'synack'. */
static void send_ack(struct raw *raw, uint16_t port, const struct tcp_hdr *synack, uint8_t flags,
		     const char *data)
{
	const struct tcp_hdr ack = {.src_port = port,
				    .dst_port = 80,
				    .seq = 1001,
				    .ack = synack->seq + 1,
				    .flags = TCP_ACK | flags,
				    .wnd = 8000};

	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &ack, data, false);
}

static void handshake(struct raw *raw, uint16_t port, struct tcp_hdr *synack)
{
	send_syn(raw, port);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(raw, synack, 1000));
	CU_ASSERT_EQUAL(synack->flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(synack->dst_port, port);
	send_ack(raw, port, synack, 0, "");
}

struct want {
	struct stack *stack;
	uint64_t conns, syn_rcvd;
};

static bool has_counts(void *arg)
{
	struct want *w = arg;
	const struct weft_stats *stats = rig_stats(w->stack);

	return stats->conns == w->conns && stats->syn_rcvd == w->syn_rcvd;
}

static bool counts_become(struct raw *raw, uint64_t conns, uint64_t syn_rcvd)
{
	struct want w = {raw->stack, conns, syn_rcvd};

	return rig_until(has_counts, &w, 1000);
}

static bool has_no_objects(void *arg)
{
	return rig_stats(arg)->objects == 0;
}

static void test_syn_limit(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	struct tcp_hdr got;

	config.stack.syn_backlog_max = 4;
	config.stack.syn_cookies = WEFT_SYN_COOKIES_OFF;
	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 16);

	for (uint16_t i = 0; i < 6; i++)
		send_syn(&raw, (uint16_t)(100 + i));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_SYN_BACKLOG, 2));
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 4);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	/* One is reset: its place is free again. */
	const struct tcp_hdr rst = {.src_port = 100, .dst_port = 80, .seq = 1001, .flags = TCP_RST};

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &rst, "", false);
	CU_ASSERT_TRUE(counts_become(&raw, 0, 3));
	send_syn(&raw, 200);
	CU_ASSERT_TRUE(counts_become(&raw, 0, 4));
	rig_drop(&l);
	CU_ASSERT_TRUE(counts_become(&raw, 0, 0));
	CU_ASSERT_TRUE(rig_until(has_no_objects, raw.stack, 2000));
	raw_close(&raw);
}

static void test_conn_limit(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;

	config.stack.conns_max = 2;
	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 16), *s;
	struct sock_addr at = rig_at("10.0.0.2", 5);

	for (uint16_t i = 0; i < 3; i++)
		send_syn(&raw, (uint16_t)(100 + i));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_CONN_LIMIT, 1));
	WEFT_ASSERT(sock_new(raw.stack, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_connect(s, &at, true), -ENOBUFS);
	rig_drop(&s);
	rig_drop(&l);
	raw_close(&raw);
}

/* Backlog 1 takes two; then SYNs and final ACKs are dropped, and the record waits. */
static void test_accept_queue_limit(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	struct tcp_hdr a, b, c, d;
	struct sock *child;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 1);

	send_syn(&raw, 103);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &d, 1000));
	handshake(&raw, 100, &a);
	handshake(&raw, 101, &b);
	CU_ASSERT_TRUE(counts_become(&raw, 2, 1));
	send_syn(&raw, 102);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_ACCEPT_FULL, 1));
	send_ack(&raw, 103, &d, 0, "");
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_ACCEPT_FULL, 2));
	CU_ASSERT_TRUE(counts_become(&raw, 2, 1));
	CU_ASSERT_EQUAL(sock_accept(l, true, &child), 0);
	rig_drop(&child);
	send_ack(&raw, 103, &d, 0, "");
	CU_ASSERT_TRUE(counts_become(&raw, 3, 0));
	while (raw_read_tcp(&raw, &c, 50))
		continue;
	rig_drop(&l); /* two wait: both are reset */
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &c, 1000));
	CU_ASSERT_TRUE(c.flags & TCP_RST);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &c, 1000));
	CU_ASSERT_TRUE(c.flags & TCP_RST);
	raw_close(&raw);
}

/* Data and FIN behind the final ACK, and with it, are there when accept comes later. */
static void test_data_before_accept(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	struct tcp_hdr synack;
	struct sock *child;
	char data[16];

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 4);

	send_syn(&raw, 100);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&raw, &synack, 1000));
	send_ack(&raw, 100, &synack, TCP_PSH | TCP_FIN, "hello");
	CU_ASSERT_TRUE(counts_become(&raw, 1, 0));
	CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
	CU_ASSERT_EQUAL(rig_recv(child, data, sizeof(data), 0), 5);
	CU_ASSERT_EQUAL(memcmp(data, "hello", 5), 0);
	CU_ASSERT_EQUAL(rig_recv(child, data, sizeof(data), 0), 0);
	rig_drop(&child);
	rig_drop(&l);
	raw_close(&raw);
}

/* The peer's RST before accept: the child is accepted and tells. */
static void test_reset_before_accept(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	struct tcp_hdr synack;
	struct sock *child;
	char byte;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 4);

	handshake(&raw, 100, &synack);
	CU_ASSERT_TRUE(counts_become(&raw, 1, 0));
	const struct tcp_hdr rst = {.src_port = 100, .dst_port = 80, .seq = 1001, .flags = TCP_RST};

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &rst, "", false);
	CU_ASSERT_TRUE(counts_become(&raw, 0, 0));
	CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
	CU_ASSERT_EQUAL(rig_recv(child, &byte, 1, 0), -ECONNRESET);
	rig_drop(&child);
	rig_drop(&l);
	raw_close(&raw);
}

/* A SYN-ACK that nobody answers is sent again, and the record goes at last. */
static void test_half_open_times_out(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	struct tcp_hdr first, second;

	config.stack.tcp.rto_initial = 50 * US_PER_MS;
	config.stack.tcp.synack_timeout = 200 * US_PER_MS;
	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 4);

	send_syn(&raw, 100);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &first, 1000));
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &second, 1000));
	CU_ASSERT_EQUAL(first.seq, second.seq);
	CU_ASSERT_TRUE(counts_become(&raw, 0, 0));
	rig_drop(&l);
	raw_close(&raw);
}

static void send_rst(struct raw *raw, uint16_t port)
{
	const struct tcp_hdr rst = {
		.src_port = port, .dst_port = 80, .seq = 1001, .flags = TCP_RST};

	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &rst, "", false);
}

/* The listener's array grows, records leave from anywhere in it, it shrinks, and close empties it. */
static void test_many_half_open(void)
{
	enum { MANY = 300, STEP = 20, LEFT = 7 };
	struct rig_config config = rig_config_default();
	uint16_t port[MANY];
	struct prng rng;
	struct raw raw;

	prng_init(&rng, unit_seed());
	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 4);

	for (unsigned i = 0; i < MANY; i++) {
		unsigned j = prng_below(&rng, i + 1);

		port[i] = port[j];
		port[j] = (uint16_t)(100 + i);
		send_syn(&raw, (uint16_t)(100 + i));
		if ((i + 1) % STEP == 0)
			CU_ASSERT_TRUE_FATAL(counts_become(&raw, 0, i + 1));
	}
	for (unsigned left = MANY; left > LEFT; left--) {
		send_rst(&raw, port[left - 1]);
		if (left % STEP == 0)
			CU_ASSERT_TRUE_FATAL(counts_become(&raw, 0, left - 1));
	}
	CU_ASSERT_TRUE(counts_become(&raw, 0, LEFT));
	rig_drop(&l);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 0);
	raw_close(&raw);
}

/* accept puts back what its caller has no handle for; the order stays. */
static void test_unaccept(void)
{
	struct rig_config config = rig_config_default();
	struct sock_addr peer;
	struct raw raw;
	struct tcp_hdr synack;
	struct sock *child;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 4);

	handshake(&raw, 100, &synack);
	CU_ASSERT_TRUE(counts_become(&raw, 1, 0));
	handshake(&raw, 101, &synack);
	CU_ASSERT_TRUE(counts_become(&raw, 2, 0));
	CU_ASSERT_EQUAL(sock_accept(l, true, &child), 0);
	sock_unaccept(l, &child);
	CU_ASSERT_PTR_NULL(child);
	for (uint16_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(sock_accept(l, true, &child), 0);
		CU_ASSERT_EQUAL(sock_getpeer(child, &peer), 0);
		CU_ASSERT_EQUAL(peer.port, 100 + i);
		rig_drop(&child);
	}
	rig_drop(&l);
	raw_close(&raw);
}

/* Many acceptors: every connection is delivered once. */
enum { ACCEPTORS = 8, CLIENTS = 64 };

struct acceptors {
	struct sock *l;
	atomic_uint accepted;
	atomic_uint ended; /* with -EINVAL */
};

static void *acceptor(void *arg)
{
	struct acceptors *a = arg;
	struct sock *child;
	int rc;

	while ((rc = sock_accept(a->l, false, &child)) == 0) {
		atomic_fetch_add(&a->accepted, 1);
		rig_drop(&child);
	}
	atomic_fetch_add(&a->ended, rc == -EINVAL);
	return NULL;
}

static void test_each_once(void)
{
	struct rig_config config = rig_config_default();
	pthread_t thread[ACCEPTORS];
	struct sock *client[CLIENTS];
	struct rig rig;
	char byte;
	int rc;

	rig_open(&rig, &config);
	struct acceptors a = {.l = rig_listen(rig.b, "10.0.0.2", 80, 128)};

	for (int i = 0; i < ACCEPTORS; i++)
		WEFT_ASSERT(thread_start(&thread[i], "acceptor", acceptor, &a) == 0);
	for (int i = 0; i < CLIENTS; i++) {
		client[i] = rig_connect(rig.a, "10.0.0.2", 80, &rc);
		CU_ASSERT_EQUAL(rc, 0);
	}
	for (int i = 0; i < CLIENTS; i++) {
		CU_ASSERT_EQUAL(rig_recv(client[i], &byte, 1, 0), 0);
		rig_drop(&client[i]);
	}
	CU_ASSERT_EQUAL(atomic_load(&a.accepted), CLIENTS);
	CU_ASSERT_EQUAL(sock_shutdown(a.l, SHUT_RD), 0);
	for (int i = 0; i < ACCEPTORS; i++)
		thread_join(thread[i]);
	CU_ASSERT_EQUAL(atomic_load(&a.ended), ACCEPTORS);
	rig_drop(&a.l);
	rig_close(&rig);
}

/* TCP_DEFER_ACCEPT: the handshake's ACK makes nothing, what has data does. */
static void test_deferred_until_data(void)
{
	struct rig_config config = rig_config_default();
	struct raw raw;
	struct tcp_hdr synack;

	raw_open(&raw, &config);
	struct sock *l = rig_listen(raw.stack, "10.0.0.1", 80, 16);

	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_DEFER_ACCEPT, 5), 0);
	handshake(&raw, 100, &synack);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_DEFERRED, 1));
	CU_ASSERT_TRUE(counts_become(&raw, 0, 1));
	send_ack(&raw, 100, &synack, TCP_PSH, "data");
	CU_ASSERT_TRUE(counts_become(&raw, 1, 0));
	rig_drop(&l);
	raw_close(&raw);
}

UNIT_MAIN("listener", UNIT(deferred_until_data), UNIT(syn_limit), UNIT(conn_limit),
	  UNIT(accept_queue_limit), UNIT(data_before_accept), UNIT(reset_before_accept),
	  UNIT(half_open_times_out), UNIT(many_half_open), UNIT(unaccept), UNIT(each_once))
