/* Reference counts of connections and records.  Any thread. */
#include "net/stack/conn.h"

#include "net/base/check.h"
#include "net/stack/dgram.h"
#include "net/stack/epset.h"
#include "net/stack/half_open.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"

void conn_init(struct conn *conn, struct stack *stack, enum conn_kind kind, unsigned queue)
{
	conn->stack = stack;
	conn->queue = (uint8_t)queue;
	atomic_init(&conn->refs, 1);
	atomic_init(&conn->kind, (unsigned char)kind);
	atomic_init(&conn->requested, TXQ_NONE);
	HB_ATOMIC(conn->refs);
	HB_ATOMIC(conn->kind);
	HB_ATOMIC(conn->requested);
	txq_node_init(&conn->txq, TXQ_CONN);
	atomic_fetch_add_explicit(&stack->objects, 1, memory_order_relaxed);
}

struct stack *conn_stack(const struct conn *conn)
{
	return conn_kind(conn) == CONN_HALF_OPEN ? conn->listener->conn.stack : conn->stack;
}

struct conn *conn_get(struct conn *conn)
{
	unsigned refs = atomic_fetch_add_explicit(&conn->refs, 1, memory_order_relaxed);

	WEFT_ASSERT(refs > 0);
	return conn;
}

bool conn_tryget(struct conn *conn)
{
	unsigned refs = atomic_load_explicit(&conn->refs, memory_order_relaxed);

	do {
		if (refs == 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&conn->refs, &refs, refs + 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

void conn_put(struct conn **cp)
{
	struct conn *conn = *cp;

	*cp = NULL;
	if (!conn)
		return;
	HB_BEFORE(&conn->refs);
	unsigned refs = atomic_fetch_sub_explicit(&conn->refs, 1, memory_order_acq_rel);

	WEFT_ASSERT(refs > 0);
	if (refs > 1)
		return;
	HB_AFTER(&conn->refs);
	switch (conn_kind(conn)) {
	case CONN_SOCK:
	case CONN_LISTENER:
		sock_release(sock_of(conn));
		break;
	case CONN_HALF_OPEN:
		half_open_release(half_open_of(conn));
		break;
	case CONN_TIME_WAIT:
		time_wait_release(time_wait_of(conn));
		break;
	case CONN_EPSET:
		epset_release(conn);
		break;
	case CONN_DGRAM:
		dgram_release(dgram_of(conn));
		break;
	case CONN_KIND_COUNT:
	default:
		WEFT_ASSERT(conn_kind(conn) < CONN_KIND_COUNT);
	}
}

void conn_defer_free(struct conn *conn, void (*reclaim)(struct rcu_head *head))
{
	/* No queue and no wheel has it any more: both would have a reference. */
	WEFT_ASSERT(!wheel_has(&conn->timer));
	rcu_defer(&conn->rcu, reclaim);
}

void conn_freed(struct stack *stack)
{
	atomic_fetch_sub_explicit(&stack->objects, 1, memory_order_release);
}
