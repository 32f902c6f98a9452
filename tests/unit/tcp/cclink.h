/*
 * A bottleneck for congestion controllers alone: flows with endless data, packets of one segment, a
 * queue with a bound, a fixed delay, random loss, seeded, on virtual time.  Losses are told with the
 * next ACK of the flow; a flow of which nothing is left in flight times out after a second.
 */
#ifndef WEFT_TESTS_TCP_CCLINK_H
#define WEFT_TESTS_TCP_CCLINK_H

#include "net/base/prng.h"
#include "net/base/seq.h"
#include "net/tcp/cc.h"
#include "unit.h"
#include <string.h>

enum { LINK_MSS = 1448, LINK_RING = 1 << 18, LINK_FLOWS = 4, LINK_RTO = US_PER_S };

struct link_packet {
	weft_time_us back_at; /* when its ACK arrives, or would */
	weft_time_us sent_at, first_sent, delivered_at;
	uint32_t delivered, tx_flight, lost_total;
	uint8_t flow;
	bool is_lost, is_episode_end, app_limited;
};

struct link_flow {
	struct tcp_cc cc;
	void *more;
	weft_time_us next_send, start, first_sent, delivered_at, last_event;
	uint64_t acked_total, pace_rest;
	uint32_t flight, delivered, lost_total, una, sent, srtt, min_rtt;
	uint32_t recover; /* 'sent' at the beginning of the episode */
	uint32_t lost_pending[64];
	bool in_recovery, rto;
	/* The application sends only while this is not 0, then is idle. */
	uint64_t budget;
	bool has_budget;
};

struct link {
	weft_time_us now, busy_until;
	uint64_t rate; /* bytes per second */
	uint64_t busy_rest;
	weft_time_us delay;     /* round trip without the queue */
	weft_time_us queue_max; /* us of queue that the buffer holds */
	uint32_t loss_ppm;
	struct prng prng;
	struct link_packet ring[LINK_RING];
	uint32_t head, tail;
	struct link_flow flow[LINK_FLOWS];
	unsigned flows;
	/* Queue seen by packets since link_mark. */
	double queue_sum;
	uint64_t queue_count, dropped;
};

static inline struct link *link_new(uint64_t mbit, weft_time_us delay, double buffer_bdp,
				    uint32_t loss_ppm)
{
	struct link *l = calloc(1, sizeof(*l));

	CU_ASSERT_FATAL(l != NULL);
	l->now = US_PER_S;
	l->rate = mbit * 1000000 / 8;
	l->delay = delay;
	l->queue_max = (weft_time_us)((double)delay * buffer_bdp);
	if (l->queue_max < (weft_time_us)(40ull * LINK_MSS * US_PER_S / l->rate))
		l->queue_max = (weft_time_us)(40ull * LINK_MSS * US_PER_S / l->rate);
	l->loss_ppm = loss_ppm;
	prng_init(&l->prng, unit_seed());
	return l;
}

static inline struct link_flow *link_add(struct link *l, const struct tcp_cc_ops *ops,
					 weft_time_us start)
{
	struct link_flow *f = &l->flow[l->flows++];

	f->start = l->now + start;
	f->next_send = f->start;
	f->min_rtt = UINT32_MAX;
	if (ops->more_size > 0) {
		f->more = calloc(1, ops->more_size);
		CU_ASSERT_FATAL(f->more != NULL);
		f->cc.more = f->more;
	}
	tcp_cc_start(&f->cc, ops, LINK_MSS, false, f->start);
	return f;
}

static inline void link_free(struct link *l)
{
	for (unsigned i = 0; i < l->flows; i++)
		free(l->flow[i].more);
	free(l);
}

static inline bool link_may_send(const struct link_flow *f)
{
	return f->flight + LINK_MSS <= f->cc.cwnd && !(f->has_budget && f->budget < LINK_MSS);
}

static inline void link_send(struct link *l, struct link_flow *f)
{
	struct link_packet *p = &l->ring[l->tail++ % LINK_RING];
	weft_time_us queued = l->busy_until > l->now ? l->busy_until - l->now : 0;
	bool dropped = queued > l->queue_max;

	CU_ASSERT_FATAL(l->tail - l->head < LINK_RING);
	if (f->flight == 0) {
		if (f->delivered_at != 0 && f->cc.ops->on_idle)
			f->cc.ops->on_idle(&f->cc, l->now - f->last_event, l->now);
		f->first_sent = l->now;
		f->delivered_at = l->now;
	}
	f->flight += LINK_MSS;
	f->sent += LINK_MSS;
	f->last_event = l->now;
	if (f->has_budget)
		f->budget -= LINK_MSS;
	*p = (struct link_packet){
		.flow = (uint8_t)(f - l->flow),
		.sent_at = l->now,
		.first_sent = f->first_sent,
		.delivered_at = f->delivered_at,
		.delivered = f->delivered,
		.tx_flight = f->flight,
		.lost_total = f->lost_total,
		.app_limited = f->has_budget,
		.is_lost = dropped || prng_chance_ppm(&l->prng, l->loss_ppm),
	};
	l->dropped += dropped;
	l->queue_sum += (double)queued;
	l->queue_count++;
	if (!dropped) {
		if (l->busy_until < l->now)
			l->busy_until = l->now;
		l->busy_rest += LINK_MSS * (uint64_t)US_PER_S;
		l->busy_until += (weft_time_us)(l->busy_rest / l->rate);
		l->busy_rest %= l->rate;
	}
	p->back_at = (l->busy_until > l->now ? l->busy_until : l->now) + l->delay;
	uint64_t rate = f->cc.ops->pacing_rate ? f->cc.ops->pacing_rate(&f->cc) : 0;
	if (rate != 0) {
		f->pace_rest += LINK_MSS * (uint64_t)US_PER_S;
		f->next_send = (f->next_send > l->now - 1000 ? f->next_send : l->now - 1000) +
			       (weft_time_us)(f->pace_rest / rate);
		f->pace_rest %= rate;
	}
}

static inline void link_lost(struct link *l, struct link_flow *f, const struct link_packet *p)
{
	f->flight -= LINK_MSS;
	f->lost_total += LINK_MSS;
	const struct tcp_cc_lost lost = {
		.bytes = LINK_MSS,
		.tx_flight = p->tx_flight,
		.lost_since = f->lost_total - p->lost_total,
		.app_limited = p->app_limited,
	};
	if (f->cc.ops->on_lost)
		f->cc.ops->on_lost(&f->cc, &lost, l->now);
	if (f->in_recovery)
		return;
	f->in_recovery = true;
	f->recover = f->delivered + f->flight;
	tcp_cc_congestion(&f->cc, f->flight + LINK_MSS, TCP_CC_LOSS, l->now);
	if (!f->cc.ops->owns_recovery)
		f->cc.cwnd = f->cc.ssthresh;
}

static inline void link_ack(struct link *l, struct link_flow *f, const struct link_packet *p,
			    uint32_t newly_lost)
{
	uint32_t prior = f->flight + newly_lost, rtt = (uint32_t)(l->now - p->sent_at);
	uint32_t sending = (uint32_t)(p->sent_at - p->first_sent);
	uint32_t acking = (uint32_t)(l->now - p->delivered_at);
	uint32_t us = sending > acking ? sending : acking;

	f->flight -= LINK_MSS;
	f->delivered += LINK_MSS;
	f->acked_total += LINK_MSS;
	f->first_sent = p->sent_at;
	f->delivered_at = l->now;
	f->last_event = l->now;
	f->srtt = f->srtt == 0 ? rtt : (7 * f->srtt + rtt) / 8;
	if (rtt < f->min_rtt)
		f->min_rtt = rtt;
	if (f->in_recovery && seq_gt(p->delivered + p->tx_flight, f->recover)) {
		f->in_recovery = false;
		tcp_cc_recovered(&f->cc);
	}
	const struct tcp_cc_ack ack = {
		.now = l->now,
		.acked = LINK_MSS,
		.cum_acked = LINK_MSS,
		.lost = newly_lost,
		.sent_flight = prior,
		.flight = f->flight,
		.rtt = rtt,
		.srtt = f->srtt,
		.min_rtt = f->min_rtt,
		.delivered = f->delivered,
		.prior_delivered = p->delivered,
		.rate_bytes = f->delivered - p->delivered,
		.rate_us = us >= f->min_rtt ? us : 0,
		.tx_flight = p->tx_flight,
		.lost_since = f->lost_total - p->lost_total,
		.snd_una = f->delivered,
		.snd_nxt = f->delivered + f->flight,
		.app_limited = p->app_limited,
		.cwnd_limited = !link_may_send(f) || prior + LINK_MSS > f->cc.cwnd,
		.in_recovery = f->in_recovery,
	};
	f->cc.ops->on_ack(&f->cc, &ack);
}

/* The ACK of the first packet in the ring; losses before it are told with it. */
static inline void link_back(struct link *l)
{
	const struct link_packet *p = &l->ring[l->head++ % LINK_RING];
	struct link_flow *f = &l->flow[p->flow];
	uint32_t newly_lost = 0;

	if (!p->is_lost) {
		link_ack(l, f, p, newly_lost);
		return;
	}
	link_lost(l, f, p);
	if (f->flight > 0)
		return;
	tcp_cc_timeout(&f->cc, LINK_MSS, true, l->now); /* all of the flight is lost */
	f->in_recovery = true;
	f->recover = f->delivered;
	f->next_send = l->now + LINK_RTO;
}

/* Runs for 'us'. */
static inline void link_run(struct link *l, weft_time_us us)
{
	weft_time_us end = l->now + us;

	for (;;) {
		weft_time_us next = end;
		struct link_flow *sender = NULL;

		if (l->head != l->tail && l->ring[l->head % LINK_RING].back_at < next)
			next = l->ring[l->head % LINK_RING].back_at;
		for (unsigned i = 0; i < l->flows; i++) {
			struct link_flow *f = &l->flow[i];
			weft_time_us at = f->next_send > l->now ? f->next_send : l->now;

			if (link_may_send(f) && at < next) {
				next = at;
				sender = f;
			}
		}
		if (next >= end)
			break;
		l->now = next;
		if (sender)
			link_send(l, sender);
		else
			link_back(l);
	}
	l->now = end;
}

static inline void link_mark(struct link *l)
{
	l->queue_sum = 0;
	l->queue_count = 0;
	l->dropped = 0;
	for (unsigned i = 0; i < l->flows; i++)
		l->flow[i].acked_total = 0;
}

/* Share of the link that 'f' had in 'us' since link_mark. */
static inline double link_share(const struct link *l, const struct link_flow *f, weft_time_us us)
{
	return (double)f->acked_total / ((double)l->rate * (double)us / 1e6);
}

/* Mean queue since link_mark, in round trips. */
static inline double link_queue(const struct link *l)
{
	return l->queue_count == 0 ? 0 : l->queue_sum / (double)l->queue_count / (double)l->delay;
}

#endif
