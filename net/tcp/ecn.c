/*
 * Explicit congestion notification (RFC 3168 6.1): who offers it in the handshake, what the receiver
 * tells of marked packets, and which segments may be marked.  Called by input, by output, and by the
 * half-open record's side.
 *
 * The sender's reaction belongs to loss recovery: 'ece_in' waits for it, and it asks for CWR on the next
 * new data with 'cwr_due'.  Data is sent as ECN-capable only when cfg->ecn_ect says that there is one.
 */
#include "net/tcp/parts.h"

enum { ECN_SETUP = TCP_ECE | TCP_CWR };

/* RFC 3168 6.1.1: an ECN-setup SYN has both flags. */
bool ecn_wanted_by(const struct tcp_cfg *cfg, const struct tcp_seg *syn)
{
	return cfg->ecn != TCP_ECN_OFF && (syn->flags & ECN_SETUP) == ECN_SETUP;
}

/*
 * The flags of our SYN, or of our SYN-ACK after a crossing SYN.  A SYN that has to be sent again goes
 * without: something on the path may not like it (RFC 3168 6.1.1.1).  Then there is no ECN on this
 * connection, whatever the other side says.
 */
unsigned ecn_syn_flags(struct tcb *tcb, bool reply, bool again)
{
	if (reply)
		return tcb->ecn_on ? TCP_ECE : 0;
	tcb->ecn_asked = !again && tcb->cfg->ecn == TCP_ECN_ON;
	return tcb->ecn_asked ? ECN_SETUP : 0;
}

/*
 * The peer's SYN or SYN-ACK in SYN-SENT.  A SYN-ACK with both flags comes from one who only throws
 * ours back (RFC 3168 6.1.1).
 */
void ecn_from_syn(struct tcb *tcb, const struct tcp_seg *seg)
{
	if (seg->flags & TCP_ACK)
		tcb->ecn_on = tcb->ecn_asked && (seg->flags & ECN_SETUP) == TCP_ECE;
	else
		tcb->ecn_on = tcb->ecn_asked && ecn_wanted_by(tcb->cfg, seg);
}

/*
 * A segment that was acceptable (6.1.5: marks on others count for nothing).  From a marked packet on
 * every ACK has ECE, until CWR says that the sender has heard (6.1.3).
 */
void ecn_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	if (!tcb->ecn_on)
		return;
	tcb->ecn_seen = tcb->ecn_seen || seg->ecn != IP_ECN_NOT_ECT;
	tcb->ece_in = tcb->ece_in || (seg->flags & TCP_ECE);
	if ((seg->flags & TCP_CWR) && seg->len > 0)
		tcb->ecn_echo = false;
	if (seg->ecn != IP_ECN_CE || seg->len == 0) /* a pure ACK is not to be marked (6.1.4) */
		return;
	counter_add(tcb->cfg->counters, C_TCP_ECN_CE_IN, 1);
	if (!tcb->ecn_echo) { /* the sender is to know soon */
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	}
	tcb->ecn_echo = true;
}

/* The flags of a segment with an ACK. */
unsigned ecn_ack_flags(const struct tcb *tcb)
{
	return tcb->ecn_echo ? TCP_ECE : 0;
}

/*
 * New data may be marked by routers, and says once that the window was reduced.  Not what is sent again
 * (6.1.5); window probes never come here (6.1.6).
 */
void ecn_mark_data(struct tcb *tcb, struct tcp_seg_out *out)
{
	if (!tcb->ecn_on || out->len == 0 || out->retransmit)
		return;
	out->is_ect = tcb->cfg->ecn_ect;
	if (tcb->cwr_due) {
		out->flags |= TCP_CWR;
		tcb->cwr_due = false;
	}
}
