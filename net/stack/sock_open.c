/*
 * bind, listen, connect, accept, and a socket's names.  Application threads.
 *
 * Whatever needs a port takes lc_port first and the socket's lock under it, so that choosing the
 * port and publishing the connection is one step.
 */
#include "net/base/mechanism.h"
#include "net/stack/listener.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include <errno.h>

/* ---- bind ---- */

/* Where the socket is bound; port_bind has written it under both locks, and nobody else does. */
static const struct addr *bound_addr(const struct sock *s) REQUIRES(lc_sock) NO_TSA;

static const struct addr *bound_addr(const struct sock *s)
{
	return &s->binding.addr;
}

/* Binds under both locks; the binding takes a reference. */
static int bind_locked(struct sock *s, const struct sock_addr *addr) REQUIRES(lc_port, lc_sock)
{
	const struct port_binding want = {
		.addr = addr->addr,
		.reuse = s->opt.reuseaddr,
		.reuseport = s->opt.reuseport,
		.v6only = sock_refuses_v4(s),
	};
	int rc = sock_gone(s);

	if (rc == 0 && (s->bound_port != 0 || s->phase != SOCK_IDLE))
		rc = -EINVAL;
	if (rc == 0)
		rc = port_bind(s->conn.stack, &s->binding, &want, addr->port);
	if (rc != 0)
		return rc;
	s->bound_port = s->binding.port;
	sock_get(s);
	return 0;
}

int sock_bind(struct sock *s, const struct sock_addr *addr)
{
	struct stack *stack = s->conn.stack;

	if (!s->is_v6 && !addr_is_v4(&addr->addr))
		return -EAFNOSUPPORT;
	if (addr_is_v4(&addr->addr) && sock_refuses_v4(s))
		return -EINVAL;
	if (!route_may_bind(stack, &addr->addr))
		return -EADDRNOTAVAIL;
	port_lock(&stack->ports);
	sock_lock(s);
	int rc = bind_locked(s, addr);

	sock_unlock(s);
	port_unlock(&stack->ports);
	return rc;
}

/* ---- listen ---- */

/* Makes the listener once. */
static int ensure_listener(struct sock *s)
{
	struct listener *expected = NULL;
	struct listener *l;

	if (listener_of(s))
		return 0;
	l = listener_new(s->conn.stack);
	if (!l)
		return -ENOMEM;
	if (!atomic_compare_exchange_strong_explicit(&s->listener, &expected, l,
						     memory_order_acq_rel, memory_order_acquire))
		listener_free(l);
	return 0;
}

/* A node that left the table may still be passed by readers: they must be gone before it returns. */
static void wait_for_readers(struct sock *s) EXCLUDES(lc_sock)
{
	sock_lock(s);
	bool must_wait = s->was_linked && !s->is_linked;

	sock_unlock(s);
	if (!must_wait)
		return;
	rcu_wait_grace();
	sock_lock(s);
	if (!s->is_linked)
		s->was_linked = false;
	sock_unlock(s);
}

/* As Linux: that ACKs were to wait is forgotten. */
static void forget_quickack(struct sock *s) REQUIRES(lc_sock)
{
	if (s->opt.quickack == QUICKACK_OFF)
		s->opt.quickack = QUICKACK_DEFAULT;
}

/* Publishes the listener under both locks. */
static int listen_locked(struct sock *s) REQUIRES(lc_port, lc_sock)
{
	struct stack *stack = s->conn.stack;
	struct sock_addr any = {.addr = addr_any(s->is_v6)};
	int rc = 0;

	if (stack_dev_is_gone(stack) && MECHANISM(dev_gone_listen))
		return -ENODEV;
	if (s->bound_port == 0)
		rc = bind_locked(s, &any);
	if (rc == 0)
		rc = port_listen(&stack->ports, &s->binding);
	if (rc != 0)
		return rc;
	s->conn.flow = (struct flow){.local = *bound_addr(s), .local_port = s->bound_port};
	atomic_store_explicit(&s->conn.kind, CONN_LISTENER, memory_order_relaxed);
	listener_set_defer(listener_of(s), s->opt.defer_accept);
	rc = s->binding.reuseport ? conn_table_add_beside(stack->table, &s->conn)
				  : conn_table_add(stack->table, &s->conn);
	if (rc != 0) {
		atomic_store_explicit(&s->conn.kind, CONN_SOCK, memory_order_relaxed);
		s->binding.is_listening = false;
		return rc;
	}
	s->is_linked = true;
	s->was_linked = true;
	s->phase = SOCK_LISTENING;
	forget_quickack(s);
	return 0;
}

int sock_listen(struct sock *s, int backlog)
{
	struct stack *stack = s->conn.stack;
	int rc = ensure_listener(s);

	if (rc != 0)
		return rc;
	wait_for_readers(s);
	port_lock(&stack->ports);
	sock_lock(s);
	rc = sock_gone(s);
	if (rc == 0 && s->phase != SOCK_LISTENING) {
		bool is_idle = s->phase == SOCK_IDLE && !s->was_linked;

		rc = is_idle ? listen_locked(s) : -EINVAL;
	}
	sock_unlock(s);
	port_unlock(&stack->ports);
	/* A close in between has closed the listener for good: then this does nothing. */
	if (rc == 0)
		listener_open(listener_of(s),
			      backlog < 0 ? LISTENER_BACKLOG_MAX : (unsigned)backlog);
	return rc;
}

/* ---- accept ---- */

int sock_accept(struct sock *s, bool nonblock, struct sock **child)
{
	if (!listener_of(s))
		return -EINVAL;
	sock_lock(s);
	weft_time_us timeout = sock_unpack_timeout(s->opt.rcvtimeo);

	nonblock = nonblock || s->opt.nonblock;
	sock_unlock(s);
	int rc = listener_accept(s, nonblock ? -1 : sock_deadline(s, timeout), child);

	if (rc == 0)
		atomic_fetch_add_explicit(&s->conn.stack->handles, 1, memory_order_relaxed);
	return rc;
}

void sock_unaccept(struct sock *s, struct sock **child)
{
	atomic_fetch_sub_explicit(&s->conn.stack->handles, 1, memory_order_relaxed);
	if (listener_unaccept(s, *child)) {
		*child = NULL;
		return;
	}
	sock_abort(*child, ECONNABORTED);
	sock_put(child);
}

/* ---- connect ---- */

/* The flow of a connection to 'peer' from where the socket is bound; the port may be 0. */
static int make_flow(struct sock *s, const struct sock_addr *peer, struct flow *flow)
	REQUIRES(lc_sock)
{
	struct addr target = route_target(&peer->addr);
	struct addr source;
	int rc;

	if (!s->is_v6 && !addr_is_v4(&target))
		return -EAFNOSUPPORT;
	if (addr_is_v4(&target) && sock_refuses_v4(s))
		return -ENETUNREACH;
	rc = route_source(s->conn.stack, &target, &source);
	if (rc == -EACCES)
		rc = -ENETUNREACH; /* a broadcast: what Linux says of a stream */
	if (rc != 0)
		return rc;
	if (s->bound_port != 0 && !addr_is_any(bound_addr(s))) {
		if (addr_is_v4(bound_addr(s)) != addr_is_v4(&target))
			return -EINVAL;
		if (addr_is_loopback(bound_addr(s)) && !route_is_local(s->conn.stack, &target))
			return -EINVAL; /* 127/8 and ::1 never leave (RFC 1122 3.2.1.3) */
		source = *bound_addr(s);
	}
	*flow = (struct flow){.local = source,
			      .remote = target,
			      .local_port = s->bound_port,
			      .remote_port = peer->port};
	return peer->port == 0 ? -ECONNREFUSED : 0;
}

/* The open is a fast one (RFC 7413): data rides on the SYN, or a cookie is asked for. */
static void begin_fastopen(struct sock *s, struct sock_fast *fast, weft_time_us now,
			   unsigned *events) REQUIRES(lc_sock)
{
	struct buf_queue q = {0};
	uint16_t mss;
	enum fastopen_advice advice = fastopen_advise(s->conn.stack, &s->conn.flow, now, &mss);

	if (advice == FASTOPEN_REFRAIN)
		return;
	tcp_fast_open(&s->tcb, advice == FASTOPEN_USE, mss);
	uint32_t room = tcp_fast_open_room(&s->tcb);

	if (room > tcp_send_room(&s->tcb))
		room = tcp_send_room(&s->tcb);
	if (advice != FASTOPEN_USE || !fast || !fast->data || room == 0)
		return;
	if (fast->data->len > room)
		fast->data->len = room;
	fast->sent = fast->data->len;
	buf_queue_push(&q, fast->data);
	fast->data = NULL;
	tcp_send(&s->tcb, &q, events);
}

/* Begins an active open under both locks. */
static int begin_connect(struct sock *s, const struct sock_addr *peer, struct sock_fast *fast)
	REQUIRES(lc_port, lc_sock)
{
	struct stack *stack = s->conn.stack;
	weft_time_us now = stack_now(stack);
	unsigned events = 0;
	uint32_t iss;
	struct flow flow;
	int rc = make_flow(s, peer, &flow);

	if (rc != 0)
		return rc;
	if (stack_dev_is_gone(stack) && !route_is_local(stack, &flow.remote) &&
	    MECHANISM(dev_gone_connect))
		return -ENODEV;
	s->conn.flow = flow;
	/* Published before the tcb is ready: who finds it waits for the lock held here. */
	rc = port_connect(stack, &s->conn, now, &iss);
	if (rc == -ENOBUFS)
		drop_count(&stack->counters, DROP_CONN_LIMIT);
	if (rc != 0)
		return rc;
	s->is_linked = true;
	s->was_linked = true;
	s->so_error = 0;
	s->phase = SOCK_CONNECTING;
	forget_quickack(s);
	sock_init_tcb(s, stack_ts_offset(s->conn.stack, &s->conn.flow));
	sock_apply_opts(s, now);
	tcp_open_active(&s->tcb, iss, now, &events);
	if (s->opt.syn_cnt != 0)
		tcp_set_syn_count(&s->tcb, s->opt.syn_cnt, now);
	if (fast || (s->opt.fastopen_connect && fastopen_is_client(stack)))
		begin_fastopen(s, fast, now, &events);
	sock_events_quiet(s, events, now);
	return 0;
}

/* What connect has to say when the handshake needs no more waiting. */
static int connect_result(struct sock *s) REQUIRES(lc_sock)
{
	int rc = sock_gone(s);

	if (rc != 0 || s->phase == SOCK_CONNECTED)
		return rc;
	/* Failed: the socket may try again. */
	rc = sock_take_error(s);
	if (s->phase == SOCK_CONNECTING)
		s->phase = SOCK_IDLE;
	return rc != 0 ? rc : -ECONNABORTED;
}

static int wait_connected(struct sock *s) REQUIRES(lc_sock)
{
	weft_time_us deadline = sock_deadline(s, sock_unpack_timeout(s->opt.sndtimeo));
	bool in_time = true;

	while (in_time && sock_gone(s) == 0 && s->phase == SOCK_CONNECTING && !s->is_over)
		in_time = sock_wait_writable(s, 0, deadline);
	if (sock_gone(s) == 0 && s->phase == SOCK_CONNECTING && !s->is_over)
		return -EINPROGRESS;
	return connect_result(s);
}

/* A connect that finds one begun before; 0 when there is none. */
static int check_phase(struct sock *s, bool nonblock) REQUIRES(lc_sock)
{
	int rc = sock_gone(s);

	if (rc != 0)
		return rc;
	switch (s->phase) {
	case SOCK_IDLE:
		return 0;
	case SOCK_CONNECTING:
		if (s->is_over)
			return connect_result(s);
		rc = nonblock ? -EINPROGRESS : wait_connected(s);
		return rc == -EINPROGRESS ? -EALREADY : rc;
	case SOCK_CONNECTED:
	case SOCK_LISTENING:
	case SOCK_DEFERRED:
	default:
		return -EISCONN;
	}
}

/*
 * TCP_FASTOPEN_CONNECT with a cookie at hand: the first send will connect.  False: connect now.  An error
 * is told at once.
 */
static bool defer_connect(struct sock *s, const struct sock_addr *peer, int *rc) REQUIRES(lc_sock)
{
	struct stack *stack = s->conn.stack;
	struct flow flow;
	uint16_t mss;

	if (!s->opt.fastopen_connect || !fastopen_is_client(stack))
		return false;
	*rc = make_flow(s, peer, &flow);
	if (*rc != 0)
		return true;
	if (fastopen_advise(stack, &flow, stack_now(stack), &mss) != FASTOPEN_USE)
		return false;
	s->conn.flow = flow;
	s->phase = SOCK_DEFERRED;
	return true;
}

int sock_connect(struct sock *s, const struct sock_addr *peer, bool nonblock)
{
	return sock_connect_fast(s, peer, nonblock, NULL);
}

int sock_connect_fast(struct sock *s, const struct sock_addr *peer, bool nonblock,
		      struct sock_fast *fast)
{
	struct stack *stack = s->conn.stack;

	sock_lock(s);
	if (fast && s->phase == SOCK_DEFERRED)
		s->phase = SOCK_IDLE;
	bool is_begun = s->phase != SOCK_IDLE;
	int rc = check_phase(s, nonblock);

	sock_unlock(s);
	if (rc != 0 || is_begun)
		return rc;
	wait_for_readers(s);
	port_lock(&stack->ports);
	sock_lock(s);
	rc = sock_gone(s);
	if (rc == 0 && (s->phase != SOCK_IDLE || s->was_linked))
		rc = -EALREADY; /* another thread was faster */
	bool is_deferred = rc == 0 && !fast && defer_connect(s, peer, &rc);

	if (rc == 0 && !is_deferred)
		rc = begin_connect(s, peer, fast);
	sock_unlock(s);
	port_unlock(&stack->ports);
	if (rc != 0 || is_deferred)
		return rc;
	sock_send_out(s);
	if (nonblock)
		return -EINPROGRESS;
	sock_lock(s);
	rc = wait_connected(s);
	sock_unlock(s);
	return rc;
}

/* ---- Names. ---- */

int sock_getname(struct sock *s, struct sock_addr *addr)
{
	sock_lock(s);
	int rc = sock_gone(s);

	if (s->phase == SOCK_CONNECTING || s->phase == SOCK_CONNECTED) {
		addr->addr = s->conn.flow.local;
		addr->port = s->conn.flow.local_port;
	} else if (s->bound_port != 0) {
		addr->addr = *bound_addr(s);
		addr->port = s->bound_port;
	} else {
		addr->addr = addr_any(s->is_v6);
		addr->port = 0;
	}
	sock_unlock(s);
	return rc;
}

int sock_getpeer(struct sock *s, struct sock_addr *addr)
{
	sock_lock(s);
	int rc = sock_gone(s);

	/* As Linux: a connection that ended has no peer any more. */
	if (rc == 0 && (s->phase != SOCK_CONNECTED || s->is_over || s->tcb.state == TCPS_TIME_WAIT))
		rc = -ENOTCONN;
	if (rc == 0) {
		addr->addr = s->conn.flow.remote;
		addr->port = s->conn.flow.remote_port;
	}
	sock_unlock(s);
	return rc;
}
