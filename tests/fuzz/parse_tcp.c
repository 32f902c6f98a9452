/*
 * Fuzzes tcp_hdr_parse with raw segments.  Invariants: the header stays inside the segment; what
 * was parsed can be written, and parsing that gives the same (but for SACK blocks without room).
 */
#include "net/wire/print.h"
#include "net/wire/tcp_hdr.h"
#include "tests/fuzz/fuzz.h"

static void check_opts(const struct tcp_opts *a, const struct tcp_opts *b)
{
	FUZZ_CHECK(a->has_mss == b->has_mss && a->mss == b->mss);
	FUZZ_CHECK(a->has_wscale == b->has_wscale && a->wscale == b->wscale);
	FUZZ_CHECK(a->has_sack_ok == b->has_sack_ok && a->has_ts == b->has_ts);
	FUZZ_CHECK(a->ts_val == b->ts_val && a->ts_ecr == b->ts_ecr);
	FUZZ_CHECK(a->sack_count <= TCP_SACK_MAX && b->sack_count <= a->sack_count);
	for (unsigned i = 0; i < b->sack_count; i++) {
		FUZZ_CHECK(a->sack[i].start == b->sack[i].start);
		FUZZ_CHECK(a->sack[i].end == b->sack[i].end);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_hdr hdr, again;
	uint8_t p[TCP_HDR_MAX];
	char text[64];

	if (tcp_hdr_parse(data, size, &hdr) != DROP_NONE)
		return 0;
	FUZZ_CHECK(hdr.hdr_len >= TCP_HDR_SIZE && hdr.hdr_len <= size);
	tcp_print(&hdr, size - hdr.hdr_len, text, sizeof(text));
	size_t hdr_len = tcp_hdr_emit(p, &hdr);

	FUZZ_CHECK(hdr_len == TCP_HDR_SIZE + tcp_opts_size(&hdr.opt) && hdr_len <= TCP_HDR_MAX);
	FUZZ_CHECK(tcp_hdr_parse(p, hdr_len, &again) == DROP_NONE);
	FUZZ_CHECK(hdr.src_port == again.src_port && hdr.dst_port == again.dst_port);
	FUZZ_CHECK(hdr.seq == again.seq && hdr.ack == again.ack && hdr.wnd == again.wnd);
	FUZZ_CHECK(hdr.up == again.up && hdr.flags == again.flags);
	check_opts(&hdr.opt, &again.opt);
	return 0;
}
