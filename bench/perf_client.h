/*
 * perf_client.h - the measuring end of weft-perf: streams, one thread each, and the report.
 */
#ifndef BENCH_PERF_CLIENT_H
#define BENCH_PERF_CLIENT_H

#include "common.h"
#include "perf_proto.h"

struct perf_client_config {
	struct perf_params params; /* 'seed' is made for each stream from the one given */
	const char *host;
	uint32_t streams;
	bool has_json;
	bool keeps_going; /* crr: a failed exchange is counted; it must not be the only kind */
};

/* Runs one test and prints what came of it on stdout.  The exit code. */
int perf_client_run(struct app *app, const struct perf_client_config *config);

#endif
