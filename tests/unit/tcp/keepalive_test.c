/*
 * Keepalives (RFC 9293 3.8.4): off by default, probes only when idle, their form, times and number,
 * and the end of a dead peer.
 */
#include "script_open.h"

static const weft_time_us HOUR = 3600LL * US_PER_S;

static void keep(weft_time_us idle, weft_time_us intvl, uint8_t cnt)
{
	tcp_set_keep_times(&w.tcb, idle, intvl, cnt, w.now);
	tcp_set_keepalive(&w.tcb, true, w.now);
}

static void test_off_by_default(void)
{
	established(&plain_setup);
	advance(48 * HOUR);
	expect_none();
	CHECK(!w.tcb.keepalive);
}

static void test_default_idle_time_is_two_hours(void)
{
	established(&plain_setup);
	tcp_set_keepalive(&w.tcb, true, w.now);
	CHECK_EQ(time_of_s(w.tcb.keep_idle_s), 2 * HOUR);
	expect_after(2 * HOUR, ". 0:0 ack 1");
}

static void probes(const struct setup *setup)
{
	established(setup);
	keep(10 * US_PER_S, US_PER_S, 3);
	for (unsigned i = 0; i < 5; i++) {
		expect_after(10 * US_PER_S, ". 0:0 ack 1"); /* SND.NXT - 1, no data */
		inject(". 1:1 ack 1");
		expect_none();
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK_EQ(counter_read(&w.counters, C_TCP_KEEPALIVE_PROBE), 5);
}

static void test_answered_probes_go_on(void)
{
	for_each_setup(probes);
}

static void test_unanswered_probes_end_the_connection(void)
{
	established(&plain_setup);
	keep(10 * US_PER_S, US_PER_S, 3);
	expect_after(10 * US_PER_S, ". 0:0 ack 1");
	expect_after(US_PER_S, ". 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED); /* one unanswered probe is not enough */
	expect_after(US_PER_S, ". 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	advance(US_PER_S + 1);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	CHECK(w.events & TCP_EV_CLOSED && w.events & TCP_EV_READABLE);
	drop_seen();
}

static void test_answer_to_a_later_probe_saves_the_connection(void)
{
	established(&plain_setup);
	keep(10 * US_PER_S, US_PER_S, 3);
	expect_after(10 * US_PER_S, ". 0:0 ack 1");
	expect_after(US_PER_S, ". 0:0 ack 1");
	inject(". 1:1 ack 1");
	CHECK_EQ(w.tcb.keep_probes, 0);
	expect_after(10 * US_PER_S, ". 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void test_input_starts_the_idle_time_anew(void)
{
	established(&plain_setup);
	keep(10 * US_PER_S, US_PER_S, 3);
	for (unsigned i = 0; i < 10; i++) {
		advance(9 * US_PER_S);
		inject("P. %u:%u ack 1", 1 + i, 2 + i);
		advance(500 * US_PER_MS);
		expect(". 1:1 ack %u", 2 + i);
		expect_none();
	}
	expect_after(9500 * US_PER_MS, ". 0:0 ack 11");
}

static void test_no_probes_while_data_is_outstanding(void)
{
	established(&plain_setup);
	keep(US_PER_S, US_PER_S, 3);
	send_bytes(100);
	advance(20 * US_PER_S);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK_EQ(t->len, 100); /* retransmissions only */
	CHECK_STATE(TCPS_ESTABLISHED);
	inject(". 1:1 ack 101");
	expect_after(US_PER_S, ". 100:100 ack 1");
}

static void test_switching_off_stops_probes(void)
{
	established(&plain_setup);
	keep(US_PER_S, US_PER_S, 100);
	advance(3500 * US_PER_MS);
	CHECK_EQ(seen_count(), 3);
	drop_seen();
	tcp_set_keepalive(&w.tcb, false, w.now);
	advance(HOUR);
	expect_none();
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void test_probe_of_the_peer_is_answered(void)
{
	established(&plain_setup);
	inject("P. 1:11 ack 1");
	recv_bytes(10);
	advance(US_PER_S);
	drop_seen();
	for (unsigned i = 0; i < 5; i++) {
		inject(". 10:10 ack 1");
		expect(". 1:1 ack 11");
		inject(". 10:11 ack 1"); /* with the garbage byte */
		expect(". 1:1 ack 11");
		advance(US_PER_S);
	}
	expect_none();
}

/* TCP_USER_TIMEOUT, when it is set, decides instead of the count (tcp(7)): by the last sign of life. */
static void user_timeout_governs(weft_time_us timeout, unsigned probes)
{
	established(&plain_setup);
	keep(10 * US_PER_S, US_PER_S, 3);
	tcp_set_user_timeout(&w.tcb, timeout, w.now);
	expect_after(10 * US_PER_S, ". 0:0 ack 1");
	for (unsigned i = 1; i < probes; i++) {
		CHECK_STATE(TCPS_ESTABLISHED);
		expect_after(US_PER_S, ". 0:0 ack 1");
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	advance(US_PER_S + 1);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	drop_seen();
	end_world();
}

static void test_user_timeout_governs(void)
{
	user_timeout_governs(5 * US_PER_S, 1);  /* past before the first probe: one goes */
	user_timeout_governs(12 * US_PER_S, 2); /* less than three */
	user_timeout_governs(12500 * US_PER_MS, 3);
	user_timeout_governs(20 * US_PER_S, 10);   /* more */
	user_timeout_governs(310 * US_PER_S, 300); /* more than a byte counts */
	user_timeout_governs(0, 3);                /* the default does not */
}

static void test_probes_in_close_wait(void)
{
	close_wait(&plain_setup);
	keep(US_PER_S, US_PER_S, 2);
	advance(10 * US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_keepalive", UNIT(off_by_default), UNIT(default_idle_time_is_two_hours),
	  UNIT(answered_probes_go_on), UNIT(unanswered_probes_end_the_connection),
	  UNIT(answer_to_a_later_probe_saves_the_connection), UNIT(input_starts_the_idle_time_anew),
	  UNIT(no_probes_while_data_is_outstanding), UNIT(switching_off_stops_probes),
	  UNIT(probe_of_the_peer_is_answered), UNIT(probes_in_close_wait),
	  UNIT(user_timeout_governs))
