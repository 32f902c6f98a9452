/*
 * liburcu's sections and grace periods on the explorer's threads, by the linker's --wrap: a deferred
 * call runs as soon as nobody is in a section, which is the worst that may be.
 */
#include "sched.h"
#include <stddef.h>
#include <stdlib.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#include <urcu/urcu-bp.h>
#pragma GCC diagnostic pop

struct deferred {
	struct deferred *next;
	struct rcu_head *head;
	void (*call)(struct rcu_head *head);
};

static struct deferred *first;

void __wrap_urcu_bp_read_lock(void);
void __wrap_urcu_bp_read_unlock(void);
void __wrap_urcu_bp_call_rcu(struct rcu_head *head, void (*call)(struct rcu_head *head));
void __wrap_urcu_bp_synchronize_rcu(void);
void __wrap_urcu_bp_barrier(void);
struct call_rcu_data *__wrap_urcu_bp_get_default_call_rcu_data(void);

static void run_deferred(void)
{
	while (first && !sched_in_sections()) {
		struct deferred *d = first;

		first = d->next;
		d->call(d->head);
		free(d);
	}
}

void __wrap_urcu_bp_read_lock(void)
{
	sched_section(true);
}

void __wrap_urcu_bp_read_unlock(void)
{
	sched_section(false);
	run_deferred();
}

void __wrap_urcu_bp_call_rcu(struct rcu_head *head, void (*call)(struct rcu_head *head))
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d)
		sched_fail("out of memory");
	*d = (struct deferred){.next = first, .head = head, .call = call};
	first = d;
	run_deferred();
}

void __wrap_urcu_bp_synchronize_rcu(void)
{
	sched_point(OP_GRACE, NULL);
	run_deferred();
}

void __wrap_urcu_bp_barrier(void)
{
	sched_point(OP_GRACE, NULL);
	run_deferred();
}

struct call_rcu_data *__wrap_urcu_bp_get_default_call_rcu_data(void)
{
	return NULL; /* no thread: see run_deferred */
}
