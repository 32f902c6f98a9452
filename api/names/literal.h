/*
 * Addresses written as text, and back.  Scope ids are numbers or names of interfaces (RFC 4007 11).  Any
 * thread, no lock; a scope's name asks the kernel.
 */
#ifndef WEFT_NAMES_LITERAL_H
#define WEFT_NAMES_LITERAL_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include <weft/netdb.h>

enum { LITERAL_SIZE = 80 }; /* "address%scope" with its NUL */

/*
 * Reads "192.0.2.1", "2001:db8::1" or "fe80::1%2"; with 'is_lax' also what inet_aton takes ("127.1",
 * "0x7f000001"), as POSIX has it for getaddrinfo.  False: no address.
 */
bool literal_read(const char *text, bool is_lax, struct weft_name_addr *out) WARN_UNUSED;

/* Writes the address into 'text' of LITERAL_SIZE bytes. */
void literal_write(const struct weft_name_addr *addr, char *text);

/* The 16-byte form, IPv4 as ::ffff:a.b.c.d. */
struct addr literal_addr(const struct weft_name_addr *addr);

/* From that; a mapped address becomes one of AF_INET. */
struct weft_name_addr literal_from(const struct addr *addr);

#endif
