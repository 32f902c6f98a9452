/*
 * serve.h - a server with one thread for each connection, as blocking sockets are meant to be used.
 * weft-echo, weft-httpd and weft-perf give a function that handles one connection; server_run does
 * the rest: listeners, threads, and the stop in good order.
 */
#ifndef EXAMPLES_SERVE_H
#define EXAMPLES_SERVE_H

#include "common.h"

struct server;

/* One connection; belongs to its thread. */
struct conn {
	const struct app *app;
	const struct net_ops *ops;
	struct server *server;
	int fd;
	struct sockaddr_storage peer;
	uint64_t in_bytes;
	uint64_t out_bytes;
	/* Private to serve.c. */
	struct conn *prev;
	struct conn *next;
};

struct server_config {
	/* Sets options of a listener that its connections inherit; NULL: none.  0, or -1 with errno. */
	int (*setup)(const struct app *app, int fd);
	/* Handles a connection until its end; the socket is closed when it returns. */
	void (*handle)(struct conn *conn, void *ctx);
	void *ctx;
};

/*
 * Listens, prints "listening on ...", serves until a signal comes or server_stop is called, then
 * closes the listeners, shuts the connections down and waits for their threads.  Returns the exit
 * code.  Main thread, between app_open and app_close.
 */
int server_run(struct app *app, const struct server_config *config);

/* Makes server_run stop.  Any thread; does not block. */
void server_stop(struct server *server);

/* read of at most 'size' bytes, counted.  As read(2). */
ssize_t conn_read(struct conn *conn, void *buf, size_t size);

/* Writes all 'size' bytes, counted.  0, or -1 with errno. */
int conn_write_all(struct conn *conn, const void *buf, size_t size);

#endif
