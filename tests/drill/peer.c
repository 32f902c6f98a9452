/* The peer's connections and what it injects; see peer.h.  Called by the thread that runs the script. */
#include "peer.h"

#include "net/base/bytes.h"
#include "net/base/check.h"
#include "net/wire/csum.h"
#include "net/wire/icmp.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REMOTE_PORT = 50000, /* and on, of the connections that the peer opens */
	DEFAULT_PORT = 8080,
	KIND_SACK = 5,
	KIND_TS = 8,
	QUOTE_TCP = 8, /* bytes of the TCP header that an ICMP error quotes */
};

uint8_t peer_byte(uint32_t script_seq)
{
	return (uint8_t)(script_seq * 7 + (script_seq >> 8) * 13 + (script_seq >> 16));
}

/* ---- Connections. ---- */

static struct peer_conn *conn_new(struct peer *peer, unsigned number)
{
	struct peer_conn *c = calloc(1, sizeof(*c));

	WEFT_ASSERT(c);
	c->number = number;
	c->read_pos = 1;
	c->next = peer->conns;
	peer->conns = c;
	peer->current = c;
	if (number > peer->count)
		peer->count = number;
	return c;
}

void peer_fini(struct peer *peer)
{
	while (peer->conns) {
		struct peer_conn *c = peer->conns;

		peer->conns = c->next;
		free(c->sent);
		free(c);
	}
}

struct peer_conn *peer_expect_active(struct peer *peer, uint16_t remote_port)
{
	struct peer_conn *c = conn_new(peer, peer->count + 1);

	c->remote_port = remote_port;
	peer->is_fresh = false;
	return c;
}

struct peer_conn *peer_find(struct peer *peer, uint16_t local_port, uint16_t remote_port)
{
	for (struct peer_conn *c = peer->conns; c; c = c->next)
		if (c->local_port == local_port && c->remote_port == remote_port)
			return c;
	return NULL;
}

struct peer_conn *peer_number(struct peer *peer, unsigned number)
{
	for (struct peer_conn *c = peer->conns; c; c = c->next)
		if (c->number == number)
			return c;
	return NULL;
}

/* The connection that the packet is for, a new one if need be. */
static struct peer_conn *conn_for(struct peer *peer, const struct packet_spec *spec)
{
	bool is_syn = (spec->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && !spec->is_icmp;
	struct peer_conn *c = spec->conn ? peer_number(peer, spec->conn) : peer->current;

	if (c && (spec->conn || !is_syn || !peer->is_fresh)) {
		peer->current = c;
		return c;
	}
	c = conn_new(peer, spec->conn ? spec->conn : peer->count + 1);
	c->remote_port = (uint16_t)(REMOTE_PORT + c->number);
	c->local_port = peer->listen_port ? peer->listen_port : DEFAULT_PORT;
	peer->is_fresh = false;
	return c;
}

void peer_write(struct peer_conn *conn, const void *data, size_t size)
{
	if (conn->sent_len + size > conn->sent_cap) {
		conn->sent_cap = 2 * (conn->sent_len + size);
		conn->sent = realloc(conn->sent, conn->sent_cap);
		WEFT_ASSERT(conn->sent);
	}
	if (size > 0)
		memcpy(conn->sent + conn->sent_len, data, size);
	conn->sent_len += size;
}

void peer_wrote(struct peer_conn *conn, size_t len)
{
	if (len < conn->sent_len)
		conn->sent_len = len;
}

/* ---- Injection. ---- */

/* The stack's timestamp that the script calls so. */
static uint32_t live_ecr(const struct peer_conn *c, uint32_t script)
{
	unsigned kept = c->ts_count < PEER_TS_MAX ? c->ts_count : PEER_TS_MAX;

	for (unsigned i = 0; i < kept; i++) {
		const struct peer_ts *ts = &c->ts[(c->ts_count - 1 - i) % PEER_TS_MAX];

		if (ts->script == script)
			return ts->live;
	}
	return kept > 0 ? script + (c->ts[0].live - c->ts[0].script) : script;
}

static size_t put_option(const struct peer_conn *c, const struct opt_spec *o, bool has_ack,
			 uint8_t *out)
{
	size_t n = 0;

	if (o->kind != OPT_RAW)
		out[n++] = (uint8_t)o->kind;
	if (o->kind > 1)
		out[n++] = (uint8_t)(o->len + 2);
	if (o->kind == KIND_TS) {
		put_be32(out + n, o->word[0]);
		put_be32(out + n + 4, has_ack ? live_ecr(c, o->word[1]) : o->word[1]);
	} else if (o->kind == KIND_SACK) {
		for (unsigned i = 0; i < o->words; i++)
			put_be32(out + n + (size_t)4 * i, o->word[i] + c->iss);
	} else {
		memcpy(out + n, o->data, o->len);
	}
	return n + o->len;
}

/* Header and payload with checksum; the size. */
static size_t build_tcp(struct peer *peer, struct peer_conn *c, const struct packet_spec *spec,
			uint8_t *out)
{
	size_t hdr = TCP_HDR_SIZE;

	memset(out, 0, TCP_HDR_MAX);
	for (unsigned i = 0; i < spec->opt_count; i++)
		hdr += put_option(c, &spec->opt[i], spec->flags & TCP_ACK, out + hdr);
	hdr = (hdr + 3) & ~(size_t)3;
	put_be16(out, c->remote_port);
	put_be16(out + 2, c->local_port);
	put_be32(out + 4, spec->seq + peer->isn);
	put_be32(out + 8, spec->has_ack ? spec->ack + c->iss : 0);
	out[12] = (uint8_t)(hdr / 4 << 4);
	out[12] = (uint8_t)(out[12] | spec->ae);
	out[13] = spec->flags;
	put_be16(out + 14, spec->win);
	put_be16(out + 18, spec->urg);
	uint32_t first = spec->seq + (spec->flags & TCP_SYN ? 1u : 0u);

	if (spec->flags & TCP_SYN && !c->has_read)
		c->read_pos = first;
	if (spec->flags & TCP_URG && spec->urg > 0) {
		c->urgent[1] = c->urgent[0];
		c->urgent[0] = first + spec->urg;
	}
	for (uint32_t i = 0; i < spec->len; i++)
		out[hdr + i] = peer_byte(first + i);
	size_t size = hdr + spec->len;
	uint64_t sum = csum_pseudo(&peer->remote, &peer->local, IP_PROTO_TCP, (uint32_t)size);

	put_be16(out + 16, csum_finish(csum_add(sum, out, size)));
	return size;
}

/* An ICMP error that quotes the head of a segment of the stack's. */
static size_t build_icmp(struct peer *peer, const struct peer_conn *c,
			 const struct packet_spec *spec, uint8_t *out)
{
	bool is_v4 = addr_is_v4(&peer->remote);
	uint32_t seq = spec->has_quote ? spec->quote_seq + c->iss : c->last_seq;
	uint32_t len = spec->has_quote ? spec->quote_len : c->last_len;
	struct ip_hdr quoted = {.src = peer->local,
				.dst = peer->remote,
				.payload_len = (uint16_t)(TCP_HDR_SIZE + len),
				.proto = IP_PROTO_TCP,
				.ttl = IP_TTL_DEFAULT};

	memset(out, 0, ICMP_HDR_SIZE);
	out[0] = is_v4 ? spec->icmp_type4 : spec->icmp_type6;
	out[1] = is_v4 ? spec->icmp_code4 : spec->icmp_code6;
	if (spec->has_mtu && is_v4)
		put_be16(out + 6, (uint16_t)spec->mtu);
	else if (spec->has_mtu)
		put_be32(out + 4, spec->mtu);
	size_t size = ICMP_HDR_SIZE;

	size += ip_emit(out + size, &quoted);
	put_be16(out + size, c->local_port);
	put_be16(out + size + 2, c->remote_port);
	put_be32(out + size + 4, seq);
	size += QUOTE_TCP;
	uint64_t sum =
		is_v4 ? 0
		      : csum_pseudo(&peer->remote, &peer->local, IP_PROTO_ICMP6, (uint32_t)size);

	put_be16(out + 2, csum_finish(csum_add(sum, out, size)));
	return size;
}

/* Sets what the script says of the IP header. */
static void patch_ip(uint8_t *ip, bool is_v4, const struct packet_spec *spec)
{
	unsigned ecn = spec->ecn == ECN_ANY ? 0 : (unsigned)spec->ecn & 3;
	unsigned tos = (spec->dscp < 0 ? 0 : (unsigned)spec->dscp) | ecn;

	if (!is_v4) {
		put_be32(ip, 6u << 28 | tos << 20);
		if (spec->ttl >= 0)
			ip[7] = (uint8_t)spec->ttl;
		return;
	}
	ip[1] = (uint8_t)tos;
	if (spec->ttl >= 0)
		ip[8] = (uint8_t)spec->ttl;
	put_be16(ip + 10, 0);
	put_be16(ip + 10, csum_finish(csum_add(0, ip, IP4_HDR_SIZE)));
}

size_t peer_build(struct peer *peer, const struct packet_spec *spec, uint8_t *out, char *why,
		  size_t why_size)
{
	struct peer_conn *c = conn_for(peer, spec);
	bool is_v4 = addr_is_v4(&peer->remote);
	size_t hdr = ip_hdr_size(&peer->remote);

	if (spec->is_icmp && !(is_v4 ? spec->has_icmp4 : spec->has_icmp6)) {
		(void)snprintf(why, why_size, "IPv%d has no such ICMP error", is_v4 ? 4 : 6);
		return 0;
	}
	if (c->local_port == 0) {
		(void)snprintf(why, why_size, "the stack has sent no SYN for connection %u",
			       c->number);
		return 0;
	}
	if (hdr + TCP_HDR_MAX + spec->len > PEER_PACKET_MAX) {
		(void)snprintf(why, why_size, "%u bytes do not fit a packet", spec->len);
		return 0;
	}
	size_t size = spec->is_icmp ? build_icmp(peer, c, spec, out + hdr)
				    : build_tcp(peer, c, spec, out + hdr);
	int proto = !spec->is_icmp ? IP_PROTO_TCP : is_v4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6;
	struct ip_hdr ip = {.src = peer->remote,
			    .dst = peer->local,
			    .payload_len = (uint16_t)size,
			    .proto = (uint8_t)proto,
			    .ttl = IP_TTL_DEFAULT};

	(void)ip_emit(out, &ip);
	patch_ip(out, is_v4, spec);
	return hdr + size;
}
