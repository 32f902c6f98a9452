/*
 * Sizes of the socket buffers that follow the path, while the user has set none (docs/adr/0011).
 *
 * Receiving (dynamic right-sizing, as Linux does it): what the application copied out in one round
 * trip is what the path and it can do; when that was more than ever before, the buffer grows to
 * twice that with room for the doubling of slow start. Sending: twice the congestion window, so that
 * the application can fill the next window while one is in flight.
 *
 * Sizes are limits, not memory: a buffer costs what lies in it.  While the stack's buffers are short
 * no limit grows, and grown ones go back to where they began; what was announced stays announced.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	ROOM_SEGMENTS = 16,        /* for delay between arrival and reading */
	INTERVAL_MIN_US = 10000,   /* readers read in bursts: shorter intervals see chance */
	ECHO_UNIT_US = 1000,       /* of the timestamp clock */
	ECHO_BELOW_US = 250,       /* a guess at a path shorter than that */
	WINDOW_TIME_MAX = 1 << 20, /* us; a window that takes longer to fill says nothing */
};

static bool is_short(const struct tcb *tcb)
{
	return tcb->cfg->pool && MECHANISM(autotune_short) && bufpool_is_short(tcb->cfg->pool);
}

static uint32_t us_of(weft_time_us now)
{
	return (uint32_t)now;
}

/* ---- Receiving. ---- */

/*
 * The round trip from the timestamp a data segment echoes: the first one with a new echo answers the
 * ACK it came from.  A sender that paused and a queue that we made ourselves make it look long, so
 * the shortest one of some time counts.
 */
static void sample_echo(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	if (!seg->opt.has_ts || seg->opt.ts_ecr == 0 || seg->opt.ts_ecr == tcb->tune_mark)
		return;
	tcb->tune_mark = seg->opt.ts_ecr;
	int32_t ms = seq_diff(options_ts_now(tcb, now), seg->opt.ts_ecr);
	if (ms < 0 || ms > 60 * 1000)
		return;
	uint32_t us = ms > 0 ? (uint32_t)ms * ECHO_UNIT_US : ECHO_BELOW_US;
	if (tcb->tune_rtt == 0 || us < tcb->tune_rtt || tcb->tune_age == UINT8_MAX) {
		tcb->tune_rtt = us;
		tcb->tune_age = 0;
	}
}

/* Without timestamps: our own sending, else the time one announced window takes to arrive. */
static bool interval_is_over(struct tcb *tcb, uint32_t elapsed)
{
	if (!tcb->ts_on && tcb->srtt > 0)
		tcb->tune_rtt = tcb->srtt < UINT32_MAX ? (uint32_t)tcb->srtt : UINT32_MAX;
	if (tcb->tune_rtt > 0)
		return elapsed >= tcb->tune_rtt && elapsed >= INTERVAL_MIN_US;
	return !tcb->ts_on && seq_ge(tcb->rcv_nxt, tcb->tune_mark);
}

static void begin_interval(struct tcb *tcb, weft_time_us now)
{
	tcb->tune_at = us_of(now);
	if (tcb->tune_age < UINT8_MAX)
		tcb->tune_age++;
	tcb->tune_seq = tcb->rcv_nxt - tcb->rcvq.bytes;
	if (!tcb->ts_on)
		tcb->tune_mark = tcb->rcv_adv;
}

/* 'copied' in a round trip is more than ever before. */
static void grow_rcv(struct tcb *tcb, uint32_t copied)
{
	uint64_t want = 2 * (uint64_t)copied;
	/* Slow start: what doubled will double again before this is seen to have helped. */
	uint64_t more = 8 * (uint64_t)(copied - tcb->tune_copied);

	want += more < 2 * want ? more : 2 * want;
	want += (uint64_t)ROOM_SEGMENTS * tcb->mss;
	tcb->tune_copied = copied;
	if (want > tcb->cfg->buf_max && MECHANISM(autotune_max))
		want = tcb->cfg->buf_max;
	if (want <= tcb->rcv_buf_size || !MECHANISM(autotune_receive))
		return;
	tcb->rcv_buf_size = (uint32_t)want;
	counter_add(tcb->cfg->counters, C_TCP_RCVBUF_GROWN, 1);
}

/* Bytes that the application copied since the interval began, for one round trip. */
static uint32_t copied_in_round_trip(const struct tcb *tcb, uint32_t elapsed)
{
	uint32_t copied = tcb->rcv_nxt - tcb->rcvq.bytes - tcb->tune_seq;

	if (tcb->tune_rtt == 0)
		return elapsed <= WINDOW_TIME_MAX ? copied : 0;
	return elapsed <= tcb->tune_rtt ? copied
					: (uint32_t)((uint64_t)copied * tcb->tune_rtt / elapsed);
}

void autotune_start(struct tcb *tcb, weft_time_us now)
{
	begin_interval(tcb, now);
}

/* Data arrived in order. */
void autotune_received(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now)
{
	uint32_t elapsed = us_of(now) - tcb->tune_at;

	if (tcb->ts_on)
		sample_echo(tcb, seg, now);
	if (!interval_is_over(tcb, elapsed))
		return;
	uint32_t copied = copied_in_round_trip(tcb, elapsed);

	begin_interval(tcb, now);
	if (is_short(tcb)) {
		if (tcb->rcv_buf_size > tcb->cfg->rcv_buf_min)
			tcb->rcv_buf_size = tcb->cfg->rcv_buf_min;
		tcb->tune_copied = 0;
	} else if (copied > tcb->tune_copied) {
		grow_rcv(tcb, copied);
	}
}

/* ---- Sending. ---- */

/*
 * Whether the buffer limits the sender: half of it is needed in flight to fill the path.  What lies
 * in queues on the way is not needed: it makes the round trip longer than it was at its shortest.
 */
static bool is_limited(const struct tcb *tcb, uint32_t flight)
{
	if (flight < tcb->snd_buf_size / 2 || tcb->srtt == 0)
		return false;
	return (uint64_t)flight * tcb->rtt_min >= tcb->snd_buf_size / 2 * (uint64_t)tcb->srtt;
}

/* An ACK moved snd_una by 'acked'. */
void autotune_acked(struct tcb *tcb, uint32_t acked)
{
	const struct tcp_cfg *cfg = tcb->cfg;
	uint32_t window = tcb->cc.cwnd < tcb->max_snd_wnd ? tcb->cc.cwnd : tcb->max_snd_wnd;
	uint64_t want = 2 * (uint64_t)window;

	if (want > cfg->buf_max)
		want = cfg->buf_max;
	if (tcb->snd_buf_size > cfg->snd_buf_min && is_short(tcb)) {
		tcb->snd_buf_size = cfg->snd_buf_min;
	} else if (want > tcb->snd_buf_size && MECHANISM(autotune_send) &&
		   is_limited(tcb, tcp_flight(tcb) + acked) && !is_short(tcb)) {
		tcb->snd_buf_size = (uint32_t)want;
		counter_add(cfg->counters, C_TCP_SNDBUF_GROWN, 1);
	}
}
