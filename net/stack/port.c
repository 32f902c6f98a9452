/*
 * The table of bound ports and the choice of ephemeral ones.  Application threads, under lc_port.
 */
#include "net/stack/port.h"

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
	ports->port_min = port_min;
	ports->port_max = port_max;
	port_lock(ports);
	for (unsigned i = 0; i < PORT_BUCKETS; i++)
		list_init(&ports->buckets[i]);
	memset(ports->bound, 0, sizeof(ports->bound));
	for (unsigned i = 0; i < PORT_STEPS; i++)
		ports->step[i] = (uint32_t)khash(&ports->step_key, &i, sizeof(i));
	ports->bind_next = (uint32_t)khash(&ports->offset_key, "bind", 4);
	port_unlock(ports);
}

void port_table_fini(struct port_table *ports)
{
	mutex_fini(&ports->mu);
}

static struct list *bucket_of(struct port_table *ports, uint16_t port) REQUIRES(lc_port)
{
	return &ports->buckets[port % PORT_BUCKETS];
}

/* A wildcard that takes IPv4, too: 0.0.0.0, or :: without V6ONLY. */
static bool is_v4_wildcard(const struct port_binding *b) REQUIRES(lc_port)
{
	return addr_is_any(&b->addr) && (addr_is_v4(&b->addr) || !b->v6only);
}

static bool is_v6_wildcard(const struct port_binding *b) REQUIRES(lc_port)
{
	return addr_is_any(&b->addr) && !addr_is_v4(&b->addr);
}

/* Whether some packet could be for both. */
static bool overlap(const struct port_binding *a, const struct port_binding *b) REQUIRES(lc_port)
{
	if (addr_equal(&a->addr, &b->addr))
		return true;
	if (is_v4_wildcard(a) && (is_v4_wildcard(b) || addr_is_v4(&b->addr)))
		return true;
	if (is_v4_wildcard(b) && addr_is_v4(&a->addr))
		return true;
	return (is_v6_wildcard(a) && !addr_is_v4(&b->addr)) ||
	       (is_v6_wildcard(b) && !addr_is_v4(&a->addr));
}

static bool is_free(struct stack *stack, const struct port_binding *want, uint16_t port)
	REQUIRES(lc_port)
{
	struct port_table *ports = &stack->ports;
	struct list *pos;

	if (!want->reuse && conn_table_port_users(stack->table, port) > 0)
		return false;
	if (ports->bound[port] == 0)
		return true;
	list_for_each (pos, bucket_of(ports, port)) {
		struct port_binding *b = CONTAINER_OF(pos, struct port_binding, link);

		if (b->port == port && overlap(b, want) &&
		    (!b->reuse || !want->reuse || b->is_listening))
			return false;
	}
	return true;
}

static uint32_t ephemeral_count(const struct port_table *ports)
{
	return (uint32_t)(ports->port_max - ports->port_min) + 1;
}

/* A port that nobody uses; 0 when there is none. */
static uint16_t find_unused(struct stack *stack) REQUIRES(lc_port)
{
	struct port_table *ports = &stack->ports;
	uint32_t num = ephemeral_count(ports);

	for (uint32_t i = 0; i < num; i++) {
		uint16_t port = (uint16_t)(ports->port_min + ports->bind_next++ % num);

		if (ports->bound[port] == 0 && conn_table_port_users(stack->table, port) == 0)
			return port;
	}
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
	ports->bound[binding->port]--;
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
		    overlap(b, binding))
			return -EADDRINUSE;
	}
	binding->is_listening = true;
	return 0;
}

/* Adds under the flow as it is; with 'steal' a TIME-WAIT record may give way. */
static int try_add(struct stack *stack, struct conn *conn, weft_time_us now, bool steal,
		   uint32_t *iss) REQUIRES(lc_port)
{
	int rc = conn_table_add(stack->table, conn);

	*iss = stack_isn(stack, &conn->flow, now);
	if (rc != -EADDRINUSE || !steal || !time_wait_steal(stack, &conn->flow, now, iss))
		return rc;
	return conn_table_add(stack->table, conn);
}

int port_connect(struct stack *stack, struct conn *conn, weft_time_us now, uint32_t *iss)
{
	struct port_table *ports = &stack->ports;
	struct flow *flow = &conn->flow;

	if (flow->local_port != 0) {
		int rc = try_add(stack, conn, now, true, iss);

		return rc == -EADDRINUSE ? -EADDRNOTAVAIL : rc;
	}
	uint32_t num = ephemeral_count(ports);
	uint32_t offset = (uint32_t)khash(&ports->offset_key, flow, sizeof(*flow));
	uint32_t *step = &ports->step[khash(&ports->step_key, flow, sizeof(*flow)) % PORT_STEPS];
	int rc = -EADDRINUSE;

	WEFT_ASSERT(num > 0);
	for (uint32_t i = 0; i < 2 * num && rc == -EADDRINUSE; i++) {
		uint16_t port = (uint16_t)(ports->port_min + (offset + *step) % num);

		(*step)++;
		if (ports->bound[port] > 0)
			continue;
		flow->local_port = port;
		rc = try_add(stack, conn, now, i >= num, iss);
	}
	if (rc != 0)
		flow->local_port = 0;
	return rc == -EADDRINUSE ? -EADDRNOTAVAIL : rc;
}
