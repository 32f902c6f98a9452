/*
 * The emitter's batch for one device: builds IP and TCP headers in front of payload that stays
 * where it is, cuts and checksums in software what the device does not, and writes many packets at
 * a time.  Emitter only.
 */
#ifndef WEFT_STACK_EMIT_H
#define WEFT_STACK_EMIT_H

#include "net/base/addr.h"
#include "net/base/buf.h"
#include "net/base/counters.h"
#include "net/ip/ip_id.h"
#include "net/tcp/tcp.h"
#include "net/wire/ip.h"
#include <weft/dev.h>

enum {
	EMIT_PKTS = 32,
	EMIT_IOVS = EMIT_PKTS * (1 + TCP_VIEWS_MAX),
	EMIT_PINS = EMIT_PKTS * TCP_VIEWS_MAX,
	EMIT_HDR_MAX = IP6_HDR_SIZE + TCP_HDR_MAX,
};

/* What a segment's IP header says beside addresses and lengths. */
struct emit_ip {
	uint8_t ttl;
	uint8_t tos;
	uint8_t path_tries; /* IPv6: which flow label (net/ip/flow_label.h) */
	bool may_frag;      /* IPv4: DF is clear, with a fresh ID */
};

/* Packets and their bytes. */
struct emit_amount {
	uint64_t pkts;
	uint64_t bytes;
};

struct emit {
	struct weft_dev *dev;
	uint32_t flags; /* enum weft_dev_flags */
	struct counters *counters;
	struct ip_ids *ids;
	unsigned pkt_count;
	unsigned iov_count;
	unsigned pin_count;
	/* What the device had taken and lost at the last look; of that, what was counted as sent. */
	struct emit_amount refused;
	struct emit_amount owed;
	struct weft_pkt pkt[EMIT_PKTS];
	struct iovec iov[EMIT_IOVS];
	struct buf *pin[EMIT_PINS]; /* put after the write */
	uint8_t hdr[EMIT_PKTS][EMIT_HDR_MAX];
};

/* 'flags' are what 'dev' can do: a queue's own count for nothing. */
void emit_init(struct emit *e, struct weft_dev *dev, uint32_t flags, struct counters *counters,
	       struct ip_ids *ids);

/*
 * Adds a segment from flow->local to flow->remote; takes over the pins of its views (the caller's
 * references).  Writes when the batch is full.
 */
void emit_tcp(struct emit *e, const struct flow *flow, const struct emit_ip *ip,
	      const struct tcp_seg_out *seg);

/* For what belongs to no socket. */
extern const struct emit_ip emit_ip_default;

/* Adds a whole IP packet; takes the caller's reference. */
void emit_packet(struct emit *e, struct buf **packet);

struct dgram_note;

/* The same for a packet of dgram_build, with what it leaves to the device. */
void emit_dgram(struct emit *e, struct buf **packet, const struct dgram_note *note);

/* Writes what was added and drops the pins. */
void emit_flush(struct emit *e);

#endif
