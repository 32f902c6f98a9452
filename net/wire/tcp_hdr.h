/* TCP header and options on the wire (RFC 9293 3.1, 3.2; RFC 7323; RFC 2018). */
#ifndef WEFT_WIRE_TCP_HDR_H
#define WEFT_WIRE_TCP_HDR_H

#include "net/base/addr.h"
#include "net/base/drop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TCP_HDR_SIZE = 20,
	TCP_HDR_MAX = 60,
	TCP_OPT_MAX = 40,
	TCP_SACK_MAX = 4,
	TCP_WSCALE_MAX = 14,
	TCP_FO_MIN = 4, /* bytes of a fast open cookie, an even number (RFC 7413 4.1.1) */
	TCP_FO_MAX = 16,
};

enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

struct tcp_sack {
	uint32_t start; /* first sequence number of the block */
	uint32_t end;   /* the one behind it */
};

/* Options of a segment; what is absent has has_* false. */
struct tcp_opts {
	uint16_t mss;
	uint8_t wscale; /* as received: may exceed TCP_WSCALE_MAX */
	bool has_mss;
	bool has_wscale;
	bool has_sack_ok;
	bool has_ts;
	bool has_fo;        /* fast open; on a SYN only */
	uint8_t fo_len;     /* of the cookie; 0: one is asked for */
	uint8_t sack_count; /* 0..TCP_SACK_MAX */
	uint32_t ts_val;
	uint32_t ts_ecr;
	uint8_t fo[TCP_FO_MAX];
	struct tcp_sack sack[TCP_SACK_MAX];
};

/* A TCP header, parsed: host byte order. */
struct tcp_hdr {
	uint16_t src_port;
	uint16_t dst_port;
	uint32_t seq;
	uint32_t ack;
	uint16_t wnd; /* the raw field, not scaled */
	uint16_t up;
	uint8_t flags;   /* enum tcp_flag */
	bool ae;         /* the ninth flag (RFC 9768; NS before) */
	uint8_t hdr_len; /* bytes, options included */
	struct tcp_opts opt;
};

/*
 * Parses the TCP header in 'size' bytes (header and payload) at 'p'.  Checks sizes and options (a
 * malformed one refuses the whole segment), not the checksum: tcp_csum_ok does.
 */
enum drop tcp_hdr_parse(const uint8_t *p, size_t size, struct tcp_hdr *hdr);

/* Whether the checksum over pseudo-header and 'size' bytes at 'p' is right. */
bool tcp_csum_ok(const uint8_t *p, size_t size, const struct addr *src, const struct addr *dst);

/* Bytes the options take on the wire, padded to a multiple of 4 (at most TCP_OPT_MAX). */
size_t tcp_opts_size(const struct tcp_opts *opt);

/*
 * Writes header and options (hdr->hdr_len is ignored) with a zero checksum field; 'p' has room for
 * TCP_HDR_MAX bytes.  SACK blocks that do not fit are left out.  Returns the size.
 */
size_t tcp_hdr_emit(uint8_t *p, const struct tcp_hdr *hdr);

#endif
