/*
 * The table of bound ports and the choice of ephemeral ones.  Application threads, under lc_port.
 */
#include "net/stack/port.h"

#include "net/base/mechanism.h"
#include "net/stack/stack_int.h"
#include "net/stack/time_wait.h"
#include <errno.h>

NO_TSA void port_lock(struct port_table *ports)
{
	mutex_lock(&ports->mu);
}

NO_TSA void port_unlock(struct port_table *ports)
{
	mutex_unlock(&ports->mu);
}

void port_table_init(struct port_table *ports, uint64_t seed, uint16_t port_min, uint16_t port_max)
{
	mutex_init(&ports->mu);
	khash_key_init(&ports->offset_key, seed, "port_offset");
	khash_key_init(&ports->step_key, seed, "port_step");
	khash_key_init(&ports->bind_key, seed, "port_bind");
	ports->port_min = port_min;
	ports->port_max = port_max;
	port_lock(ports);
	for (unsigned i = 0; i < PORT_BUCKETS; i++)
		list_init(&ports->buckets[i]);
	memset(ports->bound, 0, sizeof(ports->bound));
	for (unsigned i = 0; i < PORT_STEPS; i++)
		ports->step[i] = (uint32_t)khash(&ports->step_key, &i, sizeof(i));
	ports->bind_next = 0;
	port_crowds_init(&ports->crowds, port_min, port_max, TIME_WAIT_STEAL_AGE);
	port_unlock(ports);
}

/* Nobody else knows the table any more: no lock needed, but the analysis cannot know. */
static NO_TSA void fini_crowds(struct port_table *ports)
{
	port_crowds_fini(&ports->crowds);
}

void port_table_fini(struct port_table *ports)
{
	fini_crowds(ports);
	mutex_fini(&ports->mu);
}

static struct list *bucket_of(struct port_table *ports, uint16_t port) REQUIRES(lc_port)
{
	return &ports->buckets[port % PORT_BUCKETS];
}

/* A wildcard that takes IPv4, too: 0.0.0.0, or :: without V6ONLY. */
static bool is_v4_wildcard(const struct addr *a, bool v6only)
{
	return addr_is_any(a) && (addr_is_v4(a) || !v6only);
}

static bool is_v6_wildcard(const struct addr *a)
{
	return addr_is_any(a) && !addr_is_v4(a);
}

bool port_addrs_overlap(const struct addr *a, bool a_v6only, const struct addr *b, bool b_v6only)
{
	bool takes_v4 = is_v4_wildcard(a, a_v6only);

	if (addr_equal(a, b))
		return true;
	if (takes_v4 && (is_v4_wildcard(b, b_v6only) || addr_is_v4(b)))
		return true;
	if (is_v4_wildcard(b, b_v6only) && addr_is_v4(a))
		return true;
	return (is_v6_wildcard(a) && !addr_is_v4(b)) || (is_v6_wildcard(b) && !addr_is_v4(a));
}

static bool overlap(const struct port_binding *a, const struct port_binding *b) REQUIRES(lc_port)
{
	return port_addrs_overlap(&a->addr, a->v6only, &b->addr, b->v6only);
}

/* SO_REUSEPORT: both may be there whatever they do. */
static bool is_shared(const struct port_binding *a, const struct port_binding *b) REQUIRES(lc_port)
{
	return a->reuseport && b->reuseport && MECHANISM(reuseport);
}

static bool is_free(struct stack *stack, const struct port_binding *want, uint16_t port)
	REQUIRES(lc_port)
{
	struct port_table *ports = &stack->ports;
	struct list *pos;

	bool is_group = want->reuseport && ports->bound[port] > 0;

	if (!want->reuse && !is_group && conn_table_port_users(stack->table, port) > 0)
		return false;
	if (ports->bound[port] == 0)
		return true;
	list_for_each (pos, bucket_of(ports, port)) {
		struct port_binding *b = CONTAINER_OF(pos, struct port_binding, link);

		if (b->port == port && overlap(b, want) && !is_shared(b, want) &&
		    (!b->reuse || !want->reuse || b->is_listening))
			return false;
	}
	return true;
}

static uint32_t ephemeral_count(const struct port_table *ports)
{
	return (uint32_t)(ports->port_max - ports->port_min) + 1;
}

static uint16_t ephemeral_at(const struct port_table *ports, uint32_t position)
{
	return (uint16_t)(ports->port_min + position % ephemeral_count(ports));
}

static bool is_unused(struct stack *stack, uint16_t port) REQUIRES(lc_port)
{
	counter_add(&stack->counters, C_PORT_TRIES, 1);
	return stack->ports.bound[port] == 0 && conn_table_port_users(stack->table, port) == 0;
}

/* A port that nobody uses, at random (RFC 6056 3.3.1); 0 when there is none. */
static uint16_t find_unused(struct stack *stack) REQUIRES(lc_port)
{
	static const struct flow nobody;
	struct port_table *ports = &stack->ports;
	uint16_t port = 0;

	for (unsigned i = 0; i < PORT_PROBES; i++) {
		uint32_t turn = ports->bind_next++;

		port = ephemeral_at(ports,
				    MECHANISM(port_random)
					    ? (uint32_t)khash(&ports->bind_key, &turn, sizeof(turn))
					    : turn);
		if (is_unused(stack, port))
			return port;
	}
	struct port_crowd *crowd =
		port_crowd_get(&ports->crowds, stack->table, &nobody, stack_now(stack));

	while (crowd && (port = port_set_take(&crowd->free, port)) != 0)
		if (is_unused(stack, port))
			return port;
	return 0;
}

int port_bind(struct stack *stack, struct port_binding *binding, const struct port_binding *want,
	      uint16_t port)
{
	struct port_table *ports = &stack->ports;

	WEFT_ASSERT(binding->port == 0);
	if (port == 0)
		port = find_unused(stack);
	if (port == 0 || ports->bound[port] == UINT16_MAX || !is_free(stack, want, port))
		return -EADDRINUSE;
	binding->addr = want->addr;
	binding->reuse = want->reuse;
	binding->reuseport = want->reuseport;
	binding->v6only = want->v6only;
	binding->is_listening = false;
	binding->port = port;
	list_push(bucket_of(ports, port), &binding->link);
	ports->bound[port]++;
	return 0;
}

bool port_unbind(struct port_table *ports, struct port_binding *binding)
{
	if (binding->port == 0)
		return false;
	list_del(&binding->link);
	if (--ports->bound[binding->port] == 0 && binding->port >= ports->port_min &&
	    binding->port <= ports->port_max)
		port_crowds_note(&ports->crowds, binding->port);
	binding->port = 0;
	binding->is_listening = false;
	return true;
}

int port_listen(struct port_table *ports, struct port_binding *binding)
{
	struct list *pos;

	list_for_each (pos, bucket_of(ports, binding->port)) {
		struct port_binding *b = CONTAINER_OF(pos, struct port_binding, link);

		if (b != binding && b->port == binding->port && b->is_listening &&
		    overlap(b, binding) && !is_shared(b, binding))
			return -EADDRINUSE;
	}
	binding->is_listening = true;
	return 0;
}

/* Adds under the flow as it is. */
static int try_add(struct stack *stack, struct conn *conn, weft_time_us now, uint32_t *iss)
	REQUIRES(lc_port)
{
	counter_add(&stack->counters, C_PORT_TRIES, 1);
	*iss = stack_isn(stack, &conn->flow, now);
	return conn_table_add(stack->table, conn);
}

/* The same, and a TIME-WAIT record may give way; '*is_young': it may later. */
static int try_steal(struct stack *stack, struct conn *conn, weft_time_us now, uint32_t *iss,
		     bool *is_young) REQUIRES(lc_port)
{
	int rc = try_add(stack, conn, now, iss);
	enum time_wait_steal steal;

	*is_young = false;
	if (rc != -EADDRINUSE)
		return rc;
	steal = time_wait_steal(stack, &conn->flow, now, iss);
	*is_young = steal == TIME_WAIT_YOUNG;
	return steal == TIME_WAIT_GIVEN ? conn_table_add(stack->table, conn) : rc;
}

/*
 * The first tries all met used ports: now those that may be free, then those whose TIME-WAIT record may
 * give way.  -EADDRINUSE: none.
 */
static int connect_in_crowd(struct stack *stack, struct conn *conn, uint16_t from, weft_time_us now,
			    uint32_t *iss) REQUIRES(lc_port)
{
	struct port_table *ports = &stack->ports;
	struct flow key = conn->flow;
	int rc = -EADDRINUSE;
	uint16_t port = from;
	bool is_young;

	key.local_port = 0;
	struct port_crowd *crowd = port_crowd_get(&ports->crowds, stack->table, &key, now);

	if (!crowd)
		return -ENOBUFS;
	while (rc == -EADDRINUSE && (port = port_set_take(&crowd->free, port)) != 0) {
		if (ports->bound[port] > 0)
			continue;
		conn->flow.local_port = port;
		rc = try_add(stack, conn, now, iss);
	}
	if (rc == -ENOBUFS)
		port_set_put(&crowd->free, port);
	port = from;
	while (rc == -EADDRINUSE && (port = port_set_take(&crowd->ripe, port)) != 0) {
		if (ports->bound[port] > 0)
			continue;
		conn->flow.local_port = port;
		rc = try_steal(stack, conn, now, iss, &is_young);
		if (is_young)
			port_set_put(&crowd->young, port);
	}
	port_crowd_grow(crowd, now, ports->crowds.ripen);
	return rc;
}

/* RFC 6056 algorithm 4: each destination has its own beginning, and counts on from there. */
static int connect_ephemeral(struct stack *stack, struct conn *conn, weft_time_us now,
			     uint32_t *iss) REQUIRES(lc_port)
{
	struct port_table *ports = &stack->ports;
	struct flow *flow = &conn->flow;
	uint32_t offset = (uint32_t)khash(&ports->offset_key, flow, sizeof(*flow));
	uint32_t *step = &ports->step[khash(&ports->step_key, flow, sizeof(*flow)) % PORT_STEPS];
	int rc = -EADDRINUSE;
	uint16_t port = 0;

	for (unsigned i = 0; i < PORT_PROBES && rc == -EADDRINUSE; i++) {
		port = ephemeral_at(ports, offset + (*step)++);
		if (ports->bound[port] > 0)
			continue;
		flow->local_port = port;
		rc = try_add(stack, conn, now, iss);
	}
	return rc == -EADDRINUSE ? connect_in_crowd(stack, conn, port, now, iss) : rc;
}

int port_connect(struct stack *stack, struct conn *conn, weft_time_us now, uint32_t *iss)
{
	bool is_given = conn->flow.local_port != 0;
	bool is_young;
	int rc = is_given ? try_steal(stack, conn, now, iss, &is_young)
			  : connect_ephemeral(stack, conn, now, iss);

	if (rc != 0 && !is_given)
		conn->flow.local_port = 0;
	return rc == -EADDRINUSE ? -EADDRNOTAVAIL : rc;
}
