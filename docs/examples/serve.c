/*
 * serve.c - the thread-per-connection server.
 *
 * Threads: the main thread waits in server_run; one thread for each listener accepts; one thread
 * for each connection handles it.  A connection thread that ends joins the one that ended before
 * it, so at most one ended thread is left over, and joining that one means all have ended.
 *
 * Order of the stop: listeners closed, accepting threads joined (no new connections from here on),
 * connections shut down (their reads and writes return), connection threads awaited.
 */
#include "serve.h"
#include "listen.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	STACK_SIZE = 128 * 1024,
};

struct listener {
	struct server *server;
	int fd;
	pthread_t thread;
	bool has_thread;
};

struct server {
	/* Immutable after the start. */
	struct app *app;
	const struct server_config *config;
	pthread_attr_t attr;
	struct listener listeners[LISTENERS_MAX];
	int listener_count;

	/* Guarded by mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* a connection ended, or is_stopping was set */
	bool is_stopping;
	bool is_failed; /* nothing can be accepted any more */
	struct conn *conns;
	uint64_t conn_count;
	pthread_t last_ended;
	bool has_last_ended;
	uint64_t total_conns;
	uint64_t total_refused;
	uint64_t total_in_bytes;
	uint64_t total_out_bytes;
};

ssize_t conn_read(struct conn *conn, void *buf, size_t size)
{
	ssize_t n = conn->ops->read(conn->fd, buf, size);

	if (n > 0)
		conn->in_bytes += (uint64_t)n;
	return n;
}

int conn_write_all(struct conn *conn, const void *buf, size_t size)
{
	int rc = net_write_all(conn->ops, conn->fd, buf, size);

	if (rc == 0)
		conn->out_bytes += size;
	return rc;
}

void server_stop(struct server *server)
{
	(void)pthread_mutex_lock(&server->mutex);
	server->is_stopping = true;
	(void)pthread_cond_broadcast(&server->changed);
	(void)pthread_mutex_unlock(&server->mutex);
}

/* ---- Connections. ---- */

static void add_conn(struct server *server, struct conn *conn)
{
	(void)pthread_mutex_lock(&server->mutex);
	conn->next = server->conns;
	if (conn->next)
		conn->next->prev = conn;
	server->conns = conn;
	server->conn_count++;
	server->total_conns++;
	(void)pthread_mutex_unlock(&server->mutex);
}

static void unlink_conn(struct server *server, struct conn *conn)
{
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		server->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
}

/* Out of the list before the close: stop_conns must not meet a number that is used again. */
static void end_conn(struct server *server, struct conn *conn)
{
	(void)pthread_mutex_lock(&server->mutex);
	unlink_conn(server, conn);
	server->total_in_bytes += conn->in_bytes;
	server->total_out_bytes += conn->out_bytes;
	(void)pthread_mutex_unlock(&server->mutex);
	(void)conn->ops->close(conn->fd);
	free(conn);
}

/* The last thing a connection's thread does; see the top. */
static void leave_server(struct server *server)
{
	pthread_t previous;
	bool has_previous;

	(void)pthread_mutex_lock(&server->mutex);
	previous = server->last_ended;
	has_previous = server->has_last_ended;
	server->last_ended = pthread_self();
	server->has_last_ended = true;
	server->conn_count--;
	(void)pthread_cond_broadcast(&server->changed);
	(void)pthread_mutex_unlock(&server->mutex);
	if (has_previous)
		(void)pthread_join(previous, NULL);
}

static void *run_conn(void *arg)
{
	struct conn *conn = arg;
	struct server *server = conn->server;

	server->config->handle(conn, server->config->ctx);
	end_conn(server, conn);
	leave_server(server);
	return NULL;
}

static void refuse_conn(struct server *server, const struct net_ops *ops, int fd, int error)
{
	bool is_first;

	(void)ops->close(fd);
	(void)pthread_mutex_lock(&server->mutex);
	is_first = server->total_refused++ == 0;
	(void)pthread_mutex_unlock(&server->mutex);
	if (is_first)
		app_say_error(server->app, "a connection was refused", error);
}

static void start_conn(struct server *server, int fd, const struct sockaddr_storage *peer)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	pthread_t thread;
	int rc;

	if (!conn) {
		refuse_conn(server, server->app->ops, fd, ENOMEM);
		return;
	}
	conn->app = server->app;
	conn->ops = server->app->ops;
	conn->server = server;
	conn->fd = fd;
	conn->peer = *peer;
	add_conn(server, conn);
	rc = pthread_create(&thread, &server->attr, run_conn, conn);
	if (rc == 0)
		return;
	(void)pthread_mutex_lock(&server->mutex);
	unlink_conn(server, conn);
	server->conn_count--;
	server->total_conns--;
	(void)pthread_mutex_unlock(&server->mutex);
	free(conn);
	refuse_conn(server, server->app->ops, fd, rc);
}

/* ---- Accepting. ---- */

/* Out of descriptors or memory: waits until a connection ends, a little while at most. */
static void wait_for_room(struct server *server)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 100 * 1000 * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	(void)pthread_mutex_lock(&server->mutex);
	if (!server->is_stopping)
		(void)pthread_cond_timedwait(&server->changed, &server->mutex, &until);
	(void)pthread_mutex_unlock(&server->mutex);
}

static bool is_stopping(struct server *server)
{
	bool is_set;

	(void)pthread_mutex_lock(&server->mutex);
	is_set = server->is_stopping;
	(void)pthread_mutex_unlock(&server->mutex);
	return is_set;
}

/* The first listener to fail says why, and stops the server. */
static void fail_server(struct server *server, int error)
{
	bool is_first;

	(void)pthread_mutex_lock(&server->mutex);
	is_first = !server->is_stopping;
	server->is_failed = server->is_failed || is_first;
	server->is_stopping = true;
	(void)pthread_cond_broadcast(&server->changed);
	(void)pthread_mutex_unlock(&server->mutex);
	if (is_first)
		app_say_error(server->app, "accept", error);
}

static void *run_accept(void *arg)
{
	struct listener *listener = arg;
	struct server *server = listener->server;

	for (;;) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = server->app->ops->accept(listener->fd, (struct sockaddr *)&peer, &len);
		int error = errno;

		if (fd >= 0) {
			start_conn(server, fd, &peer);
			continue;
		}
		if (is_stopping(server))
			return NULL;
		if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
			wait_for_room(server);
		} else if (error != ECONNABORTED && error != EINTR && error != EPROTO) {
			fail_server(server, error);
			return NULL;
		}
	}
}

/* ---- Listeners. ---- */

static int open_listeners(struct server *server, struct listening *listening)
{
	int rc = listen_open(server->app, server->config->setup, listening);

	for (int i = 0; i < listening->count; i++)
		server->listeners[i] = (struct listener){.server = server, .fd = listening->fds[i]};
	server->listener_count = listening->count;
	return rc;
}

static int start_listeners(struct server *server)
{
	for (int i = 0; i < server->listener_count; i++) {
		struct listener *listener = &server->listeners[i];
		int rc = pthread_create(&listener->thread, NULL, run_accept, listener);

		if (rc != 0) {
			app_say_error(server->app, "thread", rc);
			return -1;
		}
		listener->has_thread = true;
	}
	return 0;
}

static void stop_listeners(struct server *server)
{
	const struct net_ops *ops = server->app->ops;

	for (int i = 0; i < server->listener_count; i++) {
		struct listener *listener = &server->listeners[i];

		/* On weft the close wakes accept; of the kernel's sockets only a shutdown does. */
		if (ops->close_wakes)
			(void)ops->close(listener->fd);
		else
			(void)ops->shutdown(listener->fd, SHUT_RDWR);
		if (listener->has_thread)
			(void)pthread_join(listener->thread, NULL);
		if (!ops->close_wakes)
			(void)ops->close(listener->fd);
	}
}

/* ---- Run and stop. ---- */

static void stop_conns(struct server *server)
{
	(void)pthread_mutex_lock(&server->mutex);
	for (struct conn *conn = server->conns; conn; conn = conn->next)
		(void)conn->ops->shutdown(conn->fd, SHUT_RDWR);
	while (server->conn_count > 0)
		(void)pthread_cond_wait(&server->changed, &server->mutex);
	(void)pthread_mutex_unlock(&server->mutex);
	if (server->has_last_ended)
		(void)pthread_join(server->last_ended, NULL);
}

static void init_server(struct server *server, struct app *app, const struct server_config *config)
{
	pthread_condattr_t attr;

	memset(server, 0, sizeof(*server));
	server->app = app;
	server->config = config;
	(void)pthread_mutex_init(&server->mutex, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&server->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_attr_init(&server->attr);
	(void)pthread_attr_setstacksize(&server->attr, STACK_SIZE);
}

static void fini_server(struct server *server)
{
	(void)pthread_attr_destroy(&server->attr);
	(void)pthread_cond_destroy(&server->changed);
	(void)pthread_mutex_destroy(&server->mutex);
}

static void wait_for_stop(struct server *server)
{
	(void)pthread_mutex_lock(&server->mutex);
	while (!server->is_stopping)
		(void)pthread_cond_wait(&server->changed, &server->mutex);
	(void)pthread_mutex_unlock(&server->mutex);
}

static void on_signal(void *ctx)
{
	server_stop(ctx);
}

int server_run(struct app *app, const struct server_config *config)
{
	struct listening listening;
	struct server server;
	int rc = EXIT_FAILED;

	init_server(&server, app, config);
	if (app_signals_start(app, on_signal, &server) < 0) {
		fini_server(&server);
		return rc;
	}
	if (open_listeners(&server, &listening) == 0 && start_listeners(&server) == 0) {
		listen_say(app, &listening);
		wait_for_stop(&server);
		rc = server.is_failed ? EXIT_FAILED : 0;
	}
	server_stop(&server);
	stop_listeners(&server);
	stop_conns(&server);
	app_signals_end(app);
	if (app->has_stats)
		(void)fprintf(stderr,
			      "%s: %" PRIu64 " connections, %" PRIu64 " refused, %" PRIu64
			      " bytes in, %" PRIu64 " bytes out\n",
			      app->name, server.total_conns, server.total_refused,
			      server.total_in_bytes, server.total_out_bytes);
	fini_server(&server);
	return rc;
}
