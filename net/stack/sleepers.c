/* Sleeping on a condition variable or in the leader's seat, and the notes of whom to wake. */
#include "net/stack/sleepers.h"

#include "net/base/mechanism.h"
#include "net/stack/stack_int.h"
#include "net/stack/watch.h"

void sleepers_init(struct sleepers *t)
{
	cond_init(&t->cond);
	t->need = UINT32_MAX;
}

void sleepers_fini(struct sleepers *t)
{
	cond_fini(&t->cond);
}

struct sock_wakes sleepers_take_wakes(struct sleepers *readers, struct sleepers *writers,
				      struct watchers *ws)
{
	struct sock_wakes wakes = {(enum cond_wake)readers->wakes, (enum cond_wake)writers->wakes,
				   ws ? ws->noted : NULL};

	if (wakes.noted)
		ws->noted = NULL;
	readers->wakes = COND_WAKE_NONE;
	writers->wakes = COND_WAKE_NONE;
	return wakes;
}

void sleepers_wake(struct sleepers *readers, struct sleepers *writers, struct sock_wakes wakes)
{
	cond_wake(&readers->cond, wakes.readers);
	cond_wake(&writers->cond, wakes.writers);
	watch_tell(wakes.noted);
}

static void forget_needs(struct sleepers *t)
{
	t->need = UINT32_MAX;
	t->is_mixed = false;
}

static void note_need(struct sleepers *t, uint32_t need)
{
	if (t->need != UINT32_MAX && need != t->need)
		t->is_mixed = true;
	if (need < t->need)
		t->need = need;
}

static void count_wake(const struct sleep_place *at)
{
	counter_add(&at->stack->counters, at->is_reader ? C_READER_WAKES : C_WRITER_WAKES, 1);
	if (at->is_reader)
		rx_count_woken(at->rx);
}

void sleepers_wake_all(const struct sleep_place *at, struct sleepers *t)
{
	forget_needs(t);
	if (t->count > 0) {
		count_wake(at);
		t->wakes = COND_WAKE_ALL;
	}
	rx_lead_hit(at->rx, at->lead);
}

void sleepers_wake_one(const struct sleep_place *at, struct sleepers *t)
{
	if (t->is_mixed) {
		sleepers_wake_all(at, t);
	} else if (t->is_led) {
		rx_lead_hit(at->rx, at->lead);
	} else if (t->count > 0 && !(t->is_called && MECHANISM(wake_one))) {
		t->is_called = true;
		count_wake(at);
		if (t->wakes == COND_WAKE_NONE)
			t->wakes = COND_WAKE_ONE;
	}
}

/* Behind a sleep, or in the middle of one for a thread that is cancelled: the lock is held. */
static void stop_waiting(struct sleepers *t)
{
	if (t->count == 0 && !t->is_led)
		forget_needs(t);
}

static void stop_sleeping(struct sleepers **t)
{
	(*t)->count--;
	(*t)->is_called = false;
	stop_waiting(*t);
}

static void stop_leading(struct sleepers **t)
{
	(*t)->is_led = false;
	stop_waiting(*t);
}

bool sleepers_wait(const struct sleep_place *at, struct sleepers *t, uint32_t need, bool may_lead,
		   weft_time_us deadline)
{
	note_need(t, need);
	if (may_lead && rx_take_seat(at->rx, at->who)) {
		struct sleepers *leading CLEANUP(stop_leading) = t;

		leading->is_led = true;
		return rx_lead(at->rx, at->who, at->lead, at->mu, deadline);
	}
	struct sleepers *sleeping CLEANUP(stop_sleeping) = t;

	sleeping->count++;
	return stack_wait(at->stack, &t->cond, at->mu, deadline);
}
