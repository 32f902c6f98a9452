/* SYN cookies; see syncookie.h.  Called by the listener's side of the RX thread, under its lock. */
#include "net/tcp/syncookie.h"

#include "net/base/mechanism.h"
#include "net/base/seq.h"
#include "net/tcp/parts.h"
#include <string.h>

enum {
	MINUTE_SHIFT = 27,
	MINUTE_MASK = 31,
	MSS_SHIFT = 24,
	MSS_MASK = SYNCOOKIE_MSS_COUNT - 1,
	/* In the timestamp. */
	TS_WSCALE_MASK = 15,
	TS_SACK = 1 << 4,
	TS_ECN = 1 << 5,
	TS_MASK = (1 << SYNCOOKIE_TS_BITS) - 1,
};

#define MAC_MASK 0xffffffu

/* What the usual paths have; a peer gets the largest that does not exceed its own. */
static const uint16_t mss_v4[SYNCOOKIE_MSS_COUNT] = {TCP_MSS_MIN, 256,  536,  1024,
						     1300,        1400, 1440, 1460};
static const uint16_t mss_v6[SYNCOOKIE_MSS_COUNT] = {TCP_MSS_MIN, 536,  1024, 1220,
						     1360,        1400, 1440, 8940};

/* Without padding: hashed as bytes. */
struct mac_input {
	struct flow flow;
	uint32_t irs;
	uint32_t minute;
	uint32_t mss;
};

static_assert(sizeof(struct mac_input) == sizeof(struct flow) + 12, "no padding");

static uint32_t minute_of(weft_time_us now)
{
	return (uint32_t)(now / (SYNCOOKIE_MINUTE_S * (weft_time_us)US_PER_S));
}

static uint32_t now_ms(weft_time_us now)
{
	return (uint32_t)(now / US_PER_MS);
}

static uint32_t pad(const struct syncookie_keys *keys, const struct flow *flow)
{
	return (uint32_t)khash(&keys->pad, flow, sizeof(*flow));
}

static uint32_t mac(const struct syncookie_keys *keys, const struct mac_input *in)
{
	unsigned generation = in->minute / SYNCOOKIE_KEY_MINUTES;

	return (uint32_t)khash(&keys->mac[generation & 1], in, sizeof(*in)) & MAC_MASK;
}

/* The index of the table's largest MSS up to 'mss', which is not below TCP_MSS_MIN. */
static uint32_t mss_index(uint16_t mss, bool is_v6)
{
	const uint16_t *table = is_v6 ? mss_v6 : mss_v4;
	uint32_t i = SYNCOOKIE_MSS_COUNT - 1;

	while (i > 0 && table[i] > mss)
		i--;
	return i;
}

/*
 * The timestamp nearest below the clock's that has 'bits' at its end: it never runs ahead of the
 * later ones (RFC 7323 5.4).
 */
static uint32_t mark_time(uint32_t ms, uint32_t bits)
{
	uint32_t marked = (ms & ~(uint32_t)TS_MASK) | bits;

	return marked > ms ? marked - (TS_MASK + 1) : marked;
}

static uint32_t ts_bits(const struct tcp_synrcvd *rec)
{
	return rec->snd_wscale | (rec->sack_on ? TS_SACK : 0u) |
	       (rec->ecn_on && tcp_synrcvd_acc(rec) == 0 ? TS_ECN : 0u);
}

void syncookie_answer(const struct syncookie_keys *keys, const struct flow *flow,
		      const struct tcp_params *params, const struct tcp_seg *syn, weft_time_us now,
		      struct tcp_seg_out *out)
{
	struct mac_input in = {.flow = *flow, .irs = syn->seq, .minute = minute_of(now)};
	struct tcp_synrcvd rec;

	tcp_synrcvd_init(&rec, params, syn, 0, now);
	in.mss = mss_index(rec.mss_peer, params->is_v6);
	if (!rec.ts_on) {
		rec.snd_wscale = SYNRCVD_NO_WSCALE;
		rec.sack_on = false;
		rec.ecn_on = tcp_synrcvd_acc(&rec) > 0;
	}
	rec.iss =
		pad(keys, flow) + in.irs +
		((in.minute & MINUTE_MASK) << MINUTE_SHIFT | in.mss << MSS_SHIFT | mac(keys, &in));
	bool is_due = tcp_synrcvd_output(&rec, params->cfg, now, out);

	WEFT_ASSERT(is_due);
	if (rec.ts_on && MECHANISM(cookie_options))
		out->opt.ts_val =
			mark_time(now_ms(now), ts_bits(&rec)) + tcp_synrcvd_ts_offset(&rec);
}

/*
 * What the echoed timestamp tells of the SYN; none when it cannot be an echo of
 * ours.
 */
static void options_from_echo(const struct tcp_params *params, const struct tcp_seg *ack,
			      weft_time_us now, struct tcp_seg *syn)
{
	struct tcp_opts *opt = &syn->opt;
	uint32_t echo = ack->opt.ts_ecr - (params->ts_offset & ~7u); /* as a record keeps it */
	uint32_t shift = echo & TS_WSCALE_MASK;
	uint32_t age_max = (uint32_t)(SYNCOOKIE_LIFE / US_PER_MS) + TS_MASK + 1;

	if (!ack->opt.has_ts || (now_ms(now) - echo > age_max && MECHANISM(cookie_echo_age)))
		return;
	opt->has_ts = true;
	opt->ts_val = ack->opt.ts_val;
	opt->has_sack_ok = (echo & TS_SACK) != 0;
	opt->has_wscale = shift <= TCP_WSCALE_MAX;
	opt->wscale = (uint8_t)shift;
	if (echo & TS_ECN)
		syn->flags |= TCP_ECE | TCP_CWR;
}

bool syncookie_accept(const struct syncookie_keys *keys, const struct flow *flow,
		      const struct tcp_params *params, struct tcp_seg *ack, weft_time_us now,
		      struct tcp_synrcvd *rec)
{
	uint32_t irs = ack->seq - 1;
	uint32_t inner = ack->ack - 1 - pad(keys, flow) - irs;
	uint32_t age = (minute_of(now) - (inner >> MINUTE_SHIFT)) & MINUTE_MASK;
	struct mac_input in = {
		.flow = *flow,
		.irs = irs,
		.minute = minute_of(now) - age,
		.mss = inner >> MSS_SHIFT & MSS_MASK,
	};
	bool is_good = mac(keys, &in) == (inner & MAC_MASK) || !MECHANISM(cookie_mac);

	if (!is_good || (age >= SYNCOOKIE_AGE_MAX && MECHANISM(cookie_age)))
		return false;
	struct tcp_seg syn = {
		.seq = irs,
		.flags = TCP_SYN,
		.opt = {.has_mss = true, .mss = (params->is_v6 ? mss_v6 : mss_v4)[in.mss]},
	};

	options_from_echo(params, ack, now, &syn);
	/* RFC 9768 5.1: what tells of the SYN-ACK, or counts from 5, no other client sends. */
	if (params->cfg->ecn >= TCP_ECN_ACCURATE && !(syn.flags & TCP_ECE) &&
	    ecn_bits(ack->flags, ack->ae) > TCP_ECE >> 6 && MECHANISM(accecn_cookie)) {
		syn.flags |= TCP_ECE | TCP_CWR;
		syn.ae = true;
	}
	tcp_synrcvd_init(rec, params, &syn, ack->ack - 1, now);
	rec->synack_due = false;
	ack->opt.ts_ecr = 0;
	return true;
}
