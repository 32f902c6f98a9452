/* getaddrinfo's arguments; see hints.h.  Any thread. */
#include "api/names/hints.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	KNOWN_FLAGS = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV | AI_V4MAPPED |
		      AI_ALL | AI_ADDRCONFIG,
	/* What Linux does for no hints. */
	DEFAULT_FLAGS = AI_V4MAPPED | AI_ADDRCONFIG,
};

/* The kinds of sockets that there are. */
struct kind {
	int socktype;
	int protocol;
	int family;           /* AF_UNSPEC: both */
	const char *services; /* protocol in /etc/services; NULL: it has no ports */
	bool is_named_only;   /* for who names the protocol */
};

static const struct kind kinds[] = {
	{SOCK_STREAM, IPPROTO_TCP, AF_UNSPEC, "tcp", false},
	{SOCK_DGRAM, IPPROTO_UDP, AF_UNSPEC, "udp", false},
	{SOCK_DGRAM, IPPROTO_ICMP, AF_INET, NULL, true},
	{SOCK_DGRAM, IPPROTO_ICMPV6, AF_INET6, NULL, true},
};

static_assert(ARRAY_SIZE(kinds) <= HINTS_KINDS_MAX, "all of them fit");

static bool is_wanted(const struct kind *kind, const struct addrinfo *given)
{
	if (given->ai_socktype != 0 && given->ai_socktype != kind->socktype)
		return false;
	if (given->ai_protocol != 0)
		return given->ai_protocol == kind->protocol;
	return !kind->is_named_only;
}

/* All digits, a port; -1: no number, -2: too large a one. */
static int read_port(const char *text)
{
	int port = 0;

	if (!*text)
		return -1;
	for (const char *at = text; *at; at++) {
		if (*at < '0' || *at > '9')
			return -1;
		if (port <= UINT16_MAX)
			port = port * 10 + (*at - '0');
	}
	return port <= UINT16_MAX ? port : -2;
}

enum { SERVICE_ROOM = 1024, SERVICE_ROOM_MAX = 64 << 10 };

/* A port by name: 0, EAI_SERVICE, EAI_MEMORY. */
static int find_service(const char *name, const char *protocol, uint16_t *port)
{
	struct servent *found = NULL;
	struct servent entry;
	int rc = ERANGE;

	for (size_t size = SERVICE_ROOM; rc == ERANGE && size <= SERVICE_ROOM_MAX; size *= 4) {
		char *room = malloc(size);

		if (!room)
			return EAI_MEMORY;
		rc = getservbyname_r(name, protocol, &entry, room, size, &found);
		if (rc == 0 && found)
			*port = ntohs((uint16_t)found->s_port);
		free(room);
	}
	return rc == 0 && found ? 0 : EAI_SERVICE;
}

/* The port of 'service' (NULL: 0) for a kind of sockets. */
static int port_for(const struct kind *kind, const char *service, int number, uint16_t *port)
{
	*port = number >= 0 ? (uint16_t)number : 0;
	if (!service || number >= 0)
		return 0;
	return kind->services ? find_service(service, kind->services, port) : EAI_SERVICE;
}

static int read_kinds(const struct addrinfo *given, const char *service, struct hints *out)
{
	int number = service ? read_port(service) : -1;
	bool is_kind = false;

	if (number == -2)
		return EAI_SERVICE;
	if (service && number < 0 && (out->flags & AI_NUMERICSERV))
		return EAI_NONAME;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint16_t port;

		if (!is_wanted(&kinds[i], given))
			continue;
		is_kind = true;
		int rc = port_for(&kinds[i], service, number, &port);
		if (rc == EAI_MEMORY)
			return rc;
		if (rc == 0)
			out->kinds[out->kind_count++] = (struct hints_kind){
				kinds[i].family, kinds[i].socktype, kinds[i].protocol, port};
	}
	if (!is_kind)
		return given->ai_socktype ? EAI_SOCKTYPE : EAI_SERVICE;
	return out->kind_count > 0 ? 0 : EAI_SERVICE;
}

int hints_read(const char *node, const char *service, const struct addrinfo *given,
	       struct hints *out)
{
	static const struct addrinfo none = {.ai_flags = DEFAULT_FLAGS};

	if (!given)
		given = &none;
	*out = (struct hints){.flags = given->ai_flags, .family = given->ai_family};
	if (!node && !service)
		return EAI_NONAME;
	if (out->flags & ~KNOWN_FLAGS || (!node && (out->flags & AI_CANONNAME)))
		return EAI_BADFLAGS;
	if (out->family != AF_UNSPEC && out->family != AF_INET && out->family != AF_INET6)
		return EAI_FAMILY;
	return read_kinds(given, service, out);
}

bool hints_service_name(uint16_t port, bool is_datagram, char *text, size_t size)
{
	struct servent *found = NULL;
	struct servent entry;
	char room[SERVICE_ROOM];

	if (getservbyport_r(htons(port), is_datagram ? "udp" : "tcp", &entry, room, sizeof(room),
			    &found) != 0 ||
	    !found)
		return false;
	size_t length = strlen(found->s_name);

	if (length >= size)
		return false;
	memcpy(text, found->s_name, length + 1);
	return true;
}
