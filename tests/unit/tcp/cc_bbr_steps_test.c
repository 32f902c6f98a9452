/*
 * What each of BBR's steps leaves behind (draft-ietf-ccwg-bbr-06): resets, bounds, and what they are not
 * for.  The rules themselves are cc_bbr_rules_test's.
 */
#include "bbr_state.h"

/* A probe in state UP meets four percent of loss. */
static void lose_a_probe(void)
{
	b.is_bw_probe_sample = true;
	give_lost(BDP, 10 * MSS);
	CHECK(b.state == BBR_PROBE_BW_DOWN);
}

/* ---- ProbeBW. ---- */

/* 5.3.3.8: two to three seconds, so that flows do not probe together. */
static void test_wait_for_a_probe_is_random(void)
{
	uint32_t least = UINT32_MAX, most = 0;
	unsigned rounds = 0;

	for (unsigned i = 0; i < 64; i++) {
		steady(BBR_PROBE_BW_UP);
		b.random = i * 7919;
		ack.now += i;
		lose_a_probe();
		least = b.bw_probe_wait < least ? b.bw_probe_wait : least;
		most = b.bw_probe_wait > most ? b.bw_probe_wait : most;
		CHECK(b.rounds_since_probe_up <= 1);
		rounds += b.rounds_since_probe_up;
	}
	CHECK(least >= 2 * US_PER_S && most < 3 * US_PER_S);
	CHECK(most - least > US_PER_S / 2);
	CHECK(rounds > 10 && rounds < 54);
}

static void test_down_begins_clean(void)
{
	steady(BBR_PROBE_BW_UP);
	b.bw_latest = b.inflight_latest = 1;
	b.probe_up_acked_per_inc = 5;
	lose_a_probe();
	CHECK(!b.is_loss_in_round && b.bw_latest == 0 && b.inflight_latest == 0);
	CHECK(b.probe_up_acked_per_inc == BBR_INF);
}

static void test_refill_begins_clean(void)
{
	steady(BBR_PROBE_BW_DOWN);
	b.bw_probe_up_rounds = 5;
	b.bw_probe_up_acked = 77;
	b.prev_probe_precautionary = true;
	b.inflight_shortterm = BDP;
	b.bw_shortterm = RATE;
	ack.now = b.cycle_stamp + b.bw_probe_wait + 1;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_REFILL);
	CHECK(b.bw_probe_up_rounds == 0 && b.bw_probe_up_acked == 0);
	CHECK(!b.prev_probe_precautionary);
	CHECK(b.inflight_shortterm == BBR_INF && b.bw_shortterm == BBR_BW_INF);
}

static void test_up_begins_clean(void)
{
	steady(BBR_PROBE_BW_REFILL);
	b.full_bw = 9ull * RATE;
	b.full_bw_count = 2;
	b.full_bw_now = true;
	give(true);
	CHECK(b.state == BBR_PROBE_BW_UP);
	CHECK(b.full_bw == RATE && b.full_bw_count == 0 && !b.full_bw_now);
	CHECK(b.bw_probe_up_rounds == 1);
}

/* A flow of Reno's would have needed more than 63 rounds: no longer than those (5.3.3.8). */
static void test_probe_after_63_rounds(void)
{
	for (unsigned rounds = 62; rounds <= 63; rounds++) {
		steady(BBR_PROBE_BW_CRUISE);
		b.rounds_since_probe_up = rounds;
		give(false);
		CHECK(b.state == (rounds == 63 ? BBR_PROBE_BW_REFILL : BBR_PROBE_BW_CRUISE));
	}
}

/* inflight_longterm is what limits the rate: a plateau says nothing. */
static void test_up_goes_on_while_the_bound_limits(void)
{
	for (unsigned limited = 0; limited < 2; limited++) {
		steady(BBR_PROBE_BW_UP);
		b.inflight_longterm = BDP;
		cc.cwnd = limited ? BDP : BDP - 2 * MSS;
		ack.sent_flight = cc.cwnd;
		b.full_bw_now = true;
		give(false);
		CHECK((b.state == BBR_PROBE_BW_UP) == limited);
		CHECK(!limited || (!b.full_bw_now && b.full_bw == RATE));
	}
}

/* The caution is for who has as much in flight as was too much. */
static void test_small_flight_needs_no_caution(void)
{
	steady(BBR_PROBE_BW_UP);
	b.prev_probe_too_high = true;
	b.inflight_longterm = 2 * BDP;
	cc.cwnd = 2 * BDP;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_UP);
	b.full_bw_now = true;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_DOWN && !b.prev_probe_too_high);
}

/* 5.3.3.6: as many segments a round as in the one before, twice; no faster than one an ACKed segment. */
static void test_bound_rises_faster_each_round(void)
{
	steady(BBR_PROBE_BW_UP);
	b.inflight_longterm = cc.cwnd = BDP;
	b.bw_probe_up_rounds = 3;
	give(true);
	CHECK(b.probe_up_acked_per_inc == BDP >> 3 && b.bw_probe_up_rounds == 4);
	b.bw_probe_up_rounds = 20;
	b.inflight_longterm = cc.cwnd = BDP;
	give(true);
	CHECK(b.probe_up_acked_per_inc == MSS);
	/* What is left over counts on. */
	steady(BBR_PROBE_BW_UP);
	b.inflight_longterm = cc.cwnd = BDP;
	b.probe_up_acked_per_inc = ACKED + MSS;
	give(false);
	CHECK(b.inflight_longterm == BDP && b.bw_probe_up_acked == ACKED);
	cc.cwnd = BDP;
	give(false);
	CHECK(b.inflight_longterm == BDP + MSS && b.bw_probe_up_acked == MSS);
	/* No further than cwnd may be. */
	steady(BBR_PROBE_BW_UP);
	b.inflight_longterm = cc.cwnd = TCP_CC_CWND_MAX;
	ack.sent_flight = TCP_CC_CWND_MAX;
	b.probe_up_acked_per_inc = ACKED;
	give(false);
	CHECK(b.inflight_longterm == TCP_CC_CWND_MAX);
}

/* ... and only where it was what limited. */
static void test_bound_rises_only_in_use(void)
{
	for (unsigned full = 0; full < 2; full++) {
		steady(BBR_PROBE_BW_UP);
		b.inflight_longterm = BDP;
		b.probe_up_acked_per_inc = ACKED;
		cc.cwnd = full ? BDP - 10 * MSS : BDP;
		ack.sent_flight = BDP - 10 * MSS;
		give(false);
		CHECK(b.inflight_longterm == BDP && b.bw_probe_up_acked == 0);
	}
}

/* The round of a probe is over: a cycle of max_bw ends, unless the application set its rate. */
static void test_end_of_a_probe(void)
{
	for (unsigned app = 0; app < 2; app++) {
		steady(BBR_PROBE_BW_DOWN);
		b.ack_phase = BBR_ACKS_PROBE_STOPPING;
		b.is_bw_probe_sample = true;
		b.prev_probe_precautionary = b.prev_probe_too_high = true;
		ack.app_limited = app;
		give(true);
		CHECK(!b.is_bw_probe_sample && b.ack_phase == BBR_ACKS_INIT);
		CHECK(b.max_bw_filter[0] == (app ? 0 : RATE));
		CHECK(b.state != BBR_PROBE_BW_REFILL); /* there was loss */
	}
}

/* What got through without much loss is no more than the path takes. */
static void test_bound_follows_what_gets_through(void)
{
	for (unsigned lost = 0; lost < 2; lost++) {
		steady(BBR_PROBE_BW_CRUISE);
		b.inflight_longterm = BDP / 2;
		ack.lost_since = lost * 10 * MSS;
		give(false);
		CHECK(b.inflight_longterm == (lost ? BDP / 2 : BDP));
	}
}

/* An application's small flight is no measure of what is too much. */
static void test_loss_of_an_application_sets_no_bound(void)
{
	const struct tcp_cc_lost lost = {
		.bytes = 10 * MSS, .tx_flight = BDP, .lost_since = 10 * MSS, .app_limited = true};

	steady(BBR_PROBE_BW_UP);
	b.is_bw_probe_sample = true;
	cc.ops->on_lost(&cc, &lost, ack.now);
	CHECK(b.inflight_longterm == BBR_INF);
	CHECK(b.state == BBR_PROBE_BW_DOWN && b.prev_probe_too_high);
	CHECK(!b.is_bw_probe_sample);
}

/* ---- Startup. ---- */

/* A round of Startup with 'n' ACKs that tell of loss, and its end. */
static void lossy_round(unsigned n)
{
	ack.lost = MSS;
	ack.lost_since = 10 * MSS;
	for (unsigned i = 0; i < n; i++)
		give(false);
	ack.lost = 0;
	b.loss_round_delivered = b.next_round_delivered;
	give(true);
}

static void test_startup_and_its_losses(void)
{
	steady(BBR_STARTUP); /* not in recovery */
	lossy_round(8);
	CHECK(b.state == BBR_STARTUP);
	steady(BBR_STARTUP);
	b.ignores_loss = true;
	ack.in_recovery = true;
	lossy_round(8);
	CHECK(b.state == BBR_STARTUP);
	steady(BBR_STARTUP); /* rounds do not add up */
	ack.in_recovery = true;
	lossy_round(4);
	lossy_round(4);
	CHECK(b.state == BBR_STARTUP);
	b.inflight_latest = 3 * BDP; /* what was delivered in it */
	lossy_round(6);
	CHECK(b.state != BBR_STARTUP && b.inflight_longterm == 3 * BDP);
	CHECK(b.undo_state == BBR_STARTUP);
}

/* Rounds that the application limits are no plateau; what the peer's window excuses is Startup. */
static void test_rounds_without_growth(void)
{
	steady(BBR_STARTUP);
	ack.app_limited = true;
	for (unsigned i = 0; i < 5; i++)
		give(true);
	CHECK(b.full_bw_count == 0);
	steady(BBR_PROBE_BW_UP);
	ack.peer_limited = true;
	give(true);
	CHECK(b.full_bw_count == 1 && b.held_rounds == 0);
}

/* The count of delivered bytes need not begin at zero. */
static void test_first_round(void)
{
	steady(BBR_STARTUP);
	b.delivered_total = 0;
	b.next_round_delivered = b.loss_round_delivered = 0;
	ack.prior_delivered = 0x90000000u;
	ack.delivered = ack.prior_delivered + ACKED;
	cc.ops->on_ack(&cc, &ack);
	CHECK(b.round_start && b.round_count == 1);
	CHECK(b.loss_round_start);
}

/* The first round trip replaces the guess of a millisecond. */
static void test_first_round_trip(void)
{
	steady(BBR_STARTUP);
	b.has_seen_rtt = false;
	b.pacing_rate = 1ull << 40;
	give(false);
	CHECK(b.has_seen_rtt && b.pacing_rate < 3ull * RATE);
}

/* ---- ProbeRTT. ---- */

static void test_probe_rtt_ends_clean(void)
{
	steady(BBR_PROBE_RTT);
	b.prior_cwnd = 2 * BDP;
	b.inflight_shortterm = BDP;
	b.bw_shortterm = RATE;
	ack.flight = BDP;
	give(false);
	CHECK(b.probe_rtt_done_stamp == 0); /* too much in flight */
	CHECK(b.is_limited);
	ack.flight = BDP / 2;
	give(false);
	ack.now += BBR_PROBE_RTT_DURATION + 1;
	give(true);
	CHECK(b.state == BBR_PROBE_BW_CRUISE);
	CHECK(b.inflight_shortterm == BBR_INF && b.bw_shortterm == BBR_BW_INF);
	CHECK(b.probe_rtt_min_stamp == ack.now);
	CHECK(cc.cwnd >= 2 * BDP);
}

/* Samples of what left in ProbeRTT measure that; later ones do not. */
static void test_low_rates_of_probe_rtt(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.is_limited = true;
	b.limited_until = b.delivered;
	b.max_bw_filter[0] = RATE;
	b.max_bw_filter[1] = 0;
	ack.rate_bytes = BDP / 2;
	give(false);
	CHECK(b.is_limited && b.max_bw_filter[1] == 0);
	b.next_round_delivered = b.limited_until;
	give(true);
	CHECK(!b.is_limited && b.max_bw_filter[1] == RATE / 2);
}

/* 5.3.4: due after five seconds; in recovery the window of before is remembered, not recovery's. */
static void test_probe_rtt_begins(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.in_recovery = true;
	b.prior_cwnd = 3 * BDP;
	cc.cwnd = BDP;
	ack.now += BBR_PROBE_RTT_INTERVAL + 1;
	ack.rtt = 2 * RTT;
	give(false);
	CHECK(b.state == BBR_PROBE_RTT);
	CHECK(b.prior_cwnd >= 3 * BDP);
	CHECK(b.probe_rtt_min_delay == 2 * RTT && b.min_rtt == RTT);
	/* A loss meanwhile saves no smaller one. */
	cc.cwnd = BDP / 2;
	b.in_recovery = b.is_loss_in_round = false;
	give_lost(BDP, MSS);
	CHECK(b.prior_cwnd >= 3 * BDP);
}

static void test_pause(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.extra_acked_delivered = BDP;
	cc.ops->on_idle(&cc, US_PER_S, ack.now + US_PER_S);
	CHECK(b.extra_acked_delivered == 0);
	CHECK(b.extra_acked_interval_start == ack.now + US_PER_S);
	give(false);
	CHECK(!b.idle_restart);
	/* A pause has been low enough for ProbeRTT. */
	steady(BBR_PROBE_RTT);
	b.prior_cwnd = 2 * BDP;
	b.probe_rtt_done_stamp = ack.now;
	cc.ops->on_idle(&cc, US_PER_S, ack.now + US_PER_S);
	CHECK(b.state == BBR_PROBE_BW_CRUISE);
}

/* ---- Undo. ---- */

/* The loss saved the state; the recovery that follows in the same round does not save it again. */
static void test_undo_goes_back_to_the_loss(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	give_lost(BDP, MSS);
	b.inflight_shortterm = BDP / 2;
	tcp_cc_congestion(&cc, BDP, TCP_CC_LOSS, ack.now);
	b.bw_shortterm = RATE / 2;
	b.inflight_longterm = BDP / 2;
	b.full_bw_count = 2;
	b.is_loss_in_round = true;
	tcp_cc_undo(&cc);
	CHECK(b.inflight_shortterm == BBR_INF && b.bw_shortterm == BBR_BW_INF);
	CHECK(b.inflight_longterm == BBR_INF);
	CHECK(b.full_bw_count == 0 && b.full_bw == 0);
	CHECK(!b.is_loss_in_round && !b.in_recovery);
}

/* Startup ended for nothing, but ProbeRTT goes on. */
static void test_undo_in_probe_rtt(void)
{
	steady(BBR_PROBE_RTT);
	tcp_cc_congestion(&cc, BDP, TCP_CC_LOSS, ack.now);
	b.undo_state = BBR_STARTUP;
	tcp_cc_undo(&cc);
	CHECK(b.state == BBR_PROBE_RTT && !b.full_bw_reached);
	CHECK(b.undo_state == BBR_NO_STATE);
}

/* ---- Windows. ---- */

static void test_bounds_of_cwnd(void)
{
	steady(BBR_STARTUP);
	cc.cwnd = 3 * BDP;
	give(false);
	CHECK(cc.cwnd == 3 * BDP); /* enough */
	b.delivered_total = 1;
	give(false);
	CHECK(cc.cwnd == 3 * BDP + ACKED); /* the model has seen less than an initial window */
	cc.cwnd = MSS;
	give(false);
	CHECK(cc.cwnd == BBR_MIN_PIPE_SEGMENTS * MSS);
	steady(BBR_PROBE_BW_CRUISE);
	cc.cwnd = 3 * BDP;
	give(false);
	CHECK(cc.cwnd == 2 * BDP + ACKED);
	steady(BBR_PROBE_BW_UP);
	cc.cwnd = 3 * BDP;
	give(false);
	CHECK(cc.cwnd == BDP / 100 * BBR_UP_CWND_GAIN + ACKED + 2 * MSS);
}

/* Three bursts: of 64 KiB at most, of two segments at least. */
static void test_bounds_of_bursts(void)
{
	static const struct {
		uint64_t rate;
		uint32_t cwnd;
	} rows[] = {{1000000000, 3 * 65535}, {100000, 6 * MSS}};

	for (unsigned i = 0; i < 2; i++) {
		steady(BBR_PROBE_BW_CRUISE);
		b.min_rtt = b.probe_rtt_min_delay = ack.rtt = 10;
		b.bw = b.max_bw_filter[1] = b.pacing_rate = rows[i].rate;
		ack.rate_us = 0;
		give(false);
		CHECK(cc.cwnd == rows[i].cwnd);
	}
}

static void test_headroom_is_a_segment_at_least(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.inflight_longterm = 6 * MSS;
	CHECK(bbr_inflight_with_headroom(&cc, &b) == 5 * MSS);
}

/* ---- The model. ---- */

/* 5.5.9: an interval of a second says enough; more than a window is never extra; Startup forgets soon. */
static void test_bounds_of_aggregation(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.extra_acked_interval_start = ack.now - US_PER_S;
	b.extra_acked_delivered = 2 * RATE;
	give(false);
	CHECK(b.extra_acked_delivered == ACKED);
	steady(BBR_PROBE_BW_CRUISE);
	cc.cwnd = BDP;
	ack.acked = 3 * BDP;
	give(false);
	CHECK(b.extra_acked_filter[1] == BDP);
	steady(BBR_STARTUP);
	b.extra_acked_filter[1] = 50 * MSS;
	b.extra_acked_round = b.round_count;
	give(true);
	CHECK(b.extra_acked_filter[0] == 0 && b.extra_acked_filter[1] == ACKED);
}

/* 5.5.10.3: down by 30 %, but not below what was delivered; then a new round's signals begin. */
static void test_lower_bounds_follow_deliveries(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	cc.cwnd = BDP;
	b.is_loss_in_round = true;
	b.loss_round_delivered = b.next_round_delivered;
	give(true);
	CHECK(b.bw_shortterm == RATE && b.inflight_shortterm == BDP);
	steady(BBR_PROBE_BW_CRUISE);
	b.bw_latest = 5ull * RATE;
	b.inflight_latest = 5 * BDP;
	b.loss_round_delivered = b.next_round_delivered;
	give(true);
	CHECK(b.bw_latest == RATE && b.inflight_latest == BDP);
}

UNIT_MAIN("cc_bbr_steps", UNIT(wait_for_a_probe_is_random), UNIT(down_begins_clean),
	  UNIT(refill_begins_clean), UNIT(up_begins_clean), UNIT(probe_after_63_rounds),
	  UNIT(up_goes_on_while_the_bound_limits), UNIT(small_flight_needs_no_caution),
	  UNIT(bound_rises_faster_each_round), UNIT(bound_rises_only_in_use), UNIT(end_of_a_probe),
	  UNIT(bound_follows_what_gets_through), UNIT(loss_of_an_application_sets_no_bound),
	  UNIT(startup_and_its_losses), UNIT(rounds_without_growth), UNIT(first_round),
	  UNIT(first_round_trip), UNIT(probe_rtt_ends_clean), UNIT(low_rates_of_probe_rtt),
	  UNIT(probe_rtt_begins), UNIT(pause), UNIT(undo_goes_back_to_the_loss),
	  UNIT(undo_in_probe_rtt), UNIT(bounds_of_cwnd), UNIT(bounds_of_bursts),
	  UNIT(headroom_is_a_segment_at_least), UNIT(bounds_of_aggregation),
	  UNIT(lower_bounds_follow_deliveries))
