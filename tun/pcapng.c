/*
 * Encoding of pcapng blocks: see pcapng.h.  Timestamps are microseconds, the format's default.
 */
#include "tun/pcapng.h"

#include <string.h>

enum {
	SHB_SIZE = 28,
	IDB_FIXED = 16,
	IF_NAME_MAX = 32,
	OPT_END = 0,
	OPT_IF_NAME = 2,
	OPT_EPB_FLAGS = 2,
	EPB_OPTIONS = 12, /* flags and end of options */
};

static size_t padded(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

static size_t put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
	return sizeof(v);
}

static size_t put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
	return sizeof(v);
}

static size_t put_section(uint8_t *p)
{
	uint8_t *start = p;

	p += put32(p, PCAPNG_SHB);
	p += put32(p, SHB_SIZE);
	p += put32(p, PCAPNG_MAGIC);
	p += put16(p, 1);
	p += put16(p, 0);
	p += put32(p, UINT32_MAX); /* section length not known */
	p += put32(p, UINT32_MAX);
	p += put32(p, SHB_SIZE);
	return (size_t)(p - start);
}

static size_t put_interface(uint8_t *p, const char *name)
{
	uint8_t *start = p;
	size_t name_size = strnlen(name, IF_NAME_MAX);
	uint32_t size = (uint32_t)(IDB_FIXED + 4 + padded(name_size) + 4 + 4);

	memset(p, 0, size);
	p += put32(p, PCAPNG_IDB);
	p += put32(p, size);
	p += put16(p, PCAPNG_LINKTYPE_RAW);
	p += put16(p, 0);
	p += put32(p, 0); /* no limit on captured bytes */
	p += put16(p, OPT_IF_NAME);
	p += put16(p, (uint16_t)name_size);
	memcpy(p, name, name_size);
	p += padded(name_size);
	p += put16(p, OPT_END);
	p += put16(p, 0);
	p += put32(p, size);
	return (size_t)(p - start);
}

size_t pcapng_header(uint8_t *p, const char *name)
{
	size_t size = put_section(p);

	return size + put_interface(p + size, name);
}

static uint32_t packet_block_size(size_t size)
{
	return (uint32_t)(PCAPNG_EPB_HEAD + padded(size) + EPB_OPTIONS + 4);
}

void pcapng_packet_head(uint8_t *p, size_t size, weft_time_us wall_time)
{
	p += put32(p, PCAPNG_EPB);
	p += put32(p, packet_block_size(size));
	p += put32(p, 0); /* interface */
	p += put32(p, (uint32_t)((uint64_t)wall_time >> 32));
	p += put32(p, (uint32_t)wall_time);
	p += put32(p, (uint32_t)size);
	put32(p, (uint32_t)size);
}

size_t pcapng_packet_tail(uint8_t *p, size_t size, enum pcapng_direction direction)
{
	uint8_t *start = p;
	size_t padding = padded(size) - size;

	memset(p, 0, padding);
	p += padding;
	p += put16(p, OPT_EPB_FLAGS);
	p += put16(p, 4);
	p += put32(p, direction);
	p += put16(p, OPT_END);
	p += put16(p, 0);
	p += put32(p, packet_block_size(size));
	return (size_t)(p - start);
}
