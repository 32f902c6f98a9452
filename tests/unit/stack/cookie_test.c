/*
 * SYN cookies of a listener: by hand-made segments, and real clients while 100,000 SYNs with foreign
 * source addresses come in.
 */
#include "net/stack/cookie.h"
#include "net/stack/listener.h"
#include "net/stack/stack_int.h"
#include "raw.h"

enum { FLOOD = 100000, BURST = 64, AHEAD_MAX = 2048, CLIENTS = 32 };

static void open_listener(struct raw *raw, enum weft_syn_cookies mode, uint32_t backlog_max,
			  struct sock **l)
{
	struct rig_config config = rig_config_default();

	config.stack.syn_cookies = mode;
	config.stack.syn_backlog_max = backlog_max;
	raw_open(raw, &config);
	*l = rig_listen(raw->stack, "10.0.0.1", 80, 2);
}

static void send_syn(struct raw *raw, uint16_t port, struct tcp_hdr *synack)
{
	const struct tcp_hdr syn = {
		.src_port = port,
		.dst_port = 80,
		.seq = 1000,
		.flags = TCP_SYN,
		.wnd = 8000,
		.opt = {.has_mss = true,
			.mss = 1300,
			.has_ts = true,
			.ts_val = 5,
			.has_wscale = true,
			.wscale = 3,
			.has_sack_ok = true},
	};

	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE_FATAL(raw_read_tcp(raw, synack, 1000));
	CU_ASSERT_EQUAL(synack->flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(synack->dst_port, port);
}

/* The ACK of 'synack', with 'data'; 'wrong' is added to the acknowledgment number. */
static void send_ack(struct raw *raw, uint16_t port, const struct tcp_hdr *synack, const char *data,
		     uint32_t wrong)
{
	const struct tcp_hdr ack = {
		.src_port = port,
		.dst_port = 80,
		.seq = 1001,
		.ack = synack->seq + 1 + wrong,
		.flags = TCP_ACK,
		.wnd = 8000,
		.opt = {.has_ts = true, .ts_val = 6, .ts_ecr = synack->opt.ts_val},
	};

	raw_tcp(raw, "10.0.0.2", "10.0.0.1", &ack, data, false);
}

static uint64_t count_of(struct raw *raw, enum counter which)
{
	return rig_stats(raw->stack)->counters[which];
}

/* A cookie leaves no state; its ACK makes a connection with the SYN's options and the ACK's data. */
static void test_always(void)
{
	struct tcp_hdr synack;
	struct sock *l, *child;
	struct tcp_status status;
	struct raw raw;
	char data[8];

	open_listener(&raw, WEFT_SYN_COOKIES_ALWAYS, 1000, &l);
	uint64_t objects = rig_stats(raw.stack)->objects;

	send_syn(&raw, 100, &synack);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->objects, objects);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 0);
	send_ack(&raw, 100, &synack, "hello", 0);
	CU_ASSERT_EQUAL(sock_accept(l, false, &child), 0);
	CU_ASSERT_EQUAL(rig_recv(child, data, sizeof(data), 0), 5);
	CU_ASSERT_EQUAL(sock_status(child, &status), 0);
	CU_ASSERT_EQUAL(status.state, TCPS_ESTABLISHED);
	CU_ASSERT_TRUE(status.ts_on && status.sack_on && status.wscale_on);
	CU_ASSERT_EQUAL(status.snd_wscale, 3);
	CU_ASSERT_EQUAL(status.snd_mss, 1300 - 12);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_SENT), 1);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_ACCEPTED), 1);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_FAILED), 0);
	rig_drop(&child);
	rig_drop(&l);
	raw_close(&raw);
}

/* Up to the limit there are records; at it cookies; and records again when there is room. */
static void test_at_the_limit_only(void)
{
	struct tcp_hdr a, b, got;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_AUTO, 1, &l);
	send_syn(&raw, 100, &a);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_SENT), 0);
	/* Without cookies on their way a stray ACK is no wrong cookie. */
	send_ack(&raw, 300, &a, "", 0);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_FAILED), 0);
	send_syn(&raw, 101, &b);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_SENT), 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 1);
	send_ack(&raw, 100, &a, "", 0);
	send_syn(&raw, 102, &got);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_SENT), 1);
	send_ack(&raw, 101, &b, "", 0);
	while (raw_read_tcp(&raw, &got, 50))
		CU_ASSERT_FALSE(got.flags & TCP_RST);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_ACCEPTED), 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->conns, 2);
	rig_drop(&l);
	raw_close(&raw);
}

static void test_wrong_cookie_gets_a_reset(void)
{
	struct tcp_hdr synack, got;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_ALWAYS, 1000, &l);
	send_syn(&raw, 100, &synack);
	send_ack(&raw, 100, &synack, "", 1);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST);
	CU_ASSERT_EQUAL(got.seq, synack.seq + 2);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_LISTEN_ACK, 1));
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_FAILED), 1);
	/* The accept queue has its limit with cookies, too: the client's next segment may do. */
	for (uint16_t port = 100; port < 104; port++) {
		send_syn(&raw, port, &synack);
		send_ack(&raw, port, &synack, "", 0);
		if (port == 102)
			break;
	}
	while (rig_stats(raw.stack)->conns < 3)
		rig_settle(1);
	const struct tcp_hdr syn = {.src_port = 200, .dst_port = 80, .flags = TCP_SYN, .wnd = 1};

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE(raw_dropped(&raw, DROP_TCP_ACCEPT_FULL, 1));
	rig_drop(&l);
	raw_close(&raw);
}

/* A cookie comes back with an ACK: a SYN-ACK that has it is an ACK nobody waits for. */
static void test_a_syn_ack_brings_no_cookie(void)
{
	struct tcp_hdr synack, got;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_ALWAYS, 1000, &l);
	send_syn(&raw, 100, &synack);
	const struct tcp_hdr wrong = {
		.src_port = 100,
		.dst_port = 80,
		.seq = 1001,
		.ack = synack.seq + 1,
		.flags = TCP_SYN | TCP_ACK,
		.wnd = 8000,
		.opt = {.has_ts = true, .ts_val = 6, .ts_ecr = synack.opt.ts_val},
	};

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &wrong, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_RST);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_ACCEPTED), 0);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->conns, 0);
	rig_drop(&l);
	raw_close(&raw);
}

/* RFC 7323 5.4: what one connection's timestamps show says nothing of another's. */
static void test_timestamp_offsets_are_unrelated(void)
{
	struct rig_config config = rig_config_default();
	struct flow flow = {.local_port = 80, .remote_port = 1000};
	uint32_t seen[64];
	struct raw raw;

	raw_open(&raw, &config);
	for (uint16_t i = 0; i < ARRAY_SIZE(seen); i++) {
		flow.remote_port = (uint16_t)(1000 + i);
		seen[i] = stack_ts_offset(raw.stack, &flow);
		CU_ASSERT_EQUAL(seen[i], stack_ts_offset(raw.stack, &flow));
		for (uint16_t j = 0; j < i; j++) /* nor are they near each other */
			CU_ASSERT_TRUE(seen[i] - seen[j] + 1000 > 2000);
	}
	raw_close(&raw);
}

/* RFC 6528: initial sequence numbers of different flows have nothing to do with each other. */
static void test_isns_are_apart(void)
{
	enum { FLOWS = 8, NEAR = 1 << 22 /* the clock's way in 16 s */ };
	struct tcp_hdr synack;
	struct sock *l;
	struct raw raw;
	uint32_t first = 0;
	unsigned near = 0;

	open_listener(&raw, WEFT_SYN_COOKIES_OFF, 1000, &l);
	for (uint16_t i = 0; i < FLOWS; i++) {
		send_syn(&raw, (uint16_t)(100 + i), &synack);
		first = i == 0 ? synack.seq : first;
		near += synack.seq - first < NEAR;
	}
	CU_ASSERT_TRUE(near < FLOWS / 2);
	rig_drop(&l);
	raw_close(&raw);
}

/* A cookie tells the smallest MSS that is believed, at least; so a tiny one gets an answer, too. */
static void test_cookie_for_a_tiny_mss(void)
{
	const struct tcp_hdr syn = {.src_port = 100,
				    .dst_port = 80,
				    .flags = TCP_SYN,
				    .wnd = 100,
				    .opt = {.has_mss = true, .mss = 200}};
	struct tcp_hdr got;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_ALWAYS, 1000, &l);
	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &syn, "", false);
	CU_ASSERT_TRUE(raw_read_tcp(&raw, &got, 1000));
	CU_ASSERT_EQUAL(got.flags, TCP_SYN | TCP_ACK);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_SENT), 1);
	rig_drop(&l);
	raw_close(&raw);
}

/* The client's SYN came twice, and its copy found room for a record: the cookie counts all the same. */
static void test_cookie_meets_a_record(void)
{
	struct tcp_hdr a, first, second, got;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_AUTO, 1, &l);
	send_syn(&raw, 100, &a);
	send_syn(&raw, 101, &first); /* a cookie */
	const struct tcp_hdr rst = {.src_port = 100, .dst_port = 80, .seq = 1001, .flags = TCP_RST};

	raw_tcp(&raw, "10.0.0.2", "10.0.0.1", &rst, "", false);
	send_syn(&raw, 101, &second);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_SENT), 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 1);
	send_ack(&raw, 101, &first, "", 0);
	while (raw_read_tcp(&raw, &got, 50))
		CU_ASSERT_FALSE(got.flags & TCP_RST);
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_ACCEPTED), 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->conns, 1);
	CU_ASSERT_EQUAL(rig_stats(raw.stack)->syn_rcvd, 0);
	rig_drop(&l);
	raw_close(&raw);
}

/* ---- The flood. ---- */

struct flood {
	struct stack *server;
	struct weft_dev *wire; /* the clients' end of the cable */
	uint64_t seed;
	atomic_bool is_over;
};

/* A SYN to 10.0.0.1:80 from anywhere in 172.16/12, in 'pkt'; its size. */
static size_t make_spoofed(struct prng *rng, uint8_t *pkt)
{
	const struct tcp_hdr tcp = {
		.src_port = (uint16_t)(1024 + prng_below(rng, 60000)),
		.dst_port = 80,
		.seq = (uint32_t)prng_u64(rng),
		.flags = TCP_SYN,
		.wnd = 1000,
		.opt = {.has_mss = true, .mss = 1460},
	};
	struct ip_hdr ip = {
		.src = rig_addr("172.16.0.1"),
		.dst = rig_addr("10.0.0.1"),
		.proto = IP_PROTO_TCP,
		.ttl = 64,
	};
	uint8_t text[TCP_HDR_MAX];

	ip.src.b[13] = (uint8_t)(16 + prng_below(rng, 16));
	ip.src.b[14] = (uint8_t)prng_u64(rng);
	ip.src.b[15] = (uint8_t)(1 + prng_below(rng, 250));
	size_t len = tcp_hdr_emit(text, &tcp);
	uint64_t sum = csum_pseudo(&ip.src, &ip.dst, IP_PROTO_TCP, (uint32_t)len);
	uint16_t csum = csum_finish(csum_add(sum, text, len));

	text[16] = (uint8_t)(csum >> 8);
	text[17] = (uint8_t)csum;
	ip.payload_len = (uint16_t)len;
	size_t hdr = ip_emit(pkt, &ip);

	memcpy(pkt + hdr, text, len);
	return hdr + len;
}

static void *flood_main(void *arg)
{
	struct flood *f = arg;
	static uint8_t bytes[BURST][128];
	struct iovec iov[BURST];
	struct weft_pkt pkt[BURST];
	struct prng rng;
	unsigned sent = 0;

	prng_init(&rng, f->seed);
	while (sent < FLOOD) {
		/* A cable drops what its queue does not hold; this test is not about that. */
		while (rig_stats(f->server)->counters[C_PKT_IN] + AHEAD_MAX < sent)
			rig_settle(1);
		for (unsigned i = 0; i < BURST; i++) {
			iov[i].iov_base = bytes[i];
			iov[i].iov_len = make_spoofed(&rng, bytes[i]);
			pkt[i] = (struct weft_pkt){
				.iov = &iov[i], .iov_count = 1, .len = (uint32_t)iov[i].iov_len};
		}
		int n = f->wire->write(f->wire, pkt, BURST);

		sent += n > 0 ? (unsigned)n : 0;
	}
	atomic_store(&f->is_over, true);
	return NULL;
}

/* One client: connects, says a byte, hears it back. */
static void visit_server(struct rig *rig, struct sock *l)
{
	struct sock *client, *server;
	char byte = 0;
	int rc;

	client = rig_connect(rig->b, "10.0.0.1", 80, &rc);
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL_FATAL(sock_accept(l, false, &server), 0);
	CU_ASSERT_EQUAL(rig_send(client, "x", 1), 1);
	CU_ASSERT_EQUAL(rig_recv(server, &byte, 1, 0), 1);
	CU_ASSERT_EQUAL(rig_send(server, &byte, 1), 1);
	CU_ASSERT_EQUAL(rig_recv(client, &byte, 1, 0), 1);
	CU_ASSERT_EQUAL(byte, 'x');
	rig_drop(&client);
	rig_drop(&server);
}

static void test_clients_connect_in_a_flood(void)
{
	struct rig_config config = rig_config_default();
	struct weft_dev *ends[2];
	struct rig rig;
	pthread_t thread;
	unsigned clients = 0;

	config.stack.syn_backlog_max = 64;
	config.stack.conns_max = 1000;
	WEFT_ASSERT(weft_dev_pair(ends, config.mtu, config.flags, 4096) == 0);
	rig.a = rig_stack(&config, ends[0], "10.0.0.1", "fd00::1");
	rig.b = rig_stack(&config, ends[1], "10.0.0.2", "fd00::2");
	struct sock *l = rig_listen(rig.a, "10.0.0.1", 80, 128);
	struct flood flood = {.server = rig.a, .wire = ends[1], .seed = unit_seed()};

	WEFT_ASSERT(thread_start(&thread, "flood", flood_main, &flood) == 0);
	while (!atomic_load(&flood.is_over) || clients < CLIENTS) {
		visit_server(&rig, l);
		clients++;
		CU_ASSERT_TRUE(rig_stats(rig.a)->syn_rcvd <= 64);
		CU_ASSERT_TRUE(rig_stats(rig.a)->objects < 1000);
	}
	thread_join(thread);
	const struct weft_stats *stats = rig_stats(rig.a);

	printf("%u clients; cookies: %llu sent, %llu accepted, %llu failed\n", clients,
	       (unsigned long long)stats->counters[C_TCP_COOKIE_SENT],
	       (unsigned long long)stats->counters[C_TCP_COOKIE_ACCEPTED],
	       (unsigned long long)stats->counters[C_TCP_COOKIE_FAILED]);
	CU_ASSERT_TRUE(stats->counters[C_TCP_COOKIE_SENT] > FLOOD * 9 / 10);
	CU_ASSERT_TRUE(stats->counters[C_TCP_COOKIE_ACCEPTED] > 0);
	rig_drop(&l);
	rig_close(&rig);
}

/* From the first cookie on there is a key for those of the generation before it, and nobody else knows it. */
static void test_both_keys_are_made(void)
{
	static const struct khash_key none;
	struct tcp_hdr synack;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_ALWAYS, 1000, &l);
	send_syn(&raw, 100, &synack);
	struct listener *own = listener_of(l);

	listener_lock(own);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_NOT_EQUAL(memcmp(&own->cookie.keys.mac[i], &none, sizeof(none)), 0);
	/* The next generation has a new key; that of before is kept. */
	const uint8_t us[4] = {10, 0, 0, 1}, them[4] = {10, 0, 0, 2};
	const struct flow flow = {.local = addr_from_v4(us),
				  .remote = addr_from_v4(them),
				  .local_port = 80,
				  .remote_port = 101};
	const struct tcp_seg syn = {.seq = 1, .flags = TCP_SYN, .wnd = 8000};
	struct syncookie_keys before = own->cookie.keys;
	uint32_t generation = own->cookie.generation;
	weft_time_us later = stack_now(raw.stack) +
			     SYNCOOKIE_KEY_MINUTES * SYNCOOKIE_MINUTE_S * (weft_time_us)US_PER_S;

	cookie_send(l, &flow, &syn, 0, later);
	CU_ASSERT_EQUAL(own->cookie.generation, generation + 1);
	CU_ASSERT_EQUAL(memcmp(&own->cookie.keys.mac[generation & 1], &before.mac[generation & 1],
			       sizeof(none)),
			0);
	CU_ASSERT_NOT_EQUAL(memcmp(&own->cookie.keys.mac[(generation + 1) & 1],
				   &before.mac[(generation + 1) & 1], sizeof(none)),
			    0);
	listener_unlock(own);
	rig_drop(&l);
	raw_close(&raw);
}

/* The listener was closed between the lookup and the cookie: the ACK makes nothing. */
static void test_closed_listener_takes_no_cookie(void)
{
	const uint8_t us[4] = {10, 0, 0, 1}, them[4] = {10, 0, 0, 2};
	struct flow flow = {.local = addr_from_v4(us),
			    .remote = addr_from_v4(them),
			    .local_port = 80,
			    .remote_port = 100};
	enum drop why = DROP_NONE;
	struct tcp_hdr synack;
	struct sock *l;
	struct raw raw;

	open_listener(&raw, WEFT_SYN_COOKIES_ALWAYS, 1000, &l);
	send_syn(&raw, 100, &synack);
	struct tcp_seg ack = {
		.seq = 1001,
		.ack = synack.seq + 1,
		.flags = TCP_ACK,
		.wnd = 8000,
		.opt = {.has_ts = true, .ts_val = 6, .ts_ecr = synack.opt.ts_val},
	};
	struct sock *s = l;

	sock_get(s);
	rig_drop(&l);
	CU_ASSERT_FALSE(cookie_input(s, &flow, &ack, 0, stack_now(raw.stack), &why));
	CU_ASSERT_EQUAL(count_of(&raw, C_TCP_COOKIE_ACCEPTED), 0);
	sock_put(&s);
	raw_close(&raw);
}

UNIT_MAIN("cookie", UNIT(always), UNIT(at_the_limit_only), UNIT(wrong_cookie_gets_a_reset),
	  UNIT(a_syn_ack_brings_no_cookie), UNIT(isns_are_apart),
	  UNIT(timestamp_offsets_are_unrelated), UNIT(cookie_for_a_tiny_mss),
	  UNIT(cookie_meets_a_record), UNIT(clients_connect_in_a_flood), UNIT(both_keys_are_made),
	  UNIT(closed_listener_takes_no_cookie))
