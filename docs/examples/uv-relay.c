/*
 * uv-relay - brings a service on a unix socket of the kernel to weft's network: one loop of libuv with
 * weft's sockets on one side and the kernel's on the other.
 *
 *	uv-relay --addr 192.0.2.2/24 --peer 192.0.2.1 --port 80 --service /run/web.sock
 *
 * watch_uv.c is all there is between weft and libuv, acceptor.c does the accepting.  Each direction of a
 * pair has one buffer and reads when it is empty: who does not read makes the other side wait.  An end
 * of stream goes on in its direction while the other one lives; a failure of one side resets the other.
 */
#include "acceptor.h"
#include "watch_uv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { OPT_SERVICE = APP_OPTION_FIRST, BUF_SIZE = 64 * 1024, PAIRS_MAX = 1000, SIGNALS = 2 };

struct program {
	struct app app;
	const char *service;
	uv_loop_t loop;
	struct watch_uv watches;
	struct acceptor acceptor;
	uv_signal_t signals[SIGNALS];
	struct pair *pairs;
};

/* A client and its connection to the service. */
struct pair {
	struct program *program;
	struct pair *prev;
	struct pair *next;
	struct watch client;
	uv_pipe_t service;
	bool is_ending;

	/* From the client to the service. */
	uv_connect_t connect;
	uv_write_t write; /* of what is in 'up' */
	uv_shutdown_t shutdown;
	bool is_busy; /* connecting or writing: nothing is read from the client */
	bool client_ended;
	bool up_ended; /* the service was told */

	/* From the service to the client. */
	size_t size; /* bytes in 'down', of which 'sent' were sent */
	size_t sent;
	bool service_ended;
	bool down_ended; /* the client was told */

	char up[BUF_SIZE];
	char down[BUF_SIZE];
};

/* ---- The end of a pair. ---- */

static void on_pair_closed(uv_handle_t *handle)
{
	struct pair *pair = handle->data;
	struct program *program = pair->program;

	free(pair);
	acceptor_release(&program->acceptor);
}

static void end_pair(struct pair *pair, bool is_orderly)
{
	static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct program *program = pair->program;

	if (pair->is_ending)
		return;
	pair->is_ending = true;
	watch_stop(&pair->client);
	if (!is_orderly)
		(void)weft_setsockopt(pair->client.fd, SOL_SOCKET, SO_LINGER, &reset,
				      sizeof(reset));
	(void)weft_close(pair->client.fd);
	if (pair->prev)
		pair->prev->next = pair->next;
	else
		program->pairs = pair->next;
	if (pair->next)
		pair->next->prev = pair->prev;
	/* Calls back what is under way, with UV_ECANCELED, and then that it is closed. */
	uv_close((uv_handle_t *)&pair->service, on_pair_closed);
}

/* After every step: waits for what can go on now, or ends the pair. */
static void settle(struct pair *pair)
{
	uint32_t wanted = 0;

	if (pair->is_ending)
		return;
	if (!pair->is_busy && !pair->client_ended)
		wanted |= EPOLLIN;
	if (pair->sent < pair->size)
		wanted |= EPOLLOUT;
	if (pair->up_ended && pair->down_ended)
		end_pair(pair, true);
	else if (watch_want(&pair->client, wanted) < 0)
		end_pair(pair, false);
}

/* ---- From the service to the client. ---- */

static void on_service_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void give_buf(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct pair *pair = handle->data;

	(void)suggested;
	*buf = uv_buf_init(pair->down, BUF_SIZE);
}

/* Sends what is in 'down'; reads more when all is sent, and else no more. */
static int send_down(struct pair *pair)
{
	uv_stream_t *service = (uv_stream_t *)&pair->service;
	ssize_t n = 0;

	while (pair->sent < pair->size && n >= 0) {
		n = weft_write(pair->client.fd, pair->down + pair->sent, pair->size - pair->sent);
		if (n > 0)
			pair->sent += (size_t)n;
	}
	if (n < 0)
		return errno == EAGAIN ? uv_read_stop(service) : -1;
	if (!pair->service_ended) {
		int rc = uv_read_start(service, give_buf, on_service_bytes);

		return rc == UV_EALREADY ? 0 : rc;
	}
	pair->down_ended = true;
	return weft_shutdown(pair->client.fd, SHUT_WR);
}

static void on_service_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct pair *pair = stream->data;

	(void)buf;
	if (n == 0 || pair->is_ending)
		return;
	if (n == UV_EOF) {
		(void)uv_read_stop(stream);
		pair->service_ended = true;
	} else if (n > 0) {
		pair->size = (size_t)n;
		pair->sent = 0;
	}
	if ((n < 0 && n != UV_EOF) || send_down(pair) < 0)
		end_pair(pair, false);
	else
		settle(pair);
}

/* ---- From the client to the service. ---- */

static void on_written(uv_write_t *write, int status)
{
	struct pair *pair = write->data;

	pair->is_busy = false;
	if (status < 0)
		end_pair(pair, false);
	else
		settle(pair);
}

static void on_told_end(uv_shutdown_t *shutdown, int status)
{
	struct pair *pair = shutdown->data;

	pair->up_ended = true;
	if (status < 0 && status != UV_ENOTCONN)
		end_pair(pair, false);
	else
		settle(pair);
}

/* Less than 0: the pair is over. */
static int take_up(struct pair *pair)
{
	uv_stream_t *service = (uv_stream_t *)&pair->service;
	ssize_t n = weft_read(pair->client.fd, pair->up, BUF_SIZE);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		pair->client_ended = true;
		return uv_shutdown(&pair->shutdown, service, on_told_end);
	}
	uv_buf_t buf = uv_buf_init(pair->up, (unsigned)n);

	pair->is_busy = true;
	return uv_write(&pair->write, service, &buf, 1, on_written);
}

static void on_client(struct watch *watch, uint32_t events)
{
	struct pair *pair = watch->data;
	int rc = 0;

	/* Errors and ends show themselves in read and write. */
	(void)events;
	if (pair->sent < pair->size)
		rc = send_down(pair);
	if (rc >= 0 && !pair->is_busy && !pair->client_ended)
		rc = take_up(pair);
	if (rc < 0)
		end_pair(pair, false);
	else
		settle(pair);
}

/* ---- The beginning of a pair. ---- */

static void on_connected(uv_connect_t *connect, int status)
{
	struct pair *pair = connect->data;

	if (status < 0 && !pair->is_ending)
		app_say(&pair->program->app, "%s: %s", pair->program->service, uv_strerror(status));
	pair->is_busy = false;
	/* Nothing to send yet: this begins to read. */
	if (status < 0 || send_down(pair) < 0)
		end_pair(pair, false);
	else
		settle(pair);
}

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct program *program = acceptor->data;
	struct pair *pair = calloc(1, sizeof(*pair));

	if (!pair || uv_pipe_init(&program->loop, &pair->service, 0) < 0) {
		free(pair);
		(void)weft_close(fd);
		acceptor_release(acceptor);
		return;
	}
	pair->program = program;
	pair->next = program->pairs;
	if (pair->next)
		pair->next->prev = pair;
	program->pairs = pair;
	pair->service.data = pair;
	pair->connect.data = pair;
	pair->write.data = pair;
	pair->shutdown.data = pair;
	pair->is_busy = true;
	watch_init(&pair->client, &program->watches.set, fd, on_client, pair);
	(void)net_set_int(acceptor->app->ops, fd, IPPROTO_TCP, TCP_NODELAY, 1);
	uv_pipe_connect(&pair->connect, &pair->service, program->service, on_connected);
}

/* ---- The program. ---- */

/* Closes everything; without handles the loop ends. */
static void stop(struct program *program)
{
	if (uv_is_closing((uv_handle_t *)&program->watches.poll))
		return;
	for (int i = 0; i < SIGNALS; i++)
		uv_close((uv_handle_t *)&program->signals[i], NULL);
	acceptor_close(&program->acceptor);
	while (program->pairs)
		end_pair(program->pairs, false);
	watch_uv_close(&program->watches, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	stop(handle->data);
}

static void on_over(struct acceptor *acceptor)
{
	stop(acceptor->data);
}

static void open_signals(struct program *program)
{
	static const int numbers[SIGNALS] = {SIGINT, SIGTERM};

	app_signals_here();
	for (int i = 0; i < SIGNALS; i++) {
		(void)uv_signal_init(&program->loop, &program->signals[i]);
		program->signals[i].data = program;
		(void)uv_signal_start(&program->signals[i], on_signal, numbers[i]);
	}
}

static int serve(struct program *program)
{
	int rc = uv_loop_init(&program->loop);

	if (rc < 0 ||
	    (rc = watch_uv_open(&program->watches, &program->loop, program->app.stack)) < 0) {
		app_say(&program->app, "event loop: %s", uv_strerror(rc));
		return EXIT_FAILED;
	}
	open_signals(program);
	if (acceptor_open(&program->acceptor, &program->watches.set) < 0) {
		program->acceptor.is_failed = true;
		stop(program);
	}
	(void)uv_run(&program->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&program->loop);
	return program->acceptor.is_failed ? EXIT_FAILED : 0;
}

static bool take_option(void *ctx, int value, const char *arg)
{
	struct program *program = ctx;

	program->service = arg;
	return value == OPT_SERVICE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"service", required_argument, NULL, OPT_SERVICE},
		{NULL, 0, NULL, 0},
	};
	static struct program program = {
		.app =
			{
				.name = "uv-relay",
				.usage = "Usage: uv-relay --addr A/PLEN --peer A --service PATH "
					 "[options]\n"
					 "Connects its clients to the service on a unix socket; "
					 "weft in a "
					 "loop of libuv.\n"
					 "\n"
					 "  --service PATH      the unix socket\n",
				.options = options,
				.option = take_option,
				.ctx = &program,
				.port = 7,
				.needs_weft = true,
			},
		.acceptor = {.app = &program.app,
			     .conns_max = PAIRS_MAX,
			     .accepted = on_accepted,
			     .over = on_over,
			     .data = &program},
	};
	int rc;

	app_parse(&program.app, argc, argv);
	if (!program.service)
		app_usage_error(&program.app, "give --service; try --help");
	if (app_open(&program.app) < 0)
		return EXIT_FAILED;
	rc = serve(&program);
	app_close(&program.app);
	return rc;
}
