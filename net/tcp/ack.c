/*
 * The ACK field (RFC 9293 3.10.7.4 fifth step): what the peer has, its window, and the state changes
 * that the ACK of our FIN brings.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <stddef.h>
#include <string.h>

static uint32_t scaled_window(const struct tcb *tcb, const struct tcp_seg *seg)
{
	if ((seg->flags & TCP_SYN) && MECHANISM(syn_window_unscaled))
		return seg->wnd;
	return (uint32_t)seg->wnd << (tcb->wscale_on ? tcb->snd_wscale : 0);
}

/* Takes the segment's window without asking how old it is. */
void ack_set_window(struct tcb *tcb, const struct tcp_seg *seg)
{
	tcb->snd_wnd = scaled_window(tcb, seg);
	tcb->snd_wl1 = seg->seq;
	tcb->snd_wl2 = seg->ack;
	if (tcb->snd_wnd > tcb->max_snd_wnd)
		tcb->max_snd_wnd = tcb->snd_wnd;
}

/* EV-ACK-5: only from a segment that is not older than the one the window came from. */
void ack_update_window(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	uint32_t old = tcb->snd_wnd;

	if (!seq_lt(tcb->snd_wl1, seg->seq) &&
	    !(tcb->snd_wl1 == seg->seq && seq_le(tcb->snd_wl2, seg->ack)) && MECHANISM(window_wl))
		return;
	ack_set_window(tcb, seg);
	if (old == 0 && tcb->snd_wnd > 0 && tcb->t_persist != WEFT_TIME_NEVER &&
	    MECHANISM(persist_backoff_ends))
		tcb->backoff = 0;
	if (tcb->snd_wnd != old)
		*events |= TCP_EV_OUTPUT;
}

/* RFC 5681 2. */
static bool is_duplicate(const struct tcb *tcb, const struct tcp_seg *seg)
{
	if (seg->ack != tcb->snd_una || tcb->snd_una == tcb->snd_max)
		return false;
	if (tcb->snd_nxt == tcb->snd_una)
		return false; /* a zero-window probe is all that is out */
	if ((seg->len > 0 || (seg->flags & (TCP_SYN | TCP_FIN))) && MECHANISM(dupack_no_data))
		return false;
	return scaled_window(tcb, seg) == tcb->snd_wnd || !MECHANISM(dupack_same_window);
}

/* 'news' about an ACK that delivered or changed something, told to all who learn from it. */
static void learn(struct tcb *tcb, const struct tcp_seg *seg, bool dup, struct ack_news *news,
		  weft_time_us now, unsigned *events)
{
	bool later_partial = tcb->in_recovery && !tcb->sack_on && tcb->sb->partial_seen;
	bool in_recovery = tcb->in_recovery, repairs = in_recovery || tcb->rto_recovery;
	uint32_t rtt = rtt_ack(tcb, seg, news, now);

	if (tcb->acc.on)
		news->ece = accecn_feedback(tcb, seg, news) > 0;
	if (tcb->sb)
		tlp_ack(tcb, seg, news, now);
	loss_ack(tcb, dup, news, now, events);
	if (news->acked + news->sacked > 0)
		rate_ack(tcb, news, rtt, in_recovery, now);
	cwv_ack(tcb, news, repairs, now);
	if (tcb->ecn_on)
		ecn_ack(tcb, news, now);
	if (news->cum > 0)
		deadline_acked(tcb, later_partial && tcb->in_recovery, now);
	const struct sent *first = tcb->sb ? sb_first(tcb) : NULL;
	if (first && first->flags & SB_SACKED && MECHANISM(renege_timer))
		deadline_reneged(tcb, now);
}

static void begin(const struct tcb *tcb, const struct tcp_seg *seg, struct ack_news *news)
{
	memset(news, 0, offsetof(struct ack_news, sent));
	news->prior_flight = sb_pipe(tcb);
	news->has_ecr = tcb->ts_on && seg->opt.has_ts && seg->opt.ts_ecr != 0;
	news->ecr = seg->opt.ts_ecr;
	news->ece = ecn_is_echo(tcb, seg);
}

/* snd_una moves to what the segment acknowledges. */
static void move_una(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
		     struct ack_news *news)
{
	news->cum = seg->ack - tcb->snd_una;
	tcb->bytes_acked += news->cum;
	if (MECHANISM(soft_error_ends))
		tcb->soft_error = 0; /* the path delivers */
	if (tcb->sb)
		sb_acked(tcb, seg->ack, now, news);
	if (!tcb->sack_on && news->rexmitted)
		news->originals = false; /* behind a filled hole nobody knows which copy it was */
	tcb->snd_una = seg->ack;
	if (seq_lt(tcb->snd_nxt, tcb->snd_una))
		tcb->snd_nxt = tcb->snd_una;
	sendq_acked(tcb);
}

/* The ACK covers new data. */
void ack_advance(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	struct ack_news news;

	begin(tcb, seg, &news);
	move_una(tcb, seg, now, &news);
	if (tcb->urg_out)
		urgent_acked(tcb);
	if (MECHANISM(more_until_ack))
		tcb->more = false; /* as Linux: what an ACK lets out does not wait for more */
	mtu_new_ack(tcb, now);
	if (tcb->sack_on && seg->opt.sack_count > 0)
		sack_receive(tcb, seg, now, &news);
	learn(tcb, seg, false, &news, now, events);
	if (tcb->snd_auto)
		autotune_acked(tcb, news.cum);
	*events |= TCP_EV_WRITABLE | TCP_EV_OUTPUT;
}

/* It covers none: it may be a duplicate, or bring SACK blocks. */
static void stay(struct tcb *tcb, const struct tcp_seg *seg, bool dup, weft_time_us now,
		 unsigned *events)
{
	struct ack_news news;
	bool sacks = tcb->sack_on && seg->opt.sack_count > 0;

	if (!tcb->sb || (!sacks && !dup && !tcb->sb->tlp_out && !ecn_is_echo(tcb, seg)))
		return;
	begin(tcb, seg, &news);
	news.dup_ack = dup;
	if (sacks)
		sack_receive(tcb, seg, now, &news);
	/* RFC 6675 5, RFC 2883 5: only what says something new is a duplicate. */
	if (tcb->sack_on && MECHANISM(sack_dup_new))
		dup = news.sacked > 0;
	learn(tcb, seg, dup, &news, now, events);
	if (news.sacked > 0 || news.dsack)
		*events |= TCP_EV_OUTPUT;
}

static void fin_acked(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	if (tcb->state == TCPS_FIN_WAIT_1) {
		tcp_set_state(tcb, TCPS_FIN_WAIT_2);
		if (tcb->app_closed)
			deadline_orphaned(tcb, now);
	} else if (tcb->state == TCPS_CLOSING) {
		connection_time_wait(tcb, events);
	} else if (tcb->state == TCPS_LAST_ACK) {
		connection_end(tcb, 0, events);
	}
}

enum drop ack_receive(struct tcb *tcb, const struct tcp_seg *seg, weft_time_us now,
		      unsigned *events)
{
	bool above = seq_gt(seg->ack, tcb->snd_max) && MECHANISM(ack_ceiling);
	bool below = seq_lt(seg->ack, tcb->snd_una - tcb->max_snd_wnd) && MECHANISM(ack_floor);

	if (above || below) {
		challenge_ack(tcb, now, events); /* EV-ACK-4, RFC 5961 5 */
		return DROP_TCP_ACK_INVALID;
	}
	bool duplicate = is_duplicate(tcb, seg);
	if (seq_ge(seg->ack, tcb->snd_una) || !MECHANISM(window_old_ack))
		ack_update_window(tcb, seg, events);
	if (seq_gt(seg->ack, tcb->snd_una)) {
		ack_advance(tcb, seg, now, events);
		if (tcb->fin_sent && tcb->snd_una == sendq_fin_seq(tcb) + 1)
			fin_acked(tcb, now, events);
	} else {
		stay(tcb, seg, duplicate, now, events);
	}
	return DROP_NONE;
}
