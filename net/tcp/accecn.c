/*
 * Accurate ECN (RFC 9768): after a handshake that says so the flags AE, CWR and ECE are a counter of the
 * marked packets that a side has received, three bits of it, on every segment without SYN.  Called by
 * ecn.c, by input and ack, and by output.  The option that goes with it (3.2.3) is neither sent nor read.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

enum {
	ACE_MASK = 7,
	UNSAID_MAX = 7,
	/* Flags of a SYN-ACK (table 2) and of the ACK of one (table 3): where the IP-ECN field stood. */
	CODE_NOT_ECT = 2,
	CODE_ECT1 = 3,
	CODE_ECT0 = 4,
	CODE_RESERVED = 5, /* as if it was what it was sent with (3.1.3) */
	CODE_CE = 6,
};

unsigned accecn_code(unsigned ip_ecn)
{
	static const uint8_t codes[] = {
		[IP_ECN_NOT_ECT] = CODE_NOT_ECT,
		[IP_ECN_ECT1] = CODE_ECT1,
		[IP_ECN_ECT0] = CODE_ECT0,
		[IP_ECN_CE] = CODE_CE,
	};

	return codes[ip_ecn & IP_ECN_MASK];
}

void accecn_begin(struct tcb *tcb, unsigned ip_ecn)
{
	tcb->acc = (struct accecn){
		.on = true,
		.ip = ip_ecn & 3u,
		.r_cep = ACCECN_START,
	};
}

/* ---- The path is tested (3.2.2.1, 3.2.2.3). ---- */

/*
 * SYN and SYN-ACK leave without ECN: what arrived as anything else was changed, and data might be, too.
 * It is sent without ECN from here on; feedback still counts.
 */
static void check_mangling(struct tcb *tcb, unsigned code)
{
	if ((code != CODE_ECT1 && code != CODE_ECT0 && code != CODE_CE) ||
	    !MECHANISM(accecn_mangled))
		return;
	tcb->ecn_mute = true;
	counter_add(tcb->cfg->counters, C_TCP_ECN_MANGLED, 1);
}

/* The flags are no counter, or none that is worth anything. */
static void ignore_feedback(struct tcb *tcb)
{
	tcb->acc.deaf = true;
	tcb->ecn_mute = true;
	counter_add(tcb->cfg->counters, C_TCP_ECN_MANGLED, 1);
}

/* A SYN or SYN-ACK of ours was marked: the path is full before anything was sent (RFC 5562 3.2). */
static void begin_small(struct tcb *tcb)
{
	if (!tcb->cc.ops->owns_recovery && MECHANISM(accecn_syn_marked))
		tcb->cc.cwnd = tcb->cc.mss;
}

/* ---- The handshake. ---- */

/* A marked SYN-ACK counts, but once (3.2.2.2). */
static void note_syn_ack(struct tcb *tcb, const struct tcp_seg *seg)
{
	struct accecn *acc = &tcb->acc;

	acc->ip = seg->ecn & 3u;
	acc->shake = true;
	if (seg->ecn != IP_ECN_CE || acc->syn_ce)
		return;
	acc->syn_ce = true;
	acc->r_cep = (acc->r_cep + 1u) & ACE_MASK;
}

/* The answer to a SYN that asked (table 2): whether the other side speaks it, too. */
bool accecn_from_syn_ack(struct tcb *tcb, const struct tcp_seg *seg)
{
	unsigned code = ecn_bits(seg->flags, seg->ae);

	if (code < CODE_NOT_ECT || code > CODE_CE)
		return false;
	accecn_begin(tcb, seg->ecn);
	tcb->acc.client = true;
	note_syn_ack(tcb, seg);
	tcb->ecn_mute =
		false; /* whatever SYNs without it have left: that side is sure to count (3.1.4.1) */
	check_mangling(tcb, code);
	return true;
}

/* The connection is open: what the SYN-ACK says of our SYN. */
void accecn_syn_answered(struct tcb *tcb, const struct tcp_seg *seg)
{
	if (ecn_bits(seg->flags, seg->ae) == CODE_CE)
		begin_small(tcb);
}

/*
 * The peer's SYN came again while our SYN-ACK waits for its ACK, or its SYN-ACK after a crossing SYN.
 * Who sends one without ECN may end up without: our data has none (3.1.5).
 */
void accecn_from_repeated(struct tcb *tcb, const struct tcp_seg *seg)
{
	tcb->acc.ip = seg->ecn & 3u;
	if (ecn_bits(seg->flags, seg->ae) == 0 && MECHANISM(accecn_repeated_plain))
		tcb->ecn_mute = true;
}

/*
 * Another SYN or SYN-ACK: of the last one is told (3.1.5, 3.2.2.1).  When the SYN-ACK of a client came again so
 * does the ACK that tells of it; where SYNs crossed each side answered, and ACKs have the counter.
 */
void accecn_syn_again(struct tcb *tcb, const struct tcp_seg *seg)
{
	unsigned code = ecn_bits(seg->flags, seg->ae);

	if (seg->seq != tcb->irs)
		return;
	if (!(seg->flags & TCP_ACK) && tcb->state == TCPS_SYN_RCVD)
		accecn_from_repeated(tcb, seg);
	if (seg->flags & TCP_ACK && (tcb->acc.client || !MECHANISM(accecn_client)) &&
	    code >= CODE_NOT_ECT && code <= CODE_CE)
		note_syn_ack(tcb, seg);
}

/*
 * Our SYN-ACK without a record (which has its own rule): where the SYN's field stood.  A fast open's child that had
 * no answer to two of them tries one without, and then its data has none, either (3.2.3.2.2, 3.1.5).
 */
void accecn_fill_syn_ack(struct tcb *tcb, struct tcp_seg_out *out)
{
	if (tcb->fo_passive && tcb->backoff > 1 && MECHANISM(accecn_plain_child))
		tcb->ecn_mute = true;
	else
		ecn_put_bits(out, accecn_code(tcb->acc.ip));
}

/* The segment's flags become what they would be if they told nothing. */
void accecn_no_news(const struct tcb *tcb, struct tcp_seg *seg)
{
	unsigned bits = accecn_expected(tcb);

	seg->ae = bits & 4;
	seg->flags = (uint8_t)((seg->flags & ~((unsigned)TCP_ECE | TCP_CWR)) | (bits & 3) << 6);
}

/* The ACK that opened a connection which we answered (table 4); with anything in it, it is as others. */
void accecn_handshake_ack(struct tcb *tcb, struct tcp_seg *seg)
{
	unsigned code = ecn_bits(seg->flags, seg->ae);

	if (!tcb->acc.on || seg->len > 0 || seg->flags & TCP_FIN || seg->opt.sack_count > 0 ||
	    !MECHANISM(accecn_handshake))
		return;
	if (code == 0) {
		ignore_feedback(tcb);
	} else {
		check_mangling(tcb, code);
		if (code == CODE_CE) {
			tcb->delivered_ce = 1;
			begin_small(tcb);
		}
	}
	accecn_no_news(tcb, seg);
}

/* ---- The receiver. ---- */

void accecn_fill_ack(struct tcb *tcb, struct tcp_seg_out *out)
{
	ecn_put_bits(out, tcb->acc.r_cep);
	out->is_ace = true;
	tcb->acc.unsaid = 0;
}

void accecn_fill_handshake(struct tcb *tcb, struct tcp_seg_out *out)
{
	tcb->acc.shake = false;
	out->flags &= (uint8_t) ~(TCP_ECE | TCP_CWR);
	ecn_put_bits(out, accecn_code(tcb->acc.ip));
}

/*
 * An acceptable segment, with data or without.  3.2.2.5.1: an ACK goes at once when marks begin, and
 * before so many have come that the counter could be taken for another; ACKs that answer nothing but
 * ACKs are rarer, so that two sides do not answer each other for ever.
 */
void accecn_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	struct accecn *acc = &tcb->acc;
	unsigned count = seg->pieces > 0 ? seg->pieces : 1;
	bool is_ce = seg->ecn == IP_ECN_CE;
	bool begins = is_ce && !acc->last_ce && seg->len > 0 && MECHANISM(accecn_change_ack);
	unsigned most = seg->len > 0 || tcb->rcv_nxt != tcb->last_ack_sent ? 2 : 3;

	acc->last_ce = is_ce;
	if (!is_ce)
		return;
	counter_add(tcb->cfg->counters, C_TCP_ECN_CE_IN, count);
	acc->r_cep = (acc->r_cep + count) & ACE_MASK;
	count += acc->unsaid;
	acc->unsaid = (count < UNSAID_MAX ? count : UNSAID_MAX) & ACE_MASK;
	if (!begins && (acc->unsaid < most || !MECHANISM(accecn_count_ack)))
		return;
	tcb->ack_now = true;
	*events |= TCP_EV_OUTPUT;
}

/* ---- The sender. ---- */

/*
 * More marks than packets, and what a client's handshake would say: it is that, late or again (the SYN-ACK
 * had come twice).  If it was the counter the next ACK tells.
 */
static bool is_late_handshake(const struct tcb *tcb, const struct tcp_seg *seg, uint32_t marks,
			      uint32_t packets)
{
	return !tcb->acc.client && ecn_bits(seg->flags, seg->ae) == CODE_NOT_ECT &&
	       marks > packets && seg->len == 0 && seg->opt.sack_count == 0 &&
	       MECHANISM(accecn_late_handshake);
}

/*
 * Whether later ones may have been here before: by what it acknowledges or, where that is what is known, by
 * its data.  What fills a hole left before what lies behind; or it left again, and others tell, too.
 */
static bool is_superseded(const struct tcb *tcb, const struct tcp_seg *seg,
			  const struct ack_news *news)
{
	if (seg->ack != tcb->snd_una)
		return true;
	if (news->cum > 0 || news->sacked > 0)
		return false;
	return seg->len == 0 || seq_lt(seg->seq, tcb->rcv_nxt) || tcb->reass;
}

/*
 * How many more of our packets arrived marked, as the segment says of which 'news' tells.  What an older
 * one says is known, or wrong by now (3.2.2.2).  The counter may have gone round when eight packets or
 * more were acknowledged at once: where marks are coming in, the most that it can stand for is taken
 * (3.2.2.5.2); where none are, that all ACKs of the first eight were lost is not likely.
 */
uint32_t accecn_feedback(struct tcb *tcb, const struct tcp_seg *seg, const struct ack_news *news)
{
	struct accecn *acc = &tcb->acc;
	unsigned ace = ecn_bits(seg->flags, seg->ae);
	uint32_t packets = (news->acked + news->sacked + tcb->mss - 1) / tcb->mss;
	uint32_t marks = (ace - accecn_expected(tcb)) & ACE_MASK;

	if (is_superseded(tcb, seg, news) && MECHANISM(accecn_superseded))
		return 0;
	if (is_late_handshake(tcb, seg, marks, packets))
		return 0;
	/* 3.2.2.4: it began at 5, and three marks more are not in two packets, or where nothing is marked. */
	if (!acc->judged && ace == 0 && (packets <= 2 || tcb->ecn_mute) && MECHANISM(accecn_zeroed))
		ignore_feedback(tcb);
	acc->judged = true;
	if (acc->deaf)
		return 0;
	if (packets > ACE_MASK && (marks > 0 || (tcb->sb && tcb->sb->in_cwr)) &&
	    MECHANISM(accecn_wrap))
		marks = packets - ((packets - marks) & ACE_MASK);
	tcb->delivered_ce += marks;
	return marks;
}
