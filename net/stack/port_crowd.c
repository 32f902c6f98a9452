/* Sets of ports for crowded destinations; see port_crowd.h. */
#include "net/stack/port_crowd.h"

#include <stdlib.h>
#include <string.h>

/* ---- Sets. ---- */

void port_set_put(struct port_set *set, uint16_t port)
{
	set->word[port / 64] |= (uint64_t)1 << port % 64;
}

uint16_t port_set_take(struct port_set *set, uint16_t from)
{
	unsigned start = from / 64;
	uint64_t mask = UINT64_MAX << from % 64;

	/* The first word twice: its upper part now, its lower part at the end. */
	for (unsigned i = 0; i <= PORT_WORDS; i++) {
		unsigned at = (start + i) % PORT_WORDS;
		uint64_t found = set->word[at] & (i == 0 ? mask : UINT64_MAX);

		if (found == 0)
			continue;
		unsigned bit = (unsigned)__builtin_ctzll(found);

		set->word[at] &= ~((uint64_t)1 << bit);
		return (uint16_t)(at * 64 + bit);
	}
	return 0;
}

/* Moves all of 'from' to 'to'; whether there was something. */
static bool move_all(struct port_set *to, struct port_set *from)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < PORT_WORDS; i++) {
		any |= from->word[i];
		to->word[i] |= from->word[i];
		from->word[i] = 0;
	}
	return any != 0;
}

/* ---- Crowds. ---- */

/* What the table noted since the last time, to all crowds. */
static void take_notes(struct port_crowds *crowds, struct conn_table *table)
{
	for (unsigned i = 0; i < PORT_WORDS; i++) {
		uint64_t left = conn_table_take_notes(table->left, i);
		uint64_t waiting = conn_table_take_notes(table->waiting, i);

		if ((left | waiting) == 0)
			continue;
		for (unsigned n = 0; n < PORT_CROWDS && crowds->crowd[n]; n++) {
			crowds->crowd[n]->free.word[i] |= left;
			crowds->crowd[n]->young.word[i] |= waiting;
		}
	}
}

void port_crowd_grow(struct port_crowd *c, weft_time_us now, weft_time_us ripen)
{
	if (c->has_aging && now < c->ripe_at)
		return;
	move_all(&c->ripe, &c->aging);
	c->has_aging = move_all(&c->aging, &c->young);
	c->ripe_at = now + ripen;
}

/* The crowd's place, or one that it may have. */
static struct port_crowd **find_place(struct port_crowds *crowds, const struct flow *key)
{
	struct port_crowd **place = &crowds->crowd[0];

	for (unsigned i = 0; i < PORT_CROWDS; i++) {
		struct port_crowd **at = &crowds->crowd[i];

		if (!*at || memcmp(&(*at)->key, key, sizeof(*key)) == 0)
			return at;
		if ((*at)->used < (*place)->used)
			place = at;
	}
	return place;
}

struct port_crowd *port_crowd_get(struct port_crowds *crowds, struct conn_table *table,
				  const struct flow *key, weft_time_us now)
{
	struct port_crowd **place = find_place(crowds, key);
	struct port_crowd *c = *place;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return NULL;
		/* From now on the table notes; what left before is in the sets of a new crowd. */
		conn_table_watch(table);
		*place = c;
	}
	take_notes(crowds, table);
	if (c->used == 0 || memcmp(&c->key, key, sizeof(*key)) != 0) {
		memset(c, 0, sizeof(*c));
		c->key = *key;
		for (uint32_t port = crowds->min; port <= crowds->max; port++) {
			port_set_put(&c->free, (uint16_t)port);
			port_set_put(&c->ripe, (uint16_t)port);
		}
	}
	c->used = ++crowds->gets;
	port_crowd_grow(c, now, crowds->ripen);
	return c;
}

void port_crowds_init(struct port_crowds *crowds, uint16_t min, uint16_t max, weft_time_us ripen)
{
	*crowds = (struct port_crowds){.min = min, .max = max, .ripen = ripen};
}

void port_crowds_note(struct port_crowds *crowds, uint16_t port)
{
	for (unsigned i = 0; i < PORT_CROWDS && crowds->crowd[i]; i++) {
		port_set_put(&crowds->crowd[i]->free, port);
		port_set_put(&crowds->crowd[i]->young, port);
	}
}

void port_crowds_fini(struct port_crowds *crowds)
{
	for (unsigned i = 0; i < PORT_CROWDS; i++)
		free(crowds->crowd[i]);
}
