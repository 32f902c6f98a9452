/*
 * fault.c: the device around the lanes - threads, waiting, waking, closing - over an in-memory
 * pair.  Times are lower bounds only: the machine may be slow.
 */
#include "dev_util.h"
#include "net/base/sync.h"
#include "weft/dev.h"
#include <errno.h>
#include <stdatomic.h>

enum { MTU = 1500, QUEUE = 10000, COUNT = 2000 };

static struct slot slot, slot2;

static struct weft_dev *open_fault(struct weft_dev **far, const struct weft_fault *out,
				   const struct weft_fault *in)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, QUEUE), 0);
	struct weft_dev *fault = weft_dev_fault(d[0], out, in);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
	*far = d[1];
	return fault;
}

static void close_both(struct weft_dev *a, struct weft_dev *b)
{
	a->close(a);
	b->close(b);
}

static void test_refuses_gso(void)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, WEFT_DEV_RX_GSO, QUEUE), 0);
	CU_ASSERT_PTR_NULL(weft_dev_fault(d[0], NULL, NULL));
	CU_ASSERT_EQUAL(errno, EINVAL);
	close_both(d[0], d[1]);
	CU_ASSERT_PTR_NULL(weft_dev_fault(NULL, NULL, NULL));
}

static void test_plain_pass(void)
{
	struct weft_dev *far;
	struct weft_dev *fault = open_fault(&far, NULL, NULL);
	struct weft_fault_stats stats;

	CU_ASSERT_EQUAL(fault->flags, 0);
	CU_ASSERT_EQUAL(fault->mtu, MTU);
	dev_put(fault, &slot, 1, 40);
	CU_ASSERT_EQUAL(dev_get(far, &slot, -1), 1);
	dev_put(far, &slot, 2, 40);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, -1), 2);
	fault->wake(fault);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, -1), -1);
	weft_dev_fault_stats(fault, &stats, &stats);
	CU_ASSERT_EQUAL(stats.passed, 0);
	close_both(fault, far);
}

/* Loss both ways; without delay what is passed is there at once. */
static void test_loss_both_ways(void)
{
	const struct weft_fault half = {.seed = 9, .loss_ppm = 500000};
	struct weft_fault_stats out, in;
	struct weft_dev *far;
	struct weft_dev *fault = open_fault(&far, &half, &half);
	uint64_t got_far = 0, got_near = 0;

	for (uint32_t i = 0; i < COUNT; i++) {
		dev_put(fault, &slot, i, 40);
		dev_put(far, &slot2, i, 40);
	}
	while (dev_get(far, &slot, 0) >= 0)
		got_far++;
	int got;
	do {
		got = fault->read(fault, slot_empty(&slot), 1, 1000);
		got_near += (uint64_t)got;
	} while (got > 0 || got_near == 0);
	while (dev_get(fault, &slot, 1000) >= 0)
		got_near++;
	weft_dev_fault_stats(fault, &out, &in);
	CU_ASSERT_EQUAL(out.passed, got_far);
	CU_ASSERT_EQUAL(in.passed, got_near);
	CU_ASSERT_EQUAL(out.passed + out.lost, COUNT);
	CU_ASSERT_EQUAL(out.lost, in.lost); /* same seed, same packets, same faults */
	close_both(fault, far);
}

static void test_delay(void)
{
	const struct weft_fault slow = {.seed = 9, .delay_us = 20000};
	struct weft_dev *far;
	struct weft_dev *fault = open_fault(&far, &slow, &slow);

	weft_time_us start = clock_monotonic_us();
	dev_put(fault, &slot, 1, 40);
	CU_ASSERT_EQUAL(dev_get(far, &slot, -1), 1);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);

	dev_put(far, &slot, 2, 40);
	start = clock_monotonic_us();
	CU_ASSERT_EQUAL(dev_get(fault, &slot, 0), -1); /* it is in the lane now */
	CU_ASSERT_EQUAL(dev_get(fault, &slot, 1000), -1);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, -1), 2);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);
	/* A wake does not wait for the packet. */
	dev_put(far, &slot, 3, 40);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, 0), -1);
	fault->wake(fault);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, -1), -1);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, -1), 3);
	dev_put(fault, &slot, 1, 40); /* closing with packets under way */
	close_both(fault, far);
}

static void test_rate(void)
{
	const struct weft_fault slow = {.seed = 9, .rate_bps = 8000000};
	struct weft_dev *far;
	struct weft_dev *fault = open_fault(&far, &slow, NULL);

	weft_time_us start = clock_monotonic_us();
	for (uint32_t i = 0; i < 20; i++)
		dev_put(fault, &slot, i, 1000);
	for (uint32_t i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(dev_get(far, &slot, -1), i);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);
	close_both(fault, far);
}

/* The last packet is held back, and comes all the same; both ways. */
static void test_reorder_ends(void)
{
	const struct weft_fault all = {.seed = 9, .reorder_ppm = 1000000};
	struct weft_dev *far;
	struct weft_dev *fault = open_fault(&far, &all, &all);

	dev_put(fault, &slot, 1, 40);
	CU_ASSERT_EQUAL(dev_get(far, &slot, -1), 1);
	dev_put(far, &slot, 2, 40);
	CU_ASSERT_EQUAL(dev_get(fault, &slot, -1), 2);
	close_both(fault, far);
}

struct stubborn {
	struct weft_dev dev;
	atomic_int refusals; /* left */
	atomic_int taken;
	int error;
	bool loses; /* what it takes */
};

static int stubborn_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	struct stubborn *s = (struct stubborn *)(void *)dev;

	if (s->error)
		return s->error;
	if (atomic_fetch_sub(&s->refusals, 1) > 0)
		return -EAGAIN;
	for (int i = 0; i < count && s->loses; i++) {
		dev->write_refused++;
		dev->write_refused_bytes += pkts[i].len;
	}
	atomic_fetch_add(&s->taken, count);
	return count;
}

static void stubborn_close(struct weft_dev *dev)
{
	(void)dev;
}

/* A full lower device is tried again, a broken one ends the writing. */
static void test_lower_full(void)
{
	const struct weft_fault none = {.seed = 9};
	static struct stubborn s = {
		.dev = {.mtu = MTU, .write = stubborn_write, .close = stubborn_close}};
	struct weft_dev *fault = weft_dev_fault(&s.dev, &none, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
	atomic_store(&s.refusals, 3);
	CU_ASSERT_EQUAL(dev_put(fault, &slot, 1, 40), 1);
	weft_time_us deadline = clock_monotonic_us() + 10 * US_PER_S;
	while (atomic_load(&s.taken) < 1 && clock_monotonic_us() < deadline)
		continue;
	CU_ASSERT_EQUAL(atomic_load(&s.taken), 1);
	fault->close(fault);

	fault = weft_dev_fault(&s.dev, &none, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
	s.error = -ENODEV;
	CU_ASSERT_EQUAL(dev_put(fault, &slot, 1, 40), -ENODEV);
	fault->close(fault);
}

static void await_taken(struct stubborn *s, int taken)
{
	weft_time_us deadline = clock_monotonic_us() + 10 * US_PER_S;

	while (atomic_load(&s->taken) < taken && clock_monotonic_us() < deadline)
		continue;
	CU_ASSERT_EQUAL(atomic_load(&s->taken), taken);
}

/* What the lower device takes and loses is told, with or without delay; with it by the next write. */
static void test_lower_loses(void)
{
	const struct weft_fault none = {.seed = 9}, slow = {.seed = 9, .delay_us = 1000};
	const struct weft_fault *const out[] = {NULL, &none, &slow};

	for (int i = 0; i < 3; i++) {
		struct stubborn s = {.dev = {.mtu = MTU,
					     .write = stubborn_write,
					     .close = stubborn_close,
					     .write_refused = 7,
					     .write_refused_bytes = 700},
				     .loses = true};
		struct weft_dev *fault = weft_dev_fault(&s.dev, out[i], NULL);

		CU_ASSERT_PTR_NOT_NULL_FATAL(fault);
		CU_ASSERT(fault->write_refused == 7 && fault->write_refused_bytes == 700);
		CU_ASSERT_EQUAL(dev_put(fault, &slot, 1, 40), 1);
		await_taken(&s, 1);
		if (out[i] == &slow) {
			CU_ASSERT_EQUAL(fault->write_refused, 7);
			CU_ASSERT_EQUAL(fault->write(fault, &slot.pkt, 0), 0);
		}
		CU_ASSERT(fault->write_refused == 8 && fault->write_refused_bytes == 740);
		fault->close(fault);
	}
}

struct writer {
	struct weft_dev *dev;
	struct slot slot;
};

static void *run_writer(void *arg)
{
	struct writer *w = arg;

	for (uint32_t i = 0; i < 20000; i++)
		dev_put(w->dev, &w->slot, i, 40);
	return NULL;
}

/* Writer, device thread, reader, waker and statistics at once; then everything is accounted for. */
static void test_threads(void)
{
	const struct weft_fault bad = {.seed = 5,
				       .loss_ppm = 50000,
				       .dup_ppm = 50000,
				       .reorder_ppm = 50000,
				       .jitter_us = 100};
	static struct writer writers[2];
	struct weft_fault_stats out, in;
	struct weft_dev *far;
	struct weft_dev *fault = open_fault(&far, &bad, &bad);
	pthread_t threads[2];
	uint64_t got_far = 0, got_near = 0;

	writers[0].dev = fault;
	writers[1].dev = far;
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "wr", run_writer, &writers[i]), 0);
	weft_time_us last = clock_monotonic_us();
	while (clock_monotonic_us() - last < 200000) {
		if (dev_get(far, &slot, 0) >= 0) {
			got_far++;
			last = clock_monotonic_us();
		}
		if (dev_get(fault, &slot, 0) >= 0) {
			got_near++;
			last = clock_monotonic_us();
		}
		fault->wake(fault);
		weft_dev_fault_stats(fault, &out, &in);
	}
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	weft_dev_fault_stats(fault, &out, &in);
	CU_ASSERT_EQUAL(out.passed + out.lost + out.queue_drops, 20000 + out.duplicated);
	CU_ASSERT_TRUE(got_far <= out.passed && got_far > 0);
	CU_ASSERT_EQUAL(in.passed, got_near);
	close_both(fault, far);
}

UNIT_MAIN("fault", UNIT(refuses_gso), UNIT(plain_pass), UNIT(loss_both_ways), UNIT(delay),
	  UNIT(rate), UNIT(reorder_ends), UNIT(lower_full), UNIT(lower_loses), UNIT(threads))
