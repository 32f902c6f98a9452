/*
 * weft_read, weft_write and their relatives: POSIX's argument checks in front of the socket's recv
 * and send.  Any thread; blocks as the socket does.
 *
 * Flags that only hint at something (MSG_NOSIGNAL: weft never raises SIGPIPE) are taken and have no
 * effect; unknown ones are EOPNOTSUPP.
 */
#include "api/src/io.h"

#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/sockaddr.h"
#include <limits.h>

enum {
	RECV_HINTS = MSG_NOSIGNAL | MSG_CMSG_CLOEXEC,
	SEND_HINTS = MSG_EOR | MSG_CONFIRM | MSG_ZEROCOPY,
};

/*
 * Checks an array of parts and gives the sum of their sizes: -EINVAL when there are too many or the
 * sum is not a ssize_t, -EFAULT for NULL where bytes should be.  'may_be_null': MSG_TRUNC throws
 * the bytes away and looks at no buffer.
 */
static ssize_t iov_check(const struct iovec *iov, int count, bool may_be_null)
{
	size_t sum = 0;

	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	if (count > 0 && !iov)
		return -EFAULT;
	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > (size_t)SSIZE_MAX - sum)
			return -EINVAL;
		if (iov[i].iov_len > 0 && !iov[i].iov_base && !may_be_null)
			return -EFAULT;
		sum += iov[i].iov_len;
	}
	return (ssize_t)sum;
}

/* 'empty_ok': as Linux, read and readv of nothing give 0 without a look at the connection. */
static ssize_t recv_from(struct conn *conn, struct sock_msg *msg, bool empty_ok)
{
	const struct proto *proto = proto_of(conn);
	ssize_t rc;

	if (msg->flags & ~(proto->recv_flags | RECV_HINTS))
		rc = -EOPNOTSUPP;
	else
		rc = iov_check(msg->iov, msg->count, msg->flags & MSG_TRUNC);
	msg->flags &= proto->recv_flags;
	if (rc > 0 || (rc == 0 && !empty_ok))
		rc = proto->recv(conn, msg);
	return rc;
}

static ssize_t recv_msg(int fd, struct sock_msg *msg, bool empty_ok)
{
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	ssize_t rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return rc;
	rc = recv_from(conn, msg, empty_ok);
	proto_put(&conn);
	return rc;
}

ssize_t io_recv(struct conn *conn, struct sock_msg *msg, struct sockaddr *addr, socklen_t *len)
{
	struct sock_addr name;

	msg->name = addr ? &name : NULL;
	ssize_t rc = recv_from(conn, msg, false);

	msg->name = NULL;
	if (rc < 0 || !addr)
		return rc;
	if (msg->has_name)
		sockaddr_write(&name, proto_of(conn)->is_v6(conn), addr, len);
	else
		*len = 0; /* a stream has no source address to give */
	return rc;
}

/* Reads the address when the kind of socket looks at it; 0 or -errno. */
static int read_name(struct conn *conn, const struct io_to *to, struct sock_msg *msg,
		     struct sock_addr *name)
{
	int rc = proto_of(conn)->takes_name(conn, msg->flags);

	if (rc <= 0 || (rc == PROTO_NAME_OPTIONAL && !to->addr))
		return rc < 0 ? rc : 0;
	msg->name = name;
	return sockaddr_read_for(conn, to->addr, to->len, SOCKADDR_SEND, name);
}

/* 'empty_ok': as Linux, writev of no parts gives 0 without a look at the connection. */
static ssize_t send_to(struct conn *conn, struct sock_msg *msg, const struct io_to *to,
		       bool empty_ok)
{
	const struct proto *proto = proto_of(conn);
	struct sock_addr name;
	ssize_t rc;

	if (msg->flags & ~(proto->send_flags | SEND_HINTS))
		rc = -EOPNOTSUPP;
	else
		rc = iov_check(msg->iov, msg->count, false);
	msg->flags &= proto->send_flags;
	if (rc > 0 || (rc == 0 && !empty_ok)) {
		int named = read_name(conn, to, msg, &name);

		rc = named < 0 ? named : proto->send(conn, msg);
	}
	msg->name = NULL;
	return rc;
}

static ssize_t send_msg(int fd, struct sock_msg *msg, const struct io_to *to, bool empty_ok)
{
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	ssize_t rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return rc;
	/* As Linux: looked at where the name is ignored, too. */
	rc = to->addr && to->len > sizeof(struct sockaddr_storage)
		     ? -EINVAL
		     : send_to(conn, msg, to, empty_ok);
	proto_put(&conn);
	return rc;
}

ssize_t io_send(struct conn *conn, struct sock_msg *msg, const struct io_to *to)
{
	return send_to(conn, msg, to, false);
}

static const struct io_to to_nowhere;

/* A part for a buffer that is only read: struct iovec has no const. */
static struct iovec const_part(const void *buf, size_t size)
{
	union {
		const void *in;
		void *out;
	} cast = {.in = buf};

	return (struct iovec){cast.out, size};
}

ssize_t weft_read(int fd, void *buf, size_t size)
{
	struct iovec iov = {buf, size};
	struct sock_msg msg = {.iov = &iov, .count = 1};

	return api_ret(recv_msg(fd, &msg, true));
}

ssize_t weft_readv(int fd, const struct iovec *iov, int count)
{
	struct sock_msg msg = {.iov = iov, .count = count};

	return api_ret(recv_msg(fd, &msg, true));
}

ssize_t weft_recv(int fd, void *buf, size_t size, int flags)
{
	struct iovec iov = {buf, size};
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = flags};

	return api_ret(recv_msg(fd, &msg, false));
}

ssize_t weft_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr,
		      socklen_t *len)
{
	struct iovec iov = {buf, size};
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = flags};

	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	ssize_t rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret(rc);
	rc = addr && !len ? -EFAULT : io_recv(conn, &msg, addr, len);
	proto_put(&conn);
	return api_ret(rc);
}

ssize_t weft_write(int fd, const void *buf, size_t size)
{
	struct iovec iov = const_part(buf, size);
	struct sock_msg msg = {.iov = &iov, .count = 1};

	return api_ret(send_msg(fd, &msg, &to_nowhere, false));
}

ssize_t weft_writev(int fd, const struct iovec *iov, int count)
{
	struct sock_msg msg = {.iov = iov, .count = count};

	return api_ret(send_msg(fd, &msg, &to_nowhere, count == 0));
}

ssize_t weft_send(int fd, const void *buf, size_t size, int flags)
{
	return weft_sendto(fd, buf, size, flags, NULL, 0);
}

ssize_t weft_sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *addr,
		    socklen_t len)
{
	const struct io_to to = {addr, len};
	struct iovec iov = const_part(buf, size);
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = flags};

	return api_ret(send_msg(fd, &msg, &to, false));
}
