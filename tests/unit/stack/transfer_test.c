/* Two stacks over a cable: connections, data both ways, half close, families, lossy cables. */
#include "rig.h"

enum { CHUNK = 60000 };

/* Sends 'size' pseudo-random bytes of 'seed' and ends the direction. */
struct mover {
	struct sock *s;
	uint64_t seed;
	size_t size;
	size_t moved;
	bool is_right;
	pthread_t thread;
};

static void fill(struct prng *p, uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)prng_u64(p);
}

static void *send_all(void *arg)
{
	struct mover *m = arg;
	uint8_t *data = malloc(CHUNK);
	struct prng p;

	prng_init(&p, m->seed);
	while (m->moved < m->size) {
		size_t want = 1 + prng_below(&p, CHUNK);

		if (want > m->size - m->moved)
			want = m->size - m->moved;
		fill(&p, data, want);
		if (rig_send(m->s, data, want) != (ssize_t)want)
			break;
		m->moved += want;
	}
	m->is_right = sock_shutdown(m->s, SHUT_WR) == 0;
	free(data);
	return NULL;
}

static void *recv_all(void *arg)
{
	struct mover *m = arg;
	uint8_t *data = malloc(CHUNK);
	uint8_t *want = malloc(CHUNK);
	struct prng p;

	prng_init(&p, m->seed);
	m->is_right = true;
	while (m->moved < m->size) {
		size_t size = 1 + prng_below(&p, CHUNK);

		if (size > m->size - m->moved)
			size = m->size - m->moved;
		fill(&p, want, size);
		ssize_t n = rig_recv(m->s, data, size, MSG_WAITALL);

		if (n != (ssize_t)size || memcmp(data, want, size) != 0) {
			fprintf(stderr, "recv %zd of %zu at %zu\n", n, size, m->moved);
			m->is_right = false;
			break;
		}
		m->moved += size;
	}
	m->is_right = m->is_right && rig_recv(m->s, data, 1, 0) == 0;
	free(want);
	free(data);
	return NULL;
}

/* 'size' bytes each way at once. */
static void transfer(struct sock *a, struct sock *b, size_t size)
{
	struct mover m[4] = {
		{.s = a, .seed = 1, .size = size},
		{.s = b, .seed = 1, .size = size},
		{.s = b, .seed = 2, .size = size},
		{.s = a, .seed = 2, .size = size},
	};

	for (int i = 0; i < 4; i++)
		WEFT_ASSERT(thread_start(&m[i].thread, "mover", i % 2 ? recv_all : send_all,
					 &m[i]) == 0);
	for (int i = 0; i < 4; i++) {
		thread_join(m[i].thread);
		CU_ASSERT_EQUAL(m[i].moved, size);
		CU_ASSERT_TRUE(m[i].is_right);
	}
}

static bool is_empty(void *arg)
{
	const struct weft_stats *stats = rig_stats(arg);

	return stats->conns == 0 && stats->syn_rcvd == 0 && stats->bufs == 0;
}

static void run(const struct rig_config *config, const char *addr, size_t size)
{
	struct rig rig;
	struct sock *l, *client, *server;
	int rc;

	rig_open(&rig, config);
	l = rig_listen(rig.b, addr, 80, 8);
	client = rig_connect(rig.a, addr, 80, &rc);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &server), 0);
	transfer(client, server, size);
	rig_drop(&client);
	rig_drop(&server);
	rig_drop(&l);
	CU_ASSERT_TRUE(rig_until(is_empty, rig.a, 2000));
	CU_ASSERT_TRUE(rig_until(is_empty, rig.b, 2000));
	rig_close(&rig);
}

static void test_plain_device(void)
{
	struct rig_config config = rig_config_default();

	run(&config, "10.0.0.2", 10u << 20);
}

static void test_offload_device(void)
{
	struct rig_config config = rig_config_default();

	config.flags = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO;
	run(&config, "10.0.0.2", 10u << 20);
}

static void test_ipv6(void)
{
	struct rig_config config = rig_config_default();

	run(&config, "fd00::2", 2u << 20);
	config.flags = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO;
	run(&config, "fd00::2", 2u << 20);
}

static void test_lossy_cable(void)
{
	struct rig_config config = rig_config_default();
	const struct weft_fault fault = {
		.seed = unit_seed(), .loss_ppm = 10000, .dup_ppm = 10000, .reorder_ppm = 10000};

	config.fault = &fault;
	config.stack.tcp.rto_min = 20 * US_PER_MS;
	config.stack.tcp.rto_initial = 50 * US_PER_MS;
	run(&config, "10.0.0.2", 300000);
}

static void test_half_close(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server;
	char data[16];

	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(rig_send(client, "ask", 3), 3);
	CU_ASSERT_EQUAL(sock_shutdown(client, SHUT_WR), 0);
	CU_ASSERT_EQUAL(rig_send(client, "x", 1), -EPIPE);
	CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), MSG_WAITALL), 3);
	CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), 0), 0);
	CU_ASSERT_EQUAL(rig_send(server, "answer", 6), 6);
	CU_ASSERT_EQUAL(rig_recv(client, data, 6, MSG_WAITALL), 6);
	CU_ASSERT_EQUAL(memcmp(data, "answer", 6), 0);
	CU_ASSERT_EQUAL(sock_shutdown(server, SHUT_WR), 0);
	CU_ASSERT_EQUAL(rig_recv(client, data, sizeof(data), 0), 0);
	rig_drop(&client);
	rig_drop(&server);
	rig_close(&rig);
}

static void test_peek_and_trunc(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server;
	char data[16];

	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(rig_recv(server, data, 1, MSG_DONTWAIT), -EAGAIN);
	CU_ASSERT_EQUAL(rig_send(client, "abcdef", 6), 6);
	CU_ASSERT_EQUAL(rig_recv(server, data, 6, MSG_PEEK | MSG_WAITALL), 6);
	CU_ASSERT_EQUAL(rig_recv(server, data, 2, 0), 2);
	CU_ASSERT_EQUAL(memcmp(data, "ab", 2), 0);
	CU_ASSERT_EQUAL(rig_recv(server, NULL, 2, MSG_TRUNC), 2);
	CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), 0), 2);
	CU_ASSERT_EQUAL(memcmp(data, "ef", 2), 0);
	rig_drop(&client);
	rig_drop(&server);
	rig_close(&rig);
}

/* One stack with itself: no device is touched. */
static void test_loopback(void)
{
	static const char *const addrs[] = {"127.0.0.1", "10.0.0.1", "::1", "fd00::1"};
	struct rig_config config = rig_config_default();
	struct rig rig;
	int rc;

	rig_open(&rig, &config);
	for (size_t i = 0; i < ARRAY_SIZE(addrs); i++) {
		struct sock *l = rig_listen(rig.a, addrs[i], (uint16_t)(100 + i), 4);
		struct sock *client = rig_connect(rig.a, addrs[i], (uint16_t)(100 + i), &rc);
		struct sock *server;

		CU_ASSERT_EQUAL_FATAL(rc, 0);
		CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &server), 0);
		transfer(client, server, 1u << 20);
		rig_drop(&client);
		rig_drop(&server);
		rig_drop(&l);
	}
	CU_ASSERT_TRUE(rig_until(is_empty, rig.a, 2000));
	CU_ASSERT_EQUAL(rig_stats(rig.b)->counters[C_PKT_IN], 0);
	rig_close(&rig);
}

/* ---- Wake-ups. ---- */

struct reader {
	struct sock *s;
	int flags;
	ssize_t got;
	pthread_t thread;
};

static void *read_thousand(void *arg)
{
	struct reader *r = arg;
	char data[1000];

	r->got = rig_recv(r->s, data, sizeof(data), r->flags);
	return NULL;
}

/* However the bytes come, the reader is woken once, for all it waits for. */
static void feed_bytewise(uint32_t lowat, int flags)
{
	struct rig_config config = rig_config_default();
	struct sock *client, *server;
	struct rig rig;

	config.stack.plain_threads = true; /* a reader that reads packets itself needs no wake-up */
	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_NODELAY, 1), 0);
	CU_ASSERT_EQUAL(sock_setopt(server, SOCK_OPT_RCVLOWAT, lowat), 0);
	struct reader r = {.s = server, .flags = flags};
	uint64_t before = rig_stats(rig.b)->counters[C_READER_WAKES];

	pthread_create(&r.thread, NULL, read_thousand, &r);
	for (unsigned i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(rig_send(client, "x", 1), 1);
	pthread_join(r.thread, NULL);
	CU_ASSERT_EQUAL(r.got, 1000);
	CU_ASSERT(rig_stats(rig.b)->counters[C_READER_WAKES] - before <= 1);
	rig_drop(&client);
	rig_drop(&server);
	rig_close(&rig);
}

static void test_reader_is_woken_for_what_it_waits_for(void)
{
	feed_bytewise(1000, 0);
	feed_bytewise(1, MSG_WAITALL);
}

UNIT_MAIN("transfer", UNIT(half_close), UNIT(peek_and_trunc), UNIT(plain_device),
	  UNIT(offload_device), UNIT(ipv6), UNIT(lossy_cable), UNIT(loopback),
	  UNIT(reader_is_woken_for_what_it_waits_for))
