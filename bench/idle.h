/*
 * idle.h - measures a stack with very many idle connections.  idle.c is the command line and the
 * measurements, idle_server.c the listening end, idle_pair.c and idle_kernel.c the two peers.
 *
 * A connection is known by its index; server_fds says which accepted socket it is.
 */
#ifndef BENCH_IDLE_H
#define BENCH_IDLE_H

#include "idle_util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <weft/weft.h>

enum {
	IDLE_PORT = 5000, /* of the first listener */
	IDLE_FIRST_PORT = 1024,
	IDLE_MESSAGE = 64, /* bytes of a message */
	IDLE_TIMEOUT_S = 60,
	IDLE_THREADS_MAX = 64,
};

struct idle_acceptor {
	struct idle *idle;
	pthread_t thread;
	int fd;
	int *fd_by_port; /* accepted sockets by the peer's port; -1: none */
};

struct idle {
	/* From the command line. */
	uint32_t conns;
	uint32_t sample; /* exchanges of a round */
	uint32_t batch;  /* exchanges under way at the same time */
	uint32_t rounds;
	uint32_t threads;
	uint64_t seed;
	struct line line;
	const struct idle_peer *peer;

	struct weft_stack *server;
	struct idle_acceptor *acceptors;
	uint32_t listeners;
	atomic_uint accepted;
	atomic_uint failures;
	int *server_fds; /* by connection */
	struct hist setup;
	struct hist probe; /* round trips of the first connection while the others were set up */
	struct hist closing;
};

/* What a peer does; 0, or -1 after a line on stderr. */
struct idle_peer {
	const char *name;
	unsigned ends;         /* of each connection in this process */
	uint32_t listener_max; /* connections of one listener: what the peer's ports suffice for */
	/* Opens stacks and listeners. */
	int (*open)(struct idle *idle);
	/* Sets all connections up and fills in server_fds. */
	int (*connect)(struct idle *idle);
	/* A message there and back on 'count' different connections, checked. */
	int (*exchange)(struct idle *idle, const uint32_t *indexes, uint32_t count, uint64_t round);
	/* Packets so far, as this process handled them. */
	uint64_t (*packets)(const struct idle *idle);
	/* Closes all connections on both ends. */
	int (*close)(struct idle *idle);
	/* Whether nothing is left in the stacks; prints what is with 'say'. */
	bool (*is_empty)(const struct idle *idle, bool say);
	/* Whether all records of the setup are gone. */
	bool (*is_settled)(const struct idle *idle);
	void (*end)(struct idle *idle);
};

extern const struct idle_peer idle_pair;
extern const struct idle_peer idle_kernel;

/* Says on stderr what failed, with the text of 'error' unless it is 0.  Returns -1. */
int idle_fail(struct idle *idle, const char *what, int error);

/* The message of a connection in a round. */
void idle_message(uint64_t seed, uint32_t index, uint64_t round, uint8_t *message);

/* A stack's configuration for very many connections. */
struct weft_config idle_config(const struct idle *idle);

/* Listeners with a thread each; the connection with 'index' goes to idle_port(index). */
int idle_listen(struct idle *idle, const char *addr);
uint16_t idle_port(const struct idle *idle, uint32_t index);

/* Waits until the peer's side of 'index', from 'port', was accepted, and notes it. */
int idle_note(struct idle *idle, uint32_t index, uint16_t port);

/* Ends the listeners and their threads. */
void idle_unlisten(struct idle *idle);

/* Echoes messages on accepted sockets. */
int idle_echo(struct idle *idle, const uint32_t *indexes, uint32_t count);

/* Runs 'run' in idle->threads threads, each for its part of all connections. */
struct idle_part {
	struct idle *idle;
	pthread_t thread;
	uint32_t first;
	uint32_t step; /* first, first + step, ... */
	struct hist times;
};

int idle_parallel(struct idle *idle, void *(*run)(void *part), struct hist *times);

bool idle_stack_is_empty(struct weft_stack *stack, const char *name, bool say);
bool idle_stack_is_settled(struct weft_stack *stack, uint32_t sockets);
uint64_t idle_counter(struct weft_stack *stack, const char *name);

#endif
