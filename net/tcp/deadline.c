/*
 * Every timer of a connection: retransmission (RFC 6298 5), loss probes and reordering (RFC 8985), persist (RFC 9293 3.8.6.1), delayed ACK
 * (3.8.6.3), keepalive (3.8.4), user timeout (3.8.3), and the life limits of opening and orphaned
 * connections.  Other files report what happened; only this one sets or stops a timer, and
 * tcp_tick, at the end, says what a timer means.  The owner may call tcp_tick early or late.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <errno.h>

void deadline_init(struct tcb *tcb)
{
	tcb->t_rexmt = WEFT_TIME_NEVER;
	tcb->t_probe = WEFT_TIME_NEVER;
	tcb->t_persist = WEFT_TIME_NEVER;
	tcb->t_delack = WEFT_TIME_NEVER;
	tcb->t_keep = WEFT_TIME_NEVER;
	tcb->t_life = WEFT_TIME_NEVER;
	tcb->t_user = WEFT_TIME_NEVER;
	tcb->pace_held = false;
}

void deadline_stop(struct tcb *tcb)
{
	deadline_init(tcb);
}

/* An active open begins. */
void deadline_opened(struct tcb *tcb, weft_time_us now)
{
	tcb->t_life = now + time_min(tcb->cfg->syn_timeout, time_of_ms(tcb->user_timeout_ms));
}

/* TCP_SYNCNT: the SYN's retransmissions that are still to come, and the last one's time. */
void deadline_syn_count(struct tcb *tcb, unsigned count, weft_time_us now)
{
	weft_time_us rto = rtt_rto(tcb);
	weft_time_us end = tcb->t_rexmt != WEFT_TIME_NEVER ? tcb->t_rexmt : now + rto;

	for (unsigned i = tcb->backoff; i < count; i++) {
		rto = time_min(2 * rto, tcb->cfg->rto_max);
		end += rto;
	}
	tcb->t_life = tcb->user_timeout_set ? time_min(tcb->t_life, end) : end;
}

/* A fast open's child waits for the handshake's end, as long as a record does. */
void deadline_half_open(struct tcb *tcb, weft_time_us now)
{
	tcb->t_life = now + tcb->cfg->synack_timeout;
}

static void restart_keepalive(struct tcb *tcb, weft_time_us now)
{
	tcb->keep_probes = 0;
	tcb->t_keep = tcb->keepalive ? now + time_of_s(tcb->keep_idle_s) : WEFT_TIME_NEVER;
}

void deadline_established(struct tcb *tcb, weft_time_us now)
{
	tcb->t_life = WEFT_TIME_NEVER;
	tcb->t_rexmt = WEFT_TIME_NEVER;
	tcb->t_user = WEFT_TIME_NEVER;
	restart_keepalive(tcb, now);
	if (tcb->app_closed)
		deadline_orphaned(tcb, now);
}

/* The tail loss probe moves with what is in flight; the reordering timer stays (RFC 8985 8). */
static void restart_probe(struct tcb *tcb, weft_time_us now)
{
	if (tcb->probe_kind == TCP_PROBE_REORDER && tcb->t_probe != WEFT_TIME_NEVER)
		return;
	tcb->probe_kind = TCP_PROBE_TAIL;
	tcb->t_probe = tlp_deadline(tcb, now);
}

/* A segment that occupies sequence space left. */
void deadline_sent(struct tcb *tcb, weft_time_us now)
{
	tcb->t_persist = WEFT_TIME_NEVER;
	if (tcb->t_rexmt == WEFT_TIME_NEVER)
		tcb->t_rexmt = now + rtt_rto(tcb);
	if (tcb->t_user == WEFT_TIME_NEVER && tcp_synchronized(tcb))
		tcb->t_user = now + time_of_ms(tcb->user_timeout_ms);
	restart_probe(tcb, now);
}

/* A tail loss probe left: the next word has the retransmission timer (RFC 8985 7.3). */
void deadline_probed(struct tcb *tcb, weft_time_us now)
{
	tcb->t_probe = WEFT_TIME_NEVER;
	tcb->t_rexmt = now + rtt_rto(tcb);
}

/*
 * Fast recovery sent the front again: the timeout begins anew, or it goes off when a path of 100 ms
 * has had no time to answer (RFC 6675 6).
 */
void deadline_front_resent(struct tcb *tcb, weft_time_us now)
{
	tcb->t_rexmt = now + rtt_rto(tcb);
}

/* Something is late and counts as lost in 'wait' us; 0: nothing is. */
void deadline_reorder(struct tcb *tcb, uint32_t wait, weft_time_us now)
{
	if (wait > 0) {
		tcb->probe_kind = TCP_PROBE_REORDER;
		tcb->t_probe = now + wait;
	} else if (tcb->probe_kind == TCP_PROBE_REORDER) {
		tcb->t_probe = WEFT_TIME_NEVER;
	}
}

/* What is next in order was SACKed: if that stays so, the peer has thrown it away. */
void deadline_reneged(struct tcb *tcb, weft_time_us now)
{
	weft_time_us wait = time_max(tcb->srtt / 2, TCP_RENEGE_MIN);

	tcb->t_rexmt = time_min(tcb->t_rexmt, now + wait);
}

/* snd_una moved forward.  'keep_rexmt': a later partial ACK of a recovery (RFC 6582 4). */
void deadline_acked(struct tcb *tcb, bool keep_rexmt, weft_time_us now)
{
	if (tcb->snd_una == tcb->snd_max) {
		tcb->t_rexmt = WEFT_TIME_NEVER;
		tcb->t_user = WEFT_TIME_NEVER;
		tcb->probe_kind = TCP_PROBE_FORGET;
		tcb->t_probe = tcb->sb ? now + tcb->rto : WEFT_TIME_NEVER;
	} else {
		if ((!keep_rexmt || !MECHANISM(rto_impatient)) && MECHANISM(rto_restart))
			tcb->t_rexmt = now + rtt_rto(tcb);
		if (MECHANISM(user_timeout_progress))
			tcb->t_user = now + time_of_ms(tcb->user_timeout_ms);
		restart_probe(tcb, now);
	}
	if (tcb->app_closed && tcb->t_life != WEFT_TIME_NEVER)
		deadline_orphaned(tcb, now);
}

/* The override of RFC 9293 3.8.6.2.1: a small segment goes after 0.1 to 1.0 s. */
static weft_time_us sws_wait(const struct tcb *tcb)
{
	return time_min(time_max(tcb->rto, TCP_SWS_MIN), TCP_SWS_MAX);
}

/*
 * Output ended.  'blocked': there is something to send, the window or a cork forbids it, and nothing is
 * in flight whose ACK would open it.
 */
void deadline_blocked(struct tcb *tcb, bool blocked, weft_time_us now)
{
	if (!blocked) {
		tcb->t_persist = WEFT_TIME_NEVER;
		return;
	}
	if (!MECHANISM(persist))
		return;
	bool is_silly = tcb->snd_wnd > 0 && MECHANISM(sws_time);
	bool is_corked = tcb->snd_wnd > 0 && tcp_is_corked(tcb) && MECHANISM(cork_limit);

	if (is_corked)
		tcb->t_persist = time_min(tcb->t_persist, now + TCP_CORK_LIMIT);
	else if (is_silly) /* however long a closed one was to wait */
		tcb->t_persist = time_min(tcb->t_persist, now + sws_wait(tcb));
	else if (tcb->t_persist == WEFT_TIME_NEVER)
		tcb->t_persist = now + rtt_rto(tcb);
	tcb->t_rexmt = WEFT_TIME_NEVER;
	if (tcb->t_user == WEFT_TIME_NEVER && !is_corked)
		tcb->t_user = now + time_of_ms(tcb->user_timeout_ms);
}

/* An acceptable segment arrived. */
void deadline_received(struct tcb *tcb, weft_time_us now)
{
	tcb->last_rcv = now;
	if (tcb->keep_probes > 0)
		restart_keepalive(tcb, now);
}

void deadline_ack_delayed(struct tcb *tcb, weft_time_us now)
{
	if (tcb->t_delack == WEFT_TIME_NEVER && MECHANISM(delack_timer))
		tcb->t_delack = now + tcb->cfg->delack;
}

void deadline_ack_sent(struct tcb *tcb)
{
	tcb->t_delack = WEFT_TIME_NEVER;
}

/* TCP_LINGER2; without FIN-WAIT-2 the time is over as soon as it begins. */
static weft_time_us fin_wait2_limit(const struct tcb *tcb)
{
	if (tcb->no_fin_wait2)
		return 0;
	return tcb->linger2_s > 0 ? tcb->linger2_s * (weft_time_us)US_PER_S : tcb->cfg->fin_wait2;
}

/* Nobody will close a forgotten connection: it gets a limit, moved on by progress. */
void deadline_orphaned(struct tcb *tcb, weft_time_us now)
{
	weft_time_us limit = tcb->cfg->orphan;

	if (!MECHANISM(orphan_limit))
		return;

	if (tcb->state == TCPS_FIN_WAIT_2 && MECHANISM(fin_wait2_limit))
		limit = fin_wait2_limit(tcb);
	tcb->t_life = now + limit;
}

weft_time_us tcp_deadline(const struct tcb *tcb)
{
	weft_time_us first = time_min(tcb->t_rexmt, tcb->t_persist);

	first = time_min(first, tcb->t_probe);
	first = time_min(first, time_min(tcb->t_delack, tcb->t_keep));
	first = time_min(first, pacing_deadline(tcb));
	return time_min(first, time_min(tcb->t_life, tcb->t_user));
}

static void give_up(struct tcb *tcb, unsigned *events)
{
	int error = tcb->soft_error && MECHANISM(soft_error) ? tcb->soft_error : ETIMEDOUT;

	counter_add(tcb->cfg->counters, C_TCP_TIMED_OUT, 1);
	connection_end(tcb, error, events);
}

static void tick_life(struct tcb *tcb, unsigned *events)
{
	if ((tcb->state == TCPS_SYN_SENT || tcb->state == TCPS_SYN_RCVD) &&
	    MECHANISM(syn_timeout)) {
		give_up(tcb, events);
		return;
	}
	counter_add(tcb->cfg->counters, C_TCP_ORPHAN_KILLED, 1);
	tcp_abort(tcb, ETIMEDOUT, events);
}

/*
 * With a closed window what counts is that the peer still answers (RFC 9293 3.8.6.1, MUST-37;
 * SHLD-17); otherwise that it acknowledges.
 */
static void tick_user(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	bool closed = tcb->t_persist != WEFT_TIME_NEVER || tcb->snd_wnd == 0;

	if (closed && MECHANISM(persist_answers) &&
	    now - tcb->last_rcv < time_of_ms(tcb->user_timeout_ms))
		tcb->t_user = tcb->last_rcv + time_of_ms(tcb->user_timeout_ms);
	else
		give_up(tcb, events);
}

/* Whether an unanswered probe is not followed by another; as Linux, by TCP_USER_TIMEOUT if that is set. */
static bool is_given_up(const struct tcb *tcb, weft_time_us now)
{
	if (tcb->user_timeout_set && MECHANISM(keepalive_user_timeout))
		return tcb->keep_probes > 0 &&
		       now - tcb->last_rcv >= time_of_ms(tcb->user_timeout_ms);
	return tcb->keep_probes >= tcb->keep_cnt && MECHANISM(keepalive_count);
}

static void tick_keepalive(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	if (tcb->snd_una != tcb->snd_max) {
		tcb->t_keep = now + time_of_s(tcb->keep_idle_s);
	} else if (tcb->keep_probes == 0 && MECHANISM(keepalive_idle) &&
		   now - tcb->last_rcv < time_of_s(tcb->keep_idle_s)) {
		tcb->t_keep = tcb->last_rcv + time_of_s(tcb->keep_idle_s);
	} else if (is_given_up(tcb, now)) {
		give_up(tcb, events);
	} else {
		if (tcb->keep_probes < UINT8_MAX)
			tcb->keep_probes++;
		tcb->keep_due = true;
		tcb->t_keep = now + time_of_s(tcb->keep_intvl_s);
		*events |= TCP_EV_OUTPUT;
	}
}

static void tick_persist(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	if (tcb->snd_wnd > tcb->snd_nxt - tcb->snd_una) {
		tcb->sws_override = true;
	} else {
		tcb->probe_due = true;
		if (tcb->backoff < TCP_BACKOFF_MAX && MECHANISM(persist_backoff))
			tcb->backoff++;
	}
	tcb->t_persist = now + rtt_rto(tcb);
	*events |= TCP_EV_OUTPUT;
}

static void tick_probe(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	tcb->t_probe = WEFT_TIME_NEVER;
	switch ((enum tcp_probe)tcb->probe_kind) {
	case TCP_PROBE_TAIL:
		if (!tlp_may_probe(tcb))
			break;
		tcb->tlp_due = true;
		deadline_probed(tcb, now);
		*events |= TCP_EV_OUTPUT;
		break;
	case TCP_PROBE_REORDER:
		if (loss_reorder_timeout(tcb, now, events))
			tcb->t_rexmt = now + rtt_rto(tcb); /* what is sent again has its time */
		break;
	case TCP_PROBE_FORGET:
	default:
		if (tcb->snd_una == tcb->snd_max)
			sb_free(tcb);
		break;
	}
}

/*
 * RFC 8985 8: the reordering timer goes before the retransmission timeout, which a delayed SACK has let
 * come close: it repairs without a collapse of cwnd.
 */
static bool is_reorder_pending(const struct tcb *tcb)
{
	return tcb->t_probe != WEFT_TIME_NEVER && tcb->probe_kind == TCP_PROBE_REORDER;
}

void tcp_tick(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	if (tcb->t_life <= now) {
		tick_life(tcb, events);
		return;
	}
	if (tcb->t_user <= now && MECHANISM(user_timeout))
		tick_user(tcb, now, events);
	if (tcb->t_keep <= now && MECHANISM(keepalive) && tcb->state != TCPS_CLOSED)
		tick_keepalive(tcb, now, events);
	if (tcb->t_probe <= now)
		tick_probe(tcb, now, events);
	if (tcb->t_rexmt <= now && is_reorder_pending(tcb) && MECHANISM(rto_waits))
		tcb->t_rexmt = tcb->t_probe + 1;
	if (tcb->t_rexmt <= now) {
		mtu_timeout(tcb, now, events);
		loss_timeout(tcb, now, events);
		tcb->t_rexmt = now + rtt_rto(tcb);
		*events |= TCP_EV_OUTPUT;
	}
	if (tcb->t_persist <= now)
		tick_persist(tcb, now, events);
	if (pacing_deadline(tcb) <= now) {
		tcb->pace_held = false;
		tcb->pace_late = true;
		*events |= TCP_EV_OUTPUT;
	}
	if (tcb->t_delack <= now) {
		tcb->t_delack = WEFT_TIME_NEVER;
		tcb->pingpong = false; /* it waited in vain */
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	}
}
