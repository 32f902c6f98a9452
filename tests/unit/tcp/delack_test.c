/*
 * When ACKs go (RFC 9293 3.8.6.3, RFC 5681 4.2): delayed for one small segment, at once for every
 * second full one, for anything out of order, and combined over a batch of input.
 */
#include "script_open.h"

static void delayed(const struct setup *setup)
{
	established(setup);
	inject("P. 1:101 ack 1");
	expect_none();
	expect_after(40 * US_PER_MS, ". 1:1 ack 101");
	advance(10 * US_PER_S);
	expect_none();
}

static void test_single_small_segment_is_acked_after_the_delay(void)
{
	for_each_setup(delayed);
}

static void test_delay_starts_with_the_first_segment(void)
{
	established(&plain_setup);
	inject("P. 1:101 ack 1");
	advance(30 * US_PER_MS);
	inject("P. 101:201 ack 1");
	expect_none();
	expect_after(10 * US_PER_MS, ". 1:1 ack 201");
}

static void test_every_second_full_segment_is_acked_at_once(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 20; i += 2) {
		inject(". %u:%u ack 1", 1 + i * 1460, 1 + (i + 1) * 1460);
		expect_none();
		inject(". %u:%u ack 1", 1 + (i + 1) * 1460, 1 + (i + 2) * 1460);
		expect(". 1:1 ack %u", 1 + (i + 2) * 1460);
		expect_none();
		recv_bytes(10000);
		drop_seen();
	}
}

static void test_two_full_segments_with_timestamps(void)
{
	established(&ts_setup);
	inject(". 1:1449 ack 1");
	expect_none();
	inject(". 1449:2897 ack 1");
	expect(". 1:1 ack 2897");
}

static void test_super_segment_is_acked_at_once(void)
{
	/* GRO: one segment of 20 full ones. */
	established(&plain_setup);
	inject("P. 1:29201 ack 1");
	expect(". 1:1 ack 29201");
	expect_none();
}

static void test_data_carries_the_ack(void)
{
	established(&plain_setup);
	inject("P. 1:101 ack 1");
	send_bytes(50);
	expect("P. 1:51 ack 101");
	advance(US_PER_S / 10);
	expect_none();
}

static void test_batch_of_input_gets_one_ack(void)
{
	unsigned events = 0;

	/* MUST-58, MUST-59: the owner asks for output after the batch. */
	established(&plain_setup);
	for (unsigned i = 0; i < 10; i++) {
		char source[64];
		snprintf(source, sizeof(source), ". %u:%u ack 1", 1 + i * 1460, 1461 + i * 1460);
		struct tcp_seg seg = make_seg(source);
		tcp_input(&w.tcb, &seg, w.now, &events);
		buf_put(&seg.buf);
	}
	CHECK(events & TCP_EV_OUTPUT);
	after_call(events);
	expect(". 1:1 ack 14601");
	expect_none();
}

static void test_no_more_acks_than_segments(void)
{
	struct prng p;
	unsigned segments = 0, acks = 0, at = 1;

	prng_init(&p, 5);
	established(&plain_setup);
	while (at < 500000) {
		uint32_t len = 1 + prng_below(&p, 1460);
		inject(". %u:%u ack 1", at, at + len);
		at += len;
		segments++;
		recv_bytes(100000);
		acks += seen_count();
		drop_seen();
		if (prng_below(&p, 50) == 0)
			advance(100 * US_PER_MS);
	}
	acks += seen_count();
	CHECK(acks <= segments);
	CHECK(acks >= segments / 8);
	drop_seen();
}

static void test_ack_is_never_later_than_half_a_second(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 20; i++) {
		inject("P. %u:%u ack 1", 1 + i, 2 + i);
		weft_time_us from = w.now;
		pass_time(w.now + 10 * US_PER_S, true);
		const struct text *t = take_seen();
		CHECK(t && t->at - from < 500 * US_PER_MS);
	}
}

static void test_out_of_order_is_acked_at_once(void)
{
	established(&plain_setup);
	for (unsigned i = 1; i < 4; i++) {
		inject(". %u:%u ack 1", 1 + i * 10, 11 + i * 10);
		expect(". 1:1 ack 1");
		expect_none();
	}
}

static void test_fin_is_acked_at_once(void)
{
	established(&plain_setup);
	inject("P. 1:11 ack 1");
	inject("F. 11:11 ack 1");
	expect(". 1:1 ack 12");
	expect_none();
}

static void test_pure_acks_are_not_acked(void)
{
	established(&full_setup);
	send_bytes(10000);
	drop_seen();
	for (unsigned at = 1001; at <= 10001; at += 1000)
		inject(". 1:1 ack %u", at);
	expect_none();
	advance(10 * US_PER_S);
	expect_none();
	end_world();
}

static void set_quickack(bool on, bool stays)
{
	unsigned events = 0;

	tcp_set_quickack(&w.tcb, on, stays, &events);
	after_call(events);
}

static void test_quickack_ends_after_some(void)
{
	unsigned at = 1;

	established(&plain_setup);
	inject("P. 1:11 ack 1");
	expect_none();
	set_quickack(true, true);
	expect(". 1:1 ack 11");
	for (at = 11; at < 11 + 16 * 10; at += 10) {
		inject("P. %u:%u ack 1", at, at + 10);
		expect(". 1:1 ack %u", at + 10);
	}
	inject("P. %u:%u ack 1", at, at + 10);
	expect_none();
	set_quickack(true, false);
	expect(". 1:1 ack %u", at + 10);
	drop_seen();
}

static void test_quickack_ends_with_an_answer(void)
{
	established(&plain_setup);
	set_quickack(true, true);
	expect_none();
	inject("P. 1:11 ack 1");
	expect(". 1:1 ack 11");
	advance(US_PER_S);
	send_bytes(5); /* no answer: too late */
	expect("P. 1:6 ack 11");
	inject("P. 11:21 ack 6");
	expect(". 6:6 ack 21");
	send_bytes(5);
	expect("P. 6:11 ack 21");
	inject("P. 21:31 ack 11");
	expect_none();
	drop_seen();
}

/* What TCP_QUICKACK reads: an answer that carries the ACK says ping-pong, an ACK that waited in vain not. */
static void test_pingpong(void)
{
	established(&plain_setup);
	send_bytes(5);
	expect("P. 1:6 ack 1");
	CHECK(!w.tcb.pingpong); /* answers nothing */
	inject("P. 1:11 ack 6");
	expect_none();
	send_bytes(5);
	expect("P. 6:11 ack 11");
	CHECK(w.tcb.pingpong);
	inject("P. 11:21 ack 11");
	CHECK(w.tcb.pingpong);
	advance(US_PER_S);
	expect(". 11:11 ack 21");
	CHECK(!w.tcb.pingpong);
	set_quickack(false, true);
	CHECK(w.tcb.pingpong);
	set_quickack(true, false); /* none is owed */
	CHECK(!w.tcb.pingpong);
	inject("P. 21:31 ack 11");
	set_quickack(true, false);
	expect(". 11:11 ack 31");
	CHECK(w.tcb.pingpong);
	drop_seen();
}

/* A peer whose buffer is smaller than two segments waits for the ACK of what it pushed. */
static void test_push_of_a_small_buffer_is_acked_at_once(void)
{
	established(&plain_setup);
	inject("P. 1:2048 ack 1"); /* a byte less than any buffer */
	expect_none();
	expect_after(40 * US_PER_MS, ". 1:1 ack 2048");
	inject(". 2048:4096 ack 1"); /* there is more */
	expect_none();
	expect_after(40 * US_PER_MS, ". 1:1 ack 4096");
	inject("P. 4096:6144 ack 1");
	expect(". 1:1 ack 6144");
	inject(". 6144:7604 ack 1");
	inject("P. 7604:8192 ack 1"); /* in two */
	expect(". 1:1 ack 8192");
	inject("P. 8192:8200 ack 1");
	send_bytes(5);
	expect("P. 1:6 ack 8200");
	inject("P. 8200:10248 ack 6"); /* ping-pong: an answer will have it */
	expect_none();
	end_world();
}

/* As on Linux it does not matter that the ACK went before the answer; what matters is the time. */
static void test_answer_behind_the_ack(void)
{
	established(&plain_setup);
	inject(". 1:1461 ack 1");
	inject(". 1461:2921 ack 1");
	expect(". 1:1 ack 2921");
	send_bytes(5);
	expect("P. 1:6 ack 2921");
	CHECK(w.tcb.pingpong);
	set_quickack(true, false);
	CHECK(!w.tcb.pingpong);
	inject(". 2921:4381 ack 6");
	inject(". 4381:5841 ack 6");
	expect(". 6:6 ack 5841");
	advance(40 * US_PER_MS);
	send_bytes(5);
	expect("P. 6:11 ack 5841");
	CHECK(!w.tcb.pingpong); /* too late */
	inject(". 5841:5841 ack 11");
	send_bytes(5);
	expect("P. 11:16 ack 5841");
	CHECK(!w.tcb.pingpong); /* an ACK asks nothing */
	end_world();
}

UNIT_MAIN("tcp_delack", UNIT(single_small_segment_is_acked_after_the_delay),
	  UNIT(delay_starts_with_the_first_segment),
	  UNIT(every_second_full_segment_is_acked_at_once), UNIT(two_full_segments_with_timestamps),
	  UNIT(super_segment_is_acked_at_once), UNIT(data_carries_the_ack),
	  UNIT(batch_of_input_gets_one_ack), UNIT(no_more_acks_than_segments),
	  UNIT(ack_is_never_later_than_half_a_second), UNIT(out_of_order_is_acked_at_once),
	  UNIT(fin_is_acked_at_once), UNIT(pure_acks_are_not_acked), UNIT(quickack_ends_after_some),
	  UNIT(quickack_ends_with_an_answer), UNIT(pingpong),
	  UNIT(push_of_a_small_buffer_is_acked_at_once), UNIT(answer_behind_the_ack))
