/*
 * Recoveries that were not needed: Eifel (RFC 3522, RFC 4015), D-SACK (RFC 2883, RFC 3708), F-RTO
 * (RFC 5682), and D-SACKs as we send them.
 */
#include "path.h"

static void test_echo_older_than_the_retransmission_undoes(void)
{
	in_flight(&sack_ts_setup, 10);
	uint32_t cwnd = w.tcb.cc.cwnd, ts = w.ts_last;
	sack(0, 1, 5);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	advance(5 * US_PER_MS);
	inject(". 1:1 ack %u ts %u %u", at(10), peer_clock(), ts);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 1);
	CHECK(w.tcb.cc.cwnd >= cwnd);
	drop_seen();
}

static void test_echo_of_the_retransmission_does_not(void)
{
	in_flight(&sack_ts_setup, 10);
	uint32_t cwnd = w.tcb.cc.cwnd;
	sack(0, 1, 5);
	drop_seen();
	advance(RTT);
	ack(10);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 0);
	CHECK(w.tcb.cc.cwnd < cwnd);
	drop_seen();
}

static void test_dsack_for_all_that_was_retransmitted_undoes(void)
{
	in_flight(&sack_setup, 10);
	uint32_t cwnd = w.tcb.cc.cwnd;
	sack(0, 1, 5);
	expect_segment(0);
	drop_seen();
	ack(10);
	CHECK(w.tcb.cc.cwnd < cwnd);
	inject(". 1:1 ack %u sack %u:%u", at(10), at(0), at(1));
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 1);
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 1);
	CHECK(w.tcb.cc.cwnd >= cwnd);
	drop_seen();
}

static void test_dsack_for_a_part_does_not(void)
{
	in_flight(&sack_setup, 10);
	inject(". 1:1 ack 1 sack %u:%u %u:%u", at(1), at(5), at(6), at(10));
	drop_seen();
	advance(RTT);
	sack(5, 6, 10);
	drop_seen();
	ack(10);
	inject(". 1:1 ack %u sack %u:%u", at(10), at(0), at(1));
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 0);
	drop_seen();
}

/* More than was ever in flight, or what was not sent yet, did not arrive twice. */
static void test_dsack_of_what_cannot_be_is_not_believed(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 5);
	drop_seen();
	ack(10);
	uint32_t cwnd = w.tcb.cc.cwnd;
	inject(". 1:1 ack %u sack %u:%u", at(10), at(10) - 65536, at(10));
	inject(". 1:1 ack %u sack %u:%u %u:%u", at(10), at(11), at(12), at(10), at(13));
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 2);
	CHECK_EQ(w.tcb.dsack_dups, 0);
	CHECK_EQ(w.tcb.cc.cwnd, cwnd);
	/* The largest that can be: a window. */
	inject(". 1:1 ack %u sack %u:%u", at(10), at(10) - 65535, at(10));
	CHECK_EQ(w.tcb.dsack_dups, 1);
	drop_seen();
}

/* Ten segments in flight and more to send; time passes until the timeout.  cwnd before it. */
static uint32_t delayed_beyond_the_timeout(const struct setup *setup)
{
	in_flight(setup, 10);
	uint32_t cwnd = w.tcb.cc.cwnd;
	send_bytes(10 * MSS);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	return cwnd;
}

/* Ten segments delayed beyond the timeout: the second ACK shows that none was lost. */
static void test_frto_finds_a_delay(void)
{
	uint32_t cwnd = delayed_beyond_the_timeout(&sack_setup);
	uint32_t nxt = w.tcb.snd_nxt;
	CHECK(w.tcb.cc.cwnd < cwnd);
	ack(1);
	CHECK(seen_count() >= 1); /* new data, not what counts as lost */
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(seq_ge(t->seq, nxt));
	ack(2);
	CHECK(!w.tcb.rto_recovery);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 1);
	CHECK(w.tcb.cc.cwnd >= cwnd);
	CHECK_EQ(w.tcb.sb->lost, 0);
	CHECK(w.tcb.retrans_total <= 2);
	drop_seen();
}

/* RFC 5682 3.1: not out of a fast recovery; what counts as lost goes first. */
static void test_no_frto_out_of_fast_recovery(void)
{
	in_flight(&sack_setup, 10);
	send_bytes(20 * MSS);
	sack(0, 1, 5);
	CHECK(w.tcb.in_recovery);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	advance(RTT);
	ack(5);
	expect_segment(5);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 0);
	drop_seen();
}

static void test_frto_real_loss_is_repaired(void)
{
	(void)delayed_beyond_the_timeout(&sack_setup);
	advance(RTT);
	ack(1);
	drop_seen();
	advance(RTT);
	unsigned end = w.tcb.snd_nxt - w.iss;
	inject(". 1:1 ack %u sack %u:%u", at(1), end - MSS, end);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 0);
	CHECK(w.tcb.rto_recovery);
	expect_segment(1);
	drop_seen();
}

/* What a tail loss probe sent again before the timeout is not sent a third time. */
static void test_undo_spares_the_tail_loss_probe(void)
{
	in_flight(&sack_setup, 10);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	CHECK_EQ(count_of(C_TCP_TLP_PROBE), 1);
	expect_segment(9);
	expect_segment(0);
	send_bytes(10 * MSS);
	expect_none();
	unsigned nxt = w.tcb.snd_nxt - w.iss;
	ack(1);
	ack(2);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 1);
	CHECK_EQ(w.tcb.sb->lost, 0);
	CHECK_EQ(w.tcb.retrans_total, 2);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->seq - w.iss >= nxt);
}

/* The path got slow and stays so: the first sample of what left after the timeout sets the timer. */
static void test_spurious_timeout_adapts_the_timer(void)
{
	(void)delayed_beyond_the_timeout(&sack_setup);
	unsigned nxt = w.tcb.snd_nxt - w.iss;
	ack(1);
	ack(2);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 1);
	CHECK(w.tcb.rto_adapt);
	uint32_t rttvar = w.tcb.rttvar;
	drop_seen();
	advance(4 * RTT);
	inject(". 1:1 ack %u", nxt); /* of before: says nothing */
	CHECK(w.tcb.rto_adapt);
	drop_seen();
	inject(". 1:1 ack %u", nxt + MSS);
	CHECK(!w.tcb.rto_adapt);
	CHECK(w.tcb.srtt >= 4 * RTT);
	CHECK(w.tcb.rttvar >= 2 * RTT && w.tcb.rttvar >= rttvar / 2);
	CHECK(w.tcb.rto >= 12 * RTT);
	drop_seen();
}

/* Without SACK: the second ACK that moves on is of data that was not sent again. */
static void test_frto_without_sack_finds_a_delay(void)
{
	uint32_t cwnd = delayed_beyond_the_timeout(&plain_setup);
	uint32_t nxt = w.tcb.snd_nxt;
	ack(1);
	CHECK_EQ(seen_count(), 2);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(seq_ge(t->seq, nxt));
	CHECK(w.tcb.rto_recovery);
	ack(2);
	CHECK(!w.tcb.rto_recovery);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 1);
	CHECK(w.tcb.cc.cwnd >= cwnd);
	CHECK_EQ(w.tcb.retrans_total, 1);
	drop_seen();
}

/* A first ACK that covers more than what was sent again may come from a hole that was filled. */
static void test_frto_without_sack_is_not_fooled_by_a_filled_hole(void)
{
	(void)delayed_beyond_the_timeout(&plain_setup);
	ack(5);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 0);
	drop_seen();
	ack(5); /* a duplicate, of the first new segment */
	CHECK(w.tcb.rto_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, 3 * MSS);
	expect_segment(5);
	drop_seen();
	ack(6);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 0);
	drop_seen();
}

/* A second timeout begins at the first step: with the front once more, and both outcomes. */
static void test_frto_begins_anew_with_each_timeout(void)
{
	in_flight(&sack_setup, 10);
	uint32_t cwnd = w.tcb.cc.cwnd;
	send_bytes(20 * MSS);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	ack(1);
	CHECK(w.tcb.sb->frto_new);
	drop_seen();
	while (count_of(C_TCP_RTO) == 1)
		pass_time(w.now + US_PER_MS, false);
	CHECK(w.tcb.sb->frto && !w.tcb.sb->frto_new);
	expect_segment(1);
	drop_seen();
	ack(2);
	CHECK(w.tcb.sb->frto_new);
	drop_seen();
	ack(3);
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 1);
	CHECK(w.tcb.cc.cwnd >= cwnd);
	drop_seen();
}

/* A timeout in fast recovery ends it, and begins no F-RTO: data is known to be lost (RFC 6675 5.1). */
static void test_timeout_in_fast_recovery(void)
{
	in_flight(&sack_setup, 10);
	send_bytes(20 * MSS);
	drop_seen();
	sack(0, 1, 5);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	uint32_t nxt = w.tcb.snd_nxt;
	CHECK(!w.tcb.in_recovery && w.tcb.rto_recovery);
	CHECK_EQ(w.tcb.recover, nxt - 1);
	CHECK(!w.tcb.sb->frto);
	CHECK(w.tcb.sb->sacked == 4 * MSS);
	drop_seen();
	/* More SACKs below the recovery point start no second fast recovery. */
	sack(0, 1, 9);
	CHECK(!w.tcb.in_recovery);
	ack(9);
	CHECK(!w.tcb.in_recovery && w.tcb.rto_recovery);
	inject(". 1:1 ack %u", nxt - w.iss);
	CHECK(!w.tcb.rto_recovery);
	CHECK_EQ(count_of(C_TCP_FAST_RETRANS), 1);
	drop_seen();
}

/* ---- As a receiver (RFC 2883 4). ---- */

static void test_old_segment_is_reported_once(void)
{
	open_path(&sack_setup);
	inject(". 1:101 ack 1");
	inject(". 101:201 ack 1");
	drop_seen();
	inject(". 1:101 ack 1");
	expect(". 1:1 ack 201 sack 1:101");
	inject(". 201:301 ack 1");
	inject(". 401:501 ack 1");
	expect(". 1:1 ack 301 sack 401:501");
	drop_seen();
}

static void test_duplicate_inside_a_block_names_the_block_second(void)
{
	open_path(&sack_setup);
	inject(". 1001:1201 ack 1");
	drop_seen();
	inject(". 1101:1151 ack 1");
	expect(". 1:1 ack 1 sack 1101:1151 1001:1201");
	inject(". 2001:2101 ack 1");
	expect(". 1:1 ack 1 sack 2001:2101 1001:1201");
	inject(". 2051:2151 ack 1");
	expect(". 1:1 ack 1 sack 2051:2101 2001:2151 1001:1201");
	drop_seen();
}

static void test_no_dsack_without_permission(void)
{
	static const struct setup plain = {.iss = 1000, .irs = 5000000};

	open_path(&plain);
	inject(". 1:101 ack 1");
	drop_seen();
	inject(". 1:101 ack 1");
	expect(". 1:1 ack 101 nosack");
	drop_seen();
	end_world();
}

/* No echo at all is no older one. */
static void test_echo_of_nothing_does_not(void)
{
	in_flight(&sack_ts_setup, 10);
	uint32_t cwnd = w.tcb.cc.cwnd;

	sack(0, 1, 5);
	drop_seen();
	advance(5 * US_PER_MS);
	inject(". 1:1 ack %u ts %u 0", at(10), peer_clock());
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 0);
	CHECK(w.tcb.cc.cwnd < cwnd);
	drop_seen();
}

/* The timer had doubled for nothing. */
static void test_undo_ends_the_backoff(void)
{
	in_flight(&sack_ts_setup, 1);
	uint32_t ts = w.ts_last;

	w.tcb.sb->tlp_sampled = false;
	while (count_of(C_TCP_RTO) < 2)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	CHECK_EQ(w.tcb.backoff, 2);
	inject(". 1:1 ack %u ts %u %u", at(1), peer_clock(), ts);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 1);
	CHECK_EQ(w.tcb.backoff, 0);
}

/* A late D-SACK of what an earlier recovery repaired says nothing of this one. */
static void test_dsack_of_an_earlier_recovery_does_not(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 5);
	drop_seen();
	advance(RTT);
	ack(10);
	CHECK(!w.tcb.in_recovery);
	uint32_t cwnd = w.tcb.cc.cwnd;
	send_bytes(5 * MSS);
	drop_seen();
	advance(RTT);
	sack(10, 11, 15);
	CHECK(w.tcb.in_recovery);
	expect_segment(10);
	drop_seen();
	inject(". 1:1 ack %u sack %u:%u %u:%u", at(10), at(0), at(1), at(11), at(15));
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 1);
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 0);
	CHECK(w.tcb.in_recovery);
	advance(RTT);
	ack(15);
	CHECK(w.tcb.cc.cwnd < cwnd);
	drop_seen();
}

/* Only the front of it had arrived before (RFC 2883 4.1.3). */
static void test_part_of_a_segment_is_reported(void)
{
	open_path(&sack_setup);
	inject(". 1:101 ack 1");
	pass_time(w.now + US_PER_S, true);
	drop_seen();
	inject(". 51:151 ack 1");
	pass_time(w.now + US_PER_S, true);
	expect(". 1:1 ack 151 sack 51:101");
	recv_bytes(150);
	drop_seen();
	end_world();
}

/* Segments 0 and 5 of ten are sent again, five milliseconds apart; the echo that is none of an original. */
static uint32_t two_sent_again(void)
{
	in_flight(&sack_ts_setup, 10);
	sack(0, 1, 5);
	expect_segment(0);
	drop_seen();
	uint32_t first = w.ts_last;

	advance(5 * US_PER_MS);
	inject(". 1:1 ack 1 sack %u:%u %u:%u", at(1), at(5), at(6), at(10));
	CHECK_EQ(w.tcb.bytes_retrans, 2 * w.tcb.mss);
	CHECK(w.ts_last != first);
	drop_seen();
	advance(RTT);
	return first;
}

/* Two holes: the echo of the first retransmission is older than the second one, and of no original. */
static void test_echo_is_held_against_the_first_retransmission(void)
{
	uint32_t first = two_sent_again();

	inject(". 1:1 ack %u sack %u:%u ts %u %u", at(5), at(6), at(10), peer_clock(), first);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 0);
	CHECK(w.tcb.in_recovery);
	drop_seen();
}

/* ... also when the second one leaves once more, after the first was acknowledged. */
static void test_echo_of_a_retransmission_that_left_twice(void)
{
	uint32_t first = two_sent_again(), second = w.ts_last;

	inject(". 1:1 ack %u sack %u:%u ts %u %u", at(5), at(6), at(10), peer_clock(), first);
	drop_seen();
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	CHECK(w.ts_last != second);
	drop_seen();
	inject(". 1:1 ack %u ts %u %u", at(10), peer_clock(), second);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 0);
	drop_seen();
}

/* An old echo is news only with an ACK of what left twice: in order, and not by a SACK. */
static void test_old_echo_on_another_ack_does_not(void)
{
	in_flight(&sack_ts_setup, 10);
	uint32_t old = w.ts_last;

	advance(US_PER_MS);
	sack(0, 1, 5);
	drop_seen();
	advance(5 * US_PER_MS);
	ack(5);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.bytes_retrans, w.tcb.mss);
	inject(". 1:1 ack %u ts %u %u", at(6), peer_clock(), old); /* left once */
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 0);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	uint32_t first = two_sent_again();

	inject(". 1:1 ack 1 sack %u:%u ts %u %u", at(1), at(10), peer_clock(), first - 100);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 0);
	CHECK(w.tcb.in_recovery);
	drop_seen();
}

/* New data that the network doubled is none of what was sent again. */
static void test_dsack_beyond_the_recovery_does_not(void)
{
	in_flight(&sack_setup, 10);
	send_bytes(10 * MSS);
	sack(0, 1, 10);
	CHECK(w.tcb.in_recovery && w.tcb.snd_nxt - w.iss >= at(11));
	CHECK_EQ(w.tcb.bytes_retrans, MSS);
	drop_seen();
	advance(RTT);
	sack(0, 1, 11);
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack 1 sack %u:%u %u:%u", at(10), at(11), at(1), at(11));
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 3);
	CHECK(w.tcb.bytes_retrans <= 3 * MSS);
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 0);
	CHECK(w.tcb.in_recovery);
	drop_seen();
}

/* A tail loss probe was under way when recovery began: it was sent again, too. */
static void test_dsack_for_all_but_a_probe_does_not(void)
{
	in_flight(&sack_setup, 10);
	pass_time(w.now + US_PER_S, true);
	expect_segment(9);
	advance(RTT);
	sack(0, 1, 5);
	CHECK(w.tcb.in_recovery);
	expect_segment(0);
	drop_seen();
	advance(RTT);
	inject(". 1:1 ack %u sack %u:%u", at(5), at(0), at(1));
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 1);
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 0);
	CHECK(w.tcb.in_recovery);
	drop_seen();
}

/* F-RTO waits for new data that may leave; what Nagle holds back is none. */
static void test_frto_without_new_data_repairs(void)
{
	in_flight(&plain_setup, 10);
	send_bytes(100);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	advance(RTT);
	ack(1);
	expect_segment(1);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_undo", UNIT(echo_older_than_the_retransmission_undoes),
	  UNIT(echo_of_the_retransmission_does_not),
	  UNIT(dsack_for_all_that_was_retransmitted_undoes), UNIT(dsack_for_a_part_does_not),
	  UNIT(dsack_of_what_cannot_be_is_not_believed), UNIT(frto_finds_a_delay),
	  UNIT(no_frto_out_of_fast_recovery), UNIT(frto_real_loss_is_repaired),
	  UNIT(frto_without_sack_finds_a_delay), UNIT(spurious_timeout_adapts_the_timer),
	  UNIT(undo_spares_the_tail_loss_probe),
	  UNIT(frto_without_sack_is_not_fooled_by_a_filled_hole),
	  UNIT(frto_begins_anew_with_each_timeout), UNIT(timeout_in_fast_recovery),
	  UNIT(old_segment_is_reported_once), UNIT(duplicate_inside_a_block_names_the_block_second),
	  UNIT(no_dsack_without_permission), UNIT(echo_of_nothing_does_not),
	  UNIT(undo_ends_the_backoff), UNIT(dsack_of_an_earlier_recovery_does_not),
	  UNIT(part_of_a_segment_is_reported), UNIT(echo_is_held_against_the_first_retransmission),
	  UNIT(echo_of_a_retransmission_that_left_twice), UNIT(old_echo_on_another_ack_does_not),
	  UNIT(dsack_beyond_the_recovery_does_not), UNIT(dsack_for_all_but_a_probe_does_not),
	  UNIT(frto_without_new_data_repairs))
