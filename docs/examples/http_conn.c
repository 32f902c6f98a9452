/*
 * http_conn.c - the connections and answers of weft-httpd and http-pool; http_request.c reads requests,
 * http_file.c opens files.  A connection's thread, which may be another one each turn.
 */
#include "http_conn.h"
#include "http_file.h"
#include "http_request.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	IN_SIZE = 16 * 1024,
	OUT_SIZE = 128 * 1024, /* answer's head and the first piece of the file, then more pieces */
	PATH_SIZE = HTTP_TARGET_MAX + 1,
	LINGER_S = 2, /* after an error: how long to read on, and how much */
	LINGER_MAX = 512 * 1024,
};

struct http_work {
	char path[PATH_SIZE];
	char in[IN_SIZE];
	char out[OUT_SIZE];
	size_t out_size; /* bytes in 'out' to be sent */
};

struct http {
	struct conn *conn;
	int root;
	struct http_work *work; /* this turn's */
	struct http_request request;
	time_t date_at; /* what 'date' was made of; the text changes once a second */
	char date[HTTP_DATE_SIZE];
};

static const char *reason_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{416, "Range Not Satisfiable"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* ---- Heads of answers, collected in 'out'. ---- */

static void add(struct http *http, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Heads are far smaller than 'out': the target they may repeat is limited. */
static void add(struct http *http, const char *format, ...)
{
	size_t room = OUT_SIZE - http->work->out_size;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(http->work->out + http->work->out_size, room, format, args);
	va_end(args);
	if (n > 0)
		http->work->out_size += (size_t)n < room ? (size_t)n : room - 1;
}

/* Status line and the fields that all answers have. */
static void begin_answer(struct http *http, unsigned status)
{
	time_t now = time(NULL);

	if (now != http->date_at) {
		http->date_at = now;
		http_date_text(now, http->date);
	}
	http->work->out_size = 0;
	add(http, "HTTP/1.1 %u %s\r\nServer: weft-httpd\r\nDate: %s\r\n", status, reason_of(status),
	    http->date);
	if (!http->request.keep_alive)
		add(http, "Connection: close\r\n");
	else if (http->request.is_http10)
		add(http, "Connection: keep-alive\r\n");
}

static int flush(struct http *http)
{
	return conn_write_all(http->conn, http->work->out, http->work->out_size);
}

/* Adds the end of the head and the answer's body, a line of text, and sends all.  0 or -1. */
static int finish_with_text(struct http *http, unsigned status)
{
	char text[80];
	int size = snprintf(text, sizeof(text), "%u %s\n", status, reason_of(status));

	add(http, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", size);
	if (http->request.method != HTTP_HEAD)
		add(http, "%s", text);
	return flush(http);
}

static int answer_error(struct http *http, unsigned status)
{
	begin_answer(http, status);
	if (status == 405)
		add(http, "Allow: GET, HEAD\r\n");
	return finish_with_text(http, status);
}

/*
 * Sends the client of "/dir" to "/dir/".  From the decoded path, encoded anew and with one slash in
 * front: a target of "//host" must not become a redirect to another host.
 */
static int answer_redirect(struct http *http)
{
	begin_answer(http, 301);
	add(http, "Location: /");
	for (const char *at = http->work->path; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (isalnum(c) || strchr("/-._~", c))
			add(http, "%c", c);
		else
			add(http, "%%%02X", c);
	}
	add(http, "/\r\n");
	return finish_with_text(http, 301);
}

/* ---- Files. ---- */

/* Sends what is in 'out', then 'count' bytes of the file from 'first'.  0 or -1. */
static int send_file(struct http *http, int fd, uint64_t first, uint64_t count)
{
	while (count > 0) {
		size_t room = OUT_SIZE - http->work->out_size;
		size_t wanted = count < room ? (size_t)count : room;
		ssize_t n = pread(fd, http->work->out + http->work->out_size, wanted, (off_t)first);

		/* Shorter than its head said: only closing tells the client. */
		if (n <= 0)
			return -1;
		http->work->out_size += (size_t)n;
		first += (uint64_t)n;
		count -= (uint64_t)n;
		if (http->work->out_size < OUT_SIZE && count > 0)
			continue;
		if (flush(http) < 0)
			return -1;
		http->work->out_size = 0;
	}
	return http->work->out_size > 0 ? flush(http) : 0;
}

/* A range counts for GET only, and only if the client's other part is of this very file. */
static enum http_range wanted_range(const struct http *http, const struct http_file *file,
				    uint64_t *first, uint64_t *count)
{
	const struct http_request *request = &http->request;
	const char *if_range = request->values[FIELD_IF_RANGE];

	if (request->method != HTTP_GET || request->values[FIELD_RANGE][0] == '\0')
		return RANGE_NONE;
	if (if_range[0] != '\0' && strcmp(if_range, file->tag) != 0 &&
	    strcmp(if_range, file->modified_text) != 0)
		return RANGE_NONE;
	return http_range_parse(request->values[FIELD_RANGE], file->size, first, count);
}

static int answer_file(struct http *http, const struct http_file *file)
{
	const struct http_request *request = &http->request;
	uint64_t first = 0;
	uint64_t count = file->size;
	enum http_range range;

	if (http_file_is_unchanged(file, request->values[FIELD_IF_NONE_MATCH],
				   request->values[FIELD_IF_MODIFIED_SINCE])) {
		begin_answer(http, 304);
		add(http, "ETag: %s\r\nLast-Modified: %s\r\n\r\n", file->tag, file->modified_text);
		return flush(http);
	}
	range = wanted_range(http, file, &first, &count);
	if (range == RANGE_UNSATISFIABLE) {
		begin_answer(http, 416);
		add(http, "Content-Range: bytes */%" PRIu64 "\r\n", file->size);
		return finish_with_text(http, 416);
	}
	begin_answer(http, range == RANGE_GOOD ? 206 : 200);
	if (range == RANGE_GOOD)
		add(http, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", first,
		    first + count - 1, file->size);
	else
		count = file->size;
	add(http,
	    "Content-Type: %s\r\nContent-Length: %" PRIu64 "\r\nAccept-Ranges: bytes\r\n"
	    "ETag: %s\r\nLast-Modified: %s\r\n\r\n",
	    file->type, count, file->tag, file->modified_text);
	return send_file(http, file->fd, range == RANGE_GOOD ? first : 0,
			 request->method == HTTP_HEAD ? 0 : count);
}

static int answer(struct http *http)
{
	struct http_file file = {.fd = -1};
	unsigned status = http->request.status;
	int rc;

	if (status == 0)
		status = http_request_path(&http->request, http->work->path,
					   sizeof(http->work->path));
	if (status == 0)
		status = http_file_open(http->root, http->work->path, &file);
	if (status == 301)
		return answer_redirect(http);
	if (status != 0)
		return answer_error(http, status);
	rc = answer_file(http, &file);
	(void)close(file.fd);
	return rc;
}

/* ---- Connection. ---- */

/*
 * Answers all requests in the 'size' bytes at 'in'.  False: the connection is to be closed.
 */
static bool take_bytes(struct http *http, size_t size)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct http_request *request = &http->request;
	size_t used = 0;

	while (used < size) {
		used += http_request_parse(request, http->work->in + used, size - used);
		if (!request->is_complete)
			break;
		if (answer(http) < 0 || !request->keep_alive)
			return false;
		http_request_next(request);
	}
	if (!request->wants_continue)
		return true;
	request->wants_continue = false;
	return conn_write_all(http->conn, go_on, sizeof(go_on) - 1) == 0;
}

/*
 * Closing with unread bytes resets the connection, which may cost the client the answer: end our
 * side and read on until the client ends its own, with limits (RFC 9112 9.6).
 */
static void linger(struct http *http)
{
	struct conn *conn = http->conn;
	int64_t until = now_us() + LINGER_S * (int64_t)1000000;
	size_t total = 0;

	if (conn->ops->shutdown(conn->fd, SHUT_WR) < 0 ||
	    net_set_timeouts(conn->ops, conn->fd, LINGER_S) < 0)
		return;
	while (total < LINGER_MAX && now_us() < until) {
		ssize_t n = conn->ops->read(conn->fd, http->work->in, IN_SIZE);

		if (n <= 0)
			break;
		total += (size_t)n;
	}
}

struct http *http_new(struct conn *conn, int root)
{
	struct http *http = malloc(sizeof(*http));

	if (!http)
		return NULL;
	http->conn = conn;
	http->root = root;
	http->work = NULL;
	http->date_at = 0;
	http->date[0] = '\0';
	http_request_init(&http->request);
	(void)net_set_int(conn->ops, conn->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	(void)net_set_timeouts(conn->ops, conn->fd, HTTP_IDLE_S);
	return http;
}

bool http_turn(struct http *http, struct http_work *work)
{
	ssize_t n = conn_read(http->conn, work->in, IN_SIZE);

	http->work = work;
	if (n > 0 && take_bytes(http, (size_t)n))
		return true;
	/* The client ended its side within a request: that request is malformed. */
	if (n == 0 && http->request.has_begun) {
		http->request.keep_alive = false;
		(void)answer_error(http, 400);
	}
	if (n >= 0)
		linger(http);
	return false;
}

void http_free(struct http *http)
{
	free(http);
}

struct http_work *http_work_new(void)
{
	return malloc(sizeof(struct http_work));
}

void http_work_free(struct http_work *work)
{
	free(work);
}
