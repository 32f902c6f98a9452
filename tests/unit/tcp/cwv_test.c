/*
 * Congestion window validation (RFC 7661): when a window counts as proved, what becomes of one that is
 * not, by time and by loss, and how it may be used.  And the spreading of what a recovery leaves room
 * for (RFC 9937).
 */
#include "path.h"

enum { NVP = 300 };

static const struct setup wide = {.iss = 0xffffe000u, .irs = 5000000, .sack = true, .wscale = true};

/* 'n' segments in flight for a round trip. */
static void fly(unsigned n)
{
	open_path(&wide);
	inject(". 1:1 ack 1"); /* the window of a SYN is not scaled */
	w.tcb.cc.cwnd = n * MSS;
	send_bytes(n * MSS);
	CHECK_EQ(seen_count(), n);
	drop_seen();
	advance(RTT);
}

/* 'n' segments go and are acknowledged a round trip later. */
static void exchange(unsigned n)
{
	send_bytes(n * MSS);
	drop_seen();
	advance(RTT);
	inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
	drop_seen();
}

/* A connection with a window of 'segments' that a full round trip has proved. */
static void proved(unsigned segments)
{
	fly(segments);
	ack(segments);
	w.tcb.cc.cwnd = segments * MSS;
	exchange(segments);
	CHECK_EQ(w.tcb.snd_una, w.tcb.snd_max);
	CHECK(!w.tcb.nvp);
	w.tcb.cc.cwnd = segments * MSS;
	w.tcb.cc.ssthresh = segments * MSS / 2;
}

/* Which segment is the next to be acknowledged. */
static unsigned next_segment(void)
{
	return (w.tcb.snd_una - w.iss - 1) / MSS;
}

static void test_phase_begins_when_half_the_window_is_not_used(void)
{
	proved(40);
	exchange(20);
	CHECK(!w.tcb.nvp);
	advance(2 * US_PER_S); /* what was more is older than the sampling period */
	CHECK(!w.tcb.nvp);
	send_bytes(19 * MSS);
	CHECK(w.tcb.nvp); /* a pause is no proof */
	advance(RTT);
	inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
	CHECK(w.tcb.nvp);
	drop_seen();
	exchange(20);
	CHECK(!w.tcb.nvp);
	CHECK_EQ(w.tcb.cc.cwnd, 40 * MSS);
}

static void test_most_of_a_sampling_period_counts(void)
{
	proved(40);
	for (unsigned i = 0; i < 12; i++) /* half a second */
		exchange(1);
	CHECK(!w.tcb.nvp);
	for (unsigned i = 0; i < 30; i++) /* 1.6 s in all */
		exchange(1);
	CHECK(w.tcb.nvp);
	CHECK_EQ(w.tcb.cc.cwnd, 40 * MSS);
}

static void test_first_acks_of_a_flight_prove_nothing_yet(void)
{
	fly(10);
	for (unsigned i = 1; i <= 10; i++) {
		ack(i);
		CHECK(!w.tcb.nvp);
	}
	drop_seen();
}

/* Under heavy loss little arrives of a window that is full all the time: that is no unused one. */
static void test_full_window_is_in_use(void)
{
	for (unsigned full = 0; full < 2; full++) {
		proved(40);
		send_bytes(full ? 40 * MSS : 30 * MSS);
		drop_seen();
		struct scoreboard *sb = w.tcb.sb;
		for (unsigned i = 0; i < SB_PIPE_PARTS; i++)
			sb->pipe_ack[i] = 0;
		for (unsigned i = 0; i < sb->cap; i++)
			sb->rec[i].delivered = w.tcb.delivered + 25 * MSS;
		advance(RTT);
		inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
		CHECK_EQ(w.tcb.nvp, !full);
	}
}

static void test_window_survives_a_pause(void)
{
	proved(40);
	advance(10 * US_PER_S);
	send_bytes(40 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 40 * MSS);
	CHECK(w.tcb.nvp);
	drop_seen();
}

/* 4.4.2: no burst, but a window within half a round trip. */
static void test_window_without_proof_is_spread(void)
{
	unsigned sent;

	proved(40);
	advance(10 * US_PER_S);
	send_bytes(80 * MSS);
	sent = seen_count();
	CHECK(sent >= 2 && sent <= 4);
	advance(RTT / 8);
	CHECK(seen_count() >= 8 && seen_count() <= 14);
	advance(RTT / 2);
	CHECK_EQ(seen_count(), 40);
	drop_seen();
}

/* What an initial window allows at once needs no spreading. */
static void test_small_windows_are_not_spread(void)
{
	proved(10);
	advance(10 * US_PER_S);
	send_bytes(20 * MSS);
	CHECK_EQ(seen_count(), 10);
	drop_seen();
}

static void test_window_is_halved_every_five_minutes(void)
{
	proved(80);
	for (unsigned i = 0; i < NVP - 1; i++) {
		exchange(1);
		advance(US_PER_S - RTT);
	}
	CHECK_EQ(w.tcb.cc.cwnd, 80 * MSS);
	for (unsigned i = 0; i < 8; i++) {
		exchange(1);
		advance(US_PER_S - RTT);
	}
	CHECK_EQ(w.tcb.cc.cwnd, 40 * MSS);
	CHECK_EQ(w.tcb.cc.ssthresh, 60 * MSS);
	/* The same without any data: 20, then no less than an initial window. */
	advance(2 * (weft_time_us)NVP * US_PER_S);
	send_bytes(MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
	drop_seen();
}

static void test_hours_without_data(void)
{
	proved(100);
	w.tcb.cc.cwnd = 4000 * MSS;
	advance(20 * 3600ll * US_PER_S); /* the seconds of the phase have wrapped */
	send_bytes(20 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 10 * MSS);
	CHECK_EQ(w.tcb.cc.ssthresh, 3000 * MSS);
	CHECK_EQ(seen_count(), 10);
	drop_seen();
}

/* RFC 6928 2: who lost some of the initial window has a smaller one next time. */
static void test_loss_in_the_initial_window_is_remembered(void)
{
	fly(10);
	sack(0, 1, 10);
	CHECK(w.tcb.in_recovery && w.tcb.iw_lost);
	CHECK_EQ(count_of(C_TCP_IW_LOST), 1);
	advance(RTT);
	ack(10);
	w.tcb.cc.cwnd = 40 * MSS;
	advance(3600ll * US_PER_S);
	send_bytes(20 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 4380);
	drop_seen();
	advance(10 * US_PER_S); /* later ones are nothing new */
	CHECK(w.tcb.rto_recovery);
	CHECK_EQ(count_of(C_TCP_IW_LOST), 1);
	drop_seen();
}

static void test_later_losses_are_none_of_the_initial_window(void)
{
	proved(20);
	send_bytes(20 * MSS);
	drop_seen();
	advance(RTT);
	sack(next_segment(), next_segment() + 1, next_segment() + 20);
	CHECK(w.tcb.in_recovery && !w.tcb.iw_lost);
	CHECK_EQ(count_of(C_TCP_IW_LOST), 0);
	drop_seen();
}

/* 4.4.1: half of what was in use, then less half of what was sent again. */
static void test_loss_counts_from_what_was_in_use(void)
{
	proved(80);
	advance(10 * US_PER_S);
	exchange(20);
	exchange(20);
	CHECK(w.tcb.nvp);
	unsigned next = next_segment();
	send_bytes(8 * MSS);
	advance(RTT);
	drop_seen();
	sack(next, next + 2, next + 8);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS); /* of pipeACK, which is more than the flight */
	CHECK(w.tcb.cc.cwnd <= 10 * MSS);
	CHECK_EQ(w.tcb.bytes_retrans, 2 * MSS);
	advance(RTT);
	ack(next + 8);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, 9 * MSS);
	CHECK_EQ(w.tcb.cc.ssthresh, 9 * MSS);
	CHECK(!w.tcb.nvp && !w.tcb.sb->pipe_known); /* undefined: the usual rules hold */
	drop_seen();
}

static void test_recovery_is_no_measure(void)
{
	proved(20);
	send_bytes(20 * MSS);
	drop_seen();
	advance(RTT);
	unsigned next = next_segment(), end = (w.tcb.snd_nxt - w.iss - 1) / MSS;
	sack(next, next + 1, next + 10);
	CHECK(w.tcb.in_recovery);
	CHECK(!w.tcb.sb->pipe_known);
	sack(next, next + 1, end);
	CHECK(!w.tcb.sb->pipe_known);
	advance(RTT);
	ack(end);
	CHECK(!w.tcb.in_recovery);
	CHECK(!w.tcb.sb->pipe_known);
	/* Few were in flight meanwhile: neither do they measure. */
	advance(RTT);
	inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
	drop_seen();
	CHECK(!w.tcb.nvp);
}

/* CUBIC's share is 0.7, and its plateau is what was in use: not the window without proof. */
static void test_cubic_starts_from_what_was_in_use(void)
{
	open_path(&wide);
	inject(". 1:1 ack 1");
	tcp_cc_start(&w.tcb.cc, &tcp_cc_cubic, MSS, false, w.now);
	w.tcb.cc.cwnd = 80 * MSS;
	w.tcb.cc.ssthresh = 40 * MSS;
	exchange(60);
	exchange(60);
	advance(10 * US_PER_S);
	exchange(20);
	exchange(20);
	CHECK(w.tcb.nvp);
	unsigned next = next_segment();
	send_bytes(20 * MSS);
	advance(RTT);
	drop_seen();
	sack(next, next + 1, next + 20);
	CHECK_EQ(w.tcb.cc.ssthresh, 14 * MSS);
	CHECK(w.tcb.cc.cwnd < 20 * MSS);      /* both at once, RFC 9438 4.6 */
	CHECK_EQ(w.tcb.cc.priv[0], 17 * MSS); /* W_max, with fast convergence */
	drop_seen();
}

static void test_spurious_loss_gives_the_whole_window_back(void)
{
	open_path(&sack_ts_setup);
	w.tcb.cc.cwnd = 80u * w.tcb.mss;
	w.tcb.cc.ssthresh = 40u * w.tcb.mss;
	w.tcb.nvp = true;
	send_bytes(20u * w.tcb.mss);
	drop_seen();
	advance(RTT);
	sack(0, 4, 20);
	CHECK(w.tcb.in_recovery);
	CHECK(w.tcb.cc.cwnd < 20u * w.tcb.mss);
	tcp_cc_undo(&w.tcb.cc);
	CHECK_EQ(w.tcb.cc.cwnd, 80 * w.tcb.mss);
	drop_seen();
}

/* RFC 9937: recovery ends with little in flight; what there is room for is no burst. */
static void test_end_of_a_recovery_is_spread(void)
{
	fly(60);
	send_bytes(100 * MSS);
	drop_seen();
	sack(0, 1, 60);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	advance(RTT);
	w.tcb.sb->prr_delivered = w.tcb.sb->prr_out; /* as if little had been let out */
	unsigned in_pipe = sb_pipe(&w.tcb);
	inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
	CHECK(!w.tcb.in_recovery);
	CHECK(in_pipe > 0);
	CHECK_EQ(w.tcb.cc.cwnd, 30 * MSS);
	CHECK(w.tcb.spread);
	CHECK(seen_count() <= 4);
	advance(RTT);
	CHECK_EQ(seen_count(), 30);
	CHECK(!w.tcb.spread); /* the window is in use: ACKs are the clock again */
	drop_seen();
}

/* The last bytes of a window that is spread have their time, too: they are not let go and forgotten. */
static void test_end_of_a_spread_window_has_its_time(void)
{
	open_path(&wide);
	inject(". 1:1 ack 1");
	w.tcb.nodelay = true;
	w.tcb.spread = true;
	w.tcb.cc.cwnd = 38 * MSS + 600;
	send_bytes(38 * MSS + 500);
	while (tcp_flight(&w.tcb) < 38 * MSS)
		advance(100);
	CHECK_EQ(tcp_flight(&w.tcb), 38 * MSS);
	CHECK(w.tcb.spread);
	advance(RTT / 10);
	CHECK_EQ(tcp_flight(&w.tcb), 38 * MSS + 500);
	CHECK(!w.tcb.spread);
	drop_seen();
}

/* What was counted towards the next segment of a window is none of the smaller one. */
static void test_halved_window_counts_anew(void)
{
	proved(80);
	w.tcb.cc.acked = 39 * MSS;
	advance((weft_time_us)NVP * US_PER_S + US_PER_S);
	send_bytes(MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 40 * MSS);
	CHECK_EQ(w.tcb.cc.acked, 0);
	drop_seen();
}

/* Nothing was in flight: a round begins with what goes now, and not before it ends is it judged. */
static void test_round_begins_anew_behind_a_pause(void)
{
	fly(20);
	sack(0, 1, 20);
	CHECK(w.tcb.in_recovery);
	advance(RTT);
	ack(20);
	drop_seen();
	w.tcb.cc.cwnd = 20 * MSS;
	w.tcb.cc.ssthresh = 10 * MSS;
	exchange(10);
	w.tcb.cc.cwnd = 20 * MSS;
	send_bytes(12 * MSS);
	advance(RTT);
	drop_seen();
	ack(32);
	CHECK(!w.tcb.nvp);
	ack(42);
	CHECK(!w.tcb.nvp);
	drop_seen();
}

/* On a long path a second is no sampling period: three round trips are (4.2). */
static void test_pause_on_a_long_path(void)
{
	proved(40);
	w.tcb.srtt = US_PER_S;
	advance(2 * US_PER_S);
	send_bytes(MSS);
	CHECK(!w.tcb.nvp);
	drop_seen();
	proved(40);
	w.tcb.srtt = US_PER_S;
	advance(3 * US_PER_S + US_PER_MS);
	send_bytes(MSS);
	CHECK(w.tcb.nvp);
	drop_seen();
}

/* Some small segments were all that was in use: a window is one segment at least. */
static void test_loss_counts_from_a_segment_at_least(void)
{
	open_path(&wide);
	inject(". 1:1 ack 1");
	w.tcb.nodelay = true;
	w.tcb.nvp = true;
	w.tcb.cc.cwnd = 8 * MSS; /* none that is spread */
	for (unsigned i = 0; i < 4; i++)
		send_bytes(100);
	CHECK_EQ(seen_count(), 4);
	drop_seen();
	advance(RTT);
	for (unsigned i = 1; i <= 3; i++)
		inject(". 1:1 ack 1 sack 101:%u", 101 + 100 * i);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.sb->loss_base, MSS);
	drop_seen();
	end_world();
}

/* The spreading of a window that was reduced since is over, whatever lets nothing out now. */
static void test_reduction_ends_the_spreading(void)
{
	fly(20);
	w.tcb.spread = true;
	inject(". 1:1 ack 1 win 0 sack %u:%u", at(1), at(20));
	CHECK(w.tcb.in_recovery);
	CHECK(!w.tcb.spread);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_cwv", UNIT(phase_begins_when_half_the_window_is_not_used),
	  UNIT(most_of_a_sampling_period_counts), UNIT(first_acks_of_a_flight_prove_nothing_yet),
	  UNIT(full_window_is_in_use), UNIT(window_survives_a_pause),
	  UNIT(window_without_proof_is_spread), UNIT(small_windows_are_not_spread),
	  UNIT(window_is_halved_every_five_minutes), UNIT(hours_without_data),
	  UNIT(loss_in_the_initial_window_is_remembered),
	  UNIT(later_losses_are_none_of_the_initial_window), UNIT(loss_counts_from_what_was_in_use),
	  UNIT(recovery_is_no_measure), UNIT(cubic_starts_from_what_was_in_use),
	  UNIT(spurious_loss_gives_the_whole_window_back), UNIT(end_of_a_recovery_is_spread),
	  UNIT(end_of_a_spread_window_has_its_time), UNIT(halved_window_counts_anew),
	  UNIT(round_begins_anew_behind_a_pause), UNIT(pause_on_a_long_path),
	  UNIT(loss_counts_from_a_segment_at_least), UNIT(reduction_ends_the_spreading))
