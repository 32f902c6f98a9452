/* weft_getaddrinfo against a hosts file and a resolver made for the test. */
#include "kit.h"
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static const char hosts_text[] = "192.0.2.2 beta.example beta b\n"
				 "2001:db8::2 beta.example\n"
				 "198.51.100.1 four.example\n"
				 "2001:db8:9::1 six.example\n"
				 "192.0.2.99 localhost x.invalid\n";
static char hosts_path[32];

/* ---- A resolver: counts, and says what the test wants. ---- */

struct fake {
	atomic_int lookups, reverses, closes;
	int rc;
	int family; /* that was asked for last */
	char name[WEFT_NAME_SIZE];
	struct weft_name_addrs answer;
};

static int fake_lookup(void *ctx, const char *name, int family, struct weft_name_addrs *out)
{
	struct fake *fake = ctx;

	atomic_fetch_add(&fake->lookups, 1);
	fake->family = family;
	(void)snprintf(fake->name, sizeof(fake->name), "%s", name);
	*out = fake->answer;
	if (fake->rc == EAI_SYSTEM)
		errno = EIO;
	return fake->rc;
}

static int fake_reverse(void *ctx, const struct weft_name_addr *addr, char *name)
{
	struct fake *fake = ctx;

	(void)addr;
	atomic_fetch_add(&fake->reverses, 1);
	(void)snprintf(name, WEFT_NAME_SIZE, "reverse.example");
	return fake->rc;
}

static void fake_close(void *ctx)
{
	struct fake *fake = ctx;

	atomic_fetch_add(&fake->closes, 1);
}

static void fake_attach(struct fake *fake, struct weft_stack *stack)
{
	const struct weft_resolver resolver = {fake, fake_lookup, fake_reverse, fake_close};

	GIVES(weft_stack_set_resolver(stack, &resolver), 0);
}

/* ---- Stacks with that hosts file; each with the addresses that are named. ---- */

static struct weft_stack *open_named(const char *addr, const char *addr6)
{
	struct weft_config config = kit_config();
	struct weft_dev *ends[2];
	char why[200] = "";
	int fd = mkstemp(strcpy(hosts_path, "/tmp/weft-gai-XXXXXX"));

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(write(fd, hosts_text, sizeof(hosts_text) - 1) == sizeof(hosts_text) - 1);
	(void)close(fd);
	CU_ASSERT_FATAL(weft_dev_pair(ends, 1500, 0, 64) == 0);
	ends[1]->close(ends[1]);
	config.dev = ends[0];
	config.addr = addr;
	config.addr6 = addr6;
	config.hosts_file = hosts_path;
	struct weft_stack *stack = weft_stack_open(&config, why, sizeof(why));

	if (!stack)
		printf("%s\n", why);
	CU_ASSERT_FATAL(stack != NULL);
	return stack;
}

static struct weft_stack *open_both(void)
{
	return open_named(KIT_A4 "/24", KIT_A6 "/64");
}

static void close_named(struct weft_stack *stack)
{
	weft_stack_close(stack);
	(void)unlink(hosts_path);
}

/* What comes of it: "address/port ..." of the stream sockets, "=NAME" in front if there is one. */
static void asks(struct weft_stack *stack, const char *node, const char *service,
		 struct addrinfo hints, const char *wanted)
{
	struct addrinfo *list = NULL;
	char text[512] = "", host[100], port[8];

	hints.ai_socktype = hints.ai_socktype ? hints.ai_socktype : SOCK_STREAM;
	int rc = weft_getaddrinfo(stack, node, service, &hints, &list);

	if (rc != 0)
		(void)snprintf(text, sizeof(text), "%s", gai_strerror(rc));
	if (list && list->ai_canonname)
		(void)snprintf(text, sizeof(text), "=%s ", list->ai_canonname);
	for (struct addrinfo *at = list; at; at = at->ai_next) {
		size_t length = strlen(text);

		CU_ASSERT(at->ai_family == at->ai_addr->sa_family);
		CU_ASSERT(at == list || !at->ai_canonname);
		CU_ASSERT(weft_getnameinfo(stack, at->ai_addr, at->ai_addrlen, host, sizeof(host),
					   port, sizeof(port),
					   NI_NUMERICHOST | NI_NUMERICSERV) == 0);
		(void)snprintf(text + length, sizeof(text) - length, "%s%s/%s",
			       at == list ? "" : " ", host, port);
	}
	if (strcmp(text, wanted) != 0)
		printf("%s: '%s', not '%s'\n", node ? node : "NULL", text, wanted);
	CU_ASSERT(strcmp(text, wanted) == 0);
	weft_freeaddrinfo(list);
}

#define HINTS(...)     ((struct addrinfo){__VA_ARGS__})
#define NOT_KNOWN      "Name or service not known"
#define BAD_FAMILY     "Address family for hostname not supported"
#define HAS_NO_ADDRESS "No address associated with hostname"

static void test_literals(void)
{
	struct weft_stack *s = open_both();
	struct addrinfo v4 = {.ai_family = AF_INET}, v6 = {.ai_family = AF_INET6};
	struct addrinfo mapped = {.ai_family = AF_INET6, .ai_flags = AI_V4MAPPED};

	asks(s, "192.0.2.7", "80", HINTS(0), "192.0.2.7/80");
	asks(s, "2001:db8::7", "80", HINTS(0), "2001:db8::7/80");
	asks(s, "fe80::7%4000000000", NULL, HINTS(0), "fe80::7%4000000000/0");
	asks(s, "192.0.2.7", NULL, v6, BAD_FAMILY);
	asks(s, "2001:db8::7", NULL, v4, BAD_FAMILY);
	asks(s, "192.0.2.7", NULL, mapped, "::ffff:192.0.2.7/0");
	asks(s, "::ffff:192.0.2.7", NULL, v4, "192.0.2.7/0");
	asks(s, "::ffff:192.0.2.7", NULL, v6, "::ffff:192.0.2.7/0");
	asks(s, "127.1", NULL, v4, "127.0.0.1/0");
	asks(s, "192.0.2.7", NULL, HINTS(.ai_flags = AI_CANONNAME), "=192.0.2.7 192.0.2.7/0");
	asks(s, "beta.example", NULL, HINTS(.ai_flags = AI_NUMERICHOST), NOT_KNOWN);
	asks(s, "192.0.2.7", NULL, HINTS(.ai_flags = AI_NUMERICHOST), "192.0.2.7/0");
	close_named(s);
}

static void test_no_node(void)
{
	struct weft_stack *s = open_both();

	asks(s, NULL, "80", HINTS(0), "::1/80 127.0.0.1/80");
	asks(s, NULL, "80", HINTS(.ai_family = AF_INET), "127.0.0.1/80");
	asks(s, NULL, "80", HINTS(.ai_family = AF_INET6), "::1/80");
	asks(s, NULL, "80", HINTS(.ai_flags = AI_PASSIVE), "::/80 0.0.0.0/80");
	/* With a node AI_PASSIVE means nothing. */
	asks(s, "192.0.2.7", "80", HINTS(.ai_flags = AI_PASSIVE), "192.0.2.7/80");
	close_named(s);
}

static void test_hosts(void)
{
	struct weft_stack *s = open_both();
	int canon = AI_CANONNAME;

	asks(s, "beta", "80", HINTS(.ai_flags = canon), "=beta.example 192.0.2.2/80");
	asks(s, "BETA.example.", NULL, HINTS(0), "2001:db8::2/0 192.0.2.2/0");
	asks(s, "beta.example", NULL, HINTS(.ai_family = AF_INET), "192.0.2.2/0");
	asks(s, "four.example", NULL, HINTS(.ai_family = AF_INET6), NOT_KNOWN);
	asks(s, "gamma", NULL, HINTS(0), NOT_KNOWN);
	asks(s, "", NULL, HINTS(0), NOT_KNOWN);
	asks(s, "a..b", NULL, HINTS(0), NOT_KNOWN);
	close_named(s);
}

/* AI_V4MAPPED and AI_ALL. */
static void test_mapped(void)
{
	struct weft_stack *s = open_both();
	struct addrinfo mapped = {.ai_family = AF_INET6, .ai_flags = AI_V4MAPPED};
	struct addrinfo all = {.ai_family = AF_INET6, .ai_flags = AI_V4MAPPED | AI_ALL};

	asks(s, "four.example", NULL, mapped, "::ffff:198.51.100.1/0");
	asks(s, "beta.example", NULL, mapped, "2001:db8::2/0");
	asks(s, "beta.example", NULL, all, "2001:db8::2/0 ::ffff:192.0.2.2/0");
	/* Nothing to map without AF_INET6. */
	asks(s, "four.example", NULL, HINTS(.ai_flags = AI_V4MAPPED | AI_ALL), "198.51.100.1/0");
	close_named(s);
}

/* AI_ADDRCONFIG and the order go by the stack's addresses. */
static void test_families_of_the_stack(void)
{
	struct addrinfo conf = {.ai_flags = AI_ADDRCONFIG};
	struct addrinfo conf6 = {.ai_family = AF_INET6, .ai_flags = AI_ADDRCONFIG};
	struct weft_stack *s = open_named(KIT_A4 "/24", NULL);

	asks(s, "beta.example", NULL, HINTS(0), "192.0.2.2/0 2001:db8::2/0");
	asks(s, "beta.example", NULL, conf, "192.0.2.2/0");
	asks(s, "beta.example", NULL, conf6, NOT_KNOWN);
	asks(s, "2001:db8::2", NULL, conf, "2001:db8::2/0");
	conf6.ai_flags |= AI_V4MAPPED;
	asks(s, "beta.example", NULL, conf6, "::ffff:192.0.2.2/0");
	close_named(s);
	s = open_named(NULL, KIT_A6 "/64");
	asks(s, "beta.example", NULL, HINTS(0), "2001:db8::2/0 192.0.2.2/0");
	asks(s, "beta.example", NULL, conf, "2001:db8::2/0");
	asks(s, "four.example", NULL, conf, NOT_KNOWN);
	close_named(s);
}

/* localhost is what it is, and some names are nobody's (RFC 6761): nobody is asked. */
static void test_special_names(void)
{
	struct weft_stack *s = open_both();
	struct fake fake = {.rc = 0, .answer = {.count = 1, .addrs = {{.family = AF_INET}}}};

	fake_attach(&fake, s);
	asks(s, "localhost", "80", HINTS(0), "::1/80 127.0.0.1/80");
	asks(s, "a.LOCALHOST.", NULL, HINTS(.ai_family = AF_INET), "127.0.0.1/0");
	asks(s, "x.invalid", NULL, HINTS(0), NOT_KNOWN);
	asks(s, "abc.onion", NULL, HINTS(0), NOT_KNOWN);
	CU_ASSERT(fake.lookups == 0);
	close_named(s);
	CU_ASSERT(fake.closes == 1);
}

static void test_kinds(void)
{
	struct weft_stack *s = open_both();
	struct addrinfo *list = NULL;
	struct addrinfo ping = {.ai_protocol = IPPROTO_ICMPV6};
	unsigned count = 0;

	CU_ASSERT(weft_getaddrinfo(s, "beta.example", "80", NULL, &list) == 0);
	for (struct addrinfo *at = list; at; at = at->ai_next) {
		CU_ASSERT(at->ai_family == (count < 2 ? AF_INET6 : AF_INET));
		CU_ASSERT(at->ai_socktype == (count % 2 ? SOCK_DGRAM : SOCK_STREAM));
		CU_ASSERT(at->ai_protocol == (count % 2 ? IPPROTO_UDP : IPPROTO_TCP));
		count++;
	}
	CU_ASSERT(count == 4);
	/* A tail may be freed alone. */
	weft_freeaddrinfo(list->ai_next);
	list->ai_next = NULL;
	weft_freeaddrinfo(list);
	weft_freeaddrinfo(NULL);
	CU_ASSERT(weft_getaddrinfo(s, "beta.example", NULL, &ping, &list) == 0);
	CU_ASSERT(list->ai_family == AF_INET6 && !list->ai_next);
	CU_ASSERT(list->ai_socktype == SOCK_DGRAM && list->ai_protocol == IPPROTO_ICMPV6);
	weft_freeaddrinfo(list);
	CU_ASSERT(weft_getaddrinfo(s, "192.0.2.2", NULL, &ping, &list) == EAI_ADDRFAMILY);
	close_named(s);
}

static void test_resolver(void)
{
	struct weft_stack *s = open_both();
	struct fake fake = {
		.answer = {.canonical = "real.example",
			   .count = 2,
			   .addrs = {{.family = AF_INET, .bytes = {203, 0, 113, 1}},
				     {.family = AF_INET6, .bytes = {0x20, 1, 0xd, 0xb8}}}}};

	fake_attach(&fake, s);
	asks(s, "some.example.", "80", HINTS(.ai_flags = AI_CANONNAME),
	     "=real.example 2001:db8::/80 203.0.113.1/80");
	CU_ASSERT(fake.family == AF_UNSPEC);
	CU_ASSERT_STRING_EQUAL(fake.name, "some.example.");
	/* The file first; beyond it when it has nothing of the family. */
	asks(s, "four.example", NULL, HINTS(0), "198.51.100.1/0");
	CU_ASSERT(fake.lookups == 1);
	fake.answer.addrs[0] = fake.answer.addrs[1];
	fake.answer.count = 1;
	asks(s, "four.example", NULL, HINTS(.ai_family = AF_INET6), "2001:db8::/0");
	CU_ASSERT(fake.lookups == 2 && fake.family == AF_INET6);
	/* What it must not give. */
	asks(s, "wrong.example", NULL, HINTS(.ai_family = AF_INET),
	     "Non-recoverable failure in name resolution");
	fake.answer.count = WEFT_NAME_ADDRS_MAX + 1;
	asks(s, "many.example", NULL, HINTS(0), "Non-recoverable failure in name resolution");
	fake.answer.count = 0;
	asks(s, "none.example", NULL, HINTS(0), HAS_NO_ADDRESS);
	fake.rc = EAI_AGAIN;
	asks(s, "slow.example", NULL, HINTS(0), "Temporary failure in name resolution");
	fake.rc = EAI_SYSTEM;
	asks(s, "system.example", NULL, HINTS(0), "System error");
	CU_ASSERT(errno == EIO);
	close_named(s);
}

/* Another takes its place; each is closed once. */
static void test_replaced(void)
{
	struct weft_stack *s = open_both();
	static struct fake first = {.rc = EAI_AGAIN}, second = {.rc = EAI_NODATA};
	const struct weft_resolver broken = {&first, fake_lookup, NULL, fake_close};

	fake_attach(&first, s);
	fake_attach(&second, s);
	CU_ASSERT(first.closes == 1 && second.closes == 0);
	asks(s, "x.example", NULL, HINTS(0), HAS_NO_ADDRESS);
	GIVES(weft_stack_set_resolver(s, NULL), 0);
	CU_ASSERT(second.closes == 1);
	asks(s, "x.example", NULL, HINTS(0), NOT_KNOWN);
	FAILS(weft_stack_set_resolver(s, &broken), EINVAL);
	close_named(s);
	FAILS(weft_stack_set_resolver(NULL, NULL), ENETDOWN);
	CU_ASSERT(first.closes == 1 && second.closes == 1);
}

enum { THREADS = 4, ROUNDS = 200 };

static void *run_asker(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	intptr_t failures = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct addrinfo *list = NULL;
		int rc = weft_getaddrinfo(arg, i % 2 ? "beta" : "any.example", "80", &hints, &list);

		failures += rc != (i % 2 ? 0 : EAI_AGAIN) && rc != EAI_NONAME;
		weft_freeaddrinfo(list);
	}
	return (void *)failures;
}

static int again_lookup(void *ctx, const char *name, int family, struct weft_name_addrs *out)
{
	atomic_int *calls = ctx;

	(void)name;
	(void)family;
	(void)out;
	CU_ASSERT(atomic_fetch_add(calls, 1) >= 0);
	return EAI_AGAIN;
}

static void again_close(void *ctx)
{
	atomic_int *calls = ctx;

	atomic_store(calls, INT32_MIN);
}

/* Many at once, while the resolver comes and goes; nobody calls one that was closed. */
static void test_threads(void)
{
	struct weft_stack *s = open_both();
	pthread_t threads[THREADS];
	atomic_int calls[20] = {0};

	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_FATAL(thread_start(&threads[i], "asker", run_asker, s) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const struct weft_resolver again = {&calls[i], again_lookup, fake_reverse,
						    again_close};

		GIVES(weft_stack_set_resolver(s, &again), 0);
		kit_pause();
	}
	for (int i = 0; i < THREADS; i++) {
		void *failures;

		CU_ASSERT(pthread_join(threads[i], &failures) == 0 && !failures);
	}
	close_named(s);
}

/* Without a stack: literals and the system's hosts file; in a child of fork: nothing. */
static void test_no_stack(void)
{
	struct addrinfo *list;
	int status;

	asks(NULL, "192.0.2.7", "80", HINTS(.ai_flags = AI_ADDRCONFIG), "192.0.2.7/80");
	asks(NULL, "localhost", "80", HINTS(.ai_family = AF_INET), "127.0.0.1/80");
	struct weft_stack *s = open_both();
	pid_t child = fork();

	if (child == 0) {
		bool is_right = weft_getaddrinfo(s, "192.0.2.7", NULL, NULL, &list) == EAI_SYSTEM;

		_exit(is_right && errno == ENETDOWN ? 0 : 1);
	}
	CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
	close_named(s);
}

static int name_of(struct weft_stack *s, const char *text, char *host, socklen_t size, int flags)
{
	struct kit_addr addr = kit_addr(text, 53);
	char service[16];

	return weft_getnameinfo(s, kit_sa(&addr), addr.len, host, size, service, sizeof(service),
				flags);
}

static void test_names_of_addresses(void)
{
	struct weft_stack *s = open_both();
	struct fake fake = {.rc = 0};
	char host[100];

	CU_ASSERT(name_of(s, "192.0.2.2", host, sizeof(host), 0) == 0);
	CU_ASSERT_STRING_EQUAL(host, "beta.example");
	CU_ASSERT(name_of(s, "::ffff:192.0.2.2", host, sizeof(host), 0) == 0);
	CU_ASSERT_STRING_EQUAL(host, "beta.example");
	CU_ASSERT(name_of(s, "192.0.2.2", host, sizeof(host), NI_NUMERICHOST) == 0);
	CU_ASSERT_STRING_EQUAL(host, "192.0.2.2");
	CU_ASSERT(name_of(s, "::1", host, sizeof(host), NI_NAMEREQD) == 0);
	CU_ASSERT_STRING_EQUAL(host, "localhost");
	CU_ASSERT(name_of(s, "192.0.2.3", host, sizeof(host), 0) == 0);
	CU_ASSERT_STRING_EQUAL(host, "192.0.2.3");
	CU_ASSERT(name_of(s, "192.0.2.3", host, sizeof(host), NI_NAMEREQD) == EAI_NONAME);
	CU_ASSERT(name_of(s, "192.0.2.2", host, sizeof("beta.example"), 0) == 0);
	CU_ASSERT(name_of(s, "192.0.2.2", host, sizeof("beta.example") - 1, 0) == EAI_OVERFLOW);
	fake_attach(&fake, s);
	CU_ASSERT(name_of(s, "192.0.2.3", host, sizeof(host), NI_NAMEREQD) == 0);
	CU_ASSERT_STRING_EQUAL(host, "reverse.example");
	fake.rc = EAI_AGAIN;
	CU_ASSERT(name_of(s, "192.0.2.3", host, sizeof(host), NI_NAMEREQD) == EAI_AGAIN);
	CU_ASSERT(name_of(s, "192.0.2.3", host, sizeof(host), 0) == 0);
	CU_ASSERT_STRING_EQUAL(host, "192.0.2.3");
	close_named(s);
}

static void test_names_of_services(void)
{
	struct kit_addr addr = kit_addr("192.0.2.2", 65533);
	char text[16];
	struct sockaddr *sa = kit_sa(&addr);

	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len, NULL, 0, text, sizeof(text), 0) == 0);
	CU_ASSERT_STRING_EQUAL(text, "65533");
	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len, NULL, 0, text, 5, 0) == EAI_OVERFLOW);
	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len, NULL, 0, text, 6, 0) == 0);
	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len, NULL, 0, NULL, 0, 0) == EAI_NONAME);
	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len - 1, NULL, 0, text, 16, 0) == EAI_FAMILY);
	CU_ASSERT(weft_getnameinfo(NULL, sa, 1, NULL, 0, text, 16, 0) == EAI_FAMILY);
	CU_ASSERT(weft_getnameinfo(NULL, NULL, 16, NULL, 0, text, 16, 0) == EAI_FAMILY);
	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len, NULL, 0, text, 16, 1 << 20) == EAI_BADFLAGS);
	sa->sa_family = AF_UNIX;
	CU_ASSERT(weft_getnameinfo(NULL, sa, addr.len, NULL, 0, text, 16, 0) == EAI_FAMILY);
}

UNIT_MAIN("getaddrinfo", UNIT(literals), UNIT(no_node), UNIT(hosts), UNIT(mapped),
	  UNIT(families_of_the_stack), UNIT(special_names), UNIT(kinds), UNIT(resolver),
	  UNIT(replaced), UNIT(threads), UNIT(no_stack), UNIT(names_of_addresses),
	  UNIT(names_of_services))
