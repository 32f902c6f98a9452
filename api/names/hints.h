/*
 * What the caller of getaddrinfo wants: flags, families, kinds of sockets, ports.  Any thread, no lock;
 * services are the C library's (getservbyname_r).
 */
#ifndef WEFT_NAMES_HINTS_H
#define WEFT_NAMES_HINTS_H

#include "net/base/check.h"
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

/* One kind of socket that results are made for. */
struct hints_kind {
	int family; /* AF_UNSPEC: any */
	int socktype;
	int protocol;
	uint16_t port; /* host order */
};

enum { HINTS_KINDS_MAX = 4 };

struct hints {
	int flags;
	int family;
	unsigned kind_count;
	struct hints_kind kinds[HINTS_KINDS_MAX];
};

/*
 * Reads and checks the arguments.  0; EAI_NONAME, EAI_BADFLAGS, EAI_FAMILY, EAI_SOCKTYPE, EAI_SERVICE,
 * EAI_MEMORY.
 */
int hints_read(const char *node, const char *service, const struct addrinfo *given,
	       struct hints *out) WARN_UNUSED;

/* The name of a port's service into 'text'; false: it has none, or it does not fit. */
bool hints_service_name(uint16_t port, bool is_datagram, char *text, size_t size) WARN_UNUSED;

#endif
