/*
 * TIME-WAIT records (RFC 9293 3.6.1, RFC 1337, RFC 6191).  Made by whoever drives a connection into
 * TIME-WAIT, met by RX threads, ended by the TX thread's timer.
 */
#include "net/stack/time_wait.h"

#include "net/base/mechanism.h"
#include "net/stack/reply.h"
#include "net/stack/stack_int.h"
#include <stdlib.h>

static void timewait_lock(struct stack *stack) ACQUIRE(lc_timewait)
	EXCLUDES(lc_txq, lc_socks, rcu_section) NO_TSA;
static void timewait_unlock(struct stack *stack) RELEASE(lc_timewait) NO_TSA;

static void timewait_lock(struct stack *stack)
{
	mutex_lock(&stack->timewait_mu);
}

static void timewait_unlock(struct stack *stack)
{
	mutex_unlock(&stack->timewait_mu);
}

/* A record for what 'conn' was. */
static struct time_wait *record_new(const struct conn *conn)
{
	struct stack *stack = conn->stack;

	bool has_room = conn_table_count(stack->table, CONN_TIME_WAIT) < stack->cfg.time_wait_max;
	struct time_wait *tw = has_room ? calloc(1, sizeof(*tw)) : NULL;

	if (!tw) {
		counter_add(&stack->counters, C_TCP_TIME_WAIT_OVERFLOW, 1);
		return NULL;
	}
	conn_init(&tw->conn, stack, CONN_TIME_WAIT, conn->queue);
	tw->conn.flow = conn->flow;
	return tw;
}

void time_wait_enter(struct conn *conn, const struct tcb *tcb, weft_time_us now)
{
	struct stack *stack = conn->stack;
	struct time_wait *tw = record_new(conn);

	if (!tw) {
		conn_table_del(stack->table, conn);
		return;
	}
	timewait_lock(stack);
	tcp_timewait_init(&tw->rec, tcb, now);
	tw->conn.record_linked = conn_table_replace(stack->table, conn, &tw->conn);
	WEFT_ASSERT(tw->conn.record_linked);
	weft_time_us deadline = tw->rec.deadline;

	timewait_unlock(stack);
	txq_request_timer(stack_txq(&tw->conn), &tw->conn, deadline);
	struct conn *ref = &tw->conn;

	conn_put(&ref);
}

/* Takes the record out of the table; the TX thread gets word, so that the timer goes. */
static void unlink_record(struct time_wait *tw) REQUIRES(lc_timewait)
{
	struct stack *stack = tw->conn.stack;

	if (!tw->conn.record_linked)
		return;
	tw->conn.record_linked = false;
	conn_table_del(stack->table, &tw->conn);
	/* Its timer ends by itself if nobody comes before. */
	txq_request_timer(stack_txq(&tw->conn), &tw->conn, WEFT_TIME_NEVER);
}

enum drop time_wait_input(struct time_wait *tw, const struct tcp_seg *seg, weft_time_us now,
			  bool *is_reuse, uint32_t *iss)
{
	struct stack *stack = tw->conn.stack;
	struct tcp_seg_out out = {0};
	enum drop why = DROP_NONE;
	bool has_reply = false;

	*is_reuse = false;
	timewait_lock(stack);
	if (!tw->conn.record_linked) {
		timewait_unlock(stack);
		return DROP_TCP_NO_CONN;
	}
	switch (tcp_timewait_input(&tw->rec, seg, &stack->cfg.tcp, now, &out, &why)) {
	case TCP_TIMEWAIT_REPLY:
		has_reply = true;
		break;
	case TCP_TIMEWAIT_GONE:
		unlink_record(tw);
		break;
	case TCP_TIMEWAIT_REUSE:
		*is_reuse = true;
		*iss = tcp_timewait_iss(&tw->rec, *iss);
		unlink_record(tw);
		break;
	case TCP_TIMEWAIT_DROP:
	default:
		break;
	}
	timewait_unlock(stack);
	if (has_reply)
		reply_tcp(stack, tw->conn.queue, &tw->conn.flow, &out);
	return why;
}

/*
 * RFC 6191 seen from the other side: our timestamps are beyond those of the old connection, for they
 * come from the same clock with the flow's own offset; what is still on its way of the peer's has
 * timestamps that the new connection's first exchange makes old (PAWS).
 */
static enum time_wait_steal may_steal(const struct time_wait *tw, weft_time_us now)
	REQUIRES(lc_timewait)
{
	const struct stack_config *cfg = &tw->conn.stack->cfg;
	weft_time_us entered = tw->rec.deadline - cfg->tcp.time_wait;

	if (!tw->conn.record_linked)
		return TIME_WAIT_GIVEN;
	if (cfg->no_time_wait_reuse || (!tw->rec.ts_on && MECHANISM(timewait_steal_ts)))
		return TIME_WAIT_STAYS;
	return now - entered >= TIME_WAIT_STEAL_AGE || !MECHANISM(timewait_steal_age)
		       ? TIME_WAIT_GIVEN
		       : TIME_WAIT_YOUNG;
}

enum time_wait_steal time_wait_steal(struct stack *stack, const struct flow *flow, weft_time_us now,
				     uint32_t *iss)
{
	struct conn *conn = conn_table_get(stack->table, flow, conn_table_hash(stack->table, flow));
	enum time_wait_steal result = TIME_WAIT_STAYS;

	if (!conn)
		return TIME_WAIT_GIVEN;
	if (conn_kind(conn) == CONN_TIME_WAIT) {
		struct time_wait *tw = time_wait_of(conn);

		timewait_lock(stack);
		result = may_steal(tw, now);
		if (result == TIME_WAIT_GIVEN && tw->conn.record_linked) {
			*iss = tcp_timewait_iss(&tw->rec, *iss);
			unlink_record(tw);
		}
		timewait_unlock(stack);
	}
	if (result == TIME_WAIT_GIVEN)
		counter_add(&stack->counters, C_TCP_TIME_WAIT_REUSED, 1);
	conn_put(&conn);
	return result;
}

weft_time_us time_wait_visit(struct time_wait *tw, weft_time_us now)
{
	struct stack *stack = tw->conn.stack;
	weft_time_us deadline = WEFT_TIME_NEVER;

	timewait_lock(stack);
	if (tw->conn.record_linked && tw->rec.deadline <= now) {
		tw->conn.record_linked = false;
		conn_table_del(stack->table, &tw->conn);
	}
	if (tw->conn.record_linked)
		deadline = tw->rec.deadline;
	timewait_unlock(stack);
	return deadline;
}

void time_wait_drop(struct time_wait *tw)
{
	struct stack *stack = tw->conn.stack;

	timewait_lock(stack);
	unlink_record(tw);
	timewait_unlock(stack);
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	struct time_wait *tw = time_wait_of(CONTAINER_OF(head, struct conn, rcu));
	struct stack *stack = tw->conn.stack;

	free(tw);
	conn_freed(stack);
	rcu_reclaim_end();
}

void time_wait_release(struct time_wait *tw)
{
	conn_defer_free(&tw->conn, reclaim);
}
