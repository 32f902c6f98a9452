/* The parser of hosts files, and what can be found. */
#include "api/names/hostname.h"
#include "api/names/hosts.h"
#include "api/names/literal.h"
#include "unit.h"
#include <string.h>

static struct hosts *parse_bytes(const char *text, size_t size)
{
	char *copy = malloc(size + 1);

	CU_ASSERT_FATAL(copy != NULL);
	memcpy(copy, text, size);
	struct hosts *hosts = hosts_parse(copy, size);

	CU_ASSERT_FATAL(hosts != NULL);
	return hosts;
}

static struct hosts *parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

/* What is found: "canonical: address address", "" for nothing. */
static void finds(const struct hosts *hosts, const char *name, int family, const char *wanted)
{
	struct weft_name_addrs out = {.count = 0};
	char text[512] = "", one[LITERAL_SIZE];

	if (hosts_lookup(hosts, name, family, &out))
		(void)snprintf(text, sizeof(text), "%s:", out.canonical);
	for (unsigned i = 0; i < out.count; i++) {
		size_t at = strlen(text);

		literal_write(&out.addrs[i], one);
		(void)snprintf(text + at, sizeof(text) - at, " %s", one);
	}
	if (strcmp(text, wanted) != 0)
		printf("%s: '%s', not '%s'\n", name, text, wanted);
	CU_ASSERT(strcmp(text, wanted) == 0);
}

static void test_lines(void)
{
	struct hosts *hosts = parse("# a comment\n"
				    "192.0.2.1\tAlpha.example alpha a # the first\n"
				    "  2001:db8::1 alpha.example\r\n"
				    "\n"
				    "192.0.2.2 beta#192.0.2.3 gamma\n"
				    "192.0.2.1 alpha\n"
				    "fe80::1%4000000000 link\n"
				    "192.0.2.9 last");

	finds(hosts, "alpha.example", AF_UNSPEC, "Alpha.example: 192.0.2.1 2001:db8::1");
	finds(hosts, "ALPHA.example", AF_INET6, "alpha.example: 2001:db8::1");
	finds(hosts, "a", AF_INET, "Alpha.example: 192.0.2.1");
	finds(hosts, "a", AF_INET6, "");
	/* An address that comes twice is one. */
	finds(hosts, "alpha", AF_UNSPEC, "Alpha.example: 192.0.2.1");
	finds(hosts, "beta", AF_UNSPEC, "beta: 192.0.2.2");
	finds(hosts, "gamma", AF_UNSPEC, "");
	finds(hosts, "link", AF_UNSPEC, "link: fe80::1%4000000000");
	finds(hosts, "last", AF_UNSPEC, "last: 192.0.2.9");
	finds(hosts, "alph", AF_UNSPEC, "");
	finds(hosts, "zeta", AF_UNSPEC, "");
	finds(hosts, "", AF_UNSPEC, "");
	hosts_free(hosts);
}

/* What makes no sense is left out, and nothing else. */
static void test_broken_lines(void)
{
	static const char text[] = "192.0.2.1\n"
				   "nonsense a b\n"
				   "192.0.2 short\n"
				   "192.0.2.300 big\n"
				   "192.0.2.5 one\0two\n"
				   "192.0.2.6 \x01"
				   "bad good\n"
				   "#\n#192.0.2.7 x\n \t \n"
				   "2001:db8::g six\n"
				   "192.0.2.8 \xff\xfe\n"
				   "192.0.2.9 fine\n";
	struct hosts *hosts = parse_bytes(text, sizeof(text) - 1);

	finds(hosts, "a", AF_UNSPEC, "");
	finds(hosts, "short", AF_UNSPEC, "");
	finds(hosts, "big", AF_UNSPEC, "");
	finds(hosts, "one", AF_UNSPEC, "one: 192.0.2.5");
	finds(hosts, "two", AF_UNSPEC, "");
	/* The next name is the canonical one. */
	finds(hosts, "good", AF_UNSPEC, "good: 192.0.2.6");
	finds(hosts, "x", AF_UNSPEC, "");
	finds(hosts, "six", AF_UNSPEC, "");
	finds(hosts, "fine", AF_UNSPEC, "fine: 192.0.2.9");
	hosts_free(hosts);
	hosts_free(parse(""));
	hosts_free(parse("\n"));
	hosts_free(NULL);
}

static void test_long_names(void)
{
	char text[700];
	char name[HOSTNAME_MAX + 2];
	struct hosts *hosts;

	memset(name, 'n', sizeof(name));
	name[HOSTNAME_MAX + 1] = '\0';
	(void)snprintf(text, sizeof(text), "192.0.2.1 %s\n192.0.2.2 %s\n", name, name + 1);
	hosts = parse(text);
	struct weft_name_addrs out = {.count = 0};

	CU_ASSERT(!hosts_lookup(hosts, name, AF_INET, &out));
	CU_ASSERT(hosts_lookup(hosts, name + 1, AF_INET, &out));
	CU_ASSERT(strlen(out.canonical) == HOSTNAME_MAX && out.addrs[0].bytes[3] == 2);
	hosts_free(hosts);
}

/* A name has 64 addresses at most, the first ones. */
static void test_many_addresses(void)
{
	static char text[4096];
	struct weft_name_addrs out = {.count = 0};

	for (unsigned i = 0; i <= WEFT_NAME_ADDRS_MAX; i++) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, "192.0.2.%u many\n", i);
	}
	struct hosts *hosts = parse(text);

	CU_ASSERT(hosts_lookup(hosts, "many", AF_INET, &out));
	CU_ASSERT(out.count == WEFT_NAME_ADDRS_MAX);
	CU_ASSERT(out.addrs[WEFT_NAME_ADDRS_MAX - 1].bytes[3] == WEFT_NAME_ADDRS_MAX - 1);
	hosts_free(hosts);
}

/* A file has HOSTS_NAMES_MAX names at most; the search is quick enough for all. */
static void test_many_names(void)
{
	enum { COUNT = HOSTS_NAMES_MAX + 1, LINE = 20 };

	char *text = malloc((size_t)COUNT * LINE + 1);
	char name[16];
	size_t size = 0;

	CU_ASSERT_FATAL(text != NULL);
	for (unsigned i = 0; i < COUNT; i++)
		size += (size_t)snprintf(text + size, LINE + 1, "10.0.0.1 n%u\n",
					 (i * 7919u) % 1000000007u);
	struct hosts *hosts = hosts_parse(text, size);

	CU_ASSERT_FATAL(hosts != NULL);
	for (unsigned i = 0; i < COUNT; i += i < COUNT - 4 ? 1009 : 1) {
		struct weft_name_addrs out = {.count = 0};

		(void)snprintf(name, sizeof(name), "n%u", (i * 7919u) % 1000000007u);
		CU_ASSERT(hosts_lookup(hosts, name, AF_INET, &out) == (i < HOSTS_NAMES_MAX));
	}
	hosts_free(hosts);
}

static void test_reverse(void)
{
	struct hosts *hosts = parse("192.0.2.1 first alias\n192.0.2.1 second\n2001:db8::1 six\n");
	struct weft_name_addr addr;

	CU_ASSERT(literal_read("192.0.2.1", false, &addr));
	CU_ASSERT_STRING_EQUAL(hosts_reverse(hosts, &addr), "first");
	CU_ASSERT(literal_read("2001:db8::1", false, &addr));
	CU_ASSERT_STRING_EQUAL(hosts_reverse(hosts, &addr), "six");
	CU_ASSERT(literal_read("2001:db8::2", false, &addr));
	CU_ASSERT(hosts_reverse(hosts, &addr) == NULL);
	hosts_free(hosts);
}

UNIT_MAIN("hosts", UNIT(lines), UNIT(broken_lines), UNIT(long_names), UNIT(many_addresses),
	  UNIT(many_names), UNIT(reverse))
