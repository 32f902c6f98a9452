/*
 * What to send now (RFC 9293 3.8.6.2.1, 3.7.4, 3.10.2).  tcp_output is called by the emitter until it
 * returns false; each call gives one segment, up to 64 KiB, in this order: RST, SYN, the first run
 * after a timeout, other lost runs, a probe, new data with the FIN, a keepalive probe, a bare ACK.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <stddef.h>
#include <string.h>

/* Header values that every segment of a connection shares. */
static void fill(struct tcb *tcb, uint32_t seq, unsigned flags, struct tcp_seg_out *out)
{
	memset(out, 0, offsetof(struct tcp_seg_out, view));
	out->seq = seq;
	out->ack = flags & TCP_ACK ? tcb->rcv_nxt : 0;
	out->flags = (uint8_t)flags;
	out->mss = tcb->mss;
	tcb->segs_out++;
}

/* An ACK leaves with the segment: nothing is owed any more. */
static void fill_acking(struct tcb *tcb, weft_time_us now, uint32_t seq, unsigned flags,
			struct tcp_seg_out *out)
{
	fill(tcb, seq, flags | TCP_ACK, out);
	ecn_fill_ack(tcb, out);
	options_for_segment(tcb, now, &out->opt);
	out->wnd = window_announce(tcb);
	if (tcb->urg_out)
		urgent_fill(tcb, out);
	tcb->last_ack_sent = tcb->rcv_nxt;
	tcb->ack_now = false;
	tcb->delack_bytes = 0;
	deadline_ack_sent(tcb);
}

static bool output_rst(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	tcb->rst_pending = false;
	fill(tcb, tcb->snd_max, TCP_RST | TCP_ACK, out);
	if (tcb->ts_on)
		options_for_segment(tcb, now, &out->opt);
	out->opt.sack_count = 0;
	counter_add(tcb->cfg->counters, C_TCP_RESET_OUT, 1);
	return true;
}

/* SYN, or SYN-ACK after a crossing SYN. */
static bool output_syn(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	bool reply = tcb->state == TCPS_SYN_RCVD;
	bool again = tcb->snd_max != tcb->iss;

	/* A fast open's child acknowledges by itself what it was sent. */
	if (again && !tcb->rexmit_front && !(reply && tcb->ack_now && !tcb->fo_passive))
		return false;
	fill(tcb, tcb->iss, reply ? TCP_SYN | TCP_ACK : TCP_SYN, out);
	ecn_fill_syn(tcb, reply, again, out);
	options_for_syn(tcb, reply, now, &out->opt);
	uint32_t room =
		tcb->rcv_buf_size > tcb->rcvq.bytes ? tcb->rcv_buf_size - tcb->rcvq.bytes : 0;
	out->wnd = (uint16_t)(room < UINT16_MAX ? room : UINT16_MAX);
	if (reply) {
		tcb->rcv_adv = seq_max(tcb->rcv_adv, tcb->rcv_nxt + out->wnd);
		tcb->last_ack_sent = tcb->rcv_nxt;
	}
	out->retransmit = again;
	tcb->rexmit_front = false;
	tcb->ack_now = false;
	if (again) {
		tcb->rtt_timing = tcb->rtt_timing && !MECHANISM(karn_syn);
		tcb->retrans_total++;
	} else {
		tcb->snd_nxt = tcb->iss + 1;
		tcb->snd_max = tcb->iss + 1;
		fastopen_fill_syn(tcb, out);
		rtt_start(tcb, now);
	}
	deadline_sent(tcb, now);
	return true;
}

/*
 * Attaches the payload from 'seq' on; returns how much: at most 'len', less when the views do not
 * suffice, or when SACK blocks take room and pieces would no longer be full.
 */
static uint32_t attach(struct tcb *tcb, uint32_t seq, uint32_t len, struct tcp_seg_out *out)
{
	uint32_t take = len;

	if (out->opt.sack_count > 0 && MECHANISM(sack_room)) {
		out->mss = (uint16_t)(tcb->mss - (4 + 8 * out->opt.sack_count));
		WEFT_ASSERT(out->mss > 0); /* TCP_MSS_MIN leaves room for all options */
		if (take > out->mss)
			take -= take % out->mss;
	}
	out->view_count = (uint8_t)sendq_views(tcb, seq, &take, out->view);
	if (take < len && take > out->mss && take % out->mss != 0) {
		take -= take % out->mss;
		out->view_count = (uint8_t)sendq_views(tcb, seq, &take, out->view);
	}
	return take;
}

/*
 * Data goes out while what came is not older than an ACK may wait: the ACK rides on it, or would have, as on
 * Linux, where it went before.
 */
static void note_answer(struct tcb *tcb, weft_time_us now)
{
	bool is_answer = tcb->asked && now - tcb->last_rcv < tcb->cfg->delack;

	tcb->asked = false;
	if (!is_answer)
		return;
	tcb->quick_acks = 0; /* it may wait for the next one */
	tcb->pingpong = MECHANISM(pingpong);
}

/* Data or FIN from 'seq' on; less than 'len' may go, see attach. */
static void emit(struct tcb *tcb, weft_time_us now, uint32_t seq, uint32_t len, bool fin,
		 struct tcp_seg_out *out)
{
	uint32_t wanted = len;
	unsigned flags = 0;

	if (len > 0)
		note_answer(tcb, now);
	fill_acking(tcb, now, seq, 0, out);
	len = attach(tcb, seq, len, out);
	fin = fin && len == wanted;
	if (len > 0 && seq + len == tcb->snd_end && !tcb->more && MECHANISM(push))
		flags |= TCP_PSH;
	if (fin)
		flags |= TCP_FIN;
	out->flags |= (uint8_t)flags;
	out->len = len;
	out->retransmit = seq_lt(seq, tcb->snd_nxt);
	tcb->fin_sent = tcb->fin_sent || fin;
	tcb->bytes_sent += len;
	if (len > 0)
		pacing_sent(tcb, len, now);
	tcb->last_snd = now;
	counter_add(tcb->cfg->counters, C_TCP_DATA_OUT, len);
	uint32_t end = seq + len + fin;

	tcb->snd_max = seq_max(tcb->snd_max, end);
	if (out->retransmit) {
		tcb->retrans_total++;
		tcb->bytes_retrans += len;
		counter_add(tcb->cfg->counters, C_TCP_RETRANS, 1);
		undo_resent(tcb, end - seq, end, &out->opt);
	}
	mtu_track(tcb, seq, len);
	if (tcb->in_recovery || (tcb->sb && tcb->sb->in_cwr))
		tcb->sb->prr_out += end - seq;
}

/* [seq, end), which was sent before, leaves again, or as much of it as one segment takes. */
static void resend(struct tcb *tcb, weft_time_us now, uint32_t seq, uint32_t end,
		   struct tcp_seg_out *out)
{
	bool fin = tcb->fin_sent && end == tcb->snd_end + 1;

	emit(tcb, now, seq, end - seq - fin, fin, out);
	sb_resent(tcb, seq, seq + out->len + (out->flags & TCP_FIN ? 1 : 0), now);
	deadline_sent(tcb, now);
	if (tcb->in_recovery && tcb->sack_on && seq == tcb->snd_una)
		deadline_front_resent(tcb, now);
}

/* The oldest unacknowledged segment, whatever the windows say (fast retransmit, timeout). */
static bool output_front(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	const struct sent *first = sb_first(tcb);

	tcb->rexmit_front = false;
	if (!first || first->flags & SB_SACKED)
		return false;
	uint32_t len = sb_waiting_len(tcb, first, tcb->mss);
	uint32_t end = first->seq + (len < tcb->mss ? len : tcb->mss); /* a FIN may be left */

	if (end - first->seq > tcb->snd_wnd && end != first->seq + 1 &&
	    MECHANISM(rexmit_shrunk_window)) {
		/* The peer took its window back: no more than a probe. */
		end = first->seq + (tcb->snd_wnd > 0 ? tcb->snd_wnd : 1);
	}
	resend(tcb, now, first->seq, end, out);
	return true;
}

/* How much of 'len' bytes leaves room for, in whole segments; 0: not even one. */
static uint32_t whole_segments(const struct tcb *tcb, uint32_t len, uint32_t room)
{
	if (len <= room)
		return len;
	return room - room % tcb->mss;
}

/*
 * cwnd counts bytes, and a segment's worth of them may be a thousand packets of one.  After a timeout
 * the loss window is one packet (RFC 5681 3.1), whatever its size, and slow start goes on from there.
 */
static bool packets_hold(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;

	return tcb->rto_recovery && sb && sb->flying > 0 && sb->flying >= sb->rto_packets &&
	       MECHANISM(rto_packets);
}

/* What is marked lost, as far as cwnd and the peer's window allow (RFC 6675 5 (C), RFC 8985 9.3). */
static bool output_lost(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	const struct sent *r = sb_waiting(tcb);
	uint32_t pipe = sb_pipe(tcb);

	if (!r || tcb->sb->frto_new || packets_hold(tcb))
		return false;
	uint32_t quantum = pacing_quantum(tcb, now);
	uint32_t most = quantum - quantum % tcb->mss;
	uint32_t wnd = tcb->snd_una + tcb->snd_wnd - r->seq;

	if (tcb->cc.cwnd <= pipe || r->seq - tcb->snd_una >= tcb->snd_wnd || pacing_holds(tcb, now))
		return false;
	uint32_t room = tcb->cc.cwnd - pipe;
	uint32_t len = sb_waiting_len(tcb, r, room < tcb->mss ? room : tcb->mss);

	len = urgent_cut(tcb, r->seq, len < most ? len : most);
	len = whole_segments(tcb, len, room);
	len = len < wnd ? len : wnd;
	if (len == 0)
		return false;
	resend(tcb, now, r->seq, r->seq + len, out);
	return true;
}

/* A tail loss probe: a new segment, else the end of what is in flight (RFC 8985 7.3). */
static bool output_tail(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	const struct sent *last = sb_last(tcb);
	uint32_t flight = tcb->snd_nxt - tcb->snd_una;
	uint32_t queued = seq_lt(tcb->snd_nxt, tcb->snd_end) ? tcb->snd_end - tcb->snd_nxt : 0;
	uint32_t len = queued < tcb->mss ? queued : tcb->mss;

	tcb->tlp_due = false;
	if (!tlp_may_probe(tcb))
		return false;
	if (len > 0 && tcb->snd_wnd >= flight + len) {
		emit(tcb, now, tcb->snd_nxt, len, false, out);
		sb_sent(tcb, tcb->snd_nxt, tcb->snd_nxt + out->len, now);
		tcb->snd_nxt += out->len;
		tlp_sent(tcb, false);
		deadline_sent(tcb, now);
	} else {
		uint32_t begin =
			last->end - last->seq > tcb->mss ? last->end - tcb->mss : last->seq;

		tlp_sent(tcb, true);
		resend(tcb, now, begin, last->end, out);
	}
	deadline_probed(tcb, now);
	return true;
}

/* One byte (or the FIN) beyond a closed window (RFC 9293 3.8.6.1); snd_nxt stays. */
static void output_probe(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	bool data = seq_lt(tcb->snd_nxt, tcb->snd_end);

	tcb->probe_due = false;
	cwv_restart(tcb, now); /* it is no use of cwnd */
	emit(tcb, now, tcb->snd_nxt, data ? 1 : 0, !data, out);
	counter_add(tcb->cfg->counters, C_TCP_ZERO_WND_PROBE, 1);
}

/*
 * A send buffer that is full, and too small for a second segment: the application can add nothing to what is
 * left before an ACK makes room, which the peer may delay for the want of just that.
 */
static bool is_choked(const struct tcb *tcb)
{
	return tcb->sndq.bytes >= tcb->snd_buf_size && tcb->snd_buf_size < 2u * tcb->mss &&
	       MECHANISM(nagle_full_buffer);
}

/* How much of 'len' queued bytes the windows let through, whole segments first. */
static uint32_t silly_window_avoidance(const struct tcb *tcb, uint32_t queued, uint32_t len)
{
	uint32_t una = tcb->state == TCPS_SYN_RCVD ? tcb->iss + 1 : tcb->snd_una; /* no data */
	bool idle = tcb->snd_nxt == una;
	bool tail_free = tcb->nodelay || idle || (tcb->fin_queued && MECHANISM(nagle_fin)) ||
			 (tcb->urg_out && MECHANISM(nagle_urgent)) || !MECHANISM(nagle);

	tail_free = (tail_free && !(tcp_is_corked(tcb) && MECHANISM(cork))) || is_choked(tcb);

	WEFT_ASSERT(tcb->mss > 0);

	if (len == queued && tail_free)
		return len; /* all there is, and Nagle has nothing against it */
	if (len >= tcb->mss)
		return len - len % tcb->mss;
	if (tcb->sws_override && MECHANISM(sws_override))
		return len;
	if (len == queued)
		return 0; /* Nagle (RFC 9293 3.7.4) */
	return (len >= tcb->max_snd_wnd / 2 && MECHANISM(sws_half_window)) || !MECHANISM(sws_sender)
		       ? len
		       : 0;
}

/* What the peer's window and cwnd leave from snd_nxt on. */
static uint32_t usable(const struct tcb *tcb, uint32_t window)
{
	uint32_t used = tcb->snd_nxt - tcb->snd_una;

	return window > used ? window - used : 0;
}

/*
 * Limited transmit (RFC 3042): the first two duplicate ACKs say that segments have left the network,
 * so new ones may go, which cwnd does not hear of.  With SACK the scoreboard says so anyway.
 */
static uint32_t limited_transmit(const struct tcb *tcb)
{
	if (tcb->sack_on || tcb->dupacks >= TCP_DUP_THRESH || tcb->rto_recovery ||
	    !MECHANISM(limited_transmit))
		return 0;
	return tcb->dupacks * (uint32_t)tcb->mss;
}

/* A probe of a closed window that the peer has not taken is nothing in flight. */
static void restart_after_idle(struct tcb *tcb, weft_time_us now)
{
	if (tcb->snd_una != tcb->snd_nxt || tcb->last_snd == 0 || now <= tcb->last_snd)
		return;
	if (tcb->cc.ops->on_idle)
		tcb->cc.ops->on_idle(&tcb->cc, now - tcb->last_snd, now);
	cwv_restart(tcb, now);
}

/*
 * Whether all that is queued, less than a full super-segment, may wait for more from the application
 * or for the next ACK: one is near, as much is in flight on a short path.  Each super-segment costs
 * much the same whatever its size, and may wake the receiver.
 */
static bool may_defer(const struct tcb *tcb, uint32_t len)
{
	if (len + tcb->mss > tcb->cfg->gso_max || tcb->srtt == 0 || tcb->srtt >= TCP_CORK_SRTT)
		return false;
	if (tcb->fin_queued || tcb->ack_now || tcb->sws_override || tcb->in_recovery ||
	    tcb->rto_recovery || tcb->urg_out || is_choked(tcb))
		return false;
	return tcb->snd_nxt - tcb->snd_una >= TCP_DEFER_FLIGHT;
}

/* A segment larger than the others, to learn whether the path takes it (RFC 4821 7). */
static bool output_mtu_probe(struct tcb *tcb, weft_time_us now, uint32_t len,
			     struct tcp_seg_out *out)
{
	uint16_t mss = tcb->mss;
	/* Without data no records: an idle connection has none. */
	uint16_t probe = len > mss && sb_ready(tcb) ? mtu_probe_mss(tcb, len, now) : 0;

	if (probe == 0)
		return false;
	tcb->mss = probe;
	emit(tcb, now, tcb->snd_nxt, probe, false, out);
	tcb->mss = mss;
	if (out->len != probe) { /* small buffers, or a D-SACK: segments like others */
		out->mss = (uint16_t)(out->mss - (probe - mss));
		tcb->mtu_state = TCP_MTU_PROVED;
	}
	sb_sent(tcb, tcb->snd_nxt, tcb->snd_nxt + out->len, now);
	tcb->snd_nxt += out->len;
	deadline_sent(tcb, now);
	return true;
}

static bool output_data(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	uint32_t queued = seq_lt(tcb->snd_nxt, tcb->snd_end) ? tcb->snd_end - tcb->snd_nxt : 0;
	uint32_t peer = usable(tcb, tcb->snd_wnd);

	if (queued > 0)
		restart_after_idle(tcb, now);
	uint32_t pipe = sb_pipe(tcb);
	uint32_t cwnd = tcb->cc.cwnd + limited_transmit(tcb);
	uint32_t own = cwnd > pipe ? cwnd - pipe : 0;

	if (!MECHANISM(congestion_window))
		own = peer;
	uint32_t len = peer < own && MECHANISM(peer_window) ? peer : own;
	len = len < queued ? len : queued;
	if (len > 0 && (packets_hold(tcb) || pacing_holds(tcb, now)))
		return false;
	if (tcb->mtu_search && output_mtu_probe(tcb, now, len, out))
		return true;
	uint32_t quantum = pacing_quantum(tcb, now);
	len = urgent_cut(tcb, tcb->snd_nxt, len < quantum ? len : quantum);
	len = silly_window_avoidance(tcb, queued, len);
	if (len > 0 && len == queued && may_defer(tcb, len) && MECHANISM(defer))
		return false;
	/* The FIN needs a place in the peer's window, none in cwnd. */
	bool fin = tcb->fin_queued && len == queued && (peer > len || !MECHANISM(fin_window)) &&
		   seq_le(tcb->snd_nxt, tcb->snd_end);
	if ((len == 0 && !fin) || !sb_ready(tcb))
		return false;
	emit(tcb, now, tcb->snd_nxt, len, fin, out);
	ecn_mark_data(tcb, out);
	uint32_t end = tcb->snd_nxt + out->len + (out->flags & TCP_FIN ? 1 : 0);

	sb_sent(tcb, tcb->snd_nxt, end, now);
	tcb->snd_nxt = end;
	tcb->sws_override = false;
	deadline_sent(tcb, now);
	return true;
}

/* RFC 9293 3.8.4: no data, one below what comes next (SHLD-12). */
static void output_keepalive(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	tcb->keep_due = false;
	fill_acking(tcb, now, tcb->snd_max - MECHANISM(keepalive_old_seq), 0, out);
	counter_add(tcb->cfg->counters, C_TCP_KEEPALIVE_PROBE, 1);
}

/* Nothing (more) goes out: is that because a window is closed, and which one? */
static void output_ends(struct tcb *tcb, weft_time_us now)
{
	bool waiting = seq_lt(tcb->snd_nxt, tcb->snd_end) ||
		       (tcb->fin_queued && seq_le(tcb->snd_nxt, tcb->snd_end));
	uint32_t pipe = sb_pipe(tcb);
	const struct tcp_cc *cc = &tcb->cc;

	deadline_blocked(tcb, waiting && tcb->snd_nxt == tcb->snd_una && !tcb->pace_held, now);
	tcb->cwnd_limited = cc->cwnd < cc->ssthresh && MECHANISM(slow_start_half)
				    ? pipe >= cc->cwnd / 2
				    : pipe + cc->mss > cc->cwnd;
	if (tcb->sb)
		tcb->sb->peer_limited = waiting && pipe + cc->mss <= cc->cwnd &&
					usable(tcb, tcb->snd_wnd) < tcb->mss;
	if (pipe + cc->mss > cc->cwnd && !tcb->pace_held)
		tcb->spread = false; /* the window is in use */
	if (!tcb->pace_held)
		tcb->pace_late = false; /* something else is what holds */
	if (!MECHANISM(cwnd_validation))
		tcb->cwnd_limited = true;
	if (!waiting && !tcb->cwnd_limited && !sb_waiting(tcb) && MECHANISM(app_limited))
		rate_app_limited(tcb);
}

/*
 * In front of all data: a bare ACK that tells of the SYN-ACK (RFC 9768 3.2.2.1).  It acknowledges no data, so
 * that who had another before takes it for old (3.2.2.2), and its code for no count.
 */
static void output_handshake_ack(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	if (tcb->rcv_nxt == tcb->irs + 1 || !MECHANISM(accecn_shake_old)) {
		fill_acking(tcb, now, tcb->snd_max, 0, out);
	} else {
		fill(tcb, tcb->snd_max, TCP_ACK, out);
		options_for_segment(tcb, now, &out->opt);
		out->ack = tcb->irs + 1;
		uint32_t wnd = (tcb->rcv_adv - out->ack) >> tcb->rcv_wscale;

		out->wnd = (uint16_t)(wnd < UINT16_MAX ? wnd : UINT16_MAX);
	}
	out->opt.sack_count = 0;
	accecn_fill_handshake(tcb, out);
}

static bool output_synchronized(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	if (tcb->acc.shake) {
		output_handshake_ack(tcb, now, out);
		return true;
	}
	if (tcb->rexmit_front && output_front(tcb, now, out))
		return true;
	if (output_lost(tcb, now, out) || (tcb->tlp_due && output_tail(tcb, now, out)))
		return true;
	if (tcb->probe_due) {
		output_probe(tcb, now, out);
		return true;
	}
	if (output_data(tcb, now, out))
		return true;
	output_ends(tcb, now);
	if (tcb->keep_due) {
		output_keepalive(tcb, now, out);
		return true;
	}
	if (!tcb->ack_now)
		return false;
	fill_acking(tcb, now, tcb->snd_max, 0, out);
	return true;
}

bool tcp_output(struct tcb *tcb, weft_time_us now, struct tcp_seg_out *out)
{
	if (tcb->rst_pending)
		return output_rst(tcb, now, out);
	switch ((enum tcp_state)tcb->state) {
	case TCPS_SYN_SENT:
		return output_syn(tcb, now, out);
	case TCPS_SYN_RCVD:
		return output_syn(tcb, now, out) ||
		       (tcb->fo_passive && output_synchronized(tcb, now, out));
	case TCPS_ESTABLISHED:
	case TCPS_FIN_WAIT_1:
	case TCPS_FIN_WAIT_2:
	case TCPS_CLOSE_WAIT:
	case TCPS_CLOSING:
	case TCPS_LAST_ACK:
		return output_synchronized(tcb, now, out);
	case TCPS_TIME_WAIT:
		if (!tcb->ack_now)
			return false;
		fill_acking(tcb, now, tcb->snd_max, 0, out);
		return true;
	case TCPS_CLOSED:
	case TCPS_LISTEN:
	case TCPS_COUNT:
	default:
		return false;
	}
}
