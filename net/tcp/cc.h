/*
 * Congestion control: the seam behind which algorithms live (RFC 5681).  Loss detection (loss.h)
 * says what happened; the algorithm answers with cwnd and ssthresh.  Pure; called with the owner's
 * lock held by whoever drives the connection.
 */
#ifndef WEFT_TCP_CC_H
#define WEFT_TCP_CC_H

#include "net/base/time.h"
#include <stdbool.h>
#include <stdint.h>

struct tcp_cc_ops;

struct tcp_cc {
	const struct tcp_cc_ops *ops;
	uint32_t cwnd;     /* congestion window, bytes */
	uint32_t ssthresh; /* slow-start threshold, bytes */
	uint32_t mss;      /* SMSS, bytes */
	uint32_t acked;    /* bytes acknowledged since cwnd last grew (congestion avoidance) */
	uint64_t priv[4];  /* the algorithm's own */
};

struct tcp_cc_ops {
	const char *name;
	/* Prepares the private part; cwnd, ssthresh and mss are set. */
	void (*init)(struct tcp_cc *cc);
	/* 'acked' new bytes were acknowledged outside recovery while cwnd was the limit. */
	void (*on_ack)(struct tcp_cc *cc, uint32_t acked, weft_time_us now);
	/* Recovery begins with 'flight' bytes outstanding: sets ssthresh. */
	void (*on_loss)(struct tcp_cc *cc, uint32_t flight, weft_time_us now);
	/* Retransmission timeout; 'first' for the first one of this segment: sets ssthresh, cwnd. */
	void (*on_rto)(struct tcp_cc *cc, uint32_t flight, bool first, weft_time_us now);
};

extern const struct tcp_cc_ops tcp_cc_newreno;

/* Starts with the initial window of RFC 6928, or one segment after a lost SYN (RFC 5681 3.1). */
void tcp_cc_start(struct tcp_cc *cc, const struct tcp_cc_ops *ops, uint32_t mss, bool syn_lost);

/* Idle for longer than an RTO: back to the restart window (RFC 5681 4.1). */
void tcp_cc_restart(struct tcp_cc *cc);

#endif
