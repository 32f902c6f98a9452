/*
 * Receiver helping: threads that wait for a socket read packets in the RX thread's place.  What a
 * leader gives and gets, everything that ends its waiting, and devices that it cannot lead.
 */
#include "frail.h"
#include "kit.h"
#include "net/base/counters.h"
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ROUNDS = 200, TRIALS = 50 };

static uint64_t count_of(struct weft_stack *stack, enum counter which)
{
	static struct weft_stats stats;

	weft_stack_stats(stack, &stats);
	return stats.counters[which];
}

static void *echo(void *arg)
{
	int fd = *(const int *)arg;
	char bytes[64];
	ssize_t n;

	while ((n = weft_read(fd, bytes, sizeof(bytes))) > 0)
		if (weft_write(fd, bytes, (size_t)n) != n)
			break;
	return NULL;
}

/* Bytes there and back, one at a time. */
static void exchange(int fd, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		char out = (char)i;
		char in = 0;

		GIVES(weft_write(fd, &out, 1), 1);
		GIVES(weft_read(fd, &in, 1), 1);
		CU_ASSERT(in == out);
	}
}

static void run_echo(const struct weft_config *config, uint64_t *led)
{
	struct kit kit;
	pthread_t thread;
	int fds[2];

	kit_open_with(&kit, *config);
	kit_join(&kit, fds);
	CU_ASSERT_FATAL(thread_start(&thread, "echo", echo, &fds[1]) == 0);
	exchange(fds[0], ROUNDS);
	GIVES(weft_shutdown(fds[0], SHUT_WR), 0);
	thread_join(thread);
	*led = count_of(kit.a, C_RX_LED) + count_of(kit.b, C_RX_LED);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

static void test_led(void)
{
	struct weft_config config = kit_config();
	uint64_t led;

	run_echo(&config, &led);
	CU_ASSERT(led > 0);
}

static void test_switches(void)
{
	struct weft_config config = kit_config();
	uint64_t led;

	config.plain_rx = true;
	run_echo(&config, &led);
	CU_ASSERT(led == 0);
	config.plain_rx = false;
	config.plain_threads = true;
	run_echo(&config, &led);
	CU_ASSERT(led == 0);
}

struct blocked {
	int fd;
	bool is_accept;
	ssize_t rc;
	int error;
	atomic_bool is_near; /* about to call */
};

static void *block(void *arg)
{
	struct blocked *b = arg;
	char byte;

	atomic_store(&b->is_near, true);
	b->rc = b->is_accept ? weft_accept(b->fd, NULL, NULL) : weft_read(b->fd, &byte, 1);
	b->error = errno;
	return NULL;
}

static pthread_t start_blocked(struct blocked *b)
{
	pthread_t thread;

	CU_ASSERT_FATAL(thread_start(&thread, "blocked", block, b) == 0);
	while (!atomic_load(&b->is_near))
		sched_yield();
	return thread;
}

/* The thread is before, in, or between its waits: over the trials, all of them. */
static void test_close(void)
{
	for (int trial = 0; trial < TRIALS; trial++) {
		struct blocked b = {.is_accept = trial % 2};
		struct kit kit;
		int fds[2];

		kit_open(&kit);
		kit_join(&kit, fds);
		int listener = kit_listener(kit.b, KIT_B4, 81, 1);
		b.fd = b.is_accept ? listener : fds[1];
		pthread_t thread = start_blocked(&b);
		if (trial % 4 >= 2)
			kit_pause();
		GIVES(weft_close(b.fd), 0);
		thread_join(thread);
		CU_ASSERT(b.rc == -1 && b.error == EBADF);
		GIVES(weft_close(fds[0]), 0);
		GIVES(weft_close(b.is_accept ? fds[1] : listener), 0);
		kit_close(&kit);
	}
}

static void test_stop(void)
{
	for (int trial = 0; trial < TRIALS; trial++) {
		struct blocked b = {.is_accept = trial % 2};
		struct kit kit;
		int fds[2];

		kit_open(&kit);
		kit_join(&kit, fds);
		b.fd = b.is_accept ? kit_listener(kit.b, KIT_B4, 81, 1) : fds[1];
		pthread_t thread = start_blocked(&b);
		if (trial % 4 >= 2)
			kit_pause();
		weft_stack_close(kit.b);
		thread_join(thread);
		CU_ASSERT(b.rc == -1 && (b.error == ESHUTDOWN || b.error == EBADF));
		weft_stack_close(kit.a);
	}
}

static void test_timeout(void)
{
	struct kit kit;
	char byte;
	int fds[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_set_timeout(fds[1], SO_RCVTIMEO, 20);
	weft_time_us start = clock_monotonic_us();
	FAILS(weft_read(fds[1], &byte, 1), EAGAIN);
	CU_ASSERT(clock_monotonic_us() - start >= 20 * US_PER_MS);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

/* A leader that nothing comes for lets another lead; each gets its own. */
static void test_many(void)
{
	enum { CONNS = 8 };
	struct kit kit;
	pthread_t threads[CONNS];
	int fds[CONNS][2];

	kit_open(&kit);
	for (int i = 0; i < CONNS; i++) {
		kit_join(&kit, fds[i]);
		CU_ASSERT_FATAL(thread_start(&threads[i], "echo", echo, &fds[i][1]) == 0);
	}
	for (int i = 0; i < CONNS; i++)
		exchange(fds[i][0], ROUNDS);
	for (int i = 0; i < ROUNDS; i++)
		exchange(fds[i % CONNS][0], 1);
	CU_ASSERT(count_of(kit.b, C_RX_LED) > 0);
	for (int i = 0; i < CONNS; i++) {
		GIVES(weft_shutdown(fds[i][0], SHUT_WR), 0);
		thread_join(threads[i]);
		GIVES(weft_close(fds[i][0]), 0);
		GIVES(weft_close(fds[i][1]), 0);
	}
	kit_close(&kit);
}

/* A burst for many sleepers at once: everybody gets his own, whoever reads and sends. */
static void test_crowd(void)
{
	enum { CONNS = 32 };

	static char bytes[CONNS];
	struct kit kit;
	pthread_t threads[CONNS];
	int fds[CONNS][2];

	kit_open(&kit);
	for (int i = 0; i < CONNS; i++) {
		kit_join(&kit, fds[i]);
		CU_ASSERT_FATAL(thread_start(&threads[i], "echo", echo, &fds[i][1]) == 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CONNS; i++)
			GIVES(weft_write(fds[i][0], "x", 1), 1);
		for (int i = 0; i < CONNS; i++)
			GIVES(weft_read(fds[i][0], &bytes[i], 1), 1);
	}
	exchange(fds[0][0], ROUNDS); /* and back to a leader */
	for (int i = 0; i < CONNS; i++) {
		GIVES(weft_shutdown(fds[i][0], SHUT_WR), 0);
		thread_join(threads[i]);
		GIVES(weft_close(fds[i][0]), 0);
		GIVES(weft_close(fds[i][1]), 0);
	}
	kit_close(&kit);
}

/* ---- A device that fails under its leader. ---- */

/* Nobody spins on a device that is gone. */
static void test_dead_device(void)
{
	static struct frail frail;
	struct weft_dev *ends[2];

	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 1024) == 0);
	struct weft_stack *stack = frail_open(&frail, ends[0], false);
	int fd = kit_listener(stack, KIT_A4, 80, 5);
	int out = kit_socket(stack, AF_INET);
	char byte;

	kit_set_timeout(fd, SO_RCVTIMEO, 5000);
	/* What stays inside of the stack goes on: its readers wait for their time to be up. */
	GIVES(kit_connect(out, KIT_A4, 80), 0);
	int in = weft_accept(fd, NULL, NULL);
	atomic_store(&frail.is_broken, true);
	frail_wake(&frail.dev);
	FAILS(weft_accept(fd, NULL, NULL), ENODEV);
	unsigned before = atomic_load(&frail.waits);

	kit_set_timeout(in, SO_RCVTIMEO, 20);
	FAILS(weft_recv(in, &byte, 1, 0), EAGAIN);
	CU_ASSERT(atomic_load(&frail.waits) == before);
	CU_ASSERT_EQUAL(count_of(stack, C_DEV_FAILED), 1);
	GIVES(weft_send(out, "x", 1, 0), 1);
	kit_set_timeout(in, SO_RCVTIMEO, 5000);
	GIVES(weft_recv(in, &byte, 1, 0), 1);
	GIVES(weft_close(in), 0);
	GIVES(weft_close(out), 0);
	GIVES(weft_close(fd), 0);
	weft_stack_close(stack);
	ends[1]->close(ends[1]);
}

/* Whoever waits for what the device would bring hears of its end. */
static void check_end_told(bool plain_rx)
{
	static struct frail frail;
	struct weft_config config = kit_config();
	struct weft_dev *ends[2];

	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 1024) == 0);
	struct weft_stack *stack = frail_open(&frail, ends[0], plain_rx);
	config.dev = ends[1];
	config.addr = KIT_B4 "/24";
	struct weft_stack *peer = weft_stack_open(&config, NULL, 0);
	CU_ASSERT_FATAL(peer != NULL);
	int there = kit_listener(peer, KIT_B4, 80, 5);
	int fd = kit_socket(stack, AF_INET);
	GIVES(kit_connect(fd, KIT_B4, 80), 0);
	int udp = weft_socket(stack, AF_INET, SOCK_DGRAM, 0);
	int listener = kit_listener(stack, KIT_A4, 80, 5);
	int going = kit_socket(stack, AF_INET);
	struct kit_call calls[4];

	kit_set_timeout(fd, SO_RCVTIMEO, 5000);
	kit_set_timeout(udp, SO_RCVTIMEO, 5000);
	kit_set_timeout(listener, SO_RCVTIMEO, 5000);
	kit_set_timeout(going, SO_SNDTIMEO, 5000);
	kit_call_start(&calls[0], fd, kit_run_recv);
	kit_call_start(&calls[1], udp, kit_run_recv);
	kit_call_start(&calls[2], listener, kit_run_accept);
	kit_call_start(&calls[3], going, kit_run_connect);
	atomic_store(&frail.is_broken, true);
	frail_wake(&frail.dev);
	for (int i = 0; i < 4; i++) {
		kit_call_join(&calls[i]);
		CU_ASSERT(calls[i].rc == -1 && calls[i].error == ENODEV);
	}
	/* Once for a connection, for good for what would wait for ever. */
	char byte;
	GIVES(weft_recv(fd, &byte, 1, 0), 0);
	FAILS(weft_send(fd, "x", 1, 0), EPIPE);
	FAILS(weft_accept(listener, NULL, NULL), ENODEV);
	struct pollfd poll = {.fd = listener, .events = POLLIN};
	GIVES(weft_poll(&poll, 1, 0), 1);
	CU_ASSERT_EQUAL(poll.revents, POLLERR | POLLHUP);
	GIVES(kit_get(listener, SOL_SOCKET, SO_ERROR), ENODEV);
	kit_set_timeout(going, SO_SNDTIMEO, 20);
	FAILS(kit_connect(going, KIT_B4, 80), ENODEV);
	FAILS(weft_listen(kit_socket(stack, AF_INET), 5), ENODEV);
	weft_stack_close(stack);
	GIVES(weft_close(there), 0);
	weft_stack_close(peer);
}

static void test_dead_device_told(void)
{
	check_end_told(false);
	check_end_told(true);
}

/* That it is gone is counted once, whoever finds out. */
static void test_dead_device_counted(void)
{
	static struct frail frail;

	for (int plain_rx = 0; plain_rx < 2; plain_rx++) {
		weft_time_us deadline = clock_monotonic_us() + 5 * US_PER_S;
		struct weft_dev *ends[2];

		CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 1024) == 0);
		struct weft_stack *stack = frail_open(&frail, ends[0], plain_rx);

		CU_ASSERT_EQUAL(count_of(stack, C_DEV_FAILED), 0);
		atomic_store(&frail.is_broken, true);
		frail_wake(&frail.dev);
		while (count_of(stack, C_DEV_FAILED) == 0 && clock_monotonic_us() < deadline)
			kit_pause();
		CU_ASSERT_EQUAL(count_of(stack, C_DEV_FAILED), 1);
		weft_stack_close(stack);
		ends[1]->close(ends[1]);
	}
}

UNIT_MAIN("lead", UNIT(led), UNIT(switches), UNIT(close), UNIT(stop), UNIT(timeout), UNIT(many),
	  UNIT(crowd), UNIT(dead_device), UNIT(dead_device_told), UNIT(dead_device_counted))
