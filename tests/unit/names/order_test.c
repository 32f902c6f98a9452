/* The order of destinations, RFC 6724 6: most of it from the examples in 10.2. */
#include "api/names/literal.h"
#include "api/names/order.h"
#include "unit.h"
#include <string.h>

static struct order_own own_addr(const char *text, unsigned prefix)
{
	struct order_own own = {.prefix = prefix};

	CU_ASSERT_FATAL(addr_parse(text, &own.addr));
	if (addr_is_v4(&own.addr))
		own.prefix += 96;
	return own;
}

/* 'given' and 'wanted' are lists with blanks; the stack has one address of each family at most. */
static void sorts(const char *own4, unsigned prefix4, const char *own6, unsigned prefix6,
		  const char *given, const char *wanted)
{
	struct weft_name_addr list[WEFT_NAME_ADDRS_MAX];
	struct order_own own[2];
	unsigned own_count = 0, count = 0;
	char text[512], sorted[512] = "", one[LITERAL_SIZE];
	char *rest;

	if (own4)
		own[own_count++] = own_addr(own4, prefix4);
	if (own6)
		own[own_count++] = own_addr(own6, prefix6);
	(void)snprintf(text, sizeof(text), "%s", given);
	for (char *at = strtok_r(text, " ", &rest); at; at = strtok_r(NULL, " ", &rest))
		CU_ASSERT_FATAL(literal_read(at, false, &list[count++]));
	order_sort(list, count, own, own_count);
	for (unsigned i = 0; i < count; i++) {
		size_t at = strlen(sorted);

		literal_write(&list[i], one);
		(void)snprintf(sorted + at, sizeof(sorted) - at, "%s%s", i ? " " : "", one);
	}
	if (strcmp(sorted, wanted) != 0)
		printf("%s: %s, not %s\n", given, sorted, wanted);
	CU_ASSERT(strcmp(sorted, wanted) == 0);
}

#define V4 "192.0.2.1", 24
#define V6 "2001:db8:1::1", 64
#define NO NULL, 0

/* Rule 1: what has no source comes last. */
static void test_unusable(void)
{
	sorts(V4, NO, "2001:db8::9 198.51.100.9", "198.51.100.9 2001:db8::9");
	sorts(NO, V6, "198.51.100.9 2001:db8::9", "2001:db8::9 198.51.100.9");
	sorts(V4, NO, "::1 127.0.0.1", "::1 127.0.0.1");
	sorts(V4, V6, "ff02::1 198.51.100.9", "198.51.100.9 ff02::1");
	/* Nothing is known without a stack. */
	sorts(NO, NO, "198.51.100.9 2001:db8::9", "2001:db8::9 198.51.100.9");
}

/* Rule 2: the source's scope is the destination's. */
static void test_scope(void)
{
	sorts("169.254.13.78", 16, "2001:db8:1::2", 64, "198.51.100.121 2001:db8:1::1",
	      "2001:db8:1::1 198.51.100.121");
	sorts("198.51.100.117", 24, "fe80::1", 64, "2001:db8:1::1 198.51.100.121",
	      "198.51.100.121 2001:db8:1::1");
}

/* Rule 5: labels; rule 6: precedence. */
static void test_policy(void)
{
	sorts("10.1.2.4", 24, V6, "10.1.2.3 2001:db8:1::1", "2001:db8:1::1 10.1.2.3");
	sorts(V4, "2002:c633:6401::2", 64, "2001:db8:1::1 2002:c633:6401::1",
	      "2002:c633:6401::1 2001:db8:1::1");
	sorts(V4, "2001:db8:1::2", 64, "2002:c633:6401::1 2001:db8:1::1",
	      "2001:db8:1::1 2002:c633:6401::1");
	/* A ULA's label is not that of a global address: IPv4 first. */
	sorts(V4, "fd00::1", 64, "2001:db8::1 198.51.100.9", "198.51.100.9 2001:db8::1");
	sorts(V4, "fd00::1", 64, "198.51.100.9 fd00::2", "198.51.100.9 fd00::2");
	/* 6to4, Teredo, site-local, 6bone and compatible ones from a global source. */
	sorts(V4, V6, "3ffe::1 fec0::1 ::5.6.7.8 2001::1 2002::1 198.51.100.9 2001:db8::1",
	      "2001:db8::1 198.51.100.9 2002::1 2001::1 3ffe::1 ::5.6.7.8 fec0::1");
}

/* Rule 8: the smaller scope; two of one label and precedence. */
static void test_smaller_scope(void)
{
	sorts(NO, "fe80::2", 64, "2001:db8:1::1 fe80::1", "fe80::1 2001:db8:1::1");
	sorts(V4, V6, "198.51.100.1 127.0.0.1", "127.0.0.1 198.51.100.1");
}

/* Rule 9: the longest prefix, within the source's; IPv4's on the link only. */
static void test_prefix(void)
{
	sorts(V4, V6, "2001:db8:3ffe::1 2001:db8:1::9", "2001:db8:1::9 2001:db8:3ffe::1");
	/* Bits behind the source's prefix do not count. */
	sorts(V4, V6, "2001:db8:1::ffff 2001:db8:1::2", "2001:db8:1::ffff 2001:db8:1::2");
	sorts(V4, V6, "203.0.113.1 192.0.3.1 192.0.2.9", "192.0.2.9 203.0.113.1 192.0.3.1");
	/* Rule 10: round robin stays. */
	sorts(V4, V6, "203.0.113.2 203.0.113.1 203.0.113.3", "203.0.113.2 203.0.113.1 203.0.113.3");
}

/* As many as there may be. */
static void test_many(void)
{
	struct weft_name_addr list[WEFT_NAME_ADDRS_MAX];
	struct order_own own = own_addr(V4);

	for (unsigned i = 0; i < WEFT_NAME_ADDRS_MAX; i++)
		list[i] = (struct weft_name_addr){
			.family = i % 2 ? AF_INET : AF_INET6,
			.bytes = {198, 51, 100, (uint8_t)i},
		};
	order_sort(list, WEFT_NAME_ADDRS_MAX, &own, 1);
	for (unsigned i = 0; i < WEFT_NAME_ADDRS_MAX / 2; i++)
		CU_ASSERT(list[i].family == AF_INET && list[i].bytes[3] == 2 * i + 1);
}

UNIT_MAIN("order", UNIT(unusable), UNIT(scope), UNIT(policy), UNIT(smaller_scope), UNIT(prefix),
	  UNIT(many))
