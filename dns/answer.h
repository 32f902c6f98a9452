/*
 * What a DNS message says: addresses, or the name of an address (RFC 1035 4, RFC 3596).  The bytes come from
 * the network.  Pure but for memory: any thread, no lock.
 */
#ifndef WEFT_DNS_ANSWER_H
#define WEFT_DNS_ANSWER_H

#include "net/base/check.h"
#include <stdint.h>
#include <weft/netdb.h>

enum {
	ANSWER_TYPE_A = 1,
	ANSWER_TYPE_CNAME = 5,
	ANSWER_TYPE_PTR = 12,
	ANSWER_TYPE_AAAA = 28,
	ANSWER_RECORDS_MAX = 256, /* of a message that are looked at */
	ANSWER_ALIASES_MAX = 16,  /* in a row */
};

/*
 * Adds to '*out' the addresses of 'type' that the message has for the name that it was asked for, aliases
 * followed, and sets the canonical name.  Records of other names are not looked at.  0; EAI_NODATA: there
 * are none; EAI_FAIL: malformed, too many aliases, or a canonical name that is none of a host; EAI_MEMORY.
 */
int answer_addrs(const uint8_t *msg, int size, int type, struct weft_name_addrs *out) WARN_UNUSED;

/* The same for a PTR record; 'name' has WEFT_NAME_SIZE bytes. */
int answer_name(const uint8_t *msg, int size, char *name) WARN_UNUSED;

#endif
