/*
 * Sends by reference against a peer of the test's own, which acknowledges when it likes, and through loss;
 * the error queue of a connect that ICMP errors end.
 */
#include "net/base/buf.h"
#include "net/stack/stack_int.h"
#include "net/stack/zerocopy.h"
#include "raw.h"
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>

enum { PEER_ISS = 1000, SIZE = 8000 };

struct told {
	ssize_t rc;
	int flags;
	struct sock_extended_err ee;
	struct sockaddr_in from;
	uint8_t bytes[200];
};

/* The next entry of the error queue. */
static struct told recv_err(struct sock *s)
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

static void expect_none(struct sock *s)
{
	CU_ASSERT_EQUAL(recv_err(s).rc, -EAGAIN);
	CU_ASSERT_FALSE(sock_ready(s) & POLLERR);
}

static void expect_done(struct sock *s, uint32_t first, uint32_t last, uint8_t code)
{
	CU_ASSERT_TRUE(sock_ready(s) & POLLERR);
	struct told t = recv_err(s);

	CU_ASSERT_EQUAL(t.rc, 0);
	CU_ASSERT_EQUAL(t.flags, MSG_ERRQUEUE);
	CU_ASSERT_EQUAL(t.ee.ee_errno, 0);
	CU_ASSERT_EQUAL(t.ee.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
	CU_ASSERT_EQUAL(t.ee.ee_code, code);
	CU_ASSERT_EQUAL(t.ee.ee_info, first);
	CU_ASSERT_EQUAL(t.ee.ee_data, last);
}

/* ---- A peer of the test's own. ---- */

struct bed {
	struct raw raw;
	struct sock *s;
	struct tcp_hdr last; /* of what the stack sent last */
};

static void write_tcp(struct bed *bed, uint32_t seq, uint32_t ack, uint8_t flags)
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

static struct sock *new_sock(struct bed *bed)
{
	WEFT_ASSERT(sock_new(bed->raw.stack, false, &bed->s) == 0);
	return bed->s;
}

/* Begins a connect, and reads the SYN into 'syn'; its size. */
static size_t begin_connect(struct bed *bed, uint8_t *syn, size_t size)
{
	struct sock_addr to = rig_at("10.0.0.2", 7);
	struct ip_hdr ip;

	CU_ASSERT_EQUAL(sock_connect(bed->s, &to, true), -EINPROGRESS);
	size_t len = raw_read(&bed->raw, syn, size, 1000);

	CU_ASSERT_FATAL(len > 0 && ip_parse(syn, len, &ip) == DROP_NONE);
	CU_ASSERT_EQUAL(tcp_hdr_parse(syn + ip.hdr_len, ip.payload_len, &bed->last), DROP_NONE);
	return len;
}

/* The next connect tells how the last one ended, the one after that begins anew. */
static void end_connect(struct bed *bed)
{
	struct sock_addr to = rig_at("10.0.0.2", 7);

	CU_ASSERT_TRUE(sock_connect(bed->s, &to, true) < 0);
}

static bool is_connected(void *arg)
{
	return sock_ready(arg) & POLLOUT;
}

static void bed_open(struct bed *bed)
{
	struct rig_config config = rig_config_default();
	uint8_t syn[200];

	raw_open(&bed->raw, &config);
	CU_ASSERT_EQUAL(sock_setopt(new_sock(bed), SOCK_OPT_ZEROCOPY, 1), 0);
	CU_ASSERT_EQUAL(sock_setopt(bed->s, SOCK_OPT_NODELAY, 1), 0);
	begin_connect(bed, syn, sizeof(syn));
	write_tcp(bed, PEER_ISS, bed->last.seq + 1, TCP_SYN | TCP_ACK);
	CU_ASSERT_TRUE(rig_until(is_connected, bed->s, 5000));
}

static void bed_close(struct bed *bed)
{
	rig_drop(&bed->s);
	raw_close(&bed->raw);
}

static ssize_t send_ref(struct sock *s, const void *data, size_t size)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

	return sock_send(s, &iov, 1, MSG_ZEROCOPY | MSG_DONTWAIT);
}

struct outq {
	struct sock *s;
	int bytes;
};

static bool has_outq(void *arg)
{
	const struct outq *want = arg;
	int bytes = -1;

	return sock_query(want->s, SOCK_QUERY_OUTQ, &bytes) == 0 && bytes == want->bytes;
}

/* Until so many bytes are not acknowledged. */
static void await_outq(struct sock *s, int bytes)
{
	struct outq want = {s, bytes};

	CU_ASSERT_TRUE(rig_until(has_outq, &want, 5000));
}

static bool is_sent(void *s)
{
	int bytes = -1;

	return sock_query(s, SOCK_QUERY_UNSENT, &bytes) == 0 && bytes == 0;
}

/* So many bytes, once all are sent. */
static void ack(struct bed *bed, uint32_t iss, uint32_t bytes)
{
	CU_ASSERT_TRUE(rig_until(is_sent, bed->s, 5000));
	write_tcp(bed, PEER_ISS + 1, iss + 1 + bytes, TCP_ACK);
}

static bool is_error(void *s)
{
	return sock_ready(s) & POLLERR;
}

static void await_error(struct sock *s)
{
	CU_ASSERT_TRUE(rig_until(is_error, s, 5000));
}

/* Bytes are referred to until the last of them is acknowledged; calls in a row complete together. */
static void test_until_acknowledged(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	expect_none(bed.s);
	CU_ASSERT_EQUAL(bed.s->errs->pinned, 1);
	ack(&bed, iss, SIZE - 1);
	await_outq(bed.s, 1);
	expect_none(bed.s);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE); /* goes with the first */
	ack(&bed, iss, SIZE);
	await_outq(bed.s, SIZE);
	expect_none(bed.s);
	ack(&bed, iss, 2 * SIZE);
	await_error(bed.s);
	expect_done(bed.s, 0, 1, 0);
	expect_none(bed.s);
	CU_ASSERT_EQUAL(bed.s->errs->count, 0);
	bed_close(&bed);
}

/* Small parts are copied, and so complete at once; a copy beside a reference is told of both. */
static void test_small_parts_are_copied(void)
{
	static uint8_t data[SIZE];
	struct bed bed;
	struct iovec iov[2] = {{data, 10}, {data, ZEROCOPY_MIN}};

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	CU_ASSERT_EQUAL(send_ref(bed.s, data, ZEROCOPY_MIN - 1), ZEROCOPY_MIN - 1);
	expect_done(bed.s, 0, 0, SO_EE_CODE_ZEROCOPY_COPIED);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 1), 1);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 1), 1);
	expect_done(bed.s, 1, 2, SO_EE_CODE_ZEROCOPY_COPIED); /* one entry for both */
	CU_ASSERT_EQUAL(sock_send(bed.s, iov, 2, MSG_ZEROCOPY), ZEROCOPY_MIN + 10);
	CU_ASSERT_EQUAL(bed.s->errs->pinned, 1);
	expect_none(bed.s);
	ack(&bed, iss, 2 * ZEROCOPY_MIN + 11);
	await_error(bed.s);
	expect_done(bed.s, 3, 3, SO_EE_CODE_ZEROCOPY_COPIED);
	bed_close(&bed);
}

/* Without the option the flag means nothing; calls that send nothing have no number. */
static void test_numbers(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_ZEROCOPY, 0), 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	CU_ASSERT_FALSE(bed.s->has_errs);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_ZEROCOPY, 1), 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 0), 0);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	CU_ASSERT_EQUAL(sock_shutdown(bed.s, SHUT_WR), 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), -EPIPE);
	expect_none(bed.s);
	CU_ASSERT_EQUAL(bed.s->errs->next_send, 0);
	CU_ASSERT_EQUAL(bed.s->errs->count, 0);
	bed_close(&bed);
}

/* SOCK_ERRS_MAX calls, of which none may join its neighbour; one more is ENOBUFS and has no number. */
static void test_bound(void)
{
	static uint8_t data[SIZE];
	struct bed bed;
	uint32_t acked = 0;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	for (uint32_t i = 0; i < SOCK_ERRS_MAX; i++) {
		uint32_t size = i % 2 ? 1 : ZEROCOPY_MIN;

		CU_ASSERT_EQUAL(send_ref(bed.s, data, size), size);
		acked += size;
		ack(&bed, iss, acked);
		await_outq(bed.s, 0);
	}
	CU_ASSERT_EQUAL(bed.s->errs->count, SOCK_ERRS_MAX);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 1), -ENOBUFS);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	expect_done(bed.s, 0, 0, 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 1), 1); /* joins the last, which was copied */
	for (uint32_t i = 1; i < SOCK_ERRS_MAX - 1; i++)
		expect_done(bed.s, i, i, i % 2);
	expect_done(bed.s, SOCK_ERRS_MAX - 1, SOCK_ERRS_MAX, 1);
	bed_close(&bed);
}

/* The peer's RST, our abort: what was referred to is told of as ever. */
static void test_reset(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	write_tcp(&bed, PEER_ISS + 1, 0, TCP_RST);
	await_error(bed.s);
	CU_ASSERT_EQUAL(rig_recv(bed.s, data, 1, 0), -ECONNRESET);
	await_error(bed.s);
	expect_done(bed.s, 0, 0, 0);
	bed_close(&bed);
}

/* What is left at close is sent from a copy: the memory's new contents do not show. */
static void test_close_copies(void)
{
	static uint8_t data[SIZE], pkt[2048];
	struct bed bed;
	struct ip_hdr ip;
	struct tcp_hdr hdr;
	uint32_t next = 0;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	memset(data, 'a', SIZE);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	sock_get(bed.s);
	struct sock *s = bed.s;

	rig_drop(&bed.s);
	sock_lock(s);
	CU_ASSERT_EQUAL(s->errs->pinned, 0);
	CU_ASSERT_EQUAL(s->errs->count, 0); /* nobody asks a closed socket */
	CU_ASSERT_EQUAL(s->tcb.sndq.bytes, SIZE);
	sock_unlock(s);
	memset(data, 'b', SIZE);
	/* The first segments are out; after the timeout they come again. */
	for (int i = 0; i < 200 && next < SIZE; i++) {
		size_t size = raw_read(&bed.raw, pkt, sizeof(pkt), 2000);

		if (size == 0 || ip_parse(pkt, size, &ip) != DROP_NONE ||
		    tcp_hdr_parse(pkt + ip.hdr_len, ip.payload_len, &hdr) != DROP_NONE)
			break;
		size_t len = size - ip.hdr_len - hdr.hdr_len;

		CU_ASSERT_TRUE(tcp_csum_ok(pkt + ip.hdr_len, ip.payload_len, &ip.src, &ip.dst));
		for (size_t b = 0; b < len; b++)
			CU_ASSERT_EQUAL(pkt[size - 1 - b], 'a');
		if (len > 0 && hdr.seq == iss + 1 + next)
			next += (uint32_t)len;
		write_tcp(&bed, PEER_ISS + 1, iss + 1 + next, TCP_ACK);
	}
	CU_ASSERT_EQUAL(next, SIZE);
	sock_put(&s);
	raw_close(&bed.raw);
}

/* Without memory for that the connection is reset, and close returns. */
static void test_close_without_memory(void)
{
	static uint8_t data[SIZE];
	struct bed bed;
	struct tcp_hdr hdr = {0};

	bed_open(&bed);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	bufpool_fail_after(bed.raw.stack->pool, BUFPOOL_FAIL_ALL);
	sock_get(bed.s);
	struct sock *s = bed.s;

	rig_drop(&bed.s);
	bufpool_fail_after(bed.raw.stack->pool, 0);
	CU_ASSERT_EQUAL(s->errs->pinned, 0);
	sock_put(&s);
	for (int i = 0; i < 50 && !(hdr.flags & TCP_RST); i++)
		if (!raw_read_tcp(&bed.raw, &hdr, 1000))
			break;
	CU_ASSERT_TRUE(hdr.flags & TCP_RST);
	raw_close(&bed.raw);
}

/* Without memory for a reference the bytes are copied. */
static void test_no_memory_for_a_reference(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	bufpool_fail_after(bed.raw.stack->pool, 1);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	expect_done(bed.s, 0, 0, SO_EE_CODE_ZEROCOPY_COPIED);
	CU_ASSERT_EQUAL(bed.s->errs->pinned, 0);
	bed_close(&bed);
}

/* The stack's end waits for nobody and leaves nothing. */
static void test_stack_ends(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	struct sock *s = bed.s;

	sock_stop(s);
	CU_ASSERT_EQUAL(recv_err(s).rc, -ESHUTDOWN);
	bed_close(&bed);
}

/* ---- Through loss: bytes are sent again from where they lie. ---- */

enum { PIECE = 32768, PIECES = 8, TOTAL = 40 };

static void *read_all(void *arg)
{
	static uint8_t got[PIECE];
	uintptr_t wrong = 0;

	for (unsigned i = 0; i < TOTAL; i++) {
		if (rig_recv(arg, got, PIECE, MSG_WAITALL) != PIECE)
			return (void *)(wrong + 1);
		for (unsigned b = 0; b < PIECE; b++)
			wrong += got[b] != (uint8_t)(i + 1);
	}
	return (void *)wrong;
}

/* A piece's memory is written anew as soon as it is told to be free: too soon would show. */
static void test_loss(void)
{
	static uint8_t piece[PIECES][PIECE];
	struct rig_config config = rig_config_default();
	struct weft_fault fault = {.seed = 7, .loss_ppm = 20000};
	struct sock *client, *server;
	uint32_t done = 0;
	pthread_t reader;
	void *wrong = NULL;
	struct rig rig;

	config.fault = &fault;
	config.stack.tcp.rto_min = 10 * US_PER_MS;
	rig_open(&rig, &config);
	rig_pair(&rig, &client, &server);
	CU_ASSERT_EQUAL(sock_setopt(client, SOCK_OPT_ZEROCOPY, 1), 0);
	CU_ASSERT_FATAL(thread_start(&reader, "read", read_all, server) == 0);
	for (uint32_t i = 0; i < TOTAL; i++) {
		while (i - done == PIECES) {
			struct told t;

			await_error(client);
			t = recv_err(client);
			CU_ASSERT_EQUAL_FATAL(t.rc, 0);
			CU_ASSERT_EQUAL(t.ee.ee_info, done);
			CU_ASSERT_EQUAL(t.ee.ee_code, 0);
			done = t.ee.ee_data + 1;
		}
		memset(piece[i % PIECES], (int)(i + 1), PIECE);
		struct iovec iov = {piece[i % PIECES], PIECE};

		CU_ASSERT_EQUAL(sock_send(client, &iov, 1, MSG_ZEROCOPY), PIECE);
	}
	CU_ASSERT_EQUAL(pthread_join(reader, &wrong), 0);
	CU_ASSERT_EQUAL((uintptr_t)wrong, 0);
	rig_drop(&client);
	rig_drop(&server);
	rig_close(&rig);
}

/* ---- ICMP errors. ---- */

/* An ICMP error of IPv4 that quotes 'pkt'. */
static void write_icmp(struct bed *bed, enum icmp_kind kind, uint8_t code, const uint8_t *pkt,
		       size_t size)
{
	const struct icmp_msg msg = {.kind = kind, .code = code, .body = pkt, .body_len = size};
	struct addr src = rig_addr("10.0.0.9"), dst = rig_addr("10.0.0.1");
	uint8_t icmp[256];

	raw_ip(&bed->raw, "10.0.0.9", "10.0.0.1", IP_PROTO_ICMP, icmp,
	       icmp_emit(icmp, &msg, &src, &dst));
}

/* Whoever asked is told of every error, and what the packet was; others of lasting ones. */
static void test_refused_connect(void)
{
	struct rig_config config = rig_config_default();
	uint8_t syn[200];
	struct bed bed;

	raw_open(&bed.raw, &config);
	CU_ASSERT_EQUAL(sock_setopt(new_sock(&bed), SOCK_OPT_RECVERR, 1), 0);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_RECVERR), 1);
	size_t size = begin_connect(&bed, syn, sizeof(syn));

	write_icmp(&bed, ICMP_TIME_EXCEEDED, 0, syn, size);
	await_error(bed.s);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), EHOSTUNREACH);
	struct told t = recv_err(bed.s);

	CU_ASSERT_EQUAL(t.rc, (ssize_t)size - 20);
	CU_ASSERT_EQUAL(memcmp(t.bytes, syn + 20, (size_t)t.rc), 0);
	CU_ASSERT_EQUAL(t.ee.ee_errno, EHOSTUNREACH);
	CU_ASSERT_EQUAL(t.ee.ee_origin, SO_EE_ORIGIN_ICMP);
	CU_ASSERT_EQUAL(t.ee.ee_type, 11);
	CU_ASSERT_EQUAL(t.from.sin_family, AF_INET);
	CU_ASSERT_EQUAL(ntohl(t.from.sin_addr.s_addr), 0x0a000009);
	expect_none(bed.s);
	end_connect(&bed);
	/* Off: what waits goes, and a soft error ends nothing. */
	begin_connect(&bed, syn, sizeof(syn));
	write_icmp(&bed, ICMP_UNREACH, ICMP4_UNREACH_PORT, syn, size);
	await_error(bed.s);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), ECONNREFUSED);
	CU_ASSERT_TRUE(sock_ready(bed.s) & POLLERR);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 0), 0);
	expect_none(bed.s);
	end_connect(&bed);
	begin_connect(&bed, syn, sizeof(syn));
	write_icmp(&bed, ICMP_TIME_EXCEEDED, 0, syn, size);
	write_icmp(&bed, ICMP_UNREACH, ICMP4_UNREACH_PORT, syn, size);
	await_error(bed.s);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), ECONNREFUSED);
	expect_none(bed.s);
	bed_close(&bed);
}

/* A connection hears at once, goes on, and queues nothing; the pending error follows the queue. */
static void test_error_of_a_connection(void)
{
	static uint8_t data[1], pkt[200];
	struct bed bed;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 1), 0);
	CU_ASSERT_EQUAL(raw_read(&bed.raw, pkt, sizeof(pkt), 1000), 40); /* the handshake's ACK */
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	size_t size = raw_read(&bed.raw, pkt, sizeof(pkt), 1000);

	CU_ASSERT_EQUAL(size, 41);
	write_icmp(&bed, ICMP_UNREACH, ICMP4_UNREACH_HOST, pkt, size);
	await_error(bed.s);
	CU_ASSERT_EQUAL(rig_recv(bed.s, data, 1, 0), -EHOSTUNREACH);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), 0);
	expect_none(bed.s);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	ack(&bed, iss, 2);
	await_outq(bed.s, 0);
	bed_close(&bed);
}

/* SOCK_ERRS_MAX errors wait at most; the one behind them still ends its connect. */
static void test_errors_are_bounded(void)
{
	struct rig_config config = rig_config_default();
	uint8_t syn[200];
	struct bed bed;
	unsigned count = 0;

	raw_open(&bed.raw, &config);
	CU_ASSERT_EQUAL(sock_setopt(new_sock(&bed), SOCK_OPT_RECVERR, 1), 0);
	for (int i = 0; i <= SOCK_ERRS_MAX; i++) {
		size_t size = begin_connect(&bed, syn, sizeof(syn));

		write_icmp(&bed, ICMP_UNREACH, ICMP4_UNREACH_PORT, syn, size);
		int64_t error = 0;

		while (error == 0)
			CU_ASSERT_EQUAL(sock_getopt(bed.s, SOCK_OPT_ERROR, &error), 0);
		CU_ASSERT_EQUAL(error, ECONNREFUSED);
		end_connect(&bed);
	}
	CU_ASSERT_EQUAL(bed.s->errs->count, SOCK_ERRS_MAX);
	while (recv_err(bed.s).rc >= 0)
		count++;
	CU_ASSERT_EQUAL(count, SOCK_ERRS_MAX);
	bed_close(&bed);
}

UNIT_MAIN("zerocopy", UNIT(until_acknowledged), UNIT(small_parts_are_copied), UNIT(numbers),
	  UNIT(bound), UNIT(reset), UNIT(close_copies), UNIT(close_without_memory),
	  UNIT(no_memory_for_a_reference), UNIT(stack_ends), UNIT(loss), UNIT(refused_connect),
	  UNIT(error_of_a_connection), UNIT(errors_are_bounded))
