/*
 * The listening side of a socket: the queue of completed connections and the half-open records.
 * Guarded by lc_listener, a class below the sockets', because a child is made and locked under it.
 */
#ifndef WEFT_STACK_LISTENER_H
#define WEFT_STACK_LISTENER_H

#include "net/stack/cookie.h"
#include "net/stack/half_open.h"
#include "net/stack/sock_int.h"

enum { LISTENER_BACKLOG_MAX = 4096 };

struct listener {
	struct mutex mu;
	struct cond acceptable;
	/* Guarded by lc_listener. */
	/* Children to accept, oldest first; with references. */
	struct sock *first GUARDED_BY(lc_listener);
	struct sock *last GUARDED_BY(lc_listener);
	struct half_open **half_open GUARDED_BY(lc_listener); /* records; with references */
	uint32_t half_open_count GUARDED_BY(lc_listener);
	uint32_t half_open_size GUARDED_BY(lc_listener); /* of the array */
	unsigned queued GUARDED_BY(lc_listener);
	unsigned backlog GUARDED_BY(lc_listener); /* as given to listen; one more may wait */
	unsigned waiters GUARDED_BY(lc_listener);
	enum lead_state lead GUARDED_BY(lc_listener); /* one who leads while it waits in accept */
	bool is_open GUARDED_BY(lc_listener);
	struct cookie_state cookie GUARDED_BY(lc_listener);
	enum cond_wake wakes GUARDED_BY(lc_listener);            /* for listener_unlock */
	struct waker *noted GUARDED_BY(lc_listener);             /* as well: watchers */
	struct fastopen_queue *fastopen GUARDED_BY(lc_listener); /* made by the first one */
	/* Atomic. */
	atomic_uchar defer; /* SOCK_OPT_DEFER_ACCEPT */
	/* Immutable after init. */
	uint32_t number; /* tells the listeners of a stack apart, for SO_REUSEPORT */
	int gone GUARDED_BY(lc_listener); /* -EBADF or -ESHUTDOWN when it is closed for good */
};

void listener_lock(struct listener *l) ACQUIRE(lc_listener)
	EXCLUDES(lc_sock, lc_timewait, lc_txq, lc_socks, rcu_section);
void listener_unlock(struct listener *l) RELEASE(lc_listener);

static inline void listener_set_defer(struct listener *l, uint8_t count)
{
	atomic_store_explicit(&l->defer, count, memory_order_relaxed);
}

/* A closed listener; NULL when out of memory.  listener_free wants it closed and empty. */
struct listener *listener_new(struct stack *stack);
void listener_free(struct listener *l);

/* Puts a child behind the others, with the caller's reference. */
void listener_push(struct listener *l, struct sock *child) REQUIRES(lc_listener);

/* Wakes one thread that waits in accept, and tells watchers, when the lock is given back. */
void listener_wake(struct listener *l, struct sock *s) REQUIRES(lc_listener);

/* The socket's listener, or NULL when it never listened. */
static inline struct listener *listener_of(struct sock *s)
{
	return atomic_load_explicit(&s->listener, memory_order_acquire);
}

void listener_open(struct listener *l, unsigned backlog) EXCLUDES(lc_listener);

/*
 * Takes the next child with the queue's reference.  -EINVAL: not open; -EBADF, -ESHUTDOWN;
 * -EAGAIN when none came until 'deadline' (negative: do not wait).
 */
int listener_accept(struct sock *s, weft_time_us deadline, struct sock **child)
	EXCLUDES(lc_listener, lc_sock);

/* Puts a child back at the front; false when the listener is not open any more. */
bool listener_unaccept(struct sock *s, struct sock *child) EXCLUDES(lc_listener);

/* Whether accept would find one. */
bool listener_has_child(struct listener *l) EXCLUDES(lc_listener);

/*
 * Stops listening: waiters wake, children are reset, half-open records dropped.  'gone' as in the
 * struct, or 0 after shutdown.
 */
void listener_close(struct listener *l, struct stack *stack, int gone)
	EXCLUDES(lc_listener, lc_sock);

/*
 * A segment for which there is no connection but a listener.  A SYN makes a half-open record.
 * 'iss': the initial sequence number to use (TIME-WAIT reuse), or NULL.  'queue': of the RX thread.
 */
enum drop listener_input(struct sock *s, const struct flow *flow, struct tcp_seg *seg,
			 const uint32_t *iss, unsigned queue, weft_time_us now)
	EXCLUDES(lc_listener, lc_sock);

/* For sock_status: children that wait, and the backlog. */
void listener_counts(struct listener *l, unsigned *queued, unsigned *backlog) EXCLUDES(lc_listener);

#endif
