/*
 * SYN cookies of a listener (RFC 4987 3.6, net/tcp/syncookie.h): the keys and when they change, and
 * the way from a cookie to a child.  RX threads, under the listener's lock.
 */
#ifndef WEFT_STACK_COOKIE_H
#define WEFT_STACK_COOKIE_H

#include "net/stack/locks.h"
#include "net/tcp/syncookie.h"

struct sock;

/* A part of struct listener; zero at first. */
struct cookie_state {
	struct syncookie_keys keys;
	uint32_t generation;  /* of the newest key */
	bool has_keys;        /* a cookie was sent once */
	weft_time_us sent_at; /* the last one */
};

/* Answers a SYN to listener 's' with a cookie, by 'queue'. */
void cookie_send(struct sock *s, const struct flow *flow, const struct tcp_seg *syn, unsigned queue,
		 weft_time_us now) REQUIRES(lc_listener) EXCLUDES(lc_sock);

/*
 * Whether 'ack' brings back a cookie of the listener; '*rec' as the SYN would have made it.  False
 * without a look when no cookie can be on its way.
 */
bool cookie_check(struct sock *s, const struct flow *flow, struct tcp_seg *ack, weft_time_us now,
		  struct tcp_synrcvd *rec) REQUIRES(lc_listener) EXCLUDES(lc_sock);

/*
 * An ACK without a record: if it brings back a cookie, a child is made.  False: it does not, and a RST
 * is due; '*why' else as child_new.
 */
bool cookie_input(struct sock *s, const struct flow *flow, struct tcp_seg *ack, unsigned queue,
		  weft_time_us now, enum drop *why) EXCLUDES(lc_listener, lc_sock);

#endif
