/*
 * The TX threads, one for each queue of the device: the queue's emitter, and the owner of the timers
 * of its connections.  Serves its TX queue and due deadlines, builds packets and writes them to the
 * queue or the loop device.
 */
#ifndef WEFT_STACK_TX_H
#define WEFT_STACK_TX_H

#include "net/base/check.h"
#include "net/stack/locks.h"

struct stack;
struct tx;

/* The state of the TX thread of 'queue', whose device is set; NULL when out of memory. */
struct tx *tx_new(struct stack *stack, unsigned queue);
void tx_free(struct tx *tx);

/* Starts the thread; 0 or -errno. */
int tx_start(struct tx *tx) WARN_UNUSED;

/*
 * Serves what waits in the TX queue number 'queue', if nobody else does, for a bounded time: called by
 * a thread that made quiet requests there (txq_request_quiet), holding no lock.  Never waits for
 * another emitter.
 */
void tx_help(struct stack *stack, unsigned queue)
	EXCLUDES(lc_emitter, lc_port, lc_listener, lc_sock, rcu_section);

/* After txq_stop: waits until the thread has served what waited, dropped its timers and ended. */
void tx_join(struct tx *tx);

#endif
