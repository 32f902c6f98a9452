/*
 * Fast open beyond one connection (RFC 7413 4.1): the server's cookies, and what a client remembers of
 * servers.  Pure: no lock, clock or allocation; the owner serialises access.
 */
#ifndef WEFT_TCP_FASTOPEN_CACHE_H
#define WEFT_TCP_FASTOPEN_CACHE_H

#include "net/base/addr.h"
#include "net/base/khash.h"
#include "net/base/time.h"
#include "net/wire/tcp_hdr.h"

enum {
	FASTOPEN_COOKIE_SIZE = 8, /* of ours */
	FASTOPEN_KEY_S =
		12 * 3600, /* a key makes cookies for that long, and is known for twice that */
	FASTOPEN_SETS = 128,
	FASTOPEN_WAYS = 4,
	FASTOPEN_LOSSES_MIN = 2, /* one lost SYN is chance */
	FASTOPEN_LOSSES_MAX = 10,
	FASTOPEN_BACKOFF_S = 60, /* doubled for each loss in a row */
};

/* ---- The server's side. ---- */

/* mac[generation & 1] is the newest key, the other one the one before. */
struct fastopen_keys {
	struct khash_key mac[2];
	uint32_t generation;
	bool has_keys;
};

/* Makes new keys when it is time.  'seed' as for khash_key_init. */
void fastopen_keys_renew(struct fastopen_keys *keys, uint64_t seed, weft_time_us now);

/* The cookie for a client, by the newest key. */
void fastopen_cookie(const struct fastopen_keys *keys, const struct flow *flow,
		     struct tcp_opts *opt);

/* Whether 'opt' has a cookie of ours for the flow's client; '*is_old': of the key before. */
bool fastopen_cookie_ok(const struct fastopen_keys *keys, const struct flow *flow,
			const struct tcp_opts *opt, bool *is_old);

/* ---- The client's side. ---- */

/* What is known of a server as seen from one of our addresses: its cookie is for that. */
struct fastopen_entry {
	struct addr local, remote;
	weft_time_us used; /* 0: free */
	weft_time_us lost_at;
	uint16_t mss;
	uint8_t losses;     /* SYNs with data that vanished, in a row */
	uint8_t cookie_len; /* 0: none */
	uint8_t cookie[TCP_FO_MAX];
};

/* Sets by keyed hash; in a full one the entry that was used longest ago makes room. */
struct fastopen_cache {
	struct khash_key key;
	struct fastopen_entry set[FASTOPEN_SETS][FASTOPEN_WAYS];
};

enum fastopen_advice {
	FASTOPEN_ASK,     /* no cookie is known: ask for one */
	FASTOPEN_USE,     /* here it is */
	FASTOPEN_REFRAIN, /* SYNs with data vanished on that path: a plain SYN */
};

void fastopen_cache_init(struct fastopen_cache *cache, uint64_t seed);

enum fastopen_advice fastopen_cache_get(const struct fastopen_cache *cache, const struct flow *flow,
					weft_time_us now, struct tcp_opts *opt, uint16_t *mss);

/* How an open ended: what the SYN-ACK told, and what became of the SYN's data. */
struct fastopen_news {
	const struct tcp_opts *opt;
	uint16_t mss;
	bool is_lost;  /* the SYN with data vanished, a plain one was answered */
	bool is_acked; /* the data arrived */
};

void fastopen_cache_put(struct fastopen_cache *cache, const struct flow *flow,
			const struct fastopen_news *news, weft_time_us now);

#endif
