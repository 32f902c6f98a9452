/* Datagram sockets that block: who wakes, when, and with what. */
#include "dgram_rig.h"
#include "net/stack/dgram.h"
#include "net/stack/epset.h"

enum { READERS = 6, MESSAGES = 600 };

struct call {
	struct conn *c;
	bool is_send;
	ssize_t rc;
	atomic_uint got;
	pthread_t thread;
};

static void *run_call(void *arg)
{
	struct call *call = arg;

	call->rc = call->is_send ? dg_send_to(call->c, "x", 1, "10.0.0.2", 9, 0)
				 : dg_recv(call->c, 10, 0)->size;
	return NULL;
}

static bool has_sleeper(void *arg)
{
	struct call *call = arg;
	struct dgram *d = dgram_of(call->c);

	dgram_lock(d);
	bool is_so = sleepers_any(call->is_send ? &d->writers : &d->readers);

	dgram_unlock(d);
	return is_so;
}

static void start(struct call *call)
{
	CU_ASSERT_FATAL(thread_start(&call->thread, "call", run_call, call) == 0);
	CU_ASSERT_TRUE(rig_until(has_sleeper, call, 5000));
}

static void end_by_close(struct conn *c)
{
	CU_ASSERT_EQUAL(proto_of(c)->close(c), 0);
}

static void end_by_shutdown(struct conn *c)
{
	CU_ASSERT_EQUAL(proto_of(c)->shutdown(c, SHUT_RDWR), -ENOTCONN);
}

static void end_by_timeout(struct conn *c)
{
	(void)c;
}

/* Packets that no emitter was asked for, as many as there is room for. */
static void fill_up(struct conn *c)
{
	struct dgram *d = dgram_of(c);

	dg_set(c, SOCK_OPT_SNDBUF, 4000);
	dgram_lock(d);
	while (d->out.mem < 4000)
		buf_queue_push(&d->out, buf_new(conn_stack(c)->pool, 2000));
	dgram_unlock(d);
}

static struct call new_call(struct stack *stack, bool is_send)
{
	struct call call = {.c = dg_open(stack, "0.0.0.0", ANY_PORT), .is_send = is_send};

	if (is_send)
		fill_up(call.c);
	return call;
}

static void end_calls(struct stack *stack, bool is_send)
{
	static const struct {
		void (*end)(struct conn *c);
		ssize_t recv_rc, send_rc;
		bool is_timed;
	} ends[] = {
		{end_by_close, -EBADF, -EBADF, false},
		{end_by_shutdown, 0, -EPIPE, false},
		{end_by_timeout, -EAGAIN, -EAGAIN, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct call call = new_call(stack, is_send);

		if (ends[i].is_timed)
			dg_set(call.c, is_send ? SOCK_OPT_SNDTIMEO : SOCK_OPT_RCVTIMEO,
			       200 * US_PER_MS);
		start(&call);
		ends[i].end(call.c);
		thread_join(call.thread);
		CU_ASSERT_EQUAL(call.rc, is_send ? ends[i].send_rc : ends[i].recv_rc);
		(void)proto_of(call.c)->close(call.c);
		proto_put(&call.c);
	}
	/* Cancellation: nothing stays locked, and nothing is left. */
	struct call call = new_call(stack, is_send);
	void *result = NULL;

	start(&call);
	CU_ASSERT_EQUAL(pthread_cancel(call.thread), 0);
	CU_ASSERT_EQUAL(pthread_join(call.thread, &result), 0);
	CU_ASSERT_PTR_EQUAL(result, PTHREAD_CANCELED);
	dg_close(&call.c);
}

static void test_blocked_calls_wake(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	for (int round = 0; round < 4; round++) {
		bool is_send = round >= 2;

		config.stack.lead = round % 2 == 1;
		rig_open(&rig, &config);
		end_calls(rig.a, is_send);
		/* The stack's end. */
		struct call call = new_call(rig.a, is_send);
		start(&call);
		struct stack *a = rig.a;
		struct conn *ref = call.c;

		rig.a = NULL;
		/* What stack_free begins with; then it waits for the references. */
		dgrams_stop(a);
		thread_join(call.thread);
		CU_ASSERT_EQUAL(call.rc, -ESHUTDOWN);
		(void)proto_of(ref)->close(ref);
		proto_put(&ref);
		stack_free(a);
		rig_close(&rig);
	}
}

static void *read_all(void *arg)
{
	struct call *call = arg;

	while ((call->rc = dg_recv(call->c, 10, 0)->size) == 1)
		atomic_fetch_add(&call->got, 1);
	return NULL;
}

struct reading {
	struct call *calls;
	unsigned sent;
};

static bool is_all_read(void *arg)
{
	const struct reading *reading = arg;
	unsigned sum = 0;

	for (int i = 0; i < READERS; i++)
		sum += atomic_load(&reading->calls[i].got);
	return sum == reading->sent;
}

/* Every message is read once, whoever was signalled for it; nobody sleeps beside one. */
static void test_many_readers(void)
{
	struct rig_config config = rig_config_default();
	struct call calls[READERS] = {0};
	struct rig rig;

	for (int lead = 0; lead < 2; lead++) {
		config.stack.lead = lead == 1;
		rig_open(&rig, &config);
		struct conn *b = dg_open(rig.b, "0.0.0.0", 5000);
		struct conn *a = dg_open(rig.a, "0.0.0.0", ANY_PORT);
		struct reading reading = {.calls = calls};

		memset(calls, 0, sizeof(calls));
		for (int i = 0; i < READERS; i++) {
			calls[i].c = b;
			CU_ASSERT_FATAL(
				thread_start(&calls[i].thread, "read", read_all, &calls[i]) == 0);
		}
		while (reading.sent < MESSAGES) {
			dg_send_text(a, "x", "10.0.0.2", 5000);
			/* The buffer is a limit: no more than it takes are on their way. */
			if (++reading.sent % 200 == 0)
				CU_ASSERT_TRUE(rig_until(is_all_read, &reading, 10000));
		}
		CU_ASSERT_TRUE(rig_until(is_all_read, &reading, 10000));
		CU_ASSERT_EQUAL(proto_of(b)->close(b), 0);
		for (int i = 0; i < READERS; i++) {
			thread_join(calls[i].thread);
			CU_ASSERT_EQUAL(calls[i].rc, -EBADF);
		}
		proto_put(&b);
		dg_close(&a);
		rig_close(&rig);
	}
}

/* A full send buffer: EAGAIN or waiting, until the emitter has taken something. */
static void test_full_send_buffer(void)
{
	struct rig_config config = rig_config_default();
	struct buf_queue packets = {0};
	struct rig rig;

	config.stack.plain_threads = true;
	rig_open(&rig, &config);
	bool looks = true;

	struct call call = {.c = dg_open(rig.a, "0.0.0.0", ANY_PORT), .is_send = true};
	struct dgram *d = dgram_of(call.c);

	fill_up(call.c);
	CU_ASSERT_EQUAL(dg_send_to(call.c, "x", 1, "10.0.0.2", 9, MSG_DONTWAIT), -EAGAIN);
	dg_set(call.c, SOCK_OPT_SNDTIMEO, 20 * US_PER_MS);
	CU_ASSERT_EQUAL(dg_send_to(call.c, "x", 1, "10.0.0.2", 9, 0), -EAGAIN);
	dg_set(call.c, SOCK_OPT_SNDTIMEO, 0);
	start(&call);
	CU_ASSERT_TRUE(dgram_take_out(d, 1, &packets, &looks));
	CU_ASSERT_FALSE(looks);
	thread_join(call.thread);
	CU_ASSERT_EQUAL(call.rc, 1);
	buf_queue_clear(&packets);
	dg_close(&call.c);
	rig_close(&rig);
}

/* Writable while less than half of it waits; who found too little hears when that is so again. */
static void test_half_a_send_buffer(void)
{
	struct rig_config config = rig_config_default();
	struct buf_queue packets = {0};
	struct epoll_event ev = {.events = EPOLLOUT};
	struct conn *set = NULL;
	struct rig rig;
	bool looks;

	config.stack.plain_threads = true;
	rig_open(&rig, &config);
	struct conn *c = dg_open(rig.a, "0.0.0.0", ANY_PORT);
	struct dgram *d = dgram_of(c);

	CU_ASSERT_FATAL(epset_new(rig.a, &set) == 0);
	dg_set(c, SOCK_OPT_SNDBUF, 20000);
	dgram_lock(d);
	while (d->out.mem < 20000 / 2)
		buf_queue_push(&d->out, buf_new(rig.a->pool, 2000));
	CU_ASSERT(d->out.mem < 20000);
	dgram_unlock(d);
	CU_ASSERT_FALSE(proto_of(c)->ready(c) & EPOLLOUT);
	CU_ASSERT_EQUAL(epset_ctl(set, EPOLL_CTL_ADD, 1, c, &ev), 0);
	CU_ASSERT_EQUAL(epset_wait(set, &ev, 1, -1), 0);
	while (dgram_take_out(d, 1, &packets, &looks))
		;
	CU_ASSERT_TRUE(proto_of(c)->ready(c) & EPOLLOUT);
	CU_ASSERT_EQUAL(epset_wait(set, &ev, 1, -1), 1);
	buf_queue_clear(&packets);
	dg_close(&set);
	dg_close(&c);
	rig_close(&rig);
}

/* No memory: EAGAIN or waiting, until a buffer comes back. */
static void test_no_memory(void)
{
	static uint8_t data[20000];
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_open(rig.a, "0.0.0.0", ANY_PORT);
	struct conn *b = dg_open(rig.b, "0.0.0.0", 5000);

	/* At every buffer of a message in fragments: all or nothing. */
	for (unsigned n = 1; n <= 15; n++) {
		bufpool_fail_after(rig.a->pool, n);
		CU_ASSERT_EQUAL(dg_send_to(a, data, sizeof(data), "10.0.0.2", 5000, MSG_DONTWAIT),
				-EAGAIN);
		bufpool_fail_after(rig.a->pool, 0);
	}
	dg_expect_nothing(b);
	bufpool_fail_after(rig.a->pool, 3);
	CU_ASSERT_EQUAL(dg_send_to(a, data, sizeof(data), "10.0.0.2", 5000, 0), sizeof(data));
	CU_ASSERT_EQUAL(dg_recv(b, sizeof(data), 0)->size, sizeof(data));
	CU_ASSERT_EQUAL(rig_stats(rig.a)->counters[C_IP_FRAGMENTED], 1);
	dg_close(&a);
	dg_close(&b);
	rig_close(&rig);
}

/* Nothing is left of sockets that went with messages in both buffers. */
static void test_leaves_nothing(void)
{
	struct rig_config config = rig_config_default();
	struct rig rig;

	rig_open(&rig, &config);
	struct conn *a = dg_open(rig.a, "0.0.0.0", 5000);
	struct conn *self = dg_open(rig.a, "0.0.0.0", 5001);

	for (int i = 0; i < 50; i++) {
		dg_send_text(a, "unread", "10.0.0.1", 5001);
		dg_send_text(a, "unread", "10.0.0.2", 9);
	}
	while (rig_stats(rig.a)->counters[C_UDP_IN] < 50)
		rig_settle(1);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->sockets, 2);
	dg_close(&a);
	dg_close(&self);
	CU_ASSERT_EQUAL(rig_stats(rig.a)->sockets, 0);
	rcu_wait_deferred();
	CU_ASSERT_EQUAL(rig_stats(rig.a)->bufs, 0);
	rig_close(&rig);
}

UNIT_MAIN("dgram_block", UNIT(blocked_calls_wake), UNIT(many_readers), UNIT(full_send_buffer),
	  UNIT(half_a_send_buffer), UNIT(no_memory), UNIT(leaves_nothing))
