/* The life of a tcb's memory: defaults, the end of its queues, and the invariants of tcb.h. */
#include "net/base/mem.h"
#include "net/tcp/parts.h"
#include <string.h>

void tcp_cfg_default(struct tcp_cfg *cfg)
{
	struct counters *counters = cfg->counters;

	*cfg = (struct tcp_cfg){
		.rto_min = 200 * US_PER_MS,
		.rto_max = 120 * (weft_time_us)US_PER_S,
		.rto_initial = US_PER_S,
		.syn_timeout = 180 * (weft_time_us)US_PER_S,
		.synack_timeout = 63 * (weft_time_us)US_PER_S,
		.user_timeout = 924600 * (weft_time_us)US_PER_MS,
		.time_wait = 60 * (weft_time_us)US_PER_S,
		.fin_wait2 = 60 * (weft_time_us)US_PER_S,
		.orphan = 120 * (weft_time_us)US_PER_S,
		.delack = 40 * US_PER_MS,
		.pace_rtt = 5 * US_PER_MS,
		.challenge_interval = 5 * (weft_time_us)US_PER_S,
		.challenge_max = 10,
		.gso_max = 65535 - 40 - TCP_HDR_MAX,
		.reass_runs_max = 256,
		.mtu_probing = 1,
		.cc = &tcp_cc_cubic,
		.mem = mem_resize,
		.counters = counters,
	};
}

void tcp_init(struct tcb *tcb, const struct tcp_params *params)
{
	memset(tcb, 0, sizeof(*tcb));
	tcb->cfg = params->cfg;
	tcb->state = TCPS_CLOSED;
	tcb->rcv_buf_size = params->rcv_buf_size;
	tcb->snd_buf_size = params->snd_buf_size;
	tcb->rcv_auto = params->rcv_auto;
	tcb->snd_auto = params->snd_auto;
	tcb->rcv_wscale = options_wscale_for(params->rcv_buf_max, params->rcv_buf_size) & 15u;
	tcb->ts_offset = params->ts_offset;
	tcb->mss_local = params->mss_local;
	tcb->is_v6 = params->is_v6;
	mtu_init(tcb, params->mss_path);
	tcb->mss_peer = params->is_v6 ? TCP_MSS_DEFAULT_V6 : TCP_MSS_DEFAULT_V4;
	tcb->user_timeout_ms = time_ms(params->cfg->user_timeout);
	tcb->keep_idle_s = 7200;
	tcb->keep_intvl_s = 75;
	tcb->keep_cnt = 9;
	tcb->rto = (uint32_t)params->cfg->rto_initial;
	options_update_mss(tcb);
	deadline_init(tcb);
	tcb->oow_ack_at = 0u - TCP_OOW_INTERVAL_MS;
}

void tcp_fini(struct tcb *tcb)
{
	deadline_stop(tcb);
	buf_queue_join(&tcb->trash, &tcb->sndq);
	buf_queue_join(&tcb->trash, &tcb->rcvq);
	reass_clear(tcb);
	sb_free(tcb);
}

static_assert(TCP_BACKOFF_MAX < 1 << 5, "backoff and ecn_holds");
static_assert(TCP_REO_PERSIST < 1 << 5, "rack_persist");
static_assert(TCP_QUICK_ACKS < 1 << 5, "quick_acks");
static_assert(TCP_SACK_RECENT < 1 << 3, "sack_recent_count");
static_assert(TCP_MTU_PROBING < 1 << 3 && TCP_PROBE_FORGET < 1 << 2 && TCP_URGENT_READ < 1 << 2,
	      "enums of the core");

static void check_counts(const struct tcb *tcb)
{
	WEFT_ASSERT(tcb->backoff <= TCP_BACKOFF_MAX && tcb->ecn_holds <= TCP_BACKOFF_MAX); /* I11 */
	WEFT_ASSERT(tcb->rack_persist <= TCP_REO_PERSIST);                                 /* I11 */
	WEFT_ASSERT(tcb->quick_acks <= TCP_QUICK_ACKS);                                    /* I11 */
	WEFT_ASSERT(tcb->sack_recent_count <= TCP_SACK_RECENT);                            /* I11 */
}

static void check_urgent(const struct tcb *tcb)
{
	uint32_t read = tcb->rcv_nxt - tcb->fin_rcvd - tcb->rcvq.bytes;

	WEFT_ASSERT(tcb->urg_state == TCP_URGENT_NONE || seq_gt(tcb->rcv_up, read)); /* I10 */
	WEFT_ASSERT(!tcb->urg_out || (seq_gt(tcb->snd_up, tcb->snd_una) &&
				      seq_le(tcb->snd_up, tcb->snd_end))); /* I10 */
}

static void check_sequences(const struct tcb *tcb)
{
	WEFT_ASSERT(seq_le(tcb->snd_una, tcb->snd_nxt));                           /* I1 */
	WEFT_ASSERT(tcb->snd_max - tcb->snd_nxt <= 1);                             /* I1 */
	WEFT_ASSERT(seq_le(tcb->snd_max, tcb->snd_end + (tcb->fin_sent ? 1 : 0))); /* I2 */
	if (tcp_synchronized(tcb))
		WEFT_ASSERT(seq_le(tcb->rcv_nxt, tcb->rcv_adv)); /* I4 */
}

/* Counts a queue's windows and checks that its sequence numbers have no gap. */
static void check_queue(const struct buf_queue *q)
{
	uint32_t bytes = 0;

	for (const struct buf *b = q->head; b; b = b->next) {
		bytes += b->len;
		WEFT_ASSERT(!b->next || b->next->seq == b->seq + b->len);
		WEFT_ASSERT(b->next || b == q->tail);
	}
	WEFT_ASSERT(bytes == q->bytes);
}

static void check_runs(const struct tcb *tcb)
{
	unsigned runs = 0;
	uint32_t mem = 0;

	for (const struct buf *run = tcb->reass; run; run = run->run_next) {
		uint32_t seq = run->seq;

		runs++;
		WEFT_ASSERT(seq_gt(run->seq, tcb->rcv_nxt));                             /* I5 */
		WEFT_ASSERT(!run->run_next || seq_gt(run->run_next->seq, run->run_end)); /* I5 */
		for (const struct buf *b = run; b; b = b == run->run_last ? NULL : b->next) {
			WEFT_ASSERT(b->seq == seq);
			seq += b->len;
			mem += b->cap;
		}
		WEFT_ASSERT(seq == run->run_end);
	}
	WEFT_ASSERT(runs == tcb->reass_runs);
	WEFT_ASSERT(mem == tcb->reass_mem);
}

void tcb_check(const struct tcb *tcb)
{
	WEFT_ASSERT(tcb->state < TCPS_COUNT && tcb->state != TCPS_LISTEN);
	check_runs(tcb);
	if (tcb->state == TCPS_CLOSED)
		return;
	check_sequences(tcb);
	check_counts(tcb);
	check_urgent(tcb);
	check_queue(&tcb->sndq);
	check_queue(&tcb->rcvq);
	WEFT_ASSERT(!tcb->sndq.head ||
		    tcb->sndq.head->seq == seq_max(tcb->snd_una, tcb->iss + 1)); /* I3 */
	WEFT_ASSERT(!tcb->sndq.head || tcb->sndq.head->seq + tcb->sndq.bytes == tcb->snd_end);
	if (tcb->state >= TCPS_ESTABLISHED && tcb->snd_una != tcb->snd_max) {
		bool paced = tcb->snd_una == tcb->snd_nxt &&
			     (pacing_deadline(tcb) != WEFT_TIME_NEVER || tcb->pace_late);

		WEFT_ASSERT(tcb->t_rexmt != WEFT_TIME_NEVER || tcb->t_persist != WEFT_TIME_NEVER ||
			    tcb->state == TCPS_TIME_WAIT || paced); /* I7 */
	}
	if (tcb->state >= TCPS_ESTABLISHED) {
		WEFT_ASSERT(tcb->cc.cwnd >= tcb->cc.mss);                   /* I8 */
		WEFT_ASSERT(tcb->snd_una == tcb->snd_nxt || sb_first(tcb)); /* I9 */
		WEFT_ASSERT(tcb->sb || !(tcb->in_recovery || tcb->rto_recovery));
	}
	sb_check(tcb); /* I9 */
}
