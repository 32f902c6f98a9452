/*
 * blocked - many threads that each wait in recv on a connection of their own, and what that costs
 * everybody else: the round trip of one more connection meanwhile, the processor time of the process
 * while nothing comes, the time until a byte for each of them has woken all, memory for each thread.
 *
 *	blocked --threads N [--kernel] [--futex-slots M] [--json]
 *
 * The server is weft on a TUN in a namespace of the process's own or, with the same code, kernel
 * sockets behind a veth pair; its clients are kernel sockets of child processes (root; exit code 77
 * without).
 *
 *	weft:     child processes ---- kernel TCP ---- TUN 10.88.0.2 ==== 10.88.0.1
 *	--kernel: child processes ---- kernel TCP ---- veth 10.88.0.2 ---- veth 10.88.0.1, kernel TCP
 */
#include "common.h"
#include "idle_child.h"
#include "idle_net.h"
#include "idle_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SERVER_ADDR "10.88.0.1"
#define CLIENT_ADDR "10.88.0.2"

/* Linux 6.16; not in older headers. */
#ifndef PR_FUTEX_HASH
#define PR_FUTEX_HASH           78
#define PR_FUTEX_HASH_SET_SLOTS 1
#endif

enum {
	PORT = 5000,
	STACK_SIZE = 64 * 1024,
	QUEUE_MAX = 20000,
	CHILDREN_MAX = 4,
	THREADS_MAX = 30000,
	QUIET_S = 2,
	WAIT_S = 60,
};

struct blocked {
	uint32_t threads;
	uint32_t pings;
	uint32_t futex_slots; /* 0: what the kernel gives */
	bool is_kernel;
	struct line line;

	const struct net_ops *ops;
	struct weft_stack *stack;
	struct child children[CHILDREN_MAX];
	uint32_t child_count;
	int listener;
	int echo_fd;
	int *fds;           /* of the waiting threads */
	pthread_t *waiting; /* them */
	pthread_t echo;
	atomic_uint started;
	atomic_uint woken;
	_Atomic int64_t last_ns; /* when the last one was woken */
	struct hist pings_alone;
	struct hist pings_meanwhile;
};

struct waiter {
	struct blocked *blocked;
	int fd;
};

static int fail(const char *what, int error)
{
	(void)fprintf(stderr, "blocked: %s: %s\n", what, error > 0 ? strerrordesc_np(error) : "?");
	return -1;
}

/* ---- Threads. ---- */

static void *wait_main(void *arg)
{
	struct waiter waiter = *(struct waiter *)arg;
	struct blocked *b = waiter.blocked;
	char byte;

	atomic_fetch_add(&b->started, 1);
	while (b->ops->read(waiter.fd, &byte, 1) > 0)
		if (atomic_fetch_add(&b->woken, 1) + 1 == b->threads)
			atomic_store(&b->last_ns, clock_ns());
	(void)b->ops->close(waiter.fd);
	return NULL;
}

static void *echo_main(void *arg)
{
	struct blocked *b = arg;
	char byte;

	while (b->ops->read(b->echo_fd, &byte, 1) > 0)
		if (b->ops->write(b->echo_fd, &byte, 1) < 0)
			break;
	(void)b->ops->close(b->echo_fd);
	return NULL;
}

/* Waits until '*value' is 'wanted' and the process has done nothing for a moment. */
static int wait_quiet(const atomic_uint *value, uint32_t wanted)
{
	int64_t deadline = clock_ns() + (int64_t)WAIT_S * 1000000000;
	int64_t before;

	do {
		before = cpu_ns();
		pause_us(20000);
		if (clock_ns() > deadline)
			return fail("threads do not come to rest", 0);
	} while (atomic_load(value) != wanted || cpu_ns() - before > 2000000);
	return 0;
}

static int start_threads(struct blocked *b, struct waiter *waiters)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error == 0)
		error = pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (uint32_t i = 0; i < b->threads && error == 0; i++) {
		waiters[i] = (struct waiter){.blocked = b, .fd = b->fds[i]};
		error = pthread_create(&b->waiting[i], &attr, wait_main, &waiters[i]);
	}
	if (error != 0)
		return fail("thread", error);
	(void)pthread_attr_destroy(&attr);
	return wait_quiet(&b->started, b->threads);
}

/* ---- Network and connections. ---- */

static int start_children(struct blocked *b)
{
	int rc = 0;

	b->child_count = b->threads / CHILD_CONNS_MAX + 1;
	for (uint32_t i = 0; i < b->child_count && rc == 0; i++)
		rc = child_start(&b->children[i]);
	return rc;
}

/* A namespace for the clients, another one for this process, a veth pair between them. */
static int make_veth(const struct blocked *b)
{
	char text[128];
	int rc = net_unshare();

	if (rc < 0)
		return rc;
	net_tune();
	(void)snprintf(text, sizeof(text), "link add wv0 type veth peer name wv1 netns %d",
		       (int)b->children[0].pid);
	if (net_ip(text) < 0 || net_ip("addr add " SERVER_ADDR "/24 dev wv0") < 0 ||
	    net_ip("link set wv0 up") < 0)
		return -EPERM;
	(void)snprintf(text, sizeof(text), "/proc/%d/ns/net", (int)b->children[0].pid);
	int theirs = open(text, O_RDONLY | O_CLOEXEC);
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (theirs < 0 || own < 0 || setns(theirs, CLONE_NEWNET) < 0)
		return -errno;
	bool is_up = net_ip("addr add " CLIENT_ADDR "/24 dev wv1") == 0 &&
		     net_ip("link set wv1 up") == 0;

	rc = setns(own, CLONE_NEWNET) < 0 ? -errno : 0;
	(void)close(theirs);
	(void)close(own);
	return is_up ? rc : -EPERM;
}

static int open_weft(struct blocked *b)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	char why[200] = "";

	config.addr = SERVER_ADDR "/24";
	config.peer = CLIENT_ADDR;
	b->stack = weft_stack_open(&config, why, sizeof(why));
	if (!b->stack) {
		(void)fprintf(stderr, "blocked: %s\n", why);
		return -EIO;
	}
	net_set_queue(weft_stack_dev_name(b->stack), QUEUE_MAX);
	return 0;
}

static int open_network(struct blocked *b)
{
	int rc = b->is_kernel || access("/dev/net/tun", R_OK | W_OK) == 0 ? net_unshare() : -errno;

	if (rc < 0) {
		(void)fprintf(stderr, "skipped: a namespace and TUN need root: %s\n",
			      strerrordesc_np(-rc));
		exit(EXIT_SKIPPED);
	}
	net_tune();
	raise_descriptor_limit();
	/* Before there are threads. */
	rc = start_children(b);
	if (rc == 0)
		rc = b->is_kernel ? make_veth(b) : open_weft(b);
	return rc < 0 ? fail("network", -rc) : 0;
}

static int open_listener(struct blocked *b)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	(void)inet_pton(AF_INET, SERVER_ADDR, &in.sin_addr);
	b->listener = b->ops->socket(AF_INET, SOCK_STREAM, 0);
	if (b->listener < 0 ||
	    b->ops->bind(b->listener, (const struct sockaddr *)&in, sizeof(in)) < 0 ||
	    b->ops->listen(b->listener, 4096) < 0)
		return fail("listen", errno);
	return 0;
}

/* 'count' more connections of a child, accepted into 'fds'. */
static int open_conns(struct blocked *b, const struct child *child, uint32_t first, uint32_t count,
		      int *fds)
{
	static uint16_t ports[CHILD_CONNS_MAX];
	struct child_target to = {.port = PORT, .ports = 1};

	(void)inet_pton(AF_INET, SERVER_ADDR, &to.addr);
	if (child_open(child, &to, first, count) < 0)
		return fail("client process", ECHILD);
	for (uint32_t i = 0; i < count; i++) {
		fds[i] = b->ops->accept(b->listener, NULL, NULL);
		if (fds[i] < 0)
			return fail("accept", errno);
		(void)net_set_int(b->ops, fds[i], IPPROTO_TCP, TCP_NODELAY, 1);
	}
	int error = child_answer(child, NULL, ports, count);

	return error == 0 ? 0 : fail("client process", error);
}

static int open_all(struct blocked *b)
{
	uint32_t done = 0;
	int rc = open_conns(b, &b->children[0], 0, 1, &b->echo_fd);

	for (uint32_t i = 0; i < b->child_count && rc == 0; i++) {
		uint32_t room = i == 0 ? CHILD_CONNS_MAX - 1 : CHILD_CONNS_MAX;
		uint32_t count = b->threads - done < room ? b->threads - done : room;

		rc = open_conns(b, &b->children[i], done + 1, count, b->fds + done);
		done += count;
	}
	return rc;
}

/* ---- Measurements. ---- */

static int ping(const struct blocked *b, struct hist *times)
{
	if (child_ping(&b->children[0], 0, b->pings) < 0)
		return fail("client process", ECHILD);
	int error = child_answer(&b->children[0], times, NULL, 0);

	return error == 0 ? 0 : fail("round trips", error);
}

/* Milliseconds until a byte for each thread has woken all; negative: failed. */
static double wake_all(struct blocked *b)
{
	int64_t start = clock_ns();
	int error = 0;

	for (uint32_t i = 0; i < b->child_count; i++)
		if (child_byte(&b->children[i], 0) < 0)
			return fail("client process", ECHILD);
	for (uint32_t i = 0; i < b->child_count && error == 0; i++)
		error = child_answer(&b->children[i], NULL, NULL, 0);
	if (error != 0)
		return fail("a byte for each", error);
	while (atomic_load(&b->last_ns) == 0) {
		if (clock_ns() - start > (int64_t)WAIT_S * 1000000000)
			return fail("threads were not woken", 0);
		pause_us(1000);
	}
	return (double)(atomic_load(&b->last_ns) - start) / 1e6;
}

struct result {
	double bytes_per_conn;
	double bytes_per_thread;
	double cpu_percent;
	double wake_ms;
};

static void report(struct blocked *b, const struct result *result)
{
	struct line *line = &b->line;

	line_begin(line, "blocked");
	line_text(line, "sockets", b->is_kernel ? "kernel" : "weft");
	line_count(line, "threads", b->threads);
	line_count(line, "futex_slots", b->futex_slots);
	line_number(line, "rtt_alone_p50_us", hist_us(&b->pings_alone, 0.5));
	line_number(line, "rtt_alone_p99_us", hist_us(&b->pings_alone, 0.99));
	line_number(line, "rtt_p50_us", hist_us(&b->pings_meanwhile, 0.5));
	line_number(line, "rtt_p99_us", hist_us(&b->pings_meanwhile, 0.99));
	line_number(line, "idle_cpu_percent", result->cpu_percent);
	line_number(line, "wake_all_ms", result->wake_ms);
	line_number(line, "bytes_per_conn", result->bytes_per_conn);
	line_number(line, "bytes_per_thread", result->bytes_per_thread);
	line_end(line);
}

static int measure(struct blocked *b, struct waiter *waiters)
{
	struct result result;
	uint64_t before = mem_now();
	int error;

	if (open_all(b) < 0)
		return -1;
	result.bytes_per_conn = (double)(mem_now() - before) / b->threads;
	error = pthread_create(&b->echo, NULL, echo_main, b);
	if (error != 0)
		return fail("thread", error);
	if (ping(b, &b->pings_alone) < 0)
		return -1;
	before = mem_now();
	if (start_threads(b, waiters) < 0)
		return -1;
	result.bytes_per_thread = (double)(mem_now() - before) / b->threads;
	int64_t cpu = cpu_ns();

	pause_us(QUIET_S * 1000000);
	result.cpu_percent = (double)(cpu_ns() - cpu) / (QUIET_S * 1e9) * 100;
	if (ping(b, &b->pings_meanwhile) < 0)
		return -1;
	result.wake_ms = wake_all(b);
	if (result.wake_ms < 0)
		return -1;
	report(b, &result);
	return 0;
}

static int finish(struct blocked *b)
{
	int error = 0;

	for (uint32_t i = 0; i < b->child_count && error == 0; i++)
		error = child_close(&b->children[i]) < 0
				? ECHILD
				: child_answer(&b->children[i], NULL, NULL, 0);
	if (error != 0)
		return fail("client process", error);
	for (uint32_t i = 0; i < b->threads; i++)
		(void)pthread_join(b->waiting[i], NULL);
	(void)pthread_join(b->echo, NULL);
	(void)b->ops->close(b->listener);
	for (uint32_t i = 0; i < b->child_count; i++)
		child_end(&b->children[i]);
	weft_stack_close(b->stack);
	return 0;
}

/*
 * Since Linux 6.16 a process has a hash table of sleepers of its own, of 16 chains for two cores: with
 * 10,000 sleeping threads each wake-up walks hundreds of them, unless it is asked for more.
 */
static void set_futex_slots(const struct blocked *b)
{
	if (b->futex_slots > 0 &&
	    prctl(PR_FUTEX_HASH, PR_FUTEX_HASH_SET_SLOTS, b->futex_slots, 0, 0) < 0)
		(void)fail("futex slots", errno);
}

static int run(struct blocked *b)
{
	struct waiter *waiters = calloc(b->threads, sizeof(*waiters));
	int rc = -1;

	set_futex_slots(b);
	b->ops = b->is_kernel ? &net_ops_kernel : &net_ops_weft;
	b->fds = calloc(b->threads, sizeof(*b->fds));
	b->waiting = calloc(b->threads, sizeof(*b->waiting));
	if (!waiters || !b->fds || !b->waiting)
		(void)fail("memory", ENOMEM);
	else if (open_network(b) == 0 && open_listener(b) == 0 && measure(b, waiters) == 0)
		rc = finish(b);
	free(waiters);
	free(b->fds);
	free(b->waiting);
	return rc;
}

static _Noreturn void help(void)
{
	(void)fputs("usage: blocked --threads N [--kernel] [--pings N] [--futex-slots N]\n"
		    "               [--json]\n",
		    stdout);
	exit(0);
}

static _Noreturn void usage_error(const char *text)
{
	(void)fprintf(stderr, "blocked: bad argument '%s'; try --help\n", text);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"threads", required_argument, NULL, 't'},
		{"pings", required_argument, NULL, 'p'},
		{"futex-slots", required_argument, NULL, 'f'},
		{"kernel", no_argument, NULL, 'k'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	static struct blocked b = {.threads = 1000, .pings = 2000};
	uint64_t number;
	int option;

	b.line.out = stdout;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'k')
			b.is_kernel = true;
		else if (option == 'j')
			b.line.is_json = true;
		else if (option == 'h')
			help();
		else if (option == '?')
			exit(2); /* getopt has said why */
		else if (!parse_number(optarg, THREADS_MAX, &number) || !number)
			usage_error(optarg);
		else if (option == 't')
			b.threads = (uint32_t)number;
		else if (option == 'f')
			b.futex_slots = (uint32_t)number;
		else
			b.pings = (uint32_t)number;
	}
	if (optind < argc)
		usage_error(argv[optind]);
	return run(&b) == 0 ? 0 : 1;
}
