/*
 * Options as the core uses them (RFC 9293 3.7.1, RFC 7323 2, RFC 2018): defaults and limits of the
 * MSS, window scales, SACK permission, the order of the SACK blocks that are sent.
 */
#include "script_open.h"

static unsigned largest_segment(void)
{
	unsigned largest = 0;

	send_bytes(40000);
	for (const struct text *t; (t = take_seen()) != NULL;)
		largest = t->len > largest ? t->len : largest;
	return largest;
}

static void test_mss_defaults_without_the_option(void)
{
	struct setup setup = {.iss = 1, .irs = 2, .no_mss = true};

	established(&setup);
	CHECK_EQ(largest_segment(), 536);
	setup.passive = true;
	established(&setup);
	CHECK_EQ(largest_segment(), 536);
	setup.is_v6 = true;
	established(&setup);
	CHECK_EQ(largest_segment(), 1220);
	setup.ts = true;
	established(&setup);
	CHECK_EQ(largest_segment(), 1208);
}

static void test_mss_is_the_lesser_less_options(void)
{
	struct setup setup = {.iss = 1, .irs = 2, .ts = true, .mss_local = 1360};

	established(&setup);
	CHECK_EQ(largest_segment(), 1348);
	setup.mss_peer = 600;
	established(&setup);
	CHECK_EQ(largest_segment(), 588);
	setup.ts = false;
	established(&setup);
	CHECK_EQ(largest_segment(), 600);
	setup.passive = true;
	established(&setup);
	CHECK_EQ(largest_segment(), 600);
	setup.mss_peer = 65535;
	established(&setup);
	CHECK_EQ(largest_segment(), 1360);
}

/* An MTU near IP's limit: what a packet can carry with all headers is less than the MSS. */
static void test_mss_is_at_most_a_super_segment(void)
{
	struct setup setup = {
		.iss = 1, .irs = 2, .ts = true, .mss_local = 65480, .mss_peer = 65480};

	established(&setup);
	CHECK(w.tcb.mss == w.cfg.gso_max && w.tcb.mss == 65435);
	w.tcb.snd_wnd = w.tcb.cc.cwnd = 1 << 20;
	send_bytes(3 * 65435);
	CHECK_EQ(seen_count(), 3);
	drop_seen();
}

static void test_tiny_mss_of_the_peer_is_clamped(void)
{
	static const uint16_t sizes[] = {1, 8, 48};
	char source[64];

	for (unsigned i = 0; i < 3; i++) {
		struct setup setup = {.iss = 1, .irs = 2, .ts = true, .mss_peer = sizes[i]};
		established(&setup);
		CHECK(w.tcb.mss >= 24);
		CHECK(largest_segment() <= 536);
		setup.passive = true;
		established(&setup);
		CHECK(w.tcb.mss >= 24);
		drop_seen();
	}
	syn_sent(&plain_setup);
	snprintf(source, sizeof(source), "S. 0:0 ack 1 mss 0");
	inject("%s", source);
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK(w.tcb.mss >= 24);
	drop_seen();
	CHECK(largest_segment() >= 24);
}

static void test_user_mss_limits_both_ways(void)
{
	unsigned events = 0;

	begin_world(&plain_setup);
	tcp_set_mss_user(&w.tcb, 1000);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	expect("S 0:0 mss 1000");
	w.in_tcb = true;
	inject("S. 0:0 ack 1 mss 1460");
	drop_seen();
	CHECK_EQ(largest_segment(), 1000);
}

static void test_syn_offers_everything(void)
{
	struct setup setup = plain_setup;
	unsigned events = 0;

	setup.rcv_buf_max = 16 << 20;
	begin_world(&setup);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	expect("S 0:0 win 65535 mss 1460 wscale 9 sackok ts * 0");
	setup.rcv_buf_max = 60000;
	setup.mss_local = 536;
	begin_world(&setup);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	expect("S 0:0 mss 536 wscale 0 sackok");
	setup.is_v6 = true;
	setup.mss_local = 1440;
	setup.rcv_buf_max = 1 << 30;
	setup.rcv_buf = 1 << 20; /* the shift is bounded by the buffer, too */
	begin_world(&setup);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	expect("S 0:0 mss 1440 wscale 14");
}

static void test_wscale_above_14_counts_as_14(void)
{
	static const uint8_t shifts[] = {15, 31, 255};

	for (unsigned i = 0; i < 6; i++) {
		struct setup setup = {.iss = 1, .irs = 2, .wscale = true};
		setup.wscale_peer = shifts[i % 3];
		setup.passive = i / 3;
		established(&setup);
		CHECK_EQ(w.tcb.snd_wscale, 14);
		CHECK_EQ(counter_read(&w.counters, C_TCP_WSCALE_LARGE), 1);
		inject(". 1:1 ack 1 win 2");
		CHECK_EQ(w.tcb.snd_wnd, 2u << 14);
	}
}

static void test_windows_of_syns_are_not_scaled(void)
{
	struct setup setup = full_setup;

	setup.wnd = 1000;
	setup.wscale_peer = 7;
	syn_sent(&setup);
	char options[100];
	inject("S. 0:0 ack 1 win 1000%s", syn_options(options));
	CHECK_EQ(w.tcb.snd_wnd, 1000);
	inject(". 1:1 ack 1 win 1000");
	CHECK_EQ(w.tcb.snd_wnd, 128000);
	drop_seen();
}

static void test_no_scaling_unless_both_sides_want_it(void)
{
	struct setup setup = {.iss = 1, .irs = 2, .rcv_buf = 200000};

	established(&setup);
	CHECK(!w.tcb.wscale_on);
	inject("P. 1:11 ack 1 win 500 wscale 5"); /* on a later segment: ignored */
	CHECK_EQ(w.tcb.snd_wnd, 500);
	CHECK(!w.tcb.wscale_on);
	advance(US_PER_S);
	const struct text *t = take_seen();
	CHECK(t && t->wnd >= 65000);
	setup.passive = true;
	listen_syn(&setup);
	expect("S. 0:0 ack 1 nowscale nosackok nots");
}

static void test_options_on_any_segment_are_harmless(void)
{
	established(&plain_setup);
	inject("P. 1:11 ack 1 mss 5 wscale 3 sackok");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK_EQ(w.tcb.mss, 1460);
	CHECK(!w.tcb.sack_on);
	inject(". 11:11 ack 1 sack 5:7 9:3");
	CHECK_EQ(w.why, DROP_NONE);
	inject("F. 11:11 ack 1 mss 9");
	CHECK_STATE(TCPS_CLOSE_WAIT);
	inject("R. 12:12 ack 1 mss 9 sackok");
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, EPIPE);
	drop_seen();
}

static void test_no_sack_blocks_without_permission(void)
{
	established(&ts_setup);
	inject(". 101:201 ack 1");
	expect(". 1:1 ack 1 nosack");
}

static void test_sack_blocks_name_the_most_recent_first(void)
{
	struct setup setup = {.iss = 1, .irs = 0xffffff00u, .sack = true};

	established(&setup);
	inject(". 201:301 ack 1");
	expect(". 1:1 ack 1 sack 201:301");
	inject(". 601:701 ack 1");
	expect(". 1:1 ack 1 sack 601:701 201:301");
	inject(". 401:501 ack 1");
	expect(". 1:1 ack 1 sack 401:501 601:701 201:301");
	inject(". 301:401 ack 1"); /* joins two */
	expect(". 1:1 ack 1 sack 201:501 601:701");
	inject(". 801:901 ack 1");
	inject(". 1001:1101 ack 1");
	inject(". 1201:1301 ack 1");
	drop_seen();
	inject(". 1401:1501 ack 1");
	expect(". 1:1 ack 1 sack 1401:1501 1201:1301 1001:1101 801:901");
	inject(". 1:201 ack 1");
	const struct text *t = take_seen();
	CHECK(t && t->ack == w.irs + 501 && t->opt.sack_count == 4);
	CHECK(t && t->opt.sack[0].start == w.irs + 1401);
	inject(". 501:1501 ack 1");
	expect(". 1:1 ack 1501 nosack");
}

static void test_three_blocks_with_timestamps(void)
{
	established(&full_setup);
	for (unsigned i = 1; i < 7; i++) {
		inject(". %u:%u ack 1", 1 + i * 200, 101 + i * 200);
		const struct text *t = take_seen();
		CHECK(t && t->opt.sack_count == (i < 3 ? i : 3));
		CHECK(t && t->opt.sack[0].start == w.irs + 1 + i * 200);
	}
	/* Every ACK bears them while the queue has data: also those with payload. */
	send_bytes(10);
	const struct text *t = take_seen();
	CHECK(t && t->len == 10 && t->opt.sack_count == 3);
}

static void test_segments_with_sack_blocks_stay_within_the_mtu(void)
{
	established(&full_setup);
	for (unsigned i = 1; i < 7; i++)
		inject(". %u:%u ack 1", 1 + i * 200, 101 + i * 200);
	drop_seen();
	send_bytes(30000);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->len + tcp_opts_size(&t->opt) <= 1460);
	end_world();
}

UNIT_MAIN("tcp_options", UNIT(mss_defaults_without_the_option),
	  UNIT(mss_is_the_lesser_less_options), UNIT(mss_is_at_most_a_super_segment),
	  UNIT(tiny_mss_of_the_peer_is_clamped), UNIT(user_mss_limits_both_ways),
	  UNIT(syn_offers_everything), UNIT(wscale_above_14_counts_as_14),
	  UNIT(windows_of_syns_are_not_scaled), UNIT(no_scaling_unless_both_sides_want_it),
	  UNIT(options_on_any_segment_are_harmless), UNIT(no_sack_blocks_without_permission),
	  UNIT(sack_blocks_name_the_most_recent_first), UNIT(three_blocks_with_timestamps),
	  UNIT(segments_with_sack_blocks_stay_within_the_mtu))
