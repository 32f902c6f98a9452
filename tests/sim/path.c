/*
 * What the path of a connection does besides losing packets: it marks and bleaches them (RFC 3168),
 * takes the offer of SACK from SYNs, and no packet above an MTU that may change.  And what its two ends
 * do about congestion, ECN, MTUs and fast open, and how much of their CPUs they get.  All of it chosen
 * by the seed, from numbers of its own.
 */
#include "net/wire/ip.h"
#include "sim.h"

enum {
	HDRS_V4 = 40,
	HDRS_V6 = 60,
	MTU_LINK = 1500,
	MTU_MIN_V4 = 552,
	MTU_MIN_V6 = 1280,
	MTU_HOLE_V4 = 576,
	/* what a black hole of IPv4 takes at least (RFC 791 3.1) */
	AWAY_MAX = 64, /* times as long as here: small reads would take hours */
};

uint16_t path_mss(const struct sim_end *from, uint16_t mtu)
{
	return (uint16_t)(mtu - (from->params.is_v6 ? HDRS_V6 : HDRS_V4));
}

uint16_t path_mtu(const struct sim_end *from)
{
	const struct sim_link *l = &from->out;
	uint16_t mtu = 0;

	for (unsigned i = 0; i < l->mtus && l->mtu[i].at <= from->sim->now; i++)
		mtu = l->mtu[i].mtu;
	return mtu;
}

void path_mark(struct sim_end *from, struct tcp_seg *seg, const struct sim_fate *fate)
{
	const struct sim_link *l = &from->out;

	if (l->bleaches)
		seg->ecn = IP_ECN_NOT_ECT;
	if (seg->ecn == IP_ECN_NOT_ECT)
		return;
	if (fate->mark ||
	    (l->mark_above > 0 && l->rate > 0 && link_queue(l, from->sim->now) > l->mark_above))
		seg->ecn = IP_ECN_CE;
}

/* ---- What a seed chooses. ---- */

/* From milliseconds to minutes. */
static weft_time_us some_time(struct prng *p)
{
	return 1000 + prng_below(p, 1u << (10 + prng_below(p, 19)));
}

static void plan_marks(struct prng *p, struct sim_end *e)
{
	static const uint32_t marks[] = {0, 0, 1000, 10000, 100000, 300000};

	static const enum tcp_ecn modes[] = {
		TCP_ECN_ON,       TCP_ECN_ON,       TCP_ECN_PASSIVE,  TCP_ECN_OFF,
		TCP_ECN_ACCURATE, TCP_ECN_ACCURATE, TCP_ECN_ACCURATE, TCP_ECN_ACCURATE_PASSIVE};
	struct sim_link *l = &e->out;

	e->cfg.ecn = modes[prng_below(p, 8)];
	l->ce_ppm = marks[prng_below(p, 6)];
	l->mark_above = prng_below(p, 2) ? 1 + prng_below(p, l->queue_max * 1500) : 0;
	l->bleaches = prng_below(p, 8) == 0;
}

static void plan_mtus(struct prng *p, struct sim_end *e)
{
	struct sim_link *l = &e->out;
	uint16_t least = e->params.is_v6 ? MTU_MIN_V6 : MTU_MIN_V4;

	e->cfg.mtu_probing = (uint8_t)prng_below(p, 3);
	l->tells = prng_below(p, 3) > 0;
	l->untold_ppm = prng_below(p, 2) ? 0 : prng_below(p, 200000);
	if (!l->tells && e->cfg.mtu_probing == 0)
		e->cfg.mtu_probing = 1; /* or nothing large would ever arrive */
	if (!l->tells && !e->params.is_v6)
		least = MTU_HOLE_V4;
	if (prng_below(p, 2))
		return;
	e->sim->split = true;
	l->mtus = 1 + prng_below(p, SIM_MTUS);
	for (unsigned i = 0; i < l->mtus; i++) {
		l->mtu[i].at = i > 0 ? l->mtu[i - 1].at + some_time(p) : e->sim->start;
		l->mtu[i].mtu = (uint16_t)(least + prng_below(p, MTU_LINK + 1u - least));
		if (prng_below(p, 3) == 0)
			l->mtu[i].mtu = MTU_LINK;
	}
	if (prng_below(p, 4) == 0)
		e->path_others = e->sim->start + some_time(p);
}

static const struct tcp_cc_ops *some_controller(struct prng *p)
{
	static const struct tcp_cc_ops *const controllers[] = {&tcp_cc_newreno, &tcp_cc_cubic,
							       &tcp_cc_bbr};

	return controllers[prng_below(p, 3)];
}

/* From what one round of a busy reader takes to what a program that seldom runs does. */
static void plan_batches(struct prng *p, struct sim_end *e)
{
	if (prng_below(p, 3) == 0)
		e->batch = 50 + prng_below(p, prng_below(p, 2) ? 1000 : 30000);
}

static void plan_core(struct prng *p, struct sim_end *e)
{
	bool has_cookie = prng_below(p, 2);

	e->cc = some_controller(p);
	e->cc_next = prng_below(p, 8) ? NULL : some_controller(p);
	e->cc_next_at = 1 + prng_below(p, 8);
	e->takes_fast = prng_below(p, 4) > 0;
	e->fast_mss = prng_below(p, 2) ? (uint16_t)(200 + prng_below(p, 1300)) : 0;
	e->fast = SIM_FAST_NO;
	if (prng_below(p, 3) == 0)
		e->fast = has_cookie ? SIM_FAST_COOKIE : SIM_FAST_ASKS;
}

/* A middlebox that knows no SACK, on the way there, back, or both. */
static void plan_sack(struct prng *p, struct sim *sim)
{
	unsigned ways = prng_below(p, 4) ? 0 : 1 + prng_below(p, 3);

	sim->end[0].out.strips_sack = ways & 1;
	sim->end[1].out.strips_sack = ways & 2;
}

/* From what a scheduler's turn takes to a process that was stopped for seconds. */
static void plan_stalls(struct prng *p, struct sim_end *e)
{
	weft_time_us away = 100 + prng_below(p, 1u << (8 + prng_below(p, 14)));
	weft_time_us here = 100 + prng_below(p, 1u << (8 + prng_below(p, 16)));

	if (prng_below(p, 4) == 0)
		cpu_plan(e, time_max(here, away / AWAY_MAX), away);
}

/* Numbers of their own again: what older choices made of a seed stays. */
static void plan_more(struct sim *sim)
{
	struct prng p;

	prng_init(&p, ~sim->seed ^ (uint64_t)1 << 63);
	plan_sack(&p, sim);
	for (unsigned i = 0; i < 2; i++)
		plan_stalls(&p, &sim->end[i]);
}

void path_plan(struct sim *sim)
{
	struct prng p;

	prng_init(&p, ~sim->seed);
	bool is_v6 = prng_below(&p, 3) == 0;

	for (unsigned i = 0; i < 2; i++) {
		struct sim_end *e = &sim->end[i];
		uint16_t most = MTU_LINK - (is_v6 ? HDRS_V6 : HDRS_V4);

		e->params.is_v6 = is_v6;
		if (e->params.mss_local > most)
			e->params.mss_local = most;
		plan_marks(&p, e);
		plan_mtus(&p, e);
		plan_core(&p, e);
		tcp_init(&e->tcb, &e->params);
		tcp_set_congestion(&e->tcb, e->cc, e->cc->more_size > 0 ? e->cc_more[0] : NULL,
				   sim->now);
	}
	for (unsigned i = 0; i < 2; i++)
		plan_batches(&p, &sim->end[i]);
	plan_more(sim);
}
