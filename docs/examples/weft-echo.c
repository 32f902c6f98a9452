/*
 * weft-echo - an echo server (RFC 862) with one thread for each connection.
 *
 * The connection's thread reads what is there and writes it back until the client ends its side.
 * Options, threads and the stop on a signal are those of common.c and serve.c.
 */
#include "serve.h"

#include <stdlib.h>

enum { BUF_SIZE = 64 * 1024 };

static void echo(struct conn *conn, void *ctx)
{
	char *buf = malloc(BUF_SIZE);

	(void)ctx;
	if (!buf)
		return;
	/* Answers should not wait for the acknowledgement of the ones before (Nagle). */
	(void)net_set_int(conn->ops, conn->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	for (;;) {
		ssize_t n = conn_read(conn, buf, BUF_SIZE);

		if (n <= 0 || conn_write_all(conn, buf, (size_t)n) < 0)
			break;
	}
	free(buf);
}

int main(int argc, char **argv)
{
	const struct server_config config = {.handle = echo};
	struct app app = {
		.name = "weft-echo",
		.usage = "Usage: weft-echo --addr A/PLEN --peer A [options]\n"
			 "Sends back what it receives; one thread for each connection.\n",
		.port = 7,
	};
	int rc;

	app_parse(&app, argc, argv);
	if (app_open(&app) < 0)
		return EXIT_FAILED;
	rc = server_run(&app, &config);
	app_close(&app);
	return rc;
}
