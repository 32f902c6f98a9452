/*
 * weft_dns_attach, and the resolver that it gives to a stack.  Any thread: what calls share is settings that
 * do not change and a counter.
 */
#include "dns/answer.h"
#include "dns/call.h"
#include "dns/search.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dns {
	struct weft_stack *stack;
	struct settings settings;
	atomic_uint turn; /* of 'rotate' */
};

/* ---- Addresses of names. ---- */

static int read_a(void *ctx, const uint8_t *msg, int size)
{
	return answer_addrs(msg, size, ANSWER_TYPE_A, ctx);
}

static int read_aaaa(void *ctx, const uint8_t *msg, int size)
{
	return answer_addrs(msg, size, ANSWER_TYPE_AAAA, ctx);
}

/* What two failures say together: the one that says less about the name. */
static int worse(int a, int b)
{
	static const int order[] = {EAI_MEMORY, EAI_SYSTEM, EAI_AGAIN, EAI_FAIL, EAI_NODATA};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return EAI_NONAME;
}

/* One candidate: both types at once. */
static int lookup_one(struct call *call, const char *name, int family, struct weft_name_addrs *out)
{
	struct call_question a = {.read = read_a, .ctx = out, .rc = EAI_NONAME};
	struct call_question aaaa = {.read = read_aaaa, .ctx = out, .rc = EAI_NONAME};

	if (family != AF_INET6)
		call_ask(call, &a, name, ANSWER_TYPE_A);
	if (family != AF_INET)
		call_ask(call, &aaaa, name, ANSWER_TYPE_AAAA);
	call_wait(call);
	/* One type's addresses are better than none. */
	if (out->count > 0)
		return 0;
	return worse(a.rc, aaaa.rc);
}

/*
 * A server that fails ends the search: else a name could mean a host of another domain for as long as
 * the right one cannot be asked.
 */
static int lookup_all(struct call *call, const struct settings *settings, const char *name,
		      int family, struct weft_name_addrs *out)
{
	char candidate[WEFT_NAME_SIZE];
	struct search search;
	int result = EAI_NONAME;

	search_begin(&search, settings, name);
	while (search_next(&search, candidate)) {
		int rc = lookup_one(call, candidate, family, out);

		if (rc != EAI_NONAME && rc != EAI_NODATA)
			return rc;
		result = worse(result, rc);
	}
	return result;
}

static int open_call(struct dns *dns, struct call *call)
{
	unsigned first = dns->settings.rotate ? atomic_fetch_add(&dns->turn, 1) : 0;

	return call_open(call, dns->stack, &dns->settings, first);
}

static int close_call(struct call *call, int rc)
{
	call_close(call);
	if (rc == EAI_SYSTEM)
		errno = ESHUTDOWN;
	return rc;
}

static int dns_lookup(void *ctx, const char *name, int family, struct weft_name_addrs *out)
{
	struct dns *dns = ctx;
	struct call call;
	int rc = open_call(dns, &call);

	if (rc != 0)
		return rc;
	return close_call(&call, lookup_all(&call, &dns->settings, name, family, out));
}

/* ---- Names of addresses. ---- */

/* RFC 1035 3.5, RFC 3596 2.5. */
static void reverse_name(const struct weft_name_addr *addr, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = addr->bytes;

	if (addr->family == AF_INET) {
		(void)snprintf(text, WEFT_NAME_SIZE, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1],
			       b[0]);
		return;
	}
	for (int i = 15; i >= 0; i--) {
		*text++ = digits[b[i] & 0xf];
		*text++ = '.';
		*text++ = digits[b[i] >> 4];
		*text++ = '.';
	}
	memcpy(text, "ip6.arpa", sizeof("ip6.arpa"));
}

static int read_ptr(void *ctx, const uint8_t *msg, int size)
{
	return answer_name(msg, size, ctx);
}

static int dns_reverse(void *ctx, const struct weft_name_addr *addr, char *name)
{
	struct call_question question = {.read = read_ptr, .ctx = name};
	struct dns *dns = ctx;
	struct call call;
	char asked[WEFT_NAME_SIZE];
	int rc = open_call(dns, &call);

	if (rc != 0)
		return rc;
	reverse_name(addr, asked);
	call_ask(&call, &question, asked, ANSWER_TYPE_PTR);
	call_wait(&call);
	return close_call(&call, question.rc);
}

static void dns_close(void *ctx)
{
	free(ctx);
}

/* ---- Attaching. ---- */

static int library_status;

static void init_library(void)
{
	library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

/* A new resolver's 0 or -errno. */
static int attach(struct dns *dns, const struct weft_dns_config *config, char *why, size_t why_size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const struct weft_resolver resolver = {dns, dns_lookup, dns_reverse, dns_close};

	(void)pthread_once(&once, init_library);
	if (library_status != ARES_SUCCESS)
		return -ENOMEM;
	int rc = settings_read(config, &dns->settings, why, why_size);

	if (rc == 0 && weft_stack_set_resolver(dns->stack, &resolver) < 0)
		rc = -errno;
	return rc;
}

int weft_dns_attach(struct weft_stack *stack, const struct weft_dns_config *config, char *why,
		    size_t why_size)
{
	struct dns *dns = stack && config ? calloc(1, sizeof(*dns)) : NULL;
	int rc = stack && config ? -ENOMEM : -EINVAL;

	if (why && why_size > 0)
		why[0] = '\0';
	if (dns) {
		dns->stack = stack;
		rc = attach(dns, config, why, why_size);
	}
	if (rc == 0)
		return 0;
	if (why && why_size > 0 && !why[0])
		(void)snprintf(why, why_size, "DNS: %s", strerror(-rc));
	free(dns);
	errno = -rc;
	return -1;
}
