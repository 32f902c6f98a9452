/*
 * A device with faults in front of another one.  Written packets go through the 'out' lane, read
 * ones through the 'in' lane (lane.c decides what happens to them); a lane that was not asked for
 * is a plain pass.
 *
 * Threads: whoever writes puts packets into the out lane and hands on at once what is due; a thread
 * of the device hands on the rest when its time comes.  Both write to 'lower' under the out lane's
 * lock, so that it sees one writer at a time.  The in lane has no thread: the reader waits for
 * whatever comes first, the lower device or the next due packet.  Locks: lane locks, then the
 * lower device's own.
 *
 * It must see packets as on a wire.  weft_stack_open therefore opens its TUN device with no_offload
 * when faults are configured; a lower device that reads super-packets (WEFT_DEV_RX_GSO) is refused
 * with EINVAL.  On failure 'lower' stays the caller's.  close and the stats: nobody is in read or
 * write any more at close.
 */
#include "net/base/check.h"
#include "net/base/sync.h"
#include "tun/deadline.h"
#include "tun/dev_fail.h"
#include "tun/lane.h"
#include "weft/dev.h"
#include <stdatomic.h>
#include <stdlib.h>

enum {
	FAULT_BATCH = 16,    /* packets read from below at a time */
	FAULT_RETRY_US = 500 /* the lower device was full: when to try again */
};

struct fault {
	struct weft_dev dev;
	/* Immutable after opening. */
	struct weft_dev *lower;
	bool has_out;
	bool has_in;
	pthread_t thread; /* hands on delayed packets; with has_out only */

	atomic_bool woken;

	struct mutex out_mu;
	/* Guarded by out_mu. */
	struct cond out_changed;
	struct lane out;
	int out_error; /* what ended the writing: 0 or -errno */
	bool stop;

	struct mutex in_mu;
	/* Guarded by in_mu. */
	struct lane in;

	/* The reader's. */
	struct weft_pkt batch[FAULT_BATCH];
	struct iovec batch_iov[FAULT_BATCH];
	uint8_t *batch_bytes;
};

static struct fault *fault_of(struct weft_dev *dev)
{
	return CONTAINER_OF(dev, struct fault, dev);
}

/* What 'lower' has taken and lost: the stack hears of it with the next write. */
static void pass_refused(struct fault *f)
{
	f->dev.write_refused = f->lower->write_refused;
	f->dev.write_refused_bytes = f->lower->write_refused_bytes;
}

/* Writes what is due to the lower device; false when that is full. */
static bool drain_out(struct fault *f) REQUIRES(&f->out_mu)
{
	weft_time_us now = clock_monotonic_us();
	struct pktbuf *b;

	while ((b = lane_first(&f->out, now)) != NULL) {
		struct iovec iov = {.iov_base = b->bytes, .iov_len = b->len};
		struct weft_pkt pkt = {.iov = &iov, .iov_count = 1, .len = b->len};
		int rc = f->lower->write(f->lower, &pkt, 1);

		if (rc == 0 || rc == -EAGAIN)
			return false;
		if (rc < 0)
			f->out_error = rc;
		b = lane_pop(&f->out);
		pktbuf_free(&b);
	}
	return true;
}

/* The device's thread: writes packets when they are due. */
static void *run_out(void *arg)
{
	struct fault *f = arg;

	mutex_lock(&f->out_mu);
	while (!f->stop) {
		weft_time_us next =
			drain_out(f) ? lane_next(&f->out) : clock_monotonic_us() + FAULT_RETRY_US;

		if (next == WEFT_TIME_NEVER)
			cond_wait(&f->out_changed, &f->out_mu);
		else
			(void)cond_wait_until(&f->out_changed, &f->out_mu, next);
	}
	mutex_unlock(&f->out_mu);
	return NULL;
}

static int fault_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct fault *f = fault_of(dev);
	int rc = count;

	if (!f->has_out) {
		rc = f->lower->write(f->lower, pkts, count);
		pass_refused(f);
		return rc;
	}
	mutex_lock(&f->out_mu);
	weft_time_us before = lane_next(&f->out);
	for (int i = 0; i < count; i++) {
		lane_admit(&f->out, &pkts[i], clock_monotonic_us());
		drain_out(f);
	}
	if (lane_next(&f->out) < before)
		cond_signal(&f->out_changed);
	if (f->out_error < 0)
		rc = f->out_error;
	pass_refused(f);
	mutex_unlock(&f->out_mu);
	return rc;
}

/* Copies due packets of the in lane to the reader; returns how many. */
static int take_due(struct fault *f, struct weft_pkt *pkts, int count)
{
	struct pktbuf *b;
	int got = 0;

	mutex_lock(&f->in_mu);
	weft_time_us now = clock_monotonic_us();
	while (got < count && lane_first(&f->in, now)) {
		b = lane_pop(&f->in);
		pktbuf_store(b, &pkts[got++]);
		pktbuf_free(&b);
	}
	mutex_unlock(&f->in_mu);
	return got;
}

/* Reads from below until 'deadline' at the latest and passes it to the in lane; 0 or -errno. */
static int fill_in(struct fault *f, weft_time_us deadline)
{
	for (int i = 0; i < FAULT_BATCH; i++) {
		f->batch_iov[i].iov_base = f->batch_bytes + (size_t)i * f->dev.mtu;
		f->batch_iov[i].iov_len = f->dev.mtu;
		f->batch[i] = (struct weft_pkt){.iov = &f->batch_iov[i], .iov_count = 1};
	}
	mutex_lock(&f->in_mu);
	deadline = time_min(deadline, lane_next(&f->in));
	mutex_unlock(&f->in_mu);
	int got = f->lower->read(f->lower, f->batch, FAULT_BATCH, deadline_left(deadline));
	if (got <= 0)
		return got;
	mutex_lock(&f->in_mu);
	weft_time_us now = clock_monotonic_us();
	for (int i = 0; i < got; i++)
		lane_admit(&f->in, &f->batch[i], now);
	mutex_unlock(&f->in_mu);
	return 0;
}

static int fault_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	struct fault *f = fault_of(dev);

	if (!f->has_in)
		return f->lower->read(f->lower, pkts, count, timeout_us);
	weft_time_us deadline = deadline_after(timeout_us);
	for (;;) {
		int rc = fill_in(f, deadline);
		if (rc < 0)
			return rc;
		int got = take_due(f, pkts, count);
		if (got > 0)
			return got;
		if (atomic_exchange(&f->woken, false) || deadline_left(deadline) == 0)
			return 0;
	}
}

static void fault_wake(struct weft_dev *dev)
{
	struct fault *f = fault_of(dev);

	atomic_store(&f->woken, true);
	f->lower->wake(f->lower);
}

/* Frees everything but 'lower'. */
static void fault_free(struct fault *f)
{
	lane_fini(&f->out);
	lane_fini(&f->in);
	cond_fini(&f->out_changed);
	mutex_fini(&f->out_mu);
	mutex_fini(&f->in_mu);
	free(f->batch_bytes);
	free(f);
}

static void fault_close(struct weft_dev *dev)
{
	struct fault *f = fault_of(dev);

	if (f->has_out) {
		mutex_lock(&f->out_mu);
		f->stop = true;
		cond_signal(&f->out_changed);
		mutex_unlock(&f->out_mu);
		thread_join(f->thread);
	}
	f->lower->close(f->lower);
	fault_free(f);
}

/* Makes locks and lanes; the rest is in place. */
static void fault_init(struct fault *f, const struct weft_fault *out, const struct weft_fault *in)
{
	static const struct weft_fault none;

	mutex_init(&f->out_mu);
	mutex_init(&f->in_mu);
	cond_init(&f->out_changed);
	lane_init(&f->out, out ? out : &none);
	lane_init(&f->in, in ? in : &none);
	f->has_out = out != NULL;
	f->has_in = in != NULL;
}

struct weft_dev *weft_dev_fault(struct weft_dev *lower, const struct weft_fault *out,
				const struct weft_fault *in)
{
	if (!lower || (lower->flags & WEFT_DEV_RX_GSO) || lower->queue_count > 1)
		return dev_fail(-EINVAL);
	struct fault *f = calloc(1, sizeof(*f));
	uint8_t *bytes = malloc((size_t)FAULT_BATCH * lower->mtu);
	if (!f || !bytes) {
		free(f);
		free(bytes);
		return dev_fail(-ENOMEM);
	}
	f->lower = lower;
	f->batch_bytes = bytes;
	f->dev = (struct weft_dev){
		.name = lower->name,
		.mtu = lower->mtu,
		.flags = 0,
		.read = fault_read,
		.write = fault_write,
		.wake = fault_wake,
		.close = fault_close,
	};
	pass_refused(f); /* of before */
	fault_init(f, out, in);
	int rc = out ? thread_start(&f->thread, "weft-fault", run_out, f) : 0;
	if (rc == 0)
		return &f->dev;
	fault_free(f);
	return dev_fail(rc);
}

void weft_dev_fault_stats(struct weft_dev *fault, struct weft_fault_stats *out,
			  struct weft_fault_stats *in)
{
	WEFT_ASSERT(fault->read == fault_read);
	struct fault *f = fault_of(fault);

	if (out) {
		mutex_lock(&f->out_mu);
		*out = f->out.stats;
		mutex_unlock(&f->out_mu);
	}
	if (in) {
		mutex_lock(&f->in_mu);
		*in = f->in.stats;
		mutex_unlock(&f->in_mu);
	}
}
