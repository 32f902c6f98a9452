/*
 * Sleeping for a socket and waking who does.  Application threads sleep, on the socket's condition
 * variables or as leaders of its device (rx_lead.c); whoever changes the socket wakes.
 */
#include "net/base/buf.h"
#include "net/base/gate.h"
#include "net/base/mechanism.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include <sys/socket.h>

enum { RECV_ALL_STEP = 1 << 18 }; /* MSG_WAITALL takes what came in pieces of that */

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
 * Who is woken.  Readers that wait for the same number of bytes may stand in for each other, and so
 * may writers: one is signalled, and he wakes the next if he leaves something (sock_recv, sock_send).
 * All are woken when they wait for different numbers, since the one who is signalled might be the
 * one who needs more, and when something ended.
 *
 * When.  Who changes the socket notes under the lock whom that wakes (sleepers.wakes); nobody lets go
 * of the lock with a note standing: he takes it out and acts on it in sock_unlock, before he sleeps
 * himself (wait_or_lead), or, reading a batch, behind the batch (sock_take_wakes).  In between he holds
 * a reference and waits for nothing but locks.  A leader is told at once: that takes no lock of his.
 *
 * No wake-up is lost (tests/models/sleepers.pml has it for every interleaving of a few threads).  Let
 * the lock be free and somebody sleep who would find what he waits for.  Then a signal is noted or on
 * its way that finds a sleeper, or somebody who was woken is on his way to the lock, or the leader is:
 *  - It comes under the lock: then somebody who leads for it is told, else one is noted, unless one
 *    is already (is_called) and none has come to the lock since.  A signal without the lock may find
 *    another one than it was noted for: one who was late, was woken by another signal, or began to
 *    sleep meanwhile; or nobody, if nobody sleeps any more.  It does not matter:
 *  - Whoever comes to the lock looks, whether he was signalled, late, or woken for no reason.  He takes
 *    something, and who leaves with something left notes the next before he unlocks, also after
 *    MSG_PEEK.  So does one who is cancelled in its sleep (leave_cancelled).
 *  - Or it is too little for him.  If it is enough for another one he wakes all before he sleeps: the
 *    signal was perhaps theirs, or finds him next.  Those look in turn; who then sleeps waits for
 *    more than there is, so this ends.
 *  - Who waits for another number than the rest says so (is_mixed).  A note for all forgets what they
 *    said; whoever slept then is still asleep when it is acted on, wakes, and says it again.
 */
struct sock_wakes sock_take_wakes(struct sock *s)
{
	return sleepers_take_wakes(&s->readers, &s->writers, watchers_of(&s->watch));
}

void sock_wake(struct sock *s, struct sock_wakes wakes)
{
	sleepers_wake(&s->readers, &s->writers, wakes);
}

NO_TSA void sock_lock(struct sock *s)
{
	mutex_lock(&s->mu);
}

/* Whether an unlock leaves something to do without the lock. */
static bool leaves_work(const struct sock *s, const struct watchers *ws) REQUIRES(lc_sock)
{
	return s->tcb.trash.head || s->readers.wakes != COND_WAKE_NONE ||
	       s->writers.wakes != COND_WAKE_NONE || (ws && (ws->noted || watch_settles(ws)));
}

static NO_TSA void unlock_and_work(struct sock *s, struct watchers *ws)
{
	struct buf_queue trash = s->tcb.trash;

	s->tcb.trash = (struct buf_queue){0};
	if (watch_settles(ws))
		sock_settle(s, ws);
	struct sock_wakes wakes = sock_take_wakes(s);

	mutex_unlock(&s->mu);
	sock_wake(s, wakes);
	buf_queue_clear(&trash);
}

/*
 * What the core is done with goes back to the pool after the unlock, by the caller's own list.  Who
 * is to wake is woken then, too: woken under the lock, on the same CPU it would run into it.  Most
 * unlocks have neither.
 */
NO_TSA void sock_unlock(struct sock *s)
{
	struct watchers *ws = watchers_of(&s->watch);

	if (leaves_work(s, ws))
		unlock_and_work(s, ws);
	else
		mutex_unlock(&s->mu);
}

static struct sleep_place place_of(struct sock *s, const struct sleepers *t)
{
	return (struct sleep_place){
		.stack = s->conn.stack,
		.rx = rx_of(s),
		.mu = &s->mu,
		.lead = &s->lead,
		.who = s,
		.is_reader = t == &s->readers,
	};
}

static void wake_everybody(struct sock *s, struct sleepers *t) REQUIRES(lc_sock)
{
	struct sleep_place at = place_of(s, t);

	sleepers_wake_all(&at, t);
}

static void wake_one(struct sock *s, struct sleepers *t) REQUIRES(lc_sock)
{
	struct sleep_place at = place_of(s, t);

	sleepers_wake_one(&at, t);
}

/* Bytes, or room for them, that are there. */
static uint32_t available(const struct sock *s, const struct sleepers *t) REQUIRES(lc_sock)
{
	return t == &s->readers ? sock_ready_bytes(s) : tcp_send_room(&s->tcb);
}

/* One who found too little leaves the lock: nobody may sleep behind him who would not. */
static NO_TSA void before_sleep(struct sock *s, struct sleepers *t, uint32_t need)
{
	if (t->need != UINT32_MAX && need != t->need && available(s, t) >= t->need &&
	    MECHANISM(wake_fewer))
		wake_everybody(s, t);
	sock_wake(s, sock_take_wakes(s));
}

/* Of a thread in its sleep. */
struct sleeper {
	struct sock *s;
	struct sleepers *t;
	bool is_awake;
};

/* Cancelled: what it was woken for, or would have taken, is the next one's. */
static NO_TSA void leave_cancelled(const struct sleeper *sleeper)
{
	struct sock *s = sleeper->s;

	if (sleeper->is_awake)
		return;
	if (sleeper->t == &s->readers)
		sock_pass_readers(s);
	else
		sock_pass_writers(s);
	sock_unlock(s);
}

/* Sleeps with the others, or leads if nobody does. */
static bool wait_or_lead(struct sock *s, struct sleepers *t, uint32_t need, weft_time_us deadline)
	REQUIRES(lc_sock)
{
	struct sleep_place at = place_of(s, t);

	before_sleep(s, t, need);
	struct sleeper sleeper CLEANUP(leave_cancelled) = {.s = s, .t = t};
	bool in_time = sleepers_wait(&at, t, need, !is_local(s), deadline);

	sleeper.is_awake = true;
	return in_time;
}

bool sock_wait_readable(struct sock *s, uint32_t need, weft_time_us deadline)
{
	return wait_or_lead(s, &s->readers, need, deadline);
}

bool sock_wait_writable(struct sock *s, uint32_t need, weft_time_us deadline)
{
	return wait_or_lead(s, &s->writers, need, deadline);
}

void sock_linger(struct sock *s, weft_time_us deadline)
{
	bool in_time = true;

	while (in_time && !s->is_stopped && !s->is_over &&
	       (s->tcb.state == TCPS_FIN_WAIT_1 || s->tcb.state == TCPS_CLOSING ||
		s->tcb.state == TCPS_LAST_ACK || s->tcb.state == TCPS_SYN_RCVD))
		in_time = sock_wait_writable(s, 0, deadline);
}

void sock_wake_all(struct sock *s)
{
	wake_everybody(s, &s->readers);
	wake_everybody(s, &s->writers);
	sock_tell_all_watchers(s);
	if (s->awaits_mem)
		gate_open_all(bufpool_gate(s->conn.stack->pool));
	s->awaits_mem = false;
}

/* Nobody waits for data any more. */
static bool is_read_end(const struct sock *s) REQUIRES(lc_sock)
{
	return s->rd_shut || s->is_over || s->tcb.fin_rcvd || s->so_error != 0;
}

static bool is_write_end(const struct sock *s) REQUIRES(lc_sock)
{
	return !tcp_may_send(&s->tcb) || s->tcb.fin_queued;
}

void sock_wake_readers(struct sock *s)
{
	if (!sleepers_any(&s->readers))
		return;
	if (is_read_end(s) || tcp_is_urgent(&s->tcb)) /* a mark makes less than asked for enough */
		wake_everybody(s, &s->readers);
	else if (s->tcb.rcvq.bytes >= s->readers.need)
		wake_one(s, &s->readers);
}

void sock_wake_writers(struct sock *s)
{
	if (!sleepers_any(&s->writers))
		return;
	if (is_write_end(s))
		wake_everybody(s, &s->writers);
	else if (tcp_send_room(&s->tcb) >= s->writers.need)
		wake_one(s, &s->writers);
}

void sock_pass_readers(struct sock *s)
{
	if (sleepers_any(&s->readers) && !is_read_end(s) && MECHANISM(wake_next_reader))
		sock_wake_readers(s);
}

void sock_pass_writers(struct sock *s)
{
	if (sleepers_any(&s->writers) && !is_write_end(s) && MECHANISM(wake_next_writer))
		sock_wake_writers(s);
}

/* ---- Memory. ---- */

/* Out of memory within the limit: nobody tells when the system has some again. */
enum { MEM_RETRY_US = 100000 };

static bool wait_on_clock(void *ctx, struct cond *cond, struct mutex *mu, weft_time_us deadline)
{
	return stack_wait(ctx, cond, mu, deadline);
}

/* Of a thread in front of the pool's gate. */
struct at_gate {
	struct stack *stack;
	bool is_awake; /* not cancelled */
};

static void leave_gate(const struct at_gate *at)
{
	gate_leave(bufpool_gate(at->stack->pool));
	if (!at->is_awake)
		sock_pass_memory(at->stack);
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
void sock_sleep_memory(struct stack *stack, unsigned ticket, bool is_again, weft_time_us deadline)
{
	struct gate *gate = bufpool_gate(stack->pool);
	weft_time_us until = deadline;
	bool has_room = bufpool_has_room(stack->pool, SOCK_MEM_LEAST);

	counter_add(&stack->counters, C_MEM_WAITS, 1);
	if (has_room && is_again)
		until = time_min(deadline, stack_now(stack) + MEM_RETRY_US);
	struct at_gate at CLEANUP(leave_gate) = {.stack = stack};

	if (!has_room || is_again)
		gate_sleep(gate, &ticket, wait_on_clock, stack, until);
	at.is_awake = true;
}

NO_TSA int sock_wait_memory(struct sock *s, bool is_again, weft_time_us deadline)
{
	struct stack *stack = s->conn.stack;
	unsigned ticket = gate_enter(bufpool_gate(stack->pool));

	s->awaits_mem = true;
	sock_unlock(s);
	sock_sleep_memory(stack, ticket, is_again, deadline);
	sock_lock(s);
	int rc = sock_gone(s);

	if (rc == 0 && deadline != WEFT_TIME_NEVER && stack_now(stack) >= deadline)
		rc = -EAGAIN;
	if (rc != 0)
		sock_pass_memory(stack);
	return rc;
}

void sock_pass_memory(struct stack *stack)
{
	struct bufpool *pool = stack->pool;

	if (bufpool_has_room(pool, SOCK_MEM_LEAST) && MECHANISM(memory_passed_on))
		gate_open_one(bufpool_gate(pool));
}

/* ---- What a reader waits for. ---- */

/*
 * So much may stay in the buffer with the peer still sending.  It sends what is worth a segment, or half of the
 * window, and the window opens in such steps: two of them have room beside what a reader waits for.
 */
static uint32_t most_waiting(const struct sock *s) REQUIRES(lc_sock)
{
	uint32_t half = s->opt.rcvbuf / 2;
	uint32_t theirs = s->tcb.mss_local < half ? s->tcb.mss_local : half;
	uint32_t ours = s->tcb.mss < half ? s->tcb.mss : half;
	uint32_t rest = s->opt.rcvbuf - theirs - ours;

	return rest < half ? rest : half;
}

uint32_t sock_recv_low(const struct sock *s, size_t want, int flags)
{
	uint32_t low = s->opt.rcvlowat;
	uint32_t limit = most_waiting(s);

	if (flags & MSG_WAITALL)
		low = flags & MSG_PEEK || low > RECV_ALL_STEP ? UINT32_MAX : RECV_ALL_STEP;
	if (low > want)
		low = (uint32_t)want;
	if (low > limit)
		low = limit;
	return low > 0 ? low : 1;
}
