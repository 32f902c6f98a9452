/*
 * Ports: which sockets are bound to which, and the choice of ephemeral ports (RFC 6056).  Guarded
 * by one lock, the first in the order; called on application threads only.
 *
 * A binding holds a reference on its socket.
 */
#ifndef WEFT_STACK_PORT_H
#define WEFT_STACK_PORT_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include "net/base/khash.h"
#include "net/base/list.h"
#include "net/base/time.h"
#include "net/stack/locks.h"
#include "net/stack/port_crowd.h"

struct conn;
struct stack;

enum {
	PORT_BUCKETS = 1024,
	PORT_PROBES = 8,   /* tries before a destination counts as crowded */
	PORT_STEPS = 1024, /* table size of RFC 6056 algorithm 4 */
};

/* A socket's entry in the table. */
struct port_binding {
	struct list link GUARDED_BY(lc_port);
	struct addr addr GUARDED_BY(lc_port); /* written with the socket's lock held, too */
	uint16_t port GUARDED_BY(lc_port);    /* 0: not bound */
	bool reuse GUARDED_BY(lc_port);       /* SO_REUSEADDR when it was bound */
	bool reuseport GUARDED_BY(lc_port);   /* SO_REUSEPORT when it was bound */
	bool v6only GUARDED_BY(lc_port);
	bool is_listening GUARDED_BY(lc_port);
};

struct port_table {
	struct mutex mu;
	/* Immutable after init. */
	struct khash_key offset_key;
	struct khash_key step_key;
	struct khash_key bind_key;
	uint16_t port_min;
	uint16_t port_max;
	/* Guarded by lc_port. */
	struct list buckets[PORT_BUCKETS] GUARDED_BY(lc_port);
	uint16_t bound[65536] GUARDED_BY(lc_port); /* bindings by port */
	uint32_t step[PORT_STEPS] GUARDED_BY(lc_port);
	uint32_t bind_next GUARDED_BY(lc_port); /* counts tries of bind to port 0 */
	struct port_crowds crowds GUARDED_BY(lc_port);
};

void port_table_init(struct port_table *ports, uint64_t seed, uint16_t port_min, uint16_t port_max);
void port_table_fini(struct port_table *ports);

/*
 * Whether some packet could be for sockets bound to 'a' and to 'b'; '..._v6only': :: there takes no
 * IPv4.
 */
bool port_addrs_overlap(const struct addr *a, bool a_v6only, const struct addr *b, bool b_v6only);

void port_lock(struct port_table *ports) ACQUIRE(lc_port)
	EXCLUDES(lc_listener, lc_sock, lc_timewait, lc_txq, lc_socks, rcu_section);
void port_unlock(struct port_table *ports) RELEASE(lc_port);

/*
 * Binds; 'want' has addr, reuse and v6only, 'port' 0 means an ephemeral one.  Rules as Linux:
 * addresses that overlap conflict unless both sockets have SO_REUSEADDR and the other does not
 * listen, or both have SO_REUSEPORT; connections and TIME-WAIT records on the port conflict unless
 * 'reuse', or 'reuseport' beside others.  -EADDRINUSE.
 */
int port_bind(struct stack *stack, struct port_binding *binding, const struct port_binding *want,
	      uint16_t port) WARN_UNUSED REQUIRES(lc_port);

/* Takes the binding out (nothing when it is not bound); true when the caller now has to put. */
bool port_unbind(struct port_table *ports, struct port_binding *binding) REQUIRES(lc_port);

/*
 * Marks the binding as a listener's; -EADDRINUSE when another listener overlaps (possible with
 * SO_REUSEADDR) and not both have SO_REUSEPORT.
 */
int port_listen(struct port_table *ports, struct port_binding *binding)
	WARN_UNUSED REQUIRES(lc_port);

/*
 * Publishes a connection in the table: under conn->flow.local_port, or when that is 0 under an
 * ephemeral port chosen by RFC 6056 algorithm 4, avoiding bound ones.  A TIME-WAIT record is given
 * up only when no other port is free, or the port is given (RFC 6191).  '*iss' is the initial
 * sequence number.  -EADDRNOTAVAIL, -ENOBUFS.
 */
int port_connect(struct stack *stack, struct conn *conn, weft_time_us now, uint32_t *iss)
	WARN_UNUSED REQUIRES(lc_port) EXCLUDES(lc_timewait);

#endif
