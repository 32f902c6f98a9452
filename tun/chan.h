/*
 * A channel: a bounded queue of packet copies that one side writes and the other reads, blocking.
 * The in-memory devices (pair.c, loop.c) are made of channels.  Writers and wakers on any thread,
 * readers usually one.
 *
 * A wake stays pending until a read that waits, or a reader's wait, returns 0 for it.
 */
#ifndef WEFT_TUN_CHAN_H
#define WEFT_TUN_CHAN_H

#include "net/base/sync.h"
#include "tun/pktbuf.h"
#include "weft/dev.h"
#include <stdbool.h>

struct chan {
	/* Immutable after init. */
	uint32_t mtu;
	uint32_t flags;     /* of the writing device: what it may be given */
	uint32_t queue_max; /* packets that wait */

	struct mutex mu;
	/* Guarded by mu. */
	struct cond changed; /* a packet, a wake, the close, or the last reader gone */
	struct cond lead;    /* a packet, a leader's wake, or the close: for the leader */
	struct pktq queue;
	int readers; /* calls of chan_read under way */
	bool woken;
	bool leader_waits;
	bool leader_woken;
	bool closed;
};

/* What became of written packets that were not queued. */
struct chan_loss {
	int full;    /* the queue was full, or memory is short */
	int refused; /* too large, or an offload that the device does not have */
};

/* Whether 'flags' (enum weft_dev_flags), 'mtu' and 'queue_max' make sense; 0 or -EINVAL. */
int chan_check(uint32_t mtu, uint32_t flags, uint32_t queue_max);

void chan_init(struct chan *c, uint32_t mtu, uint32_t flags, uint32_t queue_max);

/* Frees what chan_init made.  After chan_close, when nobody uses the channel any more. */
void chan_fini(struct chan *c);

/* Ends reading with -ENODEV and waits until the readers have left; what is written later is lost. */
void chan_close(struct chan *c);

/*
 * Queues copies of 'count' packets.  A partial checksum goes through with WEFT_PKT_CSUM_VALID set:
 * it has not left the machine.  'loss' tells what was lost.  Does not block.
 */
void chan_write(struct chan *c, const struct weft_pkt *pkts, int count, struct chan_loss *loss);

/* As weft_dev.read; -ENODEV when the channel is closed. */
int chan_read(struct chan *c, struct weft_pkt *pkts, int count, int64_t timeout_us);

/* As weft_dev.wait. */
int chan_wait(struct chan *c, enum weft_seat seat, int64_t timeout_us);

/* As weft_dev.wake and weft_dev.wake_leader. */
void chan_wake(struct chan *c);
void chan_wake_leader(struct chan *c);

#endif
