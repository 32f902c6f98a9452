/*
 * An internet address: always 16 bytes.  IPv4 a.b.c.d is held as ::ffff:a.b.c.d (RFC 4291 2.5.5.2),
 * so that the address family matters to net/wire and to the API's sockaddr conversion only.
 */
#ifndef WEFT_BASE_ADDR_H
#define WEFT_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct addr {
	uint8_t b[16];
};

/* A connection's four identifiers, seen from this stack. */
struct flow {
	struct addr local;
	struct addr remote;
	uint16_t local_port; /* host order */
	uint16_t remote_port;
};

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool addr_is_v4(const struct addr *a)
{
	static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(a->b, prefix, sizeof(prefix)) == 0;
}

/* The mapped form of the four network-order bytes at 'v4'. */
static inline struct addr addr_from_v4(const uint8_t *v4)
{
	struct addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};

	memcpy(a.b + 12, v4, 4);
	return a;
}

static inline struct addr addr_from_v6(const uint8_t *v6)
{
	struct addr a;

	memcpy(a.b, v6, sizeof(a.b));
	return a;
}

/* 0.0.0.0 or :: */
static inline struct addr addr_any(bool is_v6)
{
	static const uint8_t zero[16];

	return is_v6 ? addr_from_v6(zero) : addr_from_v4(zero);
}

static inline bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return addr_is_v4(a) ? memcmp(a->b + 12, zero, 4) == 0 : memcmp(a->b, zero, 16) == 0;
}

/* 127.0.0.0/8 or ::1 */
static inline bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t v6_loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

	return addr_is_v4(a) ? a->b[12] == 127 : memcmp(a->b, v6_loopback, 16) == 0;
}

/* 224.0.0.0/4 or ff00::/8 */
static inline bool addr_is_multicast(const struct addr *a)
{
	return addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

/* 255.255.255.255; the directed broadcast of a prefix is the interface's matter. */
static inline bool addr_is_broadcast(const struct addr *a)
{
	static const uint8_t ones[4] = {255, 255, 255, 255};

	return addr_is_v4(a) && memcmp(a->b + 12, ones, 4) == 0;
}

/* Whether the first 'bits' of the 16-byte form are equal (an IPv4 /n is bits 96 + n). */
bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned bits);

/* "192.0.2.1" or "2001:db8::1" (RFC 5952) into 'text' of at least ADDR_TEXT_SIZE bytes. */
enum { ADDR_TEXT_SIZE = 48 };

char *addr_print(const struct addr *a, char *text);

/* The other way round; false when 'text' is no address. */
bool addr_parse(const char *text, struct addr *a);

#endif
