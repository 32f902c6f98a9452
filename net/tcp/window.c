/*
 * The receive window we announce: never shrinks (RFC 9293 SHLD-14, RFC 7323 2.4), never moves in
 * silly steps (3.8.6.2.2).
 */
#include "net/base/mechanism.h"
#include "net/tcp/parts.h"

/* The clamp is packed into 16 bits: 12 of them are shifted by what the others say. */
enum { CLAMP_BITS = 12, CLAMP_MANTISSA_MAX = (1 << CLAMP_BITS) - 1, CLAMP_SHIFT_MAX = 15 };

/* Rounded down; what does not fit is no limit. */
void window_set_clamp(struct tcb *tcb, uint32_t bytes)
{
	unsigned shift = 0;

	while (bytes >> shift > CLAMP_MANTISSA_MAX)
		shift++;
	tcb->rcv_clamp =
		shift <= CLAMP_SHIFT_MAX ? (uint16_t)(shift << CLAMP_BITS | bytes >> shift) : 0;
}

static uint32_t limit(const struct tcb *tcb)
{
	if (tcb->rcv_clamp == 0 || !MECHANISM(window_clamp))
		return UINT32_MAX;
	return (uint32_t)(tcb->rcv_clamp & CLAMP_MANTISSA_MAX) << (tcb->rcv_clamp >> CLAMP_BITS);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The largest window there can be. */
static uint32_t largest(const struct tcb *tcb)
{
	return least(tcb->rcv_buf_size, limit(tcb));
}

/* Room in the buffer, as far as it may be told and the field can say. */
static uint32_t space(const struct tcb *tcb)
{
	uint32_t room =
		tcb->rcv_buf_size > tcb->rcvq.bytes ? tcb->rcv_buf_size - tcb->rcvq.bytes : 0;
	uint32_t most = (uint32_t)UINT16_MAX << tcb->rcv_wscale;

	return least(least(room, limit(tcb)), most);
}

/* What the peer may still send by our last word. */
static uint32_t announced(const struct tcb *tcb)
{
	return seq_gt(tcb->rcv_adv, tcb->rcv_nxt) ? tcb->rcv_adv - tcb->rcv_nxt : 0;
}

/* The smallest step of the right edge: min(half the buffer, one segment). */
static uint32_t smallest_step(const struct tcb *tcb)
{
	return least(largest(tcb) / 2, tcb->mss);
}

/*
 * The field's value when there is no room to offer more than was offered.  'old' need not be a
 * multiple of the unit: rounded up it moves the edge to the right a little, which must not go on for
 * ever while a trickle fills the buffer; rounded down it seems to take back less than a unit, which
 * RFC 7323 2.4 provides for (rcv_adv remembers the real edge).
 */
static uint32_t keep_edge(const struct tcb *tcb, uint32_t old)
{
	unsigned shift = tcb->rcv_wscale;
	uint32_t unit = 1u << shift;
	uint32_t up = (old + unit - 1) >> shift;

	/* I6 */
	return tcb->rcvq.bytes + (up << shift) <= tcb->rcv_buf_size + unit ? up : old >> shift;
}

/* The window field for a segment that would leave now. */
static uint32_t next_field(const struct tcb *tcb)
{
	uint32_t old = announced(tcb);
	uint32_t now = space(tcb);
	unsigned shift = tcb->rcv_wscale;
	uint32_t raw = now >> shift;

	if (now < old ? MECHANISM(window_never_shrinks)
		      : now - old < smallest_step(tcb) && MECHANISM(sws_receiver))
		raw = keep_edge(tcb, old);
	if (raw == 0 && tcb->rcvq.bytes == 0 && MECHANISM(window_unit))
		raw = 1; /* a buffer smaller than the unit must not close the window for good */
	return raw < UINT16_MAX ? raw : UINT16_MAX;
}

/* The window field for a segment that leaves now; moves rcv_adv. */
uint16_t window_announce(struct tcb *tcb)
{
	uint32_t field = next_field(tcb);

	tcb->rcv_adv = seq_max(tcb->rcv_adv, tcb->rcv_nxt + (field << tcb->rcv_wscale));
	return (uint16_t)field;
}

/*
 * Whether a reader made enough room to tell the peer without being asked.  While the peer has
 * plenty, the next ACK is early enough; near the end every step counts.
 */
bool window_update_due(const struct tcb *tcb)
{
	uint32_t old = announced(tcb);
	uint32_t now = space(tcb);
	uint32_t step = smallest_step(tcb);

	if (tcb->fin_rcvd || !MECHANISM(window_update))
		return false;
	/* A unit larger than the steps of a small buffer: it counts how far an ACK would move the edge. */
	if (1u << tcb->rcv_wscale > step && MECHANISM(window_update_unit)) {
		uint32_t then = next_field(tcb) << tcb->rcv_wscale;

		return old < largest(tcb) && then > old && then - old >= step;
	}
	if (now <= old)
		return false;
	if (old > 2u * tcb->mss && step < largest(tcb) / 4 && MECHANISM(window_update_step))
		step = largest(tcb) / 4;
	return now - old >= step && now >> tcb->rcv_wscale > old >> tcb->rcv_wscale;
}
