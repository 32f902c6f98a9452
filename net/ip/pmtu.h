/*
 * Path MTUs (RFC 1191, RFC 8201): what the routers' "too big" messages may mean, and a cache of the
 * destinations whose path takes less than the link.  Pure: no lock, clock or allocation; the owner
 * serialises access.
 *
 * The cache is a fixed table: a keyed hash chooses a set of PMTU_WAYS entries, and in a full set the
 * entry that would end first makes room.  Nobody outside can aim at an entry, and a forgotten one
 * costs a further message of the router.
 */
#ifndef WEFT_IP_PMTU_H
#define WEFT_IP_PMTU_H

#include "net/base/addr.h"
#include "net/base/khash.h"
#include "net/base/time.h"
#include <stdbool.h>

enum {
	PMTU_SETS = 256,
	PMTU_WAYS = 4,
	PMTU4_MIN =
		552, /* as Linux: less is no honest router's (RFC 1191 3 asks for 68 at least) */
	PMTU6_MIN = 1280,     /* RFC 8201 4 */
	PMTU_AGE_S = 600,     /* RFC 1191 6.3, RFC 8201 4: larger is tried again after 10 minutes */
	PMTU_AGE_MIN_S = 120, /* RFC 1191 6.3: not sooner than that */
};

struct pmtu_entry {
	struct addr dst;
	weft_time_us until; /* 0: free */
	uint32_t mtu;
};

struct pmtu {
	struct khash_key key;
	weft_time_us age;
	struct pmtu_entry set[PMTU_SETS][PMTU_WAYS];
};

/* An empty cache.  'seed' as for khash_key_init; what is noted holds for 'age_s' seconds. */
void pmtu_init(struct pmtu *pmtu, uint64_t seed, uint32_t age_s);

/* The path's MTU to 'dst': that of the cache, or 'link' (also when the entry is larger or too old). */
uint32_t pmtu_get(const struct pmtu *pmtu, const struct addr *dst, uint32_t link, weft_time_us now);

/*
 * A believed message: notes 'mtu' unless the entry has as little (a message never raises; then it
 * keeps its age, too).  Whether something changed.
 */
bool pmtu_lower(struct pmtu *pmtu, const struct addr *dst, uint32_t mtu, weft_time_us now);

/*
 * What a "too big" says about the path, when it quotes a packet of 'size' bytes: 'claimed', raised to
 * PMTU4_MIN for IPv4; for an old router's 0 the next plateau below 'size' (RFC 1191 5).  0: it makes
 * no sense (IPv6 below 1,280, RFC 8201 4; or not smaller than the packet itself).
 */
uint32_t pmtu_claim(bool is_v4, uint32_t claimed, uint32_t size);

#endif
