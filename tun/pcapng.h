/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng): section header, interface description,
 * enhanced packet.  In the machine's byte order, as the format allows.  Pure functions on memory;
 * called by capture.c.
 */
#ifndef WEFT_TUN_PCAPNG_H
#define WEFT_TUN_PCAPNG_H

#include "net/base/time.h"
#include <stddef.h>
#include <stdint.h>

enum pcapng_direction {
	PCAPNG_IN = 1,
	PCAPNG_OUT = 2,
};

enum {
	PCAPNG_SHB = 0x0A0D0D0A,
	PCAPNG_IDB = 1,
	PCAPNG_EPB = 6,
	PCAPNG_MAGIC = 0x1A2B3C4D,
	PCAPNG_LINKTYPE_RAW = 101,
	PCAPNG_HEADER_MAX = 128, /* room for section header and interface description */
	PCAPNG_EPB_HEAD = 28,    /* bytes before the packet */
	PCAPNG_EPB_TAIL_MAX = 19 /* and behind it: padding, direction, end, length */
};

/* Writes section header and one raw IP interface of name 'name' (cut at 32 bytes); the size. */
size_t pcapng_header(uint8_t *p, const char *name);

/* Writes what stands before a packet of 'size' bytes, which the caller puts behind it. */
void pcapng_packet_head(uint8_t *p, size_t size, weft_time_us wall_time);

/* Writes what stands behind that packet; returns the size. */
size_t pcapng_packet_tail(uint8_t *p, size_t size, enum pcapng_direction direction);

#endif
