/*
 * BBR's rules one at a time (draft-ietf-ccwg-bbr-06): a flow is put into a state by hand, one ACK or one
 * loss comes, and what the draft says about it is looked at.  cc_bbr_test has what they are together.
 */
#include "bbr_state.h"

/* 2.2: C.is_cwnd_limited looks back a round trip; a moment of pacing does not make cwnd unused. */
static void test_cwnd_counts_as_used_for_a_round(void)
{
	steady(BBR_PROBE_BW_UP);
	cc.cwnd = BDP;
	b.inflight_longterm = BDP;
	b.probe_up_acked_per_inc = ACKED;
	ack.sent_flight = BDP;
	give(false);
	CHECK(b.inflight_longterm == BDP + MSS);
	ack.sent_flight = BDP - 10 * MSS;
	cc.cwnd = b.inflight_longterm;
	give(false);
	CHECK(b.inflight_longterm == BDP + 2 * MSS);
	ack.acked = ack.cum_acked = BDP; /* more than a round trip later it was not */
	cc.cwnd = b.inflight_longterm;
	give(false);
	CHECK(b.inflight_longterm == BDP + 2 * MSS);
}

/* 5.5.5: a rate that the application set counts only where it is more than what is known. */
static void test_app_limited_rate_is_a_lower_bound(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.max_bw_filter[0] = RATE; /* a new cycle without samples yet */
	b.max_bw_filter[1] = 0;
	ack.app_limited = true;
	ack.rate_bytes = BDP / 2;
	give(false);
	CHECK(b.max_bw_filter[1] == 0);
	ack.rate_bytes = 2 * BDP;
	give(false);
	CHECK(b.max_bw_filter[1] == 2ull * RATE);
}

static void test_drain_ends_at_a_bdp_or_after_three_rounds(void)
{
	for (unsigned low = 0; low < 2; low++) {
		steady(BBR_DRAIN);
		b.drain_start_round = b.round_count;
		ack.flight = 2 * BDP;
		for (unsigned i = 0; i < 3; i++) {
			give(true);
			CHECK(b.state == BBR_DRAIN);
			CHECK(b.pacing_rate == RATE / 2 / 100 * 99);
		}
		if (low)
			ack.flight = BDP - ACKED;
		give(!low);
		CHECK(b.state == (low ? BBR_PROBE_BW_CRUISE : BBR_PROBE_BW_DOWN));
	}
}

/* 5.3.3.9: DOWN is over when a BDP of max_bw is in flight, however far losses lowered bw meanwhile. */
static void test_down_ends_at_a_bdp_of_max_bw(void)
{
	steady(BBR_PROBE_BW_DOWN);
	b.bw = b.bw_shortterm = RATE / 10;
	ack.flight = BDP + MSS;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_DOWN);
	ack.flight = BDP - MSS;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_CRUISE);
}

/* 5.5.9: what came in a bunch is room on top of two BDP, for ten rounds. */
static void test_aggregation_widens_cwnd(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	ack.acked = BDP; /* at once */
	give(false);
	CHECK(b.extra_acked_filter[1] == BDP);
	CHECK(cc.cwnd == 3 * BDP);
	ack.acked = ACKED;
	for (unsigned i = 0; i < 2 * BBR_EXTRA_ACKED_ROUNDS + 2; i++) {
		ack.now += RTT;
		b.cycle_stamp = ack.now;
		b.rounds_since_probe_up = 0;
		give(true);
	}
	CHECK(b.extra_acked_filter[0] <= ACKED && b.extra_acked_filter[1] <= ACKED);
	CHECK(cc.cwnd <= 2 * BDP + ACKED);
}

/* 5.6.4.7: while cruising 15 % of inflight_longterm are for others; probing goes up to it. */
static void test_cwnd_stays_below_inflight_longterm(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.inflight_longterm = BDP;
	give(false);
	CHECK(cc.cwnd == BDP / 100 * 85);
	steady(BBR_PROBE_BW_REFILL);
	b.inflight_longterm = BDP;
	give(false);
	CHECK(cc.cwnd == BDP);
	steady(BBR_PROBE_BW_REFILL);
	b.inflight_shortterm = BDP / 2;
	give(false);
	CHECK(cc.cwnd == BDP / 2);
	b.inflight_shortterm = 1;
	give(false);
	CHECK(cc.cwnd == BBR_MIN_PIPE_SEGMENTS * MSS);
}

/* 5.4.1: a gain below or above 1 from before the pause is for nothing. */
static void test_restart_from_idle_is_at_the_rate(void)
{
	steady(BBR_PROBE_BW_UP);
	b.pacing_rate = RATE / 100 * 125;
	cc.ops->on_idle(&cc, US_PER_S, ack.now);
	CHECK(b.pacing_rate == RATE / 100 * 99);
	CHECK(b.idle_restart);
}

/* 5.5.10.2: not below beta times what is needed, however few were in flight. */
static void test_loss_while_probing_sets_inflight_longterm(void)
{
	steady(BBR_PROBE_BW_UP);
	b.is_bw_probe_sample = true;
	give_lost(20 * MSS, 2 * MSS);
	CHECK(b.inflight_longterm == BDP / 100 * BBR_BETA);
	CHECK(b.state == BBR_PROBE_BW_DOWN && b.prev_probe_too_high);
	steady(BBR_PROBE_BW_UP);
	b.is_bw_probe_sample = true;
	give_lost(2 * BDP, 20 * MSS); /* four percent: crossed the threshold half way */
	CHECK(b.inflight_longterm >= 2 * BDP - 20 * MSS && b.inflight_longterm < 2 * BDP);
	uint32_t first = b.inflight_longterm;
	give_lost(30 * MSS, 20 * MSS); /* one answer to each probe */
	CHECK(b.inflight_longterm == first);
}

/* 5.3.3.6: after a probe that was too much the next stops at inflight_longterm, and then goes on. */
static void test_probe_after_one_that_was_too_high_is_careful(void)
{
	steady(BBR_PROBE_BW_UP);
	b.inflight_longterm = BDP;
	b.prev_probe_too_high = true;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_DOWN);
	CHECK(b.prev_probe_precautionary && !b.prev_probe_too_high);
	give(true); /* the round of the probe is over and nothing was lost */
	CHECK(b.state == BBR_PROBE_BW_REFILL && !b.prev_probe_precautionary);
	/* Without the caution it goes on. */
	steady(BBR_PROBE_BW_UP);
	b.inflight_longterm = BDP;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_UP);
}

/* 5.3.4.3: low for 200 ms and a round, whichever is longer. */
static void test_probe_rtt_takes_its_time(void)
{
	steady(BBR_PROBE_RTT);
	b.prior_cwnd = 2 * BDP;
	ack.flight = BDP / 2;
	give(false);
	CHECK(b.probe_rtt_done_stamp == ack.now + BBR_PROBE_RTT_DURATION);
	CHECK(cc.cwnd == BDP / 2);
	ack.now += BBR_PROBE_RTT_DURATION;
	give(true);
	CHECK(b.state == BBR_PROBE_RTT); /* to the microsecond */
	ack.now += 1;
	give(false);
	CHECK(b.state == BBR_PROBE_BW_CRUISE);
	CHECK(cc.cwnd >= 2 * BDP - ACKED);
	/* The time alone does not do. */
	steady(BBR_PROBE_RTT);
	ack.flight = BDP / 2;
	give(false);
	ack.now += 2 * BBR_PROBE_RTT_DURATION;
	give(false);
	CHECK(b.state == BBR_PROBE_RTT);
}

/* 5.6.4.2: on a short path the bursts of pacing are more than the BDP. */
static void test_cwnd_has_room_for_bursts(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	b.min_rtt = b.probe_rtt_min_delay = 100;
	ack.rtt = 100;
	ack.rate_us = 100;
	ack.rate_bytes = RATE / 10000;
	give(false);
	CHECK(cc.cwnd == 3 * (RATE / 100 * 99 / 1000)); /* a millisecond each */
}

static void test_refill_lasts_a_round(void)
{
	steady(BBR_PROBE_BW_REFILL);
	give(false);
	CHECK(b.state == BBR_PROBE_BW_REFILL);
	give(true);
	CHECK(b.state == BBR_PROBE_BW_UP && b.is_bw_probe_sample);
}

/* 5.3.1.3: six losses and, more than by chance, two percent of what was in flight, in recovery. */
static void test_startup_ends_by_loss(void)
{
	for (unsigned losses = 5; losses <= 6; losses++) {
		steady(BBR_STARTUP);
		b.inflight_latest = 10 * MSS;
		ack.in_recovery = true;
		ack.lost = MSS;
		ack.lost_since = 10 * MSS; /* of 250: five, and five that are no chance */
		for (unsigned i = 1; i < losses; i++)
			give(false);
		CHECK(b.state == BBR_STARTUP);
		b.loss_round_delivered = b.next_round_delivered;
		give(true);
		CHECK((b.state != BBR_STARTUP) == (losses == 6));
		CHECK((b.inflight_longterm != BBR_INF) == (losses == 6));
	}
	/* Two percent sharp are not enough, nor what a path that loses two percent takes by chance. */
	for (unsigned lost = 5; lost <= 9; lost += 4) {
		steady(BBR_STARTUP);
		ack.in_recovery = true;
		ack.lost = MSS;
		ack.lost_since = lost * MSS;
		for (unsigned i = 0; i < 5; i++)
			give(false);
		b.loss_round_delivered = b.next_round_delivered;
		give(true);
		CHECK(b.state == BBR_STARTUP);
	}
}

/* Rounds that the peer's window held back are no plateau of the path; eleven of them are. */
static void test_window_of_the_peer_does_not_end_startup(void)
{
	steady(BBR_STARTUP);
	ack.peer_limited = true;
	for (unsigned i = 0; i < BBR_STARTUP_HELD_ROUNDS_MAX + 2; i++)
		give(true);
	CHECK(b.state == BBR_STARTUP);
	give(true);
	CHECK(b.full_bw_reached && b.state != BBR_STARTUP);
	/* Growth excuses anew; what left before the window opened is its sample, too. */
	steady(BBR_STARTUP);
	ack.peer_limited = true;
	for (unsigned i = 0; i < BBR_STARTUP_HELD_ROUNDS_MAX; i++)
		give(true);
	ack.rate_bytes = 2 * BDP;
	give(true);
	CHECK(b.full_bw == 2ull * RATE && b.held_rounds == 0);
	ack.peer_limited = false;
	give(true); /* of before: held_until is what is in flight ahead */
	CHECK(b.held_rounds == 1 && b.full_bw_count == 0);
	ack.acked = ack.cum_acked = BDP;
	give(true);
	ack.acked = ack.cum_acked = ACKED;
	for (unsigned i = 0; i < 3; i++) {
		CHECK(b.state == BBR_STARTUP);
		give(true);
	}
	CHECK(b.state != BBR_STARTUP);
}

/* 5.6.2: a low sample at the beginning does not make a flow slower than it began. */
static void test_startup_never_slows_down(void)
{
	steady(BBR_STARTUP);
	b.pacing_rate = 10ull * RATE;
	give(false);
	CHECK(b.pacing_rate == 10ull * RATE);
	steady(BBR_PROBE_BW_CRUISE);
	b.pacing_rate = 10ull * RATE;
	give(false);
	CHECK(b.pacing_rate == RATE / 100 * 99);
}

/* 5.5.11: undo goes back to before the episode, and a probe that a spurious loss ended begins anew. */
static void test_undo(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	give_lost(BDP, MSS);
	tcp_cc_congestion(&cc, BDP, TCP_CC_LOSS, ack.now);
	b.inflight_shortterm = BDP / 2;
	b.is_loss_in_round = false; /* a round later */
	give_lost(BDP, MSS);
	tcp_cc_undo(&cc);
	CHECK(b.inflight_shortterm == BBR_INF);
	steady(BBR_PROBE_BW_UP);
	tcp_cc_congestion(&cc, BDP, TCP_CC_LOSS, ack.now);
	b.is_loss_in_round = true;
	b.is_bw_probe_sample = true;
	give_lost(BDP, 10 * MSS);
	CHECK(b.state == BBR_PROBE_BW_DOWN && b.inflight_longterm != BBR_INF);
	tcp_cc_undo(&cc);
	CHECK(b.state == BBR_PROBE_BW_REFILL && b.inflight_longterm == BBR_INF);
}

/* A mark within a recovery that was spurious: the recovery is over for BBR, too. */
static void test_mark_and_undo_end_recovery(void)
{
	steady(BBR_PROBE_BW_CRUISE);
	tcp_cc_congestion(&cc, BDP, TCP_CC_LOSS, ack.now);
	CHECK(b.in_recovery);
	tcp_cc_congestion(&cc, BDP, TCP_CC_ECN, ack.now);
	tcp_cc_undo(&cc);
	CHECK(!b.in_recovery);
}

UNIT_MAIN("cc_bbr_rules", UNIT(cwnd_counts_as_used_for_a_round),
	  UNIT(app_limited_rate_is_a_lower_bound), UNIT(drain_ends_at_a_bdp_or_after_three_rounds),
	  UNIT(down_ends_at_a_bdp_of_max_bw), UNIT(aggregation_widens_cwnd),
	  UNIT(cwnd_stays_below_inflight_longterm), UNIT(restart_from_idle_is_at_the_rate),
	  UNIT(loss_while_probing_sets_inflight_longterm),
	  UNIT(probe_after_one_that_was_too_high_is_careful), UNIT(probe_rtt_takes_its_time),
	  UNIT(cwnd_has_room_for_bursts), UNIT(refill_lasts_a_round), UNIT(startup_ends_by_loss),
	  UNIT(window_of_the_peer_does_not_end_startup), UNIT(startup_never_slows_down), UNIT(undo),
	  UNIT(mark_and_undo_end_recovery))
