/* The calls of datagram sockets as struct proto has them. */
#include "net/stack/dgram.h"
#include <errno.h>

static int proto_bind(struct conn *conn, const struct sock_addr *addr)
{
	return dgram_bind(dgram_of(conn), addr);
}

static int proto_listen(struct conn *conn, int backlog)
{
	(void)conn;
	(void)backlog;
	return -EOPNOTSUPP;
}

static int proto_accept(struct conn *conn, struct conn **child)
{
	(void)conn;
	(void)child;
	return -EOPNOTSUPP;
}

static int proto_connect(struct conn *conn, const struct sock_addr *peer, bool nonblock)
{
	(void)nonblock;
	return dgram_connect(dgram_of(conn), peer);
}

static ssize_t proto_recv(struct conn *conn, struct sock_msg *msg)
{
	return dgram_recv(dgram_of(conn), msg);
}

static ssize_t proto_send(struct conn *conn, const struct sock_msg *msg)
{
	return dgram_send(dgram_of(conn), msg);
}

static int proto_takes_name(struct conn *conn, int flags)
{
	(void)conn;
	(void)flags;
	return PROTO_NAME_OPTIONAL;
}

/* As Linux: what is not connected is shut down all the same, and told that it was not. */
static int proto_shutdown(struct conn *conn, int how)
{
	struct dgram *d = dgram_of(conn);

	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0) {
		rc = d->is_connected ? 0 : -ENOTCONN;
		d->rd_shut = d->rd_shut || how == SHUT_RD || how == SHUT_RDWR;
		d->wr_shut = d->wr_shut || how == SHUT_WR || how == SHUT_RDWR;
		dgram_wake_all(d);
	}
	dgram_unlock(d);
	return rc;
}

static int proto_close(struct conn *conn)
{
	return dgram_close(dgram_of(conn));
}

static void proto_keep_error(struct conn *conn, int error)
{
	struct dgram *d = dgram_of(conn);

	dgram_lock(d);
	if (error != -EAGAIN && dgram_gone(d) == 0)
		d->so_error = -error;
	dgram_unlock(d);
}

static void proto_flush(struct conn *conn)
{
	dgram_send_out(dgram_of(conn));
}

/* As Linux: what the next recv would give, and what waits to be sent. */
static int proto_query(struct conn *conn, enum sock_query query, int *value)
{
	struct dgram *d = dgram_of(conn);

	if (query != SOCK_QUERY_INQ && query != SOCK_QUERY_OUTQ)
		return -ENOTTY;
	dgram_lock(d);
	if (query == SOCK_QUERY_INQ)
		*value = (int)dgram_next_size(d);
	else
		*value = (int)d->out.mem;
	int rc = dgram_gone(d);

	dgram_unlock(d);
	return rc;
}

static int proto_getname(struct conn *conn, struct sock_addr *addr)
{
	return dgram_getname(dgram_of(conn), addr);
}

static int proto_getpeer(struct conn *conn, struct sock_addr *addr)
{
	return dgram_getpeer(dgram_of(conn), addr);
}

static int proto_setopt(struct conn *conn, enum sock_opt opt, int64_t value)
{
	return dgram_setopt(dgram_of(conn), opt, value);
}

static int proto_getopt(struct conn *conn, enum sock_opt opt, int64_t *value)
{
	return dgram_getopt(dgram_of(conn), opt, value);
}

static bool proto_is_v6(struct conn *conn)
{
	return dgram_of(conn)->is_v6;
}

static void proto_set_nonblock(struct conn *conn, bool on)
{
	struct dgram *d = dgram_of(conn);

	dgram_lock(d);
	d->opt.nonblock = on;
	dgram_unlock(d);
}

static bool proto_get_nonblock(struct conn *conn)
{
	struct dgram *d = dgram_of(conn);

	dgram_lock(d);
	bool on = d->opt.nonblock;

	dgram_unlock(d);
	return on;
}

static unsigned proto_ready(struct conn *conn)
{
	return dgram_ready(dgram_of(conn));
}

static struct watchers *proto_watchers(struct conn *conn)
{
	return watchers_make(&dgram_of(conn)->watch);
}

/* The members that all three have alike. */
#define DGRAM_CALLS                                                                                \
	.type = SOCK_DGRAM,                                                                        \
	.recv_flags = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_TRUNC | MSG_ERRQUEUE,            \
	.send_flags = MSG_DONTWAIT | MSG_NOSIGNAL, .bind = proto_bind, .listen = proto_listen,     \
	.accept = proto_accept, .connect = proto_connect, .recv = proto_recv, .send = proto_send,  \
	.takes_name = proto_takes_name, .keep_error = proto_keep_error, .query = proto_query,      \
	.flush = proto_flush, .shutdown = proto_shutdown, .close = proto_close,                    \
	.getname = proto_getname, .getpeer = proto_getpeer, .setopt = proto_setopt,                \
	.getopt = proto_getopt, .is_v6 = proto_is_v6, .set_nonblock = proto_set_nonblock,          \
	.get_nonblock = proto_get_nonblock, .ready = proto_ready, .watchers = proto_watchers

const struct proto proto_udp = {DGRAM_CALLS, .protocol = IPPROTO_UDP};
const struct proto proto_ping = {DGRAM_CALLS, .protocol = IPPROTO_ICMP};
const struct proto proto_ping6 = {DGRAM_CALLS, .protocol = IPPROTO_ICMPV6};

int proto_new_dgram(struct stack *stack, const struct proto *proto, bool is_v6, struct conn **conn)
{
	struct dgram *d;
	int rc = dgram_new(stack, proto, is_v6, &d);

	if (rc == 0)
		*conn = &d->conn;
	return rc;
}
