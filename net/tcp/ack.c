/*
 * The ACK field (RFC 9293 3.10.7.4 fifth step): what the peer has, its window, and the state changes
 * that the ACK of our FIN brings.
 */
#include "net/tcp/parts.h"

static uint32_t scaled_window(const struct tcb *tcb, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_SYN)
		return seg->wnd;
	return (uint32_t)seg->wnd << (tcb->wscale_on ? tcb->snd_wscale : 0);
}

/* Takes the segment's window without asking how old it is. */
void ack_set_window(struct tcb *tcb, const struct tcp_seg *seg)
{
	tcb->snd_wnd = scaled_window(tcb, seg);
	tcb->snd_wl1 = seg->seq;
	tcb->snd_wl2 = seg->ack;
	if (tcb->snd_wnd > tcb->max_snd_wnd)
		tcb->max_snd_wnd = tcb->snd_wnd;
}

/* EV-ACK-5: only from a segment that is not older than the one the window came from. */
void ack_update_window(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	uint32_t old = tcb->snd_wnd;

	if (!seq_lt(tcb->snd_wl1, seg->seq) &&
	    !(tcb->snd_wl1 == seg->seq && seq_le(tcb->snd_wl2, seg->ack)))
		return;
	ack_set_window(tcb, seg);
	if (old == 0 && tcb->snd_wnd > 0 && tcb->t_persist != WEFT_TIME_NEVER)
		tcb->backoff = 0;
	if (tcb->snd_wnd != old)
		*events |= TCP_EV_OUTPUT;
}

/* RFC 5681 2, and its SACK variant: new information about data above snd_una. */
static bool is_duplicate(const struct tcb *tcb, const struct tcp_seg *seg)
{
	bool sack_news = tcb->sack_on && seg->opt.sack_count > 0 &&
			 seq_gt(seg->opt.sack[0].start, tcb->snd_una) &&
			 seq_le(seg->opt.sack[0].end, tcb->snd_max);

	if (seg->ack != tcb->snd_una || tcb->snd_una == tcb->snd_max)
		return false;
	if (tcb->snd_nxt == tcb->snd_una)
		return false; /* a zero-window probe is all that is out */
	if (seg->len > 0 || (seg->flags & (TCP_SYN | TCP_FIN)))
		return false;
	return sack_news || scaled_window(tcb, seg) == tcb->snd_wnd;
}

/* The ACK covers new data. */
void ack_advance(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	uint32_t acked = seg->ack - tcb->snd_una;
	bool later_partial = tcb->in_recovery && tcb->partial_seen;

	tcb->bytes_acked += acked;
	rtt_ack(tcb, seg, now);
	tcb->snd_una = seg->ack;
	if (seq_lt(tcb->snd_nxt, tcb->snd_una))
		tcb->snd_nxt = tcb->snd_una;
	sendq_acked(tcb);
	mtu_new_ack(tcb, now);
	loss_new_ack(tcb, acked, now, events);
	if (tcb->snd_auto)
		autotune_acked(tcb, acked);
	if (!tcb->in_recovery)
		later_partial = false;
	deadline_acked(tcb, later_partial, now);
	*events |= TCP_EV_WRITABLE | TCP_EV_OUTPUT;
}

static void fin_acked(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	if (tcb->state == TCPS_FIN_WAIT_1) {
		tcp_set_state(tcb, TCPS_FIN_WAIT_2);
		if (tcb->app_closed)
			deadline_orphaned(tcb, now);
	} else if (tcb->state == TCPS_CLOSING) {
		connection_time_wait(tcb, events);
	} else if (tcb->state == TCPS_LAST_ACK) {
		connection_end(tcb, 0, events);
	}
}

enum drop ack_receive(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
		      unsigned *events)
{
	if (seq_gt(seg->ack, tcb->snd_max) || seq_lt(seg->ack, tcb->snd_una - tcb->max_snd_wnd)) {
		challenge_ack(tcb, now, events); /* EV-ACK-4, RFC 5961 5 */
		return DROP_TCP_ACK_INVALID;
	}
	bool duplicate = is_duplicate(tcb, seg);
	if (seq_ge(seg->ack, tcb->snd_una))
		ack_update_window(tcb, seg, events);
	if (seq_gt(seg->ack, tcb->snd_una)) {
		ack_advance(tcb, seg, now, events);
		if (tcb->fin_sent && tcb->snd_una == sendq_fin_seq(tcb) + 1)
			fin_acked(tcb, now, events);
	} else if (duplicate) {
		loss_dup_ack(tcb, now, events);
	}
	return DROP_NONE;
}
