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

/* No connection: a listener, or a RST.  'iss' as listener_input. */
static enum drop to_listener(const struct rx *rx, const struct flow *flow, struct tcp_seg *seg,
			     const uint32_t *iss, weft_time_us now)
{
	struct conn *conn = conn_table_get_listener(rx->stack->table, flow);

	if (!conn)
		return reset_sender(rx, flow, seg);
	enum drop why = listener_input(sock_of(conn), flow, seg, iss, rx->queue, now);

	conn_put(&conn);
	return why;
}

static enum drop to_time_wait(const struct rx *rx, struct time_wait *tw, const struct flow *flow,
			      struct tcp_seg *seg, weft_time_us now)
{
	struct stack *stack = rx->stack;
	uint32_t iss = stack_isn(stack, flow, now);
	bool is_reuse;
	enum drop why = time_wait_input(tw, seg, now, &is_reuse, &iss);

	if (!is_reuse)
		return why;
	counter_add(&stack->counters, C_TCP_TIME_WAIT_REUSED, 1);
	return to_listener(rx, flow, seg, &iss, now);
}

/* The batch's end looks after the connection's queue.  The kernel may move a flow at any time. */
static void note_queue(struct rx *rx, const struct conn *conn)
{
	rx->met |= 1u << conn->queue;
	if (conn->queue != rx->queue && !rx->is_loop)
		counter_add(&rx->stack->counters, C_RX_OTHER_QUEUE, 1);
}

static enum drop dispatch(struct rx *rx, const struct flow *flow, struct tcp_seg *seg,
			  weft_time_us now)
{
	struct conn *conn = conn_table_get(rx->stack->table, flow);
	enum drop why = DROP_TCP_NO_CONN;

	if (!conn)
		return to_listener(rx, flow, seg, NULL, now);
	note_queue(rx, conn);
	switch (conn_kind(conn)) {
	case CONN_SOCK:
		why = sock_input(sock_of(conn), flow, seg, now);
		if (why == DROP_TCP_SYN_SENT_ACK || why == DROP_TCP_SYN_RCVD_ACK)
			reset_sender(rx, flow, seg);
		break;
	case CONN_HALF_OPEN:
		why = half_open_input(half_open_of(conn), seg, now);
		break;
	case CONN_TIME_WAIT:
		why = to_time_wait(rx, time_wait_of(conn), flow, seg, now);
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
	why = dispatch(rx, &flow, &seg, p->now);
	rx_unpayload(rx, &seg.buf);
	return why;
}
