/*
 * libFuzzer target: the way of UDP datagrams, ICMP echo replies and ICMP errors into a whole stack.
 *
 * Bytes choose sockets (bound, connected, with options), what the application calls, and packets: near
 * the right ones, in fragments, as errors that quote what was sent, or anything; with a virtio-net
 * header as a TUN device has it.  A reader of the target's own takes them up in the calling thread
 * (rx_batch), so that an input always does the same; the stack's own RX thread never gets one.
 *
 * Invariants: what is sent is well-formed with a good checksum; recv gives no more than there is room
 * for; in the end all sockets are closed and every buffer is back.
 */
#include "net/base/bytes.h"
#include "net/stack/dgram.h"
#include "net/stack/rx_int.h"
#include "net/wire/csum.h"
#include "net/wire/icmp.h"
#include "net/wire/udp_hdr.h"
#include "tests/fuzz/fuzz.h"
#include "tun/iov.h"
#include "tun/vnet.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

enum {
	SOCKS = 6,
	OPS_MAX = 200,
	PKT_MAX = 4096,
	PORTS = 3,
	PORT_FIRST = 5000,
	REMOTE_FIRST = 7000,
	TRIES = 1000000,
};

struct fuzz {
	const uint8_t *at;
	size_t left;
	struct conn *sock[SOCKS];
	/* The packet on its way in. */
	uint8_t pkt[PKT_MAX];
	size_t len;
	struct virtio_net_hdr vnet;
};

/* The stack lives as long as the process. */
static struct stack *stack;
static struct rx *reader;
static struct weft_dev out_dev, in_dev;
static atomic_llong now_us = US_PER_S;
static atomic_bool is_woken;
static struct mutex woken_mu;
static struct cond woken;
static struct fuzz f;

/* ---- The stack. ---- */

static int64_t clock_now(void *ctx)
{
	(void)ctx;
	return atomic_load(&now_us);
}

/* Time passes by inputs only: no timeout ever comes while somebody waits. */
static int clock_wait(void *ctx, pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline)
{
	(void)ctx;
	if (deadline <= atomic_load(&now_us))
		return ETIMEDOUT;
	return pthread_cond_wait(cond, mutex);
}

/* The stack's own reader waits for ever. */
static int no_read(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout)
{
	(void)dev;
	(void)pkts;
	(void)count;
	if (timeout == 0)
		return 0;
	mutex_lock(&woken_mu);
	while (!is_woken)
		cond_wait(&woken, &woken_mu);
	mutex_unlock(&woken_mu);
	return 0;
}

static void wake_reader(struct weft_dev *dev)
{
	(void)dev;
	mutex_lock(&woken_mu);
	is_woken = true;
	cond_broadcast(&woken);
	mutex_unlock(&woken_mu);
}

/* Gives the packet that stands ready, once. */
static int read_one(struct weft_dev *dev, struct weft_pkt *pkts, int count, int64_t timeout)
{
	(void)dev;
	(void)timeout;
	if (f.len == 0 || count == 0)
		return 0;
	FUZZ_CHECK(pkts[0].iov[0].iov_len >= f.len);
	memcpy(pkts[0].iov[0].iov_base, f.pkt, f.len);
	pkts[0].len = (uint32_t)f.len;
	vnet_decode(&f.vnet, &pkts[0]);
	f.len = 0;
	return 1;
}

static void check_udp(const uint8_t *udp, const struct ip_hdr *ip)
{
	struct udp_hdr hdr;

	FUZZ_CHECK(udp_hdr_parse(udp, ip->payload_len, &ip->src, &ip->dst, &hdr) == DROP_NONE);
	FUZZ_CHECK(hdr.len == ip->payload_len && hdr.csum != 0);
	FUZZ_CHECK(hdr.src_port != 0 && hdr.dst_port != 0);
}

static void check_icmp(const uint8_t *icmp, const struct ip_hdr *ip)
{
	struct icmp_msg msg;

	FUZZ_CHECK(icmp_parse(icmp, ip->payload_len, ip, &msg) == DROP_NONE);
	FUZZ_CHECK(ip->payload_len <= ICMP6_ERROR_MAX || msg.kind == ICMP_ECHO_REPLY ||
		   msg.kind == ICMP_ECHO_REQUEST);
}

/* A packet that was written; the device takes partial checksums. */
static void check_packet(const struct weft_pkt *pkt, uint8_t *bytes, size_t size)
{
	struct virtio_net_hdr h;
	struct ip_hdr ip;

	FUZZ_CHECK(size == pkt->len && vnet_encode(&h, pkt) == 0);
	FUZZ_CHECK(ip_parse_any(bytes, size, &ip) == DROP_NONE);
	FUZZ_CHECK((size_t)ip.hdr_len + ip.payload_len == size);
	FUZZ_CHECK(pkt->gso_size == 0 || ip.proto == IP_PROTO_UDP);
	if (ip.frag != 0)
		return;
	if (pkt->flags & WEFT_PKT_CSUM_PARTIAL)
		FUZZ_CHECK(csum_complete(bytes, size, pkt->csum_start, pkt->csum_offset));
	if (ip.proto == IP_PROTO_UDP)
		check_udp(bytes + ip.hdr_len, &ip);
	else if (ip.proto == IP_PROTO_ICMP)
		check_icmp(bytes + ip.hdr_len, &ip);
}

static int check_written(struct weft_dev *dev, const struct weft_pkt *pkts, int count)
{
	static _Thread_local uint8_t bytes[70000];

	for (int i = 0; i < count; i++) {
		FUZZ_CHECK(pkts[i].gso_size > 0 || pkts[i].len <= dev->mtu);
		check_packet(&pkts[i], bytes, iov_gather(&pkts[i], bytes, sizeof(bytes)));
	}
	return count;
}

static void no_close(struct weft_dev *dev)
{
	(void)dev;
}

static struct addr addr_of(const char *text)
{
	struct addr a;
	bool is_good = addr_parse(text, &a);

	FUZZ_CHECK(is_good);
	return a;
}

static void open_stack(void)
{
	struct stack_config cfg = {
		.clock = {.now = clock_now, .wait = clock_wait},
		.seed = 1,
		.conns_max = 100,
		.syn_backlog_max = 16,
		.time_wait_max = 16,
		.orphans_max = 16,
		.reply_queue_max = 64,
		.buf_bytes_max = 64u << 20,
		.rcvbuf = 64u << 10,
		.sndbuf = 64u << 10,
		.buf_max = 1u << 20,
		.port_min = 32768,
		.port_max = 60999,
		.addrs = {{.addr = addr_of("10.0.0.1"), .prefix = 120},
			  {.addr = addr_of("fd00::1"), .prefix = 64}},
		.addr_count = 2,
	};

	mutex_init(&woken_mu);
	cond_init(&woken);
	out_dev = (struct weft_dev){
		.name = "fuzz",
		.mtu = 1500,
		.flags = WEFT_DEV_TX_CSUM | WEFT_DEV_TX_USO4 | WEFT_DEV_RX_GSO,
		.read = no_read,
		.write = check_written,
		.wake = wake_reader,
		.close = no_close,
	};
	in_dev = out_dev;
	in_dev.read = read_one;
	cfg.dev = &out_dev;
	tcp_cfg_default(&cfg.tcp);
	cfg.tcp.cc = &tcp_cc_newreno;
	int rc = stack_new(&stack, &cfg);

	FUZZ_CHECK(rc == 0);
	reader = rx_new(stack, &in_dev, 0);
	FUZZ_CHECK(reader);
}

/* ---- Input. ---- */

static uint8_t take(void)
{
	if (f.left == 0)
		return 0;
	f.left--;
	return *f.at++;
}

static uint16_t take16(void)
{
	uint16_t high = take();

	return (uint16_t)(high << 8 | take());
}

/* ---- Packets. ---- */

static const char *const own[2][3] = {{"10.0.0.1", "127.0.0.1", "10.0.0.255"},
				      {"fd00::1", "::1", "ff02::1"}};
static const char *const peers[2][3] = {{"10.0.0.2", "10.0.0.3", "0.0.0.0"},
					{"fd00::2", "fd00::3", "::"}};

static uint16_t own_port(uint8_t how)
{
	return (uint16_t)(PORT_FIRST + how % PORTS);
}

static uint16_t peer_port(uint8_t how)
{
	return (uint16_t)(REMOTE_FIRST + how % PORTS);
}

/* Up to three bytes become anything. */
static void spoil(uint8_t *p, size_t size)
{
	for (unsigned n = take() % 4; n > 0 && size > 0; n--) {
		size_t at = take16() % size;

		p[at] = take();
	}
}

static size_t put_udp(uint8_t *p, const struct addr *src, const struct addr *dst, size_t room)
{
	const struct udp_hdr hdr = {.src_port = peer_port(take()), .dst_port = own_port(take())};
	size_t size = take16() % (room - UDP_HDR_SIZE);

	memset(p + UDP_HDR_SIZE, 'u', size);
	return udp_hdr_emit(p, &hdr, size, src, dst) + size;
}

static size_t put_echo(uint8_t *p, const struct addr *src, const struct addr *dst, size_t room)
{
	static const uint8_t body[64];
	const struct icmp_msg msg = {
		.kind = take() & 1 ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST,
		.id = own_port(take()),
		.body = body,
		.body_len = take() % sizeof(body),
	};

	(void)room;
	return icmp_emit(p, &msg, src, dst);
}

/* About a datagram from 'dst', the stack, to 'src' or another one. */
static size_t put_error(uint8_t *p, const struct addr *src, const struct addr *dst, size_t room)
{
	static const enum icmp_kind kinds[] = {ICMP_UNREACH, ICMP_TOO_BIG, ICMP_TIME_EXCEEDED,
					       ICMP_PARAM};

	uint8_t quote[256] = {0};
	bool is_echo = take() & 1;
	struct ip_hdr ip = {.src = *dst, .dst = *src, .ttl = 1, .proto = IP_PROTO_UDP};
	struct icmp_msg msg = {.kind = kinds[take() % 4], .body = quote};
	uint8_t own_at = take(), peer_at = take();

	(void)room;
	msg.code = take() % 20;
	msg.mtu = take16();
	ip.payload_len = (uint16_t)(take() % 128 + UDP_HDR_SIZE);
	if (is_echo)
		ip.proto = addr_is_v4(src) ? IP_PROTO_ICMP : IP_PROTO_ICMP6;
	size_t hdr = ip_emit(quote, &ip);

	if (is_echo) {
		quote[hdr] = addr_is_v4(src) ? ICMP4_TYPE_ECHO : ICMP6_TYPE_ECHO;
		put_be16(quote + hdr + 4, own_port(own_at));
	} else {
		put_be16(quote + hdr, own_port(own_at));
		put_be16(quote + hdr + 2, peer_port(peer_at));
		put_be16(quote + hdr + 4, ip.payload_len);
	}
	msg.body_len = hdr + take() % (ip.payload_len + 1u);
	spoil(quote, msg.body_len);
	return icmp_emit(p, &msg, src, dst);
}

static void take_vnet(void)
{
	uint8_t how = take();

	memset(&f.vnet, 0, sizeof(f.vnet));
	if (!(how & 1))
		return;
	f.vnet.flags = take() & 3;
	f.vnet.gso_type = how & 2 ? take() : how & 4 ? 5 /* UDP_L4 */ : 0;
	f.vnet.gso_size = take16();
	f.vnet.hdr_len = take();
	f.vnet.csum_start = how & 8 ? take() : f.pkt[0] >> 4 == 4 ? 20 : 40;
	f.vnet.csum_offset = how & 16 ? take() : 6;
}

static void receive(void)
{
	struct rx_after after;

	rx_take_role(reader);
	int n = rx_batch(reader, &after);

	rx_give_role(reader);
	FUZZ_CHECK(n == 1);
	rx_finish(reader, &after);
}

/* A part of what stands in f.pkt, as a fragment of IPv4. */
static void cut_fragment(void)
{
	size_t hdr = IP4_HDR_SIZE;
	size_t size = f.len - hdr;
	size_t from = (size_t)take() * 8;
	size_t to = from + (size_t)take() * 8;
	bool more = to < size;

	if (from >= size)
		return;
	if (to > size || to == from) {
		to = size;
		more = false;
	}
	memmove(f.pkt + hdr, f.pkt + hdr + from, to - from);
	f.len = hdr + to - from;
	put_be16(f.pkt + 2, (uint16_t)f.len);
	put_be16(f.pkt + 6, (uint16_t)(from / 8 | (more ? IP4_MORE_FRAGMENTS : 0)));
	put_be16(f.pkt + 10, 0);
	put_be16(f.pkt + 10, csum_finish(csum_add(0, f.pkt, hdr)));
}

static void packet(void)
{
	uint8_t how = take();
	bool is_v6 = how & 1;
	uint8_t ends = take();
	const struct addr src = addr_of(peers[is_v6][ends % 8 < 6 ? ends % 2 : 2]);
	const struct addr dst = addr_of(own[is_v6][ends / 8 % 8 < 6 ? 0 : ends / 8 % 8 - 5]);
	struct ip_hdr ip = {.src = src, .dst = dst, .ttl = take(), .tos = take()};
	static uint8_t body[PKT_MAX - 40];
	size_t size;

	switch (how / 2 % 4) {
	case 0:
	case 1:
		ip.proto = IP_PROTO_UDP;
		size = put_udp(body, &src, &dst, sizeof(body));
		break;
	case 2:
		ip.proto = is_v6 ? IP_PROTO_ICMP6 : IP_PROTO_ICMP;
		size = put_error(body, &src, &dst, sizeof(body));
		break;
	default:
		ip.proto = is_v6 ? IP_PROTO_ICMP6 : IP_PROTO_ICMP;
		size = put_echo(body, &src, &dst, sizeof(body));
		break;
	}
	ip.payload_len = (uint16_t)size;
	ip.may_frag = true;
	size_t hdr = ip_emit(f.pkt, &ip);

	memcpy(f.pkt + hdr, body, size);
	f.len = hdr + size;
	if (how & 16)
		spoil(f.pkt, f.len);
	else if ((how & 32) && !is_v6)
		cut_fragment();
	take_vnet();
	receive();
}

static void raw_packet(void)
{
	f.len = 1u + take() % 255u;
	for (size_t i = 0; i < f.len; i++)
		f.pkt[i] = take();
	take_vnet();
	receive();
}

/* ---- The application. ---- */

static void close_sock(struct conn **c)
{
	if (!*c)
		return;
	int rc = proto_of(*c)->close(*c);

	FUZZ_CHECK(rc == 0);
	proto_put(c);
}

static struct sock_addr name_of(bool is_own, bool is_v6, uint8_t how)
{
	struct sock_addr at = {.port = is_own ? own_port(how) : peer_port(how)};

	if (is_own)
		at.addr = how & 64 ? addr_of(own[is_v6][how / 4 % 2]) : addr_any(is_v6);
	else
		at.addr = addr_of(peers[is_v6][how / 4 % 2]);
	return at;
}

static void set_options(struct conn *c)
{
	static const enum sock_opt opts[] = {
		SOCK_OPT_REUSEADDR, SOCK_OPT_REUSEPORT, SOCK_OPT_RECVCTL,  SOCK_OPT_PMTUDISC,
		SOCK_OPT_MINTTL,    SOCK_OPT_RCVBUF,    SOCK_OPT_SEGMENT,  SOCK_OPT_V6ONLY,
		SOCK_OPT_GRO,       SOCK_OPT_RECVERR,   SOCK_OPT_RECVERR6,
	};

	static const uint32_t limit[] = {2, 2, 256, 6, 256, 8192, 2000, 2, 2, 2, 2};

	for (unsigned n = take() % 8; n > 0; n--) {
		unsigned i = take() % ARRAY_SIZE(opts);

		(void)proto_of(c)->setopt(c, opts[i], take16() % limit[i]);
	}
}

static void open_sock(struct conn **c)
{
	uint8_t how = take();
	bool is_v6 = how & 1;
	const struct proto *proto = how & 6 ? &proto_udp : is_v6 ? &proto_ping6 : &proto_ping;

	close_sock(c);
	int rc = proto_new_dgram(stack, proto, is_v6, c);

	FUZZ_CHECK(rc == 0);
	(void)proto_of(*c)->setopt(*c, SOCK_OPT_REUSEADDR, how & 8);
	if (how & 16)
		set_options(*c);
	struct sock_addr at = name_of(true, is_v6, take());

	(void)proto_of(*c)->bind(*c, &at);
	if (!(how & 32))
		return;
	at = name_of(false, is_v6, take());
	(void)proto_of(*c)->connect(*c, &at, false);
}

static void reconnect(struct conn *c)
{
	uint8_t how = take();
	struct sock_addr at = name_of(false, proto_of(c)->is_v6(c) && !(how & 128), how);

	(void)proto_of(c)->connect(c, how % 16 == 15 ? NULL : &at, false);
}

static void send_one(struct conn *c)
{
	static const uint8_t bytes[3000] = {ICMP4_TYPE_ECHO};
	uint8_t how = take();
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = take16() % 3000};
	struct sock_addr at = name_of(false, proto_of(c)->is_v6(c), how);
	struct sock_msg msg = {
		.iov = &iov, .count = 1, .flags = MSG_DONTWAIT, .name = how & 128 ? &at : NULL};
	ssize_t size = proto_of(c)->send(c, &msg);

	FUZZ_CHECK(size < 0 || (size_t)size == iov.iov_len);
}

static void recv_one(struct conn *c)
{
	static uint8_t bytes[65536];
	_Alignas(8) uint8_t control[256];
	uint8_t how = take();
	struct sock_addr from;
	struct iovec iov = {.iov_base = bytes, .iov_len = how & 4 ? take() : sizeof(bytes)};
	int flags = MSG_DONTWAIT | (how & 1 ? MSG_PEEK : 0) | (how & 2 ? MSG_TRUNC : 0) |
		    (how & 16 ? MSG_ERRQUEUE : 0);
	size_t room = how & 8 ? take() : sizeof(control);
	struct sock_msg msg = {.iov = &iov,
			       .count = 1,
			       .flags = flags & proto_of(c)->recv_flags,
			       .name = &from,
			       .control = control,
			       .control_len = room};
	ssize_t size = proto_of(c)->recv(c, &msg);

	FUZZ_CHECK(size < 0 || (size_t)size <= iov.iov_len || (flags & MSG_TRUNC));
	FUZZ_CHECK(size < 0 || msg.control_len <= room);
	unsigned mask = proto_of(c)->ready(c);

	FUZZ_CHECK(size != -EAGAIN || !(mask & (how & 16 ? 0u : (unsigned)POLLIN)));
}

static void call(struct conn **c, uint8_t what)
{
	int value;

	if (!*c || what % 8 == 0) {
		open_sock(c);
		return;
	}
	switch (what % 8) {
	case 1:
		close_sock(c);
		break;
	case 2:
		reconnect(*c);
		break;
	case 3:
		set_options(*c);
		break;
	case 4:
		(void)proto_of(*c)->query(*c, take() & 1 ? SOCK_QUERY_INQ : SOCK_QUERY_OUTQ,
					  &value);
		break;
	case 5:
		send_one(*c);
		break;
	default:
		recv_one(*c);
		break;
	}
}

/* The emitter may be another thread's at the moment. */
static void check_all_back(void)
{
	unsigned tries = 0;

	while (bufpool_lent(stack->pool) != atomic_load(&stack->rx_bufs)) {
		FUZZ_CHECK(tries++ < TRIES);
		tx_help(stack, 0);
		sched_yield();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!stack)
		open_stack();
	f.at = data;
	f.left = size;
	f.len = 0;
	for (unsigned ops = 0; f.left > 0 && ops < OPS_MAX; ops++) {
		uint8_t op = take();

		if (op < 20)
			atomic_fetch_add(&now_us, (int64_t)op * op * US_PER_MS);
		else if (op < 120)
			call(&f.sock[op % SOCKS], take());
		else if (op < 235)
			packet();
		else
			raw_packet();
	}
	for (unsigned i = 0; i < SOCKS; i++)
		close_sock(&f.sock[i]);
	/* Fragments that were never completed. */
	atomic_fetch_add(&now_us, 100 * US_PER_S);
	frags_expire(stack, atomic_load(&now_us));
	check_all_back();
	return 0;
}
