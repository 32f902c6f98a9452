/*
 * perf_proto.h - what the two ends of weft-perf say to each other, the hash over a stream, and the
 * histogram of latencies.  No sockets here; any thread, state only in the structs.
 *
 * Every connection begins with a header from the client.  Then, by mode:
 *   bulk      client: data, end of stream;  server: a result with its count and hash
 *   reverse   server: data, a result with its count and hash, end of stream
 *   rr, crr   client: a message, server: the same message back; until the client ends the stream
 *   control   server: a result;  client: end of stream;  server: a result.  Held open by the client
 *             for the whole test: its CPU times are the server's at the beginning and the end.
 */
#ifndef BENCH_PERF_PROTO_H
#define BENCH_PERF_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum perf_mode { PERF_BULK = 1, PERF_REVERSE, PERF_RR, PERF_CRR, PERF_CONTROL };

enum {
	PERF_HEADER_SIZE = 40,
	PERF_RESULT_SIZE = 32,
	PERF_SIZE_MAX = 16 * 1024 * 1024,
};

/* The header. */
struct perf_params {
	enum perf_mode mode;
	bool has_verify;
	bool is_zerocopy;     /* bulk, reverse: sent with MSG_ZEROCOPY */
	uint32_t size;        /* bytes a write or a message */
	uint64_t bytes;       /* end after that many; 0: after duration_us */
	uint64_t duration_us; /* with bytes 0 */
	uint64_t seed;        /* of the data */
};

struct perf_result {
	uint64_t bytes;
	uint64_t hash; /* 0 without has_verify */
	uint64_t cpu_us;
};

void perf_params_encode(const struct perf_params *params, uint8_t bytes[PERF_HEADER_SIZE]);

/* False: not weft-perf, another version, or a value out of range. */
bool perf_params_decode(const uint8_t bytes[PERF_HEADER_SIZE], struct perf_params *params);

void perf_result_encode(const struct perf_result *result, uint8_t bytes[PERF_RESULT_SIZE]);
bool perf_result_decode(const uint8_t bytes[PERF_RESULT_SIZE], struct perf_result *result);

/* User and system time of this process, microseconds. */
uint64_t perf_cpu_us(void);

/*
 * A 64-bit mixing hash, four lanes of multiply and rotate: it finds lost, doubled and moved bytes
 * at many gigabytes a second, so it does not dominate what is measured.  No security is meant.
 */
struct perf_hash {
	uint64_t lanes[4];
	uint8_t tail[32]; /* bytes not yet mixed in */
	size_t tail_size;
	uint64_t total;
};

void perf_hash_init(struct perf_hash *hash);
void perf_hash_update(struct perf_hash *hash, const void *data, size_t size);
uint64_t perf_hash_final(const struct perf_hash *hash);

/* What is sent: pseudo-random bytes, and with 'has_verify' a new number at the front each time. */
struct perf_source {
	uint8_t *data;
	size_t size;
	uint64_t count;
	bool has_verify;
};

/* 0, or -1 with errno. */
int perf_source_init(struct perf_source *source, const struct perf_params *params);
void perf_source_fini(struct perf_source *source);

/* The next 'source->size' bytes to send. */
const uint8_t *perf_source_next(struct perf_source *source);

/*
 * Memory of 'size' bytes or more from the start of a page on, for free(); NULL with errno.  For bytes received: as malloc
 * gives large blocks, 16 bytes into a page, the kernel's copy out of the pages of a packet is slow on some CPUs (net/base/copy.c).
 */
enum { PERF_PAGE = 4096 };

uint8_t *perf_pages(size_t size);

/* Counts of latencies in nanoseconds, in buckets less than 1 % wide. */
enum { PERF_BUCKETS = 58 * 128 };

struct perf_histogram {
	uint64_t counts[PERF_BUCKETS];
	uint64_t total;
	uint64_t max;
};

void perf_histogram_add(struct perf_histogram *histogram, uint64_t value);
void perf_histogram_merge(struct perf_histogram *into, const struct perf_histogram *from);

/* The value that 'share' (0 to 1) of the values do not exceed; 0 if there are none. */
uint64_t perf_histogram_quantile(const struct perf_histogram *histogram, double share);

#endif
