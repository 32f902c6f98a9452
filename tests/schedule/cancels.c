/*
 * Threads that are cancelled in their sleep, against what would have woken them: whoever else waits for
 * the same is not forgotten, and the worlds end with nothing left.
 */
#include "net/stack/sock.h"
#include "scenario.h"
#include "sched.h"
#include "world.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static bool went(const struct call *call)
{
	return sched_was_cancelled(call->task);
}

/* Of two readers one is cancelled while data for one comes: it takes them, or the other does. */
static void cancel_recv(enum world_kind kind)
{
	struct call c[4];
	struct world w;

	world_open(&w, kind);
	start_recv(&c[0], w.server, 3, 0);
	start_recv(&c[1], w.server, 3, 0);
	sched_settle();
	sched_explore();
	start_send(&c[2], w.client, 3);
	start_cancel(&c[3], &c[0]);
	finish_all(&c[2], 2);
	/* The victim has the data, or is gone, or the data are the other's. */
	finish(&c[0]);
	sched_quiet();
	SCHED_CHECK(went(&c[0]) || c[0].result == 3);
	if (!went(&c[0]))
		start_send(&c[2], w.client, 3);
	finish_all(&c[1], 2);
	SCHED_CHECK(c[1].result == 3);
	world_close(&w);
}

static void cancel_recv_loop(void)
{
	cancel_recv(WORLD_LOOP);
}

static void cancel_recv_led(void)
{
	cancel_recv(WORLD_LED);
}

/* A reader that has taken bytes is past its cancellation point. */
static void cancel_waitall(void)
{
	struct call c[4];
	struct world w;

	world_open(&w, WORLD_LOOP);
	SCHED_CHECK(sock_setopt(w.server, SOCK_OPT_RCVBUF, 4096) == 0);
	start_recv(&c[0], w.server, 8000, MSG_WAITALL);
	sched_settle();
	start_send(&c[1], w.client, 4000);
	finish(&c[1]);
	sched_settle();
	sched_explore();
	start_cancel(&c[2], &c[0]);
	start_send(&c[3], w.client, 4000);
	finish_all(&c[2], 2);
	finish(&c[0]);
	sched_quiet();
	SCHED_CHECK(c[0].result == 8000);
	world_close(&w);
}

/* Nobody waits for room that is there; then some is made for 'writer'. */
static void let_write(struct world *w, struct call *writer)
{
	struct call c;

	sched_settle();
	if (writer->result == UNDONE) {
		start_poll(&c, w->client, POLLOUT, 0);
		finish(&c);
		SCHED_CHECK(c.result == 0);
	}
	while (writer->result == UNDONE) {
		start_recv(&c, w->server, 4000, MSG_DONTWAIT);
		finish(&c);
		sched_settle();
		SCHED_CHECK(c.result > 0);
	}
}

/* Of two writers one is cancelled while room comes. */
static void cancel_send(void)
{
	struct call c[4];
	struct world w;

	world_open(&w, WORLD_LOOP);
	start_send(&c[0], w.client, 60000);
	start_send(&c[1], w.client, 100);
	sched_settle();
	SCHED_CHECK(sched_is_asleep(c[0].task) && sched_is_asleep(c[1].task));
	sched_explore();
	start_recv(&c[2], w.server, 4000, 0);
	start_cancel(&c[3], &c[0]);
	finish_all(&c[2], 2);
	finish(&c[0]);
	sched_quiet();
	let_write(&w, &c[1]);
	finish(&c[1]);
	SCHED_CHECK(went(&c[0]) && c[1].result == 100);
	world_close(&w);
}

static void cancel_accept(enum world_kind kind)
{
	struct call c[4];
	struct world w;

	world_open(&w, kind);
	struct sock *s = world_sock(&w);
	struct sock *t = world_sock(&w);

	start_accept(&c[0], w.listener);
	start_accept(&c[1], w.listener);
	sched_settle();
	sched_explore();
	start_connect(&c[2], s);
	start_cancel(&c[3], &c[0]);
	finish_all(&c[2], 2);
	finish(&c[0]);
	sched_quiet();
	if (!went(&c[0])) {
		start_connect(&c[2], t);
		finish(&c[2]);
	}
	finish(&c[1]);
	SCHED_CHECK(c[1].result == 0);
	world_drop(&c[0].child);
	world_drop(&c[1].child);
	world_drop(&s);
	world_drop(&t);
	world_close(&w);
}

static void cancel_accept_loop(void)
{
	cancel_accept(WORLD_LOOP);
}

static void cancel_accept_led(void)
{
	cancel_accept(WORLD_LED);
}

static void cancel_connect(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LED);
	struct sock *s = world_sock(&w);

	sched_explore();
	start_connect(&c[0], s);
	start_cancel(&c[1], &c[0]);
	finish_all(c, 2);
	sched_quiet();
	world_drop(&s);
	world_close(&w);
}

/* A set's event that a cancelled thread was woken for is the other one's. */
static void cancel_epoll(enum world_kind kind)
{
	struct call c[4];
	struct world w;

	world_open(&w, kind);
	struct conn *set = world_set(&w, w.server, EPOLLIN | (uint32_t)EPOLLET);

	start_epoll(&c[0], set);
	start_epoll(&c[1], set);
	sched_settle();
	sched_explore();
	start_send(&c[2], w.client, 3);
	start_cancel(&c[3], &c[0]);
	finish_all(&c[2], 2);
	finish(&c[0]);
	sched_quiet();
	if (!went(&c[0])) {
		start_send(&c[2], w.client, 3);
		finish(&c[2]);
	}
	finish(&c[1]);
	SCHED_CHECK(c[1].result == 1);
	world_drop_conn(&set);
	world_close(&w);
}

static void cancel_epoll_loop(void)
{
	cancel_epoll(WORLD_LOOP);
}

static void cancel_epoll_led(void)
{
	cancel_epoll(WORLD_LED);
}

/* A poll's watches go with it, while they are told of something. */
static void cancel_poll(enum world_kind kind)
{
	struct call c[3];
	struct world w;

	world_open(&w, kind);
	start_poll(&c[0], w.server, POLLIN, WEFT_TIME_NEVER);
	sched_settle();
	sched_explore();
	start_send(&c[1], w.client, 3);
	start_cancel(&c[2], &c[0]);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(went(&c[0]) || c[0].result == 1);
	world_close(&w);
}

static void cancel_poll_loop(void)
{
	cancel_poll(WORLD_LOOP);
}

static void cancel_poll_led(void)
{
	cancel_poll(WORLD_LED);
}

/* A close that lingers is finished by who is cancelled in it. */
static void cancel_close(void)
{
	struct call c[3];
	struct world w;

	world_open(&w, WORLD_LOOP);
	SCHED_CHECK(sock_setopt(w.client, SOCK_OPT_LINGER, 5) == 0);
	start_send(&c[0], w.client, 8000);
	finish(&c[0]);
	sched_explore();
	start_close(&c[0], w.client);
	start_cancel(&c[1], &c[0]);
	start_recv(&c[2], w.server, 4000, MSG_WAITALL);
	finish_all(c, 3);
	sched_quiet();
	world_close(&w);
}

#define CANCEL(stem, bound, by_hand)                                                               \
	{                                                                                          \
		.name = #stem, .main = stem, .departures = bound, .soak = by_hand,                 \
		.late_us = 150000                                                                  \
	}

const struct scenario scenarios_of_cancels[] = {
	CANCEL(cancel_recv_loop, 1, 2),
	CANCEL(cancel_recv_led, 1, 2),
	CANCEL(cancel_waitall, 1, 2),
	CANCEL(cancel_send, 1, 2),
	CANCEL(cancel_accept_loop, 1, 2),
	CANCEL(cancel_accept_led, 1, 2),
	CANCEL(cancel_connect, 1, 2),
	CANCEL(cancel_epoll_loop, 1, 2),
	CANCEL(cancel_epoll_led, 1, 2),
	CANCEL(cancel_poll_loop, 1, 2),
	CANCEL(cancel_poll_led, 1, 2),
	CANCEL(cancel_close, 1, 2),
	{0},
};
