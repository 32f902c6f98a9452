/* The stack's path MTUs.  RX threads, emitters and application threads; a leaf lock of its own. */
#include "net/stack/path.h"

#include "net/stack/route.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"

static void path_lock(struct stack *stack) ACQUIRE(lc_path) NO_TSA;
static void path_unlock(struct stack *stack) RELEASE(lc_path) NO_TSA;

static void path_lock(struct stack *stack)
{
	mutex_lock(&stack->path_mu);
}

static void path_unlock(struct stack *stack)
{
	mutex_unlock(&stack->path_mu);
}

void path_init(struct stack *stack)
{
	ip_ids_init(&stack->ip_ids, stack->cfg.seed);
	HB_ATOMIC(stack->ip_ids);
	mutex_init(&stack->path_mu);
	path_lock(stack);
	pmtu_init(&stack->pmtu, stack->cfg.seed, stack->cfg.pmtu_age_s);
	path_unlock(stack);
	HB_ATOMIC(stack->path_changes);
}

void path_fini(struct stack *stack)
{
	mutex_fini(&stack->path_mu);
}

uint32_t path_link_mtu(const struct stack *stack, const struct addr *dst)
{
	return route_is_local(stack, dst) ? stack->loop->mtu : stack->dev->mtu;
}

uint16_t path_link_mss(const struct stack *stack, const struct addr *dst)
{
	return (uint16_t)(path_link_mtu(stack, dst) - ip_hdr_size(dst) - TCP_HDR_SIZE);
}

uint32_t path_mtu(struct stack *stack, const struct addr *dst, weft_time_us now)
{
	uint32_t mtu = path_link_mtu(stack, dst);

	if (atomic_load_explicit(&stack->path_changes, memory_order_relaxed) == 0 ||
	    route_is_local(stack, dst))
		return mtu;
	path_lock(stack);
	mtu = pmtu_get(&stack->pmtu, dst, mtu, now);
	path_unlock(stack);
	return mtu;
}

void path_lower(struct stack *stack, const struct addr *dst, uint32_t mtu, weft_time_us now)
{
	if (mtu >= path_link_mtu(stack, dst) || route_is_local(stack, dst))
		return;
	path_lock(stack);
	bool has_changed = pmtu_lower(&stack->pmtu, dst, mtu, now);

	path_unlock(stack);
	if (has_changed)
		atomic_fetch_add_explicit(&stack->path_changes, 1, memory_order_relaxed);
}
