/*
 * ICMP policy: which errors may be sent and how often (RFC 1122 3.2.2, RFC 4443 2.4), what they
 * quote, and what received ones mean as errno.  Pure: no lock, clock or allocation; the RX thread
 * calls it with state of its own.
 */
#ifndef WEFT_IP_ICMP_POLICY_H
#define WEFT_IP_ICMP_POLICY_H

#include "net/base/time.h"
#include "net/wire/icmp.h"
#include "net/wire/ip.h"
#include <stdbool.h>

/* ---- How often. ---- */

enum {
	ICMP_RATE_PER_S = 1000, /* errors a second, unless the config has another number ... */
	ICMP_RATE_MAX = 100000,
	ICMP_BURST_PART = 20, /* ... and a 20th of them at once */
};

/* A token bucket. */
struct icmp_bucket {
	uint32_t tokens, burst;
	uint32_t token_us;      /* 0: there are none ever */
	weft_time_us filled_at; /* the last whole token came then */
};

/* Full; 'per_s' at most ICMP_RATE_MAX, 0: no error is sent. */
void icmp_bucket_init(struct icmp_bucket *bucket, uint32_t per_s);

/* Whether an error may be sent now; takes a token. */
bool icmp_bucket_take(struct icmp_bucket *bucket, weft_time_us now);

/* ---- Which. ---- */

/*
 * Whether the packet 'ip' (addresses judged by the caller: one host to this one) with the payload
 * 'payload' may be answered by an ICMP error: not when it is an ICMP error or a redirect itself, or a later
 * fragment.
 */
bool icmp_may_answer(const struct ip_hdr *ip, const uint8_t *payload);

enum icmp_refusal {
	ICMP_REFUSE_PORT,  /* UDP port without a user */
	ICMP_REFUSE_PROTO, /* unknown transport protocol */
};

/*
 * The error of that kind about the packet of 'ip' at 'pkt'.  It quotes as much as fits: 576 bytes in
 * all for IPv4 (RFC 1812 4.3.2.3), 1,280 for IPv6.  'msg->body' points into 'pkt'.
 */
void icmp_error_msg(struct icmp_msg *msg, enum icmp_kind kind, uint8_t code, uint32_t pointer,
		    const struct ip_hdr *ip, const uint8_t *pkt);

/* The error that refuses the packet; 'next_hdr_at': where IPv6 names the protocol. */
void icmp_refusal_msg(struct icmp_msg *msg, enum icmp_refusal refusal, uint16_t next_hdr_at,
		      const struct ip_hdr *ip, const uint8_t *pkt);

/* ---- What received ones mean. ---- */

/*
 * The errno value (positive) for a received error in an IP packet of 'version'; '*is_hard' tells
 * whether it ends an attempt to connect (RFC 1122 4.2.3.9; as Linux).
 */
int icmp_to_errno(const struct icmp_msg *msg, uint8_t version, bool *is_hard);

#endif
