/*
 * weft_ioctl and weft_sockatmark: what waits in a socket's queues, and O_NONBLOCK.  Any thread; never
 * blocks.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include <linux/sockios.h>
#include <stdarg.h>
#include <sys/ioctl.h>

static int ask(struct conn *conn, enum sock_query query, int *value)
{
	const struct proto *proto = proto_of(conn);

	return proto->query ? proto->query(conn, query, value) : -ENOTTY;
}

/* 'value' is the caller's, or NULL. */
static int do_ioctl(struct conn *conn, unsigned long request, int *value)
{
	if (request != FIONREAD && request != SIOCOUTQ && request != SIOCOUTQNSD &&
	    request != SIOCATMARK && request != FIONBIO)
		return -ENOTTY;
	if (!value)
		return -EFAULT;
	switch (request) {
	case FIONBIO:
		proto_of(conn)->set_nonblock(conn, *value != 0);
		return 0;
	case FIONREAD: /* SIOCINQ is the same number */
		return ask(conn, SOCK_QUERY_INQ, value);
	case SIOCOUTQ: /* TIOCOUTQ is the same number */
		return ask(conn, SOCK_QUERY_OUTQ, value);
	case SIOCOUTQNSD:
		return ask(conn, SOCK_QUERY_UNSENT, value);
	default:
		return ask(conn, SOCK_QUERY_ATMARK, value);
	}
}

int weft_ioctl(int fd, unsigned long request, ...)
{
	struct conn *conn;
	int rc = handle_get_sock(fd, NULL, &conn);
	va_list args;

	if (rc < 0)
		return api_ret_int(rc == -ENOTSOCK ? -ENOTTY : rc);
	va_start(args, request);
	rc = do_ioctl(conn, request, va_arg(args, int *));
	va_end(args);
	proto_put(&conn);
	return api_ret_int(rc);
}

int weft_sockatmark(int fd)
{
	int value = 0;
	int rc = weft_ioctl(fd, SIOCATMARK, &value);

	return rc == 0 ? value : rc;
}
