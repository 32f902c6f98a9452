/*
 * What scenarios with sockets take place in: a stack that talks to itself over its loop device, or two
 * stacks joined by a cable in memory, with a listener and a connection.  All of a world's own threads
 * are explored along with the scenario's.
 */
#ifndef WEFT_TESTS_WORLD_H
#define WEFT_TESTS_WORLD_H

#include "net/base/time.h"
#include "net/stack/sock.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <weft/weft.h>

struct stack;
struct conn;

/* The explorer's clock. */
extern const struct weft_clock world_clock;

enum world_kind {
	WORLD_LOOP,
	WORLD_CABLE, /* RX threads read for all */
	WORLD_LED,   /* threads that wait read themselves */
};

struct world {
	struct stack *a;
	struct stack *b; /* that of 'server' and 'listener'; of a loop the same */
	struct sock *listener;
	struct sock *client;
	struct sock *server;
};

void world_open(struct world *w, enum world_kind kind);

/* Closes what is left; stacks assert that nothing is. */
void world_close(struct world *w);

/* Closes a socket and puts the reference. */
void world_drop(struct sock **s);

/* A call on a thread of its own. */
struct call {
	struct sock *s;
	struct conn *conn; /* of what is no stream */
	size_t size;       /* bytes, below 64 KiB */
	int flags;
	unsigned task;
	ssize_t result; /* UNDONE until the call returned */
	struct sock *child;
};

enum { UNDONE = 123456789 };

/* Start a call; it stands still until somebody waits. */
void start_recv(struct call *call, struct sock *s, size_t size, int flags);
void start_send(struct call *call, struct sock *s, size_t size);
void start_accept(struct call *call, struct sock *listener);
void start_connect(struct call *call, struct sock *s);
void start_poll(struct call *call, struct sock *s, unsigned events, weft_time_us timeout);
void start_epoll(struct call *call, struct conn *set);
void start_close(struct call *call, struct sock *s);
void start_shutdown(struct call *call, struct sock *s, int how);
void start_cancel(struct call *call, struct call *whom);

/* Waits for the end of the call. */
void finish(struct call *call);
void finish_all(struct call *calls, unsigned count);

/* A new socket of 'a', for start_connect. */
struct sock *world_sock(struct world *w);

/* Datagram sockets: a bound one at which world_aim aims, or another. */
struct conn *world_dgram(struct stack *stack, bool is_bound);
void world_aim(struct world *w, struct conn *conn);
void world_set_opt(struct conn *conn, enum sock_opt opt, int64_t value);
void world_drop_conn(struct conn **conn);
void start_msg_recv(struct call *call, struct conn *conn);
void start_msg_send(struct call *call, struct conn *conn, size_t size);
void start_poll_conn(struct call *call, struct conn *conn, unsigned events, weft_time_us timeout);
void start_close_conn(struct call *call, struct conn *conn);

/* An epoll set of b's that watches 's' for 'events'. */
struct conn *world_set(struct world *w, struct sock *s, uint32_t events);
void world_put_set(struct conn **set);

#endif
