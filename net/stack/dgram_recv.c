/* recv, and what RX threads bring. */
#include "net/base/bytes.h"
#include "net/base/copy.h"
#include "net/base/mechanism.h"
#include "net/stack/dgram.h"
#include "net/stack/dgram_ctl.h"
#include "net/stack/dgram_err.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"
#include "net/wire/udp_hdr.h"
#include <errno.h>

/* Where a queued message's packet begins, in a member that only TCP uses otherwise. */
static const uint8_t *packet_of(const struct buf *b)
{
	return b->bytes + b->seq;
}

/* And beside it: the source port, and the size of datagrams that came as one packet. */
static void set_note(struct buf *b, uint16_t port, const struct dgram_in *in)
{
	b->seq = in->ip_at;
	b->run_end = (uint32_t)port << 16 | in->gso_size;
}

static uint16_t gso_size_of(const struct buf *b)
{
	return (uint16_t)b->run_end;
}

/* Who sent it. */
static void read_source(const struct buf *b, struct sock_addr *from)
{
	const uint8_t *ip = packet_of(b);

	from->addr = ip[0] >> 4 == 4 ? addr_from_v4(ip + 12) : addr_from_v6(ip + 8);
	from->port = (uint16_t)(b->run_end >> 16);
}

static uint8_t ttl_of(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[8] : ip[7];
}

/* What the options ask for of a message, as Linux: of IPv4 packets IPv4's, of others IPv6's. */
static void read_ctl(const struct buf *b, unsigned asked, uint32_t dropped, struct dgram_ctl *ctl)
{
	const uint8_t *ip = packet_of(b);
	bool is_v4 = ip[0] >> 4 == 4;
	unsigned of_v4 = 1 << SOCK_CTL_PKTINFO | 1 << SOCK_CTL_TTL | 1 << SOCK_CTL_TOS;
	unsigned of_v6 = 1 << SOCK_CTL_HOPLIMIT | 1 << SOCK_CTL_TCLASS;

	ctl->set = asked & ~(is_v4 ? of_v6 : of_v4);
	if (dropped == 0)
		ctl->set &= ~(1u << SOCK_CTL_RXQ_OVFL);
	ctl->local = is_v4 ? addr_from_v4(ip + 16) : addr_from_v6(ip + 24);
	ctl->ttl = ttl_of(ip);
	ctl->tos = is_v4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
	ctl->dropped = dropped;
}

/* 1: there is a message; 0: end; -EAGAIN: none yet; or an error. */
static int recv_state(struct dgram *d) REQUIRES(lc_dgram)
{
	int rc = dgram_gone(d);

	if (rc != 0)
		return rc;
	if (d->so_error != 0)
		return dgram_take_error(d);
	if (d->in.head)
		return 1;
	return d->rd_shut ? 0 : -EAGAIN;
}

static int wait_message(struct dgram *d, int flags) REQUIRES(lc_dgram)
{
	bool in_time = !(flags & MSG_DONTWAIT) && !d->opt.nonblock;
	weft_time_us timeout = d->opt.rcvtimeo;
	weft_time_us deadline = WEFT_TIME_NEVER;
	int rc = recv_state(d);

	if (rc == -EAGAIN && in_time && timeout != 0)
		deadline = stack_now(dgram_stack(d)) + timeout;
	while (rc == -EAGAIN && in_time) {
		in_time = dgram_wait_readable(d, deadline);
		rc = recv_state(d);
	}
	return rc;
}

size_t dgram_copy_out(const struct view *v, const struct sock_msg *msg)
{
	size_t done = 0;

	for (int i = 0; i < msg->count && done < v->len; i++) {
		size_t part = msg->iov[i].iov_len;

		if (part > v->len - done)
			part = v->len - done;
		if (part > 0 && msg->iov[i].iov_base)
			copy_bytes(msg->iov[i].iov_base, v->data + done, part);
		done += part;
	}
	return done;
}

uint32_t dgram_next_size(const struct dgram *d)
{
	const struct buf *b = d->in.head;

	if (!b)
		return 0;
	uint16_t gso_size = d->opt.gro || !MECHANISM(udp_gro_split) ? 0 : gso_size_of(b);

	return gso_size > 0 && gso_size < b->len ? gso_size : b->len;
}

/* The next message, with a reference on its buffer; the queue keeps it, or what is behind it. */
static void take_message(struct dgram *d, bool is_peek, struct view *v) REQUIRES(lc_dgram)
{
	struct buf *b = d->in.head;

	*v = (struct view){.buf = b, .data = b->data, .len = dgram_next_size(d)};
	if (!is_peek && v->len == b->len) {
		buf_queue_pop(&d->in);
		return;
	}
	buf_get(b);
	if (is_peek)
		return;
	b->data += v->len;
	b->len -= v->len;
	d->in.bytes -= v->len;
}

ssize_t dgram_recv(struct dgram *d, struct sock_msg *msg)
{
	struct view v = {.buf = NULL};

	if (msg->flags & MSG_ERRQUEUE)
		return dgram_err_recv(d, msg);
	dgram_lock(d);
	int rc = wait_message(d, msg->flags);

	if (rc == 1)
		take_message(d, msg->flags & MSG_PEEK, &v);
	/* Who was signalled for this one may find the next. */
	if (d->in.head)
		dgram_wake_reader(d);
	unsigned asked = d->opt.recv_ctl;
	uint32_t dropped = d->dropped;
	bool tells_size = d->opt.gro;

	dgram_unlock(d);
	msg->flags_out = 0;
	if (!v.buf)
		return rc;
	size_t copied = dgram_copy_out(&v, msg);

	if (copied < v.len)
		msg->flags_out |= MSG_TRUNC;
	if (msg->name) {
		read_source(v.buf, msg->name);
		msg->has_name = true;
	}
	struct dgram_ctl ctl;

	read_ctl(v.buf, asked, dropped, &ctl);
	if (tells_size && gso_size_of(v.buf) > 0)
		ctl.set |= 1u << SOCK_CTL_GRO;
	ctl.segment = gso_size_of(v.buf);
	dgram_ctl_write(&ctl, msg);
	buf_put(&v.buf);
	return msg->flags & MSG_TRUNC ? (ssize_t)v.len : (ssize_t)copied;
}

/* ---- RX threads. ---- */

/* A reader may have found the socket in an array that was there before a connect or a close. */
static bool takes_from(const struct dgram *d, const struct flow *flow) REQUIRES(lc_dgram)
{
	const struct flow *own = &d->conn.flow;

	if (dgram_gone(d) != 0 || !d->is_bound || own->local_port != flow->local_port)
		return false;
	return !d->is_connected ||
	       (addr_equal(&own->remote, &flow->remote) && own->remote_port == flow->remote_port);
}

static enum drop judge(const struct dgram *d, const struct flow *flow, const uint8_t *ip)
	REQUIRES(lc_dgram)
{
	if (!takes_from(d, flow))
		return d->is_ping ? DROP_ICMP_NO_SOCK : DROP_UDP_NO_PORT;
	if (ttl_of(ip) < d->opt.min_ttl)
		return DROP_IP_TTL;
	/* As Linux: what is there counts, not what comes; so one message always fits. */
	if (d->in.mem + d->errs.mem >= d->opt.rcvbuf && MECHANISM(dgram_rcvbuf))
		return DROP_DGRAM_RCVBUF;
	return DROP_NONE;
}

enum drop dgram_input(struct dgram *d, const struct flow *flow, struct buf **b,
		      const struct dgram_in *in, struct sock_wakes *wakes)
{
	dgram_lock(d);
	uint32_t refused = (*b)->len; /* unless it is taken */
	enum drop why = judge(d, flow, (*b)->bytes + in->ip_at);

	if (why == DROP_NONE) {
		set_note(*b, flow->remote_port, in);
		buf_queue_push(&d->in, *b);
		*b = NULL;
		dgram_wake_reader(d);
		dgram_tell_data(d);
	}
	if (why == DROP_DGRAM_RCVBUF)
		d->dropped += in->gso_size > 0 ? (refused + in->gso_size - 1) / in->gso_size : 1;
	*wakes = dgram_take_wakes(d);
	dgram_unlock(d);
	return why;
}

/* Whether an error will last; "too big" by what IP_MTU_DISCOVER says. */
static bool is_lasting(const struct dgram *d, const struct flow *flow, int error, bool is_hard)
	REQUIRES(lc_dgram)
{
	if (error != EMSGSIZE)
		return is_hard || !MECHANISM(dgram_soft_errors);
	return addr_is_v4(&flow->remote) ? d->opt.pmtudisc != SOCK_PMTUDISC_DONT
					 : d->opt.pmtudisc == SOCK_PMTUDISC_DO;
}

/*
 * As Linux: without IP_RECVERR only connected sockets hear, and only of what will last; with it all, of
 * everything but what they let routers cut.
 */
enum drop dgram_icmp(struct dgram *d, const struct flow *flow, const struct dgram_err *err,
		     bool is_hard)
{
	enum drop why = DROP_ICMP_NO_CONN;

	dgram_lock(d);
	if (takes_from(d, flow)) {
		bool is_queued = dgram_err_wanted(d, &flow->remote);
		bool is_told =
			is_lasting(d, flow, err->error, is_hard) ||
			(is_queued && (err->error != EMSGSIZE || !addr_is_v4(&flow->remote)));

		if (is_queued || d->is_connected)
			why = DROP_NONE;
		if (is_queued && is_told)
			why = dgram_err_push(d, err);
		if (is_told && (is_queued || d->is_connected || !MECHANISM(dgram_unconnected))) {
			d->so_error = err->error;
			dgram_wake_all(d);
		}
	}
	dgram_unlock(d);
	return why;
}

bool dgram_heeds_path(struct dgram *d)
{
	dgram_lock(d);
	uint8_t how = d->opt.pmtudisc;

	dgram_unlock(d);
	return how != SOCK_PMTUDISC_INTERFACE && how != SOCK_PMTUDISC_OMIT;
}
