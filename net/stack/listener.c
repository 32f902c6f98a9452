/*
 * Listeners: the accept queue and what SYNs do.  RX threads queue, application threads accept and
 * close.  Each completed connection signals one waiter.
 */
#include "net/stack/listener.h"

#include "net/stack/reply.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <stdlib.h>

NO_TSA void listener_lock(struct listener *l)
{
	mutex_lock(&l->mu);
}

NO_TSA void listener_unlock(struct listener *l)
{
	mutex_unlock(&l->mu);
}

struct listener *listener_new(void)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	mutex_init(&l->mu);
	cond_init(&l->acceptable);
	listener_lock(l);
	list_init(&l->queue);
	list_init(&l->half_open);
	listener_unlock(l);
	return l;
}

void listener_free(struct listener *l)
{
	listener_lock(l);
	WEFT_ASSERT(!l->is_open && list_empty(&l->queue) && list_empty(&l->half_open));
	listener_unlock(l);
	cond_fini(&l->acceptable);
	mutex_fini(&l->mu);
	free(l);
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

int listener_accept(struct sock *s, weft_time_us deadline, struct sock **child)
{
	struct listener *l = listener_of(s);
	bool in_time = deadline >= 0;

	listener_lock(l);
	int rc = check_open(l);

	while (rc == 0 && list_empty(&l->queue) && in_time) {
		l->waiters++;
		in_time = stack_wait(s->conn.stack, &l->acceptable, &l->mu, deadline);
		l->waiters--;
		rc = check_open(l);
	}
	if (rc == 0 && list_empty(&l->queue))
		rc = -EAGAIN;
	if (rc == 0) {
		*child = CONTAINER_OF(l->queue.next, struct sock, accept_link);
		list_del(&(*child)->accept_link);
		l->queued--;
	}
	listener_unlock(l);
	return rc;
}

bool listener_unaccept(struct listener *l, struct sock *child)
{
	listener_lock(l);
	bool is_open = l->is_open;

	if (is_open) {
		list_push(l->queue.next, &child->accept_link); /* before the first */
		l->queued++;
		if (l->waiters > 0)
			cond_signal(&l->acceptable);
	}
	listener_unlock(l);
	return is_open;
}

/* The first child of the queue with its reference, or NULL. */
static struct sock *pop_child(struct listener *l) EXCLUDES(lc_listener)
{
	struct sock *child = NULL;

	listener_lock(l);
	if (!list_empty(&l->queue)) {
		child = CONTAINER_OF(l->queue.next, struct sock, accept_link);
		list_del(&child->accept_link);
		l->queued--;
	}
	listener_unlock(l);
	return child;
}

void listener_close(struct listener *l, int gone)
{
	struct list *pos, *tmp;
	struct sock *child;

	listener_lock(l);
	l->is_open = false;
	if (l->gone == 0)
		l->gone = gone;
	list_for_each_safe (pos, tmp, &l->half_open)
		half_open_unlink(l, CONTAINER_OF(pos, struct half_open, link));
	cond_broadcast(&l->acceptable);
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
	if (l->queued > l->backlog)
		return DROP_TCP_ACCEPT_FULL;
	if (l->half_open_count >= stack->cfg.syn_backlog_max)
		return DROP_TCP_SYN_BACKLOG;
	return DROP_NONE;
}

enum drop listener_input(struct sock *s, const struct flow *flow, const struct tcp_seg *seg,
			 const uint32_t *iss, weft_time_us now)
{
	struct stack *stack = s->conn.stack;
	struct listener *l = listener_of(s);
	struct tcp_seg_out out = {0};
	enum drop why = DROP_NONE;

	switch (tcp_listen_input(seg, &why)) {
	case TCP_LISTEN_RESET:
		if (tcp_reset_for(seg, &out)) {
			counter_add(&stack->counters, C_TCP_RESET_OUT, 1);
			reply_tcp(stack, flow, &out);
		}
		return why;
	case TCP_LISTEN_SYN:
		break;
	case TCP_LISTEN_DROP:
	default:
		return why;
	}
	listener_lock(l);
	why = check_limits(l, stack);
	if (why == DROP_NONE)
		why = half_open_new(l, s, flow, seg, iss ? *iss : stack_isn(stack, flow, now), now);
	listener_unlock(l);
	return why;
}

void listener_counts(struct listener *l, unsigned *queued, unsigned *backlog)
{
	listener_lock(l);
	*queued = l->queued;
	*backlog = l->backlog;
	listener_unlock(l);
}
