/* Error queues of datagram sockets.  RX threads and senders fill them, recvmsg empties them. */
#include "net/stack/dgram_err.h"

#include "net/base/mechanism.h"
#include "net/stack/dgram_ctl.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <linux/errqueue.h>

/* In front of a queued error's bytes. */
struct entry {
	struct dgram_ctl_err ctl;
	struct sock_addr to;
};

bool dgram_err_wanted(const struct dgram *d, const struct addr *remote)
{
	if (!MECHANISM(errqueue_wanted))
		return true;
	if (d->is_ping)
		return d->is_v6 ? d->opt.recverr6 : d->opt.recverr;
	return addr_is_v4(remote) ? d->opt.recverr : d->opt.recverr6;
}

static void read_entry(const struct buf *b, struct entry *entry)
{
	memcpy(entry, b->bytes, sizeof(*entry));
}

void dgram_err_describe(const struct dgram_err *err, struct dgram_ctl_err *ctl)
{
	*ctl = (struct dgram_ctl_err){
		.ee = {.ee_errno = (uint32_t)err->error,
		       .ee_origin = err->origin,
		       .ee_type = err->type,
		       .ee_code = err->code,
		       .ee_info = err->info},
		.from = err->from,
	};
}

enum drop dgram_err_push(struct dgram *d, const struct dgram_err *err)
{
	struct entry entry = {.to = err->to};

	dgram_err_describe(err, &entry.ctl);

	if (d->in.mem + d->errs.mem >= d->opt.rcvbuf && MECHANISM(errqueue_rcvbuf))
		return DROP_DGRAM_RCVBUF;
	struct buf *b = buf_new(dgram_stack(d)->pool, sizeof(entry) + err->len);

	if (!b)
		return DROP_NO_BUF;
	memcpy(b->bytes, &entry, sizeof(entry));
	b->data = b->bytes + sizeof(entry);
	if (err->len > 0)
		memcpy(b->data, err->data, err->len);
	b->len = err->len;
	buf_queue_push(&d->errs, b);
	return DROP_NONE;
}

void dgram_err_too_long(struct dgram *d, const struct addr *to, uint32_t mtu)
{
	dgram_lock(d);
	const struct dgram_err err = {
		.error = EMSGSIZE,
		.origin = SO_EE_ORIGIN_LOCAL,
		.info = mtu,
		.to = {.addr = *to, .port = d->is_connected ? d->conn.flow.remote_port : 0},
	};

	if (dgram_gone(d) == 0 && dgram_err_wanted(d, to) && MECHANISM(errqueue_too_long) &&
	    drop_count(&dgram_stack(d)->counters, dgram_err_push(d, &err)) == DROP_NONE)
		dgram_tell_all(d);
	dgram_unlock(d);
}

static bool is_icmp(const struct buf *b)
{
	struct entry entry;

	read_entry(b, &entry);
	return dgram_ctl_is_icmp(&entry.ctl.ee);
}

/* The next one; the pending error follows the queue, as on Linux. */
static struct buf *take(struct dgram *d) REQUIRES(lc_dgram)
{
	struct buf *b = buf_queue_pop(&d->errs);
	struct buf *next = d->errs.head;
	struct entry entry;

	if (!b)
		return NULL;
	if (next && is_icmp(next) && MECHANISM(errqueue_next_error)) {
		read_entry(next, &entry);
		d->so_error = (int)entry.ctl.ee.ee_errno;
	} else if (is_icmp(b) && MECHANISM(errqueue_clears_error)) {
		d->so_error = 0;
	}
	return b;
}

ssize_t dgram_err_recv(struct dgram *d, struct sock_msg *msg)
{
	struct entry entry;

	dgram_lock(d);
	int rc = dgram_gone(d);
	struct buf *b = rc == 0 ? take(d) : NULL;

	dgram_unlock(d);
	msg->flags_out = 0;
	if (!b)
		return rc != 0 ? rc : -EAGAIN;
	const struct view v = {.buf = b, .data = b->data, .len = b->len};
	size_t copied = dgram_copy_out(&v, msg);

	read_entry(b, &entry);
	msg->flags_out = MSG_ERRQUEUE;
	if (copied < b->len)
		msg->flags_out |= MSG_TRUNC;
	if (msg->name) {
		*msg->name = entry.to;
		msg->has_name = true;
	}
	dgram_ctl_write_err(&entry.ctl, d->is_v6, msg);
	buf_put(&b);
	return (ssize_t)copied;
}
