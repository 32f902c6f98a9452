/*
 * The RX thread: reads a batch, takes the time once, decodes each packet and hands it on.  Holds no
 * lock over a read.  Ends when the device fails or the stack stops.
 */
#include "net/stack/rx.h"

#include "net/base/mechanism.h"
#include "net/stack/dev_gone.h"
#include "net/stack/dgram.h"
#include "net/stack/rx_int.h"
#include "net/stack/tx.h"
#include <stdio.h>
#include <stdlib.h>

struct rx *rx_new(struct stack *stack, struct weft_dev *dev, unsigned queue)
{
	struct rx *rx = calloc(1, sizeof(*rx));
	bool is_loop = dev == stack->loop;
	/* What a queue is like its device knows. */
	const struct weft_dev *model = is_loop ? dev : stack->dev;
	bool is_big = model->flags & WEFT_DEV_RX_GSO;

	if (!rx)
		return NULL;
	rx->stack = stack;
	rx->dev = dev;
	rx->is_loop = is_loop;
	rx->queue = queue;
	rx->batch = is_big || model->mtu > 16384 ? RX_BATCH_BIG : RX_BATCH;
	rx->frame_size = is_big ? RX_FRAME_BIG : model->mtu;
	icmp_bucket_init(&rx->icmp_bucket, stack->cfg.icmp_rate);
	rx_lead_init(rx);
	if (rx_fill_frames(rx) != 0) {
		rx_free(rx);
		return NULL;
	}
	HB_ATOMIC(rx->stop);
	return rx;
}

void rx_free(struct rx *rx)
{
	if (!rx)
		return;
	rx_drop_frames(rx);
	rx_lead_fini(rx);
	free(rx);
}

/* Lets the device fill all frames from their start. */
static void prepare(struct rx *rx)
{
	for (int i = 0; i < rx->batch; i++) {
		struct buf *frame = rx->frame[i];

		rx->iov[i] = (struct iovec){.iov_base = frame->bytes, .iov_len = frame->cap};
		rx->pkt[i] = (struct weft_pkt){.iov = &rx->iov[i], .iov_count = 1};
	}
}

static void handle_batch(struct rx *rx, int count)
{
	struct counters *counters = &rx->stack->counters;
	weft_time_us now = stack_now(rx->stack);
	uint64_t bytes = 0;

	rx->got = count;
	for (int i = 0; i < count; i++) {
		struct rx_pkt p = {
			.frame = &rx->frame[i],
			.data = rx->frame[i]->bytes,
			.len = rx->pkt[i].len,
			.flags = rx->pkt[i].flags,
			.gso_size = rx->pkt[i].gso_size,
			.now = now,
		};

		bytes += p.len;
		drop_count(counters, rx_ip(rx, &p));
	}
	rx_dispatch(rx, now);
	rx_drop_spare(rx);
	counter_add(counters, C_PKT_IN, (uint64_t)count);
	counter_add(counters, C_BYTES_IN, bytes);
	rx_count_crowd(rx);
}

/* As rx_batch; waits until something comes if 'timeout_us' says so. */
static int read_batch(struct rx *rx, struct rx_after *after, int64_t timeout_us)
{
	prepare(rx);
	int n = rx->dev->read(rx->dev, rx->pkt, rx->batch, timeout_us);

	after->met = 0;
	after->wake_count = 0;
	rx->after = after;
	if (n > 0)
		handle_batch(rx, n);
	rx->after = NULL;
	return n;
}

int rx_batch(struct rx *rx, struct rx_after *after)
{
	return read_batch(rx, after, 0);
}

void rx_note_dead(struct rx *rx)
{
	if (atomic_exchange_explicit(&rx->is_dead, true, memory_order_relaxed))
		return;
	counter_add(&rx->stack->counters, C_DEV_FAILED, 1);
	/* A leader may have found out alone: the kernel need not wake the RX thread, which is to end. */
	if (rx->may_lead && MECHANISM(dev_gone_calls))
		rx_call_reader(rx);
}

static void wake_all(struct rx_after *after)
{
	for (unsigned i = 0; i < after->wake_count; i++) {
		struct rx_wake *w = &after->wake[i];

		if (conn_kind(w->conn) == CONN_DGRAM)
			dgram_wake(dgram_of(w->conn), w->wakes);
		else
			sock_wake(sock_of(w->conn), w->wakes);
		conn_put(&w->conn);
	}
}

void rx_finish(struct rx *rx, struct rx_after *after)
{
	bool is_crowded = rx_is_crowded(rx);

	wake_all(after);
	for (uint32_t met = after->met | 1u << rx->queue; met != 0; met &= met - 1) {
		unsigned queue = (unsigned)__builtin_ctz(met);

		if (is_crowded)
			txq_kick(&rx->stack->queue[queue].txq);
		else
			tx_help(rx->stack, queue);
	}
}

/* The thread of a device that nobody else reads. */
static void *rx_main(void *arg)
{
	struct rx *rx = arg;

	if (!rx->stack->cfg.plain_threads)
		thread_set_polite(true);
	while (!atomic_load_explicit(&rx->stop, memory_order_acquire)) {
		struct rx_after after;
		int n = read_batch(rx, &after, -1);

		if (n < 0) {
			rx_note_dead(rx);
			break;
		}
		counter_add(&rx->stack->counters, C_RX_WAKES, 1);
		rx_finish(rx, &after);
	}
	return NULL;
}

static void *run(void *arg)
{
	struct rx *rx = arg;
	struct stack *stack = rx->stack;

	(void)(rx->may_lead ? rx_helped_main : rx_main)(rx);
	if (!atomic_load_explicit(&rx->is_dead, memory_order_relaxed))
		return NULL;
	unsigned others = atomic_fetch_add_explicit(&stack->queues_failed, 1, memory_order_acq_rel);

	if (others + 1 == stack->queue_count)
		dev_gone_tell(stack);
	return NULL;
}

int rx_start(struct rx *rx)
{
	char name[16] = "weft-rx-loop";

	if (!rx->is_loop)
		(void)snprintf(name, sizeof(name), "weft-rx-%u", rx->queue);
	return thread_start(&rx->thread, name, run, rx);
}

void rx_stop(struct rx *rx)
{
	atomic_store_explicit(&rx->stop, true, memory_order_release);
	rx_call_reader(rx);
	thread_join(rx->thread);
}
