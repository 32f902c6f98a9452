/*
 * A hierarchical timer wheel: deadlines through members of the timed structures.  Insert and remove
 * are O(1), nothing is allocated, and a node is two pointers and a 32-bit tick that may fill a gap
 * anywhere in the structure around it.  Never early, at most a tick late.
 *
 * Not thread-safe: the emitter owns it.
 */
#ifndef WEFT_BASE_WHEEL_H
#define WEFT_BASE_WHEEL_H

#include "net/base/time.h"
#include <stdbool.h>
#include <stddef.h>

enum {
	WHEEL_TICK_SHIFT = 6, /* a tick is 64 microseconds: 32 bits of them are 76 hours */
	WHEEL_BITS = 6,       /* of the tick, for each level */
	WHEEL_LEVELS = 6,
	WHEEL_SLOTS = 1 << WHEEL_BITS,
};

/* 'at', not WEFT_TIME_NEVER, rounded up to a tick. */
static inline weft_time_us wheel_round(weft_time_us at)
{
	const weft_time_us mask = (1 << WHEEL_TICK_SHIFT) - 1;

	return (at + mask) & ~mask;
}

struct wheel_node {
	struct wheel_node *next;  /* in the slot */
	struct wheel_node **prev; /* what points here; NULL: in no wheel */
};

struct wheel {
	int64_t tick;                /* everything before it has gone off */
	ptrdiff_t tick_at;           /* from a node to its tick, a uint32_t */
	unsigned spilling;           /* the level whose slot at 'tick' is being emptied, or 0 */
	uint64_t used[WHEEL_LEVELS]; /* a bit for each slot that has nodes */
	uint32_t first[WHEEL_LEVELS][WHEEL_SLOTS]; /* no node of the slot is earlier */
	struct wheel_node *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

/* An empty wheel.  'tick_at': bytes from a node to the uint32_t that the wheel keeps its tick in. */
void wheel_init(struct wheel *wheel, weft_time_us now, ptrdiff_t tick_at);

/* Whether the node (zeroed or removed before) is in its wheel. */
static inline bool wheel_has(const struct wheel_node *node)
{
	return node->prev != NULL;
}

/*
 * Inserts a node that is in no wheel; it comes out when 'deadline', rounded up to a tick, is
 * reached.  A deadline of more than 19 hours from now comes out then: look, and insert it again.
 */
void wheel_insert(struct wheel *wheel, struct wheel_node *node, weft_time_us deadline);

void wheel_remove(struct wheel *wheel, struct wheel_node *node);

/* When a node in the wheel comes out. */
weft_time_us wheel_key(const struct wheel *wheel, const struct wheel_node *node);

/*
 * When to call wheel_pop: WEFT_TIME_NEVER when empty, else when the first node comes out, or earlier
 * if what was the first was removed (a few times in the life of a node at most).
 */
weft_time_us wheel_next(const struct wheel *wheel);

/*
 * Removes and returns a node whose time has come; NULL when there is none, or when '*work' is used up:
 * it limits how many nodes may be moved between levels, one each, and wheel_next is due then.
 */
struct wheel_node *wheel_pop(struct wheel *wheel, weft_time_us now, unsigned *work);

/* Removes and returns any node, NULL when empty: for the end. */
struct wheel_node *wheel_any(struct wheel *wheel);

#endif
