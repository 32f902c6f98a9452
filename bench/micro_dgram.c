/*
 * micro_dgram.c - who gets a datagram: lookups among many sockets that are connected on one port, and of
 * the one socket of a port beside them.
 */
#include "micro.h"

#include "net/base/prng.h"
#include "net/stack/dgram.h"
#include "net/stack/stack_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { PORT_MANY = 53, PORT_ONE = 54, PEERS_MAX = 10000 };

struct crowd {
	struct stack *stack; /* enough of one for references */
	struct dgram_table *table;
	struct dgram *socks[PEERS_MAX];
	uint32_t count;
	struct prng prng;
};

static struct flow flow_of(uint32_t index)
{
	static const uint8_t local[4] = {10, 0, 0, 1};
	const uint8_t remote[4] = {11, 0, (uint8_t)(index >> 16), (uint8_t)(index >> 8)};
	struct flow flow = {.local_port = PORT_MANY,
			    .remote_port = (uint16_t)(1024 + (index & 0xff))};

	flow.local = addr_from_v4(local);
	flow.remote = addr_from_v4(remote);
	return flow;
}

static NO_TSA struct dgram *enter(struct crowd *c, const struct flow *flow, bool is_connected)
{
	struct dgram *d = calloc(1, sizeof(*d));
	struct dgram_key key = {.flow = *flow, .is_connected = is_connected, .reuseaddr = true};

	WEFT_ASSERT(d);
	conn_init(&d->conn, c->stack, CONN_DGRAM, 0);
	int rc = dgram_table_add(c->table, d, &key);

	WEFT_ASSERT(rc == 0);
	return d;
}

static NO_TSA void leave(struct crowd *c, struct dgram *d, uint16_t port)
{
	struct dgram *ref = d;

	dgram_table_del(c->table, d, port);
	dgram_put(&ref);
}

static void look_up(struct crowd *c, const struct flow *flow, uint64_t ops)
{
	struct flow to = *flow;

	for (uint64_t i = 0; i < ops; i++) {
		if (c->count > 0)
			to = flow_of(prng_below(&c->prng, c->count));
		struct dgram *d = dgram_table_get(c->table, &to);

		WEFT_ASSERT(d);
		dgram_put(&d);
	}
}

static void run_many(void *ctx, uint64_t ops)
{
	struct flow flow = flow_of(0);

	look_up(ctx, &flow, ops);
}

static void run_one(void *ctx, uint64_t ops)
{
	struct flow flow = flow_of(0);

	flow.local_port = PORT_ONE;
	look_up(ctx, &flow, ops);
}

void micro_dgram(const struct micro *micro)
{
	static const uint32_t sizes[] = {1, 100, PEERS_MAX};
	static struct crowd c;
	uint32_t made = 0;
	char name[64];

	if (!micro_wants(micro, "dgram"))
		return;
	c.stack = calloc(1, sizeof(*c.stack));
	WEFT_ASSERT(c.stack);
	c.table = &c.stack->dgrams.udp;
	prng_init(&c.prng, 1);
	int rc = dgram_table_init(c.table, 1, 1, UINT16_MAX);

	WEFT_ASSERT(rc == 0);
	struct flow any = {.local = flow_of(0).local, .local_port = PORT_ONE};
	struct dgram *one = enter(&c, &any, false);

	micro_run(micro, "dgram.lookup.bound", 0, run_one, &c);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		while (made < sizes[i]) {
			struct flow flow = flow_of(made);

			c.socks[made++] = enter(&c, &flow, true);
		}
		c.count = made;
		(void)snprintf(name, sizeof(name), "dgram.lookup.connected.%u", made);
		micro_run(micro, name, 0, run_many, &c);
	}
	leave(&c, one, PORT_ONE);
	for (uint32_t i = 0; i < made; i++)
		leave(&c, c.socks[i], PORT_MANY);
	rcu_wait_deferred();
	free(one);
	for (uint32_t i = 0; i < made; i++)
		free(c.socks[i]);
	dgram_table_fini(c.table);
	free(c.stack);
}
