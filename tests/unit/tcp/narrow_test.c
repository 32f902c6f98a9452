/*
 * Numbers that a tcb keeps in a few bits, driven to their limits and past them: backoffs, waits for
 * marks, recoveries, quick ACKs, keepalive probes.  tcb_check holds their bounds after every step (I11).
 */
#include "net/tcp/parts.h"
#include "path.h"

enum {
	DAY_S = 86400,
	TIMEOUTS = 70000, /* more than 16 bits count */
};

/* The connection times out just then. */
static void closes_in(weft_time_us us)
{
	weft_time_us until = w.now + us - 1;

	while (w.now < until) {
		pass_time(until, true);
		drop_seen();
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	advance(1);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	drop_seen();
}

/* An outage of days with timeouts of milliseconds: each is as long as the limit, and the path comes back. */
static void test_timeouts_without_end(void)
{
	const weft_time_us most = 10 * US_PER_MS;
	unsigned wrong = 0;

	established(&ts_setup);
	w.cfg.rto_min = 5 * US_PER_MS;
	w.cfg.rto_max = most;
	tcp_set_user_timeout(&w.tcb, 10LL * DAY_S * US_PER_S, w.now);
	send_bytes(100);
	drop_seen();
	for (unsigned i = 0; i < TIMEOUTS; i++) {
		weft_time_us from = w.now;

		pass_time(w.now + US_PER_S, true);
		wrong += w.now - from != most || seen_count() != 1;
		drop_seen();
	}
	CHECK_EQ(wrong, 0);
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.backoff, TCP_BACKOFF_MAX);
	CHECK_EQ(w.tcb.retrans_total, TIMEOUTS);
	CHECK_EQ(count_of(C_TCP_R1), 1);
	inject(". 1:1 ack 101");
	CHECK(w.tcb.backoff == 0 && w.tcb.t_rexmt == WEFT_TIME_NEVER);
	/* The day comes on which it is over. */
	send_bytes(100);
	drop_seen();
	w.cfg.rto_max = 120LL * US_PER_S;
	closes_in(10LL * DAY_S * US_PER_S);
}

/* A peer that answers probes of its closed window for a fortnight. */
static void test_closed_window_for_weeks(void)
{
	unsigned probes = 0, wrong = 0;

	established(&ts_setup);
	inject(". 1:1 ack 1 win 0");
	w.peer_wnd = 0;
	send_bytes(1000);
	weft_time_us until = w.now + 14LL * DAY_S * US_PER_S;

	while (w.now < until) {
		weft_time_us from = w.now;

		pass_time(until, true);
		wrong += probes > 12 && w.now < until && w.now - from != w.cfg.rto_max;
		probes += seen_count() == 1;
		drop_seen();
		inject(". 1:1 ack 1");
	}
	CHECK_EQ(wrong, 0);
	CHECK(probes > 10000);
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.backoff, TCP_BACKOFF_MAX);
	inject(". 1:1 ack 1 win 65535");
	CHECK_EQ(w.tcb.backoff, 0);
	expect("P. 1:1001 ack 1");
}

/* Keepalive probes beyond what a byte counts: to a peer that is silent for less than TCP_USER_TIMEOUT. */
static void test_keepalive_probes_without_end(void)
{
	established(&plain_setup);
	tcp_set_user_timeout(&w.tcb, 1000LL * US_PER_S, w.now);
	tcp_set_keep_times(&w.tcb, 10LL * US_PER_S, US_PER_S, UINT8_MAX, w.now);
	tcp_set_keepalive(&w.tcb, true, w.now);
	for (unsigned i = 0; i < 900; i++) {
		pass_time(w.now + 100LL * US_PER_S, true);
		expect(". 0:0 ack 1");
		CHECK_EQ(w.tcb.keep_probes, i < UINT8_MAX ? i + 1 : UINT8_MAX);
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	inject(". 1:1 ack 1");
	CHECK_EQ(w.tcb.keep_probes, 0);
	/* Without it, the largest count holds to the probe. */
	tcp_set_user_timeout(&w.tcb, 0, w.now);
	closes_in((10LL + UINT8_MAX) * US_PER_S);
}

/* Every segment is marked, for weeks: one leaves in each longest timeout. */
static void test_marks_without_end(void)
{
	unsigned next = 4, waits = 0;
	weft_time_us last = 0;

	marked_flight(&sack_setup, 4);
	for (unsigned i = 0; i < 200; i++) {
		weft_time_us from = w.now;

		send_bytes(MSS);
		inject(".E 1:1 ack %u", at(next));
		if (seen_count() == 0) {
			pass_time(w.now + 1000LL * US_PER_S, true);
			last = w.now - from;
			waits++;
		}
		next += seen_count();
		drop_seen();
		advance(RTT);
	}
	CHECK(waits > 100);
	CHECK(last > w.cfg.rto_max - RTT - 1000 && last <= w.cfg.rto_max);
	CHECK_EQ(w.tcb.ecn_holds, TCP_BACKOFF_MAX);
	CHECK_EQ(w.tcb.retrans_total, 0);
	ack(next);
	CHECK_EQ(w.tcb.ecn_holds, 0);
	drop_seen();
	end_world();
}

/* The reordering window stops at 255 quarters, and lasts 16 recoveries from the last D-SACK on. */
static void test_duplicates_without_end(void)
{
	in_flight(&sack_setup, 10);
	for (unsigned i = 0; i < 400; i++) {
		w.tcb.sb->dsack_round_on = false;
		rack_dsack(&w.tcb);
		tcb_check(&w.tcb);
	}
	CHECK_EQ(w.tcb.rack_mult, UINT8_MAX);
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ(w.tcb.rack_persist, i < TCP_REO_PERSIST ? TCP_REO_PERSIST - i : 0);
		CHECK_EQ(w.tcb.rack_mult, i < TCP_REO_PERSIST ? UINT8_MAX : 1);
		rack_recovered(&w.tcb);
	}
	end_world();
}

/* TCP_QUICKACK again and again is no more than once. */
static void test_quick_acks_do_not_add_up(void)
{
	unsigned events = 0, at = 1;

	established(&plain_setup);
	for (unsigned i = 0; i < 100; i++)
		tcp_set_quickack(&w.tcb, true, true, &events);
	CHECK_EQ(w.tcb.quick_acks, TCP_QUICK_ACKS);
	for (; at < 1 + TCP_QUICK_ACKS * 10; at += 10) {
		inject("P. %u:%u ack 1", at, at + 10);
		expect(". 1:1 ack %u", at + 10);
	}
	inject("P. %u:%u ack 1", at, at + 10);
	expect_none();
	CHECK_EQ(w.tcb.quick_acks, 0);
}

/* The longest that TCP_INFO can say is what a longer time reads. */
static void test_status_of_a_long_silence(void)
{
	struct tcp_status status;

	established(&plain_setup);
	weft_time_us start = w.now;

	tcp_get_status(&w.tcb, start + time_of_ms(UINT32_MAX), &status);
	CHECK_EQ(status.last_rcv_ms, UINT32_MAX);
	tcp_get_status(&w.tcb, start + time_of_ms(UINT32_MAX) + 10LL * US_PER_S, &status);
	CHECK_EQ(status.last_rcv_ms, UINT32_MAX);
	end_world();
}

UNIT_MAIN("tcp_narrow", UNIT(timeouts_without_end), UNIT(closed_window_for_weeks),
	  UNIT(keepalive_probes_without_end), UNIT(marks_without_end), UNIT(duplicates_without_end),
	  UNIT(quick_acks_do_not_add_up), UNIT(status_of_a_long_silence))
