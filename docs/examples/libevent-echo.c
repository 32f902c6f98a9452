/*
 * libevent-echo - an echo server (RFC 862) on weft that is run over a socket of the kernel: one loop of
 * libevent for both, and for signals.
 *
 *	libevent-echo --addr 192.0.2.2/24 --peer 192.0.2.1 --control /run/echo.sock &
 *	echo stats | nc -U -N /run/echo.sock
 *
 * watch_event.c is all there is between weft and libevent; echo.c is the server, the same as that of
 * epoll-echo.  The operator's side is plain libevent: a listener and a bufferevent on a unix socket, one
 * operator at a time.
 */
#include "echo.h"
#include "watch_event.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	OPT_CONTROL = APP_OPTION_FIRST,
	CONNS_MAX = 10000,
	LINE_SIZE_MAX = 1024,
	BACKLOG = 16,
	SIGNALS = 2
};

struct program {
	struct app app;
	const char *control_path;
	struct event_base *base;
	struct watch_event watches;
	struct echo echo;
	struct event *signals[SIGNALS];
	struct evconnlistener *control;
	struct bufferevent *admin;
};

/* ---- The operator's side. ---- */

/* The next one may come. */
static void end_admin(struct program *program)
{
	bufferevent_free(program->admin);
	program->admin = NULL;
	(void)evconnlistener_enable(program->control);
}

static void obey(struct program *program, const char *command)
{
	struct evbuffer *out = bufferevent_get_output(program->admin);
	const struct echo *echo = &program->echo;

	if (strcmp(command, "stats") == 0)
		(void)evbuffer_add_printf(
			out, "open %u, total %" PRIu64 ", bytes sent back %" PRIu64 "\n",
			echo->acceptor.conns, echo->total_conns, echo->total_bytes);
	else if (strcmp(command, "quit") == 0)
		(void)event_base_loopexit(program->base, NULL);
	else
		(void)evbuffer_add_printf(out, "unknown; there are: stats, quit\n");
}

static void on_command(struct bufferevent *admin, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(admin);
	struct program *program = arg;
	char *line;

	while ((line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF))) {
		obey(program, line);
		free(line);
	}
	/* No command is that long, and who asks all the time has to read the answers. */
	if (evbuffer_get_length(in) >= LINE_SIZE_MAX ||
	    evbuffer_get_length(bufferevent_get_output(admin)) >= LINE_SIZE_MAX * 64)
		end_admin(program);
}

/* All answers are written: without further commands that was all. */
static void on_answered(struct bufferevent *admin, void *arg)
{
	if (!(bufferevent_get_enabled(admin) & EV_READ))
		end_admin(arg);
}

static void on_admin_event(struct bufferevent *admin, short what, void *arg)
{
	bool is_answered = evbuffer_get_length(bufferevent_get_output(admin)) == 0;

	/* The end of commands is not that of answers. */
	if ((what & BEV_EVENT_EOF) && !is_answered)
		(void)bufferevent_disable(admin, EV_READ);
	else
		end_admin(arg);
}

static void on_admin(struct evconnlistener *control, evutil_socket_t fd, struct sockaddr *addr,
		     int len, void *arg)
{
	struct program *program = arg;

	(void)addr;
	(void)len;
	program->admin = bufferevent_socket_new(program->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!program->admin) {
		(void)close(fd);
		return;
	}
	(void)evconnlistener_disable(control);
	bufferevent_setcb(program->admin, on_command, on_answered, on_admin_event, program);
	bufferevent_setwatermark(program->admin, EV_READ, 0, LINE_SIZE_MAX);
	(void)bufferevent_enable(program->admin, EV_READ | EV_WRITE);
}

/* 0, or -1 with errno. */
static int open_control(struct program *program)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (!program->control_path)
		return 0;
	if (strlen(program->control_path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)strncpy(addr.sun_path, program->control_path, sizeof(addr.sun_path) - 1);
	program->control = evconnlistener_new_bind(program->base, on_admin, program,
						   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						   BACKLOG, (struct sockaddr *)&addr, sizeof(addr));
	return program->control ? 0 : -1;
}

static void close_control(struct program *program)
{
	if (program->admin)
		bufferevent_free(program->admin);
	if (!program->control)
		return;
	evconnlistener_free(program->control);
	(void)unlink(program->control_path);
}

/* ---- The program. ---- */

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct program *program = arg;

	(void)number;
	(void)what;
	(void)event_base_loopexit(program->base, NULL);
}

static void on_over(struct acceptor *acceptor)
{
	struct program *program = acceptor->app->ctx;

	(void)event_base_loopexit(program->base, NULL);
}

static int open_signals(struct program *program)
{
	static const int numbers[SIGNALS] = {SIGINT, SIGTERM};

	app_signals_here();
	for (int i = 0; i < SIGNALS; i++) {
		program->signals[i] = evsignal_new(program->base, numbers[i], on_signal, program);
		if (!program->signals[i] || event_add(program->signals[i], NULL) < 0)
			return -1;
	}
	return 0;
}

/* Opens what is served, runs the loop, and closes in the opposite order.  The exit code. */
static int serve(struct program *program)
{
	struct app *app = &program->app;
	int rc = EXIT_FAILED;

	if (watch_event_open(&program->watches, program->base, app->stack) < 0) {
		app_say_error(app, "event loop", errno);
		return rc;
	}
	if (open_signals(program) < 0)
		app_say(app, "no memory for signals");
	else if (open_control(program) < 0)
		app_say_error(app, program->control_path, errno);
	else if (echo_open(&program->echo, &program->watches.set) == 0) {
		if (event_base_dispatch(program->base) == 0 && !program->echo.acceptor.is_failed)
			rc = 0;
		echo_close(&program->echo);
	}
	close_control(program);
	for (int i = 0; i < SIGNALS; i++)
		if (program->signals[i])
			event_free(program->signals[i]);
	watch_event_close(&program->watches);
	return rc;
}

static bool take_option(void *ctx, int value, const char *arg)
{
	struct program *program = ctx;

	program->control_path = arg;
	return value == OPT_CONTROL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"control", required_argument, NULL, OPT_CONTROL},
		{NULL, 0, NULL, 0},
	};
	static struct program program = {
		.app =
			{
				.name = "libevent-echo",
				.usage =
					"Usage: libevent-echo --addr A/PLEN --peer A [options]\n"
					"Sends back what it receives; weft in a loop of libevent.\n"
					"\n"
					"  --control PATH      a unix socket that takes the "
					"commands stats "
					"and quit\n",
				.options = options,
				.option = take_option,
				.ctx = &program,
				.port = 7,
				.needs_weft = true,
			},
		.echo = {.acceptor = {.app = &program.app,
				      .conns_max = CONNS_MAX,
				      .over = on_over}},
	};
	int rc = EXIT_FAILED;

	app_parse(&program.app, argc, argv);
	if (app_open(&program.app) < 0)
		return EXIT_FAILED;
	program.base = event_base_new();
	if (program.base) {
		rc = serve(&program);
		event_base_free(program.base);
	} else {
		app_say(&program.app, "no event loop");
	}
	app_close(&program.app);
	libevent_global_shutdown();
	return rc;
}
