/*
 * What an ACK taught, as the congestion controller wants it: the delivery rate over the flight that
 * the newest delivered run belongs to (draft-cheng-iccrg-delivery-rate-estimation), and the other
 * numbers of struct tcp_cc_ack.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* 'r' was just marked lost. */
void rate_lost(struct tcb *tcb, const struct sent *r, weft_time_us now)
{
	const struct tcp_cc_lost lost = {
		.bytes = r->end - r->seq,
		.tx_flight = r->tx_flight,
		.lost_since = tcb->sb->lost_total - r->lost,
		.app_limited = r->flags & SB_APP,
	};

	if (tcb->cc.ops->on_lost)
		tcb->cc.ops->on_lost(&tcb->cc, &lost, now);
}

/* Nothing more to send though the windows have room: what follows measures the application. */
void rate_app_limited(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t mark = tcb->delivered + sb_pipe(tcb);

	if (sb)
		sb->app_limited = mark != 0 ? mark : 1;
}

/* For TCP_INFO the last rate that says something of the path: a slower application does not. */
static void keep(struct scoreboard *sb, const struct tcp_cc_ack *ack)
{
	if (ack->app_limited &&
	    (uint64_t)ack->rate_bytes * sb->rate_us < (uint64_t)sb->rate_bytes * ack->rate_us &&
	    MECHANISM(info_rate))
		return;
	sb->rate_bytes = ack->rate_bytes;
	sb->rate_us = ack->rate_us;
	sb->rate_app_limited = ack->app_limited;
}

/* Bytes per second, as far as the block of what is in flight remembers; 0: not known. */
uint64_t rate_delivered(const struct tcb *tcb)
{
	const struct scoreboard *sb = tcb->sb;

	return sb && sb->rate_us > 0 ? (uint64_t)sb->rate_bytes * US_PER_S / sb->rate_us : 0;
}

static void sample(struct tcb *tcb, const struct sent *r, uint32_t now, struct tcp_cc_ack *ack)
{
	uint32_t sending = r->sent_at - r->first_sent;
	uint32_t acking = now - r->delivered_at;
	uint32_t us = sending > acking ? sending : acking;

	WEFT_ASSERT(tcb->sb); /* 'r' was in it */
	ack->prior_delivered = r->delivered;
	ack->tx_flight = r->tx_flight;
	ack->lost_since = tcb->sb->lost_total - r->lost;
	ack->app_limited = r->flags & SB_APP;
	tcb->sb->first_sent = r->sent_at;
	if (us == 0 || us < tcb->rtt_min) /* an echo of a copy before: too short to be true */
		return;
	if (seq_lt(tcb->delivered, r->delivered)) /* at the limit of records a SACK was forgotten */
		return;
	ack->rate_bytes = tcb->delivered - r->delivered;
	ack->rate_us = us;
	keep(tcb->sb, ack);
}

/* Tells the controller; 'rtt' is this ACK's sample or 0, 'in_recovery' as it was before the ACK. */
void rate_ack(struct tcb *tcb, const struct ack_news *news, uint32_t rtt, bool in_recovery,
	      weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc_ack ack = {
		.now = now,
		.acked = news->acked + news->sacked,
		.cum_acked = news->cum,
		.lost = news->lost,
		.sent_flight = sb && sb->sent_pipe > news->prior_flight ? sb->sent_pipe
									: news->prior_flight,
		.flight = sb_pipe(tcb),
		.rtt = rtt,
		.srtt = tcb->srtt,
		.min_rtt = tcb->rtt_min,
		.delivered = tcb->delivered,
		.snd_una = tcb->snd_una,
		.snd_nxt = tcb->snd_nxt,
		.cwnd_limited = tcb->cwnd_limited || tcb->rto_recovery,
		.peer_limited = sb && sb->peer_limited,
		.in_recovery = in_recovery || tcb->in_recovery || (sb && sb->in_cwr),
		.ece = news->ece,
	};

	if (sb && sb->app_limited && seq_gt(tcb->delivered, sb->app_limited))
		sb->app_limited = 0;
	if (news->has_sent) {
		sample(tcb, &news->sent, (uint32_t)now, &ack);
		sb->delivered_at = (uint32_t)now;
	}
	tcb->cc.ops->on_ack(&tcb->cc, &ack);
}
