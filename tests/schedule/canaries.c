/* Scenarios with a fault that the explorer has to find.  Compiled with sched_atomic.h. */
#include "net/base/gate.h"
#include "scenario.h"
#include "sched.h"

/* ---- A queue whose reader looks at it without the mutex. ---- */

static struct mutex mu, other;
static struct cond cond;
static atomic_int count;

static void *careless_reader(void *arg)
{
	(void)arg;
	if (atomic_load_explicit(&count, memory_order_seq_cst) == 0) {
		mutex_lock(&mu);
		cond_wait(&cond, &mu);
		mutex_unlock(&mu);
	}
	return NULL;
}

static void *writer(void *arg)
{
	(void)arg;
	mutex_lock(&mu);
	atomic_fetch_add_explicit(&count, 1, memory_order_seq_cst);
	mutex_unlock(&mu);
	cond_signal(&cond);
	return NULL;
}

static void *reader(void *arg)
{
	(void)arg;
	mutex_lock(&mu);
	while (count == 0)
		cond_wait(&cond, &mu);
	count--;
	mutex_unlock(&mu);
	return NULL;
}

static void *one_late_writer(void *arg)
{
	/* One wake-up for two things, and nobody passes it on. */
	(void)arg;
	mutex_lock(&mu);
	count += 2;
	mutex_unlock(&mu);
	cond_signal(&cond);
	return NULL;
}

static void *this_way(void *arg)
{
	(void)arg;
	mutex_lock(&mu);
	mutex_lock(&other);
	mutex_unlock(&other);
	mutex_unlock(&mu);
	return NULL;
}

static void *that_way(void *arg)
{
	(void)arg;
	mutex_lock(&other);
	mutex_lock(&mu);
	mutex_unlock(&mu);
	mutex_unlock(&other);
	return NULL;
}

static void run(void *(*const *threads)(void *), unsigned n)
{
	unsigned task[3];

	mutex_init(&mu);
	mutex_init(&other);
	cond_init(&cond);
	count = 0;
	sched_explore();
	for (unsigned i = 0; i < n; i++)
		task[i] = sched_spawn("thread", threads[i], NULL);
	for (unsigned i = 0; i < n; i++)
		sched_join(task[i]);
	sched_quiet();
}

static void check_outside(void)
{
	static void *(*const threads[])(void *) = {careless_reader, writer};

	run(threads, 2);
}

static void wake_too_few(void)
{
	static void *(*const threads[])(void *) = {reader, reader, one_late_writer};

	run(threads, 3);
}

static void crossed_locks(void)
{
	static void *(*const threads[])(void *) = {this_way, that_way};

	run(threads, 2);
}

/* ---- A sleeper that looks before it enters the gate. ---- */

static struct gate gate;

static NO_TSA bool sleep_at_gate(void *ctx, struct cond *c, struct mutex *m, weft_time_us deadline)
{
	(void)ctx;
	return cond_wait_until(c, m, deadline);
}

static void *late_at_gate(void *arg)
{
	(void)arg;
	if (atomic_load_explicit(&count, memory_order_seq_cst) == 0) {
		unsigned ticket = gate_enter(&gate);

		gate_sleep(&gate, &ticket, sleep_at_gate, NULL, WEFT_TIME_NEVER);
		gate_leave(&gate);
	}
	return NULL;
}

static void *opener(void *arg)
{
	(void)arg;
	atomic_fetch_add_explicit(&count, 1, memory_order_seq_cst);
	gate_open_one(&gate);
	return NULL;
}

static void gate_entered_late(void)
{
	static void *(*const threads[])(void *) = {late_at_gate, opener};

	gate_init(&gate);
	run(threads, 2);
	gate_fini(&gate);
}

#define CANARY(stem)                                                                               \
	{                                                                                          \
		.name = "canary_" #stem, .main = stem, .departures = SCHED_UNBOUNDED,              \
		.soak = SCHED_UNBOUNDED, .is_canary = true                                         \
	}

const struct scenario scenarios_with_faults[] = {
	CANARY(check_outside),
	CANARY(wake_too_few),
	CANARY(crossed_locks),
	CANARY(gate_entered_late),
	{0},
};
