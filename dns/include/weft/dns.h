/*
 * weft/dns.h - a resolver for a stack that asks DNS servers, over sockets of that stack.  In a library of
 * its own, libweft-dns, which needs c-ares.
 */
#ifndef WEFT_DNS_H
#define WEFT_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weft/weft.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_DNS_SERVERS_MAX 8  /* more are not asked */
#define WEFT_DNS_SEARCH_MAX  16 /* more are not tried */

/* Whom to ask.  Start from WEFT_DNS_CONFIG_INIT; 0 or NULL in a member means its default. */
struct weft_dns_config {
	/*
	 * A file in the form of resolv.conf(5), read once, here: nameserver, search, domain, and the options
	 * ndots, timeout, attempts, rotate and use-vc.  NULL: none is read, also not the system's.
	 */
	const char *resolv_conf;
	/*
	 * Instead of the file's: addresses with or without a port, between blanks or commas,
	 * "192.0.2.53 [2001:db8::53]:5353".
	 */
	const char *servers;
	const char *search; /* instead of the file's: domains between blanks or commas; "": none */
	uint32_t ndots;     /* a name with as many dots is tried as it is first; 1, at most 15 */
	uint32_t
		timeout_ms; /* for an answer to the first try, doubled with each round of tries; 5,000 */
	uint32_t tries;    /* of each server; 2, at most 10 */
	uint32_t total_ms; /* a whole call takes no longer; 30,000 */
	bool rotate;       /* each call begins with another server */
	bool tcp_only;
};

#define WEFT_DNS_CONFIG_INIT                                                                       \
	{                                                                                          \
		.resolv_conf = NULL                                                                \
	}

/*
 * Makes DNS the resolver of 'stack' (weft_stack_set_resolver), until another takes its place or the
 * stack is closed.  0, or -1 with errno (EINVAL: something in 'config' is wrong, or there is no server)
 * and a line in 'why' of 'why_size' bytes (may be NULL, 0).  'config' is copied.  Any thread.
 *
 * weft_getaddrinfo then asks for A and AAAA at once, by UDP and, where an answer was cut, by TCP, each
 * call with a source port of its own.  Any number of threads may ask at once.
 */
WEFT_API int weft_dns_attach(struct weft_stack *stack, const struct weft_dns_config *config,
			     char *why, size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
