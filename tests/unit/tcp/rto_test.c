/*
 * The retransmission timer (RFC 6298, RFC 9293 3.8.1, 3.8.3): estimator, floor, backoff, Karn, what
 * is sent again, giving up on SYNs and data, the user timeout, soft errors.
 */
#include "script_open.h"

/* An established connection whose handshake took 'rtt'. */
static void established_rtt(weft_time_us rtt, bool ts)
{
	syn_sent(ts ? &ts_setup : &plain_setup);
	w.setup.ts = ts;
	advance(rtt);
	char options[100];
	inject("S. 0:0 ack 1%s", syn_options(options));
	expect(". 1:1 ack 1");
}

static void test_first_sample(void)
{
	established_rtt(100 * US_PER_MS, false);
	CHECK_EQ(w.tcb.srtt, 100 * US_PER_MS);
	CHECK_EQ(w.tcb.rttvar, 50 * US_PER_MS);
	CHECK_EQ(w.tcb.rto, 300 * US_PER_MS);
	send_bytes(100);
	expect("P. 1:101 ack 1");
	expect_after(300 * US_PER_MS, "P. 1:101 ack 1");
}

/* A passive open knows when its SYN-ACK left; unless it left twice (RFC 6298 3, 5.7). */
static void test_passive_handshake_is_a_sample(void)
{
	listen_syn(&plain_setup);
	expect("S. 0:0 ack 1");
	advance(100 * US_PER_MS);
	accept_by(". 1:1 ack 1");
	CHECK(w.tcb.srtt > 99900 && w.tcb.srtt <= 100000);
	CHECK(w.tcb.rto > 299 * US_PER_MS && w.tcb.rto <= 300 * US_PER_MS);
	end_world();
	listen_syn(&plain_setup);
	expect("S. 0:0 ack 1");
	w.now += US_PER_S + 100;
	CHECK(tcp_synrcvd_tick(&w.rec, &w.cfg, w.now));
	synrcvd_flush();
	expect("S. 0:0 ack 1");
	advance(100 * US_PER_MS);
	accept_by(". 1:1 ack 1");
	CHECK_EQ(w.tcb.srtt, 0);
	CHECK_EQ(w.tcb.rto, 3 * US_PER_S);
	end_world();
	listen_syn(&plain_setup); /* the peer's SYN comes again: so does our answer */
	expect("S. 0:0 ack 1");
	advance(100 * US_PER_MS);
	CHECK_EQ(synrcvd_in("S 0:0 mss 1460"), TCP_SYNRCVD_RESEND);
	expect("S. 0:0 ack 1");
	CHECK_EQ(tcp_synrcvd_deadline(&w.rec, &w.cfg, w.now) - w.start, 3 * US_PER_S);
	advance(100 * US_PER_MS);
	accept_by(". 1:1 ack 1");
	CHECK_EQ(w.tcb.srtt, 0);
}

static void test_later_samples(void)
{
	weft_time_us srtt = 100000, rttvar = 50000;
	static const weft_time_us rtts[] = {100000, 140000, 80000, 190000, 90000, 90000, 90000};
	unsigned at = 1;

	established_rtt(100 * US_PER_MS, false);
	for (unsigned i = 0; i < 7; i++) {
		weft_time_us r = rtts[i];
		send_bytes(100);
		advance(r);
		drop_seen();
		at += 100;
		inject(". 1:1 ack %u", at);
		rttvar = rttvar * 3 / 4 + (srtt > r ? srtt - r : r - srtt) / 4;
		srtt = srtt * 7 / 8 + r / 8;
		CHECK(llabs(w.tcb.srtt - srtt) <= 8);
		CHECK(llabs(w.tcb.rttvar - rttvar) <= 8);
		weft_time_us rto = srtt + 4 * rttvar;
		CHECK(llabs(w.tcb.rto - time_max(rto, w.cfg.rto_min)) <= 50);
		srtt = w.tcb.srtt;
		rttvar = w.tcb.rttvar;
	}
}

static void test_floor(void)
{
	established_rtt(US_PER_MS, false);
	send_bytes(100);
	expect("P. 1:101 ack 1");
	expect_after(200 * US_PER_MS, "P. 1:101 ack 1");
}

static void test_rto_stays_above_srtt_when_the_rtt_is_constant(void)
{
	established_rtt(500 * US_PER_MS, false);
	for (unsigned i = 0; i < 100; i++) {
		send_bytes(100);
		advance(500 * US_PER_MS);
		inject(". 1:1 ack %u", 101 + i * 100);
		drop_seen();
		CHECK_EQ(w.tcb.retrans_total, 0);
	}
	CHECK(w.tcb.rto > 500 * US_PER_MS);
	CHECK(w.tcb.rto < 800 * US_PER_MS);
}

static void test_initial_rto_is_one_second(void)
{
	syn_sent(&plain_setup);
	CHECK_EQ(w.tcb.rto, US_PER_S);
	expect_after(US_PER_S, "S 0:0");
	expect_after(2 * US_PER_S, "S 0:0");
	expect_after(4 * US_PER_S, "S 0:0");
}

static void test_backoff_doubles_to_the_limit(void)
{
	weft_time_us gap = 300 * US_PER_MS;

	established_rtt(100 * US_PER_MS, false);
	send_bytes(5 * 1460);
	drop_seen();
	for (unsigned i = 0; i < 12; i++) {
		expect_after(gap, ". 1:1461 ack 1"); /* the first segment only */
		expect_none();
		gap = time_min(2 * gap, w.cfg.rto_max);
		CHECK(w.cfg.rto_max >= 60 * US_PER_S);
	}
	CHECK_EQ(counter_read(&w.counters, C_TCP_RTO), 12);
}

static void test_new_ack_restarts_the_timer_and_ends_backoff(void)
{
	established_rtt(100 * US_PER_MS, false);
	send_bytes(3 * 1460);
	drop_seen();
	advance(250 * US_PER_MS);
	inject(". 1:1 ack 1461");
	weft_time_us rto = w.tcb.rto;
	expect_after(rto, ". 1461:2921 ack 1");
	expect_after(2 * rto, ". 1461:2921 ack 1");
	CHECK_EQ(w.tcb.backoff, 2);
	inject(". 1:1 ack 4381");
	CHECK_EQ(w.tcb.t_rexmt, WEFT_TIME_NEVER);
	CHECK_EQ(w.tcb.backoff, 0);
	drop_seen();
}

static void test_old_ack_does_not_restart_the_timer(void)
{
	established_rtt(100 * US_PER_MS, false);
	send_bytes(1460);
	drop_seen();
	advance(200 * US_PER_MS);
	inject(". 1:1 ack 1");
	inject("P. 1:11 ack 1");
	recv_bytes(100);
	drop_seen();
	pass_time(w.now + US_PER_S, true);
	while (seen_count() > 0 && w.seen[w.head % SEEN_MAX].len == 0) {
		take_seen(); /* the delayed ACK */
		pass_time(w.now + US_PER_S, true);
	}
	const struct text *t = take_seen();
	CHECK(t && t->retransmit && t->seq == w.iss + 1);
	CHECK_EQ(t ? t->at - w.start : 0, 400 * US_PER_MS); /* 100 + 300 */
}

static void test_karn_takes_no_sample_of_a_retransmission(void)
{
	established_rtt(100 * US_PER_MS, false);
	weft_time_us srtt = w.tcb.srtt;
	send_bytes(100);
	drop_seen();
	expect_after(300 * US_PER_MS, "P. 1:101 ack 1");
	advance(10 * US_PER_MS);
	inject(". 1:1 ack 101");
	CHECK_EQ(w.tcb.srtt, srtt);
}

static void test_timestamps_sample_a_retransmission(void)
{
	established_rtt(100 * US_PER_MS, true);
	send_bytes(100);
	drop_seen();
	expect_after(300 * US_PER_MS, "P. 1:101 ack 1");
	advance(20 * US_PER_MS);
	inject(". 1:1 ack 101");
	CHECK(w.tcb.srtt < 100 * US_PER_MS);
	CHECK(w.tcb.srtt >= 85 * US_PER_MS);
}

/* The ACK of a copy was lost; a later one echoes the timestamp of long ago. */
static void test_an_echo_older_than_the_retransmission_is_no_sample(void)
{
	established_rtt(100 * US_PER_MS, true);
	weft_time_us srtt = w.tcb.srtt;
	send_bytes(100);
	drop_seen();
	uint32_t first = w.ts_last;
	expect_after(300 * US_PER_MS, "P. 1:101 ack 1");
	advance(20 * US_PER_MS);
	w.ts_last = first;
	inject(". 1:1 ack 101");
	CHECK_EQ(w.tcb.srtt, srtt);
}

/* Ten ACKs of one flight: the first one counts, the others wait for what is sent after it. */
static void test_one_sample_per_round_trip(void)
{
	established_rtt(100 * US_PER_MS, false);
	send_bytes(10 * 1460);
	drop_seen();
	advance(180 * US_PER_MS);
	inject(". 1:1 ack 1461");
	CHECK_EQ(w.tcb.srtt, 110 * US_PER_MS);
	for (unsigned i = 2; i <= 10; i++) {
		advance(10 * US_PER_MS);
		inject(". 1:1 ack %u", 1 + i * 1460);
		CHECK_EQ(w.tcb.srtt, 110 * US_PER_MS);
	}
	send_bytes(1460);
	drop_seen();
	advance(30 * US_PER_MS);
	inject(". 1:1 ack %u", 1 + 11 * 1460);
	CHECK_EQ(w.tcb.srtt, 100 * US_PER_MS);
}

static void test_every_round_trip_is_sampled(void)
{
	unsigned acked = 1;
	weft_time_us before = 0;

	established_rtt(100 * US_PER_MS, false);
	for (unsigned i = 0; i < 20; i++) {
		send_bytes(20000);
		drop_seen();
		advance(100 * US_PER_MS + (i + 1) * US_PER_MS);
		acked = w.tcb.snd_max - w.iss;
		inject(". 1:1 ack %u", acked);
		CHECK(w.tcb.srtt != before);
		before = w.tcb.srtt;
		drop_seen();
	}
}

static void test_data_timer_after_a_lost_syn_is_three_seconds(void)
{
	/* RFC 6298 5.7: the SYN timer expired, so the handshake gave no sample. */
	syn_sent(&plain_setup);
	expect_after(US_PER_S, "S 0:0");
	advance(100 * US_PER_MS);
	inject("S. 0:0 ack 1 mss 1460");
	expect(". 1:1 ack 1");
	send_bytes(100);
	expect("P. 1:101 ack 1");
	expect_after(3 * US_PER_S, "P. 1:101 ack 1");
}

static void test_syn_gives_up_after_three_minutes_or_more(void)
{
	weft_time_us start;
	unsigned syns = 1;

	syn_sent(&plain_setup);
	start = w.now;
	while (w.tcb.state == TCPS_SYN_SENT && w.now < start + 1000LL * US_PER_S) {
		pass_time(w.now + US_PER_S, false);
		syns += seen_count();
		drop_seen();
	}
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.now - start >= 180LL * US_PER_S);
	CHECK(w.now - start <= 300LL * US_PER_S);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	CHECK(w.events & TCP_EV_CLOSED && w.events & TCP_EV_WRITABLE);
	CHECK(syns >= 6 && syns <= 12);
	CHECK_EQ(counter_read(&w.counters, C_TCP_TIMED_OUT) +
				 counter_read(&w.counters, C_TCP_OPEN_FAILED) >=
			 1,
		 true);
}

/* When it ends, in seconds since the SYN left; TCP_SYNCNT is set 'at' seconds after it. */
static unsigned syn_life(unsigned count, unsigned at, unsigned user_timeout_s, unsigned *syns)
{
	weft_time_us start;

	*syns = 1;
	syn_sent(&plain_setup);
	if (user_timeout_s > 0) {
		tcp_set_user_timeout(&w.tcb, user_timeout_s * (weft_time_us)US_PER_S, w.now);
		w.tcb.t_life =
			w.now + user_timeout_s * (weft_time_us)US_PER_S; /* as when it opened */
	}
	start = w.now;
	for (unsigned s = 0; w.tcb.state == TCPS_SYN_SENT && s < 1000; s++) {
		if (s == at)
			tcp_set_syn_count(&w.tcb, count, w.now);
		pass_time(w.now + US_PER_S, false);
		*syns += seen_count();
		drop_seen();
	}
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	unsigned life = time_s(w.now - start);

	end_world();
	return life;
}

static void test_syn_count(void)
{
	static const struct {
		unsigned count, at, user_timeout_s, life, syns;
	} cases[] = {
		{1, 0, 0, 3, 2},   {2, 0, 0, 7, 3},   {4, 0, 0, 31, 5},      {4, 5, 0, 31, 5},
		{1, 20, 0, 31, 5}, {4, 0, 10, 10, 4}, {8, 0, 0, 240 + 7, 9},
	};

	unsigned syns;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned life =
			syn_life(cases[i].count, cases[i].at, cases[i].user_timeout_s, &syns);

		if (i < 6)
			CHECK_EQ(life, cases[i].life);
		else
			CHECK(life >= cases[i].life); /* longer than by default */
		CHECK_EQ(syns, cases[i].syns);
	}
	established(&plain_setup);
	tcp_set_syn_count(&w.tcb, 1, w.now); /* nothing to it */
	CHECK_EQ(w.tcb.t_life, WEFT_TIME_NEVER);
	CHECK_EQ(tcp_syn_count_default(&w.cfg), 7);
}

static void test_data_gives_up_by_default_after_100_seconds_or_more(void)
{
	weft_time_us start;

	established(&plain_setup);
	start = w.now;
	send_bytes(100);
	while (w.tcb.state == TCPS_ESTABLISHED && w.now < start + 5000LL * US_PER_S) {
		pass_time(w.now + US_PER_S, false);
		drop_seen();
	}
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.now - start >= 100LL * US_PER_S);
	CHECK(w.now - start <= 930LL * US_PER_S);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	CHECK(w.events & TCP_EV_READABLE && w.events & TCP_EV_WRITABLE);
	drop_seen();
}

/* R1 and advice to IP: at the third retransmission, then at each; anew after progress. */
static void test_third_retransmission_is_a_bad_path(void)
{
	established(&plain_setup);
	send_bytes(100);
	for (unsigned i = 1; i <= 5; i++) {
		pass_time(w.tcb.t_rexmt, false);
		CHECK_EQ(w.tcb.path_tries, i < 3 ? 0 : i - 2);
		CHECK_EQ((take_events() & TCP_EV_R1) != 0, i == 3);
		CHECK_EQ(counter_read(&w.counters, C_TCP_R1), i >= 3);
	}
	CHECK_EQ(w.tcb.soft_error, 0);
	inject(". 1:1 ack 101");
	drop_seen();
	send_bytes(100);
	pass_time(w.tcb.t_rexmt, false);
	pass_time(w.tcb.t_rexmt, false);
	CHECK(!(take_events() & TCP_EV_R1));
	pass_time(w.tcb.t_rexmt, false);
	CHECK(take_events() & TCP_EV_R1);
	CHECK_EQ(w.tcb.path_tries, 4);
	CHECK_EQ(counter_read(&w.counters, C_TCP_R1), 2);
	drop_seen();
}

static void test_user_timeout_is_kept(void)
{
	weft_time_us start;

	established(&plain_setup);
	tcp_set_user_timeout(&w.tcb, 5 * US_PER_S, w.now);
	send_bytes(100);
	start = w.now;
	advance(3 * US_PER_S);
	inject(". 1:1 ack 51"); /* progress starts it anew */
	drop_seen();
	CHECK_STATE(TCPS_ESTABLISHED);
	advance(4900 * US_PER_MS);
	CHECK_STATE(TCPS_ESTABLISHED);
	advance(200 * US_PER_MS);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	CHECK(w.now - start > 5 * US_PER_S);
	drop_seen();
}

static void test_user_timeout_set_while_data_waits(void)
{
	established(&plain_setup);
	send_bytes(100);
	advance(10 * US_PER_S);
	drop_seen();
	tcp_set_user_timeout(&w.tcb, 2 * US_PER_S, w.now);
	advance(3 * US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	drop_seen();
}

static void test_no_user_timeout_without_data(void)
{
	established(&plain_setup);
	tcp_set_user_timeout(&w.tcb, US_PER_S, w.now);
	advance(3600 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_ESTABLISHED);
	send_bytes(10);
	inject(". 1:1 ack 11");
	advance(3600 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_ESTABLISHED);
	drop_seen();
}

static void test_soft_error_is_told_when_the_connection_times_out(void)
{
	unsigned events = 0;

	established(&plain_setup);
	send_bytes(100);
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss + 1, EHOSTUNREACH, false, &events), DROP_NONE);
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss + 500, ENETUNREACH, false, &events), DROP_ICMP_SEQ);
	advance(1000 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, EHOSTUNREACH);
	drop_seen();
	/* The path delivered since: it was not that. */
	established(&plain_setup);
	send_bytes(100);
	CHECK_EQ(tcp_icmp_error(&w.tcb, w.iss + 1, EHOSTUNREACH, false, &events), DROP_NONE);
	drop_seen();
	inject(". 1:1 ack 101");
	send_bytes(100);
	advance(1000 * (weft_time_us)US_PER_S);
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ETIMEDOUT);
	drop_seen();
}

static void test_retransmission_is_never_before_the_rto(void)
{
	established_rtt(100 * US_PER_MS, false);
	for (unsigned i = 0; i < 30; i++) {
		send_bytes(10);
		advance(20 * US_PER_MS);
		drop_seen();
		CHECK_EQ(w.tcb.retrans_total, 0);
		if (i % 10 == 9)
			inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
		drop_seen();
	}
	end_world();
}

/* An echo of ten minutes ago is no round trip. */
static void test_echo_of_long_ago_says_nothing(void)
{
	for (unsigned s = 599; s <= 601; s += 2) {
		syn_sent(&ts_setup);
		unsigned ts = w.ts_last;
		pass_time(w.now + 10 * US_PER_S, true); /* sent again: only the echo could tell */
		drop_seen();
		inject("S. 0:0 ack 1 mss 1460 ts %u %u", peer_clock(),
		       ts + (unsigned)((w.now - w.start) / US_PER_MS) - s * 1000);
		CHECK_STATE(TCPS_ESTABLISHED);
		CHECK_EQ(w.tcb.srtt, s > 600 ? 0 : s * US_PER_S);
		drop_seen();
	}
	end_world();
}

UNIT_MAIN("tcp_rto", UNIT(first_sample), UNIT(passive_handshake_is_a_sample), UNIT(later_samples),
	  UNIT(floor), UNIT(rto_stays_above_srtt_when_the_rtt_is_constant),
	  UNIT(initial_rto_is_one_second), UNIT(backoff_doubles_to_the_limit),
	  UNIT(new_ack_restarts_the_timer_and_ends_backoff),
	  UNIT(old_ack_does_not_restart_the_timer), UNIT(karn_takes_no_sample_of_a_retransmission),
	  UNIT(timestamps_sample_a_retransmission),
	  UNIT(an_echo_older_than_the_retransmission_is_no_sample), UNIT(one_sample_per_round_trip),
	  UNIT(every_round_trip_is_sampled), UNIT(data_timer_after_a_lost_syn_is_three_seconds),
	  UNIT(syn_gives_up_after_three_minutes_or_more), UNIT(syn_count),
	  UNIT(data_gives_up_by_default_after_100_seconds_or_more),
	  UNIT(third_retransmission_is_a_bad_path), UNIT(user_timeout_is_kept),
	  UNIT(user_timeout_set_while_data_waits), UNIT(no_user_timeout_without_data),
	  UNIT(soft_error_is_told_when_the_connection_times_out),
	  UNIT(retransmission_is_never_before_the_rto), UNIT(echo_of_long_ago_says_nothing))
