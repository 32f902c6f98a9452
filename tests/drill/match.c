/*
 * Comparing segments; see match.h.  Options are compared as a set: their order and padding are an
 * implementation's own business.
 */
#include "match.h"

#include "net/base/bytes.h"
#include "net/wire/tcp_hdr.h"
#include <stdio.h>
#include <string.h>

enum { KIND_SACK = 5, KIND_TS = 8 };

/* ---- Options. ---- */

/* The next option behind NOPs; false behind the last. */
static bool next_option(const struct seen *seen, size_t *at, const uint8_t **p, size_t *len)
{
	while (*at < seen->opts_len && seen->opts[*at] == 1)
		++*at;
	if (*at >= seen->opts_len || seen->opts[*at] == 0)
		return false;
	*p = seen->opts + *at;
	*len = (*p)[1];
	*at += *len;
	return true;
}

static const uint8_t *find_option(const struct seen *seen, int kind, size_t *len)
{
	const uint8_t *p;
	size_t at = 0;

	while (next_option(seen, &at, &p, len))
		if (p[0] == kind)
			return p;
	return NULL;
}

/* Learns the value's live form; with a known tick, compares. */
static const char *match_ts_val(struct peer *peer, struct peer_conn *c, uint32_t script,
				uint32_t live, char *text, size_t size)
{
	if (c->ts_count > 0 && peer->ts_tick_us > 0) {
		uint32_t want = c->ts[0].live + (script - c->ts[0].script);
		int32_t off = (int32_t)(live - want);
		int64_t slack = peer->tolerance_us / peer->ts_tick_us + 1;

		if (off > slack || off < -slack) {
			(void)snprintf(text, size, "timestamp value is off by %d ticks", off);
			return text;
		}
	}
	/* The first pair stays: it is the base. */
	unsigned i = c->ts_count < PEER_TS_MAX ? c->ts_count : 1 + c->ts_count % (PEER_TS_MAX - 1);

	c->ts[i] = (struct peer_ts){script, live};
	c->ts_count++;
	return NULL;
}

static const char *match_option(struct peer *peer, const struct opt_spec *o,
				const struct seen *seen, char *text, size_t size)
{
	size_t len;
	const uint8_t *p = find_option(seen, o->kind, &len);

	if (!p || len != o->len + 2u) {
		(void)snprintf(text, size, "TCP option %d is missing or has another size", o->kind);
		return text;
	}
	if (o->kind == KIND_SACK) {
		for (unsigned i = 0; i < o->words; i++)
			if (get_be32(p + 2 + (size_t)4 * i) - peer->isn != o->word[i])
				return "SACK blocks differ";
		return NULL;
	}
	if (o->kind != KIND_TS)
		return memcmp(p + 2, o->data, o->len) == 0 ? NULL : "a TCP option's value differs";
	if (get_be32(p + 6) != o->word[1])
		return "timestamp echo differs";
	return match_ts_val(peer, seen->conn, o->word[0], get_be32(p + 2), text, size);
}

static const char *match_options(struct peer *peer, const struct packet_spec *spec,
				 const struct seen *seen, char *text, size_t size)
{
	const char *why = NULL;
	unsigned wanted = 0;
	unsigned found = 0;
	const uint8_t *p;
	size_t at = 0;
	size_t len;

	if (spec->is_any_opts)
		return NULL;
	for (unsigned i = 0; i < spec->opt_count && !why; i++) {
		if (spec->opt[i].kind == 0 || spec->opt[i].kind == 1)
			continue;
		wanted++;
		why = match_option(peer, &spec->opt[i], seen, text, size);
	}
	while (next_option(seen, &at, &p, &len))
		found++;
	if (!why && found != wanted)
		why = "TCP options that were not expected";
	return why;
}

/* ---- Header and payload. ---- */

static const char *match_ip(const struct packet_spec *spec, const struct seen *seen)
{
	int ecn = seen->tos & 3;

	if (spec->ecn == ECN_ECT01 ? ecn != 1 && ecn != 2 : spec->ecn >= 0 && ecn != spec->ecn)
		return "ECN bits differ";
	if (spec->dscp >= 0 && (seen->tos & 0xfc) != spec->dscp)
		return "TOS differs";
	if (spec->ttl >= 0 && seen->ttl != spec->ttl)
		return "TTL differs";
	return NULL;
}

const char *match_payload(const struct seen *seen)
{
	const struct peer_conn *c = seen->conn;

	if (!c || !c->has_iss || seen->len == 0)
		return NULL;
	/* Data on a SYN stands behind it. */
	size_t from = seen->seq + (seen->flags & TCP_SYN ? 1u : 0u) - c->iss - 1;

	if (from > c->sent_len || seen->len > c->sent_len - from)
		return "payload that the program did not write";
	return memcmp(c->sent + from, seen->payload, seen->len) == 0 ? NULL : "payload differs";
}

const char *match_packet(struct peer *peer, const struct packet_spec *spec, const struct seen *seen,
			 char *text, size_t size)
{
	struct peer_conn *want = spec->conn ? peer_number(peer, spec->conn) : peer->current;

	if (seen->bad)
		return seen->bad;
	if (!seen->is_tcp)
		return "not a TCP packet";
	if (!seen->conn || seen->conn != want)
		return "another connection";
	/* Where a stack sets PSH among the segments of its data is its own business. */
	uint8_t own = !peer->is_strict && seen->len > 0 ? TCP_PSH : 0;

	if ((seen->flags | own) != (spec->flags | own) || seen->ae != spec->ae)
		return "flags differ";
	/* The script's number of the SYN is where its numbers begin. */
	if (spec->flags & TCP_SYN)
		seen->conn->iss = seen->seq - spec->seq;
	if (seen->seq - seen->conn->iss != spec->seq)
		return "sequence number differs";
	if (seen->len != spec->len)
		return "length differs";
	if (spec->flags & TCP_ACK && seen->ack - peer->isn != spec->ack)
		return "acknowledgment number differs";
	if (spec->has_win && seen->win != spec->win)
		return "window differs";
	if (spec->has_urg && seen->urg != spec->urg)
		return "urgent pointer differs";
	const char *why = match_ip(spec, seen);

	return why ? why : match_options(peer, spec, seen, text, size);
}

bool match_join(struct seen *seen, const struct seen *more)
{
	uint8_t either = TCP_PSH | TCP_FIN;

	if (!more->is_tcp || more->bad || more->conn != seen->conn ||
	    more->seq != seen->seq + seen->len || more->ack != seen->ack ||
	    (more->flags | either) != (seen->flags | either) || more->len == 0)
		return false;
	seen->flags |= more->flags;
	seen->len += more->len;
	return true;
}
