/*
 * Explicit congestion notification (RFC 3168): the handshake in all combinations, what the receiver
 * echoes, and which segments are ECN-capable.
 */
#include "script_open.h"

/* An active open with ECN asked for. */
static void asking(void)
{
	ask_for_ecn(&plain_setup, TCP_ECN_ON);
	expect("SEC 0:0");
}

static void negotiated(void)
{
	asking();
	inject("S.E 0:0 ack 1 mss 1460");
	expect(". 1:1 ack 1");
	CHECK(w.tcb.ecn_on);
}

/* A listener's answer to a SYN, and the connection behind it. */
static void passive(enum tcp_ecn mode, const char *syn, const char *syn_ack, bool is_on)
{
	answer_syn(mode, syn, syn_ack);
	accept_by(". 1:1 ack 1");
	CHECK_EQ(w.tcb.ecn_on, is_on);
	CHECK_EQ(counter_read(&w.counters, C_TCP_ECN_OPEN), is_on);
}

static void test_passive_handshake(void)
{
	passive(TCP_ECN_PASSIVE, "SEC 0:0", "S.E 0:0 ack 1", true);
	passive(TCP_ECN_ON, "SEC 0:0", "S.E 0:0 ack 1", true);
	passive(TCP_ECN_OFF, "SEC 0:0", "S. 0:0 ack 1", false);
	passive(TCP_ECN_ON, "S 0:0", "S. 0:0 ack 1", false);
	passive(TCP_ECN_ON, "SE 0:0", "S. 0:0 ack 1", false);
	passive(TCP_ECN_ON, "SC 0:0", "S. 0:0 ack 1", false);
	end_world();
}

/* The peer's SYN comes again without ECN: our answer with it may have been what was lost. */
static void test_repeated_syn_without_ecn_ends_it(void)
{
	begin_world(&plain_setup);
	struct tcp_seg seg = make_seg("SEC 0:0");

	tcp_synrcvd_init(&w.rec, &w.params, &seg, w.iss, w.now);
	synrcvd_flush();
	expect("S.E 0:0 ack 1");
	CHECK_EQ(synrcvd_in("SEC 0:0"), TCP_SYNRCVD_RESEND);
	expect("S.E 0:0 ack 1");
	CHECK_EQ(synrcvd_in("S 0:0"), TCP_SYNRCVD_RESEND);
	expect("S. 0:0 ack 1");
	accept_by(". 1:1 ack 1");
	CHECK(!w.tcb.ecn_on);
	end_world();
}

static void test_active_handshake(void)
{
	static const struct {
		const char *syn_ack;
		bool is_on;
	} cases[] = {
		{"S.E 0:0 ack 1", true},
		{"S. 0:0 ack 1", false},
		{"S.EC 0:0 ack 1", false}, /* only thrown back */
		{"S.C 0:0 ack 1", false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		asking();
		inject("%s", cases[i].syn_ack);
		expect(". 1:1 ack 1");
		CHECK_STATE(TCPS_ESTABLISHED);
		CHECK_EQ(w.tcb.ecn_on, cases[i].is_on);
		send_bytes(10);
		const struct text *t = take_seen();

		CHECK(t && t->len == 10 && t->is_ect == cases[i].is_on);
	}
	/* Who does not ask does not get it. */
	syn_sent(&plain_setup);
	inject("S.E 0:0 ack 1");
	CHECK(!w.tcb.ecn_on);
	drop_seen();
	end_world();
}

/* RFC 3168 6.1.1.1: then our data has no ECN, whatever the answer says. */
static void test_syn_sent_again_has_no_ecn(void)
{
	asking();
	expect_after(US_PER_S, "S 0:0");
	inject("S.E 0:0 ack 1");
	expect(". 1:1 ack 1");
	send_bytes(10);
	const struct text *t = take_seen();

	CHECK(t && !t->is_ect);
	inject(".E 1:1 ack 11"); /* of what? */
	CHECK_EQ(w.counters.value[C_TCP_ECN_REDUCED], 0);
	send_bytes(10);
	expect("P. 11:21 ack 1");
	end_world();
}

/* ... but who answers the first SYN may mark its data: we asked, so we listen (6.1.1). */
static void test_syn_sent_again_marks_are_echoed(void)
{
	asking();
	expect_after(US_PER_S, "S 0:0");
	inject("S.E 0:0 ack 1");
	expect(". 1:1 ack 1");
	inject("P. 1:101 ack 1 ce");
	expect(".E 1:1 ack 101");
	inject("P.C 101:201 ack 1 ect");
	advance(US_PER_S);
	expect(". 1:1 ack 201");
	/* Who answers without does not. */
	asking();
	expect_after(US_PER_S, "S 0:0");
	inject("S. 0:0 ack 1");
	expect(". 1:1 ack 1");
	inject("P. 1:101 ack 1 ce");
	advance(US_PER_S);
	expect(". 1:1 ack 101");
	end_world();
}

/* SYNs cross; theirs had ECN, their SYN-ACK has not: they sent a SYN without in between. */
static void test_crossing_syn_ack_without_ecn(void)
{
	asking();
	inject("SEC 0:0 mss 1460");
	expect("S.E 0:0 ack 1");
	inject("S. 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	drop_seen();
	send_bytes(10);
	const struct text *t = take_seen();

	CHECK(t && t->len == 10 && !t->is_ect);
	end_world();
}

static void test_simultaneous_open(void)
{
	asking();
	inject("SEC 0:0 mss 1460");
	expect("S.E 0:0 ack 1");
	inject("S.E 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK(w.tcb.ecn_on && !w.tcb.cwr_due);
	drop_seen();
	/* The other side did not ask. */
	asking();
	inject("S 0:0 mss 1460");
	expect("S. 0:0 ack 1");
	inject("S. 0:0 ack 1");
	CHECK(!w.tcb.ecn_on);
	drop_seen();
	/* We did not: our SYN was none of ECN's (6.1.1). */
	syn_sent(&plain_setup);
	inject("SEC 0:0 mss 1460");
	expect("S. 0:0 ack 1");
	CHECK(!w.tcb.ecn_on);
	end_world();
}

/* From a mark on every ACK says so, at once the first one, until CWR; a mark with CWR begins anew. */
static void test_marks_are_echoed_until_cwr(void)
{
	negotiated();
	inject("P. 1:101 ack 1 ce");
	expect(".E 1:1 ack 101");
	inject("P. 101:201 ack 1 ect");
	advance(US_PER_S);
	expect(".E 1:1 ack 201");
	send_bytes(10);
	expect("P.E 1:11 ack 201");
	inject("P.C 201:301 ack 11 ect");
	advance(US_PER_S);
	expect(". 11:11 ack 301");
	inject("P. 301:401 ack 11 ce");
	expect(".E 11:11 ack 401");
	inject("P.C 401:501 ack 11 ce");
	drop_seen();
	advance(US_PER_S);
	inject("P. 501:601 ack 11 ect");
	advance(US_PER_S);
	CHECK(w.tcb.ecn_echo);
	CHECK_EQ(counter_read(&w.counters, C_TCP_ECN_CE_IN), 3);
	CHECK_EQ(recv_bytes(1000), 600);
	drop_seen();
	end_world();
}

/* 6.1.5: a mark outside the window may be anybody's. */
static void test_marks_outside_the_window_are_ignored(void)
{
	negotiated();
	inject("P. 1:101 ack 1");
	inject("P. 1:101 ack 1 ce");
	inject("P. 900000:900100 ack 1 ce");
	CHECK(!w.tcb.ecn_echo);
	advance(US_PER_S);
	CHECK(seen_count() > 0);
	for (const struct text *t; (t = take_seen()) != NULL;)
		CHECK(!(t->flags & TCP_ECE));
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

static void test_marks_without_negotiation_are_ignored(void)
{
	established(&plain_setup);
	inject("P. 1:101 ack 1 ce");
	advance(US_PER_S);
	expect(". 1:1 ack 101");
	CHECK_EQ(counter_read(&w.counters, C_TCP_ECN_CE_IN), 0);
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

/* SYN, ACKs, probes and what is sent again are not ECN-capable; new data is (6.1.1, 6.1.4 to 6.1.6). */
static void test_only_new_data_is_ecn_capable(void)
{
	negotiated();
	send_bytes(100);
	const struct text *t = take_seen();

	CHECK(t && t->len == 100 && t->is_ect);
	advance(1100 * US_PER_MS); /* the timeout: the same again */
	CHECK(seen_count() > 0);
	while ((t = take_seen()) != NULL)
		CHECK(t->retransmit && !t->is_ect);
	inject(". 1:1 ack 101 win 0");
	send_bytes(100);
	expect_none();
	advance(5 * US_PER_S);
	CHECK(seen_count() > 0);
	while ((t = take_seen()) != NULL)
		CHECK(t->len <= 1 && !t->is_ect && !(t->flags & TCP_CWR));
	inject("P. 1:101 ack 101 win 0");
	advance(US_PER_S);
	CHECK(seen_count() > 0);
	while ((t = take_seen()) != NULL)
		CHECK(!t->is_ect);
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

static void test_status_tells_ecn(void)
{
	struct tcp_status status;

	negotiated();
	tcp_get_status(&w.tcb, w.now, &status);
	CHECK(status.ecn_on && !status.ecn_seen);
	inject("P. 1:101 ack 1 ect");
	tcp_get_status(&w.tcb, w.now, &status);
	CHECK(status.ecn_seen);
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

UNIT_MAIN("tcp_ecn", UNIT(passive_handshake), UNIT(repeated_syn_without_ecn_ends_it),
	  UNIT(active_handshake), UNIT(syn_sent_again_has_no_ecn),
	  UNIT(syn_sent_again_marks_are_echoed), UNIT(crossing_syn_ack_without_ecn),
	  UNIT(simultaneous_open), UNIT(marks_are_echoed_until_cwr),
	  UNIT(marks_outside_the_window_are_ignored), UNIT(marks_without_negotiation_are_ignored),
	  UNIT(only_new_data_is_ecn_capable), UNIT(status_tells_ecn))
