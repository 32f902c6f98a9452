/* The resolver's settings: struct weft_dns_config, resolv.conf(5), search lists. */
#include "dns/search.h"
#include "dns/settings.h"
#include "unit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct settings s;
static char why[200];

static void parse(const char *text)
{
	static char copy[2048];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	memset(&s, 0, sizeof(s));
	settings_parse(copy, &s);
}

static int read_config(struct weft_dns_config config)
{
	why[0] = '\0';
	return settings_read(&config, &s, why, sizeof(why));
}

#define CONFIG(...) ((struct weft_dns_config){__VA_ARGS__})

static bool is_server(unsigned i, const char *text, int port)
{
	char out[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(s.servers[i].family, &s.servers[i].addr, out, sizeof(out));
	return strcmp(out, text) == 0 && s.servers[i].udp_port == port &&
	       s.servers[i].tcp_port == port;
}

static void test_resolv_conf(void)
{
	parse("# comment\n; another\n"
	      "nameserver 192.0.2.53\nnameserver\t2001:db8::53 # x\r\n"
	      "nameserver nonsense\nnameserver\n"
	      "domain old.example\nsearch corp.example example. bad..one\n"
	      "options ndots:3 timeout:7 attempts:4 rotate use-vc unknown edns0\n"
	      "sortlist 1.2.3.4\nnameserver 192.0.2.54");
	CU_ASSERT(s.server_count == 3);
	CU_ASSERT(is_server(0, "192.0.2.53", 53) && is_server(1, "2001:db8::53", 53));
	CU_ASSERT(is_server(2, "192.0.2.54", 53));
	CU_ASSERT(s.search_count == 2);
	CU_ASSERT_STRING_EQUAL(s.search[0], "corp.example");
	CU_ASSERT_STRING_EQUAL(s.search[1], "example");
	CU_ASSERT(s.ndots == 3 && s.timeout_ms == 7000 && s.tries == 4 && s.rotate && s.tcp_only);
	parse("options ndots:99 timeout:99 attempts:99 ndots: ndots:x\n");
	CU_ASSERT(s.ndots == SETTINGS_NDOTS_MAX && s.timeout_ms == 30000 && s.tries == 10);
	/* A link-local server's link is the stack's, by whichever name. */
	parse("nameserver fe80::53%eth0\nnameserver fe80::54%7\nnameserver 2001:db8::1%eth0\n"
	      "nameserver fe80::55%\nnameserver 192.0.2.1%eth0\n");
	CU_ASSERT(s.server_count == 2);
	CU_ASSERT(is_server(0, "fe80::53", 53) && is_server(1, "fe80::54", 53));
	parse("");
	CU_ASSERT(s.server_count == 0);
}

/* At the limits and past them. */
static void test_limits(void)
{
	static char text[1024] = "";

	for (int i = 0; i <= WEFT_DNS_SERVERS_MAX; i++) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, "nameserver 192.0.2.%d\n", i);
	}
	parse(text);
	CU_ASSERT(s.server_count == WEFT_DNS_SERVERS_MAX && is_server(7, "192.0.2.7", 53));
	(void)snprintf(text, sizeof(text), "search");
	for (int i = 0; i <= WEFT_DNS_SEARCH_MAX; i++) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, " d%d.example", i);
	}
	parse(text);
	CU_ASSERT(s.search_count == WEFT_DNS_SEARCH_MAX);
	CU_ASSERT_STRING_EQUAL(s.search[WEFT_DNS_SEARCH_MAX - 1], "d15.example");
}

static void test_config(void)
{
	CU_ASSERT(read_config(CONFIG(.servers = "192.0.2.53:5353, [2001:db8::53]:54 [::1] ::2")) ==
		  0);
	CU_ASSERT(s.server_count == 4);
	CU_ASSERT(is_server(0, "192.0.2.53", 5353) && is_server(1, "2001:db8::53", 54));
	CU_ASSERT(is_server(2, "::1", 53) && is_server(3, "::2", 53));
	CU_ASSERT(s.ndots == 1 && s.timeout_ms == 5000 && s.tries == 2 && s.total_ms == 30000);
	CU_ASSERT(read_config(CONFIG(.servers = "::1", .search = "a.example,b.example", .ndots = 15,
				     .tries = 10, .timeout_ms = 600000, .total_ms = 600000)) == 0);
	CU_ASSERT(s.search_count == 2 && s.ndots == 15 && s.tries == 10);
}

static void refuses(struct weft_dns_config config, const char *reason)
{
	CU_ASSERT(read_config(config) == -EINVAL);
	CU_ASSERT(strstr(why, reason) != NULL);
}

static void test_refused(void)
{
	refuses(CONFIG(0), "no DNS server");
	refuses(CONFIG(.servers = ""), "no DNS server");
	refuses(CONFIG(.servers = "host.example"), "host.example");
	refuses(CONFIG(.servers = "192.0.2.1:0"), "192.0.2.1");
	refuses(CONFIG(.servers = "192.0.2.1:65536"), "servers");
	refuses(CONFIG(.servers = "192.0.2.1:"), "servers");
	refuses(CONFIG(.servers = "[::1"), "servers");
	refuses(CONFIG(.servers = "[::1]x"), "servers");
	refuses(CONFIG(.servers = "::1", .search = "a..b"), "search");
	refuses(CONFIG(.servers = "::1", .ndots = 16), "ndots");
	refuses(CONFIG(.servers = "::1", .tries = 11), "tries");
	refuses(CONFIG(.servers = "::1", .timeout_ms = 600001), "timeout_ms");
	refuses(CONFIG(.servers = "::1", .total_ms = 600001), "total_ms");
}

static void test_file(void)
{
	static const char text[] = "nameserver 192.0.2.53\nsearch example\noptions attempts:0\n";
	char path[] = "/tmp/weft-resolv-XXXXXX";
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1);
	(void)close(fd);
	CU_ASSERT(read_config(CONFIG(.resolv_conf = path)) == 0);
	CU_ASSERT(s.server_count == 1 && s.search_count == 1 && s.tries == 1);
	/* What is given counts more than the file. */
	CU_ASSERT(read_config(CONFIG(.resolv_conf = path, .servers = "::1", .search = "",
				     .tries = 3)) == 0);
	CU_ASSERT(is_server(0, "::1", 53) && s.server_count == 1);
	CU_ASSERT(s.search_count == 0 && s.tries == 3);
	(void)unlink(path);
	CU_ASSERT(read_config(CONFIG(.resolv_conf = path)) == -ENOENT);
	CU_ASSERT(strstr(why, path) != NULL);
	CU_ASSERT(read_config(CONFIG(.resolv_conf = "/tmp")) == -EISDIR);
}

/* The candidates, with blanks between them. */
static void tries(const char *name, const char *wanted)
{
	char text[1024] = "", one[WEFT_NAME_SIZE];
	struct search search;

	search_begin(&search, &s, name);
	while (search_next(&search, one)) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, "%s%s", at ? " " : "", one);
	}
	CU_ASSERT_STRING_EQUAL(text, wanted);
}

static void test_search(void)
{
	char longest[HOSTNAME_MAX + 1];

	parse("search a.example b\noptions ndots:2");
	tries("host", "host.a.example host.b host");
	tries("host.x", "host.x.a.example host.x.b host.x");
	tries("host.x.y", "host.x.y host.x.y.a.example host.x.y.b");
	tries("host.", "host");
	tries("host.x.y.", "host.x.y");
	/* What would be too long is not tried. */
	memset(longest, 'n', sizeof(longest));
	for (size_t i = 63; i < HOSTNAME_MAX; i += 64)
		longest[i] = '.';
	longest[HOSTNAME_MAX] = '\0';
	tries(longest, longest);
	char two[2 * HOSTNAME_MAX + 8];

	longest[HOSTNAME_MAX - 2] = '\0';
	(void)snprintf(two, sizeof(two), "%s %s.b", longest, longest);
	tries(longest, two);
	parse("");
	tries("host", "host");
}

UNIT_MAIN("settings", UNIT(resolv_conf), UNIT(limits), UNIT(config), UNIT(refused), UNIT(file),
	  UNIT(search))
