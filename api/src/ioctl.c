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
	return proto_of(conn)->query(conn, query, value);
}

static bool is_query(unsigned long request)
{
	return request == FIONREAD || request == SIOCOUTQ || request == SIOCOUTQNSD ||
	       request == SIOCATMARK;
}

/* 'value' is the caller's, or NULL.  Epoll sets have no queues, but a flag. */
static int do_ioctl(struct conn *conn, unsigned long request, int *value)
{
	if (request != FIONBIO && !(is_query(request) && proto_of(conn)->query))
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
	struct conn *conn = handle_get(fd, NULL);
	va_list args;

	if (!conn)
		return api_ret_int(-EBADF);
	va_start(args, request);
	int rc = do_ioctl(conn, request, va_arg(args, int *));
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
