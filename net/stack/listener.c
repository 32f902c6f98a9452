/*
 * Listeners: the accept queue and what SYNs do.  RX threads queue, application threads accept and
 * close.  Each completed connection signals one waiter.
 */
#include "net/stack/listener.h"

#include "net/base/mechanism.h"
#include "net/stack/child.h"
#include "net/stack/reply.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

NO_TSA void listener_lock(struct listener *l)
{
	mutex_lock(&l->mu);
}

/* As sock_unlock: who wakes finds the lock free.  A hold of the lock brings one child at most. */
NO_TSA void listener_unlock(struct listener *l)
{
	enum cond_wake wakes = l->wakes;
	struct waker *noted = l->noted;

	l->wakes = COND_WAKE_NONE;
	l->noted = NULL;
	mutex_unlock(&l->mu);
	cond_wake(&l->acceptable, wakes);
	watch_tell(noted);
}

struct listener *listener_new(struct stack *stack)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	mutex_init(&l->mu);
	cond_init(&l->acceptable);
	atomic_init(&l->defer, 0);
	HB_ATOMIC(l->defer);
	l->number = atomic_fetch_add_explicit(&stack->next_listener, 1, memory_order_relaxed);
	return l;
}

void listener_free(struct listener *l)
{
	listener_lock(l);
	WEFT_ASSERT(!l->is_open && !l->first && l->half_open_count == 0);
	free((void *)l->half_open);
	fastopen_queue_put(&l->fastopen);
	listener_unlock(l);
	cond_fini(&l->acceptable);
	mutex_fini(&l->mu);
	free(l);
}

void listener_push(struct listener *l, struct sock *child)
{
	child->accept_next = NULL;
	if (l->first)
		l->last->accept_next = child;
	else
		l->first = child;
	l->last = child;
	l->queued++;
}

/* The first child, of which there is one, with its reference. */
static struct sock *take_first(struct listener *l) REQUIRES(lc_listener)
{
	struct sock *child = l->first;

	l->first = child->accept_next;
	l->queued--;
	return child;
}

void listener_open(struct listener *l, unsigned backlog)
{
	listener_lock(l);
	l->backlog = backlog < LISTENER_BACKLOG_MAX ? backlog : LISTENER_BACKLOG_MAX;
	if (l->gone == 0)
		l->is_open = true;
	listener_unlock(l);
}

/* 0 when accept may take or wait for a child. */
static int check_open(const struct listener *l) REQUIRES(lc_listener)
{
	if (l->gone != 0)
		return l->gone;
	return l->is_open ? 0 : -EINVAL;
}

/* Where a listener's leader sits.  SYNs come by all queues: the other RX threads wake it. */
static struct rx *rx_of(struct stack *stack)
{
	return stack->queue[0].rx;
}

void listener_wake(struct listener *l, struct sock *s)
{
	struct stack *stack = s->conn.stack;
	struct watchers *ws = watchers_of(&s->watch);

	if (ws)
		watch_notify(ws, POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND, &l->noted);
	if (l->lead != LEAD_NONE && l->queued == 1)
		rx_lead_hit(rx_of(stack), &l->lead);
	else if (l->waiters > 0)
		l->wakes = COND_WAKE_ONE;
}

/* One of those who wait, whoever it is. */
static void wake_waiter(struct listener *l, struct stack *stack) REQUIRES(lc_listener)
{
	if (l->waiters > 0)
		l->wakes = COND_WAKE_ONE;
	else
		rx_lead_hit(rx_of(stack), &l->lead);
}

static NO_TSA void stop_waiting(struct listener **l)
{
	(*l)->waiters--;
}

/* Sleeps, or leads if nobody does, until there is a reason to look again; false: too late. */
static bool wait_child(struct listener *l, struct stack *stack, weft_time_us deadline)
	REQUIRES(lc_listener)
{
	if (rx_take_seat(rx_of(stack), l))
		return rx_lead(rx_of(stack), l, &l->lead, &l->mu, deadline);
	struct listener *waiting CLEANUP(stop_waiting) = l;

	waiting->waiters++;
	return stack_wait(stack, &l->acceptable, &l->mu, deadline);
}

/* Of a thread in accept, with the lock. */
struct accepter {
	struct listener *l;
	struct stack *stack;
	bool is_awake;
};

/* Cancelled: a connection that it was woken for is the next one's. */
static NO_TSA void leave_cancelled(const struct accepter *accepter)
{
	struct listener *l = accepter->l;

	if (accepter->is_awake)
		return;
	if (l->first && MECHANISM(accept_cancelled))
		wake_waiter(l, accepter->stack);
	listener_unlock(l);
}

static bool await_child(struct listener *l, struct stack *stack, weft_time_us deadline)
	REQUIRES(lc_listener)
{
	struct accepter accepter CLEANUP(leave_cancelled) = {.l = l, .stack = stack};
	bool in_time = wait_child(l, stack, deadline);

	accepter.is_awake = true;
	return in_time;
}

int listener_accept(struct sock *s, weft_time_us deadline, struct sock **child)
{
	struct listener *l = listener_of(s);
	bool in_time = deadline >= 0;

	listener_lock(l);
	int rc = check_open(l);

	while (rc == 0 && !l->first && in_time) {
		in_time = await_child(l, s->conn.stack, deadline);
		rc = check_open(l);
	}
	if (rc == 0 && !l->first)
		rc = -EAGAIN;
	if (rc == 0)
		*child = take_first(l);
	if (rc == 0 && !l->first && watch_settles(watchers_of(&s->watch)) &&
	    MECHANISM(accept_settles))
		watch_settle(watchers_of(&s->watch), 0, &l->noted);
	listener_unlock(l);
	return rc;
}

bool listener_unaccept(struct sock *s, struct sock *child)
{
	struct listener *l = listener_of(s);

	listener_lock(l);
	bool is_open = l->is_open;

	if (is_open) {
		child->accept_next = l->first;
		l->last = l->first ? l->last : child;
		l->first = child;
		l->queued++;
		listener_wake(l, s);
	}
	listener_unlock(l);
	return is_open;
}

/* The first child of the queue with its reference, or NULL. */
static struct sock *pop_child(struct listener *l) EXCLUDES(lc_listener)
{
	struct sock *child = NULL;

	listener_lock(l);
	if (l->first)
		child = take_first(l);
	listener_unlock(l);
	return child;
}

void listener_close(struct listener *l, struct stack *stack, int gone)
{
	struct sock *child;

	listener_lock(l);
	l->is_open = false;
	if (l->gone == 0)
		l->gone = gone;
	while (l->half_open_count > 0)
		half_open_unlink(l, l->half_open[l->half_open_count - 1]);
	l->wakes = COND_WAKE_ALL;
	rx_lead_hit(rx_of(stack), &l->lead);
	listener_unlock(l);
	while ((child = pop_child(l))) {
		sock_abort(child, ECONNABORTED);
		sock_put(&child);
	}
}

/* Whether another half-open connection may begin. */
static enum drop check_limits(const struct listener *l, const struct stack *stack)
	REQUIRES(lc_listener)
{
	if (!l->is_open)
		return DROP_TCP_NO_CONN;
	if (l->queued > l->backlog && MECHANISM(accept_queue_limit))
		return DROP_TCP_ACCEPT_FULL;
	if (l->half_open_count >= stack->cfg.syn_backlog_max && MECHANISM(half_open_limit))
		return DROP_TCP_SYN_BACKLOG;
	return DROP_NONE;
}

struct fast_syn {
	const struct flow *flow;
	struct tcp_seg *seg;
	uint32_t iss;
	unsigned queue;
	weft_time_us now;
};

/* The listener's TCP_FASTOPEN, where the stack allows it. */
static unsigned fastopen_max(struct sock *s) EXCLUDES(lc_sock)
{
	if (!fastopen_is_server(s->conn.stack))
		return 0;
	sock_lock(s);
	unsigned max = s->opt.fastopen_max;

	sock_unlock(s);
	return max;
}

/* A place among those that are not through yet. */
static bool enter_fastopen(struct listener *l, unsigned max, weft_time_us now) REQUIRES(lc_listener)
{
	if (!l->fastopen)
		l->fastopen = fastopen_queue_new();
	return l->fastopen && fastopen_queue_enter(l->fastopen, max, now);
}

/*
 * A SYN with a fast open option (RFC 7413 4.2.2).  True: a child was made of it, or not, see '*why'.
 * False: a handshake as always; '*gives_cookie': whose SYN-ACK has one.
 */
static bool try_fastopen(struct sock *s, const struct fast_syn *syn, bool *gives_cookie,
			 enum drop *why) REQUIRES(lc_listener)
{
	struct stack *stack = s->conn.stack;
	struct listener *l = listener_of(s);
	const struct tcp_opts *opt = &syn->seg->opt;
	unsigned max = fastopen_max(s);
	bool is_old = false, is_made;
	struct tcp_synrcvd rec;

	if (max == 0)
		return false;
	bool is_good = opt->fo_len > 0 && fastopen_check(stack, syn->flow, opt, syn->now, &is_old);

	if (opt->fo_len == 0)
		counter_add(&stack->counters, C_TCP_FASTOPEN_COOKIE_REQ, 1);
	else if (!is_good)
		counter_add(&stack->counters, C_TCP_FASTOPEN_BAD_COOKIE, 1);
	*gives_cookie = !is_good || is_old;
	if (!is_good)
		return false;
	if (!enter_fastopen(l, max, syn->now)) {
		counter_add(&stack->counters, C_TCP_FASTOPEN_OVERFLOW, 1);
		return false;
	}
	struct tcp_params params = child_params(s, syn->flow);
	const struct child_origin from = {
		.flow = syn->flow,
		.rec = &rec,
		.queue = syn->queue,
		.fastopen = l->fastopen,
		.gives_cookie = is_old,
	};

	tcp_synrcvd_init(&rec, &params, syn->seg, syn->iss, syn->now);
	*why = child_new(s, &from, syn->seg, syn->now, &is_made);
	if (!is_made) {
		struct fastopen_queue *ref = l->fastopen;

		fastopen_queue_leave(&ref, false, syn->now);
	}
	return true;
}

/*
 * A SYN gets a record, or a cookie when there are too many (RFC 4987 3.7), or always.  Over the accept
 * queue's limit neither: the connection could not be accepted.
 */
static enum drop receive_syn(struct sock *s, const struct flow *flow, struct tcp_seg *seg,
			     uint32_t iss, unsigned queue, weft_time_us now) REQUIRES(lc_listener)
{
	struct stack *stack = s->conn.stack;
	enum weft_syn_cookies mode = stack->cfg.syn_cookies;
	enum drop why = check_limits(listener_of(s), stack);

	if ((why == DROP_TCP_SYN_BACKLOG && MECHANISM(cookies) && mode != WEFT_SYN_COOKIES_OFF) ||
	    (why == DROP_NONE && mode == WEFT_SYN_COOKIES_ALWAYS)) {
		cookie_send(s, flow, seg, queue, now);
		return DROP_NONE;
	}
	if (why != DROP_NONE)
		return why;
	struct half_open_syn in = {
		.flow = flow, .seg = seg, .iss = iss, .queue = queue, .now = now};

	if (seg->opt.has_fo) {
		const struct fast_syn syn = {
			.flow = flow, .seg = seg, .iss = iss, .queue = queue, .now = now};

		if (try_fastopen(s, &syn, &in.gives_cookie, &why))
			return why;
	}
	return half_open_new(s, &in);
}

enum drop listener_input(struct sock *s, const struct flow *flow, struct tcp_seg *seg,
			 const uint32_t *iss, unsigned queue, weft_time_us now)
{
	struct stack *stack = s->conn.stack;
	struct listener *l = listener_of(s);
	struct tcp_seg_out out = {0};
	enum drop why = DROP_NONE;

	switch (tcp_listen_input(seg, &why)) {
	case TCP_LISTEN_RESET:
		if (cookie_input(s, flow, seg, queue, now, &why))
			return why;
		if (tcp_reset_for(seg, &out)) {
			counter_add(&stack->counters, C_TCP_RESET_OUT, 1);
			reply_tcp(stack, queue, flow, &out);
		}
		return why;
	case TCP_LISTEN_SYN:
		break;
	case TCP_LISTEN_DROP:
	default:
		return why;
	}
	listener_lock(l);
	why = receive_syn(s, flow, seg, iss ? *iss : stack_isn(stack, flow, now), queue, now);
	listener_unlock(l);
	return why;
}

bool listener_has_child(struct listener *l)
{
	listener_lock(l);
	bool has_child = l->is_open && l->first;

	listener_unlock(l);
	return has_child;
}

void listener_counts(struct listener *l, unsigned *queued, unsigned *backlog)
{
	listener_lock(l);
	*queued = l->queued;
	*backlog = l->backlog;
	listener_unlock(l);
}
