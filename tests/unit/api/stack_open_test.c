/*
 * Opening and closing stacks: refusals, several at once, the default one, blocked callers at close.
 */
#include "kit.h"
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

/* Whether the thread takes the signal: a bit of the mask in its status. */
static bool takes_signal(const char *task, int signal)
{
	char path[300], line[200];
	unsigned long long blocked = ~0ULL;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "SigBlk:", 7) == 0)
			blocked = strtoull(line + 7, NULL, 16);
	if (file)
		(void)fclose(file);
	return !(blocked >> (signal - 1) & 1);
}

struct threads {
	unsigned count;
	unsigned handlers; /* those that SIGTERM may come to */
};

static struct threads count_threads(void)
{
	struct threads threads = {0};
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *task;

	CU_ASSERT_FATAL(dir != NULL);
	while ((task = readdir(dir))) {
		if (task->d_name[0] == '.')
			continue;
		threads.count++;
		threads.handlers += takes_signal(task->d_name, SIGTERM);
	}
	(void)closedir(dir);
	return threads;
}

/*
 * The first test, for threads that begin once in a process.  An open that went well has all that there will
 * ever be: no later call can fail for want of one.  None of them is the program's to handle its signals.
 */
static void test_threads(void)
{
	struct threads before = count_threads();
	struct kit kit;

	kit_open(&kit);
	struct threads open = count_threads();

	CU_ASSERT(open.count > before.count);
	CU_ASSERT_EQUAL(open.handlers, before.handlers);
	GIVES(weft_close(kit_socket(kit.a, AF_INET)), 0);
	CU_ASSERT(kit_quiet(kit.a)); /* what was deferred has run */
	struct threads used = count_threads();

	CU_ASSERT_EQUAL(used.count, open.count);
	CU_ASSERT_EQUAL(used.handlers, before.handlers);
	kit_close(&kit);
}

static void test_refusals(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_dev *ends[2];
	char why[100];

	CU_ASSERT(weft_stack_open(NULL, why, sizeof(why)) == NULL && errno == EINVAL);
	CU_ASSERT(weft_stack_open(&config, why, sizeof(why)) == NULL && errno == EINVAL);
	CU_ASSERT(strstr(why, "addr") != NULL);
	CU_ASSERT(weft_stack_open(&config, NULL, 0) == NULL && errno == EINVAL);
	CU_ASSERT(weft_stack_open(&config, why, 3) == NULL && strlen(why) == 2);
	/* A device that was given is closed by an open that fails. */
	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 16) == 0);
	config.dev = ends[0];
	CU_ASSERT(weft_stack_open(&config, why, sizeof(why)) == NULL && errno == EINVAL);
	config.dev = ends[1];
	config.addr = KIT_A4 "/24";
	config.capture = "/no/such/folder/x.pcapng";
	CU_ASSERT(weft_stack_open(&config, why, sizeof(why)) == NULL && errno == ENOENT);
	CU_ASSERT(strstr(why, "/no/such") != NULL);
	weft_stack_close(NULL);
}

static void test_bad_tun_descriptor(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[100] = "";
	int pipes[2];

	CU_ASSERT_FATAL(pipe(pipes) == 0);
	config.tun_fd = pipes[0];
	config.addr = KIT_A4 "/24";
	CU_ASSERT(weft_stack_open(&config, why, sizeof(why)) == NULL);
	CU_ASSERT(why[0] != '\0');
	CU_ASSERT(fcntl(pipes[0], F_GETFL) == -1 && errno == EBADF); /* it was weft's to close */
	(void)close(pipes[1]);
}

static void test_default_stack(void)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	struct kit kit;

	FAILS(weft_socket(NULL, AF_INET, SOCK_STREAM, 0), ENETDOWN);
	kit_open(&kit);
	int fd = kit_socket(NULL, AF_INET);
	GIVES(kit_bind(fd, KIT_A4, 80), 0); /* the older one's address */
	GIVES(weft_getsockname(fd, (struct sockaddr *)(void *)&in, &len), 0);
	GIVES(weft_close(fd), 0);
	weft_stack_close(kit.a);
	fd = kit_socket(NULL, AF_INET);
	GIVES(kit_bind(fd, KIT_B4, 80), 0);
	GIVES(weft_close(fd), 0);
	weft_stack_close(kit.b);
	FAILS(weft_socket(NULL, AF_INET, SOCK_STREAM, 0), ENETDOWN);
}

/* A handle of a closed stack is EBADF; the other stack goes on. */
static void test_close_ends_handles(void)
{
	struct kit kit;
	int fds[2];
	char byte;

	kit_open(&kit);
	kit_join(&kit, fds);
	int bound = kit_socket(kit.b, AF_INET);
	GIVES(kit_bind(bound, KIT_B4, 99), 0);
	int fresh = kit_socket(kit.b, AF_INET6);
	int listener = kit_listener(kit.b, KIT_B4, 80, 5);
	int queued = kit_socket(kit.a, AF_INET);
	GIVES(kit_connect(queued, KIT_B4, 80), 0);
	kit_await_conns(kit.b, 2);
	weft_stack_close(kit.b);
	FAILS(weft_recv(fds[1], &byte, 1, 0), EBADF);
	FAILS(weft_close(bound), EBADF);
	FAILS(weft_close(fresh), EBADF);
	FAILS(weft_accept(listener, NULL, NULL), EBADF);
	FAILS(kit_await(fds[0]), ECONNRESET);
	FAILS(kit_await(queued), ECONNRESET);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(queued), 0);
	CU_ASSERT(kit_quiet(kit.a));
	weft_stack_close(kit.a);
}

/* Calls of every kind that are blocked when the stack closes wake with ESHUTDOWN. */
static void test_close_wakes(void)
{
	struct kit_call calls[4];
	struct kit kit;
	int fds[2];
	int more[2];

	kit_open(&kit);
	kit_join(&kit, fds);
	kit_join(&kit, more);
	kit_call_start(&calls[0], fds[0], kit_run_recv);
	kit_call_start(&calls[1], more[0], kit_run_send);
	kit_call_start(&calls[2], kit_listener(kit.a, KIT_A4, 80, 5), kit_run_accept);
	kit_call_start(&calls[3], kit_socket(kit.a, AF_INET), kit_run_connect);
	weft_stack_close(kit.a);
	for (int i = 0; i < 4; i++) {
		kit_call_join(&calls[i]);
		if (calls[i].error != ESHUTDOWN)
			printf("call %d: %zd, %s\n", i, calls[i].rc,
			       strerrorname_np(calls[i].error));
		/* A call that had not begun yet finds its handle gone. */
		CU_ASSERT(calls[i].rc == -1 &&
			  (calls[i].error == ESHUTDOWN || calls[i].error == EBADF));
	}
	GIVES(weft_close(fds[1]), 0);
	GIVES(weft_close(more[1]), 0);
	CU_ASSERT(kit_quiet(kit.b));
	weft_stack_close(kit.b);
}

/* A capture and faults on the way: data arrives all the same. */
static void test_capture_and_faults(void)
{
	static char bytes[200000];
	const struct weft_fault faults = {.seed = 3, .loss_ppm = 20000, .reorder_ppm = 20000};
	struct weft_config config = kit_config();
	char path[] = "/tmp/weft_capture_XXXXXX";
	struct kit_call call;
	struct kit kit;
	int fds[2];

	int file = mkstemp(path);
	CU_ASSERT_FATAL(file >= 0);
	config.faults = &faults;
	config.sndbuf = 300000;
	kit_open_with(&kit, config);
	kit_join(&kit, fds);
	GIVES(weft_send(fds[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	GIVES(weft_recv(fds[1], bytes, sizeof(bytes), MSG_WAITALL), sizeof(bytes));
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
	struct weft_dev *ends[2];
	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 16) == 0);
	ends[1]->close(ends[1]);
	config = kit_config();
	config.dev = ends[0];
	config.addr = KIT_A4 "/24";
	config.capture = path;
	struct weft_stack *stack = weft_stack_open(&config, NULL, 0);
	CU_ASSERT_FATAL(stack != NULL);
	kit_call_start(&call, kit_socket(stack, AF_INET), kit_run_connect);
	weft_stack_close(stack);
	kit_call_join(&call);
	CU_ASSERT(lseek(file, 0, SEEK_END) > 100); /* the SYN is in it */
	(void)close(file);
	(void)unlink(path);
}

static void test_many_rounds(void)
{
	for (int i = 0; i < 20; i++) {
		struct kit kit;
		int fds[2];
		kit_open(&kit);
		kit_join(&kit, fds);
		weft_stack_close(i & 1 ? kit.a : kit.b);
		weft_stack_close(i & 1 ? kit.b : kit.a);
		FAILS(weft_close(fds[0]), EBADF);
		FAILS(weft_close(fds[1]), EBADF);
	}
}

/* A clock that runs a hundred times as fast as the real one, from a moment of its own. */
enum { FAST = 100 };

static const int64_t fast_epoch = INT64_C(1) << 50;

static int64_t real_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000) + ts.tv_nsec / 1000;
}

static int64_t fast_now(void *ctx)
{
	const int64_t *start = ctx;

	return fast_epoch + (real_us() - *start) * FAST;
}

static int fast_wait(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	const int64_t *start = ctx;

	if (deadline == INT64_MAX)
		return pthread_cond_wait(cond, mutex);
	int64_t us = deadline > fast_epoch ? *start + (deadline - fast_epoch) / FAST + 1 : 0;
	const struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	return pthread_cond_timedwait(cond, mutex, &ts);
}

static void test_own_clock(void)
{
	int64_t start = real_us();
	const struct weft_clock clock = {.ctx = &start, .now = fast_now, .wait = fast_wait};
	struct weft_config config = kit_config();
	struct kit kit;
	char byte;
	int fds[2];

	config.clock = &clock;
	config.rto_min_ms = 1000;
	kit_open_with(&kit, config);
	kit_join(&kit, fds);
	GIVES(weft_send(fds[0], "x", 1, 0), 1);
	GIVES(weft_recv(fds[1], &byte, 1, 0), 1);
	/* Twenty seconds of its time: a timeout by the real clock would take as long as it says. */
	kit_set_timeout(fds[1], SO_RCVTIMEO, 20000);
	int64_t before = fast_now(&start);
	int64_t real_before = real_us();
	FAILS(weft_recv(fds[1], &byte, 1, 0), EAGAIN);
	CU_ASSERT(fast_now(&start) - before >= INT64_C(20000000));
	CU_ASSERT(real_us() - real_before < INT64_C(20000000));
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("stack_open", UNIT(threads), UNIT(refusals), UNIT(bad_tun_descriptor),
	  UNIT(default_stack), UNIT(close_ends_handles), UNIT(close_wakes),
	  UNIT(capture_and_faults), UNIT(many_rounds), UNIT(own_clock))
