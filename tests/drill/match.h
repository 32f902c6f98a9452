/* Compares what a script expects with what the stack sent. */
#ifndef WEFT_DRILL_MATCH_H
#define WEFT_DRILL_MATCH_H

#include "peer.h"

/* What differs, or NULL; 'text' holds messages that are made up.  Learns timestamps. */
const char *match_packet(struct peer *peer, const struct packet_spec *spec, const struct seen *seen,
			 char *text, size_t size);

/* Whether the payload, of one packet, is what the program wrote; what differs, or NULL. */
const char *match_payload(const struct seen *seen);

/*
 * Whether 'more' goes on where 'seen' ends, as pieces of one write do: it then is added to 'seen'
 * (flags, length).
 */
bool match_join(struct seen *seen, const struct seen *more);

#endif
