/*
 * Which segments are acceptable (RFC 9293 3.4, 3.10.7.4): the four cases of the table around both
 * edges, trimming, missing ACK bits, and the limited answers to what is not acceptable.
 */
#include "script_open.h"

enum { WND = 2000 };

static struct setup small_window(uint32_t irs)
{
	struct setup setup = {.iss = 0x7fffffff - 5, .irs = irs, .rcv_buf = WND};

	return setup;
}

/* A fresh connection with RCV.NXT = 1 and a window of WND, or with a window of 0. */
static unsigned open_window(uint32_t irs, bool zero)
{
	struct setup setup = small_window(irs);

	established(&setup);
	if (!zero)
		return 1;
	inject(". 1:%u ack 1", 1 + WND);
	advance(US_PER_S);
	drop_seen();
	CHECK_EQ(w.tcb.rcv_adv, w.tcb.rcv_nxt);
	return 1 + WND;
}

struct row {
	bool zero_window;
	int seq; /* from RCV.NXT */
	unsigned len;
	bool ok;
};

static const struct row table[] = {
	/* no data, window 0: only RCV.NXT */
	{true, 0, 0, true},
	{true, 1, 0, false},
	{true, -1, 0, false},
	/* no data, a window: inside it */
	{false, 0, 0, true},
	{false, -1, 0, false},
	{false, 1, 0, true},
	{false, WND - 1, 0, true},
	{false, WND + 1, 0, false},
	/* data, window 0: never */
	{true, 0, 1, false},
	{true, -1, 1, false},
	{true, 1, 1, false},
	/* data, a window: either end inside */
	{false, 0, 1, true},
	{false, -1, 1, false},
	{false, -1, 2, true},
	{false, -500, 500, false},
	{false, -500, 501, true},
	{false, WND - 1, 1, true},
	{false, WND - 1, 100, true},
	{false, WND, 1, false},
	{false, WND + 1, 1, false},
	{false, -100, 1400, true},
	{false, 0x7fffff00, 1, false},
	{false, -0x7fffff00, 1, false},
};

static void check_row(const struct row *row, uint32_t irs)
{
	unsigned nxt = open_window(irs, row->zero_window);
	unsigned delivered = 0;

	inject(". %d:%d ack 1", (int)nxt + row->seq, (int)nxt + row->seq + (int)row->len);
	if (row->ok && row->seq <= 0 && row->seq + (int)row->len > 0)
		delivered = (unsigned)(row->seq + (int)row->len);
	if (!row->zero_window)
		CHECK_EQ(recv_bytes(10000), delivered);
	if (row->ok) {
		CHECK(w.why == DROP_NONE);
	} else {
		CHECK(w.why != DROP_NONE);
		CHECK_EQ(w.tcb.rcv_nxt, w.irs + nxt);
		const struct text *t = take_seen();
		CHECK(t && t->flags == TCP_ACK && t->ack == w.irs + nxt && t->len == 0);
		CHECK_EQ(t ? t->seq : 0, w.iss + 1);
	}
	drop_seen();
}

static void test_table_of_acceptability(void)
{
	static const uint32_t isns[] = {0,
					0x7fffffffu - 1000,
					0xffffffffu,
					0xffffffffu - WND,
					0xffffffffu - WND / 2,
					0x80000000u};

	for (unsigned i = 0; i < 6; i++)
		for (size_t j = 0; j < sizeof(table) / sizeof(table[0]); j++)
			check_row(&table[j], isns[i]);
	end_world();
}

static void test_left_duplicate_is_trimmed(void)
{
	established(&plain_setup);
	inject("P. 1:101 ack 1");
	inject("P. 51:151 ack 1");
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + 151);
	CHECK_EQ(recv_bytes(1000), 150);
	drop_seen();
	inject("P. 1:151 ack 1");
	CHECK_EQ(w.why, DROP_TCP_OLD_DUP);
	CHECK_EQ(recv_bytes(1000), 0);
	expect(". 1:1 ack 151");
}

static void test_right_overflow_is_trimmed_with_its_fin(void)
{
	struct setup setup = small_window(99);

	established(&setup);
	inject("FP. 1:%u ack 1", 1 + WND + 10);
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + 1 + WND);
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(recv_bytes(10000), WND);
	drop_seen();
}

static void test_fin_exactly_at_the_right_edge(void)
{
	struct setup setup = small_window(99);

	/* The data fills the window; the FIN needs no buffer and may be taken or repeated. */
	established(&setup);
	inject("FP. 1:%u ack 1", 1 + WND);
	CHECK(seq_ge(w.tcb.rcv_nxt, w.irs + 1 + WND));
	CHECK_EQ(recv_bytes(10000), WND);
	drop_seen();
	inject("F. %u:%u ack 1", 1 + WND, 1 + WND);
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + 2 + WND);
	drop_seen();
}

static void test_ack_of_an_unacceptable_segment_with_zero_window_is_used(void)
{
	unsigned nxt = open_window(5, true);

	send_bytes(100);
	expect("P. 1:101 ack %u win 0", nxt);
	inject("P. %u:%u ack 101", nxt, nxt + 100); /* beyond the window */
	CHECK_EQ(w.tcb.snd_una, w.iss + 101);
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + nxt);
	drop_seen();
}

static void test_zero_window_probe_is_answered(void)
{
	unsigned nxt = open_window(5, true);

	for (unsigned i = 0; i < 5; i++) {
		inject(". %u:%u ack 1", nxt, nxt + 1);
		expect(". 1:1 ack %u win 0", nxt);
		advance(US_PER_S);
		inject(". %u:%u ack 1", nxt - 1, nxt); /* the other way to probe */
		expect(". 1:1 ack %u win 0", nxt);
		advance(US_PER_S);
		inject(". %u:%u ack 1", nxt - 1, nxt - 1); /* and without payload */
		expect(". 1:1 ack %u win 0", nxt);
		advance(US_PER_S);
	}
	expect_none();
}

static void test_bare_ack_at_the_right_edge_is_used(void)
{
	struct setup setup = small_window(7);

	/* A peer that filled the window, and lost the first segment of it, acknowledges from there. */
	established(&setup);
	send_bytes(100);
	drop_seen();
	inject(". %u:%u ack 101", 1 + WND, 1 + WND);
	CHECK_EQ(w.tcb.snd_una, w.iss + 101);
	drop_seen();
}

static void test_keepalive_answer_at_the_right_edge_counts(void)
{
	struct setup setup = small_window(7);

	established(&setup);
	tcp_set_keep_times(&w.tcb, 10 * US_PER_S, US_PER_S, 3, w.now);
	tcp_set_keepalive(&w.tcb, true, w.now);
	for (unsigned i = 0; i < 20; i++) {
		pass_time(w.now + 20 * US_PER_S, true);
		drop_seen();
		if (w.tcb.state == TCPS_ESTABLISHED)
			inject(". %u:%u ack 1", 1 + WND, 1 + WND);
		drop_seen();
	}
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void without_ack(const struct reach *r)
{
	inject("P %u:%u", r->rcv_nxt, r->rcv_nxt + 100);
	CHECK_EQ(w.why, DROP_TCP_NO_ACK);
	inject("F %u:%u", r->rcv_nxt, r->rcv_nxt);
	CHECK_EQ(w.why, DROP_TCP_NO_ACK);
	CHECK_STATE(r->state);
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + r->rcv_nxt);
	CHECK_EQ(recv_bytes(1000), 0);
	expect_none();
}

static void test_segment_without_ack_is_dropped(void)
{
	for_each_state(without_ack);
}

static void test_replay_of_empty_segments_outside_is_limited(void)
{
	unsigned answers = 0;

	/* Two confused ends must not answer each other for ever (ACK loop). */
	established(&plain_setup);
	for (unsigned i = 0; i < 1000; i++) {
		inject(". -100:-100 ack 1");
		CHECK_EQ(w.why, DROP_TCP_OLD_DUP);
		answers += seen_count();
		drop_seen();
		advance(US_PER_MS);
	}
	CHECK(answers >= 1 && answers <= 4);
}

static void test_old_data_gets_an_ack_each_time(void)
{
	/* A lost ACK of ours: the peer repeats its data until it hears. */
	established(&plain_setup);
	inject("P. 1:101 ack 1");
	recv_bytes(100);
	advance(US_PER_S);
	drop_seen();
	for (unsigned i = 0; i < 5; i++) {
		inject("P. 1:101 ack 1");
		expect(". 1:1 ack 101");
		advance(US_PER_S);
	}
	expect_none();
	end_world();
}

UNIT_MAIN("tcp_acceptable", UNIT(table_of_acceptability), UNIT(left_duplicate_is_trimmed),
	  UNIT(right_overflow_is_trimmed_with_its_fin), UNIT(fin_exactly_at_the_right_edge),
	  UNIT(ack_of_an_unacceptable_segment_with_zero_window_is_used),
	  UNIT(zero_window_probe_is_answered), UNIT(bare_ack_at_the_right_edge_is_used),
	  UNIT(keepalive_answer_at_the_right_edge_counts), UNIT(segment_without_ack_is_dropped),
	  UNIT(replay_of_empty_segments_outside_is_limited), UNIT(old_data_gets_an_ack_each_time))
