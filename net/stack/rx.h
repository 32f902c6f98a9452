/*
 * RX threads: one for each queue of the device, one for the loop device.  Read packets, decode them and hand them to connections,
 * listeners, or ICMP.
 */
#ifndef WEFT_STACK_RX_H
#define WEFT_STACK_RX_H

#include "net/base/check.h"
#include "net/stack/locks.h"
#include <stdbool.h>
#include <weft/dev.h>

struct rx;
struct stack;

/*
 * A thread's state, before it runs: reads 'dev', a queue of the stack's device or the loop device;
 * connections that begin here belong to 'queue'.  NULL when out of memory.
 */
struct rx *rx_new(struct stack *stack, struct weft_dev *dev, unsigned queue);

/* Gives its buffers back (NULL: nothing). */
void rx_free(struct rx *rx);

int rx_start(struct rx *rx) WARN_UNUSED;

/*
 * Receiver helping.  A thread that is about to sleep for a socket takes the leader's seat, if it is
 * free, waits for packets in the RX thread's place and reads them until what it waits for has come.
 *
 * rx_take_seat: whether the caller has the seat now; 'who' tells those who wait apart.  It gives the
 * seat back with rx_leave_seat, which hears whether something came for it (who reads for others only
 * has to let them lead soon), and whether packets may be left.
 */
bool rx_take_seat(struct rx *rx, const void *who);
void rx_leave_seat(struct rx *rx, const void *who, bool is_hit, bool is_left);

/*
 * For a thread that has just sent much: reads what has come in meanwhile, unless a leader or the RX
 * thread is at it.
 */
void rx_poll(struct rx *rx) EXCLUDES(lc_rx, lc_emitter, lc_port, lc_listener, lc_sock, rcu_section);

/* A thread was woken for packets. */
void rx_count_woken(struct rx *rx);

/*
 * Whether many threads are at work at a time.  Then batches are worth more than saved hand-overs: the
 * RX thread reads for all and the TX thread sends for all, so that the peers, too, are woken once for
 * many packets.
 */
bool rx_is_crowded(const struct rx *rx);

/* What the one who waits for an object is doing; guarded by the object's lock. */
enum lead_state {
	LEAD_NONE,
	LEAD_ASLEEP, /* in rx_lead_wait: rx_wake_leader is needed */
	LEAD_AWAKE,  /* will look again */
	LEAD_HIT,    /* will look again, and find something */
} __attribute__((packed));

/* Something happened that whoever leads for an object waits for. */
void rx_lead_hit(struct rx *rx, enum lead_state *state);

/*
 * All that a leader does, once, for an object whose lock 'mu' is held and whose state is 'state': waits
 * for packets, reads a batch, and leaves the seat.  The lock is given up meanwhile: the caller looks
 * again at what it waits for.  False when 'deadline' has passed.
 */
bool rx_lead(struct rx *rx, const void *who, enum lead_state *state, struct mutex *mu,
	     weft_time_us deadline) EXCLUDES(lc_rx, lc_emitter, lc_port, rcu_section);

/* Leader: sleeps; true when there may be packets, false when 'deadline' passed or woken. */
bool rx_lead_wait(struct rx *rx, weft_time_us deadline)
	EXCLUDES(lc_rx, lc_emitter, lc_port, lc_listener, lc_sock, rcu_section);

/* Ends the thread and waits for that. */
void rx_stop(struct rx *rx);

#endif
