/*
 * SYN-RECEIVED as a record (RFC 9293 3.10.7.4 for that state, RFC 5961).  Called by the listener's
 * side of the RX thread and by the emitter, under the listener's lock.
 */
#include "net/tcp/synrcvd.h"
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <stddef.h>
#include <string.h>

/* A window scale has four bits in the record: at most TCP_WSCALE_MAX. */
enum { WSCALE_MASK = 15 };

/* A record that is older cannot tell its age. */
#define SYNACK_TIMEOUT_MAX (24 * 3600 * (weft_time_us)US_PER_S)

static uint32_t birth_tick(weft_time_us now)
{
	return (uint32_t)((now + (1 << SYNRCVD_TICK_SHIFT) - 1) >> SYNRCVD_TICK_SHIFT);
}

/* On the clock of 'now', which is not half of 2^32 ticks away. */
static weft_time_us birth_time(const struct tcp_synrcvd *rec, weft_time_us now)
{
	int64_t tick = now >> SYNRCVD_TICK_SHIFT;

	return (tick + (int32_t)(rec->born - (uint32_t)tick)) * (1 << SYNRCVD_TICK_SHIFT);
}

bool tcp_synrcvd_sent_at(const struct tcp_synrcvd *rec, weft_time_us now, weft_time_us *at)
{
	*at = birth_time(rec, now);
	return rec->retries == 0 && *at < now;
}

/*
 * The age at which the SYN-ACK is sent again, or the record ends: the timeout doubles, so that the
 * sum until a retransmission is a power of two less one.
 */
static weft_time_us age_max(const struct tcp_cfg *cfg, unsigned retries)
{
	weft_time_us limit = time_min(cfg->synack_timeout, SYNACK_TIMEOUT_MAX);

	if (retries == SYNRCVD_RETRIES_MAX)
		return limit;
	return time_min(cfg->rto_initial * ((2LL << retries) - 1), limit);
}

weft_time_us tcp_synrcvd_deadline(const struct tcp_synrcvd *rec, const struct tcp_cfg *cfg,
				  weft_time_us now)
{
	return birth_time(rec, now) + age_max(cfg, rec->retries);
}

static void set_acc(struct tcp_synrcvd *rec, const struct tcp_seg *syn)
{
	rec->ts_offset_acc = (rec->ts_offset_acc & ~7u) | (1 + (syn->ecn & 3u));
}

void tcp_synrcvd_init(struct tcp_synrcvd *rec, const struct tcp_params *params,
		      const struct tcp_seg *syn, uint32_t iss, weft_time_us now)
{
	const struct tcp_opts *opt = &syn->opt;
	uint8_t shift = options_wscale(params->cfg, opt);

	*rec = (struct tcp_synrcvd){
		.born = birth_tick(now),
		.iss = iss,
		.irs = syn->seq,
		.ts_recent = opt->has_ts ? opt->ts_val : 0,
		.ts_offset_acc = params->ts_offset & ~7u,
		.rcv_wnd = (uint16_t)(params->rcv_buf_size < UINT16_MAX ? params->rcv_buf_size
									: UINT16_MAX),
		.mss_peer = options_mss_peer(opt, params->is_v6),
		.mss_local = params->mss_local,
		.snd_wscale =
			(uint8_t)((opt->has_wscale ? shift : SYNRCVD_NO_WSCALE) & WSCALE_MASK),
		.rcv_wscale = (uint8_t)((opt->has_wscale ? options_wscale_for(params->rcv_buf_max,
									      params->rcv_buf_size)
							 : 0) &
					WSCALE_MASK),
		.ts_on = opt->has_ts,
		.sack_on = opt->has_sack_ok,
		.ecn_on = ecn_mode(params->cfg, syn) != ECN_MODE_NONE,
		.synack_due = true,
	};
	if (ecn_mode(params->cfg, syn) == ECN_MODE_ACCURATE)
		set_acc(rec, syn);
}

static uint32_t ts_now(const struct tcp_synrcvd *rec, weft_time_us now)
{
	return (uint32_t)(now / US_PER_MS) + tcp_synrcvd_ts_offset(rec);
}

static void set_timestamps(const struct tcp_synrcvd *rec, weft_time_us now, struct tcp_opts *opt)
{
	opt->has_ts = rec->ts_on;
	if (rec->ts_on) {
		opt->ts_val = ts_now(rec, now);
		opt->ts_ecr = rec->ts_recent;
	}
}

/*
 * What the SYN-ACK says of ECN.  Accurate: where the SYN's IP-ECN field stands, but after two that found
 * no answer none of it, and then our data has none, either (RFC 9768 3.2.3.2.2, 3.1.5).
 */
static void put_ecn(struct tcp_synrcvd *rec, struct tcp_seg_out *out)
{
	if (tcp_synrcvd_acc(rec) == 0) {
		out->flags |= rec->ecn_on ? TCP_ECE : 0;
	} else if (rec->retries >= 2 && MECHANISM(accecn_plain_synack)) {
		rec->ecn_on = false;
	} else {
		ecn_put_bits(out, accecn_code(tcp_synrcvd_acc(rec) - 1u));
	}
}

/*
 * The SYN came again.  Without ECN our answer to the first one did not come (RFC 3168 6.1.1.1); an
 * accurate one goes on, but who sends so may end up without: our data is not ECN-capable (RFC 9768
 * 3.1.5).  False: it has changed its mind between classic and accurate, and nobody knows what counts.
 */
static bool repeat_ecn(struct tcp_synrcvd *rec, const struct tcp_cfg *cfg,
		       const struct tcp_seg *syn)
{
	enum ecn_mode mode = ecn_mode(cfg, syn);

	if (mode == ECN_MODE_NONE && MECHANISM(synrcvd_ecn_again)) {
		rec->ecn_on = false;
	} else if (tcp_synrcvd_acc(rec) > 0 ? mode == ECN_MODE_CLASSIC
					    : rec->ecn_on && mode == ECN_MODE_ACCURATE) {
		return !MECHANISM(accecn_reset);
	}
	if (tcp_synrcvd_acc(rec) > 0)
		set_acc(rec, syn);
	return true;
}

bool tcp_synrcvd_output(struct tcp_synrcvd *rec, const struct tcp_cfg *cfg, weft_time_us now,
			struct tcp_seg_out *out)
{
	if (!rec->synack_due)
		return false;
	rec->synack_due = false;
	memset(out, 0, offsetof(struct tcp_seg_out, view));
	out->seq = rec->iss;
	out->ack = rec->irs + 1;
	out->flags = TCP_SYN | TCP_ACK;
	put_ecn(rec, out);
	out->wnd = rec->rcv_wnd;
	out->mss = rec->mss_peer;
	out->retransmit = rec->retries > 0;
	out->opt.has_mss = true;
	out->opt.mss = rec->mss_local;
	out->opt.has_sack_ok = rec->sack_on;
	out->opt.has_wscale = tcp_synrcvd_scales(rec);
	out->opt.wscale = rec->rcv_wscale;
	set_timestamps(rec, now, &out->opt);
	if (out->retransmit)
		counter_add(cfg->counters, C_TCP_SYNACK_RETRANS, 1);
	return true;
}

static enum tcp_synrcvd_verdict reply_ack(const struct tcp_synrcvd *rec, weft_time_us now,
					  struct tcp_seg_out *out)
{
	memset(out, 0, offsetof(struct tcp_seg_out, view));
	out->seq = rec->iss + 1;
	out->ack = rec->irs + 1;
	out->flags = TCP_ACK;
	if (tcp_synrcvd_acc(rec) > 0)
		ecn_put_bits(out, ACCECN_START);
	out->wnd = (uint16_t)(rec->rcv_wnd >> rec->rcv_wscale);
	set_timestamps(rec, now, &out->opt);
	return TCP_SYNRCVD_REPLY;
}

static enum tcp_synrcvd_verdict receive_rst(const struct tcp_synrcvd *rec,
					    const struct tcp_seg *seg, weft_time_us now,
					    struct tcp_seg_out *out, enum drop *why)
{
	if (seg->seq == rec->irs + 1 || !MECHANISM(synrcvd_rst)) {
		*why = DROP_NONE;
		return TCP_SYNRCVD_GONE;
	}
	if (seq_in(seg->seq, rec->irs + 1, rec->rcv_wnd)) {
		*why = DROP_TCP_RST_CHALLENGE;
		return reply_ack(rec, now, out);
	}
	*why = DROP_TCP_RST_OUT_OF_WINDOW;
	return TCP_SYNRCVD_DROP;
}

static enum tcp_synrcvd_verdict receive_syn(struct tcp_synrcvd *rec, const struct tcp_seg *seg,
					    const struct tcp_cfg *cfg, weft_time_us now,
					    struct tcp_seg_out *out, enum drop *why)
{
	bool same = seg->seq == rec->irs && !(seg->flags & TCP_ACK);

	*why = same ? DROP_TCP_SYN_DUP : DROP_TCP_SYN_CHALLENGE;
	if (!same)
		return reply_ack(rec, now, out);
	/* What leaves twice says nothing of the path (Karn), and waits longer for its answer. */
	if (!rec->synack_due && rec->retries == 0 && MECHANISM(synrcvd_karn))
		rec->retries = 1;
	rec->synack_due = true;
	if (repeat_ecn(rec, cfg, seg))
		return TCP_SYNRCVD_RESEND;
	*why = DROP_TCP_FLAGS;
	return tcp_reset_for(seg, out) ? TCP_SYNRCVD_RESET : TCP_SYNRCVD_GONE;
}

enum tcp_synrcvd_verdict tcp_synrcvd_input(struct tcp_synrcvd *rec, const struct tcp_seg *seg,
					   const struct tcp_cfg *cfg, weft_time_us now,
					   struct tcp_seg_out *out, enum drop *why)
{
	if (seg->flags & TCP_RST)
		return receive_rst(rec, seg, now, out, why);
	if (seg->flags & TCP_SYN)
		return receive_syn(rec, seg, cfg, now, out, why);
	if (rec->ts_on && seg->opt.has_ts && seq_lt(seg->opt.ts_val, rec->ts_recent) &&
	    MECHANISM(synrcvd_paws)) {
		*why = DROP_TCP_PAWS;
		return reply_ack(rec, now, out);
	}
	if (!seq_in(seg->seq, rec->irs + 1, rec->rcv_wnd + 1u) && MECHANISM(synrcvd_window)) {
		*why = DROP_TCP_OUT_OF_WINDOW;
		return reply_ack(rec, now, out);
	}
	if (!(seg->flags & TCP_ACK)) {
		*why = DROP_TCP_NO_ACK;
		return TCP_SYNRCVD_DROP;
	}
	if (seg->ack != rec->iss + 1 && MECHANISM(synrcvd_ack)) {
		*why = DROP_TCP_SYN_RCVD_ACK;
		return tcp_reset_for(seg, out) ? TCP_SYNRCVD_REPLY : TCP_SYNRCVD_DROP;
	}
	*why = DROP_NONE;
	return TCP_SYNRCVD_ESTABLISHED;
}

bool tcp_synrcvd_tick(struct tcp_synrcvd *rec, const struct tcp_cfg *cfg, weft_time_us now)
{
	weft_time_us limit = time_min(cfg->synack_timeout, SYNACK_TIMEOUT_MAX);
	weft_time_us age = now - birth_time(rec, now);

	if (age < age_max(cfg, rec->retries))
		return true;
	if (age >= limit && MECHANISM(synrcvd_timeout))
		return false;
	/* Whoever comes very late sends once. */
	unsigned retries = rec->retries;

	while (retries < SYNRCVD_RETRIES_MAX && age >= age_max(cfg, retries))
		retries++;
	rec->retries = retries & SYNRCVD_RETRIES_MAX;
	rec->synack_due = MECHANISM(synrcvd_resend);
	return true;
}
