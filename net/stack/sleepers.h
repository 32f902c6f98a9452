/*
 * Threads asleep for one thing of a socket, data or room, and waking them.  Whoever has the socket's
 * lock calls; sock_wait.c says why no wake-up is lost.
 */
#ifndef WEFT_STACK_SLEEPERS_H
#define WEFT_STACK_SLEEPERS_H

#include "net/base/sync.h"
#include "net/stack/rx.h"

struct stack;
struct waker;
struct watchers;

struct sleepers {
	struct cond cond;
	uint32_t need;          /* bytes that the easiest waits for, asleep or leading */
	uint32_t count : 27;    /* asleep, or awake and not at the lock yet */
	uint32_t is_led : 1;    /* one more leads instead */
	uint32_t is_mixed : 1;  /* not all wait for the same number */
	uint32_t is_called : 1; /* one is signalled, and none has come to the lock since */
	uint32_t wakes : 2;     /* enum cond_wake: noted; nobody lets go of the lock with it */
};

/* Whom changes under the lock are to wake, taken out by whoever lets go of it. */
struct sock_wakes {
	enum cond_wake readers;
	enum cond_wake writers;
	struct waker *noted; /* by watchers (watch.h) */
};

/* The socket that they sleep for. */
struct sleep_place {
	struct stack *stack;
	struct rx *rx;    /* who reads its packets, as a rule */
	struct mutex *mu; /* its lock */
	enum lead_state *lead;
	const void *who;
	bool is_reader; /* for the counters */
};

void sleepers_init(struct sleepers *t);
void sleepers_fini(struct sleepers *t);

static inline bool sleepers_any(const struct sleepers *t)
{
	return t->count > 0 || t->is_led;
}

/* Takes the notes out, those for watchers, too ('ws' may be NULL). */
struct sock_wakes sleepers_take_wakes(struct sleepers *readers, struct sleepers *writers,
				      struct watchers *ws);

/* Acts on them, without the lock. */
void sleepers_wake(struct sleepers *readers, struct sleepers *writers, struct sock_wakes wakes);

/* Note to wake everybody. */
void sleepers_wake_all(const struct sleep_place *at, struct sleepers *t);

/* Note to wake one, or all when they are not alike. */
void sleepers_wake_one(const struct sleep_place *at, struct sleepers *t);

/*
 * Sleeps with the others, or leads if nobody does and 'may_lead'; the lock is given up meanwhile, with
 * no note standing.  'need': the number of bytes that the caller waits for.  False when 'deadline' has
 * passed.  A cancellation point: the caller's CLEANUP has the lock, and passes on what there is.
 */
bool sleepers_wait(const struct sleep_place *at, struct sleepers *t, uint32_t need, bool may_lead,
		   weft_time_us deadline) EXCLUDES(rcu_section, lc_listener, lc_port);

#endif
