/*
 * What the path takes: "too big" messages (RFC 1191, RFC 8201) believed as RFC 5927 7.2 advises, and
 * packetization layer path MTU discovery (RFC 4821, RFC 8899), which needs no messages.  Called by the
 * other files of the core and by the socket with its lock held.
 *
 * Sizes are those of mss_local: the path's MTU less IP and TCP header without options.  mtu_state
 * says what is known of the present size, mss_path:
 *
 *	UNKNOWN   nothing; a message is believed at once
 *	TRACKING  a full segment is on its way; mtu_seq is its end
 *	PROVED    one was acknowledged; a message that says less has to wait for a timeout
 *	CLAIMED   such a message came: it says mtu_size, and quotes mtu_seq
 *	PROBING   a segment of mtu_size, larger than mss_path, ends at mtu_seq
 *
 * After a black hole (mtu_search) sizes up to mtu_high are searched; mtu_high 0: the search rests
 * until the second mtu_at.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	MTU_BLACK_HOLE_RTOS =
		3, /* timeouts of one segment, the third of which makes a large one smaller ... */
	MTU_SMALLER_RTOS = 2, /* ... and each second one after that */
	MTU_FRONT_LOST = 8,   /* one in half a million losses at 20 % that are none of size */
	MTU_CLAIM_LOST = 3,   /* less when a message claims that it is */
	MTU_SEARCH_STEP = 8,  /* a gap that small is not worth a probe; as Linux */
	MTU_BEHIND_PROBE = 3, /* segments behind a probe, so that duplicate ACKs tell its loss */
	MTU_RAISE_S = 600,    /* RFC 8899 5.1.1, PMTU_RAISE_TIMER */
	MTU_BASE = 1280,      /* what every path should take (RFC 8200 5, RFC 8899 5.1.2) */
	MTU_BASE_V4 = 576,    /* and IPv4's (RFC 791 3.1) */
};

static uint16_t hdrs_size(const struct tcb *tcb)
{
	return tcb->is_v6 ? 60 : 40;
}

static uint16_t seconds(weft_time_us now)
{
	return (uint16_t)(now / US_PER_S);
}

void mtu_init(struct tcb *tcb, uint16_t mss_path)
{
	bool is_known = mss_path != 0 && mss_path < tcb->mss_local;

	tcb->mss_path = is_known ? mss_path : tcb->mss_local;
	tcb->mtu_state = TCP_MTU_UNKNOWN;
}

/* With cfg->mtu_probing 2 the search begins with the connection, from a size that is safe. */
void mtu_established(struct tcb *tcb)
{
	uint16_t base = (uint16_t)(MTU_BASE - hdrs_size(tcb));

	if (tcb->cfg->mtu_probing < 2 || tcb->mss_path <= base)
		return;
	tcb->mtu_search = true;
	tcb->mtu_high = tcb->mss_path;
	tcb->mss_path = base;
	options_update_mss(tcb);
}

/* Segments have another size from now on; nothing is known of it. */
static void set_mss(struct tcb *tcb, uint16_t mss_path)
{
	uint16_t old = tcb->mss;

	tcb->mss_path = mss_path;
	tcb->mtu_state = TCP_MTU_UNKNOWN;
	options_update_mss(tcb);
	if (tcb->cc.mss == 0)
		return; /* not established yet */
	/* RFC 5681 3.1: an initial window of many small segments would be a burst. */
	if (tcb->mss < old && tcb->snd_una == tcb->iss + 1)
		tcb->cc.cwnd = (uint32_t)((uint64_t)tcb->cc.cwnd * tcb->mss / old);
	tcb->cc.mss = tcb->mss;
	if (tcb->cc.cwnd < tcb->mss)
		tcb->cc.cwnd = tcb->mss;
	/* Two segments of now (RFC 5681 3.1): where a recovery that goes on, or its undoing, ends. */
	if (tcb->cc.ssthresh < 2u * tcb->mss)
		tcb->cc.ssthresh = 2u * tcb->mss;
	if (tcb->cc.undo_ssthresh < 2u * tcb->mss)
		tcb->cc.undo_ssthresh = 2u * tcb->mss;
}

/*
 * What is outstanding was too big for the path and has been thrown away: it goes out again, smaller,
 * at once.  That is no sign of congestion (RFC 8201 5.4): cwnd, ssthresh and the RTO stay.
 */
static void resend_all(struct tcb *tcb, unsigned *events)
{
	if (!tcp_synchronized(tcb) || tcp_flight(tcb) <= tcb->mss || !tcb->sb ||
	    !MECHANISM(mtu_resend))
		return;
	if (ecn_cwr_ends(tcb) || tcb->in_recovery) {
		tcb->in_recovery = false;
		if (!tcb->cc.ops->owns_recovery)
			tcb->cc.cwnd = tcb->cc.ssthresh > tcb->mss ? tcb->cc.ssthresh : tcb->mss;
	}
	sb_mark_all(tcb);
	tcb->recover = tcb->snd_max - 1;
	tcb->rto_recovery = true;
	tcb->sb->rto_packets = UINT32_MAX / 2; /* no bound: they were too large, not too many */
	tcb->dupacks = 0;
	tcb->rexmit_front = true;
	*events |= TCP_EV_OUTPUT;
}

static void believe(struct tcb *tcb, uint16_t mss, unsigned *events)
{
	set_mss(tcb, mss);
	if (tcb->mtu_high > mss)
		tcb->mtu_high = mss;
	counter_add(tcb->cfg->counters, C_TCP_PMTU_LOWERED, 1);
	*events |= TCP_EV_PATH_MTU | TCP_EV_OUTPUT; /* what waits may be a full segment now */
}

/* The segment that probes begins at 'seq'. */
static bool is_probe(const struct tcb *tcb, uint32_t seq)
{
	uint32_t len = tcb->mtu_size - (tcb->ts_on ? TCP_TS_OPT_SIZE : 0u);

	return tcb->mtu_state == TCP_MTU_PROBING && seq == tcb->mtu_seq - len;
}

/* The search goes on between mss_path and 'high', or rests. */
static void set_high(struct tcb *tcb, uint16_t high, weft_time_us now)
{
	tcb->mtu_high = high;
	if (high < tcb->mss_path + MTU_SEARCH_STEP) {
		tcb->mtu_high = 0;
		tcb->mtu_at = (uint16_t)(seconds(now) + MTU_RAISE_S);
	}
}

bool mtu_probe_lost(struct tcb *tcb, weft_time_us now)
{
	if (!is_probe(tcb, tcb->snd_una) || !MECHANISM(mtu_probe_no_congestion))
		return false;
	uint16_t high = (uint16_t)(tcb->mtu_size - 1);

	tcb->mtu_state = TCP_MTU_PROVED;
	set_high(tcb, tcb->mtu_high < high ? tcb->mtu_high : high, now);
	counter_add(tcb->cfg->counters, C_TCP_MTU_PROBE_LOST, 1);
	return true;
}

enum drop tcp_too_big(struct tcb *tcb, uint32_t seq, uint16_t mss, unsigned *events)
{
	if (tcb->state == TCPS_CLOSED || tcb->state == TCPS_TIME_WAIT)
		return DROP_ICMP_NO_CONN;
	/* RFC 5927 4.1: it must quote something in flight. */
	if ((seq_lt(seq, tcb->snd_una) || seq_ge(seq, tcb->snd_max)) && MECHANISM(mtu_in_flight))
		return DROP_ICMP_SEQ;
	if (is_probe(tcb, seq) && mss > tcb->mss_path) {
		/* What is known stays; duplicate ACKs will tell the loss. */
		if (mss < tcb->mtu_high)
			tcb->mtu_high = mss;
		return DROP_NONE;
	}
	/* A SYN is never too big, and a segment not for what is as large. */
	if (!tcp_synchronized(tcb) || (mss >= options_mss_full(tcb) && MECHANISM(mtu_never_raises)))
		return DROP_ICMP_MTU;
	if (tcb->mtu_state == TCP_MTU_UNKNOWN || tcb->mtu_state == TCP_MTU_TRACKING ||
	    !MECHANISM(mtu_doubt)) {
		believe(tcb, mss, events);
		resend_all(tcb, events);
		return DROP_NONE;
	}
	tcb->mtu_state = TCP_MTU_CLAIMED;
	tcb->mtu_size = mss;
	tcb->mtu_seq = seq;
	counter_add(tcb->cfg->counters, C_TCP_PMTU_HELD, 1);
	return DROP_NONE;
}

void tcp_set_path_mss(struct tcb *tcb, uint16_t mss, unsigned *events)
{
	if (mss > tcb->mss_local)
		mss = tcb->mss_local;
	if (tcb->state == TCPS_CLOSED || tcb->state == TCPS_TIME_WAIT || mss == tcb->mss_path)
		return;
	/* A black hole says nothing: what others know does not raise what was found out. */
	if (mss > tcb->mss_path && tcb->mtu_search)
		return;
	bool is_lower = mss < options_mss_full(tcb);

	set_mss(tcb, mss);
	if (tcb->mtu_high > mss)
		tcb->mtu_high = mss;
	if (!is_lower)
		return;
	*events |= TCP_EV_OUTPUT;
	resend_all(tcb, events);
}

/* snd_una has passed what was waited for. */
void mtu_acked(struct tcb *tcb, weft_time_us now)
{
	if (tcb->mtu_state == TCP_MTU_CLAIMED && tcb->snd_una == tcb->mtu_seq)
		return;
	if (tcb->mtu_state == TCP_MTU_PROBING) {
		uint16_t high = tcb->mtu_high;

		set_mss(tcb, tcb->mtu_size);
		set_high(tcb, high, now);
	}
	tcb->mtu_state = TCP_MTU_PROVED;
}

/* The end of a rest is near, or has passed, however long ago: 16 bits of seconds would tell for nine hours only. */
static bool rests(const struct tcb *tcb, weft_time_us now)
{
	uint16_t left = (uint16_t)(tcb->mtu_at - seconds(now));

	return left > 0 && left <= MTU_RAISE_S;
}

/* The next size of the search; 0: none. */
static uint16_t next_size(struct tcb *tcb, weft_time_us now)
{
	if (tcb->mtu_high == 0) {
		if (rests(tcb, now))
			return 0;
		set_high(tcb, tcb->mss_local, now);
	} else {
		set_high(tcb, tcb->mtu_high, now); /* a message may have ended the search */
	}
	uint16_t high = tcb->mtu_high;

	if (high > tcb->mss_peer && MECHANISM(mtu_search_peer))
		high = tcb->mss_peer;
	if (tcb->mss_user != 0 && high > tcb->mss_user)
		high = tcb->mss_user;
	if (high < tcb->mss_path + MTU_SEARCH_STEP)
		return 0;
	return (uint16_t)((tcb->mss_path + high + 1) / 2);
}

uint16_t mtu_probe_mss(struct tcb *tcb, uint32_t len, weft_time_us now)
{
	if (tcb->mtu_state != TCP_MTU_PROVED || tcb->in_recovery || tcb->rto_recovery ||
	    tcb->snd_nxt != tcb->snd_max || tcb->reass)
		return 0;
	uint16_t size = next_size(tcb, now);
	uint16_t mss = (uint16_t)(size - (tcb->ts_on ? TCP_TS_OPT_SIZE : 0));

	/* RFC 4821 7.4: enough behind it, so that a loss is noticed without a timeout. */
	if (size == 0 || !MECHANISM(mtu_search) || mss > tcb->cfg->gso_max ||
	    len < mss + MTU_BEHIND_PROBE * (uint32_t)tcb->mss)
		return 0;
	tcb->mtu_state = TCP_MTU_PROBING;
	tcb->mtu_size = size;
	tcb->mtu_seq = tcb->snd_nxt + mss;
	counter_add(tcb->cfg->counters, C_TCP_MTU_PROBE, 1);
	return mss;
}

/* What a timeout sends, options counted.  A small window makes it less than a full segment. */
static uint32_t front_size(const struct tcb *tcb)
{
	const struct sent *first = sb_first(tcb);
	uint32_t len = first ? first->end - first->seq : 0;

	len = len < tcb->snd_wnd ? len : tcb->snd_wnd;
	len = len < tcb->mss ? len : tcb->mss;
	return len + (tcb->ts_on ? TCP_TS_OPT_SIZE : 0);
}

/* Smaller than what vanished: 1,280, for IPv4 at last 576; 0: no less. */
static uint16_t smaller_base(const struct tcb *tcb, unsigned timeouts)
{
	uint32_t size = front_size(tcb);
	uint16_t base = (uint16_t)(MTU_BASE - hdrs_size(tcb));

	if (size > base)
		return base;
	base = (uint16_t)(MTU_BASE_V4 - hdrs_size(tcb));
	return !tcb->is_v6 && size > base && timeouts > MTU_BLACK_HOLE_RTOS ? base : 0;
}

/* RFC 4821 7.7: large segments time out again and again, and nobody says why. */
static void suspect_black_hole(struct tcb *tcb, unsigned timeouts)
{
	uint16_t base = smaller_base(tcb, timeouts);

	if (tcb->cfg->mtu_probing == 0 || !MECHANISM(mtu_black_hole) || base == 0)
		return;
	if (timeouts < MTU_BLACK_HOLE_RTOS || (timeouts - MTU_BLACK_HOLE_RTOS) % MTU_SMALLER_RTOS)
		return;
	if (!tcb->mtu_search)
		tcb->mtu_high = options_mss_full(tcb);
	tcb->mtu_search = true;
	set_mss(tcb, base);
	counter_add(tcb->cfg->counters, C_TCP_MTU_BLACK_HOLE, 1);
}

void mtu_timeout(struct tcb *tcb, weft_time_us now, unsigned *events)
{
	if (!tcp_synchronized(tcb))
		return;
	(void)mtu_probe_lost(tcb, now);
	if (tcb->mtu_state == TCP_MTU_CLAIMED && tcb->mtu_size < options_mss_full(tcb))
		believe(tcb, tcb->mtu_size, events); /* RFC 5927 7.2: no progress, so it is true */
	else
		suspect_black_hole(tcb, tcb->backoff + 1u);
}

/*
 * Small segments behind it get through and keep the timeout away: then so many retransmissions in a
 * row stand for the timeouts, those before a claim is believed among them.
 */
void mtu_front_lost(struct tcb *tcb, unsigned *events)
{
	struct scoreboard *sb = tcb->sb;
	const struct sent *first = sb_first(tcb);
	unsigned again = SB_LOST | SB_EVER;

	if (!first || (first->flags & (again | SB_REXMIT)) != again || !MECHANISM(mtu_front_lost))
		return;
	if (sb->front_count > 0 && sb->front_seq == first->seq &&
	    sb->front_sent_at == first->sent_at)
		return; /* counted already */
	sb->front_count = sb->front_seq == first->seq ? sb->front_count + 1u : 1;
	sb->front_seq = first->seq;
	sb->front_sent_at = first->sent_at;
	if (tcb->mtu_state == TCP_MTU_CLAIMED && sb->front_count >= MTU_CLAIM_LOST &&
	    tcb->mtu_size < options_mss_full(tcb))
		believe(tcb, tcb->mtu_size, events);
	else if (sb->front_count % MTU_FRONT_LOST == 0)
		suspect_black_hole(tcb, MTU_BLACK_HOLE_RTOS +
						MTU_SMALLER_RTOS *
							(sb->front_count / MTU_FRONT_LOST - 1u));
}
