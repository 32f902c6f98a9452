/*
 * weft_ppoll and weft_pselect with a signal mask: it holds for the call, a handler ends it, as Linux has it.
 */
#include "kit.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

/* Names that the linker knows. */
int __real_close(int fd);
int __wrap_close(int fd);

/* Descriptors that this thread closed where it could have been cancelled. */
static _Thread_local int open_closes;

int __wrap_close(int fd)
{
	int old;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	(void)pthread_setcancelstate(old, NULL);
	open_closes += old == PTHREAD_CANCEL_ENABLE;
	return __real_close(fd);
}

static atomic_int signals;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signals, 1);
}

/* thread_start leaves the thread with all signals blocked. */
static ssize_t run_ppoll(struct kit_call *call)
{
	struct pollfd p = {.fd = call->fd, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	return weft_ppoll(&p, 1, NULL, &none);
}

static ssize_t run_pselect(struct kit_call *call)
{
	static _Thread_local weft_fd_set set;
	sigset_t none;

	sigemptyset(&none);
	WEFT_FD_ZERO(&set);
	WEFT_FD_SET(call->fd, &set);
	ssize_t n = weft_pselect(INT_MAX, &set, NULL, NULL, NULL, &none);
	int error = errno;

	CU_ASSERT(WEFT_FD_ISSET(call->fd, &set)); /* ready, or not touched */
	errno = error;
	return n;
}

/* One that comes before the call ends it as well, even where there is no time to sleep. */
static ssize_t run_pending(struct kit_call *call)
{
	const struct timespec now = {0, 0};
	struct pollfd p = {.fd = call->fd, .events = POLLIN | POLLOUT};
	sigset_t none, mask;

	sigemptyset(&none);
	(void)pthread_kill(pthread_self(), SIGUSR1);
	GIVES(weft_ppoll(&p, 1, &now, &none), 1); /* what is ready goes first */
	CU_ASSERT(p.revents == POLLOUT);
	p.events = POLLIN;
	GIVES(weft_ppoll(&p, 1, &now, &none), -1);
	CU_ASSERT(errno == EINTR);
	(void)pthread_kill(pthread_self(), SIGUSR1);
	ssize_t n = run_ppoll(call);
	int error = errno;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
	CU_ASSERT(sigismember(&mask, SIGUSR1)); /* its own again */
	errno = error;
	return n;
}

static void test_mask(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
	ssize_t (*const calls[])(struct kit_call *) = {run_ppoll, run_pselect};
	const struct timespec soon = {0, 20000000};
	struct pollfd p = {.events = POLLIN};
	struct kit_call call;
	struct kit kit;
	sigset_t all;
	int fds[2];
	char byte;

	atomic_store(&signals, 0);
	sigfillset(&all);
	sigaction(SIGUSR1, &action, &before);
	kit_open(&kit);
	kit_join(&kit, fds);
	for (int i = 0; i < 2; i++) {
		kit_call_start(&call, fds[0], calls[i]);
		(void)pthread_kill(call.thread, SIGUSR1);
		kit_call_join(&call);
		CU_ASSERT(call.rc == -1 && call.error == EINTR);
		CU_ASSERT(atomic_load(&signals) == i + 1);
		kit_call_start(&call, fds[0], calls[i]);
		GIVES(weft_write(fds[1], "x", 1), 1);
		kit_call_join(&call);
		CU_ASSERT(call.rc == 1);
		GIVES(weft_read(fds[0], &byte, 1), 1);
	}
	kit_call_start(&call, fds[0], run_pending);
	kit_call_join(&call);
	CU_ASSERT(call.rc == -1 && call.error == EINTR && atomic_load(&signals) == 4);
	p.fd = fds[0];
	GIVES(weft_ppoll(&p, 1, &soon, &all), 0);
	GIVES(weft_ppoll(NULL, 0, &soon, &all), 0);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
	sigaction(SIGUSR1, &before, NULL);
}

/* What a call does besides sleeping is no cancellation point: it would leave memory and wake-ups behind. */
static void test_end(void)
{
	const struct timespec soon = {0, 1000000};
	struct pollfd p = {.events = POLLIN};
	sigset_t none;
	struct kit kit;
	int fds[2];

	sigemptyset(&none);
	kit_open(&kit);
	kit_join(&kit, fds);
	p.fd = fds[0];
	open_closes = 0;
	GIVES(weft_ppoll(&p, 1, &soon, &none), 0);
	CU_ASSERT_EQUAL(open_closes, 0);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("poll_mask", UNIT(mask), UNIT(end))
