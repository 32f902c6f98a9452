/*
 * Building packets and writing them.  Emitter only; no other lock is held here.
 *
 * Pins: bytes under a running write must not be freed by an ACK, so every view of a segment comes
 * with a reference, which goes after the write that has the segment's last piece.
 */
#include "net/stack/emit.h"

#include "net/base/check.h"
#include "net/base/sync.h"
#include "net/ip/flow_label.h"
#include "net/stack/dgram.h"
#include "net/stack/seg.h"
#include "net/wire/csum.h"
#include "net/wire/udp_hdr.h"
#include <errno.h>

enum {
	TCP_CSUM_OFFSET = 16,
	UDP_CSUM_OFFSET = 6,
	WRITE_RETRY_US = 200, /* a full device gets that long to make room, once */
};

const struct emit_ip emit_ip_default = {.ttl = IP_TTL_DEFAULT};

void emit_init(struct emit *e, struct weft_dev *dev, uint32_t flags, struct counters *counters,
	       struct ip_ids *ids)
{
	e->dev = dev;
	e->flags = flags;
	e->counters = counters;
	e->ids = ids;
	e->pkt_count = 0;
	e->iov_count = 0;
	e->pin_count = 0;
	e->refused = (struct emit_amount){dev->write_refused, dev->write_refused_bytes};
	e->owed = (struct emit_amount){0, 0};
}

/* ---- Writing. ---- */

/* Lets a device that is full drain: real time, not the stack's clock, as the device is real. */
static void pause_shortly(void)
{
	struct mutex mu;
	struct cond cond;
	weft_time_us until = clock_monotonic_us() + WRITE_RETRY_US;

	mutex_init(&mu);
	cond_init(&cond);
	mutex_lock(&mu);
	while (cond_wait_until(&cond, &mu, until))
		continue;
	mutex_unlock(&mu);
	cond_fini(&cond);
	mutex_fini(&mu);
}

/* Writes packets from 'first' on; returns how many were taken. */
static unsigned write_some(struct emit *e, unsigned first)
{
	int n = e->dev->write(e->dev, e->pkt + first, (int)(e->pkt_count - first));

	return n > 0 ? (unsigned)n : 0;
}

/* 'sent' without what is owed, which becomes less by that. */
static uint64_t settle(uint64_t *owed, uint64_t sent)
{
	uint64_t part = *owed < sent ? *owed : sent;

	*owed -= part;
	return sent - part;
}

/*
 * Of the batch 'done' packets were taken.  Those that the device has lost since the last look are dropped, not
 * sent; perhaps they were of an earlier batch: then that many of this one are not counted.
 */
static void count_batch(struct emit *e, unsigned done)
{
	const struct emit_amount refused = {e->dev->write_refused, e->dev->write_refused_bytes};
	uint64_t bytes = 0;

	for (unsigned i = 0; i < done; i++)
		bytes += e->pkt[i].len;
	e->owed.pkts += refused.pkts - e->refused.pkts;
	e->owed.bytes += refused.bytes - e->refused.bytes;
	drop_add(e->counters, DROP_DEV_WRITE,
		 refused.pkts - e->refused.pkts + (e->pkt_count - done));
	e->refused = refused;
	counter_add(e->counters, C_PKT_OUT, settle(&e->owed.pkts, done));
	counter_add(e->counters, C_BYTES_OUT, settle(&e->owed.bytes, bytes));
}

/* A device that stays full loses packets, as any network does; TCP recovers. */
static void write_batch(struct emit *e)
{
	unsigned done = write_some(e, 0);

	for (unsigned tries = 0; done < e->pkt_count && tries < 2; tries++) {
		if (tries > 0)
			pause_shortly();
		done += write_some(e, done);
	}
	count_batch(e, done);
}

void emit_flush(struct emit *e)
{
	if (e->pkt_count > 0)
		write_batch(e);
	for (unsigned i = 0; i < e->pin_count; i++)
		buf_put(&e->pin[i]);
	e->pkt_count = 0;
	e->iov_count = 0;
	e->pin_count = 0;
}

/* ---- Building. ---- */

/* Room for one more packet of any shape. */
static void ensure_room(struct emit *e)
{
	if (e->pkt_count == EMIT_PKTS || e->iov_count + 1 + TCP_VIEWS_MAX > EMIT_IOVS ||
	    e->pin_count + TCP_VIEWS_MAX > EMIT_PINS)
		emit_flush(e);
}

/* Whether the device takes the segment whole and cuts it. */
static bool can_offload_cut(const struct emit *e, const struct flow *flow)
{
	uint32_t tso = addr_is_v4(&flow->remote) ? WEFT_DEV_TX_TSO4 : WEFT_DEV_TX_TSO6;

	return (e->flags & tso) && (e->flags & WEFT_DEV_TX_CSUM);
}

/* The TCP checksum of a whole packet, the field being zero. */
static uint16_t full_csum(const struct flow *flow, const uint8_t *tcp, size_t tcp_hdr_len,
			  const struct iovec *iov, unsigned iov_count, uint32_t tcp_len)
{
	uint64_t sum = csum_pseudo(&flow->local, &flow->remote, IP_PROTO_TCP, tcp_len);
	size_t offset = tcp_hdr_len;

	sum = csum_add(sum, tcp, tcp_hdr_len);
	for (unsigned i = 0; i < iov_count; i++) {
		sum = csum_add_at(sum, iov[i].iov_base, iov[i].iov_len, offset);
		offset += iov[i].iov_len;
	}
	return csum_finish(sum);
}

static void set_csum(struct emit *e, struct weft_pkt *pkt, const struct flow *flow, size_t ip_len,
		     size_t tcp_hdr_len)
{
	uint8_t *tcp = (uint8_t *)pkt->iov[0].iov_base + ip_len;
	uint32_t tcp_len = pkt->len - (uint32_t)ip_len;
	uint16_t csum;

	if (e->flags & WEFT_DEV_TX_CSUM) {
		csum = csum_fold(csum_pseudo(&flow->local, &flow->remote, IP_PROTO_TCP, tcp_len));
		pkt->flags = WEFT_PKT_CSUM_PARTIAL;
		pkt->csum_start = (uint16_t)ip_len;
		pkt->csum_offset = TCP_CSUM_OFFSET;
	} else {
		csum = full_csum(flow, tcp, tcp_hdr_len, pkt->iov + 1, pkt->iov_count - 1, tcp_len);
	}
	tcp[TCP_CSUM_OFFSET] = (uint8_t)(csum >> 8);
	tcp[TCP_CSUM_OFFSET + 1] = (uint8_t)csum;
}

/* IDs for a packet that may be fragmented: a device that cuts counts on from the first. */
static uint16_t take_ids(struct emit *e, const struct flow *flow, const struct emit_ip *how,
			 uint32_t len, uint16_t gso_size)
{
	unsigned count = gso_size > 0 ? (len + gso_size - 1) / gso_size : 1;

	if (!how->may_frag || !addr_is_v4(&flow->remote))
		return 0;
	return (uint16_t)ip_id_take(e->ids, &flow->local, &flow->remote, IP_PROTO_TCP, count);
}

/* What the packets of a segment have alike beside the segment. */
struct alike {
	const struct emit_ip *ip;
	uint32_t label;
	uint16_t gso_size;
};

/* Adds one packet; its payload parts stand behind the header's in e->iov already. */
static void add_piece(struct emit *e, const struct flow *flow, const struct alike *alike,
		      const struct tcp_seg_out *seg, const struct seg_piece *piece)
{
	const struct emit_ip *how = alike->ip;
	uint16_t gso_size = alike->gso_size;
	struct weft_pkt *pkt = &e->pkt[e->pkt_count];
	uint8_t *hdr = e->hdr[e->pkt_count];
	size_t ip_len = ip_hdr_size(&flow->remote);
	const struct tcp_hdr tcp = {
		.src_port = flow->local_port,
		.dst_port = flow->remote_port,
		.seq = piece->seq,
		.ack = seg->ack,
		.wnd = seg->wnd,
		.up = seg->up,
		.flags = piece->flags,
		.ae = seg->ae,
		.opt = seg->opt,
	};
	size_t tcp_len = tcp_hdr_emit(hdr + ip_len, &tcp);
	const struct ip_hdr ip = {
		.src = flow->local,
		.dst = flow->remote,
		.payload_len = (uint16_t)(tcp_len + piece->len),
		.id = take_ids(e, flow, how, piece->len, gso_size),
		.proto = IP_PROTO_TCP,
		.ttl = how->ttl,
		.tos = (uint8_t)((how->tos & ~IP_ECN_MASK) | (seg->is_ect ? IP_ECN_ECT0 : 0)),
		.may_frag = how->may_frag,
		.label = alike->label,
	};

	ip_emit(hdr, &ip);
	*pkt = (struct weft_pkt){
		.iov = &e->iov[e->iov_count],
		.iov_count = 1 + piece->iov_count,
		.len = (uint32_t)(ip_len + tcp_len) + piece->len,
		.gso_size = gso_size,
		.hdr_len = gso_size ? (uint16_t)(ip_len + tcp_len) : 0,
	};
	pkt->iov[0] = (struct iovec){.iov_base = hdr, .iov_len = ip_len + tcp_len};
	set_csum(e, pkt, flow, ip_len, tcp_len);
	e->iov_count += pkt->iov_count;
	e->pkt_count++;
	counter_add(e->counters, C_TCP_SEG_OUT, 1);
}

void emit_tcp(struct emit *e, const struct flow *flow, const struct emit_ip *ip,
	      const struct tcp_seg_out *seg)
{
	bool is_super = seg->len > seg->mss;
	/* Who cuts leaves CWR on the first piece only. */
	bool is_offloaded =
		is_super && can_offload_cut(e, flow) && !(seg->is_ace && seg->flags & TCP_CWR);
	uint32_t max = is_super && !is_offloaded ? seg->mss : seg->len;
	const struct alike alike = {
		.ip = ip,
		.label = addr_is_v4(&flow->remote) ? 0
						   : flow_label(&e->ids->key, flow, ip->path_tries),
		.gso_size = is_offloaded ? seg->mss : 0,
	};
	struct seg_piece piece;
	struct seg_cut cut;

	seg_cut_init(&cut, seg);
	ensure_room(e);
	while (seg_cut_next(&cut, max, &piece, &e->iov[e->iov_count + 1])) {
		add_piece(e, flow, &alike, seg, &piece);
		ensure_room(e);
	}
	/* The last piece may have been written just now; then these pins go with the next write. */
	for (unsigned i = 0; i < seg->view_count; i++)
		e->pin[e->pin_count++] = seg->view[i].buf;
}

void emit_packet(struct emit *e, struct buf **packet)
{
	struct buf *b = *packet;

	*packet = NULL;
	ensure_room(e);
	e->iov[e->iov_count] = (struct iovec){.iov_base = b->data, .iov_len = b->len};
	e->pkt[e->pkt_count++] = (struct weft_pkt){
		.iov = &e->iov[e->iov_count++],
		.iov_count = 1,
		.len = b->len,
	};
	e->pin[e->pin_count++] = b;
}

void emit_dgram(struct emit *e, struct buf **packet, const struct dgram_note *note)
{
	emit_packet(e, packet);
	struct weft_pkt *pkt = &e->pkt[e->pkt_count - 1];

	if (note->csum_start == 0)
		return;
	pkt->flags = WEFT_PKT_CSUM_PARTIAL;
	pkt->csum_start = note->csum_start;
	pkt->csum_offset = UDP_CSUM_OFFSET;
	pkt->gso_size = note->gso_size;
	pkt->hdr_len = note->gso_size ? (uint16_t)(note->csum_start + UDP_HDR_SIZE) : 0;
}
