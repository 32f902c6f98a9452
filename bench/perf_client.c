/*
 * perf_client.c - the measuring end of weft-perf.
 *
 * The main thread opens a control connection, connects all streams (except for crr, where
 * connecting is what is measured), starts a thread for each and waits for them.  A signal closes
 * the sockets from the signal thread, and then all threads come back with errors.
 */
#include "perf_client.h"

#include "perf_server.h"
#include "perf_zerocopy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	STACK_SIZE = 128 * 1024,
	BUF_MIN = 64 * 1024,
	ERRORS_FREE = 16, /* failures a stream may have before any success */
	CONTROL_SLOT = 0, /* streams have the slots from 1 */
};

struct client;

struct stream {
	struct client *client;
	struct perf_params params;
	size_t slot;
	int fd;
	pthread_t thread;
	bool has_thread;
	/* Written by the thread, read when it has ended. */
	const char *failure;  /* what failed; NULL: nothing */
	int error;            /* its errno, or 0 */
	uint64_t bytes;       /* payload, in one direction */
	uint64_t error_count; /* with keeps_going */
	struct perf_histogram *histogram;
};

struct client {
	struct app *app;
	const struct perf_client_config *config;
	struct net_live live;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	struct stream *streams;
	int64_t start_us;
	int64_t end_us;
	uint64_t cpu_us;        /* of this process, for the test */
	uint64_t server_cpu_us; /* of the server's */
};

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- Streams, each on its thread. ---- */

static bool fail(struct stream *stream, const char *failure, int error)
{
	stream->failure = failure;
	stream->error = error;
	return false;
}

static bool is_over(const struct stream *stream)
{
	const struct perf_params *params = &stream->params;

	if (params->bytes > 0)
		return stream->bytes >= params->bytes;
	return now_us() >= stream->client->start_us + (int64_t)params->duration_us;
}

/* Connects and says what is to come.  -1 with errno. */
static int open_connection(struct client *client, size_t slot, const struct perf_params *params)
{
	const struct net_ops *ops = client->app->ops;
	uint8_t header[PERF_HEADER_SIZE];
	int fd = net_live_connect(&client->live, slot, (struct sockaddr *)&client->addr,
				  client->addr_len);

	if (fd < 0)
		return -1;
	/* Of no use for one message, and the call would count against the kernel. */
	if (params->mode != PERF_CRR && perf_set_congestion(client->app, fd) < 0)
		return -1;
	(void)net_set_int(ops, fd, IPPROTO_TCP, TCP_NODELAY, 1);
	perf_params_encode(params, header);
	return net_write_all(ops, fd, header, sizeof(header)) < 0 ? -1 : fd;
}

static bool check_result(struct stream *stream, const uint8_t *bytes, const struct perf_hash *hash)
{
	struct perf_result result;

	if (!perf_result_decode(bytes, &result))
		return fail(stream, "the stream ended without the server's result", 0);
	if (result.bytes != stream->bytes)
		return fail(stream, "the server counted other bytes", 0);
	if (stream->params.has_verify && result.hash != perf_hash_final(hash))
		return fail(stream, "VERIFY: the server's hash differs", 0);
	return true;
}

static bool send_bulk(struct stream *stream, struct perf_source *source, struct perf_hash *hash)
{
	const struct net_ops *ops = stream->client->app->ops;
	uint64_t limit = stream->params.bytes;
	struct perf_zerocopy z = {0};

	if (stream->params.is_zerocopy &&
	    perf_zerocopy_init(&z, stream->fd, stream->client->app->is_kernel) < 0)
		return fail(stream, "SO_ZEROCOPY", errno);
	while (!is_over(stream)) {
		const uint8_t *data = perf_source_next(source);
		size_t size = source->size;

		if (limit > 0 && limit - stream->bytes < size)
			size = (size_t)(limit - stream->bytes);
		if ((stream->params.is_zerocopy ? perf_zerocopy_write(&z, data, size)
						: net_write_all(ops, stream->fd, data, size)) < 0)
			return fail(stream, "write", errno);
		/* The next block is written over this one. */
		if (stream->params.has_verify && perf_zerocopy_wait(&z, 0) < 0)
			return fail(stream, "completions", errno);
		if (stream->params.has_verify)
			perf_hash_update(hash, data, size);
		stream->bytes += size;
	}
	if (perf_zerocopy_wait(&z, 0) < 0)
		return fail(stream, "completions", errno);
	return true;
}

static void run_bulk(struct stream *stream)
{
	const struct net_ops *ops = stream->client->app->ops;
	uint8_t bytes[PERF_RESULT_SIZE];
	struct perf_source source;
	struct perf_hash hash;

	perf_hash_init(&hash);
	if (perf_source_init(&source, &stream->params) < 0) {
		(void)fail(stream, "memory", errno);
		return;
	}
	if (send_bulk(stream, &source, &hash)) {
		ssize_t n = -1;

		if (ops->shutdown(stream->fd, SHUT_WR) == 0)
			n = net_read_all(ops, stream->fd, bytes, sizeof(bytes));
		if (n == PERF_RESULT_SIZE)
			(void)check_result(stream, bytes, &hash);
		else
			(void)fail(stream, "no result from the server", n < 0 ? errno : 0);
	}
	perf_source_fini(&source);
}

/* The last PERF_RESULT_SIZE bytes of the stream are the result: they are always held back. */
static void receive_all(struct stream *stream, uint8_t *buf, size_t size)
{
	const struct net_ops *ops = stream->client->app->ops;
	struct perf_hash hash;
	size_t held = 0;
	ssize_t n;

	perf_hash_init(&hash);
	while ((n = ops->read(stream->fd, buf + held, size - held)) > 0) {
		size_t there = held + (size_t)n;
		size_t payload = there > PERF_RESULT_SIZE ? there - PERF_RESULT_SIZE : 0;

		if (stream->params.has_verify)
			perf_hash_update(&hash, buf, payload);
		stream->bytes += payload;
		held = there - payload;
		memmove(buf, buf + payload, held);
	}
	if (n < 0)
		(void)fail(stream, "read", errno);
	else if (held < PERF_RESULT_SIZE)
		(void)fail(stream, "no result from the server", 0);
	else
		(void)check_result(stream, buf, &hash);
}

static void run_reverse(struct stream *stream)
{
	size_t size = stream->params.size > BUF_MIN ? stream->params.size : BUF_MIN;
	uint8_t *buf = perf_pages(PERF_PAGE + size);

	/* What is read goes behind the bytes held back. */
	if (buf)
		receive_all(stream, buf + PERF_PAGE - PERF_RESULT_SIZE, size + PERF_RESULT_SIZE);
	else
		(void)fail(stream, "memory", errno);
	free(buf);
}

/* One message there and back on 'fd'. */
static bool exchange(struct stream *stream, int fd, struct perf_source *source, uint8_t *buf)
{
	const struct net_ops *ops = stream->client->app->ops;
	const uint8_t *data = perf_source_next(source);
	ssize_t n;

	if (net_write_all(ops, fd, data, source->size) < 0)
		return fail(stream, "write", errno);
	n = net_read_all(ops, fd, buf, source->size);
	if (n != (ssize_t)source->size)
		return n < 0 ? fail(stream, "read", errno) : fail(stream, "the server closed", 0);
	if (stream->params.has_verify && memcmp(buf, data, source->size) != 0)
		return fail(stream, "VERIFY: an answer differs from its message", 0);
	stream->bytes += source->size;
	return true;
}

/* One exchange, on a connection of its own for crr, timed with all that belongs to it. */
static bool measure_exchange(struct stream *stream, struct perf_source *source, uint8_t *buf)
{
	bool is_crr = stream->params.mode == PERF_CRR;
	int64_t start = now_ns();
	bool is_good;

	if (is_crr) {
		stream->fd = open_connection(stream->client, stream->slot, &stream->params);
		if (stream->fd < 0)
			return fail(stream, "connect", errno);
	}
	is_good = exchange(stream, stream->fd, source, buf);
	if (is_crr)
		net_live_close(&stream->client->live, stream->slot);
	if (is_good)
		perf_histogram_add(stream->histogram, (uint64_t)(now_ns() - start));
	return is_good;
}

/* A failure that is only counted.  One that repeats all the time stays, it ends the stream. */
static bool forgive(struct stream *stream)
{
	struct client *client = stream->client;

	if (!client->config->keeps_going || stream->params.mode != PERF_CRR ||
	    net_live_is_stopped(&client->live))
		return false;
	if (++stream->error_count > ERRORS_FREE && stream->error_count > stream->histogram->total)
		return false;
	stream->failure = NULL;
	net_live_close(&client->live, stream->slot); /* connected, but the header did not go */
	return true;
}

static void run_messages(struct stream *stream)
{
	struct perf_source source;
	uint8_t *buf = malloc(stream->params.size);

	stream->histogram = calloc(1, sizeof(*stream->histogram));
	if (perf_source_init(&source, &stream->params) < 0 || !buf || !stream->histogram)
		(void)fail(stream, "memory", ENOMEM);
	else
		while (!is_over(stream) &&
		       (measure_exchange(stream, &source, buf) || forgive(stream)))
			continue;
	perf_source_fini(&source);
	free(buf);
}

static void *run_stream(void *arg)
{
	struct stream *stream = arg;

	if (stream->params.mode == PERF_BULK)
		run_bulk(stream);
	else if (stream->params.mode == PERF_REVERSE)
		run_reverse(stream);
	else
		run_messages(stream);
	net_live_close(&stream->client->live, stream->slot);
	return NULL;
}

/* ---- The test, on the main thread. ---- */

static int complain(struct client *client, const char *what, int error)
{
	if (net_live_is_stopped(&client->live))
		app_say(client->app, "interrupted");
	else if (error != 0)
		app_say_error(client->app, what, error);
	else
		app_say(client->app, "%s", what);
	return -1;
}

static int connect_streams(struct client *client)
{
	const struct perf_client_config *config = client->config;

	for (uint32_t i = 0; i < config->streams; i++) {
		struct stream *stream = &client->streams[i];

		stream->client = client;
		stream->params = config->params;
		stream->params.seed += i;
		stream->slot = i + 1;
		stream->fd = -1;
		if (config->params.mode == PERF_CRR)
			continue;
		stream->fd = open_connection(client, stream->slot, &stream->params);
		if (stream->fd < 0)
			return complain(client, "cannot connect a stream", errno);
	}
	return 0;
}

static int start_threads(struct client *client)
{
	pthread_attr_t attr;
	int rc = 0;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (uint32_t i = 0; i < client->config->streams && rc == 0; i++) {
		struct stream *stream = &client->streams[i];

		rc = pthread_create(&stream->thread, &attr, run_stream, stream);
		stream->has_thread = rc == 0;
	}
	(void)pthread_attr_destroy(&attr);
	if (rc == 0)
		return 0;
	app_say_error(client->app, "thread", rc);
	net_live_stop(&client->live);
	return -1;
}

static int join_threads(struct client *client)
{
	const struct stream *failed = NULL;

	for (uint32_t i = 0; i < client->config->streams; i++) {
		struct stream *stream = &client->streams[i];

		if (!stream->has_thread)
			continue;
		(void)pthread_join(stream->thread, NULL);
		if (stream->failure && !failed)
			failed = stream;
	}
	client->end_us = now_us();
	return failed ? complain(client, failed->failure, failed->error) : 0;
}

/* Reads the server's CPU time from the control connection.  0, or -1 after a line on stderr. */
static int read_control(struct client *client, int fd, uint64_t *cpu_us)
{
	uint8_t bytes[PERF_RESULT_SIZE];
	struct perf_result result;
	ssize_t n = net_read_all(client->app->ops, fd, bytes, sizeof(bytes));

	if (n < 0)
		return complain(client, "control connection", errno);
	if (n != PERF_RESULT_SIZE || !perf_result_decode(bytes, &result))
		return complain(client, "the server is not weft-perf, or ended", 0);
	*cpu_us = result.cpu_us;
	return 0;
}

static int run_streams(struct client *client)
{
	uint64_t cpu_us;
	int rc;

	if (connect_streams(client) < 0)
		return -1;
	cpu_us = perf_cpu_us();
	client->start_us = now_us();
	rc = start_threads(client);
	if (join_threads(client) < 0)
		rc = -1;
	client->cpu_us = perf_cpu_us() - cpu_us;
	return rc;
}

static int run_test(struct client *client)
{
	struct perf_params params = client->config->params;
	uint64_t before;
	uint64_t after;
	int fd;

	params.mode = PERF_CONTROL;
	fd = open_connection(client, CONTROL_SLOT, &params);
	if (fd < 0)
		return complain(client, "cannot connect", errno);
	if (read_control(client, fd, &before) < 0 || run_streams(client) < 0)
		return -1;
	if (client->app->ops->shutdown(fd, SHUT_WR) < 0)
		return complain(client, "control connection", errno);
	net_set_linger(client->app->ops, fd);
	if (read_control(client, fd, &after) < 0)
		return -1;
	client->server_cpu_us = after - before;
	return 0;
}

/* ---- Report. ---- */

static const char *mode_name(enum perf_mode mode)
{
	static const char *const names[] = {
		[PERF_BULK] = "bulk", [PERF_REVERSE] = "reverse", [PERF_RR] = "rr",
		[PERF_CRR] = "crr",   [PERF_CONTROL] = "control",
	};

	return names[mode];
}

struct report {
	uint64_t bytes;
	uint64_t error_count;
	double seconds;
	double bits_per_s;
	double cpu_s;
	double server_cpu_s;
	const struct perf_histogram *latency; /* NULL: bulk and reverse */
};

static double quantile_us(const struct report *report, double share)
{
	return (double)perf_histogram_quantile(report->latency, share) / 1e3;
}

static void print_json(const struct client *client, const struct report *report)
{
	const struct perf_params *params = &client->config->params;

	(void)printf("{\"mode\":\"%s\",\"sockets\":\"%s\",\"streams\":%u,\"size\":%u,"
		     "\"seconds\":%.6f,\"bytes\":%" PRIu64 ",\"bits_per_second\":%.0f,",
		     mode_name(params->mode), client->app->is_kernel ? "kernel" : "weft",
		     client->config->streams, params->size, report->seconds, report->bytes,
		     report->bits_per_s);
	if (report->latency)
		(void)printf(
			"\"transactions\":%" PRIu64 ",\"rate\":%.1f,\"p50_us\":%.2f,"
			"\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f,\"errors\":%" PRIu64 ",",
			report->latency->total, (double)report->latency->total / report->seconds,
			quantile_us(report, 0.5), quantile_us(report, 0.99),
			quantile_us(report, 0.999), (double)report->latency->max / 1e3,
			report->error_count);
	(void)printf("\"cpu_seconds\":%.6f,\"server_cpu_seconds\":%.6f,\"verify\":%s}\n",
		     report->cpu_s, report->server_cpu_s, params->has_verify ? "\"ok\"" : "null");
}

static void print_text(const struct client *client, const struct report *report)
{
	const struct perf_params *params = &client->config->params;

	(void)printf("%s, %s sockets, %u streams, %u bytes: %" PRIu64 " bytes in %.3f s\n",
		     mode_name(params->mode), client->app->is_kernel ? "kernel" : "weft",
		     client->config->streams, params->size, report->bytes, report->seconds);
	if (report->latency)
		(void)printf("transactions %" PRIu64 "  rate %.0f /s  p50 %.1f us  p99 %.1f us  "
			     "p99.9 %.1f us  max %.1f us\n",
			     report->latency->total,
			     (double)report->latency->total / report->seconds,
			     quantile_us(report, 0.5), quantile_us(report, 0.99),
			     quantile_us(report, 0.999), (double)report->latency->max / 1e3);
	if (report->error_count > 0)
		(void)printf("errors %" PRIu64 "\n", report->error_count);
	if (!report->latency)
		(void)printf("throughput %.3f Gbit/s\n", report->bits_per_s / 1e9);
	(void)printf("CPU %.3f s here, %.3f s at the server%s\n", report->cpu_s,
		     report->server_cpu_s, params->has_verify ? "  verified" : "");
}

/* 0, or -1 after a line on stderr. */
static int print_report(struct client *client)
{
	struct perf_histogram *latency = NULL;
	struct report report = {
		.seconds = (double)(client->end_us - client->start_us) / 1e6,
		.cpu_s = (double)client->cpu_us / 1e6,
		.server_cpu_s = (double)client->server_cpu_us / 1e6,
	};

	if (client->config->params.mode == PERF_RR || client->config->params.mode == PERF_CRR) {
		latency = calloc(1, sizeof(*latency));
		if (!latency)
			return complain(client, "report", ENOMEM);
	}
	for (uint32_t i = 0; i < client->config->streams; i++) {
		report.bytes += client->streams[i].bytes;
		report.error_count += client->streams[i].error_count;
		if (latency)
			perf_histogram_merge(latency, client->streams[i].histogram);
	}
	report.bits_per_s = (double)report.bytes * 8 / report.seconds;
	report.latency = latency;
	if (client->config->has_json)
		print_json(client, &report);
	else
		print_text(client, &report);
	free(latency);
	return fflush(stdout) == 0 ? 0 : complain(client, "stdout", errno);
}

static void on_signal(void *ctx)
{
	net_live_stop(ctx);
}

int perf_client_run(struct app *app, const struct perf_client_config *config)
{
	struct client client = {.app = app, .config = config};
	struct app_addrs addrs;
	int rc = -1;

	if (app_resolve(app, config->host, app->port, &addrs) < 0)
		return EXIT_FAILED;
	/* What is measured is one way, not the first that works. */
	client.addr = addrs.addr[0];
	client.addr_len = addrs.len[0];
	client.streams = calloc(config->streams, sizeof(*client.streams));
	if (!client.streams || net_live_init(&client.live, app->ops, config->streams + 1) < 0) {
		app_say_error(app, "memory", ENOMEM);
		free(client.streams);
		return EXIT_FAILED;
	}
	if (app_signals_start(app, on_signal, &client.live) == 0) {
		rc = run_test(&client);
		app_signals_end(app);
	}
	if (rc == 0)
		rc = print_report(&client);
	for (uint32_t i = 0; i < config->streams; i++)
		free(client.streams[i].histogram);
	free(client.streams);
	net_live_fini(&client.live);
	return rc == 0 ? 0 : EXIT_FAILED;
}
