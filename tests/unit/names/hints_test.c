/* getaddrinfo's arguments: flags, families, kinds of sockets and ports. */
#include "api/names/hints.h"
#include "unit.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static int read_hints(const char *service, int family, int socktype, int protocol, int flags,
		      struct hints *out)
{
	const struct addrinfo given = {.ai_family = family,
				       .ai_socktype = socktype,
				       .ai_protocol = protocol,
				       .ai_flags = flags};

	return hints_read("h", service, &given, out);
}

/* Kinds as "type/protocol/port ..." for service "80". */
static void kinds(int socktype, int protocol, int rc, const char *wanted)
{
	struct hints out;
	char text[128] = "";

	CU_ASSERT(read_hints("80", AF_UNSPEC, socktype, protocol, 0, &out) == rc);
	for (unsigned i = 0; i < out.kind_count; i++) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, "%s%d/%d/%u", i ? " " : "",
			       out.kinds[i].socktype, out.kinds[i].protocol, out.kinds[i].port);
	}
	CU_ASSERT_STRING_EQUAL(text, wanted);
}

static void test_kinds(void)
{
	kinds(0, 0, 0, "1/6/80 2/17/80");
	kinds(SOCK_STREAM, 0, 0, "1/6/80");
	kinds(SOCK_STREAM, IPPROTO_TCP, 0, "1/6/80");
	kinds(0, IPPROTO_TCP, 0, "1/6/80");
	kinds(SOCK_DGRAM, 0, 0, "2/17/80");
	kinds(0, IPPROTO_UDP, 0, "2/17/80");
	kinds(SOCK_DGRAM, IPPROTO_ICMP, 0, "2/1/80");
	kinds(0, IPPROTO_ICMPV6, 0, "2/58/80");
	kinds(SOCK_STREAM, IPPROTO_UDP, EAI_SOCKTYPE, "");
	kinds(SOCK_DGRAM, IPPROTO_TCP, EAI_SOCKTYPE, "");
	kinds(SOCK_RAW, 0, EAI_SOCKTYPE, "");
	kinds(SOCK_STREAM | SOCK_NONBLOCK, 0, EAI_SOCKTYPE, "");
	kinds(-1, 0, EAI_SOCKTYPE, "");
	kinds(0, IPPROTO_SCTP, EAI_SERVICE, "");
}

static void test_flags(void)
{
	struct hints out;
	struct addrinfo canon = {.ai_flags = AI_CANONNAME};

	CU_ASSERT(read_hints(NULL, AF_UNSPEC, 0, 0,
			     AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV |
				     AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG,
			     &out) == 0);
	CU_ASSERT(read_hints(NULL, AF_UNSPEC, 0, 0, 0x40, &out) == EAI_BADFLAGS);
	CU_ASSERT(read_hints(NULL, AF_UNSPEC, 0, 0, 1 << 30, &out) == EAI_BADFLAGS);
	CU_ASSERT(hints_read(NULL, "80", &canon, &out) == EAI_BADFLAGS);
	CU_ASSERT(hints_read("h", "80", &canon, &out) == 0);
	/* Linux' meaning of no hints. */
	CU_ASSERT(hints_read("h", NULL, NULL, &out) == 0);
	CU_ASSERT(out.flags == (AI_V4MAPPED | AI_ADDRCONFIG) && out.family == AF_UNSPEC);
	CU_ASSERT(hints_read(NULL, NULL, NULL, &out) == EAI_NONAME);
}

static void test_families(void)
{
	struct hints out;

	CU_ASSERT(read_hints(NULL, AF_INET, 0, 0, 0, &out) == 0);
	CU_ASSERT(read_hints(NULL, AF_INET6, 0, 0, 0, &out) == 0);
	CU_ASSERT(read_hints(NULL, AF_UNIX, 0, 0, 0, &out) == EAI_FAMILY);
	CU_ASSERT(read_hints(NULL, -1, 0, 0, 0, &out) == EAI_FAMILY);
}

static void test_services(void)
{
	struct hints out;

	CU_ASSERT(read_hints("0", AF_INET, SOCK_STREAM, 0, 0, &out) == 0);
	CU_ASSERT(read_hints("65535", AF_INET, SOCK_STREAM, 0, AI_NUMERICSERV, &out) == 0);
	CU_ASSERT(out.kinds[0].port == 65535);
	CU_ASSERT(read_hints("65536", AF_INET, SOCK_STREAM, 0, 0, &out) == EAI_SERVICE);
	CU_ASSERT(read_hints("99999999999999999999", AF_INET, 0, 0, 0, &out) == EAI_SERVICE);
	CU_ASSERT(read_hints("", AF_INET, 0, 0, 0, &out) == EAI_SERVICE);
	CU_ASSERT(read_hints("-1", AF_INET, 0, 0, 0, &out) == EAI_SERVICE);
	CU_ASSERT(read_hints("http", AF_INET, 0, 0, AI_NUMERICSERV, &out) == EAI_NONAME);
	CU_ASSERT(read_hints("no-such-service", AF_INET, 0, 0, 0, &out) == EAI_SERVICE);
	CU_ASSERT(read_hints("http", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0, &out) == EAI_SERVICE);
}

/* Names are those of /etc/services, if there is one. */
static void test_service_names(void)
{
	struct servent entry, *found = NULL;
	struct hints out;
	char room[1024], text[NI_MAXSERV];

	if (getservbyname_r("domain", "tcp", &entry, room, sizeof(room), &found) != 0 || !found) {
		puts("no /etc/services");
		return;
	}
	CU_ASSERT(read_hints("domain", AF_INET, 0, 0, 0, &out) == 0);
	CU_ASSERT(out.kind_count == 2 && out.kinds[0].port == 53 && out.kinds[1].port == 53);
	/* TCP only: no datagrams. */
	CU_ASSERT(read_hints("ssh", AF_INET, 0, 0, 0, &out) == 0);
	CU_ASSERT(out.kind_count == 1 && out.kinds[0].socktype == SOCK_STREAM);
	CU_ASSERT(read_hints("ssh", AF_INET, SOCK_DGRAM, 0, 0, &out) == EAI_SERVICE);
	CU_ASSERT(hints_service_name(53, true, text, sizeof(text)));
	CU_ASSERT_STRING_EQUAL(text, "domain");
	CU_ASSERT(!hints_service_name(53, true, text, 6));
	CU_ASSERT(hints_service_name(53, true, text, 7));
	CU_ASSERT(!hints_service_name(65533, false, text, sizeof(text)));
}

UNIT_MAIN("hints", UNIT(kinds), UNIT(flags), UNIT(families), UNIT(services), UNIT(service_names))
