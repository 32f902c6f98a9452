/*
 * Who gets a datagram: the sockets of each port, and the choice among them.  One table for UDP, one
 * for ICMP echo, whose ports are identifiers.
 *
 * Connected sockets are found by their flow (dgram_peers.h).  Those that take from anybody stand in an
 * array a port that never changes: a bind or close makes a new one, publishes it, and frees the old one
 * behind a grace period.  So RX threads look up without a lock and find every address as it was at one
 * moment.  Changes are serialised by the table's lock; a lookup and a change cost time in proportion to
 * the sockets of the port's array, whatever the number of connected ones.
 */
#ifndef WEFT_STACK_DGRAM_TABLE_H
#define WEFT_STACK_DGRAM_TABLE_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include "net/base/khash.h"
#include "net/stack/dgram_peers.h"
#include "net/stack/locks.h"
#include "net/stack/rcu.h"
#include <stdatomic.h>

struct dgram;

/* What a socket receives. */
struct dgram_key {
	struct flow flow;  /* local address 'any': all; remote all zero unless connected */
	bool is_connected; /* takes from flow's remote only */
	bool refuses_v4;   /* IPV6_V6ONLY, for local address :: */
	bool reuseaddr;
	bool reuseport; /* in a group whose members share what comes, by the flow's hash */
};

struct dgram_group;

/* Whether a socket has SO_REUSEADDR, and SO_REUSEPORT. */
enum { DGRAM_SHARINGS = 4 };

/* A port's sockets; changes under lc_dports. */
struct dgram_slot {
	_Atomic(struct dgram_group *) group; /* that are not connected */
	atomic_uint peer_count;              /* that are */
	struct dgram_peer *peers[DGRAM_SHARINGS];
};

struct dgram_table {
	struct mutex mu;
	/* Immutable after init. */
	struct khash_key port_key;
	struct khash_key spread_key;
	uint16_t port_min;
	uint16_t port_max;
	struct dgram_slot *slot; /* by port */
	struct dgram_peers peers;
	/* Guarded by lc_dports. */
	uint32_t next GUARDED_BY(lc_dports); /* counts choices of an ephemeral port */
};

/* 0 or -ENOMEM. */
int dgram_table_init(struct dgram_table *table, uint64_t seed, uint16_t port_min, uint16_t port_max)
	WARN_UNUSED;

/* The table must be empty; nothing when it was never made. */
void dgram_table_fini(struct dgram_table *table);

void dgram_table_lock(struct dgram_table *table) ACQUIRE(lc_dports)
	EXCLUDES(lc_dgram, lc_txq, lc_socks, rcu_section);
void dgram_table_unlock(struct dgram_table *table) RELEASE(lc_dports);

/*
 * Enters 'd' under key->flow.local_port, or, when that is 0, a port that nobody has, chosen at random
 * (RFC 6056 3.3.1), which is put there.  The table takes a reference.  As Linux: addresses that overlap conflict
 * unless both sockets have SO_REUSEADDR or both SO_REUSEPORT.  -EADDRINUSE, -ENOMEM.
 */
int dgram_table_add(struct dgram_table *table, struct dgram *d, struct dgram_key *key)
	WARN_UNUSED REQUIRES(lc_dports);

/* Gives 'd' another key with the same port; -ENOMEM changes nothing. */
int dgram_table_change(struct dgram_table *table, struct dgram *d, const struct dgram_key *key)
	WARN_UNUSED REQUIRES(lc_dports);

/* Takes 'd' out; the caller puts the table's reference afterwards. */
void dgram_table_del(struct dgram_table *table, struct dgram *d, uint16_t port) REQUIRES(lc_dports);

/*
 * The socket for a datagram to flow->local from flow->remote, with a reference, or NULL: connected
 * before bound to the address before bound to any, that family's before the dual-stack wildcard.
 */
struct dgram *dgram_table_get(struct dgram_table *table, const struct flow *flow)
	EXCLUDES(rcu_section);

#endif
