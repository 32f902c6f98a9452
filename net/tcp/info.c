/* STATUS (RFC 9293 3.9.1.5): the numbers behind TCP_INFO. */
#include "net/tcp/parts.h"

static uint32_t ms_since(weft_time_us then, weft_time_us now)
{
	if (then == 0 || then > now)
		return 0;
	return (uint32_t)time_min((now - then) / US_PER_MS, UINT32_MAX);
}

static enum tcp_fo_fail fast_open_failure(const struct tcb *tcb)
{
	if (!tcb->fo_ask || tcb->fo_passive)
		return TCP_FO_NO_FAIL;
	if (!tcb->fo_cookie)
		return TCP_FO_NO_COOKIE;
	if (!tcb->fo_sent || tcb->fo_acked || !tcp_synchronized(tcb))
		return TCP_FO_NO_FAIL;
	return tcb->syn_lost ? TCP_FO_SYN_RETRANSMITTED : TCP_FO_DATA_NOT_ACKED;
}

void tcp_get_status(const struct tcb *tcb, weft_time_us now, struct tcp_status *status)
{
	bool announced = seq_gt(tcb->rcv_adv, tcb->rcv_nxt);

	*status = (struct tcp_status){
		.state = (enum tcp_state)tcb->state,
		.ts_on = tcb->ts_on,
		.sack_on = tcb->sack_on,
		.wscale_on = tcb->wscale_on,
		.ecn_on = tcb->ecn_on,
		.ecn_seen = tcb->ecn_seen,
		.syn_data = tcb->fo_acked,
		.snd_wscale = tcb->snd_wscale,
		.rcv_wscale = tcb->rcv_wscale,
		.backoff = tcb->backoff,
		.rto_us = (uint32_t)rtt_rto(tcb),
		.srtt_us = (uint32_t)tcb->srtt,
		.rttvar_us = (uint32_t)tcb->rttvar,
		.rtt_min_us = tcb->rtt_min,
		.snd_mss = tcb->mss,
		.rcv_mss = tcb->mss_local,
		.pmtu = tcb->mss_path + (tcb->is_v6 ? 60u : 40u),
		.cwnd = tcb->cc.cwnd,
		.ssthresh = tcb->cc.ssthresh,
		.snd_wnd = tcb->snd_wnd,
		.rcv_wnd = announced ? tcb->rcv_adv - tcb->rcv_nxt : 0,
		.rcv_space = tcb->rcv_buf_size,
		.unacked_bytes = tcp_flight(tcb),
		.notsent_bytes =
			seq_lt(tcb->snd_nxt, tcb->snd_end) ? tcb->snd_end - tcb->snd_nxt : 0,
		.retrans_total = tcb->retrans_total,
		.sacked_bytes = tcb->sb ? tcb->sb->sacked : 0,
		.lost_bytes = tcb->sb ? tcb->sb->lost : 0,
		.rexmit_bytes = tcb->sb ? tcb->sb->rexmit : 0,
		.bytes_acked = tcb->bytes_acked,
		.bytes_received = tcb->bytes_received,
		.bytes_sent = tcb->bytes_sent,
		.bytes_retrans = tcb->bytes_retrans,
		.segs_in = tcb->segs_in,
		.segs_out = tcb->segs_out,
		.last_snd_ms = ms_since(tcb->last_snd, now),
		.last_rcv_ms = ms_since(tcb->last_rcv, now),
		.delivered_bytes = tcb->delivered,
		.dsack_dups = tcb->dsack_dups,
		.reord_seen = tcb->reord_seen,
		.probes = tcb->t_persist != WEFT_TIME_NEVER ? tcb->backoff : tcb->keep_probes,
		.in_recovery = tcb->in_recovery,
		.rto_recovery = tcb->rto_recovery,
		.delivered_ce = tcb->delivered_ce,
		.in_cwr = tcb->sb && tcb->sb->in_cwr,
		.pacing_rate = pacing_rate(tcb),
		.pacing_max = (uint64_t)tcb->pace_max * TCP_PACE_UNIT,
		.delivery_rate = rate_delivered(tcb),
		.rate_app_limited = tcb->sb && tcb->sb->rate_app_limited,
		.path_tries = tcb->path_tries,
		.fo_fail = (uint8_t)fast_open_failure(tcb),
	};
}
