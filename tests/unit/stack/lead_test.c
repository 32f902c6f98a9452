/*
 * The rules of receiver helping, each by itself: letting go of the seat (LEAD_MISSES), parking, crowds,
 * and the deadline of a leader's wait.  The test takes the seat itself, on a stack whose device is quiet.
 */
#include "net/stack/rx_int.h"
#include "raw.h"

enum { MISSES = 4, PORT = 9 };

static const char one, other; /* who leads: only compared */

static const struct tcp_hdr stray = {
	.src_port = 1234, .dst_port = PORT, .seq = 5, .ack = 77, .flags = TCP_ACK, .wnd = 1000};

/* A device that notes how long a leader is to wait at most, and how often. */
struct noting {
	struct weft_dev dev; /* first */
	struct weft_dev *lower;
	atomic_llong timeout_us;
	atomic_uint waits;
	atomic_uint reader_waits; /* of the RX thread */
};

static struct noting noting;

static int noting_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout_us)
{
	(void)dev;
	return noting.lower->read(noting.lower, pkts, count, timeout_us);
}

static int noting_write(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	(void)dev;
	return noting.lower->write(noting.lower, pkts, count);
}

static void noting_wake(struct weft_dev *dev)
{
	(void)dev;
	noting.lower->wake(noting.lower);
}

static void noting_close(struct weft_dev *dev)
{
	(void)dev;
	noting.lower->close(noting.lower);
}

static int noting_wait(struct weft_dev *dev, enum weft_seat seat, int64_t timeout_us)
{
	(void)dev;
	if (seat == WEFT_SEAT_LEADER) {
		atomic_store(&noting.timeout_us, timeout_us);
		atomic_fetch_add(&noting.waits, 1);
	} else {
		atomic_fetch_add(&noting.reader_waits, 1);
	}
	return noting.lower->wait(noting.lower, seat, timeout_us);
}

static void noting_wake_leader(struct weft_dev *dev)
{
	(void)dev;
	noting.lower->wake_leader(noting.lower);
}

static bool has_waited(void *arg)
{
	return atomic_load(&noting.reader_waits) >= *(unsigned *)arg;
}

/* Until the RX thread has gone to sleep 'count' times: it does not read any more then. */
static void await_reader(unsigned count)
{
	CU_ASSERT_TRUE_FATAL(rig_until(has_waited, &count, 10000));
}

/* A stack that may be led, on a noting device; nothing comes but what the test writes. */
static struct rx *open_led(struct raw *raw)
{
	struct rig_config config = rig_config_default();
	struct weft_dev *ends[2];

	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 1024) == 0);
	noting.lower = ends[0];
	noting.dev = *ends[0];
	noting.dev.read = noting_read;
	noting.dev.write = noting_write;
	noting.dev.wake = noting_wake;
	noting.dev.close = noting_close;
	noting.dev.wait = noting_wait;
	noting.dev.wake_leader = noting_wake_leader;
	atomic_store(&noting.waits, 0);
	atomic_store(&noting.reader_waits, 0);
	config.stack.lead = true;
	raw->stack = rig_stack(&config, &noting.dev, "10.0.0.1", "fd00::1");
	raw->wire = ends[1];
	await_reader(1);
	return raw->stack->queue[0].rx;
}

/* Takes the seat and gives it back. */
static bool lead_once(struct rx *rx, const void *who, bool is_hit)
{
	if (!rx_take_seat(rx, who))
		return false;
	rx_leave_seat(rx, who, is_hit, false);
	return true;
}

/* Who reads for others only lets go after MISSES turns, until somebody else has led. */
static void test_letting_go(void)
{
	struct raw raw;
	struct rx *rx = open_led(&raw);

	for (int i = 0; i < MISSES; i++)
		CU_ASSERT_TRUE(lead_once(rx, &one, false));
	/* The RX thread was called, to look at the device in his place. */
	await_reader(2);
	CU_ASSERT_FALSE(lead_once(rx, &one, false));
	CU_ASSERT_FALSE(lead_once(rx, &one, true));
	CU_ASSERT_TRUE(lead_once(rx, &other, true));
	CU_ASSERT_TRUE(lead_once(rx, &one, true));
	/* A turn that brings something starts the count anew; so does another leader. */
	for (int i = 0; i < 10 * MISSES; i++)
		CU_ASSERT_TRUE(lead_once(rx, &one, i % MISSES == MISSES - 1));
	for (int i = 0; i < 10 * MISSES; i++)
		CU_ASSERT_TRUE(lead_once(rx, i % 2 ? &one : &other, false));
	/* The seat is one thread's at a time. */
	CU_ASSERT_TRUE_FATAL(rx_take_seat(rx, &one));
	CU_ASSERT_FALSE(rx_take_seat(rx, &other));
	rx_leave_seat(rx, &one, true, false);
	raw_close(&raw);
}

/* The leader has had so many turns, and some brought it something: as the RX thread sees it. */
static void note_turns(struct rx *rx, unsigned turns, unsigned hits)
{
	atomic_fetch_add(&rx->turns, turns);
	atomic_fetch_add(&rx->hits, hits);
	atomic_store(&rx->led_at, clock_monotonic_us());
}

/* Nobody leads any more: the RX thread answers, however the leader did.  Returns how often it parked. */
static uint64_t parked_by_a_packet(struct raw *raw, struct rx *rx, unsigned turns, unsigned hits)
{
	uint64_t before = rig_stats(raw->stack)->counters[C_RX_PARKED];
	unsigned asleep = atomic_load(&noting.reader_waits) + 1;
	struct tcp_hdr got;

	note_turns(rx, turns, hits);
	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &stray, "", false);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(raw, &got, 5000));
	await_reader(asleep);
	return rig_stats(raw->stack)->counters[C_RX_PARKED] - before;
}

/* The RX thread parks for a leader that reads its own packets, and for no other. */
static void test_parking(void)
{
	struct raw raw;
	struct rx *rx = open_led(&raw);

	CU_ASSERT_EQUAL(parked_by_a_packet(&raw, rx, 0, 0), 0);
	CU_ASSERT_EQUAL(parked_by_a_packet(&raw, rx, 16, 16), 1);
	CU_ASSERT_EQUAL(parked_by_a_packet(&raw, rx, 16, 14), 1);
	CU_ASSERT_EQUAL(parked_by_a_packet(&raw, rx, 16, 13), 0);
	CU_ASSERT_EQUAL(parked_by_a_packet(&raw, rx, 1, 0), 0);
	raw_close(&raw);
}

/* Batches that wake many make a crowd: nobody leads, nobody but the TX thread sends; then it ends. */
static void test_crowd(void)
{
	struct tcp_hdr got;
	struct raw raw;
	struct rx *rx = open_led(&raw);

	CU_ASSERT_FALSE(rx_is_crowded(rx));
	for (int batch = 0; batch < 3; batch++) {
		for (int i = 0; i < 32; i++)
			rx_count_woken(rx);
		rx_count_crowd(rx);
	}
	CU_ASSERT_TRUE(rx_is_crowded(rx));
	CU_ASSERT_FALSE(lead_once(rx, &one, true));
	/* Batches that wake nobody (ACKs) say nothing about it. */
	for (int batch = 0; batch < 100; batch++)
		rx_count_crowd(rx);
	CU_ASSERT_TRUE(rx_is_crowded(rx));
	uint64_t helped = rig_stats(raw.stack)->counters[C_TX_HELPED];

	for (int i = 0; i < 20; i++) {
		raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &stray, "", false);
		CU_ASSERT_TRUE_FATAL(raw_read_tcp(&raw, &got, 5000));
	}
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_TX_HELPED], helped);
	for (int batch = 0; batch < 100; batch++) {
		rx_count_woken(rx);
		rx_count_crowd(rx);
	}
	CU_ASSERT_FALSE(rx_is_crowded(rx));
	CU_ASSERT_TRUE(lead_once(rx, &one, true));
	raw_close(&raw);
}

/* A leader's wait ends at its deadline, and the device hears how long that is. */
static void test_deadline(void)
{
	struct raw raw;
	struct rx *rx = open_led(&raw);
	weft_time_us start = stack_now(raw.stack);

	CU_ASSERT_TRUE_FATAL(rx_take_seat(rx, &one));
	CU_ASSERT_FALSE(rx_lead_wait(rx, start + 20 * US_PER_MS));
	CU_ASSERT(stack_now(raw.stack) - start >= 20 * US_PER_MS);
	CU_ASSERT(atomic_load(&noting.timeout_us) <= 20 * US_PER_MS);
	/* One that has passed is no wait without end. */
	CU_ASSERT_FALSE(rx_lead_wait(rx, start));
	CU_ASSERT_EQUAL(atomic_load(&noting.timeout_us), 0);
	rx_leave_seat(rx, &one, true, false);
	raw_close(&raw);
}

/* SO_RCVTIMEO of a call that leads is the deadline of its wait; no hand-over happens meanwhile. */
static void test_deadline_of_a_call(void)
{
	struct raw raw;
	struct sock *l, *child;

	(void)open_led(&raw);
	l = rig_listen(raw.stack, "10.0.0.1", PORT, 4);
	CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_RCVTIMEO, 30 * US_PER_MS), 0);
	weft_time_us start = stack_now(raw.stack);

	CU_ASSERT_EQUAL(sock_accept(l, false, &child), -EAGAIN);
	CU_ASSERT(stack_now(raw.stack) - start >= 30 * US_PER_MS);
	CU_ASSERT(atomic_load(&noting.waits) > 0);
	CU_ASSERT(atomic_load(&noting.timeout_us) >= 0);
	CU_ASSERT(atomic_load(&noting.timeout_us) <= 30 * US_PER_MS);
	rig_drop(&l);
	raw_close(&raw);
}

UNIT_MAIN("stack_lead", UNIT(letting_go), UNIT(parking), UNIT(crowd), UNIT(deadline),
	  UNIT(deadline_of_a_call))
