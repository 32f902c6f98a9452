/*
 * BBR's control parameters (draft-ietf-ccwg-bbr-06, 5.6): pacing rate and cwnd by the model and the
 * state.
 */
#include "net/base/mechanism.h"
#include "net/tcp/cc_bbr.h"

static const uint16_t pacing_gains[BBR_STATES] = {
	[BBR_STARTUP] = BBR_STARTUP_PACING_GAIN,
	[BBR_DRAIN] = BBR_DRAIN_PACING_GAIN,
	[BBR_PROBE_BW_DOWN] = BBR_DOWN_PACING_GAIN,
	[BBR_PROBE_BW_CRUISE] = 100,
	[BBR_PROBE_BW_REFILL] = 100,
	[BBR_PROBE_BW_UP] = BBR_UP_PACING_GAIN,
	[BBR_PROBE_RTT] = 100,
};

static uint32_t cwnd_gain(const struct bbr *b)
{
	if (b->state == BBR_PROBE_RTT)
		return BBR_PROBE_RTT_CWND_GAIN;
	return b->state == BBR_PROBE_BW_UP ? BBR_UP_CWND_GAIN : BBR_CWND_GAIN;
}

/* ---- Control parameters. ---- */

void bbr_init_pacing_rate(struct bbr *b, uint32_t srtt)
{
	uint64_t nominal = (uint64_t)b->initial_cwnd * US_PER_S / (srtt != 0 ? srtt : US_PER_MS);

	b->pacing_rate = nominal * BBR_STARTUP_PACING_GAIN / 100;
}

void bbr_set_pacing_rate_with_gain(struct bbr *b, uint32_t gain)
{
	uint64_t rate = b->bw * gain / 100 * (100 - BBR_PACING_MARGIN) / 100;

	if (rate != 0 &&
	    (b->full_bw_reached || rate > b->pacing_rate || !MECHANISM(bbr_startup_no_slower)))
		b->pacing_rate = rate;
}

void bbr_set_pacing_rate(struct bbr *b, const struct tcp_cc_ack *ack)
{
	if (!b->has_seen_rtt && ack->srtt != 0) {
		b->has_seen_rtt = true;
		bbr_init_pacing_rate(b, ack->srtt);
	}
	bbr_set_pacing_rate_with_gain(b, pacing_gains[b->state]);
}

static uint32_t min_pipe_cwnd(const struct tcp_cc *cc)
{
	return BBR_MIN_PIPE_SEGMENTS * cc->mss;
}

/* Three bursts of a millisecond (pacing.c): one here, one on the way, one at the receiver. */
static uint32_t offload_budget(const struct tcp_cc *cc, const struct bbr *b)
{
	uint64_t quantum = b->pacing_rate / 1000;

	if (quantum > 65535)
		quantum = 65535;
	if (quantum < 2 * cc->mss)
		quantum = 2 * cc->mss;
	return 3 * (uint32_t)quantum;
}

static uint32_t quantization_budget(const struct tcp_cc *cc, const struct bbr *b,
				    uint32_t inflight_cap)
{
	uint32_t budget = MECHANISM(bbr_quantization) ? offload_budget(cc, b) : 0;

	if (inflight_cap < budget)
		inflight_cap = budget;
	if (inflight_cap < min_pipe_cwnd(cc))
		inflight_cap = min_pipe_cwnd(cc);
	return b->state == BBR_PROBE_BW_UP ? inflight_cap + 2 * cc->mss : inflight_cap;
}

uint32_t bbr_inflight_at(const struct tcp_cc *cc, const struct bbr *b, uint64_t bw, uint32_t gain)
{
	return quantization_budget(cc, b, bbr_bdp_multiple(b, bw, gain));
}

static uint32_t max_inflight(const struct tcp_cc *cc, const struct bbr *b)
{
	uint32_t extra = b->extra_acked_filter[0] > b->extra_acked_filter[1]
				 ? b->extra_acked_filter[0]
				 : b->extra_acked_filter[1];

	if (!MECHANISM(bbr_extra_acked))
		extra = 0;
	return quantization_budget(cc, b, bbr_bdp_multiple(b, b->bw, cwnd_gain(b)) + extra);
}

uint32_t bbr_probe_rtt_cwnd(const struct tcp_cc *cc, const struct bbr *b)
{
	uint32_t cwnd = bbr_bdp_multiple(b, b->bw, BBR_PROBE_RTT_CWND_GAIN);

	return cwnd > min_pipe_cwnd(cc) ? cwnd : min_pipe_cwnd(cc);
}

void bbr_bound_cwnd_for_model(struct tcp_cc *cc, const struct bbr *b)
{
	uint32_t cap = BBR_INF;

	if (b->state == BBR_PROBE_RTT || b->state == BBR_PROBE_BW_CRUISE)
		cap = bbr_inflight_with_headroom(cc, b);
	else if (bbr_in_probe_bw(b) && MECHANISM(bbr_longterm))
		cap = b->inflight_longterm;
	if (cap > b->inflight_shortterm && MECHANISM(bbr_shortterm))
		cap = b->inflight_shortterm;
	if (cap < min_pipe_cwnd(cc))
		cap = min_pipe_cwnd(cc);
	if (cc->cwnd > cap)
		cc->cwnd = cap;
}

void bbr_set_cwnd(struct tcp_cc *cc, const struct bbr *b, const struct tcp_cc_ack *ack)
{
	uint32_t most = max_inflight(cc, b);

	if (b->full_bw_reached) {
		cc->cwnd += ack->acked;
		if (cc->cwnd > most)
			cc->cwnd = most;
	} else if (cc->cwnd < most || b->delivered_total < b->initial_cwnd) {
		cc->cwnd += ack->acked;
	}
	if (cc->cwnd < min_pipe_cwnd(cc))
		cc->cwnd = min_pipe_cwnd(cc);
	if (b->state == BBR_PROBE_RTT && cc->cwnd > bbr_probe_rtt_cwnd(cc, b) &&
	    MECHANISM(bbr_probe_rtt_cwnd))
		cc->cwnd = bbr_probe_rtt_cwnd(cc, b);
	bbr_bound_cwnd_for_model(cc, b);
	tcp_cc_clamp(cc);
}

void bbr_restore_cwnd(struct tcp_cc *cc, const struct bbr *b)
{
	if (cc->cwnd < b->prior_cwnd && MECHANISM(bbr_restore))
		cc->cwnd = b->prior_cwnd;
}
