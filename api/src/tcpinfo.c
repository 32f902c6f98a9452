/*
 * struct tcp_info for TCP_INFO; see tcpinfo.h.  Called by weft_getsockopt on any thread with a copy
 * of the connection's numbers.
 */
#include "api/src/tcpinfo.h"

#include "net/base/check.h"
#include <stddef.h>
#include <string.h>

enum {
	REORDERING = 3
}; /* RACK goes by time: this many segments only begin with (Linux's default) */

static_assert(offsetof(struct tcp_info, tcpi_total_retrans) == TCPINFO_HEAD - 4, "Linux's layout");
static_assert(offsetof(struct tcp_info, tcpi_rto) == TCPINFO_FLAGS + 1, "Linux's layout");
static_assert(offsetof(struct tcpinfo, pacing_rate) == TCPINFO_HEAD, "no gap");
static_assert(offsetof(struct tcpinfo, total_rto_time) == 244, "Linux's layout");

/* Linux's numbers of RFC 9293's states. */
static const uint8_t linux_states[TCPS_COUNT] = {
	[TCPS_CLOSED] = TCP_CLOSE,
	[TCPS_LISTEN] = TCP_LISTEN,
	[TCPS_SYN_SENT] = TCP_SYN_SENT,
	[TCPS_SYN_RCVD] = TCP_SYN_RECV,
	[TCPS_ESTABLISHED] = TCP_ESTABLISHED,
	[TCPS_FIN_WAIT_1] = TCP_FIN_WAIT1,
	[TCPS_FIN_WAIT_2] = TCP_FIN_WAIT2,
	[TCPS_CLOSE_WAIT] = TCP_CLOSE_WAIT,
	[TCPS_CLOSING] = TCP_CLOSING,
	[TCPS_LAST_ACK] = TCP_LAST_ACK,
	[TCPS_TIME_WAIT] = TCP_TIME_WAIT,
};

static uint32_t segments(uint32_t bytes, uint32_t mss)
{
	return mss ? bytes / mss + (bytes % mss != 0) : 0;
}

/* Linux's enum tcp_ca_state. */
static uint8_t ca_state(const struct tcp_status *status)
{
	if (status->rto_recovery)
		return TCP_CA_Loss;
	if (status->in_recovery)
		return TCP_CA_Recovery;
	if (status->in_cwr)
		return TCP_CA_CWR;
	return status->sacked_bytes > 0 ? TCP_CA_Disorder : TCP_CA_Open;
}

static void fill_head(struct tcp_info *info, const struct tcp_status *status)
{
	WEFT_ASSERT(status->state < TCPS_COUNT);
	memset(info, 0, sizeof(*info));
	info->tcpi_state = linux_states[status->state];
	info->tcpi_ca_state = ca_state(status);
	info->tcpi_retransmits = status->rto_recovery ? status->backoff : 0;
	info->tcpi_probes = status->probes;
	info->tcpi_backoff = status->backoff;
	if (status->ts_on)
		info->tcpi_options |= TCPI_OPT_TIMESTAMPS;
	if (status->sack_on)
		info->tcpi_options |= TCPI_OPT_SACK;
	if (status->wscale_on)
		info->tcpi_options |= TCPI_OPT_WSCALE;
	if (status->ecn_on)
		info->tcpi_options |= TCPI_OPT_ECN;
	if (status->ecn_seen)
		info->tcpi_options |= TCPI_OPT_ECN_SEEN;
	if (status->syn_data)
		info->tcpi_options |= TCPI_OPT_SYN_DATA;
	info->tcpi_snd_wscale = (uint8_t)(status->snd_wscale & 0xfu);
	info->tcpi_rcv_wscale = (uint8_t)(status->rcv_wscale & 0xfu);
	info->tcpi_rto = status->rto_us;
	info->tcpi_snd_mss = status->snd_mss;
	info->tcpi_rcv_mss = status->rcv_mss;
	info->tcpi_unacked = status->state == TCPS_LISTEN
				     ? status->unacked_bytes
				     : segments(status->unacked_bytes, status->snd_mss);
	info->tcpi_sacked = status->state == TCPS_LISTEN
				    ? status->notsent_bytes /* the backlog */
				    : segments(status->sacked_bytes, status->snd_mss);
	info->tcpi_lost = segments(status->lost_bytes, status->snd_mss);
	info->tcpi_retrans = segments(status->rexmit_bytes, status->snd_mss);
	info->tcpi_last_data_sent = status->last_snd_ms;
	info->tcpi_last_data_recv = status->last_rcv_ms;
	info->tcpi_last_ack_recv = status->last_rcv_ms;
	info->tcpi_pmtu = status->pmtu;
	info->tcpi_rcv_ssthresh = status->rcv_wnd;
	info->tcpi_rtt = status->srtt_us;
	info->tcpi_rttvar = status->rttvar_us;
	info->tcpi_snd_ssthresh = segments(status->ssthresh, status->snd_mss);
	info->tcpi_snd_cwnd = segments(status->cwnd, status->snd_mss);
	info->tcpi_advmss = status->rcv_mss;
	info->tcpi_rcv_space = status->rcv_space;
	info->tcpi_reordering = REORDERING;
	info->tcpi_total_retrans = status->retrans_total;
}

void tcpinfo_fill(struct tcpinfo *info, const struct tcp_status *status)
{
	struct tcp_info head;

	fill_head(&head, status);
	*info = (struct tcpinfo){
		.pacing_rate = status->pacing_rate ? status->pacing_rate : UINT64_MAX,
		.max_pacing_rate = status->pacing_max ? status->pacing_max : UINT64_MAX,
		.bytes_acked = status->bytes_acked,
		.bytes_received = status->bytes_received,
		.segs_out = status->segs_out,
		.segs_in = status->segs_in,
		.min_rtt = status->rtt_min_us,
		.delivered = segments(status->delivered_bytes, status->snd_mss),
		.delivered_ce = status->delivered_ce,
		.bytes_sent = status->bytes_sent,
		.bytes_retrans = status->bytes_retrans,
		.dsack_dups = status->dsack_dups,
		.reord_seen = status->reord_seen,
		.snd_wnd = status->snd_wnd,
		.rcv_wnd = status->rcv_wnd,
		.delivery_rate = status->delivery_rate,
		.rehash = status->path_tries,
	};
	if (status->state != TCPS_LISTEN)
		info->notsent_bytes = status->notsent_bytes;
	memcpy(info->head, &head, sizeof(info->head));
	info->head[TCPINFO_FLAGS] =
		(uint8_t)(status->rate_app_limited | (unsigned)status->fo_fail << 1);
}
