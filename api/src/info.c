/*
 * weft_stack_stats, the names of counters and drop reasons, the version.  Any thread.
 */
#include "api/src/stacks.h"
#include "net/base/counters.h"
#include <string.h>

static_assert(C_COUNT <= ARRAY_SIZE(((struct weft_stats *)0)->counters), "counters fit");
static_assert(DROP_COUNT <= ARRAY_SIZE(((struct weft_stats *)0)->drops), "drop reasons fit");

void weft_stack_stats(struct weft_stack *stack, struct weft_stats *stats)
{
	struct weft_stack *entered = stacks_enter(stack);

	memset(stats, 0, sizeof(*stats));
	if (!entered)
		return;
	stack_stats(entered->stack, stats);
	stats->sockets = atomic_load_explicit(&entered->owner.live, memory_order_relaxed);
	stacks_leave(entered);
}

const char *weft_counter_name(unsigned index)
{
	return index < C_COUNT ? counter_name((enum counter)index) : NULL;
}

const char *weft_counter_text(unsigned index)
{
	return index < C_COUNT ? counter_text((enum counter)index) : NULL;
}

const char *weft_drop_name(unsigned index)
{
	return index < DROP_COUNT ? drop_name((enum drop)index) : NULL;
}

const char *weft_drop_text(unsigned index)
{
	return index < DROP_COUNT ? drop_text((enum drop)index) : NULL;
}

const char *weft_stack_dev_name(const struct weft_stack *stack)
{
	return stack ? stack_dev_name(stack->stack) : NULL;
}

const char *weft_version(void)
{
	return "0.1.0";
}
