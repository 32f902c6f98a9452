/*
 * The error queue of a stream (recvmsg(2) with MSG_ERRQUEUE), as Linux has it: ICMP errors that
 * ended an attempt to connect, for who set IP_RECVERR or IPV6_RECVERR, and completions of sends by
 * reference (zerocopy.h); and, what Linux has not, that nothing is acknowledged.  It is made by the
 * first that comes; SOCK_ERRS_MAX bounds what stands in it and what is promised to it.
 */
#ifndef WEFT_STACK_SOCK_ERR_H
#define WEFT_STACK_SOCK_ERR_H

#include "net/stack/dgram_ctl.h"
#include "net/stack/dgram_err.h"
#include "net/stack/sock_int.h"

/* Entries of a socket, those of sends that are not completed yet among them: ENOBUFS beyond. */
enum { SOCK_ERRS_MAX = 128 };

/*
 * An entry.  Of a send by reference: made when it begins, queued when nobody refers to its bytes.
 */
struct sock_err {
	struct sock_err *next;
	struct dgram_ctl_err ctl;
	struct sock_addr to; /* of an error: where the packet went */
	/* Of a send by reference; guarded by its socket's lock. */
	struct buf_owner owner;
	struct sock *sock; /* whose it is; a buffer that refers to the bytes has a reference */
	uint32_t refs;     /* running calls, and buffers that refer to the bytes */
	uint32_t bytes;    /* sent so far */
	/* What an ICMP error quotes. */
	uint32_t len;
	uint8_t data[];
};

struct sock_errs {
	struct sock_err *head;
	struct sock_err *tail;
	struct sock_err *newest; /* the last send by reference, until it is completed */
	struct cond unpinned;    /* 'pinned' has become 0 */
	uint32_t count;          /* entries, queued or not */
	uint32_t next_send;      /* the number of the next send by reference */
	uint32_t pinned;         /* buffers that refer to the program's memory */
};

/* The socket's; NULL: there is none yet. */
static inline struct sock_errs *sock_errs_of(const struct sock *s) REQUIRES(lc_sock)
{
	return s->has_errs ? s->errs : NULL;
}

static inline bool sock_errs_any(const struct sock *s) REQUIRES(lc_sock)
{
	return s->has_errs && s->errs->head;
}

/* A zeroed entry with room for 'len' bytes, which counts; NULL: at the limit, or no memory. */
struct sock_err *sock_err_new(struct sock *s, uint32_t len) REQUIRES(lc_sock);
void sock_err_free(struct sock *s, struct sock_err *err) REQUIRES(lc_sock);

/* Behind the others; watchers hear. */
void sock_err_push(struct sock *s, struct sock_err *err) REQUIRES(lc_sock);

/* Watchers hear that something has come. */
void sock_err_tell(struct sock *s) REQUIRES(lc_sock);

/* Whether ICMP errors about packets to 'remote' are told at once. */
bool sock_err_wanted(const struct sock *s, const struct addr *remote) REQUIRES(lc_sock);

/*
 * Queues an error; without room for it (ERR_QUEUE, NO_MEM) the connection's end is all that is
 * told.
 */
void sock_err_queue(struct sock *s, const struct dgram_err *told) REQUIRES(lc_sock);

/*
 * A segment was retransmitted three times (RFC 9293 3.8.3, R1): who set IP_RECVERR hears ETIMEDOUT,
 * of this host, unless the stack's soft errors are switched off, or it is a SYN-ACK, which may be of
 * a connection that waits to be accepted.  It is no pending error: calls go on.
 */
void sock_err_r1(struct sock *s) REQUIRES(lc_sock);

/* IP_RECVERR was switched off: all but completions go. */
void sock_err_purge(struct sock *s) REQUIRES(lc_sock);

/* recv with MSG_ERRQUEUE: never blocks. */
ssize_t sock_err_recv(struct sock *s, struct sock_msg *msg) EXCLUDES(lc_sock);

/* The socket's end: nobody else knows it any more. */
void sock_errs_fini(struct sock *s);

#endif
