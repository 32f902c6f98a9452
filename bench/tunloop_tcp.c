/*
 * tunloop_tcp.c - the least TCP that a kernel's socket accepts: SYN-ACK with MSS and window scale,
 * one ACK for each batch read, no timers but one, no options later on.  What is lost the kernel
 * sends again because of our ACKs; as the sender the loop goes back to the first unacknowledged byte
 * when nothing has moved for a while (the counter 'timeouts': a number other than 0 tells that the
 * result is no ceiling).
 *
 * Threads: each worker's thread has its own queue and connection.  A SYN may come to any queue; the
 * answer is written to the queue of its connection, where the kernel then sends the rest.
 */
#include "tunloop.h"

#include "net/base/bytes.h"
#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>

enum {
	ISS = 1000,
	OUR_WSCALE = 7,
	/* All streams' together: small enough for the 500 packets that a TUN queue holds. */
	WINDOW_PLAIN = 512 * 1024,
	WINDOW_OFFLOAD = 4 * 1024 * 1024,
	APP_SIZE = 128 * 1024,   /* a program's buffer */
	SEND_SIZE = 1024 * 1024, /* a stack's send buffer */
	BATCH = LOOP_BATCH,
	BATCH_OFFLOAD = 16,
	IDLE_MS = 20,
};

void loop_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void add_to(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

static struct loop_dev *dev_of(const struct loop_worker *w)
{
	return &w->devs[w->index % w->opt->queues];
}

/* ---- Sending. ---- */

/* Writes the two headers for 'size' bytes of payload; the checksum is for 'hdr' and payload. */
static void make_header(const struct loop_worker *w, uint8_t *hdr, uint8_t flags, uint32_t seq,
			size_t size)
{
	uint32_t window = w->opt->has_offload ? WINDOW_OFFLOAD : WINDOW_PLAIN / w->opt->streams;
	const struct ip_hdr ip = {
		.src = addr_from_v4(w->opt->addr4),
		.dst = addr_from_v4(w->opt->peer4),
		.payload_len = (uint16_t)(TCP_HDR_SIZE + size),
		.version = 4,
		.proto = IP_PROTO_TCP,
		.ttl = IP_TTL_DEFAULT,
	};
	const struct tcp_hdr tcp = {
		.src_port = (uint16_t)(LOOP_PORT + w->index),
		.dst_port = __atomic_load_n(&w->peer_port, __ATOMIC_RELAXED),
		.seq = seq,
		.ack = w->rcv_nxt,
		.wnd = (uint16_t)((window - 1) >> OUR_WSCALE),
		.flags = flags,
	};

	(void)ip_emit(hdr, &ip);
	(void)tcp_hdr_emit(hdr + IP4_HDR_SIZE, &tcp);
}

static uint64_t pseudo_sum(const struct loop_worker *w, size_t size)
{
	const struct addr src = addr_from_v4(w->opt->addr4);
	const struct addr dst = addr_from_v4(w->opt->peer4);

	return csum_pseudo(&src, &dst, IP_PROTO_TCP, (uint32_t)(TCP_HDR_SIZE + size));
}

/* 'gso_size' 0 and 'is_partial' false: the checksum is made here. */
static void send_segment(struct loop_worker *w, uint32_t seq, const void *payload, size_t size,
			 bool is_partial)
{
	struct loop_dev *dev = dev_of(w);
	uint8_t hdr[LOOP_HDR_SIZE];
	uint8_t *sum_field = hdr + IP4_HDR_SIZE + 16;
	uint64_t sum = pseudo_sum(w, size);

	make_header(w, hdr, size > 0 ? TCP_ACK | TCP_PSH : TCP_ACK, seq, size);
	if (is_partial) {
		put_be16(sum_field, csum_fold(sum));
	} else {
		sum = csum_add(sum, hdr + IP4_HDR_SIZE, TCP_HDR_SIZE);
		if (size > 0)
			sum = csum_add(sum, payload, size);
		put_be16(sum_field, csum_finish(sum));
	}
	loop_dev_write(dev, hdr, payload, size, size > w->mss ? (uint16_t)w->mss : 0, is_partial);
}

/* The SYN-ACK for worker 'w'.  Keeps nothing but the peer's window scale and port. */
static void answer_syn(struct loop_worker *w, struct loop_dev *dev, const struct tcp_hdr *syn)
{
	const struct ip_hdr ip = {
		.src = addr_from_v4(w->opt->addr4),
		.dst = addr_from_v4(w->opt->peer4),
		.payload_len = TCP_HDR_SIZE + 8,
		.version = 4,
		.proto = IP_PROTO_TCP,
		.ttl = IP_TTL_DEFAULT,
	};
	struct tcp_hdr tcp = {
		.src_port = syn->dst_port,
		.dst_port = syn->src_port,
		.seq = ISS,
		.ack = syn->seq + 1,
		.wnd = UINT16_MAX,
		.flags = TCP_SYN | TCP_ACK,
		.opt = {.has_mss = true, .has_wscale = true, .wscale = OUR_WSCALE},
	};
	uint8_t packet[IP4_HDR_SIZE + TCP_HDR_MAX];
	size_t size;

	__atomic_store_n(&w->peer_wscale, syn->opt.has_wscale ? syn->opt.wscale : 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&w->peer_port, syn->src_port, __ATOMIC_RELAXED);
	tcp.opt.mss = (uint16_t)w->mss;
	(void)ip_emit(packet, &ip);
	size = tcp_hdr_emit(packet + IP4_HDR_SIZE, &tcp);
	put_be16(packet + IP4_HDR_SIZE + 16,
		 csum_finish(csum_add(pseudo_sum(w, size - TCP_HDR_SIZE), packet + IP4_HDR_SIZE,
				      size)));
	loop_dev_write(dev, packet, packet + LOOP_HDR_SIZE, size - TCP_HDR_SIZE, 0, false);
	/* The options are on this stack: io_uring must be done with them. */
	if (dev->uring)
		(void)loop_dev_read(dev, 0, NULL, NULL);
}

/* ---- Receiving. ---- */

/* Into the memory of the application. */
static void copy_payload(struct loop_worker *w, const uint8_t *payload, size_t size)
{
	size_t part;

	for (size_t at = 0; at < size; at += part) {
		size_t offset = (w->app_offset + at) % APP_SIZE;

		part = size - at < APP_SIZE - offset ? size - at : APP_SIZE - offset;
		memcpy(w->app + offset, payload + at, part);
	}
	w->app_offset += size;
}

/* As the program's recv would, once the batch is dealt with. */
static void copy_views(struct loop_worker *w)
{
	for (unsigned i = 0; i < w->view_count; i++)
		copy_payload(w, w->views[i].data, w->views[i].size);
	w->view_count = 0;
}

static void take_payload(struct loop_worker *w, const uint8_t *payload, size_t size)
{
	if (w->opt->has_copy && w->opt->buffers == 1)
		copy_payload(w, payload, size);
	else if (w->opt->has_copy)
		w->views[w->view_count++] = (struct loop_view){.data = payload, .size = size};
	w->rcv_nxt += (uint32_t)size;
	add_to(&w->frames, 1);
	add_to(&w->bytes, w->opt->mode == LOOP_SOURCE ? 0 : size);
	if (w->opt->mode == LOOP_ECHO) {
		send_segment(w, w->snd_nxt, payload, size, w->opt->has_offload);
		w->snd_nxt += (uint32_t)size;
	} else {
		w->owes_ack = true;
	}
}

static void take_ack(struct loop_worker *w, const uint8_t *tcp)
{
	uint32_t ack = get_be32(tcp + 8);
	uint32_t gain = ack - w->snd_una;

	if (gain <= WINDOW_OFFLOAD * 16u) {
		w->snd_una = ack;
		/* It went back and the peer had the bytes all the same. */
		if ((int32_t)(w->snd_nxt - ack) < 0)
			w->snd_nxt = ack;
		if (w->opt->mode == LOOP_SOURCE)
			add_to(&w->bytes, gain);
	}
	w->snd_wnd = (uint32_t)get_be16(tcp + 14)
		     << __atomic_load_n(&w->peer_wscale, __ATOMIC_RELAXED);
}

static void take_syn(struct loop_worker *w, const uint8_t *tcp, size_t size)
{
	struct tcp_hdr syn;

	if (tcp_hdr_parse(tcp, size, &syn) != 0 || syn.dst_port < LOOP_PORT ||
	    syn.dst_port >= LOOP_PORT + w->opt->streams)
		return;
	unsigned index = (unsigned)syn.dst_port - LOOP_PORT;
	/* io_uring's queue belongs to its thread, a plain descriptor to everybody. */
	answer_syn(&w->workers[index],
		   w->opt->io == LOOP_URING ? dev_of(w) : dev_of(&w->workers[index]), &syn);
}

/* As a stack does it, whatever the segment's options. */
static bool is_well_formed(const uint8_t *tcp, size_t size)
{
	struct tcp_hdr hdr;

	return tcp_hdr_parse(tcp, size, &hdr) == 0;
}

static bool has_right_sum(const struct loop_worker *w, const uint8_t *tcp, size_t size)
{
	const struct addr src = addr_from_v4(w->opt->peer4);
	const struct addr dst = addr_from_v4(w->opt->addr4);

	return tcp_csum_ok(tcp, size, &src, &dst);
}

/* The connection that a segment belongs to, of those on the queue of 'w'; or NULL. */
static struct loop_worker *find_worker(struct loop_worker *w, const uint8_t *tcp)
{
	while (w && get_be16(tcp + 2) != LOOP_PORT + w->index)
		w = w->next;
	/* What an earlier run's connection sends again has other numbers. */
	if (w && get_be16(tcp) != __atomic_load_n(&w->peer_port, __ATOMIC_RELAXED))
		return NULL;
	return w;
}

/* 'ctx' is the queue's first worker. */
static void take_frame(void *ctx, const uint8_t *packet, size_t size)
{
	struct loop_worker *w = ctx;
	const uint8_t *tcp = packet + IP4_HDR_SIZE;
	size_t hdr_size;

	if (size < LOOP_HDR_SIZE || packet[0] != 0x45 || packet[9] != IP_PROTO_TCP)
		return;
	if (tcp[13] & TCP_SYN) {
		take_syn(w, tcp, size - IP4_HDR_SIZE);
		return;
	}
	hdr_size = IP4_HDR_SIZE + (size_t)(tcp[12] >> 4) * 4;
	w = find_worker(w, tcp);
	if (!w || size < hdr_size || tcp[13] & TCP_RST)
		return;
	if (w->opt->buffers > 1 && !is_well_formed(tcp, size - IP4_HDR_SIZE))
		return;
	/* A stack without offload has to look at every byte. */
	if (!w->opt->has_offload && !has_right_sum(w, tcp, size - IP4_HDR_SIZE))
		return;
	if (!w->is_up) {
		w->is_up = true;
		w->rcv_nxt = get_be32(tcp + 4);
		w->snd_una = w->snd_nxt = ISS + 1;
	}
	take_ack(w, tcp);
	if (size == hdr_size)
		return;
	if (get_be32(tcp + 4) == w->rcv_nxt)
		take_payload(w, packet + hdr_size, size - hdr_size);
	else
		w->owes_ack = true;
}

/* ---- The loops. ---- */

/* True: the device has something; false: nothing for a while. */
static bool wait_readable(const struct loop_worker *w)
{
	struct pollfd fd = {.fd = dev_of(w)->fd, .events = POLLIN};

	return poll(&fd, 1, IDLE_MS) > 0;
}

static void run_sink(struct loop_worker *first, int batch)
{
	while (!__atomic_load_n(&first->is_stopping, __ATOMIC_ACQUIRE)) {
		int got = loop_dev_read(dev_of(first), batch, take_frame, first);

		for (struct loop_worker *w = first; w; w = w->next) {
			if (w->owes_ack)
				send_segment(w, w->snd_nxt, NULL, 0, false);
			w->owes_ack = false;
			copy_views(w);
		}
		/* With io_uring the ACK goes out with the next read. */
		if (got == 0)
			(void)wait_readable(first);
	}
}

/* As much as the window has room for, at most 'batch' frames; how many. */
static int send_batch(struct loop_worker *w, int batch)
{
	uint32_t most = w->opt->has_offload ? (65535 - LOOP_HDR_SIZE) / w->mss * w->mss : w->mss;
	int count = 0;

	for (; w->is_up && count < batch; count++) {
		uint32_t flight = w->snd_nxt - w->snd_una;
		uint32_t room = w->snd_wnd > flight ? w->snd_wnd - flight : 0;
		uint32_t size = room < most ? room / w->mss * w->mss : most;
		const uint8_t *bytes = w->app;

		if (size == 0)
			return count;
		if (w->opt->has_copy) {
			w->app_offset = (w->app_offset + most) % (SEND_SIZE - most);
			memcpy(w->send + w->app_offset, w->app, size);
			bytes = w->send + w->app_offset;
		}
		send_segment(w, w->snd_nxt, bytes, size, w->opt->has_offload);
		w->snd_nxt += size;
		add_to(&w->frames, 1);
	}
	return count;
}

/* Nothing has moved for a while: goes back to what is not acknowledged. */
static void repeat_all(struct loop_worker *first)
{
	for (struct loop_worker *w = first; w; w = w->next) {
		if (w->snd_nxt == w->snd_una)
			continue;
		w->snd_nxt = w->snd_una;
		add_to(&w->timeouts, 1);
	}
}

static void run_source(struct loop_worker *first, int batch)
{
	while (!__atomic_load_n(&first->is_stopping, __ATOMIC_ACQUIRE)) {
		int moved = loop_dev_read(dev_of(first), batch, take_frame, first);

		for (struct loop_worker *w = first; w; w = w->next) {
			moved += send_batch(w, batch);
			w->owes_ack = false;
		}
		if (moved == 0 && !wait_readable(first))
			repeat_all(first);
	}
}

void *loop_run(void *worker)
{
	struct loop_worker *w = worker;

	loop_pin(w->cpu);
	if (w->opt->mode == LOOP_SOURCE)
		run_source(w, w->opt->has_offload ? BATCH_OFFLOAD / 4 : BATCH);
	else
		run_sink(w, w->opt->has_offload ? BATCH_OFFLOAD : BATCH);
	return NULL;
}
