/*
 * CUBIC (RFC 9438): after a reduction cwnd follows W_cubic(t) = C * (t - K)^3 + W_max, a function of
 * time and not of the round-trip time, or Reno's window where that is larger.  Before the first
 * reduction slow start is HyStart++'s (RFC 9406).
 *
 * All windows are bytes, all times microseconds modulo 2^32.  The RFC counts segments and seconds:
 *
 *	W_cubic - W_max = 0.4 * mss * (d / 10^6)^3 = mss * d^3 / (2.5 * 10^18),  d = t - K
 *	K = 10^6 * cbrt((W_max - cwnd_epoch) / mss / 0.4)
 *
 * d stays below D_MAX, 268 s: a longer way to W_max takes a window above CWND_MAX.
 */
#include "net/base/check.h"
#include "net/base/mechanism.h"
#include "net/tcp/hystart.h"
#include <string.h>

/* 0.7, RFC 9438 4.6; alpha is 3 * (1 - beta) / (1 + beta), 4.3. */
enum {
	BETA_NUM = 7,
	BETA_DEN = 10,
	BETA_ECN_PERCENT = 85, /* RFC 8511 3 */
	ALPHA_NUM = 9,
	ALPHA_DEN = 17,
	D_MAX = (1 << 28) - 1,
	T_MAX = 1 << 29, /* later than this changes nothing, and t must not wrap */
};

struct curve {
	uint32_t w_max;
	uint32_t k;
	uint32_t epoch; /* t_epoch, moved on by times in which cwnd did not matter */
	uint32_t w_est; /* 0: no epoch has begun since the last reduction */
	uint32_t cwnd_prior;
};

struct cubic {
	union {
		struct {
			struct curve now;
			struct curve
				undo; /* what it was before the last reduction (RFC 9438 4.9) */
			uint32_t last_ack;  /* up to when 'epoch' was moved on */
			uint32_t est_acked; /* acknowledged since w_est last grew, times alpha */
		};
		struct hystart hystart; /* while ssthresh is unknown */
	};
};

static_assert(sizeof(struct cubic) <= sizeof(uint32_t[TCP_CC_PRIV]), "lies in priv");

static struct cubic *cubic_of(struct tcp_cc *cc)
{
	return (struct cubic *)(void *)cc->priv;
}

static void cubic_init(struct tcp_cc *cc, weft_time_us now)
{
	(void)now;
	memset(cc->priv, 0, sizeof(cc->priv));
	hystart_init(&cubic_of(cc)->hystart);
}

/* ---- The curve. ---- */

/* The largest whole number whose cube is not above 'n'. */
static uint32_t cube_root(uint64_t n)
{
	uint64_t root = 0;

	for (int shift = 63; shift >= 0; shift -= 3) {
		root *= 2;
		uint64_t step = 3 * root * (root + 1) + 1; /* (root + 1)^3 - root^3 */
		if (n >> shift >= step) {
			n -= step << shift;
			root++;
		}
	}
	return (uint32_t)root;
}

/* K for a window that is 'deficit' bytes below W_max. */
static uint32_t k_for(uint32_t deficit, uint32_t mss)
{
	uint64_t n = ((uint64_t)deficit * 5 << 30) / (2 * (uint64_t)mss); /* times 2^30 */
	unsigned scale = 10;

	while (n != 0 && n >> 61 == 0) { /* three bits for n are one for its root */
		n <<= 3;
		scale++;
	}
	uint64_t k = (uint64_t)cube_root(n) * US_PER_S >> scale;
	return k < D_MAX ? (uint32_t)k : D_MAX;
}

/* |W_cubic(t) - W_max| for 'd' = |t - K|. */
static uint64_t cubed(uint32_t d, uint32_t mss)
{
	uint64_t far = d < D_MAX ? d : D_MAX;
	uint64_t cube = (far * far >> 20) * far >> 20; /* us^3 / 2^40, below 2^44 */

	return cube * mss / 2273737; /* 2.5 * 10^18 / 2^40 */
}

/* W_cubic(t), not below 0. */
static uint64_t w_cubic(const struct curve *c, uint32_t t, uint32_t mss)
{
	if (t >= c->k)
		return c->w_max + cubed(t - c->k, mss);
	uint64_t below = cubed(c->k - t, mss);
	return c->w_max > below ? c->w_max - below : 0;
}

/* ---- Growth. ---- */

/* A stage of congestion avoidance begins (RFC 9438 4.2, 4.8, 4.10). */
static void begin_epoch(struct tcp_cc *cc, struct cubic *cu, uint32_t now)
{
	struct curve *c = &cu->now;

	c->epoch = now;
	c->w_est = cc->cwnd;
	if (c->cwnd_prior == 0)
		c->cwnd_prior = cc->cwnd;
	if (c->w_max <= cc->cwnd) { /* after a timeout, or slow start that HyStart++ ended */
		c->w_max = cc->cwnd;
		c->k = 0;
	} else {
		c->k = k_for(c->w_max - cc->cwnd, cc->mss);
	}
	cu->est_acked = 0;
	cc->acked = 0;
}

/* RFC 9438 4.3: what Reno would have, growing by alpha segments in each window. */
static void grow_w_est(const struct tcp_cc *cc, struct cubic *cu, uint32_t acked)
{
	bool caught_up = cu->now.w_est >= cu->now.cwnd_prior && MECHANISM(cubic_alpha);

	uint64_t alpha_num = caught_up ? ALPHA_DEN : ALPHA_NUM;

	cu->est_acked += (uint32_t)((acked * alpha_num + ALPHA_DEN / 2) / ALPHA_DEN);
	if (cu->est_acked > cc->cwnd)
		cu->est_acked = cc->cwnd;
	uint64_t growth = (uint64_t)cu->est_acked * cc->mss / cc->cwnd;
	cu->est_acked -= (uint32_t)(growth * cc->cwnd / cc->mss);
	cu->now.w_est += (uint32_t)growth;
	if (cu->now.w_est > TCP_CC_CWND_MAX)
		cu->now.w_est = TCP_CC_CWND_MAX;
}

/* RFC 9438 4.4 and 4.5: a part of the way to 'target' for each byte acknowledged. */
static void grow_to_target(struct tcp_cc *cc, uint32_t acked, uint64_t target)
{
	uint32_t cwnd = cc->cwnd;

	if (target > cwnd + (uint64_t)cwnd / 2 && MECHANISM(cubic_target_bound))
		target = cwnd + (uint64_t)cwnd / 2;
	cc->acked += acked;
	if (cc->acked > cwnd)
		cc->acked = cwnd;
	if (target <= cwnd)
		return;
	uint64_t way = target - cwnd;
	uint64_t growth = cc->acked * way / cwnd;
	cc->cwnd += (uint32_t)growth;
	cc->acked -= (uint32_t)(growth * cwnd / way);
}

static void avoid_congestion(struct tcp_cc *cc, struct cubic *cu, const struct tcp_cc_ack *ack)
{
	uint32_t now = (uint32_t)ack->now;
	uint32_t rtt = ack->srtt != 0 ? ack->srtt : ack->min_rtt;

	if (cu->now.w_est == 0)
		begin_epoch(cc, cu, now);
	if (now - cu->now.epoch > T_MAX)
		cu->now.epoch = now - T_MAX;
	uint32_t t = now - cu->now.epoch;
	grow_w_est(cc, cu, ack->cum_acked);
	if (w_cubic(&cu->now, t, cc->mss) < cu->now.w_est && MECHANISM(cubic_friendly)) {
		if (cc->cwnd < cu->now.w_est)
			cc->cwnd = cu->now.w_est;
		cc->acked = 0;
	} else {
		grow_to_target(cc, ack->cum_acked,
			       w_cubic(&cu->now, t + (rtt < D_MAX ? rtt : D_MAX), cc->mss));
	}
}

/* Time in which cwnd was not the limit does not count (RFC 9438 4.2, 5.8). */
static void skip_time(struct cubic *cu, uint32_t now)
{
	if (MECHANISM(cubic_skip))
		cu->now.epoch += now - cu->last_ack;
	cu->last_ack = now;
}

static void cubic_on_ack(struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	struct cubic *cu = cubic_of(cc);
	bool grows = ack->cwnd_limited && !ack->in_recovery && !ack->ece;

	if (cc->ssthresh == UINT32_MAX) {
		if (grows)
			hystart_on_ack(&cu->hystart, cc, ack);
		if (cc->ssthresh != UINT32_MAX) /* ended without a loss (RFC 9438 4.10) */
			memset(cc->priv, 0, sizeof(cc->priv));
	} else if (!grows) {
		skip_time(cu, (uint32_t)ack->now);
	} else if (cc->cwnd < cc->ssthresh) {
		skip_time(cu, (uint32_t)ack->now);
		hystart_on_ack(NULL, cc, ack);
	} else {
		avoid_congestion(cc, cu, ack);
		cu->last_ack = (uint32_t)ack->now;
	}
	tcp_cc_clamp(cc);
}

/* ---- Reductions. ---- */

static void cubic_save(struct tcp_cc *cc)
{
	struct cubic *cu = cubic_of(cc);

	if (cc->ssthresh == UINT32_MAX)
		memset(cc->priv, 0, sizeof(cc->priv));
	else
		cu->undo = cu->now;
}

/*
 * What a reduction starts from: cwnd, though less is in flight where the peer's window or the application
 * is the limit, but no more than twice that.  RFC 9438 4.6 leaves the choice to those who do not let
 * cwnd grow meanwhile (cwnd_limited; in slow start it may be twice the flight).  Starting from the flight
 * punishes for the peer's window: it opens with what arrives, and a random loss in the first rounds
 * would cut what the path had just carried.
 */
static uint64_t reduced_from(const struct tcp_cc *cc, uint32_t pipe)
{
	uint64_t most = MECHANISM(cubic_reduces_cwnd) ? 2 * (uint64_t)pipe : pipe;

	return cc->cwnd < most ? cc->cwnd : most;
}

static uint64_t after_loss(uint64_t from)
{
	return from * BETA_NUM / BETA_DEN;
}

static void lower_ssthresh(struct tcp_cc *cc, uint64_t lower)
{
	cc->ssthresh = lower > 2 * cc->mss ? (uint32_t)lower : 2 * cc->mss;
	cc->acked = 0;
}

static void cubic_on_congestion(struct tcp_cc *cc, uint32_t pipe, enum tcp_cc_reason reason,
				weft_time_us now)
{
	struct curve *c = &cubic_of(cc)->now;
	uint64_t cwnd = cc->cwnd;
	uint64_t from = reduced_from(cc, pipe);

	(void)now;
	if (reason == TCP_CC_BOTH) {
		lower_ssthresh(cc, after_loss(cc->ssthresh) * 100 / BETA_ECN_PERCENT);
		return;
	}
	if (cc->ssthresh ==
	    UINT32_MAX) /* marks end the first slow start: HyStart's state was here */
		memset(cc->priv, 0, sizeof(cc->priv));
	c->cwnd_prior = cc->cwnd;
	/* Fast convergence: room for a flow that is new (RFC 9438 4.7). */
	if (cwnd < c->w_max && MECHANISM(cubic_fast_convergence))
		c->w_max = (uint32_t)(cwnd * (BETA_DEN + BETA_NUM) / (2 * BETA_DEN));
	else
		c->w_max = cc->cwnd;
	c->w_est = 0;
	lower_ssthresh(cc, reason == TCP_CC_ECN && MECHANISM(cubic_abe)
				   ? from * BETA_ECN_PERCENT / 100
				   : after_loss(from));
}

/* RFC 9438 4.8: the next stage begins where slow start will end, as if there was no W_max. */
static void cubic_on_rto(struct tcp_cc *cc, uint32_t pipe, bool first, weft_time_us now)
{
	struct curve *c = &cubic_of(cc)->now;

	(void)now;
	if (first || !MECHANISM(cubic_rto_first)) {
		c->cwnd_prior = cc->cwnd;
		lower_ssthresh(cc, after_loss(reduced_from(cc, pipe)));
	}
	c->w_max = 0;
	c->w_est = 0;
	cc->cwnd = cc->mss;
	cc->acked = 0;
}

static void cubic_undo(struct tcp_cc *cc)
{
	struct cubic *cu = cubic_of(cc);

	if (cc->ssthresh == UINT32_MAX)
		cubic_init(cc, 0);
	else
		cu->now = cu->undo;
}

static void cubic_on_idle(struct tcp_cc *cc, weft_time_us idle, weft_time_us now)
{
	(void)idle;
	if (cc->ssthresh != UINT32_MAX)
		skip_time(cubic_of(cc), (uint32_t)now);
}

const struct tcp_cc_ops tcp_cc_cubic = {
	.name = "cubic",
	.init = cubic_init,
	.on_ack = cubic_on_ack,
	.save = cubic_save,
	.on_congestion = cubic_on_congestion,
	.on_rto = cubic_on_rto,
	.undo = cubic_undo,
	.on_idle = cubic_on_idle,
};
