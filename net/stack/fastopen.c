/* Fast open of a stack; see fastopen.h.  RX threads, emitters, application threads. */
#include "net/stack/fastopen.h"

#include "net/base/mechanism.h"
#include "net/stack/stack_int.h"
#include <stdlib.h>

static void fastopen_lock(struct stack *stack) ACQUIRE(lc_path) NO_TSA;
static void fastopen_unlock(struct stack *stack) RELEASE(lc_path) NO_TSA;

static void fastopen_lock(struct stack *stack)
{
	mutex_lock(&stack->fastopen.mu);
}

static void fastopen_unlock(struct stack *stack)
{
	mutex_unlock(&stack->fastopen.mu);
}

void fastopen_init(struct stack *stack)
{
	mutex_init(&stack->fastopen.mu);
	fastopen_lock(stack);
	fastopen_cache_init(&stack->fastopen.cache, stack->cfg.seed);
	fastopen_unlock(stack);
}

void fastopen_fini(struct stack *stack)
{
	mutex_fini(&stack->fastopen.mu);
}

bool fastopen_is_client(const struct stack *stack)
{
	return stack->cfg.fastopen & WEFT_FASTOPEN_CLIENT;
}

bool fastopen_is_server(const struct stack *stack)
{
	return stack->cfg.fastopen & WEFT_FASTOPEN_SERVER;
}

enum fastopen_advice fastopen_advise(struct stack *stack, const struct flow *flow, weft_time_us now,
				     uint16_t *mss)
{
	struct tcp_opts opt = {0};

	fastopen_lock(stack);
	enum fastopen_advice advice =
		fastopen_cache_get(&stack->fastopen.cache, flow, now, &opt, mss);

	fastopen_unlock(stack);
	if (advice == FASTOPEN_REFRAIN)
		counter_add(&stack->counters, C_TCP_FASTOPEN_BLACKHOLE, 1);
	return advice;
}

void fastopen_learn(struct stack *stack, const struct flow *flow, const struct tcb *tcb,
		    const struct tcp_opts *opt, weft_time_us now)
{
	const struct fastopen_news news = {
		.opt = opt,
		.mss = tcb->mss_peer,
		.is_lost = tcb->fo_sent && tcb->syn_lost && !tcb->fo_acked,
		.is_acked = tcb->fo_acked,
	};

	fastopen_lock(stack);
	fastopen_cache_put(&stack->fastopen.cache, flow, &news, now);
	fastopen_unlock(stack);
}

bool fastopen_check(struct stack *stack, const struct flow *flow, const struct tcp_opts *opt,
		    weft_time_us now, bool *is_old)
{
	struct fastopen *fo = &stack->fastopen;

	fastopen_lock(stack);
	fastopen_keys_renew(&fo->keys, stack->cfg.seed, now);
	bool is_good = fastopen_cookie_ok(&fo->keys, flow, opt, is_old);

	fastopen_unlock(stack);
	return is_good;
}

void fastopen_fill(struct stack *stack, const struct flow *flow, struct tcp_seg_out *out,
		   weft_time_us now)
{
	struct fastopen *fo = &stack->fastopen;
	uint16_t mss;

	fastopen_lock(stack);
	if (out->flags & TCP_ACK) {
		fastopen_keys_renew(&fo->keys, stack->cfg.seed, now);
		fastopen_cookie(&fo->keys, flow, &out->opt);
	} else {
		/* Gone meanwhile: then it asks, and its data is not taken. */
		(void)fastopen_cache_get(&fo->cache, flow, now, &out->opt, &mss);
	}
	fastopen_unlock(stack);
}

/* ---- A listener's limit. ---- */

struct fastopen_queue *fastopen_queue_new(void)
{
	struct fastopen_queue *q = calloc(1, sizeof(*q));

	if (q)
		atomic_init(&q->refs, 1);
	return q;
}

void fastopen_queue_put(struct fastopen_queue **q)
{
	struct fastopen_queue *ref = *q;

	*q = NULL;
	if (ref && atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) == 1)
		free(ref);
}

static uint32_t slot_of(weft_time_us now)
{
	return (uint32_t)(now / (FASTOPEN_RESET_SLOT_S * (weft_time_us)US_PER_S));
}

/* The slot's number stands above its count. */
static uint32_t count_resets(struct fastopen_queue *q, weft_time_us now)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < FASTOPEN_RESET_SLOTS; i++) {
		uint64_t value = atomic_load_explicit(&q->resets[i], memory_order_relaxed);

		if (slot_of(now) - (uint32_t)(value >> 32) < FASTOPEN_RESET_SLOTS)
			count += (uint32_t)value;
	}
	return count;
}

static void note_reset(struct fastopen_queue *q, weft_time_us now)
{
	uint32_t slot = slot_of(now);
	atomic_uint_least64_t *place = &q->resets[slot % FASTOPEN_RESET_SLOTS];
	uint64_t old = atomic_load_explicit(place, memory_order_relaxed);
	uint64_t value;

	do {
		value = old >> 32 == slot ? old + 1 : (uint64_t)slot << 32 | 1;
	} while (!atomic_compare_exchange_weak_explicit(place, &old, value, memory_order_relaxed,
							memory_order_relaxed));
}

bool fastopen_queue_enter(struct fastopen_queue *q, unsigned max, weft_time_us now)
{
	unsigned pending = atomic_load_explicit(&q->pending, memory_order_relaxed);

	uint32_t resets = MECHANISM(fastopen_resets) ? count_resets(q, now) : 0;

	if (pending + resets >= max && MECHANISM(fastopen_limit))
		return false;
	atomic_fetch_add_explicit(&q->pending, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
	return true;
}

void fastopen_queue_leave(struct fastopen_queue **q, bool is_reset, weft_time_us now)
{
	if (is_reset)
		note_reset(*q, now);
	atomic_fetch_sub_explicit(&(*q)->pending, 1, memory_order_relaxed);
	fastopen_queue_put(q);
}
