/* Whole stacks for scenarios, and calls on threads of their own; see world.h. */
#include "world.h"

#include "net/base/check.h"
#include "net/stack/epset.h"
#include "net/stack/poller.h"
#include "net/stack/proto.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack.h"
#include "sched.h"
#include "unit/stack/rig.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 7, BUF = 8192 };

static uint8_t bytes[1 << 16];

static void make_stacks(struct world *w, enum world_kind kind)
{
	struct rig_config config = rig_config_default();
	struct weft_dev *ends[2];

	config.stack.clock = world_clock;
	config.stack.lead = kind == WORLD_LED;
	config.stack.rcvbuf = BUF;
	config.stack.sndbuf = BUF;
	config.stack.buf_max = BUF;
	config.stack.buf_bytes_max = 1u << 20;
	SCHED_CHECK(weft_dev_pair(ends, config.mtu, 0, 1024) == 0);
	w->a = rig_stack(&config, ends[0], "10.0.0.1", "fd00::1");
	if (kind == WORLD_LOOP) {
		ends[1]->close(ends[1]);
		w->b = w->a;
	} else {
		w->b = rig_stack(&config, ends[1], "10.0.0.2", "fd00::2");
	}
}

static struct sock_addr address_of(const struct world *w)
{
	return rig_at(w->a == w->b ? "127.0.0.1" : "10.0.0.2", PORT);
}

static struct sock_addr peer; /* whom start_connect connects to */

struct sock *world_sock(struct world *w)
{
	struct sock *s;

	SCHED_CHECK(sock_new(w->a, false, &s) == 0);
	return s;
}

void world_open(struct world *w, enum world_kind kind)
{
	make_stacks(w, kind);
	peer = address_of(w);
	SCHED_CHECK(sock_new(w->b, false, &w->listener) == 0);
	SCHED_CHECK(sock_bind(w->listener, &peer) == 0);
	SCHED_CHECK(sock_listen(w->listener, 4) == 0);
	w->client = world_sock(w);
	SCHED_CHECK(sock_connect(w->client, &peer, false) == 0);
	SCHED_CHECK(sock_accept(w->listener, false, &w->server) == 0);
	sched_settle();
}

void world_drop(struct sock **s)
{
	if (!*s)
		return;
	(void)sock_close(*s);
	sock_put(s);
}

void world_close(struct world *w)
{
	world_drop(&w->client);
	world_drop(&w->server);
	world_drop(&w->listener);
	stack_free(w->a);
	if (w->b != w->a)
		stack_free(w->b);
}

/* ---- Calls. ---- */

static void start(struct call *call, struct sock *s, const char *name, void *(*run)(void *))
{
	call->s = s;
	call->result = UNDONE;
	call->task = sched_spawn(name, run, call);
}

static void *run_recv(void *arg)
{
	struct call *c = arg;
	struct iovec iov = {NULL, c->size};

	/* The bytes do not matter here. */
	c->result = sock_recv(c->s, &iov, 1, c->flags | MSG_TRUNC);
	return NULL;
}

void start_recv(struct call *call, struct sock *s, size_t size, int flags)
{
	*call = (struct call){.size = size, .flags = flags};
	start(call, s, "recv", run_recv);
}

static void *run_send(void *arg)
{
	struct call *c = arg;
	struct iovec iov = {bytes, c->size};

	c->result = sock_send(c->s, &iov, 1, c->flags);
	return NULL;
}

void start_send(struct call *call, struct sock *s, size_t size)
{
	*call = (struct call){.size = size};
	start(call, s, "send", run_send);
}

static void *run_accept(void *arg)
{
	struct call *c = arg;

	c->result = sock_accept(c->s, false, &c->child);
	return NULL;
}

void start_accept(struct call *call, struct sock *listener)
{
	*call = (struct call){0};
	start(call, listener, "accept", run_accept);
}

static void *run_connect(void *arg)
{
	struct call *c = arg;

	c->result = sock_connect(c->s, &peer, false);
	return NULL;
}

void start_connect(struct call *call, struct sock *s)
{
	*call = (struct call){0};
	start(call, s, "connect", run_connect);
}

static void *run_poll(void *arg)
{
	struct call *c = arg;
	struct poller_entry entry = {.conn = c->conn, .events = (uint32_t)c->flags};

	c->result = poller_wait(&entry, 1, (weft_time_us)c->size, NULL);
	if (c->result == 1)
		c->flags = (int)entry.found;
	return NULL;
}

void start_poll(struct call *call, struct sock *s, unsigned events, weft_time_us timeout)
{
	start_poll_conn(call, &s->conn, events, timeout);
}

void start_poll_conn(struct call *call, struct conn *conn, unsigned events, weft_time_us timeout)
{
	*call = (struct call){
		.conn = conn, .flags = (int)(events | POLLERR | POLLHUP), .size = (size_t)timeout};
	start(call, NULL, "poll", run_poll);
}

static void *run_epoll(void *arg)
{
	struct call *c = arg;
	struct epoll_event event;

	c->result = epset_wait(c->conn, &event, 1, WEFT_TIME_NEVER);
	if (c->result == 1)
		c->flags = (int)event.events;
	return NULL;
}

void start_epoll(struct call *call, struct conn *set)
{
	*call = (struct call){.conn = set};
	start(call, NULL, "epoll_wait", run_epoll);
}

static void *run_close(void *arg)
{
	struct call *c = arg;

	c->result = sock_close(c->s);
	return NULL;
}

void start_close(struct call *call, struct sock *s)
{
	*call = (struct call){0};
	start(call, s, "close", run_close);
}

static void *run_shutdown(void *arg)
{
	struct call *c = arg;

	c->result = sock_shutdown(c->s, c->flags);
	return NULL;
}

void start_shutdown(struct call *call, struct sock *s, int how)
{
	*call = (struct call){.flags = how};
	start(call, s, "shutdown", run_shutdown);
}

static void *run_cancel(void *arg)
{
	struct call *c = arg;

	sched_cancel((unsigned)c->flags);
	c->result = 0;
	return NULL;
}

void start_cancel(struct call *call, struct call *whom)
{
	*call = (struct call){.flags = (int)whom->task};
	start(call, NULL, "cancel", run_cancel);
}

void finish(struct call *call)
{
	sched_join(call->task);
	SCHED_CHECK(call->result != UNDONE || sched_was_cancelled(call->task));
}

void finish_all(struct call *calls, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		finish(&calls[i]);
}

/* ---- Epoll sets. ---- */

struct conn *world_set(struct world *w, struct sock *s, uint32_t events)
{
	struct epoll_event event = {.events = events};
	struct conn *set;

	SCHED_CHECK(epset_new(w->b, &set) == 0);
	SCHED_CHECK(epset_ctl(set, EPOLL_CTL_ADD, 5, &s->conn, &event) == 0);
	return set;
}

void world_put_set(struct conn **set)
{
	proto_put(set);
}

/* ---- Whatever a handle names. ---- */

void world_drop_conn(struct conn **conn)
{
	(void)proto_of(*conn)->close(*conn);
	proto_put(conn);
}

static void *run_close_conn(void *arg)
{
	struct call *c = arg;

	c->result = proto_of(c->conn)->close(c->conn);
	return NULL;
}

void start_close_conn(struct call *call, struct conn *conn)
{
	*call = (struct call){.conn = conn};
	start(call, NULL, "close", run_close_conn);
}

void world_set_opt(struct conn *conn, enum sock_opt opt, int64_t value)
{
	SCHED_CHECK(proto_of(conn)->setopt(conn, opt, value) == 0);
}

/* ---- Datagrams. ---- */

struct conn *world_dgram(struct stack *stack, bool is_bound)
{
	struct sock_addr at = rig_at("0.0.0.0", PORT);
	struct conn *conn;

	SCHED_CHECK(proto_new_dgram(stack, &proto_udp, false, &conn) == 0);
	SCHED_CHECK(!is_bound || proto_of(conn)->bind(conn, &at) == 0);
	return conn;
}

void world_aim(struct world *w, struct conn *conn)
{
	struct sock_addr at = address_of(w);

	SCHED_CHECK(proto_of(conn)->connect(conn, &at, false) == 0);
}

static void *run_msg_recv(void *arg)
{
	struct call *c = arg;
	struct iovec iov = {NULL, 0};
	struct sock_msg msg = {.iov = &iov, .count = 1, .flags = MSG_TRUNC};

	c->result = proto_of(c->conn)->recv(c->conn, &msg);
	return NULL;
}

void start_msg_recv(struct call *call, struct conn *conn)
{
	*call = (struct call){.conn = conn};
	start(call, NULL, "recv", run_msg_recv);
}

static void *run_msg_send(void *arg)
{
	struct call *c = arg;
	struct iovec iov = {bytes, c->size};
	const struct sock_msg msg = {.iov = &iov, .count = 1};

	c->result = proto_of(c->conn)->send(c->conn, &msg);
	return NULL;
}

void start_msg_send(struct call *call, struct conn *conn, size_t size)
{
	*call = (struct call){.conn = conn, .size = size};
	start(call, NULL, "send", run_msg_send);
}
