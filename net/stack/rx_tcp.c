/*
 * TCP segments on the RX thread: checks, demultiplexing, and what meets no connection
 * (RFC 9293 3.10.7.1).
 */
#include "net/base/mechanism.h"
#include "net/stack/half_open.h"
#include "net/stack/listener.h"
#include "net/stack/reply.h"
#include "net/stack/rx_int.h"
#include "net/stack/sock_int.h"
#include "net/stack/time_wait.h"

/* Answers a segment that belongs to nothing. */
static enum drop reset_sender(const struct rx *rx, const struct flow *flow,
			      const struct tcp_seg *seg)
{
	struct tcp_seg_out out = {0};

	if (tcp_reset_for(seg, &out)) {
		counter_add(&rx->stack->counters, C_TCP_RESET_OUT, 1);
		reply_tcp(rx->stack, rx->queue, flow, &out);
	}
	return DROP_TCP_NO_CONN;
}

/* RFC 5082: who has to be near.  'in' is for a connection or a listener. */
static bool is_too_far(const struct seg_in *in, struct conn *conn)
{
	const struct sock *s = NULL;

	if (conn_kind(conn) == CONN_HALF_OPEN)
		s = conn->listener;
	else if (conn_kind(conn) != CONN_TIME_WAIT)
		s = sock_of(conn);
	return s && in->ttl < atomic_load_explicit(&s->min_ttl, memory_order_relaxed);
}

/* No connection: a listener, or a RST.  'iss' as listener_input. */
static enum drop to_listener(const struct rx *rx, const struct rx_chain *c, struct seg_in *in,
			     const uint32_t *iss, weft_time_us now)
{
	/* As nobody listens at port 0, nobody may come from it (RFC 6335 6). */
	if (c->flow.remote_port == 0 && MECHANISM(tcp_port_zero)) {
		(void)reset_sender(rx, &c->flow, &in->seg);
		return DROP_TCP_PORT_ZERO;
	}
	struct conn *conn = conn_table_get_listener(rx->stack->table, &c->flow, c->hash);

	if (!conn)
		return reset_sender(rx, &c->flow, &in->seg);
	enum drop why = DROP_IP_TTL;

	if (!is_too_far(in, conn))
		why = listener_input(sock_of(conn), &c->flow, &in->seg, iss, rx->queue, now);
	conn_put(&conn);
	return why;
}

static enum drop to_time_wait(const struct rx *rx, struct time_wait *tw, const struct rx_chain *c,
			      struct seg_in *in, weft_time_us now)
{
	struct stack *stack = rx->stack;
	uint32_t iss = in->seg.flags & TCP_SYN ? stack_isn(stack, &c->flow, now) : 0;
	bool is_reuse;
	enum drop why = time_wait_input(tw, &in->seg, now, &is_reuse, &iss);

	if (!is_reuse)
		return why;
	counter_add(&stack->counters, C_TCP_TIME_WAIT_REUSED, 1);
	return to_listener(rx, c, in, &iss, now);
}

/* The batch's end looks after the connection's queue.  The kernel may move a flow at any time. */
static void note_queue(struct rx *rx, const struct conn *conn)
{
	rx->after->met |= 1u << conn->queue;
	if (conn->queue != rx->queue && !rx->is_loop)
		counter_add(&rx->stack->counters, C_RX_OTHER_QUEUE, 1);
}

/* Remembers whom to wake behind the batch; takes over the reference. */
static void wake_later(struct rx *rx, struct conn **conn, struct sock_wakes wakes)
{
	struct rx_after *after = rx->after;

	after->wake[after->wake_count++] = (struct rx_wake){.conn = *conn, .wakes = wakes};
	*conn = NULL;
}

/* As many of the chain as one lock of the socket allows. */
static struct seg_in *to_sock(struct rx *rx, struct conn **conn, const struct flow *flow,
			      struct seg_in *first, weft_time_us now)
{
	struct sock_wakes wakes;
	struct seg_in *rest = sock_input(sock_of(*conn), flow, first, now, &wakes);

	if (sock_has_wakes(wakes))
		wake_later(rx, conn, wakes);
	for (; first != rest; first = first->next)
		if (first->why == DROP_TCP_SYN_SENT_ACK || first->why == DROP_TCP_SYN_RCVD_ACK)
			reset_sender(rx, flow, &first->seg);
	return rest;
}

/* Looks the flow up and gives its connection the first of the chain, or more: the next one. */
static struct seg_in *dispatch(struct rx *rx, const struct rx_chain *c, struct seg_in *first,
			       weft_time_us now)
{
	struct conn *conn = conn_table_get(rx->stack->table, &c->flow, c->hash);
	struct seg_in *rest = first->next;

	if (!conn) {
		first->why = to_listener(rx, c, first, NULL, now);
		return rest;
	}
	note_queue(rx, conn);
	if (is_too_far(first, conn)) {
		first->why = DROP_IP_TTL;
		conn_put(&conn);
		return rest;
	}
	switch (conn_kind(conn)) {
	case CONN_SOCK:
		rest = to_sock(rx, &conn, &c->flow, first, now);
		break;
	case CONN_HALF_OPEN:
		first->why = half_open_input(half_open_of(conn), &first->seg, now);
		break;
	case CONN_TIME_WAIT:
		first->why = to_time_wait(rx, time_wait_of(conn), c, first, now);
		break;
	case CONN_LISTENER: /* a socket that changed in between */
	case CONN_EPSET:    /* never in the table */
	case CONN_DGRAM:
	case CONN_KIND_COUNT:
	default:
		first->why = DROP_TCP_NO_CONN;
		break;
	}
	conn_put(&conn);
	return rest;
}

/* Gives the segment its payload; without memory for it, only its header counts. */
static void attach_payload(struct rx *rx, struct rx_pkt *p, struct tcp_seg *seg,
			   const uint8_t *data)
{
	if (seg->len == 0)
		return;
	seg->buf = rx_payload(rx, p, data, seg->len);
	if (seg->buf)
		return;
	drop_count(&rx->stack->counters, DROP_NO_BUF);
	seg->len = 0;
	seg->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
}

/* Behind the last one of its flow, or as the first of a chain of its own. */
static void chain(struct rx *rx, const struct flow *flow, struct seg_in *in)
{
	unsigned i = 0;

	while (i < rx->chain_count && memcmp(&rx->chain[i].flow, flow, sizeof(*flow)) != 0)
		i++;
	struct rx_chain *c = &rx->chain[i];

	if (i == rx->chain_count) {
		rx->chain_count++;
		c->flow = *flow;
		c->first = in;
	} else {
		c->last->next = in;
	}
	c->last = in;
}

enum drop rx_tcp(struct rx *rx, struct rx_pkt *p)
{
	const uint8_t *tcp = p->data + p->ip.hdr_len;
	uint32_t size = p->ip.payload_len;
	bool is_trusted = p->flags & (WEFT_PKT_CSUM_VALID | WEFT_PKT_CSUM_PARTIAL);
	struct tcp_hdr hdr;
	enum drop why = tcp_hdr_parse(tcp, size, &hdr);

	if (!is_trusted && size >= TCP_HDR_SIZE && !tcp_csum_ok(tcp, size, &p->ip.src, &p->ip.dst))
		return DROP_TCP_CSUM;
	if (why != DROP_NONE)
		return why;
	struct seg_in *in = &rx->seg[rx->seg_count++];

	in->next = NULL;
	in->why = DROP_NONE;
	in->ttl = p->ip.ttl;
	in->seg = (struct tcp_seg){
		.seq = hdr.seq,
		.ack = hdr.ack,
		.len = size - hdr.hdr_len,
		.wnd = hdr.wnd,
		.up = hdr.up,
		.flags = hdr.flags,
		.ae = hdr.ae,
		.ecn = p->ip.tos & IP_ECN_MASK,
		.opt = hdr.opt,
	};
	if (p->gso_size > 0)
		in->seg.pieces = (uint16_t)((in->seg.len + p->gso_size - 1u) / p->gso_size);
	/* All of it is compared and hashed as bytes: zero first. */
	struct flow flow = {
		.local = p->ip.dst,
		.remote = p->ip.src,
		.local_port = hdr.dst_port,
		.remote_port = hdr.src_port,
	};

	attach_payload(rx, p, &in->seg, tcp + hdr.hdr_len);
	chain(rx, &flow, in);
	return DROP_NONE;
}

void rx_dispatch(struct rx *rx, weft_time_us now)
{
	if (rx->seg_count > 0)
		counter_add(&rx->stack->counters, C_TCP_SEG_IN, rx->seg_count);
	for (unsigned i = 0; i < rx->chain_count; i++) {
		struct rx_chain *c = &rx->chain[i];
		struct seg_in *in = c->first;

		c->hash = conn_table_hash(rx->stack->table, &c->flow);
		while (in)
			in = dispatch(rx, c, in, now);
	}
	for (unsigned i = 0; i < rx->seg_count; i++) {
		drop_count(&rx->stack->counters, rx->seg[i].why);
		rx_unpayload(rx, &rx->seg[i].seg.buf);
	}
	rx->chain_count = 0;
	rx->seg_count = 0;
}
