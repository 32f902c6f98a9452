/*
 * When small segments go (RFC 9293 3.7.4, 3.8.6.2.1): Nagle's rule, TCP_NODELAY, PSH, and full
 * segments out of odd writes.
 */
#include "script_open.h"

static void set_nodelay(bool on)
{
	unsigned events = 0;

	tcp_set_nodelay(&w.tcb, on, &events);
	after_call(events);
}

static void first_small(const struct setup *setup)
{
	established(setup);
	send_small(1);
	expect("P. 1:2 ack 1");
	for (unsigned i = 0; i < 10; i++)
		send_small(1);
	expect_none();
	inject(". 1:1 ack 2");
	expect("P. 2:12 ack 1");
	expect_none();
	inject(". 1:1 ack 12");
}

static void test_small_writes_are_collected(void)
{
	for_each_setup(first_small);
}

static void test_idle_connection_sends_a_small_write_at_once(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 5; i++) {
		send_small(7);
		expect("P. %u:%u ack 1", 1 + i * 7, 8 + i * 7);
		inject(". 1:1 ack %u", 8 + i * 7);
		advance(US_PER_S);
	}
	expect_none();
}

static void test_full_segments_go_while_the_rest_waits(void)
{
	established(&plain_setup);
	send_small(1);
	expect("P. 1:2 ack 1");
	send_bytes(3000);
	expect(". 2:1462 ack 1");
	expect(". 1462:2922 ack 1");
	expect_none();
	inject(". 1:1 ack 2");
	inject(". 1:1 ack 1462");
	expect_none();
	inject(". 1:1 ack 2922");
	expect("P. 2922:3002 ack 1");
}

static void test_nodelay_sends_at_once(void)
{
	established(&plain_setup);
	set_nodelay(true);
	send_small(1);
	send_small(1);
	send_small(5);
	expect("P. 1:2 ack 1");
	expect("P. 2:3 ack 1");
	expect("P. 3:8 ack 1");
	expect_none();
}

static void test_setting_nodelay_releases_what_waits(void)
{
	established(&plain_setup);
	send_small(1);
	send_small(9);
	expect("P. 1:2 ack 1");
	expect_none();
	set_nodelay(true);
	expect("P. 2:11 ack 1");
	set_nodelay(false);
	send_small(3);
	expect_none();
}

static void test_fin_releases_what_waits(void)
{
	established(&plain_setup);
	send_small(1);
	send_small(9);
	expect("P. 1:2 ack 1");
	shutdown_write();
	expect("FP. 2:11 ack 1");
	expect_none();
}

static void test_waiting_data_rides_not_on_pure_acks(void)
{
	/* An ACK that is due does not carry what Nagle holds back. */
	established(&plain_setup);
	send_small(1);
	send_small(9);
	expect("P. 1:2 ack 1");
	inject("P. 101:201 ack 1");
	expect(". 2:2 ack 1");
	expect_none();
}

static void test_push_on_the_last_segment_only(void)
{
	established(&plain_setup);
	send_bytes(3 * 1460 + 10);
	for (unsigned i = 0; i < 3; i++) {
		const struct text *t = take_seen();
		CHECK(t && t->len == 1460 && !(t->flags & TCP_PSH));
	}
	expect("P. 4381:4391 ack 1"); /* nothing was in flight when the write came */
	expect_none();
}

static void test_pushes_merge_into_full_segments(void)
{
	struct setup setup = plain_setup;
	unsigned full = 0;

	/* Odd writes behind a closed window leave as full segments (SHLD-27, SHLD-28). */
	established(&setup);
	inject(". 1:1 ack 1 win 0");
	for (unsigned i = 0; i < 100; i++)
		send_small(97);
	expect_none();
	inject(". 1:1 ack 1 win 60000");
	for (; full < 6; full++) {
		const struct text *t = take_seen();
		CHECK(t && t->len == 1460 && !(t->flags & TCP_PSH));
		CHECK(t && t->seq == w.iss + 1 + full * 1460);
	}
	expect("P. 8761:9701 ack 1");
	expect_none();
}

static void test_many_small_buffers_fill_segments(void)
{
	established(&full_setup);
	w.chunk = 17;
	send_bytes(20000);
	unsigned at = 1;
	for (const struct text *t; (t = take_seen()) != NULL;) {
		CHECK_EQ(t->seq, w.iss + at);
		CHECK(t->len > 0);
		at += t->len;
		inject(". 1:1 ack %u", at);
	}
	CHECK_EQ(at, 20001);
}

static void test_packing_stays_within_the_send_buffer(void)
{
	struct setup setup = plain_setup;

	setup.snd_buf = 1000;
	established(&setup);
	inject(". 1:1 ack 1 win 0");
	for (unsigned i = 0; i < 100; i++)
		send_small(100);
	CHECK_EQ(w.tcb.sndq.bytes, 1000);
	CHECK_EQ(w.queued, 1000);
	CHECK_EQ(tcp_send_room(&w.tcb), 0);
	inject(". 1:1 ack 1 win 1000");
	unsigned at = 1;
	while (at < 1001) {
		const struct text *t = take_seen();
		if (!CHECK(t != NULL))
			break;
		at += t->len;
		inject(". 1:1 ack %u win 1000", at);
	}
	CHECK_EQ(tcp_send_room(&w.tcb), 1000);
	drop_seen();
	end_world();
}

/* Every condition under which a remainder may wait for the next ACK, and each one's absence. */
static void test_remainders_wait_only_when_an_ack_is_near(void)
{
	const struct tcb busy = {
		.state = TCPS_ESTABLISHED,
		.srtt = 100,
		.snd_una = 0xfffffff0,
		.snd_nxt = 0xfffffff0 + (1u << 20),
		.snd_end = 0xfffffff0 + (1u << 20) + 1000,
	};
	struct tcb tcb = busy;

	CHECK(tcp_send_may_wait(&tcb));
	tcb.srtt = 0; /* nothing is known of the path */
	CHECK(!tcp_send_may_wait(&tcb));
	tcb.srtt = 50 * US_PER_MS;
	CHECK(!tcp_send_may_wait(&tcb));
	tcb = busy;
	tcb.snd_nxt = tcb.snd_una + 1000; /* little in flight */
	tcb.snd_end = tcb.snd_nxt + 1000;
	CHECK(!tcp_send_may_wait(&tcb));
	tcb = busy;
	tcb.snd_end += 1u << 20; /* much to send */
	CHECK(!tcp_send_may_wait(&tcb));
	tcb = busy;
	tcb.fin_queued = true;
	CHECK(!tcp_send_may_wait(&tcb));
	tcb = busy;
	tcb.ack_now = true;
	CHECK(!tcp_send_may_wait(&tcb));
	tcb = busy;
	tcb.in_recovery = true;
	CHECK(!tcp_send_may_wait(&tcb));
	tcb = busy;
	tcb.rto_recovery = true;
	CHECK(!tcp_send_may_wait(&tcb));
}

/* 40 full segments under way, and 'size' bytes more written; nodelay, so Nagle has no say. */
static void write_behind_flight(uint32_t srtt, unsigned size)
{
	established(&plain_setup);
	set_nodelay(true);
	w.tcb.cc.cwnd = 1 << 20;
	w.tcb.snd_wnd = 1 << 20;
	send_bytes(40 * 1460);
	drop_seen();
	w.tcb.srtt = (uint32_t)srtt;
	send_bytes(size);
}

/* On a short path with enough in flight the rest of a write waits for more, or for an ACK. */
static void test_a_rest_waits_while_much_is_in_flight(void)
{
	write_behind_flight(100, 700);
	expect_none();
	send_bytes(300);
	expect_none();
	inject(". 1:1 ack %u", 1 + 10 * 1460); /* 43,800 are left */
	expect_none();
	inject(". 1:1 ack %u", 1 + 20 * 1460);
	expect("P. %u:%u ack 1", 1 + 40 * 1460, 1 + 40 * 1460 + 1000);
	expect_none();
	write_behind_flight(100, 700);
	expect_none();
	shutdown_write();
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	write_behind_flight(50 * US_PER_MS, 700);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	write_behind_flight(0, 700);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
}

/* Nothing is held where an ACK is due anyway, or something is urgent, mended or overdue. */
static void test_a_rest_does_not_wait_where_something_else_matters(void)
{
	write_behind_flight(100, 700);
	expect_none();
	inject(". 2:102 ack 1"); /* a duplicate ACK is due */
	CHECK_EQ(seen_count(), 1);
	expect("P. %u:%u ack 1", 1 + 40 * 1460, 1 + 40 * 1460 + 700);
	write_behind_flight(100, 700);
	w.tcb.in_recovery = true;
	send_bytes(10);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	w.tcb.in_recovery = false;
	write_behind_flight(100, 700);
	w.tcb.rto_recovery = true;
	w.tcb.sb->rto_packets = 1000;
	send_bytes(10);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	w.tcb.rto_recovery = false;
	write_behind_flight(100, 700);
	tcp_send_urgent(&w.tcb);
	send_bytes(1);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	write_behind_flight(100, 700);
	w.tcb.sws_override = true;
	send_bytes(10);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
}

static void set_cork(bool on)
{
	unsigned events = 0;

	tcp_set_cork(&w.tcb, on, &events);
	after_call(events);
}

static void corked(const struct setup *setup)
{
	established(setup);
	set_cork(true);
	send_small(100);
	send_bytes(w.tcb.mss);
	expect(". 1:%u ack 1", 1 + w.tcb.mss);
	inject(". 1:1 ack %u", 1 + w.tcb.mss);
	expect_none();
	set_cork(false);
	expect("P. %u:%u ack 1", 1 + w.tcb.mss, 101 + w.tcb.mss);
	inject(". 1:1 ack %u", 101 + w.tcb.mss);
	drop_seen();
}

static void test_cork_holds_what_is_not_full(void)
{
	for_each_setup(corked);
}

static void test_cork_has_a_limit(void)
{
	established(&plain_setup);
	set_cork(true);
	send_small(100);
	advance(150 * US_PER_MS);
	send_small(10);
	expect_none();
	expect_after(50 * US_PER_MS, "P. 1:111 ack 1");
	CHECK_EQ(w.tcb.backoff, 0);
	inject(". 1:1 ack 111");
	expect_none();
}

static void test_nodelay_lets_corked_data_out_once(void)
{
	established(&plain_setup);
	set_cork(true);
	send_small(10);
	set_nodelay(true);
	expect("P. 1:11 ack 1");
	send_small(10);
	expect_none();
}

static void test_a_short_user_timeout_outlives_the_cork(void)
{
	established(&plain_setup);
	tcp_set_user_timeout(&w.tcb, 100 * US_PER_MS, w.now);
	advance(US_PER_S);
	set_cork(true);
	send_small(10);
	expect_after(200 * US_PER_MS, "P. 1:11 ack 1");
	inject(". 1:1 ack 11");
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void test_more_waits_for_an_ack_at_most(void)
{
	established(&plain_setup);
	send_small(10);
	expect("P. 1:11 ack 1");
	send_small(10);
	tcp_send_more(&w.tcb, true);
	inject(". 1:1 ack 11");
	expect("P. 11:21 ack 1");
	inject(". 1:1 ack 21");
}

/* A full buffer of less than two segments: nothing can be added, so nothing is waited for. */
static void test_full_small_buffer_goes(void)
{
	struct setup small = plain_setup;
	unsigned events = 0;

	small.snd_buf = 2000;
	established(&small);
	send_small(1);
	expect("P. 1:2 ack 1");
	CHECK_EQ(send_bytes(1998), 1998);
	expect(". 2:1462 ack 1");
	expect_none();
	CHECK_EQ(send_bytes(10), 1);
	expect("P. 1462:2001 ack 1");
	inject(". 1:1 ack 2001");
	tcp_set_cork(&w.tcb, true, &events);
	CHECK_EQ(send_bytes(1999), 1999);
	expect(". 2001:3461 ack 1");
	expect_none();
	CHECK_EQ(send_bytes(10), 1); /* nor for a cork */
	expect("P. 3461:4001 ack 1");
	end_world();
	/* With room for two of them the second one is acknowledged at once. */
	small.snd_buf = 3000;
	established(&small);
	send_small(1);
	expect("P. 1:2 ack 1");
	CHECK_EQ(send_bytes(9000), 2999);
	expect(". 2:1462 ack 1");
	expect(". 1462:2922 ack 1");
	expect_none();
	inject(". 1:1 ack 2922");
	expect("P. 2922:3001 ack 1");
	end_world();
}

UNIT_MAIN("tcp_nagle", UNIT(a_rest_waits_while_much_is_in_flight),
	  UNIT(a_rest_does_not_wait_where_something_else_matters),
	  UNIT(remainders_wait_only_when_an_ack_is_near), UNIT(small_writes_are_collected),
	  UNIT(idle_connection_sends_a_small_write_at_once),
	  UNIT(full_segments_go_while_the_rest_waits), UNIT(nodelay_sends_at_once),
	  UNIT(setting_nodelay_releases_what_waits), UNIT(fin_releases_what_waits),
	  UNIT(waiting_data_rides_not_on_pure_acks), UNIT(push_on_the_last_segment_only),
	  UNIT(pushes_merge_into_full_segments), UNIT(many_small_buffers_fill_segments),
	  UNIT(packing_stays_within_the_send_buffer), UNIT(cork_holds_what_is_not_full),
	  UNIT(cork_has_a_limit), UNIT(nodelay_lets_corked_data_out_once),
	  UNIT(a_short_user_timeout_outlives_the_cork), UNIT(more_waits_for_an_ack_at_most),
	  UNIT(full_small_buffer_goes))
