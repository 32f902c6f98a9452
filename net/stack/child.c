/* Children of listeners; see child.h.  RX threads, under lc_listener; takes lc_sock below it. */
#include "net/stack/child.h"

#include "net/stack/path.h"
#include "net/stack/stack_int.h"
#include <errno.h>

struct tcp_params child_params(struct sock *s, const struct flow *flow)
{
	struct stack *stack = s->conn.stack;
	struct tcp_params params = {
		.cfg = &stack->cfg.tcp,
		.rcv_buf_max = stack->cfg.buf_max,
		.ts_offset = stack_ts_offset(stack, flow),
		.mss_local = path_link_mss(stack, &flow->remote),
		.is_v6 = !addr_is_v4(&flow->local),
	};

	sock_lock(s);
	params.rcv_buf_size = s->opt.rcvbuf;
	if (s->opt.window_clamp != 0 && s->opt.window_clamp < params.rcv_buf_size)
		params.rcv_buf_size = s->opt.window_clamp;
	params.snd_buf_size = s->opt.sndbuf;
	if (s->opt.maxseg != 0 && s->opt.maxseg < params.mss_local)
		params.mss_local = s->opt.maxseg;
	sock_unlock(s);
	return params;
}

/* Publishes the child.  0, -EADDRINUSE or -ENOBUFS; a record's place is there to be taken. */
static int publish(struct sock *child, const struct child_origin *from) REQUIRES(lc_sock)
{
	struct conn_table *table = child->conn.stack->table;
	int rc = 0;

	if (from->half_open)
		child->is_linked = conn_table_replace(table, from->half_open, &child->conn);
	else
		child->is_linked = (rc = conn_table_add(table, &child->conn)) == 0;
	child->was_linked = child->is_linked;
	WEFT_ASSERT(rc != 0 || child->is_linked);
	return rc;
}

enum drop child_new(struct sock *s, const struct child_origin *from, struct tcp_seg *seg,
		    weft_time_us now, bool *is_made)
{
	struct listener *l = listener_of(s);
	unsigned events = 0;
	struct sock *child;

	*is_made = false;
	if (l->queued > l->backlog)
		return DROP_TCP_ACCEPT_FULL;
	int rc = sock_new_child(s, from->flow, from->queue, &child);

	if (rc != 0)
		return rc == -ESHUTDOWN ? DROP_STOPPED : DROP_NO_MEM;
	/* Published before it has the segment: who finds it waits for the lock held here. */
	sock_lock(child);
	sock_init_tcb(child, tcp_synrcvd_ts_offset(from->rec));
	if (!from->fastopen)
		tcp_open_passive(&child->tcb, from->rec, now);
	sock_apply_opts(child, now);
	child->phase = SOCK_CONNECTED;
	rc = publish(child, from);
	if (rc != 0) {
		sock_unlock(child);
		sock_put(&child);
		return rc == -ENOBUFS ? DROP_CONN_LIMIT : DROP_TCP_SYN_DUP;
	}
	enum drop why = DROP_NONE;

	child->fastopen = from->fastopen;
	if (from->fastopen)
		tcp_open_passive_fast(&child->tcb, from->rec, seg, from->gives_cookie, now,
				      &events);
	else
		why = tcp_input(&child->tcb, seg, now, &events);

	sock_events_quiet(child, events, now);
	sock_unlock(child);
	listener_push(l, child); /* with the reference of its birth */
	*is_made = true;
	listener_wake(l, s);
	return why;
}
