/*
 * Birth, references, events and death of sockets.  Any thread.
 *
 * Who can hold a reference on a socket, and why each ends:
 *   its handle           until close takes it (api/), or its call frame while it is being made
 *   a running call       until it returns; closing and stopping wake every sleeper
 *   the connection table until the entry is unlinked, exactly once (sock_events, sock_stop)
 *   the bind table       until sock_unbind: close and stop call it
 *   an accept queue      until accept takes it over or the listener closes
 *   a half-open record   (on its listener) until the record dies: listener_close drops all
 *   its TX queue         until the emitter has served the request
 *   its timer wheel      until the visit after the unlinking; the TX thread's end empties the wheel
 *   an RX thread         for one packet
 *   a foreign buffer     until its last reference goes (zerocopy.h)
 * Death: marked (is_over, is_closed) -> unlinked -> sleepers woken -> put -> sock_release -> freed
 * behind a grace period.
 */
#include "net/stack/epset.h"
#include "net/stack/listener.h"
#include "net/stack/path.h"
#include "net/stack/sock_err.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include "net/stack/tx.h"
#include "net/stack/zerocopy.h"
#include "net/wire/ip.h"
#include <errno.h>
#include <stdlib.h>

/* Keepalive as on Linux; RFC 9293 MUST-28 wants two hours at least. */
enum { KEEP_IDLE_S = 7200, KEEP_INTVL_S = 75, KEEP_CNT = 9 };

enum { ORPHAN_BYTES_MIN = 4608 }; /* to send, while memory is short: Linux's SOCK_MIN_SNDBUF */

/* ---- Birth. ---- */

/* Enters the socket into the stack's list; false when the stack is stopping. */
static bool enlist(struct stack *stack, struct sock *s)
{
	stack_socks_lock(stack);
	bool is_running = !stack->stopping;

	if (is_running)
		list_push(&stack->socks, &s->link);
	stack_socks_unlock(stack);
	return is_running;
}

/* A zeroed socket gets its locks and links; nobody else knows it yet. */
static NO_TSA void init_sock(struct sock *s, struct stack *stack, bool is_v6, unsigned queue)
{
	conn_init(&s->conn, stack, CONN_SOCK, queue);
	mutex_init(&s->mu);
	sleepers_init(&s->readers);
	sleepers_init(&s->writers);
	list_init(&s->link);
	list_init(&s->binding.link);
	atomic_init(&s->v6only, false);
	atomic_init(&s->listener, NULL);
	atomic_init(&s->watch, NULL);
	HB_ATOMIC(s->v6only);
	HB_ATOMIC(s->min_ttl);
	HB_ATOMIC(s->listener);
	HB_ATOMIC(s->watch);
	s->is_v6 = is_v6;
	s->ttl = IP_TTL_DEFAULT;
	s->pmtudisc = SOCK_PMTUDISC_WANT;
	s->armed = WEFT_TIME_NEVER;
	s->opt.linger_s = -1;
	s->opt.rcvbuf = stack->cfg.rcvbuf;
	s->opt.sndbuf = stack->cfg.sndbuf;
	s->opt.rcvlowat = 1;
	s->opt.keep_idle_s = KEEP_IDLE_S;
	s->opt.keep_intvl_s = KEEP_INTVL_S;
	s->opt.keep_cnt = KEEP_CNT;
	s->opt.pacing_max = UINT64_MAX;
	s->opt.cc = (uint8_t)stack->cfg.cc;
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	struct sock *s = sock_of(CONTAINER_OF(head, struct conn, rcu));
	struct stack *stack = s->conn.stack;

	free(s);
	conn_freed(stack);
	rcu_reclaim_end();
}

/* A listed socket; -ENOMEM or -ESHUTDOWN. */
static int make_sock(struct stack *stack, bool is_v6, unsigned queue, struct sock **sock)
{
	struct sock *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	init_sock(s, stack, is_v6, queue);
	if (!enlist(stack, s)) {
		struct conn *ref = &s->conn;

		conn_put(&ref);
		return -ESHUTDOWN;
	}
	*sock = s;
	return 0;
}

int sock_new(struct stack *stack, bool is_v6, struct sock **sock)
{
	int rc = make_sock(stack, is_v6, stack_choose_queue(stack), sock);

	if (rc == 0)
		atomic_fetch_add_explicit(&stack->handles, 1, memory_order_relaxed);
	return rc;
}

int sock_new_child(struct sock *parent, const struct flow *flow, unsigned queue,
		   struct sock **result)
{
	struct sock *child;
	int rc = make_sock(parent->conn.stack, parent->is_v6, queue, &child);

	if (rc != 0)
		return rc;
	sock_lock(parent);
	struct sock_opts opt = parent->opt;
	struct emit_ip ip = sock_emit_ip(parent);
	uint8_t pmtudisc = parent->pmtudisc;
	uint32_t notsent_lowat = parent->tcb.notsent_lowat;

	sock_unlock(parent);
	opt.nonblock = false;
	child->conn.flow = *flow;
	atomic_store_explicit(&child->v6only, sock_refuses_v4(parent), memory_order_relaxed);
	atomic_store_explicit(&child->min_ttl,
			      atomic_load_explicit(&parent->min_ttl, memory_order_relaxed),
			      memory_order_relaxed);
	sock_lock(child);
	child->opt = opt;
	child->ttl = ip.ttl;
	child->tos = ip.tos;
	child->pmtudisc = pmtudisc;
	child->tcb.notsent_lowat = notsent_lowat;
	sock_unlock(child);
	*result = child;
	return 0;
}

/* ---- References. ---- */

struct sock *sock_get(struct sock *sock)
{
	conn_get(&sock->conn);
	return sock;
}

NO_TSA bool sock_tryget(struct sock *sock)
{
	return conn_tryget(&sock->conn);
}

void sock_put(struct sock **sock)
{
	struct conn *ref = *sock ? &(*sock)->conn : NULL;

	*sock = NULL;
	conn_put(&ref);
}

/* Nobody else knows the socket any more: no locks needed, but the analysis cannot know. */
static NO_TSA void fini_sock(struct sock *s)
{
	struct listener *l = listener_of(s);

	WEFT_ASSERT(!s->is_linked && s->binding.port == 0);
	if (l)
		listener_free(l);
	if (s->tcb.cfg)
		tcp_fini(&s->tcb);
	fastopen_queue_put(&s->fastopen);
	sock_errs_fini(s);
	watchers_drop(&s->watch);
	buf_queue_clear(&s->tcb.trash);
	free(tcp_cc_more(&s->tcb.cc));
	sleepers_fini(&s->readers);
	sleepers_fini(&s->writers);
	mutex_fini(&s->mu);
}

void sock_release(struct sock *s)
{
	struct stack *stack = s->conn.stack;

	fini_sock(s);
	stack_socks_lock(stack);
	list_del(&s->link);
	conn_defer_free(&s->conn, reclaim);
	if (list_empty(&stack->socks))
		cond_broadcast(&stack->socks_gone);
	stack_socks_unlock(stack);
}

struct stack *sock_stack(const struct sock *sock)
{
	return sock->conn.stack;
}

bool sock_is_v6(const struct sock *sock)
{
	return sock->is_v6;
}

/* ---- After the core. ---- */

int sock_take_error(struct sock *s)
{
	int error = s->so_error;

	s->so_error = 0;
	return -error;
}

static void leave_table(struct sock *s, unsigned events, weft_time_us now) REQUIRES(lc_sock)
{
	if (events & TCP_EV_CLOSED) {
		s->is_over = true;
		if (s->tcb.error != 0)
			s->so_error = s->tcb.error;
	}
	if (!s->is_linked)
		return;
	s->is_linked = false;
	if (s->is_orphan)
		atomic_fetch_sub_explicit(&s->conn.stack->orphans, 1, memory_order_relaxed);
	s->is_orphan = false;
	if (events & TCP_EV_CLOSED)
		conn_table_del(s->conn.stack->table, &s->conn);
	else
		time_wait_enter(&s->conn, &s->tcb, now);
}

/* The handshake of a fast open is over, one way or the other. */
static void leave_fastopen(struct sock *s, weft_time_us now) REQUIRES(lc_sock)
{
	fastopen_queue_leave(&s->fastopen, s->tcb.error == ECONNRESET, now);
}

void sock_notify(struct sock *s, unsigned events, weft_time_us now)
{
	if (s->fastopen && s->tcb.state != TCPS_SYN_RCVD)
		leave_fastopen(s, now);
	if (events & TCP_EV_PATH_MTU)
		sock_tell_path(s, now);
	if (events & TCP_EV_R1)
		sock_err_r1(s);
	if (events & (TCP_EV_CLOSED | TCP_EV_TIME_WAIT))
		leave_table(s, events, now);
	if ((events & TCP_EV_CONNECTED) && s->phase == SOCK_CONNECTING)
		s->phase = SOCK_CONNECTED;
	if (events & (TCP_EV_CLOSED | TCP_EV_TIME_WAIT | TCP_EV_CONNECTED))
		sock_wake_all(s);
	else if (events & (TCP_EV_READABLE | TCP_EV_WRITABLE))
		sock_tell_watchers(s, events);
	if (events & TCP_EV_READABLE)
		sock_wake_readers(s);
	if (events & TCP_EV_WRITABLE)
		sock_wake_writers(s);
}

/* Whether the emitter has to come for output or for the end. */
static bool wants_output(const struct sock *s, unsigned events) REQUIRES(lc_sock)
{
	return s->tcb.cfg && (events & (TCP_EV_OUTPUT | TCP_EV_CLOSED | TCP_EV_TIME_WAIT));
}

/* Asks for a visit in time when a deadline moved forward. */
static void promise_timer(struct sock *s) REQUIRES(lc_sock)
{
	weft_time_us deadline = s->tcb.cfg && s->is_linked ? tcp_deadline(&s->tcb) : s->armed;

	if (deadline >= s->armed)
		return;
	s->armed = deadline;
	txq_request_timer(stack_txq(&s->conn), &s->conn, deadline);
}

void sock_events(struct sock *s, unsigned events, weft_time_us now)
{
	sock_notify(s, events, now);
	if (wants_output(s, events))
		txq_request(stack_txq(&s->conn), &s->conn);
	else
		promise_timer(s);
}

bool sock_events_quiet(struct sock *s, unsigned events, weft_time_us now)
{
	sock_notify(s, events, now);
	bool is_needed = wants_output(s, events);

	if (is_needed)
		txq_request_quiet(stack_txq(&s->conn), &s->conn);
	else
		promise_timer(s);
	return is_needed;
}

void sock_send_out(struct sock *s)
{
	struct stack *stack = s->conn.stack;

	if (rx_is_crowded(stack->queue[s->conn.queue].rx))
		txq_kick(stack_txq(&s->conn));
	else
		tx_help(stack, s->conn.queue);
}

void sock_init_tcb(struct sock *s, uint32_t ts_offset)
{
	struct stack *stack = s->conn.stack;
	const struct tcp_params params = {
		.cfg = &stack->cfg.tcp,
		.rcv_buf_size = s->opt.rcvbuf,
		.snd_buf_size = s->opt.sndbuf,
		.rcv_auto = !s->opt.rcvbuf_set,
		.snd_auto = !s->opt.sndbuf_set,
		.rcv_buf_max = stack->cfg.buf_max,
		.ts_offset = ts_offset,
		.mss_local = path_link_mss(stack, &s->conn.flow.remote),
		.mss_path = sock_path_mss(s, stack_now(stack)),
		.is_v6 = !addr_is_v4(&s->conn.flow.local),
	};

	if (s->tcb.cfg)
		tcp_fini(&s->tcb);
	struct buf_queue trash = s->tcb.trash;
	uint32_t notsent_lowat = s->tcb.notsent_lowat; /* stands nowhere else */

	s->tcb.trash = (struct buf_queue){0};
	free(tcp_cc_more(&s->tcb.cc));
	tcp_init(&s->tcb, &params);
	s->tcb.trash = trash;
	s->tcb.notsent_lowat = notsent_lowat;
	s->is_over = false;
	s->rd_shut = false;
}

int sock_set_cc(struct sock *s, unsigned number, weft_time_us now)
{
	const struct tcp_cc_ops *ops = tcp_cc_get(number);
	void *old = tcp_cc_more(&s->tcb.cc);

	if (ops == s->tcb.cc.ops)
		return 0;
	void *more = ops->more_size > 0 ? calloc(1, ops->more_size) : NULL;

	if (!more && ops->more_size > 0)
		return -ENOMEM;
	tcp_set_congestion(&s->tcb, ops, more, now);
	free(old);
	return 0;
}

void sock_apply_opts(struct sock *s, weft_time_us now)
{
	const struct sock_opts *opt = &s->opt;
	unsigned events = 0;

	if (opt->maxseg != 0)
		tcp_set_mss_user(&s->tcb, opt->maxseg);
	tcp_set_nodelay(&s->tcb, opt->nodelay, &events);
	tcp_set_cork(&s->tcb, opt->cork, &events);
	if (opt->quickack == QUICKACK_ON)
		tcp_set_quickack(&s->tcb, true, true, &events);
	tcp_set_window_clamp(&s->tcb, opt->window_clamp, &events);
	s->tcb.oob_inline = opt->oob_inline;
	tcp_set_keep_times(&s->tcb, (weft_time_us)opt->keep_idle_s * US_PER_S,
			   (weft_time_us)opt->keep_intvl_s * US_PER_S, opt->keep_cnt, now);
	tcp_set_keepalive(&s->tcb, opt->keepalive, now);
	tcp_set_linger2(&s->tcb, opt->linger2_s);
	(void)sock_set_cc(s, opt->cc, now); /* without memory for it: the core's default */
	tcp_set_pacing_max(&s->tcb, opt->pacing_max);
	if (opt->user_timeout_ms != 0)
		tcp_set_user_timeout(&s->tcb, time_of_ms(opt->user_timeout_ms), now);
}

/* ---- Endings. ---- */

void sock_abort(struct sock *s, int error)
{
	weft_time_us now = stack_now(s->conn.stack);
	unsigned events = 0;

	sock_lock(s);
	if (s->tcb.cfg)
		tcp_abort(&s->tcb, error, &events);
	sock_events(s, events, now);
	sock_unlock(s);
}

void sock_unbind(struct sock *s)
{
	struct stack *stack = s->conn.stack;
	struct sock *ref = s;

	port_lock(&stack->ports);
	bool was_bound = port_unbind(&stack->ports, &s->binding);

	port_unlock(&stack->ports);
	if (was_bound)
		sock_put(&ref);
}

/* Out of the table, for a listener: no connection's event does it. */
static void unlink_listener(struct sock *s) REQUIRES(lc_sock)
{
	if (s->phase != SOCK_LISTENING || !s->is_linked)
		return;
	s->is_linked = false;
	conn_table_del(s->conn.stack->table, &s->conn);
}

void sock_stop(struct sock *s)
{
	weft_time_us now = stack_now(s->conn.stack);
	unsigned events = 0;

	sock_lock(s);
	s->is_stopped = true;
	unlink_listener(s);
	if (s->tcb.cfg)
		tcp_abort(&s->tcb, ESHUTDOWN, &events);
	sock_events(s, events, now);
	sock_wake_all(s);
	sock_unlock(s);
	struct listener *l = listener_of(s);

	if (l)
		listener_close(l, s->conn.stack, -ESHUTDOWN);
	epset_leave_all(watchers_of(&s->watch), &s->conn);
	sock_unbind(s);
}

/*
 * Nobody will close the connection again: it is counted until it is over.  With too many of them, or
 * with data to send that takes memory while it is short, it is reset instead, as on Linux: a quiet
 * request.
 */
static void become_orphan(struct sock *s, weft_time_us now) REQUIRES(lc_sock)
{
	struct stack *stack = s->conn.stack;
	unsigned events = 0;

	if (!s->is_linked || s->is_orphan)
		return;
	unsigned others = atomic_fetch_add_explicit(&stack->orphans, 1, memory_order_relaxed);

	s->is_orphan = true;
	if (others < stack->cfg.orphans_max &&
	    !(bufpool_is_short(stack->pool) && s->tcb.sndq.bytes > ORPHAN_BYTES_MIN))
		return;
	counter_add(&stack->counters, C_TCP_ORPHAN_OVERFLOW, 1);
	tcp_abort(&s->tcb, 0, &events);
	sock_events_quiet(s, events, now);
}

/* What is left of closing when nobody waits any more, or who does is cancelled. */
static void finish_close(struct sock **closing) EXCLUDES(lc_port, lc_listener, lc_sock)
{
	struct sock *s = *closing;
	struct stack *stack = s->conn.stack;

	sock_lock(s);
	become_orphan(s, stack_now(stack));
	bool has_errs = s->has_errs;

	sock_unlock(s);
	sock_send_out(s);
	if (has_errs)
		zerocopy_settle(s);
	struct listener *l = listener_of(s);

	if (l)
		listener_close(l, stack, -EBADF);
	epset_leave_all(watchers_of(&s->watch), &s->conn);
	sock_unbind(s);
}

int sock_close(struct sock *s)
{
	struct stack *stack = s->conn.stack;
	weft_time_us now = stack_now(stack);
	unsigned events = 0;

	sock_lock(s);
	if (s->is_closed) {
		sock_unlock(s);
		return -EBADF;
	}
	s->is_closed = true;
	atomic_fetch_sub_explicit(&stack->handles, 1, memory_order_relaxed);
	unlink_listener(s);
	if (s->tcb.cfg && s->opt.linger_s == 0)
		tcp_abort(&s->tcb, 0, &events);
	if (s->tcb.cfg)
		tcp_close(&s->tcb, now, &events);
	sock_events_quiet(s, events, now);
	sock_wake_all(s);
	bool lingers = s->tcb.cfg && s->opt.linger_s > 0;
	weft_time_us until = now + s->opt.linger_s * (weft_time_us)US_PER_S;

	sock_unlock(s);
	struct sock *closing CLEANUP(finish_close) = s;

	if (lingers) {
		sock_send_out(closing);
		sock_lock(closing);
		sock_linger(closing, until);
		sock_unlock(closing);
	}
	return 0;
}

static void shut_listener(struct sock *s) EXCLUDES(lc_sock, lc_listener)
{
	sock_lock(s);
	bool is_listening = s->phase == SOCK_LISTENING;

	if (is_listening) {
		unlink_listener(s);
		s->phase = SOCK_IDLE;
		atomic_store_explicit(&s->conn.kind, CONN_SOCK, memory_order_relaxed);
		sock_wake_all(s); /* poll shows POLLHUP from now on */
	}
	sock_unlock(s);
	if (!is_listening)
		return;
	listener_close(listener_of(s), s->conn.stack, 0);
	port_lock(&s->conn.stack->ports);
	s->binding.is_listening = false;
	port_unlock(&s->conn.stack->ports);
}

int sock_shutdown(struct sock *s, int how)
{
	weft_time_us now = stack_now(s->conn.stack);
	bool ends_read = how == SHUT_RD || how == SHUT_RDWR;
	bool ends_write = how == SHUT_WR || how == SHUT_RDWR;
	unsigned events = 0;

	sock_lock(s);
	int rc = sock_gone(s);
	bool is_listening = s->phase == SOCK_LISTENING;

	if (rc == 0 && !is_listening &&
	    (s->phase == SOCK_IDLE || s->is_over || s->tcb.state == TCPS_TIME_WAIT)) {
		rc = -ENOTCONN;
	} else if (rc == 0 && s->phase == SOCK_CONNECTING) {
		tcp_abort(&s->tcb, ECONNRESET, &events); /* as Linux */
	} else if (rc == 0 && !is_listening) {
		s->rd_shut = s->rd_shut || ends_read;
		if (ends_write)
			tcp_shutdown_write(&s->tcb, now, &events);
		sock_wake_all(s);
	}
	sock_events_quiet(s, events, now);
	sock_unlock(s);
	sock_send_out(s);
	if (rc == 0 && is_listening && ends_read)
		shut_listener(s);
	return rc;
}
