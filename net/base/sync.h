/*
 * Threads, mutexes and condition variables: the only place that calls pthreads.  The wrappers carry
 * lock classes for clang's thread-safety analysis and abort when the library reports misuse.
 *
 * Lock order, also compiled (ACQUIRED_BEFORE): port < listener < socket < TX queue < device and
 * pool leaves.  See docs/LOCKING.md.
 */
#ifndef WEFT_BASE_SYNC_H
#define WEFT_BASE_SYNC_H

#include "net/base/time.h"
#include <pthread.h>
#include <signal.h>
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

/* A condition variable whose timeouts are on CLOCK_MONOTONIC. */
struct cond {
	pthread_cond_t c;
};

void mutex_init(struct mutex *m);
void mutex_fini(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRE(m);
void mutex_unlock(struct mutex *m) RELEASE(m);

/* Takes the mutex unless somebody has it; whether it did. */
bool mutex_trylock(struct mutex *m) TRY_ACQUIRE(true, m);

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
 * Lets the kernel spread this process' sleeping threads over at least 'slots' hash buckets: from Linux
 * 6.16 on it gives a process a few only, and each wake-up walks one of them.  Best effort, never less
 * than there were.
 */
void threads_expect_many(unsigned slots);

/* Microseconds on CLOCK_MONOTONIC. */
weft_time_us clock_monotonic_us(void);

#endif
