/*
 * vnet.c: translation of virtio-net headers both ways; everything malformed is marked, none is
 * believed.  DROP_DEV_GSO is what the stack makes of WEFT_PKT_BAD.
 */
#include "tun/vnet.h"

#include "dev_util.h"
#include "net/base/prng.h"
#include <errno.h>

enum { LEN = 3000 };

static struct slot slot;

/* A TCP packet of LEN bytes with 12 bytes of TCP options, IPv4 or IPv6. */
static void make_tcp(unsigned version)
{
	slot_fill(&slot, 0, LEN);
	memset(slot.bytes, 0, LEN);
	slot.bytes[0] = version == 4 ? 0x45 : 0x60;
	slot.bytes[version == 4 ? 9 : 6] = 6;
	slot.bytes[(version == 4 ? 20 : 40) + 12] = 0x80;
}

static struct virtio_net_hdr gso(unsigned version)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = 1, /* a hint, and a wrong one */
		.gso_size = 1448,
		.csum_start = version == 4 ? 20 : 40,
		.csum_offset = 16,
	};
}

static void expect_bad(const struct virtio_net_hdr *h)
{
	vnet_decode(h, &slot.pkt);
	CU_ASSERT_EQUAL(slot.pkt.flags, WEFT_PKT_BAD);
	CU_ASSERT_EQUAL(slot.pkt.gso_size, 0);
}

static void test_plain(void)
{
	struct virtio_net_hdr h = {0};

	make_tcp(4);
	slot.pkt.flags = 99;
	slot.pkt.gso_size = 99;
	vnet_decode(&h, &slot.pkt);
	CU_ASSERT_EQUAL(slot.pkt.flags, 0);
	CU_ASSERT_EQUAL(slot.pkt.gso_size, 0);
	h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	vnet_decode(&h, &slot.pkt);
	CU_ASSERT_EQUAL(slot.pkt.flags, WEFT_PKT_CSUM_VALID);
	CU_ASSERT_EQUAL(vnet_encode(&h, &slot.pkt), 0);
	CU_ASSERT_EQUAL(h.flags, 0);
	CU_ASSERT_EQUAL(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

static void test_super_packet(void)
{
	for (unsigned version = 4; version <= 6; version += 2) {
		struct virtio_net_hdr h = gso(version);

		make_tcp(version);
		vnet_decode(&h, &slot.pkt);
		CU_ASSERT_EQUAL(slot.pkt.flags, WEFT_PKT_CSUM_PARTIAL | WEFT_PKT_CSUM_VALID);
		CU_ASSERT_EQUAL(slot.pkt.gso_size, 1448);
		CU_ASSERT_EQUAL(slot.pkt.hdr_len, (version == 4 ? 20 : 40) + 32);
		CU_ASSERT_EQUAL(slot.pkt.csum_start, version == 4 ? 20 : 40);
		CU_ASSERT_EQUAL(slot.pkt.csum_offset, 16);

		struct virtio_net_hdr back;
		CU_ASSERT_EQUAL(vnet_encode(&back, &slot.pkt), 0);
		h.hdr_len = slot.pkt.hdr_len;
		CU_ASSERT_EQUAL(memcmp(&back, &h, sizeof(h)), 0);
		h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		vnet_decode(&h, &slot.pkt);
		CU_ASSERT_EQUAL(slot.pkt.gso_size, 1448);
	}
}

static void test_bad_header(void)
{
	struct virtio_net_hdr h;

	make_tcp(4);
	h = gso(4);
	h.gso_size = 0;
	expect_bad(&h);
	h = gso(4);
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	expect_bad(&h);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	expect_bad(&h);
	h.gso_type = 0x42;
	expect_bad(&h);
	h.gso_type = VIRTIO_NET_HDR_GSO_ECN;
	expect_bad(&h);
	h = gso(4);
	h.csum_start = 24;
	expect_bad(&h);
	h = gso(4);
	h.csum_offset = 6;
	expect_bad(&h);
	h.gso_type = 0;
	h.csum_start = LEN - 1;
	expect_bad(&h);
	h.csum_start = 0xffff;
	h.csum_offset = 0xffff;
	expect_bad(&h);
	h.csum_start = 0;
	h.csum_offset = 16;
	expect_bad(&h);
}

static void test_bad_packet(void)
{
	struct virtio_net_hdr h = gso(4);

	make_tcp(4);
	slot.bytes[9] = 17;
	expect_bad(&h);
	make_tcp(4);
	slot.bytes[0] = 0x44;
	expect_bad(&h);
	make_tcp(4);
	slot.bytes[32] = 0x40;
	expect_bad(&h);
	make_tcp(4);
	slot.pkt.len = 20 + 31; /* TCP options cut */
	expect_bad(&h);
	slot.pkt.len = 38;
	expect_bad(&h);
	slot.pkt.len = 0;
	expect_bad(&h);
	h = gso(6);
	make_tcp(6);
	slot.pkt.len = 39;
	h.flags = 0;
	expect_bad(&h);
}

static void test_bad_encode(void)
{
	struct virtio_net_hdr h;

	make_tcp(4);
	slot.pkt.gso_size = 1000;
	slot.pkt.hdr_len = 40;
	CU_ASSERT_EQUAL(vnet_encode(&h, &slot.pkt), -EINVAL); /* no partial checksum */
	slot.pkt.flags = WEFT_PKT_CSUM_PARTIAL;
	slot.pkt.csum_start = LEN;
	CU_ASSERT_EQUAL(vnet_encode(&h, &slot.pkt), -EINVAL);
	slot.pkt.csum_start = 20;
	slot.pkt.csum_offset = 16;
	CU_ASSERT_EQUAL(vnet_encode(&h, &slot.pkt), 0);
	slot.pkt.hdr_len = LEN + 1;
	CU_ASSERT_EQUAL(vnet_encode(&h, &slot.pkt), -EINVAL);
}

/* UDP datagrams of 1,000 bytes that came, or go, as one packet. */
static struct virtio_net_hdr make_udp(unsigned version)
{
	slot_fill(&slot, 0, LEN);
	memset(slot.bytes, 0, LEN);
	slot.bytes[0] = version == 4 ? 0x45 : 0x60;
	slot.bytes[version == 4 ? 9 : 6] = 17;
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len = (uint16_t)((version == 4 ? 20 : 40) + 8),
		.gso_size = 1000,
		.csum_start = version == 4 ? 20 : 40,
		.csum_offset = 6,
	};
}

static void test_datagrams(void)
{
	for (unsigned version = 4; version <= 6; version += 2) {
		struct virtio_net_hdr h = make_udp(version), back;

		vnet_decode(&h, &slot.pkt);
		CU_ASSERT_EQUAL(slot.pkt.flags, WEFT_PKT_CSUM_PARTIAL | WEFT_PKT_CSUM_VALID);
		CU_ASSERT_EQUAL(slot.pkt.gso_size, 1000);
		CU_ASSERT_EQUAL(slot.pkt.hdr_len, (version == 4 ? 20 : 40) + 8);
		CU_ASSERT_EQUAL(vnet_encode(&back, &slot.pkt), 0);
		CU_ASSERT_EQUAL(memcmp(&back, &h, sizeof(h)), 0);
		/* TCP's checksum field, TCP itself, a cut header, no header; nobody vouches. */
		h.csum_offset = 16;
		expect_bad(&h);
		h = make_udp(version);
		slot.bytes[version == 4 ? 9 : 6] = 6;
		expect_bad(&h);
		h = make_udp(version);
		slot.pkt.len = h.hdr_len - 1u;
		expect_bad(&h);
		h = make_udp(version);
		h.gso_size = 0;
		expect_bad(&h);
		h = make_udp(version);
		h.flags = 0;
		expect_bad(&h);
		h = make_udp(version);
		h.gso_type = version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		expect_bad(&h);
	}
}

/* Random headers on packets of random sizes: what is accepted is inside the packet. */
static void test_random(void)
{
	struct prng prng;

	prng_init(&prng, unit_seed());
	for (int i = 0; i < 100000; i++) {
		struct virtio_net_hdr h;
		uint8_t raw[sizeof(h)];
		for (size_t k = 0; k < sizeof(raw); k++)
			raw[k] = prng_below(&prng, 2) ? 0 : (uint8_t)prng_below(&prng, 256);
		memcpy(&h, raw, sizeof(h));
		make_tcp(prng_below(&prng, 2) ? 4 : 6);
		slot.bytes[0] = (uint8_t)prng_u64(&prng);
		slot.pkt.len = prng_below(&prng, 120);
		vnet_decode(&h, &slot.pkt);
		if (slot.pkt.flags & WEFT_PKT_CSUM_PARTIAL)
			CU_ASSERT_TRUE((uint32_t)slot.pkt.csum_start + slot.pkt.csum_offset + 2 <=
				       slot.pkt.len);
		if (slot.pkt.gso_size)
			CU_ASSERT_TRUE(slot.pkt.hdr_len >= 28 && slot.pkt.hdr_len <= slot.pkt.len);
	}
}

UNIT_MAIN("vnet", UNIT(plain), UNIT(super_packet), UNIT(bad_header), UNIT(bad_packet),
	  UNIT(bad_encode), UNIT(datagrams), UNIT(random))
