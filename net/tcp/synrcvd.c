/*
 * SYN-RECEIVED as a record (RFC 9293 3.10.7.4 for that state, RFC 5961).  Called by the listener's
 * side of the RX thread and by the emitter, under the listener's lock.
 */
#include "net/tcp/synrcvd.h"
#include "net/tcp/parts.h"
#include <stddef.h>
#include <string.h>

static weft_time_us rto_after(const struct tcp_cfg *cfg, unsigned retries)
{
	return cfg->rto_initial << (retries < 6 ? retries : 6);
}

void tcp_synrcvd_init(struct tcp_synrcvd *rec, const struct tcp_params *params,
		      const struct tcp_seg *syn, uint32_t iss, weft_time_us now)
{
	const struct tcp_opts *opt = &syn->opt;
	uint8_t shift = opt->wscale > TCP_WSCALE_MAX ? TCP_WSCALE_MAX : opt->wscale;

	*rec = (struct tcp_synrcvd){
		.deadline = now + rto_after(params->cfg, 0),
		.give_up = now + params->cfg->synack_timeout,
		.iss = iss,
		.irs = syn->seq,
		.ts_recent = opt->has_ts ? opt->ts_val : 0,
		.ts_offset = params->ts_offset,
		.rcv_wnd = params->rcv_buf_size < UINT16_MAX ? params->rcv_buf_size : UINT16_MAX,
		.mss_peer = options_mss_peer(opt, params->is_v6),
		.mss_local = params->mss_local,
		.snd_wscale = opt->has_wscale ? shift : 0,
		.rcv_wscale = opt->has_wscale ? options_wscale_for(params->rcv_buf_max,
								   params->rcv_buf_size)
					      : 0,
		.ts_on = opt->has_ts,
		.sack_on = opt->has_sack_ok,
		.wscale_on = opt->has_wscale,
		.is_v6 = params->is_v6,
		.synack_due = true,
	};
}

static uint32_t ts_now(const struct tcp_synrcvd *rec, weft_time_us now)
{
	return (uint32_t)(now / US_PER_MS) + rec->ts_offset;
}

static void set_timestamps(const struct tcp_synrcvd *rec, weft_time_us now, struct tcp_opts *opt)
{
	opt->has_ts = rec->ts_on;
	if (rec->ts_on) {
		opt->ts_val = ts_now(rec, now);
		opt->ts_ecr = rec->ts_recent;
	}
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
	out->wnd = (uint16_t)rec->rcv_wnd;
	out->mss = rec->mss_peer;
	out->retransmit = rec->retries > 0;
	out->opt.has_mss = true;
	out->opt.mss = rec->mss_local;
	out->opt.has_sack_ok = rec->sack_on;
	out->opt.has_wscale = rec->wscale_on;
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
	out->wnd = (uint16_t)(rec->rcv_wnd >> rec->rcv_wscale);
	set_timestamps(rec, now, &out->opt);
	return TCP_SYNRCVD_REPLY;
}

static enum tcp_synrcvd_verdict receive_rst(const struct tcp_synrcvd *rec,
					    const struct tcp_seg *seg, weft_time_us now,
					    struct tcp_seg_out *out, enum drop *why)
{
	if (seg->seq == rec->irs + 1) {
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

enum tcp_synrcvd_verdict tcp_synrcvd_input(struct tcp_synrcvd *rec, const struct tcp_seg *seg,
					   const struct tcp_cfg *cfg, weft_time_us now,
					   struct tcp_seg_out *out, enum drop *why)
{
	(void)cfg;
	if (seg->flags & TCP_RST)
		return receive_rst(rec, seg, now, out, why);
	if (seg->flags & TCP_SYN) {
		bool same = seg->seq == rec->irs && !(seg->flags & TCP_ACK);

		*why = same ? DROP_TCP_SYN_DUP : DROP_TCP_SYN_CHALLENGE;
		rec->synack_due = rec->synack_due || same;
		return same ? TCP_SYNRCVD_RESEND : reply_ack(rec, now, out);
	}
	if (rec->ts_on && seg->opt.has_ts && seq_lt(seg->opt.ts_val, rec->ts_recent)) {
		*why = DROP_TCP_PAWS;
		return reply_ack(rec, now, out);
	}
	if (!seq_in(seg->seq, rec->irs + 1, rec->rcv_wnd + 1)) {
		*why = DROP_TCP_OUT_OF_WINDOW;
		return reply_ack(rec, now, out);
	}
	if (!(seg->flags & TCP_ACK)) {
		*why = DROP_TCP_NO_ACK;
		return TCP_SYNRCVD_DROP;
	}
	if (seg->ack != rec->iss + 1) {
		*why = DROP_TCP_SYN_RCVD_ACK;
		return tcp_reset_for(seg, out) ? TCP_SYNRCVD_REPLY : TCP_SYNRCVD_DROP;
	}
	*why = DROP_NONE;
	return TCP_SYNRCVD_ESTABLISHED;
}

bool tcp_synrcvd_tick(struct tcp_synrcvd *rec, const struct tcp_cfg *cfg, weft_time_us now)
{
	if (now < rec->deadline)
		return true;
	if (now >= rec->give_up)
		return false;
	if (rec->retries < UINT8_MAX)
		rec->retries++;
	rec->synack_due = true;
	rec->deadline = time_min(now + rto_after(cfg, rec->retries), rec->give_up);
	return true;
}
