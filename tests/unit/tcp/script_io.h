/*
 * The second half of script.h, which includes it: injecting and expecting segments, passing time,
 * and the calls of the application.  Header-only; used by every program of tests/unit/tcp.
 */
#ifndef WEFT_TESTS_TCP_SCRIPT_IO_H
#define WEFT_TESTS_TCP_SCRIPT_IO_H

#include "script.h"

/* ---- What goes in. ---- */

/* The peer's timestamp clock: milliseconds, from a number of its own. */
static inline uint32_t peer_clock(void)
{
	return 5000 + (uint32_t)((w.now - w.start) / US_PER_MS);
}

/* A buffer with bytes [at, at + len) of a stream. */
static inline struct buf *pattern_buf(uint32_t at, uint32_t len, uint8_t salt)
{
	struct buf *b = buf_new(w.pool, len);

	if (!b) {
		flunk(__FILE__, __LINE__, "no buffer");
		abort();
	}
	b->len = len;
	for (uint32_t i = 0; i < len; i++)
		b->data[i] = pattern(at + i, salt);
	return b;
}

/* The segment of a peer's text; the caller owns the buffer in it. */
static inline struct tcp_seg make_seg(const char *source)
{
	struct text t = parse_text(source, w.irs, w.iss);
	struct tcp_seg seg = {.seq = t.seq,
			      .ack = t.has_ack ? t.ack : 0,
			      .len = t.len,
			      .wnd = (uint16_t)(t.has_wnd ? t.wnd : w.peer_wnd),
			      .up = (uint16_t)t.up,
			      .flags = t.flags,
			      .ae = t.ae,
			      .ecn = t.ecn,
			      .opt = t.opt};

	if (w.tcb.ts_on && w.in_tcb && !t.no_ts && !t.opt.has_ts) {
		seg.opt.has_ts = true;
		seg.opt.ts_val = peer_clock();
		seg.opt.ts_ecr = w.ts_last;
	}
	if (seg.len > 0)
		seg.buf = pattern_buf(seg.seq - w.irs - 1, seg.len, PEERS);
	return seg;
}

static inline void inject_seg(struct tcp_seg *seg)
{
	unsigned events = 0;

	w.why = tcp_input(&w.tcb, seg, w.now, &events);
	after_call(events);
	/* RFC 9293 3.10.7.3 and .4: the owner answers an ACK that opens nothing. */
	if (w.why == DROP_TCP_SYN_SENT_ACK || w.why == DROP_TCP_SYN_RCVD_ACK) {
		struct tcp_seg_out out;
		memset(&out, 0, sizeof(out));
		if (tcp_reset_for(seg, &out))
			note_segment(&out);
	}
	buf_put(&seg->buf);
}

__attribute__((format(printf, 1, 2))) static inline void inject(const char *fmt, ...)
{
	char source[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(source, sizeof(source), fmt, args);
	va_end(args);
	struct tcp_seg seg = make_seg(source);
	inject_seg(&seg);
}

/* ---- What must come out. ---- */

static inline bool same_options(const struct text *want, const struct text *got)
{
	const struct tcp_opts *a = &want->opt, *b = &got->opt;

	if ((want->no_ts && b->has_ts) || (want->no_sack && b->sack_count) ||
	    (want->no_mss && b->has_mss) || (want->no_wscale && b->has_wscale) ||
	    (want->no_sack_ok && b->has_sack_ok))
		return false;
	if ((a->has_mss && (!b->has_mss || a->mss != b->mss)) ||
	    (a->has_wscale && (!b->has_wscale || a->wscale != b->wscale)) ||
	    (a->has_sack_ok && !b->has_sack_ok))
		return false;
	if (a->has_ts && (!b->has_ts || (!want->ts_val_any && a->ts_val != b->ts_val) ||
			  (!want->ts_ecr_any && a->ts_ecr != b->ts_ecr)))
		return false;
	if (a->sack_count == 0)
		return true;
	if (a->sack_count != b->sack_count)
		return false;
	for (unsigned i = 0; i < a->sack_count; i++)
		if (a->sack[i].start != b->sack[i].start || a->sack[i].end != b->sack[i].end)
			return false;
	return true;
}

static inline bool same_segment(const struct text *want, const struct text *got)
{
	uint8_t loose = want->flags & TCP_PSH ? 0 : TCP_PSH;

	return want->flags == (got->flags & ~loose) && want->ae == got->ae &&
	       want->seq == got->seq && want->len == got->len &&
	       (!want->has_ack || want->ack == got->ack) &&
	       (!want->has_up || want->up == got->up) &&
	       (!want->has_wnd || want->wnd == got->wnd) && same_options(want, got);
}

static inline bool match_text(const char *file, int line, const char *source,
			      const struct text *got)
{
	struct text want = parse_text(source, w.iss, w.irs);
	char text[TEXT_MAX];

	if (got && same_segment(&want, got))
		return CU_assertImplementation(CU_TRUE, (unsigned)line, "expect", file, "",
					       CU_FALSE);
	flunk(file, line, "expected: %s\n    seen:     %s", source,
	      got ? print_text(got, text) : "nothing");
	return false;
}

__attribute__((format(printf, 3, 4))) static inline bool expect_at(const char *file, int line,
								   const char *fmt, ...)
{
	char source[TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(source, sizeof(source), fmt, args);
	va_end(args);
	return match_text(file, line, source, take_seen());
}

#define expect(...) expect_at(__FILE__, __LINE__, __VA_ARGS__)

static inline bool expect_none_at(const char *file, int line)
{
	char text[TEXT_MAX];
	const struct text *got = take_seen();

	if (!got)
		return CU_assertImplementation(CU_TRUE, (unsigned)line, "expect_none", file, "",
					       CU_FALSE);
	flunk(file, line, "expected: nothing\n    seen:     %s (and %u more)",
	      print_text(got, text), seen_count());
	drop_seen();
	return false;
}

#define expect_none() expect_none_at(__FILE__, __LINE__)

/* ---- Time. ---- */

/* Runs the timers that are due up to 'until'; stops at the first segment when 'to_segment'. */
static inline void pass_time(weft_time_us until, bool to_segment)
{
	unsigned same = 0;

	while (!(to_segment && seen_count() > 0)) {
		weft_time_us due = tcp_deadline(&w.tcb);
		if (due > until)
			break;
		same = due <= w.now ? same + 1 : 0;
		if (same > 50) {
			flunk(__FILE__, __LINE__, "a deadline that stays in the past");
			break;
		}
		unsigned events = 0;
		w.now = time_max(w.now, due);
		tcp_tick(&w.tcb, w.now, &events);
		after_call(events);
	}
	if (!(to_segment && seen_count() > 0))
		w.now = until;
}

static inline void advance(weft_time_us us)
{
	pass_time(w.now + us, false);
}

/* Runs to the next segment, which must come 'us' from now, and look like 'source'. */
static inline bool expect_after_at(const char *file, int line, weft_time_us us, const char *source)
{
	weft_time_us from = w.now;

	if (seen_count() == 0)
		pass_time(from + us + 3600LL * US_PER_S, true);
	const struct text *got = take_seen();
	if (!match_text(file, line, source, got))
		return false;
	return check_eq(file, line, "time of the segment", got->at - from, us);
}

#define expect_after(us, source) expect_after_at(__FILE__, __LINE__, us, source)

/* ---- The application. ---- */

/* Queues 'n' bytes (or what fits) in buffers of w.chunk bytes; returns how many. */
static inline uint32_t send_bytes(uint32_t n)
{
	struct buf_queue q = {.head = NULL};
	uint32_t room = tcp_send_room(&w.tcb);
	unsigned events = 0;

	n = n < room ? n : room;
	for (uint32_t done = 0; done < n;) {
		uint32_t part = n - done < w.chunk ? n - done : w.chunk;
		buf_queue_push(&q, pattern_buf(w.queued + done, part, OURS));
		done += part;
	}
	if (n == 0)
		return 0;
	w.queued += n;
	tcp_send(&w.tcb, &q, &events);
	after_call(events);
	return n;
}

/* As a small write: packed into the last buffer where that has room, else in a new one. */
static inline void send_small(uint32_t n)
{
	uint8_t bytes[256] = {0};
	unsigned events = 0;

	for (uint32_t i = 0; i < n && i < sizeof(bytes); i++)
		bytes[i] = pattern(w.queued + i, OURS);
	uint32_t packed = tcp_send_pack(&w.tcb, bytes, n, &events);
	w.queued += packed;
	after_call(events);
	if (packed < n)
		send_bytes(n - packed);
}

/* Reads up to 'n' bytes, verifies them, returns how many there were. */
static inline uint32_t recv_bytes(uint32_t n)
{
	uint32_t total = 0;

	while (total < n) {
		struct view views[4];
		unsigned events = 0, wrong = 0;
		unsigned count = tcp_recv(&w.tcb, n - total, false, views, 4, &events);
		for (unsigned i = 0; i < count; i++) {
			for (uint32_t j = 0; j < views[i].len; j++)
				wrong += views[i].data[j] != pattern(w.read + j, PEERS);
			w.read += views[i].len;
			total += views[i].len;
			buf_put(&views[i].buf);
		}
		after_call(events);
		if (count == 0)
			break;
		CHECK(wrong == 0);
	}
	return total;
}

static inline void shutdown_write(void)
{
	unsigned events = 0;

	tcp_shutdown_write(&w.tcb, w.now, &events);
	after_call(events);
}

static inline void close_app(void)
{
	unsigned events = 0;

	tcp_close(&w.tcb, w.now, &events);
	after_call(events);
}

static inline void abort_app(int error)
{
	unsigned events = 0;

	tcp_abort(&w.tcb, error, &events);
	after_call(events);
}

#define CHECK_STATE(want)                                                                          \
	(w.tcb.state == (want)                                                                     \
		 ? (void)CHECK(w.tcb.state == (want))                                              \
		 : flunk(__FILE__, __LINE__, "expected state %s", tcp_state_name(want)))

#endif
