/*
 * Sockets and the path they send on: options of IP, "too big" messages, the cache.  RX threads,
 * emitters and application threads with the socket's lock held.
 */
#include "net/stack/path.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include <errno.h>

/* What an MTU leaves for a segment without options. */
static uint16_t mss_of(const struct flow *flow, uint32_t mtu)
{
	return (uint16_t)(mtu - ip_hdr_size(&flow->remote) - TCP_HDR_SIZE);
}

/* IP_PMTUDISC_INTERFACE, OMIT and PROBE: whatever routers say, only the link counts. */
static bool ignores_path(const struct sock *s) REQUIRES(lc_sock)
{
	return s->pmtudisc == SOCK_PMTUDISC_PROBE || s->pmtudisc == SOCK_PMTUDISC_INTERFACE ||
	       s->pmtudisc == SOCK_PMTUDISC_OMIT;
}

uint16_t sock_path_mss(struct sock *s, weft_time_us now)
{
	struct stack *stack = s->conn.stack;
	const struct flow *flow = &s->conn.flow;

	s->path_changes =
		(uint16_t)atomic_load_explicit(&stack->path_changes, memory_order_relaxed);
	if (ignores_path(s))
		return path_link_mss(stack, &flow->remote);
	return mss_of(flow, path_mtu(stack, &flow->remote, now));
}

void sock_follow_path(struct sock *s, unsigned *events, weft_time_us now)
{
	unsigned changes = atomic_load_explicit(&s->conn.stack->path_changes, memory_order_relaxed);

	if (s->path_changes == (uint16_t)changes && s->tcb.mss_path >= s->tcb.mss_local)
		return;
	tcp_set_path_mss(&s->tcb, sock_path_mss(s, now), events);
}

void sock_tell_path(struct sock *s, weft_time_us now)
{
	const struct flow *flow = &s->conn.flow;

	path_lower(s->conn.stack, &flow->remote,
		   (uint32_t)(s->tcb.mss_path + ip_hdr_size(&flow->remote) + TCP_HDR_SIZE), now);
}

enum drop sock_too_big(struct sock *s, const struct flow *flow, uint32_t seq, uint32_t mtu,
		       weft_time_us now)
{
	enum drop why = DROP_ICMP_NO_CONN;
	unsigned events = 0;

	sock_lock(s);
	if (s->is_linked && memcmp(&s->conn.flow, flow, sizeof(*flow)) == 0) {
		why = DROP_ICMP_MTU;
		if (!ignores_path(s))
			why = tcp_too_big(&s->tcb, seq, mss_of(flow, mtu), &events);
		sock_events(s, events, now);
	}
	sock_unlock(s);
	return why;
}

/* ---- Options. ---- */

int sock_set_path_opt(struct sock *s, enum sock_opt opt, int64_t value, weft_time_us now,
		      unsigned *events)
{
	switch ((int)opt) {
	case SOCK_OPT_TTL:
		if (value == 0)
			return -EINVAL; /* never sent (RFC 1122 3.2.1.7) */
		s->ttl = value < 0 ? IP_TTL_DEFAULT : (uint8_t)value;
		return 0;
	case SOCK_OPT_TOS:
		s->tos = value < 0 ? 0 : (uint8_t)(value & ~3); /* ECN is the core's (RFC 3168) */
		return 0;
	case SOCK_OPT_MINTTL:
		atomic_store_explicit(&s->min_ttl, (uint8_t)value, memory_order_relaxed);
		return 0;
	case SOCK_OPT_PMTUDISC:
		s->pmtudisc = (uint8_t)value;
		if (s->is_linked && s->tcb.cfg)
			tcp_set_path_mss(&s->tcb, sock_path_mss(s, now), events);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int sock_get_path_opt(struct sock *s, enum sock_opt opt, int64_t *value)
{
	bool is_connected = s->phase == SOCK_CONNECTING || s->phase == SOCK_CONNECTED;

	switch ((int)opt) {
	case SOCK_OPT_TTL:
		*value = s->ttl;
		return 0;
	case SOCK_OPT_TOS:
		*value = s->tos;
		return 0;
	case SOCK_OPT_MINTTL:
		*value = atomic_load_explicit(&s->min_ttl, memory_order_relaxed);
		return 0;
	case SOCK_OPT_PMTUDISC:
		*value = s->pmtudisc;
		return 0;
	case SOCK_OPT_MTU:
		if (!is_connected || s->is_over)
			return -ENOTCONN;
		*value = (int64_t)(s->tcb.mss_path + ip_hdr_size(&s->conn.flow.remote) +
				   TCP_HDR_SIZE);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

struct emit_ip sock_emit_ip(const struct sock *s)
{
	return (struct emit_ip){
		.ttl = s->ttl,
		.tos = s->tos,
		.path_tries = s->tcb.path_tries,
		.may_frag = s->pmtudisc == SOCK_PMTUDISC_DONT ||
			    s->pmtudisc == SOCK_PMTUDISC_INTERFACE ||
			    s->pmtudisc == SOCK_PMTUDISC_OMIT,
	};
}
