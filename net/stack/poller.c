/*
 * A poll: a watch on everything that it waits for, and one thread that sleeps or leads, or with a signal
 * mask sleeps in the kernel for an eventfd.  The watches go
 * with the call; the poller itself stays until the last note on it is acted on.
 *
 * No wake-up is lost: the watches hang before the last look that precedes a sleep, so a change behind
 * the look at its object finds the watch, and sets is_changed under lc_ready, which is looked at before
 * every sleep.
 */
#include "net/stack/poller.h"

#include "net/base/check.h"
#include "net/base/mechanism.h"
#include "net/stack/conn.h"
#include "net/stack/masked.h"
#include "net/stack/proto.h"
#include "net/stack/rx.h"
#include "net/stack/stack_int.h"
#include "net/stack/watch.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct poller;

struct poll_watch {
	struct watch watch; /* first */
	struct poller *poller;
	uint32_t events;
	bool is_hung;
};

struct poller {
	struct mutex mu; /* lc_ready */
	struct cond cond;
	struct waker waker;
	atomic_uint refs;
	bool is_changed GUARDED_BY(lc_ready);
	bool is_asleep GUARDED_BY(lc_ready);
	enum lead_state lead GUARDED_BY(lc_ready);
	/* Immutable. */
	struct conn *first; /* whose clock counts and whose queue may be led; NULL: none */
	int eventfd;        /* with a signal mask, else -1 */
	struct poll_watch watches[];
};

static void poller_lock(struct poller *p) ACQUIRE(lc_ready) NO_TSA;
static void poller_unlock(struct poller *p) RELEASE(lc_ready) NO_TSA;

static void poller_lock(struct poller *p)
{
	mutex_lock(&p->mu);
}

static void poller_unlock(struct poller *p)
{
	mutex_unlock(&p->mu);
}

static struct rx *rx_of(const struct conn *conn)
{
	return conn_stack(conn)->queue[conn->queue].rx;
}

static void poller_put(struct poller *p)
{
	HB_BEFORE(&p->refs);
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
		return;
	HB_AFTER(&p->refs);
	int cancel = thread_cancel_off();

	if (p->eventfd >= 0)
		(void)close(p->eventfd);
	thread_cancel_restore(cancel);
	cond_fini(&p->cond);
	mutex_fini(&p->mu);
	free(p);
}

/* ---- Being told. ---- */

/* Neither can fail but because it was done before.  Both are cancellation points. */
static void set_eventfd(int fd, bool is_set)
{
	uint64_t count = 1;
	int cancel = thread_cancel_off();

	if (is_set)
		(void)!write(fd, &count, sizeof(count));
	else
		(void)!read(fd, &count, sizeof(count));
	thread_cancel_restore(cancel);
}

static void tell(struct waker *waker, struct waker **more)
{
	struct poller *p = CONTAINER_OF(waker, struct poller, waker);

	(void)more;
	poller_lock(p);
	waker->is_noted = false;
	poller_unlock(p);
	if (p->eventfd >= 0)
		set_eventfd(p->eventfd, true);
	else
		cond_wake(&p->cond, COND_WAKE_ONE);
	poller_put(p);
}

/* The objects that are watched have references of the caller while a watch is hung up. */
static bool changed(struct watch *watch, uint32_t key, struct waker **noted)
{
	struct poll_watch *w = CONTAINER_OF(watch, struct poll_watch, watch);
	struct poller *p = w->poller;
	bool is_woken = false;

	if (key != WATCH_ANY && !(key & w->events) && MECHANISM(poll_key))
		return false;
	poller_lock(p);
	p->is_changed = true;
	if (p->lead != LEAD_NONE) {
		rx_lead_hit(rx_of(p->first), &p->lead);
	} else if (p->is_asleep && !p->waker.is_noted) {
		is_woken = true;
		atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
		watch_note(&p->waker, noted);
		counter_add(&conn_stack(p->first)->counters, C_READY_WAKES, 1);
		rx_count_woken(rx_of(p->first));
	}
	poller_unlock(p);
	return is_woken;
}

/* A poll goes by itself: nobody takes its watches off. */
static struct conn *no_owner(struct watch *watch)
{
	(void)watch;
	return NULL;
}

static const struct watch_ops poll_ops = {.changed = changed, .owner = no_owner};

/* ---- The call. ---- */

/* How many entries have something. */
static int look(struct poller_entry *entries, uint32_t count)
{
	int n = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct poller_entry *e = &entries[i];

		if (e->conn)
			e->found = proto_of(e->conn)->ready(e->conn) & (e->events | POLLNVAL);
		n += e->found != 0;
	}
	return n;
}

/* Nobody else knows it yet. */
static NO_TSA struct poller *new_poller(struct conn *first, uint32_t count)
{
	struct poller *p = calloc(1, sizeof(*p) + count * sizeof(p->watches[0]));

	if (!p)
		return NULL;
	mutex_init(&p->mu);
	cond_init(&p->cond);
	p->waker.tell = tell;
	p->first = first;
	p->eventfd = -1;
	atomic_init(&p->refs, 1);
	HB_ATOMIC(p->refs);
	return p;
}

static int hang_up(struct poller *p, const struct poller_entry *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct poller_entry *e = &entries[i];
		struct poll_watch *w = &p->watches[i];

		if (!e->conn)
			continue;
		struct watchers *ws = proto_of(e->conn)->watchers(e->conn);

		if (!ws)
			return -ENOMEM;
		w->watch.ops = &poll_ops;
		w->poller = p;
		w->events = e->events;
		/* One that was closed is found by the look. */
		w->is_hung = watch_add(ws, &w->watch);
	}
	return 0;
}

/* A call's poller, to be taken down when it ends, or its thread is cancelled. */
struct hung {
	struct poller *p;
	const struct poller_entry *entries;
	uint32_t count;
};

static void take_down(struct hung *hung)
{
	struct poller *p = hung->p;

	for (uint32_t i = 0; p && i < hung->count; i++) {
		struct conn *conn = hung->entries[i].conn;

		if (p->watches[i].is_hung)
			watch_remove(proto_of(conn)->watchers(conn), &p->watches[i].watch);
	}
	if (p)
		poller_put(p);
}

/* Of a poll that sleeps, with the lock. */
struct sleeper {
	struct poller *p;
	bool is_awake;
};

/* A cancelled one only leaves the lock: its call takes the watches down. */
static NO_TSA void stop_sleeping(const struct sleeper *sleeper)
{
	sleeper->p->is_asleep = false;
	if (!sleeper->is_awake)
		poller_unlock(sleeper->p);
}

/* One sleep on the clock of the first one's stack, or as its leader.  False: 'deadline' has passed. */
static NO_TSA bool sleep_or_lead(struct poller *p, weft_time_us deadline)
{
	struct sleeper sleeper CLEANUP(stop_sleeping) = {.p = p};
	bool in_time;

	if (!p->first) {
		in_time = cond_sleep_until(&p->cond, &p->mu, deadline);
	} else if (rx_take_seat(rx_of(p->first), p->first)) {
		in_time = rx_lead(rx_of(p->first), p->first, &p->lead, &p->mu, deadline);
	} else {
		p->is_asleep = true;
		in_time = stack_wait(conn_stack(p->first), &p->cond, &p->mu, deadline);
	}
	sleeper.is_awake = true;
	return in_time;
}

/* Until something has changed; false when 'deadline' passed before that. */
static bool await_change(struct poller *p, weft_time_us deadline)
{
	bool in_time = true;

	poller_lock(p);
	while (!p->is_changed && in_time)
		in_time = sleep_or_lead(p, deadline);
	p->is_changed = false;
	poller_unlock(p);
	return in_time;
}

static weft_time_us now_of(const struct conn *first)
{
	return first ? stack_now(conn_stack(first)) : clock_monotonic_us();
}

/* await_change with a signal mask: 0, also when 'deadline' has passed; -EINTR. */
static int await_masked(struct poller *p, weft_time_us deadline, const sigset_t *mask)
{
	weft_time_us left = deadline;
	int rc = 0;

	if (deadline != WEFT_TIME_NEVER)
		left = time_max(deadline - now_of(p->first), 0);
	poller_lock(p);
	bool is_changed = p->is_changed;

	p->is_asleep = !is_changed;
	poller_unlock(p);
	if (!is_changed)
		rc = masked_sleep(p->eventfd, left, mask);
	set_eventfd(p->eventfd, false);
	poller_lock(p);
	p->is_asleep = false;
	p->is_changed = false;
	poller_unlock(p);
	return rc;
}

static int sleep_masked(struct poller *p, struct poller_entry *entries, uint32_t count,
			weft_time_us deadline, const sigset_t *mask)
{
	bool in_time = true;
	int n = 0, rc = 0;

	p->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->eventfd < 0)
		return -errno;
	rc = hang_up(p, entries, count);
	if (rc == 0)
		n = look(entries, count);
	while (n == 0 && rc == 0 && in_time) {
		rc = await_masked(p, deadline, mask);
		in_time = deadline == WEFT_TIME_NEVER || now_of(p->first) < deadline;
		n = look(entries, count);
	}
	return n > 0 ? n : rc;
}

static int sleep_plain(struct poller *p, struct poller_entry *entries, uint32_t count,
		       weft_time_us deadline)
{
	int rc = hang_up(p, entries, count);
	bool in_time = rc == 0;
	int n = 0;

	if (rc == 0 && MECHANISM(poll_second_look))
		n = look(entries, count);
	while (n == 0 && in_time) {
		in_time = await_change(p, deadline);
		n = look(entries, count);
	}
	return rc != 0 ? rc : n;
}

int poller_wait(struct poller_entry *entries, uint32_t count, weft_time_us timeout,
		const sigset_t *mask)
{
	struct conn *first = NULL;
	int n = look(entries, count);

	/* As Linux: a signal that the mask lets through counts also without a sleep. */
	if (n == 0 && timeout == 0 && mask)
		return masked_sleep(-1, 0, mask);
	if (n > 0 || timeout == 0)
		return n;
	for (uint32_t i = 0; i < count && !first; i++)
		first = entries[i].conn;
	weft_time_us now = now_of(first);
	/* A time that the clock never reads is none. */
	weft_time_us deadline = timeout < WEFT_TIME_NEVER - now ? now + timeout : WEFT_TIME_NEVER;
	struct hung hung CLEANUP(take_down) = {new_poller(first, count), entries, count};

	if (!hung.p)
		return -ENOMEM;
	return mask ? sleep_masked(hung.p, entries, count, deadline, mask)
		    : sleep_plain(hung.p, entries, count, deadline);
}
