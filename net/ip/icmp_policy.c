/* ICMP policy.  Called by RX threads and tests; pure. */
#include "net/ip/icmp_policy.h"

#include "net/base/check.h"
#include "net/base/mechanism.h"
#include <errno.h>

enum {
	ICMP4_TYPE_ECHO_REPLY = 0,
	ICMP4_TYPE_TIMESTAMP = 13, /* from here on queries */
	ICMP6_TYPE_INFO = 128,     /* from here on informational */
	ICMP6_TYPE_REDIRECT = 137,
};

void icmp_bucket_init(struct icmp_bucket *bucket, uint32_t per_s)
{
	uint32_t burst = per_s / ICMP_BURST_PART;

	bucket->burst = burst > 0 ? burst : per_s > 0;
	bucket->token_us = per_s > 0 ? US_PER_S / per_s : 0;
	bucket->tokens = bucket->burst;
	bucket->filled_at = 0;
}

bool icmp_bucket_take(struct icmp_bucket *bucket, weft_time_us now)
{
	weft_time_us passed = now - bucket->filled_at, token = bucket->token_us;

	if (token == 0)
		return false;
	if (passed >= token * bucket->burst) {
		bucket->tokens = bucket->burst;
		bucket->filled_at = now;
	} else if (passed >= token) {
		uint32_t fresh = (uint32_t)(passed / token);

		bucket->filled_at += fresh * token;
		bucket->tokens += fresh;
		if (bucket->tokens > bucket->burst && MECHANISM(icmp_burst))
			bucket->tokens = bucket->burst;
	}
	if (bucket->tokens == 0 && MECHANISM(icmp_rate))
		return false;
	bucket->tokens--;
	return true;
}

bool icmp_may_answer(const struct ip_hdr *ip, const uint8_t *payload)
{
	bool is_icmp = ip->proto == (ip->version == 4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6);

	if (addr_is_multicast(&ip->dst) || addr_is_broadcast(&ip->dst) ||
	    addr_is_multicast(&ip->src) || addr_is_broadcast(&ip->src) || addr_is_any(&ip->src))
		return !MECHANISM(icmp_multicast);
	if ((ip->frag & IP4_OFFSET_MASK) != 0 && MECHANISM(icmp_first_fragment))
		return false;
	if (!is_icmp || !MECHANISM(icmp_no_error_of_error))
		return true;
	if (ip->payload_len == 0)
		return false;
	uint8_t type = payload[0];

	if (ip->version == 4)
		return type == ICMP4_TYPE_ECHO_REPLY || type == ICMP4_TYPE_ECHO ||
		       type >= ICMP4_TYPE_TIMESTAMP;
	return type >= ICMP6_TYPE_INFO && type != ICMP6_TYPE_REDIRECT;
}

void icmp_error_msg(struct icmp_msg *msg, enum icmp_kind kind, uint8_t code, uint32_t pointer,
		    const struct ip_hdr *ip, const uint8_t *pkt)
{
	bool is_v4 = ip->version == 4;
	size_t most = is_v4 ? ICMP4_ERROR_MAX - IP4_HDR_SIZE : ICMP6_ERROR_MAX - IP6_HDR_SIZE;
	size_t size = (size_t)ip->hdr_len + ip->payload_len;

	*msg = (struct icmp_msg){
		.kind = kind, .code = code, .pointer = pointer, .body = pkt, .body_len = size};
	if (size > most - ICMP_HDR_SIZE && MECHANISM(icmp_quote_max))
		msg->body_len = most - ICMP_HDR_SIZE;
}

void icmp_refusal_msg(struct icmp_msg *msg, enum icmp_refusal refusal, uint16_t next_hdr_at,
		      const struct ip_hdr *ip, const uint8_t *pkt)
{
	bool is_v4 = ip->version == 4;

	if (refusal == ICMP_REFUSE_PORT)
		icmp_error_msg(msg, ICMP_UNREACH, is_v4 ? ICMP4_UNREACH_PORT : ICMP6_UNREACH_PORT,
			       0, ip, pkt);
	else if (is_v4)
		icmp_error_msg(msg, ICMP_UNREACH, ICMP4_UNREACH_PROTO, 0, ip, pkt);
	else
		icmp_error_msg(msg, ICMP_PARAM, ICMP6_PARAM_NEXT_HDR, next_hdr_at, ip, pkt);
}

struct meaning {
	int error;
	bool is_hard;
};

/* By code: RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1. */
static const struct meaning unreach4[] = {
	{ENETUNREACH, false},  {EHOSTUNREACH, false}, {ENOPROTOOPT, true},  {ECONNREFUSED, true},
	{EMSGSIZE, false},     {EOPNOTSUPP, false},   {ENETUNREACH, true},  {EHOSTDOWN, true},
	{ENONET, true},        {ENETUNREACH, true},   {EHOSTUNREACH, true}, {ENETUNREACH, false},
	{EHOSTUNREACH, false}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true}, {EHOSTUNREACH, true},
};

/* By code: RFC 4443 3.1. */
static const struct meaning unreach6[] = {
	{ENETUNREACH, false}, {EACCES, true}, {EHOSTUNREACH, false}, {EHOSTUNREACH, false},
	{ECONNREFUSED, true}, {EACCES, true}, {EACCES, true},
};

static struct meaning unreach_meaning(uint8_t code, uint8_t version)
{
	static const struct meaning unknown = {EHOSTUNREACH, false};

	if (version == 4)
		return code < ARRAY_SIZE(unreach4) ? unreach4[code] : unknown;
	return code < ARRAY_SIZE(unreach6) ? unreach6[code] : unknown;
}

int icmp_to_errno(const struct icmp_msg *msg, uint8_t version, bool *is_hard)
{
	struct meaning m = {EHOSTUNREACH, false};

	if (msg->kind == ICMP_UNREACH)
		m = unreach_meaning(msg->code, version);
	else if (msg->kind == ICMP_TOO_BIG)
		m = (struct meaning){EMSGSIZE, false};
	else if (msg->kind == ICMP_PARAM || msg->kind == ICMP_OTHER_ERROR)
		m = (struct meaning){EPROTO, false}; /* soft: RFC 9293 MUST-56 */
	*is_hard = m.is_hard;
	return m.error;
}
