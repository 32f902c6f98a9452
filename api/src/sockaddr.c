/*
 * struct sockaddr and back; see sockaddr.h.  Called on any thread, holds no lock.
 */
#include "api/src/sockaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
	/* RFC 2133's sockaddr_in6 had no scope id; Linux still takes it. */
	SOCKADDR_IN6_MIN = 24,
};

/* As Linux: bind to no address of no family is one to any. */
static bool is_unspec_any(const struct sockaddr_in *in, enum sockaddr_use use)
{
	return use == SOCKADDR_BIND && in->sin_family == AF_UNSPEC &&
	       in->sin_addr.s_addr == htonl(INADDR_ANY);
}

static int read_v4(const struct sockaddr *addr, socklen_t len, enum sockaddr_use use,
		   struct sock_addr *out)
{
	struct sockaddr_in in;
	uint8_t bytes[4];

	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, addr, sizeof(in));
	if (in.sin_family != AF_INET && !is_unspec_any(&in, use))
		return -EAFNOSUPPORT;
	memcpy(bytes, &in.sin_addr, sizeof(bytes));
	out->addr = addr_from_v4(bytes);
	out->port = ntohs(in.sin_port);
	return 0;
}

static int read_v6(const struct sockaddr *addr, socklen_t len, struct sock_addr *out)
{
	struct sockaddr_in6 in6 = {0};

	if (len < SOCKADDR_IN6_MIN)
		return -EINVAL;
	memcpy(&in6, addr, len < sizeof(in6) ? len : sizeof(in6));
	if (in6.sin6_family != AF_INET6)
		return -EAFNOSUPPORT;
	out->addr = addr_from_v6(in6.sin6_addr.s6_addr);
	out->port = ntohs(in6.sin6_port);
	return 0;
}

int sockaddr_read(const struct sockaddr *addr, socklen_t len, bool is_v6, bool is_v6only,
		  enum sockaddr_use use, struct sock_addr *out)
{
	if (len > sizeof(struct sockaddr_storage))
		return -EINVAL;
	if (!addr)
		return len ? -EFAULT : -EINVAL;
	if (!is_v6)
		return read_v4(addr, len, use, out);
	int rc = read_v6(addr, len, out);
	if (rc == 0 && is_v6only && addr_is_v4(&out->addr))
		return use == SOCKADDR_BIND ? -EINVAL : -ENETUNREACH;
	return rc;
}

int sockaddr_check_out(const struct sockaddr *addr, const socklen_t *len, bool is_optional)
{
	if (!addr && is_optional)
		return 0;
	if (!addr || !len)
		return -EFAULT;
	return *len > INT32_MAX ? -EINVAL : 0;
}

void sockaddr_write(const struct sock_addr *from, bool is_v6, struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(from->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(from->port)};
	const void *bytes = is_v6 ? (const void *)&in6 : (const void *)&in;
	socklen_t size = is_v6 ? sizeof(in6) : sizeof(in);

	if (!addr)
		return;
	memcpy(&in.sin_addr, from->addr.b + 12, sizeof(in.sin_addr));
	memcpy(&in6.sin6_addr, from->addr.b, sizeof(in6.sin6_addr));
	memcpy(addr, bytes, *len < size ? *len : size);
	*len = size;
}

/* An IPv4 address where Linux takes one in place of the mapped one. */
static bool is_v4_of_udp(const struct proto *proto, const struct sockaddr *addr, socklen_t len,
			 enum sockaddr_use use)
{
	sa_family_t family;

	if (proto->protocol != IPPROTO_UDP || use == SOCKADDR_BIND || !addr || len < sizeof(family))
		return false;
	memcpy(&family, addr, sizeof(family));
	return family == AF_INET;
}

int sockaddr_read_for(struct conn *conn, const struct sockaddr *addr, socklen_t len,
		      enum sockaddr_use use, struct sock_addr *out)
{
	int64_t is_v6only = 0;
	const struct proto *proto = proto_of(conn);
	bool is_v6 = proto->is_v6(conn);

	if (is_v6) {
		int rc = proto->getopt(conn, SOCK_OPT_V6ONLY, &is_v6only);
		if (rc < 0)
			return rc;
	}
	if (is_v6 && is_v4_of_udp(proto, addr, len, use)) {
		if (is_v6only)
			return use == SOCKADDR_CONNECT ? -EAFNOSUPPORT : -ENETUNREACH;
		is_v6 = false;
	}
	return sockaddr_read(addr, len, is_v6, is_v6only, use, out);
}
