/* TIME-WAIT as a small record (RFC 9293 3.6.1, RFC 1337, RFC 6191).  Pure; the owner serialises. */
#ifndef WEFT_TCP_TIMEWAIT_H
#define WEFT_TCP_TIMEWAIT_H

#include "net/base/check.h"
#include "net/base/seq.h"
#include "net/tcp/tcp.h"

/* Small: a busy server has more of these than of connections. */
struct tcp_timewait {
	weft_time_us deadline;
	uint32_t ack_at_ms; /* last ACK sent, for the rate limit; modulo 2^32 */
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint16_t wnd; /* as it stands in a header */
	bool ts_on : 1;
	bool acc_on : 1;
	uint8_t ace : 3; /* what ACKs tell of marks (RFC 9768) */
};

static_assert(sizeof(struct tcp_timewait) <= 32, "the record has 128 bytes in all");

/* Takes over from a tcb in TIME-WAIT. */
void tcp_timewait_init(struct tcp_timewait *tw, const struct tcb *tcb, weft_time_us now);

enum tcp_timewait_verdict {
	TCP_TIMEWAIT_DROP,  /* drop, for the reason given */
	TCP_TIMEWAIT_REPLY, /* send 'out' (an ACK); the deadline may be new */
	TCP_TIMEWAIT_GONE,  /* reset by the peer: delete the record */
	TCP_TIMEWAIT_REUSE, /* a SYN that may open a new incarnation: delete the record, try the listener */
};

enum tcp_timewait_verdict tcp_timewait_input(struct tcp_timewait *tw, const struct tcp_seg *seg,
					     const struct tcp_cfg *cfg, weft_time_us now,
					     struct tcp_seg_out *out, enum drop *why);

/* An ISN for a new incarnation of the same 4-tuple that lies beyond the old one. */
static inline uint32_t tcp_timewait_iss(const struct tcp_timewait *tw, uint32_t iss)
{
	return seq_gt(iss, tw->snd_nxt) ? iss : tw->snd_nxt + 65535 + 2;
}

#endif
