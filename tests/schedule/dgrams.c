/* Datagram sockets of whole stacks, and senders in front of the memory gate. */
#include "net/base/buf.h"
#include "net/stack/sock.h"
#include "net/stack/stack_int.h"
#include "scenario.h"
#include "sched.h"
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* ---- Messages. ---- */

struct ends {
	struct world w;
	struct conn *from; /* connected to 'to', which is not */
	struct conn *to;
};

static void open_ends(struct ends *e, enum world_kind kind)
{
	world_open(&e->w, kind);
	e->to = world_dgram(e->w.b, true);
	e->from = world_dgram(e->w.a, false);
	world_aim(&e->w, e->from);
	sched_settle();
}

static void close_ends(struct ends *e)
{
	world_drop_conn(&e->from);
	world_drop_conn(&e->to);
	world_close(&e->w);
}

/* Two readers asleep: what comes now is explored. */
static void open_readers(struct ends *e, enum world_kind kind, struct call c[2])
{
	open_ends(e, kind);
	start_msg_recv(&c[0], e->to);
	start_msg_recv(&c[1], e->to);
	sched_settle();
	sched_explore();
}

/* Two readers, and two messages from two threads: each has one. */
static void dgram_readers(enum world_kind kind)
{
	struct call c[4];
	struct ends e;

	open_readers(&e, kind, c);
	start_msg_send(&c[2], e.from, 3);
	start_msg_send(&c[3], e.from, 4);
	finish_all(c, 4);
	sched_quiet();
	SCHED_CHECK(c[0].result + c[1].result == 7 && c[0].result > 0 && c[1].result > 0);
	close_ends(&e);
}

static void dgram_readers_loop(void)
{
	dgram_readers(WORLD_LOOP);
}

static void dgram_readers_led(void)
{
	dgram_readers(WORLD_LED);
}

/* Room for one message at a time, two writers, and a third call that finds them at it. */
static void dgram_writers(void)
{
	struct call c[4];
	struct ends e;

	open_ends(&e, WORLD_CABLE);
	world_set_opt(e.from, SOCK_OPT_SNDBUF, 1);
	sched_explore();
	start_msg_send(&c[0], e.from, 1);
	start_msg_send(&c[1], e.from, 1);
	start_msg_recv(&c[2], e.to);
	start_msg_recv(&c[3], e.to);
	finish_all(c, 4);
	sched_quiet();
	for (unsigned i = 0; i < 4; i++)
		SCHED_CHECK(c[i].result == 1);
	close_ends(&e);
}

static void dgram_timeout(void)
{
	struct call c[2];
	struct ends e;

	open_ends(&e, WORLD_LOOP);
	world_set_opt(e.to, SOCK_OPT_RCVTIMEO, 20000);
	start_msg_recv(&c[0], e.to);
	sched_settle();
	sched_explore();
	start_msg_send(&c[1], e.from, 3);
	finish_all(c, 2);
	sched_quiet();
	sched_settle();
	if (c[0].result == -EAGAIN) {
		start_msg_recv(&c[0], e.to);
		finish(&c[0]);
	}
	SCHED_CHECK(c[0].result == 3);
	close_ends(&e);
}

static void dgram_close(enum world_kind kind)
{
	struct call c[3];
	struct ends e;

	open_ends(&e, kind);
	sched_explore();
	start_msg_recv(&c[0], e.to);
	start_msg_recv(&c[1], e.to);
	start_close_conn(&c[2], e.to);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == -EBADF && c[1].result == -EBADF && c[2].result == 0);
	close_ends(&e);
}

static void dgram_close_loop(void)
{
	dgram_close(WORLD_LOOP);
}

static void dgram_close_led(void)
{
	dgram_close(WORLD_LED);
}

static void dgram_poll(enum world_kind kind)
{
	struct call c[2];
	struct ends e;

	open_ends(&e, kind);
	sched_explore();
	start_poll_conn(&c[0], e.to, POLLIN, WEFT_TIME_NEVER);
	start_msg_send(&c[1], e.from, 3);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result == 1 && (c[0].flags & POLLIN));
	close_ends(&e);
}

static void dgram_poll_loop(void)
{
	dgram_poll(WORLD_LOOP);
}

static void dgram_poll_led(void)
{
	dgram_poll(WORLD_LED);
}

/* Of two readers one is cancelled while a message comes: it has it, or the other one. */
static void dgram_cancel(enum world_kind kind)
{
	struct call c[4];
	struct ends e;

	open_readers(&e, kind, c);
	start_msg_send(&c[2], e.from, 3);
	start_cancel(&c[3], &c[0]);
	finish_all(&c[2], 2);
	finish(&c[0]);
	sched_quiet();
	if (!sched_was_cancelled(c[0].task)) {
		start_msg_send(&c[2], e.from, 3);
		finish(&c[2]);
	}
	finish(&c[1]);
	SCHED_CHECK(c[1].result == 3);
	close_ends(&e);
}

static void dgram_cancel_loop(void)
{
	dgram_cancel(WORLD_LOOP);
}

static void dgram_cancel_led(void)
{
	dgram_cancel(WORLD_LED);
}

/* ---- The memory gate. ---- */

enum { HELD_MAX = 256 };

/* All memory of a world's first stack. */
struct hoard {
	struct buf *held[HELD_MAX];
	unsigned count;
};

static void hoard_all(struct hoard *h, struct stack *stack)
{
	static const size_t sizes[] = {60000, 512};

	h->count = 0;
	for (unsigned i = 0; i < 2; i++) {
		struct buf *b;

		while (h->count < HELD_MAX && (b = buf_new(stack->pool, sizes[i])))
			h->held[h->count++] = b;
	}
	SCHED_CHECK(h->count < HELD_MAX);
}

static void *give_one(void *arg)
{
	struct hoard *h = arg;

	buf_put(&h->held[--h->count]);
	return NULL;
}

static void give_all(struct hoard *h)
{
	while (h->count > 0)
		(void)give_one(h);
}

/* Two senders sleep for memory; exploring begins, with a thread that gives one buffer back. */
static unsigned two_wait(struct world *w, struct hoard *h, struct call *c)
{
	world_open(w, WORLD_CABLE);
	hoard_all(h, w->a);
	start_send(&c[0], w->client, 1);
	start_send(&c[1], w->client, 1);
	sched_settle();
	SCHED_CHECK(sched_is_asleep(c[0].task) && sched_is_asleep(c[1].task));
	sched_explore();
	return sched_spawn("give", give_one, h);
}

/* Two senders without memory, of one that another thread gives back: enough for both, one after the other. */
static void memory_two(void)
{
	struct hoard h;
	struct call c[2];
	struct world w;

	unsigned giver = two_wait(&w, &h, c);

	finish_all(c, 2);
	sched_join(giver);
	sched_quiet();
	SCHED_CHECK(c[0].result == 1 && c[1].result == 1);
	give_all(&h);
	world_close(&w);
}

/* One of them is cancelled while the memory comes: it is the other's then. */
static void memory_cancel(void)
{
	struct hoard h;
	struct call c[3];
	struct world w;

	unsigned giver = two_wait(&w, &h, c);

	start_cancel(&c[2], &c[0]);
	finish_all(c, 3);
	sched_join(giver);
	sched_quiet();
	SCHED_CHECK(c[1].result == 1);
	give_all(&h);
	world_close(&w);
}

/* Closed while it waits for memory, which is there for another socket at that moment. */
static void memory_close(void)
{
	struct hoard h;
	struct call c[3];
	struct ends e;

	open_ends(&e, WORLD_CABLE);
	hoard_all(&h, e.w.a);
	start_send(&c[0], e.w.client, 1);
	start_msg_send(&c[1], e.from, 1);
	sched_settle();
	sched_explore();
	unsigned giver = sched_spawn("give", give_one, &h);

	start_close(&c[2], e.w.client);
	finish_all(c, 3);
	sched_join(giver);
	sched_quiet();
	SCHED_CHECK((c[0].result == 1 || c[0].result == -EBADF) && c[1].result == 1);
	give_all(&h);
	close_ends(&e);
}

#define DGRAM(stem, bound, by_hand)                                                                \
	{                                                                                          \
		.name = #stem, .main = stem, .departures = bound, .soak = by_hand,                 \
		.late_us = 150000                                                                  \
	}

const struct scenario scenarios_of_dgrams[] = {
	DGRAM(dgram_readers_loop, 1, 2), DGRAM(dgram_readers_led, 1, 2),
	DGRAM(dgram_writers, 1, 2),      DGRAM(dgram_timeout, 1, 2),
	DGRAM(dgram_close_loop, 1, 2),   DGRAM(dgram_close_led, 1, 2),
	DGRAM(dgram_poll_loop, 1, 2),    DGRAM(dgram_poll_led, 1, 2),
	DGRAM(dgram_cancel_loop, 1, 2),  DGRAM(dgram_cancel_led, 1, 2),
	DGRAM(memory_two, 1, 2),         DGRAM(memory_cancel, 1, 2),
	DGRAM(memory_close, 1, 2),       {0},
};
