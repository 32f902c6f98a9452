/*
 * Condition variables of eight bytes on a futex (sync.h).  Any thread.
 *
 * Who waits counts himself and reads 'turn' under the mutex, unlocks it, and sleeps unless 'turn' has moved
 * on; who signals, and finds somebody counted, moves it on and wakes.  C1: no wake-up is lost
 * (tests/models/cond.pml).  What is waited for changes under the mutex.  Changed before the sleeper had
 * it, he has seen it.  Changed after he gave it back, the mutex has ordered his count before the
 * signaller's look at it; and either 'turn' moves on before the kernel compares it, and he does not sleep,
 * or he is in the kernel's queue before the wake looks there.  So nothing here needs an order of its own:
 * all accesses are relaxed.
 *
 * A wake may find one who began to sleep after the signal, or nobody; a wait may end for no reason, for
 * instance when two signals meet one who is on his way to sleep.  After 2^32 signals between the look at
 * 'turn' and the kernel's comparison, while the thread is runnable all that time, it would sleep through.
 *
 * Clocks of the caller's own sleep on a pthread_cond_t.  Each thread that waits by one has its own, on a
 * list of the process, where who signals looks only if such a clock was ever used on the variable.
 */
#include "net/base/check.h"
#include "net/base/list.h"
#include "net/base/mechanism.h"
#include "net/base/sync.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef WEFT_VALGRIND
#include <valgrind/drd.h>
/* DRD does not know C11 atomics; helgrind takes locked instructions for reads, and has nothing to say. */
#define ATOMIC_FIELD(field) DRD_IGNORE_VAR(field)
#else
#define ATOMIC_FIELD(field) ((void)0)
#endif

#ifdef __clang__
#pragma clang diagnostic ignored "-Wextra-semi-stmt" /* in what pthread_cleanup_pop expands to */
#endif

static_assert(sizeof(struct cond) == 8, "a socket has two");
static_assert(sizeof(time_t) == sizeof(long), "the timespec of SYS_futex is the kernel's own");

/* In 'waiters', for good: some wait by a clock of the caller's own. */
#define BY_CLOCK (1u << 31)

void cond_init(struct cond *c)
{
	atomic_init(&c->turn, 0);
	atomic_init(&c->waiters, 0);
	ATOMIC_FIELD(c->turn);
	ATOMIC_FIELD(c->waiters);
}

static unsigned waiters_of(const struct cond *c)
{
	return atomic_load_explicit(&c->waiters, memory_order_relaxed);
}

void cond_fini(struct cond *c)
{
	WEFT_ASSERT((waiters_of(c) & ~BY_CLOCK) == 0);
}

/* ---- The kernel's queue. ---- */

/* Sleeps unless 'turn' has moved on; 0 or an errno.  No cancellation point. */
static int futex_sleep(struct cond *c, unsigned turn, const struct timespec *until)
{
	long rc = syscall(SYS_futex, &c->turn, FUTEX_WAIT_BITSET_PRIVATE, turn, until, NULL,
			  FUTEX_BITSET_MATCH_ANY);

	return rc < 0 ? errno : 0;
}

static void futex_wake(struct cond *c, int count)
{
	long rc = syscall(SYS_futex, &c->turn, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);

	WEFT_ASSERT(rc >= 0);
}

static void count_in(struct cond *c)
{
	atomic_fetch_add_explicit(&c->waiters, 1, memory_order_relaxed);
}

static void count_out(struct cond *c)
{
	atomic_fetch_sub_explicit(&c->waiters, 1, memory_order_relaxed);
}

/* A thread that sleeps, if it is cancelled there. */
struct sleeper {
	struct cond *cond;
	struct mutex *mutex;
};

/* The kernel may have chosen it for a wake. */
static NO_TSA void leave_cancelled(void *arg)
{
	const struct sleeper *s = arg;

	thread_unwinding();
	count_out(s->cond);
	cond_signal(s->cond);
	mutex_lock(s->mutex);
}

/*
 * Only in here a thread may be cancelled wherever it is.  A function of its own: who has something to clean
 * up is then always in a call when that happens.  And one without variables in memory: for
 * AddressSanitizer they would stay there.
 */
static __attribute__((noinline)) int futex_sleep_async(struct cond *c, unsigned turn,
						       const struct timespec *until, int *type)
{
	/* NOLINTNEXTLINE(*canceltype-asynchronous,cert-pos47-c): there is nothing but the call. */
	(void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, type);
	int error = futex_sleep(c, turn, until);

	(void)pthread_setcanceltype(*type, NULL);
	return error;
}

static int futex_sleep_cancellable(struct cond *c, struct mutex *m, unsigned turn,
				   const struct timespec *until)
{
	struct sleeper self = {.cond = c, .mutex = m};
	int error, type;

	pthread_cleanup_push(leave_cancelled, &self);
	error = futex_sleep_async(c, turn, until, &type);
	pthread_cleanup_pop(0);
	return error;
}

static NO_TSA bool sleep_until(struct cond *c, struct mutex *m, weft_time_us deadline,
			       bool is_cancellable)
{
	/* A time before the clock's start is as past as its start, and a legal timespec. */
	weft_time_us t = MECHANISM(cond_past) ? time_max(deadline, 0) : deadline;
	struct timespec ts = {.tv_sec = t / US_PER_S, .tv_nsec = t % US_PER_S * 1000};
	const struct timespec *until = deadline == WEFT_TIME_NEVER ? NULL : &ts;

	count_in(c);
	unsigned turn = atomic_load_explicit(&c->turn, memory_order_relaxed);

	mutex_unlock(m);
	int error = is_cancellable ? futex_sleep_cancellable(c, m, turn, until)
				   : futex_sleep(c, turn, until);

	count_out(c);
	mutex_lock(m);
	WEFT_ASSERT(error == 0 || error == EAGAIN || error == EINTR || error == ETIMEDOUT);
	return error != ETIMEDOUT;
}

void cond_wait(struct cond *c, struct mutex *m)
{
	(void)sleep_until(c, m, WEFT_TIME_NEVER, false);
}

bool cond_wait_until(struct cond *c, struct mutex *m, weft_time_us deadline)
{
	return sleep_until(c, m, deadline, false);
}

bool cond_sleep_until(struct cond *c, struct mutex *m, weft_time_us deadline)
{
	return sleep_until(c, m, deadline, true);
}

/* ---- Clocks of the caller's own. ---- */

struct clock_sleeper {
	struct list link;
	struct cond *on;
	struct posix_cond cond;
	bool is_woken;
};

/* A leaf. */
static struct mutex clock_mutex = {PTHREAD_MUTEX_INITIALIZER};
static struct list clock_sleepers GUARDED_BY(clock_mutex) = {&clock_sleepers, &clock_sleepers};

/* How many of at most 'count' were woken. */
static int wake_by_clock(const struct cond *c, int count)
{
	int woken = 0;

	mutex_lock(&clock_mutex);
	for (struct list *at = clock_sleepers.next; at != &clock_sleepers && woken < count;
	     at = at->next) {
		struct clock_sleeper *sleeper = CONTAINER_OF(at, struct clock_sleeper, link);

		if (sleeper->on != c || sleeper->is_woken)
			continue;
		sleeper->is_woken = true;
		posix_cond_signal(&sleeper->cond);
		woken++;
	}
	mutex_unlock(&clock_mutex);
	return woken;
}

static void enter_list(struct clock_sleeper *s)
{
	posix_cond_init(&s->cond);
	mutex_lock(&clock_mutex);
	list_push(&clock_sleepers, &s->link);
	mutex_unlock(&clock_mutex);
	atomic_fetch_or_explicit(&s->on->waiters, BY_CLOCK, memory_order_relaxed);
	count_in(s->on);
}

/* Whether it was woken. */
static bool leave_list(struct clock_sleeper *s)
{
	count_out(s->on);
	mutex_lock(&clock_mutex);
	list_del(&s->link);
	bool is_woken = s->is_woken;

	mutex_unlock(&clock_mutex);
	posix_cond_fini(&s->cond);
	return is_woken;
}

/* Cancelled in its clock's wait, which has taken the mutex back. */
static void leave_list_cancelled(void *arg)
{
	struct clock_sleeper *s = arg;
	struct cond *on = s->on;

	if (leave_list(s))
		cond_signal(on);
}

static NO_TSA bool sleep_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
				  weft_time_us deadline)
{
	struct clock_sleeper self = {.on = c};
	bool in_time;

	enter_list(&self);
	pthread_cleanup_push(leave_list_cancelled, &self);
	in_time = wait(ctx, &self.cond.c, &m->m, deadline) == 0;
	pthread_cleanup_pop(0);
	/* A wake that met the deadline was used up by it. */
	return (leave_list(&self) && MECHANISM(cond_late_wake)) || in_time;
}

bool cond_wait_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
			weft_time_us deadline)
{
	if (!wait)
		return sleep_until(c, m, deadline, false);
	int cancel = thread_cancel_off();
	bool in_time = sleep_by_clock(c, m, wait, ctx, deadline);

	thread_cancel_restore(cancel);
	return in_time;
}

bool cond_sleep_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
			 weft_time_us deadline)
{
	return wait ? sleep_by_clock(c, m, wait, ctx, deadline) : sleep_until(c, m, deadline, true);
}

/* ---- Waking. ---- */

static void wake(struct cond *c, int count)
{
	unsigned waiters = waiters_of(c);

	if ((waiters & ~BY_CLOCK) == 0 && MECHANISM(cond_nobody))
		return;
	if (MECHANISM(cond_turn))
		atomic_fetch_add_explicit(&c->turn, 1, memory_order_relaxed);
	if (waiters & BY_CLOCK)
		count -= wake_by_clock(c, count);
	if (count > 0)
		futex_wake(c, count);
}

void cond_signal(struct cond *c)
{
	wake(c, 1);
}

void cond_broadcast(struct cond *c)
{
	wake(c, INT_MAX);
}

void cond_wake(struct cond *c, enum cond_wake whom)
{
	if (whom == COND_WAKE_ONE)
		cond_signal(c);
	else if (whom == COND_WAKE_ALL)
		cond_broadcast(c);
}
