/* Mutexes, condition variables and threads: that each does its part, and aborts on misuse. */
#include "net/base/sync.h"

#include "unit.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	struct mutex mu;
	struct cond cond;
	int turns;
	int count;
	bool is_over; /* no more to come */
};

static void shared_init(struct shared *s)
{
	memset(s, 0, sizeof(*s));
	mutex_init(&s->mu);
	cond_init(&s->cond);
}

static void shared_fini(struct shared *s)
{
	cond_fini(&s->cond);
	mutex_fini(&s->mu);
}

static void *count_up(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < 10000; i++) {
		mutex_lock(&s->mu);
		s->count++;
		mutex_unlock(&s->mu);
	}
	return NULL;
}

static void test_mutual_exclusion(void)
{
	struct shared s;
	pthread_t threads[4];

	shared_init(&s);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "count", count_up, &s), 0);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	CU_ASSERT_EQUAL(s.count, 40000);
	shared_fini(&s);
}

/* Takes every odd turn, so that each hand-over needs a wake-up. */
static void *take_odd_turns(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	while (s->turns < 1000) {
		if (s->turns % 2 == 1) {
			s->turns++;
			cond_signal(&s->cond);
		} else {
			cond_wait(&s->cond, &s->mu);
		}
	}
	mutex_unlock(&s->mu);
	return NULL;
}

static void test_ping_pong(void)
{
	struct shared s;
	pthread_t thread;

	shared_init(&s);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "ping", take_odd_turns, &s), 0);
	mutex_lock(&s.mu);
	while (s.turns < 1000) {
		if (s.turns % 2 == 0) {
			s.turns++;
			cond_broadcast(&s.cond);
		} else {
			CU_ASSERT_TRUE(cond_wait_until(&s.cond, &s.mu,
						       clock_monotonic_us() + 60 * US_PER_S));
		}
	}
	mutex_unlock(&s.mu);
	thread_join(thread);
	CU_ASSERT_EQUAL(s.turns, 1000);
	shared_fini(&s);
}

static void test_timeout(void)
{
	static const weft_time_us past[] = {INT64_MIN, -1, 0, 1};
	struct shared s;
	weft_time_us deadline = clock_monotonic_us() + 20 * US_PER_MS;

	shared_init(&s);
	mutex_lock(&s.mu);
	while (cond_wait_until(&s.cond, &s.mu, deadline))
		CU_ASSERT(clock_monotonic_us() < deadline + US_PER_S);
	CU_ASSERT(clock_monotonic_us() >= deadline);
	for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++)
		CU_ASSERT_FALSE(cond_wait_until(&s.cond, &s.mu, past[i]));
	mutex_unlock(&s.mu);
	shared_fini(&s);
}

static void *set_and_signal(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	s->count = 1;
	cond_signal(&s->cond);
	mutex_unlock(&s->mu);
	return NULL;
}

static void test_wait_without_deadline(void)
{
	struct shared s;
	pthread_t thread;

	shared_init(&s);
	mutex_lock(&s.mu);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "signal", set_and_signal, &s), 0);
	while (s.count == 0)
		CU_ASSERT_TRUE(cond_wait_until(&s.cond, &s.mu, WEFT_TIME_NEVER));
	mutex_unlock(&s.mu);
	thread_join(thread);
	shared_fini(&s);
}

static void *wait_then_end(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	while (s->count == 0)
		cond_wait(&s->cond, &s->mu);
	mutex_unlock(&s->mu);
	return NULL;
}

/* ---- Who is woken. ---- */

enum { TAKERS = 4, TOKENS = 20000 };

/* Nobody there: nothing moves, so the futex was not called for. */
static void test_signal_without_waiters(void)
{
	struct shared s;

	shared_init(&s);
	cond_signal(&s.cond);
	cond_broadcast(&s.cond);
	cond_wake(&s.cond, COND_WAKE_ALL);
	CU_ASSERT_EQUAL(s.cond.turn, 0);
	mutex_lock(&s.mu);
	CU_ASSERT_FALSE(cond_wait_until(&s.cond, &s.mu, 0));
	mutex_unlock(&s.mu);
	cond_signal(&s.cond);
	CU_ASSERT_EQUAL(s.cond.turn, 0);
	shared_fini(&s);
}

static bool is_counted(struct shared *s)
{
	mutex_lock(&s->mu);
	unsigned waiters = atomic_load(&s->cond.waiters);

	mutex_unlock(&s->mu);
	return waiters > 0;
}

/* A signal for somebody who is counted moves the turn on: if he is not asleep yet he does not go to sleep. */
static void test_signal_moves_turn(void)
{
	static struct shared s;
	pthread_t thread;

	shared_init(&s);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "wait", wait_then_end, &s), 0);
	while (!is_counted(&s))
		;
	cond_signal(&s.cond);
	CU_ASSERT_EQUAL_FATAL(s.cond.turn, 1);
	mutex_lock(&s.mu);
	s.count = 1;
	mutex_unlock(&s.mu);
	/* For no reason it may be between two waits. */
	cond_broadcast(&s.cond);
	thread_join(thread);
	shared_fini(&s);
}

/* Takes tokens until there will be none any more; 'turns' counts those who are done. */
static void *take_tokens(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	for (;;) {
		while (s->count == 0 && !s->is_over)
			cond_wait(&s->cond, &s->mu);
		if (s->count == 0)
			break;
		s->count--;
	}
	s->turns++;
	mutex_unlock(&s->mu);
	return NULL;
}

/* One signal a token, behind the unlock; one for all at the end. */
static void give_tokens(struct shared *s)
{
	for (int i = 0; i < TOKENS; i++) {
		mutex_lock(&s->mu);
		s->count++;
		mutex_unlock(&s->mu);
		cond_wake(&s->cond, COND_WAKE_ONE);
	}
	mutex_lock(&s->mu);
	s->is_over = true;
	mutex_unlock(&s->mu);
	cond_broadcast(&s->cond);
}

static void test_one_signal_a_token(void)
{
	struct shared s;
	pthread_t threads[TAKERS];

	shared_init(&s);
	for (int i = 0; i < TAKERS; i++)
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "take", take_tokens, &s), 0);
	give_tokens(&s);
	for (int i = 0; i < TAKERS; i++)
		thread_join(threads[i]);
	CU_ASSERT_EQUAL(s.turns, TAKERS);
	shared_fini(&s);
}

/* ---- Clocks of the caller's own. ---- */

static int sleep_by_pthreads(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex,
			     int64_t deadline)
{
	struct timespec ts = {.tv_sec = deadline / US_PER_S, .tv_nsec = deadline % US_PER_S * 1000};

	if (ctx)
		++*(int *)ctx;
	return deadline == WEFT_TIME_NEVER ? pthread_cond_wait(cond, mutex)
					   : pthread_cond_timedwait(cond, mutex, &ts);
}

static NO_TSA void *take_by_clock(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	for (;;) {
		while (s->count == 0 && !s->is_over)
			(void)cond_wait_by_clock(&s->cond, &s->mu, sleep_by_pthreads, NULL,
						 WEFT_TIME_NEVER);
		if (s->count == 0)
			break;
		s->count--;
	}
	s->turns++;
	mutex_unlock(&s->mu);
	return NULL;
}

/* Some sleep on the futex, some by a clock; who signals does not know. */
static void test_both_kinds_of_sleepers(void)
{
	struct shared s;
	pthread_t threads[TAKERS];

	shared_init(&s);
	for (int i = 0; i < TAKERS; i++)
		CU_ASSERT_EQUAL_FATAL(
			thread_start(&threads[i], "take", i % 2 ? take_tokens : take_by_clock, &s),
			0);
	give_tokens(&s);
	for (int i = 0; i < TAKERS; i++)
		thread_join(threads[i]);
	CU_ASSERT_EQUAL(s.turns, TAKERS);
	shared_fini(&s);
}

static void test_clock_deadline(void)
{
	struct shared s;
	int sleeps = 0;

	shared_init(&s);
	mutex_lock(&s.mu);
	CU_ASSERT_FALSE(cond_wait_by_clock(&s.cond, &s.mu, sleep_by_pthreads, &sleeps, 1));
	CU_ASSERT_EQUAL(sleeps, 1);
	CU_ASSERT_FALSE(cond_wait_by_clock(&s.cond, &s.mu, NULL, NULL, 1));
	mutex_unlock(&s.mu);
	shared_fini(&s);
}

/* A clock at whose deadline a signal comes. */
static int sleep_and_be_late(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex,
			     int64_t deadline)
{
	(void)cond, (void)mutex, (void)deadline;
	cond_signal(ctx);
	return ETIMEDOUT;
}

static void test_wake_at_the_deadline_counts(void)
{
	struct shared s;

	shared_init(&s);
	mutex_lock(&s.mu);
	CU_ASSERT_TRUE(cond_wait_by_clock(&s.cond, &s.mu, sleep_and_be_late, &s.cond, 1));
	mutex_unlock(&s.mu);
	shared_fini(&s);
}

/* ---- Cancelled sleepers. ---- */

static NO_TSA void unlock_shared(void *arg)
{
	struct shared *s = arg;

	s->is_over = true;
	mutex_unlock(&s->mu);
}

/* Cancelled in there, it must have the mutex, and must not have taken the token. */
static NO_TSA void take_one_cancellable(struct shared *s, cond_clock_fn *wait)
{
	mutex_lock(&s->mu);
	pthread_cleanup_push(unlock_shared, s);
	s->turns++;
	while (s->count == 0)
		(void)cond_sleep_by_clock(&s->cond, &s->mu, wait, NULL, WEFT_TIME_NEVER);
	s->count--;
	pthread_cleanup_pop(0);
	mutex_unlock(&s->mu);
}

static void *take_one(void *arg)
{
	take_one_cancellable(arg, NULL);
	return NULL;
}

static void *take_one_by_clock(void *arg)
{
	take_one_cancellable(arg, sleep_by_pthreads);
	return NULL;
}

/* 'count' of them sleep, or are about to: they have given the mutex back. */
static void await_takers(struct shared *s, int count)
{
	for (bool is_there = false; !is_there;) {
		mutex_lock(&s->mu);
		is_there = s->turns == count;
		mutex_unlock(&s->mu);
	}
}

/* Two wait, one is cancelled while a token comes: it goes to the other one, or the canceller was late. */
static void cancel_one_of_two(void *(*take)(void *))
{
	struct shared s;
	pthread_t threads[2];
	void *result = NULL;

	shared_init(&s);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(thread_start(&threads[i], "take", take, &s), 0);
	await_takers(&s, 2);
	mutex_lock(&s.mu);
	s.count = 1;
	mutex_unlock(&s.mu);
	cond_signal(&s.cond);
	pthread_cancel(threads[0]);
	pthread_join(threads[0], &result);
	mutex_lock(&s.mu);
	/* With the token in hand it may be cancelled yet, on its way out. */
	CU_ASSERT(!s.is_over || result == PTHREAD_CANCELED);
	if (!s.is_over)
		s.count++;
	mutex_unlock(&s.mu);
	cond_signal(&s.cond);
	thread_join(threads[1]);
	CU_ASSERT_EQUAL(s.count, 0);
	shared_fini(&s);
}

static void test_cancelled_sleeper_passes_on(void)
{
	for (int i = 0; i < 50; i++) {
		cancel_one_of_two(take_one);
		cancel_one_of_two(take_one_by_clock);
	}
}

/* Without a token: it leaves at once, with the mutex, and is counted no more. */
static void test_cancel_ends_a_wait(void)
{
	void *(*const takers[])(void *) = {take_one, take_one_by_clock};

	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		struct shared s;
		pthread_t thread;
		void *result = NULL;

		shared_init(&s);
		CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "take", takers[i], &s), 0);
		await_takers(&s, 1);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		CU_ASSERT(result == PTHREAD_CANCELED && s.is_over);
		shared_fini(&s);
	}
}

/* Other waits hold a thread that is cancelled. */
static void *take_uncancelled(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	s->turns++;
	while (s->count == 0)
		cond_wait(&s->cond, &s->mu);
	s->count--;
	mutex_unlock(&s->mu);
	pthread_testcancel();
	return NULL;
}

static void test_plain_wait_is_not_cancelled(void)
{
	struct shared s;
	pthread_t thread;
	void *result = NULL;

	shared_init(&s);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "take", take_uncancelled, &s), 0);
	await_takers(&s, 1);
	pthread_cancel(thread);
	mutex_lock(&s.mu);
	s.count = 1;
	cond_signal(&s.cond);
	mutex_unlock(&s.mu);
	pthread_join(thread, &result);
	CU_ASSERT(result == PTHREAD_CANCELED && s.count == 0);
	shared_fini(&s);
}

struct seen {
	char name[16];
	bool is_blocked;
};

static void *look_at_self(void *arg)
{
	struct seen *seen = arg;
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	seen->is_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1);
	return NULL;
}

static void test_thread_blocks_signals(void)
{
	struct seen seen = {"", false};
	sigset_t mask;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(
		thread_start(&thread, "a name longer than 15 bytes", look_at_self, &seen), 0);
	thread_join(thread);
	CU_ASSERT_TRUE(seen.is_blocked);
	/* The starter's own mask is as before. */
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CU_ASSERT_FALSE(sigismember(&mask, SIGTERM));
}

static void test_thread_name(void)
{
	struct shared s;
	pthread_t thread;
	char name[16] = "";

	shared_init(&s);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, "0123456789abcdefgh", wait_then_end, &s), 0);
	CU_ASSERT_EQUAL(pthread_getname_np(thread, name, sizeof(name)), 0);
	CU_ASSERT_STRING_EQUAL(name, "0123456789abcde");
	set_and_signal(&s);
	thread_join(thread);
	shared_fini(&s);
}

static void test_clock_goes_forward(void)
{
	weft_time_us last = clock_monotonic_us();

	for (int i = 0; i < 1000; i++) {
		weft_time_us now = clock_monotonic_us();

		CU_ASSERT(now >= last);
		last = now;
	}
}

/* Unlocking what is not locked; the analysis must not see it, it would refuse to compile. */
NO_TSA static void misuse_mutex(void)
{
	struct mutex m;

	mutex_init(&m);
	mutex_unlock(&m);
}

/* In a child, since it ends in abort.  Only builds with error-checking mutexes notice. */
static void test_misuse_aborts(void)
{
#ifndef NDEBUG
	int status = 0;
	pid_t child = fork();

	CU_ASSERT_FATAL(child >= 0);
	if (child == 0) {
		fclose(stderr);
		misuse_mutex();
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#else
	(void)misuse_mutex;
#endif
}

/* The kernel takes powers of two; 1 asks for nothing.  Older ones than 6.16 have none to ask about. */
static void test_futex_slots(void)
{
	enum { FUTEX_HASH = 78, GET_SLOTS = 2 };

	int before = prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0);

	if (before < 0 || before > 4096)
		return;
	threads_expect_many(1);
	CU_ASSERT_EQUAL(prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0), before);
	threads_expect_many(5000);
	CU_ASSERT_EQUAL(prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0), 8192);
	threads_expect_many(100);
	CU_ASSERT_EQUAL(prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0), 8192);
}

UNIT_MAIN("sync", UNIT(signal_moves_turn), UNIT(mutual_exclusion), UNIT(ping_pong), UNIT(timeout),
	  UNIT(wait_without_deadline), UNIT(signal_without_waiters), UNIT(one_signal_a_token),
	  UNIT(both_kinds_of_sleepers), UNIT(clock_deadline), UNIT(wake_at_the_deadline_counts),
	  UNIT(cancelled_sleeper_passes_on), UNIT(cancel_ends_a_wait),
	  UNIT(plain_wait_is_not_cancelled), UNIT(thread_blocks_signals), UNIT(thread_name),
	  UNIT(clock_goes_forward), UNIT(futex_slots), UNIT(misuse_aborts))
