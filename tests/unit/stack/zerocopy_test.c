/*
 * Sends by reference against a peer of the test's own, which acknowledges when it likes, and through loss.
 */
#include "net/stack/zerocopy.h"

#include "errq.h"

enum { SIZE = 8000 };

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

static ssize_t send_ref(struct sock *s, const void *data, size_t size)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

	return sock_send(s, &iov, 1, MSG_ZEROCOPY | MSG_DONTWAIT);
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
	CU_ASSERT_EQUAL(numbers_of(bed.s).pinned, 1);
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
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, 0);
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
	CU_ASSERT_EQUAL(numbers_of(bed.s).pinned, 1);
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
	CU_ASSERT_FALSE(numbers_of(bed.s).has_errs);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_ZEROCOPY, 1), 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 0), 0);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 1), 1);
	CU_ASSERT_EQUAL(sock_shutdown(bed.s, SHUT_WR), 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), -EPIPE);
	expect_none(bed.s);
	CU_ASSERT_EQUAL(numbers_of(bed.s).next_send, 0);
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, 0);
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
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, SOCK_ERRS_MAX);
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
	enum { MUCH = 60000 }; /* more than leaves before an ACK */

	static uint8_t data[MUCH], pkt[2048];
	struct bed bed;
	struct ip_hdr ip;
	struct tcp_hdr hdr;
	uint32_t next = 0;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	memset(data, 'a', MUCH);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, MUCH), MUCH);
	sock_get(bed.s);
	struct sock *s = bed.s;

	rig_drop(&bed.s);
	CU_ASSERT_EQUAL(numbers_of(s).pinned, 0);
	CU_ASSERT_EQUAL(numbers_of(s).count, 0); /* nobody asks a closed socket */
	CU_ASSERT_EQUAL(numbers_of(s).queued, MUCH);
	memset(data, 'b', MUCH);
	for (int i = 0; i < 200 && next < MUCH; i++) {
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
	CU_ASSERT_EQUAL(next, MUCH);
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
	CU_ASSERT_EQUAL(numbers_of(s).pinned, 0);
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
	CU_ASSERT_EQUAL(numbers_of(bed.s).pinned, 0);
	bed_close(&bed);
}

/* What a fast open sends is copied, as a whole; what follows is not. */
static void test_fast_open_is_copied(void)
{
	static uint8_t data[SIZE];
	struct rig_config config = rig_config_default();
	struct sock_addr at = rig_at("10.0.0.2", 80);
	struct iovec iov = {data, SIZE};
	struct sock *s;
	struct rig rig;

	config.stack.fastopen = WEFT_FASTOPEN_CLIENT | WEFT_FASTOPEN_SERVER;
	rig_open(&rig, &config);
	struct sock *l = rig_listen(rig.b, "10.0.0.2", 80, 8);

	for (unsigned i = 0; i < 2; i++) { /* without a cookie, and with one */
		CU_ASSERT_EQUAL(sock_setopt(l, SOCK_OPT_FASTOPEN, 4), 0);
		WEFT_ASSERT(sock_new(rig.a, false, &s) == 0);
		CU_ASSERT_EQUAL(sock_setopt(s, SOCK_OPT_ZEROCOPY, 1), 0);
		CU_ASSERT_EQUAL(sock_send_fast(s, &at, &iov, 1, MSG_ZEROCOPY), SIZE);
		expect_done(s, 0, 0, SO_EE_CODE_ZEROCOPY_COPIED);
		CU_ASSERT_EQUAL(send_ref(s, data, SIZE), SIZE);
		await_error(s);
		expect_done(s, 1, 1, 0);
		rig_drop(&s);
	}
	rig_drop(&l);
	rig_close(&rig);
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

/* Completions join only what went before them: not a copied call between, not another's number. */
static void test_order_of_completions(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, 1), 1); /* joins the one before while that is out */
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, 1);
	ack(&bed, iss, SIZE + 1);
	await_error(bed.s);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	sock_lock(bed.s);
	bed.s->errs->next_send++; /* as if one more call had had a number, and no room to say so */
	sock_unlock(bed.s);
	ack(&bed, iss, 2 * SIZE + 1);
	await_outq(bed.s, 0);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	ack(&bed, iss, 3 * SIZE + 1);
	await_outq(bed.s, 0);
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, 3);
	expect_done(bed.s, 0, 1, SO_EE_CODE_ZEROCOPY_COPIED);
	expect_done(bed.s, 2, 2, 0);
	expect_done(bed.s, 4, 4, 0);
	bed_close(&bed);
}

/* Calls complete together up to half a megabyte: who writes for ever hears now and then. */
static void test_join_is_bounded(void)
{
	enum { MUCH = 1 << 17 };

	static uint8_t data[MUCH];
	struct bed bed;
	uint32_t sent = 0;

	bed_open(&bed);
	CU_ASSERT_EQUAL(sock_setopt(bed.s, SOCK_OPT_SNDBUF, 1 << 20), 0);
	while (sent < ZEROCOPY_JOIN_MAX) {
		CU_ASSERT_EQUAL_FATAL(numbers_of(bed.s).count, sent > 0);
		CU_ASSERT_EQUAL_FATAL(send_ref(bed.s, data, MUCH), MUCH);
		sent += MUCH;
	}
	CU_ASSERT_EQUAL(numbers_of(bed.s).count, 2);
	bed_close(&bed);
}

/* Settled before its time, as a cancelled call is: it was copied, and what was copied before is left alone. */
static void test_settled_is_copied(void)
{
	static uint8_t data[SIZE];
	struct bed bed;

	bed_open(&bed);
	uint32_t iss = bed.last.seq;

	CU_ASSERT_EQUAL(rig_send(bed.s, data, 100), 100);
	CU_ASSERT_EQUAL(send_ref(bed.s, data, SIZE), SIZE);
	CU_ASSERT_EQUAL(rig_send(bed.s, data, 100), 100);
	zerocopy_settle(bed.s);
	CU_ASSERT_EQUAL(numbers_of(bed.s).pinned, 0);
	CU_ASSERT_EQUAL(numbers_of(bed.s).queued, SIZE + 200);
	expect_done(bed.s, 0, 0, SO_EE_CODE_ZEROCOPY_COPIED);
	ack(&bed, iss, SIZE + 200);
	await_outq(bed.s, 0);
	expect_none(bed.s);
	bed_close(&bed);
}

/* A full queue: what a fast open sent has its number all the same. */
static void test_number_without_room(void)
{
	struct bed bed;

	bed_open(&bed);
	zerocopy_note(bed.s, 10);
	CU_ASSERT_EQUAL(numbers_of(bed.s).next_send, 1);
	sock_lock(bed.s);
	bed.s->errs->count += SOCK_ERRS_MAX - 1;
	sock_unlock(bed.s);
	zerocopy_note(bed.s, 10);
	CU_ASSERT_EQUAL(numbers_of(bed.s).next_send, 2);
	sock_lock(bed.s);
	bed.s->errs->count -= SOCK_ERRS_MAX - 1;
	sock_unlock(bed.s);
	expect_done(bed.s, 0, 0, SO_EE_CODE_ZEROCOPY_COPIED);
	expect_none(bed.s);
	bed_close(&bed);
}

UNIT_MAIN("zerocopy", UNIT(until_acknowledged), UNIT(small_parts_are_copied), UNIT(numbers),
	  UNIT(bound), UNIT(reset), UNIT(close_copies), UNIT(close_without_memory),
	  UNIT(no_memory_for_a_reference), UNIT(fast_open_is_copied), UNIT(stack_ends), UNIT(loss),
	  UNIT(order_of_completions), UNIT(join_is_bounded), UNIT(settled_is_copied),
	  UNIT(number_without_room))
