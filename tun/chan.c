/*
 * The blocking packet queue behind the in-memory devices: see chan.h.  Packets are copied outside
 * the lock, both ways.  Lock: chan.mu, a leaf.
 */
#include "tun/chan.h"

#include "net/base/check.h"
#include "tun/deadline.h"
#include "tun/iov.h"
#include <errno.h>

enum {
	CHAN_MTU_MIN = 1280,
	CHAN_PKT_MAX = 65535,
	CHAN_CUTS = WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_TX_USO4 | WEFT_DEV_TX_USO6,
	CHAN_FLAGS = WEFT_DEV_TX_CSUM | CHAN_CUTS | WEFT_DEV_RX_GSO,
};

int chan_check(uint32_t mtu, uint32_t flags, uint32_t queue_max)
{
	if (mtu < CHAN_MTU_MIN || mtu > CHAN_PKT_MAX || queue_max == 0)
		return -EINVAL;
	if (flags & ~(uint32_t)CHAN_FLAGS)
		return -EINVAL;
	/* What one end may write the other must be able to read; a cut needs a partial checksum. */
	if ((flags & CHAN_CUTS) && (!(flags & WEFT_DEV_RX_GSO) || !(flags & WEFT_DEV_TX_CSUM)))
		return -EINVAL;
	return 0;
}

void chan_init(struct chan *c, uint32_t mtu, uint32_t flags, uint32_t queue_max)
{
	*c = (struct chan){.mtu = mtu, .flags = flags, .queue_max = queue_max};
	mutex_init(&c->mu);
	cond_init(&c->changed);
	cond_init(&c->lead);
}

void chan_fini(struct chan *c)
{
	WEFT_ASSERT(c->readers == 0);
	pktq_clear(&c->queue);
	cond_fini(&c->lead);
	cond_fini(&c->changed);
	mutex_fini(&c->mu);
}

void chan_close(struct chan *c)
{
	mutex_lock(&c->mu);
	c->closed = true;
	cond_broadcast(&c->changed);
	cond_broadcast(&c->lead);
	while (c->readers > 0)
		cond_wait(&c->changed, &c->mu);
	pktq_clear(&c->queue);
	mutex_unlock(&c->mu);
}

/* Whether a device with the channel's offloads takes this packet. */
static bool takes(const struct chan *c, const struct weft_pkt *pkt)
{
	if (pkt->len == 0 || pkt->len > CHAN_PKT_MAX || iov_room(pkt) < pkt->len)
		return false;
	if ((pkt->flags & WEFT_PKT_CSUM_PARTIAL) && !(c->flags & WEFT_DEV_TX_CSUM))
		return false;
	if (pkt->gso_size == 0)
		return pkt->len <= c->mtu;
	return (c->flags & pkt_offload(pkt)) != 0;
}

/* Copies what the device takes into 'batch'. */
static void copy_packets(const struct chan *c, const struct weft_pkt *pkts, int count,
			 struct pktq *batch, struct chan_loss *loss)
{
	for (int i = 0; i < count; i++) {
		if (!takes(c, &pkts[i])) {
			loss->refused++;
			continue;
		}
		struct pktbuf *b = pktbuf_new(&pkts[i]);
		if (!b) {
			loss->full++;
			continue;
		}
		if (b->flags & WEFT_PKT_CSUM_PARTIAL)
			b->flags |= WEFT_PKT_CSUM_VALID;
		pktq_push(batch, b);
	}
}

/* The leader is told, if there is one, else the reader. */
static void announce_packet(struct chan *c) REQUIRES(&c->mu)
{
	if (c->leader_waits)
		cond_signal(&c->lead);
	else
		cond_broadcast(&c->changed);
}

void chan_write(struct chan *c, const struct weft_pkt *pkts, int count, struct chan_loss *loss)
{
	struct pktq batch = {0};

	*loss = (struct chan_loss){0};
	copy_packets(c, pkts, count, &batch, loss);
	mutex_lock(&c->mu);
	bool was_empty = c->queue.count == 0;
	while (batch.head && !c->closed && c->queue.count < c->queue_max)
		pktq_push(&c->queue, pktq_pop(&batch));
	if (was_empty && c->queue.count > 0)
		announce_packet(c);
	if (!c->closed)
		loss->full += (int)batch.count;
	mutex_unlock(&c->mu);
	pktq_clear(&batch);
}

/* Waits for a packet, a wake, the close or the deadline. */
static void wait_for_packet(struct chan *c, weft_time_us deadline) REQUIRES(&c->mu)
{
	bool in_time = true;

	while (in_time && !c->queue.head && !c->woken && !c->closed)
		in_time = cond_wait_until(&c->changed, &c->mu, deadline);
}

int chan_read(struct chan *c, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	struct pktq batch = {0};
	struct pktbuf *b;
	int rc = 0;

	mutex_lock(&c->mu);
	c->readers++;
	if (timeout_us != 0)
		wait_for_packet(c, deadline_after(timeout_us));
	while (!c->closed && c->queue.head && batch.count < (uint32_t)count)
		pktq_push(&batch, pktq_pop(&c->queue));
	if (c->closed)
		rc = -ENODEV;
	else if (batch.count == 0 && timeout_us != 0)
		c->woken = false; /* one that does not wait may be a leader's */
	if (--c->readers == 0 && c->closed)
		cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);

	while ((b = pktq_pop(&batch)) != NULL) {
		pktbuf_store(b, &pkts[rc++]);
		pktbuf_free(&b);
	}
	return rc;
}

/* Of a leader asleep: a thread of a program, which may be cancelled. */
struct leader {
	struct chan *chan;
	bool is_awake;
};

static NO_TSA void leave_cancelled(const struct leader *leader)
{
	struct chan *c = leader->chan;

	if (leader->is_awake)
		return;
	c->leader_waits = false;
	if (--c->readers == 0 && c->closed)
		cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
}

static void wait_as_leader(struct chan *c, weft_time_us deadline) REQUIRES(&c->mu)
{
	struct leader leader CLEANUP(leave_cancelled) = {.chan = c};
	bool in_time = true;

	c->leader_waits = true;
	while (in_time && !c->queue.head && !c->leader_woken && !c->closed)
		in_time = cond_sleep_until(&c->lead, &c->mu, deadline);
	leader.is_awake = true;
	c->leader_waits = false;
	c->leader_woken = false;
}

int chan_wait(struct chan *c, enum weft_seat seat, int64_t timeout_us)
{
	weft_time_us deadline = deadline_after(timeout_us);

	mutex_lock(&c->mu);
	c->readers++;
	if (seat == WEFT_SEAT_LEADER) {
		wait_as_leader(c, deadline);
	} else {
		wait_for_packet(c, deadline);
		c->woken = false;
	}
	int rc = c->queue.head ? 1 : 0;

	if (c->closed)
		rc = -ENODEV;
	if (--c->readers == 0 && c->closed)
		cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
	return rc;
}

void chan_wake_leader(struct chan *c)
{
	mutex_lock(&c->mu);
	c->leader_woken = true;
	cond_signal(&c->lead);
	mutex_unlock(&c->mu);
}

void chan_wake(struct chan *c)
{
	mutex_lock(&c->mu);
	c->woken = true;
	cond_broadcast(&c->changed);
	mutex_unlock(&c->mu);
}
