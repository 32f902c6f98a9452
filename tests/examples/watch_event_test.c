/*
 * docs/examples/watch_event.c: weft in libevent's loop.
 */
#include "watch_bed.h"
#include "watch_event.h"

#include <unistd.h>

struct event_bed {
	struct bed bed;
	struct event_base *base;
	struct watch_event watches;
	int ticks;
};

static void on_event_tick(evutil_socket_t fd, short what, void *arg)
{
	struct event_bed *e = arg;
	char byte;

	if (what & EV_READ)
		CU_ASSERT(read(fd, &byte, 1) == 1);
	if (++e->ticks == TICKS)
		(void)event_base_loopbreak(e->base);
	else if (what & EV_READ)
		CU_ASSERT(weft_write(e->bed.clients[0], "x", 1) == 1);
}

static void event_bed_open(struct event_bed *e)
{
	memset(e, 0, sizeof(*e));
	bed_open(&e->bed);
	e->base = event_base_new();
	CU_ASSERT_FATAL(e->base != NULL);
	CU_ASSERT_FATAL(watch_event_open(&e->watches, e->base, e->bed.server_stack) == 0);
}

static void event_bed_close(struct event_bed *e)
{
	watch_event_close(&e->watches);
	CU_ASSERT(event_base_get_num_events(e->base, EVENT_BASE_COUNT_ADDED) == 0);
	event_base_free(e->base);
	bed_close(&e->bed);
}

static void test_event_busy(void)
{
	const struct timeval tick = {.tv_usec = 1000};
	static struct event_bed e;

	event_bed_open(&e);
	watch_all(&e.bed, &e.watches.set, on_conn, CONNS);
	send_all(&e.bed, CONNS);
	struct event *timer = event_new(e.base, -1, EV_PERSIST, on_event_tick, &e);

	CU_ASSERT_FATAL(timer != NULL && event_add(timer, &tick) == 0);
	CU_ASSERT(event_base_dispatch(e.base) == 0);
	CU_ASSERT(e.ticks == TICKS);
	for (int i = 0; i < CONNS; i++)
		CU_ASSERT(e.bed.calls[i] >= 1);
	event_free(timer);
	event_bed_close(&e);
}

static int event_pipe[2];

static void pass_on(struct watch *watch, uint32_t events)
{
	char byte;

	CU_ASSERT(events & EPOLLIN);
	CU_ASSERT(weft_read(watch->fd, &byte, 1) == 1);
	CU_ASSERT(write(event_pipe[1], &byte, 1) == 1);
}

static void test_event_mixed(void)
{
	static struct event_bed e;

	event_bed_open(&e);
	CU_ASSERT_FATAL(pipe(event_pipe) == 0);
	struct event *event =
		event_new(e.base, event_pipe[0], EV_READ | EV_PERSIST, on_event_tick, &e);

	CU_ASSERT_FATAL(event != NULL && event_add(event, NULL) == 0);
	watch_all(&e.bed, &e.watches.set, pass_on, 1);
	CU_ASSERT(weft_write(e.bed.clients[0], "x", 1) == 1);
	CU_ASSERT(event_base_dispatch(e.base) == 0);
	CU_ASSERT(e.ticks == TICKS);
	event_free(event);
	(void)close(event_pipe[0]);
	(void)close(event_pipe[1]);
	event_bed_close(&e);
}

UNIT_MAIN("watch_event", UNIT(event_busy), UNIT(event_mixed))
