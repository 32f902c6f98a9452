/*
 * Urgent data (RFC 9293 3.8.5, RFC 6093, and what Linux makes of it): one mark in each direction,
 * behind the urgent byte.  To the reader the byte in front of the mark is out of line unless it asked
 * otherwise: a copy waits for tcp_recv_urgent, and reads stop in front of it and then skip it.
 *
 *	... read | queued ... [urgent byte] | rcv_up ... queued
 *
 * A newer mark replaces an older one, whose byte is then data like any other, unless it was next.
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"
#include <errno.h>

/* ---- Receiving. ---- */

/* The sequence number of the byte that is read next. */
static uint32_t next_read(const struct tcb *tcb)
{
	return tcb->rcvq.head ? tcb->rcvq.head->seq : tcb->rcv_nxt - tcb->fin_rcvd;
}

/* Whether the urgent byte is queued; '*ahead': bytes in front of it. */
static bool is_queued(const struct tcb *tcb, uint32_t *ahead)
{
	*ahead = tcb->rcv_up - 1 - next_read(tcb);
	return tcb->urg_state != TCP_URGENT_NONE && *ahead < tcb->rcvq.bytes;
}

/*
 * Takes over the segment's pointer when it says more than is known, and a byte that it points to.  The
 * payload is as it came, untrimmed.
 */
void urgent_receive(struct tcb *tcb, const struct tcp_seg *seg, unsigned *events)
{
	uint32_t up = seg->seq + seg->up;
	uint32_t ahead;
	bool is_news = (seg->flags & TCP_URG) && !tcb->fin_rcvd && seq_gt(up, tcb->rcv_nxt) &&
		       (tcb->urg_state == TCP_URGENT_NONE || seq_gt(up, tcb->rcv_up) ||
			!MECHANISM(urgent_forward));

	if (is_news && MECHANISM(urgent)) {
		if (!tcb->oob_inline && is_queued(tcb, &ahead) && ahead == 0)
			urgent_pass(tcb); /* it must not be read as data now */
		tcb->rcv_up = up;
		tcb->urg_state = TCP_URGENT_AWAITED;
	}
	if (tcb->urg_state != TCP_URGENT_AWAITED || tcb->rcv_up - 1 - seg->seq >= seg->len)
		return;
	tcb->urg_byte = seg->buf->data[tcb->rcv_up - 1 - seg->seq];
	tcb->urg_state = TCP_URGENT_THERE;
	*events |= TCP_EV_READABLE;
}

/* How many of 'size' bytes a read may take, and whether the first one queued is to be skipped. */
uint32_t urgent_limit(const struct tcb *tcb, uint32_t size, bool *skips)
{
	uint32_t ahead;

	*skips = false;
	if (!is_queued(tcb, &ahead) || !MECHANISM(urgent_stop))
		return size;
	if (ahead > 0)
		return size < ahead ? size : ahead;
	*skips = !tcb->oob_inline && MECHANISM(urgent_skip);
	return size;
}

/* Bytes were read: behind its byte a mark is history. */
void urgent_read(struct tcb *tcb)
{
	if (seq_ge(next_read(tcb), tcb->rcv_up))
		tcb->urg_state = TCP_URGENT_NONE;
}

uint32_t tcp_recv_ready(const struct tcb *tcb)
{
	bool skips;
	uint32_t ready = urgent_limit(tcb, tcb->rcvq.bytes, &skips);

	return ready - skips;
}

bool tcp_recv_stops(const struct tcb *tcb)
{
	uint32_t ahead;

	return is_queued(tcb, &ahead) && ahead > 0;
}

bool tcp_at_mark(const struct tcb *tcb)
{
	return tcb->urg_state != TCP_URGENT_NONE && next_read(tcb) == tcb->rcv_up - 1;
}

int tcp_recv_urgent(struct tcb *tcb, bool peek, uint8_t *byte)
{
	if (tcb->oob_inline || tcb->urg_state == TCP_URGENT_NONE ||
	    tcb->urg_state == TCP_URGENT_READ)
		return -EINVAL;
	if (tcb->urg_state == TCP_URGENT_AWAITED)
		return -EAGAIN;
	*byte = tcb->urg_byte;
	if (!peek)
		tcb->urg_state = TCP_URGENT_READ;
	return 1;
}

/* ---- Sending. ---- */

void tcp_send_urgent(struct tcb *tcb)
{
	tcb->snd_up = tcb->snd_end;
	tcb->urg_out = true;
}

/*
 * The pointer of a segment that leaves.  One that does not reach the mark says so only when it is near
 * the end of what was sent: else its receiver would take byte after byte for urgent.
 */
void urgent_fill(const struct tcb *tcb, struct tcp_seg_out *out)
{
	uint32_t up = tcb->snd_up - out->seq;

	if (!seq_gt(tcb->snd_up, out->seq))
		return;
	if (up > UINT16_MAX && !seq_gt(out->seq + UINT16_MAX, tcb->snd_nxt))
		return;
	out->flags |= TCP_URG;
	out->up = (uint16_t)(up < UINT16_MAX ? up : UINT16_MAX);
}

/* A super-segment has one pointer for all its pieces: in front of the mark there are none. */
uint32_t urgent_cut(const struct tcb *tcb, uint32_t seq, uint32_t len)
{
	if (!tcb->urg_out || !seq_gt(tcb->snd_up, seq) || len <= tcb->mss)
		return len;
	return MECHANISM(urgent_cut) ? tcb->mss : len;
}

void urgent_acked(struct tcb *tcb)
{
	if (seq_ge(tcb->snd_una, tcb->snd_up))
		tcb->urg_out = false;
}
