/*
 * A stack's birth and end.  stack_new and stack_free run on application threads.
 *
 * The end: no new sockets -> every socket stopped (calls wake, connections reset) -> RX threads end
 * -> what is left in the table goes -> the TX threads send the resets and end -> callers have
 * returned (the list of sockets is empty) -> deferred frees ran -> nothing is left.
 */
#include "net/stack/stack.h"

#include "net/base/mechanism.h"
#include "net/stack/epset.h"
#include "net/stack/half_open.h"
#include "net/stack/listener.h"
#include "net/stack/path.h"
#include "net/stack/route.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include "net/wire/ip.h"
#include "tun/loop.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LOOP_MTU = 65535,
	LOOP_QUEUE_MAX = 1024,
	/* The largest payload that fits an IP packet with all headers and options. */
	GSO_MAX = 65535 - IP6_HDR_SIZE - TCP_HDR_MAX,
};

/* ---- Time, addresses, numbers. ---- */

weft_time_us stack_now(const struct stack *stack)
{
	return stack->cfg.clock.now(stack->cfg.clock.ctx);
}

NO_TSA bool stack_wait(struct stack *stack, struct cond *cond, struct mutex *mu,
		       weft_time_us deadline)
{
	const struct weft_clock *clock = &stack->cfg.clock;

	return cond_sleep_by_clock(cond, mu, clock->wait, clock->ctx, deadline);
}

unsigned stack_choose_queue(struct stack *stack)
{
	if (stack->queue_count == 1)
		return 0;
	return atomic_fetch_add_explicit(&stack->next_queue, 1, memory_order_relaxed) %
	       stack->queue_count;
}

const char *stack_dev_name(const struct stack *stack)
{
	return stack->dev->name;
}

const struct stack_config *stack_get_config(const struct stack *stack)
{
	return &stack->cfg;
}

uint32_t stack_isn(const struct stack *stack, const struct flow *flow, weft_time_us now)
{
	return tcp_isn(MECHANISM(isn_keyed) ? khash(&stack->isn_key, flow, sizeof(*flow)) : 0, now);
}

uint32_t stack_ts_offset(const struct stack *stack, const struct flow *flow)
{
	return (uint32_t)khash(&stack->ts_key, flow, sizeof(*flow));
}

/* ---- Locks. ---- */

NO_TSA void stack_socks_lock(struct stack *stack)
{
	mutex_lock(&stack->socks_mu);
}

NO_TSA void stack_socks_unlock(struct stack *stack)
{
	mutex_unlock(&stack->socks_mu);
}

static NO_TSA void wait_socks_gone(struct stack *stack)
{
	cond_wait(&stack->socks_gone, &stack->socks_mu);
}

/* ---- Birth. ---- */

static void init_locks(struct stack *stack)
{
	mutex_init(&stack->timewait_mu);
	path_init(stack);
	fastopen_init(stack);
	frags_init(stack);
	mutex_init(&stack->socks_mu);
	cond_init(&stack->socks_gone);
	stack_socks_lock(stack);
	list_init(&stack->socks);
	list_init(&stack->epsets);
	stack->stopping = false;
	stack_socks_unlock(stack);
	port_table_init(&stack->ports, stack->cfg.seed, stack->cfg.port_min, stack->cfg.port_max);
	for (unsigned i = 0; i < stack->queue_count; i++)
		txq_init(&stack->queue[i].txq, &stack->cfg.clock, &stack->counters,
			 stack->cfg.reply_queue_max);
	khash_key_init(&stack->isn_key, stack->cfg.seed, "isn");
	khash_key_init(&stack->ts_key, stack->cfg.seed, "timestamp");
	HB_ATOMIC(stack->counters);
	HB_ATOMIC(stack->objects);
	HB_ATOMIC(stack->handles);
	HB_ATOMIC(stack->orphans);
	HB_ATOMIC(stack->next_listener);
	HB_ATOMIC(stack->next_queue);
	HB_ATOMIC(stack->queues_failed);
	HB_ATOMIC(stack->rx_bufs);
	HB_ATOMIC(stack->rx_buf_bytes);
}

/* Threads' state for queue 'index' of the device. */
static int make_queue(struct stack *stack, unsigned index)
{
	struct stack_queue *q = &stack->queue[index];
	struct weft_dev *dev = stack->dev;

	q->dev = stack->queue_count > 1 ? dev->queue(dev, index) : dev;
	if (!q->dev)
		return -EINVAL;
	q->tx = tx_new(stack, index);
	q->rx = rx_new(stack, q->dev, index);
	return q->tx && q->rx ? 0 : -ENOMEM;
}

/* What has memory of its own but no thread; freed by free_parts. */
static int make_parts(struct stack *stack)
{
	int rc = dgrams_init(stack);

	if (rc == 0)
		rc = loop_dev_new(&stack->loop, LOOP_MTU, LOOP_QUEUE_MAX, &stack->counters);
	if (rc != 0)
		return rc;
	stack->pool = bufpool_new(stack->cfg.buf_bytes_max);
	stack->cfg.tcp.pool = stack->pool;
	stack->table = conn_table_new(stack->cfg.seed, stack->cfg.conns_max);
	if (!stack->pool || !stack->table)
		return -ENOMEM;
	rcu_start(); /* the table has just got a thread: there will be one more */
	stack->rx_loop = rx_new(stack, stack->loop, 0);
	rc = stack->rx_loop ? 0 : -ENOMEM;
	for (unsigned i = 0; i < stack->queue_count && rc == 0; i++)
		rc = make_queue(stack, i);
	return rc;
}

static void free_parts(struct stack *stack)
{
	rx_free(stack->rx_loop);
	for (unsigned i = 0; i < stack->queue_count; i++) {
		rx_free(stack->queue[i].rx);
		tx_free(stack->queue[i].tx);
	}
	frags_fini(stack);
	dgrams_fini(stack);
	conn_table_free(stack->table);
	bufpool_free(stack->pool);
	if (stack->loop)
		stack->loop->close(stack->loop);
	for (unsigned i = 0; i < stack->queue_count; i++)
		txq_fini(&stack->queue[i].txq);
	port_table_fini(&stack->ports);
	cond_fini(&stack->socks_gone);
	mutex_fini(&stack->socks_mu);
	mutex_fini(&stack->timewait_mu);
	fastopen_fini(stack);
	path_fini(stack);
	free(stack);
}

/* Ends the RX threads of the first 'count' queues. */
static void stop_rx(struct stack *stack, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		rx_stop(stack->queue[i].rx);
}

/* Ends the first 'count' TX threads after they have served what waits. */
static void stop_tx(struct stack *stack, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		txq_stop(&stack->queue[i].txq);
	for (unsigned i = 0; i < count; i++)
		tx_join(stack->queue[i].tx);
}

static int start_threads(struct stack *stack)
{
	unsigned tx_count = 0;
	unsigned rx_count = 0;
	int rc = 0;

	while (tx_count < stack->queue_count && (rc = tx_start(stack->queue[tx_count].tx)) == 0)
		tx_count++;
	while (rc == 0 && rx_count < stack->queue_count &&
	       (rc = rx_start(stack->queue[rx_count].rx)) == 0)
		rx_count++;
	if (rc == 0)
		rc = rx_start(stack->rx_loop);
	if (rc == 0)
		return 0;
	stop_rx(stack, rx_count);
	stop_tx(stack, tx_count);
	return rc;
}

int stack_new(struct stack **made, const struct stack_config *config)
{
	struct stack *stack = calloc(1, sizeof(*stack));

	if (!stack)
		return -ENOMEM;
	stack->cfg = *config;
	stack->dev = config->dev;
	stack->queue_count = stack->dev->queue_count > 1 ? stack->dev->queue_count : 1;
	WEFT_ASSERT(stack->queue_count <= WEFT_DEV_QUEUES_MAX);
	stack->cfg.tcp.counters = &stack->counters;
	stack->cfg.tcp.rcv_buf_min = stack->cfg.rcvbuf;
	stack->cfg.tcp.snd_buf_min = stack->cfg.sndbuf;
	stack->cfg.tcp.buf_max = stack->cfg.buf_max;
	if (stack->cfg.tcp.gso_max > GSO_MAX)
		stack->cfg.tcp.gso_max = GSO_MAX;
	threads_expect_many(stack->cfg.futex_slots);
	init_locks(stack);
	int rc = make_parts(stack);

	if (rc == 0)
		rc = start_threads(stack);
	if (rc != 0) {
		free_parts(stack);
		return rc;
	}
	*made = stack;
	return 0;
}

/* ---- End. ---- */

/* Puts the first socket, of which there is one, behind those of 'to': with a reference, or NULL if it dies. */
static struct sock *pass_first(struct stack *stack, struct list *to) REQUIRES(lc_socks)
{
	struct sock *s = CONTAINER_OF(stack->socks.next, struct sock, link);

	list_del(&s->link);
	list_push(to, &s->link);
	/* Listed means that its memory is there: the last put takes it out first. */
	rcu_enter();
	if (!conn_tryget(&s->conn))
		s = NULL;
	rcu_leave();
	return s;
}

/* The next socket to stop, with a reference; each is given once.  NULL behind the last. */
static NO_TSA struct sock *next_to_stop(struct stack *stack, struct list *done)
{
	struct sock *found = NULL;

	stack_socks_lock(stack);
	while (!found && !list_empty(&stack->socks))
		found = pass_first(stack, done);
	stack_socks_unlock(stack);
	return found;
}

static unsigned count_socks(struct stack *stack) EXCLUDES(lc_socks)
{
	unsigned count = 0;

	stack_socks_lock(stack);
	for (struct list *at = stack->socks.next; at != &stack->socks; at = at->next)
		count++;
	stack_socks_unlock(stack);
	return count;
}

/* The list goes round once; new ones come behind those that are to be visited. */
NO_TSA void stack_visit_socks(struct stack *stack, void (*visit)(struct sock *sock))
{
	for (unsigned left = count_socks(stack); left > 0; left--) {
		stack_socks_lock(stack);
		struct sock *s =
			list_empty(&stack->socks) ? NULL : pass_first(stack, &stack->socks);
		stack_socks_unlock(stack);
		if (!s)
			continue;
		visit(s);
		sock_put(&s);
	}
}

static NO_TSA void stop_socks(struct stack *stack)
{
	struct list done;
	struct sock *s;

	stack_socks_lock(stack);
	stack->stopping = true;
	stack_socks_unlock(stack);
	epset_stop_all(stack);
	list_init(&done);
	while ((s = next_to_stop(stack, &done))) {
		sock_stop(s);
		sock_put(&s);
	}
	/* Those that somebody still refers to go back on the list. */
	stack_socks_lock(stack);
	while (!list_empty(&done)) {
		struct list *link = done.next;

		list_del(link);
		list_push(&stack->socks, link);
	}
	stack_socks_unlock(stack);
}

/* Records that no socket refers to; sockets and listeners have left the table already. */
static void drop_records(struct stack *stack)
{
	struct conn *conn = conn_table_any(stack->table, NULL);

	while (conn) {
		struct conn *next = conn_table_any(stack->table, conn);

		WEFT_ASSERT(conn_kind(conn) == CONN_TIME_WAIT);
		time_wait_drop(time_wait_of(conn));
		conn_put(&conn);
		conn = next;
	}
}

static void wait_for_callers(struct stack *stack)
{
	stack_socks_lock(stack);
	while (!list_empty(&stack->socks) || stack->epset_count > 0)
		wait_socks_gone(stack);
	stack_socks_unlock(stack);
}

void stack_free(struct stack *stack)
{
	stop_socks(stack);
	dgrams_stop(stack);
	stop_rx(stack, stack->queue_count);
	rx_stop(stack->rx_loop);
	drop_records(stack);
	stop_tx(stack, stack->queue_count);
	wait_for_callers(stack);
	dgrams_wait(stack);
	rcu_wait_deferred();
	WEFT_ASSERT(atomic_load_explicit(&stack->objects, memory_order_acquire) == 0);
	stack->dev->close(stack->dev);
	free_parts(stack);
}

/* ---- Statistics. ---- */

static_assert(C_COUNT <= ARRAY_SIZE(((struct weft_stats *)0)->counters), "counters fit");
static_assert(DROP_COUNT <= ARRAY_SIZE(((struct weft_stats *)0)->drops), "drops fit");

void stack_stats(struct stack *stack, struct weft_stats *stats)
{
	const struct conn_table *table = stack->table;
	uint64_t rx_bufs = atomic_load_explicit(&stack->rx_bufs, memory_order_relaxed);
	uint64_t rx_bytes = atomic_load_explicit(&stack->rx_buf_bytes, memory_order_relaxed);
	uint64_t lent = bufpool_lent(stack->pool);
	uint64_t lent_bytes = bufpool_lent_bytes(stack->pool);

	*stats = (struct weft_stats){
		.sockets = atomic_load_explicit(&stack->handles, memory_order_relaxed),
		.conns = conn_table_count(table, CONN_SOCK),
		.syn_rcvd = conn_table_count(table, CONN_HALF_OPEN),
		.time_wait = conn_table_count(table, CONN_TIME_WAIT),
		.orphans = atomic_load_explicit(&stack->orphans, memory_order_relaxed),
		.listeners = conn_table_count(table, CONN_LISTENER),
		.bufs = lent > rx_bufs ? lent - rx_bufs : 0,
		.buf_bytes = lent_bytes > rx_bytes ? lent_bytes - rx_bytes : 0,
		.objects = atomic_load_explicit(&stack->objects, memory_order_acquire),
	};
	for (unsigned i = 0; i < C_COUNT; i++)
		stats->counters[i] = counter_read(&stack->counters, (enum counter)i);
	for (unsigned i = 0; i < DROP_COUNT; i++)
		stats->drops[i] =
			atomic_load_explicit(&stack->counters.drop[i], memory_order_relaxed);
}

NO_TSA void stack_rcu_read_lock(void)
{
	rcu_enter();
}

NO_TSA void stack_rcu_read_unlock(void)
{
	rcu_leave();
}
