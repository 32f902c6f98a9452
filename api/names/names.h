/*
 * Where a stack's names come from: its hosts file and its resolver, and how many calls are using them.  Any
 * thread.  The mutex is a leaf, and held for moments only.
 */
#ifndef WEFT_NAMES_NAMES_H
#define WEFT_NAMES_NAMES_H

#include "api/names/hosts_file.h"
#include "net/base/check.h"
#include "net/base/sync.h"
#include <weft/netdb.h>

struct names_resolver; /* a registered resolver with a count of users */

struct names {
	struct hosts_file hosts;
	char *path; /* of 'hosts' */
	struct mutex mutex;
	struct cond idle; /* 'calls' became 0 */
	/* Guarded by 'mutex'. */
	struct names_resolver *resolver;
	unsigned calls;
};

/* 'path' of the hosts file; NULL: /etc/hosts, "": none.  0 or -ENOMEM. */
int names_init(struct names *names, const char *path) WARN_UNUSED;

/* Waits until all calls are over, and closes the resolver. */
void names_fini(struct names *names);

/* A call begins, and ends: 'names' lives as long. */
void names_enter(struct names *names);
void names_leave(struct names *names);

/* weft_stack_set_resolver.  0 or -ENOMEM. */
int names_set_resolver(struct names *names, const struct weft_resolver *resolver) WARN_UNUSED;

/*
 * Between names_enter and names_leave: the addresses of 'name' by what is special about it, by the hosts file
 * or by the resolver, as weft_getaddrinfo says.  '*out' is empty.  0 or EAI_..., EAI_SYSTEM with errno.
 */
int names_lookup(struct names *names, const char *name, int family, struct weft_name_addrs *out)
	WARN_UNUSED;

/* The same the other way; 'name' has WEFT_NAME_SIZE bytes. */
int names_reverse(struct names *names, const struct weft_name_addr *addr, char *name) WARN_UNUSED;

#endif
