/*
 * ICMP messages on their way out.  RX threads answer with them, the TX thread says what was never
 * complete, in fragments if need be (net/ip/frag_out.h).
 */
#include "net/stack/icmp_out.h"

#include "net/ip/frag_out.h"
#include "net/stack/path.h"
#include "net/stack/reply.h"
#include "net/stack/stack_int.h"

enum {
	ATOMIC_MAX =
		576, /* every IPv4 path takes that: DF is no risk, and no ID is spent (RFC 6864) */
};

/* A message that is being cut. */
struct cut {
	struct stack *stack;
	unsigned queue;
	struct ip_hdr ip; /* of the whole */
	uint32_t id;
	const uint8_t *data;
	uint32_t size;
};

/* Queues a packet and counts a lost one. */
static bool give(const struct cut *c, struct buf **b, size_t len)
{
	(*b)->len = (uint32_t)len;
	return reply_packet(c->stack, c->queue, &c->ip.dst, b);
}

/* The current fragment. */
static enum drop give_fragment(const struct cut *c, const struct frag_cut *cut, bool *is_queued)
{
	struct buf *b = buf_new(c->stack->pool, frag_hdr_size(&c->ip.dst) + cut->len);

	if (!b)
		return DROP_NO_BUF;
	size_t at = frag_hdr_emit(b->data, &c->ip, c->id, cut);

	memcpy(b->data + at, c->data + cut->offset, cut->len);
	*is_queued = give(c, &b, at + cut->len);
	return DROP_NONE;
}

/* All fragments, or as many as there is room for: half a datagram is worth nothing. */
static enum drop give_fragments(const struct cut *c, uint32_t mtu)
{
	struct frag_cut cut;
	bool is_queued = true;

	frag_cut_init(&cut, &c->ip, c->size, mtu);
	while (is_queued && frag_cut_next(&cut)) {
		enum drop why = give_fragment(c, &cut, &is_queued);

		if (why != DROP_NONE)
			return why;
	}
	return DROP_NONE;
}

enum drop icmp_out(struct stack *stack, unsigned queue, const struct addr *src,
		   const struct addr *dst, const struct icmp_msg *msg, weft_time_us now)
{
	bool is_v4 = addr_is_v4(dst);
	size_t ip_len = ip_hdr_size(dst);
	uint32_t mtu = path_mtu(stack, dst, now);
	struct buf *b = buf_new(stack->pool, ip_len + ICMP_HDR_SIZE + msg->body_len);

	if (!b)
		return DROP_NO_BUF;
	size_t size = icmp_emit(b->data + ip_len, msg, src, dst);
	bool is_atomic = is_v4 && ip_len + size <= ATOMIC_MAX;
	struct cut c = {
		.stack = stack,
		.queue = queue,
		.ip = {.src = *src,
		       .dst = *dst,
		       .payload_len = (uint16_t)size,
		       .proto = is_v4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6,
		       .ttl = IP_TTL_DEFAULT,
		       .may_frag = !is_atomic},
		.data = b->data + ip_len,
		.size = (uint32_t)size,
	};
	enum drop why = DROP_NONE;

	if (!is_atomic)
		c.id = ip_id_take(&stack->ip_ids, src, dst, c.ip.proto, 1);
	c.ip.id = (uint16_t)c.id;
	/* A full queue is counted there. */
	counter_add(&stack->counters, msg->kind == ICMP_ECHO_REPLY ? C_ICMP_ECHO : C_ICMP_ERR_OUT,
		    1);
	if (ip_len + size > mtu) {
		counter_add(&stack->counters, C_IP_FRAGMENTED, 1);
		why = give_fragments(&c, mtu);
		buf_put(&b);
	} else {
		ip_emit(b->data, &c.ip);
		give(&c, &b, ip_len + size);
	}
	return why;
}
