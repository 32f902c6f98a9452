/*
 * opts.h - options of the benchmark programs that do not take the examples' ones.  Main thread.
 */
#ifndef BENCH_OPTS_H
#define BENCH_OPTS_H

#include "common.h"

#include <getopt.h>

/*
 * The next option (getopt_long), -1 behind the last; its argument is in 'optarg'.  'help' and -h print
 * 'usage' and end the program, what is unknown or lacks its argument ends it with an error.
 */
int opts_next(const struct app *app, const char *usage, const struct option *options, int help,
	      int argc, char **argv);

/* Ends the program: 'optarg' is not what the option takes. */
_Noreturn void opts_bad(const struct app *app);

#endif
