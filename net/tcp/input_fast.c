/*
 * Header prediction (Van Jacobson): the two segments that make up nearly all of a healthy transfer
 * are the ACK of data in flight and data that is next in order.  For them most questions of
 * SEGMENT ARRIVES have one answer, known from a few comparisons; the work that is left is the slow
 * path's own (ack.c, data.c), in the same order.  Whatever looks unusual is left to the slow path.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* Nothing but ACK (and PSH), next in order, in a connection that has nothing to mend. */
static bool is_predicted(const struct tcb *tcb, const struct tcp_seg *seg)
{
	const unsigned asked = TCP_SYN | TCP_FIN | TCP_RST | TCP_URG | TCP_ACK;

	if ((seg->flags & asked) != TCP_ACK || seg->seq != tcb->rcv_nxt)
		return false;
	if (ecn_is_news(tcb, seg))
		return false;
	if ((tcb->in_recovery || tcb->rto_recovery || tcb->fin_known || tcb->keep_probes > 0) &&
	    MECHANISM(predict_recovery))
		return false;
	if (tcb->urg_state == TCP_URGENT_AWAITED && MECHANISM(predict_urgent))
		return false;
	if ((seg->ecn == IP_ECN_CE || (seg->ecn != IP_ECN_NOT_ECT && !tcb->ecn_seen)) &&
	    MECHANISM(predict_ecn))
		return false;
	/* An ACK below or above what is in flight. */
	if (seg->ack - tcb->snd_una > tcp_flight(tcb) && MECHANISM(predict_ack))
		return false;
	/* No ACK that may be a duplicate; no data that leaves a hole or has no room. */
	if ((seg->len == 0 ? seg->ack == tcb->snd_una
			   : tcb->reass || seq_gt(seg->seq + seg->len, tcb->rcv_adv)) &&
	    MECHANISM(predict_dup))
		return false;
	return !tcb->ts_on || (seg->opt.has_ts && seq_ge(seg->opt.ts_val, tcb->ts_recent)) ||
	       !MECHANISM(predict_ts);
}

/* Does all that the segment asks for; false: nothing was done, the slow path has to. */
bool input_fast(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	if (tcb->state != TCPS_ESTABLISHED || !is_predicted(tcb, seg) || seg->opt.sack_count > 0 ||
	    !MECHANISM(predict))
		return false;
	if (tcb->ts_on && seq_le(seg->seq, tcb->last_ack_sent)) { /* RFC 7323 4.3 (2) */
		tcb->ts_recent = seg->opt.ts_val;
		tcb->ts_recent_at = time_s(now);
	}
	tcb->last_rcv = now;
	ack_update_window(tcb, seg, events);
	if (seg->ack != tcb->snd_una)
		ack_advance(tcb, seg, now, events);
	if (seg->len > 0) {
		data_in_order(tcb, seg, now, events);
		if (tcb->ack_now)
			*events |= TCP_EV_OUTPUT;
	}
	return true;
}
