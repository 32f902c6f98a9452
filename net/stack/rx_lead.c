/*
 * Receiver helping: leader and followers.  The RX role, a lock, is held while packets are read and
 * dispatched.  It is the RX thread's, or that of a leader: a thread of the application which would
 * sleep until a packet came, and so may as well read it.  No hand-over then stands between a packet
 * and who waits for it.
 *
 * A device that can be led (weft_dev.wait) wakes the leader for a packet if one waits, else the RX
 * thread.  A leader that leaves while packets may be left calls the RX thread; so none is forgotten:
 * every packet comes with a wake of somebody who reads until the device is empty or calls.
 *
 * While a leader is at work, the RX thread would be woken whenever a packet comes between two turns.
 * It therefore parks: woken while a leader is at work that reads its own packets, it sleeps for PARK_US,
 * and on for twice as long each time as long as that leader has turns.  Behind each sleep it reads what
 * waits, unless the leader sits there or was at it a moment ago.  So where a leader goes off to compute, a
 * packet for somebody else waits for twice PARK_MAX_US at most, and where nobody has led of late for
 * PARK_US.  Where the seat goes from one to another, or is taken for others, as with short connections,
 * there are gaps between leaders, and it listens.
 */
#include "net/base/mechanism.h"
#include "net/stack/rx_int.h"
#include "net/stack/tx.h"

enum {
	PARK_US = 50,
	PARK_MAX_US = 2000,
	LED_LATELY_US = 500, /* ends before PARK_MAX_US does */
	LED_FOR_OTHERS = 8,  /* a turn of so many may bring the leader nothing */
	CROWD_UNIT = 64,
	CROWD_WEIGHT = 8, /* of the past against a batch, plus one */
	CROWD_MIN = 2,
	LEAD_MISSES = 4, /* turns for others only, until somebody else is to lead */
};

void rx_lead_init(struct rx *rx)
{
	rx->may_lead = rx->dev->wait && rx->dev->wake_leader && rx->stack->cfg.lead;
	mutex_init(&rx->role);
	mutex_init(&rx->park_mu);
	cond_init(&rx->park_cond);
	HB_ATOMIC(rx->seat_taken);
	HB_ATOMIC(rx->is_reading);
	HB_ATOMIC(rx->is_dead);
	HB_ATOMIC(rx->tired);
	HB_ATOMIC(rx->turns);
	HB_ATOMIC(rx->hits);
	HB_ATOMIC(rx->led_at);
	HB_ATOMIC(rx->changes);
	HB_ATOMIC(rx->woken);
	HB_ATOMIC(rx->crowd);
}

void rx_lead_fini(struct rx *rx)
{
	cond_fini(&rx->park_cond);
	mutex_fini(&rx->park_mu);
	mutex_fini(&rx->role);
}

/* ---- The role. ---- */

static bool try_role(struct rx *rx) TRY_ACQUIRE(true, lc_rx) NO_TSA;

NO_TSA void rx_take_role(struct rx *rx)
{
	mutex_lock(&rx->role);
	atomic_store_explicit(&rx->is_reading, true, memory_order_relaxed);
}

static bool try_role(struct rx *rx)
{
	if (!mutex_trylock(&rx->role))
		return false;
	atomic_store_explicit(&rx->is_reading, true, memory_order_relaxed);
	return true;
}

NO_TSA void rx_give_role(struct rx *rx)
{
	atomic_store_explicit(&rx->is_reading, false, memory_order_relaxed);
	mutex_unlock(&rx->role);
}

/* ---- The RX thread. ---- */

/* A device's wake may be a cancellation point, and who calls may hold locks. */
static void wake_seat(struct rx *rx, enum weft_seat seat)
{
	int cancel = thread_cancel_off();

	if (seat == WEFT_SEAT_LEADER)
		rx->dev->wake_leader(rx->dev);
	else
		rx->dev->wake(rx->dev);
	thread_cancel_restore(cancel);
}

void rx_call_reader(struct rx *rx)
{
	mutex_lock(&rx->park_mu);
	rx->is_called = true;
	if (rx->is_parked)
		cond_signal(&rx->park_cond);
	mutex_unlock(&rx->park_mu);
	wake_seat(rx, WEFT_SEAT_READER);
}

/* Sleeps for a while of real time, as the device is real, or until called: then true. */
static bool park(struct rx *rx, weft_time_us period)
{
	weft_time_us until = clock_monotonic_us() + period;
	bool in_time = true, is_called;

	/* A timer interrupt of its own would cost the leader more than a sleep twice as long does others. */
	thread_set_timer_slack(period);
	counter_add(&rx->stack->counters, C_RX_PARKED, 1);
	mutex_lock(&rx->park_mu);
	rx->is_parked = true;
	while (!rx->is_called && in_time)
		in_time = cond_wait_until(&rx->park_cond, &rx->park_mu, until);
	is_called = rx->is_called;
	rx->is_parked = false;
	rx->is_called = false;
	mutex_unlock(&rx->park_mu);
	return is_called;
}

static bool has_leader(struct rx *rx)
{
	return atomic_load_explicit(&rx->seat_taken, memory_order_relaxed);
}

/* It is busy with what it got, as a rule, and comes back: the packet that waits is its own. */
static bool is_led_lately(struct rx *rx)
{
	weft_time_us led_at = atomic_load_explicit(&rx->led_at, memory_order_relaxed);

	return clock_monotonic_us() - led_at < LED_LATELY_US;
}

/* What the RX thread has seen of the leaders. */
struct seen {
	unsigned turns;
	unsigned hits;
	unsigned changes;
};

/* Whether one leader, and always the same, read since it was asked last, and for itself as a rule. */
static bool is_led(struct rx *rx, struct seen *seen)
{
	unsigned turns = atomic_load_explicit(&rx->turns, memory_order_relaxed);
	unsigned changes = atomic_load_explicit(&rx->changes, memory_order_relaxed);
	unsigned hits = atomic_load_explicit(&rx->hits, memory_order_relaxed);
	unsigned led = turns - seen->turns;
	bool is_own = hits - seen->hits >= led - led / LED_FOR_OTHERS || !MECHANISM(lead_parks);
	bool is_led = led != 0 && changes == seen->changes && is_own;

	*seen = (struct seen){.turns = turns, .hits = hits, .changes = changes};
	return is_led;
}

/* Reads until the device is empty: the number of batches, or a negative errno. */
static int read_all(struct rx *rx)
{
	struct rx_after after;
	int batches = 0;
	int n;

	do {
		rx_take_role(rx);
		n = rx_batch(rx, &after);
		rx_give_role(rx);
		if (n > 0) {
			batches++;
			counter_add(&rx->stack->counters, C_RX_WAKES, 1);
			rx_finish(rx, &after);
		}
	} while (n == rx->batch);
	return n < 0 ? n : batches;
}

void *rx_helped_main(void *arg)
{
	struct rx *rx = arg;
	weft_time_us period = PARK_US;
	struct seen seen = {0};
	bool is_polite = false;
	int rc = 0;

	while (rc >= 0 && !atomic_load_explicit(&rx->stop, memory_order_acquire)) {
		/* Among a thousand runnable threads a polite one would hardly have a turn. */
		if (is_polite == rx_is_crowded(rx)) {
			is_polite = !is_polite;
			thread_set_polite(is_polite);
		}
		if (is_led(rx, &seen)) {
			bool is_called = park(rx, period);
			bool is_led_on = has_leader(rx) || (!is_called && is_led_lately(rx));

			rc = is_led_on ? 0 : read_all(rx);
			/* Not needed: next time, leave leaders alone for longer. */
			period = rc == 0 ? time_min(2 * period, PARK_MAX_US) : PARK_US;
		} else {
			rc = read_all(rx);
			period = PARK_US;
			if (rc >= 0)
				rc = rx->dev->wait(rx->dev, WEFT_SEAT_READER, -1);
		}
	}
	if (rc < 0)
		rx_note_dead(rx);
	return NULL;
}

/* ---- Crowds. ---- */

void rx_count_woken(struct rx *rx)
{
	atomic_fetch_add_explicit(&rx->woken, 1, memory_order_relaxed);
}

void rx_count_crowd(struct rx *rx)
{
	unsigned woken = atomic_exchange_explicit(&rx->woken, 0, memory_order_relaxed);
	unsigned crowd = atomic_load_explicit(&rx->crowd, memory_order_relaxed);

	if (woken == 0)
		return; /* nothing but ACKs, or packets for the leader */
	crowd = (crowd * (CROWD_WEIGHT - 1) + woken * CROWD_UNIT) / CROWD_WEIGHT;
	atomic_store_explicit(&rx->crowd, crowd, memory_order_relaxed);
}

bool rx_is_crowded(const struct rx *rx)
{
	return atomic_load_explicit(&rx->crowd, memory_order_relaxed) >= CROWD_MIN * CROWD_UNIT;
}

/* ---- Leaders. ---- */

bool rx_take_seat(struct rx *rx, const void *who)
{
	if (!rx->may_lead || (rx_is_crowded(rx) && MECHANISM(lead_crowd)) ||
	    atomic_load_explicit(&rx->is_dead, memory_order_relaxed) ||
	    atomic_load_explicit(&rx->is_reading, memory_order_relaxed) ||
	    atomic_load_explicit(&rx->tired, memory_order_relaxed) == (uintptr_t)who)
		return false;
	if (atomic_exchange_explicit(&rx->seat_taken, true, memory_order_acquire))
		return false;
	HB_AFTER(&rx->seat_taken);
	atomic_store_explicit(&rx->tired, 0, memory_order_relaxed);
	if (rx->leader != who) {
		rx->misses = 0;
		atomic_fetch_add_explicit(&rx->changes, 1, memory_order_relaxed);
	}
	rx->leader = who;
	return true;
}

/* A parked RX thread looks soon anyway. */
static void pass_on(struct rx *rx)
{
	mutex_lock(&rx->park_mu);
	bool is_parked = rx->is_parked;

	mutex_unlock(&rx->park_mu);
	if (!is_parked)
		wake_seat(rx, WEFT_SEAT_READER);
}

void rx_leave_seat(struct rx *rx, const void *who, bool is_hit, bool is_left)
{
	bool is_tired = !is_hit && ++rx->misses >= LEAD_MISSES && MECHANISM(lead_misses);

	if (is_hit) {
		rx->misses = 0;
		atomic_fetch_add_explicit(&rx->hits, 1, memory_order_relaxed);
	}
	if (is_tired)
		atomic_store_explicit(&rx->tired, (uintptr_t)who, memory_order_relaxed);
	HB_BEFORE(&rx->seat_taken);
	atomic_store_explicit(&rx->seat_taken, false, memory_order_release);
	if (is_tired)
		rx_call_reader(rx);
	else if (is_left && MECHANISM(lead_passes_on))
		pass_on(rx);
}

void rx_lead_hit(struct rx *rx, enum lead_state *state)
{
	if (*state == LEAD_ASLEEP)
		wake_seat(rx, WEFT_SEAT_LEADER);
	if (*state != LEAD_NONE)
		*state = LEAD_HIT;
}

bool rx_lead_wait(struct rx *rx, weft_time_us deadline)
{
	weft_time_us left = -1;

	if (deadline != WEFT_TIME_NEVER)
		left = time_max(deadline - stack_now(rx->stack), 0);
	int rc = rx->dev->wait(rx->dev, WEFT_SEAT_LEADER, left);

	if (rc < 0)
		rx_note_dead(rx);
	return rc > 0;
}

/* What a leader's turn found. */
enum turn {
	TURN_EMPTIED, /* the device, or it has failed */
	TURN_FULL,    /* batch: there may be more */
	TURN_OTHERS,  /* role: somebody else reads, and may leave packets */
};

/* Leader, after rx_lead_wait was true: reads a batch, or leaves it to who is at it. */
static enum turn lead_turn(struct rx *rx)
	EXCLUDES(lc_rx, lc_emitter, lc_port, lc_listener, lc_sock, rcu_section)
{
	if (!try_role(rx))
		return TURN_OTHERS;
	int cancel = thread_cancel_off();
	struct rx_after after;
	int n = rx_batch(rx, &after);

	rx_give_role(rx);
	if (n < 0)
		rx_note_dead(rx);
	atomic_fetch_add_explicit(&rx->turns, 1, memory_order_relaxed);
	atomic_store_explicit(&rx->led_at, clock_monotonic_us(), memory_order_relaxed);
	counter_add(&rx->stack->counters, C_RX_LED, 1);
	rx_finish(rx, &after);
	thread_cancel_restore(cancel);
	return n == rx->batch ? TURN_FULL : TURN_EMPTIED;
}

/* Of a leader asleep. */
struct leader {
	struct rx *rx;
	const void *who;
	enum lead_state *state;
	struct mutex *mu;
	bool is_awake;
};

/* Cancelled: leaves the seat with the lock, as it would have come back; packets may be left. */
static NO_TSA void leave_cancelled(const struct leader *leader)
{
	if (leader->is_awake)
		return;
	thread_unwinding();
	mutex_lock(leader->mu);
	bool is_hit = *leader->state == LEAD_HIT;

	*leader->state = LEAD_NONE;
	rx_leave_seat(leader->rx, leader->who, is_hit, true);
}

NO_TSA bool rx_lead(struct rx *rx, const void *who, enum lead_state *state, struct mutex *mu,
		    weft_time_us deadline)
{
	struct leader leader CLEANUP(leave_cancelled) = {rx, who, state, mu, false};

	*state = LEAD_ASLEEP;
	mutex_unlock(mu);
	/* Behind a full batch there is more, as a rule: a look is cheaper than a wait. */
	bool has_packets = rx->is_left_full || rx_lead_wait(rx, deadline);
	enum turn turn = TURN_EMPTIED;

	leader.is_awake = true;

	mutex_lock(mu);
	if (*state == LEAD_ASLEEP)
		*state = LEAD_AWAKE;
	if (has_packets) {
		mutex_unlock(mu);
		turn = lead_turn(rx);
		mutex_lock(mu);
	}
	bool is_hit = *state == LEAD_HIT;

	*state = LEAD_NONE;
	rx->is_left_full = turn == TURN_FULL;
	rx_leave_seat(rx, who, is_hit, turn != TURN_EMPTIED);
	return deadline == WEFT_TIME_NEVER || stack_now(rx->stack) < deadline;
}

void rx_poll(struct rx *rx)
{
	if (rx->may_lead && !has_leader(rx))
		(void)lead_turn(rx);
}
