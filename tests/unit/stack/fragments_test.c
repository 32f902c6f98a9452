/*
 * Fragments and extension headers on a stack: echo in pieces both ways, what is refused and how it is
 * told, and datagrams whose time is over, on a clock that the test moves.
 */
#include "net/base/bytes.h"
#include "net/ip/frag.h"
#include "net/stack/stack_int.h"
#include "raw.h"

enum { HBH = 0, ROUTING = 43, FRAGMENT = 44, DEST = 60, PIECE = 1232 };

static _Atomic weft_time_us ahead; /* of the real clock */

static int64_t moved_now(void *ctx)
{
	(void)ctx;
	return clock_monotonic_us() + ahead;
}

static int moved_wait(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	weft_time_us t = time_max(deadline - ahead, 0);
	const struct timespec ts = {.tv_sec = t / US_PER_S, .tv_nsec = t % US_PER_S * 1000};

	(void)ctx;
	if (deadline == INT64_MAX)
		return pthread_cond_wait(cond, mutex);
	return pthread_cond_timedwait(cond, mutex, &ts);
}

static struct raw raw;
static uint8_t pkt[70000], message[66000];

static void begin(uint32_t mtu)
{
	struct rig_config config = rig_config_default();

	config.mtu = mtu;
	config.stack.plain_threads = true; /* the TX thread serves everything, deadlines among it */
	config.stack.clock = (struct weft_clock){.now = moved_now, .wait = moved_wait};
	raw_open(&raw, &config);
}

/* Writes bytes [offset, end) of 'message' as a fragment, IPv4 or IPv6. */
static void write_fragment(bool is_v4, uint8_t proto, uint32_t id, unsigned offset, unsigned end,
			   bool more)
{
	struct ip_hdr ip = {
		.src = rig_addr(is_v4 ? "10.0.0.2" : "fd00::2"),
		.dst = rig_addr(is_v4 ? "10.0.0.1" : "fd00::1"),
		.payload_len = (uint16_t)(end - offset + (is_v4 ? 0 : 8)),
		.id = (uint16_t)id,
		.frag = (uint16_t)(offset / 8 | (more ? IP4_MORE_FRAGMENTS : 0)),
		.proto = is_v4 ? proto : FRAGMENT,
		.ttl = 64,
		.may_frag = true,
	};
	static uint8_t out[2048];
	size_t at = ip_emit(out, &ip);

	if (!is_v4) {
		out[at] = proto;
		out[at + 1] = 0;
		put_be16(out + at + 2, (uint16_t)(offset | more));
		put_be32(out + at + 4, id);
		at += 8;
	}
	memcpy(out + at, message + offset, end - offset);
	raw_write(&raw, out, at + end - offset);
}

/* An echo request of 'size' bytes in 'message'. */
static void make_echo(bool is_v4, size_t size)
{
	static uint8_t body[66000];
	struct addr src = rig_addr(is_v4 ? "10.0.0.2" : "fd00::2");
	struct addr dst = rig_addr(is_v4 ? "10.0.0.1" : "fd00::1");
	const struct icmp_msg msg = {
		.kind = ICMP_ECHO_REQUEST, .id = 7, .seq = 8, .body = body, .body_len = size - 8};

	for (size_t i = 0; i < size; i++)
		body[i] = (uint8_t)(i * 13 + (i >> 8));
	icmp_emit(message, &msg, &src, &dst);
}

/* Reads an echo reply in as many fragments as it comes; how many, 0: something was wrong. */
static unsigned read_echo(bool is_v4, size_t size, uint32_t mtu)
{
	static uint8_t got[66000];
	size_t have = 0;
	unsigned count = 0;
	uint32_t id = 0;

	while (have < size) {
		struct ip_hdr ip;
		size_t len = raw_read(&raw, pkt, sizeof(pkt), 1000);

		if (len == 0 || len > mtu || ip_parse_any(pkt, len, &ip) != DROP_NONE)
			return 0;
		const uint8_t *data = pkt + ip.hdr_len;
		size_t data_len = ip.payload_len;
		size_t offset = (size_t)(ip.frag & IP4_OFFSET_MASK) * 8;
		bool more = ip.frag & IP4_MORE_FRAGMENTS;
		uint32_t this_id = ip.id;

		if (!is_v4 && ip.proto == FRAGMENT) {
			offset = get_be16(data + 2) & 0xfff8;
			more = data[3] & 1;
			this_id = get_be32(data + 4);
			data += 8;
			data_len -= 8;
		}
		if (offset != have || more != (have + data_len < size) ||
		    (count > 0 && this_id != id) || (more && data_len % 8 != 0))
			return 0;
		id = this_id;
		memcpy(got + have, data, data_len);
		have += data_len;
		count++;
	}
	return have == size && memcmp(got + 8, message + 8, size - 8) == 0 ? count : 0;
}

static void echo(bool is_v4, size_t size, bool is_reverse, unsigned replies)
{
	unsigned count = (unsigned)((size + PIECE - 1) / PIECE);

	make_echo(is_v4, size);
	for (unsigned i = 0; i < count; i++) {
		unsigned n = is_reverse ? count - 1 - i : i;
		unsigned end = n + 1 == count ? (unsigned)size : (n + 1) * PIECE;

		write_fragment(is_v4, is_v4 ? IP_PROTO_ICMP : IP_PROTO_ICMP6, (uint32_t)size,
			       n * PIECE, end, n + 1 < count);
	}
	CU_ASSERT_EQUAL(read_echo(is_v4, size, 1500), replies);
}

static bool no_bufs(void *stack)
{
	return rig_stats(stack)->buf_bytes == 0;
}

static void test_echo_in_fragments(void)
{
	begin(1500);
	for (int v = 0; v < 2; v++) {
		echo(v == 0, 1480, v == 1, v == 0 ? 1 : 2);
		echo(v == 0, 1500, v == 0, 2);
		echo(v == 0, 3008, v == 1, 3);
	}
	echo(true, 65515, false, 45); /* the largest there is */
	echo(true, 65515, true, 45);
	echo(false, 65535, true, 46);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_IP_REASSEMBLED], 9);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->counters[C_IP_FRAGMENTED], 8);
	/* The last one's buffers come back behind the write that was just read. */
	CU_ASSERT_TRUE(rig_until(no_bufs, raw.stack, 20000));
	raw_close(&raw);
}

/* A TCP segment in pieces reaches its listener; a spoiled one is found by its checksum. */
static void test_tcp_in_fragments(void)
{
	const struct tcp_hdr syn = {.src_port = 1234,
				    .dst_port = 7,
				    .seq = 5,
				    .flags = TCP_SYN,
				    .opt = {.has_mss = true, .mss = 1000}};
	struct addr src = rig_addr("fd00::2"), dst = rig_addr("fd00::1");
	struct tcp_hdr got;

	begin(1500);
	struct sock *l = rig_listen(raw.stack, "fd00::1", 7, 16);
	size_t len = tcp_hdr_emit(message, &syn);

	memset(message + len, 'x', 100); /* data on the SYN; it makes two fragments */
	len += 100;
	uint16_t csum = csum_finish(
		csum_add(csum_pseudo(&src, &dst, IP_PROTO_TCP, (uint32_t)len), message, len));

	put_be16(message + 16, csum ^ 1);
	write_fragment(false, IP_PROTO_TCP, 1, 64, (unsigned)len, false);
	write_fragment(false, IP_PROTO_TCP, 1, 0, 64, true);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_CSUM, 1));
	put_be16(message + 16, csum);
	write_fragment(false, IP_PROTO_TCP, 2, 64, (unsigned)len, false);
	write_fragment(false, IP_PROTO_TCP, 2, 0, 64, true);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(got.ack, 6);
	rig_drop(&l);
	raw_close(&raw);
}

/* The next packet is an ICMP message. */
static bool read_error(struct icmp_msg *msg)
{
	struct ip_hdr ip;
	size_t len = raw_read(&raw, pkt, sizeof(pkt), 1000);

	return len > 0 && ip_parse(pkt, len, &ip) == DROP_NONE &&
	       icmp_parse(pkt + ip.hdr_len, ip.payload_len, &ip, msg) == DROP_NONE;
}

static void test_refused_fragments(void)
{
	struct icmp_msg msg;

	begin(1500);
	memset(message, 0, sizeof(message));
	/* IPv4: silence.  IPv6: the two lengths and the missing chain are told (RFC 8200 4.5). */
	write_fragment(true, 17, 1, 0, 9, true);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_FRAG_SIZE, 1));
	write_fragment(false, 17, 1, 0, 9, true);
	CU_ASSERT_TRUE_FATAL(read_error(&msg));
	CU_ASSERT_EQUAL(msg.kind, ICMP_PARAM);
	CU_ASSERT_EQUAL(msg.code, 0);
	CU_ASSERT_EQUAL(msg.pointer, 4);
	write_fragment(false, 17, 1, 65528, 65536, false);
	CU_ASSERT_TRUE_FATAL(read_error(&msg));
	CU_ASSERT_EQUAL(msg.code, 0);
	CU_ASSERT_EQUAL(msg.pointer, 42);
	write_fragment(false, IP_PROTO_TCP, 1, 0, 16, true);
	CU_ASSERT_TRUE_FATAL(read_error(&msg));
	CU_ASSERT_EQUAL(msg.code, 3);
	CU_ASSERT_EQUAL(msg.pointer, 0);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_FRAG_CHAIN, 1));
	/* Overlaps are never told (RFC 5722). */
	for (int v = 0; v < 2; v++) {
		write_fragment(v == 0, 17, 9, 0, 24, true);
		write_fragment(v == 0, 17, 9, 0, 24, true);
		write_fragment(v == 0, 17, 9, 16, 32, false);
		write_fragment(v == 0, 17, 9, 24, 32, false);
	}
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_FRAG_DUP, 2));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_FRAG_OVERLAP, 4));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

/* A flood of first fragments from one source: bounded and counted; others are not hurt. */
static void test_flood(void)
{
	begin(1500);
	for (uint32_t id = 1; id <= 1000; id++)
		write_fragment(true, 17, id, 0, 8, true);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_FRAG_LIMIT, 1000 - FRAG_PER_SOURCE));
	echo(false, 3008, false, 3);
	raw_close(&raw);
}

/* After a minute the sender is told, if the first fragment is there to be quoted. */
static void test_time_exceeded(void)
{
	struct icmp_msg msg;

	begin(1500);
	memset(message, 0, sizeof(message));
	for (int v = 0; v < 2; v++) {
		write_fragment(v == 0, 17, 1, 0, 24, true);
		write_fragment(v == 0, 17, 2, 24, 48, true);
		CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
		ahead += FRAG_TIMEOUT_S * (weft_time_us)US_PER_S;
		/* Whatever makes the TX thread look at the clock. */
		make_echo(v == 0, 64);
		raw_ip(&raw, v == 0 ? "10.0.0.2" : "fd00::2", v == 0 ? "10.0.0.1" : "fd00::1",
		       v == 0 ? IP_PROTO_ICMP : IP_PROTO_ICMP6, message, 64);
		bool is_seen = false;

		for (int i = 0; i < 2 && !is_seen; i++) {
			CU_ASSERT_TRUE_FATAL(read_error(&msg));
			is_seen = msg.kind == ICMP_TIME_EXCEEDED;
		}
		CU_ASSERT_TRUE(is_seen);
		CU_ASSERT_EQUAL(msg.code, 1);
		CU_ASSERT_EQUAL(msg.body_len, v == 0 ? 44 : 72);
		memset(message, 0, 64);
	}
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_FRAG_TIMEOUT, 4));
	raw_close(&raw);
}

/* Puts an IPv6 packet with a chain of 'hdrs' bytes in front of an echo request. */
static void write_chain(uint8_t first, const uint8_t *hdrs, size_t len)
{
	make_echo(false, 64);
	memmove(message + len, message, 64);
	memcpy(message, hdrs, len);
	raw_ip(&raw, "fd00::2", "fd00::1", first, message, len + 64);
}

static void test_extension_headers(void)
{
	static const uint8_t plain[] = {DEST,           0, 1, 4, 0, 0, 0, 0,
					IP_PROTO_ICMP6, 0, 1, 4, 0, 0, 0, 0};
	static const uint8_t option[] = {IP_PROTO_ICMP6, 0, 0x80, 4, 0, 0, 0, 0};
	static const uint8_t silent[] = {IP_PROTO_ICMP6, 0, 0x40, 4, 0, 0, 0, 0};
	static const uint8_t rh0[] = {IP_PROTO_ICMP6, 0, 0, 1, 0, 0, 0, 0};
	static const uint8_t atomic[] = {IP_PROTO_ICMP6, 0, 0, 0, 0, 0, 0, 5};
	static const uint8_t unknown[] = {253, 0, 1, 4, 0, 0, 0, 0};
	uint8_t many[80];
	struct icmp_msg msg;

	begin(1500);
	write_chain(HBH, plain, sizeof(plain));
	CU_ASSERT_TRUE(read_error(&msg));
	CU_ASSERT_EQUAL(msg.kind, ICMP_ECHO_REPLY);
	/* RFC 6946: what waits under the same number is not touched. */
	write_fragment(false, IP_PROTO_ICMP6, 5, 64, 72, true);
	write_chain(FRAGMENT, atomic, sizeof(atomic));
	CU_ASSERT_TRUE(read_error(&msg));
	CU_ASSERT_EQUAL(msg.kind, ICMP_ECHO_REPLY);
	write_chain(DEST, option, sizeof(option));
	CU_ASSERT_TRUE(read_error(&msg));
	CU_ASSERT_EQUAL(msg.kind, ICMP_PARAM);
	CU_ASSERT_EQUAL(msg.code, 2);
	CU_ASSERT_EQUAL(msg.pointer, 42);
	write_chain(ROUTING, rh0, sizeof(rh0));
	CU_ASSERT_TRUE(read_error(&msg));
	CU_ASSERT_EQUAL(msg.code, 0);
	CU_ASSERT_EQUAL(msg.pointer, 42);
	write_chain(DEST, unknown, sizeof(unknown));
	CU_ASSERT_TRUE(read_error(&msg));
	CU_ASSERT_EQUAL(msg.code, 1);
	CU_ASSERT_EQUAL(msg.pointer, 40);
	write_chain(DEST, silent, sizeof(silent));
	for (unsigned i = 0; i < 10; i++)
		memcpy(many + 8 * i, plain, 8);
	write_chain(DEST, many, sizeof(many));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_EXT_LIMIT, 1));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_EXT_OPTION, 2));
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_IP_ROUTING, 1));
	CU_ASSERT_EQUAL(raw_read(&raw, pkt, sizeof(pkt), 20), 0);
	raw_close(&raw);
}

UNIT_MAIN("fragments", UNIT(echo_in_fragments), UNIT(tcp_in_fragments), UNIT(refused_fragments),
	  UNIT(flood), UNIT(time_exceeded), UNIT(extension_headers))
