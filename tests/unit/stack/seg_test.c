/* Software segmentation against a splitter that copies bytes, and the emitter's packets. */
#include "net/base/check.h"
#include "net/base/prng.h"
#include "net/stack/emit.h"
#include "net/stack/seg.h"
#include "net/wire/csum.h"
#include "unit.h"
#include <string.h>

enum { PAYLOAD_MAX = 65000, MSS = 1448 };

/* A segment whose payload is 'len' bytes in views of random sizes, in one buffer. */
struct sample {
	struct tcp_seg_out seg;
	struct buf *buf;
	uint32_t len;
};

static void make_sample(struct sample *s, struct bufpool *pool, struct prng *p, uint32_t len)
{
	uint32_t pos = 0;

	memset(s, 0, sizeof(*s));
	s->len = len;
	s->buf = buf_new(pool, PAYLOAD_MAX);
	WEFT_ASSERT(s->buf);
	s->buf->len = len;
	for (uint32_t i = 0; i < len; i++)
		s->buf->data[i] = (uint8_t)prng_u64(p);
	s->seg.seq = (uint32_t)prng_u64(p);
	s->seg.ack = 77;
	s->seg.len = len;
	s->seg.mss = MSS;
	s->seg.wnd = 1000;
	s->seg.flags = TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR;
	s->seg.is_ace = prng_below(p, 2);
	while (pos < len) {
		bool is_last = s->seg.view_count == TCP_VIEWS_MAX - 1;
		uint32_t take = is_last ? len - pos : 1 + prng_below(p, len - pos);

		s->seg.view[s->seg.view_count++] =
			(struct view){.buf = s->buf, .data = s->buf->data + pos, .len = take};
		pos += take;
	}
}

static void check_pieces(const struct sample *s)
{
	struct iovec iov[TCP_VIEWS_MAX];
	struct seg_piece piece;
	struct seg_cut cut;
	uint32_t pos = 0;

	seg_cut_init(&cut, &s->seg);
	while (seg_cut_next(&cut, MSS, &piece, iov)) {
		uint32_t want = s->len - pos < MSS ? s->len - pos : MSS;
		bool is_last = pos + want == s->len;
		uint32_t got = 0;

		CU_ASSERT_EQUAL(piece.seq, s->seg.seq + pos);
		CU_ASSERT_EQUAL(piece.len, want);
		CU_ASSERT_EQUAL(!!(piece.flags & TCP_FIN), is_last);
		CU_ASSERT_EQUAL(!!(piece.flags & TCP_PSH), is_last);
		CU_ASSERT_EQUAL(!!(piece.flags & TCP_CWR), pos == 0 || s->seg.is_ace);
		CU_ASSERT_TRUE(piece.flags & TCP_ACK);
		for (unsigned i = 0; i < piece.iov_count; i++) {
			CU_ASSERT_EQUAL(
				memcmp(iov[i].iov_base, s->buf->data + pos + got, iov[i].iov_len),
				0);
			got += (uint32_t)iov[i].iov_len;
		}
		CU_ASSERT_EQUAL(got, want);
		pos += want;
	}
	CU_ASSERT_EQUAL(pos, s->len);
}

static void test_pieces(void)
{
	static const uint32_t sizes[] = {0,       1,       MSS - 1,     MSS,
					 MSS + 1, 2 * MSS, 3 * MSS + 1, PAYLOAD_MAX};
	struct bufpool *pool = bufpool_new(1 << 20);
	struct sample s;
	struct prng p;

	prng_init(&p, unit_seed());
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int round = 0; round < 20; round++) {
			make_sample(&s, pool, &p, sizes[i]);
			check_pieces(&s);
			buf_put(&s.buf);
		}
	}
	bufpool_free(pool);
}

/* A device that checks what is written to it. */
struct sink {
	struct weft_dev dev; /* first */
	const struct sample *want;
	struct flow flow;
	uint32_t got; /* payload bytes */
	unsigned pkts;
	int full_count; /* so many writes take nothing */
	bool refuses;   /* what is written is lost */
};

static void check_packet(struct sink *sink, const struct weft_pkt *pkt)
{
	static uint8_t flat[70000];
	struct ip_hdr ip;
	struct tcp_hdr tcp;
	uint32_t len = 0;

	for (uint32_t i = 0; i < pkt->iov_count; i++) {
		memcpy(flat + len, pkt->iov[i].iov_base, pkt->iov[i].iov_len);
		len += (uint32_t)pkt->iov[i].iov_len;
	}
	CU_ASSERT_EQUAL(len, pkt->len);
	CU_ASSERT_EQUAL(ip_parse(flat, len, &ip), DROP_NONE);
	CU_ASSERT_EQUAL(ip.hdr_len + ip.payload_len, len);
	CU_ASSERT_TRUE(addr_equal(&ip.src, &sink->flow.local));
	CU_ASSERT_TRUE(addr_equal(&ip.dst, &sink->flow.remote));
	CU_ASSERT_EQUAL(tcp_hdr_parse(flat + ip.hdr_len, ip.payload_len, &tcp), DROP_NONE);
	if (pkt->flags & WEFT_PKT_CSUM_PARTIAL) {
		/* What the device does: sum from csum_start over everything, field included. */
		uint16_t csum =
			csum_finish(csum_add(0, flat + pkt->csum_start, len - pkt->csum_start));

		flat[pkt->csum_start + pkt->csum_offset] = (uint8_t)(csum >> 8);
		flat[pkt->csum_start + pkt->csum_offset + 1] = (uint8_t)csum;
	}
	CU_ASSERT_TRUE(tcp_csum_ok(flat + ip.hdr_len, ip.payload_len, &ip.src, &ip.dst));
	CU_ASSERT_EQUAL(tcp.seq, sink->want->seg.seq + sink->got);
	uint32_t payload = ip.payload_len - (uint32_t)tcp.hdr_len;

	if (pkt->gso_size == 0)
		CU_ASSERT_TRUE(payload <= MSS);
	CU_ASSERT_EQUAL(
		memcmp(flat + ip.hdr_len + tcp.hdr_len, sink->want->buf->data + sink->got, payload),
		0);
	sink->got += payload;
	sink->pkts++;
}

static void sink_loses(struct weft_dev *dev, uint32_t bytes)
{
	dev->write_refused++;
	dev->write_refused_bytes += bytes;
}

static int sink_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct sink *sink = (struct sink *)(void *)dev;

	if (sink->full_count > 0) {
		sink->full_count--;
		return -11; /* EAGAIN */
	}
	for (int i = 0; i < count; i++) {
		if (sink->refuses)
			sink_loses(dev, pkts[i].len);
		check_packet(sink, &pkts[i]);
	}
	return count;
}

static struct flow make_flow(bool is_v6)
{
	struct flow flow = {.local_port = 10, .remote_port = 20};

	WEFT_ASSERT(addr_parse(is_v6 ? "fd00::1" : "10.0.0.1", &flow.local));
	WEFT_ASSERT(addr_parse(is_v6 ? "fd00::2" : "10.0.0.2", &flow.remote));
	return flow;
}

static struct emit *new_emit(struct sink *sink, struct counters *counters)
{
	struct emit *e = calloc(1, sizeof(*e));
	static struct ip_ids ids;

	ip_ids_init(&ids, 1);
	emit_init(e, &sink->dev, sink->dev.flags, counters, &ids);
	return e;
}

static void emit_by(struct emit *e, struct sink *sink, struct sample *s)
{
	sink->want = s;
	sink->got = 0;
	for (unsigned i = 0; i < s->seg.view_count; i++)
		buf_get(s->buf);
	emit_tcp(e, &sink->flow, &emit_ip_default, &s->seg);
	emit_flush(e);
}

static void emit_sample(struct sink *sink, struct counters *counters, struct sample *s)
{
	struct emit *e = new_emit(sink, counters);

	emit_by(e, sink, s);
	free(e);
}

static void test_emitted_packets(void)
{
	static const uint32_t flags[] = {0, WEFT_DEV_TX_CSUM,
					 WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6};
	struct counters *counters = calloc(1, sizeof(*counters));
	struct bufpool *pool = bufpool_new(1 << 20);
	struct sample s;
	struct prng p;

	prng_init(&p, unit_seed());
	for (size_t i = 0; i < 2 * ARRAY_SIZE(flags); i++) {
		struct sink sink = {.dev = {.mtu = 1500, .write = sink_write}};

		sink.dev.flags = flags[i / 2];
		sink.flow = make_flow(i % 2);
		for (uint32_t len = 0; len < PAYLOAD_MAX; len += 1 + len / 3) {
			make_sample(&s, pool, &p, len);
			emit_sample(&sink, counters, &s);
			CU_ASSERT_EQUAL(sink.got, len);
			CU_ASSERT_EQUAL(atomic_load(&s.buf->refs), 1);
			buf_put(&s.buf);
		}
		CU_ASSERT_EQUAL(counter_read(counters, C_PKT_OUT), sink.pkts);
		memset(counters, 0, sizeof(*counters));
	}
	bufpool_free(pool);
	free(counters);
}

/* A full device is tried again; what it refuses then, or takes and loses, is counted. */
static void test_full_device(void)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	struct bufpool *pool = bufpool_new(1 << 20);
	struct sink sink = {.dev = {.mtu = 1500, .write = sink_write}, .full_count = 1};
	struct sample s;
	struct prng p;

	prng_init(&p, 1);
	sink.flow = make_flow(false);
	make_sample(&s, pool, &p, 100);
	emit_sample(&sink, counters, &s);
	CU_ASSERT_EQUAL(sink.got, 100);
	sink.full_count = 3;
	emit_sample(&sink, counters, &s);
	CU_ASSERT_EQUAL(sink.got, 0);
	CU_ASSERT_EQUAL(atomic_load(&counters->drop[DROP_DEV_WRITE]), 1);
	CU_ASSERT_EQUAL(counter_read(counters, C_PKT_OUT), 1);
	sink.refuses = true;
	emit_sample(&sink, counters, &s);
	CU_ASSERT_EQUAL(atomic_load(&counters->drop[DROP_DEV_WRITE]), 2);
	CU_ASSERT_EQUAL(counter_read(counters, C_PKT_OUT), 1);
	buf_put(&s.buf);
	bufpool_free(pool);
	free(counters);
}

static void check_counts(const struct counters *c, uint64_t sent, uint64_t lost, uint64_t bytes)
{
	CU_ASSERT_EQUAL(counter_read(c, C_PKT_OUT), sent);
	CU_ASSERT_EQUAL(counter_read(c, C_BYTES_OUT), bytes);
	CU_ASSERT_EQUAL(atomic_load(&c->drop[DROP_DEV_WRITE]), lost);
}

/* What is lost in a write, or behind one, is not sent, nor are its bytes; what was lost before nobody counts. */
static void test_losses_of_the_device(void)
{
	enum { HDRS = 40, LEN = 100, SIZE = HDRS + LEN };

	struct counters *counters = calloc(1, sizeof(*counters));
	struct bufpool *pool = bufpool_new(1 << 20);
	struct sink sink = {.dev = {.mtu = 1500, .write = sink_write}};
	struct sample s;
	struct prng p;

	prng_init(&p, 1);
	sink.flow = make_flow(false);
	make_sample(&s, pool, &p, LEN);
	sink_loses(&sink.dev, 5000);
	struct emit *e = new_emit(&sink, counters);

	emit_by(e, &sink, &s);
	check_counts(counters, 1, 0, SIZE);
	sink.refuses = true;
	emit_by(e, &sink, &s);
	check_counts(counters, 1, 1, SIZE);
	sink.refuses = false;
	emit_by(e, &sink, &s);
	check_counts(counters, 2, 1, 2 * SIZE);
	/* Both that left are lost behind their writes: of the next three one counts. */
	sink_loses(&sink.dev, SIZE);
	sink_loses(&sink.dev, SIZE);
	emit_by(e, &sink, &s);
	check_counts(counters, 2, 3, 2 * SIZE);
	emit_by(e, &sink, &s);
	check_counts(counters, 2, 3, 2 * SIZE);
	emit_by(e, &sink, &s);
	check_counts(counters, 3, 3, 3 * SIZE);
	free(e);
	buf_put(&s.buf);
	bufpool_free(pool);
	free(counters);
}

UNIT_MAIN("seg", UNIT(pieces), UNIT(emitted_packets), UNIT(full_device), UNIT(losses_of_the_device))
