/*
 * A TCP socket from the inside: what the files of net/stack share.  docs/RCU.md lists who can hold
 * a reference and why each goes; docs/LOCKING.md the order of the locks.
 */
#ifndef WEFT_STACK_SOCK_INT_H
#define WEFT_STACK_SOCK_INT_H

#include "net/base/check.h"
#include "net/base/list.h"
#include "net/stack/conn.h"
#include "net/stack/emit.h"
#include "net/stack/port.h"
#include "net/stack/rx.h"
#include "net/stack/sleepers.h"
#include "net/stack/sock.h"
#include "net/stack/watch.h"
#include <errno.h>

struct listener;
struct half_open;
struct fastopen_queue;
struct sock_errs;
struct dgram_err;

enum sock_phase {
	SOCK_IDLE,       /* not connected; perhaps bound */
	SOCK_CONNECTING, /* an active open began; its end was not told to the application yet */
	SOCK_CONNECTED,  /* was established; the tcb says what is left of it */
	SOCK_LISTENING,
	SOCK_DEFERRED, /* connect will be done by the first send (fast open); conn.flow has the peer */
} __attribute__((packed));

/* TCP_QUICKACK before the connection.  Off is forgotten as it begins, or the socket listens, as on Linux. */
enum sock_quickack { QUICKACK_DEFAULT, QUICKACK_ON, QUICKACK_OFF };

/* Settings; an accepted socket inherits the listener's. */
struct sock_opts {
	uint64_t pacing_max;      /* bytes per second; UINT64_MAX: none */
	uint32_t rcvtimeo;        /* packed (sock_opt.c); 0: none */
	uint32_t sndtimeo;        /* as above */
	uint32_t user_timeout_ms; /* 0: the stack's default */
	int32_t linger_s;         /* -1: off */
	uint32_t rcvbuf;
	uint32_t sndbuf;
	uint32_t rcvlowat;
	uint32_t window_clamp; /* TCP_WINDOW_CLAMP; 0: none */
	uint16_t keep_idle_s;
	uint16_t keep_intvl_s;
	uint8_t keep_cnt;
	uint8_t cc;            /* congestion controller, for tcp_cc_get */
	uint16_t maxseg;       /* 0: none */
	uint16_t fastopen_max; /* TCP_FASTOPEN of a listener; 0: off */
	uint8_t defer_accept;  /* SYN-ACKs that a listener sends before it does without data */
	int8_t linger2_s;      /* TCP_LINGER2; 0: the default, below: no FIN-WAIT-2 */
	uint8_t syn_cnt;       /* TCP_SYNCNT; 0: the stack's default */
	bool rcvbuf_set : 1;   /* by the user: no autotuning */
	bool sndbuf_set : 1;
	bool reuseaddr : 1;
	bool reuseport : 1;
	bool nodelay : 1;
	bool keepalive : 1;
	bool nonblock : 1;
	bool fastopen_connect : 1; /* TCP_FASTOPEN_CONNECT */
	bool oob_inline : 1;       /* SO_OOBINLINE */
	bool cork : 1;
	uint8_t quickack : 2; /* of a connection to come: enum sock_quickack */
	bool recverr : 1;     /* IP_RECVERR */
	bool recverr6 : 1;    /* IPV6_RECVERR */
	bool zerocopy : 1;    /* SO_ZEROCOPY */
	bool broadcast : 1;   /* SO_BROADCAST: means nothing */
};

/* SO_RCVTIMEO and SO_SNDTIMEO in 32 bits: to the millisecond below 24 days, to the second above. */
uint32_t sock_pack_timeout(weft_time_us timeout);
weft_time_us sock_unpack_timeout(uint32_t packed);

struct sock {
	struct conn conn; /* first */
	struct mutex mu;
	/* Immutable after init. */
	bool is_v6;
	/* Atomic. */
	atomic_bool v6only;   /* fixed once bound */
	atomic_uchar min_ttl; /* IP_MINTTL; 0: none */
	/* Guarded by lc_sock; here they fill a gap. */
	uint8_t ttl GUARDED_BY(lc_sock);      /* TTL or hop limit */
	uint8_t tos GUARDED_BY(lc_sock);      /* TOS or traffic class */
	uint8_t pmtudisc GUARDED_BY(lc_sock); /* enum sock_pmtudisc */
	uint16_t path_changes GUARDED_BY(
		lc_sock); /* stack->path_changes when the path was looked up */
	/* Atomic. */
	_Atomic(struct listener *) listener; /* made by the first listen, kept until the end */
	watchers_ref watch;                  /* made by the first poll or epoll_ctl, kept as well */
	/* Guarded by other classes. */
	struct list link GUARDED_BY(lc_socks); /* in stack->socks */

	union {
		struct sock *accept_next GUARDED_BY(lc_listener); /* in its listener's queue */
		/*
		 * With has_errs.  Before it leaves that nobody has sent, and errors of a handshake
		 * that a listener answered are not queued.
		 */
		struct sock_errs *errs GUARDED_BY(lc_sock);
	};

	struct port_binding binding; /* lc_port; holds a reference */
	/* Guarded by lc_sock. */
	struct tcb tcb GUARDED_BY(lc_sock);
	struct fastopen_queue *fastopen GUARDED_BY(lc_sock); /* while it counts there */
	weft_time_us armed GUARDED_BY(lc_sock); /* the TX thread comes then at the latest */
	struct sock_opts opt GUARDED_BY(lc_sock);
	struct sleepers readers GUARDED_BY(lc_sock);
	struct sleepers writers GUARDED_BY(lc_sock); /* and connectors, and lingering closers */
	int16_t so_error GUARDED_BY(lc_sock);        /* pending, positive errno */
	uint16_t bound_port GUARDED_BY(lc_sock);     /* 0: not bound */
	enum sock_phase phase GUARDED_BY(lc_sock);
	enum lead_state lead GUARDED_BY(lc_sock);
	bool is_linked : 1 GUARDED_BY(lc_sock);  /* conn is in the table */
	bool was_linked : 1 GUARDED_BY(lc_sock); /* ... or was, and readers may still be at it */
	bool is_closed : 1 GUARDED_BY(lc_sock);  /* by the application: -EBADF */
	bool is_stopped : 1 GUARDED_BY(lc_sock); /* by the stack: -ESHUTDOWN */
	bool is_orphan : 1 GUARDED_BY(lc_sock);  /* counted among stack->orphans */
	bool is_over : 1 GUARDED_BY(lc_sock);    /* the connection ended; tcb is CLOSED */
	bool rd_shut : 1 GUARDED_BY(lc_sock);    /* SHUT_RD */
	bool awaits_mem : 1 GUARDED_BY(lc_sock); /* since all were woken last, a sender has */
	bool wants_room : 1 GUARDED_BY(lc_sock); /* somebody found no room to send: tell watchers */
	bool wants_mem : 1 GUARDED_BY(lc_sock);  /* ... and no memory: look for that now and then */
	bool has_errs : 1 GUARDED_BY(lc_sock);   /* there is an error queue: 'errs' */
};

static_assert(sizeof(struct sock) <= 880, "an idle connection costs no more than this");

static inline struct sock *sock_of(struct conn *conn)
{
	return CONTAINER_OF(conn, struct sock, conn);
}

/*
 * The lock.  sock_unlock also gives back the buffers that the core is done with, and wakes whom
 * changes under the lock are to wake, both without it: the caller has a reference.
 */
void sock_lock(struct sock *s) ACQUIRE(lc_sock)
	EXCLUDES(lc_timewait, lc_txq, lc_socks, rcu_section);
void sock_unlock(struct sock *s) RELEASE(lc_sock);

/* -EBADF or -ESHUTDOWN for a socket that was closed or stopped, else 0. */
static inline int sock_gone(const struct sock *s) REQUIRES(lc_sock)
{
	if (s->is_closed)
		return -EBADF;
	return s->is_stopped ? -ESHUTDOWN : 0;
}

/* Bytes that a read can take, up to the next urgent one. */
static inline uint32_t sock_ready_bytes(const struct sock *s) REQUIRES(lc_sock)
{
	return tcp_is_urgent(&s->tcb) ? tcp_recv_ready(&s->tcb) : s->tcb.rcvq.bytes;
}

/* What a fast open (RFC 7413) brings along. */
struct sock_fast {
	struct buf *data; /* for the SYN; NULL when it was queued */
	size_t sent;      /* how much of it */
};

/* sock_connect, with data for the SYN when a cookie is at hand; 'fast' NULL: without. */
int sock_connect_fast(struct sock *s, const struct sock_addr *peer, bool nonblock,
		      struct sock_fast *fast) EXCLUDES(lc_port, lc_sock);

/* As Linux, a call takes so many bytes at most, and a count of bytes fits msg_len of struct mmsghdr. */
#define SOCK_IO_MAX ((size_t)0x7ffff000)

/* What a call takes of 'count' parts; together they are a ssize_t. */
size_t sock_io_size(const struct iovec *iov, int count);

/* sock_send of what is behind the first 'skip' bytes; returns how many of the rest. */
ssize_t sock_send_rest(struct sock *s, const struct iovec *iov, int count, size_t skip, int flags)
	EXCLUDES(lc_sock);

/* Takes the pending error as a negative errno, 0 when there is none. */
int sock_take_error(struct sock *s) REQUIRES(lc_sock);

/* When a wait that begins now has to end. */
weft_time_us sock_deadline(struct sock *s, weft_time_us timeout);

/* Bytes that recv waits for when it wants 'want' at most. */
uint32_t sock_recv_low(const struct sock *s, size_t want, int flags) REQUIRES(lc_sock);

/* Sleep until there is a reason to look again; false when 'deadline' has passed. */
bool sock_wait_readable(struct sock *s, uint32_t need, weft_time_us deadline) REQUIRES(lc_sock)
	EXCLUDES(rcu_section, lc_listener, lc_port);
bool sock_wait_writable(struct sock *s, uint32_t need, weft_time_us deadline) REQUIRES(lc_sock)
	EXCLUDES(rcu_section, lc_listener, lc_port);

/* Sleeps until everything sent is acknowledged, the connection is over, or the time is up. */
void sock_linger(struct sock *s, weft_time_us deadline) REQUIRES(lc_sock)
	EXCLUDES(rcu_section, lc_listener, lc_port);

enum { SOCK_MEM_LEAST = 512 }; /* the smallest buffer that a sender waits for */

/*
 * A sender without memory sleeps until there is some, or the socket is closed, shut down or over: 0,
 * look again.  'is_again': this is not the first time in a row.  -EAGAIN: 'deadline' has passed.
 */
int sock_wait_memory(struct sock *s, bool is_again, weft_time_us deadline) REQUIRES(lc_sock)
	EXCLUDES(rcu_section, lc_listener, lc_port);
/* Who was told to look again and has taken what it needs wakes the next one, if there is room. */
void sock_pass_memory(struct stack *stack);
/* The sleep itself, without locks, behind gate_enter, which gave 'ticket'; leaves the gate. */
void sock_sleep_memory(struct stack *stack, unsigned ticket, bool is_again, weft_time_us deadline);

/* Note to wake everybody: something ended or was set anew. */
void sock_wake_all(struct sock *s) REQUIRES(lc_sock);
/*
 * Data, room or an end came: note to wake one who finds what he waits for, or all when they are not alike or
 * it is an end.
 */
void sock_wake_readers(struct sock *s) REQUIRES(lc_sock);
void sock_wake_writers(struct sock *s) REQUIRES(lc_sock);
/* Whoever had his turn calls it before the unlock: something may be left.  An end has woken all. */
void sock_pass_readers(struct sock *s) REQUIRES(lc_sock);
void sock_pass_writers(struct sock *s) REQUIRES(lc_sock);

/*
 * Takes out whom sock_unlock would wake, for a thread with more packets in hand, which those it
 * wakes would only push off its core: sock_wake wakes them, without the lock, but with a reference.
 */
struct sock_wakes sock_take_wakes(struct sock *s) REQUIRES(lc_sock);
void sock_wake(struct sock *s, struct sock_wakes wakes) EXCLUDES(lc_sock);

static inline bool sock_has_wakes(struct sock_wakes wakes)
{
	return wakes.readers != COND_WAKE_NONE || wakes.writers != COND_WAKE_NONE || wakes.noted;
}

/* What poll says (sock_ready.c), POLLNVAL when it is closed. */
unsigned sock_ready(struct sock *s) EXCLUDES(lc_sock, lc_listener);
struct watchers *sock_watchers(struct sock *s);

/* Watchers hear of what the core's events say, or that anything may have changed. */
void sock_tell_watchers(struct sock *s, unsigned events) REQUIRES(lc_sock);
void sock_tell_all_watchers(struct sock *s) REQUIRES(lc_sock);

/* A sender that may not wait found no memory: watchers hear when there is some. */
void sock_want_memory(struct sock *s) REQUIRES(lc_sock) EXCLUDES(lc_txq);
/* Emitter: tells them when there is.  When to look next. */
weft_time_us sock_look_memory(struct sock *s, weft_time_us now) REQUIRES(lc_sock);

/* Before an unlock: sets with an eventfd hear of what is there no more. */
void sock_settle(struct sock *s, struct watchers *ws) REQUIRES(lc_sock);

/*
 * After every call of the core: does what its events say (wakes, leaves the table, asks for
 * output).  sock_notify is the same without asking for output, for the TX thread.
 */
void sock_events(struct sock *s, unsigned events, weft_time_us now) REQUIRES(lc_sock)
	EXCLUDES(lc_timewait, lc_txq);
/* As sock_events, with a quiet request: if true, the caller calls tx_help after the unlock. */
bool sock_events_quiet(struct sock *s, unsigned events, weft_time_us now) REQUIRES(lc_sock)
	EXCLUDES(lc_timewait, lc_txq);
void sock_notify(struct sock *s, unsigned events, weft_time_us now) REQUIRES(lc_sock)
	EXCLUDES(lc_timewait, lc_txq);

/*
 * After a quiet request: what was queued is sent by this thread, or in a crowd with that of others by
 * the TX thread.
 */
void sock_send_out(struct sock *s) EXCLUDES(lc_sock);

/* Prepares the tcb for a connection with the socket's settings on conn.flow. */
void sock_init_tcb(struct sock *s, uint32_t ts_offset) REQUIRES(lc_sock);
void sock_apply_opts(struct sock *s, weft_time_us now) REQUIRES(lc_sock);

/* The connection's congestion controller; -ENOMEM leaves it as it was. */
int sock_set_cc(struct sock *s, unsigned number, weft_time_us now) REQUIRES(lc_sock);

/*
 * A socket for a completed handshake, with the flow and queue it came by; not in the table yet.
 * -ENOMEM, -ESHUTDOWN (stopping).
 */
int sock_new_child(struct sock *parent, const struct flow *flow, unsigned queue,
		   struct sock **result) WARN_UNUSED EXCLUDES(lc_sock);

/* Ends the binding, if there is one. */
void sock_unbind(struct sock *s) EXCLUDES(lc_port, lc_listener, lc_sock);

/* Resets the connection and forgets it: for sockets that nobody accepted. */
void sock_abort(struct sock *s, int error) EXCLUDES(lc_sock);

/* The stack stops: wakes everybody with -ESHUTDOWN and resets the connection. */
void sock_stop(struct sock *s) EXCLUDES(lc_port, lc_listener, lc_sock);

/* Last reference (conn.c). */
void sock_release(struct sock *s);

static inline bool sock_refuses_v4(struct sock *s)
{
	return s->is_v6 && atomic_load_explicit(&s->v6only, memory_order_relaxed);
}

/* ---- RX threads and TX thread. ---- */

/* Options of IP (sock_path.c): 0, -EINVAL, -ENOPROTOOPT, -ENOTCONN. */
int sock_set_path_opt(struct sock *s, enum sock_opt opt, int64_t value, weft_time_us now,
		      unsigned *events) REQUIRES(lc_sock) EXCLUDES(lc_path);
int sock_get_path_opt(struct sock *s, enum sock_opt opt, int64_t *value) REQUIRES(lc_sock);

/* What the socket's packets carry in the IP header. */
struct emit_ip sock_emit_ip(const struct sock *s) REQUIRES(lc_sock);

/* What the path takes (sock_path.c), by the cache unless IP_MTU_DISCOVER is against it. */
uint16_t sock_path_mss(struct sock *s, weft_time_us now) REQUIRES(lc_sock) EXCLUDES(lc_path);

/* Emitter, before output: hears of changes. */
void sock_follow_path(struct sock *s, unsigned *events, weft_time_us now) REQUIRES(lc_sock)
	EXCLUDES(lc_path);

/* The core has believed a message: the cache hears of it. */
void sock_tell_path(struct sock *s, weft_time_us now) REQUIRES(lc_sock) EXCLUDES(lc_path);

/* An ICMP "too big" that quotes a segment of the connection. */
enum drop sock_too_big(struct sock *s, const struct flow *flow, uint32_t seq, uint32_t mtu,
		       weft_time_us now) EXCLUDES(lc_sock);

/* A received segment.  Those of one flow that were read together are chained, in their order. */
struct seg_in {
	struct tcp_seg seg;
	struct seg_in *next;
	enum drop why; /* what became of it */
	uint8_t ttl;   /* TTL or hop limit that it came with */
};

/*
 * Segments of the socket's connection, from 'first' on: as many as find it alive and of the same
 * kind.  The next one, or NULL; '*wakes': who is to be woken afterwards, with sock_wake.  In between
 * the caller may not wait for anything else.
 */
struct seg_in *sock_input(struct sock *s, const struct flow *flow, struct seg_in *first,
			  weft_time_us now, struct sock_wakes *wakes) WARN_UNUSED EXCLUDES(lc_sock);

/* An ICMP error that quotes the segment 'seq' of the connection. */
enum drop sock_icmp(struct sock *s, const struct flow *flow, uint32_t seq,
		    const struct dgram_err *err, bool is_hard, weft_time_us now) EXCLUDES(lc_sock);

#endif
