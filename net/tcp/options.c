/*
 * TCP options against the state of a connection: MSS (RFC 9293 3.7.1, RFC 6691), window scale and
 * timestamps (RFC 7323), SACK-permitted and SACK blocks (RFC 2018).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

uint32_t options_ts_now(const struct tcb *tcb, weft_time_us now)
{
	return (uint32_t)(now / US_PER_MS) + tcb->ts_offset;
}

/* The peer's MSS, sane: absent or zero is the default, tiny is raised (CVE-2019-11479). */
uint16_t options_mss_peer(const struct tcp_opts *opt, bool is_v6)
{
	if ((!opt->has_mss || opt->mss == 0) && MECHANISM(mss_default))
		return is_v6 ? TCP_MSS_DEFAULT_V6 : TCP_MSS_DEFAULT_V4;
	return opt->mss < TCP_MSS_MIN && MECHANISM(mss_min) ? TCP_MSS_MIN : opt->mss;
}

/*
 * The smallest shift with which 16 bits can announce the largest buffer, but with a unit that is
 * small against the buffer of now.
 */
uint8_t options_wscale_for(uint32_t rcv_buf_max, uint32_t rcv_buf_size)
{
	uint8_t shift = 0;

	while (shift < TCP_WSCALE_MAX && rcv_buf_max >> shift > UINT16_MAX &&
	       8u << shift <= rcv_buf_size)
		shift++;
	return shift;
}

/* What we announce and never exceed: the link's MSS or less by TCP_MAXSEG. */
static uint16_t mss_ours(const struct tcb *tcb)
{
	return tcb->mss_user && tcb->mss_user < tcb->mss_local ? tcb->mss_user : tcb->mss_local;
}

/* A full segment's payload and options: what both ends and the path take. */
uint16_t options_mss_full(const struct tcb *tcb)
{
	uint16_t ours = mss_ours(tcb);
	uint16_t mss = tcb->mss_peer < ours ? tcb->mss_peer : ours;

	return tcb->mss_path < mss && MECHANISM(mss_path) ? tcb->mss_path : mss;
}

void options_update_mss(struct tcb *tcb)
{
	uint16_t mss = options_mss_full(tcb);

	if (tcb->ts_on && MECHANISM(mss_timestamps))
		mss = (uint16_t)(mss - TCP_TS_OPT_SIZE);
	/* A path near IP's own limit takes more than one segment can have with all options. */
	tcb->mss = mss < tcb->cfg->gso_max ? mss : (uint16_t)tcb->cfg->gso_max;
}

/* RFC 7323 2.3: a larger one counts as 14, and is told. */
uint8_t options_wscale(const struct tcp_cfg *cfg, const struct tcp_opts *opt)
{
	if (opt->wscale <= TCP_WSCALE_MAX || !MECHANISM(wscale_max))
		return opt->wscale;
	counter_add(cfg->counters, C_TCP_WSCALE_LARGE, 1);
	return TCP_WSCALE_MAX;
}

/* Takes over what the peer's SYN or SYN-ACK offers; tcb->*_on say what we offered or would. */
void options_from_syn(struct tcb *tcb, const struct tcp_opts *opt, weft_time_us now)
{
	tcb->mss_peer = options_mss_peer(opt, tcb->is_v6);
	tcb->wscale_on = opt->has_wscale;
	if (opt->has_wscale)
		tcb->snd_wscale = options_wscale(tcb->cfg, opt) & 15u;
	else if (MECHANISM(wscale_both))
		tcb->rcv_wscale = 0;
	tcb->sack_on = opt->has_sack_ok;
	tcb->ts_on = opt->has_ts;
	if (opt->has_ts) {
		tcb->ts_recent = opt->ts_val;
		tcb->ts_recent_at = time_s(now);
	}
	options_update_mss(tcb);
}

/* Options of our SYN; with 'reply' (SYN-ACK) only those that the peer's SYN had. */
void options_for_syn(const struct tcb *tcb, bool reply, weft_time_us now, struct tcp_opts *opt)
{
	opt->has_mss = true;
	opt->mss = mss_ours(tcb);
	reply = reply && MECHANISM(syn_ack_options);
	opt->has_sack_ok = !reply || tcb->sack_on;
	opt->has_wscale = !reply || tcb->wscale_on;
	opt->wscale = tcb->rcv_wscale;
	opt->has_ts = !reply || tcb->ts_on;
	if (opt->has_ts) {
		opt->ts_val = options_ts_now(tcb, now);
		opt->ts_ecr = reply ? tcb->ts_recent : 0;
	}
}

/* Options of every other segment: timestamps, and SACK blocks while data is out of order. */
void options_for_segment(struct tcb *tcb, weft_time_us now, struct tcp_opts *opt)
{
	if (tcb->ts_on && MECHANISM(timestamps)) {
		opt->has_ts = true;
		opt->ts_val = options_ts_now(tcb, now);
		opt->ts_ecr = tcb->ts_recent;
	}
	unsigned most = tcb->ts_on ? 3 : TCP_SACK_MAX;
	unsigned count = 0;

	if (tcb->dsack_due) { /* RFC 2883 4: first, and once */
		opt->sack[count++] =
			(struct tcp_sack){.start = tcb->dsack_start, .end = tcb->dsack_end};
		tcb->dsack_due = !MECHANISM(dsack_once);
		counter_add(tcb->cfg->counters, C_TCP_DSACK_OUT, 1);
	}
	if (tcb->sack_on && tcb->reass && MECHANISM(sack_blocks))
		count += reass_sack_blocks(tcb, opt->sack + count, most - count);
	opt->sack_count = (uint8_t)count;
}
