/* Gates (gate.h).  Any thread; the mutex is a leaf. */
#include "net/base/gate.h"

#ifdef WEFT_VALGRIND
#include <valgrind/helgrind.h>
/* helgrind does not know C11 atomics: it takes the count's own reads and writes for races. */
#define ATOMIC_FIELD(field) VALGRIND_HG_DISABLE_CHECKING(&(field), sizeof(field))
#else
#define ATOMIC_FIELD(field) ((void)0)
#endif

void gate_init(struct gate *g)
{
	atomic_init(&g->inside, 0);
	ATOMIC_FIELD(g->inside);
	mutex_init(&g->mu);
	cond_init(&g->cond);
	g->turn = 0;
}

void gate_fini(struct gate *g)
{
	cond_fini(&g->cond);
	mutex_fini(&g->mu);
}

unsigned gate_enter(struct gate *g)
{
	mutex_lock(&g->mu);
	unsigned ticket = g->turn;

	atomic_fetch_add_explicit(&g->inside, 1, memory_order_seq_cst);
	mutex_unlock(&g->mu);
	return ticket;
}

void gate_leave(struct gate *g)
{
	atomic_fetch_sub_explicit(&g->inside, 1, memory_order_seq_cst);
}

/* Of a thread in its sleep, with the mutex. */
struct sleeper {
	struct gate *gate;
	bool is_awake;
};

static NO_TSA void leave_cancelled(const struct sleeper *sleeper)
{
	if (!sleeper->is_awake)
		mutex_unlock(&sleeper->gate->mu);
}

NO_TSA bool gate_sleep(struct gate *g, unsigned *ticket, gate_wait_fn *wait, void *ctx,
		       weft_time_us deadline)
{
	bool in_time = true;

	mutex_lock(&g->mu);
	struct sleeper sleeper CLEANUP(leave_cancelled) = {.gate = g};

	while (g->turn == *ticket && in_time)
		in_time = wait(ctx, &g->cond, &g->mu, deadline);
	sleeper.is_awake = true;
	bool is_open = g->turn != *ticket;

	*ticket = g->turn;
	mutex_unlock(&g->mu);
	return is_open;
}

void gate_open(struct gate *g, bool is_for_all)
{
	mutex_lock(&g->mu);
	g->turn++;
	if (is_for_all)
		cond_broadcast(&g->cond);
	else
		cond_signal(&g->cond);
	mutex_unlock(&g->mu);
}
