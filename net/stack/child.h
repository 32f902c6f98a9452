/*
 * The socket that a listener's handshake makes: from a half-open record, or from a SYN cookie, which
 * has none.  RX threads, under the listener's lock.
 */
#ifndef WEFT_STACK_CHILD_H
#define WEFT_STACK_CHILD_H

#include "net/stack/listener.h"

/* What a passive open starts from: the listener's own settings, read under its socket's lock. */
struct tcp_params child_params(struct sock *s, const struct flow *flow) EXCLUDES(lc_sock);

/* Where a child comes from. */
struct child_origin {
	const struct flow *flow;
	const struct tcp_synrcvd *rec;
	struct conn *half_open; /* the table's entry whose place the child takes, or NULL */
	unsigned queue;
	/* A SYN with a good cookie, which counts there with a reference that goes to the child; or NULL. */
	struct fastopen_queue *fastopen;
	bool gives_cookie; /* the SYN-ACK has a fresh one */
};

/*
 * Makes the child, gives it 'seg', which completes the handshake, and queues it for accept.
 * DROP_TCP_ACCEPT_FULL, DROP_STOPPED, DROP_NO_MEM, DROP_CONN_LIMIT and DROP_TCP_SYN_DUP (the flow is
 * taken): nothing was made; '*is_made' else.
 */
enum drop child_new(struct sock *s, const struct child_origin *from, struct tcp_seg *seg,
		    weft_time_us now, bool *is_made) REQUIRES(lc_listener) EXCLUDES(lc_sock);

#endif
