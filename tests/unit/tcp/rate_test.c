/*
 * What a congestion controller is told of an ACK (rate.c): delivery rates over a flight, samples that
 * measure the application and not the path, losses since the segment left.  The controller is a spy.
 */
#include "path.h"

static struct tcp_cc_ack told;
static unsigned acks;
static struct tcp_cc_lost lost;
static unsigned losses;

static void spy_init(struct tcp_cc *cc, weft_time_us now)
{
	(void)cc;
	(void)now;
}

static void spy_on_ack(struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	(void)cc;
	told = *ack;
	acks++;
}

static void spy_on_lost(struct tcp_cc *cc, const struct tcp_cc_lost *l, weft_time_us now)
{
	(void)cc;
	(void)now;
	lost = *l;
	losses++;
}

static void spy_on_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
			      weft_time_us now)
{
	(void)pipe;
	(void)reason;
	(void)now;
	cc->ssthresh = cc->cwnd;
}

static weft_time_us idle_us;

static void spy_on_idle(struct tcp_cc *cc, weft_time_us idle, weft_time_us now)
{
	(void)cc;
	CHECK_EQ(now, w.now);
	idle_us = idle;
}

static const struct tcp_cc_ops spy = {
	.name = "spy",
	.init = spy_init,
	.on_ack = spy_on_ack,
	.on_lost = spy_on_lost,
	.on_congestion = spy_on_congestion,
	.on_idle = spy_on_idle,
};

/* An established connection with a window of 'cwnd' segments and the spy. */
static void open_spy(unsigned cwnd)
{
	open_path(&sack_setup);
	w.tcb.cc.ops = &spy;
	w.tcb.cc.cwnd = cwnd * MSS;
	acks = losses = 0;
}

/* What TCP_INFO says. */
static uint64_t told_rate(void)
{
	struct tcp_status status;

	tcp_get_status(&w.tcb, w.now, &status);
	CHECK_EQ(status.rate_app_limited, w.tcb.sb && w.tcb.sb->rate_app_limited);
	return status.delivery_rate;
}

/* A window that is always full: a flight in a round trip is the rate of the path. */
static void test_full_window_measures_the_path(void)
{
	open_spy(10);
	send_bytes(40 * MSS);
	for (unsigned round = 1; round <= 3; round++) {
		drop_seen();
		advance(RTT);
		ack(10 * round);
		CHECK_EQ(told.acked, 10 * MSS);
		CHECK_EQ(told.rate_bytes, 10 * MSS);
		CHECK_EQ(told.rate_us, RTT);
		CHECK_EQ(told.tx_flight, 10 * MSS);
		CHECK_EQ(told.sent_flight, 10 * MSS);
		CHECK(!told.app_limited && told.cwnd_limited);
	}
	drop_seen();
	CHECK_EQ(acks, 3);
	CHECK_EQ(told_rate(), 10 * MSS * (uint64_t)US_PER_S / RTT);
}

/* Three segments where ten may leave: what that brings is the application's rate. */
static void test_application_limit_marks_the_samples(void)
{
	open_spy(10);
	send_bytes(3 * MSS);
	drop_seen();
	advance(RTT);
	send_bytes(3 * MSS); /* with the bubble before it */
	drop_seen();
	ack(3);
	advance(RTT);
	ack(6);
	CHECK(told.app_limited);
	CHECK_EQ(told.rate_bytes, 6 * MSS);
	/* The window is full again: the samples are good when the bubble is through. */
	send_bytes(60 * MSS);
	drop_seen();
	advance(RTT);
	ack(16);
	drop_seen();
	advance(RTT);
	ack(26);
	CHECK(!told.app_limited);
	CHECK_EQ(told.rate_bytes, 10 * MSS);
	/* A slower application afterwards says nothing of the path. */
	for (unsigned i = 36; i <= 66; i += 10) {
		drop_seen();
		advance(RTT);
		ack(i);
	}
	uint64_t rate = told_rate();

	CHECK_EQ(rate, 10 * MSS * (uint64_t)US_PER_S / RTT);
	send_bytes(MSS);
	drop_seen();
	advance(RTT);
	ack(67);
	CHECK(told.app_limited && told.rate_bytes < 10 * MSS);
	CHECK_EQ(told_rate(), rate);
	drop_seen();
}

/* Whether it is the peer's window that data waits for, with room in cwnd. */
static void test_window_of_the_peer_is_told(void)
{
	open_spy(10);
	send_bytes(60 * MSS);
	drop_seen();
	advance(RTT);
	ack(5);
	CHECK(!told.peer_limited); /* it was cwnd */
	w.tcb.snd_wnd = 3 * MSS;   /* of ten segments in flight five are beyond it: none leaves */
	w.peer_wnd = 3 * MSS;
	ack(6);
	drop_seen();
	CHECK(w.tcb.sb->peer_limited);
	ack(7);
	CHECK(told.peer_limited);
}

static void test_losses_are_told_with_what_was_in_flight(void)
{
	open_spy(10);
	send_bytes(10 * MSS);
	drop_seen();
	advance(RTT);
	sack(0, 3, 10);
	CHECK_EQ(losses, 1); /* they left together: one run */
	CHECK_EQ(lost.bytes, 3 * MSS);
	CHECK_EQ(lost.lost_since, 3 * MSS);
	CHECK_EQ(told.lost, 3 * MSS);
	CHECK_EQ(told.lost_since, 3 * MSS);
	CHECK_EQ(told.acked, 7 * MSS);
	CHECK(told.in_recovery);
	drop_seen();
	end_world();
}

/* Data behind a pause: how long nothing left.  While something is in flight, or at once, there is none. */
static void test_pause_is_told(void)
{
	open_spy(10);
	idle_us = -1;
	send_bytes(MSS);
	send_bytes(MSS);
	advance(RTT);
	send_bytes(MSS);
	ack(3);
	CHECK_EQ(idle_us, -1);
	advance(3 * RTT);
	send_bytes(MSS);
	CHECK_EQ(idle_us, 3 * RTT);
	drop_seen();
}

/* Data was lost and waits for the peer's window: the application is not what limits. */
static void test_lost_data_that_waits_limits(void)
{
	in_flight(&sack_setup, 10);
	inject(". 1:1 ack 1 win 0 sack %u:%u", at(1), at(5));
	CHECK(w.tcb.in_recovery && !w.tcb.cwnd_limited);
	expect_none();
	CHECK_EQ(w.tcb.sb->app_limited, 0);
	drop_seen();
	end_world();
}

/* ACKs that come faster than the data left: the rate is that of the sending (4.1.1 of the draft). */
static void test_acks_that_come_together(void)
{
	open_spy(10);
	send_bytes(MSS);
	advance(30 * US_PER_MS);
	send_bytes(MSS);
	advance(10 * US_PER_MS);
	ack(1);
	advance(30 * US_PER_MS);
	send_bytes(MSS);
	advance(2 * US_PER_MS);
	ack(3);
	CHECK_EQ(told.rate_bytes, 2 * MSS);
	CHECK_EQ(told.rate_us, 70 * US_PER_MS);
	drop_seen();
	end_world();
}

/* The mark of the application's limit is never 0, which says that there is none. */
static void test_mark_at_the_wrap(void)
{
	open_spy(10);
	w.tcb.delivered = 0u - MSS;
	send_bytes(MSS);
	CHECK_EQ(w.tcb.sb->app_limited, 1);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_rate", UNIT(full_window_measures_the_path),
	  UNIT(application_limit_marks_the_samples), UNIT(window_of_the_peer_is_told),
	  UNIT(losses_are_told_with_what_was_in_flight), UNIT(pause_is_told),
	  UNIT(lost_data_that_waits_limits), UNIT(acks_that_come_together), UNIT(mark_at_the_wrap))
