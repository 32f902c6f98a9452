/*
 * tunserve_tcp.c - answers from what a segment itself says; see tunserve.h.
 *
 * Threads: the caller of tunserve_run reads, a frame a call that waits for it.  It answers itself, or
 * hands each request to the connection's thread, which an accepting thread makes.
 */
#include "tunserve.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	ISS = 1000,
	BODY = 1024,
	STACK_SIZE = 64 * 1024,
	PORTS = 65536,
	RING = 4096, /* connections on their way to the accepting thread */
};

/* What the answer to a segment has to know. */
struct question {
	uint32_t seq; /* of the answer */
	uint32_t ack;
	uint16_t port;
	bool is_last; /* the connection ends with the answer */
};

/* A connection, by the client's port. */
struct seat {
	unsigned turn; /* futex, atomic: requests so far; the thread answers one a turn */
	bool has_thread;
	bool is_closed;           /* our FIN was sent */
	struct question question; /* written before 'turn' moves on; one at a time */
};

static struct {
	const struct loop_options *opt;
	struct loop_dev *dev;
	bool has_threads;
	uint8_t answer[2][BODY + 256]; /* connection kept, closed */
	size_t answer_size[2];
	struct seat seats[PORTS];
	uint16_t ring[RING];
	unsigned accepted; /* futex, atomic: connections that are ready */
} server;

/* ---- Sending.  Any thread: a write is a packet. ---- */

static void send_packet(const struct question *q, uint8_t flags, const void *payload, size_t size,
			const struct tcp_opts *opt)
{
	const struct addr local = addr_from_v4(server.opt->addr4);
	const struct addr remote = addr_from_v4(server.opt->peer4);
	uint8_t hdr[IP4_HDR_SIZE + TCP_HDR_MAX];
	const struct tcp_hdr tcp = {
		.src_port = 80,
		.dst_port = q->port,
		.seq = q->seq,
		.ack = q->ack,
		.wnd = UINT16_MAX,
		.flags = flags,
		.opt = opt ? *opt : (struct tcp_opts){0},
	};
	size_t tcp_size = tcp_hdr_emit(hdr + IP4_HDR_SIZE, &tcp);
	const struct ip_hdr ip = {
		.src = local,
		.dst = remote,
		.payload_len = (uint16_t)(tcp_size + size),
		.version = 4,
		.proto = IP_PROTO_TCP,
		.ttl = IP_TTL_DEFAULT,
	};
	uint64_t sum = csum_pseudo(&local, &remote, IP_PROTO_TCP, (uint32_t)(tcp_size + size));

	(void)ip_emit(hdr, &ip);
	if (server.opt->has_offload) {
		put_be16(hdr + IP4_HDR_SIZE + 16, csum_fold(sum));
	} else {
		sum = csum_add(sum, hdr + IP4_HDR_SIZE, tcp_size);
		put_be16(hdr + IP4_HDR_SIZE + 16, csum_finish(csum_add(sum, payload, size)));
	}
	/* Options stand where the payload would: no packet here has both. */
	if (size == 0) {
		payload = hdr + LOOP_HDR_SIZE;
		size = tcp_size - TCP_HDR_SIZE;
	}
	loop_dev_write(server.dev, hdr, payload, size, 0, server.opt->has_offload);
}

static void send_answer(const struct question *q)
{
	send_packet(q, q->is_last ? TCP_ACK | TCP_PSH | TCP_FIN : TCP_ACK | TCP_PSH,
		    server.answer[q->is_last], server.answer_size[q->is_last], NULL);
}

/* ---- Threads of connections. ---- */

/* Sleeps while '*word' is 'value'. */
static void await_change(unsigned *word, unsigned value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
		(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void advance(unsigned *word)
{
	(void)__atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *run_seat(void *arg)
{
	struct seat *seat = arg;
	unsigned done = 0;
	struct question q;

	do {
		await_change(&seat->turn, done);
		q = seat->question;
		done++;
		if (q.port != 0)
			send_answer(&q);
	} while (q.port != 0 && !q.is_last);
	return NULL;
}

static void *run_accept(void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	(void)arg;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (unsigned done = 0;; done++) {
		await_change(&server.accepted, done);
		if (pthread_create(&thread, &attr, run_seat,
				   &server.seats[server.ring[done % RING]]) != 0)
			abort();
	}
}

static void hand_over(struct seat *seat, const struct question *q)
{
	seat->question = *q;
	advance(&seat->turn);
}

/* ---- Receiving: the main thread. ---- */

static void take_syn(struct question *q)
{
	const struct tcp_opts opt = {.has_mss = true,
				     .mss = (uint16_t)(server.opt->mtu - LOOP_HDR_SIZE)};
	struct seat *seat = &server.seats[q->port];

	__atomic_store_n(&seat->turn, 0, __ATOMIC_RELAXED);
	seat->has_thread = false;
	seat->is_closed = false;
	q->seq = ISS;
	q->ack++;
	send_packet(q, TCP_SYN | TCP_ACK, NULL, 0, &opt);
}

static void take_ack(const struct question *q, struct seat *seat)
{
	unsigned count = server.accepted;

	if (!server.has_threads || seat->has_thread)
		return;
	seat->has_thread = true;
	server.ring[count % RING] = q->port;
	advance(&server.accepted);
}

static void take_fin(struct question *q, struct seat *seat)
{
	const struct question end = {0};

	q->ack++;
	send_packet(q, seat->is_closed ? TCP_ACK : TCP_ACK | TCP_FIN, NULL, 0, NULL);
	if (server.has_threads && !seat->is_closed)
		hand_over(seat, &end);
	seat->is_closed = true;
}

static void take_request(struct question *q, struct seat *seat, const uint8_t *data, size_t size)
{
	q->ack += (uint32_t)size;
	q->is_last = memmem(data, size, "Connection: close", 17) != NULL;
	seat->is_closed = q->is_last;
	if (server.has_threads)
		hand_over(seat, q);
	else
		send_answer(q);
}

static void take_frame(void *ctx, const uint8_t *packet, size_t size)
{
	const uint8_t *tcp = packet + IP4_HDR_SIZE;

	(void)ctx;
	if (size < LOOP_HDR_SIZE || packet[0] != 0x45 || packet[9] != IP_PROTO_TCP)
		return;
	size_t hdr_size = IP4_HDR_SIZE + (size_t)(tcp[12] >> 4) * 4;
	struct question q = {
		.seq = get_be32(tcp + 8), .ack = get_be32(tcp + 4), .port = get_be16(tcp)};
	struct seat *seat = &server.seats[q.port];

	if (get_be16(tcp + 2) != 80 || size < hdr_size || tcp[13] & TCP_RST)
		return;
	if (tcp[13] & TCP_SYN) {
		take_syn(&q);
		return;
	}
	take_ack(&q, seat);
	if (size > hdr_size)
		take_request(&q, seat, packet + hdr_size, size - hdr_size);
	if (tcp[13] & TCP_FIN)
		take_fin(&q, seat);
}

/* ---- The server. ---- */

static void make_answers(void)
{
	for (int i = 0; i < 2; i++) {
		uint8_t *at = server.answer[i];
		int size = snprintf((char *)at, 256,
				    "HTTP/1.1 200 OK\r\nServer: tunserve\r\nContent-Type: "
				    "application/octet-stream\r\n%sContent-Length: %d\r\n\r\n",
				    i == 0 ? "" : "Connection: close\r\n", BODY);

		memset(at + size, 'x', BODY);
		server.answer_size[i] = (size_t)size + BODY;
	}
}

int tunserve_run(const struct loop_options *opt, struct loop_dev *dev, bool has_threads)
{
	pthread_t thread;

	server.opt = opt;
	server.dev = dev;
	server.has_threads = has_threads;
	make_answers();
	if (has_threads && pthread_create(&thread, NULL, run_accept, NULL) != 0)
		return -1;
	for (;;)
		(void)loop_dev_read(dev, 1, take_frame, NULL);
}
