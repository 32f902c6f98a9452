/*
 * http-pool - a web server for static files: one thread that waits, and N workers.
 *
 *	           accept, idle connections           bounded queue
 *	main thread ---- weft_epoll_wait ---- ready ----[ | | | ]---- workers
 *	     ^                                                           |
 *	     +------------- EPOLLONESHOT: armed again <------------------+
 *
 * A connection costs a worker only while it has something to say: idle ones lie in the epoll set, each
 * armed for one event.  The worker that gets one reads once, answers what is complete with blocking
 * writes, and arms it again.  When all workers are busy and the queue is full the main thread waits
 * for them, and clients for the main thread: nothing grows without limit.
 *
 * What HTTP is stands in http_conn.c, which weft-httpd has with a thread for each connection.
 */
#include "http_conn.h"
#include "http_file.h"
#include "http_request.h"
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	WORKERS_MAX = 64,
	QUEUE_MAX = 64,
	CONNS_MAX = 10000, /* one more when both listeners are ready at once */
	BATCH = 64,
	WRITE_S = 10,   /* a client that does not take its answer holds a worker no longer */
	TICK_MS = 1000, /* how often the main thread looks for who was silent too long */
};

/* A connection, or a listener (http is NULL). */
struct source {
	TAILQ_ENTRY(source) link; /* in 'idle' or 'busy' */
	struct conn conn;
	struct http *http;
	int64_t idle_since;
};

TAILQ_HEAD(sources, source);

struct pool {
	struct app app;
	const char *root_path;
	/* Immutable while threads run. */
	int root;
	int epfd;
	struct listening listening;
	struct source listeners[LISTENERS_MAX];
	unsigned worker_count;
	pthread_t workers[WORKERS_MAX];

	/* Guarded by mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t has_work;
	pthread_cond_t has_room;
	bool is_stopping;
	bool is_paused; /* nothing is accepted until a connection ends */
	unsigned conn_count;
	struct sources idle; /* armed in the set, the longest idle first */
	struct sources busy; /* in the queue or with a worker */
	struct source *queue[QUEUE_MAX];
	unsigned first;
	unsigned count;
};

/* ---- The epoll set. ---- */

/* Connections are armed for one event: then they belong to who got it. */
static int arm(struct pool *pool, int op, struct source *source)
{
	struct epoll_event event = {.events = source->http ? EPOLLIN | EPOLLONESHOT : EPOLLIN,
				    .data = {.ptr = source}};

	if (!source->http && pool->is_paused)
		event.events = EPOLLHUP;
	return weft_epoll_ctl(pool->epfd, op, source->conn.fd, &event);
}

/* With the lock.  A paused listener still tells its end. */
static void pause_accepting(struct pool *pool, bool is_paused)
{
	if (pool->is_paused == is_paused)
		return;
	pool->is_paused = is_paused;
	for (int i = 0; i < pool->listening.count; i++)
		(void)arm(pool, EPOLL_CTL_MOD, &pool->listeners[i]);
}

/* ---- Connections. ---- */

static void end_source(struct pool *pool, struct sources *list, struct source *source)
{
	(void)pthread_mutex_lock(&pool->mutex);
	TAILQ_REMOVE(list, source, link);
	(void)pthread_mutex_unlock(&pool->mutex);
	/* Not before: the stop must not meet a handle that is used again. */
	(void)weft_close(source->conn.fd);
	http_free(source->http);
	free(source);
	(void)pthread_mutex_lock(&pool->mutex);
	pool->conn_count--;
	pause_accepting(pool, false);
	(void)pthread_mutex_unlock(&pool->mutex);
}

/* Back to the set; false: it cannot be armed, or the server stops. */
static bool park(struct pool *pool, struct source *source)
{
	bool is_parked = false;

	(void)pthread_mutex_lock(&pool->mutex);
	/* Under the lock to the end: once armed it may be somebody else's. */
	if (!pool->is_stopping && arm(pool, EPOLL_CTL_MOD, source) == 0) {
		TAILQ_REMOVE(&pool->busy, source, link);
		TAILQ_INSERT_TAIL(&pool->idle, source, link);
		source->idle_since = now_us();
		is_parked = true;
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	return is_parked;
}

/* ---- The queue. ---- */

/* Waits for room.  The connection stays in 'busy' when the server stops. */
static void push(struct pool *pool, struct source *source)
{
	(void)pthread_mutex_lock(&pool->mutex);
	TAILQ_REMOVE(&pool->idle, source, link);
	TAILQ_INSERT_TAIL(&pool->busy, source, link);
	while (pool->count == QUEUE_MAX && !pool->is_stopping)
		(void)pthread_cond_wait(&pool->has_room, &pool->mutex);
	if (!pool->is_stopping) {
		pool->queue[(pool->first + pool->count++) % QUEUE_MAX] = source;
		(void)pthread_cond_signal(&pool->has_work);
	}
	(void)pthread_mutex_unlock(&pool->mutex);
}

/* NULL: the server stops. */
static struct source *pop(struct pool *pool)
{
	struct source *source = NULL;

	(void)pthread_mutex_lock(&pool->mutex);
	while (pool->count == 0 && !pool->is_stopping)
		(void)pthread_cond_wait(&pool->has_work, &pool->mutex);
	if (!pool->is_stopping) {
		source = pool->queue[pool->first];
		pool->first = (pool->first + 1) % QUEUE_MAX;
		pool->count--;
		(void)pthread_cond_signal(&pool->has_room);
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	return source;
}

static void *run_worker(void *arg)
{
	struct pool *pool = arg;
	struct http_work *work = http_work_new();
	struct source *source;

	if (!work)
		app_say(&pool->app, "no memory for a worker");
	while (work && (source = pop(pool)))
		if (!http_turn(source->http, work) || !park(pool, source))
			end_source(pool, &pool->busy, source);
	http_work_free(work);
	return NULL;
}

/* ---- The main thread. ---- */

static void add_source(struct pool *pool, int fd)
{
	struct source *source = calloc(1, sizeof(*source));
	int rc = -1;

	if (source) {
		source->conn = (struct conn){.app = &pool->app, .ops = pool->app.ops, .fd = fd};
		source->http = http_new(&source->conn, pool->root);
	}
	if (!source || !source->http) {
		free(source);
		(void)weft_close(fd);
		return;
	}
	(void)net_set_timeouts(pool->app.ops, fd, WRITE_S);
	source->idle_since = now_us();
	(void)pthread_mutex_lock(&pool->mutex);
	TAILQ_INSERT_TAIL(&pool->idle, source, link);
	if (++pool->conn_count == CONNS_MAX)
		pause_accepting(pool, true);
	rc = arm(pool, EPOLL_CTL_ADD, source);
	(void)pthread_mutex_unlock(&pool->mutex);
	if (rc < 0)
		end_source(pool, &pool->idle, source);
}

/* Out of handles or memory: waits for the end of a connection.  False: there is none. */
static bool wait_for_end(struct pool *pool)
{
	bool is_paused;

	(void)pthread_mutex_lock(&pool->mutex);
	if (pool->conn_count > 0)
		pause_accepting(pool, true);
	is_paused = pool->is_paused;
	(void)pthread_mutex_unlock(&pool->mutex);
	return is_paused;
}

/* 0, or -1 after a line on stderr: nothing can be accepted any more. */
static int accept_one(struct pool *pool, int listener)
{
	int fd = weft_accept(listener, NULL, NULL);
	int error = errno;

	if (fd >= 0) {
		add_source(pool, fd);
		return 0;
	}
	if (error == EAGAIN || error == ECONNABORTED || error == EPROTO)
		return 0;
	if ((error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) &&
	    wait_for_end(pool))
		return 0;
	app_say_error(&pool->app, "accept", error);
	return -1;
}

static struct source *find_silent(struct pool *pool)
{
	struct source *source;

	(void)pthread_mutex_lock(&pool->mutex);
	source = TAILQ_FIRST(&pool->idle);
	if (source && now_us() - source->idle_since < HTTP_IDLE_S * (int64_t)1000000)
		source = NULL;
	(void)pthread_mutex_unlock(&pool->mutex);
	return source;
}

static bool has_conns(struct pool *pool)
{
	bool is_any;

	(void)pthread_mutex_lock(&pool->mutex);
	is_any = pool->conn_count > 0;
	(void)pthread_mutex_unlock(&pool->mutex);
	return is_any;
}

/* Until a signal comes.  The exit code. */
static int run(struct pool *pool)
{
	struct epoll_event events[BATCH];

	for (;;) {
		int timeout_ms = has_conns(pool) ? TICK_MS : -1;
		int count = weft_epoll_wait(pool->epfd, events, BATCH, timeout_ms);
		struct source *source;

		if (count < 0) {
			app_say_error(&pool->app, "epoll", errno);
			return EXIT_FAILED;
		}
		for (int i = 0; i < count; i++) {
			source = events[i].data.ptr;
			if (source->http)
				push(pool, source);
			else if (events[i].events & EPOLLHUP)
				return 0;
			else if (accept_one(pool, source->conn.fd) < 0)
				return EXIT_FAILED;
		}
		/* Only here, where no event of theirs is in hand: idle ones are this thread's. */
		while ((source = find_silent(pool)))
			end_source(pool, &pool->idle, source);
	}
}

/* ---- Start and stop. ---- */

/* Workers in reads and writes return, those that wait and the main thread, too.  Any thread. */
static void stop(void *ctx)
{
	struct pool *pool = ctx;
	struct source *source;

	(void)pthread_mutex_lock(&pool->mutex);
	pool->is_stopping = true;
	(void)pthread_cond_broadcast(&pool->has_work);
	(void)pthread_cond_broadcast(&pool->has_room);
	TAILQ_FOREACH(source, &pool->busy, link)
	{
		(void)weft_shutdown(source->conn.fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&pool->mutex);
	for (int i = 0; i < pool->listening.count; i++)
		(void)weft_shutdown(pool->listening.fds[i], SHUT_RD);
}

static int open_listeners(struct pool *pool)
{
	struct listening *listening = &pool->listening;
	int rc = listen_open(&pool->app, NULL, listening);

	for (int i = 0; i < listening->count && rc == 0; i++) {
		pool->listeners[i].conn.fd = listening->fds[i];
		if (weft_fcntl(listening->fds[i], F_SETFL, O_NONBLOCK) < 0 ||
		    arm(pool, EPOLL_CTL_ADD, &pool->listeners[i]) < 0) {
			app_say_error(&pool->app, "listen", errno);
			rc = -1;
		}
	}
	return rc;
}

static int start_workers(struct pool *pool, unsigned count)
{
	while (pool->worker_count < count) {
		int rc = pthread_create(&pool->workers[pool->worker_count], NULL, run_worker, pool);

		if (rc != 0) {
			app_say_error(&pool->app, "thread", rc);
			return -1;
		}
		pool->worker_count++;
	}
	return 0;
}

/* Everything is open but perhaps not all workers; all threads end, then all connections. */
static void close_pool(struct pool *pool)
{
	stop(pool);
	for (unsigned i = 0; i < pool->worker_count; i++)
		(void)pthread_join(pool->workers[i], NULL);
	while (!TAILQ_EMPTY(&pool->busy))
		end_source(pool, &pool->busy, TAILQ_FIRST(&pool->busy));
	while (!TAILQ_EMPTY(&pool->idle))
		end_source(pool, &pool->idle, TAILQ_FIRST(&pool->idle));
	for (int i = 0; i < pool->listening.count; i++)
		(void)weft_close(pool->listening.fds[i]);
	(void)weft_close(pool->epfd);
}

static int serve(struct pool *pool)
{
	unsigned worker_count = pool->worker_count;
	int rc = EXIT_FAILED;

	pool->worker_count = 0;
	TAILQ_INIT(&pool->idle);
	TAILQ_INIT(&pool->busy);
	pool->epfd = weft_epoll_create1(pool->app.stack, 0);
	if (pool->epfd < 0)
		app_say_error(&pool->app, "epoll", errno);
	else if (open_listeners(pool) == 0 && start_workers(pool, worker_count) == 0 &&
		 app_signals_start(&pool->app, stop, pool) == 0) {
		listen_say(&pool->app, &pool->listening);
		rc = run(pool);
		app_signals_end(&pool->app);
	}
	close_pool(pool);
	return rc;
}

enum { OPT_ROOT = APP_OPTION_FIRST, OPT_WORKERS };

static bool take_option(void *ctx, int value, const char *arg)
{
	struct pool *pool = ctx;
	uint64_t count = 0;

	if (value == OPT_ROOT)
		pool->root_path = arg;
	else if (value != OPT_WORKERS || !parse_number(arg, WORKERS_MAX, &count) || count == 0)
		return false;
	else
		pool->worker_count = (unsigned)count;
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, OPT_ROOT},
		{"workers", required_argument, NULL, OPT_WORKERS},
		{NULL, 0, NULL, 0},
	};
	static struct pool pool = {
		.app =
			{
				.name = "http-pool",
				.usage = "Usage: http-pool --addr A/PLEN --peer A [--root DIR] "
					 "[options]\n"
					 "Serves the files below DIR over HTTP/1.1, with a fixed "
					 "number of "
					 "threads.\n"
					 "\n"
					 "  --root DIR          what to serve; default: the "
					 "current directory\n"
					 "  --workers N         threads that serve, up to 64; "
					 "default: 4\n",
				.options = options,
				.option = take_option,
				.ctx = &pool,
				.port = 80,
				.needs_weft = true,
			},
		.root_path = ".",
		.worker_count = 4,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.has_work = PTHREAD_COND_INITIALIZER,
		.has_room = PTHREAD_COND_INITIALIZER,
	};
	int rc = EXIT_FAILED;

	app_parse(&pool.app, argc, argv);
	pool.root = http_root_open(pool.root_path);
	if (pool.root < 0) {
		app_say_error(&pool.app, pool.root_path, errno);
		return EXIT_FAILED;
	}
	http_request_setup();
	if (app_open(&pool.app) == 0) {
		rc = serve(&pool);
		app_close(&pool.app);
	}
	(void)close(pool.root);
	return rc;
}
