/*
 * weft_socket to weft_fcntl: handles and struct sockaddr in front of the stack's sockets.  Any
 * thread; a call holds a reference on its socket for its time.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/sockaddr.h"
#include "api/src/stacks.h"
#include <fcntl.h>
#include <stdarg.h>

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
	if ((type & TYPE_MASK) != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
}

/* The caller keeps 'owner' open. */
static int socket_open(struct weft_stack *owner, bool is_v6, bool is_nonblock)
{
	struct sock *sock;
	int fd = handle_reserve(&owner->owner);

	if (fd < 0)
		return fd;
	int rc = sock_new(owner->stack, is_v6, &sock);
	if (rc < 0)
		goto cancel;
	sock_set_nonblock(sock, is_nonblock);
	rc = handle_install(fd, &sock);
	if (rc < 0)
		goto close;
	return fd;
close:
	(void)sock_close(sock);
	sock_put(&sock);
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
	rc = socket_open(owner, domain == AF_INET6, type & SOCK_NONBLOCK);
	stacks_leave(owner);
	return api_ret_int(rc);
}

int weft_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *sock = handle_get(fd, NULL);
	struct sock_addr name;

	if (!sock)
		return api_ret_int(-EBADF);
	int rc = sockaddr_read_for(sock, addr, len, SOCKADDR_BIND, &name);
	if (rc == 0)
		rc = sock_bind(sock, &name);
	sock_put(&sock);
	return api_ret_int(rc);
}

int weft_listen(int fd, int backlog)
{
	struct sock *sock = handle_get(fd, NULL);

	if (!sock)
		return api_ret_int(-EBADF);
	if (backlog < 0)
		backlog = 0;
	int rc = sock_listen(sock, backlog < SOMAXCONN ? backlog : SOMAXCONN);
	sock_put(&sock);
	return api_ret_int(rc);
}

/*
 * Waits for a connection and gives it the reserved handle 'child_fd'.  Without one of those no
 * connection is taken, so that it stays in the queue when handles are short.
 */
static int accept_into(struct sock *sock, int child_fd, int flags, struct sockaddr *addr,
		       socklen_t *len)
{
	struct sock_addr peer;
	struct sock *child;
	int rc = sock_accept(sock, sock_get_nonblock(sock), &child);

	if (rc < 0)
		return rc;
	sock_set_nonblock(child, flags & SOCK_NONBLOCK);
	/* A connection that was reset in the queue has no peer any more; Linux gives it out all the same. */
	if (addr && sock_getpeer(child, &peer) == 0)
		sockaddr_write(&peer, sock_is_v6(child), addr, len);
	else if (addr)
		*len = 0;
	rc = handle_install(child_fd, &child);
	if (rc < 0) {
		(void)sock_close(child);
		sock_put(&child);
	}
	return rc;
}

/* accept4 on a listener that the caller holds. */
static int accept_on(struct sock *sock, struct handle_owner *owner, struct sockaddr *addr,
		     socklen_t *len, int flags)
{
	int rc = flags & ~TYPE_FLAGS ? -EINVAL : sockaddr_check_out(addr, len, true);

	if (rc < 0)
		return rc;
	int child_fd = handle_reserve(owner);
	if (child_fd < 0)
		return child_fd;
	rc = accept_into(sock, child_fd, flags, addr, len);
	if (rc < 0)
		handle_cancel(child_fd);
	return rc < 0 ? rc : child_fd;
}

static int do_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct handle_owner *owner;
	struct sock *sock = handle_get(fd, &owner);

	if (!sock)
		return -EBADF;
	int rc = accept_on(sock, owner, addr, len, flags);
	sock_put(&sock);
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

int weft_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sock *sock = handle_get(fd, NULL);
	struct sock_addr peer;

	if (!sock)
		return api_ret_int(-EBADF);
	int rc = sockaddr_read_for(sock, addr, len, SOCKADDR_CONNECT, &peer);
	if (rc == 0)
		rc = sock_connect(sock, &peer, sock_get_nonblock(sock));
	sock_put(&sock);
	return api_ret_int(rc);
}

int weft_shutdown(int fd, int how)
{
	struct sock *sock = handle_get(fd, NULL);

	if (!sock)
		return api_ret_int(-EBADF);
	int rc = how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR ? sock_shutdown(sock, how)
								      : -EINVAL;
	sock_put(&sock);
	return api_ret_int(rc);
}

int weft_close(int fd)
{
	struct sock *sock = handle_take(fd);

	if (!sock)
		return api_ret_int(-EBADF);
	int rc = sock_close(sock);
	sock_put(&sock);
	return api_ret_int(rc);
}

/* getsockname and getpeername, which differ in 'get' only. */
static int get_name(int fd, struct sockaddr *addr, socklen_t *len,
		    int (*get)(struct sock *, struct sock_addr *))
{
	struct sock *sock = handle_get(fd, NULL);
	struct sock_addr name;

	if (!sock)
		return -EBADF;
	int rc = get(sock, &name);
	if (rc == 0)
		rc = sockaddr_check_out(addr, len, false);
	if (rc == 0)
		sockaddr_write(&name, sock_is_v6(sock), addr, len);
	sock_put(&sock);
	return rc;
}

int weft_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return api_ret_int(get_name(fd, addr, len, sock_getname));
}

int weft_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return api_ret_int(get_name(fd, addr, len, sock_getpeer));
}

int weft_fcntl(int fd, int cmd, ...)
{
	struct sock *sock = handle_get(fd, NULL);
	int rc = -EINVAL;
	va_list args;

	if (!sock)
		return api_ret_int(-EBADF);
	va_start(args, cmd);
	if (cmd == F_GETFL) {
		rc = O_RDWR | (sock_get_nonblock(sock) ? O_NONBLOCK : 0);
	} else if (cmd == F_SETFL) {
		sock_set_nonblock(sock, va_arg(args, int) & O_NONBLOCK);
		rc = 0;
	}
	va_end(args);
	sock_put(&sock);
	return api_ret_int(rc);
}
