/*
 * TCP fast open (RFC 7413): data on the SYN, and what becomes of it.  Called by output and input of the
 * opening states.  Cookies are the owner's business: the core says that a SYN has the option.
 *
 * Data of a SYN that was not acknowledged with it counts as never sent: it goes like any other once
 * the connection is open.  A SYN that is sent again is a plain one, without option and data (4.2.2).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

void tcp_fast_open(struct tcb *tcb, bool has_cookie, uint16_t mss_peer)
{
	WEFT_ASSERT(tcb->state == TCPS_SYN_SENT && tcb->snd_max == tcb->iss);
	tcb->fo_ask = true;
	tcb->fo_cookie = has_cookie;
	if (mss_peer >= TCP_MSS_MIN && MECHANISM(fastopen_mss))
		tcb->mss_peer = mss_peer;
	options_update_mss(tcb);
}

/* As if all options were there: nobody cuts a SYN into pieces. */
uint32_t tcp_fast_open_room(const struct tcb *tcb)
{
	return tcb->mss > TCP_OPT_MAX ? (uint32_t)tcb->mss - TCP_OPT_MAX : 0;
}

/* The first SYN or SYN-ACK leaves: the option, and the data. */
void fastopen_fill_syn(struct tcb *tcb, struct tcp_seg_out *out)
{
	uint32_t len = tcp_fast_open_room(tcb);

	out->opt.has_fo = tcb->fo_ask;
	if ((!tcb->fo_cookie && MECHANISM(fastopen_cookie_first)) || tcb->state != TCPS_SYN_SENT ||
	    tcb->sndq.bytes == 0)
		return;
	if (len > tcb->sndq.bytes)
		len = tcb->sndq.bytes;
	out->view_count = (uint8_t)sendq_views(tcb, tcb->iss + 1, &len, out->view);
	out->len = len;
	tcb->snd_nxt += len;
	tcb->snd_max += len;
	tcb->bytes_sent += len;
	tcb->fo_sent = len > 0;
	counter_add(tcb->cfg->counters, C_TCP_DATA_OUT, len);
	counter_add(tcb->cfg->counters, C_TCP_FASTOPEN_ACTIVE, 1);
}

/* The answer to a SYN with data: what it does not acknowledge was not taken. */
void fastopen_syn_acked(struct tcb *tcb, uint32_t ack)
{
	if (!tcb->fo_sent)
		return;
	tcb->fo_acked = seq_gt(ack, tcb->iss + 1);
	if (ack != tcb->snd_max)
		counter_add(tcb->cfg->counters, C_TCP_FASTOPEN_ACTIVE_FAIL, 1);
	tcb->bytes_acked += ack - (tcb->iss + 1);
	tcb->snd_una = ack;
	if (!MECHANISM(fastopen_unsent))
		return;
	tcb->snd_nxt = ack;
	tcb->snd_max = ack;
	sendq_acked(tcb);
}

/* The SYN's data, as far as the window goes; there is no acknowledgment field yet. */
static void take_syn_data(struct tcb *tcb, struct tcp_seg *syn, weft_time_us now, unsigned *events)
{
	uint32_t room = tcb->rcv_adv - tcb->rcv_nxt;

	syn->seq++;
	if (syn->len == 0 || room == 0)
		return;
	if (syn->len > room && MECHANISM(fastopen_window)) {
		syn->len = room;
		syn->buf->len = room;
	}
	tcb->fo_acked = true;
	data_in_order(tcb, syn, now, events);
	tcb->delack_bytes = 0; /* the SYN-ACK has it */
	deadline_ack_sent(tcb);
}

void tcp_open_passive_fast(struct tcb *tcb, const struct tcp_synrcvd *record, struct tcp_seg *syn,
			   bool gives_cookie, weft_time_us now, unsigned *events)
{
	tcp_open_passive(tcb, record, now);
	tcb->fo_passive = true;
	tcb->fo_ask = gives_cookie;
	tcb->snd_nxt = tcb->iss; /* the SYN-ACK is to be sent */
	tcb->snd_max = tcb->iss;
	tcb->snd_wnd = syn->wnd; /* not scaled (RFC 7323 2.2) */
	tcb->max_snd_wnd = syn->wnd;
	tcb->snd_wl1 = syn->seq;
	tcb->snd_wl2 = tcb->iss;
	tcp_cc_start(&tcb->cc, tcb->cc.ops ? tcb->cc.ops : tcb->cfg->cc, tcb->mss, false, now);
	autotune_start(tcb, now);
	deadline_half_open(tcb, now);
	take_syn_data(tcb, syn, now, events);
	counter_add(tcb->cfg->counters, C_TCP_FASTOPEN_PASSIVE, 1);
	*events |= TCP_EV_OUTPUT;
}
