/*
 * HyStart++ (RFC 9406): when slow start slows down and ends, round by round, for both controllers
 * that use it.
 */
#include "ccrun.h"
#include "net/tcp/hystart.h"

enum { MSS = 1460 };

static const struct tcp_cc_ops *const users[] = {&tcp_cc_cubic, &tcp_cc_newreno};

#define FOR_EACH_USER(ops)                                                                         \
	for (const struct tcp_cc_ops *const *u_ = users, *ops = *u_; u_ < users + 2;               \
	     u_++, ops = u_ < users + 2 ? *u_ : ops)

static void test_constant_rtt_doubles_for_ever(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 50000);
		for (unsigned i = 0; i < 10; i++) {
			uint32_t before = r.cc.cwnd;

			ccrun_round(&r);
			CHECK(r.cc.cwnd == 2 * before);
			CHECK(r.cc.ssthresh == UINT32_MAX);
		}
	}
}

/* Thresholds: an eighth of the RTT, within 4 and 16 ms; 'delta' us more in the next round. */
static bool slows_down(const struct tcp_cc_ops *ops, uint32_t rtt, uint32_t delta)
{
	struct ccrun r;

	ccrun_start(&r, ops, MSS, rtt);
	ccrun_rounds(&r, 3);
	r.rtt = rtt + delta;
	ccrun_round(&r);
	uint32_t before = r.cc.cwnd;
	ccrun_round(&r);
	return r.cc.cwnd < 2 * before;
}

static void test_delay_threshold_is_an_eighth_within_bounds(void)
{
	FOR_EACH_USER(ops)
	{
		CHECK(!slows_down(ops, 8000, 3999));
		CHECK(slows_down(ops, 8000, 4000));
		CHECK(!slows_down(ops, 80000, 9999));
		CHECK(slows_down(ops, 80000, 10000));
		CHECK(!slows_down(ops, 500000, 15999));
		CHECK(slows_down(ops, 500000, 16000));
	}
}

static void test_conservative_slow_start_grows_a_quarter_for_five_rounds(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;
		unsigned rounds = 0;

		ccrun_start(&r, ops, MSS, 50000);
		ccrun_rounds(&r, 3);
		r.rtt = 60000;
		ccrun_round(&r); /* begins with the 8th sample: a partial round, which counts */
		while (r.cc.ssthresh == UINT32_MAX && rounds < 10) {
			uint32_t before = r.cc.cwnd;

			ccrun_round(&r);
			rounds++;
			if (r.cc.ssthresh == UINT32_MAX)
				CHECK_NEAR(r.cc.cwnd, before + before / 4, MSS);
		}
		CHECK(rounds == 5); /* the fifth ends with its first ACK */
		/* From here congestion avoidance. */
		uint32_t before = r.cc.cwnd;
		CHECK(r.cc.ssthresh <= r.cc.cwnd);
		ccrun_round(&r);
		CHECK(r.cc.cwnd - before <= 2 * MSS);
	}
}

static void test_falling_rtt_resumes_slow_start(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 50000);
		ccrun_rounds(&r, 3);
		r.rtt = 60000;
		ccrun_rounds(&r, 2);
		r.rtt = 52000;
		ccrun_round(&r);
		uint32_t before = r.cc.cwnd;
		ccrun_rounds(&r, 6);
		CHECK_NEAR(r.cc.cwnd, 64 * before, 64 * MSS);
		CHECK(r.cc.ssthresh == UINT32_MAX);
	}
}

static void test_rounds_with_few_samples_do_not_count(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 50000);
		for (unsigned i = 0; i < 12; i++) {    /* more than conservative slow start has */
			r.per_ack = r.cc.cwnd / 7 + 1; /* seven ACKs a round */
			r.rtt += 20000;
			ccrun_round(&r);
		}
		CHECK(r.cc.ssthresh == UINT32_MAX);
	}
}

static void test_acks_without_rtt_do_not_count(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 0);
		ccrun_rounds(&r, 6);
		CHECK(r.cc.ssthresh == UINT32_MAX);
		CHECK(r.cc.cwnd == 10 * MSS * 64);
	}
}

/* L = 45 for each ACK, what receive offload makes one of; beyond that one is worth half of itself. */
static void test_one_ack_is_worth_64_kib_or_half(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;
		uint32_t before;

		ccrun_start(&r, ops, MSS, 50000);
		before = r.cc.cwnd;
		ccrun_ack(&r, 45 * MSS);
		CHECK(r.cc.cwnd - before == 45 * MSS);
		before = r.cc.cwnd;
		ccrun_ack(&r, 46 * MSS);
		CHECK(r.cc.cwnd - before == 45 * MSS);
		before = r.cc.cwnd;
		ccrun_ack(&r, 100 * MSS);
		CHECK(r.cc.cwnd - before == 50 * MSS);
	}
}

/*
 * The last ACKs of a batch find everything acknowledged, for output comes behind it: no round begins
 * there, or conservative slow start would be over in half the time.
 */
static void test_round_begins_with_data_in_flight(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;
		struct hystart hs;

		ccrun_start(&r, ops, MSS, 50000);
		hystart_init(&hs);
		r.last = (struct tcp_cc_ack){
			.now = r.now, .cum_acked = MSS, .rtt = 50000, .snd_una = 9, .snd_nxt = 9};
		hystart_on_ack(&hs, &r.cc, &r.last);
		CHECK(!hs.has_round);
		r.last.snd_nxt = 99;
		hystart_on_ack(&hs, &r.cc, &r.last);
		CHECK(hs.has_round && hs.window_end == 99);
		r.last.snd_una = 99;
		hystart_on_ack(&hs, &r.cc, &r.last);
		CHECK(hs.rtt_sample_count == 2);
	}
}

static void test_slow_start_after_a_timeout_is_plain(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 50000);
		ccrun_rounds(&r, 5);
		tcp_cc_timeout(&r.cc, r.cc.cwnd, true, r.now);
		uint32_t ssthresh = r.cc.ssthresh;
		CHECK(r.cc.cwnd == MSS);
		for (unsigned i = 0; i < 5; i++) {
			uint32_t before = r.cc.cwnd;

			r.rtt += 20000;
			ccrun_round(&r);
			CHECK(r.cc.cwnd == 2 * before);
		}
		CHECK(r.cc.ssthresh == ssthresh);
		uint32_t before = r.cc.cwnd;
		ccrun_ack(&r, 2 * MSS); /* L = 1 */
		CHECK(r.cc.cwnd - before == MSS);
	}
}

static void test_undo_of_the_first_loss_goes_on_with_slow_start(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 50000);
		ccrun_rounds(&r, 3);
		uint32_t before = r.cc.cwnd;
		ccrun_loss(&r);
		CHECK(r.cc.cwnd < before);
		tcp_cc_undo(&r.cc);
		CHECK(r.cc.cwnd == before);
		CHECK(r.cc.ssthresh == UINT32_MAX);
		ccrun_round(&r);
		CHECK(r.cc.cwnd == 2 * before);
		r.rtt = 70000;
		ccrun_rounds(&r, 6);
		CHECK(r.cc.ssthresh != UINT32_MAX);
	}
}

/* The last step of slow start ends at ssthresh, not a window above it. */
static void test_slow_start_does_not_overshoot(void)
{
	FOR_EACH_USER(ops)
	{
		struct ccrun r;

		ccrun_start(&r, ops, MSS, 50000);
		r.cc.ssthresh = r.cc.cwnd + 2 * MSS;
		r.per_ack = 5 * MSS;
		ccrun_ack(&r, 5 * MSS);
		CHECK(r.cc.cwnd == r.cc.ssthresh);
	}
}

UNIT_MAIN("hystart", UNIT(constant_rtt_doubles_for_ever),
	  UNIT(delay_threshold_is_an_eighth_within_bounds),
	  UNIT(conservative_slow_start_grows_a_quarter_for_five_rounds),
	  UNIT(falling_rtt_resumes_slow_start), UNIT(rounds_with_few_samples_do_not_count),
	  UNIT(acks_without_rtt_do_not_count), UNIT(one_ack_is_worth_64_kib_or_half),
	  UNIT(round_begins_with_data_in_flight), UNIT(slow_start_after_a_timeout_is_plain),
	  UNIT(undo_of_the_first_loss_goes_on_with_slow_start), UNIT(slow_start_does_not_overshoot))
