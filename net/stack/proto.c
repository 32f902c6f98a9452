/*
 * The table of calls of each kind of object; see proto.h.  TCP's functions want their socket, which
 * begins with the conn.
 */
#include "net/stack/proto.h"

#include "net/stack/dgram.h"
#include "net/stack/fastopen.h"
#include "net/stack/sock_err.h"
#include "net/stack/sock_int.h"
#include <errno.h>
#include <string.h>

static int tcp_bind(struct conn *conn, const struct sock_addr *addr)
{
	return sock_bind(sock_of(conn), addr);
}

static int tcp_listen(struct conn *conn, int backlog)
{
	return sock_listen(sock_of(conn), backlog);
}

static int tcp_accept(struct conn *conn, struct conn **child)
{
	struct sock *s;
	int rc = sock_accept(sock_of(conn), false, &s);

	if (rc == 0)
		*child = &s->conn;
	return rc;
}

static int tcp_connect(struct conn *conn, const struct sock_addr *peer, bool nonblock)
{
	if (!peer)
		return -EAFNOSUPPORT;
	return sock_connect(sock_of(conn), peer, nonblock);
}

/* A stream has no source address to give. */
static ssize_t tcp_sock_recv(struct conn *conn, struct sock_msg *msg)
{
	if (msg->flags & MSG_ERRQUEUE)
		return sock_err_recv(sock_of(conn), msg);
	ssize_t rc = sock_recv(sock_of(conn), msg->iov, msg->count, msg->flags);

	msg->control_len = 0;
	if (rc >= 0 && (msg->flags & MSG_OOB))
		msg->flags_out = rc > 0 ? MSG_OOB : MSG_OOB | MSG_TRUNC;
	return rc;
}

/* As Linux: a stream knows no ancillary data of the socket's level, and ignores that of others. */
static int check_control(const struct sock_msg *msg)
{
	size_t at = 0;

	while (msg->control_len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr head;

		memcpy(&head, (const uint8_t *)msg->control + at, sizeof(head));
		if (head.cmsg_len < sizeof(head) || head.cmsg_len > msg->control_len - at ||
		    head.cmsg_level == SOL_SOCKET)
			return -EINVAL;
		size_t step = CMSG_ALIGN(head.cmsg_len);

		at = step < msg->control_len - at ? at + step : msg->control_len;
	}
	return 0;
}

static ssize_t tcp_sock_send(struct conn *conn, const struct sock_msg *msg)
{
	struct sock *s = sock_of(conn);
	int rc = check_control(msg);

	if (rc < 0)
		return rc;
	if (msg->flags & MSG_FASTOPEN)
		return sock_send_fast(s, msg->name, msg->iov, msg->count,
				      msg->flags & ~MSG_FASTOPEN);
	return sock_send(s, msg->iov, msg->count, msg->flags);
}

/* A connected stream ignores the destination, as on Linux; a fast open connects to it. */
static int tcp_takes_name(struct conn *conn, int flags)
{
	if (!(flags & MSG_FASTOPEN))
		return 0;
	return fastopen_is_client(conn_stack(conn)) ? 1 : -EOPNOTSUPP;
}

static void tcp_keep_error(struct conn *conn, int error)
{
	sock_keep_error(sock_of(conn), error);
}

static int tcp_sock_shutdown(struct conn *conn, int how)
{
	return sock_shutdown(sock_of(conn), how);
}

static int tcp_sock_close(struct conn *conn)
{
	return sock_close(sock_of(conn));
}

static int tcp_getname(struct conn *conn, struct sock_addr *addr)
{
	return sock_getname(sock_of(conn), addr);
}

static int tcp_getpeer(struct conn *conn, struct sock_addr *addr)
{
	return sock_getpeer(sock_of(conn), addr);
}

static int tcp_setopt(struct conn *conn, enum sock_opt opt, int64_t value)
{
	return sock_setopt(sock_of(conn), opt, value);
}

static int tcp_getopt(struct conn *conn, enum sock_opt opt, int64_t *value)
{
	return sock_getopt(sock_of(conn), opt, value);
}

static int tcp_query(struct conn *conn, enum sock_query query, int *value)
{
	return sock_query(sock_of(conn), query, value);
}

static bool tcp_is_v6(struct conn *conn)
{
	return sock_of(conn)->is_v6;
}

static void tcp_set_nonblock(struct conn *conn, bool on)
{
	sock_set_nonblock(sock_of(conn), on);
}

static bool tcp_get_nonblock(struct conn *conn)
{
	return sock_get_nonblock(sock_of(conn));
}

static unsigned tcp_ready(struct conn *conn)
{
	return sock_ready(sock_of(conn));
}

static struct watchers *tcp_watchers(struct conn *conn)
{
	return sock_watchers(sock_of(conn));
}

const struct proto proto_tcp = {
	.type = SOCK_STREAM,
	.protocol = IPPROTO_TCP,
	.recv_flags = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE,
	.send_flags =
		MSG_DONTWAIT | MSG_MORE | MSG_NOSIGNAL | MSG_OOB | MSG_FASTOPEN | MSG_ZEROCOPY,
	.bind = tcp_bind,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.connect = tcp_connect,
	.recv = tcp_sock_recv,
	.send = tcp_sock_send,
	.takes_name = tcp_takes_name,
	.keep_error = tcp_keep_error,
	.shutdown = tcp_sock_shutdown,
	.close = tcp_sock_close,
	.getname = tcp_getname,
	.getpeer = tcp_getpeer,
	.setopt = tcp_setopt,
	.getopt = tcp_getopt,
	.query = tcp_query,
	.is_v6 = tcp_is_v6,
	.set_nonblock = tcp_set_nonblock,
	.get_nonblock = tcp_get_nonblock,
	.ready = tcp_ready,
	.watchers = tcp_watchers,
};

const struct proto *proto_of(const struct conn *conn)
{
	switch (conn_kind(conn)) {
	case CONN_SOCK:
	case CONN_LISTENER:
		return &proto_tcp;
	case CONN_EPSET:
		return &proto_epset;
	case CONN_DGRAM:
		return dgram_of((struct conn *)(uintptr_t)conn)->proto;
	case CONN_HALF_OPEN:
	case CONN_TIME_WAIT:
	case CONN_KIND_COUNT:
	default:
		break;
	}
	/* No handle names a record. */
	WEFT_ASSERT(false);
	return NULL;
}

int proto_new_tcp(struct stack *stack, bool is_v6, struct conn **conn)
{
	struct sock *s;
	int rc = sock_new(stack, is_v6, &s);

	if (rc == 0)
		*conn = &s->conn;
	return rc;
}

struct sock *proto_sock(struct conn *conn)
{
	return proto_of(conn) == &proto_tcp ? sock_of(conn) : NULL;
}

struct stack *proto_stack(const struct conn *conn)
{
	return conn_stack(conn);
}

NO_TSA bool proto_tryget(struct conn *conn)
{
	return conn_tryget(conn);
}

struct conn *proto_get(struct conn *conn)
{
	return conn_get(conn);
}

void proto_put(struct conn **conn)
{
	conn_put(conn);
}
