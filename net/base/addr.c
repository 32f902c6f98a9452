/*
 * Addresses as text, and prefixes.  Called by configuration, the API, traces and tests on any
 * thread.  The text forms are the C library's, whose IPv6 output follows RFC 5952 (lower case, the
 * first longest run of two or more zero groups compressed).
 */
#include "net/base/addr.h"

#include "net/base/check.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static_assert((int)ADDR_TEXT_SIZE >= (int)INET6_ADDRSTRLEN, "every address fits its text");

bool addr_in_prefix(const struct addr *a, const struct addr *net, unsigned bits)
{
	WEFT_ASSERT(bits <= 128);
	unsigned whole = bits / 8;
	unsigned rest = bits % 8;

	if (memcmp(a->b, net->b, whole) != 0)
		return false;
	if (rest == 0)
		return true;
	return ((unsigned)(a->b[whole] ^ net->b[whole]) >> (8 - rest)) == 0;
}

char *addr_print(const struct addr *a, char *text)
{
	const char *done;

	if (addr_is_v4(a))
		done = inet_ntop(AF_INET, a->b + 12, text, ADDR_TEXT_SIZE);
	else
		done = inet_ntop(AF_INET6, a->b, text, ADDR_TEXT_SIZE);
	WEFT_ASSERT(done);
	return text;
}

bool addr_parse(const char *text, struct addr *a)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		*a = addr_from_v4(bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		*a = addr_from_v6(bytes);
	else
		return false;
	return true;
}
