/* A stack from the inside: what the files of net/stack share. */
#ifndef WEFT_STACK_STACK_INT_H
#define WEFT_STACK_STACK_INT_H

#include "net/base/buf.h"
#include "net/base/counters.h"
#include "net/base/khash.h"
#include "net/base/list.h"
#include "net/ip/ip_id.h"
#include "net/ip/pmtu.h"
#include "net/stack/conn_table.h"
#include "net/stack/dgrams.h"
#include "net/stack/fastopen.h"
#include "net/stack/frags.h"
#include "net/stack/port.h"
#include "net/stack/rx.h"
#include "net/stack/stack.h"
#include "net/stack/tx.h"
#include "net/stack/txq.h"

/* A queue of the device with its threads; every connection belongs to one. */
struct stack_queue {
	/* Immutable after init. */
	struct weft_dev *dev; /* reads and writes; mtu and flags are those of stack->dev */
	struct tx *tx;
	struct rx *rx;
	/* With locks of its own. */
	struct txq txq;
	char gap[64]; /* the next queue's threads use other cache lines */
};

struct stack {
	/* Immutable after init. */
	struct stack_config cfg;
	struct weft_dev *dev;
	struct weft_dev *loop;
	struct bufpool *pool;
	struct conn_table *table;
	struct rx *rx_loop;
	unsigned queue_count;
	struct stack_queue queue[WEFT_DEV_QUEUES_MAX];
	struct khash_key isn_key;
	struct khash_key ts_key;

	struct ip_ids ip_ids; /* atomic */

	/* Atomic. */
	struct counters counters;
	atomic_uint_least64_t objects; /* made and not yet freed */
	atomic_uint handles;           /* sockets that the application has */
	atomic_uint orphans;           /* closed connections in the table */
	atomic_uint next_listener;     /* listener.number */
	atomic_uint next_queue;        /* for sockets that the application makes, in turn */
	atomic_uint path_changes;      /* of the path MTU cache; 0: it is empty */
	atomic_uint queues_failed;     /* whose RX threads an error has ended */
	atomic_uint rx_bufs;           /* buffers that the RX threads keep */
	atomic_uint_least64_t rx_buf_bytes;

	/* With locks of their own. */
	struct port_table ports;
	struct mutex timewait_mu; /* lc_timewait: all TIME-WAIT records */

	struct dgrams dgrams;
	struct frags frags;
	struct fastopen fastopen;
	struct mutex path_mu;
	struct pmtu pmtu GUARDED_BY(lc_path);

	struct mutex socks_mu;
	struct cond socks_gone;                    /* the list, or the count of sets, did */
	struct list socks GUARDED_BY(lc_socks);    /* every socket with a reference left */
	struct list epsets GUARDED_BY(lc_socks);   /* open ones, with references */
	uint32_t epset_count GUARDED_BY(lc_socks); /* made and not yet released */
	bool stopping GUARDED_BY(lc_socks);        /* no new sockets */
};

/* The lists of sockets and sets. */
void stack_socks_lock(struct stack *stack) ACQUIRE(lc_socks);
void stack_socks_unlock(struct stack *stack) RELEASE(lc_socks);

/* Calls 'visit' once for each of the sockets that there are now, with a reference and no lock held. */
void stack_visit_socks(struct stack *stack, void (*visit)(struct sock *sock));

/* The device has failed, for good: nothing comes from it any more.  See dev_gone.h. */
static inline bool stack_dev_is_gone(const struct stack *stack)
{
	return atomic_load_explicit(&stack->queues_failed, memory_order_acquire) ==
	       stack->queue_count;
}

/* The TX queue that 'conn' is served from. */
static inline struct txq *stack_txq(const struct conn *conn)
{
	return &conn_stack(conn)->queue[conn->queue].txq;
}

/* Sleeps on 'cond' on the stack's clock; false when 'deadline' has passed. */
bool stack_wait(struct stack *stack, struct cond *cond, struct mutex *mu, weft_time_us deadline);

/* Initial sequence number (RFC 6528) and timestamp offset (RFC 7323 5.4) of a flow. */
uint32_t stack_isn(const struct stack *stack, const struct flow *flow, weft_time_us now);
uint32_t stack_ts_offset(const struct stack *stack, const struct flow *flow);

#endif
