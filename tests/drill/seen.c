/* What the stack sent: taken apart, and printed in the script's language; see peer.h. */
#include "peer.h"

#include "net/base/bytes.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The connection with these ports; the first active one without a port of its own yet takes them. */
static struct peer_conn *conn_of(struct peer *peer, const struct seen *seen)
{
	struct peer_conn *c = peer_find(peer, seen->src_port, seen->dst_port);
	struct peer_conn *oldest = NULL;

	if (c)
		return c;
	for (c = peer->conns; c; c = c->next)
		if (c->local_port == 0 && c->remote_port == seen->dst_port)
			oldest = c;
	if (oldest && seen->flags & TCP_SYN)
		oldest->local_port = seen->src_port;
	return oldest;
}

static void see_tcp(struct peer *peer, const uint8_t *p, size_t size, struct seen *seen)
{
	struct tcp_hdr hdr;

	if (tcp_hdr_parse(p, size, &hdr) != DROP_NONE) {
		seen->bad = "malformed TCP header";
		return;
	}
	if (!tcp_csum_ok(p, size, &peer->local, &peer->remote))
		seen->bad = "wrong TCP checksum";
	seen->is_tcp = true;
	seen->src_port = hdr.src_port;
	seen->dst_port = hdr.dst_port;
	seen->flags = hdr.flags;
	seen->ae = hdr.ae;
	seen->seq = hdr.seq;
	seen->ack = hdr.ack;
	seen->win = hdr.wnd;
	seen->urg = hdr.up;
	seen->opts = p + TCP_HDR_SIZE;
	seen->opts_len = hdr.hdr_len - (size_t)TCP_HDR_SIZE;
	seen->payload = p + hdr.hdr_len;
	seen->len = size - hdr.hdr_len;
	seen->conn = conn_of(peer, seen);
	if (!seen->conn)
		return;
	seen->conn->last_seq = seen->seq;
	seen->conn->last_len = (uint32_t)(seen->opts_len + seen->len);
	if (seen->flags & TCP_SYN) {
		seen->conn->iss = seen->seq;
		seen->conn->has_iss = true;
	}
}

void peer_see(struct peer *peer, const struct bed_packet *packet, struct seen *seen)
{
	struct ip_hdr ip;

	*seen = (struct seen){.at = packet->at};
	if (ip_parse(packet->data, packet->len, &ip) != DROP_NONE) {
		seen->bad = "malformed IP packet";
		return;
	}
	if (!addr_equal(&ip.src, &peer->local) || !addr_equal(&ip.dst, &peer->remote))
		seen->bad = "unexpected IP addresses";
	seen->tos = ip.tos;
	seen->ttl = ip.ttl;
	if (ip.proto == IP_PROTO_TCP)
		see_tcp(peer, packet->data + ip.hdr_len, ip.payload_len, seen);
}

/* ---- Text. ---- */

struct out {
	char *at;
	size_t left;
};

static void print(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void print(struct out *o, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(o->at, o->left, format, args);

	va_end(args);
	size_t used = n < 0 ? 0 : (size_t)n < o->left ? (size_t)n : o->left - (o->left > 0);

	o->at += used;
	o->left -= used;
}

static void print_sack(struct out *o, const struct peer *peer, const uint8_t *p, size_t len)
{
	print(o, "sack");
	for (size_t i = 2; i + 8 <= len; i += 8)
		print(o, " %u:%u", get_be32(p + i) - peer->isn, get_be32(p + i + 4) - peer->isn);
}

/* The script's name for a timestamp of the stack's. */
static uint32_t script_ts(const struct peer_conn *c, uint32_t live)
{
	return c && c->ts_count > 0 ? live - (c->ts[0].live - c->ts[0].script) : live;
}

static void print_option(struct out *o, const struct peer *peer, const struct seen *seen,
			 const uint8_t *p, size_t len)
{
	switch (p[0]) {
	case 2:
		print(o, "mss %u", get_be16(p + 2));
		break;
	case 3:
		print(o, "wscale %u", p[2]);
		break;
	case 4:
		print(o, "sackOK");
		break;
	case 5:
		print_sack(o, peer, p, len);
		break;
	case 8:
		print(o, "TS val %u ecr %u", script_ts(seen->conn, get_be32(p + 2)),
		      get_be32(p + 6));
		break;
	default:
		print(o, "unknown %u 0x", p[0]);
		for (size_t i = 2; i < len; i++)
			print(o, "%02x", p[i]);
	}
}

static void print_options(struct out *o, const struct peer *peer, const struct seen *seen)
{
	const char *comma = " <";

	for (size_t i = 0; i < seen->opts_len;) {
		const uint8_t *p = seen->opts + i;
		size_t len = p[0] > 1 ? p[1] : 1;

		print(o, "%s", comma);
		comma = ",";
		if (p[0] > 1)
			print_option(o, peer, seen, p, len);
		else
			print(o, "%s", p[0] ? "nop" : "eol");
		if (p[0] == 0)
			break;
		i += len;
	}
	if (seen->opts_len > 0)
		print(o, ">");
}

void peer_print(const struct peer *peer, const struct seen *seen, char *text, size_t size)
{
	static const char letters[] = "FSRP.UEW";
	struct out o = {text, size};
	uint32_t seq = seen->seq - (seen->conn ? seen->conn->iss : 0);

	print(&o, "> ");
	if (seen->conn && seen->conn != peer->current)
		print(&o, "#%u ", seen->conn->number);
	if (!seen->is_tcp) {
		print(&o, "%s", seen->bad ? seen->bad : "a packet that is not TCP");
		return;
	}
	for (unsigned i = 0; i < 8; i++)
		if (seen->flags & 1u << i)
			print(&o, "%c", letters[i]);
	if (seen->ae)
		print(&o, "A");
	print(&o, "%s %u:%u(%zu)", seen->flags ? "" : "-", seq, seq + (uint32_t)seen->len,
	      seen->len);
	if (seen->flags & TCP_ACK)
		print(&o, " ack %u", seen->ack - peer->isn);
	print(&o, " win %u", seen->win);
	if (seen->flags & TCP_URG)
		print(&o, " urg %u", seen->urg);
	print_options(&o, peer, seen);
	if (seen->bad)
		print(&o, " (%s)", seen->bad);
}
