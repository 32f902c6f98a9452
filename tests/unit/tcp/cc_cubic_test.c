/*
 * CUBIC (RFC 9438) against a model of the RFC's equations in floating point, segments and seconds;
 * and the rules around the curve: reductions, fast convergence, Reno's region, time that does not
 * count, undo, timeouts.
 */
#include "ccrun.h"

enum { MSS = 1460 };

static const double C = 0.4, BETA = 0.7, ALPHA = 9.0 / 17.0;

static double cube_root(double x)
{
	double y = x > 1 ? x : 1;

	for (unsigned i = 0; i < 200; i++)
		y = (2 * y + x / (y * y)) / 3;
	return x > 0 ? y : 0;
}

/* One flow as the RFC writes it. */
struct model {
	double w_max, k, w_est, cwnd_prior, cwnd;
	double epoch; /* seconds */
};

static void model_begin(struct model *m, double w_max, double cwnd, double now)
{
	*m = (struct model){.w_max = w_max, .cwnd = cwnd, .w_est = cwnd, .cwnd_prior = w_max};
	m->epoch = now;
	if (cwnd >= w_max)
		m->w_max = cwnd;
	m->k = cube_root((m->w_max - cwnd) / C);
}

static double model_w_cubic(const struct model *m, double t)
{
	double d = t - m->k;

	return C * d * d * d + m->w_max;
}

/* One segment is acknowledged. */
static void model_ack(struct model *m, double now, double rtt)
{
	double t = now - m->epoch;

	m->w_est += (m->w_est >= m->cwnd_prior ? 1 : ALPHA) / m->cwnd;
	if (model_w_cubic(m, t) < m->w_est) {
		if (m->cwnd < m->w_est)
			m->cwnd = m->w_est;
		return;
	}
	double target = model_w_cubic(m, t + rtt);
	if (target < m->cwnd)
		target = m->cwnd;
	if (target > 1.5 * m->cwnd)
		target = 1.5 * m->cwnd;
	m->cwnd += (target - m->cwnd) / m->cwnd;
}

/* A flow in congestion avoidance after a loss at 'segments'. */
static void after_loss(struct ccrun *r, struct model *m, double segments, uint32_t rtt)
{
	ccrun_start(r, &tcp_cc_cubic, MSS, rtt);
	r->cc.cwnd = (uint32_t)(segments * MSS);
	ccrun_loss(r);
	model_begin(m, segments, (double)r->cc.cwnd / MSS, 0);
}

/* Both through 'seconds'; the windows must agree within 'tolerance' segments all the time. */
static void compare(struct ccrun *r, struct model *m, double seconds, double tolerance)
{
	weft_time_us end = r->now + (weft_time_us)(seconds * 1e6), start = 0;
	double worst = 0;

	while (r->now < end) {
		uint32_t acks = (r->cc.cwnd + MSS - 1) / MSS;
		weft_time_us from = r->now;

		for (uint32_t i = 1; i <= acks; i++) {
			r->now = from + (weft_time_us)r->rtt * i / acks;
			if (start == 0) /* the epoch begins with its first ACK */
				start = r->now;
			ccrun_ack(r, MSS);
			model_ack(m, (double)(r->now - start) / 1e6, r->rtt / 1e6);
			double off = (double)r->cc.cwnd / MSS - m->cwnd;
			worst = off > worst ? off : -off > worst ? -off : worst;
		}
	}
	if (worst > tolerance)
		printf("\n    rtt %u: off by %g segments at %g", r->rtt, worst, m->cwnd);
	CHECK(worst <= tolerance);
}

static void test_window_follows_the_curve(void)
{
	static const struct {
		double segments, seconds;
		uint32_t rtt;
	} cases[] = {
		{1000, 20, 100000}, {1000, 15, 20000},    {10000, 30, 200000}, {200, 12, 50000},
		{50, 6, 100000},    {100000, 60, 400000}, {30, 30, 1000000},   {2000, 40, 2000000},
		{10, 20, 2000000}, /* the curve more than doubles within a round trip */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ccrun r;
		struct model m;

		after_loss(&r, &m, cases[i].segments, cases[i].rtt);
		CHECK_NEAR(r.cc.cwnd, cases[i].segments * BETA * MSS, 1);
		compare(&r, &m, cases[i].seconds, 1 + m.w_max / 5000);
	}
}

static void test_reno_region_on_short_paths(void)
{
	struct ccrun r;
	struct model m;

	after_loss(&r, &m, 100, 1000);
	compare(&r, &m, 0.5, 2);
	CHECK(m.cwnd > 101); /* far beyond the curve */
	after_loss(&r, &m, 40, 50);
	compare(&r, &m, 0.01, 2);
	CHECK(m.cwnd > 41);
}

static void test_reno_region_grows_by_one_segment_once_it_caught_up(void)
{
	struct ccrun r;
	struct model m;

	after_loss(&r, &m, 100, 1000);
	while (r.cc.cwnd < 100 * MSS)
		ccrun_round(&r);
	uint32_t before = r.cc.cwnd;
	ccrun_rounds(&r, 10);
	CHECK_NEAR(r.cc.cwnd, before + 10 * MSS, MSS);
	/* Before that alpha, 9/17, of a segment. */
	after_loss(&r, &m, 100, 1000);
	before = r.cc.cwnd;
	ccrun_rounds(&r, 34);
	CHECK_NEAR(r.cc.cwnd, before + 18 * MSS, MSS);
}

static void test_plateau_is_reached_after_k(void)
{
	struct ccrun r;
	struct model m;
	weft_time_us start;

	after_loss(&r, &m, 1000, 100000); /* K = cbrt(300 / 0.4) = 9.086 s */
	CHECK_NEAR(m.k, 9.086, 0.001);
	start = r.now;
	while (r.now - start < 9086000)
		ccrun_round(&r);
	CHECK_NEAR(r.cc.cwnd, 1000 * MSS, 2 * MSS);
}

static void test_fast_convergence(void)
{
	struct ccrun r;
	struct model m;

	after_loss(&r, &m, 1000, 100000);
	/* A second loss at 800 segments, below W_max: the new W_max is 800 * 0.85. */
	r.cc.cwnd = 800 * MSS;
	ccrun_loss(&r);
	CHECK_NEAR(r.cc.cwnd, 560 * MSS, 1);
	model_begin(&m, 680, 560, 0);
	m.cwnd_prior = 800;
	compare(&r, &m, 10, 1);
	/* Above W_max there is none. */
	r.cc.cwnd = 900 * MSS;
	ccrun_loss(&r);
	model_begin(&m, 900, 630, 0);
	compare(&r, &m, 10, 1);
}

/* RFC 9438 4.6: of cwnd, where the peer's window let less into flight, but not of what was long ago. */
static void test_reduction_is_of_cwnd_up_to_twice_the_flight(void)
{
	struct ccrun r;

	ccrun_start(&r, &tcp_cc_cubic, MSS, 50000);
	r.cc.cwnd = 200 * MSS;
	tcp_cc_congestion(&r.cc, 120 * MSS, TCP_CC_LOSS, r.now);
	CHECK(r.cc.ssthresh == 140 * MSS);
	tcp_cc_congestion(&r.cc, 60 * MSS, TCP_CC_LOSS, r.now);
	CHECK(r.cc.ssthresh == 84 * MSS);
	tcp_cc_congestion(&r.cc, 100, TCP_CC_LOSS, r.now);
	CHECK(r.cc.ssthresh == 2 * MSS);
	tcp_cc_timeout(&r.cc, 120 * MSS, true, r.now);
	CHECK(r.cc.ssthresh == 140 * MSS);
}

/* SACKed data behind a hole is outstanding too: a multiple of cwnd in a long recovery. */
static void test_reduction_is_of_cwnd_at_most(void)
{
	struct ccrun r;

	ccrun_start(&r, &tcp_cc_cubic, MSS, 50000);
	r.cc.cwnd = 100 * MSS;
	tcp_cc_congestion(&r.cc, 250 * MSS, TCP_CC_LOSS, r.now);
	CHECK(r.cc.ssthresh == 70 * MSS);
	tcp_cc_timeout(&r.cc, 250 * MSS, true, r.now);
	CHECK(r.cc.ssthresh == 70 * MSS);
}

/* ABE: 0.85 instead of 0.7. */
static void test_marks_reduce_less_than_losses(void)
{
	struct ccrun r;

	ccrun_start(&r, &tcp_cc_cubic, MSS, 50000);
	r.cc.cwnd = 100 * MSS;
	tcp_cc_congestion(&r.cc, 100 * MSS, TCP_CC_ECN, r.now);
	CHECK(r.cc.ssthresh == 85 * MSS);
	r.cc.cwnd = 85 * MSS;
	tcp_cc_undo(&r.cc); /* a mark is not spurious */
	CHECK(r.cc.cwnd == 85 * MSS);
}

/* RFC 9438 4.2, 5.8: 60 s of which the flow used little do not count. */
static void test_time_without_need_for_cwnd_does_not_count(void)
{
	for (unsigned idle = 0; idle < 2; idle++) {
		struct ccrun r, same;

		struct model m;
		after_loss(&r, &m, 1000, 100000);
		ccrun_rounds(&r, 30);
		same = r;
		if (idle) {
			r.now += 60 * US_PER_S;
			r.cc.ops->on_idle(&r.cc, 60 * US_PER_S, r.now);
		} else {
			r.limited = false;
			ccrun_rounds(&r, 600);
			r.limited = true;
			CHECK(r.cc.cwnd == same.cc.cwnd);
		}
		ccrun_rounds(&r, 10);
		ccrun_rounds(&same, 10);
		CHECK_NEAR(r.cc.cwnd, same.cc.cwnd, MSS);
	}
}

static void test_timeout_begins_a_new_curve_at_ssthresh(void)
{
	struct ccrun r;
	struct model m;

	after_loss(&r, &m, 1000, 50000);
	ccrun_rounds(&r, 20);
	uint32_t flight = r.cc.cwnd;
	tcp_cc_timeout(&r.cc, flight, true, r.now);
	CHECK(r.cc.cwnd == MSS);
	CHECK_NEAR(r.cc.ssthresh, flight * BETA, 1);
	uint32_t ssthresh = r.cc.ssthresh;
	tcp_cc_timeout(&r.cc, MSS, false, r.now);
	CHECK(r.cc.ssthresh == ssthresh); /* once for a segment */
	while (r.cc.cwnd < ssthresh)
		ccrun_ack(&r, MSS);
	/* K = 0 and W_max = cwnd: convex from the start. */
	model_begin(&m, 0, (double)r.cc.cwnd / MSS, 0);
	m.cwnd_prior = (double)flight / MSS;
	compare(&r, &m, 5, 1);
}

static void test_slow_start_that_ended_without_loss_has_no_plateau(void)
{
	struct ccrun r;
	struct model m;

	ccrun_start(&r, &tcp_cc_cubic, MSS, 50000);
	ccrun_rounds(&r, 4);
	while (r.cc.ssthresh == UINT32_MAX) {
		r.rtt = 70000;
		ccrun_ack(&r, MSS);
		r.now += 100;
	}
	model_begin(&m, 0, (double)r.cc.cwnd / MSS, 0);
	compare(&r, &m, 5, 1);
}

static void test_undo_goes_back_to_the_curve(void)
{
	for (unsigned rto = 0; rto < 2; rto++) {
		struct ccrun r, same;

		struct model m;
		after_loss(&r, &m, 1000, 100000);
		ccrun_rounds(&r, 30);
		same = r;
		if (rto) {
			tcp_cc_timeout(&r.cc, r.cc.cwnd, true, r.now);
			ccrun_ack(&r, MSS);
		} else {
			ccrun_loss(&r);
			ccrun_rounds(&r, 2);
			same.now = r.now;
		}
		CHECK(r.cc.cwnd < same.cc.cwnd);
		tcp_cc_undo(&r.cc);
		CHECK(r.cc.cwnd == same.cc.cwnd);
		CHECK(r.cc.ssthresh == same.cc.ssthresh);
		ccrun_rounds(&r, 40);
		ccrun_rounds(&same, 40);
		CHECK_NEAR(r.cc.cwnd, same.cc.cwnd, 2 * MSS);
		tcp_cc_undo(&r.cc); /* nothing is left to undo */
		CHECK_NEAR(r.cc.cwnd, same.cc.cwnd, 2 * MSS);
	}
}

static void test_second_reduction_is_undone_to_before_the_first(void)
{
	struct ccrun r;
	struct model m;

	after_loss(&r, &m, 1000, 100000);
	ccrun_rounds(&r, 30);
	uint32_t before = r.cc.cwnd;
	tcp_cc_congestion(&r.cc, before, TCP_CC_LOSS, r.now);
	r.cc.cwnd = r.cc.ssthresh;
	tcp_cc_timeout(&r.cc, r.cc.cwnd, true, r.now); /* in the same episode */
	tcp_cc_undo(&r.cc);
	CHECK(r.cc.cwnd == before);
}

/* A mark within an episode: that one stays, the next can be undone again. */
static void test_mark_in_an_episode_ends_with_it(void)
{
	struct ccrun r;
	struct model m;

	after_loss(&r, &m, 1000, 100000);
	ccrun_rounds(&r, 30);
	tcp_cc_congestion(&r.cc, r.cc.cwnd, TCP_CC_LOSS, r.now);
	tcp_cc_congestion(&r.cc, r.cc.cwnd, TCP_CC_ECN, r.now);
	uint32_t ssthresh = r.cc.ssthresh;
	r.cc.cwnd = ssthresh;
	tcp_cc_undo(&r.cc);
	CHECK(r.cc.cwnd == ssthresh && r.cc.ssthresh == ssthresh);
	tcp_cc_timeout(&r.cc, r.cc.cwnd, true, r.now);
	CHECK(r.cc.cwnd == MSS);
	tcp_cc_undo(&r.cc);
	CHECK(r.cc.cwnd == ssthresh && r.cc.ssthresh == ssthresh);
}

static void test_window_does_not_grow_in_recovery(void)
{
	struct ccrun r;
	struct tcp_cc_ack ack;
	struct model m;

	after_loss(&r, &m, 1000, 100000);
	ccrun_rounds(&r, 10);
	ack = r.last;
	ack.in_recovery = true;
	uint32_t before = r.cc.cwnd;
	for (unsigned i = 0; i < 1000; i++) {
		ack.now += 1000;
		r.cc.ops->on_ack(&r.cc, &ack);
	}
	CHECK(r.cc.cwnd == before);
}

static void test_window_has_a_greatest_size(void)
{
	struct ccrun r;

	ccrun_start(&r, &tcp_cc_cubic, MSS, 1000000);
	r.cc.cwnd = TCP_CC_CWND_MAX - MSS;
	r.cc.ssthresh = MSS;
	for (unsigned i = 0; i < 2000; i++) {
		r.now += 1000000;
		ccrun_ack(&r, 1 << 20);
		CHECK(r.cc.cwnd <= TCP_CC_CWND_MAX);
	}
	CHECK(r.cc.cwnd == TCP_CC_CWND_MAX);
	ccrun_start(&r, &tcp_cc_cubic, MSS, 1000000);
	for (unsigned i = 0; i < 30; i++)
		ccrun_ack(&r, 1 << 30);
	CHECK(r.cc.cwnd == TCP_CC_CWND_MAX);
}

/* Hours at a full window: the clock of 32 bits comes round, the window must not care. */
static void test_hours_without_loss(void)
{
	struct ccrun r;
	struct model m;
	uint32_t before = 0;

	after_loss(&r, &m, 1000, 100000);
	r.per_ack = 1 << 20;
	for (unsigned i = 0; i < 3 * 3600 * 10; i++) {
		r.now += 100000;
		ccrun_ack(&r, 64 * MSS);
		CHECK(r.cc.cwnd >= before);
		before = r.cc.cwnd;
	}
}

static void test_names(void)
{
	CHECK(tcp_cc_get((unsigned)tcp_cc_find("cubic", 5)) == &tcp_cc_cubic);
	CHECK(tcp_cc_get((unsigned)tcp_cc_find("reno", 4)) == &tcp_cc_newreno);
	CHECK(tcp_cc_find("ren", 3) == -1);
	CHECK(tcp_cc_find("renox", 5) == -1);
	CHECK(tcp_cc_find("", 0) == -1);
	CHECK(tcp_cc_find("cubiccubiccubiccubic", 20) == -1);
}

UNIT_MAIN("cc_cubic", UNIT(window_follows_the_curve), UNIT(reno_region_on_short_paths),
	  UNIT(reno_region_grows_by_one_segment_once_it_caught_up),
	  UNIT(plateau_is_reached_after_k), UNIT(fast_convergence),
	  UNIT(reduction_is_of_cwnd_up_to_twice_the_flight), UNIT(reduction_is_of_cwnd_at_most),
	  UNIT(marks_reduce_less_than_losses), UNIT(time_without_need_for_cwnd_does_not_count),
	  UNIT(timeout_begins_a_new_curve_at_ssthresh),
	  UNIT(slow_start_that_ended_without_loss_has_no_plateau),
	  UNIT(undo_goes_back_to_the_curve), UNIT(second_reduction_is_undone_to_before_the_first),
	  UNIT(mark_in_an_episode_ends_with_it), UNIT(window_does_not_grow_in_recovery),
	  UNIT(window_has_a_greatest_size), UNIT(hours_without_loss), UNIT(names))
