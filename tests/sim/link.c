/*
 * The link: delay, a rate with a queue, an MTU, and a device that cuts super-segments (or does not);
 * what else becomes of a packet is decided in fate.c, or by the program.  Called by end.c for what a
 * core sends and by run.c when a packet arrives.
 */
#include "net/base/check.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "sim.h"
#include <stdlib.h>
#include <string.h>

struct packet {
	struct heap_node node;
	unsigned to;
	bool has_waited;  /* for the other end's CPU */
	uint16_t too_big; /* no segment but a message: seg.seq was too big, this MSS would pass */
	struct tcp_seg seg;
	uint8_t data[];
};

static void trace(struct sim_end *from, const struct tcp_seg *seg, const char *fate)
{
	struct sim *sim = from->sim;
	struct sim_trace *t = &sim->trace[sim->traced++ % TRACE_MAX];

	*t = (struct sim_trace){.at = sim->now, .from = from->index, .len = seg->len, .fate = fate};
	t->hdr.seq = seg->seq;
	t->hdr.ack = seg->ack;
	t->hdr.wnd = seg->wnd;
	t->hdr.flags = seg->flags;
	t->hdr.ae = seg->ae;
	t->hdr.opt = seg->opt;
}

/* Header through the wire format and back. */
static void through_wire(struct sim *sim, struct tcp_seg *seg)
{
	uint8_t bytes[TCP_HDR_MAX];
	struct tcp_hdr in = {.src_port = 1, .dst_port = 2}, out;

	in.seq = seg->seq;
	in.ack = seg->ack;
	in.wnd = seg->wnd;
	in.up = seg->up;
	in.flags = seg->flags;
	in.ae = seg->ae;
	in.opt = seg->opt;
	size_t size = tcp_hdr_emit(bytes, &in);
	enum drop why = tcp_hdr_parse(bytes, size, &out);
	if (why != DROP_NONE || out.hdr_len != size) {
		sim_fail(sim, "header does not parse: %s", drop_name(why));
		return;
	}
	seg->seq = out.seq;
	seg->ack = out.ack;
	seg->wnd = out.wnd;
	seg->up = out.up;
	seg->flags = out.flags;
	seg->ae = out.ae;
	seg->opt = out.opt;
}

weft_time_us link_queue(const struct sim_link *l, weft_time_us now)
{
	return l->busy_until > now ? (l->busy_until - now) * l->rate / 1000 : 0;
}

/* When a packet of 'size' bytes arrives; WEFT_TIME_NEVER when the queue is full. */
static weft_time_us arrival(struct sim_end *from, uint32_t size)
{
	struct sim_link *l = &from->out;
	weft_time_us leaves = time_max(from->sim->now, l->busy_until);

	if (l->rate > 0) {
		if (link_queue(l, from->sim->now) > (weft_time_us)l->queue_max * 1500)
			return WEFT_TIME_NEVER;
		leaves += (weft_time_us)size * 1000 / l->rate;
	}
	l->busy_until = leaves;
	return leaves + l->delay;
}

/* When 'e' gets what arrives at 'at': a batch at the end of its span, as it was sent. */
static weft_time_us taken_at(struct sim_end *e, weft_time_us at)
{
	if (e->batch == 0)
		return at;
	weft_time_us end = (at / e->batch + 1) * e->batch;

	e->batch_count = end == e->batch_end ? e->batch_count + 1 : 0;
	e->batch_end = end;
	return end + e->batch_count;
}

static void enqueue(struct sim_end *from, const struct tcp_seg *seg, const uint8_t *data,
		    weft_time_us at, const char *fate)
{
	struct packet *pkt = calloc(1, sizeof(*pkt) + seg->len);

	WEFT_ASSERT(pkt);
	pkt->to = !from->index;
	pkt->seg = *seg;
	if (seg->len > 0)
		memcpy(pkt->data, data, seg->len);
	heap_insert(&from->sim->events, &pkt->node, taken_at(&from->sim->end[pkt->to], at));
	trace(from, seg, fate);
}

/* One wrong bit, of the header or the data: the checksum has to see it, and then the packet is as good as lost. */
static void check_corruption(struct sim_end *from, const struct tcp_seg *seg, const uint8_t *data)
{
	static uint8_t bytes[TCP_HDR_MAX + 65536];
	struct tcp_hdr hdr = {.src_port = 1, .dst_port = 2, .seq = seg->seq, .ack = seg->ack};

	hdr.wnd = seg->wnd;
	hdr.flags = seg->flags;
	hdr.ae = seg->ae;
	hdr.opt = seg->opt;
	size_t size = tcp_hdr_emit(bytes, &hdr);

	memcpy(bytes + size, data, seg->len);
	size += seg->len;
	uint16_t right = csum_finish(csum_add(0, bytes, size));
	size_t bit = (seg->seq * 2654435761u ^ seg->ack) % (8 * size);

	bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	if (csum_finish(csum_add(0, bytes, size)) == right)
		sim_fail(from->sim, "the checksum does not see bit %zu", bit);
}

/* Nobody passes it on; who does not, says so. */
static void refuse(struct sim_end *from, const struct tcp_seg *seg, uint16_t mtu, bool is_told)
{
	struct sim *sim = from->sim;

	trace(from, seg, is_told ? "too big" : "too big, silence");
	watch_too_big(from, seg, mtu);
	if (!is_told)
		return;
	struct packet *pkt = calloc(1, sizeof(*pkt));

	WEFT_ASSERT(pkt);
	pkt->to = from->index;
	pkt->too_big = path_mss(from, mtu);
	pkt->seg.seq = seg->seq;
	heap_insert(&sim->events, &pkt->node, sim->now + from->out.delay);
}

static void send_piece(struct sim_end *from, struct tcp_seg *seg, const uint8_t *data)
{
	uint16_t mtu = path_mtu(from);
	struct sim_fate fate = {.lost = NULL};
	uint64_t *done = from->sim->done;

	from->sim->decide(from, &fate);
	done[SIM_SENT]++;
	if (fate.corrupt)
		check_corruption(from, seg, data);
	if (fate.lost || fate.corrupt) {
		done[fate.lost == fate_burst ? SIM_BURST : fate.lost ? SIM_LOST : SIM_CORRUPT]++;
		trace(from, seg, fate.lost ? fate.lost : "corrupt");
		return;
	}
	if (mtu != 0 && seg->len + tcp_opts_size(&seg->opt) > path_mss(from, mtu)) {
		done[SIM_TOO_BIG]++;
		refuse(from, seg, mtu, from->out.tells && !fate.untold);
		return;
	}
	path_mark(from, seg, &fate);
	done[SIM_MARKED] += seg->ecn == IP_ECN_CE;
	done[SIM_TWICE] += fate.twice;
	done[SIM_LATE] += fate.late > 0;
	for (unsigned i = 0; i < 1u + fate.twice; i++) {
		weft_time_us at = arrival(from, seg->len + 54);

		if (at == WEFT_TIME_NEVER) {
			trace(from, seg, "queue full");
			done[SIM_QUEUE_FULL]++;
			return;
		}
		at += fate.late + (i > 0 ? fate.again : 0);
		const char *text = seg->ecn == IP_ECN_CE ? "marked" : "";
		enqueue(from, seg, data, at, i > 0 ? "again" : fate.late > 0 ? "late" : text);
	}
}

void link_send(struct sim_end *from, const struct tcp_seg_out *out)
{
	struct sim *sim = from->sim;
	static uint8_t data[65536];
	uint32_t size = 0, done = 0;

	for (unsigned i = 0; i < out->view_count; i++) {
		memcpy(data + size, out->view[i].data, out->view[i].len);
		size += out->view[i].len;
	}
	if (size != out->len)
		sim_fail(sim, "views of %u bytes for a segment of %u", size, out->len);
	do {
		bool last = !sim->split || out->mss == 0 || size - done <= out->mss;
		struct tcp_seg seg = {.seq = out->seq + done,
				      .ack = out->ack,
				      .len = last ? size - done : out->mss,
				      .wnd = out->wnd,
				      .flags = out->flags,
				      .ae = out->ae,
				      .ecn = out->is_ect ? IP_ECN_ECT0 : IP_ECN_NOT_ECT,
				      .opt = out->opt};
		if (!last)
			seg.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (done > 0 && !out->is_ace)
			seg.flags &= (uint8_t)~TCP_CWR;
		seg.opt.has_sack_ok = seg.opt.has_sack_ok && !from->out.strips_sack;
		if (sim->wire)
			through_wire(sim, &seg);
		watch_piece(from, &seg);
		send_piece(from, &seg, data + done);
		done += seg.len;
	} while (done < size);
}

static struct packet *next_packet(struct sim *sim)
{
	struct heap_node *node = heap_first(&sim->events);

	return node ? CONTAINER_OF(node, struct packet, node) : NULL;
}

static void deliver(struct sim *sim, struct packet *pkt)
{
	struct tcp_seg seg = pkt->seg;

	heap_remove(&sim->events, &pkt->node);
	if (pkt->too_big != 0) {
		end_too_big(&sim->end[pkt->to], seg.seq, pkt->too_big);
		free(pkt);
		return;
	}
	if (seg.len > 0) {
		seg.buf = buf_new(sim->pool, seg.len);
		WEFT_ASSERT(seg.buf);
		memcpy(seg.buf->data, pkt->data, seg.len);
		seg.buf->len = seg.len;
	}
	end_input(&sim->end[pkt->to], &seg);
	buf_put(&seg.buf);
	free(pkt);
}

/* Whether the end has no CPU for the packet now: then it comes again later. */
static bool must_wait(struct sim *sim, struct packet *pkt)
{
	weft_time_us at = cpu_takes(&sim->end[pkt->to], pkt->has_waited);

	if (at <= sim->now)
		return false;
	pkt->has_waited = true;
	heap_remove(&sim->events, &pkt->node);
	heap_insert(&sim->events, &pkt->node, at);
	return true;
}

/* The next packet arrives, with it the rest of its batch. */
void link_deliver(struct sim *sim)
{
	struct packet *pkt = next_packet(sim);
	struct sim_end *e = &sim->end[pkt->to];

	if (must_wait(sim, pkt))
		return;
	if (e->batch == 0) {
		deliver(sim, pkt);
		return;
	}
	weft_time_us span = pkt->node.key / e->batch;

	end_batch_begins(e);
	do {
		deliver(sim, pkt);
		pkt = next_packet(sim);
	} while (pkt && pkt->to == e->index && pkt->node.key / e->batch == span);
	end_batch_ends(e);
}

void link_clear(struct sim *sim)
{
	for (struct heap_node *node; (node = heap_first(&sim->events)) != NULL;) {
		heap_remove(&sim->events, node);
		free(CONTAINER_OF(node, struct packet, node));
	}
}
