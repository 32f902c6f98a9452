/*
 * One direction of the fault device: decides by its seed what happens to each packet, and holds
 * those that are delayed, rate-limited or held back.  Not thread-safe: fault.c guards a lane with
 * its mutex.  Time comes in as an argument.
 *
 * Per packet the same number of random values is drawn whatever becomes of it, so that equal seeds
 * and equal packets give equal faults.  Only queue overflow, and the release of a held-back packet
 * that nothing overtakes in time, depend on the clock.
 */
#ifndef WEFT_TUN_LANE_H
#define WEFT_TUN_LANE_H

#include "net/base/prng.h"
#include "net/base/time.h"
#include "tun/pktbuf.h"
#include "weft/dev.h"
#include <stdbool.h>

enum {
	LANE_QUEUE_DEFAULT = 1000,
	LANE_HOLD_MAX = 8, /* packets that may overtake one held back */
	LANE_HOLD_US_MAX =
		5000, /* then it goes on even if fewer came: the last one must not hang */
};

struct lane {
	struct weft_fault config;
	struct weft_fault_stats stats;
	struct prng prng;
	struct pktq queue; /* in order of 'due' */
	struct pktq held;  /* overtaken by what is queued after them; 'due' is the latest time */
	weft_time_us link_free; /* when the rate-limited link has sent what it was given */
	weft_time_us last_due;  /* of the packet queued last: order is kept */
};

void lane_init(struct lane *lane, const struct weft_fault *config);

void lane_fini(struct lane *lane);

/*
 * Does to 'pkt' what is in store for it.  Every packet given, plus every duplicate made, is counted
 * once as passed, lost or dropped by the queue.  Offload information is resolved and removed.
 */
void lane_admit(struct lane *lane, const struct weft_pkt *pkt, weft_time_us now);

/* The first packet that is due, still queued; NULL: none.  lane_pop removes it. */
struct pktbuf *lane_first(struct lane *lane, weft_time_us now);

/* Takes the packet that lane_first returned. */
struct pktbuf *lane_pop(struct lane *lane);

/* When the next packet will be due; WEFT_TIME_NEVER when the lane is empty. */
weft_time_us lane_next(const struct lane *lane);

#endif
