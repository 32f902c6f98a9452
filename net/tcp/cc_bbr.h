/*
 * BBR's state (draft-ietf-ccwg-bbr-06), by the draft's names, and what its files tell each other:
 * cc_bbr_model.c is the model of the path (5.5), cc_bbr_control.c has the control parameters (5.6),
 * cc_bbr.c the state machine (5.3).  Under the owner's lock, as all of net/tcp.
 *
 * Units: bytes, microseconds, bytes per second; gains and shares in percent.
 */
#ifndef WEFT_TCP_CC_BBR_H
#define WEFT_TCP_CC_BBR_H

#include "net/tcp/cc.h"

enum {
	BBR_STARTUP_PACING_GAIN = 277,
	BBR_DRAIN_PACING_GAIN = 50,
	BBR_DOWN_PACING_GAIN = 90,
	BBR_UP_PACING_GAIN = 125,
	BBR_CWND_GAIN = 200,
	BBR_UP_CWND_GAIN = 225,
	BBR_PROBE_RTT_CWND_GAIN = 50,
	BBR_LOSS_THRESH = 2,
	BBR_BETA = 70,
	BBR_HEADROOM = 15,
	BBR_PACING_MARGIN = 1,
	BBR_MIN_PIPE_SEGMENTS = 4,
	BBR_STARTUP_FULL_LOSS_CNT = 6,
	BBR_STARTUP_HELD_ROUNDS_MAX = 8, /* rounds without growth that the peer's window excuses */
	BBR_LOSS_DEVIATIONS = 2,    /* by which losses of Startup have to be more than by chance */
	BBR_EXTRA_ACKED_ROUNDS = 5, /* for each of the two halves of the filter */
	BBR_MIN_RTT_FILTER_LEN = 10 * US_PER_S,
	BBR_PROBE_RTT_INTERVAL = 5 * US_PER_S,
	BBR_PROBE_RTT_DURATION = 200 * US_PER_MS,
	BBR_RENO_ROUNDS_MAX = 63,
};

#define BBR_INF    UINT32_MAX
#define BBR_BW_INF UINT64_MAX

enum bbr_state {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_PROBE_BW_DOWN,
	BBR_PROBE_BW_CRUISE,
	BBR_PROBE_BW_REFILL,
	BBR_PROBE_BW_UP,
	BBR_PROBE_RTT,
	BBR_STATES,
	BBR_NO_STATE = BBR_STATES, /* for undo_state */
};

enum bbr_ack_phase {
	BBR_ACKS_INIT,
	BBR_ACKS_REFILLING,
	BBR_ACKS_PROBE_STARTING,
	BBR_ACKS_PROBE_FEEDBACK,
	BBR_ACKS_PROBE_STOPPING,
};

/* The rate sample of one ACK (RS), with what the state machine asks of the connection. */
struct bbr_rs {
	const struct tcp_cc_ack *ack;
	uint64_t delivery_rate; /* 0: none */
	uint32_t tx_in_flight;
	uint32_t lost;
	bool is_app_limited;
	bool is_cwnd_limited;
	bool is_held; /* the peer's window held data back when the sample's segment left, or later */
};

struct bbr {
	uint64_t pacing_rate;
	/* Rates. */
	uint64_t bw;
	uint64_t max_bw_filter[2]; /* of this cycle of ProbeBW and of the one before */
	uint64_t bw_shortterm;
	uint64_t bw_latest;
	uint64_t full_bw;
	uint64_t undo_bw_shortterm;
	uint64_t delivered_total;
	/* Times. */
	weft_time_us min_rtt_stamp;
	weft_time_us probe_rtt_min_stamp;
	weft_time_us probe_rtt_done_stamp; /* 0: inflight is not low enough yet */
	weft_time_us cycle_stamp;
	weft_time_us extra_acked_interval_start;
	uint32_t min_rtt; /* BBR_INF: not known */
	uint32_t probe_rtt_min_delay;
	uint32_t bw_probe_wait;
	/* Volumes. */
	uint32_t inflight_longterm;
	uint32_t inflight_shortterm;
	uint32_t inflight_latest;
	uint32_t undo_inflight_longterm;
	uint32_t undo_inflight_shortterm;
	uint32_t prior_cwnd;
	uint32_t initial_cwnd;
	uint32_t extra_acked_delivered;
	uint32_t extra_acked_filter[2];
	uint32_t probe_up_acked_per_inc;
	uint32_t bw_probe_up_acked;
	/* Points in the count of delivered bytes, modulo 2^32. */
	uint32_t delivered;
	uint32_t next_round_delivered;
	uint32_t loss_round_delivered;
	uint32_t limited_until; /* samples from before are app-limited; valid with is_limited */
	uint32_t full_until;    /* cwnd was fully used less than a round ago; valid with is_full */
	uint32_t held_until; /* samples from before are the peer's window's; valid with is_held */
	/* Counts. */
	uint32_t round_count;
	uint32_t drain_start_round;
	uint32_t rounds_since_probe_up;
	uint32_t extra_acked_round; /* when the newer half of the filter began */
	uint32_t random;
	uint8_t full_bw_count;
	uint8_t held_rounds; /* without growth, not counted in full_bw_count */
	uint8_t bw_probe_up_rounds;
	uint8_t loss_events_in_round;
	uint8_t state;      /* enum bbr_state */
	uint8_t undo_state; /* enum bbr_state */
	uint8_t ack_phase;  /* enum bbr_ack_phase */
	bool round_start;
	bool loss_round_start;
	bool is_loss_in_round;
	bool full_bw_now;
	bool full_bw_reached;
	bool is_bw_probe_sample;
	bool prev_probe_too_high;
	bool prev_probe_precautionary;
	bool probe_rtt_expired;
	bool probe_rtt_round_done;
	bool idle_restart;
	bool in_recovery;
	bool is_limited;
	bool is_full;
	bool is_held;
	bool has_seen_rtt;
	bool ignores_loss; /* bbr1: losses say nothing about the path */
};

static inline struct bbr *bbr_of(struct tcp_cc *cc)
{
	return cc->more;
}

static inline uint32_t bbr_percent(uint32_t volume, uint32_t percent)
{
	uint64_t part = (uint64_t)volume * percent / 100;

	return part < TCP_CC_CWND_MAX ? (uint32_t)part : TCP_CC_CWND_MAX;
}

static inline bool bbr_in_probe_bw(const struct bbr *b)
{
	return b->state >= BBR_PROBE_BW_DOWN && b->state <= BBR_PROBE_BW_UP;
}

/* ---- The model. ---- */

uint64_t bbr_max_bw(const struct bbr *b);

/* 'gain' percent of what 'bw' has in flight in min_rtt; the initial window while that is not known. */
uint32_t bbr_bdp_multiple(const struct bbr *b, uint64_t bw, uint32_t gain);
uint32_t bbr_target_inflight(const struct tcp_cc *cc, const struct bbr *b);
uint32_t bbr_inflight_with_headroom(const struct tcp_cc *cc, const struct bbr *b);

void bbr_start_round(struct bbr *b);
void bbr_reset_congestion_signals(struct bbr *b);
void bbr_reset_short_term_model(struct bbr *b);
void bbr_reset_full_bw(struct bbr *b);
void bbr_advance_max_bw_filter(struct bbr *b);
bool bbr_is_inflight_too_high(const struct bbr_rs *rs);
bool bbr_is_loss_beyond_chance(const struct tcp_cc *cc, const struct bbr_rs *rs);
void bbr_save_state_upon_loss(struct tcp_cc *cc, struct bbr *b);
void bbr_note_loss(struct tcp_cc *cc, struct bbr *b);

/* The steps of UpdateModelAndState (5.2.3), in its order. */
void bbr_update_latest_delivery_signals(struct bbr *b, const struct bbr_rs *rs);
void bbr_update_congestion_signals(struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs);
void bbr_update_ack_aggregation(struct tcp_cc *cc, struct bbr *b, const struct bbr_rs *rs);
void bbr_check_full_bw_reached(struct bbr *b, const struct bbr_rs *rs);
void bbr_update_min_rtt(struct bbr *b, const struct bbr_rs *rs);
void bbr_advance_latest_delivery_signals(struct bbr *b, const struct bbr_rs *rs);
void bbr_bound_bw_for_model(struct bbr *b);

/* ---- The control parameters. ---- */

void bbr_init_pacing_rate(struct bbr *b, uint32_t srtt);
void bbr_set_pacing_rate_with_gain(struct bbr *b, uint32_t gain);
void bbr_set_pacing_rate(struct bbr *b, const struct tcp_cc_ack *ack);
uint32_t bbr_inflight_at(const struct tcp_cc *cc, const struct bbr *b, uint64_t bw, uint32_t gain);
uint32_t bbr_probe_rtt_cwnd(const struct tcp_cc *cc, const struct bbr *b);
void bbr_bound_cwnd_for_model(struct tcp_cc *cc, const struct bbr *b);
void bbr_set_cwnd(struct tcp_cc *cc, const struct bbr *b, const struct tcp_cc_ack *ack);
void bbr_restore_cwnd(struct tcp_cc *cc, const struct bbr *b);

#endif
