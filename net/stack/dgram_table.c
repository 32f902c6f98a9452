/* The sockets of each port.  RX threads look up; application threads change, under lc_dports. */
#include "net/stack/dgram_table.h"

#include "net/base/mechanism.h"
#include "net/stack/dgram.h"
#include "net/stack/port.h"
#include <errno.h>
#include <stdlib.h>

enum {
	PORT_TRIES = 16, /* at random, before all are looked at in turn */
	/* What a match is worth. */
	SCORE_FAMILY = 1,
	SCORE_LOCAL = 4,
};

struct dgram_entry {
	struct dgram_key key;
	_Atomic(struct dgram *) dgram; /* NULL: gone, and there was no memory for a new array */
};

struct dgram_group {
	struct rcu_head rcu;
	unsigned count;
	struct dgram_entry entry[];
};

NO_TSA void dgram_table_lock(struct dgram_table *table)
{
	mutex_lock(&table->mu);
}

NO_TSA void dgram_table_unlock(struct dgram_table *table)
{
	mutex_unlock(&table->mu);
}

int dgram_table_init(struct dgram_table *table, uint64_t seed, uint16_t port_min, uint16_t port_max)
{
	/* Only the pages of ports in use ever get memory. */
	table->slot = calloc(65536, sizeof(table->slot[0]));
	if (!table->slot)
		return -ENOMEM;
	mutex_init(&table->mu);
	khash_key_init(&table->port_key, seed, "datagram port");
	khash_key_init(&table->spread_key, seed, "datagram spread");
	dgram_peers_init(&table->peers, seed);
	table->port_min = port_min;
	table->port_max = port_max;
	return 0;
}

void dgram_table_fini(struct dgram_table *table)
{
	if (!table->slot)
		return;
	dgram_peers_fini(&table->peers);
	mutex_fini(&table->mu);
	free(table->slot);
	table->slot = NULL;
}

/* ---- Arrays. ---- */

static struct dgram_group *group_at(struct dgram_table *table, uint16_t port)
{
	struct dgram_group *g =
		atomic_load_explicit(&table->slot[port].group, memory_order_acquire);

	if (g)
		HB_AFTER(g);
	return g;
}

static struct dgram *dgram_at(const struct dgram_entry *e)
{
	return atomic_load_explicit(&e->dgram, memory_order_relaxed);
}

static void reclaim(struct rcu_head *head)
{
	rcu_reclaim_begin();
	free(CONTAINER_OF(head, struct dgram_group, rcu));
	rcu_reclaim_end();
}

/* Puts 'fresh' (NULL: nobody) in the place of what is there. */
static void publish(struct dgram_table *table, uint16_t port, struct dgram_group *fresh)
{
	struct dgram_group *old =
		atomic_load_explicit(&table->slot[port].group, memory_order_relaxed);

	if (fresh)
		HB_BEFORE(fresh);
	atomic_store_explicit(&table->slot[port].group, fresh, memory_order_release);
	if (old)
		rcu_defer(&old->rcu, reclaim);
}

static struct dgram_group *new_group(unsigned count)
{
	return calloc(1, sizeof(struct dgram_group) + count * sizeof(struct dgram_entry));
}

static void append(struct dgram_group *g, const struct dgram_key *key, struct dgram *d)
{
	struct dgram_entry *e = &g->entry[g->count++];

	e->key = *key;
	atomic_init(&e->dgram, d);
	HB_ATOMIC(e->dgram);
}

/* A copy of 'old' without 'left_out' and with room for one more; NULL when out of memory. */
static struct dgram_group *copy_group(const struct dgram_group *old, const struct dgram *left_out)
{
	unsigned count = old ? old->count : 0;
	struct dgram_group *g = new_group(count + 1);

	for (unsigned i = 0; g && i < count; i++) {
		struct dgram *d = dgram_at(&old->entry[i]);

		if (d && d != left_out)
			append(g, &old->entry[i].key, d);
	}
	return g;
}

/* ---- Binding. ---- */

/* By what a socket may share with others: a bit for each option. */
static unsigned sharing_of(const struct dgram_key *key)
{
	return (key->reuseaddr ? 1u : 0) | (key->reuseport ? 2u : 0);
}

static bool is_conflict(const struct dgram_entry *e, const struct dgram_key *key)
{
	const struct addr *a = &e->key.flow.local, *b = &key->flow.local;

	if (!dgram_at(e) || !port_addrs_overlap(a, e->key.refuses_v4, b, key->refuses_v4))
		return false;
	return (sharing_of(&e->key) & sharing_of(key)) == 0 && MECHANISM(dgram_sharing);
}

/* Of the port's connected sockets only those are looked at that share nothing with 'key'. */
static bool meets_peer(const struct dgram_slot *slot, const struct dgram_key *key)
	REQUIRES(lc_dports)
{
	for (unsigned i = 0; i < DGRAM_SHARINGS; i++) {
		if ((i & sharing_of(key)) || !MECHANISM(dgram_peer_sharing))
			continue;
		for (const struct dgram_peer *p = slot->peers[i]; p; p = p->next)
			if (port_addrs_overlap(&p->flow.local, false, &key->flow.local,
					       key->refuses_v4))
				return true;
	}
	return false;
}

static bool is_free(struct dgram_table *table, const struct dgram_key *key) REQUIRES(lc_dports)
{
	uint16_t port = key->flow.local_port;
	const struct dgram_group *g = group_at(table, port);

	for (unsigned i = 0; g && i < g->count; i++)
		if (is_conflict(&g->entry[i], key))
			return false;
	return !meets_peer(&table->slot[port], key);
}

static bool has_peers(struct dgram_table *table, uint16_t port)
{
	return atomic_load_explicit(&table->slot[port].peer_count, memory_order_acquire) > 0;
}

/* RFC 6056 algorithm 1: at random, then in turn from there; 0: all are taken. */
static uint16_t choose_port(struct dgram_table *table) REQUIRES(lc_dports)
{
	uint32_t count = (uint32_t)(table->port_max - table->port_min) + 1;
	uint32_t at = 0;

	for (unsigned i = 0; i < PORT_TRIES + count; i++) {
		uint32_t turn = table->next++;

		if (i < PORT_TRIES)
			at = MECHANISM(dgram_port_random)
				     ? (uint32_t)khash(&table->port_key, &turn, sizeof(turn))
				     : turn;
		else
			at++;
		uint16_t port = (uint16_t)(table->port_min + at % count);

		if (port != 0 && !group_at(table, port) && !has_peers(table, port))
			return port;
	}
	return 0;
}

/* Into the array, out of which 'd' goes if it is there. */
static int enter_group(struct dgram_table *table, struct dgram *d, const struct dgram_key *key)
	REQUIRES(lc_dports)
{
	uint16_t port = key->flow.local_port;
	struct dgram_group *g = copy_group(group_at(table, port), d);

	if (!g)
		return -ENOMEM;
	append(g, key, d);
	publish(table, port, g);
	return 0;
}

/* Cannot fail: without memory for a new array the entry stays behind, empty. */
static void leave_group(struct dgram_table *table, struct dgram *d, uint16_t port)
	REQUIRES(lc_dports)
{
	struct dgram_group *old = group_at(table, port);
	struct dgram_group *g = copy_group(old, d);

	if (g && g->count > 0) {
		publish(table, port, g);
		return;
	}
	if (g || old->count == 1) {
		free(g);
		publish(table, port, NULL);
		return;
	}
	for (unsigned i = 0; i < old->count; i++)
		if (dgram_at(&old->entry[i]) == d)
			atomic_store_explicit(&old->entry[i].dgram, NULL, memory_order_relaxed);
}

static void leave_peers(struct dgram_table *table, struct dgram_peer *peer) REQUIRES(lc_dports)
{
	struct dgram_slot *slot = &table->slot[peer->flow.local_port];

	dgram_peer_del(&table->peers, peer);
	atomic_fetch_sub_explicit(&slot->peer_count, 1, memory_order_release);
}

/* Where 'key' says; '*peer' is the entry, NULL for the array. */
static int enter(struct dgram_table *table, struct dgram *d, const struct dgram_key *key,
		 struct dgram_peer **peer) REQUIRES(lc_dports)
{
	struct dgram_slot *slot = &table->slot[key->flow.local_port];

	*peer = NULL;
	if (!key->is_connected)
		return enter_group(table, d, key);
	*peer = dgram_peer_new(&table->peers, d, &key->flow);
	if (!*peer)
		return -ENOMEM;
	HB_ATOMIC(slot->peer_count);
	dgram_peer_add(&table->peers, &slot->peers[sharing_of(key)], *peer);
	atomic_fetch_add_explicit(&slot->peer_count, 1, memory_order_release);
	return 0;
}

int dgram_table_add(struct dgram_table *table, struct dgram *d, struct dgram_key *key)
{
	struct dgram_key full = *key;

	if (full.flow.local_port == 0)
		full.flow.local_port = choose_port(table);
	if (full.flow.local_port == 0 || !is_free(table, &full))
		return -EADDRINUSE;
	int rc = enter(table, d, &full, &d->peer);

	if (rc != 0)
		return rc;
	dgram_get(d);
	*key = full;
	return 0;
}

/* There under the new key before it is gone under the old one: no datagram finds nobody. */
int dgram_table_change(struct dgram_table *table, struct dgram *d, const struct dgram_key *key)
{
	struct dgram_peer *old = d->peer;
	struct dgram_peer *fresh;
	int rc = enter(table, d, key, &fresh);

	if (rc != 0)
		return rc;
	if (old)
		leave_peers(table, old);
	else if (fresh)
		leave_group(table, d, key->flow.local_port);
	d->peer = fresh;
	return 0;
}

void dgram_table_del(struct dgram_table *table, struct dgram *d, uint16_t port)
{
	if (d->peer)
		leave_peers(table, d->peer);
	else
		leave_group(table, d, port);
	d->peer = NULL;
}

/* ---- Lookup. ---- */

/* What the entry is worth for the flow; 0: it is not for it. */
static unsigned score(const struct dgram_key *key, const struct flow *flow)
{
	const struct addr *local = &key->flow.local;
	bool is_v4 = addr_is_v4(&flow->local);
	unsigned points = SCORE_FAMILY;

	if (!addr_is_any(local))
		return addr_equal(local, &flow->local) ? points + SCORE_LOCAL : 0;
	if (addr_is_v4(local) == is_v4)
		return points + SCORE_FAMILY;
	return is_v4 && (!key->refuses_v4 || !MECHANISM(dgram_v6only)) ? points : 0;
}

/* The flow's number among 'count' that share what comes. */
static unsigned share_of(const struct dgram_table *table, const struct flow *flow, unsigned count)
{
	uint32_t hash = (uint32_t)khash(&table->spread_key, flow, sizeof(*flow));

	return (unsigned)((uint64_t)hash * count >> 32);
}

/* The 'turn'th entry of a group of SO_REUSEPORT whose members are worth 'points'. */
static struct dgram *member(const struct dgram_group *g, const struct flow *flow, unsigned points,
			    unsigned turn)
{
	for (unsigned i = 0; i < g->count; i++) {
		const struct dgram_entry *e = &g->entry[i];

		if (e->key.reuseport && dgram_at(e) && score(&e->key, flow) == points &&
		    turn-- == 0)
			return dgram_at(e);
	}
	return NULL;
}

/* The best one; among equals the last that came, but those that share take turns by the flow. */
static struct dgram *pick(const struct dgram_table *table, const struct dgram_group *g,
			  const struct flow *flow)
{
	struct dgram *best = NULL;
	unsigned most = 0;
	unsigned sharers = 0;

	for (unsigned i = 0; i < g->count; i++) {
		const struct dgram_entry *e = &g->entry[i];
		struct dgram *d = dgram_at(e);
		unsigned points = d ? score(&e->key, flow) : 0;

		if (points == 0 || (points < most && MECHANISM(dgram_most_specific)))
			continue;
		if (points > most)
			sharers = 0;
		most = points;
		best = d;
		sharers += e->key.reuseport;
	}
	if (sharers > 1 && MECHANISM(dgram_reuseport))
		best = member(g, flow, most, share_of(table, flow, sharers));
	return best;
}

struct dgram *dgram_table_get(struct dgram_table *table, const struct flow *flow)
{
	struct dgram *d = NULL;
	bool is_dying;

	do {
		rcu_enter();
		d = has_peers(table, flow->local_port) ? dgram_peers_find(&table->peers, flow)
						       : NULL;
		const struct dgram_group *g = d ? NULL : group_at(table, flow->local_port);

		if (g)
			d = pick(table, g, flow);
		/* One that is dying has left what is there now. */
		is_dying = d && !dgram_tryget(d);
		rcu_leave();
	} while (is_dying);
	return d;
}
