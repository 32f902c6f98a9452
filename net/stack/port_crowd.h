/*
 * Ephemeral ports when few are left.  A destination whose first tries all met used ports is crowded: it
 * gets a set of the ports that may be free towards it, so that finding one, or finding that there is
 * none, does not mean to try them all again.  The sets err on one side only: a port that is free is in
 * them.  The connection table notes which ports connections leave (conn_table_watch); each note costs
 * each crowd one more try at most.
 *
 * Guarded by lc_port; application threads.  Memory: 32 KiB a crowd, made when first needed, the one
 * not used for the longest time gives way.
 */
#ifndef WEFT_STACK_PORT_CROWD_H
#define WEFT_STACK_PORT_CROWD_H

#include "net/base/addr.h"
#include "net/base/time.h"
#include "net/stack/conn_table.h"
#include "net/stack/locks.h"

enum { PORT_CROWDS = 8 };

struct port_set {
	uint64_t word[PORT_WORDS];
};

struct port_crowd {
	struct flow key; /* local port 0; all zero: for bind, ports that nobody uses at all */
	uint64_t used;   /* when, in gets */
	struct port_set free;
	/* Where a TIME-WAIT record may give way: now, soon, and later. */
	struct port_set ripe;
	struct port_set aging;
	struct port_set young;
	weft_time_us ripe_at; /* of 'aging' */
	bool has_aging;
};

struct port_crowds {
	/* Immutable after init: the range, and how old a TIME-WAIT record must be to give way. */
	uint16_t min;
	uint16_t max;
	weft_time_us ripen;
	struct port_crowd *crowd[PORT_CROWDS];
	uint64_t gets;
};

void port_crowds_init(struct port_crowds *crowds, uint16_t min, uint16_t max, weft_time_us ripen);

/* The crowd of 'key', up to date; a new one has the whole range in 'free' and 'ripe'.  NULL: no memory. */
struct port_crowd *port_crowd_get(struct port_crowds *crowds, struct conn_table *table,
				  const struct flow *key, weft_time_us now) REQUIRES(lc_port);

/* What has been in 'aging' for the time is ripe; then what is young begins to age. */
void port_crowd_grow(struct port_crowd *crowd, weft_time_us now, weft_time_us ripen);

/* A port without a binding may be free for all crowds. */
void port_crowds_note(struct port_crowds *crowds, uint16_t port) REQUIRES(lc_port);

void port_crowds_fini(struct port_crowds *crowds);

void port_set_put(struct port_set *set, uint16_t port);

/*
 * Takes a port out of the set: the first from 'from' on, or from the beginning when there is none
 * behind; 0 when the set is empty.
 */
uint16_t port_set_take(struct port_set *set, uint16_t from);

#endif
