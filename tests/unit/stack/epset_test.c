/*
 * Whom a change wakes that epoll sets and polls watch.  The test makes the changes itself (watch_notify), so
 * that they come while nobody who was woken has come to the lock.
 */
#include "net/stack/epset_int.h"
#include "net/stack/poller.h"
#include "net/stack/proto.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "rig.h"

enum { CONNS = 2 };

struct bed {
	struct rig rig;
	struct sock *client[CONNS], *server[CONNS]; /* A's ends and B's */
};

static void bed_open(struct bed *bed)
{
	struct rig_config config = rig_config_default();

	config.stack.lead = false;
	rig_open(&bed->rig, &config);
	for (int i = 0; i < CONNS; i++)
		rig_pair(&bed->rig, &bed->client[i], &bed->server[i]);
}

static void bed_close(struct bed *bed)
{
	for (int i = 0; i < CONNS; i++) {
		rig_drop(&bed->client[i]);
		rig_drop(&bed->server[i]);
	}
	rig_close(&bed->rig);
}

static struct conn *new_set(struct bed *bed)
{
	struct conn *set = NULL;

	CU_ASSERT_FATAL(epset_new(bed->rig.b, &set) == 0);
	return set;
}

static void add(struct conn *set, struct sock *s, uint32_t events)
{
	struct epoll_event ev = {.events = events};

	CU_ASSERT_EQUAL(epset_ctl(set, EPOLL_CTL_ADD, (int)s->conn.flow.remote_port, &s->conn, &ev),
			0);
}

/* One that waits for 'set', once. */
struct waiter {
	struct conn *set;
	atomic_int rc;
	pthread_t thread;
};

static void *wait_once(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event ev;

	atomic_store(&w->rc, epset_wait(w->set, &ev, 1, WEFT_TIME_NEVER));
	return NULL;
}

static bool has_sleepers(void *arg)
{
	const struct waiter *w = arg;
	struct epset *set = epset_of(w->set);

	epset_ready_lock(set);
	bool is_so = set->sleepers == (unsigned)atomic_load(&w->rc);

	epset_ready_unlock(set);
	return is_so;
}

/* Until 'count' sleep for the set. */
static void await_sleepers(struct conn *set, int count)
{
	struct waiter w = {.set = set, .rc = count};

	CU_ASSERT_TRUE_FATAL(rig_until(has_sleepers, &w, 10000));
}

static void start(struct waiter *w, struct conn *set)
{
	w->set = set;
	atomic_init(&w->rc, 0);
	CU_ASSERT_FATAL(thread_start(&w->thread, "wait", wait_once, w) == 0);
}

/* Ends the set and those who wait for it. */
static void end_set(struct conn **set, struct waiter *w, int count)
{
	CU_ASSERT_EQUAL(proto_of(*set)->close(*set), 0);
	for (int i = 0; i < count; i++)
		thread_join(w[i].thread);
	proto_put(set);
}

static uint64_t wakes(const struct bed *bed)
{
	return rig_stats(bed->rig.b)->counters[C_READY_WAKES];
}

/* The watchers of 's' hear of 'key'; who is to be told for it waits on '*noted'. */
static void notify(struct sock *s, uint32_t key, struct waker **noted)
{
	watch_notify(proto_of(&s->conn)->watchers(&s->conn), key, noted);
}

/* Two events before the first thread that was woken comes to the lock: it takes both, as far as one knows. */
static void test_one_wake_for_two_events(void)
{
	struct waker *noted = NULL;
	struct waiter w[2];
	struct bed bed;

	bed_open(&bed);
	struct conn *set = new_set(&bed);

	add(set, bed.server[0], EPOLLIN | EPOLLET);
	for (int i = 0; i < 2; i++)
		start(&w[i], set);
	await_sleepers(set, 2);
	uint64_t before = wakes(&bed);

	notify(bed.server[0], EPOLLIN, &noted);
	notify(bed.server[0], EPOLLIN, &noted);
	CU_ASSERT_EQUAL(wakes(&bed), before + 1);
	watch_tell(noted);
	/* There was nothing. */
	await_sleepers(set, 2);
	end_set(&set, w, 2);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(atomic_load(&w[i].rc), -EBADF);
	bed_close(&bed);
}

static bool has_byte(void *arg)
{
	return sock_ready(arg) & EPOLLIN;
}

static bool are_done(void *arg)
{
	struct waiter *w = arg;

	return atomic_load(&w[0].rc) == 1 && atomic_load(&w[1].rc) == 1;
}

/* One wake for two events, one of which the woken thread takes: the other one is the next thread's. */
static void test_who_leaves_something_wakes_the_next(void)
{
	struct waker *noted = NULL;
	struct epoll_event ev[CONNS];
	struct waiter w[2];
	struct bed bed;

	bed_open(&bed);
	struct conn *set = new_set(&bed);

	for (int i = 0; i < CONNS; i++) {
		add(set, bed.server[i], EPOLLIN | EPOLLET);
		CU_ASSERT_EQUAL(rig_send(bed.client[i], "x", 1), 1);
		CU_ASSERT_TRUE_FATAL(rig_until(has_byte, bed.server[i], 10000));
	}
	CU_ASSERT_EQUAL(epset_wait(set, ev, CONNS, -1), CONNS);
	for (int i = 0; i < 2; i++)
		start(&w[i], set);
	await_sleepers(set, 2);
	uint64_t before = wakes(&bed);

	for (int i = 0; i < CONNS; i++)
		notify(bed.server[i], EPOLLIN, &noted);
	CU_ASSERT_EQUAL(wakes(&bed), before + 1);
	watch_tell(noted);
	CU_ASSERT_TRUE(rig_until(are_done, w, 10000));
	end_set(&set, w, 2);
	bed_close(&bed);
}

/* Threads that wait for each of two sets, in which the connection is by 'events'; whom 'key' wakes. */
static unsigned count_woken(struct bed *bed, const uint32_t events[2], uint32_t key)
{
	struct waker *noted = NULL;
	struct conn *sets[2];
	struct waiter w[2];

	for (int i = 0; i < 2; i++) {
		sets[i] = new_set(bed);
		add(sets[i], bed->server[0], events[i]);
		start(&w[i], sets[i]);
		await_sleepers(sets[i], 1);
	}
	uint64_t before = wakes(bed);

	notify(bed->server[0], key, &noted);
	unsigned count = (unsigned)(wakes(bed) - before);

	watch_tell(noted);
	for (int i = 0; i < 2; i++)
		end_set(&sets[i], &w[i], 1);
	return count;
}

/* EPOLLEXCLUSIVE: one of those that said so, and all others, whoever came first; an end is everybody's. */
static void test_whom_exclusive_spares(void)
{
	static const uint32_t only = EPOLLIN | EPOLLEXCLUSIVE;
	struct bed bed;

	bed_open(&bed);
	CU_ASSERT_EQUAL(count_woken(&bed, (uint32_t[]){EPOLLIN, EPOLLIN}, EPOLLIN), 2);
	CU_ASSERT_EQUAL(count_woken(&bed, (uint32_t[]){only, only}, EPOLLIN), 1);
	CU_ASSERT_EQUAL(count_woken(&bed, (uint32_t[]){only, EPOLLIN}, EPOLLIN), 2);
	CU_ASSERT_EQUAL(count_woken(&bed, (uint32_t[]){EPOLLIN, only}, EPOLLIN), 2);
	CU_ASSERT_EQUAL(count_woken(&bed, (uint32_t[]){only, only}, WATCH_ANY), 2);
	/* Nobody asked for that. */
	CU_ASSERT_EQUAL(count_woken(&bed, (uint32_t[]){EPOLLIN, only}, EPOLLPRI), 0);
	bed_close(&bed);
}

/* ---- Polls. ---- */

struct polling {
	struct bed *bed;
	uint64_t wakes;
	int rc;
	pthread_t thread;
};

static void *poll_urgent(void *arg)
{
	struct polling *p = arg;
	struct poller_entry entry = {.conn = &p->bed->server[0]->conn, .events = EPOLLPRI};

	p->rc = poller_wait(&entry, 1, WEFT_TIME_NEVER, NULL);
	return NULL;
}

/* A change to look at again: wakes the poll if it sleeps. */
static bool wakes_it(void *arg)
{
	struct polling *p = arg;
	struct waker *noted = NULL;
	uint64_t before = wakes(p->bed);

	notify(p->bed->server[0], WATCH_ANY, &noted);
	watch_tell(noted);
	return wakes(p->bed) > before;
}

/* Only what it waits for wakes a poll. */
static void test_poll_is_left_alone(void)
{
	struct bed bed;

	bed_open(&bed);
	struct polling p = {.bed = &bed};

	CU_ASSERT_FATAL(thread_start(&p.thread, "poll", poll_urgent, &p) == 0);
	for (int round = 0; round < 5; round++) {
		struct waker *noted = NULL;

		CU_ASSERT_TRUE_FATAL(rig_until(wakes_it, &p, 10000));
		rig_settle(2);
		uint64_t before = wakes(&bed);

		notify(bed.server[0], EPOLLIN | EPOLLOUT, &noted);
		CU_ASSERT_EQUAL(wakes(&bed), before);
		watch_tell(noted);
	}
	CU_ASSERT_EQUAL(sock_close(bed.server[0]), 0);
	thread_join(p.thread);
	CU_ASSERT_EQUAL(p.rc, 1);
	sock_put(&bed.server[0]);
	bed_close(&bed);
}

UNIT_MAIN("stack_epset", UNIT(one_wake_for_two_events), UNIT(who_leaves_something_wakes_the_next),
	  UNIT(whom_exclusive_spares), UNIT(poll_is_left_alone))
