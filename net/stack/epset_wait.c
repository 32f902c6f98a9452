/*
 * Waiting for an epoll set: the ready list, who sleeps for it, the eventfd.  Whoever changes something
 * watched marks items under lc_ready; threads in epset_wait take them off.
 *
 * No event is lost.  An item of whose events one is there, and which no wait has reported since, stands
 * on the list, or somebody is about to look at it who will put it back:
 *  - What makes something ready is done under the lock of what is watched and followed, under it, by
 *    watch_notify, which puts the item on the list if the event is one of its own.
 *  - A look takes the item off the list first, and then takes that lock.  A change before the look is
 *    seen by it, one behind it puts the item back.
 *  - Adding and changing an item hangs it up first and looks then; what is there goes on the list.
 *  - Level-triggered items go back to the end of the list until a look finds none of their events.
 *
 *  - What ends readiness takes an item off only under the same lock, when nothing of it is there
 *    (settled); that is for the eventfd's sake alone.
 *
 * No wake-up is lost.  Let lc_ready be free, the list not be empty, and somebody sleep.  Then one is
 * signalled or about to be (is_called), or somebody leads and is told, or somebody is awake between
 * his look at the list and harvest's end:
 *  - Who puts an item on the list wakes one: the leader is told at once, a sleeper is noted unless one
 *    is called already and none has come to the lock since.  Notes are acted on by epset_tell, behind the
 *    locks, or by the noter himself.
 *  - Who comes to the lock, for whichever reason, is no longer called, looks, and harvests.  When he
 *    leaves something on the list, also what is to go on being reported, he wakes the next.
 * One event wakes one thread, as on Linux.
 */
#include "net/base/mechanism.h"
#include "net/stack/epset_int.h"
#include "net/stack/masked.h"
#include "net/stack/proto.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

NO_TSA void epset_ready_lock(struct epset *set)
{
	mutex_lock(&set->ready_mu);
}

NO_TSA void epset_ready_unlock(struct epset *set)
{
	mutex_unlock(&set->ready_mu);
}

enum { HARVEST = 16 };

/* Whose packets a thread that waits for the set may read meanwhile. */
static struct rx *rx_of(const struct epset *set)
{
	return set->conn.stack->queue[set->conn.queue].rx;
}

/* ---- Waking. ---- */

/* Whether there was one to wake who was not about to come anyway. */
static bool wake_one(struct epset *set) REQUIRES(lc_ready)
{
	if (set->lead != LEAD_NONE) {
		bool is_news = set->lead != LEAD_HIT;

		rx_lead_hit(rx_of(set), &set->lead);
		return is_news;
	}
	if (set->sleepers == 0 || (set->is_called && MECHANISM(epoll_one_wakes)))
		return false;
	set->is_called = true;
	counter_add(&set->conn.stack->counters, C_READY_WAKES, 1);
	rx_count_woken(rx_of(set));
	if (set->wakes == COND_WAKE_NONE)
		set->wakes = COND_WAKE_ONE;
	return true;
}

void epset_wake_all(struct epset *set)
{
	if (set->sleepers > 0)
		set->wakes = COND_WAKE_ALL;
	rx_lead_hit(rx_of(set), &set->lead);
}

static enum cond_wake take_wakes(struct epset *set) REQUIRES(lc_ready)
{
	enum cond_wake wakes = set->wakes;

	set->wakes = COND_WAKE_NONE;
	return wakes;
}

/* An item belongs on the list.  Whether that woke somebody. */
static bool mark(struct epset_item *item, struct waker **noted) REQUIRES(lc_ready)
{
	struct epset *set = item->set;
	bool was_empty = list_empty(&set->ready);

	if (!list_linked(&item->ready)) {
		list_push(&set->ready, &item->ready);
		set->ready_count++;
	}
	bool is_woken = wake_one(set);
	bool has_eventfd = atomic_load_explicit(&set->eventfd, memory_order_relaxed) >= 0;
	bool is_watched = atomic_load_explicit(&set->watchers.count, memory_order_relaxed) > 0;

	if (set->wakes == COND_WAKE_NONE && !(was_empty && has_eventfd) && !is_watched)
		return is_woken;
	if (!set->waker.is_noted) {
		(void)conn_get(&set->conn);
		watch_note(&set->waker, noted);
	}
	return is_woken || (was_empty && has_eventfd);
}

void epset_mark(struct epset_item *item, struct waker **noted)
{
	epset_ready_lock(item->set);
	(void)mark(item, noted);
	epset_ready_unlock(item->set);
}

static bool changed(struct watch *watch, uint32_t key, struct waker **noted)
{
	struct epset_item *item = CONTAINER_OF(watch, struct epset_item, watch);
	bool is_woken = false;

	epset_ready_lock(item->set);
	bool is_armed = (item->events & ~EPSET_PRIVATE) || !MECHANISM(epoll_disarmed);
	bool is_wanted = key == WATCH_ANY || (item->events & key) || !MECHANISM(epoll_key);

	if (is_armed && is_wanted)
		is_woken = mark(item, noted);
	epset_ready_unlock(item->set);
	return is_woken;
}

/* What no look would find any more leaves the list of a set with an eventfd, which is to show that. */
static void settled(struct watch *watch, uint32_t mask, struct waker **noted)
{
	struct epset_item *item = CONTAINER_OF(watch, struct epset_item, watch);
	struct epset *set = item->set;

	if (atomic_load_explicit(&set->eventfd, memory_order_relaxed) < 0)
		return;
	epset_ready_lock(set);
	if (list_linked(&item->ready) && !(mask & item->events) && MECHANISM(epoll_settles)) {
		list_del(&item->ready);
		set->ready_count--;
		if (list_empty(&set->ready) && !set->waker.is_noted) {
			(void)conn_get(&set->conn);
			watch_note(&set->waker, noted);
		}
	}
	epset_ready_unlock(set);
}

static struct conn *owner(struct watch *watch)
{
	return conn_get(&CONTAINER_OF(watch, struct epset_item, watch)->set->conn);
}

const struct watch_ops epset_watch_ops = {.changed = changed, .settled = settled, .owner = owner};
const struct watch_ops epset_exclusive_ops = {
	.changed = changed, .settled = settled, .owner = owner, .is_exclusive = true};

void epset_tell(struct waker *waker, struct waker **more)
{
	struct epset *set = CONTAINER_OF(waker, struct epset, waker);
	struct conn *ref = &set->conn;

	epset_ready_lock(set);
	waker->is_noted = false;
	enum cond_wake wakes = take_wakes(set);

	epset_ready_unlock(set);
	cond_wake(&set->cond, wakes);
	epset_sync_eventfd(set);
	if (atomic_load_explicit(&set->watchers.count, memory_order_relaxed) > 0 &&
	    MECHANISM(epoll_nest_tells))
		watch_notify(&set->watchers, EPOLLIN | EPOLLRDNORM, more);
	conn_put(&ref);
}

/* ---- The eventfd. ---- */

void epset_want_settling(struct epset_item *item)
{
	struct watchers *ws = proto_of(item->conn)->watchers(item->conn);

	atomic_store_explicit(&ws->settles, true, memory_order_relaxed);
}

static void eventfd_lock(struct epset *set) ACQUIRE(lc_eventfd) NO_TSA;
static void eventfd_unlock(struct epset *set) RELEASE(lc_eventfd) NO_TSA;

static void eventfd_lock(struct epset *set)
{
	mutex_lock(&set->eventfd_mu);
}

static void eventfd_unlock(struct epset *set)
{
	mutex_unlock(&set->eventfd_mu);
}

/*
 * Whoever changes whether the list is empty comes here afterwards: so the last to come has seen the
 * last change.
 */
void epset_sync_eventfd(struct epset *set)
{
	uint64_t count = 1;

	if (atomic_load_explicit(&set->eventfd, memory_order_relaxed) < 0)
		return;
	eventfd_lock(set);
	int fd = atomic_load_explicit(&set->eventfd, memory_order_relaxed);

	epset_ready_lock(set);
	bool is_ready = !list_empty(&set->ready) || (set->gone != 0 && MECHANISM(eventfd_end));

	epset_ready_unlock(set);
	/* Neither can fail: the counter is 0 or 1.  Both are cancellation points. */
	if (fd >= 0 && (is_ready != set->eventfd_on || !MECHANISM(eventfd_once))) {
		int cancel = thread_cancel_off();
		ssize_t n = is_ready ? write(fd, &count, sizeof(count))
				     : read(fd, &count, sizeof(count));

		thread_cancel_restore(cancel);
		set->eventfd_on = n == sizeof(count) ? is_ready : set->eventfd_on;
	}
	eventfd_unlock(set);
}

int epset_eventfd(struct conn *conn)
{
	struct epset *set = epset_of(conn);

	eventfd_lock(set);
	epset_ready_lock(set);
	int fd = set->gone;

	epset_ready_unlock(set);
	if (fd == 0)
		fd = atomic_load_explicit(&set->eventfd, memory_order_relaxed);
	if (fd == -1) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			fd = -errno;
		else
			atomic_store_explicit(&set->eventfd, fd, memory_order_relaxed);
	}
	eventfd_unlock(set);
	epset_lock(set);
	if (MECHANISM(eventfd_late))
		epset_each(set, epset_want_settling);
	epset_unlock(set);
	epset_sync_eventfd(set);
	return fd;
}

/* ---- Looking and waiting. ---- */

uint32_t epset_look(struct epset_item *item)
{
	counter_add(&item->set->conn.stack->counters, C_READY_LOOKS, 1);
	return proto_of(item->conn)->ready(item->conn) & item->events;
}

static struct epset_item *take_first(struct epset *set) REQUIRES(lc_ready)
{
	struct epset_item *item = CONTAINER_OF(set->ready.next, struct epset_item, ready);

	list_del(&item->ready);
	set->ready_count--;
	return item;
}

/* Behind a look that found something: one-shot items are off, level-triggered ones stay. */
static void after_report(struct epset_item *item) REQUIRES(lc_epset, lc_ready)
{
	bool is_edge = (item->events & (uint32_t)EPOLLET) && MECHANISM(epoll_edge);
	struct list *ready = &item->set->ready;

	if ((item->events & EPOLLONESHOT) && MECHANISM(epoll_oneshot)) {
		item->events &= EPSET_PRIVATE;
	} else if (!is_edge && !list_linked(&item->ready)) {
		list_push(MECHANISM(epoll_turns) ? ready : ready->next, &item->ready);
		item->set->ready_count++;
	}
}

/* Takes up to 'max' from the list, in order. */
static unsigned take_some(struct epset *set, struct epset_item **items, unsigned max)
	REQUIRES(lc_ready)
{
	unsigned n = 0;

	while (n < max && set->ready_count > 0)
		items[n++] = take_first(set);
	return n;
}

static unsigned min_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Reports from the list, once around at most: in turns, when there are more than 'max'.  Items are taken
 * and put back HARVEST at a time, so that the lock, which events want, too, is taken seldom.
 */
static int harvest(struct epset *set, struct epoll_event *events, int max) REQUIRES(lc_epset)
{
	struct epset_item *items[HARVEST];
	uint32_t mask[HARVEST];
	unsigned n = 0;

	epset_ready_lock(set);
	/* Meanwhile the list may lose some that are settled. */
	unsigned left = set->ready_count;

	while (n < (unsigned)max && left > 0) {
		unsigned count =
			take_some(set, items, min_of(min_of(left, HARVEST), (unsigned)max - n));

		if (count == 0)
			break;
		left -= count;
		epset_ready_unlock(set);
		for (unsigned i = 0; i < count; i++) {
			mask[i] = epset_look(items[i]);
			if (mask[i] != 0)
				events[n++] = (struct epoll_event){.events = mask[i],
								   .data = {.u64 = items[i]->data}};
		}
		epset_ready_lock(set);
		for (unsigned i = 0; i < count; i++)
			if (mask[i] != 0)
				after_report(items[i]);
	}
	if (!list_empty(&set->ready) && MECHANISM(epoll_wakes_next))
		(void)wake_one(set);
	enum cond_wake wakes = take_wakes(set);

	epset_ready_unlock(set);
	cond_wake(&set->cond, wakes);
	return (int)n;
}

static NO_TSA void stop_sleeping(struct epset **set)
{
	(*set)->sleepers--;
	(*set)->is_called = false;
}

/* Sleeps with the others, or leads if nobody does.  False when 'deadline' has passed. */
static NO_TSA bool sleep_or_lead(struct epset *set, weft_time_us deadline)
{
	if (set->lead == LEAD_NONE && rx_take_seat(rx_of(set), set))
		return rx_lead(rx_of(set), set, &set->lead, &set->ready_mu, deadline);
	struct epset *sleeping CLEANUP(stop_sleeping) = set;

	sleeping->sleepers++;
	return stack_wait(set->conn.stack, &set->cond, &set->ready_mu, deadline);
}

/* Of a thread asleep, with lc_ready. */
struct sleeper {
	struct epset *set;
	bool is_awake;
};

/* Cancelled: what it was woken for is the next one's. */
static NO_TSA void leave_cancelled(const struct sleeper *sleeper)
{
	struct epset *set = sleeper->set;

	if (sleeper->is_awake)
		return;
	if (!list_empty(&set->ready) && MECHANISM(epoll_cancelled))
		(void)wake_one(set);
	enum cond_wake wakes = take_wakes(set);

	epset_ready_unlock(set);
	cond_wake(&set->cond, wakes);
}

/* Until something may be ready, or the set ends; false when 'deadline' passed before that. */
static bool await_ready(struct epset *set, weft_time_us deadline) REQUIRES(lc_ready)
{
	struct sleeper sleeper CLEANUP(leave_cancelled) = {.set = set};
	bool in_time = sleep_or_lead(set, deadline);

	sleeper.is_awake = true;
	return in_time;
}

int epset_wait(struct conn *conn, struct epoll_event *events, int max, weft_time_us deadline)
{
	struct epset *set = epset_of(conn);
	bool in_time = deadline >= 0;
	int n = 0;

	while (n == 0) {
		epset_ready_lock(set);
		while (set->gone == 0 && list_empty(&set->ready) && in_time)
			in_time = await_ready(set, deadline);
		int gone = set->gone;
		bool is_empty = list_empty(&set->ready);

		epset_ready_unlock(set);
		if (gone != 0 || is_empty)
			return gone;
		epset_lock(set);
		n = harvest(set, events, max);
		epset_unlock(set);
		epset_sync_eventfd(set);
		if (!in_time)
			break;
	}
	return n;
}

static weft_time_us time_left(struct stack *stack, weft_time_us deadline)
{
	if (deadline == WEFT_TIME_NEVER)
		return WEFT_TIME_NEVER;
	return time_max(deadline - stack_now(stack), 0);
}

int epset_pwait(struct conn *conn, struct epoll_event *events, int max, weft_time_us deadline,
		const sigset_t *mask)
{
	int n = epset_wait(conn, events, max, -1);
	bool in_time = deadline >= 0;

	while (n == 0 && in_time) {
		int fd = epset_eventfd(conn);

		n = fd < 0 ? fd : masked_sleep(fd, time_left(conn->stack, deadline), mask);
		in_time = deadline == WEFT_TIME_NEVER || stack_now(conn->stack) < deadline;
		if (n == 0)
			n = epset_wait(conn, events, max, -1);
	}
	return n;
}

/* Whether one of those on the list is ready; those that are not leave it. */
unsigned epset_ready(struct conn *conn)
{
	struct epset *set = epset_of(conn);
	bool is_ready = false;

	epset_lock(set);
	epset_ready_lock(set);
	int gone = set->gone;

	while (!is_ready && !list_empty(&set->ready)) {
		struct epset_item *item = take_first(set);

		epset_ready_unlock(set);
		is_ready = epset_look(item) != 0 || !MECHANISM(epoll_nest_looks);
		epset_ready_lock(set);
		if (is_ready && !list_linked(&item->ready)) {
			list_push(set->ready.next, &item->ready);
			set->ready_count++;
		}
	}
	epset_ready_unlock(set);
	epset_unlock(set);
	epset_sync_eventfd(set);
	if (gone != 0)
		return POLLNVAL;
	return is_ready ? EPOLLIN | EPOLLRDNORM : 0;
}
