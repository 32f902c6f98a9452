/* IP identifications.  Emitters and RX threads, without a lock. */
#include "net/ip/ip_id.h"

#include <string.h>

void ip_ids_init(struct ip_ids *ids, uint64_t seed)
{
	khash_key_init(&ids->key, seed, "ip id");
	for (unsigned i = 0; i < IP_ID_COUNTERS; i++)
		atomic_init(&ids->next[i], (unsigned)khash(&ids->key, &i, sizeof(i)));
}

uint32_t ip_id_take(struct ip_ids *ids, const struct addr *src, const struct addr *dst,
		    uint8_t proto, unsigned count)
{
	uint8_t key[2 * sizeof(struct addr) + 1];

	memcpy(key, src->b, sizeof(src->b));
	memcpy(key + sizeof(src->b), dst->b, sizeof(dst->b));
	key[sizeof(key) - 1] = proto;
	uint64_t hash = khash(&ids->key, key, sizeof(key));
	unsigned at = (unsigned)(hash >> 32) % IP_ID_COUNTERS;

	return (uint32_t)hash +
	       atomic_fetch_add_explicit(&ids->next[at], count, memory_order_relaxed);
}
