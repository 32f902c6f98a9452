/* Sources of names, in their order; see names.h.  Any thread. */
#include "api/names/names.h"

#include "api/names/hostname.h"
#include "api/names/literal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct names_resolver {
	struct weft_resolver calls;
	unsigned users; /* guarded by the mutex of 'struct names', which is one */
};

int names_init(struct names *names, const char *path)
{
	names->path = strdup(path ? path : "/etc/hosts");
	if (!names->path)
		return -ENOMEM;
	hosts_file_init(&names->hosts, names->path);
	mutex_init(&names->mutex);
	cond_init(&names->idle);
	names->resolver = NULL;
	names->calls = 0;
	return 0;
}

/* May be NULL.  The last user closes it, without the mutex. */
static void put_resolver(struct names *names, struct names_resolver *resolver)
{
	bool is_last = false;

	if (!resolver)
		return;
	mutex_lock(&names->mutex);
	is_last = --resolver->users == 0;
	mutex_unlock(&names->mutex);
	if (!is_last)
		return;
	resolver->calls.close(resolver->calls.ctx);
	free(resolver);
}

static struct names_resolver *get_resolver(struct names *names)
{
	mutex_lock(&names->mutex);
	struct names_resolver *resolver = names->resolver;

	if (resolver)
		resolver->users++;
	mutex_unlock(&names->mutex);
	return resolver;
}

void names_fini(struct names *names)
{
	mutex_lock(&names->mutex);
	while (names->calls > 0)
		cond_wait(&names->idle, &names->mutex);
	struct names_resolver *resolver = names->resolver;

	names->resolver = NULL;
	mutex_unlock(&names->mutex);
	put_resolver(names, resolver);
	hosts_file_fini(&names->hosts);
	cond_fini(&names->idle);
	mutex_fini(&names->mutex);
	free(names->path);
}

void names_enter(struct names *names)
{
	mutex_lock(&names->mutex);
	names->calls++;
	mutex_unlock(&names->mutex);
}

void names_leave(struct names *names)
{
	mutex_lock(&names->mutex);
	WEFT_ASSERT(names->calls > 0);
	if (--names->calls == 0)
		cond_broadcast(&names->idle);
	mutex_unlock(&names->mutex);
}

int names_set_resolver(struct names *names, const struct weft_resolver *resolver)
{
	struct names_resolver *made = NULL;

	if (resolver) {
		made = malloc(sizeof(*made));
		if (!made)
			return -ENOMEM;
		*made = (struct names_resolver){*resolver, 1};
	}
	mutex_lock(&names->mutex);
	struct names_resolver *old = names->resolver;

	names->resolver = made;
	mutex_unlock(&names->mutex);
	put_resolver(names, old);
	return 0;
}

static const struct weft_name_addr loopbacks[] = {
	{.family = AF_INET6, .bytes = {[15] = 1}},
	{.family = AF_INET, .bytes = {127, 0, 0, 1}},
};

static int lookup_localhost(int family, struct weft_name_addrs *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(loopbacks); i++)
		if (family == AF_UNSPEC || family == loopbacks[i].family)
			out->addrs[out->count++] = loopbacks[i];
	return 0;
}

/* Without a final dot, which hosts files do not have. */
static int lookup_hosts(struct names *names, const char *name, int family,
			struct weft_name_addrs *out, bool *is_found)
{
	struct hosts_copy *copy;
	char bare[WEFT_NAME_SIZE];
	size_t length = strlen(name);
	int rc = hosts_file_get(&names->hosts, &copy);

	if (rc < 0)
		return EAI_MEMORY;
	memcpy(bare, name, length + 1);
	if (bare[length - 1] == '.')
		bare[length - 1] = '\0';
	*is_found = copy && hosts_lookup(hosts_file_hosts(copy), bare, family, out);
	hosts_file_put(&names->hosts, copy);
	return 0;
}

/* What a resolver of somebody else's gave: within the bounds of what was asked for. */
static int check_answer(int family, struct weft_name_addrs *out)
{
	if (out->count > WEFT_NAME_ADDRS_MAX || !memchr(out->canonical, '\0', WEFT_NAME_SIZE))
		return EAI_FAIL;
	for (unsigned i = 0; i < out->count; i++) {
		int found = out->addrs[i].family;

		if ((found != AF_INET && found != AF_INET6) ||
		    (family != AF_UNSPEC && found != family))
			return EAI_FAIL;
	}
	return out->count > 0 ? 0 : EAI_NODATA;
}

static int lookup_resolver(struct names *names, const char *name, int family,
			   struct weft_name_addrs *out)
{
	struct names_resolver *resolver = get_resolver(names);

	if (!resolver)
		return EAI_NONAME;
	int rc = resolver->calls.lookup(resolver->calls.ctx, name, family, out);

	put_resolver(names, resolver);
	return rc == 0 ? check_answer(family, out) : rc;
}

int names_lookup(struct names *names, const char *name, int family, struct weft_name_addrs *out)
{
	bool is_found;

	if (!hostname_is_askable(name) || hostname_is_nobodys(name))
		return EAI_NONAME;
	if (hostname_is_localhost(name))
		return lookup_localhost(family, out);
	int rc = lookup_hosts(names, name, family, out, &is_found);

	if (rc != 0 || is_found)
		return rc;
	return lookup_resolver(names, name, family, out);
}

static int reverse_hosts(struct names *names, const struct weft_name_addr *addr, char *name)
{
	struct hosts_copy *copy;

	if (hosts_file_get(&names->hosts, &copy) < 0)
		return EAI_MEMORY;
	const char *found = copy ? hosts_reverse(hosts_file_hosts(copy), addr) : NULL;

	if (found)
		memcpy(name, found, strlen(found) + 1);
	hosts_file_put(&names->hosts, copy);
	return found ? 0 : EAI_NONAME;
}

int names_reverse(struct names *names, const struct weft_name_addr *addr, char *name)
{
	struct addr bytes = literal_addr(addr);
	int rc = reverse_hosts(names, addr, name);

	if (rc != EAI_NONAME)
		return rc;
	if (addr_is_loopback(&bytes)) {
		memcpy(name, "localhost", sizeof("localhost"));
		return 0;
	}
	struct names_resolver *resolver = get_resolver(names);

	if (!resolver)
		return EAI_NONAME;
	rc = resolver->calls.reverse(resolver->calls.ctx, addr, name);
	put_resolver(names, resolver);
	if (rc == 0 && !memchr(name, '\0', WEFT_NAME_SIZE))
		return EAI_FAIL;
	return rc;
}
