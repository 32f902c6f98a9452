/*
 * The path MTU cache and the reading of "too big" messages (RFC 1191, RFC 8201).  Called by RX threads
 * and emitters under the stack's lock for it, and by tests.
 */
#include "net/ip/pmtu.h"

#include "net/base/check.h"
#include "net/base/mechanism.h"

void pmtu_init(struct pmtu *pmtu, uint64_t seed, uint32_t age_s)
{
	memset(pmtu, 0, sizeof(*pmtu));
	khash_key_init(&pmtu->key, seed, "pmtu");
	pmtu->age = time_of_s(age_s);
}

static unsigned set_of(const struct pmtu *pmtu, const struct addr *dst)
{
	return (unsigned)(khash(&pmtu->key, dst, sizeof(*dst)) % PMTU_SETS);
}

static bool is_for(const struct pmtu_entry *e, const struct addr *dst, weft_time_us now)
{
	return (e->until > now || !MECHANISM(pmtu_age)) && addr_equal(&e->dst, dst);
}

uint32_t pmtu_get(const struct pmtu *pmtu, const struct addr *dst, uint32_t link, weft_time_us now)
{
	const struct pmtu_entry *set = pmtu->set[set_of(pmtu, dst)];

	for (unsigned i = 0; i < PMTU_WAYS; i++)
		if (is_for(&set[i], dst, now))
			return set[i].mtu < link ? set[i].mtu : link;
	return link;
}

bool pmtu_lower(struct pmtu *pmtu, const struct addr *dst, uint32_t mtu, weft_time_us now)
{
	struct pmtu_entry *set = pmtu->set[set_of(pmtu, dst)];
	struct pmtu_entry *place = &set[0];

	for (unsigned i = 0; i < PMTU_WAYS; i++) {
		if (is_for(&set[i], dst, now)) {
			if (set[i].mtu <= mtu && MECHANISM(pmtu_lowers))
				return false;
			place = &set[i];
			break;
		}
		if (set[i].until < place->until)
			place = &set[i];
	}
	*place = (struct pmtu_entry){.dst = *dst, .until = now + pmtu->age, .mtu = mtu};
	return true;
}

/* RFC 1191 7, table 7-1. */
static uint32_t plateau_below(uint32_t size)
{
	static const uint16_t plateaus[] = {65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006};

	for (size_t i = 0; i < ARRAY_SIZE(plateaus); i++)
		if (plateaus[i] < size)
			return plateaus[i];
	return PMTU4_MIN;
}

uint32_t pmtu_claim(bool is_v4, uint32_t claimed, uint32_t size)
{
	if (claimed == 0 && is_v4 && MECHANISM(pmtu_plateau))
		claimed = plateau_below(size);
	if (is_v4 && claimed < PMTU4_MIN && MECHANISM(pmtu_minimum_v4))
		claimed = PMTU4_MIN;
	if (claimed >= size || (!is_v4 && claimed < PMTU6_MIN && MECHANISM(pmtu_minimum)))
		return 0;
	return claimed;
}
