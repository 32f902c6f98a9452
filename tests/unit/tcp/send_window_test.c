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

UNIT_MAIN("tcp_send_window", UNIT(old_ack_sets_no_window),
	  UNIT(timeout_behind_a_closed_window_is_that_of_the_path),
	  UNIT(lost_data_keeps_to_a_window_that_shrank))
