/*
 * In which order a program should try a name's addresses: RFC 6724 6, with the default policy table (2.1).
 * Pure: any thread, no lock.
 */
#ifndef WEFT_NAMES_ORDER_H
#define WEFT_NAMES_ORDER_H

#include "net/base/addr.h"
#include <weft/netdb.h>

/* An address of the stack. */
struct order_own {
	struct addr addr;
	unsigned prefix; /* bits of the 16-byte form */
};

/*
 * Sorts by rules 1, 2, 5, 6, 8, 9 and 10; a stack knows no deprecated, home or tunnelled addresses (3, 4, 7).
 * Rule 9 counts bits within the source's prefix for IPv6; of IPv4 only whether the destination is on the
 * link, since else it would undo a DNS server's round robin.
 */
void order_sort(struct weft_name_addr *list, unsigned count, const struct order_own *own,
		unsigned own_count);

#endif
