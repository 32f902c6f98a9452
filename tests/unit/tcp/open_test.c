/*
 * Opening connections (RFC 9293 3.5, 3.10.7.3): three-way handshake both ways, simultaneous open,
 * wrong ACKs and resets on the way, data and FIN in the handshake, half-open discovery.
 */
#include "script_open.h"

static void handshake(const struct setup *setup)
{
	established(setup);
	CHECK_EQ(w.tcb.passive, setup->passive);
	CHECK_EQ(w.tcb.ts_on, setup->ts);
	CHECK_EQ(w.tcb.sack_on, setup->sack);
	CHECK_EQ(w.tcb.wscale_on, setup->wscale);
	CHECK_EQ(w.tcb.snd_una, setup->iss + 1);
	CHECK_EQ(w.tcb.rcv_nxt, setup->irs + 1);
	send_bytes(100);
	expect("P. 1:101 ack 1");
	inject("P. 1:201 ack 101");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(recv_bytes(1000), 200);
	advance(US_PER_S);
	expect(". 101:101 ack 201");
	expect_none();
}

static void test_handshake_in_all_setups(void)
{
	for_each_setup(handshake);
}

static void simultaneous(const struct setup *setup)
{
	syn_rcvd(setup);
	CHECK(!w.tcb.passive);
	CHECK(!(w.events & TCP_EV_CONNECTED));
	inject("S. 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK(take_events() & TCP_EV_CONNECTED);
	CHECK_EQ(w.tcb.ts_on, setup->ts);
	drop_seen();
	send_bytes(10);
	expect("P. 1:11 ack 1");
}

static void test_simultaneous_open_by_syn_ack(void)
{
	for_each_setup(simultaneous);
}

/* An ACK of what we never sent, or of nothing, does not open. */
static void test_simultaneous_open_needs_the_ack_of_our_syn(void)
{
	syn_rcvd(&plain_setup);
	inject(". 1:1 ack 0");
	CHECK_EQ(w.why, DROP_TCP_SYN_RCVD_ACK);
	CHECK_STATE(TCPS_SYN_RCVD);
	inject(". 1:1 ack 2");
	CHECK_EQ(w.why, DROP_TCP_SYN_RCVD_ACK);
	CHECK_STATE(TCPS_SYN_RCVD);
	inject(". 1:1 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void simultaneous_plain_ack(const struct setup *setup)
{
	syn_rcvd(setup);
	inject(". 1:1 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK(take_events() & TCP_EV_CONNECTED);
	expect_none();
	inject("P. 1:11 ack 1");
	CHECK_EQ(recv_bytes(100), 10);
}

static void test_simultaneous_open_by_ack(void)
{
	for_each_setup(simultaneous_plain_ack);
}

static void test_simultaneous_open_retransmits_syn_ack(void)
{
	syn_rcvd(&plain_setup);
	expect_after(US_PER_S, "S. 0:0 ack 1");
	inject(". 1:1 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void test_syn_ack_with_wrong_ack_gets_reset(void)
{
	static const int acks[] = {0, 2, -1, 1000000, 0x7fffffff};

	for (unsigned i = 0; i < 5; i++) {
		syn_sent(&plain_setup);
		inject("S. 0:0 ack %d mss 1460", acks[i]);
		const struct text *got = take_seen();
		CHECK(got && got->flags == TCP_RST && got->seq == w.iss + (uint32_t)acks[i]);
		CHECK_STATE(TCPS_SYN_SENT);
		CHECK_EQ(w.why, DROP_TCP_SYN_SENT_ACK);
		expect_none();
	}
	inject("S. 0:0 ack 1 mss 1460");
	expect(". 1:1 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	end_world();
}

static void test_reset_with_wrong_ack_in_syn_sent_is_ignored(void)
{
	syn_sent(&plain_setup);
	inject("R. 0:0 ack 0");
	inject("R. 0:0 ack 2");
	inject("R 0:0");
	inject("R. 0:0 ack 77777");
	CHECK_STATE(TCPS_SYN_SENT);
	expect_none();
	CHECK_EQ(w.tcb.error, 0);
}

static void test_reset_in_syn_sent_refuses(void)
{
	syn_sent(&plain_setup);
	inject("R. 0:0 ack 1");
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ECONNREFUSED);
	CHECK(w.events & TCP_EV_CLOSED);
	CHECK(w.events & TCP_EV_WRITABLE);
	expect_none();
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
}

static void test_reset_after_simultaneous_open_refuses(void)
{
	syn_rcvd(&plain_setup);
	inject("R 1:1");
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ECONNREFUSED);
	expect_none();
}

static void test_segment_without_syn_in_syn_sent_is_dropped(void)
{
	syn_sent(&plain_setup);
	inject(". 1:1 ack 1");
	inject("F. 1:1 ack 1");
	inject("P. 1:101 ack 1");
	inject("F 1:1");
	inject("- 1:1");
	CHECK_STATE(TCPS_SYN_SENT);
	expect_none();
	CHECK(w.why != DROP_NONE);
}

static void test_data_in_syn_ack_is_delivered(void)
{
	syn_sent(&plain_setup);
	/* Payload begins behind the SYN: number 1. */
	struct tcp_seg seg = make_seg("S. 0:0 ack 1 mss 1460");
	seg.len = 50;
	seg.buf = pattern_buf(0, 50, PEERS);
	inject_seg(&seg);
	CHECK_STATE(TCPS_ESTABLISHED);
	expect(". 1:1 ack 51");
	CHECK_EQ(recv_bytes(100), 50);
}

static void test_fin_in_syn_ack_closes(void)
{
	syn_sent(&plain_setup);
	inject("SF. 0:0 ack 1 mss 1460");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	expect(". 1:1 ack 2");
	CHECK(tcp_recv_eof(&w.tcb));
}

static void test_data_queued_in_syn_sent_is_sent_when_established(void)
{
	syn_sent(&plain_setup);
	CHECK_EQ(send_bytes(3000), 3000);
	expect_none();
	inject("S. 0:0 ack 1 mss 1000");
	expect(". 1:1001 ack 1");
	expect(". 1001:2001 ack 1");
	expect("P. 2001:3001 ack 1");
	expect_none();
}

static void test_data_and_fin_queued_in_syn_rcvd(void)
{
	syn_rcvd(&plain_setup);
	send_bytes(10);
	shutdown_write();
	expect_none();
	inject(". 1:1 ack 1");
	CHECK_STATE(TCPS_FIN_WAIT_1);
	expect("FP. 1:11 ack 1");
	inject(". 1:1 ack 12");
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static void test_data_queued_in_syn_rcvd(void)
{
	syn_rcvd(&plain_setup);
	send_bytes(10);
	expect_none();
	inject(". 1:1 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	expect("P. 1:11 ack 1");
}

static void test_handshake_ack_with_data(void)
{
	listen_syn(&plain_setup);
	expect("S. 0:0 ack 1");
	accept_by("P. 1:101 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(recv_bytes(1000), 100);
	CHECK(w.events & TCP_EV_CONNECTED);
}

static void test_handshake_ack_with_data_and_fin(void)
{
	listen_syn(&full_setup);
	expect("S. 0:0 ack 1");
	accept_by("FP. 1:101 ack 1");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	expect(". 1:1 ack 102");
	CHECK_EQ(recv_bytes(1000), 100);
	CHECK(tcp_recv_eof(&w.tcb));
}

static void test_stale_connection_challenges_a_syn(void)
{
	/* RFC 9293 3.5.1: the peer restarted; our ACK makes it reset us. */
	established(&plain_setup);
	inject("S 70000:70000 mss 1460");
	expect(". 1:1 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	inject("R 1:1");
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ECONNRESET);
}

static void test_syn_ack_repeated_in_established_is_acked(void)
{
	/* Our ACK of the SYN-ACK was lost. */
	established(&plain_setup);
	inject("S. 0:0 ack 1 mss 1460");
	expect(". 1:1 ack 1");
	expect_none();
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void test_icmp_hard_error_fails_syn_sent_only(void)
{
	unsigned events = 0;

	syn_sent(&plain_setup);
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss + 1, ECONNREFUSED, true, &events), DROP_ICMP_SEQ);
	CHECK_STATE(TCPS_SYN_SENT);
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss, ECONNREFUSED, true, &events), DROP_NONE);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ECONNREFUSED);
	CHECK(events & TCP_EV_CLOSED);

	established(&plain_setup);
	send_bytes(100);
	events = 0;
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss + 1, ECONNREFUSED, true, &events), DROP_NONE);
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.soft_error, ECONNREFUSED);
	drop_seen();
}

static void test_icmp_soft_error_does_not_end_syn_sent(void)
{
	unsigned events = 0;

	syn_sent(&plain_setup);
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss, EHOSTUNREACH, false, &events), DROP_NONE);
	CHECK_STATE(TCPS_SYN_SENT);
	CHECK_EQ(w.tcb.soft_error, EHOSTUNREACH);
	advance(200 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, EHOSTUNREACH);
	drop_seen();
	end_world();
}

/* Written before the SYN could leave: it leaves alone, also when it asks for a cookie (RFC 7413 4.1.3). */
static void test_data_queued_before_the_syn_waits(void)
{
	for (unsigned asks = 0; asks < 2; asks++) {
		struct buf_queue q = {.head = NULL};
		unsigned events = 0;

		begin_world(&plain_setup);
		tcp_open_active(&w.tcb, w.iss, w.now, &events);
		if (asks)
			tcp_fast_open(&w.tcb, false, 0);
		buf_queue_push(&q, pattern_buf(0, 100, OURS));
		w.queued = 100;
		tcp_send(&w.tcb, &q, &events);
		after_call(events);
		expect("S 0:0");
		w.in_tcb = true;
		inject("S. 0:0 ack 1 win 65535");
		expect("P. 1:101 ack 1");
		expect_none();
	}
	end_world();
}

/* The SYN-ACK that crosses ours has a window that is not scaled; what we take it for may be less, not more. */
static void test_window_of_a_crossing_syn_ack_is_not_scaled(void)
{
	static const struct setup setup = {
		.iss = 1000, .irs = 5000000, .wscale = true, .wscale_peer = 7};

	syn_rcvd(&setup);
	inject("S. 0:0 ack 1 win 50001 mss 1460 wscale 7");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.snd_wnd, 50001 - 50001 % 128);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_open", UNIT(handshake_in_all_setups), UNIT(data_queued_before_the_syn_waits),
	  UNIT(simultaneous_open_by_syn_ack), UNIT(simultaneous_open_needs_the_ack_of_our_syn),
	  UNIT(simultaneous_open_by_ack), UNIT(simultaneous_open_retransmits_syn_ack),
	  UNIT(syn_ack_with_wrong_ack_gets_reset),
	  UNIT(reset_with_wrong_ack_in_syn_sent_is_ignored), UNIT(reset_in_syn_sent_refuses),
	  UNIT(reset_after_simultaneous_open_refuses),
	  UNIT(segment_without_syn_in_syn_sent_is_dropped), UNIT(data_in_syn_ack_is_delivered),
	  UNIT(fin_in_syn_ack_closes), UNIT(data_queued_in_syn_sent_is_sent_when_established),
	  UNIT(data_and_fin_queued_in_syn_rcvd), UNIT(data_queued_in_syn_rcvd),
	  UNIT(handshake_ack_with_data), UNIT(handshake_ack_with_data_and_fin),
	  UNIT(stale_connection_challenges_a_syn), UNIT(syn_ack_repeated_in_established_is_acked),
	  UNIT(icmp_hard_error_fails_syn_sent_only), UNIT(icmp_soft_error_does_not_end_syn_sent),
	  UNIT(window_of_a_crossing_syn_ack_is_not_scaled))
