/* A device that fails when it is told to, over another one, and a stack on it. */
#ifndef WEFT_TESTS_API_FRAIL_H
#define WEFT_TESTS_API_FRAIL_H

#include "kit.h"
#include <stdatomic.h>

struct frail {
	struct weft_dev dev;
	struct weft_dev *lower;
	atomic_bool is_broken;
	atomic_uint waits;
};

static inline struct frail *frail_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct frail, dev);
}

static inline int frail_read(struct weft_dev *dev, struct weft_pkt *pkts, int count,
			     int64_t timeout_us)
{
	struct frail *f = frail_of(dev);

	return atomic_load(&f->is_broken) ? -ENODEV
					  : f->lower->read(f->lower, pkts, count, timeout_us);
}

static inline int frail_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	return frail_of(dev)->lower->write(frail_of(dev)->lower, pkts, count);
}

static inline void frail_wake(struct weft_dev *dev)
{
	frail_of(dev)->lower->wake(frail_of(dev)->lower);
}

static inline void frail_close(struct weft_dev *dev)
{
	frail_of(dev)->lower->close(frail_of(dev)->lower);
}

static inline int frail_wait(struct weft_dev *dev, enum weft_seat seat, int64_t timeout_us)
{
	struct frail *f = frail_of(dev);

	/* The RX thread may have been parked, and finds out later. */
	if (seat == WEFT_SEAT_LEADER)
		atomic_fetch_add(&f->waits, 1);
	return atomic_load(&f->is_broken) ? 1 : f->lower->wait(f->lower, seat, timeout_us);
}

static inline void frail_wake_leader(struct weft_dev *dev)
{
	frail_of(dev)->lower->wake_leader(frail_of(dev)->lower);
}

static inline struct weft_stack *frail_open(struct frail *frail, struct weft_dev *lower,
					    bool plain_rx)
{
	struct weft_config config = kit_config();

	*frail = (struct frail){.dev = *lower, .lower = lower};
	frail->dev.read = frail_read;
	frail->dev.write = frail_write;
	frail->dev.wake = frail_wake;
	frail->dev.close = frail_close;
	frail->dev.wait = frail_wait;
	frail->dev.wake_leader = frail_wake_leader;
	config.dev = &frail->dev;
	config.addr = KIT_A4 "/24";
	config.plain_rx = plain_rx;
	struct weft_stack *stack = weft_stack_open(&config, NULL, 0);

	CU_ASSERT_FATAL(stack != NULL);
	return stack;
}

/* From now on it has failed; who waits for it hears that. */
static inline void frail_break(struct frail *frail)
{
	atomic_store(&frail->is_broken, true);
	frail_wake(&frail->dev);
	frail_wake_leader(&frail->dev);
}

#endif
