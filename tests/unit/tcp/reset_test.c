/*
 * Resets (RFC 9293 3.5.2, 3.5.3, 3.10.7.1; RFC 5961 3 and 4): where a RST is taken, challenged or
 * dropped, in every state; SYNs in synchronized states; the RST that answers strays; rate limits.
 */
#include "script_open.h"

/* As Linux: behind the peer's FIN only the way out is lost. */
static int error_of(enum tcp_state state)
{
	if (state == TCPS_CLOSE_WAIT)
		return EPIPE;
	return state == TCPS_CLOSING || state == TCPS_LAST_ACK ? 0 : ECONNRESET;
}

static void exact(const struct reach *r)
{
	inject("R %u:%u", r->rcv_nxt, r->rcv_nxt);
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_CLOSED);
	CHECK_EQ(w.tcb.error, error_of(r->state));
	expect_none();
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
}

static void test_exact_reset_closes(void)
{
	for_each_state(exact);
}

static void exact_with_ack_and_data(const struct reach *r)
{
	inject("R. %u:%u ack %u", r->rcv_nxt, r->rcv_nxt + 20, r->snd_nxt);
	CHECK_STATE(TCPS_CLOSED);
	expect_none();
}

static void test_reset_with_data_closes(void)
{
	for_each_state(exact_with_ack_and_data);
}

static void in_window(const struct reach *r)
{
	static const unsigned offsets[] = {1, 2, 1000, 65000};

	for (unsigned i = 0; i < 4; i++) {
		inject("R %u:%u", r->rcv_nxt + offsets[i], r->rcv_nxt + offsets[i]);
		CHECK_EQ(w.why, DROP_TCP_RST_CHALLENGE);
		expect(". %u:%u ack %u", r->snd_nxt, r->snd_nxt, r->rcv_nxt);
		expect_none();
		CHECK_STATE(r->state);
	}
	inject("R %u:%u", r->rcv_nxt, r->rcv_nxt); /* the honest peer's answer */
	CHECK_STATE(TCPS_CLOSED);
}

static void test_reset_in_window_is_challenged(void)
{
	for_each_state(in_window);
}

static void out_of_window(const struct reach *r)
{
	static const int offsets[] = {-1, -2, -70000, 66000, 1000000, 0x7fffff00};

	for (unsigned i = 0; i < 6; i++) {
		inject("R %d:%d", (int)r->rcv_nxt + offsets[i], (int)r->rcv_nxt + offsets[i]);
		CHECK_EQ(w.why, DROP_TCP_RST_OUT_OF_WINDOW);
		expect_none();
		CHECK_STATE(r->state);
	}
}

static void test_reset_outside_the_window_is_dropped(void)
{
	for_each_state(out_of_window);
}

static void syn_challenged(const struct reach *r)
{
	static const int seqs[] = {0, 1, 2, 100, -1000, 1000000};

	for (unsigned i = 0; i < 6; i++) {
		inject("S %d:%d mss 1460", seqs[i], seqs[i]);
		CHECK_EQ(w.why, DROP_TCP_SYN_CHALLENGE);
		expect(". %u:%u ack %u", r->snd_nxt, r->snd_nxt, r->rcv_nxt);
		expect_none();
		CHECK_STATE(r->state);
	}
	CHECK(counter_read(&w.counters, C_TCP_CHALLENGE_ACK) >= 6);
}

static void test_syn_in_synchronized_state_is_challenged(void)
{
	for_each_state(syn_challenged);
}

static void challenge_flood(const struct reach *r)
{
	unsigned answers = 0;

	for (unsigned i = 0; i < 100; i++) {
		inject("R %u:%u", r->rcv_nxt + 5, r->rcv_nxt + 5);
		answers += seen_count();
		drop_seen();
		if (i % 2)
			inject("S 0:0");
		answers += seen_count();
		drop_seen();
	}
	CHECK(answers >= 1 && answers <= 10);
	CHECK(counter_read(&w.counters, C_TCP_CHALLENGE_LIMIT) >= 100);
	CHECK_STATE(r->state);
	/* In the next interval it answers again. */
	advance(6 * US_PER_S);
	drop_seen();
	inject("R %u:%u", r->rcv_nxt + 5, r->rcv_nxt + 5);
	CHECK_EQ(seen_count(), 1);
}

static void test_challenges_are_limited(void)
{
	for_each_state(challenge_flood);
}

/* Answers to 100 RSTs of one interval, on connection number 'which' of its kind. */
static unsigned challenges_of(unsigned which, unsigned interval)
{
	const struct setup setup = {.iss = 1000 + which * 77777, .irs = 5000000};
	unsigned answers = 0;

	established(&setup);
	for (unsigned i = 0; i <= interval; i++) {
		answers = 0;
		for (unsigned n = 0; n < 100; n++) {
			inject("R 6:6");
			answers += seen_count();
			drop_seen();
		}
		advance(6 * US_PER_S);
	}
	return answers;
}

/* CVE-2016-5696: the limit is the connection's own, and no constant. */
static void test_challenge_limit_cannot_be_foretold(void)
{
	unsigned connections = 0, intervals = 0;

	for (unsigned i = 0; i < 40; i++) {
		unsigned a = challenges_of(i, 0), b = challenges_of(0, i);

		CHECK(a >= 5 && a <= 10);
		CHECK(b >= 5 && b <= 10);
		connections |= 1u << a;
		intervals |= 1u << b;
	}
	CHECK_EQ(connections, 0x7e0); /* each of 5 to 10 came up */
	CHECK_EQ(intervals, 0x7e0);
	end_world();
}

static void strays(const struct reach *r)
{
	struct prng p;
	char source[TEXT_MAX];

	/* EV-STATE-1: no segment but a RST ends a synchronized connection, none gets a RST. */
	prng_init(&p, 7 + (uint64_t)r->state);
	for (unsigned i = 0; i < 2000; i++) {
		int seq = (int)prng_u64(&p), len = (int)prng_below(&p, 1400);
		if (seq - 1 < 200000 && seq > -1)
			seq -= 500000; /* data in the window would be taken */
		uint8_t flags = (uint8_t)(prng_u64(&p) & ~(unsigned)TCP_RST);
		snprintf(source, sizeof(source), "%s%s. %d:%d ack %d", flags & TCP_FIN ? "F" : "",
			 flags & TCP_SYN ? "S" : "", seq, seq + len, (int)r->snd_nxt);
		inject("%s", source);
		for (const struct text *t; (t = take_seen()) != NULL;)
			CHECK(!(t->flags & TCP_RST));
		advance(US_PER_MS);
	}
}

static void test_strays_never_get_a_reset_in_synchronized_states(void)
{
	for_each_state(strays);
}

static void test_reset_with_zero_window(void)
{
	struct setup setup = plain_setup;

	setup.rcv_buf = 3000;
	established(&setup);
	for (unsigned i = 0; i < 3; i++)
		inject(". %u:%u ack 1", 1 + i * 1000, 1001 + i * 1000);
	advance(US_PER_S);
	drop_seen();
	CHECK_EQ(w.tcb.rcv_adv, w.tcb.rcv_nxt);
	inject("R 3002:3002");
	CHECK_STATE(TCPS_ESTABLISHED);
	drop_seen();
	inject("R 3001:3001");
	CHECK_STATE(TCPS_CLOSED);
	CHECK_EQ(w.tcb.error, ECONNRESET);
}

static void test_data_before_the_reset_can_be_read(void)
{
	established(&plain_setup);
	inject("P. 1:5 ack 1");
	drop_seen();
	inject("R 5:5");
	CHECK_STATE(TCPS_CLOSED);
	CHECK(w.events & TCP_EV_READABLE);
	CHECK_EQ(recv_bytes(100), 4);
	CHECK_EQ(w.tcb.error, ECONNRESET);
}

static void test_reset_is_not_checked_by_paws(void)
{
	established(&ts_setup);
	inject("P. 1:5 ack 1 ts 9000000 0");
	drop_seen();
	inject("R 5:5 ts 1 0");
	CHECK_STATE(TCPS_CLOSED);
}

/* ---- The RST that answers a segment for no connection. ---- */

static bool reset_for(const char *source, struct tcp_seg_out *out)
{
	begin_world(&plain_setup);
	struct tcp_seg seg = make_seg(source);
	memset(out, 0xee, sizeof(*out));
	bool answer = tcp_reset_for(&seg, out);
	buf_put(&seg.buf);
	return answer;
}

static void test_reset_for_segment_without_ack(void)
{
	struct tcp_seg_out out;

	CHECK(reset_for("S 0:0 mss 1460", &out));
	CHECK_EQ(out.flags, TCP_RST | TCP_ACK);
	CHECK_EQ(out.seq, 0);
	CHECK_EQ(out.ack, w.irs + 1);
	CHECK_EQ(out.len, 0);
	CHECK_EQ(out.view_count, 0);
	CHECK_EQ(tcp_opts_size(&out.opt), 0);
	CHECK(reset_for("S 0:10", &out));
	CHECK_EQ(out.ack, w.irs + 11);
	CHECK(reset_for("SF 0:10", &out));
	CHECK_EQ(out.ack, w.irs + 12);
	CHECK(reset_for("F 0:0", &out));
	CHECK_EQ(out.ack, w.irs + 1);
	CHECK(reset_for("- 7:9", &out));
	CHECK_EQ(out.ack, w.irs + 9);
}

/* RFC 7323 5.2: the peer sees which of its segments was meant; we have no clock for this flow. */
static void test_reset_echoes_the_timestamp(void)
{
	struct tcp_seg_out out;

	CHECK(reset_for(". 7:9 ack 5 ts 1234 99", &out));
	CHECK(out.opt.has_ts);
	CHECK_EQ(out.opt.ts_val, 0);
	CHECK_EQ(out.opt.ts_ecr, 1234);
	CHECK_EQ(tcp_opts_size(&out.opt), 12);
}

static void test_reset_for_segment_with_ack(void)
{
	struct tcp_seg_out out;

	CHECK(reset_for(". 5:5 ack 77", &out));
	CHECK_EQ(out.flags, TCP_RST);
	CHECK_EQ(out.seq, w.iss + 77);
	CHECK(reset_for("SP. 5:105 ack 99", &out));
	CHECK_EQ(out.flags, TCP_RST);
	CHECK_EQ(out.seq, w.iss + 99);
}

static void test_no_reset_for_a_reset(void)
{
	struct tcp_seg_out out;

	CHECK(!reset_for("R 5:5", &out));
	CHECK(!reset_for("R. 5:5 ack 1", &out));
	CHECK(!reset_for("SR 5:5", &out));
	end_world();
}

/* What came out of order is no matter of a connection that ends. */
static void test_reset_has_no_sack_blocks(void)
{
	established(&full_setup);
	inject(". 101:201 ack 1");
	expect(". 1:1 ack 1 sack 101:201");
	abort_app(0);
	expect("R. 1:1 ack 1 ts * * nosack");
	expect_none();
	end_world();
}

UNIT_MAIN("tcp_reset", UNIT(exact_reset_closes), UNIT(reset_with_data_closes),
	  UNIT(reset_in_window_is_challenged), UNIT(reset_outside_the_window_is_dropped),
	  UNIT(syn_in_synchronized_state_is_challenged), UNIT(challenges_are_limited),
	  UNIT(challenge_limit_cannot_be_foretold),
	  UNIT(strays_never_get_a_reset_in_synchronized_states), UNIT(reset_with_zero_window),
	  UNIT(data_before_the_reset_can_be_read), UNIT(reset_is_not_checked_by_paws),
	  UNIT(reset_for_segment_without_ack), UNIT(reset_for_segment_with_ack),
	  UNIT(reset_echoes_the_timestamp), UNIT(no_reset_for_a_reset),
	  UNIT(reset_has_no_sack_blocks))
