/*
 * For the tests of this folder: packets that carry a number, and reading into a slot of its own.
 */
#ifndef WEFT_TESTS_TUN_DEV_UTIL_H
#define WEFT_TESTS_TUN_DEV_UTIL_H

#include "net/base/bytes.h"
#include "unit.h"
#include "weft/dev.h"
#include <stdint.h>
#include <string.h>

enum { SLOT_SIZE = 65535 + 64 };

/* One packet with memory of its own. */
struct slot {
	struct weft_pkt pkt;
	struct iovec iov[2];
	uint8_t bytes[SLOT_SIZE];
};

/* Makes 'slot' ready for a read, in two pieces to try the scattering. */
static inline struct weft_pkt *slot_empty(struct slot *slot)
{
	slot->iov[0] = (struct iovec){slot->bytes, 30};
	slot->iov[1] = (struct iovec){slot->bytes + 30, SLOT_SIZE - 30};
	slot->pkt = (struct weft_pkt){.iov = slot->iov, .iov_count = 2};
	return &slot->pkt;
}

/* A packet of 'len' >= 24 bytes that says IPv4 and carries 'number' at its offset 20. */
static inline struct weft_pkt *slot_fill(struct slot *slot, uint32_t number, uint32_t len)
{
	slot_empty(slot);
	memset(slot->bytes, 0, len);
	slot->bytes[0] = 0x45;
	put_be32(slot->bytes + 20, number);
	slot->pkt.len = len;
	return &slot->pkt;
}

static inline int dev_put(struct weft_dev *dev, struct slot *slot, uint32_t number, uint32_t len)
{
	return dev->write(dev, slot_fill(slot, number, len), 1);
}

/* Reads one packet and returns its number; -1 when none came, or the error. */
static inline int64_t dev_get(struct weft_dev *dev, struct slot *slot, int64_t timeout_us)
{
	int got = dev->read(dev, slot_empty(slot), 1, timeout_us);

	if (got != 1)
		return got < 0 ? got : -1;
	return get_be32(slot->bytes + 20);
}

#endif
