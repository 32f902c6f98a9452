/*
 * Setting up a network interface through rtnetlink (libmnl): addresses, routes, MTU, link state.
 * Called by tun.c on the thread that opens the device; blocks for the kernel's answers only.
 */
#ifndef WEFT_TUN_NETLINK_H
#define WEFT_TUN_NETLINK_H

#include "net/base/addr.h"
#include "net/base/check.h"
#include "tun/why.h"
#include <stdbool.h>
#include <stdint.h>

/* One family's addresses of an interface. */
struct nl_family {
	bool has_local;      /* the kernel's address is to be set */
	bool has_remote;     /* the stack's address: gets a route */
	struct addr local;   /* the kernel's address */
	struct addr remote;  /* the stack's address */
	unsigned prefix_len; /* of the net around 'remote', in bits of its family */
};

struct nl_setup {
	const char *name; /* of the interface */
	unsigned index;
	uint32_t mtu;
	struct nl_family v4;
	struct nl_family v6;
};

/*
 * Parses 'local' ("A" or NULL) and 'remote' ("A/PLEN", "A" for the address alone, or NULL), both of
 * IP 'version' 4 or 6.  0 or -EINVAL with a line in 'why'.
 */
WARN_UNUSED int nl_parse(struct nl_family *f, unsigned version, const char *local,
			 const char *remote, const struct why *why);

/*
 * Sets the MTU, the link up, addresses and routes, in that order.  An interface that is up with
 * the right MTU already is left alone, so that a caller without rights can use one that was set up
 * for it.  0, or a negative errno with a line in 'why'.
 */
WARN_UNUSED int nl_setup_link(const struct nl_setup *setup, const struct why *why);

#endif
