/*
 * Watching for readiness: who waits in poll or has put something into an epoll set hangs a watch on
 * it, and hears of every change.  Whoever changes a socket (or listener, or set) tells its watchers
 * under the lock that guards the change, and gets back whom to tell outside it.
 *
 * Two steps, as with sleepers in sock_wait.c: under the locks a watch's owner is told to look again
 * (watch.changed, under lc_watch and its own lc_ready), which may note its waker; without them the waker
 * signals sleepers, writes an eventfd, and tells the watchers of a nested set (watch_tell).
 */
#ifndef WEFT_STACK_WATCH_H
#define WEFT_STACK_WATCH_H

#include "net/base/list.h"
#include "net/stack/locks.h"
#include <stdatomic.h>
#include <stdint.h>

struct conn;
struct watchers;

/* Somebody to be told when the locks are released.  Noted at most once at a time. */
struct waker {
	struct waker *next; /* of whoever noted it, until it is told */
	bool is_noted GUARDED_BY(lc_ready);
	/* With no lock but roles; drops the note's reference; adds to '*more' whom that concerns. */
	void (*tell)(struct waker *waker, struct waker **more);
};

struct watch;

struct watch_ops {
	/*
	 * The events of 'key' (bits of epoll; WATCH_ANY: anything) may have come.  Notes its waker on
	 * '*noted' when somebody is to be told.  Whether that woke somebody who slept.
	 */
	bool (*changed)(struct watch *watch, uint32_t key, struct waker **noted);
	/* Of what may be waited for only 'mask' is there now. */
	void (*settled)(struct watch *watch, uint32_t mask, struct waker **noted);
	/*
	 * The epoll set that the watch belongs to, with a reference, while the watch is linked; NULL: of a
	 * poll, which goes by itself.
	 */
	struct conn *(*owner)(struct watch *watch);
	bool is_exclusive; /* EPOLLEXCLUSIVE: of these only one that wakes somebody is told */
};

struct watch {
	struct list link; /* lc_watch */
	const struct watch_ops *ops;
};

enum { WATCH_ANY = 0 };

/* What is watched has one of these, made when the first one comes. */
struct watchers {
	struct mutex mu; /* lc_watch */
	struct list list GUARDED_BY(lc_watch);
	bool is_closed GUARDED_BY(lc_watch); /* no more come */
	atomic_uint count;                   /* in the list */
	atomic_bool
		settles; /* a set with an eventfd watches, or did: it hears of what is gone, too */
	uint32_t told;   /* what was there when it heard last; guarded as is 'noted' */
	struct waker *noted; /* guarded by the lock of what is watched */
};

typedef _Atomic(struct watchers *) watchers_ref;

void watchers_init(struct watchers *ws);
void watchers_fini(struct watchers *ws);

/* Made if there are none yet; NULL when out of memory.  watchers_drop at the object's end. */
struct watchers *watchers_make(watchers_ref *ref);
void watchers_drop(watchers_ref *ref);

/* NULL: nobody ever watched. */
static inline struct watchers *watchers_of(watchers_ref *ref)
{
	return atomic_load_explicit(ref, memory_order_acquire);
}

/* False when the object was closed.  The list holds no reference: the watch leaves before it dies. */
bool watch_add(struct watchers *ws, struct watch *watch) EXCLUDES(lc_watch, lc_ready);
void watch_remove(struct watchers *ws, struct watch *watch) EXCLUDES(lc_watch, lc_ready);

/* Tells all that 'key' may have come; chains whom to tell later to '*noted'. */
void watch_notify(struct watchers *ws, uint32_t key, struct waker **noted)
	EXCLUDES(lc_watch, lc_ready);

/* Tells all that nothing but 'mask' is there, if one of them wants to know. */
void watch_settle(struct watchers *ws, uint32_t mask, struct waker **noted)
	EXCLUDES(lc_watch, lc_ready);

static inline bool watch_settles(const struct watchers *ws)
{
	return ws && atomic_load_explicit(&ws->settles, memory_order_relaxed);
}

/* Tells those noted, with no lock held but roles, or what comes before lc_watch. */
void watch_tell(struct waker *noted) EXCLUDES(lc_watch, lc_ready);

/* From a changed callback, in its lc_ready: notes the waker; the caller takes a reference for it. */
static inline void watch_note(struct waker *waker, struct waker **noted) REQUIRES(lc_ready)
{
	waker->is_noted = true;
	waker->next = *noted;
	*noted = waker;
}

/* No more watches; a set that one of the present ones belongs to, with a reference, or NULL. */
struct conn *watchers_close(struct watchers *ws) EXCLUDES(lc_watch, lc_ready);

#endif
