/* Statistics, names, version. */
#include "kit.h"

/* The counter's place among the statistics, by name. */
static unsigned counter_index(const char *name)
{
	unsigned i = 0;

	while (weft_counter_name(i) && strcmp(weft_counter_name(i), name) != 0)
		i++;
	CU_ASSERT_FATAL(weft_counter_name(i) != NULL);
	return i;
}

static void test_names(void)
{
	unsigned counters = 0;
	unsigned drops = 0;

	CU_ASSERT_STRING_EQUAL(weft_version(), "0.1.0");
	for (; weft_counter_name(counters); counters++)
		CU_ASSERT(weft_counter_text(counters) != NULL);
	for (; weft_drop_name(drops); drops++)
		CU_ASSERT(weft_drop_text(drops) != NULL);
	CU_ASSERT(counters > 20 && counters <= 128 && drops > 20 && drops <= 128);
	CU_ASSERT(weft_counter_text(counters) == NULL && weft_drop_text(drops) == NULL);
	CU_ASSERT(weft_counter_name(~0u) == NULL && weft_drop_name(~0u) == NULL);
	CU_ASSERT(weft_stack_dev_name(NULL) == NULL);
}

static void test_counts(void)
{
	static struct weft_stats stats;
	struct kit kit;
	int fds[2];

	kit_open(&kit);
	CU_ASSERT(weft_stack_dev_name(kit.a) != NULL);
	kit_join(&kit, fds);
	int listener = kit_listener(kit.a, KIT_A4, 80, 5);
	kit_await_conns(kit.b, 1); /* by then both packets of the client were counted */
	weft_stack_stats(kit.a, &stats);
	CU_ASSERT(stats.sockets == 2 && stats.listeners == 1 && stats.objects >= 2);
	CU_ASSERT(stats.conns >= 1);
	CU_ASSERT(stats.counters[counter_index("TCP_ACTIVE_OPEN")] == 1);
	CU_ASSERT(stats.counters[counter_index("PKT_OUT")] >= 2);
	weft_stack_stats(kit.b, &stats);
	CU_ASSERT(stats.sockets == 1 && stats.counters[counter_index("TCP_PASSIVE_OPEN")] == 1);
	weft_stack_stats(NULL, &stats);
	CU_ASSERT(stats.sockets == 2);
	GIVES(weft_close(listener), 0);
	GIVES(weft_close(fds[0]), 0);
	GIVES(weft_close(fds[1]), 0);
	kit_close(&kit);
}

UNIT_MAIN("info", UNIT(names), UNIT(counts))
