/*
 * From a message to packets: headers, checksum, fragments.  On the thread that sends, without the
 * socket's lock; the emitter only writes.
 */
#include "net/base/bytes.h"
#include "net/base/copy.h"
#include "net/base/mechanism.h"
#include "net/ip/flow_label.h"
#include "net/ip/frag_out.h"
#include "net/stack/dgram.h"
#include "net/stack/path.h"
#include "net/stack/route.h"
#include "net/stack/stack_int.h"
#include "net/wire/csum.h"
#include "net/wire/icmp.h"
#include "net/wire/udp_hdr.h"
#include <errno.h>

enum { UDP_CSUM_AT = 6, ICMP_CSUM_AT = 2, ICMP_ID_AT = 4, PACKET_MAX = 65535 };

/* ---- Notes: in members of the buffer that only TCP uses otherwise. ---- */

enum { NOTE_LOCAL = 1u << 16 };

static void set_note(struct buf *b, const struct dgram_note *note)
{
	b->seq = note->csum_start | (note->is_local ? NOTE_LOCAL : 0);
	b->run_end = note->gso_size;
}

struct dgram_note dgram_note_of(const struct buf *packet)
{
	return (struct dgram_note){
		.csum_start = (uint16_t)packet->seq,
		.gso_size = (uint16_t)packet->run_end,
		.is_local = packet->seq & NOTE_LOCAL,
	};
}

/* ---- The transport's part. ---- */

static void gather(const struct dgram_msg *msg, uint8_t *p)
{
	size_t skip = msg->offset;
	size_t left = msg->size;

	for (int i = 0; i < msg->count && left > 0; i++) {
		const uint8_t *part = msg->iov[i].iov_base;
		size_t len = msg->iov[i].iov_len;

		if (len <= skip) {
			skip -= len;
			continue;
		}
		len = len - skip < left ? len - skip : left;
		copy_bytes(p, part + skip, len);
		skip = 0;
		p += len;
		left -= len;
	}
}

/* Complete, or the pseudo-header's part when the device does the rest. */
static void emit_udp(const struct dgram_msg *msg, uint8_t *p, bool is_partial)
{
	const struct flow *flow = &msg->flow;
	const struct udp_hdr udp = {.src_port = flow->local_port, .dst_port = flow->remote_port};
	uint32_t len = UDP_HDR_SIZE + msg->size;

	if (!is_partial) {
		udp_hdr_emit(p, &udp, msg->size, &flow->local, &flow->remote);
		return;
	}
	put_be16(p, udp.src_port);
	put_be16(p + 2, udp.dst_port);
	put_be16(p + 4, (uint16_t)len);
	put_be16(p + UDP_CSUM_AT,
		 csum_fold(csum_pseudo(&flow->local, &flow->remote, IP_PROTO_UDP, len)));
}

/* An echo request as the program gave it, with the socket's identifier and a checksum. */
static void finish_ping(const struct dgram_msg *msg, uint8_t *p)
{
	const struct flow *flow = &msg->flow;
	uint64_t sum = addr_is_v4(&flow->local) ? 0
						: csum_pseudo(&flow->local, &flow->remote,
							      IP_PROTO_ICMP6, msg->size);

	put_be16(p + ICMP_ID_AT, flow->local_port);
	put_be16(p + ICMP_CSUM_AT, 0);
	put_be16(p + ICMP_CSUM_AT, csum_finish(csum_add(sum, p, msg->size)));
}

/* ---- Packets. ---- */

/* A datagram on its way to being packets. */
struct making {
	struct stack *stack;
	const struct dgram_msg *msg;
	struct ip_hdr ip;
	uint32_t size; /* behind the IP header */
	uint32_t mtu;
	uint16_t gso_size; /* the device cuts it; 0: nobody does */
	bool is_local;
};

static const struct weft_dev *dev_of(const struct making *m)
{
	return m->is_local ? m->stack->loop : m->stack->dev;
}

/* By the cache unless IP_MTU_DISCOVER is against it. */
uint32_t dgram_mtu(struct stack *stack, const struct dgram_msg *msg)
{
	bool ignores_path = msg->pmtudisc == SOCK_PMTUDISC_PROBE ||
			    msg->pmtudisc == SOCK_PMTUDISC_INTERFACE ||
			    msg->pmtudisc == SOCK_PMTUDISC_OMIT;

	return ignores_path ? path_link_mtu(stack, &msg->flow.remote)
			    : path_mtu(stack, &msg->flow.remote, stack_now(stack));
}

static bool may_cut(const struct dgram_msg *msg)
{
	return msg->pmtudisc == SOCK_PMTUDISC_DONT || msg->pmtudisc == SOCK_PMTUDISC_WANT ||
	       msg->pmtudisc == SOCK_PMTUDISC_OMIT;
}

/* DF is set where the path's MTU is to be found out (RFC 1191). */
static bool may_be_cut(const struct dgram_msg *msg)
{
	return msg->pmtudisc == SOCK_PMTUDISC_DONT || msg->pmtudisc == SOCK_PMTUDISC_INTERFACE ||
	       msg->pmtudisc == SOCK_PMTUDISC_OMIT;
}

/* A device that cuts counts on from the first one. */
static uint32_t take_id(const struct making *m)
{
	bool is_cut = m->gso_size > 0 && MECHANISM(udp_uso_ids);
	unsigned count = is_cut ? (m->msg->size + m->gso_size - 1) / m->gso_size : 1;

	return ip_id_take(&m->stack->ip_ids, &m->ip.src, &m->ip.dst, m->ip.proto, count);
}

/* The whole datagram in one buffer; room for an IP header is in front of it. */
static struct buf *make_whole(const struct making *m, bool is_partial)
{
	size_t ip_len = ip_hdr_size(&m->ip.dst);
	struct buf *b = buf_new(m->stack->pool, ip_len + m->size);

	if (!b)
		return NULL;
	uint8_t *p = b->data + ip_len;

	gather(m->msg, p + m->size - m->msg->size);
	if (m->msg->is_ping)
		finish_ping(m->msg, p);
	else
		emit_udp(m->msg, p, is_partial);
	b->len = (uint32_t)(ip_len + m->size);
	return b;
}

static int make_one(const struct making *m, struct buf_queue *packets)
{
	bool is_partial = (dev_of(m)->flags & WEFT_DEV_TX_CSUM) && !m->msg->is_ping;
	struct ip_hdr ip = m->ip;
	struct buf *b = make_whole(m, is_partial);

	if (!b)
		return -ENOBUFS;
	ip.payload_len = (uint16_t)m->size;
	if (ip.may_frag && addr_is_v4(&ip.dst))
		ip.id = (uint16_t)take_id(m);
	size_t ip_len = ip_emit(b->data, &ip);
	const struct dgram_note note = {
		.csum_start = is_partial ? (uint16_t)ip_len : 0,
		.gso_size = m->gso_size,
		.is_local = m->is_local,
	};

	set_note(b, &note);
	buf_queue_push(packets, b);
	return 0;
}

/* RFC 791 3.2, RFC 8200 4.5. */
static int make_fragments(const struct making *m, struct buf_queue *packets)
{
	const struct dgram_note note = {.is_local = m->is_local};
	struct buf *whole = make_whole(m, false);
	uint32_t id = take_id(m);
	struct frag_cut cut;
	int rc = whole ? 0 : -ENOBUFS;

	frag_cut_init(&cut, &m->ip, m->size, m->mtu);
	while (rc == 0 && frag_cut_next(&cut)) {
		struct buf *b = buf_new(m->stack->pool, FRAG_HDR_MAX + cut.len);

		if (!b) {
			rc = -ENOBUFS;
			break;
		}
		size_t hdr = frag_hdr_emit(b->data, &m->ip, id, &cut);

		memcpy(b->data + hdr, whole->data + ip_hdr_size(&m->ip.dst) + cut.offset, cut.len);
		b->len = (uint32_t)hdr + cut.len;
		set_note(b, &note);
		buf_queue_push(packets, b);
	}
	buf_put(&whole);
	if (rc != 0)
		buf_queue_clear(packets);
	else
		counter_add(&m->stack->counters, C_IP_FRAGMENTED, 1);
	return rc;
}

/* Whether the device takes them as one packet. */
static bool can_offload_cut(const struct making *m)
{
	uint32_t uso = addr_is_v4(&m->ip.dst) ? WEFT_DEV_TX_USO4 : WEFT_DEV_TX_USO6;

	return MECHANISM(udp_uso) && (dev_of(m)->flags & uso) &&
	       (dev_of(m)->flags & WEFT_DEV_TX_CSUM) &&
	       ip_hdr_size(&m->ip.dst) + m->size <= PACKET_MAX;
}

/* UDP_SEGMENT: datagrams of equal size but the last, none of which may need fragments. */
static int make_segments(struct making *m, struct buf_queue *packets)
{
	const struct dgram_msg *whole = m->msg;
	struct dgram_msg piece = *whole;
	int rc = 0;

	if (whole->size > (uint32_t)whole->segment * DGRAM_SEGMENTS_MAX && MECHANISM(udp_uso_max))
		return -EINVAL;
	if (ip_hdr_size(&m->ip.dst) + UDP_HDR_SIZE + whole->segment > m->mtu &&
	    MECHANISM(udp_uso_mtu))
		return -EINVAL;
	if (can_offload_cut(m)) {
		m->gso_size = whole->segment;
		return make_one(m, packets);
	}
	m->msg = &piece;
	for (uint32_t left = whole->size; left > 0 && rc == 0; left -= piece.size) {
		piece.offset = whole->size - left;
		piece.size = left < whole->segment ? left : whole->segment;
		m->size = UDP_HDR_SIZE + piece.size;
		rc = make_one(m, packets);
	}
	m->msg = whole;
	if (rc != 0)
		buf_queue_clear(packets);
	return rc;
}

static uint8_t proto_of_msg(const struct dgram_msg *msg)
{
	if (!msg->is_ping)
		return IP_PROTO_UDP;
	return addr_is_v4(&msg->flow.remote) ? IP_PROTO_ICMP : IP_PROTO_ICMP6;
}

int dgram_build(struct stack *stack, const struct dgram_msg *msg, struct buf_queue *packets)
{
	const struct flow *flow = &msg->flow;
	struct making m = {
		.stack = stack,
		.msg = msg,
		.ip = {.src = flow->local,
		       .dst = flow->remote,
		       .proto = proto_of_msg(msg),
		       .ttl = msg->ttl,
		       .tos = msg->tos,
		       .label = addr_is_v4(&flow->remote) ? 0
							  : flow_label(&stack->ip_ids.key, flow, 0),
		       .may_frag = may_be_cut(msg)},
		.size = (msg->is_ping ? 0 : UDP_HDR_SIZE) + msg->size,
		.mtu = dgram_mtu(stack, msg),
		.is_local = route_is_local(stack, &flow->remote),
	};

	if (msg->segment > 0 && msg->size > msg->segment)
		return make_segments(&m, packets);
	if (ip_hdr_size(&flow->remote) + m.size <= m.mtu)
		return make_one(&m, packets);
	return may_cut(msg) ? make_fragments(&m, packets) : -EMSGSIZE;
}
