/* Connected datagram sockets by flow.  RX threads look up; application threads change, under lc_dports. */
#include "net/stack/dgram_peers.h"

#include <stdlib.h>
#include <string.h>

void dgram_peers_init(struct dgram_peers *peers, uint64_t seed)
{
	khash_key_init(&peers->key, seed, "datagram peers");
	atomic_init(&peers->hash, NULL);
	HB_ATOMIC(peers->hash);
	peers->made = 0;
}

static struct rcu_hash *hash_of(struct dgram_peers *peers)
{
	struct rcu_hash *hash = atomic_load_explicit(&peers->hash, memory_order_acquire);

	if (hash)
		HB_AFTER(hash);
	return hash;
}

void dgram_peers_fini(struct dgram_peers *peers)
{
	rcu_hash_free(hash_of(peers));
}

static unsigned long hash_flow(const struct dgram_peers *peers, const struct flow *flow)
{
	return (unsigned long)khash(&peers->key, flow, sizeof(*flow));
}

static int match_flow(struct cds_lfht_node *node, const void *key)
{
	rcu_match_begin(node);
	const struct dgram_peer *peer = CONTAINER_OF(node, struct dgram_peer, node);

	return memcmp(&peer->flow, key, sizeof(struct flow)) == 0;
}

static uint64_t weigh(struct cds_lfht_node *node, uint64_t seed)
{
	(void)seed;
	return CONTAINER_OF(node, struct dgram_peer, node)->number;
}

static bool ensure_hash(struct dgram_peers *peers) REQUIRES(lc_dports)
{
	if (hash_of(peers))
		return true;
	struct rcu_hash *hash = rcu_hash_new();

	if (!hash)
		return false;
	HB_BEFORE(hash);
	atomic_store_explicit(&peers->hash, hash, memory_order_release);
	return true;
}

struct dgram_peer *dgram_peer_new(struct dgram_peers *peers, struct dgram *d,
				  const struct flow *flow)
{
	struct dgram_peer *peer = ensure_hash(peers) ? calloc(1, sizeof(*peer)) : NULL;

	if (!peer)
		return NULL;
	peer->flow = *flow;
	peer->dgram = d;
	peer->number = peers->made++;
	return peer;
}

void dgram_peer_add(struct dgram_peers *peers, struct dgram_peer **list, struct dgram_peer *peer)
{
	peer->next = *list;
	peer->at = list;
	if (peer->next)
		peer->next->at = &peer->next;
	*list = peer;
	rcu_hash_add_beside(hash_of(peers), hash_flow(peers, &peer->flow), &peer->node);
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	free(CONTAINER_OF(head, struct dgram_peer, rcu));
	rcu_reclaim_end();
}

void dgram_peer_del(struct dgram_peers *peers, struct dgram_peer *peer)
{
	bool is_mine = rcu_hash_del(hash_of(peers), &peer->node);

	WEFT_ASSERT(is_mine);
	*peer->at = peer->next;
	if (peer->next)
		peer->next->at = peer->at;
	rcu_defer(&peer->rcu, reclaim);
}

struct dgram *dgram_peers_find(struct dgram_peers *peers, const struct flow *flow)
{
	struct rcu_hash *hash = hash_of(peers);
	struct cds_lfht_node *node =
		hash ? rcu_hash_choose(hash, hash_flow(peers, flow), match_flow, flow, weigh, 0)
		     : NULL;

	return node ? CONTAINER_OF(node, struct dgram_peer, node)->dgram : NULL;
}
