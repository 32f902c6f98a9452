/*
 * Reassembly (RFC 9293 3.10.7.4, RFC 2018 4): segments in any order and overlap become one stream,
 * compared with a byte-array model; limits of runs and memory; SACK blocks tell what is queued.
 */
#include "script_open.h"

enum { SPAN = 16384 };

/* Which bytes of the stream the model has. */
static uint8_t have[SPAN + 1];

static unsigned model_next(unsigned from)
{
	while (from < SPAN && have[from])
		from++;
	return from;
}

/* Whether block 'i' is a D-SACK: the first one, below the ACK or inside the next block. */
static bool is_dsack(const struct text *t, unsigned i)
{
	const struct tcp_sack *b = t->opt.sack;

	return i == 0 && (seq_lt(b[0].start, t->ack) ||
			  (t->opt.sack_count > 1 && seq_ge(b[0].start, b[1].start) &&
			   seq_le(b[0].end, b[1].end)));
}

/* Every SACK block reports bytes that the model has, and the byte before and behind it missing. */
static void check_sack(unsigned next)
{
	for (const struct text *t; (t = take_seen()) != NULL;) {
		for (unsigned i = 0; i < t->opt.sack_count; i++) {
			uint32_t a = t->opt.sack[i].start - w.irs - 1;
			uint32_t b = t->opt.sack[i].end - w.irs - 1;
			bool ok = a < b && b <= SPAN;
			for (uint32_t j = a; ok && j < b; j++)
				ok = have[j];
			CHECK(ok);
			if (is_dsack(t, i))
				continue;
			CHECK((a == 0 || !have[a - 1]) && !have[b]);
			CHECK(b > next || t->ack - w.irs - 1 < next);
		}
	}
}

static unsigned random_stream(struct prng *p, const struct setup *setup, unsigned len_max)
{
	unsigned next = 0, segments = 0;

	established(setup);
	memset(have, 0, sizeof(have));
	while (next < SPAN) {
		/* Mostly near the front, now and then far away or old. */
		unsigned spread = prng_below(p, 10) ? 4000 : SPAN;
		int at = (int)next + (int)prng_below(p, spread) - (prng_below(p, 4) ? 0 : 1500);
		unsigned len = 1 + prng_below(p, len_max);
		at = at < 0 ? 0 : at;
		if ((unsigned)at >= SPAN)
			continue;
		if (prng_below(p, 8) == 0)
			at = (int)next;
		if ((unsigned)at + len > SPAN)
			len = SPAN - (unsigned)at;
		uint64_t refused = atomic_load(&w.counters.drop[DROP_TCP_REASS_FULL]);
		inject("%s. %d:%d ack 1", len % 2 ? "P" : "", 1 + at, 1 + at + (int)len);
		bool full = w.why == DROP_TCP_REASS_FULL || w.why == DROP_TCP_RCV_FULL ||
			    atomic_load(&w.counters.drop[DROP_TCP_REASS_FULL]) != refused;
		if (!full)
			memset(have + at, 1, len);
		unsigned old = next;
		next = full ? w.tcb.rcv_nxt - w.irs - 1 : model_next(next);
		if (full && next > old)
			memset(have + old, 1, next - old);
		if (!CHECK_EQ(w.tcb.rcv_nxt, w.irs + 1 + next))
			break;
		check_sack(next);
		if (prng_below(p, 4) == 0)
			recv_bytes(prng_below(p, 5000));
		segments++;
	}
	recv_bytes(SPAN);
	CHECK_EQ(w.read, SPAN);
	CHECK_EQ(w.tcb.reass_runs, 0);
	CHECK_EQ(w.tcb.reass_mem, 0);
	drop_seen();
	return segments;
}

static void test_random_segments_against_a_model(void)
{
	struct prng p;
	unsigned segments = 0;
	static const unsigned lens[] = {10, 100, 1460, 3000};

	prng_init(&p, unit_seed());
	for (unsigned i = 0; segments < 200000; i++) {
		struct setup setup = {.iss = (uint32_t)prng_u64(&p),
				      .irs = i % 3 ? 0xffffffffu - prng_below(&p, SPAN)
						   : 0x7fffffffu - prng_below(&p, SPAN),
				      .sack = i % 2,
				      .ts = i % 4 < 2,
				      .rcv_buf = 65535};
		segments += random_stream(&p, &setup, lens[i / 2 % 4]);
	}
	printf("%u segments ", segments);
	end_world();
}

static void test_hole_filled_delivers_all_with_one_ack(void)
{
	established(&plain_setup);
	for (unsigned i = 1; i <= 10; i++) {
		inject(". %u:%u ack 1", 1 + i * 100, 101 + i * 100);
		expect(". 1:1 ack 1");
		expect_none();
	}
	CHECK_EQ(w.tcb.reass_runs, 1);
	inject(". 1:101 ack 1");
	expect(". 1:1 ack 1101");
	expect_none();
	CHECK_EQ(recv_bytes(5000), 1100);
	CHECK_EQ(w.tcb.reass_runs, 0);
}

static void test_partly_filled_hole_is_acked_at_once(void)
{
	established(&plain_setup);
	inject(". 201:301 ack 1");
	inject(". 401:501 ack 1");
	drop_seen();
	inject(". 1:101 ack 1");
	expect(". 1:1 ack 101");
	inject(". 101:201 ack 1");
	expect(". 1:1 ack 301");
	inject(". 301:401 ack 1");
	expect(". 1:1 ack 501");
}

static void test_first_data_wins_or_last_but_one_stream(void)
{
	uint8_t got[200];
	unsigned count = 0, events = 0;
	struct view views[8];

	/* Two versions of bytes 51:151 come; whichever is kept, the rest is right. */
	established(&plain_setup);
	inject(". 51:101 ack 1");
	struct tcp_seg seg = make_seg(". 51:151 ack 1");
	memset(seg.buf->data, 0xff, seg.len);
	inject_seg(&seg);
	inject(". 1:51 ack 1");
	unsigned n = tcp_recv(&w.tcb, 200, false, views, 8, &events);
	for (unsigned i = 0; i < n; i++) {
		memcpy(got + count, views[i].data, views[i].len);
		count += views[i].len;
		buf_put(&views[i].buf);
	}
	after_call(events);
	CHECK_EQ(count, 150);
	for (unsigned i = 0; i < 50; i++)
		CHECK(got[i] == pattern(i, PEERS));
	CHECK(got[50] == pattern(50, PEERS)); /* the first */
	CHECK(got[149] == 0xff);
	drop_seen();
}

static void test_runs_are_limited_and_the_front_is_always_taken(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 1000; i++)
		inject(". %u:%u ack 1", 3 + i * 2, 4 + i * 2);
	CHECK(w.tcb.reass_runs <= w.cfg.reass_runs_max);
	CHECK_EQ(w.why, DROP_TCP_REASS_FULL);
	drop_seen();
	inject(". 1:3 ack 1");
	CHECK_EQ(w.why, DROP_NONE);
	CHECK(w.tcb.rcv_nxt != w.irs + 1);
	/* What was refused comes again and everything is delivered. */
	for (unsigned i = 0; i < 2000; i += 100)
		inject(". %u:%u ack 1", 1 + i, 101 + i);
	CHECK_EQ(recv_bytes(100000), 2000);
	drop_seen();
}

static void test_memory_of_tiny_segments_is_bounded(void)
{
	struct setup setup = plain_setup;

	/* One byte in a big buffer each: capacities count, not bytes (SegmentSmack). */
	setup.rcv_buf = 65535;
	established(&setup);
	for (unsigned i = 0; i < 20000; i++) {
		struct tcp_seg seg = make_seg(". 1:1 ack 1");
		seg.seq = w.irs + 3 + i * 3;
		seg.len = 1;
		seg.buf = buf_new(w.pool, 2048);
		seg.buf->len = 1;
		seg.buf->data[0] = pattern(2 + i * 3, PEERS);
		inject_seg(&seg);
		drop_seen();
	}
	CHECK(w.tcb.reass_mem <= 4 * 65536);
	CHECK(bufpool_lent(w.pool) <= w.cfg.reass_runs_max);
	CHECK_STATE(TCPS_ESTABLISHED);
	for (unsigned i = 0; i < 60000; i += 1000) {
		inject(". %u:%u ack 1", 1 + i, 1001 + i);
		recv_bytes(2000);
		drop_seen();
	}
	CHECK_EQ(w.read, 60000);
}

static void test_memory_of_tiny_segments_in_order_is_bounded(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 60000; i++) {
		struct tcp_seg seg = make_seg(". 1:1 ack 1");
		seg.seq = w.irs + 1 + i;
		seg.len = 1;
		seg.buf = buf_new(w.pool, 2048);
		seg.buf->len = 1;
		seg.buf->data[0] = pattern(i, PEERS);
		inject_seg(&seg);
		drop_seen();
		if (w.why != DROP_NONE || bufpool_lent_bytes(w.pool) > 64 * 65536)
			break;
	}
	printf("lent %zu bytes for %u ", bufpool_lent_bytes(w.pool), w.tcb.rcvq.bytes);
	CHECK(bufpool_lent_bytes(w.pool) <= 64 * 65536);
	uint32_t queued = w.tcb.rcv_nxt - w.irs - 1;
	CHECK_EQ(recv_bytes(100000), queued);
}

static void test_queue_is_released_when_the_connection_ends(void)
{
	established(&plain_setup);
	for (unsigned i = 0; i < 20; i++)
		inject(". %u:%u ack 1", 101 + i * 200, 201 + i * 200);
	CHECK(bufpool_lent(w.pool) > 0);
	drop_seen();
	inject("R 1:1");
	CHECK_STATE(TCPS_CLOSED);
	tcp_fini(&w.tcb);
	buf_queue_clear(&w.tcb.trash);
	CHECK_EQ(bufpool_lent(w.pool), 0);
	end_world();
}

UNIT_MAIN("tcp_reass", UNIT(random_segments_against_a_model),
	  UNIT(hole_filled_delivers_all_with_one_ack), UNIT(partly_filled_hole_is_acked_at_once),
	  UNIT(first_data_wins_or_last_but_one_stream),
	  UNIT(runs_are_limited_and_the_front_is_always_taken),
	  UNIT(memory_of_tiny_segments_is_bounded),
	  UNIT(memory_of_tiny_segments_in_order_is_bounded),
	  UNIT(queue_is_released_when_the_connection_ends))
