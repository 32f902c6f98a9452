/*
 * Error queues of streams: a socket whose peer is the test itself, which acknowledges when it likes, and
 * what its queue has.
 */
#ifndef WEFT_TESTS_ERRQ_H
#define WEFT_TESTS_ERRQ_H

#include "net/stack/sock_err.h"
#include "net/stack/stack_int.h"
#include "raw.h"
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>

enum { PEER_ISS = 1000 };

struct told {
	ssize_t rc;
	int flags;
	struct sock_extended_err ee;
	struct sockaddr_in from;
	uint8_t bytes[200];
};

/* The next entry of the error queue. */
static inline struct told recv_err(struct sock *s)
{
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct told told = {0};
	struct iovec iov = {told.bytes, sizeof(told.bytes)};
	struct sock_msg msg = {.iov = &iov,
			       .count = 1,
			       .flags = MSG_ERRQUEUE,
			       .control = control,
			       .control_len = sizeof(control)};

	told.rc = proto_tcp.recv(&s->conn, &msg);
	told.flags = msg.flags_out;
	if (told.rc >= 0) {
		const struct cmsghdr *c = (const struct cmsghdr *)(const void *)control;

		CU_ASSERT_EQUAL(c->cmsg_type, s->is_v6 ? IPV6_RECVERR : IP_RECVERR);
		memcpy(&told.ee, CMSG_DATA(c), sizeof(told.ee));
		if (!s->is_v6)
			memcpy(&told.from, CMSG_DATA(c) + sizeof(told.ee), sizeof(told.from));
	}
	return told;
}

/* The queue's numbers. */
struct numbers {
	bool has_errs;
	uint32_t count, next_send, pinned;
	uint32_t queued; /* bytes in the send queue */
};

static inline struct numbers numbers_of(struct sock *s)
{
	sock_lock(s);
	struct sock_errs *errs = sock_errs_of(s);
	struct numbers n = {.has_errs = errs != NULL, .queued = s->tcb.sndq.bytes};

	if (errs) {
		n.count = errs->count;
		n.next_send = errs->next_send;
		n.pinned = errs->pinned;
	}
	sock_unlock(s);
	return n;
}

static inline void expect_none(struct sock *s)
{
	CU_ASSERT_EQUAL(recv_err(s).rc, -EAGAIN);
	CU_ASSERT_FALSE(sock_ready(s) & POLLERR);
}

/* ---- A peer of the test's own. ---- */

struct bed {
	struct raw raw;
	struct sock *s;
	struct tcp_hdr last; /* of what the stack sent last */
};

static inline void write_tcp(struct bed *bed, uint32_t seq, uint32_t ack, uint8_t flags)
{
	const struct tcp_hdr hdr = {.src_port = 7,
				    .dst_port = bed->last.src_port,
				    .seq = seq,
				    .ack = ack,
				    .flags = flags,
				    .wnd = 65535,
				    .opt = {.has_mss = flags & TCP_SYN, .mss = 1460}};

	raw_tcp(&bed->raw, "10.0.0.2", "10.0.0.1", &hdr, "", false);
}

static inline struct sock *new_sock(struct bed *bed)
{
	WEFT_ASSERT(sock_new(bed->raw.stack, false, &bed->s) == 0);
	return bed->s;
}

/* Begins a connect, and reads the SYN into 'syn'; its size. */
static inline size_t begin_connect(struct bed *bed, uint8_t *syn, size_t size)
{
	struct sock_addr to = rig_at("10.0.0.2", 7);
	struct ip_hdr ip = {0};

	CU_ASSERT_EQUAL(sock_connect(bed->s, &to, true), -EINPROGRESS);
	size_t len = raw_read(&bed->raw, syn, size, 1000);

	CU_ASSERT_FATAL(len > 0 && ip_parse(syn, len, &ip) == DROP_NONE);
	CU_ASSERT_EQUAL(tcp_hdr_parse(syn + ip.hdr_len, ip.payload_len, &bed->last), DROP_NONE);
	return len;
}

/* The next connect tells how the last one ended, the one after that begins anew. */
static inline void end_connect(struct bed *bed)
{
	struct sock_addr to = rig_at("10.0.0.2", 7);

	CU_ASSERT_TRUE(sock_connect(bed->s, &to, true) < 0);
}

static inline bool is_connected(void *arg)
{
	return sock_ready(arg) & POLLOUT;
}

static inline void bed_open_with(struct bed *bed, const struct rig_config *config)
{
	uint8_t syn[200];

	raw_open(&bed->raw, config);
	CU_ASSERT_EQUAL(sock_setopt(new_sock(bed), SOCK_OPT_ZEROCOPY, 1), 0);
	CU_ASSERT_EQUAL(sock_setopt(bed->s, SOCK_OPT_NODELAY, 1), 0);
	begin_connect(bed, syn, sizeof(syn));
	write_tcp(bed, PEER_ISS, bed->last.seq + 1, TCP_SYN | TCP_ACK);
	CU_ASSERT_TRUE(rig_until(is_connected, bed->s, 5000));
}

static inline void bed_open(struct bed *bed)
{
	struct rig_config config = rig_config_default();

	bed_open_with(bed, &config);
}

static inline void bed_close(struct bed *bed)
{
	rig_drop(&bed->s);
	raw_close(&bed->raw);
}

struct outq {
	struct sock *s;
	int bytes;
};

static inline bool has_outq(void *arg)
{
	const struct outq *want = arg;
	int bytes = -1;

	return sock_query(want->s, SOCK_QUERY_OUTQ, &bytes) == 0 && bytes == want->bytes;
}

/* Until so many bytes are not acknowledged. */
static inline void await_outq(struct sock *s, int bytes)
{
	struct outq want = {s, bytes};

	CU_ASSERT_TRUE(rig_until(has_outq, &want, 5000));
}

static inline bool is_sent(void *s)
{
	int bytes = -1;

	return sock_query(s, SOCK_QUERY_UNSENT, &bytes) == 0 && bytes == 0;
}

/* So many bytes, once all are sent. */
static inline void ack(struct bed *bed, uint32_t iss, uint32_t bytes)
{
	CU_ASSERT_TRUE(rig_until(is_sent, bed->s, 5000));
	write_tcp(bed, PEER_ISS + 1, iss + 1 + bytes, TCP_ACK);
}

static inline bool is_error(void *s)
{
	return sock_ready(s) & POLLERR;
}

static inline void await_error(struct sock *s)
{
	CU_ASSERT_TRUE(rig_until(is_error, s, 5000));
}

#endif
