/*
 * Error queues of streams; see sock_err.h.  RX threads, emitters and senders fill them, recvmsg
 * empties them.
 */
#include "net/stack/sock_err.h"

#include "net/base/mechanism.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <stdlib.h>

/* The queue, made if there is none; NULL without memory. */
static struct sock_errs *make_errs(struct sock *s) REQUIRES(lc_sock)
{
	if (s->has_errs)
		return s->errs;
	struct sock_errs *errs = calloc(1, sizeof(*errs));

	if (!errs)
		return NULL;
	cond_init(&errs->unpinned);
	s->errs = errs;
	s->has_errs = true;
	return errs;
}

static bool is_full(const struct sock_errs *errs)
{
	return errs->count >= SOCK_ERRS_MAX && MECHANISM(sock_errs_max);
}

struct sock_err *sock_err_new(struct sock *s, uint32_t len)
{
	struct sock_errs *errs = make_errs(s);

	if (!errs || is_full(errs))
		return NULL;
	struct sock_err *err = calloc(1, sizeof(*err) + len);

	if (!err)
		return NULL;
	err->sock = s;
	err->len = len;
	errs->count++;
	return err;
}

void sock_err_free(struct sock *s, struct sock_err *err)
{
	s->errs->count--;
	free(err);
}

void sock_err_tell(struct sock *s)
{
	struct watchers *ws = watchers_of(&s->watch);

	if (ws)
		watch_notify(ws, POLLERR, &ws->noted);
}

void sock_err_push(struct sock *s, struct sock_err *err)
{
	struct sock_errs *errs = s->errs;

	err->next = NULL;
	if (errs->tail)
		errs->tail->next = err;
	else
		errs->head = err;
	errs->tail = err;
	sock_err_tell(s);
}

static struct sock_err *pop(struct sock_errs *errs)
{
	struct sock_err *err = errs->head;

	errs->head = err->next;
	if (!errs->head)
		errs->tail = NULL;
	return err;
}

bool sock_err_wanted(const struct sock *s, const struct addr *remote)
{
	return addr_is_v4(remote) ? s->opt.recverr : s->opt.recverr6;
}

void sock_err_queue(struct sock *s, const struct dgram_err *told)
{
	struct sock_err *err = sock_err_new(s, told->len);
	struct sock_errs *errs = sock_errs_of(s);

	if (!err) {
		drop_count(&s->conn.stack->counters,
			   errs && is_full(errs) ? DROP_ERR_QUEUE : DROP_NO_MEM);
		return;
	}
	dgram_err_describe(told, &err->ctl);
	err->to = told->to;
	if (told->len > 0)
		memcpy(err->data, told->data, told->len);
	sock_err_push(s, err);
}

/* A handshake that a listener answered: whoever may be told has perhaps not accepted it (errs). */
static bool is_half_open(const struct sock *s) REQUIRES(lc_sock)
{
	return s->tcb.passive && s->tcb.state == TCPS_SYN_RCVD;
}

void sock_err_r1(struct sock *s)
{
	const struct flow *flow = &s->conn.flow;
	const struct dgram_err told = {.error = ETIMEDOUT,
				       .origin = SO_EE_ORIGIN_LOCAL,
				       .to = {.addr = flow->remote, .port = flow->remote_port}};

	if (sock_gone(s) == 0 && !is_half_open(s) && sock_err_wanted(s, &flow->remote) &&
	    !s->conn.stack->cfg.no_soft_errors && MECHANISM(r1_told))
		sock_err_queue(s, &told);
}

/* A completion is no error. */
static bool is_error(const struct sock_err *err)
{
	return err->ctl.ee.ee_origin != SO_EE_ORIGIN_ZEROCOPY;
}

static bool is_icmp(const struct sock_err *err)
{
	return dgram_ctl_is_icmp(&err->ctl.ee);
}

void sock_err_purge(struct sock *s)
{
	struct sock_errs *errs = sock_errs_of(s);
	struct sock_err *at = errs ? errs->head : NULL;

	if (!at)
		return;
	errs->head = errs->tail = NULL;
	while (at) {
		struct sock_err *next = at->next;

		if (is_error(at))
			sock_err_free(s, at);
		else
			sock_err_push(s, at);
		at = next;
	}
}

/* The next one; the pending error follows the queue, as on Linux. */
static struct sock_err *take(struct sock *s) REQUIRES(lc_sock)
{
	struct sock_errs *errs = sock_errs_of(s);

	if (!errs || !errs->head)
		return NULL;
	struct sock_err *err = pop(errs);

	if (errs->head && is_icmp(errs->head))
		s->so_error = (int16_t)errs->head->ctl.ee.ee_errno;
	else if (is_icmp(err))
		s->so_error = 0;
	errs->count--;
	return err;
}

ssize_t sock_err_recv(struct sock *s, struct sock_msg *msg)
{
	sock_lock(s);
	int rc = sock_gone(s);
	struct sock_err *err = rc == 0 ? take(s) : NULL;

	sock_unlock(s);
	msg->flags_out = 0;
	if (!err) {
		msg->control_len = 0;
		return rc != 0 ? rc : -EAGAIN;
	}
	const struct view v = {.data = err->data, .len = err->len};
	size_t copied = dgram_copy_out(&v, msg);

	msg->flags_out = MSG_ERRQUEUE;
	if (copied < err->len)
		msg->flags_out |= MSG_TRUNC;
	if (msg->name && is_error(err)) {
		*msg->name = err->to;
		msg->has_name = true;
	}
	dgram_ctl_write_err(&err->ctl, s->is_v6, msg);
	free(err);
	return (ssize_t)copied;
}

NO_TSA void sock_errs_fini(struct sock *s)
{
	struct sock_errs *errs = sock_errs_of(s);

	if (!errs)
		return;
	while (errs->head)
		sock_err_free(s, pop(errs));
	WEFT_ASSERT(errs->count == 0 && errs->pinned == 0);
	cond_fini(&errs->unpinned);
	free(errs);
	s->has_errs = false;
}
