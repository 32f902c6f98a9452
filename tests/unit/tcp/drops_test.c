/*
 * Refusals of the core by name, where no other test asks for the name: each leaves the connection as
 * it was.
 */
#include "script_open.h"

static void test_no_syn_in_syn_sent(void)
{
	syn_sent(&plain_setup);
	inject(". 1:1 ack 1");
	CHECK_EQ(w.why, DROP_TCP_FLAGS);
	CHECK_STATE(TCPS_SYN_SENT);
}

static void test_far_beyond_the_window(void)
{
	established(&plain_setup);
	inject("P. 50000000:50000010 ack 1");
	CHECK_EQ(w.why, DROP_TCP_OUT_OF_WINDOW);
	CHECK_STATE(TCPS_ESTABLISHED);
	drop_seen(); /* the answering ACK */
}

static void test_text_behind_the_fin(void)
{
	close_wait(&plain_setup);
	inject("P. 2:12 ack 1");
	CHECK_EQ(w.why, DROP_TCP_AFTER_FIN);
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(recv_bytes(100), 0);
	drop_seen();
}

static void test_listener_reasons(void)
{
	struct tcp_seg seg = {.flags = TCP_ACK};
	enum drop why;

	CHECK_EQ(tcp_listen_input(&seg, &why), TCP_LISTEN_RESET);
	CHECK_EQ(why, DROP_TCP_LISTEN_ACK);
	seg.flags = TCP_SYN | TCP_FIN;
	CHECK_EQ(tcp_listen_input(&seg, &why), TCP_LISTEN_DROP);
	CHECK_EQ(why, DROP_TCP_FLAGS);
}

static void test_repeated_syn(void)
{
	struct tcp_synrcvd rec = {.irs = 100, .iss = 500, .rcv_wnd = 1000};
	struct tcp_seg syn = {.seq = 100, .flags = TCP_SYN};
	struct tcp_seg_out out;
	struct tcp_cfg cfg = {0};
	enum drop why;

	CHECK_EQ(tcp_synrcvd_input(&rec, &syn, &cfg, 0, &out, &why), TCP_SYNRCVD_RESEND);
	CHECK_EQ(why, DROP_TCP_SYN_DUP);
	CHECK(rec.synack_due);
}

UNIT_MAIN("tcp_drops", UNIT(no_syn_in_syn_sent), UNIT(far_beyond_the_window),
	  UNIT(text_behind_the_fin), UNIT(listener_reasons), UNIT(repeated_syn))
