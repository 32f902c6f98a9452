/*
 * What a sender remembers of its data in flight: a record for each run that left together, cut where
 * SACK or loss treats parts of it differently (RFC 2018, RFC 6675, RFC 8985 6.1), and the variables
 * of loss detection and recovery that mean nothing without data in flight.
 *
 * Records stand in an array and never move; 'order' has their indices by sequence number, so a
 * search is O(log n) and a cut moves two bytes for each record behind it (docs/adr/0016).  Records in
 * flight are linked by the time of their last transmission, those waiting for retransmission in the
 * order in which that is to be done: each is in at most one of the two lists.
 *
 * The block is lent by tcp_cfg.mem with the first data and given back when everything has been
 * acknowledged for a while.  SB_RECS_MAX bounds it.  At the bound, or without memory, records get
 * coarser: new data joins the last run, and a run that cannot be cut is treated as one.
 *
 * Invariants, checked by sb_check:
 *  B1  records cover [max(snd_una, iss + 1), snd_nxt) without gap or overlap; none is empty
 *  B2  SACKED excludes LOST and REXMIT; no two neighbours are SACKED
 *  B3  sacked, lost, rexmit are the sums over the records with that flag
 *  B4  the flight list has exactly the records neither SACKED nor waiting, by time: 'flying' of them
 *  B5  the waiting list has exactly those LOST and not REXMIT
 */
#ifndef WEFT_TCP_SCOREBOARD_H
#define WEFT_TCP_SCOREBOARD_H

#include "net/base/time.h"
#include <stdbool.h>
#include <stdint.h>

struct tcb;
struct buf;

enum {
	SB_RECS_MIN = 12,
	SB_RECS_MAX = 4096,
	SB_NONE = 0xffff,
	SB_RUN_MAX = 1 << 16, /* bytes of a run that is not coarse */
	SB_PIPE_PARTS = 3,
	SB_AGE_MAX =
		600000000, /* us: with a timeout less than 2^31, half of what 32 bits tell apart */
};

enum sb_flag {
	SB_SACKED = 1 << 0,
	SB_LOST = 1 << 1,   /* the original (and each later copy, without REXMIT) is lost */
	SB_REXMIT = 1 << 2, /* a retransmission is in flight */
	SB_EVER = 1 << 3,   /* was retransmitted at any time: no RTT sample (Karn) */
	SB_APP = 1 << 4,    /* sent while the application was the limit */
	SB_PART = 1 << 5,   /* REXMIT stands for a part at the front only */
};

struct sent {
	uint32_t seq, end;
	uint32_t sent_at; /* last transmission; all times are microseconds modulo 2^32 */
	/* The connection when it was sent (delivery rate estimation). */
	uint32_t delivered, delivered_at, first_sent;
	uint32_t tx_flight;    /* pipe, this run included */
	uint32_t lost;         /* bytes marked lost so far */
	uint16_t older, newer; /* neighbours in one of the lists */
	uint8_t flags;
};

struct scoreboard {
	struct buf *cursor;        /* where the last segment began in the send queue, or NULL */
	uint16_t cap, count, head; /* head: where the first record stands in order */
	uint16_t free;             /* unused records, linked by newer */
	uint16_t oldest, newest;   /* in flight */
	uint16_t wait_first, wait_last;
	uint16_t sacked_runs;
	uint16_t flying;               /* records in flight */
	uint32_t sacked, lost, rexmit; /* bytes */
	uint32_t lost_total;           /* bytes marked lost since the block was made */
	uint32_t sent_pipe;            /* pipe when the last segment had been sent */
	uint32_t rto_packets;          /* records that may be in flight; valid with rto_recovery */
	/* Delivery rate: since when the current flight is measured. */
	uint32_t first_sent, delivered_at;
	uint32_t app_limited;         /* 'delivered' at which the bubble is through; 0: none */
	uint32_t rate_bytes, rate_us; /* what TCP_INFO tells; rate_us is 0: nothing */
	/* RACK (RFC 8985 5.2). */
	uint32_t rack_sent_at, rack_end, rack_rtt, fack, dsack_round;
	uint32_t front_seq, front_sent_at, front_count; /* retransmissions that were lost (mtu.c) */
	/* Recovery. */
	uint32_t prr_delivered, prr_out, recover_fs;
	uint32_t undo_una,
		undo_rexmits; /* D-SACK: bytes retransmitted and not yet proved needless */
	uint32_t eifel_ts;    /* TSval of the first retransmission of those in flight (RFC 3522) */
	uint32_t eifel_end;   /* the highest end of them */
	uint32_t rexmit_ts;   /* ... and of the last */
	uint32_t rtt_seq;     /* no smoothed sample before this is acknowledged */
	uint32_t tlp_end;     /* RFC 8985 7.1; valid with tlp_out */
	uint32_t walked;      /* records that SACKs and RACK looked at, for tests of their cost */
	uint32_t cwr_seq;     /* where the segment with CWR begins, or would; valid with cwr_on */
	uint32_t cwr_end;     /* snd_nxt when marks reduced the window; valid with in_cwr */
	/* Validation of the congestion window (cwv.c). */
	uint32_t pipe_ack
		[SB_PIPE_PARTS]; /* the most that arrived in a round trip, newest part first */
	uint32_t pipe_at;        /* milliseconds: when the newest part began */
	uint32_t pipe_seq;       /* the end of this round; valid with pipe_round */
	uint32_t loss_base;      /* bytes in use when a recovery began in the phase 'nvp', else 0 */
	uint32_t loss_rexmits;   /* bytes_retrans then */
	bool pipe_known : 1;
	bool pipe_round : 1;
	bool rack_valid : 1;
	bool dsack_round_on : 1;
	bool undo_on : 1;
	bool eifel_on : 1;
	bool rexmit_ts_on : 1;
	bool tlp_out : 1;     /* a probe was sent and its fate is open */
	bool tlp_rexmit : 1;  /* it was a retransmission */
	bool tlp_sampled : 1; /* an RTT sample was taken since the last probe */
	bool cwr_on : 1; /* CWR, or what is as good, was sent and is not acknowledged yet (ecn.c) */
	bool peer_limited : 1;     /* the last output stopped at the peer's window, below cwnd */
	bool rate_app_limited : 1; /* of rate_bytes */
	bool in_cwr : 1;           /* marks reduced the window, less than a round trip ago */
	bool cwr_prr : 1;          /* ... and PRR is bringing cwnd down to ssthresh */
	bool frto : 1;             /* the timeout may have been spurious (RFC 5682) */
	bool frto_new : 1; /* ... which new data is to show: nothing is retransmitted meanwhile */
	bool partial_seen : 1; /* RFC 6582 3.2 step 3: the first partial ACK was seen */
	struct sent rec[];
};

/* What one ACK told about the records; begins zeroed but for prior_flight. */
struct ack_news {
	uint32_t prior_flight;
	uint32_t ecr;    /* timestamp echo; valid with has_ecr */
	uint32_t cum;    /* bytes that snd_una passed */
	uint32_t acked;  /* newly delivered by that: not SACKed before */
	uint32_t sacked; /* newly SACKed */
	uint32_t lost;   /* newly marked lost */
	uint32_t dsacked;
	uint32_t dsack_end;
	uint32_t oldest_at; /* sent times of runs never retransmitted; valid with has_rtt */
	uint32_t newest_at;
	bool has_ecr;
	bool has_rtt;
	bool dsack;
	bool dup_ack;   /* a duplicate by RFC 5681's rules */
	bool ece;       /* the peer echoes congestion */
	bool originals; /* data sent before 'recover' and never again was delivered */
	bool rexmitted; /* retransmitted data was delivered */
	bool has_sent;  /* 'sent' is a copy of the newest run delivered */
	struct sent sent;
};

/* Bytes in flight (RFC 6675 pipe, RFC 9937 6.2). */
uint32_t sb_pipe(const struct tcb *tcb);

/* Makes sure that there is a block: false when there is no memory. */
bool sb_ready(struct tcb *tcb);
/* Forgets everything and gives the memory back. */
void sb_free(struct tcb *tcb);

/* [seq, end) behind everything sent before leaves for the first time. */
void sb_sent(struct tcb *tcb, uint32_t seq, uint32_t end, weft_time_us now);

/*
 * [seq, end), which begins where a record begins or lies at the end of the last one, left again as one
 * segment.  If it is more than one record, all of them waited: they are one from now on.
 */
void sb_resent(struct tcb *tcb, uint32_t seq, uint32_t end, weft_time_us now);

/* The first run that waits for retransmission; NULL: none. */
const struct sent *sb_waiting(const struct tcb *tcb);
/*
 * How much waits from the beginning of 'r' on that may go as one segment of at most 'most' bytes: 'r',
 * whatever its size, and whole runs behind it (RFC 1122 4.2.2.15, RFC 9293 3.8.1).
 */
uint32_t sb_waiting_len(const struct tcb *tcb, const struct sent *r, uint32_t most);
const struct sent *sb_first(const struct tcb *tcb);
const struct sent *sb_last(const struct tcb *tcb);

/* snd_una is about to become 'una'. */
void sb_acked(struct tcb *tcb, uint32_t una, weft_time_us now, struct ack_news *news);
/* [start, end), inside [snd_una, snd_nxt), is SACKed. */
void sb_sacked(struct tcb *tcb, uint32_t start, uint32_t end, weft_time_us now,
	       struct ack_news *news);

/* Marks record 'index' lost, if it is not. */
void sb_mark_lost(struct tcb *tcb, uint16_t index, weft_time_us now, struct ack_news *news);
/* Marks the first 'bytes' of the first record lost, or so much of small ones (peers without SACK). */
void sb_mark_front(struct tcb *tcb, uint32_t bytes, weft_time_us now, struct ack_news *news);
/* Marks lost what is due by 'rack_rtt' and the first record, or 'all' (RFC 8985 6.3). */
void sb_mark_timeout(struct tcb *tcb, bool all, weft_time_us now, struct ack_news *news);
/* Everything is to be sent again for another reason than congestion, and nothing of that is undone. */
void sb_mark_all(struct tcb *tcb);
/* The receiver has thrown SACKed data away (RFC 2018 8): SACKs count for nothing. */
void sb_forget_sacks(struct tcb *tcb);
/* The loss was none: runs never retransmitted are in flight again. */
void sb_unmark_lost(struct tcb *tcb);

/* Asserts B1 to B5. */
void sb_check(const struct tcb *tcb);

#endif
