/*
 * perf_server.c - the serving end of weft-perf.  Each function below 'handle' plays the server's
 * part of one mode (see perf_proto.h) on the thread of the connection; a broken connection just
 * ends, the client reports it.
 */
#include "perf_server.h"

#include "perf_proto.h"
#include "perf_zerocopy.h"

#include <stdlib.h>
#include <string.h>

enum { BUF_MIN = 64 * 1024 };

struct perf_server {
	bool is_once;
};

int perf_set_congestion(const struct app *app, int fd)
{
	static const char name[] = "cubic";

	if (!app->is_kernel)
		return 0;
	if (app->ops->setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1) == 0)
		return 0;
	app_say(app, "cannot set TCP_CONGESTION to %s", name);
	return -1;
}

static int send_result(struct conn *conn, uint64_t count, uint64_t hash)
{
	const struct perf_result result = {.bytes = count, .hash = hash, .cpu_us = perf_cpu_us()};
	uint8_t bytes[PERF_RESULT_SIZE];

	perf_result_encode(&result, bytes);
	return conn_write_all(conn, bytes, sizeof(bytes));
}

static void serve_bulk(struct conn *conn, const struct perf_params *params)
{
	size_t size = params->size > BUF_MIN ? params->size : BUF_MIN;
	uint8_t *buf = perf_pages(size);
	struct perf_hash hash;
	uint64_t total = 0;
	ssize_t n = -1;

	perf_hash_init(&hash);
	while (buf && (n = conn_read(conn, buf, size)) > 0) {
		total += (uint64_t)n;
		if (params->has_verify)
			perf_hash_update(&hash, buf, (size_t)n);
	}
	if (n == 0)
		(void)send_result(conn, total, params->has_verify ? perf_hash_final(&hash) : 0);
	free(buf);
}

/* Sends a block; one that is referred to, and will be written anew, has to arrive first.  0 or -1. */
static int send_block(struct conn *conn, const struct perf_params *params, struct perf_zerocopy *z,
		      const uint8_t *data, size_t size)
{
	if (!params->is_zerocopy)
		return conn_write_all(conn, data, size);
	if (perf_zerocopy_write(z, data, size) < 0)
		return -1;
	conn->out_bytes += size;
	return params->has_verify ? perf_zerocopy_wait(z, 0) : 0;
}

/* Sends blocks until the time is over or all bytes are sent.  0 or -1. */
static int send_blocks(struct conn *conn, const struct perf_params *params,
		       struct perf_source *source, struct perf_hash *hash, uint64_t *total)
{
	int64_t until = now_us() + (int64_t)params->duration_us;
	struct perf_zerocopy z = {0};

	if (params->is_zerocopy && perf_zerocopy_init(&z, conn->fd, conn->app->is_kernel) < 0)
		return -1;
	while (params->bytes > 0 ? *total < params->bytes : now_us() < until) {
		const uint8_t *data = perf_source_next(source);
		size_t size = source->size;

		if (params->bytes > 0 && params->bytes - *total < size)
			size = (size_t)(params->bytes - *total);
		if (send_block(conn, params, &z, data, size) < 0)
			return -1;
		if (params->has_verify)
			perf_hash_update(hash, data, size);
		*total += size;
	}
	return perf_zerocopy_wait(&z, 0);
}

static void serve_reverse(struct conn *conn, const struct perf_params *params)
{
	struct perf_source source;
	struct perf_hash hash;
	uint64_t total = 0;
	uint8_t rest;

	if (perf_source_init(&source, params) < 0)
		return;
	perf_hash_init(&hash);
	if (send_blocks(conn, params, &source, &hash, &total) == 0 &&
	    send_result(conn, total, params->has_verify ? perf_hash_final(&hash) : 0) == 0 &&
	    conn->ops->shutdown(conn->fd, SHUT_WR) == 0)
		(void)conn_read(conn, &rest, 1); /* the client's end of stream */
	perf_source_fini(&source);
}

static void serve_messages(struct conn *conn, const struct perf_params *params)
{
	uint8_t *buf = malloc(params->size);

	while (buf) {
		ssize_t n = net_read_all(conn->ops, conn->fd, buf, params->size);

		if (n != (ssize_t)params->size)
			break;
		conn->in_bytes += (uint64_t)n;
		if (conn_write_all(conn, buf, params->size) < 0)
			break;
	}
	free(buf);
}

static void serve_control(struct conn *conn, const struct perf_server *server)
{
	uint8_t rest;

	if (send_result(conn, 0, 0) == 0 && conn_read(conn, &rest, 1) == 0 &&
	    send_result(conn, 0, 0) == 0)
		/* The process may end next: the client must have the result by then. */
		net_set_linger(conn->ops, conn->fd);
	if (server->is_once)
		server_stop(conn->server);
}

static void handle(struct conn *conn, void *ctx)
{
	uint8_t header[PERF_HEADER_SIZE];
	struct perf_params params;

	(void)net_set_int(conn->ops, conn->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (net_read_all(conn->ops, conn->fd, header, sizeof(header)) != PERF_HEADER_SIZE)
		return;
	conn->in_bytes += sizeof(header);
	if (!perf_params_decode(header, &params)) {
		app_say(conn->app, "a client speaks another protocol or another version");
		return;
	}
	switch (params.mode) {
	case PERF_BULK:
		serve_bulk(conn, &params);
		break;
	case PERF_REVERSE:
		serve_reverse(conn, &params);
		break;
	case PERF_RR:
	case PERF_CRR:
		serve_messages(conn, &params);
		break;
	case PERF_CONTROL:
		serve_control(conn, ctx);
		break;
	}
}

int perf_server_run(struct app *app, bool is_once)
{
	struct perf_server server = {.is_once = is_once};
	const struct server_config config = {
		.setup = perf_set_congestion, .handle = handle, .ctx = &server};

	return server_run(app, &config);
}
