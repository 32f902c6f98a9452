/*
 * The table of legal edges against a second one, transcribed from RFC 9293 figure 5 and the texts
 * of 3.10 (abort, reset and time-outs lead to CLOSED from everywhere).
 */
#include "script_open.h"

struct edge {
	enum tcp_state from, to;
};

/* Figure 5; LISTEN is left out: it is never the state of a tcb. */
static const struct edge figure[] = {
	{TCPS_CLOSED, TCPS_SYN_SENT},        /* active OPEN, snd SYN */
	{TCPS_SYN_SENT, TCPS_SYN_RCVD},      /* rcv SYN, snd SYN,ACK */
	{TCPS_SYN_SENT, TCPS_ESTABLISHED},   /* rcv SYN,ACK, snd ACK */
	{TCPS_SYN_RCVD, TCPS_ESTABLISHED},   /* rcv ACK of SYN */
	{TCPS_SYN_RCVD, TCPS_FIN_WAIT_1},    /* CLOSE, snd FIN */
	{TCPS_ESTABLISHED, TCPS_FIN_WAIT_1}, /* CLOSE, snd FIN */
	{TCPS_ESTABLISHED, TCPS_CLOSE_WAIT}, /* rcv FIN, snd ACK */
	{TCPS_FIN_WAIT_1, TCPS_FIN_WAIT_2},  /* rcv ACK of FIN */
	{TCPS_FIN_WAIT_1, TCPS_CLOSING},     /* rcv FIN, snd ACK */
	{TCPS_FIN_WAIT_1, TCPS_TIME_WAIT},   /* note 2: rcv FIN and ACK of FIN */
	{TCPS_FIN_WAIT_2, TCPS_TIME_WAIT},   /* rcv FIN, snd ACK */
	{TCPS_CLOSE_WAIT, TCPS_LAST_ACK},    /* CLOSE, snd FIN */
	{TCPS_CLOSING, TCPS_TIME_WAIT},      /* rcv ACK of FIN */
	{TCPS_LAST_ACK, TCPS_CLOSED},        /* rcv ACK of FIN */
	{TCPS_TIME_WAIT, TCPS_CLOSED},       /* timeout 2 MSL */
};

/* May exist or not: a passive connection enters by tcp_open_passive, a FIN may come with the ACK. */
static bool may_differ(enum tcp_state from, enum tcp_state to)
{
	return (from == TCPS_CLOSED && to == TCPS_SYN_RCVD) ||
	       (from == TCPS_SYN_RCVD && to == TCPS_CLOSE_WAIT);
}

static bool in_figure(enum tcp_state from, enum tcp_state to)
{
	for (size_t i = 0; i < sizeof(figure) / sizeof(figure[0]); i++)
		if (figure[i].from == from && figure[i].to == to)
			return true;
	return to == TCPS_CLOSED && from != TCPS_CLOSED;
}

static void test_edges_are_those_of_figure_5(void)
{
	for (unsigned from = 0; from < TCPS_COUNT; from++)
		for (unsigned to = 0; to < TCPS_COUNT; to++) {
			enum tcp_state a = (enum tcp_state)from, b = (enum tcp_state)to;
			if (a == TCPS_LISTEN || b == TCPS_LISTEN || may_differ(a, b))
				continue;
			if (tcp_edge_legal(a, b) != in_figure(a, b))
				flunk(__FILE__, __LINE__, "edge %s to %s", tcp_state_name(a),
				      tcp_state_name(b));
		}
	CHECK(!tcp_edge_legal(TCPS_CLOSED, TCPS_LISTEN));
}

static void test_every_state_has_a_name_of_its_own(void)
{
	for (unsigned i = 0; i < TCPS_COUNT; i++) {
		const char *name = tcp_state_name((enum tcp_state)i);
		CHECK(name && *name);
		for (unsigned j = 0; name && j < i; j++)
			CHECK(strcmp(name, tcp_state_name((enum tcp_state)j)) != 0);
	}
}

static void test_each_edge_of_the_figure_is_taken(void)
{
	/* By the helpers; each checks the state that it reaches. */
	static void (*const paths[])(const struct setup *) = {syn_sent,   syn_rcvd,   established,
							      fin_wait_1, fin_wait_2, closing,
							      close_wait, last_ack,   time_wait};

	for (unsigned i = 0; i < 18; i++) {
		struct setup setup = {.iss = 0xffffffff, .irs = 0xffffffff, .passive = i % 2};
		paths[i / 2](&setup);
		drop_seen();
	}
	end_world();
}

static void test_new_tcb_is_closed_and_silent(void)
{
	struct tcp_seg_out out;

	begin_world(&plain_setup);
	CHECK_STATE(TCPS_CLOSED);
	tcb_check(&w.tcb);
	CHECK(!tcp_output(&w.tcb, w.now, &out));
	CHECK_EQ(tcp_deadline(&w.tcb), WEFT_TIME_NEVER);
	CHECK_EQ(tcp_send_room(&w.tcb), 0);
	end_world();
}

UNIT_MAIN("tcp_state", UNIT(edges_are_those_of_figure_5), UNIT(every_state_has_a_name_of_its_own),
	  UNIT(each_edge_of_the_figure_is_taken), UNIT(new_tcb_is_closed_and_silent))
