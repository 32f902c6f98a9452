/*
 * bind, connect and names of datagram sockets.  Application threads.
 *
 * What a socket receives stands in the table of ports (struct dgram_key), and the same in conn.flow,
 * under the socket's lock.  Both change together, under the table's lock.
 */
#include "net/stack/dgram.h"
#include "net/stack/route.h"
#include "net/stack/stack_int.h"
#include <errno.h>

static struct dgram_table *table_of(const struct dgram *d)
{
	struct dgrams *all = &dgram_stack(d)->dgrams;

	if (!d->is_ping)
		return &all->udp;
	return d->is_v6 ? &all->ping6 : &all->ping4;
}

static bool refuses_v4(const struct dgram *d) REQUIRES(lc_dgram)
{
	return d->is_v6 && (d->opt.v6only || d->is_ping);
}

/* Stands in the table under 'flow' from now on; a port of 0 means any. */
static int enter(struct dgram *d, const struct flow *flow, bool is_connected)
	REQUIRES(lc_dports, lc_dgram)
{
	struct dgram_table *table = table_of(d);
	struct dgram_key key = {
		.flow = *flow,
		.is_connected = is_connected,
		.refuses_v4 = refuses_v4(d),
		.reuseaddr = d->opt.reuseaddr,
		.reuseport = d->opt.reuseport,
	};
	int rc = d->is_bound ? dgram_table_change(table, d, &key) : dgram_table_add(table, d, &key);

	if (rc != 0)
		return rc;
	d->conn.flow = key.flow;
	d->is_bound = true;
	d->is_connected = is_connected;
	return 0;
}

/* Out of the table; true: the caller puts the table's reference. */
static bool leave(struct dgram *d) REQUIRES(lc_dports, lc_dgram)
{
	if (!d->is_bound)
		return false;
	dgram_table_del(table_of(d), d, d->conn.flow.local_port);
	d->is_bound = false;
	d->has_port = false;
	d->is_connected = false;
	d->conn.flow = (struct flow){.local = d->bound};
	return true;
}

/* ---- bind ---- */

int dgram_bind(struct dgram *d, const struct sock_addr *addr)
{
	struct dgram_table *table = table_of(d);
	const struct flow flow = {.local = addr->addr, .local_port = addr->port};

	if (!d->is_v6 && !addr_is_v4(&addr->addr))
		return -EAFNOSUPPORT;
	if (!route_may_bind(dgram_stack(d), &addr->addr))
		return -EADDRNOTAVAIL;
	dgram_table_lock(table);
	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0 && (d->is_bound || (addr_is_v4(&addr->addr) && refuses_v4(d))))
		rc = -EINVAL;
	if (rc == 0)
		rc = enter(d, &flow, false);
	if (rc == 0) {
		d->bound = addr->addr;
		d->has_port = addr->port != 0;
	}
	dgram_unlock(d);
	dgram_table_unlock(table);
	return rc;
}

int dgram_autobind(struct dgram *d)
{
	struct dgram_table *table = table_of(d);

	dgram_lock(d);
	bool is_bound = d->is_bound;

	dgram_unlock(d);
	if (is_bound)
		return 0;
	dgram_table_lock(table);
	dgram_lock(d);
	const struct flow flow = {.local = d->bound};
	int rc = dgram_gone(d);

	if (rc == 0 && !d->is_bound)
		rc = enter(d, &flow, false);
	dgram_unlock(d);
	dgram_table_unlock(table);
	return rc == -EADDRINUSE ? -EAGAIN : rc; /* as Linux */
}

void dgram_unbind(struct dgram *d)
{
	struct dgram_table *table = table_of(d);
	struct dgram *ref = d;

	dgram_table_lock(table);
	dgram_lock(d);
	bool was_bound = leave(d);

	dgram_unlock(d);
	dgram_table_unlock(table);
	if (was_bound)
		dgram_put(&ref);
}

/* ---- connect ---- */

/* The way to 'to' for a socket that is bound to 'local' or to any. */
static int find_way(struct dgram *d, const struct addr *local, const struct sock_addr *to,
		    struct flow *flow) REQUIRES(lc_dgram)
{
	struct stack *stack = dgram_stack(d);
	struct addr target = route_target(&to->addr);
	struct addr source;
	int rc;

	if (!d->is_v6 && !addr_is_v4(&target))
		return -EAFNOSUPPORT;
	if (addr_is_v4(&target) && refuses_v4(d))
		return -ENETUNREACH;
	rc = d->opt.broadcast ? route_source_broadcast(stack, &target, &source)
			      : route_source(stack, &target, &source);
	if (rc != 0)
		return rc;
	if (!addr_is_any(local)) {
		if (addr_is_v4(local) != addr_is_v4(&target))
			return -EINVAL;
		if (addr_is_loopback(local) && !route_is_local(stack, &target))
			return -EINVAL; /* 127/8 and ::1 never leave (RFC 1122 3.2.1.3) */
		source = *local;
	}
	*flow = (struct flow){
		.local = source,
		.remote = target,
		.local_port = d->conn.flow.local_port,
		.remote_port = d->is_ping ? 0 : to->port,
	};
	return 0;
}

/* connect to AF_UNSPEC: back to what bind said; a port that bind did not name goes. */
static int dissolve(struct dgram *d, bool *was_bound) REQUIRES(lc_dports, lc_dgram)
{
	const struct flow flow = {.local = d->bound, .local_port = d->conn.flow.local_port};

	if (!d->is_connected)
		return 0;
	if (d->has_port)
		return enter(d, &flow, false);
	*was_bound = leave(d);
	return 0;
}

int dgram_connect(struct dgram *d, const struct sock_addr *peer)
{
	struct dgram_table *table = table_of(d);
	struct dgram *ref = d;
	bool was_bound = false;
	struct flow flow;

	dgram_table_lock(table);
	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0 && !peer)
		rc = dissolve(d, &was_bound);
	else if (rc == 0)
		rc = find_way(d, &d->bound, peer, &flow);
	if (rc == 0 && peer)
		rc = enter(d, &flow, true);
	dgram_unlock(d);
	dgram_table_unlock(table);
	if (was_bound)
		dgram_put(&ref);
	return rc == -EADDRINUSE ? -EAGAIN : rc; /* no port is free: as Linux */
}

int dgram_aim(struct dgram *d, const struct sock_addr *to, const struct addr *source,
	      struct flow *flow)
{
	const struct sock_addr peer = {d->conn.flow.remote, d->conn.flow.remote_port};
	bool has_source = source && !addr_is_any(source);

	if (!to && !d->is_connected)
		return -EDESTADDRREQ;
	if ((to ? to->port : peer.port) == 0 && !d->is_ping)
		return -EINVAL;
	if (has_source && !route_is_local(dgram_stack(d), source))
		return addr_is_v4(source) ? -ENETUNREACH : -EINVAL; /* as Linux */
	if (!to && !has_source) {
		*flow = d->conn.flow;
		return 0;
	}
	return find_way(d, has_source ? source : &d->conn.flow.local, to ? to : &peer, flow);
}

/* ---- Names. ---- */

int dgram_getname(struct dgram *d, struct sock_addr *addr)
{
	dgram_lock(d);
	int rc = dgram_gone(d);

	addr->addr = d->conn.flow.local;
	addr->port = d->conn.flow.local_port;
	dgram_unlock(d);
	return rc;
}

int dgram_getpeer(struct dgram *d, struct sock_addr *addr)
{
	dgram_lock(d);
	int rc = dgram_gone(d);

	if (rc == 0 && (!d->is_connected || (!d->is_ping && d->conn.flow.remote_port == 0)))
		rc = -ENOTCONN;
	addr->addr = d->conn.flow.remote;
	addr->port = d->conn.flow.remote_port;
	dgram_unlock(d);
	return rc;
}
