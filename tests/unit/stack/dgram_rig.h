/* Datagram sockets on stacks of rig.h, by the calls that api/ makes. */
#ifndef WEFT_TESTS_DGRAM_RIG_H
#define WEFT_TESTS_DGRAM_RIG_H

#include "net/stack/proto.h"
#include "net/stack/stack_int.h"
#include "raw.h"

enum { ANY_PORT = 0 };

static inline struct conn *dg_new(struct stack *stack, const struct proto *proto, bool is_v6)
{
	struct conn *c = NULL;

	WEFT_ASSERT(proto_new_dgram(stack, proto, is_v6, &c) == 0);
	return c;
}

static inline int dg_bind(struct conn *c, const char *addr, uint16_t port)
{
	struct sock_addr at = rig_at(addr, port);

	return proto_of(c)->bind(c, &at);
}

/* A bound socket of the address' family. */
static inline struct conn *dg_open(struct stack *stack, const char *addr, uint16_t port)
{
	struct sock_addr at = rig_at(addr, port);
	struct conn *c = dg_new(stack, &proto_udp, !addr_is_v4(&at.addr));

	CU_ASSERT_EQUAL_FATAL(proto_of(c)->bind(c, &at), 0);
	return c;
}

static inline void dg_close(struct conn **c)
{
	CU_ASSERT_EQUAL(proto_of(*c)->close(*c), 0);
	proto_put(c);
}

static inline int dg_connect(struct conn *c, const char *addr, uint16_t port)
{
	struct sock_addr at = rig_at(addr, port);

	return proto_of(c)->connect(c, &at, false);
}

/* 'addr' NULL: nowhere named. */
static inline ssize_t dg_send_to(struct conn *c, const void *data, size_t size, const char *addr,
				 uint16_t port, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
	struct sock_addr at;
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = flags};

	if (addr) {
		at = rig_at(addr, port);
		msg.name = &at;
	}
	return proto_of(c)->send(c, &msg);
}

/* What recv gave. */
struct dg_got {
	ssize_t size;
	int flags;
	struct sock_addr from;
	uint8_t bytes[66000];
};

/* A message of at most 'room' bytes, with flags as given. */
static inline const struct dg_got *dg_recv(struct conn *c, size_t room, int flags)
{
	static _Thread_local struct dg_got got;
	struct iovec iov = {.iov_base = got.bytes, .iov_len = room};
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = flags, .name = &got.from};

	got.from = (struct sock_addr){.port = 0};
	got.size = proto_of(c)->recv(c, &msg);
	got.flags = msg.flags_out;
	return &got;
}

/* The next message is 'text', from 'addr' and 'port' (0: from any), and comes within ten seconds. */
static inline void dg_expect(struct conn *c, const char *text, const char *addr, uint16_t port)
{
	struct addr a = rig_addr(addr);

	CU_ASSERT_EQUAL(proto_of(c)->setopt(c, SOCK_OPT_RCVTIMEO, 10 * US_PER_S), 0);
	const struct dg_got *got = dg_recv(c, 65536, 0);

	CU_ASSERT_EQUAL(proto_of(c)->setopt(c, SOCK_OPT_RCVTIMEO, 0), 0);
	CU_ASSERT_EQUAL_FATAL(got->size, (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(memcmp(got->bytes, text, strlen(text)), 0);
	CU_ASSERT_TRUE(addr_equal(&got->from.addr, &a));
	CU_ASSERT_TRUE(port == 0 || got->from.port == port);
	CU_ASSERT_EQUAL(got->flags, 0);
}

static inline void dg_send_text(struct conn *c, const char *text, const char *addr, uint16_t port)
{
	CU_ASSERT_EQUAL(dg_send_to(c, text, strlen(text), addr, port, 0), (ssize_t)strlen(text));
}

/* Nothing is there, and nothing comes for a while. */
static inline void dg_expect_nothing(struct conn *c)
{
	CU_ASSERT_EQUAL(proto_of(c)->setopt(c, SOCK_OPT_RCVTIMEO, 20 * US_PER_MS), 0);
	CU_ASSERT_EQUAL(dg_recv(c, 100, 0)->size, -EAGAIN);
	CU_ASSERT_EQUAL(proto_of(c)->setopt(c, SOCK_OPT_RCVTIMEO, 0), 0);
}

static inline uint16_t dg_port(struct conn *c)
{
	struct sock_addr at;

	CU_ASSERT_EQUAL(proto_of(c)->getname(c, &at), 0);
	return at.port;
}

static inline int dg_set(struct conn *c, enum sock_opt opt, int64_t value)
{
	return proto_of(c)->setopt(c, opt, value);
}

static inline int64_t dg_get(struct conn *c, enum sock_opt opt)
{
	int64_t value = -1;
	int rc = proto_of(c)->getopt(c, opt, &value);

	return rc < 0 ? rc : value;
}

/* Writes a UDP datagram to the stack by hand; 'csum' goes into the field, -1: the right one. */
static inline void dg_raw(struct raw *raw, const char *src, uint16_t src_port, const char *dst,
			  uint16_t dst_port, const void *data, size_t size, int csum)
{
	static uint8_t udp[2048];
	const struct udp_hdr hdr = {.src_port = src_port, .dst_port = dst_port};
	struct addr s = rig_addr(src), d = rig_addr(dst);

	memcpy(udp + UDP_HDR_SIZE, data, size);
	udp_hdr_emit(udp, &hdr, size, &s, &d);
	if (csum >= 0) {
		udp[6] = (uint8_t)(csum >> 8);
		udp[7] = (uint8_t)csum;
	}
	raw_ip(raw, src, dst, IP_PROTO_UDP, udp, UDP_HDR_SIZE + size);
}

/* The next datagram from the stack; NULL: none came.  Its checksum is right. */
static inline const uint8_t *dg_raw_read(struct raw *raw, struct ip_hdr *ip, struct udp_hdr *hdr,
					 int timeout_ms)
{
	static uint8_t pkt[66000];
	size_t size = raw_read(raw, pkt, sizeof(pkt), timeout_ms);

	if (size == 0 || ip_parse(pkt, size, ip) != DROP_NONE || ip->proto != IP_PROTO_UDP ||
	    udp_hdr_parse(pkt + ip->hdr_len, ip->payload_len, &ip->src, &ip->dst, hdr) != DROP_NONE)
		return NULL;
	return pkt + ip->hdr_len + UDP_HDR_SIZE;
}

#endif
