/*
 * What a sender does about congestion marks (RFC 3168 6.1.2, RFC 8511): one reduction in a window,
 * nothing sent again, CWR with the next new data, a timeout's wait when one segment is too much; and
 * a bottleneck that marks instead of dropping.  How the window comes down: ecn_cwr_test.c.
 */
#include "path.h"

/* How many segments seen are new data, how many of them have CWR; none is sent again. */
static unsigned new_data(unsigned *with_cwr)
{
	unsigned n = 0;

	for (const struct text *t; (t = take_seen()) != NULL;) {
		CHECK(!t->retransmit);
		n += t->len > 0;
		*with_cwr += (t->flags & TCP_CWR) != 0;
	}
	return n;
}

static void test_one_reduction_in_a_window(void)
{
	unsigned cwr = 0;

	marked_flight(&sack_setup, 20);
	w.tcb.cc.ssthresh = 10 * MSS;
	for (unsigned i = 1; i <= 20; i++) {
		inject(".E 1:1 ack %u", at(i));
		CHECK_EQ(w.tcb.cc.ssthresh, 16 * MSS); /* 0.8 */
	}
	CHECK_EQ(w.tcb.cc.cwnd, 16 * MSS); /* and no growth with ECE */
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	CHECK_EQ(new_data(&cwr), 16);
	CHECK_EQ(cwr, 1);
	/* The ACK of the segment with CWR: what it echoes is new. */
	inject(".E 1:1 ack %u", at(21));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 2);
	CHECK_EQ(w.tcb.cc.ssthresh, 16 * MSS * 8 / 10);
	CHECK_EQ(w.tcb.retrans_total, 0);
	drop_seen();
	end_world();
}

/* An echo in the peer's data counts as well, though it acknowledges nothing new. */
static void test_echo_with_data(void)
{
	marked_flight(&sack_setup, 20);
	inject("P.E 1:101 ack 1");
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	CHECK_EQ(w.tcb.cc.ssthresh, 16 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, 20 * MSS); /* nothing has arrived that another could replace */
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

static void test_echo_without_flight_or_negotiation(void)
{
	in_flight(&sack_setup, 10);
	inject(".E 1:1 ack %u", at(5));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	marked_flight(&sack_setup, 2);
	ack(2);
	ack(4);
	ack(6);
	drop_seen();
	inject("P.E 1:101 ack %u", at(6));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	CHECK(!w.tcb.cwr_due);
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

/* A loss and a mark in one window: one reduction, told with new data, not with what is sent again. */
static void test_loss_counts_for_the_same_window(void)
{
	marked_flight(&sack_setup, 20);
	inject(".E 1:1 ack 1 sack %u:%u", at(1), at(5));
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	for (unsigned i = 6; i <= 19; i++)
		inject(".E 1:1 ack 1 sack %u:%u", at(1), at(i));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	unsigned again = 0, cwr = 0, fresh = 0;

	for (const struct text *t; (t = take_seen()) != NULL;) {
		again += t->retransmit;
		CHECK(!t->retransmit || (!t->is_ect && !(t->flags & TCP_CWR)));
		fresh += !t->retransmit && t->len > 0;
		cwr += (t->flags & TCP_CWR) != 0;
	}
	CHECK_EQ(again, 1);
	CHECK(fresh > 0);
	CHECK_EQ(cwr, 1);
	/* Recovery ends, and the segment with CWR is not acknowledged yet. */
	inject(".E 1:1 ack %u", at(20));
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	drop_seen();
	end_world();
}

/* The same after a timeout. */
static void test_timeout_is_told(void)
{
	marked_flight(&plain_setup, 4);
	advance(3 * US_PER_S);
	CHECK(w.tcb.rto_recovery && w.tcb.cwr_due);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->retransmit && !(t->flags & TCP_CWR));
	inject(".E 1:1 ack %u", at(4));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	const struct text *t = take_seen();

	CHECK(t && !t->retransmit && (t->flags & TCP_CWR) && t->is_ect);
	drop_seen();
	end_world();
}

/* A reduction that was undone is not told. */
static void test_undone_reduction_is_not_told(void)
{
	marked_flight(&sack_ts_setup, 10);
	w.tcb.snd_wnd = 10u * w.tcb.mss; /* nothing new fits */
	w.peer_wnd = w.tcb.snd_wnd;
	uint32_t first = w.ts_last;

	advance(RTT);
	inject(". 1:1 ack 1 sack %u:%u ts 100000 %u", at(1), at(6), first);
	CHECK(w.tcb.in_recovery && w.tcb.cwr_due);
	inject(". 1:1 ack %u ts 100001 %u", at(6), first);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 1);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(!(t->flags & TCP_CWR));
	end_world();
}

/* Marks without end: down to one segment, then one in a timeout, then in two, in four. */
static void test_one_segment_is_too_much(void)
{
	unsigned next = 4, waits = 0;
	weft_time_us wait[4] = {0};

	marked_flight(&sack_setup, 4);
	send_bytes(100 * MSS);
	for (unsigned i = 0; i < 12 && waits < 4; i++) {
		weft_time_us from = w.now;

		inject(".E 1:1 ack %u", at(next));
		CHECK(w.tcb.cc.cwnd >= MSS);
		if (seen_count() == 0) {
			pass_time(w.now + 100 * US_PER_S, true);
			wait[waits++] = w.now - from;
		}
		const struct text *t = take_seen();

		CHECK(t && !t->retransmit && t->len == MSS);
		next++;
		for (; (t = take_seen()) != NULL; next++)
			CHECK(!t->retransmit);
		advance(RTT);
	}
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	CHECK_EQ(waits, 4);
	CHECK(wait[0] >= w.cfg.rto_min);
	CHECK(wait[1] > wait[0] * 15 / 10 && wait[2] > wait[1] * 15 / 10);
	CHECK(wait[3] > wait[2] * 15 / 10);
	CHECK_EQ(w.tcb.retrans_total, 0);
	/* An ACK without ECE: it goes on as ever. */
	ack(next);
	CHECK_EQ(w.tcb.ecn_holds, 0);
	CHECK_EQ(w.tcb.cc.cwnd, 2 * MSS);
	CHECK_EQ(seen_count(), 2);
	drop_seen();
	end_world();
}

/* ---- A bottleneck that marks. ---- */

enum {
	RATE_KB = 1250, /* bytes in a millisecond: 10 Mbit/s */
	MARK_AT = 10 * US_PER_MS,
	DROP_AT = 100 * US_PER_MS,
	ACKS_MAX = 4096,
};

static struct {
	struct {
		weft_time_us at;
		uint32_t end;
		bool ece;
	} ack[ACKS_MAX];

	unsigned head, tail, dropped, marked;
	weft_time_us busy;
	bool echo;
	uint32_t rcv_nxt;
} net;

static void into_queue(const struct text *t)
{
	weft_time_us leaves = time_max(net.busy, t->at);
	weft_time_us queue = leaves - t->at;

	if (t->len == 0)
		return;
	if (queue > DROP_AT) {
		net.dropped++;
		return;
	}
	net.busy = leaves + (weft_time_us)(t->len + 40) * US_PER_MS / RATE_KB;
	if (t->flags & TCP_CWR)
		net.echo = false;
	if (t->is_ect && queue > MARK_AT) {
		net.marked++;
		net.echo = true;
	}
	if (t->seq - w.iss == net.rcv_nxt)
		net.rcv_nxt += t->len;
	net.ack[net.tail % ACKS_MAX].at = net.busy + RTT;
	net.ack[net.tail % ACKS_MAX].end = net.rcv_nxt;
	net.ack[net.tail++ % ACKS_MAX].ece = net.echo;
	CHECK(net.tail - net.head <= ACKS_MAX);
}

static void run_net(weft_time_us us)
{
	weft_time_us end = w.now + us;

	while (w.now < end) {
		send_bytes(tcp_send_room(&w.tcb));
		for (const struct text *t; (t = take_seen()) != NULL;)
			into_queue(t);
		weft_time_us due = time_min(end, tcp_deadline(&w.tcb));

		if (net.head != net.tail && net.ack[net.head % ACKS_MAX].at <= due) {
			unsigned i = net.head++ % ACKS_MAX;

			w.now = time_max(w.now, net.ack[i].at);
			inject("%s 1:1 ack %u", net.ack[i].ece ? ".E" : ".", net.ack[i].end);
		} else {
			advance(time_max(due - w.now, 0));
		}
	}
}

static void through_marking_queue(const struct tcp_cc_ops *cc)
{
	memset(&net, 0, sizeof(net));
	net.rcv_nxt = 1;
	marked_flight(&full_setup, 1);
	drop_seen();
	tcp_cc_start(&w.tcb.cc, cc, w.tcb.mss, false, w.now);
	net.rcv_nxt = at(1);
	ack(1);
	run_net(5 * US_PER_S);
	uint32_t una = w.tcb.snd_una;

	run_net(20 * US_PER_S);
	double share = (double)(w.tcb.snd_una - una) * 1000 / RATE_KB / (20.0 * US_PER_S);

	printf("%s: share %.3f, %u marked, %u reductions\n", cc->name, share, net.marked,
	       (unsigned)count_of(C_TCP_ECN_REDUCED));
	CHECK(share > 0.94 && share <= 1.0); /* headers are 3 % */
	CHECK_EQ(net.dropped, 0);
	CHECK_EQ(w.tcb.retrans_total, 0);
	CHECK(count_of(C_TCP_ECN_REDUCED) >= 5);
	drop_seen();
	end_world();
}

static void test_marks_instead_of_losses(void)
{
	through_marking_queue(&tcp_cc_newreno);
	through_marking_queue(&tcp_cc_cubic);
}

UNIT_MAIN("tcp_ecn_sender", UNIT(one_reduction_in_a_window), UNIT(echo_with_data),
	  UNIT(echo_without_flight_or_negotiation), UNIT(loss_counts_for_the_same_window),
	  UNIT(timeout_is_told), UNIT(undone_reduction_is_not_told), UNIT(one_segment_is_too_much),
	  UNIT(marks_instead_of_losses))
