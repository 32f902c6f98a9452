/*
 * Two devices with several queues, joined by cables in memory: a network card's view of the world,
 * without a card.
 *
 *	end 0: queue 0 ---- pair 0 ---- queue 0 :end 1
 *	       queue 1 ---- pair 1 ---- queue 1
 *
 * Straight, what is written to a queue is read from the queue with the same number.  Moving, a flow
 * written to a queue comes out of one that its hash gives, and at random moments, one packet in
 * 'move_every', all flows of the writing queue are dealt anew: packets of one connection then wait in
 * two queues, and the readers' threads race.
 */
#ifndef WEFT_TESTS_MOVING_H
#define WEFT_TESTS_MOVING_H

#include "net/base/check.h"
#include "net/base/prng.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <weft/dev.h>

struct moving_queue {
	struct weft_dev dev;
	struct moving *moving;
	unsigned end;
	unsigned index;
	/* The writer's. */
	struct prng prng;
	uint64_t deal;
};

struct moving {
	unsigned count;
	uint32_t move_every; /* 0: straight */
	struct weft_dev *pair[WEFT_DEV_QUEUES_MAX][2];
	struct moving_queue queue[2][WEFT_DEV_QUEUES_MAX];
	atomic_int open_ends;
};

static inline struct moving_queue *moving_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct moving_queue, dev);
}

/* Addresses and ports of a TCP packet without IP options, as a hash. */
static inline uint64_t moving_hash(const struct weft_pkt *pkt)
{
	const uint8_t *p = pkt->iov[0].iov_base;
	size_t size = pkt->iov[0].iov_len;
	size_t from = size > 0 && p[0] >> 4 == 6 ? 8 : 12;
	size_t to = from == 8 ? 44 : 24;
	uint64_t hash = 14695981039346656037u;

	for (size_t i = from; i < to && i < size; i++)
		hash = (hash ^ p[i]) * 1099511628211u;
	return hash ^ hash >> 32;
}

static inline struct weft_dev *moving_lower(const struct moving_queue *q)
{
	return q->moving->pair[q->index][q->end];
}

static inline int moving_read(struct weft_dev *dev, struct weft_pkt *pkts, int count,
			      int64_t timeout_us)
{
	struct weft_dev *lower = moving_lower(moving_of(dev));

	return lower->read(lower, pkts, count, timeout_us);
}

/* The writer's side of a pair takes packets from several threads at a time. */
static inline int moving_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct moving_queue *q = moving_of(dev);
	struct moving *m = q->moving;

	for (int i = 0; i < count; i++) {
		unsigned to = q->index;

		if (m->move_every > 0) {
			if (prng_below(&q->prng, m->move_every) == 0)
				q->deal = prng_u64(&q->prng);
			to = (unsigned)((moving_hash(&pkts[i]) + q->deal) % m->count);
		}
		struct weft_dev *lower = m->pair[to][q->end];

		if (lower->write(lower, &pkts[i], 1) < 0)
			return i;
	}
	return count;
}

static inline void moving_wake(struct weft_dev *dev)
{
	struct weft_dev *lower = moving_lower(moving_of(dev));

	lower->wake(lower);
}

static inline int moving_wait(struct weft_dev *dev, enum weft_seat seat, int64_t timeout_us)
{
	struct weft_dev *lower = moving_lower(moving_of(dev));

	return lower->wait(lower, seat, timeout_us);
}

static inline void moving_wake_leader(struct weft_dev *dev)
{
	struct weft_dev *lower = moving_lower(moving_of(dev));

	lower->wake_leader(lower);
}

static inline struct weft_dev *moving_queue(struct weft_dev *dev, uint32_t index)
{
	struct moving_queue *q = moving_of(dev);

	return &q->moving->queue[q->end][index].dev;
}

/* The pair devices go with the last end, as the other one may be about to write. */
static inline void moving_close(struct weft_dev *dev)
{
	struct moving *m = moving_of(dev)->moving;

	if (atomic_fetch_sub_explicit(&m->open_ends, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < m->count; i++)
		for (unsigned end = 0; end < 2; end++)
			m->pair[i][end]->close(m->pair[i][end]);
	free(m);
}

/* Makes both ends with 'count' queues each; 0 or -errno. */
static inline int moving_pair(struct weft_dev *ends[2], uint32_t mtu, uint32_t flags,
			      unsigned count, uint32_t move_every, uint64_t seed)
{
	struct moving *m = calloc(1, sizeof(*m));

	WEFT_ASSERT(m && count >= 1 && count <= WEFT_DEV_QUEUES_MAX);
	m->count = count;
	m->move_every = move_every;
	atomic_init(&m->open_ends, 2);
	for (unsigned i = 0; i < count; i++) {
		int rc = weft_dev_pair(m->pair[i], mtu, flags, 4096);

		WEFT_ASSERT(rc == 0);
		for (unsigned end = 0; end < 2; end++) {
			struct moving_queue *q = &m->queue[end][i];

			*q = (struct moving_queue){
				.dev = {.name = end == 0 ? "moving0" : "moving1",
					.mtu = mtu,
					.flags = flags,
					.read = moving_read,
					.write = moving_write,
					.wake = moving_wake,
					.close = moving_close,
					.wait = moving_wait,
					.wake_leader = moving_wake_leader,
					.queue_count = count,
					.queue = moving_queue},
				.moving = m,
				.end = end,
				.index = i,
			};
			prng_init(&q->prng, seed + 2 * i + end);
		}
	}
	ends[0] = &m->queue[0][0].dev;
	ends[1] = &m->queue[1][0].dev;
	return 0;
}

/* How many queues WEFT_TEST_QUEUES asks for; 1 without. */
static inline unsigned moving_env(void)
{
	const char *text = getenv("WEFT_TEST_QUEUES");
	unsigned long count = text ? strtoul(text, NULL, 0) : 1;

	return count >= 1 && count <= WEFT_DEV_QUEUES_MAX ? (unsigned)count : 1;
}

/* A pair device, or what WEFT_TEST_QUEUES asks for: the same tests over several queues. */
static inline int moving_or_pair(struct weft_dev *ends[2], uint32_t mtu, uint32_t flags)
{
	unsigned count = moving_env();

	if (count == 1)
		return weft_dev_pair(ends, mtu, flags, 1024);
	return moving_pair(ends, mtu, flags, count, 64, 1);
}

#endif
