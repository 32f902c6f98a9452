/*
 * Fast open's cookies and cache; see fastopen_cache.h.  Called by RX threads, emitters and application
 * threads under the stack's lock for it, and by tests.
 */
#include "net/tcp/fastopen_cache.h"

#include "net/base/check.h"
#include "net/base/mechanism.h"
#include <string.h>

/* ---- Cookies. ---- */

static void make_key(uint64_t seed, uint32_t generation, struct khash_key *key)
{
	if (seed != 0)
		seed = (seed ^ (uint64_t)generation << 32) | 1;
	khash_key_init(key, seed, "fastopen_mac");
}

void fastopen_keys_renew(struct fastopen_keys *keys, uint64_t seed, weft_time_us now)
{
	uint32_t generation = (uint32_t)(now / (FASTOPEN_KEY_S * (weft_time_us)US_PER_S));

	if (keys->has_keys && keys->generation == generation)
		return;
	if (!keys->has_keys || keys->generation + 1 != generation)
		make_key(seed, generation - 1, &keys->mac[(generation - 1) & 1]);
	make_key(seed, generation, &keys->mac[generation & 1]);
	keys->generation = generation;
	keys->has_keys = true;
}

/* Of the addresses only: the client may use any port. */
static uint64_t mac(const struct khash_key *key, const struct flow *flow)
{
	struct addr both[2] = {flow->remote, flow->local};

	return khash(key, both, sizeof(both));
}

static_assert(sizeof(uint64_t) == FASTOPEN_COOKIE_SIZE, "a cookie is the hash");

void fastopen_cookie(const struct fastopen_keys *keys, const struct flow *flow,
		     struct tcp_opts *opt)
{
	uint64_t cookie = mac(&keys->mac[keys->generation & 1], flow);

	opt->has_fo = true;
	opt->fo_len = sizeof(cookie);
	memcpy(opt->fo, &cookie, sizeof(cookie));
}

bool fastopen_cookie_ok(const struct fastopen_keys *keys, const struct flow *flow,
			const struct tcp_opts *opt, bool *is_old)
{
	uint64_t newest = mac(&keys->mac[keys->generation & 1], flow);
	uint64_t old = mac(&keys->mac[(keys->generation - 1) & 1], flow);
	uint64_t cookie;

	*is_old = false;
	if (opt->fo_len != sizeof(cookie))
		return false;
	memcpy(&cookie, opt->fo, sizeof(cookie));
	*is_old = cookie == old;
	return cookie == newest || cookie == old || !MECHANISM(fastopen_mac);
}

/* ---- The cache. ---- */

void fastopen_cache_init(struct fastopen_cache *cache, uint64_t seed)
{
	memset(cache, 0, sizeof(*cache));
	khash_key_init(&cache->key, seed, "fastopen_cache");
}

static unsigned set_of(const struct fastopen_cache *cache, const struct flow *flow)
{
	return (unsigned)(mac(&cache->key, flow) % FASTOPEN_SETS);
}

static bool is_for(const struct fastopen_entry *e, const struct flow *flow)
{
	return e->used != 0 && addr_equal(&e->local, &flow->local) &&
	       addr_equal(&e->remote, &flow->remote);
}

enum fastopen_advice fastopen_cache_get(const struct fastopen_cache *cache, const struct flow *flow,
					weft_time_us now, struct tcp_opts *opt, uint16_t *mss)
{
	const struct fastopen_entry *e = cache->set[set_of(cache, flow)];
	const struct fastopen_entry *end = e + FASTOPEN_WAYS;

	*mss = 0;
	while (e < end && !is_for(e, flow))
		e++;
	if (e == end)
		return FASTOPEN_ASK;
	if (e->losses >= FASTOPEN_LOSSES_MIN && MECHANISM(fastopen_backoff) &&
	    now - e->lost_at < (FASTOPEN_BACKOFF_S * (weft_time_us)US_PER_S) << e->losses)
		return FASTOPEN_REFRAIN;
	if (e->cookie_len == 0)
		return FASTOPEN_ASK;
	*mss = e->mss;
	opt->has_fo = true;
	opt->fo_len = e->cookie_len;
	memcpy(opt->fo, e->cookie, e->cookie_len);
	return FASTOPEN_USE;
}

/* The flow's entry, or one that makes room for it. */
static struct fastopen_entry *place_for(struct fastopen_cache *cache, const struct flow *flow)
{
	struct fastopen_entry *set = cache->set[set_of(cache, flow)];
	struct fastopen_entry *place = &set[0];

	for (unsigned i = 0; i < FASTOPEN_WAYS; i++) {
		if (is_for(&set[i], flow))
			return &set[i];
		if (set[i].used < place->used)
			place = &set[i];
	}
	*place = (struct fastopen_entry){.local = flow->local, .remote = flow->remote};
	return place;
}

void fastopen_cache_put(struct fastopen_cache *cache, const struct flow *flow,
			const struct fastopen_news *news, weft_time_us now)
{
	struct fastopen_entry *e = place_for(cache, flow);

	e->used = now > 0 ? now : 1;
	e->mss = news->mss;
	if (news->opt->has_fo && news->opt->fo_len > 0) {
		e->cookie_len = news->opt->fo_len;
		memcpy(e->cookie, news->opt->fo, e->cookie_len);
	}
	if (news->is_acked && MECHANISM(fastopen_back))
		e->losses = 0;
	if (news->is_lost) {
		e->lost_at = now;
		if (e->losses < FASTOPEN_LOSSES_MAX)
			e->losses++;
	}
}
