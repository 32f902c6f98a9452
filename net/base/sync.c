/*
 * The wrappers of pthreads.  Called on any thread.  An error of the library means that a contract
 * of this file's callers is broken (a mutex not held, destroyed while in use) or that the system
 * cannot make a lock at start; both end the program with a message.  Builds without NDEBUG use
 * error-checking mutexes, so that locking twice or unlocking another thread's mutex is found.
 */
#include "net/base/sync.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#ifndef PR_FUTEX_HASH
#define PR_FUTEX_HASH           78
#define PR_FUTEX_HASH_SET_SLOTS 1
#define PR_FUTEX_HASH_GET_SLOTS 2
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#ifdef WEFT_ASAN
void __asan_handle_no_return(void);
#endif

static void abort_on_error(int error, const char *call)
{
	if (__builtin_expect(error == 0, 1))
		return;
	fprintf(stderr, "weft: %s: error %d (%s)\n", call, error, strerrorname_np(error));
	abort();
}

void mutex_init(struct mutex *m)
{
	pthread_mutexattr_t attr;

	abort_on_error(pthread_mutexattr_init(&attr), "pthread_mutexattr_init");
#ifndef NDEBUG
	abort_on_error(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK),
		       "pthread_mutexattr_settype");
#endif
	abort_on_error(pthread_mutex_init(&m->m, &attr), "pthread_mutex_init");
	abort_on_error(pthread_mutexattr_destroy(&attr), "pthread_mutexattr_destroy");
}

void mutex_fini(struct mutex *m)
{
	abort_on_error(pthread_mutex_destroy(&m->m), "pthread_mutex_destroy");
}

NO_TSA void mutex_lock(struct mutex *m)
{
	abort_on_error(pthread_mutex_lock(&m->m), "pthread_mutex_lock");
}

NO_TSA void mutex_unlock(struct mutex *m)
{
	abort_on_error(pthread_mutex_unlock(&m->m), "pthread_mutex_unlock");
}

NO_TSA bool mutex_trylock(struct mutex *m)
{
	int rc = pthread_mutex_trylock(&m->m);

	if (rc != EBUSY)
		abort_on_error(rc, "pthread_mutex_trylock");
	return rc == 0;
}

void posix_cond_init(struct posix_cond *c)
{
	pthread_condattr_t attr;

	abort_on_error(pthread_condattr_init(&attr), "pthread_condattr_init");
	abort_on_error(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC),
		       "pthread_condattr_setclock");
	abort_on_error(pthread_cond_init(&c->c, &attr), "pthread_cond_init");
	abort_on_error(pthread_condattr_destroy(&attr), "pthread_condattr_destroy");
}

void posix_cond_fini(struct posix_cond *c)
{
	abort_on_error(pthread_cond_destroy(&c->c), "pthread_cond_destroy");
}

void posix_cond_signal(struct posix_cond *c)
{
	abort_on_error(pthread_cond_signal(&c->c), "pthread_cond_signal");
}

int thread_cancel_off(void)
{
	int old;

	abort_on_error(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old),
		       "pthread_setcancelstate");
	return old;
}

void thread_cancel_restore(int old)
{
	abort_on_error(pthread_setcancelstate(old, NULL), "pthread_setcancelstate");
}

int thread_at_fork(void (*child)(void))
{
	return -pthread_atfork(NULL, NULL, child);
}

void thread_set_sigmask(const sigset_t *mask, sigset_t *old)
{
	abort_on_error(pthread_sigmask(SIG_SETMASK, mask, old), "pthread_sigmask");
}

/* Of a cancellation point. */
struct point {
	bool is_through;
};

static void leave_cancelled(const struct point *point)
{
	if (!point->is_through)
		thread_unwinding();
}

void thread_unwinding(void)
{
#ifdef WEFT_ASAN
	/* It does not see the frames go, and would find their marks in those of the cleanups. */
	__asan_handle_no_return();
#endif
}

void thread_testcancel(void)
{
	struct point point CLEANUP(leave_cancelled) = {false};

	pthread_testcancel();
	point.is_through = true;
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	char short_name[16] = "";
	int error;

	/* The new thread inherits the mask of this one; the program's threads handle signals. */
	sigfillset(&all);
	abort_on_error(pthread_sigmask(SIG_SETMASK, &all, &before), "pthread_sigmask");
	error = pthread_create(thread, NULL, run, arg);
	abort_on_error(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask");
	if (error != 0)
		return -error;
	memcpy(short_name, name, strnlen(name, sizeof(short_name) - 1));
	/* Only for people looking at it: fails harmlessly when the thread has ended already. */
	(void)pthread_setname_np(*thread, short_name);
	return 0;
}

void thread_join(pthread_t thread)
{
	abort_on_error(pthread_join(thread, NULL), "pthread_join");
}

weft_time_us clock_monotonic_us(void)
{
	struct timespec ts;

	abort_on_error(clock_gettime(CLOCK_MONOTONIC, &ts) == 0 ? 0 : errno, "clock_gettime");
	return (weft_time_us)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

void thread_set_polite(bool is_polite)
{
	const struct sched_param param = {0};

	(void)pthread_setschedparam(pthread_self(), is_polite ? SCHED_BATCH : SCHED_OTHER, &param);
}

void thread_set_timer_slack(weft_time_us slack)
{
	(void)prctl(PR_SET_TIMERSLACK, (unsigned long)slack * 1000, 0, 0, 0);
}

void threads_expect_many(unsigned slots)
{
	int now = prctl(PR_FUTEX_HASH, PR_FUTEX_HASH_GET_SLOTS, 0, 0, 0);
	unsigned power = 2; /* the kernel takes no other numbers, and 1 neither */

	if (slots < 2)
		return;
	while (power < slots)
		power *= 2;
	/* 0: no table of its own yet, the second thread brings it; negative: an older kernel without any. */
	if (now >= 0 && (unsigned)now < power)
		(void)prctl(PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, power, 0, 0);
}
