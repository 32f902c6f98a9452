/*
 * Accurate ECN (RFC 9768), the handshake: who gets which mode, what tells of the IP-ECN field, lost SYNs
 * and SYN-ACKs, SYN cookies, and paths that change the field.  In texts A, C and E are the flags.
 */
#include "net/tcp/syncookie.h"
#include "net/tcp/timewait.h"
#include "path.h"
#include <errno.h>

static void asking(const struct setup *setup)
{
	ask_for_ecn(setup, TCP_ECN_ACCURATE);
	expect("SECA 0:0");
}

/* Whether new data is ECN-capable; the peer does not acknowledge it. */
static bool data_is_ect(void)
{
	drop_seen();
	send_bytes(10);
	const struct text *t = take_seen();

	return t && t->len == 10 && t->is_ect;
}

static void test_server_table(void)
{
	static const struct {
		const char *syn, *syn_ack;
		bool is_accurate, is_on;
	} cases[] = {
		{"SECA 0:0", "S.C 0:0 ack 1", true, true},
		{"SECA 0:0 ect1", "S.EC 0:0 ack 1", true, true},
		{"SECA 0:0 ect", "S.A 0:0 ack 1", true, true},
		{"SECA 0:0 ce", "S.CA 0:0 ack 1", true, true},
		{"SEC 0:0", "S.E 0:0 ack 1", false, true},
		{"S 0:0", "S. 0:0 ack 1", false, false},
		/* Without a meaning yet (3.1.3). */
		{"SA 0:0", "S.C 0:0 ack 1", true, true},
		{"SC 0:0", "S.C 0:0 ack 1", true, true},
		{"SE 0:0", "S.C 0:0 ack 1", true, true},
		{"SEA 0:0", "S.C 0:0 ack 1", true, true},
		{"SCA 0:0", "S.C 0:0 ack 1", true, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer_syn(i % 2 ? TCP_ECN_ACCURATE : TCP_ECN_ACCURATE_PASSIVE, cases[i].syn,
			   cases[i].syn_ack);
		accept_by(cases[i].is_accurate ? ".C 1:1 ack 1" : ". 1:1 ack 1");
		CHECK_EQ(w.tcb.acc.on, cases[i].is_accurate);
		CHECK_EQ(w.tcb.ecn_on, cases[i].is_on);
		CHECK_EQ(count_of(C_TCP_ECN_ACCURATE), cases[i].is_accurate);
		CHECK_EQ(data_is_ect(), cases[i].is_on);
	}
	/* Who has only the classic form takes the question for one. */
	answer_syn(TCP_ECN_PASSIVE, "SECA 0:0", "S.E 0:0 ack 1");
	answer_syn(TCP_ECN_OFF, "SECA 0:0", "S. 0:0 ack 1");
	end_world();
}

static void test_client_table(void)
{
	static const struct {
		const char *syn_ack, *ack;
		bool is_accurate, is_on, is_ect;
	} cases[] = {
		{"S.C 0:0 ack 1", ".C 1:1 ack 1", true, true, true},
		{"S.EA 0:0 ack 1", ".C 1:1 ack 1", true, true, true},
		{"S.EC 0:0 ack 1", ".C 1:1 ack 1", true, true, false},
		{"S.A 0:0 ack 1", ".C 1:1 ack 1", true, true, false},
		{"S.CA 0:0 ack 1", ".C 1:1 ack 1", true, true, false},
		{"S.E 0:0 ack 1", ". 1:1 ack 1", false, true, true},
		{"S. 0:0 ack 1", ". 1:1 ack 1", false, false, false},
		{"S.ECA 0:0 ack 1", ". 1:1 ack 1", false, false, false},
		{"S.C 0:0 ack 1 ect1", ".EC 1:1 ack 1", true, true, true},
		{"S.C 0:0 ack 1 ect", ".A 1:1 ack 1", true, true, true},
		{"S.C 0:0 ack 1 ce", ".CA 1:1 ack 1", true, true, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		asking(&plain_setup);
		inject("%s", cases[i].syn_ack);
		expect("%s", cases[i].ack);
		CHECK_STATE(TCPS_ESTABLISHED);
		CHECK_EQ(w.tcb.acc.on, cases[i].is_accurate);
		CHECK_EQ(w.tcb.ecn_on, cases[i].is_on);
		CHECK_EQ(w.tcb.delivered_ce, 0);
		CHECK_EQ(count_of(C_TCP_ECN_MANGLED), cases[i].is_accurate && !cases[i].is_ect);
		/* A SYN that was marked: as little as can be. */
		CHECK_EQ(w.tcb.cc.cwnd == w.tcb.mss, strncmp(cases[i].syn_ack, "S.CA", 4) == 0);
		CHECK_EQ(data_is_ect(), cases[i].is_ect);
		if (cases[i].is_accurate) { /* from here on it counts from 5, or 6 */
			inject("P.EA 1:101 ack 11");
			advance(US_PER_S);
			expect(i == 10 ? ".CA 11:11 ack 101" : ".EA 11:11 ack 101");
			CHECK_EQ(recv_bytes(1000), 100);
		}
	}
	end_world();
}

/* Data that waits for the handshake does not take the place of the ACK that tells of the SYN-ACK. */
static void test_bare_ack_goes_first(void)
{
	asking(&plain_setup);
	send_bytes(10);
	inject("S.C 0:0 ack 1 ect");
	expect(".A 1:1 ack 1");
	expect("P.EA 1:11 ack 1");
	/* The SYN-ACK again, with another field; marked ones count once. */
	inject("S.C 0:0 ack 1 ce");
	expect(".CA 11:11 ack 1");
	inject("S.C 0:0 ack 1 ce");
	expect(".CA 11:11 ack 1");
	inject(".EA 1:1 ack 11");
	send_bytes(10);
	expect("P.CA 11:21 ack 1"); /* 6 */
	end_world();
}

/* Table 4: what the ACK of the SYN-ACK says of it. */
static void test_server_learns_of_its_syn_ack(void)
{
	static const struct {
		const char *ack;
		unsigned marks;
		bool is_ect, is_deaf;
	} cases[] = {
		{". 1:1 ack 1", 0, false, true},
		{".E 1:1 ack 1", 0, true, false},
		{".C 1:1 ack 1", 0, true, false},
		{".EC 1:1 ack 1", 0, false, false},
		{".A 1:1 ack 1", 0, false, false},
		{".EA 1:1 ack 1", 0, true, false},
		{".CA 1:1 ack 1", 1, false, false},
		{".ECA 1:1 ack 1", 0, true, false},
		{"P.EA 1:11 ack 1", 0, true, false},
		/* With anything in it: no code of a handshake. */
		{"P. 1:11 ack 1", 0, true, false},
		{"F. 1:1 ack 1", 0, true, false},
		{". 1:1 ack 1 sack 1:2", 0, true, false},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer_syn(TCP_ECN_ACCURATE, "SECA 0:0", "S.C 0:0 ack 1");
		accept_by(cases[i].ack);
		CHECK(w.tcb.acc.on);
		CHECK_EQ(w.tcb.delivered_ce, cases[i].marks);
		CHECK_EQ(w.tcb.acc.deaf, cases[i].is_deaf);
		CHECK_EQ(w.tcb.cc.cwnd == w.tcb.mss, cases[i].marks > 0);
		CHECK_EQ(data_is_ect(), cases[i].is_ect);
		if (cases[i].is_deaf) { /* nothing that comes counts, but what came is told */
			inject(".A 1:1 ack 11 ce");
			CHECK_EQ(count_of(C_TCP_ECN_REDUCED), 0);
			send_bytes(10);
			expect("P.CA 11:21 ack 1");
		}
		recv_bytes(100);
		drop_seen();
	}
	end_world();
}

/* 3.1.4.1: once more, then without; whatever answers decides. */
static void test_lost_syns(void)
{
	asking(&plain_setup);
	expect_after(US_PER_S, "SECA 0:0");
	expect_after(2 * US_PER_S, "S 0:0");
	inject("S.C 0:0 ack 1");
	expect(".C 1:1 ack 1");
	CHECK(w.tcb.acc.on);
	CHECK(data_is_ect()); /* that side is sure to count */
	asking(&plain_setup);
	expect_after(US_PER_S, "SECA 0:0");
	expect_after(2 * US_PER_S, "S 0:0");
	inject("S. 0:0 ack 1");
	expect(". 1:1 ack 1");
	CHECK(!w.tcb.ecn_on && !data_is_ect());
	/* The classic form of the first one: RFC 3168's rule for plain SYNs. */
	asking(&plain_setup);
	expect_after(US_PER_S, "SECA 0:0");
	inject("S.E 0:0 ack 1");
	drop_seen();
	CHECK(w.tcb.ecn_on && !w.tcb.acc.on && data_is_ect());
	drop_seen();
	end_world();
}

/* 3.2.3.2.2: a second SYN-ACK as the first, then one without, and then our data has no ECN. */
static void test_lost_syn_acks(void)
{
	answer_syn(TCP_ECN_ACCURATE, "SECA 0:0 ect", "S.A 0:0 ack 1");
	for (unsigned i = 0; i < 2; i++) {
		w.now = tcp_synrcvd_deadline(&w.rec, &w.cfg, w.now);
		CHECK(tcp_synrcvd_tick(&w.rec, &w.cfg, w.now));
		synrcvd_flush();
		expect(i == 0 ? "S.A 0:0 ack 1" : "S. 0:0 ack 1");
	}
	accept_by(".C 1:1 ack 1");
	CHECK(w.tcb.acc.on && !data_is_ect());
	drop_seen();
	inject("P.EA 1:101 ack 1 ce"); /* its marks are told all the same */
	expect(".CA 11:11 ack 101");
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

/* 3.1.5: the mode stays, the last SYN's field is told; one kind of question only. */
static void test_syn_again(void)
{
	answer_syn(TCP_ECN_ACCURATE, "SECA 0:0", "S.C 0:0 ack 1");
	CHECK_EQ(synrcvd_in("SECA 0:0 ect"), TCP_SYNRCVD_RESEND);
	expect("S.A 0:0 ack 1");
	CHECK_EQ(synrcvd_in("S 0:0"), TCP_SYNRCVD_RESEND);
	expect("S.C 0:0 ack 1");
	accept_by(".C 1:1 ack 1");
	CHECK(w.tcb.acc.on && !data_is_ect());
	drop_seen();
	/* A classic question behind an accurate one, and the other way round. */
	answer_syn(TCP_ECN_ACCURATE, "SECA 0:0", "S.C 0:0 ack 1");
	CHECK_EQ(synrcvd_in("SEC 0:0"), TCP_SYNRCVD_RESET);
	answer_syn(TCP_ECN_ACCURATE, "SEC 0:0", "S.E 0:0 ack 1");
	CHECK_EQ(synrcvd_in("SECA 0:0"), TCP_SYNRCVD_RESET);
	/* None, and then one: too late. */
	answer_syn(TCP_ECN_ACCURATE, "S 0:0", "S. 0:0 ack 1");
	CHECK_EQ(synrcvd_in("SECA 0:0"), TCP_SYNRCVD_RESEND);
	expect("S. 0:0 ack 1");
	drop_seen();
	end_world();
}

static void test_crossing_syns_that_ask(void)
{
	asking(&plain_setup);
	inject("SECA 0:0 mss 1460 ect");
	expect("S.A 0:0 ack 1");
	inject("S.C 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK(w.tcb.acc.on && w.tcb.delivered_ce == 0 && !w.tcb.acc.deaf);
	CHECK(data_is_ect());
	/* The other side asks for the classic form, or for none. */
	asking(&plain_setup);
	inject("SEC 0:0 mss 1460");
	expect("S.E 0:0 ack 1");
	asking(&plain_setup);
	inject("S 0:0 mss 1460");
	expect("S. 0:0 ack 1");
	/* Its SYN-ACK is without: it may not count. */
	asking(&plain_setup);
	inject("SECA 0:0 mss 1460");
	expect("S.C 0:0 ack 1");
	inject("S. 0:0 ack 1");
	CHECK(w.tcb.acc.on && !data_is_ect());
	drop_seen();
	end_world();
}

/* Crossing SYNs: neither side is a client, and an open connection's ACKs have the counter. */
static void test_crossing_syns_come_again(void)
{
	asking(&plain_setup);
	inject("SECA 0:0 mss 1460");
	expect("S.C 0:0 ack 1");
	inject("SECA 0:0 mss 1460 ect"); /* of the last one is told (3.1.5) */
	expect("S.A 0:0 ack 1");
	inject("S.C 0:0 ack 1");
	CHECK_STATE(TCPS_ESTABLISHED);
	drop_seen();
	inject("S.C 0:0 ack 1");
	expect(".EA 1:1 ack 1");
	expect_none();
	CHECK(data_is_ect());
	/* Without the flags: it may not count. */
	asking(&plain_setup);
	inject("SECA 0:0 mss 1460");
	drop_seen();
	inject("S 0:0 mss 1460");
	drop_seen();
	inject("S.C 0:0 ack 1");
	CHECK(w.tcb.acc.on && !data_is_ect());
	/* Both kinds of questions (3.1.5). */
	for (unsigned i = 0; i < 2; i++) {
		asking(&plain_setup);
		inject(i == 0 ? "SECA 0:0 mss 1460" : "SEC 0:0 mss 1460");
		drop_seen();
		inject(i == 0 ? "SEC 1:1 mss 1460" : "SECA 1:1 mss 1460"); /* not that SYN */
		CHECK_STATE(TCPS_SYN_RCVD);
		drop_seen();
		inject(i == 0 ? "SEC 0:0 mss 1460" : "SECA 0:0 mss 1460");
		expect("R. 1:1 ack 1");
		CHECK_STATE(TCPS_CLOSED);
		CHECK_EQ(w.tcb.error, ECONNABORTED);
	}
	end_world();
}

/* The code of a client's ACK is no counter for who is past the handshake: to it that ACK is an old one. */
static void test_bare_ack_takes_no_data(void)
{
	asking(&plain_setup);
	inject("S.C 0:0 ack 1");
	expect(".C 1:1 ack 1");
	inject("P.EA 1:101 ack 1");
	inject("S.C 0:0 ack 1");
	expect(".C 1:1 ack 1");
	expect(".EA 1:1 ack 101"); /* the challenge ACK, with the counter */
	inject("S.C 0:0 ack 1");   /* that ACK may have been lost */
	expect(".C 1:1 ack 1");
	expect(".EA 1:1 ack 101");
	CHECK_EQ(recv_bytes(1000), 100);
	drop_seen();
	end_world();
}

/* 5.1: a cookie has no place for it; the ACK shows it. */
static void test_syn_cookies(void)
{
	static const struct {
		const char *syn, *syn_ack, *ack;
		bool is_accurate, is_on;
	} cases[] = {
		{"SECA 0:0 mss 1460", "S.C 0:0", ".C 1:1 ack 1", true, true},
		{"SECA 0:0 mss 1460 ect", "S.A 0:0", "P.EA 1:11 ack 1", true, true},
		{"SEC 0:0 mss 1460", "S. 0:0", ". 1:1 ack 1", false, false},
		{"S 0:0 mss 1460", "S. 0:0", ". 1:1 ack 1", false, false},
	};
	static const struct flow flow = {.local_port = 1, .remote_port = 2};
	struct syncookie_keys keys;

	memset(&keys, 7, sizeof(keys));
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tcp_seg_out out;

		begin_world(&plain_setup);
		w.cfg.ecn = TCP_ECN_ACCURATE_PASSIVE;
		struct tcp_seg seg = make_seg(cases[i].syn);

		syncookie_answer(&keys, &flow, &w.params, &seg, w.now, &out);
		w.iss = out.seq;
		note_segment(&out);
		expect("%s", cases[i].syn_ack);
		seg = make_seg(cases[i].ack);
		CHECK(syncookie_accept(&keys, &flow, &w.params, &seg, w.now, &w.rec));
		CHECK_EQ(tcp_synrcvd_acc(&w.rec) > 0, cases[i].is_accurate);
		CHECK_EQ(w.rec.ecn_on, cases[i].is_on);
		buf_put(&seg.buf);
	}
	end_world();
}

static void test_records_answer_with_the_counter(void)
{
	struct tcp_seg_out out;
	struct tcp_timewait tw;
	enum drop why;

	answer_syn(TCP_ECN_ACCURATE, "SECA 0:0", "S.C 0:0 ack 1");
	struct tcp_seg seg = make_seg(".EA 900000:900000 ack 1");

	memset(&out, 0, sizeof(out));
	CHECK_EQ(tcp_synrcvd_input(&w.rec, &seg, &w.cfg, w.now, &out, &why), TCP_SYNRCVD_REPLY);
	CHECK(out.ae && (out.flags & (TCP_ECE | TCP_CWR)) == TCP_ECE); /* 5 */
	accept_by(".C 1:1 ack 1");
	inject("P.EA 1:101 ack 1 ce");
	drop_seen();
	recv_bytes(100);
	drop_seen();
	tcp_timewait_init(&tw, &w.tcb, w.now);
	tw.ack_at_ms -= 60000;
	seg = make_seg("F.EA 90:90 ack 1");
	memset(&out, 0, sizeof(out));
	CHECK_EQ(tcp_timewait_input(&tw, &seg, &w.cfg, w.now, &out, &why), TCP_TIMEWAIT_REPLY);
	CHECK(out.ae && (out.flags & (TCP_ECE | TCP_CWR)) == TCP_CWR); /* 6 */
	end_world();
}

/* A crossing SYN that asks for nothing, and then one that does: too late. */
static void test_crossing_syn_that_asks_late(void)
{
	asking(&plain_setup);
	inject("S 0:0 mss 1460");
	drop_seen();
	inject("SECA 0:0 mss 1460");
	CHECK_STATE(TCPS_SYN_RCVD);
	drop_seen();
	end_world();
}

/* A SYN on an open connection is challenged; nothing of it is taken but a client's SYN-ACK again. */
static void test_syns_on_an_open_connection(void)
{
	static const char *const syns[] = {
		"S 0:0",            /* no question: but nobody waits for one any more */
		"S.CA 77:77 ack 1", /* another number */
		"S. 0:0 ack 1",     /* no code of an answer */
		"S.ECA 0:0 ack 1",
		"SEC 0:0", /* another question */
	};

	for (unsigned i = 0; i < sizeof(syns) / sizeof(syns[0]); i++) {
		asking(&plain_setup);
		inject("S.C 0:0 ack 1");
		expect(".C 1:1 ack 1");
		inject("%s", syns[i]);
		expect(".EA 1:1 ack 1");
		expect_none();
		CHECK(data_is_ect());
	}
	end_world();
}

/* A marked SYN or SYN-ACK is no measure for a controller that has its own. */
static void test_marked_syn_and_a_model_of_the_path(void)
{
	static struct tcp_cc_ops model;

	for (unsigned own = 0; own < 2; own++) {
		model = tcp_cc_newreno;
		model.owns_recovery = own;
		asking(&plain_setup);
		w.cfg.cc = &model;
		inject("S.CA 0:0 ack 1");
		CHECK_EQ(w.tcb.cc.cwnd, own ? 10 * w.tcb.mss : w.tcb.mss);
		drop_seen();
	}
	end_world();
}

UNIT_MAIN("tcp_accecn", UNIT(server_table), UNIT(client_table), UNIT(bare_ack_goes_first),
	  UNIT(server_learns_of_its_syn_ack), UNIT(lost_syns), UNIT(lost_syn_acks), UNIT(syn_again),
	  UNIT(crossing_syns_that_ask), UNIT(crossing_syns_come_again),
	  UNIT(bare_ack_takes_no_data), UNIT(syn_cookies), UNIT(records_answer_with_the_counter),
	  UNIT(crossing_syn_that_asks_late), UNIT(syns_on_an_open_connection),
	  UNIT(marked_syn_and_a_model_of_the_path))
