/*
 * BBR's model of the path (draft-ietf-ccwg-bbr-06 5.5): rounds, bandwidth, round trip, aggregation,
 * and what losses say about them.  Called by cc_bbr.c for each ACK and each lost segment.
 */
#include "net/base/mechanism.h"
#include "net/base/seq.h"
#include "net/tcp/cc_bbr.h"

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- Derived values. ---- */

uint64_t bbr_max_bw(const struct bbr *b)
{
	return max_u64(b->max_bw_filter[0], b->max_bw_filter[1]);
}

uint32_t bbr_bdp_multiple(const struct bbr *b, uint64_t bw, uint32_t gain)
{
	if (b->min_rtt == BBR_INF)
		return b->initial_cwnd;
	uint64_t bdp = bw * b->min_rtt / US_PER_S;
	return bbr_percent(bdp < TCP_CC_CWND_MAX ? (uint32_t)bdp : TCP_CC_CWND_MAX, gain);
}

/* What we want in flight: the estimated BDP, unless congestion cut cwnd. */
uint32_t bbr_target_inflight(const struct tcp_cc *cc, const struct bbr *b)
{
	uint32_t bdp = bbr_bdp_multiple(b, b->bw, 100);

	return bdp < cc->cwnd ? bdp : cc->cwnd;
}

/* Leaves room in the bottleneck's buffer for other flows. */
uint32_t bbr_inflight_with_headroom(const struct tcp_cc *cc, const struct bbr *b)
{
	uint32_t longterm = b->inflight_longterm;

	if (longterm == BBR_INF)
		return BBR_INF;
	if (!MECHANISM(bbr_headroom))
		return longterm;
	uint32_t headroom = max_u32(cc->mss, bbr_percent(longterm, BBR_HEADROOM));
	uint32_t rest = longterm > headroom ? longterm - headroom : 0;
	return max_u32(rest, BBR_MIN_PIPE_SEGMENTS * cc->mss);
}

/* ---- Rounds and rates. ---- */

void bbr_start_round(struct bbr *b)
{
	b->next_round_delivered = b->delivered;
}

static void update_round(struct bbr *b, const struct bbr_rs *rs)
{
	b->round_start =
		rs->tx_in_flight != 0 && seq_ge(rs->ack->prior_delivered, b->next_round_delivered);
	if (!b->round_start)
		return;
	bbr_start_round(b);
	b->round_count++;
	b->rounds_since_probe_up++;
}

static void update_max_bw(struct bbr *b, const struct bbr_rs *rs)
{
	update_round(b, rs);
	if (rs->delivery_rate == 0)
		return;
	if (rs->delivery_rate >= bbr_max_bw(b) || !rs->is_app_limited ||
	    !MECHANISM(bbr_app_limited))
		b->max_bw_filter[1] = max_u64(b->max_bw_filter[1], rs->delivery_rate);
}

/* A cycle ends; one without samples does not push out what is known. */
void bbr_advance_max_bw_filter(struct bbr *b)
{
	if (b->max_bw_filter[1] == 0 || !MECHANISM(bbr_bw_window))
		return;
	b->max_bw_filter[0] = b->max_bw_filter[1];
	b->max_bw_filter[1] = 0;
}

void bbr_bound_bw_for_model(struct bbr *b)
{
	uint64_t max_bw = bbr_max_bw(b);

	b->bw = max_bw < b->bw_shortterm ? max_bw : b->bw_shortterm;
}

void bbr_reset_full_bw(struct bbr *b)
{
	b->full_bw = 0;
	b->full_bw_count = 0;
	b->full_bw_now = false;
	b->held_rounds = 0;
}

/*
 * Three rounds in which the rate grew by less than a quarter fill the pipe (5.3.1.2).  Rounds in which the
 * peer's window held the data back say nothing about the path, and receivers open it slowly while they
 * wait for what was lost: Startup counts them only after a few.
 */
void bbr_check_full_bw_reached(struct bbr *b, const struct bbr_rs *rs)
{
	if (b->full_bw_now || !b->round_start || rs->is_app_limited || rs->delivery_rate == 0)
		return;
	if (rs->delivery_rate >= b->full_bw + b->full_bw / 4) {
		bbr_reset_full_bw(b);
		b->full_bw = rs->delivery_rate;
		return;
	}
	if (rs->is_held && !b->full_bw_reached && b->held_rounds < BBR_STARTUP_HELD_ROUNDS_MAX &&
	    MECHANISM(bbr_held)) {
		b->held_rounds++;
		return;
	}
	b->full_bw_count++;
	b->full_bw_now = b->full_bw_count >= 3 && MECHANISM(bbr_plateau);
	if (b->full_bw_now)
		b->full_bw_reached = true;
}

/* ---- Round trip and aggregation. ---- */

void bbr_update_min_rtt(struct bbr *b, const struct bbr_rs *rs)
{
	weft_time_us now = rs->ack->now;
	uint32_t rtt = rs->ack->rtt;

	b->probe_rtt_expired = now > b->probe_rtt_min_stamp + BBR_PROBE_RTT_INTERVAL;
	if (rtt != 0 && (rtt < b->probe_rtt_min_delay || b->probe_rtt_expired)) {
		b->probe_rtt_min_delay = rtt;
		b->probe_rtt_min_stamp = now;
	}
	if (b->probe_rtt_min_delay < b->min_rtt ||
	    (now > b->min_rtt_stamp + BBR_MIN_RTT_FILTER_LEN && MECHANISM(bbr_rtt_window))) {
		b->min_rtt = b->probe_rtt_min_delay;
		b->min_rtt_stamp = b->probe_rtt_min_stamp;
	}
}

/* The windowed maximum, in two halves of BBR_EXTRA_ACKED_ROUNDS; of one round in Startup. */
static void remember_extra_acked(struct bbr *b, uint32_t extra)
{
	uint32_t rounds = b->full_bw_reached ? BBR_EXTRA_ACKED_ROUNDS : 1;

	if (b->round_count - b->extra_acked_round >= rounds && MECHANISM(bbr_extra_window)) {
		b->extra_acked_filter[0] = b->full_bw_reached ? b->extra_acked_filter[1] : 0;
		b->extra_acked_filter[1] = 0;
		b->extra_acked_round = b->round_count;
	}
	b->extra_acked_filter[1] = max_u32(b->extra_acked_filter[1], extra);
}

void bbr_update_ack_aggregation(struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	uint64_t interval = (uint64_t)(rs->ack->now - b->extra_acked_interval_start);
	uint64_t expected = b->bw * (interval < US_PER_S ? interval : US_PER_S) / US_PER_S;

	if (b->extra_acked_delivered <= expected || interval >= US_PER_S) {
		b->extra_acked_delivered = 0;
		b->extra_acked_interval_start = rs->ack->now;
		expected = 0;
	}
	b->extra_acked_delivered += rs->ack->acked;
	uint64_t extra = b->extra_acked_delivered - expected;
	remember_extra_acked(b, extra < cc->cwnd ? (uint32_t)extra : cc->cwnd);
}

/* ---- Congestion. ---- */

bool bbr_is_inflight_too_high(const struct bbr_rs *rs)
{
	return rs->tx_in_flight != 0 && rs->lost > bbr_percent(rs->tx_in_flight, BBR_LOSS_THRESH);
}

/*
 * Whether what was lost of a flight is more than a path that loses two percent takes by chance: by two
 * standard deviations, those of as many independent losses.
 */
bool bbr_is_loss_beyond_chance(const struct tcp_cc *cc, const struct bbr_rs *rs)
{
	uint32_t allowed = bbr_percent(rs->tx_in_flight, BBR_LOSS_THRESH);
	uint64_t excess = rs->lost > allowed ? rs->lost - allowed : 0;
	uint64_t variance = (uint64_t)allowed * cc->mss;

	return excess * excess > BBR_LOSS_DEVIATIONS * BBR_LOSS_DEVIATIONS * variance ||
	       !MECHANISM(bbr_loss_chance);
}

void bbr_reset_congestion_signals(struct bbr *b)
{
	b->is_loss_in_round = false;
	b->bw_latest = 0;
	b->inflight_latest = 0;
}

void bbr_reset_short_term_model(struct bbr *b)
{
	if (b->pacing_rate != 0 && !MECHANISM(bbr_shortterm_ends))
		return;
	b->bw_shortterm = BBR_BW_INF;
	b->inflight_shortterm = BBR_INF;
}

static void save_cwnd(struct tcp_cc *cc, struct bbr *b)
{
	if (!b->in_recovery && b->state != BBR_PROBE_RTT)
		b->prior_cwnd = cc->cwnd;
	else
		b->prior_cwnd = max_u32(b->prior_cwnd, cc->cwnd);
}

void bbr_save_state_upon_loss(struct tcp_cc *cc, struct bbr *b)
{
	save_cwnd(cc, b);
	b->undo_state = BBR_NO_STATE;
	b->undo_bw_shortterm = b->bw_shortterm;
	b->undo_inflight_shortterm = b->inflight_shortterm;
	b->undo_inflight_longterm = b->inflight_longterm;
}

void bbr_note_loss(struct tcp_cc *cc, struct bbr *b)
{
	if (!b->is_loss_in_round) {
		b->loss_round_delivered = b->delivered;
		if (!b->in_recovery || !MECHANISM(bbr_undo_first)) /* to before the episode */
			bbr_save_state_upon_loss(cc, b);
	}
	b->is_loss_in_round = true;
}

void bbr_update_latest_delivery_signals(struct bbr *b, const struct bbr_rs *rs)
{
	b->loss_round_start = false;
	if (rs->tx_in_flight == 0)
		return;
	b->bw_latest = max_u64(b->bw_latest, rs->delivery_rate);
	b->inflight_latest = max_u32(b->inflight_latest, rs->ack->rate_bytes);
	if (seq_ge(rs->ack->prior_delivered, b->loss_round_delivered)) {
		b->loss_round_delivered = b->delivered;
		b->loss_round_start = true;
	}
}

void bbr_advance_latest_delivery_signals(struct bbr *b, const struct bbr_rs *rs)
{
	if (!b->loss_round_start)
		return;
	b->bw_latest = rs->delivery_rate;
	b->inflight_latest = rs->ack->rate_bytes;
}

/* Once a round with losses, when not probing: down towards what is delivered (5.5.10.3). */
static void adapt_lower_bounds(struct tcp_cc *cc, struct bbr *b)
{
	if (b->state == BBR_STARTUP || b->state == BBR_PROBE_BW_REFILL ||
	    b->state == BBR_PROBE_BW_UP || !b->is_loss_in_round || !MECHANISM(bbr_lower_bounds))
		return;
	if (b->bw_shortterm == BBR_BW_INF)
		b->bw_shortterm = bbr_max_bw(b);
	if (b->inflight_shortterm == BBR_INF)
		b->inflight_shortterm = cc->cwnd;
	b->bw_shortterm = max_u64(b->bw_latest, b->bw_shortterm / 100 * BBR_BETA);
	b->inflight_shortterm =
		max_u32(b->inflight_latest, bbr_percent(b->inflight_shortterm, BBR_BETA));
}

void bbr_update_congestion_signals(struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	update_max_bw(b, rs);
	if (!b->loss_round_start)
		return;
	adapt_lower_bounds(cc, b);
	b->is_loss_in_round = false;
}
