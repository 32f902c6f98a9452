/* getaddrinfo and getnameinfo without anybody to ask: literals, numbers, hints, flags, sizes. */
#include "diff.h"

#include <arpa/inet.h>
#include <stdio.h>

static const char *error_name(int rc)
{
	switch (rc) {
	case 0:
		return "0";
	case EAI_AGAIN:
		return "EAI_AGAIN";
	case EAI_BADFLAGS:
		return "EAI_BADFLAGS";
	case EAI_FAMILY:
		return "EAI_FAMILY";
	case EAI_NONAME:
		return "EAI_NONAME";
	case EAI_OVERFLOW:
		return "EAI_OVERFLOW";
	case EAI_SERVICE:
		return "EAI_SERVICE";
	case EAI_SOCKTYPE:
		return "EAI_SOCKTYPE";
	case EAI_ADDRFAMILY:
		return "EAI_ADDRFAMILY";
	case EAI_NODATA:
		return "EAI_NODATA";
	default:
		return "other";
	}
}

/* All of the list on a line. */
static void look_up(const char *name, const char *node, const char *service,
		    const struct addrinfo *hints)
{
	struct addrinfo *res = NULL;
	char line[600], host[64];
	int rc = x_getaddrinfo(SERVER, node, service, hints, &res);
	size_t at = (size_t)snprintf(line, sizeof(line), "%s", error_name(rc));

	for (const struct addrinfo *a = rc == 0 ? res : NULL; a && at < 500; a = a->ai_next) {
		const void *addr =
			a->ai_family == AF_INET
				? (void *)&((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr
				: (void *)&((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr;

		(void)inet_ntop(a->ai_family, addr, host, sizeof(host));
		at += (size_t)snprintf(line + at, sizeof(line) - at, " %s/%d/%d/%d%s%s", host,
				       ntohs(((struct sockaddr_in *)(void *)a->ai_addr)->sin_port),
				       a->ai_socktype, a->ai_protocol, a->ai_canonname ? "=" : "",
				       a->ai_canonname ? a->ai_canonname : "");
	}
	say_text(name, line);
	if (rc == 0)
		x_freeaddrinfo(SERVER, res);
}

static void literals(void)
{
	static const char *const nodes[] = {
		"192.0.2.1", "127.1",      "0x7f000001",  "1.2.3",         "1.2.3.256",
		"1.2.3.4.5", "0",          "010.0.0.1",   "2001:db8::7",   "::ffff:192.0.2.1",
		"fe80::1",   "::",         "2001:db8::g", "2001:db8::7%1", "[::1]",
		"",          " 192.0.2.1", "1.2.3.4 ",
	};
	struct addrinfo stream = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

	say_prefix("literal");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		look_up(nodes[i][0] ? nodes[i] : "empty", nodes[i], "80", &stream);
	say_prefix("literal4");
	stream.ai_family = AF_INET;
	look_up("four", "192.0.2.1", NULL, &stream);
	look_up("six", "2001:db8::7", NULL, &stream);
	look_up("mapped", "::ffff:192.0.2.1", NULL, &stream);
	say_prefix("literal6");
	stream.ai_family = AF_INET6;
	look_up("four", "192.0.2.1", NULL, &stream);
	look_up("six", "2001:db8::7", NULL, &stream);
	stream.ai_flags |= AI_V4MAPPED;
	look_up("four_mapped", "192.0.2.1", NULL, &stream);
}

static void hints(void)
{
	struct addrinfo any = {.ai_flags = AI_NUMERICHOST};
	struct addrinfo h = any;

	say_prefix("hints");
	look_up("any", "192.0.2.1", "80", &any);
	look_up("any_no_service", "192.0.2.1", NULL, &any);
	look_up("none", "192.0.2.1", "80", NULL);
	look_up("nothing", NULL, NULL, NULL);
	h.ai_socktype = SOCK_DGRAM;
	look_up("dgram", "192.0.2.1", "53", &h);
	h.ai_protocol = IPPROTO_TCP;
	look_up("dgram_tcp", "192.0.2.1", "53", &h);
	h.ai_socktype = 0;
	look_up("tcp", "192.0.2.1", "53", &h);
	h.ai_protocol = IPPROTO_UDP;
	look_up("udp", "192.0.2.1", "53", &h);
	h = any;
	h.ai_socktype = 77;
	look_up("bad_type", "192.0.2.1", "53", &h);
	h = any;
	h.ai_family = AF_UNIX;
	look_up("unix", "192.0.2.1", "53", &h);
	h.ai_family = 77;
	look_up("bad_family", "192.0.2.1", "53", &h);
	h = any;
	h.ai_flags = 1 << 30;
	look_up("bad_flags", "192.0.2.1", "53", &h);
	h = any;
	h.ai_flags |= AI_CANONNAME;
	h.ai_socktype = SOCK_STREAM;
	look_up("canonname", "192.0.2.1", "53", &h);
	look_up("canonname_no_node", NULL, "53", &h);
	h.ai_flags = AI_NUMERICHOST;
	look_up("name", "example.com", "53", &h);
	h.ai_flags = AI_PASSIVE;
	look_up("passive", NULL, "53", &h);
	h.ai_flags = 0;
	look_up("loopback", NULL, "53", &h);
	h.ai_family = AF_INET;
	look_up("loopback4", NULL, "53", &h);
	h.ai_flags = AI_PASSIVE;
	look_up("passive4", NULL, "53", &h);
	h.ai_family = AF_INET6;
	look_up("passive6", NULL, "53", &h);
}

static void services(void)
{
	static const char *const names[] = {"0",   "65535", "65536",          "-1", "80x", "0x50",
					    " 80", "",      "no-such-service"};
	struct addrinfo h = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

	say_prefix("service");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		look_up(names[i][0] ? names[i] : "empty", "192.0.2.1", names[i], &h);
	h.ai_flags |= AI_NUMERICSERV;
	say_prefix("service_numeric");
	look_up("number", "192.0.2.1", "80", &h);
	look_up("name", "192.0.2.1", "http", &h);
	h.ai_socktype = 0;
	h.ai_flags = AI_NUMERICHOST;
	look_up("any_type", "192.0.2.1", "80", &h);
}

static void name_of(const char *name, const struct sockaddr *addr, socklen_t len, socklen_t size,
		    int flags)
{
	char host[64] = "-", service[64] = "-", line[160];
	int rc = x_getnameinfo(SERVER, addr, len, size > 0 ? host : NULL, size,
			       size > 0 ? service : NULL, size, flags);

	if (rc == 0)
		(void)snprintf(line, sizeof(line), "%s %s", host, service);
	say_text(name, rc == 0 ? line : error_name(rc));
}

static void back(void)
{
	struct sockaddr_in in = strange_addr4(4711);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(4711)};
	const struct sockaddr *a4 = (struct sockaddr *)&in, *a6 = (struct sockaddr *)&in6;
	int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
	socklen_t len4 = sizeof(in), len6 = sizeof(in6);

	(void)inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr);
	say_prefix("back");
	name_of("four", a4, len4, 64, numbers);
	name_of("six", a6, len6, 64, numbers);
	name_of("dgram", a4, len4, 64, numbers | NI_DGRAM);
	name_of("short4", a4, 15, 64, numbers);
	name_of("short6", a6, 23, 64, numbers);
	name_of("short_family", a4, 1, 64, numbers);
	name_of("small", a4, len4, 4, numbers);
	name_of("exact", a4, len4, 12, numbers);
	name_of("nothing", a4, len4, 0, numbers);
	name_of("flags", a4, len4, 64, 1 << 20);
	name_of("numeric_and_required", a4, len4, 64, numbers | NI_NAMEREQD);
	(void)inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr);
	name_of("mapped", a6, len6, 64, numbers);
	(void)inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr);
	name_of("no_scope", a6, len6, 64, numbers);
	in6.sin6_scope_id = 4711;
	name_of("scope", a6, len6, 64, numbers);
}

void topic_names(void)
{
	literals();
	hints();
	services();
	back();
}
