/*
 * weft/netdb.h - names of hosts and services: getaddrinfo and getnameinfo for a stack's sockets.
 *
 * struct addrinfo, the flags, the EAI_ errors and gai_strerror are those of <netdb.h>.
 */
#ifndef WEFT_NETDB_H
#define WEFT_NETDB_H

#include <netdb.h>
#include <stdint.h>
#include <weft/dev.h>

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo; /* <netdb.h> has it for POSIX only, not for strict ISO C */
struct weft_stack;

/*
 * Addresses of 'node' with the port of 'service', best first (RFC 6724 6), as sockets of 'stack' see them;
 * NULL: the default stack, or none, when there is none.  0, or one of the EAI_ errors.
 *
 * A literal is no question to anybody.  Names are looked for in the stack's hosts file ('hosts_file' of
 * struct weft_config, read again when it changes), then asked of the stack's resolver, if it has one
 * (weft/dns.h).  localhost and what ends in it is always the loopback address; invalid and onion are
 * nobody's (RFC 6761, RFC 7686).  Services are those of the C library (/etc/services).
 *
 * 'hints' NULL: AI_V4MAPPED | AI_ADDRCONFIG, any family and type, as Linux.  Types: SOCK_STREAM with
 * IPPROTO_TCP, SOCK_DGRAM with IPPROTO_UDP or, if named, IPPROTO_ICMP or IPPROTO_ICMPV6.  AI_ADDRCONFIG asks for
 * those families only of which the stack has an address.  Other flags: EAI_BADFLAGS.
 *
 * Any thread, any number at once.  Blocks as long as the resolver does; no cancellation point; a stack that
 * is closed ends the call (EAI_SYSTEM, ESHUTDOWN).
 */
WEFT_API int weft_getaddrinfo(struct weft_stack *stack, const char *node, const char *service,
			      const struct addrinfo *hints, struct addrinfo **res);

/* Frees what weft_getaddrinfo gave, or any tail of it; NULL: nothing. */
WEFT_API void weft_freeaddrinfo(struct addrinfo *res);

/*
 * The other way round: the name of an address from the hosts file or the resolver, and of a port.  An
 * address without a name is written as a literal, with "%scope" if it has one, unless NI_NAMEREQD.
 * NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD, NI_DGRAM; NI_NOFQDN cuts nothing, a stack has no domain.
 */
WEFT_API int weft_getnameinfo(struct weft_stack *stack, const struct sockaddr *addr, socklen_t len,
			      char *host, socklen_t host_size, char *service,
			      socklen_t service_size, int flags);

/* ---- Resolvers. ---- */

#define WEFT_NAME_SIZE      256 /* bytes of a host's name, with its NUL */
#define WEFT_NAME_ADDRS_MAX 64  /* addresses of a name; what is beyond is left out */

struct weft_name_addr {
	int family;        /* AF_INET or AF_INET6 */
	uint32_t scope_id; /* of AF_INET6, else 0 */
	uint8_t bytes[16]; /* network order; of AF_INET the first 4 */
};

struct weft_name_addrs {
	char canonical[WEFT_NAME_SIZE]; /* "": the name as it was asked */
	unsigned count;
	struct weft_name_addr addrs[WEFT_NAME_ADDRS_MAX];
};

/* Who is asked for names that are not in the hosts file.  All members must be set. */
struct weft_resolver {
	void *ctx;
	/*
	 * Fills in '*out', which is empty, with the name's addresses of 'family' (AF_UNSPEC: of both).  'name' is
	 * neither a literal nor a special name, and may end in a dot.  0 or EAI_...; for EAI_SYSTEM with errno.
	 * Called on any thread, also at once, without a lock of weft; may block, and use the stack's sockets.
	 */
	int (*lookup)(void *ctx, const char *name, int family, struct weft_name_addrs *out);
	/* The name of '*addr', of WEFT_NAME_SIZE bytes; otherwise the same. */
	int (*reverse)(void *ctx, const struct weft_name_addr *addr, char *name);
	/* No call is under way and none will come. */
	void (*close)(void *ctx);
};

/*
 * Gives the stack (NULL: the default one) a resolver in place of the one it has; NULL: none.  The
 * struct is copied.  The old one is closed when the last call on it is over, the last one when the stack
 * is closed.  -1 with errno: ENETDOWN, EINVAL, ENOMEM; 'resolver' is then not closed.
 */
WEFT_API int weft_stack_set_resolver(struct weft_stack *stack,
				     const struct weft_resolver *resolver);

#ifdef __cplusplus
}
#endif

#endif
