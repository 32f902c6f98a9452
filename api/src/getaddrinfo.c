/*
 * weft_getaddrinfo and weft_freeaddrinfo: POSIX, RFC 3493 6.1, and Linux where they leave a choice.  Any
 * thread; blocks only in the resolver.
 */
#include "api/names/hints.h"
#include "api/names/literal.h"
#include "api/src/api_ret.h"
#include "api/src/scene.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* A call's state between its steps. */
struct work {
	struct hints hints;
	struct weft_name_addrs found;
};

/* EAI_SYSTEM with errno for what is none of getaddrinfo's own errors. */
static int fail(int rc)
{
	if (rc == -ENOMEM)
		return EAI_MEMORY;
	(void)api_ret_int(rc);
	return EAI_SYSTEM;
}

static void add(struct weft_name_addrs *found, struct weft_name_addr addr)
{
	found->addrs[found->count++] = addr;
}

/* ---- Where addresses come from. ---- */

/* No node: any address, for bind, or the loopback ones. */
static void take_own(struct work *work)
{
	const uint8_t last = work->hints.flags & AI_PASSIVE ? 0 : 1;

	if (work->hints.family != AF_INET)
		add(&work->found, (struct weft_name_addr){.family = AF_INET6, .bytes[15] = last});
	if (work->hints.family != AF_INET6)
		add(&work->found, (struct weft_name_addr){
					  .family = AF_INET,
					  .bytes = {last ? 127 : 0, [3] = last},
				  });
}

static struct weft_name_addr to_mapped(const struct weft_name_addr *v4)
{
	struct addr mapped = literal_addr(v4);
	struct weft_name_addr out = {.family = AF_INET6};

	memcpy(out.bytes, mapped.b, sizeof(mapped.b));
	return out;
}

/* A literal becomes one of the family that is wanted, if it can. */
static int take_literal(struct work *work, const struct weft_name_addr *literal)
{
	struct addr bytes = literal_addr(literal);
	int family = work->hints.family;

	if (family == AF_UNSPEC || family == literal->family)
		add(&work->found, *literal);
	else if (family == AF_INET && addr_is_v4(&bytes))
		add(&work->found, literal_from(&bytes));
	else if (family == AF_INET6 && (work->hints.flags & AI_V4MAPPED))
		add(&work->found, to_mapped(literal));
	else
		return EAI_ADDRFAMILY;
	return 0;
}

static bool has_own(const struct scene *scene, bool is_v4)
{
	for (unsigned i = 0; i < scene->own_count; i++)
		if (addr_is_v4(&scene->own[i].addr) == is_v4)
			return true;
	return false;
}

/* Which family to ask for, AF_UNSPEC for both; -1: none. */
static int family_to_ask(const struct scene *scene, const struct hints *hints)
{
	bool needs4 = hints->family != AF_INET6 || (hints->flags & AI_V4MAPPED);
	bool needs6 = hints->family != AF_INET;

	if ((hints->flags & AI_ADDRCONFIG) && scene->has_stack) {
		needs4 = needs4 && has_own(scene, true);
		needs6 = needs6 && has_own(scene, false);
	}
	if (needs4 && needs6)
		return AF_UNSPEC;
	if (!needs4 && !needs6)
		return -1;
	return needs4 ? AF_INET : AF_INET6;
}

/* AF_INET6 with AI_V4MAPPED: IPv4 addresses in IPv6's form, when there are no others or with AI_ALL. */
static void map_found(struct work *work)
{
	struct weft_name_addrs *found = &work->found;
	bool has_v6 = false;
	unsigned kept = 0;

	for (unsigned i = 0; i < found->count; i++)
		has_v6 = has_v6 || found->addrs[i].family == AF_INET6;
	for (unsigned i = 0; i < found->count; i++) {
		struct weft_name_addr addr = found->addrs[i];

		if (addr.family == AF_INET && has_v6 && !(work->hints.flags & AI_ALL))
			continue;
		found->addrs[kept++] = addr.family == AF_INET ? to_mapped(&addr) : addr;
	}
	found->count = kept;
}

static int take_name(struct work *work, const struct scene *scene, const char *node)
{
	int family = family_to_ask(scene, &work->hints);

	if (family < 0)
		return EAI_NONAME;
	int rc = names_lookup(scene->names, node, family, &work->found);

	if (rc == 0 && work->hints.family == AF_INET6)
		map_found(work);
	return rc;
}

static int find(struct work *work, const struct scene *scene, const char *node)
{
	struct weft_name_addr literal;

	if (!node) {
		take_own(work);
		return 0;
	}
	if (literal_read(node, true, &literal))
		return take_literal(work, &literal);
	return work->hints.flags & AI_NUMERICHOST ? EAI_NONAME : take_name(work, scene, node);
}

/* ---- The list. ---- */

/* One allocation: a tail of the list may be freed alone. */
struct entry {
	struct addrinfo info;

	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;
};

static struct addrinfo *new_entry(const struct weft_name_addr *addr, const struct hints_kind *kind)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->info = (struct addrinfo){
		.ai_family = addr->family,
		.ai_socktype = kind->socktype,
		.ai_protocol = kind->protocol,
		.ai_addr = &entry->addr.any,
	};
	if (addr->family == AF_INET) {
		entry->info.ai_addrlen = sizeof(entry->addr.in);
		entry->addr.in.sin_family = AF_INET;
		entry->addr.in.sin_port = htons(kind->port);
		memcpy(&entry->addr.in.sin_addr, addr->bytes, sizeof(entry->addr.in.sin_addr));
	} else {
		entry->info.ai_addrlen = sizeof(entry->addr.in6);
		entry->addr.in6.sin6_family = AF_INET6;
		entry->addr.in6.sin6_port = htons(kind->port);
		entry->addr.in6.sin6_scope_id = addr->scope_id;
		memcpy(&entry->addr.in6.sin6_addr, addr->bytes, sizeof(addr->bytes));
	}
	return &entry->info;
}

/* All kinds of sockets for one address behind '**end'.  False: no memory. */
static bool append(const struct work *work, const struct weft_name_addr *addr,
		   struct addrinfo ***end)
{
	for (unsigned i = 0; i < work->hints.kind_count; i++) {
		const struct hints_kind *kind = &work->hints.kinds[i];

		if (kind->family != AF_UNSPEC && kind->family != addr->family)
			continue;
		**end = new_entry(addr, kind);
		if (!**end)
			return false;
		(**end)->ai_flags = work->hints.flags;
		*end = &(**end)->ai_next;
	}
	return true;
}

/* The first entry has the canonical name. */
static bool name_first(const struct work *work, const char *node, struct addrinfo *first)
{
	const char *name = work->found.canonical[0] ? work->found.canonical : node;

	if (!first || !(work->hints.flags & AI_CANONNAME))
		return true;
	first->ai_canonname = strdup(name);
	return first->ai_canonname != NULL;
}

static int make_list(const struct work *work, const char *node, struct addrinfo **res)
{
	struct addrinfo *list = NULL;
	struct addrinfo **end = &list;
	bool is_complete = true;

	for (unsigned i = 0; is_complete && i < work->found.count; i++)
		is_complete = append(work, &work->found.addrs[i], &end);
	if (!is_complete || !name_first(work, node, list)) {
		weft_freeaddrinfo(list);
		return EAI_MEMORY;
	}
	if (!list)
		return EAI_ADDRFAMILY; /* ICMP's kinds are of one family */
	*res = list;
	return 0;
}

static int run(const char *node, struct weft_stack *stack, struct work *work, struct addrinfo **res)
{
	struct scene scene;
	int rc = scene_enter(&scene, stack);

	if (rc < 0)
		return fail(rc);
	rc = find(work, &scene, node);
	/* Without a node the order is ours: IPv6, whose sockets may take both. */
	if (rc == 0 && node)
		order_sort(work->found.addrs, work->found.count, scene.own, scene.own_count);
	if (rc == 0)
		rc = make_list(work, node, res);
	scene_leave(&scene);
	return rc;
}

int weft_getaddrinfo(struct weft_stack *stack, const char *node, const char *service,
		     const struct addrinfo *hints, struct addrinfo **res)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work)
		return EAI_MEMORY;
	/* Also where the C library reads its services. */
	int cancel_state = thread_cancel_off();
	int rc = hints_read(node, service, hints, &work->hints);

	if (rc == 0)
		rc = run(node, stack, work, res);
	thread_cancel_restore(cancel_state);
	free(work);
	return rc;
}

void weft_freeaddrinfo(struct addrinfo *res)
{
	while (res) {
		struct addrinfo *next = res->ai_next;

		free(res->ai_canonname);
		free(CONTAINER_OF(res, struct entry, info));
		res = next;
	}
}
