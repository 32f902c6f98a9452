/*
 * TCP segments on the RX thread: checks, demultiplexing, and what meets no connection
 * (RFC 9293 3.10.7.1).
 */
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

/* RFC 5082: who has to be near.  'p' is for a connection or a listener. */
static bool is_too_far(const struct rx_pkt *p, struct conn *conn)
{
	const struct sock *s = NULL;

	if (conn_kind(conn) == CONN_HALF_OPEN)
		s = conn->listener;
	else if (conn_kind(conn) != CONN_TIME_WAIT)
		s = sock_of(conn);
	return s && p->ip.ttl < atomic_load_explicit(&s->min_ttl, memory_order_relaxed);
}

/* No connection: a listener, or a RST.  'iss' as listener_input. */
static enum drop to_listener(const struct rx *rx, const struct rx_pkt *p, const struct flow *flow,
			     struct tcp_seg *seg, const uint32_t *iss)
{
	struct conn *conn = conn_table_get_listener(rx->stack->table, flow);

	if (!conn)
		return reset_sender(rx, flow, seg);
	enum drop why = DROP_IP_TTL;

	if (!is_too_far(p, conn))
		why = listener_input(sock_of(conn), flow, seg, iss, rx->queue, p->now);
	conn_put(&conn);
	return why;
}

static enum drop to_time_wait(const struct rx *rx, const struct rx_pkt *p, struct time_wait *tw,
			      const struct flow *flow, struct tcp_seg *seg)
{
	struct stack *stack = rx->stack;
	uint32_t iss = stack_isn(stack, flow, p->now);
	bool is_reuse;
	enum drop why = time_wait_input(tw, seg, p->now, &is_reuse, &iss);

	if (!is_reuse)
		return why;
	counter_add(&stack->counters, C_TCP_TIME_WAIT_REUSED, 1);
	return to_listener(rx, p, flow, seg, &iss);
}

/* The batch's end looks after the connection's queue.  The kernel may move a flow at any time. */
static void note_queue(struct rx *rx, const struct conn *conn)
{
	rx->met |= 1u << conn->queue;
	if (conn->queue != rx->queue && !rx->is_loop)
		counter_add(&rx->stack->counters, C_RX_OTHER_QUEUE, 1);
}

static enum drop dispatch(struct rx *rx, const struct rx_pkt *p, const struct flow *flow,
			  struct tcp_seg *seg)
{
	struct conn *conn = conn_table_get(rx->stack->table, flow);
	enum drop why = DROP_TCP_NO_CONN;

	if (!conn)
		return to_listener(rx, p, flow, seg, NULL);
	note_queue(rx, conn);
	if (is_too_far(p, conn)) {
		conn_put(&conn);
		return DROP_IP_TTL;
	}
	switch (conn_kind(conn)) {
	case CONN_SOCK:
		why = sock_input(sock_of(conn), flow, seg, p->now);
		if (why == DROP_TCP_SYN_SENT_ACK || why == DROP_TCP_SYN_RCVD_ACK)
			reset_sender(rx, flow, seg);
		break;
	case CONN_HALF_OPEN:
		why = half_open_input(half_open_of(conn), seg, p->now);
		break;
	case CONN_TIME_WAIT:
		why = to_time_wait(rx, p, time_wait_of(conn), flow, seg);
		break;
	case CONN_LISTENER: /* a socket that changed in between */
	case CONN_KIND_COUNT:
	default:
		break;
	}
	conn_put(&conn);
	return why;
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
	struct tcp_seg seg = {
		.seq = hdr.seq,
		.ack = hdr.ack,
		.len = size - hdr.hdr_len,
		.wnd = hdr.wnd,
		.up = hdr.up,
		.flags = hdr.flags,
		.ecn = p->ip.tos & IP_ECN_MASK,
		.opt = hdr.opt,
	};
	/* All of it is compared and hashed as bytes: zero first. */
	struct flow flow = {
		.local = p->ip.dst,
		.remote = p->ip.src,
		.local_port = hdr.dst_port,
		.remote_port = hdr.src_port,
	};

	counter_add(&rx->stack->counters, C_TCP_SEG_IN, 1);
	attach_payload(rx, p, &seg, tcp + hdr.hdr_len);
	why = dispatch(rx, p, &flow, &seg);
	rx_unpayload(rx, &seg.buf);
	return why;
}
