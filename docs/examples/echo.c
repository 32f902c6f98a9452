/*
 * echo.c - an echo server on non-blocking sockets.  The loop's thread.
 *
 * A connection has one buffer, and reads only when that is empty: while the client does not take its
 * answer nothing more is read from it, its window closes, and it has to wait.  That is all there
 * is to back-pressure.
 */
#include "echo.h"

#include <errno.h>
#include <stdlib.h>

enum {
	BUF_SIZE = 64 * 1024,
	STEPS = 16, /* reads and writes in one turn of the loop: the others' turn comes, too */
};

struct echo_conn {
	struct echo *echo;
	struct watch watch;
	struct echo_conn *prev;
	struct echo_conn *next;
	size_t size; /* bytes in the buffer, of which 'sent' went back */
	size_t sent;
	char buf[BUF_SIZE];
};

/* What was written until then still goes out, and the end of stream behind it. */
static void end_conn(struct echo_conn *conn)
{
	struct echo *echo = conn->echo;

	watch_stop(&conn->watch);
	(void)weft_close(conn->watch.fd);
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		echo->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	free(conn);
	acceptor_release(&echo->acceptor);
}

/* Writes, or reads when all is written.  1: something was done; 0: it would block; -1: it is over. */
static int step(struct echo_conn *conn)
{
	ssize_t n;

	if (conn->sent < conn->size) {
		n = weft_write(conn->watch.fd, conn->buf + conn->sent, conn->size - conn->sent);
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		conn->sent += (size_t)n;
		conn->echo->total_bytes += (uint64_t)n;
		return 1;
	}
	n = weft_read(conn->watch.fd, conn->buf, BUF_SIZE);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	/* 0: the client ended its side, perhaps only that one; all it sent was answered before. */
	conn->size = (size_t)n;
	conn->sent = 0;
	return n > 0 ? 1 : -1;
}

static void on_conn(struct watch *watch, uint32_t events)
{
	struct echo_conn *conn = watch->data;
	int rc = 1;

	/* Errors and ends show themselves in read and write. */
	(void)events;
	for (int i = 0; i < STEPS && rc > 0; i++)
		rc = step(conn);
	if (rc < 0 || watch_want(watch, conn->sent < conn->size ? EPOLLOUT : EPOLLIN) < 0)
		end_conn(conn);
}

static void on_accepted(struct acceptor *acceptor, int fd)
{
	struct echo *echo = acceptor->data;
	struct echo_conn *conn = malloc(sizeof(*conn));

	if (!conn) {
		(void)weft_close(fd);
		acceptor_release(acceptor);
		return;
	}
	conn->echo = echo;
	conn->size = 0;
	conn->sent = 0;
	conn->prev = NULL;
	conn->next = echo->conns;
	if (conn->next)
		conn->next->prev = conn;
	echo->conns = conn;
	echo->total_conns++;
	watch_init(&conn->watch, echo->set, fd, on_conn, conn);
	(void)net_set_int(acceptor->app->ops, fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (watch_want(&conn->watch, EPOLLIN) < 0)
		end_conn(conn);
}

int echo_open(struct echo *echo, struct watch_set *set)
{
	echo->set = set;
	echo->conns = NULL;
	echo->acceptor.accepted = on_accepted;
	echo->acceptor.data = echo;
	return acceptor_open(&echo->acceptor, set);
}

void echo_close(struct echo *echo)
{
	acceptor_close(&echo->acceptor);
	while (echo->conns)
		end_conn(echo->conns);
}
