/*
 * Fast open from the application's side (RFC 7413 4.2.1): connect and send in one call.  Application
 * threads.
 */
#include "net/base/buf.h"
#include "net/stack/fastopen.h"
#include "net/stack/path.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/zerocopy.h"
#include <errno.h>
#include <string.h>

/* The first bytes, not more than a segment to 'dst' takes; NULL without any, or without memory. */
static struct buf *gather(struct stack *stack, const struct addr *dst, const struct iovec *iov,
			  int count, size_t *total)
{
	uint32_t max = path_link_mss(stack, dst);

	*total = 0;
	for (int i = 0; i < count; i++)
		*total += iov[i].iov_len;
	struct buf *b =
		*total > 0 ? buf_new(stack->pool, *total < max ? (uint32_t)*total : max) : NULL;

	for (int i = 0; b && i < count && b->len < b->cap && b->len < max; i++) {
		uint32_t room = (b->cap < max ? b->cap : max) - b->len;
		uint32_t take = iov[i].iov_len < room ? (uint32_t)iov[i].iov_len : room;

		if (take > 0)
			memcpy(b->data + b->len, iov[i].iov_base, take);
		b->len += take;
	}
	return b;
}

/* Whom to connect to: 'peer', or whom a connect that was put off named. */
static int find_peer(struct sock *s, const struct sock_addr *peer, int flags,
		     struct sock_addr *found, bool *nonblock) EXCLUDES(lc_sock)
{
	sock_lock(s);
	int rc = sock_gone(s);

	*nonblock = (flags & MSG_DONTWAIT) || s->opt.nonblock;
	if (peer)
		*found = *peer;
	else
		*found = (struct sock_addr){.addr = s->conn.flow.remote,
					    .port = s->conn.flow.remote_port};
	if (rc == 0 && s->phase == SOCK_CONNECTED)
		rc = -EISCONN;
	else if (rc == 0 && !peer && s->phase != SOCK_DEFERRED)
		rc = s->phase == SOCK_CONNECTING ? -EALREADY : -EINVAL;
	sock_unlock(s);
	return rc;
}

static ssize_t send_fast(struct sock *s, const struct sock_addr *peer, const struct iovec *iov,
			 int count, int flags) EXCLUDES(lc_sock)
{
	struct stack *stack = s->conn.stack;
	struct sock_fast fast = {0};
	struct sock_addr to;
	bool nonblock;
	size_t total;

	if (!fastopen_is_client(stack))
		return -EOPNOTSUPP;
	int rc = find_peer(s, peer, flags, &to, &nonblock);

	if (rc != 0)
		return rc;
	fast.data = gather(stack, &to.addr, iov, count, &total);
	rc = sock_connect_fast(s, &to, nonblock, &fast);
	buf_put(&fast.data);
	if (rc == -EINPROGRESS && fast.sent > 0)
		return (ssize_t)fast.sent;
	if (rc != 0 || fast.sent == total)
		return rc != 0 ? rc : (ssize_t)total;
	ssize_t more = sock_send_rest(s, iov, count, fast.sent, flags);

	if (more < 0)
		return fast.sent > 0 ? (ssize_t)fast.sent : more;
	return (ssize_t)fast.sent + more;
}

/* What rides on a SYN is copied, and what follows it in the same call with it. */
ssize_t sock_send_fast(struct sock *s, const struct sock_addr *peer, const struct iovec *iov,
		       int count, int flags)
{
	ssize_t rc = send_fast(s, peer, iov, count, flags & ~MSG_ZEROCOPY);

	if (rc > 0 && (flags & MSG_ZEROCOPY))
		zerocopy_note(s, rc < INT32_MAX ? (uint32_t)rc : INT32_MAX);
	return rc;
}
