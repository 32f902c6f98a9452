/*
 * Proportional rate reduction (RFC 9937): what leaves for each ACK of a recovery, and where cwnd is
 * when it ends.
 */
#include "path.h"

/* Twenty segments in flight, more queued; NewReno's half as the target. */
static void start(void)
{
	open_path(&sack_setup);
	w.tcb.cc.ops = &tcp_cc_newreno;
	w.tcb.cc.cwnd = 20 * MSS;
	send_bytes(20 * MSS);
	CHECK_EQ(seen_count(), 20);
	drop_seen();
	send_bytes(40 * MSS);
	CHECK_EQ(seen_count(), 0);
	advance(RTT);
}

static void test_one_loss_sends_for_every_second_ack(void)
{
	unsigned sent;

	start();
	for (unsigned i = 2; i <= 4; i++)
		sack(0, 1, i);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS); /* what limited transmit added does not count */
	sent = seen_count();
	for (unsigned i = 5; i <= 20; i++) {
		sack(0, 1, i);
		CHECK(sb_pipe(&w.tcb) <= w.tcb.cc.cwnd);
	}
	sent = seen_count();
	/* 20 delivered and two new: half of it may leave, the retransmission included. */
	CHECK(sent >= 10 && sent <= 13);
	CHECK(sb_pipe(&w.tcb) >= 10 * MSS && sb_pipe(&w.tcb) <= 12 * MSS);
	drop_seen();
	inject(". 1:1 ack %u", w.tcb.snd_nxt - w.iss);
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.cwnd, w.tcb.cc.ssthresh);
	drop_seen();
}

/* Fifteen of twenty lost: no more leaves than arrives, one more for each ACK that makes progress. */
static void test_burst_of_losses_is_conservative(void)
{
	start();
	sack(0, 15, 20);
	CHECK(w.tcb.in_recovery);
	uint32_t pipe = sb_pipe(&w.tcb);
	CHECK(pipe <= w.tcb.cc.ssthresh);
	CHECK(seen_count() >= 1 && seen_count() <= 5);
	expect_segment(0);
	drop_seen();
	advance(RTT);
	inject(". 1:1 ack %u sack %u:%u", at(1), at(15), at(20));
	CHECK_EQ(seen_count(), 2); /* SafeACK: progress, and no further loss */
	drop_seen();
	CHECK_EQ(count_of(C_TCP_RTO), 0);
}

static void test_first_ack_always_releases_one(void)
{
	start();
	w.tcb.cc.cwnd = 2 * MSS; /* pipe is far above what the controller wants */
	sack(0, 1, 4);
	CHECK(w.tcb.in_recovery);
	expect_segment(0);
	drop_seen();
}

static void test_window_never_below_a_segment(void)
{
	start();
	for (unsigned i = 2; i <= 20; i++) {
		sack(0, 1, i);
		CHECK(w.tcb.cc.cwnd >= MSS);
	}
	drop_seen();
}

/*
 * Fifteen ACKs and the three SACKs that tell of a loss come together: flight is five by then, but the
 * path had twenty, and what the ACKs let out leaves behind the batch, up to ssthresh.
 */
static void test_batch_of_acks_lowers_no_target(void)
{
	start();
	begin_batch();
	for (unsigned i = 1; i <= 15; i++)
		ack(i);
	sack(15, 16, 19);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	end_batch();
	expect_segment(15);
	CHECK_EQ(sb_pipe(&w.tcb), 10 * MSS);
	drop_seen();
}

/* The same flight, but the application had no more: that ACKs left room is no reason for a burst. */
static void test_room_that_nobody_wanted_is_not_owed(void)
{
	start();
	w.tcb.cwnd_limited = false;
	begin_batch();
	for (unsigned i = 1; i <= 15; i++)
		ack(i);
	sack(15, 16, 19);
	end_batch();
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	CHECK(sb_pipe(&w.tcb) <= 5 * MSS);
	drop_seen();
	end_world();
}

/* RFC 9937 6.1: what was SACKed before will not be delivered in the recovery, and is no part of RecoverFS. */
static void test_recovery_counts_what_it_will_deliver(void)
{
	start();
	sack(0, 1, 2);
	sack(0, 1, 3);
	CHECK(!w.tcb.in_recovery);
	uint32_t flight = w.tcb.snd_nxt - w.tcb.snd_una;
	sack(0, 1, 4);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.sb->recover_fs, flight - 2 * MSS);
	drop_seen();
	end_world();
}

/* An ACK that delivers nothing changes no window: what the one before it had let out may still go. */
static void test_ack_that_delivers_nothing(void)
{
	start();
	sack(0, 15, 20);
	CHECK(w.tcb.in_recovery);
	drop_seen();
	advance(RTT);
	inject(". 1:1 ack %u win 0 sack %u:%u", at(1), at(15), at(20));
	uint32_t cwnd = w.tcb.cc.cwnd;

	CHECK(cwnd > sb_pipe(&w.tcb) + MSS);
	expect_none();
	inject(". 1:1 ack %u win 0 sack %u:%u", at(1), at(15), at(20));
	CHECK_EQ(w.tcb.cc.cwnd, cwnd);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_prr", UNIT(one_loss_sends_for_every_second_ack),
	  UNIT(burst_of_losses_is_conservative), UNIT(first_ack_always_releases_one),
	  UNIT(window_never_below_a_segment), UNIT(batch_of_acks_lowers_no_target),
	  UNIT(room_that_nobody_wanted_is_not_owed), UNIT(recovery_counts_what_it_will_deliver),
	  UNIT(ack_that_delivers_nothing))
