/*
 * acceptor.h - accepts connections in an event loop (watch.h), up to a limit.  One thread, but for
 * acceptor_shut.
 */
#ifndef EXAMPLES_ACCEPTOR_H
#define EXAMPLES_ACCEPTOR_H

#include "listen.h"
#include "watch.h"

struct acceptor {
	/* Set by the caller. */
	const struct app *app;
	unsigned conns_max;
	/* Takes a connection, non-blocking; calls acceptor_release when it is closed. */
	void (*accepted)(struct acceptor *acceptor, int fd);
	/* After acceptor_shut, or when nothing more can be accepted: is_failed then. */
	void (*over)(struct acceptor *acceptor);
	void *data;

	/* Set by the acceptor. */
	struct listening listening;
	struct watch watches[LISTENERS_MAX];
	unsigned conns;
	bool is_paused;
	bool is_failed;
};

/* Listens and says so.  0, or -1 after a line on stderr. */
int acceptor_open(struct acceptor *acceptor, struct watch_set *set);

/* A connection was closed: there is room for another. */
void acceptor_release(struct acceptor *acceptor);

/* Makes the loop call 'over'.  Any thread. */
void acceptor_shut(struct acceptor *acceptor);

void acceptor_close(struct acceptor *acceptor);

#endif
