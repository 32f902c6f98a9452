/* Handles that are looked up, closed, replaced and given out anew at the same time: api/src/handle.c alone. */
#include "api/src/handle.h"
#include "scenario.h"
#include "sched.h"
#include "world.h"

#include <errno.h>

enum { NAMED = 2 };

static struct handle_owner owner;
static struct conn *named[NAMED]; /* with a reference of the scenario's */
static int handles[NAMED];
static unsigned closes[NAMED]; /* how often the last handle of each was gone */

/* A table of 'limit' slots, with handles of the first 'count' of two sockets. */
static void open_handles(struct world *w, unsigned limit, unsigned count)
{
	world_open(w, WORLD_LOOP);
	owner = (struct handle_owner){.closed = false};
	(void)handle_set_limit(limit);
	for (unsigned i = 0; i < NAMED; i++) {
		struct conn *ref;

		named[i] = world_dgram(w->b, false);
		closes[i] = 0;
		if (i >= count)
			continue;
		ref = proto_get(named[i]);
		handles[i] = handle_reserve(&owner);
		SCHED_CHECK(handles[i] >= 0 && handle_install(handles[i], &ref) == 0);
	}
}

/* What a handle meant no handle means any more, or another one does. */
static void drop_handle(struct conn **conn, bool is_last)
{
	if (!*conn)
		return;
	for (unsigned i = 0; i < NAMED; i++)
		closes[i] += *conn == named[i] && is_last;
	proto_put(conn);
}

static void close_handles(struct world *w)
{
	uint32_t index = 0;
	struct conn *conn;

	while ((conn = handle_take_next(&owner, &index)))
		proto_put(&conn);
	SCHED_CHECK(owner.live == 0 && handle_in_use() == 0);
	for (unsigned i = 0; i < NAMED; i++)
		world_drop_conn(&named[i]);
	world_close(w);
}

static void *close_it(void *arg)
{
	bool is_last = false;
	struct conn *conn = handle_take(*(int *)arg, &is_last);

	drop_handle(&conn, is_last);
	return NULL;
}

/* It names the first, or nothing: whatever is given out meanwhile has another handle. */
static void *get_first(void *arg)
{
	struct handle_owner *of = NULL;
	struct conn *conn = handle_get(*(int *)arg, &of);

	SCHED_CHECK(!conn || (conn == named[0] && of == &owner));
	if (conn)
		proto_put(&conn);
	return NULL;
}

static void *open_second(void *arg)
{
	struct conn *ref = proto_get(named[1]);
	int handle = handle_reserve(&owner);

	(void)arg;
	SCHED_CHECK(handle == -EMFILE || (handle >= 0 && handle_install(handle, &ref) == 0));
	if (ref)
		proto_put(&ref);
	return NULL;
}

/* A lookup against a close, and the only slot's next use. */
static void handle_reuse(void)
{
	unsigned task[3];
	struct world w;

	open_handles(&w, 1, 1);
	sched_explore();
	task[0] = sched_spawn("get", get_first, &handles[0]);
	task[1] = sched_spawn("close", close_it, &handles[0]);
	task[2] = sched_spawn("open", open_second, NULL);
	for (unsigned i = 0; i < 3; i++)
		sched_join(task[i]);
	sched_quiet();
	SCHED_CHECK(closes[0] == 1 && handle_get(handles[0], NULL) == NULL);
	close_handles(&w);
}

static void *get_either(void *arg)
{
	struct conn *conn = handle_get(*(int *)arg, NULL);

	SCHED_CHECK(!conn || conn == named[0] || conn == named[1]);
	if (conn)
		proto_put(&conn);
	return NULL;
}

/* dup2(1, 2) */
static void *replace_second(void *arg)
{
	struct conn *old = NULL;
	bool is_last = false;
	int rc = handle_replace(handles[1], handles[0], &old, &is_last);

	(void)arg;
	SCHED_CHECK(rc == 0 || rc == -EBADF);
	drop_handle(&old, is_last);
	return NULL;
}

/* dup2 against closes of both handles: in the end each socket was closed once. */
static void handle_replaced(void)
{
	unsigned task[4];
	struct world w;

	open_handles(&w, 2, 2);
	sched_explore();
	task[0] = sched_spawn("get", get_either, &handles[1]);
	task[1] = sched_spawn("dup2", replace_second, NULL);
	task[2] = sched_spawn("close 1", close_it, &handles[0]);
	task[3] = sched_spawn("close 2", close_it, &handles[1]);
	for (unsigned i = 0; i < 4; i++)
		sched_join(task[i]);
	sched_quiet();
	SCHED_CHECK(closes[0] == 1 && closes[1] == 1);
	close_handles(&w);
}

/* Two closes of one handle: one has it. */
static void handle_closed_twice(void)
{
	unsigned task[2];
	struct world w;

	open_handles(&w, 1, 1);
	sched_explore();
	task[0] = sched_spawn("close", close_it, &handles[0]);
	task[1] = sched_spawn("close", close_it, &handles[0]);
	for (unsigned i = 0; i < 2; i++)
		sched_join(task[i]);
	sched_quiet();
	SCHED_CHECK(closes[0] == 1);
	close_handles(&w);
}

#define HANDLE(stem, bound, by_hand)                                                               \
	{                                                                                          \
		.name = #stem, .main = stem, .departures = bound, .soak = by_hand                  \
	}

const struct scenario scenarios_of_handles[] = {
	HANDLE(handle_reuse, 2, 4),
	HANDLE(handle_replaced, 1, 2),
	HANDLE(handle_closed_twice, 2, 4),
	{0},
};
