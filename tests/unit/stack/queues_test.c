/*
 * Stacks with several queues: a connection's packets leave by its own queue wherever its segments
 * come in, connections are spread, and bytes stay in order while flows move between queues.
 */
#include "moving.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "raw.h"

enum { BULK = 4000000, CHUNK = 50000, STREAMS = 6, MOVE_EVERY = 50 };

/* ---- The test itself on the other end: which packet leaves by which queue. ---- */

struct wire {
	struct stack *stack;
	struct weft_dev *end;
	struct raw raw[WEFT_DEV_QUEUES_MAX]; /* one for each queue */
};

static void wire_open(struct wire *w, unsigned count)
{
	struct rig_config config = rig_config_default();
	struct weft_dev *ends[2];

	WEFT_ASSERT(moving_pair(ends, config.mtu, 0, count, 0, 1) == 0);
	w->stack = rig_stack(&config, ends[0], "10.0.0.1", "fd00::1");
	w->end = ends[1];
	for (unsigned i = 0; i < count; i++)
		w->raw[i] = (struct raw){.stack = w->stack, .wire = w->end->queue(w->end, i)};
}

static void wire_close(struct wire *w)
{
	stack_free(w->stack);
	w->end->close(w->end);
}

static void wire_tcp(struct wire *w, unsigned queue, const struct tcp_hdr *hdr, const char *data)
{
	raw_tcp(&w->raw[queue], "10.0.0.2", "10.0.0.1", hdr, data, false);
}

/* A connection that begins by queue 'at' and whose later segments come by queue 'other'. */
static void passive(struct wire *w, unsigned at, unsigned other, uint16_t port)
{
	struct tcp_hdr syn = {
		.src_port = port, .dst_port = 80, .seq = 100, .flags = TCP_SYN, .wnd = 8000};
	struct tcp_hdr got;

	wire_tcp(w, at, &syn, "");
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&w->raw[at], &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	struct tcp_hdr ack = {.src_port = port,
			      .dst_port = 80,
			      .seq = 101,
			      .ack = got.seq + 1,
			      .flags = TCP_ACK,
			      .wnd = 8000};

	wire_tcp(w, other, &ack, "");
	ack.flags |= TCP_FIN;
	wire_tcp(w, other, &ack, "data");
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&w->raw[at], &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_ACK);
	CU_ASSERT_EQUAL(got.ack, 106);
}

static bool has_segments(void *arg)
{
	return rig_stats(arg)->counters[C_TCP_SEG_IN] >= 12;
}

static void test_passive_stays(void)
{
	struct wire w;
	struct sock *child;

	wire_open(&w, 4);
	struct sock *l = rig_listen(w.stack, "10.0.0.1", 80, 8);

	for (unsigned i = 0; i < 4; i++) {
		passive(&w, i, (i + 1) % 4, (uint16_t)(1000 + i));
		CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &child), 0);
		rig_drop(&child);
	}
	CU_ASSERT_TRUE(rig_until(has_segments, w.stack, 1000));
	CU_ASSERT_EQUAL(rig_stats(w.stack)->counters[C_RX_OTHER_QUEUE], 8);
	rig_drop(&l);
	wire_close(&w);
}

/* What belongs to no connection is answered where it came in. */
static void test_replies(void)
{
	const struct tcp_hdr stray = {
		.src_port = 9, .dst_port = 9, .seq = 7, .ack = 8, .flags = TCP_ACK};
	uint8_t packet[256];
	uint8_t echo[8];
	struct tcp_hdr got;
	struct wire w;

	wire_open(&w, 4);
	const struct icmp_msg ping = {.kind = ICMP_ECHO_REQUEST};
	struct addr from = rig_addr("10.0.0.2"), to = rig_addr("10.0.0.1");
	size_t size = icmp_emit(echo, &ping, &from, &to);

	for (unsigned i = 0; i < 4; i++) {
		wire_tcp(&w, i, &stray, "");
		CU_ASSERT_TRUE(raw_read_tcp(&w.raw[i], &got, 1000));
		CU_ASSERT_EQUAL(got.flags, TCP_RST);
		raw_ip(&w.raw[i], "10.0.0.2", "10.0.0.1", IP_PROTO_ICMP, echo, size);
		CU_ASSERT_EQUAL(raw_read(&w.raw[i], packet, sizeof(packet), 1000), 28);
	}
	wire_close(&w);
}

/* Active opens take the queues in turn, and keep theirs. */
static void test_active_spread(void)
{
	struct sock *s[8];
	struct tcp_hdr got;
	struct wire w;
	struct sock_addr at = rig_at("10.0.0.2", 80);

	wire_open(&w, 4);
	for (unsigned i = 0; i < 8; i++) {
		WEFT_ASSERT(sock_new(w.stack, false, &s[i]) == 0);
		CU_ASSERT_EQUAL(sock_connect(s[i], &at, true), -EINPROGRESS);
	}
	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT_TRUE_FATAL(raw_read_tcp(&w.raw[i % 4], &got, 1000));
		CU_ASSERT_EQUAL(got.flags, TCP_SYN);
		/* A refusal by another queue finds the connection. */
		struct tcp_hdr rst = {.src_port = 80,
				      .dst_port = got.src_port,
				      .ack = got.seq + 1,
				      .flags = TCP_RST | TCP_ACK};

		wire_tcp(&w, (i + 1) % 4, &rst, "");
	}
	for (unsigned i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(sock_connect(s[i], &at, false), -ECONNREFUSED);
		CU_ASSERT_EQUAL(s[i]->conn.queue, i % 4);
		rig_drop(&s[i]);
	}
	wire_close(&w);
}

/* ---- Two stacks, flows that move. ---- */

struct stream {
	struct sock *s;
	uint64_t seed;
	bool is_right;
	pthread_t thread;
};

static void fill(struct prng *p, uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t value = prng_u64(p);

		memcpy(data + i, &value, size - i < sizeof(value) ? size - i : sizeof(value));
	}
}

static void *send_stream(void *arg)
{
	struct stream *m = arg;
	uint8_t *data = malloc(CHUNK);
	struct prng p;

	prng_init(&p, m->seed);
	for (size_t done = 0; done < BULK; done += CHUNK) {
		fill(&p, data, CHUNK);
		if (rig_send(m->s, data, CHUNK) != CHUNK)
			break;
	}
	m->is_right = sock_shutdown(m->s, SHUT_WR) == 0;
	free(data);
	return NULL;
}

static void *recv_stream(void *arg)
{
	struct stream *m = arg;
	uint8_t *data = malloc(CHUNK);
	uint8_t *want = malloc(CHUNK);
	struct prng p;

	prng_init(&p, m->seed);
	m->is_right = true;
	for (size_t done = 0; done < BULK && m->is_right; done += CHUNK) {
		fill(&p, want, CHUNK);
		m->is_right = rig_recv(m->s, data, CHUNK, MSG_WAITALL) == CHUNK &&
			      memcmp(data, want, CHUNK) == 0;
	}
	m->is_right = m->is_right && rig_recv(m->s, data, 1, 0) == 0;
	free(want);
	free(data);
	return NULL;
}

/* Both directions of all connections at once. */
static void move_bytes(struct sock *const *a, struct sock *const *b, uint64_t seed)
{
	struct stream m[4 * STREAMS];

	for (unsigned i = 0; i < 4 * STREAMS; i++) {
		struct sock *s = i % 4 == 0 || i % 4 == 3 ? a[i / 4] : b[i / 4];

		m[i] = (struct stream){.s = s, .seed = seed + i / 2};
		WEFT_ASSERT(thread_start(&m[i].thread, "stream", i % 2 ? recv_stream : send_stream,
					 &m[i]) == 0);
	}
	for (unsigned i = 0; i < 4 * STREAMS; i++) {
		thread_join(m[i].thread);
		CU_ASSERT_TRUE(m[i].is_right);
	}
}

static bool is_empty(void *arg)
{
	const struct weft_stats *stats = rig_stats(arg);

	return stats->conns == 0 && stats->syn_rcvd == 0 && stats->bufs == 0;
}

static void run(const struct rig_config *config, unsigned count, const char *addr)
{
	struct sock *client[STREAMS], *server[STREAMS];
	uint64_t seed = unit_seed();
	struct weft_dev *ends[2];
	struct rig rig;
	int rc;

	WEFT_ASSERT(moving_pair(ends, config->mtu, config->flags, count, MOVE_EVERY, seed) == 0);
	rig.a = rig_stack(config, ends[0], "10.0.0.1", "fd00::1");
	rig.b = rig_stack(config, ends[1], "10.0.0.2", "fd00::2");
	struct sock *l = rig_listen(rig.b, addr, 80, STREAMS);

	for (unsigned i = 0; i < STREAMS; i++) {
		client[i] = rig_connect(rig.a, addr, 80, &rc);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &server[i]), 0);
	}
	move_bytes(client, server, seed);
	CU_ASSERT(rig_stats(rig.a)->counters[C_RX_OTHER_QUEUE] > 0);
	for (unsigned i = 0; i < STREAMS; i++) {
		rig_drop(&client[i]);
		rig_drop(&server[i]);
	}
	rig_drop(&l);
	CU_ASSERT_TRUE(rig_until(is_empty, rig.a, 5000));
	CU_ASSERT_TRUE(rig_until(is_empty, rig.b, 5000));
	rig_close(&rig);
}

static void test_moving_2(void)
{
	struct rig_config config = rig_config_default();

	run(&config, 2, "10.0.0.2");
	config.stack.plain_threads = true;
	run(&config, 2, "fd00::2");
}

static void test_moving_4(void)
{
	struct rig_config config = rig_config_default();

	run(&config, 4, "fd00::2");
	config.flags = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO;
	run(&config, 4, "10.0.0.2");
}

/* A stack with itself: one RX thread, emitters of several queues on one device. */
static void test_loopback(void)
{
	struct sock *client[STREAMS], *server[STREAMS];
	struct wire w;
	int rc;

	wire_open(&w, 4);
	struct sock *l = rig_listen(w.stack, "127.0.0.1", 80, STREAMS);

	for (unsigned i = 0; i < STREAMS; i++) {
		client[i] = rig_connect(w.stack, "127.0.0.1", 80, &rc);
		CU_ASSERT_EQUAL_FATAL(rc, 0);
		CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &server[i]), 0);
	}
	move_bytes(client, server, 1);
	for (unsigned i = 0; i < STREAMS; i++) {
		rig_drop(&client[i]);
		rig_drop(&server[i]);
	}
	rig_drop(&l);
	CU_ASSERT_TRUE(rig_until(is_empty, w.stack, 5000));
	CU_ASSERT_EQUAL(rig_stats(w.stack)->counters[C_RX_OTHER_QUEUE], 0);
	wire_close(&w);
}

UNIT_MAIN("queues", UNIT(passive_stays), UNIT(replies), UNIT(active_spread), UNIT(moving_2),
	  UNIT(moving_4), UNIT(loopback))
