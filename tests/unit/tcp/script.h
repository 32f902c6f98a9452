/*
 * Scenario scripts for the sans-I/O TCP core on virtual time.  One world per program: a connection,
 * a clock, and the segments it sent.  A script injects what the peer sends and expects what must
 * come out, both as text with numbers relative to the initial sequence numbers:
 *
 *	inject("P. 1:101 ack 1 win 500");
 *	expect(". 1:1 ack 101");
 *
 * Text: flags (S F R P . U E C A, "-" for none; P is only required, never forbidden, in expect), seq:end
 * of the payload, then "ack N", "win N" (raw field), "up N", "mss N", "wscale N", "sackok",
 * "ts VAL ECR" (* for any), "sack A:B ..." and in expect "nots", "nosack", "nomss", "nowscale",
 * "nosackok"; in inject "ce", "ect" and "ect1" for the packet's ECN field.  What expect does not name is not compared.  Payload is a pattern of the position in
 * the stream and is verified on every segment and read; tcb_check runs after every call.
 */
#ifndef WEFT_TESTS_TCP_SCRIPT_H
#define WEFT_TESTS_TCP_SCRIPT_H

#include "net/base/prng.h"
#include "net/base/seq.h"
#include "net/tcp/synrcvd.h"
#include "net/tcp/tcp.h"
#include "net/tcp/timewait.h"
#include "net/wire/ip.h"
#include "script_types.h"
#include "unit.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum { SEEN_MAX = 4096, OURS = 0, PEERS = 0x5a, TEXT_MAX = 256 };

struct world {
	struct tcb tcb;
	struct tcp_synrcvd rec;
	struct tcp_timewait tw;
	struct tcp_cfg cfg;
	struct tcp_params params;
	struct counters counters;
	struct bufpool *pool;
	struct setup setup;
	weft_time_us now, start;
	uint32_t iss, irs;
	uint32_t queued, read;  /* bytes the application sent and received */
	uint32_t peer_wnd;      /* raw window field of injected segments */
	uint32_t ts_last, edge; /* last TSval seen; largest right edge announced */
	uint32_t chunk;         /* size of the buffers of send_bytes */
	bool edge_known, raw_gso, in_tcb;
	bool in_batch; /* output waits for end_batch */
	unsigned batch_events;
	unsigned events;     /* since the last take_events */
	enum drop why;       /* of the last injected segment */
	unsigned head, tail; /* of seen */
	struct text seen[SEEN_MAX];
};

static struct world w;

static inline uint8_t pattern(uint32_t at, uint8_t salt)
{
	return (uint8_t)(at * 31 + (at >> 8) * 17 + (at >> 16) * 5 + salt);
}

__attribute__((format(printf, 3, 4))) static inline void flunk(const char *file, int line,
							       const char *fmt, ...)
{
	static unsigned printed;
	va_list args;

	if (printed++ < 40) {
		va_start(args, fmt);
		printf("\n%s:%d: ", file, line);
		vprintf(fmt, args);
		va_end(args);
		printf("\n    state %s, iss %#x irs %#x %s%s%s%s\n", tcp_state_name(w.tcb.state),
		       w.iss, w.irs, w.setup.passive ? "passive" : "active",
		       w.setup.ts ? " ts" : "", w.setup.sack ? " sack" : "",
		       w.setup.wscale ? " wscale" : "");
	}
	CU_assertImplementation(CU_FALSE, (unsigned)line, "script", file, "", CU_FALSE);
}

#define CHECK(cond)                                                                                \
	((cond) ? CU_assertImplementation(CU_TRUE, __LINE__, #cond, __FILE__, "", CU_FALSE)        \
		: (flunk(__FILE__, __LINE__, "%s", #cond), (CU_BOOL)0))

#define CHECK_EQ(a, b) check_eq(__FILE__, __LINE__, #a " == " #b, (int64_t)(a), (int64_t)(b))

static inline bool check_eq(const char *file, int line, const char *what, int64_t a, int64_t b)
{
	if (a == b)
		return CU_assertImplementation(CU_TRUE, (unsigned)line, what, file, "", CU_FALSE);
	flunk(file, line, "%s: %lld and %lld", what, (long long)a, (long long)b);
	return false;
}

/* ---- Text to segment and back. ---- */

static inline uint32_t number(const char *text)
{
	return (uint32_t)strtoll(text, NULL, 0);
}

static inline uint8_t parse_flags(const char *text)
{
	static const char letters[] = "FSRP.UEC";
	uint8_t flags = 0;

	for (; *text; text++) {
		const char *at = strchr(letters, *text);
		if (at)
			flags |= (uint8_t)(1u << (at - letters));
	}
	return flags;
}

/* The options and negations that take no argument; false when 'word' is none of them. */
static inline bool parse_plain(struct text *t, const char *word)
{
	if (strcmp(word, "sackok") == 0)
		t->opt.has_sack_ok = true;
	else if (strcmp(word, "ce") == 0)
		t->ecn = IP_ECN_CE;
	else if (strcmp(word, "ect") == 0)
		t->ecn = IP_ECN_ECT0;
	else if (strcmp(word, "ect1") == 0)
		t->ecn = IP_ECN_ECT1;
	else if (strcmp(word, "nots") == 0)
		t->no_ts = true;
	else if (strcmp(word, "nosack") == 0)
		t->no_sack = true;
	else if (strcmp(word, "nomss") == 0)
		t->no_mss = true;
	else if (strcmp(word, "nowscale") == 0)
		t->no_wscale = true;
	else if (strcmp(word, "nosackok") == 0)
		t->no_sack_ok = true;
	else
		return false;
	return true;
}

static inline void parse_value(struct text *t, const char *word, const char *value, char **rest)
{
	if (strcmp(word, "ack") == 0) {
		t->has_ack = true;
		t->ack = number(value);
	} else if (strcmp(word, "win") == 0) {
		t->has_wnd = true;
		t->wnd = number(value);
	} else if (strcmp(word, "up") == 0) {
		t->has_up = true;
		t->up = number(value);
	} else if (strcmp(word, "mss") == 0) {
		t->opt.has_mss = true;
		t->opt.mss = (uint16_t)number(value);
	} else if (strcmp(word, "wscale") == 0) {
		t->opt.has_wscale = true;
		t->opt.wscale = (uint8_t)number(value);
	} else if (strcmp(word, "ts") == 0) {
		const char *ecr = strtok_r(NULL, " ", rest);
		t->opt.has_ts = true;
		t->ts_val_any = *value == '*';
		t->ts_ecr_any = !ecr || *ecr == '*';
		t->opt.ts_val = number(value);
		t->opt.ts_ecr = ecr ? number(ecr) : 0;
	} else {
		flunk(__FILE__, __LINE__, "bad word in script: %s", word);
	}
}

/* Adds 'seq0' to the text's own sequence numbers and 'ack0' to those of the other direction. */
static inline struct text parse_text(const char *source, uint32_t seq0, uint32_t ack0)
{
	struct text t = {.flags = 0};
	char copy[TEXT_MAX];
	char *rest = NULL;
	bool in_sack = false;

	snprintf(copy, sizeof(copy), "%s", source);
	const char *flags = strtok_r(copy, " ", &rest);

	t.flags = parse_flags(flags);
	t.ae = strchr(flags, 'A') != NULL;
	const char *range = strtok_r(NULL, " ", &rest);
	const char *colon = range ? strchr(range, ':') : NULL;
	if (!colon) {
		flunk(__FILE__, __LINE__, "bad script: %s", source);
		return t;
	}
	t.seq = number(range) + seq0;
	t.len = number(colon + 1) - number(range);
	for (char *word; (word = strtok_r(NULL, " ", &rest)) != NULL;) {
		colon = strchr(word, ':');
		if (in_sack && colon && t.opt.sack_count < TCP_SACK_MAX) {
			t.opt.sack[t.opt.sack_count].start = number(word) + ack0;
			t.opt.sack[t.opt.sack_count++].end = number(colon + 1) + ack0;
			continue;
		}
		in_sack = strcmp(word, "sack") == 0;
		if (in_sack || parse_plain(&t, word))
			continue;
		const char *value = strtok_r(NULL, " ", &rest);
		parse_value(&t, word, value ? value : "0", &rest);
	}
	t.ack += ack0;
	return t;
}

static inline const char *print_text(const struct text *t, char *buf)
{
	static const char letters[] = "FSRP.UEC";
	char flags[11];
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		if (t->flags & 1u << i)
			flags[n++] = letters[i];
	if (t->ae)
		flags[n++] = 'A';
	flags[n] = 0;
	int at = snprintf(buf, TEXT_MAX, "%-3s %d:%d ack %d win %u", n ? flags : "-",
			  (int32_t)(t->seq - w.iss), (int32_t)(t->seq - w.iss + t->len),
			  (int32_t)(t->ack - w.irs), t->wnd);
	if (t->opt.has_mss)
		at += snprintf(buf + at, TEXT_MAX - (size_t)at, " mss %u", t->opt.mss);
	if (t->opt.has_wscale)
		at += snprintf(buf + at, TEXT_MAX - (size_t)at, " wscale %u", t->opt.wscale);
	if (t->opt.has_sack_ok)
		at += snprintf(buf + at, TEXT_MAX - (size_t)at, " sackok");
	if (t->opt.has_ts)
		at += snprintf(buf + at, TEXT_MAX - (size_t)at, " ts %u %u", t->opt.ts_val,
			       t->opt.ts_ecr);
	for (unsigned i = 0; i < t->opt.sack_count; i++)
		at += snprintf(buf + at, TEXT_MAX - (size_t)at, " sack %d:%d",
			       (int32_t)(t->opt.sack[i].start - w.irs),
			       (int32_t)(t->opt.sack[i].end - w.irs));
	snprintf(buf + at, TEXT_MAX - (size_t)at, " at +%.6f",
		 (double)(t->at - w.start) / US_PER_S);
	return buf;
}

/* ---- What comes out. ---- */

/* Rules that hold for every segment of a connection. */
static inline void judge_segment(const struct tcp_seg_out *o)
{
	const struct tcb *tcb = &w.tcb;
	uint32_t edge = o->ack + ((uint32_t)o->wnd << (tcb->wscale_on ? tcb->rcv_wscale : 0));

	if (!(o->flags & TCP_SYN)) {
		CHECK(!o->opt.has_mss && !o->opt.has_wscale && !o->opt.has_sack_ok);
		CHECK(o->flags & TCP_RST || o->opt.has_ts == tcb->ts_on);
		CHECK(tcb->sack_on || o->opt.sack_count == 0);
	}
	CHECK(tcp_opts_size(&o->opt) <= TCP_OPT_MAX);
	CHECK(!o->is_ect || (tcb->ecn_on && o->len > 0 && !o->retransmit));
	if (o->len > 0 || o->flags & TCP_FIN)
		CHECK(!(o->flags & TCP_RST));
	if (o->flags & TCP_SYN || o->flags & TCP_RST || !(o->flags & TCP_ACK))
		return;
	/* RFC 7323 2.4: less than one unit may seem to be taken back by rounding. */
	uint32_t slack = tcb->wscale_on ? (1u << tcb->rcv_wscale) - 1 : 0;
	if (w.edge_known && !CHECK(seq_ge(edge + slack, w.edge)))
		printf("    right edge %d after %d\n", (int32_t)(edge - w.irs),
		       (int32_t)(w.edge - w.irs));
	w.edge = w.edge_known ? seq_max(edge, w.edge) : edge;
	w.edge_known = true;
}

static inline void judge_payload(const struct tcp_seg_out *o)
{
	uint32_t at = o->seq - w.iss - 1, total = 0;
	unsigned wrong = 0;

	for (unsigned i = 0; i < o->view_count; i++)
		for (uint32_t j = 0; j < o->view[i].len; j++, total++)
			wrong += o->view[i].data[j] != pattern(at + total, OURS);
	if (o->len > 0)
		CHECK(wrong == 0);
	CHECK_EQ(total, o->len);
	CHECK(o->len == 0 || seq_le(at + o->len, w.queued));
}

/* Notes a segment, cut at its mss as a device without offload does. */
static inline void note_segment(const struct tcp_seg_out *o)
{
	uint32_t done = 0;

	do {
		struct text *t = &w.seen[w.tail++ % SEEN_MAX];
		uint32_t part = o->len - done;
		bool last = w.raw_gso || o->mss == 0 || part <= o->mss;
		*t = (struct text){.at = w.now,
				   .seq = o->seq + done,
				   .ack = o->ack,
				   .len = last ? part : o->mss,
				   .wnd = o->wnd,
				   .up = o->up,
				   .flags = o->flags,
				   .ae = o->ae,
				   .retransmit = o->retransmit,
				   .is_ect = o->is_ect,
				   .opt = o->opt};
		if (!last)
			t->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		done += t->len;
	} while (done < o->len);
	if (o->opt.has_ts)
		w.ts_last = o->opt.ts_val;
	if (w.tail - w.head > SEEN_MAX)
		flunk(__FILE__, __LINE__, "more than %d segments nobody looked at", SEEN_MAX);
}

/* Whether output is there to be had though nobody asked for it: tried on a copy. */
static inline bool output_forgotten(void)
{
	struct tcb copy = w.tcb;
	struct tcp_cfg cfg = w.cfg;
	static struct counters counters;
	struct tcp_seg_out out;

	cfg.counters = &counters;
	copy.cfg = &cfg;
	return tcp_output(&copy, w.now, &out);
}

/* What the owner does after every call. */
static inline void after_call(unsigned events)
{
	struct tcp_seg_out out;

	w.events |= events;
	buf_queue_clear(&w.tcb.trash);
	tcb_check(&w.tcb);
	if (w.in_batch) {
		w.batch_events |= events;
		return;
	}
	if (!(events & TCP_EV_OUTPUT)) {
		CHECK(!output_forgotten());
		return;
	}
	for (unsigned n = 0; tcp_output(&w.tcb, w.now, &out); n++) {
		judge_segment(&out);
		judge_payload(&out);
		note_segment(&out);
		tcb_check(&w.tcb);
		if (n > 2000) {
			flunk(__FILE__, __LINE__, "tcp_output does not end");
			break;
		}
	}
	buf_queue_clear(&w.tcb.trash);
}

/* What is injected until end_batch comes together: a stack asks for output behind the last of it. */
static inline void begin_batch(void)
{
	w.in_batch = true;
	w.batch_events = 0;
}

static inline void end_batch(void)
{
	w.in_batch = false;
	after_call(w.batch_events);
}

static inline unsigned seen_count(void)
{
	return w.tail - w.head;
}

/* The next segment that nobody looked at, or NULL. */
static inline const struct text *take_seen(void)
{
	return w.head == w.tail ? NULL : &w.seen[w.head++ % SEEN_MAX];
}

static inline void drop_seen(void)
{
	w.head = w.tail;
}

static inline unsigned take_events(void)
{
	unsigned events = w.events;

	w.events = 0;
	return events;
}

#include "script_io.h"

#endif
