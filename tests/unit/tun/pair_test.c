/*
 * pair.c and, below it, chan.c: order, limit, timeouts, wake, close, offload information, and two
 * threads over one cable.
 */
#include "dev_util.h"
#include "net/base/sync.h"
#include "weft/dev.h"
#include <errno.h>

enum {
	MTU = 1500,
	ALL = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_TSO6 | WEFT_DEV_RX_GSO,
	THREAD_PACKETS = 100000,
};

static struct slot slot, slot2;

static void test_arguments(void)
{
	struct weft_dev *d[2] = {NULL, NULL};

	CU_ASSERT_EQUAL(weft_dev_pair(d, 1279, 0, 10), -EINVAL);
	CU_ASSERT_EQUAL(weft_dev_pair(d, 65536, 0, 10), -EINVAL);
	CU_ASSERT_EQUAL(weft_dev_pair(d, MTU, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(weft_dev_pair(d, MTU, 1 << 4, 10), -EINVAL);
	CU_ASSERT_EQUAL(weft_dev_pair(d, MTU, WEFT_DEV_TX_TSO4 | WEFT_DEV_TX_CSUM, 10), -EINVAL);
	CU_ASSERT_PTR_NULL(d[0]);
}

static void test_order_and_limit(void)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
	CU_ASSERT_EQUAL(d[0]->mtu, MTU);
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), -1);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(dev_put(d[0], &slot, i, 100 + i), 1);
	CU_ASSERT_EQUAL(dev_get(d[0], &slot, 0), -1); /* not back to the sender */
	for (uint32_t i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(dev_get(d[1], &slot, -1), i);
		CU_ASSERT_EQUAL(slot.pkt.len, 100 + i);
	}
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), -1); /* the fifth is lost */
	CU_ASSERT_EQUAL(dev_put(d[0], &slot, 7, MTU), 1);
	CU_ASSERT_EQUAL(dev_put(d[0], &slot, 8, MTU + 1), 1); /* taken and lost */
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), 7);
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), -1);
	d[0]->close(d[0]);
	d[1]->close(d[1]);
}

static void test_batch(void)
{
	struct weft_dev *d[2];
	struct weft_pkt pkts[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
	pkts[0] = *slot_fill(&slot, 1, 40);
	pkts[1] = *slot_fill(&slot2, 2, 50);
	CU_ASSERT_EQUAL(d[1]->write(d[1], pkts, 2), 2);
	pkts[0] = *slot_empty(&slot);
	pkts[1] = *slot_empty(&slot2);
	CU_ASSERT_EQUAL(d[0]->read(d[0], pkts, 2, 1000), 2);
	CU_ASSERT_EQUAL(pkts[0].len, 40);
	CU_ASSERT_EQUAL(pkts[1].len, 50);
	CU_ASSERT_EQUAL(get_be32(slot2.bytes + 20), 2);
	d[1]->close(d[1]);
	d[0]->close(d[0]);
}

static void test_offload(void)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, ALL, 4), 0);
	struct weft_pkt *pkt = slot_fill(&slot, 1, 60000);
	pkt->flags = WEFT_PKT_CSUM_PARTIAL;
	pkt->gso_size = 1460;
	pkt->hdr_len = 40;
	pkt->csum_start = 20;
	pkt->csum_offset = 16;
	CU_ASSERT_EQUAL(d[0]->write(d[0], pkt, 1), 1);
	CU_ASSERT_EQUAL(dev_get(d[1], &slot2, 0), 1);
	CU_ASSERT_EQUAL(slot2.pkt.len, 60000);
	CU_ASSERT_TRUE(slot2.pkt.flags & WEFT_PKT_CSUM_VALID);
	CU_ASSERT_EQUAL(slot2.pkt.gso_size, 1460);
	CU_ASSERT_EQUAL(slot2.pkt.hdr_len, 40);
	CU_ASSERT_EQUAL(slot2.pkt.csum_start, 20);
	CU_ASSERT_EQUAL(slot2.pkt.csum_offset, 16);

	/* A reader without room gets the packet marked. */
	CU_ASSERT_EQUAL(d[0]->write(d[0], pkt, 1), 1);
	slot_empty(&slot2);
	slot2.pkt.iov_count = 1;
	CU_ASSERT_EQUAL(d[1]->read(d[1], &slot2.pkt, 1, 0), 1);
	CU_ASSERT_EQUAL(slot2.pkt.flags, WEFT_PKT_BAD);
	CU_ASSERT_EQUAL(slot2.pkt.len, 30);
	d[0]->close(d[0]);
	d[1]->close(d[1]);

	/* Without offloads such packets are refused. */
	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
	CU_ASSERT_EQUAL(d[0]->write(d[0], pkt, 1), 1);
	pkt->len = 100;
	pkt->gso_size = 0;
	CU_ASSERT_EQUAL(d[0]->write(d[0], pkt, 1), 1);
	CU_ASSERT_EQUAL(dev_get(d[1], &slot2, 0), -1);
	d[0]->close(d[0]);
	d[1]->close(d[1]);
}

static void test_timeout_and_wake(void)
{
	struct weft_dev *d[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
	weft_time_us start = clock_monotonic_us();
	CU_ASSERT_EQUAL(dev_get(d[0], &slot, 20000), -1);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 20000);
	/* A wake without a reader is for the next read; packets come first. */
	d[0]->wake(d[0]);
	d[0]->wake(d[0]);
	dev_put(d[1], &slot, 5, 40);
	CU_ASSERT_EQUAL(dev_get(d[0], &slot, -1), 5);
	CU_ASSERT_EQUAL(dev_get(d[0], &slot, -1), -1);
	start = clock_monotonic_us();
	CU_ASSERT_EQUAL(dev_get(d[0], &slot, 10000), -1);
	CU_ASSERT_TRUE(clock_monotonic_us() - start >= 10000);
	d[0]->close(d[0]);
	CU_ASSERT_EQUAL(dev_put(d[1], &slot, 5, 40), 1); /* into the unplugged cable */
	CU_ASSERT_EQUAL(dev_get(d[1], &slot, 0), -1);
	d[1]->close(d[1]);
}

struct reader {
	struct weft_dev *dev;
	int64_t result;
	struct slot slot;
};

static void *run_reader(void *arg)
{
	struct reader *r = arg;

	r->result = dev_get(r->dev, &r->slot, -1);
	return NULL;
}

/* A blocked reader is ended by a wake, by a packet, and by closing its end. */
static void test_blocked_reader(void)
{
	static struct reader reader;

	for (int how = 0; how < 3; how++) {
		struct weft_dev *d[2];
		pthread_t thread;

		CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
		reader.dev = d[0];
		CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "reader", run_reader, &reader), 0);
		CU_ASSERT_EQUAL(dev_get(d[1], &slot, 10000), -1); /* gives it time to block */
		if (how == 0)
			d[0]->wake(d[0]);
		else if (how == 1)
			dev_put(d[1], &slot, 77, 40);
		else
			d[0]->close(d[0]);
		thread_join(thread);
		CU_ASSERT_EQUAL(reader.result, how == 0 ? -1 : how == 1 ? 77 : -ENODEV);
		if (how != 2)
			d[0]->close(d[0]);
		d[1]->close(d[1]);
	}
}

struct waiter {
	struct weft_dev *dev;
	enum weft_seat seat;
	int result;
};

static void *run_waiter(void *arg)
{
	struct waiter *w = arg;

	w->result = w->dev->wait(w->dev, w->seat, -1);
	return NULL;
}

/* What ends a leader's wait: 0 a packet, 1 its wake, 2 the close.  The reader's wake does not. */
static void test_leader(void)
{
	for (int how = 0; how < 3; how++) {
		struct weft_dev *d[2];
		pthread_t thread;

		CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
		struct waiter w = {.dev = d[0], .seat = WEFT_SEAT_LEADER};
		CU_ASSERT_EQUAL(d[0]->wait(d[0], WEFT_SEAT_LEADER, 0), 0);
		d[0]->wake(d[0]);
		CU_ASSERT_EQUAL(d[0]->wait(d[0], WEFT_SEAT_LEADER, 1000), 0);
		CU_ASSERT_EQUAL(d[0]->wait(d[0], WEFT_SEAT_READER, -1), 0);
		CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "leader", run_waiter, &w), 0);
		if (how == 0)
			dev_put(d[1], &slot, 77, 40);
		else if (how == 1)
			d[0]->wake_leader(d[0]);
		else
			d[0]->close(d[0]);
		thread_join(thread);
		CU_ASSERT_EQUAL(w.result, how == 0 ? 1 : how == 1 ? 0 : -ENODEV);
		if (how == 0)
			CU_ASSERT_EQUAL(dev_get(d[0], &slot, 0), 77);
		if (how != 2)
			d[0]->close(d[0]);
		d[1]->close(d[1]);
	}
}

/* With nobody in the leader's seat the reader hears of packets. */
static void test_reader_seat(void)
{
	struct weft_dev *d[2];
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 4), 0);
	struct waiter w = {.dev = d[0], .seat = WEFT_SEAT_READER};
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "reader", run_waiter, &w), 0);
	dev_put(d[1], &slot, 5, 40);
	thread_join(thread);
	CU_ASSERT_EQUAL(w.result, 1);
	CU_ASSERT_EQUAL(dev_get(d[0], &slot, 0), 5);
	d[0]->close(d[0]);
	d[1]->close(d[1]);
}

struct endpoint {
	struct weft_dev *dev;
	uint32_t received;
	uint32_t out_of_order;
	struct slot in;
	struct slot out;
};

/* Sends its packets, one for each received: at most 64 are under way, so none is lost. */
static void *run_endpoint(void *arg)
{
	struct endpoint *e = arg;
	uint32_t sent = 0;

	while (e->received < THREAD_PACKETS) {
		while (sent < THREAD_PACKETS && sent < e->received + 64)
			dev_put(e->dev, &e->out, sent++, 40);
		int64_t number = dev_get(e->dev, &e->in, 10 * US_PER_S);
		if (number < 0)
			break;
		if (number != e->received++)
			e->out_of_order++;
	}
	return NULL;
}

static void test_two_threads(void)
{
	static struct endpoint ends[2];
	struct weft_dev *d[2];
	pthread_t threads[2];

	CU_ASSERT_EQUAL_FATAL(weft_dev_pair(d, MTU, 0, 128), 0);
	for (int i = 0; i < 2; i++) {
		ends[i].dev = d[i];
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "end", run_endpoint, &ends[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		thread_join(threads[i]);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(ends[i].received, THREAD_PACKETS);
		CU_ASSERT_EQUAL(ends[i].out_of_order, 0);
		d[i]->close(d[i]);
	}
}

UNIT_MAIN("pair", UNIT(arguments), UNIT(order_and_limit), UNIT(batch), UNIT(offload),
	  UNIT(timeout_and_wake), UNIT(blocked_reader), UNIT(leader), UNIT(reader_seat),
	  UNIT(two_threads))
