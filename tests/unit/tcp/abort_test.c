/* ABORT (RFC 9293 3.10.5) in every state: a RST where the peer knows us, queues emptied, CLOSED. */
#include "script_open.h"

static bool reset_expected(enum tcp_state state)
{
	return state != TCPS_CLOSING && state != TCPS_LAST_ACK;
}

static void abort_in(const struct reach *r)
{
	abort_app(ECONNABORTED);
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_CLOSED);
	CHECK_EQ(w.tcb.error, ECONNABORTED);
	const struct text *t = take_seen();
	if (reset_expected(r->state)) {
		CHECK(t && t->flags & TCP_RST && t->seq == w.iss + r->snd_nxt && t->len == 0);
		CHECK_EQ(counter_read(&w.counters, C_TCP_RESET_OUT), 1);
	} else {
		CHECK(!t || t->flags & TCP_RST);
	}
	expect_none();
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
	abort_app(0); /* again: nothing */
	expect_none();
}

static void test_abort_in_each_state(void)
{
	for_each_state(abort_in);
}

static void with_data(const struct setup *setup)
{
	established(setup);
	send_bytes(30000);
	inject("P. 1:101 ack 1");
	inject("P. 301:401 ack 1");
	drop_seen();
	uint32_t nxt = w.tcb.snd_max;
	abort_app(0);
	const struct text *t = take_seen();
	CHECK(t && t->flags & TCP_RST && t->seq == nxt);
	expect_none();
	tcp_fini(&w.tcb);
	buf_queue_clear(&w.tcb.trash);
	CHECK_EQ(bufpool_lent(w.pool), 0);
}

static void test_abort_with_data_queued_everywhere(void)
{
	for_each_setup(with_data);
}

static void test_abort_in_syn_sent_is_silent(void)
{
	syn_sent(&plain_setup);
	abort_app(ECONNABORTED);
	CHECK_STATE(TCPS_CLOSED);
	expect_none();
	advance(300 * (weft_time_us)US_PER_S);
	expect_none();
}

static void test_abort_in_syn_rcvd_resets(void)
{
	syn_rcvd(&plain_setup);
	abort_app(ECONNABORTED);
	CHECK_STATE(TCPS_CLOSED);
	const struct text *t = take_seen();
	CHECK(t && t->flags & TCP_RST && t->seq == w.iss + 1);
	expect_none();
}

static void test_abort_in_time_wait_is_silent(void)
{
	time_wait(&plain_setup);
	drop_seen();
	abort_app(0);
	CHECK_STATE(TCPS_CLOSED);
	expect_none();
	end_world();
}

static void test_closed_tcb_takes_no_segments(void)
{
	established(&plain_setup);
	abort_app(0);
	drop_seen();
	inject("P. 1:11 ack 1");
	CHECK(w.why != DROP_NONE);
	inject("S 0:0");
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(send_bytes(100), 0);
	CHECK_EQ(recv_bytes(100), 0);
	drop_seen();
	end_world();
}

/* A FIN beyond a hole is no data that nobody reads: it is waited for. */
static void test_fin_beyond_a_hole_after_close(void)
{
	established(&plain_setup);
	close_app();
	drop_seen();
	inject("F. 101:101 ack 2");
	expect(". 2:2 ack 1");
	CHECK_STATE(TCPS_FIN_WAIT_2);
	drop_seen();
	end_world();
}

/* A RST tells of nothing that arrived twice. */
static void test_reset_has_no_blocks(void)
{
	established(&full_setup);
	inject("P. 1:101 ack 1");
	recv_bytes(100);
	advance(US_PER_S);
	drop_seen();
	begin_batch();
	inject("P. 1:101 ack 1");
	CHECK(w.tcb.dsack_due);
	abort_app(ECONNRESET);
	end_batch();
	expect("R. 1:1 ack 101 nosack");
	expect_none();
	end_world();
}

UNIT_MAIN("tcp_abort", UNIT(abort_in_each_state), UNIT(abort_with_data_queued_everywhere),
	  UNIT(abort_in_syn_sent_is_silent), UNIT(abort_in_syn_rcvd_resets),
	  UNIT(abort_in_time_wait_is_silent), UNIT(closed_tcb_takes_no_segments),
	  UNIT(fin_beyond_a_hole_after_close), UNIT(reset_has_no_blocks))
