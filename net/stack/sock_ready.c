/*
 * What poll says of a TCP socket, as Linux says it (tests/unit/api/poll_test.c has the table), and who
 * hears when that changes.
 *
 * Readable means SO_RCVLOWAT bytes, writable a third of the send buffer free and less unsent than
 * TCP_NOTSENT_LOWAT, urgent data is POLLPRI.  A writer who found too little room, or was told so here, is
 * told when there is enough (wants_room); others hear nothing of every ACK.
 *
 * Who was refused for want of memory is told when the pool has some (wants_mem): at once when the socket's
 * own bytes are acknowledged, else see mem_watch.h.
 */
#include "net/base/mechanism.h"
#include "net/stack/listener.h"
#include "net/stack/mem_watch.h"
#include "net/stack/sock_err.h"
#include <poll.h>

enum {
	READABLE = POLLIN | POLLRDNORM,
	WRITABLE = POLLOUT | POLLWRNORM,
	/* What new data and new room may be waited for by. */
	DATA_KEY = POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND,
	ROOM_KEY = POLLOUT | POLLWRNORM | POLLWRBAND,
};

static bool is_read_end(const struct sock *s) REQUIRES(lc_sock)
{
	return s->rd_shut || s->is_over || s->tcb.fin_rcvd || s->tcb.state == TCPS_TIME_WAIT;
}

static bool is_write_end(const struct sock *s) REQUIRES(lc_sock)
{
	return s->is_over || s->tcb.fin_queued || s->tcb.state == TCPS_TIME_WAIT;
}

static bool has_data(const struct sock *s) REQUIRES(lc_sock)
{
	uint32_t low = MECHANISM(poll_lowat) ? sock_recv_low(s, UINT32_MAX, 0) : 1;

	return sock_ready_bytes(s) >= low;
}

/* What the core is done with goes back to the pool before anybody is told. */
static bool has_memory(const struct sock *s) REQUIRES(lc_sock)
{
	return s->tcb.trash.mem >= SOCK_MEM_LEAST || mem_watch_has_room(s->conn.stack);
}

static bool has_room(const struct sock *s) REQUIRES(lc_sock)
{
	if (tcp_send_room(&s->tcb) == 0 || (!tcp_send_is_roomy(&s->tcb) && MECHANISM(poll_roomy)))
		return false;
	return !s->wants_mem || has_memory(s) || !MECHANISM(poll_memory);
}

/* Of a socket that was connected. */
static unsigned connected_mask(const struct sock *s) REQUIRES(lc_sock)
{
	bool reads_end = is_read_end(s);
	bool writes_end = is_write_end(s);
	unsigned mask = 0;

	if (reads_end && (writes_end || !MECHANISM(poll_hup)))
		mask |= POLLHUP;
	if (reads_end)
		mask |= READABLE | POLLRDHUP;
	if (has_data(s))
		mask |= READABLE;
	if (tcp_has_urgent(&s->tcb) && MECHANISM(poll_urgent))
		mask |= POLLPRI;
	if (writes_end || has_room(s))
		mask |= WRITABLE;
	return mask;
}

/* A handshake that goes on has nothing; one that failed is the end of all, unless shutdown took it back. */
static unsigned connecting_mask(const struct sock *s) REQUIRES(lc_sock)
{
	if (!s->is_over && MECHANISM(poll_connecting))
		return 0;
	if (s->tcb.error == ECONNRESET)
		return WRITABLE | POLLHUP;
	return READABLE | WRITABLE | POLLHUP | POLLRDHUP;
}

static unsigned mask_of(const struct sock *s) REQUIRES(lc_sock)
{
	unsigned mask = s->so_error != 0 || sock_errs_any(s) ? POLLERR : 0;

	switch (s->phase) {
	case SOCK_CONNECTING:
		return mask | connecting_mask(s);
	case SOCK_CONNECTED:
		return mask | connected_mask(s);
	case SOCK_LISTENING:
		return mask;
	case SOCK_DEFERRED: /* the first send connects */
		return mask | WRITABLE;
	case SOCK_IDLE:
	default:
		return mask | WRITABLE | POLLHUP;
	}
}

static void promise_look(struct sock *s) REQUIRES(lc_sock)
{
	weft_time_us next = mem_watch_next(s->conn.stack);

	if (!mem_watch_is_on(&s->watch) || s->armed <= next || !s->is_linked)
		return;
	s->armed = next;
	txq_request_timer(stack_txq(&s->conn), &s->conn, next);
}

/* Somebody heard that there is no room. */
static void want_room(struct sock *s) REQUIRES(lc_sock)
{
	s->wants_room = true;
	if (s->wants_mem)
		promise_look(s);
}

void sock_want_memory(struct sock *s)
{
	s->wants_room = true;
	s->wants_mem = true;
	promise_look(s);
}

weft_time_us sock_look_memory(struct sock *s, weft_time_us now)
{
	if (!s->wants_mem || !mem_watch_is_on(&s->watch))
		return WEFT_TIME_NEVER;
	if (!has_memory(s) || !MECHANISM(memory_look))
		return now + MEM_WATCH_US;
	sock_tell_watchers(s, TCP_EV_WRITABLE);
	s->wants_mem = false;
	return WEFT_TIME_NEVER;
}

unsigned sock_ready(struct sock *s)
{
	sock_lock(s);
	bool is_listening = s->phase == SOCK_LISTENING;
	unsigned mask = sock_gone(s) != 0 ? POLLNVAL : mask_of(s);

	if (!(mask & POLLOUT))
		want_room(s);
	sock_unlock(s);
	if (is_listening && mask != POLLNVAL && listener_has_child(listener_of(s)))
		mask |= READABLE;
	return mask;
}

struct watchers *sock_watchers(struct sock *s)
{
	return watchers_make(&s->watch);
}

void sock_tell_watchers(struct sock *s, unsigned events)
{
	struct watchers *ws = watchers_of(&s->watch);
	uint32_t key = 0;

	if (!ws)
		return;
	if ((events & TCP_EV_READABLE) && is_read_end(s) && MECHANISM(watch_read_end)) {
		watch_notify(ws, WATCH_ANY, &ws->noted);
		return;
	}
	if ((events & TCP_EV_READABLE) &&
	    (has_data(s) || (tcp_has_urgent(&s->tcb) && MECHANISM(watch_urgent))))
		key |= DATA_KEY;
	if ((events & TCP_EV_WRITABLE) && (s->wants_room || !MECHANISM(watch_room_wanted)) &&
	    has_room(s)) {
		s->wants_room = false;
		s->wants_mem = false;
		key |= ROOM_KEY;
	}
	if (key != 0)
		watch_notify(ws, key, &ws->noted);
}

void sock_settle(struct sock *s, struct watchers *ws)
{
	uint32_t mask = mask_of(s);
	uint32_t gone = ws->told & ~mask;

	/* Of a listener the queue says, which is not looked at here (listener_accept). */
	if (s->phase == SOCK_LISTENING)
		return;
	ws->told = mask;
	if (gone == 0)
		return;
	/* An item that leaves a list here is not looked at again: this was its look. */
	if ((gone & POLLOUT) && MECHANISM(settle_wants_room))
		want_room(s);
	watch_settle(ws, mask, &ws->noted);
}

void sock_tell_all_watchers(struct sock *s)
{
	struct watchers *ws = watchers_of(&s->watch);

	if (ws)
		watch_notify(ws, WATCH_ANY, &ws->noted);
}
