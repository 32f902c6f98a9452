/* Blocked calls against what wakes them, on the sockets of whole stacks. */
#include "net/stack/sock.h"
#include "scenario.h"
#include "sched.h"
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* ---- Data and room. ---- */

/* Two readers, and a writer of two pieces: each byte is read once, and nobody is forgotten. */
static void readers(enum world_kind kind)
{
	struct call c[4];
	struct world w;

	world_open(&w, kind);
	start_recv(&c[0], w.server, 3, 0);
	start_recv(&c[1], w.server, 3, 0);
	sched_settle();
	sched_explore();
	start_send(&c[2], w.client, 3);
	start_send(&c[3], w.client, 3);
	finish_all(c, 4);
	sched_quiet();
	SCHED_CHECK(c[0].result + c[1].result == 6);
	world_close(&w);
}

static void readers_loop(void)
{
	readers(WORLD_LOOP);
}

static void readers_cable(void)
{
	readers(WORLD_CABLE);
}

static void readers_led(void)
{
	readers(WORLD_LED);
}

/* Readers that come while the data does; one of them wants more than the other. */
static void late_readers(void)
{
	struct call c[3];
	struct world w;

	world_open(&w, WORLD_LOOP);
	sched_explore();
	start_recv(&c[0], w.server, 4, MSG_WAITALL);
	start_recv(&c[1], w.server, 1, 0);
	start_send(&c[2], w.client, 5);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == 4 && c[1].result == 1);
	world_close(&w);
}

/* Two writers without room, and a reader who makes some. */
static void writers(enum world_kind kind)
{
	struct call c[3];
	struct world w;

	world_open(&w, kind);
	struct call fill;

	start_send(&fill, w.client, 60000);
	sched_settle();
	SCHED_CHECK(sched_is_asleep(fill.task));
	sched_cancel(fill.task);
	finish(&fill);
	start_send(&c[0], w.client, 100);
	start_send(&c[1], w.client, 100);
	sched_settle();
	sched_explore();
	start_recv(&c[2], w.server, 8000, MSG_WAITALL);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == 100 && c[1].result == 100);
	world_close(&w);
}

static void writers_loop(void)
{
	writers(WORLD_LOOP);
}

/* A reader with a timeout, against data: it has the data or leaves it. */
static void timeout(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LOOP);
	SCHED_CHECK(sock_setopt(w.server, SOCK_OPT_RCVTIMEO, 20000) == 0);
	start_recv(&c[0], w.server, 3, 0);
	sched_settle();
	sched_explore();
	start_send(&c[1], w.client, 3);
	finish_all(c, 2);
	sched_quiet();
	sched_settle();
	if (c[0].result == -EAGAIN) {
		start_recv(&c[0], w.server, 3, MSG_DONTWAIT);
		finish(&c[0]);
	}
	SCHED_CHECK(c[0].result == 3);
	world_close(&w);
}

/* ---- Accept. ---- */

/* One connection wakes one of two; the other still waits, and has the next. */
static void accepters(enum world_kind kind)
{
	struct call c[3];
	struct world w;

	world_open(&w, kind);
	struct sock *s = world_sock(&w);
	struct sock *t = world_sock(&w);

	start_accept(&c[0], w.listener);
	start_accept(&c[1], w.listener);
	sched_settle();
	sched_explore();
	start_connect(&c[2], s);
	finish(&c[2]);
	sched_quiet();
	sched_settle();
	SCHED_CHECK((c[0].result == UNDONE) != (c[1].result == UNDONE));
	SCHED_CHECK(c[0].result == 0 || c[1].result == 0);
	start_connect(&c[2], t);
	finish_all(c, 3);
	SCHED_CHECK(c[0].result == 0 && c[1].result == 0 && c[0].child != c[1].child);
	world_drop(&c[0].child);
	world_drop(&c[1].child);
	world_drop(&s);
	world_drop(&t);
	world_close(&w);
}

static void accepters_loop(void)
{
	accepters(WORLD_LOOP);
}

static void accepters_led(void)
{
	accepters(WORLD_LED);
}

/* Two connections at once for two who come at once. */
static void accepts_and_connects(void)
{
	struct call c[4];
	struct world w;

	world_open(&w, WORLD_LOOP);
	struct sock *s = world_sock(&w);
	struct sock *t = world_sock(&w);

	sched_explore();
	start_accept(&c[0], w.listener);
	start_accept(&c[1], w.listener);
	start_connect(&c[2], s);
	start_connect(&c[3], t);
	finish_all(c, 4);
	sched_quiet();
	SCHED_CHECK(c[0].result == 0 && c[1].result == 0);
	world_drop(&c[0].child);
	world_drop(&c[1].child);
	world_drop(&s);
	world_drop(&t);
	world_close(&w);
}

/* ---- Close and shutdown against what is blocked. ---- */

static void close_recv(enum world_kind kind)
{
	struct call c[3];
	struct world w;

	world_open(&w, kind);
	sched_explore();
	start_recv(&c[0], w.server, 3, 0);
	start_recv(&c[1], w.server, 3, MSG_WAITALL);
	start_close(&c[2], w.server);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == -EBADF && c[1].result == -EBADF && c[2].result == 0);
	world_close(&w);
}

static void close_recv_loop(void)
{
	close_recv(WORLD_LOOP);
}

static void close_recv_led(void)
{
	close_recv(WORLD_LED);
}

static void close_send(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LOOP);
	start_send(&c[0], w.client, 60000);
	sched_settle();
	sched_explore();
	start_close(&c[1], w.client);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result > 0 && c[0].result < 60000);
	world_close(&w);
}

static void close_accept(enum world_kind kind)
{
	struct call c[3];
	struct world w;

	world_open(&w, kind);
	sched_explore();
	start_accept(&c[0], w.listener);
	start_accept(&c[1], w.listener);
	start_close(&c[2], w.listener);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == -EBADF && c[1].result == -EBADF);
	world_close(&w);
}

static void close_accept_loop(void)
{
	close_accept(WORLD_LOOP);
}

static void close_accept_led(void)
{
	close_accept(WORLD_LED);
}

static void shutdown_accept(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LOOP);
	sched_explore();
	start_accept(&c[0], w.listener);
	start_shutdown(&c[1], w.listener, SHUT_RD);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result == -EINVAL);
	world_close(&w);
}

/* A connect that nobody answers, closed. */
static void close_connect(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LED);
	struct sock *s = world_sock(&w);

	start_connect(&c[0], s);
	sched_explore();
	start_close(&c[1], s);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result == -EBADF || c[0].result == 0);
	world_drop(&s);
	world_close(&w);
}

static void shutdown_recv(void)
{
	struct call c[3];
	struct world w;

	world_open(&w, WORLD_LOOP);
	sched_explore();
	start_recv(&c[0], w.server, 3, 0);
	start_recv(&c[1], w.server, 3, 0);
	start_shutdown(&c[2], w.server, SHUT_RD);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == 0 && c[1].result == 0);
	world_close(&w);
}

/* The peer's end wakes all readers. */
static void fin_recv(void)
{
	struct call c[3];
	struct world w;

	world_open(&w, WORLD_LED);
	sched_explore();
	start_recv(&c[0], w.server, 3, 0);
	start_recv(&c[1], w.server, 3, 0);
	start_shutdown(&c[2], w.client, SHUT_WR);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == 0 && c[1].result == 0);
	world_close(&w);
}

/* Its RST does, too: one has the error, the others the end. */
static void rst_recv(void)
{
	struct call c[3];
	struct world w;

	world_open(&w, WORLD_LOOP);
	SCHED_CHECK(sock_setopt(w.client, SOCK_OPT_LINGER, 0) == 0);
	sched_explore();
	start_recv(&c[0], w.server, 3, 0);
	start_recv(&c[1], w.server, 3, 0);
	start_close(&c[2], w.client);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK((c[0].result == -ECONNRESET && c[1].result == 0) ||
		    (c[0].result == 0 && c[1].result == -ECONNRESET));
	world_close(&w);
}

/* ---- Readiness. ---- */

static void poll_data(enum world_kind kind)
{
	struct call c[2];
	struct world w;

	world_open(&w, kind);
	sched_explore();
	start_poll(&c[0], w.server, POLLIN, WEFT_TIME_NEVER);
	start_send(&c[1], w.client, 3);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result == 1 && (c[0].flags & POLLIN));
	world_close(&w);
}

static void poll_loop(void)
{
	poll_data(WORLD_LOOP);
}

static void poll_led(void)
{
	poll_data(WORLD_LED);
}

static void poll_close(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LOOP);
	sched_explore();
	start_poll(&c[0], w.server, POLLIN, WEFT_TIME_NEVER);
	start_close(&c[1], w.server);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result == 1);
	world_close(&w);
}

/* Two wait for a set; one event, and what the first leaves, wakes both: it is level-triggered. */
static void epoll_data(enum world_kind kind)
{
	struct call c[3];
	struct world w;

	world_open(&w, kind);
	struct conn *set = world_set(&w, w.server, EPOLLIN);

	sched_explore();
	start_epoll(&c[0], set);
	start_epoll(&c[1], set);
	start_send(&c[2], w.client, 3);
	finish_all(c, 3);
	sched_quiet();
	SCHED_CHECK(c[0].result == 1 && c[1].result == 1);
	world_drop_conn(&set);
	world_close(&w);
}

static void epoll_loop(void)
{
	epoll_data(WORLD_LOOP);
}

static void epoll_led(void)
{
	epoll_data(WORLD_LED);
}

static void epoll_close(void)
{
	struct call c[2];
	struct world w;

	world_open(&w, WORLD_LOOP);
	struct conn *set = world_set(&w, w.server, EPOLLIN);

	sched_explore();
	start_epoll(&c[0], set);
	start_close_conn(&c[1], set);
	finish_all(c, 2);
	sched_quiet();
	SCHED_CHECK(c[0].result == -EBADF);
	world_put_set(&set);
	world_close(&w);
}

#define SOCKS(stem, bound, by_hand)                                                                \
	{                                                                                          \
		.name = #stem, .main = stem, .departures = bound, .soak = by_hand,                 \
		.late_us = 150000                                                                  \
	}

const struct scenario scenarios_of_socks[] = {
	SOCKS(readers_loop, 1, 2),
	SOCKS(readers_cable, 1, 2),
	SOCKS(readers_led, 1, 2),
	SOCKS(late_readers, 1, 2),
	SOCKS(writers_loop, 1, 2),
	SOCKS(timeout, 1, 2),
	SOCKS(accepters_loop, 1, 2),
	SOCKS(accepters_led, 1, 2),
	SOCKS(accepts_and_connects, 1, 2),
	SOCKS(close_recv_loop, 1, 2),
	SOCKS(close_recv_led, 1, 2),
	SOCKS(close_send, 1, 2),
	SOCKS(close_accept_loop, 1, 2),
	SOCKS(close_accept_led, 1, 2),
	SOCKS(shutdown_accept, 1, 2),
	SOCKS(close_connect, 1, 2),
	SOCKS(shutdown_recv, 1, 2),
	SOCKS(fin_recv, 1, 2),
	SOCKS(rst_recv, 1, 2),
	SOCKS(poll_loop, 1, 2),
	SOCKS(poll_led, 1, 2),
	SOCKS(poll_close, 1, 2),
	SOCKS(epoll_loop, 1, 2),
	SOCKS(epoll_led, 1, 2),
	SOCKS(epoll_close, 1, 2),
	{0},
};
