/* An epoll set from the inside: what its files share. */
#ifndef WEFT_STACK_EPSET_INT_H
#define WEFT_STACK_EPSET_INT_H

#include "net/base/check.h"
#include "net/stack/conn.h"
#include "net/stack/epset.h"
#include "net/stack/rx.h"
#include "net/stack/watch.h"

/* What stays of an item's events when EPOLLONESHOT has switched it off. */
#define EPSET_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | (uint32_t)EPOLLET | EPOLLEXCLUSIVE)

/* A set in a set; all edges are guarded by one mutex (epset_nest.c). */
struct epset_edge {
	struct list outer_link; /* in the outer set's list of edges */
	struct epset *inner;
	struct list inner_link; /* in the inner one's */
	struct epset *outer;
};

/* Interest of a set in an object, by the handle that named it. */
struct epset_item {
	struct watch watch;      /* first; among the watchers of 'conn' */
	struct epset *set;       /* immutable, as are conn, fd and edge */
	struct conn *conn;       /* with a reference */
	struct epset_edge *edge; /* NULL: not a set */
	int fd;
	uint32_t events;         /* written under lc_epset and lc_ready */
	uint64_t data;           /* lc_epset */
	struct epset_item *next; /* lc_epset: in its bucket */
	struct list ready;       /* lc_ready: in the set's list */
};

struct epset {
	struct conn conn; /* first */
	struct watchers watchers;
	struct list link; /* lc_socks: in stack->epsets, with a reference, until it is closed */
	atomic_bool is_nonblock; /* O_NONBLOCK, for who asks */
	/* The table: lc_epset. */
	struct mutex mu;
	struct epset_item **bucket GUARDED_BY(lc_epset);
	uint32_t bucket_bits GUARDED_BY(lc_epset); /* without buckets 0 */
	uint32_t count GUARDED_BY(lc_epset);
	/* Who is ready and who waits for that: lc_ready. */
	struct mutex ready_mu;
	struct cond cond;
	struct waker waker;
	struct list ready GUARDED_BY(lc_ready);
	uint32_t ready_count GUARDED_BY(lc_ready);
	uint32_t sleepers GUARDED_BY(lc_ready);
	bool is_called GUARDED_BY(lc_ready); /* one is signalled, and none has come since */
	enum cond_wake wakes GUARDED_BY(lc_ready);
	enum lead_state lead GUARDED_BY(lc_ready);
	int gone GUARDED_BY(lc_ready); /* -EBADF, -ESHUTDOWN */
	/* The eventfd: lc_eventfd. */
	struct mutex eventfd_mu;
	atomic_int eventfd; /* -1: none */
	bool eventfd_on GUARDED_BY(lc_eventfd);
	/* Nesting (epset_nest.c). */
	struct list inner; /* edges to what this one contains */
	struct list outer;
	unsigned seen; /* of the search */
	unsigned depth;
};

static inline struct epset *epset_of(struct conn *conn)
{
	return CONTAINER_OF(conn, struct epset, conn);
}

void epset_lock(struct epset *set) ACQUIRE(lc_epset)
	EXCLUDES(lc_port, lc_listener, lc_sock, lc_watch, lc_ready, rcu_section);
void epset_unlock(struct epset *set) RELEASE(lc_epset);
void epset_ready_lock(struct epset *set) ACQUIRE(lc_ready);
void epset_ready_unlock(struct epset *set) RELEASE(lc_ready);

/* epset_items.c: the table. */

/* The item of 'conn' by 'fd', NULL when there is none; any of 'conn' for a negative 'fd'. */
struct epset_item *epset_find(struct epset *set, const struct conn *conn, int fd)
	REQUIRES(lc_epset);

/* Room for one more; -ENOMEM. */
int epset_grow(struct epset *set) REQUIRES(lc_epset) WARN_UNUSED;
void epset_insert(struct epset *set, struct epset_item *item) REQUIRES(lc_epset);

/* Takes the item out of the table, which has it. */
void epset_unlink(struct epset *set, struct epset_item *item) REQUIRES(lc_epset);

/* Every item once. */
void epset_each(struct epset *set, void (*visit)(struct epset_item *item)) REQUIRES(lc_epset);

/* Some item, NULL when there is none; '*at' (0 first) moves on. */
struct epset_item *epset_any(struct epset *set, uint32_t *at) REQUIRES(lc_epset);

/* epset_nest.c: -ELOOP, -ENOMEM when 'inner' may not be put into 'outer'. */
int epset_nest(struct epset *outer, struct epset *inner, struct epset_edge **edge) WARN_UNUSED;
void epset_unnest(struct epset_edge **edge);

/* epset_wait.c */

/* Of an item's watch. */
extern const struct watch_ops epset_watch_ops;
extern const struct watch_ops epset_exclusive_ops;
void epset_tell(struct waker *waker, struct waker **more);

/* Puts an item on the list and wakes one, as an event does. */
void epset_mark(struct epset_item *item, struct waker **noted) EXCLUDES(lc_ready);

/* Which of the item's events are there now. */
uint32_t epset_look(struct epset_item *item) REQUIRES(lc_epset);

/* Wakes all who wait: the set is gone. */
void epset_wake_all(struct epset *set) REQUIRES(lc_ready);

/* The eventfd follows the list. */
void epset_sync_eventfd(struct epset *set) EXCLUDES(lc_eventfd, lc_ready);

/* The item's set has an eventfd: it hears of what is there no more. */
void epset_want_settling(struct epset_item *item);

/* proto.ready */
unsigned epset_ready(struct conn *conn);

#endif
