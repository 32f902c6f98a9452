/*
 * tunserve_tcp.c - answers from what a segment itself says; see tunserve.h.
 *
 * Threads: the caller of tunserve_run reads, a frame a call that waits for it.  It answers itself, or
 * hands each request to the connection's thread, which an accepting thread makes.
 */
#include "tunserve.h"

#include "perf_proto.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	ISS = 1000,
	BODY = 1024,
	ANSWER_MAX = BODY + 256,
	ECHO_MAX = 64, /* bytes of weft-perf's messages */
	HTTP_PORT = 80,
	PERF_PORT = 5210,
	STACK_SIZE = 64 * 1024,
	PORTS = 65536,
	RING = 4096, /* connections on their way to the accepting thread */
};

/* What the answer to a segment has to know. */
struct question {
	uint32_t seq; /* of the answer */
	uint32_t ack;
	uint32_t ts; /* the segment's timestamp */
	uint16_t port;
	uint16_t our_port;
	bool has_ts;
	bool is_last;      /* the connection ends with the answer */
	uint8_t echo_size; /* weft-perf's message, which goes back */
	uint8_t echo[ECHO_MAX];
};

/* A connection, by the client's port. */
struct seat {
	unsigned turn;  /* futex, atomic: requests so far; the thread answers one a turn */
	unsigned first; /* atomic: of this connection; a thread of an earlier one ends */
	bool has_thread;
	bool is_closed;           /* our FIN was sent */
	bool is_control;          /* weft-perf's, which asks for our CPU time */
	struct question question; /* written before 'turn' moves on; one at a time */
};

static struct {
	const struct loop_options *opt;
	struct loop_dev *dev;
	bool has_threads;
	int root;                      /* -1: the answer is in memory */
	uint8_t answer[2][ANSWER_MAX]; /* connection kept, closed */
	size_t answer_size[2];
	struct seat seats[PORTS];
	uint16_t ring[RING];
	unsigned accepted; /* futex, atomic: connections that are ready */
} server;

/* ---- Sending.  Any thread: a write is a packet. ---- */

static void send_packet(const struct question *q, uint8_t flags, const void *payload, size_t size,
			bool has_mss)
{
	const struct addr local = addr_from_v4(server.opt->addr4);
	const struct addr remote = addr_from_v4(server.opt->peer4);
	uint8_t packet[IP4_HDR_SIZE + TCP_HDR_MAX + ANSWER_MAX];
	uint8_t *segment = packet + IP4_HDR_SIZE;
	const struct tcp_hdr tcp = {
		.src_port = q->our_port,
		.dst_port = q->port,
		.seq = q->seq,
		.ack = q->ack,
		.wnd = UINT16_MAX,
		.flags = flags,
		.opt = {.has_mss = has_mss,
			.mss = (uint16_t)(server.opt->mtu - LOOP_HDR_SIZE),
			.has_ts = q->has_ts,
			.ts_val = 1,
			.ts_ecr = q->ts},
	};
	size_t hdr_size = tcp_hdr_emit(segment, &tcp);
	const struct ip_hdr ip = {
		.src = local,
		.dst = remote,
		.payload_len = (uint16_t)(hdr_size + size),
		.version = 4,
		.proto = IP_PROTO_TCP,
		.ttl = IP_TTL_DEFAULT,
	};
	uint64_t sum = csum_pseudo(&local, &remote, IP_PROTO_TCP, (uint32_t)(hdr_size + size));

	(void)ip_emit(packet, &ip);
	if (size > 0)
		memcpy(segment + hdr_size, payload, size);
	size += hdr_size;
	put_be16(segment + 16, server.opt->has_offload ? csum_fold(sum)
						       : csum_finish(csum_add(sum, segment, size)));
	loop_dev_write(server.dev, packet, packet + LOOP_HDR_SIZE, size - TCP_HDR_SIZE, 0,
		       server.opt->has_offload);
}

static size_t make_head(uint8_t *at, bool is_last)
{
	return (size_t)snprintf((char *)at, ANSWER_MAX - BODY,
				"HTTP/1.1 200 OK\r\nServer: tunserve\r\nContent-Type: "
				"application/octet-stream\r\n%sContent-Length: %d\r\n\r\n",
				is_last ? "Connection: close\r\n" : "", BODY);
}

/* What weft-httpd does for each answer: finds the file, asks its size, reads it.  The size. */
static size_t make_from_file(uint8_t *at, bool is_last)
{
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, server.root, "1k.bin", &how, sizeof(how));
	size_t size = make_head(at, is_last);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || read(fd, at + size, BODY) < 0)
		abort();
	(void)close(fd);
	return size + BODY;
}

static void send_answer(const struct question *q)
{
	uint8_t flags = q->is_last ? TCP_ACK | TCP_PSH | TCP_FIN : TCP_ACK | TCP_PSH;
	uint8_t made[ANSWER_MAX];

	if (q->echo_size > 0)
		send_packet(q, flags, q->echo, q->echo_size, false);
	else if (server.root < 0)
		send_packet(q, flags, server.answer[q->is_last], server.answer_size[q->is_last],
			    false);
	else
		send_packet(q, flags, made, make_from_file(made, q->is_last), false);
}

/* What weft-perf's control connection asks for. */
static void send_result(const struct question *q, uint8_t flags)
{
	const struct perf_result result = {.cpu_us = perf_cpu_us()};
	uint8_t bytes[PERF_RESULT_SIZE];

	perf_result_encode(&result, bytes);
	send_packet(q, flags, bytes, sizeof(bytes), false);
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
	unsigned first = __atomic_load_n(&seat->first, __ATOMIC_ACQUIRE);
	unsigned done = first;
	struct question q;

	do {
		await_change(&seat->turn, done);
		if (__atomic_load_n(&seat->first, __ATOMIC_ACQUIRE) != first)
			break;
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

static void end_thread(struct seat *seat)
{
	const struct question end = {0};

	if (seat->has_thread)
		hand_over(seat, &end);
}

static void take_syn(struct question *q)
{
	struct seat *seat = &server.seats[q->port];

	/* The port's last connection may have gone without a word that came through. */
	__atomic_store_n(&seat->first, seat->turn + (seat->has_thread ? 1 : 0), __ATOMIC_RELEASE);
	end_thread(seat);
	seat->has_thread = false;
	seat->is_closed = false;
	seat->is_control = false;
	q->seq = ISS;
	q->ack++;
	send_packet(q, TCP_SYN | TCP_ACK, NULL, 0, true);
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
	q->ack++;
	if (seat->is_control && !seat->is_closed)
		send_result(q, TCP_ACK | TCP_PSH | TCP_FIN);
	else
		send_packet(q, seat->is_closed ? TCP_ACK : TCP_ACK | TCP_FIN, NULL, 0, false);
	if (!seat->is_closed)
		end_thread(seat);
	seat->is_closed = true;
}

static void answer(const struct question *q, struct seat *seat)
{
	if (server.has_threads)
		hand_over(seat, q);
	else
		send_answer(q);
}

static void take_request(struct question *q, struct seat *seat, const uint8_t *data, size_t size)
{
	q->ack += (uint32_t)size;
	q->is_last = memmem(data, size, "Connection: close", 17) != NULL;
	seat->is_closed = q->is_last;
	answer(q, seat);
}

/* weft-perf's crr and rr: behind the header, in the same segment or later, comes a message. */
static void take_message(struct question *q, struct seat *seat, const uint8_t *data, size_t size)
{
	struct perf_params params;

	q->ack += (uint32_t)size;
	if (size >= PERF_HEADER_SIZE && perf_params_decode(data, &params)) {
		seat->is_control = params.mode == PERF_CONTROL;
		if (seat->is_control)
			send_result(q, TCP_ACK | TCP_PSH);
		data += PERF_HEADER_SIZE;
		size -= PERF_HEADER_SIZE;
	}
	if (size == 0 || size > ECHO_MAX)
		return;
	q->echo_size = (uint8_t)size;
	memcpy(q->echo, data, size);
	answer(q, seat);
}

/* The peer's timestamp, where Linux has it in every segment but SYNs. */
static void take_timestamp(struct question *q, const uint8_t *tcp, size_t size)
{
	struct tcp_hdr syn;

	if (tcp[13] & TCP_SYN) {
		q->has_ts = tcp_hdr_parse(tcp, size, &syn) == 0 && syn.opt.has_ts;
		q->ts = q->has_ts ? syn.opt.ts_val : 0;
	} else if (tcp[12] >> 4 >= 8 && get_be32(tcp + TCP_HDR_SIZE) == 0x0101080a) {
		q->has_ts = true;
		q->ts = get_be32(tcp + TCP_HDR_SIZE + 4);
	}
}

static void take_frame(void *ctx, const uint8_t *packet, size_t size)
{
	const uint8_t *tcp = packet + IP4_HDR_SIZE;

	(void)ctx;
	if (size < LOOP_HDR_SIZE || packet[0] != 0x45 || packet[9] != IP_PROTO_TCP)
		return;
	size_t hdr_size = IP4_HDR_SIZE + (size_t)(tcp[12] >> 4) * 4;
	struct question q = {.seq = get_be32(tcp + 8),
			     .ack = get_be32(tcp + 4),
			     .port = get_be16(tcp),
			     .our_port = get_be16(tcp + 2)};
	struct seat *seat = &server.seats[q.port];

	if ((q.our_port != HTTP_PORT && q.our_port != PERF_PORT) || size < hdr_size)
		return;
	if (tcp[13] & TCP_RST) {
		end_thread(seat);
		return;
	}
	take_timestamp(&q, tcp, size - IP4_HDR_SIZE);
	if (tcp[13] & TCP_SYN) {
		take_syn(&q);
		return;
	}
	take_ack(&q, seat);
	if (size > hdr_size && q.our_port == HTTP_PORT)
		take_request(&q, seat, packet + hdr_size, size - hdr_size);
	else if (size > hdr_size)
		take_message(&q, seat, packet + hdr_size, size - hdr_size);
	if (tcp[13] & TCP_FIN)
		take_fin(&q, seat);
}

/* ---- The server. ---- */

static void make_answers(void)
{
	for (int i = 0; i < 2; i++) {
		size_t size = make_head(server.answer[i], i == 1);

		memset(server.answer[i] + size, 'x', BODY);
		server.answer_size[i] = size + BODY;
	}
}

int tunserve_run(const struct loop_options *opt, struct loop_dev *dev, bool has_threads, int root)
{
	pthread_t thread;

	server.opt = opt;
	server.dev = dev;
	server.has_threads = has_threads;
	server.root = root;
	make_answers();
	if (has_threads && pthread_create(&thread, NULL, run_accept, NULL) != 0)
		return -1;
	for (;;)
		(void)loop_dev_read(dev, 1, take_frame, NULL);
}
