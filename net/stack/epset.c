/*
 * Birth, table and end of epoll sets.  Application threads; sockets that close come here, too.
 *
 * A set lives while somebody refers to it: its handle, a running call, a note to tell it
 * (watch_note), an item of a set around it, and its stack's list until the set is closed or the stack stops.
 * An item refers to what it watches; what is watched does not refer to the set, but closing either
 * takes the item away (epset_leave_all, end): no set that has an item is without references.
 */
#include "net/base/mechanism.h"
#include "net/stack/epset_int.h"
#include "net/stack/proto.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* What may come with EPOLLEXCLUSIVE, as on Linux. */
#define EXCLUSIVE_OK                                                                               \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | (uint32_t)EPOLLET |              \
	 EPOLLEXCLUSIVE)

NO_TSA void epset_lock(struct epset *set)
{
	mutex_lock(&set->mu);
}

NO_TSA void epset_unlock(struct epset *set)
{
	mutex_unlock(&set->mu);
}

/* ---- Birth and death. ---- */

/* Nobody else knows it yet. */
static NO_TSA void init_set(struct epset *set, struct stack *stack, unsigned queue)
{
	conn_init(&set->conn, stack, CONN_EPSET, queue);
	watchers_init(&set->watchers);
	list_init(&set->link);
	mutex_init(&set->mu);
	mutex_init(&set->ready_mu);
	cond_init(&set->cond);
	set->waker.tell = epset_tell;
	list_init(&set->ready);
	mutex_init(&set->eventfd_mu);
	atomic_init(&set->eventfd, -1);
	HB_ATOMIC(set->eventfd);
	HB_ATOMIC(set->is_nonblock);
	list_init(&set->inner);
	list_init(&set->outer);
}

int epset_new(struct stack *stack, struct conn **made)
{
	struct epset *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	init_set(set, stack, stack_choose_queue(stack));
	stack_socks_lock(stack);
	bool is_running = !stack->stopping;

	stack->epset_count++;
	if (is_running) {
		(void)conn_get(&set->conn);
		list_push(&stack->epsets, &set->link);
	}
	stack_socks_unlock(stack);
	*made = &set->conn;
	if (!is_running)
		conn_put(made);
	return is_running ? 0 : -ESHUTDOWN;
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	struct epset *set = epset_of(CONTAINER_OF(head, struct conn, rcu));
	struct stack *stack = set->conn.stack;

	free(set);
	conn_freed(stack);
	rcu_reclaim_end();
}

/* Nobody else knows it any more. */
static NO_TSA void fini_set(struct epset *set)
{
	WEFT_ASSERT(set->count == 0 && list_empty(&set->ready));
	WEFT_ASSERT(list_empty(&set->inner) && list_empty(&set->outer));
	free((void *)set->bucket);
	int fd = atomic_load_explicit(&set->eventfd, memory_order_relaxed);
	int cancel = thread_cancel_off();

	if (fd >= 0)
		(void)close(fd);
	thread_cancel_restore(cancel);
	mutex_fini(&set->eventfd_mu);
	cond_fini(&set->cond);
	mutex_fini(&set->ready_mu);
	mutex_fini(&set->mu);
	watchers_fini(&set->watchers);
}

void epset_release(struct conn *conn)
{
	struct stack *stack = conn->stack;

	fini_set(epset_of(conn));
	stack_socks_lock(stack);
	stack->epset_count--;
	conn_defer_free(conn, reclaim);
	if (stack->epset_count == 0)
		cond_broadcast(&stack->socks_gone);
	stack_socks_unlock(stack);
}

/* ---- Items. ---- */

static struct watchers *watchers_at(struct conn *conn)
{
	return proto_of(conn)->watchers(conn);
}

/* Out of everything; free_item does the rest without the lock. */
static void take_item(struct epset *set, struct epset_item *item) REQUIRES(lc_epset)
{
	epset_unlink(set, item);
	watch_remove(watchers_at(item->conn), &item->watch);
	epset_ready_lock(set);
	if (list_linked(&item->ready)) {
		list_del(&item->ready);
		set->ready_count--;
	}
	epset_ready_unlock(set);
}

static void free_item(struct epset_item *item)
{
	epset_unnest(&item->edge);
	conn_put(&item->conn);
	free(item);
}

/* An item that is in no list yet, or -ENOMEM, -ELOOP. */
static int new_item(struct epset *set, int fd, struct conn *target, const struct epoll_event *event,
		    struct epset_item **made)
{
	bool is_exclusive = event->events & EPOLLEXCLUSIVE;
	struct epset_item *item = calloc(1, sizeof(*item));
	int rc = 0;

	if (!item || !watchers_at(target)) {
		free(item);
		return -ENOMEM;
	}
	if (conn_kind(target) == CONN_EPSET)
		rc = epset_nest(set, epset_of(target), &item->edge);
	if (rc != 0) {
		free(item);
		return rc;
	}
	item->watch.ops = is_exclusive ? &epset_exclusive_ops : &epset_watch_ops;
	item->set = set;
	item->conn = conn_get(target);
	item->fd = fd;
	item->events = event->events | EPOLLERR | EPOLLHUP;
	item->data = event->data.u64;
	list_init(&item->ready);
	*made = item;
	return 0;
}

/* A closed set takes no more items. */
static int check_gone(struct epset *set) EXCLUDES(lc_ready)
{
	epset_ready_lock(set);
	int gone = set->gone;

	epset_ready_unlock(set);
	return gone;
}

/* Hangs the item up, and looks: what is there already is an event. */
static int add_item(struct epset *set, struct epset_item *item, struct waker **noted)
	REQUIRES(lc_epset)
{
	int rc = check_gone(set);

	if (rc == 0 && epset_find(set, item->conn, item->fd))
		rc = -EEXIST;
	if (rc == 0)
		rc = epset_grow(set);
	if (rc == 0 && !watch_add(watchers_at(item->conn), &item->watch))
		rc = -EBADF;
	if (rc != 0)
		return rc;
	epset_insert(set, item);
	if (atomic_load_explicit(&set->eventfd, memory_order_relaxed) >= 0 &&
	    MECHANISM(eventfd_item))
		epset_want_settling(item);
	unsigned mask = proto_of(item->conn)->ready(item->conn);

	if (mask & POLLNVAL) {
		take_item(set, item);
		return -EBADF;
	}
	if ((mask & item->events) && MECHANISM(epoll_add_looks))
		epset_mark(item, noted);
	return 0;
}

static int add(struct epset *set, int fd, struct conn *target, const struct epoll_event *event,
	       struct waker **noted)
{
	struct epset_item *item;
	int rc = new_item(set, fd, target, event, &item);

	if (rc != 0)
		return rc;
	epset_lock(set);
	rc = add_item(set, item, noted);
	epset_unlock(set);
	if (rc != 0)
		free_item(item);
	return rc;
}

static int modify(struct epset *set, struct epset_item *item, const struct epoll_event *event,
		  struct waker **noted) REQUIRES(lc_epset)
{
	if ((item->events & EPOLLEXCLUSIVE) || (event->events & EPOLLEXCLUSIVE))
		return -EINVAL;
	epset_ready_lock(set);
	item->events = event->events | EPOLLERR | EPOLLHUP;
	epset_ready_unlock(set);
	item->data = event->data.u64;
	if (epset_look(item) != 0 && MECHANISM(epoll_mod_looks))
		epset_mark(item, noted);
	return 0;
}

/* MOD and DEL of what is there. */
static int change(struct epset *set, int op, int fd, struct conn *target,
		  const struct epoll_event *event, struct waker **noted)
{
	struct epset_item *gone = NULL;

	epset_lock(set);
	struct epset_item *item = epset_find(set, target, fd);
	int rc = item ? 0 : -ENOENT;

	if (item && op == EPOLL_CTL_MOD) {
		rc = modify(set, item, event, noted);
	} else if (item) {
		take_item(set, item);
		gone = item;
	}
	epset_unlock(set);
	if (gone) {
		free_item(gone);
		epset_sync_eventfd(set);
	}
	return rc;
}

int epset_ctl(struct conn *conn, int op, int fd, struct conn *target,
	      const struct epoll_event *event)
{
	struct epset *set = epset_of(conn);
	struct waker *noted = NULL;
	int rc;

	if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return -EINVAL;
	if (op == EPOLL_CTL_ADD && (event->events & EPOLLEXCLUSIVE) &&
	    ((event->events & ~EXCLUSIVE_OK) || conn_kind(target) == CONN_EPSET))
		return -EINVAL;
	if (op == EPOLL_CTL_ADD)
		rc = add(set, fd, target, event, &noted);
	else
		rc = change(set, op, fd, target, event, &noted);
	watch_tell(noted);
	return rc;
}

/* ---- Ends. ---- */

/* All items of 'conn', of which there may be some by several handles. */
static void forget(struct epset *set, const struct conn *conn)
{
	struct epset_item *item;

	do {
		epset_lock(set);
		item = epset_find(set, conn, -1);
		if (item)
			take_item(set, item);
		epset_unlock(set);
		if (item)
			free_item(item);
	} while (item);
	epset_sync_eventfd(set);
}

void epset_leave_all(struct watchers *ws, struct conn *conn)
{
	struct conn *set;

	while (ws && (set = watchers_close(ws))) {
		forget(epset_of(set), conn);
		conn_put(&set);
	}
}

static void drop_items(struct epset *set)
{
	struct epset_item *item;
	uint32_t at = 0;

	do {
		epset_lock(set);
		item = epset_any(set, &at);
		if (item)
			take_item(set, item);
		epset_unlock(set);
		if (item)
			free_item(item);
	} while (item);
}

/* Takes the set out of its stack's list, whose reference goes; false when it was not there. */
static bool unlist(struct epset *set)
{
	struct conn *ref = &set->conn;

	stack_socks_lock(ref->stack);
	bool was_listed = list_linked(&set->link);

	if (was_listed)
		list_del(&set->link);
	stack_socks_unlock(ref->stack);
	if (was_listed)
		conn_put(&ref);
	return was_listed;
}

/* The caller has a reference.  Whoever waits wakes with 'gone'; everything leaves. */
static void end(struct epset *set, int gone)
{
	struct waker *noted = NULL;

	epset_ready_lock(set);
	if (set->gone == 0)
		set->gone = gone;
	epset_wake_all(set);
	enum cond_wake wakes = set->wakes;

	set->wakes = COND_WAKE_NONE;
	epset_ready_unlock(set);
	cond_wake(&set->cond, wakes);
	epset_leave_all(&set->watchers, &set->conn);
	watch_notify(&set->watchers, WATCH_ANY, &noted);
	watch_tell(noted);
	drop_items(set);
	epset_sync_eventfd(set); /* readable: wakes who waits for it */
	(void)unlist(set);
}

static int close_set(struct conn *conn)
{
	end(epset_of(conn), -EBADF);
	return 0;
}

void epset_stop_all(struct stack *stack)
{
	for (;;) {
		struct epset *set = NULL;

		stack_socks_lock(stack);
		if (!list_empty(&stack->epsets)) {
			set = CONTAINER_OF(stack->epsets.next, struct epset, link);
			list_del(&set->link);
		}
		stack_socks_unlock(stack);
		if (!set)
			return;
		struct conn *ref = &set->conn; /* the list's */

		end(set, -ESHUTDOWN);
		conn_put(&ref);
	}
}

static struct watchers *watchers_of_set(struct conn *conn)
{
	return &epset_of(conn)->watchers;
}

static void set_nonblock(struct conn *conn, bool on)
{
	atomic_store_explicit(&epset_of(conn)->is_nonblock, on, memory_order_relaxed);
}

static bool get_nonblock(struct conn *conn)
{
	return atomic_load_explicit(&epset_of(conn)->is_nonblock, memory_order_relaxed);
}

const struct proto proto_epset = {
	.close = close_set,
	.set_nonblock = set_nonblock,
	.get_nonblock = get_nonblock,
	.ready = epset_ready,
	.watchers = watchers_of_set,
};
