/*
 * The emitters, one for each queue of the device.  They share nothing but the loop device, which
 * takes writes of several at a time: a connection belongs to one queue for life.
 *
 * An emitter's role, a lock that is held while requests are served, is one thread's at a time:
 * usually the TX thread's, which sleeps until a request or the first deadline; or that of a thread
 * which made a request and found the role free (tx_help).  A round: take requests, serve each, write
 * the batches.  Deadlines are the TX thread's alone to serve.
 *
 * No request is forgotten (tests/models/txq.pml): a helper that finds the role taken may go, because whoever gives the role
 * back looks at the queue once more afterwards, or wakes the TX thread.
 *
 * Timers are lazy: RX and application threads ask for a visit only when a deadline moved forward of
 * what is armed, and one that need not be soon; one that moved back fires early once and is armed anew.
 *
 * T1: a node in the wheel has a reference on its connection.
 * T2: the node of an armed socket is due at sock->armed, rounded up to the wheel's tick, or before; or
 * the TX queue has promised a visit until then.
 */
#include "net/stack/tx.h"

#include "net/stack/dgram.h"
#include "net/stack/emit.h"
#include "net/stack/half_open.h"
#include "net/stack/mem_watch.h"
#include "net/stack/reply.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include <stdio.h>
#include <stdlib.h>

enum {
	TX_BUDGET = 16, /* segments of a socket before the next one's turn */
	TX_ROUND = 64,  /* requests of a round */
	TX_HELP_ROUNDS =
		2,      /* rounds that a helper does before it leaves the rest to the TX thread */
	TX_DUE = 256,   /* deadlines of a round */
	TX_SPILL = 512, /* nodes that a round moves within the wheel */
};

struct tx {
	/* Immutable while the thread runs. */
	struct stack *stack;
	struct txq *txq;
	unsigned queue; /* its number */
	pthread_t thread;
	struct mutex role; /* lc_emitter */
	/* Emitter only. */
	struct wheel timers;
	weft_time_us told; /* of the first deadline: what the TX queue knows */
	struct tcp_seg_out segs[TX_BUDGET];
	struct emit out;
	struct emit loop;
};

struct tx *tx_new(struct stack *stack, unsigned queue)
{
	struct tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return NULL;
	tx->stack = stack;
	tx->txq = &stack->queue[queue].txq;
	tx->queue = queue;
	mutex_init(&tx->role);
	tx->told = WEFT_TIME_NEVER;
	wheel_init(&tx->timers, stack_now(stack), CONN_TICK_AT);
	emit_init(&tx->out, stack->queue[queue].dev, stack->dev->flags, &stack->counters,
		  &stack->ip_ids);
	emit_init(&tx->loop, stack->loop, stack->loop->flags, &stack->counters, &stack->ip_ids);
	return tx;
}

void tx_free(struct tx *tx)
{
	if (!tx)
		return;
	mutex_fini(&tx->role);
	free(tx);
}

/* ---- The role. ---- */

static void take_role(struct tx *tx) ACQUIRE(lc_emitter) NO_TSA;
static bool try_role(struct tx *tx) TRY_ACQUIRE(true, lc_emitter) NO_TSA;
static void give_role(struct tx *tx) RELEASE(lc_emitter) NO_TSA;

static void take_role(struct tx *tx)
{
	mutex_lock(&tx->role);
}

static bool try_role(struct tx *tx)
{
	return mutex_trylock(&tx->role);
}

static void give_role(struct tx *tx)
{
	mutex_unlock(&tx->role);
}

static struct emit *emit_for(struct tx *tx, const struct addr *dst)
{
	return route_is_local(tx->stack, dst) ? &tx->loop : &tx->out;
}

/* ---- Timers. ---- */

/* When the TX thread will come, if the next deadline is 'deadline': an early timer may stay. */
static weft_time_us arm_key(const struct tx *tx, const struct conn *conn, weft_time_us deadline)
{
	bool may_stay = deadline != WEFT_TIME_NEVER && wheel_has(&conn->timer);

	return may_stay ? time_min(wheel_key(&tx->timers, &conn->timer), deadline) : deadline;
}

static void disarm(struct tx *tx, struct conn *conn)
{
	struct conn *ref = conn;

	wheel_remove(&tx->timers, &conn->timer);
	conn_put(&ref);
}

/* Arms the timer for 'key' (never: not at all).  The caller has a reference of its own. */
static void arm(struct tx *tx, struct conn *conn, weft_time_us key)
{
	if (wheel_has(&conn->timer)) {
		if (key != WEFT_TIME_NEVER &&
		    wheel_key(&tx->timers, &conn->timer) == wheel_round(key))
			return;
		disarm(tx, conn);
	}
	if (key != WEFT_TIME_NEVER)
		wheel_insert(&tx->timers, &conn_get(conn)->timer, key);
}

/* ---- Visits. ---- */

static void pin_views(const struct tcp_seg_out *seg)
{
	for (unsigned i = 0; i < seg->view_count; i++)
		buf_get(seg->view[i].buf);
}

/* Collects up to TX_BUDGET segments with pinned views; returns how many. */
static unsigned collect(struct tx *tx, struct sock *s, weft_time_us now) REQUIRES(lc_sock)
{
	unsigned count = 0;

	while (count < TX_BUDGET && tcp_output(&s->tcb, now, &tx->segs[count]))
		pin_views(&tx->segs[count++]);
	return count;
}

static void visit_sock(struct tx *tx, struct sock *s)
{
	weft_time_us now = stack_now(tx->stack);
	unsigned events = 0;
	unsigned count = 0;
	weft_time_us deadline = WEFT_TIME_NEVER;

	sock_lock(s);
	if (s->tcb.cfg) {
		if (s->is_linked && tcp_deadline(&s->tcb) <= now)
			tcp_tick(&s->tcb, now, &events);
		if (s->is_linked)
			sock_follow_path(s, &events, now);
		count = collect(tx, s, now);
		if (count > 0 && s->tcb.notsent_lowat != 0)
			events |= TCP_EV_WRITABLE; /* less waits to be sent */
		sock_notify(s, events, now);
		if (s->is_linked)
			deadline = time_min(tcp_deadline(&s->tcb), sock_look_memory(s, now));
	}
	s->armed = arm_key(tx, &s->conn, deadline);
	deadline = s->armed;
	struct flow flow = s->conn.flow;
	struct emit_ip ip = sock_emit_ip(s);

	sock_unlock(s);
	if (count > 0 && tx->segs[0].opt.has_fo)
		fastopen_fill(tx->stack, &flow, &tx->segs[0], now);
	if (count > 0) {
		struct emit *emit = emit_for(tx, &flow.remote);

		for (unsigned i = 0; i < count; i++)
			emit_tcp(emit, &flow, &ip, &tx->segs[i]);
	}
	arm(tx, &s->conn, deadline);
	if (count == TX_BUDGET)
		txq_request(tx->txq, &s->conn);
}

static void visit_half_open(struct tx *tx, struct half_open *h)
{
	struct conn *conn = &h->conn;
	struct sock *listener = conn->listener;
	bool has_out;
	weft_time_us deadline = half_open_visit(h, stack_now(tx->stack), &tx->segs[0], &has_out);

	if (has_out) {
		sock_lock(listener);
		struct emit_ip ip = sock_emit_ip(listener);

		sock_unlock(listener);
		if (tx->segs[0].opt.has_fo)
			fastopen_fill(tx->stack, &conn->flow, &tx->segs[0], stack_now(tx->stack));
		emit_tcp(emit_for(tx, &conn->flow.remote), &conn->flow, &ip, &tx->segs[0]);
	}
	arm(tx, conn, arm_key(tx, conn, deadline));
}

static void visit_time_wait(struct tx *tx, struct time_wait *tw)
{
	weft_time_us deadline = time_wait_visit(tw, stack_now(tx->stack));

	arm(tx, &tw->conn, arm_key(tx, &tw->conn, deadline));
}

static void visit_dgram(struct tx *tx, struct dgram *d)
{
	struct buf_queue packets = {0};
	bool looks;
	bool is_more = dgram_take_out(d, EMIT_PKTS, &packets, &looks);
	struct buf *b;

	while ((b = buf_queue_pop(&packets))) {
		struct dgram_note note = dgram_note_of(b);

		emit_dgram(note.is_local ? &tx->loop : &tx->out, &b, &note);
	}
	if (is_more)
		txq_request(tx->txq, &d->conn);
	if (looks)
		arm(tx, &d->conn, mem_watch_next(tx->stack));
}

/* The caller has a reference. */
static void visit(struct tx *tx, struct conn *conn)
{
	switch (conn_kind(conn)) {
	case CONN_SOCK:
	case CONN_LISTENER:
		visit_sock(tx, sock_of(conn));
		break;
	case CONN_HALF_OPEN:
		visit_half_open(tx, half_open_of(conn));
		break;
	case CONN_TIME_WAIT:
		visit_time_wait(tx, time_wait_of(conn));
		break;
	case CONN_DGRAM:
		visit_dgram(tx, dgram_of(conn));
		break;
	case CONN_EPSET: /* never queued */
	case CONN_KIND_COUNT:
	default:
		WEFT_ASSERT(conn_kind(conn) < CONN_KIND_COUNT);
	}
}

static void send_reply(struct tx *tx, struct reply *reply)
{
	if (reply->packet) {
		emit_packet(emit_for(tx, &reply->dst), &reply->packet);
	} else {
		reply_get(reply, &tx->segs[0]);
		emit_tcp(emit_for(tx, &reply->flow.remote), &reply->flow, &emit_ip_default,
			 &tx->segs[0]);
	}
	reply_free(reply);
}

static void serve_requests(struct tx *tx, struct txq_node *list)
{
	while (list) {
		struct txq_node *node = list;

		/* Served nodes may be queued again at once: 'next' is read before. */
		list = txq_node_next(node);
		if (txq_node_kind(node) == TXQ_REPLY) {
			send_reply(tx, reply_of(node));
			continue;
		}
		struct conn *conn = CONTAINER_OF(node, struct conn, txq);

		WEFT_ASSERT(conn->queue == tx->queue);
		txq_serve(conn);
		visit(tx, conn);
		conn_put(&conn);
	}
}

static void serve_deadlines(struct tx *tx)
{
	struct stack *stack = tx->stack;

	if (tx->queue == 0 &&
	    atomic_load_explicit(&stack->frags.due, memory_order_relaxed) != WEFT_TIME_NEVER &&
	    frags_is_due(&stack->frags, stack_now(stack)))
		frags_expire(stack, stack_now(stack));
	if (wheel_next(&tx->timers) == WEFT_TIME_NEVER)
		return;
	weft_time_us now = stack_now(tx->stack);
	unsigned work = TX_SPILL;

	/* What is left is due at once: requests get their turn in between. */
	for (unsigned i = 0; i < TX_DUE; i++) {
		struct wheel_node *node = wheel_pop(&tx->timers, now, &work);

		if (!node)
			return;
		/* The timer's reference goes on as the visit's. */
		struct conn *conn = CONTAINER_OF(node, struct conn, timer);

		visit(tx, conn);
		conn_put(&conn);
	}
}

static void drop_timers(struct tx *tx)
{
	struct wheel_node *node;

	while ((node = wheel_any(&tx->timers))) {
		struct conn *conn = CONTAINER_OF(node, struct conn, timer);

		conn_put(&conn);
	}
}

/* One round's requests, written out. */
static void serve(struct tx *tx) REQUIRES(lc_emitter)
{
	serve_requests(tx, txq_take(tx->txq, TX_ROUND));
	emit_flush(&tx->loop);
	emit_flush(&tx->out);
	weft_time_us next = wheel_next(&tx->timers);

	if (next != tx->told)
		txq_set_deadline(tx->txq, next);
	tx->told = next;
}

void tx_help(struct stack *stack, unsigned queue)
{
	struct tx *tx = stack->queue[queue].tx;
	struct txq *q = tx->txq;

	for (unsigned i = 0; i < TX_HELP_ROUNDS && !stack->cfg.plain_threads; i++) {
		if (!txq_pending(q) || !try_role(tx))
			return;
		/* A device's write may be a cancellation point. */
		int cancel = thread_cancel_off();

		serve(tx);
		give_role(tx);
		thread_cancel_restore(cancel);
		counter_add(&stack->counters, C_TX_HELPED, 1);
	}
	txq_kick(q);
}

static void *tx_main(void *arg)
{
	struct tx *tx = arg;

	while (txq_wait(tx->txq)) {
		take_role(tx);
		serve_deadlines(tx);
		serve(tx);
		give_role(tx);
	}
	take_role(tx);
	drop_timers(tx);
	give_role(tx);
	return NULL;
}

int tx_start(struct tx *tx)
{
	char name[16];

	(void)snprintf(name, sizeof(name), "weft-tx-%u", tx->queue);
	return thread_start(&tx->thread, name, tx_main, tx);
}

void tx_join(struct tx *tx)
{
	thread_join(tx->thread);
}
