/*
 * Urgent pointers that arrive (RFC 9293 3.8.5, RFC 6093): data stays in line, RCV.UP follows, and no
 * pointer, however wild, disturbs the stream.
 */
#include "script_open.h"

static void test_urgent_data_stays_in_line(void)
{
	established(&plain_setup);
	inject("PU. 1:11 ack 1 up 5");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(100), 10);
	inject("PU. 11:21 ack 1 up 10");
	CHECK_EQ(recv_bytes(100), 10);
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
	uint32_t up = w.tcb.rcv_up;
	inject("P. 1:11 ack 1 up 77");
	CHECK_EQ(w.tcb.rcv_up == w.irs + 78, false);
	CHECK(w.tcb.rcv_up == up || seq_le(w.tcb.rcv_up, w.tcb.rcv_nxt));
	CHECK_EQ(recv_bytes(100), 10);
	drop_seen();
}

static void test_urgent_after_the_fin_is_ignored(void)
{
	close_wait(&plain_setup);
	uint32_t up = w.tcb.rcv_up;
	inject("U. 2:2 ack 1 up 500");
	CHECK(seq_le(w.tcb.rcv_up, seq_max(up, w.irs + 2)));
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

UNIT_MAIN("tcp_urgent", UNIT(urgent_data_stays_in_line), UNIT(pointer_moves_forward_only),
	  UNIT(wild_pointers_do_no_harm), UNIT(pointer_after_two_gigabytes_without_one),
	  UNIT(pointer_without_the_flag_is_ignored), UNIT(urgent_after_the_fin_is_ignored),
	  UNIT(urgent_with_zero_window_is_seen))
