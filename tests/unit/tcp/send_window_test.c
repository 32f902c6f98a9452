/*
 * The peer's window as a sender meets it: which segments may set it, how long the first timeout
 * behind a closed one takes, and what is sent again while it is small.
 */
#include "net/tcp/parts.h"
#include "path.h"

static const struct setup plain = {.iss = 1000, .irs = 5000000};

/* One segment acknowledged, the window closed, and 'n' bytes wait. */
static void closed_window(const struct setup *setup, uint32_t n)
{
	in_flight(setup, 1);
	inject(". 1:1 ack %u win 0", at(1));
	send_bytes(n);
	expect_none();
}

/* RFC 9293 3.10.7.4: SND.WND follows only what acknowledges SND.UNA or more. */
static void test_old_ack_sets_no_window(void)
{
	in_flight(&plain, 3);
	ack(2);
	CHECK_EQ(w.tcb.snd_wnd, w.peer_wnd);
	inject(". 101:201 ack %u win 1000", at(1)); /* newer than what set it last */
	CHECK_EQ(w.tcb.snd_wnd, w.peer_wnd);
	inject(". 201:301 ack %u win 1000", at(2));
	CHECK_EQ(w.tcb.snd_wnd, 1000);
	ack(3);
	drop_seen();
}

/* How far the probes had backed off says nothing about the path behind the window. */
static void test_timeout_behind_a_closed_window_is_that_of_the_path(void)
{
	closed_window(&plain, MSS);
	for (unsigned i = 0; i < 5; i++) {
		pass_time(w.now + 60LL * US_PER_S, true);
		CHECK_EQ(seen_count(), 1);
		drop_seen();
		inject(". 1:1 ack %u win 0", at(1));
	}
	CHECK(w.tcb.backoff >= 4);
	inject(". 1:1 ack %u win 65535", at(1));
	expect_segment(1);
	CHECK_EQ(w.tcb.backoff, 0);
	CHECK_EQ(w.tcb.t_rexmt, w.now + w.tcb.rto);
}

/* Four lost, and a window that was taken back to one and a half: no more than that goes again. */
static void test_lost_data_keeps_to_a_window_that_shrank(void)
{
	in_flight(&sack_setup, 10);
	inject(". 1:1 ack 1 win %u sack %u:%u", MSS + MSS / 2, at(4), at(10));
	expect_segment(0);
	const struct text *t = take_seen();
	CHECK(t && t->seq - w.iss == at(1) && t->len == MSS / 2);
	expect_none();
	inject(". 1:1 ack %u win 65535 sack %u:%u", at(1), at(4), at(10));
	CHECK(seen_count() > 0);
	drop_seen();
	/* What is lost behind a hole that was filled is beyond the window as a whole. */
	in_flight(&sack_setup, 10);
	inject(". 1:1 ack 1 win %u sack %u:%u %u:%u", MSS + MSS / 2, at(1), at(2), at(4), at(10));
	expect_segment(0);
	expect_none();
	end_world();
}

/* RFC 6298 3, 5.7: a sample ends the backoff, though the repair goes on. */
static void test_sample_ends_the_backoff(void)
{
	in_flight(&ts_setup, 3);
	while (count_of(C_TCP_RTO) < 3)
		pass_time(w.now + US_PER_MS, false);
	CHECK_EQ(w.tcb.backoff, 3);
	drop_seen();
	advance(RTT);
	ack(1);
	CHECK(w.tcb.rto_recovery);
	CHECK_EQ(w.tcb.backoff, 0);
	drop_seen();
	end_world();
}

/* What is lost has its time at a bounded rate, like new data. */
static void test_lost_data_keeps_the_rate(void)
{
	in_flight(&sack_setup, 10);
	tcp_set_pacing_max(&w.tcb, 100 * MSS);
	w.tcb.cc.cwnd = 20 * MSS;
	sack(0, 6, 10);
	CHECK(w.tcb.in_recovery);
	unsigned burst = seen_count();

	CHECK(burst > 0 && burst <= 2);
	w.tcb.cc.ops = &tcp_cc_newreno;
	drop_seen();
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u sack %u:%u", at(1), at(6), at(10));
	CHECK(w.tcb.cc.cwnd > sb_pipe(&w.tcb));
	expect_none();
	drop_seen();
	end_world();
}

/* A probe of a closed window is all that is out: what answers it is no duplicate, and nothing was lost. */
static void test_answers_to_a_probe_are_no_duplicates(void)
{
	in_flight(&plain, 1);
	w.cfg.rto_min = 3 * US_PER_S; /* the scoreboard outlives the first probe */
	inject(". 1:1 ack %u win 100", at(1));
	send_bytes(MSS);
	expect_none();
	CHECK(w.tcb.t_persist <= w.now + US_PER_S);
	inject(". 1:1 ack %u win 0", at(1));
	while (w.tcb.snd_max == w.tcb.snd_nxt)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	CHECK(w.tcb.sb && w.tcb.snd_nxt == w.tcb.snd_una);
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u win 0", at(1));
	CHECK_EQ(w.tcb.dupacks, 0);
	CHECK_EQ(count_of(C_TCP_DUP_ACK_IN), 0);
	CHECK(!w.tcb.in_recovery);
	expect_none();
	end_world();
}

/* F-RTO: new data that the peer's window has no room for is none; what counts as lost goes. */
static void test_frto_with_a_full_window(void)
{
	in_flight(&plain, 10);
	send_bytes(10 * MSS);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	drop_seen();
	advance(RTT);
	inject(". 1:1 ack %u win %u", at(1), 9 * MSS);
	expect_segment(1);
	drop_seen();
}

/* RFC 6582 3.2 (3): a recovery that ends with nothing in flight lets no burst out. */
static void test_end_of_recovery_without_sack(void)
{
	in_flight(&plain, 10);
	for (unsigned i = 0; i < 3; i++)
		ack(0);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	w.tcb.cc.acked = MSS; /* nor is anything counted towards the next segment */
	ack(10);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 5 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 2 * MSS);
	CHECK_EQ(w.tcb.cc.acked, 0);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_send_window", UNIT(old_ack_sets_no_window),
	  UNIT(timeout_behind_a_closed_window_is_that_of_the_path),
	  UNIT(lost_data_keeps_to_a_window_that_shrank), UNIT(sample_ends_the_backoff),
	  UNIT(lost_data_keeps_the_rate), UNIT(answers_to_a_probe_are_no_duplicates),
	  UNIT(frto_with_a_full_window), UNIT(end_of_recovery_without_sack))
