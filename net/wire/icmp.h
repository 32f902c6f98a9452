/* ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and errors with the packet they quote. */
#ifndef WEFT_WIRE_ICMP_H
#define WEFT_WIRE_ICMP_H

#include "net/base/addr.h"
#include "net/base/drop.h"
#include "net/wire/ip.h"
#include <stddef.h>
#include <stdint.h>

enum icmp_kind {
	ICMP_ECHO_REQUEST,
	ICMP_ECHO_REPLY,
	ICMP_UNREACH,       /* destination unreachable; 'code' as on the wire */
	ICMP_TOO_BIG,       /* v4 fragmentation needed, v6 packet too big; 'mtu' */
	ICMP_TIME_EXCEEDED, /* TTL or reassembly */
	ICMP_PARAM,         /* parameter problem */
	ICMP_OTHER,         /* anything else, source quench among it: not handled */
	ICMP_OTHER_ERROR,   /* an ICMPv6 error of a type that is not known */
};

enum {
	ICMP_HDR_SIZE = 8,
	ICMP4_ERROR_MAX = 576,  /* size of a whole ICMP error packet (RFC 1812 4.3.2.3) */
	ICMP6_ERROR_MAX = 1280, /* RFC 4443 2.4 (c) */
	ICMP4_UNREACH_NET = 0,
	ICMP4_UNREACH_HOST = 1,
	ICMP4_UNREACH_PROTO = 2,
	ICMP4_UNREACH_PORT = 3,
	ICMP6_UNREACH_NO_ROUTE = 0,
	ICMP6_UNREACH_ADMIN = 1,
	ICMP6_UNREACH_ADDR = 3,
	ICMP6_UNREACH_PORT = 4,
	ICMP6_PARAM_NEXT_HDR = 1,
	ICMP4_TYPE_ECHO = 8, /* request, as on the wire */
	ICMP6_TYPE_ECHO = 128,
	ICMP_TIME_REASSEMBLY = 1, /* of both versions */
};

struct icmp_msg {
	enum icmp_kind kind;
	uint8_t code;
	uint16_t id;         /* echo */
	uint16_t seq;        /* echo */
	uint32_t mtu;        /* too big */
	uint32_t pointer;    /* parameter problem */
	const uint8_t *body; /* echo data, or the quoted packet; points into the parsed bytes */
	size_t body_len;
};

/* Parses 'size' bytes at 'p', the payload of 'ip' (whose addresses ICMPv6 checksums cover). */
enum drop icmp_parse(const uint8_t *p, size_t size, const struct ip_hdr *ip, struct icmp_msg *msg);

/*
 * Writes the message with its checksum, from 'src' to 'dst' (the family chooses ICMP or ICMPv6),
 * into 'p', which has room for ICMP_HDR_SIZE + msg->body_len bytes.  'body' may overlap.  Returns
 * the size.
 */
size_t icmp_emit(uint8_t *p, const struct icmp_msg *msg, const struct addr *src,
		 const struct addr *dst);

/* What an ICMP error quotes: enough of the transport header to find the connection. */
struct icmp_quote {
	struct addr src;
	struct addr dst;
	uint32_t size;  /* of the whole packet, as its header says */
	size_t hdr_len; /* where the transport header begins */
	uint8_t proto;
	uint16_t src_port; /* the identifier of an echo request */
	uint16_t dst_port;
	uint32_t tcp_seq; /* TCP only */
	bool is_echo;     /* an ICMP or ICMPv6 echo request */
};

/* Parses a quoted packet (at least the IP header and 8 bytes; lengths in it may be larger). */
enum drop icmp_quote_parse(const uint8_t *p, size_t size, struct icmp_quote *quote);

#endif
