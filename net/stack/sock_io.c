/*
 * send and recv.  Application threads.
 *
 * Bytes are copied without the socket's lock: recv takes pinned views under the lock and copies
 * afterwards; a large send fills buffers first and queues what there is room for then (another
 * writer may have been faster).  Small sends are packed into the last buffer under the lock.
 */
#include "net/base/copy.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/tx.h"
#include "net/stack/zerocopy.h"
#include <errno.h>

enum {
	RECV_VIEWS = 32,
	SEND_PACK_MAX = 4096, /* smaller pieces are copied under the lock */
	SEND_BUF_MIN = 2048,  /* spare room for the next small write */
	SEND_BUF_MAX = 65536,
	SEND_BUF_LEAST = SOCK_MEM_LEAST, /* better than none when memory is short */
	SEND_ROUND_MAX = 1 << 18,        /* bytes buffered ahead of a look at the room */
	SEND_POLL_MIN = 65536,           /* after so much, ACKs may be there to be read */
	SEND_NEED_PART = 4, /* a writer that slept wants that part of the buffer free */
};

/* A position in the user's parts. */
struct cursor {
	const struct iovec *iov;
	int count;
	size_t pos; /* in iov[0] */
	size_t left;
	struct zerocopy *zerocopy; /* sent by reference; NULL: copied */
};

size_t sock_io_size(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size < SOCK_IO_MAX ? size : SOCK_IO_MAX;
}

static struct cursor cursor_of(const struct iovec *iov, int count)
{
	return (struct cursor){.iov = iov, .count = count, .left = sock_io_size(iov, count)};
}

/* The next stretch of at most 'max' bytes; advances behind it. */
static uint8_t *next_stretch(struct cursor *c, size_t max, size_t *size)
{
	while (c->count > 0 && c->pos == c->iov->iov_len) {
		c->iov++;
		c->count--;
		c->pos = 0;
	}
	WEFT_ASSERT(c->count > 0);
	uint8_t *p = (uint8_t *)c->iov->iov_base + c->pos;

	*size = c->iov->iov_len - c->pos;
	if (*size > max)
		*size = max;
	c->pos += *size;
	c->left -= *size;
	return p;
}

static void copy_out(struct cursor *c, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t size;
		uint8_t *p = next_stretch(c, len, &size);

		copy_bytes(p, data, size);
		data += size;
		len -= size;
	}
}

static void copy_in(struct cursor *c, uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t size;
		const uint8_t *p = next_stretch(c, len, &size);

		copy_bytes(data, p, size);
		data += size;
		len -= size;
	}
}

/* ---- recv ---- */

/* 1: there is something to take; 0: end of stream; -EAGAIN: nothing yet; or an error. */
static int recv_state(struct sock *s, uint32_t low) REQUIRES(lc_sock)
{
	int rc = sock_gone(s);

	if (rc != 0)
		return rc;
	if (s->phase == SOCK_LISTENING || s->phase == SOCK_IDLE || s->phase == SOCK_DEFERRED)
		return s->so_error != 0 ? sock_take_error(s) : -ENOTCONN;
	uint32_t ready = sock_ready_bytes(s);

	if (ready >= low)
		return 1;
	bool is_end = s->rd_shut || s->is_over || s->tcb.fin_rcvd || s->so_error != 0 ||
		      (tcp_is_urgent(&s->tcb) && tcp_recv_stops(&s->tcb));

	if (!is_end)
		return -EAGAIN;
	if (ready > 0)
		return 1;
	/* As Linux: the end of the stream goes on, whatever came behind it. */
	return s->tcb.fin_rcvd ? 0 : sock_take_error(s);
}

/* Waits for something to take.  As recv_state; -EAGAIN when none came in time. */
static int wait_data(struct sock *s, size_t want, int flags, bool nonblock, weft_time_us deadline)
	REQUIRES(lc_sock)
{
	uint32_t low = sock_recv_low(s, want, flags);
	int rc = recv_state(s, low);
	bool in_time = !nonblock;

	while (rc == -EAGAIN && in_time) {
		in_time = sock_wait_readable(s, low, deadline);
		low = sock_recv_low(s, want,
				    flags); /* SO_RCVBUF and SO_RCVLOWAT may have changed */
		rc = recv_state(s, low);
	}
	/* Less than the low-water mark is better than nothing when the time is up. */
	if (rc == -EAGAIN && sock_ready_bytes(s) > 0)
		rc = 1;
	return rc;
}

/* Copies the views out (or not, for MSG_TRUNC) and unpins them. */
static size_t take_views(struct cursor *c, struct view *views, unsigned count, int flags)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		if (flags & MSG_TRUNC)
			c->left -= views[i].len;
		else
			copy_out(c, views[i].data, views[i].len);
		bytes += views[i].len;
	}
	buf_put_views(views, count);
	return bytes;
}

/* A call of recv. */
struct receiving {
	int flags;
	bool nonblock; /* this and 'deadline' are read under the first round's lock */
	weft_time_us deadline;
	size_t got;
};

static void begin_recv(struct sock *s, struct receiving *r) REQUIRES(lc_sock)
{
	r->nonblock = (r->flags & MSG_DONTWAIT) || s->opt.nonblock;
	r->deadline = sock_deadline(s, sock_unpack_timeout(s->opt.rcvtimeo));
}

/*
 * One round: waits as long as allowed, takes views, copies.  1: more may follow, 0: done, or an error.
 * After the first bytes only MSG_WAITALL goes on waiting.
 */
static int recv_round(struct sock *s, struct cursor *c, struct receiving *r)
{
	struct view views[RECV_VIEWS];
	unsigned events = 0;
	unsigned count = 0;
	bool may_help = false;
	uint32_t want = c->left < INT32_MAX ? (uint32_t)c->left : INT32_MAX;

	sock_lock(s);
	if (r->got == 0)
		begin_recv(s, r);
	bool may_wait = !r->nonblock && (r->got == 0 || (r->flags & MSG_WAITALL));
	int rc = wait_data(s, c->left, r->flags, !may_wait, r->deadline);

	if (rc == 1) {
		count = tcp_recv(&s->tcb, want, r->flags & MSG_PEEK, views, RECV_VIEWS, &events);
		may_help = sock_events_quiet(s, events, stack_now(s->conn.stack));
		if (tcp_is_urgent(&s->tcb) && tcp_at_mark(&s->tcb))
			rc = 0; /* whatever was asked for */
	}
	sock_pass_readers(s);
	sock_unlock(s);
	r->got += take_views(c, views, count, r->flags);
	if (may_help)
		tx_help(s->conn.stack, s->conn.queue);
	return rc;
}

/*
 * A round behind one that took bytes is no cancellation point: nobody would know of them.  (A send is:
 * what it queued is the connection's.)
 */
static int recv_more(struct sock *s, struct cursor *c, struct receiving *r)
{
	int cancel = thread_cancel_off();
	int rc = recv_round(s, c, r);

	thread_cancel_restore(cancel);
	return rc;
}

/* A recv of no bytes waits for data and takes none, as Linux'. */
static ssize_t recv_nothing(struct sock *s, int flags)
{
	sock_lock(s);
	bool nonblock = s->opt.nonblock || (flags & MSG_DONTWAIT);
	int rc = wait_data(s, 0, 0, nonblock,
			   sock_deadline(s, sock_unpack_timeout(s->opt.rcvtimeo)));

	sock_pass_readers(s);
	sock_unlock(s);
	return rc == 1 ? 0 : rc;
}

void sock_keep_error(struct sock *s, int error)
{
	sock_lock(s);
	if (error != -EAGAIN && sock_gone(s) == 0)
		s->so_error = (int16_t)-error;
	sock_unlock(s);
}

/* MSG_OOB: never waits.  As Linux: the end of the stream is told only to who may expect a byte. */
static int take_urgent(struct sock *s, bool peek, uint8_t *byte) REQUIRES(lc_sock)
{
	int rc = sock_gone(s);

	if (rc != 0)
		return rc;
	if (s->phase == SOCK_LISTENING)
		return -ENOTCONN;
	rc = tcp_recv_urgent(&s->tcb, peek, byte);
	if (rc != -EINVAL && s->is_over && !s->tcb.fin_rcvd)
		return -ENOTCONN;
	bool is_end = s->is_over || s->rd_shut || s->tcb.fin_rcvd;

	return rc == -EAGAIN && is_end ? 0 : rc;
}

static ssize_t recv_urgent(struct sock *s, struct cursor *c, int flags)
{
	uint8_t byte;

	sock_lock(s);
	int rc = take_urgent(s, flags & MSG_PEEK, &byte);

	sock_unlock(s);
	if (rc != 1 || c->left == 0)
		return rc < 0 ? rc : 0;
	if (!(flags & MSG_TRUNC))
		copy_out(c, &byte, 1);
	return 1;
}

ssize_t sock_recv(struct sock *s, const struct iovec *iov, int count, int flags)
{
	struct cursor c = cursor_of(iov, count);
	struct receiving r = {.flags = flags};
	int rc = 1;

	if (flags & MSG_OOB)
		return recv_urgent(s, &c, flags);
	if (c.left == 0)
		return recv_nothing(s, flags);
	while (c.left > 0 && rc == 1) {
		rc = r.got > 0 ? recv_more(s, &c, &r) : recv_round(s, &c, &r);
		if (flags & MSG_PEEK)
			break;
	}
	if (r.got > 0 && rc < 0)
		sock_keep_error(s, rc);
	return r.got > 0 || rc == 1 ? (ssize_t)r.got : rc;
}

/* ---- send ---- */

/* 1: bytes may be queued; -EAGAIN: no room yet, or not connected yet; or an error. */
static int send_state(struct sock *s, uint32_t need) REQUIRES(lc_sock)
{
	int rc = sock_gone(s);

	if (rc != 0)
		return rc;
	if (s->so_error != 0)
		return sock_take_error(s);
	if (s->phase == SOCK_LISTENING || s->phase == SOCK_IDLE || s->phase == SOCK_DEFERRED ||
	    s->is_over || s->tcb.fin_queued)
		return -EPIPE;
	if (s->phase == SOCK_CONNECTING)
		return -EAGAIN;
	if (!tcp_may_send(&s->tcb))
		return -EPIPE;
	return tcp_send_room(&s->tcb) >= need ? 1 : -EAGAIN;
}

static int wait_room(struct sock *s, size_t want, bool nonblock, weft_time_us deadline)
	REQUIRES(lc_sock)
{
	uint32_t least = want > 0;
	int rc = send_state(s, least);
	bool in_time = !nonblock;

	if (rc == -EAGAIN)
		s->wants_room = true;
	while (rc == -EAGAIN && in_time) {
		/* Looked at anew: SO_SNDBUF may have changed. */
		uint32_t need = s->tcb.snd_buf_size / SEND_NEED_PART;

		if (s->tcb.notsent_lowat != 0 && need > s->tcb.notsent_lowat / 2)
			need = s->tcb.notsent_lowat / 2 + (s->tcb.notsent_lowat & 1);
		if (need > want)
			need = (uint32_t)want;
		in_time = sock_wait_writable(s, need, deadline);
		rc = send_state(s, in_time ? need : least);
	}
	return rc;
}

/* A buffer for 'want' bytes or, when memory is short, for fewer. */
static struct buf *new_buf(struct stack *stack, uint32_t want)
{
	struct buf *b = buf_new(stack->pool, want);

	while (!b && want > SEND_BUF_LEAST) {
		want = want / 4 > SEND_BUF_LEAST ? want / 4 : SEND_BUF_LEAST;
		b = buf_new(stack->pool, want);
	}
	return b;
}

/* Queues a small piece under the lock; returns bytes queued, or -ENOBUFS. */
static ssize_t send_small(struct sock *s, struct cursor *c, uint32_t size, unsigned *events)
	REQUIRES(lc_sock)
{
	struct cursor at = *c;
	uint32_t packed = 0;

	while (packed < size) {
		size_t part;
		const uint8_t *p = next_stretch(&at, size - packed, &part);
		uint32_t n = tcp_send_pack(&s->tcb, p, (uint32_t)part, events);

		packed += n;
		if (n < part)
			break;
	}
	struct buf *b = NULL;
	uint32_t rest = size - packed;

	if (rest > 0)
		b = new_buf(s->conn.stack, rest > SEND_BUF_MIN ? rest : SEND_BUF_MIN);
	for (size_t skip = packed, part; skip > 0; skip -= part)
		next_stretch(c, skip, &part);
	if (!b)
		return rest > 0 && packed == 0 ? -ENOBUFS : (ssize_t)packed;
	if (rest > b->cap)
		rest = b->cap;
	copy_in(c, b->data, rest);
	b->len = rest;
	struct buf_queue q = {0};

	buf_queue_push(&q, b);
	tcp_send(&s->tcb, &q, events);
	return packed + rest;
}

/* Fills buffers with up to 'size' bytes from '*c' (which stays); short when buffers are. */
static void fill_bufs(struct stack *stack, const struct cursor *c, uint32_t size,
		      struct buf_queue *q)
{
	struct cursor at = *c;

	while (size > 0) {
		uint32_t part = size < SEND_BUF_MAX ? size : SEND_BUF_MAX;
		struct buf *b = new_buf(stack, part);

		if (!b)
			return;
		if (part > b->cap)
			part = b->cap;
		copy_in(&at, b->data, part);
		b->len = part;
		buf_queue_push(q, b);
		size -= part;
	}
}

/* Cuts the queue to 'room' bytes; what is behind goes to 'rest'. */
static void trim_bufs(struct buf_queue *q, uint32_t room, struct buf_queue *rest)
{
	struct buf_queue kept = {0};
	struct buf *b;

	while ((b = buf_queue_pop(q))) {
		if (b->len > room)
			b->len = room;
		room -= b->len;
		buf_queue_push(b->len > 0 ? &kept : rest, b);
	}
	*q = kept;
}

/* Queues a large piece: the lock is given up while bytes are copied. */
static ssize_t send_large(struct sock *s, struct cursor *c, uint32_t size, unsigned *events)
	REQUIRES(lc_sock)
{
	struct buf_queue q = {0};
	struct buf_queue rest = {0};

	sock_unlock(s);
	fill_bufs(s->conn.stack, c, size < SEND_ROUND_MAX ? size : SEND_ROUND_MAX, &q);
	sock_lock(s);
	if (!q.head)
		return -ENOBUFS;
	int rc = send_state(s, 1);
	ssize_t sent = rc < 0 && rc != -EAGAIN ? rc : 0;

	if (rc == 1) {
		uint32_t room = tcp_send_room(&s->tcb);

		if (q.bytes > room)
			trim_bufs(&q, room, &rest);
		sent = q.bytes;
		tcp_send(&s->tcb, &q, events);
	}
	buf_queue_join(&rest, &q);
	buf_queue_join(&s->tcb.trash, &rest);
	for (size_t skip = sent > 0 ? (size_t)sent : 0, part; skip > 0; skip -= part)
		next_stretch(c, skip, &part);
	return sent;
}

/* Large parts of the user's are queued as they lie, small ones copied. */
static ssize_t send_by_reference(struct sock *s, struct cursor *c, uint32_t size, unsigned *events)
	REQUIRES(lc_sock)
{
	uint32_t sent = 0;

	while (sent < size) {
		struct cursor at = *c;
		size_t part;
		const uint8_t *p = next_stretch(&at, size - sent, &part);

		if (at.iov->iov_len >= ZEROCOPY_MIN &&
		    zerocopy_send(c->zerocopy, p, (uint32_t)part, events)) {
			*c = at;
			sent += (uint32_t)part;
			continue;
		}
		ssize_t n = send_small(s, c, part < SEND_BUF_MAX ? (uint32_t)part : SEND_BUF_MAX,
				       events);

		if (n <= 0)
			return sent > 0 ? (ssize_t)sent : n;
		zerocopy_copied(c->zerocopy, (uint32_t)n);
		sent += (uint32_t)n;
	}
	return sent;
}

/*
 * One round under the lock: waits for room, queues a piece.  Bytes queued or an error; -ENOBUFS when
 * there was no memory for even the smallest piece.
 */
static ssize_t send_round(struct sock *s, struct cursor *c, int flags, weft_time_us deadline)
	REQUIRES(lc_sock)
{
	unsigned events = 0;
	int rc = wait_room(s, c->left, flags & MSG_DONTWAIT, deadline);

	if (rc != 1)
		return rc;
	uint32_t size = tcp_send_room(&s->tcb);

	if (size > c->left)
		size = (uint32_t)c->left;
	ssize_t sent = c->zerocopy            ? send_by_reference(s, c, size, &events)
		       : size < SEND_PACK_MAX ? send_small(s, c, size, &events)
					      : send_large(s, c, size, &events);

	if (sent > 0)
		tcp_send_more(&s->tcb, flags & MSG_MORE);
	if (sent > 0 && (flags & MSG_OOB))
		tcp_send_urgent(&s->tcb);
	if (sent > 0 && tcp_send_may_wait(&s->tcb))
		events &= ~(unsigned)TCP_EV_OUTPUT;
	sock_events_quiet(s, events, stack_now(s->conn.stack));
	return sent;
}

/*
 * A round of a thread that was woken for memory: it takes some or passes the wake-up on before it
 * sleeps for anything else.  One that fails again has no room to tell of.
 */
static ssize_t retry_round(struct sock *s, struct cursor *c, int flags, weft_time_us deadline)
	REQUIRES(lc_sock)
{
	ssize_t rc = send_round(s, c, flags | MSG_DONTWAIT, deadline);

	if (rc != -ENOBUFS)
		sock_pass_memory(s->conn.stack);
	return rc == -EAGAIN && !(flags & MSG_DONTWAIT) ? 0 : rc;
}

/* Under the lock, which is given up in between: the bytes queued, or an error. */
static ssize_t send_rounds(struct sock *s, struct cursor *c, int flags) REQUIRES(lc_sock)
{
	unsigned refusals = 0; /* in a row, for want of memory */
	size_t sent = 0;
	ssize_t rc = 0;

	if (s->opt.nonblock)
		flags |= MSG_DONTWAIT;
	weft_time_us deadline = sock_deadline(s, sock_unpack_timeout(s->opt.sndtimeo));

	/* As Linux: no bytes need no room, but a connection. */
	if (c->left == 0) {
		rc = wait_room(s, 0, flags & MSG_DONTWAIT, deadline);
		rc = rc == 1 ? 0 : rc;
	}
	while (c->left > 0 && rc >= 0) {
		rc = refusals > 0 ? retry_round(s, c, flags, deadline)
				  : send_round(s, c, flags, deadline);
		sent += rc > 0 ? (size_t)rc : 0;
		sock_unlock(s);
		sock_send_out(s);
		if (rc >= SEND_POLL_MIN)
			rx_poll(s->conn.stack->queue[s->conn.queue].rx);
		sock_lock(s);
		refusals = rc == -ENOBUFS ? refusals + 1 : 0;
		if (rc == -ENOBUFS && (flags & MSG_DONTWAIT)) {
			sock_want_memory(s);
			rc = -EAGAIN;
		} else if (rc == -ENOBUFS) {
			rc = sock_wait_memory(s, refusals > 1, deadline);
		}
	}
	sock_pass_writers(s);
	/* An error after some bytes is for the next call. */
	if (sent > 0 && rc < 0 && rc != -EAGAIN && rc != -EPIPE && sock_gone(s) == 0)
		s->so_error = (int16_t)-rc;
	return sent > 0 ? (ssize_t)sent : rc;
}

ssize_t sock_send(struct sock *s, const struct iovec *iov, int count, int flags)
{
	return sock_send_rest(s, iov, count, 0, flags);
}

ssize_t sock_send_rest(struct sock *s, const struct iovec *iov, int count, size_t skip, int flags)
{
	struct cursor c = cursor_of(iov, count);
	struct zerocopy zerocopy CLEANUP(zerocopy_leave) = {.sock = s};
	ssize_t rc = 0;

	for (size_t part; skip > 0; skip -= part)
		next_stretch(&c, skip, &part);
	sock_lock(s);
	if (s->phase == SOCK_DEFERRED) {
		sock_unlock(s);
		return sock_send_fast(s, NULL, iov, count, flags);
	}
	if ((flags & MSG_ZEROCOPY) && s->opt.zerocopy && c.left > 0) {
		c.zerocopy = &zerocopy;
		rc = zerocopy_begin(s, &zerocopy);
	}
	if (rc == 0)
		rc = send_rounds(s, &c, flags);
	if (zerocopy.entry)
		zerocopy_end(&zerocopy);
	sock_unlock(s);
	return rc;
}
