/* loop.c: what is written is read back with all its offload information; losses are counted. */
#include "tun/loop.h"

#include "dev_util.h"
#include <errno.h>

static struct slot slot;
static struct counters ctr;

static uint64_t drops(enum drop why)
{
	return atomic_load(&ctr.drop[why]);
}

static void test_round(void)
{
	struct weft_dev *dev = NULL;

	CU_ASSERT_EQUAL(loop_dev_new(&dev, 100, 8, &ctr), -EINVAL);
	CU_ASSERT_PTR_NULL(dev);
	CU_ASSERT_EQUAL_FATAL(loop_dev_new(&dev, 65535, 8, &ctr), 0);
	struct weft_pkt *pkt = slot_fill(&slot, 3, 65535);
	pkt->gso_size = 65000;
	pkt->hdr_len = 40;
	pkt->flags = WEFT_PKT_CSUM_PARTIAL;
	CU_ASSERT_EQUAL(dev->write(dev, pkt, 1), 1);
	CU_ASSERT_EQUAL(dev_put(dev, &slot, 4, 40), 1);
	CU_ASSERT_EQUAL(dev_get(dev, &slot, -1), 3);
	CU_ASSERT_EQUAL(slot.pkt.len, 65535);
	CU_ASSERT_EQUAL(slot.pkt.gso_size, 65000);
	CU_ASSERT_TRUE(slot.pkt.flags & WEFT_PKT_CSUM_VALID);
	CU_ASSERT_EQUAL(dev_get(dev, &slot, -1), 4);
	CU_ASSERT_EQUAL(slot.pkt.gso_size, 0);
	CU_ASSERT_EQUAL(slot.pkt.flags, WEFT_PKT_CSUM_VALID);
	CU_ASSERT_EQUAL(dev_get(dev, &slot, 0), -1);
	dev->wake(dev);
	CU_ASSERT_EQUAL(dev_get(dev, &slot, -1), -1);
	dev->close(dev);
}

static void test_limit(void)
{
	struct weft_dev *dev;

	CU_ASSERT_EQUAL_FATAL(loop_dev_new(&dev, 1500, 8, &ctr), 0);
	for (uint32_t i = 0; i < 8; i++)
		dev_put(dev, &slot, i, 40);
	CU_ASSERT_EQUAL(drops(DROP_LOOP_QUEUE), 0);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(dev_put(dev, &slot, i, 40), 1);
	CU_ASSERT_EQUAL(drops(DROP_LOOP_QUEUE), 3);
	CU_ASSERT_EQUAL(dev_put(dev, &slot, 9, 1501), 1);
	CU_ASSERT_EQUAL(drops(DROP_DEV_WRITE), 1);
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(dev_get(dev, &slot, 0), i);
	dev->close(dev); /* with packets in it, too */
}

UNIT_MAIN("loop", UNIT(round), UNIT(limit))
