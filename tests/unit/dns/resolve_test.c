/* weft_getaddrinfo through DNS: two stacks, a server on the one, the resolver on the other. */
#include "server.h"
#include <weft/dns.h>

struct bed {
	struct kit kit;
	struct server server;
};

/* Nobody waits for this long, but for answers that do not come; tests of those set times of their own. */
static void attach_with(struct bed *bed, struct weft_dns_config config)
{
	char why[200] = "";

	config.timeout_ms = config.timeout_ms ? config.timeout_ms : 20000;
	config.servers = config.servers ? config.servers : KIT_B4;
	GIVES(weft_dns_attach(bed->kit.a, &config, why, sizeof(why)), 0);
	if (why[0])
		printf("%s\n", why);
}

#define CONFIG(...) ((struct weft_dns_config){__VA_ARGS__})

static void open_bed(struct bed *bed)
{
	struct weft_config config = kit_config();

	config.hosts_file = "";
	kit_open_with(&bed->kit, config);
	server_start(&bed->server, bed->kit.b);
}

static void close_bed(struct bed *bed)
{
	server_stop(&bed->server);
	kit_close(&bed->kit);
}

/* "address address", "=NAME" in front, or the error. */
static void asks_family(struct bed *bed, const char *name, int family, const char *wanted)
{
	struct addrinfo hints = {
		.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
	struct addrinfo *list = NULL;
	char text[200] = "", host[64];
	int rc = weft_getaddrinfo(bed->kit.a, name, "80", &hints, &list);

	if (rc != 0)
		(void)snprintf(text, sizeof(text), "%s", gai_strerror(rc));
	else
		(void)snprintf(text, sizeof(text), "=%s", list->ai_canonname);
	for (struct addrinfo *at = list; at; at = at->ai_next) {
		size_t length = strlen(text);

		CU_ASSERT(weft_getnameinfo(NULL, at->ai_addr, at->ai_addrlen, host, sizeof(host),
					   NULL, 0, NI_NUMERICHOST) == 0);
		(void)snprintf(text + length, sizeof(text) - length, " %s", host);
	}
	if (strcmp(text, wanted) != 0)
		printf("%s: '%s', not '%s'\n", name, text, wanted);
	CU_ASSERT(strcmp(text, wanted) == 0);
	weft_freeaddrinfo(list);
}

static uint64_t counter(const struct weft_stats *stats, const char *name)
{
	for (unsigned i = 0; weft_counter_name(i); i++)
		if (strcmp(weft_counter_name(i), name) == 0)
			return stats->counters[i];
	CU_FAIL("no such counter");
	return 0;
}

static void asks(struct bed *bed, const char *name, const char *wanted)
{
	asks_family(bed, name, AF_UNSPEC, wanted);
}

#define NOT_KNOWN      "Name or service not known"
#define HAS_NO_ADDRESS "No address associated with hostname"
#define TEMPORARY      "Temporary failure in name resolution"
#define PERMANENT      "Non-recoverable failure in name resolution"
#define BOTH           " 2001:db8::10 192.0.2.10"

static void test_answers(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(0));
	asks(&bed, "host.example", "=host.example" BOTH);
	CU_ASSERT(bed.server.asked == 2);
	asks_family(&bed, "host.example.", AF_INET, "=host.example 192.0.2.10");
	CU_ASSERT(bed.server.asked == 3);
	asks_family(&bed, "host.example", AF_INET6, "=host.example 2001:db8::10");
	asks(&bed, "four.example", "=four.example 192.0.2.10");
	asks_family(&bed, "four.example", AF_INET6, HAS_NO_ADDRESS);
	asks(&bed, "alias.example", "=real.example" BOTH);
	asks(&bed, "empty.example", HAS_NO_ADDRESS);
	asks(&bed, "nx.example", NOT_KNOWN);
	asks(&bed, "unknown.test", NOT_KNOWN);
	CU_ASSERT(bed.server.asked_tcp == 0);
	close_bed(&bed);
}

static void test_server_over_v6(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(.servers = KIT_B6));
	asks(&bed, "host.example", "=host.example" BOTH);
	close_bed(&bed);
}

/* Wrong ids, wrong questions, short and empty datagrams, answers that come twice: none of them counts. */
static void test_hostile_answers(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(0));
	asks(&bed, "wrong-id.example", "=wrong-id.example" BOTH);
	asks(&bed, "wrong-name.example", "=wrong-name.example" BOTH);
	asks(&bed, "short.example", "=short.example" BOTH);
	asks(&bed, "twice.example", "=twice.example" BOTH);
	asks(&bed, "circle.example", PERMANENT);
	asks(&bed, "junk.example", PERMANENT);
	close_bed(&bed);
}

/* A cut answer comes again by TCP; of more addresses than there may be the first ones are there. */
static void test_tcp(void)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	unsigned count = 0;
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(0));
	CU_ASSERT(weft_getaddrinfo(bed.kit.a, "many.example", NULL, &hints, &list) == 0);
	for (struct addrinfo *at = list; at; at = at->ai_next)
		count++;
	CU_ASSERT(count == WEFT_NAME_ADDRS_MAX);
	weft_freeaddrinfo(list);
	CU_ASSERT(bed.server.asked == 2 && bed.server.asked_tcp == 1);
	attach_with(&bed, CONFIG(.tcp_only = true));
	asks(&bed, "host.example", "=host.example" BOTH);
	CU_ASSERT(bed.server.asked == 4 && bed.server.asked_tcp == 3);
	close_bed(&bed);
}

static void test_failures(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(0));
	asks(&bed, "fail.example", TEMPORARY);
	asks(&bed, "refused.example", TEMPORARY);
	/* Both types of both, twice: there is one server. */
	CU_ASSERT(bed.server.asked == 8);
	/* One type's addresses are better than none. */
	attach_with(&bed, CONFIG(.timeout_ms = 1000, .tries = 1));
	asks(&bed, "slow6.example", "=slow6.example 192.0.2.10");
	close_bed(&bed);
}

/* What is lost is asked again, up to 'tries' times; 20, 40, ... ms apart. */
static void test_retries(void)
{
	static struct weft_stats before, after;
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(.timeout_ms = 20, .tries = 10));
	asks(&bed, "lost.example", "=lost.example" BOTH);
	CU_ASSERT(bed.server.asked >= 4);
	attach_with(&bed, CONFIG(.timeout_ms = 10, .tries = 3));
	weft_stack_stats(bed.kit.a, &before);
	asks(&bed, "silent.example", TEMPORARY);
	weft_stack_stats(bed.kit.a, &after);
	CU_ASSERT(counter(&after, "UDP_OUT") - counter(&before, "UDP_OUT") == 6);
	close_bed(&bed);
}

/* The next server: the first has nobody there, or does not exist. */
static void test_other_servers(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(.servers = KIT_B4 ":54 " KIT_B4));
	asks(&bed, "host.example", "=host.example" BOTH);
	attach_with(&bed, CONFIG(.servers = "192.0.2.77 " KIT_B4, .timeout_ms = 20, .tries = 10));
	asks(&bed, "host.example", "=host.example" BOTH);
	/* In turn: one call of two waits for the first. */
	attach_with(&bed, CONFIG(.servers = KIT_B4 " " KIT_B6, .rotate = true));
	asks(&bed, "host.example", "=host.example" BOTH);
	asks(&bed, "host.example", "=host.example" BOTH);
	close_bed(&bed);
}

static void test_search_list(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(.search = "nowhere.test example"));
	asks(&bed, "host", "=host.example" BOTH);
	asks(&bed, "host.", NOT_KNOWN);
	asks(&bed, "host.example", "=host.example" BOTH);
	/* What exists without addresses is told when nothing better comes. */
	attach_with(&bed, CONFIG(.search = "example nowhere.test"));
	asks(&bed, "empty", HAS_NO_ADDRESS);
	/* A server that fails ends the search. */
	attach_with(&bed, CONFIG(.search = "example other.example"));
	asks(&bed, "fail", TEMPORARY);
	/* Nobody is asked for what is special (RFC 6761 6.3, 6.4), also if a list makes it so. */
	unsigned before = bed.server.asked;

	attach_with(&bed, CONFIG(.search = "invalid localhost example"));
	asks(&bed, "host", "=host.example" BOTH);
	CU_ASSERT(bed.server.asked == before + 2);
	close_bed(&bed);
}

static void names(struct bed *bed, const char *text, const char *wanted)
{
	struct kit_addr addr = kit_addr(text, 0);
	char host[WEFT_NAME_SIZE];

	CU_ASSERT(weft_getnameinfo(bed->kit.a, kit_sa(&addr), addr.len, host, sizeof(host), NULL, 0,
				   0) == 0);
	CU_ASSERT_STRING_EQUAL(host, wanted);
}

static void test_reverse(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(0));
	names(&bed, "192.0.2.10", "host.example");
	names(&bed, "::ffff:192.0.2.10", "host.example");
	names(&bed, "2001:db8::10", "host6.example");
	names(&bed, "192.0.2.11", "192.0.2.11");
	close_bed(&bed);
}

/* A call takes no longer than total_ms, whatever the tries say. */
static void test_deadline(void)
{
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(.timeout_ms = 60000, .total_ms = 50));
	weft_time_us begin = clock_monotonic_us();

	asks(&bed, "silent.example", TEMPORARY);
	CU_ASSERT(clock_monotonic_us() - begin >= 50 * US_PER_MS);
	CU_ASSERT(clock_monotonic_us() - begin < 30 * US_PER_S);
	close_bed(&bed);
}

static void *run_silent(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int rc = weft_getaddrinfo(arg, "silent.example", NULL, &hints, &list);

	CU_ASSERT(rc == EAI_SYSTEM && errno == ESHUTDOWN);
	return NULL;
}

/* Closing the stack ends calls that wait for answers. */
static void test_closed_stack(void)
{
	pthread_t threads[3];
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(.timeout_ms = 60000));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CU_ASSERT_FATAL(thread_start(&threads[i], "ask", run_silent, bed.kit.a) == 0);
	while (bed.server.asked < 2 * ARRAY_SIZE(threads))
		kit_pause();
	weft_stack_close(bed.kit.a);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		thread_join(threads[i]);
	server_stop(&bed.server);
	CU_ASSERT(kit_quiet(bed.kit.b));
	weft_stack_close(bed.kit.b);
}

enum { THREADS = 6, ROUNDS = 30 };

static void *run_asker(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	static const char *const asked[] = {"host.example", "alias.example", "nx.example",
					    "many.example"};
	intptr_t failures = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct addrinfo *list = NULL;
		int rc = weft_getaddrinfo(arg, asked[i % 4], NULL, &hints, &list);

		if (rc != (i % 4 == 2 ? EAI_NONAME : 0))
			failures++;
		weft_freeaddrinfo(list);
	}
	return (void *)failures;
}

/* Many threads at once, while the resolver is replaced under them. */
static void test_threads(void)
{
	pthread_t threads[THREADS];
	struct bed bed;

	open_bed(&bed);
	attach_with(&bed, CONFIG(0));
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_FATAL(thread_start(&threads[i], "ask", run_asker, bed.kit.a) == 0);
	for (int i = 0; i < 5; i++) {
		attach_with(&bed, CONFIG(.rotate = true));
		kit_pause();
	}
	for (int i = 0; i < THREADS; i++) {
		void *failures;

		CU_ASSERT(pthread_join(threads[i], &failures) == 0 && !failures);
	}
	close_bed(&bed);
}

static void test_arguments(void)
{
	struct weft_dns_config config = WEFT_DNS_CONFIG_INIT;
	struct bed bed;
	char why[100] = "";

	open_bed(&bed);
	FAILS(weft_dns_attach(NULL, &config, why, sizeof(why)), EINVAL);
	FAILS(weft_dns_attach(bed.kit.a, NULL, NULL, 0), EINVAL);
	FAILS(weft_dns_attach(bed.kit.a, &config, why, sizeof(why)), EINVAL);
	CU_ASSERT_STRING_EQUAL(why, "no DNS server is named");
	config.resolv_conf = "/nonexistent";
	FAILS(weft_dns_attach(bed.kit.a, &config, why, sizeof(why)), ENOENT);
	/* None is attached. */
	asks(&bed, "host.example", NOT_KNOWN);
	CU_ASSERT(bed.server.asked == 0);
	close_bed(&bed);
}

UNIT_MAIN("resolve", UNIT(answers), UNIT(server_over_v6), UNIT(hostile_answers), UNIT(tcp),
	  UNIT(failures), UNIT(retries), UNIT(other_servers), UNIT(search_list), UNIT(reverse),
	  UNIT(deadline), UNIT(closed_stack), UNIT(threads), UNIT(arguments))
