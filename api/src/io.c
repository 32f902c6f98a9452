/*
 * weft_read, weft_write and their relatives: POSIX's argument checks in front of sock_recv and
 * sock_send.  Any thread; blocks as the socket does.
 *
 * Flags that only hint at something (MSG_NOSIGNAL: weft never raises SIGPIPE) are taken and have no
 * effect; unknown ones, and MSG_OOB in this version, are EOPNOTSUPP.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/sockaddr.h"
#include "net/stack/fastopen.h"
#include <limits.h>

enum {
	RECV_FLAGS = MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL | MSG_TRUNC,
	RECV_HINTS = MSG_NOSIGNAL | MSG_CMSG_CLOEXEC,
	SEND_FLAGS = MSG_DONTWAIT | MSG_MORE | MSG_NOSIGNAL,
	SEND_HINTS = MSG_EOR | MSG_CONFIRM,
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
static ssize_t recv_parts(int fd, const struct iovec *iov, int count, int flags, bool empty_ok)
{
	if (flags & ~(RECV_FLAGS | RECV_HINTS))
		return -EOPNOTSUPP;
	struct sock *sock = handle_get(fd, NULL);
	if (!sock)
		return -EBADF;
	ssize_t rc = iov_check(iov, count, flags & MSG_TRUNC);
	if (rc > 0 || (rc == 0 && !empty_ok))
		rc = sock_recv(sock, iov, count, flags & RECV_FLAGS);
	sock_put(&sock);
	return rc;
}

/* 'empty_ok': as Linux, writev of no parts gives 0 without a look at the connection. */
static ssize_t send_parts(int fd, const struct iovec *iov, int count, int flags, bool empty_ok)
{
	if (flags & ~(SEND_FLAGS | SEND_HINTS))
		return -EOPNOTSUPP;
	struct sock *sock = handle_get(fd, NULL);
	if (!sock)
		return -EBADF;
	ssize_t rc = iov_check(iov, count, false);
	if (rc > 0 || (rc == 0 && !empty_ok))
		rc = sock_send(sock, iov, count, flags & SEND_FLAGS);
	sock_put(&sock);
	return rc;
}

/* A part for a buffer that sock_send only reads: struct iovec has no const. */
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

	return api_ret(recv_parts(fd, &iov, 1, 0, true));
}

ssize_t weft_readv(int fd, const struct iovec *iov, int count)
{
	return api_ret(recv_parts(fd, iov, count, 0, true));
}

ssize_t weft_recv(int fd, void *buf, size_t size, int flags)
{
	struct iovec iov = {buf, size};

	return api_ret(recv_parts(fd, &iov, 1, flags, false));
}

/* A stream has no source address to give: '*len' becomes 0, as on Linux. */
ssize_t weft_recvfrom(int fd, void *buf, size_t size, int flags, struct sockaddr *addr,
		      socklen_t *len)
{
	struct iovec iov = {buf, size};

	if (addr && !len)
		return api_ret(-EFAULT);
	ssize_t rc = recv_parts(fd, &iov, 1, flags, false);
	if (rc >= 0 && addr)
		*len = 0;
	return api_ret(rc);
}

ssize_t weft_write(int fd, const void *buf, size_t size)
{
	struct iovec iov = const_part(buf, size);

	return api_ret(send_parts(fd, &iov, 1, 0, false));
}

ssize_t weft_writev(int fd, const struct iovec *iov, int count)
{
	return api_ret(send_parts(fd, iov, count, 0, count == 0));
}

ssize_t weft_send(int fd, const void *buf, size_t size, int flags)
{
	struct iovec iov = const_part(buf, size);

	return api_ret(send_parts(fd, &iov, 1, flags, false));
}

/* MSG_FASTOPEN: connects to 'addr' and sends (RFC 7413). */
static ssize_t send_fast(int fd, const void *buf, size_t size, int flags,
			 const struct sockaddr *addr, socklen_t len)
{
	struct iovec iov = const_part(buf, size);
	struct sock_addr peer;

	if (flags & ~(SEND_FLAGS | SEND_HINTS | MSG_FASTOPEN))
		return -EOPNOTSUPP;
	struct sock *sock = handle_get(fd, NULL);
	if (!sock)
		return -EBADF;
	ssize_t rc = iov_check(&iov, 1, false);
	if (rc >= 0 && !fastopen_is_client(sock_stack(sock)))
		rc = -EOPNOTSUPP;
	else if (rc >= 0)
		rc = sockaddr_read_for(sock, addr, len, SOCKADDR_CONNECT, &peer);
	if (rc == 0)
		rc = sock_send_fast(sock, &peer, &iov, 1, flags & SEND_FLAGS);
	sock_put(&sock);
	return rc;
}

/* A connected stream ignores the destination, as on Linux. */
ssize_t weft_sendto(int fd, const void *buf, size_t size, int flags, const struct sockaddr *addr,
		    socklen_t len)
{
	if (flags & MSG_FASTOPEN)
		return api_ret(send_fast(fd, buf, size, flags, addr, len));
	return weft_send(fd, buf, size, flags);
}
