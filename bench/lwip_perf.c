/*
 * lwip-perf - weft-perf's server on lwIP's sockets (Debian's liblwip as it is built), so that
 * weft-perf --kernel --client measures lwIP just as it measures weft: the same TUN device
 * (weft_dev_tun), the same server code, a thread for each connection.
 *
 * lwIP does without offloads, and Debian's build has an MSS of 1,460 bytes, a window of 64 KiB
 * announced with a scale of 1, a send buffer of 64 KiB, neither SACK nor timestamps.  It has
 * neither select nor an end: the process just stops.
 *
 * This file is the command line and the table of socket functions; lwip_perf_dev.c is the network
 * interface.
 */
#include "lwip_perf.h"

#include "perf_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* lwIP's own headers would replace the C library's socket functions by macros; these are enough. */
int lwip_socket(int domain, int type, int protocol);
int lwip_bind(int fd, const struct sockaddr *addr, socklen_t len);
int lwip_listen(int fd, int backlog);
int lwip_accept(int fd, struct sockaddr *addr, socklen_t *len);
int lwip_connect(int fd, const struct sockaddr *addr, socklen_t len);
ssize_t lwip_recv(int fd, void *buf, size_t size, int flags);
ssize_t lwip_send(int fd, const void *buf, size_t size, int flags);
int lwip_shutdown(int fd, int how);
int lwip_close(int fd);
int lwip_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int lwip_setsockopt(int fd, int level, int option, const void *value, socklen_t len);

enum { OPT_SERVER = APP_OPTION_FIRST, OPT_ONCE };

enum { ACCEPT_TICK_US = 100 * 1000, BACKLOG_MAX = 255 };

static bool is_stopping; /* atomic */

/* ---- Socket functions. ---- */

/* Nothing wakes lwIP's accept, so it looks up now and then. */
static int accept_until_stop(int fd, struct sockaddr *addr, socklen_t *len)
{
	for (;;) {
		int rc = lwip_accept(fd, addr, len);

		if (rc >= 0 || (errno != EAGAIN && errno != ETIMEDOUT) ||
		    __atomic_load_n(&is_stopping, __ATOMIC_ACQUIRE))
			return rc;
	}
}

static int listen_with_tick(int fd, int backlog)
{
	const struct timeval tick = {.tv_usec = ACCEPT_TICK_US};

	if (lwip_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick)) < 0)
		return -1;
	return lwip_listen(fd, backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX);
}

static ssize_t read_socket(int fd, void *buf, size_t size)
{
	return lwip_recv(fd, buf, size, 0);
}

static ssize_t write_socket(int fd, const void *buf, size_t size)
{
	return lwip_send(fd, buf, size, 0);
}

/*
 * The server shuts both directions down only when it stops.  Blocked calls must then come back,
 * which lwIP's shutdown does not give: the connection is aborted.
 */
static int shutdown_socket(int fd, int how)
{
	if (how != SHUT_RDWR)
		return lwip_shutdown(fd, how);
	__atomic_store_n(&is_stopping, true, __ATOMIC_RELEASE);
	lwip_perf_abort(fd);
	return 0;
}

/*
 * A close of lwIP's that lingers does not come back, even when the peer has acknowledged everything
 * (lwIP 2.1.3), and lwIP delivers what is unsent after a plain close: so there is no SO_LINGER.
 */
static int set_option(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == SOL_SOCKET && option == SO_LINGER)
		return 0;
	return lwip_setsockopt(fd, level, option, value, len);
}

static const struct net_ops net_ops_lwip = {
	.close_wakes = false,
	.socket = lwip_socket,
	.bind = lwip_bind,
	.listen = listen_with_tick,
	.accept = accept_until_stop,
	.connect = lwip_connect,
	.read = read_socket,
	.write = write_socket,
	.shutdown = shutdown_socket,
	.close = lwip_close,
	.getsockname = lwip_getsockname,
	.setsockopt = set_option,
};

/* ---- The program. ---- */

struct command {
	bool is_server;
	bool is_once;
};

static bool take_option(void *ctx, int value, const char *arg)
{
	struct command *command = ctx;

	(void)arg;
	if (value == OPT_SERVER)
		command->is_server = true;
	else if (value == OPT_ONCE)
		command->is_once = true;
	return value == OPT_SERVER || value == OPT_ONCE;
}

static const struct option options[] = {
	{"server", no_argument, NULL, OPT_SERVER},
	{"once", no_argument, NULL, OPT_ONCE},
	{NULL, 0, NULL, 0},
};

static const char usage[] =
	"Usage: lwip-perf --server --addr A/PLEN --peer A [--tun NAME] [--mtu N] [--port N]\n"
	"weft-perf's server (all its modes) on lwIP over a TUN interface; measure it with\n"
	"weft-perf --kernel --client.\n"
	"\n"
	"  --server            serve tests until a signal comes\n"
	"  --once              stop after the first test\n"
	"IPv4 only, never with offload; lwIP's segments are 1,460 bytes at most.  Of the options\n"
	"below only those named above have an effect.\n";

/* lwIP lacks what some common options ask for; better refused than measured by mistake. */
static void check_options(const struct app *app, const struct command *command)
{
	if (!command->is_server)
		app_usage_error(app, "only --server is there; try --help");
	if (app->is_kernel)
		app_usage_error(app, "--kernel is weft-perf's, not lwip-perf's");
	if (!app->config.addr || !app->config.peer)
		app_usage_error(app, "give --addr A/PLEN and --peer A; try --help");
	if (app->config.addr6 || app->config.peer6)
		app_usage_error(app, "IPv4 only");
	if (app->config.capture || app->fault.loss_ppm || app->fault.reorder_ppm ||
	    app->fault.dup_ppm || app->fault.delay_us)
		app_usage_error(app, "faults and capture belong to weft's stack");
}

static void block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	struct command command = {.is_once = false};
	struct app app = {
		.name = "lwip-perf",
		.usage = usage,
		.options = options,
		.option = take_option,
		.ctx = &command,
		.port = 5210,
	};
	char why[256] = "";

	app_parse(&app, argc, argv);
	check_options(&app, &command);
	block_signals();
	if (lwip_perf_open(&app.config, why, sizeof(why)) < 0) {
		app_say(&app, "%s", why);
		return EXIT_FAILED;
	}
	app.ops = &net_ops_lwip;
	return perf_server_run(&app, command.is_once);
}
