/* Options and status of sockets.  Application threads. */
#include "net/base/mechanism.h"
#include "net/base/seq.h"
#include "net/stack/listener.h"
#include "net/stack/sock_err.h"
#include "net/stack/sock_int.h"
#include "net/stack/stack_int.h"
#include <errno.h>
#include <string.h>

enum { BUF_SIZE_MIN = 2048 };

#define TIMEOUT_IN_SECONDS (1u << 31) /* else milliseconds */
#define TIMEOUT_SHORTEST   UINT32_MAX /* 1 us, which says: do not wait */

/* Up: a wait is never too short, and none is "none". */
uint32_t sock_pack_timeout(weft_time_us timeout)
{
	if (timeout == 1)
		return TIMEOUT_SHORTEST;
	weft_time_us ms = (timeout + US_PER_MS - 1) / US_PER_MS;

	if (ms < TIMEOUT_IN_SECONDS)
		return (uint32_t)ms;
	weft_time_us s = time_min((timeout + US_PER_S - 1) / US_PER_S, TIMEOUT_IN_SECONDS - 2);

	return (uint32_t)s | TIMEOUT_IN_SECONDS;
}

weft_time_us sock_unpack_timeout(uint32_t packed)
{
	if (packed == TIMEOUT_SHORTEST)
		return 1;
	if (packed & TIMEOUT_IN_SECONDS)
		return (weft_time_us)(packed & ~TIMEOUT_IN_SECONDS) * US_PER_S;
	return (weft_time_us)packed * US_PER_MS;
}

void sock_set_nonblock(struct sock *s, bool on)
{
	sock_lock(s);
	s->opt.nonblock = on;
	sock_unlock(s);
}

bool sock_get_nonblock(struct sock *s)
{
	sock_lock(s);
	bool on = s->opt.nonblock;

	sock_unlock(s);
	return on;
}

/* Whether the core has a connection that has to hear of the setting. */
static bool has_conn(const struct sock *s) REQUIRES(lc_sock)
{
	return s->is_linked && s->tcb.cfg && s->phase != SOCK_LISTENING;
}

static uint32_t clamp_buf(const struct sock *s, int64_t bytes)
{
	int64_t max = s->conn.stack->cfg.buf_max;

	if (bytes < BUF_SIZE_MIN)
		return BUF_SIZE_MIN;
	return (uint32_t)(bytes < max ? bytes : max);
}

static void set_rcvbuf(struct sock *s, int64_t value, unsigned *events) REQUIRES(lc_sock)
{
	s->opt.rcvbuf = clamp_buf(s, value);
	s->opt.rcvbuf_set = true;
	if (has_conn(s))
		tcp_set_rcv_buf(&s->tcb, s->opt.rcvbuf, events);
	sock_wake_all(s); /* what they wait for may be more than fits now */
}

static void set_sndbuf(struct sock *s, int64_t value, unsigned *events) REQUIRES(lc_sock)
{
	s->opt.sndbuf = clamp_buf(s, value);
	s->opt.sndbuf_set = true;
	if (has_conn(s))
		tcp_set_snd_buf(&s->tcb, s->opt.sndbuf, events);
	sock_wake_all(s); /* as above */
}

static void set_keep_times(struct sock *s, weft_time_us now) REQUIRES(lc_sock)
{
	if (has_conn(s))
		tcp_set_keep_times(&s->tcb, (weft_time_us)s->opt.keep_idle_s * US_PER_S,
				   (weft_time_us)s->opt.keep_intvl_s * US_PER_S, s->opt.keep_cnt,
				   now);
}

static int set_v6only(struct sock *s, bool on) REQUIRES(lc_sock)
{
	if (!s->is_v6)
		return -ENOPROTOOPT;
	if (s->bound_port != 0 || s->phase != SOCK_IDLE)
		return -EINVAL;
	atomic_store_explicit(&s->v6only, on, memory_order_relaxed);
	return 0;
}

/* As Linux: before a connection only, but for a listener. */
static int set_fastopen(struct sock *s, enum sock_opt opt, int64_t value) REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_FASTOPEN) {
		if (value < 0 || (s->phase != SOCK_IDLE && s->phase != SOCK_LISTENING))
			return -EINVAL;
		s->opt.fastopen_max =
			(uint16_t)(value < LISTENER_BACKLOG_MAX ? value : LISTENER_BACKLOG_MAX);
		return 0;
	}
	if (value != 0 && value != 1)
		return -EINVAL;
	if (!fastopen_is_client(s->conn.stack))
		return -EOPNOTSUPP;
	if (s->phase != SOCK_IDLE)
		return -EINVAL;
	s->opt.fastopen_connect = value != 0;
	return 0;
}

/* Options about the error queue.  As Linux: either IP_RECVERR empties it when it is switched off. */
static int set_queue_opt(struct sock *s, enum sock_opt opt, bool on) REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_ZEROCOPY)
		s->opt.zerocopy = on;
	else if (opt == SOCK_OPT_RECVERR)
		s->opt.recverr = on;
	else if (opt == SOCK_OPT_RECVERR6)
		s->opt.recverr6 = on;
	else
		return -ENOPROTOOPT;
	if (opt != SOCK_OPT_ZEROCOPY && !on)
		sock_err_purge(s);
	return 0;
}

static void set_flag(struct sock *s, enum sock_opt opt, bool on) REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_REUSEADDR)
		s->opt.reuseaddr = on;
	else if (opt == SOCK_OPT_REUSEPORT)
		s->opt.reuseport = on;
	else
		s->opt.broadcast = on;
}

static bool get_flag(const struct sock *s, enum sock_opt opt) REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_REUSEADDR)
		return s->opt.reuseaddr;
	return opt == SOCK_OPT_REUSEPORT ? s->opt.reuseport : s->opt.broadcast;
}

/* Options that only the socket's shell knows; -ENOPROTOOPT for others. */
static int set_shell_opt(struct sock *s, enum sock_opt opt, int64_t value) REQUIRES(lc_sock)
{
	switch (opt) {
	case SOCK_OPT_REUSEADDR:
	case SOCK_OPT_REUSEPORT:
	case SOCK_OPT_BROADCAST:
		set_flag(s, opt, value != 0);
		return 0;
	case SOCK_OPT_RCVTIMEO:
		s->opt.rcvtimeo = sock_pack_timeout(value);
		return 0;
	case SOCK_OPT_SNDTIMEO:
		s->opt.sndtimeo = sock_pack_timeout(value);
		return 0;
	case SOCK_OPT_LINGER:
		s->opt.linger_s = (int32_t)value;
		return 0;
	case SOCK_OPT_LINGER2:
		s->opt.linger2_s = (int8_t)value;
		if (has_conn(s))
			tcp_set_linger2(&s->tcb, s->opt.linger2_s);
		return 0;
	case SOCK_OPT_RCVLOWAT:
		s->opt.rcvlowat = value > 0 ? (uint32_t)value : 1;
		sock_wake_all(s);
		return 0;
	case SOCK_OPT_V6ONLY:
		return set_v6only(s, value != 0);
	case SOCK_OPT_DEFER_ACCEPT:
		s->opt.defer_accept = (uint8_t)value;
		if (listener_of(s))
			listener_set_defer(listener_of(s), s->opt.defer_accept);
		return 0;
	case SOCK_OPT_FASTOPEN:
	case SOCK_OPT_FASTOPEN_CONNECT:
		return set_fastopen(s, opt, value);
	case SOCK_OPT_RCVBUF:
	case SOCK_OPT_SNDBUF:
	case SOCK_OPT_KEEPALIVE:
	case SOCK_OPT_KEEPIDLE:
	case SOCK_OPT_KEEPINTVL:
	case SOCK_OPT_KEEPCNT:
	case SOCK_OPT_NODELAY:
	case SOCK_OPT_OOBINLINE:
	case SOCK_OPT_CORK:
	case SOCK_OPT_QUICKACK:
	case SOCK_OPT_NOTSENT_LOWAT:
	case SOCK_OPT_MAXSEG:
	case SOCK_OPT_USER_TIMEOUT:
	case SOCK_OPT_SYNCNT:
	case SOCK_OPT_WINDOW_CLAMP:
	case SOCK_OPT_CONGESTION:
	case SOCK_OPT_PACING_MAX:
	case SOCK_OPT_ERROR:
	case SOCK_OPT_ACCEPTCONN:
	case SOCK_OPT_TTL:
	case SOCK_OPT_TOS:
	case SOCK_OPT_MINTTL:
	case SOCK_OPT_PMTUDISC:
	case SOCK_OPT_MTU:
	case SOCK_OPT_RECVCTL:
	case SOCK_OPT_RECVERR:
	case SOCK_OPT_RECVERR6:
	case SOCK_OPT_ZEROCOPY:
	case SOCK_OPT_GRO:
	case SOCK_OPT_SEGMENT:
	default:
		return set_queue_opt(s, opt, value != 0);
	}
}

static void set_keepalive(struct sock *s, enum sock_opt opt, int64_t value, weft_time_us now)
	REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_KEEPIDLE)
		s->opt.keep_idle_s = (uint16_t)value;
	else if (opt == SOCK_OPT_KEEPINTVL)
		s->opt.keep_intvl_s = (uint16_t)value;
	else if (opt == SOCK_OPT_KEEPCNT)
		s->opt.keep_cnt = (uint8_t)(value < UINT8_MAX ? value : UINT8_MAX);
	else
		s->opt.keepalive = value != 0;
	set_keep_times(s, now);
	if (opt == SOCK_OPT_KEEPALIVE && has_conn(s))
		tcp_set_keepalive(&s->tcb, s->opt.keepalive, now);
}

static int set_congestion(struct sock *s, unsigned number, weft_time_us now) REQUIRES(lc_sock)
{
	int rc = has_conn(s) ? sock_set_cc(s, number, now) : 0;

	if (rc == 0)
		s->opt.cc = (uint8_t)number;
	return rc;
}

/* The connection's, which without memory is not the one that was chosen. */
static int64_t get_congestion(const struct sock *s) REQUIRES(lc_sock)
{
	const char *name = s->tcb.cc.ops ? s->tcb.cc.ops->name : NULL;

	return has_conn(s) && name ? tcp_cc_find(name, strlen(name)) : s->opt.cc;
}

/* Of a connection it lasts for a while only: see tcp_set_quickack. */
static void set_quickack(struct sock *s, int64_t value, unsigned *events) REQUIRES(lc_sock)
{
	if (has_conn(s))
		tcp_set_quickack(&s->tcb, value != 0, value & 1, events);
	else
		s->opt.quickack = value != 0 ? QUICKACK_ON : QUICKACK_OFF;
}

static int set_window_clamp(struct sock *s, int64_t value, unsigned *events) REQUIRES(lc_sock)
{
	if (value == 0 && (has_conn(s) || s->phase == SOCK_LISTENING))
		return -EINVAL;
	s->opt.window_clamp = (uint32_t)value;
	if (has_conn(s))
		tcp_set_window_clamp(&s->tcb, s->opt.window_clamp, events);
	return 0;
}

/* Options that the core hears of. */
static int set_core_opt(struct sock *s, enum sock_opt opt, int64_t value, weft_time_us now,
			unsigned *events) REQUIRES(lc_sock)
{
	switch ((int)opt) {
	case SOCK_OPT_RCVBUF:
		set_rcvbuf(s, value, events);
		return 0;
	case SOCK_OPT_SNDBUF:
		set_sndbuf(s, value, events);
		return 0;
	case SOCK_OPT_KEEPALIVE:
	case SOCK_OPT_KEEPIDLE:
	case SOCK_OPT_KEEPINTVL:
	case SOCK_OPT_KEEPCNT:
		set_keepalive(s, opt, value, now);
		return 0;
	case SOCK_OPT_NODELAY:
		s->opt.nodelay = value != 0;
		if (has_conn(s))
			tcp_set_nodelay(&s->tcb, s->opt.nodelay, events);
		return 0;
	case SOCK_OPT_CORK:
		s->opt.cork = value != 0;
		if (has_conn(s))
			tcp_set_cork(&s->tcb, s->opt.cork, events);
		return 0;
	case SOCK_OPT_QUICKACK:
		set_quickack(s, value, events);
		return 0;
	case SOCK_OPT_NOTSENT_LOWAT:
		tcp_set_notsent_lowat(&s->tcb, (uint32_t)value, events);
		sock_wake_all(s); /* what they wait for may be more than it allows now */
		return 0;
	case SOCK_OPT_OOBINLINE:
		s->opt.oob_inline = value != 0;
		s->tcb.oob_inline = value != 0; /* what is read may be of a connection that ended */
		return 0;
	case SOCK_OPT_MAXSEG:
		s->opt.maxseg = (uint16_t)(value < UINT16_MAX ? value : UINT16_MAX);
		if (has_conn(s))
			tcp_set_mss_user(&s->tcb, s->opt.maxseg);
		return 0;
	case SOCK_OPT_USER_TIMEOUT:
		s->opt.user_timeout_ms = (uint32_t)value;
		if (has_conn(s))
			tcp_set_user_timeout(&s->tcb, time_of_ms(s->opt.user_timeout_ms), now);
		return 0;
	case SOCK_OPT_SYNCNT:
		s->opt.syn_cnt = (uint8_t)value;
		if (has_conn(s))
			tcp_set_syn_count(&s->tcb, s->opt.syn_cnt, now);
		return 0;
	case SOCK_OPT_WINDOW_CLAMP:
		return set_window_clamp(s, value, events);
	case SOCK_OPT_CONGESTION:
		return set_congestion(s, (unsigned)value, now);
	case SOCK_OPT_PACING_MAX:
		s->opt.pacing_max = (uint64_t)value;
		if (has_conn(s)) {
			tcp_set_pacing_max(&s->tcb, s->opt.pacing_max);
			*events |= TCP_EV_OUTPUT;
		}
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int sock_setopt(struct sock *s, enum sock_opt opt, int64_t value)
{
	weft_time_us now = stack_now(s->conn.stack);
	unsigned events = 0;

	sock_lock(s);
	int rc = sock_gone(s);

	if (rc == 0)
		rc = set_shell_opt(s, opt, value);
	if (opt >= SOCK_OPT_TTL && rc == -ENOPROTOOPT)
		rc = sock_set_path_opt(s, opt, value, now, &events);
	else if (rc == -ENOPROTOOPT && opt != SOCK_OPT_V6ONLY)
		rc = set_core_opt(s, opt, value, now, &events);
	sock_events(s, events, now);
	sock_unlock(s);
	return rc;
}

/* As Linux: an idle socket tells the default of its family. */
static int64_t get_maxseg(const struct sock *s) REQUIRES(lc_sock)
{
	if (s->tcb.cfg && s->tcb.mss != 0)
		return s->tcb.mss;
	return s->opt.maxseg != 0 ? s->opt.maxseg : 536;
}

static int64_t get_keepalive(const struct sock *s, enum sock_opt opt) REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_KEEPIDLE)
		return s->opt.keep_idle_s;
	if (opt == SOCK_OPT_KEEPINTVL)
		return s->opt.keep_intvl_s;
	return opt == SOCK_OPT_KEEPCNT ? s->opt.keep_cnt : s->opt.keepalive;
}

static int64_t get_linger2(const struct sock *s) REQUIRES(lc_sock)
{
	return s->opt.linger2_s != 0 ? s->opt.linger2_s
				     : s->conn.stack->cfg.tcp.fin_wait2 / US_PER_S;
}

static int64_t get_stream_opt(const struct sock *s, enum sock_opt opt) REQUIRES(lc_sock)
{
	switch ((int)opt) {
	case SOCK_OPT_NODELAY:
		return s->opt.nodelay;
	case SOCK_OPT_OOBINLINE:
		return s->opt.oob_inline;
	case SOCK_OPT_CORK:
		return s->opt.cork;
	case SOCK_OPT_QUICKACK:
		return has_conn(s) ? !s->tcb.pingpong : s->opt.quickack != QUICKACK_OFF;
	case SOCK_OPT_DEFER_ACCEPT:
		return s->opt.defer_accept;
	case SOCK_OPT_FASTOPEN:
		return s->opt.fastopen_max;
	case SOCK_OPT_FASTOPEN_CONNECT:
		return s->opt.fastopen_connect;
	case SOCK_OPT_RCVLOWAT:
		return s->opt.rcvlowat;
	case SOCK_OPT_USER_TIMEOUT:
		return s->opt.user_timeout_ms;
	case SOCK_OPT_SYNCNT:
		return s->opt.syn_cnt != 0 ? s->opt.syn_cnt
					   : tcp_syn_count_default(&s->conn.stack->cfg.tcp);
	case SOCK_OPT_WINDOW_CLAMP:
		return s->opt.window_clamp != 0 || !has_conn(s) ? s->opt.window_clamp
								: s->tcb.rcv_buf_size;
	default:
		return (int32_t)s->tcb.notsent_lowat;
	}
}

/*
 * SO_ERROR, as on Linux: the pending error, else what the connection suffers from without having ended
 * (RFC 9293 3.9.1.8), unless nobody wants to know.
 */
static int take_any_error(struct sock *s) REQUIRES(lc_sock)
{
	int rc = sock_take_error(s);

	if (rc == 0 && !s->is_over && !s->conn.stack->cfg.no_soft_errors &&
	    MECHANISM(soft_error_told)) {
		rc = -s->tcb.soft_error;
		s->tcb.soft_error = 0;
	}
	return rc;
}

/* Options that are only kept, and those of the path. */
static int get_other_opt(struct sock *s, enum sock_opt opt, int64_t *value) REQUIRES(lc_sock)
{
	if (opt == SOCK_OPT_RECVERR)
		*value = s->opt.recverr;
	else if (opt == SOCK_OPT_RECVERR6)
		*value = s->opt.recverr6;
	else if (opt == SOCK_OPT_ZEROCOPY)
		*value = s->opt.zerocopy;
	else
		return sock_get_path_opt(s, opt, value);
	return 0;
}

static int get_opt(struct sock *s, enum sock_opt opt, int64_t *value) REQUIRES(lc_sock)
{
	switch ((int)opt) {
	case SOCK_OPT_REUSEADDR:
	case SOCK_OPT_REUSEPORT:
	case SOCK_OPT_BROADCAST:
		*value = get_flag(s, opt);
		break;
	case SOCK_OPT_RCVBUF:
		*value = has_conn(s) ? s->tcb.rcv_buf_size : s->opt.rcvbuf;
		break;
	case SOCK_OPT_SNDBUF:
		*value = has_conn(s) ? s->tcb.snd_buf_size : s->opt.sndbuf;
		break;
	case SOCK_OPT_RCVTIMEO:
	case SOCK_OPT_SNDTIMEO:
		*value = sock_unpack_timeout(opt == SOCK_OPT_RCVTIMEO ? s->opt.rcvtimeo
								      : s->opt.sndtimeo);
		break;
	case SOCK_OPT_LINGER:
		*value = s->opt.linger_s;
		break;
	case SOCK_OPT_LINGER2:
		*value = get_linger2(s);
		break;
	case SOCK_OPT_KEEPALIVE:
	case SOCK_OPT_KEEPIDLE:
	case SOCK_OPT_KEEPINTVL:
	case SOCK_OPT_KEEPCNT:
		*value = get_keepalive(s, opt);
		break;
	case SOCK_OPT_NODELAY:
	case SOCK_OPT_OOBINLINE:
	case SOCK_OPT_CORK:
	case SOCK_OPT_QUICKACK:
	case SOCK_OPT_NOTSENT_LOWAT:
	case SOCK_OPT_DEFER_ACCEPT:
	case SOCK_OPT_FASTOPEN:
	case SOCK_OPT_FASTOPEN_CONNECT:
	case SOCK_OPT_RCVLOWAT:
	case SOCK_OPT_USER_TIMEOUT:
	case SOCK_OPT_SYNCNT:
	case SOCK_OPT_WINDOW_CLAMP:
		*value = get_stream_opt(s, opt);
		break;
	case SOCK_OPT_MAXSEG:
		*value = get_maxseg(s);
		break;
	case SOCK_OPT_CONGESTION:
		*value = get_congestion(s);
		break;
	case SOCK_OPT_PACING_MAX:
		*value = (int64_t)s->opt.pacing_max;
		break;
	case SOCK_OPT_V6ONLY:
		if (!s->is_v6)
			return -ENOPROTOOPT;
		*value = sock_refuses_v4(s);
		break;
	case SOCK_OPT_ERROR:
		*value = -take_any_error(s);
		break;
	case SOCK_OPT_ACCEPTCONN:
		*value = s->phase == SOCK_LISTENING;
		break;
	default:
		return get_other_opt(s, opt, value);
	}
	return 0;
}

int sock_getopt(struct sock *s, enum sock_opt opt, int64_t *value)
{
	sock_lock(s);
	int rc = sock_gone(s);

	if (rc == 0)
		rc = get_opt(s, opt, value);
	sock_unlock(s);
	return rc;
}

/* A connection that is not open yet tells 0, as on Linux: what waits to be sent counts from then on. */
static int answer(const struct sock *s, enum sock_query query) REQUIRES(lc_sock)
{
	const struct tcb *tcb = &s->tcb;
	bool is_opening = tcb->state == TCPS_SYN_SENT || tcb->state == TCPS_SYN_RCVD;
	uint32_t end = tcb->snd_end + tcb->fin_queued;

	if (query == SOCK_QUERY_ATMARK)
		return tcp_at_mark(tcb);
	if (query == SOCK_QUERY_INQ)
		return tcp_at_mark(tcb) && !tcb->oob_inline ? 0 : (int)sock_ready_bytes(s);
	if (!s->tcb.cfg || is_opening || tcb->state == TCPS_CLOSED)
		return 0;
	if (query == SOCK_QUERY_OUTQ)
		return (int)(end - tcb->snd_una);
	return seq_lt(tcb->snd_nxt, end) ? (int)(end - tcb->snd_nxt) : 0;
}

int sock_query(struct sock *s, enum sock_query query, int *value)
{
	sock_lock(s);
	int rc = sock_gone(s);

	if (rc == 0 && s->phase == SOCK_LISTENING && query != SOCK_QUERY_ATMARK)
		rc = -EINVAL;
	if (rc == 0)
		*value = answer(s, query);
	sock_unlock(s);
	return rc;
}

int sock_status(struct sock *s, struct tcp_status *status)
{
	unsigned queued, backlog;

	sock_lock(s);
	int rc = sock_gone(s);
	bool is_listening = s->phase == SOCK_LISTENING;

	*status = (struct tcp_status){.state = TCPS_CLOSED};
	if (rc == 0 && !is_listening && s->tcb.cfg && s->phase != SOCK_IDLE)
		tcp_get_status(&s->tcb, stack_now(s->conn.stack), status);
	sock_unlock(s);
	if (rc != 0 || !is_listening)
		return rc;
	/* As Linux: unacked is what waits, sacked the limit; api/ finds them here. */
	listener_counts(listener_of(s), &queued, &backlog);
	status->state = TCPS_LISTEN;
	status->unacked_bytes = queued;
	status->notsent_bytes = backlog;
	return 0;
}
