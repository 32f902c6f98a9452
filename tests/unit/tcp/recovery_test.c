/*
 * Congestion control and recovery without SACK (RFC 5681, RFC 6582, RFC 6928): the numbers of cwnd
 * and ssthresh, fast retransmit, partial ACKs, timeouts, restart after idleness, limited growth.
 */
#include "script_open.h"

enum { MSS = 1460 };

/* Sends until 'n' segments are in flight: the window has grown to that. */
static unsigned grow_to(unsigned n)
{
	unsigned acked = 1;

	established(&plain_setup);
	w.cfg.gso_max = 65535;
	send_bytes(1 << 19);
	while (tcp_flight(&w.tcb) < n * MSS) {
		acked += MSS;
		inject(". 1:1 ack %u", acked);
		drop_seen();
	}
	return acked;
}

static unsigned new_segments(void)
{
	unsigned n = 0;

	for (const struct text *t; (t = take_seen()) != NULL;)
		n += t->len > 0 && !t->retransmit;
	return n;
}

static void test_initial_window_is_ten_segments(void)
{
	established(&plain_setup);
	send_bytes(100000);
	CHECK_EQ(seen_count(), 10);
	CHECK_EQ(tcp_flight(&w.tcb), 10 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
	CHECK(w.tcb.cc.ssthresh >= 1u << 30 || w.tcb.cc.ssthresh >= 1u << 20);
	drop_seen();
}

static void test_initial_window_in_bytes_with_a_large_mss(void)
{
	struct setup setup = plain_setup;

	setup.mss_local = 8960;
	setup.mss_peer = 8960;
	established(&setup);
	CHECK_EQ(w.tcb.mss, 8960);
	CHECK_EQ(w.tcb.cc.cwnd, 2 * 8960); /* max(2*MSS, 14600) */
	setup.mss_peer = 536;
	established(&setup);
	CHECK_EQ(w.tcb.cc.cwnd, 5360);
	setup.mss_peer = 4000;
	established(&setup);
	CHECK_EQ(w.tcb.cc.cwnd, 14600);
}

static void test_initial_window_after_lost_syns_is_one_segment(void)
{
	syn_sent(&plain_setup);
	expect_after(US_PER_S, "S 0:0");
	expect_after(2 * US_PER_S, "S 0:0");
	inject("S. 0:0 ack 1 mss 1460");
	expect(". 1:1 ack 1");
	send_bytes(100000);
	expect(". 1:1461 ack 1");
	expect_none();
}

static void test_slow_start_grows_by_what_is_acked(void)
{
	unsigned acked = 1;

	established(&plain_setup);
	send_bytes(1 << 19);
	drop_seen();
	for (unsigned i = 1; i <= 20; i++) {
		acked += MSS;
		inject(". 1:1 ack %u", acked);
		CHECK_EQ(w.tcb.cc.cwnd, (10 + i) * MSS);
		CHECK_EQ(new_segments(), 2);
	}
}

static void test_ack_division_does_not_pay(void)
{
	established(&plain_setup);
	send_bytes(1 << 19);
	drop_seen();
	for (unsigned i = 1; i <= 10; i++)
		inject(". 1:1 ack %u", 1 + i * 146);
	CHECK_EQ(w.tcb.cc.cwnd, 11 * MSS);
	drop_seen();
}

static void test_stretch_ack_grows_by_one_segment_or_what_is_acked(void)
{
	established(&plain_setup);
	send_bytes(1 << 19);
	drop_seen();
	inject(". 1:1 ack %u", 1 + 4 * MSS);
	CHECK(w.tcb.cc.cwnd >= 11 * MSS && w.tcb.cc.cwnd <= 14 * MSS);
	drop_seen();
}

static void test_window_does_not_grow_when_the_application_is_the_limit(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 200; i++) {
		send_bytes(1000);
		drop_seen();
		inject(". 1:1 ack %u", 1001 + i * 1000);
		CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
	}
}

static void test_window_does_not_grow_when_the_receiver_is_the_limit(void)
{
	struct setup setup = plain_setup;
	unsigned acked = 1;

	setup.wnd = 5 * MSS;
	established(&setup);
	send_bytes(1 << 20);
	for (unsigned i = 0; i < 300; i++) {
		drop_seen();
		acked += MSS;
		inject(". 1:1 ack %u", acked);
	}
	CHECK(w.tcb.cc.cwnd <= 11 * MSS);
	drop_seen();
}

static void test_fast_retransmit_and_full_ack(void)
{
	unsigned una = grow_to(20);
	uint32_t flight = tcp_flight(&w.tcb), end = w.tcb.snd_max - w.iss;

	for (unsigned i = 0; i < 2;
	     i++) { /* limited transmit (RFC 3042): one for each, cwnd stays */
		uint32_t cwnd = w.tcb.cc.cwnd;

		inject(". 1:1 ack %u", una);
		CHECK_EQ(new_segments(), 1);
		CHECK_EQ(w.tcb.cc.cwnd, cwnd);
	}
	CHECK(!w.tcb.in_recovery);
	end = w.tcb.snd_max - w.iss;
	inject(". 1:1 ack %u", una);
	expect(". %u:%u ack 1", una, una + MSS);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, flight / 2);
	CHECK_EQ(w.tcb.cc.cwnd, flight / 2 + 3 * MSS);
	CHECK_EQ(w.tcb.recover, w.iss + end - 1);
	/* Each further duplicate inflates; new data goes when it fits. */
	for (unsigned i = 1; i <= 12; i++) {
		inject(". 1:1 ack %u", una);
		CHECK_EQ(w.tcb.cc.cwnd, flight / 2 + (3 + i) * MSS);
		if (seen_count() > 0)
			CHECK(tcp_flight(&w.tcb) <= w.tcb.cc.cwnd);
	}
	CHECK(new_segments() >= 3);
	inject(". 1:1 ack %u", end);
	CHECK(!w.tcb.in_recovery);
	CHECK(w.tcb.cc.cwnd <= flight / 2);
	CHECK(w.tcb.cc.cwnd >= 2 * MSS);
	drop_seen();
}

static void test_partial_acks_repair_hole_by_hole(void)
{
	unsigned una = grow_to(20);
	unsigned end = w.tcb.snd_max - w.iss;

	/* Segments 0, 5 and 9 of the window are lost. */
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	end = w.tcb.snd_max - w.iss;
	drop_seen();
	uint32_t cwnd = w.tcb.cc.cwnd;
	inject(". 1:1 ack %u", una + 5 * MSS);
	const struct text *t = take_seen();
	CHECK(t && t->seq == w.iss + una + 5 * MSS && t->len == MSS && t->retransmit);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, cwnd - 5 * MSS + MSS);
	drop_seen();
	inject(". 1:1 ack %u", una + 9 * MSS);
	t = take_seen();
	CHECK(t && t->seq == w.iss + una + 9 * MSS && t->retransmit);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	inject(". 1:1 ack %u", end);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(counter_read(&w.counters, C_TCP_RTO), 0);
	CHECK_EQ(counter_read(&w.counters, C_TCP_FAST_RETRANS), 1);
	drop_seen();
}

static void test_only_the_first_partial_ack_restarts_the_timer(void)
{
	unsigned una = grow_to(20);

	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	advance(10 * US_PER_MS);
	inject(". 1:1 ack %u", una + 2 * MSS);
	weft_time_us due = w.tcb.t_rexmt;
	CHECK_EQ(due, w.now + w.tcb.rto);
	advance(10 * US_PER_MS);
	inject(". 1:1 ack %u", una + 4 * MSS);
	CHECK_EQ(w.tcb.t_rexmt, due);
	drop_seen();
}

static void test_duplicates_after_recovery_do_not_start_it_again(void)
{
	unsigned una = grow_to(20);
	unsigned end = 0;

	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	end = w.tcb.snd_max - w.iss;
	inject(". 1:1 ack %u", end - MSS);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	for (unsigned i = 0; i < 6; i++)
		inject(". 1:1 ack %u", end - MSS);
	CHECK_EQ(counter_read(&w.counters, C_TCP_FAST_RETRANS), 1);
	drop_seen();
}

static void test_timeout_collapses_to_one_segment(void)
{
	unsigned una = grow_to(20);
	uint32_t flight = tcp_flight(&w.tcb);

	pass_time(w.now + 10 * US_PER_S, true);
	expect(". %u:%u ack 1", una, una + MSS);
	expect_none();
	CHECK_EQ(w.tcb.cc.ssthresh, flight / 2);
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	/* A second timeout of the same segment does not lower ssthresh again. */
	pass_time(w.now + 10 * US_PER_S, true);
	expect(". %u:%u ack 1", una, una + MSS);
	CHECK_EQ(w.tcb.cc.ssthresh, flight / 2);
	/* Two new ones ask whether it was spurious; a duplicate says no: back, in slow start. */
	inject(". 1:1 ack %u", una + MSS);
	CHECK_EQ(new_segments(), 2);
	inject(". 1:1 ack %u", una + MSS);
	expect(". %u:%u ack 1", una + MSS, una + 2 * MSS);
	expect_none();
	inject(". 1:1 ack %u", una + 2 * MSS);
	expect(". %u:%u ack 1", una + 2 * MSS, una + 3 * MSS);
	expect(". %u:%u ack 1", una + 3 * MSS, una + 4 * MSS);
	expect_none();
	CHECK_EQ(counter_read(&w.counters, C_TCP_UNDO_FRTO), 0);
	inject(". 1:1 ack %u", una + flight);
	CHECK_EQ(w.tcb.backoff, 0);
	drop_seen();
}

static void test_timeout_uses_flight_size_not_cwnd(void)
{
	grow_to(30);
	inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	drop_seen();
	while (w.tcb.sndq.bytes > 0) {
		inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
		drop_seen();
	}
	send_bytes(6 * MSS);
	drop_seen();
	pass_time(w.now + 10 * US_PER_S, true);
	CHECK_EQ(w.tcb.cc.ssthresh, 3 * MSS);
	drop_seen();
}

static void test_duplicates_after_a_timeout_do_not_start_fast_retransmit(void)
{
	unsigned una = grow_to(20);

	pass_time(w.now + 10 * US_PER_S, true);
	drop_seen();
	for (unsigned i = 0; i < 10; i++)
		inject(". 1:1 ack %u", una);
	CHECK_EQ(counter_read(&w.counters, C_TCP_FAST_RETRANS), 0);
	drop_seen();
}

static void test_ssthresh_is_at_least_two_segments(void)
{
	established(&plain_setup);
	send_bytes(MSS);
	drop_seen();
	pass_time(w.now + 10 * US_PER_S, true);
	CHECK_EQ(w.tcb.cc.ssthresh, 2 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	drop_seen();
}

static void test_congestion_avoidance_grows_one_segment_a_round_trip(void)
{
	unsigned una = grow_to(20);
	struct tcp_cc *cc = &w.tcb.cc;

	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	drop_seen();
	una = w.tcb.snd_una - w.iss;
	/* Fill the window, then count the growth over exact rounds. */
	for (unsigned round = 0; round < 30 && cc->cwnd < cc->ssthresh; round++) {
		una = w.tcb.snd_max - w.iss;
		inject(". 1:1 ack %u", una);
		drop_seen();
	}
	for (unsigned round = 0; round < 8; round++) {
		uint32_t before = cc->cwnd, end = w.tcb.snd_max - w.iss;
		while (una < end) {
			una = end - una < 2 * MSS ? end : una + 2 * MSS;
			inject(". 1:1 ack %u", una);
			drop_seen();
		}
		CHECK_EQ(cc->cwnd - before, MSS); /* though an ACK came for every second one only */
	}
}

static void test_restart_after_idle(void)
{
	grow_to(30);
	while (w.tcb.sndq.bytes > 0) {
		inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
		drop_seen();
	}
	CHECK(w.tcb.cc.cwnd > 20 * MSS);
	uint32_t before = w.tcb.cc.cwnd;
	advance(10 * US_PER_S);
	send_bytes(40 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, before); /* it stays for a while, see cwv_test */
	drop_seen();
	while (tcp_flight(&w.tcb) > 0) {
		inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
		drop_seen();
	}
	advance(3600ll * US_PER_S);
	send_bytes(40 * MSS);
	CHECK_EQ(new_segments(), 10);
	CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
}

static void test_first_flight_is_within_the_window_of_the_peer(void)
{
	struct setup setup = plain_setup;

	setup.wnd = 4000;
	established(&setup);
	send_bytes(100000);
	CHECK_EQ(new_segments(), 2);
	CHECK_EQ(tcp_flight(&w.tcb), 2 * MSS);
}

static void test_fast_retransmit_after_two_gigabytes_without_loss(void)
{
	unsigned una = grow_to(20);

	/* The last recovery lies 2^31 bytes back: 'recover' must not look like the future. */
	w.tcb.recover = w.tcb.snd_una - 0x7fffffffu + 2000;
	for (unsigned i = 0; i < 3; i++) {
		una += MSS;
		inject(". 1:1 ack %u", una);
	}
	drop_seen();
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	CHECK_EQ(counter_read(&w.counters, C_TCP_FAST_RETRANS), 1);
	drop_seen();
}

static void test_duplicate_ack_flood_is_bounded(void)
{
	unsigned una = grow_to(20);

	/* Spoofed duplicates: no more new data than the window of the peer. */
	for (unsigned i = 0; i < 1000; i++)
		inject(". 1:1 ack %u", una);
	CHECK(tcp_flight(&w.tcb) <= w.tcb.snd_wnd);
	drop_seen();
	end_world();
}

/* Nor do they inflate cwnd beyond what is in flight, which a large window of the peer's would allow. */
static void test_inflation_is_bounded_by_what_is_in_flight(void)
{
	struct setup setup = plain_setup;

	setup.wscale = true;
	setup.wscale_peer = 7;
	established(&setup);
	send_bytes(20 * MSS);
	inject(". 1:1 ack %u", 1 + 10 * MSS);
	drop_seen();
	uint32_t flight = tcp_flight(&w.tcb);
	CHECK_EQ(flight, 10 * MSS); /* and no more data: flight does not follow */
	for (unsigned i = 0; i < 1000; i++)
		inject(". 1:1 ack %u", 1 + 10 * MSS);
	CHECK(w.tcb.in_recovery);
	CHECK(w.tcb.cc.cwnd <= w.tcb.cc.ssthresh + flight + MSS);
	CHECK(w.tcb.cc.cwnd < w.tcb.snd_wnd / 10);
	drop_seen();
	end_world();
}

/* The retransmission is lost, too: the timeout that tells reduces a second time. */
static void test_lost_retransmission_reduces_again(void)
{
	unsigned una = grow_to(20);

	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	CHECK(w.tcb.in_recovery);
	uint32_t ssthresh = w.tcb.cc.ssthresh;
	for (unsigned i = 0; i < 10; i++)
		inject(". 1:1 ack %u", una);
	drop_seen();
	pass_time(w.tcb.t_rexmt, false);
	CHECK_EQ(counter_read(&w.counters, C_TCP_RTO), 1);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	CHECK_EQ(w.tcb.cc.ssthresh, ssthresh / 2);
	drop_seen();
	end_world();
}

/* In slow start half of the window is enough (RFC 9438 5.8, RFC 7661): it doubles in a round trip. */
static void test_half_a_window_in_slow_start_lets_it_grow(void)
{
	static const struct setup setup = {.iss = 1000, .irs = 5000000};

	for (unsigned used = 4; used <= 5; used++) {
		established(&setup);
		CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
		send_bytes(used * MSS);
		drop_seen();
		advance(10 * US_PER_MS);
		inject(". 1:1 ack %u", 1 + used * MSS);
		CHECK_EQ(w.tcb.cc.cwnd, (used == 5 ? 15 : 10) * MSS);
		drop_seen();
	}
	end_world();
}

UNIT_MAIN("tcp_recovery", UNIT(initial_window_is_ten_segments),
	  UNIT(initial_window_in_bytes_with_a_large_mss),
	  UNIT(initial_window_after_lost_syns_is_one_segment),
	  UNIT(slow_start_grows_by_what_is_acked), UNIT(ack_division_does_not_pay),
	  UNIT(stretch_ack_grows_by_one_segment_or_what_is_acked),
	  UNIT(window_does_not_grow_when_the_application_is_the_limit),
	  UNIT(window_does_not_grow_when_the_receiver_is_the_limit),
	  UNIT(fast_retransmit_and_full_ack), UNIT(partial_acks_repair_hole_by_hole),
	  UNIT(only_the_first_partial_ack_restarts_the_timer),
	  UNIT(duplicates_after_recovery_do_not_start_it_again),
	  UNIT(timeout_collapses_to_one_segment), UNIT(timeout_uses_flight_size_not_cwnd),
	  UNIT(duplicates_after_a_timeout_do_not_start_fast_retransmit),
	  UNIT(ssthresh_is_at_least_two_segments),
	  UNIT(congestion_avoidance_grows_one_segment_a_round_trip), UNIT(restart_after_idle),
	  UNIT(first_flight_is_within_the_window_of_the_peer),
	  UNIT(fast_retransmit_after_two_gigabytes_without_loss),
	  UNIT(duplicate_ack_flood_is_bounded), UNIT(inflation_is_bounded_by_what_is_in_flight),
	  UNIT(lost_retransmission_reduces_again), UNIT(half_a_window_in_slow_start_lets_it_grow))
