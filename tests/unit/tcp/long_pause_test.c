/*
 * Connections that nobody uses for an hour, or longer than 32 bits of microseconds, of ticks or of
 * milliseconds last, and then used as if nothing had been: with every option, controller and timer.
 */
#include "script_open.h"
#include <stdlib.h>

enum { MSS = 1448, ROUND_US = 10000 };

/* Seconds; around 2^32 us, 2^16 s, 2^31 ms and 2^32 ms. */
static const weft_time_us pauses[] = {
	3600, 4290, 4295, 4300, 65530, 65540, 3 * 86400, 2147480, 2147490, 50 * 86400, 4294980,
};

enum { BUSY_PAUSES = 7 }; /* in those something happens every two minutes */

static uint32_t peer_sent; /* behind the last byte of the peer's */

/* The peer acknowledges what came. */
static void answer(void)
{
	drop_seen();
	inject(". %u:%u ack %u", peer_sent, peer_sent, w.tcb.snd_max - w.iss);
}

/* Sends and has it acknowledged; how many round trips that takes. */
static unsigned transfer(uint32_t bytes)
{
	unsigned rounds = 0;

	(void)send_bytes(bytes);
	while (w.tcb.snd_una != w.tcb.snd_end && rounds++ < 100) {
		advance(ROUND_US);
		answer();
	}
	drop_seen();
	return rounds;
}

/* The peer's bytes come, and are acknowledged. */
static void receive(uint32_t bytes)
{
	inject("P. %u:%u ack %u", peer_sent, peer_sent + bytes, w.tcb.snd_max - w.iss);
	CHECK_EQ(w.why, DROP_NONE);
	peer_sent += bytes;
	CHECK_EQ(recv_bytes(bytes), bytes);
	advance(US_PER_S);
	CHECK_EQ(w.tcb.last_ack_sent, w.tcb.rcv_nxt);
	drop_seen();
}

/* 'pause' passes; the peer answers what the connection asks. */
static void idle(weft_time_us pause)
{
	weft_time_us until = w.now + pause * US_PER_S;

	while (w.now < until) {
		pass_time(until, true);
		if (seen_count() > 0)
			answer();
	}
	CHECK_STATE(TCPS_ESTABLISHED);
}

static void use_cc(const struct tcp_cc_ops *ops)
{
	tcp_set_congestion(&w.tcb, ops, ops->more_size > 0 ? calloc(1, ops->more_size) : NULL,
			   w.now);
}

static void end(void)
{
	free(tcp_cc_more(&w.tcb.cc));
	end_world();
}

/* As fast as a connection that has just begun, and with times that are of this path. */
static void is_as_before(unsigned rounds)
{
	uint64_t again = w.counters.value[C_TCP_RETRANS];

	receive(1000);
	CHECK(transfer(30 * MSS) <= rounds);
	receive(3 * MSS);
	CHECK_EQ(w.counters.value[C_TCP_RETRANS], again);
	CHECK(w.tcb.srtt <= US_PER_S && w.tcb.rto <= US_PER_S);
	/* A loss is noticed in a second. */
	(void)send_bytes(100);
	drop_seen();
	weft_time_us from = w.now;

	pass_time(w.now + 1000LL * US_PER_S, true);
	CHECK(seen_count() == 1 && w.now - from <= US_PER_S);
	answer();
	CHECK_EQ(w.tcb.snd_una, w.tcb.snd_end);
	drop_seen();
}

static void pause_of(const struct setup *setup, const struct tcp_cc_ops *ops, bool keepalive,
		     weft_time_us pause)
{
	established(setup);
	peer_sent = 1;
	use_cc(ops);
	tcp_set_keepalive(&w.tcb, keepalive, w.now);
	for (unsigned i = 0; i < 10; i++)
		(void)transfer(30 * MSS);
	receive(MSS);
	unsigned rounds = transfer(30 * MSS);

	idle(pause);
	is_as_before(rounds + 4);
	end();
}

static void test_idle(void)
{
	const struct tcp_cc_ops *ops[] = {&tcp_cc_newreno, &tcp_cc_cubic, &tcp_cc_bbr};

	for (unsigned i = 0; i < 12; i++) {
		const struct setup setup = {
			.iss = 1000, .irs = 5000000, .ts = i & 1, .sack = i & 1, .wscale = true};

		for (unsigned k = 0; k < ARRAY_SIZE(pauses); k++)
			pause_of(&setup, ops[i % 3], i & 2, pauses[k]);
	}
}

/* 'bytes' wait while the peer's window is closed for 'pause'; it answers every probe, and opens. */
static void close_window(weft_time_us pause, uint32_t bytes)
{
	weft_time_us until = w.now + pause * US_PER_S;

	w.peer_wnd = 0;
	answer();
	(void)send_bytes(bytes);
	while (w.now < until) {
		pass_time(until, true);
		drop_seen();
		inject(". 1:1 ack %u", w.tcb.snd_una - w.iss);
	}
	CHECK_STATE(TCPS_ESTABLISHED);
	w.peer_wnd = 65535;
	inject(". 1:1 ack %u", w.tcb.snd_una - w.iss);
}

/* The peer's window stays closed, and it answers every probe. */
static void test_closed_window(void)
{
	const struct setup setup = {
		.iss = 1000, .irs = 5000000, .ts = true, .sack = true, .wscale = true};

	for (unsigned k = 0; k < BUSY_PAUSES; k++) {
		established(&setup);
		peer_sent = 1;
		use_cc(&tcp_cc_cubic);
		for (unsigned i = 0; i < 10; i++)
			(void)transfer(30 * MSS);
		close_window(pauses[k], 10 * MSS);
		CHECK(transfer(0) <= 8);
		is_as_before(8);
		end();
	}
}

/*
 * Time in which the peer's window was closed is no time in which CUBIC's cwnd may grow (RFC 9438 4.2), and
 * cwnd is worth less and less, as if there had been nothing to send (RFC 7661).
 */
static void test_closed_window_is_a_pause(void)
{
	const struct setup setup = {
		.iss = 1000, .irs = 5000000, .ts = true, .sack = true, .wscale = true};

	static const struct {
		weft_time_us seconds;
		uint32_t cwnd;
	} cases[] = {{60, 40}, {299, 40}, {310, 20}, {3600, 10}, {3 * 86400, 10}};

	for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
		established(&setup);
		peer_sent = 1;
		use_cc(&tcp_cc_cubic);
		for (unsigned i = 0; i < 10; i++)
			(void)transfer(30 * MSS);
		w.tcb.cc.cwnd = 60 * MSS;
		w.tcb.cc.ops->on_congestion(&w.tcb.cc, 60 * MSS, TCP_CC_LOSS, w.now);
		w.tcb.cc.cwnd = w.tcb.cc.ssthresh = 40 * MSS;
		for (unsigned i = 0; i < 10; i++)
			(void)transfer(40 * MSS);
		uint32_t before = w.tcb.cc.cwnd;

		CHECK(before >= 40 * MSS && before < 42 * MSS);
		close_window(cases[k].seconds, 100 * MSS);
		uint32_t cwnd = w.tcb.cc.cwnd;

		CHECK(cwnd + MSS > cases[k].cwnd * MSS && cwnd < (cases[k].cwnd + 2) * MSS);
		/* Three round trips later it is where it was, at most. */
		for (unsigned i = 0; i < 3; i++)
			(void)transfer(40 * MSS);
		CHECK(w.tcb.cc.cwnd < before + 3 * MSS);
		drop_seen();
		end();
	}
}

/* Data in flight all the time: an outage that TCP_USER_TIMEOUT allows, and then the path is back. */
static void outage(weft_time_us seconds, unsigned arrived)
{
	const struct setup setup = {
		.iss = 1000, .irs = 5000000, .ts = true, .sack = true, .wscale = true};

	established(&setup);
	peer_sent = 1;
	use_cc(&tcp_cc_cubic);
	tcp_set_user_timeout(&w.tcb, time_of_ms(INT32_MAX), w.now);
	(void)transfer(30 * MSS);
	(void)send_bytes(20 * MSS);
	uint32_t base = w.tcb.snd_una - w.iss;

	for (weft_time_us until = w.now + seconds * US_PER_S; w.now < until;) {
		drop_seen();
		pass_time(until, true);
	}
	drop_seen();
	CHECK_STATE(TCPS_ESTABLISHED);
	/* The next retransmission gets through; 'arrived' segments had before the outage. */
	pass_time(w.now + 200LL * US_PER_S, true);
	CHECK_EQ(seen_count(), 1);
	drop_seen();
	w.now += ROUND_US;
	inject(". 1:1 ack %u", base + arrived * MSS);
	weft_time_us from = w.now;
	unsigned rounds = 0;

	while (w.tcb.snd_una != w.tcb.snd_end && rounds++ < 100) {
		if (seen_count() == 0)
			pass_time(w.now + 1000LL * US_PER_S, true);
		w.now += ROUND_US;
		answer();
	}
	CHECK(w.now - from <= 3 * (weft_time_us)US_PER_S);
	if (w.now - from > 3 * (weft_time_us)US_PER_S)
		printf("outage %lld s, %u arrived: %lld us\n", (long long)seconds, arrived,
		       (long long)(w.now - from));
	drop_seen();
	end();
}

static void test_outage(void)
{
	static const unsigned arrived[] = {1, 2, 5, 19};

	for (unsigned k = 0; k < BUSY_PAUSES; k++)
		for (unsigned i = 0; i < ARRAY_SIZE(arrived); i++)
			outage(pauses[k], arrived[i]);
	for (weft_time_us s = 2000; s < 9000; s += 97)
		outage(s, 5);
}

UNIT_MAIN("long_pause", UNIT(idle), UNIT(closed_window), UNIT(closed_window_is_a_pause),
	  UNIT(outage))
