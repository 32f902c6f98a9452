/* Socket options that the core must know of.  Called by the socket with its lock held. */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

void tcp_set_rcv_buf(struct tcb *tcb, uint32_t size, unsigned *events)
{
	tcb->rcv_auto = false;
	tcb->rcv_buf_size = size; /* what was announced stays announced (SHLD-14) */
	if (tcp_synchronized(tcb) && window_update_due(tcb)) {
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	}
}

void tcp_set_snd_buf(struct tcb *tcb, uint32_t size, unsigned *events)
{
	tcb->snd_auto = false;
	tcb->snd_buf_size = size;
	if (tcp_send_room(tcb) > 0)
		*events |= TCP_EV_WRITABLE;
}

void tcp_set_mss_user(struct tcb *tcb, uint16_t mss)
{
	tcb->mss_user = mss;
	options_update_mss(tcb);
	if (tcb->cc.mss)
		tcb->cc.mss = tcb->mss;
	if (tcb->cc.cwnd && tcb->cc.cwnd < tcb->mss)
		tcb->cc.cwnd = tcb->mss;
}

void tcp_set_nodelay(struct tcb *tcb, bool on, unsigned *events)
{
	tcb->nodelay = on;
	tcb->uncork = tcb->uncork || (on && MECHANISM(nodelay_uncorks));
	if (on && tcb->snd_nxt != tcb->snd_end)
		*events |= TCP_EV_OUTPUT;
}

void tcp_set_cork(struct tcb *tcb, bool on, unsigned *events)
{
	tcb->corked = on;
	if (!on && tcb->snd_nxt != tcb->snd_end)
		*events |= TCP_EV_OUTPUT;
}

void tcp_set_quickack(struct tcb *tcb, bool on, bool stays, unsigned *events)
{
	bool is_owed = tcb->t_delack != WEFT_TIME_NEVER;

	tcb->quick_acks = on && stays ? TCP_QUICK_ACKS : 0;
	tcb->pingpong = !on || (is_owed && !stays);
	if (!on || !is_owed)
		return;
	tcb->ack_now = true;
	*events |= TCP_EV_OUTPUT;
}

void tcp_set_notsent_lowat(struct tcb *tcb, uint32_t bytes, unsigned *events)
{
	tcb->notsent_lowat = bytes;
	if (tcp_send_room(tcb) > 0)
		*events |= TCP_EV_WRITABLE;
}

static bool keepalive_runs(const struct tcb *tcb)
{
	return tcb->keepalive && tcp_synchronized(tcb) && tcb->state != TCPS_TIME_WAIT;
}

void tcp_set_keepalive(struct tcb *tcb, bool on, weft_time_us now)
{
	tcb->keepalive = on;
	tcb->keep_probes = 0;
	tcb->t_keep = keepalive_runs(tcb)
			      ? time_max(now, tcb->last_rcv + time_of_s(tcb->keep_idle_s))
			      : WEFT_TIME_NEVER;
}

void tcp_set_keep_times(struct tcb *tcb, weft_time_us idle, weft_time_us intvl, uint8_t cnt,
			weft_time_us now)
{
	tcb->keep_idle_s = (uint16_t)time_s(idle);
	tcb->keep_intvl_s = (uint16_t)time_s(intvl);
	tcb->keep_cnt = cnt;
	if (keepalive_runs(tcb) && tcb->keep_probes == 0)
		tcb->t_keep = time_max(now, tcb->last_rcv + idle);
}

void tcp_set_linger2(struct tcb *tcb, int seconds)
{
	tcb->no_fin_wait2 = seconds < 0;
	tcb->linger2_s = (uint8_t)(seconds > 0 ? seconds : 0);
}

void tcp_set_user_timeout(struct tcb *tcb, weft_time_us timeout, weft_time_us now)
{
	tcb->user_timeout_set = timeout != 0;
	tcb->user_timeout_ms = time_ms(timeout != 0 ? timeout : tcb->cfg->user_timeout);
	if (tcb->t_user != WEFT_TIME_NEVER)
		tcb->t_user = now + time_of_ms(tcb->user_timeout_ms);
}

void tcp_set_syn_count(struct tcb *tcb, unsigned count, weft_time_us now)
{
	if (tcb->state == TCPS_SYN_SENT && MECHANISM(syn_count))
		deadline_syn_count(tcb, count, now);
}

unsigned tcp_syn_count_default(const struct tcp_cfg *cfg)
{
	weft_time_us rto = cfg->rto_initial;
	unsigned count = 0;

	for (weft_time_us at = rto; at < cfg->syn_timeout && count < UINT8_MAX; at += rto) {
		rto = time_min(2 * rto, cfg->rto_max);
		count++;
	}
	return count;
}

void tcp_set_window_clamp(struct tcb *tcb, uint32_t bytes, unsigned *events)
{
	window_set_clamp(tcb, bytes);
	if (tcp_synchronized(tcb) && window_update_due(tcb)) {
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	}
}

void tcp_set_congestion(struct tcb *tcb, const struct tcp_cc_ops *ops, void *more, weft_time_us now)
{
	struct tcp_cc *cc = &tcb->cc;

	WEFT_ASSERT((ops->more_size > 0) == (more != NULL));
	cc->ops = ops;
	cc->undo_cwnd = 0;
	if (tcb->sb && ops->owns_recovery)
		tcb->sb->cwr_prr = false; /* there is no ssthresh to go down to */
	if (more)
		cc->more = more;
	if (cc->mss != 0) /* it began: see tcp_established */
		ops->init(cc, now);
}

void tcp_set_pacing_max(struct tcb *tcb, uint64_t rate)
{
	uint64_t units = rate / TCP_PACE_UNIT + (rate % TCP_PACE_UNIT != 0);

	if (units == 0)
		units = 1;
	tcb->pace_max = units < UINT32_MAX ? (uint32_t)units : 0;
}
