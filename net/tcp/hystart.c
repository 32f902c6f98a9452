/*
 * Slow start (RFC 5681 3.1) and HyStart++ (RFC 9406): when a round's shortest RTT rises, growth
 * slows to a quarter (conservative slow start); unless the RTT falls again, congestion avoidance
 * follows five rounds later.
 *
 * One ACK may stand for many: a peer with receive offload acknowledges 64 KiB at once where others
 * send an ACK for every second segment.  Growth is therefore bounded by L segments an ACK (RFC 9406
 * 4.2), or by half of what was acknowledged: what the usual ACKs would have given.
 */
#include "net/tcp/hystart.h"
#include "net/base/mechanism.h"
#include "net/base/seq.h"

enum {
	MIN_RTT_THRESH = 4000,
	MAX_RTT_THRESH = 16000,
	MIN_RTT_DIVISOR = 8,
	N_RTT_SAMPLE = 8,
	CSS_GROWTH_DIVISOR = 4,
	CSS_ROUNDS = 5,
	L_UNPACED = 45,       /* 64 KiB: what receive offload makes one ACK of */
	L_KNOWN_SSTHRESH = 1, /* RFC 3465 2.3: after a timeout */
};

void hystart_init(struct hystart *hs)
{
	*hs = (struct hystart){
		.last_round_min_rtt = UINT32_MAX,
		.current_round_min_rtt = UINT32_MAX,
		.css_baseline_min_rtt = UINT32_MAX,
	};
}

static uint32_t growth_of(const struct tcp_cc *cc, uint32_t acked, uint32_t l)
{
	uint64_t most = (uint64_t)l * cc->mss;

	if (acked <= most || !MECHANISM(hystart_limit))
		return acked;
	return acked / 2 > most ? acked / 2 : (uint32_t)most;
}

static void begin_round(struct hystart *hs, uint32_t snd_nxt)
{
	hs->last_round_min_rtt = hs->current_round_min_rtt;
	hs->current_round_min_rtt = UINT32_MAX;
	hs->rtt_sample_count = 0;
	hs->window_end = snd_nxt;
	hs->has_round = true;
	if (hs->css_rounds > 0)
		hs->css_rounds++;
}

static void take_sample(struct hystart *hs, uint32_t rtt)
{
	if (rtt == 0)
		return;
	if (rtt < hs->current_round_min_rtt)
		hs->current_round_min_rtt = rtt;
	if (hs->rtt_sample_count < N_RTT_SAMPLE)
		hs->rtt_sample_count++;
}

/* The delay increase that ends standard slow start. */
static bool delay_increased(const struct hystart *hs)
{
	uint32_t thresh = hs->last_round_min_rtt / MIN_RTT_DIVISOR;

	if (hs->last_round_min_rtt == UINT32_MAX)
		return false;
	if (thresh < MIN_RTT_THRESH)
		thresh = MIN_RTT_THRESH;
	if (thresh > MAX_RTT_THRESH)
		thresh = MAX_RTT_THRESH;
	return hs->current_round_min_rtt >= hs->last_round_min_rtt &&
	       hs->current_round_min_rtt - hs->last_round_min_rtt >= thresh;
}

static void check_delay(struct hystart *hs)
{
	if (hs->rtt_sample_count < N_RTT_SAMPLE)
		return;
	if (hs->css_rounds == 0 && delay_increased(hs) && MECHANISM(hystart)) {
		hs->css_baseline_min_rtt = hs->current_round_min_rtt;
		hs->css_rounds = 1;
	} else if (hs->css_rounds > 0 && MECHANISM(hystart_resume) &&
		   hs->current_round_min_rtt < hs->css_baseline_min_rtt) {
		hs->css_baseline_min_rtt = UINT32_MAX; /* the increase was spurious */
		hs->css_rounds = 0;
	}
}

void hystart_on_ack(struct hystart *hs, struct tcp_cc *cc, const struct tcp_cc_ack *ack)
{
	uint32_t l = hs ? L_UNPACED : L_KNOWN_SSTHRESH;

	uint32_t growth = growth_of(cc, ack->cum_acked, l);

	if (hs) {
		/* Within a batch of ACKs nothing new has left yet: the next one sees the round's end. */
		if ((!hs->has_round || seq_ge(ack->snd_una, hs->window_end)) &&
		    (ack->snd_nxt != ack->snd_una || !MECHANISM(hystart_round)))
			begin_round(hs, ack->snd_nxt);
		take_sample(hs, ack->rtt);
		check_delay(hs);
		if (hs->css_rounds > CSS_ROUNDS) {
			cc->ssthresh = cc->cwnd;
			return;
		}
		if (hs->css_rounds > 0 && MECHANISM(hystart_css))
			growth /= CSS_GROWTH_DIVISOR;
	}
	if (growth > cc->ssthresh - cc->cwnd && growth > cc->mss)
		growth = cc->ssthresh - cc->cwnd;
	cc->cwnd += growth;
}
