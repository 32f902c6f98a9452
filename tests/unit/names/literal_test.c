/* Literal addresses, with scopes. */
#include "api/names/literal.h"
#include "unit.h"
#include <net/if.h>
#include <string.h>

/* Read, and written again as 'again'; NULL: no address. */
static void reads(const char *text, bool is_lax, const char *again)
{
	struct weft_name_addr addr;
	char out[LITERAL_SIZE] = "";
	bool is_good = literal_read(text, is_lax, &addr);

	CU_ASSERT(is_good == (again != NULL));
	if (is_good)
		literal_write(&addr, out);
	if (is_good && again && strcmp(out, again) != 0)
		printf("%s: %s, not %s\n", text, out, again);
	CU_ASSERT(!is_good || !again || strcmp(out, again) == 0);
}

static void test_v4(void)
{
	reads("192.0.2.1", false, "192.0.2.1");
	reads("192.0.2", false, NULL);
	reads("256.0.0.1", true, NULL);
	reads("", true, NULL);
	/* inet_aton's forms, as POSIX says of getaddrinfo. */
	reads("127.1", true, "127.0.0.1");
	reads("0x7f000001", true, "127.0.0.1");
	reads("0300.0.2.01", true, "192.0.2.1");
	reads("127.1", false, NULL);
	/* inet_aton itself would take that. */
	reads("192.0.2.1 x", true, NULL);
	reads("192.0.2.1%1", true, NULL);
	reads("host", true, NULL);
}

static void test_v6(void)
{
	reads("2001:DB8:0:0:0:0:0:1", false, "2001:db8::1");
	reads("::ffff:192.0.2.1", false, "::ffff:192.0.2.1");
	reads("2001:db8::1::2", false, NULL);
	reads(":", false, NULL);
	reads("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", false, NULL);
}

static void test_scopes(void)
{
	struct weft_name_addr addr;
	char name[IF_NAMESIZE];

	CU_ASSERT(literal_read("fe80::1%4294967295", false, &addr));
	CU_ASSERT(addr.scope_id == UINT32_MAX);
	reads("fe80::1%4294967295", false, "fe80::1%4294967295");
	reads("2001:db8::1%7", false, "2001:db8::1%7");
	reads("fe80::1%4294967296", false, NULL);
	reads("fe80::1%", false, NULL);
	reads("fe80::1%no-such-link", false, NULL);
	/* Names are for link-local addresses; the loopback device is always there. */
	if (if_indextoname(1, name)) {
		char text[LITERAL_SIZE];

		(void)snprintf(text, sizeof(text), "fe80::1%%%s", name);
		CU_ASSERT(literal_read(text, false, &addr) && addr.scope_id == 1);
		reads(text, false, text);
		reads("fe80::1%1", false, text);
		(void)snprintf(text, sizeof(text), "2001:db8::1%%%s", name);
		reads(text, false, NULL);
	}
}

static void test_forms(void)
{
	struct weft_name_addr addr, back;

	CU_ASSERT(literal_read("192.0.2.1", false, &addr));
	struct addr bytes = literal_addr(&addr);

	CU_ASSERT(addr_is_v4(&bytes));
	back = literal_from(&bytes);
	CU_ASSERT(memcmp(&back, &addr, sizeof(addr)) == 0);
	CU_ASSERT(literal_read("2001:db8::1", false, &addr));
	bytes = literal_addr(&addr);
	back = literal_from(&bytes);
	CU_ASSERT(memcmp(&back, &addr, sizeof(addr)) == 0);
}

UNIT_MAIN("literal", UNIT(v4), UNIT(v6), UNIT(scopes), UNIT(forms))
