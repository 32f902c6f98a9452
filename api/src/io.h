/*
 * recv and send of any kind of socket behind POSIX's argument checks, for the calls in io.c and msg.c.
 * The caller holds 'conn', a socket.  Both block as the socket does.
 */
#ifndef WEFT_API_IO_H
#define WEFT_API_IO_H

#include "net/stack/proto.h"

/* Where a message goes, as the program has it. */
struct io_to {
	const struct sockaddr *addr; /* NULL: nowhere named */
	socklen_t len;
};

/* A message in the parts of 'msg'; '*addr' (NULL: nobody asks) gets its source, '*len' is in and out. */
ssize_t io_recv(struct conn *conn, struct sock_msg *msg, struct sockaddr *addr, socklen_t *len);

ssize_t io_send(struct conn *conn, struct sock_msg *msg, const struct io_to *to);

#endif
