/*
 * Congestion control: the seam behind which algorithms live (RFC 5681, RFC 9438).  The loss code says
 * what each ACK taught and when congestion was found; the algorithm answers with cwnd, ssthresh and,
 * if it paces, with a rate.  Pure; called with the owner's lock held by whoever drives the
 * connection.
 */
#ifndef WEFT_TCP_CC_H
#define WEFT_TCP_CC_H

#include "net/base/time.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tcp_cc_ops;

enum {
	TCP_CC_NAME_MAX = 16,      /* with its end, as Linux has it */
	TCP_CC_PRIV = 12,          /* words of an algorithm's own in each connection */
	TCP_CC_CWND_MAX = 1 << 30, /* no window of TCP is larger (RFC 7323 2.3) */
};

struct tcp_cc {
	const struct tcp_cc_ops *ops;
	uint32_t cwnd;     /* congestion window, bytes */
	uint32_t ssthresh; /* slow-start threshold, bytes */
	uint32_t mss;      /* SMSS, bytes */
	uint32_t acked;    /* bytes acknowledged since cwnd last grew (congestion avoidance) */
	uint32_t undo_cwnd : 31; /* before the last reduction; 0: nothing to undo */
	uint32_t repairing : 1;  /* since a reduction, until tcp_cc_recovered */
	uint32_t undo_ssthresh;  /* valid with undo_cwnd */

	union {
		uint32_t priv[TCP_CC_PRIV]; /* the algorithm's own */
		void *more; /* instead: 'ops->more_size' bytes that the owner lent */
	};
};

/*
 * What one ACK taught.  Numbers of segments are those of the newest segment that this ACK delivered
 * for the first time (draft-ietf-ccwg-bbr 4.1, delivery rate estimation).
 */
struct tcp_cc_ack {
	weft_time_us now;
	uint32_t acked;           /* bytes newly delivered: cumulative and SACKed, each once */
	uint32_t cum_acked;       /* of them by snd_una's advance */
	uint32_t lost;            /* bytes newly marked lost with this ACK */
	uint32_t sent_flight;     /* pipe when output last ended, before this ACK's batch */
	uint32_t flight;          /* pipe after it */
	uint32_t rtt;             /* us, this ACK's sample; 0: none */
	uint32_t srtt;            /* us, smoothed; 0: none */
	uint32_t min_rtt;         /* us, the path's; 0: none */
	uint32_t delivered;       /* connection's total after this ACK, bytes modulo 2^32 */
	uint32_t prior_delivered; /* that total when the segment was sent */
	uint32_t rate_bytes;      /* delivery rate: so many bytes ... */
	uint32_t rate_us;         /* ... in this time; 0: no sample */
	uint32_t tx_flight;       /* pipe when the segment had been sent, itself included */
	uint32_t lost_since;      /* bytes marked lost since the segment was sent */
	uint32_t snd_una;
	uint32_t snd_nxt; /* the highest sent, plus one */
	bool app_limited; /* of the rate sample */
	/* cwnd was what stopped output, or a timeout's window is being rebuilt: it may grow. */
	bool cwnd_limited;
	bool peer_limited; /* the peer's window was what stopped output, though cwnd had room */
	/* Fast recovery, or a reduction for marks: cwnd is not the controller's, unless ops->owns_recovery. */
	bool in_recovery;
	bool ece; /* the peer echoes congestion */
};

/* A segment that was just marked lost. */
struct tcp_cc_lost {
	uint32_t bytes;
	uint32_t tx_flight;  /* pipe when it had been sent, itself included */
	uint32_t lost_since; /* bytes marked lost since it was sent, itself included */
	bool app_limited;
};

enum tcp_cc_reason {
	TCP_CC_LOSS,
	TCP_CC_ECN,
	TCP_CC_BOTH, /* a loss in the round trip that ECN was for: both are one congestion, as a loss */
};

struct tcp_cc_ops {
	char name[TCP_CC_NAME_MAX]; /* as TCP_CONGESTION has it */
	uint32_t more_size;         /* bytes that 'more' must have */
	/* cwnd in recovery and after idle time is its own: no PRR, inflation or validation (cwv.c). */
	bool owns_recovery;
	/* Prepares the private part; cwnd, ssthresh, mss and more are set. */
	void (*init)(struct tcp_cc *cc, weft_time_us now);
	/* For every ACK that delivers something new, after on_lost, on_congestion, on_recovered. */
	void (*on_ack)(struct tcp_cc *cc, const struct tcp_cc_ack *ack);
	/* A reduction that may turn out spurious comes: what undo will need.  May be NULL. */
	void (*save)(struct tcp_cc *cc);
	/* For each segment that is marked lost; may be NULL. */
	void (*on_lost)(struct tcp_cc *cc, const struct tcp_cc_lost *lost, weft_time_us now);
	/* Recovery begins (loss) or the window is to shrink (ECE) with 'pipe' outstanding: sets
	   ssthresh; whoever recovers brings cwnd there.  BOTH: ssthresh is what ECN made it. */
	void (*on_congestion)(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
			      weft_time_us now);
	/* Retransmission timeout; 'first' for the first one of this segment: sets ssthresh, cwnd. */
	void (*on_rto)(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now);
	/* Recovery or the repair after a timeout ended; cwnd is set.  May be NULL. */
	void (*on_recovered)(struct tcp_cc *cc);
	/* The last reduction was spurious, see tcp_cc_undo.  May be NULL. */
	void (*undo)(struct tcp_cc *cc);
	/* Data is about to go after 'idle' us with nothing in flight.  May be NULL. */
	void (*on_idle)(struct tcp_cc *cc, weft_time_us idle, weft_time_us now);
	/* Bytes per second at which to send.  NULL: cwnd's business (pacing.c). */
	uint64_t (*pacing_rate)(const struct tcp_cc *cc);
};

extern const struct tcp_cc_ops tcp_cc_bbr;
extern const struct tcp_cc_ops tcp_cc_bbr1;
extern const struct tcp_cc_ops tcp_cc_cubic;
extern const struct tcp_cc_ops tcp_cc_newreno;

/* By TCP_CONGESTION's name of 'len' bytes; a number for tcp_cc_get, or -1: there is none such. */
int tcp_cc_find(const char *name, size_t len);
const struct tcp_cc_ops *tcp_cc_get(unsigned number);

/* What the owner lent and has to free, or NULL. */
static inline void *tcp_cc_more(const struct tcp_cc *cc)
{
	return cc->ops && cc->ops->more_size > 0 ? cc->more : NULL;
}

/* RFC 6928 2. */
uint32_t tcp_cc_initial_window(uint32_t mss);

/* Starts with the initial window of RFC 6928, or one segment after a lost SYN (RFC 5681 3.1). */
void tcp_cc_start(struct tcp_cc *cc, const struct tcp_cc_ops *ops, uint32_t mss, bool syn_lost,
		  weft_time_us now);

void tcp_cc_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
		       weft_time_us now);
void tcp_cc_timeout(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now);
void tcp_cc_recovered(struct tcp_cc *cc);

/* The reduction was spurious (Eifel, DSACK, F-RTO): what it changed is restored (RFC 4015, 9438 4.9). */
void tcp_cc_undo(struct tcp_cc *cc);

/* For controllers: at least a segment (I8), at most TCP_CC_CWND_MAX. */
void tcp_cc_clamp(struct tcp_cc *cc);

#endif
