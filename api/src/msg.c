/*
 * weft_sendmsg, weft_recvmsg and their plurals: struct msghdr in front of io.h.  Any thread; blocks as
 * the socket does.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "api/src/io.h"
#include "net/base/sync.h"
#include <limits.h>
#include <time.h>

/* As Linux: what is wrong with the message itself, before the parts are looked at. */
static int check_msg(const struct msghdr *m)
{
	if (!m)
		return -EFAULT;
	if (m->msg_name && m->msg_namelen > INT_MAX)
		return -EINVAL;
	if (m->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	return m->msg_controllen > 0 && !m->msg_control ? -EFAULT : 0;
}

/* 'more': another message follows at once. */
static ssize_t send_one(struct conn *conn, const struct msghdr *m, int flags, bool more)
{
	int rc = check_msg(m);

	if (rc < 0)
		return rc;
	const struct io_to to = {m->msg_name, m->msg_namelen};
	struct sock_msg msg = {
		.iov = m->msg_iov,
		.count = (int)m->msg_iovlen,
		.flags = flags,
		.more = more,
		.control = m->msg_control,
		.control_len = m->msg_controllen,
	};

	return io_send(conn, &msg, &to);
}

ssize_t weft_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	ssize_t rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret(rc);
	rc = send_one(conn, m, flags, false);
	proto_put(&conn);
	return api_ret(rc);
}

/* The size of the parts; they are checked. */
static size_t size_of(const struct msghdr *m)
{
	size_t size = 0;

	for (size_t i = 0; i < m->msg_iovlen; i++)
		size += m->msg_iov[i].iov_len;
	return size;
}

/*
 * Behind the first message a call of several is no cancellation point: nobody would know how many there
 * were.
 */
struct several {
	bool is_off;
	int cancel; /* what to restore */
};

static void end_several(const struct several *several)
{
	if (several->is_off)
		thread_cancel_restore(several->cancel);
}

static void count_one(struct several *several)
{
	if (!several->is_off)
		several->cancel = thread_cancel_off();
	several->is_off = true;
}

/* Until the first error, or what was not wholly taken. */
static int send_many(struct conn *conn, struct mmsghdr *v, unsigned count, int flags)
{
	struct several several CLEANUP(end_several) = {0};
	unsigned done = 0;
	ssize_t rc = 0;

	if (count > IOV_MAX)
		count = IOV_MAX;
	if (count > 0 && !v)
		return -EFAULT;
	while (done < count && rc >= 0) {
		rc = send_one(conn, &v[done].msg_hdr, flags, done + 1 < count);
		if (rc < 0)
			break;
		count_one(&several);
		v[done].msg_len = (unsigned)rc;
		if ((size_t)rc < size_of(&v[done++].msg_hdr))
			break;
	}
	if (rc < 0 && done > 0 && proto_of(conn)->flush)
		proto_of(conn)->flush(conn);
	return done > 0 || rc >= 0 ? (int)done : (int)rc;
}

int weft_sendmmsg(int fd, struct mmsghdr *v, unsigned count, int flags)
{
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	rc = send_many(conn, v, count, flags);
	proto_put(&conn);
	return api_ret_int(rc);
}

static ssize_t recv_one(struct conn *conn, struct msghdr *m, int flags)
{
	ssize_t rc = check_msg(m);

	if (rc < 0)
		return rc;
	struct sock_msg msg = {
		.iov = m->msg_iov,
		.count = (int)m->msg_iovlen,
		.flags = flags,
		.control = m->msg_control,
		.control_len = m->msg_controllen,
	};

	rc = io_recv(conn, &msg, m->msg_name, &m->msg_namelen);
	if (rc < 0)
		return rc;
	m->msg_flags = msg.flags_out | (flags & MSG_CMSG_CLOEXEC);
	m->msg_controllen = msg.control_len;
	return rc;
}

ssize_t weft_recvmsg(int fd, struct msghdr *m, int flags)
{
	struct conn *conn CONN_REF = NULL;

	thread_testcancel();
	ssize_t rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret(rc);
	rc = recv_one(conn, m, flags);
	proto_put(&conn);
	return api_ret(rc);
}

/* The time until which messages are waited for; it is looked at behind each, as on Linux. */
static int read_timeout(struct conn *conn, const struct timespec *timeout, weft_time_us *until)
{
	*until = WEFT_TIME_NEVER;
	if (!timeout)
		return 0;
	if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)
		return -EINVAL;
	if (timeout->tv_sec < INT_MAX)
		*until = stack_now(proto_stack(conn)) + timeout->tv_sec * US_PER_S +
			 timeout->tv_nsec / 1000;
	return 0;
}

static int recv_many(struct conn *conn, struct mmsghdr *v, unsigned count, int flags,
		     weft_time_us until)
{
	struct several several CLEANUP(end_several) = {0};
	unsigned done = 0;
	ssize_t rc = 0;

	if (count > 0 && !v)
		return -EFAULT;
	while (done < count) {
		rc = recv_one(conn, &v[done].msg_hdr, flags & ~MSG_WAITFORONE);
		if (rc < 0)
			break;
		count_one(&several);
		v[done].msg_len = (unsigned)rc;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if ((v[done++].msg_hdr.msg_flags & MSG_OOB) ||
		    (until != WEFT_TIME_NEVER && stack_now(proto_stack(conn)) >= until))
			break;
	}
	if (done > 0 && rc < 0)
		proto_of(conn)->keep_error(conn, (int)rc);
	return done > 0 || rc >= 0 ? (int)done : (int)rc;
}

int weft_recvmmsg(int fd, struct mmsghdr *v, unsigned count, int flags, struct timespec *timeout)
{
	struct conn *conn CONN_REF = NULL;
	weft_time_us until;

	thread_testcancel();
	int rc = handle_get_sock(fd, NULL, &conn);

	if (rc < 0)
		return api_ret_int(rc);
	rc = read_timeout(conn, timeout, &until);
	if (rc == 0)
		rc = recv_many(conn, v, count, flags, until);
	if (rc >= 0 && timeout && until != WEFT_TIME_NEVER) {
		weft_time_us left = time_max(0, until - stack_now(proto_stack(conn)));

		timeout->tv_sec = left / US_PER_S;
		timeout->tv_nsec = left % US_PER_S * 1000;
	}
	proto_put(&conn);
	return api_ret_int(rc);
}
