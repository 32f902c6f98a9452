/*
 * SYN cookies on virtual time: what a cookie tells, when it is too old, forged ones, the timestamp's
 * bits, and keys that change.
 */
#include "net/tcp/syncookie.h"
#include "script_open.h"

static const struct flow flow = {
	.local = {.b = {10, 0, 0, 1}},
	.remote = {.b = {10, 0, 0, 2}},
	.local_port = 80,
	.remote_port = 4000,
};

static struct syncookie_keys keys = {
	.pad = {{1}},
	.mac = {{{2}}, {{3}}},
};

/* The SYN of the setup is answered; the SYN-ACK stands in '*out'. */
static void answer(const struct setup *setup, weft_time_us now, struct tcp_seg_out *out)
{
	char options[100], source[TEXT_MAX];

	begin_world(setup);
	w.now = now;
	snprintf(source, sizeof(source), "S 0:0 win %u%s", w.peer_wnd, syn_options(options));
	struct tcp_seg syn = make_seg(source);

	syncookie_answer(&keys, &flow, &w.params, &syn, now, out);
}

/* The ACK that a client makes of a SYN-ACK. */
static struct tcp_seg ack_of(const struct tcp_seg_out *synack)
{
	return (struct tcp_seg){
		.seq = synack->ack,
		.ack = synack->seq + 1,
		.wnd = 1000,
		.flags = TCP_ACK,
		.opt = {.has_ts = synack->opt.has_ts, .ts_val = 777, .ts_ecr = synack->opt.ts_val},
	};
}

static bool accepts(const struct tcp_seg_out *synack, weft_time_us now)
{
	struct tcp_seg ack = ack_of(synack);

	return syncookie_accept(&keys, &flow, &w.params, &ack, now, &w.rec);
}

/* In every setup the record is what a remembered SYN would have made. */
static void round_trip(const struct setup *setup)
{
	struct tcp_seg_out out;

	answer(setup, WORLD_START, &out);
	CHECK_EQ(out.flags, TCP_SYN | TCP_ACK);
	CHECK_EQ(out.ack, w.irs + 1);
	CHECK_EQ(out.wnd, 65535);
	CHECK(out.opt.has_mss && out.opt.mss == 1460);
	CHECK_EQ(out.opt.has_ts, setup->ts);
	CHECK_EQ(out.opt.has_sack_ok, setup->ts && setup->sack);
	CHECK_EQ(out.opt.has_wscale, setup->ts && setup->wscale);
	struct tcp_seg ack = ack_of(&out);

	CHECK(syncookie_accept(&keys, &flow, &w.params, &ack, w.now, &w.rec));
	CHECK_EQ(w.rec.iss, out.seq);
	CHECK_EQ(w.rec.irs, w.irs);
	CHECK_EQ(w.rec.mss_peer, setup->no_mss ? 536 : 1460);
	CHECK_EQ(w.rec.mss_local, 1460);
	CHECK_EQ(w.rec.rcv_wnd, 65535);
	CHECK_EQ(w.rec.ts_on, setup->ts);
	CHECK_EQ(w.rec.ts_recent, setup->ts ? 777 : 0);
	CHECK_EQ(w.rec.sack_on, out.opt.has_sack_ok);
	CHECK_EQ(tcp_synrcvd_scales(&w.rec), out.opt.has_wscale);
	CHECK_EQ(w.rec.snd_wscale, out.opt.has_wscale ? 2 : SYNRCVD_NO_WSCALE);
	CHECK_EQ(w.rec.rcv_wscale, out.opt.wscale);
	CHECK(!w.rec.synack_due);
	CHECK_EQ(ack.opt.ts_ecr, 0);
}

static void test_cookie_tells_what_the_syn_had(void)
{
	for_each_setup(round_trip);
}

/* The connection that a cookie makes is one like any other. */
static void test_connection_from_a_cookie(void)
{
	struct tcp_seg_out out;
	unsigned events = 0;

	answer(&full_setup, WORLD_START, &out);
	struct tcp_seg ack = ack_of(&out);

	CHECK(syncookie_accept(&keys, &flow, &w.params, &ack, w.now, &w.rec));
	tcp_open_passive(&w.tcb, &w.rec, w.now);
	CHECK_EQ(tcp_input(&w.tcb, &ack, w.now, &events), DROP_NONE);
	CHECK_EQ(w.tcb.state, TCPS_ESTABLISHED);
	CHECK_EQ(w.tcb.srtt, 0); /* the marked timestamp is no sample */
	CHECK_EQ(w.tcb.snd_wnd, 1000 << 2);
	tcb_check(&w.tcb);
	/* PAWS holds from the ACK's timestamp on. */
	struct tcp_seg old = ack_of(&out);

	old.opt.ts_val = 776;
	CHECK_EQ(tcp_input(&w.tcb, &old, w.now, &events), DROP_TCP_PAWS);
	end_world();
}

static void test_cookie_lives_for_one_to_two_minutes(void)
{
	const weft_time_us minute = SYNCOOKIE_MINUTE_S * (weft_time_us)US_PER_S;
	struct tcp_seg_out out;

	/* Made at the first and at the last moment of a minute; keys change with every fourth. */
	for (weft_time_us start = 0; start < 10 * minute; start += minute) {
		answer(&full_setup, start, &out);
		CHECK(accepts(&out, start + 2 * minute - 1));
		CHECK(!accepts(&out, start + 2 * minute));
		CHECK(!accepts(&out, start + 32 * minute)); /* five bits of the minute wrap */
		answer(&full_setup, start + minute - 1, &out);
		CHECK(accepts(&out, start + 2 * minute - 1));
		CHECK(!accepts(&out, start + 2 * minute));
	}
	end_world();
}

static void test_mss_is_the_largest_that_does_not_exceed(void)
{
	static const struct {
		bool is_v6;
		uint16_t peer, told;
	} cases[] = {
		{false, 88, 88},     {false, 255, 88},     {false, 535, 256},   {false, 536, 536},
		{false, 1023, 536},  {false, 1299, 1024},  {false, 1300, 1300}, {false, 1459, 1440},
		{false, 1460, 1460}, {false, 65535, 1460}, {true, 40, 88},      {true, 535, 88},
		{true, 536, 536},    {true, 1219, 1024},   {true, 1220, 1220},  {true, 1359, 1220},
		{true, 65535, 8940},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct setup setup = {.mss_peer = cases[i].peer, .is_v6 = cases[i].is_v6};
		struct tcp_seg_out out;

		answer(&setup, WORLD_START, &out);
		CHECK(accepts(&out, w.now));
		CHECK_EQ(w.rec.mss_peer, cases[i].told);
	}
	end_world();
}

/* The TSval never runs ahead of the clock, and keeps within 64 ms of it. */
static void test_marked_timestamps_do_not_run_ahead(void)
{
	struct tcp_seg_out out;

	for (weft_time_us now = WORLD_START; now < WORLD_START + 300 * US_PER_MS;
	     now += US_PER_MS) {
		answer(&full_setup, now, &out);
		uint32_t ms = (uint32_t)(now / US_PER_MS) + w.params.ts_offset;

		CHECK(seq_le(out.opt.ts_val, ms));
		CHECK(ms - out.opt.ts_val < 64);
		CHECK(accepts(&out, now));
		CHECK_EQ(w.rec.snd_wscale, 2);
	}
	end_world();
}

/* A timestamp that is no echo of ours tells nothing: the connection goes without options. */
static void test_foreign_echo_tells_no_options(void)
{
	struct tcp_seg_out out;

	answer(&full_setup, WORLD_START, &out);
	struct tcp_seg ack = ack_of(&out);

	ack.opt.ts_ecr += 10000;
	CHECK(syncookie_accept(&keys, &flow, &w.params, &ack, w.now, &w.rec));
	CHECK(!w.rec.ts_on && !w.rec.sack_on && !tcp_synrcvd_scales(&w.rec));
	end_world();
}

static void test_forged_cookies_are_refused(void)
{
	struct tcp_seg_out out;
	struct flow other = flow;
	struct prng rng;
	unsigned accepted = 0;

	prng_init(&rng, unit_seed());
	answer(&full_setup, WORLD_START, &out);
	for (unsigned bit = 0; bit < 32; bit++) {
		struct tcp_seg_out bent = out;

		bent.seq ^= 1u << bit;
		CHECK(!accepts(&bent, w.now));
		bent = out;
		bent.ack ^= 1u << bit;
		CHECK(!accepts(&bent, w.now));
	}
	struct tcp_seg ack = ack_of(&out);

	other.remote_port++;
	CHECK(!syncookie_accept(&keys, &other, &w.params, &ack, w.now, &w.rec));
	for (unsigned i = 0; i < 100000; i++) {
		out.seq = (uint32_t)prng_u64(&rng);
		accepted += accepts(&out, w.now);
	}
	CHECK_EQ(accepted, 0); /* 100000 times 2^-29 */
	end_world();
}

/* Nobody who sees cookies can tell the next flow's: they differ in more than the sums. */
static void test_cookies_differ_between_flows(void)
{
	struct tcp_seg_out a, b;
	struct flow other = flow;

	answer(&full_setup, WORLD_START, &a);
	struct tcp_seg syn = {
		.seq = w.irs, .flags = TCP_SYN, .opt = {.has_mss = true, .mss = 1460}};

	other.remote_port++;
	syncookie_answer(&keys, &other, &w.params, &syn, w.now, &b);
	CHECK((a.seq ^ b.seq) >> 24 != 0); /* the counter is hidden, too */
	end_world();
}

static void test_cookie_of_a_changed_key_is_refused(void)
{
	struct tcp_seg_out out;
	struct khash_key old[2] = {keys.mac[0], keys.mac[1]};

	answer(&full_setup, WORLD_START, &out);
	unsigned slot = syncookie_generation(w.now) & 1;

	keys.mac[1 - slot].bytes[5] ^= 1; /* the other generation's is another's */
	CHECK(accepts(&out, w.now));
	keys.mac[slot].bytes[5] ^= 1;
	CHECK(!accepts(&out, w.now));
	memcpy(keys.mac, old, sizeof(old));
	end_world();
}

/* Timestamps but no scaling: the bits say so, and no shift is made of them. */
static void test_cookie_without_scaling(void)
{
	static const struct setup setup = {.iss = 1, .irs = 2, .ts = true, .sack = true};
	struct tcp_seg_out out;

	answer(&setup, WORLD_START, &out);
	CHECK(accepts(&out, w.now));
	CHECK(w.rec.ts_on && w.rec.sack_on);
	CHECK(!tcp_synrcvd_scales(&w.rec));
	CHECK_EQ(w.rec.rcv_wscale, 0);
	end_world();
}

UNIT_MAIN("tcp_syncookie", UNIT(cookie_tells_what_the_syn_had), UNIT(connection_from_a_cookie),
	  UNIT(cookie_lives_for_one_to_two_minutes), UNIT(mss_is_the_largest_that_does_not_exceed),
	  UNIT(marked_timestamps_do_not_run_ahead), UNIT(foreign_echo_tells_no_options),
	  UNIT(forged_cookies_are_refused), UNIT(cookies_differ_between_flows),
	  UNIT(cookie_of_a_changed_key_is_refused), UNIT(cookie_without_scaling))
