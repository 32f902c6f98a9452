/*
 * Running out of memory: senders that wait for buffers, at the limit and past it, and everything that
 * ends their waiting.  The test itself holds the buffers that are missing.
 */
#include "net/base/buf.h"
#include "net/base/gate.h"
#include "net/stack/epset.h"
#include "net/stack/proto.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "rig.h"

enum { HELD_MAX = 4096, SENDERS = 4, ROUNDS = 50 };

/* All of a stack's memory, but for what is lent. */
struct hoard {
	struct buf *held[HELD_MAX];
	int count;
};

/* Takes buffers of 'size' bytes until there is none. */
static void take_all(struct hoard *h, struct stack *stack, size_t size)
{
	struct buf *b;

	while (h->count < HELD_MAX && (b = buf_new(stack->pool, size)))
		h->held[h->count++] = b;
	CU_ASSERT_FATAL(h->count < HELD_MAX);
}

static void exhaust(struct hoard *h, struct stack *stack)
{
	take_all(h, stack, 66560);
	take_all(h, stack, 512);
	CU_ASSERT_FALSE(bufpool_has_room(stack->pool, 1));
}

static void give_one(struct hoard *h)
{
	CU_ASSERT_FATAL(h->count > 0);
	buf_put(&h->held[--h->count]);
}

static void give_all(struct hoard *h)
{
	while (h->count > 0)
		give_one(h);
}

/* Two stacks; at the end of it all memory is back. */
struct bed {
	struct rig rig;
	struct sock *client, *server;
	struct hoard hoard;
};

static void bed_open(struct bed *bed)
{
	struct rig_config config = rig_config_default();

	config.stack.buf_bytes_max = 4u << 20;
	config.stack.tcp.delack = US_PER_MS; /* an ACK gives memory back */
	bed->hoard.count = 0;
	rig_open(&bed->rig, &config);
	rig_pair(&bed->rig, &bed->client, &bed->server);
}

static bool has_no_bufs(void *stack)
{
	return rig_stats(stack)->bufs == 0;
}

static void bed_close(struct bed *bed)
{
	give_all(&bed->hoard);
	rig_drop(&bed->client);
	rig_drop(&bed->server);
	CU_ASSERT_TRUE(rig_until(has_no_bufs, bed->rig.a, 5000));
	CU_ASSERT_EQUAL(atomic_load(&bufpool_gate(bed->rig.a->pool)->inside), 0);
	rig_close(&bed->rig);
}

/* A blocking send in a thread of its own. */
struct sender {
	struct sock *s;
	const uint8_t *data;
	size_t size;
	ssize_t rc;
	pthread_t thread;
};

static void *send_all(void *arg)
{
	struct sender *w = arg;

	w->rc = rig_send(w->s, w->data, w->size);
	sock_put(&w->s);
	return NULL;
}

static void start_sender(struct sender *w, struct sock *s, const void *data, size_t size)
{
	*w = (struct sender){.s = sock_get(s), .data = data, .size = size};
	CU_ASSERT_FATAL(thread_start(&w->thread, "send", send_all, w) == 0);
}

struct wait_count {
	struct stack *stack;
	uint64_t count;
};

static bool has_waits(void *arg)
{
	const struct wait_count *w = arg;

	return rig_stats(w->stack)->counters[C_MEM_WAITS] >= w->count;
}

/* Until senders have begun to wait for memory 'count' times since the stack began. */
static void await_waits(struct stack *stack, uint64_t count)
{
	struct wait_count w = {.stack = stack, .count = count};

	CU_ASSERT_TRUE(rig_until(has_waits, &w, 5000));
}

static ssize_t send_now(struct sock *s, const void *data, size_t size)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

	return sock_send(s, &iov, 1, MSG_DONTWAIT);
}

/* The smallest buffer left is used, also for more than fits it; then there is EAGAIN. */
static void test_limit_without_waiting(void)
{
	static uint8_t data[100000];
	static struct bed bed;
	uint8_t got[600];

	bed_open(&bed);
	exhaust(&bed.hoard, bed.rig.a);
	CU_ASSERT_EQUAL(send_now(bed.client, data, 1), -EAGAIN);
	CU_ASSERT_EQUAL(send_now(bed.client, data, sizeof(data)), -EAGAIN);
	give_one(&bed.hoard);
	/* All of it, if the ACK that gives the buffer back is there before the second look. */
	ssize_t sent = send_now(bed.client, data, 600);

	CU_ASSERT(sent == 512 || sent == 600);
	CU_ASSERT_EQUAL(rig_recv(bed.server, got, (size_t)sent, MSG_WAITALL), sent);
	CU_ASSERT_EQUAL(rig_stats(bed.rig.a)->counters[C_MEM_WAITS], 0);
	bed_close(&bed);
}

/* A sender sleeps without memory, goes on with each buffer, and every byte arrives in its place. */
static void test_waits_for_memory(void)
{
	static uint8_t data[20000], got[sizeof(data)];
	struct sender w;
	static struct bed bed;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
	bed_open(&bed);
	exhaust(&bed.hoard, bed.rig.a);
	start_sender(&w, bed.client, data, sizeof(data));
	await_waits(bed.rig.a, 1);
	give_one(&bed.hoard); /* goes round: the ACK gives it back to the pool, and that wakes */
	CU_ASSERT_EQUAL(rig_recv(bed.server, got, sizeof(got), MSG_WAITALL), sizeof(got));
	thread_join(w.thread);
	CU_ASSERT_EQUAL(w.rc, sizeof(data));
	CU_ASSERT_EQUAL(memcmp(got, data, sizeof(data)), 0);
	CU_ASSERT(rig_stats(bed.rig.a)->counters[C_MEM_WAITS] > 1);
	bed_close(&bed);
}

static void test_timeout(void)
{
	static struct bed bed;

	bed_open(&bed);
	exhaust(&bed.hoard, bed.rig.a);
	CU_ASSERT_EQUAL(sock_setopt(bed.client, SOCK_OPT_SNDTIMEO, 20 * US_PER_MS), 0);
	weft_time_us start = clock_monotonic_us();

	CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), -EAGAIN);
	CU_ASSERT(clock_monotonic_us() - start >= 20 * US_PER_MS);
	CU_ASSERT_EQUAL(rig_stats(bed.rig.a)->counters[C_MEM_WAITS], 1);
	give_one(&bed.hoard);
	CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
	bed_close(&bed);
}

/* What ends a wait for memory, and the error that says so. */
static void end_by_close(struct bed *bed)
{
	rig_drop(&bed->client);
}

static void end_by_shutdown(struct bed *bed)
{
	CU_ASSERT_EQUAL(sock_shutdown(bed->client, SHUT_WR), 0);
}

static void end_by_reset(struct bed *bed)
{
	CU_ASSERT_EQUAL(sock_setopt(bed->server, SOCK_OPT_LINGER, 0), 0);
	rig_drop(&bed->server);
}

static void test_ends(void)
{
	static const struct {
		void (*end)(struct bed *bed);
		ssize_t rc;
	} ends[] = {{end_by_close, -EBADF}, {end_by_shutdown, -EPIPE}, {end_by_reset, -ECONNRESET}};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct sender w;
		static struct bed bed;

		bed_open(&bed);
		exhaust(&bed.hoard, bed.rig.a);
		start_sender(&w, bed.client, (const uint8_t *)"x", 1);
		await_waits(bed.rig.a, 1);
		ends[i].end(&bed);
		thread_join(w.thread);
		CU_ASSERT_EQUAL(w.rc, ends[i].rc);
		bed_close(&bed);
	}
}

static void test_stop(void)
{
	struct sender w;
	static struct bed bed;

	bed_open(&bed);
	exhaust(&bed.hoard, bed.rig.a);
	start_sender(&w, bed.client, (const uint8_t *)"x", 1);
	await_waits(bed.rig.a, 1);
	sock_put(&bed.client);
	/* stack_free wants all buffers back; the wake-up by one of them may come first. */

	give_all(&bed.hoard);
	stack_free(bed.rig.a);
	bed.rig.a = NULL;
	thread_join(w.thread);
	CU_ASSERT(w.rc == 1 || w.rc == -ESHUTDOWN);
	rig_drop(&bed.server);
	rig_close(&bed.rig);
}

/* One buffer for many senders, time after time: each gets its turn. */
static void test_many_senders(void)
{
	static uint8_t got[SENDERS];
	struct sender w[SENDERS];
	static struct bed bed;

	bed_open(&bed);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t waits = rig_stats(bed.rig.a)->counters[C_MEM_WAITS];

		exhaust(&bed.hoard, bed.rig.a);
		for (int i = 0; i < SENDERS; i++)
			start_sender(&w[i], bed.client, (const uint8_t *)"y", 1);
		await_waits(bed.rig.a, waits + SENDERS);
		give_one(&bed.hoard);
		CU_ASSERT_EQUAL(rig_recv(bed.server, got, SENDERS, MSG_WAITALL), SENDERS);
		for (int i = 0; i < SENDERS; i++) {
			thread_join(w[i].thread);
			CU_ASSERT_EQUAL(w[i].rc, 1);
		}
		give_all(&bed.hoard);
		/* Nothing is left to be packed into. */
		CU_ASSERT_TRUE(rig_until(has_no_bufs, bed.rig.a, 5000));
	}
	bed_close(&bed);
}

/* The one who is woken may be closed at that moment: then another is woken. */
static void test_wakeup_goes_on(void)
{
	struct sender w[2];
	static struct bed bed;
	struct sock *client, *server;
	char byte;

	for (int round = 0; round < ROUNDS; round++) {
		bed_open(&bed);
		rig_pair(&bed.rig, &client, &server);
		exhaust(&bed.hoard, bed.rig.a);
		start_sender(&w[0], bed.client, (const uint8_t *)"x", 1);
		await_waits(bed.rig.a, 1);
		start_sender(&w[1], client, (const uint8_t *)"y", 1);
		await_waits(bed.rig.a, 2);
		give_one(&bed.hoard); /* for the first one, most likely */
		rig_drop(&bed.client);
		CU_ASSERT_EQUAL(rig_recv(server, &byte, 1, 0), 1);
		CU_ASSERT_EQUAL(byte, 'y');
		for (int i = 0; i < 2; i++)
			thread_join(w[i].thread);
		CU_ASSERT(w[0].rc == 1 || w[0].rc == -EBADF);
		CU_ASSERT_EQUAL(w[1].rc, 1);
		rig_drop(&client);
		rig_drop(&server);
		bed_close(&bed);
	}
}

/* The limit has room, the system has none: nobody tells when that is over, the sender looks again. */
static void test_system_without_memory(void)
{
	struct sender w;
	static struct bed bed;
	char byte;

	bed_open(&bed);
	bufpool_fail_after(bed.rig.a->pool, BUFPOOL_FAIL_ALL);
	CU_ASSERT_EQUAL(send_now(bed.client, "z", 1), -EAGAIN);
	start_sender(&w, bed.client, (const uint8_t *)"z", 1);
	await_waits(bed.rig.a, 3);
	bufpool_fail_after(bed.rig.a->pool, 0);
	CU_ASSERT_EQUAL(rig_recv(bed.server, &byte, 1, 0), 1);
	thread_join(w.thread);
	CU_ASSERT_EQUAL(w.rc, 1);
	bed_close(&bed);
}

/* One event of room, or none now. */
static int wait_room(struct bed *bed, struct conn *set, bool may_sleep)
{
	weft_time_us until = stack_now(bed->rig.a) + 5 * US_PER_S;
	struct epoll_event ev = {0};
	int n = epset_wait(set, &ev, 1, may_sleep ? until : -1);

	CU_ASSERT(n == 0 || ev.events == EPOLLOUT);
	return n;
}

/* Who is refused and waits for readiness hears of memory, by an edge or by the level. */
static void test_told_of_memory(void)
{
	static const uint32_t modes[] = {EPOLLOUT | (uint32_t)EPOLLET, EPOLLOUT};
	static struct bed bed;
	struct conn *set;

	bed_open(&bed);
	CU_ASSERT_EQUAL_FATAL(epset_new(bed.rig.a, &set), 0);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct epoll_event ev = {.events = modes[i]};

		CU_ASSERT_EQUAL(epset_ctl(set, EPOLL_CTL_ADD, 1, &bed.client->conn, &ev), 0);
		CU_ASSERT_EQUAL(wait_room(&bed, set, true), 1);
		exhaust(&bed.hoard, bed.rig.a);
		CU_ASSERT_EQUAL(send_now(bed.client, "x", 1), -EAGAIN);
		CU_ASSERT_EQUAL(wait_room(&bed, set, false), 0);
		give_one(&bed.hoard); /* by somebody else */
		CU_ASSERT_EQUAL(wait_room(&bed, set, true), 1);
		CU_ASSERT_EQUAL(send_now(bed.client, "x", 1), 1);
		/* All of it, if the ACK is there before the second look. */
		ssize_t sent = send_now(bed.client, (char[600]){0}, 600);

		CU_ASSERT(sent == 600 || wait_room(&bed, set, true) == 1);
		give_all(&bed.hoard);
		CU_ASSERT_EQUAL(epset_ctl(set, EPOLL_CTL_DEL, 1, &bed.client->conn, NULL), 0);
		CU_ASSERT_TRUE(rig_until(has_no_bufs, bed.rig.a, 5000) || i == 0);
	}
	proto_of(set)->close(set);
	conn_put(&set);
	bed_close(&bed);
}

static ssize_t send_datagram(struct conn *c)
{
	struct sock_addr to = rig_at("10.0.0.2", 9);
	struct iovec iov = {(char[]){"x"}, 1};
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = MSG_DONTWAIT, .name = &to};

	return proto_of(c)->send(c, &msg);
}

/* So does who sends datagrams, with an eventfd on the set and without. */
static void test_datagrams_told_of_memory(void)
{
	static struct bed bed;
	struct conn *set, *c;

	for (int with_eventfd = 0; with_eventfd < 2; with_eventfd++) {
		struct epoll_event ev = {.events = EPOLLOUT | (uint32_t)EPOLLET};

		bed_open(&bed);
		CU_ASSERT_EQUAL_FATAL(epset_new(bed.rig.a, &set), 0);
		CU_ASSERT_EQUAL_FATAL(proto_new_dgram(bed.rig.a, &proto_udp, false, &c), 0);
		if (with_eventfd)
			CU_ASSERT(epset_eventfd(set) >= 0);
		CU_ASSERT_EQUAL(epset_ctl(set, EPOLL_CTL_ADD, 1, c, &ev), 0);
		CU_ASSERT_EQUAL(wait_room(&bed, set, true), 1);
		exhaust(&bed.hoard, bed.rig.a);
		CU_ASSERT_EQUAL(send_datagram(c), -EAGAIN);
		CU_ASSERT_EQUAL(proto_of(c)->ready(c) & EPOLLOUT, 0);
		CU_ASSERT_EQUAL(wait_room(&bed, set, false), 0);
		give_one(&bed.hoard);
		CU_ASSERT_EQUAL(wait_room(&bed, set, true), 1);
		CU_ASSERT_EQUAL(send_datagram(c), 1);
		give_all(&bed.hoard);
		CU_ASSERT_EQUAL(proto_of(c)->close(c), 0);
		proto_put(&c);
		proto_of(set)->close(set);
		conn_put(&set);
		bed_close(&bed);
	}
}

UNIT_MAIN("memory", UNIT(told_of_memory), UNIT(datagrams_told_of_memory),
	  UNIT(limit_without_waiting), UNIT(waits_for_memory), UNIT(timeout), UNIT(ends),
	  UNIT(stop), UNIT(many_senders), UNIT(wakeup_goes_on), UNIT(system_without_memory))
