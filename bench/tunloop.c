/*
 * tunloop - the ceiling of the TUN device: a kernel's TCP socket on one side, on the other a loop
 * that does as little as a TCP can (tunloop_tcp.c).  What it reaches, no stack on this device can
 * exceed; what weft loses against it, weft's own work costs.
 *
 * Threads: the main thread measures; each queue has a loop thread (--cpu), each connection a thread
 * with the kernel's socket (--peer-cpu).  With two queues those of the second have them the other way
 * round.
 */
#include "tunloop.h"

#include "common.h"
#include "opts.h"
#include "perf_proto.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	OPT_MODE = APP_OPTION_FIRST,
	OPT_OFFLOAD,
	OPT_MTU,
	OPT_SECONDS,
	OPT_SIZE,
	OPT_TUN,
	OPT_ADDR,
	OPT_PEER,
	OPT_COPY,
	OPT_IO,
	OPT_QUEUES,
	OPT_STREAMS,
	OPT_BUFFERS,
	OPT_CPU,
	OPT_PEER_CPU,
	OPT_HELP,
};

enum { PEER_BUF = 256 * 1024, APP_ROOM = 128 * 1024, SEND_ROOM = 1024 * 1024 };

static const struct option options[] = {
	{"mode", required_argument, NULL, OPT_MODE},
	{"offload", required_argument, NULL, OPT_OFFLOAD},
	{"mtu", required_argument, NULL, OPT_MTU},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"size", required_argument, NULL, OPT_SIZE},
	{"tun", required_argument, NULL, OPT_TUN},
	{"addr", required_argument, NULL, OPT_ADDR},
	{"peer", required_argument, NULL, OPT_PEER},
	{"copy", required_argument, NULL, OPT_COPY},
	{"io", required_argument, NULL, OPT_IO},
	{"queues", required_argument, NULL, OPT_QUEUES},
	{"streams", required_argument, NULL, OPT_STREAMS},
	{"buffers", required_argument, NULL, OPT_BUFFERS},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"peer-cpu", required_argument, NULL, OPT_PEER_CPU},
	{"help", no_argument, NULL, OPT_HELP},
	{NULL, 0, NULL, 0},
};

static const char usage[] =
	"Usage: tunloop --mode sink|source|echo --addr A/PLEN --peer A [options]\n"
	"Measures a TUN interface with a kernel socket on one side and a loop on the other that "
	"does\n"
	"the least TCP there can be.  Run it in a network namespace of its own.  Prints one JSON "
	"line.\n"
	"\n"
	"  --mode MODE          sink: the kernel sends; source: the loop sends; echo: messages "
	"there\n"
	"                       and back, answered in the reading thread\n"
	"  --addr, --peer       the loop's IPv4 address, the kernel's\n"
	"  --tun NAME           default: tl0\n"
	"  --offload 0|1        default: 1\n"
	"  --mtu N              default: 1500\n"
	"  --seconds N          default: 2\n"
	"  --size N             echo: bytes a message, at most the MTU - 40; default: 1\n"
	"  --copy 0|1           sink: copy the payload to an application's buffer (default 1);\n"
	"                       source: copy it to a send buffer first (default 0)\n"
	"  --io plain|uring|napi   read and writev; batches by io_uring (without offload, MTU up "
	"to\n"
	"                       2000, one queue); plain with IFF_NAPI\n"
	"  --queues 1|2         of the interface, with a connection and a thread each\n"
	"  --streams N          connections, at most 8, which share the threads (default: one a "
	"queue)\n"
	"  --buffers N          sink: frames go into N buffers by turns (64 to 4096), and the "
	"payload is\n"
	"                       copied when a batch has been dealt with, as a stack has to\n"
	"  --cpu N, --peer-cpu N   pin the loop's thread, the kernel socket's\n";

static const struct app app = {.name = "tunloop"};

struct peer {
	const struct loop_options *opt;
	struct loop_worker *worker;
	int cpu;
	int fd;
	pthread_t thread;
	pthread_barrier_t *connected;
	bool is_stopping; /* atomic */
	/* Written by the thread, read when it has ended. */
	bool has_failed;
	struct perf_histogram *latency;
};

/* ---- The kernel's side. ---- */

static int connect_peer(struct peer *peer)
{
	const struct timeval limit = {.tv_sec = 5};
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)(LOOP_PORT + peer->worker->index))};
	int one = 1;

	memcpy(&addr.sin_addr, peer->opt->addr4, 4);
	(void)setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(peer->fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0) {
		app_say_error(&app, "cannot set TCP_CONGESTION to cubic", errno);
		return -1;
	}
	/* The byte makes the kernel repeat itself until the loop knows of the connection. */
	if (connect(peer->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    (peer->opt->mode == LOOP_SOURCE && send(peer->fd, "x", 1, MSG_NOSIGNAL) != 1)) {
		app_say_error(&app, "connect", errno);
		return -1;
	}
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool exchange(struct peer *peer, uint8_t *buf)
{
	int64_t start = now_ns();
	size_t done = 0;

	if (send(peer->fd, buf, peer->opt->size, MSG_NOSIGNAL) != (ssize_t)peer->opt->size)
		return false;
	while (done < peer->opt->size) {
		ssize_t n = recv(peer->fd, buf, peer->opt->size - done, 0);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	perf_histogram_add(peer->latency, (uint64_t)(now_ns() - start));
	return true;
}

static void *run_peer(void *arg)
{
	struct peer *peer = arg;
	uint8_t *buf = calloc(1, PEER_BUF);
	bool is_good = true;

	loop_pin(peer->cpu);
	peer->has_failed = !buf || connect_peer(peer) < 0;
	(void)pthread_barrier_wait(peer->connected);
	while (is_good && !peer->has_failed &&
	       !__atomic_load_n(&peer->is_stopping, __ATOMIC_ACQUIRE)) {
		if (peer->opt->mode == LOOP_ECHO)
			is_good = exchange(peer, buf);
		else if (peer->opt->mode == LOOP_SINK)
			is_good = send(peer->fd, buf, PEER_BUF / 2, MSG_NOSIGNAL) > 0;
		else
			is_good = recv(peer->fd, buf, PEER_BUF, 0) > 0;
	}
	/* Before the end of the measurement nothing may end a connection. */
	if (!is_good && !__atomic_load_n(&peer->is_stopping, __ATOMIC_ACQUIRE))
		peer->has_failed = true;
	free(buf);
	return NULL;
}

/* ---- Measuring. ---- */

struct sample {
	int64_t at_ns;
	uint64_t bytes;
	uint64_t frames;
	uint64_t timeouts;
	uint64_t cpu_us;
	uint64_t loop_cpu_ns;
};

static struct sample take_sample(const struct loop_options *opt, struct loop_worker *workers)
{
	struct sample sample = {.at_ns = now_ns(), .cpu_us = perf_cpu_us()};

	for (unsigned i = 0; i < opt->streams; i++) {
		struct loop_worker *w = &workers[i];
		struct timespec cpu = {0};
		clockid_t clock;

		sample.bytes += __atomic_load_n(&w->bytes, __ATOMIC_RELAXED);
		sample.frames += __atomic_load_n(&w->frames, __ATOMIC_RELAXED);
		sample.timeouts += __atomic_load_n(&w->timeouts, __ATOMIC_RELAXED);
		if (i < opt->queues && pthread_getcpuclockid(w->thread, &clock) == 0)
			(void)clock_gettime(clock, &cpu);
		sample.loop_cpu_ns += (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
	}
	return sample;
}

static const char *mode_name(enum loop_mode mode)
{
	static const char *const names[] = {"sink", "source", "echo"};

	return names[mode];
}

static const char *io_name(enum loop_io io)
{
	static const char *const names[] = {"plain", "uring", "napi"};

	return names[io];
}

static int print_report(const struct loop_options *opt, const struct sample *from,
			const struct sample *to, const struct perf_histogram *latency)
{
	double seconds = (double)(to->at_ns - from->at_ns) / 1e9;

	(void)printf("{\"name\":\"tunloop\",\"mode\":\"%s\",\"io\":\"%s\",\"offload\":%d,"
		     "\"copy\":%d,\"mtu\":%u,\"queues\":%u,\"streams\":%u,\"buffers\":%u,"
		     "\"seconds\":%.6f,"
		     "\"bits_per_second\":%.0f,\"frames_per_second\":%.0f,\"timeouts\":%" PRIu64
		     ",",
		     mode_name(opt->mode), io_name(opt->io), opt->has_offload, opt->has_copy,
		     opt->mtu, opt->queues, opt->streams, opt->buffers, seconds,
		     (double)(to->bytes - from->bytes) * 8 / seconds,
		     (double)(to->frames - from->frames) / seconds, to->timeouts - from->timeouts);
	if (opt->mode == LOOP_ECHO)
		(void)printf("\"size\":%u,\"transactions\":%" PRIu64
			     ",\"rate\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,",
			     opt->size, latency->total, (double)latency->total / seconds,
			     (double)perf_histogram_quantile(latency, 0.5) / 1e3,
			     (double)perf_histogram_quantile(latency, 0.99) / 1e3,
			     (double)perf_histogram_quantile(latency, 0.999) / 1e3);
	(void)printf("\"cpu_seconds\":%.6f,\"loop_cpu_seconds\":%.6f}\n",
		     (double)(to->cpu_us - from->cpu_us) / 1e6,
		     (double)(to->loop_cpu_ns - from->loop_cpu_ns) / 1e9);
	return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
}

static void stop_all(const struct loop_options *opt, struct loop_worker *workers,
		     struct peer *peers)
{
	for (unsigned i = 0; i < opt->streams; i++) {
		__atomic_store_n(&peers[i].is_stopping, true, __ATOMIC_RELEASE);
		(void)shutdown(peers[i].fd, SHUT_RDWR);
		(void)pthread_join(peers[i].thread, NULL);
		(void)close(peers[i].fd);
	}
	for (unsigned i = 0; i < opt->queues; i++) {
		__atomic_store_n(&workers[i].is_stopping, true, __ATOMIC_RELEASE);
		(void)pthread_join(workers[i].thread, NULL);
	}
}

static void check_thread(int rc)
{
	if (rc == 0)
		return;
	app_say_error(&app, "thread", rc);
	exit(EXIT_FAILED);
}

static int measure(const struct loop_options *opt, struct loop_worker *workers, struct peer *peers)
{
	const struct timespec span = {.tv_sec = opt->seconds};
	struct perf_histogram *latency = peers[0].latency;
	pthread_barrier_t connected;
	struct sample from, to;
	bool has_failed = false;

	(void)pthread_barrier_init(&connected, NULL, opt->streams + 1);
	for (unsigned i = 0; i < opt->streams; i++) {
		peers[i].connected = &connected;
		if (i < opt->queues)
			check_thread(
				pthread_create(&workers[i].thread, NULL, loop_run, &workers[i]));
		check_thread(pthread_create(&peers[i].thread, NULL, run_peer, &peers[i]));
	}
	(void)pthread_barrier_wait(&connected);
	for (unsigned i = 0; i < opt->streams; i++)
		has_failed = has_failed || peers[i].has_failed;
	from = take_sample(opt, workers);
	if (!has_failed)
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
	to = take_sample(opt, workers);
	stop_all(opt, workers, peers);
	(void)pthread_barrier_destroy(&connected);
	for (unsigned i = 0; i < opt->streams; i++)
		if (peers[i].has_failed && !has_failed) {
			app_say(&app, "a connection broke");
			has_failed = true;
		}
	if (has_failed)
		return EXIT_FAILED;
	for (unsigned i = 1; i < opt->streams; i++)
		perf_histogram_merge(latency, peers[i].latency);
	return print_report(opt, &from, &to, latency);
}

/* ---- The program. ---- */

static bool take_number(struct loop_options *opt, int value, const char *arg)
{
	uint64_t number;

	if (!parse_number(arg, 86400, &number))
		return false;
	switch (value) {
	case OPT_OFFLOAD:
		opt->has_offload = number == 1;
		return number <= 1;
	case OPT_COPY:
		opt->has_copy = number == 1;
		return number <= 1;
	case OPT_MTU:
		opt->mtu = (uint32_t)number;
		return number >= 576 && number <= 65535;
	case OPT_SECONDS:
		opt->seconds = (uint32_t)number;
		return number > 0;
	case OPT_SIZE:
		opt->size = (uint32_t)number;
		return number > 0;
	case OPT_QUEUES:
		opt->queues = (unsigned)number;
		return number >= 1 && number <= LOOP_QUEUES_MAX;
	case OPT_STREAMS:
		opt->streams = (unsigned)number;
		return number >= 1 && number <= LOOP_STREAMS_MAX;
	case OPT_BUFFERS:
		opt->buffers = (unsigned)number;
		return number == 1 || (number >= LOOP_BUFFERS_MIN && number <= LOOP_BUFFERS_MAX);
	case OPT_CPU:
		opt->cpu = (int)number;
		return number < 1024;
	default:
		opt->peer_cpu = (int)number;
		return number < 1024;
	}
}

/* The place of 'arg' in 'names', or -1. */
static int find_name(const char *arg, const char *const names[3])
{
	for (int i = 0; i < 3; i++)
		if (strcmp(arg, names[i]) == 0)
			return i;
	return -1;
}

static bool take_option(struct loop_options *opt, int value, const char *arg)
{
	static const char *const modes[3] = {"sink", "source", "echo"};
	static const char *const ios[3] = {"plain", "uring", "napi"};
	int number;

	switch (value) {
	case OPT_TUN:
		opt->tun_name = arg;
		return strlen(arg) < 16;
	case OPT_ADDR:
		opt->addr = arg;
		return true;
	case OPT_PEER:
		opt->peer = arg;
		return true;
	case OPT_MODE:
		number = find_name(arg, modes);
		opt->mode = (enum loop_mode)(number < 0 ? 0 : number);
		return number >= 0;
	case OPT_IO:
		number = find_name(arg, ios);
		opt->io = (enum loop_io)(number < 0 ? 0 : number);
		return number >= 0;
	default:
		return take_number(opt, value, arg);
	}
}

static void check_options(struct loop_options *opt)
{
	char host[64];

	if (!opt->addr || !opt->peer)
		app_usage_error(&app, "give --addr A/PLEN and --peer A; try --help");
	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(opt->addr, "/"), opt->addr);
	if (inet_pton(AF_INET, host, opt->addr4) != 1 ||
	    inet_pton(AF_INET, opt->peer, opt->peer4) != 1)
		app_usage_error(&app, "--addr and --peer must be IPv4 addresses");
	if (opt->size > opt->mtu - LOOP_HDR_SIZE)
		app_usage_error(&app, "--size is at most the MTU - %d", LOOP_HDR_SIZE);
	if (opt->io == LOOP_URING && (opt->has_offload || opt->mtu > 2000 || opt->queues > 1))
		app_usage_error(&app,
				"--io uring needs --offload 0, --queues 1, an MTU up to 2000");
	if (opt->buffers > 1 && (opt->mode != LOOP_SINK || opt->io == LOOP_URING))
		app_usage_error(&app, "--buffers is for --mode sink, without io_uring");
	if (opt->streams == 0)
		opt->streams = opt->queues;
	if (opt->streams < opt->queues)
		app_usage_error(&app, "--streams: each queue has one at least");
}

static void parse(struct loop_options *opt, int argc, char **argv)
{
	bool has_mode = false;
	bool has_copy = false;
	int value;

	while ((value = opts_next(&app, usage, options, OPT_HELP, argc, argv)) >= 0) {
		if (!take_option(opt, value, optarg))
			opts_bad(&app);
		has_mode = has_mode || value == OPT_MODE;
		has_copy = has_copy || value == OPT_COPY;
	}
	if (optind < argc || !has_mode)
		app_usage_error(&app, "give --mode and no arguments; try --help");
	if (!has_copy)
		opt->has_copy = opt->mode != LOOP_SOURCE;
	check_options(opt);
}

static int init_worker(const struct loop_options *opt, unsigned i, struct loop_worker *worker,
		       struct peer *peer)
{
	worker->opt = opt;
	worker->index = i;
	worker->next = i + opt->queues < opt->streams ? worker + opt->queues : NULL;
	worker->cpu = i == 0 ? opt->cpu : opt->peer_cpu;
	worker->mss = opt->mtu - LOOP_HDR_SIZE;
	worker->app = calloc(1, APP_ROOM);
	worker->send = calloc(1, SEND_ROOM);
	peer->opt = opt;
	peer->worker = worker;
	peer->cpu = i % opt->queues == 0 ? opt->peer_cpu : opt->cpu;
	peer->latency = calloc(1, sizeof(*peer->latency));
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (worker->app && worker->send && peer->latency && peer->fd >= 0)
		return 0;
	app_say_error(&app, "memory or socket", errno);
	return -1;
}

int main(int argc, char **argv)
{
	static struct loop_worker workers[LOOP_STREAMS_MAX];
	static struct peer peers[LOOP_STREAMS_MAX];
	struct loop_dev devs[LOOP_QUEUES_MAX] = {{.fd = -1}, {.fd = -1}};
	struct loop_options opt = {.has_offload = true,
				   .mtu = 1500,
				   .seconds = 2,
				   .size = 1,
				   .queues = 1,
				   .buffers = 1,
				   .cpu = -1,
				   .peer_cpu = -1,
				   .tun_name = "tl0"};
	int rc = 0;

	parse(&opt, argc, argv);
	for (unsigned i = 0; i < opt.streams && rc == 0; i++) {
		workers[i].devs = devs;
		workers[i].workers = workers;
		rc = init_worker(&opt, i, &workers[i], &peers[i]);
	}
	if (rc == 0)
		rc = loop_dev_open(devs, &opt);
	rc = rc == 0 ? measure(&opt, workers, peers) : EXIT_FAILED;
	for (unsigned i = 0; i < LOOP_QUEUES_MAX; i++)
		loop_dev_close(&devs[i]);
	for (unsigned i = 0; i < LOOP_STREAMS_MAX; i++) {
		free(workers[i].app);
		free(workers[i].send);
		free(peers[i].latency);
	}
	return rc;
}
