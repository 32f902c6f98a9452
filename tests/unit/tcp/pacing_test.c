/*
 * Pacing: bursts of a size that fits the rate, at the rate on average although timers are late, and
 * nothing else of the connection waits.
 */
#include "script_open.h"

enum { MSS = 1460, RATE = 1000 * MSS };

static void paced(uint64_t rate)
{
	established(&plain_setup);
	w.cfg.gso_max = 65535;
	tcp_set_pacing_max(&w.tcb, rate);
}

/* The bytes that left with the next segment, at the same time. */
static uint32_t take_burst(weft_time_us *at)
{
	uint32_t bytes = 0;

	*at = w.head == w.tail ? 0 : w.seen[w.head % SEEN_MAX].at;
	while (w.head != w.tail && w.seen[w.head % SEEN_MAX].at == *at)
		bytes += take_seen()->len;
	return bytes;
}

static void test_bursts_leave_at_the_rate(void)
{
	paced(RATE);
	weft_time_us start = w.now, at;
	send_bytes(10 * MSS);
	CHECK_EQ(seen_count(), 2);
	pass_time(w.now + 100 * US_PER_MS, false);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(take_burst(&at), 2 * MSS);
		CHECK_EQ(at - start,
			 i == 0 ? 0 : 2000 * i - 1000); /* the pause before is worth half */
	}
	expect_none();
}

static void test_unpaced_leaves_at_once(void)
{
	established(&plain_setup);
	send_bytes(10 * MSS);
	weft_time_us start = w.now;
	uint32_t bytes = 0;
	for (const struct text *t; (t = take_seen()) != NULL;) {
		CHECK_EQ(t->at, start);
		bytes += t->len;
	}
	CHECK_EQ(bytes, 10 * MSS);
}

static void test_waiting_for_its_time_is_no_closed_window(void)
{
	paced(4 * MSS); /* a burst each half second */
	weft_time_us start, at;

	send_bytes(6 * MSS);
	CHECK_EQ(take_burst(&start), 2 * MSS);
	inject(". 1:1 ack %u", 1 + 2 * MSS);
	expect_none(); /* the ACK does not hurry it */
	CHECK(w.tcb.t_persist == WEFT_TIME_NEVER);
	CHECK(tcp_deadline(&w.tcb) <= w.now + 500 * US_PER_MS);
	pass_time(w.now + US_PER_S, true);
	CHECK_EQ(take_burst(&at), 2 * MSS);
	CHECK_EQ(at - start, 250 * US_PER_MS);
	CHECK_EQ(counter_read(&w.counters, C_TCP_ZERO_WND_PROBE), 0);
	drop_seen();
}

/* The answer to a probe opens the window before the time of what is next: no timer but pacing's. */
static void test_window_that_opens_while_data_waits_for_its_time(void)
{
	paced(4 * MSS);
	send_bytes(6 * MSS);
	drop_seen();
	inject(". 1:1 ack %u win 0", 1 + 2 * MSS);
	pass_time(w.now + 10LL * US_PER_S, true);
	expect(". 2921:2922 ack 1");
	inject(". 1:1 ack %u", 1 + 2 * MSS);
	expect_none();
	CHECK(w.tcb.t_persist == WEFT_TIME_NEVER);
	inject(". 1:1 ack %u win 0", 1 + 2 * MSS); /* and closes again */
	advance(US_PER_MS);
	CHECK(w.tcb.t_persist != WEFT_TIME_NEVER);
	expect_none();
	inject(". 1:1 ack %u", 1 + 2 * MSS);
	pass_time(w.now + US_PER_S, true);
	weft_time_us at;
	CHECK_EQ(take_burst(&at), 2 * MSS);
	CHECK(w.tcb.t_rexmt != WEFT_TIME_NEVER);
	drop_seen();
}

static void test_acks_and_fin_do_not_wait(void)
{
	paced(MSS);
	send_bytes(2 * MSS);
	drop_seen();
	inject("P. 1:101 ack 1");
	expect_after(40 * US_PER_MS, ". 2921:2921 ack 101");
	shutdown_write();
	expect("F. %u:%u ack 101", 1 + 2 * MSS, 1 + 2 * MSS);
}

static void test_burst_is_a_millisecond_within_bounds(void)
{
	static const struct {
		uint64_t rate;
		uint32_t burst;
	} rows[] = {
		{1, 2 * MSS}, {1000 * MSS, 2 * MSS}, {20000000, 13 * MSS}, {40000000, 26 * MSS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		paced(rows[i].rate);
		w.tcb.cc.cwnd = 1 << 20;
		w.tcb.snd_wnd = w.tcb.max_snd_wnd = 1 << 20;
		send_bytes(1 << 19);
		weft_time_us at;

		CHECK_EQ(take_burst(&at), rows[i].burst);
		drop_seen();
		end_world();
	}
}

/* Timers that are up to half a burst late, and ticks of 64 us. */
static void test_rate_is_kept_with_late_timers(void)
{
	static const uint64_t rates[] = {1000000, 10000000, 100000000, 1000000000};
	struct prng prng;

	prng_init(&prng, unit_seed());
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		paced(rates[i]);
		w.tcb.cc.cwnd = 1 << 28;
		uint64_t bytes = 0;
		weft_time_us start = w.now, end = w.now + (weft_time_us)(4000000000 / rates[i]) *
								  (weft_time_us)US_PER_MS;
		while (w.now < end) {
			unsigned events = 0;

			w.tcb.snd_wnd = w.tcb.max_snd_wnd = 1 << 20;
			send_bytes(1 << 17);
			for (const struct text *t; (t = take_seen()) != NULL;)
				bytes += t->len;
			inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
			for (const struct text *t; (t = take_seen()) != NULL;)
				bytes += t->len;
			weft_time_us due = tcp_deadline(&w.tcb);
			if (due > w.now)
				w.now = due + (weft_time_us)prng_below(&prng, 65);
			tcp_tick(&w.tcb, w.now, &events);
			after_call(events);
		}
		double rate = (double)bytes / (double)(w.now - start) * 1e6;
		double ratio = rate / (double)rates[i];
		if (ratio < 0.95 || ratio > 1.05)
			printf("\n    rate %g instead of %g", rate, (double)rates[i]);
		CHECK(ratio > 0.95 && ratio < 1.05);
		end_world();
	}
}

static void test_no_burst_after_a_pause(void)
{
	paced(RATE);
	send_bytes(2 * MSS);
	inject(". 1:1 ack %u", 1 + 2 * MSS);
	drop_seen();
	advance(100 * US_PER_MS);
	send_bytes(8 * MSS);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
	/* Half of the next gap is all that a pause is worth. */
	advance(900);
	expect_none();
	advance(100);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
}

/* ---- A controller with a rate, whose timers are late. ---- */

static void fixed_init(struct tcp_cc *cc, weft_time_us now)
{
	(void)cc;
	(void)now;
}

static void fixed_on_ack(struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	(void)cc;
	(void)ack;
}

static void fixed_on_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
				weft_time_us now)
{
	(void)cc;
	(void)pipe;
	(void)reason;
	(void)now;
}

static void fixed_on_rto(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	(void)cc;
	(void)pipe;
	(void)first;
	(void)now;
}

static uint64_t fixed_rate(const struct tcp_cc *cc)
{
	(void)cc;
	return RATE;
}

static const struct tcp_cc_ops fixed = {
	.name = "fixed",
	.owns_recovery = true,
	.init = fixed_init,
	.on_ack = fixed_on_ack,
	.on_congestion = fixed_on_congestion,
	.on_rto = fixed_on_rto,
	.pacing_rate = fixed_rate,
};

/* A segment a millisecond, in bursts of two; the first of them has just left. */
static void rated(uint32_t window)
{
	established(&plain_setup);
	w.cfg.gso_max = 65535;
	tcp_set_congestion(&w.tcb, &fixed, NULL, w.now);
	w.tcb.cc.cwnd = window * MSS;
	w.tcb.snd_wnd = w.tcb.max_snd_wnd = 1 << 20;
	send_bytes(200 * MSS);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
}

/* 'us' pass without a timer; then all that is due is done.  How much leaves. */
static uint32_t leaves_after(weft_time_us us)
{
	unsigned events = 0;
	uint32_t bytes = 0;

	w.now += us;
	tcp_tick(&w.tcb, w.now, &events);
	after_call(events);
	for (const struct text *t; (t = take_seen()) != NULL;)
		bytes += t->len;
	return bytes / MSS;
}

/* Bursts were due after 1, 3, 5, 7, 9 and 11 ms: the first gap is half as long (no_burst_after_a_pause). */
static void test_late_timer_is_made_up_for(void)
{
	rated(80);
	CHECK_EQ(leaves_after(12 * US_PER_MS), 12);
	CHECK_EQ(leaves_after(900), 0);
	CHECK_EQ(leaves_after(100), 2);
	CHECK_EQ(leaves_after(5 * US_PER_MS), 4);
}

/* Of what is behind for longer a quarter of the window is left, and the burst that is due now. */
static void test_late_timer_is_worth_a_quarter_of_the_window(void)
{
	rated(80);
	CHECK_EQ(leaves_after(20 * US_PER_MS), 20);
	rated(80);
	CHECK_EQ(leaves_after(24 * US_PER_MS), 22);
	rated(80);
	CHECK_EQ(leaves_after(100 * US_PER_MS), 22);
	CHECK_EQ(leaves_after(2 * US_PER_MS), 2);
}

/* What waited for the window or for the application was not late. */
static void test_other_pauses_are_not_made_up_for(void)
{
	rated(4);
	CHECK_EQ(leaves_after(2 * US_PER_MS), 2);
	CHECK_EQ(leaves_after(50 * US_PER_MS), 0);
	inject(". 1:1 ack %u", 1 + 4 * MSS);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
	rated(80);
	CHECK_EQ(leaves_after(100 * US_PER_MS), 22); /* timers are late, ... */
	while (w.tcb.snd_nxt != w.tcb.snd_end) {
		(void)leaves_after(20 * US_PER_MS);
		inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	}
	drop_seen();
	w.now += 50 * US_PER_MS;
	send_bytes(20 * MSS); /* ... but here there was nothing to send */
	CHECK_EQ(seen_count(), 2);
	drop_seen();
}

/* A bound that the application gave is none on average only. */
static void test_bound_is_kept_by_late_timers(void)
{
	rated(80);
	tcp_set_pacing_max(&w.tcb, RATE);
	CHECK_EQ(leaves_after(12 * US_PER_MS), 2);
}

static void test_rate_may_change_and_end(void)
{
	paced(RATE);
	send_bytes(10 * MSS);
	drop_seen();
	tcp_set_pacing_max(&w.tcb, UINT64_MAX);
	unsigned events = TCP_EV_OUTPUT;
	after_call(events);
	uint32_t bytes = 0;
	for (const struct text *t; (t = take_seen()) != NULL;)
		bytes += t->len;
	CHECK_EQ(bytes, 8 * MSS);
}

/* ---- Windows on long paths. ---- */

/* A window of 'segments' on a path of 'rtt' us, without a reduction yet. */
static void windowed(uint32_t segments, uint32_t rtt)
{
	established(&plain_setup);
	w.cfg.gso_max = 65535;
	w.cfg.pace_rtt = 5 * US_PER_MS;
	w.tcb.srtt = w.tcb.rtt_min = rtt;
	w.tcb.cc.cwnd = segments * MSS;
	w.tcb.snd_wnd = w.tcb.max_snd_wnd = 1 << 20;
}

/* Ten segments leave at once, the rest of the window follows within half a round trip. */
static void test_window_leaves_spread_on_a_long_path(void)
{
	windowed(40, 100 * US_PER_MS);
	weft_time_us start = w.now, at;

	send_bytes(60 * MSS);
	CHECK_EQ(take_burst(&at), 10 * MSS);
	CHECK_EQ(at - start, 0);
	expect_none();
	/* 80 segments in a round trip: two take 2.5 ms. */
	pass_time(w.now + 99 * US_PER_MS, false);
	for (unsigned i = 1; i <= 15; i++) {
		CHECK_EQ(take_burst(&at), 2 * MSS);
		CHECK(at - start >= 2500 * i - 64 && at - start <= 2500 * i + 64);
	}
	expect_none(); /* cwnd */
}

/* In congestion avoidance 1.2 windows in a round trip. */
static void test_window_is_spread_wider_in_congestion_avoidance(void)
{
	windowed(50, 100 * US_PER_MS);
	w.tcb.cc.ssthresh = 50 * MSS;
	weft_time_us start = w.now, at;

	send_bytes(60 * MSS);
	CHECK_EQ(take_burst(&at), 10 * MSS);
	pass_time(w.now + 99 * US_PER_MS, false);
	for (unsigned i = 1; i <= 20; i++) { /* 60 segments: two take 3.3 ms */
		CHECK_EQ(take_burst(&at), 2 * MSS);
		CHECK(at - start >= 3333 * i - 64 && at - start <= 3334 * i + 64);
	}
	expect_none();
}

static void test_short_paths_and_small_windows_are_not_spread(void)
{
	static const struct {
		uint32_t segments, rtt;
	} rows[] = {{40, 5 * US_PER_MS - 1}, {10, 100 * US_PER_MS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		windowed(rows[i].segments, rows[i].rtt);
		send_bytes(60 * MSS);
		uint32_t bytes = 0;
		for (const struct text *t; (t = take_seen()) != NULL;)
			bytes += t->len;
		CHECK_EQ(bytes, rows[i].segments * MSS);
		end_world();
	}
	windowed(11, 5 * US_PER_MS); /* at the limits */
	weft_time_us at;

	send_bytes(60 * MSS);
	CHECK_EQ(take_burst(&at), 10 * MSS);
	expect_none();
}

/* What was held while the window was spread has its time when the window became too small for that. */
static void test_window_that_shrinks_holds_nothing(void)
{
	windowed(40, 100 * US_PER_MS);
	send_bytes(60 * MSS);
	drop_seen();
	CHECK(w.tcb.pace_held);
	CHECK(tcp_deadline(&w.tcb) > w.now);
	w.tcb.cc.cwnd = 10 * MSS;
	CHECK(tcp_deadline(&w.tcb) <= w.now);
	unsigned events = 0;
	tcp_tick(&w.tcb, w.now, &events);
	CHECK(events & TCP_EV_OUTPUT);
	CHECK(!w.tcb.pace_held);
	after_call(events);
	drop_seen();
}

/* What single ACKs let out goes at once: kept back is only what comes in a bunch. */
static void test_ack_clock_is_left_alone(void)
{
	windowed(40, 100 * US_PER_MS);
	weft_time_us at;

	send_bytes(120 * MSS);
	pass_time(w.now + 100 * US_PER_MS, false);
	drop_seen();
	w.tcb.cc.ssthresh = 40 * MSS;
	for (unsigned i = 1; i <= 4; i++) {
		weft_time_us now = w.now;

		inject(". 1:1 ack %u", 1 + i * 8 * MSS);
		CHECK_EQ(take_burst(&at), 8 * MSS);
		CHECK_EQ(at, now);
		expect_none();
		advance(20 * US_PER_MS);
	}
}

UNIT_MAIN("pacing", UNIT(bursts_leave_at_the_rate), UNIT(unpaced_leaves_at_once),
	  UNIT(waiting_for_its_time_is_no_closed_window),
	  UNIT(window_that_opens_while_data_waits_for_its_time), UNIT(acks_and_fin_do_not_wait),
	  UNIT(burst_is_a_millisecond_within_bounds), UNIT(rate_is_kept_with_late_timers),
	  UNIT(no_burst_after_a_pause), UNIT(late_timer_is_made_up_for),
	  UNIT(late_timer_is_worth_a_quarter_of_the_window), UNIT(other_pauses_are_not_made_up_for),
	  UNIT(bound_is_kept_by_late_timers), UNIT(rate_may_change_and_end),
	  UNIT(window_leaves_spread_on_a_long_path),
	  UNIT(window_is_spread_wider_in_congestion_avoidance),
	  UNIT(short_paths_and_small_windows_are_not_spread),
	  UNIT(window_that_shrinks_holds_nothing), UNIT(ack_clock_is_left_alone))
