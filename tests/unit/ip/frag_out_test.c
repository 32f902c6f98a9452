/* Fragments on their way out: every byte once, in pieces that fit, with headers that say so. */
#include "net/ip/frag_out.h"

#include "net/base/check.h"
#include "net/ip/ext.h"
#include "unit.h"
#include <string.h>

static struct ip_hdr whole(const char *src, const char *dst)
{
	struct ip_hdr ip = {.proto = IP_PROTO_UDP, .ttl = 9, .tos = 0x20};

	WEFT_ASSERT(addr_parse(src, &ip.src) && addr_parse(dst, &ip.dst));
	return ip;
}

/* Checks the header of the current fragment by parsing what it makes of it. */
static void check_header(const struct ip_hdr *ip, const struct frag_cut *cut)
{
	static uint8_t pkt[65600];
	bool is_v4 = addr_is_v4(&ip->dst);
	bool is_more = cut->offset + cut->len < cut->size;
	struct ip_hdr got;
	struct ext ext = {0};
	size_t hdr = frag_hdr_emit(pkt, ip, 0x12345678, cut);

	CU_ASSERT_EQUAL(hdr, frag_hdr_size(&ip->dst));
	CU_ASSERT_EQUAL_FATAL(ip_parse_any(pkt, hdr + cut->len, &got), DROP_NONE);
	if (is_v4) {
		CU_ASSERT_EQUAL(got.id, 0x5678);
		CU_ASSERT_EQUAL((got.frag & IP4_OFFSET_MASK) * 8u, cut->offset);
		CU_ASSERT_EQUAL((got.frag & IP4_MORE_FRAGMENTS) != 0, is_more);
	} else {
		CU_ASSERT_EQUAL_FATAL(ext_walk(pkt, &got, &ext), DROP_NONE);
		CU_ASSERT_EQUAL(ext.id, 0x12345678);
		CU_ASSERT_EQUAL(ext.offset, cut->offset);
		CU_ASSERT_EQUAL(ext.more, is_more);
	}
	CU_ASSERT_EQUAL(got.proto, IP_PROTO_UDP);
	CU_ASSERT_EQUAL(got.ttl, 9);
	CU_ASSERT_EQUAL(got.tos, 0x20);
	CU_ASSERT_EQUAL(got.payload_len, cut->len);
}

static void check_cut(const struct ip_hdr *ip, uint32_t size, uint32_t mtu)
{
	struct frag_cut cut;
	uint32_t next = 0;
	unsigned count = 0;

	frag_cut_init(&cut, ip, size, mtu);
	while (frag_cut_next(&cut)) {
		CU_ASSERT_EQUAL_FATAL(cut.offset, next);
		CU_ASSERT_TRUE(frag_hdr_size(&ip->dst) + cut.len <= mtu);
		/* Only the last one may be of any size. */
		CU_ASSERT_TRUE(cut.len % 8 == 0 || cut.offset + cut.len == size);
		next += cut.len;
		count++;
		check_header(ip, &cut);
	}
	CU_ASSERT_EQUAL(next, size);
	CU_ASSERT_EQUAL(count, frag_cut_count(&cut));
}

static void check_sizes(const struct ip_hdr *ip, uint32_t mtu)
{
	uint32_t most = (uint32_t)(mtu - frag_hdr_size(&ip->dst)) & ~7u;

	for (uint32_t count = 1; count < 4; count++)
		for (uint32_t more = 0; more < 3; more++)
			check_cut(ip, count * most + more - 1, mtu);
	check_cut(ip, 65515, mtu);
}

static void test_cuts_v4(void)
{
	struct ip_hdr ip = whole("192.0.2.1", "192.0.2.2");

	check_sizes(&ip, 1500);
	check_sizes(&ip, 1499);
	check_sizes(&ip, 576);
	check_sizes(&ip, 68);
}

static void test_cuts_v6(void)
{
	struct ip_hdr ip = whole("2001:db8::1", "2001:db8::2");

	check_sizes(&ip, 1500);
	check_sizes(&ip, 1280);
	check_cut(&ip, 65535, 1280);
}

UNIT_MAIN("frag_out", UNIT(cuts_v4), UNIT(cuts_v6))
