/*
 * The lock classes of net/stack as tokens for clang's thread-safety analysis, in their order.  The
 * tokens are never defined: only the analysis looks at them.  The wrappers that take a lock of a
 * class stand with the structure that has the lock; docs/LOCKING.md gives the reason of every edge.
 *
 *	lc_emitter, lc_rx < lc_port < lc_listener < lc_sock < lc_timewait < lc_frag < lc_txq < lc_socks
 *		< lc_path
 *	lc_epset < lc_port; lc_listener, lc_sock, lc_dgram < lc_watch < lc_ready; lc_sock, lc_dgram < lc_eventfd < lc_ready
 *	lc_emitter, lc_rx < lc_dports < lc_dgram < lc_txq
 *
 * A thread holds at most one lock of a class, but for sets in sets.  No lock is held over a device's read or write, and
 * an RCU section is closed before any lock is taken (EXCLUDES(rcu_section)).
 */
#ifndef WEFT_STACK_LOCKS_H
#define WEFT_STACK_LOCKS_H

#include "net/base/sync.h"

/* Who waits for readiness: the ready list of an epoll set, a poll.  A leaf, as is the next. */
extern struct lock_class lc_ready;
/* A leaf: nothing is taken under it. */
extern struct lock_class lc_path;
extern struct lock_class lc_socks ACQUIRED_BEFORE(lc_path);
extern struct lock_class lc_txq ACQUIRED_BEFORE(lc_socks);
/* Fragments (frags.h): taken with no other lock held but a role. */
extern struct lock_class lc_frag ACQUIRED_BEFORE(lc_txq);
extern struct lock_class lc_timewait ACQUIRED_BEFORE(lc_frag);
/* An epoll set's eventfd (epset.c), over a write or read that does not wait. */
extern struct lock_class lc_eventfd ACQUIRED_BEFORE(lc_ready);
/* Who watches an object (watch.h). */
extern struct lock_class lc_watch ACQUIRED_BEFORE(lc_ready);
/* Datagram sockets, and the table of their ports (dgram_table.h); not together with those of TCP. */
extern struct lock_class lc_dgram ACQUIRED_BEFORE(lc_txq, lc_watch, lc_eventfd);
extern struct lock_class lc_dports ACQUIRED_BEFORE(lc_dgram);
extern struct lock_class lc_sock ACQUIRED_BEFORE(lc_timewait, lc_watch, lc_eventfd);
extern struct lock_class lc_listener ACQUIRED_BEFORE(lc_sock);
extern struct lock_class lc_port ACQUIRED_BEFORE(lc_listener);
/* An epoll set's table (epset.h): taken with no other lock held but that of a set around it. */
extern struct lock_class lc_epset ACQUIRED_BEFORE(lc_port);
/* The RX role of a queue (rx_lead.c): taken with no other lock held. */
extern struct lock_class lc_rx ACQUIRED_BEFORE(lc_port, lc_dports);
/* An emitter's role (tx.h): taken with no other lock held, another queue's included. */
extern struct lock_class lc_emitter ACQUIRED_BEFORE(lc_port, lc_dports);

/* Held, shared, inside an RCU read-side section. */
extern struct lock_class rcu_section;

#endif
