/*
 * Sockets as net/stack has them: reference-counted objects with blocking calls.  api/ gives them
 * handles, errno and sockaddrs.
 *
 * All functions may be called from any thread with a reference held for the time of the call.  They
 * return 0 or a value, or a negative errno.  A function that blocks says so; it releases the
 * socket's lock while it sleeps, and wakes with -EBADF when the socket is closed (sock_close) and
 * with -ESHUTDOWN when the stack stops.
 */
#ifndef WEFT_STACK_SOCK_H
#define WEFT_STACK_SOCK_H

#include "net/stack/stack.h"
#include "net/tcp/tcp.h"
#include <sys/socket.h>
#include <sys/uio.h>

struct sock;

struct sock_addr {
	struct addr addr;
	uint16_t port; /* host order */
};

/* A new unbound TCP socket with one reference.  'is_v6': AF_INET6, dual-stack unless V6ONLY. */
int sock_new(struct stack *stack, bool is_v6, struct sock **sock);

/* References.  sock_tryget is for lookups in an RCU section: false when the socket is dying. */
struct sock *sock_get(struct sock *sock);
bool sock_tryget(struct sock *sock);
void sock_put(struct sock **sock);

struct stack *sock_stack(const struct sock *sock);
bool sock_is_v6(const struct sock *sock);

int sock_bind(struct sock *sock, const struct sock_addr *addr);
int sock_listen(struct sock *sock, int backlog);

/*
 * Takes the next completed connection with a reference for the caller.  Blocks unless 'nonblock'
 * (-EAGAIN) for at most SO_RCVTIMEO.  -EINVAL: not listening or shut down.
 */
int sock_accept(struct sock *sock, bool nonblock, struct sock **child);

/* Puts back, at the front, what sock_accept took and the caller cannot use (no handle free). */
void sock_unaccept(struct sock *sock, struct sock **child);

/* Blocks until connected or failed, unless 'nonblock' (-EINPROGRESS, -EALREADY, -EISCONN). */
int sock_connect(struct sock *sock, const struct sock_addr *peer, bool nonblock);

/*
 * 'flags': MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_TRUNC (discard).  Blocks for data; 0 is the end
 * of the stream.  MSG_OOB takes an urgent byte and never blocks: see tcp_recv_urgent.
 */
ssize_t sock_recv(struct sock *sock, const struct iovec *iov, int count, int flags);

/*
 * 'flags': MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_OOB, MSG_ZEROCOPY (zerocopy.h; -ENOBUFS).  Blocks for
 * room in the buffer and for memory.
 */
ssize_t sock_send(struct sock *sock, const struct iovec *iov, int count, int flags);

/* 'error' (negative) was met behind some bytes, or messages: it is for the next call. */
void sock_keep_error(struct sock *sock, int error);

/*
 * Connects and sends (MSG_FASTOPEN): the first bytes ride on the SYN when a cookie of the peer is known.
 * Blocks until connected and for the rest as sock_send; else the number of bytes on the SYN, or
 * -EINPROGRESS.  'peer' NULL: of a connect that was put off (TCP_FASTOPEN_CONNECT).  -EOPNOTSUPP: the
 * stack has it off.
 */
ssize_t sock_send_fast(struct sock *sock, const struct sock_addr *peer, const struct iovec *iov,
		       int count, int flags);

/* SHUT_RD, SHUT_WR, SHUT_RDWR.  On a listener SHUT_RD ends it: accept gives -EINVAL. */
int sock_shutdown(struct sock *sock, int how);

/*
 * The last handle is gone: blocked calls wake with -EBADF, the connection closes in good order (or
 * by RST: SO_LINGER {1,0}, unread data).  Blocks only for SO_LINGER {1,n}.  The caller still puts
 * its reference.
 */
int sock_close(struct sock *sock);

int sock_getname(struct sock *sock, struct sock_addr *addr);
int sock_getpeer(struct sock *sock, struct sock_addr *addr);

/* O_NONBLOCK of the socket: default for calls without MSG_DONTWAIT. */
void sock_set_nonblock(struct sock *sock, bool on);
bool sock_get_nonblock(struct sock *sock);

/* How a socket treats the path's MTU: Linux's numbers for IP_MTU_DISCOVER and IPV6_MTU_DISCOVER. */
enum sock_pmtudisc {
	SOCK_PMTUDISC_DONT,      /* IPv4: DF is clear, routers may fragment */
	SOCK_PMTUDISC_WANT,      /* the default */
	SOCK_PMTUDISC_DO,        /* for TCP the same */
	SOCK_PMTUDISC_PROBE,     /* DF is set, what is known of the path does not count */
	SOCK_PMTUDISC_INTERFACE, /* DF is clear, and it does not count */
	SOCK_PMTUDISC_OMIT,      /* for TCP the same */
};

/* Settings by name; api/ maps setsockopt's numbers and checks sizes and ranges. */
enum sock_opt {
	SOCK_OPT_REUSEADDR, /* bool */
	SOCK_OPT_REUSEPORT, /* bool; counts when it is bound */
	/* Datagrams: set 1 << kind, or -(1 << kind), of enum sock_ctl_kind; get all that recv tells. */
	SOCK_OPT_RECVCTL,
	SOCK_OPT_RECVERR,   /* bool; errors about IPv4 packets are queued */
	SOCK_OPT_RECVERR6,  /* the same of IPv6 */
	SOCK_OPT_ZEROCOPY,  /* bool; of streams: MSG_ZEROCOPY counts */
	SOCK_OPT_GRO,       /* datagrams that came as one packet are given as one message */
	SOCK_OPT_SEGMENT,   /* bytes of each datagram that a message is cut into; 0: one */
	SOCK_OPT_BROADCAST, /* bool; may send to broadcast addresses */
	SOCK_OPT_RCVBUF,    /* bytes as given; getting returns what is in force */
	SOCK_OPT_SNDBUF,
	SOCK_OPT_RCVTIMEO, /* microseconds; 0: none */
	SOCK_OPT_SNDTIMEO,
	SOCK_OPT_LINGER,        /* seconds; -1: off */
	SOCK_OPT_LINGER2,       /* seconds; 0: the default, -1: none */
	SOCK_OPT_KEEPALIVE,     /* bool */
	SOCK_OPT_KEEPIDLE,      /* seconds */
	SOCK_OPT_KEEPINTVL,     /* seconds */
	SOCK_OPT_KEEPCNT,       /* count */
	SOCK_OPT_NODELAY,       /* bool */
	SOCK_OPT_OOBINLINE,     /* bool */
	SOCK_OPT_CORK,          /* bool */
	SOCK_OPT_QUICKACK,      /* 0: off, even: once, odd: for some ACKs */
	SOCK_OPT_NOTSENT_LOWAT, /* bytes; 0: none */
	SOCK_OPT_DEFER_ACCEPT,  /* of a listener: SYN-ACKs before it accepts without data; to 255 */
	SOCK_OPT_MAXSEG,        /* bytes; getting returns the MSS in use */
	SOCK_OPT_USER_TIMEOUT,  /* milliseconds; 0: default */
	SOCK_OPT_SYNCNT,        /* retransmissions of a SYN; 1 to 255 */
	SOCK_OPT_WINDOW_CLAMP,  /* bytes of window at most; 0: none, -EINVAL unless idle */
	SOCK_OPT_CONGESTION,    /* number for tcp_cc_get; -ENOMEM */
	SOCK_OPT_PACING_MAX,    /* bytes per second; -1: none */
	SOCK_OPT_V6ONLY,        /* bool; -EINVAL once bound */
	SOCK_OPT_RCVLOWAT,      /* bytes */
	SOCK_OPT_FASTOPEN,      /* of a listener: such connections not through yet; 0: off */
	SOCK_OPT_FASTOPEN_CONNECT, /* bool; -EOPNOTSUPP, -EINVAL once connecting */
	SOCK_OPT_ERROR,            /* get only: takes the pending error */
	SOCK_OPT_ACCEPTCONN,       /* get only: bool */
	SOCK_OPT_TTL,              /* 1 to 255, of both IP versions; -1: the default, 64 */
	SOCK_OPT_TOS,      /* 0 to 255, of both IP versions; -1: 0.  TCP keeps the ECN bits */
	SOCK_OPT_MINTTL,   /* what comes in with less is dropped (RFC 5082); 0: nothing */
	SOCK_OPT_PMTUDISC, /* enum sock_pmtudisc */
	SOCK_OPT_MTU,      /* get only: of the path; -ENOTCONN */
};

int sock_setopt(struct sock *sock, enum sock_opt opt, int64_t value);
int sock_getopt(struct sock *sock, enum sock_opt opt, int64_t *value);

/* What ioctl asks: Linux's SIOC... */
enum sock_query {
	SOCK_QUERY_INQ,    /* bytes to read, up to an urgent one */
	SOCK_QUERY_OUTQ,   /* sent or not, and not acknowledged */
	SOCK_QUERY_UNSENT, /* not sent */
	SOCK_QUERY_ATMARK, /* 1: an urgent byte is next */
};

/* 0 with '*value'; -EINVAL: of a listener.  Never blocks. */
int sock_query(struct sock *sock, enum sock_query query, int *value);

/* For TCP_INFO.  A listener's status has state TCPS_LISTEN, backlog in unacked and sacked sense. */
int sock_status(struct sock *sock, struct tcp_status *status);

/* RCU for api's handle table, so that liburcu stays inside net/stack. */
void stack_rcu_read_lock(void);
void stack_rcu_read_unlock(void);

#endif
