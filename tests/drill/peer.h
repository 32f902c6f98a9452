/*
 * The scripted peer: its connections, and the way between a script's numbers and those on the wire.
 *
 * A script's sequence numbers are relative.  The peer's own are the script's plus a constant
 * (peer.isn, of the runner's choice); the stack's are the script's plus the ISS of its last SYN.  The
 * peer's data is a pattern of the sequence number, which peer_byte gives.
 */
#ifndef WEFT_DRILL_PEER_H
#define WEFT_DRILL_PEER_H

#include "bed.h"
#include "net/base/addr.h"
#include "script.h"

enum { PEER_TS_MAX = 64, PEER_PACKET_MAX = 65535 };

/* A timestamp of the stack's as the script writes it and as it was. */
struct peer_ts {
	uint32_t script;
	uint32_t live;
};

struct peer_conn {
	struct peer_conn *next;
	unsigned number;
	uint16_t local_port;  /* the stack's; 0: not known yet (active open) */
	uint16_t remote_port; /* the peer's */
	bool has_iss;
	uint32_t iss;       /* on the wire where the script has 0 */
	uint32_t last_seq;  /* of the last segment the stack sent, on the wire */
	uint32_t last_len;  /* its payload and options */
	uint32_t read_pos;  /* the script's number of the next byte that the program reads */
	bool has_read;      /* it did */
	uint32_t urgent[2]; /* the script's numbers behind the last urgent bytes sent; 0: none */
	unsigned ts_count;  /* all ever */
	struct peer_ts ts[PEER_TS_MAX];
	/* What the program wrote, from the script's number 1 on. */
	uint8_t *sent;
	size_t sent_len, sent_cap;
};

struct peer {
	struct addr local, remote;
	uint32_t isn;       /* added to the script's numbers of the peer */
	int64_t ts_tick_us; /* of the stack's timestamps; 0: their values are not checked */
	int64_t tolerance_us;
	uint16_t listen_port;
	bool is_strict; /* PSH is compared */
	bool is_fresh;  /* the next SYN opens a new connection */
	unsigned count;
	struct peer_conn *conns;
	struct peer_conn *current;
	const struct bed_packet *observed; /* up to here */
};

/* A segment of the stack's, taken apart. */
struct seen {
	weft_time_us at;
	bool is_tcp;
	const char *bad; /* what is wrong with the packet, or NULL */
	int tos, ttl;
	uint16_t src_port, dst_port;
	uint8_t flags;
	bool ae;
	uint32_t seq, ack; /* on the wire */
	uint16_t win, urg;
	const uint8_t *opts;
	size_t opts_len;
	const uint8_t *payload;
	size_t len;
	struct peer_conn *conn; /* NULL: none of the script's */
};

uint8_t peer_byte(uint32_t script_seq);

void peer_fini(struct peer *peer);

/* A connection that the stack opens to 'remote_port'. */
struct peer_conn *peer_expect_active(struct peer *peer, uint16_t remote_port);

/* The connection between these ports; NULL when there is none. */
struct peer_conn *peer_find(struct peer *peer, uint16_t local_port, uint16_t remote_port);
struct peer_conn *peer_number(struct peer *peer, unsigned number);

/* Builds the packet in 'out' of PEER_PACKET_MAX bytes; 0 with a line in 'why' when it cannot. */
size_t peer_build(struct peer *peer, const struct packet_spec *spec, uint8_t *out, char *why,
		  size_t why_size);

/* Takes the packet apart and learns ports and sequence numbers from it. */
void peer_see(struct peer *peer, const struct bed_packet *packet, struct seen *seen);

/* The segment in the script's language. */
void peer_print(const struct peer *peer, const struct seen *seen, char *text, size_t size);

/* Appends what the program is about to write; peer_wrote cuts to what was taken. */
void peer_write(struct peer_conn *conn, const void *data, size_t size);
void peer_wrote(struct peer_conn *conn, size_t len);

#endif
