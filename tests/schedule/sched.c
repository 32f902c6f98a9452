/*
 * The explorer's threads and choices; see sched.h.  One kernel thread.
 *
 * A choice is made wherever a thread is about to do something that others can notice, or cannot go on.
 * Its options, in this order: the running thread, if it can go on; the others that can; the next time
 * that somebody waits for.  Any but the first is a departure.
 *
 * With a bound all executions with at most so many departures are gone through (delay bounding: Emmi,
 * Qadeer, Rakamaric; few are enough for nearly all faults).  Without, all there are, but that sleep
 * sets leave out executions that differ only in the order of steps that do not touch the same object
 * (Godefroid): an option that was explored stays asleep in its younger siblings until a step touches
 * what it is about to do.  An execution that has only sleepers left is finished without choices.
 */
#include "sched.h"
#include "path.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unwind.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum {
	STACK_SIZE = 512 << 10,
	STEPS_MAX = 200000,
	START_US = 1000 * 1000 * 1000,
};

#define NEVER INT64_MAX

enum task_state { TASK_FREE, TASK_READY, TASK_WAITING, TASK_ENDED };

struct task {
	enum task_state state;
	enum sched_op op; /* what it is about to do */
	const void *object;
	/* TASK_WAITING: on a condition variable 'object', with 'mutex' to take again. */
	void *mutex;
	int64_t deadline;
	bool is_late;
	bool may_cancel;
	bool wants_cancel;
	bool is_cancel_off;
	bool was_cancelled;
	unsigned sections; /* of RCU */
	char name[16];
	void *(*run)(void *);
	void *arg;
	ucontext_t context;
	void *stack;
	void *fake_stack; /* AddressSanitizer's */
	struct _Unwind_Exception unwinding;
};

static struct task tasks[SCHED_TASKS]; /* tasks[0] is the driver */
static unsigned running;
static unsigned task_count;
static int64_t now;
static bool is_exploring;
static const struct sched_limits *limits;

static unsigned steps, departures, signals;
static uint32_t asleep; /* sleep set: bits of tasks */
static bool is_cut, is_hasty;
static int64_t begin, elapsed; /* of what is explored */
#ifdef WITH_ASAN
static const void *driver_stack;
static size_t driver_size;
#endif

static const char *const op_names[] = {"start",  "lock",      "trylock", "wait",
				       "signal", "broadcast", "atomic",  "grace",
				       "join",   "cancel",    "pause"};

static const char *object_name(const void *object)
{
	static char text[32];

	snprintf(text, sizeof(text), "%p", object);
	return text;
}

static void print_state(FILE *out)
{
	static const char *const states[] = {"free", "ready", "waiting", "ended"};

	for (unsigned i = 1; i <= task_count; i++)
		fprintf(out, "  %2u %-15s %-8s %s %s\n", i, tasks[i].name, states[tasks[i].state],
			op_names[tasks[i].op], object_name(tasks[i].object));
}

static void print_schedule(FILE *out)
{
	if (limits->departures == SCHED_UNBOUNDED)
		fprintf(out, "--all --schedule ");
	else
		fprintf(out, "--departures %u --schedule ", limits->departures);
	path_print(out);
}

void sched_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nrunning: %u (%s), at %lld us\n", running, tasks[running].name,
		(long long)(now - START_US));
	print_state(stderr);
	print_schedule(stderr);
	_Exit(1);
}

void sched_report(const struct sched_limits *with)
{
	limits = with;
	print_schedule(stderr);
}

/* ---- Coroutines. ---- */

static void switch_to(unsigned next, bool is_end)
{
	unsigned before = running;
	struct task *from = &tasks[before];
	struct task *to = &tasks[next];

	if (next == before)
		return;
	running = next;
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(is_end ? NULL : &from->fake_stack,
				       next == 0 ? driver_stack : to->stack,
				       next == 0 ? driver_size : STACK_SIZE);
#else
	(void)is_end;
#endif
	swapcontext(&from->context, &to->context);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

static void choose_next(bool is_end);

static void end_task(void)
{
	tasks[running].state = TASK_ENDED;
	tasks[running].object = NULL;
	sched_touch(&tasks[running]);
	if (running == 1)
		switch_to(0, true);
	else
		choose_next(true);
	abort(); /* nobody goes on here */
}

static void task_main(void)
{
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, running == 1 ? &driver_stack : NULL,
					running == 1 ? &driver_size : NULL);
#endif
	(void)tasks[running].run(tasks[running].arg);
	end_task();
}

unsigned sched_spawn(const char *name, void *(*run)(void *), void *arg)
{
	unsigned number = ++task_count;

	if (number >= SCHED_TASKS)
		sched_fail("too many threads");
	struct task *t = &tasks[number];
	void *stack = t->stack;

	if (!stack)
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	*t = (struct task){.state = TASK_READY, .op = OP_START, .run = run, .arg = arg};
	t->stack = stack;
	snprintf(t->name, sizeof(t->name), "%s", name);
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = stack;
	t->context.uc_stack.ss_size = STACK_SIZE;
	t->context.uc_link = NULL;
	makecontext(&t->context, task_main, 0);
	return number;
}

unsigned sched_self(void)
{
	return running;
}

/* ---- Who can go on. ---- */

static bool is_anyone_in_section(unsigned but)
{
	for (unsigned i = 1; i <= task_count; i++)
		if (i != but && tasks[i].sections > 0)
			return true;
	return false;
}

static bool is_enabled(unsigned number)
{
	const struct task *t = &tasks[number];

	if (t->state != TASK_READY)
		return false;
	switch (t->op) {
	case OP_LOCK:
		return *sched_owner(t->object) == 0;
	case OP_GRACE:
		return !is_anyone_in_section(number);
	case OP_JOIN:
		return ((const struct task *)t->object)->state == TASK_ENDED;
	case OP_PAUSE:
		for (unsigned i = 1; i <= task_count; i++)
			if (i != number && tasks[i].op != OP_PAUSE && is_enabled(i))
				return false;
		return true;
	case OP_START:
	case OP_TRYLOCK:
	case OP_WAIT:
	case OP_SIGNAL:
	case OP_BROADCAST:
	case OP_ATOMIC:
	case OP_CANCEL:
	default:
		return true;
	}
}

static int64_t next_deadline(void)
{
	int64_t next = NEVER;

	for (unsigned i = 1; i <= task_count; i++)
		if (tasks[i].state == TASK_WAITING && tasks[i].deadline < next)
			next = tasks[i].deadline;
	return next;
}

/* Ends the sleep of 't', which has to take its mutex again. */
static void end_sleep(struct task *t, bool is_late)
{
	t->state = TASK_READY;
	t->is_late = is_late;
	t->op = OP_LOCK;
	t->object = t->mutex;
}

static void pass_time(void)
{
	int64_t next = next_deadline();

	now = next > now ? next : now;
	for (unsigned i = 1; i <= task_count; i++)
		if (tasks[i].state == TASK_WAITING && tasks[i].deadline <= now)
			end_sleep(&tasks[i], true);
	asleep = 0;
}

/* ---- Choices. ---- */

/* What stands for the next time among the options. */
enum { CLOCK = SCHED_TASKS };

/* All options, the running thread first. */
static void collect(unsigned options[SCHED_TASKS + 1], unsigned *count)
{
	*count = 0;
	if (running != 0 && is_enabled(running))
		options[(*count)++] = running;
	for (unsigned i = 1; i <= task_count; i++)
		if (i != running && is_enabled(i))
			options[(*count)++] = i;
	if (next_deadline() != NEVER)
		options[(*count)++] = CLOCK;
}

/* Leaves out what sleeps, or is a departure too many. */
static unsigned leave_out(unsigned *options, unsigned count)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < count; i++) {
		if (limits->departures == SCHED_UNBOUNDED) {
			if (options[i] != CLOCK && (asleep & 1u << options[i]))
				continue;
		} else if (i > 0 && departures >= limits->departures) {
			continue;
		}
		options[kept++] = options[i];
	}
	return kept;
}

/* The thread to go on, or CLOCK. */
static unsigned choose(void)
{
	unsigned options[SCHED_TASKS + 1] = {0};
	unsigned count;

	collect(options, &count);
	if (count == 0)
		sched_fail("nobody can go on: a lost wake-up or a deadlock");
	if (!is_exploring || is_cut)
		return options[0];
	unsigned first = options[0];
	unsigned kept = leave_out(options, count);

	if (kept == 0) {
		is_cut = true;
		return first;
	}
	unsigned taken = kept > 1 ? path_take(kept) : 0;

	for (unsigned i = 0; i < taken; i++)
		if (options[i] != CLOCK)
			asleep |= 1u << options[i];
	departures += options[taken] != first;
	is_hasty = is_hasty || (options[taken] == CLOCK && first != CLOCK);
	return options[taken];
}

static void choose_next(bool is_end)
{
	unsigned next;

	if (++steps > STEPS_MAX)
		sched_fail("no end in sight");
	while ((next = choose()) == CLOCK)
		pass_time();
	if (limits->is_traced && is_exploring)
		printf("%5u %2u %-15s %-9s %s\n", path_depth(), next, tasks[next].name,
		       op_names[tasks[next].op], object_name(tasks[next].object));
	asleep &= ~(1u << next);
	/* A failed try, a signal's choice and the like look at what others hold: they go with nothing. */
	if (tasks[next].op == OP_TRYLOCK || tasks[next].op == OP_GRACE ||
	    tasks[next].op == OP_CANCEL)
		asleep = 0;
	sched_touch(tasks[next].object);
	switch_to(next, is_end);
}

void sched_touch(const void *object)
{
	for (unsigned i = 1; i <= task_count && asleep != 0; i++)
		if (tasks[i].object == object)
			asleep &= ~(1u << i);
}

void sched_point(enum sched_op op, const void *object)
{
	struct task *t = &tasks[running];

	if (running == 0)
		return;
	if (t->sections > 0 && op != OP_ATOMIC)
		sched_fail("%s in an RCU section", op_names[op]);
	t->op = op;
	t->object = object;
	choose_next(false);
}

/* ---- Sleeping. ---- */

unsigned *sched_owner(const void *mutex)
{
	return (unsigned *)(uintptr_t)mutex;
}

static _Unwind_Reason_Code unwind_step(int version, _Unwind_Action actions,
				       _Unwind_Exception_Class class,
				       struct _Unwind_Exception *exception,
				       struct _Unwind_Context *context, void *arg)
{
	(void)version;
	(void)class;
	(void)exception;
	(void)arg;
	if ((actions & _UA_END_OF_STACK) || _Unwind_GetIP(context) == 0 ||
	    _Unwind_GetRegionStart(context) == (uintptr_t)task_main)
		end_task();
	return _URC_NO_REASON;
}

/* The running thread goes, and on its way its cleanups run: as glibc does it. */
static void unwind(void)
{
	struct task *t = &tasks[running];

	t->was_cancelled = true;
	t->is_cancel_off = true;
#ifdef WITH_ASAN
	extern void __asan_handle_no_return(void);
	__asan_handle_no_return();
#endif
	(void)_Unwind_ForcedUnwind(&t->unwinding, unwind_step, NULL);
	abort();
}

void sched_testcancel(void)
{
	struct task *t = &tasks[running];

	if (t->wants_cancel && !t->is_cancel_off)
		unwind();
}

bool sched_wait(const void *cond, void *mutex, int64_t deadline, bool may_cancel)
{
	struct task *t = &tasks[running];

	sched_point(OP_WAIT, cond);
	if (*sched_owner(mutex) != running)
		sched_fail("waits without the mutex");
	may_cancel = may_cancel && !t->is_cancel_off;
	if (may_cancel)
		sched_testcancel();
	*sched_owner(mutex) = 0;
	sched_touch(mutex);
	t->state = TASK_WAITING;
	t->op = OP_WAIT;
	t->object = cond;
	t->mutex = mutex;
	t->deadline = deadline;
	t->may_cancel = may_cancel;
	t->is_late = false;
	choose_next(false);
	*sched_owner(mutex) = running;
	t->deadline = NEVER;
	if (may_cancel)
		sched_testcancel();
	return !t->is_late;
}

void sched_wake(const void *cond, bool is_for_all)
{
	unsigned sleepers[SCHED_TASKS];
	unsigned count = 0;

	sched_point(is_for_all ? OP_BROADCAST : OP_SIGNAL, cond);
	for (unsigned i = 1; i <= task_count; i++)
		if (tasks[i].state == TASK_WAITING && tasks[i].object == cond)
			sleepers[count++] = i;
	if (count == 0)
		return;
	if (is_exploring && ++signals == limits->drop)
		return;
	unsigned first = 0;

	if (!is_for_all && count > 1 && is_exploring && !is_cut)
		first = path_take(count);
	for (unsigned i = first; i < (is_for_all ? count : first + 1); i++)
		end_sleep(&tasks[sleepers[i]], false);
}

int64_t sched_now(void)
{
	return now;
}

bool sched_cancel_off(bool is_off)
{
	bool was_off = tasks[running].is_cancel_off;

	tasks[running].is_cancel_off = is_off;
	return was_off;
}

/* ---- RCU. ---- */

void sched_section(bool is_open)
{
	if (is_open)
		tasks[running].sections++;
	else
		tasks[running].sections--;
}

bool sched_in_sections(void)
{
	return is_anyone_in_section(0);
}

/* ---- Scenarios. ---- */

void sched_explore(void)
{
	is_exploring = true;
	begin = now;
}

void sched_quiet(void)
{
	is_exploring = false;
	asleep = 0;
	elapsed = now - begin;
}

void sched_join(unsigned task)
{
	sched_point(OP_JOIN, &tasks[task]);
}

bool sched_was_cancelled(unsigned task)
{
	return tasks[task].was_cancelled;
}

void sched_cancel(unsigned task)
{
	struct task *t = &tasks[task];

	sched_point(OP_CANCEL, t);
	t->wants_cancel = true;
	if (t->state == TASK_WAITING && t->may_cancel)
		end_sleep(t, false);
}

void sched_settle(void)
{
	sched_point(OP_PAUSE, NULL);
}

bool sched_is_asleep(unsigned task)
{
	return tasks[task].state == TASK_WAITING;
}

/* ---- The driver. ---- */

static void (*scenario_main)(void);

static void *run_main(void *arg)
{
	(void)arg;
	scenario_main();
	return NULL;
}

void sched_run(void (*main)(void), const struct sched_limits *with, const uint8_t *choices,
	       unsigned count, struct sched_result *result)
{
	limits = with;
	path_begin(choices, count);
	steps = departures = signals = 0;
	asleep = 0;
	is_cut = is_hasty = is_exploring = false;
	begin = elapsed = 0;
	now = START_US;
	task_count = 0;
	running = 0;
	scenario_main = main;
	(void)sched_spawn("main", run_main, NULL);
	switch_to(1, false);
	for (unsigned i = 1; i <= task_count; i++)
		if (tasks[i].state != TASK_ENDED)
			sched_fail("thread %u is left", i);
	*result = (struct sched_result){
		.depth = path_depth(),
		.signals = signals,
		.elapsed = is_hasty ? 0 : elapsed,
		.is_cut = is_cut,
	};
}
