/*
 * The payload and the FIN of an acceptable segment (RFC 9293 3.10.7.4, seventh and eighth step), and
 * when to acknowledge them (3.8.6.3, RFC 5681 4.2).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <errno.h>
#include <string.h>

/* Cuts away what was received before. */
static void trim_left(struct tcb *tcb, struct tcp_seg *seg)
{
	uint32_t cut = tcb->rcv_nxt - seg->seq;

	if (!seq_lt(seg->seq, tcb->rcv_nxt) || !MECHANISM(trim_left))
		return;
	if (cut > seg->len)
		cut = seg->len;
	sack_note_duplicate(tcb, seg->seq, seg->seq + cut);
	seg->seq += cut;
	seg->len -= cut;
	if (seg->buf) {
		seg->buf->data += cut;
		seg->buf->len -= cut;
	}
}

/* Cuts away what lies beyond 'edge', the FIN with it. */
static bool trim_right(struct tcp_seg *seg, uint32_t edge)
{
	uint32_t end = seg->seq + seg->len;

	if (seq_le(end, edge) || !MECHANISM(trim_right))
		return false;
	uint32_t keep = seq_gt(edge, seg->seq) ? edge - seg->seq : 0;
	seg->len = keep;
	if (seg->buf)
		seg->buf->len = keep;
	seg->flags &= (uint8_t)~TCP_FIN;
	return true;
}

/* Small segments are packed into the last buffer: a trickle must not pin a buffer a byte. */
static void deliver(struct tcb *tcb, struct tcp_seg *seg)
{
	struct buf_queue *q = &tcb->rcvq;
	struct buf *tail = q->tail;

	if (tail && tail->seq + tail->len == seg->seq && buf_room(tail) >= seg->len &&
	    MECHANISM(pack_receive)) {
		memcpy(tail->data + tail->len, seg->buf->data, seg->len);
		tail->len += seg->len;
		q->bytes += seg->len;
	} else {
		seg->buf->seq = seg->seq;
		seg->buf->next = NULL;
		buf_queue_push(q, seg->buf);
		seg->buf = NULL;
	}
	tcb->rcv_nxt += seg->len;
}

/*
 * Whether what came ends with what the peer has to send, and may be all that its buffer takes: it waits
 * for the ACK then, and where a segment is larger than that buffer there will be no second one.  As on
 * Linux an answer, where answers are the rule, has the ACK with it.
 */
static bool is_push(const struct tcb *tcb, const struct tcp_seg *seg)
{
	return (seg->flags & TCP_PSH) && !tcb->pingpong && tcb->delack_bytes >= TCP_PUSHED_BYTES &&
	       MECHANISM(delack_push);
}

/* Payload that begins at rcv_nxt and fits the window. */
void data_in_order(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	bool had_hole = tcb->reass != NULL;
	uint32_t len = seg->len;

	deliver(tcb, seg);
	if (had_hole)
		len += reass_drain(tcb);
	tcb->bytes_received += len;
	counter_add(tcb->cfg->counters, C_TCP_DATA_IN, len);
	tcb->delack_bytes += len;
	tcb->asked = true;
	if (tcb->rcv_auto)
		autotune_received(tcb, seg, now);
	*events |= TCP_EV_READABLE;
	bool is_second = tcb->delack_bytes >= 2u * tcb->mss && MECHANISM(delack_two_segments);

	if (tcb->quick_acks > 0 && MECHANISM(quickack)) {
		tcb->quick_acks--;
		is_second = true;
	}

	if ((had_hole && MECHANISM(ack_filled_hole)) || is_second || is_push(tcb, seg) ||
	    !MECHANISM(delack)) {
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
	} else {
		deadline_ack_delayed(tcb, now);
	}
}

/* The peer's FIN is next in order. */
static void receive_fin(struct tcb *tcb, unsigned *events)
{
	tcb->rcv_nxt++;
	tcb->rcv_adv = seq_max(tcb->rcv_adv, tcb->rcv_nxt);
	tcb->fin_rcvd = true;
	if (MECHANISM(fin_forgets_beyond))
		reass_clear(tcb); /* text behind the end, from before the end was known */
	if (MECHANISM(ack_fin))
		tcb->ack_now = true;
	*events |= TCP_EV_READABLE | TCP_EV_OUTPUT;
	switch ((enum tcp_state)tcb->state) {
	case TCPS_ESTABLISHED:
		tcp_set_state(tcb, TCPS_CLOSE_WAIT);
		break;
	case TCPS_FIN_WAIT_1:
		/* Our FIN is not acknowledged, or the ACK step had gone on to FIN-WAIT-2. */
		tcp_set_state(tcb, TCPS_CLOSING);
		break;
	case TCPS_FIN_WAIT_2:
		connection_time_wait(tcb, events);
		break;
	case TCPS_CLOSED:
	case TCPS_LISTEN:
	case TCPS_SYN_SENT:
	case TCPS_SYN_RCVD:
	case TCPS_CLOSE_WAIT:
	case TCPS_CLOSING:
	case TCPS_LAST_ACK:
	case TCPS_TIME_WAIT:
	case TCPS_COUNT:
	default:
		WEFT_UNREACHABLE("FIN in a state that has had one");
	}
}

static enum drop receive_payload(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now,
				 unsigned *events)
{
	if (seg->seq == tcb->rcv_nxt) {
		data_in_order(tcb, seg, now, events);
		return DROP_NONE;
	}
	if (MECHANISM(dup_ack)) {
		tcb->ack_now = true; /* RFC 5681 4.2: a duplicate ACK at once */
		*events |= TCP_EV_OUTPUT;
	}
	enum drop why = reass_insert(tcb, seg);
	if (why == DROP_NONE)
		counter_add(tcb->cfg->counters, C_TCP_OUT_OF_ORDER, 1);
	return why;
}

/* Remembers where the stream ends; a second FIN elsewhere is not believed. */
static void note_fin(struct tcb *tcb, const struct tcp_seg *seg)
{
	if ((tcb->fin_known && MECHANISM(fin_once)) || !(seg->flags & TCP_FIN))
		return;
	tcb->fin_known = true;
	tcb->rcv_fin = seg->seq + seg->len;
}

static bool past_fin(const struct tcb *tcb)
{
	return tcb->state != TCPS_ESTABLISHED && tcb->state != TCPS_FIN_WAIT_1 &&
	       tcb->state != TCPS_FIN_WAIT_2;
}

/* Data nobody will read, new, or it were not acceptable: tell the peer (RFC 9293 3.6.1, SHLD-3). */
static bool unwanted(const struct tcb *tcb, const struct tcp_seg *seg)
{
	return tcb->app_closed && seg->len > 0;
}

enum drop data_receive(struct tcb *tcb, struct tcp_seg *seg, weft_time_us now, unsigned *events)
{
	enum drop why = DROP_NONE;

	if (seg->len == 0 && !(seg->flags & TCP_FIN))
		return DROP_NONE;
	if (past_fin(tcb) && MECHANISM(after_fin)) {
		/* A repeated FIN is acknowledged again; text behind it is ignored (EV-FIN-6). */
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
		return DROP_TCP_AFTER_FIN;
	}
	if (unwanted(tcb, seg) && MECHANISM(rst_after_close)) {
		tcp_abort(tcb, ECONNRESET, events);
		return DROP_TCP_AFTER_CLOSE;
	}
	trim_left(tcb, seg);
	if (trim_right(seg, seq_max(tcb->rcv_adv, tcb->rcv_nxt))) {
		tcb->ack_now = true;
		*events |= TCP_EV_OUTPUT;
		why = DROP_TCP_RCV_FULL;
	}
	if (tcb->fin_known && MECHANISM(fin_edge) && trim_right(seg, tcb->rcv_fin))
		why = DROP_TCP_AFTER_FIN;
	note_fin(tcb, seg);
	if (seg->len > 0)
		why = receive_payload(tcb, seg, now, events);
	else if (seg->flags & TCP_FIN && !seq_le(seg->seq, tcb->rcv_nxt))
		tcb->ack_now = true; /* a bare FIN beyond a hole */
	if (tcb->fin_known && tcb->rcv_nxt == tcb->rcv_fin)
		receive_fin(tcb, events);
	if (tcb->ack_now)
		*events |= TCP_EV_OUTPUT;
	return why;
}
