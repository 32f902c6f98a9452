/* Answers to segments without a connection (RFC 9293 3.10.7.1, 3.10.7.2), and what ICMP may do. */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <stddef.h>
#include <string.h>

bool tcp_reset_for(const struct tcp_seg *seg, struct tcp_seg_out *out)
{
	if ((seg->flags & TCP_RST) && MECHANISM(reset_no_reset))
		return false;
	memset(out, 0, offsetof(struct tcp_seg_out, view));
	if (seg->flags & TCP_ACK) {
		out->seq = seg->ack;
		out->flags = TCP_RST;
	} else {
		out->ack = seg->seq + seg->len + ((seg->flags & TCP_SYN) != 0) +
			   ((seg->flags & TCP_FIN) != 0);
		out->flags = TCP_RST | TCP_ACK;
	}
	if (seg->opt.has_ts &&
	    MECHANISM(reset_timestamps)) { /* RFC 7323 5.2: we have no clock for it */
		out->opt.has_ts = true;
		out->opt.ts_ecr = seg->opt.ts_val;
	}
	return true;
}

enum tcp_listen_verdict tcp_listen_input(const struct tcp_seg *seg, enum drop *why)
{
	if (seg->flags & TCP_RST) {
		*why = DROP_TCP_LISTEN_RST;
		return TCP_LISTEN_DROP;
	}
	if ((seg->flags & TCP_ACK) && MECHANISM(listen_ack)) {
		*why = DROP_TCP_LISTEN_ACK;
		return TCP_LISTEN_RESET;
	}
	if (!(seg->flags & TCP_SYN)) {
		*why = DROP_TCP_LISTEN_FLAGS;
		return TCP_LISTEN_DROP;
	}
	if (seg->flags & TCP_FIN) {
		*why = DROP_TCP_FLAGS;
		return TCP_LISTEN_DROP;
	}
	*why = DROP_NONE;
	return TCP_LISTEN_SYN;
}

enum drop tcp_icmp_error(struct tcb *tcb, uint32_t seq, int error, bool hard, unsigned *events)
{
	if (tcb->state == TCPS_CLOSED || tcb->state == TCPS_TIME_WAIT)
		return DROP_ICMP_NO_CONN;
	/* RFC 5927 4.1: it must quote something in flight. */
	if ((seq_lt(seq, tcb->snd_una) || seq_ge(seq, tcb->snd_max)) && MECHANISM(icmp_in_flight))
		return DROP_ICMP_SEQ;
	bool opens = tcb->state == TCPS_SYN_SENT || (tcb->state == TCPS_SYN_RCVD && !tcb->passive);

	if (hard && (opens || !MECHANISM(icmp_soft)))
		connection_end(tcb, error, events);
	else
		tcb->soft_error = (uint8_t)error;
	return DROP_NONE;
}
