/*
 * Listeners and half-open records (RFC 9293 3.10.7.2, 3.10.7.4 SYN-RECEIVED): what a listener does
 * with each segment, the SYN-ACK and its retransmission, wrong ACKs, resets, repeated SYNs.
 */
#include "script_open.h"

static enum tcp_listen_verdict listener(const char *source, enum drop *why)
{
	begin_world(&plain_setup);
	struct tcp_seg seg = make_seg(source);
	enum tcp_listen_verdict verdict = tcp_listen_input(&seg, why);
	buf_put(&seg.buf);
	return verdict;
}

static void test_listener_verdicts(void)
{
	enum drop why = DROP_NONE;

	CHECK_EQ(listener("S 0:0 mss 1460", &why), TCP_LISTEN_SYN);
	CHECK_EQ(listener("SP 0:10 mss 1460", &why), TCP_LISTEN_SYN);
	CHECK_EQ(listener("R 0:0", &why), TCP_LISTEN_DROP);
	CHECK_EQ(why, DROP_TCP_LISTEN_RST);
	CHECK_EQ(listener("R. 0:0 ack 5", &why), TCP_LISTEN_DROP);
	CHECK_EQ(why, DROP_TCP_LISTEN_RST);
	CHECK_EQ(listener("SR 0:0", &why), TCP_LISTEN_DROP);
	CHECK_EQ(listener(". 0:0 ack 5", &why), TCP_LISTEN_RESET);
	CHECK_EQ(listener("S. 0:0 ack 5", &why), TCP_LISTEN_RESET);
	CHECK_EQ(listener("P. 0:100 ack 5", &why), TCP_LISTEN_RESET);
	CHECK_EQ(listener("F 0:0", &why), TCP_LISTEN_DROP);
	CHECK_EQ(why, DROP_TCP_LISTEN_FLAGS);
	CHECK_EQ(listener("P 0:100", &why), TCP_LISTEN_DROP);
	CHECK_EQ(why, DROP_TCP_LISTEN_FLAGS);
	CHECK_EQ(listener("- 0:0", &why), TCP_LISTEN_DROP);
	end_world();
}

static void syn_ack(const struct setup *setup)
{
	listen_syn(setup);
	const struct text *t = take_seen();
	if (!CHECK(t != NULL))
		return;
	CHECK_EQ(t->flags, TCP_SYN | TCP_ACK);
	CHECK_EQ(t->seq, w.iss);
	CHECK_EQ(t->ack, w.irs + 1);
	CHECK_EQ(t->len, 0);
	CHECK(t->opt.has_mss && t->opt.mss == 1460);
	CHECK_EQ(t->opt.has_ts, setup->ts);
	CHECK_EQ(t->opt.has_sack_ok, setup->sack);
	CHECK_EQ(t->opt.has_wscale, setup->wscale);
	CHECK_EQ(t->opt.sack_count, 0);
	CHECK_EQ(t->wnd, 65535); /* not scaled, RFC 7323 2.2 */
	expect_none();
}

static void test_syn_ack_answers_with_the_options_of_the_syn(void)
{
	for_each_setup(syn_ack);
}

static void test_syn_ack_is_retransmitted_and_given_up(void)
{
	unsigned repeats = 0;
	weft_time_us gap = US_PER_S;

	listen_syn(&full_setup);
	expect("S. 0:0 ack 1");
	weft_time_us start = w.now;
	for (;;) {
		weft_time_us due = tcp_synrcvd_deadline(&w.rec, &w.cfg, w.now);
		CHECK(due > w.now);
		w.now = due;
		if (!tcp_synrcvd_tick(&w.rec, &w.cfg, w.now))
			break;
		synrcvd_flush();
		const struct text *t = take_seen();
		CHECK(t && t->flags == (TCP_SYN | TCP_ACK) && t->seq == w.iss);
		if (repeats < 4)
			CHECK_EQ(due - start, gap * ((1 << (repeats + 1)) - 1));
		if (++repeats > 30)
			break;
	}
	CHECK(repeats >= 3 && repeats <= 7);
	CHECK(w.now - start >= 60LL * US_PER_S && w.now - start <= 64LL * US_PER_S);
	CHECK_EQ(counter_read(&w.counters, C_TCP_SYNACK_RETRANS), repeats);
}

/* Deadlines follow from the birth: who comes late sends once, and is not late for the rest. */
static void test_late_tick_sends_once(void)
{
	listen_syn(&plain_setup);
	expect("S. 0:0 ack 1");
	weft_time_us born = w.now;
	w.now = born + 4 * (weft_time_us)US_PER_S;
	CHECK(tcp_synrcvd_tick(&w.rec, &w.cfg, w.now));
	synrcvd_flush();
	expect("S. 0:0 ack 1");
	expect_none();
	CHECK_EQ(tcp_synrcvd_deadline(&w.rec, &w.cfg, w.now), born + 7 * (weft_time_us)US_PER_S);
	CHECK(tcp_synrcvd_tick(&w.rec, &w.cfg, w.now));
	synrcvd_flush();
	expect_none();
	w.now = born + 3600 * (weft_time_us)US_PER_S;
	CHECK(!tcp_synrcvd_tick(&w.rec, &w.cfg, w.now));
}

/* The birth is 32 bits of ticks: any clock will do. */
static void test_birth_wraps(void)
{
	struct tcp_params params = {.rcv_buf_size = 10000, .rcv_buf_max = 10000};
	struct tcp_seg syn = {.flags = TCP_SYN};
	struct tcp_synrcvd rec;
	struct tcp_cfg cfg;

	tcp_cfg_default(&cfg);
	params.cfg = &cfg;
	for (int64_t turn = 1; turn < 20; turn++) {
		weft_time_us born = (turn << (30 + SYNRCVD_TICK_SHIFT)) + 100000 * (turn % 3 - 1);
		weft_time_us rounded = (born + 63) / 64 * 64;

		tcp_synrcvd_init(&rec, &params, &syn, 1, born);
		weft_time_us due = tcp_synrcvd_deadline(&rec, &cfg, born + 5000);
		CHECK_EQ(due, rounded + US_PER_S);
		rec.synack_due = false;
		CHECK(tcp_synrcvd_tick(&rec, &cfg, due - 1));
		CHECK(!rec.synack_due);
		CHECK(tcp_synrcvd_tick(&rec, &cfg, due));
		CHECK(rec.synack_due);
		CHECK_EQ(tcp_synrcvd_deadline(&rec, &cfg, due), rounded + 3LL * US_PER_S);
		CHECK(!tcp_synrcvd_tick(&rec, &cfg, rounded + cfg.synack_timeout));
	}
}

/* When the first timeout is tiny, the last retransmission is the fifteenth. */
static void test_retransmissions_are_counted_to_fifteen(void)
{
	struct tcp_params params = {.rcv_buf_size = 10000, .rcv_buf_max = 10000};
	struct tcp_seg syn = {.flags = TCP_SYN};
	struct tcp_synrcvd rec;
	struct tcp_cfg cfg;
	weft_time_us now = 0;
	unsigned count = 0;

	tcp_cfg_default(&cfg);
	cfg.rto_initial = 100;
	cfg.synack_timeout = 1000 * (weft_time_us)US_PER_S;
	params.cfg = &cfg;
	tcp_synrcvd_init(&rec, &params, &syn, 1, now);
	now = tcp_synrcvd_deadline(&rec, &cfg, now);
	while (tcp_synrcvd_tick(&rec, &cfg, now) && CHECK(++count <= SYNRCVD_RETRIES_MAX))
		now = tcp_synrcvd_deadline(&rec, &cfg, now);
	CHECK_EQ(count, SYNRCVD_RETRIES_MAX);
	CHECK_EQ(now, cfg.synack_timeout);
}

static void test_repeated_syn_repeats_the_syn_ack(void)
{
	listen_syn(&plain_setup);
	expect("S. 0:0 ack 1");
	for (unsigned i = 0; i < 3; i++) {
		w.now += US_PER_S;
		enum tcp_synrcvd_verdict v = synrcvd_in("S 0:0 mss 1460");
		CHECK(v == TCP_SYNRCVD_RESEND || v == TCP_SYNRCVD_REPLY);
		const struct text *t = take_seen();
		CHECK(t && t->seq - w.iss <= 1 && t->ack == w.irs + 1);
		expect_none();
	}
	CHECK_EQ(synrcvd_in(". 1:1 ack 1"), TCP_SYNRCVD_ESTABLISHED);
}

static void test_other_syn_is_not_taken_for_the_first(void)
{
	listen_syn(&plain_setup);
	drop_seen();
	enum tcp_synrcvd_verdict v = synrcvd_in("S 500:500 mss 1460");
	CHECK(v == TCP_SYNRCVD_REPLY || v == TCP_SYNRCVD_DROP);
	CHECK_EQ(w.rec.irs, w.irs);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK_EQ(t->flags, TCP_ACK);
}

static void test_wrong_ack_gets_a_reset(void)
{
	static const int acks[] = {0, -1, 2, 5000, 0x7fffffff};

	for (unsigned i = 0; i < 5; i++) {
		char source[64];
		listen_syn(&plain_setup);
		drop_seen();
		snprintf(source, sizeof(source), ". 1:1 ack %d", acks[i]);
		CHECK_EQ(synrcvd_in(source), TCP_SYNRCVD_REPLY);
		const struct text *t = take_seen();
		CHECK(t && t->flags == TCP_RST && t->seq == w.iss + (uint32_t)acks[i]);
		CHECK_EQ(synrcvd_in(". 1:1 ack 1"), TCP_SYNRCVD_ESTABLISHED);
	}
}

static void test_reset_deletes_the_record(void)
{
	listen_syn(&plain_setup);
	drop_seen();
	CHECK_EQ(synrcvd_in("R 1:1"), TCP_SYNRCVD_GONE);
	listen_syn(&plain_setup);
	drop_seen();
	CHECK_EQ(synrcvd_in("R. 1:1 ack 1"), TCP_SYNRCVD_GONE);
	expect_none();
}

static void test_reset_not_at_rcv_nxt(void)
{
	listen_syn(&plain_setup);
	drop_seen();
	CHECK_EQ(synrcvd_in("R 5000000:5000000"), TCP_SYNRCVD_DROP);
	CHECK_EQ(synrcvd_in("R -1:-1"), TCP_SYNRCVD_DROP);
	expect_none();
	enum tcp_synrcvd_verdict v = synrcvd_in("R 100:100");
	CHECK(v == TCP_SYNRCVD_DROP || v == TCP_SYNRCVD_REPLY);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK_EQ(t->flags, TCP_ACK);
	CHECK_EQ(synrcvd_in(". 1:1 ack 1"), TCP_SYNRCVD_ESTABLISHED);
}

static void test_segment_outside_the_window_is_answered(void)
{
	listen_syn(&plain_setup);
	drop_seen();
	enum tcp_synrcvd_verdict v = synrcvd_in(". 900000:900000 ack 1");
	CHECK(v == TCP_SYNRCVD_REPLY || v == TCP_SYNRCVD_DROP);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK_EQ(t->flags, TCP_ACK);
	v = synrcvd_in(". -5:-5 ack 1");
	CHECK(v != TCP_SYNRCVD_ESTABLISHED && v != TCP_SYNRCVD_GONE);
	drop_seen();
}

static void test_segments_without_ack_are_dropped(void)
{
	listen_syn(&plain_setup);
	drop_seen();
	CHECK_EQ(synrcvd_in("P 1:11"), TCP_SYNRCVD_DROP);
	CHECK_EQ(synrcvd_in("F 1:1"), TCP_SYNRCVD_DROP);
	CHECK_EQ(synrcvd_in("- 1:1"), TCP_SYNRCVD_DROP);
	expect_none();
}

static void test_data_on_the_syn_is_not_acknowledged(void)
{
	enum drop why;

	begin_world(&plain_setup);
	struct tcp_seg seg = make_seg("S 0:0 mss 1460");
	seg.len = 100;
	seg.buf = pattern_buf(0, 100, PEERS);
	CHECK_EQ(tcp_listen_input(&seg, &why), TCP_LISTEN_SYN);
	tcp_synrcvd_init(&w.rec, &w.params, &seg, w.iss, w.now);
	buf_put(&seg.buf);
	synrcvd_flush();
	expect("S. 0:0 ack 1");
	accept_by("P. 1:101 ack 1");
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
}

static void test_old_timestamp_is_not_taken(void)
{
	listen_syn(&ts_setup);
	drop_seen();
	enum tcp_synrcvd_verdict v = synrcvd_in(". 1:1 ack 1 ts 4000 0");
	CHECK(v != TCP_SYNRCVD_ESTABLISHED);
	drop_seen();
}

static void test_burst_of_ack_and_data(void)
{
	/* SYN, then ACK, data and FIN in one batch before anyone accepts. */
	listen_syn(&full_setup);
	drop_seen();
	accept_by(". 1:1 ack 1");
	inject("P. 1:1001 ack 1");
	inject("P. 1001:2001 ack 1");
	inject("F. 2001:2001 ack 1");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	CHECK_EQ(recv_bytes(5000), 2000);
	CHECK(tcp_recv_eof(&w.tcb));
	drop_seen();
}

static void test_syn_ack_loss_is_remembered_for_the_initial_window(void)
{
	/* RFC 6928 2: more than one loss of the SYN-ACK means an initial window of one segment. */
	listen_syn(&plain_setup);
	drop_seen();
	for (unsigned i = 0; i < 2; i++) {
		w.now = tcp_synrcvd_deadline(&w.rec, &w.cfg, w.now);
		CHECK(tcp_synrcvd_tick(&w.rec, &w.cfg, w.now));
		synrcvd_flush();
		expect("S. 0:0 ack 1");
	}
	accept_by(". 1:1 ack 1");
	CHECK_EQ(w.tcb.cc.cwnd, 1460);
	send_bytes(10000);
	expect(". 1:1461 ack 1");
	expect_none();
	end_world();
}

/* The window of an answer that is no SYN is scaled (RFC 7323 2.2). */
static void test_answers_scale_the_window(void)
{
	listen_syn(&full_setup);
	drop_seen();
	CHECK(w.rec.rcv_wscale > 0);
	CHECK_EQ(synrcvd_in("R 100:100"), TCP_SYNRCVD_REPLY);
	expect(". 1:1 ack 1 win %u", w.rec.rcv_wnd >> w.rec.rcv_wscale);
}

/* A SYN-ACK is not the SYN again, whatever its number. */
static void test_syn_ack_is_no_repeated_syn(void)
{
	listen_syn(&plain_setup);
	drop_seen();
	CHECK_EQ(synrcvd_in("S. 0:0 ack 1"), TCP_SYNRCVD_REPLY);
	CHECK_EQ(w.why, DROP_TCP_SYN_CHALLENGE);
	expect(". 1:1 ack 1");
	expect_none();
	end_world();
}

UNIT_MAIN("tcp_synrcvd", UNIT(listener_verdicts), UNIT(syn_ack_answers_with_the_options_of_the_syn),
	  UNIT(syn_ack_is_retransmitted_and_given_up), UNIT(late_tick_sends_once),
	  UNIT(birth_wraps), UNIT(retransmissions_are_counted_to_fifteen),
	  UNIT(repeated_syn_repeats_the_syn_ack), UNIT(other_syn_is_not_taken_for_the_first),
	  UNIT(wrong_ack_gets_a_reset), UNIT(reset_deletes_the_record), UNIT(reset_not_at_rcv_nxt),
	  UNIT(segment_outside_the_window_is_answered), UNIT(segments_without_ack_are_dropped),
	  UNIT(data_on_the_syn_is_not_acknowledged), UNIT(old_timestamp_is_not_taken),
	  UNIT(burst_of_ack_and_data), UNIT(syn_ack_loss_is_remembered_for_the_initial_window),
	  UNIT(answers_scale_the_window), UNIT(syn_ack_is_no_repeated_syn))
