/*
 * epoll-httpd - a web server of one page on epoll, for weft's sockets and, with --kernel, the kernel's:
 * HTTP/1.1 with keep-alive and pipelining, non-blocking sockets, workers with an epoll set each.
 *
 * Each worker has a listener with SO_REUSEPORT, so that connections are spread evenly, or all share one
 * with EPOLLEXCLUSIVE.  A connection belongs to the worker that accepted it.  The main thread waits for
 * the workers, which a signal stops.
 */
#include "web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BACKLOG = 16384, EVENTS_MAX = 256, ACCEPT_MAX = 64 };

/* ---- What net_ops does not have. ---- */

static int weft_set_open(void)
{
	return weft_epoll_create1(NULL, EPOLL_CLOEXEC);
}

static int weft_accept_one(int fd)
{
	return weft_accept4(fd, NULL, NULL, SOCK_NONBLOCK);
}

const struct web_ops web_ops_weft = {
	.epoll_create = weft_set_open,
	.epoll_ctl = weft_epoll_ctl,
	.epoll_wait = weft_epoll_wait,
	.accept = weft_accept_one,
};

static int kernel_set_open(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int kernel_accept_one(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

const struct web_ops web_ops_kernel = {
	.epoll_create = kernel_set_open,
	.epoll_ctl = epoll_ctl,
	.epoll_wait = epoll_wait,
	.accept = kernel_accept_one,
};

/* ---- Listeners. ---- */

static int set_options(const struct web *web, int fd, const struct sockaddr *addr)
{
	const struct net_ops *net = web->net;
	const char *congestion = web->app->congestion;

	if (net_set_int(net, fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    net_set_int(net, fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return -1;
	if (addr->sa_family == AF_INET6 && net_set_int(net, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0)
		return -1;
	if (!web->is_shared && net_set_int(net, fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0)
		return -1;
	if (!congestion)
		return 0;
	return net->setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
			       (socklen_t)strlen(congestion));
}

static int open_listener(struct web_worker *worker, const struct sockaddr *addr, socklen_t len)
{
	const struct web *web = worker->web;
	struct web_source *listener = &worker->listeners[worker->listener_count];
	int fd = web->net->socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (set_options(web, fd, addr) < 0 || web->net->bind(fd, addr, len) < 0 ||
	    web->net->listen(fd, BACKLOG) < 0) {
		int error = errno;

		(void)web->net->close(fd);
		errno = error;
		return -1;
	}
	*listener = (struct web_source){.fd = fd, .is_listener = true};
	worker->listener_count++;
	return 0;
}

/* On the address before the slash in 'text'. */
static int listen_on(struct web_worker *worker, int family, const char *text)
{
	uint16_t port = htons(worker->web->app->port);
	struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6, .sin6_port = port};
	struct sockaddr_in addr4 = {.sin_family = AF_INET, .sin_port = port};
	bool is_v6 = family == AF_INET6;
	char host[64];

	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(text, "/"), text);
	if (inet_pton(family, host, is_v6 ? (void *)&addr6.sin6_addr : (void *)&addr4.sin_addr) !=
	    1) {
		app_say(worker->web->app, "malformed address '%s'", text);
		return -1;
	}
	int rc = is_v6 ? open_listener(worker, (struct sockaddr *)&addr6, sizeof(addr6))
		       : open_listener(worker, (struct sockaddr *)&addr4, sizeof(addr4));

	if (rc < 0)
		app_say_error(worker->web->app, "cannot listen", errno);
	return rc;
}

/* The worker's own ones, or those of the first worker. */
static int get_listeners(struct web_worker *worker)
{
	const struct web *web = worker->web;
	const struct web_worker *first = web->workers[0];

	if (web->is_shared && worker != first) {
		memcpy(worker->listeners, first->listeners, sizeof(worker->listeners));
		worker->listener_count = first->listener_count;
		return 0;
	}
	if (web->app->config.addr && listen_on(worker, AF_INET, web->app->config.addr) < 0)
		return -1;
	if (web->app->config.addr6 && listen_on(worker, AF_INET6, web->app->config.addr6) < 0)
		return -1;
	return 0;
}

static int watch_listeners(struct web_worker *worker)
{
	const struct web *web = worker->web;

	for (int i = 0; i < worker->listener_count; i++) {
		struct epoll_event event = {
			.events = EPOLLIN | (web->is_shared ? (uint32_t)EPOLLEXCLUSIVE : 0),
			.data = {.ptr = &worker->listeners[i]},
		};

		if (web->ops->epoll_ctl(worker->set, EPOLL_CTL_ADD, worker->listeners[i].fd,
					&event) < 0) {
			app_say_error(web->app, "epoll_ctl", errno);
			return -1;
		}
	}
	return 0;
}

/* ---- Workers. ---- */

/* Some at a time: those who are connected have their turns in between. */
static void accept_some(struct web_worker *worker, const struct web_source *listener)
{
	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = worker->web->ops->accept(listener->fd);

		if (fd < 0)
			return;
		web_conn_open(worker, fd);
	}
}

static void *run_worker(void *arg)
{
	struct web_worker *worker = arg;
	const struct web *web = worker->web;
	struct epoll_event events[EVENTS_MAX];

	while (!atomic_load(&web->is_stopping)) {
		int n = web->ops->epoll_wait(worker->set, events, EVENTS_MAX, -1);

		worker->waits++;
		worker->events += n > 0 ? (uint64_t)n : 0;
		for (int i = 0; i < n; i++) {
			struct web_source *source = events[i].data.ptr;

			if (!source) /* the eventfd */
				continue;
			if (source->is_listener)
				accept_some(worker, source);
			else
				web_conn_serve(worker, events[i].data.ptr, events[i].events);
		}
		if (n < 0 && errno != EINTR)
			break;
	}
	return NULL;
}

static int open_set(struct web_worker *worker)
{
	struct epoll_event event = {.events = EPOLLIN};

	worker->set = worker->web->ops->epoll_create();
	if (worker->set < 0)
		return -1;
	if (!worker->web->app->is_kernel)
		return 0;
	worker->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (worker->stop_fd < 0)
		return -1;
	return epoll_ctl(worker->set, EPOLL_CTL_ADD, worker->stop_fd, &event);
}

static struct web_worker *new_worker(const struct web *web)
{
	struct web_worker *worker = calloc(1, sizeof(*worker));

	if (!worker)
		return NULL;
	worker->web = web;
	worker->set = -1;
	worker->stop_fd = -1;
	return worker;
}

static int start_workers(struct web *web)
{
	for (unsigned i = 0; i < web->worker_count; i++) {
		web->workers[i] = new_worker(web);
		if (!web->workers[i] || open_set(web->workers[i]) < 0) {
			app_say_error(web->app, "worker", errno);
			return -1;
		}
		if (get_listeners(web->workers[i]) < 0 || watch_listeners(web->workers[i]) < 0)
			return -1;
	}
	for (unsigned i = 0; i < web->worker_count; i++) {
		int rc =
			pthread_create(&web->workers[i]->thread, NULL, run_worker, web->workers[i]);

		if (rc != 0) {
			app_say_error(web->app, "thread", rc);
			return -1;
		}
	}
	return 0;
}

/* The signal's thread, once: weft's sets are closed, which wakes who waits for them. */
static void stop_workers(void *ctx)
{
	struct web *web = ctx;
	uint64_t one = 1;

	atomic_store(&web->is_stopping, true);
	for (unsigned i = 0; i < web->worker_count; i++) {
		const struct web_worker *worker = web->workers[i];

		if (!web->app->is_kernel)
			(void)web->net->close(worker->set);
		else if (write(worker->stop_fd, &one, sizeof(one)) != sizeof(one))
			app_say_error(web->app, "eventfd", errno);
	}
}

static void join_workers(struct web *web)
{
	for (unsigned i = 0; i < web->worker_count; i++)
		(void)pthread_join(web->workers[i]->thread, NULL);
}

static void close_worker(struct web_worker *worker)
{
	const struct web *web = worker->web;

	while (worker->conns)
		web_conn_close(worker, worker->conns);
	for (int i = 0; i < worker->listener_count; i++)
		if (!web->is_shared || worker == web->workers[0])
			(void)web->net->close(worker->listeners[i].fd);
	if (web->app->is_kernel) {
		(void)close(worker->stop_fd);
		(void)close(worker->set);
	}
	if (web->app->has_stats)
		(void)fprintf(stderr,
			      "%s: %" PRIu64 " connections, %" PRIu64 " refused, %" PRIu64
			      " requests, %" PRIu64 " waits, %" PRIu64 " events\n",
			      web->app->name, worker->conn_count, worker->refused, worker->requests,
			      worker->waits, worker->events);
	free(worker);
}

/* ---- Program. ---- */

enum { OPT_WORKERS = APP_OPTION_FIRST, OPT_LEVEL, OPT_SHARED };

static bool take_option(void *ctx, int value, const char *arg)
{
	struct web *web = ctx;
	uint64_t number;

	switch (value) {
	case OPT_WORKERS:
		if (!parse_number(arg, WEB_WORKERS_MAX, &number) || number == 0)
			return false;
		web->worker_count = (unsigned)number;
		return true;
	case OPT_LEVEL:
		web->is_level = true;
		return true;
	case OPT_SHARED:
		web->is_shared = true;
		return true;
	default:
		return false;
	}
}

static unsigned cpu_count(void)
{
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		return 1;
	return CPU_COUNT(&cpus) < (int)WEB_WORKERS_MAX ? (unsigned)CPU_COUNT(&cpus)
						       : (unsigned)WEB_WORKERS_MAX;
}

/* Prints where it listens, and serves until a signal comes. */
static int serve(struct web *web)
{
	struct app *app = web->app;
	const char *addr = app->config.addr ? app->config.addr : app->config.addr6;

	if (start_workers(web) < 0)
		return EXIT_FAILED;
	if (app_signals_start(app, stop_workers, web) < 0)
		return EXIT_FAILED;
	(void)printf("listening on %.*s:%u dev %s\n", (int)strcspn(addr, "/"), addr, app->port,
		     app->stack ? weft_stack_dev_name(app->stack) : "kernel");
	(void)fflush(stdout);
	join_workers(web);
	app_signals_end(app);
	for (unsigned i = web->worker_count; i-- > 0;)
		close_worker(web->workers[i]);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"workers", required_argument, NULL, OPT_WORKERS},
		{"level", no_argument, NULL, OPT_LEVEL},
		{"shared", no_argument, NULL, OPT_SHARED},
		{NULL, 0, NULL, 0},
	};
	struct web web = {.worker_count = cpu_count()};
	struct app app = {
		.name = "epoll-httpd",
		.usage =
			"Usage: epoll-httpd --addr A/PLEN --peer A [options]\n"
			"Serves one page on epoll over HTTP/1.1.\n"
			"\n"
			"  --workers N         threads, each with an epoll set; default: the CPUs\n"
			"  --level             level-triggered; default: edge-triggered\n"
			"  --shared            one listener for all, instead of SO_REUSEPORT\n",
		.options = options,
		.option = take_option,
		.ctx = &web,
		.port = 80,
	};

	web.app = &app;
	app_parse(&app, argc, argv);
	if (!app.config.addr && !app.config.addr6)
		app_usage_error(&app, "--addr or --addr6 is needed");
	for (size_t i = 0; i < sizeof(web.page); i++)
		web.page[i] = (char)(i % 250);
	if (app_open(&app) < 0)
		return EXIT_FAILED;
	web.net = app.ops;
	web.ops = app.is_kernel ? &web_ops_kernel : &web_ops_weft;
	int rc = serve(&web);

	app_close(&app);
	return rc;
}
