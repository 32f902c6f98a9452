/* What the files of the RX thread share. */
#ifndef WEFT_STACK_RX_INT_H
#define WEFT_STACK_RX_INT_H

#include "net/base/buf.h"
#include "net/base/sync.h"
#include "net/ip/icmp_policy.h"
#include "net/stack/rx.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"
#include <pthread.h>

enum {
	RX_BATCH = 32,    /* packets a read, for frames of one MTU */
	RX_BATCH_BIG = 8, /* for frames of 64 KiB */
	RX_FRAME_BIG = 65535 + 64,
	RX_COPIES = 4, /* kept buffers for payload that is copied, by size */
};

/* Segments of one flow in a batch. */
struct rx_chain {
	struct flow flow;
	uint64_t hash; /* conn_table_hash */
	struct seg_in *first;
	struct seg_in *last;
};

/* Threads to wake behind a batch, with a reference. */
struct rx_wake {
	struct conn *conn; /* a socket */
	struct sock_wakes wakes;
};

/* What a batch leaves to do when the role was given back (rx_finish). */
struct rx_after {
	uint32_t met; /* queues of the connections that got segments, a bit each */
	unsigned wake_count;
	struct rx_wake wake[RX_BATCH];
};

struct rx {
	/* Immutable while the thread runs. */
	struct stack *stack;
	struct weft_dev *dev;
	bool is_loop;
	unsigned queue; /* new connections and replies without one belong there */
	int batch;
	uint32_t frame_size;
	pthread_t thread;
	bool may_lead; /* application threads may read in the thread's place */
	/* Atomic. */
	atomic_bool stop;
	atomic_bool seat_taken;      /* a leader waits or reads */
	atomic_bool is_reading;      /* somebody has the role */
	atomic_bool is_dead;         /* the device has failed: nobody leads any more */
	atomic_uint turns;           /* batches that leaders read */
	atomic_uint hits;            /* turns that brought the leader something */
	_Atomic weft_time_us led_at; /* when the last of them was; real time */
	atomic_uint changes;         /* times that the seat went to another one */
	atomic_uint woken;           /* threads woken since the last batch */
	atomic_uint crowd;           /* how many a batch wakes, on average, in CROWD_UNIT */
	atomic_uintptr_t tired;      /* who is not to lead again before somebody else has */
	/* Who has the seat only. */
	const void *leader; /* who has or had it last; only compared */
	unsigned misses;    /* turns in a row that brought the leader nothing */
	bool is_left_full;  /* the last leader's batch was full */
	/* For parking; a leaf. */
	struct mutex park_mu;
	struct cond park_cond;
	bool is_parked;
	bool is_called; /* the parked thread is to look at the device */
	/* The role, lc_rx: guards what follows. */
	struct mutex role;
	struct rx_after *after; /* of the batch that is being handled */
	unsigned seg_count;
	unsigned chain_count;
	struct seg_in seg[RX_BATCH];
	struct rx_chain chain[RX_BATCH];
	int got;                     /* packets of the batch that is being handled */
	struct buf *frame[RX_BATCH]; /* never NULL while the thread runs */
	struct buf *spare;           /* of the batch: successors of frames, linked by 'next' */
	struct iovec iov[RX_BATCH];
	struct weft_pkt pkt[RX_BATCH];
	struct buf *copy[RX_COPIES]; /* stand-by, or NULL */
	struct icmp_bucket icmp_bucket;
};

/* A packet on its way up. */
struct rx_pkt {
	struct buf **frame; /* its slot; the window is not set */
	const uint8_t *data;
	uint32_t len;
	uint32_t flags;    /* enum weft_pkt_flags */
	uint16_t gso_size; /* UDP: it stands for datagrams of so many bytes; 0: for one */
	weft_time_us now;
	struct ip_hdr ip;
	uint16_t next_hdr_at; /* IPv6: the byte that names ip.proto */
	bool is_whole;        /* put together from fragments: 'frame' is no frame of the thread's */
};

/*
 * rx.c: reads and handles one batch, without waiting.  How many packets, or a negative errno.
 * rx_finish, called without the role, wakes those whom the batch brought something, and sends what it
 * asked for, of the thread's queue and of those it met.
 */
int rx_batch(struct rx *rx, struct rx_after *after) REQUIRES(lc_rx);
/* The device has failed: nobody reads it any more. */
void rx_note_dead(struct rx *rx);
void rx_finish(struct rx *rx, struct rx_after *after)
	EXCLUDES(lc_rx, lc_emitter, lc_port, lc_listener, lc_sock);

/* rx_lead.c: the role, and what the RX thread does while leaders are at work. */
void rx_lead_init(struct rx *rx);
void rx_lead_fini(struct rx *rx);
void *rx_helped_main(void *arg);
void rx_take_role(struct rx *rx) ACQUIRE(lc_rx);
void rx_give_role(struct rx *rx) RELEASE(lc_rx);

/* After a batch: how many threads did it wake? */
void rx_count_crowd(struct rx *rx);

/* Makes the RX thread look at its device soon, even when it is parked. */
void rx_call_reader(struct rx *rx);

/* rx_payload.c: buffers of the thread. */
int rx_fill_frames(struct rx *rx);
void rx_drop_frames(struct rx *rx);
void rx_drop_spare(struct rx *rx); /* behind each batch */

/*
 * A buffer whose window is the 'len' bytes at 'data' of the packet: the frame itself, which gets a
 * successor, or a copy.  NULL when there is no memory.  The caller gives back with rx_unpayload
 * what the core did not take.
 */
struct buf *rx_payload(struct rx *rx, struct rx_pkt *p, const uint8_t *data, uint32_t len);
void rx_unpayload(struct rx *rx, struct buf **payload);

/* rx_ip.c: one packet; returns why it was not used. */
enum drop rx_ip(struct rx *rx, struct rx_pkt *p);

/* rx_icmp.c: a parameter problem where that is allowed. */
void rx_problem(struct rx *rx, const struct rx_pkt *p, uint8_t code, uint32_t pointer);

/*
 * rx_tcp.c, rx_icmp.c: transports.  Return why the packet was not used.  TCP segments are collected,
 * and rx_dispatch, once for a batch, hands them on: those of a connection together.
 */
enum drop rx_tcp(struct rx *rx, struct rx_pkt *p);
void rx_dispatch(struct rx *rx, weft_time_us now);
enum drop rx_icmp(struct rx *rx, struct rx_pkt *p);
enum drop rx_udp(struct rx *rx, struct rx_pkt *p);
enum drop rx_no_port(struct rx *rx, struct rx_pkt *p); /* of UDP */
enum drop rx_echo_reply(struct rx *rx, struct rx_pkt *p, uint16_t id);
enum drop rx_unknown(struct rx *rx, struct rx_pkt *p);

#endif
