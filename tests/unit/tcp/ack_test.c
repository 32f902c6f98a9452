/*
 * Acknowledgements that arrive (RFC 9293 3.10.7.4, RFC 5961 5): new, old, invalid; the send queue,
 * the send window's WL1/WL2 rule, what counts as a duplicate (RFC 5681 2).
 */
#include "script_open.h"

static void new_ack(const struct setup *setup)
{
	established(setup);
	send_bytes(4000);
	drop_seen();
	take_events();
	inject(". 1:1 ack 1001");
	CHECK_EQ(w.tcb.snd_una, w.iss + 1001);
	CHECK_EQ(w.tcb.sndq.bytes, 3000);
	CHECK(w.events & TCP_EV_WRITABLE);
	inject(". 1:1 ack 4001");
	CHECK_EQ(w.tcb.snd_una, w.iss + 4001);
	CHECK_EQ(w.tcb.sndq.bytes, 0);
	CHECK_EQ(w.tcb.sndq.mem, 0);
	CHECK_EQ(w.tcb.t_rexmt, WEFT_TIME_NEVER);
	CHECK_EQ(bufpool_lent(w.pool), 0);
	expect_none();
}

static void test_new_ack_frees_data_and_wakes_writers(void)
{
	for_each_setup(new_ack);
}

static void ack_of_the_future(const struct reach *r)
{
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned far[] = {1, 1000, 0x40000000};
		uint32_t una = w.tcb.snd_una;
		inject("P. %u:%u ack %u", r->rcv_nxt, r->rcv_nxt + 10, r->snd_nxt + far[i]);
		CHECK_EQ(w.why, DROP_TCP_ACK_INVALID);
		expect(". %u:%u ack %u", r->snd_nxt, r->snd_nxt, r->rcv_nxt);
		expect_none();
		CHECK_EQ(w.tcb.snd_una, una);
		CHECK_EQ(recv_bytes(100), 0);
		CHECK_STATE(r->state);
		advance(10 * US_PER_MS);
	}
}

static void test_ack_above_snd_nxt_is_answered_and_dropped(void)
{
	for_each_state(ack_of_the_future);
}

static void test_ack_below_the_largest_window_is_answered_and_dropped(void)
{
	struct setup setup = plain_setup;

	setup.wnd = 5000;
	established(&setup);
	send_bytes(1000);
	inject(". 1:1 ack 1001");
	drop_seen();
	inject("P. 1:11 ack -3998"); /* una 1001 less 5000 is -3999 */
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(100), 10);
	advance(US_PER_S);
	drop_seen();
	inject("P. 11:21 ack -4100");
	CHECK_EQ(w.why, DROP_TCP_ACK_INVALID);
	CHECK_EQ(recv_bytes(100), 0);
	expect(". 1001:1001 ack 11");
	inject("P. 11:21 ack %d", (int)(1001u + 0x80000001u));
	CHECK_EQ(recv_bytes(100), 0);
	drop_seen();
}

static void test_invalid_acks_are_not_answered_without_limit(void)
{
	unsigned answers = 0;

	established(&plain_setup);
	for (unsigned i = 0; i < 1000; i++) {
		inject(". 1:1 ack 100000");
		answers += seen_count();
		drop_seen();
	}
	CHECK(answers >= 1 && answers <= 20);
}

static void test_data_of_an_old_ack_is_taken(void)
{
	established(&plain_setup);
	send_bytes(1000);
	inject(". 1:1 ack 1001");
	drop_seen();
	inject("P. 1:101 ack 1");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(1000), 100);
	CHECK_EQ(w.tcb.snd_una, w.iss + 1001);
}

static void test_old_segment_does_not_change_the_send_window(void)
{
	established(&plain_setup);
	inject("P. 1:11 ack 1 win 40000");
	CHECK_EQ(w.tcb.snd_wnd, 40000);
	inject(". 1:1 ack 1 win 10"); /* older sequence number */
	CHECK_EQ(w.tcb.snd_wnd, 40000);
	send_bytes(100);
	inject(". 11:11 ack 101 win 39900");
	CHECK_EQ(w.tcb.snd_wnd, 39900);
	inject(". 11:11 ack 51 win 5"); /* same sequence number, older ACK */
	CHECK_EQ(w.tcb.snd_wnd, 39900);
	inject(". 11:11 ack 101 win 50000"); /* same both: taken */
	CHECK_EQ(w.tcb.snd_wnd, 50000);
	drop_seen();
}

static void test_window_field_is_unsigned(void)
{
	struct setup setup = full_setup;

	established(&plain_setup);
	CHECK_EQ(w.tcb.snd_wnd, 65535);
	setup.wscale_peer = 14;
	established(&setup);
	CHECK_EQ(w.tcb.snd_wnd, 65535u << 14);
	inject(". 1:1 ack 1 win 1");
	CHECK_EQ(w.tcb.snd_wnd, 1u << 14);
}

static void test_three_duplicate_acks_retransmit(void)
{
	established(&plain_setup);
	send_bytes(5 * 1460);
	drop_seen();
	inject(". 1:1 ack 1");
	inject(". 1:1 ack 1");
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(!t->retransmit);
	inject(". 1:1 ack 1");
	expect(". 1:1461 ack 1");
	CHECK_EQ(counter_read(&w.counters, C_TCP_FAST_RETRANS), 1);
	drop_seen();
}

/* What looks like a duplicate ACK but is none (RFC 5681 2). */
static void test_window_updates_are_not_duplicates(void)
{
	established(&plain_setup);
	send_bytes(5 * 1460);
	drop_seen();
	for (unsigned i = 1; i < 10; i++)
		inject(". 1:1 ack 1 win %u", 50000 + i);
	expect_none();
	CHECK_EQ(w.tcb.dupacks, 0);
}

static void test_data_segments_are_not_duplicates(void)
{
	established(&plain_setup);
	send_bytes(5 * 1460);
	drop_seen();
	for (unsigned i = 0; i < 6; i++)
		inject(". %u:%u ack 1", 1 + i * 10, 11 + i * 10);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK_EQ(t->len, 0);
	CHECK_EQ(w.tcb.dupacks, 0);
}

static void test_fin_is_not_a_duplicate(void)
{
	established(&plain_setup);
	send_bytes(5 * 1460);
	drop_seen();
	inject(". 1:1 ack 1");
	inject(". 1:1 ack 1");
	inject("F. 1:1 ack 1");
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(!t->retransmit);
}

static void test_acks_with_nothing_outstanding_are_not_duplicates(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 10; i++)
		inject(". 1:1 ack 1");
	CHECK_EQ(w.tcb.dupacks, 0);
	expect_none();
	send_bytes(1460);
	expect("P. 1:1461 ack 1");
	expect_none();
}

static void test_status_tells_the_variables(void)
{
	struct tcp_status st;

	established(&full_setup);
	send_bytes(5000);
	inject("P. 1:101 ack 1449");
	drop_seen();
	tcp_get_status(&w.tcb, w.now, &st);
	CHECK_EQ(st.state, TCPS_ESTABLISHED);
	CHECK(st.ts_on && st.sack_on && st.wscale_on);
	CHECK_EQ(st.snd_mss, 1448);
	CHECK_EQ(st.unacked_bytes, 5000 - 1448);
	CHECK_EQ(st.notsent_bytes, 0);
	CHECK_EQ(st.bytes_acked, 1448);
	CHECK_EQ(st.bytes_received, 100);
	CHECK_EQ(st.bytes_sent, 5000);
	CHECK_EQ(st.cwnd, w.tcb.cc.cwnd);
	CHECK_EQ(st.snd_wnd, w.tcb.snd_wnd);
	CHECK(st.segs_in >= 2 && st.segs_out >= 2);
	for (unsigned i = 0; i < SYNCHRONIZED_STATES; i++) {
		synchronized_states[i].go(&plain_setup);
		tcp_get_status(&w.tcb, w.now, &st);
		CHECK_EQ(st.state, synchronized_states[i].state);
	}
	end_world();
}

UNIT_MAIN("tcp_ack", UNIT(new_ack_frees_data_and_wakes_writers),
	  UNIT(ack_above_snd_nxt_is_answered_and_dropped),
	  UNIT(ack_below_the_largest_window_is_answered_and_dropped),
	  UNIT(invalid_acks_are_not_answered_without_limit), UNIT(data_of_an_old_ack_is_taken),
	  UNIT(old_segment_does_not_change_the_send_window), UNIT(window_field_is_unsigned),
	  UNIT(three_duplicate_acks_retransmit), UNIT(window_updates_are_not_duplicates),
	  UNIT(data_segments_are_not_duplicates), UNIT(fin_is_not_a_duplicate),
	  UNIT(acks_with_nothing_outstanding_are_not_duplicates), UNIT(status_tells_the_variables))
