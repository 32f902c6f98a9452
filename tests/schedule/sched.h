/*
 * The schedule explorer: threads as coroutines of one kernel thread, which change only at the calls of
 * net/base/sync.h, at atomic operations that order something, and at RCU's.  sched_sync.c, sched_rcu.c
 * and sched_atomic.h put it in the place of pthreads, liburcu and the processor; everything else is the
 * library's own code.  Which of the threads that can go on does so is a choice; explore.c goes through
 * all of them, one execution after another.
 */
#ifndef WEFT_TESTS_SCHED_H
#define WEFT_TESTS_SCHED_H

#include <stdbool.h>
#include <stdint.h>

enum { SCHED_TASKS = 24, SCHED_DEPTH = 20000, SCHED_UNBOUNDED = 1000000 };

enum sched_op {
	OP_START,
	OP_LOCK,
	OP_TRYLOCK,
	OP_WAIT,
	OP_SIGNAL,
	OP_BROADCAST,
	OP_ATOMIC,
	OP_GRACE,
	OP_JOIN,
	OP_CANCEL,
	OP_PAUSE,
};

/* ---- For the layers that replace pthreads. ---- */

/* Here another thread may go on; returns when this one may do 'op' to 'object'. */
void sched_point(enum sched_op op, const void *object);

/* The running thread, 1 and up. */
unsigned sched_self(void);

/* 'object' is touched by the running thread beyond what its last point said. */
void sched_touch(const void *object);

/*
 * Sleeps on 'cond' with 'mutex' given up until signalled: true; false: 'deadline' passed.  When
 * 'may_cancel', a cancelled thread unwinds, with the mutex.
 */
bool sched_wait(const void *cond, void *mutex, int64_t deadline, bool may_cancel);
void sched_wake(const void *cond, bool is_for_all);

/* Mutexes: who has it, 0 nobody.  Kept in the mutex' own memory. */
unsigned *sched_owner(const void *mutex);

unsigned sched_spawn(const char *name, void *(*run)(void *), void *arg);
int64_t sched_now(void);
bool sched_cancel_off(bool is_off);
void sched_testcancel(void);

/* RCU: a section opens or closes; one that may run deferred calls. */
void sched_section(bool is_open);
bool sched_in_sections(void);

/* Ends the program: a fault was found.  Prints the schedule. */
void sched_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- For scenarios. ---- */

/* Ends the part that is the same in all executions; sched_quiet begins another. */
void sched_explore(void);
void sched_quiet(void);

/* Waits for a thread of sched_spawn. */
void sched_join(unsigned task);

/* Whether it went by cancellation. */
bool sched_was_cancelled(unsigned task);

/* Asks 'task' to go at its next cancellation point. */
void sched_cancel(unsigned task);

/* Lets all others run until nobody can but by a time that comes. */
void sched_settle(void);

/* Whether 'task' sleeps. */
bool sched_is_asleep(unsigned task);

#define SCHED_CHECK(what)                                                                          \
	do {                                                                                       \
		if (!(what))                                                                       \
			sched_fail("%s:%d: %s is not so", __FILE__, __LINE__, #what);              \
	} while (0)

/* ---- For the driver. ---- */

struct sched_limits {
	unsigned departures; /* SCHED_UNBOUNDED: every interleaving, equal ones but once */
	unsigned drop;       /* the number of a signal to be dropped, from 1; 0: none */
	bool is_traced;
};

/*
 * Before a child that runs: its choices are seen here, too; sched_report prints those of a child that ended
 * by an assertion, or worse.
 */
void sched_share(void);
void sched_report(const struct sched_limits *with);

/* What one execution did. */
struct sched_result {
	unsigned depth;   /* choices */
	unsigned signals; /* that found somebody */
	int64_t elapsed; /* of virtual time, while it was explored; 0 where timeouts came early by choice */
	bool is_cut; /* equal to one that was before */
};

/* Runs 'main' once, with the first 'count' choices as given. */
void sched_run(void (*main)(void), const struct sched_limits *with, const uint8_t *choices,
	       unsigned count, struct sched_result *result);

/* The choices of the execution that ran last, and the next one in order: false when there is none. */
unsigned sched_next(uint8_t *choices);

#endif
