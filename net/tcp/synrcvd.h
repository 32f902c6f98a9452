/*
 * A half-open connection that a listener answered: SYN-RECEIVED as a small record.  Pure, like the
 * rest of the core; the owner serialises access.
 */
#ifndef WEFT_TCP_SYNRCVD_H
#define WEFT_TCP_SYNRCVD_H

#include "net/base/check.h"
#include "net/tcp/tcp.h"

enum {
	SYNRCVD_RETRIES_MAX = 15,
	SYNRCVD_TICK_SHIFT = 6, /* 64 microseconds */
	SYNRCVD_NO_WSCALE = 15, /* above TCP_WSCALE_MAX */
};

/* Small: a flood of SYNs makes many. */
struct tcp_synrcvd {
	uint32_t born; /* in ticks, rounded up, modulo 2^32; it and 'retries' give all deadlines */
	uint32_t iss;
	uint32_t irs;
	uint32_t ts_recent;
	/*
	 * The timestamps' offset without its last three bits.  They say whether ECN is accurate: 0 not, or one
	 * more than the IP_ECN_* of the last SYN.
	 */
	uint32_t ts_offset_acc;
	uint16_t rcv_wnd; /* bytes announced, not scaled */
	uint16_t mss_peer;
	uint16_t mss_local;
	uint8_t snd_wscale : 4; /* SYNRCVD_NO_WSCALE: windows are not scaled, either way */
	uint8_t rcv_wscale : 4;
	uint8_t retries : 4;
	bool ts_on : 1;
	bool sack_on : 1;
	bool ecn_on : 1; /* our data may be ECN-capable; without accurate ECN marks are echoed as RFC 3168 has it */
	bool synack_due : 1;
};

static_assert(sizeof(struct tcp_synrcvd) <= 28, "the record has 128 bytes in all");

static inline bool tcp_synrcvd_scales(const struct tcp_synrcvd *rec)
{
	return rec->snd_wscale != SYNRCVD_NO_WSCALE;
}

static inline uint32_t tcp_synrcvd_ts_offset(const struct tcp_synrcvd *rec)
{
	return rec->ts_offset_acc & ~7u;
}

static inline unsigned tcp_synrcvd_acc(const struct tcp_synrcvd *rec)
{
	return rec->ts_offset_acc & 7;
}

/* When the SYN-ACK left; false: more than once (RFC 6298 3), or in this tick. */
bool tcp_synrcvd_sent_at(const struct tcp_synrcvd *rec, weft_time_us now, weft_time_us *at);

enum tcp_listen_verdict {
	TCP_LISTEN_DROP,  /* drop, for the reason given */
	TCP_LISTEN_RESET, /* answer with tcp_reset_for */
	TCP_LISTEN_SYN,   /* a SYN: make a record */
};

/* RFC 9293 3.10.7.2: what a listener does with a segment for which there is no record. */
enum tcp_listen_verdict tcp_listen_input(const struct tcp_seg *seg, enum drop *why);

/* Makes the record for an accepted SYN; a SYN-ACK is due. */
void tcp_synrcvd_init(struct tcp_synrcvd *rec, const struct tcp_params *params,
		      const struct tcp_seg *syn, uint32_t iss, weft_time_us now);

/* The SYN-ACK, when one is due; false otherwise. */
bool tcp_synrcvd_output(struct tcp_synrcvd *rec, const struct tcp_cfg *cfg, weft_time_us now,
			struct tcp_seg_out *out);

enum tcp_synrcvd_verdict {
	TCP_SYNRCVD_DROP,        /* drop, for the reason given */
	TCP_SYNRCVD_REPLY,       /* send 'out' (an ACK or a RST), keep the record */
	TCP_SYNRCVD_RESEND,      /* ask for tcp_synrcvd_output */
	TCP_SYNRCVD_GONE,        /* reset by the peer: delete the record */
	TCP_SYNRCVD_RESET,       /* send 'out' (a RST), delete the record */
	TCP_SYNRCVD_ESTABLISHED, /* tcp_open_passive, tcp_input(seg), delete the record */
};

enum tcp_synrcvd_verdict tcp_synrcvd_input(struct tcp_synrcvd *rec, const struct tcp_seg *seg,
					   const struct tcp_cfg *cfg, weft_time_us now,
					   struct tcp_seg_out *out, enum drop *why);

/* When tcp_synrcvd_tick is to be called: the SYN-ACK is due again, or it is time to give up. */
weft_time_us tcp_synrcvd_deadline(const struct tcp_synrcvd *rec, const struct tcp_cfg *cfg,
				  weft_time_us now);

/* Timer: false when the record is to be deleted; else a SYN-ACK is due and the deadline is new. */
bool tcp_synrcvd_tick(struct tcp_synrcvd *rec, const struct tcp_cfg *cfg, weft_time_us now);

#endif
