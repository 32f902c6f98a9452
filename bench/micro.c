/*
 * micro - measures single mechanisms: checksum, headers, connection table, TX queue, timers,
 * buffers, epoll sets.  One JSON object a line: the name, nanoseconds of an operation (the median of several
 * runs, the least and the most), how many operations a run had.
 *
 *	micro [--quick] [NAME]
 */
#include "micro.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 7, RUN_NS = 40000000, QUICK_OPS = 64 };

int64_t micro_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

bool micro_wants(const struct micro *micro, const char *name)
{
	return !micro->filter || strncmp(name, micro->filter, strlen(micro->filter)) == 0 ||
	       strncmp(name, micro->filter, strlen(name)) == 0;
}

/* How many operations take about RUN_NS. */
static uint64_t calibrate(micro_fn fn, void *ctx)
{
	uint64_t ops = QUICK_OPS;

	for (;;) {
		int64_t start = micro_clock();

		fn(ctx, ops);
		int64_t took = micro_clock() - start;

		if (took > RUN_NS / 8)
			return (uint64_t)((double)ops * RUN_NS / (double)took) + 1;
		ops *= 4;
	}
}

void micro_run(const struct micro *micro, const char *name, size_t bytes, micro_fn fn, void *ctx)
{
	double ns[RUNS];
	unsigned runs = micro->is_quick ? 1 : RUNS;

	if (!micro_wants(micro, name))
		return;
	uint64_t ops = micro->is_quick ? QUICK_OPS : calibrate(fn, ctx);

	for (unsigned i = 0; i < runs; i++) {
		int64_t start = micro_clock();

		fn(ctx, ops);
		ns[i] = (double)(micro_clock() - start) / (double)ops;
	}
	qsort(ns, runs, sizeof(*ns), compare);
	(void)printf("{\"name\":\"%s\",\"ns_per_op\":%.2f,\"min\":%.2f,\"max\":%.2f,"
		     "\"ops\":%" PRIu64,
		     name, ns[runs / 2], ns[0], ns[runs - 1], ops);
	if (bytes > 0)
		(void)printf(",\"gb_per_s\":%.2f", (double)bytes / ns[runs / 2]);
	(void)puts("}");
	(void)fflush(stdout);
}

void micro_times(const char *name, uint64_t ops, double p50, double p9999, double max)
{
	(void)printf("{\"name\":\"%s\",\"ns_per_op\":%.0f,\"p9999_ns\":%.0f,\"max_ns\":%.0f,"
		     "\"ops\":%" PRIu64 "}\n",
		     name, p50, p9999, max, ops);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	struct micro micro = {.sizes = {1000, 100000, 1000000}, .size_count = 3};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			micro.is_quick = true;
			micro.size_count = 1;
		} else if (argv[i][0] != '-' && !micro.filter) {
			micro.filter = argv[i];
		} else {
			(void)fprintf(stderr,
				      "micro: bad argument '%s'; usage: micro [--quick] [NAME]\n",
				      argv[i]);
			return 2;
		}
	}
	micro_wire(&micro);
	micro_table(&micro);
	micro_dgram(&micro);
	micro_stack(&micro);
	micro_epoll(&micro);
	return 0;
}
