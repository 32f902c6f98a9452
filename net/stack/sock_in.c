/*
 * What comes for a connection: segments, by batches, and ICMP errors.  RX threads and leaders call it
 * with a reference and no lock.
 */
#include "net/base/mechanism.h"
#include "net/stack/fastopen.h"
#include "net/stack/sock_int.h"
#include <string.h>

struct seg_in *sock_input(struct sock *s, const struct flow *flow, struct seg_in *first,
			  weft_time_us now, struct sock_wakes *wakes)
{
	const unsigned usual = TCP_EV_READABLE | TCP_EV_WRITABLE | TCP_EV_OUTPUT;
	const bool one_by_one = !MECHANISM(ack_batch);
	struct seg_in *at = first;
	unsigned events = 0;

	sock_lock(s);
	/* Between the lookup and here it may have ended, and even begun another connection. */
	if (s->is_linked && memcmp(&s->conn.flow, flow, sizeof(*flow)) == 0) {
		uint8_t min_ttl = atomic_load_explicit(&s->min_ttl, memory_order_relaxed);

		struct seg_in *last;

		do {
			last = at;
			at->why = at->ttl < min_ttl ? DROP_IP_TTL
						    : tcp_input(&s->tcb, &at->seg, now, &events);
			at = at->next;
		} while (at && !(events & ~usual) && !one_by_one);
		if (events & TCP_EV_FAST_OPEN) /* the last one's */
			fastopen_learn(s->conn.stack, flow, &s->tcb, &last->seg.opt, now);
	} else {
		at->why = DROP_TCP_NO_CONN;
		at = at->next;
	}
	sock_events_quiet(s, events, now); /* the RX thread helps after its batch */
	*wakes = sock_take_wakes(s);
	sock_unlock(s);
	if (one_by_one)
		sock_send_out(s);
	return at;
}

enum drop sock_icmp(struct sock *s, const struct flow *flow, uint32_t seq, int error, bool is_hard,
		    weft_time_us now)
{
	enum drop why = DROP_ICMP_NO_CONN;
	unsigned events = 0;

	sock_lock(s);
	if (s->is_linked && memcmp(&s->conn.flow, flow, sizeof(*flow)) == 0) {
		why = tcp_icmp_error(&s->tcb, seq, error, is_hard, &events);
		sock_events(s, events, now);
	}
	sock_unlock(s);
	return why;
}
