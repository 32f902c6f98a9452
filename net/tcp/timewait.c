/*
 * TIME-WAIT as a record (RFC 9293 3.10.7.4 for that state): answers a repeated FIN, ignores RST (RFC
 * 1337) unless told otherwise, and lets a new incarnation in when it cannot be mistaken for the old one (RFC 6191).
 */
#include "net/tcp/timewait.h"
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <stddef.h>
#include <string.h>

void tcp_timewait_init(struct tcp_timewait *tw, const struct tcb *tcb, weft_time_us now)
{
	uint32_t rcv_wnd = seq_gt(tcb->rcv_adv, tcb->rcv_nxt) ? tcb->rcv_adv - tcb->rcv_nxt : 0;
	uint32_t wnd = rcv_wnd >> tcb->rcv_wscale;

	*tw = (struct tcp_timewait){
		.deadline = now + tcb->cfg->time_wait,
		.ack_at_ms = time_ms(now) - TCP_OOW_INTERVAL_MS,
		.snd_nxt = tcb->snd_max,
		.rcv_nxt = tcb->rcv_nxt,
		.ts_recent = tcb->ts_recent,
		.ts_offset = tcb->ts_offset,
		.wnd = (uint16_t)(wnd < UINT16_MAX ? wnd : UINT16_MAX),
		.ts_on = tcb->ts_on,
		.acc_on = tcb->acc.on,
		.ace = tcb->acc.r_cep,
	};
}

/* RFC 6191 2: by timestamp where both sides have it, else by sequence number. */
static bool may_reuse(const struct tcp_timewait *tw, const struct tcp_seg *seg)
{
	bool later_seq = seq_gt(seg->seq, tw->rcv_nxt);

	if (seg->flags & (TCP_ACK | TCP_FIN))
		return false;
	if (!MECHANISM(timewait_reuse_old))
		return true;
	if (tw->ts_on && seg->opt.has_ts) {
		if (seg->opt.ts_val == tw->ts_recent)
			return later_seq;
		return seq_gt(seg->opt.ts_val, tw->ts_recent);
	}
	return later_seq || (!tw->ts_on && seg->opt.has_ts);
}

static enum tcp_timewait_verdict reply_ack(struct tcp_timewait *tw, weft_time_us now,
					   struct tcp_seg_out *out)
{
	memset(out, 0, offsetof(struct tcp_seg_out, view));
	out->seq = tw->snd_nxt;
	out->ack = tw->rcv_nxt;
	out->flags = TCP_ACK;
	out->wnd = tw->wnd;
	if (tw->acc_on)
		ecn_put_bits(out, tw->ace);
	if (tw->ts_on) {
		out->opt.has_ts = true;
		out->opt.ts_val = time_ms(now) + tw->ts_offset;
		out->opt.ts_ecr = tw->ts_recent;
	}
	tw->ack_at_ms = time_ms(now);
	return TCP_TIMEWAIT_REPLY;
}

enum tcp_timewait_verdict tcp_timewait_input(struct tcp_timewait *tw, const struct tcp_seg *seg,
					     const struct tcp_cfg *cfg, weft_time_us now,
					     struct tcp_seg_out *out, enum drop *why)
{
	bool fin = (seg->flags & TCP_FIN) != 0;

	*why = DROP_TCP_TIME_WAIT;
	if (seg->flags & TCP_RST) {
		bool is_end =
			(cfg->time_wait_rst || !MECHANISM(timewait_rst)) && seg->seq == tw->rcv_nxt;

		return is_end ? TCP_TIMEWAIT_GONE : TCP_TIMEWAIT_DROP;
	}
	if ((seg->flags & TCP_SYN) && may_reuse(tw, seg) && MECHANISM(timewait_reuse)) {
		*why = DROP_NONE;
		return TCP_TIMEWAIT_REUSE;
	}
	if (!(seg->flags & TCP_SYN)) {
		if (tw->ts_on && seg->opt.has_ts && seq_lt(seg->opt.ts_val, tw->ts_recent) &&
		    MECHANISM(timewait_paws))
			*why = DROP_TCP_PAWS;
		else if (fin && MECHANISM(timewait_restart))
			tw->deadline = now + cfg->time_wait; /* EV-ACK-9 */
		/* What the peer's last ACK looks like needs no answer. */
		if (!fin && seg->len == 0 && seg->seq == tw->rcv_nxt)
			return TCP_TIMEWAIT_DROP;
	}
	if (!fin && seg->len == 0 && time_ms(now) - tw->ack_at_ms < TCP_OOW_INTERVAL_MS &&
	    MECHANISM(timewait_rate))
		return TCP_TIMEWAIT_DROP;
	return reply_ack(tw, now, out);
}
