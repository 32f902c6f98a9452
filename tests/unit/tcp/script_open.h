/*
 * Starts worlds and brings their connection into any state, from an active or a passive opening,
 * with any options and initial sequence numbers.  Header-only; used by tests/unit/tcp.
 */
#ifndef WEFT_TESTS_TCP_SCRIPT_OPEN_H
#define WEFT_TESTS_TCP_SCRIPT_OPEN_H

#include "script.h"

/* Ten seconds before a 32-bit microsecond clock wraps. */
#define WORLD_START (((weft_time_us)1 << 32) - 10 * US_PER_S)

static inline void end_world(void)
{
	if (!w.pool)
		return;
	if (w.params.cfg)
		tcp_fini(&w.tcb);
	buf_queue_clear(&w.tcb.trash);
	CHECK_EQ(bufpool_lent(w.pool), 0);
	bufpool_free(w.pool);
	w.pool = NULL;
}

static inline uint32_t or_default(uint32_t value, uint32_t standard)
{
	return value ? value : standard;
}

/* A fresh world with a CLOSED connection; 'cfg' may be changed before anything happens. */
static inline void begin_world(const struct setup *setup)
{
	end_world();
	memset(&w, 0, sizeof(w));
	w.setup = *setup;
	w.pool = bufpool_new((size_t)1 << 30);
	w.now = w.start = WORLD_START;
	w.iss = setup->iss;
	w.irs = setup->irs;
	w.peer_wnd = or_default(setup->wnd, 65535);
	w.chunk = 3000;
	tcp_cfg_default(&w.cfg);
	w.cfg.cc = &tcp_cc_newreno; /* the scripts' numbers are Reno's */
	w.cfg.counters = &w.counters;
	w.cfg.mtu_probing = 0;            /* a mechanism of its own: mtu_test */
	w.cfg.pace_rtt = WEFT_TIME_NEVER; /* and pacing_test */
	w.params = (struct tcp_params){
		.cfg = &w.cfg,
		.rcv_buf_size = or_default(setup->rcv_buf, 65536),
		.snd_buf_size = or_default(setup->snd_buf, 1 << 20),
		.rcv_buf_max = or_default(setup->rcv_buf_max, 1 << 20),
		.ts_offset = 0xfffff000u,
		.mss_local = (uint16_t)or_default(setup->mss_local, setup->is_v6 ? 1440 : 1460),
		.is_v6 = setup->is_v6,
	};
	tcp_init(&w.tcb, &w.params);
}

/* The options of the peer's SYN or SYN-ACK as text. */
static inline const char *syn_options(char *text)
{
	const struct setup *s = &w.setup;
	int at = 0;

	text[0] = 0;
	if (!s->no_mss)
		at += snprintf(text + at, 100, " mss %u", or_default(s->mss_peer, 1460));
	if (s->wscale)
		at += snprintf(text + at, 100 - (size_t)at, " wscale %u",
			       or_default(s->wscale_peer, 2));
	if (s->sack)
		at += snprintf(text + at, 100 - (size_t)at, " sackok");
	if (s->ts)
		snprintf(text + at, 100 - (size_t)at, " ts %u %u", peer_clock(), w.ts_last);
	return text;
}

/* ---- A listener's half-open connection. ---- */

static inline void synrcvd_flush(void)
{
	struct tcp_seg_out out;

	while (tcp_synrcvd_output(&w.rec, &w.cfg, w.now, &out))
		note_segment(&out);
}

/* What the record makes of a segment; what it sends can be expected. */
static inline enum tcp_synrcvd_verdict synrcvd_in(const char *source)
{
	struct tcp_seg seg = make_seg(source);
	struct tcp_seg_out out;

	memset(&out, 0, sizeof(out));
	enum tcp_synrcvd_verdict verdict =
		tcp_synrcvd_input(&w.rec, &seg, &w.cfg, w.now, &out, &w.why);
	if (verdict == TCP_SYNRCVD_REPLY)
		note_segment(&out);
	else if (verdict == TCP_SYNRCVD_RESEND)
		synrcvd_flush();
	buf_put(&seg.buf);
	return verdict;
}

/* The peer's SYN reaches a listener: the SYN-ACK can be expected. */
static inline void listen_syn(const struct setup *setup)
{
	char options[100], source[TEXT_MAX];
	enum drop why = DROP_NONE;

	begin_world(setup);
	snprintf(source, sizeof(source), "S 0:0 win %u%s", w.peer_wnd, syn_options(options));
	struct tcp_seg seg = make_seg(source);
	CHECK_EQ(tcp_listen_input(&seg, &why), TCP_LISTEN_SYN);
	tcp_synrcvd_init(&w.rec, &w.params, &seg, w.iss, w.now);
	synrcvd_flush();
}

/* The record becomes a connection by the segment in 'source'. */
static inline void accept_by(const char *source)
{
	unsigned events = 0;

	w.tcb.ts_on = w.rec.ts_on; /* make_seg adds a timestamp */
	w.in_tcb = true;
	CHECK_EQ(synrcvd_in(source), TCP_SYNRCVD_ESTABLISHED);
	struct tcp_seg seg = make_seg(source);
	w.tcb.ts_on = false;
	tcp_open_passive(&w.tcb, &w.rec, w.now);
	tcb_check(&w.tcb);
	w.why = tcp_input(&w.tcb, &seg, w.now, &events);
	buf_put(&seg.buf);
	after_call(events);
}

/* ---- States. ---- */

static inline void syn_sent(const struct setup *setup)
{
	unsigned events = 0;

	begin_world(setup);
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	expect("S 0:0");
	w.in_tcb = true;
}

/* By a simultaneous open: the only way for a tcb to stay in SYN-RECEIVED. */
static inline void syn_rcvd(const struct setup *setup)
{
	char options[100];

	syn_sent(setup);
	inject("S 0:0 win %u%s", w.peer_wnd, syn_options(options));
	expect("S. 0:0 ack 1");
	CHECK_STATE(TCPS_SYN_RCVD);
}

static inline void established(const struct setup *setup)
{
	char options[100];

	if (setup->passive) {
		listen_syn(setup);
		expect("S. 0:0 ack 1");
		accept_by(". 1:1 ack 1");
	} else {
		syn_sent(setup);
		inject("S. 0:0 ack 1 win %u%s", w.peer_wnd, syn_options(options));
		expect(". 1:1 ack 1");
		if (setup->wscale)
			inject(". 1:1 ack 1"); /* the window, scaled */
	}
	expect_none();
	CHECK_STATE(TCPS_ESTABLISHED);
	CHECK(take_events() & TCP_EV_CONNECTED);
}

static inline void fin_wait_1(const struct setup *setup)
{
	established(setup);
	shutdown_write();
	expect("F. 1:1 ack 1");
	CHECK_STATE(TCPS_FIN_WAIT_1);
}

static inline void fin_wait_2(const struct setup *setup)
{
	fin_wait_1(setup);
	inject(". 1:1 ack 2");
	expect_none();
	CHECK_STATE(TCPS_FIN_WAIT_2);
}

static inline void close_wait(const struct setup *setup)
{
	established(setup);
	inject("F. 1:1 ack 1");
	expect(". 1:1 ack 2");
	CHECK_STATE(TCPS_CLOSE_WAIT);
}

static inline void closing(const struct setup *setup)
{
	fin_wait_1(setup);
	inject("F. 1:1 ack 1");
	expect(". 2:2 ack 2");
	CHECK_STATE(TCPS_CLOSING);
}

static inline void last_ack(const struct setup *setup)
{
	close_wait(setup);
	shutdown_write();
	expect("F. 1:1 ack 2");
	CHECK_STATE(TCPS_LAST_ACK);
}

static inline void time_wait(const struct setup *setup)
{
	fin_wait_2(setup);
	inject("F. 1:1 ack 2");
	expect(". 2:2 ack 2");
	CHECK_STATE(TCPS_TIME_WAIT);
	CHECK(w.events & TCP_EV_TIME_WAIT);
}

/* What each state has as SND.NXT and RCV.NXT, relative, when reached as above. */
struct reach {
	enum tcp_state state;
	void (*go)(const struct setup *setup);
	unsigned snd_nxt, rcv_nxt;
};

static const struct reach synchronized_states[] = {
	{TCPS_ESTABLISHED, established, 1, 1}, {TCPS_FIN_WAIT_1, fin_wait_1, 2, 1},
	{TCPS_FIN_WAIT_2, fin_wait_2, 2, 1},   {TCPS_CLOSE_WAIT, close_wait, 1, 2},
	{TCPS_CLOSING, closing, 2, 2},         {TCPS_LAST_ACK, last_ack, 2, 2},
};

enum { SYNCHRONIZED_STATES = sizeof(synchronized_states) / sizeof(synchronized_states[0]) };

/* Runs 'scenario' for each synchronized state but TIME-WAIT. */
static inline void for_each_state(void (*scenario)(const struct reach *r))
{
	static const struct setup plain = {.iss = 0xffffffffu, .irs = 0x7fffffffu};

	for (unsigned i = 0; i < SYNCHRONIZED_STATES; i++) {
		synchronized_states[i].go(&plain);
		drop_seen();
		take_events();
		scenario(&synchronized_states[i]);
		drop_seen();
	}
	end_world();
}

/* Runs 'scenario' for passive and active openings, with and without options, and extreme ISNs. */
static inline void for_each_setup(void (*scenario)(const struct setup *setup))
{
	static const uint32_t isns[] = {0, 0x7fffffffu, 0xffffffffu};

	for (unsigned i = 0; i < 36; i++) {
		struct setup setup = {.iss = isns[i % 3],
				      .irs = isns[i / 3 % 3],
				      .passive = i / 9 % 2,
				      .ts = i / 18 % 2,
				      .sack = i / 18 % 2,
				      .wscale = i / 18 % 2};
		scenario(&setup);
		drop_seen();
	}
	end_world();
}

/* Established with neither options nor special numbers: the plain case. */
static const struct setup plain_setup = {.iss = 1000, .irs = 5000000};
static const struct setup ts_setup = {.iss = 1000, .irs = 5000000, .ts = true};
static const struct setup full_setup = {
	.iss = 1000, .irs = 5000000, .ts = true, .sack = true, .wscale = true};

/* A SYN has left that asks for ECN. */
static inline void ask_for_ecn(const struct setup *setup, enum tcp_ecn mode)
{
	unsigned events = 0;

	begin_world(setup);
	w.cfg.ecn = mode;
	tcp_open_active(&w.tcb, w.iss, w.now, &events);
	after_call(events);
	w.in_tcb = true;
}

/* A listener's answer to 'syn'. */
static inline void answer_syn(enum tcp_ecn mode, const char *syn, const char *syn_ack)
{
	begin_world(&plain_setup);
	w.cfg.ecn = mode;
	struct tcp_seg seg = make_seg(syn);

	tcp_synrcvd_init(&w.rec, &w.params, &seg, w.iss, w.now);
	synrcvd_flush();
	expect("%s", syn_ack);
}

#endif
