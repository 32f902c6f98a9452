/* The walk over IPv6 extension headers: order, options, routing, fragments, limits. */
#include "net/ip/ext.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "unit.h"
#include <string.h>

enum { HBH = 0, TCP = 6, ROUTING = 43, FRAGMENT = 44, NONE = 59, DEST = 60 };

static uint8_t pkt[2048];
static size_t size;
static struct ip_hdr ip;
static struct ext ext;
static size_t name_at; /* the byte that names the next header */

static void begin(void)
{
	memset(pkt, 0, sizeof(pkt));
	pkt[0] = 0x60;
	pkt[7] = 64;
	pkt[8] = 0xfd;
	pkt[23] = 2;
	pkt[24] = 0xfd;
	pkt[39] = 1;
	name_at = 6;
	size = IP6_HDR_SIZE;
}

/* Appends a header of 8 bytes and those of 'more', 8 * n - 6 bytes in all behind the length. */
static uint8_t *add(uint8_t type, size_t units)
{
	uint8_t *hdr = pkt + size;

	pkt[name_at] = type;
	name_at = size;
	hdr[1] = (uint8_t)(units - 1);
	if ((type == HBH || type == DEST) && 8 * units >= 8)
		hdr[2] = 1; /* PadN over six bytes: the tests write over it */
	hdr[3] = 4;
	size += 8 * units;
	return hdr;
}

static void add_fragment(unsigned offset, bool more, uint32_t id)
{
	uint8_t *hdr = add(FRAGMENT, 1);

	hdr[1] = 0;
	put_be16(hdr + 2, (uint16_t)(offset | more));
	put_be32(hdr + 4, id);
}

static enum drop walk(uint8_t upper, size_t payload)
{
	pkt[name_at] = upper;
	put_be16(pkt + 4, (uint16_t)(size + payload - IP6_HDR_SIZE));
	uint8_t *copy = malloc(size + payload);

	memcpy(copy, pkt, size + payload); /* as large as it is, for the checkers of memory */
	WEFT_ASSERT(ip_parse_any(copy, size + payload, &ip) == DROP_NONE);
	enum drop why = ext_walk(copy, &ip, &ext);

	free(copy);
	return why;
}

static void refused(enum drop got, enum drop why, bool has_problem, unsigned code, unsigned pointer)
{
	CU_ASSERT_EQUAL(got, why);
	CU_ASSERT_EQUAL(ext.has_problem, has_problem);
	if (has_problem) {
		CU_ASSERT_EQUAL(ext.code, code);
		CU_ASSERT_EQUAL(ext.pointer, pointer);
	}
}

static void test_any_order(void)
{
	begin();
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	CU_ASSERT_EQUAL(ip.hdr_len, 40);
	CU_ASSERT_EQUAL(ext.next_hdr_at, 6);
	add(HBH, 1);
	add(DEST, 1);
	uint8_t *routing = add(ROUTING, 3);

	routing[2] = 200; /* unknown, but nothing left to do */
	routing[3] = 0;
	add(DEST, 1);
	add(DEST, 1);
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	CU_ASSERT_EQUAL(ip.hdr_len, 40 + 56);
	CU_ASSERT_EQUAL(ip.payload_len, 20);
	CU_ASSERT_EQUAL(ip.proto, TCP);
	CU_ASSERT_EQUAL(ext.next_hdr_at, 40 + 48);
	CU_ASSERT_FALSE(ext.is_frag);
	refused(walk(NONE, 20), DROP_IP_PROTO, false, 0, 0);
	refused(walk(HBH, 20), DROP_IP_EXT_HDR, true, 1, 40 + 48); /* only ever the first */
}

/* RFC 8200 4.2: the two highest bits of an unknown option. */
static void test_option_actions(void)
{
	static const struct {
		uint8_t type;
		bool is_multicast;
		enum drop why;
		bool has_problem;
	} rows[] = {
		{0x05, false, DROP_NONE, false},          {0x3e, false, DROP_NONE, false},
		{0x7e, false, DROP_IP_EXT_OPTION, false}, {0xbe, false, DROP_IP_EXT_OPTION, true},
		{0xbe, true, DROP_IP_EXT_OPTION, true},   {0xfe, false, DROP_IP_EXT_OPTION, true},
		{0xfe, true, DROP_IP_EXT_OPTION, false},  {0xc2, false, DROP_IP_EXT_OPTION, true}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin();
		pkt[24] = rows[i].is_multicast ? 0xff : 0xfd;
		uint8_t *hdr = add(i & 1 ? HBH : DEST, 1);

		hdr[2] = rows[i].type;
		hdr[3] = 4;
		refused(walk(TCP, 20), rows[i].why, rows[i].has_problem, 2, 42);
	}
}

static void test_option_lengths(void)
{
	begin();
	uint8_t *hdr = add(DEST, 1);

	hdr[3] = 5; /* beyond the header */
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_HDR);
	hdr[3] = 3; /* one byte left: Pad1 */
	hdr[7] = 0;
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	hdr[7] = 1; /* PadN without a length */
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_HDR);
	begin();
	hdr = add(DEST, 1);
	hdr[1] = 200; /* beyond the packet */
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_HDR);
	begin();
	add(DEST, 1);
	size -= 4; /* cut off in the middle */
	CU_ASSERT_EQUAL(walk(TCP, 0), DROP_IP_EXT_HDR);
}

/* RFC 5095: type 0 as any unknown one. */
static void test_routing(void)
{
	static const uint8_t types[] = {0, 2, 3, 4, 200};

	for (size_t i = 0; i < sizeof(types); i++) {
		begin();
		uint8_t *hdr = add(ROUTING, 3);

		hdr[2] = types[i];
		hdr[3] = 1;
		refused(walk(TCP, 20), DROP_IP_ROUTING, true, 0, 42);
		hdr[3] = 0;
		CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	}
}

/* RFC 8504 5.3: at each bound, and one more. */
static void test_limits(void)
{
	begin();
	for (unsigned i = 0; i < EXT_HDRS_MAX; i++)
		add(DEST, 1);
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	add(DEST, 1);
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_LIMIT);
	begin();
	uint8_t *hdr = add(DEST, 3);

	memset(hdr + 2, 0, 22);
	for (unsigned i = 0; i < EXT_OPTS_MAX; i++)
		hdr[2 + 2 * i] = 0x1e;
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE); /* eight options, six of padding */
	hdr[2 + 2 * EXT_OPTS_MAX] = 0x1e;
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_LIMIT);
	begin();
	hdr = add(DEST, 2);
	memset(hdr + 2, 0, 14);
	hdr[9] = 0x1e; /* seven of padding, then an option, then five */
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	hdr[9] = 0;
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_LIMIT);
}

static void test_fragment_header(void)
{
	begin();
	add(HBH, 1);
	add_fragment(1480, true, 0x12345678);
	CU_ASSERT_EQUAL(walk(TCP, 24), DROP_NONE);
	CU_ASSERT_TRUE(ext.is_frag && ext.more);
	CU_ASSERT_EQUAL(ext.offset, 1480);
	CU_ASSERT_EQUAL(ext.id, 0x12345678);
	CU_ASSERT_EQUAL(ext.frag_at, 48);
	CU_ASSERT_EQUAL(ip.hdr_len, 56);
	CU_ASSERT_EQUAL(ip.payload_len, 24);
	CU_ASSERT_EQUAL(ip.proto, TCP);
	begin();
	add_fragment(0, true, 1);
	size -= 4;
	CU_ASSERT_EQUAL(walk(TCP, 0), DROP_IP_EXT_HDR);
}

/* RFC 6946: offset 0 and no more is a whole packet, whatever else has that number. */
static void test_atomic_fragment(void)
{
	begin();
	add_fragment(0, false, 7);
	add(DEST, 1);
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	CU_ASSERT_FALSE(ext.is_frag);
	CU_ASSERT_EQUAL(ip.hdr_len, 56);
	add_fragment(0, false, 7); /* a second fragment header */
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_IP_EXT_HDR);
}

/* RFC 7112: the first fragment has the whole chain, the upper layer's header included. */
static void test_first_fragment_has_the_chain(void)
{
	begin();
	add_fragment(0, true, 7);
	CU_ASSERT_EQUAL(walk(TCP, 20), DROP_NONE);
	refused(walk(TCP, 16), DROP_IP_FRAG_CHAIN, true, 3, 0);
	CU_ASSERT_EQUAL(walk(IP_PROTO_UDP, 8), DROP_NONE);
	CU_ASSERT_EQUAL(walk(200, 8), DROP_NONE); /* not known: nothing to miss */
	add(DEST, 2);
	CU_ASSERT_EQUAL(walk(TCP, 24), DROP_NONE);
	size -= 8; /* the options are cut */
	refused(walk(TCP, 0), DROP_IP_FRAG_CHAIN, true, 3, 0);
	begin();
	add_fragment(8, true, 7); /* later ones need none */
	CU_ASSERT_EQUAL(walk(TCP, 8), DROP_NONE);
}

UNIT_MAIN("ext", UNIT(any_order), UNIT(option_actions), UNIT(option_lengths), UNIT(routing),
	  UNIT(limits), UNIT(fragment_header), UNIT(atomic_fragment),
	  UNIT(first_fragment_has_the_chain))
