/*
 * Header prediction does exactly what the slow path does: two connections get the same random
 * segments, calls and times, one of them with the fast path off, and are compared as bytes after
 * every call.  WEFT_SEED chooses the run.
 */
#include "net/base/check.h"
#include "net/base/prng.h"
#include "net/tcp/tcp.h"
#include "unit.h"
#include <stddef.h>
#include <string.h>

enum { RUNS = 400, STEPS = 500, PEER_ISS = 0x7fffff00, TWINS = 2 };

struct twin {
	struct tcb tcb;
	struct tcp_cfg cfg;
	struct counters counters;
	unsigned events;
	enum drop why;
};

static struct twin twin[TWINS];
static struct prng prng;
static struct bufpool *pool;
static weft_time_us now;
static uint64_t seed;
static uint32_t peer_ts;

/* ---- Comparing. ---- */

static bool same_queue(const struct buf *a, const struct buf *b)
{
	for (; a && b; a = a->next, b = b->next)
		if (a->len != b->len || a->seq != b->seq || a->cap != b->cap ||
		    memcmp(a->data, b->data, a->len) != 0)
			return false;
	return a == b;
}

static bool same_runs(const struct buf *a, const struct buf *b)
{
	for (; a && b; a = a->run_next, b = b->run_next)
		if (a->seq != b->seq || a->run_end != b->run_end)
			return false;
	return a == b;
}

static bool same_boards(const struct scoreboard *a, const struct scoreboard *b)
{
	const size_t skip = offsetof(struct scoreboard, cap);

	if (!a || !b)
		return a == b;
	return a->cap == b->cap &&
	       (a->cursor ? a->cursor->seq : 0) == (b->cursor ? b->cursor->seq : 0) &&
	       memcmp(&a->cap, &b->cap, sizeof(*a) + a->cap * sizeof(a->rec[0]) - skip) == 0;
}

/* Everything but where things lie in memory. */
static struct tcb without_pointers(const struct tcb *tcb)
{
	struct tcb plain;

	memcpy(&plain, tcb, sizeof(plain)); /* with its padding: tcp_init zeroes it */
	plain.cfg = NULL;
	plain.sndq.head = plain.sndq.tail = NULL;
	plain.sb = NULL;
	plain.rcvq.head = plain.rcvq.tail = plain.reass = NULL;
	plain.trash.head = plain.trash.tail = NULL;
	return plain;
}

static bool same_counters(const struct twin *a, const struct twin *b)
{
	for (unsigned i = 0; i < C_COUNT; i++)
		if (i != C_TCP_SLOW_PATH &&
		    counter_read(&a->counters, i) != counter_read(&b->counters, i))
			return false;
	return true;
}

static bool same_twins(void)
{
	const struct tcb *a = &twin[0].tcb, *b = &twin[1].tcb;
	struct tcb plain_a = without_pointers(a), plain_b = without_pointers(b);

	return memcmp(&plain_a, &plain_b, sizeof(plain_a)) == 0 &&
	       same_queue(a->sndq.head, b->sndq.head) && same_queue(a->rcvq.head, b->rcvq.head) &&
	       same_queue(a->trash.head, b->trash.head) && same_runs(a->reass, b->reass) &&
	       same_boards(a->sb, b->sb) && twin[0].events == twin[1].events &&
	       twin[0].why == twin[1].why && same_counters(&twin[0], &twin[1]);
}

/* After every call. */
static void compare(const char *what, unsigned run, unsigned step)
{
	bool is_same = same_twins();

	if (!is_same)
		printf("\nseed %llu run %u step %u: they differ after %s\n",
		       (unsigned long long)seed, run, step, what);
	CU_ASSERT_FATAL(is_same);
	for (unsigned i = 0; i < TWINS; i++) {
		tcb_check(&twin[i].tcb);
		buf_queue_clear(&twin[i].tcb.trash);
		twin[i].events = 0;
	}
}

/* ---- Driving. ---- */

static struct buf *payload(uint32_t seq, uint32_t len)
{
	struct buf *b = buf_new(pool, len);

	WEFT_ASSERT(b);
	for (uint32_t i = 0; i < len; i++)
		b->data[i] = (uint8_t)(seq + i);
	b->len = len;
	return b;
}

static void input(const struct tcp_seg *seg)
{
	for (unsigned i = 0; i < TWINS; i++) {
		struct tcp_seg copy = *seg;

		copy.buf = seg->len > 0 ? payload(seg->seq, seg->len) : NULL;
		twin[i].why = tcp_input(&twin[i].tcb, &copy, now, &twin[i].events);
		buf_put(&copy.buf);
	}
}

/* What went out is the same, too. */
static void output(void)
{
	static struct tcp_seg_out out[TWINS];
	bool has_more = true;

	while (has_more) {
		bool has[TWINS];

		for (unsigned i = 0; i < TWINS; i++) {
			memset(&out[i], 0, sizeof(out[i]));
			has[i] = tcp_output(&twin[i].tcb, now, &out[i]);
		}
		CU_ASSERT_EQUAL_FATAL(has[0], has[1]);
		CU_ASSERT_EQUAL_FATAL(memcmp(&out[0], &out[1], offsetof(struct tcp_seg_out, view)),
				      0);
		has_more = has[0];
	}
}

static void begin(void)
{
	uint32_t rcv_buf = 3000 + prng_below(&prng, 100000);
	bool has_ts = prng_below(&prng, 3), has_sack = prng_below(&prng, 2);
	uint32_t iss = prng_below(&prng, 2) ? UINT32_MAX - 2000 : (uint32_t)prng_u64(&prng);

	now = US_PER_S + prng_below(&prng, 1000000);
	peer_ts = (uint32_t)prng_u64(&prng);
	for (unsigned i = 0; i < TWINS; i++) {
		struct twin *t = &twin[i];

		memset(t, 0, sizeof(*t));
		tcp_cfg_default(&t->cfg);
		t->cfg.counters = &t->counters;
		t->cfg.no_fast_path = i == 1;
		tcp_init(&t->tcb, &(struct tcp_params){
					  .cfg = &t->cfg,
					  .rcv_buf_size = rcv_buf,
					  .snd_buf_size = 100000,
					  .rcv_buf_max = 1 << 20,
					  .mss_local = 1460,
				  });
		tcp_open_active(&t->tcb, iss, now, &t->events);
	}
	output();
	const struct tcp_seg syn_ack = {
		.seq = PEER_ISS,
		.ack = iss + 1,
		.wnd = 60000,
		.flags = TCP_SYN | TCP_ACK,
		.opt = {.has_mss = true,
			.mss = 1460,
			.has_wscale = true,
			.wscale = 2,
			.has_sack_ok = has_sack,
			.has_ts = has_ts,
			.ts_val = peer_ts,
			.ts_ecr = (uint32_t)(now / US_PER_MS)},
	};
	now += 100;
	input(&syn_ack);
	for (unsigned i = 0; i < TWINS; i++) {
		tcp_set_keep_times(&twin[i].tcb, 300 * US_PER_MS, 100 * US_PER_MS, 9, now);
		tcp_set_keepalive(&twin[i].tcb, true, now);
	}
}

/* Now and then something is not as predicted. */
static void disturb(struct tcp_seg *seg)
{
	const struct tcb *tcb = &twin[0].tcb;
	const uint8_t flags[] = {TCP_URG, TCP_FIN, TCP_RST, TCP_SYN, TCP_PSH, TCP_PSH};

	switch (prng_below(&prng, 12)) {
	case 0:
		seg->seq += prng_below(&prng, 6000) - 3000;
		break;
	case 1:
		seg->ack += prng_below(&prng, 6000) - 3000;
		break;
	case 2:
		if (prng_below(&prng, 8) == 0) /* most of these end it */
			seg->flags |= flags[prng_below(&prng, 6)];
		if (prng_below(&prng, 4) == 0) { /* the end is known before it is reached */
			seg->seq += 1 + prng_below(&prng, 3000);
			seg->flags |= TCP_FIN;
		}
		seg->up = (uint16_t)prng_below(&prng, 100);
		break;
	case 3:
		seg->wnd = (uint16_t)(prng_below(&prng, 3) ? prng_below(&prng, 60000) : 0);
		break;
	case 4:
		seg->opt.has_ts = !seg->opt.has_ts;
		break;
	case 5:
		seg->opt.ts_val += prng_below(&prng, 20) - 10;
		break;
	case 6:
		seg->opt.sack_count = 1;
		seg->opt.sack[0].start = tcb->snd_una + prng_below(&prng, 3000);
		seg->opt.sack[0].end = seg->opt.sack[0].start + prng_below(&prng, 3000);
		break;
	case 7: /* a hole, filled by later segments */
		seg->seq += seg->len;
		break;
	case 8:
		seg->ack = tcb->snd_una;
		break;
	default:
		break;
	}
}

static void segment(void)
{
	const struct tcb *tcb = &twin[0].tcb;
	uint32_t flight = tcp_flight(tcb);
	struct tcp_seg seg = {
		.seq = tcb->rcv_nxt,
		.ack = tcb->snd_una,
		.wnd = 15000,
		.flags = TCP_ACK,
		.opt = {.has_ts = tcb->ts_on},
	};

	peer_ts += prng_below(&prng, 3);
	seg.opt.ts_val = peer_ts;
	seg.opt.ts_ecr = (uint32_t)(now / US_PER_MS) - prng_below(&prng, 3);
	if (flight > 0 && prng_below(&prng, 2))
		seg.ack += prng_below(&prng, 3) ? flight : prng_below(&prng, flight + 1);
	if (prng_below(&prng, 3))
		seg.len = 1 + prng_below(&prng, prng_below(&prng, 8) ? 1460 : 20000);
	if (prng_below(&prng, 20) == 0)
		disturb(&seg);
	input(&seg);
}

static void app_sends(void)
{
	uint32_t len = 1 + prng_below(&prng, 20000);

	if (len > tcp_send_room(&twin[0].tcb))
		return;
	for (unsigned i = 0; i < TWINS; i++) {
		struct buf_queue q = {0};

		buf_queue_push(&q, payload(twin[i].tcb.snd_end, len));
		tcp_send(&twin[i].tcb, &q, &twin[i].events);
	}
}

static void app_reads(void)
{
	uint32_t size = 1 + prng_below(&prng, 60000);

	for (unsigned i = 0; i < TWINS; i++) {
		struct view views[16];
		unsigned count = tcp_recv(&twin[i].tcb, size, false, views, 16, &twin[i].events);

		for (unsigned k = 0; k < count; k++)
			buf_put(&views[k].buf);
	}
}

static void time_passes(void)
{
	now += prng_below(&prng, 10) ? prng_below(&prng, 3000) : prng_below(&prng, 400000);
	for (unsigned i = 0; i < TWINS; i++)
		tcp_tick(&twin[i].tcb, now, &twin[i].events);
}

static void step(unsigned run, unsigned number)
{
	switch (prng_below(&prng, 12)) {
	case 0:
		app_sends();
		compare("a send", run, number);
		break;
	case 1:
	case 2:
		app_reads();
		compare("a read", run, number);
		break;
	case 3:
		time_passes();
		compare("time", run, number);
		break;
	case 4:
	case 5:
		output();
		compare("output", run, number);
		break;
	default:
		segment();
		compare("a segment", run, number);
		break;
	}
}

static void end(void)
{
	for (unsigned i = 0; i < TWINS; i++) {
		tcp_fini(&twin[i].tcb);
		buf_queue_clear(&twin[i].tcb.trash);
	}
}

static void test_fast_path_does_what_the_slow_path_does(void)
{
	uint64_t slow[TWINS] = {0}, all = 0;

	seed = unit_seed();
	prng_init(&prng, seed);
	pool = bufpool_new((size_t)1 << 30);
	for (unsigned run = 0; run < RUNS; run++) {
		begin();
		compare("the handshake", run, 0);
		for (unsigned i = 1; i < STEPS && twin[0].tcb.state != TCPS_CLOSED; i++)
			step(run, i);
		for (unsigned i = 0; i < TWINS; i++)
			slow[i] += counter_read(&twin[i].counters, C_TCP_SLOW_PATH);
		all += twin[0].tcb.segs_in;
		end();
	}
	printf("%llu segments, %llu beside the fast path, %llu without it\n",
	       (unsigned long long)all, (unsigned long long)slow[0], (unsigned long long)slow[1]);
	CU_ASSERT(slow[0] > all / 20); /* both paths had their share */
	CU_ASSERT(slow[0] < slow[1] / 2);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

/* ---- A transfer without incidents never leaves the fast path. ---- */

static void test_healthy_transfer_takes_the_fast_path(void)
{
	pool = bufpool_new((size_t)1 << 30);
	prng_init(&prng, 1);
	begin();
	compare("the handshake", 0, 0);
	for (unsigned i = 0; i < 100; i++) {
		struct tcp_seg seg = {.flags = TCP_ACK, .wnd = 15000};

		now += 1000;
		app_sends();
		output();
		seg.opt = (struct tcp_opts){.has_ts = twin[0].tcb.ts_on, .ts_val = peer_ts};
		seg.seq = twin[0].tcb.rcv_nxt;
		seg.ack = twin[0].tcb.snd_max;
		seg.len = i % 2 ? 1000 : 0;
		if (seg.len > 0 || seg.ack != twin[0].tcb.snd_una)
			input(&seg);
		app_reads();
		compare("a segment", 0, i);
	}
	CU_ASSERT_EQUAL(counter_read(&twin[0].counters, C_TCP_SLOW_PATH), 0);
	CU_ASSERT(counter_read(&twin[1].counters, C_TCP_SLOW_PATH) >= 50);
	end();
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

UNIT_MAIN("tcp_input_fast", UNIT(fast_path_does_what_the_slow_path_does),
	  UNIT(healthy_transfer_takes_the_fast_path))
