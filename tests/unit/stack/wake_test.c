/*
 * Who is woken when many threads wait for one socket: one for what one can take, all when they are not
 * alike, and never nobody.
 */
#include "asleep.h"
#include "net/stack/stack_int.h"

enum { READERS = 8, MESSAGES = 400, ROUNDS = 30 };

struct bed {
	struct rig rig;
	struct sock *client, *server;
};

static void bed_open(struct bed *bed, bool may_lead)
{
	struct rig_config config = rig_config_default();

	config.stack.lead = may_lead;
	rig_open(&bed->rig, &config);
	rig_pair(&bed->rig, &bed->client, &bed->server);
	/* No message waits for the delayed ACK of the one before. */
	CU_ASSERT_EQUAL(sock_setopt(bed->client, SOCK_OPT_NODELAY, 1), 0);
}

static void bed_close(struct bed *bed)
{
	rig_drop(&bed->client);
	rig_drop(&bed->server);
	rig_close(&bed->rig);
}

/* Reads 'size' bytes at a time until the end of the stream, or 'max' times. */
struct reader {
	struct sock *s;
	size_t size;
	int flags;
	unsigned max;
	atomic_uint got; /* calls that brought something */
	ssize_t rc;
	pthread_t thread;
};

static void read_once(struct reader *r)
{
	uint8_t bytes[64];

	r->rc = rig_recv(r->s, bytes, r->size, r->flags);
	if (r->rc > 0)
		atomic_fetch_add(&r->got, 1);
}

static void *read_on(void *arg)
{
	struct reader *r = arg;

	do {
		read_once(r);
	} while (r->rc > 0 && atomic_load(&r->got) < r->max);
	return NULL;
}

static void start_readers(struct reader *r, int count, struct sock *s)
{
	for (int i = 0; i < count; i++) {
		r[i].s = s;
		if (r[i].size == 0)
			r[i].size = 1;
		if (r[i].max == 0)
			r[i].max = UINT_MAX;
		CU_ASSERT_FATAL(thread_start(&r[i].thread, "read", read_on, &r[i]) == 0);
	}
}

static void join_readers(struct reader *r, int count)
{
	for (int i = 0; i < count; i++)
		thread_join(r[i].thread);
}

static unsigned total(struct reader *r)
{
	unsigned sum = 0;

	for (int i = 0; i < READERS; i++)
		sum += atomic_load(&r[i].got);
	return sum;
}

struct progress {
	struct reader *r;
	unsigned count;
};

static bool has_total(void *arg)
{
	const struct progress *p = arg;

	return total(p->r) >= p->count;
}

static uint64_t wakes(struct bed *bed)
{
	return rig_stats(bed->rig.b)->counters[C_READER_WAKES];
}

/* A message wakes one of many readers, each reader gets his turn, and the end wakes all at once. */
static void test_one_for_a_message(void)
{
	struct reader r[READERS] = {0};
	struct bed bed;

	bed_open(&bed, false);
	start_readers(r, READERS, bed.server);
	for (int i = 0; i < MESSAGES; i++) {
		await_asleep(bed.server, READERS, 0);
		CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
		struct progress p = {.r = r, .count = (unsigned)i + 1};

		CU_ASSERT_TRUE_FATAL(rig_until(has_total, &p, 10000));
	}
	await_asleep(bed.server, READERS, 0);
	CU_ASSERT_EQUAL(total(r), MESSAGES);
	CU_ASSERT_EQUAL(wakes(&bed), MESSAGES);
	for (int i = 0; i < READERS; i++)
		CU_ASSERT(atomic_load(&r[i].got) > 0);
	CU_ASSERT_EQUAL(sock_shutdown(bed.client, SHUT_WR), 0);
	join_readers(r, READERS);
	CU_ASSERT_EQUAL(wakes(&bed), MESSAGES + 1);
	bed_close(&bed);
}

/* Bytes for many in one segment: the one who is woken wakes the next, until nothing is left. */
static void test_what_is_left(void)
{
	static const char text[READERS] = "abcdefg";

	for (int lead = 0; lead <= 1; lead++) {
		for (int flags = 0; flags <= MSG_WAITALL; flags += MSG_WAITALL) {
			struct reader r[READERS] = {0};
			struct bed bed;

			bed_open(&bed, lead);
			for (int i = 0; i < READERS; i++) {
				r[i].max = 1;
				r[i].flags = flags;
			}
			start_readers(r, READERS, bed.server);
			await_asleep(bed.server, READERS, 0);
			CU_ASSERT_EQUAL(rig_send(bed.client, text, READERS), READERS);
			join_readers(r, READERS);
			CU_ASSERT_EQUAL(total(r), READERS);
			CU_ASSERT(wakes(&bed) <= READERS);
			bed_close(&bed);
		}
	}
}

/* One that only looks leaves all there is for the next. */
static void test_peek(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct reader r[READERS] = {0};
		struct bed bed;

		bed_open(&bed, false);
		for (int i = 0; i < READERS; i++) {
			r[i].max = 1;
			r[i].flags = MSG_PEEK;
		}
		start_readers(r, READERS, bed.server);
		await_asleep(bed.server, READERS, 0);
		CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
		join_readers(r, READERS);
		CU_ASSERT_EQUAL(total(r), READERS);
		bed_close(&bed);
	}
}

/* Readers who need more than has come do not keep it from the one who needs less. */
static void test_different_needs(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct reader r[READERS] = {0};
		struct bed bed;

		bed_open(&bed, round % 2);
		for (int i = 0; i < READERS; i++) {
			r[i].max = 1;
			r[i].size = i == round % READERS ? 1 : 10;
			r[i].flags = MSG_WAITALL;
		}
		start_readers(r, READERS, bed.server);
		await_asleep(bed.server, READERS, 0);
		CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
		thread_join(r[round % READERS].thread);
		CU_ASSERT_EQUAL(atomic_load(&r[round % READERS].got), 1);
		CU_ASSERT_EQUAL(sock_shutdown(bed.client, SHUT_WR), 0);
		for (int i = 0; i < READERS; i++)
			if (i != round % READERS)
				thread_join(r[i].thread);
		bed_close(&bed);
	}
}

/* Readers that are cancelled while asleep: each may be the one that a message wakes, none is missed. */
static void test_cancelled(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct reader r[READERS] = {0};
		unsigned left = 0;
		struct bed bed;
		uint8_t byte;

		bed_open(&bed, round % 2);
		for (int i = 0; i < READERS; i++)
			r[i].max = 1;
		start_readers(r, READERS, bed.server);
		await_asleep(bed.server, READERS, 0);
		for (int i = 0; i < READERS; i++) {
			if (i % 4 == 0)
				CU_ASSERT_EQUAL(pthread_cancel(r[i].thread), 0);
			CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
		}
		join_readers(r, READERS);
		/* What the cancelled ones did not take is there, or about to come. */
		for (unsigned got = total(r); got + left < READERS; left++)
			CU_ASSERT_EQUAL_FATAL(rig_recv(bed.server, &byte, 1, 0), 1);
		CU_ASSERT_EQUAL(rig_recv(bed.server, &byte, 1, MSG_DONTWAIT), -EAGAIN);
		CU_ASSERT_TRUE(left <= READERS / 4);
		bed_close(&bed);
	}
}

/* Time-outs that end while messages come: who is late looks once more, and takes or leaves it. */
static void test_late_readers(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct reader r[READERS] = {0};
		struct bed bed;
		uint8_t byte;

		bed_open(&bed, round % 2);
		CU_ASSERT_EQUAL(sock_setopt(bed.server, SOCK_OPT_RCVTIMEO, 1000 + round * 10), 0);
		for (int i = 0; i < READERS; i++)
			r[i].max = 1;
		start_readers(r, READERS, bed.server);
		for (int i = 0; i < READERS; i++)
			CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
		join_readers(r, READERS);
		CU_ASSERT_EQUAL(sock_setopt(bed.server, SOCK_OPT_RCVTIMEO, 0), 0);
		for (unsigned i = total(r); i < READERS; i++)
			CU_ASSERT_EQUAL(rig_recv(bed.server, &byte, 1, 0), 1);
		bed_close(&bed);
	}
}

/* ---- Writers. ---- */

enum { WRITERS = 4, CHUNK = 5000, CHUNKS = 40, SMALL = 20000 };

static void *write_on(void *arg)
{
	static const uint8_t zeros[CHUNK];
	struct sock *s = arg;

	for (int i = 0; i < CHUNKS; i++)
		CU_ASSERT_EQUAL(rig_send(s, zeros, CHUNK), CHUNK);
	return NULL;
}

static void drain(struct sock *s, size_t size)
{
	static uint8_t bytes[3000];

	while (size > 0) {
		size_t want = size < sizeof(bytes) ? size : sizeof(bytes);
		ssize_t n = rig_recv(s, bytes, want, 0);

		CU_ASSERT_FATAL(n > 0);
		size -= (size_t)n;
	}
}

/* Alike writers at a small buffer: each is done in the end, whoever was woken for the room. */
static void test_writers(void)
{
	pthread_t threads[WRITERS];
	struct bed bed;

	for (int lead = 0; lead <= 1; lead++) {
		bed_open(&bed, lead);
		CU_ASSERT_EQUAL(sock_setopt(bed.client, SOCK_OPT_SNDBUF, SMALL), 0);
		CU_ASSERT_EQUAL(sock_setopt(bed.server, SOCK_OPT_RCVBUF, SMALL), 0);
		for (int i = 0; i < WRITERS; i++)
			CU_ASSERT_FATAL(thread_start(&threads[i], "write", write_on, bed.client) ==
					0);
		await_asleep(bed.client, 0, WRITERS);
		drain(bed.server, (size_t)WRITERS * CHUNKS * CHUNK);
		for (int i = 0; i < WRITERS; i++)
			thread_join(threads[i]);
		CU_ASSERT(lead || rig_stats(bed.rig.a)->counters[C_WRITER_WAKES] > 0);
		bed_close(&bed);
	}
}

static void *write_much(void *arg)
{
	static const uint8_t zeros[1 << 20];

	CU_ASSERT_EQUAL(rig_send(arg, zeros, sizeof(zeros)), sizeof(zeros));
	return NULL;
}

/* A writer that waits for a part of a large buffer goes on when the buffer becomes a small one. */
static void test_smaller_buffer(void)
{
	pthread_t thread;
	struct bed bed;

	bed_open(&bed, false);
	CU_ASSERT_EQUAL(sock_setopt(bed.client, SOCK_OPT_SNDBUF, 400000), 0);
	CU_ASSERT_EQUAL(sock_setopt(bed.server, SOCK_OPT_RCVBUF, SMALL), 0);
	CU_ASSERT_FATAL(thread_start(&thread, "write", write_much, bed.client) == 0);
	await_asleep(bed.client, 0, 1);
	CU_ASSERT_EQUAL(sock_setopt(bed.client, SOCK_OPT_SNDBUF, SMALL), 0);
	drain(bed.server, 1 << 20);
	thread_join(thread);
	bed_close(&bed);
}

static bool has_a_byte(void *arg)
{
	struct sock *s = arg;

	sock_lock(s);
	bool has = s->tcb.rcvq.bytes == 1;

	sock_unlock(s);
	return has;
}

static bool has_read(void *arg)
{
	struct reader *r = arg;

	return atomic_load(&r->got) > 0;
}

/* A signal may find one who needs more than there is: he wakes those who need less before he sleeps. */
static void test_too_little(void)
{
	struct reader r[2] = {{.max = 1}, {.size = 2, .flags = MSG_WAITALL}};
	struct bed bed;

	bed_open(&bed, false);
	start_readers(&r[0], 1, bed.server);
	await_asleep(bed.server, 1, 0);
	sock_lock(bed.server);
	bed.server->readers.is_called = true; /* noted, and the signal will find another one */
	sock_unlock(bed.server);
	uint64_t before = wakes(&bed);

	CU_ASSERT_EQUAL(rig_send(bed.client, "x", 1), 1);
	CU_ASSERT_TRUE_FATAL(rig_until(has_a_byte, bed.server, 10000));
	CU_ASSERT_EQUAL(wakes(&bed), before);
	CU_ASSERT_EQUAL(atomic_load(&r[0].got), 0);
	start_readers(&r[1], 1, bed.server);
	CU_ASSERT_TRUE(rig_until(has_read, &r[0], 10000));
	CU_ASSERT_EQUAL(sock_shutdown(bed.client, SHUT_WR), 0);
	thread_join(r[0].thread);
	CU_ASSERT_EQUAL(r[0].rc, 1);
	thread_join(r[1].thread);
	bed_close(&bed);
}

UNIT_MAIN("wake", UNIT(one_for_a_message), UNIT(what_is_left), UNIT(peek), UNIT(different_needs),
	  UNIT(cancelled), UNIT(late_readers), UNIT(writers), UNIT(smaller_buffer),
	  UNIT(too_little))
