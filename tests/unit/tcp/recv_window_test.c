/*
 * The window we announce where its unit or the peer's FIN make it special; what it is in general is
 * window_test's.
 */
#include "path.h"

/* A unit of 32 bytes. */
static const struct setup scaled = {.iss = 1000, .irs = 5000000, .wscale = true};

/* A trickle: the edge is rounded up to the unit, so that it does not even seem to move left. */
static void test_edge_is_rounded_up(void)
{
	established(&scaled);
	unsigned unit = 1u << w.tcb.rcv_wscale;
	uint32_t edge = w.tcb.rcv_adv;

	CHECK(unit > 1);
	for (unsigned i = 0; i < 3; i++) {
		inject("P. %u:%u ack 1", 1 + i, 2 + i);
		pass_time(w.now + US_PER_S, true);
		const struct text *t = take_seen();
		CHECK(t && seq_ge(t->ack + t->wnd * unit, edge));
		edge = w.tcb.rcv_adv;
	}
	recv_bytes(3);
	drop_seen();
}

/* Nothing more will come: a reader that makes room tells nobody. */
static void test_no_update_behind_a_fin(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 40; i++)
		inject(". %u:%u ack 1", 1 + i * MSS, 1 + (i + 1) * MSS);
	inject("F. %u:%u ack 1", 1 + 40 * MSS, 1 + 40 * MSS);
	CHECK_STATE(TCPS_CLOSE_WAIT);
	drop_seen();
	CHECK_EQ(recv_bytes(40 * MSS), 40 * MSS);
	expect_none();
}

/* The FIN needs no room. */
static void test_fin_into_a_closed_window(void)
{
	static const struct setup small = {.iss = 1000, .irs = 5000000, .rcv_buf = 1000};

	established(&small);
	inject(". 1:1001 ack 1");
	pass_time(w.now + US_PER_S, true);
	expect(". 1:1 ack 1001 win 0");
	inject("F. 1001:1001 ack 1");
	expect(". 1:1 ack 1002");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK(seq_ge(w.tcb.rcv_adv, w.tcb.rcv_nxt));
	CHECK_EQ(recv_bytes(2000), 1000);
	drop_seen();
	end_world();
}

/* Room for a segment that is less than the unit: an update would say nothing new. */
static void test_no_update_of_less_than_a_unit(void)
{
	static const struct setup coarse = {
		.iss = 1000, .irs = 5000000, .wscale = true, .rcv_buf_max = 1u << 30};
	unsigned at = 1;

	established(&coarse);
	CHECK_EQ(w.tcb.rcv_wscale, TCP_WSCALE_MAX);
	while (w.tcb.rcv_adv != w.tcb.rcv_nxt && at < 100000) {
		uint32_t left = w.tcb.rcv_adv - w.tcb.rcv_nxt;
		unsigned len = left < MSS ? left : MSS;

		inject(". %u:%u ack 1", at, at + len);
		at += len;
		pass_time(w.now + US_PER_S, false);
	}
	CHECK_EQ(w.tcb.rcv_adv, w.tcb.rcv_nxt);
	drop_seen();
	unsigned room = w.tcb.rcv_buf_size - w.tcb.rcvq.bytes;

	recv_bytes(4000 - room);
	expect_none();
	recv_bytes(16384);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	recv_bytes(100000);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_recv_window", UNIT(edge_is_rounded_up), UNIT(no_update_behind_a_fin),
	  UNIT(fin_into_a_closed_window), UNIT(no_update_of_less_than_a_unit))
