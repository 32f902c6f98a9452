/*
 * Sends by reference (SO_ZEROCOPY, MSG_ZEROCOPY): what a program sends stays where it is, and the send
 * queue's buffers refer to it until it is acknowledged and no write of the emitter's reads it any more.
 * Then the socket's error queue says so, by the number of the call.
 *
 * A process cannot pin its pages for a library in itself.  So what is left is copied, and writes that
 * read it are waited for, when the last handle is closed or a sending thread is cancelled: behind both
 * the memory is the program's alone.
 *
 * Z1: a buffer that refers to a program's memory has references on its call and on its socket.
 * Z2: a call's number is taken with its first bytes: numbers are in the order of the stream, and a call
 *     that queued nothing has none.
 * Z3: a closed socket has no such buffer once close has returned.
 */
#ifndef WEFT_STACK_ZEROCOPY_H
#define WEFT_STACK_ZEROCOPY_H

#include "net/stack/sock_err.h"

enum {
	ZEROCOPY_MIN = 4096,         /* parts of a message that are smaller are copied */
	ZEROCOPY_JOIN_MAX = 1 << 19, /* bytes: calls in a row that complete together, as on Linux */
};

/* A running call. */
struct zerocopy {
	struct sock *sock;
	struct sock_err *entry; /* NULL: over */
	bool has_number;
};

/* Begins a call; -ENOBUFS: SOCK_ERRS_MAX, or no memory. */
int zerocopy_begin(struct sock *s, struct zerocopy *z) REQUIRES(lc_sock);

/* Queues 'size' bytes at 'data', at most what there is room for, by reference; false: no memory. */
bool zerocopy_send(struct zerocopy *z, const uint8_t *data, uint32_t size, unsigned *events)
	REQUIRES(lc_sock);

/* 'size' bytes of the call were queued as a copy. */
void zerocopy_copied(struct zerocopy *z, uint32_t size) REQUIRES(lc_sock);

/* The call returns. */
void zerocopy_end(struct zerocopy *z) REQUIRES(lc_sock);

/* Cleanup of a call, which has ended unless its thread is cancelled: then its memory is the thread's again. */
void zerocopy_abandon(const struct zerocopy *z) EXCLUDES(lc_sock);

static inline void zerocopy_leave(const struct zerocopy *z)
{
	if (z->entry)
		zerocopy_abandon(z);
}

/* A call that was copied as a whole: a fast open. */
void zerocopy_note(struct sock *s, uint32_t size) EXCLUDES(lc_sock);

/*
 * Makes the program's memory its own again: copies what the send queue still refers to, and waits for
 * the writes that read it.  Without memory for that the connection is reset.
 */
void zerocopy_settle(struct sock *s) EXCLUDES(lc_sock, lc_port, lc_listener);

#endif
