/*
 * Loss detection and recovery: duplicate ACKs, fast retransmit, NewReno's fast recovery (RFC 5681
 * 3.2, RFC 6582) and the retransmission timeout (RFC 6298 5.4-5.7).  Says to tcp_output what to send
 * again (rexmit_front, snd_nxt) and to the congestion controller what happened.
 */
#include "net/tcp/parts.h"

void loss_init(struct tcb *tcb)
{
	tcb->recover = tcb->iss;
	tcb->dupacks = 0;
	tcb->in_recovery = false;
	tcb->rto_recovery = false;
}

static void enter_recovery(struct tcb *tcb, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;

	if (mtu_probe_lost(tcb, now))
		cc->ssthresh = cc->cwnd; /* too large, not too many (RFC 4821 7.6.2) */
	else
		tcp_cc_congestion(cc, tcp_flight(tcb), TCP_CC_LOSS, now);
	cc->cwnd = cc->ssthresh + TCP_DUP_THRESH * cc->mss;
	tcb->recover = tcb->snd_max - 1;
	tcb->in_recovery = true;
	tcb->partial_seen = false;
	tcb->rexmit_front = true;
	tcb->rtt_timing = false;
	counter_add(tcb->cfg->counters, C_TCP_FAST_RETRANS, 1);
}

void loss_dup_ack(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	struct tcp_cc *cc = &tcb->cc;

	counter_add(tcb->cfg->counters, C_TCP_DUP_ACK_IN, 1);
	if (tcb->dupacks < UINT8_MAX)
		tcb->dupacks++;
	if (tcb->in_recovery) {
		/* Inflation, bounded by what is outstanding (RFC 5681 3.2: spoofed duplicates). */
		if (cc->cwnd < cc->ssthresh + tcp_flight(tcb))
			cc->cwnd += cc->mss;
		*events |= TCP_EV_OUTPUT;
	} else if (tcb->dupacks == TCP_DUP_THRESH && seq_gt(tcb->snd_una, tcb->recover)) {
		enter_recovery(tcb, now);
		*events |= TCP_EV_OUTPUT;
	}
}

static void leave_recovery(struct tcb *tcb, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;
	uint32_t flight = tcp_flight(tcb);
	uint32_t burst = (flight > cc->mss ? flight : cc->mss) + cc->mss;

	cc->cwnd = cc->ssthresh < burst ? cc->ssthresh : burst;
	cc->acked = 0;
	tcb->in_recovery = false;
	tcp_cc_recovered(cc, now);
}

/* A partial ACK: the next hole goes out, and the window deflates by what left the network. */
static void partial_ack(struct tcb *tcb, uint32_t acked)
{
	struct tcp_cc *cc = &tcb->cc;

	cc->cwnd = cc->cwnd > acked ? cc->cwnd - acked : 0;
	if (acked >= cc->mss)
		cc->cwnd += cc->mss;
	if (cc->cwnd < cc->mss)
		cc->cwnd = cc->mss;
	tcb->rexmit_front = true;
	tcb->partial_seen = true;
}

/* What an ACK outside recovery says; without a scoreboard that is not much. */
static void tell_cc(struct tcb *tcb, uint32_t acked, weft_time_us now)
{
	const struct tcp_cc_ack ack = {
		.now = now,
		.acked = acked,
		.cum_acked = acked,
		.prior_flight = tcp_flight(tcb) + acked,
		.flight = tcp_flight(tcb),
		.srtt = (uint32_t)tcb->srtt,
		.min_rtt = tcb->rtt_min,
		.delivered = tcb->snd_una,
		.snd_una = tcb->snd_una,
		.snd_nxt = tcb->snd_max,
		.cwnd_limited = tcb->cwnd_limited || tcb->rto_recovery,
	};

	tcb->cc.ops->on_ack(&tcb->cc, &ack);
}

/* snd_una has moved forward by 'acked'. */
void loss_new_ack(struct tcb *tcb, uint32_t acked, weft_time_us now, unsigned *events)
{
	tcb->dupacks = 0;
	tcb->rexmit_front = false;
	if (tcb->in_recovery) {
		if (seq_gt(tcb->snd_una, tcb->recover))
			leave_recovery(tcb, now);
		else
			partial_ack(tcb, acked);
		*events |= TCP_EV_OUTPUT;
		return;
	}
	if (seq_gt(tcb->snd_una - 1, tcb->recover) && !tcb->rto_recovery)
		tcb->recover = tcb->snd_una - 1; /* else it would look new again after 2^31 bytes */
	if (tcb->rto_recovery && seq_gt(tcb->snd_una, tcb->recover)) {
		tcb->rto_recovery = false;
		tcb->backoff = 0; /* data that was never sent twice got through */
		tcp_cc_recovered(&tcb->cc, now);
	}
	tell_cc(tcb, acked, now);
}

/* The retransmission timer went off: everything outstanding counts as lost, oldest first. */
void loss_timeout(struct tcb *tcb, weft_time_us now)
{
	counter_add(tcb->cfg->counters, C_TCP_RTO, 1);
	if (tcb->state == TCPS_SYN_SENT || tcb->state == TCPS_SYN_RCVD) {
		tcb->syn_lost = true;
	} else {
		tcp_cc_timeout(&tcb->cc, tcp_flight(tcb), tcb->backoff == 0, now);
		tcb->recover = tcb->snd_max - 1;
		tcb->in_recovery = false;
		tcb->rto_recovery = true;
		tcb->snd_nxt = tcb->snd_una;
	}
	tcb->dupacks = 0;
	tcb->rtt_timing = false;
	tcb->rexmit_front = true;
	tcb->snd_cursor = NULL;
	if (tcb->backoff < TCP_BACKOFF_MAX)
		tcb->backoff++;
}
