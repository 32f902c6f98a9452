/*
 * What the path takes: "too big" messages believed at once or after a timeout (RFC 1191, RFC 8201,
 * RFC 5927 7.2), and black holes (RFC 4821, RFC 8899).
 */
#include "mtu_script.h"

/* Nothing was acknowledged yet: believed; all goes out again, once, though cwnd is not for loss. */
static void test_message_is_believed_at_once(void)
{
	begin(0);
	send_bytes(4 * MSS);
	uint32_t cwnd = w.tcb.cc.cwnd, ssthresh = w.tcb.cc.ssthresh;

	drop_seen();
	CHECK_EQ(too_big(1, 1000), DROP_NONE);
	CHECK(events & TCP_EV_PATH_MTU);
	CHECK_EQ(w.tcb.mss_path, 1000);
	for (uint32_t at = 1; at + 1000 <= 4 * MSS; at += 1000)
		expect(". %u:%u ack 1", at, at + 1000);
	expect("P. 5001:5841 ack 1");
	expect_none();
	CHECK_EQ(w.counters.value[C_TCP_PMTU_LOWERED], 1);
	CHECK_EQ(w.counters.value[C_TCP_RTO] + w.counters.value[C_TCP_FAST_RETRANS], 0);
	CHECK_EQ(w.tcb.cc.ssthresh, ssthresh);
	/* RFC 5681 3.1: the initial window shrinks as the segments do. */
	CHECK_EQ(w.tcb.cc.cwnd, (uint64_t)cwnd * 1000 / MSS);
	inject(". 1:1 ack 5841");
	send_bytes(2000);
	expect(". 5841:6841 ack 1");
	drop_seen();
	end_world();
}

/* RFC 1191 6.4: a message for every segment of a window is one retransmission of each. */
static void test_burst_of_messages_resends_once(void)
{
	begin(0);
	send_bytes(5 * MSS);
	drop_seen();
	CHECK_EQ(too_big(1, 1000), DROP_NONE);
	drop_seen();
	for (unsigned i = 1; i < 5; i++)
		CHECK_EQ(too_big(1 + i * MSS, 1000), DROP_ICMP_MTU);
	expect_none();
	end_world();
}

/* RFC 5927 7.2: while segments of that size get through a message has to wait for a timeout. */
static void test_forged_message_on_progress_changes_nothing(void)
{
	begin_proved(0);
	send_bytes(3 * MSS);
	drop_seen();
	CHECK_EQ(too_big(1461, 512), DROP_NONE);
	CHECK_EQ(w.counters.value[C_TCP_PMTU_HELD], 1);
	CHECK_EQ(w.tcb.mss, MSS);
	expect_none();
	inject(". 1:1 ack %u", 1 + 4 * MSS);
	send_bytes(MSS);
	advance(5 * (weft_time_us)US_PER_S);
	CHECK_EQ(w.tcb.mss, MSS);
	CHECK_EQ(w.counters.value[C_TCP_PMTU_LOWERED], 0);
	drop_seen();
	end_world();
}

static void test_true_message_is_believed_after_a_timeout(void)
{
	begin_proved(0);
	send_bytes(3 * MSS);
	drop_seen();
	CHECK_EQ(too_big(1461, 1000), DROP_NONE);
	expect_none();
	take_events();
	pass_time(w.now + 10 * (weft_time_us)US_PER_S, true);
	expect(". 1461:2461 ack 1");
	CHECK(take_events() & TCP_EV_PATH_MTU);
	CHECK_EQ(w.tcb.mss_path, 1000);
	CHECK_EQ(w.counters.value[C_TCP_PMTU_LOWERED], 1);
	drop_seen();
	end_world();
}

static void test_what_is_not_in_flight_is_refused(void)
{
	begin(0);
	send_bytes(2 * MSS);
	drop_seen();
	CHECK_EQ(too_big(0, 1000), DROP_ICMP_SEQ);
	CHECK_EQ(too_big(1 + 2 * MSS, 1000), DROP_ICMP_SEQ);
	CHECK_EQ(w.tcb.mss, MSS);
	inject(". 1:1 ack %u", 1 + 2 * MSS);
	CHECK_EQ(too_big(1, 1000), DROP_ICMP_SEQ);
	/* As large as what is sent, or larger: it never raises. */
	send_bytes(2 * MSS);
	CHECK_EQ(too_big(1 + 2 * MSS, MSS), DROP_ICMP_MTU);
	CHECK_EQ(too_big(1 + 2 * MSS, 8960), DROP_ICMP_MTU);
	drop_seen();
	end_world();
}

static void test_syn_is_never_too_big(void)
{
	syn_sent(&plain_setup);
	drop_seen();
	CHECK_EQ(too_big(0, 1000), DROP_ICMP_MTU);
	CHECK_STATE(TCPS_SYN_SENT);
	abort_app(0);
	end_world();
	time_wait(&plain_setup);
	CHECK_EQ(tcp_too_big(&w.tcb, w.iss, 1000, &events), DROP_ICMP_NO_CONN);
	drop_seen();
	end_world();
}

/* With a small peer the path's size counts only below that; options come off. */
static void test_path_and_peer_and_options(void)
{
	struct setup setup = plain_setup;

	setup.ts = true;
	setup.mss_peer = 1000;
	established(&setup);
	CHECK_EQ(w.tcb.mss, 988);
	send_bytes(3000);
	drop_seen();
	CHECK_EQ(too_big(1, 1000), DROP_ICMP_MTU);
	CHECK_EQ(too_big(1, 999), DROP_NONE);
	CHECK_EQ(w.tcb.mss, 987);
	drop_seen();
	path_mss(MSS); /* grown too old: but never above what the peer takes */
	CHECK_EQ(w.tcb.mss, 988);
	CHECK_EQ(w.tcb.cc.mss, 988);
	path_mss(9000);
	CHECK_EQ(w.tcb.mss_path, MSS);
	end_world();
}

/* Another connection learnt it: what is in flight was too big, too. */
static void test_news_of_the_path(void)
{
	begin_proved(0);
	send_bytes(3 * MSS);
	drop_seen();
	path_mss(1000);
	CHECK(!(events & TCP_EV_PATH_MTU));
	expect(". 1461:2461 ack 1");
	drop_seen();
	inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	path_mss(900);
	expect_none();
	send_bytes(1000);
	expect(". 5841:6741 ack 1");
	drop_seen();
	end_world();
}

/* What lies in a message that comes during recovery must not leave the window inflated. */
static void test_message_ends_recovery(void)
{
	begin(0);
	send_bytes(10 * MSS);
	drop_seen();
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack 1");
	CHECK(w.tcb.in_recovery);
	drop_seen();
	CHECK_EQ(too_big(1, 1000), DROP_NONE);
	CHECK(!w.tcb.in_recovery);
	expect(". 1:1001 ack 1");
	CHECK(w.tcb.cc.cwnd <= 10 * MSS);
	drop_seen();
	inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	drop_seen();
	end_world();
}

/* What Nagle held back is a full segment of the new size. */
static void test_smaller_segments_are_full_sooner(void)
{
	for (unsigned told = 0; told < 2; told++) {
		begin(0);
		send_bytes(10);
		expect("P. 1:11 ack 1");
		send_bytes(1100);
		expect_none();
		if (told)
			CHECK_EQ(too_big(1, 1000), DROP_NONE);
		else
			path_mss(1000);
		expect(". 11:1011 ack 1");
		drop_seen();
		end_world();
	}
}

/* ---- Packetization layer path MTU discovery. ---- */

/* Times out three times at full size: smaller then, at last a search upwards. */
static void test_black_hole(void)
{
	begin(1);
	send_bytes(4 * MSS);
	drop_seen();
	expect_after(200 * US_PER_MS, ". 1:1461 ack 1");
	expect_after(400 * US_PER_MS, ". 1:1461 ack 1");
	CHECK_EQ(w.tcb.mss, MSS);
	expect_after(800 * US_PER_MS, ". 1:1241 ack 1");
	CHECK_EQ(w.counters.value[C_TCP_MTU_BLACK_HOLE], 1);
	/* 1,280 does not pass either: 576, IPv4's last. */
	expect_after(1600 * US_PER_MS, ". 1:1241 ack 1");
	expect_after(3200 * US_PER_MS, ". 1:537 ack 1");
	expect_after(6400 * US_PER_MS, ". 1:537 ack 1");
	expect_after(12800 * US_PER_MS, ". 1:537 ack 1");
	CHECK_EQ(w.counters.value[C_TCP_MTU_BLACK_HOLE], 2);
	end_world();
}

static void test_black_hole_of_ipv6(void)
{
	struct setup setup = plain_setup;

	setup.is_v6 = true;
	established(&setup);
	w.cfg.mtu_probing = 1;
	send_bytes(4 * MSS);
	drop_seen();
	advance(100 * (weft_time_us)US_PER_S);
	CHECK_EQ(w.tcb.mss, 1220);
	CHECK_EQ(w.counters.value[C_TCP_MTU_BLACK_HOLE], 1);
	drop_seen();
	end_world();
}

static void test_no_black_hole_without_probing_or_cause(void)
{
	begin(0);
	send_bytes(4 * MSS);
	advance(100 * (weft_time_us)US_PER_S);
	CHECK_EQ(w.tcb.mss, MSS);
	drop_seen();
	/* A small segment that vanishes says nothing about sizes. */
	begin(1);
	send_bytes(SMALL_BASE);
	advance(100 * (weft_time_us)US_PER_S);
	CHECK_EQ(w.tcb.mss, MSS);
	drop_seen();
	end_world();
}

/* A window smaller than a segment, on a path that takes still less. */
static void test_black_hole_in_a_small_window(void)
{
	begin(1);
	w.tcb.max_snd_wnd = 1300;
	inject(". 1:1 ack 1 win 1300");
	send_bytes(4 * MSS);
	expect(". 1:1301 ack 1");
	expect_after(200 * US_PER_MS, ". 1:1301 ack 1");
	advance(400 * US_PER_MS);
	drop_seen();
	expect_after(800 * US_PER_MS, ". 1:1241 ack 1");
	end_world();
}

/* Less than 1,280 bytes: the size that IPv4 has in the end, when a full segment would have it. */
static void test_black_hole_below_the_first_size(void)
{
	begin(1);
	send_bytes(1000);
	expect("P. 1:1001 ack 1");
	advance((200 + 400 + 800 + 1600) * US_PER_MS);
	CHECK_EQ(w.tcb.mss, MSS);
	drop_seen();
	expect_after(3200 * US_PER_MS, ". 1:537 ack 1");
	CHECK_EQ(w.tcb.mss, SMALL_BASE);
	CHECK_EQ(w.counters.value[C_TCP_MTU_BLACK_HOLE], 1);
	end_world();
}

/*
 * What is small gets through behind it, so that there is no timeout: so many losses in a row of its
 * retransmission count instead.
 */
static void test_black_hole_behind_small_segments(void)
{
	struct setup setup = plain_setup;
	unsigned full = 0;

	setup.sack = true;
	established(&setup);
	w.cfg.mtu_probing = 1;
	tcp_set_nodelay(&w.tcb, true, &events);
	send_bytes(MSS);
	drop_seen();
	for (unsigned i = 1; i <= 60 && w.tcb.mss == MSS; i++) {
		advance(US_PER_MS);
		w.tcb.cc.cwnd = 20 * MSS; /* much is under way, as a rule */
		send_bytes(10);
		advance(5 * US_PER_MS);
		inject(". 1:1 ack 1 sack %u:%u", 1 + MSS, 1 + MSS + 10 * i);
		while (seen_count() > 0)
			full += take_seen()->len == MSS;
	}
	CHECK_EQ(w.counters.value[C_TCP_RTO], 0);
	CHECK_EQ(w.counters.value[C_TCP_MTU_BLACK_HOLE], 1);
	CHECK_EQ(w.tcb.mss, BASE);
	CHECK_EQ(full, 8);
	drop_seen();
	end_world();
}

/* The same when a message that had to wait says how large: three losses in a row prove it right. */
static void test_claim_behind_small_segments(void)
{
	struct setup setup = plain_setup;

	setup.sack = true;
	established(&setup);
	w.cfg.mtu_probing = 0;
	tcp_set_nodelay(&w.tcb, true, &events);
	send_bytes(MSS);
	inject(". 1:1 ack %u", 1 + MSS);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROVED);
	send_bytes(MSS);
	CHECK_EQ(too_big(1 + MSS, 1000), DROP_NONE);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_CLAIMED);
	for (unsigned i = 1; i <= 20 && w.tcb.mss == MSS; i++) {
		advance(US_PER_MS);
		w.tcb.cc.cwnd = 20 * MSS;
		send_bytes(10);
		advance(5 * US_PER_MS);
		inject(". 1:1 ack %u sack %u:%u", 1 + MSS, 1 + 2 * MSS, 1 + 2 * MSS + 10 * i);
	}
	CHECK_EQ(w.counters.value[C_TCP_RTO], 0);
	CHECK_EQ(w.tcb.mss, 1000);
	drop_seen();
	end_world();
}

/* A recovery that began with small segments ends with at least one of the new size. */
static void test_larger_segments_in_recovery(void)
{
	struct setup setup = plain_setup;

	setup.sack = true;
	established(&setup);
	path_mss(500);
	send_bytes(4000);
	drop_seen();
	inject(". 1:1 ack 1 sack 501:4001");
	CHECK(w.tcb.in_recovery);
	w.tcb.cc.ssthresh = w.tcb.cc.undo_ssthresh = 1000;
	path_mss(MSS);
	CHECK(w.tcb.cc.ssthresh >= 2 * MSS);
	CHECK(w.tcb.cc.undo_ssthresh >= 2 * MSS);
	inject(". 1:1 ack 4001");
	CHECK(!w.tcb.in_recovery);
	CHECK(w.tcb.cc.cwnd >= MSS);
	drop_seen();
	end_world();
}

/* What lies before the segment that a claim quotes proves nothing of that one. */
static void test_progress_up_to_a_claim_proves_nothing(void)
{
	begin_proved(0);
	send_bytes(3 * MSS);
	drop_seen();
	CHECK_EQ(too_big(1 + 2 * MSS, 1000), DROP_NONE);
	inject(". 1:1 ack %u", 1 + 2 * MSS);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_CLAIMED);
	drop_seen();
	pass_time(w.now + 10 * US_PER_S, true);
	CHECK_EQ(w.tcb.mss, 1000);
	drop_seen();
	end_world();
}

/* The peer took its window back: what times out is small, and no reason to think of sizes. */
static void test_small_window_is_no_black_hole(void)
{
	begin(1);
	send_bytes(4 * MSS);
	drop_seen();
	advance((200 + 400 + 10) * US_PER_MS);
	CHECK_EQ(w.counters.value[C_TCP_RTO], 2);
	inject(". 1:1 ack 1 win 500");
	advance(100 * (weft_time_us)US_PER_S);
	CHECK(w.counters.value[C_TCP_RTO] > 5);
	CHECK_EQ(w.counters.value[C_TCP_MTU_BLACK_HOLE], 0);
	CHECK_EQ(w.tcb.mss, MSS);
	drop_seen();
	end_world();
}

/* A loss of the front's retransmission counts once, whatever else is lost before it leaves again. */
static void test_loss_of_the_front_counts_once(void)
{
	struct setup setup = plain_setup;

	setup.sack = true;
	established(&setup);
	w.cfg.mtu_probing = 1;
	tcp_set_nodelay(&w.tcb, true, &events);
	send_bytes(MSS);
	for (unsigned i = 0; i < 4; i++)
		send_bytes(10);
	advance(5 * US_PER_MS);
	for (unsigned i = 1; i <= 4; i++)
		inject(". 1:1 ack 1 sack %u:%u", 1 + MSS, 1 + MSS + 10 * i);
	CHECK_EQ(w.tcb.bytes_retrans, MSS);
	advance(US_PER_MS);
	w.tcb.cc.cwnd = 20 * MSS;
	for (unsigned i = 0; i < 3; i++)
		send_bytes(10);
	drop_seen();
	advance(6 * US_PER_MS);
	begin_batch();
	inject(". 1:1 ack 1 sack %u:%u", 1 + MSS, 1 + MSS + 50);
	CHECK_EQ(w.tcb.sb->front_count, 1);
	inject(". 1:1 ack 1 sack %u:%u %u:%u", 1 + MSS + 60, 1 + MSS + 70, 1 + MSS, 1 + MSS + 50);
	CHECK(w.tcb.sb->lost > MSS);
	CHECK_EQ(w.tcb.sb->front_count, 1);
	end_batch();
	drop_seen();
	end_world();
}

/* A window of one small segment is one of the new size behind a path that takes more. */
static void test_window_is_a_larger_segment_at_least(void)
{
	begin(0);
	path_mss(500);
	w.tcb.cc.cwnd = 500;
	path_mss(MSS);
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	end_world();
}

UNIT_MAIN("tcp_mtu", UNIT(message_is_believed_at_once), UNIT(burst_of_messages_resends_once),
	  UNIT(forged_message_on_progress_changes_nothing),
	  UNIT(true_message_is_believed_after_a_timeout), UNIT(what_is_not_in_flight_is_refused),
	  UNIT(syn_is_never_too_big), UNIT(path_and_peer_and_options), UNIT(news_of_the_path),
	  UNIT(message_ends_recovery), UNIT(black_hole), UNIT(black_hole_of_ipv6),
	  UNIT(no_black_hole_without_probing_or_cause), UNIT(black_hole_in_a_small_window),
	  UNIT(black_hole_below_the_first_size), UNIT(smaller_segments_are_full_sooner),
	  UNIT(black_hole_behind_small_segments), UNIT(claim_behind_small_segments),
	  UNIT(larger_segments_in_recovery), UNIT(progress_up_to_a_claim_proves_nothing),
	  UNIT(small_window_is_no_black_hole), UNIT(loss_of_the_front_counts_once),
	  UNIT(window_is_a_larger_segment_at_least))
