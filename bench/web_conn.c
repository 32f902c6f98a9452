/*
 * web_conn.c - a connection of epoll-httpd: takes what came, answers every request in it, and writes
 * the answers with one call.  On the thread of its worker.
 *
 * Edge-triggered, and level-triggered with the same text: reads until a read was short, and behind
 * EPOLLRDHUP until the end; while answers wait for room nothing more is read.
 */
#include "web.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct net_ops *net_of(const struct web_worker *worker)
{
	return worker->web->net;
}

/* ---- Birth and end. ---- */

static uint32_t events_of(const struct web_worker *worker, bool wants_room)
{
	if (!worker->web->is_level)
		return EPOLLIN | EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET;
	return wants_room ? EPOLLOUT : EPOLLIN | EPOLLRDHUP;
}

void web_conn_open(struct web_worker *worker, int fd)
{
	struct web_conn *conn = calloc(1, sizeof(*conn));
	struct epoll_event event = {.events = events_of(worker, false), .data = {.ptr = conn}};

	if (!conn || worker->web->ops->epoll_ctl(worker->set, EPOLL_CTL_ADD, fd, &event) < 0) {
		worker->refused++;
		(void)net_of(worker)->close(fd);
		free(conn);
		return;
	}
	conn->source.fd = fd;
	conn->next = worker->conns;
	if (conn->next)
		conn->next->prev = conn;
	worker->conns = conn;
	worker->conn_count++;
}

void web_conn_close(struct web_worker *worker, struct web_conn *conn)
{
	(void)net_of(worker)->close(conn->source.fd); /* leaves the set */
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		worker->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	free(conn->rest);
	free(conn->unsent);
	free(conn);
}

/* ---- Answers. ---- */

static const char *reason_of(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Content Too Large";
	case 417:
		return "Expectation Failed";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 505:
	default:
		return "HTTP Version Not Supported";
	}
}

/* The head of an answer into 'head'; its size. */
static size_t make_head(char *head, size_t room, const struct web_request *request, size_t length)
{
	char date[40];
	time_t now = time(NULL);
	struct tm tm;
	const char *connection = "";

	(void)gmtime_r(&now, &tm);
	(void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!request->keep_alive)
		connection = "Connection: close\r\n";
	else if (request->is_http10)
		connection = "Connection: keep-alive\r\n";
	return (size_t)snprintf(
		head, room,
		"HTTP/1.1 %u %s\r\nServer: epoll-httpd\r\nDate: %s\r\n%s%s"
		"Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
		request->status, reason_of(request->status), date, connection,
		request->status == 405 ? "Allow: GET, HEAD\r\n" : "", length);
}

/* The answer at 'out', where there is room for it; its size. */
static size_t answer(struct web_worker *worker, const struct web_request *request, char *out)
{
	const struct web *web = worker->web;
	bool is_usual = request->status == 200 && request->keep_alive && !request->is_http10;
	size_t length = request->status == 200 ? WEB_PAGE_SIZE : 0;
	size_t size;

	worker->requests++;
	if (is_usual) {
		time_t now = time(NULL);

		if (now != worker->date_at) {
			worker->date_at = now;
			worker->head_size =
				make_head(worker->head, sizeof(worker->head), request, length);
		}
		size = worker->head_size;
		memcpy(out, worker->head, size);
	} else {
		size = make_head(out, sizeof(worker->head), request, length);
	}
	if (length == 0 || request->is_head)
		return size;
	memcpy(out + size, web->page, length);
	return size + length;
}

/* ---- Writing. ---- */

/* Keeps what did not go, behind what is kept already. */
static bool keep_unsent(struct web_conn *conn, const char *data, size_t size)
{
	char *longer = realloc(conn->unsent, conn->unsent_size + size);

	if (!longer)
		return false;
	memcpy(longer + conn->unsent_size, data, size);
	conn->unsent = longer;
	conn->unsent_size += size;
	return true;
}

/* False: the connection is broken. */
static bool write_out(struct web_worker *worker, struct web_conn *conn, const char *data,
		      size_t size)
{
	ssize_t n = 0;

	/* An edge comes only behind a write that found no room. */
	while (!conn->unsent && n >= 0 && size > 0) {
		n = net_of(worker)->write(conn->source.fd, data, size);
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	if (n < 0 && errno != EAGAIN)
		return false;
	return size == 0 || keep_unsent(conn, data, size);
}

/* What was kept, first. */
static bool write_unsent(struct web_worker *worker, struct web_conn *conn)
{
	char *data = conn->unsent;
	size_t size = conn->unsent_size;

	conn->unsent = NULL;
	conn->unsent_size = 0;
	bool is_good = write_out(worker, conn, data, size);

	free(data);
	return is_good;
}

/* Level-triggered, either room or data is waited for. */
static bool wait_for_room(struct web_worker *worker, struct web_conn *conn, bool wants_room)
{
	struct epoll_event event = {.events = events_of(worker, wants_room), .data = {.ptr = conn}};

	return !worker->web->is_level || worker->web->ops->epoll_ctl(worker->set, EPOLL_CTL_MOD,
								     conn->source.fd, &event) == 0;
}

/* ---- Reading. ---- */

static size_t min_size(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

/* What is left of a head that goes on with the next read. */
static bool keep_rest(struct web_conn *conn, const char *data, size_t size)
{
	if (size == 0)
		return true;
	conn->rest = malloc(size);
	if (!conn->rest)
		return false;
	memcpy(conn->rest, data, size);
	conn->rest_size = size;
	return true;
}

/* Answers the requests in the first 'size' bytes of worker->in.  False: the connection is broken. */
static bool take_bytes(struct web_worker *worker, struct web_conn *conn, size_t size)
{
	enum { ANSWER_MAX = sizeof(worker->head) + WEB_PAGE_SIZE };

	const char *in = worker->in;
	size_t out = 0;
	size_t used = min_size(conn->skip, size);

	conn->skip -= used;
	while (used < size && !conn->is_ending) {
		struct web_request request;
		size_t n = web_request_parse(in + used, size - used, &request);

		if (n == 0)
			break;
		used += n;
		conn->skip = request.body_size;
		if (WEB_OUT_SIZE - out < (size_t)ANSWER_MAX) {
			if (!write_out(worker, conn, worker->out, out))
				return false;
			out = 0;
		}
		out += answer(worker, &request, worker->out + out);
		conn->is_ending = !request.keep_alive;
		n = min_size(conn->skip, size - used);
		used += n;
		conn->skip -= n;
	}
	if (out > 0 && !write_out(worker, conn, worker->out, out))
		return false;
	return conn->is_ending || keep_rest(conn, in + used, size - used);
}

/*
 * One read with what it brings.  1: there may be more, and behind an end there is; 0: not now; -1: the
 * connection is broken.
 */
static int read_once(struct web_worker *worker, struct web_conn *conn, bool is_end_near)
{
	size_t kept = conn->rest_size;
	size_t room = WEB_IN_SIZE - kept;

	if (kept > 0)
		memcpy(worker->in, conn->rest, kept);
	ssize_t n = net_of(worker)->read(conn->source.fd, worker->in + kept, room);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		conn->is_end = true;
		return 0;
	}
	free(conn->rest);
	conn->rest = NULL;
	conn->rest_size = 0;
	if (!conn->is_ending && !take_bytes(worker, conn, kept + (size_t)n))
		return -1;
	return (size_t)n == room || is_end_near;
}

/*
 * Closing with unread bytes resets the connection, which may cost the client the answer: first the
 * end of our stream, then theirs (RFC 9112 9.6).
 */
static bool is_done(struct web_worker *worker, struct web_conn *conn)
{
	if (conn->unsent)
		return false;
	if (conn->is_end)
		return true;
	if (conn->is_ending && !conn->is_shut) {
		conn->is_shut = true;
		return net_of(worker)->shutdown(conn->source.fd, SHUT_WR) < 0;
	}
	return false;
}

/* What is kept has a limit: the answers to WEB_IN_SIZE of requests. */
void web_conn_serve(struct web_worker *worker, struct web_conn *conn, uint32_t events)
{
	bool is_end_near = events & (EPOLLRDHUP | EPOLLHUP);
	bool is_good = !(events & EPOLLERR);
	bool waited = conn->unsent != NULL;
	int more = 1;

	if (is_good && waited)
		is_good = write_unsent(worker, conn);
	while (is_good && more > 0 && !conn->unsent) {
		more = read_once(worker, conn, is_end_near);
		is_good = more >= 0;
	}
	if (is_good && waited != (conn->unsent != NULL))
		is_good = wait_for_room(worker, conn, conn->unsent != NULL);
	if (!is_good || is_done(worker, conn))
		web_conn_close(worker, conn);
}
