/*
 * IP on the RX thread: headers, addresses, extension headers, fragments, and on to the transport.
 */
#include "net/ip/ext.h"
#include "net/stack/frags.h"
#include "net/stack/route.h"
#include "net/stack/rx_int.h"

static enum drop transport(struct rx *rx, struct rx_pkt *p)
{
	bool is_v4 = p->ip.version == 4;

	switch (p->ip.proto) {
	case IP_PROTO_TCP:
		return rx_tcp(rx, p);
	case IP_PROTO_UDP:
		return rx_udp(rx, p);
	case IP_PROTO_ICMP:
		return is_v4 ? rx_icmp(rx, p) : rx_unknown(rx, p);
	case IP_PROTO_ICMP6:
		return is_v4 ? rx_unknown(rx, p) : rx_icmp(rx, p);
	default:
		return rx_unknown(rx, p);
	}
}

/* Everything behind the fixed header; a packet that was put together has no fragment header. */
static enum drop upper(struct rx *rx, struct rx_pkt *p);

/* A packet that is complete now goes its way as if it had come so; its checksums are looked at. */
static enum drop receive_whole(struct rx *rx, struct buf **whole, weft_time_us now)
{
	struct rx_pkt p = {
		.frame = whole,
		.data = (*whole)->data,
		.len = (*whole)->len,
		.now = now,
		.is_whole = true,
	};
	enum drop why = ip_parse_any(p.data, p.len, &p.ip);

	if (why == DROP_NONE)
		why = upper(rx, &p);
	buf_put(whole);
	return why;
}

static enum drop fragment(struct rx *rx, struct rx_pkt *p, const struct frag_in *in)
{
	uint32_t size = (uint32_t)p->ip.hdr_len + p->ip.payload_len;
	struct buf *b = rx_payload(rx, p, p->data, size);
	struct buf *whole;

	if (!b)
		return DROP_NO_BUF;
	b->data += p->ip.hdr_len;
	b->len = p->ip.payload_len;
	enum drop why = frags_insert(rx->stack, in, &b, p->now, &whole);

	return whole ? receive_whole(rx, &whole, p->now) : why;
}

static enum drop fragment_v4(struct rx *rx, struct rx_pkt *p)
{
	const struct frag_in in = {
		.src = p->ip.src,
		.dst = p->ip.dst,
		.id = p->ip.id,
		.version = 4,
		.proto = p->ip.proto,
		.tos = p->ip.tos,
		.hdr_len = (uint8_t)p->ip.hdr_len,
		.more = p->ip.frag & IP4_MORE_FRAGMENTS,
		.offset = (uint16_t)((p->ip.frag & IP4_OFFSET_MASK) * 8),
	};

	return fragment(rx, p, &in);
}

/* RFC 8200 4.5: the two lengths that are told to the sender. */
static bool is_length_wrong(const struct rx_pkt *p, struct ext *ext)
{
	ext->has_problem = true;
	ext->code = 0;
	if (ext->more && p->ip.payload_len % 8 != 0) {
		ext->pointer = 4; /* the Payload Length field */
		return true;
	}
	ext->pointer = ext->frag_at + 2u; /* the Fragment Offset field */
	return (uint32_t)ext->offset + p->ip.payload_len > FRAG_SIZE_MAX;
}

static enum drop upper_v6(struct rx *rx, struct rx_pkt *p)
{
	struct ext ext;
	enum drop why = ext_walk(p->data, &p->ip, &ext);

	p->next_hdr_at = ext.next_hdr_at;
	if (why == DROP_NONE && ext.is_frag && p->is_whole)
		return DROP_IP_EXT_HDR;
	if (why == DROP_NONE && ext.is_frag && is_length_wrong(p, &ext))
		why = DROP_IP_FRAG_SIZE;
	if (why != DROP_NONE) {
		/* What may be an error itself, or part of one, is not answered. */
		bool is_hidden = p->ip.proto == IP_PROTO_ICMP6 && ext.is_frag && ext.offset != 0;

		if (ext.has_problem && !is_hidden)
			rx_problem(rx, p, ext.code, ext.pointer);
		return why;
	}
	if (!ext.is_frag)
		return transport(rx, p);
	const struct frag_in in = {
		.src = p->ip.src,
		.dst = p->ip.dst,
		.id = ext.id,
		.version = 6,
		.proto = p->ip.proto,
		.tos = p->ip.tos,
		.more = ext.more,
		.offset = ext.offset,
	};

	return fragment(rx, p, &in);
}

static enum drop upper(struct rx *rx, struct rx_pkt *p)
{
	if (p->ip.version == 6)
		return upper_v6(rx, p);
	return p->ip.frag != 0 ? fragment_v4(rx, p) : transport(rx, p);
}

enum drop rx_ip(struct rx *rx, struct rx_pkt *p)
{
	if (p->flags & WEFT_PKT_BAD)
		return DROP_DEV_GSO;
	enum drop why = ip_parse_any(p->data, p->len, &p->ip);

	if (why != DROP_NONE && why != DROP_IP_OPTIONS)
		return why;
	enum drop where = route_check_in(rx->stack, &p->ip.src, &p->ip.dst, rx->is_loop);

	if (where != DROP_NONE)
		return where;
	if (why == DROP_NONE)
		return upper(rx, p);
	if (p->ip.problem_at != 0) /* RFC 1122 3.2.2.5 */
		rx_problem(rx, p, 0, p->ip.problem_at);
	return why;
}
