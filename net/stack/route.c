/* Addresses of a stack: own ones, sources, and what may come in.  Any thread, no lock. */
#include "net/stack/route.h"

#include "net/base/mechanism.h"
#include "net/stack/stack_int.h"
#include <errno.h>

bool route_is_own(const struct stack *stack, const struct addr *a)
{
	for (unsigned i = 0; i < stack->cfg.addr_count; i++)
		if (addr_equal(a, &stack->cfg.addrs[i].addr))
			return true;
	return false;
}

bool route_is_local(const struct stack *stack, const struct addr *dst)
{
	return addr_is_loopback(dst) || route_is_own(stack, dst);
}

/* The directed broadcast address of one of our IPv4 prefixes; /31 and /32 have none (RFC 3021). */
static bool is_directed_broadcast(const struct stack *stack, const struct addr *a)
{
	for (unsigned i = 0; i < stack->cfg.addr_count; i++) {
		const struct stack_addr *own = &stack->cfg.addrs[i];

		if (!addr_is_v4(a) || !addr_is_v4(&own->addr) || own->prefix >= 127 ||
		    own->prefix < 96 || !addr_in_prefix(a, &own->addr, own->prefix))
			continue;
		uint32_t host_mask = UINT32_MAX >> (own->prefix - 96);
		uint32_t host = (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 |
				(uint32_t)a->b[14] << 8 | a->b[15];

		if ((host & host_mask) == host_mask && MECHANISM(route_directed_broadcast))
			return true;
	}
	return false;
}

static bool is_broadcast(const struct stack *stack, const struct addr *a)
{
	return addr_is_broadcast(a) || is_directed_broadcast(stack, a);
}

struct addr route_target(const struct addr *a)
{
	static const uint8_t v4_loopback[4] = {127, 0, 0, 1};
	static const uint8_t v6_loopback[16] = {[15] = 1};

	if (!addr_is_any(a))
		return *a;
	return addr_is_v4(a) ? addr_from_v4(v4_loopback) : addr_from_v6(v6_loopback);
}

int route_source_broadcast(const struct stack *stack, const struct addr *dst, struct addr *src)
{
	if (addr_is_multicast(dst))
		return -ENETUNREACH;
	if (route_is_local(stack, dst)) {
		*src = *dst;
		return 0;
	}
	for (unsigned i = 0; i < stack->cfg.addr_count; i++) {
		if (addr_is_v4(&stack->cfg.addrs[i].addr) == addr_is_v4(dst)) {
			*src = stack->cfg.addrs[i].addr;
			return 0;
		}
	}
	return -ENETUNREACH;
}

int route_source(const struct stack *stack, const struct addr *dst, struct addr *src)
{
	if (is_broadcast(stack, dst))
		return -EACCES;
	return route_source_broadcast(stack, dst, src);
}

bool route_may_bind(const struct stack *stack, const struct addr *a)
{
	return addr_is_any(a) || route_is_local(stack, a);
}

/* 240.0.0.0/4, reserved (RFC 1112 4): nobody's source. */
static bool is_reserved(const struct addr *a)
{
	return addr_is_v4(a) && a->b[12] >= 240;
}

enum drop route_check_in(const struct stack *stack, const struct addr *src, const struct addr *dst,
			 bool is_loop)
{
	if (addr_is_multicast(src) || addr_is_any(src) || is_broadcast(stack, src) ||
	    is_reserved(src))
		return DROP_IP_SRC;
	if (!is_loop && route_is_local(stack, src) && MECHANISM(route_spoof))
		return DROP_IP_SRC;
	if (!(is_loop ? route_is_local(stack, dst) : route_is_own(stack, dst)) &&
	    MECHANISM(route_destination))
		return DROP_IP_DST;
	return DROP_NONE;
}
