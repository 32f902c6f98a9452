/*
 * Checks of an end from outside: what its core sends, and what it made of what arrived.  Called by
 * end.c after each call and by link.c for each packet.
 */
#include "net/base/seq.h"
#include "net/wire/ip.h"
#include "sim.h"

enum {
	TOO_BIG_MAX = 30,
	DUP_THRESH = 3,     /* RFC 5681 3.2 */
	PACE_SLACK_US = 64, /* what is paced may go that much early (pacing.c) */
};

/* ---- Windows. ---- */

static void check_edge(struct sim_end *e, const struct tcp_seg_out *out)
{
	unsigned shift = e->tcb.wscale_on ? e->tcb.rcv_wscale : 0;
	uint32_t edge = out->ack + ((uint32_t)out->wnd << shift);
	struct sim_watch *w = &e->watch;

	if (out->flags & (TCP_SYN | TCP_RST) || !(out->flags & TCP_ACK))
		return;
	/* What tells of a SYN-ACK acknowledges no data; who had another since then takes it for old. */
	if (e->tcb.acc.client && out->ack == e->tcb.irs + 1)
		edge = w->edge_known ? w->edge : edge;
	if (w->edge_known && seq_lt(edge + (1u << shift) - 1, w->edge))
		sim_fail(e->sim, "end %u: right edge moved left by %u", e->index, w->edge - edge);
	w->edge = w->edge_known ? seq_max(w->edge, edge) : edge;
	w->edge_known = true;
}

/* What limited transmit lets out above cwnd (RFC 3042). */
static uint32_t limited_transmit(const struct tcb *tcb)
{
	if (tcb->sack_on || tcb->rto_recovery || tcb->dupacks >= DUP_THRESH)
		return 0;
	return tcb->dupacks * (uint32_t)tcb->mss;
}

/* New data keeps to both windows (RFC 5681 2, RFC 6675). */
static void check_flight(struct sim_end *e, const struct tcp_seg_out *out)
{
	const struct tcb *tcb = &e->tcb;
	uint32_t end = out->seq + out->len, flight = end - tcb->snd_una;

	if (out->retransmit || out->len == 0 || tcb->snd_nxt != end + (out->flags & TCP_FIN))
		return;
	/* A tail loss probe may be one segment more (RFC 8985 7.3). */
	uint32_t cwnd = tcb->cc.cwnd + limited_transmit(tcb);

	if (out->len > 1 && sb_pipe(tcb) - (out->flags & TCP_FIN) > cwnd &&
	    !(tcb->sb && tcb->sb->tlp_out))
		sim_fail(e->sim, "end %u: pipe %u above cwnd %u", e->index, sb_pipe(tcb),
			 tcb->cc.cwnd);
	if (flight > tcb->snd_wnd)
		sim_fail(e->sim, "end %u: flight %u above the peer's window %u", e->index, flight,
			 tcb->snd_wnd);
}

void watch_memory(struct sim_end *e)
{
	uint32_t unit = 1u << (e->tcb.wscale_on ? e->tcb.rcv_wscale : 0);

	if (e->tcb.rcvq.bytes > e->tcb.rcv_buf_size + unit)
		sim_fail(e->sim, "end %u: %u bytes in a receive buffer of %u (unit %u)", e->index,
			 e->tcb.rcvq.bytes, e->tcb.rcv_buf_size, unit);
}

/* What a core wants to send it has asked for, or it has a timer that does in a moment. */
void watch_forgotten(struct sim_end *e)
{
	static struct counters counters;
	static struct tcp_seg_out out;
	struct tcb copy = e->tcb;
	struct tcp_cfg cfg = e->cfg;

	if (copy.pace_held && tcp_deadline(&copy) <= e->sim->now + PACE_SLACK_US)
		return;
	cfg.counters = &counters;
	copy.cfg = &cfg;
	if (tcp_output(&copy, e->sim->now, &out))
		sim_fail(e->sim, "end %u: output that nobody asked for (flags %#x len %u)",
			 e->index, out.flags, out.len);
}

/* ---- Congestion marks (RFC 3168 6.1). ---- */

/* Each of these is a window that was reduced, and told of once. */
static uint64_t reductions(const struct sim_end *e)
{
	return counter_read(&e->counters, C_TCP_ECN_REDUCED) +
	       counter_read(&e->counters, C_TCP_FAST_RETRANS) +
	       counter_read(&e->counters, C_TCP_TLP_REPAIRED) +
	       counter_read(&e->counters, C_TCP_RTO);
}

/*
 * Accurate ECN: every segment has the count of what came marked; the other side's view of it only grows, and
 * stays 0 where nothing was marked.  CWR is the counter's; what tells of a SYN-ACK is a bare ACK.
 */
static void check_accurate(struct sim_end *e, const struct tcp_seg_out *out)
{
	struct sim_watch *w = &e->watch;
	unsigned bits = (out->ae ? 4u : 0) | (out->flags >> 6 & 3);
	unsigned count = (unsigned)(counter_read(&e->counters, C_TCP_ECN_CE_IN) + 5) & 7;
	bool is_handshake = bits == 2 && out->len == 0 && out->opt.sack_count == 0;

	if (bits != count && !is_handshake)
		sim_fail(e->sim, "end %u: tells %u where %u is the count", e->index, bits, count);
	if (e->tcb.delivered_ce < w->delivered_ce)
		sim_fail(e->sim, "end %u: fewer marks than before", e->index);
	w->delivered_ce = e->tcb.delivered_ce;
	if ((w->delivered_ce > 0 || counter_read(&e->counters, C_TCP_ECN_REDUCED) > 0) &&
	    counter_read(&e->sim->end[!e->index].counters, C_TCP_ECN_CE_IN) == 0)
		sim_fail(e->sim, "end %u: knows of marks that nobody saw", e->index);
}

static void check_ecn(struct sim_end *e, const struct tcp_seg_out *out)
{
	struct sim_watch *w = &e->watch;
	bool ece = out->flags & TCP_ECE, cwr = out->flags & TCP_CWR;

	if (out->is_ect && (out->len == 0 || out->retransmit || !e->tcb.ecn_on))
		sim_fail(e->sim, "end %u: ECN-capable, %u bytes%s", e->index, out->len,
			 out->retransmit ? " again" : "");
	if (out->flags & (TCP_SYN | TCP_RST))
		return;
	if (e->has_tcb && e->tcb.acc.on) {
		check_accurate(e, out);
		return;
	}
	if (ece != w->echo)
		sim_fail(e->sim, "end %u: %s", e->index,
			 ece ? "echo of no mark" : "a mark without echo");
	if (!cwr)
		return;
	w->cwrs++;
	if (!out->is_ect)
		sim_fail(e->sim, "end %u: CWR on what is not ECN-capable", e->index);
	if (w->cwrs > reductions(e))
		sim_fail(e->sim, "end %u: CWR without a reduction", e->index);
	if (counter_read(&e->counters, C_TCP_ECN_REDUCED) > 0 &&
	    counter_read(&e->sim->end[!e->index].counters, C_TCP_ECN_CE_IN) == 0)
		sim_fail(e->sim, "end %u: reduced for marks that nobody saw", e->index);
}

/* Accurate ECN has no CWR, but a window is reduced once all the same (RFC 3168 6.1.2). */
void watch_reactions(struct sim_end *e)
{
	struct sim_watch *w = &e->watch;
	uint64_t ecn = counter_read(&e->counters, C_TCP_ECN_REDUCED);
	uint64_t undone = counter_read(&e->counters, C_TCP_UNDO_EIFEL) +
			  counter_read(&e->counters, C_TCP_UNDO_DSACK) +
			  counter_read(&e->counters, C_TCP_UNDO_FRTO);
	/* A probe that repaired something in a recovery reduces nothing more. */
	uint64_t all = reductions(e) - counter_read(&e->counters, C_TCP_TLP_REPAIRED) + undone;

	if (ecn > w->reduced_ecn && w->reducing && undone == 0 && e->tcb.acc.on &&
	    seq_le(e->tcb.snd_una, w->reduced_end))
		sim_fail(e->sim, "end %u: two reductions in a round trip", e->index);
	w->reduced_ecn = ecn;
	if (all != w->reduced) {
		w->reducing = true;
		w->reduced = all;
		w->reduced_end = e->tcb.snd_max;
	}
	if (seq_ge(e->tcb.snd_una, w->reduced_end) || !tcp_synchronized(&e->tcb))
		w->reducing = false; /* what is sent from here on is new */
}

void watch_output(struct sim_end *e, const struct tcp_seg_out *out)
{
	check_edge(e, out);
	check_flight(e, out);
	check_ecn(e, out);
}

void watch_input(struct sim_end *e, const struct tcp_seg *seg, enum drop why, uint64_t marks)
{
	struct sim_watch *w = &e->watch;
	bool counted = counter_read(&e->counters, C_TCP_ECN_CE_IN) > marks;

	if (seg->len > 0 && seg->ecn == IP_ECN_CE && why == DROP_NONE && !counted)
		sim_fail(e->sim, "end %u: a mark that counts for nothing", e->index);
	if (counted && (seg->len == 0 || seg->ecn != IP_ECN_CE))
		sim_fail(e->sim, "end %u: a mark that was not there", e->index);
	if (seg->flags & TCP_CWR && seg->len > 0 && (why == DROP_NONE || counted))
		w->echo = false;
	if (counted)
		w->echo = true;
	if (why != DROP_NONE && !counted)
		w->echo = e->tcb.ecn_echo; /* used in part, or not at all */
	watch_reactions(e);
}

/* ---- Sizes. ---- */

/* No packet is larger than what the core knows of the path, but for a probe (RFC 4821 7). */
void watch_piece(struct sim_end *e, const struct tcp_seg *seg)
{
	const struct tcb *tcb = &e->tcb;
	uint32_t size = seg->len + (uint32_t)tcp_opts_size(&seg->opt);
	uint16_t most = e->params.mss_local;

	if (!e->sim->split)
		return;
	if (e->has_tcb && tcp_synchronized(tcb)) {
		most = tcb->mss_path < most ? tcb->mss_path : most;
		most = tcb->mss_peer < most ? tcb->mss_peer : most;
		if (tcb->mtu_state == TCP_MTU_PROBING && seg->seq + seg->len == tcb->mtu_seq)
			most = tcb->mtu_size;
	}
	if (size > most)
		sim_fail(e->sim, "end %u: packet of %u where %u pass", e->index, size, most);
}

/* The path took none of a size; what goes again has to become smaller at some time. */
void watch_too_big(struct sim_end *e, const struct tcp_seg *seg, uint16_t mtu)
{
	struct sim_watch *w = &e->watch;

	if (w->too_big_una != e->tcb.snd_una || w->too_big_path != mtu) {
		w->too_big_una = e->tcb.snd_una;
		w->too_big_path = mtu;
		w->too_big = 0;
	}
	if (seg->seq == e->tcb.snd_una && ++w->too_big > TOO_BIG_MAX)
		sim_fail(e->sim, "end %u: %u packets at %d too big for an MTU of %u", e->index,
			 w->too_big, (int)(seg->seq - e->iss), mtu);
}
