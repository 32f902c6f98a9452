/* Literal addresses; see literal.h.  Any thread. */
#include "api/names/literal.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_link_scoped(const uint8_t *b)
{
	return (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || (b[0] == 0xff && (b[1] & 0xf) <= 2);
}

/* A number of 32 bits in decimal, nothing else. */
static bool read_number(const char *text, uint32_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)value;
	return true;
}

/* Names are for addresses that are good on one link only. */
static bool read_scope(const char *text, struct weft_name_addr *out)
{
	if (read_number(text, &out->scope_id))
		return true;
	if (!is_link_scoped(out->bytes))
		return false;
	out->scope_id = if_nametoindex(text);
	return out->scope_id != 0;
}

static bool read_v6(const char *text, struct weft_name_addr *out)
{
	const char *percent = strchr(text, '%');
	char host[INET6_ADDRSTRLEN];
	size_t length = percent ? (size_t)(percent - text) : strlen(text);

	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	*out = (struct weft_name_addr){.family = AF_INET6};
	if (inet_pton(AF_INET6, host, out->bytes) != 1)
		return false;
	return !percent || read_scope(percent + 1, out);
}

static bool read_v4(const char *text, bool is_lax, struct weft_name_addr *out)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1) {
		/* inet_aton takes anything behind a blank. */
		if (!is_lax || strpbrk(text, " \t\n\v\f\r") || !inet_aton(text, &in))
			return false;
	}
	*out = (struct weft_name_addr){.family = AF_INET};
	memcpy(out->bytes, &in, sizeof(in));
	return true;
}

bool literal_read(const char *text, bool is_lax, struct weft_name_addr *out)
{
	return strchr(text, ':') ? read_v6(text, out) : read_v4(text, is_lax, out);
}

void literal_write(const struct weft_name_addr *addr, char *text)
{
	char host[INET6_ADDRSTRLEN] = "";
	char name[IF_NAMESIZE];

	(void)inet_ntop(addr->family, addr->bytes, host, sizeof(host));
	if (addr->family != AF_INET6 || addr->scope_id == 0)
		(void)snprintf(text, LITERAL_SIZE, "%s", host);
	else if (is_link_scoped(addr->bytes) && if_indextoname(addr->scope_id, name))
		(void)snprintf(text, LITERAL_SIZE, "%s%%%s", host, name);
	else
		(void)snprintf(text, LITERAL_SIZE, "%s%%%u", host, addr->scope_id);
}

struct addr literal_addr(const struct weft_name_addr *addr)
{
	return addr->family == AF_INET ? addr_from_v4(addr->bytes) : addr_from_v6(addr->bytes);
}

struct weft_name_addr literal_from(const struct addr *addr)
{
	bool is_v4 = addr_is_v4(addr);
	struct weft_name_addr out = {.family = is_v4 ? AF_INET : AF_INET6};

	memcpy(out.bytes, is_v4 ? addr->b + 12 : addr->b, is_v4 ? 4 : 16);
	return out;
}
