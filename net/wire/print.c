/*
 * Packets as text, in a form close to tcpdump's.  Called by traces and failed tests on any thread;
 * no state.  Text that does not fit is cut, never written outside.
 */
#include "net/wire/print.h"

#include "net/base/addr.h"
#include "net/base/check.h"
#include "net/wire/icmp.h"
#include "net/wire/ip.h"
#include "net/wire/udp_hdr.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Text being written; 'used' never passes size - 1, and a NUL stands there. */
struct out {
	char *text;
	size_t size;
	size_t used;
};

static struct out out_begin(char *text, size_t size)
{
	if (size > 0)
		text[0] = '\0';
	return (struct out){.text = text, .size = size};
}

__attribute__((format(printf, 2, 3))) static void append(struct out *o, const char *format, ...)
{
	va_list args;

	if (o->used + 1 >= o->size)
		return;
	va_start(args, format);
	int len = vsnprintf(o->text + o->used, o->size - o->used, format, args);

	va_end(args);
	if (len < 0)
		return;
	o->used += (size_t)len;
	if (o->used >= o->size)
		o->used = o->size - 1;
}

static void append_drop(struct out *o, enum drop why)
{
	append(o, "<%s: %s>", drop_name(why), drop_text(why));
}

/* ---- TCP. ---- */

static void append_flags(struct out *o, uint8_t flags, bool ae)
{
	static const struct {
		enum tcp_flag flag;
		char letter;
	} letters[] = {
		{TCP_SYN, 'S'}, {TCP_FIN, 'F'}, {TCP_RST, 'R'}, {TCP_PSH, 'P'},
		{TCP_URG, 'U'}, {TCP_ECE, 'E'}, {TCP_CWR, 'W'}, {TCP_ACK, '.'},
	};

	if (flags == 0 && !ae)
		append(o, "none");
	if (ae)
		append(o, "e"); /* as tcpdump */
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (flags & (unsigned)letters[i].flag)
			append(o, "%c", letters[i].letter);
}

static void append_opts(struct out *o, const struct tcp_opts *opt)
{
	const char *comma = " <";
	size_t blocks = opt->sack_count < TCP_SACK_MAX ? opt->sack_count : TCP_SACK_MAX;

	if (opt->has_mss) {
		append(o, "%smss %u", comma, opt->mss);
		comma = ",";
	}
	if (opt->has_sack_ok) {
		append(o, "%ssackOK", comma);
		comma = ",";
	}
	if (opt->has_ts) {
		append(o, "%sTS val %" PRIu32 " ecr %" PRIu32, comma, opt->ts_val, opt->ts_ecr);
		comma = ",";
	}
	if (opt->has_wscale) {
		append(o, "%swscale %u", comma, opt->wscale);
		comma = ",";
	}
	if (blocks > 0) {
		append(o, "%ssack ", comma);
		comma = ",";
	}
	for (size_t i = 0; i < blocks; i++)
		append(o, "{%" PRIu32 ":%" PRIu32 "}", opt->sack[i].start, opt->sack[i].end);
	if (comma[0] == ',')
		append(o, ">");
}

static void append_tcp(struct out *o, const struct tcp_hdr *hdr, size_t payload_len)
{
	append_flags(o, hdr->flags, hdr->ae);
	append(o, " %" PRIu32 ":%" PRIu32 "(%zu)", hdr->seq, hdr->seq + (uint32_t)payload_len,
	       payload_len);
	if (hdr->flags & TCP_ACK)
		append(o, " ack %" PRIu32, hdr->ack);
	append(o, " win %u", hdr->wnd);
	if (hdr->flags & TCP_URG)
		append(o, " urg %u", hdr->up);
	append_opts(o, &hdr->opt);
}

char *tcp_print(const struct tcp_hdr *hdr, size_t payload_len, char *text, size_t size)
{
	struct out o = out_begin(text, size);

	append_tcp(&o, hdr, payload_len);
	return text;
}

/* ---- Whole packets. ---- */

/* "192.0.2.1:80", "[2001:db8::1]:80", or, for a negative port, the address alone. */
static void append_end(struct out *o, const struct addr *a, int port)
{
	char text[ADDR_TEXT_SIZE];

	addr_print(a, text);
	if (port < 0)
		append(o, "%s", text);
	else
		append(o, addr_is_v4(a) ? "%s:%d" : "[%s]:%d", text, port);
}

static void append_ends(struct out *o, const struct ip_hdr *ip, int src_port, int dst_port)
{
	append_end(o, &ip->src, src_port);
	append(o, " > ");
	append_end(o, &ip->dst, dst_port);
	append(o, " ");
}

static void append_icmp(struct out *o, const struct icmp_msg *msg)
{
	switch (msg->kind) {
	case ICMP_ECHO_REQUEST:
	case ICMP_ECHO_REPLY:
		append(o, "ICMP echo %s id %u seq %u (%zu)",
		       msg->kind == ICMP_ECHO_REQUEST ? "request" : "reply", msg->id, msg->seq,
		       msg->body_len);
		break;
	case ICMP_UNREACH:
		append(o, "ICMP unreachable code %u", msg->code);
		break;
	case ICMP_TOO_BIG:
		append(o, "ICMP too big mtu %" PRIu32, msg->mtu);
		break;
	case ICMP_TIME_EXCEEDED:
		append(o, "ICMP time exceeded code %u", msg->code);
		break;
	case ICMP_PARAM:
		append(o, "ICMP parameter problem code %u pointer %" PRIu32, msg->code,
		       msg->pointer);
		break;
	case ICMP_OTHER:
	case ICMP_OTHER_ERROR:
		append(o, "ICMP other code %u (%zu)", msg->code, msg->body_len);
		break;
	}
}

static void append_quote(struct out *o, const struct icmp_msg *msg)
{
	struct icmp_quote q;

	if (msg->kind == ICMP_ECHO_REQUEST || msg->kind == ICMP_ECHO_REPLY ||
	    msg->kind == ICMP_OTHER || icmp_quote_parse(msg->body, msg->body_len, &q) != DROP_NONE)
		return;
	append(o, " for ");
	append_end(o, &q.src, q.src_port);
	append(o, " > ");
	append_end(o, &q.dst, q.dst_port);
	append(o, " proto %u", q.proto);
	if (q.proto == IP_PROTO_TCP)
		append(o, " seq %" PRIu32, q.tcp_seq);
}

static void append_icmp_packet(struct out *o, const struct ip_hdr *ip, const uint8_t *p)
{
	struct icmp_msg msg;
	enum drop why = icmp_parse(p, ip->payload_len, ip, &msg);

	append_ends(o, ip, -1, -1);
	if (why != DROP_NONE) {
		append_drop(o, why);
		return;
	}
	append_icmp(o, &msg);
	append_quote(o, &msg);
}

static void append_tcp_packet(struct out *o, const struct ip_hdr *ip, const uint8_t *p)
{
	struct tcp_hdr tcp;
	enum drop why = tcp_hdr_parse(p, ip->payload_len, &tcp);

	if (why != DROP_NONE) {
		append_ends(o, ip, -1, -1);
		append_drop(o, why);
		return;
	}
	append_ends(o, ip, tcp.src_port, tcp.dst_port);
	append_tcp(o, &tcp, (size_t)ip->payload_len - tcp.hdr_len);
}

static void append_udp_packet(struct out *o, const struct ip_hdr *ip, const uint8_t *p)
{
	struct udp_hdr udp;
	enum drop why = udp_hdr_parse(p, ip->payload_len, &ip->src, &ip->dst, &udp);

	if (why != DROP_NONE) {
		append_ends(o, ip, -1, -1);
		append_drop(o, why);
		return;
	}
	append_ends(o, ip, udp.src_port, udp.dst_port);
	append(o, "UDP (%u)", (unsigned)udp.len - UDP_HDR_SIZE);
}

char *packet_print(const uint8_t *pkt, size_t pkt_size, char *text, size_t size)
{
	struct out o = out_begin(text, size);
	struct ip_hdr ip;
	enum drop why = ip_parse(pkt, pkt_size, &ip);

	if (why != DROP_NONE) {
		append_drop(&o, why);
		return text;
	}
	const uint8_t *p = pkt + ip.hdr_len;

	if (ip.proto == IP_PROTO_TCP) {
		append_tcp_packet(&o, &ip, p);
	} else if (ip.proto == IP_PROTO_UDP) {
		append_udp_packet(&o, &ip, p);
	} else if (ip.proto == (ip.version == 4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6)) {
		append_icmp_packet(&o, &ip, p);
	} else {
		append_ends(&o, &ip, -1, -1);
		append(&o, "proto %u (%u)", ip.proto, ip.payload_len);
	}
	return text;
}
