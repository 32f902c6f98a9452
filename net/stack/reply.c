/* Reply descriptors.  RX threads (and application threads, for RSTs) make them, TX frees them. */
#include "net/stack/reply.h"

#include "net/stack/stack_int.h"
#include <stdlib.h>

/* Queues or frees 'reply'. */
static bool queue(struct stack *stack, unsigned to, struct reply *reply)
{
	txq_node_init(&reply->node, TXQ_REPLY);
	if (txq_reply(&stack->queue[to].txq, &reply->node))
		return true;
	drop_count(&stack->counters, DROP_REPLY_QUEUE);
	reply_free(reply);
	return false;
}

void reply_tcp(struct stack *stack, unsigned to, const struct flow *flow,
	       const struct tcp_seg_out *seg)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	WEFT_ASSERT(seg->len == 0);
	if (!reply) {
		drop_count(&stack->counters, DROP_REPLY_QUEUE);
		return;
	}
	reply->flow = *flow;
	reply->opt = seg->opt;
	reply->seq = seg->seq;
	reply->ack = seg->ack;
	reply->wnd = seg->wnd;
	reply->flags = seg->flags;
	reply->ae = seg->ae;
	queue(stack, to, reply);
}

bool reply_packet(struct stack *stack, unsigned to, const struct addr *dst, struct buf **packet)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	if (!reply) {
		drop_count(&stack->counters, DROP_REPLY_QUEUE);
		buf_put(packet);
		return false;
	}
	reply->packet = *packet;
	reply->dst = *dst;
	*packet = NULL;
	return queue(stack, to, reply);
}

void reply_get(const struct reply *reply, struct tcp_seg_out *out)
{
	out->seq = reply->seq;
	out->ack = reply->ack;
	out->len = 0;
	out->wnd = reply->wnd;
	out->mss = 0;
	out->flags = reply->flags;
	out->ae = reply->ae;
	out->view_count = 0;
	out->retransmit = false;
	out->is_ect = false;
	out->is_ace = false;
	out->opt = reply->opt;
}

void reply_free(struct reply *reply)
{
	buf_put(&reply->packet);
	free(reply);
}
