/*
 * echo.h - an echo server (RFC 862) on non-blocking sockets, in whatever loop turns the set of watches
 * (watch.h).  One thread, but for the acceptor's acceptor_shut.
 */
#ifndef EXAMPLES_ECHO_H
#define EXAMPLES_ECHO_H

#include "acceptor.h"

struct echo {
	struct acceptor acceptor; /* the caller sets app, conns_max and over */
	struct watch_set *set;
	struct echo_conn *conns;
	uint64_t total_conns;
	uint64_t total_bytes; /* sent back */
};

/* Listens.  0, or -1 after a line on stderr. */
int echo_open(struct echo *echo, struct watch_set *set);

/* Closes the listeners and all connections. */
void echo_close(struct echo *echo);

#endif
