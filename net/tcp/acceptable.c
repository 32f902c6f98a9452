/*
 * Whether a segment may be looked at in a synchronized state: timestamps (RFC 7323 5), sequence
 * (RFC 9293 3.4 and 3.10.7.4 first step), RST and SYN with RFC 5961's challenge ACKs.  Called by
 * tcp_input, in the RFC's order.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <errno.h>

/*
 * RFC 5961 7: a limit for each connection, so that it tells nothing about others, and a different one
 * in each interval, between half and all of the maximum: who counts answers learns nothing, either
 * (CVE-2016-5696).
 */
static uint32_t challenge_limit(const struct tcb *tcb)
{
	uint32_t max = tcb->cfg->challenge_max;
	uint32_t mix = (tcb->ts_offset ^ tcb->iss) + (uint32_t)tcb->challenge_start;

	mix *= 0x9e3779b1u; /* the high bits depend on all */
	mix ^= mix >> 15;
	mix *= 0x85ebca6bu;
	return MECHANISM(challenge_secret) ? max - (mix >> 16) % (max / 2 + 1) : max;
}

void challenge_ack(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	const struct tcp_cfg *cfg = tcb->cfg;
	uint32_t ms = time_ms(now);

	if (ms - tcb->challenge_start >= time_ms(cfg->challenge_interval)) {
		tcb->challenge_start = ms;
		tcb->challenges = 0;
	}
	if (tcb->challenges >= challenge_limit(tcb) && MECHANISM(challenge_limit)) {
		counter_add(cfg->counters, C_TCP_CHALLENGE_LIMIT, 1);
		return;
	}
	tcb->challenges++;
	tcb->ack_now = true;
	*events |= TCP_EV_OUTPUT;
	counter_add(cfg->counters, C_TCP_CHALLENGE_ACK, 1);
}

/*
 * Answers an unacceptable segment with an ACK (RFC 9293 3.10.7.4).  One with data or FIN always:
 * the peer needs it to stop retransmitting.  Empty ones at a limited rate, or two stacks that
 * disagree would answer each other for ever.
 */
static void ack_unacceptable(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
			     unsigned *events)
{
	if (seg->len == 0 && !(seg->flags & TCP_FIN)) {
		if (time_ms(now) - tcb->oow_ack_at < TCP_OOW_INTERVAL_MS &&
		    MECHANISM(oow_ack_rate)) {
			counter_add(tcb->cfg->counters, C_TCP_CHALLENGE_LIMIT, 1);
			return;
		}
		tcb->oow_ack_at = time_ms(now);
	}
	if (seg->len > 0 && seq_le(seg->seq + seg->len, tcb->rcv_nxt) && MECHANISM(dsack_old))
		sack_note_duplicate(tcb, seg->seq, seg->seq + seg->len);
	tcb->ack_now = true;
	*events |= TCP_EV_OUTPUT;
}

static bool paws_rejects(const struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	return seg->opt.has_ts && seq_lt(seg->opt.ts_val, tcb->ts_recent) &&
	       (time_s(now) - tcb->ts_recent_at < TCP_PAWS_IDLE_S || !MECHANISM(paws_idle));
}

/*
 * RFC 9293 table 6.  A segment that starts at RCV.NXT passes a closed window, too: its data is
 * trimmed away, but its ACK, URG and RST count (EV-SEQ-4, MUST-66).  An empty segment may stand at
 * the right edge: what filled the window may be lost while its sender goes on acknowledging.
 */
static bool in_window(const struct tcb *tcb, const struct tcp_seg *seg)
{
	uint32_t wnd = seq_gt(tcb->rcv_adv, tcb->rcv_nxt) ? tcb->rcv_adv - tcb->rcv_nxt : 0;
	uint32_t len = seg->len + ((seg->flags & TCP_SYN) != 0) + ((seg->flags & TCP_FIN) != 0);

	if (seg->seq == tcb->rcv_nxt && MECHANISM(closed_window_ack))
		return true;
	if (len == 0)
		return seq_in(seg->seq, tcb->rcv_nxt,
			      seg->flags & TCP_RST || !MECHANISM(window_edge_ack) ? wnd : wnd + 1);
	return seq_in(seg->seq, tcb->rcv_nxt, wnd) || seq_in(seg->seq + len - 1, tcb->rcv_nxt, wnd);
}

static enum drop receive_rst(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
			     unsigned *events)
{
	int error = ECONNRESET;

	if (!in_window(tcb, seg) && MECHANISM(rst_window))
		return DROP_TCP_RST_OUT_OF_WINDOW;
	if (seg->seq != tcb->rcv_nxt && MECHANISM(rst_exact)) {
		challenge_ack(tcb, now, events);
		return DROP_TCP_RST_CHALLENGE;
	}
	if (tcb->state == TCPS_SYN_RCVD)
		error = tcb->passive ? ECONNRESET : ECONNREFUSED;
	else if (tcb->state == TCPS_CLOSING || tcb->state == TCPS_LAST_ACK)
		error = 0;
	else if (tcb->state == TCPS_CLOSE_WAIT && MECHANISM(rst_close_wait))
		error = EPIPE; /* as Linux: all was received, what is lost is the way out */
	counter_add(tcb->cfg->counters, C_TCP_RESET_IN, 1);
	connection_end(tcb, error, events);
	return DROP_NONE;
}

static void remember_timestamp(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	if (!tcb->ts_on)
		return;
	if (!seg->opt.has_ts) {
		counter_add(tcb->cfg->counters, C_TCP_TS_MISSING, 1);
		return;
	}
	/* RFC 7323 4.3 (2): only from the segment that the next ACK acknowledges first. */
	if ((seq_le(seg->seq, tcb->last_ack_sent) || !MECHANISM(ts_recent_rule)) &&
	    (seq_ge(seg->opt.ts_val, tcb->ts_recent) ||
	     time_s(now) - tcb->ts_recent_at >= TCP_PAWS_IDLE_S)) {
		tcb->ts_recent = seg->opt.ts_val;
		tcb->ts_recent_at = time_s(now);
	}
}

/*
 * The other side's SYN-ACK of a simultaneous open (RFC 9293 figure 8): its SYN was taken before, so
 * by its number it is a duplicate, but it brings the ACK that opens the connection.  That of a fast
 * open's SYN does not reach over its data, which nobody takes from crossing SYNs.
 */
static bool crossing_syn_ack(const struct tcb *tcb, const struct tcp_seg *seg)
{
	return tcb->state == TCPS_SYN_RCVD && !tcb->passive && (seg->flags & TCP_ACK) &&
	       seg->seq + 1 == tcb->rcv_nxt && seq_gt(seg->ack, tcb->iss) &&
	       seq_le(seg->ack, tcb->snd_max) && seg->len == 0;
}

/* A fast open's child has no record that answers the SYN again: the SYN-ACK was lost, or is late. */
static bool repeated_syn(const struct tcb *tcb, const struct tcp_seg *seg)
{
	return tcb->state == TCPS_SYN_RCVD && tcb->fo_passive && seg->seq == tcb->irs &&
	       !(seg->flags & TCP_ACK);
}

/* DROP_NONE: go on with the ACK field.  A RST that was taken closes the connection. */
enum drop acceptable(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	if (seg->flags & TCP_RST)
		return receive_rst(tcb, seg, now, events);
	if ((seg->flags & TCP_SYN) && ecn_is_torn(tcb, seg) && MECHANISM(accecn_torn)) {
		tcp_abort(tcb, ECONNABORTED, events);
		return DROP_TCP_FLAGS;
	}
	if ((seg->flags & TCP_SYN) && repeated_syn(tcb, seg)) {
		ecn_from_repeated(tcb, seg);
		tcb->rexmit_front = true;
		*events |= TCP_EV_OUTPUT;
		return DROP_TCP_SYN_DUP;
	}
	if (tcb->ts_on && paws_rejects(tcb, seg, now) && MECHANISM(paws)) {
		ack_unacceptable(tcb, seg, now, events);
		return DROP_TCP_PAWS;
	}
	if ((seg->flags & TCP_SYN) && crossing_syn_ack(tcb, seg) && MECHANISM(crossing_syn_ack)) {
		ecn_from_repeated(tcb, seg);
		seg->flags &= (uint8_t) ~(TCP_SYN | TCP_ECE | TCP_CWR); /* of the SYN */
		if (tcb->acc.on)
			accecn_no_news(tcb, seg);
		seg->seq++;
		if (tcb->wscale_on) /* a SYN's window is not scaled; rounded down, the next ACK mends it */
			seg->wnd = (uint16_t)(seg->wnd >> tcb->snd_wscale);
	}
	if ((seg->flags & TCP_SYN) && MECHANISM(syn_challenge)) {
		if (tcb->acc.on)
			accecn_syn_again(tcb, seg);
		/* RFC 5961 4.2: whatever the sequence number. */
		challenge_ack(tcb, now, events);
		return DROP_TCP_SYN_CHALLENGE;
	}
	if (!in_window(tcb, seg) && MECHANISM(sequence_check)) {
		bool old = seq_lt(seg->seq, tcb->rcv_nxt);

		ack_unacceptable(tcb, seg, now, events);
		return old ? DROP_TCP_OLD_DUP : DROP_TCP_OUT_OF_WINDOW;
	}
	if (!(seg->flags & TCP_ACK) && MECHANISM(ack_required))
		return DROP_TCP_NO_ACK;
	remember_timestamp(tcb, seg, now);
	return DROP_NONE;
}
