/*
 * weft_dup and its relatives, weft_fcntl.  Any thread; never blocks, but that weft_dup2 closes what its
 * second handle named, which may linger.
 */
#include "api/src/api_ret.h"
#include "api/src/handle.h"
#include "net/base/sync.h"
#include <fcntl.h>
#include <stdarg.h>

/* Another handle for what 'fd' names. */
static int do_dup(int fd)
{
	struct handle_owner *owner;
	struct conn *conn = handle_get(fd, &owner);

	if (!conn)
		return -EBADF;
	int fresh = handle_reserve(owner);
	int rc = fresh < 0 ? fresh : handle_link(fresh, fd);

	if (fresh >= 0 && rc < 0)
		handle_cancel(fresh);
	proto_put(&conn);
	return rc < 0 ? rc : fresh;
}

static int do_dup2(int from, int to)
{
	struct conn *old = NULL;
	bool is_last = false;
	int rc = handle_is_child() ? -EBADF : handle_replace(to, from, &old, &is_last);

	if (rc < 0)
		return rc;
	if (old && is_last) {
		/* Unlike close, dup2 is no cancellation point. */
		int cancel = thread_cancel_off();

		(void)proto_of(old)->close(old);
		thread_cancel_restore(cancel);
	}
	proto_put(&old);
	return to;
}

int weft_dup(int fd)
{
	return api_ret_int(do_dup(fd));
}

int weft_dup2(int from, int to)
{
	return api_ret_int(do_dup2(from, to));
}

int weft_dup3(int from, int to, int flags)
{
	return api_ret_int((flags & ~O_CLOEXEC) || from == to ? -EINVAL : do_dup2(from, to));
}

/* F_GETFL and F_SETFL: what is set is the object's, not the handle's. */
static int do_flags(int fd, int cmd, int value)
{
	struct conn *conn = handle_get(fd, NULL);
	int rc = 0;

	if (!conn)
		return -EBADF;
	const struct proto *proto = proto_of(conn);

	if (cmd == F_GETFL)
		rc = O_RDWR | (proto->get_nonblock(conn) ? O_NONBLOCK : 0);
	else
		proto->set_nonblock(conn, value & O_NONBLOCK);
	proto_put(&conn);
	return rc;
}

/* Whether 'fd' is a handle: 'rc', or -EBADF. */
static int of_handle(int fd, int rc)
{
	struct conn *conn = handle_get(fd, NULL);

	if (!conn)
		return -EBADF;
	proto_put(&conn);
	return rc;
}

static int do_fcntl(int fd, int cmd, int value)
{
	switch (cmd) {
	case F_GETFL:
	case F_SETFL:
		return do_flags(fd, cmd, value);
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return value < 0 ? of_handle(fd, -EINVAL) : do_dup(fd);
	case F_GETFD:
		return of_handle(fd, FD_CLOEXEC); /* nothing outlives an exec */
	case F_SETFD:
		return of_handle(fd, 0);
	default:
		return of_handle(fd, -EINVAL);
	}
}

int weft_fcntl(int fd, int cmd, ...)
{
	va_list args;
	int value = 0;

	va_start(args, cmd);
	if (cmd == F_SETFL || cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_SETFD)
		value = va_arg(args, int);
	va_end(args);
	return api_ret_int(do_fcntl(fd, cmd, value));
}
