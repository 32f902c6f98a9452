/*
 * SEGMENT ARRIVES (RFC 9293 3.10.7): a short driver in the RFC's order; the steps are in the files
 * it calls.  LISTEN, half-open connections and TIME-WAIT are records of their own (synrcvd.h,
 * timewait.h) and never come here.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* SYN-RECEIVED: the ACK of our SYN opens the connection (fifth step). */
static enum drop complete_handshake(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now,
				    unsigned *events)
{
	if ((!seq_gt(seg->ack, tcb->snd_una) || seq_gt(seg->ack, tcb->snd_max)) &&
	    MECHANISM(handshake_ack))
		return DROP_TCP_SYN_RCVD_ACK;
	rtt_handshake(tcb, seg, now);
	tcb->snd_una = tcb->iss + 1;
	fastopen_syn_acked(tcb, seg->ack); /* after a crossing SYN */
	if (seq_lt(tcb->snd_nxt, tcb->snd_una))
		tcb->snd_nxt = tcb->snd_una;
	tcb->rexmit_front = false;
	ack_set_window(tcb, seg);
	tcp_set_state(tcb, TCPS_ESTABLISHED);
	tcp_established(tcb, now, events);
	accecn_handshake_ack(tcb, seg);
	if (tcb->snd_una != tcb->snd_max) /* a fast open's child has sent data before */
		deadline_sent(tcb, now);
	return DROP_NONE;
}

static enum drop input_synchronized(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now,
				    unsigned *events)
{
	enum drop why;

	if (tcb->state == TCPS_ESTABLISHED)
		counter_add(tcb->cfg->counters, C_TCP_SLOW_PATH, 1);
	why = acceptable(tcb, seg, now, events);

	if (why != DROP_NONE || tcb->state == TCPS_CLOSED)
		return why;
	deadline_received(tcb, now);
	ecn_receive(tcb, seg, events);
	if (tcb->state == TCPS_SYN_RCVD) {
		why = complete_handshake(tcb, seg, now, events);
		if (why != DROP_NONE)
			return why;
	}
	why = ack_receive(tcb, seg, now, events);
	if (why != DROP_NONE || tcb->state == TCPS_CLOSED || tcb->state == TCPS_TIME_WAIT)
		return why;
	urgent_receive(tcb, seg, events); /* sixth step */
	return data_receive(tcb, seg, now, events);
}

enum drop tcp_input(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	WEFT_ASSERT((seg->len == 0) == (seg->buf == NULL));
	WEFT_ASSERT(!seg->buf || seg->buf->len == seg->len);
	tcb->segs_in++;
	if (!tcb->cfg->no_fast_path && input_fast(tcb, seg, now, events))
		return DROP_NONE;
	switch ((enum tcp_state)tcb->state) {
	case TCPS_CLOSED:
		return DROP_TCP_NO_CONN;
	case TCPS_TIME_WAIT:
		return DROP_TCP_TIME_WAIT;
	case TCPS_SYN_SENT:
		return input_synsent(tcb, seg, now, events);
	case TCPS_SYN_RCVD:
	case TCPS_ESTABLISHED:
	case TCPS_FIN_WAIT_1:
	case TCPS_FIN_WAIT_2:
	case TCPS_CLOSE_WAIT:
	case TCPS_CLOSING:
	case TCPS_LAST_ACK:
		return input_synchronized(tcb, seg, now, events);
	case TCPS_LISTEN:
	case TCPS_COUNT:
	default:
		WEFT_UNREACHABLE("a tcb in LISTEN");
	}
}
