/*
 * Epoll sets: interest in sockets and in other sets, and the list of those that may be ready.  A set
 * belongs to a stack, on whose clock its timeouts run and with which it ends; what it watches may
 * belong to any stack.
 *
 * An item stands on the ready list when something happened to what it watches since it was found
 * unready; level-triggered ones stay there until they are found unready.  So a wait costs what is ready,
 * however many items there are.
 *
 * All functions may be called from any thread with a reference held; they return 0 or a value, or a
 * negative errno.
 */
#ifndef WEFT_STACK_EPSET_H
#define WEFT_STACK_EPSET_H

#include "net/base/time.h"
#include <signal.h>
#include <sys/epoll.h>

struct conn;
struct stack;

enum { EPSET_NEST_MAX = 5 }; /* sets in a chain, as on Linux */

/* A new empty set with one reference; -ENOMEM, -ESHUTDOWN. */
int epset_new(struct stack *stack, struct conn **made);

/*
 * EPOLL_CTL_ADD, MOD, DEL of 'target', which the program names by 'fd'.  -EEXIST, -ENOENT, -EINVAL
 * (EPOLLEXCLUSIVE where it may not be, an unknown 'op'), -ELOOP, -ENOMEM, -EBADF: closed meanwhile.
 */
int epset_ctl(struct conn *conn, int op, int fd, struct conn *target,
	      const struct epoll_event *event);

/*
 * Events of what is ready, 'max' at most; sleeps until 'deadline' on the set's clock (negative: not at
 * all) while there is nothing: 0.  -EBADF when the set is closed, -ESHUTDOWN when its stack stops.
 */
int epset_wait(struct conn *conn, struct epoll_event *events, int max, weft_time_us deadline);

/*
 * The same with the signals of 'mask' blocked while it sleeps, and no others: -EINTR when the handler of
 * one ran.  Sleeps in the kernel, for the eventfd: what changes the mask and sleeps has to be one.
 */
int epset_pwait(struct conn *conn, struct epoll_event *events, int max, weft_time_us deadline,
		const sigset_t *mask);

/* The eventfd of the set, made by the first call; it belongs to the set, to its last reference. */
int epset_eventfd(struct conn *conn);

/* An object is closed: it leaves all sets. */
struct watchers;
void epset_leave_all(struct watchers *ws, struct conn *conn);

/* The stack stops: its sets end. */
void epset_stop_all(struct stack *stack);

/* Last reference (conn.c). */
void epset_release(struct conn *conn);

#endif
