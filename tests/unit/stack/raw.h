/*
 * A stack (10.0.0.1, fd00::1) on one end of a cable and the test itself on the other: it writes
 * packets of its own making and reads what the stack answers.
 */
#ifndef WEFT_TESTS_RAW_H
#define WEFT_TESTS_RAW_H

#include "net/wire/csum.h"
#include "net/wire/icmp.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include "net/wire/udp_hdr.h"
#include "rig.h"

struct raw {
	struct stack *stack;
	struct weft_dev *wire;
};

static inline void raw_open(struct raw *raw, const struct rig_config *config)
{
	struct weft_dev *ends[2];
	int rc = weft_dev_pair(ends, config->mtu, config->flags, 1024);

	WEFT_ASSERT(rc == 0);
	raw->stack = rig_stack(config, ends[0], "10.0.0.1", "fd00::1");
	raw->wire = ends[1];
}

static inline void raw_close(struct raw *raw)
{
	stack_free(raw->stack);
	raw->wire->close(raw->wire);
}

static inline void raw_write(struct raw *raw, void *data, size_t size)
{
	struct iovec iov = {.iov_base = data, .iov_len = size};
	const struct weft_pkt pkt = {.iov = &iov, .iov_count = 1, .len = (uint32_t)size};

	CU_ASSERT_EQUAL(raw->wire->write(raw->wire, &pkt, 1), 1);
}

/* The next packet from the stack within a second (or 'timeout_ms'); its size, 0 for none. */
static inline size_t raw_read(struct raw *raw, uint8_t *data, size_t size, int timeout_ms)
{
	struct iovec iov = {.iov_base = data, .iov_len = size};
	struct weft_pkt pkt = {.iov = &iov, .iov_count = 1};
	int n = raw->wire->read(raw->wire, &pkt, 1, (int64_t)timeout_ms * US_PER_MS);

	return n == 1 ? pkt.len : 0;
}

/* Writes packets at once: the stack's RX thread finds them as one batch. */
static inline void raw_write_batch(struct raw *raw, struct iovec *parts, unsigned count)
{
	struct weft_pkt pkts[64];

	CU_ASSERT_FATAL(count <= ARRAY_SIZE(pkts));
	for (unsigned i = 0; i < count; i++)
		pkts[i] = (struct weft_pkt){
			.iov = &parts[i], .iov_count = 1, .len = (uint32_t)parts[i].iov_len};
	CU_ASSERT_EQUAL(raw->wire->write(raw->wire, pkts, (int)count), (int)count);
}

/* Writes an IP packet with the given payload. */
static inline void raw_ip(struct raw *raw, const char *src, const char *dst, uint8_t proto,
			  const void *payload, size_t size)
{
	static uint8_t pkt[2048];
	const struct ip_hdr ip = {
		.src = rig_addr(src),
		.dst = rig_addr(dst),
		.payload_len = (uint16_t)size,
		.proto = proto,
		.ttl = 64,
	};
	size_t hdr = ip_emit(pkt, &ip);

	memcpy(pkt + hdr, payload, size);
	raw_write(raw, pkt, hdr + size);
}

/* Writes a TCP segment; 'bad_csum' spoils it. */
static inline void raw_tcp(struct raw *raw, const char *src, const char *dst,
			   const struct tcp_hdr *hdr, const char *data, bool bad_csum)
{
	uint8_t tcp[TCP_HDR_MAX + 256];
	struct addr s = rig_addr(src), d = rig_addr(dst);
	size_t len = tcp_hdr_emit(tcp, hdr);
	size_t data_len = strlen(data);

	memcpy(tcp + len, data, data_len);
	len += data_len;
	uint64_t sum = csum_pseudo(&s, &d, IP_PROTO_TCP, (uint32_t)len);
	uint16_t csum = csum_finish(csum_add(sum, tcp, len));

	csum ^= bad_csum;
	tcp[16] = (uint8_t)(csum >> 8);
	tcp[17] = (uint8_t)csum;
	raw_ip(raw, src, dst, IP_PROTO_TCP, tcp, len);
}

/* Reads the next TCP segment of the stack; false when none comes. */
static inline bool raw_read_tcp(struct raw *raw, struct tcp_hdr *hdr, int timeout_ms)
{
	static uint8_t pkt[2048];
	struct ip_hdr ip;
	size_t size = raw_read(raw, pkt, sizeof(pkt), timeout_ms);

	return size > 0 && ip_parse(pkt, size, &ip) == DROP_NONE && ip.proto == IP_PROTO_TCP &&
	       tcp_csum_ok(pkt + ip.hdr_len, ip.payload_len, &ip.src, &ip.dst) &&
	       tcp_hdr_parse(pkt + ip.hdr_len, ip.payload_len, hdr) == DROP_NONE;
}

/* Polls until the stack has counted a drop for 'why' 'count' times. */
struct raw_drops {
	struct stack *stack;
	enum drop why;
	uint64_t count;
};

static inline bool raw_has_drops(void *arg)
{
	struct raw_drops *d = arg;

	return rig_stats(d->stack)->drops[d->why] >= d->count;
}

static inline bool raw_dropped(struct raw *raw, enum drop why, uint64_t count)
{
	struct raw_drops d = {raw->stack, why, count};

	return rig_until(raw_has_drops, &d, 1000) && rig_stats(raw->stack)->drops[why] == count;
}

#endif
