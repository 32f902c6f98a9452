/*
 * Two devices joined by a cable in memory: one channel per direction.  Called by the RX thread
 * (read) and the emitter (write) of the stacks at both ends.
 *
 * An end that is closed is an unplugged cable: what the other end writes is lost, and it reads
 * nothing more.  Both ends share one allocation, which the second close frees.  Closing an end
 * whose read is still waiting ends that read with -ENODEV; later calls on it are not allowed.
 */
#include "net/base/check.h"
#include "tun/chan.h"
#include "weft/dev.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct pair_end {
	struct weft_dev dev;
	struct pair *pair;
	struct chan *in;  /* what this end reads */
	struct chan *out; /* what this end writes */
};

struct pair {
	struct chan chan[2]; /* chan[i] is read by end[i] */
	struct pair_end end[2];
	atomic_int open_ends;
};

static struct pair_end *end_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct pair_end, dev);
}

static int pair_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	return chan_read(end_of(dev)->in, pkts, count, timeout_us);
}

static int pair_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct chan_loss loss; /* as on any network, nobody hears of it */

	chan_write(end_of(dev)->out, pkts, count, &loss);
	return count;
}

static void pair_wake(struct weft_dev *dev)
{
	chan_wake(end_of(dev)->in);
}

static int pair_wait(struct weft_dev *dev, enum weft_seat seat, int64_t timeout_us)
{
	return chan_wait(end_of(dev)->in, seat, timeout_us);
}

static void pair_wake_leader(struct weft_dev *dev)
{
	chan_wake_leader(end_of(dev)->in);
}

static void pair_close(struct weft_dev *dev)
{
	struct pair_end *end = end_of(dev);
	struct pair *pair = end->pair;

	chan_close(end->in);
	if (atomic_fetch_sub_explicit(&pair->open_ends, 1, memory_order_acq_rel) > 1)
		return;
	chan_fini(&pair->chan[0]);
	chan_fini(&pair->chan[1]);
	free(pair);
}

int weft_dev_pair(struct weft_dev *ends[2], uint32_t mtu, uint32_t flags, uint32_t queue_max)
{
	static const char *const names[2] = {"pair0", "pair1"};
	int rc = chan_check(mtu, flags, queue_max);

	if (rc < 0)
		return rc;
	struct pair *pair = calloc(1, sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	atomic_init(&pair->open_ends, 2);
	for (int i = 0; i < 2; i++) {
		chan_init(&pair->chan[i], mtu, flags, queue_max);
		pair->end[i] = (struct pair_end){
			.dev = {.name = names[i],
				.mtu = mtu,
				.flags = flags,
				.read = pair_read,
				.write = pair_write,
				.wake = pair_wake,
				.close = pair_close,
				.wait = pair_wait,
				.wake_leader = pair_wake_leader},
			.pair = pair,
			.in = &pair->chan[i],
			.out = &pair->chan[1 - i],
		};
	}
	ends[0] = &pair->end[0].dev;
	ends[1] = &pair->end[1].dev;
	return 0;
}
