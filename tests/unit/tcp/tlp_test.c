/*
 * Tail loss probes (RFC 8985 7): when, what, and what the answer means.
 */
#include "net/tcp/parts.h"
#include "path.h"

/* Sends 'n' segments; nothing answers. */
static void tail(const struct setup *setup, unsigned n)
{
	open_path(setup);
	send_bytes(n * MSS);
	drop_seen();
}

static void test_last_segment_is_sent_again_after_two_round_trips(void)
{
	tail(&sack_setup, 5);
	expect_after(2 * RTT, "P. 5841:7301 ack 1");
	CHECK_EQ(count_of(C_TCP_TLP_PROBE), 1);
	CHECK_EQ(count_of(C_TCP_RTO), 0);
	/* No second probe: the timeout is next, an RTO after the probe. */
	CHECK_EQ(w.tcb.t_probe, WEFT_TIME_NEVER);
	CHECK_EQ(w.tcb.t_rexmt, w.now + w.tcb.rto);
	expect_after(w.tcb.rto, ". 1:1461 ack 1");
	CHECK_EQ(count_of(C_TCP_TLP_PROBE), 1);
	drop_seen();
}

/* An ACK from before the probe brings a sample, but a second probe waits for the first's answer. */
static void test_one_probe_at_a_time(void)
{
	tail(&sack_setup, 5);
	expect_after(2 * RTT, "P. 5841:7301 ack 1");
	ack(2);
	CHECK(w.tcb.sb->tlp_sampled && w.tcb.sb->tlp_out);
	CHECK_EQ(w.tcb.t_probe, WEFT_TIME_NEVER);
	ack(5);
	inject(". 1:1 ack %u sack %u:%u", at(5), at(4), at(5));
	CHECK(!w.tcb.sb->tlp_out);
	send_bytes(2 * MSS);
	drop_seen();
	CHECK_EQ(w.tcb.t_probe, w.now + 2 * (weft_time_us)w.tcb.srtt);
	ack(7);
	drop_seen();
}

/* Without a sample since the last probe nobody knows whether two round trips are still that long. */
static void test_no_probe_before_a_new_sample(void)
{
	tail(&sack_setup, 1);
	pass_time(w.now + US_PER_S, true);
	CHECK_EQ(count_of(C_TCP_TLP_PROBE), 1);
	drop_seen();
	ack(1); /* of which copy is not to be known */
	inject(". 1:1 ack %u sack %u:%u", at(1), at(0), at(1));
	CHECK(!w.tcb.sb->tlp_out);
	send_bytes(2 * MSS);
	drop_seen();
	CHECK_EQ(w.tcb.t_probe, WEFT_TIME_NEVER);
	advance(RTT);
	ack(3);
	send_bytes(2 * MSS);
	drop_seen();
	CHECK(w.tcb.t_probe != WEFT_TIME_NEVER);
	ack(5);
	drop_seen();
}

static void test_one_segment_waits_for_a_delayed_ack(void)
{
	tail(&sack_setup, 1);
	CHECK_EQ(w.tcb.t_probe, time_min(w.now + 2 * RTT + TCP_TLP_ACK_DELAY, w.tcb.t_rexmt));
	ack(1);
	drop_seen();
}

static void test_new_data_is_the_better_probe(void)
{
	tail(&sack_setup, 10);
	send_bytes(5 * MSS); /* beyond cwnd */
	CHECK_EQ(seen_count(), 0);
	expect_after(2 * RTT, ". 14601:16061 ack 1");
	CHECK_EQ(w.tcb.retrans_total, 0);
	ack(11);
	CHECK(!w.tcb.sb->tlp_out);
	drop_seen();
}

static void test_no_probe_without_sack(void)
{
	static const struct setup plain = {.iss = 1000, .irs = 5000000};

	tail(&plain, 5);
	CHECK_EQ(w.tcb.t_probe, WEFT_TIME_NEVER);
	ack(5);
	drop_seen();
}

static void test_probe_shows_what_is_missing(void)
{
	tail(&sack_setup, 5);
	pass_time(w.now + US_PER_S, true);
	drop_seen();
	advance(RTT);
	sack(3, 4, 5); /* the probe arrived, segment 3 did not */
	pass_time(w.now + RTT, true);
	expect_segment(3);
	CHECK_EQ(count_of(C_TCP_RTO), 0);
	drop_seen();
}

static void test_repaired_loss_is_congestion(void)
{
	tail(&sack_setup, 5);
	uint32_t cwnd = w.tcb.cc.cwnd;
	pass_time(w.now + US_PER_S, true);
	drop_seen();
	advance(RTT);
	ack(5);
	CHECK(w.tcb.sb->tlp_out); /* nobody knows yet which copy it was */
	send_bytes(MSS);
	drop_seen();
	advance(RTT);
	ack(6);
	CHECK(!w.tcb.sb->tlp_out);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 1);
	CHECK_EQ(w.tcb.cc.ssthresh, 2 * MSS); /* of one segment in flight */
	CHECK(w.tcb.cc.cwnd < cwnd);
	drop_seen();
}

static void test_needless_probe_changes_nothing(void)
{
	tail(&sack_setup, 5);
	uint32_t cwnd = w.tcb.cc.cwnd;
	pass_time(w.now + US_PER_S, true);
	drop_seen();
	ack(5); /* the ACK was only late */
	inject(". 1:1 ack %u sack %u:%u", at(5), at(4), at(5));
	CHECK(!w.tcb.sb->tlp_out);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 0);
	CHECK(w.tcb.cc.cwnd >= cwnd);
	drop_seen();
	end_world();
}

/* While something is known to be missing, or is repaired, there is nothing to ask (7.2). */
static void test_no_probe_while_something_is_missing(void)
{
	struct scoreboard *sb;

	tail(&sack_setup, 5);
	sb = w.tcb.sb;
	CHECK(tlp_may_probe(&w.tcb));
	w.tcb.in_recovery = true;
	CHECK(!tlp_may_probe(&w.tcb));
	w.tcb.in_recovery = false;
	w.tcb.rto_recovery = true;
	CHECK(!tlp_may_probe(&w.tcb));
	w.tcb.rto_recovery = false;
	advance(RTT);
	sack(0, 1, 2);
	CHECK(sb->sacked > 0 && !w.tcb.in_recovery);
	CHECK(!tlp_may_probe(&w.tcb));
	sb->sacked -= MSS;
	CHECK(tlp_may_probe(&w.tcb));
	sb->lost += MSS;
	CHECK(!tlp_may_probe(&w.tcb));
	sb->lost -= MSS;
	sb->sacked += MSS;
	ack(5);
	drop_seen();
}

/* Two round trips of a path that has next to none are no time at all. */
static void test_probe_waits_for_the_least_time(void)
{
	tail(&sack_setup, 5);
	advance(100);
	w.tcb.srtt = 100;
	w.tcb.rto = 200 * US_PER_MS;
	ack(1);
	w.tcb.srtt = 100;
	CHECK_EQ(tlp_deadline(&w.tcb, w.now), w.now + TCP_TLP_MIN);
	ack(5);
	drop_seen();
}

/* A duplicate without a block: the original had arrived, and the peer has no D-SACKs (7.4.2). */
static void test_plain_duplicate_settles_a_probe(void)
{
	tail(&sack_setup, 5);
	pass_time(w.now + US_PER_S, true);
	drop_seen();
	ack(5);
	CHECK(w.tcb.sb->tlp_out);
	send_bytes(2 * MSS);
	drop_seen();
	ack(5);
	CHECK(!w.tcb.sb->tlp_out);
	ack(7);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 0);
	drop_seen();
}

/* The timeout has answered the loss: the probe before it does so no more. */
static void test_timeout_ends_a_probe(void)
{
	tail(&sack_setup, 5);
	while (count_of(C_TCP_RTO) == 0)
		pass_time(w.now + US_PER_MS, false);
	CHECK_EQ(count_of(C_TCP_TLP_PROBE), 1);
	CHECK(!w.tcb.sb->tlp_out);
	drop_seen();
	advance(RTT);
	ack(5);
	send_bytes(2 * MSS);
	drop_seen();
	advance(RTT);
	ack(7);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 0);
	drop_seen();
	end_world();
}

/* Fast recovery repairs what the probe repaired, too: one congestion. */
static void test_repair_in_recovery_is_one_congestion(void)
{
	open_path(&sack_setup);
	w.tcb.cc.cwnd = 20 * MSS;
	send_bytes(20 * MSS);
	drop_seen();
	pass_time(w.now + US_PER_S, true);
	expect_segment(19);
	advance(RTT);
	sack(0, 1, 19);
	CHECK(w.tcb.in_recovery);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	send_bytes(5 * MSS);
	CHECK_EQ(w.tcb.snd_nxt - w.iss, at(25));
	drop_seen();
	advance(RTT);
	ack(25);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 1);
	CHECK_EQ(w.tcb.cc.ssthresh, 10 * MSS);
	drop_seen();
}

/* A window of one segment does not grow by a loss, though ssthresh is two. */
static void test_repaired_loss_raises_no_window(void)
{
	tail(&sack_setup, 1);
	pass_time(w.now + US_PER_S, true);
	drop_seen();
	advance(RTT);
	ack(1);
	send_bytes(MSS);
	drop_seen();
	advance(RTT);
	w.tcb.cc.cwnd = MSS;
	w.tcb.cwnd_limited = false;
	ack(2);
	CHECK_EQ(count_of(C_TCP_TLP_REPAIRED), 1);
	CHECK_EQ(w.tcb.cc.ssthresh, 2 * MSS);
	CHECK_EQ(w.tcb.cc.cwnd, MSS);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_tlp", UNIT(last_segment_is_sent_again_after_two_round_trips),
	  UNIT(one_probe_at_a_time), UNIT(no_probe_before_a_new_sample),
	  UNIT(one_segment_waits_for_a_delayed_ack), UNIT(new_data_is_the_better_probe),
	  UNIT(no_probe_without_sack), UNIT(probe_shows_what_is_missing),
	  UNIT(repaired_loss_is_congestion), UNIT(needless_probe_changes_nothing),
	  UNIT(no_probe_while_something_is_missing), UNIT(probe_waits_for_the_least_time),
	  UNIT(plain_duplicate_settles_a_probe), UNIT(timeout_ends_a_probe),
	  UNIT(repair_in_recovery_is_one_congestion), UNIT(repaired_loss_raises_no_window))
