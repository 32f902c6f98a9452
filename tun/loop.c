/*
 * The loop device of a stack (127.0.0.0/8, ::1 and its own addresses): one channel whose reader is an
 * RX thread of its own and whose writers are the stack's emitters, several at a time: the channel has
 * a lock, and nothing else is touched.  No checksum is ever computed on the way.
 */
#include "tun/loop.h"

#include "tun/chan.h"
#include <errno.h>
#include <stdlib.h>

struct loop {
	struct weft_dev dev;
	struct chan chan;
	struct counters *ctr;
};

static struct loop *loop_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct loop, dev);
}

static int loop_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	int got = chan_read(&loop_of(dev)->chan, pkts, count, timeout_us);

	for (int i = 0; i < got; i++)
		if (!(pkts[i].flags & WEFT_PKT_BAD))
			pkts[i].flags |= WEFT_PKT_CSUM_VALID;
	return got;
}

static int loop_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct loop *loop = loop_of(dev);
	struct chan_loss loss;

	chan_write(&loop->chan, pkts, count, &loss);
	for (int i = 0; i < loss.full; i++)
		drop_count(loop->ctr, DROP_LOOP_QUEUE);
	for (int i = 0; i < loss.refused; i++)
		drop_count(loop->ctr, DROP_DEV_WRITE);
	return count;
}

static void loop_wake(struct weft_dev *dev)
{
	chan_wake(&loop_of(dev)->chan);
}

static void loop_close(struct weft_dev *dev)
{
	struct loop *loop = loop_of(dev);

	chan_close(&loop->chan);
	chan_fini(&loop->chan);
	free(loop);
}

int loop_dev_new(struct weft_dev **dev, uint32_t mtu, uint32_t queue_max, struct counters *ctr)
{
	const uint32_t flags = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 |
			       WEFT_DEV_TX_USO4 | WEFT_DEV_TX_USO6 | WEFT_DEV_RX_GSO;
	int rc = chan_check(mtu, flags, queue_max);

	WEFT_ASSERT(ctr != NULL);
	if (rc < 0)
		return rc;
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	chan_init(&loop->chan, mtu, flags, queue_max);
	loop->ctr = ctr;
	loop->dev = (struct weft_dev){
		.name = "loop",
		.mtu = mtu,
		.flags = flags,
		.read = loop_read,
		.write = loop_write,
		.wake = loop_wake,
		.close = loop_close,
	};
	*dev = &loop->dev;
	return 0;
}
