/*
 * Fast open in the core (RFC 7413): what a SYN with data leaves at either side.  Cookies are
 * fastopen_cache_test's, the way on the wire is that of the scripts in tests/drill/scripts/fastopen.
 */
#include "net/tcp/parts.h"
#include "path.h"

/* A SYN with 'len' bytes and a good cookie; its listener has room for 'room'. */
static void open_child(const char *syn, uint32_t len, uint32_t room)
{
	unsigned events = 0;

	begin_world(&plain_setup);
	struct tcp_seg seg = make_seg(syn);

	seg.len = len;
	seg.buf = len > 0 ? pattern_buf(0, len, PEERS) : NULL;
	tcp_synrcvd_init(&w.rec, &w.params, &seg, w.iss, w.now);
	if (room < w.rec.rcv_wnd)
		w.rec.rcv_wnd = (uint16_t)room;
	w.in_tcb = true;
	tcp_open_passive_fast(&w.tcb, &w.rec, &seg, false, w.now, &events);
	buf_put(&seg.buf);
	after_call(events);
	CHECK_STATE(TCPS_SYN_RCVD);
}

/* The SYN-ACK acknowledges the data: no other ACK is owed, nor counted towards the next. */
static void test_syn_ack_acknowledges_the_data(void)
{
	open_child("S 0:0 win 65535 mss 1000", 1000, 65535);
	expect("S. 0:0 ack 1001");
	expect_none();
	CHECK(w.tcb.fo_acked && w.tcb.t_delack == WEFT_TIME_NEVER);
	CHECK_EQ(w.tcb.delack_bytes, 0);
	CHECK_EQ(recv_bytes(2000), 1000);
	advance(10 * US_PER_MS);
	inject("P. 1001:2001 ack 1");
	expect_none(); /* the first of two */
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.srtt, 10 * US_PER_MS);
	CHECK_EQ(recv_bytes(2000), 1000);
	drop_seen();
}

static void test_data_without_room(void)
{
	open_child("S 0:0 win 65535 mss 1000", 1000, 0);
	expect("S. 0:0 ack 1");
	CHECK(!w.tcb.fo_acked);
	CHECK_EQ(w.tcb.bytes_received, 0);
	CHECK_EQ(recv_bytes(2000), 0);
	drop_seen();
}

/* No record waits for the handshake's end: the child gives up by itself. */
static void test_child_gives_up(void)
{
	open_child("S 0:0 win 65535 mss 1000", 10, 65535);
	advance(w.cfg.synack_timeout - US_PER_MS);
	CHECK_STATE(TCPS_SYN_RCVD);
	advance(2 * US_PER_MS);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	drop_seen();
}

/* The SYN's window is the largest so far: less than half of it is a silly segment. */
static void test_window_of_the_syn(void)
{
	open_child("S 0:0 win 1000 mss 1460", 10, 65535);
	expect("S. 0:0 ack 11");
	send_bytes(700);
	expect("P. 1:701 ack 11");
	send_bytes(2000);
	expect_none();
}

/* What it sends before the handshake is over is in flight, and its window goes on. */
static void test_child_sends_at_once(void)
{
	open_child("S 0:0 win 65535 mss 1460", 10, 65535);
	expect("S. 0:0 ack 11");
	send_bytes(2 * MSS);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
	w.tcb.cc.cwnd = 7 * MSS;
	inject(". 11:11 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.cc.cwnd, 7 * MSS);
	CHECK(w.tcb.t_rexmt != WEFT_TIME_NEVER);
	inject(". 11:11 ack %u", 1 + 2 * MSS);
	CHECK(w.tcb.t_rexmt == WEFT_TIME_NEVER);
	drop_seen();
}

/* ---- The client. ---- */

/* A SYN with 'len' bytes and what was remembered of the server's MSS; it is noted, not judged. */
static void send_syn(uint32_t len, uint16_t mss_peer)
{
	struct buf_queue q = {0};
	struct tcp_seg_out out;
	unsigned events = 0;

	begin_world(&plain_setup);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	tcp_fast_open(&w.tcb, true, mss_peer);
	buf_queue_push(&q, pattern_buf(0, len, OURS));
	w.queued = len;
	tcp_send(&w.tcb, &q, &events);
	while (tcp_output(&w.tcb, w.now, &out)) {
		CHECK(out.len <= out.mss); /* nobody cuts a SYN */
		note_segment(&out);
	}
	w.in_tcb = true;
}

/* What the SYN-ACK takes of the data was acknowledged; the rest goes like any other. */
static void test_client_data(void)
{
	send_syn(2000, 1200);
	expect("S 0:1160");
	expect_none();
	inject("S. 0:0 ack 1001 mss 1200");
	CHECK_EQ(w.tcb.bytes_acked, 1000);
	CHECK(w.tcb.fo_acked);
	expect("P. 1001:2001 ack 1");
	expect_none();
	CHECK_EQ(count_of(C_TCP_FASTOPEN_ACTIVE_FAIL), 1); /* a part */
	inject(". 1:1 ack 2001");
	CHECK_EQ(w.tcb.bytes_acked, 2000);
	/* Nothing of it. */
	send_syn(100, 1200);
	drop_seen();
	inject("S. 0:0 ack 1 mss 1200");
	CHECK(!w.tcb.fo_acked);
	CHECK_EQ(w.tcb.bytes_acked, 0);
	expect("P. 1:101 ack 1");
	/* All of it. */
	send_syn(100, 1200);
	drop_seen();
	inject("S. 0:0 ack 101 mss 1200");
	CHECK_EQ(count_of(C_TCP_FASTOPEN_ACTIVE_FAIL), 0);
	drop_seen();
	/* More than was sent; one more than a SYN without data has. */
	send_syn(100, 1200);
	drop_seen();
	inject("S. 0:0 ack 102 mss 1200");
	CHECK_STATE(TCPS_SYN_SENT);
	drop_seen();
	syn_sent(&plain_setup);
	inject("S. 0:0 ack 2 mss 1200");
	CHECK_STATE(TCPS_SYN_SENT);
	drop_seen();
}

/* What was remembered is no MSS: the default counts. */
static void test_remembered_mss(void)
{
	send_syn(2000, TCP_MSS_MIN - 1);
	expect("S 0:%u", 536 - TCP_OPT_MAX);
	send_syn(2000, TCP_MSS_MIN);
	expect("S 0:%u", TCP_MSS_MIN - TCP_OPT_MAX);
	end_world();
}

/* The SYN again and without ECN: so is the SYN-ACK, and our data, unless some has left with it. */
static void test_repeated_syn_without_ecn(void)
{
	for (unsigned has_sent = 0; has_sent < 2; has_sent++) {
		open_child("SEC 0:0 win 65535 mss 1460", 10, 65535);
		CHECK(w.tcb.ecn_on);
		expect("S.E 0:0 ack 11");
		if (has_sent)
			send_bytes(100);
		drop_seen();
		inject("S 0:0 win 65535 mss 1460");
		CHECK_EQ(w.tcb.ecn_mute, !has_sent);
		expect(has_sent ? "S.E 0:0 ack 11" : "S. 0:0 ack 11");
		drop_seen();
	}
	end_world();
}

UNIT_MAIN("tcp_fastopen", UNIT(syn_ack_acknowledges_the_data), UNIT(data_without_room),
	  UNIT(child_gives_up), UNIT(window_of_the_syn), UNIT(child_sends_at_once),
	  UNIT(client_data), UNIT(remembered_mss), UNIT(repeated_syn_without_ecn))
