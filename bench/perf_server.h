/*
 * perf_server.h - the serving end of weft-perf, one thread for each connection.
 */
#ifndef BENCH_PERF_SERVER_H
#define BENCH_PERF_SERVER_H

#include "serve.h"

/* Serves until a signal comes, or with 'is_once' until the first test has ended.  The exit code. */
int perf_server_run(struct app *app, bool is_once);

/*
 * With kernel sockets: sets TCP_CONGESTION to cubic, as weft has it.  0, or -1 with errno and a
 * line on stderr.
 */
int perf_set_congestion(const struct app *app, int fd);

#endif
