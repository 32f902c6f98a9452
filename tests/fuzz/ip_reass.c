/*
 * Fuzzes ext_walk and frag_insert.  Input: commands of fragments in a small key space, 7 bytes each
 * (source, id, protocol and version; offset; length; more; time), and every 16th input as a packet
 * for the walk.  Invariants: memory and numbers stay within their bounds and add up; what is complete
 * is as long as its pieces and without gaps.
 */
#include "net/base/bytes.h"
#include "net/ip/ext.h"
#include "net/ip/frag.h"
#include "tests/fuzz/fuzz.h"

static struct frag_table table;

static void check_walk(const uint8_t *data, size_t size)
{
	struct ip_hdr ip;
	struct ext ext;

	if (ip_parse_any(data, size, &ip) != DROP_NONE || ip.version != 6)
		return;
	enum drop why = ext_walk(data, &ip, &ext);

	FUZZ_CHECK((size_t)ip.hdr_len + ip.payload_len <= size);
	FUZZ_CHECK(ext.next_hdr_at < ip.hdr_len);
	FUZZ_CHECK(why != DROP_NONE || !ext.has_problem);
	FUZZ_CHECK(!ext.has_problem || ext.pointer < size);
}

static void check_table(void)
{
	unsigned used = 0;
	uint32_t mem = 0;

	for (unsigned i = 0; i < FRAG_DATAGRAMS; i++) {
		const struct frag_datagram *d = &table.datagram[i];
		uint32_t end = 0, got = 0, own = 0;

		if (d->deadline == 0)
			continue;
		used++;
		for (const struct buf *b = d->d.pieces.head; b; b = b->next) {
			FUZZ_CHECK(b->seq >= end && b->run_end == b->seq + b->len);
			FUZZ_CHECK(b->next || b == d->d.pieces.tail);
			end = b->run_end;
			got += b->len;
			own += b->cap;
		}
		FUZZ_CHECK(got == d->got && own == d->mem && d->count <= FRAG_PIECES);
		FUZZ_CHECK(d->total == 0 || d->is_dead || end <= d->total);
		mem += own;
	}
	FUZZ_CHECK(used == table.used && mem == table.mem && mem <= FRAG_MEM_MAX);
}

static void check_done(struct frag_out *out)
{
	uint32_t at = 0;

	for (const struct buf *b = out->pieces.head; b; b = b->next) {
		FUZZ_CHECK(b->seq == at);
		at += b->len;
	}
	FUZZ_CHECK(at == out->size && at <= FRAG_SIZE_MAX);
	buf_queue_clear(&out->pieces);
}

static void insert(struct bufpool *pool, const uint8_t *cmd, weft_time_us now)
{
	struct frag_in in = {
		.id = cmd[0] & 3,
		.version = cmd[0] & 4 ? 6 : 4,
		.proto = cmd[0] & 8 ? 17 : 1,
		.tos = cmd[5] & 3,
		.hdr_len = cmd[0] & 4 ? 0 : 20,
		.more = cmd[5] & 4,
		.offset = get_be16(cmd + 1) & 0xfff8,
	};
	uint32_t len = get_be16(cmd + 3);
	struct frag_out out;
	bool is_done;

	if (cmd[5] & 8) { /* small: hits are likely */
		in.offset &= 0xff;
		len &= 0x7f;
	}
	in.src.b[15] = cmd[0] >> 4;
	struct buf *b = buf_new(pool, len);

	FUZZ_CHECK(b);
	memset(b->data, cmd[5] & 16, len);
	b->len = len;
	enum drop why = frag_insert(&table, &in, &b, now, &out, &is_done);

	FUZZ_CHECK(!is_done || why == DROP_NONE);
	buf_put(&b);
	buf_queue_clear(&table.trash);
	if (is_done)
		check_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bufpool *pool = bufpool_new((size_t)256 << 20);
	weft_time_us now = 1;
	struct frag_out out;

	check_walk(data, size);
	FUZZ_CHECK(pool);
	frag_init(&table);
	for (; size >= 7; data += 7, size -= 7) {
		insert(pool, data, now);
		check_table();
		now += (weft_time_us)data[6] * data[6] * US_PER_MS;
		while (data[6] & 1 && frag_expire(&table, now, &out))
			buf_queue_clear(&out.pieces);
	}
	frag_clear(&table);
	buf_queue_clear(&table.trash);
	check_table();
	FUZZ_CHECK(bufpool_lent(pool) == 0);
	bufpool_free(pool);
	return 0;
}
