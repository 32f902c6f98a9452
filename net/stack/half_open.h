/*
 * A half-open connection (SYN-RECEIVED) as a small record in the connection table, guarded by its
 * listener's lock.  It holds a reference on the listener; the listener's array holds one on it.
 */
#ifndef WEFT_STACK_HALF_OPEN_H
#define WEFT_STACK_HALF_OPEN_H

#include "net/base/check.h"
#include "net/stack/conn.h"
#include "net/tcp/synrcvd.h"

struct listener;
struct sock;

struct half_open {
	struct conn conn; /* first; conn.listener is the listening socket */
	/* Guarded by lc_listener. */
	struct tcp_synrcvd rec GUARDED_BY(lc_listener);
	/* Where it stands in the listener's array; HALF_OPEN_GONE: neither there nor in the table. */
	uint32_t index : 30 GUARDED_BY(lc_listener);
	uint32_t is_deferred : 1 GUARDED_BY(
		lc_listener); /* the final ACK came, data is waited for */
	uint32_t gives_cookie : 1 GUARDED_BY(lc_listener); /* for fast open, in the SYN-ACK */
};

#define HALF_OPEN_GONE (UINT32_MAX >> 2)

static_assert(sizeof(struct half_open) <= 128, "a flood of SYNs must be cheap");

static inline struct half_open *half_open_of(struct conn *conn)
{
	return CONTAINER_OF(conn, struct half_open, conn);
}

/* A SYN to a listener. */
struct half_open_syn {
	const struct flow *flow;
	const struct tcp_seg *seg;
	uint32_t iss;      /* of the answer */
	unsigned queue;    /* that it came by */
	bool gives_cookie; /* the answer has one for fast open */
	weft_time_us now;
};

/*
 * Makes the record for a SYN to listener 's', and publishes it; a SYN-ACK is asked
 * for.  DROP_NONE, DROP_NO_MEM, DROP_CONN_LIMIT, DROP_TCP_SYN_DUP.
 */
enum drop half_open_new(struct sock *s, const struct half_open_syn *in) REQUIRES(lc_listener);

/* A segment for the record.  The final ACK makes a child and queues it for accept. */
enum drop half_open_input(struct half_open *h, struct tcp_seg *seg, weft_time_us now)
	EXCLUDES(lc_listener, lc_sock);

/* An ICMP error for the record: a hard one that quotes our SYN-ACK ends it. */
enum drop half_open_icmp(struct half_open *h, uint32_t seq, bool is_hard)
	EXCLUDES(lc_listener, lc_sock);

/* TX thread: '*has_out' when 'out' is to be sent; returns the next deadline. */
weft_time_us half_open_visit(struct half_open *h, weft_time_us now, struct tcp_seg_out *out,
			     bool *has_out) EXCLUDES(lc_listener);

/* Takes the record out of table and array; the TX thread gets word, so that the timer goes. */
void half_open_unlink(struct listener *l, struct half_open *h) REQUIRES(lc_listener);

/* Last reference. */
void half_open_release(struct half_open *h);

#endif
