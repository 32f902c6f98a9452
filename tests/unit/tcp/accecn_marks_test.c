/*
 * Accurate ECN (RFC 9768), the open connection: marks are counted and told in time, the sender follows
 * the counter and reduces once in a round trip.  In texts A, C and E are the counter's bits.
 */
#include "path.h"

/* 'n' segments in flight on a connection with accurate ECN, more queued; the counters stand at 5. */
static void counted_flight(const struct setup *setup, unsigned n)
{
	char options[100];

	ask_for_ecn(setup, TCP_ECN_ACCURATE);
	advance(RTT);
	inject("S.C 0:0 ack 1 win %u%s", w.peer_wnd, syn_options(options));
	drop_seen();
	CHECK(w.tcb.acc.on);
	if (n == 0)
		return;
	w.tcb.cc.cwnd = n * w.tcb.mss;
	send_bytes(3 * n * w.tcb.mss);
	CHECK_EQ(seen_count(), n);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(t->is_ect && t->ae && (t->flags & (TCP_ECE | TCP_CWR)) == TCP_ECE);
	advance(RTT);
}

/* The flags for a counter of 'count' marks. */
static const char *ace(unsigned count)
{
	static const char *const letters[] = {"", "E", "C", "EC", "A", "EA", "CA", "ECA"};

	return letters[(5 + count) & 7];
}

/* Every acceptable marked packet counts, whatever it carries; the counter goes round. */
static void test_marks_are_counted(void)
{
	unsigned at_byte = 1;

	counted_flight(&plain_setup, 0);
	for (unsigned i = 1; i <= 20; i++) {
		inject("P.%s %u:%u ack 1 ce", "EA", at_byte, at_byte + 100);
		at_byte += 100;
		advance(US_PER_S);
		drop_seen();
		CHECK_EQ(w.tcb.acc.r_cep, (5 + i) & 7);
		CHECK_EQ(count_of(C_TCP_ECN_CE_IN), i);
		recv_bytes(100);
		drop_seen();
	}
	inject(".EA %u:%u ack 1 ce", at_byte, at_byte); /* a bare ACK */
	CHECK_EQ(count_of(C_TCP_ECN_CE_IN), 21);
	inject("P.EA 1:101 ack 1 ce"); /* not acceptable */
	CHECK_EQ(count_of(C_TCP_ECN_CE_IN), 21);
	drop_seen();
	inject("P.EA %u:%u ack 1 ect", at_byte, at_byte + 100);
	advance(US_PER_S);
	expect(".%s 1:1 ack %u", ace(21), at_byte + 100);
	recv_bytes(100);
	drop_seen();
	end_world();
}

/* A device has joined packets: each of them was marked. */
static void test_joined_packets_count_as_many(void)
{
	counted_flight(&plain_setup, 0);
	struct tcp_seg seg = make_seg("P.EA 1:4001 ack 1 ce");

	seg.pieces = 3;
	inject_seg(&seg);
	CHECK_EQ(count_of(C_TCP_ECN_CE_IN), 3);
	expect(". 1:1 ack 4001"); /* 8 */
	recv_bytes(5000);
	drop_seen();
	end_world();
}

/* 3.2.2.5.1: at once when marks begin, then for every second one. */
static void test_marks_are_told_at_once(void)
{
	counted_flight(&plain_setup, 0);
	inject("P.EA 1:101 ack 1 ect");
	expect_none();
	inject("P.EA 101:201 ack 1 ce");
	expect(".CA 1:1 ack 201");
	inject("P.EA 201:301 ack 1 ce");
	expect_none();
	inject("P.EA 301:401 ack 1 ce");
	expect(". 1:1 ack 401"); /* 8 */
	inject("P.EA 401:501 ack 1 ect");
	expect_none();
	inject("P.EA 501:601 ack 1 ce");
	expect(".E 1:1 ack 601");
	/* Bare ACKs: every third. */
	inject(".EA 601:601 ack 1 ce");
	inject(".EA 601:601 ack 1 ce");
	expect_none();
	inject(".EA 601:601 ack 1 ce");
	expect(".A 1:1 ack 601");
	recv_bytes(1000);
	drop_seen();
	end_world();
}

/* One reduction in a round trip, without CWR; the count goes on. */
static void test_one_reduction_in_a_round_trip(void)
{
	counted_flight(&sack_setup, 20);
	for (unsigned i = 1; i <= 20; i++) {
		inject(".%s 1:1 ack %u", ace(i), at(i));
		CHECK_EQ(w.tcb.delivered_ce, i);
	}
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	CHECK_EQ(w.tcb.cc.cwnd, 16 * MSS);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;) /* still 5: no CWR */
		CHECK(t->is_ect && t->ae && (t->flags & (TCP_ECE | TCP_CWR)) == TCP_ECE);
	inject(".%s 1:1 ack %u", ace(21), at(21));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 2);
	/* The counter stands: no reduction, and the window grows again. */
	for (unsigned i = 22; i <= 60; i++)
		inject(".%s 1:1 ack %u", ace(21), at(i));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 2);
	struct tcp_status status;

	tcp_get_status(&w.tcb, w.now, &status);
	CHECK_EQ(status.delivered_ce, 21);
	CHECK(status.ecn_on);
	drop_seen();
	end_world();
}

/* A loss has reduced the window: marks on what left before it are of the same congestion. */
static void test_loss_and_marks_reduce_once(void)
{
	counted_flight(&sack_setup, 20);
	inject(".%s 1:1 ack 1 sack %u:%u", ace(0), at(1), at(17));
	CHECK(w.tcb.in_recovery);
	inject(".%s 1:1 ack %u", ace(3), at(20)); /* ends the recovery, and tells of marks */
	CHECK(!w.tcb.in_recovery);
	CHECK_EQ(w.tcb.delivered_ce, 3);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	drop_seen();
	inject(".%s 1:1 ack %u", ace(4), at(21));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	drop_seen();
	/* An end of the recovery that was none: there was no loss, and marks count. */
	counted_flight(&sack_ts_setup, 20);
	uint32_t ts = w.ts_last;

	inject(".%s 1:1 ack 1 sack %u:%u", ace(0), at(1), at(10));
	CHECK(w.tcb.in_recovery);
	drop_seen();
	advance(5 * US_PER_MS);
	inject(".%s 1:1 ack %u ts %u %u", ace(3), at(15), peer_clock(), ts);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 1);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	drop_seen();
	end_world();
}

/* A controller with a window of its own hears of marks once in a round trip, too. */
static void test_bbr_hears_once_in_a_round_trip(void)
{
	static uint64_t more[(1024 + 7) / 8];

	counted_flight(&sack_setup, 20);
	WEFT_ASSERT(tcp_cc_bbr.more_size <= sizeof(more));
	tcp_set_congestion(&w.tcb, &tcp_cc_bbr, more, w.now);
	for (unsigned i = 1; i <= 20; i++)
		inject(".%s 1:1 ack %u", ace(i), at(i));
	CHECK_EQ(w.tcb.delivered_ce, 20);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	drop_seen();
	end_world();
}

/* 3.2.2.2: what an ACK says that another has overtaken is no news. */
static void test_superseded_acks_are_ignored(void)
{
	counted_flight(&sack_setup, 20);
	inject(".%s 1:1 ack %u", ace(2), at(4));
	CHECK_EQ(w.tcb.delivered_ce, 2);
	inject(".%s 1:1 ack %u", ace(0), at(2));
	inject(".%s 1:1 ack %u", ace(1), at(4));
	CHECK_EQ(w.tcb.delivered_ce, 2);
	/* SACK blocks are news, and data is. */
	inject(".%s 1:1 ack %u sack %u:%u", ace(3), at(4), at(5), at(6));
	CHECK_EQ(w.tcb.delivered_ce, 3);
	inject("P.%s 1:101 ack %u", ace(5), at(4));
	CHECK_EQ(w.tcb.delivered_ce, 5);
	/* But not blocks of an old ACK, and not data that others have overtaken. */
	inject(".%s 101:101 ack %u sack %u:%u", ace(0), at(2), at(7), at(8));
	CHECK_EQ(w.tcb.delivered_ce, 5);
	inject("P.%s 201:301 ack %u", ace(6), at(4));
	CHECK_EQ(w.tcb.delivered_ce, 6);
	inject("P.%s 101:201 ack %u", ace(5), at(4));
	CHECK_EQ(w.tcb.delivered_ce, 6);
	recv_bytes(300);
	drop_seen();
	end_world();
}

/* 3.2.2.5.2: more than seven at once may have taken the counter round, where marks come in. */
static void test_counter_that_may_have_gone_round(void)
{
	counted_flight(&sack_setup, 40);
	inject(".%s 1:1 ack %u", ace(0), at(10)); /* none so far */
	CHECK_EQ(w.tcb.delivered_ce, 0);
	inject(".%s 1:1 ack %u", ace(2), at(17)); /* seven cannot */
	CHECK_EQ(w.tcb.delivered_ce, 2);
	inject(".%s 1:1 ack %u", ace(4), at(27)); /* ten can: 2 or 10 */
	CHECK_EQ(w.tcb.delivered_ce, 12);
	inject(".%s 1:1 ack %u", ace(12), at(35)); /* eight, in the same round trip: 0 or 8 */
	CHECK_EQ(w.tcb.delivered_ce, 20);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	drop_seen();
	end_world();
}

/* 3.2.2.4: a counter that begins with 0 was written by somebody else. */
static void test_zeroed_counter(void)
{
	counted_flight(&sack_setup, 20);
	inject(". 1:1 ack %u", at(2));
	CHECK(w.tcb.acc.deaf);
	CHECK_EQ(count_of(C_TCP_ECN_MANGLED), 1);
	for (unsigned i = 3; i <= 10; i++)
		inject(".%s 1:1 ack %u", ace(i), at(i));
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	CHECK_EQ(w.tcb.delivered_ce, 0);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(!t->is_ect && t->ae);
	/* Later a 0 is a number like others, and so where many packets may have led to it. */
	counted_flight(&sack_setup, 20);
	inject(".%s 1:1 ack %u", ace(1), at(2));
	inject(".%s 1:1 ack %u", ace(3), at(4));
	CHECK(!w.tcb.acc.deaf);
	CHECK_EQ(w.tcb.delivered_ce, 3);
	drop_seen();
	counted_flight(&sack_setup, 20);
	inject(".%s 1:1 ack %u", ace(3), at(5));
	CHECK(!w.tcb.acc.deaf);
	CHECK_EQ(w.tcb.delivered_ce, 3);
	drop_seen();
	/* Where nothing was ECN-capable nothing can have led to it. */
	counted_flight(&sack_setup, 20);
	w.tcb.ecn_mute = true;
	inject(".%s 1:1 ack %u", ace(3), at(5));
	CHECK(w.tcb.acc.deaf);
	CHECK_EQ(w.tcb.delivered_ce, 0);
	drop_seen();
	end_world();
}

/* A server with 'n' segments in flight. */
static void served_flight(unsigned n)
{
	begin_world(&sack_setup);
	w.cfg.ecn = TCP_ECN_ACCURATE;
	struct tcp_seg seg = make_seg("SECA 0:0 win 65535 mss 1460 sackok");

	tcp_synrcvd_init(&w.rec, &w.params, &seg, w.iss, w.now);
	synrcvd_flush();
	accept_by(".C 1:1 ack 1 win 65535");
	w.tcb.cc.cwnd = n * w.tcb.mss;
	send_bytes(n * w.tcb.mss);
	drop_seen();
	advance(RTT);
}

/* A client's handshake ACK, again or late, looks like five marks: more than one packet can have. */
static void test_late_handshake_ack_is_no_counter(void)
{
	served_flight(20);
	inject(".C 1:1 ack %u", at(1));
	CHECK_EQ(w.tcb.delivered_ce, 0);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
	inject(".%s 1:1 ack %u", ace(5), at(6)); /* five can have them */
	CHECK_EQ(w.tcb.delivered_ce, 5);
	drop_seen();
	/* A server sends none: the counter is believed, though packets were smaller than thought. */
	counted_flight(&sack_setup, 20);
	inject(".%s 1:1 ack %u", ace(5), at(1));
	CHECK_EQ(w.tcb.delivered_ce, 5);
	CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 1);
	drop_seen();
	end_world();
}

/* Header prediction takes a counter that stands. */
static void test_standing_counter_is_predicted(void)
{
	counted_flight(&sack_setup, 20);
	inject(".%s 1:1 ack %u", ace(1), at(1));
	uint64_t slow = count_of(C_TCP_SLOW_PATH);

	for (unsigned i = 2; i <= 10; i++)
		inject(".%s 1:1 ack %u", ace(1), at(i));
	CHECK_EQ(count_of(C_TCP_SLOW_PATH), slow);
	inject(".%s 1:1 ack %u", ace(2), at(11));
	CHECK_EQ(w.tcb.delivered_ce, 2);
	drop_seen();
	end_world();
}

/* What is sent again is not ECN-capable, and has the counter of now. */
static void test_retransmission_has_the_new_counter(void)
{
	counted_flight(&sack_setup, 10);
	inject("P.EA 1:101 ack 1 ce");
	drop_seen();
	recv_bytes(100);
	drop_seen();
	inject(".EA 101:101 ack 1 sack %u:%u", at(1), at(9));
	unsigned again = 0;

	for (const struct text *t; (t = take_seen()) != NULL;) {
		again += t->retransmit;
		CHECK(t->retransmit == (t->len > 0 && !t->is_ect));
		CHECK(t->ae && (t->flags & (TCP_ECE | TCP_CWR)) == TCP_CWR); /* 6 */
	}
	CHECK_EQ(again, 1);
	end_world();
}

/* More marks at once than the counter of the unsaid has room for; and ACKs while data waits for one. */
static void test_many_marks_are_told_at_once(void)
{
	counted_flight(&plain_setup, 0);
	inject("P.EA 1:101 ack 1 ce");
	expect(".CA 1:1 ack 101");
	struct tcp_seg seg = make_seg("P.EA 101:201 ack 1 ce");

	seg.pieces = 8;
	inject_seg(&seg);
	expect(".CA 1:1 ack 201"); /* 14 */
	inject("P.EA 201:301 ack 1 ect");
	inject(".EA 301:301 ack 1 ce");
	expect_none();
	inject(".EA 301:301 ack 1 ce"); /* the second: an ACK is owed anyway */
	expect(". 1:1 ack 301");
	recv_bytes(1000);
	drop_seen();
	/* A mark of a bare ACK and one of data. */
	counted_flight(&plain_setup, 0);
	inject(".EA 1:1 ack 1 ce");
	expect_none();
	inject("P.EA 1:101 ack 1 ce");
	expect(".ECA 1:1 ack 101");
	recv_bytes(1000);
	drop_seen();
	end_world();
}

/* With data or blocks it is no handshake's ACK, whatever its flags look like. */
static void test_counter_that_looks_like_a_handshake(void)
{
	served_flight(20);
	inject("P.C 1:101 ack %u", at(1));
	CHECK_EQ(w.tcb.delivered_ce, 5);
	recv_bytes(100);
	drop_seen();
	served_flight(20);
	inject(".C 1:1 ack %u sack %u:%u", at(1), at(2), at(3));
	CHECK_EQ(w.tcb.delivered_ce, 5);
	drop_seen();
	end_world();
}

/* Eight packets and more at the first sight of a mark: as many as can be. */
static void test_first_marks_of_many_packets(void)
{
	counted_flight(&sack_setup, 40);
	inject(".%s 1:1 ack %u", ace(2), at(10));
	CHECK_EQ(w.tcb.delivered_ce, 10);
	drop_seen();
	end_world();
}

/* What brings some data again left before what came meanwhile, or left twice. */
static void test_data_that_overlaps_tells_nothing(void)
{
	counted_flight(&sack_setup, 20);
	inject("P.%s 1:101 ack 1", ace(1));
	CHECK_EQ(w.tcb.delivered_ce, 1);
	inject("P.%s 51:151 ack 1", ace(2));
	CHECK_EQ(w.tcb.delivered_ce, 1);
	inject("P.%s 151:251 ack 1", ace(2));
	CHECK_EQ(w.tcb.delivered_ce, 2);
	recv_bytes(1000);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_accecn_marks", UNIT(marks_are_counted), UNIT(joined_packets_count_as_many),
	  UNIT(marks_are_told_at_once), UNIT(one_reduction_in_a_round_trip),
	  UNIT(loss_and_marks_reduce_once), UNIT(bbr_hears_once_in_a_round_trip),
	  UNIT(superseded_acks_are_ignored), UNIT(counter_that_may_have_gone_round),
	  UNIT(zeroed_counter), UNIT(late_handshake_ack_is_no_counter),
	  UNIT(standing_counter_is_predicted), UNIT(retransmission_has_the_new_counter),
	  UNIT(many_marks_are_told_at_once), UNIT(counter_that_looks_like_a_handshake),
	  UNIT(first_marks_of_many_packets), UNIT(data_that_overlaps_tells_nothing))
