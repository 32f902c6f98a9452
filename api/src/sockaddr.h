/*
 * struct sockaddr and back.  Pure but for the socket's family and V6ONLY, which the callers (the
 * functions of weft.h) give as arguments.  RFC 3493 3.7, 3.9 and Linux's choice of errnos.
 */
#ifndef WEFT_API_SOCKADDR_H
#define WEFT_API_SOCKADDR_H

#include "net/base/check.h"
#include "net/stack/proto.h"

/* What a sockaddr is for: some errnos differ. */
enum sockaddr_use {
	SOCKADDR_BIND,
	SOCKADDR_CONNECT,
	SOCKADDR_SEND,
};

/*
 * Reads the 'len' bytes at 'addr' for a socket of the given family into '*out'.  -EFAULT: NULL;
 * -EINVAL: too short (or a mapped address in bind with V6ONLY); -EAFNOSUPPORT: another family;
 * -ENETUNREACH: a mapped address in connect and send with V6ONLY.
 */
int sockaddr_read(const struct sockaddr *addr, socklen_t len, bool is_v6, bool is_v6only,
		  enum sockaddr_use use, struct sock_addr *out) WARN_UNUSED;

/*
 * The same with what 'conn' is.  As on Linux, connect and send of an IPv6 socket of UDP take an address of
 * AF_INET, too, for the mapped one; with V6ONLY -EAFNOSUPPORT and -ENETUNREACH.
 */
int sockaddr_read_for(struct conn *conn, const struct sockaddr *addr, socklen_t len,
		      enum sockaddr_use use, struct sock_addr *out) WARN_UNUSED;

/*
 * Checks a result argument before the call: 0, -EFAULT or -EINVAL.  'addr' NULL is fine when
 * 'is_optional' (accept).
 */
int sockaddr_check_out(const struct sockaddr *addr, const socklen_t *len, bool is_optional)
	WARN_UNUSED;

/*
 * Writes 'from' in the socket's family: as many bytes as '*len' says, and the true size to '*len'.
 * NULL 'addr': nothing.
 */
void sockaddr_write(const struct sock_addr *from, bool is_v6, struct sockaddr *addr,
		    socklen_t *len);

#endif
