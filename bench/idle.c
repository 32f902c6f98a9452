/*
 * idle - opens very many connections that do nothing, and measures what they cost: memory, the time
 * of a setup and of a close, and the price of a packet on a few of them.
 *
 *	idle --conns N --peer pair|kernel [--sample K] [--json]
 *
 * pair: two stacks in this process, behind a cable in memory.  kernel: the stack is a server on a
 * TUN in a network namespace of this process's own, its clients are kernel sockets of child
 * processes (root).  Exit code 77: this peer needs what is not there.
 *
 * The price of a packet is the processor time of the whole process, harness included, over the
 * packets that passed.  Exchanges go on in batches: one at a time, waking threads would cost many
 * times what the packet does and hide it.  "Cold" takes connections at random, "hot" the same few.
 */
#include "idle.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROUNDS_MAX = 32,
	PACKETS_MIN = 3,      /* of an exchange: there, back, and the last ACK */
	LAST_ACK_US = 300000, /* how long to wait for those */
	RTT_COUNT = 200,
	SETTLE_S = 20,
	EMPTY_S = 180,
};

static void report_setup(struct idle *idle, double seconds, double cpu_seconds)
{
	struct line *line = &idle->line;

	line_begin(line, "idle.setup");
	line_text(line, "peer", idle->peer->name);
	line_count(line, "conns", idle->conns);
	line_count(line, "seed", idle->seed);
	line_number(line, "seconds", seconds);
	line_number(line, "per_second", idle->conns / seconds);
	line_number(line, "cpu_us_per_conn", cpu_seconds * 1e6 / idle->conns);
	line_number(line, "p50_us", hist_us(&idle->setup, 0.5));
	line_number(line, "p99_us", hist_us(&idle->setup, 0.99));
	line_number(line, "p999_us", hist_us(&idle->setup, 0.999));
	line_number(line, "max_us", (double)idle->setup.max_ns / 1000);
	line_count(line, "max_at", idle->setup.max_at);
	if (idle->probe.total > 0) {
		line_number(line, "probe_p50_us", hist_us(&idle->probe, 0.5));
		line_number(line, "probe_p99_us", hist_us(&idle->probe, 0.99));
		line_number(line, "probe_max_us", (double)idle->probe.max_ns / 1000);
		line_count(line, "probe_max_at", idle->probe.max_at);
	}
	line_end(line);
}

/* What the connections take.  Memory of the harness was there, and touched, before. */
static void report_memory(struct idle *idle, uint64_t before)
{
	struct line *line = &idle->line;
	struct weft_stats stats;
	uint64_t now = mem_now();
	double each = now > before ? (double)(now - before) / idle->conns : 0;

	weft_stack_stats(idle->server, &stats);
	line_begin(line, "idle.memory");
	line_text(line, "peer", idle->peer->name);
	line_count(line, "conns", idle->conns);
	line_number(line, "bytes_per_conn", each);
	line_number(line, "bytes_per_end", each / idle->peer->ends);
	line_count(line, "rss_bytes", now);
	line_count(line, "peak_rss_bytes", mem_peak());
	line_count(line, "buf_bytes", stats.buf_bytes);
	line_end(line);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
	qsort(values, count, sizeof(*values), compare_double);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/*
 * One batch, until its last ACKs have passed: else the packets of a connection that comes again soon
 * would be other ones than those of a connection that does not.
 */
static int run_batch(struct idle *idle, const uint32_t *indexes, uint32_t count, uint64_t round)
{
	uint64_t wanted = idle->peer->packets(idle) + (uint64_t)PACKETS_MIN * count;
	int rc = idle->peer->exchange(idle, indexes, count, round);
	int64_t deadline = clock_ns() + (int64_t)LAST_ACK_US * 1000;

	while (rc == 0 && idle->peer->packets(idle) < wanted && clock_ns() < deadline)
		pause_us(1000);
	return rc;
}

/* Moves 'count' random indexes, all different, to the front. */
static void shuffle_front(uint32_t *indexes, uint32_t total, uint32_t count, uint64_t *random)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t other = i + random_below(random, total - i);
		uint32_t index = indexes[other];

		indexes[other] = indexes[i];
		indexes[i] = index;
	}
}

/* Processor nanoseconds of a packet in one round of exchanges; negative when it failed. */
static double run_round(struct idle *idle, uint32_t *indexes, bool is_cold, uint64_t *random)
{
	uint64_t packets = idle->peer->packets(idle);
	int64_t start = cpu_ns();
	uint32_t done = 0;

	while (done < idle->sample) {
		uint32_t count =
			idle->sample - done < idle->batch ? idle->sample - done : idle->batch;

		if (is_cold)
			shuffle_front(indexes, idle->conns, count, random);
		if (run_batch(idle, indexes, count, mix(*random)) < 0)
			return -1;
		done += count;
		(*random)++;
	}
	return (double)(cpu_ns() - start) / (double)(idle->peer->packets(idle) - packets);
}

static int measure_cost(struct idle *idle, uint32_t *indexes, bool is_cold)
{
	double cost[ROUNDS_MAX];
	uint64_t random = idle->seed;
	struct line *line = &idle->line;

	shuffle_front(indexes, idle->conns, idle->batch, &random);
	for (uint32_t i = 0; i < idle->rounds; i++) {
		cost[i] = run_round(idle, indexes, is_cold, &random);
		if (cost[i] < 0)
			return -1;
	}
	double middle = median(cost, idle->rounds);

	line_begin(line, is_cold ? "idle.packet_cold" : "idle.packet_hot");
	line_text(line, "peer", idle->peer->name);
	line_count(line, "conns", idle->conns);
	line_count(line, "exchanges", (uint64_t)idle->sample * idle->rounds);
	line_count(line, "batch", idle->batch);
	line_number(line, "cpu_ns_per_packet", middle);
	line_number(line, "min", cost[0]);
	line_number(line, "max", cost[idle->rounds - 1]);
	line_end(line);
	return 0;
}

/* Round trips one at a time on random connections: what an application sees. */
static int measure_rtt(struct idle *idle, uint32_t *indexes)
{
	struct hist *times = calloc(1, sizeof(*times));
	uint64_t random = mix(idle->seed);
	int rc = times ? 0 : idle_fail(idle, "memory", ENOMEM);

	for (uint32_t i = 0; i < RTT_COUNT && rc == 0; i++) {
		shuffle_front(indexes, idle->conns, 1, &random);
		int64_t start = clock_ns();

		rc = idle->peer->exchange(idle, indexes, 1, mix(random));
		hist_add(times, clock_ns() - start, i);
	}
	if (rc == 0) {
		line_begin(&idle->line, "idle.rtt");
		line_text(&idle->line, "peer", idle->peer->name);
		line_count(&idle->line, "conns", idle->conns);
		line_number(&idle->line, "p50_us", hist_us(times, 0.5));
		line_number(&idle->line, "p99_us", hist_us(times, 0.99));
		line_end(&idle->line);
	}
	free(times);
	return rc;
}

static int measure_close(struct idle *idle)
{
	struct line *line = &idle->line;
	int64_t start = clock_ns();
	int64_t cpu = cpu_ns();
	int rc = idle->peer->close(idle);
	int64_t closed = clock_ns();

	idle_unlisten(idle);
	while (rc == 0 && !idle->peer->is_empty(idle, false) &&
	       clock_ns() - closed < (int64_t)EMPTY_S * 1000000000)
		pause_us(1000);
	int64_t empty = clock_ns();
	bool is_empty = rc == 0 && idle->peer->is_empty(idle, true);

	line_begin(line, "idle.close");
	line_text(line, "peer", idle->peer->name);
	line_count(line, "conns", idle->conns);
	line_number(line, "seconds", (double)(closed - start) / 1e9);
	line_number(line, "empty_after_seconds", (double)(empty - start) / 1e9);
	line_number(line, "cpu_us_per_conn", (double)(cpu_ns() - cpu) / 1e3 / idle->conns);
	line_number(line, "p50_us", hist_us(&idle->closing, 0.5));
	line_number(line, "p99_us", hist_us(&idle->closing, 0.99));
	line_number(line, "max_us", (double)idle->closing.max_ns / 1000);
	line_count(line, "max_at", idle->closing.max_at);
	line_count(line, "is_empty", is_empty);
	line_count(line, "peak_rss_bytes", mem_peak());
	line_end(line);
	return is_empty ? 0 : idle_fail(idle, "something was left", 0);
}

static int setup(struct idle *idle)
{
	uint64_t before = mem_now();
	int64_t start = clock_ns();
	int64_t cpu = cpu_ns();
	int rc = idle->peer->connect(idle);

	if (rc < 0)
		return rc;
	report_setup(idle, (double)(clock_ns() - start) / 1e9, (double)(cpu_ns() - cpu) / 1e9);
	start = clock_ns();
	while (!idle->peer->is_settled(idle) && clock_ns() - start < (int64_t)SETTLE_S * 1000000000)
		pause_us(1000);
	report_memory(idle, before);
	return 0;
}

static int run(struct idle *idle)
{
	uint32_t *indexes = malloc(idle->conns * sizeof(*indexes));
	size_t size = idle->conns * sizeof(*idle->server_fds);
	int rc;

	idle->server_fds = malloc(size);
	if (!indexes || !idle->server_fds)
		return idle_fail(idle, "memory", ENOMEM);
	memset(idle->server_fds, 0xff, size);
	for (uint32_t i = 0; i < idle->conns; i++)
		indexes[i] = i;
	rc = idle->peer->open(idle);
	if (rc == 0)
		rc = setup(idle);
	if (rc == 0)
		rc = measure_cost(idle, indexes, true);
	if (rc == 0)
		rc = measure_cost(idle, indexes, false);
	if (rc == 0)
		rc = measure_rtt(idle, indexes);
	if (rc == 0)
		rc = measure_close(idle);
	if (rc == 0)
		idle->peer->end(idle);
	free(indexes);
	free(idle->server_fds);
	return rc;
}

/* ---- Command line. ---- */

static _Noreturn void help(void)
{
	(void)fputs("usage: idle --peer pair|kernel [--conns N] [--sample K] [--batch B]\n"
		    "            [--rounds R] [--threads T] [--seed S] [--json]\n",
		    stdout);
	exit(0);
}

static _Noreturn void usage_error(const char *text)
{
	(void)fprintf(stderr, "idle: bad argument '%s'; try --help\n", text);
	exit(2);
}

static uint32_t parse_count(const char *text, uint32_t max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value < 1 || value > max)
		usage_error(text);
	return (uint32_t)value;
}

static const struct idle_peer *parse_peer(const char *name)
{
	if (strcmp(name, idle_pair.name) == 0)
		return &idle_pair;
	if (strcmp(name, idle_kernel.name) == 0)
		return &idle_kernel;
	usage_error(name);
}

static void parse(struct idle *idle, int argc, char **argv)
{
	static const struct option options[] = {
		{"conns", required_argument, NULL, 'c'},  {"peer", required_argument, NULL, 'p'},
		{"sample", required_argument, NULL, 's'}, {"batch", required_argument, NULL, 'b'},
		{"rounds", required_argument, NULL, 'r'}, {"threads", required_argument, NULL, 't'},
		{"seed", required_argument, NULL, 'e'},   {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'c')
			idle->conns = parse_count(optarg, 1040000);
		else if (option == 'p')
			idle->peer = parse_peer(optarg);
		else if (option == 's')
			idle->sample = parse_count(optarg, 10000000);
		else if (option == 'b')
			idle->batch = parse_count(optarg, 4096);
		else if (option == 'r')
			idle->rounds = parse_count(optarg, ROUNDS_MAX);
		else if (option == 't')
			idle->threads = parse_count(optarg, IDLE_THREADS_MAX);
		else if (option == 'e')
			idle->seed = strtoull(optarg, NULL, 10);
		else if (option == 'j')
			idle->line.is_json = true;
		else if (option == 'h')
			help();
		else
			exit(2); /* getopt has said why */
	}
	if (optind < argc)
		usage_error(argv[optind]);
	if (!idle->peer)
		usage_error("no --peer");
	if (idle->batch > idle->conns)
		idle->batch = idle->conns;
}

int main(int argc, char **argv)
{
	static struct idle idle = {
		.conns = 10000,
		.sample = 20000,
		.batch = 256,
		.rounds = 5,
		.threads = 8,
		.line = {.out = NULL},
	};

	idle.line.out = stdout;
	idle.seed = (uint64_t)clock_ns();
	parse(&idle, argc, argv);
	return run(&idle) == 0 ? 0 : 1;
}
