/* SYN cookies of a listener; see cookie.h. */
#include "net/stack/cookie.h"

#include "net/base/mechanism.h"
#include "net/stack/child.h"
#include "net/stack/reply.h"
#include "net/stack/stack_int.h"

/* A key of its own for each generation; a stack with a seed repeats them. */
static void make_key(const struct stack *stack, uint32_t generation, struct khash_key *key)
{
	uint64_t seed = stack->cfg.seed;

	if (seed != 0)
		seed = (seed ^ (uint64_t)generation << 32) | 1;
	khash_key_init(key, seed, "syncookie_mac");
}

/*
 * A cookie lives for less than a generation: the key before the newest is enough, and where generations
 * passed without a cookie an older one does as well, which made none for these minutes.
 */
static void renew_keys(struct cookie_state *c, const struct stack *stack, weft_time_us now)
{
	uint32_t generation = syncookie_generation(now);

	if (c->has_keys && c->generation == generation)
		return;
	if (!c->has_keys) {
		khash_key_init(&c->keys.pad, stack->cfg.seed, "syncookie_pad");
		make_key(stack, generation - 1, &c->keys.mac[(generation - 1) & 1]);
	}
	make_key(stack, generation, &c->keys.mac[generation & 1]);
	c->generation = generation;
	c->has_keys = true;
}

void cookie_send(struct sock *s, const struct flow *flow, const struct tcp_seg *syn, unsigned queue,
		 weft_time_us now)
{
	struct stack *stack = s->conn.stack;
	struct cookie_state *c = &listener_of(s)->cookie;
	struct tcp_params params = child_params(s, flow);
	struct tcp_seg_out out;

	renew_keys(c, stack, now);
	syncookie_answer(&c->keys, flow, &params, syn, now, &out);
	c->sent_at = now;
	counter_add(&stack->counters, C_TCP_COOKIE_SENT, 1);
	reply_tcp(stack, queue, flow, &out);
}

bool cookie_check(struct sock *s, const struct flow *flow, struct tcp_seg *ack, weft_time_us now,
		  struct tcp_synrcvd *rec)
{
	struct stack *stack = s->conn.stack;
	struct cookie_state *c = &listener_of(s)->cookie;

	if (!c->has_keys || (now - c->sent_at > SYNCOOKIE_LIFE && MECHANISM(cookie_recent)))
		return false;
	if ((!(ack->flags & TCP_ACK) || (ack->flags & (TCP_SYN | TCP_RST))) &&
	    MECHANISM(cookie_ack_only))
		return false;
	struct tcp_params params = child_params(s, flow);
	bool is_good = syncookie_accept(&c->keys, flow, &params, ack, now, rec);

	counter_add(&stack->counters, is_good ? C_TCP_COOKIE_ACCEPTED : C_TCP_COOKIE_FAILED, 1);
	return is_good;
}

bool cookie_input(struct sock *s, const struct flow *flow, struct tcp_seg *ack, unsigned queue,
		  weft_time_us now, enum drop *why)
{
	struct listener *l = listener_of(s);
	struct tcp_synrcvd rec;
	bool is_made;

	listener_lock(l);
	bool is_good = l->is_open && cookie_check(s, flow, ack, now, &rec);

	if (is_good) {
		const struct child_origin from = {.flow = flow, .rec = &rec, .queue = queue};

		*why = child_new(s, &from, ack, now, &is_made);
	}
	listener_unlock(l);
	return is_good;
}
