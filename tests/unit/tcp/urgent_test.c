/*
 * Urgent data (RFC 9293 3.8.5, RFC 6093): marks that arrive and what a reader sees of them, marks that
 * are sent, and that no pointer, however wild, disturbs the stream.
 */
#include "script_open.h"

static void set_inline(void)
{
	w.tcb.oob_inline = true;
}

/* The urgent byte, or a negative errno; its place in the stream is 'at'. */
static int take_urgent(bool peek, uint32_t at)
{
	uint8_t byte = 0;
	int rc = tcp_recv_urgent(&w.tcb, peek, &byte);

	CHECK(rc != 1 || byte == pattern(at - 1, PEERS));
	return rc;
}

/* Reads what one call gives; the bytes behind a skipped one are 'skipped' further on. */
static uint32_t read_once(uint32_t n, uint32_t skipped)
{
	struct view views[8];
	unsigned events = 0, total = 0;

	w.read += skipped;
	unsigned count = tcp_recv(&w.tcb, n, false, views, 8, &events);

	for (unsigned i = 0; i < count; i++) {
		for (uint32_t k = 0; k < views[i].len; k++)
			CHECK_EQ(views[i].data[k], pattern(w.read + k, PEERS));
		w.read += views[i].len;
		total += views[i].len;
		buf_put(&views[i].buf);
	}
	after_call(events);
	return total;
}

static void in_line(const struct setup *setup)
{
	established(setup);
	set_inline();
	inject("PU. 1:11 ack 1 up 5");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(take_urgent(false, 5), -EINVAL);
	CHECK_EQ(tcp_recv_ready(&w.tcb), 4);
	CHECK_EQ(read_once(100, 0), 4);
	CHECK(tcp_at_mark(&w.tcb));
	CHECK_EQ(read_once(100, 0), 6);
	CHECK(!tcp_at_mark(&w.tcb));
	inject("PU. 11:21 ack 1 up 10");
	CHECK_EQ(recv_bytes(100), 10);
	drop_seen();
}

static void test_urgent_data_stays_in_line(void)
{
	for_each_setup(in_line);
}

static void out_of_line(const struct setup *setup)
{
	established(setup);
	inject("PU. 1:11 ack 1 up 5");
	CHECK(tcp_has_urgent(&w.tcb) && !tcp_at_mark(&w.tcb) && tcp_recv_stops(&w.tcb));
	CHECK_EQ(tcp_recv_ready(&w.tcb), 4);
	CHECK_EQ(take_urgent(true, 5), 1);
	CHECK_EQ(take_urgent(false, 5), 1);
	CHECK_EQ(take_urgent(false, 5), -EINVAL);
	CHECK(!tcp_has_urgent(&w.tcb));
	CHECK_EQ(read_once(2, 0), 2);
	CHECK_EQ(read_once(100, 0), 2);
	CHECK(tcp_at_mark(&w.tcb) && !tcp_recv_stops(&w.tcb));
	CHECK_EQ(tcp_recv_ready(&w.tcb), 5);
	CHECK_EQ(read_once(100, 1), 5);
	CHECK(!tcp_at_mark(&w.tcb) && !tcp_is_urgent(&w.tcb));
	drop_seen();
}

static void test_byte_is_out_of_line(void)
{
	for_each_setup(out_of_line);
}

static void test_peeking_skips_the_byte_and_leaves_it(void)
{
	struct view views[8];
	unsigned events = 0;

	established(&plain_setup);
	inject("PU. 1:2 ack 1 up 1");
	CHECK_EQ(tcp_recv_ready(&w.tcb), 0);
	CHECK_EQ(tcp_recv(&w.tcb, 10, true, views, 8, &events), 0);
	inject("P. 2:6 ack 1");
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(tcp_recv(&w.tcb, 10, true, views, 8, &events), 1);
		CHECK_EQ(views[0].len, 4);
		CHECK_EQ(views[0].data[0], pattern(1, PEERS));
		buf_put(&views[0].buf);
	}
	CHECK_EQ(take_urgent(false, 1), 1);
	CHECK_EQ(read_once(10, 1), 4);
	drop_seen();
}

static void test_announced_before_it_comes(void)
{
	established(&plain_setup);
	inject("U. 1:1 ack 1 up 8");
	CHECK_EQ(take_urgent(false, 8), -EAGAIN);
	inject("P. 1:5 ack 1");
	CHECK_EQ(take_urgent(false, 8), -EAGAIN);
	CHECK_EQ(tcp_recv_ready(&w.tcb), 4);
	CHECK(!tcp_recv_stops(&w.tcb));
	inject("P. 5:11 ack 1");
	CHECK_EQ(take_urgent(false, 8), 1);
	CHECK_EQ(read_once(100, 0), 7);
	CHECK_EQ(read_once(100, 1), 2);
	drop_seen();
}

static void test_comes_out_of_order(void)
{
	established(&plain_setup);
	inject("PU. 5:9 ack 1 up 2");
	CHECK_EQ(take_urgent(false, 6), 1);
	CHECK_EQ(tcp_recv_ready(&w.tcb), 0);
	inject("P. 1:5 ack 1");
	CHECK_EQ(read_once(100, 0), 5);
	CHECK(tcp_at_mark(&w.tcb));
	CHECK_EQ(read_once(100, 1), 2);
	drop_seen();
}

static void test_newer_mark_makes_the_older_byte_data(void)
{
	established(&plain_setup);
	inject("PU. 1:11 ack 1 up 5");
	inject("PU. 11:21 ack 1 up 3");
	CHECK_EQ(take_urgent(false, 13), 1);
	CHECK_EQ(read_once(100, 0), 12);
	CHECK_EQ(read_once(100, 1), 7);
	drop_seen();
}

static void test_newer_mark_behind_a_byte_that_is_next(void)
{
	established(&plain_setup);
	inject("PU. 1:2 ack 1 up 1");
	CHECK_EQ(take_urgent(false, 1), 1);
	inject("PU. 2:5 ack 1 up 3");
	CHECK_EQ(read_once(100, 1), 2);
	CHECK(tcp_at_mark(&w.tcb));
	drop_seen();
}

static void test_old_pointer_is_not_believed_again(void)
{
	established(&plain_setup);
	inject("PU. 1:6 ack 1 up 5");
	CHECK_EQ(read_once(100, 0), 4);
	inject("P. 6:8 ack 1");
	CHECK_EQ(read_once(100, 1), 2);
	inject("U. 8:8 ack 1 up 0"); /* the byte before is not urgent now */
	CHECK_EQ(take_urgent(false, 7), -EINVAL);
	inject("PU. 1:6 ack 1 up 5");
	CHECK(!tcp_is_urgent(&w.tcb));
	drop_seen();
}

static void test_pointer_moves_forward_only(void)
{
	established(&plain_setup);
	inject("U. 1:11 ack 1 up 100");
	CHECK_EQ(w.tcb.rcv_up, w.irs + 101);
	inject("U. 11:21 ack 1 up 10");
	CHECK_EQ(w.tcb.rcv_up, w.irs + 101);
	inject("U. 21:31 ack 1 up 200");
	CHECK_EQ(w.tcb.rcv_up, w.irs + 221);
	CHECK_EQ(recv_bytes(100), 30);
	drop_seen();
}

static void test_wild_pointers_do_no_harm(void)
{
	static const unsigned ups[] = {0, 1, 9, 10, 11, 1000, 32768, 65535};
	unsigned at = 1;

	established(&full_setup);
	set_inline();
	for (unsigned i = 0; i < 64; i++) {
		inject("U. %u:%u ack 1 up %u", at, at + 10, ups[i % 8]);
		CHECK_EQ(w.why, DROP_NONE);
		at += 10;
		inject("U. %u:%u ack 1 up %u", at + 20000, at + 20005, ups[i / 8]);
		inject("U. %u:%u ack 1 up %u", at, at, ups[i / 8]);
		CHECK_EQ(w.tcb.rcv_nxt, w.irs + at);
		drop_seen();
	}
	CHECK_EQ(recv_bytes(10000), at - 1);
	drop_seen();
}

static void test_pointer_after_two_gigabytes_without_one(void)
{
	established(&plain_setup);
	set_inline();
	w.tcb.rcv_up = w.tcb.rcv_nxt - 0x7fffffffu + 2000;
	for (unsigned at = 1; at < 5001; at += 1000) {
		inject(". %u:%u ack 1", at, at + 1000);
		recv_bytes(1000);
	}
	inject("U. 5001:5011 ack 1 up 10");
	CHECK_EQ(w.tcb.rcv_up, w.irs + 5011);
	recv_bytes(10);
	drop_seen();
}

static void test_pointer_without_the_flag_is_ignored(void)
{
	established(&plain_setup);
	inject("P. 1:11 ack 1 up 7");
	CHECK(!tcp_is_urgent(&w.tcb));
	CHECK_EQ(recv_bytes(100), 10);
	drop_seen();
}

static void test_urgent_after_the_fin_is_ignored(void)
{
	close_wait(&plain_setup);
	inject("U. 2:2 ack 1 up 500");
	CHECK(!tcp_is_urgent(&w.tcb));
	CHECK_STATE(TCPS_CLOSE_WAIT);
	drop_seen();
}

static void test_urgent_with_zero_window_is_seen(void)
{
	struct setup setup = plain_setup;

	setup.rcv_buf = 1000;
	established(&setup);
	inject(". 1:1001 ack 1");
	advance(US_PER_S);
	drop_seen();
	inject("U. 1001:1001 ack 1 up 50");
	CHECK_EQ(w.tcb.rcv_up, w.irs + 1051);
	drop_seen();
	end_world();
}

/* ---- Sending. ---- */

static void send_urgent(uint32_t n)
{
	struct buf_queue q = {0};
	unsigned events = 0;

	buf_queue_push(&q, pattern_buf(w.queued, n, OURS));
	w.queued += n;
	tcp_send(&w.tcb, &q, &events);
	tcp_send_urgent(&w.tcb);
	after_call(events);
}

static void marks(const struct setup *setup)
{
	established(setup);
	send_urgent(10);
	expect("PU. 1:11 ack 1 up 10");
	inject(". 1:1 ack 11");
	CHECK(!w.tcb.urg_out);
	send_bytes(5);
	expect("P. 11:16 ack 1 up 0");
	inject(". 1:1 ack 16");
	drop_seen();
}

static void test_sent_with_a_mark(void)
{
	for_each_setup(marks);
}

/* Urgent data does not wait for Nagle's rule; ordinary data behind the mark has no URG. */
static void test_urgent_does_not_wait(void)
{
	established(&plain_setup);
	send_bytes(3);
	expect("P. 1:4 ack 1");
	send_urgent(2);
	expect("PU. 4:6 ack 1 up 2");
	send_bytes(4);
	expect("P. 6:10 ack 1 up 0");
	inject("P. 1:11 ack 4");
	inject("P. 11:3000 ack 4");
	expect(". 10:10 ack 3000 up 0");
	inject(". 3000:3000 ack 10");
	send_bytes(1);
	send_bytes(1);
	expect("P. 10:11 ack 3000 up 0");
	expect_none(); /* the rule holds again */
	drop_seen();
}

static void test_mark_of_many_segments(void)
{
	established(&plain_setup);
	w.raw_gso = true;
	send_urgent(4000);
	expect("U. 1:1461 ack 1 up 4000");
	expect("U. 1461:2921 ack 1 up 2540");
	expect("PU. 2921:4001 ack 1 up 1080");
	inject(". 1:1 ack 1461");
	advance(2 * US_PER_S);
	expect("U. 1461:2921 ack 1 up 2540");
	drop_seen();
	w.raw_gso = false;
}

static void test_mark_beyond_a_pointer(void)
{
	struct setup setup = full_setup;

	setup.wnd = 65535;
	established(&setup);
	inject(". 1:1 ack 1 win 65535");
	send_urgent(200000);
	const struct text *seen = take_seen();

	/* Far from the mark it stays silent unless what was sent ends near. */
	CHECK(seen && (!(seen->flags & TCP_URG) || seen->up == 65535));
	drop_seen();
}

static void test_mark_is_sent_again(void)
{
	established(&plain_setup);
	send_urgent(10);
	expect("PU. 1:11 ack 1 up 10");
	advance(2 * US_PER_S);
	expect("PU. 1:11 ack 1 up 10");
	drop_seen();
}

static void test_mark_behind_a_closed_window(void)
{
	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	send_urgent(10);
	expect_none();
	advance(2 * US_PER_S);
	expect("U. 1:2 ack 1 up 10"); /* the probe tells of it */
	drop_seen();
	end_world();
}

/* What is sent again far below the end of what was sent, and of the mark, is not urgent for its receiver. */
static void test_mark_far_ahead_of_a_retransmission(void)
{
	static const struct setup wide = {.iss = 1000, .irs = 5000000, .wscale = true};

	established(&wide);
	w.tcb.cc.cwnd = 200 * 1460;
	send_bytes(100 * 1460);
	CHECK(seen_count() > 50);
	drop_seen();
	tcp_send_urgent(&w.tcb);
	pass_time(w.now + 10 * US_PER_S, true);
	expect(". 1:1461 ack 1");
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_urgent", UNIT(urgent_data_stays_in_line), UNIT(byte_is_out_of_line),
	  UNIT(peeking_skips_the_byte_and_leaves_it), UNIT(announced_before_it_comes),
	  UNIT(comes_out_of_order), UNIT(newer_mark_makes_the_older_byte_data),
	  UNIT(newer_mark_behind_a_byte_that_is_next), UNIT(old_pointer_is_not_believed_again),
	  UNIT(pointer_moves_forward_only), UNIT(wild_pointers_do_no_harm),
	  UNIT(pointer_after_two_gigabytes_without_one), UNIT(pointer_without_the_flag_is_ignored),
	  UNIT(urgent_after_the_fin_is_ignored), UNIT(urgent_with_zero_window_is_seen),
	  UNIT(sent_with_a_mark), UNIT(urgent_does_not_wait), UNIT(mark_of_many_segments),
	  UNIT(mark_beyond_a_pointer), UNIT(mark_is_sent_again), UNIT(mark_behind_a_closed_window),
	  UNIT(mark_far_ahead_of_a_retransmission))
