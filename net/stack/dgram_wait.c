/*
 * Sleeping for a datagram socket and waking who does, as sock_wait.c has it for TCP: readers all wait
 * for one message, writers for room for one, so any of them may stand in for another.
 */
#include "net/base/gate.h"
#include "net/base/mechanism.h"
#include "net/stack/dgram.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include <errno.h>

static struct sleep_place place_of(struct dgram *d, const struct sleepers *t)
{
	return (struct sleep_place){
		.stack = dgram_stack(d),
		.rx = dgram_stack(d)->queue[d->conn.queue].rx,
		.mu = &d->mu,
		.lead = &d->lead,
		.who = d,
		.is_reader = t == &d->readers,
	};
}

struct sock_wakes dgram_take_wakes(struct dgram *d)
{
	return sleepers_take_wakes(&d->readers, &d->writers, watchers_of(&d->watch));
}

void dgram_wake(struct dgram *d, struct sock_wakes wakes)
{
	sleepers_wake(&d->readers, &d->writers, wakes);
}

/* Whether what comes to the socket comes from the stack itself. */
static bool is_local(const struct dgram *d) REQUIRES(lc_dgram)
{
	return d->is_connected && route_is_local(dgram_stack(d), &d->conn.flow.remote);
}

static void wake_one(struct dgram *d, struct sleepers *t) REQUIRES(lc_dgram)
{
	struct sleep_place at = place_of(d, t);

	if (sleepers_any(t))
		sleepers_wake_one(&at, t);
}

/* Of a thread in its sleep. */
struct sleeper {
	struct dgram *d;
	struct sleepers *t;
	bool is_awake;
};

/* Cancelled: what it was woken for, or would have taken, is the next one's. */
static NO_TSA void leave_cancelled(const struct sleeper *sleeper)
{
	struct dgram *d = sleeper->d;

	if (sleeper->is_awake)
		return;
	bool is_left = sleeper->t == &d->readers ? d->in.head != NULL : d->out.mem < d->opt.sndbuf;

	if (is_left && MECHANISM(dgram_cancelled))
		wake_one(d, sleeper->t);
	dgram_unlock(d);
}

static NO_TSA bool wait_for(struct dgram *d, struct sleepers *t, weft_time_us deadline)
{
	struct sleep_place at = place_of(d, t);

	dgram_wake(d, dgram_take_wakes(d));
	struct sleeper sleeper CLEANUP(leave_cancelled) = {.d = d, .t = t};
	bool in_time = sleepers_wait(&at, t, 1, !is_local(d), deadline);

	sleeper.is_awake = true;
	return in_time;
}

bool dgram_wait_readable(struct dgram *d, weft_time_us deadline)
{
	return wait_for(d, &d->readers, deadline);
}

bool dgram_wait_writable(struct dgram *d, weft_time_us deadline)
{
	return wait_for(d, &d->writers, deadline);
}

void dgram_wake_reader(struct dgram *d)
{
	wake_one(d, &d->readers);
}

void dgram_wake_writer(struct dgram *d)
{
	wake_one(d, &d->writers);
}

void dgram_wake_all(struct dgram *d)
{
	struct sleep_place readers = place_of(d, &d->readers);
	struct sleep_place writers = place_of(d, &d->writers);

	sleepers_wake_all(&readers, &d->readers);
	sleepers_wake_all(&writers, &d->writers);
	dgram_tell_all(d);
	if (d->awaits_mem)
		gate_open_all(bufpool_gate(dgram_stack(d)->pool));
	d->awaits_mem = false;
}

/* As sock_wait_memory. */
NO_TSA int dgram_wait_memory(struct dgram *d, bool is_again, weft_time_us deadline)
{
	struct stack *stack = dgram_stack(d);
	unsigned ticket = gate_enter(bufpool_gate(stack->pool));

	d->awaits_mem = true;
	dgram_unlock(d);
	sock_sleep_memory(stack, ticket, is_again, deadline);
	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0 && deadline != WEFT_TIME_NEVER && stack_now(stack) >= deadline)
		rc = -EAGAIN;
	return rc;
}
