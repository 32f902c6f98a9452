/*
 * Datagram sockets: UDP (RFC 768), and ICMP echo as Linux' ping sockets have it.  A kind of its own
 * beside TCP's sockets; the calls are in struct proto (proto_udp, proto_ping, proto_ping6).
 *
 * A message is built whole by the thread that sends it, header, checksum and fragments included, and
 * waits as packets in 'out' for the emitter.  What comes in waits in 'in', by reference, with its
 * headers in front of the window: whoever asks for addresses or TTL reads them there.
 *
 * Who can hold a reference: the handle, a running call, the table of ports (until close or the stack's
 * end), the TX queue, an RX thread for a batch.
 */
#ifndef WEFT_STACK_DGRAM_H
#define WEFT_STACK_DGRAM_H

#include "net/base/buf.h"
#include "net/base/list.h"
#include "net/stack/conn.h"
#include "net/stack/dgrams.h"
#include "net/stack/proto.h"
#include "net/stack/sleepers.h"
#include "net/stack/watch.h"
#include <errno.h>

enum {
	DGRAM4_MAX = 65535 - 20 - 8, /* payload bytes (RFC 768, RFC 791) */
	DGRAM6_MAX = 65535 - 8,
	DGRAM_SEGMENTS_MAX = 128, /* of a message (UDP_SEGMENT): as Linux */
};

/* Settings. */
struct dgram_opts {
	weft_time_us rcvtimeo; /* 0: none */
	weft_time_us sndtimeo;
	uint32_t rcvbuf;
	uint32_t sndbuf;
	uint32_t rcvlowat;
	uint8_t ttl;
	uint8_t tos;
	uint8_t min_ttl;  /* IP_MINTTL; 0: none */
	uint8_t pmtudisc; /* enum sock_pmtudisc */
	uint16_t segment; /* bytes of a datagram that a message is cut into; 0: it is one */
	uint8_t recv_ctl; /* what recv tells: bits of struct sock_ctl */
	bool reuseaddr;
	bool reuseport;
	bool broadcast;
	bool recverr;  /* IP_RECVERR: errors of IPv4 are queued */
	bool recverr6; /* IPV6_RECVERR: those of IPv6 */
	bool gro;      /* UDP_GRO: datagrams that came as one packet are one message */
	bool v6only;
	bool nonblock;
	bool keepalive; /* SO_KEEPALIVE and SO_OOBINLINE: mean nothing */
	bool oob_inline;
};

struct dgram {
	struct conn conn; /* first; its flow: what the socket is bound and connected to */
	struct mutex mu;
	/* Immutable after init. */
	const struct proto *proto;
	bool is_v6;
	bool is_ping;
	/* Guarded by lc_socks. */
	struct list link GUARDED_BY(lc_socks);
	/* Guarded by lc_dports. */
	struct dgram_peer *peer GUARDED_BY(lc_dports); /* in the table as connected */
	/* Guarded by lc_dgram; those marked * change with lc_dports held, too. */
	struct dgram_opts opt GUARDED_BY(lc_dgram);
	struct addr bound GUARDED_BY(lc_dgram); /* * what bind said */
	bool is_bound GUARDED_BY(lc_dgram);     /* * has a port: stands in the table */
	bool has_port GUARDED_BY(lc_dgram);     /* * bind said which, so it stays */
	bool is_connected GUARDED_BY(lc_dgram); /* * */
	bool is_closed GUARDED_BY(lc_dgram);
	bool is_stopped GUARDED_BY(lc_dgram);
	bool rd_shut GUARDED_BY(lc_dgram);
	bool wr_shut GUARDED_BY(lc_dgram);
	bool awaits_mem GUARDED_BY(lc_dgram);
	bool wants_room GUARDED_BY(lc_dgram);    /* somebody found none: tell watchers */
	bool wants_mem GUARDED_BY(lc_dgram);     /* ... nor memory */
	bool looks_for_mem GUARDED_BY(lc_dgram); /* the emitter comes now and then for that */
	enum lead_state lead GUARDED_BY(lc_dgram);
	int so_error GUARDED_BY(lc_dgram);
	struct buf_queue in GUARDED_BY(lc_dgram);
	struct buf_queue out GUARDED_BY(lc_dgram);
	struct buf_queue errs GUARDED_BY(lc_dgram); /* dgram_err.h */
	uint32_t dropped GUARDED_BY(lc_dgram);      /* for want of room in 'in' */
	watchers_ref watch; /* atomic; made by the first poll or epoll_ctl, kept */
	struct sleepers readers GUARDED_BY(lc_dgram);
	struct sleepers writers GUARDED_BY(lc_dgram);
};

static inline struct dgram *dgram_of(struct conn *conn)
{
	return CONTAINER_OF(conn, struct dgram, conn);
}

/* ---- Birth and death. ---- */

/* An unbound socket of 'proto' with one reference.  -ENOMEM, -ESHUTDOWN. */
int dgram_new(struct stack *stack, const struct proto *proto, bool is_v6, struct dgram **made);

void dgram_get(struct dgram *d);
bool dgram_tryget(struct dgram *d) REQUIRES_SHARED(rcu_section);
void dgram_put(struct dgram **d);

/* Last reference (conn.c). */
void dgram_release(struct dgram *d);

int dgram_close(struct dgram *d) EXCLUDES(lc_dports, lc_dgram);

/* ---- The lock: as sock_lock and sock_unlock. ---- */

void dgram_lock(struct dgram *d) ACQUIRE(lc_dgram) EXCLUDES(lc_txq, lc_socks, rcu_section);
void dgram_unlock(struct dgram *d) RELEASE(lc_dgram);

/* -EBADF or -ESHUTDOWN, else 0. */
static inline int dgram_gone(const struct dgram *d) REQUIRES(lc_dgram)
{
	if (d->is_closed)
		return -EBADF;
	return d->is_stopped ? -ESHUTDOWN : 0;
}

static inline struct stack *dgram_stack(const struct dgram *d)
{
	return d->conn.stack;
}

/* Takes the pending error as a negative errno, 0 when there is none. */
int dgram_take_error(struct dgram *d) REQUIRES(lc_dgram);

/* ---- Sleeping (dgram_wait.c). ---- */

/* Sleep until there is a reason to look again; false when 'deadline' has passed. */
bool dgram_wait_readable(struct dgram *d, weft_time_us deadline) REQUIRES(lc_dgram);
bool dgram_wait_writable(struct dgram *d, weft_time_us deadline) REQUIRES(lc_dgram);
int dgram_wait_memory(struct dgram *d, bool is_again, weft_time_us deadline) REQUIRES(lc_dgram);

/* A datagram or room came, or is left: note to wake one. */
void dgram_wake_reader(struct dgram *d) REQUIRES(lc_dgram);
void dgram_wake_writer(struct dgram *d) REQUIRES(lc_dgram);

/* ---- Readiness (dgram_ready.c). ---- */

/* What poll says, POLLNVAL when it is closed. */
unsigned dgram_ready(struct dgram *d) EXCLUDES(lc_dgram);

/* Watchers hear of a datagram, of room, of anything; and, at an unlock, of what is gone. */
void dgram_tell_data(struct dgram *d) REQUIRES(lc_dgram);
void dgram_tell_room(struct dgram *d) REQUIRES(lc_dgram);
void dgram_tell_all(struct dgram *d) REQUIRES(lc_dgram);
void dgram_settle(struct dgram *d, struct watchers *ws) REQUIRES(lc_dgram);

/* As sock_want_memory; and whether the emitter is to look for it again, after dgram_tell_room. */
void dgram_want_memory(struct dgram *d) REQUIRES(lc_dgram) EXCLUDES(lc_txq);
bool dgram_looks_for_memory(struct dgram *d) REQUIRES(lc_dgram);

/* Something ended. */
void dgram_wake_all(struct dgram *d) REQUIRES(lc_dgram);

/* As sock_take_wakes, sock_wake. */
struct sock_wakes dgram_take_wakes(struct dgram *d) REQUIRES(lc_dgram);
void dgram_wake(struct dgram *d, struct sock_wakes wakes) EXCLUDES(lc_dgram);

/* ---- Names (dgram_name.c). ---- */

/* Gives an unbound socket a port of its own. */
int dgram_autobind(struct dgram *d) EXCLUDES(lc_dports, lc_dgram);

/* Frees the port. */
void dgram_unbind(struct dgram *d) EXCLUDES(lc_dports, lc_dgram);

int dgram_bind(struct dgram *d, const struct sock_addr *addr) EXCLUDES(lc_dports, lc_dgram);

/* 'peer' NULL: dissolves. */
int dgram_connect(struct dgram *d, const struct sock_addr *peer) EXCLUDES(lc_dports, lc_dgram);
int dgram_getname(struct dgram *d, struct sock_addr *addr) EXCLUDES(lc_dgram);
int dgram_getpeer(struct dgram *d, struct sock_addr *addr) EXCLUDES(lc_dgram);

/*
 * Source and destination of what goes to 'to' now, from 'source' (NULL or any: where the socket is
 * bound); -errno as sendto has it.
 */
int dgram_aim(struct dgram *d, const struct sock_addr *to, const struct addr *source,
	      struct flow *flow) REQUIRES(lc_dgram);

/* ---- Options (dgram_opt.c). ---- */

int dgram_setopt(struct dgram *d, enum sock_opt opt, int64_t value) EXCLUDES(lc_dgram);
int dgram_getopt(struct dgram *d, enum sock_opt opt, int64_t *value) EXCLUDES(lc_dgram);

/* ---- Sending (dgram_send.c, dgram_build.c). ---- */

/* All or nothing.  Blocks for room in the send buffer and for memory. */
ssize_t dgram_send(struct dgram *d, const struct sock_msg *msg) EXCLUDES(lc_dports, lc_dgram);

/* What was queued is sent by this thread, or left to the TX thread. */
void dgram_send_out(struct dgram *d) EXCLUDES(lc_dgram);

/* A datagram to be built. */
struct dgram_msg {
	struct flow flow;
	const struct iovec *iov;
	int count;
	uint32_t offset;  /* bytes of the parts that come before */
	uint32_t size;    /* payload bytes */
	uint16_t segment; /* cut into datagrams of so many bytes; 0: one */
	uint8_t ttl;
	uint8_t tos;
	uint8_t pmtudisc;
	bool is_ping;
};

/* What the way to its destination takes, as IP_MTU_DISCOVER has it. */
uint32_t dgram_mtu(struct stack *stack, const struct dgram_msg *msg) EXCLUDES(lc_path);

/* Its packets, to be emitted with dgram_emit.  -EMSGSIZE; -ENOBUFS: 'packets' is empty. */
int dgram_build(struct stack *stack, const struct dgram_msg *msg, struct buf_queue *packets)
	WARN_UNUSED EXCLUDES(lc_path);

/* Emitter: takes up to 'max' packets; true: more are left.  '*looks': it is to come back for memory. */
bool dgram_take_out(struct dgram *d, unsigned max, struct buf_queue *packets, bool *looks)
	EXCLUDES(lc_dgram);

/* What dgram_build notes at a packet for the emitter. */
struct dgram_note {
	uint16_t csum_start; /* 0: the checksum is complete */
	uint16_t gso_size;   /* 0: not to be cut */
	bool is_local;       /* for the loop device */
};

struct dgram_note dgram_note_of(const struct buf *packet);

/* ---- Receiving (dgram_recv.c). ---- */

/* One message a call.  'msg->flags': MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC (the true size). */
ssize_t dgram_recv(struct dgram *d, struct sock_msg *msg) EXCLUDES(lc_dgram);

struct dgram_err;

/* What comes. */
struct dgram_in {
	uint32_t ip_at;    /* where in the buffer the packet begins */
	uint16_t gso_size; /* the window has datagrams of so many bytes; 0: one */
};

/*
 * RX: queues the message, the window of '*b'; takes '*b' unless it is refused.  Several datagrams stay one
 * entry, of which recv gives one after another, or all to who asked for that (UDP_GRO).  '*wakes' is for
 * dgram_wake.
 */
enum drop dgram_input(struct dgram *d, const struct flow *flow, struct buf **b,
		      const struct dgram_in *in, struct sock_wakes *wakes) EXCLUDES(lc_dgram);

/* Bytes of the next message, 0 when there is none. */
uint32_t dgram_next_size(const struct dgram *d) REQUIRES(lc_dgram);

/* Whether "too big" messages count for the socket's paths (IP_MTU_DISCOVER). */
bool dgram_heeds_path(struct dgram *d) EXCLUDES(lc_dgram);

/* An ICMP error that quotes a datagram to flow->remote; 'err' is what is queued where that is wanted. */
enum drop dgram_icmp(struct dgram *d, const struct flow *flow, const struct dgram_err *err,
		     bool is_hard) EXCLUDES(lc_dgram);

/* Copies as much as there is room for; how much. */
size_t dgram_copy_out(const struct view *v, const struct sock_msg *msg);

#endif
