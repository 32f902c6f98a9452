/*
 * docs/examples/watch.c: callbacks for weft's handles.
 */
#include "watch_bed.h"

#include <errno.h>

static void test_watch_level(void)
{
	static struct watch_set set;
	static struct bed bed;

	bed_open(&bed);
	CU_ASSERT_FATAL(watch_open(&set, bed.server_stack) == 0);
	watch_all(&bed, &set, on_conn, 2);
	CU_ASSERT(watch_turn(&set, 0) == 0);
	send_all(&bed, 1);
	CU_ASSERT(watch_turn(&set, -1) == 1);
	CU_ASSERT(watch_turn(&set, 0) == 1);
	CU_ASSERT(bed.calls[0] == 2 && bed.events[0] == EPOLLIN);
	bed.reads = true;
	CU_ASSERT(watch_turn(&set, 0) == 1);
	CU_ASSERT(watch_turn(&set, 0) == 0);
	CU_ASSERT(bed.calls[0] == 3 && bed.calls[1] == 0);
	CU_ASSERT(watch_want(&bed.watches[1], EPOLLOUT) == 0);
	bed.reads = false;
	CU_ASSERT(watch_turn(&set, 0) == 1 && bed.events[1] == EPOLLOUT);
	watch_close(&set);
	CU_ASSERT(watch_want(&bed.watches[0], EPOLLOUT) == -1 && errno == EBADF);
	bed_close(&bed);
}

/* A watch that wants nothing is left alone even by an end that epoll would tell of again and again. */
static void test_watch_nothing_wanted(void)
{
	static struct watch_set set;
	static struct bed bed;

	bed_open(&bed);
	CU_ASSERT_FATAL(watch_open(&set, bed.server_stack) == 0);
	watch_all(&bed, &set, on_conn, 1);
	CU_ASSERT(weft_shutdown(bed.servers[0], SHUT_WR) == 0);
	CU_ASSERT(weft_close(bed.clients[0]) == 0);
	CU_ASSERT(watch_turn(&set, 10000) == 1);
	CU_ASSERT(watch_want(&bed.watches[0], 0) == 0);
	CU_ASSERT(watch_want(&bed.watches[0], 0) == 0);
	CU_ASSERT(watch_turn(&set, 0) == 0);
	CU_ASSERT(watch_want(&bed.watches[0], EPOLLIN) == 0);
	CU_ASSERT(watch_turn(&set, 0) == 1);
	watch_stop(&bed.watches[0]);
	CU_ASSERT(watch_turn(&set, 0) == 0);
	watch_close(&set);
	bed_close(&bed);
}

static void stop_others(struct watch *watch, uint32_t events)
{
	struct bed *bed = watch->data;

	on_conn(watch, events);
	for (int i = 0; i < 5; i++) {
		watch_stop(&bed->watches[i]);
		CU_ASSERT(weft_close(bed->servers[i]) == 0);
		memset(&bed->watches[i], 0xa5, sizeof(bed->watches[i])); /* as if freed */
	}
}

/* A callback stops watches whose events came in the same turn. */
static void test_watch_stop_in_turn(void)
{
	static struct watch_set set;
	static struct bed bed;

	bed_open(&bed);
	CU_ASSERT_FATAL(watch_open(&set, bed.server_stack) == 0);
	watch_all(&bed, &set, stop_others, 5);
	send_all(&bed, 5);
	CU_ASSERT(watch_turn(&set, 0) == 5);
	CU_ASSERT(bed.total_calls == 1);
	CU_ASSERT(watch_turn(&set, 0) == 0);
	watch_close(&set);
	bed_close(&bed);
}

/* A turn is bounded, and the next one goes on behind it. */
static void test_watch_batch(void)
{
	static struct watch_set set;
	static struct bed bed;

	bed_open(&bed);
	CU_ASSERT_FATAL(watch_open(&set, bed.server_stack) == 0);
	watch_all(&bed, &set, on_conn, CONNS);
	send_all(&bed, CONNS);
	CU_ASSERT(watch_turn(&set, 0) == WATCH_BATCH);
	CU_ASSERT(watch_turn(&set, 0) == WATCH_BATCH);
	for (int i = 0; i < CONNS; i++)
		CU_ASSERT(bed.calls[i] >= 1);
	bed.reads = true;
	CU_ASSERT(watch_turn(&set, 0) == WATCH_BATCH);
	CU_ASSERT(watch_turn(&set, 0) == CONNS - WATCH_BATCH);
	CU_ASSERT(watch_turn(&set, 0) == 0);
	watch_close(&set);
	bed_close(&bed);
}

UNIT_MAIN("watch", UNIT(watch_level), UNIT(watch_nothing_wanted), UNIT(watch_stop_in_turn),
	  UNIT(watch_batch))
