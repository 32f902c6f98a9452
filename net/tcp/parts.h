/*
 * What the files of net/tcp tell each other; nobody outside includes this.  One mechanism a file;
 * every function works on a tcb that its caller holds.
 */
#ifndef WEFT_TCP_PARTS_H
#define WEFT_TCP_PARTS_H

#include "net/base/check.h"
#include "net/base/seq.h"
#include "net/tcp/synrcvd.h"
#include "net/tcp/tcp.h"
#include "net/tcp/timewait.h"
#include "net/wire/ip.h"

enum {
	TCP_MSS_DEFAULT_V4 = 536, /* RFC 9293 MUST-15 */
	TCP_MSS_DEFAULT_V6 = 1220,
	TCP_MSS_MIN = 88,     /* smaller announcements are raised to this (CVE-2019-11479) */
	TCP_TS_OPT_SIZE = 12, /* timestamps with their padding */
	TCP_DUP_THRESH = 3,   /* RFC 5681 3.2 */
	TCP_R1 = 3,           /* retransmissions of one segment, RFC 9293 3.8.3 */
	TCP_REO_PERSIST = 16, /* recoveries, RFC 8985 6.2 step 4 */
	TCP_TLP_ACK_DELAY = 200 * US_PER_MS, /* RFC 8985 7.2: TLP.max_ack_delay */
	TCP_TLP_MIN =
		10 *
		US_PER_MS, /* no probe sooner: a timer costs a wake-up; Linux has two jiffies */
	TCP_RENEGE_MIN = 10 * US_PER_MS,
	TCP_SWS_MIN = 100 * US_PER_MS, /* RFC 9293 3.8.6.2.1 */
	TCP_SWS_MAX = US_PER_S,
	TCP_MIN_RTT_MS = 300 * 1000, /* window of rtt_min */
	TCP_BACKOFF_MAX = 30,
	TCP_CORK_BYTES = 512 * 1024,      /* see tcp_send_may_wait */
	TCP_CORK_SRTT = 1000,             /* us */
	TCP_PACE_UNIT = 16,               /* bytes per second, of tcb.pace_max */
	TCP_DEFER_FLIGHT = 32 * 1024,     /* see may_defer in output.c */
	TCP_PUSHED_BYTES = 2048,          /* the smallest SO_SNDBUF, see is_push in data.c */
	TCP_QUICK_ACKS = 16,              /* Linux's TCP_MAX_QUICKACKS */
	TCP_CORK_LIMIT = 200 * US_PER_MS, /* a cork holds a segment that long (Linux, tcp(7)) */
};

/* PAWS holds for 24 days after the last timestamp (RFC 7323 5.5). */
enum { TCP_PAWS_IDLE_S = 24 * 86400 };

/* An empty segment outside the window is answered at most this often. */
enum { TCP_OOW_INTERVAL_MS = 500 };

/* TCP_CORK and MSG_MORE: only full segments go, but for the end of the stream and what is urgent. */
static inline bool tcp_is_corked(const struct tcb *tcb)
{
	return (tcb->corked || tcb->more) && !tcb->uncork && !tcb->fin_queued && !tcb->urg_out;
}

/* options.c */
uint32_t options_ts_now(const struct tcb *tcb, weft_time_us now);
void options_from_syn(struct tcb *tcb, const struct tcp_opts *opt, weft_time_us now);
void options_for_syn(const struct tcb *tcb, bool reply, weft_time_us now, struct tcp_opts *opt);
void options_for_segment(struct tcb *tcb, weft_time_us now, struct tcp_opts *opt);
void options_update_mss(struct tcb *tcb);
uint16_t options_mss_full(const struct tcb *tcb);
uint16_t options_mss_peer(const struct tcp_opts *opt, bool is_v6);
uint8_t options_wscale(const struct tcp_cfg *cfg, const struct tcp_opts *opt);
uint8_t options_wscale_for(uint32_t rcv_buf_max, uint32_t rcv_buf_size);

/* ecn.c */
enum ecn_mode { ECN_MODE_NONE, ECN_MODE_CLASSIC, ECN_MODE_ACCURATE };

enum ecn_mode ecn_mode(const struct tcp_cfg *cfg, const struct tcp_seg *syn);
void ecn_fill_syn(struct tcb *tcb, bool reply, bool again, struct tcp_seg_out *out);
void ecn_from_syn(struct tcb *tcb, const struct tcp_seg *seg, bool is_answer);
bool ecn_is_news(const struct tcb *tcb, const struct tcp_seg *seg);
void ecn_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events);
void ecn_fill_ack(struct tcb *tcb, struct tcp_seg_out *out);
void ecn_mark_data(struct tcb *tcb, struct tcp_seg_out *out);
bool ecn_is_echo(const struct tcb *tcb, const struct tcp_seg *seg);
void ecn_from_repeated(struct tcb *tcb, const struct tcp_seg *seg);
bool ecn_is_torn(const struct tcb *tcb, const struct tcp_seg *seg);
void ecn_reduced(struct tcb *tcb);
void ecn_restored(struct tcb *tcb);
bool ecn_cwr_ends(struct tcb *tcb);

/* AE, CWR and ECE as a number (RFC 9768 table 2, ACE). */
static inline unsigned ecn_bits(unsigned flags, bool ae)
{
	return (ae ? 4u : 0) | (flags >> 6 & 3);
}

static inline void ecn_put_bits(struct tcp_seg_out *out, unsigned bits)
{
	out->ae = bits & 4;
	out->flags |= (uint8_t)((bits & 3) << 6);
}

/* accecn.c */
enum { ACCECN_START = 5 }; /* of both counters of marked packets (RFC 9768 3.2.1) */

unsigned accecn_code(unsigned ip_ecn);
void accecn_begin(struct tcb *tcb, unsigned ip_ecn);
bool accecn_from_syn_ack(struct tcb *tcb, const struct tcp_seg *seg);
void accecn_syn_answered(struct tcb *tcb, const struct tcp_seg *seg);
void accecn_syn_again(struct tcb *tcb, const struct tcp_seg *seg);
void accecn_from_repeated(struct tcb *tcb, const struct tcp_seg *seg);
void accecn_handshake_ack(struct tcb *tcb, struct tcp_seg *seg);
void accecn_no_news(const struct tcb *tcb, struct tcp_seg *seg);
void accecn_fill_syn_ack(struct tcb *tcb, struct tcp_seg_out *out);
void accecn_fill_handshake(struct tcb *tcb, struct tcp_seg_out *out);
void accecn_fill_ack(struct tcb *tcb, struct tcp_seg_out *out);
void accecn_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events);
uint32_t accecn_feedback(struct tcb *tcb, const struct tcp_seg *seg, const struct ack_news *news);

/* The counter as the peer's next segment has it if no more marks arrived there. */
static inline unsigned accecn_expected(const struct tcb *tcb)
{
	return (ACCECN_START + tcb->delivered_ce) & 7;
}

void ecn_ack(struct tcb *tcb, const struct ack_news *news, weft_time_us now);

/* fastopen.c */
void fastopen_fill_syn(struct tcb *tcb, struct tcp_seg_out *out);
void fastopen_syn_acked(struct tcb *tcb, uint32_t ack);

/* acceptable.c */
enum drop acceptable(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events);
void challenge_ack(struct tcb *tcb, weft_time_us now, unsigned *events);

/* input_synsent.c */
enum drop input_synsent(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events);

/* input_fast.c */
bool input_fast(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events);

/* ack.c */
enum drop ack_receive(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
		      unsigned *events);
void ack_update_window(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events);
void ack_advance(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now, unsigned *events);
void ack_set_window(struct tcb *tcb, const struct tcp_seg *seg);

/* data.c */
enum drop data_receive(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events);
void data_in_order(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events);

/* reass.c */
enum drop reass_insert(struct tcb *tcb, struct tcp_seg *seg);
uint32_t reass_drain(struct tcb *tcb);
void reass_clear(struct tcb *tcb);
unsigned reass_sack_blocks(const struct tcb *tcb, struct tcp_sack *blocks, unsigned max);

/* urgent.c */
void urgent_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events);
uint32_t urgent_limit(const struct tcb *tcb, uint32_t size, bool *skips);
void urgent_read(struct tcb *tcb);
void urgent_pass(struct tcb *tcb); /* user.c: the urgent byte, which is next, is not data */
void urgent_fill(const struct tcb *tcb, struct tcp_seg_out *out);
uint32_t urgent_cut(const struct tcb *tcb, uint32_t seq, uint32_t len);
void urgent_acked(struct tcb *tcb);

/* window.c */
/* At most 'bytes' are announced from now on; 0: no limit. */
void window_set_clamp(struct tcb *tcb, uint32_t bytes);
uint16_t window_announce(struct tcb *tcb);
bool window_update_due(const struct tcb *tcb);

/* sendq.c */
void sendq_acked(struct tcb *tcb);
unsigned sendq_views(struct tcb *tcb, uint32_t seq, uint32_t *len, struct view *views);

static inline uint32_t sendq_fin_seq(const struct tcb *tcb)
{
	return tcb->snd_end;
}

/* autotune.c; only for connections with rcv_auto or snd_auto */
void autotune_start(struct tcb *tcb, weft_time_us now);
void autotune_received(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now);
void autotune_acked(struct tcb *tcb, uint32_t acked);

/* mtu.c */
void mtu_init(struct tcb *tcb, uint16_t mss_path);
void mtu_established(struct tcb *tcb);
void mtu_acked(struct tcb *tcb, weft_time_us now);
/* The front is to be sent again: if it was a probe that is no congestion, and the search goes on. */
bool mtu_probe_lost(struct tcb *tcb, weft_time_us now);
/* Payload of a probe that is to be sent now, 'len' bytes being queued and allowed; mostly 0. */
uint16_t mtu_probe_mss(struct tcb *tcb, uint32_t len, weft_time_us now);
/* Before loss_timeout. */
void mtu_front_lost(struct tcb *tcb, unsigned *events);
void mtu_timeout(struct tcb *tcb, weft_time_us now, unsigned *events);

/* 'len' bytes leave. */
static inline void mtu_track(struct tcb *tcb, uint32_t seq, uint32_t len)
{
	if (tcb->mtu_state != TCP_MTU_UNKNOWN || len < tcb->mss)
		return;
	tcb->mtu_state = TCP_MTU_TRACKING;
	tcb->mtu_seq = seq + tcb->mss;
}

/* After every new ACK. */
static inline void mtu_new_ack(struct tcb *tcb, weft_time_us now)
{
	if (tcb->mtu_state >= TCP_MTU_TRACKING && seq_ge(tcb->snd_una, tcb->mtu_seq))
		mtu_acked(tcb, now);
}

/* rtt.c */
void rtt_start(struct tcb *tcb, weft_time_us now);
void rtt_handshake(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now);
uint32_t rtt_ack(struct tcb *tcb, const struct tcp_seg *seg, const struct ack_news *news,
		 weft_time_us now);
weft_time_us rtt_rto(const struct tcb *tcb);

/* pacing.c */
uint64_t pacing_rate(const struct tcb *tcb);
bool pacing_holds(struct tcb *tcb, weft_time_us now);
uint32_t pacing_quantum(const struct tcb *tcb, weft_time_us now);
void pacing_sent(struct tcb *tcb, uint32_t len, weft_time_us now);
void pacing_hold(struct tcb *tcb, weft_time_us wait, weft_time_us now);
weft_time_us pacing_deadline(const struct tcb *tcb);

/* cwv.c */
void cwv_ack(struct tcb *tcb, const struct ack_news *news, bool repairs, weft_time_us now);
void cwv_restart(struct tcb *tcb, weft_time_us now);
void cwv_congestion(struct tcb *tcb, const struct ack_news *news, enum tcp_cc_reason reason,
		    weft_time_us now);
void cwv_reduced(struct tcb *tcb);
uint32_t cwv_recovered(struct tcb *tcb);
uint64_t cwv_rate(const struct tcb *tcb);

/* rack.c */
void rack_delivered(struct tcb *tcb, const struct sent *r, uint32_t end, weft_time_us now,
		    const struct ack_news *news);
uint32_t rack_reo_wnd(const struct tcb *tcb);
void rack_dsack(struct tcb *tcb);
void rack_recovered(struct tcb *tcb);
uint32_t rack_detect(struct tcb *tcb, weft_time_us now, struct ack_news *news);

/* tlp.c */
weft_time_us tlp_deadline(const struct tcb *tcb, weft_time_us now);
bool tlp_may_probe(const struct tcb *tcb);
void tlp_sent(struct tcb *tcb, bool is_rexmit);
void tlp_ack(struct tcb *tcb, const struct tcp_seg *seg, const struct ack_news *news,
	     weft_time_us now);

/* prr.c */
void prr_start(struct tcb *tcb, const struct ack_news *news);
void prr_ack(struct tcb *tcb, const struct ack_news *news);

/* undo.c */
void undo_start(struct tcb *tcb);
void undo_resent(struct tcb *tcb, uint32_t len, uint32_t end, const struct tcp_opts *opt);
bool undo_ack(struct tcb *tcb, const struct ack_news *news);
void undo_dsack(struct tcb *tcb, uint32_t start, uint32_t end);
void undo_all(struct tcb *tcb);

/* rate.c */
void rate_lost(struct tcb *tcb, const struct sent *r, weft_time_us now);
void rate_ack(struct tcb *tcb, const struct ack_news *news, uint32_t rtt, bool in_recovery,
	      weft_time_us now);
void rate_app_limited(struct tcb *tcb);
uint64_t rate_delivered(const struct tcb *tcb);

/* sack.c */
void sack_receive(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
		  struct ack_news *news);
void sack_note_duplicate(struct tcb *tcb, uint32_t start, uint32_t end);

/* loss.c */
void loss_init(struct tcb *tcb);
void loss_ack(struct tcb *tcb, bool dup, struct ack_news *news, weft_time_us now, unsigned *events);
bool loss_reorder_timeout(struct tcb *tcb, weft_time_us now, unsigned *events);
void loss_timeout(struct tcb *tcb, weft_time_us now, unsigned *events);
uint32_t loss_outstanding(const struct tcb *tcb, const struct ack_news *news);

/* deadline.c: others say what happened; only this file sets timers. */
void deadline_init(struct tcb *tcb);
void deadline_stop(struct tcb *tcb);
void deadline_opened(struct tcb *tcb, weft_time_us now);
void deadline_syn_count(struct tcb *tcb, unsigned count, weft_time_us now);
void deadline_half_open(struct tcb *tcb, weft_time_us now);
void deadline_established(struct tcb *tcb, weft_time_us now);
void deadline_sent(struct tcb *tcb, weft_time_us now);
void deadline_probed(struct tcb *tcb, weft_time_us now);
void deadline_front_resent(struct tcb *tcb, weft_time_us now);
void deadline_reorder(struct tcb *tcb, uint32_t wait, weft_time_us now);
void deadline_reneged(struct tcb *tcb, weft_time_us now);
void deadline_acked(struct tcb *tcb, bool keep_rexmt, weft_time_us now);
void deadline_blocked(struct tcb *tcb, bool blocked, weft_time_us now);
void deadline_received(struct tcb *tcb, weft_time_us now);
void deadline_ack_delayed(struct tcb *tcb, weft_time_us now);
void deadline_ack_sent(struct tcb *tcb);
void deadline_orphaned(struct tcb *tcb, weft_time_us now);

/* user.c: a connection begins to live, or ends here and now. */
void tcp_established(struct tcb *tcb, weft_time_us now, unsigned *events);
void connection_end(struct tcb *tcb, int error, unsigned *events);
void connection_time_wait(struct tcb *tcb, unsigned *events);

#endif
