/*
 * TIME-WAIT as a small record in the connection table, in the socket's place.  Guarded by
 * lc_timewait, one lock for all records of a stack: they are touched rarely and briefly.
 */
#ifndef WEFT_STACK_TIME_WAIT_H
#define WEFT_STACK_TIME_WAIT_H

#include "net/base/check.h"
#include "net/stack/conn.h"
#include "net/tcp/timewait.h"

struct sock;

struct time_wait {
	struct conn conn; /* first */
	struct tcp_timewait rec GUARDED_BY(lc_timewait);
};

static_assert(sizeof(struct time_wait) <= 128, "there may be a million");

static inline struct time_wait *time_wait_of(struct conn *conn)
{
	return CONTAINER_OF(conn, struct time_wait, conn);
}

/*
 * Replaces the table's entry 'conn', whose tcb reached TIME-WAIT, by a record.  When there are too
 * many, or memory is short, the entry is just removed.  The socket's lock is held.
 */
void time_wait_enter(struct conn *conn, const struct tcb *tcb, weft_time_us now) REQUIRES(lc_sock)
	EXCLUDES(lc_timewait);

/*
 * A segment for the record.  '*is_reuse': a SYN that may open a new incarnation; the record is gone,
 * '*iss' is the smallest safe initial sequence number: try the listener.
 */
enum drop time_wait_input(struct time_wait *tw, const struct tcp_seg *seg, weft_time_us now,
			  bool *is_reuse, uint32_t *iss) EXCLUDES(lc_timewait, lc_txq);

/* A record must be that old before its port may be used again for a connect, as on Linux. */
enum { TIME_WAIT_STEAL_AGE = 1000000 }; /* microseconds */

enum time_wait_steal {
	TIME_WAIT_GIVEN, /* the flow is free now */
	TIME_WAIT_YOUNG, /* the record may give way when it is older */
	TIME_WAIT_STAYS, /* no record, or one that may not give way */
};

/*
 * For a connect to the same peer from the same port: removes the flow's record when timestamps make
 * that safe (RFC 6191) and gives an initial sequence number beyond the old ones.
 */
enum time_wait_steal time_wait_steal(struct stack *stack, const struct flow *flow, weft_time_us now,
				     uint32_t *iss) EXCLUDES(lc_timewait);

/* TX thread: deletes the record when its time is over; returns the next deadline. */
weft_time_us time_wait_visit(struct time_wait *tw, weft_time_us now) EXCLUDES(lc_timewait);

/* The stack stops: removes the record. */
void time_wait_drop(struct time_wait *tw) EXCLUDES(lc_timewait);

/* Last reference. */
void time_wait_release(struct time_wait *tw);

#endif
