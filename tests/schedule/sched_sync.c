/* net/base/sync.h on the explorer's threads: linked in the place of sync.c and cond.c there. */
#include "net/base/sync.h"

#include "sched.h"
#include <assert.h>
#include <string.h>

static_assert(sizeof(unsigned) <= sizeof(struct mutex), "the owner's number lies in the mutex");

void mutex_init(struct mutex *m)
{
	memset(m, 0, sizeof(*m));
}

void mutex_fini(struct mutex *m)
{
	if (*sched_owner(m) != 0)
		sched_fail("a mutex ends while it is held");
}

NO_TSA void mutex_lock(struct mutex *m)
{
	if (*sched_owner(m) == sched_self())
		sched_fail("locks twice");
	sched_point(OP_LOCK, m);
	*sched_owner(m) = sched_self();
}

NO_TSA void mutex_unlock(struct mutex *m)
{
	if (*sched_owner(m) != sched_self())
		sched_fail("unlocks what it does not hold");
	*sched_owner(m) = 0;
	sched_touch(m);
}

NO_TSA bool mutex_trylock(struct mutex *m)
{
	sched_point(OP_TRYLOCK, m);
	if (*sched_owner(m) != 0)
		return false;
	*sched_owner(m) = sched_self();
	return true;
}

void cond_init(struct cond *c)
{
	memset(c, 0, sizeof(*c));
}

void cond_fini(struct cond *c)
{
	(void)c;
}

void cond_signal(struct cond *c)
{
	sched_wake(c, false);
}

void cond_broadcast(struct cond *c)
{
	sched_wake(c, true);
}

void cond_wake(struct cond *c, enum cond_wake whom)
{
	if (whom != COND_WAKE_NONE)
		sched_wake(c, whom == COND_WAKE_ALL);
}

NO_TSA void cond_wait(struct cond *c, struct mutex *m)
{
	(void)sched_wait(c, m, WEFT_TIME_NEVER, false);
}

NO_TSA bool cond_wait_until(struct cond *c, struct mutex *m, weft_time_us deadline)
{
	return sched_wait(c, m, deadline, false);
}

NO_TSA bool cond_sleep_until(struct cond *c, struct mutex *m, weft_time_us deadline)
{
	return sched_wait(c, m, deadline, true);
}

/* There is one clock, the explorer's. */
NO_TSA bool cond_wait_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
			       weft_time_us deadline)
{
	(void)wait;
	(void)ctx;
	return sched_wait(c, m, deadline, false);
}

NO_TSA bool cond_sleep_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
				weft_time_us deadline)
{
	(void)wait;
	(void)ctx;
	return sched_wait(c, m, deadline, true);
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
	*thread = sched_spawn(name, run, arg);
	return 0;
}

void thread_join(pthread_t thread)
{
	sched_join((unsigned)thread);
}

int thread_cancel_off(void)
{
	return sched_cancel_off(true);
}

void thread_cancel_restore(int old)
{
	(void)sched_cancel_off(old);
}

void thread_testcancel(void)
{
	sched_testcancel();
}

int thread_at_fork(void (*child)(void))
{
	(void)child;
	return 0;
}

void thread_set_sigmask(const sigset_t *mask, sigset_t *old)
{
	(void)mask;
	(void)old;
}

void thread_set_polite(bool is_polite)
{
	(void)is_polite;
}

void thread_set_timer_slack(weft_time_us slack)
{
	(void)slack;
}

void threads_expect_many(unsigned slots)
{
	(void)slots;
}

weft_time_us clock_monotonic_us(void)
{
	return sched_now();
}

void thread_unwinding(void)
{
}
