/* SEGMENT ARRIVES in SYN-SENT (RFC 9293 3.10.7.3): our SYN's answer, a refusal, or a crossing SYN. */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <errno.h>

static void learn_peer(struct tcb *tcb, const struct tcp_seg *seg, bool ack_ok, weft_time_us now)
{
	tcb->irs = seg->seq;
	tcb->rcv_nxt = seg->seq + 1;
	tcb->rcv_up = tcb->rcv_nxt;
	tcb->last_ack_sent = tcb->rcv_nxt;
	tcb->rcv_adv =
		tcb->rcv_nxt + (tcb->rcv_buf_size < UINT16_MAX ? tcb->rcv_buf_size : UINT16_MAX);
	tcb->last_rcv = now;
	ecn_from_syn(tcb, seg, ack_ok);
	options_from_syn(tcb, &seg->opt, now);
}

static enum drop receive_rst(struct tcb *tcb, bool ack_ok, unsigned *events)
{
	if (!ack_ok && MECHANISM(synsent_rst))
		return DROP_TCP_RST_OUT_OF_WINDOW;
	counter_add(tcb->cfg->counters, C_TCP_RESET_IN, 1);
	connection_end(tcb, ECONNREFUSED, events);
	return DROP_NONE;
}

static void receive_syn_ack(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now,
			    unsigned *events)
{
	rtt_handshake(tcb, seg, now);
	tcb->snd_una = seg->ack;
	fastopen_syn_acked(tcb, seg->ack);
	if (tcb->fo_ask)
		*events |= TCP_EV_FAST_OPEN;
	tcb->rexmit_front = false;
	ack_set_window(tcb, seg);
	tcp_set_state(tcb, TCPS_ESTABLISHED);
	tcb->ack_now = true;
	tcp_established(tcb, now, events);
	if (tcb->acc.on)
		accecn_syn_answered(tcb, seg);
	*events |= TCP_EV_OUTPUT;
}

/* RFC 9293 figure 8: both sides called; we answer with our SYN and its ACK. */
static void receive_crossing_syn(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	ack_set_window(tcb, seg);
	tcp_set_state(tcb, TCPS_SYN_RCVD);
	tcb->rexmit_front = true;
	*events |= TCP_EV_OUTPUT;
}

enum drop input_synsent(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	bool ack_ok = false;

	if (seg->flags & TCP_ACK) {
		ack_ok = seq_gt(seg->ack, tcb->iss) && seq_le(seg->ack, tcb->snd_max);
		if (!ack_ok && MECHANISM(synsent_ack))
			return seg->flags & TCP_RST ? DROP_TCP_RST_OUT_OF_WINDOW
						    : DROP_TCP_SYN_SENT_ACK;
	}
	if (seg->flags & TCP_RST)
		return receive_rst(tcb, ack_ok, events);
	if (!(seg->flags & TCP_SYN))
		return DROP_TCP_FLAGS;
	learn_peer(tcb, seg, ack_ok, now);
	if (!ack_ok) {
		receive_crossing_syn(tcb, seg, events);
		return DROP_NONE; /* data that came along will be sent again */
	}
	receive_syn_ack(tcb, seg, now, events);
	if (seg->len == 0 && !(seg->flags & TCP_FIN))
		return DROP_NONE;
	seg->seq++; /* text and FIN stand behind the SYN */
	return data_receive(tcb, seg, now, events);
}
