/* Mutexes, condition variables and threads: that each does its part, and aborts on misuse. */
#include "net/base/sync.h"

#include "unit.h"
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	struct mutex mu;
	struct cond cond;
	int turns;
	int count;
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

static void *wait_then_end(void *arg)
{
	struct shared *s = arg;

	mutex_lock(&s->mu);
	while (s->count == 0)
		cond_wait(&s->cond, &s->mu);
	mutex_unlock(&s->mu);
	return NULL;
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

UNIT_MAIN("sync", UNIT(mutual_exclusion), UNIT(ping_pong), UNIT(timeout),
	  UNIT(wait_without_deadline), UNIT(thread_blocks_signals), UNIT(thread_name),
	  UNIT(clock_goes_forward), UNIT(misuse_aborts))
