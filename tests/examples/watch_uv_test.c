/*
 * docs/examples/watch_uv.c: weft in libuv's loop.
 */
#include "watch_bed.h"
#include "watch_uv.h"

#include <unistd.h>

struct uv_bed {
	struct bed bed;
	uv_loop_t loop;
	struct watch_uv watches;
	uv_timer_t timer;
	uv_poll_t pipe;
	int pipe_fds[2];
	int ticks;
	bool is_closed;
};

static void on_uv_closed(struct watch_uv *watches)
{
	struct uv_bed *u = watches->poll.loop->data;

	u->is_closed = true;
}

static void on_uv_tick(uv_timer_t *timer)
{
	struct uv_bed *u = timer->loop->data;

	if (++u->ticks < TICKS)
		return;
	uv_close((uv_handle_t *)timer, NULL);
	watch_uv_close(&u->watches, on_uv_closed);
}

static void uv_bed_open(struct uv_bed *u)
{
	memset(u, 0, sizeof(*u));
	bed_open(&u->bed);
	CU_ASSERT_FATAL(uv_loop_init(&u->loop) == 0);
	u->loop.data = u;
	CU_ASSERT_FATAL(watch_uv_open(&u->watches, &u->loop, u->bed.server_stack) == 0);
}

static void uv_bed_close(struct uv_bed *u)
{
	CU_ASSERT(u->is_closed);
	CU_ASSERT(uv_loop_close(&u->loop) == 0); /* nothing is left in it */
	bed_close(&u->bed);
}

/* More sockets than a turn takes are always ready: timers have their time, and no socket starves. */
static void test_uv_busy(void)
{
	static struct uv_bed u;

	uv_bed_open(&u);
	watch_all(&u.bed, &u.watches.set, on_conn, CONNS);
	send_all(&u.bed, CONNS);
	CU_ASSERT_FATAL(uv_timer_init(&u.loop, &u.timer) == 0);
	CU_ASSERT_FATAL(uv_timer_start(&u.timer, on_uv_tick, 1, 1) == 0);
	CU_ASSERT(uv_run(&u.loop, UV_RUN_DEFAULT) == 0);
	CU_ASSERT(u.ticks == TICKS);
	for (int i = 0; i < CONNS; i++)
		CU_ASSERT(u.bed.calls[i] >= 1);
	uv_bed_close(&u);
}

/* What came over weft goes on through a pipe of the kernel, and its end ends the loop. */
static void pass_to_pipe(struct watch *watch, uint32_t events)
{
	struct uv_bed *u = watch->data;
	char byte;

	CU_ASSERT(events & EPOLLIN);
	CU_ASSERT(weft_read(watch->fd, &byte, 1) == 1);
	CU_ASSERT(write(u->pipe_fds[1], &byte, 1) == 1);
}

static void on_uv_pipe(uv_poll_t *poll, int status, int events)
{
	struct uv_bed *u = poll->loop->data;
	char byte = 0;

	CU_ASSERT(status == 0 && events == UV_READABLE);
	CU_ASSERT(read(u->pipe_fds[0], &byte, 1) == 1 && byte == 'x');
	if (++u->ticks < TICKS) {
		CU_ASSERT(weft_write(u->bed.clients[0], "x", 1) == 1);
		return;
	}
	uv_close((uv_handle_t *)poll, NULL);
	watch_uv_close(&u->watches, on_uv_closed);
}

/* The loop sleeps for both: what weft receives meanwhile wakes it. */
static void test_uv_mixed(void)
{
	static struct uv_bed u;

	uv_bed_open(&u);
	CU_ASSERT_FATAL(pipe(u.pipe_fds) == 0);
	CU_ASSERT_FATAL(uv_poll_init(&u.loop, &u.pipe, u.pipe_fds[0]) == 0);
	CU_ASSERT_FATAL(uv_poll_start(&u.pipe, UV_READABLE, on_uv_pipe) == 0);
	watch_all(&u.bed, &u.watches.set, pass_to_pipe, 1);
	u.bed.watches[0].data = &u;
	CU_ASSERT(weft_write(u.bed.clients[0], "x", 1) == 1);
	CU_ASSERT(uv_run(&u.loop, UV_RUN_DEFAULT) == 0);
	CU_ASSERT(u.ticks == TICKS);
	(void)close(u.pipe_fds[0]);
	(void)close(u.pipe_fds[1]);
	uv_bed_close(&u);
}

UNIT_MAIN("watch_uv", UNIT(uv_busy), UNIT(uv_mixed))
