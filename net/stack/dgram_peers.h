/*
 * Datagram sockets that are connected: an RCU hash table from the flow to the socket, so that a
 * lookup costs the same however many share a port.  A part of dgram_table.h.
 *
 * An entry is made by a connect and never changes; a socket that is connected anew gets another one.
 * The hash table is made by the first connect: a stack that has none pays nothing.
 */
#ifndef WEFT_STACK_DGRAM_PEERS_H
#define WEFT_STACK_DGRAM_PEERS_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include "net/base/khash.h"
#include "net/stack/locks.h"
#include "net/stack/rcu.h"
#include <stdatomic.h>

struct dgram;

/* One socket's. */
struct dgram_peer {
	/* Immutable. */
	struct flow flow;
	struct dgram *dgram;
	uint64_t number; /* later ones have larger ones */
	struct cds_lfht_node node;
	struct rcu_head rcu;
	/* Guarded by lc_dports: with others of the port that are shared alike. */
	struct dgram_peer *next;
	struct dgram_peer **at;
};

struct dgram_peers {
	/* Immutable after init. */
	struct khash_key key;
	/* Atomic; changes once, under lc_dports. */
	_Atomic(struct rcu_hash *) hash;
	/* Guarded by lc_dports. */
	uint64_t made;
};

void dgram_peers_init(struct dgram_peers *peers, uint64_t seed);

/* Nobody may be in it. */
void dgram_peers_fini(struct dgram_peers *peers);

/* An entry that nobody finds yet; NULL when out of memory. */
struct dgram_peer *dgram_peer_new(struct dgram_peers *peers, struct dgram *d,
				  const struct flow *flow) REQUIRES(lc_dports);

/* Publishes it, and chains it in at 'list'. */
void dgram_peer_add(struct dgram_peers *peers, struct dgram_peer **list, struct dgram_peer *peer)
	REQUIRES(lc_dports);

/* The opposite; it is freed behind a grace period. */
void dgram_peer_del(struct dgram_peers *peers, struct dgram_peer *peer) REQUIRES(lc_dports);

/* Who is connected so, the last one of several, as on Linux; NULL: nobody. */
struct dgram *dgram_peers_find(struct dgram_peers *peers, const struct flow *flow)
	REQUIRES_SHARED(rcu_section);

#endif
