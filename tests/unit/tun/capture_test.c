/*
 * capture.c and pcapng.c: the file is parsed again by code of the test's own.  WEFT_CAPTURE_KEEP
 * names a file to keep, for a look with other tools.
 */
#include "dev_util.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include "tun/pcapng.h"
#include "weft/dev.h"
#include <errno.h>
#include <time.h>
#include <unistd.h>

enum {
	MTU = 1500,
	ALL = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO,
};

static struct slot slot, slot2;
static uint8_t file[300000];
static size_t file_size;

static uint32_t get32(size_t at)
{
	uint32_t v = 0;

	if (at + 4 <= file_size)
		memcpy(&v, file + at, 4);
	return v;
}

static void load(const char *path)
{
	FILE *f = fopen(path, "rb");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	file_size = fread(file, 1, sizeof(file), f);
	fclose(f);
}

/* Checks a block's frame; the offset behind it. */
static size_t block(size_t at, uint32_t type)
{
	uint32_t size = get32(at + 4);

	CU_ASSERT_EQUAL(get32(at), type);
	CU_ASSERT_EQUAL_FATAL(size % 4, 0);
	CU_ASSERT_TRUE_FATAL(size >= 12 && at + size <= file_size);
	CU_ASSERT_EQUAL(get32(at + size - 4), size);
	return at + size;
}

/* Checks the two headers; the offset of the first packet block. */
static size_t headers(void)
{
	size_t at = block(0, PCAPNG_SHB);

	CU_ASSERT_EQUAL(get32(8), PCAPNG_MAGIC);
	CU_ASSERT_EQUAL(get32(12), 1); /* version 1.0 */
	CU_ASSERT_EQUAL(get32(at + 8) & 0xffff, PCAPNG_LINKTYPE_RAW);
	return block(at, PCAPNG_IDB);
}

/* Checks a packet block; its bytes in '*bytes', the offset behind it. */
static size_t packet(size_t at, uint32_t direction, uint32_t size, uint8_t **bytes)
{
	size_t end = block(at, PCAPNG_EPB);
	uint64_t time_us = (uint64_t)get32(at + 12) << 32 | get32(at + 16);
	size_t options = at + 28 + (size + 3) / 4 * 4;

	CU_ASSERT_EQUAL(get32(at + 8), 0);
	CU_ASSERT_EQUAL(time_us / 1000000 / 100, (uint64_t)time(NULL) / 100);
	CU_ASSERT_EQUAL_FATAL(get32(at + 20), size);
	CU_ASSERT_EQUAL(get32(at + 24), size);
	CU_ASSERT_EQUAL(get32(options), 2u | 4u << 16);
	CU_ASSERT_EQUAL(get32(options + 4), direction);
	CU_ASSERT_EQUAL(get32(options + 8), 0);
	CU_ASSERT_EQUAL(options + 16, end);
	*bytes = file + at + 28;
	return end;
}

/* A TCP packet with a partial checksum and 'payload' bytes of data. */
static struct weft_pkt *make_tcp(bool is_v4, uint16_t payload, uint16_t gso_size)
{
	struct ip_hdr ip = {.proto = IP_PROTO_TCP, .ttl = 64};
	struct tcp_hdr tcp = {.src_port = 1000, .dst_port = 2000, .flags = TCP_ACK, .wnd = 99};

	slot_empty(&slot);
	addr_parse(is_v4 ? "10.0.0.1" : "fd00::1", &ip.src);
	addr_parse(is_v4 ? "10.0.0.2" : "fd00::2", &ip.dst);
	ip.payload_len = (uint16_t)(TCP_HDR_SIZE + payload);
	size_t at = ip_emit(slot.bytes, &ip);
	slot.pkt.csum_start = (uint16_t)at;
	slot.pkt.csum_offset = 16;
	tcp_hdr_emit(slot.bytes + at, &tcp);
	put_be16(slot.bytes + at + 16,
		 csum_fold(csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, ip.payload_len)));
	for (size_t i = 0; i < payload; i++)
		slot.bytes[at + TCP_HDR_SIZE + i] = (uint8_t)i;
	slot.pkt.len = (uint32_t)(at + TCP_HDR_SIZE + payload);
	slot.pkt.flags = WEFT_PKT_CSUM_PARTIAL;
	slot.pkt.gso_size = gso_size;
	slot.pkt.hdr_len = (uint16_t)(at + TCP_HDR_SIZE);
	return &slot.pkt;
}

/* Whether the captured packet is in order from top to bottom. */
static void expect_valid(const uint8_t *bytes, size_t size)
{
	struct ip_hdr ip;

	CU_ASSERT_EQUAL_FATAL(ip_parse(bytes, size, &ip), DROP_NONE);
	CU_ASSERT_EQUAL(ip.hdr_len + ip.payload_len, size);
	CU_ASSERT_TRUE(tcp_csum_ok(bytes + ip.hdr_len, ip.payload_len, &ip.src, &ip.dst));
}

static void test_file(void)
{
	const char *keep = getenv("WEFT_CAPTURE_KEEP");
	char path[256] = "/tmp/weft_capture_XXXXXX";
	struct weft_dev *d[2];
	uint8_t *bytes;

	int fd = mkstemp(path);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, ALL, 10), 0);
	struct weft_dev *capture = weft_dev_capture(d[0], keep ? keep : path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
	CU_ASSERT_EQUAL(capture->flags, ALL);
	CU_ASSERT_EQUAL(capture->mtu, MTU);

	CU_ASSERT_EQUAL(capture->write(capture, make_tcp(true, 101, 0), 1), 1);
	CU_ASSERT_EQUAL(capture->write(capture, make_tcp(false, 30000, 1400), 1), 1);
	struct weft_pkt *pkt = make_tcp(true, 20000, 1400);
	put_be16(slot.bytes + 2, 1440); /* a length left from a piece */
	CU_ASSERT_EQUAL(d[1]->write(d[1], pkt, 1), 1);
	uint16_t before = get_be16(slot.bytes + 36);
	CU_ASSERT_EQUAL(dev_get(capture, &slot2, -1) >= 0, 1);
	CU_ASSERT_EQUAL(get_be16(slot2.bytes + 36), before); /* only the copy is completed */
	CU_ASSERT_EQUAL(dev_get(d[1], &slot2, -1) >= 0, 1);
	CU_ASSERT_EQUAL(slot2.pkt.len, 141);

	/* Each batch is in the file at once. */
	load(keep ? keep : path);
	size_t at = packet(headers(), PCAPNG_OUT, 141, &bytes);
	expect_valid(bytes, 141);
	at = packet(at, PCAPNG_OUT, 30060, &bytes);
	expect_valid(bytes, 30060);
	at = packet(at, PCAPNG_IN, 20040, &bytes);
	expect_valid(bytes, 20040);
	CU_ASSERT_EQUAL(at, file_size);
	capture->wake(capture);
	CU_ASSERT_EQUAL(dev_get(capture, &slot2, -1), -1);
	capture->close(capture);
	d[1]->close(d[1]);
	unlink(path);
}

static void test_cannot_open(void)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 10), 0);
	CU_ASSERT_PTR_NULL(weft_dev_capture(d[0], "/nonexistent/file"));
	CU_ASSERT_EQUAL(errno, ENOENT);
	CU_ASSERT_PTR_NULL(weft_dev_capture(d[0], NULL));
	d[0]->close(d[0]);
	d[1]->close(d[1]);
}

/* A full disk ends the file, not the traffic. */
static void test_disk_full(void)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 10), 0);
	struct weft_dev *capture = weft_dev_capture(d[0], "/dev/full");
	if (!capture) { /* the header did not fit either */
		CU_ASSERT_EQUAL(errno, ENOSPC);
		capture = d[0];
	}
	dev_put(capture, &slot, 5, 40);
	dev_put(capture, &slot, 6, 40);
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), 5);
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), 6);
	capture->close(capture);
	d[1]->close(d[1]);
}

static int lose_all(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	for (int i = 0; i < count; i++)
		dev->write_refused_bytes += pkts[i].len;
	dev->write_refused += (uint64_t)count;
	return count;
}

static void close_nothing(struct weft_dev *dev)
{
	(void)dev;
}

/* What the lower device takes and loses is told. */
static void test_lower_loses(void)
{
	struct weft_dev lower = {.mtu = MTU,
				 .write = lose_all,
				 .close = close_nothing,
				 .write_refused = 7,
				 .write_refused_bytes = 700};
	struct weft_dev *capture = weft_dev_capture(&lower, "/dev/null");

	CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
	CU_ASSERT(capture->write_refused == 7 && capture->write_refused_bytes == 700);
	CU_ASSERT_EQUAL(dev_put(capture, &slot, 1, 40), 1);
	CU_ASSERT(capture->write_refused == 8 && capture->write_refused_bytes == 740);
	capture->close(capture);
}

UNIT_MAIN("capture", UNIT(file), UNIT(cannot_open), UNIT(disk_full), UNIT(lower_loses))
