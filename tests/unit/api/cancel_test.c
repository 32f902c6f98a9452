/*
 * pthread_cancel against every call that blocks, at any moment of it: nothing is left locked, leaked or
 * lost, and the sockets go on.
 */
#include "blocking.h"

#include "net/base/prng.h"
#include <sched.h>
#include <sys/ioctl.h>

enum { ROUNDS = 12, TAKE_MAX = 8000 };

typedef ssize_t call_fn(struct scene *s);

/* ---- Threads. ---- */

struct victim {
	struct scene *scene;
	call_fn *call;
	atomic_bool begun;
	bool came_back;
	pthread_t thread;
};

static void *victim_main(void *arg)
{
	struct victim *v = arg;

	atomic_store(&v->begun, true);
	(void)v->call(v->scene);
	v->came_back = true;
	return NULL;
}

static void begin(struct victim *v, struct scene *s, call_fn *call)
{
	*v = (struct victim){.scene = s, .call = call};
	CU_ASSERT_FATAL(pthread_create(&v->thread, NULL, victim_main, v) == 0);
	while (!atomic_load(&v->begun))
		(void)sched_yield();
}

/* Whether it went by cancellation. */
static bool end(struct victim *v)
{
	void *result;

	CU_ASSERT(pthread_join(v->thread, &result) == 0);
	CU_ASSERT((result == PTHREAD_CANCELED) == !v->came_back);
	return !v->came_back;
}

static void let_go_on(struct prng *prng)
{
	if (prng_below(prng, 4) == 0)
		kit_pause(); /* long enough to be asleep, as a rule */
	for (unsigned i = prng_below(prng, 40); i > 0; i--)
		(void)sched_yield();
}

/* What was cancelled on can be used: bytes in order, connections, datagrams. */
static void use(struct scene *s)
{
	static char in[1 << 16];
	char byte = 0;
	int client;

	GIVES(weft_send(s->fds[1], "x", 1, 0), 1);
	GIVES(weft_recv(s->fds[0], &byte, 1, 0), 1);
	CU_ASSERT_EQUAL(byte, 'x');
	/* What sends left behind may be any number of bytes. */
	GIVES(weft_shutdown(s->fds[0], SHUT_WR), 0);
	while (weft_recv(s->fds[1], in, sizeof(in), 0) > 0)
		continue;
	client = kit_socket(s->kit.a, AF_INET);
	GIVES(kit_connect(client, KIT_B4, 81), 0);
	int child = weft_accept(s->listener, NULL, NULL);

	CU_ASSERT(child > 0);
	GIVES(weft_close(child), 0);
	GIVES(weft_close(client), 0);
}

/* ---- The tests. ---- */

static void test_every_call(void)
{
	struct prng prng;
	uint64_t seed = unit_seed();

	prng_init(&prng, seed);
	for (unsigned i = 0; i < BLOCKING; i++) {
		struct scene s;

		open_scene(&s);
		for (int round = 0; round < ROUNDS; round++) {
			struct victim v[2];

			begin(&v[0], &s, blocking[i].call);
			begin(&v[1], &s, blocking[i].call);
			let_go_on(&prng);
			CU_ASSERT(pthread_cancel(v[0].thread) == 0);
			bool is_gone = end(&v[0]);

			CU_ASSERT(pthread_cancel(v[1].thread) == 0);
			is_gone = end(&v[1]) && is_gone;
			if (!is_gone)
				printf("%s came back, seed %llu\n", blocking[i].name,
				       (unsigned long long)seed);
			CU_ASSERT_TRUE(is_gone);
		}
		use(&s);
		close_scene(&s);
	}
}

/* A cancelled thread is cancelled in the next call already, and has not begun it. */
static void test_at_entry(void)
{
	struct scene s;
	char byte;

	open_scene(&s);
	GIVES(weft_send(s.fds[1], "x", 1, 0), 1);
	while (weft_recv(s.fds[0], &byte, 1, MSG_PEEK) != 1)
		continue;
	for (int i = 0; i < ROUNDS; i++) {
		struct victim v;

		begin(&v, &s, in_recv);
		(void)pthread_cancel(v.thread);
		if (!end(&v))
			GIVES(weft_send(s.fds[1], "x", 1, 0), 1);
		/* Taken or not, it is not lost. */
		GIVES(weft_recv(s.fds[0], &byte, 1, MSG_PEEK), 1);
	}
	GIVES(weft_recv(s.fds[0], &byte, 1, 0), 1);
	close_scene(&s);
}

struct taker {
	int fd;
	size_t size;
	int flags;
	ssize_t got;
	pthread_t thread;
};

static void *take(void *arg)
{
	struct taker *t = arg;

	t->got = 0;
	t->got = weft_recv(t->fd, NULL, t->size, t->flags | MSG_TRUNC);
	return NULL;
}

static void start_taker(struct taker *t, int fd, size_t size, int flags)
{
	*t = (struct taker){.fd = fd, .size = size, .flags = flags};
	CU_ASSERT_FATAL(pthread_create(&t->thread, NULL, take, t) == 0);
}

static void join_taker(const struct taker *t)
{
	CU_ASSERT(pthread_join(t->thread, NULL) == 0);
}

/* Readers that are cancelled while bytes come: each byte is one's, and nobody sleeps beside some. */
static void test_no_byte_lost(void)
{
	struct prng prng;
	struct scene s;

	prng_init(&prng, unit_seed());
	open_scene(&s);
	for (int round = 0; round < 10 * ROUNDS; round++) {
		struct taker t[3];
		char byte;

		for (int i = 0; i < 3; i++)
			start_taker(&t[i], s.fds[0], 1, 0);
		let_go_on(&prng);
		GIVES(weft_send(s.fds[1], "ab", 2, 0), 2);
		(void)pthread_cancel(t[0].thread);
		join_taker(&t[0]);
		if (t[0].got == 1) /* then one of the others is left without */
			GIVES(weft_send(s.fds[1], "c", 1, 0), 1);
		join_taker(&t[1]);
		join_taker(&t[2]);
		CU_ASSERT(t[1].got == 1 && t[2].got == 1);
		FAILS(weft_recv(s.fds[0], &byte, 1, MSG_DONTWAIT), EAGAIN);
	}
	close_scene(&s);
}

/* MSG_WAITALL waits without taking a few bytes: they stay when it is cancelled. */
static void test_waitall(void)
{
	struct taker t;
	struct scene s;
	char bytes[4];

	open_scene(&s);
	GIVES(weft_send(s.fds[1], "ab", 2, 0), 2);
	start_taker(&t, s.fds[0], 4, MSG_WAITALL);
	kit_pause();
	(void)pthread_cancel(t.thread);
	join_taker(&t);
	CU_ASSERT_EQUAL(t.got, 0);
	GIVES(weft_send(s.fds[1], "cd", 2, 0), 2);
	GIVES(weft_recv(s.fds[0], bytes, 4, MSG_WAITALL), 4);
	CU_ASSERT(memcmp(bytes, "abcd", 4) == 0);
	close_scene(&s);
}

static int ask(int fd, unsigned long request)
{
	int value = -1;

	GIVES(weft_ioctl(fd, request, &value), 0);
	return value;
}

/* Who has taken bytes is past its cancellation point: the call ends as if nothing were. */
static void test_after_bytes(void)
{
	enum { FIRST = 6000 };
	struct taker t;
	struct scene s;

	open_scene(&s);
	kit_set(s.fds[0], SOL_SOCKET, SO_RCVBUF, 2048); /* of which half is worth taking */
	GIVES(weft_send(s.fds[1], bulk, FIRST, 0), FIRST);
	start_taker(&t, s.fds[0], TAKE_MAX, MSG_WAITALL);
	while (ask(s.fds[1], TIOCOUTQ) > 0 || ask(s.fds[0], FIONREAD) >= FIRST)
		kit_pause();
	(void)pthread_cancel(t.thread);
	GIVES(weft_send(s.fds[1], bulk, TAKE_MAX - FIRST, 0), TAKE_MAX - FIRST);
	join_taker(&t);
	CU_ASSERT_EQUAL(t.got, TAKE_MAX);
	close_scene(&s);
}

struct closer {
	int fd;
	pthread_t thread;
};

static void *close_it(void *arg)
{
	const struct closer *c = arg;

	(void)weft_close(c->fd);
	return NULL;
}

/* A close that lingers and is cancelled: the handle is gone or was not touched, and nothing is left. */
static void test_close(void)
{
	struct prng prng;

	prng_init(&prng, unit_seed());
	for (int round = 0; round < ROUNDS; round++) {
		const struct linger linger = {.l_onoff = 1, .l_linger = 60};
		struct closer c;
		struct scene s;

		open_scene(&s);
		GIVES(weft_setsockopt(s.fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
		while (weft_send(s.fds[0], bulk, sizeof(bulk), MSG_DONTWAIT) > 0)
			continue;
		c.fd = s.fds[0];
		CU_ASSERT_FATAL(pthread_create(&c.thread, NULL, close_it, &c) == 0);
		let_go_on(&prng);
		(void)pthread_cancel(c.thread);
		(void)pthread_join(c.thread, NULL);
		int rc = weft_setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &(struct linger){0},
					 sizeof(linger));

		if (rc == 0)
			GIVES(weft_close(c.fd), 0);
		s.fds[0] = weft_dup(s.nobody); /* for close_scene */
		GIVES(weft_close(s.fds[1]), 0);
		s.fds[1] = weft_dup(s.nobody);
		close_scene(&s);
	}
}

UNIT_MAIN("cancel", UNIT(every_call), UNIT(at_entry), UNIT(no_byte_lost), UNIT(waitall),
	  UNIT(after_bytes), UNIT(close))
