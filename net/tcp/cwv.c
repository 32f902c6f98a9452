/*
 * Congestion window validation (RFC 7661).  A window that the application does not use is kept, but it
 * says nothing about the path: it is validated only while twice what the path delivers in a round trip
 * (pipeACK) fills it.  Otherwise what leaves is spread over time, a loss counts from what was in use,
 * and every five minutes the window is halved.  The same spreading serves the end of a recovery (RFC
 * 9937 5).  Called by the ACK, loss, ECN and output side; a controller with a model of the path (BBR)
 * has all this in the model, so nothing here is for it.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	NVP_S = 300,             /* 4.4.3: the non-validated period */
	PERIOD_MIN_US = 1000000, /* 4.2: pipeACK is the most of a second, or of three round trips */
	PERIOD_RTTS = 3,
	RW_3390 = 4380, /* RFC 3390 */
};

static uint16_t seconds(weft_time_us now)
{
	return (uint16_t)(now / US_PER_S);
}

/* The window after a long pause: the initial one, or if that was too much RFC 3390's (RFC 6928 2). */
static uint32_t restart_window(const struct tcb *tcb)
{
	uint32_t mss = tcb->cc.mss;
	uint32_t most = 2 * mss > RW_3390 ? 2 * mss : RW_3390;

	if (!tcb->iw_lost || !MECHANISM(restart_window_lost))
		return tcp_cc_initial_window(mss);
	return 4 * mss < most ? 4 * mss : most;
}

static uint32_t sampling_period(const struct tcb *tcb)
{
	uint32_t rtts = tcb->srtt < UINT32_MAX / PERIOD_RTTS ? PERIOD_RTTS * tcb->srtt : UINT32_MAX;

	return rtts > PERIOD_MIN_US ? rtts : PERIOD_MIN_US;
}

/* ---- pipeACK (4.2). ---- */

static uint32_t pipe_ack(const struct scoreboard *sb)
{
	uint32_t most = 0;

	for (unsigned i = 0; i < SB_PIPE_PARTS; i++)
		if (sb->pipe_ack[i] > most)
			most = sb->pipe_ack[i];
	return most;
}

/* The parts move on: each stands for half a sampling period. */
static void forget_old(struct tcb *tcb, uint32_t now_ms)
{
	struct scoreboard *sb = tcb->sb;
	uint32_t part = sampling_period(tcb) / (2 * US_PER_MS);

	for (unsigned n = 0; n < SB_PIPE_PARTS && now_ms - sb->pipe_at >= part; n++) {
		for (unsigned i = SB_PIPE_PARTS - 1; i > 0; i--)
			sb->pipe_ack[i] = sb->pipe_ack[i - 1];
		sb->pipe_ack[0] = 0;
		sb->pipe_at += part;
	}
	if (now_ms - sb->pipe_at >= part)
		sb->pipe_at = now_ms;
}

/* From here on what is sent measures the path. */
static void begin(struct scoreboard *sb, weft_time_us now)
{
	for (unsigned i = 0; i < SB_PIPE_PARTS; i++)
		sb->pipe_ack[i] = 0;
	sb->pipe_at = time_ms(now);
	sb->pipe_known = true;
}

/* What arrived between the sending of the newest segment that this ACK delivered and now. */
static void sample(struct tcb *tcb, const struct ack_news *news, weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;

	forget_old(tcb, time_ms(now));
	if (seq_gt(tcb->delivered, news->sent.delivered) &&
	    tcb->delivered - news->sent.delivered > sb->pipe_ack[0])
		sb->pipe_ack[0] = tcb->delivered - news->sent.delivered;
}

/* ---- The non-validated phase (4.3, 4.4). ---- */

static void enter_phase(struct tcb *tcb, weft_time_us since)
{
	tcb->nvp = MECHANISM(cwv_phase);
	tcb->nvp_at = seconds(since);
}

/* 4.4.3: the window has been without proof for 'waited' seconds, or since the phase began. */
static void expire(struct tcb *tcb, uint64_t waited, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;
	uint32_t least = restart_window(tcb);
	uint64_t phase = (uint16_t)(seconds(now) - tcb->nvp_at);

	phase = waited > phase ? waited : phase;
	if (phase < NVP_S || !MECHANISM(cwv_expire))
		return;
	for (; phase >= NVP_S && cc->cwnd > least; phase -= NVP_S) {
		uint32_t used = cc->cwnd - cc->cwnd / 4;

		/* Quickly back to what the path took. */
		if (cc->ssthresh < used && MECHANISM(cwv_ssthresh))
			cc->ssthresh = used;
		cc->cwnd = cc->cwnd / 2 > least ? cc->cwnd / 2 : least;
		cc->acked = 0;
	}
	tcb->nvp_at = (uint16_t)(seconds(now) - phase % NVP_S);
}

/*
 * A round trip is over.  A window that is full is in use even if little arrives: under heavy loss most
 * round trips are short of it.
 */
static void judge(struct tcb *tcb, weft_time_us now)
{
	if (2 * (uint64_t)pipe_ack(tcb->sb) >= tcb->cc.cwnd)
		tcb->nvp = false;
	else if (tcb->nvp)
		expire(tcb, 0, now);
	else if (!tcb->cwnd_limited || !MECHANISM(cwv_limited))
		enter_phase(tcb, now);
}

/*
 * An ACK delivered something.  What arrives while a loss is repaired, as it was before this ACK with
 * 'repairs', is no measure, and none remains (4.2); nor is the flight that was sent meanwhile.
 */
void cwv_ack(struct tcb *tcb, const struct ack_news *news, bool repairs, weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;

	if (!sb || !news->has_sent || tcb->cc.ops->owns_recovery)
		return;
	if ((repairs || tcb->in_recovery || tcb->rto_recovery) && MECHANISM(cwv_recovery)) {
		sb->pipe_known = false;
		sb->pipe_round = true;
		sb->pipe_seq = tcb->snd_nxt;
		return;
	}
	if (!sb->pipe_round) {
		sb->pipe_seq = tcb->snd_nxt;
		sb->pipe_round = true;
		if (!sb->pipe_known)
			begin(sb, now);
	}
	if (sb->pipe_known)
		sample(tcb, news, now);
	if (seq_lt(tcb->snd_una, sb->pipe_seq))
		return;
	sb->pipe_seq = tcb->snd_nxt;
	if (sb->pipe_known)
		judge(tcb, now);
	else
		begin(sb, now);
}

/* Data is about to go, and nothing is in flight: a pause without samples is no validation. */
void cwv_restart(struct tcb *tcb, weft_time_us now)
{
	weft_time_us idle = now - tcb->last_snd;

	if (tcb->cc.ops->owns_recovery)
		return;
	if (tcb->sb)
		tcb->sb->pipe_round = false;
	if (idle <= sampling_period(tcb))
		return;
	if (!tcb->nvp)
		enter_phase(tcb, tcb->last_snd);
	if (tcb->nvp)
		expire(tcb, (uint64_t)(idle / US_PER_S), now);
}

/* ---- Congestion in the phase (4.4.1). ---- */

/*
 * In place of tcp_cc_congestion.  A window without proof counts for as much as was in use: the larger
 * of pipeACK and what was outstanding.  The controller takes its part of that, 0.5 or 0.7.
 */
void cwv_congestion(struct tcb *tcb, const struct ack_news *news, enum tcp_cc_reason reason,
		    weft_time_us now)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc *cc = &tcb->cc;
	uint32_t base = loss_outstanding(tcb, news), cwnd = cc->cwnd;

	sb->loss_base = 0;
	if (tcb->nvp && !cc->ops->owns_recovery && MECHANISM(cwv_loss)) {
		if (sb->pipe_known && pipe_ack(sb) > base)
			base = pipe_ack(sb);
		base = base > cc->mss ? base : cc->mss;
		if (reason == TCP_CC_LOSS)
			sb->loss_base = base;
		sb->loss_rexmits = (uint32_t)tcb->bytes_retrans;
		cc->cwnd = cwnd < base ? cwnd : base;
	}
	tcp_cc_congestion(cc, base, reason, now);
	if (cc->undo_cwnd != 0 &&
	    reason == TCP_CC_LOSS) /* if it was spurious the window comes back whole */
		cc->undo_cwnd = cwnd & 0x7fffffff;
	cwv_reduced(tcb);
}

/* The window was reduced and is that of this flight: pipeACK is unknown until it is measured again. */
void cwv_reduced(struct tcb *tcb)
{
	tcb->nvp = false;
	tcb->spread = false;
	if (tcb->sb) {
		tcb->sb->pipe_known = false;
		tcb->sb->pipe_round = false;
	}
	if (tcb->iw_lost || tcb->bytes_acked > tcp_cc_initial_window(tcb->cc.mss))
		return;
	tcb->iw_lost = true;
	counter_add(tcb->cfg->counters, C_TCP_IW_LOST, 1);
}

/*
 * A recovery ends: the window that it ends with.  Out of the phase the path was too full by at least
 * what had to be sent again, and that is taken off before the reduction.
 */
uint32_t cwv_recovered(struct tcb *tcb)
{
	struct scoreboard *sb = tcb->sb;
	struct tcp_cc *cc = &tcb->cc;
	uint32_t base = sb->loss_base, window = cc->ssthresh;
	uint32_t resent = (uint32_t)tcb->bytes_retrans - sb->loss_rexmits;

	if (base > 0 && resent > 0 && MECHANISM(cwv_resent)) {
		resent = resent < base ? resent : base;
		window = (uint32_t)((uint64_t)window * (base - resent) / base);
		cc->ssthresh = window > 2 * cc->mss ? window : 2 * cc->mss;
		window = window > cc->mss ? window : cc->mss;
	}
	sb->loss_base = 0;
	tcb->spread = sb_pipe(tcb) + restart_window(tcb) < window && MECHANISM(cwv_spread);
	return window;
}

/* ---- Bursts (4.4.2). ---- */

/*
 * Bytes per second, 0: no bound.  More than an initial window that no ACK makes room for leaves within
 * half a round trip.
 */
uint64_t cwv_rate(const struct tcb *tcb)
{
	if (!(tcb->nvp || tcb->spread) || tcb->srtt == 0 || !MECHANISM(cwv_rate) ||
	    tcb->cc.cwnd <= tcp_cc_initial_window(tcb->cc.mss))
		return 0;
	return 2 * (uint64_t)tcb->cc.cwnd * US_PER_S / tcb->srtt;
}
