/*
 * SYN cookies (RFC 4987 3.6): a SYN-ACK whose sequence number is all the state there is.  Pure, like
 * the rest of the core; the owner serialises access, renews the keys and says when cookies are sent.
 *
 * The cookie is
 *
 *	pad(flow) + IRS + (minute << 26 | mss << 24 | mac(flow, IRS, minute, mss))
 *
 * with six bits of the minute, two that stand for the peer's MSS, and 24 of a keyed hash.  'pad' makes
 * it look random from outside (RFC 6528); the IRS in the sum makes it grow with the client's numbers.
 * Window scale, SACK-permitted and ECN stand in the low bits of the timestamp, as on Linux; a peer
 * without timestamps gets none of them, but for accurate ECN, which the flags of its ACK show (RFC 9768 5.1).
 */
#ifndef WEFT_TCP_SYNCOOKIE_H
#define WEFT_TCP_SYNCOOKIE_H

#include "net/base/addr.h"
#include "net/base/khash.h"
#include "net/tcp/synrcvd.h"

enum {
	SYNCOOKIE_MINUTE_S = 60,
	SYNCOOKIE_AGE_MAX = 2,     /* a cookie of this minute or the one before it is good */
	SYNCOOKIE_KEY_MINUTES = 4, /* that long cookies are made with one key */
	SYNCOOKIE_MSS_COUNT = 8,
	SYNCOOKIE_TS_BITS = 6,
};

/* A cookie is at most that old. */
#define SYNCOOKIE_LIFE (SYNCOOKIE_AGE_MAX * SYNCOOKIE_MINUTE_S * (weft_time_us)US_PER_S)

struct syncookie_keys {
	struct khash_key pad;
	struct khash_key mac[2]; /* of even and odd generations: this one and the one before */
};

/* Which key cookies are made with at 'now': mac[generation & 1] is to be a new one when it changes. */
static inline uint32_t syncookie_generation(weft_time_us now)
{
	return (uint32_t)(now /
			  ((weft_time_us)SYNCOOKIE_KEY_MINUTES * SYNCOOKIE_MINUTE_S * US_PER_S));
}

/*
 * Makes '*out', the SYN-ACK with the cookie.  The MSS that it tells of is the largest of a table that
 * does not exceed the peer's.
 */
void syncookie_answer(const struct syncookie_keys *keys, const struct flow *flow,
		      const struct tcp_params *params, const struct tcp_seg *syn, weft_time_us now,
		      struct tcp_seg_out *out);

/*
 * Whether 'ack' acknowledges a cookie that was made for 'flow' not long ago; '*rec' is then what the
 * SYN would have made: tcp_open_passive, tcp_input(ack).  The same work whatever the segment has.
 * The timestamp's echo is cleared: with its low bits in use it says nothing about the path.
 */
bool syncookie_accept(const struct syncookie_keys *keys, const struct flow *flow,
		      const struct tcp_params *params, struct tcp_seg *ack, weft_time_us now,
		      struct tcp_synrcvd *rec);

#endif
