/*
 * http_conn.h - an HTTP/1.1 connection that serves files: keep-alive, pipelining, HEAD, single byte
 * ranges and 304 (RFC 9110, RFC 9112).  weft-httpd gives each connection a thread, http-pool a worker
 * when it has something to say; one thread at a time.
 */
#ifndef EXAMPLES_HTTP_CONN_H
#define EXAMPLES_HTTP_CONN_H

#include "serve.h"

enum { HTTP_IDLE_S = 60 }; /* a silent connection is closed */

/* What lasts from request to request. */
struct http;

/* The buffers of a turn: of a connection or of a worker. */
struct http_work;

/* Sets the socket's options.  Serves what is below 'root' (http_root_open).  NULL: no memory. */
struct http *http_new(struct conn *conn, int root);
void http_free(struct http *http);

struct http_work *http_work_new(void);
void http_work_free(struct http_work *work);

/*
 * Reads once and answers the requests that are complete with that.  False: that was all, the socket is
 * to be closed.  Blocks as long as there is nothing to read or the client does not take its answer.
 */
bool http_turn(struct http *http, struct http_work *work);

#endif
