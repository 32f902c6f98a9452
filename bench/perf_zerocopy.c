/* perf_zerocopy.c - see perf_zerocopy.h.  On the thread of the connection that sends. */
#include "perf_zerocopy.h"

#include <errno.h>
#include <time.h> /* <linux/errqueue.h> needs it */

#include <linux/errqueue.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <weft/weft.h>

enum { CALLS_MAX = 64 }; /* not completed */

int perf_zerocopy_init(struct perf_zerocopy *z, int fd, bool is_kernel)
{
	int on = 1;

	*z = (struct perf_zerocopy){.fd = fd, .is_kernel = is_kernel};
	return is_kernel ? setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on))
			 : weft_setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on));
}

/* Takes an entry of the error queue: 1, 0 when there is none, or -1 with errno. */
static int take(struct perf_zerocopy *z)
{
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct sock_extended_err ee;
	ssize_t n = z->is_kernel ? recvmsg(z->fd, &msg, MSG_ERRQUEUE)
				 : weft_recvmsg(z->fd, &msg, MSG_ERRQUEUE);

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (!c) {
		errno = EPROTO;
		return -1;
	}
	memcpy(&ee, CMSG_DATA(c), sizeof(ee));
	if (ee.ee_origin != SO_EE_ORIGIN_ZEROCOPY) {
		errno = (int)ee.ee_errno;
		return -1;
	}
	z->done += ee.ee_data - ee.ee_info + 1;
	return 1;
}

int perf_zerocopy_wait(struct perf_zerocopy *z, uint32_t left)
{
	while (z->calls - z->done > left) {
		struct pollfd p = {.fd = z->fd};
		int n = take(z);

		if (n == 0)
			n = z->is_kernel ? poll(&p, 1, -1) : weft_poll(&p, 1, -1);
		if (n < 0 && errno != EINTR)
			return -1;
		if (p.revents & POLLHUP && take(z) == 0) {
			errno = ECONNRESET;
			return -1;
		}
	}
	return 0;
}

int perf_zerocopy_write(struct perf_zerocopy *z, const uint8_t *data, size_t size)
{
	while (size > 0) {
		ssize_t n = z->is_kernel ? send(z->fd, data, size, MSG_ZEROCOPY | MSG_NOSIGNAL)
					 : weft_send(z->fd, data, size, MSG_ZEROCOPY);

		if (n < 0 && errno == ENOBUFS && z->calls != z->done) {
			if (perf_zerocopy_wait(z, z->calls - z->done - 1) < 0)
				return -1;
			continue;
		}
		if (n < 0)
			return -1;
		z->calls++;
		data += n;
		size -= (size_t)n;
	}
	return z->calls - z->done > CALLS_MAX ? perf_zerocopy_wait(z, CALLS_MAX / 2) : 0;
}
