/*
 * The TX thread: the one emitter, and the owner of all timers.  It serves the TX queue and due
 * deadlines, builds packets and writes them to the devices.
 */
#ifndef WEFT_STACK_TX_H
#define WEFT_STACK_TX_H

#include "net/base/check.h"
#include "net/stack/locks.h"

struct stack;
struct tx;

/* The TX thread's state, before it runs; NULL when out of memory. */
struct tx *tx_new(struct stack *stack);
void tx_free(struct tx *tx);

/* Starts the thread; 0 or -errno. */
int tx_start(struct tx *tx) WARN_UNUSED;

/*
 * Serves what waits in the TX queue, if nobody else does, for a bounded time: called by a thread that
 * made quiet requests (txq_request_quiet), holding no lock.  Never waits for another emitter.
 */
void tx_help(struct stack *stack) EXCLUDES(lc_emitter, lc_port, lc_listener, lc_sock, rcu_section);

/* After txq_stop: waits until the thread has served what waited, dropped its timers and ended. */
void tx_join(struct tx *tx);

#endif
