/*
 * Fast open (RFC 7413) of a stack: its cookies and cache under a leaf lock, and how many connections a
 * listener may have open that began with a cookie and are not through their handshake (5.1).
 */
#ifndef WEFT_STACK_FASTOPEN_H
#define WEFT_STACK_FASTOPEN_H

#include "net/stack/locks.h"
#include "net/tcp/fastopen_cache.h"
#include "net/tcp/tcp.h"

struct stack;

struct fastopen {
	struct mutex mu;
	struct fastopen_keys keys GUARDED_BY(lc_path);
	struct fastopen_cache cache GUARDED_BY(lc_path);
};

void fastopen_init(struct stack *stack);
void fastopen_fini(struct stack *stack);

/* Whether the stack's setting lets applications and listeners use it. */
bool fastopen_is_client(const struct stack *stack);
bool fastopen_is_server(const struct stack *stack);

/* What a connect on 'flow' is to do; '*mss' is the server's as remembered. */
enum fastopen_advice fastopen_advise(struct stack *stack, const struct flow *flow, weft_time_us now,
				     uint16_t *mss) EXCLUDES(lc_path);

/* The SYN-ACK came (TCP_EV_FAST_OPEN). */
void fastopen_learn(struct stack *stack, const struct flow *flow, const struct tcb *tcb,
		    const struct tcp_opts *opt, weft_time_us now) EXCLUDES(lc_path);

/* Whether the SYN has a good cookie. */
bool fastopen_check(struct stack *stack, const struct flow *flow, const struct tcp_opts *opt,
		    weft_time_us now, bool *is_old) EXCLUDES(lc_path);

/* The option's bytes for a SYN or SYN-ACK on its way out that has one. */
void fastopen_fill(struct stack *stack, const struct flow *flow, struct tcp_seg_out *out,
		   weft_time_us now) EXCLUDES(lc_path);

/*
 * Connections of a listener that are not through yet.  One that the other side reset is counted on for
 * a minute: else RSTs from addresses that were borrowed would make room for more (RFC 7413 5.1).
 * Atomic, for children leave from any thread; references are the listener's and each child's.
 */
enum { FASTOPEN_RESET_SLOTS = 16, FASTOPEN_RESET_SLOT_S = 4 };

struct fastopen_queue {
	atomic_uint refs;
	atomic_uint pending;
	atomic_uint_least64_t resets[FASTOPEN_RESET_SLOTS]; /* when, and how many */
};

/* One reference; NULL without memory. */
struct fastopen_queue *fastopen_queue_new(void);
void fastopen_queue_put(struct fastopen_queue **q);

/* One more, with a reference for it; false: there are 'max'.  One caller at a time. */
bool fastopen_queue_enter(struct fastopen_queue *q, unsigned max, weft_time_us now);
/* It is through, or over; its reference goes. */
void fastopen_queue_leave(struct fastopen_queue **q, bool is_reset, weft_time_us now);

#endif
