/*
 * Sleeping for a socket and waking who does.  Application threads sleep, on the socket's condition
 * variables or as leaders of its device (rx_lead.c); whoever changes the socket wakes.
 */
#include "net/base/buf.h"
#include "net/base/gate.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"

weft_time_us sock_deadline(struct sock *s, weft_time_us timeout)
{
	return timeout == 0 ? WEFT_TIME_NEVER : stack_now(s->conn.stack) + timeout;
}

/* Where the socket's packets come, as a rule, and its leader sits: its queue. */
static struct rx *rx_of(const struct sock *s)
{
	return s->conn.stack->queue[s->conn.queue].rx;
}

/* Whether its packets come from the stack itself. */
static bool is_local(const struct sock *s) REQUIRES(lc_sock)
{
	return route_is_local(s->conn.stack, &s->conn.flow.remote);
}

/*
 * Waits for packets in the RX thread's place and reads a batch.  The lock is given up meanwhile:
 * the caller looks again at what it waits for.  False when 'deadline' has passed.
 */
static NO_TSA bool lead(struct sock *s, struct rx *rx, weft_time_us deadline)
{
	s->lead = LEAD_ASLEEP;
	sock_unlock(s);
	bool has_packets = rx_lead_wait(rx, deadline);
	bool is_left = false;

	sock_lock(s);
	if (s->lead == LEAD_ASLEEP)
		s->lead = LEAD_AWAKE;
	if (has_packets) {
		sock_unlock(s);
		is_left = rx_lead_turn(rx);
		sock_lock(s);
	}
	bool is_hit = s->lead == LEAD_HIT;

	s->lead = LEAD_NONE;
	rx_leave_seat(rx, s, is_hit, is_left);
	return deadline == WEFT_TIME_NEVER || stack_now(s->conn.stack) < deadline;
}

/* Sleeps on 'cond', or leads if nobody does. */
static bool wait_or_lead(struct sock *s, struct cond *cond, unsigned *sleepers,
			 weft_time_us deadline) REQUIRES(lc_sock)
{
	struct rx *rx = rx_of(s);

	if (!is_local(s) && rx_take_seat(rx, s))
		return lead(s, rx, deadline);
	++*sleepers;
	bool in_time = stack_wait(s->conn.stack, cond, &s->mu, deadline);

	--*sleepers;
	return in_time;
}

bool sock_wait_readable(struct sock *s, uint32_t need, weft_time_us deadline)
{
	if (need < s->read_need)
		s->read_need = need;
	return wait_or_lead(s, &s->readable, &s->readers, deadline);
}

bool sock_wait_writable(struct sock *s, uint32_t need, weft_time_us deadline)
{
	if (need < s->write_need)
		s->write_need = need;
	return wait_or_lead(s, &s->writable, &s->writers, deadline);
}

void sock_wake_readers(struct sock *s)
{
	s->read_need = UINT32_MAX; /* who goes on waiting says it again */
	if (s->readers > 0) {
		counter_add(&s->conn.stack->counters, C_READER_WAKES, 1);
		cond_broadcast(&s->readable);
		rx_count_woken(rx_of(s));
	}
	rx_lead_hit(rx_of(s), &s->lead);
}

void sock_data_came(struct sock *s)
{
	bool is_end = s->rd_shut || s->is_over || s->tcb.fin_rcvd || s->so_error != 0;

	if (is_end || s->tcb.rcvq.bytes >= s->read_need)
		sock_wake_readers(s);
}

static void wake_writers(struct sock *s) REQUIRES(lc_sock)
{
	s->write_need = UINT32_MAX;
	if (s->writers > 0)
		cond_broadcast(&s->writable);
	rx_lead_hit(rx_of(s), &s->lead);
}

void sock_wake_all(struct sock *s)
{
	sock_wake_readers(s);
	wake_writers(s);
	if (s->awaits_mem)
		gate_open_all(bufpool_gate(s->conn.stack->pool));
	s->awaits_mem = false;
}

/* Whether a writer that waits, perhaps leading, would find what it waits for. */
static bool has_room_for_writer(const struct sock *s) REQUIRES(lc_sock)
{
	if (s->writers == 0 && s->lead == LEAD_NONE)
		return false;
	return !tcp_may_send(&s->tcb) || s->tcb.fin_queued ||
	       tcp_send_room(&s->tcb) >= s->write_need;
}

void sock_wake_writers(struct sock *s)
{
	if (has_room_for_writer(s))
		wake_writers(s);
}

/* ---- Memory. ---- */

/* Out of memory within the limit: nobody tells when the system has some again. */
enum { MEM_RETRY_US = 100000 };

static bool wait_on_clock(void *ctx, struct cond *cond, struct mutex *mu, weft_time_us deadline)
{
	return stack_wait(ctx, cond, mu, deadline);
}

/*
 * Who wakes: every buffer that comes back to the pool, from whichever thread, opens the gate for one
 * sleeper.  That one tries again; when it has what it wants, or goes for another reason (closed,
 * late), it opens the gate for the next if there is still room.  If it fails again there was none,
 * and the next buffer to come back wakes somebody.  So while there is room for SOCK_MEM_LEAST, nobody
 * sleeps but behind somebody who is awake and will pass on.
 *
 * The socket's end opens the gate for all (sock_wake_all): it finds awaits_mem, set under the lock
 * behind gate_enter.
 */
NO_TSA int sock_wait_memory(struct sock *s, bool is_again, weft_time_us deadline)
{
	struct stack *stack = s->conn.stack;
	struct gate *gate = bufpool_gate(stack->pool);
	unsigned ticket = gate_enter(gate);
	weft_time_us until = deadline;

	counter_add(&stack->counters, C_MEM_WAITS, 1);
	s->awaits_mem = true;
	sock_unlock(s);
	bool has_room = bufpool_has_room(stack->pool, SOCK_MEM_LEAST);

	if (has_room && is_again)
		until = time_min(deadline, stack_now(stack) + MEM_RETRY_US);
	if (!has_room || is_again)
		gate_sleep(gate, &ticket, wait_on_clock, stack, until);
	gate_leave(gate);
	sock_lock(s);
	int rc = sock_gone(s);

	if (rc == 0 && deadline != WEFT_TIME_NEVER && stack_now(stack) >= deadline)
		rc = -EAGAIN;
	if (rc != 0)
		sock_pass_memory(s);
	return rc;
}

void sock_pass_memory(struct sock *s)
{
	struct bufpool *pool = s->conn.stack->pool;

	if (bufpool_has_room(pool, SOCK_MEM_LEAST))
		gate_open_one(bufpool_gate(pool));
}
