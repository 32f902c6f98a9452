/*
 * Threads, mutexes and condition variables: the only place that calls pthreads, and futexes.  The
 * wrappers carry lock classes for clang's thread-safety analysis and abort when the library reports misuse.
 *
 * Lock order, also compiled (ACQUIRED_BEFORE): port < listener < socket < TX queue < device and
 * pool leaves.  See docs/LOCKING.md.
 */
#ifndef WEFT_BASE_SYNC_H
#define WEFT_BASE_SYNC_H

#include "net/base/time.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#if defined(__clang__)
#define WEFT_TSA(x) __attribute__((x))
#else
#define WEFT_TSA(x)
#endif
#define CAPABILITY(x)        WEFT_TSA(capability(x))
#define GUARDED_BY(x)        WEFT_TSA(guarded_by(x))
#define ACQUIRED_BEFORE(...) WEFT_TSA(acquired_before(__VA_ARGS__))
#define ACQUIRE(...)         WEFT_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...)  WEFT_TSA(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...)         WEFT_TSA(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...)  WEFT_TSA(release_shared_capability(__VA_ARGS__))
#define REQUIRES(...)        WEFT_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) WEFT_TSA(requires_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...)     WEFT_TSA(try_acquire_capability(__VA_ARGS__))
#define EXCLUDES(...)        WEFT_TSA(locks_excluded(__VA_ARGS__))
#define NO_TSA               WEFT_TSA(no_thread_safety_analysis)

/* A lock class: a token that stands for every lock of one kind. */
struct CAPABILITY("lock class") lock_class {
	char unused;
};

struct CAPABILITY("mutex") mutex {
	pthread_mutex_t m;
};

/* A condition variable (cond.c) whose timeouts are on CLOCK_MONOTONIC. */
struct cond {
	atomic_uint turn;    /* the futex; moves on with each signal that finds somebody */
	atomic_uint waiters; /* asleep, or on their way there or back */
};

#define COND_INITIALIZER                                                                           \
	{                                                                                          \
		0                                                                                  \
	}

/* One of the library's, for clocks of the caller's own; timeouts on CLOCK_MONOTONIC. */
struct posix_cond {
	pthread_cond_t c;
};

void mutex_init(struct mutex *m);
void mutex_fini(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRE(m);
void mutex_unlock(struct mutex *m) RELEASE(m);

/* Takes the mutex unless somebody has it; whether it did. */
bool mutex_trylock(struct mutex *m) TRY_ACQUIRE(true, m);

/*
 * Nobody waits when it ends; who signals may still be at it as long as there is memory.  A signal may be
 * given without the mutex: what is waited for was changed under it before.  With nobody there it costs
 * one load.
 */
void cond_init(struct cond *c);
void cond_fini(struct cond *c);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

/* Whom to wake: what is noted under a lock, to be done without it. */
enum cond_wake { COND_WAKE_NONE, COND_WAKE_ONE, COND_WAKE_ALL } __attribute__((packed));

void cond_wake(struct cond *c, enum cond_wake whom);

/* Releases 'm', sleeps until signalled (or for no reason), takes 'm' again. */
void cond_wait(struct cond *c, struct mutex *m) REQUIRES(m);

/* As cond_wait, but at most until 'deadline' on CLOCK_MONOTONIC; false when that passed. */
bool cond_wait_until(struct cond *c, struct mutex *m, weft_time_us deadline) REQUIRES(m);

/* Sleeps on 'cond' by some clock until it reads 'deadline': 0 or ETIMEDOUT (struct weft_clock's wait). */
typedef int cond_clock_fn(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex,
			  int64_t deadline);

/* As cond_wait_until, by the clock that sleeps with 'wait'; NULL: on CLOCK_MONOTONIC. */
bool cond_wait_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
			weft_time_us deadline) REQUIRES(m);

/*
 * The same as cancellation points: a cancelled thread has 'm' again when it cleans up (CLEANUP), and has
 * passed on a wake that was meant for it.  The other waits hold a cancelled thread until they end.
 */
bool cond_sleep_until(struct cond *c, struct mutex *m, weft_time_us deadline) REQUIRES(m);
bool cond_sleep_by_clock(struct cond *c, struct mutex *m, cond_clock_fn *wait, void *ctx,
			 weft_time_us deadline) REQUIRES(m);

void posix_cond_init(struct posix_cond *c);
void posix_cond_fini(struct posix_cond *c);
void posix_cond_signal(struct posix_cond *c);

/*
 * A variable of which 'fn' gets the address when its scope is left, also by a thread that is cancelled
 * inside.  Files that use it are compiled with -fexceptions: the others have no frames to clean.
 */
#ifdef __EXCEPTIONS
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#endif

/* In a cleanup that may be the innermost, first of all, when its thread is cancelled. */
void thread_unwinding(void);

/* A cancellation point that does not wait, where there is nothing to clean up. */
void thread_testcancel(void);

/* Starts a thread named 'name' (15 characters at most) with all signals blocked; 0 or -errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg);
void thread_join(pthread_t thread);

/*
 * Keeps the calling thread from being cancelled until thread_cancel_restore: one that is cancelled in
 * the middle would leave with a lock.  Returns the state to restore.
 */
int thread_cancel_off(void);
/* From now on 'child' runs in the child of every fork.  0 or a negative errno. */
int thread_at_fork(void (*child)(void));
void thread_cancel_restore(int old);

/* The calling thread's signal mask becomes '*mask'; '*old' gets what it was. */
void thread_set_sigmask(const sigset_t *mask, sigset_t *old);

/*
 * Whether the calling thread, when woken, waits for its turn instead of pushing a running thread off
 * its core (SCHED_BATCH).  Best effort.
 */
void thread_set_polite(bool is_polite);

/*
 * The calling thread's sleeps may end up to 'slack' later than asked for, so that the kernel can end
 * them with a timer interrupt that comes anyway (PR_SET_TIMERSLACK).  Best effort.
 */
void thread_set_timer_slack(weft_time_us slack);

/*
 * Lets the kernel spread this process' sleeping threads over at least 'slots' hash buckets: from Linux
 * 6.16 on it gives a process a few only, and each wake-up walks one of them.  Best effort, never less
 * than there were; below 2: nothing.
 */
void threads_expect_many(unsigned slots);

/* Microseconds on CLOCK_MONOTONIC. */
weft_time_us clock_monotonic_us(void);

#endif
