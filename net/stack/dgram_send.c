/* send, and what the emitter takes.  Messages are built without the socket's lock (dgram_build.c). */
#include "net/stack/dgram.h"
#include "net/stack/dgram_ctl.h"
#include "net/stack/dgram_err.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/tx.h"
#include "net/wire/icmp.h"
#include <errno.h>

/* Control messages that say the same for either version. */
enum {
	PKTINFOS = 1 << SOCK_CTL_PKTINFO | 1 << SOCK_CTL_PKTINFO6,
	TTLS = 1 << SOCK_CTL_TTL | 1 << SOCK_CTL_HOPLIMIT,
	TOSES = 1 << SOCK_CTL_TOS | 1 << SOCK_CTL_TCLASS,
};

static bool has_ctl(const struct dgram_ctl *ctl, unsigned kinds)
{
	return ctl->set & kinds;
}

static uint32_t size_max(const struct dgram *d, const struct flow *flow)
{
	if (d->is_ping)
		return (addr_is_v4(&flow->remote) ? DGRAM4_MAX : DGRAM6_MAX) + ICMP_HDR_SIZE;
	return addr_is_v4(&flow->remote) ? DGRAM4_MAX : DGRAM6_MAX;
}

static size_t size_of(const struct sock_msg *msg)
{
	size_t size = 0;

	for (int i = 0; i < msg->count; i++)
		size += msg->iov[i].iov_len;
	return size;
}

/* The first 'size' bytes of the parts, which have them. */
static void peek_bytes(const struct sock_msg *msg, uint8_t *p, size_t size)
{
	for (int i = 0; size > 0; i++) {
		size_t part = msg->iov[i].iov_len < size ? msg->iov[i].iov_len : size;

		if (part > 0)
			memcpy(p, msg->iov[i].iov_base, part);
		p += part;
		size -= part;
	}
}

/* A ping socket sends echo requests only. */
static int check_ping(const struct dgram *d, const struct sock_msg *msg, size_t size)
{
	uint8_t head[2] = {0};

	if (size < ICMP_HDR_SIZE)
		return -EINVAL;
	peek_bytes(msg, head, sizeof(head));
	return head[0] == (d->is_v6 ? ICMP6_TYPE_ECHO : ICMP4_TYPE_ECHO) && head[1] == 0 ? 0
											 : -EINVAL;
}

/* 1: a message may be queued; -EAGAIN: no room yet; or an error. */
static int send_state(struct dgram *d) REQUIRES(lc_dgram)
{
	int rc = dgram_gone(d);

	if (rc != 0)
		return rc;
	if (d->so_error != 0)
		return dgram_take_error(d);
	if (d->wr_shut)
		return -EPIPE;
	/* As Linux: room for a byte is room for a message. */
	return d->out.mem < d->opt.sndbuf ? 1 : -EAGAIN;
}

static int wait_room(struct dgram *d, bool nonblock, weft_time_us deadline) REQUIRES(lc_dgram)
{
	int rc = send_state(d);
	bool in_time = !nonblock;

	while (rc == -EAGAIN && in_time) {
		in_time = dgram_wait_writable(d, deadline);
		rc = send_state(d);
	}
	return rc;
}

/* Whether, and how long, a call may wait. */
struct waiting {
	bool nonblock;
	weft_time_us deadline;
};

/* Checks and settings under the lock, with room made: 0, and '*m' may be built. */
static int prepare(struct dgram *d, const struct sock_msg *msg, const struct dgram_ctl *ctl,
		   size_t size, const struct waiting *w, struct dgram_msg *m) REQUIRES(lc_dgram)
{
	int rc = dgram_gone(d);

	if (rc == 0)
		rc = dgram_aim(d, msg->name, has_ctl(ctl, PKTINFOS) ? &ctl->local : NULL, &m->flow);
	if (rc == 0 && size > size_max(d, &m->flow))
		rc = -EMSGSIZE;
	if (rc == 0)
		rc = wait_room(d, w->nonblock, w->deadline);
	if (rc < 0)
		return rc;
	m->iov = msg->iov;
	m->count = msg->count;
	m->offset = 0;
	m->size = (uint32_t)size;
	m->segment = has_ctl(ctl, 1 << SOCK_CTL_SEGMENT) ? ctl->segment : d->opt.segment;
	m->ttl = has_ctl(ctl, TTLS) ? ctl->ttl : d->opt.ttl;
	m->tos = has_ctl(ctl, TOSES) ? ctl->tos : d->opt.tos;
	m->pmtudisc = d->opt.pmtudisc;
	m->is_ping = d->is_ping;
	return 0;
}

/* What was built goes into the TX queue, unless the socket went meanwhile. */
static int enqueue(struct dgram *d, struct buf_queue *packets) REQUIRES(lc_dgram)
{
	int rc = dgram_gone(d);

	if (rc != 0)
		return rc;
	buf_queue_join(&d->out, packets);
	txq_request_quiet(stack_txq(&d->conn), &d->conn);
	return 0;
}

/* As sock_send_out. */
void dgram_send_out(struct dgram *d)
{
	struct stack *stack = dgram_stack(d);

	if (rx_is_crowded(stack->queue[d->conn.queue].rx))
		txq_kick(stack_txq(&d->conn));
	else
		tx_help(stack, d->conn.queue);
}

/* One try: 0, or an error; -ENOBUFS: there was no memory. */
static int try_send(struct dgram *d, const struct sock_msg *msg, const struct dgram_ctl *ctl,
		    size_t size, const struct waiting *w)
{
	struct buf_queue packets = {0};
	struct dgram_msg m;

	dgram_lock(d);
	int rc = prepare(d, msg, ctl, size, w, &m);

	dgram_unlock(d);
	if (rc != 0)
		return rc;
	rc = dgram_build(dgram_stack(d), &m, &packets);
	if (rc == -EMSGSIZE)
		dgram_err_too_long(d, &m.flow.remote, dgram_mtu(dgram_stack(d), &m));
	if (rc != 0)
		return rc;
	dgram_lock(d);
	rc = enqueue(d, &packets);
	/* Others may have waited for the same room. */
	if (d->out.mem < d->opt.sndbuf)
		dgram_wake_writer(d);
	/* More come at once: they go together, unless that many wait already. */
	bool is_batch = msg->more && d->out.mem < d->opt.sndbuf / 2;

	dgram_unlock(d);
	buf_queue_clear(&packets);
	if (rc != 0)
		return rc;
	counter_add(&dgram_stack(d)->counters, d->is_ping ? C_ICMP_ECHO_OUT : C_UDP_OUT,
		    m.segment > 0 && m.size > m.segment ? (m.size + m.segment - 1) / m.segment : 1);
	if (!is_batch)
		dgram_send_out(d);
	return 0;
}

/* Behind -ENOBUFS: 0, look again; -EAGAIN: no waiting, or no longer. */
static int await_memory(struct dgram *d, const struct waiting *w, bool is_again)
{
	int rc = -EAGAIN;

	dgram_lock(d);
	if (w->nonblock)
		dgram_want_memory(d);
	else
		rc = dgram_wait_memory(d, is_again, w->deadline);
	dgram_unlock(d);
	return rc;
}

ssize_t dgram_send(struct dgram *d, const struct sock_msg *msg)
{
	size_t size = size_of(msg);
	unsigned refusals = 0; /* in a row, for want of memory */
	struct dgram_ctl ctl;
	int rc = dgram_ctl_read(msg, d->is_v6, &ctl);

	if (rc == 0 && d->is_ping)
		rc = check_ping(d, msg, size);
	if (rc == 0)
		rc = dgram_autobind(d);
	if (rc != 0)
		return rc;
	dgram_lock(d);
	struct waiting w = {(msg->flags & MSG_DONTWAIT) || d->opt.nonblock, WEFT_TIME_NEVER};
	weft_time_us timeout = d->opt.sndtimeo;

	dgram_unlock(d);
	if (timeout != 0)
		w.deadline = stack_now(dgram_stack(d)) + timeout;
	while ((rc = try_send(d, msg, &ctl, size, &w)) == -ENOBUFS) {
		dgram_send_out(d); /* what goes together may be what the memory is in */
		rc = await_memory(d, &w, refusals++ > 0);
		if (rc != 0)
			break;
	}
	if (refusals > 0)
		sock_pass_memory(dgram_stack(d));
	return rc != 0 ? rc : (ssize_t)size;
}

bool dgram_take_out(struct dgram *d, unsigned max, struct buf_queue *packets, bool *looks)
{
	dgram_lock(d);
	bool had_room = d->out.mem < d->opt.sndbuf;
	struct buf *b;

	while (max-- > 0 && (b = buf_queue_pop(&d->out)))
		buf_queue_push(packets, b);
	bool is_more = d->out.head != NULL;

	if (!had_room && d->out.mem < d->opt.sndbuf)
		dgram_wake_writer(d);
	dgram_tell_room(d);
	*looks = dgram_looks_for_memory(d);
	dgram_unlock(d);
	return is_more;
}
