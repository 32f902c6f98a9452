/*
 * Small segments that are sent again: adjacent ones go as one (RFC 1122 4.2.2.15, RFC 9293 3.8.1), what
 * the scoreboard then knows of it, and packets as the measure after a timeout (RFC 5681 3.1).
 */
#include "path.h"
#include <stdlib.h>

enum { SIZE = 10 };

/* 'n' segments of 'size' bytes each are in flight, a millisecond apart. */
static void small_flight(const struct setup *setup, unsigned n, unsigned size)
{
	unsigned events = 0;

	open_path(setup);
	w.chunk = size;
	tcp_set_nodelay(&w.tcb, true, &events);
	for (unsigned i = 0; i < n; i++) {
		send_bytes(size);
		CHECK_EQ(seen_count(), 1);
		drop_seen();
		advance(US_PER_MS);
	}
}

static unsigned byte_at(unsigned i)
{
	return 1 + i * SIZE;
}

static void sack_small(unsigned from, unsigned to)
{
	inject(". 1:1 ack 1 sack %u:%u", byte_at(from), byte_at(to));
}

/* The timer goes off; what leaves then is the next that is seen. */
static void time_out(void)
{
	uint64_t before = count_of(C_TCP_RTO);

	while (count_of(C_TCP_RTO) == before) {
		drop_seen();
		pass_time(tcp_deadline(&w.tcb), true);
	}
}

static void test_timeout_sends_small_segments_as_one(void)
{
	small_flight(&sack_setup, 5, SIZE);
	uint32_t srtt = w.tcb.srtt;

	CHECK_EQ(w.tcb.sb->count, 5);
	time_out();
	expect("P. 1:51 ack 1");
	expect_none();
	CHECK_EQ(w.tcb.sb->count, 1);
	CHECK_EQ(w.tcb.sb->lost, 50);
	CHECK_EQ(w.tcb.sb->rexmit, 50);
	advance(RTT);
	inject(". 1:1 ack 51");
	CHECK_EQ(w.tcb.srtt, srtt); /* Karn: any of it may be the first copy */
	CHECK_EQ(w.tcb.delivered, 50);
	CHECK_EQ(sb_pipe(&w.tcb), 0);
	CHECK(!w.tcb.rto_recovery);
}

/* Up to a full segment; none is cut for it. */
static void test_no_more_than_a_segment(void)
{
	small_flight(&sack_setup, 5, 500);
	time_out();
	expect(". 1:1001 ack 1");
	expect_none();
	advance(RTT);
	inject(". 1:1 ack 1001");
	expect(". 1001:2001 ack 1");
	expect("P. 2001:2501 ack 1");
	expect_none();
}

static void test_fin_goes_with_it(void)
{
	unsigned events = 0;

	small_flight(&sack_setup, 3, SIZE);
	tcp_shutdown_write(&w.tcb, w.now, &events);
	after_call(events);
	expect("F. 31:31 ack 1");
	time_out();
	expect("FP. 1:31 ack 1");
	expect_none();
	inject(". 1:1 ack 32");
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

/* What the peer has is not sent again, so it ends a segment. */
static void test_sacked_segments_stand_between(void)
{
	small_flight(&sack_setup, 6, SIZE);
	w.tcb.rack_reordered = true; /* so that nothing is lost yet */
	sack_small(2, 3);
	time_out();
	expect(". 1:21 ack 1");
	expect_none();
	inject(". 1:1 ack 31");
	expect("P. 31:61 ack 1");
	expect_none();
	inject(". 1:1 ack 61");
	CHECK_EQ(w.tcb.delivered, 60);
}

/* RACK: what is lost goes as one, what may only be late stays alone. */
static void test_fast_recovery_joins_what_is_lost(void)
{
	small_flight(&sack_setup, 8, SIZE);
	advance(RTT);
	sack_small(4, 5);
	drop_seen();
	sack_small(4, 6);
	drop_seen();
	sack_small(4, 7);
	CHECK(w.tcb.in_recovery);
	expect(". 1:41 ack 1");
	expect_none();
	CHECK_EQ(w.tcb.sb->count, 3); /* 1:41, what is SACKed, 71:81 in flight */
	CHECK_EQ(w.tcb.sb->flying, 2);
	inject(". 1:1 ack 71");
	CHECK(!(sb_first(&w.tcb)->flags & (SB_LOST | SB_REXMIT | SB_EVER)));
	inject(". 1:1 ack 81");
	CHECK_EQ(count_of(C_TCP_RTO), 0);
	CHECK_EQ(w.tcb.retrans_total, 1);
	drop_seen();
}

/* The joined one is cut again where a first copy of its middle arrives, and lost again as a whole. */
static void test_first_copies_cut_it_again(void)
{
	small_flight(&sack_setup, 6, SIZE);
	time_out();
	expect("P. 1:61 ack 1");
	w.tcb.rack_reordered = true;
	sack_small(2, 4);
	CHECK_EQ(w.tcb.sb->count, 3);
	CHECK_EQ(w.tcb.sb->rexmit, 40);
	CHECK_EQ(w.tcb.delivered, 20);
	time_out();
	expect(". 1:21 ack 1");
	drop_seen();
	inject(". 1:1 ack 41");
	expect("P. 41:61 ack 1");
	inject(". 1:1 ack 61");
	CHECK_EQ(w.tcb.delivered, 60);
	drop_seen();
}

static void test_dsack_of_the_joined_segment_undoes(void)
{
	small_flight(&sack_setup, 8, SIZE);
	uint32_t cwnd = w.tcb.cc.cwnd;

	advance(RTT);
	sack_small(4, 5);
	sack_small(4, 6);
	sack_small(4, 7);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.sb->undo_rexmits, 40);
	drop_seen();
	inject(". 1:1 ack 71 sack %u:%u", byte_at(0), byte_at(2)); /* a part of it was needed */
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 0);
	inject(". 1:1 ack 71 sack %u:%u", byte_at(2), byte_at(4)); /* no, nothing */
	CHECK_EQ(count_of(C_TCP_UNDO_DSACK), 1);
	CHECK_EQ(w.tcb.cc.cwnd, cwnd);
	drop_seen();
}

/* An echo of before the timeout: what was not sent again is in flight as before, each by itself. */
static void test_eifel_leaves_the_rest_as_it_was(void)
{
	small_flight(&sack_ts_setup, 5, 500);
	uint32_t ts = w.ts_last - 4; /* of the first */

	time_out();
	expect(". 1:1001 ack 1");
	inject(". 1:1 ack 501 ts %u %u", peer_clock(), ts);
	CHECK_EQ(count_of(C_TCP_UNDO_EIFEL), 1);
	CHECK_EQ(w.tcb.sb->count, 4); /* 501:1001 and three more */
	CHECK_EQ(w.tcb.sb->lost, 0);
	CHECK_EQ(w.tcb.sb->flying, 4);
	drop_seen();
}

/* Views are as few as ever: a segment ends where they do. */
static void test_a_segment_has_only_so_many_views(void)
{
	small_flight(&sack_setup, TCP_VIEWS_MAX + 5, 1);
	time_out();
	expect(". 1:%u ack 1", 1 + TCP_VIEWS_MAX);
	expect_none();
	inject(". 1:1 ack %u", 1 + TCP_VIEWS_MAX);
	expect("P. %u:%u ack 1", 1 + TCP_VIEWS_MAX, TCP_VIEWS_MAX + 6);
	CHECK_EQ(w.tcb.sb->count, 1);
	drop_seen();
}

static unsigned grants;

static void *poor_memory(void *old, size_t size)
{
	if (size == 0) {
		free(old);
		return NULL;
	}
	if (grants == 0)
		return NULL;
	grants--;
	return realloc(old, size);
}

/* No record to cut with: the last one that the segment touches waits on, and goes once more. */
static void test_without_records_the_last_one_goes_again(void)
{
	unsigned events = 0;

	open_path(&sack_setup);
	tcp_set_nodelay(&w.tcb, true, &events);
	w.cfg.mem = poor_memory;
	grants = 1;
	w.chunk = 1;
	for (unsigned i = 0; i < SB_RECS_MIN; i++) {
		send_bytes(i == 0 ? 1 : 2);
		advance(US_PER_MS);
	}
	CHECK_EQ(w.tcb.sb->count, SB_RECS_MIN);
	drop_seen();
	time_out();
	expect(". 1:%u ack 1", 1 + TCP_VIEWS_MAX);
	CHECK_EQ(w.tcb.sb->count, 3);
	CHECK_EQ(sb_first(&w.tcb)->end - w.iss, TCP_VIEWS_MAX);
	inject(". 1:1 ack %u", 1 + TCP_VIEWS_MAX); /* no sign that the first copy came */
	CHECK_EQ(count_of(C_TCP_UNDO_FRTO), 0);
	expect("P. %u:24 ack 1", 1 + TCP_VIEWS_MAX);
	inject(". 1:1 ack 24");
	CHECK_EQ(w.tcb.delivered, 23);
	end_world();
}

/* Without SACK the third duplicate sends a segment's worth of small ones, as a partial ACK does. */
static void test_newreno_sends_a_segment_not_a_record(void)
{
	static const struct setup plain = {.iss = 0xffffe000u, .irs = 5000000};

	small_flight(&plain, 10, 500);
	advance(RTT);
	for (unsigned i = 0; i < 3; i++)
		inject(". 1:1 ack 1");
	CHECK(w.tcb.in_recovery);
	expect(". 1:1001 ack 1");
	expect_none();
	inject(". 1:1 ack 1001");
	expect(". 1001:2001 ack 1");
	expect_none();
	CHECK_EQ(w.tcb.retrans_total, 2);
	inject(". 1:1 ack 5001");
	CHECK(!w.tcb.in_recovery);
	drop_seen();
}

/* Every second one is there: cwnd has bytes for all the others at once, but is one segment. */
static void test_timeout_means_one_packet_however_small(void)
{
	unsigned una = 1;

	small_flight(&sack_setup, 30, SIZE);
	w.tcb.rack_reordered = true;
	for (unsigned i = 1; i < 30; i += 2)
		sack_small(i, i + 1);
	drop_seen();
	time_out();
	for (unsigned packets = 1; packets <= 4; packets *= 2) {
		CHECK_EQ(seen_count(), packets);
		while (seen_count() > 0) {
			const struct text *t = take_seen();

			CHECK_EQ(t->len, SIZE);
		}
		advance(US_PER_MS);
		una += 2 * SIZE * packets; /* with it what was SACKed behind it */
		inject(". 1:1 ack %u", una);
	}
	CHECK_EQ(seen_count(), 8);
	drop_seen();
	inject(". 1:1 ack %u", byte_at(30));
	CHECK_EQ(w.tcb.delivered, 300);
	CHECK(!w.tcb.rto_recovery);
}

/* ... nor does small new data make more packets of it; it gathers, and goes as one. */
static void test_new_data_after_a_timeout_counts_as_packets(void)
{
	small_flight(&sack_setup, 2, SIZE);
	time_out();
	expect("P. 1:21 ack 1");
	for (unsigned i = 0; i < 10; i++)
		send_bytes(SIZE);
	expect_none();
	inject(". 1:1 ack 21");
	expect("P. 21:121 ack 1");
	expect_none();
}

/* A path that takes no full segment, and says nothing, is found out by small ones that were joined. */
static void test_joined_segments_find_a_black_hole(void)
{
	small_flight(&sack_setup, 3, 480);
	w.cfg.mtu_probing = 1;
	time_out();
	expect("P. 1:1441 ack 1");
	time_out();
	expect("P. 1:1441 ack 1");
	time_out();
	CHECK_EQ(count_of(C_TCP_MTU_BLACK_HOLE), 1);
	expect(". 1:1241 ack 1");
	inject(". 1:1 ack 1241");
	expect("P. 1241:1441 ack 1");
	inject(". 1:1 ack 1441");
	CHECK_EQ(w.tcb.delivered, 1440);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_rexmit_join", UNIT(timeout_sends_small_segments_as_one),
	  UNIT(no_more_than_a_segment), UNIT(fin_goes_with_it), UNIT(sacked_segments_stand_between),
	  UNIT(fast_recovery_joins_what_is_lost), UNIT(first_copies_cut_it_again),
	  UNIT(dsack_of_the_joined_segment_undoes), UNIT(eifel_leaves_the_rest_as_it_was),
	  UNIT(a_segment_has_only_so_many_views), UNIT(without_records_the_last_one_goes_again),
	  UNIT(newreno_sends_a_segment_not_a_record), UNIT(timeout_means_one_packet_however_small),
	  UNIT(new_data_after_a_timeout_counts_as_packets), UNIT(joined_segments_find_a_black_hole))
