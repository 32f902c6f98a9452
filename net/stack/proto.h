/*
 * What the calls of POSIX do with what a handle names, by its kind: api/ calls through proto_of.
 * Each function is called on any thread with a reference held, and gives 0 or a value, or a negative
 * errno; sock.h says more about each for TCP.
 */
#ifndef WEFT_STACK_PROTO_H
#define WEFT_STACK_PROTO_H

#include "net/stack/sock.h"

struct conn;
struct watchers;

/* Control messages of datagrams: IP_PKTINFO and its relatives (dgram_ctl.h). */
enum sock_ctl_kind {
	SOCK_CTL_PKTINFO,
	SOCK_CTL_TTL,
	SOCK_CTL_TOS,
	SOCK_CTL_PKTINFO6, /* of a socket of AF_INET6; IPv4 addresses are mapped ones */
	SOCK_CTL_HOPLIMIT, /* of IPv6 packets */
	SOCK_CTL_TCLASS,
	SOCK_CTL_RXQ_OVFL, /* recv only */
	SOCK_CTL_SEGMENT,  /* send only */
	SOCK_CTL_GRO,      /* recv only, as SOCK_OPT_GRO asks */
};

/* What recv and send move: sendmsg's and recvmsg's struct msghdr, checked. */
struct sock_msg {
	const struct iovec *iov;
	int count;
	int flags; /* MSG_..., those of 'recv_flags' and 'send_flags' */
	bool more; /* send: another message follows at once, or flush */
	/* send: where to, NULL: nowhere named.  recv: where from goes there, NULL: nobody asks. */
	struct sock_addr *name;
	/*
	 * Ancillary data as in struct msghdr.  send: what there is; recv: the room there is, then what was
	 * filled in.
	 */
	void *control;
	size_t control_len;
	/* recv sets: MSG_TRUNC, MSG_OOB..., and whether 'name' was filled in. */
	int flags_out;
	bool has_name;
};

struct proto {
	int type;     /* SOCK_STREAM, ...; 0: no socket, and only what is marked * is there */
	int protocol; /* IPPROTO_TCP, ... */
	int recv_flags;
	int send_flags;
	int (*bind)(struct conn *conn, const struct sock_addr *addr);
	int (*listen)(struct conn *conn, int backlog);
	int (*accept)(struct conn *conn, struct conn **child);
	/* 'peer' NULL: AF_UNSPEC. */
	int (*connect)(struct conn *conn, const struct sock_addr *peer, bool nonblock);
	ssize_t (*recv)(struct conn *conn, struct sock_msg *msg);
	ssize_t (*send)(struct conn *conn, const struct sock_msg *msg);
	/* Sends what messages with 'more' have left; NULL: nothing ever. */
	void (*flush)(struct conn *conn);
	/* Whether send looks at an address: 1, 0, PROTO_NAME_OPTIONAL, or -errno. */
	int (*takes_name)(struct conn *conn, int flags);
	/* An error that one of several recv in a call met behind the first: for the next call. */
	void (*keep_error)(struct conn *conn, int error);
	int (*shutdown)(struct conn *conn, int how);
	int (*close)(struct conn *conn); /* the last handle is gone * */
	int (*getname)(struct conn *conn, struct sock_addr *addr);
	int (*getpeer)(struct conn *conn, struct sock_addr *addr);
	int (*setopt)(struct conn *conn, enum sock_opt opt, int64_t value);
	int (*getopt)(struct conn *conn, enum sock_opt opt, int64_t *value);
	int (*query)(struct conn *conn, enum sock_query query, int *value);
	bool (*is_v6)(struct conn *conn);
	/* Of an epoll set it means nothing, as on Linux.  Both * */
	void (*set_nonblock)(struct conn *conn, bool on);
	bool (*get_nonblock)(struct conn *conn);
	/* What poll says, POLLNVAL when it is closed; who watches that (NULL: no memory).  Both * */
	unsigned (*ready)(struct conn *conn);
	struct watchers *(*watchers)(struct conn *conn);
};

/* takes_name: an address may be named, or none. */
enum { PROTO_NAME_OPTIONAL = 2 };

extern const struct proto proto_tcp;
extern const struct proto proto_epset; /* epset.h */
extern const struct proto proto_udp;
extern const struct proto proto_ping;  /* ICMP echo, as Linux' sockets of IPPROTO_ICMP */
extern const struct proto proto_ping6; /* ... and of IPPROTO_ICMPV6 */

/* Of something that a handle can name. */
const struct proto *proto_of(const struct conn *conn);

/* A new unbound TCP socket with one reference. */
int proto_new_tcp(struct stack *stack, bool is_v6, struct conn **conn);

/* The same for proto_udp, proto_ping, proto_ping6. */
int proto_new_dgram(struct stack *stack, const struct proto *proto, bool is_v6, struct conn **conn);

/* The TCP socket, NULL for anything else. */
struct sock *proto_sock(struct conn *conn);

struct stack *proto_stack(const struct conn *conn);

/* References.  proto_tryget is for lookups in an RCU section: false when the object is dying. */
bool proto_tryget(struct conn *conn);
struct conn *proto_get(struct conn *conn);
void proto_put(struct conn **conn);

#endif
