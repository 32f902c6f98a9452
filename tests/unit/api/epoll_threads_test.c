/* Epoll sets: whom an event wakes, and what it costs. */
#include "epoll.h"
#include <signal.h>
#include <stdatomic.h>

enum { MANY = 100000 };

/* ---- Threads. ---- */

static ssize_t run_wait(struct kit_call *call)
{
	struct epoll_event ev;

	return weft_epoll_wait(call->fd, &ev, 1, FOREVER_MS);
}

/* Whoever waits hears of what is added, changed or closed, and of a listener that is shut down. */
static void test_wakes(void)
{
	struct kit_call call;
	struct bed bed;

	open_bed(&bed);
	kit_call_start(&call, bed.set, run_wait);
	add(bed.set, bed.fds[0], EPOLLOUT);
	kit_call_join(&call);
	CU_ASSERT(call.rc == 1);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLIN), 0);
	kit_call_start(&call, bed.set, run_wait);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLOUT), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == 1);
	GIVES(ctl(bed.set, EPOLL_CTL_MOD, bed.fds[0], EPOLLIN), 0);
	kit_call_start(&call, bed.set, run_wait);
	put(bed.fds[1], "x");
	kit_call_join(&call);
	CU_ASSERT(call.rc == 1);
	take(bed.fds[0], 1);
	int listener = kit_listener(bed.kit.a, KIT_A4, 90, 5);

	add(bed.set, listener, EPOLLIN);
	kit_call_start(&call, bed.set, run_wait);
	GIVES(weft_shutdown(listener, SHUT_RD), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == 1);
	GIVES(weft_close(listener), 0);
	kit_call_start(&call, bed.set, run_wait);
	GIVES(weft_close(bed.set), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == -1 && call.error == EBADF);
	bed.set = new_set(bed.kit.a);
	add(bed.set, bed.fds[0], EPOLLIN);
	add(bed.set, bed.fds[1], EPOLLIN);
	kit_call_start(&call, bed.set, run_wait);
	weft_stack_close(bed.kit.a);
	kit_call_join(&call);
	/* EBADF: it began after the close. */
	CU_ASSERT(call.rc == -1 && (call.error == ESHUTDOWN || call.error == EBADF));
	weft_stack_close(bed.kit.b);
}

static atomic_int signals;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

/* kit_call_start leaves the thread with all signals blocked. */
static ssize_t run_pwait(struct kit_call *call)
{
	struct epoll_event ev;
	sigset_t none;

	sigemptyset(&none);
	return weft_epoll_pwait(call->fd, &ev, 1, FOREVER_MS, &none);
}

/* One that comes before the call sleeps ends it as well: nothing is lost in between. */
static ssize_t run_pwait_pending(struct kit_call *call)
{
	struct epoll_event ev;

	(void)pthread_kill(pthread_self(), SIGUSR1);
	/* What is ready goes first, and so does a look that may not sleep. */
	CU_ASSERT(weft_epoll_pwait(call->fd, &ev, 1, 0, &(sigset_t){0}) == 0);
	CU_ASSERT(atomic_load(&signals) == 1);
	return run_pwait(call);
}

/* A mask holds while the call sleeps, and a handler that ran ends it. */
static void test_pwait_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
	struct kit_call call;
	struct epoll_event ev;
	struct bed bed;
	sigset_t all;

	sigaction(SIGUSR1, &action, &before);
	sigfillset(&all);
	open_bed(&bed);
	add(bed.set, bed.fds[0], EPOLLIN);
	kit_call_start(&call, bed.set, run_pwait);
	(void)pthread_kill(call.thread, SIGUSR1);
	kit_call_join(&call);
	CU_ASSERT(call.rc == -1 && call.error == EINTR && atomic_load(&signals) == 1);
	kit_call_start(&call, bed.set, run_pwait_pending);
	kit_call_join(&call);
	CU_ASSERT(call.rc == -1 && call.error == EINTR && atomic_load(&signals) == 2);
	kit_call_start(&call, bed.set, run_pwait);
	put(bed.fds[1], "x");
	kit_call_join(&call);
	CU_ASSERT(call.rc == 1);
	take(bed.fds[0], 1);
	GIVES(weft_epoll_pwait(bed.set, &ev, 1, 20, &all), 0);
	kit_call_start(&call, bed.set, run_pwait);
	GIVES(weft_close(bed.set), 0);
	kit_call_join(&call);
	CU_ASSERT(call.rc == -1 && call.error == EBADF);
	CU_ASSERT(atomic_load(&signals) == 2);
	close_bed(&bed);
	sigaction(SIGUSR1, &before, NULL);
}

enum { WAITERS = 4 };

struct crowd {
	int set;
	atomic_int woken;
	pthread_t threads[WAITERS];
};

static void *wait_once(void *arg)
{
	struct crowd *crowd = arg;
	struct epoll_event ev;

	if (weft_epoll_wait(crowd->set, &ev, 1, FOREVER_MS) == 1)
		atomic_fetch_add(&crowd->woken, 1);
	return NULL;
}

/* One event of an edge wakes one of several threads. */
static void test_one_wakes(void)
{
	struct crowd crowd;
	struct bed bed;

	open_bed(&bed);
	crowd.set = bed.set;
	atomic_init(&crowd.woken, 0);
	add(bed.set, bed.fds[0], EPOLLIN | EPOLLET);
	for (int i = 0; i < WAITERS; i++)
		CU_ASSERT_FATAL(thread_start(&crowd.threads[i], "wait", wait_once, &crowd) == 0);
	for (int round = 1; round <= WAITERS; round++) {
		weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;

		put(bed.fds[1], "x");
		while (atomic_load(&crowd.woken) < round && clock_monotonic_us() < deadline)
			kit_pause();
		for (int i = 0; i < 5; i++)
			kit_pause();
		CU_ASSERT(atomic_load(&crowd.woken) == round);
	}
	for (int i = 0; i < WAITERS; i++)
		thread_join(crowd.threads[i]);
	close_bed(&bed);
}

/* Two sets, each with a thread that waits, and a listener in both: one of them comes. */
static void exclusive_round(struct kit *kit, uint32_t events, int expected)
{
	struct kit_call calls[2];
	int sets[2], fds[3];
	int listener = kit_listener(kit->b, KIT_B4, 80, 5);
	int woken = 0;

	for (int i = 0; i < 2; i++) {
		sets[i] = new_set(kit->b);
		add(sets[i], listener, events);
		kit_call_start(&calls[i], sets[i], run_wait);
	}
	/* Long enough that both sleep, as far as one can tell from outside. */
	for (int i = 0; i < 20; i++)
		kit_pause();
	fds[0] = kit_socket(kit->a, AF_INET);
	GIVES(kit_connect(fds[0], KIT_B4, 80), 0);
	for (int i = 0; i < 20; i++)
		kit_pause();
	fds[1] = weft_accept(listener, NULL, NULL);
	GIVES(weft_close(sets[0]), 0);
	GIVES(weft_close(sets[1]), 0);
	for (int i = 0; i < 2; i++) {
		kit_call_join(&calls[i]);
		woken += calls[i].rc == 1;
	}
	CU_ASSERT(woken == expected);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	GIVES(weft_close(listener), 0);
}

static void test_exclusive(void)
{
	struct kit kit;

	kit_open(&kit);
	exclusive_round(&kit, EPOLLIN, 2);
	exclusive_round(&kit, EPOLLIN | EPOLLEXCLUSIVE, 1);
	kit_close(&kit);
}

/* ---- Cost. ---- */

/* 100,000 sockets in a set: an event costs a look or two. */
static void test_large(void)
{
	static int fds[MANY];
	struct bed bed;

	open_bed(&bed);
	for (int i = 0; i < MANY; i++) {
		fds[i] = kit_socket(bed.kit.a, AF_INET);
		if (ctl(bed.set, EPOLL_CTL_ADD, fds[i], EPOLLRDHUP | EPOLLET) != 0)
			CU_FAIL_FATAL("epoll_ctl");
	}
	/* Idle sockets hang up: each says so once. */
	for (int i = 0; i < MANY; i++) {
		struct epoll_event ev;

		if (weft_epoll_wait(bed.set, &ev, 1, 0) != 1 || ev.events != EPOLLHUP)
			CU_FAIL_FATAL("epoll_wait");
	}
	SAYS(bed.set, 0, 0);
	add(bed.set, bed.fds[0], EPOLLIN);
	uint64_t before = count_of(bed.kit.a, C_READY_LOOKS);

	for (int i = 0; i < 100; i++) {
		put(bed.fds[1], "x");
		SAYS(bed.set, bed.fds[0], EPOLLIN);
		take(bed.fds[0], 1);
	}
	CU_ASSERT(count_of(bed.kit.a, C_READY_LOOKS) - before <= 200);
	for (int i = 0; i < MANY; i++)
		if (weft_close(fds[i]) != 0)
			CU_FAIL("close");
	close_bed(&bed);
}

UNIT_MAIN("epoll_threads", UNIT(wakes), UNIT(pwait_signals), UNIT(one_wakes), UNIT(exclusive),
	  UNIT(large))
