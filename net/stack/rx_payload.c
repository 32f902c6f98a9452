/*
 * The RX thread's buffers.  A frame that is well filled is handed to the core itself, by reference;
 * of a mostly empty one the payload is copied, so that a queue of small segments does not hold much
 * more memory than it has bytes.
 *
 * A frame is handed over only when its successor is there already: reading never stops for want of
 * memory, and ACKs, which free memory, get through.  A batch of full frames gets its successors at once;
 * what is left of them when it is done goes back.
 */
#include "net/base/copy.h"
#include "net/stack/rx_int.h"
#include <errno.h>

enum { FILL_PART = 4 }; /* a frame filled to that part goes by reference */

static const uint32_t copy_size[RX_COPIES] = {512, 2048, 8192, 16384};

/* Buffers of the RX threads are told apart from those that sockets hold. */
static void account(struct rx *rx, const struct buf *b, bool is_kept)
{
	struct stack *stack = rx->stack;

	if (is_kept) {
		atomic_fetch_add_explicit(&stack->rx_bufs, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&stack->rx_buf_bytes, b->cap, memory_order_relaxed);
	} else {
		atomic_fetch_sub_explicit(&stack->rx_bufs, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&stack->rx_buf_bytes, b->cap, memory_order_relaxed);
	}
}

int rx_fill_frames(struct rx *rx)
{
	for (int i = 0; i < rx->batch; i++) {
		rx->frame[i] = buf_new(rx->stack->pool, rx->frame_size);
		if (!rx->frame[i])
			return -ENOMEM;
		account(rx, rx->frame[i], true);
	}
	return 0;
}

static void drop(struct rx *rx, struct buf **b)
{
	if (*b)
		account(rx, *b, false);
	buf_put(b);
}

void rx_drop_frames(struct rx *rx)
{
	for (int i = 0; i < rx->batch; i++)
		drop(rx, &rx->frame[i]);
	for (int i = 0; i < RX_COPIES; i++)
		drop(rx, &rx->copy[i]);
}

static bool is_well_filled(const struct buf *frame, uint32_t len)
{
	return len >= frame->cap / FILL_PART;
}

/* How many frames of the batch, from the one in 'slot' on, may need a successor. */
static unsigned full_frames(const struct rx *rx, struct buf **slot)
{
	unsigned count = 1;

	for (int i = (int)(slot - rx->frame) + 1; i < rx->got; i++)
		count += is_well_filled(rx->frame[i], rx->pkt[i].len);
	return count;
}

/* The frame itself, with its window moved to the payload. */
static struct buf *give_frame(struct rx *rx, struct rx_pkt *p, const uint8_t *data, uint32_t len)
{
	struct buf *fresh = rx->spare;

	if (!fresh)
		(void)buf_new_many(rx->stack->pool, rx->frame_size, full_frames(rx, p->frame),
				   &fresh);
	if (!fresh)
		return NULL;
	struct buf *b = *p->frame;

	rx->spare = fresh->next;
	fresh->next = NULL;
	b->data = b->bytes + (data - b->bytes);
	b->len = len;
	*p->frame = fresh; /* alike: the account is right as it is */
	return b;
}

void rx_drop_spare(struct rx *rx)
{
	struct buf_queue rest = {0};

	for (struct buf *b; (b = rx->spare);) {
		rx->spare = b->next;
		buf_queue_push(&rest, b);
	}
	buf_queue_clear(&rest);
}

static struct buf *give_copy(struct rx *rx, const uint8_t *data, uint32_t len)
{
	int i = 0;

	while (i < RX_COPIES && copy_size[i] < len)
		i++;
	struct buf *b = i < RX_COPIES ? rx->copy[i] : NULL;

	if (b) {
		account(rx, b, false);
		rx->copy[i] = NULL;
	} else {
		b = buf_new(rx->stack->pool, i < RX_COPIES ? copy_size[i] : len);
	}
	if (!b)
		return NULL;
	b->data = b->bytes;
	copy_bytes(b->data, data, len);
	b->len = len;
	return b;
}

struct buf *rx_payload(struct rx *rx, struct rx_pkt *p, const uint8_t *data, uint32_t len)
{
	struct buf *b = NULL;

	if (!p->is_whole && is_well_filled(*p->frame, len))
		b = give_frame(rx, p, data, len);
	return b ? b : give_copy(rx, data, len);
}

void rx_unpayload(struct rx *rx, struct buf **payload)
{
	struct buf *b = *payload;

	*payload = NULL;
	if (!b)
		return;
	for (int i = 0; i < RX_COPIES; i++) {
		if (!rx->copy[i] && b->cap == copy_size[i]) {
			account(rx, b, true);
			rx->copy[i] = b;
			return;
		}
	}
	buf_put(&b);
}
