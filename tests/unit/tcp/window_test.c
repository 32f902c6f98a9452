/*
 * Windows (RFC 9293 3.8.6, RFC 7323 2): the right edge that never moves left, silly-window avoidance
 * of both sides, zero-window probes sent and persisted, a peer that shrinks its window.
 */
#include "script_open.h"

static void right_edge(const struct setup *setup)
{
	struct setup s = *setup;
	struct prng p;
	unsigned at = 1;

	/* judge_segment watches the edge; the reader is slow and the buffer changes its size. */
	s.rcv_buf = 20000;
	established(&s);
	prng_init(&p, 3);
	for (unsigned i = 0; i < 400; i++) {
		uint32_t room = w.tcb.rcv_adv - w.tcb.rcv_nxt;
		uint32_t len = prng_below(&p, 1500);
		unsigned events = 0;
		len = len < room ? len : room;
		if (len > 0)
			inject(". %u:%u ack 1", at, at + len);
		at += len;
		CHECK_EQ(w.tcb.rcv_nxt, w.irs + at);
		recv_bytes(prng_below(&p, 2000));
		if (i % 20 == 19) {
			tcp_set_rcv_buf(&w.tcb, 2000 + prng_below(&p, 40000), &events);
			after_call(events);
		}
		advance(prng_below(&p, 100000));
		drop_seen();
	}
	CHECK(at > 20000);
}

static void test_right_edge_never_moves_left(void)
{
	for_each_setup(right_edge);
}

static void test_receiver_avoids_silly_windows(void)
{
	struct setup setup = plain_setup;
	unsigned updates = 0;
	uint32_t edge;

	setup.rcv_buf = 20000;
	established(&setup);
	for (unsigned i = 0; i < 20; i++)
		inject(". %u:%u ack 1", 1 + i * 1000, 1001 + i * 1000);
	advance(US_PER_S);
	drop_seen();
	edge = w.tcb.rcv_adv;
	CHECK_EQ(edge, w.tcb.rcv_nxt);
	for (unsigned i = 0; i < 20000; i++) {
		recv_bytes(1);
		for (const struct text *t; (t = take_seen()) != NULL; updates++) {
			uint32_t next = t->ack + t->wnd;
			CHECK(next - edge >= 1460);
			edge = next;
		}
	}
	CHECK(updates >= 1 && updates <= 14);
	CHECK_EQ(edge - w.tcb.rcv_nxt > 20000 - 1460, true);
}

static void test_window_update_at_half_a_small_buffer(void)
{
	struct setup setup = plain_setup;

	setup.rcv_buf = 1000;
	established(&setup);
	inject(". 1:1001 ack 1");
	advance(US_PER_S);
	drop_seen();
	recv_bytes(499);
	expect_none();
	recv_bytes(10);
	const struct text *t = take_seen();
	CHECK(t && t->wnd >= 500);
}

static void test_window_update_is_sent_when_the_reader_returns(void)
{
	established(&full_setup);
	for (unsigned at = 1; w.tcb.rcv_adv != w.tcb.rcv_nxt && at < 200000;) {
		uint32_t room = w.tcb.rcv_adv - w.tcb.rcv_nxt;
		uint32_t len = room < 1448 ? room : 1448;
		inject(". %u:%u ack 1", at, at + len);
		at += len;
	}
	advance(US_PER_S);
	drop_seen();
	recv_bytes(1 << 20);
	CHECK(seen_count() >= 1);
	drop_seen();
	CHECK(w.tcb.rcv_adv - w.tcb.rcv_nxt >= 65536 * 3 / 4);
}

static void test_sender_avoids_silly_windows(void)
{
	struct setup setup = plain_setup;

	/* The peer opens its window by 10 bytes at a time. */
	setup.wnd = 8000;
	established(&setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	unsigned wnd = 0;
	for (; wnd < 1450; wnd += 10) {
		inject(". 1:1 ack 1 win %u", wnd);
		expect_none();
	}
	inject(". 1:1 ack 1 win 1460");
	expect(". 1:1461 ack 1");
	expect_none();
}

static void test_half_of_the_largest_window_is_sent(void)
{
	struct setup setup = plain_setup;

	/* The peer's buffer is smaller than a segment: half of its largest window must do. */
	setup.wnd = 1000;
	established(&setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	inject(". 1:1 ack 1 win 400");
	expect_none();
	inject(". 1:1 ack 1 win 500");
	expect(". 1:501 ack 1");
	inject(". 1:1 ack 501 win 1000");
	expect(". 501:1501 ack 1");
}

static void test_override_timer_sends_a_small_segment(void)
{
	struct setup setup = plain_setup;

	/* Nothing in flight, a window smaller than half: waits, but not for ever. */
	setup.wnd = 8000;
	established(&setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	inject(". 1:1 ack 1 win 700");
	expect_none();
	pass_time(w.now + 70 * US_PER_S, true);
	const struct text *t = take_seen();
	CHECK(t && t->seq == w.iss + 1 && t->len >= 1 && t->len <= 700);
	if (t && t->len == 700) {
		inject(". 1:1 ack 701 win 8000");
		expect(". 701:2161 ack 1");
	}
	drop_seen();
}

/* The override comes within 0.1 to 1.0 s, however long a closed window was to wait (3.8.6.2.1). */
static void test_override_is_within_a_second(void)
{
	struct setup setup = plain_setup;

	setup.wnd = 8000;
	established(&setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	while (w.tcb.backoff < 6) {
		pass_time(w.tcb.t_persist, false);
		drop_seen();
	}
	weft_time_us start = w.now;

	CHECK(w.tcb.t_persist - w.now > 10 * US_PER_S);
	inject(". 1:1 ack 1 win 700");
	CHECK(w.tcb.t_persist - start >= 100 * US_PER_MS);
	CHECK(w.tcb.t_persist - start <= US_PER_S);
	pass_time(start + 99 * US_PER_MS, false);
	expect_none();
	pass_time(start + US_PER_S, false);
	expect(". 1:701 ack 1");
	drop_seen();
}

static void test_usable_window_within_flight_and_nagle_off(void)
{
	struct setup setup = plain_setup;
	unsigned events = 0;

	setup.wnd = 3000;
	established(&setup);
	tcp_set_nodelay(&w.tcb, true, &events);
	after_call(events);
	send_bytes(10000);
	expect(". 1:1461 ack 1");
	expect(". 1461:2921 ack 1");
	expect_none(); /* 80 bytes of window are silly */
	inject(". 1:1 ack 2921 win 3000");
	expect(". 2921:4381 ack 1");
}

static void test_zero_window_probes_back_off_and_go_on(void)
{
	weft_time_us last = 0, gap = 0;

	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	expect_none();
	weft_time_us start = w.now;
	for (unsigned i = 0; i < 20; i++) {
		pass_time(w.now + 300 * (weft_time_us)US_PER_S, true);
		const struct text *t = take_seen();
		if (!CHECK(t != NULL))
			return;
		CHECK(t->len <= 1);
		CHECK(t->seq == w.iss + 1 || t->seq == w.iss);
		if (i == 0)
			CHECK(t->at - start >= 200 * US_PER_MS && t->at - start <= 3 * US_PER_S);
		else if (i == 1)
			gap = t->at - last;
		else if (i < 6) {
			CHECK_EQ(t->at - last, 2 * gap);
			gap = t->at - last;
		} else {
			CHECK(t->at - last >= gap && t->at - last <= 120LL * US_PER_S);
		}
		last = t->at;
		inject(". 1:1 ack 1 win 0");
		expect_none();
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	inject(". 1:1 ack 1 win 60000");
	CHECK(seen_count() >= 3);
	expect(". 1:1461 ack 1");
	drop_seen();
}

static void test_answered_probes_keep_the_connection_for_ever(void)
{
	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	while (w.now < w.start + 30 * 3600LL * US_PER_S) {
		pass_time(w.now + 300 * (weft_time_us)US_PER_S, true);
		if (!CHECK(seen_count() > 0))
			return;
		drop_seen();
		inject(". 1:1 ack 1 win 0");
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.error, 0);
}

static void test_unanswered_probes_end_the_connection(void)
{
	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	advance(2000 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	drop_seen();
}

static void test_probe_with_data_that_is_taken(void)
{
	/* The peer had room when the probe came: it acknowledges the byte. */
	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	pass_time(w.now + 10 * US_PER_S, true);
	const struct text *t = take_seen();
	if (!CHECK(t != NULL))
		return;
	unsigned end = t->seq + t->len - w.iss;
	inject(". 1:1 ack %u win 60000", end ? end : 1);
	t = take_seen();
	CHECK(t && t->seq == w.iss + (end ? end : 1) && t->len == 1460);
	drop_seen();
	inject(". 1:1 ack 5001 win 60000");
	CHECK_EQ(w.tcb.sndq.bytes, 0);
}

static void test_zero_window_with_data_in_flight_is_probed(void)
{
	established(&plain_setup);
	send_bytes(14000);
	drop_seen();
	inject(". 1:1 ack 1461 win 0");
	/* In flight data is retransmitted or probed; nothing new is sent. */
	for (unsigned i = 0; i < 6; i++) {
		pass_time(w.now + 300 * (weft_time_us)US_PER_S, true);
		const struct text *t = take_seen();
		if (!CHECK(t != NULL))
			return;
		CHECK(seq_le(t->seq + t->len, w.iss + 14001));
		CHECK(seq_le(t->seq, w.iss + 1461));
		inject(". 1:1 ack 1461 win 0");
	}
	drop_seen();
	inject(". 1:1 ack 14001 win 60000");
	CHECK_EQ(w.tcb.sndq.bytes, 0);
}

static void test_peer_shrinks_its_window(void)
{
	established(&plain_setup);
	inject(". 1:1 ack 1 win 20000");
	send_bytes(40000); /* 10 segments of initial window go */
	drop_seen();
	CHECK_EQ(w.tcb.snd_max, w.iss + 14601);
	inject(". 1:1 ack 1461 win 5000"); /* edge 6461, left of what is in flight */
	expect_none();
	inject(". 1:1 ack 2921 win 3540");
	expect_none();
	/* Old data inside the window is still retransmitted. */
	pass_time(w.now + 10 * US_PER_S, true);
	const struct text *t = take_seen();
	CHECK(t && t->seq == w.iss + 2921 && t->len >= 1);
	drop_seen();
	inject(". 1:1 ack 14601 win 60000");
	CHECK(seen_count() >= 1);
	t = take_seen();
	CHECK(t && t->seq == w.iss + 14601);
	drop_seen();
}

static void test_shrunken_window_with_answers_does_not_time_out(void)
{
	established(&plain_setup);
	send_bytes(14000);
	drop_seen();
	inject(". 1:1 ack 1461 win 0");
	while (w.now < w.start + 3600LL * US_PER_S) {
		pass_time(w.now + 300 * (weft_time_us)US_PER_S, true);
		if (!CHECK(seen_count() > 0))
			return;
		drop_seen();
		inject(". 1:1 ack 1461 win 0");
	}
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void test_closed_own_window_is_kept_and_probes_are_answered(void)
{
	struct setup setup = plain_setup;

	setup.rcv_buf = 1000;
	established(&setup);
	inject(". 1:1001 ack 1");
	advance(US_PER_S);
	drop_seen();
	for (unsigned i = 0; i < 100; i++) {
		inject(". 1001:1002 ack 1");
		expect(". 1:1 ack 1001 win 0");
		advance(60 * (weft_time_us)US_PER_S);
	}
	expect_none();
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(recv_bytes(5000), 1000);
}

static void test_rounding_does_not_let_the_peer_overrun_the_buffer(void)
{
	static const uint32_t max[] = {60000, 1 << 20, 16 << 20, 1 << 30};

	/* I6: nobody reads; the peer sends small segments into what each ACK announces. */
	for (unsigned i = 0; i < 4; i++) {
		struct setup setup = full_setup;
		unsigned at = 1;
		setup.rcv_buf = 30001;
		setup.rcv_buf_max = max[i];
		established(&setup);
		uint32_t unit = 1u << w.tcb.rcv_wscale;
		for (unsigned j = 0; j < 6000; j++) {
			uint32_t room = w.edge - w.tcb.rcv_nxt;
			uint32_t len = j < 20 ? 1400 : unit > 1 ? unit - 1 : 1;
			len = room < len ? room : len;
			len = len < 1400 ? len : 1400;
			if (len == 0 || seq_gt(w.tcb.rcv_nxt, w.edge))
				break;
			inject(". %u:%u ack 1", at, at + len);
			at = w.tcb.rcv_nxt - w.irs;
			advance(50 * US_PER_MS);
			drop_seen();
		}
		CHECK(w.tcb.rcvq.bytes <= w.tcb.rcv_buf_size + unit);
	}
}

/* A shift of 14 and 2,000 bytes: the field cannot say 2,000, but 0 would be for ever. */
static void test_buffer_lowered_below_a_scale_unit_opens_again(void)
{
	struct setup setup = full_setup;
	unsigned events = 0, at = 1;

	setup.rcv_buf = 65536;
	setup.rcv_buf_max = 1 << 30;
	established(&setup);
	CHECK_EQ(w.tcb.rcv_wscale, 14);
	tcp_set_rcv_buf(&w.tcb, 2000, &events);
	after_call(events);
	for (; w.tcb.rcv_nxt != w.edge && at < 80000; at += 1024) /* what was announced counts */
		inject(". %u:%u ack 1", at, at + 1024);
	advance(US_PER_S);
	drop_seen();
	CHECK_EQ(recv_bytes(80000), at - 1);
	expect(". 1:1 ack %u win 1", at); /* without being asked */
	inject(". %u:%u ack 1", at, at + 1000);
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(2000), 1000);
	expect_none(); /* the peer has more than the buffer left */
	/* It fills the unit, each time: no reader waits for a probe. */
	inject(". %u:%u ack 1", at + 1000, at + 16384);
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(10000), 10000);
	advance(US_PER_S);
	drop_seen();
	CHECK_EQ(recv_bytes(5384), 5384);
	expect(". 1:1 ack %u win 1", at + 16384);
	expect_none();
}

static void test_small_buffer_has_a_small_scale_unit(void)
{
	struct setup setup = full_setup;

	/* However large it may grow: the field can say a quarter of 2,000 at least. */
	setup.rcv_buf = 2000;
	setup.rcv_buf_max = 1 << 30;
	established(&setup);
	CHECK_EQ(w.tcb.rcv_wscale, 8);
	for (unsigned at = 1; at < 10001; at += 1000) {
		inject(". %u:%u ack 1", at, at + 1000);
		if (!CHECK_EQ(w.why, DROP_NONE))
			break;
		recv_bytes(1000);
		advance(US_PER_S);
		const struct text *t = take_seen();
		for (const struct text *n; (n = take_seen()) != NULL;)
			t = n;
		CHECK(t && t->wnd > 0);
	}
	CHECK_EQ(w.read, 10000);
	drop_seen();
}

static void test_reads_of_a_huge_buffer_send_no_useless_updates(void)
{
	struct setup setup = plain_setup;
	unsigned updates = 0;

	/* Without scaling the field says 65,535 whatever the buffer: nothing to tell. */
	setup.rcv_buf = 200000;
	established(&setup);
	inject(". 1:1001 ack 1");
	advance(US_PER_S);
	drop_seen();
	for (unsigned i = 0; i < 1000; i++) {
		recv_bytes(1);
		updates += seen_count();
		drop_seen();
	}
	CHECK(updates <= 1);
}

static void test_scaled_window_edge_is_rounded_without_loss(void)
{
	struct setup setup = full_setup;
	unsigned at = 1;

	/* WS-7: whatever fits any window announced is taken, whatever the rounding. */
	setup.rcv_buf = 30001;
	setup.rcv_buf_max = 1 << 30;
	established(&setup);
	for (unsigned i = 0; i < 300; i++) {
		uint32_t room = w.edge - w.tcb.rcv_nxt;
		uint32_t len = room < 777 ? room : 777;
		if (len > 0) {
			inject(". %u:%u ack 1", at, at + len);
			CHECK_EQ(w.why, DROP_NONE);
			at += len;
		}
		CHECK_EQ(w.tcb.rcv_nxt, w.irs + at);
		recv_bytes(i % 3 ? 900 : 0);
		advance(50 * US_PER_MS);
		drop_seen();
	}
	CHECK(at > 30000);
	end_world();
}

/* EV-ACK-5: a segment that was overtaken brings an old window. */
static void test_window_of_an_overtaken_segment_is_old(void)
{
	established(&plain_setup);
	inject("P. 101:201 ack 1 win 500");
	CHECK_EQ(w.tcb.snd_wnd, 500);
	inject("P. 1:101 ack 1 win 8000");
	CHECK_EQ(w.tcb.snd_wnd, 500);
	CHECK_EQ(recv_bytes(1000), 200);
	inject(". 201:201 ack 1 win 8000");
	CHECK_EQ(w.tcb.snd_wnd, 8000);
}

/* The window in what was sent last, in bytes; 0: nothing was. */
static uint32_t last_window(void)
{
	uint32_t wnd = 0;

	for (const struct text *n; (n = take_seen()) != NULL;)
		wnd = (uint32_t)n->wnd << w.tcb.rcv_wscale;
	return wnd;
}

/* TCP_WINDOW_CLAMP: no window is larger; what was announced stays. */
static void test_clamp_bounds_the_window(void)
{
	unsigned events = 0;
	uint32_t at = 1;

	established(&full_setup);
	CHECK(w.edge - w.tcb.rcv_nxt > 20000);
	uint32_t edge = w.edge;

	tcp_set_window_clamp(&w.tcb, 5000, &events);
	after_call(events);
	for (; at + 1000 <= edge - w.tcb.irs; at += 1000) {
		inject(". %u:%u ack 1", at, at + 1000);
		recv_bytes(1000);
	}
	advance(US_PER_S);
	drop_seen();
	for (unsigned i = 0; i < 20; i++, at += 1000) {
		inject(". %u:%u ack 1", at, at + 1000);
		if (!CHECK_EQ(w.why, DROP_NONE))
			break;
		recv_bytes(1000);
		advance(US_PER_S);
		uint32_t wnd = last_window();

		CHECK(wnd > 0 && wnd <= 5000 + (1u << w.tcb.rcv_wscale));
	}
	/* None: as much as the buffer takes, told at once. */
	events = 0;
	tcp_set_window_clamp(&w.tcb, 0, &events);
	after_call(events);
	CHECK(last_window() > 5000);
	recv_bytes(1000);
	drop_seen();
}

static void test_clamp_is_packed(void)
{
	static const uint32_t clamps[] = {1152, 4095, 4096, 4097, 65535, 1u << 20, 4095u << 15};

	unsigned events = 0;

	established(&full_setup);
	for (unsigned i = 0; i < ARRAY_SIZE(clamps); i++) {
		tcp_set_window_clamp(&w.tcb, clamps[i], &events);
		uint32_t bytes = (uint32_t)(w.tcb.rcv_clamp & 0xfff) << (w.tcb.rcv_clamp >> 12);

		CHECK(bytes <= clamps[i] && clamps[i] - bytes <= clamps[i] / 2048);
		CHECK(clamps[i] > 4095 || bytes == clamps[i]);
	}
	tcp_set_window_clamp(&w.tcb, 4096u << 15, &events);
	CHECK_EQ(w.tcb.rcv_clamp, 0);
	tcp_set_window_clamp(&w.tcb, UINT32_MAX, &events);
	CHECK_EQ(w.tcb.rcv_clamp, 0);
}

UNIT_MAIN("tcp_window", UNIT(right_edge_never_moves_left), UNIT(receiver_avoids_silly_windows),
	  UNIT(window_update_at_half_a_small_buffer),
	  UNIT(window_update_is_sent_when_the_reader_returns), UNIT(sender_avoids_silly_windows),
	  UNIT(half_of_the_largest_window_is_sent), UNIT(override_timer_sends_a_small_segment),
	  UNIT(override_is_within_a_second), UNIT(usable_window_within_flight_and_nagle_off),
	  UNIT(zero_window_probes_back_off_and_go_on),
	  UNIT(answered_probes_keep_the_connection_for_ever),
	  UNIT(unanswered_probes_end_the_connection), UNIT(probe_with_data_that_is_taken),
	  UNIT(zero_window_with_data_in_flight_is_probed),
	  UNIT(window_of_an_overtaken_segment_is_old), UNIT(peer_shrinks_its_window),
	  UNIT(shrunken_window_with_answers_does_not_time_out),
	  UNIT(closed_own_window_is_kept_and_probes_are_answered),
	  UNIT(rounding_does_not_let_the_peer_overrun_the_buffer),
	  UNIT(buffer_lowered_below_a_scale_unit_opens_again),
	  UNIT(small_buffer_has_a_small_scale_unit),
	  UNIT(reads_of_a_huge_buffer_send_no_useless_updates),
	  UNIT(scaled_window_edge_is_rounded_without_loss), UNIT(clamp_bounds_the_window),
	  UNIT(clamp_is_packed))
