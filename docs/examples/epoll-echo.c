/*
 * epoll-echo - an echo server (RFC 862) with one thread for all connections: a loop around
 * weft_epoll_wait on non-blocking sockets.
 *
 * This file has the program and its loop; echo.c the connections, acceptor.c the accepting, watch.c
 * what lies on epoll.  weft-echo is the same server with a thread for each connection, event-loop.c
 * the smallest server of this kind.
 *
 * weft's calls are not interrupted by signals.  The thread that takes them (common.c) shuts the
 * listeners down, which the loop hears of as EPOLLHUP.
 */
#include "echo.h"

#include <errno.h>

enum { OPT_MAX = APP_OPTION_FIRST };

struct program {
	struct app app;
	struct echo echo;
	struct watch_set set;
	bool is_over;
};

static void on_over(struct acceptor *acceptor)
{
	struct program *program = acceptor->app->ctx;

	program->is_over = true;
}

static void on_signal(void *ctx)
{
	acceptor_shut(ctx);
}

static bool take_option(void *ctx, int value, const char *arg)
{
	struct program *program = ctx;
	uint64_t max = 0;

	if (value != OPT_MAX || !parse_number(arg, UINT32_MAX, &max) || max == 0)
		return false;
	program->echo.acceptor.conns_max = (unsigned)max;
	return true;
}

/* Until a signal comes.  The exit code. */
static int run(struct program *program)
{
	int rc = 0;

	while (!program->is_over && rc >= 0)
		rc = watch_turn(&program->set, -1);
	if (rc < 0)
		app_say_error(&program->app, "epoll", errno);
	return rc < 0 || program->echo.acceptor.is_failed ? EXIT_FAILED : 0;
}

static int serve(struct program *program)
{
	struct app *app = &program->app;
	int rc = EXIT_FAILED;

	if (watch_open(&program->set, app->stack) < 0) {
		app_say_error(app, "epoll", errno);
		return rc;
	}
	if (echo_open(&program->echo, &program->set) == 0) {
		if (app_signals_start(app, on_signal, &program->echo.acceptor) == 0) {
			rc = run(program);
			app_signals_end(app);
		}
		echo_close(&program->echo);
	}
	watch_close(&program->set);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"max", required_argument, NULL, OPT_MAX},
		{NULL, 0, NULL, 0},
	};
	static struct program program = {
		.app =
			{
				.name = "epoll-echo",
				.usage = "Usage: epoll-echo --addr A/PLEN --peer A [options]\n"
					 "Sends back what it receives; one thread for all "
					 "connections.\n"
					 "\n"
					 "  --max N             connections at a time, the others "
					 "wait; "
					 "default: 10000\n",
				.options = options,
				.option = take_option,
				.ctx = &program,
				.port = 7,
				.needs_weft = true,
			},
		.echo = {.acceptor = {.app = &program.app, .conns_max = 10000, .over = on_over}},
	};
	int rc;

	app_parse(&program.app, argc, argv);
	if (app_open(&program.app) < 0)
		return EXIT_FAILED;
	rc = serve(&program);
	app_close(&program.app);
	return rc;
}
