/*
 * Replies that belong to no socket: RSTs, ACKs of TIME-WAIT and half-open records, ICMP.  Small
 * descriptors that wait in the TX queue; when too many wait, further ones are dropped and counted.
 */
#ifndef WEFT_STACK_REPLY_H
#define WEFT_STACK_REPLY_H

#include "net/base/addr.h"
#include "net/base/buf.h"
#include "net/base/check.h"
#include "net/stack/txq.h"
#include "net/tcp/tcp.h"

struct stack;

struct reply {
	struct txq_node node; /* first */
	struct buf *packet;   /* a whole IP packet, or NULL: the TCP segment below */
	struct addr dst;      /* of the packet */
	struct flow flow;
	struct tcp_opts opt;
	uint32_t seq;
	uint32_t ack;
	uint16_t wnd;
	uint8_t flags;
	bool ae;
};

static inline struct reply *reply_of(struct txq_node *node)
{
	return CONTAINER_OF(node, struct reply, node);
}

/*
 * Queues a segment without payload, sent from flow->local by the emitter of queue 'to'.
 * DROP_REPLY_QUEUE is counted here.
 */
void reply_tcp(struct stack *stack, unsigned to, const struct flow *flow,
	       const struct tcp_seg_out *seg) EXCLUDES(lc_txq);

/* Queues a whole IP packet to 'dst'; takes the caller's reference.  False: dropped and counted. */
bool reply_packet(struct stack *stack, unsigned to, const struct addr *dst, struct buf **packet)
	EXCLUDES(lc_txq);

/* TX thread: the segment of a reply; 'out' is filled but for the views. */
void reply_get(const struct reply *reply, struct tcp_seg_out *out);

void reply_free(struct reply *reply);

#endif
