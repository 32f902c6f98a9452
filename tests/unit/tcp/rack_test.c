/*
 * RACK (RFC 8985 6): when data counts as lost, the reordering window and its timer, D-SACKs, lost
 * retransmissions, timeouts without going back.
 */
#include "net/tcp/parts.h"
#include "path.h"

static void test_three_segments_above_a_hole_start_recovery(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 2);
	sack(0, 1, 3);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(seen_count(), 0);
	sack(0, 1, 4);
	CHECK(w.tcb.in_recovery);
	expect_segment(0);
	expect_none();
	CHECK_EQ(w.tcb.recover, w.iss + at(10) - 1);
	struct tcp_status status;
	tcp_get_status(&w.tcb, w.now, &status);
	CHECK_EQ(status.sacked_bytes, 3 * MSS);
	CHECK_EQ(status.lost_bytes, MSS);
	CHECK_EQ(status.rexmit_bytes, MSS);
	CHECK_EQ(count_of(C_TCP_FAST_RETRANS), 1);
	ack(10);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, w.tcb.cc.ssthresh);
	drop_seen();
}

static void test_only_the_holes_are_sent_again(void)
{
	in_flight(&sack_setup, 20);
	inject(". 1:1 ack 1 sack %u:%u %u:%u %u:%u", at(1), at(5), at(6), at(10), at(11), at(20));
	unsigned sent[20] = {0};
	for (unsigned round = 0; round < 4; round++) {
		for (const struct text *t; (t = take_seen()) != NULL;)
			sent[(t->seq - w.iss - 1) / MSS]++;
		advance(RTT);
		if (round == 0)
			sack(5, 6, 10);
	}
	CHECK_EQ(sent[0], 1);
	CHECK(sent[5] >= 1);
	for (unsigned i = 1; i < 20; i++)
		CHECK(i == 5 || i == 10 || sent[i] == 0);
	ack(20);
	drop_seen();
}

/* Both blocks are news since an ACK was lost; the most recent one comes first and overtook nothing. */
static void test_blocks_of_one_ack_are_not_reordering(void)
{
	in_flight(&sack_setup, 10);
	inject(". 1:1 ack 1 sack %u:%u %u:%u", at(7), at(8), at(2), at(6));
	CHECK(!w.tcb.rack_reordered);
	CHECK_EQ(w.tcb.reord_seen, 0);
	CHECK(w.tcb.in_recovery);
	expect_segment(0);
	drop_seen();
}

/* One SACK, then silence: what is late by a quarter of the shortest round trip is lost. */
static void test_reordering_timer_finds_the_loss(void)
{
	in_flight(&sack_setup, 3);
	sack(0, 1, 2);
	CHECK_EQ(seen_count(), 0);
	CHECK_EQ(w.tcb.probe_kind, TCP_PROBE_REORDER);
	expect_after(w.tcb.rtt_min / 4, ". 1:1461 ack 1");
	CHECK(w.tcb.in_recovery);
	drop_seen();
}

/* A SACK so late that the retransmission timeout is near: the reordering timer goes first (8985 8). */
static void test_timeout_waits_for_the_reordering_timer(void)
{
	in_flight(&sack_setup, 3);
	w.tcb.sb->tlp_sampled = false;
	pass_time(w.tcb.t_rexmt - 5 * US_PER_MS, false);
	expect_none();
	sack(0, 1, 2);
	CHECK(w.tcb.t_probe > w.tcb.t_rexmt);
	advance(10 * US_PER_MS);
	expect_segment(0);
	CHECK_EQ(count_of(C_TCP_RTO), 0);
	CHECK_EQ(count_of(C_TCP_FAST_RETRANS), 1);
	CHECK(w.tcb.t_rexmt >= w.now + w.tcb.rto - 10 * US_PER_MS);
	drop_seen();
	advance(w.tcb.rto); /* and still goes off */
	CHECK_EQ(count_of(C_TCP_RTO), 1);
	drop_seen();
}

/* A timeout leaves alone what was sent a moment ago (6.3). */
static void test_timeout_spares_what_is_fresh(void)
{
	in_flight(&sack_setup, 3);
	w.tcb.sb->tlp_sampled = false;
	pass_time(w.tcb.t_rexmt - 5 * US_PER_MS, false);
	send_bytes(2 * MSS);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
	advance(6 * US_PER_MS);
	CHECK_EQ(count_of(C_TCP_RTO), 1);
	CHECK_EQ(w.tcb.sb->lost, 3 * MSS);
	expect_segment(0);
	drop_seen();
	inject(". 1:1 ack %u", at(5));
	CHECK_EQ(w.tcb.retrans_total, 1);
}

/* Recovery ends below what was SACKED: those records stay, and save the next recovery work. */
static void test_sacks_above_the_recovery_point_stay(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 5);
	CHECK(w.tcb.in_recovery);
	uint32_t recover = w.tcb.recover;
	send_bytes(10 * MSS);
	advance(RTT);
	sack(0, 1, 10);
	unsigned end = w.tcb.snd_nxt - w.iss;
	CHECK(w.tcb.snd_nxt - recover > 3 * MSS);
	drop_seen();
	advance(RTT); /* segment 10, the first after the recovery point, is lost, too */
	inject(". 1:1 ack %u sack %u:%u", at(10), at(11), end);
	CHECK(seq_gt(w.tcb.snd_una, recover));
	CHECK_EQ(w.tcb.sb->sacked, end - at(11));
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->seq - w.iss == at(10) || t->seq - w.iss >= end);
	drop_seen();
}

/* An ACK too soon for the retransmission, or with an older echo, does not move RACK's time. */
static void test_rack_ignores_acks_of_the_original(void)
{
	in_flight(&sack_ts_setup, 10);
	sack(0, 1, 5);
	expect_segment(0);
	drop_seen();
	uint32_t rtt = w.tcb.sb->rack_rtt;
	CHECK(w.tcb.sb->rack_valid && rtt >= RTT);
	advance(5 * US_PER_MS); /* sooner than any round trip */
	ack(5);
	CHECK(w.tcb.sb->rack_rtt >= rtt);
	drop_seen();
}

/* RFC 6675: without new SACK information an ACK counts for nothing, however often it comes. */
static void test_only_new_sacks_count_as_duplicates(void)
{
	in_flight(&sack_setup, 20);
	for (unsigned i = 0; i < 5; i++)
		sack(0, 1, 2);
	CHECK_EQ(w.tcb.dupacks, 1);
	CHECK_EQ(count_of(C_TCP_DUP_ACK_IN), 1);
	CHECK(!w.tcb.in_recovery);
	sack(0, 1, 3);
	sack(0, 1, 4);
	CHECK(w.tcb.in_recovery);
	drop_seen();
}

/* ACKs that overtook each other: a block above its own ACK is no D-SACK, though snd_una has passed it. */
static void test_overtaken_ack_is_no_dsack(void)
{
	in_flight(&sack_setup, 10);
	ack(6);
	sack(0, 2, 4);
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 0);
	CHECK_EQ(w.tcb.dsack_dups, 0);
	sack(6, 2, 4);
	CHECK_EQ(count_of(C_TCP_DSACK_IN), 1);
	drop_seen();
}

static void test_reordering_is_seen_and_waited_for(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 2);
	ack(2); /* the first one was only late */
	CHECK(w.tcb.rack_reordered);
	CHECK_EQ(w.tcb.reord_seen, 1);
	drop_seen();
	sack(2, 3, 7); /* four above the hole: no reason any more */
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(seen_count(), 0);
	ack(7);
	CHECK_EQ(count_of(C_TCP_FAST_RETRANS), 0);
	CHECK_EQ(w.tcb.retrans_total, 0);
	drop_seen();
}

/* The original comes 5 ms behind its retransmission: nothing sent before that is late. */
static void test_ack_of_the_original_is_not_of_the_retransmission(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 4);
	expect_segment(0);
	advance(5 * US_PER_MS);
	ack(4);
	CHECK_EQ(w.tcb.sb->lost, 0);
	CHECK_EQ(w.tcb.retrans_total, 1);
	expect_none();
	ack(10);
	drop_seen();
}

static void test_dsack_makes_the_window_wider_once_a_round_trip(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 2);
	ack(4);
	CHECK(w.tcb.rack_reordered);
	uint32_t before = rack_reo_wnd(&w.tcb);
	CHECK_EQ(before, w.tcb.rtt_min / 4);
	inject(". 1:1 ack %u sack %u:%u", at(4), at(1), at(2));
	CHECK_EQ(rack_reo_wnd(&w.tcb), 2 * before);
	inject(". 1:1 ack %u sack %u:%u", at(4), at(2), at(3));
	CHECK_EQ(rack_reo_wnd(&w.tcb), 2 * before);
	CHECK_EQ(w.tcb.dsack_dups, 2);
	CHECK_EQ(w.tcb.dupacks, 0); /* RFC 2883 5 */
	ack(10);
	for (unsigned i = 0; i < TCP_REO_PERSIST; i++)
		rack_recovered(&w.tcb);
	CHECK_EQ(rack_reo_wnd(&w.tcb), before);
	drop_seen();
}

static void test_lost_retransmission_is_found_without_a_timeout(void)
{
	in_flight(&sack_setup, 20);
	sack(0, 1, 8);
	expect_segment(0);
	unsigned fresh = seen_count();
	drop_seen();
	advance(RTT);
	send_bytes(20 * MSS); /* PRR lets new data out behind the retransmission */
	sack(0, 1, 20);
	drop_seen();
	advance(RTT);
	sack(0, 1, 21);
	advance(RTT);
	bool again = false;
	for (const struct text *t; (t = take_seen()) != NULL;)
		again = again || t->seq - w.iss == at(0);
	CHECK(again);
	CHECK_EQ(count_of(C_TCP_RTO), 0);
	(void)fresh;
	drop_seen();
}

/* A timeout marks what is old; snd_nxt stays, and what was SACKed is not sent again. */
static void test_timeout_does_not_go_back(void)
{
	in_flight(&sack_setup, 10);
	uint32_t nxt = w.tcb.snd_nxt;
	sack(0, 5, 6);
	drop_seen();
	w.tcb.sb->tlp_sampled = false;
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	CHECK_EQ(w.tcb.snd_nxt, nxt);
	CHECK(w.tcb.rto_recovery);
	drop_seen();
	unsigned sent = 0;
	for (unsigned i = 1; i <= 10; i++) {
		advance(RTT);
		inject(". 1:1 ack %u", at(i == 5 ? 6 : i));
		for (const struct text *t; (t = take_seen()) != NULL;) {
			CHECK(t->seq - w.iss != at(5));
			sent++;
		}
	}
	CHECK(sent <= 9);
	CHECK(!w.tcb.rto_recovery);
	CHECK_EQ(w.tcb.backoff, 0);
	drop_seen();
}

static void test_shrunk_window_is_probed_and_repaired(void)
{
	in_flight(&sack_setup, 10);
	inject(". 1:1 ack 1 win 0");
	drop_seen();
	advance(3 * US_PER_S);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->seq - w.iss == 1 && t->len <= 1);
	inject(". 1:1 ack 1 win 65535");
	for (unsigned i = 0; i < 40 && w.tcb.snd_una != w.tcb.snd_nxt; i++) {
		unsigned next = w.tcb.snd_una - w.iss;
		pass_time(w.now + 10 * US_PER_S, true);
		for (const struct text *t; (t = take_seen()) != NULL;)
			if (t->seq - w.iss == next)
				next += t->len;
		inject(". 1:1 ack %u win 65535", next);
	}
	CHECK_EQ(w.tcb.snd_una, w.tcb.snd_nxt);
	drop_seen();
}

/* RFC 3042: a duplicate with news lets new data out and leaves cwnd alone; one without does not. */
static void test_limited_transmit(void)
{
	in_flight(&sack_setup, 4);
	w.tcb.cc.cwnd = 4 * MSS;
	send_bytes(10 * MSS);
	CHECK_EQ(seen_count(), 0);
	ack(0);
	CHECK_EQ(seen_count(), 0);
	sack(0, 1, 2);
	expect_segment(4);
	sack(0, 1, 3);
	expect_segment(5);
	expect_none();
	CHECK_EQ(w.tcb.cc.cwnd, 4 * MSS);
	sack(0, 1, 4);
	expect_segment(0);
	drop_seen();
}

static void test_min_rtt_is_windowed(void)
{
	in_flight(&sack_setup, 1);
	ack(1);
	CHECK_EQ(w.tcb.rtt_min, RTT);
	for (unsigned i = 1; i <= 5; i++) {
		advance(200LL * US_PER_S);
		send_bytes(MSS);
		drop_seen();
		advance(2 * RTT);
		ack(i + 1);
	}
	CHECK_EQ(w.tcb.rtt_min, 2 * RTT);
	drop_seen();
	end_world();
}

/* Later than any round trip, but with an echo older than the retransmission: still the original's. */
static void test_old_echo_is_of_the_original(void)
{
	in_flight(&sack_ts_setup, 10);
	uint32_t ts = w.ts_last;

	sack(0, 1, 5);
	expect_segment(0);
	drop_seen();
	uint32_t sent_at = w.tcb.sb->rack_sent_at;
	advance(2 * RTT);
	inject(". 1:1 ack %u ts %u %u", at(5), peer_clock(), ts);
	CHECK_EQ(w.tcb.sb->rack_sent_at, sent_at);
	drop_seen();
}

/* What was sent again arrives behind the rest: that is no reordering. */
static void test_retransmission_is_no_reordering(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 10);
	expect_segment(0);
	drop_seen();
	advance(RTT);
	ack(10);
	CHECK(!w.tcb.rack_reordered);
	CHECK_EQ(w.tcb.reord_seen, 0);
	drop_seen();
}

/* Three holes of small segments in one ACK are as much as three segments (6.2 step 4). */
static void test_small_segments_count_by_their_holes(void)
{
	unsigned events = 0;

	open_path(&sack_setup);
	tcp_set_nodelay(&w.tcb, true, &events);
	after_call(events);
	for (unsigned i = 0; i < 8; i++)
		send_bytes(100);
	CHECK_EQ(seen_count(), 8);
	drop_seen();
	advance(RTT);
	inject(". 1:1 ack 1 sack 501:601 301:401 101:201");
	CHECK_EQ(w.tcb.dupacks, 1);
	CHECK(w.tcb.in_recovery);
	CHECK(seen_count() > 0);
	drop_seen();
	inject(". 1:1 ack 801");
	drop_seen();
}

/* The window: one step a round trip, each of which holds for 16 recoveries, and never above SRTT. */
static void test_window_grows_in_each_round_up_to_the_round_trip(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 2);
	ack(4);
	uint32_t step = rack_reo_wnd(&w.tcb);

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned j = 0; j < TCP_REO_PERSIST - 1; j++)
			rack_recovered(&w.tcb);
		inject(". 1:1 ack %u sack %u:%u", at(4 + i), at(0), at(1));
		CHECK_EQ(rack_reo_wnd(&w.tcb), (2 + i) * step);
		send_bytes(MSS);
		drop_seen();
		advance(RTT);
		unsigned end = w.tcb.snd_nxt - w.iss;
		inject(". 1:1 ack %u", i < 2 ? at(5 + i) : end);
		w.tcb.sb->dsack_round = w.tcb.snd_una; /* a round trip is over */
	}
	w.tcb.rack_mult = UINT8_MAX;
	CHECK_EQ(rack_reo_wnd(&w.tcb), w.tcb.srtt);
	drop_seen();
}

/* Where nothing was reordered a repair that goes on waits for nothing, whatever was SACKed. */
static void test_no_wait_while_something_is_repaired(void)
{
	in_flight(&sack_setup, 10);
	CHECK(rack_reo_wnd(&w.tcb) > 0);
	w.tcb.in_recovery = true;
	CHECK_EQ(rack_reo_wnd(&w.tcb), 0);
	w.tcb.in_recovery = false;
	w.tcb.rto_recovery = true;
	CHECK_EQ(rack_reo_wnd(&w.tcb), 0);
	w.tcb.rto_recovery = false;
	ack(10);
	drop_seen();
	end_world();
}

/* Between a timeout and what it sends the peer says that it has the front: it is not sent. */
static void test_front_that_arrived_is_not_sent(void)
{
	in_flight(&sack_setup, 10);
	sack(0, 1, 5); /* no F-RTO out of fast recovery: nothing is undone */
	expect_segment(0);
	drop_seen();
	begin_batch();
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	sack(0, 0, 5);
	CHECK(w.tcb.rexmit_front && sb_first(&w.tcb)->flags & SB_SACKED);
	end_batch();
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->seq - w.iss != at(0));
	CHECK(w.tcb.t_rexmt != WEFT_TIME_NEVER);
	drop_seen();
	end_world();
}

/* What leaves meanwhile does not move the time at which something late counts as lost (RFC 8985 8). */
static void test_new_data_leaves_the_reordering_timer(void)
{
	in_flight(&sack_setup, 10);
	w.tcb.cc.cwnd = 20 * MSS;
	sack(0, 1, 2);
	CHECK_EQ(w.tcb.probe_kind, TCP_PROBE_REORDER);
	weft_time_us at = w.tcb.t_probe;

	CHECK(at > w.now && at <= w.now + RTT / 4);
	advance(US_PER_MS);
	send_bytes(MSS);
	CHECK_EQ(seen_count(), 1);
	CHECK_EQ(w.tcb.probe_kind, TCP_PROBE_REORDER);
	CHECK_EQ(w.tcb.t_probe, at);
	drop_seen();
}

/* The front was SACKed: on a short path the peer has some time all the same to hand it on. */
static void test_reneging_has_a_least_time(void)
{
	in_flight(&sack_setup, 10);
	w.tcb.srtt = 1000;
	sack(0, 0, 1);
	CHECK_EQ(w.tcb.t_rexmt, w.now + TCP_RENEGE_MIN);
	drop_seen();
	end_world();
}

/* What the reordering timer finds lost behind a front that left again has a timeout of its own. */
static void test_reordering_timer_restarts_the_timeout(void)
{
	in_flight(&sack_setup, 10);
	w.tcb.rack_reordered = true;
	sack(0, 1, 2);
	advance(RTT / 4 + US_PER_MS);
	CHECK(w.tcb.in_recovery);
	expect_segment(0);
	advance(US_PER_MS);
	inject(". 1:1 ack 1 sack %u:%u %u:%u", at(6), at(7), at(1), at(4));
	CHECK_EQ(w.tcb.probe_kind, TCP_PROBE_REORDER);
	weft_time_us due = w.tcb.t_probe;

	CHECK(due > w.now && due != WEFT_TIME_NEVER);
	drop_seen();
	pass_time(due, false);
	CHECK(w.tcb.sb->lost >= 2 * MSS);
	CHECK_EQ(w.tcb.t_rexmt, due + w.tcb.rto);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_rack", UNIT(three_segments_above_a_hole_start_recovery),
	  UNIT(blocks_of_one_ack_are_not_reordering), UNIT(only_the_holes_are_sent_again),
	  UNIT(reordering_timer_finds_the_loss), UNIT(reordering_is_seen_and_waited_for),
	  UNIT(ack_of_the_original_is_not_of_the_retransmission),
	  UNIT(timeout_waits_for_the_reordering_timer), UNIT(timeout_spares_what_is_fresh),
	  UNIT(sacks_above_the_recovery_point_stay), UNIT(rack_ignores_acks_of_the_original),
	  UNIT(only_new_sacks_count_as_duplicates), UNIT(overtaken_ack_is_no_dsack),
	  UNIT(dsack_makes_the_window_wider_once_a_round_trip),
	  UNIT(lost_retransmission_is_found_without_a_timeout), UNIT(timeout_does_not_go_back),
	  UNIT(shrunk_window_is_probed_and_repaired), UNIT(limited_transmit),
	  UNIT(min_rtt_is_windowed), UNIT(old_echo_is_of_the_original),
	  UNIT(retransmission_is_no_reordering), UNIT(small_segments_count_by_their_holes),
	  UNIT(window_grows_in_each_round_up_to_the_round_trip),
	  UNIT(no_wait_while_something_is_repaired), UNIT(front_that_arrived_is_not_sent),
	  UNIT(new_data_leaves_the_reordering_timer), UNIT(reneging_has_a_least_time),
	  UNIT(reordering_timer_restarts_the_timeout))
