/*
 * Blocked calls and their ends: close and stack_free wake every kind of call, timeouts, refusal,
 * resets; afterwards nothing is left.
 */
#include "rig.h"

#include "net/stack/conn.h"
#include "net/stack/epset.h"

enum call_kind { CALL_RECV, CALL_SEND, CALL_ACCEPT, CALL_CONNECT, CALL_COUNT };

/* A call that blocks in a thread of its own. */
struct call {
	enum call_kind kind;
	struct sock *s; /* with a reference of the thread */
	struct sock_addr peer;
	ssize_t rc;
	pthread_t thread;
};

static ssize_t fill_up(struct sock *s)
{
	static uint8_t data[65536];
	ssize_t n;

	do {
		n = rig_send(s, data, sizeof(data));
	} while (n > 0);
	return n;
}

static void *do_call(void *arg)
{
	struct call *c = arg;
	struct sock *child;
	char byte;

	switch (c->kind) {
	case CALL_RECV:
		c->rc = rig_recv(c->s, &byte, 1, 0);
		break;
	case CALL_SEND:
		c->rc = fill_up(c->s);
		break;
	case CALL_ACCEPT:
		c->rc = sock_accept(c->s, false, &child);
		break;
	case CALL_CONNECT:
		c->rc = sock_connect(c->s, &c->peer, false);
		break;
	case CALL_COUNT:
	default:
		break;
	}
	sock_put(&c->s);
	return NULL;
}

static void start_call(struct call *c, enum call_kind kind, struct sock *s)
{
	c->kind = kind;
	c->s = sock_get(s);
	WEFT_ASSERT(thread_start(&c->thread, "call", do_call, c) == 0);
}

/* Sockets with a call of each kind blocked on them. */
struct blocked {
	struct rig rig;
	struct sock *client, *server, *writer, *writer_peer, *listener, *connector;
	struct call call[CALL_COUNT];
};

static void block_all(struct blocked *b)
{
	struct rig_config config = rig_config_default();

	rig_open(&b->rig, &config);
	rig_pair(&b->rig, &b->client, &b->server);
	rig_pair(&b->rig, &b->writer, &b->writer_peer);
	b->listener = rig_listen(b->rig.a, "10.0.0.1", 99, 4);
	WEFT_ASSERT(sock_new(b->rig.a, false, &b->connector) == 0);
	/* Nobody has this address: the SYNs get no answer. */
	b->call[CALL_CONNECT].peer = rig_at("10.0.0.77", 5);
	start_call(&b->call[CALL_RECV], CALL_RECV, b->client);
	start_call(&b->call[CALL_SEND], CALL_SEND, b->writer);
	start_call(&b->call[CALL_ACCEPT], CALL_ACCEPT, b->listener);
	start_call(&b->call[CALL_CONNECT], CALL_CONNECT, b->connector);
	rig_settle(50);
}

static void join_all(struct blocked *b, ssize_t want)
{
	for (int i = 0; i < CALL_COUNT; i++) {
		thread_join(b->call[i].thread);
		CU_ASSERT_EQUAL(b->call[i].rc, want);
	}
}

static bool has_no_objects(void *arg)
{
	return rig_stats(arg)->objects == 0;
}

static void test_close_wakes(void)
{
	struct blocked b = {0};

	block_all(&b);
	rig_drop(&b.client);
	rig_drop(&b.writer);
	rig_drop(&b.listener);
	rig_drop(&b.connector);
	join_all(&b, -EBADF);
	rig_drop(&b.server);
	rig_drop(&b.writer_peer);
	CU_ASSERT_EQUAL(rig_stats(b.rig.a)->sockets, 0);
	rig_close(&b.rig);
}

static void test_stack_free_wakes(void)
{
	struct blocked b = {0};

	block_all(&b);
	sock_put(&b.client);
	sock_put(&b.writer);
	sock_put(&b.listener);
	sock_put(&b.connector);
	stack_free(b.rig.a);
	b.rig.a = NULL;
	join_all(&b, -ESHUTDOWN);
	rig_drop(&b.server);
	rig_drop(&b.writer_peer);
	rig_close(&b.rig);
}

/* Of an epoll set, with a reference of the thread. */
struct set_wait {
	struct conn *set;
	int rc;
};

static void *wait_set(void *arg)
{
	struct set_wait *w = arg;
	struct epoll_event ev;

	w->rc = epset_wait(w->set, &ev, 1, WEFT_TIME_NEVER);
	conn_put(&w->set);
	return NULL;
}

/* Whether the wait began before that or not: who has a reference hears of the stack's end. */
static void test_stack_free_ends_sets(void)
{
	struct rig_config config = rig_config_default();
	struct set_wait w;
	struct conn *set;
	pthread_t thread;
	struct rig rig;

	rig_open(&rig, &config);
	CU_ASSERT_EQUAL_FATAL(epset_new(rig.a, &set), 0);
	w.set = conn_get(set);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "wait", wait_set, &w), 0);
	conn_put(&set);
	stack_free(rig.a);
	rig.a = NULL;
	thread_join(thread);
	CU_ASSERT_EQUAL(w.rc, -ESHUTDOWN);
	rig_close(&rig);
}

static void test_shutdown_wakes(void)
{
	struct blocked b = {0};

	block_all(&b);
	CU_ASSERT_EQUAL(sock_shutdown(b.client, SHUT_RD), 0);
	CU_ASSERT_EQUAL(sock_shutdown(b.writer, SHUT_WR), 0);
	CU_ASSERT_EQUAL(sock_shutdown(b.listener, SHUT_RDWR), 0);
	CU_ASSERT_EQUAL(sock_shutdown(b.connector, SHUT_RDWR), 0);
	for (int i = 0; i < CALL_COUNT; i++)
		thread_join(b.call[i].thread);
	CU_ASSERT_EQUAL(b.call[CALL_RECV].rc, 0);
	CU_ASSERT_EQUAL(b.call[CALL_SEND].rc, -EPIPE);
	CU_ASSERT_EQUAL(b.call[CALL_ACCEPT].rc, -EINVAL);
	CU_ASSERT_EQUAL(b.call[CALL_CONNECT].rc, -ECONNRESET);
	rig_drop(&b.client);
	rig_drop(&b.writer);
	rig_drop(&b.listener);
	rig_drop(&b.connector);
	rig_drop(&b.server);
	rig_drop(&b.writer_peer);
	rig_close(&b.rig);
}

static void test_refused(void)
{
	struct rig_config config = rig_config_default();
	struct sock_addr at = rig_at("10.0.0.2", 9);
	struct rig rig;
	struct sock *s, *l, *server;
	int rc;

	rig_open(&rig, &config);
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "10.0.0.2", 9, &rc));
	CU_ASSERT_EQUAL(rc, -ECONNREFUSED);
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "224.0.0.1", 9, &rc));
	CU_ASSERT_EQUAL(rc, -ENETUNREACH);
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "255.255.255.255", 9, &rc));
	CU_ASSERT_EQUAL(rc, -ENETUNREACH);
	CU_ASSERT_PTR_NULL(rig_connect(rig.a, "10.0.0.255", 9, &rc));
	CU_ASSERT_EQUAL(rc, -ENETUNREACH);
	/* The same socket may try again. */
	WEFT_ASSERT(sock_new(rig.a, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_connect(s, &at, false), -ECONNREFUSED);
	CU_ASSERT_EQUAL(sock_connect(s, &at, false), -ECONNREFUSED);
	l = rig_listen(rig.b, "10.0.0.2", 9, 1);
	CU_ASSERT_EQUAL(sock_connect(s, &at, false), 0);
	CU_ASSERT_EQUAL(sock_connect(s, &at, false), -EISCONN);
	CU_ASSERT_EQUAL(sock_accept(l, false, &server), 0);
	rig_drop(&s);
	rig_drop(&server);
	rig_drop(&l);
	rig_close(&rig);
}

static void test_nonblock_connect(void)
{
	struct rig_config config = rig_config_default();
	struct sock_addr at = rig_at("10.0.0.77", 9);
	struct rig rig;
	struct sock *s;

	rig_open(&rig, &config);
	WEFT_ASSERT(sock_new(rig.a, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_connect(s, &at, true), -EINPROGRESS);
	CU_ASSERT_EQUAL(sock_connect(s, &at, true), -EALREADY);
	rig_drop(&s);
	WEFT_ASSERT(sock_new(rig.a, false, &s) == 0);
	CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_SNDTIMEO, 20 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(sock_connect(s, &at, false), -EINPROGRESS);
	rig_drop(&s);
	rig_close(&rig);
}

static void test_timeouts(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server, *l, *child;
	char byte;

	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	l = rig_listen(rig.a, "10.0.0.1", 99, 4);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_RCVTIMEO, 20 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_SNDTIMEO, 20 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_RCVTIMEO, 20 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(rig_recv(client, &byte, 1, 0), -EAGAIN);
	CU_ASSERT_EQUAL(fill_up(client), -EAGAIN);
	CU_ASSERT_EQUAL(sock_accept(l, false, &child), -EAGAIN);
	CU_ASSERT_EQUAL(sock_accept(l, true, &child), -EAGAIN);
	rig_drop(&client);
	rig_drop(&server);
	rig_drop(&l);
	rig_close(&rig);
}

static bool is_reset(void *arg)
{
	char byte;

	return rig_recv(arg, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != -EAGAIN;
}

/* As Linux: the data first, then ECONNRESET once, then 0; for a writer ECONNRESET, then EPIPE. */
static void test_reset(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server;
	char data[8];
	int64_t error;

	rig_open(&rig, &config);
	for (int i = 0; i < 3; i++) {
		rig_pair(&rig, &client, &server);
		CU_ASSERT_EQUAL(rig_send(client, "last", 4), 4);
		CU_ASSERT_TRUE(rig_until(is_reset, server, 1000));
		CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_LINGER, 0), 0);
		rig_drop(&client);
		rig_settle(20);
		CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), 0), 4);
		if (i == 0) {
			CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), 0), -ECONNRESET);
		} else if (i == 1) {
			CU_ASSERT_EQUAL(rig_send(server, "x", 1), -ECONNRESET);
		} else {
			CU_ASSERT_EQUAL(sock_getopt(server, SOCK_OPT_ERROR, &error), 0);
			CU_ASSERT_EQUAL(error, ECONNRESET);
		}
		CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), 0), 0);
		CU_ASSERT_EQUAL(rig_send(server, "x", 1), -EPIPE);
		rig_drop(&server);
	}
	CU_ASSERT_TRUE(rig_until(has_no_objects, rig.b, 2000));
	rig_close(&rig);
}

static void test_unread_data_resets(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server;
	char byte;

	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(rig_send(client, "unread", 6), 6);
	CU_ASSERT_TRUE(rig_until(is_reset, server, 1000));
	rig_drop(&server);
	CU_ASSERT_EQUAL(rig_recv(client, &byte, 1, 0), -ECONNRESET);
	rig_drop(&client);
	CU_ASSERT_TRUE(rig_until(has_no_objects, rig.a, 2000));
	rig_close(&rig);
}

static void test_linger_waits(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *client, *server;
	char data[8];

	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_LINGER, 5), 0);
	CU_ASSERT_EQUAL(rig_send(client, "bye", 3), 3);
	rig_drop(&client); /* returns when the FIN is acknowledged, long before 5 s */
	CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), MSG_DONTWAIT), 3);
	CU_ASSERT_EQUAL(rig_recv(server, data, sizeof(data), MSG_DONTWAIT), 0);
	rig_drop(&server);
	rig_close(&rig);
}

static bool has_time_wait(void *arg)
{
	return rig_stats(arg)->time_wait == 1;
}

/* Half-open and TIME-WAIT records and queued children are gone with the stack, too. */
static void test_free_with_records(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;
	struct sock *l, *client[3], *half, *server;
	struct sock_addr at = rig_at("10.0.0.77", 9);
	int rc;

	rig_open(&rig, &config);
	rig_pair(&rig, &half, &server);
	rig_drop(&half);
	rig_drop(&server);
	CU_ASSERT_TRUE(rig_until(has_time_wait, rig.a, 2000));
	l = rig_listen(rig.b, "10.0.0.2", 80, 8);
	for (int i = 0; i < 3; i++)
		client[i] = rig_connect(rig.a, "10.0.0.2", 80, &rc);
	WEFT_ASSERT(sock_new(rig.a, false, &half) == 0);
	CU_ASSERT_EQUAL(sock_connect(half, &at, true), -EINPROGRESS);
	for (int i = 0; i < 3; i++)
		sock_put(&client[i]);
	sock_put(&half);
	sock_put(&l);
	rig_close(&rig);
}

/* Many threads that connect, talk and close; then every count is zero. */
enum { CROWD = 200, ROUNDS = 5 };

struct crowd {
	struct rig *rig;
	struct sock *listener;
	atomic_int echoed;
};

static void *serve_one(void *arg)
{
	struct sock *s = arg;
	char data[64];
	ssize_t n;

	while ((n = rig_recv(s, data, sizeof(data), 0)) > 0)
		if (rig_send(s, data, (size_t)n) != n)
			break;
	rig_drop(&s);
	return NULL;
}

static void *server_main(void *arg)
{
	struct crowd *c = arg;
	struct sock *s;

	while (sock_accept(c->listener, false, &s) == 0)
		serve_one(s);
	return NULL;
}

static void *client_main(void *arg)
{
	struct crowd *c = arg;
	char data[64] = "hello";
	int rc;

	for (int i = 0; i < ROUNDS; i++) {
		struct sock *s = rig_connect(c->rig->a, "10.0.0.2", 80, &rc);

		if (!s) {
			fprintf(stderr, "connect %d\n", rc);
			continue;
		}
		if (rig_send(s, data, 5) == 5 && sock_shutdown(s, SHUT_WR) == 0 &&
		    rig_recv(s, data, 5, MSG_WAITALL) == 5 && rig_recv(s, data, 1, 0) == 0)
			atomic_fetch_add(&c->echoed, 1);
		rig_drop(&s);
	}
	return NULL;
}

static bool has_no_bufs(void *arg)
{
	const struct weft_stats *stats = rig_stats(arg);

	return stats->bufs == 0 && stats->conns == 0;
}

static void test_crowd(void)
{
	struct rig_config config = rig_config_default();
	pthread_t clients[CROWD], servers[16];
	struct rig rig;
	struct crowd crowd = {.rig = &rig};

	config.stack.tcp.time_wait = 100 * US_PER_MS;
	rig_open(&rig, &config);
	crowd.listener = rig_listen(rig.b, "10.0.0.2", 80, 256);
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		WEFT_ASSERT(thread_start(&servers[i], "server", server_main, &crowd) == 0);
	for (size_t i = 0; i < CROWD; i++)
		WEFT_ASSERT(thread_start(&clients[i], "client", client_main, &crowd) == 0);
	for (size_t i = 0; i < CROWD; i++)
		thread_join(clients[i]);
	CU_ASSERT_EQUAL(atomic_load(&crowd.echoed), CROWD * ROUNDS);
	CU_ASSERT_EQUAL(sock_shutdown(crowd.listener, SHUT_RDWR), 0);
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		thread_join(servers[i]);
	rig_drop(&crowd.listener);
	CU_ASSERT_TRUE(rig_until(has_no_bufs, rig.a, 2000));
	CU_ASSERT_TRUE(rig_until(has_no_bufs, rig.b, 2000));
	CU_ASSERT_TRUE(rig_until(has_no_objects, rig.a, 3000));
	CU_ASSERT_TRUE(rig_until(has_no_objects, rig.b, 3000));
	rig_close(&rig);
}

UNIT_MAIN("life", UNIT(refused), UNIT(nonblock_connect), UNIT(timeouts), UNIT(reset),
	  UNIT(unread_data_resets), UNIT(linger_waits), UNIT(close_wakes), UNIT(stack_free_wakes),
	  UNIT(stack_free_ends_sets), UNIT(shutdown_wakes), UNIT(free_with_records), UNIT(crowd))
