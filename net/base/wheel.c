/*
 * The timer wheel.  Called by the emitter (timers of sockets and records) and by the tests; one
 * thread at a time, no lock of its own.
 *
 * A node's level is that of the highest digit, of six bits, in which its tick and the wheel's
 * differ, and its slot is that digit of its tick: a slot of level 0 is one tick, one of level n is 64^n.
 * So all of a level comes before all of the next.  When the wheel's tick reaches the start of a slot
 * of a higher level, its nodes are inserted again, and fall to lower levels; a node does that five
 * times at most.  A large slot spills in portions: until it is empty the wheel's tick stands still.
 *
 * Nobody needs to wake up for a spill: a slot knows a lower bound of its ticks, which is exact until
 * its first node is removed, and the wheel sleeps until that; slots that begin before are spilled
 * when somebody calls.
 *
 * Ticks in nodes are modulo 2^32.  The top level has two bits left, so it is a ring of four slots; a
 * deadline is at most one of them away, so none is ahead of and behind the wheel's tick at once.
 *
 * W1: a node's slot of level 0 is at or behind the wheel's tick, one of a higher level is behind it,
 *     or at it while it spills.
 * W2: a bit of 'used' is set if and only if the slot has nodes.
 * W3: first[level][slot] is not after any node of the slot.
 */
#include "net/base/wheel.h"

#include "net/base/check.h"
#include <string.h>

enum {
	TOP = WHEEL_LEVELS - 1,
	TOP_SLOTS = 1 << (32 - TOP * WHEEL_BITS),
	TICKS_MAX = (1 << (TOP * WHEEL_BITS)) - 1, /* the farthest deadline */
};

static uint32_t *tick_of(const struct wheel *wheel, const struct wheel_node *node)
{
	return (uint32_t *)(void *)((char *)(uintptr_t)node + wheel->tick_at);
}

/* A node's tick, or a slot's bound, on the wheel's own scale. */
static int64_t widen(const struct wheel *wheel, uint32_t tick)
{
	return wheel->tick + (int32_t)(tick - (uint32_t)wheel->tick);
}

static unsigned slots_of(unsigned level)
{
	return level == TOP ? TOP_SLOTS : WHEEL_SLOTS;
}

static unsigned digit(int64_t tick, unsigned level)
{
	return (unsigned)(tick >> (level * WHEEL_BITS)) & (slots_of(level) - 1);
}

/* When the slot begins, for one that is not before the wheel's tick. */
static int64_t slot_start(const struct wheel *wheel, unsigned level, unsigned slot)
{
	unsigned shift = level * WHEEL_BITS;
	unsigned ahead = (slot - digit(wheel->tick, level)) & (slots_of(level) - 1);

	return (int64_t)((uint64_t)((wheel->tick >> shift) + ahead) << shift);
}

void wheel_init(struct wheel *wheel, weft_time_us now, ptrdiff_t tick_at)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = now >> WHEEL_TICK_SHIFT;
	wheel->tick_at = tick_at;
}

/* Links a node by its tick. */
static void place(struct wheel *wheel, struct wheel_node *node)
{
	uint32_t tick = *tick_of(wheel, node);
	uint32_t differs = tick ^ (uint32_t)wheel->tick;
	unsigned level =
		differs == 0 ? 0 : (31 - (unsigned)__builtin_clz(differs)) / (unsigned)WHEEL_BITS;
	unsigned slot = digit(tick, level);
	struct wheel_node **head = &wheel->slot[level][slot];
	uint32_t *first = &wheel->first[level][slot];

	if (!*head || (int32_t)(tick - *first) < 0)
		*first = tick;
	wheel->used[level] |= (uint64_t)1 << slot;
	node->next = *head;
	node->prev = head;
	if (node->next)
		node->next->prev = &node->next;
	*head = node;
}

void wheel_insert(struct wheel *wheel, struct wheel_node *node, weft_time_us deadline)
{
	WEFT_ASSERT(!wheel_has(node));
	int64_t tick = deadline >> WHEEL_TICK_SHIFT;

	if (deadline & ((1 << WHEEL_TICK_SHIFT) - 1))
		tick++;
	if (tick < wheel->tick)
		tick = wheel->tick;
	else if (tick - wheel->tick > TICKS_MAX)
		tick = wheel->tick + TICKS_MAX;
	*tick_of(wheel, node) = (uint32_t)tick;
	place(wheel, node);
}

void wheel_remove(struct wheel *wheel, struct wheel_node *node)
{
	WEFT_ASSERT(wheel_has(node));
	const uintptr_t at = (uintptr_t)node->prev - (uintptr_t)&wheel->slot[0][0];

	*node->prev = node->next;
	if (node->next) {
		node->next->prev = node->prev;
	} else if (at < sizeof(wheel->slot)) {
		/* It was alone: what points at it is the slot itself. */
		size_t index = at / sizeof(void *);

		wheel->used[index / WHEEL_SLOTS] &= ~((uint64_t)1 << index % WHEEL_SLOTS);
	}
	node->next = NULL;
	node->prev = NULL;
}

weft_time_us wheel_key(const struct wheel *wheel, const struct wheel_node *node)
{
	return widen(wheel, *tick_of(wheel, node)) * (1 << WHEEL_TICK_SHIFT);
}

/* The slot of the earliest nodes; false when the wheel is empty. */
static bool find_first(const struct wheel *wheel, unsigned *level, unsigned *slot)
{
	if (wheel->spilling) {
		*level = wheel->spilling;
		*slot = digit(wheel->tick, *level);
		if (wheel->used[*level] & (uint64_t)1 << *slot)
			return true;
	}
	for (*level = 0; *level < TOP; ++*level) {
		if (wheel->used[*level]) {
			*slot = (unsigned)__builtin_ctzll(wheel->used[*level]);
			return true;
		}
	}
	for (unsigned ahead = 0; ahead < TOP_SLOTS; ahead++) {
		*slot = (digit(wheel->tick, TOP) + ahead) & (TOP_SLOTS - 1);
		if (wheel->used[TOP] & (uint64_t)1 << *slot)
			return true;
	}
	return false;
}

weft_time_us wheel_next(const struct wheel *wheel)
{
	unsigned level;
	unsigned slot;

	if (!find_first(wheel, &level, &slot))
		return WEFT_TIME_NEVER;
	int64_t tick = widen(wheel, wheel->first[level][slot]);

	if (level > 0 && slot == digit(wheel->tick, level))
		tick = wheel->tick; /* spilling: what came out of it already may be the first */
	return tick * (1 << WHEEL_TICK_SHIFT);
}

/* Inserts the nodes of a slot, whose start is the wheel's tick, again; false when '*work' ran out. */
static bool spill(struct wheel *wheel, unsigned level, unsigned slot, unsigned *work)
{
	struct wheel_node *node;

	wheel->spilling = level;
	while ((node = wheel->slot[level][slot])) {
		if (*work == 0)
			return false;
		--*work;
		wheel_remove(wheel, node);
		place(wheel, node);
	}
	wheel->spilling = 0;
	return true;
}

struct wheel_node *wheel_pop(struct wheel *wheel, weft_time_us now, unsigned *work)
{
	int64_t tick = now >> WHEEL_TICK_SHIFT;
	unsigned level;
	unsigned slot;

	while (find_first(wheel, &level, &slot)) {
		int64_t start = slot_start(wheel, level, slot);

		if (start > tick)
			break;
		wheel->tick = start;
		if (level > 0) {
			if (!spill(wheel, level, slot, work))
				return NULL;
			continue;
		}
		struct wheel_node *node = wheel->slot[0][slot];

		wheel_remove(wheel, node);
		return node;
	}
	if (wheel->tick < tick)
		wheel->tick = tick;
	return NULL;
}

struct wheel_node *wheel_any(struct wheel *wheel)
{
	unsigned level;
	unsigned slot;

	if (!find_first(wheel, &level, &slot))
		return NULL;
	struct wheel_node *node = wheel->slot[level][slot];

	wheel_remove(wheel, node);
	return node;
}
