/* Options of the benchmark programs (opts.h).  Main thread. */
#include "opts.h"

#include <stdio.h>
#include <stdlib.h>

int opts_next(const struct app *app, const char *usage, const struct option *options, int help,
	      int argc, char **argv)
{
	opterr = 0;
	int value = getopt_long(argc, argv, ":h", options, NULL);

	if (value == 'h' || value == help) {
		(void)fputs(usage, stdout);
		exit(fflush(stdout) == 0 ? 0 : EXIT_FAILED);
	}
	if (value == '?' || value == ':')
		app_usage_error(app, "unknown option or no argument: '%s'; try --help",
				argv[optind - 1]);
	return value;
}

void opts_bad(const struct app *app)
{
	app_usage_error(app, "bad argument '%s'; try --help", optarg);
}
