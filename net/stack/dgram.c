/* Birth, references and death of datagram sockets.  Any thread. */
#include "net/stack/dgram.h"

#include "net/stack/epset.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"
#include <errno.h>
#include <stdlib.h>

NO_TSA void dgram_lock(struct dgram *d)
{
	mutex_lock(&d->mu);
}

/* Who is to wake is woken behind the unlock: on the same CPU it would run into the lock. */
NO_TSA void dgram_unlock(struct dgram *d)
{
	struct watchers *ws = watchers_of(&d->watch);

	if (watch_settles(ws))
		dgram_settle(d, ws);
	struct sock_wakes wakes = dgram_take_wakes(d);

	mutex_unlock(&d->mu);
	dgram_wake(d, wakes);
}

static void list_lock(struct dgrams *all) ACQUIRE(lc_socks) NO_TSA;
static void list_unlock(struct dgrams *all) RELEASE(lc_socks) NO_TSA;

static void list_lock(struct dgrams *all)
{
	mutex_lock(&all->mu);
}

static void list_unlock(struct dgrams *all)
{
	mutex_unlock(&all->mu);
}

/* ---- The stack's. ---- */

int dgrams_init(struct stack *stack)
{
	struct dgrams *all = &stack->dgrams;
	uint64_t seed = stack->cfg.seed;
	uint16_t min = stack->cfg.port_min, max = stack->cfg.port_max;

	mutex_init(&all->mu);
	cond_init(&all->gone);
	list_lock(all);
	list_init(&all->list);
	all->is_stopping = false;
	list_unlock(all);
	int rc = dgram_table_init(&all->udp, seed, min, max);

	if (rc == 0)
		rc = dgram_table_init(&all->ping4, seed, 1, UINT16_MAX);
	if (rc == 0)
		rc = dgram_table_init(&all->ping6, seed, 1, UINT16_MAX);
	return rc;
}

void dgrams_fini(struct stack *stack)
{
	struct dgrams *all = &stack->dgrams;

	dgram_table_fini(&all->udp);
	dgram_table_fini(&all->ping4);
	dgram_table_fini(&all->ping6);
	cond_fini(&all->gone);
	mutex_fini(&all->mu);
}

/* As in stack.c: the first socket, of which there is one, goes behind those of 'to'. */
static struct dgram *pass_first(struct dgrams *all, struct list *to) REQUIRES(lc_socks)
{
	struct dgram *d = CONTAINER_OF(all->list.next, struct dgram, link);

	list_del(&d->link);
	list_push(to, &d->link);
	/* Listed means that its memory is there: the last put takes it out first. */
	rcu_enter();
	if (!dgram_tryget(d))
		d = NULL;
	rcu_leave();
	return d;
}

/* The next socket to stop, with a reference; each is given once.  NULL behind the last. */
static NO_TSA struct dgram *next_to_stop(struct dgrams *all, struct list *done)
{
	struct dgram *found = NULL;

	list_lock(all);
	while (!found && !list_empty(&all->list))
		found = pass_first(all, done);
	list_unlock(all);
	return found;
}

static unsigned count_listed(struct dgrams *all) EXCLUDES(lc_socks)
{
	unsigned count = 0;

	list_lock(all);
	for (struct list *at = all->list.next; at != &all->list; at = at->next)
		count++;
	list_unlock(all);
	return count;
}

static void fail(struct dgram *d, int error)
{
	dgram_lock(d);
	if (dgram_gone(d) == 0) {
		d->so_error = error;
		dgram_wake_all(d);
	}
	dgram_unlock(d);
}

NO_TSA void dgrams_fail(struct stack *stack, int error)
{
	struct dgrams *all = &stack->dgrams;

	for (unsigned left = count_listed(all); left > 0; left--) {
		list_lock(all);
		struct dgram *d = list_empty(&all->list) ? NULL : pass_first(all, &all->list);
		list_unlock(all);
		if (!d)
			continue;
		fail(d, error);
		dgram_put(&d);
	}
}

static void stop(struct dgram *d)
{
	dgram_lock(d);
	d->is_stopped = true;
	dgram_wake_all(d);
	dgram_unlock(d);
	epset_leave_all(watchers_of(&d->watch), &d->conn);
	dgram_unbind(d);
}

NO_TSA void dgrams_stop(struct stack *stack)
{
	struct dgrams *all = &stack->dgrams;
	struct list done;
	struct dgram *d;

	list_lock(all);
	all->is_stopping = true;
	list_unlock(all);
	list_init(&done);
	while ((d = next_to_stop(all, &done))) {
		stop(d);
		dgram_put(&d);
	}
	/* Those that somebody still refers to go back on the list. */
	list_lock(all);
	while (!list_empty(&done)) {
		struct list *link = done.next;

		list_del(link);
		list_push(&all->list, link);
	}
	list_unlock(all);
}

static NO_TSA void wait_gone(struct dgrams *all)
{
	cond_wait(&all->gone, &all->mu);
}

void dgrams_wait(struct stack *stack)
{
	struct dgrams *all = &stack->dgrams;

	list_lock(all);
	while (!list_empty(&all->list))
		wait_gone(all);
	list_unlock(all);
}

/* ---- Birth. ---- */

/* A zeroed socket gets its locks and settings; nobody else knows it yet. */
static NO_TSA void init(struct dgram *d, struct stack *stack, const struct proto *proto, bool is_v6)
{
	conn_init(&d->conn, stack, CONN_DGRAM, stack_choose_queue(stack));
	mutex_init(&d->mu);
	sleepers_init(&d->readers);
	sleepers_init(&d->writers);
	list_init(&d->link);
	d->proto = proto;
	d->is_v6 = is_v6;
	d->is_ping = proto != &proto_udp;
	d->bound = addr_any(is_v6);
	d->conn.flow.local = d->bound;
	d->opt.ttl = IP_TTL_DEFAULT;
	d->opt.pmtudisc = SOCK_PMTUDISC_WANT;
	d->opt.rcvbuf = stack->cfg.rcvbuf;
	d->opt.sndbuf = stack->cfg.sndbuf;
	d->opt.rcvlowat = 1;
}

static bool enlist(struct dgrams *all, struct dgram *d)
{
	list_lock(all);
	bool is_running = !all->is_stopping;

	if (is_running)
		list_push(&all->list, &d->link);
	list_unlock(all);
	return is_running;
}

int dgram_new(struct stack *stack, const struct proto *proto, bool is_v6, struct dgram **made)
{
	struct dgram *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	init(d, stack, proto, is_v6);
	if (!enlist(&stack->dgrams, d)) {
		dgram_put(&d);
		return -ESHUTDOWN;
	}
	atomic_fetch_add_explicit(&stack->handles, 1, memory_order_relaxed);
	*made = d;
	return 0;
}

/* ---- References and death. ---- */

void dgram_get(struct dgram *d)
{
	conn_get(&d->conn);
}

bool dgram_tryget(struct dgram *d)
{
	return conn_tryget(&d->conn);
}

void dgram_put(struct dgram **d)
{
	struct conn *ref = *d ? &(*d)->conn : NULL;

	*d = NULL;
	conn_put(&ref);
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	struct dgram *d = dgram_of(CONTAINER_OF(head, struct conn, rcu));
	struct stack *stack = d->conn.stack;

	free(d);
	conn_freed(stack);
	rcu_reclaim_end();
}

/* Nobody else knows the socket any more: no lock needed, but the analysis cannot know. */
static NO_TSA void fini(struct dgram *d)
{
	WEFT_ASSERT(!d->is_bound);
	buf_queue_clear(&d->in);
	buf_queue_clear(&d->out);
	buf_queue_clear(&d->errs);
	watchers_drop(&d->watch);
	sleepers_fini(&d->readers);
	sleepers_fini(&d->writers);
	mutex_fini(&d->mu);
}

void dgram_release(struct dgram *d)
{
	struct dgrams *all = &dgram_stack(d)->dgrams;

	fini(d);
	list_lock(all);
	list_del(&d->link);
	conn_defer_free(&d->conn, reclaim);
	if (list_empty(&all->list))
		cond_broadcast(&all->gone);
	list_unlock(all);
}

/* What was sent goes out; what nobody read goes away. */
int dgram_close(struct dgram *d)
{
	struct buf_queue unread;

	dgram_lock(d);
	int rc = d->is_closed ? -EBADF : 0;

	unread = d->in;
	d->in = (struct buf_queue){0};
	buf_queue_join(&unread, &d->errs);
	d->is_closed = true;
	dgram_wake_all(d);
	dgram_unlock(d);
	buf_queue_clear(&unread);
	if (rc != 0)
		return rc;
	atomic_fetch_sub_explicit(&dgram_stack(d)->handles, 1, memory_order_relaxed);
	epset_leave_all(watchers_of(&d->watch), &d->conn);
	dgram_unbind(d);
	return 0;
}

int dgram_take_error(struct dgram *d)
{
	int error = d->so_error;

	d->so_error = 0;
	return -error;
}
