/*
 * TIME-WAIT records (RFC 9293 3.6.1, RFC 1337, RFC 6191): the last ACK again, resets ignored, the
 * deadline, and SYNs that may open a new incarnation.
 */
#include "script_open.h"

/* A record: SND.NXT 2, RCV.NXT 2. */
static void record(const struct setup *setup)
{
	time_wait(setup);
	drop_seen();
	tcp_timewait_init(&w.tw, &w.tcb, w.now);
	w.in_tcb = false;
}

static enum tcp_timewait_verdict hear(const char *source)
{
	struct tcp_seg seg = make_seg(source);
	struct tcp_seg_out out;

	memset(&out, 0, sizeof(out));
	enum tcp_timewait_verdict verdict =
		tcp_timewait_input(&w.tw, &seg, &w.cfg, w.now, &out, &w.why);
	if (verdict == TCP_TIMEWAIT_REPLY)
		note_segment(&out);
	buf_put(&seg.buf);
	return verdict;
}

static void repeated_fin(const struct setup *setup)
{
	char source[100];

	record(setup);
	CHECK_EQ(w.tw.deadline, w.now + 60LL * US_PER_S);
	for (unsigned i = 0; i < 3; i++) {
		w.now += 50LL * US_PER_S;
		int n = snprintf(source, sizeof(source), "F. 1:1 ack 2");
		if (setup->ts)
			snprintf(source + n, sizeof(source) - (size_t)n, " ts %u 0", peer_clock());
		CHECK_EQ(hear(source), TCP_TIMEWAIT_REPLY);
		expect(". 2:2 ack 2");
		CHECK_EQ(w.tw.deadline, w.now + 60LL * US_PER_S);
	}
}

static void test_repeated_fin_is_acked_and_restarts_the_time(void)
{
	for_each_setup(repeated_fin);
}

/* An old duplicate by its timestamp: answered as every FIN, but the time goes on. */
static void test_old_fin_does_not_restart_the_time(void)
{
	char source[100];

	record(&ts_setup);
	weft_time_us deadline = w.tw.deadline;
	w.now += 50LL * US_PER_S;
	snprintf(source, sizeof(source), "F. 1:1 ack 2 ts %u 0", w.tw.ts_recent - 1);
	CHECK_EQ(hear(source), TCP_TIMEWAIT_REPLY);
	CHECK_EQ(w.why, DROP_TCP_PAWS);
	CHECK_EQ(w.tw.deadline, deadline);
	expect(". 2:2 ack 2");
	snprintf(source, sizeof(source), "F. 1:1 ack 2 ts %u 0", w.tw.ts_recent);
	hear(source);
	CHECK_EQ(w.tw.deadline, w.now + 60LL * US_PER_S);
	drop_seen();
}

static void test_resets_are_ignored(void)
{
	record(&plain_setup);
	weft_time_us deadline = w.tw.deadline;
	w.now += US_PER_S;
	CHECK_EQ(hear("R 2:2"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(hear("R. 2:2 ack 2"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(hear("R 3:3"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(hear("R -90000:-90000"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(hear("SR 2:2"), TCP_TIMEWAIT_DROP);
	CHECK(w.why != DROP_NONE);
	CHECK_EQ(w.tw.deadline, deadline);
}

/* The other choice: RFC 9293 3.10.7.4 second step, with RFC 5961's exactness. */
static void test_exact_reset_ends_time_wait_if_told(void)
{
	record(&plain_setup);
	w.cfg.time_wait_rst = true;
	CHECK_EQ(hear("R 3:3"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(hear("R 1:1"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(hear("R 2:2"), TCP_TIMEWAIT_GONE);
	CHECK_EQ(hear("R. 2:2 ack 2"), TCP_TIMEWAIT_GONE);
	expect_none();
}

static void test_old_data_gets_an_ack(void)
{
	record(&plain_setup);
	weft_time_us deadline = w.tw.deadline;
	w.now += US_PER_S;
	CHECK_EQ(hear("P. -100:1 ack 2"), TCP_TIMEWAIT_REPLY);
	expect(". 2:2 ack 2");
	CHECK(w.tw.deadline >= deadline);
}

static void test_ack_in_window_is_dropped(void)
{
	record(&plain_setup);
	CHECK_EQ(hear(". 2:2 ack 2"), TCP_TIMEWAIT_DROP);
	CHECK_EQ(w.why, DROP_TCP_TIME_WAIT);
}

static void test_answers_are_limited(void)
{
	unsigned answers = 0;

	record(&plain_setup);
	for (unsigned i = 0; i < 1000; i++) {
		answers += hear(". -100:-100 ack 2") == TCP_TIMEWAIT_REPLY;
		w.now += 100;
		drop_seen();
	}
	CHECK(answers <= 10);
}

static void test_syn_beyond_the_old_sequence_reuses(void)
{
	record(&plain_setup);
	CHECK_EQ(hear("S 3:3 mss 1460"), TCP_TIMEWAIT_REUSE);
	record(&plain_setup);
	CHECK_EQ(hear("S 1000000:1000000"), TCP_TIMEWAIT_REUSE);
}

static void test_syn_below_the_old_sequence_stays(void)
{
	record(&plain_setup);
	enum tcp_timewait_verdict v = hear("S 1:1 mss 1460");
	CHECK(v != TCP_TIMEWAIT_REUSE);
	v = hear("S -100000:-100000 mss 1460");
	CHECK(v != TCP_TIMEWAIT_REUSE);
	/* RFC 9293 3.10.7.4 fourth step: an ACK, at a limited rate, and the record stays. */
	CHECK_EQ(seen_count(), 1);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK_EQ(t->flags, TCP_ACK);
}

static void test_syn_with_newer_timestamp_reuses(void)
{
	record(&ts_setup);
	CHECK_EQ(hear("S -1000:-1000 ts 900000 0"), TCP_TIMEWAIT_REUSE);
}

static void test_syn_with_older_timestamp_stays(void)
{
	record(&ts_setup);
	CHECK(hear("S 3000:3000 ts 4000 0") != TCP_TIMEWAIT_REUSE);
	drop_seen();
}

static void test_syn_with_equal_timestamp_needs_the_sequence(void)
{
	record(&ts_setup);
	char source[100];
	snprintf(source, sizeof(source), "S 3000:3000 ts %u 0", w.tw.ts_recent);
	CHECK_EQ(hear(source), TCP_TIMEWAIT_REUSE);
	record(&ts_setup);
	snprintf(source, sizeof(source), "S -3000:-3000 ts %u 0", w.tw.ts_recent);
	CHECK(hear(source) != TCP_TIMEWAIT_REUSE);
	drop_seen();
}

static void test_syn_without_timestamp_after_one_needs_the_sequence(void)
{
	record(&ts_setup);
	CHECK_EQ(hear("S 3000:3000"), TCP_TIMEWAIT_REUSE);
	record(&ts_setup);
	CHECK(hear("S -3000:-3000") != TCP_TIMEWAIT_REUSE);
	drop_seen();
}

static void test_syn_with_timestamp_after_none_reuses(void)
{
	record(&plain_setup);
	CHECK_EQ(hear("S -3000:-3000 ts 1 0"), TCP_TIMEWAIT_REUSE);
}

static void test_syn_ack_never_reuses(void)
{
	record(&plain_setup);
	CHECK(hear("S. 3000:3000 ack 2") != TCP_TIMEWAIT_REUSE);
	drop_seen();
}

static void test_new_iss_lies_beyond_the_old_numbers(void)
{
	record(&plain_setup);
	CHECK(seq_gt(tcp_timewait_iss(&w.tw, w.tw.snd_nxt), w.tw.snd_nxt));
	CHECK(seq_gt(tcp_timewait_iss(&w.tw, w.tw.snd_nxt - 5), w.tw.snd_nxt));
	CHECK_EQ(tcp_timewait_iss(&w.tw, w.tw.snd_nxt + 5), w.tw.snd_nxt + 5);
}

static void test_last_ack_is_given_by_the_tcb(void)
{
	struct tcp_seg_out out;
	unsigned events = 0;

	fin_wait_2(&full_setup);
	struct tcp_seg seg = make_seg("F. 1:1 ack 2");
	tcp_input(&w.tcb, &seg, w.now, &events);
	CHECK(events & TCP_EV_TIME_WAIT);
	CHECK(events & TCP_EV_OUTPUT);
	tcp_timewait_init(&w.tw, &w.tcb, w.now);
	CHECK(tcp_output(&w.tcb, w.now, &out));
	CHECK_EQ(out.flags, TCP_ACK);
	CHECK_EQ(out.ack, w.irs + 2);
	CHECK(!tcp_output(&w.tcb, w.now, &out));
	CHECK_EQ(w.tw.rcv_nxt, w.irs + 2);
	CHECK_EQ(w.tw.snd_nxt, w.iss + 2);
	buf_queue_clear(&w.tcb.trash);
	end_world();
}

UNIT_MAIN("tcp_timewait", UNIT(repeated_fin_is_acked_and_restarts_the_time),
	  UNIT(old_fin_does_not_restart_the_time), UNIT(resets_are_ignored),
	  UNIT(exact_reset_ends_time_wait_if_told), UNIT(old_data_gets_an_ack),
	  UNIT(ack_in_window_is_dropped), UNIT(answers_are_limited),
	  UNIT(syn_beyond_the_old_sequence_reuses), UNIT(syn_below_the_old_sequence_stays),
	  UNIT(syn_with_newer_timestamp_reuses), UNIT(syn_with_older_timestamp_stays),
	  UNIT(syn_with_equal_timestamp_needs_the_sequence),
	  UNIT(syn_without_timestamp_after_one_needs_the_sequence),
	  UNIT(syn_with_timestamp_after_none_reuses), UNIT(syn_ack_never_reuses),
	  UNIT(new_iss_lies_beyond_the_old_numbers), UNIT(last_ack_is_given_by_the_tcb))
