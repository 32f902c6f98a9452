/*
 * BBR (draft-ietf-ccwg-bbr-06, version 3): the state machine (5.3), restart from idle (5.4) and undo
 * (5.5.11).  It sends at the rate and with the volume in flight (cc_bbr_control.c) that its model of
 * the path (cc_bbr_model.c) says; neither PRR nor the restart window touches cwnd.
 */
#include "net/tcp/cc_bbr.h"
#include "net/base/mechanism.h"
#include "net/base/seq.h"
#include <string.h>

enum { PROBE_WAIT_MIN = 2 * US_PER_S, DRAIN_ROUNDS_MAX = 3 };

/* ---- ProbeBW. ---- */

static uint32_t pick_random(struct bbr *b, weft_time_us now)
{
	b->random = (b->random ^ (uint32_t)now ^ b->delivered) * 2654435761u + 1;
	return b->random >> 8;
}

static void start_probe_bw_down(struct bbr *b, weft_time_us now)
{
	bbr_reset_congestion_signals(b);
	b->probe_up_acked_per_inc = BBR_INF;
	b->rounds_since_probe_up = pick_random(b, now) & 1;
	b->bw_probe_wait = PROBE_WAIT_MIN + pick_random(b, now) % US_PER_S;
	b->cycle_stamp = now;
	b->ack_phase = BBR_ACKS_PROBE_STOPPING;
	bbr_start_round(b);
	b->state = BBR_PROBE_BW_DOWN;
}

static void start_probe_bw_refill(struct bbr *b)
{
	bbr_reset_short_term_model(b);
	b->bw_probe_up_rounds = 0;
	b->bw_probe_up_acked = 0;
	b->prev_probe_precautionary = false;
	b->ack_phase = BBR_ACKS_REFILLING;
	bbr_start_round(b);
	b->state = BBR_PROBE_BW_REFILL;
}

/* Each round of ProbeBW_UP raises inflight_longterm by twice as many segments as the one before. */
static void raise_inflight_longterm_slope(const struct tcp_cc *cc, struct bbr *b)
{
	uint32_t per_inc = cc->cwnd >> b->bw_probe_up_rounds;

	if (b->bw_probe_up_rounds < 30)
		b->bw_probe_up_rounds++;
	b->probe_up_acked_per_inc = per_inc > cc->mss ? per_inc : cc->mss;
}

static void start_probe_bw_up(const struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	b->ack_phase = BBR_ACKS_PROBE_STARTING;
	bbr_start_round(b);
	bbr_reset_full_bw(b);
	b->full_bw = rs->delivery_rate;
	b->state = BBR_PROBE_BW_UP;
	raise_inflight_longterm_slope(cc, b);
}

/* DOWN and CRUISE end after 2 to 3 s, or after as many rounds as Reno would need (5.3.3.8). */
static bool is_time_to_probe_bw(const struct tcp_cc *cc, struct bbr *b, weft_time_us now)
{
	uint32_t rounds = bbr_target_inflight(cc, b) / cc->mss;

	if (rounds > BBR_RENO_ROUNDS_MAX)
		rounds = BBR_RENO_ROUNDS_MAX;
	bool is_waiting = now <= b->cycle_stamp + b->bw_probe_wait || !MECHANISM(bbr_probe_wait);
	bool is_fair = b->rounds_since_probe_up < rounds || !MECHANISM(bbr_probe_reno);

	if (is_waiting && is_fair)
		return false;
	start_probe_bw_refill(b);
	return true;
}

/*
 * By max_bw: bw gives way to each loss, and a flow in which round trips take a tenth longer than
 * min_rtt would follow it down, by a tenth in each round with a loss, without ever getting there.
 */
static bool is_time_to_cruise(const struct tcp_cc *cc, const struct bbr *b, uint32_t inflight)
{
	uint64_t bw = MECHANISM(bbr_cruise_max_bw) ? bbr_max_bw(b) : b->bw;

	return inflight <= bbr_inflight_with_headroom(cc, b) &&
	       inflight <= bbr_inflight_at(cc, b, bw, 100);
}

static bool is_time_to_go_down(const struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	if (b->prev_probe_too_high && rs->ack->sent_flight >= b->inflight_longterm &&
	    MECHANISM(bbr_precaution)) {
		b->prev_probe_precautionary = true;
		return true;
	}
	if (rs->is_cwnd_limited && cc->cwnd >= b->inflight_longterm) {
		bbr_reset_full_bw(b); /* inflight_longterm is what limits the rate */
		b->full_bw = rs->delivery_rate;
		return false;
	}
	return b->full_bw_now && MECHANISM(bbr_up_ends);
}

static void probe_inflight_longterm_upward(const struct tcp_cc *cc, struct bbr *b,
					   const struct bbr_rs *rs)
{
	if (!rs->is_cwnd_limited || cc->cwnd < b->inflight_longterm ||
	    !MECHANISM(bbr_longterm_grows))
		return;
	b->bw_probe_up_acked += rs->ack->acked;
	if (b->bw_probe_up_acked >= b->probe_up_acked_per_inc) {
		uint32_t delta = b->bw_probe_up_acked / b->probe_up_acked_per_inc;

		b->bw_probe_up_acked -= delta * b->probe_up_acked_per_inc;
		b->inflight_longterm += delta * cc->mss;
		if (b->inflight_longterm > TCP_CC_CWND_MAX)
			b->inflight_longterm = TCP_CC_CWND_MAX;
	}
	if (b->round_start)
		raise_inflight_longterm_slope(cc, b);
}

/* Whether it decided a transition. */
static bool adapt_long_term_model(const struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	if (b->ack_phase == BBR_ACKS_PROBE_STARTING && b->round_start)
		b->ack_phase = BBR_ACKS_PROBE_FEEDBACK;
	if (b->ack_phase == BBR_ACKS_PROBE_STOPPING && b->round_start) {
		b->is_bw_probe_sample = false;
		b->ack_phase = BBR_ACKS_INIT;
		if (bbr_in_probe_bw(b) && !rs->is_app_limited)
			bbr_advance_max_bw_filter(b);
		if (bbr_in_probe_bw(b) && b->prev_probe_precautionary && !b->prev_probe_too_high &&
		    MECHANISM(bbr_probe_again)) {
			start_probe_bw_refill(b);
			return true;
		}
	}
	if (bbr_is_inflight_too_high(rs) || b->inflight_longterm == BBR_INF)
		return false;
	if (rs->tx_in_flight > b->inflight_longterm)
		b->inflight_longterm = rs->tx_in_flight;
	if (b->state == BBR_PROBE_BW_UP)
		probe_inflight_longterm_upward(cc, b, rs);
	return false;
}

static void update_probe_bw_cycle_phase(const struct tcp_cc *cc, struct bbr *b,
					const struct bbr_rs *rs)
{
	weft_time_us now = rs->ack->now;

	if (!b->full_bw_reached || adapt_long_term_model(cc, b, rs))
		return;
	if (b->state == BBR_PROBE_BW_DOWN) {
		if (!is_time_to_probe_bw(cc, b, now) && is_time_to_cruise(cc, b, rs->ack->flight) &&
		    MECHANISM(bbr_cruise))
			b->state = BBR_PROBE_BW_CRUISE;
	} else if (b->state == BBR_PROBE_BW_CRUISE) {
		(void)is_time_to_probe_bw(cc, b, now);
	} else if (b->state == BBR_PROBE_BW_REFILL) {
		if (b->round_start || !MECHANISM(bbr_refill)) {
			b->is_bw_probe_sample = true;
			start_probe_bw_up(cc, b, rs);
		}
	} else if (b->state == BBR_PROBE_BW_UP && is_time_to_go_down(cc, b, rs)) {
		b->prev_probe_too_high = false;
		start_probe_bw_down(b, now);
	}
}

/* ---- Startup and Drain. ---- */

/*
 * Six losses or more and 2 % in a round of recovery: the pipe is full (5.3.1.3).  Of 300 segments a path that
 * loses one percent takes seven in 3 of 100 flights, and Startup would end far below the path's rate.
 */
static void check_startup_high_loss(const struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	if (rs->ack->lost > 0 && b->loss_events_in_round < UINT8_MAX)
		b->loss_events_in_round++;
	if (!b->loss_round_start)
		return;
	if (b->state == BBR_STARTUP && rs->ack->in_recovery && !b->ignores_loss &&
	    b->loss_events_in_round >= BBR_STARTUP_FULL_LOSS_CNT && bbr_is_inflight_too_high(rs) &&
	    bbr_is_loss_beyond_chance(cc, rs) && MECHANISM(bbr_startup_loss)) {
		uint32_t bdp = bbr_bdp_multiple(b, b->bw, 100);

		b->undo_state = BBR_STARTUP;
		b->full_bw_reached = true;
		b->inflight_longterm = bdp > b->inflight_latest ? bdp : b->inflight_latest;
	}
	b->loss_events_in_round = 0;
}

static void check_startup_and_drain(const struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs)
{
	check_startup_high_loss(cc, b, rs);
	if (b->state == BBR_STARTUP && b->full_bw_reached) {
		b->state = BBR_DRAIN;
		b->drain_start_round = b->round_count;
	}
	if (b->state != BBR_DRAIN)
		return;
	bool is_drained =
		rs->ack->flight <= bbr_inflight_at(cc, b, b->bw, 100) || !MECHANISM(bbr_drain);
	bool is_over = b->round_count > b->drain_start_round + DRAIN_ROUNDS_MAX &&
		       MECHANISM(bbr_drain_bound);

	if (is_drained || is_over)
		start_probe_bw_down(b, rs->ack->now);
}

/* ---- ProbeRTT. ---- */

static void exit_probe_rtt(struct bbr *b, weft_time_us now)
{
	bbr_reset_short_term_model(b);
	if (b->full_bw_reached) {
		start_probe_bw_down(b, now);
		b->state = BBR_PROBE_BW_CRUISE;
	} else {
		b->state = BBR_STARTUP;
	}
}

static void check_probe_rtt_done(struct tcp_cc *cc, struct bbr *b, weft_time_us now)
{
	if (b->probe_rtt_done_stamp == 0 ||
	    (now <= b->probe_rtt_done_stamp && MECHANISM(bbr_probe_rtt_time)))
		return;
	b->probe_rtt_min_stamp = now;
	bbr_restore_cwnd(cc, b);
	exit_probe_rtt(b, now);
}

static void handle_probe_rtt(struct tcp_cc *cc, struct bbr *b, const struct tcp_cc_ack *ack)
{
	b->is_limited = true; /* the low rates measured here are our own doing */
	b->limited_until = ack->delivered + ack->flight;
	if (b->probe_rtt_done_stamp == 0) {
		if (ack->flight > bbr_probe_rtt_cwnd(cc, b))
			return;
		b->probe_rtt_done_stamp = ack->now + BBR_PROBE_RTT_DURATION;
		b->probe_rtt_round_done = false;
		bbr_start_round(b);
		return;
	}
	if (b->round_start)
		b->probe_rtt_round_done = true;
	if (b->probe_rtt_round_done)
		check_probe_rtt_done(cc, b, ack->now);
}

static void check_probe_rtt(struct tcp_cc *cc, struct bbr *b, const struct tcp_cc_ack *ack)
{
	if (b->state != BBR_PROBE_RTT && b->probe_rtt_expired &&
	    !(b->idle_restart && MECHANISM(bbr_idle)) && MECHANISM(bbr_probe_rtt)) {
		if (b->in_recovery && b->prior_cwnd > cc->cwnd)
			bbr_restore_cwnd(cc, b);
		b->prior_cwnd = cc->cwnd;
		b->state = BBR_PROBE_RTT;
		b->probe_rtt_done_stamp = 0;
		b->ack_phase = BBR_ACKS_PROBE_STOPPING;
		bbr_start_round(b);
	}
	if (b->state == BBR_PROBE_RTT)
		handle_probe_rtt(cc, b, ack);
	b->idle_restart = false;
}

/* ---- Events. ---- */

static void bbr_init(struct tcp_cc *cc, weft_time_us now)
{
	struct bbr *b = bbr_of(cc);

	memset(b, 0, sizeof(*b));
	b->min_rtt = BBR_INF;
	b->probe_rtt_min_delay = BBR_INF;
	b->min_rtt_stamp = now;
	b->probe_rtt_min_stamp = now;
	b->extra_acked_interval_start = now;
	b->inflight_longterm = BBR_INF;
	b->probe_up_acked_per_inc = BBR_INF;
	b->undo_state = BBR_NO_STATE;
	b->initial_cwnd = cc->cwnd;
	cc->ssthresh = UINT32_MAX;
	bbr_reset_short_term_model(b);
	bbr_init_pacing_rate(b, 0);
}

/*
 * C.is_cwnd_limited (2.2): cwnd was fully used at some point of the last round trip.  With pacing
 * that is rarely so at the moment of an ACK: some of it waits for its time.
 */
static bool note_cwnd_limited(const struct tcp_cc *cc, struct bbr *b, const struct tcp_cc_ack *ack)
{
	if (ack->sent_flight + cc->mss > cc->cwnd) {
		b->is_full = true;
		b->full_until = ack->delivered + ack->flight;
	} else if (seq_ge(ack->delivered, b->full_until) || !MECHANISM(bbr_cwnd_round)) {
		b->is_full = false;
	}
	return b->is_full;
}

/* Of what left before the peer's window opened again the rate is the window's. */
static bool note_held(struct bbr *b, const struct tcp_cc_ack *ack)
{
	if (ack->peer_limited) {
		b->is_held = true;
		b->held_until = ack->delivered + ack->flight;
	} else if (seq_ge(ack->prior_delivered, b->held_until)) {
		b->is_held = false;
	}
	return b->is_held;
}

static struct bbr_rs read_sample(const struct tcp_cc *cc, struct bbr *b,
				 const struct tcp_cc_ack *ack)
{
	bool is_first = b->delivered_total == 0;

	b->delivered = ack->delivered;
	b->delivered_total += ack->acked;
	if (is_first) { /* the count need not begin at zero */
		b->next_round_delivered = ack->prior_delivered;
		b->loss_round_delivered = ack->prior_delivered;
	}
	if (b->is_limited && seq_ge(ack->prior_delivered, b->limited_until))
		b->is_limited = false;
	return (struct bbr_rs){
		.ack = ack,
		.delivery_rate =
			ack->rate_us != 0 ? (uint64_t)ack->rate_bytes * US_PER_S / ack->rate_us : 0,
		.tx_in_flight = ack->tx_flight,
		.lost = ack->lost_since,
		.is_app_limited = ack->app_limited || b->is_limited,
		.is_cwnd_limited = note_cwnd_limited(cc, b, ack),
		.is_held = note_held(b, ack),
	};
}

static void bbr_on_ack(struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	struct bbr *b = bbr_of(cc);
	const struct bbr_rs rs = read_sample(cc, b, ack);

	bbr_update_latest_delivery_signals(b, &rs);
	bbr_update_congestion_signals(cc, b, &rs);
	bbr_update_ack_aggregation(cc, b, &rs);
	bbr_check_full_bw_reached(b, &rs);
	check_startup_and_drain(cc, b, &rs);
	update_probe_bw_cycle_phase(cc, b, &rs);
	bbr_update_min_rtt(b, &rs);
	check_probe_rtt(cc, b, ack);
	bbr_advance_latest_delivery_signals(b, &rs);
	bbr_bound_bw_for_model(b);
	bbr_set_pacing_rate(b, ack);
	bbr_set_cwnd(cc, b, ack);
}

/* Where in the lost segment the losses crossed the threshold (5.5.10.2). */
static uint32_t inflight_at_loss(const struct tcp_cc_lost *lost)
{
	uint32_t flight_prev = lost->tx_flight > lost->bytes ? lost->tx_flight - lost->bytes : 0;
	uint32_t lost_prev = lost->lost_since > lost->bytes ? lost->lost_since - lost->bytes : 0;
	uint32_t allowed = bbr_percent(flight_prev, BBR_LOSS_THRESH);
	uint32_t prefix = allowed > lost_prev ? allowed - lost_prev : 0;

	return flight_prev + (uint32_t)((uint64_t)prefix * 100 / (100 - BBR_LOSS_THRESH));
}

static void bbr_on_lost(struct tcp_cc *cc, const struct tcp_cc_lost *lost, weft_time_us now)
{
	struct bbr *b = bbr_of(cc);
	const struct bbr_rs rs = {.tx_in_flight = lost->tx_flight, .lost = lost->lost_since};

	if (b->ignores_loss)
		return;
	bbr_note_loss(cc, b);
	if (!b->is_bw_probe_sample || !bbr_is_inflight_too_high(&rs) || !MECHANISM(bbr_probe_loss))
		return;
	b->prev_probe_too_high = true;
	b->is_bw_probe_sample = false; /* one answer to each probe */
	if (!lost->app_limited) {
		uint32_t flight = inflight_at_loss(lost);
		uint32_t least = bbr_percent(bbr_target_inflight(cc, b), BBR_BETA);

		b->inflight_longterm =
			flight > least || !MECHANISM(bbr_longterm_least) ? flight : least;
	}
	if (b->state == BBR_PROBE_BW_UP) {
		b->undo_state = BBR_PROBE_BW_UP;
		start_probe_bw_down(b, now);
	}
}

static void bbr_on_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
			      weft_time_us now)
{
	struct bbr *b = bbr_of(cc);

	(void)pipe;
	(void)now;
	if (reason ==
	    TCP_CC_ECN) { /* the draft has no answer to classic marks: a loss, as RFC 3168 */
		bbr_note_loss(cc, b);
		return;
	}
	if (!b->in_recovery && !b->is_loss_in_round)
		bbr_save_state_upon_loss(cc, b);
	b->in_recovery = true;
}

static void bbr_on_rto(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	struct bbr *b = bbr_of(cc);

	(void)pipe;
	(void)first;
	(void)now;
	if (!b->in_recovery)
		bbr_save_state_upon_loss(cc, b);
	b->in_recovery = true;
	if (MECHANISM(bbr_rto))
		cc->cwnd = cc->mss;
}

static void bbr_on_recovered(struct tcp_cc *cc)
{
	struct bbr *b = bbr_of(cc);

	b->in_recovery = false;
	bbr_restore_cwnd(cc, b);
	bbr_bound_cwnd_for_model(cc, b);
}

static void bbr_undo(struct tcp_cc *cc)
{
	struct bbr *b = bbr_of(cc);

	b->in_recovery = false;
	bbr_restore_cwnd(cc, b);
	b->is_loss_in_round = false;
	bbr_reset_full_bw(b);
	if (b->bw_shortterm < b->undo_bw_shortterm)
		b->bw_shortterm = b->undo_bw_shortterm;
	if (b->inflight_shortterm < b->undo_inflight_shortterm)
		b->inflight_shortterm = b->undo_inflight_shortterm;
	if (b->inflight_longterm < b->undo_inflight_longterm)
		b->inflight_longterm = b->undo_inflight_longterm;
	if (b->undo_state == BBR_STARTUP && b->state != BBR_STARTUP &&
	    MECHANISM(bbr_undo_startup)) {
		b->full_bw_reached = false;
		if (b->state != BBR_PROBE_RTT)
			b->state = BBR_STARTUP;
	} else if (b->undo_state == BBR_PROBE_BW_UP && b->state != BBR_PROBE_BW_UP &&
		   b->state != BBR_PROBE_RTT && MECHANISM(bbr_undo_probe)) {
		start_probe_bw_refill(b);
	}
	b->undo_state = BBR_NO_STATE;
}

static void bbr_on_idle(struct tcp_cc *cc, weft_time_us idle, weft_time_us now)
{
	struct bbr *b = bbr_of(cc);

	(void)idle;
	b->idle_restart = true;
	b->extra_acked_interval_start = now;
	b->extra_acked_delivered = 0;
	if (bbr_in_probe_bw(b) && MECHANISM(bbr_idle_rate))
		bbr_set_pacing_rate_with_gain(b, 100);
	else if (b->state == BBR_PROBE_RTT)
		check_probe_rtt_done(cc, b, now);
}

static uint64_t bbr_pacing_rate(const struct tcp_cc *cc)
{
	const struct bbr *b = cc->more;

	return b->pacing_rate;
}

/* Without the draft's answers to loss, as BBR's first version (docs/adr/0015-bbr.md). */
static void bbr1_init(struct tcp_cc *cc, weft_time_us now)
{
	bbr_init(cc, now);
	bbr_of(cc)->ignores_loss = true;
}

#define BBR_OPS(title, start)                                                                      \
	{                                                                                          \
		.name = title, .more_size = sizeof(struct bbr), .owns_recovery = true,             \
		.init = (start), .on_ack = bbr_on_ack, .on_lost = bbr_on_lost,                     \
		.on_congestion = bbr_on_congestion, .on_rto = bbr_on_rto,                          \
		.on_recovered = bbr_on_recovered, .undo = bbr_undo, .on_idle = bbr_on_idle,        \
		.pacing_rate = bbr_pacing_rate,                                                    \
	}

const struct tcp_cc_ops tcp_cc_bbr = BBR_OPS("bbr", bbr_init);
const struct tcp_cc_ops tcp_cc_bbr1 = BBR_OPS("bbr1", bbr1_init);
