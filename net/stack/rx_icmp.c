/*
 * ICMP, UDP and unknown protocols on the RX thread: echo is answered, errors reach the connection
 * they quote, and what nobody wants is refused politely, at a limited rate.
 */
#include "net/ip/icmp_policy.h"
#include "net/stack/dgram.h"
#include "net/stack/dgram_err.h"
#include "net/stack/half_open.h"
#include "net/stack/icmp_out.h"
#include "net/stack/path.h"
#include "net/stack/rx_int.h"
#include "net/stack/sock_int.h"
#include "net/wire/icmp.h"
#include "net/wire/udp_hdr.h"
#include <linux/errqueue.h>

/* Sends 'msg' from the packet's destination back to its source. */
static enum drop answer(const struct rx *rx, const struct rx_pkt *p, const struct icmp_msg *msg)
{
	return icmp_out(rx->stack, rx->queue, &p->ip.dst, &p->ip.src, msg, p->now);
}

/* Whether an error may be sent now (RFC 1122 3.2.2, RFC 4443 2.4). */
static bool may_refuse(struct rx *rx, const struct rx_pkt *p)
{
	if (!icmp_may_answer(&p->ip, p->data + p->ip.hdr_len))
		return false;
	if (icmp_bucket_take(&rx->icmp_bucket, p->now))
		return true;
	drop_count(&rx->stack->counters, DROP_ICMP_RATE);
	return false;
}

/* Refuses the packet with an ICMP error where that is allowed. */
static void refuse(struct rx *rx, const struct rx_pkt *p, enum icmp_refusal refusal)
{
	struct icmp_msg msg;

	if (!may_refuse(rx, p))
		return;
	icmp_refusal_msg(&msg, refusal, p->next_hdr_at, &p->ip, p->data);
	drop_count(&rx->stack->counters, answer(rx, p, &msg));
}

void rx_problem(struct rx *rx, const struct rx_pkt *p, uint8_t code, uint32_t pointer)
{
	struct icmp_msg msg;

	if (!may_refuse(rx, p))
		return;
	icmp_error_msg(&msg, ICMP_PARAM, code, pointer, &p->ip, p->data);
	drop_count(&rx->stack->counters, answer(rx, p, &msg));
}

/* RFC 1191, RFC 8201.  A packet that was to be cut by the device is quoted whole: the link limits. */
static enum drop too_big(const struct rx *rx, struct sock *s, const struct flow *flow,
			 const struct icmp_quote *quote, const struct icmp_msg *msg,
			 weft_time_us now)
{
	uint32_t link = path_link_mtu(rx->stack, &flow->remote);
	uint32_t size = quote->size < link ? quote->size : link;
	uint32_t mtu = pmtu_claim(addr_is_v4(&flow->remote), msg->mtu, size);

	return mtu == 0 ? DROP_ICMP_MTU : sock_too_big(s, flow, quote->tcp_seq, mtu, now);
}

/* The socket that sent the quoted datagram, and where to; NULL: none. */
static struct dgram *quoted_dgram(struct stack *stack, const struct icmp_quote *quote,
				  struct flow *flow)
{
	struct dgrams *all = &stack->dgrams;
	bool is_v4 = addr_is_v4(&quote->dst);

	*flow = (struct flow){.local = quote->src, .remote = quote->dst};
	if (quote->proto == (is_v4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6) && quote->is_echo) {
		flow->local_port = quote->src_port;
		return dgram_table_get(is_v4 ? &all->ping4 : &all->ping6, flow);
	}
	if (quote->proto != IP_PROTO_UDP)
		return NULL;
	flow->local_port = quote->src_port;
	flow->remote_port = quote->dst_port;
	return dgram_table_get(&all->udp, flow);
}

/* What the error says, for the queue of a socket that wants to know. */
static struct dgram_err describe(const struct rx_pkt *p, const struct icmp_msg *msg,
				 const struct icmp_quote *quote, int error)
{
	const uint8_t *icmp = p->data + p->ip.hdr_len;
	size_t skip = quote->hdr_len + (quote->proto == IP_PROTO_UDP ? UDP_HDR_SIZE : 0);

	return (struct dgram_err){
		.error = error,
		.origin = p->ip.version == 4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
		.type = icmp[0],
		.code = icmp[1],
		.info = msg->kind == ICMP_TOO_BIG ? msg->mtu
			: msg->kind == ICMP_PARAM ? msg->pointer
						  : 0,
		.from = p->ip.src,
		.to = {quote->dst, quote->is_echo ? 0 : quote->dst_port},
		.data = msg->body + skip,
		.len = (uint32_t)(msg->body_len - skip),
	};
}

/*
 * The same for a datagram, which has no number that an enemy would have to guess beside the ports: a
 * lower path MTU is believed down to the least that there is (ADR 17), and a connected socket hears.
 */
static enum drop dgram_error(struct rx *rx, const struct rx_pkt *p, const struct icmp_msg *msg,
			     const struct icmp_quote *quote)
{
	struct stack *stack = rx->stack;
	struct flow flow;
	bool is_hard;
	int error = icmp_to_errno(msg, p->ip.version, &is_hard);
	struct dgram *d = quoted_dgram(stack, quote, &flow);

	if (!d)
		return DROP_ICMP_NO_CONN;
	if (msg->kind == ICMP_TOO_BIG) {
		uint32_t link = path_link_mtu(stack, &flow.remote);
		uint32_t size = quote->size < link ? quote->size : link;
		uint32_t mtu = pmtu_claim(addr_is_v4(&flow.remote), msg->mtu, size);

		if (mtu == 0) {
			dgram_put(&d);
			return DROP_ICMP_MTU;
		}
		if (dgram_heeds_path(d))
			path_lower(stack, &flow.remote, mtu, p->now);
	}
	const struct dgram_err err = describe(p, msg, quote, error);
	enum drop why = dgram_icmp(d, &flow, &err, is_hard);

	dgram_put(&d);
	return why;
}

/* The same for a segment, but "too big". */
static enum drop stream_error(const struct rx_pkt *p, const struct icmp_msg *msg,
			      const struct icmp_quote *quote, struct sock *s,
			      const struct flow *flow)
{
	bool is_hard;
	int error = icmp_to_errno(msg, p->ip.version, &is_hard);
	const struct dgram_err err = describe(p, msg, quote, error);

	return sock_icmp(s, flow, quote->tcp_seq, &err, is_hard, p->now);
}

static enum drop half_open_error(const struct rx_pkt *p, const struct icmp_msg *msg,
				 const struct icmp_quote *quote, struct half_open *h)
{
	bool is_hard;

	(void)icmp_to_errno(msg, p->ip.version, &is_hard);
	return half_open_icmp(h, quote->tcp_seq, is_hard);
}

/* An ICMP error: who sent the packet that it quotes? */
static enum drop handle_error(struct rx *rx, const struct rx_pkt *p, const struct icmp_msg *msg)
{
	struct stack *stack = rx->stack;
	struct icmp_quote quote;
	enum drop why = icmp_quote_parse(msg->body, msg->body_len, &quote);

	if (why != DROP_NONE)
		return why;
	counter_add(&stack->counters, C_ICMP_ERR_IN, 1);
	if (!addr_equal(&quote.src, &p->ip.dst))
		return DROP_ICMP_NO_CONN;
	if (quote.proto != IP_PROTO_TCP)
		return dgram_error(rx, p, msg, &quote);
	const struct flow flow = {
		.local = quote.src,
		.remote = quote.dst,
		.local_port = quote.src_port,
		.remote_port = quote.dst_port,
	};
	struct conn *conn =
		conn_table_get(stack->table, &flow, conn_table_hash(stack->table, &flow));

	if (!conn)
		return DROP_ICMP_NO_CONN;
	why = DROP_ICMP_NO_CONN;
	if (conn_kind(conn) == CONN_SOCK && msg->kind == ICMP_TOO_BIG)
		why = too_big(rx, sock_of(conn), &flow, &quote, msg, p->now);
	else if (conn_kind(conn) == CONN_SOCK)
		why = stream_error(p, msg, &quote, sock_of(conn), &flow);
	else if (conn_kind(conn) == CONN_HALF_OPEN)
		why = half_open_error(p, msg, &quote, half_open_of(conn));
	conn_put(&conn);
	return why;
}

enum drop rx_icmp(struct rx *rx, struct rx_pkt *p)
{
	struct icmp_msg msg;
	enum drop why = icmp_parse(p->data + p->ip.hdr_len, p->ip.payload_len, &p->ip, &msg);

	if (why != DROP_NONE)
		return why;
	switch (msg.kind) {
	case ICMP_ECHO_REQUEST:
		msg.kind = ICMP_ECHO_REPLY;
		msg.code = 0;
		return answer(rx, p, &msg);
	case ICMP_UNREACH:
	case ICMP_TOO_BIG:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAM:
	case ICMP_OTHER_ERROR:
		return handle_error(rx, p, &msg);
	case ICMP_ECHO_REPLY:
		return rx_echo_reply(rx, p, msg.id);
	case ICMP_OTHER:
	default:
		return DROP_ICMP_TYPE;
	}
}

enum drop rx_no_port(struct rx *rx, struct rx_pkt *p)
{
	refuse(rx, p, ICMP_REFUSE_PORT);
	return DROP_UDP_NO_PORT;
}

enum drop rx_unknown(struct rx *rx, struct rx_pkt *p)
{
	refuse(rx, p, ICMP_REFUSE_PROTO);
	return DROP_IP_PROTO;
}
