/*
 * How the window comes down after a congestion mark: by PRR over the round trip that follows (RFC 9937),
 * once for marks and losses of one window, and for good whatever is undone.
 */
#include "path.h"

/* New segments that were sent; none has left before. */
static unsigned fresh(void)
{
	unsigned n = 0;

	for (const struct text *t; (t = take_seen()) != NULL;) {
		CHECK(!t->retransmit);
		n += t->len > 0;
	}
	return n;
}

/* 16 leave while 20 arrive: no pause of more than two ACKs, never two at once. */
static void comes_down(const struct setup *setup)
{
	unsigned sent = 0, pause = 0;

	marked_flight(setup, 20);
	for (unsigned i = 1; i <= 20; i++) {
		uint32_t before = w.tcb.cc.cwnd;

		inject("%s 1:1 ack %u", i == 1 ? ".E" : ".", at(i));
		unsigned n = fresh();

		sent += n;
		pause = n == 0 ? pause + 1 : 0;
		CHECK(n <= 1 && pause <= 2);
		CHECK(w.tcb.cc.cwnd <= before);
		CHECK(10 * sent <= 8 * i && 10 * sent + 20 >= 8 * i);
	}
	CHECK_EQ(sent, 16);
	CHECK_EQ(w.tcb.cc.cwnd, 16 * MSS);
	CHECK(!w.tcb.sb->in_cwr);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	/* Then it grows again. */
	for (unsigned i = 21; i <= 38; i++) {
		ack(i);
		fresh();
	}
	CHECK_EQ(w.tcb.cc.cwnd, 17 * MSS);
	end_world();
}

static void test_window_comes_down_over_a_round_trip(void)
{
	comes_down(&sack_setup);
	comes_down(&plain_setup);
}

/* RFC 3168 6.1.2: marks and losses of one window are one congestion, as large as a loss (RFC 8511 4.1). */
static void test_loss_after_a_mark_reduces_once(void)
{
	marked_flight(&sack_setup, 20);
	inject(".E 1:1 ack %u", at(2));
	CHECK_EQ(w.tcb.cc.ssthresh, 16 * MSS);
	sack(2, 3, 12);
	CHECK(w.tcb.in_recovery && !w.tcb.sb->in_cwr);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS); /* half of what it was before both */
	inject(". 1:1 ack %u", w.tcb.recover + 1 - w.iss);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	drop_seen();
	/* Without SACK. */
	marked_flight(&plain_setup, 20);
	inject(".E 1:1 ack %u", at(2));
	for (unsigned i = 0; i < 3; i++)
		ack(2);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	drop_seen();
	end_world();
}

static void test_timeout_after_a_mark_reduces_once(void)
{
	marked_flight(&sack_setup, 20);
	inject(".E 1:1 ack %u", at(2));
	pass_time(w.now + 60 * US_PER_S, true);
	while (!w.tcb.rto_recovery) {
		drop_seen();
		pass_time(w.now + 60 * US_PER_S, true);
	}
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	CHECK(!w.tcb.sb->in_cwr);
	drop_seen();
	end_world();
}

/* The loss was none; the mark remains. */
static void test_undo_leaves_what_a_mark_reduced(void)
{
	marked_flight(&sack_ts_setup, 20);
	uint32_t mss = w.tcb.mss, first = w.ts_last;

	advance(RTT);
	inject(".E 1:1 ack %u ts 100000 %u", at(2), first);
	inject(". 1:1 ack %u sack %u:%u ts 100001 %u", at(2), at(3), at(8), first);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * mss);
	advance(10 * US_PER_MS);
	inject(". 1:1 ack %u ts 100002 %u", at(8), first);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 1);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 16 * mss);
	CHECK_EQ(w.tcb.cc.cwnd, 16 * mss);
	drop_seen();
	end_world();
}

/* Two segments: one, at once; what is in flight makes no third. */
static void test_small_window_is_cut_at_once(void)
{
	marked_flight(&sack_setup, 2);
	inject(".E 1:1 ack %u", at(1));
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	CHECK_EQ(fresh(), 0);
	ack(2);
	CHECK(!w.tcb.sb->in_cwr);
	CHECK_EQ(fresh(), 1);
	end_world();
}

/* A mark on the last of a flight: nothing is left that could bring the window down. */
static void test_mark_on_the_last_segment(void)
{
	marked_flight(&sack_setup, 10);
	for (unsigned i = 1; i < 30; i++) {
		ack(i);
		fresh();
	}
	uint32_t cwnd = w.tcb.cc.cwnd;

	inject(".E 1:1 ack %u", at(30));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	CHECK(!w.tcb.sb->in_cwr);
	CHECK(w.tcb.cc.cwnd < cwnd && w.tcb.cc.cwnd == w.tcb.cc.ssthresh);
	end_world();
}

/* More is in flight than the window has, since it was cut: a mark makes it no larger. */
static void test_a_mark_makes_no_window_larger(void)
{
	marked_flight(&sack_setup, 20);
	w.tcb.cc.cwnd = 15 * MSS;
	ack(2);
	CHECK_EQ(fresh(), 0);
	uint32_t cwnd = w.tcb.cc.cwnd;

	inject(".E 1:1 ack %u", at(2));
	CHECK(w.tcb.sb->in_cwr);
	CHECK(w.tcb.cc.cwnd <= cwnd);
	inject(".E 1:1 ack %u", at(2)); /* nothing new: no reason to look again */
	CHECK(w.tcb.cc.cwnd <= cwnd);
	inject(". 1:1 ack %u", at(3));
	CHECK(w.tcb.cc.cwnd <= cwnd);
	CHECK_EQ(fresh(), 0);
	end_world();
}

/* A controller with a window of its own takes over: nothing else moves it. */
static void test_another_controller_takes_over(void)
{
	static max_align_t more[256];

	marked_flight(&sack_setup, 20);
	inject(".E 1:1 ack %u", at(1));
	CHECK(w.tcb.sb->in_cwr);
	CHECK(tcp_cc_bbr.more_size <= sizeof(more));
	tcp_set_congestion(&w.tcb, &tcp_cc_bbr, more, w.now);
	for (unsigned i = 2; i <= 20; i++) {
		uint32_t before = w.tcb.cc.cwnd;

		inject(". 1:1 ack %u", at(i));
		CHECK(w.tcb.cc.cwnd <= before + MSS);
		drop_seen();
	}
	CHECK(!w.tcb.sb->in_cwr);
	end_world();
}

/* A tail loss probe that repaired a loss of the same window is that window's congestion, too. */
static void test_probe_after_a_mark_reduces_once(void)
{
	marked_flight(&sack_setup, 13);
	w.tcb.cc.cwnd = 60 * MSS;
	ack(1);
	CHECK_EQ(w.tcb.snd_nxt - w.iss, at(39));
	drop_seen();
	w.tcb.cc.ssthresh = 32 * MSS;
	inject(".E 1:1 ack %u", at(2));
	uint32_t ssthresh = w.tcb.cc.ssthresh;

	CHECK(w.tcb.sb->in_cwr);
	pass_time(w.now + US_PER_S, true);
	expect_segment(38);
	CHECK_EQ(count_of(C_TCP_TLP_PROBE), 1);
	w.tcb.cc.cwnd = 80 * MSS;
	send_bytes(MSS);
	CHECK_EQ(w.tcb.snd_nxt - w.iss, at(40));
	drop_seen();
	ack(40);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 1);
	CHECK_EQ(w.tcb.cc.ssthresh, (uint64_t)ssthresh * 5 / 8);
	drop_seen();
}

/* pipeACK is of a window that is no more (RFC 7661 4.4.1). */
static void test_mark_ends_what_was_known_of_the_window(void)
{
	marked_flight(&sack_setup, 20);
	ack(1);
	CHECK(w.tcb.sb->pipe_known);
	inject(".E 1:1 ack %u", at(2));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	CHECK(!w.tcb.sb->pipe_known);
	drop_seen();
	end_world();
}

/* One ACK for all of it: the window is where it was to arrive. */
static void test_round_trip_that_ends_at_once(void)
{
	marked_flight(&sack_setup, 20);
	inject(".E 1:1 ack %u", at(1));
	CHECK(w.tcb.sb->in_cwr && w.tcb.cc.cwnd > 16 * MSS);
	drop_seen();
	inject(". 1:1 ack %u", w.tcb.sb->cwr_end - w.iss);
	CHECK(!w.tcb.sb->in_cwr);
	CHECK_EQ(w.tcb.cc.cwnd, 16 * MSS);
	drop_seen();
	end_world();
}

/* A message of the path resends all, which is no congestion: a mark meanwhile is. */
static void test_mark_while_the_path_got_smaller(void)
{
	unsigned events = 0;

	marked_flight(&sack_setup, 20);
	tcp_set_path_mss(&w.tcb, 1000, &events);
	after_call(events);
	CHECK(w.tcb.rto_recovery);
	drop_seen();
	uint32_t cwnd = w.tcb.cc.cwnd;

	inject(".E 1:1 ack 1001");
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	CHECK(w.tcb.cc.ssthresh < cwnd);
	drop_seen();
	end_world();
}

/* However often in a row one segment is too much: not longer than a timeout may be. */
static void test_hold_is_bounded(void)
{
	marked_flight(&sack_setup, 1);
	w.tcb.ecn_holds = 20;
	inject(".E 1:1 ack %u", at(1));
	CHECK_EQ(w.tcb.ecn_holds, 21);
	CHECK_EQ(w.tcb.last_snd + w.tcb.pace_wait, w.now + w.cfg.rto_max);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_ecn_cwr", UNIT(window_comes_down_over_a_round_trip),
	  UNIT(loss_after_a_mark_reduces_once), UNIT(timeout_after_a_mark_reduces_once),
	  UNIT(undo_leaves_what_a_mark_reduced), UNIT(small_window_is_cut_at_once),
	  UNIT(mark_on_the_last_segment), UNIT(another_controller_takes_over),
	  UNIT(a_mark_makes_no_window_larger), UNIT(probe_after_a_mark_reduces_once),
	  UNIT(mark_ends_what_was_known_of_the_window), UNIT(round_trip_that_ends_at_once),
	  UNIT(mark_while_the_path_got_smaller), UNIT(hold_is_bounded))
