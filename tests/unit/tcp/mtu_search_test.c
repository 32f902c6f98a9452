/* The search for the largest segments that the path takes (RFC 4821, RFC 8899). */
#include "mtu_script.h"

/* A probe that small buffers do not let become whole leaves as ordinary segments. */
static void test_probe_of_too_many_buffers(void)
{
	begin_small();
	send_bytes(BASE);
	drop_seen();
	inject(". 1:1 ack %u", 1 + BASE);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROVED);
	w.tcb.cc.cwnd = 20 * MSS;
	w.chunk = 65; /* twenty views are more than a segment and less than the probe */
	send_bytes(20 * MSS);
	CHECK(seen_count() > 0);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROVED);
	while (seen_count() > 0)
		CHECK(take_seen()->len <= BASE);
	end_world();
}

/* Into the search: 1240 works, 1460 does not. */
static void fall_into_black_hole(void)
{
	begin(1);
	send_bytes(4 * MSS);
	drop_seen();
	advance(1500 * US_PER_MS);
	CHECK_EQ(w.tcb.mss, BASE);
	ack_all(0);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROVED);
	w.tcb.cc.cwnd = 20 * MSS; /* a probe wants company */
}

/* Every probe gets through: the search ends just below what failed. */
static void test_search_upwards(void)
{
	fall_into_black_hole();
	CHECK_EQ(w.tcb.mtu_high, MSS);
	for (unsigned i = 0; i < 20; i++) {
		send_bytes(20 * MSS);
		ack_all(0);
	}
	CHECK(w.tcb.mss > MSS - 8 && w.tcb.mss <= MSS);
	CHECK(w.counters.value[C_TCP_MTU_PROBE] >= 4 && w.counters.value[C_TCP_MTU_PROBE] < 10);
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE_LOST], 0);
	/* Rests for ten minutes (RFC 8899), then looks once more. */
	uint64_t probes = w.counters.value[C_TCP_MTU_PROBE];

	CHECK_EQ(w.tcb.mtu_high, 0);
	path_mss(w.tcb.mss); /* nothing */
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE], probes);
	end_world();
}

/* A probe is lost: sent again in pieces, no smaller window, and not tried again at that size. */
static void test_lost_probe(void)
{
	fall_into_black_hole();
	uint32_t una = w.tcb.snd_una - w.iss;

	send_bytes(6 * MSS);
	expect(". %u:%u ack 1", una, una + 1350);
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE], 1);
	expect(". %u:%u ack 1", una + 1350, una + 1350 + BASE);
	drop_seen();
	uint32_t cwnd = w.tcb.cc.cwnd;

	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE_LOST], 1);
	CHECK_EQ(w.tcb.mtu_high, 1349);
	expect(". %u:%u ack 1", una, una + BASE);
	drop_seen();
	inject(". 1:1 ack %u", una + BASE);
	expect(". %u:%u ack 1", una + BASE, una + 2 * BASE);
	drop_seen();
	inject(". 1:1 ack %u", w.tcb.snd_max - w.iss);
	CHECK(w.tcb.cc.ssthresh >= cwnd);
	CHECK_EQ(w.tcb.mss, BASE);
	drop_seen();
	end_world();
}

/* A router answers the probe: what works stays, the search ends sooner. */
static void test_message_for_a_probe(void)
{
	fall_into_black_hole();
	uint32_t una = w.tcb.snd_una - w.iss;

	send_bytes(6 * MSS);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROBING);
	drop_seen();
	CHECK_EQ(too_big(una, 1244), DROP_NONE);
	CHECK_EQ(w.tcb.mss, BASE);
	CHECK_EQ(w.tcb.mtu_high, 1244);
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack %u", una);
	CHECK_EQ(w.tcb.mtu_high, 0);
	ack_all(0);
	send_bytes(20 * MSS);
	ack_all(0);
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE], 1);
	end_world();
}

/*
 * The rest is over however long nothing is sent behind it: its end is kept in 16 bits of seconds, 18 hours.
 * 'idle' behind 65,536 seconds is less than the rest again: a wait of so much more, at most ten minutes.
 */
static void search_after(weft_time_us idle, bool rests)
{
	fall_into_black_hole();
	for (unsigned i = 0; i < 20; i++) {
		send_bytes(20 * MSS);
		ack_all(0);
	}
	CHECK_EQ(w.tcb.mtu_high, 0);
	uint64_t probes = w.counters.value[C_TCP_MTU_PROBE];

	path_mss(BASE); /* the path has changed meanwhile, and back */
	advance(idle * US_PER_S);
	for (unsigned i = 0; i < 3; i++) {
		w.tcb.cc.cwnd = 20 * MSS;
		send_bytes(20 * MSS);
		ack_all(0);
	}
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE] == probes, rests);
	end_world();
}

static void test_search_after_a_long_pause(void)
{
	static const weft_time_us pauses[] = {
		601,   3600,  4296,  32000,     33500,      40000,
		65000, 66200, 86400, 7 * 86400, 25 * 86400, 50 * 86400,
	};

	search_after(500, true);
	for (unsigned i = 0; i < ARRAY_SIZE(pauses); i++)
		search_after(pauses[i], false);
}

/* With mtu_probing 2 a connection begins small and finds out. */
static void test_search_from_the_beginning(void)
{
	begin_small();
	CHECK_EQ(w.tcb.mss, BASE);
	for (unsigned i = 0; i < 20; i++) {
		send_bytes(20 * MSS);
		ack_all(0);
	}
	CHECK(w.tcb.mss > MSS - 8);
	/* No records for one who only reads. */
	advance(10 * US_PER_S);
	CHECK(w.tcb.mtu_search && !w.tcb.sb);
	inject("P. 1:11 ack %u", w.tcb.snd_max - w.iss);
	advance(US_PER_S);
	CHECK_EQ(seen_count(), 1);
	CHECK(!w.tcb.sb);
	drop_seen();
	end_world();
}

/* The search stays below the peer's MSS and the user's; while data is out of order it waits. */
static void test_search_has_bounds(void)
{
	for (unsigned user = 0; user < 2; user++) {
		static const struct setup small_peer = {.iss = 1, .irs = 2, .mss_peer = 1300};

		established(user ? &plain_setup : &small_peer);
		w.cfg.mtu_probing = 2;
		w.tcb.mss_user = user ? 1300 : 0;
		w.tcb.mss_path = BASE;
		w.tcb.mtu_search = true;
		w.tcb.mtu_high = MSS;
		w.tcb.mtu_state = TCP_MTU_PROVED;
		w.tcb.mss = BASE;
		CHECK_EQ(mtu_probe_mss(&w.tcb, 100000, w.now), (BASE + 1300 + 1) / 2);
		w.tcb.mtu_state = TCP_MTU_PROVED;
		inject(". 101:201 ack 1");
		drop_seen();
		CHECK_EQ(mtu_probe_mss(&w.tcb, 100000, w.now), 0);
	}
	end_world();
}

/* A timeout of a probe is its loss as well: what is sent again in pieces proves nothing of its size. */
static void test_probe_that_times_out(void)
{
	fall_into_black_hole();
	send_bytes(6 * MSS);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROBING);
	drop_seen();
	pass_time(w.now + 10 * US_PER_S, true);
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE_LOST], 1);
	CHECK_EQ(w.tcb.mtu_high, 1349);
	ack_all(0);
	CHECK_EQ(w.tcb.mss, BASE);
	end_world();
}

/* No probe on top of a byte that asked for a window; none that a super-segment can not be. */
static void test_no_probe_behind_a_window_probe(void)
{
	fall_into_black_hole();
	uint32_t una = w.tcb.snd_una - w.iss;

	inject(". 1:1 ack %u win 0", una);
	send_bytes(20 * MSS);
	pass_time(w.now + 60 * US_PER_S, true);
	CHECK_EQ(w.tcb.snd_max, w.tcb.snd_nxt + 1);
	drop_seen();
	inject(". 1:1 ack %u", una);
	expect(". %u:%u ack 1", una, una + BASE);
	drop_seen();
	ack_all(0);
	w.tcb.cc.cwnd = 20 * MSS;
	w.tcb.mtu_state = TCP_MTU_PROVED;
	w.tcb.mtu_high = MSS;
	w.cfg.gso_max = 1300;
	CHECK_EQ(mtu_probe_mss(&w.tcb, 100000, w.now), 0);
	end_world();
}

/* A claim that a timeout proved right ends the search; ten minutes later there may be another path. */
static void test_claim_ends_the_search_for_a_time(void)
{
	fall_into_black_hole();
	uint32_t una = w.tcb.snd_una - w.iss;

	send_bytes(BASE);
	CHECK_EQ(w.tcb.mtu_state, TCP_MTU_PROVED);
	drop_seen();
	CHECK_EQ(too_big(una, 1000), DROP_NONE);
	pass_time(w.now + 10 * US_PER_S, true);
	CHECK_EQ(w.tcb.mss, 1000);
	ack_all(0);
	for (unsigned i = 0; i < 3; i++) {
		w.tcb.cc.cwnd = 20 * MSS;
		send_bytes(20 * MSS);
		ack_all(0);
	}
	CHECK_EQ(w.counters.value[C_TCP_MTU_PROBE], 0);
	advance(601 * (weft_time_us)US_PER_S);
	for (unsigned i = 0; i < 20; i++) {
		w.tcb.cc.cwnd = 20 * MSS;
		send_bytes(20 * MSS);
		ack_all(0);
	}
	CHECK(w.tcb.mss > MSS - 8);
	end_world();
}

UNIT_MAIN("tcp_mtu_search", UNIT(probe_of_too_many_buffers), UNIT(search_upwards),
	  UNIT(search_after_a_long_pause), UNIT(lost_probe), UNIT(message_for_a_probe),
	  UNIT(search_from_the_beginning), UNIT(search_has_bounds), UNIT(probe_that_times_out),
	  UNIT(no_probe_behind_a_window_probe), UNIT(claim_ends_the_search_for_a_time))
