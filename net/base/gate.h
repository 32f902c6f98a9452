/*
 * A gate: threads sleep in front of it until something may have changed that no lock of theirs
 * guards.  Who changes it may hold any locks, and pays one atomic read while nobody is there.
 *
 *	sleeper                                     who changes the thing
 *	ticket = gate_enter(g);                     change it (seq_cst)
 *	look at it (seq_cst); not yet there?        gate_open_one(g) or gate_open_all(g)
 *	gate_sleep(g, &ticket, ...); look again
 *	gate_leave(g);
 *
 * G1: no wake-up is lost (tests/models/gate.pml).  Entering, looking, changing and the opener's look at who is there are all
 * sequentially consistent: either the sleeper sees the change, or the opener sees the sleeper.  In
 * the latter case it moves 'turn' on under the mutex, and a sleeper whose ticket is old does not sleep.
 */
#ifndef WEFT_BASE_GATE_H
#define WEFT_BASE_GATE_H

#include "net/base/sync.h"
#include <stdatomic.h>

struct gate {
	atomic_uint inside; /* threads between gate_enter and gate_leave */
	struct mutex mu;    /* a leaf */
	struct cond cond;
	unsigned turn; /* guarded by mu */
};

/* Sleeps on 'cond' on some clock; false when 'deadline' has passed. */
typedef bool gate_wait_fn(void *ctx, struct cond *cond, struct mutex *mu, weft_time_us deadline);

void gate_init(struct gate *g);
void gate_fini(struct gate *g);

/* From here on, openings are heard: they make the ticket old. */
unsigned gate_enter(struct gate *g);
void gate_leave(struct gate *g);

/*
 * Sleeps until the gate has been opened since '*ticket', which is renewed; false when 'deadline'
 * passed without that.  A thread that is cancelled in 'wait' leaves the mutex, and its caller the gate.
 */
bool gate_sleep(struct gate *g, unsigned *ticket, gate_wait_fn *wait, void *ctx,
		weft_time_us deadline);

/* For gate_open_one and gate_open_all. */
void gate_open(struct gate *g, bool is_for_all);

/* Wakes one sleeper, who is to open for the next if there is something left for him, or all. */
static inline void gate_open_one(struct gate *g)
{
	if (atomic_load_explicit(&g->inside, memory_order_seq_cst) > 0)
		gate_open(g, false);
}

static inline void gate_open_all(struct gate *g)
{
	if (atomic_load_explicit(&g->inside, memory_order_seq_cst) > 0)
		gate_open(g, true);
}

#endif
