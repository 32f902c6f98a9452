/*
 * What comes for a connection: segments, by batches, and ICMP errors.  RX threads and leaders call it
 * with a reference and no lock.
 */
#include "net/base/mechanism.h"
#include "net/stack/fastopen.h"
#include "net/stack/sock_err.h"
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

/*
 * As Linux: with IP_RECVERR every error is told at once, and ends an attempt to connect, of which the
 * error queue has the details.  Without, only what will last does that (RFC 1122 4.2.3.9).
 */
enum drop sock_icmp(struct sock *s, const struct flow *flow, uint32_t seq,
		    const struct dgram_err *err, bool is_hard, weft_time_us now)
{
	enum drop why = DROP_ICMP_NO_CONN;
	unsigned events = 0;

	sock_lock(s);
	if (s->is_linked && memcmp(&s->conn.flow, flow, sizeof(*flow)) == 0) {
		bool is_told = sock_err_wanted(s, &flow->remote);
		bool opens = s->phase == SOCK_CONNECTING && !s->tcb.passive;

		why = tcp_icmp_error(&s->tcb, seq, err->error, is_hard || is_told, &events);
		if (why == DROP_NONE && is_told && opens) {
			sock_err_queue(s, err);
		} else if (why == DROP_NONE && is_told) {
			s->tcb.soft_error = 0;
			s->so_error = (int16_t)err->error;
			sock_wake_all(s);
		}
		sock_events(s, events, now);
	}
	sock_unlock(s);
	return why;
}
