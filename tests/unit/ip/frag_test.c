/* Reassembly: any order, overlaps, contradictions, and every limit at it and past it. */
#include "net/ip/frag.h"

#include "net/base/check.h"
#include "net/base/prng.h"
#include "unit.h"
#include <string.h>

static struct frag_table table;
static struct bufpool *pool;
static uint8_t bytes[65536];
static weft_time_us now;
static struct frag_out out;
static bool is_done;

static struct addr addr(const char *text)
{
	struct addr a;

	WEFT_ASSERT(addr_parse(text, &a));
	return a;
}

static void begin(void)
{
	pool = bufpool_new((size_t)64 << 20);
	frag_init(&table);
	now = 1000000;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8) * 7);
}

/* Nothing may be left over, neither in the table nor in its books. */
static void end(void)
{
	frag_clear(&table);
	buf_queue_clear(&table.trash);
	CU_ASSERT_EQUAL(table.used, 0);
	CU_ASSERT_EQUAL(table.mem, 0);
	CU_ASSERT_EQUAL(bufpool_lent(pool), 0);
	bufpool_free(pool);
}

static struct frag_in key(const char *src, uint32_t id)
{
	return (struct frag_in){.src = addr(src),
				.dst = addr("10.0.0.1"),
				.id = id,
				.version = 4,
				.proto = 17,
				.hdr_len = 20};
}

/* Puts [offset, end) in; what came of a complete datagram lies in 'out' until done_ok. */
static enum drop put_bytes(struct frag_in in, unsigned offset, unsigned end_at, bool more,
			   const uint8_t *data)
{
	struct buf *b = buf_new(pool, end_at - offset);

	WEFT_ASSERT(b);
	memcpy(b->data, data, end_at - offset);
	b->len = end_at - offset;
	in.offset = (uint16_t)offset;
	in.more = more;
	enum drop why = frag_insert(&table, &in, &b, now, &out, &is_done);

	CU_ASSERT_EQUAL(b == NULL, why == DROP_NONE || why == DROP_IP_FRAG_ECN);
	buf_put(&b);
	buf_queue_clear(&table.trash);
	return why;
}

static enum drop put(struct frag_in in, unsigned offset, unsigned end_at, bool more)
{
	return put_bytes(in, offset, end_at, more, bytes + offset);
}

/* The datagram just completed has the right bytes. */
static bool done_ok(uint32_t size)
{
	uint32_t at = 0;
	bool is_same = is_done && out.size == size;

	for (const struct buf *b = is_done ? out.pieces.head : NULL; b; b = b->next) {
		is_same = is_same && at + b->len <= size && !memcmp(b->data, bytes + at, b->len);
		at += b->len;
	}
	if (is_done)
		buf_queue_clear(&out.pieces);
	is_done = false;
	return is_same && at == size;
}

static void test_in_order_and_reverse(void)
{
	struct frag_in a = key("10.0.0.2", 1), b = key("10.0.0.2", 2);

	begin();
	CU_ASSERT_EQUAL(put(a, 0, 1480, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(b, 2960, 3001, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(a, 1480, 2960, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(b, 1480, 2960, true), DROP_NONE);
	CU_ASSERT_FALSE(is_done);
	CU_ASSERT_EQUAL(put(a, 2960, 3001, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(3001));
	CU_ASSERT_EQUAL(put(b, 0, 1480, true), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(3001));
	CU_ASSERT_EQUAL(table.used, 0);
	end();
}

/* Source, destination, identification and IPv4's protocol keep datagrams apart. */
static void test_key(void)
{
	struct frag_in a = key("10.0.0.2", 1), b = a, c = a, d = a, e = a;

	begin();
	b.proto = 1;
	c.src = addr("10.0.0.3");
	d.dst = addr("10.0.0.9");
	e.id = 2;
	CU_ASSERT_EQUAL(put(a, 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(b, 8, 16, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(c, 8, 16, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(d, 8, 16, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(e, 8, 16, false), DROP_NONE);
	CU_ASSERT_FALSE(is_done);
	CU_ASSERT_EQUAL(table.used, 5);
	CU_ASSERT_EQUAL(put(a, 8, 16, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(16));
	/* IPv6 has it from the first fragment (RFC 8200 4.5). */
	a.version = 6;
	a.proto = 99;
	CU_ASSERT_EQUAL(put(a, 8, 16, false), DROP_NONE);
	a.proto = 58;
	CU_ASSERT_EQUAL(put(a, 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(out.proto, 58);
	CU_ASSERT_TRUE(done_ok(16));
	end();
}

/* RFC 5722: each kind of overlap ends the datagram, and its later fragments, too. */
static void test_overlaps(void)
{
	static const struct {
		unsigned from, to;
		bool more;
	} bad[] = {
		{0, 16, true},    /* a part of the first */
		{0, 32, true},    /* more than the first */
		{16, 32, true},   /* its end */
		{8, 16, true},    /* inside */
		{56, 72, true},   /* the second's front: teardrop */
		{64, 72, true},   /* the second's front */
		{0, 128, true},   /* everything */
		{24, 128, false}, /* everything to the end */
	};

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct frag_in in = key("10.0.0.2", i);

		CU_ASSERT_EQUAL(put(in, 0, 24, true), DROP_NONE);
		CU_ASSERT_EQUAL(put(in, 64, 96, true), DROP_NONE);
		enum drop why = put(in, bad[i].from, bad[i].to, bad[i].more);

		CU_ASSERT_EQUAL(why, DROP_IP_FRAG_OVERLAP);
		/* What would have been right comes too late. */
		CU_ASSERT_EQUAL(put(in, 24, 64, true), DROP_IP_FRAG_OVERLAP);
		CU_ASSERT_EQUAL(put(in, 96, 100, false), DROP_IP_FRAG_OVERLAP);
		CU_ASSERT_EQUAL(put(in, 0, 24, true), DROP_IP_FRAG_OVERLAP);
		CU_ASSERT_FALSE(is_done);
	}
	CU_ASSERT_EQUAL(table.mem, 0);
	end();
}

/* The network may deliver twice; other bytes at the same place are an overlap. */
static void test_duplicates(void)
{
	struct frag_in in = key("10.0.0.2", 1);

	begin();
	CU_ASSERT_EQUAL(put(in, 0, 24, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 0, 24, true), DROP_IP_FRAG_DUP);
	CU_ASSERT_EQUAL(put(in, 48, 60, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 48, 60, false), DROP_IP_FRAG_DUP);
	CU_ASSERT_EQUAL(put(in, 24, 48, true), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(60));
	in.id = 2;
	CU_ASSERT_EQUAL(put(in, 0, 24, true), DROP_NONE);
	CU_ASSERT_EQUAL(put_bytes(in, 0, 24, true, bytes + 1), DROP_IP_FRAG_OVERLAP);
	end();
}

static void test_sizes(void)
{
	struct frag_in in = key("10.0.0.2", 1);

	begin();
	CU_ASSERT_EQUAL(put(in, 0, 9, true), DROP_IP_FRAG_SIZE);  /* not a multiple of 8 */
	CU_ASSERT_EQUAL(put(in, 0, 0, true), DROP_IP_FRAG_SIZE);  /* nothing */
	CU_ASSERT_EQUAL(put(in, 8, 8, false), DROP_IP_FRAG_SIZE); /* nothing */
	CU_ASSERT_EQUAL(table.used, 0);
	/* Two ends; something behind the end; an end before what is there. */
	CU_ASSERT_EQUAL(put(in, 16, 30, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 32, 40, false), DROP_IP_FRAG_SIZE);
	in.id = 2;
	CU_ASSERT_EQUAL(put(in, 16, 30, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 32, 40, true), DROP_IP_FRAG_SIZE);
	in.id = 3;
	CU_ASSERT_EQUAL(put(in, 32, 40, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 16, 30, false), DROP_IP_FRAG_SIZE);
	in.id = 4; /* more fragments behind what the end says is all */
	CU_ASSERT_EQUAL(put(in, 32, 40, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 24, 40, true), DROP_IP_FRAG_SIZE);
	end();
}

/* The ping of death: up to 65,535 with the header, not one byte more. */
static void test_largest(void)
{
	struct frag_in in = key("10.0.0.2", 1);

	begin();
	CU_ASSERT_EQUAL(put(in, 65512, 65516, false), DROP_IP_FRAG_SIZE);
	in.hdr_len = 24;
	CU_ASSERT_EQUAL(put(in, 65504, 65512, false), DROP_IP_FRAG_SIZE);
	in.hdr_len = 20;
	CU_ASSERT_EQUAL(table.used, 0);
	for (unsigned at = 0; at < 65000; at += 1000)
		CU_ASSERT_EQUAL(put(in, at, at + 1000, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 65000, 65515, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(65515));
	in.version = 6;
	in.hdr_len = 0;
	CU_ASSERT_EQUAL(put(in, 65528, 65535, false), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 65528, 65536, true), DROP_IP_FRAG_SIZE);
	end();
}

static void test_pieces_limit(void)
{
	struct frag_in in = key("10.0.0.2", 1);

	begin();
	for (unsigned i = 0; i < FRAG_PIECES - 1; i++)
		CU_ASSERT_EQUAL(put(in, 8 * i, 8 * i + 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 8 * (FRAG_PIECES - 1), 8 * FRAG_PIECES, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(8 * FRAG_PIECES));
	for (unsigned i = 0; i < FRAG_PIECES; i++)
		CU_ASSERT_EQUAL(put(in, 8 * i, 8 * i + 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 8 * FRAG_PIECES, 8 * FRAG_PIECES + 8, false), DROP_IP_FRAG_LIMIT);
	CU_ASSERT_EQUAL(table.mem, 0);
	end();
}

/* One source fills its own share only; its oldest goes. */
static void test_source_limit(void)
{
	struct frag_in other = key("10.0.0.3", 7);

	begin();
	CU_ASSERT_EQUAL(put(other, 0, 8, true), DROP_NONE);
	for (unsigned i = 0; i < FRAG_PER_SOURCE; i++, now++)
		CU_ASSERT_EQUAL(put(key("10.0.0.2", i), 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(table.used, FRAG_PER_SOURCE + 1);
	CU_ASSERT_EQUAL(table.evicted, 0);
	CU_ASSERT_EQUAL(put(key("10.0.0.2", 999), 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(table.used, FRAG_PER_SOURCE + 1);
	CU_ASSERT_EQUAL(table.evicted, 1);
	CU_ASSERT_EQUAL(put(key("10.0.0.2", 1), 8, 16, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(16));
	CU_ASSERT_EQUAL(put(key("10.0.0.2", 0), 8, 16, false), DROP_NONE); /* its first is gone */
	CU_ASSERT_FALSE(is_done);
	CU_ASSERT_EQUAL(put(other, 8, 16, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(16));
	end();
}

static struct frag_in from(unsigned i)
{
	struct frag_in in = key("10.1.0.0", 1);

	in.src.b[14] = (uint8_t)(i >> 8);
	in.src.b[15] = (uint8_t)i;
	return in;
}

static void test_table_limit(void)
{
	begin();
	for (unsigned i = 0; i < FRAG_DATAGRAMS; i++, now++)
		CU_ASSERT_EQUAL(put(from(i), 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(table.used, FRAG_DATAGRAMS);
	CU_ASSERT_EQUAL(table.evicted, 0);
	CU_ASSERT_EQUAL(put(from(FRAG_DATAGRAMS), 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(table.used, FRAG_DATAGRAMS);
	CU_ASSERT_EQUAL(table.evicted, 1);
	CU_ASSERT_EQUAL(put(from(1), 8, 16, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(16));
	CU_ASSERT_EQUAL(put(from(0), 8, 16, false), DROP_NONE); /* the oldest is gone */
	CU_ASSERT_FALSE(is_done);
	end();
}

/* A flood of large first fragments: the memory stays bounded, what is new gets through. */
static void test_memory_limit(void)
{
	begin();
	for (unsigned i = 0; i < 100000; i++, now++) {
		CU_ASSERT_EQUAL(put(from(i % 60000), 0, 63 * 1024, true), DROP_NONE);
		CU_ASSERT_TRUE(table.mem <= FRAG_MEM_MAX);
		if (table.mem > FRAG_MEM_MAX)
			break;
	}
	CU_ASSERT_TRUE(table.evicted > 0);
	CU_ASSERT_TRUE(table.mem > FRAG_MEM_MAX / 2);
	struct frag_in in = key("10.0.0.2", 1);

	CU_ASSERT_EQUAL(put(in, 0, 1480, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(in, 1480, 1500, false), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(1500));
	end();
}

static void test_time(void)
{
	const weft_time_us minute = 60 * (weft_time_us)US_PER_S;
	struct frag_in a = key("10.0.0.2", 1), b = key("10.0.0.2", 2);

	begin();
	weft_time_us born = now;

	CU_ASSERT_EQUAL(frag_deadline(&table), WEFT_TIME_NEVER);
	CU_ASSERT_EQUAL(put(a, 0, 8, true), DROP_NONE);
	now += minute / 2;
	CU_ASSERT_EQUAL(put(a, 8, 16, true), DROP_NONE); /* does not make it live longer */
	CU_ASSERT_EQUAL(put(b, 8, 16, true), DROP_NONE);
	CU_ASSERT_EQUAL(frag_deadline(&table), born + minute);
	CU_ASSERT_FALSE(frag_expire(&table, born + minute - 1, &out));
	CU_ASSERT_TRUE(frag_expire(&table, born + minute, &out));
	CU_ASSERT_EQUAL(out.id, 1);
	CU_ASSERT_EQUAL(out.pieces.head->seq, 0);
	buf_queue_clear(&out.pieces);
	CU_ASSERT_FALSE(frag_expire(&table, born + minute, &out));
	CU_ASSERT_EQUAL(frag_deadline(&table), now + minute);
	/* Nobody has looked: the fragment that comes later begins a new datagram. */
	now += minute;
	CU_ASSERT_EQUAL(put(b, 0, 8, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(b, 16, 20, false), DROP_NONE);
	CU_ASSERT_FALSE(is_done);
	CU_ASSERT_EQUAL(put(b, 8, 16, true), DROP_NONE);
	CU_ASSERT_TRUE(done_ok(20));
	/* A dead one ends in its time, too, with nothing. */
	CU_ASSERT_EQUAL(put(a, 0, 16, true), DROP_NONE);
	CU_ASSERT_EQUAL(put(a, 8, 24, true), DROP_IP_FRAG_OVERLAP);
	CU_ASSERT_TRUE(frag_expire(&table, now + minute, &out));
	CU_ASSERT_PTR_NULL(out.pieces.head);
	CU_ASSERT_EQUAL(table.used, 0);
	end();
}

/* RFC 3168 5.3. */
static void test_ecn(void)
{
	static const struct {
		uint8_t first, second;
		enum drop why;
		uint8_t tos;
	} rows[] = {{0xb8, 0, DROP_NONE, 0xb8},
		    {0xba, 3, DROP_NONE, 0xbb},
		    {0xbb, 2, DROP_NONE, 0xbb},
		    {0xb8, 3, DROP_IP_FRAG_ECN, 0}};

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frag_in in = key("10.0.0.2", i);

		in.tos = rows[i].first;
		CU_ASSERT_EQUAL(put(in, 0, 8, true), DROP_NONE);
		in.tos = rows[i].second;
		CU_ASSERT_EQUAL(put(in, 8, 12, false), rows[i].why);
		CU_ASSERT_EQUAL(is_done, rows[i].why == DROP_NONE);
		if (is_done)
			CU_ASSERT_EQUAL(out.tos, rows[i].tos);
		CU_ASSERT_EQUAL(done_ok(12), rows[i].why == DROP_NONE);
	}
	end();
}

/* Any cut, any order, some of it twice: the datagram comes out whole, once. */
static void test_random_orders(void)
{
	struct prng prng;

	begin();
	prng_init(&prng, unit_seed());
	for (unsigned round = 0; round < 3000; round++) {
		unsigned cut[64] = {0}, order[64], count = 0, done = 0;
		unsigned size = 9 + prng_below(&prng, 20000);
		struct frag_in in = key("10.0.0.2", round);

		for (unsigned at = 0; at < size && count < 63; at = cut[++count]) {
			unsigned step = 8 * (1 + prng_below(&prng, size / 100 + 1));

			order[count] = count;
			cut[count + 1] = count == 62 || at + step > size ? size : at + step;
		}
		for (unsigned i = count - 1; i > 0; i--) {
			unsigned j = prng_below(&prng, i + 1), x = order[i];

			order[i] = order[j];
			order[j] = x;
		}
		for (unsigned i = 0; i < count; i++) {
			unsigned n = order[i];

			CU_ASSERT_EQUAL(put(in, cut[n], cut[n + 1], n + 1 < count), DROP_NONE);
			done += is_done;
			if (i + 1 < count && prng_below(&prng, 4) == 0)
				CU_ASSERT_EQUAL(put(in, cut[n], cut[n + 1], n + 1 < count),
						DROP_IP_FRAG_DUP);
		}
		CU_ASSERT_EQUAL(done, 1);
		is_done = done == 1;
		CU_ASSERT_TRUE(done_ok(size));
	}
	CU_ASSERT_EQUAL(table.used, 0);
	end();
}

UNIT_MAIN("frag", UNIT(in_order_and_reverse), UNIT(key), UNIT(overlaps), UNIT(duplicates),
	  UNIT(sizes), UNIT(largest), UNIT(pieces_limit), UNIT(source_limit), UNIT(table_limit),
	  UNIT(memory_limit), UNIT(time), UNIT(ecn), UNIT(random_orders))
