/* Lists of watches; see watch.h.  Any thread; the list's mutex is lc_watch. */
#include "net/stack/watch.h"

#include "net/base/check.h"
#include "net/base/mechanism.h"
#include "net/stack/rcu.h"
#include <stdlib.h>

static void watch_lock(struct watchers *ws) ACQUIRE(lc_watch) NO_TSA;
static void watch_unlock(struct watchers *ws) RELEASE(lc_watch) NO_TSA;

static void watch_lock(struct watchers *ws)
{
	mutex_lock(&ws->mu);
}

static void watch_unlock(struct watchers *ws)
{
	mutex_unlock(&ws->mu);
}

/* Nobody else knows it yet. */
NO_TSA void watchers_init(struct watchers *ws)
{
	mutex_init(&ws->mu);
	list_init(&ws->list);
	ws->is_closed = false;
	ws->noted = NULL;
	atomic_init(&ws->count, 0);
	atomic_init(&ws->settles, false);
	HB_ATOMIC(ws->count);
	HB_ATOMIC(ws->settles);
}

NO_TSA void watchers_fini(struct watchers *ws)
{
	WEFT_ASSERT(list_empty(&ws->list) && !ws->noted);
	mutex_fini(&ws->mu);
}

struct watchers *watchers_make(watchers_ref *ref)
{
	struct watchers *ws = watchers_of(ref);
	struct watchers *expected = NULL;

	if (ws)
		return ws;
	ws = calloc(1, sizeof(*ws));
	if (!ws)
		return NULL;
	watchers_init(ws);
	HB_BEFORE(ref);
	if (atomic_compare_exchange_strong_explicit(ref, &expected, ws, memory_order_acq_rel,
						    memory_order_acquire))
		return ws;
	watchers_fini(ws);
	free(ws);
	return expected;
}

void watchers_drop(watchers_ref *ref)
{
	struct watchers *ws = watchers_of(ref);

	if (!ws)
		return;
	watchers_fini(ws);
	free(ws);
}

bool watch_add(struct watchers *ws, struct watch *watch)
{
	watch_lock(ws);
	bool is_open = !ws->is_closed;

	/* The exclusive ones stand behind all others, the oldest first. */
	if (is_open) {
		bool is_last = watch->ops->is_exclusive && MECHANISM(watch_exclusive_last);

		list_push(is_last ? &ws->list : ws->list.next, &watch->link);
		atomic_fetch_add_explicit(&ws->count, 1, memory_order_relaxed);
	}
	watch_unlock(ws);
	return is_open;
}

void watch_remove(struct watchers *ws, struct watch *watch)
{
	watch_lock(ws);
	list_del(&watch->link);
	atomic_fetch_sub_explicit(&ws->count, 1, memory_order_relaxed);
	watch_unlock(ws);
}

void watch_notify(struct watchers *ws, uint32_t key, struct waker **noted)
{
	bool is_spent = false;
	struct list *at;

	watch_lock(ws);
	list_for_each (at, &ws->list) {
		struct watch *w = CONTAINER_OF(at, struct watch, link);

		/* An end concerns all. */
		if (is_spent && (key != WATCH_ANY || !MECHANISM(watch_end_all)))
			break;
		if (w->ops->changed(w, key, noted) && w->ops->is_exclusive &&
		    MECHANISM(watch_exclusive))
			is_spent = true;
	}
	watch_unlock(ws);
}

void watch_settle(struct watchers *ws, uint32_t mask, struct waker **noted)
{
	struct list *at;

	if (!watch_settles(ws))
		return;
	watch_lock(ws);
	list_for_each (at, &ws->list) {
		struct watch *w = CONTAINER_OF(at, struct watch, link);

		if (w->ops->settled)
			w->ops->settled(w, mask, noted);
	}
	watch_unlock(ws);
}

void watch_tell(struct waker *noted)
{
	while (noted) {
		struct waker *waker = noted;

		noted = waker->next;
		waker->tell(waker, &noted);
	}
}

struct conn *watchers_close(struct watchers *ws)
{
	struct conn *owner = NULL;
	struct list *at;

	watch_lock(ws);
	ws->is_closed = true;
	list_for_each (at, &ws->list) {
		struct watch *w = CONTAINER_OF(at, struct watch, link);

		if (w->ops->owner)
			owner = w->ops->owner(w);
		if (owner)
			break;
	}
	watch_unlock(ws);
	return owner;
}
