/* The error queue of a stream: connects that ICMP errors end, and connections that hear of them. */
#include "net/stack/sock_err.h"
#include "net/stack/zerocopy.h"

#include "errq.h"

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

static bool is_at_r1_again(void *stack)
{
	return rig_stats(stack)->counters[C_TCP_R1] == 2;
}

/* R1: a segment that was sent again three times is told to who asked, beside the stream, which goes on. */
static void test_nothing_is_acknowledged(void)
{
	static uint8_t data[1];
	struct rig_config config = rig_config_default();
	struct bed bed;

	config.stack.tcp.rto_min = 10 * US_PER_MS;
	bed_open_with(&bed, &config);
	uint32_t iss = bed.last.seq;

	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 1), 0);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	await_error(bed.s);
	CU_ASSERT_EQUAL(rig_stats(bed.raw.stack)->counters[C_TCP_R1], 1);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), 0);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	struct told t = recv_err(bed.s);

	CU_ASSERT_EQUAL(t.rc, 0);
	CU_ASSERT_EQUAL(t.ee.ee_errno, ETIMEDOUT);
	CU_ASSERT_EQUAL(t.ee.ee_origin, SO_EE_ORIGIN_LOCAL);
	CU_ASSERT_EQUAL(t.from.sin_family, AF_UNSPEC);
	expect_none(bed.s);
	write_tcp(&bed, PEER_ISS + 1, iss + 2, TCP_ACK);
	ack(&bed, iss, 2);
	await_outq(bed.s, 0);
	/* Nobody asks, or not any more. */
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 0), 0);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	CU_ASSERT_TRUE(rig_until(is_at_r1_again, bed.raw.stack, 5000));
	expect_none(bed.s);
	bed_close(&bed);
}

/* SOCK_ERRS_MAX errors wait at most; the one behind them is counted, and still ends its connect. */
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
	CU_ASSERT_TRUE(raw_dropped(&bed.raw, DROP_ERR_QUEUE, 1));
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, SOCK_ERRS_MAX);
	while (recv_err(bed.s).rc >= 0)
		count++;
	CU_ASSERT_EQUAL(count, SOCK_ERRS_MAX);
	bed_close(&bed);
}

/* Two attempts failed: the pending error is that of the queue's next, and none behind the last. */
static void test_pending_error_follows_the_queue(void)
{
	struct rig_config config = rig_config_default();
	uint8_t syn[200];
	struct bed bed;

	raw_open(&bed.raw, &config);
	CU_ASSERT_EQUAL(sock_setopt(new_sock(&bed), SOCK_OPT_RECVERR, 1), 0);
	for (unsigned i = 0; i < 2; i++) {
		size_t size = begin_connect(&bed, syn, sizeof(syn));
		int64_t error = 0;

		write_icmp(&bed, ICMP_UNREACH, i == 0 ? ICMP4_UNREACH_PORT : ICMP4_UNREACH_HOST,
			   syn, size);
		while (error == 0)
			CU_ASSERT_EQUAL(sock_getopt(bed.s, SOCK_OPT_ERROR, &error), 0);
		end_connect(&bed);
	}
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, 2);
	CU_ASSERT_EQUAL(recv_err(bed.s).ee.ee_errno, ECONNREFUSED);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), EHOSTUNREACH);
	sock_lock(bed.s);
	bed.s->so_error = ECONNREFUSED;
	sock_unlock(bed.s);
	CU_ASSERT_EQUAL(recv_err(bed.s).ee.ee_errno, EHOSTUNREACH);
	CU_ASSERT_EQUAL(rig_opt(bed.s, SOCK_OPT_ERROR), 0);
	expect_none(bed.s);
	bed_close(&bed);
}

/* What is read has the bytes that there is room for, where the packet went, and says when something is missing. */
static void test_what_is_read(void)
{
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct rig_config config = rig_config_default();
	struct sock_addr name = {0};
	uint8_t syn[200], bytes[8];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct sock_msg msg = {.iov = &iov,
			       .count = 1,
			       .flags = MSG_ERRQUEUE,
			       .name = &name,
			       .control = control,
			       .control_len = sizeof(control)};
	struct bed bed;

	raw_open(&bed.raw, &config);
	CU_ASSERT_EQUAL(sock_setopt(new_sock(&bed), SOCK_OPT_RECVERR, 1), 0);
	size_t size = begin_connect(&bed, syn, sizeof(syn));

	write_icmp(&bed, ICMP_UNREACH, ICMP4_UNREACH_PORT, syn, size);
	await_error(bed.s);
	CU_ASSERT_EQUAL(proto_tcp.recv(&bed.s->conn, &msg), sizeof(bytes));
	CU_ASSERT_EQUAL(msg.flags_out, MSG_ERRQUEUE | MSG_TRUNC);
	CU_ASSERT_TRUE(msg.has_name && name.port == 7);
	CU_ASSERT_TRUE(msg.control_len > 0);
	/* Nothing: no control message, either. */
	msg.control_len = sizeof(control);
	CU_ASSERT_EQUAL(proto_tcp.recv(&bed.s->conn, &msg), -EAGAIN);
	CU_ASSERT_EQUAL(msg.control_len, 0);
	bed_close(&bed);
	/* A completion is about no packet: it has no name, and stays when errors are purged. */
	bed_open(&bed);
	zerocopy_note(bed.s, 10);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 1), 0);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 0), 0);
	msg = (struct sock_msg){.iov = &iov,
				.count = 1,
				.flags = MSG_ERRQUEUE,
				.name = &name,
				.control = control,
				.control_len = sizeof(control)};
	CU_ASSERT_EQUAL(proto_tcp.recv(&bed.s->conn, &msg), 0);
	CU_ASSERT_EQUAL(msg.flags_out, MSG_ERRQUEUE);
	CU_ASSERT_FALSE(msg.has_name);
	bed_close(&bed);
}

static bool is_at_r1(void *stack)
{
	return rig_stats(stack)->counters[C_TCP_R1] == 1;
}

/* R1 is a soft error: not for who wants none.  And a completion behind it is an entry of its own. */
static void test_r1_and_others(void)
{
	static uint8_t data[ZEROCOPY_MIN];
	struct iovec iov = {data, sizeof(data)};

	for (unsigned soft = 0; soft < 2; soft++) {
		struct rig_config config = rig_config_default();
		struct bed bed;

		config.stack.tcp.rto_min = 10 * US_PER_MS;
		config.stack.no_soft_errors = !soft;
		bed_open_with(&bed, &config);
		uint32_t iss = bed.last.seq;

		CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_RECVERR, 1), 0);
		zerocopy_note(bed.s, 10); /* number 0 */
		CU_ASSERT_EQUAL(recv_err(bed.s).rc, 0);
		CU_ASSERT_EQUAL(sock_send(bed.s, &iov, 1, MSG_ZEROCOPY), sizeof(data));
		CU_ASSERT_TRUE(rig_until(is_at_r1, bed.raw.stack, 5000));
		write_tcp(&bed, PEER_ISS + 1, iss + 1 + ZEROCOPY_MIN, TCP_ACK);
		await_outq(bed.s, 0);
		await_error(bed.s);
		if (soft)
			CU_ASSERT_EQUAL(recv_err(bed.s).ee.ee_errno, ETIMEDOUT);
		struct told t = recv_err(bed.s);

		CU_ASSERT_EQUAL(t.ee.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
		CU_ASSERT_TRUE(t.ee.ee_info == 1 && t.ee.ee_data == 1);
		expect_none(bed.s);
		bed_close(&bed);
	}
}

UNIT_MAIN("sock_err", UNIT(refused_connect), UNIT(error_of_a_connection), UNIT(errors_are_bounded),
	  UNIT(nothing_is_acknowledged), UNIT(pending_error_follows_the_queue), UNIT(what_is_read),
	  UNIT(r1_and_others))
