/*
 * Timestamps and PAWS (RFC 7323 3 to 5): which value is echoed, what is too old, what happens when
 * the option is missing, and clocks that wrap.
 */
#include "script_open.h"

static void test_delayed_ack_echoes_the_first_segment(void)
{
	established(&ts_setup);
	inject(". 1:101 ack 1 ts 6000 0");
	inject(". 101:201 ack 1 ts 6001 0");
	advance(100 * US_PER_MS);
	expect(". 1:1 ack 201 ts * 6000");
}

static void test_out_of_order_echoes_the_last_in_order(void)
{
	established(&ts_setup);
	inject(". 1:101 ack 1 ts 6000 0");
	advance(100 * US_PER_MS);
	drop_seen();
	inject(". 201:301 ack 1 ts 6005 0");
	expect(". 1:1 ack 101 ts * 6000");
	inject(". 301:401 ack 1 ts 6006 0");
	expect(". 1:1 ack 101 ts * 6000");
	inject(". 101:201 ack 1 ts 6007 0"); /* the filler's own */
	expect(". 1:1 ack 401 ts * 6007");
}

static void test_ts_recent_needs_seq_at_last_ack_sent(void)
{
	established(&ts_setup);
	inject(". 101:201 ack 1 ts 999999 0");
	drop_seen();
	CHECK(w.tcb.ts_recent != 999999);
	inject("P. 1:11 ack 1"); /* with the ordinary clock: not too old */
	CHECK_EQ(recv_bytes(100), 10);
}

static void test_old_timestamp_is_answered_and_dropped(void)
{
	established(&ts_setup);
	inject("P. 1:11 ack 1 ts 9000 0");
	advance(100 * US_PER_MS);
	drop_seen();
	inject("P. 11:21 ack 1 ts 8999 0");
	CHECK_EQ(w.why, DROP_TCP_PAWS);
	expect(". 1:1 ack 11 ts * 9000");
	inject("P. 11:21 ack 1 ts %u 0", 9000u + 0x80000001u);
	CHECK_EQ(w.why, DROP_TCP_PAWS);
	drop_seen();
	CHECK_EQ(recv_bytes(100), 10);
	inject("P. 11:21 ack 1 ts 9000 0"); /* equal is good */
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(100), 10);
}

static void test_ack_in_an_old_segment_is_not_used(void)
{
	established(&ts_setup);
	inject("P. 1:11 ack 1 ts 9000 0");
	send_bytes(100);
	drop_seen();
	inject(". 11:11 ack 101 ts 8000 0");
	CHECK_EQ(w.tcb.snd_una, w.iss + 1);
	drop_seen();
}

static void test_peer_clock_may_wrap(void)
{
	established(&ts_setup);
	inject("P. 1:11 ack 1 ts 0x70000000 0");
	advance(US_PER_S); /* acknowledged */
	inject("P. 11:21 ack 1 ts 0xe0000000 0");
	advance(US_PER_S);
	inject("P. 21:31 ack 1 ts 0xffffffff 0");
	advance(US_PER_S);
	inject("P. 31:41 ack 1 ts 5 0");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(w.tcb.ts_recent, 5);
	CHECK_EQ(recv_bytes(100), 40);
	inject("P. 41:51 ack 1 ts 0xfffffff0 0");
	CHECK_EQ(w.why, DROP_TCP_PAWS);
	drop_seen();
}

static void test_own_clock_wraps_and_goes_on(void)
{
	uint32_t last;

	/* ts_offset is 0xfffff000 and the microsecond clock 10 s before 2^32. */
	established(&ts_setup);
	last = w.ts_last;
	for (unsigned i = 0; i < 40; i++) {
		advance(500 * US_PER_MS);
		send_bytes(10);
		const struct text *t = take_seen();
		CHECK(t && t->opt.has_ts && seq_gt(t->opt.ts_val, last));
		CHECK(t && t->opt.ts_val - last <= 500000);
		last = t ? t->opt.ts_val : 0;
		inject(". 1:1 ack %u", 11 + i * 10);
		CHECK_EQ(w.why, DROP_NONE);
		CHECK(w.tcb.srtt < US_PER_S);
	}
}

static void test_missing_timestamp_is_accepted_and_counted(void)
{
	established(&ts_setup);
	inject("P. 1:11 ack 1 nots");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(100), 10);
	CHECK_EQ(counter_read(&w.counters, C_TCP_TS_MISSING), 1);
	advance(US_PER_S);
	expect(". 1:1 ack 11 ts * *");
}

static void test_timestamps_not_negotiated_are_ignored(void)
{
	established(&plain_setup);
	inject("P. 1:11 ack 1 ts 9000 1");
	inject("P. 11:21 ack 1 ts 5 1"); /* no PAWS */
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(100), 20);
	advance(US_PER_S);
	expect(". 1:1 ack 21 nots");
}

static void test_old_ts_recent_expires_after_24_days(void)
{
	established(&ts_setup);
	inject("P. 1:11 ack 1 ts 2000000000 0");
	recv_bytes(10);
	advance(US_PER_S);
	drop_seen();
	advance(25LL * 86400 * US_PER_S);
	inject("P. 11:21 ack 1 ts 5 0");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(100), 10);
	CHECK_EQ(w.tcb.ts_recent, 5);
	drop_seen();
}

static void test_queued_segments_are_not_checked_again(void)
{
	/* PAWS-2: the hole's filler is newer than what waits behind it. */
	established(&ts_setup);
	inject(". 101:201 ack 1 ts 6000 0");
	inject(". 1:101 ack 1 ts 7000 0");
	CHECK_EQ(recv_bytes(1000), 200);
	drop_seen();
}

static void test_syn_has_no_echo_and_syn_ack_echoes(void)
{
	unsigned events = 0;

	begin_world(&ts_setup);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	expect("S 0:0 ts * 0");
	w.in_tcb = true;
	inject("S. 0:0 ack 1 ts 777 %u", w.ts_last);
	expect(". 1:1 ack 1 ts * 777");
	listen_syn(&ts_setup);
	expect("S. 0:0 ack 1 ts * 5000");
}

static void test_reset_carries_what_the_rfc_says(void)
{
	established(&ts_setup);
	abort_app(ECONNABORTED);
	const struct text *t = take_seen();
	CHECK(t && t->flags & TCP_RST);
	drop_seen();
}

static void test_duplicate_ack_takes_no_sample(void)
{
	established(&ts_setup);
	send_bytes(5000);
	drop_seen();
	weft_time_us srtt = w.tcb.srtt;
	advance(100 * US_PER_MS);
	inject(". 1:1 ack 1");
	inject(". 1:1 ack 1");
	CHECK_EQ(w.tcb.srtt, srtt);
	drop_seen();
}

static void test_wild_echo_does_not_hurt_the_estimator(void)
{
	/* A peer that echoes nonsense, from the future or from long ago. */
	static const uint32_t echoes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};

	established(&ts_setup);
	for (unsigned i = 0; i < 5; i++) {
		send_bytes(10);
		advance(US_PER_MS);
		inject(". 1:1 ack %u ts %u %u", 11 + i * 10, peer_clock(),
		       echoes[i] + (i == 1 ? w.ts_last : 0));
		CHECK(w.tcb.rto >= w.cfg.rto_min && w.tcb.rto <= w.cfg.rto_max);
		drop_seen();
	}
	end_world();
}

UNIT_MAIN("tcp_timestamps", UNIT(delayed_ack_echoes_the_first_segment),
	  UNIT(out_of_order_echoes_the_last_in_order), UNIT(ts_recent_needs_seq_at_last_ack_sent),
	  UNIT(old_timestamp_is_answered_and_dropped), UNIT(ack_in_an_old_segment_is_not_used),
	  UNIT(peer_clock_may_wrap), UNIT(own_clock_wraps_and_goes_on),
	  UNIT(missing_timestamp_is_accepted_and_counted),
	  UNIT(timestamps_not_negotiated_are_ignored), UNIT(old_ts_recent_expires_after_24_days),
	  UNIT(queued_segments_are_not_checked_again), UNIT(syn_has_no_echo_and_syn_ack_echoes),
	  UNIT(reset_carries_what_the_rfc_says), UNIT(duplicate_ack_takes_no_sample),
	  UNIT(wild_echo_does_not_hurt_the_estimator))
