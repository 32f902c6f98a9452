/*
 * perf_proto.c - header, result, hash, data and histogram of weft-perf; see perf_proto.h.
 * Called by weft-perf's client and server on the threads of their connections.
 */
#include "perf_proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
	VERSION = 1,
	HASH_BLOCK = 32,
	SUB_BITS = 7, /* 128 buckets for each power of two */
};

static const uint64_t header_magic = 0x7765667470657266; /* "weftperf" */
static const uint64_t result_magic = 0x77656674646f6e65; /* "weftdone" */
static const uint64_t mix_a = 0x9e3779b97f4a7c15;
static const uint64_t mix_b = 0xc2b2ae3d27d4eb4f;

/* ---- Header and result, big-endian. ---- */

static void put_number(uint8_t *at, uint64_t number, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

static uint64_t get_number(const uint8_t *at, unsigned size)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < size; i++)
		number = number << 8 | at[i];
	return number;
}

void perf_params_encode(const struct perf_params *params, uint8_t bytes[PERF_HEADER_SIZE])
{
	put_number(bytes, header_magic, 8);
	put_number(bytes + 8, VERSION, 2);
	put_number(bytes + 10, params->mode, 1);
	put_number(bytes + 11, (params->has_verify ? 1u : 0u) | (params->is_zerocopy ? 2u : 0u), 1);
	put_number(bytes + 12, params->size, 4);
	put_number(bytes + 16, params->bytes, 8);
	put_number(bytes + 24, params->duration_us, 8);
	put_number(bytes + 32, params->seed, 8);
}

bool perf_params_decode(const uint8_t bytes[PERF_HEADER_SIZE], struct perf_params *params)
{
	if (get_number(bytes, 8) != header_magic || get_number(bytes + 8, 2) != VERSION)
		return false;
	if (bytes[10] < PERF_BULK || bytes[10] > PERF_CONTROL || bytes[11] > 3)
		return false;
	params->mode = (enum perf_mode)bytes[10];
	params->has_verify = bytes[11] & 1;
	params->is_zerocopy = bytes[11] & 2;
	params->size = (uint32_t)get_number(bytes + 12, 4);
	params->bytes = get_number(bytes + 16, 8);
	params->duration_us = get_number(bytes + 24, 8);
	params->seed = get_number(bytes + 32, 8);
	return params->size > 0 && params->size <= PERF_SIZE_MAX &&
	       params->duration_us <= (uint64_t)86400 * 1000000;
}

void perf_result_encode(const struct perf_result *result, uint8_t bytes[PERF_RESULT_SIZE])
{
	put_number(bytes, result_magic, 8);
	put_number(bytes + 8, result->bytes, 8);
	put_number(bytes + 16, result->hash, 8);
	put_number(bytes + 24, result->cpu_us, 8);
}

bool perf_result_decode(const uint8_t bytes[PERF_RESULT_SIZE], struct perf_result *result)
{
	result->bytes = get_number(bytes + 8, 8);
	result->hash = get_number(bytes + 16, 8);
	result->cpu_us = get_number(bytes + 24, 8);
	return get_number(bytes, 8) == result_magic;
}

uint64_t perf_cpu_us(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* ---- Hash. ---- */

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static uint64_t finish(uint64_t x)
{
	x = (x ^ x >> 31) * mix_a;
	x = (x ^ x >> 29) * mix_b;
	return x ^ x >> 32;
}

void perf_hash_init(struct perf_hash *hash)
{
	memset(hash, 0, sizeof(*hash));
	for (unsigned i = 0; i < 4; i++)
		hash->lanes[i] = mix_a * (i + 1);
}

/* Each step can be undone, so that no two states of a lane ever fall together. */
static void mix_blocks(struct perf_hash *hash, const uint8_t *data, size_t count)
{
	uint64_t a = hash->lanes[0], b = hash->lanes[1], c = hash->lanes[2], d = hash->lanes[3];

	for (; count > 0; count--, data += HASH_BLOCK) {
		uint64_t words[4];

		memcpy(words, data, sizeof(words));
		a = rotate(a ^ words[0] * mix_a, 31) * mix_b;
		b = rotate(b ^ words[1] * mix_a, 31) * mix_b;
		c = rotate(c ^ words[2] * mix_a, 31) * mix_b;
		d = rotate(d ^ words[3] * mix_a, 31) * mix_b;
	}
	hash->lanes[0] = a;
	hash->lanes[1] = b;
	hash->lanes[2] = c;
	hash->lanes[3] = d;
}

void perf_hash_update(struct perf_hash *hash, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	hash->total += size;
	if (hash->tail_size > 0) {
		size_t room = HASH_BLOCK - hash->tail_size;
		size_t part = size < room ? size : room;

		memcpy(hash->tail + hash->tail_size, bytes, part);
		hash->tail_size += part;
		bytes += part;
		size -= part;
		if (hash->tail_size < HASH_BLOCK)
			return;
		mix_blocks(hash, hash->tail, 1);
		hash->tail_size = 0;
	}
	mix_blocks(hash, bytes, size / HASH_BLOCK);
	hash->tail_size = size % HASH_BLOCK;
	if (hash->tail_size > 0)
		memcpy(hash->tail, bytes + size - hash->tail_size, hash->tail_size);
}

uint64_t perf_hash_final(const struct perf_hash *hash)
{
	struct perf_hash last = *hash;
	uint64_t sum;

	memset(last.tail + last.tail_size, 0, HASH_BLOCK - last.tail_size);
	mix_blocks(&last, last.tail, 1);
	sum = finish(last.total);
	for (unsigned i = 0; i < 4; i++)
		sum = finish(sum ^ last.lanes[i]);
	return sum;
}

/* ---- Data. ---- */

int perf_source_init(struct perf_source *source, const struct perf_params *params)
{
	uint64_t state = params->seed;

	source->size = params->size;
	source->count = 0;
	source->has_verify = params->has_verify;
	source->data = malloc(source->size);
	if (!source->data)
		return -1;
	for (size_t i = 0; i < source->size; i++)
		source->data[i] = (uint8_t)finish(state += mix_a);
	return 0;
}

void perf_source_fini(struct perf_source *source)
{
	free(source->data);
}

const uint8_t *perf_source_next(struct perf_source *source)
{
	uint64_t stamp;

	if (source->has_verify) {
		stamp = finish(++source->count);
		memcpy(source->data, &stamp,
		       source->size < sizeof(stamp) ? source->size : sizeof(stamp));
	}
	return source->data;
}

uint8_t *perf_pages(size_t size)
{
	return aligned_alloc(PERF_PAGE, (size + PERF_PAGE - 1) / PERF_PAGE * PERF_PAGE);
}

/* ---- Histogram. ---- */

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < 1u << SUB_BITS)
		return (unsigned)value;
	shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
	return (shift << SUB_BITS) + (unsigned)(value >> shift);
}

/* The middle of a bucket. */
static uint64_t value_of(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2u << SUB_BITS)
		return bucket;
	shift = (bucket >> SUB_BITS) - 1;
	return ((uint64_t)(bucket - (shift << SUB_BITS)) << shift) + (1ull << shift) / 2;
}

void perf_histogram_add(struct perf_histogram *histogram, uint64_t value)
{
	histogram->counts[bucket_of(value)]++;
	histogram->total++;
	if (value > histogram->max)
		histogram->max = value;
}

void perf_histogram_merge(struct perf_histogram *into, const struct perf_histogram *from)
{
	for (unsigned i = 0; i < PERF_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t perf_histogram_quantile(const struct perf_histogram *histogram, double share)
{
	uint64_t rank = (uint64_t)((double)histogram->total * share);
	uint64_t seen = 0;

	for (unsigned i = 0; i < PERF_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen > rank || (seen > 0 && seen == histogram->total)) {
			uint64_t value = value_of(i);

			return value < histogram->max ? value : histogram->max;
		}
	}
	return 0;
}
