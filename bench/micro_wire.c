/* micro_wire.c - checksums, copies for comparison, and headers. */
#include "micro.h"

#include "net/wire/csum.h"
#include "net/wire/ip.h"
#include "net/wire/tcp_hdr.h"
#include <stdio.h>
#include <string.h>

enum { BYTES_MAX = 65536, PACKET_MAX = 256 };

struct bytes {
	size_t size;
	uint8_t from[BYTES_MAX];
	uint8_t to[BYTES_MAX];
};

struct packet {
	size_t size;
	uint8_t data[PACKET_MAX];
	struct tcp_hdr tcp;
	struct ip_hdr ip;
};

static void run_csum(void *ctx, uint64_t ops)
{
	const struct bytes *b = ctx;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++)
		sum += csum_finish(csum_add(sum & 1, b->from, b->size));
	micro_keep(sum);
}

static void run_memcpy(void *ctx, uint64_t ops)
{
	struct bytes *b = ctx;

	for (uint64_t i = 0; i < ops; i++) {
		memcpy(b->to, b->from, b->size);
		micro_keep(b->to[0]);
	}
}

static void run_parse(void *ctx, uint64_t ops)
{
	const struct packet *p = ctx;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++) {
		struct ip_hdr ip;
		struct tcp_hdr tcp;
		enum drop why = ip_parse(p->data, p->size, &ip);

		if (why == DROP_NONE)
			why = tcp_hdr_parse(p->data + ip.hdr_len, ip.payload_len, &tcp);
		sum += (uint64_t)why + tcp.seq;
		micro_keep(sum);
	}
}

static void run_emit(void *ctx, uint64_t ops)
{
	struct packet *p = ctx;

	for (uint64_t i = 0; i < ops; i++) {
		size_t at = ip_hdr_size(&p->ip.dst);

		p->tcp.seq++;
		p->ip.payload_len = (uint16_t)tcp_hdr_emit(p->data + at, &p->tcp);
		micro_keep(ip_emit(p->data, &p->ip));
	}
}

/* A segment with timestamps and 'sacks' blocks, without payload. */
static void make_packet(struct packet *p, bool is_v6, uint8_t sacks)
{
	static const uint8_t v6[2][16] = {{0xfd, [15] = 1}, {0xfd, [15] = 2}};
	static const uint8_t v4[2][4] = {{10, 0, 0, 1}, {10, 0, 0, 2}};

	*p = (struct packet){
		.tcp = {.src_port = 5000,
			.dst_port = 40000,
			.seq = 1,
			.ack = 2,
			.wnd = 1000,
			.flags = TCP_ACK,
			.opt = {.has_ts = true, .ts_val = 3, .ts_ecr = 4, .sack_count = sacks}},
		.ip = {.src = is_v6 ? addr_from_v6(v6[0]) : addr_from_v4(v4[0]),
		       .dst = is_v6 ? addr_from_v6(v6[1]) : addr_from_v4(v4[1]),
		       .proto = IP_PROTO_TCP,
		       .ttl = IP_TTL_DEFAULT},
	};
	for (uint32_t i = 0; i < sacks; i++)
		p->tcp.opt.sack[i] = (struct tcp_sack){100 + 20 * i, 110 + 20 * i};
	size_t at = ip_hdr_size(&p->ip.dst);

	p->ip.payload_len = (uint16_t)tcp_hdr_emit(p->data + at, &p->tcp);
	p->size = ip_emit(p->data, &p->ip) + p->ip.payload_len;
}

void micro_wire(const struct micro *micro)
{
	static const size_t sizes[] = {64, 1500, BYTES_MAX};
	static struct bytes bytes;
	static struct packet packet;
	char name[64];

	for (size_t i = 0; i < sizeof(bytes.from); i++)
		bytes.from[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bytes.size = sizes[i];
		(void)snprintf(name, sizeof(name), "csum.%zu", sizes[i]);
		micro_run(micro, name, sizes[i], run_csum, &bytes);
		(void)snprintf(name, sizeof(name), "memcpy.%zu", sizes[i]);
		micro_run(micro, name, sizes[i], run_memcpy, &bytes);
	}
	make_packet(&packet, false, 0);
	micro_run(micro, "parse.ip4_tcp_ts", 0, run_parse, &packet);
	micro_run(micro, "emit.ip4_tcp_ts", 0, run_emit, &packet);
	make_packet(&packet, false, 3);
	micro_run(micro, "parse.ip4_tcp_ts_sack3", 0, run_parse, &packet);
	micro_run(micro, "emit.ip4_tcp_ts_sack3", 0, run_emit, &packet);
	make_packet(&packet, true, 0);
	micro_run(micro, "parse.ip6_tcp_ts", 0, run_parse, &packet);
	micro_run(micro, "emit.ip6_tcp_ts", 0, run_emit, &packet);
}
