/*
 * Ending connections (RFC 9293 3.6, 3.10.4, 3.10.7.4): active, passive and simultaneous close, half
 * closes both ways, FINs with data, out of order, behind windows, lost and repeated; orphans.
 */
#include "script_open.h"

static void active_close(const struct setup *setup)
{
	fin_wait_1(setup);
	inject(". 1:1 ack 1"); /* of nothing new */
	CHECK_STATE(TCPS_FIN_WAIT_1);
	inject(". 1:1 ack 2");
	CHECK_STATE(TCPS_FIN_WAIT_2);
	inject("F. 1:1 ack 2");
	expect(". 2:2 ack 2");
	CHECK_STATE(TCPS_TIME_WAIT);
	CHECK(w.events & TCP_EV_TIME_WAIT);
	CHECK(w.events & TCP_EV_READABLE);
	CHECK(tcp_recv_eof(&w.tcb));
	expect_none();
}

static void test_active_close(void)
{
	for_each_setup(active_close);
}

static void passive_close(const struct setup *setup)
{
	last_ack(setup);
	inject(". 2:2 ack 1"); /* of nothing new: must not close */
	CHECK_STATE(TCPS_LAST_ACK);
	inject(". 2:2 ack 2");
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_CLOSED);
	CHECK_EQ(w.tcb.error, 0);
	expect_none();
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
}

static void test_passive_close(void)
{
	for_each_setup(passive_close);
}

static void simultaneous_close(const struct setup *setup)
{
	closing(setup);
	inject(". 2:2 ack 1");
	CHECK_STATE(TCPS_CLOSING);
	inject(". 2:2 ack 2");
	CHECK_STATE(TCPS_TIME_WAIT);
	CHECK(w.events & TCP_EV_TIME_WAIT);
	expect_none();
}

static void test_simultaneous_close(void)
{
	for_each_setup(simultaneous_close);
}

static void fin_with_ack_of_fin(const struct setup *setup)
{
	fin_wait_1(setup);
	inject("F. 1:1 ack 2");
	CHECK_STATE(TCPS_TIME_WAIT);
	expect(". 2:2 ack 2");
	expect_none();
}

static void test_fin_that_acks_our_fin_goes_to_time_wait(void)
{
	for_each_setup(fin_with_ack_of_fin);
}

static void test_half_close_we_still_receive(void)
{
	fin_wait_2(&full_setup);
	for (unsigned i = 0; i < 100; i++) {
		inject("P. %u:%u ack 2", 1 + i * 1000, 1001 + i * 1000);
		CHECK_EQ(recv_bytes(2000), 1000);
	}
	drop_seen();
	inject("F. 100001:100001 ack 2");
	expect(". 2:2 ack 100002");
	CHECK_STATE(TCPS_TIME_WAIT);
}

static void test_half_close_we_still_send(void)
{
	unsigned acked = 1;

	close_wait(&full_setup);
	CHECK_EQ(send_bytes(50000), 50000);
	for (const struct text *t; (t = take_seen()) != NULL;) {
		acked = t->seq + t->len - w.iss;
		CHECK_EQ(t->ack, w.irs + 2);
		inject(". 2:2 ack %u", acked);
	}
	CHECK_EQ(acked, 50001);
	shutdown_write();
	CHECK_STATE(TCPS_LAST_ACK);
	expect("F. 50001:50001 ack 2");
	inject(". 2:2 ack 50002");
	CHECK_STATE(TCPS_CLOSED);
}

static void test_fin_behind_full_window(void)
{
	struct setup setup = plain_setup;

	/* 64 KB written, the peer takes 1000: FIN-WAIT-1 now, the FIN when the window opens. */
	setup.wnd = 1000;
	established(&setup);
	send_bytes(65000);
	shutdown_write();
	CHECK_STATE(TCPS_FIN_WAIT_1);
	expect(". 1:1001 ack 1");
	inject(". 1:1 ack 1001 win 0");
	expect_none();
	inject(". 1:1 ack 1001 win 65000");
	unsigned end = 1001;
	bool fin = false;
	for (const struct text *t; (t = take_seen()) != NULL;) {
		end = t->seq + t->len - w.iss;
		fin = t->flags & TCP_FIN;
		inject(". 1:1 ack %u win 65000", end + fin);
	}
	CHECK_EQ(end, 65001);
	CHECK(fin);
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

/* The data fills the window to the last byte: none is left for the FIN. */
static void test_fin_needs_a_place_in_the_window(void)
{
	for (unsigned room = 0; room < 2; room++) {
		established(&plain_setup);
		inject(". 1:1 ack 1 win 0");
		send_bytes(1000);
		shutdown_write();
		expect_none();
		inject(". 1:1 ack 1 win %u", 1000 + room);
		expect(room > 0 ? "F. 1:1001 ack 1" : ". 1:1001 ack 1");
		expect_none();
		inject(". 1:1 ack %u win 1", 1001 + room);
		if (room == 0)
			expect("F. 1001:1001 ack 1");
		expect_none();
	}
}

static void test_fin_alone_with_zero_window_is_probed_or_sent(void)
{
	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	shutdown_write();
	CHECK_STATE(TCPS_FIN_WAIT_1);
	/* A FIN takes sequence space; it may go as the probe. */
	bool fin = false;
	for (unsigned i = 0; i < 10 && !fin; i++) {
		pass_time(w.now + 60 * (weft_time_us)US_PER_S, true);
		for (const struct text *t; (t = take_seen()) != NULL;)
			fin |= t->flags & TCP_FIN;
		if (!fin)
			inject(". 1:1 ack 1 win 0");
	}
	CHECK(fin);
	inject(". 1:1 ack 2 win 0");
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static void test_fin_with_data_both_ways(void)
{
	established(&full_setup);
	inject("FP. 1:501 ack 1");
	expect(". 1:1 ack 502");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK(!tcp_recv_eof(&w.tcb));
	CHECK_EQ(recv_bytes(1000), 500);
	CHECK(tcp_recv_eof(&w.tcb));
	w.cfg.gso_max = 1448;
	send_bytes(10);
	expect("P. 1:11 ack 502");
	inject(". 502:502 ack 11");
	send_small(10);
	shutdown_write();
	/* The FIN may be alone or ride on the data. */
	drop_seen();
	CHECK_EQ(w.tcb.snd_max, w.iss + 22);
	inject(". 502:502 ack 22");
	CHECK_STATE(TCPS_CLOSED);
}

static void test_fin_out_of_order_waits_for_the_hole(void)
{
	established(&full_setup);
	inject("F. 101:101 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	expect(". 1:1 ack 1");
	CHECK(!tcp_recv_eof(&w.tcb));
	inject("P. 1:101 ack 1"); /* the FIN is remembered */
	expect(". 1:1 ack 102");
	expect_none();
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(recv_bytes(1000), 100);
	CHECK(tcp_recv_eof(&w.tcb));
}

/* Every order of {1:101, 101:201, FIN}, each sent twice: the stream is whole, one FIN. */
static void test_permutations_of_data_and_fin(void)
{
	static const char *const segs[] = {"P. 1:101 ack 1", "P. 101:201 ack 1", "F. 201:201 ack 1",
					   "FP. 101:201 ack 1"};

	for (unsigned code = 0; code < 64; code++) {
		established(code % 2 ? &full_setup : &plain_setup);
		inject("%s", segs[code % 4]);
		inject("%s", segs[code / 4 % 4]);
		inject("%s", segs[code / 16 % 4]);
		for (unsigned i = 0; i < 4; i++)
			inject("%s", segs[i]);
		CHECK_EQ(recv_bytes(1000), 200);
		if (w.tcb.state == TCPS_ESTABLISHED)
			inject("F. 201:201 ack 1");
		CHECK_STATE(TCPS_CLOSE_WAIT);
		CHECK_EQ(w.tcb.rcv_nxt, w.irs + 202);
		drop_seen();
	}
	end_world();
}

/* The end of the stream is known before it is reached: nothing behind it, and no other end. */
static void test_end_beyond_a_hole_stays_the_end(void)
{
	established(&plain_setup);
	inject("F. 101:201 ack 1");
	inject(". 201:301 ack 1");
	CHECK_EQ(w.why, DROP_TCP_AFTER_FIN);
	inject("F. 101:151 ack 1");
	inject("F. 201:201 ack 1");
	drop_seen();
	inject(". 1:101 ack 1");
	expect(". 1:1 ack 202");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(recv_bytes(1000), 200);
}

/* The same with the other end first told as the true one. */
static void test_second_end_is_not_believed(void)
{
	established(&plain_setup);
	inject("F. 201:301 ack 1");
	inject("F. 101:201 ack 1");
	drop_seen();
	inject(". 1:101 ack 1");
	expect(". 1:1 ack 302");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(recv_bytes(1000), 300);
}

static void test_data_behind_the_fin_is_refused(void)
{
	close_wait(&plain_setup);
	inject("P. 2:102 ack 1");
	CHECK(w.why != DROP_NONE);
	CHECK_EQ(recv_bytes(1000), 0);
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + 2);
	CHECK(tcp_recv_eof(&w.tcb));
	drop_seen();

	established(&plain_setup);
	inject("P. 201:301 ack 1"); /* queued, then the FIN turns out to lie before it */
	inject("F. 101:101 ack 1");
	inject("P. 1:101 ack 1");
	drop_seen();
	inject("F. 101:101 ack 1");
	CHECK_EQ(recv_bytes(1000), 100);
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(w.tcb.rcv_nxt, w.irs + 102);
	drop_seen();

	established(&plain_setup);
	inject("P. 102:202 ack 1"); /* right behind it */
	inject("F. 1:101 ack 1");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(w.tcb.reass_runs, 0);
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
}

/* ---- Lost FINs: in each closing state the FIN is sent again until it is acknowledged. ---- */

static void lose_fins(void (*go)(const struct setup *), unsigned ack)
{
	go(&plain_setup);
	for (unsigned i = 0; i < 6; i++) {
		pass_time(w.now + 120 * (weft_time_us)US_PER_S, true);
		char want[64];
		snprintf(want, sizeof(want), "F. 1:1 ack %u", ack);
		expect("%s", want);
		expect_none();
	}
}

static void test_lost_fin_in_fin_wait_1(void)
{
	lose_fins(fin_wait_1, 1);
	inject(". 1:1 ack 2");
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static void test_lost_fin_in_closing(void)
{
	lose_fins(closing, 2);
	inject(". 2:2 ack 2");
	CHECK_STATE(TCPS_TIME_WAIT);
}

static void test_lost_fin_in_last_ack(void)
{
	lose_fins(last_ack, 2);
	inject(". 2:2 ack 2");
	CHECK_STATE(TCPS_CLOSED);
}

static void test_lost_data_before_the_fin(void)
{
	established(&plain_setup);
	send_bytes(2000);
	shutdown_write();
	expect(". 1:1461 ack 1");
	expect("P. 1461:2001 ack 1");
	expect("F. 2001:2001 ack 1");
	expect_none();
	pass_time(w.now + 10 * US_PER_S, true);
	expect(". 1:1461 ack 1");
	expect_none();
	inject(". 1:1 ack 1461");
	expect("FP. 1461:2001 ack 1");
	inject(". 1:1 ack 2001"); /* the data only */
	CHECK_STATE(TCPS_FIN_WAIT_1);
	pass_time(w.now + 10 * US_PER_S, true);
	expect("F. 2001:2001 ack 1");
	inject(". 1:1 ack 2002");
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static void repeated_fin(const struct reach *r)
{
	if (r->rcv_nxt != 2)
		return;
	for (unsigned i = 0; i < 3; i++) {
		advance(10 * US_PER_MS);
		drop_seen();
		inject("F. 1:1 ack 1");
		expect(". %u:%u ack 2", r->snd_nxt, r->snd_nxt);
		expect_none();
		CHECK_STATE(r->state);
		advance(600 * US_PER_MS);
		drop_seen();
	}
}

static void test_repeated_fin_is_acked_and_leaves_the_state(void)
{
	for_each_state(repeated_fin);
}

static void test_second_shutdown_sends_no_second_fin(void)
{
	fin_wait_1(&plain_setup);
	shutdown_write();
	expect_none();
	close_app();
	expect_none();
	CHECK_EQ(w.tcb.snd_max, w.iss + 2);
	CHECK_EQ(tcp_send_room(&w.tcb), 0);
}

static void test_close_in_syn_sent_deletes(void)
{
	syn_sent(&plain_setup);
	close_app();
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_CLOSED);
	advance(300 * (weft_time_us)US_PER_S);
	expect_none();
}

static void test_close_in_syn_rcvd_sends_fin(void)
{
	syn_rcvd(&plain_setup);
	close_app();
	CHECK(w.tcb.state == TCPS_SYN_RCVD || w.tcb.state == TCPS_FIN_WAIT_1);
	drop_seen();
	inject(". 1:1 ack 1");
	CHECK_STATE(TCPS_FIN_WAIT_1);
	pass_time(w.now + 2 * US_PER_S, true);
	expect("F. 1:1 ack 1");
	inject(". 1:1 ack 2");
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static void test_close_sends_all_data_then_fin(void)
{
	unsigned acked = 1;
	bool fin = false;

	established(&full_setup);
	CHECK_EQ(send_bytes(1 << 20), 1 << 20);
	close_app();
	CHECK_STATE(TCPS_FIN_WAIT_1);
	while (!fin) {
		const struct text *t = take_seen();
		if (!CHECK(t != NULL))
			break;
		fin = t->flags & TCP_FIN;
		acked = t->seq + t->len - w.iss + fin;
		inject(". 1:1 ack %u win 60000", acked);
	}
	CHECK_EQ(acked, (1 << 20) + 2);
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static void test_close_with_unread_data_resets(void)
{
	established(&plain_setup);
	inject("P. 1:101 ack 1");
	close_app();
	CHECK_STATE(TCPS_CLOSED);
	const struct text *t = take_seen();
	CHECK(t && t->flags & TCP_RST && t->seq == w.iss + 1);
	expect_none();

	close_wait(&plain_setup); /* everything read: good order */
	close_app();
	expect("F. 1:1 ack 2");
	CHECK_STATE(TCPS_LAST_ACK);
}

static void test_data_for_a_closed_socket_resets(void)
{
	established(&plain_setup);
	close_app();
	expect("F. 1:1 ack 1");
	inject("P. 1:101 ack 2");
	const struct text *t = take_seen();
	CHECK(t && t->flags & TCP_RST && t->seq == w.iss + 2);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.why, DROP_TCP_AFTER_CLOSE);
}

static void test_orphan_in_fin_wait_2_is_given_up(void)
{
	established(&plain_setup);
	close_app();
	expect("F. 1:1 ack 1");
	inject(". 1:1 ack 2");
	CHECK_STATE(TCPS_FIN_WAIT_2);
	advance(59 * US_PER_S);
	CHECK_STATE(TCPS_FIN_WAIT_2);
	advance(2 * US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_CLOSED);
	drop_seen();
}

static void test_linger2_is_the_time_in_fin_wait_2(void)
{
	established(&plain_setup);
	tcp_set_linger2(&w.tcb, 5);
	close_app();
	drop_seen();
	inject(". 1:1 ack 2");
	advance(4 * US_PER_S);
	CHECK_STATE(TCPS_FIN_WAIT_2);
	expect_none();
	advance(2 * US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	expect("R. 2:2 ack 1");
	CHECK_EQ(counter_read(&w.counters, C_TCP_ORPHAN_KILLED), 1);
}

/* Below 0 an orphan's FIN-WAIT-2 is over when it begins; one that is only shut down stays. */
static void test_linger2_below_zero_skips_fin_wait_2(void)
{
	established(&plain_setup);
	tcp_set_linger2(&w.tcb, -1);
	close_app();
	expect("F. 1:1 ack 1");
	advance(US_PER_MS);
	CHECK_STATE(TCPS_FIN_WAIT_1);
	inject(". 1:1 ack 2");
	advance(1);
	CHECK_STATE(TCPS_CLOSED);
	expect("R. 2:2 ack 1");
	fin_wait_2(&plain_setup);
	tcp_set_linger2(&w.tcb, -1);
	advance(3600LL * US_PER_S);
	CHECK_STATE(TCPS_FIN_WAIT_2);
	close_app();
	advance(1);
	CHECK_STATE(TCPS_CLOSED);
	drop_seen();
}

static void test_half_closed_fin_wait_2_is_not_given_up(void)
{
	fin_wait_2(&plain_setup);
	advance(24 * 3600LL * US_PER_S);
	CHECK_STATE(TCPS_FIN_WAIT_2);
	expect_none();
	inject("P. 1:101 ack 2");
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
}

static void test_orphan_with_dead_peer_is_given_up(void)
{
	established(&plain_setup);
	send_bytes(5000);
	close_app();
	drop_seen();
	advance(121 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_CLOSED);
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
	drop_seen();
}

static void test_orphan_behind_zero_window_is_given_up(void)
{
	established(&plain_setup);
	inject(". 1:1 ack 1 win 0");
	send_bytes(5000);
	close_app();
	for (unsigned i = 0; i < 300 && w.tcb.state != TCPS_CLOSED; i++) {
		pass_time(w.now + US_PER_S, false);
		if (seen_count() > 0 && w.tcb.state != TCPS_CLOSED)
			inject(". 1:1 ack 1 win 0");
		drop_seen();
	}
	CHECK_STATE(TCPS_CLOSED);
	end_world();
}

/* An orphan's limit moves on by progress. */
static void test_orphan_that_makes_progress_lives(void)
{
	established(&plain_setup);
	w.tcb.cc.cwnd = 2 * 1460;
	send_bytes(8 * 1460);
	drop_seen();
	close_app();
	for (unsigned i = 1; i <= 7; i++) {
		weft_time_us end = w.now + w.cfg.orphan;

		CHECK(w.tcb.t_life <= end);
		w.now += w.cfg.orphan / 2;
		inject(". 1:1 ack %u", 1 + i * 1460);
		CHECK_STATE(TCPS_FIN_WAIT_1);
		CHECK_EQ(w.tcb.t_life, w.now + w.cfg.orphan);
		drop_seen();
	}
	end_world();
}

UNIT_MAIN("tcp_close", UNIT(active_close), UNIT(passive_close), UNIT(simultaneous_close),
	  UNIT(fin_that_acks_our_fin_goes_to_time_wait), UNIT(half_close_we_still_receive),
	  UNIT(half_close_we_still_send), UNIT(fin_behind_full_window),
	  UNIT(fin_needs_a_place_in_the_window), UNIT(fin_alone_with_zero_window_is_probed_or_sent),
	  UNIT(fin_with_data_both_ways), UNIT(fin_out_of_order_waits_for_the_hole),
	  UNIT(permutations_of_data_and_fin), UNIT(end_beyond_a_hole_stays_the_end),
	  UNIT(second_end_is_not_believed), UNIT(data_behind_the_fin_is_refused),
	  UNIT(lost_fin_in_fin_wait_1), UNIT(lost_fin_in_closing), UNIT(lost_fin_in_last_ack),
	  UNIT(lost_data_before_the_fin), UNIT(repeated_fin_is_acked_and_leaves_the_state),
	  UNIT(second_shutdown_sends_no_second_fin), UNIT(close_in_syn_sent_deletes),
	  UNIT(close_in_syn_rcvd_sends_fin), UNIT(close_sends_all_data_then_fin),
	  UNIT(close_with_unread_data_resets), UNIT(data_for_a_closed_socket_resets),
	  UNIT(orphan_in_fin_wait_2_is_given_up), UNIT(linger2_is_the_time_in_fin_wait_2),
	  UNIT(linger2_below_zero_skips_fin_wait_2), UNIT(half_closed_fin_wait_2_is_not_given_up),
	  UNIT(orphan_with_dead_peer_is_given_up), UNIT(orphan_behind_zero_window_is_given_up),
	  UNIT(orphan_that_makes_progress_lives))
