/*
 * Batches: what the stack does once for many packets.  The test is the peer and writes packets that are
 * there together when the RX thread looks.
 */
#include "net/stack/stack_int.h"
#include "raw.h"

enum { BATCH = 16, SIZE = 1460, PORT = 80, PEER_PORT = 1234 };

/* A connection of the test's own making; its next sequence numbers. */
struct peer {
	struct raw raw;
	struct sock *listener, *sock;
	uint32_t seq, ack;
};

/* Builds a segment with 'len' bytes of payload in 'pkt'; its size. */
static size_t build(const struct peer *p, uint8_t *pkt, uint32_t seq, uint8_t flags, size_t len)
{
	const struct tcp_hdr hdr = {
		.src_port = PEER_PORT,
		.dst_port = PORT,
		.seq = seq,
		.ack = p->ack,
		.flags = flags,
		.wnd = 65535,
		.opt = {.has_mss = (flags & TCP_SYN) != 0, .mss = SIZE},
	};
	struct ip_hdr ip = {.src = rig_addr("10.0.0.2"),
			    .dst = rig_addr("10.0.0.1"),
			    .proto = IP_PROTO_TCP,
			    .ttl = 64};
	uint8_t *tcp = pkt + IP4_HDR_SIZE;
	size_t hdr_len = tcp_hdr_emit(tcp, &hdr);
	uint32_t size = (uint32_t)(hdr_len + len);

	memset(tcp + hdr_len, 'x', len);
	uint64_t sum = csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, size);
	uint16_t csum = csum_finish(csum_add(sum, tcp, size));

	tcp[16] = (uint8_t)(csum >> 8);
	tcp[17] = (uint8_t)csum;
	ip.payload_len = (uint16_t)size;
	CU_ASSERT_EQUAL(ip_emit(pkt, &ip), IP4_HDR_SIZE);
	return IP4_HDR_SIZE + size;
}

static void send_one(struct peer *p, uint8_t flags, size_t len)
{
	static uint8_t pkt[2048];

	raw_write(&p->raw, pkt, build(p, pkt, p->seq, flags, len));
	p->seq += (uint32_t)len;
}

static void peer_open(struct peer *p)
{
	struct rig_config config = rig_config_default();
	struct tcp_hdr got;

	*p = (struct peer){.seq = 1000};
	config.stack.tcp.delack = 200 * US_PER_MS;
	raw_open(&p->raw, &config);
	p->listener = rig_listen(p->raw.stack, "10.0.0.1", PORT, 4);
	send_one(p, TCP_SYN, 0);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&p->raw, &got, 5000));
	p->seq++;
	p->ack = got.seq + 1;
	send_one(p, TCP_ACK, 0);
	CU_ASSERT_EQUAL_FATAL(sock_accept(p->listener, false, &p->sock), 0);
}

static void peer_close(struct peer *p)
{
	CU_ASSERT_EQUAL(sock_setopt(p->sock, SOCK_OPT_LINGER, 0), 0);
	rig_drop(&p->sock);
	rig_drop(&p->listener);
	raw_close(&p->raw);
}

/* Writes BATCH full segments at once. */
static void send_batch(struct peer *p)
{
	static uint8_t pkts[BATCH][2048];
	struct iovec parts[BATCH];

	for (int i = 0; i < BATCH; i++) {
		parts[i].iov_base = pkts[i];
		parts[i].iov_len = build(p, pkts[i], p->seq, TCP_ACK, SIZE);
		p->seq += SIZE;
	}
	raw_write_batch(&p->raw, parts, BATCH);
}

/*
 * RFC 9293 MUST-58, MUST-59: many full segments that came together get one ACK, of all of them.  Nobody
 * reads meanwhile: that would be a reason for another.
 */
static void test_one_ack_for_a_batch(void)
{
	static char data[2 * BATCH * SIZE];
	struct tcp_hdr got;
	struct peer p;

	for (int round = 0; round < 20; round++) {
		peer_open(&p);
		for (int i = 0; i < 2; i++) {
			send_batch(&p);
			CU_ASSERT_TRUE_FATAL(raw_read_tcp(&p.raw, &got, 5000));
			CU_ASSERT_EQUAL(got.ack, p.seq);
			CU_ASSERT_EQUAL(got.flags, TCP_ACK);
			CU_ASSERT_FALSE(raw_read_tcp(&p.raw, &got, 5));
		}
		CU_ASSERT_EQUAL(rig_recv(p.sock, data, sizeof(data), MSG_WAITALL), sizeof(data));
		peer_close(&p);
	}
}

/* The same segments one by one, each answered before the next: every second one has an ACK. */
static void test_an_ack_for_two_alone(void)
{
	struct tcp_hdr got;
	struct peer p;

	peer_open(&p);
	for (int i = 0; i < BATCH / 2; i++) {
		send_one(&p, TCP_ACK, SIZE);
		send_one(&p, TCP_ACK, SIZE);
		CU_ASSERT_TRUE_FATAL(raw_read_tcp(&p.raw, &got, 5000));
		CU_ASSERT_EQUAL(got.ack, p.seq);
	}
	peer_close(&p);
}

/*
 * Frames that the core keeps get successors, all of a batch at once, and none is left over; without memory
 * for them the first payload is copied and the rest asks again.
 */
static void test_memory_of_a_batch(void)
{
	static char data[2 * BATCH * SIZE];
	struct tcp_hdr got;
	struct peer p;

	peer_open(&p);
	for (unsigned i = 1; i <= 2; i++) {
		send_batch(&p);
		CU_ASSERT_TRUE_FATAL(raw_read_tcp(&p.raw, &got, 5000));
		CU_ASSERT_EQUAL(got.ack, p.seq);
		CU_ASSERT_EQUAL(rig_stats(p.raw.stack)->bufs, i * BATCH);
		CU_ASSERT_EQUAL(rig_stats(p.raw.stack)->buf_bytes, i * BATCH * 2048);
		bufpool_fail_after(p.raw.stack->pool, 1);
	}
	bufpool_fail_after(p.raw.stack->pool, 0);
	CU_ASSERT_EQUAL(rig_stats(p.raw.stack)->drops[DROP_NO_BUF], 0);
	CU_ASSERT_EQUAL(rig_recv(p.sock, data, sizeof(data), MSG_WAITALL), sizeof(data));
	CU_ASSERT_EQUAL(rig_stats(p.raw.stack)->bufs, 0);
	CU_ASSERT_EQUAL(rig_stats(p.raw.stack)->buf_bytes, 0);
	peer_close(&p);
}

UNIT_MAIN("batch", UNIT(one_ack_for_a_batch), UNIT(an_ack_for_two_alone), UNIT(memory_of_a_batch))
