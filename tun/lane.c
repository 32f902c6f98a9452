/*
 * Loss, duplication, corruption, reordering, delay and rate for one direction: see lane.h.
 */
#include "tun/lane.h"

#include "net/base/check.h"
#include "tun/iov.h"

enum { BITS_PER_BYTE = 8 };

/* What the dice said for one packet. */
struct fate {
	bool is_lost;
	bool is_doubled;
	bool is_held;
	bool is_corrupted;
	uint32_t hold;
	uint32_t jitter_us;
	uint32_t bit;
};

void lane_init(struct lane *lane, const struct weft_fault *config)
{
	*lane = (struct lane){.config = *config};
	if (lane->config.queue_max == 0)
		lane->config.queue_max = LANE_QUEUE_DEFAULT;
	prng_init(&lane->prng, config->seed);
}

void lane_fini(struct lane *lane)
{
	pktq_clear(&lane->queue);
	pktq_clear(&lane->held);
}

/* Draws for a packet of 'len' > 0 bytes.  All values are drawn every time: see the header. */
static struct fate draw(struct lane *lane, uint32_t len)
{
	const struct weft_fault *config = &lane->config;
	struct prng *p = &lane->prng;
	struct fate fate;

	fate.is_lost = prng_u64(p) % US_PER_S < config->loss_ppm;
	fate.is_doubled = prng_u64(p) % US_PER_S < config->dup_ppm;
	fate.is_held = prng_u64(p) % US_PER_S < config->reorder_ppm;
	fate.is_corrupted = prng_u64(p) % US_PER_S < config->corrupt_ppm;
	fate.hold = 1 + (uint32_t)(prng_u64(p) % LANE_HOLD_MAX);
	fate.jitter_us = (uint32_t)(prng_u64(p) % ((uint64_t)config->jitter_us + 1));
	fate.bit = (uint32_t)(prng_u64(p) % ((uint64_t)len * BITS_PER_BYTE));
	return fate;
}

/* Turns an offloaded packet into what a wire would carry. */
static void resolve_offload(struct pktbuf *b)
{
	if (b->flags & WEFT_PKT_CSUM_PARTIAL)
		csum_complete(b->bytes, b->len, b->csum_start, b->csum_offset);
	b->flags &= (uint32_t)WEFT_PKT_BAD;
	b->gso_size = 0;
	b->hdr_len = 0;
	b->csum_start = 0;
	b->csum_offset = 0;
}

/* When a packet that comes now has crossed the link. */
static weft_time_us arrival(struct lane *lane, uint32_t len, uint32_t jitter_us, weft_time_us now)
{
	const struct weft_fault *config = &lane->config;
	weft_time_us due = now;

	if (config->rate_bps > 0) {
		uint64_t us = (uint64_t)len * BITS_PER_BYTE * US_PER_S;

		us = (us + config->rate_bps - 1) / config->rate_bps;
		lane->link_free = time_max(lane->link_free, now) + (weft_time_us)us;
		due = lane->link_free;
	}
	return time_max(due + config->delay_us + jitter_us, lane->last_due);
}

/* Puts a packet on the link. */
static void enqueue(struct lane *lane, struct pktbuf *b, uint32_t jitter_us, weft_time_us now)
{
	b->due = arrival(lane, b->len, jitter_us, now);
	lane->last_due = b->due;
	pktq_push(&lane->queue, b);
}

/* Queues the held-back packets that have waited long enough, by overtakers or by the clock. */
static void release_held(struct lane *lane, weft_time_us now)
{
	struct pktq keep = {0};
	struct pktbuf *b;

	while ((b = pktq_pop(&lane->held)) != NULL) {
		if (b->hold == 0 || b->due <= now)
			enqueue(lane, b, 0, now);
		else
			pktq_push(&keep, b);
	}
	lane->held = keep;
}

/* Queues a packet and counts it for those that it overtakes. */
static void pass(struct lane *lane, struct pktbuf *b, uint32_t jitter_us, weft_time_us now)
{
	enqueue(lane, b, jitter_us, now);
	for (struct pktbuf *h = lane->held.head; h; h = h->next)
		h->hold--;
	release_held(lane, now);
}

/* Whether another packet may wait; counts it as dropped otherwise. */
static bool has_room(struct lane *lane)
{
	if (lane->queue.count + lane->held.count < lane->config.queue_max)
		return true;
	lane->stats.queue_drops++;
	return false;
}

static void admit_original(struct lane *lane, struct pktbuf *b, const struct fate *fate,
			   weft_time_us now)
{
	if (!has_room(lane)) {
		pktbuf_free(&b);
		return;
	}
	if (fate->is_corrupted) {
		b->bytes[fate->bit / BITS_PER_BYTE] ^= (uint8_t)(1u << fate->bit % BITS_PER_BYTE);
		lane->stats.corrupted++;
	}
	lane->stats.passed++;
	if (!fate->is_held) {
		pass(lane, b, fate->jitter_us, now);
		return;
	}
	lane->stats.reordered++;
	b->hold = fate->hold;
	b->due = now + LANE_HOLD_US_MAX;
	pktq_push(&lane->held, b);
}

void lane_admit(struct lane *lane, const struct weft_pkt *pkt, weft_time_us now)
{
	struct fate fate = draw(lane, pkt->len > 0 ? pkt->len : 1);

	if (fate.is_lost || pkt->len == 0) {
		lane->stats.lost++;
		return;
	}
	struct pktbuf *b = pktbuf_new(pkt);
	if (!b) {
		lane->stats.queue_drops++;
		return;
	}
	resolve_offload(b);
	/* The copy is made before a bit is turned: the network doubles first, then damages one. */
	struct pktbuf *copy = fate.is_doubled ? pktbuf_dup(b) : NULL;
	admit_original(lane, b, &fate, now);
	if (!copy)
		return;
	lane->stats.duplicated++;
	if (!has_room(lane)) {
		pktbuf_free(&copy);
		return;
	}
	lane->stats.passed++;
	pass(lane, copy, 0, now);
}

struct pktbuf *lane_first(struct lane *lane, weft_time_us now)
{
	release_held(lane, now);
	return lane->queue.head && lane->queue.head->due <= now ? lane->queue.head : NULL;
}

struct pktbuf *lane_pop(struct lane *lane)
{
	WEFT_ASSERT(lane->queue.head != NULL);
	return pktq_pop(&lane->queue);
}

weft_time_us lane_next(const struct lane *lane)
{
	weft_time_us next = lane->queue.head ? lane->queue.head->due : WEFT_TIME_NEVER;

	for (const struct pktbuf *h = lane->held.head; h; h = h->next)
		next = time_min(next, h->due);
	return next;
}
