/*
 * weft_socket to weft_getpeername: handles and struct sockaddr in front of the stack's sockets.  Any
 * thread; a call holds a reference on its socket for its time.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/sockaddr.h"
#include "api/src/stacks.h"

enum {
	TYPE_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC,
	TYPE_MASK = 0xf,
	TYPE_COUNT = 11, /* Linux's SOCK_MAX */
};

/* Linux's order of checks: family, flags and type, protocol number, what there is. */
static int check_socket(int domain, int type, int protocol)
{
	if (domain != AF_INET && domain != AF_INET6)
		return -EAFNOSUPPORT;
	if (type < 0 || (type & ~(TYPE_MASK | TYPE_FLAGS)) || (type & TYPE_MASK) >= TYPE_COUNT)
		return -EINVAL;
	if (protocol < 0 || protocol >= IPPROTO_MAX)
		return -EINVAL;
	if ((type & TYPE_MASK) != SOCK_STREAM && (type & TYPE_MASK) != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	return 0;
}

/* What there is of SOCK_DGRAM; NULL: nothing. */
static const struct proto *dgram_proto(int domain, int protocol)
{
	switch (protocol) {
	case 0:
	case IPPROTO_UDP:
		return &proto_udp;
	case IPPROTO_ICMP:
		return domain == AF_INET ? &proto_ping : NULL;
	case IPPROTO_ICMPV6:
		return domain == AF_INET6 ? &proto_ping6 : NULL;
	default:
		return NULL;
	}
}

static int new_sock(struct stack *stack, int domain, int type, int protocol, struct conn **conn)
{
	bool is_v6 = domain == AF_INET6;

	if ((type & TYPE_MASK) == SOCK_STREAM)
		return protocol == 0 || protocol == IPPROTO_TCP ? proto_new_tcp(stack, is_v6, conn)
								: -EPROTONOSUPPORT;
	const struct proto *proto = dgram_proto(domain, protocol);

	return proto ? proto_new_dgram(stack, proto, is_v6, conn) : -EPROTONOSUPPORT;
}

/* The caller keeps 'owner' open. */
static int socket_open(struct weft_stack *owner, int domain, int type, int protocol)
{
	struct conn *conn;
	int fd = handle_reserve(&owner->owner);

	if (fd < 0)
		return fd;
	int rc = new_sock(owner->stack, domain, type, protocol, &conn);
	if (rc < 0)
		goto cancel;
	proto_of(conn)->set_nonblock(conn, type & SOCK_NONBLOCK);
	rc = handle_install(fd, &conn);
	if (rc < 0)
		goto close;
	return fd;
close:
	(void)proto_of(conn)->close(conn);
	proto_put(&conn);
cancel:
	handle_cancel(fd);
	return rc;
}

int weft_socket(struct weft_stack *stack, int domain, int type, int protocol)
{
	int rc = check_socket(domain, type, protocol);

	if (rc < 0)
		return api_ret_int(rc);
	struct weft_stack *owner = stacks_enter(stack);
	if (!owner)
		return api_ret_int(-ENETDOWN);
	rc = socket_open(owner, domain, type, protocol);
	stacks_leave(owner);
	return api_ret_int(rc);
}

int weft_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct conn *conn;
	struct sock_addr name;
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	rc = sockaddr_read_for(conn, addr, len, SOCKADDR_BIND, &name);
	if (rc == 0)
		rc = proto_of(conn)->bind(conn, &name);
	proto_put(&conn);
	return api_ret_int(rc);
}

int weft_listen(int fd, int backlog)
{
	struct conn *conn;
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	if (backlog < 0)
		backlog = 0;
	rc = proto_of(conn)->listen(conn, backlog < SOMAXCONN ? backlog : SOMAXCONN);
	proto_put(&conn);
	return api_ret_int(rc);
}

/*
 * Waits for a connection and gives it the reserved handle 'child_fd'.  Without one of those no
 * connection is taken, so that it stays in the queue when handles are short.
 */
static int accept_into(struct conn *conn, int child_fd, int flags, struct sockaddr *addr,
		       socklen_t *len)
{
	const struct proto *proto = proto_of(conn);
	struct sock_addr peer;
	struct conn *child;
	int rc = proto->accept(conn, &child);

	if (rc < 0)
		return rc;
	if (flags & SOCK_NONBLOCK)
		proto->set_nonblock(child, true);
	/* A connection that was reset in the queue has no peer any more; Linux gives it out all the same. */
	if (addr && proto->getpeer(child, &peer) == 0)
		sockaddr_write(&peer, proto->is_v6(child), addr, len);
	else if (addr)
		*len = 0;
	rc = handle_install(child_fd, &child);
	if (rc < 0) {
		(void)proto->close(child);
		proto_put(&child);
	}
	return rc;
}

/* A handle that nobody has yet. */
struct reservation {
	int handle; /* negative: none, or it is given out */
};

static void end_reservation(const struct reservation *r)
{
	if (r->handle >= 0)
		handle_cancel(r->handle);
}

/* accept4 on a listener that the caller holds. */
static int accept_on(struct conn *conn, struct handle_owner *owner, struct sockaddr *addr,
		     socklen_t *len, int flags)
{
	int rc = flags & ~TYPE_FLAGS ? -EINVAL : sockaddr_check_out(addr, len, true);

	if (rc < 0)
		return rc;
	int child_fd = handle_reserve(owner);
	struct reservation unused CLEANUP(end_reservation) = {child_fd};

	if (child_fd < 0)
		return child_fd;
	rc = accept_into(conn, child_fd, flags, addr, len);
	if (rc < 0)
		return rc;
	unused.handle = -1;
	return child_fd;
}

static int do_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct handle_owner *owner;
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	int rc = handle_get_sock(fd, &owner, &conn);

	if (rc < 0)
		return rc;
	rc = accept_on(conn, owner, addr, len, flags);
	proto_put(&conn);
	return rc;
}

int weft_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return api_ret_int(do_accept(fd, addr, len, 0));
}

int weft_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	return api_ret_int(do_accept(fd, addr, len, flags));
}

/* AF_UNSPEC dissolves a datagram socket's connection. */
static bool is_unspec(const struct sockaddr *addr, socklen_t len)
{
	sa_family_t family;

	if (!addr || len < sizeof(family))
		return false;
	memcpy(&family, addr, sizeof(family));
	return family == AF_UNSPEC;
}

int weft_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct conn *conn CONN_REF = NULL;
	struct sock_addr peer;

	thread_testcancel();
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	const struct proto *proto = proto_of(conn);

	if (proto->type == SOCK_DGRAM && is_unspec(addr, len)) {
		rc = proto->connect(conn, NULL, false);
	} else {
		rc = sockaddr_read_for(conn, addr, len, SOCKADDR_CONNECT, &peer);
		if (rc == 0)
			rc = proto->connect(conn, &peer, proto->get_nonblock(conn));
	}
	proto_put(&conn);
	return api_ret_int(rc);
}

int weft_shutdown(int fd, int how)
{
	bool is_valid = how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR;
	struct conn *conn;
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	rc = is_valid ? proto_of(conn)->shutdown(conn, how) : -EINVAL;
	proto_put(&conn);
	return api_ret_int(rc);
}

int weft_close(int fd)
{
	bool is_last;

	if (handle_is_child()) /* only this process' copy goes */
		return api_ret_int(handle_forget(fd) ? 0 : -EBADF);
	thread_testcancel();
	struct conn *conn CONN_REF = handle_take(fd, &is_last);

	if (!conn)
		return api_ret_int(-EBADF);
	int rc = is_last ? proto_of(conn)->close(conn) : 0;
	proto_put(&conn);
	return api_ret_int(rc);
}

/* getsockname, or getpeername. */
static int get_name(int fd, struct sockaddr *addr, socklen_t *len, bool is_peer)
{
	struct conn *conn;
	struct sock_addr name;
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return rc;
	const struct proto *proto = proto_of(conn);

	rc = is_peer ? proto->getpeer(conn, &name) : proto->getname(conn, &name);
	if (rc == 0)
		rc = sockaddr_check_out(addr, len, false);
	if (rc == 0)
		sockaddr_write(&name, proto->is_v6(conn), addr, len);
	proto_put(&conn);
	return rc;
}

int weft_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return api_ret_int(get_name(fd, addr, len, false));
}

int weft_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return api_ret_int(get_name(fd, addr, len, true));
}
