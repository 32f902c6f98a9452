/* weft_getnameinfo: POSIX, RFC 3493 6.2.  Any thread; blocks only in the resolver. */
#include "api/names/hints.h"
#include "api/names/literal.h"
#include "api/src/api_ret.h"
#include "api/src/scene.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { KNOWN_FLAGS = NI_NUMERICHOST | NI_NUMERICSERV | NI_NOFQDN | NI_NAMEREQD | NI_DGRAM };

/* 0 or EAI_FAMILY. */
static int read_addr(const struct sockaddr *addr, socklen_t len, struct weft_name_addr *out,
		     uint16_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (!addr || len < sizeof(sa_family_t))
		return EAI_FAMILY;
	*out = (struct weft_name_addr){.family = addr->sa_family};
	if (addr->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, addr, sizeof(in));
		memcpy(out->bytes, &in.sin_addr, sizeof(in.sin_addr));
		*port = ntohs(in.sin_port);
		return 0;
	}
	if (addr->sa_family != AF_INET6 || len < sizeof(in6))
		return EAI_FAMILY;
	memcpy(&in6, addr, sizeof(in6));
	memcpy(out->bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
	out->scope_id = in6.sin6_scope_id;
	*port = ntohs(in6.sin6_port);
	return 0;
}

static int copy_out(const char *text, char *to, socklen_t size)
{
	size_t length = strlen(text);

	if (length >= size)
		return EAI_OVERFLOW;
	memcpy(to, text, length + 1);
	return 0;
}

static int find_name(struct weft_stack *stack, const struct weft_name_addr *addr, char *name)
{
	struct addr bytes = literal_addr(addr);
	/* A mapped address is a host's IPv4 one. */
	struct weft_name_addr plain = addr_is_v4(&bytes) ? literal_from(&bytes) : *addr;
	struct scene scene;
	int rc = scene_enter(&scene, stack);

	if (rc < 0) {
		(void)api_ret_int(rc);
		return rc == -ENOMEM ? EAI_MEMORY : EAI_SYSTEM;
	}
	rc = names_reverse(scene.names, &plain, name);
	scene_leave(&scene);
	return rc;
}

static int write_host(struct weft_stack *stack, const struct weft_name_addr *addr, int flags,
		      char *host, socklen_t size)
{
	char literal[LITERAL_SIZE];
	char name[WEFT_NAME_SIZE] = "";
	int rc = flags & NI_NUMERICHOST ? EAI_NONAME : find_name(stack, addr, name);

	if (rc == 0)
		return copy_out(name, host, size);
	/* Without a name the literal does; memory and what the system refused are told. */
	if (rc == EAI_MEMORY || rc == EAI_SYSTEM || (flags & NI_NAMEREQD))
		return rc;
	literal_write(addr, literal);
	return copy_out(literal, host, size);
}

static int write_service(uint16_t port, int flags, char *service, socklen_t size)
{
	char name[NI_MAXSERV];

	if (flags & NI_NUMERICSERV ||
	    !hints_service_name(port, flags & NI_DGRAM, name, sizeof(name)))
		(void)snprintf(name, sizeof(name), "%u", port);
	return copy_out(name, service, size);
}

/* POSIX has that many.  NOLINTNEXTLINE(readability-function-size) */
int weft_getnameinfo(struct weft_stack *stack, const struct sockaddr *addr, socklen_t len,
		     char *host, socklen_t host_size, char *service, socklen_t service_size,
		     int flags)
{
	bool wants_host = host && host_size > 0;
	bool wants_service = service && service_size > 0;
	struct weft_name_addr bytes;
	uint16_t port;

	if (flags & ~KNOWN_FLAGS)
		return EAI_BADFLAGS;
	int rc = read_addr(addr, len, &bytes, &port);

	if (rc != 0)
		return rc;
	if (!wants_host && !wants_service)
		return EAI_NONAME;
	if (wants_host)
		rc = write_host(stack, &bytes, flags, host, host_size);
	if (rc == 0 && wants_service)
		rc = write_service(port, flags, service, service_size);
	return rc;
}
