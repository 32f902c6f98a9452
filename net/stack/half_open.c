/*
 * Half-open connections.  RX threads make and feed them, the TX thread sends their SYN-ACKs and
 * ends them by time, whoever closes the listener drops them.
 */
#include "net/stack/half_open.h"

#include "net/base/mechanism.h"
#include "net/stack/child.h"
#include "net/stack/listener.h"
#include "net/stack/reply.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <stdlib.h>

/* The least room in a listener's array. */
enum { SIZE_MIN = 16 };

/* Makes room in the listener's array, which is at most four times as large as needed. */
static bool resize(struct listener *l, uint32_t size) REQUIRES(lc_listener)
{
	void *room = realloc((void *)l->half_open, size * sizeof(struct half_open *));

	if (!room)
		return false;
	l->half_open = room;
	l->half_open_size = size;
	return true;
}

static bool has_room(struct listener *l) REQUIRES(lc_listener)
{
	if (l->half_open_count < l->half_open_size)
		return true;
	return resize(l, l->half_open_size == 0 ? SIZE_MIN : 2 * l->half_open_size);
}

/* With the reference of the caller. */
static void enlist(struct listener *l, struct half_open *h) REQUIRES(lc_listener)
{
	h->index = l->half_open_count & HALF_OPEN_GONE;
	l->half_open[l->half_open_count++] = h;
}

/* The last one takes the place. */
static void delist(struct listener *l, struct half_open *h) REQUIRES(lc_listener)
{
	struct half_open *last = l->half_open[--l->half_open_count];

	WEFT_ASSERT(l->half_open[h->index] == h);
	l->half_open[h->index] = last;
	last->index = h->index;
	h->index = HALF_OPEN_GONE;
	if (l->half_open_size > SIZE_MIN && l->half_open_count <= l->half_open_size / 4)
		(void)resize(l, l->half_open_size / 2);
}

enum drop half_open_new(struct sock *s, const struct half_open_syn *in)
{
	struct listener *l = listener_of(s);
	struct stack *stack = s->conn.stack;
	struct tcp_params params = child_params(s, in->flow);
	struct half_open *h = has_room(l) ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return DROP_NO_MEM;
	conn_init(&h->conn, stack, CONN_HALF_OPEN, in->queue);
	h->conn.flow = *in->flow;
	h->conn.listener = sock_get(s);
	tcp_synrcvd_init(&h->rec, &params, in->seg, in->iss, in->now);
	h->gives_cookie = in->gives_cookie;
	enlist(l, h); /* with the reference of this function */
	int rc = conn_table_add(stack->table, &h->conn);

	if (rc != 0) {
		struct conn *ref = &h->conn;

		delist(l, h);
		conn_put(&ref);
		return rc == -ENOBUFS ? DROP_CONN_LIMIT : DROP_TCP_SYN_DUP;
	}
	txq_request_quiet(stack_txq(&h->conn), &h->conn);
	return DROP_NONE;
}

/* Out of the listener's array; the record has left the table already. */
static void unlist(struct listener *l, struct half_open *h) REQUIRES(lc_listener)
{
	struct conn *ref = &h->conn;

	delist(l, h);
	/* Its timer ends by itself if nobody comes before. */
	txq_request_timer(stack_txq(&h->conn), &h->conn, WEFT_TIME_NEVER);
	conn_put(&ref);
}

void half_open_unlink(struct listener *l, struct half_open *h)
{
	WEFT_ASSERT(h->index != HALF_OPEN_GONE);
	conn_table_del(conn_stack(&h->conn)->table, &h->conn);
	unlist(l, h);
}

/* The handshake is complete: a child takes the record's place and waits for accept. */
static enum drop establish(struct listener *l, struct half_open *h, struct tcp_seg *seg,
			   weft_time_us now) REQUIRES(lc_listener)
{
	const struct child_origin from = {
		.flow = &h->conn.flow,
		.rec = &h->rec,
		.half_open = &h->conn,
		.queue = h->conn.queue,
	};
	bool is_made;
	enum drop why = child_new(h->conn.listener, &from, seg, now, &is_made);

	if (is_made)
		unlist(l, h);
	return why;
}

/*
 * The SYN may have been answered before, with a cookie, while there was no room for the record: then
 * its ACK is as good.
 */
static bool is_cookie(struct half_open *h, struct tcp_seg *seg, weft_time_us now)
	REQUIRES(lc_listener)
{
	struct tcp_synrcvd rec;

	if (!cookie_check(h->conn.listener, &h->conn.flow, seg, now, &rec))
		return false;
	h->rec = rec;
	return true;
}

/*
 * TCP_DEFER_ACCEPT: the connection is not made before there is data, or as many SYN-ACKs were sent again;
 * in between none is, but for the last (as Linux).
 */
static bool is_deferring(const struct listener *l, const struct half_open *h) REQUIRES(lc_listener)
{
	return h->rec.retries < atomic_load_explicit(&l->defer, memory_order_relaxed) &&
	       MECHANISM(defer_accept);
}

enum drop half_open_input(struct half_open *h, struct tcp_seg *seg, weft_time_us now)
{
	struct stack *stack = conn_stack(&h->conn);
	struct listener *l = listener_of(h->conn.listener);
	struct tcp_seg_out out = {0};
	enum drop why = DROP_NONE;
	bool has_reply = false;

	listener_lock(l);
	if (h->index == HALF_OPEN_GONE) {
		listener_unlock(l);
		return DROP_TCP_NO_CONN;
	}
	switch (tcp_synrcvd_input(&h->rec, seg, &stack->cfg.tcp, now, &out, &why)) {
	case TCP_SYNRCVD_REPLY:
		if (why == DROP_TCP_SYN_RCVD_ACK && is_cookie(h, seg, now))
			why = establish(l, h, seg, now);
		else
			has_reply = true;
		break;
	case TCP_SYNRCVD_RESEND:
		txq_request(stack_txq(&h->conn), &h->conn);
		break;
	case TCP_SYNRCVD_RESET:
		has_reply = true;
		half_open_unlink(l, h);
		break;
	case TCP_SYNRCVD_GONE:
		half_open_unlink(l, h);
		break;
	case TCP_SYNRCVD_ESTABLISHED:
		h->is_deferred = seg->len == 0 && !(seg->flags & TCP_FIN) && is_deferring(l, h);
		why = h->is_deferred ? DROP_TCP_DEFERRED : establish(l, h, seg, now);
		break;
	case TCP_SYNRCVD_DROP:
	default:
		break;
	}
	listener_unlock(l);
	if (has_reply)
		reply_tcp(stack, h->conn.queue, &h->conn.flow, &out);
	return why;
}

enum drop half_open_icmp(struct half_open *h, uint32_t seq, bool is_hard)
{
	struct listener *l = listener_of(h->conn.listener);
	enum drop why = DROP_NONE;

	listener_lock(l);
	if (h->index == HALF_OPEN_GONE || (seq != h->rec.iss && MECHANISM(half_open_icmp)))
		why = DROP_ICMP_SEQ;
	else if (is_hard)
		half_open_unlink(l, h);
	listener_unlock(l);
	return why;
}

weft_time_us half_open_visit(struct half_open *h, weft_time_us now, struct tcp_seg_out *out,
			     bool *has_out)
{
	const struct tcp_cfg *cfg = &conn_stack(&h->conn)->cfg.tcp;
	struct listener *l = listener_of(h->conn.listener);
	weft_time_us deadline = WEFT_TIME_NEVER;

	*has_out = false;
	listener_lock(l);
	if (h->index != HALF_OPEN_GONE && !tcp_synrcvd_tick(&h->rec, cfg, now))
		half_open_unlink(l, h);
	if (h->index != HALF_OPEN_GONE) {
		if (h->is_deferred && is_deferring(l, h) && MECHANISM(defer_quiet))
			h->rec.synack_due = false;
		*has_out = tcp_synrcvd_output(&h->rec, cfg, now, out);
		/* Without the option when it comes again: that may be what was in the way. */
		if (*has_out)
			out->opt.has_fo = h->gives_cookie && !out->retransmit;
		deadline = tcp_synrcvd_deadline(&h->rec, cfg, now);
	}
	listener_unlock(l);
	return deadline;
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	struct half_open *h = half_open_of(CONTAINER_OF(head, struct conn, rcu));
	struct stack *stack = h->conn.stack;

	free(h);
	conn_freed(stack);
	rcu_reclaim_end();
}

void half_open_release(struct half_open *h)
{
	struct stack *stack = conn_stack(&h->conn);

	sock_put(&h->conn.listener);
	h->conn.stack = stack; /* for reclaim; nobody else looks any more */
	conn_defer_free(&h->conn, reclaim);
}
