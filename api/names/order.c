/* Order of destinations; see order.h.  The sources are those that the stack's route_source takes. */
#include "api/names/order.h"

#include "api/names/literal.h"
#include "net/base/check.h"

struct policy {
	uint8_t prefix[16];
	uint8_t bits;
	uint8_t precedence;
	uint8_t label;
};

/* RFC 6724 2.1, longest prefixes first. */
static const struct policy policies[] = {
	{{[15] = 1}, 128, 50, 0},  {{[10] = 0xff, [11] = 0xff}, 96, 35, 4},
	{{0}, 96, 1, 3},           {{0x20, 0x01}, 32, 5, 5},
	{{0x20, 0x02}, 16, 30, 2}, {{0x3f, 0xfe}, 16, 1, 12},
	{{0xfe, 0xc0}, 10, 1, 11}, {{0xfc}, 7, 3, 13},
	{{0}, 0, 40, 1},
};

static const struct policy *policy_of(const struct addr *a)
{
	for (unsigned i = 0;; i++) {
		struct addr prefix = addr_from_v6(policies[i].prefix);

		if (addr_in_prefix(a, &prefix, policies[i].bits))
			return &policies[i];
	}
}

enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* RFC 6724 3.1 and 3.2. */
static int scope_of(const struct addr *a)
{
	const uint8_t *b = a->b;

	if (addr_is_v4(a)) {
		bool is_link = b[12] == 127 || (b[12] == 169 && b[13] == 254);

		return is_link ? SCOPE_LINK : SCOPE_GLOBAL;
	}
	if (addr_is_multicast(a))
		return b[1] & 0xf;
	if (addr_is_loopback(a) || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
		return SCOPE_LINK;
	return b[0] == 0xfe && (b[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

/* A destination with what the rules ask of it. */
struct candidate {
	struct weft_name_addr given;
	const struct policy *policy;
	bool has_source;    /* rule 1 */
	bool is_scope_same; /* rule 2 */
	bool is_label_same; /* rule 5 */
	bool is_v4;
	int scope;            /* rule 8 */
	unsigned common_bits; /* rule 9 */
};

static const struct order_own *own_of_family(bool is_v4, const struct order_own *own,
					     unsigned own_count)
{
	for (unsigned i = 0; i < own_count; i++)
		if (addr_is_v4(&own[i].addr) == is_v4)
			return &own[i];
	return NULL;
}

/* The source for 'dst' with its prefix; false: there is none. */
static bool choose_source(const struct addr *dst, const struct order_own *own, unsigned own_count,
			  struct order_own *source)
{
	if (addr_is_multicast(dst) || addr_is_broadcast(dst))
		return false;
	*source = (struct order_own){*dst, 128};
	if (addr_is_loopback(dst) || addr_is_any(dst))
		return true;
	for (unsigned i = 0; i < own_count; i++)
		if (addr_equal(&own[i].addr, dst))
			return true;
	const struct order_own *found = own_of_family(addr_is_v4(dst), own, own_count);

	if (found)
		*source = *found;
	return found != NULL;
}

static unsigned common_bits(const struct addr *dst, const struct order_own *source)
{
	unsigned bits = 0;

	if (addr_is_v4(dst))
		return addr_in_prefix(dst, &source->addr, source->prefix);
	while (bits < source->prefix && addr_in_prefix(dst, &source->addr, bits + 1))
		bits++;
	return bits;
}

static struct candidate judge(const struct weft_name_addr *given, const struct order_own *own,
			      unsigned own_count)
{
	struct addr dst = literal_addr(given);
	struct order_own source;
	struct candidate c = {
		.given = *given,
		.policy = policy_of(&dst),
		.has_source = choose_source(&dst, own, own_count, &source),
		.is_v4 = addr_is_v4(&dst),
		.scope = scope_of(&dst),
	};

	if (c.has_source) {
		c.is_scope_same = scope_of(&source.addr) == c.scope;
		c.is_label_same = policy_of(&source.addr)->label == c.policy->label;
		c.common_bits = common_bits(&dst, &source);
	}
	return c;
}

/* Whether 'a', which comes behind 'b', should come first. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	if (a->has_source != b->has_source)
		return a->has_source;
	if (a->is_scope_same != b->is_scope_same)
		return a->is_scope_same;
	if (a->is_label_same != b->is_label_same)
		return a->is_label_same;
	if (a->policy->precedence != b->policy->precedence)
		return a->policy->precedence > b->policy->precedence;
	if (a->scope != b->scope)
		return a->scope < b->scope;
	return a->is_v4 == b->is_v4 && a->common_bits > b->common_bits;
}

void order_sort(struct weft_name_addr *list, unsigned count, const struct order_own *own,
		unsigned own_count)
{
	WEFT_ASSERT(count <= WEFT_NAME_ADDRS_MAX);
	/* By insertion: stable (rule 10), and the lists are short.  Judged anew: no room is needed. */
	for (unsigned i = 1; i < count; i++) {
		struct candidate moved = judge(&list[i], own, own_count);
		unsigned at = i;

		for (; at > 0; at--) {
			struct candidate before = judge(&list[at - 1], own, own_count);

			if (!is_better(&moved, &before))
				break;
			list[at] = list[at - 1];
		}
		list[at] = moved.given;
	}
}
